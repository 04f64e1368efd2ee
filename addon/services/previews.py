"""Look before anything is written: what a run would book, foreseen to its end and kept for pages and files.

The plan is made and stored exactly as a run would, its documents are taken as booked so that what hangs on them
(refunds of new sales, payouts of new lines) is planned as well, and then all of it is rolled back. What was seen is
kept with the run that looked, and nowhere else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from addon.core.books import InvoiceView
from addon.core.dates import booking_date
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import (
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreditInvoice,
    Document,
    DocumentKind,
    Invoice,
    PartRef,
)
from addon.core.entries import AccountTotal, EntryRow, account_totals, entries_of
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.joining import Twin
from addon.core.money import Money
from addon.core.plan import plan
from addon.core.rules import Policy
from addon.core.vat_boxes import vat_boxes
from addon.ports.accounting import AccountingSystem
from addon.services import booking, joining
from addon.services.booking import Search
from addon.services.context import Services
from addon.services.ingest import zone_of
from addon.services.tables import harmless, plain
from addon.store import deliveries
from addon.store.codec import decode, encode
from addon.store.models import (
    CustomerRow,
    DeliveryRow,
    DocumentRow,
    MovementRow,
    PartRow,
    RunItemRow,
    RunRow,
)

TRIGGER: Final = "preview"
LOOKING: Final = frozenset({TRIGGER, "undo_preview", "backfill_preview"})
"""Triggers of runs that only look: they fetch and plan and write nothing into the books."""
MOST_ROUNDS: Final = 12
"""How many times documents are taken as booked and what hangs on them is planned, as a run does."""
KEPT_RUNS: Final = 5
"""What so many runs of each kind have seen is kept; older ones keep their totals."""
PAGE: Final = 50
_CHUNK: Final = 500
NUMBER_TO_COME: Final = "…"
"""Stands for the number of an invoice that is not made yet."""

LoadPolicy = Callable[[Session], Policy]


@dataclass(frozen=True, slots=True)
class Seen:
    """A document that was foreseen, with its rows in the books' currency; `proposed_id` where it waits for approval."""

    document: Document
    rows: tuple[EntryRow, ...]
    exact: bool = True
    proposed_id: int | None = None
    connection_id: int = 0


@dataclass(slots=True)
class Foreseen:
    """What looking found. `complete` False: time ran out, and what comes later is not in it."""

    documents: list[Seen] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    complete: bool = True
    run_id: int = 0


class NotSeen(LookupError):
    """The company has no such run."""


class _Forget(Exception):
    """Carries what was seen out of a transaction that must not be kept."""

    def __init__(self, seen: Foreseen) -> None:
        super().__init__("rolled back on purpose")
        self.seen = seen


# --- Looking ------------------------------------------------------------------------------------------------------


def search(
    services: Services,
    company_id: int,
    run_id: int,
    connection_id: int,
    load_policy: LoadPolicy,
    system: AccountingSystem,
    enough: Callable[[], bool],
) -> bool:
    """Look for the invoices of Basic's order numbers and keep what was found with the run; False if more is left."""
    with services.db.company_reading(company_id) as session:
        policy = load_policy(session)
        today = booking_date(services.now(), zone_of(session, company_id))
        movements = booking.load_open(session, connection_id, None, today, policy.zone)
        looked = session.scalars(_items(run_id, "twins").where(RunItemRow.key == str(connection_id))).first()
    if looked is None:
        twins = joining.find_invoiced(movements, policy, system)
        payload = {"found": {ref: [twin.number, twin.why] for ref, twin in twins.items()}}
        with services.db.company(company_id) as session:
            session.add(RunItemRow(run_id=run_id, what="twins", key=str(connection_id), payload=payload))
    with services.db.company_reading(company_id) as session:
        done = set(session.scalars(_items(run_id, "search").with_only_columns(RunItemRow.key)))
    left = [entry for entry in movements if entry.movement.ref not in done]
    found = booking.find_matches(
        services, company_id, connection_id, left, policy, system, enough, remember=False, anew=True
    )
    if not found.found and not found.refused:
        return True
    told: dict[str, dict[str, Any]] = {
        ref: {"found": [encode(view) for view in views]} for ref, views in found.found.items()
    }
    for ref, refused in found.refused.items():
        told[ref] = {"reason": refused.reason.value, "facts": [list(fact) for fact in refused.facts]}
    with services.db.company(company_id) as session:
        session.add_all(
            RunItemRow(run_id=run_id, what="search", key=ref[:180], payload=payload) for ref, payload in told.items()
        )
    return False


