"""Prove: read the clearing accounts back and compare them, part by part, with the provider."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from addon.core.accounts import AccountRole
from addon.core.bank import BankFinding, BankLine, BankVerdict, ExpectedPayout, compare_bank
from addon.core.books import Books, InvoiceView, LedgerEntry
from addon.core.dates import booking_date, start_of_day
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import Document, DocumentKind, PostVoucher
from addon.core.holds import WaitReason
from addon.core.money import Money
from addon.core.reconcile import BookedEffect, ClearingIdentity, NotBooked, clearing_identity, without_opening
from addon.core.records import Balance, PayoutState
from addon.core.rules import Policy
from addon.core.statement import UnsettledInvoice
from addon.ports.accounting import AccountingSystem
from addon.services import statements
from addon.services.context import Services
from addon.services.ingest import zone_of
from addon.services.standing import CLEARING_SIDES
from addon.services.statements import Asked
from addon.store.codec import decode
from addon.store.models import Connection, DeliveryRow, DocumentRow, PartRow, PayoutRow, ProofRow

MOST_NAMED = 100
"""So many named differences, open invoices and bank faults are kept with a proof; their number is kept in full."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One proved identity, with the connection it is about."""

    connection_id: int
    provider: str
    identity: ClearingIdentity
    bank: tuple[BankFinding, ...] = ()
    """The payouts that should have arrived, against the ledger of their bank account."""
    open_invoices: tuple[UnsettledInvoice, ...] = ()
    """Invoices of Kvitt's that have a balance left, in this currency's documents.

    `why`: `on_its_way`, `held`, `unsettled` (booked and paid by Kvitt, and yet open), `unknown` (under our key, but
    none of ours).
    """


