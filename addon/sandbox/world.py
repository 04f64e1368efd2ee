"""The outside world as a whole: one clock, the simulated companies around Kvitt, and who owns what in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from flask import Flask

from addon.sandbox.clock import Clock
from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld
from addon.sandbox.paypal import PayPalAccount, PayPalShop, PayPalWorld
from addon.sandbox.rates import RatesWorld
from addon.sandbox.shop import DESIGN_GOODS, FELL_GOODS, ODDITIES, TEN_CURRENCIES, Product, Shop, make_shop_app
from addon.sandbox.stripe import StripeAccount, StripeWorld
from addon.sandbox.vies import ViesWorld

FORTNOX_CLIENT_ID = "sandboxFortnoxClientId"
FORTNOX_CLIENT_SECRET = "sandbox-fortnox-secret-not-real"
STRIPE_CLIENT_ID = "ca_sandbox_kvitt"
STRIPE_SECRET_KEY = "sk_live_sandbox_platform_not_real"
STRIPE_WEBHOOK_SECRET = "whsec_sandbox_not_real"
ECONOMIC_APP_SECRET_TOKEN = "sandbox-economic-secret-not-real"
ECONOMIC_APP_PUBLIC_TOKEN = "sandboxEconomicPublicToken"
STRIPE_APP_CLIENT_ID = "ca_sandbox_kvitt_app"
STRIPE_APP_SECRET_KEY = "sk_live_sandbox_app_developer_not_real"
PAYPAL_CLIENT_ID = "sandbox_paypal_client"
PAYPAL_CLIENT_SECRET = "sandbox_not_real_paypal"
PAYPAL_WEBHOOK_ID = "sandbox_paypal_webhook"


OTHER_PAIRS = (
    ("Lyktan i Lund AB", "559034-5678", "fortnox", "paypal"),
    ("Havblik ApS", "12345674", "economic", "stripe"),
    ("Kornblomst ApS", "23456786", "economic", "paypal"),
)
"""Name, number, accounting system and payment provider of the demo's further companies."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the parts of a served world answer, without a slash at the end."""

    fortnox: str
    stripe: str
    shop: str
    control: str
    rates: str = ""
    """The banks that publish exchange rates; empty where they are not served."""
    vies: str = ""
    """The EU's register of VAT numbers; empty where it is not served."""
    paypal: str = ""
    """PayPal's pages and API; empty where they are not served."""
    economic: str = ""
    """The other accounting system's pages and both its hosts; empty where they are not served."""

    def as_dict(self) -> dict[str, str]:
        """By name, for JSON."""
        return {
            "fortnox": self.fortnox,
            "stripe": self.stripe,
            "shop": self.shop,
            "control": self.control,
            "rates": self.rates,
            "vies": self.vies,
            "paypal": self.paypal,
            "economic": self.economic,
        }


@dataclass(frozen=True, slots=True)
class Business:
    """A company with its books, its account at Stripe and its shop."""

    name: str
    fortnox: FortnoxCompany
    stripe: StripeAccount
    shop: Shop


@dataclass(frozen=True, slots=True)
class Trader:
    """A company with its books at one accounting system and its account at one provider, whichever they are."""

    name: str
    books: FortnoxCompany | EconomicAgreement
    account: StripeAccount | PayPalAccount
    shop: Shop | PayPalShop


