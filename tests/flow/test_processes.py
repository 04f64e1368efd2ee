"""Real processes, killed at the worst of times: what they left is found, and each document stands once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from addon.jobs import queue
from addon.jobs.redis_server import end_with_parent
from addon.sandbox.world import World
from addon.services import runs
from tests.flow import worker_child
from tests.flow.house import Bed, House
from tests.flow.house import bed as make_bed
from tests.flow.test_crash_points import time_goes_by
from tests.flow.test_exactly_once import WRITES
from tests.servers import RedisServer, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes")]

ROOT = Path(__file__).resolve().parents[2]
STALLED_S = 0.5


def environment_of(bed: Bed, database: tuple[str, str | None], **more: str) -> dict[str, str]:
    """What a process of Kvitt needs to work in a town."""
    url, owner_url = database
    return {
        **bed.town.running.environment(),
        "KVITT_ENV": "test",
        "DATABASE_URL": url,
        **({"DATABASE_OWNER_URL": owner_url} if owner_url else {}),
        "FORTNOX_CALLS_PER_5_S": "0",
        "LOOKUP_QUARANTINE_S": "1",
        "LEASE_S": "12",
        **more,
    }


@pytest.fixture
def start(bed: Bed, database: tuple[str, str | None]) -> Iterator[Callable[[House], BaseProcess]]:
    """Starts a run of a house in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flow.worker_child"])
    environment = environment_of(bed, database)
    children: list[BaseProcess] = []

    def begin(house: House) -> BaseProcess:
        now = house.world.clock.now().isoformat()
        child = context.Process(target=worker_child.work, args=(environment, house.company_id, now), daemon=True)
        child.start()
        children.append(child)
        return child

    yield begin
    for child in children:
        if child.is_alive():
            child.kill()
        child.join(10)


def _three_documents_and_a_refund(bed: Bed) -> House:
    house = bed.house(balance_currencies=("sek",))
    house.books.settings.rounds_to_whole_krona = True
    house.refunds(house.sells("2026-03-02", 1_000_30), "2026-03-04")
    house.sells("2026-03-03", 400_00)
    house.opens("plus")
    return house


@pytest.mark.parametrize(
    ("kind", "database"),
    [
        pytest.param("slow", "postgres", id="the write lands after the kill", marks=pytest.mark.postgres),
        pytest.param("timeout_before", "sqlite", id="the write never lands"),
    ],
    indirect=["database"],
)
def test_a_process_killed_at_each_write_leaves_each_document_once(
    bed: Bed, start: Callable[[House], BaseProcess], kind: str
) -> None:
    house = _three_documents_and_a_refund(bed)
    writes = WRITES if kind == "slow" else ("create customer", "create invoice", "book payment", "post voucher")
    faults = [house.fault(kind, WRITES[write], seconds=STALLED_S) for write in writes]
    deaths = 0
    for _ in range(len(faults) + 1):
        struck = sum(fault.struck for fault in faults)
        child = start(house)
        wait_until(lambda: sum(f.struck for f in faults) > struck or not child.is_alive(), "a stalled write", 60)  # noqa: B023
        if not child.is_alive():
            break
        child.kill()
        child.join(10)
        deaths += 1
        _until_the_far_end_is_done(house)
        time_goes_by(house)
    assert child.exitcode == 0, "the last one was left to finish"
    assert deaths >= len(faults) / 2, "several may be under way when it dies"
    assert all(fault.struck for fault in faults)
    assert len(house.books.customers) == 2
    house.runs()
    house.all_is_well()


def _until_the_far_end_is_done(house: House) -> None:
    """The far end goes on with what it had received: wait until it is idle."""
    calls = house.world.fortnox.calls
    seen = [-1]

    def idle() -> bool:
        before, seen[0] = seen[0], len(calls)
        return before == seen[0]

    time.sleep(STALLED_S + 0.2)
    wait_until(idle, "the far end", 60)


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_two_workers_on_one_company_do_not_get_in_each_others_way(
    bed: Bed, start: Callable[[House], BaseProcess]
) -> None:
    house = _three_documents_and_a_refund(bed)
    workers = [start(house), start(house)]
    for worker in workers:
        worker.join(90)
    assert [worker.exitcode for worker in workers] == [0, 0]
    house.runs()
    house.all_is_well()


# --- RQ's worker and its work horse ---------------------------------------------------------------------------


@pytest.fixture
def moving(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town whose clock runs: workers look at the machine's own."""
    with make_bed(*database, world=World.build(webhooks=False, fortnox_call_limit=0)) as made:
        yield made


@pytest.fixture
def launch() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `kvitt …`, in a session of its own; whatever is left is killed at the end, by its own id."""
    children: list[subprocess.Popen[bytes]] = []

    def begin(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "addon", *arguments],
            env={**os.environ, **environment},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait(10)


def _horses(worker: int) -> list[int]:
    """A worker's children that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == worker and state != "Z":
            found.append(int(path.parent.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_killed_alone_and_with_their_horses_leave_each_document_once(
    moving: Bed,
    database: tuple[str, str | None],
    redis_server: RedisServer,
    launch: Callable[..., subprocess.Popen[bytes]],
) -> None:
    redis_url = redis_server.url
    house = moving.house(balance_currencies=("sek",))
    today = moving.world.clock.now()
    for n in range(3):
        house.stripe.charge(100_00 + 100 * n, "sek", email=f"b{n}@example.com", metadata={"order_id": str(n)})
    house.opens("plus", today.date().replace(day=1).isoformat())
    environment = environment_of(moving, database, REDIS_URL=redis_url)
    services = house.town.services
    run_id = runs.want(services, house.company_id, "click")
    launch(environment, "clock", "--tick", "0.5")
    points = ["create invoice", "book payment"]
    for number, point in enumerate(points):
        fault = house.fault("slow", WRITES[point], seconds=STALLED_S)
        redis_server.flush()  # and it forgets everything besides
        queue.nudge(redis_url, house.company_id)
        worker = launch(environment, "worker")
        wait_until(lambda: fault.struck > 0, f"{point} to stall", 60)  # noqa: B023
        horses = _horses(worker.pid)
        assert len(horses) == 1
        if number % 2:
            os.kill(horses[0], signal.SIGKILL)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(10)
        wait_until(lambda: not any(_alive(horse) for horse in horses), "the work horse's end", 60)  # noqa: B023
        assert runs.view(services, house.company_id, run_id).state == "running"
        _until_the_far_end_is_done(house)
        time_goes_by(house)
    launch(environment, "worker")
    wait_until(lambda: runs.view(services, house.company_id, run_id).state == "done", "the run's end", 90)
    assert len(house.our_invoices()) == 3
    house.all_is_well()
