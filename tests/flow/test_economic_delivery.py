"""e-conomic in its own terms: many booked by one call, the bookkeeper's share, every mode, and people in between."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from addon.connectors.economic import EconomicClient
from addon.sandbox.world import World
from addon.services import delivery, runs
from addon.store.models import CallRow, DeliveryRow, DocumentRow
from tests.flow.firm import NOW, Firm, firm_in, run_out
from tests.support.town import at
from tests.support.turned import turned

BOOKING = "POST .*/bookdraftentries$"


@pytest.fixture
def firm(database: tuple[str, str | None]) -> Iterator[Firm]:
    with firm_in(database) as made:
        yield made


def booking_calls(firm: Firm) -> int:
    return sum(call.path.endswith("/bookdraftentries") for call in firm.world.economic.calls)


def test_payments_of_a_slice_and_its_vouchers_are_booked_by_one_call(firm: Firm) -> None:
    firm.earlier_payment()
    for n in range(5):
        firm.sells("2026-03-02", 100_00 + 100 * n)
    firm.opens()
    firm.world.economic.reset_calls()
    firm.runs()
    assert booking_calls(firm) == 1
    assert len(firm.payments()) == 5
    firm.all_is_well()


def test_each_voucher_of_many_names_the_call_that_entered_it(firm: Firm) -> None:
    """Booked by one call, entered by one each: a page shows a voucher's own entry, not those of the others."""
    for day in range(2, 7):
        firm.sells(f"2026-03-0{day}", 100_00 + 100 * day)
    firm.opens()
    firm.runs()
    with firm.town.services.db.company_reading(firm.company_id) as session:
        fees = session.scalars(
            select(DeliveryRow.id)
            .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
            .where(DocumentRow.kind == "fees")
        ).all()
        entered = [
            session.scalars(
                select(CallRow.path).where(CallRow.delivery_id == one, CallRow.path.like("%draft-entries/bulk"))
            ).all()
            for one in fees
        ]
    assert len(fees) >= 4
    assert [len(calls) for calls in entered] == [1] * len(fees)
    firm.all_is_well()


