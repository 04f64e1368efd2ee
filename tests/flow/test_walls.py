"""Each company alone: two companies in one town, and none sees anything of the other."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import NoResultFound

from addon.core.delivery import PartState
from addon.services import booking, held, runs, settings
from addon.services.settings import UnknownConnection
from addon.store.models import CallRow, DeliveryRow, DocumentRow, MovementRow, PartRow, RunRow
from tests.flow.house import Bed, House
from tests.flow.test_plus import on_both_databases
from tests.support.town import WHO

TABLES = (MovementRow, PartRow, DocumentRow, DeliveryRow, RunRow, CallRow)


def _count(house: House) -> dict[str, int]:
    with house.rows() as session:
        return {table.__tablename__: session.scalar(select(func.count(table.id))) or 0 for table in TABLES}


@on_both_databases
def test_the_services_of_one_company_never_touch_another(bed: Bed) -> None:
    ours, theirs = bed.house(), bed.house()
    charge = ours.sells("2026-02-25", 100_00)
    for house in (ours, theirs):
        house.sells("2026-03-02", 1_000_00, email="same@example.com", order="4711")
    theirs.refunds(theirs.sells("2026-02-25", 77_00), "2026-03-05")
    ours.refunds(charge, "2026-03-05")
    for house in (ours, theirs):
        house.opens("plus")
    ours.runs()
    assert not theirs.books.ledger
    assert _count(theirs)["movements"] == 0
    theirs.runs()
    before = _count(theirs), theirs.journal(), theirs.held()

    services = bed.town.services
    foreign_parts = theirs.part_ids(PartState.HELD)
    foreign_documents = [row.id for row in theirs.documents()]
    assert foreign_parts
    assert booking.set_aside(services, ours.company_id, foreign_parts, WHO, "mine") == 0
    assert booking.retry(services, ours.company_id, foreign_parts, WHO) == 0
    assert booking.approve(services, ours.company_id, foreign_documents, WHO) == 0
    with pytest.raises(UnknownConnection):
        settings.change(services, ours.company_id, WHO, {"mode": "basic"}, theirs.connection_id)
    with theirs.rows() as session:
        foreign_run = session.scalars(select(RunRow.id)).first()
    with pytest.raises(NoResultFound):
        runs.view(services, ours.company_id, foreign_run)
    with pytest.raises(UnknownConnection):
        runs.preview(services, ours.company_id, theirs.connection_id)
    assert not {part.ref for part in held.held_parts(services, ours.company_id)} & {
        part.ref for part in held.held_parts(services, theirs.company_id)
    }
    ours.runs()
    assert (_count(theirs), theirs.journal(), theirs.held()) == before
    for house in (ours, theirs):
        assert len(house.books.customers) == 1, "a customer of the same address is each company's own"
        assert house.kinds()["sale"] == 1
        house.all_is_well()


def test_a_company_in_trouble_does_not_hold_up_another(bed: Bed) -> None:
    ours, theirs = bed.house(), bed.house()
    for house in (ours, theirs):
        house.sells("2026-03-02", 1_000_00)
        house.opens("plus")
    bed.world.fortnox.switches.revocation_kills_access_tokens = True
    theirs.books.revoke_consent()
    assert theirs.runs("failed").message == "reconnect"
    ours.runs()
    ours.all_is_well()
