"""Post: the delivery outbox. Claim and commit, look if an earlier attempt may have landed, write, commit the answer.

A document is a chain of deliveries, one remote write each. The claim marks a delivery `sending` and in need of a
look-up before a byte leaves, so that a crash needs no handler: whoever comes later looks first. Booking is the
fence: after a doubtful create, everything under the key is listed once more and surplus unbooked copies go.
"""

from __future__ import annotations

import logging
import time as monotonic_time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, assert_never

from sqlalchemy import and_, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from addon.core.accounts import Account, AccountRole
from addon.core.books import Books, InvoiceView, PaymentView, StepAnswer
from addon.core.delivery import (
    Comparison,
    DeliveryState,
    FailureKind,
    PartState,
    Verdict,
    compare_created,
    retry_delay,
    with_rounding,
    write_off,
)
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
    InvoiceLine,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    Settlement,
    Step,
    UpdateCustomer,
    VoucherLine,
)
from addon.core.holds import HoldReason, WaitReason
from addon.core.money import Money
from addon.core.plan.undo import UNDO_ENDING
from addon.ports.accounting import AccountingSystem, Known
from addon.ports.calls import writes_until
from addon.ports.errors import (
    AlreadyDone,
    BadReply,
    NeedsReconnect,
    OutcomeUnknown,
    PortError,
    Rejected,
    TryLater,
)
from addon.services import activity, articles, connections, restored
from addon.services.calls import CallLog, save_calls
from addon.services.context import Services
from addon.services.tally import Counter, Timing
from addon.store import deliveries
from addon.store.codec import decode, decode_step, encode
from addon.store.database import Line, Transaction
from addon.store.deliveries import Claimed, OpenStep, Ready, Told
from addon.store.models import (
    CallRow,
    CompanySettings,
    DeliveryRow,
    DocumentRow,
    PartRow,
    RateRow,
)

MOST_ATTEMPTS = 12
"""After so many attempts without a readable answer a person is asked; the document's look-up still comes first."""
CALL_SHARE = 3
"""A whole call takes at most this fraction of a lease: a write is begun only where so much of the lease is left."""


FRESH_PLAN = timedelta(minutes=10)
"""For so long a plan is paid as it was made. Later, the invoice that Basic found is looked at once more."""


TOGETHER: Final = ("book_payment", "post_voucher")
"""Kinds of steps that go together where one call of the accounting system books many (`books_together`)."""


UNDONE = "undone"
"""The reason on a part whose document was taken back."""


class Progress(StrEnum):
    """How work on one document ended for now."""

    BOOKED = "booked"
    HELD = "held"
    LATER = "later"
    """Its next step may not be tried yet."""
    BEHIND = "behind"
    """Its next step needs what another document makes: a customer."""
    GATHERED = "gathered"
    """Its next step is booked together with others'."""
    PAUSED = "paused"
    """Its next step may be tried at once; the slice's time is over."""
    STOPPED = "stopped"
    """The connection is gone; no other document will fare better."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a slice of delivering did. `retry_at` is when the next waiting step may be tried; None if none waits."""

    booked: int
    held: int
    stopped: bool
    left: bool
    """Whether time ran out before all that was ready had been tried."""
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Desk:
    """What delivering needs: the books' system, what was read of them, and our series in them."""

    system: AccountingSystem
    books: Books
    series: str
    log: CallLog
    look_first: datetime | None = None
    """After a restore or a new installation, for what may have been written before it (`restored.looks_first`): a
    first attempt looks too."""


def deliver(
    services: Services,
    company_id: int,
    run_id: int | None,
    desk_for: Callable[[CallLog], Desk],
    enough: Callable[[], bool],
    told: Callable[[int], None] = lambda document_id: None,
) -> Delivered:
    """Deliver what is ready, several documents at once, until nothing is ready or `enough` says stop.

    `told` is given the id of each document that begins.
    Never two steps of one document, two writes on one invoice or two vouchers at once: `deliveries` sees to it.
    """
    booked = held = 0
    stopped = False
    tried: set[int] = set()  # what came to nothing since the last document that got anywhere
    behind: set[int] = set()  # what waits for a customer that another document makes
    done_now: list[int] = []
    running: dict[_Running, tuple[int, ...]] = {}
    ready: deque[int] = deque()  # read many at a time; `claim` looks again at each
    most = _books_together(services, company_id, desk_for)
    gathered: list[int] = []  # what waits for others, to be booked with them by one call

    def at_work() -> set[int]:
        return {document_id for some in running.values() for document_id in some}

    with ThreadPoolExecutor(services.in_flight, thread_name_prefix="deliver") as pool:
        while True:
            idle = not stopped and not enough()
            if idle and not ready:
                for entry in _ready(services, company_id, tried | behind | at_work() | set(gathered)):
                    goes_with_others = most > 1 and entry.kind in TOGETHER and not entry.doubted
                    (gathered if goes_with_others else ready).append(entry.document_id)
            while idle and ready and len(running) < services.in_flight:
                document_id = ready.popleft()
                told(document_id)
                future = pool.submit(
                    copy_context().run,  # what a thread logs names its company and run as well
                    _by_itself,
                    services,
                    company_id,
                    run_id,
                    document_id,
                    desk_for(CallLog()),
                    enough,
                    most > 1,
                )
                running[future] = (document_id,)
            if idle and gathered and (len(gathered) >= most or not (ready or running)):
                some, gathered = gathered[:most], gathered[most:]
                batch = pool.submit(
                    copy_context().run,
                    deliver_together,
                    services,
                    company_id,
                    run_id,
                    some,
                    desk_for(CallLog()),
                    enough,
                )
                running[batch] = tuple(some)
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for document_id, progress in [ended for future in done for ended in _ended(future, running)]:
                match progress:
                    case Progress.BOOKED | Progress.HELD:
                        booked += progress is Progress.BOOKED
                        done_now += [document_id] if progress is Progress.BOOKED else []
                        held += progress is Progress.HELD
                        tried.clear()
                    case Progress.STOPPED:
                        stopped = True
                    case Progress.LATER:
                        tried.add(document_id)
                    case Progress.PAUSED:
                        pass
                    case Progress.GATHERED:
                        gathered.append(document_id)
                    case Progress.BEHIND:
                        behind.add(document_id)
                    case _:
                        assert_never(progress)
                if behind and _makes_customers(services, company_id, document_id):
                    behind.clear()
    _time_deliveries(services, company_id, done_now)
    retry_at = _next_turn_at(services, company_id, behind)
    left = not stopped and bool(_ready(services, company_id, tried | behind))
    return Delivered(booked, held, stopped, left, retry_at)


_Running = Future[Mapping[int, Progress]]


def _ended(future: _Running, running: dict[_Running, tuple[int, ...]]) -> list[tuple[int, Progress]]:
    """The documents that a thread worked on, and how each ended for now."""
    del running[future]
    return list(future.result().items())


def _by_itself(
    services: Services,
    company_id: int,
    run_id: int | None,
    document_id: int,
    desk: Desk,
    enough: Callable[[], bool],
    gathers: bool,
) -> Mapping[int, Progress]:
    return {document_id: deliver_document(services, company_id, run_id, document_id, desk, enough, gathers=gathers)}


def _books_together(services: Services, company_id: int, desk_for: Callable[[CallLog], Desk]) -> int:
    """How many documents' payments and vouchers one call may book; vouchers then need not wait for one another."""
    most = desk_for(CallLog()).system.capabilities.books_together
    if most > 1:
        with services.db.company(company_id) as session:
            deliveries.free_vouchers(session)
    return most


