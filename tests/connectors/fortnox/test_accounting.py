"""Each step against the simulated Fortnox: what it costs in calls, what stands there afterwards, how it is found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from addon.core.accounts import Account, AccountRole
from addon.core.books import OrderField, Remedy, Repair
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    CustomerVat,
    DateCreditNote,
    InvoiceLine,
    PostVoucher,
    RoundInvoice,
    Step,
)
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.ports.accounting import AccountingSystem, Known
from addon.ports.errors import AlreadyDone, Rejected
from tests.connectors.fortnox.conftest import CLEARING, DAY, NOON, ROUNDING, SALES, Bench, make_bench, money, sek


def test_it_is_an_accounting_system(bench: Bench) -> None:
    system: AccountingSystem = bench.fortnox
    assert system.capabilities.name == "fortnox"
    assert not system.capabilities.voucher_fence


# --- Call budgets ---------------------------------------------------------------------------------------------


def test_a_sale_costs_four_calls_to_a_known_and_five_to_a_new_customer(bench: Bench) -> None:
    invoice = bench.invoice()
    assert bench.calls(lambda: bench.sale(invoice, bench.settlement(sek("1250")))) == [
        "POST /customers",
        "POST /invoices",
        "PUT /invoices/1/bookkeep",
        "POST /invoicepayments",
        "PUT /invoicepayments/1/bookkeep",
    ]
    known = bench.make_customer(bench.customer("B", "b@example.com"))
    again = bench.invoice(key="stripe/ch_2/invoice")
    assert len(bench.calls(lambda: bench.sale(again, bench.settlement(sek("1250")), known))) == 4
    bench.company.check()


def test_a_full_refund_costs_five_calls_and_leaves_nothing_open(bench: Bench) -> None:
    sale = bench.sale(bench.invoice(), bench.settlement(sek("1250")))
    assert bench.calls(lambda: bench.refund(sale)) == [
        "PUT /invoices/1/credit",
        "PUT /invoices/2",
        "PUT /invoices/2/bookkeep",
        "POST /invoicepayments",
        "PUT /invoicepayments/2/bookkeep",
    ]
    note = bench.fortnox.get_invoice("2")
    assert (note.total, note.balance, note.invoice_date) == (sek("-1250"), sek("0"), DAY)
    assert (note.our_key, note.credit_number) == ("stripe/re_1/credit", "")
    assert bench.fortnox.get_invoice("1").credit_number == "2"
    assert bench.balance(CLEARING.number) == sek("0")
    bench.company.check()


def test_a_match_costs_four_calls(bench: Bench) -> None:
    bench.company.person_creates_invoice("400", your_order_number="2002")

    def match() -> None:
        (invoice,) = bench.fortnox.find_invoices("2002", [OrderField.ORDER_NUMBER])
        settlement = bench.settlement(sek("400"))
        step = CreatePayment(settlement.key, settlement, invoice_number=invoice.number)
        made = bench.do(step, invoice=invoice)
        bench.do(BookPayment("bp", settlement.key), payment_number=made.reference, invoice=invoice)

    assert len(bench.calls(match)) == 4
    assert bench.fortnox.get_invoice("1").balance == sek("0")


def test_a_voucher_costs_one_call(bench: Bench) -> None:
    assert bench.calls(lambda: bench.post(bench.voucher())) == ["POST /vouchers"]
    (voucher,) = bench.fortnox.fetch_vouchers("A", bench.year_ref)
    assert voucher.reference == f"A/1/{bench.year_ref}"
    assert voucher.booking_date == DAY
    assert voucher.text == "Stripe payout po_1 (stripe/po_1/payout)"


def test_a_file_at_a_voucher_costs_two_calls_and_can_be_asked_for(bench: Bench) -> None:
    voucher = bench.post(bench.voucher()).voucher
    references: list[str] = []
    assert bench.calls(
        lambda: references.append(bench.fortnox.upload_file("stripe_po_1 åäö.pdf", "application/pdf", b"%PDF\r\n--x"))
    ) == ["POST /inbox"]
    (reference,) = references
    (stored,) = bench.company.files.values()
    assert (stored.name, stored.content, stored.path) == ("stripe_po_1åäö.pdf", b"%PDF\r\n--x", "Verifikationer")
    assert not bench.fortnox.file_connected(reference)
    assert bench.calls(lambda: bench.fortnox.connect_file(reference, voucher)) == ["POST /voucherfileconnections"]
    assert bench.fortnox.file_connected(reference)
    (connection,) = bench.company.file_connections.values()
    assert "/".join(map(str, connection.voucher or ())) == voucher
    with pytest.raises(Rejected):
        bench.fortnox.connect_file(reference, f"A/999/{bench.year_ref}")
    with pytest.raises(Rejected):
        bench.fortnox.connect_file("00000000-0000-4000-8000-000000000000", voucher)


def test_what_is_not_settled_costs_one_call(bench: Bench) -> None:
    sale = bench.booked(bench.invoice())
    found: list[str] = []
    assert (
        len(bench.calls(lambda: found.extend(one.number for one in bench.fortnox.fetch_open_invoices("stripe/")))) == 1
    )
    assert found == [sale.reference]
    assert list(bench.fortnox.fetch_open_invoices("paypal/")) == []


def test_whole_vouchers_can_be_read_back_by_their_numbers(bench: Bench) -> None:
    voucher = bench.post(bench.voucher()).voucher
    ledger = bench.fortnox.fetch_ledger(bench.year_ref, (), frozenset({voucher}))
    assert sum(entry.amount.minor for entry in ledger.entries) == 0
    assert {entry.voucher for entry in ledger.entries} == {voucher}
    assert len(ledger.entries) == 2


# --- What a written document looks like -----------------------------------------------------------------------


def test_an_invoice_is_for_exactly_what_was_paid_and_causes_no_reminder(bench: Bench) -> None:
    bench.company.settings.default_administration_fee = Decimal(29)
    invoice = bench.invoice("1250.00 SEK", "-50.00 SEK", corrects_key="stripe/ch_0/invoice", text="Two\nlines")
    made = bench.create(invoice).invoice
    assert made is not None
    assert (made.total, made.balance, made.vat) == (sek("1200"), sek("1200"), Decimal(240))
    assert (made.our_key, made.second_key, made.order_number) == (
        "stripe/ch_1/invoice",
        "stripe/ch_0/invoice",
        "1001",
    )
    assert not made.booked
    there = bench.company.need_invoice(1)
    assert there.due_date == there.invoice_date == DAY
    assert there.values["Remarks"] == "Two\nlines"
    assert [row.quantity for row in there.rows] == [Decimal(1), Decimal(-1)]


def test_a_credit_note_that_stands_by_itself_is_negative(bench: Bench) -> None:
    booked = bench.booked(bench.invoice("-312.50 SEK", key="stripe/re_2/credit"))
    assert booked.invoice is not None
    assert booked.invoice.total == sek("-312.50")
    bench.pay(booked, bench.settlement(sek("-312.50")))
    assert bench.fortnox.get_invoice("1").balance == sek("0")
    assert bench.balance(CLEARING.number) == sek("-312.50")


@pytest.mark.parametrize(
    ("vat", "expected"),
    [
        (CustomerVat.DOMESTIC, "SEVAT"),
        (CustomerVat.EU_CONSUMER, "EUVAT"),
        (CustomerVat.EU_BUSINESS, "EUREVERSEDVAT"),
        (CustomerVat.EXPORT, "EXPORT"),
    ],
)
def test_a_customer_gets_the_vat_type_of_its_treatment(bench: Bench, vat: CustomerVat, expected: str) -> None:
    customer = replace(bench.customer(), vat=vat, country="de", private=vat is not CustomerVat.EU_BUSINESS)
    there = bench.company.customers[bench.make_customer(customer)]
    assert there.vat_type == expected
    assert there.values["CountryCode"] == "DE"
    assert there.values["Type"] == ("COMPANY" if vat is CustomerVat.EU_BUSINESS else "PRIVATE")


@pytest.mark.parametrize("name", ["Åsa — “Ö” <script>", "🎉🎉", "名前 {x}|~", "a" * 3000, "\u202eevil\x00"])
def test_any_buyers_name_is_accepted_and_found_again(bench: Bench, name: str) -> None:
    customer = bench.customer(name, "")
    number = bench.make_customer(customer)
    found = bench.find(CreateCustomer("c", customer))
    assert found is not None
    assert found.reference == number


# --- Whole kronor, both truths --------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [False, True])
def test_an_invoice_is_closed_by_what_was_paid_whether_fortnox_rounds_or_not(rounds: bool) -> None:
    bench = make_bench(rounds_to_whole_krona=rounds)
    invoice = bench.invoice("937.40 SEK")
    made = bench.create(invoice).invoice
    assert made is not None
    settlement = bench.settlement(sek("937.40"))
    if rounds:
        assert (made.total, made.round_off) == (sek("937"), sek("-0.40"))
        extra = InvoiceLine("Rounding", sek("0.60"), 0, ROUNDING)
        whole = replace(invoice, lines=(*invoice.lines, extra), total=sek("938"), rounding_line=True)
        step = RoundInvoice("r", invoice.key, whole)
        assert bench.find(step, invoice=made) is None
        made = bench.do(step, invoice=made).invoice
        assert made is not None
        assert (made.total, made.round_off) == (sek("938"), sek("0"))
        found = bench.find(step, invoice=made)
        assert found is not None
        assert found.reference == "1"
        settlement = replace(settlement, write_off=sek("0.60"), write_off_account=ROUNDING)
    booked = bench.do(BookInvoice("b", invoice.key, invoice), invoice=made)
    bench.pay(booked, settlement)
    assert bench.fortnox.get_invoice("1").balance == sek("0")
    assert bench.balance(CLEARING.number) == sek("937.40")
    assert bench.balance(ROUNDING.number) == sek("0")
    bench.company.check()


# --- Foreign currency, both truths ----------------------------------------------------------------------------


def rate(code: str, text: str, unit: int = 1) -> ExchangeRate:
    return ExchangeRate(code, "SEK", Decimal(text), unit, DAY, "riksbank")


@pytest.mark.parametrize("forced_to_one", [False, True])
@pytest.mark.parametrize("per_hundred", [False, True])
@pytest.mark.parametrize("sent_unit", [1, 100])
def test_a_sent_rate_counts_whatever_unit_fortnox_quotes_in(
    bench: Bench, forced_to_one: bool, per_hundred: bool, sent_unit: int
) -> None:
    bench.world.switches.currency_rate_forced_to_one = forced_to_one
    bench.world.switches.quoted_per_hundred = {"JPY"} if per_hundred else set()
    bench.fortnox.fetch_books(DAY, DAY)
    sent = rate("JPY", "0.0721" if sent_unit == 1 else "7.21", sent_unit)
    made = bench.create(bench.invoice("10000 JPY", rate=sent)).invoice
    assert made is not None
    assert (made.total, made.vat) == (money("10000 JPY"), Decimal(2000))
    assert made.books_rate() == Decimal("0.0721")
    assert made.unit == (100 if per_hundred else 1)


def test_an_unusual_currency_s_unit_is_asked_for_once(bench: Bench) -> None:
    bench.world.switches.quoted_per_hundred = {"JPY"}
    customer = bench.make_customer()
    invoices = [bench.invoice("100 JPY", key=f"k{n}", rate=rate("JPY", "0.0721")) for n in range(2)]
    assert bench.calls(lambda: [bench.create(invoice, customer) for invoice in invoices]) == [
        "GET /currencies/JPY",
        "POST /invoices",
        "POST /invoices",
    ]
    for number in ("1", "2"):
        assert bench.fortnox.get_invoice(number).books_rate() == Decimal("0.0721")
    euro = bench.invoice("100.00 EUR", key="k3", rate=rate("EUR", "11.30"))
    assert bench.calls(lambda: bench.create(euro, customer)) == ["POST /invoices"]


def test_a_currency_that_was_not_added_is_told_before_anything_is_written(bench: Bench) -> None:
    for code, sent in (("CHF", "12.10"), ("GBP", "13.00")):
        with pytest.raises(Rejected) as raised:
            bench.create(bench.invoice(f"100.00 {code}", rate=rate(code, sent)))
        assert raised.value.reason == HoldReason.CURRENCY_NOT_READY.value
    assert bench.company.invoices == {}


def test_without_a_rate_fortnox_takes_its_own_of_the_day(bench: Bench) -> None:
    made = bench.create(bench.invoice("100.00 EUR")).invoice
    assert made is not None
    assert made.rate == bench.world.rate("EUR", DAY)


@pytest.mark.parametrize("amount_wins", [True, False])
@pytest.mark.parametrize(
    ("total", "sent", "books", "difference"),
    [
        ("100.00 EUR", rate("EUR", "11.30"), None, "0.00"),
        ("100.00 EUR", rate("EUR", "11.30"), "1124.57", "5.43"),
        ("100.00 EUR", rate("EUR", "11.30"), "1131.11", "-1.11"),
        ("12345 JPY", rate("JPY", "7.21", 100), "891.17", "-1.10"),
        ("7 JPY", rate("JPY", "7.21", 100), "0.49", "0.01"),
    ],
)
def test_a_payment_is_worth_what_the_provider_converted_it_to(
    bench: Bench, amount_wins: bool, total: str, sent: ExchangeRate, books: str | None, difference: str
) -> None:
    bench.world.switches.payment_amount_wins = amount_wins
    booked = bench.booked(bench.invoice(total, rate=sent))
    paid = bench.pay(booked, bench.settlement(money(total), sek(books) if books else None)).payment
    assert paid is not None
    assert paid.amount == money(total)
    assert bench.fortnox.get_invoice("1").balance.minor == 0
    expected = sek(books) if books else sek("1130.00")
    assert paid.books_amount == expected
    assert bench.balance(CLEARING.number) == expected
    assert bench.balance("3960") + bench.balance("7960") == sek(difference)
    bench.company.check()


def test_a_foreign_credit_note_is_paid_with_negative_amounts(bench: Bench) -> None:
    sale = bench.sale(bench.invoice("100.00 EUR", rate=rate("EUR", "11.30")), bench.settlement(money("100.00 EUR")))
    bench.refund(sale)
    assert bench.fortnox.get_invoice("2").balance == money("0.00 EUR")
    assert bench.balance(CLEARING.number) == sek("0")


def test_an_amount_finer_than_the_ledger_is_held_before_anything_is_sent(bench: Bench) -> None:
    invoice = bench.invoice("10.125 KWD")
    with pytest.raises(Rejected) as raised:
        bench.do(CreateInvoice("i", invoice, "c"), customer_number="1")
    assert raised.value.reason == HoldReason.LEDGER_PRECISION.value
    assert bench.world.calls == []


def test_the_mode_of_payment_of_the_account_is_named_where_there_is_one(bench: Bench) -> None:
    bench.fortnox.repair(_mode("1580"))
    bench.fortnox.fetch_books(DAY, DAY)
    bench.sale(bench.invoice(), bench.settlement(sek("1250")))
    assert bench.company.payments[1].mode == "KV1580"


def _mode(account: str) -> Repair:
    return Repair(Remedy.ADD_PAYMENT_MODE, account, name="Stripe")


# --- Look-ups -------------------------------------------------------------------------------------------------


def prepared(bench: Bench, which: str) -> tuple[Step, dict[str, Any]]:
    """A step that is ready to be made, and what it builds on."""
    invoice = bench.invoice()
    match which:
        case "create_customer":
            return CreateCustomer("c", bench.customer()), {}
        case "create_invoice":
            return CreateInvoice(invoice.key, invoice, "c"), {"customer_number": bench.make_customer()}
        case "book_invoice":
            return BookInvoice("b", invoice.key, invoice), {"invoice": bench.create(invoice).invoice}
        case "credit_invoice":
            sale = bench.sale(invoice, bench.settlement(sek("1250")))
            return CreditInvoice("cr", "i", sek("-1250"), DAY, "Refund"), {"invoice": sale.invoice}
        case "date_credit_note":
            step, known = prepared(bench, "credit_invoice")
            credited = bench.do(step, **known)
            return DateCreditNote("d", "cr", "stripe/re_1/credit", DAY, "Refund"), {"invoice": credited.invoice}
        case "create_payment":
            settlement = bench.settlement(sek("1250"))
            return CreatePayment(settlement.key, settlement), {"invoice": bench.booked(invoice).invoice}
        case "book_payment":
            step, known = prepared(bench, "create_payment")
            made = bench.do(step, **known)
            return BookPayment("bp", "p"), {**known, "payment_number": made.reference}
        case "post_voucher":
            return bench.posting(bench.voucher()), {"series": "A", "year_ref": bench.year_ref}
        case _:
            raise AssertionError(which)


STEPS = (
    "create_customer",
    "create_invoice",
    "book_invoice",
    "credit_invoice",
    "date_credit_note",
    "create_payment",
    "book_payment",
    "post_voucher",
)


@pytest.mark.parametrize("which", STEPS)
def test_a_step_is_found_after_it_was_made_and_not_before(bench: Bench, which: str) -> None:
    step, known = prepared(bench, which)
    assert bench.find(step, **known) is None
    answer = bench.do(step, **known)
    found = bench.find(step, **known)
    assert found is not None
    assert found == answer


def test_only_the_exact_key_sign_and_state_counts(bench: Bench) -> None:
    invoice = bench.invoice(key="stripe/ch_1/invoice")
    step = CreateInvoice(invoice.key, invoice, "c")
    for key, total in (("stripe/ch_1/invoice-x", "1250"), ("stripe/ch_1/invoice", "-1250")):
        bench.create(bench.invoice(f"{total} SEK", key=key))
    bench.create(invoice)
    bench.company.person_cancels_invoice(3)
    assert bench.find(step) is None
    bench.create(invoice)
    found = bench.find(step)
    assert found is not None
    assert found.reference == "4"


def test_a_customer_is_found_by_exact_address_else_by_exact_name(bench: Bench) -> None:
    bench.make_customer(bench.customer("Anna Andersson", "anna@example.com.au"))
    bench.make_customer(bench.customer("Anna", "Anna@Example.com"))
    found = bench.find(CreateCustomer("c", bench.customer("Somebody", "anna@example.com")))
    assert found is not None
    assert found.reference == "2"
    assert bench.find(CreateCustomer("c", bench.customer("Ann", ""))) is None
    by_name = bench.find(CreateCustomer("c", bench.customer("Anna", "")))
    assert by_name is not None
    assert by_name.reference == "2"


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "1000"},
        {"on": date(2026, 3, 3)},
        {"account": 1930},
    ],
)
def test_a_payment_is_told_apart_by_amount_day_and_account(bench: Bench, other: dict[str, Any]) -> None:
    booked = bench.booked(bench.invoice("2000 SEK"))
    bench.company.person_pays_invoice(
        1, other.get("amount", "900"), on=other.get("on", DAY), account=other.get("account", 1580), booked=False
    )
    settlement = bench.settlement(sek("900"))
    assert bench.find(CreatePayment(settlement.key, settlement), invoice=booked.invoice) is None


def test_of_two_like_payments_the_one_that_is_not_booked_yet_is_meant(bench: Bench) -> None:
    booked = bench.booked(bench.invoice("2000 SEK"))
    settlement = bench.settlement(sek("900"))
    bench.pay(booked, settlement)
    step = CreatePayment("second", replace(settlement, key="second"))
    second = bench.do(step, invoice=booked.invoice)
    found = bench.find(step, invoice=booked.invoice)
    assert found is not None
    assert found.reference == second.reference == "2"


def test_a_like_payment_of_another_document_is_never_taken_for_this_one(bench: Bench) -> None:
    booked = bench.booked(bench.invoice("2000 SEK"))
    settlement = bench.settlement(sek("900"))
    first = bench.pay(booked, settlement)
    step = CreatePayment("second", replace(settlement, key="second"))
    known = {"invoice": booked.invoice, "taken_payments": (first.reference,)}
    assert bench.find(step, **known) is None
    second = bench.do(step, **known)
    found = bench.find(step, **known)
    assert found is not None
    assert found.reference == second.reference
    booking = Known(payment_number=second.reference, **known)
    assert bench.fortnox.find_copies(BookPayment("bp", "second"), booking) == [second.reference]


def test_a_voucher_is_found_by_its_whole_key_however_many_stand_before_it(bench: Bench) -> None:
    bench.post(bench.voucher("stripe/po_1/payout2"))
    for number in range(3):
        bench.post(bench.voucher(f"stripe/po_{number + 7}/payout"))
    bench.company.person_posts_voucher([(1930, 5), (1580, -5)], on=DAY, description="stripe/po_1/payout")
    step = bench.posting(bench.voucher("stripe/po_1/payout"))
    known = {"series": "A", "year_ref": bench.year_ref}
    assert bench.find(step, **known) is None
    bench.do(step, **known)
    found = bench.find(step, **known)
    assert found is not None
    assert found.voucher == f"A/6/{bench.year_ref}"


# --- Done before ----------------------------------------------------------------------------------------------


def test_booking_what_is_booked_is_accepted(bench: Bench) -> None:
    step, known = prepared(bench, "book_invoice")
    bench.company.person_books_invoice(1)
    answer = bench.do(step, **known)
    assert answer.invoice is not None
    assert answer.invoice.booked
    assert answer.voucher.startswith("B/1/")
    step, known = prepared(bench, "book_payment")
    bench.company.person_books_payment(int(known["payment_number"]))
    assert bench.do(step, **known).payment is not None


def test_crediting_what_is_credited_says_so(bench: Bench) -> None:
    step, known = prepared(bench, "credit_invoice")
    bench.do(step, **known)
    with pytest.raises(AlreadyDone):
        bench.do(step, **known)


def test_paying_what_is_paid_is_held(bench: Bench) -> None:
    step, known = prepared(bench, "create_payment")
    bench.company.person_pays_invoice(1)
    with pytest.raises(Rejected) as raised:
        bench.do(step, **known)
    assert not isinstance(raised.value, AlreadyDone)  # a payment is there, but it need not be this one
    assert raised.value.reason == HoldReason.ALREADY_PAID.value


def test_a_credit_note_of_another_amount_is_not_taken_for_ours(bench: Bench) -> None:
    step, known = prepared(bench, "credit_invoice")
    note = bench.company.person_credits_invoice(1, booked=False)
    row = {"Description": "Part", "DeliveredQuantity": -1, "Price": 100, "VAT": 25, "AccountNumber": 3001}
    bench.company.person_edits_invoice(note.number, InvoiceRows=[row])
    assert bench.find(step, **known) is None


# --- The fence ------------------------------------------------------------------------------------------------


def test_the_fence_lists_all_copies_and_takes_the_surplus_away(bench: Bench) -> None:
    invoice = bench.invoice()
    first = bench.create(invoice)
    bench.create(invoice, "1")
    step = BookInvoice("b", invoice.key, invoice)
    known = Known(invoice=first.invoice)
    assert bench.fortnox.find_copies(step, known) == ["1", "2"]
    bench.fortnox.remove_copy(step, "2")
    assert bench.fortnox.find_copies(step, known) == ["1"]
    booked = bench.fortnox.perform(step, known)
    for _ in range(2):
        payment = bench.do(CreatePayment("p", bench.settlement(sek("1250"))), invoice=booked.invoice)
    pay = BookPayment("bp", "p")
    known = Known(invoice=booked.invoice, payment_number=payment.reference)
    assert bench.fortnox.find_copies(pay, known) == ["1", "2"]
    bench.fortnox.remove_copy(pay, "1")
    assert bench.fortnox.find_copies(pay, known) == ["2"]
    bench.fortnox.perform(pay, known)
    assert bench.balance(CLEARING.number) == sek("1250")


def test_the_fence_knows_a_credit_note_by_its_own_key(bench: Bench) -> None:
    note = bench.refund(bench.sale(bench.invoice(), bench.settlement(sek("1250"))))
    step = BookInvoice("bc", "stripe/re_1/credit", None, sek("-1250"))
    assert bench.fortnox.find_copies(step, Known(invoice=note.invoice)) == ["2"]


def test_two_vouchers_of_one_key_are_both_seen_and_cannot_be_taken_away(bench: Bench) -> None:
    for _ in range(2):
        bench.post(bench.voucher())
    step = bench.posting(bench.voucher())
    copies = bench.fortnox.find_copies(step, Known(series="A", year_ref=bench.year_ref))
    assert copies == [f"A/1/{bench.year_ref}", f"A/2/{bench.year_ref}"]
    with pytest.raises(Rejected):
        bench.fortnox.remove_copy(step, copies[0])


def test_steps_without_a_fence_have_no_copies(bench: Bench) -> None:
    step = CreateCustomer("c", bench.customer())
    assert list(bench.fortnox.find_copies(step, Known())) == []


# --- Order numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (OrderField.ORDER_NUMBER, {"your_order_number": "1001"}),
        (OrderField.YOUR_REFERENCE, {"your_reference": "1001"}),
        (OrderField.OUR_REFERENCE, {"our_reference": "1001"}),
        (OrderField.EXTERNAL_REFERENCE, {"external_reference": "1001"}),
        (OrderField.OCR, {"ocr": "1001"}),
    ],
)
def test_an_order_number_is_found_exactly_and_nowhere_else(
    bench: Bench, place: OrderField, values: dict[str, str]
) -> None:
    (name,) = values
    for near in ("11001", "1001-2", "21001"):
        bench.company.person_creates_invoice("100", **{name: near})
    wanted = bench.company.person_creates_invoice("100", **values)
    others = [one for one in OrderField if one not in (place, OrderField.INVOICE_NUMBER)]
    assert [one.number for one in bench.fortnox.find_invoices(" 1001 ", [place])] == [str(wanted.number)]
    assert bench.fortnox.find_invoices("1001", others) == ()
    assert bench.fortnox.find_invoices("", list(OrderField)) == ()


@pytest.mark.parametrize(("currency", "total"), [("HRK", "100.00"), ("JPY", "1000.50")])
def test_what_only_comes_near_is_not_read_as_money(bench: Bench, currency: str, total: str) -> None:
    """An old invoice in a withdrawn currency, or in yen with decimals, keeps nobody from their order number."""
    bench.company.person_creates_invoice(total, your_order_number="11001", currency=currency, rate="1.5")
    wanted = bench.company.person_creates_invoice("100", your_order_number="1001")
    found = bench.fortnox.find_invoices("1001", [OrderField.ORDER_NUMBER])
    assert [one.number for one in found] == [str(wanted.number)]


def test_the_first_place_with_a_hit_decides_and_credit_notes_come_along(bench: Bench) -> None:
    invoice = bench.company.person_creates_invoice("100", your_order_number="1001")
    bench.company.person_creates_invoice("100", your_reference="1001")
    bench.company.person_credits_invoice(invoice.number)
    found = bench.fortnox.find_invoices("1001", [OrderField.ORDER_NUMBER, OrderField.YOUR_REFERENCE])
    assert [one.total for one in found] == [sek("100"), sek("-100")]


def test_an_order_number_may_be_the_invoices_own(bench: Bench) -> None:
    bench.company.person_creates_invoice("100")
    assert [one.number for one in bench.fortnox.find_invoices("1", [OrderField.INVOICE_NUMBER])] == ["1"]
    for missing in ("2", "A1", "01", "../1"):
        assert bench.fortnox.find_invoices(missing, [OrderField.INVOICE_NUMBER]) == ()


def test_a_number_that_is_part_of_too_many_is_held_rather_than_looked_at_one_by_one(bench: Bench) -> None:
    for number in range(45):
        bench.company.person_creates_invoice("1", your_order_number=f"7{number}", booked=False)
    bench.world.reset_calls()
    with pytest.raises(Rejected) as raised:
        bench.fortnox.find_invoices("7", [OrderField.ORDER_NUMBER])
    assert raised.value.reason == HoldReason.SEVERAL_INVOICES.value
    assert len(bench.world.calls) == 1


# --- Reading back ---------------------------------------------------------------------------------------------


def test_whether_anything_changed_is_one_call(bench: Bench) -> None:
    bench.company.person_creates_invoice("100")
    bench.clock.advance(timedelta(minutes=50))
    assert bench.fortnox.newest_change(bench.clock.now() - timedelta(minutes=20)) is None
    assert bench.fortnox.newest_change(NOON) == bench.clock.now()
    bench.company.person_pays_invoice(1)
    assert bench.calls(lambda: bench.fortnox.newest_change(bench.clock.now())) == ["GET /invoices"]
    assert bench.fortnox.newest_change(bench.clock.now()) is not None


def test_invoices_are_audited_by_the_prefix_of_their_keys(bench: Bench) -> None:
    for key in ("stripe/ch_1/invoice", "stripe/ch_2/invoice", "paypal/stripe/1"):
        bench.create(bench.invoice(key=key))
    found = list(bench.fortnox.fetch_invoices("stripe/", None))
    assert [one.our_key for one in found] == ["stripe/ch_1/invoice", "stripe/ch_2/invoice"]
    bench.clock.advance(timedelta(minutes=50))
    assert list(bench.fortnox.fetch_invoices("stripe/", bench.clock.now())) == []


def test_payments_are_read_with_account_and_both_amounts(bench: Bench) -> None:
    booked = bench.booked(bench.invoice("100.00 EUR", rate=rate("EUR", "11.30")))
    bench.pay(booked, bench.settlement(money("40.00 EUR"), sek("450.00")))
    bench.company.person_pays_invoice(1, "10", account=1930, on=DAY, booked=False)
    first, second = bench.fortnox.fetch_payments("1")
    assert (first.amount, first.books_amount, first.account, first.booked) == (
        money("40.00 EUR"),
        sek("450.00"),
        "1580",
        True,
    )
    assert first.voucher.startswith("C/1/")
    assert (second.account, second.booked, second.voucher) == ("1930", False, "")
    assert bench.fortnox.fetch_payments("11") == ()


def test_customers_come_in_pages_and_by_change(bench: Bench) -> None:
    for number in range(501):
        bench.company.person_creates_customer(f"Kund {number}", Email=f"{number}@example.com")
    bench.world.reset_calls()
    customers = list(bench.fortnox.fetch_customers(None))
    assert len({customer.number for customer in customers}) == 501
    assert customers[0].email == "0@example.com"
    assert len(bench.world.calls) == 2
    bench.clock.advance(timedelta(minutes=50))
    bench.company.person_edits_customer("7", Phone1="1")
    changed = bench.fortnox.fetch_customers(datetime(2026, 3, 2, 11, 30, tzinfo=UTC))
    assert [customer.number for customer in changed] == ["7"]


def test_the_ledger_is_read_back_in_one_call(bench: Bench) -> None:
    bench.sale(bench.invoice(), bench.settlement(sek("1250")))
    bench.post(bench.voucher())
    ledger = bench.fortnox.fetch_ledger(bench.year_ref, ["1580", "1930"])
    assert {(entry.voucher, entry.account, entry.amount) for entry in ledger.entries} == {
        (f"A/1/{bench.year_ref}", "1930", sek("975")),
        (f"A/1/{bench.year_ref}", "1580", sek("-975")),
        (f"C/1/{bench.year_ref}", "1580", sek("1250")),
    }
    assert all(entry.booking_date == DAY for entry in ledger.entries)
    assert any("(stripe/po_1/payout)" in entry.text for entry in ledger.entries)
    assert bench.calls(lambda: bench.fortnox.fetch_ledger(bench.year_ref, ["1580"])) == ["GET /sie/4"]


def test_a_step_without_what_it_builds_on_is_a_bug_of_ours(bench: Bench) -> None:
    build_nothing: list[Callable[[], object]] = [
        lambda: bench.do(BookInvoice("b", "i")),
        lambda: bench.do(CreatePayment("p", bench.settlement(sek("1")))),
        lambda: bench.find(DateCreditNote("d", "cr", "k", DAY, "")),
    ]
    for action in build_nothing:
        with pytest.raises(ValueError):
            action()
    assert bench.world.calls == []


def test_an_account_number_that_cannot_be_is_held_before_anything_is_sent(bench: Bench) -> None:
    voucher = bench.voucher()
    line = replace(voucher.lines[0], account=Account(AccountRole.BANK, "19301"))
    step = PostVoucher("v", replace(voucher, lines=(line, voucher.lines[1])))
    with pytest.raises(Rejected) as raised:
        bench.do(step, series="A", year_ref=bench.year_ref)
    assert raised.value.reason == HoldReason.ACCOUNT_NOT_READY.value
    assert bench.world.calls == []


def test_a_voucher_in_another_currency_is_refused_here(bench: Bench) -> None:
    voucher = bench.voucher()
    lines = tuple(replace(line, debit=_euro(line.debit), credit=_euro(line.credit)) for line in voucher.lines)
    with pytest.raises(Rejected):
        bench.do(PostVoucher("v", replace(voucher, lines=lines)), series="A", year_ref=bench.year_ref)


def _euro(amount: Money | None) -> Money | None:
    return Money(amount.minor, "EUR") if amount is not None else None


def test_sales_rows_go_to_the_account_given(bench: Bench) -> None:
    bench.booked(bench.invoice())
    assert bench.balance(SALES.number) == sek("-1000")
