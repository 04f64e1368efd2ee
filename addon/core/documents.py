"""What Kvitt writes into the books: customers, invoices, credit notes, payments, vouchers, and their steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from addon.core.accounts import Account, AccountRole
from addon.core.books import InvoiceView
from addon.core.money import CurrencyMismatch, ExchangeRate, Money
from addon.core.vat import OssAmount


class Unbalanced(ValueError):
    """Debit and credit of a voucher differ."""


class WrongDocument(ValueError):
    """A document that breaks another law of bookkeeping than balance."""


class CustomerVat(StrEnum):
    """How a customer is treated for VAT; decides the default treatment in the accounting system."""

    DOMESTIC = "domestic"
    EU_CONSUMER = "eu_consumer"
    EU_BUSINESS = "eu_business"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer to find or make. `match_email` finds an existing one; without it, the exact name does."""

    key: str
    name: str
    vat: CustomerVat
    country: str = ""
    email: str = ""
    vat_number: str = ""
    private: bool = True
    organisation_number: str = ""
    """Digits only; where it is told, it finds a customer before the e-mail address does."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A row of an invoice: gross (VAT included) in the invoice's currency, signed as the invoice is."""

    description: str
    gross: Money
    vat_percent: int
    account: Account
    cost_centre: str = ""
    project: str = ""
    article: str = ""
    """The number of an article that is in the books; empty: a row of free text."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an invoice or credit note is closed, signed: negative on a credit note.

    `amount` is in the invoice's currency. `books_amount` is what it was worth in the books' currency where the
    provider converted; None where the money stays in the invoice's currency and so at the invoice's own rate.
    """

    key: str
    amount: Money
    books_amount: Money | None
    paid_on: date
    account: Account
    write_off: Money | None = None
    """Difference to the account below, in the invoice's currency: invoice total = amount + write_off."""
    write_off_account: Account | None = None


@dataclass(frozen=True, slots=True)
class VoucherLine:
    """One row of a voucher: exactly one positive side. Raises `WrongDocument`."""

    account: Account
    debit: Money | None = None
    credit: Money | None = None
    text: str = ""
    cost_centre: str = ""
    project: str = ""
    vat_code: str = ""
    """For accounting systems whose vouchers take a VAT code on a row, which then computes the VAT; others ignore it."""

    def __post_init__(self) -> None:
        sides = [side for side in (self.debit, self.credit) if side is not None]
        if len(sides) != 1 or sides[0].minor <= 0:
            raise WrongDocument("a voucher line is a positive debit or a positive credit, and only one")
        if self.account.role is AccountRole.CUSTOMER_CLAIMS:
            raise WrongDocument("vouchers never touch the customer ledger's account")

    @property
    def signed(self) -> Money:
        """Debit as positive, credit as negative."""
        if self.debit is not None:
            return self.debit
        assert self.credit is not None  # noqa: S101 - __post_init__ has seen to it
        return -self.credit


def signed_line(account: Account, amount: Money, text: str = "") -> VoucherLine:
    """A line that debits a positive and credits a negative amount."""
    if amount.minor >= 0:
        return VoucherLine(account, debit=amount, text=text)
    return VoucherLine(account, credit=-amount, text=text)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher in the books' currency. Raises `Unbalanced`, `CurrencyMismatch`, `WrongDocument`."""

    key: str
    booking_date: date
    text: str
    lines: tuple[VoucherLine, ...]

    def __post_init__(self) -> None:
        if len(self.lines) < 2:
            raise WrongDocument(f"{self.key}: a voucher has at least two lines")
        currencies = {line.signed.currency for line in self.lines}
        if len(currencies) != 1:
            raise CurrencyMismatch(f"{self.key}: lines in {sorted(currencies)}")
        difference = Money.total((line.signed for line in self.lines), currencies.pop())
        if difference:
            raise Unbalanced(f"{self.key}: debit and credit differ by {difference}")


@dataclass(frozen=True, slots=True)
class Invoice:
    """A customer invoice, or with negative lines a credit note that stands by itself.

    `total` is the sum of the lines; `vat` is what the lines' VAT should come to, in major units at the ledger's
    two decimals (a yen invoice has VAT of 199.80). `rate` None means: the accounting system's own rate of the
    invoice date, read back before booking. `expected_rate` is what that may not be far from.
    """

    key: str
    customer: Customer
    invoice_date: date
    lines: tuple[InvoiceLine, ...]
    total: Money
    vat: Decimal
    rate: ExchangeRate | None = None
    expected_rate: Decimal | None = None
    order_number: str = ""
    text: str = ""
    corrects_key: str = ""
    """The key of the invoice that this credit note corrects."""
    rounding_line: bool = False
    """Whether a row was added so that a system that rounds to whole units meets a whole total."""
    vat_exact: bool = False
    """Whether the VAT must be met to the hundredth: rows were split so that several refunds give back what was sold."""
    payment_terms: str = ""
    """A code of the books; empty: their own default. Due is a prepaid invoice on its own date, whatever the terms."""
    mail_to: str = ""
    """Where the books mail it when it is booked; empty: nowhere."""

    def __post_init__(self) -> None:
        if not self.lines:
            raise WrongDocument(f"{self.key}: an invoice has at least one line")
        if Money.total((line.gross for line in self.lines), self.total.currency) != self.total:
            raise Unbalanced(f"{self.key}: the lines do not make up the total {self.total}")

    @property
    def currency(self) -> str:
        """The invoice's currency."""
        return self.total.currency


