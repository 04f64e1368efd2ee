"""The planner: every open part becomes a document, a hold or a wait; none is left over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import assert_never

from addon.core.books import InvoiceView
from addon.core.dates import start_of_day
from addon.core.documents import (
    CreateCustomer,
    CreatePayment,
    Document,
    DocumentKind,
    PartRef,
)
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.kinds import BouncedPayment, LostDispute
from addon.core.money import Money
from addon.core.plan.captures import net_captures, with_companions
from addon.core.plan.common import day_of, source_of
from addon.core.plan.conversion import partners, plan_conversion, unpaired
from addon.core.plan.dispute import plan_dispute, plan_dispute_credit, plan_dispute_loss, standing_of
from addon.core.plan.holdings import Balances, end_of, parts_of, parts_place, spread
from addon.core.plan.in_form import in_form, sale_in_form
from addon.core.plan.kinds import plan_plain, plan_reserve
from addon.core.plan.match import await_invoice, order_of, plan_chosen, plan_matches
from addon.core.plan.orphan import CREDIT, plan_orphan_refund
from addon.core.plan.rates import await_rate
from addon.core.plan.refund import plan_refund
from addon.core.plan.returns import (
    find_claim,
    open_claims,
    plan_bounced_payment,
    plan_returned_refund,
    plan_settled_claim,
)
from addon.core.plan.revaluation import comes_after, plan_revaluation
from addon.core.plan.routed import plan_by_rule, routed_sale
from addon.core.plan.sale import order_number, plan_sale
from addon.core.plan.settled_dispute import plan_settled_dispute
from addon.core.plan.settlement import SettlementDesk
from addon.core.plan.situation import (
    Aside,
    BookedSale,
    CannotBook,
    Carrying,
    Claim,
    DisputeFact,
    OpenMovement,
    Outcome,
    Place,
    Plan,
    Posting,
    Situation,
)
from addon.core.plan.value import Stock, carried_at_most, day_rate
from addon.core.plan.vat import NumberWanted, add_oss
from addon.core.plan.voucher import FeePart, plan_fees, plan_payout, plan_payout_reversal, planned_payout
from addon.core.records import Movement, MovementKind, PartKind
from addon.core.routing import route
from addon.core.rules import Mode, Policy
from addon.core.vat import VatFacts

_OVERDUE = {
    WaitReason.PAYOUT_ITEMS: HoldReason.PAYOUT_NOT_PROVED,
    WaitReason.RATE: HoldReason.NO_RATE,
    WaitReason.VAT_NUMBER: HoldReason.VAT_NUMBER_UNCHECKED,
}
"""What a wait becomes when its date has passed: nothing waits for ever. The other waits see to it themselves, or
wait for something that has its own place on a page (a payout under way, a sale that is on its way)."""


FOREIGN = "/foreign"
"""Ending of a balance currency where the fees of a day are those of other companies."""


class LostPart(AssertionError):
    """A part came out of the planner in no state or in two; nothing of this plan may be used."""


def plan(situation: Situation, policy: Policy) -> Plan:
    """Say what should be booked. Deterministic; raises `LostPart` if a part was dropped or used twice."""
    movements, companions = net_captures(situation.movements, policy.mode)
    planner = _Planner(replace(situation, movements=movements), policy)
    planner.value_year_ends()
    for entry in sorted(movements, key=lambda entry: parts_place(entry.movement)):
        planner.take(entry)
    planner.finish()
    result = Plan(
        tuple(planner.documents),
        tuple(planner.holds),
        tuple(planner.waits),
        tuple(planner.nought),
        tuple(planner.asides),
    )
    result = with_companions(result, companions)
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
        self.home = policy.books_currency
        self.balances = Balances(situation.holdings, self.home)
        self.open = {entry.movement.ref: entry.movement for entry in situation.movements}
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
        self.placed: set[PartRef] = set()
        """Parts that have a document in this plan."""
        self.rates_open = [
            ((entry.movement.presented or entry.movement.amount).currency, day_of(entry.movement, policy))
            for entry in situation.movements
            if entry.movement.kind is MovementKind.SALE
            and "amount" in entry.open_parts - entry.held_parts
            and not policy.currency_rules.official((entry.movement.presented or entry.movement.amount).currency)
            and not route(entry.movement, policy.rules).leaves_usual_course
        ]
        """Currency and day of sales whose invoices may tell a rate that only the accounting system knows."""
        self.year_ends: dict[str, Wait] = {}
        """By currency: the year end at which its balance is still to be valued."""
        self.settlement = SettlementDesk(situation, policy)
        self.chosen: list[OpenMovement] = []
        """Payments whose invoice a person has chosen."""
        self.matches: dict[tuple[str, bool], list[OpenMovement]] = defaultdict(list)
        self.reserves = dict(situation.reserves)
        self.disputes = dict(situation.disputes)
        self.claims = situation.claims
        self.partners = partners(
            entry.movement
            for entry in situation.movements
            if entry.movement.kind is MovementKind.CONVERSION and "amount" in entry.open_parts
        )
        """The other half of each conversion."""
        self.halves: dict[str, OpenMovement] = {}
        """Halves of conversions whose other half has not been met yet."""
        self.dispute_rows: dict[str, set[str]] = defaultdict(set)
        """By dispute: its rows that have no document yet."""
        self.bouncing: list[Movement] = []
        """Payments that bounced, with their reversal not planned yet."""
        for entry in situation.movements:
            movement = entry.movement
            if "amount" not in entry.open_parts:
                continue
            if movement.kind in (MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL):
                self.dispute_rows[movement.source_ref].add(movement.ref)
            elif movement.kind is MovementKind.SALE_REVERSAL:
                self.bouncing.append(movement)

    # -- the ends of years --------------------------------------------------------------------------------

    def value_year_ends(self) -> None:
        """Value foreign balances first: what leaves them later takes its share of the new value."""
        for end in sorted(self.situation.year_ends, key=lambda end: (end.last_day, end.currency)):
            try:
                outcome = plan_revaluation(end, self.policy)
            except CannotBook:
                continue  # an account is not ready, which has its own line among the checks
            if isinstance(outcome, Document):
                self.keep(outcome)
            elif outcome is not None:
                self.year_ends.setdefault(end.currency, outcome)

    def awaits_year_end(self, movement: Movement) -> Wait | None:
        end = self.year_ends.get(movement.currency)
        fact = self.situation.payouts.get(movement.source_ref)
        if end is None or not comes_after(end, movement, day_of(movement, self.policy), fact):
            return None
        return replace(end, parts=(PartRef(movement.ref, "amount"),))

    # -- taking movements in -----------------------------------------------------------------------------

    def take(self, entry: OpenMovement) -> None:
        movement = entry.movement
        for part in movement.parts():
            if part.name not in entry.open_parts:
                continue
            reference = PartRef(movement.ref, part.name)
            self.expect(entry, reference, part.kind)
            held, asides = len(self.holds), len(self.asides)
            if not part.amount and movement.kind is not MovementKind.DISPUTE_LOST:
                self.nought.append(reference)
            elif part.kind is PartKind.AMOUNT:
                self.take_amount(entry, reference)
            else:
                fee = FeePart(reference, part.kind, -part.amount, movement.service_of(part.name))
                if self.settlement.takes(movement, part.kind):
                    self.settlement.take_fee(entry, fee)
                else:
                    self.take_fee(movement, fee)
            self.settle(*self.holds[held:], *self.asides[asides:])
            if len(self.asides) == asides:
                self.foresee(movement, reference)

    # -- foreign balances ----------------------------------------------------------------------------------

    def place(self, reference: PartRef) -> tuple[Place, bool, int]:
        """Where a part stands in time, whether it leaves at carrying value, and its amount.

        In Settlement what a payout's list names comes when the payout is made: its voucher is made of that list.
        """
        movement = self.open[reference.movement_ref]
        place, away, minor = parts_of(movement)[reference.part]
        payout = self.situation.payouts.get(self.situation.payout_of.get(movement.ref, ""))
        if payout is not None and self.policy.mode is Mode.SETTLEMENT:
            place = Place(payout.payout.created_at, 0, movement.ref)
        return place, away, minor

    def expect(self, entry: OpenMovement, reference: PartRef, kind: PartKind) -> None:
        """A part that comes onto a foreign balance is on its way until it has a value. One that waits for a person
        since an earlier plan is not, nor what waits for a payout's list; nor what leaves: its value can be foreseen."""
        movement = entry.movement
        if movement.currency == self.home or reference.part in entry.held_parts:
            return
        if self.settlement.takes(movement, kind) and movement.ref not in self.situation.payout_of:
            return
        place, away, minor = self.place(reference)
        if minor and (not away or movement.kind is MovementKind.CONVERSION):
            self.balances.expect(movement.currency, reference, place, away, minor)

    def settle(self, *outcomes: Hold | Aside) -> None:
        """Nothing waits for parts that a person must look at, nor for those that are booked elsewhere."""
        for outcome in outcomes:
            for reference in outcome.parts:
                if self.open[reference.movement_ref].currency != self.home:
                    self.balances.settle(self.open[reference.movement_ref].currency, reference)

    def foresee(self, movement: Movement, reference: PartRef) -> None:
        """What leaves and has no voucher yet, such as a payout on its way, takes what it will: later ones see it."""
        if movement.currency == self.home or movement.kind is MovementKind.CONVERSION or reference.part != "amount":
            return
        place, away, minor = self.place(reference)
        if not away or reference in self.placed:
            return
        stock = self.stock(movement)
        if not (stock.settled and stock.valued and stock.carrying is not None):
            self.balances.expect(movement.currency, reference, place, away, minor)
        else:
            rate = day_rate(self.policy, movement.currency, day_of(movement, self.policy))
            value = -carried_at_most(-movement.amount, stock.carrying, rate)
            self.balances.post(movement.currency, [Posting(place, True, minor, value.minor)])

    def post(self, document: Document) -> None:
        """Put what a document does to foreign balances at the places of its parts."""
        for effect in document.clearing:
            currency = effect.balance.currency
            if currency == self.home or effect.books is None:
                continue  # what has no value yet is expected until it is booked
            if not document.parts:
                end = end_of(start_of_day(document.booking_date + timedelta(days=1), self.policy.zone))
                self.balances.post(currency, [Posting(end, False, effect.balance.minor, effect.books.minor)])
            mine = [one for one in document.parts if self.open[one.movement_ref].currency == currency]
            for reference in mine:
                self.balances.settle(currency, reference)
            if mine:
                places = [self.place(reference) for reference in mine]
                self.balances.post(currency, spread(Carrying(effect.balance, effect.books), places))

    def reach(self, movement: Movement) -> Place | None:
        """The end of the financial year that lies between a payout and its arrival: there all of it is valued."""
        year = self.policy.books.year_of(day_of(movement, self.policy))
        if year is None or self.arrives(movement) <= year.last_day:
            return None
        return end_of(start_of_day(year.last_day + timedelta(days=1), self.policy.zone))

    def arrives(self, movement: Movement) -> date:
        """The day on which a payout reaches the bank; the first day that there is for all else."""
        fact = self.situation.payouts.get(movement.source_ref) if movement.kind is MovementKind.PAYOUT else None
        return (fact.payout.arrival_date if fact is not None else None) or date.min

    def left_by_fees(self, currency: str, day: date, fees: Sequence[FeePart]) -> Carrying | Wait | None:
        """What a foreign balance is carried at that a day's fees may empty; None where they do not, a wait while that
        cannot be told. Where something else left on that day, it has taken what was there."""
        if currency == self.home or currency in self.situation.unvalued:
            return None
        first = Place(start_of_day(day, self.policy.zone), -1, "")
        last = end_of(start_of_day(day + timedelta(days=1), self.policy.zone))
        if self.balances.has_left(currency, first, last):
            return None
        own = {fee.ref for fee in fees}
        carrying, _ = self.balances.before(currency, last)
        others = {part: minor for part, minor in self.balances.on_its_way(currency, last).items() if part not in own}
        if carrying.balance.minor + sum(others.values()) != sum(fee.cost.minor for fee in fees):
            return None
        of_the_day = {fee.ref for whose in ("", FOREIGN) for fee in self.fees.get((currency + whose, day), ())}
        if others.keys() - of_the_day:
            parts = tuple(fee.ref for fee in fees)
            return Wait(parts, WaitReason.EARLIER_ENTRIES, None, (("day", day.isoformat()),))
        return None if others else carrying

    # -- gathering ---------------------------------------------------------------------------------------

    def take_fee(self, movement: Movement, fee: FeePart) -> None:
        # Another supplier's is apart from the provider's own fees, also where an account is missing for one.
        apart = FOREIGN if fee.kind is PartKind.FOREIGN_FEE else ""
        self.fees[(movement.currency + apart, day_of(movement, self.policy))].append(fee)

    def take_amount(self, entry: OpenMovement, part: PartRef) -> None:
        movement = entry.movement
        if self.taken_by_rule(movement, part):
            return
        if self.settlement.takes(movement, PartKind.AMOUNT):
            self.settlement.take_amount(entry, part)
            return
        waiting = self.awaits_year_end(movement)
        if waiting is not None:
            self.waits.append(waiting)
            return
        match movement.kind:
            case MovementKind.SALE | MovementKind.REFUND:
                self.take_trade(entry, part)
            case MovementKind.SALE_REVERSAL | MovementKind.REFUND_REVERSAL:
                self.take_return(entry, part)
            case MovementKind.DISPUTE | MovementKind.DISPUTE_REVERSAL:
                self.attempt((part,), lambda: self.dispute(movement))
            case MovementKind.DISPUTE_LOST if movement.amount:
                # The end of a dispute moves no money: one that claims to is something else.
                self.hold((part,), HoldReason.DISPUTE_UNKNOWN, dispute=movement.source_ref, amount=str(movement.amount))
            case MovementKind.DISPUTE_LOST if self.lost_elsewhere(movement):
                self.nought.append(part)
            case MovementKind.DISPUTE_LOST:
                self.attempt((part,), lambda: self.dispute_lost(entry))
            case MovementKind.RESERVE:
                self.attempt((part,), lambda: self.reserve(movement))
            case MovementKind.CONVERSION:
                self.take_conversion(entry)
            case MovementKind.FEE:
                self.take_fee(movement, FeePart(part, PartKind.FEE, -movement.amount, movement.fee_kind))
            case MovementKind.FEE_TAX:
                self.take_fee(movement, FeePart(part, PartKind.FEE_TAX, -movement.amount, movement.fee_kind))
            case MovementKind.PAYOUT:
                self.attempt((part,), lambda: self.payout(movement))
            case MovementKind.PAYOUT_REVERSAL:
                self.attempt((part,), lambda: self.payout_reversal(movement))
            case MovementKind.UNRECOGNISED:
                self.hold((part,), HoldReason.UNKNOWN_KIND, kind=movement.raw_kind, amount=str(movement.amount))
            case (
                MovementKind.TRANSFER
                | MovementKind.PLATFORM_EARNING
                | MovementKind.TOP_UP
                | MovementKind.FINANCING
                | MovementKind.CONTRIBUTION
                | MovementKind.ADJUSTMENT
            ):
                self.attempt((part,), lambda: plan_plain(movement, self.stock(movement), self.policy))
            case _:
                assert_never(movement.kind)

    def taken_by_rule(self, movement: Movement, part: PartRef) -> bool:
        """Whether the company's own rules take a movement out of its usual course."""
        try:
            stock = self.stock(movement)
            outcome = plan_by_rule(movement, part, self.routed.get(movement.original_ref), stock, self.policy)
            if isinstance(outcome, Document):
                outcome = self.awaits_year_end(movement) or outcome
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
        if entry.twin is not None and movement.kind is MovementKind.SALE:
            facts = {"order_number": order_number(movement, self.policy), "invoice": entry.twin.number}
            self.hold((part,), HoldReason.ALREADY_INVOICED, **facts, why=entry.twin.why)
            return
        if self.policy.mode is Mode.BASIC:
            self.gather_match(entry, part)
        elif movement.kind is MovementKind.SALE:
            self.attempt((part,), lambda: self.sale(entry))
        else:
            self.attempt((part,), lambda: self.refund(entry))

    def take_return(self, entry: OpenMovement, part: PartRef) -> None:
        """A payment or refund that bounced: what was booked is taken back, or the sale undone."""
        movement, policy = entry.movement, self.policy
        returned = movement.kind is MovementKind.REFUND_REVERSAL
        before_ref = movement.source_ref if returned else movement.original_ref
        before = self.situation.moved.get(before_ref)
        about = (("original", before_ref), ("amount", str(movement.amount)))
        if before is None or not before.booked:
            until = entry.first_seen_on + timedelta(days=policy.wait_days)
            coming = before is not None or (before_ref in self.situation.known_sales and policy.today <= until)
            if coming:
                self.waits.append(Wait((part,), WaitReason.SALE, None if before is not None else until, about))
            else:
                self.holds.append(Hold((part,), HoldReason.ORIGINAL_UNKNOWN, about))
        elif abs(movement.amount.minor) > abs(before.balance.minor):
            facts = {"original": before_ref, "paid": str(before.balance), "refund": str(movement.amount)}
            self.hold((part,), HoldReason.REFUND_EXCEEDS, **facts)
        elif returned:
            self.attempt((part,), lambda: plan_returned_refund(movement, before, policy))
        elif -movement.amount == before.balance and policy.kind_rules.bounced_payment is BouncedPayment.CLAIM:
            self.attempt((part,), lambda: plan_bounced_payment(movement, before, policy))
        else:
            # Keys are named after what moved: the charge itself names those of its sale.
            self.take_trade(replace(entry, movement=replace(movement, source_ref=movement.ref)), part)

    def gather_match(self, entry: OpenMovement, part: PartRef) -> None:
        movement, home = entry.movement, self.policy.books_currency
        presented = movement.presented or movement.amount
        order = order_of(entry, self.policy)
        claim = find_claim(movement, order, self.claims)
        if claim is not None and not entry.choice.invoice:
            self.attempt((part,), lambda: self.settled_claim(movement, claim))
        elif self.bounces(movement, order, entry):
            self.waits.append(Wait((part,), WaitReason.SALE, None, (("order_number", order),)))
        elif movement.currency != home or presented.currency != home:
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
                self.settle_dispute_rows(outcome.parts)
            case Wait():
                if outcome.until is not None and self.policy.today > outcome.until and outcome.reason in _OVERDUE:
                    self.holds.append(Hold(outcome.parts, _OVERDUE[outcome.reason], outcome.facts))
                else:
                    self.waits.append(outcome)
            case _:
                assert_never(outcome)

    def keep_document(self, document: Document) -> None:
        try:
            document = in_form(document, self.policy)
        except CannotBook as fault:
            self.holds.append(Hold(document.parts, fault.reason, fault.facts))
            return
        if document.key in self.keys:
            # A second movement of the same object, such as a charge captured twice: its keys are taken.
            another = f"another {document.kind.value} under the key {document.key}"
            self.hold(document.parts, HoldReason.KIND_NOT_BUILT, kind=another)
            return
        self.keys.add(document.key)
        self.documents.append(document)
        self.remember(document)
        self.customers.update(step.key for step in document.steps if isinstance(step, CreateCustomer))
        self.oss_years = add_oss(self.oss_years, document.oss)
        for step in document.steps:
            if isinstance(step, CreatePayment) and step.invoice_number:
                closed = step.settlement.amount + (step.settlement.write_off or Money.zero(document.total.currency))
                before = self.paid.get(step.invoice_number, Money.zero(closed.currency))
                self.paid[step.invoice_number] = before + closed

    def remember(self, document: Document) -> None:
        """Keep what later movements of this plan build on: what the balances are carried at, and what is owed."""
        home = self.home
        self.placed.update(document.parts)
        self.post(document)
        for effect in document.clearing:
            currency = effect.balance.currency
            if effect.books is not None and currency != home and document.kind is DocumentKind.RESERVE:
                held = self.reserves.get(currency, Carrying(Money.zero(currency), Money.zero(home)))
                self.reserves[currency] = Carrying(held.balance - effect.balance, held.books - effect.books)
        self.claims = open_claims((document.facts,), home, self.claims)
        dispute = dict(document.facts).get("dispute", "")
        if dispute:
            fact = self.disputes.get(dispute, DisputeFact(None))
            charged, where = standing_of((document.facts,), home, fact.charged)
            self.disputes[dispute] = replace(fact, charged=charged, account=fact.account or where)
        self.settle_dispute_rows(document.parts)
        self.bouncing = [one for one in self.bouncing if PartRef(one.ref, "amount") not in document.parts]

    def settle_dispute_rows(self, parts: tuple[PartRef, ...]) -> None:
        """These parts have found their place: a dispute whose rows they are waits for them no longer."""
        for rows in self.dispute_rows.values():
            rows.difference_update(part.movement_ref for part in parts)

    def hold(self, parts: tuple[PartRef, ...], reason: HoldReason, **facts: str) -> None:
        self.holds.append(Hold(parts, reason, tuple(facts.items())))

    def sale(self, entry: OpenMovement) -> Outcome:
        movement = entry.movement
        order = order_number(movement, self.policy)
        claim = find_claim(movement, order, self.claims)
        if claim is not None:
            return self.settled_claim(movement, claim)
        if self.bounces(movement, order, entry):
            return Wait((PartRef(movement.ref, "amount"),), WaitReason.SALE, None, (("order_number", order),))
        facts = VatFacts(self.situation.number_checks, self.oss_years)
        try:
            waits = await_rate(movement, self.policy)
            return waits or self.in_form(plan_sale(movement, self.policy, self.customers, facts), movement)
        except NumberWanted as wanted:
            until = entry.first_seen_on + timedelta(days=self.policy.vat.number_wait_days)
            about = (("vat_number", wanted.number), ("why", wanted.why))
            return Wait((PartRef(movement.ref, "amount"),), WaitReason.VAT_NUMBER, until, about)

    def settled_claim(self, movement: Movement, claim: Claim) -> Outcome:
        return plan_settled_claim(movement, claim, self.stock(movement), self.policy)

    def bounces(self, movement: Movement, order: str, entry: OpenMovement) -> bool:
        """Whether an earlier payment of the same order and amount has bounced and that is still to be planned.

        Then this one may be the second try, which the planned claim will tell: no second sale is made meanwhile.
        """
        if not order or movement.amount.minor < 0 or self.policy.kind_rules.bounced_payment is not BouncedPayment.CLAIM:
            return False
        if self.policy.today > entry.first_seen_on + timedelta(days=self.policy.wait_days):
            return False
        paid = movement.presented or movement.amount
        return any(
            bounced.original_ref != movement.source_ref
            and bounced.occurred_at <= movement.occurred_at
            and order_number(bounced, self.policy) == order
            and -(bounced.presented or bounced.amount) == paid
            for bounced in self.bouncing
        )

    def stock(self, movement: Movement) -> Stock:
        """What a balance was carried at before a movement, and whether that is known."""
        currency = movement.currency
        if currency == self.home:
            return Stock()
        carrying, settled = self.balances.before(currency, parts_place(movement), self.reach(movement))
        coming = self.rates_coming(currency)
        rated = coming is None or coming >= max(self.arrives(movement), day_of(movement, self.policy))
        return Stock(carrying, currency not in self.situation.unvalued, settled, rated)

    def reserve(self, movement: Movement) -> Outcome:
        currency = movement.currency
        return plan_reserve(movement, self.reserves.get(currency), self.stock(movement), self.policy)

    def dispute(self, movement: Movement) -> Outcome:
        fact = self.disputes.get(movement.source_ref, DisputeFact(None))
        last = not self.dispute_rows[movement.source_ref] - {movement.ref}
        return plan_dispute(movement, fact, last, self.stock(movement), self.policy)

    def lost_elsewhere(self, movement: Movement) -> bool:
        """Whether a lost dispute's money went the way of a sale that a rule took out of its usual course."""
        fact = self.disputes.get(movement.source_ref, DisputeFact(None))
        stands = self.dispute_rows[movement.source_ref] or any(charged.balance for charged in fact.charged)
        return movement.original_ref in self.routed and not stands

    def dispute_lost(self, entry: OpenMovement) -> Outcome:
        """A lost dispute: written off, or its sale undone. Nothing where a person has taken the dispute over."""
        movement, policy = entry.movement, self.policy
        part = (PartRef(movement.ref, "amount"),)
        about = (("dispute", movement.source_ref), ("original", movement.original_ref))
        if self.dispute_rows[movement.source_ref]:
            return Wait(part, WaitReason.DISPUTE, None, about)
        fact = self.disputes.get(movement.source_ref, DisputeFact(None))
        if not any(charged.balance for charged in fact.charged):
            raise CannotBook(HoldReason.DISPUTE_UNKNOWN, **dict(about))
        match policy.kind_rules.dispute_lost:
            case LostDispute.LOSS:
                return plan_dispute_loss(movement, fact, policy)
            case LostDispute.CREDIT_NOTE:
                return self.dispute_credit(entry, fact)
            case _:
                assert_never(policy.kind_rules.dispute_lost)

    def dispute_credit(self, entry: OpenMovement, fact: DisputeFact) -> Outcome:
        movement = entry.movement
        part = (PartRef(movement.ref, "amount"),)
        if self.policy.mode is Mode.BASIC:
            return Hold(part, HoldReason.CREDIT_NOTE_BY_HAND, (("dispute", movement.source_ref),))
        if self.settlement.concerns(movement.original_ref):
            return Wait(part, WaitReason.SALE, None, (("original", movement.original_ref),))
        settled = self.settlement.settled.get(movement.original_ref)
        if settled is not None:
            undone, rest = plan_settled_dispute(movement, fact, settled, self.policy)
            self.settlement.settled[movement.original_ref] = rest
            return undone
        sale = self.awaited_sale(entry)
        if not isinstance(sale, BookedSale):
            return sale
        document = plan_dispute_credit(movement, fact, sale, self.policy)
        self.refunded.add(movement.original_ref)
        return document

    def take_conversion(self, entry: OpenMovement) -> None:
        other = self.halves.pop(self.partners.get(entry.movement.ref, ""), None)
        if other is None:
            self.halves[entry.movement.ref] = entry
            return
        gone, come = sorted((other.movement, entry.movement), key=lambda half: half.amount.minor)
        parts = tuple(PartRef(half.ref, "amount") for half in (gone, come))
        self.attempt(parts, lambda: plan_conversion(gone, come, self.stock(gone), self.policy))

    def in_form(self, planned: Document, movement: Movement) -> Document:
        return sale_in_form(planned, movement, self.situation.registers, self.policy)

    def refund(self, entry: OpenMovement) -> Outcome:
        movement = entry.movement
        claim = find_claim(movement, "", self.claims)
        if claim is not None:
            return self.settled_claim(movement, claim)
        sale = self.awaited_sale(entry)
        if isinstance(sale, Hold) and sale.reason is HoldReason.ORIGINAL_UNKNOWN and entry.decision.startswith(CREDIT):
            return plan_orphan_refund(movement, entry.decision.removeprefix(CREDIT), self.policy, self.customers)
        if not isinstance(sale, BookedSale):
            return sale
        outcome = plan_refund(movement, sale, self.policy)
        if isinstance(outcome, Document):
            self.refunded.add(movement.original_ref)
        return outcome

    def awaited_sale(self, entry: OpenMovement) -> BookedSale | Outcome:
        """The sale that a movement gives back, once it is booked and no other refund of it is being planned."""
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
        return sale

    def payout(self, movement: Movement) -> Outcome:
        fact = self.situation.payouts.get(movement.source_ref)
        outcome = plan_payout(movement, fact, self.stock(movement), self.policy)
        if isinstance(outcome, Document):
            self.payout_vouchers[movement.source_ref] = planned_payout(outcome)
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
        for _, half in sorted(self.halves.items()):
            self.keep(unpaired(half, self.policy))
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
            held = len(self.holds)
            parts = tuple(fee.ref for fee in fees)
            if day >= self.policy.today:
                closes = day + timedelta(days=1)
                self.waits.append(Wait(parts, WaitReason.DAY_CLOSES, closes, (("day", day.isoformat()),)))
                continue
            coming_on = self.rates_coming(currency.removesuffix(FOREIGN))
            if coming_on is not None and coming_on < day:
                # What is known of rates by then must not depend on when this is planned.
                self.waits.append(Wait(parts, WaitReason.EARLIER_ENTRIES, None, (("day", day.isoformat()),)))
                continue
            number = self.situation.fee_vouchers.get((currency, day), 0) + 1
            coming = currency.removesuffix(FOREIGN) in self.currencies_coming
            carrying = self.left_by_fees(currency.removesuffix(FOREIGN), day, fees)
            if isinstance(carrying, Wait):
                self.waits.append(carrying)
                continue
            self.attempt(parts, partial(plan_fees, day, fees, number, self.policy, coming, carrying))
            self.settle(*self.holds[held:])

    def rates_coming(self, currency: str) -> date | None:
        """The earliest day of a sale whose invoice will tell the accounting system's own rate of a currency."""
        if currency == self.policy.books_currency or self.policy.currency_rules.official(currency):
            return None
        days = [day for base, day in self.situation.rates_coming.items() if base == currency]
        days += [day for base, day in self.rates_open if base == currency]
        return min(days, default=None)

    def found_for(self, group: list[OpenMovement]) -> tuple[InvoiceView, ...] | None:
        searched = [
            self.situation.matches[entry.movement.ref]
            for entry in group
            if entry.movement.ref in self.situation.matches
        ]
        return searched[0] if searched else None


__all__ = ["LostPart", "plan"]
