"""People in between: somebody works in the books while Kvitt is half-way through a document.

Each row of the table is something that a person does, each column a moment between two of Kvitt's calls. Whatever it
is, the document is done in the end, or held for a reason that says what happened; the run ends by itself, nothing
stands twice, and books and provider agree up to what the person did, which is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import pytest

from addon.sandbox.fortnox.errors import ApiError
from addon.services.settings import read_company
from tests.flow.house import Bed, House

MOMENTS = {
    "before booking": "PUT /3/invoices/[0-9]+/bookkeep$",
    "before the payment": "POST /3/invoicepayments$",
    "before booking the payment": "PUT /3/invoicepayments/[0-9]+/bookkeep$",
    "before crediting": "PUT /3/invoices/[0-9]+/credit$",
    "before dating the credit note": "PUT /3/invoices/[0-9]+$",
}
"""The call of Kvitt's that a person is quicker than."""
CREDITING = ("before crediting", "before dating the credit note")

Does = Callable[[House, int], object]


def _edits(house: House, number: int) -> None:
    row = {"Description": "Rabatt", "DeliveredQuantity": "1", "Price": "700", "VAT": 25, "AccountNumber": 3001}
    house.books.person_edits_invoice(number, InvoiceRows=[row])


def _payment(house: House, number: int) -> int:
    """The preliminary payment of an invoice."""
    found = [key for key, payment in house.books.payments.items() if payment.invoice_number == number]
    if not found:
        raise ApiError(2000432, "Kan inte hitta betalningen.")
    return int(found[-1])


DOES: Mapping[str, Does] = {
    "edits the invoice": _edits,
    "books the invoice": lambda house, number: house.books.person_books_invoice(number),
    "cancels the invoice": lambda house, number: house.books.person_cancels_invoice(number),
    "credits the invoice": lambda house, number: house.books.person_credits_invoice(number),
    "pays the invoice": lambda house, number: house.books.person_pays_invoice(number),
    "pays a part of it": lambda house, number: house.books.person_pays_invoice(number, 100),
    "deletes the payment": lambda house, number: house.books.person_deletes_payment(_payment(house, number)),
    "books the payment": lambda house, number: house.books.person_books_payment(_payment(house, number)),
}


def between(house: House, moment: str, does: Does, done: list[str]) -> None:
    """Let a person do it, at this moment of the document that is under way; nothing where the books refuse it."""

    def act() -> None:
        newest = max(house.our_invoices(), key=lambda invoice: invoice.number)
        try:
            does(house, newest.number)
        except (ApiError, KeyError):
            return
        done.append(moment)

    house.fault("call", MOMENTS[moment], action=act)


def a_sale_at(bed: Bed, moment: str) -> House:
    house = bed.house(balance_currencies=("sek",))
    charge = house.sells("2026-03-02", 1_000_00)
    house.opens("plus")
    house.town = house.town.with_services(in_flight=1)
    if moment in CREDITING:
        house.runs()
        house.refunds(charge, "2026-03-20 09:59")
    return house


def outcome(house: House) -> str:
    house.runs()
    return " ".join(sorted(set(house.held()))) or "done"


TABLE = [
    ("edits the invoice", "before booking", "touched"),
    ("edits the invoice", "before dating the credit note", "total_differs"),
    ("books the invoice", "before booking", "done"),
    ("books the invoice", "before dating the credit note", "rejected"),
    ("cancels the invoice", "before booking", "rejected"),
    ("cancels the invoice", "before dating the credit note", "rejected"),
    ("credits the invoice", "before the payment", "done"),
    ("credits the invoice", "before booking the payment", "done"),
    ("credits the invoice", "before crediting", "rejected"),
    ("pays the invoice", "before the payment", "already_paid"),
    ("pays the invoice", "before booking the payment", "already_paid"),
    ("pays a part of it", "before the payment", "rejected"),
    ("pays a part of it", "before booking the payment", "rejected"),
    ("deletes the payment", "before booking the payment", "rejected"),
    ("books the payment", "before booking the payment", "done"),
]
"""Whatever else the two lists make is refused by the books themselves: nobody edits or cancels what is booked."""


