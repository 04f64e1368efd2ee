"""Plan and approve: gather what the planner reads, store what it decided, and let people decide the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Delete, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from addon.core.books import InvoiceView, OrderField
from addon.core.dates import booking_date
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import (
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    PartRef,
    Step,
)
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.matching import NO_CHOICE, MatchChoice, order_list
from addon.core.money import Money
from addon.core.plan import (
    BookedSale,
    Carrying,
    OpenMovement,
    PayoutFact,
    Plan,
    PlannedPayout,
    SaleLine,
    Situation,
    plan,
)
from addon.core.plan.common import opening_rate
from addon.core.plan.match import order_of
from addon.core.plan.planner import FOREIGN
from addon.core.plan.refund import credited_by_line
from addon.core.plan.situation import Registers, YearEnd
from addon.core.plan.voucher import planned_payout
from addon.core.records import Itemisation, Movement, MovementKind, Payout
from addon.core.routing import route
from addon.core.rules import Mode, Policy
from addon.core.saleform import Articles
from addon.core.settlement import SettledSale, settled_sales, voucher_number
from addon.core.vat import OssRule
from addon.ports.accounting import AccountingSystem
from addon.ports.errors import Rejected
from addon.services import activity, articles, joining, oss, rules, vat_numbers
from addon.services.context import Services
from addon.services.holdings import load_holdings
from addon.services.ingest import UNDER_WAY_AT_START, start_day, start_instant, zone_of
from addon.services.settings import get_connection, read_company
from addon.services.standing import (
    GIVES_BACK,
    load_claims,
    load_disputes,
    load_moved,
    load_reserves,
    other_clearing,
    taken_back,
)
from addon.services.year_end import load_year_ends
from addon.store.bulk import among, insert_rows, with_defaults
from addon.store.codec import decode, encode, fingerprint
from addon.store.deliveries import SEQ_STEP, delivery_values, new_deliveries
from addon.store.models import (
    Connection,
    CustomerRow,
    DeliveryRow,
    DocumentRow,
    MovementRow,
    OssRow,
    PartRow,
    PayoutRow,
)
from addon.store.turns import take_turn

PASS_SIZE = 1000
"""Movements in one planning pass; a pass always takes whole days, since fees are booked per day."""
DELIVERY_REASONS = frozenset(
    {
        HoldReason.TOTAL_DIFFERS.value,
        HoldReason.RATE_DIFFERS.value,
        HoldReason.REJECTED.value,
        HoldReason.TOUCHED.value,
    }
)
"""Holds of a document that was planned: it goes on by pressing "Try again", not by planning anew."""
OPENING_VALUES = "opening_values"
"""Where a connection's row keeps what its foreign openings are carried at, from the first payout on."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What one planning pass did. `more`: fresh movements are left for another pass."""

    documents: int
    held: int
    waiting: int
    more: bool


# --- Gathering --------------------------------------------------------------------------------------------------


def _plannable() -> ColumnElement[bool]:
    states = (PartState.OPEN.value, PartState.WAITING.value, PartState.HELD.value)
    return PartRow.state.in_(states) & PartRow.document_id.is_(None)


def next_days(session: Session, connection_id: int) -> tuple[date | None, bool]:
    """Up to which day the next pass plans fresh movements, and whether more are left; None if none are fresh."""
    counts = session.execute(
        select(MovementRow.booking_date, func.count())
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(PartRow.connection_id == connection_id, PartRow.state == PartState.OPEN.value)
        .group_by(MovementRow.booking_date)
        .order_by(MovementRow.booking_date)
    ).all()
    total, last = 0, None
    for day, count in counts:
        if last is not None and total + count > PASS_SIZE:
            return last, True
        total, last = total + count, day
    return last, False


def load_open(
    session: Session, connection_id: int, until: date | None, today: date, zone: ZoneInfo
) -> list[OpenMovement]:
    """Movements with parts to plan: all up to a day, or (None) everything that waits or is held.

    `today` and the day on which waiting began are the company's.
    """
    query = (
        select(
            MovementRow.id,
            MovementRow.value,
            PartRow.name,
            PartRow.waiting_since,
            PartRow.match_choice,
            PartRow.state,
            PartRow.decision,
        )
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(PartRow.connection_id == connection_id, _plannable())
        .order_by(MovementRow.occurred_at, MovementRow.id)
    )
    if until is not None:
        query = query.where(MovementRow.booking_date <= until)
    values: dict[int, Mapping[str, Any]] = {}
    parts: dict[int, list[str]] = defaultdict(list)
    since: dict[int, datetime] = {}
    decided: dict[int, MatchChoice] = {}
    decisions: dict[int, str] = {}
    fresh: set[int] = set()
    held: dict[int, set[str]] = defaultdict(set)
    for row in session.execute(query):
        if row.match_choice:
            decided[row.id] = MatchChoice(**row.match_choice)
        values[row.id] = row.value
        parts[row.id].append(row.name)
        if row.state == PartState.HELD.value:
            held[row.id].add(row.name)
        if row.name == "amount":
            decisions[row.id] = row.decision
            if row.state == PartState.OPEN.value:
                fresh.add(row.id)
        if row.waiting_since is not None:
            since[row.id] = min(since.get(row.id, row.waiting_since), row.waiting_since)
    return [
        OpenMovement(
            decode(Movement, value),
            frozenset(parts[movement_id]),
            booking_date(since[movement_id], zone) if movement_id in since else today,
            decided.get(movement_id, NO_CHOICE),
            decisions.get(movement_id, ""),
            movement_id in fresh,
            held_parts=frozenset(held[movement_id]),
        )
        for movement_id, value in values.items()
    ]


def load_proposed(session: Session, connection_id: int) -> list[Document]:
    """Documents that are planned and not yet booked: proposed, approved or on their way."""
    rows = session.scalars(
        select(DocumentRow.payload)
        .where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.state.in_(
                (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
            ),
        )
        .order_by(DocumentRow.id)
    )
    return [decode(Document, payload) for payload in rows]


