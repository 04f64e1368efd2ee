"""What was planned and not sent when a period was locked moves to the next open day, where the company wants that."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import Document, Step
from addon.core.holds import HoldReason
from addon.core.redate import redated, with_steps
from addon.services import booking
from addon.services.context import Services
from addon.store.codec import decode, decode_step, encode, fingerprint
from addon.store.models import DeliveryRow, DocumentRow, PartRow


def move_to_open_days(services: Services, company_id: int, locked_through: date | None) -> int:
    """Re-date unsent steps of planned documents that fall into a locked period; says how many documents.

    An attempt that may have landed keeps its day until it has been looked up. Documents that were held for the lock
    go on. An invoice that stands unbooked on a locked day is a person's to move.
    """
    if locked_through is None:
        return 0
    moved = 0
    with services.db.company(company_id) as session:
        states = (DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
        locked = HoldReason.PERIOD_LOCKED.value
        rows = session.scalars(
            select(DocumentRow)
            .where(
                DocumentRow.state.in_(states)
                | ((DocumentRow.state == DeliveryState.REJECTED.value) & (DocumentRow.hold_reason == locked))
            )
            .order_by(DocumentRow.id)
        ).all()
        for row in rows:
            if _move(session, row, locked_through):
                moved += 1
                if row.state == DeliveryState.REJECTED.value:
                    _go_on(session, row, services)
    return moved


def _move(session: Session, row: DocumentRow, locked_through: date) -> bool:
    unsent = session.scalars(
        select(DeliveryRow)
        .where(
            DeliveryRow.document_id == row.id,
            DeliveryRow.state.in_(
                (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.REJECTED.value)
            ),
            DeliveryRow.needs_lookup.is_(False),
        )
        .order_by(DeliveryRow.seq)
    ).all()
    changed: dict[str, Step] = {}
    for delivery in unsent:
        before = decode_step(delivery.payload)
        after = redated(before, locked_through)
        if after != before:
            changed[after.key] = after
            delivery.payload = encode(after)
    if not changed:
        return False
    begun = session.scalar(
        select(func.count())
        .select_from(DeliveryRow)
        .where(DeliveryRow.document_id == row.id, DeliveryRow.state == DeliveryState.BOOKED.value)
    )
    document = with_steps(decode(Document, row.payload), changed, unsent=not begun)
    row.payload, row.fingerprint, row.booking_date = encode(document), fingerprint(document), document.booking_date
    session.flush()
    return True


def _go_on(session: Session, row: DocumentRow, services: Services) -> None:
    """Take a document that was held for the lock up again."""
    now = services.now()
    session.execute(
        update(PartRow)
        .where(PartRow.document_id == row.id, PartRow.state != PartState.BOOKED.value)
        .values(state=PartState.PLANNED.value, reason="", facts={}, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    booking.revive(session, [row.id], now)
