"""Basic, end to end: payments find the invoices that another plug-in made, by order number, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, update

from addon.core.delivery import PartState
from addon.services import matching, runs
from addon.store.models import MovementRow, PartRow
from tests.flow.house import Bed, House, instant
from tests.flow.test_plus import on_both_databases
from tests.support.town import WHO
from tests.support.turned import Ticking


@pytest.fixture
def basic(bed: Bed) -> House:
    return bed.house(balance_currencies=("sek",))


@on_both_databases
def test_a_payment_settles_the_invoice_that_has_its_order_number(basic: House) -> None:
    basic.sells("2026-03-02", 1_000_00, order="4711")
    invoice = basic.invoices("4711", 1_000, "2026-03-02")
    basic.opens("basic")
    view = basic.runs()
    assert basic.books.invoices[invoice].balance == 0
    assert basic.journal(series="C") == "2026-03-02 C  1510 -1000.00  1686 1000.00"
    assert basic.kinds() == {"match": 1, "fees": 1, "payout": 1}
    assert view.counts["writes"] == 2 + 2
    assert not basic.our_invoices()
    basic.all_is_well()


def test_a_payment_waits_until_the_shop_has_invoiced_and_is_dated_as_the_invoice(basic: House) -> None:
    basic.sells("2026-03-18", 1_000_00, order="4711")
    basic.opens("basic")
    basic.runs()
    assert basic.waiting() == ["invoice", "payout_paid"] or basic.waiting() == ["invoice"]
    basic.proves()
    basic.time("2026-03-21 09:00")
    number = basic.invoices("4711", 1_000, "2026-03-21")
    basic.runs()
    assert basic.books.invoices[number].balance == 0
    assert "2026-03-21 C" in basic.journal(series="C")
    basic.time("2026-03-27 09:00")
    basic.runs()
    assert not basic.waiting()
    basic.all_is_well()


def test_a_payment_that_waited_its_days_is_held_and_goes_on_when_the_invoice_comes(basic: House) -> None:
    basic.sells("2026-03-18", 1_000_00, order="4711")
    basic.opens("basic", wait_days="3")
    basic.runs()
    basic.time("2026-03-24 09:00")
    basic.runs()
    assert basic.held() == ["no_invoice"]
    basic.time("2026-03-25 09:00")
    basic.invoices("4711", 1_000, "2026-03-25")
    basic.runs()
    assert not basic.held(), "found without anyone pressing a button"
    basic.all_is_well()


def test_each_thing_that_does_not_match_is_held_for_its_own_reason(basic: House) -> None:
    basic.sells("2026-03-02", 100_00, order="")  # no order number
    basic.sells("2026-03-02", 200_00, order="2002")
    basic.invoices("2002", 210, "2026-03-02")  # another amount
    basic.sells("2026-03-02", 300_00, order="2003")
    basic.invoices("2003", 300, "2026-03-02", booked=False)
    basic.sells("2026-03-02", 400_00, order="2004")
    basic.books.person_pays_invoice(basic.invoices("2004", 400, "2026-03-02"))
    basic.sells("2026-03-02", 500_00, order="2005")
    basic.invoices("2005", 500, "2026-03-02")
    basic.invoices("2005", 500, "2026-03-03")  # two of them
    basic.sells("2026-03-02", 600_00, order="2006")
    basic.books.person_cancels_invoice(basic.invoices("2006", 600, "2026-03-02", booked=False))
    basic.sells("2026-03-02", 50_00, "eur", order="2007")
    basic.invoices("2007", 50, "2026-03-02", currency="EUR")
    basic.sells("2026-03-02", 800_00, order="2008")
    basic.invoices("2008", 70, "2026-03-02", currency="EUR")
    basic.sells("2026-03-02", 900_00, order="2009")
    basic.invoices("12009", 900, "2026-03-02")  # the number is only part of another
    basic.refunds(basic.sells("2026-03-02", 950_00, order="2010"), "2026-03-05")
    basic.invoices("2010", 950, "2026-03-02")  # and no credit note
    basic.opens("basic", wait_days="5")
    basic.runs()
    assert basic.held() == [
        "already_paid",
        "amount_differs",
        "foreign_currency",
        "foreign_currency",
        "invoice_cancelled",
        "no_order_number",
        "several_invoices",
    ]
    waiting = ["booking", "invoice", "invoice"]
    assert basic.waiting() == waiting, (
        "2003 is a draft, and there are no invoice of 2009 and no credit note of 2010 yet"
    )
    assert basic.kinds()["match"] == 1
    assert not [row for row in basic.journal().splitlines() if "12009" in row]
    basic.all_is_well()


def test_remedies_let_held_payments_go(basic: House) -> None:
    basic.sells("2026-03-02", 300_00, order="2003")
    unbooked = basic.invoices("2003", 300, "2026-03-02", booked=False)
    basic.sells("2026-03-02", 500_00, order="2005")
    basic.invoices("2005", 500, "2026-03-02")
    surplus = basic.invoices("2005", 500, "2026-03-03")
    basic.sells("2026-03-02", 800_00, order="2008")
    deviating = basic.invoices("2008", 801, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    assert basic.held() == ["amount_differs", "several_invoices"]
    assert basic.waiting() == ["booking"], "a draft is a person's: it has its days like one that is not there yet"
    basic.time("2026-03-21 09:00")
    basic.books.person_books_invoice(unbooked)
    basic.books.person_credits_invoice(surplus)
    basic.books.person_pays_invoice(surplus, on=instant("2026-03-21").date())
    basic.books.person_pays_invoice(basic.books.invoices[surplus].credit_reference, on=instant("2026-03-21").date())
    basic.sets(tolerance="1.00")
    assert basic.retries() == 2
    basic.runs()
    assert not basic.held()
    assert basic.books.invoices[deviating].balance == 0
    assert "3740" in basic.journal(series="C"), "the krona within the tolerance goes to rounding"
    basic.all_is_well()


def test_several_captures_fill_one_invoice(basic: House) -> None:
    for amount in (333_00, 333_00, 334_00):
        basic.sells("2026-03-02", amount, order="4711")
    number = basic.invoices("4711", 1_000, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    assert basic.books.invoices[number].balance == 0
    assert basic.kinds()["match"] == 3
    basic.all_is_well()


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
def test_equal_captures_are_never_taken_for_each_other(basic: House, kind: str) -> None:
    for _ in range(3):
        basic.sells("2026-03-02", 250_00, order="4711")
    number = basic.invoices("4711", 750, "2026-03-02")
    basic.opens("basic")
    for _ in range(3):
        basic.fault(kind, "POST /3/invoicepayments$", after=1)
    basic.runs()
    assert basic.books.invoices[number].balance == 0
    assert len([payment for payment in basic.books.payments.values() if payment.booked]) == 3
    basic.all_is_well()


def test_a_refund_settles_the_credit_note_that_the_shop_made(basic: House) -> None:
    charge = basic.sells("2026-03-02", 1_000_00, order="4711")
    number = basic.invoices("4711", 1_000, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    basic.refunds(charge, "2026-03-20 10:00")
    basic.runs()
    assert "invoice" in basic.waiting()
    basic.time("2026-03-21 09:00")
    note = basic.books.person_credits_invoice(number)
    basic.runs()
    assert basic.books.invoices[note.number].balance == 0
    assert basic.books.invoices[number].balance == 0
    assert basic.kinds()["match"] == 2
    basic.all_is_well()


def test_the_order_number_may_stand_in_other_fields_or_be_the_invoice_number(bed: Bed) -> None:
    basic = bed.house(balance_currencies=("sek",))
    basic.sells("2026-03-02", 100_00, order="A-1")
    basic.invoices("A-1", 100, "2026-03-02", your_order_number="", your_reference="A-1")
    basic.sells("2026-03-02", 200_00, order="2")
    assert basic.invoices("x", 200, "2026-03-02", your_order_number="") == 2
    basic.opens("basic")
    faults = basic.town.choose(
        basic.company_id, basic.connection_id, order_fields="order_number,your_reference,invoice_number"
    )
    assert faults is None
    basic.runs()
    assert basic.kinds()["match"] == 2
    basic.all_is_well()


def test_an_order_number_that_is_everywhere_holds_only_its_own_payment(basic: House) -> None:
    for number in range(45):
        basic.invoices(f"70{number:02}", 10, "2026-03-02")
    basic.sells("2026-03-02", 100_00, order="7")
    basic.sells("2026-03-02", 10_00, order="7001")
    basic.opens("basic")
    basic.runs()
    assert basic.held() == ["several_invoices"]
    assert basic.kinds()["match"] == 1
    basic.runs()
    assert basic.held() == ["several_invoices"]
    basic.all_is_well()


def test_a_slice_without_time_to_search_all_gets_on_in_the_next(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    basic = bed.house(balance_currencies=("sek",))
    for number in range(5):
        basic.sells("2026-03-02", 100_00 + number, order=f"50{number:02}")
    basic.opens("basic")
    hurried = House(basic.town.with_services(slice_s=8), basic.business, basic.company_id)
    monkeypatch.setattr(runs, "monotonic_time", Ticking())
    asked: list[int] = []

    def count(view: runs.RunView) -> None:
        asked.append(sum(call.path == "/3/invoices" for call in basic.world.fortnox.calls))

    runs.run_to_end(hurried.town.services, basic.company_id, count, patience_s=2000)
    assert sum(later > earlier for earlier, later in pairwise(asked)) > 3, "the searches took several slices"
    assert hurried.waiting() == ["invoice"] * 5
    for number in range(5):
        basic.invoices(f"50{number:02}", f"{100 + number / 100:.2f}", "2026-03-02")
    basic.time("2026-03-21 09:00")
    hurried.runs()
    assert basic.part_ids(PartState.WAITING, "invoice") == []
    basic.all_is_well()


def test_an_old_plan_looks_at_the_invoice_again_before_it_pays(basic: House) -> None:
    basic.sells("2026-03-02", 100_00, order="4711")
    number = basic.invoices("4711", 100, "2026-03-02")
    basic.sells("2026-03-02", 200_00, order="4712")
    untouched = basic.invoices("4712", 200, "2026-03-02")
    basic.opens("basic", approve="first")
    basic.runs()
    basic.time("2026-03-22 09:00")
    basic.books.person_pays_invoice(number, Decimal(40), on=instant("2026-03-21").date())
    basic.approves()
    basic.runs()
    assert basic.held() == ["touched"]
    ((_, _, facts),) = basic.town.held(basic.company_id)
    assert facts == {"invoice": str(number), "open": "60.00 SEK", "wanted": "100.00 SEK"}
    assert basic.books.invoices[number].balance == 60, "nothing is paid, not even unbooked"
    assert len([one for one in basic.books.payments.values() if one.invoice_number == number]) == 1
    assert basic.books.invoices[untouched].balance == 0
    basic.retries()
    basic.runs()
    assert basic.held() == ["amount_differs"], "it is planned anew, on what is open now"
    basic.proves()


def test_a_fresh_plan_pays_without_reading_the_invoice_again(basic: House) -> None:
    basic.sells("2026-03-02", 100_00, order="4711")
    number = basic.invoices("4711", 100, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    paths = [call.path for call in basic.world.fortnox.calls if call.method == "GET"]
    assert paths.count(f"/3/invoices/{number}") <= 1, "once when it was found"
    assert basic.books.invoices[number].balance == 0


def test_a_draft_that_nobody_books_comes_to_the_inbox(basic: House) -> None:
    basic.sells("2026-03-18", 300_00, order="2003")
    basic.invoices("2003", 300, "2026-03-18", booked=False)
    basic.opens("basic", wait_days="3")
    basic.runs()
    assert "booking" in basic.waiting()
    basic.time("2026-03-25 09:00")
    basic.runs()
    assert basic.held() == ["invoice_not_booked"]
    basic.all_is_well()


def test_one_payment_settles_several_invoices(basic: House) -> None:
    basic.sells("2026-03-02", 1_250_00, order="1001, 1002")
    numbers = [basic.invoices("1001", 1_000, "2026-03-02"), basic.invoices("1002", 250, "2026-03-03")]
    basic.sells("2026-03-02", 900_00, order="1003")
    numbers += [basic.invoices("1003", 600, "2026-03-02"), basic.invoices("1003", 300, "2026-03-02")]
    basic.opens("basic", fee_vat="exempt")
    basic.runs()
    assert [basic.books.invoices[number].balance for number in numbers] == [0, 0, 0, 0]
    assert basic.kinds()["match"] == 2, "a document for each payment, with a payment in the books for each invoice"
    assert len(basic.journal(series="C").splitlines()) == 4
    basic.all_is_well()


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
def test_a_payment_for_several_invoices_is_never_made_twice(basic: House, kind: str) -> None:
    basic.sells("2026-03-02", 1_250_00, order="1001, 1002")
    numbers = [basic.invoices("1001", 1_000, "2026-03-02"), basic.invoices("1002", 250, "2026-03-03")]
    basic.opens("basic")
    for _ in range(2):
        basic.fault(kind, "POST /3/invoicepayments$", after=1)
    basic.runs()
    assert [basic.books.invoices[number].balance for number in numbers] == [0, 0]
    basic.all_is_well()


def test_an_invoice_that_was_credited_in_part_takes_two_payments_on_the_clearing_account(basic: House) -> None:
    basic.sells("2026-03-02", 600_00, order="4711")
    invoice = basic.invoices("4711", 1_000, "2026-03-02")
    note = basic.invoices("4711", -400, "2026-03-02")
    basic.opens("basic", fee_vat="exempt")
    basic.runs()
    assert basic.books.invoices[invoice].balance == basic.books.invoices[note].balance == 0
    assert "1510 -1000.00  1686 1000.00" in basic.journal(series="C")
    assert "1510 400.00  1686 -400.00" in basic.journal(series="C")
    basic.all_is_well()


def test_a_person_chooses_the_invoice_and_it_is_compared_at_once(basic: House) -> None:
    basic.sells("2026-03-02", 600_00, order="")
    basic.sells("2026-03-02", 400_00, order="")
    invoice = basic.invoices("4711", 1_000, "2026-03-02")
    note = basic.invoices("4712", -600, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    first, second = basic.part_ids(PartState.HELD, "no_order_number")
    services, company = basic.town.services, basic.company_id
    for number, reason in ((str(note), "wrong_sign"), ("99", "not_there"), ("", "one_only")):
        with pytest.raises(matching.NotPossible) as fault:
            matching.choose_invoice(services, company, [first], number, WHO)
        assert fault.value.reason == reason
    assert len(basic.held()) == 2, "nothing was changed"
    for part in (first, second):
        assert matching.choose_invoice(services, company, [part], str(invoice), WHO) == 1
    basic.runs()
    assert basic.books.invoices[invoice].balance == 0
    with pytest.raises(matching.NotPossible):
        matching.choose_invoice(services, company, [first], str(invoice), WHO)
    basic.all_is_well()


def test_an_order_number_that_a_person_corrects_is_remembered_as_a_rule(basic: House) -> None:
    basic.sells("2026-03-02", 100_00, order="SE-1001")
    basic.sells("2026-03-02", 200_00, order="SE-1002")
    numbers = [basic.invoices("1001", 100, "2026-03-02"), basic.invoices("1002", 200, "2026-03-02")]
    basic.opens("basic")
    basic.runs()
    with basic.rows() as session:
        wanted = select(PartRow.id).join(MovementRow, MovementRow.id == PartRow.movement_id)
        first = session.scalars(wanted.where(MovementRow.order_number == "SE-1001", PartRow.name == "amount")).one()
    services, company = basic.town.services, basic.company_id
    with pytest.raises(matching.NotPossible):
        matching.treat_as_order(services, company, [first], "9999", WHO, remember=True)
    assert matching.treat_as_order(services, company, [first], "1001", WHO, remember=True) == 1
    basic.runs()
    assert [basic.books.invoices[number].balance for number in numbers] == [0, 0], "the other one by the rule"
    basic.all_is_well()


def test_a_difference_that_a_person_accepts_goes_to_rounding(basic: House) -> None:
    basic.sells("2026-03-02", 100_00, order="1001")
    basic.sells("2026-03-02", 100_00, order="1002")
    near, far = basic.invoices("1001", "100.70", "2026-03-02"), basic.invoices("1002", 102, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    ids = basic.part_ids(PartState.HELD, "amount_differs")
    assert matching.accept_difference(basic.town.services, basic.company_id, ids, WHO) == 2
    basic.runs()
    assert basic.books.invoices[near].balance == 0
    assert basic.books.invoices[far].balance == 102, "two kronor are no rounding, whoever says so"
    assert basic.held() == ["amount_differs"]
    with pytest.raises(matching.NotPossible):
        matching.accept_difference(basic.town.services, basic.company_id, [0], WHO)
    basic.all_is_well()


def test_a_draft_is_booked_by_its_payment_where_the_company_lets_us(basic: House) -> None:
    basic.sells("2026-03-02", 300_00, order="2003")
    basic.sells("2026-03-02", 100_00, order="2004")
    basic.sells("2026-03-02", 200_00, order="2004")
    drafts = [
        basic.invoices("2003", 300, "2026-03-02", booked=False),
        basic.invoices("2004", 300, "2026-03-02", booked=False),
    ]
    basic.opens("basic", book_drafts="yes")
    basic.runs()
    assert basic.waiting() == ["booking"], "the second capture waits for the first to book the invoice"
    basic.time("2026-03-21 09:00")
    basic.runs()
    assert all(basic.books.invoices[number].booked for number in drafts)
    assert [basic.books.invoices[number].balance for number in drafts] == [0, 0]
    assert basic.kinds()["match"] == 3
    basic.all_is_well()


def test_a_draft_that_a_person_changes_meanwhile_is_left_alone(basic: House) -> None:
    basic.sells("2026-03-02", 300_00, order="2003")
    draft = basic.invoices("2003", 300, "2026-03-02", booked=False)
    basic.opens("basic", book_drafts="yes", approve="first")
    basic.runs()
    basic.approves()
    basic.books.person_cancels_invoice(draft)
    basic.runs()
    assert basic.held() == ["touched"]
    assert not basic.books.payments
    basic.proves()


class Killed(BaseException):
    """The process is gone between a search and its plan."""


def _killed_once_before_its_plan(patch: pytest.MonkeyPatch) -> None:
    store_plan, kills = runs.booking.store_plan, [1]

    def store(*arguments: Any, **more: Any) -> Any:
        if kills:
            raise Killed(kills.pop())
        return store_plan(*arguments, **more)

    patch.setattr(runs.booking, "store_plan", store)


@pytest.mark.parametrize("waited_before", [False, True], ids=["a fresh payment", "one that waited for its invoice"])
def test_what_was_found_before_a_process_died_is_found_again(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, waited_before: bool
) -> None:
    basic = bed.house(balance_currencies=("sek",))
    basic.sells("2026-03-02", 500_00, order="4711")
    basic.opens("basic")
    if waited_before:
        basic.runs()
        basic.time("2026-03-20 11:00")
    number = basic.invoices("4711", 500, "2026-03-02")
    _killed_once_before_its_plan(monkeypatch)
    with pytest.raises(Killed):
        basic.town.run(basic.company_id)
    basic.time("2026-03-20 12:00")
    basic.runs()
    assert basic.books.invoices[number].balance == 0
    basic.all_is_well()


def test_a_search_that_was_remembered_without_a_plan_is_made_again(bed: Bed) -> None:
    """Such rows may be there from before: a run that saw them never came to its end."""
    basic = bed.house(balance_currencies=("sek",))
    basic.sells("2026-03-02", 500_00, order="4711")
    number = basic.invoices("4711", 500, "2026-03-02")
    basic.opens("basic")
    basic.runs()
    basic.sells("2026-03-20 09:59", 300_00, order="4712")
    other = basic.invoices("4712", 300, "2026-03-20")
    run_id = runs.want(basic.town.services, basic.company_id, "click")
    runs.run_slice(replace(basic.town.services, slice_s=0), basic.company_id, "click")
    with basic.town.services.db.company(basic.company_id) as session:
        at = basic.world.clock.now() + timedelta(seconds=1)
        session.execute(update(PartRow).where(PartRow.state == "open").values(searched_at=at))
    assert runs.run_to_end(basic.town.services, basic.company_id, patience_s=200, run_id=run_id).state == "done"
    assert not any(basic.books.invoices[each].balance for each in (number, other))
