"""The two ways into a company's PayPal account, and what each needs.

Connect: the company consented to our partner app (Partner Referrals); we call with a token of our own and name the
merchant in the header `PayPal-Auth-Assertion`. Key: the company made a REST app in PayPal's developer dashboard and
gave us its client id and secret; that always works. "Log in with PayPal" is no way: it tells who somebody is and opens
no report. Neither way needs, or asks for, the right to move money.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Final

API_URL: Final = "https://api-m.paypal.com"
WEB_URL: Final = "https://www.paypal.com"

REPORTING: Final = "https://uri.paypal.com/services/reporting/search/read"
BALANCES: Final = "https://uri.paypal.com/services/reporting/balances/read"
NEEDED_SCOPES: Final = (REPORTING, BALANCES)
"""What a token must open. Both come with one box in PayPal's dashboard, "Transaction search"."""

FEATURES: Final = ("ADVANCED_TRANSACTIONS_SEARCH", "ACCESS_MERCHANT_INFORMATION", "READ_SELLER_DISPUTE")
"""What a merchant is asked to grant to the partner; nothing that moves money or writes."""

TEST_APP: Final = "APP-80W284485P519543T"
"""The application id that every app of PayPal's own test environment shares; its data never enters."""

_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z_-]{20,120}")
_SECRET: Final = re.compile(r"[0-9A-Za-z_-]{20,120}")


@dataclass(frozen=True, slots=True)
class PayPalPlatform:
    """Who we are at PayPal: the partner app's id and secret, and where PayPal is."""

    client_id: str
    client_secret: str = field(repr=False)
    api_url: str = API_URL


@dataclass(frozen=True, slots=True)
class Credentials:
    """Client id and secret of a REST app."""

    client_id: str
    secret: str = field(repr=False)

    def packed(self) -> str:
        """Both in one text, to be kept sealed; neither can hold a colon."""
        return f"{self.client_id}:{self.secret}"

    @classmethod
    def unpacked(cls, text: str) -> Credentials:
        """From `packed`; what does not hold both gives empty ones."""
        client_id, _, secret = text.partition(":")
        return cls(client_id.strip(), secret.strip())


def refuse_by_their_looks(credentials: Credentials) -> tuple[str, str] | None:
    """Why pasted credentials cannot be right, as a code and a sentence; None if they may be."""
    if not _CLIENT_ID.fullmatch(credentials.client_id):
        return "client_id_unreadable", "This is no client id: it is a long word of letters, digits, - and _."
    if not _SECRET.fullmatch(credentials.secret):
        return "secret_unreadable", "This is no secret: it is a long word of letters, digits, - and _."
    if credentials.client_id == credentials.secret:
        return "secret_is_client_id", "The same word stands in both fields: the secret is the second one, behind Show."
    return None


def assertion(client_id: str, merchant: str) -> str:
    """The header by which a partner names the merchant it acts for: an unsigned JWT, as PayPal describes it."""
    parts = ({"alg": "none"}, {"iss": client_id, "payer_id": merchant})
    written = (base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).decode() for part in parts)
    return ".".join([*(text.rstrip("=") for text in written), ""])
