"""What a plan is made from besides the policy: open movements, and what is already booked or known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from addon.core.accounts import Account
from addon.core.books import InvoiceView
from addon.core.documents import Customer, Document, PartRef, SoldLine
from addon.core.holds import Hold, HoldReason, Wait
from addon.core.joining import Twin
from addon.core.matching import NO_CHOICE, MatchChoice
from addon.core.money import Money
from addon.core.records import Dispute, Movement, Payout
from addon.core.routing import RoutedSale
from addon.core.settlement import SettledSale
from addon.core.vat import NumberCheck, OssAmount, OssYear


@dataclass(frozen=True, slots=True)
class OpenMovement:
    """A movement with the names of its parts that are not yet booked, planned or set aside."""

    movement: Movement
    open_parts: frozenset[str]
    first_seen_on: date
    """The company's date on which Kvitt first could not book it: waiting counts from here."""
    choice: MatchChoice = NO_CHOICE
    """What a person has decided about it."""
    decision: str = ""
    """What a person has decided of its amount beyond that: `book_anyway`, or `credit:` and a VAT treatment."""
    fresh: bool = False
    """Whether its amount has not been planned before."""
    twin: Twin | None = None
    """An invoice of another connection that books it already."""
    held_parts: frozenset[str] = frozenset()
    """Those of the open parts that a person has been asked to look at: nothing waits for them."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Parts that a rule of the company sets aside, and where they are booked instead (empty: nowhere)."""

    parts: tuple[PartRef, ...]
    where: str
    rule: str
    """The rule's name."""


@dataclass(frozen=True, slots=True)
class SaleLine:
    """A row of a booked sale, and how much of it has been credited; gross, in the invoice's currency."""

    gross: Money
    credited: Money
    vat_percent: int
    account: Account
    description: str
    rounding: bool = False
    cost_centre: str = ""
    project: str = ""
    vat_credited: Money | None = None
    """The VAT in what has been credited, row by row as the ledger rounds; None where that is not known."""
    article: str = ""


@dataclass(frozen=True, slots=True)
class BookedSale:
    """An invoice that Kvitt made for a sale. `paid` is what the buyer paid, `refunded` what went back so far.

    `booked` is False while it is planned or under way; then its number and rate are not known.
    """

    key: str
    invoice_key: str
    number: str
    customer: Customer
    invoice_date: date
    total: Money
    paid: Money
    refunded: Money
    lines: tuple[SaleLine, ...]
    rate: Decimal
    order_number: str
    booked: bool
    credit_made: bool
    """Whether a credit note exists or is planned: the system's own credit action works once."""
    oss: tuple[OssAmount, ...] = ()
    """What the sale added to the OSS figures."""
    sold: tuple[SoldLine, ...] = ()
    """What is left of each line of a sale that was written as a voucher."""


@dataclass(frozen=True, slots=True)
class PayoutFact:
    """A payout with what is known of its lines. `items` is the sum of its movements' nets, once all are read."""

    payout: Payout
    items: Money | None
    unsettled_items: int
    """How many of its movements have parts that are open or planned, and so will move the carrying value."""
    not_before: date | None = None
    """The connection's start date: what came back of a payout made before it is booked from there on."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """What a foreign clearing account holds by its opening and Kvitt's booked documents: in the balance's and the
    books' currency."""

    balance: Money
    books: Money


class Place(NamedTuple):
    """Where something stands in time on a balance: its instant, its rank within that, its movement's reference."""

    at: datetime
    rank: int
    ref: str


@dataclass(frozen=True, slots=True)
class Posting:
    """What a part has put on a foreign clearing account, signed, in the balance's and the books' smallest units."""

    place: Place
    leaves: bool
    """Whether it was taken off at what the account is carried at."""
    balance_minor: int
    books_minor: int


@dataclass(frozen=True, slots=True)
class Coming:
    """A part that is on its way into the books and whose value is known when it is there."""

    part: PartRef
    place: Place
    minor: int
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """A foreign balance by its opening and Kvitt's documents: what it held before the first of the open movements, and
    what has come and left since."""

    base: Carrying
    postings: tuple[Posting, ...] = ()
    coming: tuple[Coming, ...] = ()


@dataclass(frozen=True, slots=True)
class YearEnd:
    """What a foreign balance held at the end of a financial year. `complete`: all of that year is booked; `moving`:
    some of it is on its way into the books, and will be."""

    currency: str
    last_day: date
    carrying: Carrying
    complete: bool
    moving: bool = False


@dataclass(frozen=True, slots=True)
class PlannedPayout:
    """What the voucher of a payout moved, in the books' currency: bank and clearing sides, positive; and on which
    accounts, in that order."""

    bank: Money
    clearing: Money
    accounts: tuple[Account, Account]


