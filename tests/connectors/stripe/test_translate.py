import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example as with_example
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.stripe.translate import (
    KIND_BY_CATEGORY,
    KIND_BY_TYPE,
    ORDER_PLACES,
    UNSPECIFIED_FEE,
    decide_kind,
    evidence,
    is_own_row,
    order_number_value,
    stripe_decimals,
    stripe_money,
    translate_account,
    translate_balances,
    translate_dispute,
    translate_movement,
    translate_payout,
)
from addon.core.currencies import MINOR_UNITS
from addon.core.money import Money
from addon.core.records import (
    Balance,
    Buyer,
    Itemisation,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    PayoutState,
)
from addon.ports.errors import BadReply
from tests.connectors.stripe.examples import all_rows, example, objects, spelled_out
from tests.contracts import contract_path, load_contract

Json = dict[str, Any]
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def a_row(**changed: Any) -> Json:
    row = {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 10000,
        "fee": 0,
        "fee_details": [],
        "net": 10000,
        "currency": "sek",
        "created": 1788224400,
        "description": None,
        "exchange_rate": None,
        "reporting_category": "charge",
        "type": "charge",
        "source": None,
    }
    row.update(changed)
    if "net" not in changed:
        row["net"] = row["amount"] - row["fee"]
    return row


def a_charge(**changed: Any) -> Json:
    charge = {
        "id": "ch_1",
        "object": "charge",
        "amount": 10000,
        "amount_captured": 10000,
        "currency": "sek",
        "description": None,
        "metadata": {},
        "payment_intent": "pi_1",
        "billing_details": {"name": None, "email": None, "address": {"country": None}, "tax_id": None},
    }
    return {**charge, **changed}


# --- goldens ----------------------------------------------------------------------------------------------


def in_words(movement: Movement) -> str:
    words = [movement.ref[-4:], movement.kind.value, str(movement.amount)]
    words += [f"{fee.kind.value} {fee.amount} ({fee.description})" for fee in movement.fees]
    if movement.presented is not None and movement.presented != movement.amount:
        words.append(f"paid {movement.presented}")
    if movement.source_ref:
        words.append(f"by {movement.source_ref[:3]}…{movement.source_ref[-3:]}")
    if movement.original_ref:
        words.append(f"of {movement.original_ref[:3]}…{movement.original_ref[-3:]}")
    words += [f"{number.place}={number.value}" for number in movement.order_numbers]
    if movement.buyer.name:
        words.append(f"{movement.buyer.name} <{movement.buyer.email}> {movement.buyer.country}")
    return " | ".join(words)


def test_an_automatic_payout_row_by_row() -> None:
    found = example("payout_reconciliation.json")
    rows = [spelled_out(row) for row in found["balance_transactions"]["data"]]
    assert [in_words(translate_movement(row)) for row in rows] == [
        "0099 | payout | -1553.43 SEK | by po_…001",
        "0013 | reserve | -50.00 SEK | by rsv…001",
        "0012 | payout_reversal | 800.00 SEK | by po_…090",
        "0011 | fee | -12.50 SEK",
        "0010 | fee | 200.00 SEK",
        "0009 | dispute_reversal | 450.00 SEK | by du_…002 | of ch_…901",
        "0008 | fee | -200.00 SEK",
        "0007 | dispute | -315.00 SEK | fee 200.00 SEK (Dispute fee) | paid -30.00 USD | by du_…001 | of ch_…900",
        "0006 | refund | -1119.90 SEK | paid -100.00 EUR | by re_…002 | of ch_…002"
        " | metadata.order_id=1002 | description=1002 | Max Muster <max@example.com> DE",
        "0005 | refund | -100.00 SEK | by re_…001 | of ch_…001"
        " | metadata.order_id=1001 | description=1001 | Anna Exempel <anna@example.com> SE",
        "0004 | sale | 200.00 SEK | fee 5.50 SEK (Stripe processing fees) | fee_tax 1.38 SEK (VAT)"
        " | by py_…004 | description=1004",
        "0003 | sale | 356.17 SEK | fee 13.38 SEK (Stripe processing fees)"
        " | fee 7.12 SEK (Stripe currency conversion fee) | paid 5000 JPY | by ch_…003"
        " | metadata.order_id=1003 | description=1003 | Hanako Rei <hanako@example.com> JP",
        "0002 | sale | 1123.45 SEK | fee 18.65 SEK (Stripe processing fees)"
        " | fee 22.47 SEK (Stripe currency conversion fee) | paid 100.00 EUR | by ch_…002"
        " | metadata.order_id=1002 | description=1002 | Max Muster <max@example.com> DE",
        "0001 | sale | 499.00 SEK | fee 9.29 SEK (Stripe processing fees) | by ch_…001"
        " | metadata.order_id=1001 | description=1001 | Anna Exempel <anna@example.com> SE",
    ]


