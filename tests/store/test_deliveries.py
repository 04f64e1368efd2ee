"""The outbox: each delivery has one holder at a time, in order, and nothing that may have landed is written blindly."""

import threading
import time
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from addon.core.accounts import Account, AccountRole
from addon.core.books import StepAnswer
from addon.core.delivery import DeliveryState
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    DateCreditNote,
    Invoice,
    InvoiceLine,
    PostVoucher,
    RoundInvoice,
    Settlement,
)
from addon.core.money import Money
from addon.store import deliveries
from addon.store.codec import decode
from addon.store.deliveries import Claimed, ClaimLost
from addon.store.models import DeliveryRow, DocumentRow
from tests.store.conftest import World, payment, voucher

LEASE_S = 60.0
QUARANTINE_S = 600.0
ANSWER = StepAnswer("17", voucher="K/1/2026")
NO_QUARANTINE = 0.0


def claim(world: World, delivery_id: int, **options: Any) -> Claimed | None:
    with world.db.company(world.first) as session:
        return deliveries.claim(
            session,
            delivery_id,
            options.pop("lease_s", LEASE_S),
            options.pop("quarantine_s", QUARANTINE_S),
            **options,
        )


def claimed(world: World, delivery_id: int, **options: Any) -> Claimed:
    found = claim(world, delivery_id, **options)
    assert found is not None
    return found


def record(world: World, function: Any, holder: Claimed, *arguments: Any, **options: Any) -> Any:
    with world.db.company(world.first) as session:
        return function(session, holder, *arguments, **options)


def book(world: World, holder: Claimed) -> bool:
    done: bool = record(world, deliveries.record_booked, holder, ANSWER)
    return done


def ready(world: World, limit: int = 10, quarantine_s: float = QUARANTINE_S) -> list[int]:
    with world.db.company_reading(world.first) as session:
        return [entry.delivery_id for entry in deliveries.next_ready(session, limit, quarantine_s)]


def row(world: World, delivery_id: int) -> DeliveryRow:
    with world.db.company_reading(world.first) as session:
        return session.get_one(DeliveryRow, delivery_id)


def document_state(world: World, delivery_id: int) -> str:
    with world.db.company_reading(world.first) as session:
        return session.scalars(
            select(DocumentRow.state).join(DeliveryRow, DeliveryRow.document_id == DocumentRow.id)
            .where(DeliveryRow.id == delivery_id)
        ).one()  # fmt: skip


def shift(world: World, delivery_id: int, **columns: float) -> None:
    """Move instants of a delivery into the past, by seconds: the tests' way of waiting."""
    with world.db.company(world.first) as session:
        delivery = session.get_one(DeliveryRow, delivery_id)
        for name, seconds in columns.items():
            setattr(delivery, name, getattr(delivery, name) - timedelta(seconds=seconds))


# --- Order -------------------------------------------------------------------------------------------------------


def test_a_document_is_delivered_step_by_step_until_it_is_booked(world: World) -> None:
    create, settle = world.plan(payment("a", "1"))
    assert ready(world) == [create]
    assert claim(world, settle) is None, "not before the step before it"
    first = claimed(world, create)
    assert (first.attempt, first.look_first, first.doubtful) == (1, False, False)
    assert isinstance(first.step, CreatePayment)
    # SQLite asks its clock for each of them anew.
    assert (first.lease_until - first.attempted_at).total_seconds() == pytest.approx(LEASE_S, abs=20)
    assert (first.first_attempted_at - first.attempted_at).total_seconds() == pytest.approx(0, abs=20)
    assert document_state(world, create) == "sending"
    assert ready(world) == []
    assert book(world, first) is False
    assert ready(world) == [settle]
    second = claimed(world, settle)
    assert isinstance(second.step, BookPayment)
    assert book(world, second) is True
    assert ready(world) == []
    assert document_state(world, create) == "booked"
    booked = row(world, create)
    assert (booked.state, booked.reference, booked.needs_lookup, booked.lease_until) == ("booked", "17", False, None)
    assert decode(StepAnswer, booked.answer) == ANSWER
    assert booked.booked_at is not None
    assert booked.ended_at is not None


