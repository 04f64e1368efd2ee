"""The statement of a clearing account for a month, or any days: what an auditor files.

`opening + gross sales − refunds − disputes − fees ± reserve − payouts ± exchange = closing = provider's balance`, and
beside it how the ledger comes to the same figure: what the books have on the last day, and line by line what they
do not have yet, or have dated elsewhere, or have from somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, assert_never

from addon.core.books import LedgerEntry
from addon.core.delivery import PartState
from addon.core.documents import DocumentKind
from addon.core.holds import WaitReason
from addon.core.money import Money
from addon.core.reconcile import BookedEffect, NamedDifference, name_differences
from addon.core.records import MovementKind, PartKind


class Group(StrEnum):
    """The terms of the identity, as a statement sums them up."""

    SALES = "sales"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    FEES = "fees"
    RESERVES = "reserves"
    TRANSFERS = "transfers"
    """Between accounts of one's own: transfers, top-ups, financing, platform earnings."""
    EXCHANGE = "exchange"
    """From one balance currency into another."""
    ADJUSTMENTS = "adjustments"
    """Adjustments, contributions, and kinds that Kvitt does not know."""
    PAYOUTS = "payouts"


def group_of(kind: MovementKind, part: PartKind) -> Group:
    """The term that a part of a movement belongs to: a fee is a fee, wherever it was taken."""
    if part is not PartKind.AMOUNT:
        return Group.FEES
    match kind:
        case MovementKind.SALE | MovementKind.SALE_REVERSAL:
            return Group.SALES
        case MovementKind.REFUND | MovementKind.REFUND_REVERSAL:
            return Group.REFUNDS
        case MovementKind.DISPUTE | MovementKind.DISPUTE_REVERSAL | MovementKind.DISPUTE_LOST:
            return Group.DISPUTES
        case MovementKind.FEE | MovementKind.FEE_TAX:
            return Group.FEES
        case MovementKind.RESERVE:
            return Group.RESERVES
        case MovementKind.TRANSFER | MovementKind.PLATFORM_EARNING | MovementKind.TOP_UP | MovementKind.FINANCING:
            return Group.TRANSFERS
        case MovementKind.CONVERSION:
            return Group.EXCHANGE
        case MovementKind.PAYOUT | MovementKind.PAYOUT_REVERSAL:
            return Group.PAYOUTS
        case MovementKind.ADJUSTMENT | MovementKind.CONTRIBUTION | MovementKind.UNRECOGNISED:
            return Group.ADJUSTMENTS
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True)
class PartFact:
    """A part of a movement as it stands: the movement's day, and where the part is.

    `elsewhere` says that a person set it aside and has booked it; `document_key` is the document that booked it. Booked
    parts of one day and kind, of which nothing but the sum matters, may come as one of `count`, without a document.
    """

    movement_ref: str
    kind: MovementKind
    part: PartKind
    day: date
    amount: Money
    state: PartState
    reason: str = ""
    elsewhere: bool = False
    document_key: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class DocumentFact:
    """A booked document's effect on the account, and the day that its entry should have."""

    key: str
    kind: DocumentKind
    day: date
    effect: BookedEffect


class OpenWhy(StrEnum):
    """Why money stands at the provider and not, or not yet, in the books on the statement's last day."""

    HELD = "held"
    WAITING = "waiting"
    UNDER_WAY = "under_way"
    """A payout that has not arrived."""
    PLANNED = "planned"
    SET_ASIDE = "set_aside"
    """Set aside by a person and booked nowhere."""
    IN_TRANSIT = "in_transit"
    """A payout that left the balance by then and is booked on its arrival, which is later."""
    DATED_LATER = "dated_later"
    """In the books, under a later date: a locked period, or a payment dated its invoice's day."""
    DATED_EARLIER = "dated_earlier"
    """In the books by then, though the provider has it later."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One line of what is between ledger and provider; `amount` as the provider's balance has more of it."""

    why: OpenWhy
    reason: str
    reference: str
    day: date
    amount: Money
    booked_on: date | None = None


@dataclass(frozen=True, slots=True)
class GroupTotal:
    """A term of the identity within the statement's days."""

    group: Group
    count: int
    amount: Money


@dataclass(frozen=True, slots=True)
class UnsettledInvoice:
    """An invoice or credit note of Kvitt's that is not settled, and why, as far as Kvitt knows."""

    number: str
    key: str
    balance: Money
    why: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A clearing account from `since` to `until`, both included, in the balance's currency.

    `closing` is `opening` and the groups together; `ledger` is what the books have for it on the last day, the
    opening included; `difference` is what is left of `closing − ledger − open items`; `named` (in the books'
    currency) explains it. `told` is the provider's balance of now, less all that happened after the last day.
    """

    currency: str
    books_currency: str
    accounts: tuple[str, ...]
    since: date
    until: date
    opening: Money
    groups: tuple[GroupTotal, ...]
    closing: Money
    told: Money
    ledger: Money
    ledger_books: Money
    """What stands on the account in the books' currency, from the start on."""
    open_items: tuple[OpenItem, ...]
    named: tuple[NamedDifference, ...]
    elsewhere: Money
    """Parts that people set aside and say they have booked themselves."""
    difference: Money
    unsettled: tuple[UnsettledInvoice, ...] = ()
    """Invoices of ours that have a balance left, as the books stood when the statement was made."""

    @property
    def holds(self) -> bool:
        """Whether closing, provider and ledger with its open items agree, and nothing foreign stands on the account."""
        theirs = Money.total((entry.amount for entry in self.named), self.books_currency)
        if self.currency == self.books_currency:
            accounted = theirs == self.elsewhere
        else:
            accounted = not theirs or bool(self.elsewhere)
        return not self.difference and self.closing == self.told and accounted

    def open_total(self) -> Money:
        """All open items together."""
        return Money.total((item.amount for item in self.open_items), self.currency)


