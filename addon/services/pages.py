"""What the pages show: read-only questions to the database, each answered with frozen values.

Each function opens one reading transaction of one company, asks a fixed number of queries however long the
list is, and pages by key: the last row seen, never an offset. Lists leave the raw records in the database.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, tuple_, union
from sqlalchemy.orm import InstrumentedAttribute, Session

from addon.core.books import Books, Feature
from addon.core.dates import booking_date
from addon.core.delivery import PartState
from addon.core.documents import Document
from addon.core.holds import HoldReason
from addon.core.invoicing import Invoicing
from addon.core.money import Money
from addon.core.records import Itemisation, Movement, MovementKind, PartKind, PayoutState
from addon.core.running import RunningProof
from addon.ports import registry
from addon.services.context import Services
from addon.services.outlook import ModeFigures, figures
from addon.services.running import running_proof
from addon.services.settings import cannot
from addon.store import codec
from addon.store.models import (
    AccountingConnection,
    ActivityRow,
    BooksRow,
    CallRow,
    CheckRow,
    Company,
    CompanyWork,
    Connection,
    DeliveryRow,
    DocumentRow,
    Instant,
    MovementRow,
    PartRow,
    PayoutRow,
    ProofRow,
    RunRow,
)

PAGE_ROWS: Final = 50
INBOX_ROWS: Final = 25
PAYOUT_ROWS: Final = 200
COUNT_LIMIT: Final = 1000
"""Counts shown beside a word in the menu stop here."""

_SUMMARY_ORDER: Final = (
    PartState.HELD,
    PartState.WAITING,
    PartState.OPEN,
    PartState.PLANNED,
    PartState.SET_ASIDE,
    PartState.BOOKED,
)
"""A movement is as far as the part that is least far."""

T = TypeVar("T")


class NotHere(LookupError):
    """This company has no such thing; whether another has one is not for it to know."""


# --- Cursors -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: the instant and id of the row next to it, and which way to read."""

    at: datetime
    id: int
    backwards: bool = False

    def __str__(self) -> str:
        text = f"{'-' if self.backwards else '+'}{self.at.astimezone(UTC).isoformat()}~{self.id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read a cursor from an address; anything that is none gives None, and so the first page."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            way, (at_text, separator, id_text) = raw[:1], raw[1:].partition("~")
            at = datetime.fromisoformat(at_text)
            number = int(id_text)
            if at.tzinfo is not None:
                at = at.astimezone(UTC)
        except (ValueError, OverflowError, binascii.Error):
            return None
        if at.tzinfo is None or separator != "~" or way not in ("+", "-") or not 0 < number < 2**63:
            return None
        return cls(at, number, way == "-")


@dataclass(frozen=True, slots=True)
class Listing:
    """How to go on from a page: cursors of the newer and the older rows, None at an end."""

    newer: str | None
    older: str | None


def _page(
    query: Any,
    at: InstrumentedAttribute[Any],
    row_id: InstrumentedAttribute[int],
    cursor: Cursor | None,
    rows: int,
) -> Any:
    """The query for one page and one row more, newest first unless it is read backwards."""
    if cursor is not None:
        here = tuple_(literal(cursor.at, Instant()), literal(cursor.id))
        place = tuple_(at, row_id)
        query = query.where(place > here if cursor.backwards else place < here)
    if cursor is not None and cursor.backwards:
        return query.order_by(at, row_id).limit(rows + 1)
    return query.order_by(at.desc(), row_id.desc()).limit(rows + 1)


def _cut(
    found: Sequence[T], cursor: Cursor | None, rows: int, place: Mapping[int, tuple[datetime, int]]
) -> tuple[tuple[T, ...], Listing]:
    """Take the page's rows, newest first, and say whether there is more on either side.

    `place` gives instant and id of each row by its index in `found`.
    """
    more = len(found) > rows
    indexes = list(range(min(len(found), rows)))
    backwards = cursor is not None and cursor.backwards
    if backwards:
        indexes.reverse()
    if not indexes:
        return (), Listing(None, None)
    first, last = place[indexes[0]], place[indexes[-1]]
    newer = Cursor(*first, backwards=True) if (more if backwards else cursor is not None) else None
    older = Cursor(*last) if (True if backwards else more) else None
    return tuple(found[index] for index in indexes), Listing(
        str(newer) if newer else None, str(older) if older else None
    )


# --- The frame around each page ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A connection to a payment provider, in a line."""

    id: int
    provider: str
    way: str
    account_ref: str
    account_name: str
    country: str
    state: str
    mode: str
    start_date: date | None
    connected_at: datetime


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run, in a line."""

    id: int
    trigger: str
    state: str
    phase: str
    counts: Mapping[str, int]
    now_doing: str
    message: str
    started_at: datetime
    finished_at: datetime | None
    connection_id: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around each page: the company, its connections, and how much waits for a person.

    `held` and `proposed` stop counting at `COUNT_LIMIT`.
    """

    company_id: int
    name: str
    organisation_number: str
    country: str
    currency: str
    accounting: str
    accounting_state: str
    zone: ZoneInfo
    daily_at: time
    state: str
    stop_reason: str
    sandbox: bool
    held: int
    proposed: int
    last_run: RunLine | None
    next_run_at: datetime | None
    connections: tuple[ConnectionLine, ...]

    @property
    def ready(self) -> bool:
        """Whether a provider is connected and a mode has been chosen."""
        return any(connection.mode and connection.state == "connected" for connection in self.connections)

    def connection(self, connection_id: int) -> ConnectionLine | None:
        """One of the company's connections."""
        return next((line for line in self.connections if line.id == connection_id), None)


def _run_line(row: RunRow) -> RunLine:
    return RunLine(
        row.id,
        row.trigger,
        row.state,
        row.phase,
        {name: int(number) for name, number in row.counts.items() if isinstance(number, int)},
        row.now_doing,
        row.message,
        row.started_at,
        row.finished_at,
        row.connection_id,
    )


def _connection_line(row: Connection) -> ConnectionLine:
    return ConnectionLine(
        row.id,
        row.provider,
        row.way,
        row.account_ref,
        row.account_name,
        row.country,
        row.state,
        row.mode,
        row.start_date,
        row.connected_at,
    )


def _company(session: Session, company_id: int) -> Company:
    company = session.get(Company, company_id)
    if company is None:
        raise NotHere(f"company {company_id}")
    return company