def test_one_delivery_of_each_document_oldest_first(world: World) -> None:
    plans = [world.plan(payment(name, number)) for name, number in (("a", "1"), ("b", "2"), ("c", "3"))]
    assert ready(world) == [plan[0] for plan in plans]
    assert ready(world, limit=2) == [plan[0] for plan in plans[:2]]


def test_proposed_and_held_documents_are_left_alone(world: World) -> None:
    proposed = world.plan(payment("a", "1"), DeliveryState.PROPOSED)
    held = world.plan(payment("b", "2"))
    with world.db.company(world.first) as session:
        session.get_one(DeliveryRow, held[0])
        session.execute(update(DocumentRow).where(DocumentRow.key == "b").values(state="rejected"))
    assert ready(world) == []
    assert claim(world, proposed[0]) is None
    assert claim(world, held[0]) is None
    with world.db.company(world.first) as session:
        ids = session.scalars(select(DocumentRow.id)).all()
        assert deliveries.approve(session, ids) == 1
    assert ready(world) == [proposed[0]]
    with world.db.company_reading(world.first) as session:
        approved = session.scalars(select(DocumentRow).where(DocumentRow.key == "a")).one()
        assert approved.approved_at is not None


def test_another_companys_deliveries_are_neither_seen_nor_claimed_nor_in_the_way(world: World) -> None:
    theirs = world.plan(payment("a", "1"), company_id=world.second)
    ours = world.plan(payment("a", "1"))
    assert ready(world) == [ours[0]]
    assert claim(world, theirs[0]) is None
    with world.db.company(world.second) as session:
        assert deliveries.claim(session, theirs[0], LEASE_S, QUARANTINE_S) is not None
    assert claim(world, ours[0]) is not None


# --- Alone -------------------------------------------------------------------------------------------------------


def test_one_write_at_a_time_on_an_invoice_whichever_document_it_is_for(world: World) -> None:
    first, second, elsewhere = (
        world.plan(payment(key, number)) for key, number in (("a", "1"), ("b", "1"), ("c", "2"))
    )
    assert ready(world) == [first[0], elsewhere[0]]
    holder = claimed(world, first[0])
    assert ready(world) == [elsewhere[0]]
    assert claim(world, second[0]) is None
    book(world, holder)
    assert ready(world) == [first[1], elsewhere[0]]
    holder = claimed(world, first[1])
    record(world, deliveries.record_unknown, holder, QUARANTINE_S)
    # Nobody knows whether it landed: payments are known by their count, so nothing may be added meanwhile.
    assert ready(world) == [elsewhere[0]]
    assert claim(world, second[0]) is None
    shift(world, first[1], not_before=QUARANTINE_S)
    book(world, claimed(world, first[1]))
    assert ready(world) == [second[0], elsewhere[0]]


def test_try_later_leaves_the_invoice_to_others(world: World) -> None:
    first, second = world.plan(payment("a", "1")), world.plan(payment("b", "1"))
    record(world, deliveries.record_try_later, claimed(world, first[0]), timedelta(seconds=100))
    assert ready(world) == [second[0]]
    assert claim(world, second[0]) is not None


def test_vouchers_go_one_at_a_time(world: World) -> None:
    first, second = world.plan(voucher("a")), world.plan(voucher("b"))
    assert ready(world) == first
    holder = claimed(world, first[0])
    assert claim(world, second[0]) is None
    assert book(world, holder) is True
    assert ready(world) == second


def test_two_unknown_outcomes_on_one_invoice_do_not_block_each_other_for_ever(world: World) -> None:
    # Our own rules do not let this happen; a restored database may have it.
    first, second = world.plan(payment("a", "1")), world.plan(payment("b", "1"))
    with world.db.company(world.first) as session:
        for delivery_id in (first[0], second[0]):
            delivery = session.get_one(DeliveryRow, delivery_id)
            delivery.attempt, delivery.needs_lookup = 1, True
    assert ready(world) == [first[0]]
    assert claim(world, second[0]) is None
    book(world, claimed(world, first[0]))
    assert claim(world, second[0]) is not None


