"""Prove: read the clearing accounts back and compare them, part by part, with the provider."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.accounts import AccountRole
from addon.core.books import Books, LedgerEntry
from addon.core.dates import booking_date
from addon.core.delivery import DeliveryState, PartState
from addon.core.holds import WaitReason
from addon.core.money import Money
from addon.core.reconcile import BookedEffect, ClearingIdentity, NotBooked, clearing_identity
from addon.core.records import Balance
from addon.core.rules import Policy
from addon.ports.accounting import AccountingSystem
from addon.services.context import Services
from addon.services.ingest import zone_of
from addon.store.models import Connection, DocumentRow, PartRow, ProofRow


@dataclass(frozen=True, slots=True)
class Identity:
    """One proved identity, with the connection it is about."""

    connection_id: int
    provider: str
    identity: ClearingIdentity


def prove_connection(
    services: Services,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    policy: Policy,
    balances: Sequence[Balance],
    system: AccountingSystem,
) -> tuple[Identity, ...]:
    """Prove each balance currency of a connection, and keep the result. `balances` belong to what is stored.

    One call per financial year for the ledger, whatever its size.
    """
    with services.db.company_reading(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        start = connection.start_date or booking_date(connection.connected_at, zone_of(session, company_id))
        numbers = _clearing_numbers(session, connection_id, policy)
    entries = read_ledger(system, policy.books, start, policy.today, sorted(set().union(*numbers.values())))
    now = services.now()
    proved: list[Identity] = []
    with services.db.company(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        opening = {currency: int(minor) for currency, minor in connection.opening.items()}
        provider = _provider_side(balances, opening)
        for currency in sorted(provider):
            rows = [row for number in sorted(numbers.get(currency, ())) for row in entries.get(number, ())]
            opened = Money(opening.get(currency, 0), currency)
            identity = _identity(session, connection_id, policy, provider[currency], opened, rows)
            _keep(session, company_id, connection_id, run_id, identity, now)
            proved.append(Identity(connection_id, connection.provider, identity))
    return tuple(proved)


def _clearing_numbers(session: Session, connection_id: int, policy: Policy) -> dict[str, set[str]]:
    """Each currency's clearing account, with those it had before: what was booked there stays there."""
    numbers: dict[str, set[str]] = defaultdict(set)
    prefix = f"{AccountRole.CLEARING.value}:"
    for key, number in policy.accounts.numbers.items():
        if key.startswith(prefix):
            numbers[key.removeprefix(prefix)].add(number)
    used = select(DocumentRow.clearing_currency, DocumentRow.clearing_account).where(
        DocumentRow.connection_id == connection_id, DocumentRow.state == DeliveryState.BOOKED.value
    )
    for currency, number in session.execute(used.distinct()):
        if currency and number:
            numbers[currency].add(number)
    return numbers


def _provider_side(balances: Sequence[Balance], opening: dict[str, int]) -> dict[str, Money]:
    found: dict[str, Money] = {currency: Money.zero(currency) for currency in opening}
    for balance in balances:
        currency = balance.amount.currency
        found[currency] = found.get(currency, Money.zero(currency)) + balance.amount
    return found


def read_ledger(
    system: AccountingSystem, books: Books, start: date, today: date, accounts: Sequence[str]
) -> dict[str, list[LedgerEntry]]:
    """The rows of these accounts since a day, by account. Opening balances are left out: their rows are in."""
    found: dict[str, list[LedgerEntry]] = defaultdict(list)
    for year in books.years:
        if year.last_day < start or year.first_day > today:
            continue
        for entry in system.fetch_ledger(year.ref, accounts).entries:
            if entry.booking_date >= start:
                found[entry.account].append(entry)
    return found


def _identity(
    session: Session,
    connection_id: int,
    policy: Policy,
    provider: Money,
    opening: Money,
    entries: Sequence[LedgerEntry],
) -> ClearingIdentity:
    currency = provider.currency
    return clearing_identity(
        provider,
        opening,
        entries,
        _effects(session, connection_id, currency, policy.books_currency),
        not_booked(session, connection_id, currency),
        policy.books_currency,
        booked_elsewhere(session, connection_id, currency),
    )


