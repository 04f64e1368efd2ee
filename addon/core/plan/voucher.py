"""Vouchers: a closed day's fees, payouts to the bank, and payouts that came back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import assert_never

from addon.core.accounts import Account, AccountRole
from addon.core.documents import (
    ClearingEffect,
    Document,
    DocumentKind,
    PartRef,
    PostVoucher,
    Voucher,
    VoucherLine,
    signed_line,
)
from addon.core.fee_vat import FeeVat
from addon.core.holds import HoldReason, Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    invoice_rate,
    nearest_rate,
    open_day,
    rate_facts,
    rate_words,
    reference_text,
    require_precision,
    require_ready,
    source_of,
)
from addon.core.plan.kinds import bank_side
from addon.core.plan.situation import CannotBook, Carrying, PayoutFact, PlannedPayout
from addon.core.plan.value import Stock, balanced, carried
from addon.core.records import FeeKind, Itemisation, Movement, PartKind, PayoutState
from addon.core.rules import Policy

REVERSE_CHARGE_PERCENT = Decimal(25)
"""Sweden's standard rate, in force since 1 July 1990: what a buyer computes on services bought abroad."""


@dataclass(frozen=True, slots=True)
class FeePart:
    """An open fee of a movement: `cost` is positive, a credit of a fee negative."""

    ref: PartRef
    kind: PartKind
    cost: Money
    service: FeeKind = FeeKind.PAYMENT
    """What the fee is for, which may decide its VAT."""


def plan_fees(
    day: date,
    fees: Sequence[FeePart],
    number: int,
    policy: Policy,
    rate_may_come: bool = False,
    carrying: Carrying | None = None,
) -> Document | Wait:
    """Plan the fee voucher of a closed day and balance currency; `number` > 1 is a supplement. Raises `CannotBook`.

    The provider's own fees with the tax on them, or another company's fees, never both: those have another supplier.
    `rate_may_come`: sales in this currency are still to be booked, and their invoices will tell its rate. `carrying`
    is what the balance holds before these fees, where that is known: fees that empty it take all that it is carried at,
    so that an account without money has no value, and what earlier exchanges left there is exchange difference.
    """
    balance_currency = fees[0].cost.currency
    foreign = fees[0].kind is PartKind.FOREIGN_FEE
    parts = tuple(fee.ref for fee in fees)
    booked_on, note = open_day(day, policy)
    sums = _sums_by_kind(fees, balance_currency, policy)
    costs = Money.total((sum_.costs for sum_ in sums), balance_currency)
    credits = Money.total((sum_.credits for sum_ in sums), balance_currency)
    if balance_currency != policy.books_currency:
        # The voucher is in the books' currency; only there must its amounts be such as the ledger holds.
        rate = invoice_rate(policy, balance_currency, day)
        if rate is None and not rate_may_come and policy.today > day + timedelta(days=policy.wait_days):
            rate = nearest_rate(policy, balance_currency, day)
        if rate is None:
            return Wait(
                parts,
                WaitReason.RATE,
                day + timedelta(days=policy.wait_days),
                (("currency", balance_currency), ("day", day.isoformat())),
            )
        in_books = [replace(one, costs=rate.convert(one.costs), credits=rate.convert(one.credits)) for one in sums]
        rate_note = f", {rate_words(rate)}"
    else:
        rate = None
        require_precision(costs, policy)
        require_precision(credits, policy)
        in_books, rate_note = sums, ""
    clearing = account(policy, AccountRole.CLEARING, booked_on, balance_currency)
    lines = _fee_lines(in_books, clearing, booked_on, policy)
    if not lines:
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(costs - credits), decimals=str(policy.decimals))
    effect_books = Money.total((one.credits - one.costs for one in in_books), policy.books_currency)
    if carrying is not None and carrying.balance == costs - credits and carrying.books + effect_books:
        rest = -(carrying.books + effect_books)
        lines += balanced([(clearing, rest, "nothing is left in this currency")], booked_on, policy)
        effect_books += rest
    whose = "foreign-fees" if foreign else "fees"
    key = f"{policy.provider}/{policy.account_ref}/{whose}/{balance_currency}/{day.isoformat()}"
    if number > 1:
        key = f"{key}/{number}"
    count = "1 movement" if len(fees) == 1 else f"{len(fees)} movements"
    what = f"{'other companies fees' if foreign else 'fees'} {day.isoformat()} {balance_currency}, {count}{rate_note}"
    effect_balance = credits - costs
    return Document(
        key=key,
        kind=DocumentKind.FOREIGN_FEES if foreign else DocumentKind.FEES,
        booking_date=booked_on,
        total=effect_balance,
        parts=parts,
        clearing=(ClearingEffect(clearing, effect_balance, effect_books),),
        steps=(PostVoucher(key, Voucher(key, booked_on, reference_text(policy, what, note), tuple(lines))),),
        rule=_FOREIGN_FEE_RULE
        if foreign
        else f"One fee voucher for each closed day. VAT on fees: {_treatments_in_words(fees, policy)}.",
        facts=(("day", day.isoformat()), ("currency", balance_currency), *rate_facts(rate)),
    )


