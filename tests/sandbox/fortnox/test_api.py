"""The interface's manners: paging, filters, field rules, updates of rows, files, SIE, persons in between."""

import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld, rates
from addon.sandbox.fortnox import errors as codes
from addon.sandbox.fortnox.text import forbidden_characters, luhn_digit, ocr_number
from addon.sandbox.fortnox.wire import dump, parse, plain
from tests.sandbox.fortnox.conftest import Caller


def numbers(answer: Any) -> list[str]:
    return [item["DocumentNumber"] for item in answer.body["Invoices"]]


# --- lists --------------------------------------------------------------------------------------------------


def test_paging(call: Caller, company: FortnoxCompany) -> None:
    for _ in range(7):
        company.person_creates_invoice(1, booked=False)
    first = call.get("invoices?limit=3").body["MetaInformation"]
    assert first == {"@TotalResources": 7, "@TotalPages": 3, "@CurrentPage": 1}
    assert numbers(call.get("invoices?limit=3&page=3")) == ["7"]
    assert numbers(call.get("invoices?limit=3&page=4")) == []
    assert numbers(call.get("invoices?offset=5")) == ["6", "7"]
    assert numbers(call.get("invoices?sortby=documentnumber&sortorder=descending&limit=1")) == ["7"]
    for wrong in ("limit=501", "limit=0", "limit=x", "page=0", "sortby=colour", "Limit=3", "orderno=1"):
        assert call.get(f"invoices?{wrong}").code == 2000588
    accounts = call.get("accounts?limit=500").body["Accounts"]
    assert [a["Number"] for a in accounts] == sorted(a["Number"] for a in accounts)
    assert len(call.get("accounts").body["Accounts"]) == 100


def test_text_filters_match_parts_whatever_the_case(call: Caller, company: FortnoxCompany) -> None:
    for order in ("1001", "11001", "1001-2", "2002"):
        company.person_creates_invoice(
            1, your_order_number=order, your_reference=f"Ref {order}", customer="Önnestads Bil"
        )
    assert numbers(call.get("invoices?yourordernumber=1001")) == ["1", "2", "3"]
    assert numbers(call.get("invoices?yourreference=rEf 2002")) == ["4"]
    assert numbers(call.get("invoices?customername=önnestads")) == ["1", "2", "3", "4"]
    assert numbers(call.get("invoices?documentnumber=4")) == ["4"]
    assert numbers(call.get(f"invoices?ocr={company.invoices[3].text('OCR')}")) == ["3"]
    assert "YourOrderNumber" not in call.get("invoices").body["Invoices"][0]


def test_state_filters(call: Caller, world: FortnoxWorld, company: FortnoxCompany, clock: Clock) -> None:
    company.person_creates_invoice(1)
    company.person_creates_invoice(1, booked=False)
    company.person_creates_invoice(1)
    company.person_pays_invoice(3)
    company.person_creates_invoice(1, booked=False)
    company.person_cancels_invoice(4)
    assert numbers(call.get("invoices?filter=unpaid")) == ["1"]
    assert numbers(call.get("invoices?filter=unbooked")) == ["2"]
    assert numbers(call.get("invoices?filter=fullypaid")) == ["3"]
    assert numbers(call.get("invoices?filter=cancelled")) == ["4"]
    assert numbers(call.get("invoices?filter=unpaidoverdue")) == []
    clock.advance(timedelta(days=31))
    call.token = world.access_token(company.database_number)
    assert numbers(call.get("invoices?filter=unpaidoverdue")) == ["1"]
    world.switches.unpaid_includes_unbooked = True
    assert numbers(call.get("invoices?filter=unpaid")) == ["1", "2"]
    assert numbers(call.get("invoices?fromdate=2026-03-04&todate=2026-03-04")) == ["1", "2", "3", "4"]
    assert numbers(call.get("invoices?fromdate=2026-03-05")) == []


