"""Joining in the middle of a company's life: what other connections have invoiced, and refunds of earlier sales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from addon.core.books import InvoiceView
from addon.core.money import Money

FOREIGN_MARKS: Final = (
    "woo",
    "shopify",
    "magento",
    "prestashop",
    "wikinggruppen",
    "sharespine",
    "automatiseramera",
    "automatisera mera",
    "wetail",
    "junipeer",
    "zaplox",
    "zettle",
    "izettle",
    "stripe",
    "ch_",
    "pi_",
    "klarna",
    "paypal",
    "qbis",
    "standout",
)
"""What other connections write into the external reference of an invoice, as far as their documentation shows."""

DAYS_APART: Final = 3
"""Another connection dates an invoice by the order, we by the payment."""
MANY: Final = 5
"""So many sales without a sure sign make a pattern, if more than half of them have a twin in the books."""


@dataclass(frozen=True, slots=True)
class Twin:
    """An invoice of somebody else's that may be a sale's own, and how sure that is."""

    number: str
    why: str
    """`order_number`, `mark` (another connection's text) or `pattern` (most sales have such a one)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sale to be booked, as far as finding its twin needs to know."""

    ref: str
    source_ref: str
    order_number: str
    paid: Money
    day: date


def ours(view: InvoiceView, provider: str) -> bool:
    """Whether Kvitt made an invoice: its key begins with the provider's name and a stroke."""
    return view.our_key.startswith(f"{provider}/")


def find_twins(sales: Sequence[Candidate], invoices: Iterable[InvoiceView], provider: str) -> Mapping[str, Twin]:
    """For each sale, an invoice of another connection that books it already; by the sale's reference.

    Sure are an order number or the payment's own reference on the invoice, with the same amount, and another
    connection's mark with the same amount within a few days. Amount and day alone prove nothing, unless most of the
    sales have such a twin: then somebody else books them all. One invoice is the twin of one sale.
    """
    by_amount: dict[Money, list[InvoiceView]] = {}
    for view in invoices:
        if not view.cancelled and view.total.minor > 0 and not ours(view, provider):
            by_amount.setdefault(view.total, []).append(view)
    sure: dict[str, Twin] = {}
    perhaps: dict[str, Twin] = {}
    taken: set[str] = set()
    for sale in sales:
        for view in by_amount.get(sale.paid, ()):
            why = "" if view.number in taken else _why(sale, view)
            if not why:
                continue
            taken.add(view.number)
            (perhaps if why == "pattern" else sure)[sale.ref] = Twin(view.number, why)
            break
    undecided = len(sales) - len(sure)
    if len(perhaps) >= MANY and len(perhaps) * 2 > undecided:
        return {**perhaps, **sure}
    return sure


def _why(sale: Candidate, view: InvoiceView) -> str:
    names = {view.order_number, view.your_reference, view.our_reference, view.our_key, view.second_key, view.ocr}
    wanted = {sale.order_number, sale.source_ref, f"#{sale.order_number}" if sale.order_number else ""} - {""}
    if wanted & names:
        return "order_number"
    if abs(view.invoice_date - sale.day) > timedelta(days=DAYS_APART):
        return ""
    marks = f"{view.our_key} {view.second_key}".lower()
    return "mark" if any(mark in marks for mark in FOREIGN_MARKS) else "pattern"
