"""What must hold when the dust has settled, asked of the world's ledger first and of our rows second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from addon.sandbox.fortnox.books import BooksBroken
from addon.store.models import CallRow, Company, Connection, DeliveryRow, MovementRow, PartRow, RunRow
from tests.flow.house import House

OURS = "stripe/"
"""What keys of our documents begin with."""


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
    doubtful: int
    """Writes of which some attempt ended without a readable answer."""
    undone: int
    """Vouchers and invoices that stood twice and were taken back by one that names them."""
    removed: int
    """Unbooked copies that were cancelled or deleted."""
    runs: Counter[str]


def broken(house: House) -> list[str]:
    """Every law that does not hold, in words; empty if all is well."""
    return [f"{house.business.name}: {found}" for law in LAWS for found in _told(law, house)]


def _told(law: Callable[[House], Iterator[str]], house: House) -> list[str]:
    try:
        return list(law(house))
    except (AssertionError, BooksBroken) as error:
        return [f"{law.__name__.strip('_')}: {error}"]


def _house_in_order(house: House) -> Iterator[str]:
    """The clearing identity of every balance, balanced books, nothing of ours unbooked, unpaid or undelivered."""
    house.all_is_well()
    yield from ()


def _each_once(house: House) -> Iterator[str]:
    """What was written for Kvitt and what Kvitt knows it wrote are the same: by invoice, payment and voucher."""
    with house.rows() as session:
        written = {
            kind: Counter(session.scalars(select(DeliveryRow.reference).where(DeliveryRow.kind.in_(kinds))))
            for kind, kinds in {
                "invoice": ("create_invoice", "credit_invoice"),
                "payment": ("create_payment",),
                "voucher": ("post_voucher",),
            }.items()
        }
    taken_back = {reference for row in house.documents("correction") for reference in row.vouchers[:1]}
    invoices = Counter(str(invoice.number) for invoice in house.our_invoices() if not invoice.by_person)
    payments = Counter(str(payment.number) for payment in house.books.payments.values() if not payment.by_person)
    vouchers = Counter(
        "/".join(map(str, voucher.key))
        for voucher in house.books.ledger
        if not voucher.by_person and voucher.reference_type == "MANUAL"
    )
    for what, stands in (("invoice", invoices), ("payment", payments), ("voucher", vouchers)):
        known = written[what]
        known.pop("", None)
        for reference in sorted((stands - known).keys() - taken_back):
            yield f"{what} {reference} stands in the books and is known to no row"
        for reference in sorted((known - stands).keys()):
            yield f"{what} {reference} is in our rows and not, or not so often, in the books"


def _every_sale_and_refund(house: House) -> Iterator[str]:
    """In Plus each charge has one invoice and each refund one credit note, or waits or is held for a reason."""
    with house.rows() as session:
        if session.scalars(select(Connection.mode)).one() != "plus":
            return
        open_ = set(
            session.scalars(
                select(MovementRow.source_ref)
                .join(PartRow, PartRow.movement_id == MovementRow.id)
                .where(PartRow.name == "amount", PartRow.state.in_(("held", "waiting")))
            )
        )
    found = Counter(
        invoice.text("ExternalInvoiceReference1").split("/")[1]
        for invoice in house.our_invoices()
        if not invoice.by_person and invoice.total > 0
    )
    for charge in (charge for order in house.business.shop.orders for charge in order.charges):
        if found[charge] + (charge in open_) != 1:
            yield f"sale {charge}: {found[charge]} invoices, {'open' if charge in open_ else 'not open'}"


def _every_payout(house: House) -> Iterator[str]:
    """A payout that has arrived is in the ledger once, what was taken back in the open apart."""
    taken_back = {reference for row in house.documents("correction") for reference in row.vouchers[:1]}
    with house.rows() as session:
        open_ = set(
            session.scalars(
                select(MovementRow.source_ref)
                .join(PartRow, PartRow.movement_id == MovementRow.id)
                .where(PartRow.state.in_(("held", "waiting")))
            )
        )
        known = set(session.scalars(select(MovementRow.source_ref)))
    texts = Counter(
        voucher.description.rpartition("(")[2].rstrip(")")
        for voucher in house.books.ledger
        if not voucher.by_person
        and f"({OURS}po_" in voucher.description
        and "/".join(map(str, voucher.key)) not in taken_back
    )
    for payout in house.stripe.payouts:
        found = sum(number for key, number in texts.items() if key == f"{OURS}{payout.id}/payout")
        if payout.id in known and found + (payout.id in open_) != 1:
            yield f"payout {payout.id}, {payout.status}: {found} vouchers"


def _nothing_open(house: House) -> Iterator[str]:
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


def _no_run_stuck(house: House) -> Iterator[str]:
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


LAWS: tuple[Callable[[House], Iterator[str]], ...] = (
    _house_in_order,
    _each_once,
    _every_sale_and_refund,
    _every_payout,
    _nothing_open,
    _no_run_stuck,
)


def figures(house: House) -> Figures:
    """What a storm came to."""
    with house.rows() as session:
        reasons = {
            state: Counter(session.scalars(select(PartRow.reason).where(PartRow.state == state)))
            for state in ("held", "waiting")
        }
        asked = select(func.count()).where(CallRow.delivery_id.is_not(None), CallRow.method == "GET")
        again = select(func.sum(DeliveryRow.attempt - 1)).where(DeliveryRow.attempt > 1)
        doubtful = select(func.count()).where(DeliveryRow.doubtful.is_(True))
        run_states = Counter(session.scalars(select(RunRow.state)))
        look_ups, attempts, doubts = (int(session.scalar(query) or 0) for query in (asked, again, doubtful))
    cancelled = sum(
        invoice.cancelled and invoice.text("ExternalInvoiceReference1").startswith(OURS)
        for invoice in house.books.invoices.values()
    )
    deleted = sum(
        call.method == "DELETE" and call.company == house.books.database_number and call.status < 300
        for call in list(house.world.fortnox.calls)
    )
    return Figures(
        documents=house.kinds(),
        held=reasons["held"],
        waiting=reasons["waiting"],
        look_ups=look_ups,
        attempts=attempts,
        doubtful=doubts,
        undone=house.kinds()["correction"],
        removed=cancelled + deleted,
        runs=run_states,
    )
