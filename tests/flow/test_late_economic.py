"""Requests that e-conomic carries out after they were given up: before we look, between looks, when we tried again.

Within the hour a repeated key gives the first answer again, so that what comes late makes nothing. Some of these come
when the hour is over, too. Quarantines are as long as in production, and time goes on by sleeping.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from addon.sandbox.economic import Fault
from addon.sandbox.world import World
from addon.services import runs
from addon.services.delivery import MOST_ATTEMPTS
from addon.store.models import DeliveryRow
from tests.flow.firm import NOW, Firm, firm_in, run_out
from tests.support.turned import turned
from tests.support.wire import Wire, put_between

DRAFT, BOOK = "POST /rest/invoices/drafts$", "POST /rest/invoices/booked$"
ENTER, BOOK_ENTRIES = "POST .*/draft-entries/bulk$", "POST .*/bookdraftentries$"
WRITES = {
    "sales": (DRAFT, BOOK, ENTER, BOOK_ENTRIES),
    "refunds": (DRAFT, BOOK, ENTER, BOOK_ENTRIES),
    "settlements": (ENTER, BOOK_ENTRIES),
}
BEFORE_THE_LOOK_UP, BETWEEN_TWO_LOOK_UPS, HOURS_LATER = 300, 630, 7200
"""Seconds after the request: the quarantine is 600, the second look comes 60 later, keys are remembered for 3,600."""
MOMENTS = (BEFORE_THE_LOOK_UP, BETWEEN_TWO_LOOK_UPS, HOURS_LATER)


@pytest.fixture
def firm(database: tuple[str, str | None]) -> Iterator[Firm]:
    """A firm whose time goes on by sleeping, without a network."""
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    times = {"LEASE_S": "180", "LOOKUP_QUARANTINE_S": "600"}
    with turned(world.clock) as hours, firm_in(database, world, settings=times) as made:
        put_between(made.town.services, Wire(made.town.running, hours, "economic"))
        yield made


def at_work(firm: Firm, what: str, number: int = len(MOMENTS)) -> None:
    """A company that is about to write so many documents of that kind."""
    firm.earlier_payment()
    days = [f"2026-03-{2 + n:02}" if what == "settlements" else f"2026-03-20 08:0{n}" for n in range(number)]
    charges = [firm.sells(day, 1_000_00 + 100 * n) for n, day in enumerate(days)]
    firm.opens("settlement" if what == "settlements" else "plus")
    if what == "refunds":
        run_out(firm)
        for n, charge in enumerate(charges):
            firm.refunds(charge, f"2026-03-20 09:0{n}")


def forgotten(firm: Firm) -> None:
    """Their memory of keys is over, and what was given up is carried out."""
    firm.world.economic.remembered.clear()
    firm.world.economic.run_zombies()


def all_stands_once(firm: Firm) -> None:
    """Nothing was doubled, and after the night's audit nothing of ours lies about."""
    firm.world.clock.advance(timedelta(days=1, minutes=1))
    run_out(firm, "clock")
    assert not firm.held()
    assert not firm.town.documents(firm.company_id, "correction"), "nothing that came late was ever an entry"
    firm.all_is_well()


@pytest.mark.parametrize("what", WRITES)
def test_whatever_is_carried_out_late_stands_once_or_is_taken_away_unbooked(firm: Firm, what: str) -> None:
    at_work(firm, what)
    late = [firm.fault("zombie", match, seconds=seconds) for match in WRITES[what] for seconds in MOMENTS]
    run_out(firm)
    assert {fault.match for fault in late if fault.struck} == set(WRITES[what])
    firm.world.clock.advance(timedelta(seconds=HOURS_LATER))
    entries = len(firm.agreement.entries)
    forgotten(firm)
    assert len(firm.agreement.entries) == entries, "what comes hours later is no entry"
    all_stands_once(firm)


@pytest.mark.parametrize("what", WRITES)
def test_what_is_carried_out_after_we_have_made_it_again_is_removed_before_it_is_booked(firm: Firm, what: str) -> None:
    at_work(firm, what, 1)
    for match in set(WRITES[what]) & {DRAFT, ENTER}:
        firm.fault("zombie", match)
        firm.fault("call_after", match, action=lambda: forgotten(firm))
    run_out(firm)
    all_stands_once(firm)


def test_what_a_person_books_of_what_came_late_is_taken_back_in_the_open(firm: Firm) -> None:
    """A copy of an invoice and one of a voucher, each left unbooked, and booked by whoever went through the lists."""
    at_work(firm, "sales", 1)
    draft = firm.world.economic.faults.add(Fault("zombie", DRAFT))
    run_out(firm)
    firm.world.clock.advance(timedelta(days=3))
    voucher = firm.fault("zombie", ENTER)
    run_out(firm)
    assert (draft.struck, voucher.struck) == (1, 1)
    firm.world.clock.advance(timedelta(hours=2))
    forgotten(firm)
    books = firm.agreement
    books.person_books_draft(*books.drafts)
    books.person_books_entries(firm.unbooked())
    firm.world.clock.advance(timedelta(days=1))
    run_out(firm, "clock")
    assert not firm.held(), firm.town.held(firm.company_id)
    corrections = firm.town.documents(firm.company_id, "correction")
    assert sorted(row.state for row in corrections) == ["booked", "booked"]
    firm.proves()
    books.check()
    assert not [invoice for invoice in books.booked.values() if invoice.remainder]
    assert not [entry for entry in books.entries if entry.remainder]
    assert firm.balance(1010) == -800 - 100, "the sale stands once, beside what the shop sold before"
    firm.world.clock.advance(timedelta(days=1))
    run_out(firm, "clock")
    assert len(firm.town.documents(firm.company_id, "correction")) == 2, "once is enough"


CUSTOMER = "POST /rest/customers$"


def test_a_process_that_died_many_times_over_a_write_tires_nobody(firm: Firm) -> None:
    at_work(firm, "sales", 1)
    firm.fault("error_500_before", CUSTOMER, times=2)
    runs.run_slice(firm.town.services, firm.company_id, "cli")
    with firm.town.services.db.company(firm.company_id) as session:
        session.execute(update(DeliveryRow).where(DeliveryRow.kind == "create_customer").values(attempt=40))
    run_out(firm)
    assert not firm.held()
    firm.all_is_well()


def test_whoever_never_gives_an_answer_is_asked_twelve_times_then_a_person_is(firm: Firm) -> None:
    at_work(firm, "sales", 1)
    silent = firm.fault("error_500_before", CUSTOMER, times=None)
    for _ in range(8):
        if not firm.held():
            run_out(firm, only_once=True)
    assert firm.held() == ["rejected"]
    assert silent.struck == MOST_ATTEMPTS
    silent.times = 0
    firm.retries()
    run_out(firm)
    firm.all_is_well()
