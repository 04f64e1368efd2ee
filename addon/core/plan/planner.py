"""The planner: every open part becomes a document, a hold or a wait; none is left over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import assert_never

from addon.core.books import InvoiceView
from addon.core.documents import CreateCustomer, CreatePayment, Document, PartRef
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.money import Money
from addon.core.plan.common import day_of, source_of
from addon.core.plan.match import await_invoice, order_of, plan_chosen, plan_matches
from addon.core.plan.rates import await_rate
from addon.core.plan.refund import plan_refund
from addon.core.plan.routed import plan_by_rule, routed_sale
from addon.core.plan.sale import plan_sale
from addon.core.plan.settlement import SettlementDesk
from addon.core.plan.situation import (
    Aside,
    CannotBook,
    Carrying,
    OpenMovement,
    Outcome,
    Plan,
    Situation,
)
from addon.core.plan.vat import NumberWanted, add_oss
from addon.core.plan.voucher import FeePart, plan_fees, plan_payout, plan_payout_reversal, planned_payout
from addon.core.records import Movement, MovementKind, PartKind
from addon.core.rules import Mode, Policy
from addon.core.vat import VatFacts

_OVERDUE = {
    WaitReason.PAYOUT_ITEMS: HoldReason.PAYOUT_NOT_PROVED,
    WaitReason.RATE: HoldReason.NO_RATE,
    WaitReason.VAT_NUMBER: HoldReason.VAT_NUMBER_UNCHECKED,
}
"""What a wait becomes when its date has passed: nothing waits for ever. The other waits see to it themselves, or
wait for something that has its own place on a page (a payout under way, a sale that is on its way)."""


class LostPart(AssertionError):
    """A part came out of the planner in no state or in two; nothing of this plan may be used."""


def plan(situation: Situation, policy: Policy) -> Plan:
    """Say what should be booked. Deterministic; raises `LostPart` if a part was dropped or used twice."""
    planner = _Planner(situation, policy)
    for entry in sorted(situation.movements, key=lambda entry: (entry.movement.occurred_at, entry.movement.ref)):
        planner.take(entry)
    planner.finish()
    result = Plan(
        tuple(planner.documents),
        tuple(planner.holds),
        tuple(planner.waits),
        tuple(planner.nought),
        tuple(planner.asides),
    )
    _check_nothing_lost(situation, result)
    return result


def _check_nothing_lost(situation: Situation, result: Plan) -> None:
    expected = sorted((entry.movement.ref, part) for entry in situation.movements for part in entry.open_parts)
    if len(set(expected)) != len(expected):
        raise LostPart("a movement was given to the planner twice")
    groups = [document.parts for document in result.documents]
    groups += [hold.parts for hold in result.holds]
    groups += [wait.parts for wait in result.waits]
    groups += [aside.parts for aside in result.asides]
    groups.append(result.nought)
    found = sorted((part.movement_ref, part.part) for group in groups for part in group)
    if expected != found:
        wrong = sorted((Counter(expected) - Counter(found)) + (Counter(found) - Counter(expected)))[:5]
        raise LostPart(f"parts in and out of the plan differ: {wrong}")


class _Planner:
    """Collects outcomes; fees and matches are gathered first, because they are planned in groups."""

    def __init__(self, situation: Situation, policy: Policy) -> None:
        self.situation = situation
        self.policy = policy
        self.documents: list[Document] = []
        self.holds: list[Hold] = []
        self.waits: list[Wait] = []
        self.nought: list[PartRef] = []
        self.asides: list[Aside] = []
        self.routed = dict(situation.routed)
        self.customers = set(situation.known_customers)
        self.carrying = dict(situation.carrying)
        self.payout_vouchers = dict(situation.payout_vouchers)
        self.oss_years = dict(situation.oss_years)
        self.refunded: set[str] = set()
        self.paid = dict(situation.payments_under_way)
        self.keys: set[str] = set()
        self.fees: dict[tuple[str, date], list[FeePart]] = defaultdict(list)
        self.currencies_coming = situation.currencies_coming | {
            (entry.movement.presented or entry.movement.amount).currency
            for entry in situation.movements
            if entry.movement.kind is MovementKind.SALE and "amount" in entry.open_parts
        }
        """Currencies whose rates will be known when the sales of this plan, and those planned before, are booked."""
        self.settlement = SettlementDesk(situation, policy)
        self.chosen: list[OpenMovement] = []
        """Payments whose invoice a person has chosen."""
        self.matches: dict[tuple[str, bool], list[OpenMovement]] = defaultdict(list)

    # -- taking movements in -----------------------------------------------------------------------------

    def take(self, entry: OpenMovement) -> None:
        movement = entry.movement
        for part in movement.parts():
            if part.name not in entry.open_parts:
                continue
            reference = PartRef(movement.ref, part.name)
            if not part.amount:
                self.nought.append(reference)
            elif part.kind is PartKind.AMOUNT:
                self.take_amount(entry, reference)
            elif self.settlement.takes(movement, part.kind):
                self.settlement.take_fee(entry, reference, -part.amount)
            else:
                self.take_fee(movement, FeePart(reference, part.kind, -part.amount))

    def take_fee(self, movement: Movement, fee: FeePart) -> None:
        match fee.kind:
            case PartKind.FEE:
                self.fees[(movement.currency, day_of(movement, self.policy))].append(fee)
            case PartKind.FEE_TAX:
                facts = (("kind", "fee_tax"), ("amount", str(fee.cost)))
                self.holds.append(Hold((fee.ref,), HoldReason.KIND_NOT_BUILT, facts))
            case PartKind.FOREIGN_FEE:
                facts = (("kind", "foreign_fee"), ("amount", str(fee.cost)))
                self.holds.append(Hold((fee.ref,), HoldReason.KIND_NOT_BUILT, facts))
            case PartKind.AMOUNT:
                raise LostPart(f"{fee.ref} is no fee")
            case _:
                assert_never(fee.kind)

    def take_amount(self, entry: OpenMovement, part: PartRef) -> None:
        movement = entry.movement
        if self.taken_by_rule(movement, part):
            return
        if self.settlement.takes(movement, PartKind.AMOUNT):
            self.settlement.take_amount(entry, part)
            return
        match movement.kind:
            case MovementKind.SALE | MovementKind.REFUND:
                self.take_trade(entry, part)
            case MovementKind.FEE:
                self.take_fee(movement, FeePart(part, PartKind.FEE, -movement.amount))
            case MovementKind.PAYOUT:
                self.attempt((part,), lambda: self.payout(movement))
            case MovementKind.PAYOUT_REVERSAL:
                self.attempt((part,), lambda: self.payout_reversal(movement))
            case MovementKind.UNRECOGNISED:
                self.hold((part,), HoldReason.UNKNOWN_KIND, kind=movement.raw_kind, amount=str(movement.amount))
            case (
                MovementKind.SALE_REVERSAL
                | MovementKind.REFUND_REVERSAL
                | MovementKind.DISPUTE
                | MovementKind.DISPUTE_REVERSAL
                | MovementKind.FEE_TAX
                | MovementKind.RESERVE
                | MovementKind.TRANSFER
                | MovementKind.PLATFORM_EARNING
                | MovementKind.TOP_UP
                | MovementKind.FINANCING
                | MovementKind.CONVERSION
                | MovementKind.CONTRIBUTION
                | MovementKind.ADJUSTMENT
            ):
                self.hold(
                    (part,),
                    HoldReason.KIND_NOT_BUILT,
                    kind=movement.kind.value,
                    raw_kind=movement.raw_kind,
                    amount=str(movement.amount),
                )
            case _:
                assert_never(movement.kind)

    def taken_by_rule(self, movement: Movement, part: PartRef) -> bool:
        """Whether the company's own rules take a movement out of its usual course."""
        try:
            outcome = plan_by_rule(movement, part, self.routed.get(movement.original_ref), self.policy)
        except CannotBook as fault:
            outcome = Hold((part,), fault.reason, fault.facts)
        if outcome is None:
            return False
        sale = routed_sale(movement, outcome)
        if sale is not None:
            self.routed[source_of(movement)] = sale
        self.keep(outcome)
        return True

    def take_trade(self, entry: OpenMovement, part: PartRef) -> None:
        movement = entry.movement
        match self.policy.mode:
            case Mode.PLUS if movement.kind is MovementKind.SALE:
                self.attempt((part,), lambda: self.sale(entry))
            case Mode.PLUS:
                self.attempt((part,), lambda: self.refund(entry))
            case Mode.BASIC:
                self.gather_match(entry, part)
            case Mode.SETTLEMENT:
                raise LostPart(f"{part} belongs into a settlement voucher")
            case _:
                assert_never(self.policy.mode)

    def gather_match(self, entry: OpenMovement, part: PartRef) -> None:
        movement, home = entry.movement, self.policy.books_currency
        presented = movement.presented or movement.amount
        order = order_of(entry, self.policy)
        if movement.currency != home or presented.currency != home:
            foreign = presented.currency if presented.currency != home else movement.currency
            self.hold((part,), HoldReason.FOREIGN_CURRENCY, order_number=order, currency=foreign)
        elif entry.choice.invoice:
            self.chosen.append(entry)
        elif not order:
            self.hold((part,), HoldReason.NO_ORDER_NUMBER, source=source_of(movement))
        else:
            self.matches[(order, movement.amount.minor < 0)].append(entry)

    # -- planning one ------------------------------------------------------------------------------------

    def attempt(self, parts: tuple[PartRef, ...], make: Callable[[], Outcome]) -> None:
        try:
            self.keep(make())
        except CannotBook as fault:
            self.holds.append(Hold(parts, fault.reason, fault.facts))

    def keep(self, outcome: Outcome) -> None:
        match outcome:
            case Document():
                self.keep_document(outcome)
            case Hold():
                self.holds.append(outcome)
            case Aside():
                self.asides.append(outcome)
            case Wait():
                if outcome.until is not None and self.policy.today > outcome.until and outcome.reason in _OVERDUE:
                    self.holds.append(Hold(outcome.parts, _OVERDUE[outcome.reason], outcome.facts))
                else:
                    self.waits.append(outcome)
            case _:
                assert_never(outcome)

    def keep_document(self, document: Document) -> None:
        if document.key in self.keys:
            # A second movement of the same object, such as a charge captured twice: its keys are taken.
            another = f"another {document.kind.value} under the key {document.key}"
            self.hold(document.parts, HoldReason.KIND_NOT_BUILT, kind=another)
            return
        self.keys.add(document.key)
        self.documents.append(document)
        self.customers.update(step.key for step in document.steps if isinstance(step, CreateCustomer))
        self.oss_years = add_oss(self.oss_years, document.oss)
        for step in document.steps:
            if isinstance(step, CreatePayment) and step.invoice_number:
                closed = step.settlement.amount + (step.settlement.write_off or Money.zero(document.total.currency))
                before = self.paid.get(step.invoice_number, Money.zero(closed.currency))
                self.paid[step.invoice_number] = before + closed

    def hold(self, parts: tuple[PartRef, ...], reason: HoldReason, **facts: str) -> None:
        self.holds.append(Hold(parts, reason, tuple(facts.items())))

    def sale(self, entry: OpenMovement) -> Outcome:
        movement = entry.movement
        facts = VatFacts(self.situation.number_checks, self.oss_years)
        try:
            return await_rate(movement, self.policy) or plan_sale(movement, self.policy, self.customers, facts)
        except NumberWanted as wanted:
            until = entry.first_seen_on + timedelta(days=self.policy.vat.number_wait_days)
            about = (("vat_number", wanted.number), ("why", wanted.why))
            return Wait((PartRef(movement.ref, "amount"),), WaitReason.VAT_NUMBER, until, about)

    def refund(self, entry: OpenMovement) -> Outcome:
        movement, policy = entry.movement, self.policy
        part = (PartRef(movement.ref, "amount"),)
        about = (("original", movement.original_ref),)
        sale = self.situation.sales.get(movement.original_ref)
        until = entry.first_seen_on + timedelta(days=policy.wait_days)
        coming = sale is not None or movement.original_ref in self.situation.known_sales
        if not coming or (sale is None and policy.today > until):
            return Hold(part, HoldReason.ORIGINAL_UNKNOWN, about)
        if sale is None:
            return Wait(part, WaitReason.SALE, until, about)
        if not sale.booked or movement.original_ref in self.refunded:
            # The sale is on its way, and a second refund is planned when the first is: its shares depend on it.
            return Wait(part, WaitReason.SALE, None, about)
        outcome = plan_refund(movement, sale, policy)
        if isinstance(outcome, Document):
            self.refunded.add(movement.original_ref)
        return outcome

    def payout(self, movement: Movement) -> Outcome:
        currency = movement.currency
        foreign = currency != self.policy.books_currency
        fact = self.situation.payouts.get(movement.source_ref)
        valued = currency not in self.situation.unvalued
        outcome = plan_payout(movement, fact, self.carrying.get(currency) if foreign else None, self.policy, valued)
        if isinstance(outcome, Document):
            moved = self.payout_vouchers[movement.source_ref] = planned_payout(outcome)
            before = self.carrying.get(currency)
            if foreign and before is not None:
                self.carrying[currency] = Carrying(before.balance + movement.amount, before.books - moved.clearing)
        return outcome

    def payout_reversal(self, movement: Movement) -> Outcome:
        fact = self.situation.payouts.get(movement.source_ref)
        return plan_payout_reversal(movement, fact, self.payout_vouchers.get(movement.source_ref), self.policy)

    # -- planning groups ---------------------------------------------------------------------------------

    def finish(self) -> None:
        for outcome in self.settlement.finish():
            self.keep(outcome)
        for entry in self.chosen:
            found = self.found_for([entry])
            if found is not None:
                self.keep(plan_chosen(entry, found, self.paid, self.policy))
            else:
                self.keep(await_invoice(entry, (("invoice", entry.choice.invoice),), self.policy))
        for (order, _), group in sorted(self.matches.items()):
            found = self.found_for(group)
            if found is None:
                about = (("order_number", order),)
                self.waits += [await_invoice(entry, about, self.policy) for entry in group]
                continue
            # By order number: of two numbers that lead to one invoice, the first has it and the other is held.
            for outcome in plan_matches(group, found, self.paid, self.policy):
                self.keep(outcome)
        for (currency, day), fees in sorted(self.fees.items()):
            parts = tuple(fee.ref for fee in fees)
            if day >= self.policy.today:
                closes = day + timedelta(days=1)
                self.waits.append(Wait(parts, WaitReason.DAY_CLOSES, closes, (("day", day.isoformat()),)))
                continue
            number = self.situation.fee_vouchers.get((currency, day), 0) + 1
            coming = currency in self.currencies_coming
            self.attempt(parts, partial(plan_fees, day, fees, number, self.policy, coming))

    def found_for(self, group: list[OpenMovement]) -> tuple[InvoiceView, ...] | None:
        searched = [
            self.situation.matches[entry.movement.ref]
            for entry in group
            if entry.movement.ref in self.situation.matches
        ]
        return searched[0] if searched else None


__all__ = ["LostPart", "plan"]
