"""Webhooks of the simulated Stripe: signatures, who is told, and everything that goes wrong on the way."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from flask import Flask, request

from addon.sandbox.clock import Clock
from addon.sandbox.serving import serve_threaded
from addon.sandbox.stripe import StripeAccount, StripeWorld
from addon.sandbox.stripe.webhooks import post, signature
from tests.contracts import load_contract

HOOK = "http://127.0.0.1:1/webhooks/stripe"


class Mailbox:
    """Stands where Kvitt's address would; answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], bytes]] = []

    def __call__(self, url: str, headers: dict[str, str], body: bytes) -> int:
        assert url == HOOK
        self.received.append((headers, body))
        return self.status

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _headers, body in self.received]


@pytest.fixture
def world() -> StripeWorld:
    world = StripeWorld(Clock(datetime.now(UTC)))
    world.register_platform_webhook(HOOK)
    return world


@pytest.fixture
def mailbox(world: StripeWorld) -> Mailbox:
    mailbox = Mailbox()
    world.courier.sender = mailbox
    return mailbox


@pytest.fixture
def account(world: StripeWorld) -> StripeAccount:
    account = world.add_account("Butiken")
    world.connect(account)
    return account


def test_signatures_are_those_of_stripes_own_library() -> None:
    vectors = load_contract("stripe", "examples", "webhook_signature_vectors.json")["vectors"]
    for vector in vectors:
        ours = signature(vector["secret"], vector["timestamp"], vector["body"].encode())
        if vector["valid"]:
            assert f"v1={ours}" in vector["header"]


def test_events_arrive_signed_and_name_the_account(
    world: StripeWorld, account: StripeAccount, mailbox: Mailbox
) -> None:
    account.charge(1000, "sek")
    delivered = world.deliver_webhooks()
    assert [item.status for item in delivered] == [200, 200]
    headers, body = mailbox.received[1]
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], world.webhook_secret)  # type: ignore[no-untyped-call]
    assert event.type == "charge.succeeded"
    assert event.account == account.id
    assert event.data.object["amount"] == 1000
    assert world.deliver_webhooks() == []


def test_only_connected_accounts_are_told_of(world: StripeWorld, mailbox: Mailbox) -> None:
    stranger = world.add_account("Stranger")
    stranger.charge(1000, "sek")
    assert world.deliver_webhooks() == []
    world.connect(stranger)
    stranger.charge(1000, "sek")
    world.disconnect(stranger)
    stranger.charge(1000, "sek")
    world.deliver_webhooks()
    assert mailbox.types()[-1] == "account.application.deauthorized"
    assert len(mailbox.received) == 3


def test_a_merchants_own_endpoint_is_told_without_the_account(world: StripeWorld, mailbox: Mailbox) -> None:
    merchant = world.add_account("Merchant")
    key = merchant.issue_restricted_key(["webhook_write"])
    answer = (
        world.app()
        .test_client()
        .post(
            "/v1/webhook_endpoints",
            data={"url": HOOK, "enabled_events[]": "charge.refunded"},
            headers={"Authorization": f"Bearer {key}"},
        )
    )
    assert answer.json is not None
    merchant.refund(merchant.charge(1000, "sek"))
    world.deliver_webhooks()
    ((headers, body),) = mailbox.received
    assert "account" not in json.loads(body)
    stripe.Webhook.construct_event(body, headers["Stripe-Signature"], answer.json["secret"])  # type: ignore[no-untyped-call]


def test_the_payload_shows_the_object_as_it_was(world: StripeWorld, account: StripeAccount, mailbox: Mailbox) -> None:
    account.topup(10_000)
    world.clock.advance(timedelta(days=1))
    account.catch_up()
    world.clock.advance(timedelta(days=7))
    account.catch_up()
    world.deliver_webhooks()
    told = [json.loads(body) for _headers, body in mailbox.received]
    statuses = {
        event["type"]: event["data"]["object"]["status"] for event in told if event["type"].startswith("payout")
    }
    assert statuses["payout.created"] == "pending"
    assert statuses["payout.paid"] == "paid"


def test_duplicates_drops_and_wrong_signatures(world: StripeWorld, account: StripeAccount, mailbox: Mailbox) -> None:
    world.webhook_switches.duplicates = 1
    account.stripe_fee(1)
    account.charge(1000, "sek")
    world.deliver_webhooks()
    assert sorted(mailbox.types()) == ["charge.succeeded"] * 2 + ["payment_intent.succeeded"] * 2
    assert len({json.loads(body)["id"] for _headers, body in mailbox.received}) == 2
    world.webhook_switches.duplicates = 0
    world.webhook_switches.drop = 1
    account.charge(1000, "sek")
    world.deliver_webhooks()
    assert len(mailbox.received) == 5
    world.webhook_switches.wrong_signature = True
    account.charge(1000, "sek")
    world.deliver_webhooks()
    headers, body = mailbox.received[-1]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], world.webhook_secret)  # type: ignore[no-untyped-call]


def test_reordering_and_pausing(world: StripeWorld, account: StripeAccount, mailbox: Mailbox) -> None:
    world.webhook_switches.paused = True
    for _ in range(10):
        account.charge(1000, "sek")
    assert world.deliver_webhooks() == []
    world.webhook_switches.paused = False
    world.webhook_switches.reorder = True
    world.deliver_webhooks()
    ids = [json.loads(body)["id"] for _headers, body in mailbox.received]
    assert len(ids) == 20
    assert ids != [event.id for event in account.events]


def test_refused_deliveries_are_tried_again_three_times_in_all(
    world: StripeWorld, account: StripeAccount, mailbox: Mailbox
) -> None:
    mailbox.status = 500
    account.refund(account.charge(1000, "sek"))
    for _ in range(5):
        world.deliver_webhooks()
    assert len(mailbox.received) == 3 * 4
    assert world.courier.waiting == 0
    assert max(item.attempt for item in world.courier.log) == 3


@pytest.fixture
def listening() -> Iterator[tuple[str, list[bytes]]]:
    app, bodies = Flask(__name__), list[bytes]()

    @app.post("/hook")
    def hook() -> str:
        bodies.append(request.get_data())
        return "ok"

    server = serve_threaded(app, 0)
    yield f"http://127.0.0.1:{server.port}/hook", bodies
    server.shutdown()


def test_the_background_courier_delivers_over_http(listening: tuple[str, list[bytes]]) -> None:
    url, bodies = listening
    world = StripeWorld(Clock())
    world.register_platform_webhook(url, enabled_events=["charge.succeeded"])
    account = world.add_account("Butiken")
    world.connect(account)
    world.courier.start()
    try:
        account.charge(1000, "sek")
        deadline = time.monotonic() + 60
        while not bodies and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        world.courier.stop()
    assert [json.loads(body)["type"] for body in bodies] == ["charge.succeeded"]


def test_nobody_else_is_bothered() -> None:
    with pytest.raises(ValueError, match="this machine only"):
        post("http://kvitt.example/webhooks/stripe", {}, b"{}")
