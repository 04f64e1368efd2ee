"""What waits for a person in the books: drafts, orders and unbooked payments, looked at once a run.

One list call tells which of our invoices have changed, one more which orders; only those are read. What the lists may
not tell of (an order's invoice without our key, a payment that was taken away) is looked at by itself once a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from addon.core.books import InvoiceView, StepAnswer
from addon.core.delivery import DeliveryState
from addon.core.documents import AwaitInvoice, AwaitPayment, CreateInvoice, CreateOrder, Document
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.ports.accounting import Known
from addon.ports.errors import Rejected
from addon.services import delivery
from addon.services.context import Services
from addon.services.delivery import Desk
from addon.store.codec import decode, decode_step
from addon.store.deliveries import FOR_PEOPLE
from addon.store.models import AccountingConnection, Connection, DeliveryRow, DocumentRow

OVERLAP: Final = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""
BY_ITSELF: Final = timedelta(hours=20)
MOST_BY_THEMSELVES: Final = 50
"""How many are looked at by themselves in one run."""
_MADE: Final = ("create_invoice", "create_order", "round_invoice")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A step that a person takes: the document it belongs to, and what stands in the books so far."""

    delivery_id: int
    document_id: int
    step: AwaitInvoice | AwaitPayment
    number: str
    """Of the order, the draft or (for a payment) its invoice."""
    payment_number: str
    looked_at: datetime
    planned: Money


def look(services: Services, company_id: int, run_id: int | None, desk: Desk) -> int:
    """Look at what people have done, and let the payments go whose invoices they have booked. How many those are.

    Raises the errors of `addon.ports.errors`.
    """
    now = services.now()
    with services.db.company(company_id) as session:
        waiting = _waiting(session)
        if not waiting:
            return 0
        _mark(session, waiting, now)
        since = session.scalars(select(AccountingConnection)).one().watched_at
        prefixes = sorted({f"{provider}/" for provider in session.scalars(select(Connection.provider))})
    changed: dict[str, InvoiceView] = {}
    orders: set[str] = set()
    keys: set[str] = set()
    start = since - OVERLAP if since is not None else None
    for prefix in prefixes:
        for view in desk.system.fetch_invoices(prefix, start):
            changed[view.number] = view
            keys.add(view.our_key)
        if any(_ordered(one) for one in waiting):
            orders.update(desk.system.fetch_orders(prefix, start))
    gone_on = 0
    alone = 0
    for one in waiting:
        listed = changed.get(one.number) if isinstance(one.step, AwaitInvoice) and not one.step.ordered else None
        if listed is not None and not (listed.booked or listed.cancelled):
            continue  # the list itself says that nothing has happened
        told = one.number in (orders if _ordered(one) else changed)
        told = told or (isinstance(one.step, AwaitInvoice) and one.step.invoice_key in keys)
        if not told:
            due = now - one.looked_at > BY_ITSELF
            if since is not None and (not due or alone >= MOST_BY_THEMSELVES):
                continue
            alone += 1
        gone_on += _look_at(services, company_id, run_id, one, desk)
    with services.db.company(company_id) as session:
        session.scalars(select(AccountingConnection)).one().watched_at = now
    return gone_on


def _ordered(one: _Waiting) -> bool:
    return isinstance(one.step, AwaitInvoice) and one.step.ordered


def _waiting(session: Session) -> list[_Waiting]:
    """Steps of people whose turn it is."""
    rows = session.execute(
        select(DeliveryRow, DocumentRow)
        .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
        .where(
            DeliveryRow.kind.in_(FOR_PEOPLE),
            DeliveryRow.state == DeliveryState.APPROVED.value,
            DocumentRow.state.in_((DeliveryState.APPROVED.value, DeliveryState.SENDING.value)),
        )
        .order_by(DeliveryRow.id)
    ).all()
    steps = _steps_of(session, [document.id for _, document in rows])
    found = []
    for row, document in rows:
        before = [step for step in steps[document.id] if step.seq < row.seq]
        if any(step.state != DeliveryState.BOOKED.value for step in before):
            continue
        step = decode_step(row.payload)
        assert isinstance(step, AwaitInvoice | AwaitPayment)  # noqa: S101 - the query asks for these kinds
        payment = next((one.reference for one in before if one.kind == "create_payment"), "")
        made = next((one.reference for one in before if one.kind in ("create_invoice", "create_order")), "")
        number = made if isinstance(step, AwaitInvoice) else document.number
        found.append(
            _Waiting(
                row.id,
                document.id,
                step,
                number,
                payment,
                row.missed_at or document.planned_at,
                _total(decode(Document, document.payload)),
            )
        )
    return found


