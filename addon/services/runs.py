"""Runs: fetch, plan, post and prove, carried on in slices under the company's lease.

A slice does as much as fits into its time and leaves the rest in the run's row; whoever takes the next slice, in
this process or another, goes on from there. Nothing in memory matters.
"""

from __future__ import annotations

import logging
import math
import time as monotonic_time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.core.dates import booking_date
from addon.core.delivery import DeliveryState
from addon.core.documents import Document
from addon.core.holds import Hold, Wait
from addon.core.rules import LockedRule, Policy
from addon.core.saleform import Articles
from addon.log import bind_company
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, CallRecord, Lane, allow_writes_until
from addon.ports.errors import NeedsReconnect, PortError, Rejected, TryLater
from addon.ports.payments import PaymentSource
from addon.services import (
    articles,
    audit,
    backfill,
    booking,
    connections,
    customers,
    delivery,
    evidence,
    gauges,
    opening,
    prerequisites,
    previews,
    rates,
    reconciliation,
    redating,
    restored,
    undoing,
    watch,
)
from addon.services.calls import CallLog
from addon.services.context import Services
from addon.services.ingest import Fetch, ensure_opening, fetch_settled_balances, fetch_step
from addon.services.policy import load_policy
from addon.services.settings import get_connection, plan_next_run, read_company
from addon.services.statements import Asked
from addon.services.tally import Counter
from addon.store import leases, progress
from addon.store.models import (
    AccountingConnection,
    Company,
    Connection,
    DocumentRow,
    RunRow,
)

PHASES = ("fetch", "books", "plan", "deliver", "audit", "prove", "evidence")
"""Fetch comes first: what it brings, a currency never seen before, say, is then checked for before it is planned.

A run that only looks (`previews.LOOKING`) goes from the books to the phase `look` and ends there.
"""
SPECIAL = previews.LOOKING | {undoing.TRIGGER}
"""Triggers of runs that are asked for by themselves: whoever wants the ordinary run does not join one of these."""
NIGHTLY = ("clock", "evidence")
"""Runs that attach evidence: the clock's, and those that a person starts for it."""
WRITES = ("POST", "PUT", "DELETE", "PATCH")
MOST_ROUNDS = 12
"""Plan and deliver alternate until nothing new comes up; a refund of a refunded sale needs a few rounds."""
PATIENCE_S = 1800.0
"""How long `run_to_end` waits, at most, for a delivery that may not be tried yet."""
PLANNING_S = 0.01
"""How long one movement may take to plan, on a machine eight times slower than ours."""
LONGEST_PLAN_S = 540.0
"""A job of the queue ends after ten minutes."""
LONGEST_WAIT_S = 1800.0
"""How long a run waits, at most, for deliveries that cannot be tried or get no answer. Then it proves what is there
and ends; they are the next run's, which fetches what is new besides."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as people see it.

    `counts`: fetched, planned, to_deliver, delivered, booked, waiting, held, writes, calls.
    """

    id: int
    state: str
    phase: str
    trigger: str
    counts: Mapping[str, int]
    now_doing: str
    message: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class SliceResult:
    """How a slice ended. `more`: take another, not before `retry_in_s`. `run_id` None: there was nothing to do."""

    more: bool
    retry_in_s: float
    run_id: int | None
    busy: bool = False
    """Somebody else holds the company's lease."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would write, without having written anything."""

    documents: tuple[Document, ...]
    holds: tuple[Hold, ...]
    waits: tuple[Wait, ...]
    run_id: int = 0
    """The run that looked; it keeps rows and totals."""