def test_last_modified_is_swedish_time(call: Caller, company: FortnoxCompany, clock: Clock) -> None:
    company.person_creates_invoice(1)
    clock.advance(timedelta(minutes=30))
    company.person_creates_invoice(1)
    assert numbers(call.get("invoices?lastmodified=2026-03-04 12:00")) == ["1", "2"]
    assert numbers(call.get("invoices?lastmodified=2026-03-04 12:30")) == ["2"]
    company.person_pays_invoice(1)
    assert numbers(call.get("invoices?lastmodified=2026-03-04 12:30")) == ["1", "2"]
    assert call.get("invoices?lastmodified=yesterday").code == 2000588


def test_customers_are_found_by_part_and_kept_by_number(call: Caller) -> None:
    call.customer("Anna", Email="anna@example.com", OrganisationNumber="556677-8899")
    call.customer("Annas mamma", Email="mamma.anna@example.com")
    listed = call.get("customers?email=anna@example.com").body["Customers"]
    assert [c["Name"] for c in listed] == ["Anna", "Annas mamma"]
    assert call.get("customers?organisationnumber=556677").body["MetaInformation"]["@TotalResources"] == 1
    assert call.delete("customers/2").status == 204
    assert call.post("customers", {"Customer": {"Name": "X", "CustomerNumber": "2"}}).code == 2000637
    assert call.customer("Ny") == "3"
    call.invoice({"Price": 1}, customer="1")
    assert call.delete("customers/1").code == codes.CUSTOMER_IN_USE
    for values, code in (
        ({"Currency": "SGD"}, 2000427),
        ({"VATNumber": "1"}, 2004194),
        ({"CountryCode": "QQ"}, 2000919),
        ({"TermsOfPayment": "99"}, 2000429),
        ({"Type": "ALIEN"}, codes.CHOICE_INVALID),
        ({"Country": "Sverige"}, 2001399),
        ({"YourReference": "x" * 51}, 2000107),
    ):
        assert call.post("customers", {"Customer": {"Name": "X", **values}}).code == code
    assert call.post("customers", {"Customer": {"Email": "x@example.com"}}).code == codes.FIELD_MISSING
    made = call.post("customers", {"Customer": {"Name": "N", "CountryCode": "NO", "Phone1": "1"}}).body["Customer"]
    assert made["Country"] == "Norge"
    cleared = call.put(f"customers/{made['CustomerNumber']}", {"Customer": {"Phone1": "API_BLANK", "City": ""}})
    assert cleared.body["Customer"]["Phone1"] is None


# --- fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"YourReference": "dash \u2014 long"}, 2000359),
        ({"Remarks": "thanks \U0001f600"}, 2000359),
        ({"Remarks": 'a "quoted" word'}, 2000359),
        ({"Balance": 1}, 2001399),
        ({"yourreference": "x"}, 2001399),
        ({"CustomerNumber": "77"}, 2000204),
        ({"Currency": "SGD"}, 2000427),
        ({"TermsOfPayment": "99"}, 2000429),
        ({"InvoiceDate": "2026-2-30"}, codes.DATE_INVALID),
        ({"VATIncluded": "perhaps"}, 2000134),
        ({"Freight": "much"}, 2000108),
        ({"InvoiceRows": [{"ArticleNumber": "nope"}]}, 2001302),
        ({"InvoiceRows": [{"AccountNumber": 9999}]}, 2001304),
        ({"InvoiceRows": [{"Unit": None}]}, 2000699),
        ({"InvoiceRows": [{"Price": True}]}, 2000108),
        ({"InvoiceRows": [{}] * 501}, codes.TOO_MANY_ROWS),
    ],
)
def test_what_an_invoice_may_not_hold(call: Caller, company: FortnoxCompany, values: Any, code: int) -> None:
    number = call.customer()
    answer = call.post("invoices", {"Invoice": {"CustomerNumber": number, **values}})
    assert (answer.status, answer.code) == (400, code)
    assert company.invoices == {}


