"""Undo a run: say exactly what it would take to take it back, then write that through the same outbox.

Each document is looked at in the books first. What a person has changed since is left alone and listed with the
reason. Planning is slice by slice; a document that is being undone names what undoes it, so that nothing is undone
twice whatever stops when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.books import InvoiceView, LedgerEntry
from addon.core.delivery import DeliveryState
from addon.core.documents import (
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    Document,
    DocumentKind,
    Invoice,
)
from addon.core.money import Money
from addon.core.plan.situation import CannotBook
from addon.core.plan.undo import LeftAlone, Standing, plan_undo
from addon.core.rules import Policy
from addon.ports.accounting import AccountingSystem
from addon.ports.errors import Rejected
from addon.services import activity, booking, previews
from addon.services.context import Services
from addon.services.reconciliation import read_ledger
from addon.services.standing import later_of
from addon.store.codec import decode, decode_step
from addon.store.models import DeliveryRow, DocumentRow, MovementRow, PartRow, RunItemRow, RunRow

TRIGGER: Final = "undo"
LOOK: Final = "undo_preview"
_PAGE: Final = 50
_OURS: Final = (CreateInvoice, CreateOrder, CreditInvoice)
"""Steps whose invoice stands in the books: an order's is the one that a person made of it."""


class NothingToUndo(LookupError):
    """The run is not the company's, or has written nothing that stands."""


@dataclass(frozen=True, slots=True)
class Left:
    """A document that is left alone, and why."""

    key: str
    kind: str
    number: str
    reason: LeftAlone
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Undoable:
    """What there is to undo in a run: documents that stand by kind, and how many are undone already."""

    run_id: int
    trigger: str
    standing: tuple[tuple[str, int], ...]
    undone: int
    unwritten: int

    @property
    def total(self) -> int:
        """How many documents stand."""
        return sum(count for _, count in self.standing)


def undoable(services: Services, company_id: int, run_id: int) -> Undoable:
    """What a run has written that could be undone. Raises `NothingToUndo` for a run that is not there."""
    with services.db.company_reading(company_id) as session:
        run = session.scalars(select(RunRow).where(RunRow.id == run_id)).one_or_none()
        if run is None:
            raise NothingToUndo(f"the company has no run {run_id}")
        rows = session.execute(
            select(DocumentRow.kind, DocumentRow.state, DocumentRow.undone_by.is_not(None), func.count())
            .where(DocumentRow.run_id == run_id, DocumentRow.kind.not_in(_NEVER))
            .group_by(DocumentRow.kind, DocumentRow.state, DocumentRow.undone_by.is_not(None))
            .order_by(DocumentRow.kind)
        ).all()
    standing: dict[str, int] = defaultdict(int)
    undone = unwritten = 0
    for kind, state, taken_back, count in rows:
        if state == DeliveryState.BOOKED.value and not taken_back:
            standing[kind] += int(count)
        elif taken_back:
            undone += int(count)
        else:
            unwritten += int(count)
    return Undoable(run_id, run.trigger, tuple(standing.items()), undone, unwritten)


_NEVER: Final = (DocumentKind.UNDO.value, DocumentKind.CORRECTION.value, DocumentKind.OPENING.value)
"""What takes something back is not taken back itself: a person says "book again" of the parts instead. An opening is of
no run."""


# --- Looking at the books ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Desk:
    """What planning an undo looks at: the books' system, and the ledger read once for a slice."""

    system: AccountingSystem
    policies: Mapping[int, Policy]
    who: str
    ledger: dict[str, dict[str, list[LedgerEntry]]] = field(default_factory=dict)
    """Ledger rows by account and voucher."""
    entries: list[LedgerEntry] = field(default_factory=list)
    credits: dict[str, set[str]] | None = None
    """Numbers of credit notes by the key of the invoice that they credit, read once for a slice."""

    def read(self, rows: Sequence[DocumentRow]) -> None:
        """Read back the clearing accounts that these documents stand on, once for each financial year."""
        accounts = sorted({row.clearing_account for row in rows if row.clearing_account} - set(self.ledger))
        if not accounts:
            return
        policy = next(iter(self.policies.values()))
        first = min(policy.books.years, key=lambda year: year.first_day).first_day if policy.books.years else None
        found = read_ledger(self.system, policy.books, first or policy.today, policy.today, accounts)
        for account in accounts:
            by_voucher: dict[str, list[LedgerEntry]] = defaultdict(list)
            for entry in found.get(account, ()):
                by_voucher[entry.voucher].append(entry)
            self.ledger[account] = by_voucher


