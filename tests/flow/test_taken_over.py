"""What a person takes over leaves nothing behind that waits for it."""

from sqlalchemy import select

from addon.services import booking
from addon.store.models import PartRow
from tests.flow.house import Bed, House, instant
from tests.support.town import WHO

BOOK_INVOICE = "PUT /3/invoices/[0-9]+/bookkeep"


def test_the_customer_of_a_sale_that_is_set_aside_is_made_by_the_next_one(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 100_00, email="same@example.com")
    house.sells("2026-03-03", 200_00, email="same@example.com")
    house.sells("2026-03-04", 300_00, email="same@example.com")
    house.opens("plus", approve="first")
    house.runs()
    (first,) = [row.id for row in house.documents("sale") if row.total_minor == 100_00]
    with house.rows() as session:
        ids = list(session.scalars(select(PartRow.id).where(PartRow.document_id == first)))
    assert booking.set_aside(house.town.services, house.company_id, ids, WHO, "") == 1
    third = [row.id for row in house.documents("sale") if row.total_minor == 300_00]
    assert booking.approve(house.town.services, house.company_id, third, WHO) == 2, "the second makes the customer now"
    house.approves()
    house.runs()
    assert house.kinds()["sale"] == 2
    assert len({invoice.text("CustomerNumber") for invoice in house.our_invoices()}) == 1
    house.all_is_well()


def test_a_refund_of_a_sale_that_a_person_took_over_is_held_and_does_not_wait_for_ever(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.opens()

    def lock() -> None:
        plus.books.lock_period(instant("2026-03-10").date())

    plus.fault("call_after", BOOK_INVOICE, action=lock)
    plus.runs()
    plus.books.lock_period(None)
    assert plus.sets_aside(where="C1, by hand")
    plus.time("2026-03-25 10:00")
    plus.refunds(charge, "2026-03-24")
    plus.runs()
    assert plus.held() == ["original_unknown"]
    assert "sale" not in plus.waiting()