# --- Steps: one remote write each. ---------------------------------------------------------------------------
# A document is delivered as a chain of steps, so that it resumes at the one that failed. `key` is unique within
# the company; `needs` fields name the key of an earlier step whose answer this one uses.


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """Make a customer, unless one with the same e-mail address or exact name is there."""

    key: str
    customer: Customer
    kind: Literal["create_customer"] = "create_customer"


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """Make an unbooked invoice (or negative invoice) for the customer of step `customer_key`."""

    key: str
    invoice: Invoice
    customer_key: str
    kind: Literal["create_invoice"] = "create_invoice"


@dataclass(frozen=True, slots=True)
class UpdateCustomer:
    """Give the customer of step `customer_key`, who was there, the name and VAT number that the buyer gave last."""

    key: str
    customer: Customer
    customer_key: str
    kind: Literal["update_customer"] = "update_customer"


@dataclass(frozen=True, slots=True)
class CreateArticle:
    """Make an article without stock, unless one of that number is there."""

    key: str
    number: str
    description: str
    account: Account
    kind: Literal["create_article"] = "create_article"


@dataclass(frozen=True, slots=True)
class CreateOrder:
    """Make an order of what would be an invoice, for a person to turn into one."""

    key: str
    invoice: Invoice
    customer_key: str
    kind: Literal["create_order"] = "create_order"


@dataclass(frozen=True, slots=True)
class AwaitInvoice:
    """Nothing is written: a person books the draft of step `invoice_key`, or invoices that order and books it."""

    key: str
    invoice_key: str
    ordered: bool = False
    kind: Literal["await_invoice"] = "await_invoice"


@dataclass(frozen=True, slots=True)
class AwaitPayment:
    """Nothing is written: a person books the payment of step `payment_key`."""

    key: str
    payment_key: str
    kind: Literal["await_payment"] = "await_payment"


@dataclass(frozen=True, slots=True)
class MailInvoice:
    """Let the books mail the booked invoice of step `invoice_key` to the buyer: once at the most."""

    key: str
    invoice_key: str
    kind: Literal["mail_invoice"] = "mail_invoice"


@dataclass(frozen=True, slots=True)
class RoundInvoice:
    """Add a rounding row to an unbooked invoice, because the system rounded its total below what was paid."""

    key: str
    invoice_key: str
    invoice: Invoice
    kind: Literal["round_invoice"] = "round_invoice"


@dataclass(frozen=True, slots=True)
class BookInvoice:
    """Book the invoice of step `invoice_key`, after the fence has found it to be the only one of its key."""

    key: str
    invoice_key: str
    invoice: Invoice | None = None
    """What it must look like; None for a credit note made by the credit action."""
    credit_total: Money | None = None
    """What a credit note made by the credit action must come to; negative."""
    kind: Literal["book_invoice"] = "book_invoice"
    draft: InvoiceView | None = None
    """A person's unbooked invoice as it was found, where the company lets us book those; there is no earlier step."""


@dataclass(frozen=True, slots=True)
class CreditInvoice:
    """Make the unbooked credit note of a whole invoice by the system's own credit action."""

    key: str
    invoice_key: str
    total: Money
    """The credit note's total, negative."""
    credit_date: date
    text: str
    kind: Literal["credit_invoice"] = "credit_invoice"
    invoice_number: str = ""
    """The invoice by its number, where no step of ours has made it: a copy that came to stand a second time."""


@dataclass(frozen=True, slots=True)
class DateCreditNote:
    """Give the credit note of step `credit_key` its date, its due date and our key."""

    key: str
    credit_key: str
    document_key: str
    credit_date: date
    text: str
    kind: Literal["date_credit_note"] = "date_credit_note"


@dataclass(frozen=True, slots=True)
class CreatePayment:
    """Make an unbooked payment of the invoice of step `invoice_key`, or of the invoice `invoice_number`."""

    key: str
    settlement: Settlement
    invoice_key: str = ""
    invoice_number: str = ""
    kind: Literal["create_payment"] = "create_payment"