@pytest.mark.parametrize(("what", "moment", "ends"), TABLE)
def test_what_a_person_does_to_a_document_under_way_ends_done_or_held(
    bed: Bed, what: str, moment: str, ends: str
) -> None:
    house = a_sale_at(bed, moment)
    done: list[str] = []
    between(house, moment, DOES[what], done)
    assert outcome(house) == ends
    assert done == [moment]
    house.books.check()
    house.proves()
    if ends == "done":
        house.nothing_twice()
        assert not house.town.undelivered(house.company_id)
    else:
        assert house.sets_aside() == 1, "whatever it was, it can be left to the person who did it"
        assert house.identities()["SEK"].identity.not_booked.set_aside
        assert not house.held()
        house.proves()


COMPANY: Mapping[str, tuple[Callable[[House], object], Callable[[House], object]]] = {
    "deactivates the sales account": (
        lambda house: house.books.deactivate_account(3001),
        lambda house: house.books.activate_account(3001),
    ),
    "deactivates the clearing account": (
        lambda house: house.books.deactivate_account(house.clearing()),
        lambda house: house.books.activate_account(house.clearing()),
    ),
    "locks the period": (
        lambda house: house.books.lock_period(date(2026, 3, 15)),
        lambda house: house.books.lock_period(None),
    ),
    "removes our series": (
        lambda house: house.books.remove_series(series_of(house)),
        lambda house: house.books.add_series(series_of(house), "Kvitt"),
    ),
    "removes the currency": (
        lambda house: house.books.remove_currency("EUR"),
        lambda house: house.books.person_adds_currency("EUR"),
    ),
    "deactivates the customer": (
        lambda house: house.books.person_edits_customer(next(iter(house.books.customers)), Active=False),
        lambda house: house.books.person_edits_customer(next(iter(house.books.customers)), Active=True),
    ),
}
CALLS = {
    **MOMENTS,
    "before the invoice": "POST /3/invoices$",
    "before a voucher": "POST /3/vouchers$",
}


def series_of(house: House) -> str:
    with house.rows() as session:
        return read_company(session).voucher_series


COMPANY_TABLE = [
    ("deactivates the sales account", "before the invoice", "account_not_ready"),
    ("deactivates the clearing account", "before the payment", "account_not_ready"),
    ("deactivates the clearing account", "before a voucher", "account_not_ready"),
    ("locks the period", "before the invoice", "period_locked"),
    ("locks the period", "before the payment", "period_locked"),
    ("locks the period", "before booking the payment", "period_locked"),
    ("locks the period", "before a voucher", "period_locked"),
    ("removes our series", "before a voucher", "rejected"),
    ("removes the currency", "before the invoice", "currency_not_ready"),
    ("removes the currency", "before booking", ""),
    ("deactivates the customer", "before the invoice", "rejected"),
]


@pytest.mark.parametrize(("what", "moment", "reason"), COMPANY_TABLE)
def test_what_a_person_changes_in_the_books_holds_and_is_mended_with_a_button(
    bed: Bed, what: str, moment: str, reason: str
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 100_00, "eur")
    house.opens("plus")
    house.town = house.town.with_services(in_flight=1)
    changes, mends = COMPANY[what]
    struck = house.fault("call", CALLS[moment], action=lambda: changes(house))
    house.runs()
    assert struck.struck == 1
    assert set(house.held()) == ({reason} if reason else set())
    assert house.parts().keys() <= {"booked", "held"}, house.parts()
    house.proves()
    mends(house)
    house.repairs()
    house.retries()
    house.time("2026-03-21 11:00")
    house.runs()
    assert not house.held()
    house.all_is_well()