def load_situation(
    session: Session,
    connection_id: int,
    movements: Sequence[OpenMovement],
    matches: Mapping[str, tuple[InvoiceView, ...]],
    policy: Policy,
) -> Situation:
    """Everything that the planner reads of the database, for these movements."""
    settling = policy.mode is Mode.SETTLEMENT
    backwards = GIVES_BACK | _BACKWARDS if settling else GIVES_BACK
    originals = {
        entry.movement.original_ref
        for entry in movements
        if entry.movement.kind in backwards and entry.movement.original_ref
    }
    payout_refs = {
        entry.movement.source_ref
        for entry in movements
        if entry.movement.kind in (MovementKind.PAYOUT, MovementKind.PAYOUT_REVERSAL)
    }
    payout_of = _load_payout_of(session, connection_id, movements) if settling else {}
    connection = session.get_one(Connection, connection_id)
    coming = _load_rates_coming(session, connection_id)
    opened = opening_carrying(connection, policy)
    if connection.opening:
        unvalued = frozenset(currency for currency, carrying in opened.items() if carrying is None)
    else:
        unvalued = frozenset(entry.movement.currency for entry in movements) - {policy.books_currency}
    return Situation(
        movements=tuple(movements),
        payouts=_load_payouts(session, connection, payout_refs | set(payout_of.values()), policy.zone),
        sales=_load_sales(session, connection_id, originals),
        known_sales=_load_known_sales(session, connection_id, originals | taken_back(movements)),
        matches=matches,
        known_customers=_load_customer_keys(session),
        fee_vouchers=_load_fee_vouchers(session, connection_id),
        unvalued=unvalued,
        payments_under_way=_load_payments_under_way(session, matches, policy.books_currency),
        payout_vouchers=_load_payout_vouchers(session, connection_id, payout_refs),
        currencies_coming=frozenset(coming),
        rates_coming=coming,
        registers=_load_registers(session, policy),
        routed=rules.load_routed(session, connection_id, {entry.movement.original_ref for entry in movements}),
        payout_of=payout_of,
        split_payouts=_load_split_payouts(session, connection_id, payout_of),
        settled=_load_settled(session, connection_id, movements, policy.books_currency) if settling else {},
        settlement_vouchers=_load_settlement_vouchers(session, connection_id) if settling else {},
        unlisted_until=_load_unlisted_until(session, connection_id) if settling else {},
        number_checks=vat_numbers.load_checks(session, vat_numbers.wanted_numbers(movements, policy), policy),
        oss_years=oss.load_years(session, policy.books_currency) if policy.vat.oss is OssRule.FROM_THRESHOLD else {},
        disputes=load_disputes(session, connection_id, movements, policy.books_currency),
        reserves=load_reserves(session, connection_id, movements, policy.books_currency),
        moved=load_moved(session, connection_id, taken_back(movements), policy.books_currency),
        claims=load_claims(session, connection_id, policy.books_currency),
        holdings=load_holdings(session, connection, movements, policy, opened),
        year_ends=load_year_ends(session, connection, policy, opened),
    )


# --- Gathering for Settlement ----------------------------------------------------------------------------------

_BACKWARDS = frozenset(
    {
        MovementKind.REFUND,
        MovementKind.SALE_REVERSAL,
        MovementKind.REFUND_REVERSAL,
        MovementKind.DISPUTE_LOST,
    }
)
"""What takes a sale back, or takes that back again."""


def _load_payout_of(session: Session, connection_id: int, movements: Sequence[OpenMovement]) -> dict[str, str]:
    """The payout in whose list each movement stands; the payout's own movement is not in it."""
    refs = [entry.movement.ref for entry in movements]
    found: dict[str, str] = {}
    for start in range(0, len(refs), 500):
        rows = session.execute(
            select(MovementRow.ref, MovementRow.payout_ref).where(
                MovementRow.connection_id == connection_id,
                MovementRow.ref.in_(refs[start : start + 500]),
                MovementRow.payout_ref != "",
                MovementRow.source_ref != MovementRow.payout_ref,
            )
        )
        found.update((row.ref, row.payout_ref) for row in rows)
    return found


def _load_split_payouts(session: Session, connection_id: int, payout_of: Mapping[str, str]) -> frozenset[str]:
    """Payouts of whose open movements not all are in this pass."""
    here: dict[str, int] = defaultdict(int)
    for payout_ref in payout_of.values():
        here[payout_ref] += 1
    refs = sorted(here)
    split: set[str] = set()
    for start in range(0, len(refs), 500):
        rows = session.execute(
            select(MovementRow.payout_ref, func.count(func.distinct(MovementRow.id)).label("number"))
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.payout_ref.in_(refs[start : start + 500]),
                MovementRow.source_ref != MovementRow.payout_ref,
                _plannable(),
            )
            .group_by(MovementRow.payout_ref)
        )
        split.update(row.payout_ref for row in rows if int(row.number) != here[row.payout_ref])
    return frozenset(split)


def _load_settled(
    session: Session, connection_id: int, movements: Sequence[OpenMovement], home: str
) -> dict[str, SettledSale]:
    """How the sales are booked that these movements concern, where they stand or are on their way in vouchers."""
    wanted = sorted(
        {entry.movement.source_ref for entry in movements if entry.movement.kind is MovementKind.SALE}
        | {entry.movement.original_ref for entry in movements if entry.movement.kind in _BACKWARDS}
    )
    documents: dict[int, tuple[tuple[str, str], ...]] = {}
    for start in range(0, len(wanted), 500):
        chunk = wanted[start : start + 500]
        booked_in = (
            select(PartRow.document_id)
            .join(MovementRow, MovementRow.id == PartRow.movement_id)
            .where(
                MovementRow.connection_id == connection_id,
                or_(MovementRow.source_ref.in_(chunk), MovementRow.original_ref.in_(chunk)),
                # As with invoices: what a person has taken over is that person's, its refunds too.
                PartRow.state != PartState.SET_ASIDE.value,
            )
        )
        rows = session.execute(
            select(DocumentRow.id, DocumentRow.payload["facts"]).where(
                DocumentRow.id.in_(booked_in),
                DocumentRow.kind.in_((DocumentKind.SETTLEMENT.value, DocumentKind.DISPUTE_LOST.value)),
                DocumentRow.undone_by.is_(None),
            )
        )
        documents.update((number, tuple((name, value) for name, value in facts)) for number, facts in rows)
    found = settled_sales(documents.values(), home)
    return {source: found[source] for source in wanted if source in found}


def _load_settlement_vouchers(session: Session, connection_id: int) -> dict[str, int]:
    """The highest number that a voucher of a payout's month or of a day has; a number is never given twice."""
    highest: dict[str, int] = {}
    for key in session.scalars(
        select(DocumentRow.key).where(
            DocumentRow.connection_id == connection_id, DocumentRow.kind == DocumentKind.SETTLEMENT.value
        )
    ):
        group, number = voucher_number(key)
        highest[group] = max(highest.get(group, 0), number)
    return highest


def _load_unlisted_until(session: Session, connection_id: int) -> dict[str, datetime]:
    """By currency, when the newest payout was made, where that is one whose movements the provider never tells."""
    newest: dict[str, tuple[datetime, str]] = {}
    for row in session.execute(
        select(PayoutRow.currency, PayoutRow.paid_out_at, PayoutRow.itemisation)
        .where(PayoutRow.connection_id == connection_id)
        .order_by(PayoutRow.paid_out_at, PayoutRow.id)
    ):
        newest[row.currency] = (row.paid_out_at, row.itemisation)
    return {currency: at for currency, (at, kind) in newest.items() if kind == Itemisation.NONE.value}


# --- Gathering for every mode ----------------------------------------------------------------------------------


def _load_registers(session: Session, policy: Policy) -> Registers:
    """Articles and customers' names, where the company's choices ask for them."""
    form = policy.form
    names = select(CustomerRow.key, CustomerRow.name)
    return Registers(
        articles=articles.load(session) if _names_articles(policy) else frozenset(),
        customer_names={row.key: row.name for row in session.execute(names)} if form.update_customers else {},
    )


def _names_articles(policy: Policy) -> bool:
    return policy.form.articles is not Articles.FREE_TEXT


def _load_rates_coming(session: Session, connection_id: int) -> dict[str, date]:
    """The currencies of sales under way, whose invoices may tell the books' own rate, and their earliest days."""
    under_way = (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.SENDING.value)
    query = select(DocumentRow.currency, func.min(DocumentRow.booking_date)).where(
        DocumentRow.connection_id == connection_id,
        DocumentRow.kind == DocumentKind.SALE.value,
        DocumentRow.state.in_(under_way),
    )
    return {row[0]: row[1] for row in session.execute(query.group_by(DocumentRow.currency))}


