"""Prove: the clearing identity and the payout proof, over what was fetched and what was read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from addon.core.books import LedgerEntry
from addon.core.money import Money
from addon.core.records import Payout


@dataclass(frozen=True, slots=True)
class NotBooked:
    """Money of parts that are not in the books, signed as the balance moves, by why."""

    held: Money
    waiting: Money
    under_way: Money
    """Payouts on their way to the bank."""
    planned: Money
    """Documents that wait for approval or delivery, and what was just fetched."""
    set_aside: Money
    """Set aside by a person and booked nowhere."""

    def total(self) -> Money:
        """All of it."""
        return self.held + self.waiting + self.under_way + self.planned + self.set_aside


@dataclass(frozen=True, slots=True)
class BookedEffect:
    """What one booked document did to a clearing account, and the voucher that did it."""

    key: str
    vouchers: tuple[str, ...]
    balance: Money
    books: Money
    foreign: bool = False
    """Whether the document itself is in another currency than the books, so that a rate stands between them."""


@dataclass(frozen=True, slots=True)
class NamedDifference:
    """A difference between ledger and documents with its name; `amount` in the books' currency, as the ledger has
    too much of it.

    `posting_by_person`, `voucher_missing`, `voucher_differs`; where the entry differs by little, `rounding` (less than
    a whole unit) or, in a document of another currency, `exchange` (less than fifteen per cent).
    """

    name: str
    reference: str
    booking_date: date | None
    amount: Money
    text: str = ""


@dataclass(frozen=True, slots=True)
class ClearingIdentity:
    """`opening + ledger + not booked = provider`, per connection and balance currency, in that currency.

    `ledger_books` is the clearing account in the books' currency as read back; `named` explains where it differs
    from what our documents put there, and `elsewhere_books` is the share of that which is due: what people have
    booked themselves of parts that they set aside.
    """

    currency: str
    opening: Money
    ledger: Money
    not_booked: NotBooked
    provider: Money
    difference: Money
    ledger_books: Money
    documents_books: Money
    named: tuple[NamedDifference, ...]
    elsewhere_books: Money

    @property
    def holds(self) -> bool:
        """Whether the books agree with the provider, and the ledger with our documents and people's own."""
        return not self.difference and self.ledger_books == self.documents_books + self.elsewhere_books


def clearing_identity(
    provider: Money,
    opening: Money,
    entries: Sequence[LedgerEntry],
    effects: Iterable[BookedEffect],
    not_booked: NotBooked,
    books_currency: str,
    elsewhere: Money | None = None,
) -> ClearingIdentity:
    """Work out the identity of one clearing account. `entries` are its ledger rows since the start date.

    In the books' own currency the ledger's balance itself is compared. A foreign balance is compared by the
    foreign amounts of those documents whose voucher stands in the ledger, since vouchers keep no foreign amount.

    `elsewhere`: parts that people set aside and say they have booked themselves, in the balance's currency. A
    foreign one counts as booked where some posting of theirs, to the same side, stands on the account; what it is
    worth in the books is for them to say.
    """
    effects = list(effects)
    currency = provider.currency
    by_voucher: dict[str, Money] = {}
    for entry in entries:
        by_voucher[entry.voucher] = by_voucher.get(entry.voucher, Money.zero(books_currency)) + entry.amount
    ledger_books = Money.total(by_voucher.values(), books_currency)
    documents_books = Money.total((effect.books for effect in effects), books_currency)
    named = name_differences(entries, effects, books_currency)
    elsewhere = elsewhere or Money.zero(currency)
    if currency == books_currency:
        ledger, elsewhere_books = ledger_books, elsewhere
    else:
        standing = [effect for effect in effects if any(voucher in by_voucher for voucher in effect.vouchers)]
        ledger = Money.total((effect.balance for effect in standing), currency)
        theirs = (entry.amount for entry in named if entry.name == "posting_by_person")
        elsewhere_books = Money.total(theirs, books_currency)
        if elsewhere.minor * elsewhere_books.minor > 0:
            ledger = ledger + elsewhere
        else:
            elsewhere_books = Money.zero(books_currency)
    difference = provider - (opening + ledger + not_booked.total())
    return ClearingIdentity(
        currency,
        opening,
        ledger,
        not_booked,
        provider,
        difference,
        ledger_books,
        documents_books,
        named,
        elsewhere_books,
    )