def test_the_movements_of_a_payout_make_up_the_payout() -> None:
    found = example("payout_reconciliation.json")
    payout = translate_payout(found["payout"])
    rows = found["balance_transactions"]["data"]
    movements = [translate_movement(row) for row in rows if not is_own_row(row, payout.ref)]
    assert len(movements) == len(rows) - 1
    assert Money.total((movement.net() for movement in movements), "SEK") == payout.amount
    own = next(row for row in rows if is_own_row(row, payout.ref))
    assert translate_movement(own).net() == -payout.amount


def test_the_parts_of_every_example_row_are_its_net() -> None:
    rows = all_rows()
    assert len(rows) > 15
    for row in rows:
        movement = translate_movement(spelled_out(row))
        parts = Money.total((part.amount for part in movement.parts()), movement.currency)
        assert parts == movement.net() == stripe_money(row["net"], row["currency"]), row["id"]
        assert movement.kind is not MovementKind.UNRECOGNISED, row["id"]
        assert movement.occurred_at == datetime.fromtimestamp(row["created"], UTC)


def test_an_instant_payout_keeps_its_fee() -> None:
    found = example("payout_special_cases.json")["manual_instant"]["balance_transaction"]
    movement = translate_movement(found)
    assert [(part.kind, str(part.amount)) for part in movement.parts()] == [
        (PartKind.AMOUNT, "-500.00 SEK"),
        (PartKind.FEE, "-5.00 SEK"),
    ]


# --- kinds ------------------------------------------------------------------------------------------------

KIND_IN_GUIDE = {
    "sale": "sale",
    "sale_reversal": "sale_reversal",
    "refund": "refund",
    "refund_reversal": "refund_reversal",
    "dispute_loss": "dispute",
    "dispute_win": "dispute_reversal",
    "fee": "fee",
    "fee_vat": "fee_tax",
    "adjustment": "adjustment",
    "payout": "payout",
    "payout_reversal": "payout_reversal",
    "reserve": "reserve",
    "reserve_hold": "reserve",
    "reserve_release": "reserve",
    "transfer": "transfer",
    "transfer_reversal": "transfer",
    "revenue_application_fee": "platform_earning",
    "revenue_application_fee_reversal": "platform_earning",
    "topup": "top_up",
    "topup_reversal": "top_up",
    "financing": "financing",
    "loan_principal": "financing",
    "loan_repayment": "financing",
    "donation": "contribution",
    "expense": "contribution",
    "expense_reversal": "contribution",
    "card_issuing": "unrecognised",
    "unidentified_receipt": "unrecognised",
}


def test_every_category_of_the_guide_has_its_kind() -> None:
    guide = load_contract("stripe", "type_map.json")["by_reporting_category"]
    assert set(guide) == set(KIND_BY_CATEGORY)
    for category, entry in guide.items():
        assert decide_kind(category, "whatever").value == KIND_IN_GUIDE[entry["kind"]], category


def test_every_type_alone_gives_what_its_category_gives_or_is_held() -> None:
    guide = load_contract("stripe", "type_map.json")["type_to_reporting_category"]
    for type_, category in guide.items():
        kind = decide_kind(None, type_)
        if category in KIND_BY_CATEGORY:
            assert kind is KIND_BY_CATEGORY[category], type_
        elif type_ not in KIND_BY_TYPE:
            assert kind is MovementKind.UNRECOGNISED, type_
    assert decide_kind(None, "adjustment") is MovementKind.UNRECOGNISED


def test_every_type_in_stripes_description_is_read_or_held() -> None:
    schemas = load_contract("stripe", "openapi.trimmed.json")["components"]["schemas"]
    types = schemas["balance_transaction"]["properties"]["type"]["enum"]
    assert len(types) > 40
    for type_ in types:
        movement = translate_movement(a_row(type=type_, reporting_category=f"new_{type_}", amount=-5, fee=0))
        assert movement.raw_kind == f"new_{type_}/{type_}"
        assert movement.net() == Money(-5, "SEK")


