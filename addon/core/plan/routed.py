"""What the company's own rules make of a movement: a voucher, a hold, or that it is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from addon.core.accounts import Account, AccountRole
from addon.core.documents import (
    ClearingEffect,
    CustomerVat,
    Document,
    DocumentKind,
    InvoiceLine,
    PartRef,
    PostVoucher,
    Voucher,
    VoucherLine,
)
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.money import Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    invoice_rate,
    open_day,
    rate_facts,
    rate_words,
    reference_text,
    require_ready,
    source_of,
)
from addon.core.plan.situation import Aside, CannotBook, Carrying, Outcome
from addon.core.plan.value import Stock, balanced, share_of, worth_of
from addon.core.plan.vat import NumberWanted, SaleVat, VatLine, vat_of_sale
from addon.core.records import Movement, MovementKind
from addon.core.routing import Action, RoutedSale, Routing, Rule, follows, route, vat_percent
from addon.core.rules import Mode, Policy
from addon.core.vat import VatFacts


def plan_by_rule(
    movement: Movement, part: PartRef, sale: RoutedSale | None, stock: Stock, policy: Policy
) -> Outcome | None:
    """What the rules make of a movement's amount; None if it takes its usual course. Raises `CannotBook`.

    `sale` is how a rule took the movement's sale out of the usual course: then that is followed before any rule.
    `stock` is what the movement's balance holds before it.
    """
    followed = follows(movement, sale)
    if followed is not None:
        if not followed.contra_account:
            return _aside(part, followed.where, followed.name)
        return _voucher(movement, followed.contra_account, followed.name, stock, policy, followed)
    routing = route(movement, policy.rules)
    if routing.rule is None or not routing.leaves_usual_course:
        return None
    rule = routing.rule
    match rule.action:
        case Action.IGNORE:
            return _aside(part, rule.where, rule.name)
        case Action.HOLD:
            facts = (("rule", rule.name), ("amount", str(movement.amount)))
            return Hold((part,), HoldReason.RULE_HOLDS, facts)
        case Action.BOOK:
            return _voucher(movement, rule.contra_account, rule.name, stock, policy, rule=rule)
        case _:
            assert_never(rule.action)


def routed_sale(movement: Movement, outcome: Outcome) -> RoutedSale | None:
    """What refunds of a sale must know of the rule that took it out of its usual course."""
    match outcome:
        case Aside() if movement.kind is MovementKind.SALE:
            return RoutedSale(outcome.rule, where=outcome.where)
        case Document() if movement.kind is MovementKind.SALE and outcome.kind is DocumentKind.ROUTED:
            return routed_by(outcome)
        case _:
            return None


def routed_by(document: Document) -> RoutedSale:
    """The same, of a document that is planned or booked."""
    facts = dict(document.facts)
    (effect,) = document.clearing
    return RoutedSale(facts["rule"], facts["contra_account"], balance=effect.balance, books=effect.books)


def _aside(part: PartRef, where: str, name: str) -> Aside:
    return Aside((part,), where, name)


def _voucher(
    movement: Movement,
    number: str,
    name: str,
    stock: Stock,
    policy: Policy,
    sale: RoutedSale | None = None,
    rule: Rule | None = None,
) -> Document | Wait:
    """Clearing against the account that a rule names, gross, without VAT, on the movement's own day.

    Money that leaves a foreign balance takes its carrying value with it. What goes back of a `sale` stands against the
    account at what the sale put there; the rest is exchange difference.
    """
    part = (PartRef(movement.ref, "amount"),)
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    contra = Account(AccountRole.BY_RULE, number)
    require_ready((contra,), day, policy, (rule.cost_centre, rule.project) if rule else ("", ""))
    rate_note = ""
    if movement.currency != policy.books_currency:
        rate = invoice_rate(policy, movement.currency, day_of(movement, policy))
        if rate is None:
            until = day_of(movement, policy) + timedelta(days=policy.wait_days)
            return Wait(part, WaitReason.RATE, until, (("currency", movement.currency), ("day", day.isoformat())))
        if movement.amount.minor > 0:
            rate_note = f", {rate_words(rate)}"
    worth = worth_of(movement, stock, policy)
    if isinstance(worth, Wait):
        return worth
    # Several movements may name one object (a dispute's money and its fee): each has a voucher of its own.
    key = f"{base_key(replace(movement, source_ref=''), policy)}/rule"
    what = f"{movement.kind.value.replace('_', ' ')} {source_of(movement)} {movement.amount}{rate_note}, {name}"
    against = _sold_at(sale, movement) or worth.today
    lines = balanced([(clearing, worth.clearing, name), (contra, -against, name)], day, policy)
    if rule is not None:
        codes = (rule.cost_centre, rule.project)
        lines = tuple(_with_codes(line, codes) if line.account == contra else line for line in lines)
    routing = Routing(rule)
    return Document(
        key=key,
        kind=DocumentKind.ROUTED,
        booking_date=day,
        total=movement.amount,
        parts=part,
        clearing=(ClearingEffect(clearing, movement.amount, worth.clearing),),
        steps=(PostVoucher(key, Voucher(key, day, reference_text(policy, what, note), lines)),),
        rule=routing.why or f'The same way as its sale, by your rule "{name}": against account {number}.',
        facts=(("source", source_of(movement)), ("rule", name), ("contra_account", number), *rate_facts(worth.rate)),
    )


def _with_codes(line: VoucherLine, codes: tuple[str, str]) -> VoucherLine:
    return replace(line, cost_centre=codes[0], project=codes[1])


def _sold_at(sale: RoutedSale | None, movement: Movement) -> Money | None:
    """What goes back of a sale was worth when it was sold; None where that cannot be told."""
    if sale is None or not sale.balance or sale.books is None or sale.balance.currency != movement.currency:
        return None
    return share_of(Carrying(sale.balance, sale.books), movement.amount)


def vat_by_rule(paid: Money, what: str, routing: Routing, policy: Policy) -> SaleVat | None:
    """The VAT of a sale as a rule says, all of it in one line; None where no rule says anything of VAT."""
    if routing.rule is None or not routing.rule.vat:
        return None
    treatment = routing.rule.vat
    customer = CustomerVat.EXPORT if treatment == "EXPORT" else CustomerVat.DOMESTIC
    percent = Decimal(vat_percent(treatment))
    country = policy.books.identity.country if customer is CustomerVat.DOMESTIC else ""
    line = VatLine(what, paid, percent, treatment, customer, country, routing.why)
    return SaleVat((line,), customer, treatment, routing.why)


def routed_lines(lines: Sequence[InvoiceLine], routing: Routing, day: date, policy: Policy) -> tuple[InvoiceLine, ...]:
    """Rows of a sale's invoice with the account, cost centre and project that a rule names. Raises `CannotBook`."""
    rule = routing.rule
    if rule is None:
        return tuple(lines)
    if rule.account:
        sales = Account(AccountRole.SALES, rule.account)
        require_ready((sales,), day, policy, (rule.cost_centre, rule.project))
        lines = [replace(line, account=sales) for line in lines]
    return tuple(
        replace(line, cost_centre=rule.cost_centre or line.cost_centre, project=rule.project or line.project)
        for line in lines
    )


