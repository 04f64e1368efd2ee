"""What lies on foreign clearing accounts, by the instants of what moved it: what a plan values that leaves them.

Documents from before the open movements are summed up; those since stand one by one, part by part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from addon.core.dates import booking_date, start_of_day
from addon.core.delivery import DeliveryState
from addon.core.documents import DocumentKind, PartRef
from addon.core.money import Money
from addon.core.plan import Carrying, OpenMovement
from addon.core.plan.holdings import end_of, leaves, place_of, spread
from addon.core.plan.situation import Coming, Holding, Place, Posting
from addon.core.records import MovementKind, PartKind
from addon.core.rules import Mode, Policy
from addon.services.standing import CLEARING_SIDES
from addon.store.models import Connection, DocumentRow, MovementRow, PartRow, PayoutRow

_UNDER_WAY = (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
_CHUNK = 500


def load_holdings(
    session: Session,
    connection: Connection,
    movements: Sequence[OpenMovement],
    policy: Policy,
    opened: Mapping[str, Carrying | None],
) -> dict[str, Holding]:
    """What each foreign balance holds of which something open may leave."""
    cuts = _cuts(movements, policy)
    if not cuts:
        return {}
    reader = _Reader(session, connection.id, policy)
    nothing = Money.zero(policy.books_currency)
    totals = carried_in_all(session, connection.id, policy.books_currency, opened)
    while True:
        found = {
            currency: reader.holding(currency, cut, totals.get(currency, Carrying(Money.zero(currency), nothing)))
            for currency, cut in sorted(cuts.items())
        }
        before, totals = totals, carried_in_all(session, connection.id, policy.books_currency, opened)
        if totals == before:
            # Else somebody has written between two of these reads, a person who refused a document or a slice that was
            # late: a value that is in the one and not in the other would be taken off what it was never part of.
            return found


def _cuts(movements: Iterable[OpenMovement], policy: Policy) -> dict[str, datetime]:
    """By currency, the first instant of the day of the earliest open movement."""
    cuts: dict[str, datetime] = {}
    for entry in movements:
        movement = entry.movement
        if movement.currency != policy.books_currency:
            known = cuts.get(movement.currency, movement.occurred_at)
            cuts[movement.currency] = min(known, movement.occurred_at)
    return {currency: start_of_day(booking_date(at, policy.zone), policy.zone) for currency, at in sorted(cuts.items())}


def carried_in_all(
    session: Session, connection_id: int, books_currency: str, opened: Mapping[str, Carrying | None]
) -> dict[str, Carrying]:
    """What the foreign clearing accounts hold by their openings and all that Kvitt's documents have moved there."""
    carried = {currency: carrying for currency, carrying in opened.items() if carrying is not None}
    for currency, minor, books_minor in CLEARING_SIDES:
        query = (
            select(currency.label("currency"), func.sum(minor).label("balance"), func.sum(books_minor).label("books"))
            .where(
                DocumentRow.connection_id == connection_id,
                currency.not_in(("", books_currency)),
                books_minor.is_not(None),
                DocumentRow.state != DeliveryState.REJECTED.value,
            )
            .group_by(currency)
        )
        for row in session.execute(query):
            moved = Carrying(Money(int(row.balance), row.currency), Money(int(row.books or 0), books_currency))
            carried[row.currency] = plus(carried.get(row.currency), moved)
    return carried


