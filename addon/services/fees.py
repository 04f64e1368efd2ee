"""The provider's fees of a month beside its tax invoice, and what explains a difference.

A provider invoices by its own months, which are cut by UTC at the instant a fee was taken; our vouchers are dated by
the company's day. So the month is added up as the provider adds it, without other companies' fees, and the few lines
that fall into another month here are named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from addon.core.delivery import PartState
from addon.core.money import Money
from addon.core.records import FeeKind, MovementKind, PartKind
from addon.services import activity
from addon.services.context import Services
from addon.services.settings import get_connection
from addon.store.models import Connection, FeeInvoiceRow, MovementRow, PartRow

MOST_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class FeeSum:
    """A month's fees of one kind, as costs: what the provider took, what of it stands in the books, and what not."""

    kind: FeeKind
    tax: bool
    """Whether it is the tax on such fees."""
    taken: Money
    booked: Money

    @property
    def open(self) -> Money:
        """What waits, is held or was set aside."""
        return self.taken - self.booked


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """A fee that the provider's month and the company's month do not share, as a cost."""

    movement_id: int
    ref: str
    occurred_at: datetime
    booking_date: date
    cost: Money


@dataclass(frozen=True, slots=True)
class TypedInvoice:
    """What a person has read off the provider's tax invoice, and who."""

    net: Money
    vat: Money
    number: str
    entered_by: str
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class FeeMonth:
    """A provider's month of one connection and currency beside its tax invoice.

    `edges` are the lines at both ends that the company's month sees differently; `edges_here` is what the month would
    be by the company's own days.
    """

    connection_id: int
    month: date
    currency: str
    sums: tuple[FeeSum, ...]
    edges: tuple[EdgeLine, ...]
    by_own_days: Money
    invoice: TypedInvoice | None

    @property
    def taken(self) -> Money:
        """All fees of the provider's month, tax left out."""
        return Money.total((one.taken for one in self.sums if not one.tax), self.currency)

    @property
    def tax(self) -> Money:
        """The tax that the provider took on them."""
        return Money.total((one.taken for one in self.sums if one.tax), self.currency)

    @property
    def booked(self) -> Money:
        """What of the fees stands in the books, tax left out."""
        return Money.total((one.booked for one in self.sums if not one.tax), self.currency)

    @property
    def difference(self) -> Money | None:
        """The invoice less what was taken; None while no invoice was typed in."""
        return self.invoice.net - self.taken if self.invoice is not None else None

    @property
    def tax_difference(self) -> Money | None:
        """The same of the tax."""
        return self.invoice.vat - self.tax if self.invoice is not None else None

    @property
    def explained_by_zone(self) -> bool:
        """Whether the invoice is what the month comes to by the company's own days: then it was cut by them."""
        return bool(self.difference) and self.invoice is not None and self.invoice.net == self.by_own_days

    @property
    def agrees(self) -> bool:
        """Whether invoice and fees are the same, and all of them are booked."""
        return self.difference is not None and not self.difference and not self.tax_difference