_STATE_WHY: Final[Mapping[PartState, OpenWhy]] = {
    PartState.OPEN: OpenWhy.PLANNED,
    PartState.PLANNED: OpenWhy.PLANNED,
    PartState.HELD: OpenWhy.HELD,
    PartState.WAITING: OpenWhy.WAITING,
    PartState.SET_ASIDE: OpenWhy.SET_ASIDE,
}
_PAYOUTS: Final = frozenset({DocumentKind.PAYOUT, DocumentKind.PAYOUT_REVERSAL})


def make_statement(
    since: date,
    until: date,
    opening: Money,
    told: Money,
    parts: Sequence[PartFact],
    documents: Sequence[DocumentFact],
    entries: Sequence[LedgerEntry],
    books_currency: str,
    accounts: Sequence[str] = (),
) -> Statement:
    """Make a statement of one account. `opening` is of the start date, `told` the provider's balance with all `parts`.

    `entries` are the account's ledger rows since the start date, `documents` all that are booked on it.
    """
    currency = opening.currency
    before = Money.total((part.amount for part in parts if part.day < since), currency)
    after = Money.total((part.amount for part in parts if part.day > until), currency)
    groups = _groups(parts, since, until, currency)
    opened = opening + before
    closing = opened + Money.total((group.amount for group in groups), currency)
    dates = _entry_dates(entries)
    standing = [entry for entry in entries if entry.booking_date <= until]
    ledger_books = Money.total((entry.amount for entry in standing), books_currency)
    due = [one for one in documents if _booked_on(one, dates) <= until]
    named = tuple(
        one
        for one in name_differences(entries, [one.effect for one in documents], books_currency)
        if one.booking_date is None or one.booking_date <= until
    )
    late = {one.key for one in documents if _booked_on(one, dates) > until}
    named = tuple(one for one in named if one.reference not in late)
    elsewhere = Money.total((part.amount for part in parts if part.elsewhere and part.day <= until), currency)
    if currency == books_currency:
        ledger = opening + ledger_books
    else:
        found = (one.effect.balance for one in due if any(voucher in dates for voucher in one.effect.vouchers))
        ledger = opening + Money.total(found, currency) + elsewhere
    items = (*_not_booked(parts, until), *_dated_elsewhere(parts, documents, dates, until))
    difference = closing - ledger - Money.total((item.amount for item in items), currency)
    return Statement(
        currency=currency,
        books_currency=books_currency,
        accounts=tuple(accounts),
        since=since,
        until=until,
        opening=opened,
        groups=groups,
        closing=closing,
        told=told - after,
        ledger=ledger,
        ledger_books=ledger_books,
        open_items=items,
        named=named,
        elsewhere=elsewhere,
        difference=difference,
    )


def _groups(parts: Iterable[PartFact], since: date, until: date, currency: str) -> tuple[GroupTotal, ...]:
    counts: dict[Group, int] = defaultdict(int)
    sums: dict[Group, Money] = {}
    for part in parts:
        if since <= part.day <= until:
            group = group_of(part.kind, part.part)
            counts[group] += part.count
            sums[group] = sums.get(group, Money.zero(currency)) + part.amount
    return tuple(GroupTotal(group, counts[group], sums[group]) for group in Group if group in sums)


def _entry_dates(entries: Iterable[LedgerEntry]) -> dict[str, date]:
    dates: dict[str, date] = {}
    for entry in entries:
        dates.setdefault(entry.voucher, entry.booking_date)
    return dates


def _booked_on(document: DocumentFact, dates: Mapping[str, date]) -> date:
    """The day of a document's entry as the ledger has it; the planned day where the entry is not there."""
    found = [dates[voucher] for voucher in document.effect.vouchers if voucher in dates]
    return max(found, default=document.day)


def _not_booked(parts: Iterable[PartFact], until: date) -> Iterable[OpenItem]:
    for part in parts:
        if part.day > until or part.state is PartState.BOOKED or part.elsewhere or not part.amount:
            continue
        under_way = part.state is PartState.WAITING and part.reason == WaitReason.PAYOUT_PAID.value
        why = OpenWhy.UNDER_WAY if under_way else _STATE_WHY[part.state]
        yield OpenItem(why, part.reason, part.movement_ref, part.day, part.amount)


def _dated_elsewhere(
    parts: Iterable[PartFact], documents: Sequence[DocumentFact], dates: Mapping[str, date], until: date
) -> Iterable[OpenItem]:
    """Documents whose entry and whose movements lie on different sides of the last day."""
    known = {one.key: one for one in documents}
    days = {one.key: _booked_on(one, dates) for one in documents}
    sums: dict[str, Money] = {}
    for part in parts:
        if part.state is not PartState.BOOKED or part.document_key not in known:
            continue
        by_then, booked_by_then = part.day <= until, days[part.document_key] <= until
        if by_then is booked_by_then:
            continue
        amount = part.amount if by_then else -part.amount
        sums[part.document_key] = sums.get(part.document_key, Money.zero(amount.currency)) + amount
    for key, amount in sums.items():
        if amount:
            yield OpenItem(_why_elsewhere(known[key], days[key], until), "", key, known[key].day, amount, days[key])


def _why_elsewhere(document: DocumentFact, booked_on: date, until: date) -> OpenWhy:
    if booked_on <= until:
        return OpenWhy.DATED_EARLIER
    return OpenWhy.IN_TRANSIT if document.kind in _PAYOUTS else OpenWhy.DATED_LATER
