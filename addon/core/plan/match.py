"""Basic: a payment is registered on the invoice that is there, found by order number and compared exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from addon.core.accounts import AccountRole
from addon.core.books import InvoiceView
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreatePayment,
    Document,
    DocumentKind,
    PartRef,
    Settlement,
    Step,
)
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.matching import fault_of_choice, most_tolerance, order_list, stands_on
from addon.core.money import Money
from addon.core.plan.common import account, base_key, day_of, open_day, require_precision, source_of
from addon.core.plan.sale import order_number
from addon.core.plan.situation import CannotBook, OpenMovement, Outcome
from addon.core.rules import Policy

Facts = tuple[tuple[str, str], ...]


def plan_matches(
    group: Sequence[OpenMovement],
    found: Sequence[InvoiceView],
    under_way: Mapping[str, Money],
    policy: Policy,
) -> list[Outcome]:
    """Plan the movements of one order number and sign together: several captures may fill one invoice.

    `under_way` has, by invoice number, what planned payments will take off its balance: no invoice is paid twice.
    """
    order = order_of(group[0], policy)
    facts = {"order_number": order}
    currency = policy.books_currency
    numbers = order_list(order)
    if len(numbers) > 1 and not any(stands_on(view, order) for view in found):
        return _several_orders(group, numbers, found, under_way, policy)
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
        spread = _spread(group, found, under_way, facts, policy)
        if spread:
            return spread
        settled = not any(view.balance for view in candidates)
        reason = HoldReason.ALREADY_PAID if settled else HoldReason.SEVERAL_INVOICES
        return _hold_all(group, reason, **facts, invoices=_numbers(candidates))
    invoice = candidates[0]
    facts["invoice"] = invoice.number
    if invoice.currency != currency:
        return _hold_all(group, HoldReason.FOREIGN_CURRENCY, **facts, currency=invoice.currency)
    if not invoice.booked and not policy.matching.book_drafts:
        return [_await_booking(entry, tuple(facts.items()), policy) for entry in group]
    balance = invoice.balance - under_way.get(invoice.number, Money.zero(currency))
    if not balance:
        return _hold_all(group, HoldReason.ALREADY_PAID, **facts)
    filling = _filling(group, balance, _tolerance(group, policy))
    if not filling:
        spread = _spread(group, found, under_way, {"order_number": order}, policy)
        if spread:
            return spread
        return _hold_all(group, HoldReason.AMOUNT_DIFFERS, **facts, open=str(balance), paid=str(total))
    # What comes after the invoice was full is a payment too many, whether it is planned today or tomorrow.
    outcomes = _hold_all(group[filling:], HoldReason.ALREADY_PAID, **facts)
    difference = balance - _sum(group[:filling], currency)
    for index, entry in enumerate(group[:filling], start=1):
        if index == 2 and not invoice.booked:
            # The first payment books the invoice; the others are planned when it stands there booked.
            outcomes += [_await_booking(later, tuple(facts.items()), policy) for later in group[1:filling]]
            break
        rest = difference if index == filling and difference else None
        shares = ((invoice, entry.movement.amount, rest),)
        outcomes.append(_attempt(entry, shares, _rule(order, invoice, rest, filling), facts, policy))
    return outcomes


def order_of(entry: OpenMovement, policy: Policy) -> str:
    """The order number of a payment: what a person says it is, else what the provider tells."""
    return entry.choice.order or order_number(entry.movement, policy)


def plan_chosen(
    entry: OpenMovement, found: Sequence[InvoiceView], under_way: Mapping[str, Money], policy: Policy
) -> Outcome:
    """Plan a payment whose invoice a person has chosen: it may pay it in part, never more than is open."""
    movement, number = entry.movement, entry.choice.invoice
    invoice = next((view for view in found if view.number == number), None)
    if invoice is None:
        return Hold(_parts(entry), HoldReason.NO_INVOICE, (("invoice", number),))
    balance = invoice.balance
    if invoice.number in under_way and invoice.currency == policy.books_currency:
        balance = balance - under_way[invoice.number]
    allowed = _tolerance([entry], policy)
    comparable = replace(invoice, booked=True) if policy.matching.book_drafts else invoice
    fault = fault_of_choice(movement.amount, comparable, balance, allowed)
    if fault is not None:
        reason, facts = fault
        if reason is HoldReason.INVOICE_NOT_BOOKED:
            return _await_booking(entry, facts, policy)
        return Hold(_parts(entry), reason, facts)
    difference = balance - movement.amount
    rest = difference if difference and abs(difference.minor) <= allowed else None
    return _attempt(entry, ((invoice, movement.amount, rest),), _rule_of_choice(invoice, difference, rest), {}, policy)


Share = tuple[InvoiceView, Money, Money | None]
"""An invoice, what a payment puts on it, and the difference that goes to rounding."""


def _several_orders(
    group: Sequence[OpenMovement],
    numbers: Sequence[str],
    found: Sequence[InvoiceView],
    under_way: Mapping[str, Money],
    policy: Policy,
) -> list[Outcome]:
    """One payment for several orders: registered on their invoices if what is open on them is exactly what was paid."""
    facts = {"order_number": ", ".join(numbers)}
    live = [view for view in found if not view.cancelled]
    missing = [number for number in numbers if not any(stands_on(view, number) for view in live)]
    if missing:
        about = (("order_number", ", ".join(missing)), ("wanted", "invoice"))
        return [_wait_or_hold(entry, about, policy) for entry in group]
    unbooked = [view for view in live if view.balance and not view.booked]
    if unbooked and not policy.matching.book_drafts:
        return [_await_booking(entry, (("invoice", _numbers(unbooked)),), policy) for entry in group]
    spread = _spread(group, live, under_way, facts, policy)
    if not spread:
        known = [view for view in live if view.currency == policy.books_currency]
        left = Money.total((_left(view, under_way) for view in known), policy.books_currency)
        reason = HoldReason.AMOUNT_DIFFERS if left else HoldReason.ALREADY_PAID
        paid = str(_sum(group, policy.books_currency))
        return _hold_all(group, reason, **facts, invoices=_numbers(live), open=str(left), paid=paid)
    return spread


def _spread(
    group: Sequence[OpenMovement],
    found: Sequence[InvoiceView],
    under_way: Mapping[str, Money],
    facts: Mapping[str, str],
    policy: Policy,
) -> list[Outcome]:
    """Put the earliest payment that is exactly the sum of all that is open under an order on each of those invoices.

    Other payments of the order are payments too many. Nothing, where no payment is that sum.

    Credit notes count with their sign: an invoice of 1,000 of which 400 were credited is settled by a payment of 600,
    which is two payments on the clearing account. One invoice alone is no sum.
    """
    currency = policy.books_currency
    open_views = [view for view in found if not view.cancelled and view.balance]
    drafts = policy.matching.book_drafts
    if any(view.currency != currency or not (view.booked or drafts) for view in open_views):
        return []
    shares = tuple((view, _left(view, under_way), None) for view in open_views if _left(view, under_way))
    whole = Money.total((share for _, share, _ in shares), currency)
    payer = next((entry for entry in group if entry.movement.amount == whole), None)
    if len(shares) < 2 or payer is None:
        return []
    rule = _rule_of_many(facts["order_number"], shares)
    invoices = _numbers([view for view, _, _ in shares])
    others = [entry for entry in group if entry is not payer]
    return [
        _attempt(payer, shares, rule, facts, policy),
        *_hold_all(others, HoldReason.ALREADY_PAID, **facts, invoices=invoices),
    ]


def _left(view: InvoiceView, under_way: Mapping[str, Money]) -> Money:
    return view.balance - under_way.get(view.number, Money.zero(view.currency))


def _tolerance(group: Sequence[OpenMovement], policy: Policy) -> int:
    """What may differ, in smallest units: as set, or up to 1.00 where a person has said that it is rounding."""
    accepted = any(entry.choice.accept_difference for entry in group)
    return most_tolerance(policy.books_currency) if accepted else policy.tolerance_minor


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


def _rule_of_many(order: str, shares: Sequence[Share]) -> str:
    named = ", ".join(f"{view.number} ({amount})" for view, amount, _ in shares)
    return f"Basic: the amount is exactly what is open on all invoices and credit notes of order {order}: {named}."


def _rule_of_choice(invoice: InvoiceView, left: Money, rest: Money | None) -> str:
    what = "credit note" if invoice.total.minor < 0 else "invoice"
    if rest:
        after = f"; {abs(rest)} of difference goes to rounding"
    else:
        after = f"; {abs(left)} stays open" if left else ""
    return f"Basic: a person chose {what} {invoice.number} for this payment{after}."


def _attempt(
    entry: OpenMovement, shares: Sequence[Share], rule: str, facts: Mapping[str, str], policy: Policy
) -> Outcome:
    try:
        return _match(entry, shares, rule, policy)
    except CannotBook as fault:
        return Hold(_parts(entry), fault.reason, (*fault.facts, *facts.items()))


def _match(entry: OpenMovement, shares: Sequence[Share], rule: str, policy: Policy) -> Document:
    """A payment on each invoice, all of one day: the latest of the payment's own and the invoices'."""
    movement = entry.movement
    require_precision(movement.amount, policy)
    latest = max(view.invoice_date for view, _, _ in shares)
    day, _ = open_day(max(day_of(movement, policy), latest), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    key = base_key(movement, policy)
    steps: list[Step] = []
    for number, (view, amount, rest) in enumerate(shares, start=1):
        if not view.booked:
            steps.append(_book_draft(f"{key}/draft-{number}", view))
        settlement = Settlement(
            key=f"{key}/payment" if number == 1 else f"{key}/payment-{number}",
            amount=amount,
            books_amount=amount,
            paid_on=day,
            account=clearing,
            write_off=rest,
            write_off_account=account(policy, AccountRole.ROUNDING, day) if rest else None,
        )
        steps += [
            CreatePayment(settlement.key, settlement, invoice_number=view.number),
            BookPayment(f"{settlement.key}/book", settlement.key),
        ]
    return Document(
        key=f"{key}/match",
        kind=DocumentKind.MATCH,
        booking_date=day,
        total=movement.amount,
        parts=_parts(entry),
        clearing=(ClearingEffect(clearing, movement.amount, movement.amount),),
        steps=tuple(steps),
        rule=f"{rule} {_drafts_first(shares)}".strip(),
        facts=(
            ("source", source_of(movement)),
            ("order_number", order_of(entry, policy)),
            ("invoice", _numbers([view for view, _, _ in shares])),
        ),
    )


def _drafts_first(shares: Sequence[Share]) -> str:
    drafts = [view for view, _, _ in shares if not view.booked]
    return f"As you have set, {_numbers(drafts)} is booked first: it was not yet." if drafts else ""


def _book_draft(key: str, view: InvoiceView) -> BookInvoice:
    # Whose key or external reference it carries is not ours: nothing may be taken for a copy of it.
    return BookInvoice(key, "", draft=replace(view, our_key="", second_key=""))


def await_invoice(entry: OpenMovement, facts: Facts, policy: Policy) -> Wait:
    """Wait for an invoice as long as the company has set, counted from when it was first missed."""
    until = entry.first_seen_on + timedelta(days=policy.wait_days)
    return Wait(_parts(entry), WaitReason.INVOICE, until, facts)


def _wait_or_hold(entry: OpenMovement, facts: Facts, policy: Policy) -> Outcome:
    wait = await_invoice(entry, facts, policy)
    if wait.until is not None and policy.today > wait.until:
        return Hold(wait.parts, HoldReason.NO_INVOICE, facts)
    return wait


def _await_booking(entry: OpenMovement, facts: Facts, policy: Policy) -> Outcome:
    """An invoice that nobody has booked is a person's draft: it has its days, like one that is not there yet."""
    until = entry.first_seen_on + timedelta(days=policy.wait_days)
    if policy.today > until:
        return Hold(_parts(entry), HoldReason.INVOICE_NOT_BOOKED, facts)
    return Wait(_parts(entry), WaitReason.BOOKING, until, facts)


def _wait(entry: OpenMovement, order: str, refund: bool, policy: Policy) -> Outcome:
    facts = (("order_number", order), ("wanted", "credit note" if refund else "invoice"))
    return _wait_or_hold(entry, facts, policy)


def _hold_all(group: Sequence[OpenMovement], reason: HoldReason, **facts: str) -> list[Outcome]:
    return [Hold(_parts(entry), reason, tuple(facts.items())) for entry in group]


def _parts(entry: OpenMovement) -> tuple[PartRef, ...]:
    return (PartRef(entry.movement.ref, "amount"),)


def _numbers(views: Sequence[InvoiceView]) -> str:
    return ", ".join(view.number for view in views)