def month_bounds(month: date) -> tuple[datetime, datetime]:
    """The first instant of a provider's month and of the next, by UTC."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    return start, datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def fee_months(services: Services, company_id: int, month: date) -> tuple[FeeMonth, ...]:
    """A month of every connection and balance currency that had fees in it, or an invoice."""
    month = month.replace(day=1)
    with services.db.company_reading(company_id) as session:
        found: list[FeeMonth] = []
        for connection_id in session.scalars(select(Connection.id).order_by(Connection.id)):
            sums = _sums(session, connection_id, month)
            invoices = _invoices(session, connection_id, month)
            for currency in sorted({*sums, *invoices}):
                edges, here = _edges(session, connection_id, month, currency)
                kinds = sums.get(currency, ())
                taken = Money.total((one.taken for one in kinds if not one.tax), currency)
                found.append(
                    FeeMonth(connection_id, month, currency, kinds, edges, taken + here, invoices.get(currency))
                )
        return tuple(found)


_FEES: Final = (PartKind.FEE.value, PartKind.FEE_TAX.value)
_OWN: Final = (MovementKind.FEE.value, MovementKind.FEE_TAX.value)


def _sums(session: Session, connection_id: int, month: date) -> dict[str, tuple[FeeSum, ...]]:
    start, end = month_bounds(month)
    query = (
        select(
            PartRow.currency,
            PartRow.kind,
            MovementRow.kind.label("movement_kind"),
            PartRow.service,
            PartRow.state,
            func.sum(PartRow.amount_minor).label("minor"),
        )
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .where(
            PartRow.connection_id == connection_id,
            MovementRow.connection_id == connection_id,
            MovementRow.occurred_at >= start,
            MovementRow.occurred_at < end,
            or_(PartRow.kind.in_(_FEES), MovementRow.kind.in_(_OWN) & (PartRow.kind == PartKind.AMOUNT.value)),
        )
        .group_by(PartRow.currency, PartRow.kind, MovementRow.kind, PartRow.service, PartRow.state)
    )
    taken: dict[tuple[str, FeeKind, bool], list[int]] = defaultdict(lambda: [0, 0])
    for row in session.execute(query):
        tax = row.kind == PartKind.FEE_TAX.value or (
            row.kind == PartKind.AMOUNT.value and row.movement_kind == MovementKind.FEE_TAX.value
        )
        entry = taken[(row.currency, FeeKind(row.service), tax)]
        entry[0] -= int(row.minor)
        if row.state == PartState.BOOKED.value:
            entry[1] -= int(row.minor)
    order = {kind: position for position, kind in enumerate(FeeKind)}
    by_currency: dict[str, list[FeeSum]] = defaultdict(list)
    for (currency, kind, tax), (minor, booked) in sorted(
        taken.items(), key=lambda item: (item[0][2], order[item[0][1]])
    ):
        by_currency[currency].append(FeeSum(kind, tax, Money(minor, currency), Money(booked, currency)))
    return {currency: tuple(sums) for currency, sums in by_currency.items()}


def _edges(session: Session, connection_id: int, month: date, currency: str) -> tuple[tuple[EdgeLine, ...], Money]:
    """The lines near both ends of the month that lie in another month by the company's days, and what they change."""
    start, end = month_bounds(month)
    day = timedelta(days=1)
    query = (
        select(
            MovementRow.id,
            MovementRow.ref,
            MovementRow.occurred_at,
            MovementRow.booking_date,
            func.sum(PartRow.amount_minor).label("minor"),
        )
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(
            PartRow.connection_id == connection_id,
            MovementRow.connection_id == connection_id,
            PartRow.currency == currency,
            or_(
                PartRow.kind == PartKind.FEE.value,
                (MovementRow.kind == MovementKind.FEE.value) & (PartRow.kind == PartKind.AMOUNT.value),
            ),
            or_(
                MovementRow.occurred_at.between(start - day, start + day),
                MovementRow.occurred_at.between(end - day, end + day),
            ),
        )
        .group_by(MovementRow.id, MovementRow.ref, MovementRow.occurred_at, MovementRow.booking_date)
        .order_by(MovementRow.occurred_at, MovementRow.id)
    )
    lines: list[EdgeLine] = []
    change = Money.zero(currency)
    for row in session.execute(query):
        theirs = start <= row.occurred_at < end
        ours = row.booking_date.replace(day=1) == month
        if theirs == ours:
            continue
        cost = Money(-int(row.minor), currency)
        change = change + cost if ours else change - cost
        if len(lines) < MOST_LINES:
            lines.append(EdgeLine(row.id, row.ref, row.occurred_at, row.booking_date, cost))
    return tuple(lines), change


def _invoices(session: Session, connection_id: int, month: date) -> dict[str, TypedInvoice]:
    rows: Sequence[FeeInvoiceRow] = session.scalars(
        select(FeeInvoiceRow).where(FeeInvoiceRow.connection_id == connection_id, FeeInvoiceRow.month == month)
    ).all()
    return {
        row.currency: TypedInvoice(
            Money(row.net_minor, row.currency),
            Money(row.vat_minor, row.currency),
            row.number,
            row.entered_by,
            row.entered_at,
        )
        for row in rows
    }


def keep_invoice(
    services: Services,
    company_id: int,
    connection_id: int,
    month: date,
    net: Money,
    vat: Money,
    number: str,
    who: str,
) -> None:
    """Keep what a person read off the provider's tax invoice. What stood there before stays in the log.

    Raises `UnknownConnection` and, for two currencies, `CurrencyMismatch`.
    """
    month, now = month.replace(day=1), services.now()
    total = net + vat
    with services.db.company(company_id) as session:
        get_connection(session, connection_id)
        row = session.scalars(
            select(FeeInvoiceRow)
            .where(
                FeeInvoiceRow.connection_id == connection_id,
                FeeInvoiceRow.month == month,
                FeeInvoiceRow.currency == net.currency,
            )
            .with_for_update()
        ).one_or_none()
        facts = {"month": month.isoformat()[:7], "net": str(net), "vat": str(vat), "total": str(total)}
        if row is None:
            row = FeeInvoiceRow(connection_id=connection_id, month=month, currency=net.currency)
            session.add(row)
        else:
            facts["before"] = str(Money(row.net_minor, row.currency))
        row.net_minor, row.vat_minor, row.number = net.minor, vat.minor, number
        row.entered_by, row.entered_at = who, now
        activity.record(session, who, "fee_invoice_entered", {**facts, "number": number}, now)