def test_a_slow_machine_books_fewer_together_instead_of_none_at_all(
    database: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is begun in the first third of a lease: who claims for too long would never come to write."""
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    with turned(world.clock) as hours, firm_in(database, world, settings={"LEASE_S": "180"}) as firm:
        firm.earlier_payment()
        for n in range(5):
            firm.sells("2026-03-20 08:00", 100_00 + 100 * n)
        firm.opens()
        first_attempt, together = delivery._first_attempt, delivery.deliver_together
        slow: list[bool] = []

        def claims(work: Any) -> Any:
            if slow:
                hours.sleep(25)
            return first_attempt(work)

        def book(*given: Any) -> Any:
            slow.append(True)
            try:
                return together(*given)
            finally:
                slow.clear()

        monkeypatch.setattr(delivery, "_first_attempt", claims)
        monkeypatch.setattr(delivery, "deliver_together", book)
        run_out(firm, most=1)
        assert len(firm.payments()) == 5
        assert booking_calls(firm) > 1
        firm.all_is_well()


@pytest.mark.parametrize("lists", ["longer than a slice", "longer than a lease"])
def test_a_list_that_takes_a_long_time_to_read_keeps_nothing_from_being_delivered(
    database: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch, lists: str
) -> None:
    """e-conomic's lists tell of no changes: before its first write each slice reads all invoices of ours."""
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    with turned(world.clock) as hours, firm_in(database, world, settings={"LEASE_S": "180"}) as firm:
        firm.earlier_payment()
        for n in range(4):
            firm.sells("2026-03-19", 100_00 + 100 * n)
        firm.opens()
        run_out(firm, most=1)
        hours.sleep(3600)
        firm.sells("2026-03-20 10:30", 250_00)
        world.catch_up()
        ask = EconomicClient.get

        def asks(client: EconomicClient, path: str, params: Mapping[str, str] | None = None) -> Any:
            if path.startswith("invoices/") and params is not None:
                for _ in range(1 if lists == "longer than a slice" else 3):
                    hours.sleep(70)
                    ask(client, path, params)  # as many pages as take so long
            return ask(client, path, params)

        monkeypatch.setattr(EconomicClient, "get", asks)
        services, company = firm.town.services, firm.company_id
        run_id = runs.want(services, company, "cli")
        for _ in range(10):
            result = runs.run_slice(services, company, "cli")
            view = runs.view(services, company, run_id)
            if view.state != "running":
                break
            hours.sleep(result.retry_in_s)
        assert view.state == "done", (view.phase, view.message)
        assert len(firm.payments()) == 5
        firm.all_is_well()


def test_one_that_cannot_be_booked_keeps_none_of_the_others(firm: Firm) -> None:
    firm.earlier_payment()
    for n in range(4):
        firm.sells("2026-03-19", 100_00 + 100 * n)
    firm.opens()
    firm.fault("call", BOOKING, action=lambda: firm.agreement.person_deletes_entry(firm.unbooked()[0]))
    firm.runs()
    assert firm.held() == ["waited_for_gone"]
    assert len(firm.payments()) == 3
    firm.retries()
    firm.runs()
    assert len(firm.payments()) == 4
    firm.all_is_well()


@pytest.mark.parametrize("kind", ["lost_after", "rate_limited"])
def test_a_booking_call_without_an_answer_leaves_each_to_be_looked_up(firm: Firm, kind: str) -> None:
    firm.earlier_payment()
    for n in range(3):
        firm.sells("2026-03-02", 100_00 + 100 * n)
    firm.opens()
    firm.fault(kind, BOOKING, seconds=1 if kind == "rate_limited" else 0)
    firm.runs()
    assert not firm.held()
    assert len(firm.payments()) == 3
    firm.all_is_well()


def test_the_first_payment_of_all_shows_the_sign_and_is_put_right(firm: Firm) -> None:
    firm.world.economic.switches.money_received_is_negative = False
    for n in range(3):
        firm.sells("2026-03-19", 100_00 + 100 * n)
    firm.opens()
    firm.runs()
    assert not firm.held()
    paid = [entry for entry in firm.agreement.entries if entry.type == 2 and entry.customer]
    assert len(paid) == 3 + 2, "one was on the wrong side, and one takes it back"
    assert not [entry for entry in paid if entry.remainder]
    assert not [invoice for invoice in firm.agreement.booked.values() if invoice.remainder]
    firm.proves()
    firm.agreement.check()


def test_what_is_left_to_the_bookkeeper_waits_and_closes_when_they_have_booked(firm: Firm) -> None:
    for n in range(3):
        firm.sells("2026-03-19", 100_00 + 100 * n)
    firm.opens(payments="unbooked")
    firm.runs()
    assert (len(firm.unbooked()), firm.payments()) == (3, [])
    assert set(firm.waiting()) >= {"payment_booking"}
    firm.proves()
    first, *others = firm.unbooked()
    firm.agreement.person_books_entries(others)
    firm.agreement.person_deletes_entry(first)
    firm.runs()
    assert len(firm.payments()) == 2
    assert firm.held() == ["waited_for_gone"]
    firm.retries()
    firm.runs()
    firm.agreement.person_books_entries(firm.unbooked())
    firm.runs()
    assert not firm.held()
    firm.all_is_well()


def test_basic_finds_invoices_by_order_number_in_the_reference_then_in_a_note(firm: Firm) -> None:
    firm.earlier_payment()
    books = firm.agreement
    by_reference = books.person_creates_invoice(100, order="7001")
    by_note = books.person_creates_invoice(110, heading="Ordre 7002 fra butikken")
    part_of_a_word = books.person_creates_invoice(120, order="170031")
    paid = books.person_creates_invoice(130, order="7004")
    books.person_pays_invoice(paid.number)
    for n, order in enumerate(("7001", "7002", "7003", "7004")):
        firm.sells("2026-03-19", 100_00 + 1000 * n, order=order)
    firm.opens("basic")
    firm.runs()
    assert (by_reference.remainder, by_note.remainder, part_of_a_word.remainder) == (0, 0, 120)
    assert len(firm.payments()) == 2
    assert firm.held() == ["already_paid"]
    assert firm.waiting() == ["invoice"]
    firm.proves()
    books.check()


def test_a_foreign_sale_is_refunded_in_two_parts_at_the_rate_it_was_sold_at(firm: Firm) -> None:
    firm.earlier_payment()
    charge = firm.sells("2026-03-17", 100_00, "eur")
    firm.refunds(charge, "2026-03-18", 40_00)
    firm.refunds(charge, "2026-03-19", 60_00)
    firm.opens()
    firm.runs()
    assert not firm.held(), firm.town.held(firm.company_id)
    sold, *credited = [invoice for invoice in firm.agreement.booked.values() if invoice.currency == "EUR"]
    assert sorted((invoice.gross, invoice.rate) for invoice in credited) == [
        (Decimal(-60), sold.rate),
        (Decimal(-40), sold.rate),
    ]
    assert all(line.quantity < 0 for invoice in credited for line in invoice.lines)
    assert firm.balance(5600) == 0
    firm.all_is_well()


def test_settlement_writes_each_payouts_vouchers_as_entries_booked_together(firm: Firm) -> None:
    for day in ("2026-03-02", "2026-03-03", "2026-03-09"):
        firm.sells(day, 100_00)
    firm.opens("settlement")
    firm.world.economic.reset_calls()
    firm.runs()
    assert not firm.held()
    assert not firm.agreement.booked
    assert firm.balance(5820) > 0
    assert booking_calls(firm) <= 2
    firm.proves()
    firm.agreement.check()
    assert not firm.unbooked()


DOES: dict[str, tuple[str, Callable[[Firm], object], list[str], bool]] = {
    "deletes the draft": (
        "POST .*/invoices/booked$",
        lambda firm: firm.agreement.person_deletes_draft(max(firm.agreement.drafts)),
        ["waited_for_gone"],
        True,
    ),
    "books the draft": (
        "POST .*/invoices/booked$",
        lambda firm: firm.agreement.person_books_draft(max(firm.agreement.drafts)),
        [],
        True,
    ),
    "changes the draft": (
        "POST .*/invoices/booked$",
        lambda firm: firm.agreement.person_edits_draft(max(firm.agreement.drafts), price=70),
        ["touched"],
        False,
    ),
    "books the entry": (
        BOOKING,
        lambda firm: firm.agreement.person_books_entries(firm.unbooked()),
        [],
        True,
    ),
}


@pytest.mark.parametrize("what", DOES)
def test_what_a_person_does_in_between_ends_done_or_held(firm: Firm, what: str) -> None:
    moment, does, held, mends = DOES[what]
    firm.earlier_payment()
    firm.sells("2026-03-19", 100_00)
    firm.opens()
    firm.fault("call", moment, action=lambda: does(firm))
    firm.runs()
    assert firm.held() == held
    if held and mends:
        firm.retries()
        firm.runs()
    if mends:
        firm.all_is_well()
    firm.agreement.check()


def test_what_a_person_closes_in_between_holds_and_goes_on_when_it_is_open_again(firm: Firm) -> None:
    firm.earlier_payment()
    books = firm.agreement
    firm.sells("2026-03-19", 100_00)
    firm.opens()
    day = at("2026-03-19 12:00").date()
    firm.fault("call", BOOKING, action=lambda: books.bar_period(day))
    firm.runs()
    assert set(firm.held()) == {"period_locked"}
    books.bar_period(day, barred=False)
    firm.fault("call", BOOKING, action=lambda: books.bar_account(firm.clearing))
    firm.retries()
    firm.runs()
    assert set(firm.held()) == {"account_not_ready"}
    books.bar_account(firm.clearing, barred=False)
    firm.retries()
    firm.runs()
    firm.all_is_well()
