"""Stripe as a payment source: three ways in, its ledger read, its consents kept, its webhooks checked."""

from addon.connectors.stripe.access import (
    NEEDED_PERMISSIONS,
    AppAccess,
    ConnectAccess,
    KeyAccess,
    StripeAccess,
)
from addon.connectors.stripe.client import StripeApi, StripePlatform, check_restricted_key
from addon.connectors.stripe.oauth import AppAuthorisation, ConnectAuthorisation
from addon.connectors.stripe.source import CAPABILITIES, StripeSource
from addon.connectors.stripe.translate import ORDER_PLACES
from addon.connectors.stripe.webhooks import EVENTS, BadSignature, StripeEvent, read_event

__all__ = [
    "CAPABILITIES",
    "EVENTS",
    "NEEDED_PERMISSIONS",
    "ORDER_PLACES",
    "AppAccess",
    "AppAuthorisation",
    "BadSignature",
    "ConnectAccess",
    "ConnectAuthorisation",
    "KeyAccess",
    "StripeAccess",
    "StripeApi",
    "StripeEvent",
    "StripePlatform",
    "StripeSource",
    "check_restricted_key",
    "read_event",
]
