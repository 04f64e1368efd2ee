"""How PayPal's rows become movements: every event code, every sign, and what strangers write."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.paypal.codes import KNOWN, meaning, moves_nothing
from addon.connectors.paypal.translate import (
    clean_text,
    evidence,
    hold_unreadable,
    next_page_of,
    paypal_money,
    read_instant,
    translate_balances,
    translate_dispute,
    translate_invoice,
    translate_movement,
)
from addon.core.money import Money
from addon.core.plan.conversion import partners
from addon.core.records import Balance, Buyer, FeeKind, Movement, MovementKind
from addon.ports.errors import BadReply
from tests.contracts import load_contract

DAY = "2026-09-01T08:00:00+0000"
K = MovementKind


def money(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"currency_code": currency, "value": value}


def row(code: str = "T0006", value: str = "100.00", *, currency: str = "EUR", **info: Any) -> dict[str, Any]:
    """A row as Transaction Search gives it; sections beside the information are given by their names."""
    sections = {name: info.pop(name) for name in ("payer_info", "shipping_info", "cart_info") if name in info}
    told = {
        "transaction_id": "1AB23456CD7890001",
        "transaction_event_code": code,
        "transaction_initiation_date": DAY,
        "transaction_updated_date": DAY,
        "transaction_amount": money(value, currency),
        "transaction_status": "S",
        **info,
    }
    return {"transaction_info": {name: one for name, one in told.items() if one is not None}, **sections}


def read(*arguments: Any, **info: Any) -> Movement:
    found = translate_movement(row(*arguments, **info))
    assert found is not None
    return found


def recorded() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load_contract("paypal", "examples", "transactions.json")["response"][
        "transaction_details"
    ]
    return rows


def test_the_recorded_month_reads_like_a_ledger() -> None:
    movements = [movement for one in recorded() if (movement := translate_movement(one)) is not None]
    assert [(one.kind.value, str(one.net())) for one in movements] == [
        ("sale", "96.26 EUR"),
        ("sale", "114.42 USD"),
        ("conversion", "-114.42 USD"),
        ("conversion", "97.83 EUR"),
        ("refund", "-40.00 EUR"),
        ("payout", "-400.00 EUR"),
        ("reserve", "-56.26 EUR"),
        ("reserve", "56.26 EUR"),
        ("dispute", "-60.00 EUR"),
        ("fee", "-16.00 EUR"),
        ("dispute_reversal", "60.00 EUR"),
        ("payout", "-100.00 EUR"),
        ("payout_reversal", "100.00 EUR"),
    ]
    assert len({one.ref for one in movements}) == len(movements)
    month = load_contract("paypal", "examples", "transactions.json")
    for currency, closing in month["closing_balances"].items():
        opening = Decimal(month["opening_balances"][currency])
        moved = Money.total((one.net() for one in movements if one.currency == currency), currency)
        assert opening + moved.to_decimal() == Decimal(closing)


def test_a_recorded_sale_has_its_order_its_buyer_and_no_lines_that_do_not_stand() -> None:
    sale = translate_movement(recorded()[0])
    assert sale is not None
    assert {number.place: number.value for number in sale.order_numbers} == {
        "invoice_id.number": "1001",
        "invoice_id": "WC-1001",
        "custom_field": "1001",
        "subject": "1001",
    }
    assert sale.buyer == Buyer("Anna Exempel", "anna@example.com", "DE", delivery_country="DE")
    assert (sale.source_ref, sale.presented, sale.occurred_at) == (
        "1AB23456CD7890001",
        Money(10000, "EUR"),
        datetime(2026, 9, 1, 8, tzinfo=UTC),
    )
    # The tax of the shipping stands on the goods here, so that no rate gives it: the company's rules decide.
    assert [(str(item.gross), item.tax) for item in sale.items] == [("95.10 EUR", None), ("4.90 EUR", None)]


def test_the_halves_of_a_conversion_find_each_other_and_no_other() -> None:
    halves = [one for rows in recorded() if (one := translate_movement(rows)) and one.kind is K.CONVERSION]
    assert len({one.source_ref for one in halves}) == 1

    found = partners(halves)
    amounts = {one.ref: str(one.amount) for one in halves}
    assert {amounts[ref]: amounts[other] for ref, other in found.items()} == {
        "-114.42 USD": "97.83 EUR",
        "97.83 EUR": "-114.42 USD",
    }
    later = read(
        "T0200", "-5.00", paypal_reference_id="1AB23456CD7890002", transaction_initiation_date="2026-09-02T08:00:00Z"
    )
    assert later.source_ref != halves[0].source_ref
    assert read("T0201", "-5.00").source_ref == "conversion-20260901080000"


def test_what_comes_back_names_what_it_takes_back() -> None:
    movements = {one.raw_kind: one for rows in recorded() if (one := translate_movement(rows)) is not None}
    assert movements["T1202"].source_ref == movements["T1201"].source_ref == "1AB23456CD7890008"
    assert movements["T1201"].original_ref == movements["T1107"].original_ref == "1AB23456CD7890001"
    assert movements["T1101"].source_ref == movements["T0401"].source_ref == "1AB23456CD7890011"
    assert movements["T0403"].description == "EXBANKREF0001"
    assert movements["T0106"].fee_kind is FeeKind.DISPUTE
    for code in ("T1101", "T1202"):
        assert read(code, "5.00").kind is K.UNRECOGNISED


def test_a_release_is_another_movement_than_its_hold_and_happened_when_it_was_updated() -> None:
    hold, release = (translate_movement(one) for one in recorded()[6:8])
    assert hold is not None
    assert release is not None
    assert hold.source_ref == release.source_ref
    assert hold.ref != release.ref
    assert release.occurred_at == datetime(2026, 9, 6, 8, 21, 46, tzinfo=UTC)
    again = recorded()[7]
    again["transaction_info"]["transaction_updated_date"] = "2026-09-07T08:00:00+0000"
    second = translate_movement(again)
    assert second is not None
    assert second.ref != release.ref


def test_a_payment_that_paypal_looked_at_again_is_the_same_movement() -> None:
    touched = read(transaction_updated_date="2026-10-05T08:00:00Z", transaction_status="V")
    assert touched == read()


@pytest.mark.parametrize("code", sorted(load_contract("paypal", "event_codes.json")["codes"]))
@pytest.mark.parametrize("value", ["12.34", "-12.34"])
def test_every_event_code_becomes_a_movement_or_is_held(code: str, value: str) -> None:
    told = load_contract("paypal", "event_codes.json")["codes"][code]
    movement = translate_movement(row(code, value, paypal_reference_id="5XY23456CD7890001"))
    if told["kind"] == "none":
        assert movement is None
        return
    assert movement is not None
    assert movement.net() == Money(1234 if value[0] != "-" else -1234, "EUR")
    assert movement.raw_kind == code
    expected = {
        "fee": {K.FEE},
        "fx": {K.CONVERSION},
        "payout": {K.PAYOUT, K.UNRECOGNISED},
        "payout_reversal": {K.PAYOUT_REVERSAL, K.UNRECOGNISED},
        "refund": {K.REFUND, K.UNRECOGNISED},
        "sale_or_outgoing_payment": {K.SALE, K.UNRECOGNISED},
        "deposit_from_bank": {K.TOP_UP},
        "deposit_from_card": {K.TOP_UP},
        "deposit_reversal": {K.TOP_UP},
        "dispute_loss": {K.DISPUTE, K.UNRECOGNISED},
        "dispute_win": {K.DISPUTE_REVERSAL, K.UNRECOGNISED},
        "dispute_hold": {K.RESERVE},
        "dispute_hold_release": {K.RESERVE},
        "hold": {K.RESERVE},
        "hold_release": {K.RESERVE},
        "reserve_hold": {K.RESERVE},
        "reserve_release": {K.RESERVE},
        "financing": {K.FINANCING},
        "transfer": {K.TRANSFER},
        "adjustment": {K.ADJUSTMENT},
    }.get(told["kind"], {K.UNRECOGNISED})
    assert movement.kind in expected, told


def test_the_sign_tells_a_sale_from_a_purchase() -> None:
    assert read("T0003", "99.00").kind is K.SALE
    bought = read("T0003", "-99.00", payer_info={"payer_name": {"alternate_full_name": "Hosting Ltd"}})
    assert (bought.kind, bought.description) == (K.UNRECOGNISED, "money sent, Hosting Ltd")
    assert read("T1107", "20.00").description == "refund received"


def test_an_unknown_code_is_held_under_its_own_word() -> None:
    held = read("T7777", "1.00")
    assert (held.kind, held.raw_kind) == (K.UNRECOGNISED, "T7777")
    strange = read("x;<y>", "1.00")
    assert (strange.kind, strange.ref) == (K.UNRECOGNISED, "1AB23456CD7890001-xy-EUR100")
    assert not [code for code in KNOWN if moves_nothing(code)]
    assert meaning("", 1).kind is K.UNRECOGNISED


@pytest.mark.parametrize("status", ["P", "D", None, 7])
def test_what_is_pending_or_denied_moved_nothing(status: object) -> None:
    assert translate_movement(row(transaction_status=status)) is None


def test_fees_are_costs_and_come_back_as_credits() -> None:
    sale = read(fee_amount=money("-3.74"))
    assert [str(fee.amount) for fee in sale.fees] == ["3.74 EUR"]
    assert sale.net() == Money(9626, "EUR")
    refund = read("T1107", "-100.00", fee_amount=money("3.74"))
    assert refund.net() == Money(-9626, "EUR")
    assert read(fee_amount=money("0.00")).fees == ()


@pytest.mark.parametrize(
    ("info", "places"),
    [
        ({"invoice_id": "WC-1001"}, {"invoice_id.number": "1001", "invoice_id": "WC-1001"}),
        ({"invoice_id": "1001"}, {"invoice_id": "1001"}),
        ({"invoice_id": "#1001"}, {"invoice_id": "1001"}),
        ({"custom_field": '{"orderTransactionId":"x"}'}, {}),
        ({"custom_field": "pcp_customer_17"}, {}),
        ({"invoice_id": "9" * 101}, {}),
        ({"transaction_subject": "Order number: 77-A/"}, {"subject": "77-A"}),
        ({"transaction_subject": "in order to please"}, {}),
        ({}, {}),
    ],
)
def test_where_order_numbers_stand(info: dict[str, str], places: dict[str, str]) -> None:
    found = read(**info)
    assert {number.place: number.value for number in found.order_numbers} == places


def test_a_connection_may_look_elsewhere_first() -> None:
    movement = translate_movement(row(invoice_id="WC-1", custom_field="2"), ("custom_field", "nowhere"))
    assert movement is not None
    assert movement.order_numbers[0].value == "2"


def item(name: str, net: str, tax: str = "0.00", percent: str | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "item_name": name,
        "item_quantity": "2",
        "item_amount": money(net),
        "tax_amounts": [{"tax_amount": money(tax)}],
        "tax_percentage": percent,
        "item_code": "SKU",
        **more,
    }
    return {key: value for key, value in told.items() if value is not None}


def test_lines_that_add_up_are_taken_with_their_tax() -> None:
    cart = {"item_details": [item("Mug", "72.00", "18.00", "25")]}
    sale = read(cart_info=cart, shipping_amount=money("15.00"), discount_amount=money("-5.00"))
    assert [(one.description, str(one.gross), one.percent) for one in sale.items] == [
        ("Mug", "90.00 EUR", Decimal(25)),
        ("Shipping", "15.00 EUR", None),
        ("Discount", "-5.00 EUR", None),
    ]
    assert (sale.items[0].tax, sale.items[0].quantity, sale.items[0].sku) == (Money(1800, "EUR"), Decimal(2), "SKU")
    inclusive = read(cart_info={"item_details": [item("Mug", "100.00", "20.00", "25")], "tax_inclusive": True})
    assert (inclusive.items[0].gross, inclusive.items[0].tax) == (Money(10000, "EUR"), Money(2000, "EUR"))


@pytest.mark.parametrize(
    "details",
    [
        [item("Mug", "72.00")],
        [item("Mug", "100.00", tax_amounts=[{"tax_amount": money("0.00", "USD")}])],
        [item("Mug", "100.00", item_amount=money("100.00", "USD"))],
        [item("Mug", "a lot")],
        [item("Mug", "0.10")] * 1000,
        ["no line"],
        "no lines",
    ],
)
def test_lines_that_do_not_add_up_decide_nothing(details: Any) -> None:
    assert read(cart_info={"item_details": details}).items == ()


def test_lines_of_an_invoice_made_at_paypal() -> None:
    line = {
        "name": "Consulting",
        "quantity": "2",
        "unit_amount": money("40.00"),
        "tax": {"name": "VAT", "percent": "25", "amount": money("20.00")},
    }
    (sold,) = translate_invoice({"items": [line]}, Money(10000, "EUR"))
    assert (str(sold.gross), str(sold.tax), sold.percent) == ("100.00 EUR", "20.00 EUR", Decimal(25))
    assert translate_invoice({"items": [line]}, Money(5000, "EUR")) == ()
    assert translate_invoice({"items": [{**line, "quantity": "0.333"}]}, Money(10000, "EUR")) == ()
    assert translate_invoice({"items": [{**line, "quantity": "many"}]}, Money(10000, "EUR")) == ()
    foreign = {**line, "tax": {"name": "VAT", "percent": "25", "amount": money("20.00", "USD")}}
    assert translate_invoice({"items": [foreign]}, Money(10000, "EUR")) == ()
    assert translate_invoice({}, Money(10000, "EUR")) == ()


def test_amounts_are_exact() -> None:
    assert paypal_money(money("-.05")) == Money(-5, "EUR")
    assert paypal_money(money("1200", "JPY")) == Money(1200, "JPY")
    # PayPal writes forints without decimals; the books count two.
    assert paypal_money(money("1200", "HUF")) == Money(120000, "HUF")


@pytest.mark.parametrize(
    "told",
    [
        None,
        money("1.005"),
        money("1.5", "JPY"),
        money("NaN"),
        money("1e9"),
        money("1" * 16),
        money("99999999999999"),
        money("1.00", "XXX"),
        {"currency_code": "EUR", "value": 1},
        {"currency_code": None, "value": "1.00"},
    ],
)
def test_amounts_that_cannot_be_read_are_refused(told: Any) -> None:
    with pytest.raises(BadReply):
        paypal_money(told)


@pytest.mark.parametrize(
    "info",
    [
        {"transaction_id": None},
        {"transaction_id": "a b"},
        {"transaction_event_code": None},
        {"transaction_initiation_date": "yesterday"},
        {"transaction_initiation_date": "2026-09-01T08:00:00"},
        {"fee_amount": money("-1.00", "USD")},
        {"fee_amount": "1.00"},
    ],
)
def test_rows_without_what_decides_are_refused(info: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        translate_movement(row(**info))


@pytest.mark.parametrize(
    "info",
    [
        {"transaction_id": None},
        {"transaction_id": "a b"},
        {"transaction_event_code": None},
        {"transaction_initiation_date": "yesterday"},
        {"transaction_updated_date": None, "transaction_id": ""},
    ],
)
def test_a_row_whose_money_can_be_read_is_held_and_is_the_same_each_time(info: dict[str, Any]) -> None:
    held = hold_unreadable(row(**info), BadReply("PayPal gave a transaction without an id"))
    assert held.kind is MovementKind.UNRECOGNISED
    assert held.net() == translate_movement(row()).net()  # type: ignore[union-attr]
    assert held == hold_unreadable(row(**info), BadReply("PayPal gave a transaction without an id"))
    other = hold_unreadable(row(**info, transaction_amount=money("7.00", "EUR")), BadReply("no id"))
    assert other.ref != held.ref


def test_a_row_that_can_be_read_later_is_the_one_that_could_not() -> None:
    held = hold_unreadable(row(transaction_initiation_date="yesterday"), BadReply("no date"))
    read = translate_movement(row())
    assert read is not None and held.ref == read.ref


@pytest.mark.parametrize(
    "info",
    [
        {"fee_amount": money("-1.00", "USD")},
        {"fee_amount": "1.00"},
        {"transaction_amount": None},
        {"transaction_initiation_date": "yesterday", "transaction_updated_date": "today"},
    ],
)
def test_a_row_whose_money_or_time_is_not_known_stops_the_reading(info: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        hold_unreadable(row(**info), BadReply("no date"))


def test_instants_are_read_in_both_spellings() -> None:
    assert read_instant("2026-09-01T08:00:00+0000") == read_instant("2026-09-01T08:00:00Z")
    assert read_instant("2026-09-01T08:00:00.5-0700") == datetime(2026, 9, 1, 15, 0, 0, 500000, tzinfo=UTC)


def dispute(**told: Any) -> dict[str, Any]:
    return {
        "dispute_id": "PP-D-1",
        "create_time": "2026-10-01T08:00:00.000Z",
        "status": "RESOLVED",
        "dispute_amount": {"currency_code": "SEK", "value": "100.00"},
        "disputed_transactions": [{"seller_transaction_id": "9XK"}],
        **told,
    }


def test_every_outcome_of_the_contract_is_known() -> None:
    schemas = load_contract("paypal", "customer_disputes_v1.json")["components"]["schemas"]
    states = {}
    for outcome in schemas["dispute_outcome"]["properties"]["outcome_code"]["enum"]:
        (one,) = translate_dispute(dispute(dispute_outcome={"outcome_code": outcome}))
        states[outcome] = one.state.value
    assert states == {
        "RESOLVED_BUYER_FAVOUR": "lost",
        "RESOLVED_SELLER_FAVOUR": "won",
        "RESOLVED_WITH_PAYOUT": "won",
        "CANCELED_BY_BUYER": "won",
        "ACCEPTED": "lost",
        "DENIED": "won",
        "NONE": "closed",
    }


def test_a_dispute_about_several_payments_is_one_for_each() -> None:
    amounts = [{"currency_code": "SEK", "value": value} for value in ("60.00", "40.00")]
    about = [{"seller_transaction_id": f"T{n}", "gross_amount": amount} for n, amount in enumerate(amounts)]
    found = translate_dispute(dispute(disputed_transactions=[*about, {"seller_transaction_id": None}][:2]))
    assert [(one.ref, one.original_ref, one.amount.minor) for one in found] == [
        ("PP-D-1/T0", "T0", 6000),
        ("PP-D-1/T1", "T1", 4000),
    ]
    assert translate_dispute(dispute(disputed_transactions=[])) == ()


@pytest.mark.parametrize("told", [{"dispute_id": ""}, {"create_time": "soon"}, {"dispute_amount": None}])
def test_a_dispute_that_cannot_be_read_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        translate_dispute(dispute(**told))


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "UNDER_REVIEW"}, "open"),
        ({}, "open"),
        ({"dispute_outcome": {"outcome_code": "A_NEW_WORD"}}, "open"),
        ({"dispute_outcome": {"outcome_code": 7}}, "open"),
    ],
)
def test_a_dispute_whose_end_is_not_told_goes_on(told: dict[str, Any], state: str) -> None:
    assert translate_dispute(dispute(**told))[0].state == state


def test_where_the_next_page_of_disputes_begins() -> None:
    def links(rel: str, href: object) -> dict[str, Any]:
        return {"links": [{"rel": rel, "href": href}]}

    assert next_page_of(links("next", "https://api-m.paypal.com/v1/x?next_page_token=aB_1-%3D&size=2")) == "aB_1-="
    assert next_page_of(links("next", "https://api-m.paypal.com/v1/x?next_page_token=<script>")) is None
    assert next_page_of(links("next", 7)) is None
    assert next_page_of(links("self", "https://api-m.paypal.com/v1/x?next_page_token=a")) is None
    assert next_page_of({}) is None


def test_balances_are_what_can_be_spent() -> None:
    told = load_contract("paypal", "examples", "token_balances_errors.json")["balances"]
    at = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
    assert translate_balances(told) == (Balance(Money(23809, "EUR"), at), Balance(Money(0, "USD"), at))
    withheld = {"currency": "EUR", "total_balance": money("9.00"), "withheld_balance": money("2.00")}
    assert translate_balances({**told, "balances": [withheld]})[0].amount == Money(700, "EUR")
    bare = {"currency": "EUR", "total_balance": money("9.00")}
    assert translate_balances({**told, "balances": [bare]})[0].amount == Money(900, "EUR")
    with pytest.raises(BadReply, match="twice"):
        translate_balances({**told, "balances": [bare, bare]})


def test_strangers_texts_are_cleaned_and_bounded() -> None:
    assert clean_text("a\u202eb\x00c\nd  e") == "abc d e"
    assert len(clean_text("x" * 10_000)) == 300
    name = {"payer_name": {"given_name": "A", "surname": "B"}, "email_address": "not an address", "country_code": "C2"}
    assert read(payer_info=name).buyer == Buyer("A B", "", "CN")
    assert read(payment_method_type="CARD").payment_method == "card"
    assert evidence({"a\x00": ["\ud800", Decimal("1.5"), {"b": None}, 2]}) == {
        "a\ufffd": ["\ufffd", "1.5", {"b": None}, 2]
    }


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "transaction_subject", "transaction_note", "invoice_id", "custom_field", "instrument_type",
                "paypal_reference_id", "bank_reference_id", "shipping_amount", "transaction_event_code",
            ]
        ),
        hostile,
        max_size=5,
    ),
    hostile,
    hostile,
)  # fmt: skip
def test_no_stranger_can_break_the_reading(info: dict[str, Any], payer: Any, cart: Any) -> None:
    try:
        movement = translate_movement(row(payer_info=payer, cart_info=cart, **info))
    except BadReply:
        return
    if movement is not None:
        assert movement.net() == Money(10000, "EUR")
        assert movement.ref.isprintable()
        assert len(movement.description) <= 300