class Way(StrEnum):
    """How a movement comes into the books."""

    INVOICE = "invoice"
    """An invoice is made for it."""
    MATCH = "match"
    """Its payment is registered on an invoice that is there."""
    VOUCHER = "voucher"
    """A voucher against an account that a rule names."""
    ASIDE = "aside"
    HELD = "held"
    USUAL = "usual"
    """As its kind is booked without any rule."""


@dataclass(frozen=True, slots=True)
class Course:
    """In short what becomes of a movement, to be compared before a rule is saved."""

    way: Way
    account: str = ""
    vat: str = ""
    cost_centre: str = ""
    project: str = ""
    where: str = ""


def course_of(movement: Movement, routing: Routing, policy: Policy | None) -> Course:
    """What would become of a movement; `policy` None: nothing is chosen yet, so the usual course cannot be told."""
    rule = routing.rule
    if rule is not None and rule.action is Action.IGNORE:
        return Course(Way.ASIDE, where=rule.where)
    if rule is not None and rule.action is Action.HOLD:
        return Course(Way.HELD)
    if rule is not None and rule.contra_account:
        return Course(Way.VOUCHER, rule.contra_account, "", rule.cost_centre, rule.project)
    if movement.kind is not MovementKind.SALE or policy is None or policy.mode is Mode.SETTLEMENT:
        return Course(Way.USUAL)
    if policy.mode is Mode.BASIC:
        return Course(Way.MATCH)
    try:
        paid = movement.presented or movement.amount
        vat = vat_by_rule(paid, "", routing, policy)
        vat = vat or vat_of_sale(movement, paid, day_of(movement, policy), policy, VatFacts(), "")
    except (CannotBook, NumberWanted):
        return Course(Way.HELD)  # or it waits for the register of VAT numbers: either way no rule is the cause
    sales = policy.accounts.find(AccountRole.SALES, vat.treatment)
    number = sales.number if sales is not None else ""
    if rule is None:
        return Course(Way.INVOICE, number, vat.treatment)
    return Course(Way.INVOICE, rule.account or number, vat.treatment, rule.cost_centre, rule.project)
