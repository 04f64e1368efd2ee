"""Reading the simulated Stripe: keys, paging, filters, expansion, refusals."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from addon.sandbox.clock import Clock
from addon.sandbox.stripe import StripeAccount, StripeWorld

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Reader:
    """Asks as Kvitt's platform for one account."""

    def __init__(self) -> None:
        self.world = StripeWorld(Clock(START))
        self.account: StripeAccount = self.world.add_account("Butiken")
        self.world.connect(self.account)
        self.client = self.world.app().test_client()

    def ask(self, path: str, *, key: str | None = None, account: str | None = "", **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {key or self.world.secret_key}", **headers}
        if account is not None and key is None:
            sent["Stripe-Account"] = account or self.account.id
        return self.client.get(path, headers=sent)

    def data(self, path: str) -> list[dict[str, Any]]:
        answer = self.ask(path)
        assert answer.status_code == 200, answer.text
        return list(answer.json["data"])  # type: ignore[index]

    def error(self, path: str, **options: Any) -> tuple[int, str | None, str | None]:
        answer = self.ask(path, **options)
        error = answer.json["error"]  # type: ignore[index]
        assert error["type"] == "invalid_request_error"
        return answer.status_code, error.get("code"), error.get("param")


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_pages_are_newest_first_and_ten_long(reader: Reader) -> None:
    made = [reader.account.charge(1000 + n, "sek") for n in range(25)]
    answer = reader.ask("/v1/charges").json
    assert answer is not None
    assert [item["id"] for item in answer["data"]] == made[:-11:-1]
    assert answer["has_more"] is True


@settings(max_examples=25)
@given(st.integers(1, 7), st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_paging_sees_each_row_once_also_among_rows_of_one_second(limit: int, gaps: list[int]) -> None:
    reader = Reader()
    for gap in gaps:
        reader.world.clock.advance(timedelta(seconds=gap))
        reader.account.charge(1000, "sek")
    seen: list[str] = []
    cursor = ""
    while True:
        page = reader.ask(f"/v1/balance_transactions?limit={limit}{cursor}").json
        assert page is not None
        seen += [row["id"] for row in page["data"]]
        # A row made between two page calls is newer than the cursor and shifts nothing.
        reader.account.stripe_fee(1)
        if not page["has_more"]:
            break
        cursor = f"&starting_after={page['data'][-1]['id']}"
    assert len(seen) == len(set(seen)) == len(gaps)
    oldest = seen[-1]
    back = reader.ask(f"/v1/balance_transactions?limit=100&ending_before={oldest}").json
    assert back is not None
    assert [row["id"] for row in back["data"]][-len(seen) + 1 :] == seen[:-1] or len(seen) == 1


def test_refusals_have_stripes_shape(reader: Reader) -> None:
    reader.account.charge(1000, "sek")
    assert reader.error("/v1/charges?limit=101") == (400, "parameter_invalid_integer", "limit")
    assert reader.error("/v1/charges?limit=0") == (400, "parameter_invalid_integer", "limit")
    assert reader.error("/v1/charges?colour=red") == (400, "parameter_unknown", "colour")
    assert reader.error("/v1/charges?starting_after=ch_none") == (400, "resource_missing", "starting_after")
    assert reader.error("/v1/charges?created[gte]=soon") == (400, "parameter_invalid_integer", "created[gte]")
    assert reader.error("/v1/charges?created[from]=1") == (400, "parameter_unknown", "created[from]")
    assert reader.error("/v1/charges/ch_none") == (404, "resource_missing", "id")
    assert reader.error("/v1/balance_transactions?payout=po_none") == (400, "resource_missing", "payout")
    assert reader.error("/v1/charges?expand[]=data.owner") == (400, None, "expand")
    assert reader.error("/v1/charges?expand[]=customer") == (400, None, "expand")
    deep = "data.source.charge.payment_intent.latest_charge"
    assert reader.error(f"/v1/balance_transactions?expand[]={deep}")[0] == 400
    assert reader.error("/v1/nothing")[0] == 404


def test_keys_open_what_they_may(reader: Reader) -> None:
    assert reader.client.get("/v1/balance").status_code == 401
    assert reader.error("/v1/balance", key="sk_live_wrong")[0] == 401
    other = reader.world.add_account("Other")
    assert reader.error("/v1/balance", account=other.id) == (403, "account_invalid", None)
    assert reader.ask("/v1/account", account=None).json["id"] == reader.world.platform.id  # type: ignore[index]
    assert reader.ask("/v1/account").json["id"] == reader.account.id  # type: ignore[index]
    own = reader.ask("/v1/account", key=other.secret_key)
    assert own.json["id"] == other.id  # type: ignore[index]
    basic = reader.client.get("/v1/account", auth=(other.secret_key, ""))
    assert basic.json["id"] == other.id  # type: ignore[index]
    reader.world.disconnect(reader.account)
    assert reader.error("/v1/balance") == (403, "account_invalid", None)


def test_restricted_keys_need_their_permissions(reader: Reader) -> None:
    key = reader.account.issue_restricted_key(["balance_read", "charge_read"])
    charge = reader.account.charge(1000, "sek")
    assert reader.ask("/v1/charges", key=key).status_code == 200
    assert reader.ask("/v1/balance_transactions", key=key).status_code == 200
    assert reader.ask("/v1/payouts", key=key).status_code == 403
    refused = reader.ask("/v1/balance_transactions?expand[]=data.source", key=key)
    assert refused.status_code == 403
    assert "rak_balance_transaction_source_read" in refused.text
    assert charge not in refused.text
    assert key not in refused.text
    reader.account.revoke_restricted_key(key)
    assert reader.ask("/v1/charges", key=key).status_code == 401


def test_filters_of_balance_transactions(reader: Reader) -> None:
    account, clock = reader.account, reader.world.clock
    swedish = account.charge(100000, "sek")
    account.charge(2000, "eur")
    early = int(clock.now().timestamp())
    clock.advance(timedelta(days=3))
    account.catch_up()
    account.stripe_fee(100)
    path = "/v1/balance_transactions?limit=100&"
    assert {row["currency"] for row in reader.data(f"{path}currency=eur")} == {"eur"}
    assert [row["source"] for row in reader.data(f"{path}type=charge&currency=sek")] == [swedish]
    assert len(reader.data(f"{path}source={swedish}")) == 1
    assert len(reader.data(f"{path}created[lte]={early}")) == 2
    assert len(reader.data(f"{path}created[gt]={early}")) == 3
    assert len(reader.data(f"{path}created={early}")) == 2
    payout = next(payout for payout in account.payouts if payout.currency == "sek")
    rows = reader.data(f"{path}payout={payout.id}")
    assert [row["type"] for row in rows] == ["payout", "charge"]
    assert sum(row["net"] for row in rows) == 0
    assert len(reader.data("/v1/payouts?status=pending")) == 0
    assert len(reader.data(f"/v1/payouts?arrival_date[gte]={payout.arrival_date}")) == 2
    assert len(reader.data(f"/v1/payouts?arrival_date[lt]={payout.arrival_date}")) == 0


def test_manual_payouts_cannot_be_itemised(reader: Reader) -> None:
    reader.account.topup(100000)
    payout = reader.account.manual_payout(1000)
    assert reader.error(f"/v1/balance_transactions?payout={payout}") == (400, None, "payout")


def test_lists_can_be_asked_by_what_they_belong_to(reader: Reader) -> None:
    account = reader.account
    first, second = account.charge(1000, "sek", intent_metadata={"edited": "yes"}), account.charge(2000, "sek")
    refund = account.refund(first, 400)
    dispute = account.dispute(second)
    intent = account.get_charge(first).payment_intent
    account.checkout_session(first, client_reference_id="A-1")
    invoice = account.pay_invoice(second)
    assert [item["id"] for item in reader.data(f"/v1/refunds?charge={first}")] == [refund]
    assert [item["id"] for item in reader.data(f"/v1/charges?payment_intent={intent}")] == [first]
    assert [item["id"] for item in reader.data(f"/v1/disputes?charge={second}")] == [dispute]
    assert reader.data(f"/v1/disputes?charge={first}") == []
    (session,) = reader.data(f"/v1/checkout/sessions?payment_intent={intent}")
    assert session["client_reference_id"] == "A-1"
    assert reader.data("/v1/checkout/sessions?payment_intent=pi_none") == []
    paid = account.get_charge(second).payment_intent
    query = f"payment[type]=payment_intent&payment[payment_intent]={paid}"
    assert [item["invoice"] for item in reader.data(f"/v1/invoice_payments?{query}")] == [invoice]
    assert [item["id"] for item in reader.data("/v1/payment_intents?limit=1")] == [paid]
    assert [item["id"] for item in reader.data(f"/v1/payment_intents?starting_after={paid}")] == [intent]
    single = reader.ask(f"/v1/payment_intents/{intent}?expand[]=latest_charge").json
    assert single is not None
    assert single["latest_charge"]["id"] == first
    assert single["metadata"] == {"edited": "yes"} != single["latest_charge"]["metadata"]
    charge = reader.ask(f"/v1/charges/{first}?expand[0]=refunds&expand[1]=balance_transaction").json
    assert charge is not None
    assert [item["id"] for item in charge["refunds"]["data"]] == [refund]
    assert charge["balance_transaction"]["object"] == "balance_transaction"


def test_events_are_kept_for_thirty_days(reader: Reader) -> None:
    reader.account.charge(1000, "sek")
    assert {event["type"] for event in reader.data("/v1/events")} == {"charge.succeeded", "payment_intent.succeeded"}
    assert len(reader.data("/v1/events?type=charge.*")) == 1
    assert len(reader.data("/v1/events?types[]=charge.succeeded&types[]=payout.paid")) == 1
    reader.world.clock.advance(timedelta(days=31))
    assert reader.data("/v1/events") == []


def test_older_versions_name_the_invoice_on_the_charge(reader: Reader) -> None:
    charge = reader.account.charge(1000, "sek")
    invoice = reader.account.pay_invoice(charge)
    old = reader.ask(f"/v1/charges/{charge}", **{"Stripe-Version": "2024-09-30.acacia"})
    assert old.json["invoice"] == invoice  # type: ignore[index]
    assert old.headers["Stripe-Version"] == "2024-09-30.acacia"
    assert old.headers["Request-Id"].startswith("req_")
    assert "invoice" not in reader.ask(f"/v1/charges/{charge}").json  # type: ignore[operator]


def test_webhook_endpoints_are_made_once_per_idempotency_key(reader: Reader) -> None:
    headers = {"Authorization": f"Bearer {reader.world.secret_key}", "Idempotency-Key": "k-1"}
    form = {"url": "https://kvitt.example/hook", "enabled_events[]": "payout.paid", "connect": "true"}
    first = reader.client.post("/v1/webhook_endpoints", data=form, headers=headers)
    again = reader.client.post("/v1/webhook_endpoints", data=form, headers=headers)
    assert first.json == again.json
    assert first.json["secret"].startswith("whsec_")  # type: ignore[index]
    changed = reader.client.post("/v1/webhook_endpoints", data={**form, "url": "https://x.example"}, headers=headers)
    assert changed.status_code == 400
    assert changed.json["error"]["type"] == "idempotency_error"  # type: ignore[index]
    endpoint = first.json["id"]  # type: ignore[index]
    listed = reader.client.get("/v1/webhook_endpoints", headers=headers).json
    assert listed is not None
    assert [item["id"] for item in listed["data"]] == [endpoint]
    assert "secret" not in listed["data"][0]
    missing = reader.client.post(
        "/v1/webhook_endpoints", data={"url": "https://x.example"}, headers={**headers, "Idempotency-Key": "k-2"}
    )
    assert missing.status_code == 400
    gone = reader.client.delete(f"/v1/webhook_endpoints/{endpoint}", headers=headers)
    assert gone.json["deleted"] is True  # type: ignore[index]
    assert reader.client.get(f"/v1/webhook_endpoints/{endpoint}", headers=headers).status_code == 404


def test_calls_are_counted_and_test_mode_says_so(reader: Reader) -> None:
    reader.ask("/v1/balance")
    reader.ask("/v1/charges?limit=3")
    assert reader.world.count_calls() == 2
    assert reader.world.count_calls(r"GET /v1/charges$") == 1
    assert reader.world.calls[-1].account == reader.account.id
    twin = reader.world.add_account("Twin", livemode=False)
    reader.world.connect(twin)
    twin.charge(1000, "sek")
    (charge,) = reader.ask("/v1/charges", account=twin.id).json["data"]  # type: ignore[index]
    assert charge["livemode"] is False
    assert twin.secret_key.startswith("sk_test_")
