"""What people decide about payments that Basic could not match: the invoice, the order number, a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.core.holds import HoldReason
from addon.core.matching import NO_CHOICE, MatchChoice, fault_of_choice, most_tolerance, pattern_from
from addon.core.money import Money
from addon.core.records import MovementKind
from addon.core.rules import Mode
from addon.ports.calls import Lane
from addon.services import activity
from addon.services.booking import OPENED, find_chosen
from addon.services.calls import CallLog
from addon.services.connections import accounting_system
from addon.services.context import Services
from addon.services.settings import get_connection, search_again
from addon.store.models import Connection, MovementRow, PartRow
from addon.store.turns import take_turn

LONGEST_NUMBER: Final = 60
_STATES: Final = ("held", "waiting", "open")
_TRADE: Final = (MovementKind.SALE.value, MovementKind.REFUND.value)


class NotPossible(ValueError):
    """What a person asked for cannot be done: `reason` is a hold's, or `not_there`, `one_only`, `not_basic`."""

    def __init__(self, reason: str, **facts: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


def choose_invoice(services: Services, company_id: int, part_ids: Sequence[int], number: str, who: str) -> int:
    """Register a payment on the invoice that a person names; how many parts were moved (one).

    The invoice is read at once and compared: booked, right sign, same currency, no more than is open (it may be paid in
    part). Raises `NotPossible`, and the errors of `addon.ports.errors`.
    """
    wanted = number.strip().lstrip("#")[:LONGEST_NUMBER]
    if len(part_ids) != 1 or not wanted:
        raise NotPossible("one_only")
    with services.db.company_reading(company_id) as session:
        found = _parts(session, part_ids)
        if not found:
            raise NotPossible("not_basic")
        part, _ = found[0]
        amount, choice = Money(part.amount_minor, part.currency), _choice(part)
    log = CallLog()
    try:
        views = find_chosen(accounting_system(services, company_id, log, Lane.CLICK), wanted)
    finally:
        log.save(services, company_id)
    if not views:
        raise NotPossible("not_there", invoice=wanted)
    allowed = most_tolerance(amount.currency) if choice.accept_difference else 0
    fault = fault_of_choice(amount, views[0], views[0].balance, allowed)
    if fault is not None and fault[0] is not HoldReason.INVOICE_NOT_BOOKED:  # that one waits, and is there
        raise NotPossible(fault[0].value, **dict(fault[1]))
    with services.db.company(company_id) as session:
        take_turn(session)
        facts = {"invoice": wanted, "paid": str(amount)}
        return _decide(services, session, part_ids, replace(choice, invoice=wanted, order=""), who, facts)


def treat_as_order(
    services: Services, company_id: int, part_ids: Sequence[int], order: str, who: str, remember: bool
) -> int:
    """Give payments another order number, and, if wished, remember how it follows from what they carry.

    Raises `NotPossible`: `no_pattern` where nothing can be learnt from it.
    """
    wanted = " ".join(order.split()).lstrip("#")[:LONGEST_NUMBER]
    if not part_ids or not wanted:
        raise NotPossible("one_only")
    with services.db.company(company_id) as session:
        take_turn(session)
        found = _parts(session, part_ids)
        if not found:
            raise NotPossible("not_basic")
        facts = {"order_number": wanted}
        if remember:
            pattern = next((text for _, row in found if (text := pattern_from(row.order_number, wanted))), "")
            if not pattern:
                raise NotPossible("no_pattern", order_number=wanted)
            facts["pattern"] = pattern
            _remember(session, found[0][0].connection_id, pattern)
        return _decide(services, session, part_ids, MatchChoice(order=wanted), who, facts)


def accept_difference(services: Services, company_id: int, part_ids: Sequence[int], who: str) -> int:
    """Let the difference between payments and their invoices, up to 1.00 each, go to rounding."""
    moved = 0
    with services.db.company(company_id) as session:
        take_turn(session)
        for part, _ in _parts(session, part_ids):
            choice = replace(_choice(part), accept_difference=True)
            moved += _decide(services, session, [part.id], choice, who, {"paid": _amount(part)})
    if not moved:
        raise NotPossible("not_basic")
    return moved


def _parts(session: Session, part_ids: Sequence[int]) -> list[tuple[PartRow, MovementRow]]:
    """Those of the parts that Basic matches and that are not on their way."""
    query = (
        select(PartRow, MovementRow)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .join(Connection, Connection.id == PartRow.connection_id)
        .where(
            PartRow.id.in_(part_ids),
            PartRow.name == "amount",
            PartRow.state.in_(_STATES),
            PartRow.document_id.is_(None),
            MovementRow.kind.in_(_TRADE),
            Connection.mode == Mode.BASIC.value,
        )
        .order_by(PartRow.id)
    )
    return [(part, movement) for part, movement in session.execute(query)]


def _choice(part: PartRow) -> MatchChoice:
    return MatchChoice(**part.match_choice) if part.match_choice else NO_CHOICE


def _amount(part: PartRow) -> str:
    return str(Money(part.amount_minor, part.currency))


def _decide(
    services: Services, session: Session, part_ids: Sequence[int], choice: MatchChoice, who: str, facts: dict[str, str]
) -> int:
    """Keep the choice, open the parts for the next plan, and log it. The caller commits."""
    now = services.now()
    found = _parts(session, part_ids)
    for part, movement in found:
        for name, value in OPENED.items():
            setattr(part, name, dict(value) if isinstance(value, dict) else value)
        part.match_choice, part.changed_at = asdict(choice), now
        what = "invoice_chosen" if choice.invoice else "order_chosen" if choice.order else "difference_accepted"
        activity.record(session, who, what, {**facts, "movement": movement.ref}, now)
    return len(found)


def _remember(session: Session, connection_id: int, pattern: str) -> None:
    row = get_connection(session, connection_id, for_update=True)
    known = str(row.settings.get("order_patterns", ""))
    patterns = [text for text in known.split(",") if text and text != pattern]
    row.settings = {**row.settings, "order_patterns": ",".join([pattern, *patterns][:20])}
    search_again(session, connection_id)
