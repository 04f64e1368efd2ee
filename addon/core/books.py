"""What is read from an accounting system, in our words: company, chart, years, invoices, payments, ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from addon.core.dates import FinancialYear
from addon.core.invoicing import Invoicing
from addon.core.money import ExchangeRate, Money


@dataclass(frozen=True, slots=True)
class Identity:
    """The company as its accounting system names it; `tenant` is its fixed number there."""

    tenant: str
    name: str
    organisation_number: str
    country: str = "SE"
    currency: str = "SEK"


@dataclass(frozen=True, slots=True)
class ChartAccount:
    """An account of the chart in one financial year."""

    number: str
    name: str
    active: bool
    year_ref: str
    needs_cost_centre: bool = False
    needs_project: bool = False
    vat_code: str = ""
    """The VAT code that decides where the VAT of what is sold on this account goes; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Series:
    """A voucher series in one financial year; only a manual one takes vouchers from us."""

    code: str
    name: str
    manual: bool
    year_ref: str
    needs_approval: bool = False
    full: bool = False
    """Whether its numbers are used up, or nearly."""


@dataclass(frozen=True, slots=True)
class BooksCurrency:
    """A currency that the books know, with its present rate (unit as the system writes it)."""

    code: str
    rate: ExchangeRate | None
    automatic: bool


