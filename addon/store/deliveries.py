"""The delivery outbox: who may make which remote write, and what became of it. All by the database's clock.

Plain functions over a company's session; the caller commits. `claim` must be committed before a byte leaves and
each `record_…` at once after the answer, with no transaction open while the outside world is asked:

    with db.company(company_id) as session:
        claimed = claim(session, delivery_id, lease_s, quarantine_s)
    # look up and write here
    with db.company(company_id) as session:
        record_booked(session, claimed, answer)

A crash between the two needs no handler: the row says `sending` with a lease, and `needs_lookup` is set. Each
attempt has a number; whoever was taken over finds another number and gets `ClaimLost` instead of writing.
These functions write past rows that the session has already loaded: read them anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Date,
    Integer,
    String,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from addon.core.books import StepAnswer
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import (
    AwaitInvoice,
    AwaitPayment,
    BookInvoice,
    BookPayment,
    CreateArticle,
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    DateCreditNote,
    Document,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    Step,
    UpdateCustomer,
)
from addon.core.money import Money
from addon.store.clock import database_now
from addon.store.codec import decode_step_text, encode
from addon.store.database import Transaction, company_of
from addon.store.models import (
    Base,
    CallRow,
    Clipped,
    CustomerRow,
    DeliveryRow,
    DocumentRow,
    Id,
    Instant,
    PartRow,
    RateRow,
)
from addon.store.prepared import Prepared, given

Within = Session | Transaction
"""What a statement is carried out in: a session, or one of the short transactions of a line."""

VOUCHERS: Final = "vouchers"
"""What vouchers are alone on: they go one at a time, so that the series' next number tells whether one landed."""

SEQ_STEP: Final = 10
"""Steps are numbered with gaps: what an answer calls for is put between."""

LOOKS_AGAIN: Final = 12
"""Up to which attempt a write in doubt that is put off is looked for again. Where looking leaves nothing of the lease
to write in, that would go on for ever: from then on what stands twice is the fence's and the audit's."""

FOR_PEOPLE: Final = ("await_invoice", "await_payment")
"""Kinds of steps that people take in the accounting system: nothing is written, it is looked at now and then."""

_AS_WRITTEN = {"synchronize_session": False}
_UNDER_DELIVERY = (DeliveryState.APPROVED.value, DeliveryState.SENDING.value)


class ClaimLost(RuntimeError):
    """The lease ran out and somebody else has taken the delivery over: write nothing, record nothing."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until `lease_until`. `attempt` is its fencing number.

    `look_first`: an earlier attempt may have landed, so look before writing. `doubtful`: some attempt ever ended
    without a readable answer, so list copies before booking. `misses`: look-ups in a row that found nothing.
    """

    delivery_id: int
    document_id: int
    seq: int
    key: str
    step: Step
    attempt: int
    look_first: bool
    doubtful: bool
    misses: int
    first_attempted_at: datetime
    attempted_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery whose turn it is. `doubted`: an earlier attempt may have landed, so it will be looked for."""

    delivery_id: int
    document_id: int
    seq: int
    key: str
    kind: str
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step of a document that is not booked; `doubted` as in `Ready`."""

    delivery_id: int
    kind: str
    doubted: bool
    document_id: int
    seq: int
    alone_on: str


# --- From documents to deliveries ----------------------------------------------------------------------------


