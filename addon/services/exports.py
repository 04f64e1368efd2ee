"""Leaving with everything: what Kvitt booked as SIE and CSV, and the audit pack with proofs, log and documentation."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.core.books import Books, LedgerEntry
from addon.core.dates import FinancialYear, booking_date
from addon.core.delivery import DeliveryState
from addon.core.money import Money
from addon.core.sie import SieHead, SieRow, SieVoucher, write_sie
from addon.ports.calls import Lane
from addon.services import connections, documentation, statements
from addon.services.calls import CallLog
from addon.services.context import Services
from addon.services.ingest import zone_of
from addon.services.settings import own_company, present
from addon.services.tables import Cell, Sheet, csv_lines
from addon.store.models import (
    ActivityRow,
    Connection,
    DocumentRow,
    MovementRow,
    PartRow,
    PayoutRow,
    ProofRow,
)

PROGRAM: Final = "Kvitt"
VERSION: Final = "0.1"
_CHUNK: Final = 1000
_EARLIEST: Final = date(1970, 1, 1)
_ZIPPED_AT: Final = (1980, 1, 1, 0, 0, 0)


class NothingToExport(LookupError):
    """There is no financial year, or nothing of Kvitt's in it; the message says which."""


@dataclass(frozen=True, slots=True)
class SieFile:
    """A SIE file of what stands in the books under Kvitt's vouchers, and the vouchers that were not found there."""

    year: FinancialYear
    content: bytes
    vouchers: int
    missing: tuple[str, ...]


# --- SIE --------------------------------------------------------------------------------------------------------


def sie_file(services: Services, company_id: int, year: int | None = None) -> SieFile:
    """What Kvitt booked in a financial year (the newest one it booked in), read back from the books, as SIE 4I.

    One call. Raises `NothingToExport`, and the errors of `addon.ports.errors`.
    """
    with services.db.company_reading(company_id) as session:
        books = connections.load_books(session)
        company = own_company(session)
        today = booking_date(services.now(), zone_of(session, company_id))
        found = _vouchers(session)
    if books is None or not books.years:
        raise NothingToExport("the books have not been read yet")
    wanted = _year_of(books, found, year, today)
    ours = frozenset(voucher for voucher in found if voucher.rsplit("/", 1)[-1] == wanted.ref)
    log = CallLog()
    try:
        system = connections.accounting_system(services, company_id, log, Lane.CLICK)
        entries = system.fetch_ledger(wanted.ref, (), ours).entries if ours else ()
    finally:
        log.save(services, company_id)
    vouchers = _gathered(entries)
    names = {account.number: account.name for account in books.accounts if account.year_ref == wanted.ref}
    used = sorted({row.account for voucher in vouchers for row in voucher.rows})
    head = SieHead(
        PROGRAM,
        VERSION,
        today,
        company.name,
        company.organisation_number,
        wanted.first_day,
        wanted.last_day,
        books.identity.currency,
        tuple((number, names.get(number, "")) for number in used),
    )
    standing = {entry.voucher for entry in entries}
    return SieFile(wanted, write_sie(head, vouchers), len(vouchers), tuple(sorted(ours - standing)))


def _vouchers(session: Session) -> set[str]:
    rows = session.scalars(select(DocumentRow.vouchers).where(DocumentRow.state == DeliveryState.BOOKED.value))
    return {voucher for vouchers in rows for voucher in vouchers}


def _year_of(books: Books, vouchers: Iterable[str], year: int | None, today: date) -> FinancialYear:
    """The financial year that was asked for by the calendar year in which it ends; else the newest with entries."""
    if year is not None:
        found = [one for one in books.years if one.last_day.year == year]
        if not found:
            raise NothingToExport(f"the books have no financial year that ends in {year}")
        return found[-1]
    refs = {voucher.rsplit("/", 1)[-1] for voucher in vouchers}
    booked = [one for one in books.years if one.ref in refs] or [one for one in books.years if one.holds(today)]
    return max(booked or books.years, key=lambda one: one.last_day)