@pytest.mark.parametrize("category", ["", None, "reserve_hold", 7, ["charge"], "charge "])
@pytest.mark.parametrize("type_", ["", None, "novelty", {"charge": 1}])
def test_unknown_words_are_held_with_their_words(category: object, type_: object) -> None:
    movement = translate_movement(a_row(reporting_category=category, type=type_))
    assert movement.kind is MovementKind.UNRECOGNISED
    assert movement.net() == Money(10000, "SEK")


@pytest.mark.parametrize("category", ["charge", "refund_failure", "refund", "charge_failure"])
def test_a_sale_or_refund_of_the_wrong_sign_is_held(category: str) -> None:
    right = -1 if category in ("refund", "charge_failure") else 1
    kinds = [translate_movement(a_row(reporting_category=category, amount=sign * 500)).kind for sign in (right, -right)]
    assert kinds == [KIND_BY_CATEGORY[category], MovementKind.UNRECOGNISED]


def test_fees_of_their_own_have_a_negative_amount_and_credits_a_positive_one() -> None:
    fee = translate_movement(a_row(reporting_category="fee", type="stripe_fee", amount=-1250))
    assert (fee.kind, str(fee.amount), fee.fees) == (MovementKind.FEE, "-12.50 SEK", ())
    credit = translate_movement(a_row(reporting_category="fee", type="adjustment", amount=1250))
    assert (credit.kind, str(credit.amount)) == (MovementKind.FEE, "12.50 SEK")


# --- fees -------------------------------------------------------------------------------------------------

DETAIL_TYPES = {
    "stripe_fee": PartKind.FEE,
    "payment_method_passthrough_fee": PartKind.FEE,
    "tax": PartKind.FEE_TAX,
    "withheld_tax": PartKind.FEE_TAX,
    "application_fee": PartKind.FOREIGN_FEE,
}


def test_every_fee_type_of_the_guide_has_its_part() -> None:
    assert set(load_contract("stripe", "type_map.json")["fee_detail_types"]) == set(DETAIL_TYPES)
    details = [{"type": t, "amount": 10, "currency": "sek", "description": ""} for t in DETAIL_TYPES]
    movement = translate_movement(a_row(fee=50, fee_details=details))
    assert [(fee.kind, fee.description) for fee in movement.fees] == [
        (kind, type_) for type_, kind in DETAIL_TYPES.items()
    ]


def test_what_the_details_leave_unexplained_is_a_part_of_its_own() -> None:
    details = [{"type": "tax", "amount": 20, "currency": "sek", "description": "VAT"}]
    movement = translate_movement(a_row(fee=100, fee_details=details))
    assert [(fee.kind, fee.amount.minor, fee.description) for fee in movement.fees] == [
        (PartKind.FEE_TAX, 20, "VAT"),
        (PartKind.FEE, 80, UNSPECIFIED_FEE),
    ]


def test_a_new_sort_of_fee_is_a_fee_that_says_so() -> None:
    details = [{"type": "lunar_fee", "amount": 20, "currency": "sek", "description": "Moon"}]
    (fee,) = translate_movement(a_row(fee=20, fee_details=details)).fees
    assert (fee.kind, fee.description) == (PartKind.FEE, "lunar_fee: Moon")


amounts = st.integers(-(10**12), 10**12)
fee_details = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.one_of(amounts, st.none()),
            "currency": st.sampled_from(["sek", "sek", "sek", "eur"]),
            "type": st.sampled_from([*DETAIL_TYPES, "novelty", ""]),
            "description": st.one_of(st.none(), st.text(max_size=5)),
        }
    ),
    max_size=6,
)


@given(amount=amounts, fee=amounts, details=fee_details)
def test_however_a_fee_is_split_the_parts_are_the_net(amount: int, fee: int, details: list[Json]) -> None:
    movement = translate_movement(
        a_row(amount=amount, fee=fee, fee_details=details, reporting_category="other_adjustment")
    )
    assert movement.net() == Money(amount - fee, "SEK")
    assert Money.total((part.amount for part in movement.parts()), "SEK") == Money(amount - fee, "SEK")
    assert Money.total((part.amount for part in movement.fees), "SEK") == Money(fee, "SEK")
    names = [part.name for part in movement.parts()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 10.0},
        {"amount": True},
        {"amount": "100"},
        {"amount": None},
        {"amount": 10**16},
        {"fee": 1.5, "net": 1},
        {"currency": None},
        {"currency": "zzz"},
        {"net": 9999},
        {"id": None},
        {"id": "a b"},
        {"created": None},
        {"created": 10**12},
        {"created": -1},
    ],
)
def test_rows_that_cannot_be_read_are_bad_replies(wrong: Json) -> None:
    with pytest.raises(BadReply):
        translate_movement({**a_row(), **wrong})


