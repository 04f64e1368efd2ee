"""What the simulated Stripe answers has the shape of Stripe's own description (2026-05-27.dahlia)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match

from addon.sandbox.clock import Clock
from addon.sandbox.stripe import FeeRules, StripeAccount, StripeWorld, TaxLine
from addon.sandbox.stripe.money import CHARGE_MULTIPLE, CURRENCIES, decimals
from tests.contracts import load_contract

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def null_allowed(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in plain JSON Schema; Stripe also writes it beside `anyOf`, without a type."""
    if isinstance(schema, list):
        return [null_allowed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: null_allowed(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        if "anyOf" in plain:
            plain["anyOf"] = [*plain["anyOf"], {"type": "null"}]
        if isinstance(plain.get("type"), str):
            plain["type"] = [plain["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
    return plain


@cache
def description() -> dict[str, Any]:
    return dict(null_allowed(load_contract("stripe", "openapi.trimmed.json")))


@cache
def answer_validator(path: str) -> Draft4Validator:
    document = description()
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return Draft4Validator({"allOf": [schema], "components": document["components"]})


def problems(path: str, body: object) -> list[str]:
    found = []
    for error in answer_validator(path).iter_errors(body):
        inner = best_match([error]) or error
        found.append(f"{path} {'/'.join(map(str, inner.absolute_path))}: {inner.message[-300:]}")
    return found


def eventful_account(world: StripeWorld) -> StripeAccount:
    """An account to which everything has happened at least once."""
    account = world.add_account("Exempelbutiken AB", fees=FeeRules(vat_percent=Decimal(25)))
    world.connect(account)
    customer = account.add_customer("Anna Exempel", "anna@example.com")
    plain = account.charge(49900, "sek", description="Order 1", email="anna@example.com", customer=customer)
    account.charge(10000, "eur", country="DE", tax_id="DE136695976", order_reference="1002", amount_tax=1597)
    account.charge(5000, "jpy", country="JP", application_fee=700)
    delayed = account.charge(20000, "sek", payment_method_type="klarna", amount_shipping=4900)
    account.charge(30000, "sek", captured=20000)
    account.checkout_session(
        plain,
        client_reference_id="1001",
        taxes=[TaxLine(9980, 39920, Decimal("25"), "SE")],
        tax_ids=[("eu_vat", "SE556677889901")],
        custom_fields=[("note", "thanks")],
    )
    account.pay_invoice(account.charge(100000, "sek"))
    account.topup(900000)
    world.clock.advance(timedelta(days=1))
    failed = account.refund(plain, 10000)
    account.refund_fails(failed)
    account.refund(plain, 20000, pending=True)
    account.refund(delayed, 1000)
    account.bounce(delayed)
    foreign = account.charge(3000, "usd", country="US")
    account.counter(account.dispute(foreign))
    won = account.dispute(account.charge(45000, "sek"))
    account.counter(won)
    account.win(won)
    account.dispute(account.charge(15000, "sek"), inquiry=True)
    account.stripe_fee(1250, "Billing - Usage Fee", vat=300)
    account.reserve_hold(5000)
    account.reserve_release(5000)
    account.adjustment(-300)
    for _ in range(6):
        world.clock.advance(timedelta(days=1))
        account.catch_up()
    account.fail_payout(next(p.id for p in account.payouts if p.status == "paid"))
    account.topup(80000)
    account.manual_payout(50000, method="instant")
    return account


@pytest.fixture(scope="module")
def world() -> StripeWorld:
    return StripeWorld(Clock(START))


@pytest.fixture(scope="module")
def account(world: StripeWorld) -> StripeAccount:
    return eventful_account(world)


def get(world: StripeWorld, account: StripeAccount, path: str, query: str = "") -> Any:
    headers = {"Authorization": f"Bearer {world.secret_key}", "Stripe-Account": account.id}
    answer = world.app().test_client().get(f"{path}?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


LISTS = {
    "/v1/charges": "/v1/charges/{charge}",
    "/v1/payment_intents": "/v1/payment_intents/{intent}",
    "/v1/refunds": "/v1/refunds/{refund}",
    "/v1/payouts": "/v1/payouts/{payout}",
    "/v1/disputes": "/v1/disputes/{dispute}",
    "/v1/customers": "/v1/customers/{customer}",
    "/v1/topups": None,
    "/v1/events": "/v1/events/{id}",
    "/v1/invoice_payments": None,
    "/v1/balance_transactions": "/v1/balance_transactions/{id}",
    "/v1/checkout/sessions": "/v1/checkout/sessions/{session}",
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_and_single_objects_have_stripes_shape(world: StripeWorld, account: StripeAccount, path: str) -> None:
    body = get(world, account, path, "limit=100")
    assert body["data"], f"{path} is empty, so it proves nothing"
    assert problems(path, body) == []
    single = LISTS[path]
    if single is not None:
        for item in body["data"][:5]:
            one = get(world, account, f"{path}/{item['id']}")
            assert problems(single, one) == []


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/credit_notes", "/v1/transfers", "/v1/application_fees"])
def test_empty_lists_have_stripes_shape(world: StripeWorld, account: StripeAccount, path: str) -> None:
    assert problems(path, get(world, account, path)) == []


def test_balance_and_account_have_stripes_shape(world: StripeWorld, account: StripeAccount) -> None:
    assert problems("/v1/balance", get(world, account, "/v1/balance")) == []
    own = get(world, account, "/v1/account")
    assert problems("/v1/account", own) == []
    assert "created" not in own
    assert problems("/v1/accounts/{account}", get(world, account, f"/v1/accounts/{account.id}")) == []


def test_expanded_objects_have_stripes_shape(world: StripeWorld, account: StripeAccount) -> None:
    query = "limit=100&expand[]=data.source.charge&expand[]=data.source.payment_intent"
    body = get(world, account, "/v1/balance_transactions", query)
    sources = [row["source"] for row in body["data"]]
    assert {"charge", "refund", "payout", "dispute"} <= {item["object"] for item in sources if isinstance(item, dict)}
    assert problems("/v1/balance_transactions", body) == []
    refund = next(item for item in sources if isinstance(item, dict) and item["object"] == "refund")
    assert refund["charge"]["object"] == "charge"
    session = get(
        world, account, "/v1/checkout/sessions", "expand[]=data.total_details.breakdown&expand[]=data.line_items"
    )
    assert session["data"][0]["total_details"]["breakdown"]["taxes"][0]["amount"] == 9980
    assert problems("/v1/checkout/sessions", session) == []


def test_the_kinds_that_happened_are_the_documented_ones(world: StripeWorld, account: StripeAccount) -> None:
    known = load_contract("stripe", "type_map.json")
    rows = get(world, account, "/v1/balance_transactions", "limit=100")["data"]
    assert {row["reporting_category"] for row in rows} >= {
        "charge", "charge_failure", "partial_capture_reversal", "refund", "refund_failure", "dispute",
        "dispute_reversal", "fee", "other_adjustment", "payout", "payout_reversal", "risk_reserved_funds", "topup",
    }  # fmt: skip
    for row in rows:
        assert row["reporting_category"] in known["by_reporting_category"], row
        assert row["type"] in known["type_to_reporting_category"], row
        assert row["net"] == row["amount"] - row["fee"] == row["amount"] - sum(f["amount"] for f in row["fee_details"])


def test_currencies_count_as_stripe_documents_them() -> None:
    rules = load_contract("currencies.json")["stripe"]
    expected = {code.lower(): places for code, places in rules["decimals_by_currency"].items()}
    assert {code: decimals(code) for code in CURRENCIES} == expected
    multiples = {
        code.lower(): rule["charge_multiple_of"]
        for code, rule in rules["exceptions"].items()
        if "charge_multiple_of" in rule
    }
    assert multiples == CHARGE_MULTIPLE


def test_the_check_itself_notices_what_is_wrong(world: StripeWorld, account: StripeAccount) -> None:
    body = get(world, account, "/v1/charges", "limit=1")
    body["data"][0]["status"] = "paid"
    assert len(problems("/v1/charges", body)) == 1
    del body["data"][0]["currency"]
    assert len(problems("/v1/charges", body)) == 2