def _gathered(entries: Iterable[LedgerEntry]) -> list[SieVoucher]:
    rows: dict[str, list[SieRow]] = {}
    heads: dict[str, LedgerEntry] = {}
    for entry in entries:
        heads.setdefault(entry.voucher, entry)
        rows.setdefault(entry.voucher, []).append(SieRow(entry.account, entry.amount))
    vouchers = []
    for reference, head in heads.items():
        series, number, _ = reference.split("/", 2)
        vouchers.append(SieVoucher(series, number, head.booking_date, head.text, tuple(rows[reference])))
    return vouchers


# --- CSV --------------------------------------------------------------------------------------------------------


def _between(days: tuple[date, date] | None) -> tuple[date, date]:
    return days or (_EARLIEST, date.max)


def _chunks(session: Session, query: Any, key: Any) -> Iterator[Any]:
    """The rows of a query in the order of a key, a thousand at a time, so that no list is ever whole in memory."""
    last = 0
    while True:
        rows = session.execute(query.where(key > last).order_by(key).limit(_CHUNK)).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1][0]


def document_sheet(session: Session, days: tuple[date, date] | None = None) -> Sheet:
    """Every document with its key, numbers and amounts."""
    since, until = _between(days)
    query = select(
        DocumentRow.id,
        DocumentRow.key,
        DocumentRow.kind,
        DocumentRow.booking_date,
        DocumentRow.total_minor,
        DocumentRow.currency,
        DocumentRow.state,
        DocumentRow.number,
        DocumentRow.vouchers,
        DocumentRow.clearing_account,
        DocumentRow.clearing_minor,
        DocumentRow.clearing_currency,
        DocumentRow.clearing_books_minor,
        DocumentRow.invoice_rate,
        DocumentRow.rule,
        DocumentRow.planned_at,
        DocumentRow.booked_at,
    ).where(DocumentRow.booking_date >= since, DocumentRow.booking_date <= until)
    home = own_company(session).currency

    def rows() -> Iterator[Sequence[Cell]]:
        for row in _chunks(session, query, DocumentRow.id):
            clearing = Money(row.clearing_minor, row.clearing_currency) if row.clearing_currency else None
            books = Money(row.clearing_books_minor, home) if row.clearing_books_minor is not None else None
            yield (
                row.key,
                row.kind,
                row.booking_date,
                Money(row.total_minor, row.currency),
                row.currency,
                row.state,
                row.number,
                " ".join(row.vouchers),
                row.clearing_account,
                clearing,
                row.clearing_currency,
                books,
                row.invoice_rate,
                row.rule,
                row.planned_at,
                row.booked_at,
            )

    columns = (
        *("key", "kind", "booking_date", "total", "currency", "state", "number", "vouchers", "clearing_account"),
        *("clearing_amount", "clearing_currency", "clearing_in_books", "rate", "rule", "planned_at", "booked_at"),
    )
    return Sheet("documents", columns, rows())


def movement_sheet(session: Session, days: tuple[date, date] | None = None) -> Sheet:
    """Every movement of every balance, as the provider reported it."""
    since, until = _between(days)
    query = select(
        MovementRow.id,
        MovementRow.connection_id,
        MovementRow.ref,
        MovementRow.kind,
        MovementRow.occurred_at,
        MovementRow.booking_date,
        MovementRow.amount_minor,
        MovementRow.net_minor,
        MovementRow.currency,
        MovementRow.presented_minor,
        MovementRow.presented_currency,
        MovementRow.source_ref,
        MovementRow.original_ref,
        MovementRow.payout_ref,
        MovementRow.order_number,
        MovementRow.buyer,
    ).where(MovementRow.booking_date >= since, MovementRow.booking_date <= until)

    def rows() -> Iterator[Sequence[Cell]]:
        for row in _chunks(session, query, MovementRow.id):
            presented = None
            if row.presented_minor is not None and row.presented_currency:
                presented = Money(row.presented_minor, row.presented_currency)
            yield (
                row.connection_id,
                row.ref,
                row.kind,
                row.occurred_at,
                row.booking_date,
                Money(row.amount_minor, row.currency),
                Money(row.amount_minor - row.net_minor, row.currency),
                Money(row.net_minor, row.currency),
                row.currency,
                presented,
                row.presented_currency,
                row.source_ref,
                row.original_ref,
                row.payout_ref,
                row.order_number,
                row.buyer,
            )

    columns = (
        *("connection", "reference", "kind", "occurred_at", "booking_date", "gross", "fees", "net", "currency"),
        *("presented", "presented_currency", "source", "original", "payout", "order_number", "buyer"),
    )
    return Sheet("movements", columns, rows())