def test_the_table_itself_refuses_two_writes_under_way(world: World) -> None:
    create, settle = world.plan(payment("a", "1"))
    other = world.plan(payment("b", "1"))
    claimed(world, create)
    for trespasser in (settle, other[0]):
        with pytest.raises(IntegrityError), world.db.company(world.first) as session:
            session.get_one(DeliveryRow, trespasser).state = "sending"


def test_what_each_kind_of_step_is_alone_on() -> None:
    account = Account(AccountRole.SALES, "3001")
    total = Money(100, "SEK")
    customer = Customer("buyer/7", "Anna", CustomerVat.DOMESTIC)
    line = InvoiceLine("Sale", total, 25, account)
    day = date(2026, 3, 2)
    invoice = Invoice("k", customer, day, (line,), total, total.to_decimal())
    settlement = Settlement("s", total, None, day, account)
    steps = (
        CreateCustomer("1", customer),
        CreateInvoice("inv", invoice, "1"),
        RoundInvoice("2", "inv", invoice),
        BookInvoice("3", "inv", invoice),
        CreatePayment("4", settlement, invoice_key="inv"),
        BookPayment("5", "4"),
        CreditInvoice("6", "inv", -total, day, ""),
        DateCreditNote("7", "6", "k", day, ""),
        CreatePayment("8", settlement, invoice_number="1001"),
        BookPayment("9", "8"),
    )
    assert deliveries.alone_on(steps) == {
        "1": "customer/buyer/7",
        **dict.fromkeys(("inv", "2", "3", "4", "5", "6"), "invoice/inv"),
        "7": "invoice/6",
        "8": "number/1001",
        "9": "number/1001",
    }
    assert set(deliveries.alone_on(voucher("v").steps).values()) == {deliveries.VOUCHERS}
    assert isinstance(voucher("v").steps[0], PostVoucher)


# --- Concurrency -------------------------------------------------------------------------------------------------


def run_at_once(number: int, work: Any) -> None:
    start = threading.Barrier(number)
    failures: list[BaseException] = []

    def body(index: int) -> None:
        try:
            start.wait(90)
            work(index)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=body, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []


def test_many_workers_each_delivery_to_one(world: World) -> None:
    ids = [world.plan(payment(f"p{n}", str(n)))[0] for n in range(12)]
    won: list[int] = []

    def work(index: int) -> None:
        for delivery_id in ids:
            if claim(world, delivery_id) is not None:
                won.append(delivery_id)

    run_at_once(6, work)
    assert sorted(won) == ids
    assert {row(world, delivery_id).attempt for delivery_id in ids} == {1}


def test_many_workers_one_invoice(world: World) -> None:
    ids = [world.plan(payment(f"p{n}", "1"))[0] for n in range(6)]
    won: list[int] = []

    def work(index: int) -> None:
        if claim(world, ids[index]) is not None:
            won.append(ids[index])

    run_at_once(6, work)
    assert len(won) == 1