def alone_on(steps: Sequence[Step]) -> Mapping[str, str]:
    """For each step's key: what no other write may be under way on at the same time, or nothing.

    Payments are recognised by invoice and count, so an invoice takes one write at a time, from whichever document;
    a customer too, or two sales would make the same buyer twice.
    """
    found: dict[str, str] = {}
    for step in steps:
        match step:
            case CreateCustomer():
                found[step.key] = f"customer/{step.customer.key}"
            case UpdateCustomer():
                found[step.key] = f"customer/{step.customer_key}"
            case CreateArticle():
                found[step.key] = f"article/{step.number}"
            case CreateInvoice() | CreateOrder():
                found[step.key] = f"invoice/{step.key}"
            case BookInvoice(draft=draft) if draft is not None:
                found[step.key] = f"number/{draft.number}"
            case CreditInvoice() if step.invoice_number:
                found[step.key] = f"number/{step.invoice_number}"
            case RoundInvoice() | BookInvoice() | CreditInvoice() | AwaitInvoice() | MailInvoice():
                found[step.key] = f"invoice/{step.invoice_key}"
            case DateCreditNote():
                found[step.key] = f"invoice/{step.credit_key}"
            case CreatePayment():
                found[step.key] = (
                    f"number/{step.invoice_number}" if step.invoice_number else f"invoice/{step.invoice_key}"
                )
            case BookPayment() | AwaitPayment():
                found[step.key] = found.get(step.payment_key, "")
            case PostVoucher():
                found[step.key] = VOUCHERS
    return found


def new_deliveries(document: Document, document_id: int, state: DeliveryState) -> list[DeliveryRow]:
    """The rows of a document's steps, in order, to be added to a session; `state` proposed or approved."""
    return [DeliveryRow(**values) for values in delivery_values(document, document_id, state)]


def delivery_values(document: Document, document_id: int, state: DeliveryState) -> list[dict[str, Any]]:
    """The same as columns by name, without those that have their first value."""
    alone = alone_on(document.steps)
    return [
        {
            "document_id": document_id,
            "seq": seq * SEQ_STEP,
            "key": step.key,
            "kind": step.kind,
            "payload": encode(step),
            "alone_on": alone[step.key],
            "state": state.value,
        }
        for seq, step in enumerate(document.steps)
    ]


def approve(session: Session, document_ids: Sequence[int]) -> int:
    """Approve proposed documents and their deliveries; how many documents it were. The caller commits."""
    approved = session.scalars(
        update(DocumentRow)
        .where(DocumentRow.id.in_(document_ids), DocumentRow.state == DeliveryState.PROPOSED.value)
        .values(state=DeliveryState.APPROVED.value, approved_at=database_now())
        .returning(DocumentRow.id),
        execution_options=_AS_WRITTEN,
    ).all()
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.document_id.in_(approved), DeliveryRow.state == DeliveryState.PROPOSED.value)
        .values(state=DeliveryState.APPROVED.value),
        execution_options=_AS_WRITTEN,
    )
    return len(approved)


def free_vouchers(session: Session) -> None:
    """Let vouchers that wait go side by side: for books that keep them unbooked first, where one call books many.

    Each is then alone on its own key, which finds it again. The caller commits.
    """
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.state == DeliveryState.APPROVED.value,
            DeliveryRow.kind == "post_voucher",
            DeliveryRow.alone_on == VOUCHERS,
        )
        .values(alone_on=literal("voucher/") + DeliveryRow.key),
        execution_options=_AS_WRITTEN,
    )


# --- Whose turn it is ----------------------------------------------------------------------------------------
# These statements stand between any two calls to the outside. So they are built once and go to the connection as
# they are: taking each through the mapper and the wall costs more than the database needs to carry it out. They
# name the company themselves. Parameters are called `given_…`, since an update takes a parameter with a column's
# name for a new value.

_DELIVERIES: Final = Base.metadata.tables[DeliveryRow.__tablename__]
_DOCUMENTS: Final = Base.metadata.tables[DocumentRow.__tablename__]
_rows: Final = _DELIVERIES.c
_documents: Final = _DOCUMENTS.c
_COMPANY: Final = given("given_company", Id)
_ID: Final = given("given_id", Id)


def carry_out(session: Within, statement: Prepared, **told: Any) -> list[tuple[Any, ...]]:
    """Carry a statement out for the session's company; the rows it gives. Raises `NoCompanyEntered`."""
    if isinstance(session, Transaction):
        return session.carry_out(statement, told)
    company_id = company_of(session)
    session.flush()
    return statement.carry_out(session.connection(), {"given_company": company_id, **told})