class CompanyNotReady(Exception):
    """The company cannot be run: `reason` is its stop reason, or says what is missing in books of this `system`."""

    def __init__(self, reason: str, system: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.system = system


class Interrupted(Exception):
    """The slice's lease was lost; somebody else goes on."""


# --- Wanting a run ----------------------------------------------------------------------------------------------


def want(services: Services, company_id: int, trigger: str, connection_id: int | None = None) -> int:
    """Ask for a run and nudge the queue; gives the run that will do it. The row is the truth, the nudge may be lost."""
    with services.db.company(company_id) as session:
        run = _open_run(session, writing=True)
        if run is None:
            run = _new_run(session, trigger, connection_id, services.now())
        leases.want(session, company_id, trigger)
        run_id = run.id
    services.nudge(company_id)
    return run_id


def want_special(
    services: Services,
    company_id: int,
    trigger: str,
    connection_id: int | None = None,
    phase: str = PHASES[0],
    nudge: bool = True,
    asked: Mapping[str, Any] | None = None,
) -> int:
    """Ask for a run of its own: one that looks, or that does something else than what is due; gives the run.

    `asked` is kept in the run's cursor. One that was asked for with the same words and still runs is joined.
    Raises `UnknownConnection`.
    """
    words = dict(asked or {})
    with services.db.company(company_id) as session:
        if connection_id is not None:
            get_connection(session, connection_id)
        for open_run in session.scalars(select(RunRow).where(RunRow.state == "running", RunRow.trigger == trigger)):
            same = open_run.connection_id == connection_id
            if same and all(open_run.cursor.get(name) == value for name, value in words.items()):
                return open_run.id
        run = _new_run(session, trigger, connection_id, services.now(), phase, words)
        leases.want(session, company_id, trigger)
        run_id = run.id
    if nudge:
        services.nudge(company_id)
    return run_id


def _open_run(session: Session, *, writing: bool = False) -> RunRow | None:
    """The run whose turn it is; of those that book what is due where `writing`."""
    query = select(RunRow).where(RunRow.state == "running").order_by(RunRow.id).limit(1)
    if writing:
        query = query.where(RunRow.trigger.not_in(SPECIAL))
    return session.scalars(query).first()


def _new_run(
    session: Session,
    trigger: str,
    connection_id: int | None,
    now: datetime,
    phase: str = PHASES[0],
    asked: Mapping[str, Any] | None = None,
) -> RunRow:
    run = RunRow(
        trigger=trigger,
        connection_id=connection_id,
        state="running",
        phase=phase,
        cursor={"booked_before": _booked(session), **(asked or {})},
        counts={},
        started_at=now,
    )
    session.add(run)
    session.flush()
    return run


def _booked(session: Session) -> int:
    query = select(func.count()).select_from(DocumentRow).where(DocumentRow.state == DeliveryState.BOOKED.value)
    return int(session.scalar(query) or 0)


def view(services: Services, company_id: int, run_id: int) -> RunView:
    """A run as it stands. Raises `NoResultFound` for a run that the company does not have."""
    with services.db.company_reading(company_id) as session:
        return _view(session.scalars(select(RunRow).where(RunRow.id == run_id)).one())


def cursor_of(services: Services, company_id: int, run_id: int) -> Mapping[str, Any]:
    """What a run was asked for and how far it is. Raises `NotSeen` for a run that the company does not have."""
    with services.db.company_reading(company_id) as session:
        found = session.scalars(select(RunRow.cursor).where(RunRow.id == run_id)).one_or_none()
    if found is None:
        raise previews.NotSeen(f"the company has no run {run_id}")
    return dict(found)


def _view(run: RunRow) -> RunView:
    return RunView(
        run.id,
        run.state,
        run.phase,
        run.trigger,
        dict(run.counts),
        run.now_doing,
        run.message,
        run.started_at,
        run.finished_at,
    )


# --- A slice ----------------------------------------------------------------------------------------------------


class _Beating(CallLog):
    """The log of what a slice itself asks: each answer shows that it is at work.

    Lists may take longer to read than the lease lasts, and what cannot be read under one lease would be read for ever.
    """

    def __init__(self, beat: Callable[[], None]) -> None:
        super().__init__()
        self._beat = beat

    def record(self, call: CallRecord) -> None:
        """Take note of one call, and hold the lease on. Raises `Interrupted` where it has run out."""
        super().record(call)
        self._beat()


@dataclass(slots=True)
class _Slice:
    """One slice at work: what it is given, and its deadline."""

    services: Services
    company_id: int
    run_id: int
    started_at: datetime
    """When the run began, of which this may be a later slice."""
    phase: str
    """The phase that the run is in as the slice begins."""
    lane: Lane
    deadline: float
    holder: str
    log: CallLog = field(init=False)
    noticed: bool = False
    """Whether this slice has looked if the rows have gone back behind the books."""
    _held_at: float = math.inf
    _systems: Callable[[CallObserver], AccountingSystem] | None = None

    def __post_init__(self) -> None:
        self.log = _Beating(self.beat)

    def enough(self) -> bool:
        return self.services.stopping() or monotonic_time.monotonic() >= self.deadline

    def hold_on(self, note: Callable[[Session], None] | None = None) -> None:
        """Hold the company's lease from now on, and write under it. Raises `Interrupted` where it has run out.

        note: what is stored with it; nothing, where the lease has run out.
        """
        begun = monotonic_time.monotonic()
        with self.services.db.company(self.company_id) as session:
            self.still_ours(session)
            if note is not None:
                note(session)
        self._held_at = begun
        allow_writes_until(begun + self.services.lease_s * (delivery.CALL_SHARE - 1) / delivery.CALL_SHARE)

    def hold_on_to_plan(self, movements: int) -> None:
        """Hold the lease for as long as planning so many movements may take. Raises `Interrupted`.

        What waits or is held is planned in one go: a plan that outlived its lease would be made again for ever.
        """
        lease_s = max(self.services.lease_s, min(movements * PLANNING_S, LONGEST_PLAN_S))
        begun = monotonic_time.monotonic()
        with self.services.db.company(self.company_id) as session:
            if not leases.renew(session, self.company_id, self.holder, lease_s):
                raise Interrupted(self.holder)
        self._held_at = begun

    def beat(self) -> None:
        """Hold on if a good part of the lease is over. Raises `Interrupted` where all of it is."""
        if monotonic_time.monotonic() > self._held_at + self.services.lease_s / delivery.CALL_SHARE:
            self.hold_on()

    def still_ours(self, session: Session) -> None:
        """Hold the lease through the end of a transaction. Raises `Interrupted` where it has run out.

        Whoever would take over waits for the commit and then finds the lease held: no plan is stored under another's.
        """
        if not leases.renew(session, self.company_id, self.holder, self.services.lease_s):
            raise Interrupted(self.holder)

    def system(self, log: CallLog | None = None) -> AccountingSystem:
        """The company's books; what they are reached by is read once in a slice."""
        if self._systems is None:
            self._systems = connections.accounting_systems(self.services, self.company_id, self.lane)
        return self._systems(log if log is not None else self.log)

    def source(self, connection_id: int) -> PaymentSource:
        return connections.payment_source(self.services, self.company_id, connection_id, self.log)


_BY_PERSON = frozenset({"click", "cli", undoing.TRIGGER}) | previews.LOOKING


def run_slice(services: Services, company_id: int, trigger: str = "sweep") -> SliceResult:
    """Take one slice of a company's work: at most `slice_s` seconds, and a third of the lease.

    Starts a run if one is wanted or due, or if `trigger` is a person's; goes on with one that is open.
    """
    holder = f"{services.holder}/{uuid4().hex[:12]}"
    with services.db.company(company_id) as session:
        if not leases.take(session, company_id, holder, services.lease_s):
            return SliceResult(more=True, retry_in_s=1.0, run_id=None, busy=True)
    outcome, interrupted = "broken", False
    try:
        result = _sliced(services, company_id, holder, trigger)
        outcome, interrupted = "more" if result.more else "ended", result.busy
        return result
    finally:
        allow_writes_until(None)
        services.tally.count(Counter.SLICES, outcome=outcome)
        with services.db.company(company_id) as session:
            gauges.note(session)
            released = leases.release(session, company_id, holder)
            if interrupted and released.was_held:
                # Its time ran out and nobody took over: given back without a wish, the run would lie until tomorrow.
                leases.want(session, company_id, "slice")
        services.tally.write_quietly(services.db)
        if released.wanted_again:
            services.nudge(company_id)


def _sliced(services: Services, company_id: int, holder: str, trigger: str) -> SliceResult:
    with services.db.company(company_id) as session:
        run = _open_run(session) or _new_run(session, trigger, None, services.now())
    lane = Lane.CLICK if run.trigger in _BY_PERSON else Lane.BULK
    deadline = monotonic_time.monotonic() + min(services.slice_s, services.lease_s / 3)
    work = _Slice(services, company_id, run.id, run.started_at, run.phase, lane, deadline, holder)
    with bind_company(company_id, run=run.id):
        return _carried_on(work)


def _carried_on(work: _Slice) -> SliceResult:
    """The slice itself, and what becomes of each way in which it may fail."""
    services, company_id, run_id = work.services, work.company_id, work.run_id
    try:
        return _phases(work)
    except Interrupted:
        return SliceResult(more=True, retry_in_s=1.0, run_id=run_id, busy=True)
    except CompanyNotReady as stop:
        return _finish(work, "failed", stop.reason)
    except NeedsReconnect:
        connections.lost(services, company_id)
        return _finish(work, "failed", "reconnect")
    except Rejected as error:
        return _finish(work, "failed", f"refused: {error.message}")
    except TryLater as error:
        return _later(work, float(error.retry_after_s or 10), str(error))
    except PortError as error:
        return _later(work, 30.0, str(error))
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        # The database is away, full or busy: as if the process had died, what is in the rows is gone on with.
        logging.getLogger(__name__).warning("the database takes no more: %s", type(error).__name__)
        raise
    except SQLAlchemyError as error:
        if _taken_over(work):
            return SliceResult(more=True, retry_in_s=1.0, run_id=run_id, busy=True)
        # Perhaps somebody was at the same row, which the next try will see. But a value that the database refuses
        # it refuses for ever, and such a run must end.
        logging.getLogger(__name__).error("company %s, run %s: refused", company_id, run_id, exc_info=error)
        return _later(work, 30.0, f"a fault of Kvitt's own: {type(error).__name__}")
    except Exception as error:
        if _taken_over(work):
            return SliceResult(more=True, retry_in_s=1.0, run_id=run_id, busy=True)
        # A run that cannot go on must end, or it would keep every later one from the company's books.
        logging.getLogger(__name__).error("company %s, run %s: broken", company_id, run_id, exc_info=error)
        return _finish(work, "failed", f"a fault of Kvitt's own: {type(error).__name__}")
    finally:
        work.log.save(services, company_id, run_id)
        _count(services, company_id, run_id)


def _taken_over(work: _Slice) -> bool:
    """Whether the lease ran out under a slice that took too long: then what it met is what its successor did."""
    try:
        work.hold_on()
    except Interrupted:
        return True
    return False


def _later(work: _Slice, retry_in_s: float, message: str) -> SliceResult:
    """The outside cannot answer now. Give up for this run after a few tries; the next due run goes on."""
    with work.services.db.company(work.company_id) as session:
        run = session.get_one(RunRow, work.run_id)
        tries = int(run.cursor.get("tries", 0)) + 1
        run.cursor = {**run.cursor, "tries": tries}
        run.message = message
    if tries > 8:
        return _finish(work, "failed", message)
    return SliceResult(more=True, retry_in_s=retry_in_s, run_id=work.run_id)


def _phases(work: _Slice) -> SliceResult:
    """Go through the phases from the one the run is in, until the slice's time is over or the run is done."""
    handlers: dict[str, Callable[[_Slice], SliceResult | str]] = {
        "books": _books,
        "fetch": _fetch,
        "plan": _plan,
        "deliver": _deliver,
        "audit": _audit,
        "prove": _prove,
        "look": _look,
        "stage": _stage,
        "evidence": _evidence,
        "undo": _undo,
    }
    phase = work.phase
    work.hold_on()
    while True:
        outcome = handlers[phase](work)
        if isinstance(outcome, SliceResult):
            return outcome
        phase = outcome
        work.hold_on(partial(_begin, work, phase))
        if phase == "done":
            return _finish(work, "done", "")
        if work.enough():
            return SliceResult(more=True, retry_in_s=0.0, run_id=work.run_id)


def _begin(work: _Slice, phase: str, session: Session) -> None:
    run = session.get_one(RunRow, work.run_id)
    run.phase, run.now_doing = phase, ""
    run.cursor = {**run.cursor, "tries": 0}
    work.log.save_in(session, work.run_id)
    _count_in(session, run)


def _more(work: _Slice) -> SliceResult:
    return SliceResult(more=True, retry_in_s=0.0, run_id=work.run_id)


def _books(work: _Slice) -> SliceResult | str:
    """Read and check the books; a company that a prerequisite stops is not run."""
    system = work.system()
    prerequisites.check(work.services, work.company_id, system)
    with work.services.db.company_reading(work.company_id) as session:
        company = session.get_one(Company, work.company_id)
        trigger = session.get_one(RunRow, work.run_id).trigger
        looks = trigger in previews.LOOKING
        if company.state != "active" and not looks:
            raise CompanyNotReady(company.stop_reason or company.state, company.accounting)
        if not _running(session, work.run_id):
            raise CompanyNotReady("no_connection")
    if trigger in (undoing.TRIGGER, undoing.LOOK):
        return "undo"
    customers.refresh(work.services, work.company_id, system)
    work.hold_on()
    if not rates.read_missing(work.services, work.company_id, work.run_id):
        _tell(work, "rates_away")
    if not looks:
        _look_at_people(work, system)
    return "look" if looks else "plan"


def _undo(work: _Slice) -> SliceResult | str:
    """Plan what takes a run back, and keep it or let it go."""
    with work.services.db.company_reading(work.company_id) as session:
        run = session.get_one(RunRow, work.run_id)
        who, looks = str(run.cursor.get("who", "")), run.trigger == undoing.LOOK
        policies = {
            row.id: _policy_loader(work.services, work.company_id, row.id)(session)
            for row in session.scalars(select(Connection).where(Connection.mode != ""))
            if row.start_date is not None
        }
    desk = undoing.Desk(work.system(), policies, who)
    work.hold_on()
    done = undoing.plan_slice(
        work.services, work.company_id, work.run_id, desk, work.enough, lambda text: _note(work, f"Looking at {text}")
    )
    if not done:
        return _more(work)
    if not looks:
        return "deliver"
    with work.services.db.company_reading(work.company_id) as session:
        identity = _books_in(session).identity
    undoing.finish_look(work.services, work.company_id, work.run_id, identity.currency, identity.country)
    return "done"


def _stage(work: _Slice) -> SliceResult | str:
    """Fetch an earlier year beside what is booked from, to be looked at."""
    year = int(_cursor(work)["year"])
    for stretch in backfill.stretches(work.services, work.company_id, year):
        work.hold_on()
        _note(work, f"Fetching {year} from {stretch.provider}")
        source = work.source(stretch.connection_id)
        if not backfill.stage(work.services, work.company_id, work.run_id, stretch, source, work.enough):
            return _more(work)
    return "books"


def _earlier_books(work: _Slice, system: AccountingSystem) -> previews.Prepare | None:
    """What a look at an earlier year is made from; None for any other look."""
    cursor = _cursor(work)
    with work.services.db.company_reading(work.company_id) as session:
        if session.get_one(RunRow, work.run_id).trigger != backfill.LOOK:
            return None
        zone = read_company(session).time_zone
    found = backfill.stretches(work.services, work.company_id, int(cursor["year"]))
    now = work.services.now()
    books = system.fetch_books(min(one.first_day for one in found), booking_date(now, zone))
    return backfill.preparing(work.company_id, work.run_id, found, books, now)


def _look_at_people(work: _Slice, system: AccountingSystem) -> None:
    """Read what rows of invoices may name, and see what people have booked that waited for them."""
    with work.services.db.company_reading(work.company_id) as session:
        config = read_company(session)
        books = _books_in(session)
    if config.form.articles is not Articles.FREE_TEXT:
        articles.refresh(work.services, work.company_id, system)
    desk = delivery.Desk(system, books, config.voucher_series, work.log)
    watch.look(work.services, work.company_id, work.run_id, desk)


def _look(work: _Slice) -> SliceResult | str:
    """Foresee what a run would write, and keep it; nothing leaves for the books."""
    ids = _connection_ids(work)
    system = work.system()
    loaders = {one: _policy_loader(work.services, work.company_id, one) for one in ids}
    for connection_id in ids:
        done = False
        while not done:
            _note(work, "Looking for invoices")
            done = previews.search(
                work.services, work.company_id, work.run_id, connection_id, loaders[connection_id], system, work.enough
            )
            if not done and work.enough():
                return _more(work)
    if work.enough():
        return _more(work)
    prepare = _earlier_books(work, system)
    _note(work, "Deciding what would be booked")
    work.hold_on()
    # It asks nobody outside, so it may have a whole slice for itself, whatever is left of this one.
    ends = monotonic_time.monotonic() + work.services.slice_s
    seen = previews.foresee(
        work.services, work.company_id, work.run_id, ids, loaders, lambda: monotonic_time.monotonic() >= ends, prepare
    )
    work.hold_on()
    _keep_looked(work, seen)
    return "done"


def _keep_looked(work: _Slice, seen: previews.Foreseen) -> None:
    with work.services.db.company_reading(work.company_id) as session:
        identity = _books_in(session).identity
    previews.keep(work.services, work.company_id, work.run_id, seen, identity.currency, identity.country)


def _tell(work: _Slice, message: str) -> None:
    """Say on the run's page what did not go as it should, though the run goes on."""
    with work.services.db.company(work.company_id) as session:
        session.get_one(RunRow, work.run_id).message = message


def _running(session: Session, run_id: int) -> list[Connection]:
    """The connections that this run is about: connected, with mode and start date chosen."""
    run = session.get_one(RunRow, run_id)
    query = (
        select(Connection)
        .where(Connection.state == "connected", Connection.mode != "", Connection.start_date.is_not(None))
        .order_by(Connection.id)
    )
    if run.connection_id is not None:
        query = query.where(Connection.id == run.connection_id)
    return list(session.scalars(query))


def _connection_ids(work: _Slice) -> list[int]:
    return _cursor_and_connections(work)[1]


def _cursor_and_connections(work: _Slice) -> tuple[dict[str, Any], list[int]]:
    """How far the run is, and the connections that it is about."""
    with work.services.db.company_reading(work.company_id) as session:
        found = [connection.id for connection in _running(session, work.run_id)]
        return dict(session.get_one(RunRow, work.run_id).cursor), found


def _cursor(work: _Slice) -> dict[str, Any]:
    with work.services.db.company_reading(work.company_id) as session:
        return dict(session.get_one(RunRow, work.run_id).cursor)


def _note(work: _Slice, now_doing: str = "", counts: Mapping[str, int] | None = None, **cursor: Any) -> None:
    """Note on the run what it does and how far it is."""
    with work.services.db.company(work.company_id) as session:
        _noted(work, now_doing, counts, cursor, session)


def _go_on(work: _Slice, now_doing: str = "", counts: Mapping[str, int] | None = None, **cursor: Any) -> None:
    """The same, and hold the lease from now on: whoever has lost it must not say how far its successor is."""
    work.hold_on(partial(_noted, work, now_doing, counts, cursor))


def _noted(
    work: _Slice, now_doing: str, counts: Mapping[str, int] | None, cursor: Mapping[str, Any], session: Session
) -> None:
    run = session.get_one(RunRow, work.run_id)
    if counts:
        run.counts = {**run.counts, **counts}
    if cursor:
        run.cursor = {**run.cursor, **cursor}
    if now_doing:
        run.now_doing = now_doing[:200]


def _fetch(work: _Slice) -> SliceResult | str:
    cursor, connection_ids = _cursor_and_connections(work)
    done = dict(cursor.get("fetch", {}))
    for connection_id in connection_ids:
        state = Fetch.from_json(done.get(str(connection_id), {}))
        if state.stage == "done":
            continue
        booking.forget_before_start(work.services, work.company_id, connection_id)
        try:
            source = work.source(connection_id)
            _go_on(work, _fetching(state, source))
            while state.stage != "done":
                state = fetch_step(work.services, work.company_id, connection_id, source, state)
                if state.stage == "done":
                    late = ensure_opening(work.services, work.company_id, connection_id, source)
                    state = replace(state, fetched=state.fetched + late)
                done[str(connection_id)] = state.to_json()
                fetched = sum(int(entry.get("fetched", 0)) for entry in done.values())
                _go_on(work, _fetching(state, source), {"fetched": fetched}, fetch=done)
                if work.enough():
                    return _more(work)
        except NeedsReconnect:
            # One provider's consent is gone: say so, and go on with the others and with what is fetched.
            connections.lost(work.services, work.company_id, connection_id)
    return "books"


def _fetching(state: Fetch, source: PaymentSource) -> str:
    return f"Fetching {state.stage} from {source.capabilities.name}" if state.stage != "done" else ""


def _policy_loader(services: Services, company_id: int, connection_id: int) -> Callable[[Session], Policy]:
    def load(session: Session) -> Policy:
        books = _books_in(session)
        return load_policy(
            services,
            session,
            session.get_one(Company, company_id),
            session.get_one(Connection, connection_id),
            books,
        )

    return load


def _books_in(session: Session) -> Books:
    books = connections.load_books(session)
    if books is None:
        raise CompanyNotReady("books_unread")
    return books


def _plan(work: _Slice) -> SliceResult | str:
    """Plan each connection until a pass brings nothing new."""
    cursor, connection_ids = _cursor_and_connections(work)
    planned = int(cursor.get("planned", 0))
    settled = set(cursor.get("settled", ()))
    system = work.system()
    for connection_id in connection_ids:
        if connection_id in settled:
            continue
        if not cursor.get("rounds"):
            opening.propose(
                work.services,
                work.company_id,
                connection_id,
                _policy_loader(work.services, work.company_id, connection_id),
            )
        _go_on(work, "Planning")
        more = True
        while more:
            result = booking.plan_pass(
                work.services,
                work.company_id,
                connection_id,
                work.run_id,
                _policy_loader(work.services, work.company_id, connection_id),
                system,
                work.enough,
                work.started_at,
                work.still_ours,
                work.hold_on_to_plan,
            )
            planned += result.documents
            more = result.more
            if not more:
                settled.add(connection_id)
            _go_on(work, counts={"planned": planned}, planned=planned, settled=sorted(settled))
            if work.enough() and more:
                return _more(work)
    return "deliver"


class _Told:
    """Tells the run's row what is being booked, at most once a second: people watch a bar that moves."""

    def __init__(self, work: _Slice) -> None:
        self._work = work
        self._next_at = 0.0

    def __call__(self, document_id: int) -> None:
        """Note which document begins now, and bring the counts up to date."""
        if monotonic_time.monotonic() < self._next_at:
            return
        self._next_at = monotonic_time.monotonic() + 1.0
        work = self._work
        with work.services.db.company(work.company_id) as session:
            run = session.get_one(RunRow, work.run_id)
            _count_in(session, run)
            done, left = int(run.counts.get("delivered", 0)), int(run.counts.get("to_deliver", 0))
            words = progress.in_words(session, document_id)
            run.now_doing = f"Booking {done + 1} of {done + left}: {words}"[:200]


def _deliver(work: _Slice) -> SliceResult | str:
    """Deliver what is ready; plan again if that may have let something else go."""
    with work.services.db.company_reading(work.company_id) as session:
        cursor = dict(session.get_one(RunRow, work.run_id).cursor)
        books, config = _books_in(session), read_company(session)
    if not work.noticed:
        _notice(work, books, config.voucher_series)
    with work.services.db.company_reading(work.company_id) as session:
        look_first = session.scalars(select(AccountingConnection)).one().lookups_first_until
    if config.locked_rule is LockedRule.NEXT_OPEN_DAY:
        redating.move_to_open_days(work.services, work.company_id, books.locked_through)

    def desk_for(log: CallLog) -> delivery.Desk:
        return delivery.Desk(work.system(log), books, config.voucher_series, log, look_first)

    result = delivery.deliver(
        work.services,
        work.company_id,
        work.run_id,
        desk_for,
        work.enough,
        _Told(work),
    )
    delivered = int(cursor.get("delivered", 0)) + result.booked
    this_round = int(cursor.get("this_round", 0)) + result.booked
    with work.services.db.company(work.company_id) as session:
        _noted(work, "", None, {"delivered": delivered, "this_round": this_round}, session)
        _count_in(session, session.get_one(RunRow, work.run_id))
    if result.stopped:
        raise NeedsReconnect("the accounting system must be connected again")
    if result.left:
        return _more(work)
    wait_s = _wait_s(work, result.retry_at)
    if wait_s is not None:
        return SliceResult(more=True, retry_in_s=wait_s, run_id=work.run_id)
    rounds = int(cursor.get("rounds", 0)) + 1
    _note(work, rounds=rounds, this_round=0, settled=[])
    if this_round and rounds < MOST_ROUNDS and not _takes_back(work):
        return "plan"
    return "audit"


def _notice(work: _Slice, books: Books, series: str) -> None:
    """Look whether the rows have gone back behind the books: in each slice, as between two it may have happened."""
    now, before = work.services.now(), _cursor(work).get("noticed_at")
    noticed_at = datetime.fromisoformat(before) if before else None
    begun = monotonic_time.monotonic()
    if restored.notice(work.services, work.company_id, work.system(), books, series, noticed_at):
        work.noticed = True
        _note(work, noticed_at=now.isoformat())
        work.hold_on()
        # Lists that tell of no changes may take a whole slice to read, and nothing would ever be delivered after them.
        work.deadline += monotonic_time.monotonic() - begun


def _takes_back(work: _Slice) -> bool:
    """Whether this run undoes another one: it plans nothing new."""
    with work.services.db.company_reading(work.company_id) as session:
        return session.get_one(RunRow, work.run_id).trigger == undoing.TRIGGER


def _wait_s(work: _Slice, retry_at: datetime | None) -> float | None:
    """How long until a delivery that must wait may be tried; None if none waits, or the run has waited enough."""
    if retry_at is None:
        return None
    with work.services.db.company(work.company_id) as session:
        now = work.services.db.now(session)
        run = session.get_one(RunRow, work.run_id)
        since = run.cursor.get("waits_since")
        if since is None:
            run.cursor = {**run.cursor, "waits_since": now.isoformat()}
        elif now - datetime.fromisoformat(since) > timedelta(seconds=LONGEST_WAIT_S):
            run.message = "writes_wait"
            return None
    return max(0.2, (retry_at - now).total_seconds())


def _audit(work: _Slice) -> SliceResult | str:
    """Compare the books with our rows, where this run wrote something or the nightly audit is due."""
    with work.services.db.company_reading(work.company_id) as session:
        run = session.get_one(RunRow, work.run_id)
        wrote = int(run.cursor.get("delivered", 0)) > 0
        row = session.scalars(select(AccountingConnection)).one()
        whole = audit.due(row.audited_at, work.services.now())
        prefixes = tuple(sorted({f"{connection.provider}/" for connection in session.scalars(select(Connection))}))
    if not (wrote or whole):
        return "prove"
    _note(work, "Comparing the books with what was sent")
    with work.services.db.company_reading(work.company_id) as session:
        config = read_company(session)
        auditor = audit.Auditor(
            work.services,
            work.company_id,
            work.run_id,
            work.system(),
            _books_in(session),
            config.voucher_series,
            config.approve_automatically,
            None if whole else audit.last_audited_at(session),
            lambda reading, one: _policy_loader(work.services, work.company_id, one)(reading),
            work.hold_on,
        )
    audited = auditor.audit(prefixes)
    if audited.corrections and auditor.approve:
        return "deliver"
    return "prove"


def _prove(work: _Slice) -> SliceResult | str:
    cursor, connection_ids = _cursor_and_connections(work)
    proved = set(cursor.get("proved", ()))
    for connection_id in connection_ids:
        if connection_id in proved:
            continue
        _go_on(work, "Proving that books and provider agree")
        prove_connection(work, connection_id)
        proved.add(connection_id)
        _go_on(work, proved=sorted(proved))
        if work.enough() and not proved.issuperset(connection_ids):
            return _more(work)
    return "evidence"


def _evidence(work: _Slice) -> SliceResult | str:
    """Attach the provider's records to vouchers, in the runs of the night: nobody waits for them.

    Their calls stand in the log of calls apart from the run's, whose budget is that of bookkeeping.
    """
    with work.services.db.company_reading(work.company_id) as session:
        if session.get_one(RunRow, work.run_id).trigger not in NIGHTLY:
            return "done"
    log = CallLog()
    try:
        result = evidence.attach(work.services, work.company_id, work.system(log), work.enough)
    finally:
        log.save(work.services, work.company_id)
    return _more(work) if result.left else "done"


def prove_connection(work: _Slice, connection_id: int) -> tuple[reconciliation.Identity, ...]:
    """Prove one connection; none if its balance would not keep still for three tries, or cannot be asked for."""
    with work.services.db.company_reading(work.company_id) as session:
        policy = _policy_loader(work.services, work.company_id, connection_id)(session)
    try:
        source = work.source(connection_id)
        balances = fetch_settled_balances(work.services, work.company_id, connection_id, source)
    except NeedsReconnect:
        connections.lost(work.services, work.company_id, connection_id)
        return ()
    if balances is None:
        with work.services.db.company(work.company_id) as session:
            session.get_one(RunRow, work.run_id).message = "balance_moving"
        return ()
    return reconciliation.prove_connection(
        work.services, work.company_id, connection_id, work.run_id, policy, balances, work.system()
    )


def _finish(work: _Slice, state: str, message: str) -> SliceResult:
    now = work.services.now()
    with work.services.db.company(work.company_id) as session:
        run = session.get_one(RunRow, work.run_id)
        run.state, run.finished_at, run.now_doing = state, now, ""
        run.message = message or run.message
        plan_next_run(session, session.get_one(Company, work.company_id), now)
        session.flush()
        another = _open_run(session) is not None
        trigger = run.trigger
    work.services.tally.count(Counter.RUNS, trigger=trigger, state=state)
    return SliceResult(more=another, retry_in_s=0.0, run_id=work.run_id)


# --- Counting ---------------------------------------------------------------------------------------------------


def _count(services: Services, company_id: int, run_id: int) -> None:
    """Bring a run's counts up to date from the rows."""
    with services.db.company(company_id) as session:
        _count_in(session, session.get_one(RunRow, run_id))


def _count_in(session: Session, run: RunRow) -> None:
    """The same in a session that has the run's row."""
    counted = progress.count(session, run.id)
    booked = counted.booked - int(run.cursor.get("booked_before", 0))
    if run.trigger in previews.LOOKING:
        # What it saw is its count; it books nothing, whatever others do meanwhile.
        run.counts = {**run.counts, "writes": counted.writes, "calls": counted.calls}
        return
    run.counts = {
        "fetched": 0,
        "planned": 0,
        **run.counts,
        "to_deliver": counted.to_deliver,
        "delivered": booked,
        "booked": booked,
        "waiting": counted.waiting,
        "held": counted.held,
        "writes": counted.writes,
        "calls": counted.calls,
    }


# --- Inline use -------------------------------------------------------------------------------------------------


def run_to_end(
    services: Services,
    company_id: int,
    progress: Callable[[RunView], None] | None = None,
    connection_id: int | None = None,
    trigger: str = "cli",
    patience_s: float = PATIENCE_S,
    run_id: int | None = None,
) -> RunView:
    """Run a company in this process, slice after slice, until its run, or the one given, is over or patience is."""
    with services.db.company(company_id) as session:
        if run_id is None:
            run = _open_run(session, writing=True) or _new_run(session, trigger, connection_id, services.now())
            run_id = run.id
        leases.want(session, company_id, trigger)
    give_up = monotonic_time.monotonic() + patience_s
    while True:
        result = run_slice(services, company_id, trigger)
        current = view(services, company_id, run_id)
        if progress is not None:
            progress(current)
        if current.state != "running":
            return current
        if monotonic_time.monotonic() + result.retry_in_s > give_up:
            return current
        if result.retry_in_s:
            monotonic_time.sleep(min(result.retry_in_s, 30.0))


def preview(
    services: Services,
    company_id: int,
    connection_id: int | None = None,
    since: date | None = None,
    until: date | None = None,
    progress: Callable[[RunView], None] | None = None,
) -> Preview:
    """Look in this process: exactly what a run would write, as far as it can be known before it is written.

    What is proposed and waits for approval is part of it. Raises `CompanyNotReady` where it could not look.
    """
    run_id = want_special(services, company_id, previews.TRIGGER, connection_id, nudge=False)
    ended = run_to_end(services, company_id, progress, run_id=run_id)
    if ended.state != "done":
        system = prerequisites.system_of(services, company_id)
        raise CompanyNotReady(ended.message or "the look is not finished", system)
    seen = previews.everything(services, company_id, run_id, previews.Asked(since=since, until=until))
    documents = tuple(one.document for one in seen.documents)
    return Preview(documents, tuple(seen.holds), tuple(seen.waits), run_id)


def want_undo(services: Services, company_id: int, run_id: int, who: str, *, looks: bool, nudge: bool = True) -> int:
    """Ask for a run to be undone, or for a look at what that would write; gives the run that does it.

    Raises `NothingToUndo` for a run that is not there.
    """
    undoing.undoable(services, company_id, run_id)
    trigger = undoing.LOOK if looks else undoing.TRIGGER
    made = want_special(services, company_id, trigger, phase="books", nudge=nudge, asked={"undo": run_id, "who": who})
    if not looks:
        undoing.log(services, company_id, run_id, who)
    return made


def want_backfill(services: Services, company_id: int, year: int, who: str, *, looks: bool, nudge: bool = True) -> int:
    """Ask for an earlier year to be brought in, or for a look at what that would write; gives the run that does it.

    Raises `CannotGoBack`.
    """
    if looks:
        backfill.stretches(services, company_id, year)
        asked = {"year": year, "who": who}
        return want_special(services, company_id, backfill.LOOK, phase="stage", nudge=nudge, asked=asked)
    backfill.begin(services, company_id, year, who)
    return want_special(services, company_id, backfill.TRIGGER, nudge=nudge, asked={"year": year, "who": who})


def prove(
    services: Services,
    company_id: int,
    run_id: int | None = None,
    connection_id: int | None = None,
    asked: Sequence[Asked] = (),
) -> tuple[reconciliation.Identity, ...]:
    """Prove all connections of a company now, or one, and make the statements that are `asked` for on the way.

    Raises `CompanyNotReady`, and the errors of `addon.ports.errors`.
    """
    log = CallLog()
    proved: list[reconciliation.Identity] = []
    system = connections.accounting_system(services, company_id, log, Lane.CLICK)
    try:
        with services.db.company_reading(company_id) as session:
            ids = [
                row.id
                for row in session.scalars(select(Connection).where(Connection.state == "connected"))
                if row.mode and row.start_date and connection_id in (None, row.id)
            ]
        for one in ids:
            with services.db.company_reading(company_id) as session:
                policy = _policy_loader(services, company_id, one)(session)
            source = connections.payment_source(services, company_id, one, log)
            booking.forget_before_start(services, company_id, one)
            balances = fetch_settled_balances(services, company_id, one, source)
            if balances is None:
                raise TryLater("the provider's balance is moving; try again in a moment")
            proved += reconciliation.prove_connection(
                services, company_id, one, run_id, policy, balances, system, asked
            )
    finally:
        log.save(services, company_id)
    return tuple(proved)
