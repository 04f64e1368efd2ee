"""What a movement is worth in the books: money that comes in at the day's rate, money that leaves at carrying value."""

from __future__ import annotations

import hashlib
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
from addon.core.plan.common import account, day_of, invoice_rate, nearest_rate, require_precision, source_of
from addon.core.plan.situation import CannotBook, Carrying
from addon.core.records import Movement
from addon.core.rules import Policy

_LONGEST_REF = 50


@dataclass(frozen=True, slots=True)
class Stock:
    """What a balance holds just before a movement, and whether that is known.

    `valued` False: what it opened with has no value yet. `settled` False: entries before this one are on their way,
    and what they put there is known when they are booked. `rated` False: invoices on their way will tell the
    accounting system's own rate that holds on its day.
    """

    carrying: Carrying | None = None
    valued: bool = True
    settled: bool = True
    rated: bool = True


@dataclass(frozen=True, slots=True)
class Worth:
    """A movement in the books' currency, both signed like it: on the clearing account, and at the day's rate."""

    clearing: Money
    today: Money
    rate: ExchangeRate | None = None
    """The day's rate, where one was needed."""


def carried(amount: Money, carrying: Carrying | None, rate: ExchangeRate) -> Money:
    """What an amount is carried at: its share of what lies there, or all of that.

    What goes beyond it, as after a start in mid-life, is worth the day's rate. A balance below nought, which the
    provider takes from the bank, is relieved in the same way.
    """
    if carrying is None or carrying.balance.minor * amount.minor <= 0:
        return rate.convert(amount)
    beyond = amount - carrying.balance
    if beyond.minor * amount.minor >= 0:
        return carrying.books + rate.convert(beyond)
    return share_of(carrying, amount)


def carried_at_most(amount: Money, carrying: Carrying, rate: ExchangeRate | None) -> Money:
    """The same where perhaps no rate is known: then what goes beyond what lies there is worth nothing."""
    if rate is not None:
        return carried(amount, carrying, rate)
    if carrying.balance.minor * amount.minor <= 0:
        return Money.zero(carrying.books.currency)
    if (amount - carrying.balance).minor * amount.minor >= 0:
        return carrying.books
    return share_of(carrying, amount)


def share_of(carrying: Carrying, amount: Money) -> Money:
    """The share of a carrying value that a part of its balance has, rounded half away from nought."""
    share = Decimal(amount.minor) / Decimal(carrying.balance.minor)
    return Money.rounded(carrying.books.to_decimal() * share, carrying.books.currency)


def day_rate(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The rate of a day's invoices; the nearest known one for what has waited its time for it."""
    rate = invoice_rate(policy, currency, day)
    if rate is None and policy.today > day + timedelta(days=policy.wait_days):
        return nearest_rate(policy, currency, day)
    return rate


def worth_of(movement: Movement, stock: Stock, policy: Policy, rate: ExchangeRate | None = None) -> Worth | Wait:
    """What the amount of a movement is worth in the books. Raises `CannotBook`.

    In the books' own currency that is the amount. Elsewhere money that comes in has the day's rate, or the one that
    is given, money that leaves takes its share of what the account is carried at.
    """
    amount = movement.amount
    if amount.currency == policy.books_currency:
        require_precision(amount, policy)
        return Worth(amount, amount)
    part, day = (PartRef(movement.ref, "amount"),), day_of(movement, policy)
    about = (("currency", amount.currency), ("amount", str(amount)))
    if not stock.rated:
        return Wait(part, WaitReason.EARLIER_ENTRIES, None, about)
    rate = rate or day_rate(policy, amount.currency, day)
    if rate is None or (amount.minor < 0 and not stock.valued):
        return Wait(part, WaitReason.RATE, day + timedelta(days=policy.wait_days), about)
    if amount.minor >= 0:
        value = rate.convert(amount)
        return Worth(value, value, rate)
    if not stock.settled:
        return Wait(part, WaitReason.EARLIER_ENTRIES, None, about)
    return Worth(-carried(-amount, stock.carrying, rate), rate.convert(amount), rate)


def movement_key(movement: Movement, policy: Policy) -> str:
    """What the key of a movement's own voucher begins with: the movement, since one object may have several."""
    ref = movement.ref
    if len(ref) > _LONGEST_REF:
        ref = hashlib.sha256(ref.encode()).hexdigest()[:40]
    return f"{policy.provider}/{ref}"


def balanced(sides: Sequence[tuple[Account, Money, str]], day: date, policy: Policy) -> tuple[VoucherLine, ...]:
    """Voucher lines of signed sides, those of nought left out; what they do not sum to is exchange difference.

    Raises `CannotBook` where nothing is left, as of an amount below the books' smallest unit.
    """
    lines = [signed_line(number, amount, text) for number, amount, text in sides if amount]
    if not lines:
        amounts = ", ".join(str(amount) for _, amount, _ in sides)
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=amounts, decimals=str(policy.decimals))
    rest = -Money.total((line.signed for line in lines), policy.books_currency)
    if rest:
        role = AccountRole.EXCHANGE_LOSS if rest.minor > 0 else AccountRole.EXCHANGE_GAIN
        lines.append(signed_line(account(policy, role, day), rest, "exchange difference"))
    return tuple(lines)


def entry(
    movement: Movement,
    kind: DocumentKind,
    key: str,
    day: date,
    text: str,
    clearing: tuple[Account, Money],
    others: Sequence[tuple[Account, Money]],
    rule: str,
    policy: Policy,
    facts: tuple[tuple[str, str], ...] = (),
) -> Document:
    """A document of one voucher: the clearing account and its other sides, signed as debit. Raises `CannotBook`."""
    number, value = clearing
    lines = balanced([(number, value, text), *((other, amount, text) for other, amount in others)], day, policy)
    return Document(
        key=key,
        kind=kind,
        booking_date=day,
        total=movement.amount,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(number, movement.amount, value),),
        steps=(PostVoucher(key, Voucher(key, day, text, lines)),),
        rule=rule,
        facts=(("source", source_of(movement)), *facts),
    )