# --- currencies -------------------------------------------------------------------------------------------


def test_decimals_are_stripes_own() -> None:
    ours = contract_path("currencies.json").read_text()
    told = json.loads(ours)["stripe"]["decimals_by_currency"]
    for currency in sorted(set(told) & set(MINOR_UNITS)):
        assert stripe_decimals(currency) == told[currency], currency


@pytest.mark.parametrize(
    ("written", "currency", "meant"),
    [
        (500, "isk", "5 ISK"),
        (500, "UGX", "5 UGX"),
        (7, "mga", "7.00 MGA"),
        (5000, "jpy", "5000 JPY"),
        (1230, "kwd", "1.230 KWD"),
        (12345, "huf", "123.45 HUF"),
        (12300, "twd", "123.00 TWD"),
        (-49900, "sek", "-499.00 SEK"),
        (0, "isk", "0 ISK"),
    ],
)
def test_amounts_as_stripe_writes_them(written: int, currency: str, meant: str) -> None:
    assert str(stripe_money(written, currency)) == meant


@given(value=st.integers(-(10**13), 10**13), currency=st.sampled_from(sorted(MINOR_UNITS)))
@with_example(value=550, currency="ISK")
def test_amounts_are_exact_or_refused(value: int, currency: str) -> None:
    exact = Decimal(value).scaleb(-stripe_decimals(currency))
    try:
        read = stripe_money(value, currency.lower())
    except BadReply:
        assert exact != exact.quantize(Decimal(1).scaleb(-MINOR_UNITS[currency]))
    else:
        assert read.to_decimal() == exact


# --- what the buyer paid ----------------------------------------------------------------------------------


def test_a_sale_in_the_balances_currency_is_presented_as_it_is() -> None:
    movement = translate_movement(a_row(source=a_charge()))
    assert movement.presented == movement.amount


def test_kronur_paid_into_a_balance_in_kronor() -> None:
    source = a_charge(amount=50000, amount_captured=50000, currency="isk")
    movement = translate_movement(a_row(amount=3760, exchange_rate=0.0752, source=source))
    assert movement.presented == Money(500, "ISK")


@pytest.mark.parametrize(("amount", "currency"), [(550, "isk"), (100, "bgn"), (None, "eur")])
def test_a_sale_that_cannot_be_told_in_the_buyers_currency_is_held(amount: int | None, currency: str) -> None:
    source = a_charge(amount=amount, amount_captured=amount, currency=currency)
    movement = translate_movement(a_row(exchange_rate=5.6, source=source))
    assert movement.kind is MovementKind.UNRECOGNISED
    assert movement.presented is None
    assert movement.net() == Money(10000, "SEK")
    assert movement.raw_kind.startswith("charge/charge: ")


def test_a_converted_row_without_its_source_is_held() -> None:
    assert translate_movement(a_row(exchange_rate=11.2, source="ch_9")).kind is MovementKind.UNRECOGNISED
    assert translate_movement(a_row(source="ch_9")).kind is MovementKind.SALE


def test_a_partly_captured_sale_in_one_row() -> None:
    source = a_charge(amount=10000, amount_captured=6000, currency="eur")
    movement = translate_movement(a_row(amount=67200, exchange_rate=11.2, source=source))
    assert movement.presented == Money(6000, "EUR")


def test_a_partly_captured_sale_in_two_rows_adds_up_in_both_currencies() -> None:
    source = a_charge(amount=10000, amount_captured=6000, currency="eur")
    whole = translate_movement(a_row(amount=112000, exchange_rate=11.2, source=source))
    back = translate_movement(
        a_row(
            amount=-44800,
            fee=-672,
            exchange_rate=11.2,
            source=source,
            reporting_category="partial_capture_reversal",
            type="adjustment",
        )
    )
    assert (whole.kind, back.kind) == (MovementKind.SALE, MovementKind.SALE_REVERSAL)
    assert whole.presented is not None
    assert back.presented is not None
    assert whole.presented + back.presented == Money(6000, "EUR")
    assert back.original_ref == "ch_1"
    assert back.net() == Money(-44800 + 672, "SEK")


