"""Stripe, simulated: accounts with ledgers and payouts, the API, Connect and Stripe Apps OAuth, webhooks."""

from addon.sandbox.stripe.account import NotPossible, StripeAccount
from addon.sandbox.stripe.faults import ConnectionLost, Fault, Faults
from addon.sandbox.stripe.model import FeeRules, TaxLine
from addon.sandbox.stripe.webhooks import WebhookSwitches
from addon.sandbox.stripe.world import StripeWorld

__all__ = [
    "ConnectionLost",
    "Fault",
    "Faults",
    "FeeRules",
    "NotPossible",
    "StripeAccount",
    "StripeWorld",
    "TaxLine",
    "WebhookSwitches",
]
