"""PayPal's webhooks: signed with a certificate's key over id, time, webhook and the body's CRC-32."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from addon.sandbox.stripe.webhooks import Courier, Waiting, post

ALGORITHM = "SHA256withRSA"
CERTIFICATE_PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594-sandbox"


@lru_cache(maxsize=2)
def signing_key(whose: str = "PayPal's", /) -> rsa.RSAPrivateKey:
    """The key of this process's PayPal, or somebody else's."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@lru_cache(maxsize=1)
def certificate() -> bytes:
    """The certificate that PayPal shows, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.com")])
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing_key().public_key())
        .serial_number(360)
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=3650))
        .sign(signing_key(), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def string_to_sign(transmission_id: str, time: str, webhook_id: str, body: bytes) -> bytes:
    """What is signed."""
    return f"{transmission_id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()


def sign(text: bytes, *, by_other: bool = False) -> str:
    """An RSA signature with SHA-256, in base64."""
    key = signing_key("a stranger's") if by_other else signing_key()
    return b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


class PayPalCourier(Courier):
    """Delivers as Stripe's does, with PayPal's headers; a delivery's secret is the webhook's id."""

    def __init__(self, now_seconds: Callable[[], int], seed: int = 1) -> None:
        super().__init__(now_seconds, seed, post)
        self.base_url = "https://api.paypal.com"
        self._made = 0

    def headers(self, waiting: Waiting, body: bytes) -> dict[str, str]:
        """What goes with a body: PayPal's five headers."""
        self._made += 1
        transmission = f"b2a1c0de-{self._made:04d}-11f0-9f9f-{zlib.crc32(waiting.event_id.encode()):012d}"
        at = datetime.fromtimestamp(self._now_seconds(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = string_to_sign(transmission, at, waiting.secret, body)
        return {
            "Content-Type": "application/json",
            "User-Agent": "PayPal/AUHD-1.0 (sandbox)",
            "PAYPAL-TRANSMISSION-ID": transmission,
            "PAYPAL-TRANSMISSION-TIME": at,
            "PAYPAL-TRANSMISSION-SIG": sign(text, by_other=self.switches.wrong_signature),
            "PAYPAL-CERT-URL": f"{self.base_url}{CERTIFICATE_PATH}",
            "PAYPAL-AUTH-ALGO": ALGORITHM,
        }
