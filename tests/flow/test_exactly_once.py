"""Faults one upon the other, and requests that are carried out after they were given up: each document stands once.

Every write under every fault by itself: test_fault_matrix.py. Here a write is struck by all of them one after the
other, over sockets: what one fault leaves to another, a retry that fails again, is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy import delete, update

from addon.connectors.http import DeadlineTransport
from addon.sandbox.fortnox.faults import Fault
from addon.store.models import DeliveryRow, DocumentRow, PartRow
from tests.flow.house import Bed, House
from tests.flow.house import bed as bed_of
from tests.flow.test_plus import on_both_databases

FAULTS: tuple[tuple[str, float], ...] = (
    ("rate_limited", 1),
    ("rate_limited", 0),  # without Retry-After the first attempts wait shortest
    ("timeout_before", 2.6),  # our own deadline is two seconds in this town
    ("lost_before", 0),
    ("lost_after", 0),
    ("error_500_before", 0),
    ("error_500_after", 0),
    ("html_502_before", 0),
    ("html_502_after", 0),
    ("truncated_json", 0),
    ("unauthorized", 0),
    ("internal_1000029", 0),
    ("internal_1000029_after", 0),
    ("slow", 2.3),  # answered when we have given up, and done
    ("zombie", 0),  # done when everything else has been
)
WRITES = {
    "create customer": "POST /3/customers$",
    "create invoice": "POST /3/invoices$",
    "round invoice": "PUT /3/invoices/[0-9]+$",
    "book invoice": "PUT /3/invoices/[0-9]+/bookkeep$",
    "credit invoice": "PUT /3/invoices/[0-9]+/credit$",
    "date credit note": "PUT /3/invoices/[0-9]+$",
    "create payment": "POST /3/invoicepayments$",
    "book payment": "PUT /3/invoicepayments/[0-9]+/bookkeep$",
    "post voucher": "POST /3/vouchers$",
}


def _sales(house: House, number: int, amount: int = 100_00) -> list[str]:
    return [house.sells(f"2026-03-{2 + n:02}", amount + 100 * n) for n in range(number)]


def _refunds(house: House, number: int) -> None:
    for n, charge in enumerate(_sales(house, number)):
        house.refunds(charge, f"2026-03-{4 + n:02}")


def _rounded(house: House, number: int) -> None:
    house.books.settings.rounds_to_whole_krona = True
    _sales(house, number, 100_30)


WORLDS: dict[str, Callable[[House, int], object]] = {
    "round invoice": _rounded,
    "credit invoice": _refunds,
    "date credit note": _refunds,
}


def _strike(house: House, write: str) -> list[Fault]:
    house.world.fortnox.switches.retry_after = "never"
    return [house.fault(kind, WRITES[write], seconds=seconds) for kind, seconds in FAULTS]


@pytest.fixture
def hasty(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town in which nobody waits long: calls have three seconds, quarantines a third of one."""
    with bed_of(*database, settings={"LEASE_S": "9"}, quarantine_s=0.3) as made:
        yield made


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Lets the first connection for a call be refused; gives the list of what was."""

    def begin(match: str) -> list[str]:
        refused: list[str] = []
        handle = DeadlineTransport.handle_request

        def refusing(transport: DeadlineTransport, request: httpx.Request) -> httpx.Response:
            call = f"{request.method} {request.url.path}"
            if not refused and re.search(match, call):
                refused.append(call)
                raise httpx.ConnectError("refused")
            return handle(transport, request)

        monkeypatch.setattr(DeadlineTransport, "handle_request", refusing)
        return refused

    return begin


@pytest.mark.slow
@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.parametrize("write", ["create invoice", "create payment", "post voucher"])
def test_each_document_stands_once_after_every_fault_over_sockets(
    hasty: Bed, refuse: Callable[[str], list[str]], write: str
) -> None:
    """What the fault matrix shows of all writes in turned time, of some over a real network, clock and database."""
    house = hasty.house(balance_currencies=("sek",))
    WORLDS.get(write, _sales)(house, 5)
    house.opens("plus")
    faults = _strike(house, write)
    refused = refuse(WRITES[write])
    house.runs()
    assert refused
    struck = [fault.kind for fault in faults if fault.struck]
    # The run ends by itself, whatever was struck; what is left of the faults strikes the next runs.
    assert len(struck) >= 8, struck
    for _ in range(3):
        if all(fault.struck for fault in faults):
            break
        house.sells("2026-03-20 09:59", 300_00 + 100 * len(house.our_invoices()))
        house.runs()
    house.world.fortnox.run_zombies()  # what was given up is carried out after all
    _audited(house)
    assert not house.held()
    house.all_is_well()


def _audited(house: House) -> None:
    """A night goes by: everything is compared, and what landed twice is taken back."""
    house.time("2026-03-21 11:00")
    house.runs()
    house.time("2026-03-30 11:00")
    house.runs()


@on_both_databases
def test_a_voucher_that_is_written_after_it_was_given_up_is_taken_back_in_the_open(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("zombie", WRITES["post voucher"])
    plus.runs()
    plus.proves()
    before = plus.journal()
    plus.world.fortnox.run_zombies()
    assert plus.journal() != before
    proved = plus.identities()["SEK"].identity
    assert [entry.name for entry in proved.named] == ["posting_by_person"], "seen in the read-back at once"
    plus.time("2026-03-21 11:00")
    plus.runs()
    assert plus.kinds()["correction"] == 1
    (correction,) = plus.documents("correction")
    reversal = plus.books.vouchers[_key(correction.vouchers[-1])]
    twice = plus.books.vouchers[_key(correction.vouchers[0])]
    assert {(row.account, row.amount) for row in reversal.rows} == {(row.account, -row.amount) for row in twice.rows}
    assert correction.vouchers[0] in reversal.description
    plus.time("2026-03-23 11:00")
    plus.runs()
    assert plus.kinds()["correction"] == 1, "once is enough"
    plus.proves()
    plus.books.check()


def _key(reference: str) -> tuple[str, int, int]:
    series, number, year = reference.split("/")
    return series, int(number), int(year)


def test_an_invoice_that_is_made_after_it_was_given_up_is_cancelled(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("zombie", WRITES["create invoice"])
    plus.runs()
    assert len(plus.our_invoices()) == 1
    plus.world.fortnox.run_zombies()
    assert [invoice.booked for invoice in plus.our_invoices()] == [True, False]
    plus.time("2026-03-21 11:00")
    plus.runs()
    plus.all_is_well()


def test_an_invoice_that_stands_booked_twice_is_credited_by_a_note_that_names_the_copy(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("zombie", WRITES["create invoice"])
    plus.runs()
    plus.world.fortnox.run_zombies()
    first, copy = plus.our_invoices()
    plus.books.person_books_invoice(copy.number)
    assert plus.books.balance(3001) == -1600
    plus.time("2026-03-21 11:00")
    plus.runs()
    (correction,) = [row for row in plus.documents("correction") if row.state == "booked"]
    assert correction.key.endswith(f"/undo/{copy.number}")
    (note,) = [invoice for invoice in plus.books.invoices.values() if invoice.total < 0]
    assert note.booked
    assert f"takes back invoice {copy.number}," in json.dumps(correction.payload)
    assert plus.books.balance(3001) == -800, "the sale stands once"
    assert not any(plus.books.invoices[number].balance for number in (first.number, copy.number, note.number))
    plus.time("2026-03-23 11:00")
    plus.runs()
    assert len(plus.documents("correction")) == 1, "once is enough"
    plus.proves()
    plus.books.check()


def test_a_zombie_between_create_and_book_is_fenced_off(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("zombie", WRITES["create invoice"])
    plus.fault("call_after", WRITES["create invoice"], action=plus.world.fortnox.run_zombies)
    plus.runs()
    assert len(plus.books.invoices) == 2, "the zombie came when the second had been made and was not booked"
    plus.all_is_well()


def test_a_payment_that_is_made_after_it_was_given_up_is_taken_away(bed: Bed) -> None:
    basic = bed.house(balance_currencies=("sek",))
    for amount in (250_00, 250_00, 500_00):
        basic.sells("2026-03-02", amount, order="4711")
    number = basic.invoices("4711", 2_000, "2026-03-02")
    other = basic.invoices("4712", 250, "2026-03-02")
    basic.sells("2026-03-03", 250_00, order="4712")
    basic.sells("2026-03-04", 1_000_00, order="4711")
    basic.opens("basic")
    basic.fault("zombie", WRITES["create payment"])
    basic.fault("call_after", "PUT /3/invoicepayments/[0-9]+/bookkeep$", action=basic.world.fortnox.run_zombies)
    basic.runs()
    _audited(basic)
    assert basic.books.invoices[number].balance == 0
    assert basic.books.invoices[other].balance == 0
    basic.all_is_well()


def test_a_persons_credit_note_of_our_invoice_is_left_alone(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    (invoice,) = plus.our_invoices()
    note = plus.books.person_credits_invoice(invoice.number, booked=False)
    assert note.text("ExternalInvoiceReference1") == invoice.text("ExternalInvoiceReference1")
    plus.sells("2026-03-20 09:59", 300_00)
    plus.runs()
    _audited(plus)
    assert not plus.books.invoices[note.number].cancelled, "a person's credit note is the person's"


def test_a_document_all_of_whose_answers_are_lost_stands_once(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("lost_after", WRITES["create invoice"])
    plus.fault("lost_after", WRITES["create payment"])
    plus.fault("lost_after", WRITES["post voucher"])
    plus.runs()
    assert len(plus.books.invoices) == 1
    plus.all_is_well()


def test_after_a_new_installation_nothing_is_made_twice(plus: House) -> None:
    """The database was lost and the app installed anew: what stands in the books is found, not made again."""
    plus.sells("2026-03-02", 1_000_00)
    plus.refunds(plus.sells("2026-03-03", 500_00), "2026-03-09")
    plus.opens()
    plus.runs()
    invoices, vouchers = len(plus.books.invoices), len(plus.books.ledger)
    with plus.town.services.db.company(plus.company_id) as session:
        for statement in (
            update(PartRow).values(state="open", document_id=None),
            delete(DeliveryRow),
            delete(DocumentRow),
        ):
            session.execute(statement.execution_options(synchronize_session=False))
    assert plus.town.install(plus.business) == plus.company_id
    plus.runs()
    assert (len(plus.books.invoices), len(plus.books.ledger)) == (invoices, vouchers)
    plus.all_is_well()