def _time_deliveries(services: Services, company_id: int, document_ids: Sequence[int]) -> None:
    """Note how long it took from the decision to book these documents until they stood in the books."""
    for start in range(0, len(document_ids), 500):
        some = document_ids[start : start + 500]
        query = select(DocumentRow.approved_at, DocumentRow.planned_at, DocumentRow.booked_at)
        with services.db.company_reading(company_id) as session:
            for approved_at, planned_at, booked_at in session.execute(query.where(DocumentRow.id.in_(some))):
                if booked_at is not None:
                    services.tally.time(Timing.DELIVERY, (booked_at - (approved_at or planned_at)).total_seconds())


def _makes_customers(services: Services, company_id: int, document_id: int) -> bool:
    with services.db.company_reading(company_id) as session:
        query = select(DeliveryRow.id).where(
            DeliveryRow.document_id == document_id, DeliveryRow.kind == "create_customer"
        )
        return session.scalar(query.limit(1)) is not None


def _next_turn_at(services: Services, company_id: int, behind: Collection[int]) -> datetime | None:
    """When a delivery that must wait may be tried: a retry, or what an attempt without an end left behind.

    None if none waits for a time. Documents `behind` another wait for that one; where it is held, for a person.
    """
    under_delivery = DocumentRow.state.in_((DeliveryState.APPROVED.value, DeliveryState.SENDING.value))
    query = (
        select(
            DeliveryRow.document_id, DeliveryRow.state, func.coalesce(DeliveryRow.lease_until, DeliveryRow.not_before)
        )
        .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
        .where(
            under_delivery,
            (DeliveryRow.state == DeliveryState.SENDING.value)
            | and_(DeliveryRow.state == DeliveryState.APPROVED.value, DeliveryRow.not_before.is_not(None)),
        )
    )
    turns = []
    with services.db.company_reading(company_id) as session:
        for document_id, state, turn in session.execute(query):
            if state == DeliveryState.SENDING.value:
                turns.append(turn + timedelta(seconds=services.quarantine_s))
            elif document_id not in behind:
                turns.append(turn)
        now = services.db.now(session)
    if any(turn <= now for turn in turns) and _ready(services, company_id, set(behind)):
        return now  # its time came while others were being tried
    # What might have been tried already and was not stands behind something that is still to come: an invoice, or the
    # series, takes one doubtful write at a time. Waiting for it by its own time would be asking again and again.
    return min((turn for turn in turns if turn > now), default=min(turns, default=None))


def _ready(services: Services, company_id: int, without: set[int]) -> tuple[Ready, ...]:
    """Steps that may be tried now, the next one of a document each, oldest first."""
    with services.db.company_reading(company_id) as session:
        ready = deliveries.next_ready(session, services.in_flight * 8 + len(without), services.quarantine_s)
    return tuple(entry for entry in ready if entry.document_id not in without)


def deliver_document(
    services: Services,
    company_id: int,
    run_id: int | None,
    document_id: int,
    desk: Desk,
    enough: Callable[[], bool],
    *,
    gathers: bool = False,
) -> Progress:
    """Take one document's steps in turn until it is booked, held, must wait, or `enough` says stop.

    `gathers`: it also stops at a step that is booked together with others'.
    """
    try:
        with services.db.line(company_id) as line:
            work = _Chain(services, company_id, run_id, document_id, desk, enough, line, gathers=gathers)
            return _to_the_end(work, _first_attempt(work))
    except deliveries.ClaimLost:
        return Progress.LATER  # whoever took over looks first, and finds what this attempt wrote
    finally:
        desk.log.save(services, company_id, run_id)


def _to_the_end(work: _Chain, attempt: _Attempt | Progress) -> Progress:
    while isinstance(attempt, _Attempt):
        attempt = _carry_out(work, attempt)
    return attempt


# --- Many documents by one call -------------------------------------------------------------------------------


def deliver_together(
    services: Services,
    company_id: int,
    run_id: int | None,
    document_ids: Sequence[int],
    desk: Desk,
    enough: Callable[[], bool],
) -> Mapping[int, Progress]:
    """Book payments and vouchers of several documents by as few calls as the accounting system needs.

    Each is claimed, and its answer recorded, as if it went alone: a crash in between leaves each to be looked up.
    What must be looked up now, or has a copy to be removed, does go alone.
    """
    try:
        with services.db.line(company_id) as line:
            return _delivered_together(
                [_Chain(services, company_id, run_id, one, desk, enough, line) for one in document_ids], desk
            )
    finally:
        desk.log.save(services, company_id, run_id)


def _delivered_together(chains: Sequence[_Chain], desk: Desk) -> Mapping[int, Progress]:
    progress: dict[int, Progress] = {}
    together: list[tuple[_Chain, _Attempt]] = []
    begun = monotonic_time.monotonic()
    for work in chains:
        if together and monotonic_time.monotonic() > begun + work.services.lease_s / CALL_SHARE / 2:
            # What has been claimed must be sent while its lease is young.
            progress[work.document_id] = Progress.GATHERED
            continue
        try:
            attempt = _first_attempt(work)
            if isinstance(attempt, _Attempt) and _goes_with_others(attempt):
                together.append((work, attempt))
                continue
            # One that goes alone takes its time: those that wait for it would lose their turn.
            progress.update(_booked_together(together, desk))
            together.clear()
            progress[work.document_id] = _to_the_end(work, attempt)
            begun = monotonic_time.monotonic()
        except deliveries.ClaimLost:
            progress[work.document_id] = Progress.LATER
    progress.update(_booked_together(together, desk))
    return progress


def _goes_with_others(attempt: _Attempt) -> bool:
    claimed = attempt.claimed
    alone = claimed.look_first or attempt.doubted or attempt.old or attempt.answer is not None
    return claimed.step.kind in TOGETHER and not alone


def _booked_together(together: Sequence[tuple[_Chain, _Attempt]], desk: Desk) -> dict[int, Progress]:
    """Write for all of them, and record for each what it came to."""
    if not together:
        return {}
    services = together[0][0].services
    begun = min(attempt.begun for _, attempt in together)
    outcomes: Sequence[StepAnswer | Exception]
    with writes_until(begun + services.lease_s * (CALL_SHARE - 1) / CALL_SHARE):
        try:
            if monotonic_time.monotonic() > begun + services.lease_s / CALL_SHARE:
                raise TryLater("too little of the lease is left to begin a write")
            outcomes = desk.system.perform_together([(one.claimed.step, one.known) for _, one in together])
        except SQLAlchemyError:
            raise
        except Exception as error:
            outcomes = [error] * len(together)
    first = together[0][1].claimed.key
    progress = {}
    for (work, attempt), outcome in zip(together, outcomes, strict=True):
        try:
            progress[work.document_id] = _recorded_of_many(work, attempt, outcome, first)
        except deliveries.ClaimLost:
            progress[work.document_id] = Progress.LATER
    return progress


def _recorded_of_many(work: _Chain, attempt: _Attempt, outcome: StepAnswer | Exception, first: str) -> Progress:
    """Record one of many. The calls that were made for all stand with the first of them. Raises `ClaimLost`."""
    claimed, parts = attempt.claimed, (work.services, work.company_id, work.run_id, attempt.claimed)
    match outcome:
        case StepAnswer():
            beside = first if first != claimed.key else ""
            answered = _answered(work, attempt, claimed.step, replace(outcome, beside=beside), go_on=False)
            assert isinstance(answered, Progress)  # noqa: S101 - it was told not to go on
            return answered
        case BadReply():
            unread = OutcomeUnknown("the answer to a write cannot be read")
            return _failed(*parts, unread, False, work.desk)
        case PortError():
            return _failed(*parts, outcome, False, work.desk)
        case _:
            return _broken(*parts, outcome, work.desk)


