"""One odd thing among many, and the same thing more than twice."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from addon.connectors.economic import EconomicClient
from addon.core.books import StepAnswer
from addon.core.documents import BookPayment
from addon.core.holds import HoldReason
from addon.ports.accounting import Known
from addon.ports.errors import OutcomeUnknown, PortError, Rejected, TryLater
from addon.sandbox.economic import Fault
from tests.connectors.economic.conftest import DAY, Bench, invoice_of, money

Row = Mapping[str, Any]


def entered(bench: Bench, number: int) -> tuple[BookPayment, Known]:
    """A payment whose entries lie in our journal."""
    key = f"stripe/ch_{number}"
    invoice = bench.sell(invoice_of(f"{100 * number}.00 DKK", f"{key}/sale"))
    create, book = bench.pay_steps(invoice, f"{key}/pay")
    made = bench.economic.perform(create, Known(invoice=invoice))
    return book, Known(payment_number=made.reference, invoice=invoice)


def test_a_row_that_cannot_be_read_is_in_doubt_and_none_beside_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [entered(bench, number) for number in range(1, 4)]
    odd = int(work[1][1].payment_number.partition("/")[2])
    read = EconomicClient.items

    def mangled(client: EconomicClient, path: str, filter_text: str = "") -> Iterator[Row]:
        for row in read(client, path, filter_text):
            yield {**row, "amount": "many"} if row.get("customerInvoiceNumber") == odd else row

    monkeypatch.setattr(EconomicClient, "items", mangled)
    answers = bench.economic.perform_together(work)
    assert [type(answer) for answer in answers] == [StepAnswer, OutcomeUnknown, StepAnswer]


def test_an_invoice_number_that_is_none_spoils_no_question_that_is_asked_for_all(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    first, second = entered(bench, 1), entered(bench, 2)
    lost = (first[0], Known(payment_number="999/draft-3"))
    answers = bench.economic.perform_together([lost, second])
    assert isinstance(answers[0], Rejected)
    assert isinstance(answers[1], StepAnswer)


def test_a_voucher_that_is_refused_again_and_again_within_the_hour_is_entered_anew_each_time(bench: Bench) -> None:
    """What they remember of the second try is as old as what they remember of the first."""
    agreement = bench.agreement
    for _ in range(4):
        bench.world.faults.add(Fault("call", match="bookdraftentries$", action=lambda: agreement.bar_period(DAY)))
        with pytest.raises(PortError) as caught:
            bench.post(bench.payout())
        assert isinstance(caught.value, Rejected)
        assert caught.value.reason == HoldReason.PERIOD_LOCKED
        assert not agreement.draft_entries
        agreement.bar_period(DAY, barred=False)
    bench.post(bench.payout())
    assert agreement.balance(5891) == -100


def test_a_draft_that_is_taken_away_again_and_again_is_made_anew_each_time(bench: Bench) -> None:
    customer = bench.customer()
    for number in range(1, 5):
        assert bench.draft(invoice_of("125.00 DKK"), customer).reference == f"draft-{number}"
        bench.agreement.person_deletes_draft(number)


def test_a_page_that_is_shorter_than_was_asked_for_is_not_the_last_if_they_name_a_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        bench.agreement.person_creates_customer(f"Customer {number}")
    read = EconomicClient.get

    def small(client: EconomicClient, path: str, params: Mapping[str, str] | None = None) -> Any:
        # As a host would that gives three rows at a time, whatever it is asked for.
        return read(client, path, {**params, "pagesize": "3"} if params and "pagesize" in params else params)

    monkeypatch.setattr(EconomicClient, "get", small)
    assert len(list(bench.economic.fetch_customers(None))) == 7


def test_an_invoice_of_somebody_else_under_the_same_number_is_not_the_one_that_is_paid(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entered by hand, as when the books were moved from another system: its number is whatever it was there."""
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    bench.world.switches.matches_other_rate = False
    invoice = bench.sell(invoice_of("100.00 EUR", rate="7.46"))
    create, book = bench.pay_steps(invoice, books_amount=money("744.50 DKK"))
    known = Known(payment_number=bench.economic.perform(create, Known(invoice=invoice)).reference, invoice=invoice)
    number = int(invoice.number)
    theirs = {
        "entryNumber": 1,
        "type": 10,
        "customerInvoiceNumber": number,
        "customerNumber": 4711,
        "accountNumber": 5600,
        "amount": 99,
        "amountInBaseCurrency": 99,
        "remainder": 99,
        "currencyCode": "DKK",
        "date": "2020-01-01",
        "voucherNumber": 5,
        "text": "Overført",
    }
    read = EconomicClient.items

    def beside(client: EconomicClient, path: str, filter_text: str = "") -> Iterator[Row]:
        if "customerInvoiceNumber" in filter_text:
            yield theirs
        yield from read(client, path, filter_text)

    monkeypatch.setattr(EconomicClient, "items", beside)
    (answer,) = bench.economic.perform_together([(book, known)])
    assert isinstance(answer, StepAnswer)
    assert bench.economic.get_invoice(invoice.number).balance == money("0.00 EUR")


