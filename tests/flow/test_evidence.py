"""The provider's records at the vouchers, read in the simulated Fortnox: exactly one file each, whatever fails."""

import io
import json
from collections import Counter

from pypdf import PdfReader
from sqlalchemy import select

from addon.ports.calls import Lane
from addon.services import connections, evidence, runs
from addon.services.calls import CallLog
from addon.store.models import AccountingConnection, EvidenceRow, RunRow
from tests.flow.house import House


def night(house: House) -> None:
    """A run of the clock."""
    view = runs.run_to_end(house.town.services, house.company_id, trigger="clock", patience_s=200)
    assert view.state == "done", view


def files(house: House) -> Counter[str]:
    """How many files are connected to each voucher, as the simulated Fortnox has it."""
    return Counter(
        "/".join(map(str, one.voucher)) for one in house.books.file_connections.values() if one.voucher is not None
    )


def states(house: House) -> Counter[str]:
    with house.rows() as session:
        return Counter(session.scalars(select(EvidenceRow.state)))


def test_each_voucher_has_its_record_once_and_only_at_night(plus: House) -> None:
    plus.sells("2026-03-02", 125_000, name="Ирина Öberg")
    plus.opens()
    plus.runs()
    assert not plus.books.files, "a run that a person waits for attaches nothing"
    plus.world.fortnox.calls.clear()
    night(plus)
    vouchers = {row.vouchers[-1] for row in plus.documents() if row.kind in ("fees", "payout")}
    assert files(plus) == Counter(dict.fromkeys(vouchers, 1))
    assert plus.writes() == 2 * len(vouchers), "an upload and a connection for each, and nothing else"
    with plus.rows() as session:
        run = session.scalars(select(RunRow).order_by(RunRow.id.desc())).first()
        assert run is not None
        assert run.counts["writes"] == 0, "counted apart from bookkeeping"
    for stored in plus.books.files.values():
        assert stored.name.startswith("stripe_") and stored.name.endswith(".pdf")
        assert stored.path == "Verifikationer"
        reader = PdfReader(io.BytesIO(stored.content))
        record = json.loads(reader.attachments["record.json"][0])
        assert record["vouchers"][0] in vouchers
        assert record["movements"]
    night(plus)
    assert files(plus) == Counter(dict.fromkeys(vouchers, 1))
    assert states(plus) == {"attached": len(vouchers)}


def test_lost_answers_leave_one_connection_and_at_most_a_file_that_nothing_points_at(plus: House) -> None:
    plus.sells("2026-03-02", 125_000)
    plus.opens()
    plus.runs()
    plus.fault("lost_after", "POST /3/inbox$", times=1)
    plus.fault("lost_after", "POST /3/voucherfileconnections$", times=1)
    for _ in range(3):
        night(plus)
    vouchers = {row.vouchers[-1] for row in plus.documents() if row.kind in ("fees", "payout")}
    assert files(plus) == Counter(dict.fromkeys(vouchers, 1))
    assert len(plus.books.files) == len(vouchers) + 1, "the orphan"
    assert states(plus) == {"attached": len(vouchers)}

    # Whoever refuses is not asked for ever, and a consent without files ends nothing.
    services, company = plus.town.services, plus.company_id
    with services.db.company(company) as session:
        row = session.scalars(select(EvidenceRow).order_by(EvidenceRow.id)).first()
        assert row is not None
        row.state, row.file_ref, row.voucher = "wanted", "", "V/999/1"
    night(plus)
    assert states(plus)["given_up"] == 1
    with services.db.company(company) as session:
        accounting = session.scalars(select(AccountingConnection)).one()
        grant = services.box.open_grant(accounting.grant_sealed)
        from dataclasses import replace

        accounting.grant_sealed = services.box.seal_grant(replace(grant, scope="bookkeeping invoice"))
        session.query(EvidenceRow).delete()
    assert not evidence.standing(services, company).possible
    log = CallLog()
    system = connections.accounting_system(services, company, log, Lane.BULK)
    assert evidence.attach(services, company, system, lambda: False).attached == 0
    assert not log.take(), "what was not consented to is not asked for"


def test_a_company_that_wants_none_gets_none(plus: House) -> None:
    plus.sells("2026-03-02", 125_000)
    plus.opens(evidence="no")
    night(plus)
    assert not plus.books.files
    assert states(plus) == {}