@dataclass(frozen=True, slots=True)
class _Sum:
    """A closed day's fees of one kind and treatment: what was taken, and what was given back; both positive."""

    kind: PartKind
    treatment: FeeVat
    costs: Money
    credits: Money


def _sums_by_kind(fees: Sequence[FeePart], currency: str, policy: Policy) -> list[_Sum]:
    found = []
    groups: dict[tuple[PartKind, FeeVat], list[Money]] = defaultdict(list)
    for fee in fees:
        groups[(fee.kind, fee_treatment(fee.service, policy))].append(fee.cost)
    for kind in (PartKind.FEE, PartKind.FEE_TAX, PartKind.FOREIGN_FEE):
        for treatment in FeeVat:
            amounts = groups.get((kind, treatment), [])
            if amounts:
                costs = Money.total((amount for amount in amounts if amount.minor > 0), currency)
                found.append(_Sum(kind, treatment, costs, costs - Money.total(amounts, currency)))
    return found


def fee_treatment(service: FeeKind, policy: Policy) -> FeeVat:
    """How a kind of fee is treated for VAT, by the company's profile."""
    return policy.fee_rules.treatment(service, policy.fee_vat)


def _treatments_in_words(fees: Sequence[FeePart], policy: Policy) -> str:
    """The treatment of a day's fees; with each kind by name where they differ."""
    by_kind = {fee.service: fee_treatment(fee.service, policy) for fee in fees}
    if len(set(by_kind.values())) == 1:
        return _FEE_VAT_WORDS[next(iter(by_kind.values()))]
    kinds = (kind for kind in FeeKind if kind in by_kind)
    return "; ".join(f"{_FEE_KIND_WORDS[kind]} {_FEE_VAT_WORDS[by_kind[kind]]}" for kind in kinds)


_FEE_KIND_WORDS = {
    FeeKind.PAYMENT: "payment fees",
    FeeKind.DISPUTE: "dispute fees",
    FeeKind.CONVERSION: "currency conversion",
    FeeKind.NETWORK: "card schemes",
    FeeKind.SERVICE: "other services",
    FeeKind.OTHER: "anything else",
}


FEE_ROW_WORDS = {
    PartKind.FEE: ("fees", "fees returned"),
    PartKind.FEE_TAX: ("tax on fees", "tax on fees returned"),
    PartKind.FOREIGN_FEE: ("fees of other companies", "fees of other companies returned"),
}
"""What a row of fees is called, and one of fees that came back."""