def test_a_month_that_is_closed_under_many_costs_a_handful_of_calls(bench: Bench) -> None:
    """Payments of one month lie ready when it is barred: two questions tell which they are."""
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [entered(bench, number) for number in range(1, 41)]
    bench.agreement.bar_period(DAY)
    bench.log.calls.clear()
    answers = bench.economic.perform_together(work)
    assert {answer.reason for answer in answers if isinstance(answer, Rejected)} == {HoldReason.PERIOD_LOCKED}
    assert len(bench.log.lines()) <= 5, bench.log.lines()
    assert len(bench.agreement.draft_entries) == 40, "they stand there until the month is opened again"
    bench.agreement.bar_period(DAY, barred=False)
    assert {type(answer) for answer in bench.economic.perform_together(work)} == {StepAnswer}


def test_what_was_taken_away_is_found_among_many_by_two_questions(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [entered(bench, number) for number in range(1, 21)]
    gone = int(work[7][1].payment_number.partition("/")[0])
    bench.agreement.person_deletes_entry(gone)
    bench.log.calls.clear()
    answers = bench.economic.perform_together(work)
    assert [place for place, answer in enumerate(answers) if isinstance(answer, Rejected)] == [7]
    assert len(bench.log.lines()) <= 6, bench.log.lines()


def test_where_the_questions_are_not_answered_the_halves_tell(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [entered(bench, number) for number in range(1, 5)]
    bench.agreement.bar_period(DAY)
    bench.world.faults.add(Fault("html_502_before", match="periods$"))
    answers = bench.economic.perform_together(work)
    assert {answer.reason for answer in answers if isinstance(answer, Rejected)} == {HoldReason.PERIOD_LOCKED}


def test_a_voucher_that_was_booked_is_in_doubt_where_the_question_for_it_is_not_answered(bench: Bench) -> None:
    """Were it "nothing happened", it would be entered and booked a second time, without a look."""
    bench.world.switches.booked_delay_s = 5
    bench.world.faults.add(Fault("error_500_before", match="GET .*/draft-entries/[0-9]+$"))
    (answer,) = bench.economic.perform_together([(bench.payout(), bench.for_vouchers())])
    assert isinstance(answer, OutcomeUnknown)
    assert bench.agreement.balance(5891) == -100


def test_a_voucher_whose_booking_was_not_begun_is_in_doubt_where_nothing_can_be_read_back(bench: Bench) -> None:
    """Its entries lie there: after the hour for which they are remembered they would lie there twice."""
    agreement, faults = bench.agreement, bench.world.faults
    booking = "bookdraftentries$"
    # Refused together; then the first is booked, the second is not begun, and nothing can be read.
    faults.add(Fault("call", match=booking, action=lambda: agreement.bar_period(DAY)))
    faults.add(Fault("error_500_before", match="GET .*periods$"))
    faults.add(Fault("call", match=booking, after=1, action=lambda: agreement.bar_period(DAY, barred=False)))
    faults.add(Fault("rate_limited", match=booking, after=2))
    faults.add(Fault("error_500_before", match="GET .*/booked-entries$"))
    work = [(bench.payout(f"stripe/po_{number}/payout"), bench.for_vouchers()) for number in (1, 2)]
    answers = bench.economic.perform_together(work)
    assert agreement.balance(5891) == -100
    assert len(agreement.draft_entries) == 2
    assert [type(answer) for answer in answers] == [OutcomeUnknown, OutcomeUnknown]


def test_a_payment_that_was_not_booked_for_want_of_a_turn_is_not_in_doubt(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [entered(bench, number) for number in range(1, 3)]
    bench.world.faults.add(Fault("rate_limited", match="bookdraftentries$"))
    assert [type(answer) for answer in bench.economic.perform_together(work)] == [TryLater, TryLater]
