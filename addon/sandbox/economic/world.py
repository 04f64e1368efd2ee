"""The whole simulated e-conomic: its agreements, its one app, its habits, its bucket and its faults."""

from __future__ import annotations

import json
import random
import string
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask

from addon.sandbox.clock import Clock
from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.books import COPENHAGEN, HUNDRED
from addon.sandbox.economic.faults import Faults
from addon.sandbox.economic.switches import Switches
from addon.sandbox.fortnox.rates import rate_per_one
from addon.sandbox.shared.late import LateRequests, Zombie, count

if TYPE_CHECKING:
    pass

EVENTS: Mapping[str, tuple[str, str]] = {
    "INVOICE_BOOKED": ("An invoice was booked", "INVOICENO"),
    "CUSTOMER_UPDATED": ("A customer was changed", "NEWNUMBER"),
    "PRODUCT_UPDATED": ("A product was changed", "NEWNUMBER"),
    "JOURNAL_BOOKED": ("Entries of a journal were booked", "DAYBOOKNO"),
}


class Call(NamedTuple):
    """A request that reached the simulated e-conomic; status 0: the connection ended without an answer."""

    at: datetime
    company: int | None
    method: str
    path: str
    status: int
    query: str = ""
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """An agreement's consent to the app."""

    token: str
    agreement: int
    role: str
    created_at: datetime


@dataclass(slots=True)
class Hook:
    """A webhook as it was registered."""

    values: dict[str, Any]
    version: int = 1


@dataclass(slots=True)
class Bucket:
    """Cost that has been used, draining evenly within the window. Counted by the world's timer."""

    used: float = 0
    at: float = 0
    refused: int = 0


@dataclass(slots=True)
class Remembered:
    """An answer that was given under an idempotency key."""

    at: datetime
    line: str
    body: bytes
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""