_CALLS: Final = Base.metadata.tables[CallRow.__tablename__]
_TOLD_OF_CALLS: Final = (
    *("run_id", "delivery_id", "at", "system", "method", "path", "status", "duration_ms", "request_ref", "note"),
)
_INSERT_CALL: Final = Prepared(
    insert(_CALLS)
    .values(company_id=_COMPANY, **{name: given(f"given_{name}", _CALLS.c[name].type) for name in _TOLD_OF_CALLS})
    .inline()
)


def insert_calls(session: Within, calls: Sequence[Mapping[str, Any]]) -> None:
    """Keep the calls that were made, by the columns of `CallRow`. The caller commits. Raises `NoCompanyEntered`."""
    for call in calls:
        carry_out(session, _INSERT_CALL, **{f"given_{name}": value for name, value in call.items()})


def _runnable() -> ColumnElement[bool]:
    """Approved, or given up by an attempt whose lease ran out so long ago that nothing of it can still land."""
    return and_(
        or_(
            _rows.state == DeliveryState.APPROVED.value,
            and_(
                _rows.state == DeliveryState.SENDING.value,
                _rows.lease_until <= database_now("given_before_quarantine_s"),
            ),
        ),
        or_(_rows.not_before.is_(None), _rows.not_before <= database_now()),
    )


def _in_turn(
    document_id: ColumnElement[int] = _rows.document_id,
    seq: ColumnElement[int] = _rows.seq,
    alone_on: ColumnElement[str] = _rows.alone_on,
) -> ColumnElement[bool]:
    """Its document is under delivery, all earlier steps are booked, and nothing is under way on what it needs alone.

    Under way is what is being sent, and an attempt without a readable answer until it has been looked up. Of two
    such, should a restored database have them, the older goes first. What is known of the delivery is given.
    """
    earlier, other = _DELIVERIES.alias().c, _DELIVERIES.alias().c
    return and_(
        exists().where(
            _documents.company_id == _COMPANY, _documents.id == document_id, _documents.state.in_(_UNDER_DELIVERY)
        ),
        ~exists().where(
            earlier.company_id == _COMPANY,
            earlier.document_id == document_id,
            earlier.seq < seq,
            earlier.state != DeliveryState.BOOKED.value,
        ),
        ~exists().where(
            other.company_id == _COMPANY,
            other.alone_on == alone_on,
            other.alone_on != "",
            other.id != _rows.id,
            # Set by the claim, so it holds for all that is being sent; a small index is made of it.
            other.needs_lookup,
            other.attempt > 0,
            # Not "in sending, approved": SQLite would look these up in an index that has thousands of them.
            other.state != DeliveryState.REJECTED.value,
            or_(
                other.state == DeliveryState.SENDING.value,
                ~_rows.needs_lookup,
                _rows.attempt == 0,
                other.id < _rows.id,
            ),
        ),
    )


_READY: Final = Prepared(
    select(
        _rows.id,
        _rows.document_id,
        _rows.seq,
        _rows.key,
        _rows.kind,
        _rows.alone_on,
        _rows.needs_lookup,
    )
    .where(
        _rows.company_id == _COMPANY,
        _rows.state == given("given_state", String),
        _rows.kind.not_in(FOR_PEOPLE),
        _runnable(),
        _in_turn(),
    )
    .order_by(_rows.document_id, _rows.seq)
    .limit(given("given_limit", Integer))
)


def next_ready(session: Within, limit: int, quarantine_s: float) -> tuple[Ready, ...]:
    """Deliveries whose turn it is, oldest document first: one of each document, one on each invoice.

    Reads only. They can be claimed side by side; `claim` checks all of it again.
    """
    found: list[Ready] = []
    alone: set[str] = set()
    # First what was given up, then the rest: each is one range of the index, in the order wanted.
    for state in (DeliveryState.SENDING.value, DeliveryState.APPROVED.value):
        rows = carry_out(
            session, _READY, given_state=state, given_limit=limit * 4, given_before_quarantine_s=-quarantine_s
        )
        for delivery_id, document_id, seq, key, kind, needed, doubted in rows:
            if needed not in alone and len(found) < limit:
                alone |= {needed} - {""}
                found.append(Ready(delivery_id, document_id, seq, key, kind, doubted))
    return tuple(found)


