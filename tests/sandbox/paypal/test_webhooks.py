"""The simulated PayPal's webhooks: who is told, and how the signature is made and checked."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from addon.sandbox.clock import Clock
from addon.sandbox.paypal import PayPalAccount, PayPalWorld
from addon.sandbox.paypal.webhooks import CERTIFICATE_PATH, string_to_sign
from tests.contracts import load_contract

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
Sent = list[tuple[str, Mapping[str, str], bytes]]


@pytest.fixture
def world() -> PayPalWorld:
    return PayPalWorld(Clock(NOW))


@pytest.fixture
def account(world: PayPalWorld) -> PayPalAccount:
    return world.add_account("Exempelbutiken AB")


@pytest.fixture
def sent(world: PayPalWorld) -> Sent:
    arrived: Sent = []

    def send(url: str, headers: dict[str, str], body: bytes) -> int:
        arrived.append((url, headers, body))
        return 200

    world.courier.sender = send
    return arrived


def names(sent: Sent) -> list[str]:
    return [json.loads(body)["event_type"] for _, _, body in sent]


def test_the_partner_hears_of_the_merchants_that_consented(
    world: PayPalWorld, account: PayPalAccount, sent: Sent
) -> None:
    world.register_partner_webhook("http://127.0.0.1/webhooks/paypal")
    account.sell(5000, "SEK")
    world.consent(account, tracking_id="7")
    sale = account.sell(6000, "SEK", order="8")
    account.refund(sale.id)
    account.win(account.dispute(account.sell(100, "SEK").id).id)
    world.revoke(account)
    world.deliver_webhooks()
    assert names(sent) == [
        "PAYMENT.CAPTURE.COMPLETED",
        "PAYMENT.CAPTURE.REFUNDED",
        "PAYMENT.CAPTURE.COMPLETED",
        "CUSTOMER.DISPUTE.CREATED",
        "CUSTOMER.DISPUTE.RESOLVED",
        "MERCHANT.PARTNER-CONSENT.REVOKED",
    ]
    first = json.loads(sent[0][2])["resource"]
    assert (first["payee"]["merchant_id"], first["invoice_id"]) == (account.id, "WC-8")


def test_the_signature_stands_up_to_the_certificate(world: PayPalWorld, account: PayPalAccount, sent: Sent) -> None:
    world.register_partner_webhook("http://127.0.0.1/webhooks/paypal")
    world.consent(account)
    account.sell(5000, "SEK")
    world.deliver_webhooks()
    ((_, headers, body),) = sent
    client = world.app().test_client()
    certificate = x509.load_pem_x509_certificate(client.get(CERTIFICATE_PATH).data)
    assert headers["PAYPAL-CERT-URL"].endswith(CERTIFICATE_PATH)
    text = string_to_sign(
        headers["PAYPAL-TRANSMISSION-ID"], headers["PAYPAL-TRANSMISSION-TIME"], world.webhook_id, body
    )
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(headers["PAYPAL-TRANSMISSION-SIG"]), text, padding.PKCS1v15(), hashes.SHA256())


def test_the_string_to_sign_is_that_of_the_vector() -> None:
    vector = load_contract("paypal", "examples", "webhook_signature_vector.json")["vector"]
    made = string_to_sign(
        vector["transmission_id"], vector["transmission_time"], vector["webhook_id"], vector["body"].encode()
    )
    assert made.decode() == vector["string_to_sign"]


@pytest.mark.parametrize("forged", [False, True])
def test_paypal_verifies_what_it_sent(world: PayPalWorld, account: PayPalAccount, sent: Sent, forged: bool) -> None:
    app = world.add_app(account)
    client = world.app().test_client()
    token = client.post(
        "/v1/oauth2/token", auth=(app.client_id, app.secret), data={"grant_type": "client_credentials"}
    ).json
    headers = {"Authorization": f"Bearer {(token or {})['access_token']}"}
    made = client.post(
        "/v1/notifications/webhooks",
        json={"url": "http://127.0.0.1/hook", "event_types": [{"name": "PAYMENT.CAPTURE.COMPLETED"}]},
        headers=headers,
    )
    webhook = (made.json or {})["id"]
    world.webhook_switches.wrong_signature = forged
    account.sell(5000, "SEK")
    world.deliver_webhooks()
    ((_, told, body),) = sent
    asked = {
        "auth_algo": told["PAYPAL-AUTH-ALGO"],
        "cert_url": told["PAYPAL-CERT-URL"],
        "transmission_id": told["PAYPAL-TRANSMISSION-ID"],
        "transmission_sig": told["PAYPAL-TRANSMISSION-SIG"],
        "transmission_time": told["PAYPAL-TRANSMISSION-TIME"],
        "webhook_id": webhook,
        "webhook_event": json.loads(body),
    }
    answer = client.post(
        "/v1/notifications/verify-webhook-signature",
        data=json.dumps(asked, ensure_ascii=False),  # Flask's own client sorts the keys of `json=`
        content_type="application/json",
        headers=headers,
    )
    assert answer.json == {"verification_status": "FAILURE" if forged else "SUCCESS"}
    listed = client.get("/v1/notifications/webhooks", headers=headers).json
    assert [one["id"] for one in (listed or {})["webhooks"]] == [webhook]
    missing = client.post("/v1/notifications/verify-webhook-signature", json={}, headers=headers)
    assert missing.status_code == 400
    assert client.delete(f"/v1/notifications/webhooks/{webhook}", headers=headers).status_code == 204
    assert client.delete(f"/v1/notifications/webhooks/{webhook}", headers=headers).status_code == 404


def test_deliveries_may_be_lost_doubled_and_late(world: PayPalWorld, account: PayPalAccount, sent: Sent) -> None:
    world.register_partner_webhook("http://127.0.0.1/webhooks/paypal")
    world.consent(account)
    world.webhook_switches.drop = 1
    account.sell(1000, "SEK")
    world.webhook_switches.duplicates = 1
    account.sell(2000, "SEK")
    world.clock.advance(timedelta(minutes=1))
    world.deliver_webhooks()
    assert names(sent) == ["PAYMENT.CAPTURE.COMPLETED"] * 2
    assert sent[0][1]["PAYPAL-TRANSMISSION-ID"] != sent[1][1]["PAYPAL-TRANSMISSION-ID"]