def prove_connection(
    services: Services,
    company_id: int,
    connection_id: int,
    run_id: int | None,
    policy: Policy,
    balances: Sequence[Balance],
    system: AccountingSystem,
    asked: Sequence[Asked] = (),
) -> tuple[Identity, ...]:
    """Prove each balance currency of a connection, and keep the result. `balances` belong to what is stored.

    One call per financial year for the ledger, whatever its size, and one for invoices that are not settled. The
    statement of the month that has closed is made on the way, and those that are `asked` for.
    """
    with services.db.company_reading(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        start = connection.start_date or booking_date(connection.connected_at, zone_of(session, company_id))
        numbers = _clearing_numbers(session, connection_id, policy)
        made_invoices = _makes_invoices(session, connection_id)
        prefix = f"{connection.provider}/"
    banks = _bank_numbers(policy)
    wanted = sorted(set(banks.values()).union(*numbers.values()))
    entries = read_ledger(system, policy.books, start, policy.today, wanted)
    unsettled = list(system.fetch_open_invoices(prefix)) if made_invoices else []
    now = services.now()
    proved: list[Identity] = []
    with services.db.company(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        opening = {currency: int(minor) for currency, minor in connection.opening.items()}
        provider = _provider_side(balances, opening)
        left_open = _open_invoices(session, connection_id, unsettled, policy.books_currency)
        asked = (*asked, *statements.due(session, connection_id, sorted(provider), start, policy.today, now))
        for currency in sorted(provider):
            rows = [row for number in sorted(numbers.get(currency, ())) for row in entries.get(number, ())]
            opened = Money(opening.get(currency, 0), currency)
            own = _opening_vouchers(session, connection_id, currency, start)
            rows = [row for row in rows if row.voucher not in own]
            if not own and any(row.booking_date == start for row in rows):
                effects = _effects(session, connection_id, currency, policy.books_currency)
                ours = {voucher for effect in effects for voucher in effect.vouchers}
                rows = without_opening(rows, opened, start, ours, policy.books_currency)
            identity = _identity(session, connection_id, policy, provider[currency], opened, rows)
            bank = _bank(session, connection_id, currency, banks.get(currency, ""), entries, policy, start)
            found = Identity(connection_id, connection.provider, identity, bank, tuple(left_open.pop(currency, ())))
            _thin_out(session, connection_id, currency, now, policy)
            _keep(session, company_id, connection_id, run_id, found, now)
            proved.append(found)
            for one in asked:
                if one.currency == currency:
                    accounts = sorted(numbers.get(currency, ()))
                    statements.make(
                        session,
                        connection_id,
                        policy,
                        one,
                        opened,
                        provider[currency],
                        rows,
                        accounts,
                        now,
                        found.open_invoices,
                    )
    return tuple(proved)


def _opening_vouchers(session: Session, connection_id: int, currency: str, start: date) -> set[str]:
    """Vouchers by which Kvitt brought this start's opening in: it stands beside the ledger, so they must not count."""
    rows = session.execute(
        select(DocumentRow.key, DocumentRow.vouchers).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.OPENING.value,
            DocumentRow.clearing_currency == currency,
        )
    )
    return {voucher for row in rows if row.key.endswith(f"/{start.isoformat()}") for voucher in row.vouchers}


def _thin_out(session: Session, connection_id: int, currency: str, now: datetime, policy: Policy) -> None:
    """Of the proofs of one day only the last is kept, so that the history has a row for each day."""
    session.execute(
        delete(ProofRow)
        .where(
            ProofRow.connection_id == connection_id,
            ProofRow.currency == currency,
            ProofRow.at >= start_of_day(booking_date(now, policy.zone), policy.zone),
        )
        .execution_options(synchronize_session=False)
    )


# --- Invoices of ours that are not settled ----------------------------------------------------------------------


def _makes_invoices(session: Session, connection_id: int) -> bool:
    query = select(DocumentRow.id).where(
        DocumentRow.connection_id == connection_id, DocumentRow.kind == DocumentKind.SALE.value
    )
    return session.scalar(query.limit(1)) is not None


def _open_invoices(
    session: Session, connection_id: int, views: Sequence[InvoiceView], home: str
) -> dict[str, list[UnsettledInvoice]]:
    """The invoices that have a balance left, by the balance currency of the documents that made them.

    What other connections of the same provider have made is theirs to tell.
    """
    found: dict[str, list[UnsettledInvoice]] = defaultdict(list)
    keys = [view.our_key for view in views if view.balance and not view.cancelled]
    made: dict[str, DocumentRow] = {}
    for begin in range(0, len(keys), 500):
        chunk = keys[begin : begin + 500]
        by_step = select(DeliveryRow.document_id).where(DeliveryRow.key.in_(chunk))
        rows = session.execute(
            select(DeliveryRow.key, DocumentRow)
            .join(DocumentRow, DocumentRow.id == DeliveryRow.document_id)
            .where(or_(DocumentRow.id.in_(by_step), DocumentRow.key.in_(chunk)))
        )
        for key, row in rows:
            made[key] = made[row.key] = row
    for view in views:
        if not view.balance or view.cancelled:
            continue
        document = made.get(view.our_key)
        if document is not None and document.connection_id != connection_id:
            continue
        currency = document.clearing_currency if document is not None else home
        found[currency].append(UnsettledInvoice(view.number, view.our_key, view.balance, _why_open(document)))
    return found


def _why_open(document: DocumentRow | None) -> str:
    if document is None:
        return "unknown"
    if document.state == DeliveryState.BOOKED.value:
        return "unsettled"
    return "held" if document.state == DeliveryState.REJECTED.value else "on_its_way"


# --- The bank account -------------------------------------------------------------------------------------------


def _bank_numbers(policy: Policy) -> dict[str, str]:
    prefix = f"{AccountRole.BANK.value}:"
    return {
        key.removeprefix(prefix): number for key, number in policy.accounts.numbers.items() if key.startswith(prefix)
    }


def _bank(
    session: Session,
    connection_id: int,
    currency: str,
    account: str,
    entries: Mapping[str, Sequence[LedgerEntry]],
    policy: Policy,
    start: date,
) -> tuple[BankFinding, ...]:
    """The payouts that should have arrived, against the bank account's rows in the ledger."""
    if not account:
        return ()
    expected = expected_payouts(session, connection_id, currency, policy.books_currency, start, policy.today, account)
    mine = {voucher for payout in expected for voucher in payout.vouchers}
    others = _own_vouchers(session, connection_id) - mine
    lines = _bank_lines(entries.get(account, ()), others)
    return compare_bank(expected, lines, policy.provider_name)


def _bank_lines(entries: Sequence[LedgerEntry], without: set[str]) -> list[BankLine]:
    """A line for each voucher on the account."""
    sums: dict[str, BankLine] = {}
    for entry in entries:
        if entry.voucher in without:
            continue
        before = sums.get(entry.voucher)
        amount = entry.amount if before is None else before.amount + entry.amount
        sums[entry.voucher] = BankLine(entry.voucher, entry.booking_date, amount, entry.text)
    return [line for line in sums.values() if line.amount]


def _own_vouchers(session: Session, connection_id: int) -> set[str]:
    rows = session.scalars(
        select(DocumentRow.vouchers).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind.not_in((DocumentKind.SALE.value, DocumentKind.REFUND.value, DocumentKind.MATCH.value)),
        )
    )
    return {voucher for vouchers in rows for voucher in vouchers}