_TURNS: Final = Prepared(
    select(
        _rows.state,
        func.min(
            case(
                (
                    _rows.state == DeliveryState.APPROVED.value,
                    func.coalesce(_rows.not_before, database_now()),
                ),
                else_=_rows.lease_until,
            )
        ),
    )
    .where(
        _rows.company_id == _COMPANY,
        _rows.state.in_(_UNDER_DELIVERY),
        exists().where(
            _documents.company_id == _COMPANY, _documents.id == _rows.document_id, _documents.state.in_(_UNDER_DELIVERY)
        ),
    )
    .group_by(_rows.state)
)


def next_turn_at(session: Session, quarantine_s: float) -> datetime | None:
    """When the next delivery that waits may be tried: a retry, or what an attempt without an end left behind.

    None if none is under delivery. May be past: then there is something to do now.
    """
    turns: list[datetime] = [
        at + timedelta(seconds=quarantine_s) if state == DeliveryState.SENDING.value else at
        for state, at in carry_out(session, _TURNS)
        if at is not None
    ]
    return min(turns, default=None)


# --- What an attempt builds on, and what its answer changes ------------------------------------------------------

_OPEN_STEPS: Final = Prepared(
    select(_rows.id, _rows.kind, _rows.needs_lookup, _rows.document_id, _rows.seq, _rows.alone_on)
    .where(_rows.company_id == _COMPANY, _rows.document_id == _ID, _rows.state != DeliveryState.BOOKED.value)
    .order_by(_rows.seq)
)
_THE_STEP: Final = Prepared(
    select(_rows.id, _rows.kind, _rows.needs_lookup, _rows.document_id, _rows.seq, _rows.alone_on).where(
        _rows.company_id == _COMPANY, _rows.id == _ID
    )
)
_CUSTOMERS: Final = Base.metadata.tables[CustomerRow.__tablename__]
_THE_CUSTOMER: Final = and_(
    _CUSTOMERS.c.company_id == _COMPANY, _CUSTOMERS.c.key == given("given_key", _CUSTOMERS.c.key.type)
)
_CUSTOMER_NUMBER: Final = Prepared(select(_CUSTOMERS.c.number).where(_THE_CUSTOMER))
_OF_CUSTOMER: Final = {name: given(f"given_{name}", _CUSTOMERS.c[name].type) for name in ("number", "name", "email")}
_CHANGE_CUSTOMER: Final = Prepared(
    update(_CUSTOMERS).where(_THE_CUSTOMER).values(**_OF_CUSTOMER).returning(_CUSTOMERS.c.id)
)
_NEW_CUSTOMER: Final = Prepared(
    insert(_CUSTOMERS)
    .values(company_id=_COMPANY, key=given("given_key", _CUSTOMERS.c.key.type), **_OF_CUSTOMER)
    .inline()
)
_RATES: Final = Base.metadata.tables[RateRow.__tablename__].c
_RATE: Final = Prepared(
    select(_RATES.id)
    .where(
        _RATES.company_id == _COMPANY,
        _RATES.base == given("given_base", String),
        _RATES.quote == given("given_quote", String),
        _RATES.fixed_on == given("given_day", Date),
    )
    .limit(1)
)
_THE_DOCUMENT: Final = and_(_documents.company_id == _COMPANY, _documents.id == _ID)
_PLANNED: Final = Prepared(
    select(_documents.booking_date, _rows.kind, cast(_rows.payload, Text))
    .where(_THE_DOCUMENT, _rows.company_id == _COMPANY, _rows.document_id == _ID)
    .order_by(_rows.seq)
)
_TOLD_OF: Final = Prepared(
    select(_documents.vouchers, _documents.clearing_books_minor, _documents.total_minor, _documents.currency).where(
        _THE_DOCUMENT
    )
)
_PARTS: Final = Base.metadata.tables[PartRow.__tablename__]
_BOOK_PARTS: Final = Prepared(
    update(_PARTS)
    .where(_PARTS.c.company_id == _COMPANY, _PARTS.c.document_id == _ID)
    .values(state=PartState.BOOKED.value, reason="", facts={}, changed_at=given("given_at", Instant))
)