def _fee_lines(sums: Sequence[_Sum], clearing: Account, day: date, policy: Policy) -> list[VoucherLine]:
    lines: list[VoucherLine] = []
    for one in sums:
        expense = account(policy, fee_role(one.kind, one.treatment), day)
        code = policy.fee_rules.code(one.treatment) if one.kind is PartKind.FEE else ""
        for amount, text in zip((one.costs, -one.credits), FEE_ROW_WORDS[one.kind], strict=True):
            if amount:
                lines.append(replace(signed_line(expense, amount, text), vat_code=code))
                lines.append(signed_line(clearing, -amount, text))
    for one in sums if lines else ():
        if one.kind is PartKind.FEE:
            lines += fee_vat_lines(one.costs - one.credits, day, policy, one.treatment)
    return lines


def fee_role(kind: PartKind, fee_vat: FeeVat) -> AccountRole:
    """Where a kind of fee is booked.

    Tax on fees is input VAT where the provider charges this country's, else a cost: it cannot be deducted."""
    if kind is PartKind.FEE_TAX:
        return AccountRole.FEE_DOMESTIC_VAT if fee_vat is FeeVat.DOMESTIC else AccountRole.FEE_TAX
    return AccountRole.FOREIGN_FEE if kind is PartKind.FOREIGN_FEE else AccountRole.FEE


_FOREIGN_FEE_RULE = (
    "Fees that other companies took out of the payments, such as a platform's: one voucher for each closed day, on an "
    "account of their own and without VAT rows, since their own invoices decide the VAT."
)

_FEE_VAT_WORDS = {
    FeeVat.EXEMPT: "exempt as a financial service",
    FeeVat.EU_REVERSE_CHARGE: "EU reverse charge with its basis",
    FeeVat.DOMESTIC: "as charged by the provider",
    FeeVat.NON_EU_REVERSE_CHARGE: "reverse charge from outside the EU with its basis",
}


def fee_vat_lines(net: Money, day: date, policy: Policy, treatment: FeeVat | None = None) -> list[VoucherLine]:
    """The rows of VAT on fees of a net amount, basis pair included; by the treatment of payment fees if none is given.

    None where a VAT code on the fee's own row computes it. Raises `CannotBook`.
    """
    treatment = treatment or policy.fee_vat
    if policy.fee_rules.code(treatment):
        return []
    match treatment:
        case FeeVat.EXEMPT | FeeVat.DOMESTIC:
            return []
        case FeeVat.EU_REVERSE_CHARGE:
            detail = ""
        case FeeVat.NON_EU_REVERSE_CHARGE:
            detail = "NON_EU"
        case _:
            assert_never(treatment)
    if not net:
        return []
    vat = Money.rounded(net.to_decimal() * REVERSE_CHARGE_PERCENT / 100, net.currency)
    basis = account(policy, AccountRole.FEE_BASIS, day, detail)
    contra = account(policy, AccountRole.FEE_BASIS_CONTRA, day)
    lines = [
        signed_line(basis, net, "basis for VAT on services from abroad"),
        signed_line(contra, -net, "counterpart of the basis"),
    ]
    if vat:
        incoming = account(policy, AccountRole.FEE_INPUT_VAT, day)
        outgoing = account(policy, AccountRole.FEE_OUTPUT_VAT, day)
        lines += [
            signed_line(incoming, vat, "calculated input VAT 25 %"),
            signed_line(outgoing, -vat, "output VAT 25 %, reverse charge"),
        ]
    return lines


_PAID_RULE = (
    "A payout is booked when it has been paid, on the day it arrived, and only when its lines make up its amount."
)
_FAILED_RULE = (
    "A payout that failed or was cancelled before it was booked is booked on the day the balance was debited; "
    "its reversal takes it back."
)


