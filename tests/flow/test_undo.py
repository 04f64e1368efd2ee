"""Undo: a run is taken back by documents that point at it, in the books themselves, and can be booked again."""

from datetime import date
from decimal import Decimal

from sqlalchemy import select

from addon.core.delivery import PartState
from addon.services import booking, previews, runs, undoing
from addon.store.models import RunRow
from tests.flow.house import Bed, House
from tests.support.town import WHO


def last_run(house: House) -> int:
    with house.rows() as session:
        return int(session.scalars(select(RunRow.id).order_by(RunRow.id.desc())).first() or 0)


def undoes(house: House, run_id: int, *, looks: bool = False) -> int:
    services = house.town.services
    made = runs.want_undo(services, house.company_id, run_id, WHO, looks=looks)
    view = runs.run_to_end(services, house.company_id, run_id=made, patience_s=200)
    assert view.state == "done", view
    return made


def left(house: House, made: int) -> dict[str, str]:
    return {
        one.key.rsplit("/", 1)[1]: one.reason.value
        for one in undoing.outcome(house.town.services, house.company_id, made).left
    }


def test_a_run_is_undone_looked_at_first_and_booked_again(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    first = house.sells("2026-03-02", 1_000_00)
    house.sells("2026-03-03", 100_00, "eur")
    house.refunds(first, "2026-03-10", 400_00)
    house.opens("plus", fee_vat="eu_reverse_charge")
    run = house.runs().id
    before = {number: house.books.balance(number) for number in (1686, 1930, 3001, 2611, 6570, 4535, 2614, 3960, 7960)}
    assert before[3001]
    house.world.fortnox.reset_calls()
    look = undoes(house, run, looks=True)
    assert house.writes() == 0, "looking writes nothing"
    shown = {one.document.key for one in previews.everything(house.town.services, house.company_id, look).documents}
    made = undoes(house, run)
    written = {document.key for document in undoing.written(house.town.services, house.company_id, made)}
    assert shown == written == {f"{row.key}/undo" for row in house.documents() if row.kind != "undo"}
    for number in before:
        if number not in (3960, 7960):
            assert house.books.balance(number) == 0, number
    assert house.books.balance(3960) == -house.books.balance(7960), "the books put a gain back as a loss"
    for invoice in house.our_invoices():
        assert invoice.booked
        assert invoice.balance == 0, invoice
    assert house.parts() == {"set_aside": sum(house.parts().values())}
    house.proves()
    house.books.check()
    texts = " ".join(voucher.description for voucher in house.books.ledger)
    assert f"by {WHO}" in texts
    assert "undoes voucher" in texts
    # Pressed once more, nothing is left to undo; a run writes nothing either.
    house.world.fortnox.reset_calls()
    again = undoes(house, run)
    assert set(left(house, again).values()) == {"undone"}
    house.runs()
    assert house.writes() == 0
    # Somebody says "book again": everything stands as it did, under keys of its own.
    services = house.town.services
    parts = house.part_ids(PartState.SET_ASIDE)
    assert booking.retry(services, house.company_id, parts, WHO) == len(parts)
    house.runs()
    assert (house.held(), house.waiting()) == ([], [])
    for number, balance in before.items():
        if number not in (3960, 7960):
            assert house.books.balance(number) == balance, number
    assert {row.key for row in house.documents("sale") if row.undone_by is None} == {
        row.key.replace("/sale", ".2/sale") for row in house.documents("sale") if row.undone_by is not None
    }
    house.all_is_well()
    assert not left(house, undoes(house, last_run(house)))
    assert house.books.balance(3001) == 0
    house.proves()


def test_what_a_person_changed_is_left_alone_with_the_reason(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    credited, touched = house.sells("2026-03-02", 100_00), house.sells("2026-03-03", 200_00)
    kept = house.sells("2026-03-04", 300_00)
    house.opens("plus")
    run = house.runs().id
    refunded = house.refunds(touched, "2026-03-20 12:00", 50_00)
    house.time("2026-03-21 10:00")
    later = house.runs().id
    assert refunded
    numbers = {row.source_ref: int(row.number) for row in house.documents("sale")}
    house.books.person_credits_invoice(numbers[credited])
    (payout, *_) = [row for row in house.documents("payout") if row.run_id == run]
    series, number, _ = payout.vouchers[0].split("/")
    amount = Decimal(payout.total_minor) / 100
    house.books.person_posts_voucher(
        [(1686, amount), (1930, -amount)], on=date(2026, 3, 20), description=f"Rättar {series} {number}"
    )
    look = undoes(house, run, looks=True)
    made = undoes(house, run)
    assert left(house, look) == left(house, made)
    reasons = {one.key: one.reason.value for one in undoing.outcome(house.town.services, house.company_id, made).left}
    assert reasons[f"stripe/{credited}/sale"] == "touched"
    assert reasons[f"stripe/{touched}/sale"] == "needed", "its refund stands, of another run"
    assert reasons[payout.key] == "touched"
    assert f"stripe/{kept}/sale" not in reasons
    undone = {row.source_ref for row in house.documents("sale") if row.undone_by is not None}
    assert undone == {kept}
    assert later != run
    house.books.check()
    assert not left(house, undoes(house, later))


def test_basic_opens_the_invoice_again(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00, order="4711")
    number = house.invoices("4711", 1_000, "2026-03-02")
    house.opens("basic")
    run = house.runs().id
    assert house.books.invoices[number].balance == 0
    made = undoes(house, run)
    assert not undoing.outcome(house.town.services, house.company_id, made).refused
    assert house.books.invoices[number].balance == 1_000
    house.proves()
    booking.retry(house.town.services, house.company_id, house.part_ids(PartState.SET_ASIDE), WHO)
    house.runs()
    assert house.books.invoices[number].balance == 0
    house.proves()


def test_what_was_not_written_yet_is_dropped(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00)
    house.opens("plus", approve="first")
    run = house.runs().id
    undoes(house, run)
    assert not [row for row in house.documents() if row.kind != "undo"]
    assert set(house.parts()) == {"set_aside"}
    house.proves()


def test_a_sale_that_was_an_order_is_credited_on_the_invoice_that_a_person_made_of_it(bed: Bed) -> None:
    house = bed.house()
    charge = house.sells("2026-03-02", 1_000_00)
    house.sells("2026-03-03", 500_00)
    house.opens("plus", sale_document="order")
    run = house.runs().id
    for order in list(house.books.orders.values()):
        invoice = house.books.person_invoices_order(order.number, booked=False)
        house.books.person_books_invoice(invoice.number)
    house.runs()
    house.refunds(charge, "2026-03-20 12:00")
    house.time("2026-03-21 10:00")
    refunding = house.runs().id
    assert house.kinds()["refund"] == 1
    # The whole refund first: by an invoice, since its credit note was the books' own.
    assert left(house, undoes(house, refunding)) == {}
    assert house.books.balance(3001) == -1200
    made = undoes(house, run)
    assert left(house, made) == {}
    assert house.books.balance(3001) == 0
    assert house.books.balance(1510) == 0
    house.proves()
    house.books.check()


def test_an_order_whose_invoice_a_person_credited_is_left_alone(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus", sale_document="order")
    run = house.runs().id
    (order,) = house.books.orders.values()
    invoice = house.books.person_invoices_order(order.number, booked=False)
    house.books.person_books_invoice(invoice.number)
    house.runs()
    house.books.person_credits_invoice(invoice.number)
    assert left(house, undoes(house, run))["sale"] == "touched"


def test_an_undo_in_a_locked_period_is_dated_the_next_open_day(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00)
    house.opens("plus")
    run = house.runs().id
    house.books.lock_period(date(2026, 3, 10))
    undoes(house, run)
    assert {row.booking_date for row in house.documents("undo")} == {date(2026, 3, 11)}
    assert house.books.balance(3001) == 0
    house.proves()
