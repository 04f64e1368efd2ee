"""Vouchers: a closed day's fees, payouts to the bank, and payouts that came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

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
from addon.core.holds import HoldReason, Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    invoice_rate,
    nearest_rate,
    open_day,
    reference_text,
    require_precision,
    require_ready,
    source_of,
    value_rate,
)
from addon.core.plan.situation import CannotBook, Carrying, PayoutFact, PlannedPayout
from addon.core.records import Itemisation, Movement, PartKind, PayoutState
from addon.core.rules import FeeVat, Policy

REVERSE_CHARGE_PERCENT = Decimal(25)
"""Sweden's standard rate, in force since 1 July 1990: what a buyer computes on services bought abroad."""


@dataclass(frozen=True, slots=True)
class FeePart:
    """An open fee of a movement: `cost` is positive, a credit of a fee negative."""

    ref: PartRef
    kind: PartKind
    cost: Money


def plan_fees(
    day: date, fees: Sequence[FeePart], number: int, policy: Policy, rate_may_come: bool = False
) -> Document | Wait:
    """Plan the fee voucher of a closed day and balance currency; `number` > 1 is a supplement. Raises `CannotBook`.

    `rate_may_come`: sales in this currency are still to be booked, and their invoices will tell its rate.
    """
    balance_currency = fees[0].cost.currency
    parts = tuple(fee.ref for fee in fees)
    booked_on, note = open_day(day, policy)
    costs = Money.total((fee.cost for fee in fees if fee.cost.minor > 0), balance_currency)
    credits = Money.total((-fee.cost for fee in fees if fee.cost.minor < 0), balance_currency)
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
        books_costs, books_credits = rate.convert(costs), rate.convert(credits)
        rate_note = f", {rate.rate} per {rate.unit} {balance_currency} of {rate.fixed_on.isoformat()}"
    else:
        require_precision(costs, policy)
        require_precision(credits, policy)
        books_costs, books_credits, rate_note = costs, credits, ""
    clearing = account(policy, AccountRole.CLEARING, booked_on, balance_currency)
    expense = account(policy, AccountRole.FEE, booked_on)
    lines: list[VoucherLine] = []
    for amount, text in ((books_costs, "fees"), (-books_credits, "fees returned")):
        if amount:
            lines += [signed_line(expense, amount, text), signed_line(clearing, -amount, text)]
    if not lines:
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(costs - credits), decimals=str(policy.decimals))
    lines += fee_vat_lines(books_costs - books_credits, booked_on, policy)
    key = f"{policy.provider}/{policy.account_ref}/fees/{balance_currency}/{day.isoformat()}"
    if number > 1:
        key = f"{key}/{number}"
    count = "1 movement" if len(fees) == 1 else f"{len(fees)} movements"
    what = f"fees {day.isoformat()} {balance_currency}, {count}{rate_note}"
    effect_balance = credits - costs
    return Document(
        key=key,
        kind=DocumentKind.FEES,
        booking_date=booked_on,
        total=effect_balance,
        parts=parts,
        clearing=(ClearingEffect(clearing, effect_balance, books_credits - books_costs),),
        steps=(PostVoucher(key, Voucher(key, booked_on, reference_text(policy, what, note), tuple(lines))),),
        rule=f"One fee voucher for each closed day. VAT on fees: {_FEE_VAT_WORDS[policy.fee_vat]}.",
        facts=(("day", day.isoformat()), ("currency", balance_currency)),
    )


_FEE_VAT_WORDS = {
    FeeVat.EXEMPT: "exempt as a financial service",
    FeeVat.EU_REVERSE_CHARGE: "EU reverse charge with its basis",
    FeeVat.DOMESTIC: "as charged by the provider",
    FeeVat.NON_EU_REVERSE_CHARGE: "reverse charge from outside the EU with its basis",
}


def fee_vat_lines(net: Money, day: date, policy: Policy) -> list[VoucherLine]:
    """The rows of VAT on fees of a net amount, basis pair included, as the company treats them. Raises `CannotBook`."""
    match policy.fee_vat:
        case FeeVat.EXEMPT | FeeVat.DOMESTIC:
            return []
        case FeeVat.EU_REVERSE_CHARGE:
            detail = ""
        case FeeVat.NON_EU_REVERSE_CHARGE:
            detail = "NON_EU"
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
    carrying: Carrying | None,
    policy: Policy,
    valued: bool = True,
) -> Document | Wait:
    """Plan the voucher of a payout: bank against clearing, dated its arrival. Raises `CannotBook`.

    It waits until it is paid and, where the provider itemises it, until its lines make up its amount. A foreign
    payout relieves the clearing account at carrying value; the rest of the bank's value is exchange difference.
    `valued` False: what its balance opened with has no value yet, so that the carrying value cannot be told.

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
    if foreign and fact.unsettled_items:
        # The carrying value is known when its lines are booked: they are on their way, however long it takes.
        return Wait(part, WaitReason.PAYOUT_ITEMS, None, about)
    day, note = open_day(arrived, policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    bank = account(policy, AccountRole.BANK, day, movement.currency)
    sides = _payout_sides(payout.amount, carrying, arrived, (bank, clearing), policy)
    if sides is None or (foreign and not valued):
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


def _not_proved(payout: str, amount: Money, items: Money) -> CannotBook:
    return CannotBook(HoldReason.PAYOUT_NOT_PROVED, payout=payout, amount=str(amount), items=str(items))


def _payout_sides(
    amount: Money, carrying: Carrying | None, day: date, accounts: tuple[Account, Account], policy: Policy
) -> PlannedPayout | None:
    """What bank and clearing move by in the books' currency; None while no rate is known."""
    if amount.currency == policy.books_currency:
        return PlannedPayout(amount, amount, accounts)
    rate = value_rate(policy, amount.currency, day)
    if rate is None and policy.today > day + timedelta(days=policy.wait_days):
        rate = nearest_rate(policy, amount.currency, day)
    if rate is None:
        return None
    return PlannedPayout(rate.convert(amount), _carried(amount, carrying, rate), accounts)


def _carried(amount: Money, carrying: Carrying | None, rate: ExchangeRate) -> Money:
    """What an amount is carried at: its share of what lies there, or all of that.

    What goes beyond it, as after a start in mid-life, is worth the day's rate. A balance below nought, which the
    provider takes from the bank, is relieved in the same way.
    """
    if carrying is None or carrying.balance.minor * amount.minor <= 0:
        return rate.convert(amount)
    beyond = amount - carrying.balance
    if beyond.minor * amount.minor >= 0:
        return carrying.books + rate.convert(beyond)
    share = Decimal(amount.minor) / Decimal(carrying.balance.minor)
    return Money.rounded(carrying.books.to_decimal() * share, carrying.books.currency)


def _payout_document(
    key: str,
    kind: DocumentKind,
    movement: Movement,
    day: date,
    text: str,
    sides: PlannedPayout,
    policy: Policy,
    rule: str,
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