def plan_payout(
    movement: Movement,
    fact: PayoutFact | None,
    stock: Stock,
    policy: Policy,
) -> Document | Wait:
    """Plan the voucher of a payout: bank against clearing, dated its arrival. Raises `CannotBook`.

    It waits until it is paid and, where the provider itemises it, until its lines make up its amount. A foreign
    payout relieves the clearing account at carrying value; the rest of the bank's value is exchange difference.
    `stock` is what its balance held before it; while that is not settled or has no value, it waits.

    One that failed or was called off before it was booked gets its voucher on the day the balance was debited,
    before its reversal, whenever it is planned. It needs no lines: the reversal takes all of it back.
    """
    part = (PartRef(movement.ref, "amount"),)
    if fact is None:
        return _await_payout(movement, -movement.amount, policy)
    payout, foreign = fact.payout, movement.currency != policy.books_currency
    about = (("payout", payout.ref), ("amount", str(payout.amount)))
    if payout.amount != -movement.amount:
        raise _not_proved(payout.ref, payout.amount, -movement.amount)
    match payout.state:
        case PayoutState.UNDER_WAY:
            return Wait(part, WaitReason.PAYOUT_PAID, payout.arrival_date, about)
        case PayoutState.PAID:
            arrived = payout.arrival_date or day_of(movement, policy)
            if arrived > policy.today:
                return Wait(part, WaitReason.PAYOUT_PAID, arrived, about)
            if not _proved(fact):
                return Wait(part, WaitReason.PAYOUT_ITEMS, arrived + timedelta(days=policy.wait_days), about)
        case PayoutState.FAILED | PayoutState.CANCELLED:
            arrived = max(day_of(movement, policy), fact.not_before or date.min)
    if foreign and (fact.unsettled_items or not (stock.settled and stock.rated)):
        # The carrying value is known when what came before it is booked: it is on its way, however long it takes.
        return Wait(part, WaitReason.PAYOUT_ITEMS, None, about)
    day, note = open_day(arrived, policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    # Without a date of arrival the money is on its way for as long as nobody knows: that much is sure.
    known = payout.arrival_date is not None or payout.state is not PayoutState.PAID
    bank = bank_side(policy, day, movement.currency) if known else account(policy, AccountRole.TRANSIT, day)
    rate = _bank_rate(movement.currency, arrived, policy)
    sides = _payout_sides(payout.amount, stock.carrying, rate, (bank, clearing), policy)
    if sides is None or (foreign and not stock.valued):
        until = arrived + timedelta(days=policy.wait_days)
        return Wait(part, WaitReason.RATE, until, (("currency", movement.currency), *about))
    text = reference_text(policy, f"payout {payout.ref} {payout.amount}", note)
    return _payout_document(
        f"{base_key(movement, policy)}/payout",
        DocumentKind.PAYOUT,
        movement,
        day,
        text,
        sides,
        policy,
        _PAID_RULE if payout.state is PayoutState.PAID else _FAILED_RULE,
        rate_facts(rate),
    )


def plan_payout_reversal(
    movement: Movement, fact: PayoutFact | None, voucher: PlannedPayout | None, policy: Policy
) -> Document | Wait:
    """Plan the voucher that takes a failed payout back, at what the payout's own voucher moved, and where."""
    if voucher is None:
        return _await_payout(movement, movement.amount, policy)
    if fact is not None and fact.payout.amount != movement.amount:
        raise _not_proved(fact.payout.ref, fact.payout.amount, movement.amount)
    day, note = open_day(day_of(movement, policy), policy)
    require_ready(voucher.accounts, day, policy)
    text = reference_text(policy, f"payout {source_of(movement)} came back {movement.amount}", note)
    return _payout_document(
        f"{base_key(movement, policy)}/payout-reversal",
        DocumentKind.PAYOUT_REVERSAL,
        movement,
        day,
        text,
        PlannedPayout(-voucher.bank, -voucher.clearing, voucher.accounts),
        policy,
        "A payout that failed or was cancelled is taken back by a reversing voucher of the same amounts.",
    )


def _await_payout(movement: Movement, amount: Money, policy: Policy) -> Wait:
    """Wait for the provider's own record of a payout, or for the voucher that a reversal takes back."""
    until = day_of(movement, policy) + timedelta(days=policy.wait_days)
    facts = (("payout", movement.source_ref), ("amount", str(amount)))
    if policy.today > until:
        raise CannotBook(HoldReason.PAYOUT_NOT_PROVED, **dict(facts))
    return Wait((PartRef(movement.ref, "amount"),), WaitReason.PAYOUT_PAID, until, facts)


def _proved(fact: PayoutFact) -> bool:
    """Whether a payout's lines make up its amount; not yet, where they are not all there. Raises `CannotBook`."""
    match fact.payout.itemisation:
        case Itemisation.NONE:
            return True
        case Itemisation.PENDING:
            return False
        case Itemisation.COMPLETE:
            if fact.items is not None and fact.items != fact.payout.amount:
                raise _not_proved(fact.payout.ref, fact.payout.amount, fact.items)
            return fact.items is not None
        case _:
            assert_never(fact.payout.itemisation)


def _not_proved(payout: str, amount: Money, items: Money) -> CannotBook:
    return CannotBook(HoldReason.PAYOUT_NOT_PROVED, payout=payout, amount=str(amount), items=str(items))


def _bank_rate(currency: str, day: date, policy: Policy) -> ExchangeRate | None:
    """What the bank's side of a foreign payout is valued at; None while no rate is known, or where none is needed."""
    if currency == policy.books_currency:
        return None
    rate = invoice_rate(policy, currency, day)
    if rate is None and policy.today > day + timedelta(days=policy.wait_days):
        rate = nearest_rate(policy, currency, day)
    return rate


def _payout_sides(
    amount: Money,
    carrying: Carrying | None,
    rate: ExchangeRate | None,
    accounts: tuple[Account, Account],
    policy: Policy,
) -> PlannedPayout | None:
    """What bank and clearing move by in the books' currency; None while no rate is known."""
    if amount.currency == policy.books_currency:
        return PlannedPayout(amount, amount, accounts)
    if rate is None:
        return None
    return PlannedPayout(rate.convert(amount), carried(amount, carrying, rate), accounts)


def _payout_document(
    key: str,
    kind: DocumentKind,
    movement: Movement,
    day: date,
    text: str,
    sides: PlannedPayout,
    policy: Policy,
    rule: str,
    about: tuple[tuple[str, str], ...] = (),
) -> Document:
    bank, clearing = sides.accounts
    sums = ((bank, sides.bank), (clearing, -sides.clearing))
    lines = [signed_line(number, amount, text) for number, amount in sums if amount]
    if not lines:
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(movement.amount), decimals=str(policy.decimals))
    difference = sides.clearing - sides.bank
    if difference:
        # A reversal takes back what the payout put there, so it uses the account that the payout used.
        lost = (difference.minor > 0) != (kind is DocumentKind.PAYOUT_REVERSAL)
        role = AccountRole.EXCHANGE_LOSS if lost else AccountRole.EXCHANGE_GAIN
        lines.append(signed_line(account(policy, role, day), difference, "exchange difference"))
    return Document(
        key=key,
        kind=kind,
        booking_date=day,
        total=-movement.amount,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, -sides.clearing),),
        steps=(PostVoucher(key, Voucher(key, day, text, tuple(lines))),),
        rule=rule,
        facts=(
            ("source", source_of(movement)),
            ("bank_minor", str(sides.bank.minor)),
            ("bank_account", bank.number),
            *about,
        ),
    )


def planned_payout(payout: Document) -> PlannedPayout:
    """What the document of a payout moves, which is what a reversal of it takes back."""
    (effect,) = payout.clearing
    assert effect.books is not None  # noqa: S101 - payout vouchers always know their value
    facts = dict(payout.facts)
    return PlannedPayout(
        Money(int(facts["bank_minor"]), effect.books.currency),
        -effect.books,
        (Account(AccountRole.BANK, facts["bank_account"]), effect.account),
    )
