"""The clock: what is due stands in the database, is claimed there once, and lost nudges are found."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from addon.jobs import queue, schedule, tasks
from addon.services import due, runs
from addon.store import leases
from addon.store.models import Company, CompanyWork, RunRow
from tests.jobs.conftest import Works


def work_of(works: Works, company_id: int) -> CompanyWork:
    with works.town.services.db.open_reading() as session:
        return session.get_one(CompanyWork, company_id)


def set_next_run(works: Works, company_id: int, seconds: float) -> None:
    db = works.town.services.db
    with db.open() as session:
        leases.schedule(session, company_id, db.now(session) + timedelta(seconds=seconds))


def open_runs(works: Works, company_id: int) -> list[str]:
    with works.town.services.db.company_reading(company_id) as session:
        return [run.trigger for run in session.scalars(select(RunRow).where(RunRow.state == "running"))]


def test_nothing_is_due_before_its_time(works: Works) -> None:
    company_id = works.company(0)
    assert schedule.tick(works.town.services, works.redis_url) == 0
    next_run_at = work_of(works, company_id).next_run_at
    assert next_run_at is not None
    assert next_run_at > works.town.services.now()


def test_the_daily_time_makes_a_run_and_sets_the_next(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    company_id = works.company(0)
    monkeypatch.setattr(due, "_is_daily_time", lambda company, at: True)
    set_next_run(works, company_id, -1)
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: schedule.tick(works.town.services, works.redis_url), range(2)))
    assert sum(counts) >= 1
    assert open_runs(works, company_id) == ["clock"], "two clocks make one run"
    next_run_at = work_of(works, company_id).next_run_at
    assert next_run_at is not None
    assert timedelta(0) < next_run_at - works.town.services.now() <= timedelta(hours=25)
    assert company_id in works.town.nudged


def test_a_lost_nudge_is_found(works: Works) -> None:
    company_id = works.company(0)
    runs.want(works.town.services, company_id, "webhook")
    works.town.nudged.clear()
    assert schedule.tick(works.town.services, works.redis_url) == 1
    assert works.town.nudged == [company_id]


def test_a_slice_that_died_is_found_when_its_lease_has_run_out(works: Works) -> None:
    company_id = works.company(0)
    with works.town.services.db.open() as session:
        assert leases.take(session, company_id, "a worker that died", 0.05)
    works.town.nudged.clear()
    import time

    time.sleep(0.1)
    schedule.tick(works.town.services, works.redis_url)
    assert works.town.nudged == [company_id]


def test_a_stopped_company_is_checked_daily_and_runs_when_it_is_well(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    company_id = works.company(0)
    with works.town.services.db.open() as session:
        company = session.get_one(Company, company_id)
        company.state, company.stop_reason = "stopped", "clearing_account"
    monkeypatch.setattr(due, "_is_daily_time", lambda company, at: True)
    set_next_run(works, company_id, -1)
    schedule.tick(works.town.services, works.redis_url)
    assert queue.get_queue(works.redis_url).job_ids == [f"check-{company_id}"]
    monkeypatch.setattr(tasks, "_services", lambda: works.town.services)
    monkeypatch.setattr(tasks, "die_with_parent", lambda: None)
    tasks.check_company(company_id)
    with works.town.services.db.open_reading() as session:
        assert session.get_one(Company, company_id).state == "active"
    assert open_runs(works, company_id) == ["clock"]


def test_a_pause_ends_by_the_clock(works: Works) -> None:
    company_id = works.company(0)
    daily = work_of(works, company_id).next_run_at
    due.come_back(works.town.services, company_id, 3600)
    earlier = work_of(works, company_id).next_run_at
    due.come_back(works.town.services, company_id, 1_000_000)
    assert work_of(works, company_id).next_run_at == earlier
    assert daily is None or earlier is None or earlier <= daily
    set_next_run(works, company_id, -1)
    claimed = due.claim_due(works.town.services)
    assert [(entry.company_id, entry.by_clock, entry.daily) for entry in claimed] == [(company_id, True, False)]
    assert open_runs(works, company_id) == []


def test_a_late_nudge_over_finished_work_makes_no_run(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    company_id = works.company(0)
    monkeypatch.setattr(tasks, "_services", lambda: works.town.services)
    monkeypatch.setattr(tasks, "die_with_parent", lambda: None)
    runs.want(works.town.services, company_id, "click")
    tasks.run_slice(company_id)
    with works.town.services.db.company_reading(company_id) as session:
        before = [run.id for run in session.scalars(select(RunRow))]
    tasks.run_slice(company_id)
    with works.town.services.db.company_reading(company_id) as session:
        assert [run.id for run in session.scalars(select(RunRow))] == before
        assert {run.state for run in session.scalars(select(RunRow))} == {"done"}