@dataclass(frozen=True, slots=True)
class BookPayment:
    """Book the payment of step `payment_key`."""

    key: str
    payment_key: str
    kind: Literal["book_payment"] = "book_payment"


@dataclass(frozen=True, slots=True)
class PostVoucher:
    """Write a booked voucher into our own series."""

    key: str
    voucher: Voucher
    kind: Literal["post_voucher"] = "post_voucher"


Step = (
    CreateCustomer
    | UpdateCustomer
    | CreateArticle
    | CreateOrder
    | AwaitInvoice
    | AwaitPayment
    | MailInvoice
    | CreateInvoice
    | RoundInvoice
    | BookInvoice
    | CreditInvoice
    | DateCreditNote
    | CreatePayment
    | BookPayment
    | PostVoucher
)


class DocumentKind(StrEnum):
    """What a planned document is to a bookkeeper."""

    SALE = "sale"
    """Customer invoice and its payment."""
    REFUND = "refund"
    """Credit note and its payment."""
    MATCH = "match"
    """Payment on an invoice or credit note that was there."""
    FEES = "fees"
    """Voucher of a closed day's fees."""
    PAYOUT = "payout"
    """Voucher of a payout to the bank."""
    PAYOUT_REVERSAL = "payout_reversal"
    """Voucher that takes a failed payout back."""
    ROUTED = "routed"
    """Voucher that one of the company's own rules asks for, against the account that it names."""
    SETTLEMENT = "settlement"
    """Voucher of a payout's payments of one month, or of a day's: sales, refunds and their fees."""
    FOREIGN_FEES = "foreign_fees"
    """Voucher of what other companies took out of a closed day's payments."""
    DISPUTE = "dispute"
    """Voucher of a payment that a buyer's bank withdrew."""
    DISPUTE_WON = "dispute_won"
    """Voucher of a withdrawn payment that came back."""
    DISPUTE_LOST = "dispute_lost"
    """Voucher that writes a lost dispute off."""
    BOUNCED_PAYMENT = "bounced_payment"
    """Voucher of a payment that bounced after it was booked."""
    PAID_AGAIN = "paid_again"
    """Voucher of a payment that settles what had bounced."""
    RETURNED_REFUND = "returned_refund"
    """Voucher of a refund that came back after it was booked."""
    REFUNDED_AGAIN = "refunded_again"
    """Voucher of a refund that is made once more after the first came back."""
    RESERVE = "reserve"
    """Voucher of money held back or released."""
    TOP_UP = "top_up"
    """Voucher of money put into the balance from the bank, or taken back."""
    TRANSFER = "transfer"
    PLATFORM_EARNING = "platform_earning"
    FINANCING = "financing"
    CONTRIBUTION = "contribution"
    ADJUSTMENT = "adjustment"
    CONVERSION = "conversion"
    """Voucher of one balance currency changed into another."""
    UNDO = "undo"
    """What takes a booked document back because a person said so: it names it."""
    REVALUATION = "revaluation"
    """Voucher that values a foreign balance at the end of a financial year."""
    CORRECTION = "correction"
    """Voucher that takes back what the accounting system wrote a second time."""
    OPENING = "opening"
    """Voucher of what the provider owed when a connection started; a person approves it."""


@dataclass(frozen=True, slots=True)
class PartRef:
    """A part of a movement, by the movement's reference and the part's name."""

    movement_ref: str
    part: str


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of a sale that is written as a voucher, for its refunds to go by; refunds have theirs negative.

    `gross` is in the buyer's currency, `net` and `vat` are what stands in the ledger, in the books' currency.
    """

    description: str
    gross: Money
    percent: Decimal
    account: Account
    vat_account: Account | None
    net: Money
    vat: Money


@dataclass(frozen=True, slots=True)
class ClearingEffect:
    """What a document does to a clearing account: in the balance's currency, and in the books' where known.

    `books` None: at the invoice's own rate, known when the accounting system has answered.
    """

    account: Account
    balance: Money
    books: Money | None


@dataclass(frozen=True, slots=True)
class Document:
    """A planned document: which parts it books, by which rule, through which steps. Its key is for ever."""

    key: str
    kind: DocumentKind
    booking_date: date
    total: Money
    parts: tuple[PartRef, ...]
    clearing: tuple[ClearingEffect, ...]
    steps: tuple[Step, ...]
    rule: str
    """Why, in a sentence for people: which rule put the amounts there."""
    facts: tuple[tuple[str, str], ...] = ()
    """What a later plan needs to know of this document, as names and values (order number, source …)."""
    oss: tuple[OssAmount, ...] = ()
    """What it adds to the OSS figures."""
    sold: tuple[SoldLine, ...] = ()
    """The lines of a sale or refund that is a voucher; empty where an invoice has them."""
