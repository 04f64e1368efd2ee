"""Plus: a refund of a sale from before the start, where a person says at which VAT it is credited."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal

from addon.core.accounts import AccountRole
from addon.core.delivery import write_off
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    InvoiceLine,
    PartRef,
    Settlement,
    Step,
)
from addon.core.holds import HoldReason
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    open_day,
    reference_text,
    require_currency,
    require_precision,
    source_of,
    vat_of,
)
from addon.core.plan.sale import books_value, customer_for, expected_rate, sent_rate
from addon.core.plan.situation import CannotBook
from addon.core.plan.vat import SaleVat
from addon.core.records import Movement
from addon.core.rules import Policy

CREDIT = "credit:"
"""What a person's decision begins with: a credit note at the VAT whose treatment follows, `credit:SE25`."""


def plan_orphan_refund(movement: Movement, treatment: str, policy: Policy, known_customers: Container[str]) -> Document:
    """Plan a credit note that stands by itself, on the sales account of a VAT treatment. Raises `CannotBook`."""
    given_back = movement.presented or movement.amount
    if given_back.minor >= 0 or movement.amount.minor >= 0:
        raise CannotBook(HoldReason.WRONG_SIGN, amount=str(given_back))
    require_precision(given_back, policy)
    require_currency(given_back.currency, policy)
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    sales = account(policy, AccountRole.SALES, day, treatment)
    percent = int("".join(character for character in treatment if character.isdigit()) or 0)
    vat = SaleVat((), CustomerVat.DOMESTIC, treatment, "")
    customer = customer_for(movement.buyer, vat, policy)
    key = base_key(movement, policy)
    what = f"Refund of {movement.original_ref or source_of(movement)}, sold before Kvitt"
    lines = (InvoiceLine(what, given_back, percent, sales),)
    text = reference_text(policy, f"refund {source_of(movement)} of a sale from before the start", note)
    invoice = Invoice(
        key=f"{key}/credit",
        customer=customer,
        invoice_date=day,
        lines=lines,
        total=given_back,
        vat=Decimal(vat_of(lines)),
        rate=sent_rate(movement, given_back, policy),
        expected_rate=expected_rate(movement, given_back, policy),
        text=text,
    )
    books_amount = books_value(movement, given_back, policy)
    settlement = Settlement(
        key=f"{key}/payment",
        amount=given_back,
        books_amount=books_amount,
        paid_on=day,
        account=clearing,
        write_off=write_off(invoice.total, given_back),
        write_off_account=policy.accounts.find(AccountRole.ROUNDING),
    )
    steps: list[Step] = []
    if customer.key not in known_customers:
        steps.append(CreateCustomer(customer.key, customer))
    steps += [
        CreateInvoice(invoice.key, invoice, customer.key),
        BookInvoice(f"{invoice.key}/book", invoice.key, invoice),
        CreatePayment(settlement.key, settlement, invoice_key=invoice.key),
        BookPayment(f"{settlement.key}/book", settlement.key),
    ]
    return Document(
        key=f"{key}/refund",
        kind=DocumentKind.REFUND,
        booking_date=day,
        total=given_back,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, books_amount),),
        steps=tuple(steps),
        rule=(
            "The sale is from before the start, so Kvitt has no invoice of it: a person chose a credit note that "
            f"stands by itself, at {percent} % VAT."
        ),
        facts=(("source", source_of(movement)), ("original", movement.original_ref), ("treatment", treatment)),
    )
