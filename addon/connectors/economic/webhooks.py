"""What e-conomic tells unasked. It signs nothing: a call is a nudge to look, and never data.

What protects the address is that nobody can guess it: a path made from our secret and the agreement's number.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

EVENTS = ("INVOICE_BOOKED",)
"""What a company that matches payments to invoices wants to hear of."""


def nudge_path(secret: bytes, agreement: str) -> str:
    """The last part of an agreement's webhook address: cannot be guessed, and says nothing."""
    return hmac.new(secret, f"economic/{agreement}".encode(), hashlib.sha256).hexdigest()[:40]


def webhook_bodies(url: str) -> tuple[dict[str, Any], ...]:
    """What to register with the webhooks service, one body for each event; nothing of theirs is put into the call."""
    return tuple(
        {"eventType": event, "name": "Kvitt", "url": url, "contentType": "application/json", "postData": "{}"}
        for event in EVENTS
    )
