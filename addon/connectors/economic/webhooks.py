"""What e-conomic tells unasked. It signs nothing: a call is a nudge to look, and never data.

What protects the address is that nobody can guess it: a path made from our secret and the agreement's number.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from addon.ports.errors import BadReply

EVENTS = ("INVOICE_BOOKED",)
"""What a company that matches payments to invoices wants to hear of."""


def nudge_path(secret: bytes, agreement: str) -> str:
    """The last part of an agreement's webhook address: its number, and a word that only we can make."""
    return f"{agreement}-{hmac.new(secret, f'economic/{agreement}'.encode(), hashlib.sha256).hexdigest()[:40]}"


def read_nudge(secret: bytes, path: str) -> str:
    """The agreement whose address this is. Raises `BadReply` for one that we never gave out."""
    agreement, _, _ = path.partition("-")
    if not path.isascii() or not hmac.compare_digest(path, nudge_path(secret, agreement)):
        raise BadReply("the address is none of ours")
    return agreement


def webhook_bodies(url: str) -> tuple[dict[str, Any], ...]:
    """What to register with the webhooks service, one body for each event; nothing of theirs is put into the call."""
    return tuple(
        {"eventType": event, "name": "Kvitt", "url": url, "contentType": "application/json", "postData": "{}"}
        for event in EVENTS
    )
