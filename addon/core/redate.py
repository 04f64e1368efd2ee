"""A lock that came between plan and write: steps that have not been sent move to the next open day, with a note."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from addon.core.documents import (
    BookInvoice,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    DateCreditNote,
    Document,
    PostVoucher,
    Step,
)


def redated(step: Step, locked_through: date) -> Step:
    """A step dated the first open day where its own day is locked; itself where it is not."""
    day = locked_through + timedelta(days=1)
    match step:
        case CreateInvoice(invoice=invoice) if invoice.invoice_date <= locked_through:
            text = _noted(invoice.text, invoice.invoice_date)
            return replace(step, invoice=replace(invoice, invoice_date=day, text=text))
        case BookInvoice(invoice=invoice) if invoice is not None and invoice.invoice_date <= locked_through:
            text = _noted(invoice.text, invoice.invoice_date)
            return replace(step, invoice=replace(invoice, invoice_date=day, text=text))
        case CreditInvoice() | DateCreditNote() if step.credit_date <= locked_through:
            return replace(step, credit_date=day, text=_noted(step.text, step.credit_date))
        case CreatePayment(settlement=settlement) if settlement.paid_on <= locked_through:
            return replace(step, settlement=replace(settlement, paid_on=day))
        case PostVoucher(voucher=voucher) if voucher.booking_date <= locked_through:
            text = _noted(voucher.text, voucher.booking_date)
            return replace(step, voucher=replace(voucher, booking_date=day, text=text))
        case _:
            return step


def with_steps(document: Document, steps: dict[str, Step], *, unsent: bool) -> Document:
    """A document with some of its steps changed; `unsent`: nothing of it stands, so that its own day moves along."""
    changed = tuple(steps.get(step.key, step) for step in document.steps)
    days = [day for day in (_day(step) for step in changed) if day is not None]
    day = max([document.booking_date, *days]) if unsent else document.booking_date
    return replace(document, steps=changed, booking_date=day)


def _day(step: Step) -> date | None:
    match step:
        case CreateInvoice():
            return step.invoice.invoice_date
        case CreatePayment():
            return step.settlement.paid_on
        case PostVoucher():
            return step.voucher.booking_date
        case CreditInvoice():
            return step.credit_date
        case _:
            return None


def _noted(text: str, day: date) -> str:
    return f"{text} (belongs to {day.isoformat()}, period locked)".strip()