@cache
def _tell(names: tuple[str, ...]) -> Prepared:
    values = {name: given(f"given_{name}", _documents[name].type) for name in names}
    return Prepared(update(_DOCUMENTS).where(_THE_DOCUMENT).values(**values))


@dataclass(frozen=True, slots=True)
class Told:
    """What is known so far of a document that answers add to."""

    vouchers: tuple[str, ...]
    clearing_books_minor: int | None
    total: Money


def open_steps(session: Within, document_id: int) -> tuple[OpenStep, ...]:
    """The deliveries of a document that are not booked, in turn."""
    return tuple(OpenStep(*row) for row in carry_out(session, _OPEN_STEPS, given_id=document_id))


def customer_number(session: Within, key: str) -> str:
    """The number of a customer of ours at the accounting system; empty if there is none."""
    rows = carry_out(session, _CUSTOMER_NUMBER, given_key=key)
    return str(rows[0][0] or "") if rows else ""


def remember_customer(session: Within, key: str, number: str, name: str, email: str) -> None:
    """Keep what the accounting system has of a customer of ours. The caller commits."""
    told = {"given_key": key, "given_number": number, "given_name": name, "given_email": email}
    if not carry_out(session, _CHANGE_CUSTOMER, **told):
        carry_out(session, _NEW_CUSTOMER, **told)


def knows_rate(session: Within, base: str, quote: str, day: date) -> bool:
    """Whether the accounting system's own rate of a day is known."""
    return bool(carry_out(session, _RATE, given_base=base, given_quote=quote, given_day=day))


def planned_steps(session: Within, document_id: int) -> tuple[date, tuple[Step, ...]]:
    """A document's booking date and its steps. Raises `LookupError` for one without."""
    rows = carry_out(session, _PLANNED, given_id=document_id)
    if not rows:
        raise LookupError(f"document {document_id} has no steps")
    return rows[0][0], tuple(decode_step_text(kind, payload) for _, kind, payload in rows)


def told_of(session: Within, document_id: int) -> Told:
    """What answers have told of a document. Raises `ValueError` for one that is not there."""
    ((vouchers, clearing_books_minor, total_minor, currency),) = carry_out(session, _TOLD_OF, given_id=document_id)
    return Told(tuple(vouchers), clearing_books_minor, Money(total_minor, currency))


def tell_document(session: Within, document_id: int, columns: Mapping[str, Any]) -> None:
    """Keep what an answer tells of a document, by the columns of `DocumentRow`. The caller commits."""
    if columns:
        told = {f"given_{name}": value for name, value in columns.items()}
        carry_out(session, _tell(tuple(sorted(columns))), given_id=document_id, **told)


def book_parts(session: Within, document_id: int, at: datetime) -> None:
    """The document stands in the books: so do its parts. The caller commits."""
    carry_out(session, _BOOK_PARTS, given_id=document_id, given_at=at)


# --- One attempt ---------------------------------------------------------------------------------------------