def test_a_bounced_payment_names_its_sale_or_is_left_without() -> None:
    bounced = {"reporting_category": "charge_failure", "type": "payment_failure_refund", "amount": -10000}
    source = a_charge(id="py_1", currency="eur", amount=900, amount_captured=900)
    movement = translate_movement(a_row(**bounced, exchange_rate=11.1, source=source))
    assert (movement.kind, movement.original_ref, movement.presented) == (
        MovementKind.SALE_REVERSAL,
        "py_1",
        Money(-900, "EUR"),
    )
    assert translate_movement(a_row(**bounced, source="py_1")).original_ref == "py_1"
    alone = translate_movement(a_row(**bounced))
    assert (alone.kind, alone.original_ref, alone.source_ref) == (MovementKind.SALE_REVERSAL, "", "")


def test_a_bounced_refund_mirrors_the_refund() -> None:
    refund = {"id": "re_1", "object": "refund", "amount": 900, "currency": "eur", "charge": a_charge(currency="eur")}
    went = translate_movement(a_row(reporting_category="refund", amount=-9990, exchange_rate=11.1, source=refund))
    back = translate_movement(
        a_row(
            reporting_category="refund_failure", type="refund_failure", amount=9990, exchange_rate=11.1, source=refund
        )
    )
    assert (went.presented, back.presented) == (Money(-900, "EUR"), Money(900, "EUR"))
    assert (went.source_ref, went.original_ref) == (back.source_ref, back.original_ref) == ("re_1", "ch_1")


def test_a_dispute_of_several_rows_does_not_guess_shares() -> None:
    row = {"reporting_category": "dispute"}
    dispute = {
        "id": "du_1",
        "object": "dispute",
        "amount": 3000,
        "currency": "usd",
        "charge": "ch_1",
        "balance_transactions": [row, row],
    }
    movement = translate_movement(a_row(amount=-100, reporting_category="dispute", type="adjustment", source=dispute))
    assert (movement.kind, movement.presented, movement.original_ref) == (MovementKind.DISPUTE, None, "ch_1")


def test_a_dispute_that_could_not_be_read_still_names_its_sale() -> None:
    movement = translate_movement(
        a_row(
            amount=-100,
            reporting_category="dispute",
            type="adjustment",
            source="du_1",
            description="Chargeback withdrawal for ch_3ABC",
        )
    )
    assert (movement.source_ref, movement.original_ref) == ("du_1", "ch_3ABC")


def test_a_fee_about_a_dispute_is_not_the_disputed_money() -> None:
    dispute = {"id": "du_1", "object": "dispute", "amount": 3000, "currency": "usd", "charge": "ch_1"}
    movement = translate_movement(a_row(amount=-20000, reporting_category="fee", type="adjustment", source=dispute))
    assert (movement.kind, movement.presented, movement.original_ref) == (MovementKind.FEE, None, "ch_1")


# --- order numbers and buyers -----------------------------------------------------------------------------


def test_order_numbers_are_listed_by_place_in_order() -> None:
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "metadata": {"order_id": "edited-7"},
        "payment_details": {"order_reference": "REF7"},
    }
    source = a_charge(
        metadata={"order": "5", "order_id": " #1001 ", "order_number": "A-1001", "Order #": "#000000012", "x": "y"},
        payment_intent=intent,
        description="Online Payment for Order #1001 for shop.example blog_id 5",
    )
    assert translate_movement(a_row(source=source)).order_numbers == (
        OrderNumber("metadata.order_number", "A-1001"),
        OrderNumber("metadata.order_id", "1001"),
        OrderNumber("metadata.Order #", "000000012"),
        OrderNumber("metadata.order", "5"),
        OrderNumber("payment_intent.metadata.order_id", "edited-7"),
        OrderNumber("payment_intent.payment_details.order_reference", "REF7"),
        OrderNumber("description", "1001"),
    )