def test_bodies_and_headers_that_are_not_json(call: Caller) -> None:
    assert call("POST", "invoices", data=b"{", headers={"Content-Type": "application/json"}).code == 2002115
    assert call("POST", "invoices", data=b"[NaN]", headers={"Content-Type": "application/json"}).code == 2002115
    assert call("POST", "invoices", data=b"{}", headers={"Content-Type": "text/plain"}).code == 1000031
    assert call.post("invoices", {}).code == 2001392
    assert call.post("invoices", {"Invoice": "x"}).code == 2002649
    assert call.get("invoices", headers={"Accept": "application/pdf"}).code == 1000030
    assert call.get("nothing/here").code == 2000764
    assert call.delete("invoices/1").code == 2000764


def test_empty_texts_keep_and_api_blank_clears(call: Caller) -> None:
    invoice = call.invoice({"Price": 1}, booked=False, Comments="keep", Country="Sverige")
    path = f"invoices/{invoice['DocumentNumber']}"
    kept = call.put(path, {"Invoice": {"Comments": "", "Country": "", "Remarks": None}}).body["Invoice"]
    assert (kept["Comments"], kept["Country"]) == ("keep", "Sverige")
    cleared = call.put(path, {"Invoice": {"Comments": "API_BLANK"}}).body["Invoice"]
    assert cleared["Comments"] == ""


def test_references_dates_and_own_numbers(call: Caller) -> None:
    invoice = call.invoice(
        {"Price": 1},
        ExternalInvoiceReference1="stripe/ch_1/invoice",
        TermsOfPayment="10",
        DocumentNumber=500,
        OCR="426523791",
    )
    assert (invoice["DocumentNumber"], invoice["OCR"], invoice["DueDate"]) == ("500", "426523791", "2026-03-14")
    following = call.invoice({"Price": 1}, customer="1", DueDate="2026-03-04")
    assert (following["DocumentNumber"], following["DueDate"]) == ("501", "2026-03-04")
    taken = call.post("invoices", {"Invoice": {"CustomerNumber": "1", "DocumentNumber": 500}})
    assert taken.code == codes.ALREADY_EXISTS


def test_rows_by_position_inherit_and_by_id_replace(call: Caller) -> None:
    def put(rows: Any) -> Any:
        return call.put("invoices/1", {"Invoice": {"InvoiceRows": rows}}).body["Invoice"]

    old = call.invoice({"Price": 100, "Discount": 10, "VAT": 25}, {"Price": 5, "VAT": 25}, booked=False)
    assert old["Total"] == 118.75
    positional = put([{"Price": 200}])
    assert [(r["Price"], r["Discount"], r["Description"]) for r in positional["InvoiceRows"]] == [(200, 10, "Vara")]
    assert positional["InvoiceRows"][0]["RowId"] != old["InvoiceRows"][0]["RowId"]
    kept = put(
        [{"RowId": positional["InvoiceRows"][0]["RowId"]}, {"Description": "Ny", "DeliveredQuantity": 2, "Price": 3}]
    )
    assert [(r["Description"], r["Price"], r["Discount"]) for r in kept["InvoiceRows"]] == [
        ("Vara", 200, 10),
        ("Ny", 3, 0),
    ]
    assert put([])["InvoiceRows"] == []
    fresh = put([{"Description": "Ensam", "DeliveredQuantity": 1, "Price": 4, "VAT": 0}])
    assert (fresh["InvoiceRows"][0]["Discount"], fresh["Total"]) == (0, 4)


def test_discounts_of_the_customer_stick_to_rows_that_do_not_say(call: Caller) -> None:
    number = call.customer(InvoiceDiscount=10)
    invoice = call.invoice(
        {"Price": 100, "VAT": 0}, {"Price": 100, "VAT": 0, "Discount": 0}, customer=number, booked=False
    )
    assert (invoice["Gross"], invoice["Net"]) == (200, 190)