def _items(run_id: int, what: str) -> Any:
    return select(RunItemRow).where(RunItemRow.run_id == run_id, RunItemRow.what == what)


def _searched(session: Session, run_id: int) -> Search:
    found: dict[str, tuple[InvoiceView, ...]] = {}
    refused: dict[str, Hold] = {}
    for row in session.scalars(_items(run_id, "search")):
        if "found" in row.payload:
            found[row.key] = tuple(decode(InvoiceView, view) for view in row.payload["found"])
        else:
            facts = tuple((str(name), str(value)) for name, value in row.payload["facts"])
            refused[row.key] = Hold((PartRef(row.key, "amount"),), HoldReason(row.payload["reason"]), facts)
    return Search(found, refused)


Prepare = Callable[[Session], None]


def foresee(
    services: Services,
    company_id: int,
    run_id: int,
    connection_ids: Sequence[int],
    loaders: Mapping[int, LoadPolicy],
    enough: Callable[[], bool],
    prepare: Prepare | None = None,
) -> Foreseen:
    """Plan all that is open to its end in a transaction that is rolled back, and give what was seen.

    `prepare` puts into that transaction what is to be looked at besides, a backfill's movements for one.
    """
    now = services.now()
    try:
        with services.db.company(company_id) as session:
            if prepare is not None:
                prepare(session)
            seen = Foreseen(run_id=run_id)
            for connection_id in connection_ids:
                _foresee_connection(
                    session, company_id, run_id, connection_id, loaders[connection_id], enough, now, seen
                )
            raise _Forget(seen)
    except _Forget as forgotten:
        return forgotten.seen


def _foresee_connection(
    session: Session,
    company_id: int,
    run_id: int,
    connection_id: int,
    load_policy: LoadPolicy,
    enough: Callable[[], bool],
    now: datetime,
    seen: Foreseen,
) -> None:
    searched = _searched(session, run_id)
    policy = load_policy(session)
    invoices = _InvoicesByKey(session)
    for row in _not_booked(session, connection_id):
        document = decode(Document, row.payload)
        waits_for_person = row.state == DeliveryState.PROPOSED.value
        seen.documents.append(_seen(document, policy, invoices, connection_id, row.id if waits_for_person else None))
        _take_as_booked(session, row, document, now)
    for _ in range(MOST_ROUNDS):
        made = 0
        more = True
        while more and not enough():
            made_now, more = _plan_once(session, company_id, connection_id, policy, searched, invoices, now, seen)
            made += made_now
        if enough():
            seen.complete = False
            break
        if not made:
            break
        policy = load_policy(session)
    _collect_open(session, connection_id, seen)


