"""What the simulated Fortnox posts: every krona of an invoice, a payment, a credit invoice lands where it should."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import ApiError, BooksBroken, FortnoxCompany, FortnoxWorld
from addon.sandbox.fortnox import errors as codes
from tests.sandbox.fortnox.conftest import CALLBACK, NOON, Caller

Entries = Callable[..., list[str]]


def voucher_of(document: Any) -> tuple[str, int, int]:
    return document["VoucherSeries"], document["VoucherNumber"], document["VoucherYear"]


def test_a_sale_with_vat_inside_and_its_payment(call: Caller, company: FortnoxCompany, entries: Entries) -> None:
    invoice = call.invoice(
        {"Price": "99.99", "VAT": 25}, {"Price": 50, "VAT": 12}, {"Price": 10, "VAT": 6}, VATIncluded=True
    )
    assert (invoice["Total"], invoice["Balance"], invoice["Booked"]) == (159.99, 159.99, True)
    assert entries(voucher_of(invoice)) == [
        "1510 159.99 D",
        "3001 79.99 C",
        "3002 44.64 C",
        "3003 9.43 C",
        "2611 20.00 C",
        "2621 5.36 C",
        "2631 0.57 C",
    ]
    payment = call.payment(invoice, Amount="159.99")
    assert entries(voucher_of(payment)) == ["1686 159.99 D", "1510 159.99 C"]
    paid = call.get("invoices/1").body["Invoice"]
    assert (paid["Balance"], paid["FinalPayDate"]) == (0, "2026-03-04")
    assert company.trial_balance()[1686] == Decimal("159.99")
    company.check()


def test_prices_without_vat_and_the_account_of_the_row(call: Caller, entries: Entries) -> None:
    invoice = call.invoice(
        {"Price": 100, "VAT": 25, "AccountNumber": 3041}, {"Price": 80, "VAT": 0, "AccountNumber": 3004}
    )
    assert (invoice["Net"], invoice["TotalVAT"], invoice["Total"]) == (180, 25, 205)
    assert entries(voucher_of(invoice)) == ["1510 205.00 D", "3041 100.00 C", "3004 80.00 C", "2611 25.00 C"]


def test_destination_vat_goes_to_the_oss_account(call: Caller, company: FortnoxCompany, entries: Entries) -> None:
    company.add_vat_rate(19, 2672)
    row = {"Price": 119, "VAT": 19, "AccountNumber": 3106}
    buyer = call.customer("Käufer", VATType="EUVAT", CountryCode="DE")
    invoice = call.invoice(row, {"Price": 125, "VAT": 25, "AccountNumber": 3106}, customer=buyer, VATIncluded=True)
    assert entries(voucher_of(invoice)) == ["1510 244.00 D", "3106 200.00 C", "2672 19.00 C", "2670 25.00 C"]
    assert call.get("euvatlimitregulation?year=2026").body["EUVatLimitRegulation"]["TotalExclVat"] == 200


@pytest.mark.parametrize(
    ("vat_type", "account"),
    [("SEVAT", 3001), ("SEREVERSEDVAT", 3231), ("EUREVERSEDVAT", 3108), ("EUVAT", 3106), ("EXPORT", 3105)],
)
def test_the_customers_vat_type_decides_the_default_account(call: Caller, vat_type: str, account: int) -> None:
    buyer = call.customer(VATType=vat_type)
    invoice = call.invoice({"Price": 100}, customer=buyer, booked=False)
    assert invoice["InvoiceRows"][0]["AccountNumber"] == account


def test_an_unknown_vat_rate_is_refused(call: Caller) -> None:
    row = {"Description": "x", "DeliveredQuantity": 1, "Price": 1}
    number = call.customer()
    for vat, code in ((19, codes.VAT_UNKNOWN), (25.5, 2000108)):
        answer = call.post("invoices", {"Invoice": {"CustomerNumber": number, "InvoiceRows": [{**row, "VAT": vat}]}})
        assert (answer.status, answer.code) == (400, code)


def test_whole_kronor_are_rounded_and_the_rest_written_off(
    call: Caller, company: FortnoxCompany, entries: Entries
) -> None:
    company.settings.rounds_to_whole_krona = True
    invoice = call.invoice({"Price": 750, "VAT": 25})
    assert (invoice["Total"], invoice["RoundOff"]) == (938, 0.5)
    assert entries(voucher_of(invoice)) == ["1510 938.00 D", "3001 750.00 C", "2611 187.50 C", "3740 0.50 C"]
    payment = call.payment(invoice, Amount="937.50", WriteOffs=[{"Amount": "0.50", "AccountNumber": 3740}])
    assert entries(voucher_of(payment)) == ["1686 937.50 D", "3740 0.50 D", "1510 938.00 C"]
    down = call.invoice({"Price": "10.40", "VAT": 0})
    assert (down["Total"], down["RoundOff"]) == (10, -0.4)
    over = call.payment(down, Amount="10.40", WriteOffs=[{"Amount": "-0.40", "AccountNumber": 3740}])
    assert entries(voucher_of(over)) == ["1686 10.40 D", "3740 0.40 C", "1510 10.00 C"]
    assert company.balance(3740) == 0
    foreign = call.invoice({"Price": "10.40", "VAT": 0}, Currency="EUR")
    assert foreign["Total"] == 10.4
    company.check()


def test_a_foreign_sale_and_its_exchange_difference(call: Caller, company: FortnoxCompany, entries: Entries) -> None:
    invoice = call.invoice({"Price": 100, "VAT": 25}, VATIncluded=True, Currency="EUR", CurrencyRate="11.30")
    assert (invoice["Currency"], invoice["CurrencyRate"], invoice["Total"]) == ("EUR", 11.3, 100)
    assert entries(voucher_of(invoice)) == ["1510 1130.00 D", "3001 904.00 C", "2611 226.00 C"]
    payment = call.payment(invoice, AmountCurrency=100, Amount="1118.70", CurrencyRate="11.187")
    assert entries(voucher_of(payment)) == ["1686 1118.70 D", "1510 1130.00 C", "7960 11.30 D"]
    gain = call.invoice({"Price": 100, "VAT": 0}, Currency="USD", CurrencyRate="9.5")
    paid = call.payment(gain, AmountCurrency=100, CurrencyRate="9.6")
    assert entries(voucher_of(paid)) == ["1686 960.00 D", "1510 950.00 C", "3960 10.00 C"]
    company.check()


def test_partial_foreign_payments_leave_nothing_on_the_claim(call: Caller, company: FortnoxCompany) -> None:
    invoice = call.invoice({"Price": "0.10", "VAT": 0}, Currency="EUR", CurrencyRate="11.3333")
    for _ in range(3):
        call.payment(invoice, AmountCurrency="0.03", Amount="0.34")
    call.payment(invoice, AmountCurrency="0.01", Amount="0.11")
    assert company.invoices[1].balance == 0
    assert company.invoices[1].open_in_sek == 0
    assert company.balance(1510) == 0
    company.check()


def test_write_offs_of_foreign_invoices_are_in_sek(call: Caller, company: FortnoxCompany, entries: Entries) -> None:
    invoice = call.invoice({"Price": 100, "VAT": 0}, Currency="EUR", CurrencyRate=10)
    write_off = [{"Amount": 20, "AccountNumber": 6570}]
    payment = call.payment(invoice, AmountCurrency=98, Amount=980, WriteOffs=write_off)
    assert entries(voucher_of(payment)) == ["1686 980.00 D", "6570 20.00 D", "1510 1000.00 C"]
    assert call.get("invoices/1").body["Invoice"]["Balance"] == 0


def test_a_rate_for_a_hundred_units(call: Caller, world: FortnoxWorld, company: FortnoxCompany) -> None:
    one = world.rate("JPY", date(2026, 3, 4))
    by_one = call.invoice({"Price": 1000, "VAT": 0}, Currency="JPY")
    assert (by_one["CurrencyRate"], by_one["CurrencyUnit"]) == (float(one), 1)
    world.switches.quoted_per_hundred.add("JPY")
    assert world.rate("JPY", date(2026, 3, 4)) == one * 100
    by_hundred = call.invoice({"Price": 1000, "VAT": 0}, Currency="JPY")
    assert by_hundred["CurrencyUnit"] == 100
    first, second = (company.vouchers[voucher_of(i)].rows[0].debit for i in (by_one, by_hundred))
    assert first == second
    company.check()


def test_the_credit_action_and_the_payment_of_the_credit_invoice(
    call: Caller, company: FortnoxCompany, entries: Entries
) -> None:
    invoice = call.invoice(
        {"Price": 125, "VAT": 25},
        VATIncluded=True,
        ExternalInvoiceReference1="stripe/ch_1/invoice",
        YourOrderNumber="1001",
    )
    call.payment(invoice, Amount=125)
    original = call.put("invoices/1/credit").body["Invoice"]
    assert (original["DocumentNumber"], original["CreditInvoiceReference"]) == ("1", "2")
    credit = call.get("invoices/2").body["Invoice"]
    assert (credit["Credit"], credit["CreditInvoiceReference"], credit["Total"]) == ("true", "1", -125)
    assert credit["InvoiceRows"][0]["DeliveredQuantity"] == "-1"
    assert credit["OCR"] != original["OCR"]
    dated = {"InvoiceDate": "2026-03-04", "DueDate": "2026-03-04", "ExternalInvoiceReference2": "re_1"}
    assert call.put("invoices/2", {"Invoice": dated}).status == 200
    booked = call.put("invoices/2/bookkeep").body["Invoice"]
    assert entries(voucher_of(booked)) == ["1510 125.00 C", "3001 100.00 D", "2611 25.00 D"]
    payment = call.payment(booked, Amount=-125)
    assert entries(voucher_of(payment)) == ["1686 125.00 C", "1510 125.00 D"]
    assert company.trial_balance() == {}
    again = call.put("invoices/1/credit")
    assert again.code == codes.INVOICE_ALREADY_CREDITED
    company.check()


def test_a_credit_note_in_foreign_money_with_an_exchange_difference(
    call: Caller, company: FortnoxCompany, entries: Entries
) -> None:
    note = call.invoice({"Price": 100, "DeliveredQuantity": -1, "VAT": 0}, Currency="EUR", CurrencyRate="11.30")
    payment = call.payment(note, AmountCurrency=-100, Amount="-1118.70")
    assert entries(voucher_of(payment)) == ["1686 1118.70 C", "1510 1130.00 D", "3960 11.30 C"]
    company.check()


def test_a_zero_invoice_is_paid_when_it_is_booked(call: Caller, company: FortnoxCompany) -> None:
    invoice = call.invoice({"Price": 0})
    assert (invoice["Booked"], invoice["Total"], invoice["FinalPayDate"]) == (True, 0, "2026-03-04")
    answer = call.post("invoicepayments", {"InvoicePayment": {"InvoiceNumber": 1, "Amount": 1}})
    assert answer.code == 2003055
    assert company.trial_balance() == {}
    company.check()


def test_fees_and_freight_from_the_companys_settings(call: Caller, company: FortnoxCompany, entries: Entries) -> None:
    company.settings.default_administration_fee = Decimal(29)
    with_fee = call.invoice({"Price": 100, "VAT": 25}, Freight=10)
    assert (with_fee["AdministrationFee"], with_fee["Freight"], with_fee["Total"]) == (29, 10, 173.75)
    assert "3540 29.00 C" in entries(voucher_of(with_fee))
    without = call.invoice({"Price": 100, "VAT": 25}, AdministrationFee=0)
    assert without["Total"] == 125
    company.set_predefined_account("ADMFEE", None)
    unbooked = call.invoice({"Price": 1}, booked=False)
    answer = call.put(f"invoices/{unbooked['DocumentNumber']}/bookkeep")
    assert answer.code == codes.PREDEFINED_MISSING
    company.check()


def test_the_cash_method_books_sales_with_their_payments(world: FortnoxWorld, clock: Clock) -> None:
    company = world.add_company("Kontant AB", "556000-0001", method="CASH")
    call = Caller(world.app().test_client(), world.access_token(company.database_number))
    invoice = call.invoice({"Price": 100, "VAT": 25}, booked=False)
    assert invoice["AccountingMethod"] == "CASH"
    assert call.put("invoices/1/bookkeep").code == codes.CASH_METHOD_INVOICE
    call.payment(invoice, Amount="41.67")
    assert company.trial_balance() == {1686: Decimal("41.67"), 2611: Decimal("-8.33"), 3001: Decimal("-33.34")}
    call.payment(invoice, Amount="83.33")
    assert company.trial_balance() == {1686: Decimal("125.00"), 2611: Decimal("-25.00"), 3001: Decimal("-100.00")}
    assert company.invoices[1].balance == 0
    company.check()


def test_check_finds_what_a_person_posts_on_the_customer_ledger_account(company: FortnoxCompany) -> None:
    company.person_creates_invoice(100)
    company.check()
    company.person_posts_voucher([(1510, -5), (1930, 5)])
    with pytest.raises(BooksBroken, match="customer-ledger"):
        company.check()


# --- refusals around booking ---------------------------------------------------------------------------------


def test_a_voucher_is_refused_for_each_reason(call: Caller, company: FortnoxCompany) -> None:
    def refused(*lines: tuple[int, str], **more: Any) -> int:
        answer = call.voucher(*lines, **more)
        assert answer.status in (400, 404), answer
        return answer.code

    good = ((1930, "10"), (1686, "-10"))
    assert refused((1930, "10"), (1686, "-9.99")) == codes.VOUCHER_UNBALANCED
    assert refused((1930, "0")) == codes.VOUCHER_TOO_FEW_ROWS
    assert refused(*good, series="B") == codes.SERIES_NOT_MANUAL
    assert refused(*good, series="Z") == codes.SERIES_UNKNOWN
    assert refused(*good, date="2025-12-31") == codes.NO_FINANCIAL_YEAR
    assert refused(*good, year=9) == codes.YEAR_NOT_FOUND
    assert refused((1930, "10"), (9999, "-10")) == 2000423
    company.deactivate_account(1686, 2)
    assert refused(*good) == 2000550
    company.activate_account(1686)
    company.demand_cost_center(1930)
    assert refused(*good) == 2000946
    company.demand_cost_center(1930, "ALLOWED")
    company.demand_project(1930)
    assert refused(*good) == codes.PROJECT_MANDATORY
    company.demand_project(1930, "ALLOWED")
    company.lock_period(date(2026, 3, 2))
    assert refused(*good) == 2000401
    company.lock_period(date(2026, 3, 1))
    assert call.voucher(*good).status == 201
    assert company.ledger[0].number == 1
    assert len(company.ledger) == 1


def test_voucher_numbers_run_per_series_and_year(call: Caller, company: FortnoxCompany) -> None:
    good = ((1930, "10"), (1686, "-10"))
    numbers = [call.voucher(*good).body["Voucher"]["VoucherNumber"] for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert call.voucher(*good, date="2025-05-05", year=1).body["Voucher"]["VoucherNumber"] == 1
    assert call.get("voucherseries/A?financialyear=2").body["VoucherSeries"]["NextVoucherNumber"] == 4
    assert call.get("voucherseries/A?financialyear=1").body["VoucherSeries"]["NextVoucherNumber"] == 2
    created = {"VoucherSeries": {"Code": "KV", "Description": "Kvitt", "Manual": True}}
    assert call.post("voucherseries?financialyear=2", created).status == 201
    assert call.voucher(*good, series="KV").body["Voucher"]["VoucherNumber"] == 1
    assert call.voucher(*good, series="KV", date="2025-05-05", year=1).code == codes.SERIES_UNKNOWN
    listed = call.get("vouchers/sublist/A?financialyear=2").body
    assert listed["MetaInformation"]["@TotalResources"] == 3
    assert "VoucherRows" not in listed["Vouchers"][0]
    by_date = call.get("vouchers?financialyear=2&fromdate=2026-03-02&todate=2026-03-02").body
    assert by_date["MetaInformation"]["@TotalResources"] == 4
    assert call.get("vouchers/A/1?financialyear=1").body["Voucher"]["TransactionDate"] == "2025-05-05"
    company.check()


def test_without_a_year_the_selected_one_is_meant(call: Caller, company: FortnoxCompany) -> None:
    company.select_year(1)
    payload = {"Description": "x", "TransactionDate": "2026-03-02", "VoucherSeries": "A"}
    rows = [{"Account": 1930, "Debit": 1}, {"Account": 1686, "Credit": 1}]
    answer = call.post("vouchers", {"Voucher": {**payload, "VoucherRows": rows}})
    assert answer.code == codes.NO_FINANCIAL_YEAR


def test_an_invoice_is_not_booked_for_each_reason(call: Caller, company: FortnoxCompany) -> None:
    invoice = call.invoice({"Price": 100, "VAT": 25}, booked=False)

    def refused() -> int:
        answer = call.put(f"invoices/{invoice['DocumentNumber']}/bookkeep")
        assert answer.status == 400, answer
        return answer.code

    company.lock_period(date(2026, 3, 4))
    assert refused() == 2002141
    company.lock_period(None)
    company.deactivate_account(2611)
    assert refused() == 2000550
    company.activate_account(2611)
    company.remove_account(3001)
    assert refused() == 2001304
    company.add_account(3001, "Försäljning", "MP1")
    company.demand_cost_center(3001)
    assert refused() == 2000946
    company.demand_cost_center(3001, "ALLOWED")
    company.set_predefined_series("INVOICE", None)
    assert refused() == codes.PREDEFINED_MISSING
    company.set_predefined_series("INVOICE", "B")
    call.put("invoices/1", {"Invoice": {"NotCompleted": True}})
    assert refused() == codes.INVOICE_NOT_COMPLETED
    call.put("invoices/1", {"Invoice": {"NotCompleted": False}})
    assert call.put("invoices/1/bookkeep").status == 200
    assert refused() == codes.INVOICE_ALREADY_BOOKED
    assert call.put("invoices/1", {"Invoice": {"Comments": "x"}}).code == codes.INVOICE_IS_BOOKED
    assert call.put("invoices/1/cancel").code == codes.INVOICE_CANNOT_BE_CANCELLED
    other = call.invoice({"Price": 1}, booked=False, customer="1")
    assert call.put(f"invoices/{other['DocumentNumber']}/credit").code == codes.INVOICE_CANNOT_BE_CREDITED
    cancelled = call.put(f"invoices/{other['DocumentNumber']}/cancel").body["Invoice"]
    assert (cancelled["Cancelled"], cancelled["Total"], cancelled["Balance"]) == (True, 0, 0)
    assert call.put(f"invoices/{other['DocumentNumber']}/bookkeep").code == codes.INVOICE_IS_CANCELLED
    company.check()


def test_the_warehouse_wants_an_invoice_marked_ready(call: Caller, company: FortnoxCompany) -> None:
    company.settings.warehouse = True
    call.invoice({"Price": 100}, booked=False)
    assert call.put("invoices/1/bookkeep").code == 2003498
    call.put("invoices/1/warehouseready")
    assert call.put("invoices/1/bookkeep").status == 200


def test_a_payment_is_refused_for_each_reason(call: Caller, company: FortnoxCompany) -> None:
    unbooked = call.invoice({"Price": 100, "VAT": 0}, booked=False)

    def refused(**values: Any) -> int:
        payload = {"InvoiceNumber": 1, "Amount": 100, "ModeOfPaymentAccount": 1686, **values}
        answer = call.post("invoicepayments", {"InvoicePayment": payload})
        assert answer.status == 400, answer
        return answer.code

    assert refused() == codes.PAYMENT_ON_UNBOOKED_INVOICE
    call.put("invoices/1/bookkeep")
    assert refused(InvoiceNumber=99) == 2000434
    assert refused(PaymentDate="2026-03-03") == 2001089
    assert refused(PaymentDate="2027-01-01") == codes.OUTSIDE_INVOICE_YEAR
    assert refused(ModeOfPayment="XX") == codes.MODE_OF_PAYMENT_UNKNOWN
    assert refused(ModeOfPaymentAccount=9999) == 2000423
    assert refused(Amount=0) == codes.PAYMENT_OF_NOTHING
    assert refused(WriteOffs=[{"Amount": 1, "AccountNumber": 9999}]) == 2001304
    company.lock_period(date(2026, 3, 5))
    assert refused() == 2000401
    company.lock_period(None)
    nowhere = call.payment(unbooked, booked=False, Amount=100, ModeOfPaymentAccount=None)
    assert call.put(f"invoicepayments/{nowhere['Number']}/bookkeep").code == codes.PAYMENT_WITHOUT_ACCOUNT
    company.deactivate_account(1686)
    shut = call.payment(unbooked, booked=False, Amount=100)
    assert call.put(f"invoicepayments/{shut['Number']}/bookkeep").code == 2000550
    company.activate_account(1686)
    assert call.put(f"invoicepayments/{shut['Number']}/bookkeep").status == 200
    assert call.put(f"invoicepayments/{nowhere['Number']}/bookkeep").code == 2003055
    assert call.put(f"invoicepayments/{shut['Number']}/bookkeep").code == codes.PAYMENT_IS_BOOKED
    assert call.delete(f"invoicepayments/{shut['Number']}").code == codes.PAYMENT_IS_BOOKED
    assert refused() == 2003055
    assert call.delete(f"invoicepayments/{nowhere['Number']}").status == 204
    assert call.get("invoicepayments?invoicenumber=1").body["MetaInformation"]["@TotalResources"] == 1
    company.check()


def test_preliminary_payments_may_be_changed_and_are_not_held_against_the_balance(call: Caller) -> None:
    invoice = call.invoice({"Price": 25, "VAT": 0})
    made = [call.payment(invoice, booked=False, Amount="10.50") for _ in range(5)]
    changed = call.put(f"invoicepayments/{made[0]['Number']}", {"InvoicePayment": {"Amount": 25}})
    assert changed.body["InvoicePayment"]["Amount"] == 25
    moved = call.put(f"invoicepayments/{made[0]['Number']}", {"InvoicePayment": {"PaymentDate": "2026-03-06"}})
    assert (moved.body["InvoicePayment"]["Amount"], moved.body["InvoicePayment"]["PaymentDate"]) == (25, "2026-03-06")
    assert call.get("invoices/1").body["Invoice"]["Balance"] == 25


@pytest.mark.parametrize("habit", ["refused_at_bookkeep", "refused_at_create", "allowed"])
def test_overpayment_by_either_truth(call: Caller, world: FortnoxWorld, company: FortnoxCompany, habit: str) -> None:
    world.switches.overpayment = habit
    call.invoice({"Price": 100, "VAT": 0})
    payload = {"InvoiceNumber": 1, "Amount": 101, "ModeOfPaymentAccount": 1686}
    made = call.post("invoicepayments", {"InvoicePayment": payload})
    assert made.status == (400 if habit == "refused_at_create" else 201)
    if made.status == 201:
        booked = call.put("invoicepayments/1/bookkeep")
        assert booked.status == (200 if habit == "allowed" else 400)
    if habit == "allowed":
        assert company.invoices[1].balance == -1
    company.check()


# --- a law over many books -----------------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.01", max_value="99999.99", places=2)


@given(
    st.lists(
        st.tuples(
            AMOUNTS,
            st.sampled_from([25, 12, 6, 0]),
            st.booleans(),
            st.sampled_from(["SEK", "EUR", "JPY", "KWD"]),
            st.sampled_from(["pay", "part", "credit", "leave"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
    st.sampled_from(["row", "rate"]),
)
def test_books_balance_whatever_is_sold_paid_and_credited(
    deeds: list[tuple[Decimal, int, bool, str, str]], rounds: bool, vat_rounding: str
) -> None:
    world = FortnoxWorld(Clock(NOON), client_id="a", client_secret="b", redirect_uris=[CALLBACK])
    world.switches.vat_rounding = vat_rounding
    company = world.add_company("AB", "556", rounds_to_whole_krona=rounds, first_year=2026)
    for amount, vat, included, currency, deed in deeds:
        rows = [{"DeliveredQuantity": 1, "Price": str(amount), "VAT": v, "Description": "x"} for v in (vat, 25)]
        invoice = company.person_creates_invoice(rows=rows, vat_included=included, currency=currency)
        if included and not rounds:
            assert invoice.total == amount * 2
        if deed == "part" and invoice.balance > 1:
            company.person_pays_invoice(invoice.number, "0.33")
        if deed in ("pay", "part"):
            if invoice.balance:
                company.person_pays_invoice(invoice.number)
            assert (invoice.balance, invoice.open_in_sek) == (0, 0)
        if deed == "credit":
            credit = company.person_credits_invoice(invoice.number)
            assert credit.total == -invoice.total
            if credit.balance:
                company.person_pays_invoice(credit.number)
        company.check()
    assert sum(company.trial_balance().values()) == 0


def test_a_person_meets_the_same_refusals(company: FortnoxCompany) -> None:
    company.lock_period(date(2026, 12, 31))
    with pytest.raises(ApiError):
        company.person_creates_invoice(100)