class EconomicWorld(LateRequests):
    """State of the simulated e-conomic. Thread-safe: one lock round each request and each deed of a person.

    `cost_limit` within `window_s` seconds per agreement, 0 for no limit; counted by `timer`, real seconds unless a
    test puts its own there. `start_url` is where the marketplace sends people to begin (the app's own page).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        app_secret: str,
        app_public: str,
        registered_hosts: Sequence[str] = (),
        start_url: str = "",
        seed: int = 1,
        cost_limit: int = 10_000,
        window_s: float = 60.0,
        role: str = "SuperUser",
        app_name: str = "Kvitt",
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.app_name = app_name
        self.app_secret = app_secret
        self.app_public = app_public
        self.registered_hosts = tuple(registered_hosts)
        self.start_url = start_url
        self.role = role
        self.cost_limit = cost_limit
        self.window_s = window_s
        self.lock = threading.RLock()
        self.switches = Switches()
        self.faults = Faults()
        self.agreements: dict[int, EconomicAgreement] = {}
        self.grants: dict[str, Grant] = {}
        self.withdrawn: set[str] = set()
        self.calls: list[Call] = []
        self.hooks: dict[tuple[int, str], Hook] = {}
        self.events: list[dict[str, object]] = []
        """What was sent to webhooks, for tests; `deliver_events` also sends it."""
        self.deliver_events = False
        self.allow_http_hooks = False
        self.timer: Callable[[], float] = time.monotonic
        self.sleep: Callable[[float], None] = time.sleep
        self.buckets: dict[int, Bucket] = {}
        self.remembered: dict[tuple[int, str], Remembered] = {}
        self.zombies: list[Zombie] = []
        self._random = random.Random(seed)
        self._app: Flask | None = None
        self._next_number = 1_200_000 + seed * 1000 + 1

    # -- the world ------

    def today(self) -> date:
        """The date in Denmark by the world's clock."""
        return self.clock.now().astimezone(COPENHAGEN).date()

    def rate(self, base: str, currency: str, on: date) -> Decimal:
        """What 100 units of a currency cost in a base currency on a day."""
        exact = HUNDRED * rate_per_one(currency, on, self.seed) / rate_per_one(base, on, self.seed)
        return exact.quantize(Decimal("0.0001"))

    def add_agreement(
        self,
        name: str,
        cvr: str,
        *,
        email: str = "",
        base_currency: str = "DKK",
        currencies: Iterable[str] = (),
        first_year: int | None = None,
        number: int | None = None,
    ) -> EconomicAgreement:
        """A company with a Danish chart in calendar years from `first_year` (last year if None) to this one."""
        with self.lock:
            key = number or self._next_number
            self._next_number = max(self._next_number, key) + 1
            agreement = EconomicAgreement(
                key,
                name,
                cvr,
                clock=self.clock,
                switches=self.switches,
                rate_of=lambda currency, on: self.rate(base_currency, currency, on),
                lock=self.lock,
                revoke=self.revoke,
                email=email or f"bogholder@{key}.example.test",
                base_currency=base_currency,
            )
            this_year = self.today().year
            for year in range(this_year - 1 if first_year is None else first_year, this_year + 1):
                agreement.add_year(date(year, 1, 1), date(year, 12, 31))
            for code in currencies:
                agreement.currencies.setdefault(code, (code, "000"))
            self.agreements[key] = agreement
            return agreement

    def check(self) -> None:
        """Every agreement's books; raises BooksBroken."""
        with self.lock:
            for agreement in self.agreements.values():
                agreement.check()

    # -- grants ------

    def grant(self, agreement: int, *, role: str | None = None) -> str:
        """Consent without a browser, as if a person had pressed "Add app"; the grant token."""
        with self.lock:
            token = "".join(self._random.choices(string.ascii_letters + string.digits, k=43))
            self.grants[token] = Grant(token, agreement, role or self.role, self.clock.now())
            return token

    def revoke(self, agreement: int) -> None:
        """Withdraw all grants of an agreement."""
        with self.lock:
            for token in [token for token, grant in self.grants.items() if grant.agreement == agreement]:
                del self.grants[token]
                self.withdrawn.add(token)

    def is_connected(self, agreement: int) -> bool:
        """Whether the app has a grant of an agreement."""
        return any(grant.agreement == agreement for grant in self.grants.values())

    # -- calls ------

    def charge(self, agreement: int, cost: int) -> tuple[bool, int]:
        """Take a cost out of an agreement's bucket; whether there was enough, and what is used now."""
        bucket = self.buckets.setdefault(agreement, Bucket(at=self.timer()))
        now = self.timer()
        bucket.used = max(0.0, bucket.used - (now - bucket.at) * (self.cost_limit or 1) / self.window_s)
        bucket.at = now
        if self.cost_limit and bucket.used + cost > self.cost_limit:
            bucket.refused += 1
            return False, round(bucket.used)
        bucket.used += cost
        return True, round(bucket.used)

    def count_calls(self, company: int | None = None, method: str | None = None, path_prefix: str | None = None) -> int:
        """How many requests came in: of one agreement, of one method, to paths that begin so (`/rest/invoices`)."""
        return count(list(self.calls), company, method, path_prefix)

    def reset_calls(self) -> None:
        """Begin to count anew."""
        self.calls.clear()

    # -- webhooks ------

    def tell(self, agreement: int, event: str, number: int | str) -> None:
        """Fill in and send the webhook of an event, if there is one."""
        hook = self.hooks.get((agreement, event))
        if hook is None or hook.values.get("isDisabled"):
            return
        mark = f"[{EVENTS[event][1]}]"
        sent: dict[str, object] = {
            "url": str(hook.values["url"]).replace(mark, str(number)),
            "body": str(hook.values.get("postData") or "").replace(mark, str(number)),
            "contentType": hook.values["contentType"],
            "headers": {item["key"]: item["value"] for item in hook.values.get("customHeaders") or []},
        }
        self.events.append(sent)
        if self.deliver_events:
            threading.Thread(target=_send, args=(sent,), daemon=True).start()

    # -- apps ------

    def app(self) -> Flask:
        """The WSGI app: /rest/…, /apis/…, /secure/…, /marketplace; one for all callers."""
        from addon.sandbox.economic.gate import build_app

        with self.lock:
            if self._app is None:
                self._app = build_app(self)
            return self._app

    def control_app(self) -> Flask:
        """The WSGI app that tests in another process steer the world with; never for the tested program."""
        from addon.sandbox.economic.control import build_control_app

        return build_control_app(self)


def _send(event: dict[str, object]) -> None:
    headers = event["headers"] if isinstance(event["headers"], dict) else {}
    body = event["body"] if isinstance(event["body"], str) else ""
    request = urllib.request.Request(  # noqa: S310 - the address is what the tested program registered
        str(event["url"]),
        data=body.encode() or json.dumps({}).encode(),
        headers={"Content-Type": str(event["contentType"]), **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            answer.read()
    except OSError:
        return  # the real one gives no promise either that a webhook arrives
