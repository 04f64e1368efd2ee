"""Real processes, killed at the worst of times: what they left is found, and each document stands once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from addon.jobs import queue
from addon.sandbox.world import World
from addon.services import runs
from tests.flow.house import Bed, House
from tests.flow.house import bed as make_bed
from tests.flow.test_exactly_once import WRITES
from tests.servers import RedisServer, wait_until
from tests.support.forks import Fork, Zygote, alive, children_of, kill
from tests.support.town import time_goes_by

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes")]

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
        "LEASE_S": "60",
        **more,
    }


Launch = Callable[..., Fork]


@pytest.fixture
def launch(zygote: Zygote) -> Iterator[Launch]:
    """Starts `kvitt …` as a process of its own; whatever is left is killed at the end, by its own id."""
    forks: list[Fork] = []

    def begin(environment: dict[str, str], *command: str) -> Fork:
        forks.append(zygote.start(command, environment))
        return forks[-1]

    yield begin
    for fork in forks:
        fork.kill()
        fork.wait(60)


@pytest.fixture
def start(bed: Bed, database: tuple[str, str | None], launch: Launch) -> Callable[[House], Fork]:
    """Starts a run of a house in a process of its own, at the time that it is there."""
    environment = environment_of(bed, database)

    def begin(house: House) -> Fork:
        return launch(environment, "run", str(house.company_id), house.world.clock.now().isoformat())

    return begin


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
    bed: Bed, start: Callable[[House], Fork], kind: str
) -> None:
    house = _three_documents_and_a_refund(bed)
    writes = WRITES if kind == "slow" else ("create customer", "create invoice", "book payment", "post voucher")
    faults = [house.fault(kind, WRITES[write], seconds=STALLED_S) for write in writes]
    deaths = 0
    for _ in range(len(faults) + 1):
        struck = sum(fault.struck for fault in faults)
        child = start(house)
        wait_until(lambda: sum(f.struck for f in faults) > struck or child.poll() is not None, "a stalled write")  # noqa: B023
        if child.poll() is not None:
            break
        child.kill()
        child.wait(60)
        deaths += 1
        _until_the_far_end_is_done(house)
        time_goes_by(house.town, house.company_id)
    assert child.wait(60) == 0, "the last one was left to finish"
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
def test_two_workers_on_one_company_do_not_get_in_each_others_way(bed: Bed, start: Callable[[House], Fork]) -> None:
    house = _three_documents_and_a_refund(bed)
    workers = [start(house), start(house)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    house.runs()
    house.all_is_well()


# --- RQ's worker and its work horse ---------------------------------------------------------------------------


@pytest.fixture
def moving(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town whose clock runs: workers look at the machine's own."""
    with make_bed(*database, world=World.build(webhooks=False, fortnox_call_limit=0)) as made:
        yield made


def test_workers_killed_alone_and_with_their_horses_leave_each_document_once(
    moving: Bed,
    database: tuple[str, str | None],
    redis_server: RedisServer,
    launch: Launch,
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
    launch(environment, "kvitt", "clock", "--tick", "0.5")
    points = ["create invoice", "book payment"]
    for number, point in enumerate(points):
        fault = house.fault("slow", WRITES[point], seconds=STALLED_S)
        redis_server.flush()  # and it forgets everything besides
        queue.nudge(redis_url, house.company_id)
        worker = launch(environment, "kvitt", "worker")
        wait_until(lambda: fault.struck > 0, f"{point} to stall")  # noqa: B023
        horses = children_of(worker.pid)
        assert len(horses) == 1
        if number % 2:
            kill(horses[0])
        worker.kill()
        worker.wait(60)
        wait_until(lambda: not any(alive(horse) for horse in horses), "the work horse's end")  # noqa: B023
        assert runs.view(services, house.company_id, run_id).state == "running"
        _until_the_far_end_is_done(house)
        time_goes_by(house.town, house.company_id)
    launch(environment, "kvitt", "worker")
    wait_until(lambda: runs.view(services, house.company_id, run_id).state == "done", "the run's end", 200)
    assert len(house.our_invoices()) == 3
    house.all_is_well()