def test_articles_fill_rows(call: Caller) -> None:
    article = {"ArticleNumber": "SKU-1", "Description": "Mössa", "SalesAccount": 3002, "VAT": 12, "Type": "STOCK"}
    assert call.post("articles", {"Article": article}).status == 201
    assert call.post("articles", {"Article": article}).code == 2000013
    assert call.post("articles", {"Article": {"Description": "x", "ArticleNumber": "a b"}}).code == 2000106
    assert call.put("articles/SKU-1", {"Article": {"SalesPrice": 10}}).code == 2000321
    changed = call.put("articles/SKU-1", {"Article": {"Description": "Vante"}}).body["Article"]
    assert changed["Description"] == "Vante"
    number = call.customer()
    row = {"ArticleNumber": "SKU-1", "DeliveredQuantity": 1, "Price": 10}
    answer = call.post("invoices", {"Invoice": {"CustomerNumber": number, "InvoiceRows": [row]}})
    made = answer.body["Invoice"]["InvoiceRows"][0]
    assert (made["Description"], made["AccountNumber"], made["VAT"]) == ("Vante", 3002, 12)
    assert call.get("articles?articlenumber=sku").body["MetaInformation"]["@TotalResources"] == 1


def test_values_without_rights_are_hidden(call: Caller, company: FortnoxCompany) -> None:
    company.settings.no_right_fields.add("Balance")
    company.person_creates_invoice(1)
    assert call.get("invoices/1").body["Invoice"]["Balance"] == "API_NORIGHT"


# --- settings, currencies -------------------------------------------------------------------------------------


def test_years_are_found_by_date(call: Caller, company: FortnoxCompany) -> None:
    assert [y["Id"] for y in call.get("financialyears").body["FinancialYears"]] == [1, 2]
    for name in ("Date", "date"):
        assert [y["Id"] for y in call.get(f"financialyears?{name}=2025-12-31").body["FinancialYears"]] == [1]
    assert call.get("financialyears?date=2027-01-01").body["FinancialYears"] == []
    overlapping = {"FinancialYear": {"FromDate": "2026-06-01", "ToDate": "2027-05-31"}}
    assert call.post("financialyears", overlapping).code == codes.ALREADY_EXISTS
    company.person_opens_year(date(2027, 1, 1), date(2027, 12, 31))
    assert call.get("accounts/1510?financialyear=3").status == 200
    assert call.get("voucherseries/A?financialyeardate=2027-05-05").body["VoucherSeries"]["Year"] == 3


def test_accounts_are_made_and_activated_per_year(call: Caller, company: FortnoxCompany) -> None:
    company.deactivate_account(1686, 2)
    assert call.get("accounts/1686?financialyear=2").body["Account"]["Active"] is False
    assert call.get("accounts/1686?financialyear=1").body["Account"]["Active"] is True
    sent = {"Account": {"Number": 1686, "Description": "Fordran Stripe", "Active": True}}
    changed = call.put("accounts/1686?financialyear=2", sent).body["Account"]
    assert (changed["Active"], changed["Description"]) == (True, "Fordran Stripe")
    new = {"Account": {"Number": 1588, "Description": "PayPal EUR"}}
    assert call.post("accounts?financialyear=2", new).status == 201
    assert call.post("accounts?financialyear=2", new).code == codes.ALREADY_EXISTS
    assert call.post("accounts", {"Account": {"Number": 158, "Description": "x"}}).code == 2002462
    assert call.get("accounts/1588?financialyear=1").code == 2000423


def test_opening_balances_are_carried_over(call: Caller, company: FortnoxCompany) -> None:
    call.voucher((1930, "100"), (3001, "-100"), date="2025-06-01", year=1)
    call.voucher((1930, "20"), (3001, "-20"))
    bank = call.get("accounts/1930?financialyear=2").body["Account"]
    assert (bank["BalanceBroughtForward"], bank["BalanceCarriedForward"]) == (100, 120)
    sales = call.get("accounts/3001?financialyear=2").body["Account"]
    assert (sales["BalanceBroughtForward"], sales["BalanceCarriedForward"]) == (0, -20)
    assert company.balance(1930) == 120
    assert company.balance(1930, until=date(2025, 12, 31)) == 100


def test_payments_over_the_turn_of_the_year(call: Caller, company: FortnoxCompany) -> None:
    invoice = company.person_creates_invoice(100, invoice_date=date(2025, 12, 31))
    company.settings.opening_balances_carried = False
    payload = {"InvoicePayment": {"InvoiceNumber": invoice.number, "Amount": 100, "ModeOfPaymentAccount": 1686}}
    assert call.post("invoicepayments", payload).code == codes.OUTSIDE_INVOICE_YEAR
    company.settings.opening_balances_carried = True
    assert call.post("invoicepayments", payload).status == 201
    assert call.put("invoicepayments/1/bookkeep").body["InvoicePayment"]["VoucherYear"] == 2
    company.check()


