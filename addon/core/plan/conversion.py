"""Conversions between two balances: one voucher for both halves, the source relieved at what it is carried at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from addon.core.accounts import AccountRole
from addon.core.documents import ClearingEffect, Document, DocumentKind, PartRef
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import account, day_of, open_day, reference_text, require_precision, source_of
from addon.core.plan.situation import OpenMovement, Outcome
from addon.core.plan.value import Stock, entry, movement_key, worth_of
from addon.core.records import Movement
from addon.core.rules import Policy

_RULE: Final = (
    "One balance was changed into another: what left is taken off at what it was carried at, what came stands at "
    "{value}, and the rest is exchange difference."
)


def plan_conversion(gone: Movement, come: Movement, stock: Stock, policy: Policy) -> Document | Wait:
    """Plan both halves of a conversion; `stock` is that of the balance which the money left. Raises `CannotBook`.

    Where the books' own currency is one side, that side's amount is what the foreign one is worth.
    """
    home = policy.books_currency
    parts = tuple(PartRef(half.ref, "amount") for half in (gone, come))
    day, note = open_day(max(day_of(gone, policy), day_of(come, policy)), policy)
    source = account(policy, AccountRole.CLEARING, day, gone.currency)
    target = account(policy, AccountRole.CLEARING, day, come.currency)
    left = worth_of(gone, stock, policy, _own_rate(gone, come, policy))
    if isinstance(left, Wait):
        return replace(left, parts=parts)
    if gone.currency == home:
        arrived: Money = -gone.amount
    elif come.currency == home:
        require_precision(come.amount, policy)
        arrived = come.amount
    else:
        value = worth_of(come, Stock(), policy)
        if isinstance(value, Wait):
            return replace(value, parts=parts)
        arrived = value.today
    document = entry(
        gone,
        DocumentKind.CONVERSION,
        f"{movement_key(gone, policy)}/conversion",
        day,
        reference_text(policy, f"conversion {source_of(gone)} {-gone.amount} to {come.amount}", note),
        (source, left.clearing),
        [(target, arrived)],
        _RULE.format(value="what was paid for it" if gone.currency == home else "its value on the day"),
        policy,
    )
    return replace(
        document,
        parts=parts,
        clearing=(*document.clearing, ClearingEffect(target, come.amount, arrived)),
    )


def _own_rate(gone: Movement, come: Movement, policy: Policy) -> ExchangeRate | None:
    """The rate that the conversion itself tells, where it ends in the books' own currency."""
    if come.currency != policy.books_currency:
        return None
    told = come.amount.to_decimal() / -gone.amount.to_decimal()
    return ExchangeRate(gone.currency, come.currency, told, 1, day_of(gone, policy), "the conversion")


def pair_of(halves: list[OpenMovement]) -> tuple[Movement, Movement] | None:
    """What went and what came, if these are the two halves of one conversion."""
    if len(halves) != 2:
        return None
    gone, come = sorted((half.movement for half in halves), key=lambda half: half.amount.minor)
    fits = gone.amount.minor < 0 < come.amount.minor and gone.currency != come.currency
    return (gone, come) if fits else None


def unpaired(halves: list[OpenMovement], policy: Policy) -> list[Outcome]:
    """What becomes of halves that are no pair: they wait for the other one, and are held when it does not come."""
    outcomes: list[Outcome] = []
    for half in halves:
        part = (PartRef(half.movement.ref, "amount"),)
        until = half.first_seen_on + timedelta(days=policy.wait_days)
        facts = (("source", source_of(half.movement)), ("amount", str(half.movement.amount)))
        if policy.today > until or len(halves) > 1:
            outcomes.append(Hold(part, HoldReason.CONVERSION_UNPAIRED, facts))
        else:
            outcomes.append(Wait(part, WaitReason.CONVERSION, until, facts))
    return outcomes