def booked_elsewhere(session: Session, connection_id: int, currency: str) -> Money:
    """What the parts come to that people set aside because they have booked them themselves."""
    total = session.scalar(
        select(func.sum(PartRow.amount_minor)).where(
            PartRow.connection_id == connection_id,
            PartRow.currency == currency,
            PartRow.state == PartState.SET_ASIDE.value,
            PartRow.set_aside_where != "",
        )
    )
    return Money(int(total or 0), currency)


def _effects(session: Session, connection_id: int, currency: str, home: str) -> list[BookedEffect]:
    return [
        BookedEffect(
            row.key,
            tuple(row.vouchers),
            Money(row.clearing_minor, currency),
            Money(row.clearing_books_minor or 0, home),
        )
        for row in session.execute(
            select(
                DocumentRow.key,
                DocumentRow.vouchers,
                DocumentRow.clearing_minor,
                DocumentRow.clearing_books_minor,
            ).where(
                DocumentRow.connection_id == connection_id,
                DocumentRow.clearing_currency == currency,
                DocumentRow.state == DeliveryState.BOOKED.value,
            )
        )
    ]


def not_booked(session: Session, connection_id: int, currency: str) -> NotBooked:
    """What the parts that are not booked come to, by why; set aside counts where it is booked nowhere."""
    sums: dict[str, int] = defaultdict(int)
    for row in session.execute(
        select(
            PartRow.state,
            PartRow.reason,
            PartRow.set_aside_where,
            func.sum(PartRow.amount_minor).label("total"),
        )
        .where(
            PartRow.connection_id == connection_id,
            PartRow.currency == currency,
            PartRow.state != PartState.BOOKED.value,
        )
        .group_by(PartRow.state, PartRow.reason, PartRow.set_aside_where)
    ):
        sums[_why(PartState(row.state), row.reason, row.set_aside_where)] += int(row.total)
    return NotBooked(
        held=Money(sums["held"], currency),
        waiting=Money(sums["waiting"], currency),
        under_way=Money(sums["under_way"], currency),
        planned=Money(sums["planned"], currency),
        set_aside=Money(sums["set_aside"], currency),
    )


def _why(state: PartState, reason: str, where: str) -> str:
    match state:
        case PartState.HELD:
            return "held"
        case PartState.WAITING:
            return "under_way" if reason == WaitReason.PAYOUT_PAID.value else "waiting"
        case PartState.OPEN | PartState.PLANNED:
            return "planned"
        case PartState.SET_ASIDE:
            return "elsewhere" if where else "set_aside"
        case PartState.BOOKED:
            return "booked"


def _keep(
    session: Session,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    identity: ClearingIdentity,
    now: datetime,
) -> None:
    lacking = identity.not_booked
    session.add(
        ProofRow(
            company_id=company_id,
            connection_id=connection_id,
            run_id=run_id,
            currency=identity.currency,
            at=now,
            opening_minor=identity.opening.minor,
            provider_minor=identity.provider.minor,
            ledger_minor=identity.ledger.minor,
            not_booked_minor=lacking.total().minor,
            difference_minor=identity.difference.minor,
            details={
                "held": lacking.held.minor,
                "waiting": lacking.waiting.minor,
                "under_way": lacking.under_way.minor,
                "planned": lacking.planned.minor,
                "set_aside": lacking.set_aside.minor,
                "holds": identity.holds,
                "ledger_books": identity.ledger_books.minor,
                "documents_books": identity.documents_books.minor,
                "elsewhere_books": identity.elsewhere_books.minor,
                "books_currency": identity.ledger_books.currency,
                "named": [
                    {
                        "name": difference.name,
                        "reference": difference.reference,
                        "date": difference.booking_date.isoformat() if difference.booking_date else "",
                        "minor": difference.amount.minor,
                        "text": difference.text[:200],
                    }
                    for difference in identity.named[:100]
                ],
            },
        )
    )
