"""Fortnox: an accounting system.

`client` speaks HTTP, `translate` turns its words into ours and back, `accounting` makes the steps, `oauth` keeps the
consent, `webhooks` reads what Fortnox tells unasked, `sie` reads a ledger file.
"""

from addon.connectors.fortnox.accounting import CAPABILITIES, PREREQUISITES, SCOPES, FortnoxAccounting
from addon.connectors.fortnox.client import FortnoxClient, LicenceMissing, RightMissing, ScopeMissing
from addon.connectors.fortnox.oauth import FortnoxAuthorisation
from addon.connectors.fortnox.webhooks import ConsentChange, ConsentNews, read_webhook

__all__ = [
    "CAPABILITIES",
    "PREREQUISITES",
    "SCOPES",
    "ConsentChange",
    "ConsentNews",
    "FortnoxAccounting",
    "FortnoxAuthorisation",
    "FortnoxClient",
    "LicenceMissing",
    "RightMissing",
    "ScopeMissing",
    "read_webhook",
]