_OF_DOCUMENT: Final = given("given_document", Id)
_SEQ: Final = given("given_seq", Integer)
_ALONE_ON: Final = given("given_alone_on", _rows.alone_on.type)
_TAKEN_OVER: Final = _rows.state == DeliveryState.SENDING.value
_CLAIM: Final = Prepared(
    update(_DELIVERIES)
    .where(
        _rows.company_id == _COMPANY,
        _rows.id == _ID,
        # Said once more, so that the database need not find out by which of its indexes to look for the others.
        _rows.document_id == _OF_DOCUMENT,
        _rows.seq == _SEQ,
        _rows.alone_on == _ALONE_ON,
        or_(_rows.kind.not_in(FOR_PEOPLE), given("given_for_person", Boolean)),
        _runnable(),
        _in_turn(_OF_DOCUMENT, _SEQ, _ALONE_ON),
    )
    .values(
        state=DeliveryState.SENDING.value,
        lease_until=database_now("given_lease_s"),
        attempt=_rows.attempt + 1,
        first_attempted_at=func.coalesce(_rows.first_attempted_at, database_now()),
        attempted_at=database_now(),
        ended_at=None,
        look_first=or_(_rows.needs_lookup, given("given_always_look", Boolean)),
        needs_lookup=True,
        doubtful=or_(_rows.doubtful, _TAKEN_OVER),
        # Look-ups that an attempt made before it vanished say nothing of what it wrote afterwards.
        misses=case((_TAKEN_OVER, 0), else_=_rows.misses),
        missed_at=case((_TAKEN_OVER, null()), else_=_rows.missed_at),
    )
    .returning(
        _rows.kind,
        cast(_rows.payload, Text),
        _rows.key,
        _rows.attempt,
        _rows.look_first,
        _rows.doubtful,
        _rows.misses,
        _rows.first_attempted_at,
        _rows.attempted_at,
        _rows.lease_until,
    )
)
_DOCUMENT_SENDING: Final = Prepared(
    update(_DOCUMENTS)
    .where(
        _documents.company_id == _COMPANY,
        _documents.id == _ID,
        _documents.state == DeliveryState.APPROVED.value,
    )
    .values(state=DeliveryState.SENDING.value)
)


def claim(
    session: Session,
    delivery_id: int,
    lease_s: float,
    quarantine_s: float,
    *,
    always_look: bool = False,
    for_person: bool = False,
) -> Claimed | None:
    """Make a delivery ours for `lease_s` seconds; None if it is another's, not approved, or not its turn.

    The caller commits before a byte leaves. As `claim_step`, but two claims at the same instant on one invoice: one
    gets None. That takes a savepoint, two more trips to the database.
    """
    found = carry_out(session, _THE_STEP, given_id=delivery_id)
    if not found:
        return None
    try:
        # SQLite has one writer at a time, so that nobody can come between.
        guarded = session.get_bind().dialect.name == "postgresql"
        with session.begin_nested() if guarded else nullcontext():
            return claim_step(
                session, OpenStep(*found[0]), lease_s, quarantine_s, always_look=always_look, for_person=for_person
            )
    except IntegrityError:
        return None  # the table's own law let one of them through


def claim_step(
    session: Within,
    step: OpenStep,
    lease_s: float,
    quarantine_s: float,
    *,
    always_look: bool = False,
    for_person: bool = False,
) -> Claimed | None:
    """Make a delivery ours for `lease_s` seconds; None if it is another's, not approved, or not its turn.

    One UPDATE … RETURNING, which the caller commits before a byte leaves. It sets `needs_lookup`, which only a
    readable answer clears. A delivery whose holder vanished is taken over when its lease has been over for
    `quarantine_s` seconds, and is doubtful from then on. `always_look` makes first attempts look first too, as
    after a restore. Two claims at the same instant on one invoice: one gets `IntegrityError`, and its transaction
    is over. A step of people is claimed only `for_person`, when they have taken it.
    """
    rows = carry_out(
        session,
        _CLAIM,
        given_id=step.delivery_id,
        given_document=step.document_id,
        given_seq=step.seq,
        given_alone_on=step.alone_on,
        given_lease_s=lease_s,
        given_before_quarantine_s=-quarantine_s,
        given_always_look=always_look,
        given_for_person=for_person,
    )
    if not rows:
        return None
    kind, payload, key, attempt, look_first, doubtful, misses, first_attempted_at, attempted_at, lease_until = rows[0]
    if step.seq == 0 and attempt == 1:
        carry_out(session, _DOCUMENT_SENDING, given_id=step.document_id)
    return Claimed(
        delivery_id=step.delivery_id,
        document_id=step.document_id,
        seq=step.seq,
        key=key,
        step=decode_step_text(kind, payload),
        attempt=attempt,
        look_first=look_first,
        doubtful=doubtful,
        misses=misses,
        first_attempted_at=first_attempted_at,
        attempted_at=attempted_at,
        lease_until=lease_until,
    )