def expected_payouts(
    session: Session,
    connection_id: int,
    currency: str,
    home: str,
    start: date,
    today: date,
    account: str = "",
) -> tuple[ExpectedPayout, ...]:
    """Payouts that have arrived, the provider says. With `account`: as its ledger should have them, in `home`.

    A payout in another currency than the books' is expected there only where a voucher of ours tells what it came to.
    """
    payouts = session.scalars(
        select(PayoutRow)
        .where(
            PayoutRow.connection_id == connection_id,
            PayoutRow.currency == currency,
            PayoutRow.state == PayoutState.PAID.value,
            PayoutRow.arrival_date >= start,
            PayoutRow.arrival_date <= today,
        )
        .order_by(PayoutRow.arrival_date, PayoutRow.id)
    ).all()
    if not account:
        return tuple(
            ExpectedPayout(row.ref, Money(row.amount_minor, currency), row.arrival_date or today) for row in payouts
        )
    booked: dict[str, list[tuple[Money, list[str]]]] = defaultdict(list)
    refs = [row.ref for row in payouts]
    for begin in range(0, len(refs), 500):
        for document in session.scalars(
            select(DocumentRow).where(
                DocumentRow.connection_id == connection_id,
                DocumentRow.source_ref.in_(refs[begin : begin + 500]),
                DocumentRow.state == DeliveryState.BOOKED.value,
                DocumentRow.undone_by.is_(None),
            )
        ):
            moved = _moved_on(decode(Document, document.payload), account, home)
            if moved:
                booked[document.source_ref].append((moved, list(document.vouchers)))
    expected: list[ExpectedPayout] = []
    for row in payouts:
        entries = booked.get(row.ref, [])
        if currency != home and not entries:
            continue
        amount = (
            Money.total((moved for moved, _ in entries), home) if currency != home else Money(row.amount_minor, home)
        )
        vouchers = tuple(voucher for _, found in entries for voucher in found)
        expected.append(ExpectedPayout(row.ref, amount, row.arrival_date or today, vouchers))
    return tuple(expected)


def _moved_on(document: Document, account: str, home: str) -> Money:
    return Money.total(
        (
            line.signed
            for step in document.steps
            if isinstance(step, PostVoucher)
            for line in step.voucher.lines
            if line.account.number == account
        ),
        home,
    )


def _clearing_numbers(session: Session, connection_id: int, policy: Policy) -> dict[str, set[str]]:
    """Each currency's clearing account, with those it had before: what was booked there stays there."""
    numbers: dict[str, set[str]] = defaultdict(set)
    prefix = f"{AccountRole.CLEARING.value}:"
    for key, number in policy.accounts.numbers.items():
        if key.startswith(prefix):
            numbers[key.removeprefix(prefix)].add(number)
    for columns in (
        (DocumentRow.clearing_currency, DocumentRow.clearing_account),
        (DocumentRow.other_clearing_currency, DocumentRow.other_clearing_account),
    ):
        used = select(*columns).where(
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
    """What booked documents did to the clearing account of a currency; a conversion does it to two."""
    found = []
    for of_currency, minor, books_minor in CLEARING_SIDES:
        query = select(
            DocumentRow.key,
            DocumentRow.currency,
            DocumentRow.vouchers,
            minor.label("minor"),
            books_minor.label("books_minor"),
        ).where(
            DocumentRow.connection_id == connection_id,
            of_currency == currency,
            DocumentRow.state == DeliveryState.BOOKED.value,
        )
        found += [
            BookedEffect(
                row.key,
                tuple(row.vouchers),
                Money(row.minor, currency),
                Money(row.books_minor or 0, home),
                row.currency != home,
            )
            for row in session.execute(query)
        ]
    return found


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
    found: Identity,
    now: datetime,
) -> None:
    identity, lacking = found.identity, found.identity.not_booked
    faults = [one for one in found.bank if one.verdict is not BankVerdict.ARRIVED]
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
                    for difference in identity.named[:MOST_NAMED]
                ],
                "named_count": len(identity.named),
                "bank": {
                    "arrived": len(found.bank) - len(faults),
                    "faults": [
                        {
                            "payout": one.payout.ref,
                            "verdict": one.verdict.value,
                            "day": one.payout.day.isoformat(),
                            "minor": one.payout.amount.minor,
                            "found_minor": one.found.minor,
                            "lines": [line.reference for line in one.lines][:10],
                        }
                        for one in faults[:MOST_NAMED]
                    ],
                },
                "open_invoices": [
                    {
                        "number": one.number,
                        "key": one.key,
                        "minor": one.balance.minor,
                        "currency": one.balance.currency,
                        "why": one.why,
                    }
                    for one in found.open_invoices[:MOST_NAMED]
                ],
            },
        )
    )