@dataclass(slots=True)
class _Chain:
    """One document at work, and what this process has itself seen of it.

    An answer that was recorded never changes. So what a step builds on need not be read again, as long as the
    document has been `whole` in these hands: from its first step on.
    """

    services: Services
    company_id: int
    run_id: int | None
    document_id: int
    desk: Desk
    enough: Callable[[], bool]
    line: Line
    """Its line to the database, on which no transaction is open while the outside world is asked."""
    gathers: bool = False
    """Whether a step that is booked together with others' ends the work for now."""
    gathered: bool = False
    """Whether it did."""
    steps: deque[OpenStep] = field(default_factory=deque)
    """Those that are left."""
    whole: bool = False
    doubtful: bool = False
    answers: dict[str, StepAnswer] = field(default_factory=dict)
    payments: dict[str, CreatePayment] = field(default_factory=dict)
    view: InvoiceView | None = None
    told: Told | None = None
    """What answers have told of the document, once that is known."""
    looks_first: bool | None = None
    """Whether first attempts look too, once that is known."""

    def note(self, claimed: Claimed, step: Step, answer: StepAnswer) -> None:
        """Remember what a step came to."""
        self.answers[step.key] = answer
        self.doubtful |= claimed.doubtful and step.kind in _MADE_BY
        if isinstance(step, CreatePayment):
            self.payments[step.key] = step
        elif step.kind in _SHOWN_BY and answer.invoice is not None:
            self.view = answer.invoice

    def knows(self, key: str) -> bool:
        """Whether all that was answered so far of the step's document is known here."""
        return self.whole and key in self.answers


_MADE_BY = ("create_invoice", "credit_invoice", "create_payment")
"""Steps that make something: without a readable answer, perhaps twice."""
_SHOWN_BY = (
    "create_invoice",
    "create_order",
    "round_invoice",
    "credit_invoice",
    "date_credit_note",
    "book_invoice",
    "await_invoice",
)
"""Steps whose answers show an invoice as it stands."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A delivery that is ours, and what its write builds on. `answer`: there is nothing left to write."""

    claimed: Claimed
    known: Known
    answer: StepAnswer | None
    doubted: bool
    old: bool
    begun: float
    """When its lease began at the earliest, by the monotonic clock."""


def _first_attempt(work: _Chain) -> _Attempt | Progress:
    """Claim the document's next step, in a transaction of its own."""
    begun = monotonic_time.monotonic()
    try:
        with work.line.transaction() as session:  # commits "sending"
            claimed = _claimed(work, session)
            if claimed is None:
                return _unclaimed(work)
            if _out_of_date(session, claimed, work.desk):
                return Progress.HELD
            work.whole = claimed.seq == 0
            return _prepared(work, session, claimed, begun)
    except _NotYet:
        return Progress.BEHIND
    except IntegrityError:
        # Two claims at the same instant on one invoice: the table's own law let one of them through.
        return Progress.LATER


def _claimed(work: _Chain, session: Transaction) -> Claimed | None:
    """Claim the document's next step; None if there is none, or another worker has it."""
    services = work.services
    if not work.steps:
        work.steps.extend(deliveries.open_steps(session, work.document_id))
    if not work.steps:
        return None
    step = work.steps[0]
    if work.gathers and step.kind in TOGETHER and not (step.doubted or work.doubtful):
        work.gathered = True
        return None
    work.steps.popleft()
    claimed = deliveries.claim_step(
        session, step, services.lease_s, services.quarantine_s, always_look=_may_stand_there(work, session)
    )
    if claimed is None:
        _leave_to_person(session.session, step.delivery_id, services.now())
    return claimed


def _unclaimed(work: _Chain) -> Progress:
    """Why there was nothing to claim: it goes with others, or another worker has it."""
    return Progress.GATHERED if work.gathered else Progress.LATER


def _may_stand_there(work: _Chain, session: Transaction) -> bool:
    """Whether what a first attempt would write may be there already, from a time that the rows have forgotten."""
    until = work.desk.look_first
    if until is None:
        return False
    if work.looks_first is None:
        work.looks_first = restored.looks_first(session.session, work.document_id, until, work.services.now())
    return work.looks_first


def _leave_to_person(session: Session, delivery_id: int, now: datetime) -> None:
    """Where the next step is a person's, let its document's parts wait for them."""
    row = session.get(DeliveryRow, delivery_id)
    if row is None or row.kind not in deliveries.FOR_PEOPLE or row.state != DeliveryState.APPROVED.value:
        return
    step = decode_step(row.payload)
    assert isinstance(step, AwaitInvoice | AwaitPayment)  # noqa: S101 - what is for people is one of these
    number = session.get_one(DocumentRow, row.document_id).number
    mark_waiting(session, row.document_id, step, number, now)


def _leave_next_to_person(work: _Chain, session: Transaction) -> None:
    for step in deliveries.open_steps(session, work.document_id)[:1]:
        if step.kind in deliveries.FOR_PEOPLE:
            _leave_to_person(session.session, step.delivery_id, work.services.now())


def _prepared(work: _Chain, session: Transaction, claimed: Claimed, begun: float) -> _Attempt:
    doubted = _doubted(work, session, claimed)
    return _Attempt(
        claimed,
        _known(work, session, claimed, looking=claimed.look_first or doubted),
        _made_meanwhile(session, claimed.step),
        doubted,
        _planned_long_ago(work.services, session, claimed),
        begun,
    )


class _Touched(Exception):
    """The invoice that Basic would pay is no longer open with what was planned; nothing has been written."""

    def __init__(self, **facts: str) -> None:
        super().__init__("no longer open as planned")
        self.facts = facts


class _NotYet(Exception):
    """Another document must come first; what has been claimed is given back by rolling back."""


def _carry_out(work: _Chain, attempt: _Attempt) -> _Attempt | Progress:
    """Carry one remote write to its end; give the next attempt of the document. Raises `ClaimLost`.

    A step may be several calls, and the fence takes copies away before it: none of them is begun when it might
    outlive the lease.
    """
    with writes_until(attempt.begun + work.services.lease_s * (CALL_SHARE - 1) / CALL_SHARE):
        return _carried_out(work, attempt)


def _carried_out(work: _Chain, attempt: _Attempt) -> _Attempt | Progress:
    services, company_id, run_id, desk = work.services, work.company_id, work.run_id, work.desk
    claimed, known, answer = attempt.claimed, attempt.known, attempt.answer
    looking = claimed.look_first
    try:  # no transaction is open here
        step = _fitted(claimed.step, known, desk)
        if answer is None and looking:
            answer = desk.system.look_up(step, known)
            if answer is None:
                with services.db.company(company_id) as session:
                    may_write = deliveries.record_miss(session, claimed, services.quarantine_s)
                if not may_write:
                    return Progress.LATER
                looking = False
        if answer is None:
            latest = attempt.begun + services.lease_s / CALL_SHARE
            if attempt.doubted:
                _fence(step, known, desk)
            if attempt.old:
                _look_again(step, desk)
            write = _mailed if isinstance(step, MailInvoice) else _write
            answer = write(work, claimed, step, known, latest)
    except _Touched as fault:
        with services.db.company(company_id) as session:
            deliveries.record_rejected(session, claimed, HoldReason.TOUCHED.value, str(fault))
            document = session.get_one(DocumentRow, claimed.document_id)
            hold(session, document, HoldReason.TOUCHED, fault.facts, claimed.attempted_at)
            _save_calls(session, run_id, claimed, desk)
        return Progress.HELD
    except PortError as error:
        return _failed(services, company_id, run_id, claimed, error, looking, desk)
    except (deliveries.ClaimLost, SQLAlchemyError):
        raise
    except Exception as error:
        return _broken(services, company_id, run_id, claimed, error, desk)
    differs = _disagreement(step, answer, desk)
    if differs is not None:
        return _differing(work, claimed, step, answer, differs)
    work.note(claimed, step, answer)
    try:
        return _answered(work, attempt, step, answer, go_on=not work.enough())
    except (IntegrityError, _NotYet):
        # The next step cannot be claimed now, because of another document. What stands there is recorded all the same.
        return _answered(work, attempt, step, answer, go_on=False)


