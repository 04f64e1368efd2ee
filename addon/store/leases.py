"""The company lease: one slice of work per company at a time, by the database's clock.

Plain functions over a session; the caller commits, and does so at once: a lease that is not committed holds
nobody off. A holder's name is used for one slice only (process, start, a random part).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, nulls_first, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from addon.store.clock import database_now
from addon.store.models import CompanyWork

_AS_WRITTEN = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Released:
    """How a lease ended: whether it was still ours, and whether somebody wanted a run since the slice began."""

    was_held: bool
    wanted_again: bool


def take(session: Session, company_id: int, holder: str, lease_s: float) -> bool:
    """Take the company's lease for `lease_s` seconds and begin a slice; False if somebody has it.

    One statement: of several takers one gets it. Also False for a company that `want` and `schedule` never saw.
    """
    taken = session.execute(
        update(CompanyWork)
        .where(
            CompanyWork.company_id == company_id,
            or_(CompanyWork.lease_until.is_(None), CompanyWork.lease_until <= database_now()),
        )
        .values(lease_holder=holder, lease_until=database_now(lease_s), slice_started_at=database_now())
        .returning(CompanyWork.company_id),
        execution_options=_AS_WRITTEN,
    )
    return taken.first() is not None


def renew(session: Session, company_id: int, holder: str, lease_s: float) -> bool:
    """Hold the lease for `lease_s` seconds from now. False if it has run out, even if nobody has taken it since."""
    renewed = session.execute(
        update(CompanyWork)
        .where(
            CompanyWork.company_id == company_id,
            CompanyWork.lease_holder == holder,
            CompanyWork.lease_until > database_now(),
        )
        .values(lease_until=database_now(lease_s))
        .returning(CompanyWork.company_id),
        execution_options=_AS_WRITTEN,
    )
    return renewed.first() is not None


def release(session: Session, company_id: int, holder: str) -> Released:
    """Give the lease up at the end of a slice; no harm if it is no longer ours.

    A nudge that comes while a slice runs may be dropped by the queue, but its `want` was written before: so the
    same statement that frees the lease says whether to go on.
    """
    row = session.execute(
        update(CompanyWork)
        .where(CompanyWork.company_id == company_id, CompanyWork.lease_holder == holder)
        .values(lease_holder="", lease_until=None)
        .returning(CompanyWork.wanted_at, CompanyWork.slice_started_at),
        execution_options=_AS_WRITTEN,
    ).first()
    if row is None:
        return Released(was_held=False, wanted_again=False)
    wanted_at, started_at = row
    wanted_again = wanted_at is not None and (started_at is None or wanted_at > started_at)
    return Released(was_held=True, wanted_again=wanted_again)


def left_s(session: Session, company_id: int, holder: str) -> float:
    """Seconds until the holder's lease runs out; nought if it is not, or no longer, the holder's."""
    row = session.execute(
        select(CompanyWork.lease_until, database_now()).where(
            CompanyWork.company_id == company_id, CompanyWork.lease_holder == holder
        )
    ).first()
    if row is None or row[0] is None:
        return 0.0
    return max(0.0, float((row[0] - row[1]).total_seconds()))


def want(session: Session, company_id: int, by: str) -> None:
    """Note that somebody wants a run (`by`: webhook, person, sweep …). Commit, then nudge the queue."""
    _write(session, company_id, wanted_at=database_now(), wanted_by=by)


def schedule(session: Session, company_id: int, next_run_at: datetime | None) -> None:
    """Set when the company's next run is due; None: not by the clock."""
    _write(session, company_id, next_run_at=next_run_at)


def _write(session: Session, company_id: int, **values: Any) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            postgresql.insert(CompanyWork)
            .values(company_id=company_id, **values)
            .on_conflict_do_update(index_elements=[CompanyWork.company_id], set_=values)
        )
    else:
        session.execute(
            sqlite.insert(CompanyWork)
            .values(company_id=company_id, **values)
            .on_conflict_do_update(index_elements=[CompanyWork.company_id], set_=values)
        )


def due(session: Session, now: datetime, limit: int) -> tuple[int, ...]:
    """Companies with something to do and nobody at it, longest waiting first.

    Something to do: the clock says so, somebody wanted a run after the last slice began, or a slice never ended
    (its lease has run out and was not given back: the process died).
    """
    return tuple(
        session.scalars(
            select(CompanyWork.company_id)
            .where(*_due_at(now))
            .order_by(nulls_first(CompanyWork.slice_started_at), CompanyWork.company_id)
            .limit(limit)
        )
    )


def _due_at(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Something to do, and nobody at it."""
    unfinished = and_(CompanyWork.lease_holder != "", CompanyWork.lease_until <= now)
    return (
        or_(CompanyWork.lease_until.is_(None), CompanyWork.lease_until <= now),
        or_(CompanyWork.next_run_at <= now, _wanted(), unfinished),
    )


def _wanted() -> ColumnElement[bool]:
    return or_(
        CompanyWork.wanted_at > CompanyWork.slice_started_at,
        and_(CompanyWork.wanted_at.is_not(None), CompanyWork.slice_started_at.is_(None)),
    )


def due_since(session: Session, now: datetime) -> tuple[datetime, ...]:
    """Since when each company that is due has been: its time, the wish, or the end of a lease that nobody gave back."""
    query = select(
        CompanyWork.next_run_at, CompanyWork.wanted_at, _wanted(), CompanyWork.lease_holder, CompanyWork.lease_until
    ).where(*_due_at(now))
    found = []
    for next_run_at, wanted_at, wanted, holder, lease_until in session.execute(query):
        times = [next_run_at, wanted_at if wanted else None, lease_until if holder else None]
        found.append(min((at for at in times if at is not None), default=now))
    return tuple(found)
