"""What must hold when the dust has settled, asked of the world's ledger first and of our rows second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from addon.sandbox.economic.books import BooksBroken as EconomicBroken
from addon.sandbox.fortnox.books import BooksBroken
from addon.store.models import CallRow, Company, Connection, DeliveryRow, DocumentRow, MovementRow, PartRow, RunRow
from tests.storm.stands import Stand


@dataclass(frozen=True, slots=True)
class Figures:
    """What a storm came to in one company."""

    documents: Counter[str]
    held: Counter[str]
    waiting: Counter[str]
    look_ups: int
    """Questions that deliveries asked, as far as those who asked lived to write them down."""
    attempts: int
    """Attempts at writes beyond the first one each."""
    most: int
    """Attempts at the write that took the most."""
    doubtful: int
    """Writes of which some attempt ended without a readable answer."""
    undone: int
    """Vouchers and invoices that stood twice and were taken back by one that names them."""
    removed: int
    """Unbooked copies that were cancelled or deleted."""
    runs: Counter[str]


def broken(house: Stand) -> list[str]:
    """Every law that does not hold, in words; empty if all is well."""
    return [f"{house.name}: {found}" for law in LAWS for found in _told(law, house)]


def _told(law: Callable[[Stand], Iterator[str]], house: Stand) -> list[str]:
    try:
        return list(law(house))
    except (AssertionError, BooksBroken, EconomicBroken) as error:
        return [f"{law.__name__.strip('_')}: {error}"]


MOST_ATTEMPTS: Final = 150
"""More at one write is a loop: each kill takes one at most, or some faults in a row."""


def _no_loop(house: Stand) -> Iterator[str]:
    """Nothing is tried again and again without getting anywhere."""
    columns = (DeliveryRow.key, DeliveryRow.kind, DeliveryRow.attempt, DeliveryRow.error_message)
    with house.rows() as session:
        for row in session.execute(select(*columns).where(DeliveryRow.attempt > MOST_ATTEMPTS)):
            yield f"{row.key} ({row.kind}) was tried {row.attempt} times: {row.error_message}"


def _identity(house: Stand) -> Iterator[str]:
    """The clearing identity of every balance, to the smallest unit there and in the books."""
    for proved in house.town.prove(house.company_id):
        identity = proved.identity
        if identity.difference:
            yield f"{identity.currency} differs by {identity.difference}: {identity}"
        if identity.ledger_books != identity.documents_books:
            yield f"{identity.currency}: the ledger has {identity.ledger_books}, we {identity.documents_books}"


def _books_in_order(house: Stand) -> Iterator[str]:
    """Balanced books, nothing of ours unbooked, unpaid or undelivered."""
    yield from house.ledger.unsound()
    for row in house.town.undelivered(house.company_id):
        yield f"{row.key} is {row.state}: {row.error_message}"


def _no_part_lost(house: Stand) -> Iterator[str]:
    """The parts of movements come to what moved; what is booked names its document."""
    with house.rows() as session:
        parts = select(func.sum(PartRow.amount_minor)).scalar_subquery()
        movements = select(func.sum(MovementRow.net_minor)).scalar_subquery()
        lost, documents = session.execute(select(parts - movements, func.count(DocumentRow.id))).one()
        homeless = session.scalar(
            select(func.count(PartRow.id)).where(PartRow.state == "booked", PartRow.document_id.is_(None))
        )
    if lost or homeless:
        yield f"{lost} is lost between movements and parts; {homeless} booked parts have no document"
    if not documents:
        yield "nothing was booked at all"


def _taken_back(house: Stand) -> set[str]:
    """References of what stood twice and was taken back by something that names it."""
    return {reference for row in house.documents("correction") for reference in row.vouchers[:1]}


def _each_once(house: Stand) -> Iterator[str]:
    """What was written for Kvitt and what Kvitt knows it wrote are the same: by invoice, payment and voucher."""
    ledger, taken_back = house.ledger, _taken_back(house)
    stands = {
        "invoice": ledger.invoices(),
        "payment": ledger.payments(),
        "voucher": Counter(reference for reference, _ in ledger.vouchers()),
    }
    with house.rows() as session:
        written = {what: ledger.known_to(session, what) for what in stands}
    for what, there in stands.items():
        for reference in sorted((there - written[what]).keys() - taken_back):
            yield f"{what} {reference} stands in the books and is known to no row, or not so often"
        for reference in sorted((written[what] - there).keys()):
            yield f"{what} {reference} is in our rows and not, or not so often, in the books"


def _open_sources(house: Stand) -> set[str]:
    """What the provider calls everything of which the amount is held or waits."""
    with house.rows() as session:
        return set(
            session.scalars(
                select(MovementRow.source_ref)
                .join(PartRow, PartRow.movement_id == MovementRow.id)
                .where(PartRow.name == "amount", PartRow.state.in_(("held", "waiting")))
            )
        )


def _every_sale(house: Stand) -> Iterator[str]:
    """In Plus each sale has one invoice, or waits or is held for a reason."""
    if house.pair.mode != "plus":
        return
    open_ = _open_sources(house)
    found = Counter(key.split("/")[1] for key in house.ledger.invoice_keys().elements())
    for sale in house.till.sales():
        if found[sale] + (sale in open_) != 1:
            yield f"sale {sale}: {found[sale]} invoices, {'open' if sale in open_ else 'not open'}"


def _every_payout(house: Stand) -> Iterator[str]:
    """A payout that has arrived is in the ledger once, what was taken back in the open apart."""
    taken_back, open_ = _taken_back(house), _open_sources(house)
    with house.rows() as session:
        known = set(session.scalars(select(MovementRow.source_ref)))
    keys = Counter(key for reference, key in house.ledger.vouchers() if reference not in taken_back)
    for payout, status in house.till.payouts().items():
        found = keys[f"{house.till.provider}/{payout}/payout"]
        if payout in known and found + (payout in open_) != 1:
            yield f"payout {payout}, {status}: {found} vouchers"


def _nothing_open(house: Stand) -> Iterator[str]:
    """No part without a state to stay in, nothing held or waiting without its reason."""
    with house.rows() as session:
        rows = session.execute(
            select(PartRow.state, PartRow.reason, func.count()).group_by(PartRow.state, PartRow.reason)
        )
        for state, reason, number in rows:
            if state not in ("booked", "held", "waiting", "set_aside"):
                yield f"{number} parts are {state}"
            elif state in ("held", "waiting") and not reason:
                yield f"{number} parts are {state} without a reason"


def _no_run_stuck(house: Stand) -> Iterator[str]:
    """Every run has ended, none for a fault of our own; the company is at work and its connections hold."""
    with house.rows() as session:
        for run in session.scalars(select(RunRow)):
            if run.state not in ("done", "failed") or "fault of Kvitt's own" in run.message:
                yield f"run {run.id} ({run.trigger}) is {run.state} in {run.phase}: {run.message}"
        state = session.get_one(Company, house.company_id).state
        if state != "active":
            yield f"the company is {state}"
        for connection in session.scalars(select(Connection)):
            if connection.state != "connected":
                yield f"connection {connection.id} is {connection.state}"


LAWS: tuple[Callable[[Stand], Iterator[str]], ...] = (
    _identity,
    _books_in_order,
    _no_part_lost,
    _each_once,
    _every_sale,
    _every_payout,
    _nothing_open,
    _no_run_stuck,
    _no_loop,
)


def figures(house: Stand) -> Figures:
    """What a storm came to."""
    with house.rows() as session:
        reasons = {
            state: Counter(session.scalars(select(PartRow.reason).where(PartRow.state == state)))
            for state in ("held", "waiting")
        }
        asked = select(func.count()).where(CallRow.delivery_id.is_not(None), CallRow.method == "GET")
        most = select(func.max(DeliveryRow.attempt))
        again = select(func.sum(DeliveryRow.attempt - 1)).where(DeliveryRow.attempt > 1)
        doubtful = select(func.count()).where(DeliveryRow.doubtful.is_(True))
        run_states = Counter(session.scalars(select(RunRow.state)))
        queries = (asked, again, most, doubtful)
        look_ups, attempts, at_most, doubts = (int(session.scalar(query) or 0) for query in queries)
    return Figures(
        documents=house.kinds(),
        held=reasons["held"],
        waiting=reasons["waiting"],
        look_ups=look_ups,
        attempts=attempts,
        most=at_most,
        doubtful=doubts,
        undone=house.kinds()["correction"],
        removed=house.ledger.removed(),
        runs=run_states,
    )
