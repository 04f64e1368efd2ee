"""What the simulated PayPal answers has the shape of PayPal's own descriptions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match

from addon.sandbox.clock import Clock
from addon.sandbox.paypal import Item, PayPalWorld
from tests.contracts import load_contract
from tests.sandbox.paypal.test_api import NOW, REPORT, House, consent

REPORTING = "reporting_transactions_v1"


def relaxed(schema: Any) -> Any:
    """The description with the one relaxation that real answers need: an offset without a colon."""
    if isinstance(schema, list):
        return [relaxed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: relaxed(value) for key, value in schema.items() if key != "nullable"}
    pattern = plain.get("pattern")
    if isinstance(pattern, str):
        plain["pattern"] = pattern.replace("[+-][0-9]{2}:[0-9]{2}", "[+-][0-9]{2}:?[0-9]{2}")
    return plain


@cache
def description(name: str) -> dict[str, Any]:
    return dict(relaxed(load_contract("paypal", f"{name}.json")))


def problems(name: str, path: str, body: object, method: str = "get", status: str = "200") -> list[str]:
    document = description(name)
    schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    validator = Draft4Validator({"allOf": [schema], "components": document["components"]})
    found = []
    for error in validator.iter_errors(body):
        inner = best_match([error]) or error
        found.append(f"{path} {'/'.join(map(str, inner.absolute_path))}: {inner.message[-300:]}")
    return found


def eventful() -> House:
    """A merchant to whom everything has happened at least once."""
    house = House()
    account = house.account
    house.world.clock.set(NOW - timedelta(days=10))
    sale = account.sell(
        10000,
        "EUR",
        order="1001",
        items=[Item("Example item", 1, 8000, 2000, "SKU-1", Decimal(25))],
        sales_tax=2000,
        shipping=490,
    )
    account.sell(12000, "USD", order="1002")
    account.sell(900, "JPY", order="1003")
    account.refund(sale.id, 4000)
    account.lose(account.dispute(account.sell(5000, "SEK").id).id)
    account.dispute(account.sell(7000, "SEK").id)
    invoice = account.invoice("2001", [Item("Consulting", 2, 20000, 5000, percent=Decimal(25))])
    account.refund(account.pay_invoice(invoice.id).id)
    account.deposit(500000)
    account.mass_payment([1000])
    account.withdrawal_returns(account.withdraw(2000).id)
    account.authorise(5000)
    account.sell(100, "SEK", pending=True)
    account.purchase(9900, "SEK")
    for code, told in load_contract("paypal", "event_codes.json")["codes"].items():
        account.record(code, -100 if told["sign"] == "-" else 100, "SEK")
    house.world.clock.set(NOW)
    house.headers = house.bearer(house.app.client_id, house.app.secret)
    return house


def test_transactions_have_the_described_shape() -> None:
    house = eventful()
    for query in ({"fields": "all"}, {}, {"fields": "all", "balance_affecting_records_only": "N"}):
        body = house.search(page_size=500, **query)
        assert body["total_items"] > 160
        assert problems(REPORTING, REPORT, body) == []


def test_the_running_balance_adds_up_row_by_row_and_to_the_balances() -> None:
    house = eventful()
    last: dict[str, Decimal] = {}
    for row in house.search(page_size=500)["transaction_details"]:
        info = row["transaction_info"]
        currency, amount = info["transaction_amount"]["currency_code"], Decimal(info["transaction_amount"]["value"])
        fee = Decimal(info.get("fee_amount", {}).get("value", "0"))
        last[currency] = last.get(currency, Decimal(0)) + amount + fee
        assert Decimal(info["ending_balance"]["value"]) == last[currency]
    told = house.get("/v1/reporting/balances")[1]
    assert {balance["currency"]: Decimal(balance["available_balance"]["value"]) for balance in told["balances"]} == last
    assert problems(REPORTING, "/v1/reporting/balances", told) == []


def test_recorded_answers_have_the_same_keys_as_ours() -> None:
    recorded = load_contract("paypal", "examples", "transactions.json")["response"]
    assert problems(REPORTING, REPORT, recorded) == []
    ours = eventful().search(page_size=500, fields="all")
    assert set(recorded) == set(ours)

    def keys(body: Any) -> set[str]:
        return {key for row in body["transaction_details"] for key in row["transaction_info"]}

    assert keys(recorded) <= keys(ours)


@pytest.mark.parametrize("kind", ["token", "balances"])
def test_small_answers_have_the_recorded_keys(kind: str) -> None:
    recorded = load_contract("paypal", "examples", "token_balances_errors.json")[kind]
    house = House()
    ours = (
        house.token(house.app.client_id, house.app.secret).json
        if kind == "token"
        else house.get("/v1/reporting/balances")[1]
    )
    assert set(ours) == set(recorded)


def test_invoices_disputes_referrals_and_webhooks_have_the_described_shape() -> None:
    house = eventful()
    status, listed = house.get("/v2/invoicing/invoices", total_required="true")
    assert (status, listed["total_items"]) == (200, 1)
    assert problems("invoicing_v2", "/v2/invoicing/invoices", listed) == []
    one = house.get(f"/v2/invoicing/invoices/{listed['items'][0]['id']}")[1]
    assert problems("invoicing_v2", "/v2/invoicing/invoices/{invoice_id}", one) == []
    assert one["items"][0]["tax"]["amount"]["value"] == "50.00"
    status, disputes = house.get("/v1/customer/disputes", page_size=1)
    assert [link["rel"] for link in disputes["links"]] == ["self", "next"]
    assert problems("customer_disputes_v1", "/v1/customer/disputes", disputes) == []
    for dispute in house.get("/v1/customer/disputes")[1]["items"]:
        whole = house.get(f"/v1/customer/disputes/{dispute['dispute_id']}")[1]
        assert problems("customer_disputes_v1", "/v1/customer/disputes/{id}", whole) == []
    assert house.get("/v1/customer/disputes/none")[0] == 404
    assert house.get("/v2/invoicing/invoices/none")[0] == 404
    consent(house, "cancel")
    (referral,) = house.world.referrals.values()
    found = house.get(f"/v2/customer/partner-referrals/{referral.token}", house.partner())[1]
    assert found["partner_referral_id"] == referral.token
    listed = house.get("/v1/notifications/webhooks")[1]
    assert problems("notifications_webhooks_v1", "/v1/notifications/webhooks", listed) == []


def test_refusals_have_the_recorded_names() -> None:
    recorded = load_contract("paypal", "examples", "token_balances_errors.json")["errors"]
    house = House()
    house.world.largest_result = 0
    house.account.deposit(100, at=NOW - timedelta(days=1))
    shut = house.world.add_app(house.account, transaction_search=False)
    day = {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-20T00:00:00Z"}
    ours = {
        "more than 10,000 rows match": house.get(REPORT, **day),
        "window longer than 31 days, bad date, unknown filter value": house.get(
            REPORT, start_date="2026-01-01T00:00:00Z", end_date="2026-11-20T00:00:00Z"
        ),
        "start_date later than the last refresh of the data": house.get(
            REPORT, start_date="2026-11-20T08:00:00Z", end_date="2026-11-20T09:00:00Z"
        ),
        "token without the reporting scope (feature not ticked, or ticked after the token was made)": house.get(
            REPORT, house.bearer(shut.client_id, shut.secret), **day
        ),
        "expired or unknown token": house.get(REPORT, {"Authorization": "Bearer nothing"}, **day),
    }
    for error in recorded:
        if error["when"] in ours:
            status, body = ours[error["when"]]
            assert status == error["status"]
            assert set(body) == set(error["body"])
            for key in ("name", "message", "error"):
                assert body.get(key) == error["body"].get(key)


def test_a_clock_that_stands_makes_the_same_world_twice() -> None:
    def made() -> list[tuple[str, int]]:
        account = PayPalWorld(Clock(datetime(2026, 11, 1, tzinfo=UTC)), seed=7).add_account("A")
        account.sell(5000, "EUR")
        return [(row.id, row.ending) for row in account.rows]

    assert made() == made()