def test_workers_that_ask_and_claim_deliver_everything_once(world: World) -> None:
    for n in range(8):
        world.plan(payment(f"p{n}", str(n // 2)))
    written: list[str] = []

    def work(index: int) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with world.db.company_reading(world.first) as session:
                left = session.scalar(select(func.count(DeliveryRow.id)).where(DeliveryRow.state != "booked"))
            if not left:
                return
            for delivery_id in ready(world):
                holder = claim(world, delivery_id)
                if holder is not None:
                    written.append(holder.key)
                    book(world, holder)
        raise AssertionError("did not finish")

    run_at_once(4, work)
    assert sorted(written) == sorted(f"p{n}/{step}" for n in range(8) for step in ("payment", "book"))
    with world.db.company_reading(world.first) as session:
        assert set(session.scalars(select(DocumentRow.state))) == {"booked"}


# --- Crashes and doubts ------------------------------------------------------------------------------------------


def test_a_vanished_holder_is_taken_over_after_lease_and_quarantine_in_doubt(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    first = claimed(world, delivery_id)
    assert row(world, delivery_id).needs_lookup, "set before a byte leaves"
    shift(world, delivery_id, lease_until=LEASE_S + 1)
    assert claim(world, delivery_id) is None, "the lease is over, the quarantine is not"
    assert ready(world) == []
    shift(world, delivery_id, lease_until=QUARANTINE_S)
    assert ready(world) == [delivery_id]
    second = claimed(world, delivery_id)
    assert (second.attempt, second.look_first, second.doubtful) == (2, True, True)
    assert second.first_attempted_at == first.first_attempted_at
    for late in (
        lambda: book(world, first),
        lambda: record(world, deliveries.record_rejected, first, "1", "no"),
        lambda: record(world, deliveries.record_try_later, first, timedelta(seconds=1)),
        lambda: record(world, deliveries.record_unknown, first, QUARANTINE_S),
        lambda: record(world, deliveries.record_miss, first, QUARANTINE_S),
    ):
        with pytest.raises(ClaimLost):
            late()
    assert row(world, delivery_id).state == "sending"
    assert book(world, second) is False
    with pytest.raises(ClaimLost):
        book(world, second)


def test_with_an_idempotency_key_there_is_no_quarantine(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    claimed(world, delivery_id)
    shift(world, delivery_id, lease_until=LEASE_S + 1)
    assert claimed(world, delivery_id, quarantine_s=NO_QUARANTINE).attempt == 2


def test_a_holder_that_is_slow_but_alone_may_still_record(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    holder = claimed(world, delivery_id)
    shift(world, delivery_id, lease_until=LEASE_S + 1)
    assert book(world, holder) is False


def test_try_later_means_that_nothing_happened(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_try_later, claimed(world, delivery_id), timedelta(seconds=30), "busy")
    waiting = row(world, delivery_id)
    assert (waiting.state, waiting.needs_lookup, waiting.error_message) == ("approved", False, "busy")
    assert claim(world, delivery_id) is None
    assert ready(world) == []
    shift(world, delivery_id, not_before=31)
    again = claimed(world, delivery_id)
    assert (again.attempt, again.look_first, again.doubtful) == (2, False, False)


def test_try_later_does_not_clear_an_older_doubt(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_unknown, claimed(world, delivery_id), QUARANTINE_S)
    assert claim(world, delivery_id) is None, "not before the quarantine is over"
    shift(world, delivery_id, not_before=QUARANTINE_S)
    second = claimed(world, delivery_id)
    assert (second.look_first, second.doubtful) == (True, True)
    record(world, deliveries.record_try_later, second, timedelta(0))
    third = claimed(world, delivery_id)
    assert (third.look_first, third.doubtful) == (True, True)


def test_not_there_counts_when_said_twice_a_tenth_of_the_quarantine_apart(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_unknown, claimed(world, delivery_id), QUARANTINE_S)
    shift(world, delivery_id, not_before=QUARANTINE_S)
    assert record(world, deliveries.record_miss, claimed(world, delivery_id), QUARANTINE_S) is False
    assert claim(world, delivery_id) is None, "a tenth of the quarantine must pass"
    shift(world, delivery_id, not_before=QUARANTINE_S / 10)
    early = claimed(world, delivery_id)
    assert early.misses == 1
    assert record(world, deliveries.record_miss, early, QUARANTINE_S) is False, (
        "the clock was turned, the miss is fresh"
    )
    shift(world, delivery_id, not_before=QUARANTINE_S / 10, missed_at=QUARANTINE_S / 10)
    second = claimed(world, delivery_id)
    assert record(world, deliveries.record_miss, second, QUARANTINE_S) is True
    writing = row(world, delivery_id)
    assert (writing.state, writing.needs_lookup, writing.misses) == ("sending", True, 0)
    # It is put off: what its first attempt asked for may come to pass meanwhile, so that it is looked for anew.
    record(world, deliveries.record_try_later, second, timedelta(0))
    third = claimed(world, delivery_id)
    assert (third.look_first, third.doubtful, third.misses) == (True, True, 0)


def test_a_doubt_is_looked_for_a_dozen_times_and_then_left_to_the_fence(world: World) -> None:
    """Where looking leaves no time to write, looking each time would go on for ever."""
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_unknown, claimed(world, delivery_id), NO_QUARANTINE)
    looked = []
    for _ in range(30):
        holder = claimed(world, delivery_id)
        if holder.look_first:
            looked.append(holder.attempt)
            if not record(world, deliveries.record_miss, holder, NO_QUARANTINE):
                continue
        record(world, deliveries.record_try_later, holder, timedelta(0))
    assert looked == list(range(2, max(looked) + 1)) and deliveries.LOOKS_AGAIN <= max(looked) <= 15
    assert claimed(world, delivery_id).doubtful


def test_a_crash_after_two_misses_needs_two_of_its_own(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_unknown, claimed(world, delivery_id), NO_QUARANTINE)
    assert record(world, deliveries.record_miss, claimed(world, delivery_id), NO_QUARANTINE) is False
    assert record(world, deliveries.record_miss, claimed(world, delivery_id), NO_QUARANTINE) is True
    shift(world, delivery_id, lease_until=LEASE_S + QUARANTINE_S + 1)
    after = claimed(world, delivery_id)
    assert (after.look_first, after.misses) == (True, 0)
    assert record(world, deliveries.record_miss, after, QUARANTINE_S) is False


def test_after_a_restore_first_attempts_look_first(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    holder = claimed(world, delivery_id, always_look=True)
    assert (holder.look_first, holder.doubtful) == (True, False)
    record(world, deliveries.record_try_later, holder, timedelta(0))
    assert claimed(world, delivery_id).look_first


def test_a_refusal_waits_for_a_person_who_may_try_again(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_rejected, claimed(world, delivery_id), "2000108", "Konto 1580 är inte aktivt")
    refused = row(world, delivery_id)
    assert (refused.state, refused.error_code, refused.needs_lookup) == ("rejected", "2000108", False)
    assert document_state(world, delivery_id) == "rejected"
    assert ready(world) == []
    with world.db.company(world.first) as session:
        assert deliveries.reopen(session, delivery_id)
        assert not deliveries.reopen(session, delivery_id)
    assert ready(world) == [delivery_id]
    again = claimed(world, delivery_id)
    assert (again.attempt, again.look_first) == (2, False)
    book(world, again)
    assert row(world, delivery_id).error_code == ""


def test_a_refused_look_up_leaves_the_doubt(world: World) -> None:
    delivery_id = world.plan(payment("a", "1"))[0]
    record(world, deliveries.record_unknown, claimed(world, delivery_id), NO_QUARANTINE)
    record(world, deliveries.record_rejected, claimed(world, delivery_id), "403", "no right", while_looking=True)
    with world.db.company(world.first) as session:
        deliveries.reopen(session, delivery_id)
    assert claimed(world, delivery_id).look_first


def test_when_the_next_turn_comes(world: World) -> None:
    def turn() -> float | None:
        with world.db.company_reading(world.first) as session:
            at = deliveries.next_turn_at(session, QUARANTINE_S)
            return None if at is None else (at - world.db.now(session)).total_seconds()

    assert turn() is None
    delivery_id = world.plan(voucher("a"))[0]
    assert turn() == pytest.approx(0, abs=5)
    holder = claimed(world, delivery_id)
    assert turn() == pytest.approx(LEASE_S + QUARANTINE_S, abs=5)
    record(world, deliveries.record_try_later, holder, timedelta(seconds=100))
    assert turn() == pytest.approx(100, abs=5)
    shift(world, delivery_id, not_before=100)
    book(world, claimed(world, delivery_id))
    assert turn() is None
