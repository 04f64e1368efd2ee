"""Approve first: nothing is written that was not shown, and what was shown is what is written."""

from collections import Counter
from dataclasses import replace

from addon.core.delivery import PartState
from addon.core.documents import Document
from addon.services import booking
from addon.store.codec import decode
from tests.flow.house import Bed
from tests.support.town import WHO


def test_nothing_is_written_before_approval_and_then_what_was_previewed(bed: Bed) -> None:
    house = bed.house()
    charge = house.sells("2026-03-02", 1_000_00)
    house.sells("2026-03-03", 99_00, "eur", email="same@example.com")
    house.sells("2026-03-04", 49_00, "eur", email="same@example.com")
    house.refunds(charge, "2026-03-10", 400_00)
    house.opens("plus", approve="first")
    house.world.fortnox.reset_calls()
    before = house.previews()
    house.runs()
    assert house.writes() == 0
    proposed = {row.key: decode(Document, row.payload) for row in house.documents()}
    assert {row.state for row in house.documents()} == {"proposed"}
    foreseen = {document.key: document for document in before.documents}
    assert proposed == {key: foreseen[key] for key in proposed}
    coming = set(foreseen) - set(proposed)
    assert {foreseen[key].kind.value for key in coming} == {"refund", "payout"}, "planned when the sales are booked"
    assert house.proves()["SEK"].identity.not_booked.planned.minor != 0
    shown = house.previews()
    assert {document.key for document in shown.documents} == set(foreseen)
    assert len(house.documents()) == len(proposed), "looking leaves nothing behind"

    house.approves()
    house.runs()
    written = {row.key: decode(Document, row.payload) for row in house.documents() if row.state == "booked"}
    assert written == proposed, "a document is written as it was approved"
    assert [row.kind for row in house.documents() if row.state == "proposed"].count("refund") == 1
    house.approves()
    house.runs()
    house.approves()
    house.runs()
    house.time("2026-04-04 10:00")
    house.runs()
    house.approves()
    house.runs()
    house.all_is_well()


def test_a_preview_changes_nothing_of_what_the_next_run_does(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00, order="4711")
    house.sells("2026-03-03", 300_00, order="4712")
    house.invoices("4711", 1_000, "2026-03-02")
    house.opens("basic")
    first, second = house.previews(), house.previews()
    assert replace(first, run_id=0) == replace(second, run_id=0)
    assert Counter(document.kind.value for document in first.documents) == {"match": 1, "fees": 2, "payout": 2}
    assert [wait.reason.value for wait in first.waits] == ["invoice"]
    assert not house.documents()
    house.runs()
    assert {row.key for row in house.documents()} == {document.key for document in first.documents}
    house.all_is_well()


def test_some_are_approved_with_what_they_need_and_the_rest_stays_proposed(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 100_00, email="same@example.com")
    house.sells("2026-03-03", 200_00, email="same@example.com")
    house.opens("plus", approve="first")
    house.runs()
    second = [row.id for row in house.documents("sale") if row.total_minor == 200_00]
    assert booking.approve(house.town.services, house.company_id, second, WHO) == 2, "the first makes the customer"
    house.runs()
    assert house.kinds() == {"sale": 2}
    assert {row.state for row in house.documents("fees")} == {"proposed"}
    house.proves()


def test_what_is_proposed_and_not_wanted_is_set_aside(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 100_00)
    house.sells("2026-03-02", 200_00)
    house.opens("plus", approve="first")
    house.runs()
    (unwanted,) = [row.id for row in house.documents("sale") if row.total_minor == 100_00]
    with house.rows() as session:
        from sqlalchemy import select

        from addon.store.models import PartRow

        ids = list(session.scalars(select(PartRow.id).where(PartRow.document_id == unwanted)))
    assert booking.set_aside(house.town.services, house.company_id, ids, WHO, "") == 1
    house.approves()
    house.runs()
    assert house.kinds() == {"sale": 1, "fees": 1, "payout": 1}
    assert house.parts()["set_aside"] == 1
    assert house.part_ids(PartState.SET_ASIDE) == ids
    house.all_is_well()
    booking.retry(house.town.services, house.company_id, ids, WHO)
    house.sets(approve="automatic")
    house.runs()
    assert house.kinds()["sale"] == 2
    house.all_is_well()


def test_a_new_start_date_drops_what_was_only_previewed(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 100_00)
    house.sells("2026-03-12", 200_00)
    house.opens("plus", approve="first")
    house.runs()
    house.town.choose(house.company_id, house.connection_id, start_date="2026-03-10")
    house.runs()
    assert [row.total_minor for row in house.documents("sale")] == [200_00]
    house.approves()
    house.runs()
    assert house.kinds() == {"sale": 1, "fees": 1, "payout": 1}
    assert house.proves()["SEK"].identity.opening.minor == 0, "what was sold before had been paid out before"
    house.all_is_well()
