"""What is held, and what stands in the books, in figures: for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from addon.core.delivery import DeliveryState, PartState
from addon.core.money import Money
from addon.services.context import Services
from addon.store.models import DocumentRow, MovementRow, PartRow, ProofRow


@dataclass(frozen=True, slots=True)
class HeldPart:
    """A part that a person must look at: its movement, amount, reason and facts."""

    part_id: int
    connection_id: int
    ref: str
    part: str
    amount: Money
    reason: str
    facts: Mapping[str, Any]


def held_parts(services: Services, company_id: int, connection_id: int | None = None) -> tuple[HeldPart, ...]:
    """All parts that are held, oldest movement first."""
    query = (
        select(PartRow, MovementRow.ref)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .where(PartRow.state == PartState.HELD.value)
        .order_by(MovementRow.occurred_at, PartRow.id)
    )
    if connection_id is not None:
        query = query.where(PartRow.connection_id == connection_id)
    with services.db.company_reading(company_id) as session:
        return tuple(
            HeldPart(
                row.id,
                row.connection_id,
                ref,
                row.name,
                Money(row.amount_minor, row.currency),
                row.reason,
                dict(row.facts),
            )
            for row, ref in session.execute(query)
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts of a company: movements, parts by state, booked documents by kind, presentment currencies."""

    movements: int
    parts: Mapping[str, int]
    documents: Mapping[str, int]
    currencies: tuple[str, ...]


def standing(services: Services, company_id: int) -> Standing:
    """What has been fetched and booked so far."""
    with services.db.company_reading(company_id) as session:
        movements = session.scalar(select(func.count(MovementRow.id))) or 0
        parts = session.execute(select(PartRow.state, func.count(PartRow.id)).group_by(PartRow.state)).all()
        documents = session.execute(
            select(DocumentRow.kind, func.count(DocumentRow.id))
            .where(DocumentRow.state == DeliveryState.BOOKED.value)
            .group_by(DocumentRow.kind)
        ).all()
        currencies = session.scalars(select(MovementRow.presented_currency).distinct()).all()
    return Standing(
        int(movements),
        {str(state): int(number) for state, number in parts},
        {str(kind): int(number) for kind, number in documents},
        tuple(sorted(currency for currency in currencies if currency)),
    )


@dataclass(frozen=True, slots=True)
class ProofLine:
    """The clearing identity of one connection and currency, as a run proved it."""

    connection_id: int
    opening: Money
    ledger: Money
    not_booked: Money
    provider: Money
    difference: Money
    details: Mapping[str, Any]


def latest_proofs(services: Services, company_id: int, run_id: int | None = None) -> tuple[ProofLine, ...]:
    """The newest proof of each connection and currency, or of one run only."""
    newest = select(func.max(ProofRow.id)).group_by(ProofRow.connection_id, ProofRow.currency)
    if run_id is not None:
        newest = newest.where(ProofRow.run_id == run_id)
    with services.db.company_reading(company_id) as session:
        ids = list(session.scalars(newest))
        rows = session.scalars(
            select(ProofRow).where(ProofRow.id.in_(ids)).order_by(ProofRow.connection_id, ProofRow.currency)
        )
        return tuple(
            ProofLine(
                row.connection_id,
                Money(row.opening_minor, row.currency),
                Money(row.ledger_minor, row.currency),
                Money(row.not_booked_minor, row.currency),
                Money(row.provider_minor, row.currency),
                Money(row.difference_minor, row.currency),
                dict(row.details),
            )
            for row in rows
        )
