"""The system documentation that bookkeeping law asks for, made from the settings as they are.

Source of what it must hold: BFNAR 2013:2 chapter 8 (account plan, series, how systems hang together, access, archive).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.services import connections
from addon.services.context import Services
from addon.services.paper import Paper, pdf
from addon.services.policy import account_map, provider_name
from addon.services.settings import own_company, present, read_company, read_connection
from addon.services.tables import Cell, Sheet
from addon.store.models import AccountingConnection, ActivityRow, Connection, DocumentRow

_ENTRIES: Final = (
    ("Sale", "customer invoice and its payment", "invoice series, payment series"),
    ("Refund", "credit note and its payment", "invoice series, payment series"),
    ("Payment on an invoice that was there", "payment", "payment series"),
    ("Fees of a closed day", "voucher", "Kvitt's own series"),
    ("Payout to the bank", "voucher", "Kvitt's own series"),
    ("Failed payout, corrections", "reversing voucher that names what it corrects", "Kvitt's own series"),
)
_FACTS_OF_DATA: Final = (
    (
        "Archive",
        "Entries are kept by the accounting system. Kvitt keeps the provider's records, its plans, its log and the "
        "statements for as long as the law asks, and hands them over as an audit pack.",
    ),
    (
        "Back-up",
        "The database of Kvitt is backed up by whoever runs it (docs/operations.md). After a restore Kvitt looks in "
        "the books before it writes, so that nothing is booked twice.",
    ),
    (
        "Corrections",
        "Nothing that is booked is changed or deleted: corrections are credit notes and reversing vouchers that name "
        "what they correct.",
    ),
    (
        "Audit trail",
        "From entry to record: each text carries the provider's reference. From record to entry: the page of each "
        "movement shows the rule, the document, the calls and the voucher.",
    ),
    (
        "Control",
        "After each run the clearing accounts are read back and compared with the provider's balance, part by part; "
        "each payout is compared with its movements and with the bank account.",
    ),
)


def paper(services: Services, company_id: int, now: datetime) -> bytes:
    """The documentation as PDF."""
    with services.db.company_reading(company_id) as session:
        company = own_company(session)
        sheets = (
            _accounts(session),
            _series(session),
            _integrations(session),
            _settings(session),
            _access(session),
            Sheet("Data", ("What", "How"), _FACTS_OF_DATA),
        )
        document = Paper(
            "System documentation",
            f"Kvitt for {company.name}",
            (
                ("Company", f"{company.name}, {company.organisation_number}"),
                ("Accounting system", provider_name(company.accounting)),
                ("Time zone of all booking dates", company.time_zone),
                ("Daily run", company.daily_at.strftime("%H:%M")),
                ("Made", f"{now.strftime('%Y-%m-%d %H:%M')} UTC, from the settings of that moment"),
            ),
            sheets,
            f"{company.name} - Kvitt, system documentation",
            now,
        )
    return pdf(document)


def _accounts(session: Session) -> Sheet:
    books = connections.load_books(session)
    names = _chart(books)
    company = read_company(session)
    rows: list[tuple[Cell, ...]] = []
    for row in session.scalars(select(Connection).order_by(Connection.id)):
        for role, number in sorted(read_connection(row).accounts.items()):
            rows.append((f"{provider_name(row.provider)} {row.account_ref}", role, number, names.get(number, "")))
    everything = account_map(company.accounts, {}, books).numbers if books is not None else company.accounts
    rows += [("company", role, number, names.get(number, "")) for role, number in sorted(everything.items())]
    return Sheet("Accounts and what they are used for", ("For", "Use", "Account", "Name"), rows)


def _chart(books: Books | None) -> dict[str, str]:
    return {account.number: account.name for account in books.accounts} if books is not None else {}


def _series(session: Session) -> Sheet:
    books, own = connections.load_books(session), read_company(session).voucher_series
    invoices, payments = (books.invoice_series, books.payment_series) if books is not None else ("", "")
    named = {
        "invoice series, payment series": f"{invoices}, {payments}",
        "payment series": payments,
        "Kvitt's own series": own,
    }
    return Sheet(
        "Events, entries and series",
        ("Event", "Entry", "Series"),
        [(event, entry, named[series]) for event, entry, series in _ENTRIES],
    )


def _integrations(session: Session) -> Sheet:
    books = session.scalars(select(AccountingConnection)).first()
    rows: list[tuple[Cell, ...]] = []
    if books is not None:
        rows.append((provider_name(books.system), "accounting", "", books.connected_at, books.state))
    for row in session.scalars(select(Connection).order_by(Connection.id)):
        account = f"{row.account_ref} {row.account_name}".strip()
        rows.append(
            (provider_name(row.provider), f"payments, mode {row.mode or '-'}", account, row.connected_at, row.state)
        )
    return Sheet("Integrations", ("System", "What for", "Account", "Since", "State"), rows)


def _settings(session: Session) -> Sheet:
    rows = [
        ("company", key, value)
        for key, value in sorted(present(session, None).items())
        if not key.startswith("accounts.")
    ]
    for row in session.scalars(select(Connection).order_by(Connection.id)):
        own = present(session, row)
        rows += [
            (f"{provider_name(row.provider)} {row.account_ref}", key, value)
            for key, value in sorted(own.items())
            if not key.startswith("accounts.")
        ]
    return Sheet("Settings that decide what is booked", ("For", "Setting", "Value"), rows)


def _access(session: Session) -> Sheet:
    rows = session.execute(
        select(ActivityRow.who, func.min(ActivityRow.at), func.max(ActivityRow.at), func.count())
        .group_by(ActivityRow.who)
        .order_by(ActivityRow.who)
    ).all()
    booked = session.scalar(select(func.count(DocumentRow.id)).where(DocumentRow.state == "booked")) or 0
    return Sheet(
        "Who has acted",
        ("Name", "First", "Last", "Entries in the log"),
        [(who, first, last, int(count)) for who, first, last, count in rows],
        (
            "People sign in through the accounting system; whoever may consent there has access here.",
            f"Documents booked so far: {booked}.",
        ),
    )
