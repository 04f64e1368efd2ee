"""Undo: what was booked is taken back by documents that point at it. Nothing is deleted, nothing overwritten.

An invoice is taken back by a credit note and a credit note by an invoice, each at the original's rate, rows and
accounts, with its payment reversed on the same clearing account; a voucher by its rows with the sides swapped; a
payment on somebody else's invoice by the opposite payment, which opens that invoice again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from addon.core.accounts import AccountRole
from addon.core.delivery import write_off
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    DateCreditNote,
    Document,
    DocumentKind,
    Invoice,
    PostVoucher,
    Settlement,
    Step,
    Voucher,
    signed_line,
)
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import open_day, reference_text, require_ready, vat_of
from addon.core.plan.situation import CannotBook
from addon.core.rules import LockedRule, Policy

UNDO_ENDING = "/undo"


class LeftAlone(StrEnum):
    """Why a document of a run is not undone. Each has its own words."""

    UNDONE = "undone"
    """It has been undone before, or is being undone."""
    TOUCHED = "touched"
    """A person has changed, credited or removed it in the books."""
    NEEDED = "needed"
    """Another document that stands hangs on it: a refund on its sale, a payout's return on the payout."""
    UNDER_WAY = "under_way"
    """It is being written just now."""
    CANNOT = "cannot"
    """The books will not take the reversal: an account or a financial year is missing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A booked document with what the accounting system answered about it.

    `number` is the invoice's or the voucher's name there, `total` what its invoice came to, `rate` what one unit of
    the invoice's currency was in the books, `books` what it moved on the clearing account in the books' currency.
    `credited` is the invoice that its credit note took back, where the system's own credit action made that.
    `credit_made`: a credit note of its invoice stands already, so that the action would be refused.
    """

    document: Document
    number: str
    vouchers: tuple[str, ...] = ()
    total: Money | None = None
    rate: Decimal = Decimal(1)
    books: Money | None = None
    credited: Invoice | None = None
    credit_made: bool = False


def undo_key(key: str) -> str:
    """The key of the document that takes another one back."""
    return f"{key}{UNDO_ENDING}"


def plan_undo(standing: Standing, policy: Policy, who: str, today: date | None = None) -> Document:
    """Plan the document that takes a booked one back, dated as the original or on the next open day.

    It books no part of a movement: when it stands, the original's parts are open again and set aside. Raises
    `CannotBook` where the books would not take it.
    """
    document = standing.document
    day, note = open_day(document.booking_date, replace(policy, locked_rule=LockedRule.NEXT_OPEN_DAY))
    note = ", ".join(filter(None, (f"by {who}" if who else "", note)))
    steps: list[Step] = []
    key = undo_key(document.key)
    for number, step in enumerate(document.steps):
        match step:
            case CreateInvoice() | CreateOrder():
                steps += _counter_invoice(step.invoice, standing, key, day, note, policy)
            case CreditInvoice():
                if standing.credited is None:
                    raise CannotBook(HoldReason.ORIGINAL_UNKNOWN, original=step.invoice_key)
                taken = replace(standing.credited, key=step.key)
                steps += _counter_invoice(_negated(taken), standing, key, day, note, policy)
            case CreatePayment():
                steps += _counter_payment(step, standing, key, number, day, policy)
            case PostVoucher():
                steps.append(_counter_voucher(step, standing, key, number, day, note, policy))
            case _:
                pass
    if not steps:
        raise CannotBook(HoldReason.KIND_NOT_BUILT, kind=document.kind.value)
    return Document(
        key=key,
        kind=DocumentKind.UNDO,
        booking_date=day,
        total=-document.total,
        parts=(),
        clearing=tuple(_counter_effect(effect, standing) for effect in document.clearing),
        steps=tuple(steps),
        rule=f"Undone by {who or 'a person'}: it takes {_name(standing)} back, on the same accounts and at its rate.",
        facts=(
            ("undoes", document.key),
            ("by", who),
            *((name, value) for name, value in document.facts if name in ("source", "order_number")),
        ),
        oss=tuple(replace(amount, net=-amount.net, vat=-amount.vat, day=day) for amount in document.oss),
    )


def _name(standing: Standing) -> str:
    return standing.number or standing.document.key


def _counter_effect(effect: ClearingEffect, standing: Standing) -> ClearingEffect:
    books = effect.books if effect.books is not None else standing.books
    return ClearingEffect(effect.account, -effect.balance, -books if books is not None else None)


def _negated(invoice: Invoice) -> Invoice:
    lines = tuple(replace(line, gross=-line.gross) for line in invoice.lines)
    return replace(invoice, lines=lines, total=-invoice.total, vat=-invoice.vat)