def frame(services: Services, company_id: int) -> Frame:
    """The frame of a company's pages. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        company = _company(session, company_id)
        connections = session.scalars(select(Connection).order_by(Connection.id)).all()
        books = session.scalars(select(AccountingConnection)).first()
        last_run = session.scalars(select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(1)).first()
        held = select(PartRow.movement_id).where(PartRow.state == PartState.HELD).distinct()
        proposed = select(DocumentRow.id).where(DocumentRow.state == "proposed")
        work = session.get(CompanyWork, company_id)
        return Frame(
            company_id=company.id,
            name=company.name,
            organisation_number=company.organisation_number,
            country=company.country,
            currency=company.currency,
            accounting=company.accounting,
            accounting_state=books.state if books is not None else "disconnected",
            zone=ZoneInfo(company.time_zone),
            daily_at=company.daily_at,
            state=company.state,
            stop_reason=company.stop_reason,
            sandbox=company.sandbox,
            held=_count(session, held),
            proposed=_count(session, proposed),
            last_run=_run_line(last_run) if last_run is not None else None,
            next_run_at=work.next_run_at if work is not None else None,
            connections=tuple(_connection_line(row) for row in connections),
        )


def _count(session: Session, query: Select[Any]) -> int:
    """How many rows, up to `COUNT_LIMIT`."""
    return session.scalar(select(func.count()).select_from(query.limit(COUNT_LIMIT).subquery())) or 0


# --- Overview ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Amounts:
    """A number of things and their amounts, one for each currency."""

    count: int
    sums: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A named difference between the ledger and our documents, in the books' currency."""

    name: str
    reference: str
    booking_date: str
    amount: Money
    text: str


@dataclass(frozen=True, slots=True)
class IdentityCard:
    """The clearing identity of a connection and currency as last proved, and what it is made of.

    `opening + ledger + not_booked = balance` where `difference` is nought; `unbooked` is `not_booked` by why:
    held, waiting, under_way, planned, set_aside. `holds`: also the ledger has what our documents put there.
    """

    connection_id: int
    provider: str
    currency: str
    at: datetime
    opening: Money
    balance: Money
    ledger: Money
    not_booked: Money
    difference: Money
    unbooked: tuple[tuple[str, Money], ...]
    holds: bool
    named: tuple[Difference, ...]

    @property
    def books(self) -> Money:
        """What the books say the provider owes: opening and ledger together."""
        return self.opening + self.ledger

    @property
    def held(self) -> Money:
        """What needs a person."""
        return next((amount for why, amount in self.unbooked if why == "held"), Money.zero(self.currency))

    @property
    def kvitt(self) -> bool:
        """Whether the identity holds and nothing in it needs a person."""
        return self.holds and not self.difference and not any(why == "held" for why, _ in self.unbooked)


_UNBOOKED: Final = ("held", "planned", "waiting", "under_way", "set_aside")


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """A payout, in a line. `proved` None: not known yet, or the provider does not itemise."""

    id: int
    connection_id: int
    provider: str
    ref: str
    amount: Money
    state: PayoutState
    itemisation: Itemisation
    created_at: datetime
    arrival_date: date | None
    items: Money | None
    document: str = ""

    @property
    def proved(self) -> bool | None:
        """Whether the movements add up to the payout."""
        return None if self.items is None else self.items == self.amount


@dataclass(frozen=True, slots=True)
class DayFigures:
    """A day's sales and fees in one balance currency; fees as a positive cost."""

    day: date
    sales: Money
    fees: Money


