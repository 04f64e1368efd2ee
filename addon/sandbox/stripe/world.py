"""The simulated Stripe as a whole: its merchants, the keys that open them, and who listens."""

from __future__ import annotations

import random
import re
import string
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from addon.sandbox.clock import Clock
from addon.sandbox.stripe.account import NotPossible, StripeAccount
from addon.sandbox.stripe.collection import Collection
from addon.sandbox.stripe.faults import Faults
from addon.sandbox.stripe.model import Event, FeeRules, WebhookEndpoint
from addon.sandbox.stripe.render import API_VERSION, render_event
from addon.sandbox.stripe.webhooks import Courier, Delivered, WebhookSwitches

if TYPE_CHECKING:
    from flask import Flask

CODE_LIFETIME_S = 300
APP_TOKEN_LIFETIME_S = 3600
APP_REFRESH_LIFETIME_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Call:
    """One call that arrived: what was asked, for whom, and the answer's status."""

    method: str
    path: str
    query: str
    account: str | None
    status: int
    at: int


@dataclass(slots=True)
class Code:
    """An authorisation code, good once and for five minutes."""

    code: str
    account: str
    redirect_uri: str
    scope: str
    made: int
    used: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """An account connected over Connect: the platform's key with a Stripe-Account header opens it."""

    account: str
    scope: str
    access_token: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class AppToken:
    """What a Stripe App holds for an account: a token of an hour and a refresh token that rolls."""

    account: str
    access_token: str
    refresh_token: str
    made: int