def line_sheet(session: Session, days: tuple[date, date] | None = None) -> Sheet:
    """Every part of every movement, where it is, and the document that booked it."""
    since, until = _between(days)
    query = (
        select(
            PartRow.id,
            MovementRow.ref,
            PartRow.name,
            PartRow.kind,
            PartRow.amount_minor,
            PartRow.currency,
            PartRow.state,
            PartRow.reason,
            PartRow.set_aside_by,
            PartRow.set_aside_where,
            DocumentRow.key,
            DocumentRow.number,
        )
        .join(MovementRow, MovementRow.id == PartRow.movement_id)
        .outerjoin(DocumentRow, DocumentRow.id == PartRow.document_id)
        .where(MovementRow.booking_date >= since, MovementRow.booking_date <= until)
    )

    def rows() -> Iterator[Sequence[Cell]]:
        for row in _chunks(session, query, PartRow.id):
            yield (
                row.ref,
                row.name,
                row.kind,
                Money(row.amount_minor, row.currency),
                row.currency,
                row.state,
                row.reason,
                row.set_aside_by,
                row.set_aside_where,
                row.key or "",
                row.number or "",
            )

    columns = (
        *("movement", "part", "kind", "amount", "currency", "state", "reason", "set_aside_by", "booked_where"),
        *("document", "number"),
    )
    return Sheet("lines", columns, rows())


def payout_sheet(session: Session, days: tuple[date, date] | None = None) -> Sheet:
    """Every payout and whether its lines make up its amount."""
    since, until = _between(days)

    def rows() -> Iterator[Sequence[Cell]]:
        for row in session.scalars(select(PayoutRow).order_by(PayoutRow.id)):
            if row.arrival_date is not None and not since <= row.arrival_date <= until:
                continue
            items = Money(row.items_minor, row.currency) if row.items_minor is not None else None
            yield (
                row.connection_id,
                row.ref,
                row.paid_out_at,
                row.arrival_date,
                Money(row.amount_minor, row.currency),
                row.currency,
                row.state,
                row.itemisation,
                items,
            )

    columns = ("connection", "reference", "created_at", "arrival", "amount", "currency", "state", "list", "lines_sum")
    return Sheet("payouts", columns, rows())


def proof_sheet(session: Session, days: tuple[date, date] | None = None) -> Sheet:
    """The daily proofs of every clearing account."""
    since, until = _between(days)

    def rows() -> Iterator[Sequence[Cell]]:
        for row in session.scalars(select(ProofRow).order_by(ProofRow.id)):
            if not since <= row.at.date() <= until:
                continue
            yield (
                row.at,
                row.connection_id,
                row.currency,
                Money(row.opening_minor, row.currency),
                Money(row.ledger_minor, row.currency),
                Money(row.not_booked_minor, row.currency),
                Money(row.provider_minor, row.currency),
                Money(row.difference_minor, row.currency),
                "yes" if row.difference_minor == 0 and row.details.get("holds", True) else "no",
            )

    columns = (*("at", "connection", "currency", "opening", "ledger", "not_booked", "provider", "difference", "holds"),)
    return Sheet("proofs", columns, rows())


def log_sheet(session: Session, days: tuple[date, date] | None = None, what: str = "") -> Sheet:
    """The log of who did what; with `what`, of one kind only (the history of settings)."""
    since, until = _between(days)

    def rows() -> Iterator[Sequence[Cell]]:
        query = select(ActivityRow).order_by(ActivityRow.id)
        if what:
            query = query.where(ActivityRow.what == what)
        for row in session.scalars(query):
            if since <= row.at.date() <= until:
                yield (row.at, row.who, row.origin, row.what, json.dumps(row.facts, ensure_ascii=False, sort_keys=True))

    return Sheet("settings_history" if what else "activity", ("at", "who", "from", "what", "facts"), rows())


_TABLES: Final[tuple[Callable[[Session, tuple[date, date] | None], Sheet], ...]] = (
    document_sheet,
    line_sheet,
    movement_sheet,
    payout_sheet,
)