def test_a_refund_is_found_by_its_sales_order_number_and_its_own_if_asked() -> None:
    refund = {
        "id": "re_1",
        "object": "refund",
        "amount": 500,
        "currency": "sek",
        "metadata": {"order_id": "R-9"},
        "charge": a_charge(metadata={"order_id": "1001"}, payment_intent={"id": "pi_1", "metadata": {"cart.id": "77"}}),
    }
    row = a_row(reporting_category="refund", type="refund", amount=-500, source=refund)
    assert translate_movement(row).order_numbers == (OrderNumber("metadata.order_id", "1001"),)
    places = ("refund.metadata.order_id", "payment_intent.metadata.cart.id", "metadata.none", "nonsense", "")
    assert translate_movement(row, places).order_numbers == (
        OrderNumber("refund.metadata.order_id", "R-9"),
        OrderNumber("payment_intent.metadata.cart.id", "77"),
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Example Shop - Order 1001", "1001"),
        ("Order #000000012 by First Last", "000000012"),
        ("Online Payment for Order #123 for example.com", "123"),
        ("REFUND FOR CHARGE (Example Shop - Order 1002)", "1002"),
        ("order no. 55-A", "55-A"),
        ("Ordre nr 77 fra butikk", "77"),
        ("Beställning: 88", "88"),
        ("In order to pay order 9", "9"),
        ("Orders of the day 5", ""),
        ("border 17", ""),
        ("Order for Anna", ""),
        ("STRIPE PAYOUT", ""),
        ("", ""),
    ],
)
def test_order_numbers_in_running_text(text: str, number: str) -> None:
    assert order_number_value(text, from_text=True) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1001, "1001"),
        (True, ""),
        (None, ""),
        ({"a": 1}, ""),
        ("##7", "7"),
        ("  ", ""),
        ("a" * 100, "a" * 100),
        ("a" * 101, ""),
        ("#" + "9" * 5000, ""),
        ("10\x0001", "1001"),
        ("\u202e1001\u202c", "1001"),
        ("10\u200b01", "1001"),
        ("1001\r\nBcc: x@y.z", "1001 Bcc: x@y.z"),
        ("\ud800" + "7", "7"),
    ],
)
def test_order_numbers_as_they_are_compared(value: object, number: str) -> None:
    assert order_number_value(value) == number


def test_buyers_as_far_as_they_are_told() -> None:
    billing = {"name": " Anna\u202e ", "email": "anna@example.com", "address": {"country": "se"}, "tax_id": "X1"}
    assert translate_movement(a_row(source=a_charge(billing_details=billing))).buyer == Buyer(
        "Anna", "anna@example.com", "SE", "X1"
    )
    shipped = a_charge(
        billing_details={"name": None, "email": "not an address", "address": None},
        receipt_email="bo@example.com",
        shipping={"name": "Bo", "address": {"country": "DK"}},
    )
    assert translate_movement(a_row(source=shipped)).buyer == Buyer("Bo", "bo@example.com", "DK", "")
    by_intent = a_charge(
        billing_details=None, payment_intent={"receipt_email": "c@example.com", "shipping": {"name": "C"}}
    )
    assert translate_movement(a_row(source=by_intent)).buyer == Buyer("C", "c@example.com", "", "")


hostile = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@given(
    metadata=st.dictionaries(st.sampled_from([p.split(".", 1)[-1] for p in ORDER_PLACES] + ["x"]), hostile),
    billing=hostile,
    shipping=hostile,
    intent=hostile,
    text=st.one_of(st.none(), st.text(max_size=600)),
    extra=hostile,
)
def test_whatever_strangers_write_the_money_is_read(
    metadata: Json, billing: Any, shipping: Any, intent: Any, text: str | None, extra: Any
) -> None:
    source = a_charge(
        metadata=metadata,
        billing_details=billing,
        shipping=shipping,
        payment_intent=intent,
        description=text,
        new=extra,
    )
    row = a_row(source=source, description=text, novelty=extra)
    movement = translate_movement(row)
    assert (movement.kind, movement.net()) == (MovementKind.SALE, Money(10000, "SEK"))
    texts = [
        movement.description,
        *(value for number in movement.order_numbers for value in (number.place, number.value)),
        *(movement.buyer.name, movement.buyer.email, movement.buyer.country, movement.buyer.vat_number),
    ]
    for found in texts:
        assert len(found) <= 300
        assert found == found.strip()
        assert all(character == " " or character.isprintable() for character in found)
    json.dumps(evidence(row), allow_nan=False).encode("utf-8")


