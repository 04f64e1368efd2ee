"""How much waits, is held or should have been booked: a company's numbers, noted at the end of each of its slices.

They stand beside what is due, outside the company's own rows, so that whoever runs the installation can add them up
without entering any company: reasons and counts and one instant, no references, no amounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.services.context import Services
from addon.services.tally import Key, written
from addon.store.database import company_of
from addon.store.leases import due_since
from addon.store.models import Company, CompanyWork, DocumentRow, MovementRow, PartRow

_COUNTED: Final = (PartState.HELD, PartState.WAITING)
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
    since = session.scalar(_unbooked())
    session.execute(
        update(CompanyWork)
        .where(CompanyWork.company_id == company_of(session))
        .values(gauges={**counted, SINCE: since.isoformat() if since is not None else ""}),
        execution_options={"synchronize_session": False},
    )


def _unbooked() -> Any:
    """When the oldest movement was fetched of which a part should have been booked by now.

    That is one not decided yet, or one whose document nothing keeps from being written: not what waits for a
    person's approval, for an invoice or for a date, nor what is held.
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
                and_(PartRow.state == PartState.PLANNED.value, DocumentRow.state.in_(under_way)),
            ),
        )
    )


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