def _load_payouts(
    session: Session, connection: Connection, refs: Iterable[str], zone: ZoneInfo
) -> dict[str, PayoutFact]:
    refs, connection_id = set(refs), connection.id
    unsettled: dict[str, int] = {
        row.payout_ref: int(row.number)
        for row in session.execute(
            select(MovementRow.payout_ref, func.count(func.distinct(MovementRow.id)).label("number"))
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.payout_ref.in_(refs),
                MovementRow.source_ref != MovementRow.payout_ref,
                PartRow.state.in_((PartState.OPEN.value, PartState.PLANNED.value, PartState.WAITING.value))
                | (PartRow.reason == HoldReason.NO_RATE.value),
            )
            .group_by(MovementRow.payout_ref)
        )
    }
    return {
        row.ref: PayoutFact(
            decode(Payout, row.value),
            Money(row.items_minor, row.currency) if row.items_read and row.items_minor is not None else None,
            unsettled.get(row.ref, 0),
            start_day(connection, zone),
        )
        for row in session.scalars(
            select(PayoutRow).where(PayoutRow.connection_id == connection_id, PayoutRow.ref.in_(refs))
        )
    }


def _load_sales(session: Session, connection_id: int, originals: set[str]) -> dict[str, BookedSale]:
    if not originals:
        return {}
    sales = session.scalars(
        select(DocumentRow).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.SALE.value,
            DocumentRow.source_ref.in_(originals),
            # What was undone stands no more; booked again, the sale has another document.
            DocumentRow.undone_by.is_(None),
            # One that a person has taken over will never be booked by us: its refunds are that person's, too.
            ~exists().where(PartRow.document_id == DocumentRow.id, PartRow.state == PartState.SET_ASIDE.value),
        )
    ).all()
    refunds: dict[str, list[DocumentRow]] = defaultdict(list)
    for original, row in session.execute(
        select(MovementRow.original_ref, DocumentRow)
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .join(DocumentRow, DocumentRow.id == PartRow.document_id)
        .where(
            MovementRow.connection_id == connection_id,
            MovementRow.original_ref.in_(originals),
            DocumentRow.kind == DocumentKind.REFUND.value,
            DocumentRow.undone_by.is_(None),
        )
        .order_by(DocumentRow.id)
    ):
        refunds[original].append(row)
    return {row.source_ref: booked_sale(row, refunds[row.source_ref]) for row in sales}


def booked_sale(row: DocumentRow, refunds: Sequence[DocumentRow]) -> BookedSale:
    """What the planner needs to know of a sale's document and of the refunds planned or booked so far."""
    document = decode(Document, row.payload)
    if document.sold:
        return _sold_by_voucher(row, document, refunds)
    invoice = _invoice_of(document)
    back = [decode(Document, refund.payload) for refund in refunds]
    refunded = -Money.total((refund.total for refund in back), invoice.currency)
    whole = any(isinstance(step, CreditInvoice) for refund in back for step in refund.steps)
    notes = [refund for refund in back if not any(isinstance(step, CreditInvoice) for step in refund.steps)]
    rows = (line for refund in notes for line in _invoice_of(refund).lines)
    credited, vat_credited = credited_by_line(invoice.lines, rows)
    if whole:
        credited = tuple(line.gross for line in invoice.lines)
    total_minor = row.invoice_total_minor
    return BookedSale(
        key=row.key,
        invoice_key=invoice.key,
        number=row.number,
        customer=invoice.customer,
        invoice_date=invoice.invoice_date,
        total=Money(total_minor, invoice.currency) if total_minor is not None else invoice.total,
        paid=document.total,
        refunded=refunded,
        lines=tuple(
            SaleLine(
                line.gross,
                credited[index],
                line.vat_percent,
                line.account,
                line.description,
                rounding=invoice.rounding_line and index == len(invoice.lines) - 1,
                cost_centre=line.cost_centre,
                project=line.project,
                vat_credited=vat_credited[index],
                article=line.article,
            )
            for index, line in enumerate(invoice.lines)
        ),
        rate=Decimal(row.invoice_rate) if row.invoice_rate else Decimal(1),
        order_number=invoice.order_number,
        booked=row.state == DeliveryState.BOOKED.value,
        credit_made=bool(refunds),
        oss=document.oss,
    )


def _sold_by_voucher(row: DocumentRow, document: Document, refunds: Sequence[DocumentRow]) -> BookedSale:
    """A sale that is a voucher: what is left of each of its lines after the refunds so far."""
    given_back = [decode(Document, refund.payload) for refund in refunds]
    left = list(document.sold)
    for refund in given_back:
        left = [
            replace(line, gross=line.gross + back.gross, net=line.net + back.net, vat=line.vat + back.vat)
            for line, back in zip(left, refund.sold, strict=True)
        ]
    return BookedSale(
        key=row.key,
        invoice_key="",
        number=row.vouchers[0] if row.vouchers else "",
        customer=Customer("", "", CustomerVat.EU_CONSUMER),
        invoice_date=document.booking_date,
        total=document.total,
        paid=document.total,
        refunded=-Money.total((refund.total for refund in given_back), document.total.currency),
        lines=(),
        rate=Decimal(1),
        order_number=dict(document.facts).get("order_number", ""),
        booked=row.state == DeliveryState.BOOKED.value,
        credit_made=bool(refunds),
        oss=document.oss,
        sold=tuple(left),
    )


def _invoice_of(document: Document) -> Invoice:
    return next(step.invoice for step in document.steps if isinstance(step, CreateInvoice | CreateOrder))


def _load_known_sales(session: Session, connection_id: int, originals: set[str]) -> frozenset[str]:
    if not originals:
        return frozenset()
    return frozenset(
        session.scalars(
            select(MovementRow.source_ref)
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.kind.in_((MovementKind.SALE.value, MovementKind.REFUND.value)),
                MovementRow.source_ref.in_(originals),
                PartRow.name == "amount",
                PartRow.state != PartState.SET_ASIDE.value,
            )
        )
    )


def _load_customer_keys(session: Session) -> frozenset[str]:
    """Customers that are in the books or that some document makes, held or not: a key is made once."""
    known = set(session.scalars(select(CustomerRow.key)))
    known.update(session.scalars(select(DeliveryRow.key).where(DeliveryRow.kind == "create_customer")))
    return frozenset(known)


def _load_fee_vouchers(session: Session, connection_id: int) -> dict[tuple[str, date], int]:
    """The highest number that a fee voucher of a currency and day has; a number is never given twice."""
    highest: dict[tuple[str, date], int] = {}
    for key, kind, payload in session.execute(
        select(DocumentRow.key, DocumentRow.kind, DocumentRow.payload["facts"]).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind.in_((DocumentKind.FEES.value, DocumentKind.FOREIGN_FEES.value)),
        )
    ):
        facts = dict(payload)
        whose = FOREIGN if kind == DocumentKind.FOREIGN_FEES.value else ""
        place = (facts["currency"] + whose, date.fromisoformat(facts["day"]))
        ending = key.rsplit("/", 1)[1]
        highest[place] = max(highest.get(place, 0), int(ending) if ending.isdigit() else 1)
    return highest