def _not_booked(session: Session, connection_id: int) -> Sequence[DocumentRow]:
    states = (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
    return session.scalars(
        select(DocumentRow)
        .where(DocumentRow.connection_id == connection_id, DocumentRow.state.in_(states))
        .order_by(DocumentRow.id)
    ).all()


def _plan_once(
    session: Session,
    company_id: int,
    connection_id: int,
    policy: Policy,
    searched: Search,
    invoices: _InvoicesByKey,
    now: datetime,
    seen: Foreseen,
) -> tuple[int, bool]:
    until, more = booking.next_days(session, connection_id)
    movements = searched.without_refused(
        booking.load_open(session, connection_id, until if more else None, policy.today, policy.zone)
    )
    if not movements and not searched.refused:
        return 0, False
    twins = {**joining.stored_twins(session, connection_id), **_twins(session, seen.run_id, connection_id)}
    movements = joining.with_twins(movements, twins)
    situation = booking.load_situation(session, connection_id, movements, searched.found, policy)
    # Their invoices will tell the rate of their day, which nobody knows before.
    days = [*situation.rates_coming.items(), *_rates_to_come(seen, policy)]
    earliest = {currency: min(day for one, day in days if one == currency) for currency, _ in days}
    coming = situation.currencies_coming | set(earliest)
    situation = replace(situation, currencies_coming=coming, rates_coming=earliest)
    result = searched.with_holds(plan(situation, policy))
    last_id = session.scalar(select(func.max(DocumentRow.id))) or 0
    booking.store_plan(session, company_id, connection_id, None, result, policy, True, now)
    session.flush()
    rows = session.scalars(
        select(DocumentRow)
        .where(DocumentRow.connection_id == connection_id, DocumentRow.id > last_id)
        .order_by(DocumentRow.id)
    ).all()
    for row in rows:
        document = decode(Document, row.payload)
        seen.documents.append(_seen(document, policy, invoices, connection_id))
        _take_as_booked(session, row, document, now)
    session.expire_all()
    return len(rows), more


def _twins(session: Session, run_id: int, connection_id: int) -> dict[str, Twin]:
    """Invoices of other connections that the look has found for sales."""
    row = session.scalars(_items(run_id, "twins").where(RunItemRow.key == str(connection_id))).first()
    return {ref: Twin(*found) for ref, found in row.payload["found"].items()} if row is not None else {}


def _rates_to_come(seen: Foreseen, policy: Policy) -> set[tuple[str, date]]:
    return {
        (step.invoice.currency, step.invoice.invoice_date)
        for one in seen.documents
        for step in one.document.steps
        if isinstance(step, CreateInvoice | CreateOrder)
        and step.invoice.rate is None
        and step.invoice.currency != policy.books_currency
    }


def _take_as_booked(session: Session, row: DocumentRow, document: Document, now: datetime) -> None:
    """Let a document count as booked for what hangs on it. Payments on found invoices stay under way: the invoices'
    balances are known as they were read, and are not read again."""
    for step in document.steps:
        if isinstance(step, CreateCustomer):
            known = session.scalar(select(CustomerRow.id).where(CustomerRow.key == step.key))
            if known is None:
                session.add(CustomerRow(key=step.key, number=NUMBER_TO_COME, name=step.customer.name))
    if document.kind is DocumentKind.MATCH or any(step.kind in deliveries.FOR_PEOPLE for step in document.steps):
        return
    row.state, row.booked_at = DeliveryState.BOOKED.value, now
    row.number = row.number or NUMBER_TO_COME
    invoice = next((step.invoice for step in document.steps if isinstance(step, CreateInvoice | CreateOrder)), None)
    if invoice is not None:
        rate = invoice.rate.per_one() if invoice.rate is not None else invoice.expected_rate or Decimal(1)
        row.invoice_total_minor, row.invoice_rate = invoice.total.minor, str(rate)
    if row.clearing_books_minor is None and invoice is not None:
        rate = Decimal(row.invoice_rate)
        home = Money.rounded(document.total.to_decimal() * rate, _home_of(document, row))
        row.clearing_books_minor = home.minor
    session.flush()
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.document_id == row.id)
        .values(state=DeliveryState.BOOKED.value)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(PartRow)
        .where(PartRow.document_id == row.id)
        .values(state=PartState.BOOKED.value, reason="", facts={}, changed_at=now)
        .execution_options(synchronize_session=False)
    )


def _home_of(document: Document, row: DocumentRow) -> str:
    books = next((effect.books for effect in document.clearing if effect.books is not None), None)
    return books.currency if books is not None else "SEK"


def _collect_open(session: Session, connection_id: int, seen: Foreseen) -> None:
    """What would be held or wait when the run is over."""
    states = (PartState.HELD.value, PartState.WAITING.value)
    query = (
        select(PartRow, MovementRow.ref)
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .where(PartRow.connection_id == connection_id, PartRow.state.in_(states), PartRow.document_id.is_(None))
        .order_by(MovementRow.occurred_at, PartRow.id)
    )
    for part, ref in session.execute(query):
        parts = (PartRef(ref, part.name),)
        facts = tuple((str(name), str(value)) for name, value in part.facts.items())
        if part.state == PartState.HELD.value:
            seen.holds.append(Hold(parts, HoldReason(part.reason), facts))
        else:
            seen.waits.append(Wait(parts, WaitReason(part.reason), part.wait_until, facts))


