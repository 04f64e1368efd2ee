"""A Swedish company's books and settings for tests of the core: BAS accounts, two years, a handful of currencies."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from addon.core.accounts import AccountMap
from addon.core.books import Books, BooksCurrency, ChartAccount, Identity, OrderField, Series
from addon.core.dates import FinancialYear
from addon.core.fixings import CurrencyRules, RateChoice
from addon.core.money import ExchangeRate, Money
from addon.core.rules import FeeVat, LockedRule, Mode, Policy
from addon.core.vat import VatRules
from addon.services.vat_rates import rate_table

STOCKHOLM = ZoneInfo("Europe/Stockholm")

NUMBERS: Mapping[str, str] = {
    "customer_claims": "1510",
    "clearing:SEK": "1686",
    "clearing:EUR": "1687",
    "clearing:USD": "1688",
    "clearing:VND": "1689",
    "bank:SEK": "1930",
    "bank:EUR": "1980",
    "bank:USD": "1981",
    "bank:VND": "1982",
    "sales:SE25": "3001",
    "sales:SE12": "3002",
    "sales:SE6": "3003",
    "sales:SE0": "3004",
    "sales:EXPORT": "3105",
    "sales:EXPORT-SERVICES": "3305",
    "sales:EU-GOODS": "3108",
    "sales:EU-SERVICES": "3308",
    "sales:OSS-DE19": "3111",
    "sales:OSS-DE7": "3112",
    "sales:OSS-FI25.5": "3113",
    "output_vat:OSS-FI25.5": "2673",
    "output_vat:OSS-DE19": "2672",
    "fee": "6570",
    "fee_basis": "4535",
    "fee_basis:NON_EU": "4531",
    "fee_basis_contra": "4598",
    "fee_input_vat": "2645",
    "fee_output_vat": "2614",
    "output_vat:SE25": "2611",
    "output_vat:SE12": "2621",
    "output_vat:SE6": "2631",
    "fee_domestic_vat": "2641",
    "disputes": "1516",
    "dispute_loss": "6351",
    "bounced_payments": "1515",
    "returned_refunds": "2420",
    "transit": "1935",
    "fee_tax": "6998",
    "foreign_fee": "6050",
    "reserve:SEK": "1699",
    "reserve:EUR": "1698",
    "rounding": "3740",
    "exchange_gain": "3960",
    "exchange_loss": "7960",
}

VAT_ACCOUNTS: Mapping[str, str] = {"3111": "2672", "3112": "2672"}
"""Output VAT by sales account, where the account's VAT code says so: OSS."""

VAT_NUMBERS: Mapping[int, str] = {25: "2611", 12: "2621", 6: "2631"}
"""Output VAT: the accounting system's own choice, by the rate of an invoice's row."""

NAMES: Mapping[str, str] = {
    "1510": "customer claims",
    "1580": "claims on the till's sales",
    "1515": "claims on bounced payments",
    "1516": "disputes",
    "1686": "clearing SEK",
    "1687": "clearing EUR",
    "1688": "clearing USD",
    "1689": "clearing VND",
    "1698": "held back EUR",
    "1699": "held back SEK",
    "1930": "bank SEK",
    "1935": "transit",
    "1980": "bank EUR",
    "1981": "bank USD",
    "1982": "bank VND",
    "2421": "gift cards not used yet",
    "2350": "loans",
    "2420": "owed to buyers",
    "2611": "output VAT 25 %",
    "2614": "output VAT, reverse charge",
    "2621": "output VAT 12 %",
    "2631": "output VAT 6 %",
    "2641": "input VAT",
    "2645": "calculated input VAT",
    "2672": "VAT of Germany (OSS)",
    "2673": "VAT of Finland (OSS)",
    "3001": "sales 25 %",
    "3002": "sales 12 %",
    "3003": "sales 6 %",
    "3004": "sales without VAT",
    "3011": "sales at the market stall",
    "3105": "sales outside the EU",
    "3108": "goods to EU businesses",
    "3111": "OSS Germany 19 %",
    "3112": "OSS Germany 7 %",
    "3113": "OSS Finland 25.5 %",
    "3305": "services outside the EU",
    "3308": "services to EU businesses",
    "3740": "rounding",
    "3910": "platform income",
    "3960": "exchange gain",
    "4531": "services from outside the EU",
    "4535": "services from the EU",
    "4598": "counterpart of the basis",
    "4990": "transfers",
    "6050": "other companies' fees",
    "6351": "losses from disputes",
    "6570": "fees",
    "6993": "donations",
    "6980": "contributions",
    "6990": "adjustments",
    "6998": "tax on fees",
    "7960": "exchange loss",
}

