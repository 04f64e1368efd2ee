"""What can be asked of a company's rows to see whether the promises hold: sums, states, proofs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import DocumentKind
from addon.core.money import Money
from addon.core.records import Itemisation, PayoutState
from addon.services.context import Services
from addon.services.held import latest_proofs
from addon.services.running import running_proof
from addon.services.settings import read_company
from addon.store.models import Company, DeliveryRow, DocumentRow, MovementRow, PartRow, PayoutRow


@dataclass(frozen=True, slots=True)
class Facts:
    """Where promises are broken, each fault in words; empty where all is well."""

    lost: tuple[str, ...]
    """Movements whose parts do not make up their net, and parts that nothing has been decided about."""
    unequal: tuple[str, ...]
    """Clearing identities that do not hold, or that no run has proved."""
    unproved_payouts: tuple[str, ...]
    invoices: int
    """Invoices that Kvitt has made and booked, credit notes not among them."""
    payments: int
    """Payments of invoices and credit notes that Kvitt has booked."""
    vouchers: int
    series: str
    """The voucher series that is Kvitt's alone."""


def facts(services: Services, company_id: int) -> Facts:
    """Check a company's rows; the ledger itself is read back by the proof that a run makes."""
    with services.db.company_reading(company_id) as session:
        lost = (*_lost(session), *_undecided(session))
        payouts = (*_unproved(session), *_unproved_by_balance(session))
        currencies = set(session.execute(select(MovementRow.connection_id, MovementRow.currency).distinct()).all())
        counts = dict(
            session.execute(
                select(DeliveryRow.kind, func.count(DeliveryRow.id))
                .where(DeliveryRow.state == DeliveryState.BOOKED.value)
                .group_by(DeliveryRow.kind)
            ).all()
        )
        # A sale whose VAT rate no invoice can hold is a voucher.
        sales = session.scalar(
            select(func.count(DeliveryRow.id))
            .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
            .where(
                DeliveryRow.kind == "create_invoice",
                DocumentRow.kind == DocumentKind.SALE.value,
                DocumentRow.state == DeliveryState.BOOKED.value,
            )
        )
        series = read_company(session).voucher_series
    proofs = latest_proofs(services, company_id)
    unequal = [
        f"connection {line.connection_id}, {line.provider.currency}: {line.difference}"
        for line in proofs
        if line.difference or line.details.get("holds") is False
    ]
    proved = {(line.connection_id, line.provider.currency) for line in proofs}
    unequal += [
        f"connection {connection_id}, {currency}: not proved" for connection_id, currency in sorted(currencies - proved)
    ]
    return Facts(
        lost,
        tuple(unequal),
        payouts,
        invoices=int(sales or 0),
        payments=int(counts.get("book_payment", 0)),
        vouchers=int(counts.get("post_voucher", 0)),
        series=series,
    )


def _lost(session: Session) -> list[str]:
    parts = (
        select(PartRow.movement_id, func.sum(PartRow.amount_minor).label("total"))
        .group_by(PartRow.movement_id)
        .subquery()
    )
    found = session.execute(
        select(MovementRow.ref, MovementRow.currency, MovementRow.net_minor, parts.c.total)
        .outerjoin(parts, parts.c.movement_id == MovementRow.id)
        .where(func.coalesce(parts.c.total, 0) != MovementRow.net_minor)
    )
    return [
        f"{row.ref}: parts make {Money(int(row.total or 0), row.currency)} of {Money(row.net_minor, row.currency)}"
        for row in found
    ]


def _undecided(session: Session) -> list[str]:
    counts: dict[str, int] = defaultdict(int)
    for state, number in session.execute(select(PartRow.state, func.count(PartRow.id)).group_by(PartRow.state)):
        counts[state] += int(number)
    allowed = {state.value for state in PartState} - {PartState.OPEN.value, PartState.PLANNED.value}
    return [f"{number} parts are {state}" for state, number in counts.items() if state not in allowed]


def _unproved(session: Session) -> list[str]:
    rows = session.scalars(
        select(PayoutRow).where(
            PayoutRow.itemisation == Itemisation.COMPLETE.value, PayoutRow.state == PayoutState.PAID.value
        )
    )
    return [
        f"{row.ref}: {Money(row.amount_minor, row.currency)}, its movements make "
        + (str(Money(row.items_minor, row.currency)) if row.items_minor is not None else "nothing yet")
        for row in rows
        if not row.items_read or row.items_minor != row.amount_minor
    ]


def _unproved_by_balance(session: Session) -> list[str]:
    """Payouts without a list, for which the provider's balance before and after does not agree with what moved."""
    rows = session.scalars(
        select(PayoutRow).where(
            PayoutRow.itemisation == Itemisation.NONE.value, PayoutRow.state == PayoutState.PAID.value
        )
    )
    proofs = ((row, running_proof(session, row)) for row in rows)
    return [
        f"{row.ref}: the balance after it is {proof.difference} beyond what moved"
        for row, proof in proofs
        if proof is not None and not proof.holds
    ]


def any_movement(services: Services, company_id: int) -> int:
    """The number of one of a company's movements; 0 if it has none."""
    with services.db.company_reading(company_id) as session:
        return int(session.scalar(select(MovementRow.id).limit(1)) or 0)


def tenant(services: Services, company_id: int) -> str:
    """The company's fixed number in its accounting system."""
    with services.db.open_reading() as session:
        return session.get_one(Company, company_id).tenant
