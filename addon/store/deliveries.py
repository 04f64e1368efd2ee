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
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    CursorResult,
    Executable,
    Integer,
    Row,
    String,
    and_,
    bindparam,
    case,
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
from addon.store.codec import decode_step, encode
from addon.store.database import company_of
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
)

VOUCHERS: Final = "vouchers"
"""What vouchers are alone on: they go one at a time, so that the series' next number tells whether one landed."""

SEQ_STEP: Final = 10
"""Steps are numbered with gaps: what an answer calls for is put between."""

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
    alone = alone_on(document.steps)
    return [
        DeliveryRow(
            document_id=document_id,
            seq=seq * SEQ_STEP,
            key=step.key,
            kind=step.kind,
            payload=encode(step),
            alone_on=alone[step.key],
            state=state.value,
        )
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
_COMPANY: Final = bindparam("given_company", type_=Id)
_ID: Final = bindparam("given_id", type_=Id)


def _execute(session: Session, statement: Executable, **given: Any) -> CursorResult[*tuple[Any, ...]]:
    """Carry a statement out for the session's company. Raises `NoCompanyEntered`."""
    session.flush()
    return session.connection().execute(statement, {"given_company": company_of(session), **given})


_INSERT_CALL: Final = insert(Base.metadata.tables[CallRow.__tablename__])


def insert_calls(session: Session, calls: Sequence[Mapping[str, Any]]) -> None:
    """Keep the calls that were made, by the columns of `CallRow`. The caller commits. Raises `NoCompanyEntered`."""
    session.flush()
    company_id = company_of(session)
    session.connection().execute(_INSERT_CALL, [{**call, "company_id": company_id} for call in calls])


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


def _in_turn() -> ColumnElement[bool]:
    """Its document is under delivery, all earlier steps are booked, and nothing is under way on what it needs alone.

    Under way is what is being sent, and an attempt without a readable answer until it has been looked up. Of two
    such, should a restored database have them, the older goes first.
    """
    earlier, other = _DELIVERIES.alias().c, _DELIVERIES.alias().c
    return and_(
        exists().where(
            _documents.company_id == _COMPANY, _documents.id == _rows.document_id, _documents.state.in_(_UNDER_DELIVERY)
        ),
        ~exists().where(
            earlier.company_id == _COMPANY,
            earlier.document_id == _rows.document_id,
            earlier.seq < _rows.seq,
            earlier.state != DeliveryState.BOOKED.value,
        ),
        ~exists().where(
            other.company_id == _COMPANY,
            other.alone_on == _rows.alone_on,
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


_READY: Final = (
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
        _rows.state == bindparam("given_state", type_=String),
        _rows.kind.not_in(FOR_PEOPLE),
        _runnable(),
        _in_turn(),
    )
    .order_by(_rows.document_id, _rows.seq)
    .limit(bindparam("given_limit", type_=Integer))
)


def next_ready(session: Session, limit: int, quarantine_s: float) -> tuple[Ready, ...]:
    """Deliveries whose turn it is, oldest document first: one of each document, one on each invoice.

    Reads only. They can be claimed side by side; `claim` checks all of it again.
    """
    found: list[Ready] = []
    alone: set[str] = set()
    # First what was given up, then the rest: each is one range of the index, in the order wanted.
    for state in (DeliveryState.SENDING.value, DeliveryState.APPROVED.value):
        rows = _execute(
            session, _READY, given_state=state, given_limit=limit * 4, given_before_quarantine_s=-quarantine_s
        )
        for delivery_id, document_id, seq, key, kind, needed, doubted in rows:
            if needed not in alone and len(found) < limit:
                alone |= {needed} - {""}
                found.append(Ready(delivery_id, document_id, seq, key, kind, doubted))
    return tuple(found)


_TURNS: Final = (
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
    turns = [
        at + timedelta(seconds=quarantine_s) if state == DeliveryState.SENDING.value else at
        for state, at in _execute(session, _TURNS)
        if at is not None
    ]
    return min(turns, default=None)


# --- What an attempt builds on, and what its answer changes ------------------------------------------------------

_OPEN_STEPS: Final = (
    select(_rows.id, _rows.kind, _rows.needs_lookup)
    .where(_rows.company_id == _COMPANY, _rows.document_id == _ID, _rows.state != DeliveryState.BOOKED.value)
    .order_by(_rows.seq)
)
_CUSTOMERS: Final = Base.metadata.tables[CustomerRow.__tablename__].c
_CUSTOMER_NUMBER: Final = select(_CUSTOMERS.number).where(
    _CUSTOMERS.company_id == _COMPANY, _CUSTOMERS.key == bindparam("given_key", type_=String)
)
_THE_DOCUMENT: Final = and_(_documents.company_id == _COMPANY, _documents.id == _ID)
_PAYLOAD: Final = select(_documents.payload).where(_THE_DOCUMENT)
_TOLD_OF: Final = select(
    _documents.vouchers, _documents.clearing_books_minor, _documents.total_minor, _documents.currency
).where(_THE_DOCUMENT)
_TELL: Final = update(_DOCUMENTS).where(_THE_DOCUMENT)
_PARTS: Final = Base.metadata.tables[PartRow.__tablename__]
_BOOK_PARTS: Final = (
    update(_PARTS)
    .where(_PARTS.c.company_id == _COMPANY, _PARTS.c.document_id == _ID)
    .values(state=PartState.BOOKED.value, reason="", facts={}, changed_at=bindparam("given_at", type_=Instant))
)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known so far of a document that answers add to."""

    vouchers: tuple[str, ...]
    clearing_books_minor: int | None
    total: Money


def open_steps(session: Session, document_id: int) -> tuple[OpenStep, ...]:
    """The deliveries of a document that are not booked, in turn."""
    return tuple(OpenStep(*row) for row in _execute(session, _OPEN_STEPS, given_id=document_id))


def customer_number(session: Session, key: str) -> str:
    """The number of a customer of ours at the accounting system; empty if there is none."""
    return _execute(session, _CUSTOMER_NUMBER, given_key=key).scalar() or ""


def document_payload(session: Session, document_id: int) -> dict[str, Any]:
    """A document as it was planned, encoded. Raises `NoResultFound`."""
    payload: dict[str, Any] = _execute(session, _PAYLOAD, given_id=document_id).scalar_one()
    return payload


def told_of(session: Session, document_id: int) -> Told:
    """What answers have told of a document. Raises `NoResultFound`."""
    row = _execute(session, _TOLD_OF, given_id=document_id).one()
    return Told(tuple(row.vouchers), row.clearing_books_minor, Money(row.total_minor, row.currency))


def tell_document(session: Session, document_id: int, columns: Mapping[str, Any]) -> None:
    """Keep what an answer tells of a document, by the columns of `DocumentRow`. The caller commits."""
    if columns:
        _execute(session, _TELL, given_id=document_id, **columns)


def book_parts(session: Session, document_id: int, at: datetime) -> None:
    """The document stands in the books: so do its parts. The caller commits."""
    _execute(session, _BOOK_PARTS, given_id=document_id, given_at=at)


# --- One attempt ---------------------------------------------------------------------------------------------

_TAKEN_OVER: Final = _rows.state == DeliveryState.SENDING.value
_CLAIM: Final = (
    update(_DELIVERIES)
    .where(
        _rows.company_id == _COMPANY,
        _rows.id == _ID,
        or_(_rows.kind.not_in(FOR_PEOPLE), bindparam("given_for_person", type_=Boolean)),
        _runnable(),
        _in_turn(),
    )
    .values(
        state=DeliveryState.SENDING.value,
        lease_until=database_now("given_lease_s"),
        attempt=_rows.attempt + 1,
        first_attempted_at=func.coalesce(_rows.first_attempted_at, database_now()),
        attempted_at=database_now(),
        ended_at=None,
        look_first=or_(_rows.needs_lookup, bindparam("given_always_look", type_=Boolean)),
        needs_lookup=True,
        doubtful=or_(_rows.doubtful, _TAKEN_OVER),
        # Look-ups that an attempt made before it vanished say nothing of what it wrote afterwards.
        misses=case((_TAKEN_OVER, 0), else_=_rows.misses),
        missed_at=case((_TAKEN_OVER, null()), else_=_rows.missed_at),
    )
    .returning(
        _rows.id,
        _rows.document_id,
        _rows.seq,
        _rows.key,
        _rows.payload,
        _rows.attempt,
        _rows.look_first,
        _rows.doubtful,
        _rows.misses,
        _rows.first_attempted_at,
        _rows.attempted_at,
        _rows.lease_until,
    )
)
_DOCUMENT_SENDING: Final = (
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
    savepoint: bool = True,
    for_person: bool = False,
) -> Claimed | None:
    """Make a delivery ours for `lease_s` seconds; None if it is another's, not approved, or not its turn.

    One UPDATE … RETURNING, which the caller commits before a byte leaves. It sets `needs_lookup`, which only a
    readable answer clears. A delivery whose holder vanished is taken over when its lease has been over for
    `quarantine_s` seconds, and is doubtful from then on. `always_look` makes first attempts look first too, as
    after a restore. Two claims at the same instant on one invoice: one gets None; without the `savepoint`, which
    costs two more trips to the database, it gets `IntegrityError`, and its transaction is over. A step of people is
    claimed only `for_person`, when they have taken it.
    """
    try:
        # SQLite has one writer at a time, so that nobody can come between.
        guarded = savepoint and session.get_bind().dialect.name == "postgresql"
        with session.begin_nested() if guarded else nullcontext():
            row = _execute(
                session,
                _CLAIM,
                given_id=delivery_id,
                given_lease_s=lease_s,
                given_before_quarantine_s=-quarantine_s,
                given_always_look=always_look,
                given_for_person=for_person,
            ).one_or_none()
    except IntegrityError:
        # The table's own law let one of them through.
        if not savepoint:
            raise
        return None
    if row is None:
        return None
    if row.seq == 0 and row.attempt == 1:
        _execute(session, _DOCUMENT_SENDING, given_id=row.document_id)
    return Claimed(
        delivery_id=row.id,
        document_id=row.document_id,
        seq=row.seq,
        key=row.key,
        step=decode_step(row.payload),
        attempt=row.attempt,
        look_first=row.look_first,
        doubtful=row.doubtful,
        misses=row.misses,
        first_attempted_at=row.first_attempted_at,
        attempted_at=row.attempted_at,
        lease_until=row.lease_until,
    )


_OURS: Final = and_(
    _rows.company_id == _COMPANY,
    _rows.id == _ID,
    _rows.attempt == bindparam("given_attempt", type_=Integer),
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


_MESSAGE: Final = bindparam("given_message", type_=Clipped(2000))
_others: Final = _DELIVERIES.alias().c
_BOOKED: Final = _ending(
    DeliveryState.BOOKED,
    reference=bindparam("given_reference", type_=String),
    answer=bindparam("given_answer", type_=JSON),
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
_DOCUMENT_BOOKED: Final = (
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
_REJECTED: Final = _ending(
    DeliveryState.REJECTED,
    needs_lookup=bindparam("given_doubt", type_=Boolean),
    not_before=None,
    error_code=bindparam("given_code", type_=Clipped(40)),
    error_message=_MESSAGE,
)
_TRY_LATER: Final = _ending(
    DeliveryState.APPROVED,
    needs_lookup=_rows.look_first,
    not_before=database_now("given_delay_s"),
    error_message=_MESSAGE,
)
_UNKNOWN: Final = _ending(
    DeliveryState.APPROVED,
    needs_lookup=True,
    doubtful=True,
    misses=0,
    missed_at=None,
    not_before=database_now("given_delay_s"),
    error_message=_MESSAGE,
)
_MISSED_AGAIN: Final = (
    update(_DELIVERIES)
    .where(_OURS, _rows.misses > 0, _rows.missed_at <= database_now("given_apart_s"))
    # What follows is a first write again: should it vanish, it needs two misses of its own.
    .values(look_first=False, misses=0, missed_at=None)
    .returning(_rows.id)
)
_MISSED: Final = _ending(
    DeliveryState.APPROVED,
    needs_lookup=True,
    misses=_rows.misses + 1,
    missed_at=func.coalesce(_rows.missed_at, database_now()),
    not_before=database_now("given_delay_s"),
)


def _carried_out(session: Session, statement: Executable, claimed: Claimed, **given: Any) -> Row[Any] | None:
    given |= {"given_id": claimed.delivery_id, "given_attempt": claimed.attempt}
    return _execute(session, statement, **given).first()


def _end(session: Session, statement: Executable, claimed: Claimed, **given: Any) -> Row[Any]:
    row = _carried_out(session, statement, claimed, **given)
    if row is None:
        raise ClaimLost(f"{claimed.key}: attempt {claimed.attempt} was taken over")
    return row


def record_booked(session: Session, claimed: Claimed, answer: StepAnswer) -> bool:
    """The write stands there, made now or found. True if it was the document's last. The caller commits.

    Then the document is booked too; its parts, number and amounts are the caller's. Raises `ClaimLost`: whoever
    took over will find the write.
    """
    ended = _end(session, _BOOKED, claimed, given_reference=answer.reference, given_answer=encode(answer))
    return not ended.more and _execute(session, _DOCUMENT_BOOKED, given_id=claimed.document_id).first() is not None


def record_rejected(
    session: Session, claimed: Claimed, code: str, message: str, *, while_looking: bool = False
) -> None:
    """They read it and said no: delivery and document are rejected, a person must act. The caller commits.

    `while_looking`: it was the look-up that they refused, so the earlier attempt is still to be looked up.
    Raises `ClaimLost`.
    """
    _end(session, _REJECTED, claimed, given_doubt=while_looking, given_code=code, given_message=message)
    session.execute(
        update(DocumentRow).where(DocumentRow.id == claimed.document_id).values(state=DeliveryState.REJECTED.value),
        execution_options=_AS_WRITTEN,
    )


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


def record_try_later(session: Session, claimed: Claimed, delay: timedelta, message: str = "") -> None:
    """Nothing happened there; leave it alone for `delay`. The caller commits. Raises `ClaimLost`.

    That clears this attempt's `needs_lookup`, never one that an earlier attempt left behind.
    """
    _end(session, _TRY_LATER, claimed, given_delay_s=delay.total_seconds(), given_message=message)


def record_unknown(session: Session, claimed: Claimed, quarantine_s: float, message: str = "") -> None:
    """It may have happened: look before writing, not before the quarantine is over. The caller commits.

    Doubtful from now on. Raises `ClaimLost`.
    """
    _end(session, _UNKNOWN, claimed, given_delay_s=quarantine_s, given_message=message)


def record_miss(session: Session, claimed: Claimed, quarantine_s: float) -> bool:
    """A look-up found nothing there. True: write now, under this same claim. The caller commits, in both cases.

    "Not there" counts when it has been said twice, a tenth of the quarantine apart. After the first time the
    delivery is given back (False), to be claimed again for the second. Raises `ClaimLost`.
    """
    apart_s = quarantine_s / 10
    if _carried_out(session, _MISSED_AGAIN, claimed, given_apart_s=-apart_s) is not None:
        return True
    _end(session, _MISSED, claimed, given_delay_s=apart_s)
    return False