class StripeWorld:
    """Stripe, played. One WSGI app answers for api.stripe.com, connect.stripe.com and the app marketplace.

    Three ways into an account, as in the real one: the platform's key with `Stripe-Account` after Connect
    OAuth, a Stripe App's access token (one hour, rolling refresh token), or a restricted key the merchant
    made. `extension` lets Connect grant the scope `read_only`, which ordinary platforms are refused.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        client_id: str = "ca_sandbox_kvitt",
        secret_key: str = "sk_live_sandbox_platform_not_real",  # noqa: S107
        webhook_secret: str = "whsec_sandbox_not_real",  # noqa: S107
        app_client_id: str = "ca_sandbox_kvitt_app",
        app_secret_key: str = "sk_live_sandbox_app_developer_not_real",  # noqa: S107
        redirect_uris: Iterable[str] = ("http://127.0.0.1:8000/oauth/stripe/callback",),
        extension: bool = False,
        seed: int = 1,
    ) -> None:
        self.clock = clock
        self.client_id = client_id
        self.secret_key = secret_key
        self.webhook_secret = webhook_secret
        self.app_client_id = app_client_id
        self.app_secret_key = app_secret_key
        self.redirect_uris = tuple(redirect_uris)
        self.extension = extension
        self.seed = seed
        self.lock = threading.RLock()
        self.accounts: dict[str, StripeAccount] = {}
        self.faults = Faults()
        self.calls: list[Call] = []
        self.courier = Courier(lambda: int(clock.now().timestamp()), seed)
        self.codes: dict[str, Code] = {}
        self.connections: dict[str, Connection] = {}
        self.app_tokens: dict[str, AppToken] = {}
        self.endpoints: Collection[WebhookEndpoint] = Collection()
        self.removed_endpoints: set[str] = set()
        self._chance = random.Random(f"stripe/{seed}")
        self._app: Flask | None = None
        self.platform = StripeAccount(
            f"acct_1{self.token(15)}",
            "Kvitt (sandbox platform)",
            clock,
            seed=seed,
            email="platform@example.com",
        )

    # --- accounts ------------------------------------------------------------------------------------------

    def token(self, length: int) -> str:
        """Letters and digits out of the seeded generator."""
        return "".join(self._chance.choices(string.ascii_letters + string.digits, k=length))

    def add_account(
        self,
        name: str,
        *,
        country: str = "SE",
        default_currency: str = "sek",
        balance_currencies: Iterable[str] = ("sek", "eur"),
        schedule_delay_days: int = 2,
        fees: FeeRules | None = None,
        email: str | None = None,
        livemode: bool = True,
    ) -> StripeAccount:
        """Open an account for a merchant. `livemode=False` makes a test-mode twin, whose objects say so."""
        with self.lock:
            account = StripeAccount(
                f"acct_1{self.token(15)}",
                name,
                self.clock,
                country=country,
                default_currency=default_currency,
                balance_currencies=balance_currencies,
                schedule_delay_days=schedule_delay_days,
                fees=fees,
                email=email,
                livemode=livemode,
                seed=self.seed,
                on_event=self._tell,
                lock=self.lock,
            )
            self.accounts[account.id] = account
            return account

    def get_account(self, name_or_id: str) -> StripeAccount:
        """An account by id or by name; NotPossible if there is none."""
        for account in self.accounts.values():
            if name_or_id in (account.id, account.name):
                return account
        raise NotPossible(f"there is no Stripe account {name_or_id}")

    def catch_up(self) -> None:
        """Let the time that has passed happen to every account: payout runs, arrivals."""
        with self.lock:
            for account in self.accounts.values():
                account.catch_up()

    # --- connections ---------------------------------------------------------------------------------------

    def now_seconds(self) -> int:
        """The world's clock in Unix seconds."""
        return int(self.clock.now().timestamp())

    def connect(self, account: StripeAccount, scope: str = "read_write") -> Connection:
        """Connect an account to the platform, as the consent page does."""
        mode = "live" if account.livemode else "test"
        connection = Connection(account.id, scope, f"sk_{mode}_{self.token(24)}", f"rt_{self.token(32)}")
        self.connections[account.id] = connection
        return connection

    def disconnect(self, account: StripeAccount) -> bool:
        """End a connection, by the platform or by the merchant in the dashboard; the platform is told."""
        with self.lock:
            if account.id not in self.connections:
                return False
            event = account.events.add(
                Event(
                    f"evt_1{self.token(20)}",
                    self.now_seconds(),
                    "account.application.deauthorized",
                    self.client_id,
                    {"id": self.client_id, "object": "application", "name": "Kvitt (sandbox)"},
                )
            )
            self._tell(account, event)
            del self.connections[account.id]
            return True

    def uninstall_app(self, account: StripeAccount) -> None:
        """The merchant removes the Stripe App: its tokens answer 401 from now on."""
        with self.lock:
            self.app_tokens = {token: held for token, held in self.app_tokens.items() if held.account != account.id}

    def grant_app_token(self, account: StripeAccount) -> AppToken:
        """A fresh pair for a Stripe App; the pair before it is dead."""
        self.uninstall_app(account)
        mode = "live" if account.livemode else "test"
        token = AppToken(account.id, f"rk_{mode}_app_{self.token(24)}", f"rt_{self.token(32)}", self.now_seconds())
        self.app_tokens[token.access_token] = token
        return token

    # --- webhooks ------------------------------------------------------------------------------------------

    @property
    def webhook_switches(self) -> WebhookSwitches:
        """What goes wrong with webhooks."""
        return self.courier.switches

    def register_platform_webhook(
        self, url: str, *, enabled_events: Iterable[str] = ("*",), secret: str | None = None
    ) -> WebhookEndpoint:
        """The platform's Connect endpoint as its owner set it up in the dashboard."""
        endpoint = WebhookEndpoint(
            f"we_1{self.token(20)}",
            self.now_seconds(),
            url,
            secret or self.webhook_secret,
            tuple(enabled_events),
            self.platform.id,
            connect=True,
            api_version=API_VERSION,
        )
        return self.endpoints.add(endpoint)

    def _tell(self, account: StripeAccount, event: Event) -> None:
        """Put an event on its way to everybody who subscribed, as its object looks at this moment."""
        connected = account.id in self.connections or any(
            held.account == account.id for held in self.app_tokens.values()
        )
        listeners = [
            endpoint
            for endpoint in self.endpoints
            if endpoint.id not in self.removed_endpoints
            and endpoint.wants(event.type)
            and (endpoint.account == account.id or (endpoint.connect and connected))
        ]
        if not listeners:
            return
        for endpoint in listeners:
            payload = render_event(
                account,
                event,
                endpoint.api_version or API_VERSION,
                pending_webhooks=len(listeners),
                connect=endpoint.connect,
            )
            event.snapshot = payload["data"]["object"]
            self.courier.enqueue(event.id, event.type, endpoint.url, endpoint.secret, payload)

    def deliver_webhooks(self) -> list[Delivered]:
        """Deliver everything that waits, now, and tell what came of it."""
        return self.courier.deliver()

    # --- calls ---------------------------------------------------------------------------------------------

    def count_calls(self, match: str = ".*") -> int:
        """How many calls arrived whose `METHOD path` matches a regular expression."""
        pattern = re.compile(match)
        return sum(1 for call in self.calls if pattern.search(f"{call.method} {call.path}"))

    def app(self) -> Flask:
        """The WSGI app that answers; the same one each time."""
        from addon.sandbox.stripe.api import make_app

        if self._app is None:
            self._app = make_app(self)
        return self._app

    def control_app(self) -> Flask:
        """The switches as a WSGI app, for another process."""
        from addon.sandbox.stripe.control import make_control_app

        return make_control_app(self)

    def describe(self) -> list[dict[str, Any]]:
        """The accounts in short, for lists: id, name, mode, whether connected, balances."""
        with self.lock:
            return [
                {
                    "id": account.id,
                    "name": account.name,
                    "country": account.country,
                    "default_currency": account.default_currency,
                    "livemode": account.livemode,
                    "connected": account.id in self.connections,
                    "charges": len(account.charges),
                    "balances": {
                        currency: {"available": available, "pending": pending}
                        for currency, (available, pending) in account.balances().items()
                    },
                }
                for account in self.accounts.values()
            ]