class _InvoicesByKey:
    """Invoices of ours by key: those that stand already, and those that were foreseen before."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, Invoice] = {}

    def learn(self, document: Document) -> None:
        for step in document.steps:
            if isinstance(step, CreateInvoice | CreateOrder):
                self._known[step.key] = step.invoice

    def for_document(self, document: Document) -> dict[str, Invoice]:
        wanted = [step.invoice_key for step in document.steps if isinstance(step, CreditInvoice) and step.invoice_key]
        found: dict[str, Invoice] = {}
        for key in wanted:
            if key not in self._known:
                payload = self._session.scalar(select(DeliveryRow.payload).where(DeliveryRow.key == key))
                if payload and payload.get("kind") == "create_invoice":
                    self._known[key] = decode(CreateInvoice, payload).invoice
            if key in self._known:
                found[key] = self._known[key]
        return found


def _seen(
    document: Document, policy: Policy, invoices: _InvoicesByKey, connection_id: int, proposed_id: int | None = None
) -> Seen:
    invoices.learn(document)
    made = entries_of(document, policy.accounts.numbers, policy.books_currency, invoices.for_document(document))
    return Seen(document, made.rows, made.exact, proposed_id, connection_id)


def rows_of(session: Session, document: Document, policy: Policy, connection_id: int = 0) -> Seen:
    """A document with its rows, where it is not part of a look at everything."""
    return _seen(document, policy, _InvoicesByKey(session), connection_id)


# --- Keeping what was seen ----------------------------------------------------------------------------------------


def keep(services: Services, company_id: int, run_id: int, seen: Foreseen, home: str, country: str) -> None:
    """Keep what a run saw; what older runs of its kind saw is forgotten, so that looking often costs nothing."""
    for start in range(0, max(1, len(seen.documents)), _CHUNK):
        with services.db.company(company_id) as session:
            session.add_all(_document_item(run_id, one) for one in seen.documents[start : start + _CHUNK])
    with services.db.company(company_id) as session:
        for hold in seen.holds:
            session.add(_open_item(run_id, "hold", hold.parts, hold.reason.value, hold.facts, None))
        for wait in seen.waits:
            session.add(_open_item(run_id, "wait", wait.parts, wait.reason.value, wait.facts, wait.until))
        _keep_totals(session, run_id, seen.documents, home, country, complete=seen.complete)
        run = session.get_one(RunRow, run_id)
        run.counts = {
            **run.counts,
            "documents": len(seen.documents),
            "held": len(seen.holds),
            "waiting": len(seen.waits),
        }
        old = session.scalars(
            select(RunRow.id).where(RunRow.trigger == run.trigger, RunRow.id < run_id).order_by(RunRow.id.desc())
        ).all()[KEPT_RUNS - 1 :]
        if old:
            _delete_items(session, old)
        # What was fetched or searched for this look alone has served: it is never kept beside the books' own.
        session.execute(
            delete(RunItemRow)
            .where(RunItemRow.run_id == run_id, RunItemRow.what.in_(("search", "staged", "twins")))
            .execution_options(synchronize_session=False)
        )


def _delete_items(session: Session, run_ids: Sequence[int]) -> None:
    session.execute(
        delete(RunItemRow)
        .where(RunItemRow.run_id.in_(run_ids), RunItemRow.what != "totals")
        .execution_options(synchronize_session=False)
    )


def add(session: Session, run_id: int, seen: Iterable[Seen]) -> None:
    """Keep some of what a run saw; `finish` adds it up. The caller commits."""
    session.add_all(_document_item(run_id, one) for one in seen)


def finish(services: Services, company_id: int, run_id: int, home: str, country: str, *, complete: bool = True) -> None:
    """Add up what a run has kept with `add`."""
    seen = list(_pages_of(services, company_id, run_id, Asked(order="id")))
    with services.db.company(company_id) as session:
        _keep_totals(session, run_id, seen, home, country, complete=complete)
        run = session.get_one(RunRow, run_id)
        run.counts = {**run.counts, "documents": len(seen)}


def _keep_totals(
    session: Session, run_id: int, seen: Sequence[Seen], home: str, country: str, *, complete: bool
) -> None:
    totals = account_totals((row for one in seen for row in one.rows), home)
    boxes = vat_boxes((one.rows for one in seen), home, country)
    payload = {
        "currency": home,
        "complete": complete,
        "accounts": [[one.account, one.role, one.debit.minor, one.credit.minor, one.rows] for one in totals],
        "boxes": {box: amount.minor for box, amount in boxes.items()},
    }
    session.add(RunItemRow(run_id=run_id, what="totals", payload=payload))


def _document_item(run_id: int, one: Seen) -> RunItemRow:
    document = one.document
    facts = dict(document.facts)
    customers = [step.invoice.customer for step in document.steps if isinstance(step, CreateInvoice | CreateOrder)]
    words = [facts.get("order_number", ""), *(customer.name for customer in customers), facts.get("source", "")]
    return RunItemRow(
        run_id=run_id,
        what="document",
        key=document.key,
        kind=document.kind.value,
        booking_date=document.booking_date,
        total_minor=document.total.minor,
        currency=document.total.currency,
        words=" ".join(filter(None, (*words, document.key))),
        payload={
            "document": encode(document),
            "rows": [_row_json(row) for row in one.rows],
            "exact": one.exact,
            "proposed": one.proposed_id,
            "connection": one.connection_id,
        },
    )


def _row_json(row: EntryRow) -> list[Any]:
    percent = f"{row.percent.normalize():f}" if row.percent is not None else None
    return [row.account, row.role, row.amount.minor, row.amount.currency, row.text, percent]


def _row_from(data: Sequence[Any]) -> EntryRow:
    account, role, minor, currency, text, percent = data
    return EntryRow(account, role, Money(minor, currency), text, Decimal(percent) if percent is not None else None)


def _open_item(
    run_id: int, what: str, parts: Sequence[PartRef], reason: str, facts: Sequence[tuple[str, str]], until: date | None
) -> RunItemRow:
    payload = {
        "parts": [[part.movement_ref, part.part] for part in parts],
        "facts": [list(fact) for fact in facts],
        "until": until.isoformat() if until else None,
    }
    return RunItemRow(
        run_id=run_id, what=what, key=parts[0].movement_ref[:180], kind=reason[:20], words=reason, payload=payload
    )


# --- Reading it again ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """What a look came to: per account, and per box of the VAT return, in the books' currency."""

    currency: str
    complete: bool
    accounts: tuple[AccountTotal, ...]
    boxes: Mapping[str, Money]


