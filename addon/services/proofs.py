"""What the proof pages show: a history of each clearing account by day, the bank account, invoices that are open."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from addon.core.bank import BankFinding, BankLine, compare_bank
from addon.core.dates import booking_date
from addon.core.money import Money
from addon.services import statements
from addon.services.context import Services
from addon.services.ingest import start_day, zone_of
from addon.services.pages import NotHere
from addon.services.policy import provider_name
from addon.services.reconciliation import expected_payouts
from addon.services.statements import StatementLine
from addon.store.models import Company, Connection, ProofRow

HISTORY_DAYS: Final = 92
"""So many days of history are shown; the export has all of them."""


@dataclass(frozen=True, slots=True)
class DayProof:
    """The last proof of a day."""

    day: date
    at: datetime
    provider: Money
    books: Money
    not_booked: Money
    difference: Money
    holds: bool
    named: int
    held: bool
    """Whether something needs a person: then the word kvitt is not said."""


@dataclass(frozen=True, slots=True)
class BankFault:
    """A payout that the ledger's bank account does not have as it should."""

    payout: str
    verdict: str
    day: str
    expected: Money
    found: Money
    vouchers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenInvoiceLine:
    """An invoice of Kvitt's that is not settled."""

    number: str
    key: str
    balance: Money
    why: str


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """A clearing account with its proofs by day, newest first, and what the newest of them found besides."""

    connection_id: int
    provider: str
    currency: str
    days: tuple[DayProof, ...]
    arrived: int
    faults: tuple[BankFault, ...]
    open_invoices: tuple[OpenInvoiceLine, ...] | None
    """None: this proof did not ask."""

    @property
    def newest(self) -> DayProof:
        """The newest proof."""
        return self.days[0]


@dataclass(frozen=True, slots=True)
class ProofPage:
    """The proof page: every account with its history, the statements, and the days that may be asked for."""

    accounts: tuple[AccountHistory, ...]
    statements: tuple[StatementLine, ...]
    first_day: date | None
    today: date
    month: tuple[date, date]


def proof_page(services: Services, company_id: int) -> ProofPage:
    """Everything that the proof page shows."""
    now = services.now()
    with services.db.company_reading(company_id) as session:
        company = session.get(Company, company_id)
        if company is None:
            raise NotHere(f"company {company_id}")
        zone = ZoneInfo(company.time_zone)
        connections = {row.id: row for row in session.scalars(select(Connection))}
        rows: dict[tuple[int, str], list[ProofRow]] = defaultdict(list)
        for row in _last_of_days(session, now - timedelta(days=HISTORY_DAYS), zone):
            if row.connection_id in connections:
                rows[row.connection_id, row.currency].append(row)
        accounts = tuple(
            _history(connections[connection_id].provider, company.currency, found, zone)
            for (connection_id, _), found in sorted(
                rows.items(), key=lambda item: (item[0][0], item[0][1] != company.currency, item[0][1])
            )
        )
        starts = [start_day(row, zone) for row in connections.values() if row.start_date is not None]
        today = booking_date(now, zone)
    return ProofPage(
        accounts,
        statements.listed(services, company_id, 60),
        min(starts, default=None),
        today,
        statements.last_month(today),
    )


def _last_of_days(session: Session, since: datetime, zone: ZoneInfo) -> list[ProofRow]:
    """The last proof of each account and day, newest first.

    A shop that sells all day is proved after each sale: of those only one an hour is looked at, and one a day read.
    """
    hour = func.substr(cast(ProofRow.at, String), 1, 13)
    hourly = (
        select(func.max(ProofRow.id))
        .where(ProofRow.at >= since)
        .group_by(ProofRow.connection_id, ProofRow.currency, hour)
    )
    last: dict[tuple[int, str, date], int] = {}
    for row in session.execute(
        select(ProofRow.id, ProofRow.connection_id, ProofRow.currency, ProofRow.at)
        .where(ProofRow.id.in_(hourly))
        .order_by(ProofRow.id.desc())
    ):
        last.setdefault((row.connection_id, row.currency, booking_date(row.at, zone)), row.id)
    return list(session.scalars(select(ProofRow).where(ProofRow.id.in_(last.values())).order_by(ProofRow.id.desc())))


def _history(provider: str, home: str, rows: list[ProofRow], zone: ZoneInfo) -> AccountHistory:
    newest = rows[0]
    currency = newest.currency
    days: dict[date, DayProof] = {}
    for row in rows:
        day = booking_date(row.at, zone)
        days.setdefault(day, _day(row, day))
    bank = newest.details.get("bank", {})
    books = str(newest.details.get("books_currency", home))
    return AccountHistory(
        newest.connection_id,
        provider,
        currency,
        tuple(days.values()),
        int(bank.get("arrived", 0)),
        tuple(_fault(entry, books) for entry in bank.get("faults", ())),
        _open_invoices(newest.details.get("open_invoices")),
    )


def _open_invoices(entries: list[dict[str, Any]] | None) -> tuple[OpenInvoiceLine, ...] | None:
    if entries is None:
        return None
    return tuple(
        OpenInvoiceLine(
            str(entry["number"]),
            str(entry["key"]),
            Money(int(entry["minor"]), str(entry["currency"])),
            str(entry["why"]),
        )
        for entry in entries
    )


def _day(row: ProofRow, day: date) -> DayProof:
    currency = row.currency
    return DayProof(
        day,
        row.at,
        Money(row.provider_minor, currency),
        Money(row.opening_minor + row.ledger_minor, currency),
        Money(row.not_booked_minor, currency),
        Money(row.difference_minor, currency),
        row.difference_minor == 0 and bool(row.details.get("holds", True)),
        int(row.details.get("named_count", len(row.details.get("named", ())))),
        bool(row.details.get("held")),
    )


def _fault(entry: dict[str, Any], books: str) -> BankFault:
    return BankFault(
        str(entry["payout"]),
        str(entry["verdict"]),
        str(entry["day"]),
        Money(int(entry["minor"]), books),
        Money(int(entry["found_minor"]), books),
        tuple(str(line) for line in entry.get("lines", ())),
    )


def compare_statement(
    services: Services, company_id: int, connection_id: int, currency: str, lines: tuple[BankLine, ...]
) -> tuple[BankFinding, ...]:
    """Compare a bank's own statement with the payouts of the days that it covers. Raises `NotHere`.

    A payout whose arrival lies outside of the statement's days is left out: it says nothing about those.
    """
    with services.db.company_reading(company_id) as session:
        connection = session.scalars(select(Connection).where(Connection.id == connection_id)).one_or_none()
        if connection is None:
            raise NotHere(f"connection {connection_id}")
        zone = zone_of(session, company_id)
        today = booking_date(services.now(), zone)
        payouts = expected_payouts(session, connection_id, currency, currency, start_day(connection, zone), today)
        name = provider_name(connection.provider)
    if not lines:
        return ()
    first, last = min(line.day for line in lines), max(line.day for line in lines)
    covered = [payout for payout in payouts if first <= payout.day <= last]
    return compare_bank(covered, lines, name)
