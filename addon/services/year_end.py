"""Which foreign balances are to be valued at the end of a financial year, and what they held on its last day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import DocumentKind
from addon.core.money import Money
from addon.core.plan.revaluation import revaluation_key
from addon.core.plan.situation import Carrying, YearEnd
from addon.core.records import MovementKind
from addon.core.rules import Policy
from addon.services.ingest import start_day
from addon.services.standing import CLEARING_SIDES
from addon.store.models import Connection, DocumentRow, MovementRow, PartRow

_UNSETTLED = (PartState.OPEN.value, PartState.PLANNED.value, PartState.WAITING.value, PartState.HELD.value)
_MOVING = frozenset({PartState.OPEN.value, PartState.PLANNED.value})
_EMPTYING = (DocumentKind.PAYOUT.value, DocumentKind.CONVERSION.value)


def load_year_ends(
    session: Session, connection: Connection, policy: Policy, opened: Mapping[str, Carrying | None]
) -> tuple[YearEnd, ...]:
    """The year ends since a connection's start whose foreign balances have not been valued yet.

    A balance that paid something out in the new year before anybody valued it is left as it is: the difference has
    been realised with that.
    """
    if not policy.currency_rules.revalue:
        return ()
    start = start_day(connection, policy.zone)
    days = [year.last_day for year in policy.books.years if start <= year.last_day < policy.today]
    found: list[YearEnd] = []
    for last_day in sorted(days):
        for currency in sorted(_currencies(session, connection.id, policy.books_currency) | set(opened)):
            if _valued(session, revaluation_key(policy, currency, last_day)) or _emptied_since(
                session, connection.id, currency, last_day
            ):
                continue
            opening = opened.get(currency, Carrying(Money.zero(currency), Money.zero(policy.books_currency)))
            if opening is None:
                continue  # nobody knows yet what it opened with
            moved = _moved_through(session, connection.id, currency, last_day, policy.books_currency)
            carrying = Carrying(opening.balance + moved.balance, opening.books + moved.books)
            if not carrying.balance and not carrying.books:
                continue
            states = _unsettled(session, connection.id, currency, last_day)
            found.append(YearEnd(currency, last_day, carrying, not states, bool(states & _MOVING)))
    return tuple(found)


def _currencies(session: Session, connection_id: int, books_currency: str) -> set[str]:
    found: set[str] = set()
    for currency, _minor, _books in CLEARING_SIDES:
        query = select(currency).where(
            DocumentRow.connection_id == connection_id, currency.not_in(("", books_currency))
        )
        found.update(session.scalars(query.distinct()))
    return found


def _valued(session: Session, key: str) -> bool:
    return session.scalar(select(DocumentRow.id).where(DocumentRow.key == key)) is not None


def _emptied_since(session: Session, connection_id: int, currency: str, last_day: date) -> bool:
    query = select(DocumentRow.id).where(
        DocumentRow.connection_id == connection_id,
        DocumentRow.clearing_currency == currency,
        DocumentRow.clearing_minor < 0,
        DocumentRow.kind.in_(_EMPTYING),
        DocumentRow.booking_date > last_day,
        DocumentRow.state != DeliveryState.REJECTED.value,
    )
    return session.scalar(query.limit(1)) is not None


def _moved_through(
    session: Session, connection_id: int, currency: str, last_day: date, books_currency: str
) -> Carrying:
    balance, books = Money.zero(currency), Money.zero(books_currency)
    for of_currency, minor, books_minor in CLEARING_SIDES:
        row = session.execute(
            select(func.sum(minor), func.sum(books_minor)).where(
                DocumentRow.connection_id == connection_id,
                of_currency == currency,
                books_minor.is_not(None),
                DocumentRow.booking_date <= last_day,
                DocumentRow.state != DeliveryState.REJECTED.value,
            )
        ).one()
        balance = balance + Money(int(row[0] or 0), currency)
        books = books + Money(int(row[1] or 0), books_currency)
    return Carrying(balance, books)


def _unsettled(session: Session, connection_id: int, currency: str, last_day: date) -> set[str]:
    """In which states parts of a year are that are not booked, payouts apart: one under way belongs to both years."""
    query = (
        select(PartRow.state)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .where(
            PartRow.connection_id == connection_id,
            MovementRow.connection_id == connection_id,
            PartRow.currency == currency,
            PartRow.state.in_(_UNSETTLED),
            MovementRow.booking_date <= last_day,
            MovementRow.kind != MovementKind.PAYOUT.value,
        )
    )
    return set(session.scalars(query.distinct()))