def _answered(work: _Chain, attempt: _Attempt, step: Step, answer: StepAnswer, *, go_on: bool) -> _Attempt | Progress:
    """Record what stands there now, and in the same transaction claim the document's next step.

    One commit serves both: "booked" for this write, "sending" for the next before a byte of it leaves. Raises
    `ClaimLost`, and what claiming raises; then nothing is recorded.
    """
    begun = monotonic_time.monotonic()
    claimed = attempt.claimed
    calls = work.desk.log.take(claimed.key)
    following: _Attempt | Progress = Progress.PAUSED
    try:
        with work.line.transaction() as session:
            last = deliveries.record_booked(session, claimed, answer)
            touched = _recorded(work, session, claimed, step, attempt.known, answer, last)
            save_calls(session, calls, work.run_id, claimed.delivery_id)
            if touched or last:
                following = Progress.HELD if touched else Progress.BOOKED
            elif go_on:
                next_claimed = _claimed(work, session)
                following = _unclaimed(work) if next_claimed is None else _prepared(work, session, next_claimed, begun)
            else:
                _leave_next_to_person(work, session)
    except BaseException:
        work.told = None  # what was told is not
        work.desk.log.put_back(calls)
        raise
    work.services.tally.count(Counter.DELIVERIES, step=claimed.step.kind, outcome="booked")
    return following


def _differing(work: _Chain, claimed: Claimed, step: Step, answer: StepAnswer, fault: Comparison) -> Progress:
    """Hold what was created and is not as planned, and take it back unbooked.

    Never "booked", not even for an instant: after a crash here the next attempt would go on to book it.
    """
    with work.services.db.company(work.company_id) as session:
        reason = fault.reason or HoldReason.TOTAL_DIFFERS
        if isinstance(step, CreateOrder) and answer.invoice is not None and answer.invoice.round_off:
            _learn_rounding(session)
            _round_order(session, claimed, step, work.desk)
        deliveries.record_rejected(session, claimed, reason.value, "not as planned", while_looking=True)
        document = session.get_one(DocumentRow, claimed.document_id)
        document.number = answer.reference
        hold(session, document, reason, dict(fault.facts), claimed.attempted_at)
        _save_calls(session, work.run_id, claimed, work.desk)
    _withdraw(work.services, work.company_id, work.run_id, claimed, step, answer, work.desk)
    return Progress.HELD


def _out_of_date(session: Transaction, claimed: Claimed, desk: Desk) -> bool:
    """Hold a document whose books have changed since it was planned, before its first byte leaves.

    A plan may wait days for its approval; refused half-way, it would leave an unbooked invoice behind.
    """
    if claimed.seq or claimed.attempt > 1 or claimed.look_first:
        return False
    fault = _cannot_be_booked(*deliveries.planned_steps(session, claimed.document_id), desk.books)
    if fault is None:
        return False
    reason, facts = fault
    deliveries.record_rejected(session, claimed, reason.value, "the books have changed since this was planned")
    orm = session.session
    hold(orm, orm.get_one(DocumentRow, claimed.document_id), reason, facts, claimed.attempted_at)
    return True


def _cannot_be_booked(day: date, steps: Sequence[Step], books: Books) -> tuple[HoldReason, dict[str, str]] | None:
    if books.locked_through is not None and day <= books.locked_through:
        return HoldReason.PERIOD_LOCKED, {"day": day.isoformat(), "locked": books.locked_through.isoformat()}
    year = books.year_of(day)
    if year is None:
        return HoldReason.NO_FINANCIAL_YEAR, {"day": day.isoformat()}
    for account, cost_centre, project in _accounts_of(steps):
        why = books.fault_of(account.number, year.ref, cost_centre, project)
        if why:
            return HoldReason.ACCOUNT_NOT_READY, {"account": account.number, "role": account.role.value, "why": why}
    return None


def _accounts_of(steps: Sequence[Step]) -> set[tuple[Account, str, str]]:
    """The accounts that a document's steps post to, with the cost centre and project of the row."""
    found: set[tuple[Account, str, str]] = set()
    for step in steps:
        match step:
            case CreateInvoice() | CreateOrder():
                found.update(_posted(line) for line in step.invoice.lines)
            case CreatePayment():
                found.add((step.settlement.account, "", ""))
            case PostVoucher():
                found.update(_posted(line) for line in step.voucher.lines)
            case _:
                pass
    return found


def _posted(line: InvoiceLine | VoucherLine) -> tuple[Account, str, str]:
    return line.account, line.cost_centre, line.project


def _planned_long_ago(services: Services, session: Transaction, claimed: Claimed) -> bool:
    """Whether this step pays an invoice that Basic found so long ago that a person may have paid it since."""
    step = claimed.step
    if isinstance(step, BookInvoice) and step.draft is not None:
        return True  # a person may work on a draft at any time
    if not isinstance(step, CreatePayment) or not step.invoice_number:
        return False
    planned_at = session.session.scalars(
        select(DocumentRow.planned_at).where(DocumentRow.id == claimed.document_id)
    ).one()
    return services.now() - planned_at > FRESH_PLAN


def _look_again(step: Step, desk: Desk) -> None:
    """Read the invoice that a payment was planned for. Raises `_Touched` unless what is open still covers it.

    The accounting system may take more than is open without a word, and the invoice would be overpaid.
    """
    if isinstance(step, BookInvoice) and step.draft is not None:
        _look_at_draft(step.draft, desk)
        return
    assert isinstance(step, CreatePayment)  # noqa: S101 - only payments of found invoices are looked at again
    invoice = desk.system.get_invoice(step.invoice_number)
    settlement = step.settlement
    wanted = settlement.amount
    if settlement.write_off is not None:
        wanted = wanted + settlement.write_off
    covered = (
        invoice.booked
        and not invoice.cancelled
        and invoice.balance.currency == wanted.currency
        and invoice.balance.minor * wanted.minor > 0
        and abs(invoice.balance.minor) >= abs(wanted.minor)
    )
    if not covered:
        raise _Touched(invoice=invoice.number, open=str(invoice.balance), wanted=str(wanted))


def _look_at_draft(draft: InvoiceView, desk: Desk) -> None:
    """Read a draft before it is booked. Raises `_Touched` unless it is what the payment was planned for."""
    now = desk.system.get_invoice(draft.number)
    if now.cancelled or (now.total, now.vat, now.currency) != (draft.total, draft.vat, draft.currency):
        raise _Touched(invoice=draft.number, planned=str(draft.total), made=str(now.total))