_OURS: Final = and_(
    _rows.company_id == _COMPANY,
    _rows.id == _ID,
    _rows.attempt == given("given_attempt", Integer),
    _rows.state == DeliveryState.SENDING.value,
)


def _ending(state: DeliveryState, **values: Any) -> ReturningUpdate[Any]:
    """The statement that ends an attempt."""
    return (
        update(_DELIVERIES)
        .where(_OURS)
        .values(state=state.value, lease_until=None, ended_at=database_now(), **values)
        .returning(_rows.id)
    )


_MESSAGE: Final = given("given_message", Clipped(2000))
_others: Final = _DELIVERIES.alias().c
_BOOKED: Final = Prepared(
    _ending(
        DeliveryState.BOOKED,
        reference=given("given_reference", String),
        answer=given("given_answer", JSON),
        booked_at=database_now(),
        needs_lookup=False,
        not_before=None,
        misses=0,
        missed_at=None,
        error_code="",
        error_message="",
    ).returning(
        exists()
        .where(
            _others.company_id == _COMPANY,
            _others.document_id == _rows.document_id,
            _others.id != _rows.id,
            _others.state != DeliveryState.BOOKED.value,
        )
        .label("more")
    )
)
_DOCUMENT_BOOKED: Final = Prepared(
    update(_DOCUMENTS)
    .where(
        _documents.company_id == _COMPANY,
        _documents.id == _ID,
        _documents.state.in_(_UNDER_DELIVERY),
        ~exists().where(
            _rows.company_id == _COMPANY, _rows.document_id == _documents.id, _rows.state != DeliveryState.BOOKED.value
        ),
    )
    .values(state=DeliveryState.BOOKED.value, booked_at=database_now())
    .returning(_documents.id)
)
_DOCUMENT_REJECTED: Final = Prepared(update(_DOCUMENTS).where(_THE_DOCUMENT).values(state=DeliveryState.REJECTED.value))
_REJECTED: Final = Prepared(
    _ending(
        DeliveryState.REJECTED,
        needs_lookup=given("given_doubt", Boolean),
        not_before=None,
        error_code=given("given_code", Clipped(40)),
        error_message=_MESSAGE,
    )
)
_TRY_LATER: Final = Prepared(
    _ending(
        DeliveryState.APPROVED,
        # What an attempt without an answer asked for may have come to pass while they put us off.
        needs_lookup=or_(_rows.look_first, and_(_rows.doubtful, _rows.attempt <= LOOKS_AGAIN)),
        not_before=database_now("given_delay_s"),
        error_message=_MESSAGE,
    )
)
_UNKNOWN: Final = Prepared(
    _ending(
        DeliveryState.APPROVED,
        needs_lookup=True,
        doubtful=True,
        misses=0,
        missed_at=None,
        not_before=database_now("given_delay_s"),
        error_message=_MESSAGE,
    )
)
_MISSED_AGAIN: Final = Prepared(
    update(_DELIVERIES)
    .where(_OURS, _rows.misses > 0, _rows.missed_at <= database_now("given_apart_s"))
    # What follows is a first write again: should it vanish, it needs two misses of its own.
    .values(look_first=False, misses=0, missed_at=None)
    .returning(_rows.id)
)
_MISSED: Final = Prepared(
    _ending(
        DeliveryState.APPROVED,
        needs_lookup=True,
        misses=_rows.misses + 1,
        missed_at=func.coalesce(_rows.missed_at, database_now()),
        not_before=database_now("given_delay_s"),
    )
)


