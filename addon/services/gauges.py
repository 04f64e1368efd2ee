"""How much waits, is held or should have been booked: a company's numbers, noted at the end of each of its slices.

They stand beside what is due, outside the company's own rows, so that whoever runs the installation can add them up
without entering any company: reasons and counts and one instant, no references, no amounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.services.context import Services
from addon.services.tally import Key, written
from addon.store.database import company_of
from addon.store.leases import due_since
from addon.store.models import Company, CompanyWork, DeliveryRow, DocumentRow, MovementRow, PartRow

_COUNTED: Final = (PartState.HELD, PartState.WAITING)
_NEEDED_KINDS: Final = ("create_customer", "create_invoice", "create_order", "credit_invoice", "create_payment")
_NEEDS: Final = ("customer_key", "invoice_key", "credit_key", "payment_key")
"""Fields of steps that name a step which must have been made before, perhaps of another document."""
_MOST_STUCK: Final = 500
SINCE: Final = "unbooked_since"


def note(session: Session) -> None:
    """Note the numbers of the session's company. The caller commits."""
    counted: dict[str, dict[str, int]] = {state.value: {} for state in _COUNTED}
    states = [state.value for state in _COUNTED]
    for state, reason, number in session.execute(
        select(PartRow.state, PartRow.reason, func.count())
        .where(PartRow.state.in_(states))
        .group_by(PartRow.state, PartRow.reason)
    ):
        counted[state][reason] = number
    since = session.scalar(_unbooked(_stuck(session)))
    session.execute(
        update(CompanyWork)
        .where(CompanyWork.company_id == company_of(session))
        .values(gauges={**counted, SINCE: since.isoformat() if since is not None else ""}),
        execution_options={"synchronize_session": False},
    )


def _stuck(session: Session) -> list[str]:
    """Keys of what held documents have not written, as far as other documents may need it: usually none."""
    return list(
        session.scalars(
            select(DeliveryRow.key)
            .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
            .where(
                DocumentRow.state == DeliveryState.REJECTED.value,
                DeliveryRow.state != DeliveryState.BOOKED.value,
                DeliveryRow.kind.in_(_NEEDED_KINDS),
            )
            .limit(_MOST_STUCK)
        )
    )


def _unbooked(stuck: Sequence[str] = ()) -> Any:
    """When the oldest movement was fetched of which a part should have been booked by now.

    That is one not decided yet, or one whose document nothing keeps from being written: not what waits for a
    person's approval, for an invoice or for a date, nor what is held, nor what needs something (a customer, an
    invoice) that a held document has not written: `stuck`.
    """
    under_way = (DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
    return (
        select(func.min(MovementRow.fetched_at))
        .select_from(PartRow)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .outerjoin(DocumentRow, DocumentRow.id == PartRow.document_id)
        .where(
            PartRow.state.in_((PartState.OPEN.value, PartState.PLANNED.value)),
            or_(
                PartRow.state == PartState.OPEN.value,
                and_(PartRow.state == PartState.PLANNED.value, DocumentRow.state.in_(under_way), *_free_of(stuck)),
            ),
        )
    )


def _free_of(stuck: Sequence[str]) -> list[ColumnElement[bool]]:
    """That no step of a document that is still to be made needs one of these."""
    if not stuck:
        return []
    needs = (DeliveryRow.payload[name].as_string().in_(stuck) for name in _NEEDS)
    waits = exists().where(
        DeliveryRow.document_id == DocumentRow.id,
        DeliveryRow.state == DeliveryState.APPROVED.value,
        DeliveryRow.key.not_in(stuck),
        or_(*needs),
    )
    return [~waits]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands in all companies together. `companies`: how many in each state."""

    parts: Mapping[tuple[str, str], int]
    """By state (held, waiting) and reason."""
    companies: Mapping[str, int]
    due: int
    """Companies with something to do and nobody at it."""
    due_age_s: float
    """For how long the first of them has waited."""
    unbooked_age_s: float
    """How long ago the oldest movement was fetched that should have been booked; of companies at work only."""


def together(services: Services) -> tuple[dict[Key, int], Numbers | None]:
    """What all processes have counted, and what stands now; nothing while the database is away.

    Only what is written counts: a number that fell, with a database that is away or from one process to the next,
    would be taken for one that began anew, and all of it would be counted once more when it comes back.
    """
    services.tally.write_quietly(services.db)
    try:
        with services.db.open_reading() as session:
            return written(session), read(session, services.now(), services.db.now(session))
    except SQLAlchemyError:
        return {}, None


def read(session: Session, now: datetime, database_now: datetime) -> Numbers:
    """The numbers of all companies, from a session over the open tables.

    `now` is the clock by which movements were fetched, `database_now` the one by which work is due.
    """
    parts: Counter[tuple[str, str]] = Counter()
    oldest: datetime | None = None
    query = select(CompanyWork.gauges, Company.state).join(Company, Company.id == CompanyWork.company_id)
    for gauges, state in session.execute(query):
        for name in _COUNTED:
            for reason, number in gauges.get(name.value, {}).items():
                parts[name.value, reason] += number
        text = gauges.get(SINCE, "")
        if text and state == "active":
            since = datetime.fromisoformat(text)
            oldest = since if oldest is None else min(oldest, since)
    companies: dict[str, int] = {}
    for state, number in session.execute(select(Company.state, func.count()).group_by(Company.state)):
        companies[state] = number
    waiting = due_since(session, database_now)
    return Numbers(
        parts,
        companies,
        len(waiting),
        max(((database_now - at).total_seconds() for at in waiting), default=0.0),
        max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0,
    )