@dataclass(slots=True)
class World:
    """Everything outside Kvitt. Deterministic for a seed and a stopped clock."""

    clock: Clock
    fortnox: FortnoxWorld
    stripe: StripeWorld
    seed: int
    kvitt_public_url: str
    rates: RatesWorld
    vies: ViesWorld
    paypal: PayPalWorld
    economic: EconomicWorld
    businesses: list[Business] = field(default_factory=list)
    traders: list[Trader] = field(default_factory=list)
    """Companies with other pairs than Fortnox and Stripe."""
    urls: Urls | None = None

    @classmethod
    def build(
        cls,
        *,
        seed: int = 1,
        kvitt_public_url: str = "http://127.0.0.1:8000",
        stopped_at: datetime | None = None,
        fortnox_call_limit: int = 25,
        fortnox_call_window_s: float = 5.0,
        webhooks: bool = True,
    ) -> World:
        """A world without companies. `stopped_at` stops the clock; `webhooks` registers Kvitt's address at Stripe."""
        kvitt = kvitt_public_url.rstrip("/")
        clock = Clock(stopped_at)
        fortnox = FortnoxWorld(
            clock,
            client_id=FORTNOX_CLIENT_ID,
            client_secret=FORTNOX_CLIENT_SECRET,
            redirect_uris=[f"{kvitt}/oauth/fortnox/callback"],
            seed=seed,
            call_limit=fortnox_call_limit,
            call_window_s=fortnox_call_window_s,
        )
        stripe = StripeWorld(
            clock,
            client_id=STRIPE_CLIENT_ID,
            secret_key=STRIPE_SECRET_KEY,
            webhook_secret=STRIPE_WEBHOOK_SECRET,
            app_client_id=STRIPE_APP_CLIENT_ID,
            app_secret_key=STRIPE_APP_SECRET_KEY,
            redirect_uris=[f"{kvitt}/oauth/stripe/callback"],
            seed=seed,
        )
        paypal = PayPalWorld(
            clock,
            client_id=PAYPAL_CLIENT_ID,
            client_secret=PAYPAL_CLIENT_SECRET,
            webhook_id=PAYPAL_WEBHOOK_ID,
            seed=seed,
        )
        if webhooks:
            stripe.register_platform_webhook(f"{kvitt}/webhooks/stripe")
            paypal.register_partner_webhook(f"{kvitt}/webhooks/paypal")
        economic = EconomicWorld(
            clock,
            app_secret=ECONOMIC_APP_SECRET_TOKEN,
            app_public=ECONOMIC_APP_PUBLIC_TOKEN,
            registered_hosts=[urlsplit(kvitt).hostname or ""],
            seed=seed,
        )
        economic.deliver_events = webhooks
        return cls(clock, fortnox, stripe, seed, kvitt, RatesWorld(clock, seed), ViesWorld(clock), paypal, economic)

    def add_business(
        self,
        name: str,
        organisation_number: str,
        *,
        balance_currencies: Iterable[str] = ("sek", "eur"),
        currencies: tuple[str, ...] = TEN_CURRENCIES,
        products: tuple[Product, ...] = FELL_GOODS,
        first_order_number: int = 10234,
        other_plugin: bool = False,
        method: str = "ACCRUAL",
        inactive_accounts: Iterable[int] = (),
        fortnox_currencies: Iterable[str] = (),
    ) -> Business:
        """A company with books, a Stripe account and a shop; `other_plugin` makes its shop invoice by itself."""
        books = self.fortnox.add_company(
            name,
            organisation_number,
            method=method,
            inactive_accounts=inactive_accounts,
            currencies=fortnox_currencies,
        )
        account = self.stripe.add_account(name, balance_currencies=tuple(balance_currencies))
        shop = Shop(
            account,
            books,
            self.seed,
            products=products,
            first_order_number=first_order_number,
            currencies=currencies,
            other_plugin=other_plugin,
        )
        business = Business(name, books, account, shop)
        self.businesses.append(business)
        return business

    def add_trader(self, name: str, number: str, *, books: str, payments: str) -> Trader:
        """A company with another pair: a Swedish one in Fortnox, a Danish one in e-conomic; it has sold nothing."""
        danish = books == "economic"
        home, country = ("DKK", "DK") if danish else ("SEK", "SE")
        currencies = (home, "EUR", "NOK", "USD", "GBP", "SEK" if danish else "DKK")
        found: FortnoxCompany | EconomicAgreement
        if danish:
            found = self.economic.add_agreement(name, number, currencies=currencies[1:])
        else:
            found = self.fortnox.add_company(name, number)
        trader: Trader
        if payments == "paypal":
            wallet = self.paypal.add_account(name, country=country, primary=home, balance_currencies=(home, "EUR"))
            shop = PayPalShop(wallet, seed=self.seed, currencies=currencies)
            trader = Trader(name, found, wallet, shop)
        else:
            lower = tuple(currency.lower() for currency in currencies)
            account = self.stripe.add_account(
                name, country=country, default_currency=lower[0], balance_currencies=lower[:2]
            )
            trader = Trader(name, found, account, Shop(account, None, self.seed, name=name, currencies=lower))
        self.traders.append(trader)
        return trader

    def get_business(self, name_or_slug: str) -> Business:
        """A company by name or by its shop's short name; KeyError if there is none."""
        for business in self.businesses:
            if name_or_slug in (business.name, business.shop.slug):
                return business
        raise KeyError(name_or_slug)

    def shop_app(self) -> Flask:
        """The shops' pages."""
        shops = [business.shop for business in self.businesses]
        return make_shop_app(shops + [trader.shop for trader in self.traders if isinstance(trader.shop, Shop)])

    def environment(self, urls: Urls | None = None) -> dict[str, str]:
        """The environment variables that aim a Kvitt at this world; `urls` where it is not served by itself."""
        where = urls or self.urls
        if where is None:
            raise ValueError("the world has no addresses yet: serve it first, or say which")
        return {
            "FORTNOX_CLIENT_ID": FORTNOX_CLIENT_ID,
            "FORTNOX_CLIENT_SECRET": FORTNOX_CLIENT_SECRET,
            "FORTNOX_AUTH_URL": f"{where.fortnox}/oauth-v1",
            "FORTNOX_API_URL": f"{where.fortnox}/3",
            "STRIPE_CLIENT_ID": STRIPE_CLIENT_ID,
            "STRIPE_SECRET_KEY": STRIPE_SECRET_KEY,
            "STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
            "STRIPE_APP_CLIENT_ID": STRIPE_APP_CLIENT_ID,
            "STRIPE_APP_SECRET_KEY": STRIPE_APP_SECRET_KEY,
            "STRIPE_CONNECT_URL": where.stripe,
            "STRIPE_API_URL": where.stripe,
            **({f"{bank}_URL": where.rates for bank in ("RIKSBANK", "NATIONALBANK", "ECB")} if where.rates else {}),
            **({"VIES_URL": f"{where.vies}/rest-api"} if where.vies else {}),
            **(_economic_environment(where.economic) if where.economic else {}),
            **(_paypal_environment(where.paypal) if where.paypal else {}),
        }

    def catch_up(self) -> None:
        """Let the time that has passed happen: payout runs, arrivals, late requests."""
        self.stripe.catch_up()
        self.fortnox.run_zombies(only_due=True)
        self.economic.run_zombies(only_due=True)