@dataclass(frozen=True, slots=True)
class DisputeFact:
    """A dispute as the provider tells of it, and what stands on the disputes account for it."""

    dispute: Dispute | None
    charged: tuple[Carrying, ...] = ()
    """By balance currency, what was withdrawn and is not yet won back or written off."""
    account: Account | None = None
    """Where it stands: a map that was changed since does not leave it there."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the document of a sale or refund did to the clearing account. `books` None: known when it is booked."""

    balance: Money
    books: Money | None
    booked: bool
    number: str = ""
    order_number: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a buyer owes whose payment bounced, or has coming whose refund came back; amounts positive."""

    key: str
    returned_refund: bool
    source: str
    """The sale that it is about."""
    order_number: str
    presented: Money
    """What is open, in the buyer's currency."""
    books: Money
    account: Account


@dataclass(frozen=True, slots=True)
class Registers:
    """What the books have that documents may name: articles by number, and customers' names by our key."""

    articles: frozenset[str] = frozenset()
    customer_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a plan reads. `matches` has the invoices found for a movement; a movement that is not in
    it was not searched for."""

    movements: tuple[OpenMovement, ...]
    payouts: Mapping[str, PayoutFact] = field(default_factory=dict)
    sales: Mapping[str, BookedSale] = field(default_factory=dict)
    """By the provider's reference of the sale (charge)."""
    known_sales: frozenset[str] = frozenset()
    """References of sales that were fetched and are not planned: open, waiting, held."""
    matches: Mapping[str, tuple[InvoiceView, ...]] = field(default_factory=dict)
    known_customers: frozenset[str] = frozenset()
    """Keys of customers whose number in the books is known or on its way."""
    fee_vouchers: Mapping[tuple[str, date], int] = field(default_factory=dict)
    """How many fee vouchers a currency and day already have."""
    unvalued: frozenset[str] = frozenset()
    """Foreign balance currencies whose opening is not known yet, or no rate for it: their payouts wait."""
    payments_under_way: Mapping[str, Money] = field(default_factory=dict)
    """By invoice number: what payments that are planned and not booked will take off its open balance, signed."""
    payout_vouchers: Mapping[str, PlannedPayout] = field(default_factory=dict)
    """Vouchers of payouts that are booked or planned, by payout."""
    currencies_coming: frozenset[str] = frozenset()
    """Currencies of sales that are planned and not booked: their invoices will tell the rate of their day."""
    registers: Registers = Registers()
    routed: Mapping[str, RoutedSale] = field(default_factory=dict)
    """Sales that a rule took out of their usual course, by the provider's reference of the sale."""
    payout_of: Mapping[str, str] = field(default_factory=dict)
    """Settlement: the payout in whose list a movement stands, by movement."""
    split_payouts: frozenset[str] = frozenset()
    """Settlement: payouts of whose open movements only some are in this plan; the others come with the next."""
    settled: Mapping[str, SettledSale] = field(default_factory=dict)
    """Settlement: sales that stand or are planned in vouchers, by the provider's reference."""
    settlement_vouchers: Mapping[str, int] = field(default_factory=dict)
    """Settlement: how many vouchers a payout's month or a day has already."""
    unlisted_until: Mapping[str, datetime] = field(default_factory=dict)
    """Settlement: by currency, when the newest payout was made, if its provider never lists what is in it."""
    number_checks: Mapping[str, NumberCheck] = field(default_factory=dict)
    """What is known of the VAT numbers of these movements' buyers, by plain number; one not in it was not asked for."""
    oss_years: Mapping[int, OssYear] = field(default_factory=dict)
    """What was sold to consumers in other EU countries, by calendar year."""
    disputes: Mapping[str, DisputeFact] = field(default_factory=dict)
    """By the provider's reference of the dispute."""
    reserves: Mapping[str, Carrying] = field(default_factory=dict)
    """By balance currency: what the reserve account holds by Kvitt's documents."""
    moved: Mapping[str, Moved] = field(default_factory=dict)
    """By the provider's reference of a sale or refund, for those that bounced."""
    claims: tuple[Claim, ...] = ()
    """Bounced payments and returned refunds of which something is open."""
    year_ends: tuple[YearEnd, ...] = ()
    """Ends of financial years at which foreign balances are still to be valued."""
    rates_coming: Mapping[str, date] = field(default_factory=dict)
    """By currency: the earliest day of invoices under way whose rate the accounting system is to tell."""
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    """By foreign balance currency: what lies on the clearing account, by the instants of what moved it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be booked, what a person must look at, what waits, parts of nought that need nothing, and parts that
    the company's rules set aside."""

    documents: tuple[Document, ...] = ()
    holds: tuple[Hold, ...] = ()
    waits: tuple[Wait, ...] = ()
    nought: tuple[PartRef, ...] = ()
    asides: tuple[Aside, ...] = ()


Outcome = Document | Hold | Wait | Aside
"""What becomes of some parts."""


class CannotBook(Exception):
    """Raised inside a plan where a document meets a law of the books; becomes a hold."""

    def __init__(self, reason: HoldReason, **facts: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.facts = tuple(facts.items())