def _made_meanwhile(session: Transaction, step: Step) -> StepAnswer | None:
    """A customer or an article that is known by now, because somebody has made it: there is nothing left to do."""
    if isinstance(step, CreateArticle):
        return StepAnswer(step.number) if articles.knows(session.session, step.number) else None
    if not isinstance(step, CreateCustomer):
        return None
    number = deliveries.customer_number(session, step.key)
    return StepAnswer(number) if number else None


def _mailed(work: _Chain, claimed: Claimed, step: Step, known: Known, latest: float) -> StepAnswer:
    """Let an invoice be mailed. A refusal (no address that they take) keeps no money out of the books: it is told."""
    try:
        return _write(work, claimed, step, known, latest)
    except Rejected as refusal:
        return StepAnswer("not_mailed", voucher=refusal.message[:200])


def _write(work: _Chain, claimed: Claimed, step: Step, known: Known, latest: float) -> StepAnswer:
    """Write; what they say was done before is looked up.

    Not begun after `latest`, a reading of the monotonic clock: a write must not outlive its lease, and a process
    that was suspended does not know how long it slept. Then `TryLater`: nothing has happened.
    """
    if monotonic_time.monotonic() > latest:
        raise TryLater("too little of the lease is left to begin a write")
    try:
        return work.desk.system.perform(step, known)
    except AlreadyDone:
        with work.services.db.company_reading(work.company_id) as session:
            known = replace(known, taken_payments=_taken_payments(session, claimed))
        found = work.desk.system.look_up(step, known)
        if found is None:
            raise
        return found
    except BadReply as error:
        raise OutcomeUnknown("the answer to a write cannot be read") from error


def _doubted(work: _Chain, session: Transaction, claimed: Claimed) -> bool:
    """Whether this step books what an attempt without a readable answer may have made twice."""
    match claimed.step:
        case BookInvoice() | BookPayment() if work.whole:
            return work.doubtful
        case BookInvoice() | BookPayment():
            doubtful = session.session.scalar(
                select(DeliveryRow.id).where(
                    DeliveryRow.document_id == claimed.document_id,
                    DeliveryRow.seq < claimed.seq,
                    DeliveryRow.doubtful.is_(True),
                    DeliveryRow.kind.in_(_MADE_BY),
                )
            )
            return doubtful is not None
        case _:
            return False


def _fence(step: Step, known: Known, desk: Desk) -> None:
    """After a doubtful create: list what stands under the key once more, and remove surplus unbooked copies."""
    ours = known.invoice.number if isinstance(step, BookInvoice) and known.invoice else known.payment_number
    for reference in desk.system.find_copies(step, known):
        if reference != ours:
            desk.system.remove_copy(step, reference)


# --- What a step builds on --------------------------------------------------------------------------------------


def _known(work: _Chain, session: Transaction, claimed: Claimed, *, looking: bool) -> Known:
    """The answers of earlier steps that this one needs. Raises `_NotYet` if another document must come first.

    `looking`: what is there will be looked at, so it must be known which payments are other documents'.
    """
    step, desk = claimed.step, work.desk
    taken = _taken_payments(session.session, claimed) if looking else ()
    match step:
        case CreateCustomer() | CreateArticle():
            return Known()
        case CreateInvoice() | CreateOrder() | UpdateCustomer():
            made = work.answers.get(step.customer_key)
            number = made.reference if made else deliveries.customer_number(session, step.customer_key)
            if not number:
                raise _NotYet(step.customer_key)
            return Known(customer_number=number)
        case BookInvoice(draft=draft) if draft is not None:
            return Known(invoice=draft)
        case CreditInvoice() if step.invoice_number:
            return Known(invoice=_copy(step))
        case RoundInvoice() | BookInvoice() | CreditInvoice() | AwaitInvoice() | MailInvoice():
            return Known(invoice=_invoice(work, session, step.invoice_key))
        case DateCreditNote():
            return Known(invoice=_invoice(work, session, step.credit_key))
        case CreatePayment():
            following = work.steps or deliveries.open_steps(session, claimed.document_id)
            left = any(step.kind == "await_payment" for step in following)
            return Known(invoice=_invoice_of(work, session, step), taken_payments=taken, left_to_person=left)
        case BookPayment() | AwaitPayment():
            payment = work.payments.get(step.payment_key) or _payment(session.session, step.payment_key)
            answer = work.answers.get(step.payment_key) or _answer(session.session, step.payment_key)
            return Known(
                payment_number=answer.reference if answer else "",
                invoice=_invoice_of(work, session, payment) if payment else None,
                taken_payments=taken,
                settlement=payment.settlement if payment else None,
            )
        case PostVoucher():
            year = desk.books.year_of(step.voucher.booking_date)
            return Known(
                series=desk.series,
                year_ref=year.ref if year else "",
                attempt_started_at=claimed.first_attempted_at,
            )
        case _:
            assert_never(step)


def _taken_payments(session: Session, claimed: Claimed) -> tuple[str, ...]:
    """Payments of other documents on the same invoice: they carry no key, and equal ones must not be taken for ours."""
    invoice = select(DeliveryRow.alone_on).where(DeliveryRow.id == claimed.delivery_id).scalar_subquery()
    return tuple(
        session.scalars(
            select(DeliveryRow.reference).where(
                DeliveryRow.kind == "create_payment",
                DeliveryRow.reference != "",
                DeliveryRow.document_id != claimed.document_id,
                DeliveryRow.alone_on == invoice,
            )
        )
    )


def _answer(session: Session, key: str) -> StepAnswer | None:
    data = session.scalar(select(DeliveryRow.answer).where(DeliveryRow.key == key))
    return decode(StepAnswer, data) if data else None


def _invoice(work: _Chain, session: Transaction, invoice_key: str) -> InvoiceView | None:
    """The latest that was answered of an invoice: created, rounded, dated or booked."""
    if work.knows(invoice_key):
        return work.view
    document_id = select(DeliveryRow.document_id).where(DeliveryRow.key == invoice_key).scalar_subquery()
    views = [
        decode(StepAnswer, data).invoice
        for data in session.session.scalars(
            select(DeliveryRow.answer)
            .where(
                DeliveryRow.document_id == document_id,
                DeliveryRow.state == DeliveryState.BOOKED.value,
                DeliveryRow.kind.in_(_SHOWN_BY),
            )
            .order_by(DeliveryRow.seq)
        )
        if data
    ]
    return next((view for view in reversed(views) if view is not None), None)


def _payment(session: Session, payment_key: str) -> CreatePayment | None:
    payload = session.scalar(select(DeliveryRow.payload).where(DeliveryRow.key == payment_key))
    payment = decode_step(payload) if payload else None
    return payment if isinstance(payment, CreatePayment) else None


def _invoice_of(work: _Chain, session: Transaction, payment: CreatePayment) -> InvoiceView | None:
    """The invoice that a payment is for."""
    return _invoice(work, session, payment.invoice_key) if payment.invoice_key else _matched(payment)


def _matched(step: CreatePayment) -> InvoiceView:
    """The invoice that Basic found, as far as a payment of it needs to know: it is in the books' own currency."""
    return _numbered(step.invoice_number, step.settlement.amount, step.settlement.paid_on)


def _copy(step: CreditInvoice) -> InvoiceView:
    """The invoice that stands a second time, as far as crediting it needs to know."""
    return _numbered(step.invoice_number, -step.total, step.credit_date)


def _numbered(number: str, amount: Money, day: date) -> InvoiceView:
    return InvoiceView(
        number=number,
        currency=amount.currency,
        total=amount,
        balance=amount,
        vat=Decimal(0),
        rate=Decimal(1),
        unit=1,
        booked=True,
        cancelled=False,
        invoice_date=day,
    )