def _year_ends(session: Session, connection_id: int, policy: Policy) -> tuple[YearEnd, ...]:
    connection = session.get_one(Connection, connection_id)
    return load_year_ends(session, connection, policy, opening_carrying(connection, policy))


def opening_carrying(connection: Connection, policy: Policy) -> dict[str, Carrying | None]:
    """What each foreign balance opened with is carried at; None where no rate is known that could tell.

    It is valued near the start date, and from the first payout on at that same value: the whole of it leaves the
    clearing account as it came in.
    """
    kept = connection.settings.get(OPENING_VALUES, {})
    start = start_day(connection, policy.zone)
    found: dict[str, Carrying | None] = {}
    for currency, minor in connection.opening.items():
        if currency == policy.books_currency or not minor:
            continue
        balance = Money(int(minor), currency)
        value = kept.get(currency, {})
        if (value.get("start"), value.get("opening_minor")) == (start.isoformat(), balance.minor):
            found[currency] = Carrying(balance, Money(int(value["books_minor"]), policy.books_currency))
            continue
        rate = opening_rate(policy, currency, start)
        found[currency] = Carrying(balance, rate.convert(balance)) if rate is not None else None
    return found


def keep_opening_values(session: Session, connection_id: int, documents: Iterable[Document], policy: Policy) -> None:
    """Fix the value of each opening that a planned payout was the first to need. The caller commits."""
    relieved = {
        effect.balance.currency
        for document in documents
        if document.kind in (DocumentKind.PAYOUT, DocumentKind.REVALUATION, DocumentKind.OPENING)
        for effect in document.clearing
    }
    connection = session.get_one(Connection, connection_id)
    start = start_day(connection, policy.zone).isoformat()
    values = {
        currency: {"start": start, "opening_minor": carrying.balance.minor, "books_minor": carrying.books.minor}
        for currency, carrying in opening_carrying(connection, policy).items()
        if currency in relieved and carrying is not None
    }
    before = connection.settings.get(OPENING_VALUES, {})
    if {**before, **values} != before:
        row = get_connection(session, connection_id, for_update=True)
        row.settings = {**row.settings, OPENING_VALUES: {**before, **values}}


def _load_payments_under_way(
    session: Session, matches: Mapping[str, tuple[InvoiceView, ...]], books_currency: str
) -> dict[str, Money]:
    """What payments that are planned and not booked will take off invoices, of all connections: their balance as it
    was read does not know of them."""
    numbers = sorted({view.number for views in matches.values() for view in views})
    under_way: dict[str, Money] = defaultdict(lambda: Money.zero(books_currency))
    for payload in _unpaid_matches(session, numbers):
        for step in decode(Document, payload).steps:
            if isinstance(step, CreatePayment) and step.invoice_number in numbers:
                closes = step.settlement.amount + (step.settlement.write_off or Money.zero(books_currency))
                under_way[step.invoice_number] = under_way[step.invoice_number] + closes
    return dict(under_way)


def _unpaid_matches(session: Session, numbers: Sequence[str]) -> list[Mapping[str, Any]]:
    """The documents on their way that pay one of these invoices, or several that may be among them."""
    found: dict[int, Mapping[str, Any]] = {}
    for start in range(0, len(numbers), 500):
        rows = session.execute(
            select(DocumentRow.id, DocumentRow.payload).where(
                DocumentRow.kind == DocumentKind.MATCH.value,
                DocumentRow.state != DeliveryState.BOOKED.value,
                # One payment for several invoices has their numbers in a list.
                or_(DocumentRow.number.in_(numbers[start : start + 500]), DocumentRow.number.contains(", ")),
            )
        )
        found.update((row.id, row.payload) for row in rows)
    return [found[number] for number in sorted(found)]


def _load_payout_vouchers(session: Session, connection_id: int, refs: Iterable[str]) -> dict[str, PlannedPayout]:
    """Vouchers that stand or are on their way; of a refused one there is nothing to take back yet."""
    rows = session.execute(
        select(DocumentRow.source_ref, DocumentRow.payload).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.PAYOUT.value,
            DocumentRow.state != DeliveryState.REJECTED.value,
            DocumentRow.undone_by.is_(None),
            DocumentRow.source_ref.in_(set(refs)),
        )
    )
    return {row.source_ref: planned_payout(decode(Document, row.payload)) for row in rows}


