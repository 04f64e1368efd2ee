"""What Stripe tells us unasked: that something happened, never what.

A webhook is a nudge. Its signature is checked over the bytes as they came, and only which event it is, and
whose, is read. What happened is asked of the API, whose answer has the version we pin, while an event has that
of its endpoint and may be late, repeated or out of order (docs.stripe.com/webhooks).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from addon.core.dates import aware
from addon.ports.errors import BadReply

SIGNATURE_HEADER: Final = "Stripe-Signature"
TOLERANCE_S: Final = 300
LARGEST_BODY: Final = 1_000_000

EVENTS: Final[tuple[str, ...]] = (
    "charge.succeeded",
    "charge.updated",
    "charge.captured",
    "charge.refunded",
    "charge.failed",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
    "balance.available",
    "account.application.deauthorized",
)
"""What the endpoint at Stripe subscribes to; the last one says that a company took its consent back."""

DISCONNECTED: Final = "account.application.deauthorized"

_WORD: Final = re.compile(r"[0-9A-Za-z_.]{1,255}")
_MOST_SIGNATURES: Final = 20


class BadSignature(BadReply):
    """The message is not from Stripe, too old, or has been changed on its way."""


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """That an event happened. `account` is empty for the account that owns the endpoint."""

    ref: str
    type: str
    account: str
    live: bool


def read_event(
    body: bytes,
    signature: str,
    secrets: Sequence[str],
    now: datetime,
    tolerance_s: int = TOLERANCE_S,
) -> StripeEvent:
    """Check a webhook and say which event it is.

    `signature` is the header, `secrets` those of the endpoints that may have sent it: one for our own
    account's events, one for the connected accounts', and for a while two of each when a secret is rolled.
    Raises `BadSignature`, and `BadReply` for a signed message that is no event.
    """
    _verify(body, signature, secrets, now, tolerance_s)
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadReply("Stripe signed a message that is not JSON") from error
    if not isinstance(event, dict):
        raise BadReply("Stripe signed a message that is no event")
    ref, type_, account = event.get("id"), event.get("type"), event.get("account") or ""
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (ref, type_, account or "none")):
        raise BadReply("Stripe signed an event that does not say what it is")
    return StripeEvent(str(ref), str(type_), str(account), event.get("livemode") is True)


def _verify(body: bytes, signature: str, secrets: Sequence[str], now: datetime, tolerance_s: int) -> None:
    """`t=…,v1=…[,v1=…]`: HMAC-SHA256 over `t.body`, the whole secret as key; other schemes are ignored."""
    if len(body) > LARGEST_BODY:
        raise BadSignature("the message is larger than Stripe's ever are")
    fields = [part.strip().partition("=") for part in signature[:4096].split(",")]
    stamps = [value for name, _, value in fields if name == "t"]
    given = [value.encode() for name, _, value in fields if name == "v1"][:_MOST_SIGNATURES]
    if len(stamps) != 1 or not re.fullmatch("[0-9]{1,12}", stamps[0]) or not given:
        raise BadSignature("the message carries no signature that can be read")
    stamped = stamps[0].encode() + b"." + body
    wanted = [hmac.new(secret.encode(), stamped, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    # In constant time: how long a comparison takes says nothing about what would match.
    if not any(hmac.compare_digest(one, other) for one in wanted for other in given):
        raise BadSignature("the signature is not that of the message")
    if abs(int(aware(now).timestamp()) - int(stamps[0])) > tolerance_s:
        raise BadSignature("the message is older, or newer, than it may be")
