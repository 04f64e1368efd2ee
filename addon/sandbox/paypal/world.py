"""The simulated PayPal as a whole: its merchants, the apps and consents that open them, and who listens."""

from __future__ import annotations

import random
import re
import string
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from addon.sandbox.clock import Clock
from addon.sandbox.paypal.account import NotPossible, PayPalAccount
from addon.sandbox.paypal.model import (
    FEATURE_SCOPES,
    PARTNER,
    REFERRALS,
    WEBHOOKS,
    Consent,
    FeeRules,
    Listener,
    Referral,
    RestApp,
    Token,
)
from addon.sandbox.paypal.render import zulu
from addon.sandbox.paypal.shop import CURRENCIES, PayPalShop, SellingReport
from addon.sandbox.paypal.webhooks import PayPalCourier
from addon.sandbox.stripe.faults import Faults
from addon.sandbox.stripe.webhooks import Delivered, WebhookSwitches

if TYPE_CHECKING:
    from flask import Flask

TOKEN_LIFETIME = timedelta(seconds=32_400)
LIVE_APP = "APP-4KV77XSANDBOX001L"
TEST_APP = "APP-80W284485P519543T"
"""The application id that every app of PayPal's own test environment shares."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that arrived: what was asked, for whom, and the answer's status."""

    method: str
    path: str
    query: str
    account: str | None
    status: int
    at: int


@dataclass(frozen=True, slots=True)
class OpenedShop:
    """A merchant who has sold for a while: the account, the app whose credentials open it, and what was sold."""

    account: PayPalAccount
    app: RestApp
    shop: PayPalShop
    report: SellingReport

    def as_dict(self) -> dict[str, Any]:
        """For another process; `movements` is how many rows moved a balance."""
        return {
            "account": self.account.id,
            "name": self.account.name,
            "client_id": self.app.client_id,
            "secret": self.app.secret,
            "orders": [sold.number for sold in self.report.orders],
            "refunds": self.report.refunds,
            "disputes": self.report.disputes,
            "payouts": self.report.payouts,
            "oddities": self.report.oddities,
            "movements": sum(row.moves for row in self.account.rows),
            "currencies": sorted({row.currency for row in self.account.rows}),
        }


