"""Joining a company in mid-life: what other connections have invoiced already, and what people decide of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from addon.core.books import InvoiceView
from addon.core.delivery import PartState
from addon.core.holds import HoldReason
from addon.core.joining import DAYS_APART, Candidate, Twin, find_twins, ours
from addon.core.plan import OpenMovement
from addon.core.plan.common import day_of, source_of
from addon.core.plan.orphan import CREDIT
from addon.core.plan.sale import order_number
from addon.core.records import MovementKind
from addon.core.routing import home_treatments
from addon.core.rules import Mode, Policy
from addon.ports.accounting import AccountingSystem
from addon.services import activity
from addon.services.context import Services
from addon.store.models import MovementRow, PartRow
from addon.store.turns import take_turn

BOOK_ANYWAY: Final = "book_anyway"
"""A person's decision: the invoice that looks like this sale's is another one."""
MOST_LOOKED_AT: Final = 40
"""Lists do not show order numbers: so many invoices of the right amount are read whole in one pass."""
CREDITS: Final = tuple(f"{CREDIT}{treatment}" for country in ("SE", "DK") for treatment in home_treatments(country))
"""A person's decisions: a credit note that stands by itself, at the VAT that is named."""


def find_invoiced(movements: Sequence[OpenMovement], policy: Policy, system: AccountingSystem) -> Mapping[str, Twin]:
    """Sales among fresh movements that another connection has invoiced already: one call for 500 invoices of those
    days, and one for each whose amount is that of a sale."""
    sales = [
        Candidate(
            entry.movement.ref,
            source_of(entry.movement),
            order_number(entry.movement, policy),
            entry.movement.presented or entry.movement.amount,
            day_of(entry.movement, policy),
        )
        for entry in movements
        if entry.movement.kind is MovementKind.SALE
        and "amount" in entry.open_parts
        and entry.fresh
        and entry.decision != BOOK_ANYWAY
    ]
    if not sales or policy.mode is Mode.BASIC:
        return {}
    apart = timedelta(days=DAYS_APART)
    first, last = min(sale.day for sale in sales) - apart, max(sale.day for sale in sales) + apart
    amounts = {sale.paid for sale in sales}
    found: list[InvoiceView] = []
    looked = 0
    for view in system.fetch_invoices_dated(first, last):
        if view.total not in amounts or ours(view, policy.provider) or view.cancelled:
            continue
        if looked < MOST_LOOKED_AT:
            looked += 1
            view = system.get_invoice(view.number)
        found.append(view)
    return find_twins(sales, found, policy.provider)


def stored_twins(session: Session, connection_id: int) -> dict[str, Twin]:
    """Sales that are held because another connection has invoiced them: they stay so until a person decides."""
    rows = session.execute(
        select(MovementRow.ref, PartRow.facts)
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(
            PartRow.connection_id == connection_id,
            PartRow.state == PartState.HELD.value,
            PartRow.reason == HoldReason.ALREADY_INVOICED.value,
            PartRow.decision == "",
        )
    )
    return {row.ref: Twin(str(row.facts.get("invoice", "")), str(row.facts.get("why", ""))) for row in rows}


def decide(services: Services, company_id: int, part_ids: Sequence[int], decision: str, who: str) -> int:
    """Note what a person decided of held parts and have them planned again; says how many. Raises `ValueError`."""
    if decision == BOOK_ANYWAY:
        reason = HoldReason.ALREADY_INVOICED
    elif decision in CREDITS:
        reason = HoldReason.ORIGINAL_UNKNOWN
    else:
        raise ValueError(f"no decision is called {decision!r}")
    now = services.now()
    with services.db.company(company_id) as session:
        take_turn(session)
        ids = session.scalars(
            update(PartRow)
            .where(
                PartRow.id.in_(part_ids),
                PartRow.state == PartState.HELD.value,
                PartRow.reason == reason.value,
                PartRow.document_id.is_(None),
            )
            .values(decision=decision, state=PartState.OPEN.value, reason="", facts={}, changed_at=now)
            .returning(PartRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        if ids:
            facts = {"parts": ", ".join(str(one) for one in sorted(ids)), "decision": decision}
            activity.record(session, who, "decided", facts, now)
    return len(ids)


def with_twins(movements: Sequence[OpenMovement], twins: Mapping[str, Twin]) -> list[OpenMovement]:
    """The movements with the invoices of other connections that book them already."""
    return [
        replace(entry, twin=twins[entry.movement.ref])
        if entry.movement.ref in twins and entry.decision != BOOK_ANYWAY
        else entry
        for entry in movements
    ]