def _voucher_fault(row: DocumentRow, desk: Desk, home: str) -> dict[str, str] | None:
    """What a person did to a document's vouchers: removed, changed, or taken back by hand."""
    standing = desk.ledger.get(row.clearing_account, {})
    if row.clearing_books_minor is None or not row.vouchers:
        return None
    rows = [entry for voucher in row.vouchers for entry in standing.get(voucher, ())]
    expected = Money(row.clearing_books_minor, home)
    moved = Money.total((entry.amount for entry in rows), home)
    if moved != expected:
        return {"planned": str(expected), "made": str(moved), "source": ", ".join(row.vouchers)}
    names = {" ".join(voucher.split("/")[:2]) for voucher in row.vouchers} | set(row.vouchers)
    for voucher, entries in standing.items():
        if voucher in row.vouchers or not expected:
            continue
        text = entries[0].text
        against = Money.total((entry.amount for entry in entries), home)
        if against == -expected and any(_names(text, name) for name in names):
            return {"text": text, "source": voucher, "amount": str(against)}
    return None


def _names(text: str, name: str) -> bool:
    """Whether a text names a voucher: "V 12" but not "V 123"."""
    place = text.find(name)
    return place >= 0 and not text[place + len(name) : place + len(name) + 1].isdigit()


def _invoice_fault(view: InvoiceView, row: DocumentRow, document: Document) -> dict[str, str] | None:
    paid = any(isinstance(step, CreatePayment) for step in document.steps)
    facts = {"invoice": view.number, "made": str(view.total), "open": str(view.balance)}
    if view.cancelled or not view.booked:
        return facts
    if row.invoice_total_minor is not None and view.total.minor != row.invoice_total_minor:
        return {**facts, "planned": str(Money(row.invoice_total_minor, view.currency))}
    if paid and view.balance:
        return facts
    return None


def _own_credits(session: Session, desk: Desk, invoice_key: str) -> set[str]:
    """Numbers of credit notes that we made of an invoice by the system's own action."""
    if desk.credits is None:
        rows = session.execute(
            select(DeliveryRow.payload["invoice_key"].as_string(), DeliveryRow.reference).where(
                DeliveryRow.kind == "credit_invoice", DeliveryRow.reference != ""
            )
        )
        found: dict[str, set[str]] = defaultdict(set)
        for key, reference in rows:
            found[str(key)].add(reference)
        desk.credits = dict(found)
    return desk.credits.get(invoice_key, set())


def _hangs_on(session: Session, row: DocumentRow, run_id: int) -> str:
    """A document outside the run that stands and hangs on this one; empty if there is none."""
    if not row.source_ref:
        return ""
    by_original = (
        select(DocumentRow.key)
        .join(PartRow, PartRow.document_id == DocumentRow.id)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .where(
            MovementRow.connection_id == row.connection_id,
            MovementRow.original_ref == row.source_ref,
            PartRow.name == "amount",
        )
    )
    by_source = select(DocumentRow.key).where(
        DocumentRow.connection_id == row.connection_id,
        DocumentRow.source_ref == row.source_ref,
        DocumentRow.kind == DocumentKind.PAYOUT_REVERSAL.value,
    )
    queries = [by_original] if row.kind != DocumentKind.PAYOUT.value else [by_source]
    queries += later_of(row)
    for query in queries:
        found = session.scalar(
            query.where(
                DocumentRow.id != row.id,
                DocumentRow.undone_by.is_(None),
                DocumentRow.state != DeliveryState.REJECTED.value,
                (DocumentRow.run_id != run_id) | DocumentRow.run_id.is_(None),
            ).limit(1)
        )
        if found:
            return str(found)
    return ""


