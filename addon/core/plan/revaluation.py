"""The end of a financial year: a foreign balance is valued at the rate of the year's last day.

What a provider owes in another currency is a claim, and claims stand in the annual accounts at the closing rate. The
account is carried at that value from then on, and what leaves it next year is relieved at it; nothing is reversed.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from addon.core.accounts import AccountRole
from addon.core.documents import ClearingEffect, Document, DocumentKind, PostVoucher, Voucher, signed_line
from addon.core.holds import Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import account, nearest_rate, reference_text, value_rate
from addon.core.plan.situation import PayoutFact, YearEnd
from addon.core.records import Movement, MovementKind
from addon.core.rules import Policy

RELIEVING: Final = frozenset(
    {
        MovementKind.PAYOUT,
        MovementKind.CONVERSION,
        MovementKind.RESERVE,
        MovementKind.DISPUTE,
        MovementKind.TRANSFER,
        MovementKind.FINANCING,
        MovementKind.CONTRIBUTION,
        MovementKind.PLATFORM_EARNING,
        MovementKind.ADJUSTMENT,
        MovementKind.TOP_UP,
    }
)
"""Kinds that take money off an account at what it is carried at, where their amount is negative."""

_RULE = (
    "At the end of the financial year a balance in another currency is valued at the rate of its last day. The account "
    "is carried at that value from then on; nothing is reversed."
)


def revaluation_key(policy: Policy, currency: str, last_day: date) -> str:
    """The key of the voucher that values a balance at the end of a year."""
    return f"{policy.provider}/{policy.account_ref}/revaluation/{currency}/{last_day.isoformat()}"


def plan_revaluation(end: YearEnd, policy: Policy) -> Document | Wait | None:
    """Plan the voucher that values a foreign balance at a year's end; None where there is nothing to value.

    It waits until all of the year is booked and the last day's rate is known. What is held or waits is waited for at
    the longest for the days that are set; then what is there is valued, at the nearest rate. A year whose last day is
    locked is the bookkeeper's. Raises `CannotBook`.
    """
    locked = policy.books.locked_through
    if not (end.carrying.balance or end.carrying.books) or (locked is not None and end.last_day <= locked):
        return None
    until = end.last_day + timedelta(days=policy.wait_days)
    overdue = policy.today > until
    rate = _closing_rate(end, policy, overdue)
    if end.moving or (not overdue and (rate is None or not end.complete)):
        facts = (("currency", end.currency), ("day", end.last_day.isoformat()))
        return Wait((), WaitReason.YEAR_END, None if end.moving else until, facts)
    if rate is None:
        return None
    difference = rate.convert(end.carrying.balance) - end.carrying.books
    return _document(end, rate, difference, policy) if difference else None


def _closing_rate(end: YearEnd, policy: Policy, overdue: bool) -> ExchangeRate | None:
    if policy.currency_rules.awaits(end.currency, end.last_day + timedelta(days=1)) and not overdue:
        return None
    rate = value_rate(policy, end.currency, end.last_day)
    return nearest_rate(policy, end.currency, end.last_day) if rate is None and overdue else rate


def _document(end: YearEnd, rate: ExchangeRate, difference: Money, policy: Policy) -> Document:
    day, key = end.last_day, revaluation_key(policy, end.currency, end.last_day)
    clearing = account(policy, AccountRole.CLEARING, day, end.currency)
    role = AccountRole.EXCHANGE_GAIN if difference.minor > 0 else AccountRole.EXCHANGE_LOSS
    exchange = account(policy, role, day)
    fixed = f"{rate.rate:f} per {rate.unit} {rate.base} of {rate.fixed_on.isoformat()}"
    what = f"year end {day.isoformat()}, balance {end.carrying.balance} valued at {fixed}"
    lines = (signed_line(clearing, difference, what), signed_line(exchange, -difference, "exchange difference"))
    return Document(
        key=key,
        kind=DocumentKind.REVALUATION,
        booking_date=day,
        total=difference,
        parts=(),
        clearing=(ClearingEffect(clearing, Money.zero(end.currency), difference),),
        steps=(PostVoucher(key, Voucher(key, day, reference_text(policy, what), lines)),),
        rule=_RULE,
        facts=(("day", day.isoformat()), ("currency", end.currency), ("rate", str(rate.rate))),
    )


def comes_after(end: Wait, movement: Movement, day: date, fact: PayoutFact | None) -> bool:
    """Whether a movement would take money off an account that is still to be valued at the end of an earlier year."""
    if movement.kind not in RELIEVING or movement.amount.minor >= 0:
        return False
    arrives = fact.payout.arrival_date if fact is not None else None
    return max(day, arrives or day).isoformat() > dict(end.facts)["day"]
