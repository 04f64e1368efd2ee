"""What a foreign balance holds just before a movement: by the instants of what moved it, whatever is booked by then.

Money that leaves a foreign balance takes with it what it is carried at: the average of all that came in before. That
average must not depend on how a history was fetched nor on when it was planned. So each entry on a foreign clearing
account has its place in time, that of the movement which it books, and what leaves looks at what lies before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from addon.core.documents import PartRef
from addon.core.money import Money
from addon.core.plan.revaluation import RELIEVING
from addon.core.plan.situation import Carrying, Coming, Holding, Place, Posting
from addon.core.records import Movement, MovementKind, PartKind

BEGINNING = datetime.min.replace(tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_FIRST = frozenset({MovementKind.SALE, MovementKind.FEE, MovementKind.FEE_TAX})
"""Kinds that come before others of the same second: a conversion bears the time of the sale that it converts."""


def leaves(kind: MovementKind, part: PartKind, minor: int) -> bool:
    """Whether a part takes money off a balance at what it is carried at. A payout does so both ways: one that the bank
    pays fills a balance below nought at what that is carried at."""
    return part is PartKind.AMOUNT and kind in RELIEVING and (minor < 0 or kind is MovementKind.PAYOUT)


def place_of(kind: MovementKind, part: PartKind, at: datetime, ref: str) -> Place:
    """Where a part stands in time; within a second sales and fees come first, the rest by its reference."""
    return Place(at, 0 if part is not PartKind.AMOUNT or kind in _FIRST else 1, ref)


def end_of(instant: datetime) -> Place:
    """The place just before an instant, after all that has happened by then."""
    return Place(instant - _MOMENT, 2, "")


def spread(effect: Carrying, parts: Sequence[tuple[Place, bool, int]]) -> tuple[Posting, ...]:
    """What a document puts on a balance, part by part in the order of their places; in the books, by shares.

    `parts`: place, whether it leaves, and amount of each. Rounding goes along: all comes to the document's value.
    """
    ordered = sorted(parts)
    whole = sum(minor for _, _, minor in ordered)
    if whole != effect.balance.minor or not whole:
        place, away, _ = ordered[-1]
        return (Posting(place, away, effect.balance.minor, effect.books.minor),)
    postings, done, given = [], 0, 0
    for place, away, minor in ordered:
        done += minor
        share = _share(effect.books.minor, done, whole)
        postings.append(Posting(place, away, minor, share - given))
        given = share
    return tuple(postings)


def _share(books: int, done: int, whole: int) -> int:
    """`books * done / whole`, rounded half away from nought, in whole numbers."""
    above, below = books * done, whole
    sign = -1 if (above < 0) != (below < 0) else 1
    return sign * ((2 * abs(above) + abs(below)) // (2 * abs(below)))


@dataclass(slots=True)
class _Series:
    """Postings by place, with what they come to up to each."""

    places: list[Place] = field(default_factory=list)
    sums: list[tuple[int, int]] = field(default_factory=list)

    def add(self, posting: Posting) -> None:
        """Put a posting at its place."""
        position = bisect_left(self.places, posting.place)
        before = self.sums[position - 1] if position else (0, 0)
        self.places.insert(position, posting.place)
        self.sums.insert(position, (before[0] + posting.balance_minor, before[1] + posting.books_minor))
        for later in range(position + 1, len(self.sums)):
            balance, books = self.sums[later]
            self.sums[later] = (balance + posting.balance_minor, books + posting.books_minor)

    def before(self, place: Place) -> tuple[int, int]:
        """What lies before a place."""
        position = bisect_left(self.places, place)
        return self.sums[position - 1] if position else (0, 0)

    def any_between(self, first: Place, last: Place) -> bool:
        """Whether anything lies between two places."""
        return bisect_left(self.places, first) < bisect_left(self.places, last)


class _Balance:
    """One foreign balance: what lies on it, and which parts of it have no value yet."""

    def __init__(self, holding: Holding) -> None:
        self.base = holding.base
        self.came, self.left = _Series(), _Series()
        self.coming: dict[PartRef, Coming] = {one.part: one for one in holding.coming}
        for posting in sorted(holding.postings, key=lambda posting: posting.place):
            self.add(posting)

    def add(self, posting: Posting) -> None:
        (self.left if posting.leaves else self.came).add(posting)


class Balances:
    """The foreign balances of a plan, each as it stood before any of its movements."""

    def __init__(self, holdings: Mapping[str, Holding], home: str) -> None:
        self._home = home
        self._of = {currency: _Balance(holding) for currency, holding in sorted(holdings.items())}

    def _get(self, currency: str) -> _Balance:
        if currency not in self._of:
            self._of[currency] = _Balance(Holding(Carrying(Money.zero(currency), Money.zero(self._home))))
        return self._of[currency]

    def post(self, currency: str, postings: Iterable[Posting]) -> None:
        """Take in what a document of this plan puts on a balance, or what one to come will take off it."""
        for posting in postings:
            self._get(currency).add(posting)

    def expect(self, currency: str, part: PartRef, place: Place, leaves: bool, minor: int) -> None:
        """Note that a part is on its way into the books, and that its value is not known yet."""
        self._get(currency).coming[part] = Coming(part, place, minor, leaves)

    def settle(self, currency: str, part: PartRef) -> None:
        """Note that a part is on its way no more: it has its value, or will not be booked for now."""
        self._get(currency).coming.pop(part, None)

    def before(self, currency: str, place: Place, until: Place | None = None) -> tuple[Carrying, bool]:
        """What is carried before a place, and whether all of it is known.

        `until`: a later place up to which what came in counts, but not what left: the end of a financial year that lies
        between a payout and its arrival, when the whole balance is valued.
        """
        balance = self._get(currency)
        reach = max(place, until) if until is not None else place
        came, left = balance.came.before(reach), balance.left.before(place)
        carrying = Carrying(
            Money(balance.base.balance.minor + came[0] + left[0], currency),
            Money(balance.base.books.minor + came[1] + left[1], self._home),
        )
        return carrying, not any(one.place < reach for one in balance.coming.values())

    def on_its_way(self, currency: str, place: Place) -> dict[PartRef, int]:
        """The parts before a place that have no value yet, with their amounts."""
        return {one.part: one.minor for one in self._get(currency).coming.values() if one.place < place}

    def has_left(self, currency: str, first: Place, last: Place) -> bool:
        """Whether money is taken off at carrying value between two places."""
        balance = self._get(currency)
        coming = any(one.leaves and first < one.place < last for one in balance.coming.values())
        return coming or balance.left.any_between(first, last)


def parts_of(movement: Movement) -> dict[str, tuple[Place, bool, int]]:
    """Place, whether it leaves, and amount of each part of a movement, by the part's name."""
    return {
        part.name: (
            place_of(movement.kind, part.kind, movement.occurred_at, movement.ref),
            leaves(movement.kind, part.kind, part.amount.minor),
            part.amount.minor,
        )
        for part in movement.parts()
    }


def parts_place(movement: Movement) -> Place:
    """Where a movement's amount stands in time: the order in which movements are planned."""
    return place_of(movement.kind, PartKind.AMOUNT, movement.occurred_at, movement.ref)


__all__ = ["BEGINNING", "Balances", "end_of", "leaves", "parts_of", "parts_place", "place_of", "spread"]
