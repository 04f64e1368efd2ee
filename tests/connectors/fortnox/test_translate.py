"""Text that Fortnox accepts, numbers in any dress, and answers recorded from the real one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.fortnox import translate
from addon.connectors.fortnox.translate import (
    changed_since,
    clean_text,
    customer_view,
    flag,
    invoice_view,
    number,
    payment_rate,
    payment_view,
    read_fault,
    read_row,
    voucher_key,
    voucher_text,
    words,
)
from addon.connectors.http import Unreadable
from addon.core.money import ExchangeRate, Money
from addon.sandbox.fortnox.text import forbidden_characters
from tests.connectors.fortnox.conftest import DAY, Bench, sek
from tests.contracts import contract_path, load_contract

# --- Text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Åsa Öberg", "Åsa Öberg"),
        ("A—B", "A–B"),
        ('“quoted” "x"', "'quoted' 'x'"),
        ("<b>{x}[y]|~", "(b)(x)(y)/-"),
        ("a\tb\u2003c\u00a0d", "a b c\u00a0d"),
        ("party 🎉 time", "party time"),
        ("\u202eevil\u0000\u200b", "evil"),
        ("e\u0301", "é"),
        ("٣ ½ ¼", "3 ½ 1/4"),
        ("one\r\ntwo", "one two"),
        ("wait…", "wait..."),
        ("  ", ""),
    ],
)
def test_characters_that_fortnox_refuses_are_replaced(text: str, expected: str) -> None:
    assert clean_text(text, 100) == expected


def test_line_breaks_stay_where_they_may() -> None:
    assert clean_text(" a \r\nb\rc\n", 100, lines=True) == "a\nb\nc"


@given(st.text(max_size=300), st.integers(1, 80), st.booleans())
def test_cleaned_text_is_always_accepted_short_enough_and_stays_as_it_is(text: str, length: int, lines: bool) -> None:
    cleaned = clean_text(text, length, lines=lines)
    assert len(cleaned) <= length
    assert not forbidden_characters(cleaned)
    assert clean_text(cleaned, length, lines=lines) == cleaned
    assert lines or "\n" not in cleaned


@given(st.text(max_size=400), st.from_regex(r"[a-z]{1,8}/[A-Za-z0-9_]{1,60}/[a-z]{1,10}", fullmatch=True))
def test_a_voucher_s_key_survives_any_text(text: str, key: str) -> None:
    description = voucher_text(text, key)
    assert len(description) <= 200
    assert voucher_key(description) == key


@pytest.mark.parametrize("description", ["", "Manual", "(a) b", ")", "a/b"])
def test_a_voucher_without_our_key_has_none(description: str) -> None:
    assert voucher_key(description) == ""


# --- Time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-02T11:00:30", "2026-03-02 11:58"),
        ("2026-07-02T11:02:00", "2026-07-02 13:00"),
        ("2026-10-25T00:32:00", "2026-10-25 01:30"),
        ("2026-10-25T01:32:00", "2026-10-25 01:30"),
        ("2026-10-25T02:32:00", "2026-10-25 03:30"),
    ],
)
def test_changes_are_asked_for_in_swedish_time_and_early_enough(at: str, expected: str) -> None:
    assert changed_since(datetime.fromisoformat(at).replace(tzinfo=UTC)) == expected


@given(st.integers(0, 365 * 24 * 60), st.integers(0, 300))
def test_a_later_change_never_has_an_earlier_time_than_was_asked_from(minute: int, later: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    asked = changed_since(at)
    changed = (at + timedelta(minutes=later)).astimezone(translate.LOCAL_ZONE).strftime("%Y-%m-%d %H:%M")
    assert asked <= changed


# --- Numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [938, Decimal("938.0"), "938.00", " 938 "])
def test_a_number_comes_in_any_dress(value: object) -> None:
    assert number(value) == 938


@pytest.mark.parametrize("value", [None, "", "x", "API_NORIGHT", True, [], "NaN", "Infinity", "1e999999", 1.5])
def test_what_is_no_number_is_not_guessed(value: object) -> None:
    with pytest.raises(Unreadable):
        number(value)


def test_truth_and_words_come_in_any_dress_too() -> None:
    assert [flag(value) for value in (True, "true", "True", False, "false", None, 1, "")] == [
        True, True, True, False, False, False, False, False,
    ]  # fmt: skip
    assert [words(value) for value in ("a ", 5, None, "API_NORIGHT", True, [])] == ["a", "5", "", "", "", ""]


_MINOR = st.integers(1, 10**9)


@given(_MINOR, _MINOR, st.sampled_from([1, 100]))
def test_a_payment_s_rate_gives_back_the_amount_to_the_ore(foreign: int, local: int, unit: int) -> None:
    amount, books = Money(foreign, "EUR"), Money(local, "SEK")
    rate = payment_rate(amount, books, unit)
    assert Money.rounded(amount.to_decimal() * rate / unit, "SEK") == books


def test_a_rate_is_turned_into_their_unit() -> None:
    rate = ExchangeRate("JPY", "SEK", Decimal("7.21"), 100, DAY, "riksbank")
    assert translate.rate_in_unit(rate, 1) == Decimal("0.0721")
    assert translate.rate_in_unit(rate, 100) == Decimal("7.21")
    assert translate.rate_in_unit(rate, None) == Decimal("7.21")


# --- Bodies ---------------------------------------------------------------------------------------------------


def test_an_invoice_s_body_is_what_the_official_description_allows(bench: Bench) -> None:
    rate = ExchangeRate("EUR", "SEK", Decimal("11.30"), 1, DAY, "riksbank")
    invoice = bench.invoice("100.00 EUR", "-5.00 EUR", rate=rate, text="t", corrects_key="k0")
    body = translate.invoice_body(invoice, "7", None)["Invoice"]
    schemas = load_contract("fortnox", "openapi.core.json")["components"]["schemas"]
    assert set(body) <= set(schemas["fortnox_InvoicePayload"]["properties"])
    for row in body["InvoiceRows"]:
        assert set(row) <= set(schemas["fortnox_InvoicePayload_InvoiceRow"]["properties"])
    assert body["CurrencyUnit"] == "API_BLANK"
    assert body["CurrencyRate"] == Decimal("11.30")
    payment = translate.payment_body(
        replace(bench.settlement(sek("5")), write_off=sek("1"), write_off_account=bench.settlement(sek("5")).account),
        read_row(invoice_view, recorded("invoices__get_one.json", "Invoice")),
        {"1580": "KV"},
    )["InvoicePayment"]
    assert set(payment) <= set(schemas["fortnox_InvoicePayment"]["properties"])
    voucher = translate.voucher_body(bench.voucher(), "k", "A")["Voucher"]
    assert set(voucher) <= set(schemas["fortnox_Voucher"]["properties"])
    customer = translate.customer_body(bench.customer(country="se", vat_number="SE556677889901"))["Customer"]
    assert set(customer) <= set(schemas["fortnox_Customer"]["properties"])


def test_a_krona_invoice_says_nothing_of_rates(bench: Bench) -> None:
    body = translate.invoice_body(bench.invoice(), "7", None)["Invoice"]
    assert not {"CurrencyRate", "CurrencyUnit"} & set(body)


# --- Answers of the real Fortnox ------------------------------------------------------------------------------


def recorded(name: str, wrapper: str) -> Any:
    return load_contract("fortnox", "recorded", name)["response"]["body"][wrapper]


def recordings(prefix: str) -> list[str]:
    folder = contract_path("fortnox", "recorded")
    return sorted(path.name for path in folder.glob(f"{prefix}*.json"))


def test_every_recorded_invoice_is_read() -> None:
    seen = 0
    for name in recordings("invoices__"):
        body = load_contract("fortnox", "recorded", name)["response"]["body"]
        rows = body.get("Invoices", [body["Invoice"]] if "Invoice" in body else [])
        for row in rows:
            if any(isinstance(value, float) for value in row.values()):
                row = {key: Decimal(str(value)) if isinstance(value, float) else value for key, value in row.items()}
            view = read_row(invoice_view, row)
            assert view.number == str(row["DocumentNumber"])
            assert view.total.to_decimal() == Decimal(str(row["Total"]))
            assert view.booked == row["Booked"]
            seen += 1
    assert seen > 20


def test_every_recorded_customer_is_read() -> None:
    seen = 0
    for name in recordings("customers__"):
        body = load_contract("fortnox", "recorded", name)["response"]["body"]
        for row in body.get("Customers", [body["Customer"]] if "Customer" in body else []):
            assert read_row(customer_view, row).number == row["CustomerNumber"]
            seen += 1
    assert seen > 10


def test_every_recorded_refusal_is_read() -> None:
    seen = 0
    for name in recordings(""):
        exchange = load_contract("fortnox", "recorded", name)
        body = exchange["response"]["body"]
        if isinstance(body, dict) and "ErrorInformation" in body:
            fault = read_fault(body)
            assert fault is not None
            assert fault.code.isdigit()
            assert fault.message
            seen += 1
    assert seen > 8


# --- Odd answers ----------------------------------------------------------------------------------------------

INVOICE = {
    "DocumentNumber": "7",
    "Currency": "EUR",
    "CurrencyRate": "11.30",
    "CurrencyUnit": 1,
    "Total": Decimal("100.5"),
    "Balance": 0,
    "InvoiceDate": "2026-03-02",
}


def test_a_row_of_a_list_has_no_vat_and_no_order_number() -> None:
    view = read_row(invoice_view, INVOICE)
    assert (view.total, view.vat, view.order_number, view.voucher) == (Money(10050, "EUR"), 0, "", "")


@pytest.mark.parametrize(
    "change",
    [
        {"Total": None},
        {"Total": "API_NORIGHT"},
        {"Total": Decimal("1.005")},
        {"Balance": "x"},
        {"Currency": "XXQ"},
        {"InvoiceDate": "yesterday"},
        {"InvoiceDate": None},
        {"DocumentNumber": "A"},
        {"CurrencyUnit": "x"},
    ],
)
def test_an_invoice_that_cannot_be_read_is_said_to_be_so(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_row(invoice_view, {**INVOICE, **change})


def test_what_is_no_object_is_not_read() -> None:
    for value in (None, [], "x"):
        with pytest.raises(Unreadable):
            read_row(invoice_view, value)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"CreditInvoiceReference": "0"}, ""),
        ({"CreditInvoiceReference": 0}, ""),
        ({"CreditInvoiceReference": None}, ""),
        ({"CreditInvoiceReference": "12"}, "12"),
        ({"CreditInvoiceReference": "12", "Credit": "true"}, ""),
        ({"CreditInvoiceReference": "12", "Total": -5}, ""),
    ],
)
def test_only_an_original_names_its_credit_note(fields: dict[str, Any], expected: str) -> None:
    assert read_row(invoice_view, {**INVOICE, **fields}).credit_number == expected


@pytest.mark.parametrize("payment_number", ["5", 5])
def test_a_payment_s_number_and_account_come_in_two_dresses(payment_number: object) -> None:
    row = {
        "Number": payment_number,
        "InvoiceNumber": 7,
        "Amount": "100.00",
        "Currency": "SEK",
        "PaymentDate": "2026-03-02",
        "ModeOfPayment": "KV",
        "ModeOfPaymentAccount": None,
    }
    view = payment_view(row, {"KV": "1580"})
    assert (view.number, view.invoice_number, view.amount, view.account) == ("5", "7", sek("100"), "1580")
    assert payment_view({**row, "ModeOfPaymentAccount": 1930}, {"KV": "1580"}).account == "1930"
    assert view.paid_on == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"LockedPeriod": {"EndDate": "2026-01-31"}}, date(2026, 1, 31)),
        ({"LockedPeriod": {"EndDate": None}}, None),
        ({"LockedPeriod": {}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_locked_period_in_all_its_shapes(document: object, expected: date | None) -> None:
    assert translate.locked_through(document) == expected


def test_a_currency_without_a_rate_has_none() -> None:
    row = {"Code": "EUR", "SellRate": "", "Unit": "", "Date": None, "IsAutomatic": "true"}
    currency = read_row(translate.books_currency, row)
    assert (currency.rate, currency.automatic) == (None, True)
