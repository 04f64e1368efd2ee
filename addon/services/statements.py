"""Statements of clearing accounts: made from what a proof has read back, kept as made, written as sheets and paper."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.orm import Session

from addon.core.books import LedgerEntry
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import DocumentKind
from addon.core.money import Money
from addon.core.reconcile import BookedEffect
from addon.core.records import MovementKind, PartKind
from addon.core.rules import Policy
from addon.core.statement import DocumentFact, Group, OpenWhy, PartFact, Statement, UnsettledInvoice, make_statement
from addon.core.text import HOLD_TEXTS
from addon.services.context import Services
from addon.services.paper import Attached, Paper, pdf
from addon.services.policy import provider_name
from addon.services.standing import CLEARING_SIDES
from addon.services.tables import Sheet
from addon.store.codec import decode, encode
from addon.store.models import Company, Connection, DocumentRow, MovementRow, PartRow, StatementRow

AGAIN_AFTER: Final = timedelta(hours=20)
"""How long a month's statement that has open items stays as it is, before a proof makes it again."""

EDGE: Final = timedelta(days=62)
"""No entry is dated further from its movement (a payout's arrival, a locked period): beyond, only sums matter."""


class NoStatement(LookupError):
    """The company has no such statement."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement to be made: which currency, which days, and who asked."""

    currency: str
    since: date
    until: date
    who: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A statement, in a line."""

    id: int
    connection_id: int
    provider: str
    currency: str
    since: date
    until: date
    made_at: datetime
    made_by: str
    holds: bool


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement with what stands around it: whose it is, and how it was made."""

    line: StatementLine
    statement: Statement
    company: str
    organisation_number: str
    account_ref: str
    account_name: str
    newest_id: int
    """The newest statement of the same days: another one, where the books have changed since."""


# --- Making -----------------------------------------------------------------------------------------------------