class PayPalWorld:
    """PayPal, played. One WSGI app answers for api-m.paypal.com and for the pages at www.paypal.com.

    Two ways into an account, as in the real one: the merchant's own REST app (client id and secret), and a
    partner's app with `PayPal-Auth-Assertion` after the merchant's consent. `largest_result` is how many rows one
    search may find, `token_lifetime` how long a token opens anything. `refuses_future`: whether a search that ends in
    the future is refused or, as PayPal's description can be read too, cut at its newest data.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        client_id: str = "sandbox_paypal_client",
        client_secret: str = "sandbox_not_real_paypal",  # noqa: S107
        webhook_id: str = "sandboxpaypalwebhook",
        seed: int = 1,
    ) -> None:
        self.clock = clock
        self.client_id = client_id
        self.client_secret = client_secret
        self.webhook_id = webhook_id
        self.seed = seed
        self.lock = threading.RLock()
        self.accounts: dict[str, PayPalAccount] = {}
        self.apps: dict[str, RestApp] = {}
        self.shops: dict[str, PayPalShop] = {}
        self.tokens: dict[str, Token] = {}
        self.referrals: dict[str, Referral] = {}
        self.consents: dict[str, Consent] = {}
        self.listeners: dict[str, Listener] = {}
        self.faults = Faults()
        self.calls: list[Call] = []
        self.largest_result = 10_000
        self.refuses_future = True
        self.token_lifetime = TOKEN_LIFETIME
        self.allowed_features = frozenset(FEATURE_SCOPES)
        self.courier = PayPalCourier(lambda: int(clock.now().timestamp()), seed)
        self._chance = random.Random(f"paypal/{seed}")
        self._app: Flask | None = None
        self.partner_id = f"KV{self.word(11).upper()}"

    def word(self, length: int) -> str:
        """Letters and digits out of the seeded generator."""
        return "".join(self._chance.choices(string.ascii_letters + string.digits, k=length))

    # --- accounts ------------------------------------------------------------------------------------------

    def add_account(
        self,
        name: str,
        *,
        country: str = "SE",
        primary: str = "SEK",
        balance_currencies: Iterable[str] = ("SEK", "EUR"),
        fees: FeeRules | None = None,
        live: bool = True,
    ) -> PayPalAccount:
        """Open an account for a merchant. `live=False`: it stands in PayPal's own test environment."""
        with self.lock:
            account = PayPalAccount(
                name,
                self.clock,
                country=country,
                primary=primary,
                balance_currencies=balance_currencies,
                fees=fees,
                live=live,
                seed=self.seed,
                tell=self._tell,
                lock=self.lock,
            )
            self.accounts[account.id] = account
            return account

    def open_shop(
        self,
        name: str,
        *,
        country: str = "SE",
        primary: str = "SEK",
        balance_currencies: Iterable[str] = ("SEK", "EUR"),
        currencies: Iterable[str] = CURRENCIES,
        until: datetime | None = None,
        days: int = 30,
        sales: int = 36,
        disputes: int = 3,
        oddities: bool = True,
        first_order_number: int = 50_001,
    ) -> OpenedShop:
        """A merchant with a month of sales behind it, in one call; in six currencies unless others are asked for.

        Thirty-six sales make a little more than a hundred movements: sales in each currency by turns, conversions of
        those that have no balance, refunds in whole and in part, disputes won, lost and won back, weekly withdrawals
        (one came back), a reserve, a fee, a pending payment that cleared, and with `oddities` a purchase that a person
        decides about. All of it lies before `until`, by default three hours ago, so that all of it can be read. The
        answer holds the client id and secret that are typed into Kvitt; a name that has an account already sells on.

        From another process: `POST /control/paypal/shops` with these arguments as JSON
        (`{"name": "Fjällbutiken AB", "sales": 36}`, a Danish one with `"country": "DK", "primary": "DKK",
        "balance_currencies": ["DKK", "EUR"]`), answered by `{"account", "client_id", "secret", "movements", …}`.
        """
        with self.lock:
            account = next((one for one in self.accounts.values() if one.name == name), None)
            if account is None:
                account = self.add_account(
                    name, country=country, primary=primary, balance_currencies=tuple(balance_currencies)
                )
            app = next((one for one in self.apps.values() if one.account == account.id), None) or self.add_app(account)
            sold_in = tuple(dict.fromkeys((account.primary, *currencies)))
            shop = self.shops.get(account.id) or PayPalShop(
                account, seed=self.seed, currencies=sold_in, first_order_number=first_order_number
            )
            self.shops[account.id] = shop
            report = shop.sell_month(
                until or self.clock.now() - account.lag,
                days=days,
                sales=sales,
                currencies=sold_in,
                disputes=disputes,
                everyday=True,
                oddities=oddities,
            )
            return OpenedShop(account, app, shop, report)

    def get_account(self, name_or_id: str) -> PayPalAccount:
        """An account by id or by name; NotPossible if there is none."""
        for account in self.accounts.values():
            if name_or_id in (account.id, account.name):
                return account
        raise NotPossible(f"there is no PayPal account {name_or_id}")

    def add_app(self, account: PayPalAccount, **features: bool) -> RestApp:
        """The merchant makes a REST app; `features` are the boxes that are ticked or not."""
        with self.lock:
            app = RestApp(f"A{self.word(39)}", f"E{self.word(39)}", account.id, **features)
            self.apps[app.client_id] = app
            return app

    def consent(self, account: PayPalAccount, *features: str, tracking_id: str = "") -> Consent:
        """The merchant grants the partner these features (by default all of them)."""
        granted = Consent(account.id, tracking_id, features or tuple(sorted(self.allowed_features)))
        self.consents[account.id] = granted
        return granted

    def revoke(self, account: PayPalAccount) -> bool:
        """The merchant takes the consent back, in the account's settings; the partner is told."""
        with self.lock:
            consent = self.consents.get(account.id)
            if consent is None:
                return False
            told = {"merchant_id": account.id, "tracking_id": consent.tracking_id}
            self._tell(account, "MERCHANT.PARTNER-CONSENT.REVOKED", told)
            del self.consents[account.id]
            return True

    # --- tokens --------------------------------------------------------------------------------------------

    def scopes_of(self, client_id: str, secret: str) -> frozenset[str] | None:
        """What a client's token would open; None for wrong credentials."""
        if (client_id, secret) == (self.client_id, self.client_secret):
            opened = {scope for feature in self.allowed_features for scope in FEATURE_SCOPES[feature]}
            return frozenset(opened | {"openid", REFERRALS, PARTNER, WEBHOOKS})
        app = self.apps.get(client_id)
        return app.scopes() if app is not None and not app.revoked and app.secret == secret else None

    def make_token(self, client_id: str, scopes: frozenset[str]) -> Token:
        """A fresh token with what its app may do at this moment."""
        token = Token(f"A21AA{self.word(60)}", client_id, scopes, self.clock.now())
        self.tokens[token.value] = token
        return token

    # --- webhooks ------------------------------------------------------------------------------------------

    @property
    def webhook_switches(self) -> WebhookSwitches:
        """What goes wrong with webhooks."""
        return self.courier.switches

    def register_partner_webhook(self, url: str, events: Iterable[str] = ("*",)) -> Listener:
        """The partner's webhook as its owner set it up in the dashboard."""
        return self.register_webhook(url, self.client_id, events, self.webhook_id)

    def register_webhook(
        self, url: str, client_id: str, events: Iterable[str] = ("*",), webhook_id: str = ""
    ) -> Listener:
        """A webhook of an app."""
        listener = Listener(webhook_id or f"{self.word(17).upper()}", url, client_id, tuple(events))
        self.listeners[listener.id] = listener
        return listener

    def _tell(self, account: PayPalAccount, name: str, resource: dict[str, Any]) -> None:
        event_id = f"WH-{self.word(17).upper()}-{self.word(17).upper()}"
        for listener in self.listeners.values():
            app = self.apps.get(listener.client_id)
            theirs = app.account == account.id if app is not None else account.id in self.consents
            if theirs and listener.wants(name):
                payload = {
                    "id": event_id,
                    "event_version": "1.0",
                    "create_time": zulu(self.clock.now()),
                    "resource_type": name.split(".")[1].lower() if "." in name else "",
                    "event_type": name,
                    "summary": f"{name} for {account.name}",
                    "resource": resource,
                    "links": [],
                }
                self.courier.enqueue(event_id, name, listener.url, listener.id, payload)

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
        from addon.sandbox.paypal.api import make_app

        if self._app is None:
            self._app = make_app(self)
        return self._app

    def control_app(self) -> Flask:
        """The switches as a WSGI app, for another process."""
        from addon.sandbox.paypal.control import make_control_app

        return make_control_app(self)

    def describe(self) -> list[dict[str, Any]]:
        """The accounts in short: id, name, whether connected, rows, balances."""
        with self.lock:
            return [
                {
                    "id": account.id,
                    "name": account.name,
                    "country": account.country,
                    "primary": account.primary,
                    "live": account.live,
                    "connected": account.id in self.consents,
                    "apps": [app.client_id for app in self.apps.values() if app.account == account.id],
                    "rows": len(account.rows),
                    "balances": {
                        currency: {"available": available, "withheld": withheld}
                        for currency, (available, withheld) in account.balances().items()
                    },
                }
                for account in self.accounts.values()
            ]