# --- What an answer changes -------------------------------------------------------------------------------------


def _recorded(
    work: _Chain,
    session: Transaction,
    claimed: Claimed,
    step: Step,
    known: Known,
    answer: StepAnswer,
    last: bool,
) -> bool:
    """Store what follows from an answer. Says whether a person has changed the invoice: then the document is held."""
    touched = False
    match step:
        case CreateCustomer() | UpdateCustomer():
            _remember_customer(session, step, answer)
        case CreateArticle():
            articles.remember(session.session, step.number)
        case MailInvoice():
            _tell_mailed(session.session, step, answer, claimed.attempted_at)
        case AwaitInvoice():
            voucher = _with_voucher(_stood(work, session), answer.voucher)
            _tell(work, session, {**_seen(answer.invoice), **voucher, "number": answer.reference})
            _go_on(session.session, claimed.document_id, claimed.attempted_at)
        case CreateOrder() | CreditInvoice():
            _tell(work, session, {"number": answer.reference})
        case CreateInvoice():
            _tell(work, session, {"number": answer.reference, **_seen(answer.invoice)})
            _learn(work, session, claimed, step, answer)
        case RoundInvoice() | DateCreditNote():
            _tell(work, session, _seen(answer.invoice))
        case BookInvoice():
            voucher = _with_voucher(_stood(work, session), answer.invoice.voucher if answer.invoice else "")
            _tell(work, session, {**_seen(answer.invoice), **voucher})
            touched = _hold_touched(session, claimed, known.invoice, answer.invoice)
        case CreatePayment():
            pass
        case BookPayment() | AwaitPayment():
            stood = _stood(work, session)
            told = {**_with_voucher(stood, answer.voucher), **_worth(stood, answer, known, work.desk)}
            _tell(work, session, told)
            touched = _hold_changed(session.session, claimed, known.settlement, answer.payment)
        case PostVoucher():
            voucher = _with_voucher(_stood(work, session), answer.voucher or answer.reference)
            _tell(work, session, {"number": answer.reference, **voucher})
        case _:
            assert_never(step)
    if last:
        deliveries.book_parts(session, claimed.document_id, claimed.attempted_at)
        if UNDO_ENDING in claimed.key:
            set_undone(session.session, claimed.document_id, claimed.attempted_at)
    return touched


def _stood(work: _Chain, session: Transaction) -> Told:
    """What answers have told of the document so far: read once, since nobody else tells of one that is claimed."""
    if work.told is None:
        work.told = deliveries.told_of(session, work.document_id)
    return work.told


def _tell(work: _Chain, session: Transaction, columns: Mapping[str, Any]) -> None:
    """Keep what an answer tells of the document."""
    deliveries.tell_document(session, work.document_id, columns)
    stood = work.told
    if stood is not None and not columns.keys().isdisjoint(("vouchers", "clearing_books_minor")):
        work.told = replace(
            stood,
            vouchers=tuple(columns.get("vouchers", stood.vouchers)),
            clearing_books_minor=columns.get("clearing_books_minor", stood.clearing_books_minor),
        )


def set_undone(session: Session, undo_id: int, now: datetime) -> None:
    """What a document took back is open again, and set aside until a person says "book again". The caller commits."""
    for original_id in session.scalars(select(DocumentRow.id).where(DocumentRow.undone_by == undo_id)):
        who = dict(session.scalars(select(DocumentRow.payload["facts"]).where(DocumentRow.id == undo_id)).one())
        session.execute(
            update(PartRow)
            .where(PartRow.document_id == original_id)
            .values(
                state=PartState.SET_ASIDE.value,
                reason=UNDONE,
                facts={"document": str(original_id), "undo": str(undo_id)},
                document_id=None,
                set_aside_by=str(who.get("by") or "Kvitt"),
                set_aside_where="",
                changed_at=now,
            )
            .execution_options(synchronize_session=False)
        )


def _hold_touched(session: Transaction, claimed: Claimed, made: InvoiceView | None, booked: InvoiceView | None) -> bool:
    """Hold a document whose invoice is not the one that was compared: somebody changed it before it was booked."""
    if made is None or booked is None:
        return False
    if (made.total, made.vat, made.books_rate()) == (booked.total, booked.vat, booked.books_rate()):
        return False
    facts = {"invoice": booked.number, "planned": str(made.total), "made": str(booked.total)}
    document = session.session.get_one(DocumentRow, claimed.document_id)
    hold(session.session, document, HoldReason.TOUCHED, facts, claimed.attempted_at)
    return True


def _hold_changed(session: Session, claimed: Claimed, planned: Settlement | None, booked: PaymentView | None) -> bool:
    """Hold a document whose payment is not the one that was entered: somebody changed its amount meanwhile."""
    if planned is None or booked is None or booked.amount.currency != planned.amount.currency:
        return False
    if booked.amount == planned.amount:
        return False
    facts = {"payment": booked.number, "planned": str(planned.amount), "made": str(booked.amount)}
    document = session.get_one(DocumentRow, claimed.document_id)
    hold(session, document, HoldReason.TOUCHED, facts, claimed.attempted_at)
    return True


def _with_voucher(stood: Told, voucher: str) -> dict[str, Any]:
    """The document's vouchers where an answer names another one."""
    return {"vouchers": [*stood.vouchers, voucher]} if voucher and voucher not in stood.vouchers else {}


def mark_waiting(
    session: Session, document_id: int, step: AwaitInvoice | AwaitPayment, number: str, now: datetime
) -> None:
    """Let a document's parts wait for the person who books the draft, the order's invoice or the payment."""
    reason = WaitReason.BOOKING if isinstance(step, AwaitInvoice) else WaitReason.PAYMENT_BOOKING
    what = "order" if isinstance(step, AwaitInvoice) and step.ordered else "invoice"
    session.execute(
        update(PartRow)
        .where(PartRow.document_id == document_id, PartRow.state == PartState.PLANNED.value)
        .values(state=PartState.WAITING.value, reason=reason.value, facts={what: number}, changed_at=now)
        .execution_options(synchronize_session=False)
    )


def _go_on(session: Session, document_id: int, now: datetime) -> None:
    """The person has done what was waited for: the rest is on its way."""
    session.execute(
        update(PartRow)
        .where(PartRow.document_id == document_id, PartRow.state == PartState.WAITING.value)
        .values(state=PartState.PLANNED.value, reason="", facts={}, changed_at=now)
        .execution_options(synchronize_session=False)
    )


def _tell_mailed(session: Session, step: MailInvoice, answer: StepAnswer, now: datetime) -> None:
    """What went out to a buyer, and what may not have, stands in the log for anyone to see."""
    what = "mailed" if answer.reference == "mailed" else "not_mailed"
    activity.record(session, activity.KVITT, what, {"document": step.invoice_key, "message": answer.voucher}, now)


def taken_by_person(
    services: Services, company_id: int, run_id: int | None, delivery_id: int, answer: StepAnswer, desk: Desk
) -> bool:
    """Record that a person has taken a step that waited for them; the document's next step may go.

    Nothing is written over there, so claim and answer share a commit: there is no instant at which a crash would
    leave the step claimed, and out of sight of those who look at what waits.
    """
    calls = desk.log.take()
    try:
        with services.db.line(company_id) as line, line.transaction() as session:
            claimed = deliveries.claim(
                session.session, delivery_id, services.lease_s, services.quarantine_s, for_person=True
            )
            if claimed is not None:
                work = _Chain(services, company_id, run_id, claimed.document_id, desk, lambda: True, line)
                known = _known(work, session, claimed, looking=claimed.look_first)
                last = deliveries.record_booked(session, claimed, answer)
                _recorded(work, session, claimed, claimed.step, known, answer, last)
                _leave_next_to_person(work, session)
            save_calls(session, calls, run_id, claimed.delivery_id if claimed is not None else None)
    except BaseException:
        desk.log.put_back(calls)
        raise
    return claimed is not None


