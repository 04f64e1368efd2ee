"""People in between, in e-conomic: somebody works in the books while Kvitt is half-way through a document.

Whatever it is, the document is done in the end, or held for a reason that says what happened. Several such things
happen in one run here, each to a sale of its own: what is done to one must not keep the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from addon.services import prerequisites
from tests.flow.firm import Firm, firm_in

DRAFTED, BOOKING = "POST .*/invoices/booked$", "POST .*/bookdraftentries$"
ENTERING = "POST .*/draft-entries/bulk$"


@pytest.fixture
def firm(database: tuple[str, str | None]) -> Iterator[Firm]:
    with firm_in(database, in_flight=1) as made:
        yield made


def sell(firm: Firm, number: int) -> list[str]:
    """Sales of amounts that tell them apart."""
    firm.earlier_payment()
    return [firm.sells(f"2026-03-20 08:0{n}", 100_00 + 1_00 * n) for n in range(number)]


def reasons(firm: Firm, charges: list[str]) -> list[str]:
    """Why each sale is held; empty for those that are done."""
    told = {row.source_ref: row for row in firm.town.documents(firm.company_id, "sale")}
    return [told[charge].hold_reason if told[charge].state == "rejected" else "" for charge in charges]


DRAFTS: Mapping[str, tuple[Callable[[Firm, int], object], str]] = {
    "deletes it": (lambda firm, draft: firm.agreement.person_deletes_draft(draft), "waited_for_gone"),
    "books it": (lambda firm, draft: firm.agreement.person_books_draft(draft), ""),
    "changes its price": (lambda firm, draft: firm.agreement.person_edits_draft(draft, price=70), "touched"),
    "changes its date": (lambda firm, draft: firm.agreement.person_edits_draft(draft, date=date(2026, 3, 19)), ""),
    "changes its order number": (lambda firm, draft: firm.agreement.person_edits_draft(draft, other="9999"), ""),
}


def test_what_is_done_to_drafts_before_they_are_booked(firm: Firm) -> None:
    charges = sell(firm, len(DRAFTS))
    firm.opens()
    for n, (does, _) in enumerate(DRAFTS.values()):
        firm.fault("call", DRAFTED, after=n, action=lambda does=does: does(firm, max(firm.agreement.drafts)))
    firm.runs()
    assert dict(zip(DRAFTS, reasons(firm, charges), strict=True)) == {what: held for what, (_, held) in DRAFTS.items()}
    firm.proves()
    firm.agreement.check()


def _entry(firm: Firm, place: int) -> int:
    return sorted(firm.unbooked())[place]


def _invoice(firm: Firm, place: int) -> int:
    return int(firm.agreement.draft_entries[_entry(firm, place)].invoice)


def _credits(firm: Firm, place: int) -> None:
    invoice = firm.agreement.booked[_invoice(firm, place)]
    firm.agreement.person_creates_invoice(-invoice.gross, customer=invoice.customer)


ENTRIES: Mapping[str, tuple[Callable[[Firm, int], object], str]] = {
    "deletes it": (lambda firm, n: firm.agreement.person_deletes_entry(_entry(firm, n)), "waited_for_gone"),
    "changes its amount": (lambda firm, n: firm.agreement.person_changes_entry(_entry(firm, n), amount=55), "touched"),
    # Which account the other side has is not asked for each payment: the read-back of the ledger names the difference.
    "changes its account": (lambda firm, n: firm.agreement.person_changes_entry(_entry(firm, n), contra=5820), ""),
    "takes our key out of it": (
        lambda firm, n: firm.agreement.person_changes_entry(_entry(firm, n), text="Indbetaling"),
        "waited_for_gone",
    ),
    # Money came in once, and the person entered it once more: theirs is the one too many, and open at the customer.
    "pays the invoice": (lambda firm, n: firm.agreement.person_pays_invoice(_invoice(firm, n)), ""),
    "credits the invoice": (_credits, ""),
    "nothing": (lambda firm, n: None, ""),
    "books it": (lambda firm, n: firm.agreement.person_books_entries([_entry(firm, n)]), ""),
}


def test_what_is_done_to_payments_before_they_are_booked(firm: Firm) -> None:
    charges = sell(firm, len(ENTRIES))
    firm.opens()

    def all_at_once() -> None:
        # From the last one on: what is deleted or booked moves those behind it.
        for place in reversed(range(len(ENTRIES))):
            list(ENTRIES.values())[place][0](firm, place)

    firm.fault("call", BOOKING, action=all_at_once)
    firm.runs()
    assert dict(zip(ENTRIES, reasons(firm, charges), strict=True)) == {
        what: held for what, (_, held) in ENTRIES.items()
    }
    firm.agreement.check()
    # What was changed is not hidden: the ledger's read-back names each of the three.
    assert sorted((one.name, one.amount.minor) for one in named(firm)) == [
        ("posting_by_person", 55_00),
        ("posting_by_person", 103_00),
        ("voucher_missing", -102_00),
    ]
    payments = len(payments_of(firm))
    firm.retries()
    firm.runs()
    after = dict(zip(ENTRIES, reasons(firm, charges), strict=True))
    assert (after["deletes it"], after["changes its amount"]) == ("", "touched")
    assert after["takes our key out of it"] == "already_paid", "it is not paid a second time"
    assert len(payments_of(firm)) == payments + 1
    firm.agreement.check()


def named(firm: Firm) -> list[Any]:
    (proof,) = firm.town.prove(firm.company_id)
    return list(proof.identity.named)


def payments_of(firm: Firm) -> list[Any]:
    return [entry for entry in firm.agreement.entries if entry.type == 2 and entry.customer]


DAY = date(2026, 3, 20)
COMPANY: Mapping[str, tuple[str, Callable[[Firm], object], Callable[[Firm], object], str]] = {
    "bars the customer": (
        "POST .*/invoices/drafts$",
        lambda firm: firm.agreement.person_bars_customer(max(firm.agreement.customers)),
        lambda firm: firm.agreement.person_bars_customer(max(firm.agreement.customers), barred=False),
        "rejected",
    ),
    "removes the currency": (
        "POST .*/invoices/drafts$",
        lambda firm: firm.agreement.person_removes_currency("EUR"),
        lambda firm: firm.agreement.person_adds_currency("EUR"),
        "currency_not_ready",
    ),
    "bars the sales account": (
        "POST .*/invoices/booked$",
        lambda firm: firm.agreement.bar_account(1010),
        lambda firm: firm.agreement.bar_account(1010, barred=False),
        "account_not_ready",
    ),
    "closes the month before booking": (
        "POST .*/invoices/booked$",
        lambda firm: firm.agreement.close_period(DAY),
        lambda firm: firm.agreement.close_period(DAY, closed=False),
        "period_locked",
    ),
    "closes the month before the payment": (
        ENTERING,
        lambda firm: firm.agreement.close_period(DAY),
        lambda firm: firm.agreement.close_period(DAY, closed=False),
        "period_locked",
    ),
    "deletes our journal": (
        ENTERING,
        lambda firm: firm.agreement.person_deletes_journal(firm.journal),
        lambda firm: prerequisites.check(firm.town.services, firm.company_id),
        "account_not_ready",
    ),
}


def test_what_is_changed_in_the_books_holds_and_goes_on_when_it_is_mended(firm: Firm) -> None:
    firm.earlier_payment()
    firm.opens()
    wrong = {}
    for n, (what, (match, changes, mends, reason)) in enumerate(COMPANY.items()):
        firm.world.clock.advance(timedelta(minutes=10))
        firm.sells(f"2026-03-20 10:{10 * n + 5:02}", 100_00, "eur" if "currency" in what else "dkk")
        firm.fault("call", match, action=lambda changes=changes: changes(firm))
        firm.runs()
        if firm.held() != [reason]:
            wrong[what] = firm.town.held(firm.company_id)
        mends(firm)
        firm.world.economic.faults.clear()
        firm.town.repair(firm.company_id)
        firm.retries()
        firm.runs()
        assert not firm.held(), (what, firm.town.held(firm.company_id))
    assert not wrong
    firm.all_is_well()