@dataclass(frozen=True, slots=True)
class SeenPage:
    """A page of what a run saw. `found` counts the documents that were asked for, `documents` all of them."""

    run_id: int
    state: str
    trigger: str
    looked_at: datetime
    cursor: Mapping[str, Any]
    documents: int
    found: int
    lines: tuple[Seen, ...]
    next_offset: int | None
    previous_offset: int | None
    holds: tuple[Hold, ...]
    waits: tuple[Wait, ...]
    totals: Totals | None
    kinds: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for: one kind, some words, days, and an order (one of `ORDERS`)."""

    kind: str = ""
    words: str = ""
    since: date | None = None
    until: date | None = None
    order: str = "date"
    offset: int = 0


ORDERS: Final = ("date", "-date", "total", "-total", "kind")
MOST_SHOWN: Final = 100


def latest_run(services: Services, company_id: int, trigger: str = TRIGGER) -> int | None:
    """The newest run of a kind that has looked to its end."""
    with services.db.company_reading(company_id) as session:
        return session.scalar(select(func.max(RunRow.id)).where(RunRow.trigger == trigger, RunRow.state == "done"))


def page(services: Services, company_id: int, run_id: int, asked: Asked | None = None, rows: int = PAGE) -> SeenPage:
    """A page of what a run saw. Raises `NotSeen` for a run that the company does not have."""
    asked = asked or Asked()
    with services.db.company_reading(company_id) as session:
        run = session.scalars(select(RunRow).where(RunRow.id == run_id)).one_or_none()
        if run is None:
            raise NotSeen(f"the company has no run {run_id}")
        query = _filtered(run_id, asked)
        found = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        lines = session.scalars(query.order_by(*_ordered(asked.order)).offset(asked.offset).limit(rows)).all()
        kinds = session.execute(
            select(RunItemRow.kind, func.count())
            .where(RunItemRow.run_id == run_id, RunItemRow.what == "document")
            .group_by(RunItemRow.kind)
            .order_by(RunItemRow.kind)
        ).all()
        return SeenPage(
            run_id=run.id,
            state=run.state,
            trigger=run.trigger,
            looked_at=run.finished_at or run.started_at,
            cursor=dict(run.cursor),
            documents=sum(int(count) for _, count in kinds),
            found=int(found),
            lines=tuple(_seen_from(row) for row in lines),
            next_offset=asked.offset + rows if asked.offset + rows < found else None,
            previous_offset=max(0, asked.offset - rows) if asked.offset else None,
            holds=_holds(session, run_id, MOST_SHOWN),
            waits=_waits(session, run_id, MOST_SHOWN),
            totals=_totals(session, run_id),
            kinds=tuple((kind, int(count)) for kind, count in kinds),
        )


def everything(services: Services, company_id: int, run_id: int, asked: Asked | None = None) -> Foreseen:
    """All that a run saw, in memory: for the command line and for tests."""
    with services.db.company_reading(company_id) as session:
        rows = session.scalars(_filtered(run_id, asked or Asked(order="id")).order_by(RunItemRow.id)).all()
        totals = _totals(session, run_id)
        return Foreseen(
            [_seen_from(row) for row in rows],
            list(_holds(session, run_id, None)),
            list(_waits(session, run_id, None)),
            totals.complete if totals is not None else False,
        )


def totals(services: Services, company_id: int, run_id: int) -> Totals | None:
    """What a run's documents put onto accounts and into VAT boxes; None if it saw nothing yet."""
    with services.db.company_reading(company_id) as session:
        return _totals(session, run_id)