def plus(before: Carrying | None, more: Carrying) -> Carrying:
    """Two carrying values of a balance together."""
    return more if before is None else Carrying(before.balance + more.balance, before.books + more.books)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one connection's documents of late."""

    session: Session
    connection_id: int
    policy: Policy

    def holding(self, currency: str, cut: datetime, total: Carrying) -> Holding:
        parts = self._parts(currency, cut)
        sides = self._sides(currency, sorted(parts))
        postings: list[Posting] = []
        base = total
        for document_id, side in sorted(sides.items()):
            postings += spread(side, parts[document_id])
            base = Carrying(base.balance - side.balance, base.books - side.books)
        for day_end, side in self._revaluations(currency, cut):
            postings.append(Posting(day_end, False, side.balance.minor, side.books.minor))
            base = Carrying(base.balance - side.balance, base.books - side.books)
        return Holding(base, tuple(postings), self._coming(currency))

    def _parts(self, currency: str, cut: datetime) -> dict[int, list[tuple[Place, bool, int]]]:
        """The parts of each document that has one since the cut: all of its parts in the currency."""
        since = [MovementRow.occurred_at >= cut]
        listed_at = self._listed_at(currency)
        late = sorted(ref for ref, at in listed_at.items() if at >= cut)
        if late:
            since.append(MovementRow.payout_ref.in_(late))
        recent = (
            select(PartRow.document_id)
            .join(MovementRow, MovementRow.id == PartRow.movement_id)
            .where(
                MovementRow.connection_id == self.connection_id,
                MovementRow.currency == currency,
                PartRow.document_id.is_not(None),
                or_(*since),
            )
        )
        found: dict[int, list[tuple[Place, bool, int]]] = defaultdict(list)
        # Two plain reads: as one statement PostgreSQL compares all with all while it knows nothing of young tables.
        ids = sorted({document_id for document_id in self.session.scalars(recent) if document_id is not None})
        for start in range(0, len(ids), _CHUNK):
            query = self._columns().where(
                PartRow.document_id.in_(ids[start : start + _CHUNK]), MovementRow.currency == currency
            )
            for row in self.session.execute(query):
                kind, part = MovementKind(row.kind), PartKind(row.part)
                found[row.document_id].append((self._place(row, listed_at), leaves(kind, part, row.minor), row.minor))
        return found

    def _columns(self) -> Select[Any]:
        columns: tuple[Any, ...] = (
            PartRow.document_id,
            PartRow.name,
            PartRow.kind.label("part"),
            PartRow.amount_minor.label("minor"),
            MovementRow.ref,
            MovementRow.kind,
            MovementRow.occurred_at,
            MovementRow.payout_ref,
            MovementRow.source_ref,
        )
        joined = select(*columns).join(MovementRow, MovementRow.id == PartRow.movement_id)
        return joined.where(MovementRow.connection_id == self.connection_id)

    def _place(self, row: Any, listed_at: Mapping[str, datetime]) -> Place:
        at = listed_at.get(row.payout_ref) if row.payout_ref != row.source_ref else None
        if at is not None:
            return Place(at, 0, row.ref)
        return place_of(MovementKind(row.kind), PartKind(row.part), row.occurred_at, row.ref)

    def _listed_at(self, currency: str) -> dict[str, datetime]:
        """Settlement: when payouts were made; what their lists name came onto the account then."""
        if self.policy.mode is not Mode.SETTLEMENT:
            return {}
        query = select(PayoutRow.ref, PayoutRow.paid_out_at).where(
            PayoutRow.connection_id == self.connection_id, PayoutRow.currency == currency
        )
        return {row.ref: row.paid_out_at for row in self.session.execute(query)}

    def _sides(self, currency: str, ids: Sequence[int]) -> dict[int, Carrying]:
        """What documents did to the balance; together with what took them back, where they were undone."""
        found: dict[int, Carrying] = {}
        undone: dict[int, int] = {}
        for document_id, undone_by, side in self._effects(currency, ids):
            found[document_id] = plus(found.get(document_id), side)
            if undone_by is not None:
                undone[undone_by] = document_id
        for document_id, _, side in self._effects(currency, sorted(undone)):
            if document_id not in found:
                found[undone[document_id]] = plus(found.get(undone[document_id]), side)
        return found

    def _effects(self, currency: str, ids: Sequence[int]) -> Iterable[tuple[int, int | None, Carrying]]:
        home = self.policy.books_currency
        for start in range(0, len(ids), _CHUNK):
            for of_currency, minor, books_minor in CLEARING_SIDES:
                query = select(DocumentRow.id, DocumentRow.undone_by, minor.label("minor"), books_minor.label("books"))
                query = query.where(
                    DocumentRow.id.in_(ids[start : start + _CHUNK]),
                    of_currency == currency,
                    books_minor.is_not(None),
                    DocumentRow.state != DeliveryState.REJECTED.value,
                )
                for row in self.session.execute(query):
                    yield row.id, row.undone_by, Carrying(Money(row.minor, currency), Money(row.books, home))

    def _revaluations(self, currency: str, cut: datetime) -> Iterable[tuple[Place, Carrying]]:
        zone = self.policy.zone
        query = select(DocumentRow.booking_date, DocumentRow.clearing_minor, DocumentRow.clearing_books_minor).where(
            DocumentRow.connection_id == self.connection_id,
            DocumentRow.kind == DocumentKind.REVALUATION.value,
            DocumentRow.clearing_currency == currency,
            DocumentRow.booking_date >= booking_date(cut, zone),
            DocumentRow.clearing_books_minor.is_not(None),
            DocumentRow.state != DeliveryState.REJECTED.value,
        )
        for row in self.session.execute(query.order_by(DocumentRow.id)):
            place = end_of(start_of_day(row.booking_date + timedelta(days=1), zone))
            yield (
                place,
                Carrying(
                    Money(row.clearing_minor, currency), Money(row.clearing_books_minor, self.policy.books_currency)
                ),
            )

    def _coming(self, currency: str) -> tuple[Coming, ...]:
        """Parts of documents under way whose value is told when they are booked."""
        listed_at = self._listed_at(currency)
        query = (
            self._columns()
            .join(DocumentRow, DocumentRow.id == PartRow.document_id)
            .where(
                MovementRow.currency == currency,
                DocumentRow.connection_id == self.connection_id,
                DocumentRow.state.in_(_UNDER_WAY),
                DocumentRow.clearing_currency == currency,
                DocumentRow.clearing_books_minor.is_(None),
            )
        )
        return tuple(
            Coming(PartRef(row.ref, row.name), self._place(row, listed_at), row.minor)
            for row in self.session.execute(query)
        )