def _economic_environment(url: str) -> dict[str, str]:
    """The variables that aim a Kvitt at a simulated e-conomic."""
    return {
        "ECONOMIC_APP_SECRET_TOKEN": ECONOMIC_APP_SECRET_TOKEN,
        "ECONOMIC_APP_PUBLIC_TOKEN": ECONOMIC_APP_PUBLIC_TOKEN,
        "ECONOMIC_INSTALL_URL": f"{url}/secure/api1/requestaccess.aspx",
        "ECONOMIC_REST_URL": f"{url}/rest",
        "ECONOMIC_API_URL": f"{url}/apis",
    }


def _paypal_environment(url: str) -> dict[str, str]:
    return {
        "PAYPAL_CLIENT_ID": PAYPAL_CLIENT_ID,
        "PAYPAL_CLIENT_SECRET": PAYPAL_CLIENT_SECRET,
        "PAYPAL_WEBHOOK_ID": PAYPAL_WEBHOOK_ID,
        "PAYPAL_WEB_URL": url,
        "PAYPAL_API_URL": url,
    }


def demo_world(
    *,
    seed: int = 1,
    kvitt_public_url: str = "http://127.0.0.1:8000",
    sales: int = 300,
    stopped_at: datetime | None = None,
    fortnox_call_limit: int = 25,
    oddities: bool = True,
    inactive_accounts: Iterable[int] = (),
    pairs: bool = False,
) -> World:
    """Two companies that have sold for a month.

    Fjällbutiken AB sells abroad in a dozen currencies and has no invoices yet (a case for Plus; balances in SEK
    and EUR). Norrsken Design AB sells in SEK and has its invoices in the books already (a case for Basic), a
    third as many. `oddities` adds what needs a person: a failed payout, a dispute, an unknown kind of row,
    and in Basic the orders that do not match. `pairs` adds a company for each other pair of accounting system and
    payment provider, which has sold a fifth as much.
    """
    world = World.build(
        seed=seed,
        kvitt_public_url=kvitt_public_url,
        stopped_at=stopped_at,
        fortnox_call_limit=fortnox_call_limit,
    )
    plus = world.add_business(
        "Fjällbutiken AB", "556677-8899", balance_currencies=("sek", "eur"), inactive_accounts=inactive_accounts
    )
    basic = world.add_business(
        "Norrsken Design AB",
        "559012-3456",
        balance_currencies=("sek",),
        currencies=("sek",),
        products=DESIGN_GOODS,
        first_order_number=1001,
        other_plugin=True,
    )
    plus.shop.sell_month(sales=sales, disputes=int(oddities), failed_payout=oddities, unknown_kind=oddities)
    basic.shop.sell_for_basic(sales=max(sales // 3, 10), oddities=ODDITIES if oddities else ())
    for name, number, books, payments in OTHER_PAIRS if pairs else ():
        trader = world.add_trader(name, number, books=books, payments=payments)
        trader.shop.sell_month(sales=max(sales // 5, 8))
    return world