def test_modes_terms_predefined(call: Caller, company: FortnoxCompany) -> None:
    mode = {"ModeOfPayment": {"Code": "STRIPE", "Description": "Stripe", "AccountNumber": "1686"}}
    assert call.post("modesofpayments", mode).status == 201
    assert call.post("modesofpayments", mode).code == codes.ALREADY_EXISTS
    invoice = call.invoice({"Price": 1, "VAT": 0})
    paid = call.payment(invoice, ModeOfPayment="STRIPE", ModeOfPaymentAccount=None, Amount=1)
    assert paid["ModeOfPaymentAccount"] == 1686
    changed = call.put("modesofpayments/STRIPE", {"ModeOfPayment": {"AccountNumber": "1580"}})
    assert changed.body["ModeOfPayment"]["AccountNumber"] == "1580"
    assert call.put("predefinedaccounts/ROUNDOFF", {"PreDefinedAccount": {"Account": 3790}}).status == 200
    assert company.predefined_accounts["ROUNDOFF"] == 3790
    assert call.put("predefinedaccounts/ROUNDOFF", {"PreDefinedAccount": {"Account": 9999}}).code == 2001265
    assert call.put("predefinedaccounts/ROUNDOFF", {"PreDefinedAccount": {"Account": 37}}).code == 2002462
    assert call.get("predefinedaccounts/NOPE").code == 2001403
    series = {"PreDefinedVoucherSeries": {"VoucherSeries": "F"}}
    assert call.put("predefinedvoucherseries/INVOICE", series).status == 200
    assert call.invoice({"Price": 1}, customer="1")["VoucherSeries"] == "F"


def test_locked_period_in_each_shape(call: Caller, world: FortnoxWorld, company: FortnoxCompany) -> None:
    assert call.get("settings/lockedperiod").body == {"LockedPeriod": {"EndDate": None}}
    world.switches.locked_period_shape = "empty"
    assert call.get("settings/lockedperiod").body == {"LockedPeriod": {}}
    world.switches.locked_period_shape = "404"
    assert call.get("settings/lockedperiod").status == 404
    company.lock_period(date(2025, 12, 31))
    assert call.get("settings/lockedperiod").body == {"LockedPeriod": {"EndDate": "2025-12-31"}}


def test_currencies(call: Caller, world: FortnoxWorld, company: FortnoxCompany) -> None:
    assert call.get("currencies/GBP").code == 2000427
    made = call.post("currencies", {"Currency": {"Code": "GBP", "Description": "Brittiskt pund"}}).body["Currency"]
    today = date(2026, 3, 4)
    assert Decimal(str(made["BuyRate"])) == world.rate("GBP", today)
    assert (made["IsAutomatic"], made["Unit"], made["Date"]) == (True, 1, "2026-03-04")
    refused = call.put("currencies/GBP", {"Currency": {"BuyRate": 1}})
    assert (refused.code, "automatically" in str(refused.body)) == (codes.CURRENCY_AUTOMATIC, True)
    own = {"Currency": {"Code": "XAU", "Description": "Gold", "BuyRate": "12345.6", "Unit": 10}}
    assert call.post("currencies", own).body["Currency"]["IsAutomatic"] is False
    gold = call.invoice({"Price": 1, "VAT": 0}, Currency="XAU")
    assert company.invoices[int(gold["DocumentNumber"])].open_in_sek == Decimal("1234.56")
    yesterday = call.invoice({"Price": 1}, customer="1", Currency="GBP", InvoiceDate="2026-03-03")
    assert Decimal(str(yesterday["CurrencyRate"])) == world.rate("GBP", date(2026, 3, 3))
    company.remove_currency("GBP")
    assert call.post("invoices", {"Invoice": {"CustomerNumber": "1", "Currency": "GBP"}}).code == 2000427


