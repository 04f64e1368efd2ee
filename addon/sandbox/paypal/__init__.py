"""PayPal, simulated: accounts with balances in many currencies, the reporting API, partner consent, webhooks."""

from addon.sandbox.paypal.account import NotPossible, PayPalAccount
from addon.sandbox.paypal.model import FeeRules, Item, Payer, RestApp
from addon.sandbox.paypal.shop import PayPalShop
from addon.sandbox.paypal.world import PayPalWorld
from addon.sandbox.stripe.faults import ConnectionLost, Fault, Faults
from addon.sandbox.stripe.webhooks import WebhookSwitches

__all__ = [
    "ConnectionLost",
    "Fault",
    "Faults",
    "FeeRules",
    "Item",
    "NotPossible",
    "PayPalAccount",
    "PayPalShop",
    "PayPalWorld",
    "Payer",
    "RestApp",
    "WebhookSwitches",
]