def _filtered(run_id: int, asked: Asked) -> Any:
    query = _items(run_id, "document")
    if asked.kind:
        query = query.where(RunItemRow.kind == asked.kind)
    if asked.since is not None:
        query = query.where(RunItemRow.booking_date >= asked.since)
    if asked.until is not None:
        query = query.where(RunItemRow.booking_date <= asked.until)
    for word in asked.words.split()[:5]:
        query = query.where(func.lower(RunItemRow.words).contains(word.lower(), autoescape=True))
    return query


def _ordered(order: str) -> tuple[Any, ...]:
    match order:
        case "-date":
            return RunItemRow.booking_date.desc(), RunItemRow.id.desc()
        case "total":
            return RunItemRow.currency, RunItemRow.total_minor, RunItemRow.id
        case "-total":
            return RunItemRow.currency, RunItemRow.total_minor.desc(), RunItemRow.id
        case "kind":
            return RunItemRow.kind, RunItemRow.booking_date, RunItemRow.id
        case _:
            return RunItemRow.booking_date, RunItemRow.id


def _seen_from(row: RunItemRow) -> Seen:
    payload = row.payload
    return Seen(
        decode(Document, payload["document"]),
        tuple(_row_from(one) for one in payload["rows"]),
        bool(payload.get("exact", True)),
        payload.get("proposed"),
        int(payload.get("connection") or 0),
    )


def _facts(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in payload["facts"])


def _parts(payload: Mapping[str, Any]) -> tuple[PartRef, ...]:
    return tuple(PartRef(str(ref), str(name)) for ref, name in payload["parts"])


def _holds(session: Session, run_id: int, limit: int | None) -> tuple[Hold, ...]:
    rows = session.scalars(_items(run_id, "hold").order_by(RunItemRow.id).limit(limit))
    return tuple(Hold(_parts(row.payload), HoldReason(row.words), _facts(row.payload)) for row in rows)


def _waits(session: Session, run_id: int, limit: int | None) -> tuple[Wait, ...]:
    rows = session.scalars(_items(run_id, "wait").order_by(RunItemRow.id).limit(limit))
    return tuple(
        Wait(
            _parts(row.payload),
            WaitReason(row.words),
            date.fromisoformat(row.payload["until"]) if row.payload["until"] else None,
            _facts(row.payload),
        )
        for row in rows
    )