# --- Looking for invoices (Basic) -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """What searching the books for order numbers gave, by movement.

    `refused` has those whose order number leads to more invoices than can be looked at: they are held.
    `searched_at` and `seen_at` are kept with the plan that comes of it, in one transaction: `keep`.
    """

    found: Mapping[str, tuple[InvoiceView, ...]]
    refused: Mapping[str, Hold]
    searched_at: datetime | None = None
    """When it began; None: this search is not to be remembered."""
    seen_at: datetime | None = None
    """From when on changed invoices are news, where all was searched."""

    def keep(self, session: Session, connection_id: int) -> None:
        """Note what was searched. Kept without its plan, what was found would be forgotten with a killed process."""
        if self.searched_at is None:
            return
        refs = [*self.found, *self.refused]
        for start in range(0, len(refs), 500):
            movement_ids = select(MovementRow.id).where(
                MovementRow.connection_id == connection_id, MovementRow.ref.in_(refs[start : start + 500])
            )
            session.execute(
                update(PartRow)
                .where(PartRow.movement_id.in_(movement_ids), PartRow.name == "amount")
                .values(searched_at=self.searched_at)
                .execution_options(synchronize_session=False)
            )
        if self.seen_at is not None:
            session.get_one(Connection, connection_id).invoices_seen_at = self.seen_at

    def without_refused(self, movements: Iterable[OpenMovement]) -> list[OpenMovement]:
        """The movements as the planner may see them: of refused ones, only the fees."""
        seen = (
            replace(entry, open_parts=entry.open_parts - {"amount"}) if entry.movement.ref in self.refused else entry
            for entry in movements
        )
        return [entry for entry in seen if entry.open_parts]

    def with_holds(self, result: Plan) -> Plan:
        """A plan with the holds of what was refused."""
        return replace(result, holds=(*result.holds, *self.refused.values()))


NO_SEARCH = Search({}, {})


def find_matches(
    services: Services,
    company_id: int,
    connection_id: int,
    movements: Sequence[OpenMovement],
    policy: Policy,
    system: AccountingSystem,
    enough: Callable[[], bool] = lambda: False,
    remember: bool = True,
    run_started_at: datetime | None = None,
    anew: bool = False,
) -> Search:
    """Search the books for the order numbers of Basic's open movements.

    `remember` False is for a preview, which must not change what the next run looks for; `anew` has it look for all
    of them, as it keeps what it finds elsewhere.

    An order number that was searched before is searched again only when an invoice has changed since (one call
    tells), and once in a run. Stops when `enough` says so; what was never searched or not for longest comes first,
    so that each slice gets on. What was not searched keeps its state.
    """
    wanted = _wanted(movements, policy)
    if not wanted:
        return NO_SEARCH
    started = services.now()
    with services.db.company_reading(company_id) as session:
        refs = [entry.movement.ref for group in wanted.values() for entry in group]
        searched = {} if anew else _searched(session, connection_id, refs, policy.today)
        seen_at = session.get_one(Connection, connection_id).invoices_seen_at
    again = True
    if seen_at is not None and any(at is not None for at in searched.values()):
        again = system.newest_change(seen_at) is not None
    found: dict[str, tuple[InvoiceView, ...]] = {}
    refused: dict[str, Hold] = {}
    complete = True
    for search, group in sorted(wanted.items(), key=lambda item: _searched_last(item[1], searched)):
        oldest = _searched_last(group, searched)
        if oldest != _NEVER and (not again or (run_started_at is not None and oldest >= run_started_at)):
            continue
        if enough() and (found or refused):
            complete = False
            break
        try:
            views = search.made(system, policy)
        except Rejected as refusal:
            if refusal.reason != HoldReason.SEVERAL_INVOICES.value:
                raise
            facts = (("order_number", search.text), ("message", refusal.message))
            for entry in group:
                ref = entry.movement.ref
                refused[ref] = Hold((PartRef(ref, "amount"),), HoldReason.SEVERAL_INVOICES, facts)
            continue
        for entry in group:
            found[entry.movement.ref] = views
    if not remember:
        return Search(found, refused)
    return Search(found, refused, started, (run_started_at or started) if complete else None)


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Search:
    """What to look for: an invoice that a person has chosen, or the order number, or numbers, of a payment."""

    text: str
    chosen: bool = False

    def made(self, system: AccountingSystem, policy: Policy) -> tuple[InvoiceView, ...]:
        """Ask the books."""
        if self.chosen:
            return find_chosen(system, self.text)
        found = system.find_invoices(self.text, policy.order_fields)
        numbers = order_list(self.text)
        if found or len(numbers) == 1:
            return found
        views = (view for number in numbers for view in system.find_invoices(number, policy.order_fields))
        return tuple({view.number: view for view in views}.values())


def find_chosen(system: AccountingSystem, number: str) -> tuple[InvoiceView, ...]:
    """The invoice of a number, as it stands now; nothing if the books have none."""
    return tuple(view for view in system.find_invoices(number, (OrderField.INVOICE_NUMBER,)) if view.number == number)


def _wanted(movements: Sequence[OpenMovement], policy: Policy) -> dict[_Search, list[OpenMovement]]:
    """Movements that Basic can match, by what is looked for."""
    wanted: dict[_Search, list[OpenMovement]] = defaultdict(list)
    if policy.mode is not Mode.BASIC:
        return wanted
    for entry in movements:
        order = order_of(entry, policy)
        search = _Search(entry.choice.invoice, chosen=True) if entry.choice.invoice else _Search(order)
        trade = entry.movement.kind in (MovementKind.SALE, MovementKind.REFUND, MovementKind.SALE_REVERSAL)
        if trade and route(entry.movement, policy.rules).leaves_usual_course:
            continue
        if trade and search.text and entry.movement.currency == policy.books_currency and "amount" in entry.open_parts:
            wanted[search].append(entry)
    return wanted


def _searched(session: Session, connection_id: int, refs: Sequence[str], today: date) -> dict[str, datetime | None]:
    """When each movement was last searched for. One whose waiting is over counts as never: it gets a last look.

    So does one without a plan: should a search ever be remembered that no plan came of, it is made again.
    """
    found: dict[str, datetime | None] = {}
    for start in range(0, len(refs), 500):
        for row in session.execute(
            select(MovementRow.ref, PartRow.searched_at, PartRow.state, PartRow.wait_until)
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.ref.in_(refs[start : start + 500]),
                PartRow.name == "amount",
            )
        ):
            waiting = row.state == PartState.WAITING.value and row.wait_until is not None
            never = row.state == PartState.OPEN.value or (waiting and row.wait_until < today)
            found[row.ref] = None if never else row.searched_at
    return found


def _searched_last(group: Sequence[OpenMovement], searched: Mapping[str, datetime | None]) -> datetime:
    return min(searched.get(entry.movement.ref) or _NEVER for entry in group)


# --- Storing a plan ---------------------------------------------------------------------------------------------


def store_plan(
    session: Session,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    result: Plan,
    policy: Policy,
    approve: bool,
    now: datetime,
    skip_unsearched: frozenset[str] = frozenset(),
) -> Planned:
    """Store documents with their deliveries, holds and waits. The caller commits.

    Parts of movements in `skip_unsearched` (Basic, not searched for yet) keep the state they have.
    """
    result = _with_new_keys(session, result)
    parts = _part_rows(session, connection_id, result)
    ids = _store_documents(session, connection_id, run_id, result.documents, approve, now)
    for document in result.documents:
        for reference in document.parts:
            part = parts[reference]
            part.state, part.reason, part.facts = PartState.PLANNED.value, "", {}
            part.document_id, part.wait_until, part.changed_at = ids[document.key], None, now
    for hold in result.holds:
        for reference in hold.parts:
            _mark(parts[reference], PartState.HELD, hold.reason.value, hold.facts, None, now)
    waiting = 0
    for wait in result.waits:
        for reference in wait.parts:
            if reference.movement_ref in skip_unsearched and wait.reason is WaitReason.INVOICE:
                continue
            waiting += 1
            _mark(parts[reference], PartState.WAITING, wait.reason.value, wait.facts, wait.until, now)
    for reference in result.nought:
        part = parts[reference]
        part.state, part.set_aside_by, part.changed_at = PartState.SET_ASIDE.value, "Kvitt", now
        part.reason, part.set_aside_where = "nought", ""
    for aside in result.asides:
        for reference in aside.parts:
            rules.mark_aside(parts[reference], aside, now)
    if approve:
        session.flush()
        _take_customers_over(session, result.documents)
    return Planned(len(result.documents), sum(len(hold.parts) for hold in result.holds), waiting, more=False)


def _take_customers_over(session: Session, documents: Sequence[Document]) -> None:
    """Let approved documents make the customers that only proposed ones would make: those may never be approved."""
    wanted = {step.customer_key for one in documents for step in one.steps if isinstance(step, CreateInvoice)}
    wanted -= {step.key for one in documents for step in one.steps if isinstance(step, CreateCustomer)}
    taken: set[str] = set()
    keys = sorted(wanted)
    for start in range(0, len(keys), 500):
        rows = session.execute(
            select(DeliveryRow.id, DeliveryRow.key, DocumentRow)
            .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
            .where(
                DeliveryRow.kind == "create_customer",
                DeliveryRow.key.in_(keys[start : start + 500]),
                DocumentRow.state == DeliveryState.PROPOSED.value,
            )
        ).all()
        for delivery_id, key, row in rows:
            document = decode(Document, row.payload)
            document = replace(document, steps=tuple(step for step in document.steps if step.key != key))
            row.payload, row.fingerprint = encode(document), fingerprint(document)
            _delete(session, delete(DeliveryRow).where(DeliveryRow.id == delivery_id))
            taken.add(key)
    if taken:
        session.flush()
        _adopt(session, taken)


def _with_new_keys(session: Session, result: Plan) -> Plan:
    """Hold documents whose key is taken: a second movement of one object, seen in another plan than the first.

    A customer that another document makes already is left to that one.
    """
    taken = _taken(session, DocumentRow, [document.key for document in result.documents])
    steps = _taken(session, DeliveryRow, [step.key for document in result.documents for step in document.steps])
    if not taken and not steps:
        return result
    documents: list[Document] = []
    holds = list(result.holds)
    for document in result.documents:
        own = tuple(step for step in document.steps if not (isinstance(step, CreateCustomer) and step.key in steps))
        again = _again(session, document, own) if document.key in taken else None
        if again is not None:
            documents.append(again)
            continue
        if document.key in taken or any(step.key in steps for step in own):
            another = f"another {document.kind.value} under the key {document.key}"
            holds.append(Hold(document.parts, HoldReason.KIND_NOT_BUILT, (("kind", another),)))
        else:
            documents.append(replace(document, steps=own))
    return replace(result, documents=tuple(documents), holds=tuple(holds))


_MOST_TIMES = 99


def _again(session: Session, document: Document, steps: Sequence[Step]) -> Document | None:
    """A document under new keys, because the one that has its key was undone; None if that one stands.

    A key is for ever: the second time the object's own part of it ends with .2, the third time with .3.
    """
    undo = aliased(DocumentRow)
    undone = session.scalar(
        select(DocumentRow.id)
        .join(undo, undo.id == DocumentRow.undone_by)
        .where(DocumentRow.key == document.key, undo.state == DeliveryState.BOOKED.value)
    )
    base = document.key.rpartition("/")[0]
    if undone is None or not base:
        return None
    data = encode(replace(document, steps=tuple(steps)))
    for times in range(2, _MOST_TIMES):
        anew = decode(Document, _with_prefix(data, f"{base}/", f"{base}.{times}/"))
        keys = [step.key for step in anew.steps if not isinstance(step, CreateCustomer)]
        if not _taken(session, DocumentRow, [anew.key]) and not _taken(session, DeliveryRow, keys):
            return anew
    return None


def _with_prefix(value: Any, old: str, new: str) -> Any:
    """JSON-ready data in which every text that begins with a prefix begins with another one."""
    if isinstance(value, str):
        return new + value[len(old) :] if value.startswith(old) else value
    if isinstance(value, list):
        return [_with_prefix(one, old, new) for one in value]
    if isinstance(value, dict):
        return {name: _with_prefix(one, old, new) for name, one in value.items()}
    return value


def _taken(session: Session, table: type[DocumentRow | DeliveryRow], keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        found.update(session.scalars(select(table.key).where(table.key.in_(keys[start : start + 500]))))
    return found


def _part_rows(session: Session, connection_id: int, result: Plan) -> dict[PartRef, PartRow]:
    groups = [document.parts for document in result.documents]
    groups += [hold.parts for hold in result.holds]
    groups += [wait.parts for wait in result.waits]
    groups += [aside.parts for aside in result.asides]
    references = {part.movement_ref for group in (*groups, result.nought) for part in group}
    rows: dict[PartRef, PartRow] = {}
    ordered = sorted(references)
    for start in range(0, len(ordered), 500):
        for ref, part in session.execute(
            select(MovementRow.ref, PartRow)
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.ref.in_(ordered[start : start + 500]),
            )
        ):
            rows[PartRef(ref, part.name)] = part
    return rows


def _mark(
    part: PartRow,
    state: PartState,
    reason: str,
    facts: Sequence[tuple[str, str]],
    until: date | None,
    now: datetime,
) -> None:
    if part.state == state.value and part.reason == reason and part.facts == dict(facts):
        if part.wait_until != until:
            part.wait_until = until
        return
    part.state, part.reason, part.facts = state.value, reason, dict(facts)
    part.wait_until, part.changed_at = until, now
    if part.waiting_since is None:
        part.waiting_since = now


def store_document(
    session: Session,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    document: Document,
    approve: bool,
    now: datetime,
) -> DocumentRow:
    """Store a planned document with its deliveries, proposed or approved. The caller commits."""
    row = DocumentRow(company_id=company_id, **_document_values(connection_id, run_id, document, approve, now))
    session.add(row)
    session.flush()
    session.add_all(new_deliveries(document, row.id, DeliveryState(row.state)))
    oss.store(session, document, row.id)
    return row


def _store_documents(
    session: Session,
    connection_id: int,
    run_id: int | None,
    documents: Sequence[Document],
    approve: bool,
    now: datetime,
) -> dict[str, int]:
    """The same for all documents of a plan, many rows at a time; their ids by key."""
    state = DeliveryState.APPROVED if approve else DeliveryState.PROPOSED
    ids: dict[str, int] = {}
    for start in range(0, len(documents), 500):
        some = documents[start : start + 500]
        rows = [_document_values(connection_id, run_id, document, approve, now) for document in some]
        insert_rows(session, DocumentRow, [with_defaults(DocumentRow, row) for row in rows])
        keys = [document.key for document in some]
        query = select(DocumentRow.key, DocumentRow.id).where(among(session, DocumentRow.key, keys))
        ids.update((key, document_id) for key, document_id in session.execute(query))
        steps = [values for document in some for values in delivery_values(document, ids[document.key], state)]
        insert_rows(session, DeliveryRow, [with_defaults(DeliveryRow, values) for values in steps])
        for document in some:
            oss.store(session, document, ids[document.key])
    return ids


def _document_values(
    connection_id: int, run_id: int | None, document: Document, approve: bool, now: datetime
) -> dict[str, Any]:
    """A planned document's columns by name."""
    effect, *others = document.clearing
    facts = dict(document.facts)
    return {
        "connection_id": connection_id,
        "run_id": run_id,
        "key": document.key,
        "kind": document.kind.value,
        "booking_date": document.booking_date,
        "total_minor": document.total.minor,
        "currency": document.total.currency,
        "source_ref": facts.get("source", ""),
        "rule": document.rule,
        "payload": encode(document),
        "fingerprint": fingerprint(document),
        "state": (DeliveryState.APPROVED if approve else DeliveryState.PROPOSED).value,
        "number": facts.get("invoice", "")[:60],  # of one payment for many invoices, those that fit
        "clearing_account": effect.account.number,
        "clearing_currency": effect.balance.currency,
        "clearing_minor": effect.balance.minor,
        "clearing_books_minor": effect.books.minor if effect.books is not None else None,
        **{name: value for other in others for name, value in other_clearing(other).items()},
        "vouchers": [],
        "planned_at": now,
        "approved_at": now if approve else None,
    }


