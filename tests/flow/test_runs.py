"""Runs: what they cost, that they end, and that they go on wherever they were left."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from addon.core.delivery import PartState
from addon.jobs import schedule
from addon.services import booking, delivery, runs
from addon.store import leases
from addon.store.models import CompanyWork, DeliveryRow, RunRow
from tests.flow.house import Bed, House
from tests.support.town import WHO
from tests.support.turned import Ticking


def test_a_second_run_writes_nothing_and_its_reads_do_not_grow(bed: Bed) -> None:
    reads = []
    for sales in (1, 12):
        house = bed.house()
        for number in range(sales):
            charge = house.sells(f"2026-03-{2 + number:02}", 100_00 + number, "eur" if number % 3 == 2 else "sek")
            if number % 4 == 0:
                house.refunds(charge, f"2026-03-{4 + number:02}")
        house.opens("plus")
        house.runs()
        house.runs()
        house.world.fortnox.reset_calls()
        house.runs()
        assert house.writes() == 0
        reads.append(house.reads())
    assert reads[0] == reads[1]


def test_a_second_run_of_basic_does_not_search_again_for_what_waits(bed: Bed) -> None:
    reads = []
    for sales in (1, 9):
        house = bed.house(balance_currencies=("sek",))
        for number in range(sales):
            house.sells("2026-03-02", 100_00 + number, order=f"{sales}{number:03}")
            house.sells("2026-03-02", 500_00 + number, order=f"9{sales}{number:03}")
            house.invoices(f"9{sales}{number:03}", f"{500 + number / 100:.2f}", "2026-03-02")
        house.opens("basic")
        house.runs()
        assert house.waiting() == ["invoice"] * sales
        for minute in (10, 20):
            house.time(f"2026-03-20 10:{minute}")
            house.runs()
        house.world.fortnox.reset_calls()
        house.time("2026-03-20 10:30")
        house.runs()
        assert house.writes() == 0
        reads.append(house.reads())
        house.proves()
    assert reads[0] == reads[1]


def test_a_run_goes_on_slice_by_slice(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    house = bed.house()
    for number in range(2):
        house.refunds(house.sells(f"2026-03-{2 + number:02}", 100_00 + number), f"2026-03-{6 + number:02}")
    house.opens("plus")
    hurried = House(house.town.with_services(slice_s=4), house.business, house.company_id)
    monkeypatch.setattr(runs, "monotonic_time", Ticking())
    seen: list[str] = []
    view = runs.run_to_end(
        hurried.town.services, house.company_id, lambda view: seen.append(view.phase), patience_s=2000
    )
    assert view.state == "done"
    assert len(seen) > 6
    assert seen == sorted(seen, key=(*runs.PHASES, "done").index) or (seen.count("deliver") > 1), (
        "planning and delivering take turns"
    )
    house.all_is_well()


def test_a_run_that_gets_no_answer_ends_after_a_while_and_the_next_goes_on(
    plus: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.sells("2026-03-03", 500_00)
    plus.opens()
    monkeypatch.setattr(runs, "LONGEST_WAIT_S", 1.5)
    plus.fault("error_500_before", "POST /3/vouchers$", times=None)
    view = plus.runs()
    assert view.message == "writes_wait"
    assert plus.kinds() == {"sale": 2}
    assert view.counts["to_deliver"] == 4
    assert plus.proves()["SEK"].identity.not_booked.planned.minor != 0
    plus.world.fortnox.faults.clear()
    plus.sells("2026-03-20 09:59", 200_00)
    plus.runs()
    assert plus.kinds() == {"sale": 3, "fees": 2, "payout": 2}
    plus.all_is_well()


def test_a_far_end_that_is_down_from_the_start_fails_the_run_and_not_the_next(
    plus: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    monkeypatch.setattr(runs.monotonic_time, "sleep", lambda _: None)
    plus.fault("html_502_before", "GET /3/companyinformation", times=None)
    view = plus.runs("failed")
    assert "502" in view.message
    plus.world.fortnox.faults.clear()
    plus.runs()
    plus.all_is_well()


def test_a_run_that_breaks_ends_and_says_so(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    with monkeypatch.context() as patch:
        patch.setattr(runs.booking, "plan_pass", lambda *_: {}["a fault of ours"])
        view = plus.runs("failed")
    assert "KeyError" in view.message
    plus.runs()
    plus.all_is_well()


def asked_for(house: House) -> bool:
    """Whether the company's work is wanted by somebody since its last slice began, its daily time apart."""
    with house.rows() as session:
        work = session.get_one(CompanyWork, house.company_id)
        assert work.slice_started_at is not None and not work.lease_holder
        return work.wanted_at is not None and work.wanted_at > work.slice_started_at