def last_month(today: date) -> tuple[date, date]:
    """First and last day of the month before this one."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def due(
    session: Session, connection_id: int, currencies: Sequence[str], start: date, today: date, now: datetime
) -> list[Asked]:
    """Which months a proof should make by itself: the month that has closed, until nothing is open in it any more."""
    since, until = last_month(today)
    if start > until:
        return []
    since = max(since, start)
    found: list[Asked] = []
    for currency in currencies:
        newest = session.scalars(
            select(StatementRow)
            .where(
                StatementRow.connection_id == connection_id,
                StatementRow.currency == currency,
                StatementRow.since == since,
                StatementRow.until == until,
            )
            .order_by(StatementRow.id.desc())
            .limit(1)
        ).first()
        if newest is not None:
            unsettled = not newest.holds or bool(newest.value.get("open_items"))
            if not unsettled or now - newest.made_at < AGAIN_AFTER:
                continue
        found.append(Asked(currency, since, until, ""))
    return found


def make(
    session: Session,
    connection_id: int,
    policy: Policy,
    asked: Asked,
    opening: Money,
    told: Money,
    entries: Sequence[LedgerEntry],
    accounts: Sequence[str],
    now: datetime,
    unsettled: Sequence[UnsettledInvoice] = (),
) -> StatementRow:
    """Make a statement and keep it, unless the newest one of these days says the same. The caller commits."""
    statement = make_statement(
        asked.since,
        asked.until,
        opening,
        told,
        load_parts(session, connection_id, asked.currency, asked.until),
        load_documents(session, connection_id, asked.currency, policy.books_currency),
        entries,
        policy.books_currency,
        accounts,
    )
    statement = replace(statement, unsettled=tuple(unsettled))
    value = encode(statement)
    mark = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    newest = session.scalars(
        select(StatementRow)
        .where(
            StatementRow.connection_id == connection_id,
            StatementRow.currency == asked.currency,
            StatementRow.since == asked.since,
            StatementRow.until == asked.until,
        )
        .order_by(StatementRow.id.desc())
        .limit(1)
    ).first()
    if newest is not None and newest.fingerprint == mark:
        return newest
    row = StatementRow(
        connection_id=connection_id,
        currency=asked.currency,
        since=asked.since,
        until=asked.until,
        made_at=now,
        made_by=asked.who,
        holds=statement.holds,
        fingerprint=mark,
        value=value,
    )
    session.add(row)
    session.flush()
    return row


def load_parts(session: Session, connection_id: int, currency: str, until: date) -> list[PartFact]:
    """Every part of a balance with its movement's day and where it is.

    What is booked long before the last day, or long after it, comes summed up by day and kind, so that a statement of
    one month does not grow with the years before it.
    """
    early, late = until - EDGE, until + EDGE
    far = and_(
        PartRow.state == PartState.BOOKED.value,
        or_(
            and_(MovementRow.booking_date < early, DocumentRow.booking_date < early),
            and_(MovementRow.booking_date > late, DocumentRow.booking_date > late),
        ),
    )
    own = (PartRow.connection_id == connection_id, PartRow.currency == currency)
    summed = [
        PartFact(
            "",
            MovementKind(row.movement_kind),
            PartKind(row.kind),
            row.booking_date,
            Money(int(row.total), currency),
            PartState.BOOKED,
            count=int(row.number),
        )
        for row in session.execute(
            select(
                MovementRow.kind.label("movement_kind"),
                PartRow.kind,
                MovementRow.booking_date,
                func.sum(PartRow.amount_minor).label("total"),
                func.count().label("number"),
            )
            .join(MovementRow, MovementRow.id == PartRow.movement_id)
            .join(DocumentRow, DocumentRow.id == PartRow.document_id)
            .where(*own, far)
            .group_by(MovementRow.kind, PartRow.kind, MovementRow.booking_date)
            .order_by(MovementRow.booking_date, MovementRow.kind, PartRow.kind)
        )
    ]
    single = [
        PartFact(
            row.ref,
            MovementKind(row.movement_kind),
            PartKind(row.kind),
            row.booking_date,
            Money(row.amount_minor, currency),
            PartState(row.state),
            row.reason,
            bool(row.set_aside_where) and row.state == PartState.SET_ASIDE.value,
            row.key or "",
        )
        for row in session.execute(
            select(
                MovementRow.ref,
                MovementRow.kind.label("movement_kind"),
                MovementRow.booking_date,
                PartRow.kind,
                PartRow.amount_minor,
                PartRow.state,
                PartRow.reason,
                PartRow.set_aside_where,
                DocumentRow.key,
            )
            .join(MovementRow, MovementRow.id == PartRow.movement_id)
            .outerjoin(DocumentRow, DocumentRow.id == PartRow.document_id)
            .where(*own, or_(DocumentRow.id.is_(None), not_(far)))
            .order_by(MovementRow.occurred_at, PartRow.id)
        )
    ]
    return [*summed, *single]


def load_documents(session: Session, connection_id: int, currency: str, home: str) -> list[DocumentFact]:
    """Every booked document with its effect on the balance's clearing account, oldest first."""
    found: list[tuple[int, DocumentFact]] = []
    for of_currency, minor, books_minor in CLEARING_SIDES:
        query = select(
            DocumentRow.id,
            DocumentRow.key,
            DocumentRow.kind,
            DocumentRow.booking_date,
            DocumentRow.currency,
            DocumentRow.vouchers,
            minor.label("minor"),
            books_minor.label("books_minor"),
        ).where(
            DocumentRow.connection_id == connection_id,
            of_currency == currency,
            DocumentRow.state == DeliveryState.BOOKED.value,
        )
        for row in session.execute(query):
            effect = BookedEffect(
                row.key,
                tuple(row.vouchers),
                Money(row.minor, currency),
                Money(row.books_minor or 0, home),
                row.currency != home,
            )
            found.append((row.id, DocumentFact(row.key, DocumentKind(row.kind), row.booking_date, effect)))
    return [fact for _, fact in sorted(found, key=lambda entry: entry[0])]