def test_rates_cover_what_is_paid_with_and_stand_still_at_weekends(world: FortnoxWorld) -> None:
    friday = date(2026, 3, 6)
    for currency in rates.CURRENCIES:
        rate = world.rate(currency, friday)
        assert rate > 0
        assert world.rate(currency, friday + timedelta(days=2)) == rate
        assert FortnoxWorld.rate(world, currency, friday) == rate
    assert {"JPY", "KWD", "BHD", "ISK", "EUR", "USD", "DKK", "NOK"} <= rates.CURRENCIES
    assert world.rate("EUR", friday) != world.rate("EUR", friday - timedelta(days=1))
    assert Decimal(11) < world.rate("EUR", friday) < Decimal("11.5")
    assert world.rate("SEK", friday) == 1


def test_the_rate_that_became_one_and_its_cure(call: Caller, world: FortnoxWorld) -> None:
    world.switches.currency_rate_forced_to_one = True
    spoiled = call.invoice({"Price": 1}, Currency="EUR", CurrencyRate="11.3", booked=False)
    assert spoiled["CurrencyRate"] == 1
    cured = call.invoice(
        {"Price": 1}, customer="1", Currency="EUR", CurrencyRate="11.3", CurrencyUnit="API_BLANK", booked=False
    )
    assert (cured["CurrencyRate"], cured["CurrencyUnit"]) == (11.3, 1)
    repaired = call.put("invoices/1", {"Invoice": {"CurrencyRate": "11.3"}}).body["Invoice"]
    assert repaired["CurrencyRate"] == 11.3


def test_other_habits(call: Caller, world: FortnoxWorld, company: FortnoxCompany) -> None:
    switches = world.switches
    switches.vat_type_forces_zero = True
    buyer = call.customer(VATType="EXPORT")
    assert call.invoice({"Price": 100, "VAT": 25}, customer=buyer, booked=False)["Total"] == 100
    switches.rate_decimals = 2
    rounded = call.invoice({"Price": 1, "VAT": 0}, customer=buyer, Currency="EUR", CurrencyRate="11.2345")
    assert rounded["CurrencyRate"] == 11.23
    switches.payment_amount_wins = False
    paid = call.payment(rounded, AmountCurrency=1, Amount=20, CurrencyRate="11.5")
    assert paid["Amount"] == 11.5
    switches.payment_number_as_text = False
    assert call.get("invoicepayments/1").body["InvoicePayment"]["Number"] == 1
    switches.cancelled_total_is_zero = False
    unbooked = call.invoice({"Price": 5, "VAT": 0}, customer=buyer, booked=False)
    cancelled = call.put(f"invoices/{unbooked['DocumentNumber']}/cancel").body["Invoice"]
    assert (cancelled["Total"], cancelled["Balance"]) == (5, 0)
    switches.vat_rounding = "rate"
    rows = [{"Price": "0.02", "VAT": 25}] * 3
    assert call.invoice(*rows, customer=call.customer(), booked=False)["Total"] == 0.08
    switches.vat_rounding = "row"
    assert call.invoice(*rows, customer=call.customer(), booked=False)["Total"] == 0.09
    switches.credit_of_partly_paid_refused = True
    part = company.person_creates_invoice(100)
    company.person_pays_invoice(part.number, 10)
    assert call.put(f"invoices/{part.number}/credit").code == codes.INVOICE_CANNOT_BE_CREDITED
    for number in range(3):
        company.person_adds_cost_center(f"K{number}")
    assert len(call.get("costcenters?limit=2&page=2").body["CostCenters"]) == 2
    switches.small_lists_ignore_page = False
    assert len(call.get("costcenters?limit=2&page=2").body["CostCenters"]) == 1
    call.voucher((1930, "1"), (1686, "-1"))
    switches.vouchers_ignore_dates = True
    assert call.get("vouchers?financialyear=2&fromdate=2026-12-01").body["MetaInformation"]["@TotalResources"] > 0
    company.check()


