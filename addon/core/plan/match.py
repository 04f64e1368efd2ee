"""Basic: a payment is registered on the invoice that is there, found by order number and compared exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from addon.core.accounts import AccountRole
from addon.core.books import InvoiceView
from addon.core.documents import (
    BookPayment,
    ClearingEffect,
    CreatePayment,
    Document,
    DocumentKind,
    PartRef,
    Settlement,
)
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.money import Money
from addon.core.plan.common import account, base_key, day_of, open_day, require_precision, source_of
from addon.core.plan.sale import order_number
from addon.core.plan.situation import CannotBook, OpenMovement, Outcome
from addon.core.rules import Policy


def plan_matches(
    group: Sequence[OpenMovement],
    found: Sequence[InvoiceView],
    under_way: Mapping[str, Money],
    policy: Policy,
) -> list[Outcome]:
    """Plan the movements of one order number and sign together: several captures may fill one invoice.

    `under_way` has, by invoice number, what planned payments will take off its balance: no invoice is paid twice.
    """
    order = order_number(group[0].movement, policy)
    facts = {"order_number": order}
    currency = policy.books_currency
    total = _sum(group, currency)
    refund = total.minor < 0
    right_sign = [view for view in found if (view.total.minor < 0) == refund and view.total]
    live = [view for view in right_sign if not view.cancelled]
    if not live:
        # A cancelled document shows a total of nought; that it was a credit note can then not be told.
        cancelled = right_sign or [view for view in found if view.cancelled and not view.total and not refund]
        if cancelled:
            return _hold_all(group, HoldReason.INVOICE_CANCELLED, **facts, invoice=_numbers(cancelled))
        return [_wait(entry, order, refund, policy) for entry in group]
    # An order invoiced, credited and invoiced anew has its number on several; a settled one is no candidate.
    candidates = [view for view in live if view.balance] or live
    if len(candidates) > 1:
        settled = not any(view.balance for view in candidates)
        reason = HoldReason.ALREADY_PAID if settled else HoldReason.SEVERAL_INVOICES
        return _hold_all(group, reason, **facts, invoices=_numbers(candidates))
    invoice = candidates[0]
    facts["invoice"] = invoice.number
    if invoice.currency != currency:
        return _hold_all(group, HoldReason.FOREIGN_CURRENCY, **facts, currency=invoice.currency)
    if not invoice.booked:
        return _hold_all(group, HoldReason.INVOICE_NOT_BOOKED, **facts)
    balance = invoice.balance - under_way.get(invoice.number, Money.zero(currency))
    if not balance:
        return _hold_all(group, HoldReason.ALREADY_PAID, **facts)
    filling = _filling(group, balance, policy.tolerance_minor)
    if not filling:
        return _hold_all(group, HoldReason.AMOUNT_DIFFERS, **facts, open=str(balance), paid=str(total))
    # What comes after the invoice was full is a payment too many, whether it is planned today or tomorrow.
    outcomes = _hold_all(group[filling:], HoldReason.ALREADY_PAID, **facts)
    difference = balance - _sum(group[:filling], currency)
    for index, entry in enumerate(group[:filling], start=1):
        try:
            rest = difference if index == filling and difference else None
            outcomes.append(_match(entry, invoice, rest, _rule(order, invoice, rest, filling), policy))
        except CannotBook as fault:
            outcomes.append(Hold(_parts(entry), fault.reason, (*fault.facts, *facts.items())))
    return outcomes


def _sum(group: Sequence[OpenMovement], currency: str) -> Money:
    return Money.total((entry.movement.amount for entry in group), currency)


def _filling(group: Sequence[OpenMovement], balance: Money, tolerance_minor: int) -> int:
    """How many payments, from the earliest, fill an invoice, exactly if they can, else within the tolerance; or 0."""
    for allowed in (0, tolerance_minor):
        for count in range(1, len(group) + 1):
            if abs(balance - _sum(group[:count], balance.currency)).minor <= allowed:
                return count
    return 0


def _rule(order: str, invoice: InvoiceView, rest: Money | None, payments: int) -> str:
    what = "credit note" if invoice.total.minor < 0 else "invoice"
    filled = "with this amount" if payments == 1 else f"with the amount of {payments} payments"
    difference = f", but for {abs(rest)} within the tolerance, which goes to rounding" if rest else ""
    return f"Basic: order number {order} stands on {what} {invoice.number}, which is open {filled}{difference}."


def _match(entry: OpenMovement, invoice: InvoiceView, rest: Money | None, rule: str, policy: Policy) -> Document:
    movement = entry.movement
    require_precision(movement.amount, policy)
    day, _ = open_day(max(day_of(movement, policy), invoice.invoice_date), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    key = base_key(movement, policy)
    settlement = Settlement(
        key=f"{key}/payment",
        amount=movement.amount,
        books_amount=movement.amount,
        paid_on=day,
        account=clearing,
        write_off=rest,
        write_off_account=account(policy, AccountRole.ROUNDING, day) if rest else None,
    )
    return Document(
        key=f"{key}/match",
        kind=DocumentKind.MATCH,
        booking_date=day,
        total=movement.amount,
        parts=_parts(entry),
        clearing=(ClearingEffect(clearing, movement.amount, movement.amount),),
        steps=(
            CreatePayment(settlement.key, settlement, invoice_number=invoice.number),
            BookPayment(f"{settlement.key}/book", settlement.key),
        ),
        rule=rule,
        facts=(
            ("source", source_of(movement)),
            ("order_number", order_number(movement, policy)),
            ("invoice", invoice.number),
        ),
    )


def _wait(entry: OpenMovement, order: str, refund: bool, policy: Policy) -> Outcome:
    until = entry.first_seen_on + timedelta(days=policy.wait_days)
    facts = (("order_number", order), ("wanted", "credit note" if refund else "invoice"))
    if policy.today > until:
        return Hold(_parts(entry), HoldReason.NO_INVOICE, facts)
    return Wait(_parts(entry), WaitReason.INVOICE, until, facts)


def _hold_all(group: Sequence[OpenMovement], reason: HoldReason, **facts: str) -> list[Outcome]:
    return [Hold(_parts(entry), reason, tuple(facts.items())) for entry in group]


def _parts(entry: OpenMovement) -> tuple[PartRef, ...]:
    return (PartRef(entry.movement.ref, "amount"),)


def _numbers(views: Sequence[InvoiceView]) -> str:
    return ", ".join(view.number for view in views)