@given(source=hostile, details=hostile, dispute=hostile)
def test_sources_of_any_shape_never_stop_a_row(source: Any, details: Any, dispute: Any) -> None:
    for given_source in (
        source,
        {"object": "dispute", "id": "du_1", "balance_transactions": dispute, "currency": "usd"},
    ):
        movement = translate_movement(
            a_row(reporting_category="dispute", amount=-5, source=given_source, fee_details=details)
        )
        assert movement.net() == Money(-5, "SEK")


def test_running_text_of_any_length_is_read_quickly() -> None:
    for text in ("order " * 20_000, "order #" + " " * 100_000 + "5", "order " + "a" * 100_000, "order" * 50_000):
        order_number_value(text, from_text=True)


# --- payouts ----------------------------------------------------------------------------------------------


def test_payouts_as_they_stand() -> None:
    found = example("payout_special_cases.json")
    paid = translate_payout(example("payout_reconciliation.json")["payout"])
    assert (str(paid.amount), paid.state, paid.arrival_date, paid.itemisation, paid.automatic) == (
        "1553.43 SEK",
        PayoutState.PAID,
        date(2026, 9, 7),
        Itemisation.COMPLETE,
        True,
    )
    assert paid.statement_text == "STRIPE EXTRACE000001"
    failed = translate_payout(found["failed"]["payout"])
    assert (failed.state, failed.statement_text) == (PayoutState.FAILED, "STRIPE")
    negative = translate_payout(found["negative"]["payout"])
    assert str(negative.amount) == "-117.95 EUR"
    instant = translate_payout(found["manual_instant"]["payout"])
    assert (instant.itemisation, instant.automatic) == (Itemisation.NONE, False)


@pytest.mark.parametrize(
    ("changed", "state", "itemisation"),
    [
        ({"status": "pending", "reconciliation_status": "in_progress"}, "under_way", "pending"),
        ({"status": "in_transit"}, "under_way", "complete"),
        ({"status": "canceled"}, "cancelled", "complete"),
        ({"status": "teleported"}, "under_way", "complete"),
        ({"reconciliation_status": None}, "paid", "pending"),
        ({"reconciliation_status": "completed", "automatic": False}, "paid", "none"),
        ({"arrival_date": None}, "paid", "complete"),
    ],
)
def test_payout_states(changed: Json, state: str, itemisation: str) -> None:
    payout = translate_payout({**example("payout_reconciliation.json")["payout"], **changed})
    assert (payout.state.value, payout.itemisation.value) == (state, itemisation)
    assert (payout.arrival_date is None) == ("arrival_date" in changed)


@pytest.mark.parametrize("wrong", [{"id": 1}, {"amount": 1.0}, {"currency": ""}, {"created": "now"}])
def test_payouts_that_cannot_be_read(wrong: Json) -> None:
    with pytest.raises(BadReply):
        translate_payout({**example("payout_reconciliation.json")["payout"], **wrong})


def test_own_row_is_known_whether_spelled_out_or_not() -> None:
    assert is_own_row({"type": "payout", "source": "po_1"}, "po_1")
    assert is_own_row({"type": "payout", "source": {"id": "po_1", "object": "payout"}}, "po_1")
    assert not is_own_row({"type": "payout", "source": "po_2"}, "po_1")
    assert not is_own_row({"type": "payout_failure", "source": "po_1"}, "po_1")


# --- balances, account, evidence --------------------------------------------------------------------------


def test_balances_are_available_and_pending_together() -> None:
    told = {
        "available": [{"amount": 500, "currency": "sek"}, {"amount": 0, "currency": "bgn"}],
        "pending": [{"amount": -200, "currency": "sek"}, {"amount": 7, "currency": "jpy"}],
        "instant_available": [{"amount": 500, "currency": "sek"}],
        "connect_reserved": [{"amount": 99, "currency": "sek"}],
        "issuing": {"available": [{"amount": 30, "currency": "eur"}]},
        "refund_and_dispute_prefunding": {
            "available": [{"amount": 1, "currency": "eur"}],
            "pending": [{"amount": 2, "currency": "eur"}],
        },
    }
    assert translate_balances(told, NOW) == (
        Balance(Money(33, "EUR"), NOW),
        Balance(Money(7, "JPY"), NOW),
        Balance(Money(300, "SEK"), NOW),
    )