# --- What people decide -----------------------------------------------------------------------------------------


def approve(services: Services, company_id: int, document_ids: Sequence[int] | None, who: str) -> int:
    """Let proposed documents go, all or some; say how many. Raises nothing for those already on their way."""
    now = services.now()
    with services.db.company(company_id) as session:
        take_turn(session)
        query = select(DocumentRow).where(DocumentRow.state == DeliveryState.PROPOSED.value)
        if document_ids is not None:
            query = query.where(DocumentRow.id.in_(document_ids))
        rows = session.scalars(query.order_by(DocumentRow.id)).all()
        wanted = {row.id for row in rows} | _needed_by(session, rows)
        approved = session.scalars(
            select(DocumentRow).where(DocumentRow.id.in_(wanted), DocumentRow.state == DeliveryState.PROPOSED.value)
        ).all()
        for row in approved:
            row.state, row.approved_at = DeliveryState.APPROVED.value, now
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.document_id == row.id, DeliveryRow.state == DeliveryState.PROPOSED.value)
                .values(state=DeliveryState.APPROVED.value)
            )
        if approved:
            activity.record(session, who, "approved", {"documents": str(len(approved))}, now)
    return len(approved)


def _needed_by(session: Session, rows: Sequence[DocumentRow]) -> set[int]:
    """Documents that make the customers which these documents use."""
    customers = {
        step.customer_key
        for row in rows
        for step in decode(Document, row.payload).steps
        if isinstance(step, CreateInvoice | CreateOrder)
    }
    return set(
        session.scalars(
            select(DeliveryRow.document_id).where(DeliveryRow.kind == "create_customer", DeliveryRow.key.in_(customers))
        )
    )