def test_whoever_lost_the_lease_stops(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plan_pass = runs.booking.plan_pass
    robbed: list[int] = []

    def rob(*arguments, **more):  # type: ignore[no-untyped-def]
        result = plan_pass(*arguments, **more)
        if not robbed:
            robbed.append(1)
            with plus.town.services.db.company(plus.company_id) as session:
                work = session.get_one(CompanyWork, plus.company_id)
                work.lease_until -= timedelta(hours=1)
            with plus.town.services.db.company(plus.company_id) as session:
                assert leases.take(session, plus.company_id, "somebody else", 1.0)
        return result

    monkeypatch.setattr(runs.booking, "plan_pass", rob)
    result = runs.run_slice(plus.town.with_services(lease_s=60).services, plus.company_id, "click")
    assert result.busy
    assert not plus.our_invoices(), "nothing is sent under a lease that is gone"
    plus.runs()
    plus.all_is_well()


def test_what_a_slice_meets_whose_lease_ran_out_while_it_planned_is_its_successors_work(
    plus: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    services, store_plan = plus.town.with_services(lease_s=60).services, runs.booking.store_plan
    overtaken: list[runs.SliceResult] = []

    def slowly(session, *arguments, **more):  # type: ignore[no-untyped-def]
        if not overtaken:
            session.rollback()  # SQLite has one writer
            overtaken.append(runs.SliceResult(more=True, retry_in_s=0, run_id=None))
            with services.db.company(plus.company_id) as another:
                another.get_one(CompanyWork, plus.company_id).lease_until -= timedelta(hours=1)
            overtaken.append(runs.run_slice(services, plus.company_id))
        return store_plan(session, *arguments, **more)

    monkeypatch.setattr(runs.booking, "store_plan", slowly)
    result = runs.run_slice(services, plus.company_id, "click")
    assert result.busy
    assert not overtaken[1].busy
    run = runs.view(services, plus.company_id, int(result.run_id or 0))
    assert (run.state, run.message) == ("done", ""), "what the slow one met is not told as a fault"
    assert not asked_for(plus), "its successor has done it all"
    plus.all_is_well()


def test_a_plan_that_took_longer_than_its_lease_is_not_stored(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor may be planning the same: of two plans that are stored, the rightful one would be refused."""
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    services, keep = plus.town.with_services(lease_s=60).services, runs.booking.keep_opening_values
    slow: list[int] = []

    def slowly(session, *arguments):  # type: ignore[no-untyped-def]
        keep(session, *arguments)
        if not slow:
            slow.append(1)
            session.get_one(CompanyWork, plus.company_id).lease_until -= timedelta(hours=1)
            session.flush()

    monkeypatch.setattr(runs.booking, "keep_opening_values", slowly)
    result = runs.run_slice(services, plus.company_id, "click")
    assert result.busy
    assert not plus.documents(), "the plan was taken back"
    assert asked_for(plus), "nobody has taken over, so the clock must find it"
    plus.runs()
    plus.all_is_well()


def test_a_plan_of_very_many_movements_is_given_a_lease_that_fits(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits or is held is planned in one go: with a lease too short for it, it would be planned again for ever."""
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    services, keep = plus.town.with_services(lease_s=60).services, runs.booking.keep_opening_values
    left: list[float] = []

    def looking(session, *arguments):  # type: ignore[no-untyped-def]
        keep(session, *arguments)
        left.append(leases.left_s(session, plus.company_id, session.get_one(CompanyWork, plus.company_id).lease_holder))

    monkeypatch.setattr(runs.booking, "keep_opening_values", looking)
    monkeypatch.setattr(runs, "PLANNING_S", 400.0)
    runs.run_slice(services, plus.company_id, "click")
    assert left and left[0] > 300
    plus.runs()
    plus.all_is_well()


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_what_a_person_sets_aside_while_a_plan_is_stored_is_booked_or_set_aside_and_never_both(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus")
    told: list[int] = []

    def decides() -> None:
        wanted = house.part_ids(PartState.OPEN)
        told.append(booking.set_aside(house.town.services, house.company_id, wanted, WHO, "booked by hand"))

    person, keep = threading.Thread(target=decides), booking.keep_opening_values

    def meanwhile(session, *arguments):  # type: ignore[no-untyped-def]
        keep(session, *arguments)
        if not person.ident:
            person.start()
            person.join(0.5)  # it waits for its turn, which comes when this plan is stored

    monkeypatch.setattr(booking, "keep_opening_values", meanwhile)
    house.runs()
    person.join(60)
    assert told == [0], "it is told that nothing was set aside, for all of it was on its way by then"
    assert house.kinds()["sale"] == 1 and not house.part_ids(PartState.SET_ASIDE)
    house.all_is_well()


def test_two_threads_that_run_one_company_book_each_document_once(plus: House) -> None:
    for day in range(2, 8):
        plus.sells(f"2026-03-{day:02}", 100_00 + day)
    plus.opens()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            runs.run_to_end(plus.town.services, plus.company_id, patience_s=200)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert not errors
    plus.runs()
    plus.all_is_well()


def test_a_nudge_that_is_lost_is_made_again_by_the_clock(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    services, nudged = plus.town.services, plus.town.nudged
    runs.want(services, plus.company_id, "webhook")
    nudged.clear()  # lost on its way
    assert schedule.tick(services, None) == 1
    assert nudged == [plus.company_id]
    assert runs.run_slice(services, plus.company_id).run_id is not None


def test_a_wish_that_comes_while_a_slice_runs_is_not_forgotten(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    services, nudged = plus.town.services, plus.town.nudged
    plus.fault("call", "GET /3/sie/4", action=lambda: runs.want(services, plus.company_id, "webhook"))
    nudged.clear()
    plus.runs()
    assert nudged.count(plus.company_id) == 2, "once for the wish, once when the slice that it came into ended"
    with plus.rows() as session:
        assert [row.state for row in session.scalars(select(RunRow))] == ["done"]
    assert runs.run_slice(services, plus.company_id).run_id is not None


def test_a_company_that_a_prerequisite_stops_is_not_run_until_it_is_mended(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus")
    for year in house.books.years.values():
        year.method = "CASH"
    view = house.runs("failed")
    assert view.message == "accrual_method"
    assert not house.books.ledger
    for year in house.books.years.values():
        year.method = "ACCRUAL"
    house.runs()
    house.all_is_well()


def test_a_persons_voucher_on_the_clearing_account_is_named(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    plus.books.person_posts_voucher([(plus.clearing(), 25), (3740, -25)], description="Rättelse av Eva")
    identity = plus.identities()["SEK"].identity
    assert identity.difference.minor == -25_00
    (named,) = identity.named
    assert (named.name, named.amount.minor, named.text) == ("posting_by_person", 25_00, "Rättelse av Eva")


def test_a_write_whose_time_came_meanwhile_does_not_wait_for_one_that_is_in_doubt(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.sells("2026-03-09", 700_00)
    house.opens("plus")
    house.fault("rate_limited", "POST /3/invoices$", times=None)
    services = house.town.services
    assert runs.run_slice(services, house.company_id, "click").more
    with services.db.company(house.company_id) as session:
        now = services.db.now(session)
        query = select(DeliveryRow).where(DeliveryRow.kind == "create_invoice").order_by(DeliveryRow.id)
        turns = (now - timedelta(seconds=1), now + timedelta(hours=1))
        for row, turn in zip(session.scalars(query).all(), turns, strict=True):
            row.not_before = turn
    turn_at = delivery._next_turn_at(services, house.company_id, ())
    assert turn_at is not None and turn_at < now + timedelta(minutes=30)
