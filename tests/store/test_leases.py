"""One slice of work per company at a time; whatever dies is found again."""

import threading
import time
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from addon.store import leases
from addon.store.leases import Released
from tests.store.conftest import World


def take(world: World, holder: str, lease_s: float = 60, company_id: int | None = None) -> bool:
    with world.db.open() as session:
        return leases.take(session, company_id or world.first, holder, lease_s)


def want(world: World, company_id: int | None = None) -> None:
    with world.db.open() as session:
        leases.want(session, company_id or world.first, "person")


def due(world: World, limit: int = 1000, later_s: float = 0) -> tuple[int, ...]:
    with world.db.open_reading() as session:
        found = leases.due(session, world.db.now(session) + timedelta(seconds=later_s), limit)
    assert len(found) <= limit
    return tuple(company_id for company_id in found if company_id in (world.first, world.second))


def test_only_one_holder_at_a_time_and_the_next_after_release(world: World) -> None:
    want(world)
    assert take(world, "a")
    assert not take(world, "b")
    assert not take(world, "a"), "a holder's name is for one slice"
    with world.db.open() as session:
        assert leases.release(session, world.first, "b") == Released(was_held=False, wanted_again=False)
        assert leases.release(session, world.first, "a") == Released(was_held=True, wanted_again=False)
    assert take(world, "b")


def test_companies_do_not_wait_for_each_other(world: World) -> None:
    want(world)
    want(world, world.second)
    assert take(world, "a")
    assert take(world, "b", company_id=world.second)


def test_of_many_takers_one_gets_the_lease(world: World) -> None:
    want(world)
    winners: list[str] = []
    ready = threading.Barrier(6)

    def attempt(name: str) -> None:
        ready.wait(90)
        if take(world, name):
            winners.append(name)

    threads = [threading.Thread(target=attempt, args=(f"worker {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(winners) == 1


def test_a_lease_runs_out_and_cannot_be_renewed_afterwards(world: World) -> None:
    want(world)
    assert take(world, "a", lease_s=0.1)
    time.sleep(0.15)
    with world.db.open() as session:
        assert leases.left_s(session, world.first, "a") == 0
        assert not leases.renew(session, world.first, "a", 60)
    assert take(world, "b")
    with world.db.open() as session:
        assert not leases.renew(session, world.first, "a", 60)
        # The one that was late gives nothing up that is another's.
        assert not leases.release(session, world.first, "a").was_held
        assert leases.left_s(session, world.first, "b") > 50


def test_renewing_counts_from_now(world: World) -> None:
    want(world)
    assert take(world, "a", lease_s=60)
    with world.db.open() as session:
        assert 0 < leases.left_s(session, world.first, "a") <= 60
        assert leases.renew(session, world.first, "a", 1000)
        assert 900 < leases.left_s(session, world.first, "a") <= 1000
        assert leases.left_s(session, world.first, "b") == 0


def test_a_wish_during_the_slice_is_told_when_it_ends(world: World) -> None:
    want(world)
    assert take(world, "a")
    want(world)
    with world.db.open() as session:
        assert leases.release(session, world.first, "a") == Released(was_held=True, wanted_again=True)
    assert due(world) == (world.first,)


def test_due_is_what_was_wanted_what_the_clock_says_and_what_never_ended(world: World) -> None:
    assert due(world) == ()
    want(world)
    assert due(world) == (world.first,)
    assert take(world, "a")
    assert due(world) == (), "somebody is at it"
    with world.db.open() as session:
        leases.release(session, world.first, "a")
    assert due(world) == (), "the wish was fulfilled"

    def at(session: Session, seconds: float) -> datetime:
        return world.db.now(session) + timedelta(seconds=seconds)

    with world.db.open() as session:
        leases.schedule(session, world.first, at(session, 3600))
        leases.schedule(session, world.second, at(session, -1))
    assert due(world) == (world.second,)
    assert set(due(world, later_s=3700)) == {world.first, world.second}
    assert len(due(world, limit=1, later_s=3700)) <= 1
    with world.db.open() as session:
        leases.schedule(session, world.second, None)
    assert due(world) == ()

    assert take(world, "dies", lease_s=0.05)
    time.sleep(0.1)
    assert due(world) == (world.first,), "its process died: nobody gave the lease back"


def test_a_company_that_nobody_ever_wanted_has_no_lease(world: World) -> None:
    assert not take(world, "a", company_id=world.second)


def test_a_companys_own_session_may_hold_its_lease_too(world: World) -> None:
    want(world)
    with world.db.company(world.first) as session:
        assert leases.take(session, world.first, "a", 60)
        assert leases.left_s(session, world.first, "a") > 50
