"""Looking before anything is written: what is shown is what a run then writes, to the last row."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
from sqlalchemy import func, select

from addon.core.documents import CreateInvoice, CreatePayment, CreditInvoice, Document, PostVoucher
from addon.services import previews, runs
from addon.store.codec import decode
from addon.store.models import CustomerRow, DocumentRow, PartRow, RunItemRow, RunRow
from tests.flow.house import Bed, House


def lines(document: Document) -> list[tuple[Any, ...]]:
    """Account, amount and VAT of all that a document writes; not the words, which name invoices by number."""
    found: list[tuple[Any, ...]] = []
    for step in document.steps:
        match step:
            case CreateInvoice(invoice=invoice):
                found += [(line.account.number, line.gross, line.vat_percent) for line in invoice.lines]
            case CreditInvoice(total=total):
                found.append(("credit", total))
            case CreatePayment(settlement=paid):
                found.append((paid.account.number, paid.amount, paid.books_amount))
            case PostVoucher(voucher=voucher):
                found += [(line.account.number, line.signed) for line in voucher.lines]
            case _:
                pass
    return found


def compared(document: Document) -> tuple[Any, ...]:
    return document.kind, document.booking_date, document.total, document.parts, lines(document)


def busy(house: House) -> None:
    """Two weeks of a shop: sales in two currencies, a whole and a part refund, payouts, something unknown."""
    first = house.sells("2026-03-02", 1_000_00)
    second = house.sells("2026-03-03", 250_00)
    house.sells("2026-03-03", 99_00, "eur", email="same@example.com")
    house.sells("2026-03-04", 49_00, "eur", email="same@example.com")
    house.refunds(first, "2026-03-10", 400_00)
    house.refunds(first, "2026-03-11", 100_00)
    house.refunds(second, "2026-03-11")


def test_a_run_writes_what_was_looked_at(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    busy(house)
    house.opens("plus")
    house.world.fortnox.reset_calls()
    seen = house.previews()
    assert house.writes() == 0
    assert not house.documents()
    assert {"sale", "refund", "fees", "payout"} <= {document.kind.value for document in seen.documents}
    with house.rows() as session:
        assert set(session.scalars(select(PartRow.state))) == {"open"}
        assert not session.scalar(select(func.count(CustomerRow.id)).where(CustomerRow.number == "…"))
    house.runs()
    written = {row.key: decode(Document, row.payload) for row in house.documents() if row.state == "booked"}
    shown = {document.key: document for document in seen.documents}
    assert set(written) == set(shown)
    for key, document in written.items():
        assert compared(document) == compared(shown[key]), key
    assert {hold.reason.value for hold in seen.holds} == set(house.held())
    assert sorted(wait.reason.value for wait in seen.waits) == house.waiting()
    house.all_is_well()


def test_totals_per_account_are_what_the_ledger_gets(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    first = house.sells("2026-03-02", 1_000_00)
    house.refunds(first, "2026-03-10", 400_00)
    house.opens("plus", fee_vat="eu_reverse_charge")
    seen = house.previews()
    totals = previews.totals(house.town.services, house.company_id, seen.run_id)
    assert totals is not None
    assert totals.complete
    house.runs()
    by_number = {total.account: total.balance.to_decimal() for total in totals.accounts if total.account}
    for number, balance in by_number.items():
        assert house.books.balance(int(number)) == balance, number
    assert totals.boxes["05"].to_decimal() == Decimal("480.00")
    assert totals.boxes["10"].to_decimal() == Decimal("120.00") == -house.books.balance(2611)
    assert totals.boxes["21"].to_decimal() == house.books.balance(4535)
    assert totals.boxes["48"] == totals.boxes["30"]
    assert totals.boxes["49"] == totals.boxes["10"]


def test_basic_finds_its_invoices_and_says_what_waits(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    for order in ("4711", "4712", "4713"):
        house.sells("2026-03-02", 300_00, order=order)
    house.invoices("4711", 300, "2026-03-02")
    house.invoices("4712", 300, "2026-03-02", your_order_number="4712")
    house.opens("basic")
    seen = house.previews()
    assert sum(document.kind.value == "match" for document in seen.documents) == 2
    house.runs()
    assert {row.key for row in house.documents()} == {document.key for document in seen.documents}
    with house.rows() as session:
        assert not session.scalar(select(func.count(RunItemRow.id)).where(RunItemRow.what == "search"))


def test_files_hold_the_same_and_no_formula(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00, order="=HYPERLINK(1)", name="@evil")
    house.opens("plus")
    seen = house.previews()
    services, company = house.town.services, house.company_id
    table = list(csv.DictReader(io.StringIO("".join(previews.as_csv(services, company, seen.run_id)))))
    assert {row["document"] for row in table} == {document.key for document in seen.documents}
    assert not [cell for row in table for cell in row.values() if cell[:1] in "=+@" and cell]
    assert any(row["order_number"] == "'=HYPERLINK(1)" for row in table)
    debit = sum(Decimal(row["debit"]) for row in table if row["debit"])
    credit = sum(Decimal(row["credit"]) for row in table if row["credit"])
    assert debit == credit > 0
    book = openpyxl.load_workbook(io.BytesIO(previews.as_xlsx(services, company, seen.run_id)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert any(cell.value == "=HYPERLINK(1)" and cell.data_type == "s" for cell in cells)
    assert len(list(book["Documents"].iter_rows())) == len(table) + 1


def test_a_page_is_asked_for_by_kind_words_days_and_order(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    for day, amount in (("2026-03-02", 300_00), ("2026-03-03", 100_00), ("2026-03-04", 200_00)):
        house.sells(day, amount)
    house.opens("plus")
    seen = house.previews()
    services, company = house.town.services, house.company_id

    def asked(**more: Any) -> list[int]:
        found = previews.page(services, company, seen.run_id, previews.Asked(kind="sale", **more), rows=2)
        return [line.document.total.minor for line in found.lines]

    assert asked() == [300_00, 100_00]
    assert asked(offset=2) == [200_00]
    assert asked(order="-date") == [200_00, 100_00]
    assert asked(order="total") == [100_00, 200_00]
    assert asked(order="-total") == [300_00, 200_00]
    assert asked(words="1002") == [100_00]
    assert asked(since=date(2026, 3, 4)) == [200_00]
    assert asked(until=date(2026, 3, 2), order="kind") == [300_00]
    first = previews.page(services, company, seen.run_id, previews.Asked(), rows=2)
    assert first.next_offset == 2
    assert first.previous_offset is None
    assert dict(first.kinds)["sale"] == 3


def test_looking_joins_no_run_that_books_and_is_joined_by_none(bed: Bed) -> None:
    house = bed.house("plus")
    services, company = house.town.services, house.company_id
    look = runs.want_special(services, company, previews.TRIGGER)
    assert runs.want_special(services, company, previews.TRIGGER) == look, "pressed twice"
    sync = runs.want(services, company, "click")
    assert sync != look
    assert runs.want(services, company, "webhook") == sync
    view = runs.run_to_end(services, company, run_id=sync)
    assert view.state == "done"
    assert runs.view(services, company, look).state == "done", "it came first"
    with house.rows() as session:
        assert not session.scalar(select(func.count(RunRow.id)).where(RunRow.state == "running"))


def test_old_looks_keep_their_totals_only(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00)
    house.opens("plus")
    looked = [house.previews().run_id for _ in range(previews.KEPT_RUNS + 1)]
    services, company = house.town.services, house.company_id
    assert not previews.page(services, company, looked[0]).documents
    assert previews.totals(services, company, looked[0]) is not None
    assert previews.page(services, company, looked[1]).documents
    assert previews.latest_run(services, company) == looked[-1]
    assert not house.documents()


def test_what_is_foreseen_is_forgotten_by_the_database(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00)
    house.opens("plus")
    house.previews()
    with house.rows() as session:
        assert not session.scalar(select(func.count(DocumentRow.id)))