def test_deleting_a_voucher_needs_its_scope_and_is_refused_by_default(
    call: Caller, world: FortnoxWorld, company: FortnoxCompany
) -> None:
    call.voucher((1930, "1"), (1686, "-1"))
    call.voucher((1930, "2"), (1686, "-2"))
    assert call.delete("vouchers/A/2?financialyear=2").code == 2000663
    call.token = world.access_token(company.database_number, scopes="deletevoucher bookkeeping")
    assert call.delete("vouchers/A/2?financialyear=2").code == codes.VOUCHER_NOT_LAST
    world.switches.delete_voucher_refused = False
    assert call.delete("vouchers/A/1?financialyear=2").code == codes.VOUCHER_NOT_LAST
    assert call.delete("vouchers/A/2?financialyear=2").status == 204
    assert call.get("voucherseries/A").body["VoucherSeries"]["NextVoucherNumber"] == 2
    assert company.balance(1930) == 1
    company.check()


def test_mails_are_remembered(call: Caller, company: FortnoxCompany) -> None:
    buyer = call.customer(Email="anna@example.com")
    call.invoice({"Price": 1}, customer=buyer, booked=False)
    assert call.put("invoices/1/externalprint").body["Invoice"]["Sent"] is True
    assert company.mails == []
    call.get("invoices/1/email")
    assert company.mails == [(1, "anna@example.com")]
    assert call.get("invoices/1/print").body.startswith(b"%PDF")


# --- files, SIE -----------------------------------------------------------------------------------------------


def test_files_are_attached_to_vouchers_and_invoices(call: Caller, company: FortnoxCompany) -> None:
    call.voucher((1930, "1"), (1686, "-1"))
    upload = call("POST", "inbox?path=inbox_v", data={"file": (io.BytesIO(b"%PDF evidence"), "po_1.pdf")})
    assert upload.status == 201
    stored = upload.body["File"]
    assert (stored["Name"], stored["Size"], stored["Path"]) == ("po_1.pdf", 13, "Verifikationer")
    connection = {"FileId": stored["Id"], "VoucherNumber": "1", "VoucherSeries": "A"}
    made = call.post("voucherfileconnections", {"VoucherFileConnection": connection})
    assert (made.status, made.body["VoucherFileConnection"]["VoucherYear"]) == (201, 2)
    archived = stored["ArchiveFileId"]
    assert call.get(f"voucherfileconnections/{archived}").status == 200
    assert call.get("voucherfileconnections/none").code == 2000704
    wrong = {"VoucherFileConnection": {**connection, "FileId": "none"}}
    assert call.post("voucherfileconnections", wrong).code == 2000704
    wrong = {"VoucherFileConnection": {**connection, "VoucherNumber": "9"}}
    assert call.post("voucherfileconnections", wrong).code == codes.VOUCHER_NOT_FOUND
    assert call.delete(f"voucherfileconnections/{archived}").status == 204
    assert call("POST", "inbox?path=nowhere", data={"file": (io.BytesIO(b"x"), "x")}).code == 2000588
    company.person_creates_invoice(1)
    attachment = [{"entityId": 1, "entityType": "F", "fileId": archived, "includeOnSend": False}]
    headers = {"Authorization": f"Bearer {call.token}"}
    base = "/api/fileattachments/attachments-v1"
    assert call.browser.post(base, json=attachment, headers=headers).status_code == 201
    listed = call.browser.get(f"{base}?entityid=1&entitytype=F", headers=headers).get_json()
    assert [item["fileId"] for item in listed] == [archived]
    assert call.browser.delete(f"{base}/{listed[0]['id']}", headers=headers).status_code == 204


