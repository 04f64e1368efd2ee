"""What is due: companies whose time has come, whose work was asked for and lost, or whose pause is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from addon.core.dates import next_daily_run
from addon.services.context import Services
from addon.store import leases
from addon.store.models import Company, CompanyWork, RunRow


@dataclass(frozen=True, slots=True)
class Due:
    """A company with something to do. `by_clock`: its daily time (or the end of a pause) has come, just now."""

    company_id: int
    state: str
    by_clock: bool
    daily: bool
    """Whether it is the daily run, not the end of a pause."""


def claim_due(services: Services, limit: int = 200) -> tuple[Due, ...]:
    """Find what is due and set each company's next time; of several clocks only one gets a company's turn."""
    with services.db.open() as session:
        now = services.db.now(session)
        found = []
        for company_id in leases.due(session, now, limit):
            company = session.get(Company, company_id)
            work = session.get(CompanyWork, company_id)
            if company is None or work is None:
                continue
            by_clock = daily = False
            at = work.next_run_at
            if at is not None and at <= now:
                following = _next_daily(company, now)
                claimed = session.execute(
                    update(CompanyWork)
                    .where(CompanyWork.company_id == company_id, CompanyWork.next_run_at == at)
                    .values(next_run_at=following)
                    .returning(CompanyWork.company_id),
                    execution_options={"synchronize_session": False},
                ).first()
                if claimed is None:
                    continue
                by_clock = True
                daily = _is_daily_time(company, at)
                # The turn is taken and its time moved on: should the nudge be lost, the wish is still found.
                leases.want(session, company_id, "clock")
            found.append(Due(company_id, company.state, by_clock, daily))
    return tuple(found)


def _next_daily(company: Company, now: datetime) -> datetime | None:
    if company.state not in ("active", "stopped"):
        return None
    return next_daily_run(now, ZoneInfo(company.time_zone), company.daily_at)


def _is_daily_time(company: Company, at: datetime) -> bool:
    return next_daily_run(at - timedelta(seconds=1), ZoneInfo(company.time_zone), company.daily_at) == at


def wish(services: Services, company_id: int) -> None:
    """Note between two slices that the work goes on, so that it is found although this process dies or a nudge is lost.

    The next slice fulfils it by beginning.
    """
    with services.db.open() as session:
        leases.want(session, company_id, "slice")


def come_back(services: Services, company_id: int, pause_s: float) -> None:
    """Have the clock return to a company after a pause, if its next time is not earlier anyway."""
    with services.db.open() as session:
        at = services.db.now(session) + timedelta(seconds=pause_s)
        work = session.get(CompanyWork, company_id)
        if work is not None and (work.next_run_at is None or work.next_run_at > at):
            leases.schedule(session, company_id, at)


def has_work(services: Services, company_id: int) -> bool:
    """Whether a nudge still means something: a run is open, or one was wanted since the last slice began."""
    with services.db.company_reading(company_id) as session:
        if session.scalar(select(RunRow.id).where(RunRow.state == "running").limit(1)) is not None:
            return True
        work = session.get(CompanyWork, company_id)
        if work is None or work.wanted_at is None:
            return False
        return work.slice_started_at is None or work.wanted_at > work.slice_started_at
