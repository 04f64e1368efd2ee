"""Audit: compare what the books hold under our keys with our rows.

What landed and is unknown is adopted, what stands twice is undone where it is unbooked and reported where it is
not, what a person has changed is reported.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from addon.core.books import InvoiceView
from addon.core.delivery import DeliveryState
from addon.core.documents import BookInvoice
from addon.ports.accounting import AccountingSystem
from addon.services import activity
from addon.services.context import Services
from addon.store.models import AccountingConnection, DeliveryRow

OVERLAP = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that should not be: `kind` adopted, copy_removed, booked_twice, open_balance, cancelled."""

    kind: str
    key: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit read and found."""

    invoices: int
    findings: tuple[AuditFinding, ...]


def audit(
    services: Services, company_id: int, prefixes: tuple[str, ...], system: AccountingSystem, whole: bool
) -> Audited:
    """Audit the invoices under our keys: those changed since the last audit, or `whole`: all of them.

    One call per 500 invoices. Payments and vouchers are audited by the ledger's read-back, see reconciliation.
    """
    started = services.now()
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(AccountingConnection)).one()
        since = None if whole or row.audited_at is None else row.audited_at - OVERLAP
    found: dict[str, list[InvoiceView]] = defaultdict(list)
    invoices = 0
    for prefix in prefixes:
        for view in system.fetch_invoices(prefix, since):
            invoices += 1
            if not view.cancelled:
                found[view.our_key].append(view)
    findings: list[AuditFinding] = []
    for key, views in sorted(found.items()):
        findings += _examine(services, company_id, key, views, system)
    with services.db.company(company_id) as session:
        session.execute(
            update(AccountingConnection).values(audited_at=started).execution_options(synchronize_session=False)
        )
        for finding in findings:
            facts = {"key": finding.key, "numbers": ", ".join(finding.numbers), "finding": finding.kind}
            activity.record(session, activity.KVITT, "audit_finding", facts, started)
    return Audited(invoices, tuple(findings))


def _examine(
    services: Services, company_id: int, key: str, views: list[InvoiceView], system: AccountingSystem
) -> list[AuditFinding]:
    with services.db.company_reading(company_id) as session:
        delivery = session.scalars(select(DeliveryRow).where(DeliveryRow.key == key)).one_or_none()
    findings: list[AuditFinding] = []
    if delivery is None:
        return findings  # made for another installation of the same books; the look-up before writing finds it
    if delivery.state != DeliveryState.BOOKED.value:
        if delivery.state == DeliveryState.APPROVED.value and not delivery.needs_lookup:
            with services.db.company(company_id) as session:
                _look_first(session, delivery.id)
            findings.append(AuditFinding("adopted", key, tuple(view.number for view in views)))
        return findings
    for view in sorted(views, key=lambda view: int(view.number) if view.number.isdigit() else 0):
        if view.number == delivery.reference:
            continue
        if view.booked:
            findings.append(AuditFinding("booked_twice", key, (delivery.reference, view.number)))
        else:
            system.remove_copy(BookInvoice(f"{key}/book", key), view.number)
            findings.append(AuditFinding("copy_removed", key, (view.number,)))
    return findings


def _look_first(session: Session, delivery_id: int) -> None:
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.state == DeliveryState.APPROVED.value)
        .values(needs_lookup=True)
        .execution_options(synchronize_session=False)
    )


def open_balances(
    services: Services, company_id: int, prefixes: tuple[str, ...], system: AccountingSystem
) -> tuple[InvoiceView, ...]:
    """Invoices and credit notes of ours that are booked and still have a balance, whoever is the cause."""
    with services.db.company_reading(company_id) as session:
        under_way = set(
            session.scalars(
                select(DeliveryRow.reference).where(
                    DeliveryRow.reference != "", DeliveryRow.state != DeliveryState.BOOKED.value
                )
            )
        )
    return tuple(
        view
        for prefix in prefixes
        for view in system.fetch_invoices(prefix, None)
        if view.booked and not view.cancelled and view.balance and view.number not in under_way
    )


def due(audited_at: datetime | None, now: datetime) -> bool:
    """Whether the nightly whole audit is due."""
    return audited_at is None or now - audited_at > timedelta(hours=24)
