"""Joining in mid-life: what another connection invoiced is not doubled, and earlier sales can be refunded."""

from datetime import date

from addon.core.delivery import PartState
from addon.services import joining
from tests.flow.house import Bed
from tests.support.town import WHO


def test_a_sale_that_another_connection_has_invoiced_is_held_and_never_doubled(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00, order="4711")
    house.sells("2026-03-03", 250_00, order="4712")
    house.sells("2026-03-04", 90_00, order="4713")
    house.invoices("4711", 100, "2026-03-02")
    house.invoices("Woo-1", 250, "2026-03-02", your_order_number="Woo 1", external_reference="woo_8812")
    house.invoices("other", 90, "2026-03-04")
    house.opens("plus")
    seen = house.previews()
    assert sorted(hold.reason.value for hold in seen.holds) == ["already_invoiced"] * 2
    house.runs()
    assert house.held() == ["already_invoiced"] * 2
    assert [row.total_minor for row in house.documents("sale")] == [90_00], "amount and day alone prove nothing"
    house.runs()
    assert house.held() == ["already_invoiced"] * 2, "it stays so until a person decides"
    services, company = house.town.services, house.company_id
    first = house.part_ids(PartState.HELD)[:1]
    assert joining.decide(services, company, first, joining.BOOK_ANYWAY, WHO) == 1
    house.runs()
    assert house.kinds()["sale"] == 2
    assert house.held() == ["already_invoiced"]
    house.proves()


def test_a_refund_of_an_earlier_sale_is_credited_as_a_person_says(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    early = house.sells("2026-02-10", 1_000_00)
    house.refunds(early, "2026-03-10", 400_00)
    house.opens("plus", "2026-03-01")
    house.runs()
    assert house.held() == ["original_unknown"]
    ids = house.part_ids(PartState.HELD)
    assert joining.decide(house.town.services, house.company_id, ids, "credit:SE25", WHO) == 1
    house.runs()
    assert not house.held()
    assert "1510 -400.00  2611 80.00  3001 320.00" in house.journal(3001)
    house.all_is_well()


def test_what_was_not_sent_when_the_period_was_locked_moves_to_the_next_open_day(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00)
    house.opens("plus", locked_period="next_open_day")
    house.fault("call", "POST /3/invoicepayments$", action=lambda: house.books.lock_period(date(2026, 3, 10)))
    house.town.run(house.company_id)
    assert "period_locked" in house.held(), "the invoice stands, and its payment was refused"
    house.runs()
    assert not house.held(), "the next run knows of the lock, and dates what was not sent anew"
    journal = house.journal(1510)
    assert journal.splitlines()[0].startswith("2026-03-02 B")
    assert "2026-03-11 C" in journal
    house.all_is_well()


def test_a_customer_that_only_a_proposed_sale_would_make_is_made_by_an_approved_one(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00, email="same@example.com")
    house.opens("plus", approve="first")
    house.runs()
    house.sets(approve="automatic")
    house.time("2026-03-21 10:00")
    house.sells("2026-03-21 09:00", 200_00, email="same@example.com")
    house.runs()
    assert [row.state for row in house.documents("sale")] == ["proposed", "booked"]
    house.approves()
    house.runs()
    house.all_is_well()