YEARS = (
    FinancialYear("1", date(2025, 1, 1), date(2025, 12, 31), accrual=True),
    FinancialYear("2", date(2026, 1, 1), date(2026, 12, 31), accrual=True),
)

CURRENCIES = ("EUR", "USD", "NOK", "DKK", "GBP", "JPY", "KWD", "ISK", "VND")


OFFICIAL = CurrencyRules(RateChoice.RIKSBANK, date(2000, 1, 1), date(2100, 1, 1))
"""A bank's fixings hold, and all that it has published is known."""


def fixing(currency: str, on: date, rate: str, unit: int = 1, source: str = "accounting system") -> ExchangeRate:
    """What `unit` of a currency costs in SEK."""
    return ExchangeRate(currency, "SEK", Decimal(rate), unit, on, source)


def sample_books(
    years: Iterable[FinancialYear] = YEARS, inactive: Iterable[str] = (), without: Iterable[str] = ()
) -> Books:
    """Books in which everything that the account map names is there and active."""
    years, inactive, without = tuple(years), set(inactive), set(without)
    return Books(
        identity=Identity("1234567", "Lampor & Ljus AB", "556677-8899"),
        years=years,
        accounts=tuple(
            ChartAccount(
                number, name, number not in inactive, year.ref, vat_code="OSS" if number in VAT_ACCOUNTS else ""
            )
            for year in years
            for number, name in NAMES.items()
            if number not in without
        ),
        series=tuple(Series("K", "Kvitt", manual=True, year_ref=year.ref) for year in years),
        invoice_series="B",
        payment_series="C",
        predefined=(("customer_claims", "1510"), ("rounding", "3740")),
        payment_modes=(("ST", "1686"),),
        currencies=tuple(BooksCurrency(code, None, automatic=True) for code in CURRENCIES if code not in without),
        locked_through=None,
    )


def sample_policy(**changes: Any) -> Policy:
    """Plus, automatic, in Sweden; change what a test is about."""
    policy = Policy(
        provider="stripe",
        provider_name="Stripe",
        account_ref="acct_1",
        mode=Mode.PLUS,
        books_currency="SEK",
        zone=STOCKHOLM,
        today=date(2026, 3, 31),
        accounts=AccountMap(dict(NUMBERS)),
        books=sample_books(),
        decimals=2,
        default_vat_percent=25,
        export_without_vat=True,
        fee_vat=FeeVat.EXEMPT,
        locked_rule=LockedRule.HOLD,
        collective_customers=False,
        invoice_text="",
        order_places=("metadata.order_id", "description"),
        order_fields=(OrderField.ORDER_NUMBER,),
        wait_days=14,
        tolerance_minor=0,
        rounds_to_whole=False,
        rates=(),
        vat=VatRules(rates=rate_table()),
        currency_rules=OFFICIAL,
    )
    return replace(policy, **changes)


def local(day: date, at: time = time(12, 0), zone: ZoneInfo = STOCKHOLM) -> datetime:
    """An instant by the company's clock, as aware UTC."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def money(text: str) -> Money:
    """`money("12.50 SEK")`."""
    amount, currency = text.split()
    return Money.from_decimal(Decimal(amount), currency)
