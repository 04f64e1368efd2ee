"""PayPal as a payment source: two ways in, its reports read in windows, its webhooks checked."""

from addon.connectors.paypal.access import FEATURES, NEEDED_SCOPES, Credentials, PayPalPlatform, assertion
from addon.connectors.paypal.client import PayPalApi
from addon.connectors.paypal.oauth import AppAuthorisation, PartnerAuthorisation
from addon.connectors.paypal.source import CAPABILITIES, PayPalSource
from addon.connectors.paypal.translate import ORDER_PLACES
from addon.connectors.paypal.webhooks import (
    CONSENT_REVOKED,
    EVENTS,
    BadSignature,
    Certificates,
    PayPalEvent,
    read_event,
)

__all__ = [
    "CAPABILITIES",
    "CONSENT_REVOKED",
    "EVENTS",
    "FEATURES",
    "NEEDED_SCOPES",
    "ORDER_PLACES",
    "AppAuthorisation",
    "BadSignature",
    "Certificates",
    "Credentials",
    "PartnerAuthorisation",
    "PayPalApi",
    "PayPalEvent",
    "PayPalPlatform",
    "PayPalSource",
    "assertion",
    "read_event",
]
