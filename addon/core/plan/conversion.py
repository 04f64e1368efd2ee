"""Conversions between two balances: one voucher for both halves, the source relieved at what it is carried at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


def partners(halves: Iterable[Movement]) -> dict[str, str]:
    """Which half of a conversion belongs to which, both ways, by their references.

    One object may have been converted several times in one instant: a sale and its refund, or two refunds. Then what
    went belongs to what came in another currency, and among several of one direction the larger to the larger.
    """
    together: dict[str, list[Movement]] = defaultdict(list)
    for half in halves:
        together[source_of(half)].append(half)
    found: dict[str, str] = {}
    for same in together.values():
        for gone, come in _pairs(same):
            found |= {gone.ref: come.ref, come.ref: gone.ref}
    return found


def _pairs(halves: Sequence[Movement]) -> list[tuple[Movement, Movement]]:
    """Halves of one object and instant, paired; none where more than two currencies leave it open."""
    currencies = {half.currency for half in halves}
    if len(currencies) != 2:
        return []
    pairs: list[tuple[Movement, Movement]] = []
    for source in currencies:
        gone = [half for half in halves if half.amount.minor < 0 and half.currency == source]
        come = [half for half in halves if half.amount.minor > 0 and half.currency != source]
        if len(gone) == len(come):
            pairs += zip(sorted(gone, key=_size), sorted(come, key=_size), strict=True)
    return pairs


def _size(half: Movement) -> tuple[int, str]:
    return abs(half.amount.minor), half.ref


def unpaired(half: OpenMovement, policy: Policy) -> Outcome:
    """What becomes of a half that has no other: it waits for that one, and is held when it does not come."""
    part = (PartRef(half.movement.ref, "amount"),)
    until = half.first_seen_on + timedelta(days=policy.wait_days)
    facts = (("source", source_of(half.movement)), ("amount", str(half.movement.amount)))
    if policy.today > until:
        return Hold(part, HoldReason.CONVERSION_UNPAIRED, facts)
    return Wait(part, WaitReason.CONVERSION, until, facts)
