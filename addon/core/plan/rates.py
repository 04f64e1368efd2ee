"""The rate of a foreign invoice: waiting until it is known, and refusing one that cannot be right."""

from __future__ import annotations

from datetime import timedelta

from addon.core.documents import PartRef
from addon.core.fixings import OFFICIAL_RATE_BAND, OWN_RATE_BAND
from addon.core.holds import HoldReason, Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import day_of
from addon.core.plan.situation import CannotBook
from addon.core.records import Movement
from addon.core.rules import Policy


def await_rate(movement: Movement, policy: Policy) -> Wait | None:
    """What a sale waits for whose rate the chosen bank has not been asked for yet; None if it need not wait.

    Only banks are waited for. Where the accounting system's own rates hold, it fills in the rate itself.
    """
    paid, day = movement.presented or movement.amount, day_of(movement, policy)
    if paid.currency == policy.books_currency or not policy.currency_rules.awaits(paid.currency, day):
        return None
    facts = (("currency", paid.currency), ("day", day.isoformat()))
    until = day + timedelta(days=policy.wait_days)
    return Wait((PartRef(movement.ref, "amount"),), WaitReason.RATE, until, facts)


def require_near(rate: ExchangeRate | None, movement: Movement, paid: Money, policy: Policy) -> None:
    """Raise `CannotBook` for a rate far from the provider's own exchange of the same money, where it told one.

    One smallest unit of the books is forgiven besides: tiny amounts say little of a rate.
    """
    if rate is None or movement.currency != policy.books_currency:
        return
    official = policy.currency_rules.official(paid.currency)
    allowed = movement.amount.minor * (OFFICIAL_RATE_BAND if official else OWN_RATE_BAND) + 1
    if abs(rate.convert(paid) - movement.amount).minor > allowed:
        raise CannotBook(
            HoldReason.RATE_DIFFERS,
            planned_rate=f"{rate.rate:f} / {rate.unit} {rate.base}, {rate.source} {rate.fixed_on.isoformat()}",
            expected_rate=f"{movement.amount} / {paid}",
        )
