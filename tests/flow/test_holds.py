"""What stops a document half-way or before its start, what a person does about it, and how it goes on."""

from decimal import Decimal

import pytest

from addon.core.delivery import PartState
from addon.services import booking
from tests.flow.house import Bed, House, instant
from tests.support.town import WHO

BOOK_INVOICE = "PUT /3/invoices/[0-9]+/bookkeep"
CREATE_INVOICE = "POST /3/invoices$"
CREATE_PAYMENT = "POST /3/invoicepayments$"


def test_a_locked_period_holds_and_the_other_rule_books_on_the_next_open_day(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.sells("2026-03-12", 500_00)
    plus.books.lock_period(instant("2026-03-08").date())
    plus.opens()
    plus.runs()
    # The sale, its fee and the payout of the locked days.
    assert plus.held() == ["period_locked"] * 3
    assert "2026-03-0" not in plus.journal()
    plus.proves()
    plus.sets(locked_period="next_open_day")
    plus.runs()
    assert not plus.held()
    assert plus.journal(series="B").splitlines()[0].startswith("2026-03-09")
    (moved,) = [invoice for invoice in plus.our_invoices() if invoice.total == 1_000]
    assert "belongs to 2026-03-02, period locked" in moved.text("Remarks")
    plus.all_is_well()


def test_a_period_locked_after_the_plan_holds_before_anything_is_written(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus", approve="first")
    house.runs()
    house.books.lock_period(instant("2026-03-10").date())
    house.approves()
    house.world.fortnox.reset_calls()
    house.runs()
    assert house.writes() == 0
    assert house.held() == ["period_locked"] * 3
    house.books.lock_period(None)
    assert house.retries() == 3
    house.runs()
    assert house.approves() == 3, "planned anew, so it is approved anew"
    house.runs()
    house.all_is_well()


def test_a_period_locked_in_the_middle_of_a_document_holds_and_goes_on(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("call", BOOK_INVOICE, action=lambda: plus.books.lock_period(instant("2026-03-10").date()))
    plus.runs()
    assert set(plus.held()) == {"period_locked"}
    plus.proves()
    plus.books.lock_period(None)
    plus.retries()
    plus.runs()
    plus.all_is_well()


def test_an_account_deactivated_in_between_holds_what_needs_it_and_nothing_else(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.books.deactivate_account(3001)
    plus.runs()
    assert plus.held() == ["account_not_ready"]
    assert plus.kinds() == {"fees": 1, "payout": 1}
    assert not plus.our_invoices()
    plus.proves()
    plus.books.activate_account(3001)
    plus.runs()
    assert not plus.held(), "planned anew at the next run"
    plus.all_is_well()


def test_an_account_deactivated_under_way_leaves_the_invoice_unbooked_until_it_is_active_again(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("call", BOOK_INVOICE, action=lambda: plus.books.deactivate_account(3001))
    plus.runs()
    assert plus.held() == ["account_not_ready"]
    assert [invoice.booked for invoice in plus.our_invoices()] == [False]
    plus.books.activate_account(3001)
    plus.retries()
    plus.runs()
    assert len(plus.our_invoices()) == 1
    plus.all_is_well()


def test_a_refused_plan_that_left_nothing_is_made_anew_with_the_settings_of_today(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus", approve="first")
    house.runs()
    house.approves()
    house.books.deactivate_account(3001)
    house.runs()
    assert house.held() == ["account_not_ready"]
    house.sets(**{"accounts.sales:SE25": "3041"})
    house.retries()
    house.runs()
    house.approves()
    house.runs()
    assert "3041 -800.00" in house.journal(series="B")
    house.all_is_well()


@pytest.mark.parametrize(("ore", "total"), [(100_40, "101"), (100_60, "101"), (100_00, "100"), (100_50, "101")])
def test_a_company_that_rounds_to_whole_kronor_closes_what_was_paid(bed: Bed, ore: int, total: str) -> None:
    house = bed.house()
    house.books.settings.rounds_to_whole_krona = True
    charge = house.sells("2026-03-02", ore)
    house.opens("plus")
    house.runs()
    house.refunds(charge, "2026-03-20 09:59")
    again = house.sells("2026-03-20 09:59", ore)
    house.refunds(again, "2026-03-20 09:59", ore // 2)
    house.runs()
    assert next(invoice.total for invoice in house.our_invoices()) == Decimal(total)
    assert house.kinds()["refund"] == 2
    house.time("2026-04-01 10:00")
    house.runs()
    house.all_is_well()


def test_a_rate_forced_to_one_holds_and_nothing_is_booked(plus: House) -> None:
    plus.sells("2026-03-02", 100_00, "eur")
    plus.sells("2026-03-02", 700_00, "dkk")
    plus.world.fortnox.switches.currency_rate_forced_to_one = True
    plus.opens(rate_source="accounting")
    plus.runs()
    assert plus.held() == ["rate_differs", "rate_differs"]
    assert not plus.our_invoices(), "what was made has been cancelled"
    assert not plus.journal(series="B")
    plus.proves()
    plus.world.fortnox.switches.currency_rate_forced_to_one = False
    assert plus.retries() == 2
    plus.runs()
    plus.time("2026-04-04 10:00")
    plus.runs()
    assert not plus.held()
    plus.all_is_well()


def test_a_wrong_invoice_that_cannot_be_cancelled_is_found_again_and_compared_again(plus: House) -> None:
    plus.sells("2026-03-18", 100_00, "eur")
    plus.world.fortnox.switches.currency_rate_forced_to_one = True
    plus.fault("error_500_before", "/cancel$", times=None)
    plus.opens(rate_source="accounting")
    plus.runs()
    assert plus.held() == ["rate_differs"]
    assert [invoice.booked for invoice in plus.our_invoices()] == [False]
    plus.retries()
    plus.runs()
    assert plus.held() == ["rate_differs"], "found under its key, compared and held again"
    assert len(plus.our_invoices()) == 1
    assert not plus.journal(series="B")
    plus.world.fortnox.faults.clear()
    plus.world.fortnox.switches.currency_rate_forced_to_one = False
    plus.retries()
    plus.runs()
    plus.retries()
    plus.runs()
    plus.time("2026-04-04 10:00")
    plus.runs()
    assert not plus.held()
    plus.all_is_well()


def test_an_invoice_that_a_person_changed_before_it_was_booked_is_held(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    rows = [{"Description": "Rabatt", "DeliveredQuantity": "1", "Price": "900", "VAT": 25, "AccountNumber": 3001}]

    def edit() -> None:
        (invoice,) = plus.our_invoices()
        plus.books.person_edits_invoice(invoice.number, InvoiceRows=rows)

    plus.fault("call", BOOK_INVOICE, action=edit)
    plus.runs()
    assert plus.held() == ["touched"]
    plus.proves()
    plus.retries()
    plus.runs()
    assert plus.held() == ["touched"], "a hundred kronor are no rounding"
    assert not plus.journal(series="C")
    assert plus.sets_aside(where="paid by hand, C1") == 1
    plus.runs()
    assert not plus.held()


def test_an_invoice_paid_by_hand_in_between_is_held_and_set_aside(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()

    def pay() -> None:
        (invoice,) = plus.our_invoices()
        plus.books.person_pays_invoice(invoice.number, account=plus.clearing())

    plus.fault("call", CREATE_PAYMENT, action=pay)
    plus.runs()
    # Paid by hand, to the öre and onto the clearing account, it is as good as ours; else a person looks.
    assert plus.held() in ([], ["already_paid"])
    if plus.held():
        assert plus.sets_aside(where="C1") == 1
    assert all(not identity.identity.difference for identity in plus.identities().values())


def test_an_invoice_cancelled_by_a_person_in_between_is_held(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.fault("call", BOOK_INVOICE, action=lambda: plus.books.person_cancels_invoice(1))
    plus.runs()
    assert plus.held() == ["rejected"]
    plus.proves()
    assert plus.sets_aside() == 1
    proved = plus.proves()
    assert proved["SEK"].identity.not_booked.set_aside.minor == 1_000_00


def test_a_buyer_whom_the_books_refuse_holds_that_sale_and_the_run_ends(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00, email="b@example.com")
    for day in (3, 4, 5):
        plus.sells(f"2026-03-{day:02}", 100_00 + day, email="b@example.com")
    plus.sells("2026-03-06", 200_00, email="other@example.com")
    plus.opens()
    refuse = _refuse_customers(plus)
    view = plus.runs()
    assert plus.kinds()["sale"] == 1
    assert plus.held() == ["rejected"]
    assert view.counts["to_deliver"] == 3, "the same buyer's other sales wait for that one"
    plus.proves()
    plus.sells("2026-03-20 09:58", 700_00, email="b@example.com")
    plus.runs()
    plus.runs()
    assert plus.held() == ["rejected"]
    refuse.clear()
    plus.books.person_creates_customer("B", Email="b@example.com")
    plus.retries()
    plus.time("2026-04-04 10:00")
    plus.runs()
    assert plus.kinds()["sale"] == 6
    assert len([c for c in plus.books.customers.values() if c.values.get("Email") == "b@example.com"]) == 1
    plus.all_is_well()


def _refuse_customers(house: House) -> list[str]:
    """These books refuse one buyer, as they do for a VAT number that is none."""
    from addon.sandbox.fortnox.errors import ApiError

    refused = ["b@example.com"]
    write = house.books.write_customer

    def refusing(number, sent, **more):  # type: ignore[no-untyped-def]
        if sent.get("Email") in refused and not more.get("by_person"):
            raise ApiError(2004194, "Ogiltigt VAT-nummer.")
        return write(number, sent, **more)

    house.books.write_customer = refusing
    return refused


def test_a_fault_of_our_own_holds_its_document_only(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.connectors.fortnox.accounting import FortnoxAccounting
    from addon.core.documents import CreateInvoice

    plus.sells("2026-03-02", 1_000_00, order="1")
    plus.sells("2026-03-03", 2_000_00, order="2")
    plus.opens()
    perform = FortnoxAccounting.perform

    def broken(self, step, known):  # type: ignore[no-untyped-def]
        if isinstance(step, CreateInvoice) and step.invoice.order_number == "1":
            raise KeyError("a fault of ours")
        return perform(self, step, known)

    with monkeypatch.context() as patch:
        patch.setattr(FortnoxAccounting, "perform", broken)
        plus.runs()
    assert plus.held() == ["rejected"]
    assert plus.kinds()["sale"] == 1
    plus.retries()
    plus.runs()
    plus.all_is_well()


def test_a_second_movement_of_one_charge_is_held_and_later_plans_go_on(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    plus.stripe.adjustment(
        200_00, reporting_category="charge", type="charge", source=charge, at=instant("2026-03-20 09:55")
    )
    plus.sells("2026-03-20 09:56", 500_00)
    plus.runs()
    assert plus.held() == ["kind_not_built"] or plus.held() == ["amount_differs"], plus.held()
    assert plus.kinds()["sale"] == 2
    plus.proves()


def test_what_is_set_aside_can_be_taken_back_and_is_counted_meanwhile(plus: House) -> None:
    charge = plus.sells("2026-02-25", 1_000_00)
    plus.refunds(charge, "2026-03-09", 100_00)
    plus.opens()
    plus.runs()
    assert plus.sets_aside() == 1
    assert plus.proves()["SEK"].identity.not_booked.set_aside.minor == -100_00
    ids = plus.part_ids(PartState.SET_ASIDE)
    assert booking.retry(plus.town.services, plus.company_id, ids, WHO) == 1
    plus.runs()
    assert plus.held() == ["original_unknown"]
    plus.proves()