def _plan_one(
    services: Services, company_id: int, run_id: int, row: DocumentRow, desk: Desk
) -> tuple[Document | None, Left | None]:
    document = decode(Document, row.payload)
    policy = desk.policies[row.connection_id]

    def left(reason: LeftAlone, **facts: str) -> tuple[None, Left]:
        return None, Left(row.key, row.kind, row.number, reason, facts)

    if row.undone_by is not None:
        return left(LeftAlone.UNDONE)
    if row.state != DeliveryState.BOOKED.value:
        return left(LeftAlone.UNDER_WAY)
    with services.db.company_reading(company_id) as session:
        needed = _hangs_on(session, row, run_id)
        ours = next((step for step in document.steps if isinstance(step, _OURS)), None)
        credits = set() if ours is None or isinstance(ours, CreditInvoice) else _own_credits(session, desk, ours.key)
        credited = _credited(session, document)
    if needed:
        return left(LeftAlone.NEEDED, document=needed, sale=needed)
    fault = _voucher_fault(row, desk, policy.books_currency)
    if fault is not None:
        return left(LeftAlone.TOUCHED, **fault)
    view: InvoiceView | None = None
    matched = next((step.invoice_number for step in document.steps if isinstance(step, CreatePayment)), "")
    if ours is not None or matched:
        try:
            view = desk.system.get_invoice(matched or row.number)
        except Rejected as refusal:
            return left(LeftAlone.TOUCHED, invoice=matched or row.number, message=refusal.message)
        if matched:
            if view.cancelled:
                return left(LeftAlone.TOUCHED, invoice=view.number)
        else:
            changed = _invoice_fault(view, row, document)
            if changed is not None:
                return left(LeftAlone.TOUCHED, **changed)
            if view.credit_number and view.credit_number not in credits:
                return left(LeftAlone.TOUCHED, invoice=view.number, number=view.credit_number)
    currency = document.total.currency
    standing = Standing(
        document=document,
        number=row.number,
        vouchers=tuple(row.vouchers),
        total=Money(row.invoice_total_minor, currency) if row.invoice_total_minor is not None else None,
        rate=Decimal(row.invoice_rate) if row.invoice_rate else Decimal(1),
        books=Money(row.clearing_books_minor, policy.books_currency) if row.clearing_books_minor is not None else None,
        credited=credited,
        credit_made=bool(view is not None and view.credit_number),
    )
    try:
        return plan_undo(standing, policy, desk.who), None
    except CannotBook as reason:
        return left(LeftAlone.CANNOT, why=reason.reason.value, **dict(reason.facts))


def _credited(session: Session, document: Document) -> Invoice | None:
    """The invoice that a document's credit note took back by the system's own action."""
    keys = [step.invoice_key for step in document.steps if isinstance(step, CreditInvoice)]
    if not keys:
        return None
    payload = session.scalar(select(DeliveryRow.payload).where(DeliveryRow.key == keys[0]))
    step = decode_step(payload) if payload else None
    return step.invoice if isinstance(step, CreateInvoice | CreateOrder) else None


# --- Planning, slice by slice -----------------------------------------------------------------------------------


def plan_slice(
    services: Services,
    company_id: int,
    own_run_id: int,
    desk: Desk,
    enough: Callable[[], bool],
    told: Callable[[str], None] = lambda text: None,
) -> bool:
    """Plan the undo of the run's next documents; True when all have been looked at. Looks only where that is asked."""
    with services.db.company_reading(company_id) as session:
        run = session.get_one(RunRow, own_run_id)
        looks, undone_run = run.trigger == LOOK, int(run.cursor["undo"])
    while not enough():
        with services.db.company_reading(company_id) as session:
            after = int(session.get_one(RunRow, own_run_id).cursor.get("after", 0))
            rows = session.scalars(
                select(DocumentRow)
                .where(DocumentRow.run_id == undone_run, DocumentRow.id > after, DocumentRow.kind.not_in(_NEVER))
                .order_by(DocumentRow.id)
                .limit(_PAGE)
            ).all()
        if not rows:
            return True
        desk.read(rows)
        for row in rows:
            told(f"{row.kind} {row.number or row.key}")
            if not looks and _unwritten(services, company_id, row, desk.who):
                document, left = None, None
            else:
                document, left = _plan_one(services, company_id, undone_run, row, desk)
            _keep(services, company_id, own_run_id, row, document, left, looks=looks, desk=desk)
            if enough():
                break
    return False


def _unwritten(services: Services, company_id: int, row: DocumentRow, who: str) -> bool:
    """Take back what has not been begun: it is forgotten, and its parts are set aside as those of the others."""
    if row.state not in (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value):
        return False
    with services.db.company(company_id) as session:
        begun = session.scalar(
            select(func.count())
            .select_from(DeliveryRow)
            .where(DeliveryRow.document_id == row.id, DeliveryRow.attempt > 0)
        )
        if begun:
            return False
        return booking.drop_unwritten(session, row.id, who, services.now())


