"""Real workers, as processes over a real Redis: they finish what is wanted, and leave no orphan behind."""

import signal
from collections.abc import Callable

import pytest
from sqlalchemy import select

from addon.jobs import queue
from addon.sandbox.fortnox.faults import Fault
from addon.services import runs
from addon.store.models import CompanyWork, DeliveryRow
from tests.jobs.conftest import Works
from tests.servers import wait_until
from tests.support.forks import Fork, alive, children_of
from tests.support.town import time_goes_by

# Processes start in seconds, on a machine that is busy with other tests in tens of them.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workers"), pytest.mark.timeout(500)]

Take = Callable[[Fork], Fork]


def run_state(works: Works, company_id: int, run_id: int) -> str:
    return runs.view(works.town.services, company_id, run_id).state


def test_a_worker_finishes_what_was_wanted(works: Works, ended: Take) -> None:
    company_id = works.company(2)
    run_id = runs.want(works.town.services, company_id, "click")
    queue.nudge(works.redis_url, company_id)
    worker = ended(works.start("worker", "--burst"))
    assert worker.wait(100) == 0
    found = runs.view(works.town.services, company_id, run_id)
    assert (found.state, found.message) == ("done", "")
    assert len(works.town.documents(company_id, "sale")) == 2
    assert queue.size(works.redis_url) == 0


def test_a_worker_that_is_told_to_stop_finishes_the_write_and_hands_the_rest_over(works: Works, ended: Take) -> None:
    company_id = works.company(2)
    slow = works.town.world.fortnox.faults.add(Fault("slow", "POST /3/invoices$", times=1, seconds=1))
    run_id = runs.want(works.town.services, company_id, "click")
    queue.nudge(works.redis_url, company_id)
    worker = ended(works.start("worker"))
    wait_until(lambda: slow.struck > 0, "an invoice under way", 90)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert run_state(works, company_id, run_id) == "running"
    with works.town.services.db.company_reading(company_id) as session:
        work = session.get_one(CompanyWork, company_id)
        assert (work.lease_holder, work.lease_until) == ("", None), "the slice was given back"
        assert not list(session.scalars(select(DeliveryRow.id).where(DeliveryRow.state == "sending")))
        assert not list(session.scalars(select(DeliveryRow.id).where(DeliveryRow.needs_lookup))), "nothing is in doubt"
    assert queue.size(works.redis_url) == 1, "the next worker is called at once"
    works.town.run(company_id)
    assert run_state(works, company_id, run_id) == "done"
    assert len(works.town.documents(company_id, "sale")) == 2


def test_a_killed_worker_takes_its_work_horse_along_and_the_sweep_finishes(works: Works, ended: Take) -> None:
    company_id = works.company(1)
    # Their side carries the request out after two seconds, well within the lease: it lands, and must be found.
    slow = works.town.world.fortnox.faults.add(Fault("slow", "POST /3/invoices$", times=1, seconds=2))
    run_id = runs.want(works.town.services, company_id, "click")
    queue.nudge(works.redis_url, company_id)
    worker = ended(works.start("worker"))
    wait_until(lambda: slow.struck > 0, "the invoice under way")
    horses = children_of(worker.pid)
    assert horses, "the job runs in a process of its own"
    worker.kill()
    worker.wait(60)
    wait_until(lambda: not any(alive(horse) for horse in horses), "the work horse's end")
    assert run_state(works, company_id, run_id) == "running"
    (books,) = works.town.world.fortnox.companies.values()
    wait_until(lambda: len(books.invoices) == 1, "what was under way to land")
    time_goes_by(works.town, company_id)
    ended(works.start("worker"))
    ended(works.start("clock", "--tick", "0.5"))
    wait_until(lambda: run_state(works, company_id, run_id) == "done", "the run's end", 200)
    (invoice,) = books.invoices.values()
    assert (invoice.booked, invoice.balance, invoice.cancelled) == (True, 0, False)


def test_an_emptied_redis_loses_nothing(works: Works, ended: Take) -> None:
    from redis import Redis

    company_id = works.company(1)
    run_id = runs.want(works.town.services, company_id, "click")
    queue.nudge(works.redis_url, company_id)
    Redis.from_url(works.redis_url).flushall()
    ended(works.start("worker"))
    ended(works.start("clock", "--tick", "0.5"))
    wait_until(lambda: run_state(works, company_id, run_id) == "done", "the run's end", 200)


def test_a_killed_web_server_leaves_nobody_behind_that_keeps_the_next_one_out(works: Works, ended: Take) -> None:
    import urllib.request

    from addon.jobs.redis_server import free_port

    port = free_port()
    works.environment["PUBLIC_URL"] = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=20) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    server = ended(works.start("serve", "--port", str(port), "--workers", "1"))
    wait_until(ready, "the pages", 200)
    (behind,) = children_of(server.pid)
    server.kill()
    server.wait(60)
    wait_until(lambda: not alive(behind) and not ready(), "the end of the web server that it had started")
    server = ended(works.start("serve", "--port", str(port), "--workers", "1"))
    wait_until(ready, "the pages of the next one", 200)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
