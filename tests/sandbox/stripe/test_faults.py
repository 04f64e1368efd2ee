"""The simulated Stripe fails on demand, and works with Stripe's own library when it does not."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from addon.sandbox.clock import Clock
from addon.sandbox.serving import serve_threaded
from addon.sandbox.stripe import ConnectionLost, Fault, StripeAccount, StripeWorld
from addon.sandbox.stripe.control import ACTIONS

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def world() -> StripeWorld:
    return StripeWorld(Clock(START))


@pytest.fixture
def account(world: StripeWorld) -> StripeAccount:
    account = world.add_account("Butiken")
    world.connect(account)
    account.charge(1000, "sek")
    return account


@pytest.fixture
def url(world: StripeWorld) -> Iterator[str]:
    server = serve_threaded(world.app(), 0)
    yield f"http://127.0.0.1:{server.port}"
    world.faults.clear()
    server.shutdown()


def keys(world: StripeWorld, account: StripeAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.secret_key}", "Stripe-Account": account.id}


def test_faults_strike_so_often_and_not_before(world: StripeWorld, account: StripeAccount) -> None:
    client = world.app().test_client()
    world.faults.add(Fault("error_500", r"GET /v1/balance$", times=2, after=1))
    statuses = [client.get("/v1/balance", headers=keys(world, account)).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    assert client.get("/v1/account", headers=keys(world, account)).status_code == 200
    assert world.faults.struck == [("error_500", "GET /v1/balance")] * 2


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("error_500", 500, "application/json"),
        ("html_500", 502, "text/html"),
        ("rate_limited", 429, "application/json"),
        ("revoked", 401, "application/json"),
    ],
)
def test_answers_that_are_failures(
    world: StripeWorld, account: StripeAccount, kind: Any, status: int, content_type: str
) -> None:
    world.faults.add(Fault(kind))
    answer = world.app().test_client().get("/v1/charges", headers=keys(world, account))
    assert (answer.status_code, answer.mimetype) == (status, content_type)
    assert world.count_calls() == 0


def test_a_broken_answer_and_lost_connections(world: StripeWorld, account: StripeAccount, url: str) -> None:
    headers = keys(world, account)
    world.faults.add(Fault("truncated_json"))
    cut = httpx.get(f"{url}/v1/charges", headers=headers)
    assert cut.status_code == 200
    with pytest.raises(ValueError):
        cut.json()
    world.faults.add(Fault("lost_before", "/v1/webhook_endpoints"))
    form = {"url": "http://127.0.0.1:1/", "enabled_events[]": "*"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{url}/v1/webhook_endpoints", data=form, headers=headers)
    assert len(world.endpoints) == 0
    world.faults.add(Fault("lost_after", "/v1/webhook_endpoints"))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{url}/v1/webhook_endpoints", data=form, headers=headers)
    assert len(world.endpoints) == 1, "lost on the way back: it happened"


def test_silence_and_slowness_end_when_the_faults_are_cleared(
    world: StripeWorld, account: StripeAccount, url: str
) -> None:
    world.faults.add(Fault("timeout", seconds=30))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/v1/balance", headers=keys(world, account), timeout=0.2)
    world.faults.clear()
    world.faults.add(Fault("slow", seconds=0.2))
    started = time.monotonic()
    assert httpx.get(f"{url}/v1/balance", headers=keys(world, account)).status_code == 200
    assert time.monotonic() - started >= 0.2


def test_in_process_a_lost_connection_is_raised(world: StripeWorld, account: StripeAccount) -> None:
    world.faults.add(Fault("lost_after"))
    with pytest.raises(ConnectionLost):
        world.app().test_client().get("/v1/balance", headers=keys(world, account))
    with pytest.raises(ValueError):
        world.faults.add(Fault("earthquake"))  # type: ignore[arg-type]


def test_stripes_own_library_reads_the_whole_account(world: StripeWorld, account: StripeAccount, url: str) -> None:
    for number in range(230):
        account.charge(1000 + number, "eur" if number % 3 else "sek")
    client = stripe.StripeClient(
        world.secret_key,
        stripe_account=account.id,
        client_id=world.client_id,
        base_addresses={"api": url, "connect": url},
        http_client=stripe.HTTPXClient(allow_sync_methods=True),
        max_network_retries=0,
    )
    rows = client.v1.balance_transactions.list({"limit": 100, "expand": ["data.source.payment_intent"]})
    listed = list(rows.auto_paging_iter())
    assert len(listed) == 231
    assert sum(row.net for row in listed if row.currency == "eur") == account.balance("eur")
    assert client.v1.accounts.retrieve_current().id == account.id
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.charges.retrieve("ch_none")
    with pytest.raises(stripe.AuthenticationError):
        stripe.StripeClient("sk_live_no", base_addresses={"api": url}).v1.balance.retrieve()
    world.faults.add(Fault("rate_limited"))
    with pytest.raises(stripe.RateLimitError):
        client.v1.balance.retrieve()
    client.oauth.deauthorize({"stripe_user_id": account.id})
    with pytest.raises(stripe.PermissionError):
        client.v1.balance.retrieve()


def test_everything_can_be_steered_from_another_process(world: StripeWorld, account: StripeAccount) -> None:
    control = world.control_app().test_client()
    (listed,) = control.get("/accounts").json or []
    assert listed["id"] == account.id
    for action in ACTIONS:
        assert callable(getattr(account, action))
    made = control.post("/accounts/Butiken/charge", json={"amount": 5000, "currency": "jpy", "country": "JP"}).json
    assert made is not None
    sale = {"charge_id": made["result"], "at": "2026-11-03T10:00:00+00:00"}
    assert control.post("/accounts/Butiken/refund", json=sale).status_code == 200
    assert len(account.refunds) == 1
    assert control.post("/accounts/Butiken/refund", json=sale).status_code == 400
    assert control.post("/accounts/Butiken/charge", json={"colour": "red"}).status_code == 400
    assert control.post("/accounts/Butiken/explode", json={}).status_code == 404
    assert control.post("/accounts/Nobody/charge", json={}).status_code == 400
    switched = control.post("/accounts/Butiken/switches", json={"payout_leaves_balance": "paid"}).json
    assert switched is not None
    assert account.payout_leaves_balance == "paid"
    assert control.post("/accounts/Butiken/switches", json={"clock": 1}).status_code == 400
    assert control.post("/faults", json={"kind": "html_500", "match": "/v1/"}).status_code == 201
    assert world.app().test_client().get("/v1/balance").status_code == 502
    assert (control.get("/faults").json or {})["struck"] == [["html_500", "GET /v1/balance"]]
    control.delete("/faults")
    control.post("/webhooks/switches", json={"duplicates": 2})
    assert world.webhook_switches.duplicates == 2
    assert (control.get("/webhooks").json or {})["waiting"] == 0
    world.app().test_client().get("/v1/balance")
    assert (control.get("/calls?match=balance&last=5").json or {})["count"] == 1
    assert (control.get("/accounts/Butiken").json or {})["counts"]["refunds"] == 1
    assert control.post("/accounts/Butiken/disconnect").json == {"result": True}
