"""A simulated Fortnox with real double-entry books: marketplace, consent, tokens, interface, faults."""

from addon.sandbox.fortnox.books import BooksBroken, Voucher, VoucherRow
from addon.sandbox.fortnox.company import ALL_LICENCES, FortnoxCompany
from addon.sandbox.fortnox.errors import ApiError
from addon.sandbox.fortnox.faults import DroppedConnection, Fault, Faults
from addon.sandbox.fortnox.sales import Customer, Invoice, Payment
from addon.sandbox.fortnox.switches import Switches
from addon.sandbox.fortnox.world import Call, FortnoxWorld

__all__ = [
    "ALL_LICENCES",
    "ApiError",
    "BooksBroken",
    "Call",
    "Customer",
    "DroppedConnection",
    "Fault",
    "Faults",
    "FortnoxCompany",
    "FortnoxWorld",
    "Invoice",
    "Payment",
    "Switches",
    "Voucher",
    "VoucherRow",
]