def set_aside(services: Services, company_id: int, part_ids: Sequence[int], who: str, where: str) -> int:
    """Take parts off the list because a person says so; `where` they are booked, or empty. Says how many.

    That can be done with all that is not booked nor on its way: what is held or waits, what is proposed and shall
    not be written, and what the accounting system refused. Of the last, what stands there already is the person's.
    """
    now = services.now()
    with services.db.company(company_id) as session:
        take_turn(session)
        discard(session, _documents_of(session, part_ids, DeliveryState.PROPOSED), now)
        refused = _documents_of(session, part_ids, DeliveryState.REJECTED)
        discard(session, [one for one in refused if nothing_stands(session, one)], now)
        rows = session.scalars(
            select(PartRow).where(
                PartRow.id.in_(part_ids),
                or_(PartRow.document_id.is_(None), PartRow.document_id.in_(refused)),
                PartRow.state.in_((PartState.HELD.value, PartState.WAITING.value, PartState.OPEN.value)),
            )
        ).all()
        for row in rows:
            row.state, row.set_aside_by, row.set_aside_where = PartState.SET_ASIDE.value, who, where
            row.changed_at = now
        if rows:
            facts = {"parts": ", ".join(str(row.id) for row in rows), "where": where}
            activity.record(session, who, "set_aside", facts, now)
    return len(rows)


def refuse(services: Services, company_id: int, document_ids: Sequence[int], who: str, where: str = "") -> int:
    """Set the parts of proposed documents aside, because a person does not want them; says how many documents."""
    with services.db.company_reading(company_id) as session:
        rows = session.execute(
            select(PartRow.id, PartRow.document_id)
            .join(DocumentRow, DocumentRow.id == PartRow.document_id)
            .where(DocumentRow.id.in_(document_ids), DocumentRow.state == DeliveryState.PROPOSED.value)
        ).all()
    if rows and set_aside(services, company_id, [row.id for row in rows], who, where):
        return len({row.document_id for row in rows})
    return 0


def _documents_of(session: Session, part_ids: Sequence[int], state: DeliveryState) -> list[int]:
    ids = select(PartRow.document_id).where(PartRow.id.in_(part_ids), PartRow.document_id.is_not(None))
    query = select(DocumentRow.id).where(DocumentRow.id.in_(ids), DocumentRow.state == state.value)
    return list(session.scalars(query))


REGISTERS: Final = ("create_customer", "update_customer", "create_article")
"""Kinds of steps that write to registers, which a new plan finds and uses."""


def nothing_stands(session: Session, document_id: int) -> bool:
    """Whether nothing of a document is or may be in the accounting system, registers apart: it can be planned anew."""
    left = session.scalar(
        select(DeliveryRow.id)
        .where(
            DeliveryRow.document_id == document_id,
            or_(
                DeliveryRow.needs_lookup.is_(True),
                DeliveryRow.doubtful.is_(True),
                (DeliveryRow.state == DeliveryState.BOOKED.value) & DeliveryRow.kind.not_in(REGISTERS),
            ),
        )
        .limit(1)
    )
    return left is None


def discard(session: Session, document_ids: Sequence[int], now: datetime) -> None:
    """Forget documents of which nothing stands; their parts are open again.

    Where one was to make a customer whom others need, the first of those makes them instead.
    """
    orphans: set[str] = set()
    for start in range(0, len(document_ids), 500):
        chunk = document_ids[start : start + 500]
        session.execute(
            update(PartRow)
            .where(PartRow.document_id.in_(chunk))
            .values(**OPENED, document_id=None, changed_at=now)
            .execution_options(synchronize_session=False)
        )
        orphans.update(
            session.scalars(
                select(DeliveryRow.key).where(
                    DeliveryRow.document_id.in_(chunk),
                    DeliveryRow.kind == "create_customer",
                    ~exists().where(CustomerRow.key == DeliveryRow.key),
                )
            )
        )
        session.execute(
            update(DocumentRow)
            .where(DocumentRow.undone_by.in_(chunk))
            .values(undone_by=None)
            .execution_options(synchronize_session=False)
        )
        _delete(session, delete(DeliveryRow).where(DeliveryRow.document_id.in_(chunk)))
        _delete(session, delete(OssRow).where(OssRow.document_id.in_(chunk)))
        _delete(session, delete(DocumentRow).where(DocumentRow.id.in_(chunk)))
    if orphans:
        _adopt(session, orphans)