def _carried_out(session: Within, statement: Prepared, claimed: Claimed, **told: Any) -> tuple[Any, ...] | None:
    rows = carry_out(session, statement, given_id=claimed.delivery_id, given_attempt=claimed.attempt, **told)
    return rows[0] if rows else None


def _end(session: Within, statement: Prepared, claimed: Claimed, **told: Any) -> tuple[Any, ...]:
    row = _carried_out(session, statement, claimed, **told)
    if row is None:
        raise ClaimLost(f"{claimed.key}: attempt {claimed.attempt} was taken over")
    return row


def record_booked(session: Within, claimed: Claimed, answer: StepAnswer) -> bool:
    """The write stands there, made now or found. True if it was the document's last. The caller commits.

    Then the document is booked too; its parts, number and amounts are the caller's. Raises `ClaimLost`: whoever
    took over will find the write.
    """
    _, more = _end(session, _BOOKED, claimed, given_reference=answer.reference, given_answer=encode(answer))
    return not more and bool(carry_out(session, _DOCUMENT_BOOKED, given_id=claimed.document_id))


def record_rejected(session: Within, claimed: Claimed, code: str, message: str, *, while_looking: bool = False) -> None:
    """They read it and said no: delivery and document are rejected, a person must act. The caller commits.

    `while_looking`: it was the look-up that they refused, so the earlier attempt is still to be looked up.
    Raises `ClaimLost`.
    """
    _end(session, _REJECTED, claimed, given_doubt=while_looking, given_code=code, given_message=message)
    carry_out(session, _DOCUMENT_REJECTED, given_id=claimed.document_id)


def reopen(session: Session, delivery_id: int) -> bool:
    """Try a rejected delivery again, now that a person has mended what stopped it. The caller commits."""
    reopened = session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.state == DeliveryState.REJECTED.value)
        .values(state=DeliveryState.APPROVED.value, not_before=None, error_code="", error_message="")
        .returning(DeliveryRow.document_id),
        execution_options=_AS_WRITTEN,
    ).first()
    if reopened is None:
        return False
    session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == reopened.document_id, DocumentRow.state == DeliveryState.REJECTED.value)
        .values(state=DeliveryState.SENDING.value),
        execution_options=_AS_WRITTEN,
    )
    return True


def record_try_later(session: Within, claimed: Claimed, delay: timedelta, message: str = "") -> None:
    """Nothing happened there; leave it alone for `delay`. The caller commits. Raises `ClaimLost`.

    That clears this attempt's `needs_lookup`, never one that an earlier attempt left behind, nor, for a dozen attempts,
    that of a write which was ever in doubt.
    """
    _end(session, _TRY_LATER, claimed, given_delay_s=delay.total_seconds(), given_message=message)


def record_unknown(session: Within, claimed: Claimed, quarantine_s: float, message: str = "") -> None:
    """It may have happened: look before writing, not before the quarantine is over. The caller commits.

    Doubtful from now on. Raises `ClaimLost`.
    """
    _end(session, _UNKNOWN, claimed, given_delay_s=quarantine_s, given_message=message)


def record_miss(session: Within, claimed: Claimed, quarantine_s: float) -> bool:
    """A look-up found nothing there. True: write now, under this same claim. The caller commits, in both cases.

    "Not there" counts when it has been said twice, a tenth of the quarantine apart. After the first time the
    delivery is given back (False), to be claimed again for the second. Raises `ClaimLost`.
    """
    apart_s = quarantine_s / 10
    if _carried_out(session, _MISSED_AGAIN, claimed, given_apart_s=-apart_s) is not None:
        return True
    _end(session, _MISSED, claimed, given_delay_s=apart_s)
    return False
