"""Each step against the simulated e-conomic, by what then stands in its ledger."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from addon.connectors.economic import Choices, EconomicAccounting
from addon.core.accounts import Account, AccountRole
from addon.core.books import OrderField, Register, Remedy, Repair, StepAnswer
from addon.core.documents import (
    AwaitInvoice,
    AwaitPayment,
    BookInvoice,
    BookPayment,
    CreateArticle,
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    CustomerVat,
    DateCreditNote,
    InvoiceLine,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    UpdateCustomer,
    Voucher,
    signed_line,
)
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.ports.accounting import Known
from addon.ports.errors import AlreadyDone, BadReply, OutcomeUnknown, Rejected, TryLater
from addon.sandbox.economic import Fault
from tests.connectors.economic.conftest import (
    BANK,
    BUYER,
    CLEARING,
    DAY,
    FEE,
    ROUNDING,
    SALES,
    Bench,
    invoice_of,
    money,
)


def test_a_sale_is_invoiced_and_paid_to_the_ore(bench: Bench) -> None:
    invoice = bench.sell(invoice_of("125.00 DKK"))
    assert (invoice.number, invoice.total, invoice.balance) == ("1", money("125.00 DKK"), money("125.00 DKK"))
    assert (invoice.our_key, invoice.order_number, invoice.booked) == ("stripe/ch_1/sale", "1001", True)
    paid = bench.pay(invoice)
    assert paid.payment is not None
    assert (paid.payment.amount, paid.payment.booked) == (money("125.00 DKK"), True)
    assert paid.voucher == "V/800001/2026"
    assert bench.agreement.trial_balance() == {1010: -100, 5891: 125, 6902: -25}
    assert bench.economic.get_invoice("1").balance == money("0.00 DKK")
    bench.agreement.check()


@pytest.mark.parametrize("minor", range(10_000, 10_010))
def test_every_gross_amount_is_met_with_a_rounding_row_where_needed(bench: Bench, minor: int) -> None:
    gross = Money(minor, "DKK")
    invoice = bench.sell(invoice_of(f"{gross.to_decimal()} DKK"))
    assert invoice.total == gross
    assert len(bench.agreement.booked[1].lines) == (2 if minor % 5 == 2 else 1)
    assert invoice.vat == gross.tax_included(Decimal(25)).to_decimal()
    bench.pay(invoice)
    assert bench.agreement.balance(5600) == 0
    assert bench.agreement.balance(5891) == gross.to_decimal()


def test_a_known_customer_costs_five_calls_a_sale(bench: Bench) -> None:
    customer = bench.customer()
    bench.pay(bench.sell(invoice_of("125.00 DKK"), customer))
    bench.log.calls.clear()
    bench.pay(bench.sell(invoice_of("250.00 DKK", "stripe/ch_2/sale"), customer), "stripe/ch_2/pay")
    assert bench.log.lines() == [
        "POST /rest/invoices/drafts",
        "POST /rest/invoices/booked",
        "POST /apis/journalsapi/v15.0.0/draft-entries/bulk",
        f"POST /apis/journalsapi/v15.0.0/journals/{bench.journal}/bookdraftentries",
        "GET /apis/bookedEntriesapi/v4.0.0/booked-entries",
    ]


def test_a_foreign_sale_is_booked_at_its_rate_and_paid_at_the_providers(bench: Bench) -> None:
    invoice = bench.sell(invoice_of("100.00 EUR", rate="7.46"))
    assert (invoice.currency, invoice.books_rate()) == ("EUR", Decimal("7.46"))
    bench.pay(invoice, books_amount=money("744.50 DKK"))
    assert bench.agreement.trial_balance() == {
        1010: Decimal("-596.80"),
        4360: Decimal("1.50"),
        5891: Decimal("744.50"),
        6902: Decimal("-149.20"),
    }
    assert bench.economic.get_invoice(invoice.number).balance == money("0.00 EUR")


def test_money_that_stays_foreign_is_paid_at_the_invoices_rate(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("100.00 EUR", rate="7.46")))
    assert bench.agreement.balance(5891) == 746
    assert bench.agreement.balance(4360) == 0


def test_yen_have_no_decimals_and_dinars_too_many(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("1001 JPY", rate="0.043")))
    assert bench.agreement.booked[1].gross == 1001
    assert bench.agreement.balance(5600) == 0
    with pytest.raises(Rejected) as refused:
        bench.draft(invoice_of("10.001 KWD", "stripe/ch_2/sale", rate="22.9"))
    assert refused.value.reason == HoldReason.LEDGER_PRECISION


def test_a_difference_is_written_off_beside_the_payment(bench: Bench) -> None:
    invoice = bench.sell(invoice_of("125.00 DKK"))
    more = {"write_off": money("0.50 DKK"), "write_off_account": ROUNDING}
    bench.pay(invoice, amount=money("124.50 DKK"), **more)
    assert bench.agreement.trial_balance() == {1010: -100, 4450: Decimal("0.5"), 5891: Decimal("124.5"), 6902: -25}


def test_a_full_refund_is_a_credit_note_and_its_payment(bench: Bench) -> None:
    sale = bench.sell(invoice_of("100.02 EUR", rate="7.46"))
    bench.pay(sale)
    credit = CreditInvoice("r/credit", "s", -sale.total, DAY, "Refund")
    made = bench.economic.perform(credit, Known(invoice=sale))
    assert made.invoice is not None
    assert made.invoice.credit_number == "draft-2"
    dating = DateCreditNote("r/date", "r/credit", "stripe/re_1/refund", DAY, "Refund")
    assert bench.economic.look_up(dating, Known(invoice=made.invoice)) is None
    dated = bench.economic.perform(dating, Known(invoice=made.invoice))
    assert bench.economic.look_up(dating, Known(invoice=made.invoice)) is not None
    booking = BookInvoice("r/book", "r/credit", credit_total=-sale.total)
    assert bench.economic.find_copies(booking, Known(invoice=dated.invoice)) == ["draft-2"]
    note = bench.economic.perform(booking, Known(invoice=dated.invoice)).invoice
    assert note is not None
    assert (note.total, note.our_key, note.rate) == (-sale.total, "stripe/re_1/refund", Decimal(746))
    bench.pay(note, "stripe/re_1/pay")
    assert bench.agreement.trial_balance() == {}
    bench.agreement.check()


def test_a_partial_refund_is_an_invoice_of_negative_rows(bench: Bench) -> None:
    sale = bench.sell(invoice_of("125.00 DKK"))
    bench.pay(sale)
    note = bench.sell(invoice_of("-50.02 DKK", "stripe/re_1/refund"))
    bench.pay(note, "stripe/re_1/pay")
    assert bench.agreement.balance(5891) == Decimal("74.98")
    assert bench.agreement.balance(5600) == 0


def test_the_sign_of_payments_is_read_from_one_that_is_there(bench: Bench) -> None:
    bench.world.switches.money_received_is_negative = False
    theirs = bench.agreement.person_creates_invoice(10)
    bench.agreement.person_pays_invoice(theirs.number)
    bench.pay(bench.sell(invoice_of("125.00 DKK")))
    assert bench.agreement.balance(5600) == 0
    assert bench.agreement.balance(5891) == 125


def test_without_one_the_first_payment_shows_it_and_the_rest_wait(bench: Bench) -> None:
    first = bench.sell(invoice_of("125.00 DKK"))
    second = bench.sell(invoice_of("250.00 DKK", "stripe/ch_2/sale"))
    create, book = bench.pay_steps(first)
    made = bench.economic.perform(create, Known(invoice=first))
    with pytest.raises(TryLater):
        bench.economic.perform(bench.pay_steps(second, "stripe/ch_2/pay")[0], Known(invoice=second))
    bench.economic.perform(book, Known(payment_number=made.reference, invoice=first))
    bench.pay(second, "stripe/ch_2/pay")
    assert bench.agreement.balance(5600) == 0


@pytest.mark.parametrize("currency", ["DKK", "EUR"])
def test_a_first_payment_of_the_wrong_sign_is_turned_in_the_open(bench: Bench, currency: str) -> None:
    bench.world.switches.money_received_is_negative = False
    rate = "7.46" if currency == "EUR" else ""
    paid = bench.pay(bench.sell(invoice_of(f"125.00 {currency}", rate=rate)))
    assert paid.payment is not None
    assert paid.payment.amount == money(f"125.00 {currency}")
    texts = [entry.text for entry in bench.agreement.entries if entry.type == 2 and entry.customer]
    assert [text.partition(" ")[0] for text in texts] == ["Faktura", "Faktura", "Tilbageført:"]
    assert [entry.remainder for entry in bench.agreement.entries if entry.customer] == [0, 0, 0, 0]
    assert bench.agreement.balance(5600) == 0
    # The next one has the right sign at once, in this process and in another.
    for key in ("stripe/ch_2", "stripe/ch_3"):
        bench.log.calls.clear()
        bench.pay(bench.sell(invoice_of("250.00 DKK", f"{key}/sale")), f"{key}/pay")
        assert bench.agreement.balance(5600) == 0
        bench.economic = bench.connect()
    assert len(bench.agreement.draft_entries) == 0
    bench.agreement.check()


@pytest.mark.parametrize("call", ["draft-entries/bulk$", "bookdraftentries$", "booked-entries/match$"])
def test_turning_a_payment_goes_on_where_it_broke_off(bench: Bench, call: str) -> None:
    bench.world.switches.money_received_is_negative = False
    invoice = bench.sell(invoice_of("125.00 DKK"))
    create, book = bench.pay_steps(invoice)
    made = bench.economic.perform(create, Known(invoice=invoice))
    known = Known(payment_number=made.reference, invoice=invoice)
    bench.world.faults.add(
        Fault("lost_after", match=f"POST .*{call}", after=call.startswith("book") and "draft" in call)
    )
    with pytest.raises(OutcomeUnknown):
        bench.economic.perform(book, known)
    bench.clock.advance(timedelta(hours=2))
    found = bench.connect().look_up(book, known)
    assert found is not None
    assert found.payment is not None
    assert found.payment.amount == money("125.00 DKK")
    assert [entry.remainder for entry in bench.agreement.entries if entry.customer] == [0, 0, 0, 0]
    assert bench.agreement.draft_entries == {}
    bench.agreement.check()


def test_what_booking_does_not_match_by_itself_is_matched(bench: Bench) -> None:
    bench.world.switches.matches_other_rate = False
    invoice = bench.sell(invoice_of("100.00 EUR", rate="7.46"))
    bench.pay(invoice, books_amount=money("744.50 DKK"))
    assert bench.economic.get_invoice(invoice.number).balance == money("0.00 EUR")
    assert bench.agreement.balance(5600) == 0


def test_many_are_booked_and_read_back_by_one_call_each(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    work = [_entered(bench, n) for n in range(1, 6)]
    work.append((bench.payout(), bench.for_vouchers()))
    bench.log.calls.clear()
    answers = bench.economic.perform_together(work)
    assert not [answer for answer in answers if not isinstance(answer, StepAnswer)]
    assert bench.log.lines() == [
        "POST /apis/journalsapi/v15.0.0/draft-entries/bulk",
        f"POST /apis/journalsapi/v15.0.0/journals/{bench.journal}/bookdraftentries",
        "GET /apis/bookedEntriesapi/v4.0.0/booked-entries",
        "GET /apis/bookedEntriesapi/v4.0.0/booked-entries",
    ]
    assert len({answer.voucher for answer in answers if isinstance(answer, StepAnswer)}) == 6
    assert bench.agreement.balance(5600) == 0
    bench.agreement.check()


def test_one_bad_entry_does_not_hold_the_others(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("10.00 DKK", "stripe/ch_0/sale")), "stripe/ch_0/pay")
    bench.agreement.add_account(5892, "En til")
    work = [_entered(bench, n) for n in range(1, 6)]
    other = Account(AccountRole.CLEARING, "5892")
    work.append(_entered(bench, 6, account=other))
    work.append((bench.payout(), bench.for_vouchers()))
    bench.agreement.bar_account(5892)
    gone = int(work[1][1].payment_number.partition("/")[0])
    bench.agreement.person_deletes_entry(gone)
    answers = bench.economic.perform_together(work)
    refused = {place: answer for place, answer in enumerate(answers) if isinstance(answer, Rejected)}
    assert {place: refusal.reason for place, refusal in refused.items()} == {
        1: HoldReason.WAITED_FOR_GONE,
        5: HoldReason.ACCOUNT_NOT_READY,
    }
    assert sum(isinstance(answer, StepAnswer) for answer in answers) == 5
    assert len(bench.agreement.draft_entries) == 1
    bench.agreement.bar_account(5892, barred=False)
    (again,) = bench.economic.perform_together([work[5]])
    assert isinstance(again, StepAnswer)


def _entered(bench: Bench, number: int, **more: object) -> tuple[BookPayment, Known]:
    key = f"stripe/ch_{number}"
    invoice = bench.sell(invoice_of(f"{100 * number}.00 DKK", f"{key}/sale"))
    create, book = bench.pay_steps(invoice, f"{key}/pay", **more)
    made = bench.economic.perform(create, Known(invoice=invoice))
    return book, Known(payment_number=made.reference, invoice=invoice)


def test_a_payment_of_a_found_invoice_asks_whose_it_is(bench: Bench) -> None:
    theirs = bench.agreement.person_creates_invoice("99.95", order="1001")
    found = bench.economic.find_invoices("1001", [OrderField.ORDER_NUMBER])
    assert [view.number for view in found] == ["1"]
    known_by_number = replace(found[0], customer_number="")
    bench.pay(known_by_number)
    assert theirs.remainder == 0


def test_order_numbers_are_compared_exactly(bench: Bench) -> None:
    bench.agreement.person_creates_invoice(125, order="11001")
    bench.agreement.person_creates_invoice(125, heading="Ordre 1001 fra butikken")
    bench.agreement.person_creates_invoice(125, heading="Ordre 10012")
    places = [OrderField.ORDER_NUMBER, OrderField.OUR_REFERENCE]
    assert [view.number for view in bench.economic.find_invoices("1001", places)] == ["2"]
    assert [view.number for view in bench.economic.find_invoices("3", [OrderField.INVOICE_NUMBER])] == ["3"]
    assert bench.economic.find_invoices("77", [OrderField.INVOICE_NUMBER]) == ()
    assert bench.economic.find_invoices("A1", [OrderField.INVOICE_NUMBER]) == ()
    assert bench.economic.find_invoices("  ", places) == ()
    for _ in range(41):
        bench.agreement.person_creates_invoice(125, order="77")
    with pytest.raises(Rejected) as refused:
        bench.economic.find_invoices("77", places)
    assert refused.value.reason == HoldReason.SEVERAL_INVOICES


def test_a_voucher_goes_into_our_journal_and_is_read_back(bench: Bench) -> None:
    answer = bench.post(bench.payout())
    assert answer.voucher == "V/800001/2026"
    assert bench.agreement.trial_balance() == {3621: Decimal("2.5"), 5820: Decimal("97.5"), 5891: -100}
    found = list(bench.economic.fetch_vouchers("V", "2026"))
    assert [view.reference for view in found] == [answer.voucher]
    assert found[0].text.endswith(" stripe/po_1/payout")
    ledger = bench.economic.fetch_ledger("2026", ["5891", "5820"])
    assert sorted(entry.amount.minor for entry in ledger.entries) == [-9750, -250, 9750]
    whole = bench.economic.fetch_ledger("2026", [], frozenset({answer.voucher}))
    assert Money.total((entry.amount for entry in whole.entries), "DKK") == money("0.00 DKK")
    assert bench.economic.fetch_ledger("2026", []).entries == ()


def test_entries_of_bulk_may_get_numbers_of_their_own(bench: Bench) -> None:
    bench.world.switches.bulk_shares_voucher_number = False
    bench.post(bench.payout())
    assert {entry.voucher for entry in bench.agreement.entries} == {800001, 800002}
    assert len(list(bench.economic.fetch_vouchers("V", "2026"))) == 1
    bench.agreement.check()


def test_a_vat_code_on_the_fees_makes_e_conomic_write_the_vat(bench: Bench) -> None:
    key = "stripe/acct_1/fees/DKK/2026-03-02"
    fees, back = signed_line(FEE, money("50.55 DKK")), signed_line(CLEARING, money("-30.55 DKK"))
    lines = (replace(fees, vat_code="IYEU"), back, signed_line(BANK, money("-20.00 DKK")))
    bench.post(PostVoucher(key, Voucher(key, DAY, "Fees", lines)))
    assert bench.agreement.trial_balance() == {
        3621: Decimal("50.55"),
        5820: Decimal("-20.00"),
        5891: Decimal("-30.55"),
        6903: Decimal("12.64"),
        6904: Decimal("-12.64"),
    }
    bench.agreement.check()


def test_a_years_opening_is_what_was_booked_before_it(bench: Bench) -> None:
    bench.agreement.person_posts_voucher([(5820, 40), (5891, -40)], on=date(2025, 12, 30))
    bench.post(bench.payout())
    ledger = bench.economic.fetch_ledger("2026", ["5891"])
    assert ledger.opening == (("5891", money("-40.00 DKK")),)
    assert len(ledger.entries) == 2
    with pytest.raises(Rejected) as refused:
        bench.economic.fetch_ledger("2019", ["5891"])
    assert refused.value.reason == HoldReason.NO_FINANCIAL_YEAR


def test_a_file_is_attached_where_the_voucher_stands(bench: Bench) -> None:
    voucher = bench.post(bench.payout()).voucher
    reference = bench.economic.upload_file("po_1.pdf", "application/pdf", b"%PDF-1.7", voucher)
    bench.economic.connect_file(reference, voucher)
    assert bench.agreement.files[int(reference)].voucher == 800001
    with pytest.raises(AlreadyDone):
        bench.economic.upload_file("po_2.pdf", "application/pdf", b"%PDF-1.7", voucher)


def test_customers_are_found_again_by_mail_number_or_name(bench: Bench) -> None:
    number = bench.customer()
    step = CreateCustomer("c", BUYER)
    assert bench.economic.look_up(step, Known()) is not None
    other = replace(BUYER, email="other@example.test")
    assert bench.economic.look_up(CreateCustomer("c", other), Known()) is None
    nameless = replace(BUYER, email="", name="anna andersen")
    assert bench.economic.look_up(CreateCustomer("c", nameless), Known()) is not None
    abroad = replace(BUYER, vat=CustomerVat.EXPORT)
    assert bench.economic.look_up(CreateCustomer("c", abroad), Known()) is None
    update = UpdateCustomer("u", replace(BUYER, name="Anna Bruun", vat_number="DK12345674"), "c")
    assert bench.economic.perform(update, Known(customer_number=number)).reference == number
    values = bench.agreement.customers[int(number)].values
    assert (values["name"], values["vatNumber"], values["email"]) == ("Anna Bruun", "DK12345674", BUYER.email)
    assert [view.name for view in bench.economic.fetch_customers(None)] == ["Anna Bruun"]
    assert list(bench.economic.fetch_customers(bench.clock.now() + timedelta(hours=1))) == []


def test_an_account_that_no_product_group_sells_on_holds_the_sale(bench: Bench) -> None:
    sale = invoice_of("125.00 DKK")
    elsewhere = replace(sale, lines=(replace(sale.lines[0], vat_percent=12),))
    with pytest.raises(Rejected) as refused:
        bench.draft(elsewhere)
    assert refused.value.reason == HoldReason.ACCOUNT_NOT_READY
    assert bench.agreement.drafts == {}


def test_articles_name_their_product(bench: Bench) -> None:
    bench.economic.perform(CreateArticle("a", "TRØJE 1/2", "Trøje", SALES), Known())
    assert list(bench.economic.fetch_articles(None)) == ["TRØJE 1/2"]
    line = InvoiceLine("Trøje", money("125.00 DKK"), 25, SALES, article="TRØJE 1/2")
    bench.sell(replace(invoice_of("125.00 DKK"), lines=(line,)))
    assert bench.agreement.booked[1].lines[0].product == "TRØJE 1/2"
    elsewhere = CreateArticle("b", "X", "X", CLEARING)
    with pytest.raises(Rejected):
        bench.economic.perform(elsewhere, Known())


def test_a_draft_is_written_anew_with_its_rounding(bench: Bench) -> None:
    created = bench.draft(invoice_of("125.00 DKK"))
    rounded = RoundInvoice("round", "c", invoice_of("125.50 DKK"))
    assert bench.economic.look_up(rounded, Known(invoice=created.invoice)) is None
    assert bench.economic.perform(rounded, Known(invoice=created.invoice)).reference == created.reference
    assert bench.economic.look_up(rounded, Known(invoice=created.invoice)) is not None


def test_what_e_conomic_does_not_do_is_refused(bench: Bench) -> None:
    view = bench.draft(invoice_of("125.00 DKK")).invoice
    steps = (
        CreateOrder("o", invoice_of("1.00 DKK"), "c"),
        MailInvoice("m", "i"),
        AwaitInvoice("w", "i"),
        AwaitPayment("w", "p"),
    )
    for step in steps:
        with pytest.raises(Rejected):
            bench.economic.perform(step, Known(invoice=view, payment_number="1/1"))
    assert bench.economic.look_up(steps[0], Known()) is None
    with pytest.raises(Rejected):
        bench.economic.get_order("1")
    assert list(bench.economic.fetch_orders("stripe/", None)) == []
    with pytest.raises(Rejected):
        bench.economic.repair(Repair(Remedy.ADD_CURRENCY, "USD"))


def test_a_person_may_book_what_was_left_to_them(bench: Bench) -> None:
    created = bench.draft(invoice_of("125.00 DKK"))
    waiting = AwaitInvoice("w", "c")
    assert bench.economic.look_up(waiting, Known(invoice=created.invoice)) is None
    bench.agreement.person_books_draft(1)
    found = bench.economic.look_up(waiting, Known(invoice=created.invoice))
    assert found is not None
    assert found.invoice is not None
    create, book = bench.pay_steps(found.invoice)
    payment = bench.economic.perform(create, Known(invoice=found.invoice))
    left = AwaitPayment("w", create.key)
    assert bench.economic.look_up(left, Known(payment_number=payment.reference)) is None
    bench.agreement.person_books_entries(list(bench.agreement.draft_entries))
    done = bench.economic.look_up(left, Known(payment_number=payment.reference))
    assert done is not None
    # Booking it once more finds it booked.
    known = Known(payment_number=payment.reference, invoice=found.invoice)
    assert bench.economic.perform(book, known).reference == done.reference
    assert [view.amount for view in bench.economic.fetch_payments("1")] == [money("125.00 DKK")]


def test_the_books_are_read_with_their_locks(bench: Bench) -> None:
    bench.agreement.bar_period(date(2026, 1, 15))
    bench.agreement.bar_period(date(2026, 12, 15))
    bench.agreement.bar_account(3600)
    books = bench.connect().fetch_books(date(2026, 1, 1), DAY)
    assert (books.identity.currency, books.identity.country) == ("DKK", "DK")
    assert [year.ref for year in books.years] == ["2026"]
    assert books.locked_through == date(2026, 1, 31)
    assert books.fault_of("3600", "2026") == "inactive"
    assert books.fault_of("1000", "2026") == "inactive"
    assert books.fault_of("5891", "2026") == ""
    assert books.currency("JPY") is not None
    assert dict(books.predefined) == {"customer_claims": "5600"}
    ours = [series for series in books.series if series.name == "Kvitt V"]
    assert [(series.manual, series.code) for series in ours] == [(True, "V")]
    assert {series.name for series in books.series if not series.manual} == {"Indbetalinger", "Lønninger"}
    read = bench.economic.with_registers(books, [Register.PAYMENT_TERMS, Register.PROJECTS], ["order", "article"])
    assert read.code_fault(Register.PAYMENT_TERMS, "3") == ""
    assert read.code_fault(Register.PAYMENT_TERMS, "99") == "missing"
    assert read.unreadable == ("projects", "order")


def test_repairs_open_and_make_accounts(bench: Bench) -> None:
    bench.agreement.bar_account(5891)
    bench.economic.repair(Repair(Remedy.ACTIVATE_ACCOUNT, "5891"))
    assert not bench.agreement.accounts[5891].barred
    bench.economic.repair(Repair(Remedy.CREATE_ACCOUNT, "5896", name="Stripe EUR"))
    assert bench.agreement.accounts[5896].name == "Stripe EUR"


def test_invoices_are_listed_for_the_audit(bench: Bench) -> None:
    bench.pay(bench.sell(invoice_of("125.00 DKK")))
    bench.sell(invoice_of("10.00 DKK", "stripe/ch_2/sale"))
    bench.draft(invoice_of("20.00 DKK", "stripe/ch_3/sale"))
    bench.agreement.person_creates_invoice(5)
    assert [view.our_key for view in bench.economic.fetch_invoices("stripe/", None)] == [
        "stripe/ch_1/sale",
        "stripe/ch_2/sale",
        "stripe/ch_3/sale",
    ]
    assert [view.our_key for view in bench.economic.fetch_open_invoices("stripe/")] == ["stripe/ch_2/sale"]
    assert len(list(bench.economic.fetch_invoices_dated(DAY, DAY))) == 4
    assert bench.economic.newest_change(bench.clock.now()) == bench.clock.now()
    with pytest.raises(Rejected):
        bench.economic.get_invoice("999")


def test_surplus_copies_are_found_and_taken_away(bench: Bench) -> None:
    sale = invoice_of("125.00 DKK")
    first = bench.draft(sale)
    customer = next(iter(bench.agreement.customers))
    second = bench.economic.perform(CreateInvoice("other", sale, "c"), Known(customer_number=str(customer)))
    booking = BookInvoice("b", "c", sale)
    known = Known(invoice=first.invoice)
    assert bench.economic.find_copies(booking, known) == [first.reference, second.reference]
    bench.economic.remove_copy(booking, second.reference)
    assert bench.economic.find_copies(booking, known) == [first.reference]
    booked = bench.economic.perform(booking, known).invoice
    assert booked is not None
    with pytest.raises(Rejected):
        bench.economic.remove_copy(booking, booked.number)
    create, book = bench.pay_steps(booked)
    payment = bench.economic.perform(create, Known(invoice=booked))
    twin = bench.economic.perform(replace(create, key=create.key), Known(invoice=booked))
    assert twin.reference == payment.reference
    paying = Known(payment_number=payment.reference, invoice=booked)
    assert bench.economic.find_copies(book, paying) == [payment.reference]
    bench.economic.remove_copy(book, payment.reference)
    assert bench.agreement.draft_entries == {}
    assert bench.economic.find_copies(MailInvoice("m", "i"), paying) == []


def test_choices_of_the_company_are_kept(bench: Bench) -> None:
    client = bench.economic._client
    chosen = EconomicAccounting(client, Choices(19, 2, 2, 4), now=bench.clock.now)
    bench.economic = chosen
    bench.draft(invoice_of("125.02 DKK"))
    draft = bench.agreement.drafts[1]
    assert (draft.layout, draft.terms) == (19, 2)
    assert bench.agreement.customers[1].values["customerGroup"] == 2


def test_a_payment_that_cannot_be_put_at_a_rate_is_held(bench: Bench) -> None:
    invoice = bench.sell(invoice_of("99999999.99 JPY".replace(".99", ""), rate="0.043"))
    with pytest.raises(Rejected) as refused:
        bench.pay(invoice, books_amount=money("4300000.01 DKK"))
    assert refused.value.reason == HoldReason.LEDGER_PRECISION


def test_the_journal_must_be_there(bench: Bench) -> None:
    invoice = bench.sell(invoice_of("125.00 DKK"))
    del bench.agreement.journals[bench.journal]
    bench.economic = bench.connect()
    create = bench.pay_steps(invoice)[0]
    with pytest.raises(Rejected) as refused:
        bench.economic.perform(create, Known(invoice=invoice))
    assert refused.value.reason == HoldReason.ACCOUNT_NOT_READY


def test_an_answer_that_cannot_be_read_is_no_answer(bench: Bench) -> None:
    bench.world.faults.add(Fault("truncated_json", match="GET /rest/self"))
    with pytest.raises(BadReply):
        bench.economic.fetch_identity()


@pytest.mark.parametrize("step", [CreatePayment, BookPayment])
def test_payments_are_known_by_their_key(bench: Bench, step: type) -> None:
    invoice = bench.sell(invoice_of("125.00 DKK"))
    create, book = bench.pay_steps(invoice)
    assert bench.economic.look_up(create, Known(invoice=invoice)) is None
    made = bench.economic.perform(create, Known(invoice=invoice))
    found = bench.economic.look_up(create, Known(invoice=invoice))
    assert found is not None
    assert found.reference == made.reference
    known = Known(payment_number=made.reference, invoice=invoice)
    assert bench.economic.look_up(book, known) is None
    bench.economic.perform(book, known)
    asked = create if step is CreatePayment else book
    again = bench.economic.look_up(asked, known)
    assert again is not None
    assert again.payment is not None
    assert again.payment.booked