def _totals(session: Session, run_id: int) -> Totals | None:
    row = session.scalars(_items(run_id, "totals").order_by(RunItemRow.id.desc()).limit(1)).first()
    if row is None:
        return None
    payload, home = row.payload, str(row.payload["currency"])
    return Totals(
        home,
        bool(payload["complete"]),
        tuple(
            AccountTotal(account, role, Money(debit, home), Money(credit, home), count)
            for account, role, debit, credit, count in payload["accounts"]
        ),
        {box: Money(minor, home) for box, minor in payload["boxes"].items()},
    )


# --- As files -----------------------------------------------------------------------------------------------------

COLUMNS: Final = (
    "date",
    "document",
    "kind",
    "order_number",
    "total",
    "currency",
    "account",
    "role",
    "debit",
    "credit",
    "books_currency",
    "vat_percent",
    "text",
)


def _file_rows(seen: Iterable[Seen]) -> Iterator[tuple[Any, ...]]:
    for one in seen:
        document = one.document
        facts = dict(document.facts)
        for row in one.rows:
            value = row.amount.to_decimal()
            yield (
                document.booking_date,
                document.key,
                document.kind.value,
                facts.get("order_number", ""),
                document.total.to_decimal(),
                document.total.currency,
                row.account,
                row.role,
                value if value > 0 else None,
                -value if value < 0 else None,
                row.amount.currency,
                row.percent,
                row.text,
            )


def _pages_of(services: Services, company_id: int, run_id: int, asked: Asked) -> Iterator[Seen]:
    """Everything that was asked for, a page at a time, so that memory stays flat."""
    offset: int | None = 0
    while offset is not None:
        found = page(services, company_id, run_id, replace(asked, offset=offset), _CHUNK)
        yield from found.lines
        offset = found.next_offset


def as_csv(services: Services, company_id: int, run_id: int, asked: Asked | None = None) -> Iterator[str]:
    """What a run saw as CSV, a line for each row of each document."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in _file_rows(_pages_of(services, company_id, run_id, asked or Asked())):
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
        if out.tell() > 60_000:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def as_xlsx(services: Services, company_id: int, run_id: int, asked: Asked | None = None) -> bytes:
    """The same as a workbook, with a sheet of totals. Texts are written as texts, so that none becomes a formula."""
    import xlsxwriter  # slow to import, and needed by nobody else

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
        money = book.add_format({"num_format": "#,##0.00"})
        sheet = book.add_worksheet("Documents")
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, COLUMNS, bold)
        for number, row in enumerate(_file_rows(_pages_of(services, company_id, run_id, asked or Asked())), start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(number, column, datetime(cell.year, cell.month, cell.day), day)  # noqa: DTZ001
                elif isinstance(cell, Decimal):
                    sheet.write_number(number, column, float(cell), money)  # a cell of a spreadsheet is a float
                elif cell is not None:
                    sheet.write_string(number, column, plain(str(cell)))
        _write_totals(book, totals(services, company_id, run_id), bold, money)
    return out.getvalue()


def _write_totals(book: Any, found: Totals | None, bold: Any, money: Any) -> None:
    sheet = book.add_worksheet("Totals")
    sheet.write_row(0, 0, ("account", "role", "debit", "credit", "balance", "currency"), bold)
    if found is None:
        return
    number = 0
    for number, total in enumerate(found.accounts, start=1):
        sheet.write_string(number, 0, total.account)
        sheet.write_string(number, 1, total.role)
        for column, amount in enumerate((total.debit, total.credit, total.balance), start=2):
            sheet.write_number(number, column, float(amount.to_decimal()), money)
        sheet.write_string(number, 5, found.currency)
    sheet.write_row(number + 2, 0, ("VAT box", "", "amount"), bold)
    for place, (box, amount) in enumerate(found.boxes.items(), start=number + 3):
        sheet.write_string(place, 0, box)
        sheet.write_number(place, 2, float(amount.to_decimal()), money)