def _days(services: Services, company_id: int, year: int | None) -> tuple[date, date] | None:
    """The days of a financial year, by the calendar year in which it ends; None for all. Raises `NothingToExport`."""
    if year is None:
        return None
    with services.db.company_reading(company_id) as session:
        books = connections.load_books(session)
    found = [one for one in books.years if one.last_day.year == year] if books is not None else []
    if not found:
        raise NothingToExport(f"the books have no financial year that ends in {year}")
    return min(one.first_day for one in found), max(one.last_day for one in found)


def csv_pack(services: Services, company_id: int, year: int | None = None) -> bytes:
    """Documents, lines, movements and payouts as CSV files in one zip. Raises `NothingToExport`."""
    days = _days(services, company_id, year)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        _write_tables(services, company_id, pack, days, "")
    return out.getvalue()


def _write_tables(
    services: Services, company_id: int, pack: zipfile.ZipFile, days: tuple[date, date] | None, folder: str
) -> None:
    with services.db.company_reading(company_id) as session:
        for table in _TABLES:
            sheet = table(session, days)
            _write_sheet(pack, f"{folder}{sheet.title}.csv", sheet)


def _write_sheet(pack: zipfile.ZipFile, name: str, sheet: Sheet) -> None:
    with pack.open(_named(name), "w") as file:
        # The mark at the beginning tells spreadsheet programs that the letters are UTF-8.
        file.write(b"\xef\xbb\xbf")
        for text in csv_lines(sheet):
            file.write(text.encode("utf-8", "replace"))


def _named(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _ZIPPED_AT)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


# --- The audit pack -----------------------------------------------------------------------------------------------


def audit_pack(services: Services, company_id: int, who: str, year: int | None = None) -> bytes:
    """Everything an auditor asks for, in one zip: SIE, CSV, proofs, statements, settings, log, documentation.

    One call to the accounting system. Raises `NothingToExport`, and the errors of `addon.ports.errors`.
    """
    sie = sie_file(services, company_id, year)
    days = (sie.year.first_day, sie.year.last_day)
    now = services.now()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr(_named("kvitt.se"), sie.content)
        _write_tables(services, company_id, pack, days, "csv/")
        with services.db.company_reading(company_id) as session:
            _write_sheet(pack, "csv/proofs.csv", proof_sheet(session, days))
            _write_sheet(pack, "settings/history.csv", log_sheet(session, None, "settings_changed"))
            _write_sheet(pack, "activity.csv", log_sheet(session, days))
            kept = _settings(session)
        pack.writestr(_named("settings/now.json"), json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True))
        for line in statements.listed(services, company_id, 2000):
            if days[0] <= line.until <= days[1]:
                found = statements.view(services, company_id, line.id)
                name = f"statements/{line.provider}-{line.connection_id}-{line.currency}-{line.since}-{line.until}.pdf"
                pack.writestr(_named(name), statements.paper(found))
        pack.writestr(_named("system-documentation.pdf"), documentation.paper(services, company_id, now))
        pack.writestr(_named("README.txt"), _contents(sie, now, who))
    return out.getvalue()


def _settings(session: Session) -> dict[str, Any]:
    return {
        "company": present(session, None),
        "connections": {
            f"{row.provider} {row.account_ref}": present(session, row)
            for row in session.scalars(select(Connection).order_by(Connection.id))
        },
    }


def _contents(sie: SieFile, now: datetime, who: str) -> str:
    lines = [
        f"Kvitt audit pack, financial year {sie.year.first_day} to {sie.year.last_day}",
        f"made {now.astimezone(UTC).isoformat(timespec='minutes')} by {who}",
        "",
        "kvitt.se                  every voucher that Kvitt booked, read back from the books (SIE 4I, code page 437)",
        "csv/                      documents, lines, movements, payouts and daily proofs",
        "statements/               statements of the clearing accounts as they were made",
        "settings/                 settings as they are, and every change of them with name and time",
        "activity.csv              who did what, when",
        "system-documentation.pdf  accounts, series, integrations, access and back-up",
        "",
        f"Vouchers in kvitt.se: {sie.vouchers}",
    ]
    if sie.missing:
        lines.append(f"Booked by Kvitt and not found in the books any more: {', '.join(sie.missing)}")
    return "\r\n".join(lines) + "\r\n"
