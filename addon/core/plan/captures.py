"""Partial captures: a sale shown in full and a row that takes the rest back are one sale of what is left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from addon.core.documents import Document, PartRef
from addon.core.holds import Hold, Wait
from addon.core.money import Money
from addon.core.plan.situation import OpenMovement, Plan
from addon.core.records import Movement, MovementKind
from addon.core.rules import Mode

Companions = Mapping[PartRef, tuple[PartRef, ...]]
"""By the part of a sale: parts of reversals that are taken off it."""


def net_captures(movements: tuple[OpenMovement, ...], mode: Mode) -> tuple[tuple[OpenMovement, ...], Companions]:
    """Take reversals that are known before their sale is booked off that sale; give what is left, and who went where.

    Only what leaves something of the sale: a sale that bounced as a whole was made, and is booked with its reversal.
    A settlement voucher has a row for each movement, as its payout does.
    """
    if mode is Mode.SETTLEMENT:
        return movements, {}
    sales = {
        entry.movement.source_ref: entry
        for entry in movements
        if entry.movement.kind is MovementKind.SALE and entry.movement.source_ref and "amount" in entry.open_parts
    }
    reversals: dict[str, list[OpenMovement]] = defaultdict(list)
    for entry in movements:
        movement = entry.movement
        if (
            movement.kind is MovementKind.SALE_REVERSAL
            and "amount" in entry.open_parts
            and movement.original_ref in sales
        ):
            reversals[movement.original_ref].append(entry)
    netted: dict[str, OpenMovement] = {}
    companions: dict[PartRef, tuple[PartRef, ...]] = {}
    for charge, group in reversals.items():
        sale = sales[charge]
        left = _left(sale.movement, [entry.movement for entry in group])
        if left is None:
            continue
        netted[sale.movement.ref] = replace(sale, movement=left)
        companions[PartRef(sale.movement.ref, "amount")] = tuple(
            PartRef(entry.movement.ref, "amount") for entry in group
        )
        for entry in group:
            netted[entry.movement.ref] = replace(entry, open_parts=entry.open_parts - {"amount"})
    kept = tuple(netted.get(entry.movement.ref, entry) for entry in movements)
    return tuple(entry for entry in kept if entry.open_parts), companions


def _left(sale: Movement, reversals: list[Movement]) -> Movement | None:
    """The sale less its reversals; None where they are no shares of it."""
    same = all(reversal.currency == sale.currency for reversal in reversals)
    told = [reversal.presented for reversal in reversals]
    if not same or any((presented is None) != (sale.presented is None) for presented in told):
        return None
    amount = sale.amount + Money.total((reversal.amount for reversal in reversals), sale.currency)
    presented = sale.presented
    if presented is not None:
        if any(one is not None and one.currency != presented.currency for one in told):
            return None
        presented = presented + Money.total((one for one in told if one is not None), presented.currency)
    if amount.minor <= 0 or (presented is not None and presented.minor <= 0):
        return None
    return replace(sale, amount=amount, presented=presented)


def with_companions(result: Plan, companions: Companions) -> Plan:
    """The plan with the reversals' parts beside those of their sales, whatever became of them."""
    if not companions:
        return result

    def beside(parts: tuple[PartRef, ...]) -> tuple[PartRef, ...]:
        return tuple(one for part in parts for one in (part, *companions.get(part, ())))

    def of_document(document: Document) -> Document:
        return replace(document, parts=beside(document.parts))

    def of_hold(hold: Hold) -> Hold:
        return replace(hold, parts=beside(hold.parts))

    def of_wait(wait: Wait) -> Wait:
        return replace(wait, parts=beside(wait.parts))

    return replace(
        result,
        documents=tuple(map(of_document, result.documents)),
        holds=tuple(map(of_hold, result.holds)),
        waits=tuple(map(of_wait, result.waits)),
        nought=beside(result.nought),
        asides=tuple(replace(aside, parts=beside(aside.parts)) for aside in result.asides),
    )