def test_a_balance_in_an_unknown_currency_is_not_passed_over() -> None:
    with pytest.raises(BadReply):
        translate_balances({"available": [{"amount": 5, "currency": "bgn"}], "pending": []}, NOW)


def test_accounts_have_a_name_of_some_sort() -> None:
    account = {
        "id": "acct_1",
        "country": "SE",
        "default_currency": "sek",
        "business_profile": {"name": None},
        "settings": {"dashboard": {"display_name": "Butiken"}},
    }
    read = translate_account(account, live=True)
    assert (read.ref, read.name, read.country, read.default_currency, read.live) == (
        "acct_1",
        "Butiken",
        "SE",
        "SEK",
        True,
    )
    assert translate_account({"id": "acct_1"}, live=False).name == "acct_1"
    fixture = load_contract("stripe", "fixtures.trimmed.json")["resources"]["account"]
    assert translate_account(fixture, live=False).name == "site@stripe.com"
    with pytest.raises(BadReply):
        translate_account({}, live=True)


def test_evidence_is_the_record_without_its_secrets() -> None:
    row = a_row(
        source=a_charge(payment_intent={"id": "pi_1", "client_secret": "pi_1_secret_x"}, metadata={"a\x00": "b\ud800"}),
        exchange_rate=float("nan"),
        rate=Decimal("1.5"),
    )
    kept = evidence(row)
    assert kept["source"]["payment_intent"] == {"id": "pi_1"}
    assert kept["source"]["metadata"] == {"a\ufffd": "b\ufffd"}
    assert (kept["exchange_rate"], kept["rate"]) == (None, "1.5")
    plain = objects()["po_1SIM0000000000000001"]
    assert evidence(plain) == plain


def test_what_the_shop_attached_and_how_the_buyer_paid_are_read_and_bounded() -> None:
    charge = {
        "id": "ch_1",
        "object": "charge",
        "currency": "sek",
        "amount": 10000,
        "amount_captured": 10000,
        "metadata": {"channel": "market\u202e stall", "empty": "", "number": 7, **{f"k{n}": "v" for n in range(80)}},
        "payment_intent": {"id": "pi_1", "metadata": {"channel": "other", "event": "x" * 900}},
        "payment_method_details": {"type": "klarna"},
    }
    movement = translate_movement(a_row(source=charge))
    assert movement.payment_method == "klarna"
    assert dict(movement.metadata)["channel"] == "market stall", "the charge's own word goes first"
    assert "empty" not in dict(movement.metadata)
    assert len(movement.metadata) == 50
    charge["metadata"] = {}
    assert dict(translate_movement(a_row(source=charge)).metadata) == {"channel": "other", "event": "x" * 500}
    charge["payment_method_details"] = {"type": ["no text"]}
    assert translate_movement(a_row(source=charge)).payment_method == ""


# --- disputes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("warning_needs_response", "open"),
        ("warning_under_review", "open"),
        ("warning_closed", "closed"),
        ("needs_response", "open"),
        ("under_review", "open"),
        ("prevented", "closed"),
        ("won", "won"),
        ("lost", "lost"),
        ("a_new_word", "open"),
        (None, "open"),
    ],
)
def test_a_dispute_has_its_state_and_an_unknown_word_decides_nothing(status: object, state: str) -> None:
    dispute = translate_dispute({**A_DISPUTE, "status": status})
    assert dispute.state.value == state
    assert (dispute.original_ref, str(dispute.amount), dispute.reason) == ("ch_1", "400.00 SEK", "fraudulent")


def test_every_status_in_stripes_description_is_read() -> None:
    schemas = load_contract("stripe", "openapi.trimmed.json")["components"]["schemas"]
    for status in schemas["dispute"]["properties"]["status"]["enum"]:
        assert translate_dispute({**A_DISPUTE, "status": status}).ref == "du_1"


@pytest.mark.parametrize("wrong", [{"id": None}, {"amount": 1.5}, {"currency": "xxx"}, {"created": "now"}])
def test_a_dispute_that_cannot_be_read_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        translate_dispute({**A_DISPUTE, **wrong})


A_DISPUTE = {
    "id": "du_1",
    "object": "dispute",
    "charge": {"id": "ch_1", "object": "charge"},
    "amount": 40000,
    "currency": "sek",
    "status": "lost",
    "created": 1_772_000_000,
    "reason": "fraudulent\n\u202e",
}
