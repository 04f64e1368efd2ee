"""A simulated e-conomic with real double-entry books: app marketplace, grants, both hosts, webhooks, faults."""

from addon.sandbox.economic.agreement import EconomicAgreement, NotPossible
from addon.sandbox.economic.books import BooksBroken, Entry
from addon.sandbox.economic.errors import ApiError
from addon.sandbox.economic.faults import DroppedConnection, Fault, Faults
from addon.sandbox.economic.journals import DraftEntry
from addon.sandbox.economic.sales import Customer, Invoice
from addon.sandbox.economic.switches import Switches
from addon.sandbox.economic.world import Call, EconomicWorld

__all__ = [
    "ApiError",
    "BooksBroken",
    "Call",
    "Customer",
    "DraftEntry",
    "DroppedConnection",
    "EconomicAgreement",
    "EconomicWorld",
    "Entry",
    "Fault",
    "Faults",
    "Invoice",
    "NotPossible",
    "Switches",
]