_WHOLE = Decimal(1)
_EXCHANGE_TOLERANCE = Decimal("0.15")
"""Two official rates of neighbouring days never lie so far apart; more than that is somebody's change."""


def _name_of(effect: BookedEffect, difference: Money) -> str:
    amount = abs(difference.to_decimal())
    if amount < _WHOLE:
        return "rounding"
    if effect.foreign and amount <= abs(effect.books.to_decimal()) * _EXCHANGE_TOLERANCE:
        return "exchange"
    return "voucher_differs"


def name_differences(
    entries: Sequence[LedgerEntry], effects: Sequence[BookedEffect], books_currency: str
) -> tuple[NamedDifference, ...]:
    """Where the ledger of an account has other entries than our documents put there, each with its name."""
    by_voucher: dict[str, Money] = {}
    for entry in entries:
        by_voucher[entry.voucher] = by_voucher.get(entry.voucher, Money.zero(books_currency)) + entry.amount
    named: list[NamedDifference] = []
    ours: set[str] = set()
    for effect in effects:
        ours.update(effect.vouchers)
        standing = [by_voucher[voucher] for voucher in effect.vouchers if voucher in by_voucher]
        if not standing:
            if effect.books:
                named.append(NamedDifference("voucher_missing", effect.key, None, -effect.books))
            continue
        moved = Money.total(standing, books_currency)
        if moved != effect.books:
            difference = moved - effect.books
            named.append(NamedDifference(_name_of(effect, difference), effect.key, None, difference))
    first: dict[str, LedgerEntry] = {}
    for entry in entries:
        first.setdefault(entry.voucher, entry)
    for voucher, entry in first.items():
        if voucher not in ours and by_voucher[voucher]:
            named.append(
                NamedDifference("posting_by_person", voucher, entry.booking_date, by_voucher[voucher], entry.text)
            )
    return tuple(named)


def without_opening(
    entries: Sequence[LedgerEntry], opening: Money, start: date, ours: Iterable[str], books_currency: str
) -> list[LedgerEntry]:
    """The ledger's rows without a person's opening entry that is dated on the start date itself.

    The opening stands beside the ledger in the identity, so that an entry which brings exactly it in must not count
    twice. It should be dated the day before; one voucher on the start date that moves the account by just the opening
    says the same. Only in the books' own currency is the amount known to the öre.
    """
    if not opening or opening.currency != books_currency:
        return list(entries)
    own = set(ours)
    moved: dict[str, int] = {}
    for entry in entries:
        if entry.booking_date == start and entry.voucher not in own:
            moved[entry.voucher] = moved.get(entry.voucher, 0) + entry.amount.minor
    found = sorted(voucher for voucher, minor in moved.items() if minor == opening.minor)
    return [entry for entry in entries if not found or entry.voucher != found[0]]


@dataclass(frozen=True, slots=True)
class PayoutProof:
    """Whether an itemised payout equals the sum of its movements' nets, to the smallest unit."""

    payout_ref: str
    amount: Money
    items: Money
    difference: Money

    @property
    def holds(self) -> bool:
        """Whether amount and lines agree."""
        return not self.difference


def payout_proof(payout: Payout, nets: Iterable[Money]) -> PayoutProof:
    """Prove a payout by its lines, its own movement left out. Raises `CurrencyMismatch` for a foreign line."""
    items = Money.total(nets, payout.amount.currency)
    return PayoutProof(payout.ref, payout.amount, items, payout.amount - items)