class Register(StrEnum):
    """Short lists of the books whose codes documents may name."""

    PAYMENT_TERMS = "payment_terms"
    COST_CENTRES = "cost_centres"
    PROJECTS = "projects"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a register; only an open one may be named."""

    register: Register
    code: str
    open: bool = True


_last_chart: tuple[tuple[ChartAccount, ...], Mapping[tuple[str, str], ChartAccount | None]] = ((), {})


def _chart_of(accounts: tuple[ChartAccount, ...]) -> Mapping[tuple[str, str], ChartAccount | None]:
    """A chart by number and year; under no number, None for each year that was read.

    Every planned document asks for several of a thousand accounts, always of the same books: the last chart is kept.
    """
    global _last_chart
    known, chart = _last_chart
    if known is not accounts:
        years: dict[tuple[str, str], ChartAccount | None] = {("", account.year_ref): None for account in accounts}
        chart = years | {(account.number, account.year_ref): account for account in reversed(accounts)}
        _last_chart = (accounts, chart)
    return chart


_HOME_VAT_CODES: Mapping[str, frozenset[str]] = {
    "SE": frozenset({"", "MP1", "MP2", "MP3", "MF"}),
    "DK": frozenset({"", "U25"}),
}
"""VAT codes of domestic sales (25, 12, 6 % and exempt) as Swedish and Danish charts have them, and none at all."""


class Nudges(StrEnum):
    """Whether the accounting system tells us when something happens in it."""

    NONE = ""
    """It cannot, or its connector does not ask for it."""
    ON = "on"
    OFF = "off"
    ELSEWHERE = "elsewhere"
    """It tells an address that is not ours any more."""
    DISABLED = "disabled"
    """It has given up, or a person has switched it off."""


class Feature(StrEnum):
    """What some accounting systems cannot do, and so is not offered to their companies."""

    MAIL_INVOICE = "mail_invoice"
    ORDER = "order"
    COST_CENTRE = "cost_centre"
    PROJECT = "project"


class Remedy(StrEnum):
    """What the API lets us mend for a person who presses Repair."""

    ACTIVATE_ACCOUNT = "activate_account"
    CREATE_ACCOUNT = "create_account"
    CREATE_SERIES = "create_series"
    ADD_CURRENCY = "add_currency"
    ADD_PAYMENT_MODE = "add_payment_mode"
    MEND_SERIES = "mend_series"
    """Let a series of ours take what it must take again: all kinds of entries, without approval, with numbers left."""
    CREATE_PRODUCT_GROUP = "create_product_group"
    """A group of products that sells on an account."""
    OPEN_PRODUCT = "open_product"
    REGISTER_WEBHOOK = "register_webhook"


USUAL_REMEDIES: Final = (
    Remedy.ACTIVATE_ACCOUNT,
    Remedy.CREATE_ACCOUNT,
    Remedy.CREATE_SERIES,
    Remedy.ADD_CURRENCY,
    Remedy.ADD_PAYMENT_MODE,
)
"""What can be mended where rows of invoices name their accounts themselves."""


@dataclass(frozen=True, slots=True)
class Books:
    """What a run needs to know of a company's books, read at its start."""

    identity: Identity
    years: tuple[FinancialYear, ...]
    accounts: tuple[ChartAccount, ...]
    series: tuple[Series, ...]
    invoice_series: str
    """Series of customer invoices; empty if the company has chosen none."""
    payment_series: str
    predefined: tuple[tuple[str, str], ...]
    """Account numbers by `AccountRole` value that the system itself posts to (claims, rounding, exchange)."""
    payment_modes: tuple[tuple[str, str], ...]
    """Code and account number of each mode of payment."""
    currencies: tuple[BooksCurrency, ...]
    locked_through: date | None
    flags: tuple[str, ...] = ()
    """Modules that change the rules: `warehouse`, `easy_vat`."""
    missing_scopes: tuple[str, ...] = ()
    missing_licences: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Names of the parts that could not be read, for example for want of rights."""
    codes: tuple[Code, ...] = ()
    registers: tuple[Register, ...] = ()
    """Registers whose codes were read, because a setting or a rule names one."""
    system: str = ""
    """The accounting system that told all this, by its name."""
    remedies: tuple[Remedy, ...] = USUAL_REMEDIES
    """What may be mended from here."""
    closed_months: tuple[tuple[date, date], ...] = ()
    """Stretches of closed or barred periods that touch the days asked for, where the system locks periods singly."""
    invoicing: Invoicing | None = None
    nudges: Nudges = Nudges.NONE
    nudge_address: str = ""
    """The address that the system should tell, for a person who must type it in."""
    cannot: tuple[Feature, ...] = ()

    def year_of(self, day: date) -> FinancialYear | None:
        """The financial year that holds a day."""
        for year in self.years:  # asked for every account of every document: no generator
            if year.first_day <= day <= year.last_day:
                return year
        return None

    def account(self, number: str, year_ref: str) -> ChartAccount | None:
        """An account of one year's chart."""
        return _chart_of(self.accounts).get((number, year_ref))

    def code_fault(self, register: Register, code: str) -> str:
        """Why a code cannot be named: `missing` or `inactive`; empty if it can, or if its register was not read."""
        if register not in self.registers:
            return ""
        found = [one for one in self.codes if one.register is register and one.code == code]
        return "missing" if not found else "" if any(one.open for one in found) else "inactive"

    def fault_of(self, number: str, year_ref: str, cost_centre: str = "", project: str = "") -> str:
        """Why an account cannot be posted to in a year: `missing`, `inactive`, `needs_cost_centre`, `needs_project`.

        Empty if it can be by a row with this cost centre and project, and where that year's chart could not be read:
        then the books refuse what is wrong.
        """
        account = self.account(number, year_ref)
        if account is None:
            return "missing" if ("", year_ref) in _chart_of(self.accounts) else ""
        if not account.active:
            return "inactive"
        if account.needs_cost_centre and not cost_centre:
            return "needs_cost_centre"
        return "needs_project" if account.needs_project and not project else ""

    def keeps_oss_apart(self, number: str, year_ref: str) -> bool:
        """Whether an invoice's VAT on this sales account stays out of the home country's return.

        Without a VAT code of its own the system takes the output VAT account of the rate: German VAT would land on
        the home country's one.
        """
        account = self.account(number, year_ref)
        home = _HOME_VAT_CODES.get(self.identity.country, _HOME_VAT_CODES["SE"])
        return account is None or account.vat_code not in home

    def currency(self, code: str) -> BooksCurrency | None:
        """A currency that has been added to the books; the books' own always is."""
        if code == self.identity.currency:
            return BooksCurrency(code, None, automatic=False)
        return next((currency for currency in self.currencies if currency.code == code), None)


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """An invoice or credit note (negative total) as it stands in the books; amounts in its own currency.

    `vat`, `rate` are decimals as the system writes them; `round_off` is what the system itself rounded by.
    """

    number: str
    currency: str
    total: Money
    balance: Money
    vat: Decimal
    rate: Decimal
    unit: int
    booked: bool
    cancelled: bool
    invoice_date: date
    our_key: str = ""
    second_key: str = ""
    order_number: str = ""
    your_reference: str = ""
    our_reference: str = ""
    ocr: str = ""
    customer_number: str = ""
    round_off: Money | None = None
    voucher: str = ""
    credit_number: str = ""
    """The number of the credit note that the credit action made of this invoice."""
    draft: bool = False
    sent: bool = False
    """Whether it went to the buyer, by mail or otherwise."""

    def books_rate(self) -> Decimal:
        """What one major unit of the invoice's currency is in the books' currency."""
        return self.rate / self.unit


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment of a customer invoice as it stands in the books."""

    number: str
    invoice_number: str
    amount: Money
    """In the invoice's currency, without write-offs."""
    books_amount: Money
    paid_on: date
    account: str
    booked: bool
    voucher: str = ""


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as it stands in the books; `invoice_number` is that of the invoice that was made of it, if one was."""

    number: str
    cancelled: bool
    invoice_number: str = ""


@dataclass(frozen=True, slots=True)
class VoucherView:
    """A voucher as it stands in the books: `reference` is series/number/year."""

    reference: str
    booking_date: date
    text: str


@dataclass(frozen=True, slots=True)
class CustomerView:
    """A customer as a list of the accounting system shows it."""

    number: str
    name: str
    email: str
    organisation_number: str = ""


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What the accounting system answered to a step: its reference there, and what it now looks like."""

    reference: str
    invoice: InvoiceView | None = None
    payment: PaymentView | None = None
    voucher: str = ""
    beside: str = ""
    """The key of the step whose calls carried this one along; empty: it had calls of its own."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One row of the ledger, read back: in the books' currency, debit positive."""

    voucher: str
    """series/number/year"""
    booking_date: date
    account: str
    amount: Money
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A financial year's rows on the accounts asked for, with their opening balances."""

    entries: tuple[LedgerEntry, ...]
    opening: tuple[tuple[str, Money], ...] = ()


class OrderField(StrEnum):
    """Where in the books an order number may stand."""

    ORDER_NUMBER = "order_number"
    """Fortnox "Er ordernummer"."""
    YOUR_REFERENCE = "your_reference"
    """Fortnox "Er referens"."""
    OUR_REFERENCE = "our_reference"
    EXTERNAL_REFERENCE = "external_reference"
    OCR = "ocr"
    INVOICE_NUMBER = "invoice_number"


@dataclass(frozen=True, slots=True)
class Repair:
    """A remedy with what it concerns: account number, series code, currency; and where (year, account)."""

    remedy: Remedy
    subject: str
    year_ref: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One prerequisite, tested: `code` names it, `subject` what it concerns, `stops` whether it stops the company.

    Where it does not stop the company, only the documents that need `subject` are held.
    """

    code: str
    ok: bool
    stops: bool = False
    subject: str = ""
    year_ref: str = ""
    repair: Repair | None = None
    details: tuple[tuple[str, str], ...] = field(default=())
