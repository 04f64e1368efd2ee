"""Short plain sentences for the terminal and for logs. The pages have their own, longer and translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from addon.core.books import Check, Remedy
from addon.core.checklists import Prerequisite
from addon.core.holds import HoldReason

HOLD_TEXTS: Final[Mapping[HoldReason, str]] = {
    HoldReason.UNKNOWN_KIND: "the provider uses a word that Kvitt does not know",
    HoldReason.KIND_NOT_BUILT: "Kvitt does not book this kind yet",
    HoldReason.NO_ORDER_NUMBER: "no order number in the fields that are set",
    HoldReason.NO_INVOICE: "no invoice or credit note with this order number came",
    HoldReason.SEVERAL_INVOICES: "several invoices have this order number",
    HoldReason.AMOUNT_DIFFERS: "the amount differs from what is open on the invoice",
    HoldReason.INVOICE_NOT_BOOKED: "the invoice is not booked yet",
    HoldReason.INVOICE_CANCELLED: "the invoice is cancelled",
    HoldReason.ALREADY_PAID: "the invoice is already paid",
    HoldReason.WRONG_SIGN: "a credit note where an invoice is needed, or the other way round",
    HoldReason.FOREIGN_CURRENCY: "Basic books your own currency only",
    HoldReason.LEDGER_PRECISION: "the amount has more decimals than the books can hold",
    HoldReason.PERIOD_LOCKED: "the period is locked",
    HoldReason.NO_FINANCIAL_YEAR: "the books have no financial year for this day",
    HoldReason.ACCOUNT_NOT_READY: "an account is missing, inactive or demands a cost centre or project",
    HoldReason.CURRENCY_NOT_READY: "the books do not have this currency",
    HoldReason.NO_RATE: "no exchange rate for the day is known",
    HoldReason.ORIGINAL_UNKNOWN: "a refund of a sale that Kvitt has not booked",
    HoldReason.REFUND_EXCEEDS: "more was refunded than was sold",
    HoldReason.PAYOUT_NOT_PROVED: "the payout's lines do not make up its amount",
    HoldReason.TOTAL_DIFFERS: "what was made differs from the plan, and was not booked",
    HoldReason.RATE_DIFFERS: "the exchange rate differs from the plan, and the invoice was not booked",
    HoldReason.REJECTED: "the accounting system refused it",
    HoldReason.TOUCHED: "a person changed the document meanwhile",
    HoldReason.VAT_IMPLAUSIBLE: "the provider's tax lines cannot be right",
    HoldReason.VAT_RATE_ODD: "no invoice can hold a VAT rate with decimals",
    HoldReason.VAT_RATE_UNKNOWN: "no VAT rate is known for this country and kind of product",
    HoldReason.VAT_NUMBER_INVALID: "the buyer's VAT number is not valid",
    HoldReason.VAT_NUMBER_UNCHECKED: "the buyer's VAT number could not be checked",
    HoldReason.ALREADY_INVOICED: "another connection seems to have invoiced this sale",
    HoldReason.MODE_NOT_BUILT: "this mode is not built yet",
    HoldReason.CODE_NOT_READY: "a cost centre, project or term of payment is missing or closed",
    HoldReason.WAITED_FOR_GONE: "a person took away what waited for them to book it",
    HoldReason.RULE_HOLDS: "your own rule says that a person decides",
    HoldReason.DISPUTE_UNKNOWN: "money of a dispute whose beginning Kvitt has not booked",
    HoldReason.CONVERSION_UNPAIRED: "one half of a currency conversion, and the other never came",
    HoldReason.CREDIT_NOTE_BY_HAND: "a lost dispute whose credit note is for a person to make",
}
"""Why something is held, as half a sentence; a test sees to it that no reason is left out."""


def hold_text(reason: str, facts: Mapping[str, object]) -> str:
    """Why something is held, with what is known about it in brackets."""
    try:
        words = HOLD_TEXTS[HoldReason(reason)]
    except ValueError:
        words = reason.replace("_", " ")
    known = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if value not in ("", None))
    return f"{words} ({known})" if known else words


_FAULTS: Final[Mapping[str, str]] = {
    "missing": "is not there",
    "inactive": "is not active",
    "cost_centre": "demands a cost centre",
    "project": "demands a project",
    "not_manual": "is not a manual series",
    "approval": "needs a person's approval for each voucher",
    "not_automatic": "has no automatic rate",
    "not_mapped": "has no account",
    "full": "has no voucher numbers left",
    "none": "is not there at all",
    "months": "is the first day of months that are closed or barred",
    "rate": "has another VAT rate on its account",
    "off": "is not registered",
    "elsewhere": "tells an old address",
    "disabled": "is switched off",
    "same_account": "is the provider's own",
}

_REMEDIES: Final[Mapping[Remedy, str]] = {
    Remedy.ACTIVATE_ACCOUNT: "activate account {subject}",
    Remedy.CREATE_ACCOUNT: "make account {subject}",
    Remedy.CREATE_SERIES: "make voucher series {subject}",
    Remedy.ADD_CURRENCY: "add currency {subject}",
    Remedy.ADD_PAYMENT_MODE: "add a way of payment for account {subject}",
    Remedy.MEND_SERIES: "set journal Kvitt {subject} right",
    Remedy.CREATE_PRODUCT_GROUP: "make a product group that sells on account {subject}",
    Remedy.OPEN_PRODUCT: "open product {subject}",
    Remedy.REGISTER_WEBHOOK: "have Kvitt told of {subject}",
}


def check_reason(check: Check, entry: Prerequisite | None) -> str:
    """What a prerequisite asks, and for a red one what is wrong. `entry` is its line of the list, if it has one."""
    title = entry.title if entry is not None else check.code.replace("_", " ")
    details = dict(check.details)
    about = " ".join(filter(None, (check.subject, details.get("name", ""))))
    year = f" in {details['year']}" if "year" in details else ""
    if check.ok:
        return f"{title}{f': {about}' if about else ''}"
    fault = _FAULTS.get(details.get("fault", ""), "is not as it must be")
    return f"{title}: {about or 'it'} {fault}{year}"


def check_remedy(check: Check, entry: Prerequisite | None) -> str:
    """What mends a red prerequisite; empty for a green one. `entry` is its line of the list, if it has one."""
    if check.ok:
        return ""
    where = entry.where if entry is not None else ""
    if check.repair is None:
        return where
    return f"Repair: {_REMEDIES[check.repair.remedy].format(subject=check.repair.subject)}"
