"""What PayPal tells us unasked: that something happened, never what.

The signature is RSA with SHA-256 over `transmission id|time|webhook id|CRC-32 of the body`, by the key of a certificate
whose address comes with the message. So the address decides whether the signature means anything: it must be PayPal's.
Who answers there is shown by TLS, whose chain our HTTP client checks; the certificate adds the key, and how long it is
good.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from addon.connectors.http import HttpClient
from addon.core.dates import aware
from addon.ports.errors import BadReply, PortError

TOLERANCE_S: Final = 3 * 86_400
"""PayPal tries for three days, and signs each attempt with the time of the first."""
LARGEST_BODY: Final = 1_000_000
ALGORITHM: Final = "SHA256withRSA"
CONSENT_REVOKED: Final = "MERCHANT.PARTNER-CONSENT.REVOKED"

EVENTS: Final[tuple[str, ...]] = (
    "PAYMENT.CAPTURE.COMPLETED",
    "PAYMENT.CAPTURE.REFUNDED",
    "PAYMENT.CAPTURE.REVERSED",
    "CUSTOMER.DISPUTE.CREATED",
    "CUSTOMER.DISPUTE.UPDATED",
    "CUSTOMER.DISPUTE.RESOLVED",
    "INVOICING.INVOICE.PAID",
    CONSENT_REVOKED,
)
"""What our webhook at PayPal subscribes to."""

_WORD: Final = re.compile(r"[0-9A-Za-z_.-]{1,120}")
_MOST_KEPT: Final = 20
_LARGEST_CERTIFICATE: Final = 100_000


class BadSignature(BadReply):
    """The message is not from PayPal, or has been changed on its way."""


@dataclass(frozen=True, slots=True)
class PayPalEvent:
    """That an event happened; `account` is the merchant it concerns, empty where it does not say."""

    ref: str
    type: str
    account: str


class Certificates:
    """PayPal's certificates by their addresses, fetched once each. Safe to share between threads.

    `trusted` are the hosts they may come from besides paypal.com's own, with their port: a test world's.
    """

    def __init__(self, http: HttpClient, trusted: frozenset[str] = frozenset()) -> None:
        self._http = http
        self._trusted = trusted
        self._kept: dict[str, x509.Certificate] = {}
        self._lock = threading.Lock()

    def get(self, address: str, now: datetime) -> rsa.RSAPublicKey:
        """The public key behind an address. Raises `BadSignature` for one that is not PayPal's."""
        if not self._is_theirs(address):
            raise BadSignature("the certificate is not at PayPal's own address")
        with self._lock:
            certificate = self._kept.get(address)
        if certificate is None:
            certificate = self._fetch(address)
            with self._lock:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[address] = certificate
        if not certificate.not_valid_before_utc <= aware(now) <= certificate.not_valid_after_utc:
            raise BadSignature("the certificate is not valid now")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise BadSignature("the certificate holds another kind of key")
        return key

    def _is_theirs(self, address: str) -> bool:
        if len(address) > 500 or not address.isprintable() or not address.isascii():
            return False
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.query or parts.fragment or "\\" in address:
            return False
        if f"{parts.scheme}://{parts.netloc}" in self._trusted:
            return True
        return (
            parts.scheme == "https" and port in (None, 443) and (host == "paypal.com" or host.endswith(".paypal.com"))
        )

    def _fetch(self, address: str) -> x509.Certificate:
        try:
            reply = self._http.request("GET", address, limit_bytes=_LARGEST_CERTIFICATE)
        except PortError as error:
            raise BadSignature("PayPal's certificate could not be read") from error
        if reply.status != 200:
            raise BadSignature("PayPal's certificate is not there")
        try:
            return x509.load_pem_x509_certificate(reply.body)
        except ValueError as error:
            raise BadSignature("PayPal's certificate cannot be read") from error


def read_event(
    body: bytes,
    headers: Mapping[str, str],
    webhook_id: str,
    key_of: Callable[[str, datetime], rsa.RSAPublicKey],
    now: datetime,
) -> PayPalEvent:
    """Check a webhook and say which event it is. Raises `BadSignature`, and `BadReply` for what is no event."""
    told = {name.lower(): value for name, value in headers.items()}
    _verify(body, told, webhook_id, key_of, now)
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadReply("PayPal signed a message that is not JSON") from error
    if not isinstance(event, Mapping):
        raise BadReply("PayPal signed a message that is no event")
    ref, type_ = event.get("id"), event.get("event_type")
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (ref, type_)):
        raise BadReply("PayPal signed an event that does not say what it is")
    return PayPalEvent(str(ref), str(type_), _merchant(event.get("resource")))


def _verify(
    body: bytes,
    told: Mapping[str, str],
    webhook_id: str,
    key_of: Callable[[str, datetime], rsa.RSAPublicKey],
    now: datetime,
) -> None:
    if len(body) > LARGEST_BODY:
        raise BadSignature("the message is larger than PayPal's ever are")
    names = ("transmission-id", "transmission-time", "transmission-sig", "cert-url", "auth-algo")
    ref, time, signature, address, algorithm = (told.get(f"paypal-{name}", "")[:1000] for name in names)
    if not webhook_id or not all((ref, time, signature, address)) or algorithm != ALGORITHM:
        raise BadSignature("the message carries no signature that can be read")
    try:
        sent_at = datetime.fromisoformat(time)
        given = base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise BadSignature("the message carries no signature that can be read") from error
    if sent_at.tzinfo is None or abs((aware(now) - sent_at).total_seconds()) > TOLERANCE_S:
        raise BadSignature("the message is older, or newer, than it may be")
    text = f"{ref}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()
    try:
        key_of(address, now).verify(given, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise BadSignature("the signature is not that of the message") from error


def _merchant(resource: Any) -> str:
    """Whose event it is: a payment's payee, a dispute's seller, or who took a consent back."""
    if not isinstance(resource, Mapping):
        return ""
    disputed = resource.get("disputed_transactions")
    first = disputed[0] if isinstance(disputed, list) and disputed else None
    holders = (
        resource,
        resource.get("payee"),
        first.get("seller") if isinstance(first, Mapping) else None,
    )
    for holder in holders:
        found = holder.get("merchant_id") if isinstance(holder, Mapping) else None
        if isinstance(found, str) and _WORD.fullmatch(found):
            return found
    return ""
