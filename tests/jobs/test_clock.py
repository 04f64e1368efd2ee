"""The clock: what is due stands in the database, is claimed there once, and lost nudges are found."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from rq.job import JobStatus
from sqlalchemy import select

from addon.jobs import queue, schedule, tasks
from addon.services import due, runs
from addon.services.context import Services
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


def test_work_goes_on_although_a_killed_workers_job_holds_the_other_name(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    company_id = works.company(1)
    services = works.town.services

    def nudge(number: int) -> None:
        queue.nudge(works.redis_url, number)

    kvitt = works.town.with_services(nudge=nudge)
    monkeypatch.setattr(tasks, "_services", lambda: kvitt.services)
    monkeypatch.setattr(tasks, "die_with_parent", lambda: None)
    runs.want(services, company_id, "click")
    for name in ("company", "company-next"):
        queue.nudge(works.redis_url, company_id)
        job_id = f"company-{company_id}" + ("-next" if name.endswith("next") else "")
        job = queue.get_queue(works.redis_url).fetch_job(job_id)
        assert job is not None
        queue.get_queue(works.redis_url).remove(job)
        job.set_status(JobStatus.STARTED)
    monkeypatch.setattr(runs, "run_slice", one_phase_of(runs.run_slice))
    tasks.run_slice(company_id)
    assert open_runs(works, company_id) == ["click"], "the slice ended before the run did"
    assert queue.get_queue(works.redis_url).job_ids == [], "both names are taken: the nudge was dropped"
    works.town.nudged.clear()
    schedule.tick(services, works.redis_url)
    assert works.town.nudged == [company_id]


def one_phase_of(run_slice: Callable[..., runs.SliceResult]) -> Callable[..., runs.SliceResult]:
    """Slices that have no time for more than one phase."""

    def short(services: Services, company_id: int) -> runs.SliceResult:
        return run_slice(replace(services, slice_s=0), company_id)

    return short


def test_a_run_that_met_a_fault_of_ours_is_tried_again_within_minutes(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    company_id = works.company(0)
    monkeypatch.setattr(tasks, "_services", lambda: works.town.services)
    monkeypatch.setattr(tasks, "die_with_parent", lambda: None)
    runs.want(works.town.services, company_id, "click")

    def broken(*_: object) -> runs.SliceResult:
        raise RuntimeError("a bug")

    monkeypatch.setattr(runs, "run_slice", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        tasks.run_slice(company_id)
    at = work_of(works, company_id).next_run_at
    assert at is not None
    assert at - works.town.services.now() < timedelta(minutes=2)