def _counter_invoice(
    invoice: Invoice, standing: Standing, key: str, day: date, note: str, policy: Policy
) -> list[Step]:
    """The steps that take an invoice or a credit note of ours back."""
    total = standing.total if standing.total is not None else invoice.total
    require_ready((line.account for line in invoice.lines), day, policy)
    counter_key = f"{key}/credit"
    what = "credit note" if invoice.total.minor < 0 else "invoice"
    text = reference_text(policy, f"undoes {what} {standing.number}", note)
    if total.minor > 0 and not standing.credit_made:
        dated = f"{counter_key}/date"
        return [
            CreditInvoice(counter_key, invoice.key, -total, day, text),
            DateCreditNote(dated, counter_key, counter_key, day, text),
            BookInvoice(f"{counter_key}/book", counter_key, credit_total=-total),
        ]
    rate = None
    if invoice.currency != policy.books_currency:
        rate = ExchangeRate(
            invoice.currency,
            policy.books_currency,
            standing.rate,
            1,
            invoice.invoice_date,
            f"invoice {standing.number}",
        )
    counter = _negated(invoice)
    counter = replace(
        counter,
        key=counter_key,
        invoice_date=day,
        rate=rate,
        expected_rate=None,
        text=text,
        corrects_key=invoice.key,
        vat=vat_of(counter.lines),
    )
    return [
        CreateInvoice(counter_key, counter, counter.customer.key),
        BookInvoice(f"{counter_key}/book", counter_key, counter),
    ]


def _counter_payment(
    step: CreatePayment, standing: Standing, key: str, number: int, day: date, policy: Policy
) -> list[Step]:
    """The opposite payment: of the counter document of our own invoice, or of the invoice that was matched."""
    paid = step.settlement
    require_ready((paid.account,), day, policy)
    amount = -paid.amount
    payment_key = f"{key}/payment/{number}"
    books = -paid.books_amount if paid.books_amount is not None else None
    if step.invoice_number:
        rest = -paid.write_off if paid.write_off is not None else None
    else:
        total = standing.total if standing.total is not None else standing.document.total
        rest = write_off(-total, amount)
    settlement = Settlement(
        key=payment_key,
        amount=amount,
        books_amount=books,
        paid_on=day,
        account=paid.account,
        write_off=rest,
        write_off_account=paid.write_off_account or policy.accounts.find(AccountRole.ROUNDING),
    )
    invoice_key = "" if step.invoice_number else f"{key}/credit"
    return [
        CreatePayment(payment_key, settlement, invoice_key=invoice_key, invoice_number=step.invoice_number),
        BookPayment(f"{payment_key}/book", payment_key),
    ]


def _counter_voucher(
    step: PostVoucher, standing: Standing, key: str, number: int, day: date, note: str, policy: Policy
) -> PostVoucher:
    voucher = step.voucher
    require_ready((line.account for line in voucher.lines), day, policy)
    single = sum(isinstance(other, PostVoucher) for other in standing.document.steps) == 1
    own_key = key if single else f"{key}/{number}"
    name = "/".join(standing.number.split("/")[:2]) if single else voucher.key
    text = reference_text(policy, f"undoes voucher {name} of {voucher.booking_date.isoformat()}", note)
    lines = tuple(signed_line(line.account, -line.signed, line.text) for line in voucher.lines)
    return PostVoucher(own_key, Voucher(own_key, day, text, lines))


def plan_credit_of_copy(original: Document, invoice: Invoice, number: str, total: Money, policy: Policy) -> Document:
    """Plan the credit note of an invoice that stands booked a second time under one key, naming it.

    The copy is open and its credit note is, so both are settled against the clearing account, which is left as it
    was. Raises `CannotBook`.
    """
    day, note = open_day(invoice.invoice_date, replace(policy, locked_rule=LockedRule.NEXT_OPEN_DAY))
    (effect, *_) = original.clearing
    require_ready((effect.account,), day, policy)
    key = f"{invoice.key}/undo/{number}"
    text = reference_text(policy, f"takes back invoice {number}, which was booked twice", note)
    steps: list[Step] = [
        CreditInvoice(key, "", -total, day, text, invoice_number=number),
        DateCreditNote(f"{key}/date", key, key, day, text),
        BookInvoice(f"{key}/book", key, credit_total=-total),
    ]
    for name, amount, where in (("paid", total, number), ("repaid", -total, "")):
        pay = f"{key}/{name}"
        settlement = Settlement(pay, amount, None, day, effect.account)
        steps += [
            CreatePayment(pay, settlement, invoice_key="" if where else key, invoice_number=where),
            BookPayment(f"{pay}/book", pay),
        ]
    nought = Money.zero(effect.balance.currency)
    return Document(
        key=key,
        kind=DocumentKind.CORRECTION,
        booking_date=day,
        total=Money.zero(total.currency),
        parts=(),
        clearing=(ClearingEffect(effect.account, nought, Money.zero(policy.books_currency)),),
        steps=tuple(steps),
        rule=(
            "The accounting system carried out a request after Kvitt had rightly given it up: the invoice stands "
            f"twice, and a credit note takes number {number} back."
        ),
        facts=(("takes_back", number),),
    )


__all__ = ["LeftAlone", "Standing", "plan_credit_of_copy", "plan_undo", "undo_key"]