_CHUNK: Final = 500


def _steps_of(session: Session, document_ids: Sequence[int]) -> dict[int, list[DeliveryRow]]:
    """The steps of documents, in turn, some hundred documents at a time."""
    found: dict[int, list[DeliveryRow]] = defaultdict(list)
    for start in range(0, len(document_ids), _CHUNK):
        chunk = document_ids[start : start + _CHUNK]
        query = select(DeliveryRow).where(DeliveryRow.document_id.in_(chunk)).order_by(DeliveryRow.seq)
        for step in session.scalars(query):
            found[step.document_id].append(step)
    return found


def _total(document: Document) -> Money:
    invoices = [step.invoice.total for step in document.steps if isinstance(step, CreateInvoice | CreateOrder)]
    return invoices[0] if invoices else document.total


def _mark(session: Session, waiting: Sequence[_Waiting], now: datetime) -> None:
    """What waits for a person shows so on every page."""
    for one in waiting:
        delivery.mark_waiting(session, one.document_id, one.step, one.number, now)


def _look_at(services: Services, company_id: int, run_id: int | None, one: _Waiting, desk: Desk) -> bool:
    """Look at one; True if it goes on now."""
    try:
        answer = _done(one, desk)
    except _Gone as gone:
        _hold_gone(services, company_id, one, gone.facts)
        return False
    except Rejected as refusal:
        if refusal.reason not in ("", HoldReason.REJECTED.value):
            raise
        _hold_gone(services, company_id, one, {"number": one.number, "message": refusal.message})
        return False
    if answer is None:
        with services.db.company(company_id) as session:
            session.get_one(DeliveryRow, one.delivery_id).missed_at = services.now()
        return False
    return delivery.taken_by_person(services, company_id, run_id, one.delivery_id, answer, desk)


class _Gone(Exception):
    """The person took it away, or made something else of it."""

    def __init__(self, **facts: str) -> None:
        super().__init__("gone")
        self.facts = facts


def _done(one: _Waiting, desk: Desk) -> StepAnswer | None:
    """What the person has booked; None if nothing yet. Raises `_Gone`."""
    if isinstance(one.step, AwaitPayment):
        return desk.system.look_up(one.step, Known(payment_number=one.payment_number))
    number = one.number
    if one.step.ordered:
        order = desk.system.get_order(number)
        if order.cancelled and not order.invoice_number:
            raise _Gone(order=number)
        if not order.invoice_number:
            return None
        number = order.invoice_number
    invoice = desk.system.get_invoice(number)
    if invoice.cancelled:
        raise _Gone(invoice=number)
    if not invoice.booked:
        return None
    if not _like(invoice, one.planned):
        raise _Gone(invoice=number, planned=str(one.planned), made=str(invoice.total))
    return StepAnswer(invoice.number, invoice=invoice, voucher=invoice.voucher)


def _like(invoice: InvoiceView, planned: Money) -> bool:
    """Whether a payment of what the buyer paid closes the invoice, but for a rounding."""
    if invoice.currency != planned.currency:
        return False
    return abs((invoice.total - planned).to_decimal()) < 1


def _hold_gone(services: Services, company_id: int, one: _Waiting, facts: dict[str, str]) -> None:
    """Hold a document whose draft, order or payment is gone; a new try makes it anew.

    One that was booked with another amount stays as the person made it.
    """
    anew = "made" not in facts
    made = ("create_payment",) if isinstance(one.step, AwaitPayment) else _MADE
    with services.db.company(company_id) as session:
        document = session.get_one(DocumentRow, one.document_id)
        reason = HoldReason.WAITED_FOR_GONE if anew else HoldReason.TOUCHED
        delivery.hold(session, document, reason, facts, services.now())
        if anew:
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.document_id == one.document_id, DeliveryRow.kind.in_(made))
                .values(state=DeliveryState.REJECTED.value, reference="", answer={}, needs_lookup=False, doubtful=False)
                .execution_options(synchronize_session=False)
            )