def drop_unwritten(session: Session, document_id: int, who: str, now: datetime) -> bool:
    """Forget a document of which nothing was ever sent, and set its parts aside as undone. The caller commits."""
    if not nothing_stands(session, document_id):
        return False
    parts = list(session.scalars(select(PartRow.id).where(PartRow.document_id == document_id)))
    discard(session, [document_id], now)
    session.execute(
        update(PartRow)
        .where(PartRow.id.in_(parts))
        .values(
            state=PartState.SET_ASIDE.value,
            reason="undone",
            set_aside_by=who or "Kvitt",
            set_aside_where="",
            changed_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def _adopt(session: Session, customer_keys: set[str]) -> None:
    """Give each customer that nobody makes any more to a document whose invoice needs them, approved ones first."""
    needing: dict[str, tuple[bool, DocumentRow]] = {}
    rows = session.scalars(
        select(DocumentRow)
        .join(DeliveryRow, DeliveryRow.document_id == DocumentRow.id)
        .where(
            DeliveryRow.kind.in_(("create_invoice", "create_order")), DeliveryRow.state != DeliveryState.BOOKED.value
        )
        .order_by(DocumentRow.id)
    )
    for row in rows:
        proposed = row.state == DeliveryState.PROPOSED.value
        for step in decode(Document, row.payload).steps:
            if isinstance(step, CreateInvoice | CreateOrder) and step.customer_key in customer_keys:
                before = needing.get(step.customer_key)
                if before is None or (before[0] and not proposed):
                    needing[step.customer_key] = (proposed, row)
    for key, (proposed, row) in needing.items():
        document = decode(Document, row.payload)
        customer = next(
            step.invoice.customer for step in document.steps if isinstance(step, CreateInvoice | CreateOrder)
        )
        document = replace(document, steps=(CreateCustomer(key, customer), *document.steps))
        row.payload, row.fingerprint = encode(document), fingerprint(document)
        (making, *_) = new_deliveries(document, row.id, DeliveryState.PROPOSED if proposed else DeliveryState.APPROVED)
        making.seq -= SEQ_STEP
        session.add(making)


def _delete(session: Session, statement: Delete) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


OPENED: Final[dict[str, Any]] = {
    "state": PartState.OPEN.value,
    "reason": "",
    "facts": {},
    "set_aside_by": "",
    "set_aside_where": "",
    "searched_at": None,
    "waiting_since": None,
    "wait_until": None,
}
"""What a part's row looks like when it is planned anew."""


def retry(services: Services, company_id: int, part_ids: Sequence[int], who: str) -> int:
    """Look at held parts again. Parts that a person set aside come back too. Says how many parts were moved.

    What was never sent, or of what nothing was left behind, is planned anew with the settings of today; a document
    that has begun to stand in the accounting system goes on at the step that failed.
    """
    now = services.now()
    states = (PartState.HELD.value, PartState.WAITING.value, PartState.SET_ASIDE.value)
    with services.db.company(company_id) as session:
        take_turn(session)
        ids = set(session.scalars(select(PartRow.id).where(PartRow.id.in_(part_ids), PartRow.state.in_(states))))
        refused = _documents_of(session, sorted(ids), DeliveryState.REJECTED)
        anew = [one for one in refused if nothing_stands(session, one)]
        go_on = [one for one in refused if one not in anew]
        discard(session, anew, now)
        session.execute(
            update(PartRow)
            .where(PartRow.id.in_(ids), PartRow.document_id.is_(None))
            .values(**OPENED, changed_at=now)
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(PartRow)
            .where(PartRow.document_id.in_(go_on), PartRow.state != PartState.BOOKED.value)
            .values(**{**OPENED, "state": PartState.PLANNED.value}, changed_at=now)
            .execution_options(synchronize_session=False)
        )
        revive(session, go_on, now)
        if ids:
            activity.record(session, who, "retried", {"parts": ", ".join(str(one) for one in sorted(ids))}, now)
    return len(ids)


def forget_before_start(services: Services, company_id: int, connection_id: int) -> None:
    """Drop what was fetched from before a connection's start date, after that was moved.

    So are payouts that were under way at the former start: the next fetch finds those of the new one.
    A start date cannot change once something is on its way, so at most proposed documents go with it.
    """
    now = services.now()
    with services.db.company(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        if connection.fetched_until is not None:
            return
        early = select(MovementRow.id).where(
            MovementRow.connection_id == connection_id,
            or_(
                MovementRow.occurred_at < start_instant(connection, zone_of(session, company_id)),
                MovementRow.value["raw_kind"].as_string() == UNDER_WAY_AT_START,
            ),
        )
        parts = list(session.scalars(select(PartRow.id).where(PartRow.movement_id.in_(early))))
        for start in range(0, len(parts), 500):
            discard(session, _documents_of(session, parts[start : start + 500], DeliveryState.PROPOSED), now)
        kept = select(PartRow.movement_id).where(PartRow.movement_id.in_(early), PartRow.document_id.is_not(None))
        gone = sorted(set(session.scalars(early)) - set(session.scalars(kept)))
        for start in range(0, len(gone), 500):
            chunk = gone[start : start + 500]
            _delete(session, delete(PartRow).where(PartRow.movement_id.in_(chunk)))
            _delete(session, delete(MovementRow).where(MovementRow.id.in_(chunk)))


def revive(session: Session, document_ids: Iterable[int], now: datetime) -> None:
    """Put refused documents back to approved, from the step that failed. The caller commits."""
    ids = set(document_ids)
    for row in session.scalars(
        select(DocumentRow).where(DocumentRow.id.in_(ids), DocumentRow.state == DeliveryState.REJECTED.value)
    ):
        row.state, row.hold_reason, row.hold_facts = DeliveryState.APPROVED.value, "", {}
        row.approved_at = row.approved_at or now
        session.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.document_id == row.id,
                or_(
                    DeliveryRow.state == DeliveryState.REJECTED.value,
                    DeliveryRow.state == DeliveryState.PROPOSED.value,
                ),
            )
            .values(state=DeliveryState.APPROVED.value, not_before=None, error_code="", error_message="")
        )


# --- One pass ---------------------------------------------------------------------------------------------------


def plan_pass(
    services: Services,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    load_policy: Callable[[Session], Policy],
    system: AccountingSystem,
    enough: Callable[[], bool] = lambda: False,
    run_started_at: datetime | None = None,
    still_ours: Callable[[Session], None] = lambda session: None,
    takes_a_while: Callable[[int], None] = lambda movements: None,
) -> Planned:
    """Gather, search, plan and store once: fresh movements by whole days, or else all that waits or is held.

    takes_a_while: told how many movements are about to be planned. still_ours: asked last in the transaction that
    stores the plan; what it raises takes the plan back.
    """
    now = services.now()
    with services.db.company_reading(company_id) as session:
        policy = load_policy(session)
        until, more = next_days(session, connection_id)
        today = booking_date(now, zone_of(session, company_id))
        movements = load_open(session, connection_id, until if more else None, today, policy.zone)
        valuing = bool(_year_ends(session, connection_id, policy))
    if not movements and not valuing:
        return Planned(0, 0, 0, more=False)
    search = find_matches(
        services,
        company_id,
        connection_id,
        movements,
        policy,
        system,
        enough,
        run_started_at=run_started_at,
    )
    vat_numbers.ask(services, company_id, movements, policy, run_id, enough)
    invoiced = joining.find_invoiced(movements, policy, system)
    takes_a_while(len(movements))
    with services.db.company(company_id) as session:
        take_turn(session)
        policy = load_policy(session)
        movements = search.without_refused(
            load_open(session, connection_id, until if more else None, today, policy.zone)
        )
        movements = joining.with_twins(movements, {**joining.stored_twins(session, connection_id), **invoiced})
        situation = load_situation(session, connection_id, movements, search.found, policy)
        unsearched = _unsearched(session, connection_id, movements, search.found, policy)
        result = search.with_holds(plan(situation, policy))
        approve_all = read_company(session).approve_automatically
        stored = store_plan(session, company_id, connection_id, run_id, result, policy, approve_all, now, unsearched)
        search.keep(session, connection_id)
        keep_opening_values(session, connection_id, result.documents, policy)
        still_open = session.scalar(
            select(func.count())
            .select_from(PartRow)
            .where(PartRow.connection_id == connection_id, PartRow.state == PartState.OPEN.value)
        )
        still_ours(session)
    return Planned(stored.documents, stored.held, stored.waiting, more=bool(still_open))


def _unsearched(
    session: Session,
    connection_id: int,
    movements: Sequence[OpenMovement],
    matches: Mapping[str, tuple[InvoiceView, ...]],
    policy: Policy,
) -> frozenset[str]:
    """Movements that Basic has not looked for in this pass: what an earlier search said of them stays."""
    if policy.mode is not Mode.BASIC:
        return frozenset()
    return frozenset(entry.movement.ref for entry in movements if entry.movement.ref not in matches)


__all__ = [
    "DELIVERY_REASONS",
    "Hold",
    "Planned",
    "Wait",
    "approve",
    "discard",
    "find_matches",
    "forget_before_start",
    "keep_opening_values",
    "load_open",
    "load_proposed",
    "load_situation",
    "nothing_stands",
    "opening_carrying",
    "plan_pass",
    "refuse",
    "retry",
    "revive",
    "set_aside",
    "store_document",
    "store_plan",
]