# --- Reading ----------------------------------------------------------------------------------------------------


def _line(row: StatementRow, provider: str) -> StatementLine:
    return StatementLine(
        row.id,
        row.connection_id,
        provider,
        row.currency,
        row.since,
        row.until,
        row.made_at,
        row.made_by,
        row.holds,
    )


def listed(services: Services, company_id: int, limit: int = 200) -> tuple[StatementLine, ...]:
    """The newest statement of each account and days, latest days first."""
    with services.db.company_reading(company_id) as session:
        providers = {row.id: row.provider for row in session.scalars(select(Connection))}
        rows = session.scalars(
            select(StatementRow).order_by(StatementRow.until.desc(), StatementRow.id.desc()).limit(limit)
        )
        newest: dict[tuple[int, str, date, date], StatementRow] = {}
        for row in rows:
            newest.setdefault((row.connection_id, row.currency, row.since, row.until), row)
        return tuple(_line(row, providers.get(row.connection_id, "")) for row in newest.values())


def view(services: Services, company_id: int, statement_id: int) -> StatementView:
    """One statement as it was made. Raises `NoStatement`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(StatementRow).where(StatementRow.id == statement_id)).one_or_none()
        if row is None:
            raise NoStatement(f"statement {statement_id}")
        company = session.get_one(Company, company_id)
        connection = session.get_one(Connection, row.connection_id)
        newest = session.scalar(
            select(StatementRow.id)
            .where(
                StatementRow.connection_id == row.connection_id,
                StatementRow.currency == row.currency,
                StatementRow.since == row.since,
                StatementRow.until == row.until,
            )
            .order_by(StatementRow.id.desc())
            .limit(1)
        )
        return StatementView(
            _line(row, connection.provider),
            decode(Statement, row.value),
            company.name,
            company.organisation_number,
            connection.account_ref,
            connection.account_name,
            int(newest or row.id),
        )


# --- Writing ----------------------------------------------------------------------------------------------------

GROUP_NAMES: Final = {
    Group.SALES: "Gross sales",
    Group.REFUNDS: "Refunds",
    Group.DISPUTES: "Disputes",
    Group.FEES: "Fees",
    Group.RESERVES: "Reserves",
    Group.TRANSFERS: "Transfers, top-ups and financing",
    Group.EXCHANGE: "Exchange between balances",
    Group.ADJUSTMENTS: "Adjustments and unknown kinds",
    Group.PAYOUTS: "Payouts",
}
WHY_NAMES: Final = {
    OpenWhy.HELD: "Held: needs a person",
    OpenWhy.WAITING: "Waiting",
    OpenWhy.UNDER_WAY: "Payout under way to the bank",
    OpenWhy.PLANNED: "On its way into the books",
    OpenWhy.SET_ASIDE: "Set aside, booked nowhere",
    OpenWhy.IN_TRANSIT: "Payout in transit on the last day, booked on its arrival",
    OpenWhy.DATED_LATER: "Booked under a later date",
    OpenWhy.DATED_EARLIER: "Booked under an earlier date",
}
NAMED_NAMES: Final = {
    "posting_by_person": "Entry by a person on the clearing account",
    "voucher_missing": "Entry of Kvitt's that is gone from the books",
    "voucher_differs": "Entry of Kvitt's that was changed",
    "rounding": "Rounding",
    "exchange": "Exchange difference",
}


def _reason(text: str) -> str:
    return next((words for reason, words in HOLD_TEXTS.items() if reason.value == text), text.replace("_", " "))


def sheets(statement: Statement) -> tuple[Sheet, ...]:
    """The statement as tables: the account, the way to the ledger, what is open, what differs."""
    currency, home = statement.currency, statement.books_currency
    account: list[tuple[Any, ...]] = [("Opening balance", None, statement.opening)]
    account += [(GROUP_NAMES[one.group], one.count, one.amount) for one in statement.groups]
    account += [("Closing balance", None, statement.closing), ("The provider's own balance", None, statement.told)]
    bridge: list[tuple[Any, ...]] = [("Closing balance", None, statement.closing)]
    bridge.append((f"In the books on {statement.until.isoformat()}, opening included", None, statement.ledger))
    for why in OpenWhy:
        items = [item.amount for item in statement.open_items if item.why is why]
        if items:
            bridge.append((WHY_NAMES[why], len(items), Money.total(items, currency)))
    bridge.append(("Difference", None, statement.difference))
    result = [
        Sheet(
            f"The account, {currency}",
            ("What", "Number", "Amount"),
            account,
            (
                "opening + gross sales - refunds - disputes - fees +/- reserves - payouts +/- exchange"
                " = closing = the provider's balance",
            ),
        ),
        Sheet(
            f"From provider to ledger, {currency}",
            ("What", "Number", "Amount"),
            bridge,
            (
                f"Account {', '.join(statement.accounts) or '-'}: {statement.ledger_books} in the books' currency"
                " since the start.",
            ),
        ),
        Sheet(
            f"Open on {statement.until.isoformat()}, {currency}",
            ("Why", "Reason", "Reference", "Day", "Amount", "Booked on"),
            [
                (WHY_NAMES[one.why], _reason(one.reason), one.reference, one.day, one.amount, one.booked_on)
                for one in statement.open_items
            ],
        ),
        Sheet(
            f"Entries that are not as Kvitt booked, {home}",
            ("What", "Reference", "Day", "Amount", "Text"),
            [
                (NAMED_NAMES.get(one.name, one.name), one.reference, one.booking_date, one.amount, one.text)
                for one in statement.named
            ],
        ),
        Sheet(
            "Invoices of Kvitt's that are not settled",
            ("Invoice", "Key", "Balance", "Currency", "Why"),
            [
                (one.number, one.key, one.balance, one.balance.currency, one.why.replace("_", " "))
                for one in statement.unsettled
            ],
            ("As the books stood when this statement was made; none is as it should be.",),
        ),
    ]
    return tuple(result)


def verdict(statement: Statement) -> str:
    """What the statement comes to, in a sentence."""
    if statement.holds:
        return "Kvitt: the provider's balance, the account and the ledger with its open items agree."
    if statement.closing != statement.told:
        return f"Differs: the account closes at {statement.closing}, the provider says {statement.told}."
    if statement.difference:
        return (
            f"Differs: {statement.difference} between provider and ledger; the entries that are not as booked say why."
        )
    return "Differs: the account has entries that are not as Kvitt booked; they stand in a table of their own."


def paper(found: StatementView, zone_name: str = "UTC") -> bytes:
    """The statement as PDF, with its data attached."""
    line, statement = found.line, found.statement
    title = f"Statement of {provider_name(line.provider)}, {line.currency}"
    made_by = line.made_by or "Kvitt"
    facts = (
        ("Company", f"{found.company}, {found.organisation_number}"),
        ("Provider's account", " ".join(filter(None, (found.account_name, found.account_ref)))),
        ("Clearing account", ", ".join(statement.accounts)),
        ("Made", f"{line.made_at.strftime('%Y-%m-%d %H:%M')} UTC by {made_by}, number {line.id}"),
        ("Dates in", zone_name),
        ("Result", verdict(statement)),
    )
    document = Paper(
        title,
        f"{line.since.isoformat()} to {line.until.isoformat()}",
        facts,
        sheets(statement),
        f"{found.company} - {title}, {line.until.isoformat()}, number {line.id}",
        line.made_at,
    )
    data = json.dumps(encode(statement), indent=1, ensure_ascii=False).encode()
    return pdf(document, (Attached("statement.json", "application/json", data),))
