"""The whole simulated Fortnox: its companies, its rates, its one app, its habits and its faults."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import rates
from addon.sandbox.fortnox.books import STOCKHOLM
from addon.sandbox.fortnox.company import ALL_LICENCES, FortnoxCompany
from addon.sandbox.fortnox.faults import Faults
from addon.sandbox.fortnox.oauth import Authority, PendingConsent
from addon.sandbox.fortnox.switches import Switches
from addon.sandbox.shared.late import LateRequests, Zombie, count

if TYPE_CHECKING:
    pass

DEFAULT_SCOPES = (
    "companyinformation settings bookkeeping customer invoice payment currency article inbox connectfile "
    "costcenter project profile order"
)


class Call(NamedTuple):
    """A request that reached the simulated Fortnox; status 0: the connection ended without an answer."""

    at: datetime
    company: int | None
    method: str
    path: str
    status: int
    query: str = ""


class _Limiter:
    """So many calls within a sliding window, per company."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self._lock = threading.Lock()
        self._moments: dict[int, deque[float]] = {}

    def admits(self, company: int, now_s: float) -> bool:
        if self.limit <= 0:
            return True
        with self._lock:
            moments = self._moments.setdefault(company, deque())
            while moments and moments[0] <= now_s - self.window_s:
                moments.popleft()
            if len(moments) >= self.limit:
                return False
            moments.append(now_s)
            return True


