"""PayPal's webhooks: believed only when signed by a certificate that is PayPal's own."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from addon.connectors.http import HttpClient
from addon.connectors.paypal import CONSENT_REVOKED, EVENTS, BadSignature, Certificates, PayPalEvent, read_event
from addon.ports.errors import BadReply
from addon.sandbox.paypal.webhooks import CERTIFICATE_PATH, certificate, sign, signing_key, string_to_sign
from tests.connectors.paypal.conftest import NOW, URL, Bed
from tests.contracts import load_contract

HOOK = "8SIMWEBHOOK000001"


def key_of(address: str, now: datetime) -> rsa.RSAPublicKey:
    return signing_key().public_key()


def message(body: bytes, *, at: datetime = NOW, webhook: str = HOOK, forged: bool = False) -> dict[str, str]:
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Paypal-Transmission-Id": "b2a1c0de-1",
        "Paypal-Transmission-Time": time,
        "Paypal-Transmission-Sig": sign(string_to_sign("b2a1c0de-1", time, webhook, body), by_other=forged),
        "Paypal-Cert-Url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
        "Paypal-Auth-Algo": "SHA256withRSA",
    }


def event(**changed: object) -> bytes:
    told = {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"payee": {"merchant_id": "M2"}}}
    return json.dumps({**told, **changed}).encode()


def test_the_published_vector_is_what_is_checked() -> None:
    vector = load_contract("paypal", "examples", "webhook_signature_vector.json")["vector"]
    headers = {
        "PAYPAL-TRANSMISSION-ID": vector["transmission_id"],
        "PAYPAL-TRANSMISSION-TIME": vector["transmission_time"],
        "PAYPAL-TRANSMISSION-SIG": sign(vector["string_to_sign"].encode()),
        "PAYPAL-CERT-URL": "https://api.paypal.com/cert",
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }
    now = datetime(2026, 9, 1, 8, 1, tzinfo=UTC)
    found = read_event(vector["body"].encode(), headers, vector["webhook_id"], key_of, now)
    assert found == PayPalEvent("WH-EXAMPLE-1", "PAYMENT.CAPTURE.COMPLETED", "")


@pytest.mark.parametrize(
    ("resource", "account"),
    [
        ({"payee": {"merchant_id": "M2"}}, "M2"),
        ({"merchant_id": "M3", "tracking_id": "x"}, "M3"),
        ({"disputed_transactions": [{"seller": {"merchant_id": "M4"}}]}, "M4"),
        ({"payee": {"merchant_id": "a b"}}, ""),
        ({"disputed_transactions": []}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_whose_event_it_is(resource: object, account: str) -> None:
    body = event(resource=resource)
    assert read_event(body, message(body), HOOK, key_of, NOW).account == account


def test_what_is_not_signed_so_is_refused() -> None:
    body = event()
    good = message(body)
    assert CONSENT_REVOKED in EVENTS
    for headers in (
        {},
        message(body, forged=True),
        message(body, webhook="another"),
        message(b"{}"),
        {**good, "Paypal-Transmission-Time": "yesterday"},
        {**good, "Paypal-Transmission-Time": "2026-11-20T09:00:00"},
        {**good, "Paypal-Transmission-Sig": "%%%"},
        {**good, "Paypal-Auth-Algo": "none"},
        message(body, at=NOW - timedelta(days=4)),
        message(body, at=NOW + timedelta(days=4)),
    ):
        with pytest.raises(BadSignature):
            read_event(body, headers, HOOK, key_of, NOW)
    with pytest.raises(BadSignature):
        read_event(body, good, "", key_of, NOW)
    with pytest.raises(BadSignature, match="larger"):
        read_event(b"x" * 1_000_001, good, HOOK, key_of, NOW)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"id": 1, "event_type": "x"}', b'{"id": "a b", "event_type": "x"}'])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadReply) as refused:
        read_event(body, message(body), HOOK, key_of, NOW)
    assert not isinstance(refused.value, BadSignature)


def certificates(answers: list[bytes | int], asked: list[str], trusted: frozenset[str] = frozenset()) -> Certificates:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        told = answers.pop(0)
        return httpx.Response(told) if isinstance(told, int) else httpx.Response(200, content=told)

    return Certificates(HttpClient("paypal", transport=httpx.MockTransport(answer)), trusted)


def test_a_certificate_is_fetched_once_and_only_from_paypal() -> None:
    asked: list[str] = []
    kept = certificates([certificate(), 404, b"no certificate"], asked)
    address = "https://api.paypal.com/v1/notifications/certs/CERT-1"
    for _ in range(3):
        assert kept.get(address, NOW).public_numbers() == signing_key().public_key().public_numbers()
    assert asked == [address]
    for wrong in ("https://api.paypal.com/gone", "https://www.paypal.com/other"):
        with pytest.raises(BadSignature):
            kept.get(wrong, NOW)
    with pytest.raises(BadSignature, match="not valid now"):
        kept.get(address, datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "address",
    [
        "http://api.paypal.com/cert",
        "https://paypal.com.evil.example/cert",
        "https://evilpaypal.com/cert",
        "https://api.paypal.com@evil.example/cert",
        "https://evil.example/?x=.paypal.com",
        "https://api.paypal.com:8443/cert",
        "https://api.paypal.com:port/cert",
        "https://evil.example\\.paypal.com/cert",
        "https://api.paypal.com/cert?next=//evil.example",
        "file:///etc/passwd",
        "https://127.0.0.1/cert",
        "https://api.paypal.com/" + "x" * 600,
        "",
    ],
)
def test_a_strangers_certificate_is_not_even_fetched(address: str) -> None:
    asked: list[str] = []
    with pytest.raises(BadSignature, match="not at PayPal's own address"):
        certificates([], asked).get(address, NOW)
    assert asked == []


def test_a_world_of_ones_own_may_be_trusted_by_its_address(bed: Bed) -> None:
    trusted = Certificates(bed.http, frozenset({URL}))
    assert trusted.get(f"{URL}{CERTIFICATE_PATH}", NOW)
    with pytest.raises(BadSignature):
        trusted.get(f"{URL}/nothing", NOW)
    with pytest.raises(BadSignature):
        trusted.get(f"{URL}:81{CERTIFICATE_PATH}", NOW)