def test_the_sie_file_says_what_the_ledger_says(call: Caller, company: FortnoxCompany) -> None:
    company.person_adds_cost_center("B1", "Butik")
    call.voucher((1930, "100"), (3001, "-100"), date="2025-06-01", year=1)
    call.payment(call.invoice({"Price": 125, "VAT": 25, "CostCenter": "B1"}, VATIncluded=True), Amount=125)
    rows = [{"Account": 1930, "Debit": 1, "TransactionInformation": "po_1 – åäö"}, {"Account": 1686, "Credit": 1}]
    payload = {"Description": "Utbetalning", "TransactionDate": "2026-03-02", "VoucherSeries": "A", "VoucherRows": rows}
    assert call.post("vouchers?financialyear=2", {"Voucher": payload}).status == 201
    raw = call.get("sie/4?financialyear=2").body
    text = raw.decode("cp437")
    lines = text.split("\r\n")
    assert lines[0] == "#FLAGGA 0"
    assert '#FNAMN "Fjällbutiken AB"' in lines
    assert "#RAR -1 20250101 20251231" in lines
    assert "#IB 0 1930 100.00" in lines
    assert "#UB 0 1930 101.00" in lines
    assert "#RES -1 3001 -100.00" in lines
    assert '   #TRANS 3001 {1 "B1"} -100.00 20260304' in lines
    assert '   #TRANS 1930 {} 1.00 20260302 "po_1 ? åäö"' in lines
    sums: dict[int, Decimal] = {}
    for line in lines:
        if line.startswith("   #TRANS"):
            before, after = line.split("{", 1)
            account, amount = int(before.split()[1]), Decimal(after.split("}")[1].split()[0])
            sums[account] = sums.get(account, Decimal(0)) + amount
    year = {a: s for a, s in sums.items() if s}
    assert year == {a: s for a in sums if (s := company.balance(a, year_id=2))}
    balances = call.get("sie/1?financialyear=2").body.decode("cp437")
    assert "#VER" not in balances
    assert "#PSALDO 0 202603 1930 {} 1.00" in call.get("sie/2?financialyear=2").body.decode("cp437")
    assert call.get("sie/5").status == 404


# --- persons -------------------------------------------------------------------------------------------------


def test_persons_leave_traces_like_anyone(call: Caller, company: FortnoxCompany) -> None:
    invoice = company.person_creates_invoice(
        "1250.00", your_order_number="1001", currency="EUR", rate="11.3", ocr="4711", customer="Kund", booked=False
    )
    company.person_edits_invoice(invoice.number, YourReference="Nisse")
    company.person_books_invoice(invoice.number)
    shown = call.get(f"invoices/{invoice.number}").body["Invoice"]
    assert (shown["YourReference"], shown["OCR"], shown["CurrencyRate"], shown["Booked"]) == (
        "Nisse",
        "4711",
        11.3,
        True,
    )
    company.person_pays_invoice(invoice.number, 1000, amount_in_sek="11290")
    preliminary = company.person_pays_invoice(invoice.number, booked=False)
    company.person_deletes_payment(preliminary.number)
    credit = company.person_credits_invoice(invoice.number)
    assert credit.total == -1250
    company.person_edits_customer(credit.customer_number, Email="ny@example.com")
    company.person_posts_voucher([(1930, "5"), (1686, "-5")])
    company.person_deletes_last_voucher("A")
    company.set_next_voucher_number("A", 50)
    assert call.voucher((1930, "1"), (1686, "-1")).body["Voucher"]["VoucherNumber"] == 50
    company.check()


# --- small laws -----------------------------------------------------------------------------------------------


def test_reference_numbers_follow_the_recorded_ones() -> None:
    assert [ocr_number(n) for n in (1, 18, 30, 38, 40)] == ["133", "1842", "3046", "3848", "4044"]
    assert luhn_digit("7992739871") == "3"


def test_the_character_set() -> None:
    assert forbidden_characters("Åsa's 100 % – 5.00 € (o/n: a_1+2=3; #7) @ ½ ²") == ""
    assert forbidden_characters('a—b"c<d>{e}|~[f]…•') == '—"<>{}|~[]…•'


def test_numbers_go_over_the_wire_exactly() -> None:
    assert dump({"a": Decimal("937.50"), "b": [Decimal("1E+2"), Decimal("-0.00"), True, None], "c/d": "å"}) == (
        '{"a":937.5,"b":[100,0,true,null],"c\\/d":"\\u00e5"}'
    )
    assert parse(b'{"a": 0.1}') == {"a": Decimal("0.1")}
    assert plain(Decimal("11.1380")) == "11.138"
    with pytest.raises(TypeError):
        dump(0.5)