def _remember_customer(session: Transaction, step: CreateCustomer | UpdateCustomer, answer: StepAnswer) -> None:
    key = step.key if isinstance(step, CreateCustomer) else step.customer_key
    deliveries.remember_customer(session, key, answer.reference, step.customer.name, step.customer.email)


def _seen(view: InvoiceView | None) -> dict[str, Any]:
    """What an answer shows of a document's invoice."""
    if view is None:
        return {}
    return {
        "number": view.number,
        "invoice_total_minor": view.total.minor,
        "invoice_rate": str(view.books_rate()),
    }


def _worth(stood: Told, answer: StepAnswer, known: Known, desk: Desk) -> dict[str, Any]:
    """What the payment was worth in the books, where that was the invoice's own rate."""
    if stood.clearing_books_minor is not None:
        return {}
    if answer.payment is not None:
        return {"clearing_books_minor": answer.payment.books_amount.minor}
    if known.invoice is None:
        return {}
    worth = Money.rounded(stood.total.to_decimal() * known.invoice.books_rate(), desk.books.identity.currency)
    return {"clearing_books_minor": worth.minor}


def _disagreement(step: Step, answer: StepAnswer, desk: Desk) -> Comparison | None:
    """Compare what was created with the plan, before it is booked (law 5); None where it may be booked."""
    if not isinstance(step, CreateInvoice | CreateOrder):
        return None
    if answer.invoice is None:
        return Comparison(Verdict.DIFFERS, HoldReason.TOTAL_DIFFERS)
    comparison = compare_created(step.invoice, answer.invoice, desk.books.identity.currency)
    match comparison.verdict:
        case Verdict.DIFFERS:
            return comparison
        case Verdict.ROUNDED_DOWN if isinstance(step, CreateOrder):
            # The next plan of it knows that totals are rounded, and has the row that this order lacks.
            return replace(comparison, verdict=Verdict.DIFFERS, reason=HoldReason.TOTAL_DIFFERS)
        case Verdict.ROUNDED_DOWN if not _rounding_account(desk):
            facts = (("role", AccountRole.ROUNDING.value),)
            return Comparison(Verdict.DIFFERS, HoldReason.ACCOUNT_NOT_READY, facts)
        case Verdict.AGREES | Verdict.ROUNDED_UP | Verdict.ROUNDED_DOWN:
            return None


def _rounding_account(desk: Desk) -> str:
    return dict(desk.books.predefined).get(AccountRole.ROUNDING.value, "")


def _learn(work: _Chain, session: Transaction, claimed: Claimed, step: CreateInvoice, answer: StepAnswer) -> None:
    """Keep what a created invoice tells: its rate, and how the accounting system rounds."""
    view, desk = answer.invoice, work.desk
    if view is None:
        return
    home = desk.books.identity.currency
    match compare_created(step.invoice, view, home).verdict:
        case Verdict.ROUNDED_UP:
            _learn_rounding(session.session)
        case Verdict.ROUNDED_DOWN:
            _learn_rounding(session.session)
            _insert_rounding(session.session, claimed, step, desk)
            work.steps.clear()  # there is one more in between now: they are read again
        case Verdict.AGREES | Verdict.DIFFERS:
            _learn_rate(session, step, view, home)


def _insert_rounding(session: Session, claimed: Claimed, step: CreateInvoice, desk: Desk) -> None:
    """Put a step between create and book that adds a rounding row, so that total and payment can meet."""
    document = session.get_one(DocumentRow, claimed.document_id)
    rounded = with_rounding(step.invoice, Account(AccountRole.ROUNDING, _rounding_account(desk)))
    rounding = RoundInvoice(f"{step.key}/round", step.key, rounded)
    session.add(
        DeliveryRow(
            document_id=document.id,
            seq=claimed.seq + 1,
            key=rounding.key,
            kind=rounding.kind,
            payload=encode(rounding),
            alone_on=f"invoice/{step.key}",
            state=DeliveryState.APPROVED.value,
        )
    )
    planned = decode(Document, document.payload)
    steps = tuple(_with_rounded(other, step.key, rounded) for other in planned.steps)
    document.payload = encode(replace(planned, steps=steps))
    for other in steps:
        if isinstance(other, BookInvoice) and other.invoice_key == step.key:
            session.execute(update(DeliveryRow).where(DeliveryRow.key == other.key).values(payload=encode(other)))


def _round_order(session: Session, claimed: Claimed, step: CreateOrder, desk: Desk) -> None:
    """Give an order that was rounded down the rounding row that it lacked, for when it is tried again.

    A document that may have left something behind is not planned anew, and would come out the same for ever.
    """
    number = _rounding_account(desk)
    if not number:
        return
    rounded = with_rounding(step.invoice, Account(AccountRole.ROUNDING, number))
    document = session.get_one(DocumentRow, claimed.document_id)
    planned = decode(Document, document.payload)
    steps = tuple(_with_rounded(other, step.key, rounded) for other in planned.steps)
    document.payload = encode(replace(planned, steps=steps))
    payload = encode(replace(step, invoice=rounded))
    session.execute(update(DeliveryRow).where(DeliveryRow.id == claimed.delivery_id).values(payload=payload))


def _with_rounded(step: Step, invoice_key: str, rounded: Any) -> Step:
    match step:
        case CreateInvoice() | CreateOrder() if step.key == invoice_key:
            return replace(step, invoice=rounded)
        case BookInvoice() if step.invoice_key == invoice_key:
            return replace(step, invoice=rounded)
        case _:
            return step


def _learn_rounding(session: Session) -> None:
    """The accounting system rounds to whole units: later plans add the rounding row themselves."""
    settings = session.scalar(select(CompanySettings).with_for_update())
    if settings is not None and settings.values.get("rounds_to_whole") != "yes":
        settings.values = {**settings.values, "rounds_to_whole": "yes"}


def _learn_rate(session: Transaction, step: CreateInvoice, view: InvoiceView, home: str) -> None:
    """Keep the accounting system's own rate of a day, for fees and payouts in that currency."""
    if view.currency == home or step.invoice.rate is not None:
        return
    if deliveries.knows_rate(session, view.currency, home, view.invoice_date):
        return
    rate = RateRow(
        base=view.currency,
        quote=home,
        fixed_on=view.invoice_date,
        rate=str(view.rate),
        unit=view.unit,
        source="accounting system",
    )
    try:
        with session.session.begin_nested():
            session.session.add(rate)
    except IntegrityError:
        return  # another document's answer, in another thread, told the same rate at the same instant


def hold(session: Session, document: DocumentRow, reason: HoldReason, facts: dict[str, str], now: datetime) -> None:
    """Hold a planned document and its parts until a person has looked. The caller commits."""
    document.state = DeliveryState.REJECTED.value
    document.hold_reason, document.hold_facts = reason.value, facts
    session.execute(
        update(PartRow)
        .where(PartRow.document_id == document.id)
        .values(state=PartState.HELD.value, reason=reason.value, facts=facts, changed_at=now)
        .execution_options(synchronize_session=False)
    )