@dataclass(frozen=True, slots=True)
class Month:
    """What happened since the first of the company's month: counts by kind, and days for the bars."""

    first_day: date
    sales: int
    refunds: int
    payouts: int
    currency: str
    sold: Money
    fees: Money
    days: tuple[DayFigures, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview page."""

    cards: tuple[IdentityCard, ...]
    held: tuple[tuple[str, Amounts], ...]
    waiting: tuple[tuple[str, Amounts], ...]
    under_way: tuple[PayoutLine, ...]
    months: tuple[Month, ...]
    unproved: tuple[ConnectionLine, ...]
    """Connections that no proof has been made for yet."""


def overview(services: Services, company_id: int) -> Overview:
    """The overview page. Raises `NotHere`."""
    now = services.now()
    with services.db.company_reading(company_id) as session:
        company = _company(session, company_id)
        connections = {
            row.id: _connection_line(row) for row in session.scalars(select(Connection).order_by(Connection.id))
        }
        cards = _cards(session, connections)
        cards = tuple(sorted(cards, key=lambda card: (card.connection_id, card.currency != company.currency)))
        proved = {card.connection_id for card in cards}
        return Overview(
            cards=cards,
            held=_reasons(session, PartState.HELD),
            waiting=_reasons(session, PartState.WAITING),
            under_way=_under_way(session, connections),
            months=_months(session, booking_date(now, ZoneInfo(company.time_zone)), company.currency),
            unproved=tuple(line for line in connections.values() if line.id not in proved),
        )


def _cards(session: Session, connections: Mapping[int, ConnectionLine]) -> tuple[IdentityCard, ...]:
    newest = select(func.max(ProofRow.id)).group_by(ProofRow.connection_id, ProofRow.currency)
    proofs = session.scalars(
        select(ProofRow).where(ProofRow.id.in_(newest)).order_by(ProofRow.connection_id, ProofRow.currency)
    ).all()
    return tuple(
        _card(proof, connections[proof.connection_id]) for proof in proofs if proof.connection_id in connections
    )


def _card(proof: ProofRow, connection: ConnectionLine) -> IdentityCard:
    currency = proof.currency
    details = proof.details
    books_currency = str(details.get("books_currency", currency))
    return IdentityCard(
        connection_id=proof.connection_id,
        provider=connection.provider,
        currency=currency,
        at=proof.at,
        opening=Money(proof.opening_minor, currency),
        balance=Money(proof.provider_minor, currency),
        ledger=Money(proof.ledger_minor, currency),
        not_booked=Money(proof.not_booked_minor, currency),
        difference=Money(proof.difference_minor, currency),
        unbooked=tuple((why, Money(int(details[why]), currency)) for why in _UNBOOKED if details.get(why)),
        holds=proof.difference_minor == 0 and bool(details.get("holds", True)),
        named=tuple(
            Difference(
                str(entry.get("name", "")),
                str(entry.get("reference", "")),
                str(entry.get("date", "")),
                Money(int(entry.get("minor", 0)), books_currency),
                str(entry.get("text", "")),
            )
            for entry in details.get("named", ())
        ),
    )


def _reasons(session: Session, state: PartState) -> tuple[tuple[str, Amounts], ...]:
    """Counts and sums of the parts in a state, by reason; most first."""
    counts: dict[str, int] = defaultdict(int)
    sums: dict[str, list[Money]] = defaultdict(list)
    for reason, currency, count, total in session.execute(
        select(PartRow.reason, PartRow.currency, func.count(), func.sum(PartRow.amount_minor))
        .where(PartRow.state == state)
        .group_by(PartRow.reason, PartRow.currency)
        .order_by(PartRow.reason, PartRow.currency)
    ):
        counts[reason] += count
        sums[reason].append(Money(int(total), currency))
    return tuple(
        (reason, Amounts(counts[reason], tuple(sums[reason])))
        for reason in sorted(counts, key=lambda name: (-counts[name], name))
    )


def _under_way(session: Session, connections: Mapping[int, ConnectionLine]) -> tuple[PayoutLine, ...]:
    rows = session.scalars(
        select(PayoutRow)
        .where(PayoutRow.state == PayoutState.UNDER_WAY)
        .order_by(PayoutRow.paid_out_at.desc(), PayoutRow.id.desc())
        .limit(5)
    )
    return tuple(_payout_line(row, connections) for row in rows if row.connection_id in connections)


def _months(session: Session, today: date, own_currency: str) -> tuple[Month, ...]:
    """This month in each balance currency, the company's own first."""
    first_day = today.replace(day=1)
    # The list index is on the instant; a day's margin covers every time zone, the date decides.
    since = datetime.combine(first_day, time.min, tzinfo=UTC) - timedelta(days=1)
    days: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    fee_kinds = (MovementKind.FEE.value, MovementKind.FEE_TAX.value)
    for kind, currency, day, count, amount, net in session.execute(
        select(
            MovementRow.kind,
            MovementRow.currency,
            MovementRow.booking_date,
            func.count(),
            func.sum(MovementRow.amount_minor),
            func.sum(MovementRow.net_minor),
        )
        .where(MovementRow.occurred_at >= since, MovementRow.booking_date >= first_day)
        .group_by(MovementRow.kind, MovementRow.currency, MovementRow.booking_date)
    ):
        counts[currency, kind] += count
        sold, fees = days[currency].get(day, (0, 0))
        if kind == MovementKind.SALE:
            sold += int(amount)
        fees += int(amount) - int(net)
        if kind in fee_kinds:
            fees -= int(amount)
        days[currency][day] = (sold, fees)
    months = []
    for currency in sorted(days, key=lambda code: (code != own_currency, code)):
        figures = tuple(
            DayFigures(
                first_day + timedelta(days=offset),
                Money(days[currency].get(first_day + timedelta(days=offset), (0, 0))[0], currency),
                Money(days[currency].get(first_day + timedelta(days=offset), (0, 0))[1], currency),
            )
            for offset in range((today - first_day).days + 1)
        )
        months.append(
            Month(
                first_day=first_day,
                sales=counts[currency, MovementKind.SALE.value],
                refunds=counts[currency, MovementKind.REFUND.value],
                payouts=counts[currency, MovementKind.PAYOUT.value],
                currency=currency,
                sold=Money.total((figure.sales for figure in figures), currency),
                fees=Money.total((figure.fees for figure in figures), currency),
                days=figures,
            )
        )
    return tuple(months)


# --- Transactions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """What a person asked the list for. None and empty mean: everything."""

    connection_id: int | None = None
    kind: MovementKind | None = None
    state: PartState | None = None
    currency: str = ""
    since: date | None = None
    until: date | None = None
    search: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything was asked for."""
        return self == TransactionFilter()


@dataclass(frozen=True, slots=True)
class DocumentName:
    """What a document is called in the books: its kind (`DocumentKind`) and its number there."""

    kind: str
    number: str


@dataclass(frozen=True, slots=True)
class TransactionLine:
    """A movement, in a line, with the state of the part that is least far and its reason."""

    id: int
    connection_id: int
    provider: str
    ref: str
    kind: MovementKind
    occurred_at: datetime
    booking_date: date
    amount: Money
    net: Money
    presented: Money | None
    source_ref: str
    order_number: str
    buyer: str
    payout_ref: str
    state: PartState
    reason: str
    documents: tuple[DocumentName, ...]

    @property
    def fees(self) -> Money:
        """What the provider took, as a positive cost."""
        return self.amount - self.net


@dataclass(frozen=True, slots=True)
class Transactions:
    """A page of the list."""

    lines: tuple[TransactionLine, ...]
    listing: Listing
    currencies: tuple[str, ...]


_LINE_COLUMNS: Final = (
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
    MovementRow.order_number,
    MovementRow.buyer,
    MovementRow.payout_ref,
)


def transactions(
    services: Services,
    company_id: int,
    asked: TransactionFilter | None = None,
    cursor: Cursor | None = None,
    rows: int = PAGE_ROWS,
) -> Transactions:
    """A page of the movements that were asked for, newest first. Raises `NotHere`."""
    asked = asked or TransactionFilter()
    with services.db.company_reading(company_id) as session:
        zone = ZoneInfo(_company(session, company_id).time_zone)
        providers = _providers(session)
        query = _filtered(session, select(*_LINE_COLUMNS), asked, zone, providers)
        found = session.execute(_page(query, MovementRow.occurred_at, MovementRow.id, cursor, rows)).all()
        place = {index: (row.occurred_at, row.id) for index, row in enumerate(found)}
        kept, listing = _cut(found, cursor, rows, place)
        currencies = session.scalars(select(ProofRow.currency).distinct().order_by(ProofRow.currency)).all()
        return Transactions(_lines(session, kept, providers), listing, tuple(currencies))


def _providers(session: Session) -> dict[int, str]:
    return {row.id: row.provider for row in session.execute(select(Connection.id, Connection.provider))}


def _filtered(
    session: Session, query: Any, asked: TransactionFilter, zone: ZoneInfo, providers: Mapping[int, str]
) -> Any:
    if asked.connection_id is not None:
        query = query.where(MovementRow.connection_id == asked.connection_id)
    if asked.kind is not None:
        query = query.where(MovementRow.kind == asked.kind.value)
    if asked.currency:
        query = query.where(MovementRow.currency == asked.currency)
    if asked.since is not None:
        first = datetime.combine(asked.since, time.min, tzinfo=zone)
        query = query.where(MovementRow.occurred_at >= first)
    if asked.until is not None:
        after = datetime.combine(asked.until + timedelta(days=1), time.min, tzinfo=zone)
        query = query.where(MovementRow.occurred_at < after)
    if asked.state is not None:
        in_state = select(PartRow.movement_id).where(PartRow.state == asked.state.value)
        query = query.where(MovementRow.id.in_(in_state))
        if asked.state is PartState.BOOKED:
            # "Booked" means wholly so.
            open_parts = select(PartRow.movement_id).where(
                PartRow.state.in_([state.value for state in PartState if state is not PartState.BOOKED])
            )
            query = query.where(MovementRow.id.not_in(open_parts))
    if asked.search:
        query = query.where(MovementRow.id.in_(_searched(session, asked.search, providers)))
    return query


def _searched(session: Session, text: str, providers: Mapping[int, str]) -> Select[Any]:
    """Ids of movements that a text points at: references exactly, order number and buyer from their beginning.

    Each branch has its index and a limit, so that no text is dear; a text in the middle of another is not found.
    """
    words = text.strip()
    bare = words.lstrip("#").strip() or words
    own = MovementRow.connection_id.in_(list(providers))
    order, buyer = MovementRow.order_number, MovementRow.buyer
    beginnings = len(bare) >= _SHORTEST_BEGINNING
    conditions = [
        and_(own, MovementRow.ref == bare),
        and_(own, MovementRow.source_ref == bare),
        and_(own, MovementRow.original_ref == bare),
        and_(own, MovementRow.payout_ref == bare),
        _begins(session, order, bare) if beginnings else order == bare,
        _begins(session, buyer, words) if beginnings else buyer == words,
    ]
    if beginnings and words != words.lower():
        conditions.append(_begins(session, buyer, words.lower()))
    minor = _as_amount(words)
    if minor:
        conditions.append(MovementRow.amount_minor.in_(minor))
    branches = [_newest(select(MovementRow.id).where(condition), MovementRow.id) for condition in conditions]
    of_documents = select(DocumentRow.id).where(DocumentRow.number == bare)
    branches.append(
        _newest(
            select(PartRow.movement_id).where(PartRow.document_id.in_(of_documents)),
            PartRow.movement_id,
        )
    )
    found = union(*branches).subquery()
    return select(found.c[0])


def _begins(session: Session, column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Whether a column begins with a text, so that PostgreSQL can use the index.

    LIKE is not leakproof, and so takes no part in an index scan under row-level security; the operators of
    text_pattern_ops compare byte by byte and are.
    """
    if session.get_bind().dialect.name != "postgresql":
        return column.startswith(text, autoescape=True)
    following = ord(text[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:
        following = 0xE000
    above = text[:-1] + chr(min(following, 0x10FFFF))
    return and_(column.bool_op("~>=~")(text), column.bool_op("~<~")(above))


_SHORTEST_BEGINNING: Final = 3
"""Shorter texts are looked for as a whole: half of all order numbers begin with a 1."""
_MOST_FOUND: Final = 1000


def _newest(query: Select[Any], key: InstrumentedAttribute[int]) -> Select[Any]:
    """A branch of the search with its limit; wrapped, because SQLite takes no limit inside a union."""
    limited = query.order_by(key.desc()).limit(_MOST_FOUND).subquery()
    return select(limited.c[0])


def _as_amount(text: str) -> tuple[int, ...]:
    """The smallest units that "1 118,70" or "-40.00" may mean, with either sign; empty if it is no amount."""
    compact = "".join(text.split()).replace("\u2212", "-").replace(",", ".")
    if "." not in compact:
        return ()
    try:
        value = Decimal(compact)
    except InvalidOperation:
        return ()
    if not value.is_finite() or abs(value) >= Decimal(10) ** 12:
        return ()
    scaled = value.scaleb(2)
    if scaled != scaled.to_integral_value() or scaled == 0:
        return ()
    return (int(scaled), -int(scaled))


def _lines(session: Session, found: Sequence[Any], providers: Mapping[int, str]) -> tuple[TransactionLine, ...]:
    """Lines of the movements found, with states and document numbers by two more queries for all of them."""
    ids = [row.id for row in found]
    parts: dict[int, list[tuple[PartState, str]]] = defaultdict(list)
    numbers: dict[int, list[DocumentName]] = defaultdict(list)
    if ids:
        for movement_id, state, reason, kind, number in session.execute(
            select(PartRow.movement_id, PartRow.state, PartRow.reason, DocumentRow.kind, DocumentRow.number)
            .outerjoin(DocumentRow, DocumentRow.id == PartRow.document_id)
            .where(PartRow.movement_id.in_(ids))
            .order_by(PartRow.id)
        ):
            parts[movement_id].append((PartState(state), reason))
            if number and DocumentName(kind, number) not in numbers[movement_id]:
                numbers[movement_id].append(DocumentName(kind, number))
    return tuple(_line(row, parts[row.id], numbers[row.id], providers) for row in found)


def _line(
    row: Any, parts: Iterable[tuple[PartState, str]], numbers: Sequence[DocumentName], providers: Mapping[int, str]
) -> TransactionLine:
    state, reason = min(parts, key=lambda item: _SUMMARY_ORDER.index(item[0]), default=(PartState.OPEN, ""))
    return TransactionLine(
        id=row.id,
        connection_id=row.connection_id,
        provider=providers.get(row.connection_id, ""),
        ref=row.ref,
        kind=MovementKind(row.kind),
        occurred_at=row.occurred_at,
        booking_date=row.booking_date,
        amount=Money(row.amount_minor, row.currency),
        net=Money(row.net_minor, row.currency),
        presented=(
            Money(row.presented_minor, row.presented_currency)
            if row.presented_minor is not None and row.presented_currency
            else None
        ),
        source_ref=row.source_ref,
        order_number=row.order_number,
        buyer=row.buyer,
        payout_ref=row.payout_ref,
        state=state,
        reason=reason if state in (PartState.HELD, PartState.WAITING) else "",
        documents=tuple(numbers),
    )


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part of a movement, its state, and why."""

    id: int
    name: str
    kind: str
    amount: Money
    state: PartState
    reason: str
    facts: Mapping[str, str]
    wait_until: date | None
    document_id: int | None
    changed_at: datetime
    set_aside_by: str
    set_aside_where: str


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call to the outside."""

    at: datetime
    system: str
    method: str
    path: str
    status: int | None
    duration_ms: int
    request_ref: str
    note: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One remote write of a document: what it is, where it is, what was answered."""

    id: int
    kind: str
    key: str
    state: str
    attempt: int
    reference: str
    error_code: str
    error_message: str
    attempted_at: datetime | None
    booked_at: datetime | None
    not_before: datetime | None
    calls: tuple[CallLine, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentStory:
    """A document of ours with its plan, its steps and what became of it in the books."""

    id: int
    document: Document
    state: str
    hold_reason: str
    hold_facts: Mapping[str, str]
    number: str
    invoice_rate: str
    vouchers: tuple[str, ...]
    planned_at: datetime
    approved_at: datetime | None
    booked_at: datetime | None
    part_count: int
    steps: tuple[StepLine, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The story of one amount: what the provider says, what was decided, what stands in the books, the calls."""

    line: TransactionLine
    movement: Movement
    raw: Mapping[str, Any]
    fetched_at: datetime
    mode: str
    parts: tuple[PartLine, ...]
    documents: tuple[DocumentStory, ...]
    payout: PayoutLine | None
    related: tuple[TransactionLine, ...]


def transaction(services: Services, company_id: int, movement_id: int) -> Story:
    """The story of one movement. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(MovementRow).where(MovementRow.id == movement_id)).first()
        if row is None:
            raise NotHere(f"movement {movement_id}")
        connections = {
            each.id: _connection_line(each)
            for each in session.scalars(select(Connection).where(Connection.id == row.connection_id))
        }
        providers = {key: line.provider for key, line in connections.items()}
        part_rows = session.scalars(select(PartRow).where(PartRow.movement_id == row.id).order_by(PartRow.id)).all()
        document_ids = sorted({part.document_id for part in part_rows if part.document_id is not None})
        documents = _stories(session, document_ids)
        payout = None
        if row.payout_ref:
            payout_row = session.scalars(
                select(PayoutRow).where(PayoutRow.connection_id == row.connection_id, PayoutRow.ref == row.payout_ref)
            ).first()
            payout = _payout_line(payout_row, connections) if payout_row is not None else None
        line = _line(
            row,
            [(PartState(part.state), part.reason) for part in part_rows],
            [DocumentName(story.document.kind.value, story.number) for story in documents if story.number],
            providers,
        )
        connection = connections.get(row.connection_id)
        # What became of the amount comes before what became of its fees.
        main = {part.document_id for part in part_rows if part.kind == PartKind.AMOUNT}
        return Story(
            line=line,
            movement=codec.decode(Movement, row.value),
            raw=row.raw,
            fetched_at=row.fetched_at,
            mode=connection.mode if connection is not None else "",
            parts=tuple(_part_line(part) for part in part_rows),
            documents=tuple(sorted(documents, key=lambda story: story.id not in main)),
            payout=payout,
            related=_lines(session, _related(session, row), providers),
        )


def _part_line(part: PartRow) -> PartLine:
    return PartLine(
        part.id,
        part.name,
        part.kind,
        Money(part.amount_minor, part.currency),
        PartState(part.state),
        part.reason,
        _texts(part.facts),
        part.wait_until,
        part.document_id,
        part.changed_at,
        part.set_aside_by,
        part.set_aside_where,
    )


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in facts.items()}


def _related(session: Session, row: MovementRow) -> Sequence[Any]:
    """Other movements of the same sale: the sale of a refund, the refunds and disputes of a sale."""
    refs = [ref for ref in (row.source_ref, row.original_ref) if ref]
    if not refs:
        return ()
    same = MovementRow.connection_id == row.connection_id
    branches = union(
        select(MovementRow.id).where(same, MovementRow.source_ref.in_(refs)),
        select(MovementRow.id).where(same, MovementRow.original_ref.in_(refs)),
    ).subquery()
    return session.execute(
        select(*_LINE_COLUMNS)
        .where(MovementRow.id.in_(select(branches.c[0])), MovementRow.id != row.id)
        .order_by(MovementRow.occurred_at, MovementRow.id)
        .limit(20)
    ).all()


def _stories(session: Session, document_ids: Sequence[int]) -> tuple[DocumentStory, ...]:
    """Documents with their steps and calls: four queries, however many."""
    if not document_ids:
        return ()
    rows = session.scalars(select(DocumentRow).where(DocumentRow.id.in_(document_ids)).order_by(DocumentRow.id)).all()
    deliveries = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.document_id.in_(document_ids))
        .order_by(DeliveryRow.document_id, DeliveryRow.seq)
    ).all()
    part_counts = dict(
        session.execute(
            select(PartRow.document_id, func.count())
            .where(PartRow.document_id.in_(document_ids))
            .group_by(PartRow.document_id)
        ).all()
    )
    carried = _carried_along(session, deliveries)
    calls: dict[int, list[CallLine]] = defaultdict(list)
    if deliveries:
        for call in session.scalars(
            select(CallRow)
            .where(CallRow.delivery_id.in_([*(delivery.id for delivery in deliveries), *carried.values()]))
            .order_by(CallRow.at, CallRow.id)
        ):
            if call.delivery_id is not None:
                calls[call.delivery_id].append(_call_line(call))
    steps: dict[int, list[StepLine]] = defaultdict(list)
    for delivery in deliveries:
        shared = calls[carried[delivery.id]] if delivery.id in carried else []
        steps[delivery.document_id].append(_step_line(delivery, [*calls[delivery.id], *shared]))
    return tuple(
        DocumentStory(
            id=row.id,
            document=codec.decode(Document, row.payload),
            state=row.state,
            hold_reason=row.hold_reason,
            hold_facts=_texts(row.hold_facts),
            number=row.number,
            invoice_rate=row.invoice_rate,
            vouchers=tuple(row.vouchers),
            planned_at=row.planned_at,
            approved_at=row.approved_at,
            booked_at=row.booked_at,
            part_count=part_counts.get(row.id, 0),
            steps=tuple(steps[row.id]),
        )
        for row in rows
    )


def _carried_along(session: Session, rows: Sequence[DeliveryRow]) -> dict[int, int]:
    """For steps that were booked by the calls of another document's step: that step's id."""
    keys = {row.id: str(row.answer["beside"]) for row in rows if row.answer.get("beside")}
    if not keys:
        return {}
    query = select(DeliveryRow.key, DeliveryRow.id).where(DeliveryRow.key.in_(set(keys.values())))
    found = dict(session.execute(query).all())
    return {delivery_id: found[key] for delivery_id, key in keys.items() if key in found}


def _call_line(call: CallRow) -> CallLine:
    return CallLine(
        call.at,
        call.system,
        call.method,
        call.path,
        call.status,
        call.duration_ms,
        call.request_ref,
        call.note,
    )


def _step_line(row: DeliveryRow, calls: Sequence[CallLine]) -> StepLine:
    return StepLine(
        row.id,
        row.kind,
        row.key,
        row.state,
        row.attempt,
        row.reference,
        row.error_code,
        row.error_message,
        row.attempted_at,
        row.booked_at,
        row.not_before,
        tuple(calls),
    )


# --- Payouts -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payouts:
    """A page of the payouts."""

    lines: tuple[PayoutLine, ...]
    listing: Listing


@dataclass(frozen=True, slots=True)
class KindTotal:
    """All movements of one kind in a payout: gross, fees as a cost, and what they did to the balance."""

    kind: MovementKind
    count: int
    gross: Money
    fees: Money
    net: Money


@dataclass(frozen=True, slots=True)
class PayoutProof:
    """A payout with its lines and what they add up to."""

    payout: PayoutLine
    kinds: tuple[KindTotal, ...]
    total: Money
    """What the stored lines add up to."""
    earlier: Money | None
    """Lines from before the start date, which are part of the payout and not stored; None if not known."""
    difference: Money
    lines: tuple[TransactionLine, ...]
    listing: Listing
    own: TransactionLine | None
    """The movement of the payout itself, which carries the voucher."""
    documents: tuple[DocumentStory, ...]
    running: RunningProof | None = None
    """Of a payout without a list: the balance before and after it, where the provider has told both."""


def _payout_line(row: PayoutRow, connections: Mapping[int, ConnectionLine], document: str = "") -> PayoutLine:
    return PayoutLine(
        id=row.id,
        connection_id=row.connection_id,
        provider=connections[row.connection_id].provider,
        ref=row.ref,
        amount=Money(row.amount_minor, row.currency),
        state=PayoutState(row.state),
        itemisation=Itemisation(row.itemisation),
        created_at=row.paid_out_at,
        arrival_date=row.arrival_date,
        items=Money(row.items_minor, row.currency) if row.items_read and row.items_minor is not None else None,
        document=document,
    )


def payouts(
    services: Services,
    company_id: int,
    cursor: Cursor | None = None,
    connection_id: int | None = None,
    rows: int = PAGE_ROWS,
) -> Payouts:
    """A page of the payouts, newest first."""
    with services.db.company_reading(company_id) as session:
        connections = {row.id: _connection_line(row) for row in session.scalars(select(Connection))}
        query = select(PayoutRow)
        if connection_id is not None:
            query = query.where(PayoutRow.connection_id == connection_id)
        found = session.scalars(_page(query, PayoutRow.paid_out_at, PayoutRow.id, cursor, rows)).all()
        place = {index: (row.paid_out_at, row.id) for index, row in enumerate(found)}
        kept, listing = _cut(found, cursor, rows, place)
        numbers = _payout_documents(session, kept)
        return Payouts(tuple(_payout_line(row, connections, numbers.get(row.id, "")) for row in kept), listing)


def _payout_documents(session: Session, rows: Sequence[PayoutRow]) -> dict[int, str]:
    """The voucher of each payout, by the payout's own movement."""
    if not rows:
        return {}
    own = and_(
        MovementRow.connection_id.in_({row.connection_id for row in rows}),
        MovementRow.source_ref.in_([row.ref for row in rows]),
        MovementRow.kind == MovementKind.PAYOUT.value,
    )
    numbers: dict[tuple[int, str], str] = {}
    for connection_id, source_ref, number in session.execute(
        select(MovementRow.connection_id, MovementRow.source_ref, DocumentRow.number)
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .join(DocumentRow, DocumentRow.id == PartRow.document_id)
        .where(own)
    ):
        numbers[connection_id, source_ref] = number
    return {row.id: numbers.get((row.connection_id, row.ref), "") for row in rows}


def payout(
    services: Services, company_id: int, payout_id: int, cursor: Cursor | None = None, rows: int = PAYOUT_ROWS
) -> PayoutProof:
    """A payout's proof, line by line. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(PayoutRow).where(PayoutRow.id == payout_id)).first()
        if row is None:
            raise NotHere(f"payout {payout_id}")
        connections = {each.id: _connection_line(each) for each in session.scalars(select(Connection))}
        providers = {key: line.provider for key, line in connections.items()}
        inside = and_(
            MovementRow.connection_id == row.connection_id,
            MovementRow.payout_ref == row.ref,
            MovementRow.source_ref != row.ref,
        )
        kinds = tuple(
            KindTotal(
                MovementKind(kind),
                count,
                Money(int(gross), row.currency),
                Money(int(gross) - int(net), row.currency),
                Money(int(net), row.currency),
            )
            for kind, count, gross, net in session.execute(
                select(
                    MovementRow.kind,
                    func.count(),
                    func.sum(MovementRow.amount_minor),
                    func.sum(MovementRow.net_minor),
                )
                .where(inside)
                .group_by(MovementRow.kind)
                .order_by(func.sum(MovementRow.amount_minor).desc())
            )
        )
        found = session.execute(
            _page(select(*_LINE_COLUMNS).where(inside), MovementRow.occurred_at, MovementRow.id, cursor, rows)
        ).all()
        place = {index: (line.occurred_at, line.id) for index, line in enumerate(found)}
        kept, listing = _cut(found, cursor, rows, place)
        own = session.execute(
            select(*_LINE_COLUMNS)
            .where(
                MovementRow.connection_id == row.connection_id,
                MovementRow.source_ref == row.ref,
                MovementRow.kind == MovementKind.PAYOUT.value,
            )
            .limit(1)
        ).first()
        documents = _stories(session, _document_ids(session, own.id) if own is not None else [])
        total = Money.total((kind.net for kind in kinds), row.currency)
        line = _payout_line(row, connections, next((story.number for story in documents if story.number), ""))
        return PayoutProof(
            payout=line,
            kinds=kinds,
            total=total,
            earlier=line.items - total if line.items is not None else None,
            difference=line.amount - (line.items if line.items is not None else total),
            lines=_lines(session, kept, providers),
            listing=listing,
            own=_lines(session, [own], providers)[0] if own is not None else None,
            documents=documents,
            running=running_proof(session, row) if line.itemisation is Itemisation.NONE else None,
        )


def _document_ids(session: Session, movement_id: int) -> list[int]:
    found = session.scalars(select(PartRow.document_id).where(PartRow.movement_id == movement_id).distinct())
    return sorted(document_id for document_id in found if document_id is not None)


# --- Inbox ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A held part, with its movement's words."""

    part_id: int
    movement_id: int
    ref: str
    kind: MovementKind
    part_kind: str
    amount: Money
    provider: str
    occurred_at: datetime
    order_number: str
    buyer: str
    facts: Mapping[str, str]
    since: datetime
    document_id: int | None


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """All parts held for one reason; `lines` are the newest of them."""

    reason: str
    amounts: Amounts
    lines: tuple[HeldLine, ...]

    @property
    def more(self) -> int:
        """How many are not among the lines."""
        return self.amounts.count - len(self.lines)


@dataclass(frozen=True, slots=True)
class Inbox:
    """What needs a person, what waits by itself, and what people have set aside, by reason."""

    groups: tuple[HeldGroup, ...]
    waiting: tuple[tuple[str, Amounts], ...]
    set_aside: Amounts
    proved: bool
    """Whether every identity on the overview holds, so that an empty inbox may say so."""


def inbox(services: Services, company_id: int, reason: str = "", rows: int = INBOX_ROWS) -> Inbox:
    """The held parts by reason, the newest lines of each; of one reason only if it is given."""
    with services.db.company_reading(company_id) as session:
        connections = {
            row.id: _connection_line(row) for row in session.scalars(select(Connection).order_by(Connection.id))
        }
        reasons = _reasons(session, PartState.HELD)
        aside = _reasons(session, PartState.SET_ASIDE)
        cards = _cards(session, connections)
        # The newest lines of every reason in one query.
        ranked = (
            select(
                PartRow.id,
                func.row_number().over(partition_by=PartRow.reason, order_by=PartRow.id.desc()).label("place"),
            )
            .where(PartRow.state == PartState.HELD)
            .where(PartRow.reason == reason if reason else literal(True))
            .subquery()
        )
        lines: dict[str, list[HeldLine]] = defaultdict(list)
        for part, movement in session.execute(
            select(PartRow, MovementRow)
            .join(MovementRow, MovementRow.id == PartRow.movement_id)
            .where(PartRow.id.in_(select(ranked.c.id).where(ranked.c.place <= rows)))
            .order_by(PartRow.id.desc())
        ):
            provider = connections[part.connection_id].provider if part.connection_id in connections else ""
            lines[part.reason].append(_held_line(part, movement, provider))
        return Inbox(
            groups=tuple(
                HeldGroup(name, amounts, tuple(lines[name]))
                for name, amounts in reasons
                if not reason or name == reason
            ),
            waiting=_reasons(session, PartState.WAITING),
            set_aside=Amounts(
                sum(amounts.count for _, amounts in aside),
                _added(money for _, amounts in aside for money in amounts.sums),
            ),
            proved=bool(cards) and all(card.holds for card in cards),
        )


def _added(amounts: Iterable[Money]) -> tuple[Money, ...]:
    totals: dict[str, Money] = {}
    for amount in amounts:
        totals[amount.currency] = totals.get(amount.currency, Money.zero(amount.currency)) + amount
    return tuple(totals[currency] for currency in sorted(totals))


def _held_line(part: PartRow, movement: MovementRow, provider: str) -> HeldLine:
    return HeldLine(
        part_id=part.id,
        movement_id=movement.id,
        ref=movement.ref,
        kind=MovementKind(movement.kind),
        part_kind=part.kind,
        amount=Money(part.amount_minor, part.currency),
        provider=provider,
        occurred_at=movement.occurred_at,
        order_number=movement.order_number,
        buyer=movement.buyer,
        facts=_texts(part.facts),
        since=part.changed_at,
        document_id=part.document_id,
    )


def held_part_ids(services: Services, company_id: int, reason: str, limit: int = 5000) -> tuple[int, ...]:
    """The parts held for one reason, for a remedy that concerns all of them."""
    with services.db.company_reading(company_id) as session:
        return tuple(
            session.scalars(
                select(PartRow.id)
                .where(PartRow.state == PartState.HELD, PartRow.reason == reason)
                .order_by(PartRow.id)
                .limit(limit)
            )
        )


# --- Proposed documents --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposedLine:
    """A document that waits for a person's approval."""

    id: int
    document: Document
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class Proposed:
    """The documents that wait for approval: counts and totals by kind, and a page of them."""

    kinds: tuple[tuple[str, Amounts], ...]
    lines: tuple[ProposedLine, ...]
    listing: Listing


def proposed(services: Services, company_id: int, cursor: Cursor | None = None, rows: int = PAGE_ROWS) -> Proposed:
    """The documents that wait for approval, newest first."""
    with services.db.company_reading(company_id) as session:
        counts: dict[str, int] = defaultdict(int)
        sums: dict[str, list[Money]] = defaultdict(list)
        for kind, currency, count, total in session.execute(
            select(DocumentRow.kind, DocumentRow.currency, func.count(), func.sum(DocumentRow.total_minor))
            .where(DocumentRow.state == "proposed")
            .group_by(DocumentRow.kind, DocumentRow.currency)
            .order_by(DocumentRow.kind, DocumentRow.currency)
        ):
            counts[kind] += count
            sums[kind].append(Money(int(total), currency))
        query = select(DocumentRow).where(DocumentRow.state == "proposed")
        found = session.scalars(_page(query, DocumentRow.planned_at, DocumentRow.id, cursor, rows)).all()
        place = {index: (row.planned_at, row.id) for index, row in enumerate(found)}
        kept, listing = _cut(found, cursor, rows, place)
        return Proposed(
            tuple((kind, Amounts(counts[kind], tuple(sums[kind]))) for kind in counts),
            tuple(ProposedLine(row.id, codec.decode(Document, row.payload), row.planned_at) for row in kept),
            listing,
        )


# --- Runs and activity ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run with what it has to show now; `calls` counts the calls that were made for it."""

    line: RunLine
    calls: tuple[tuple[str, int], ...]
    cards: tuple[IdentityCard, ...]


def run(services: Services, company_id: int, run_id: int) -> RunPage:
    """One run. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(RunRow).where(RunRow.id == run_id)).first()
        if row is None:
            raise NotHere(f"run {run_id}")
        connections = {each.id: _connection_line(each) for each in session.scalars(select(Connection))}
        return RunPage(
            _run_line(row),
            (),
            _cards(session, connections) if row.state == "done" else (),
        )


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """Who did what, when and from where."""

    id: int
    at: datetime
    who: str
    what: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    """A browser's network address, or the kind of process."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A page of the log, and the latest runs."""

    lines: tuple[ActivityLine, ...]
    listing: Listing
    runs: tuple[RunLine, ...]


def activity(services: Services, company_id: int, cursor: Cursor | None = None, rows: int = PAGE_ROWS) -> Activity:
    """The log, newest first, with the latest runs beside its first page."""
    with services.db.company_reading(company_id) as session:
        found = session.scalars(_page(select(ActivityRow), ActivityRow.at, ActivityRow.id, cursor, rows)).all()
        place = {index: (row.at, row.id) for index, row in enumerate(found)}
        kept, listing = _cut(found, cursor, rows, place)
        runs = (
            session.scalars(select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(20)).all()
            if cursor is None
            else []
        )
        return Activity(
            tuple(ActivityLine(row.id, row.at, row.who, row.what, dict(row.facts), row.origin) for row in kept),
            listing,
            tuple(_run_line(row) for row in runs),
        )


# --- Setting up ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A prerequisite as last tested."""

    id: int
    code: str
    subject: str
    year_ref: str
    ok: bool
    stops: bool
    repair: Mapping[str, Any]
    details: Mapping[str, str]
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the company has come with setting up."""

    checks: tuple[CheckLine, ...]
    books_read_at: datetime | None
    has_run: bool
    has_booked: bool
    looked: bool
    """Whether somebody has looked at what would be booked."""
    invoiced_elsewhere: int = 0
    """Sales that are held because another connection has invoiced them; stops counting at `COUNT_LIMIT`."""

    @property
    def red(self) -> tuple[CheckLine, ...]:
        """What is not well, the stopping ones first."""
        return tuple(sorted((line for line in self.checks if not line.ok), key=lambda line: not line.stops))

    @property
    def green(self) -> tuple[CheckLine, ...]:
        """What is well."""
        return tuple(line for line in self.checks if line.ok)

    @property
    def well(self) -> tuple[tuple[str, tuple[CheckLine, ...]], ...]:
        """What is well, by prerequisite; those with a red line as well are left out."""
        red = {line.code for line in self.red}
        by_code: dict[str, list[CheckLine]] = defaultdict(list)
        for line in self.green:
            if line.code not in red:
                by_code[line.code].append(line)
        return tuple((code, tuple(lines)) for code, lines in by_code.items())

    @property
    def stopped(self) -> bool:
        """Whether something keeps the whole company from being booked."""
        return any(line.stops for line in self.red)


def progress(services: Services, company_id: int) -> Progress:
    """The checks as last made, and which steps have been taken."""
    with services.db.company_reading(company_id) as session:
        own = registry.accounting(_company(session, company_id).accounting).checklist
        order = {entry.code: place for place, entry in enumerate(own)}
        checks = sorted(
            session.scalars(select(CheckRow)),
            key=lambda row: (order.get(row.code, len(order)), row.year_ref, row.subject),
        )
        books = session.scalars(select(BooksRow)).first()
        return Progress(
            checks=tuple(
                CheckLine(
                    row.id,
                    row.code,
                    row.subject,
                    row.year_ref,
                    row.ok,
                    row.stops,
                    dict(row.repair),
                    _texts(row.details),
                    row.checked_at,
                )
                for row in checks
            ),
            books_read_at=books.read_at if books is not None else None,
            has_run=session.scalar(select(RunRow.id).limit(1)) is not None,
            has_booked=session.scalar(select(DocumentRow.id).where(DocumentRow.state == "booked").limit(1)) is not None,
            looked=session.scalar(select(ActivityRow.id).where(ActivityRow.what == "preview_looked").limit(1))
            is not None,
            invoiced_elsewhere=_count(
                session,
                select(PartRow.id).where(
                    PartRow.state == PartState.HELD.value, PartRow.reason == HoldReason.ALREADY_INVOICED.value
                ),
            ),
        )


def mode_figures(services: Services, company_id: int) -> dict[int, ModeFigures]:
    """What each mode would mean for each connection that somebody has counted for."""
    with services.db.company_reading(company_id) as session:
        found = {row.id: figures(row.settings) for row in session.scalars(select(Connection))}
    return {connection_id: counted for connection_id, counted in found.items() if counted is not None}


def company_country(services: Services, company_id: int) -> str:
    """Two letters of the country that a company's books are kept in."""
    with services.db.company_reading(company_id) as session:
        return _company(session, company_id).country


def invoicing(services: Services, company_id: int) -> Invoicing | None:
    """The registers that the company's invoices name; None where there are none, or the books have not been read."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(BooksRow)).first()
    return codec.decode(Books, row.value).invoicing if row is not None else None


def lacking(services: Services, company_id: int) -> tuple[Feature, ...]:
    """What the company's accounting system cannot do, and so is not offered."""
    with services.db.company_reading(company_id) as session:
        return cannot(session)


def chart(services: Services, company_id: int) -> tuple[tuple[str, str], ...]:
    """Numbers and names of the active accounts in the newest financial year that was read."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(BooksRow)).first()
    if row is None:
        return ()
    books = codec.decode(Books, row.value)
    newest = max(books.years, key=lambda year: year.last_day, default=None)
    if newest is None:
        return ()
    return tuple(
        sorted((entry.number, entry.name) for entry in books.accounts if entry.active and entry.year_ref == newest.ref)
    )
