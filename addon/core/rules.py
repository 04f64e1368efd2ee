"""What a company has decided about its bookkeeping, as the planner is given it, and the rules that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from addon.core.accounts import AccountMap
from addon.core.books import Books, OrderField
from addon.core.documents import CustomerVat
from addon.core.fee_vat import USUAL_FEES, FeeRules
from addon.core.fee_vat import FeeVat as FeeVat
from addon.core.fixings import ACCOUNTING_RATES, OLDEST_FIXING_DAYS, CurrencyRules, last_before
from addon.core.kinds import DEFAULT_KIND_RULES, KindRules
from addon.core.matching import USUAL_MATCHING, MatchRules
from addon.core.money import ExchangeRate
from addon.core.records import Buyer
from addon.core.routing import Rule
from addon.core.saleform import USUAL_FORM, SaleForm
from addon.core.settlement import USUAL_STYLE, SettlementStyle
from addon.core.vat import EU_VAT_TERRITORY, VatRules


class Mode(StrEnum):
    """How a connection's sales come into the books."""

    BASIC = "basic"
    """Payments are registered on the invoices that are there, found by order number."""
    PLUS = "plus"
    """Each sale becomes a customer invoice with its payment."""
    SETTLEMENT = "settlement"
    """Sales become rows of a voucher for each payout and month of sale."""


class LockedRule(StrEnum):
    """What happens to a document that falls into a locked period."""

    HOLD = "hold"
    NEXT_OPEN_DAY = "next_open_day"
    """It is booked on the first day that is open, and its text says so."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All that a plan depends on besides the records: one connection's settings over its company's books.

    `accounts` holds the company's and the connection's numbers together (`clearing:EUR`, `sales:SE25`).
    `decimals` is how fine the accounting system's document amounts are; `tolerance_minor` counts smallest
    units of the books' currency; `rates` are the known fixings to it; `today` is the company's own date.
    """

    provider: str
    provider_name: str
    account_ref: str
    mode: Mode
    books_currency: str
    zone: ZoneInfo
    today: date
    accounts: AccountMap
    books: Books
    decimals: int
    default_vat_percent: int
    export_without_vat: bool
    fee_vat: FeeVat
    locked_rule: LockedRule
    collective_customers: bool
    invoice_text: str
    order_places: tuple[str, ...]
    order_fields: tuple[OrderField, ...]
    wait_days: int
    tolerance_minor: int
    rounds_to_whole: bool
    rates: tuple[ExchangeRate, ...]
    rules: tuple[Rule, ...] = ()
    """The company's own exceptions, in order: the first that fits decides."""
    form: SaleForm = USUAL_FORM
    settlement: SettlementStyle = USUAL_STYLE
    currency_rules: CurrencyRules = ACCOUNTING_RATES
    fee_rules: FeeRules = USUAL_FEES
    vat: VatRules = field(default_factory=VatRules)
    """What is decided about the VAT of sales, with the rates by date."""
    matching: MatchRules = USUAL_MATCHING
    kind_rules: KindRules = DEFAULT_KIND_RULES


@dataclass(frozen=True, slots=True)
class VatDecision:
    """The VAT of a sale: rate in whole percent, `treatment` as the detail of the sales account's role.

    `why` is the rule in a sentence, for the page that tells an amount's story.
    """

    percent: int
    treatment: str
    customer: CustomerVat
    why: str


def decide_vat(buyer: Buyer, policy: Policy) -> VatDecision:
    """Decide a sale's VAT from the buyer's country, where the provider tells no tax lines of its own.

    An EU buyer pays domestic VAT: consumers because no OSS is set up, businesses because nobody has checked
    the VAT number nor knows whether goods left the country. A buyer whose country is unknown counts as
    domestic: VAT that was left out wrongly cannot be collected later.
    """
    home = policy.books.identity.country or "SE"
    country = buyer.country.strip().upper()
    rate = policy.default_vat_percent
    domestic = f"{home}{rate}"
    if not country:
        why = f"The buyer's country is not known: the company's own rate, {rate} %."
    elif country == home:
        why = f"A buyer in {home}: the company's own rate, {rate} %."
    elif country in EU_VAT_TERRITORY:
        if buyer.vat_number:
            why = (
                f"A business in {country} (EU), but sales without VAT to EU businesses are not set up: "
                f"the company's own rate, {rate} %."
            )
        else:
            why = f"A consumer in {country} (EU), and OSS is not set up: the company's own rate, {rate} %."
    elif policy.export_without_vat:
        return VatDecision(
            0, "EXPORT", CustomerVat.EXPORT, f"A buyer in {country}, outside the EU: export without VAT."
        )
    else:
        why = (
            f"A buyer in {country}, outside the EU, but the company has chosen to charge VAT there: "
            f"its own rate, {rate} %."
        )
    return VatDecision(rate, domestic, CustomerVat.DOMESTIC, why)


def rate_for(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The official fixing last published before a day, at most a week old; None if none is known.

    A fixing of the day itself is published around noon or later, so a sale that morning could not know it. None, too,
    while it is not known whether a later one has been published (`CurrencyRules.awaits`).
    """
    if policy.currency_rules.awaits(currency, day):
        return None
    rate = last_before(policy.rates, currency, policy.books_currency, day)
    if rate is None or rate.fixed_on < day - timedelta(days=OLDEST_FIXING_DAYS):
        return None
    return rate