def _keep(
    services: Services,
    company_id: int,
    own_run_id: int,
    row: DocumentRow,
    document: Document | None,
    left: Left | None,
    *,
    looks: bool,
    desk: Desk,
) -> None:
    now = services.now()
    with services.db.company(company_id) as session:
        run = session.scalars(select(RunRow).where(RunRow.id == own_run_id).with_for_update()).one()
        if int(run.cursor.get("after", 0)) >= row.id:
            return  # somebody who took this slice over has been here
        if left is not None:
            session.add(
                RunItemRow(
                    run_id=own_run_id,
                    what="left",
                    key=left.key,
                    kind=left.kind,
                    words=left.number,
                    payload={"reason": left.reason.value, "facts": dict(left.facts)},
                )
            )
        if document is not None and looks:
            policy = desk.policies[row.connection_id]
            previews.add(session, own_run_id, [previews.rows_of(session, document, policy, row.connection_id)])
        elif document is not None:
            original = session.scalars(select(DocumentRow).where(DocumentRow.id == row.id).with_for_update()).one()
            if original.undone_by is None:
                made = booking.store_document(session, company_id, row.connection_id, own_run_id, document, True, now)
                original.undone_by = made.id
        run.cursor = {**run.cursor, "after": row.id}


def finish_look(services: Services, company_id: int, own_run_id: int, home: str, country: str) -> None:
    """Add up what an undo would write."""
    previews.finish(services, company_id, own_run_id, home, country, complete=True)


def log(services: Services, company_id: int, run_id: int, who: str) -> None:
    """Note who had a run undone."""
    with services.db.company(company_id) as session:
        activity.record(session, who, "run_undone", {"run": str(run_id)}, services.now())


# --- What became of it ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UndoneLine:
    """A document that undoes another one: its state, and why it is refused if it is."""

    document_id: int
    key: str
    number: str
    state: str
    reason: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an undo has come to: documents by state, those that were refused, and what was left alone."""

    states: Mapping[str, int]
    refused: tuple[UndoneLine, ...]
    left: tuple[Left, ...]


def outcome(services: Services, company_id: int, own_run_id: int, most: int = 200) -> Outcome:
    """What became of the undo that a run carries out, or looked at."""
    with services.db.company_reading(company_id) as session:
        ours = (DocumentRow.run_id == own_run_id) & (DocumentRow.kind == DocumentKind.UNDO.value)
        states = {
            str(state): int(count)
            for state, count in session.execute(
                select(DocumentRow.state, func.count()).where(ours).group_by(DocumentRow.state)
            )
        }
        refused = session.scalars(
            select(DocumentRow)
            .where(ours, DocumentRow.state == DeliveryState.REJECTED.value)
            .order_by(DocumentRow.id)
            .limit(most)
        ).all()
        left = session.scalars(
            select(RunItemRow)
            .where(RunItemRow.run_id == own_run_id, RunItemRow.what == "left")
            .order_by(RunItemRow.id)
            .limit(most)
        ).all()
        return Outcome(
            states,
            tuple(
                UndoneLine(row.id, row.key, row.number, row.state, row.hold_reason, _texts(row.hold_facts))
                for row in refused
            ),
            tuple(
                Left(row.key, row.kind, row.words, LeftAlone(row.payload["reason"]), _texts(row.payload["facts"]))
                for row in left
            ),
        )


def written(services: Services, company_id: int, own_run_id: int) -> tuple[Document, ...]:
    """The documents that an undo has made, whatever became of them."""
    with services.db.company_reading(company_id) as session:
        rows = session.scalars(
            select(DocumentRow.payload)
            .where(DocumentRow.run_id == own_run_id, DocumentRow.kind == DocumentKind.UNDO.value)
            .order_by(DocumentRow.id)
        )
        return tuple(decode(Document, payload) for payload in rows)


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in facts.items()}


def retry(services: Services, company_id: int, own_run_id: int, who: str) -> int:
    """Let refused documents of an undo go on at the step that failed; says how many. Raises `NothingToUndo`."""
    now = services.now()
    with services.db.company(company_id) as session:
        if session.get(RunRow, own_run_id) is None:
            raise NothingToUndo(f"run {own_run_id}")
        ids = list(
            session.scalars(
                select(DocumentRow.id).where(
                    DocumentRow.run_id == own_run_id,
                    DocumentRow.kind == DocumentKind.UNDO.value,
                    DocumentRow.state == DeliveryState.REJECTED.value,
                )
            )
        )
        booking.revive(session, ids, now)
        if ids:
            activity.record(session, who, "retried", {"run": str(own_run_id), "documents": str(len(ids))}, now)
    return len(ids)


__all__ = [
    "LOOK",
    "TRIGGER",
    "Desk",
    "Left",
    "LeftAlone",
    "NothingToUndo",
    "Outcome",
    "finish_look",
    "log",
    "outcome",
    "plan_slice",
    "retry",
    "undoable",
    "written",
]