class FortnoxWorld(LateRequests):
    """State of the simulated Fortnox. Thread-safe: one lock round each request and each deed of a person.

    `call_limit` calls within `call_window_s` seconds per company, 0 for no limit; counted by `timer`, real
    seconds unless a test puts its own there. `switches` holds the uncertain habits.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        seed: int = 1,
        call_limit: int = 25,
        call_window_s: float = 5.0,
        app_name: str = "Kvitt",
        scopes: str = DEFAULT_SCOPES,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.app_name = app_name
        self.scopes = tuple(scopes.split())
        """What an activation from the marketplace asks for."""
        self.lock = threading.RLock()
        self.switches = Switches()
        self.faults = Faults()
        self.companies: dict[int, FortnoxCompany] = {}
        self.calls: list[Call] = []
        self.consent_events: list[dict[str, object]] = []
        self.consent_webhook_url: str | None = None
        """Where consents given and revoked are told; the body's shape is ours (the real one is not known)."""
        self.timer: Callable[[], float] = time.monotonic
        self.sleep: Callable[[float], None] = time.sleep
        self.limiter = _Limiter(call_limit, call_window_s)
        self.authority = Authority(
            clock,
            self.switches,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=redirect_uris,
            seed=seed,
            on_consent=self._tell_consent,
        )
        self.zombies: list[Zombie] = []
        self._refused = 0
        self._app: Flask | None = None
        self._next_database_number = 1_000_000 + seed * 1000 + 1

    # -- the world ------

    def today(self) -> date:
        """The date in Sweden by the world's clock."""
        return self.clock.now().astimezone(STOCKHOLM).date()

    def rate(self, currency: str, on: date) -> Decimal:
        """The rate of a date as this Fortnox quotes it: SEK for `unit(currency)` units."""
        rate = rates.rate_per_one(currency, on, self.seed)
        return rate * self.unit(currency)

    def unit(self, currency: str) -> int:
        """For how many units a currency is quoted: 1, or 100 where the switch says so."""
        return 100 if currency in self.switches.quoted_per_hundred else 1

    def add_company(
        self,
        name: str,
        organisation_number: str,
        *,
        method: str = "ACCRUAL",
        country: str = "SE",
        rounds_to_whole_krona: bool = False,
        licences: Iterable[str] = ALL_LICENCES,
        first_year: int | None = None,
        next_year: bool = False,
        currencies: Iterable[str] = (),
        inactive_accounts: Iterable[int] = (),
        missing_accounts: Iterable[int] = (),
        database_number: int | None = None,
    ) -> FortnoxCompany:
        """A company with a full chart in calendar years from `first_year` (last year if None) to this one.

        `next_year` opens the coming year as well; broken years: `company.add_financial_year` on a company whose
        `first_year` lies after this year.
        """
        with self.lock:
            number = database_number or self._next_database_number
            self._next_database_number = max(self._next_database_number, number) + 1
            company = FortnoxCompany(
                number,
                name,
                organisation_number,
                clock=self.clock,
                switches=self.switches,
                rate_of=self.rate,
                lock=self.lock,
                revoke=self.authority.revoke_consent,
                method=method,
                country=country,
                licences=licences,
            )
            company.settings.rounds_to_whole_krona = rounds_to_whole_krona
            this_year = self.today().year
            first = this_year - 1 if first_year is None else first_year
            for year in range(first, this_year + (2 if next_year else 1)):
                company.add_financial_year(date(year, 1, 1), date(year, 12, 31))
            for code in currencies:
                company.add_currency(code)
            for account in inactive_accounts:
                company.deactivate_account(account)
            for account in missing_accounts:
                company.remove_account(account)
            self.companies[number] = company
            return company

    def check(self) -> None:
        """Every company's books; raises BooksBroken."""
        with self.lock:
            for company in self.companies.values():
                company.check()

    # -- consents ------

    def give_consent(self, company: int, *, scopes: str | None = None, service: bool = True) -> str:
        """Consent without a browser, as if a person had clicked through; the authorisation code."""
        with self.lock:
            wanted = self.scopes if scopes is None else tuple(scopes.split())
            pending = PendingConsent(self.authority.redirect_uris[0], False, wanted, service, None)
            return self.authority.grant(pending, company)

    def access_token(self, company: int, *, scopes: str | None = None) -> str:
        """A fresh access token without the round trip, consent or none: for tests of the interface alone."""
        with self.lock:
            wanted = self.scopes if scopes is None else tuple(scopes.split())
            return self.authority.access_token(company, wanted)

    def _tell_consent(self, what: str, company: int) -> None:
        event: dict[str, object] = {
            "type": f"consent-{what}-v1",
            "tenantId": company,
            "clientId": self.authority.client_id,
            "timestamp": self.clock.now().isoformat(),
        }
        self.consent_events.append(event)
        if self.consent_webhook_url is not None:
            request = urllib.request.Request(  # noqa: S310 - the address is set by whoever runs the sandbox
                self.consent_webhook_url,
                data=json.dumps(event).encode(),
                headers={"Content-Type": "application/json"},
            )
            threading.Thread(target=_send, args=(request,), daemon=True).start()

    # -- calls ------

    def count_calls(self, company: int | None = None, method: str | None = None, path_prefix: str | None = None) -> int:
        """How many requests came in: of one company, of one method, to paths that begin so (`/3/invoices`)."""
        return count(list(self.calls), company, method, path_prefix)

    def reset_calls(self) -> None:
        """Begin to count anew."""
        self.calls.clear()

    def retry_after(self) -> int | None:
        """Seconds that the next 429 names in Retry-After, by the switch; None: it names none."""
        self._refused += 1
        match self.switches.retry_after:
            case "always":
                return 5
            case "never":
                return None
            case _:
                return 5 if self._refused % 2 == 1 else None

    # -- apps ------

    def app(self) -> Flask:
        """The WSGI app: /3/…, /oauth-v1/…, /marketplace, /api/fileattachments/…; one for all callers."""
        from addon.sandbox.fortnox.gate import build_app

        with self.lock:
            if self._app is None:
                self._app = build_app(self)
            return self._app

    def control_app(self) -> Flask:
        """The WSGI app that tests in another process steer the world with; never for the tested program."""
        from addon.sandbox.fortnox.control import build_control_app

        return build_control_app(self)


def _send(request: urllib.request.Request) -> None:
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            answer.read()
    except OSError:
        return  # the real one gives no promise either that a webhook arrives