def _withdraw(
    services: Services,
    company_id: int,
    run_id: int | None,
    claimed: Claimed,
    step: Step,
    answer: StepAnswer,
    desk: Desk,
) -> None:
    """Cancel an unbooked invoice that differs from its plan, and let a later try make a new one."""
    assert isinstance(step, CreateInvoice | CreateOrder)  # noqa: S101 - only these are compared
    book = step if isinstance(step, CreateOrder) else BookInvoice(f"{step.key}/book", step.key, step.invoice)
    try:
        desk.system.remove_copy(book, answer.reference)
    except PortError:
        # It stays unbooked and under our key: the next attempt looks first, finds and compares it again.
        removed = False
    else:
        removed = True
    with services.db.company(company_id) as session:
        if removed:
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.id == claimed.delivery_id, DeliveryRow.state == DeliveryState.REJECTED.value)
                .values(needs_lookup=False)
                .execution_options(synchronize_session=False)
            )
            session.get_one(DocumentRow, claimed.document_id).number = ""
        _save_calls(session, run_id, claimed, desk)


# --- When it fails ----------------------------------------------------------------------------------------------


_FAILURES: Final[Mapping[type[PortError], str]] = {
    Rejected: "refused",
    OutcomeUnknown: "no_answer",
    NeedsReconnect: "reconnect",
}
"""How attempts are counted that ended other than well; those in a row are retries."""


def _failed(
    services: Services,
    company_id: int,
    run_id: int | None,
    claimed: Claimed,
    error: PortError,
    looking: bool,
    desk: Desk,
) -> Progress:
    """Record a failed attempt by what to do next. `looking`: it was the look-up that failed; nothing was written."""
    outcome = "looking_failed" if looking else _FAILURES.get(type(error), "try_later")
    services.tally.count(Counter.DELIVERIES, step=claimed.step.kind, outcome=outcome)
    with services.db.company(company_id) as session:
        _save_calls(session, run_id, claimed, desk)
        tired = claimed.attempt >= MOST_ATTEMPTS and _written_in_vain(session, claimed) >= MOST_ATTEMPTS
        match error:
            case Rejected():
                deliveries.record_rejected(session, claimed, error.code, error.message, while_looking=looking)
                if error.reason == HoldReason.WAITED_FOR_GONE.value:
                    _make_anew(session, claimed)
                _hold_refused(session, claimed, _reason(error), error.code, error.message)
                return Progress.HELD
            case OutcomeUnknown() if tired and not looking:
                message = f"no readable answer in {MOST_ATTEMPTS} attempts and more: {error}"
                deliveries.record_rejected(session, claimed, "no_answer", message, while_looking=True)
                _hold_refused(session, claimed, HoldReason.REJECTED, "no_answer", message)
                return Progress.HELD
            case OutcomeUnknown() if not looking:
                deliveries.record_unknown(session, claimed, services.quarantine_s, str(error))
            case NeedsReconnect():
                deliveries.record_try_later(session, claimed, timedelta(0), str(error))
            case _:
                told_s = error.retry_after_s if isinstance(error, TryLater) else None
                delay = retry_delay(FailureKind.TRY_LATER, claimed.attempt, told_s, services.quarantine_s)
                deliveries.record_try_later(session, claimed, delay, str(error))
    if isinstance(error, NeedsReconnect):
        connections.lost(services, company_id)
        return Progress.STOPPED
    return Progress.LATER


def _written_in_vain(session: Session, claimed: Claimed) -> int:
    """How many writes of a delivery were sent, and somebody lived to say that nothing came of them.

    An attempt whose process died is none of their silence: a machine that is killed again and again tires nobody.
    """
    sent = select(func.count()).where(CallRow.delivery_id == claimed.delivery_id, CallRow.method != "GET")
    return int(session.scalar(sent) or 0)


_MADE_BEFORE: Final[Mapping[str, tuple[str, ...]]] = {
    "book_invoice": ("create_invoice", "round_invoice", "credit_invoice", "date_credit_note"),
    "book_payment": ("create_payment",),
}
"""Steps that made what a step was to book."""


def _make_anew(session: Session, claimed: Claimed) -> None:
    """Somebody took away what was to be booked: once a person tries again, it is looked for, then made anew."""
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.document_id == claimed.document_id,
            DeliveryRow.seq < claimed.seq,
            DeliveryRow.state == DeliveryState.BOOKED.value,
            DeliveryRow.kind.in_(_MADE_BEFORE.get(claimed.step.kind, ())),
        )
        .values(state=DeliveryState.REJECTED.value, reference="", answer={}, needs_lookup=True)
        .execution_options(synchronize_session=False)
    )


def _broken(
    services: Services, company_id: int, run_id: int | None, claimed: Claimed, error: Exception, desk: Desk
) -> Progress:
    """A fault of our own: hold this document, so that it cannot keep all others from the books; look before a retry."""
    logging.getLogger(__name__).error("company %s, %s: delivery broken", company_id, claimed.key, exc_info=error)
    message = f"a fault of Kvitt's own: {type(error).__name__}"
    with services.db.company(company_id) as session:
        _save_calls(session, run_id, claimed, desk)
        deliveries.record_rejected(session, claimed, "fault", message, while_looking=True)
        _hold_refused(session, claimed, HoldReason.REJECTED, "fault", message)
    return Progress.HELD


def _hold_refused(session: Session, claimed: Claimed, reason: HoldReason, code: str, message: str) -> None:
    document = session.get_one(DocumentRow, claimed.document_id)
    facts = {"code": code, "message": message, "step": claimed.step.kind}
    hold(session, document, reason, facts, claimed.attempted_at)


def _reason(error: Rejected) -> HoldReason:
    try:
        return HoldReason(error.reason)
    except ValueError:
        return HoldReason.REJECTED


def _save_calls(session: Session, run_id: int | None, claimed: Claimed, desk: Desk) -> None:
    desk.log.save_in(session, run_id, claimed.delivery_id, claimed.key)


def _fitted(step: Step, known: Known, desk: Desk) -> Step:
    """The step as it must be now that the invoice is really there.

    A payment closes what was made: the system's own rounding becomes its write-off. A credit note must come to
    what was planned. Raises `Rejected` where the difference is no rounding: then somebody changed the invoice.
    """
    invoice = known.invoice
    match step:
        case CreatePayment() if step.invoice_key and invoice is not None:
            try:
                rest = write_off(invoice.total, step.settlement.amount)
            except ValueError as fault:
                raise Rejected("total", str(fault), HoldReason.TOUCHED.value) from fault
            # A person who booked the draft may have given it a later day.
            paid_on = max(step.settlement.paid_on, invoice.invoice_date)
            account = step.settlement.write_off_account
            if rest is not None and account is None:
                number = dict(desk.books.predefined).get(AccountRole.ROUNDING.value, "")
                if not number:
                    reason = HoldReason.ACCOUNT_NOT_READY.value
                    raise Rejected("rounding", "no account for rounding", reason)
                account = Account(AccountRole.ROUNDING, number)
            fitted = replace(step.settlement, paid_on=paid_on, write_off=rest, write_off_account=account)
            return replace(step, settlement=fitted)
        case BookInvoice() if step.credit_total is not None and invoice is not None:
            if invoice.total != step.credit_total:
                raise Rejected(
                    "total",
                    f"the credit note {invoice.number} comes to {invoice.total}, planned {step.credit_total}",
                    HoldReason.TOTAL_DIFFERS.value,
                )
            return step
        case _:
            return step
