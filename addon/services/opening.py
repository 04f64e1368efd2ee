"""The opening of a connection: ask whether the books have it already, and propose the voucher where they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.core.accounts import AccountRole
from addon.core.books import Books
from addon.core.delivery import DeliveryState
from addon.core.documents import Document, DocumentKind, PostVoucher
from addon.core.money import Money
from addon.core.plan.opening import Opening, opening_key, plan_opening
from addon.core.plan.situation import CannotBook, Carrying
from addon.core.rules import Policy
from addon.services import activity, booking, connections, settings
from addon.services.context import Services
from addon.services.ingest import start_day
from addon.services.policy import ModeNotChosen, load_policy
from addon.store.codec import decode, fingerprint
from addon.store.models import Company, Connection, DocumentRow

ANSWERS: Final = "opening_answers"
"""Where a connection's row keeps, by currency, that the books have the opening already, and who said so."""
ROLE: Final = AccountRole.OPENING_CONTRA.value
_UNSENT: Final = (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value)


class NoSuchQuestion(LookupError):
    """Nothing is asked of this connection and currency (any more)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a clearing account opens with, and how far that is: `asked`, `in_books`, `proposed`, `under_way`, `booked`,
    `refused` by the accounting system."""

    connection_id: int
    provider: str
    start: date
    amount: Money
    books: Money
    state: str
    account: str = ""
    """What the voucher is booked against, where there is one."""
    who: str = ""
    vouchers: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    """Vouchers of another start that stand in the books: a person has to take them back."""


# --- Proposing --------------------------------------------------------------------------------------------------


def propose(
    services: Services, company_id: int, connection_id: int, load: Callable[[Session], Policy]
) -> tuple[str, ...]:
    """Propose the vouchers of openings that nobody has spoken for, and drop those of another start; their keys.

    Nothing is proposed until an account is chosen. One call of nothing; a person approves each.
    """
    with services.db.company(company_id) as session:
        policy = load(session)
        connection = session.get_one(Connection, connection_id)
        start = start_day(connection, policy.zone)
        _drop(session, _outlived(session, connection, start), services.now())
        made: list[str] = []
        for opening in _openings(connection, policy):
            if _answer(connection, opening):
                continue
            try:
                document = plan_opening(opening, policy)
            except CannotBook:
                continue  # no account is chosen, or it is not ready: Get started asks for one
            if document is not None and _store(session, company_id, connection_id, document, policy, services.now()):
                made.append(document.key)
        return tuple(made)


def _openings(connection: Connection, policy: Policy) -> list[Opening]:
    """What each balance currency opens with, where that is known and not nought."""
    start = start_day(connection, policy.zone)
    home = policy.books_currency
    carried: dict[str, Carrying | None] = dict(booking.opening_carrying(connection, policy))
    if home in connection.opening:
        own = Money(int(connection.opening[home]), home)
        carried[home] = Carrying(own, own)
    return [Opening(start, one) for _, one in sorted(carried.items()) if one is not None and one.balance]


def _answer(connection: Connection, opening: Opening) -> Mapping[str, Any]:
    """That the books have just this opening already; empty if nobody has said so."""
    found = dict(connection.settings.get(ANSWERS, {})).get(opening.currency, {})
    same = (found.get("start"), found.get("minor")) == (opening.start.isoformat(), opening.carrying.balance.minor)
    return found if same else {}


def _store(
    session: Session, company_id: int, connection_id: int, document: Document, policy: Policy, now: datetime
) -> bool:
    """Store a proposal, in the place of one that says something else; not one that a person has let go."""
    row = session.scalars(select(DocumentRow).where(DocumentRow.key == document.key)).one_or_none()
    if row is not None:
        if row.state != DeliveryState.PROPOSED.value or row.fingerprint == fingerprint(document):
            return False
        booking.discard(session, [row.id], now)
    booking.store_document(session, company_id, connection_id, None, document, False, now)
    booking.keep_opening_values(session, connection_id, [document], policy)
    return True


def _outlived(session: Session, connection: Connection, start: date) -> list[int]:
    """Openings of another start, and proposed ones of a balance that has turned out to have opened with nothing."""
    rows = session.execute(
        select(DocumentRow.id, DocumentRow.key, DocumentRow.state, DocumentRow.clearing_currency).where(
            DocumentRow.connection_id == connection.id,
            DocumentRow.kind == DocumentKind.OPENING.value,
            DocumentRow.state.in_(_UNSENT),
        )
    )
    nought = {currency for currency, minor in connection.opening.items() if not int(minor)}
    return [
        row.id
        for row in rows
        if not row.key.endswith(f"/{start.isoformat()}")
        or (row.state == DeliveryState.PROPOSED.value and row.clearing_currency in nought)
    ]


def _drop(session: Session, document_ids: Sequence[int], now: datetime) -> None:
    free = [one for one in document_ids if booking.nothing_stands(session, one)]
    if free:
        booking.discard(session, free, now)


# --- What people are asked --------------------------------------------------------------------------------------


def questions(services: Services, company_id: int) -> tuple[Question, ...]:
    """The openings of all connections, each with how far it is."""
    found: list[Question] = []
    with services.db.company_reading(company_id) as session:
        books = connections.load_books(session)
        if books is None:
            return ()
        company = session.get_one(Company, company_id)
        for connection in session.scalars(select(Connection).order_by(Connection.id)):
            policy = _policy(services, session, company, connection, books)
            if policy is not None:
                found += (_question(session, connection, opening, policy) for opening in _openings(connection, policy))
    return tuple(found)


def _policy(
    services: Services, session: Session, company: Company, connection: Connection, books: Books
) -> Policy | None:
    if not connection.opening:
        return None
    try:
        return load_policy(services, session, company, connection, books)
    except ModeNotChosen:
        return None


_STATES: Final[Mapping[str, str]] = {
    DeliveryState.PROPOSED.value: "proposed",
    DeliveryState.BOOKED.value: "booked",
    DeliveryState.REJECTED.value: "refused",
}


def _question(session: Session, connection: Connection, opening: Opening, policy: Policy) -> Question:
    key = opening_key(policy, opening.currency, opening.start)
    row = session.scalars(select(DocumentRow).where(DocumentRow.key == key)).one_or_none()
    answer = _answer(connection, opening)
    question = Question(
        connection.id,
        policy.provider_name,
        opening.start,
        opening.carrying.balance,
        opening.carrying.books,
        "in_books" if answer else "asked",
        policy.accounts.numbers.get(ROLE, ""),
        str(answer.get("by", "")),
        earlier=_earlier(session, connection.id, opening.currency, key),
    )
    if row is None:
        return question
    state = _STATES.get(row.state, "under_way")
    return replace(question, state=state, account=_contra_of(row), vouchers=tuple(row.vouchers))


def _contra_of(row: DocumentRow) -> str:
    (step,) = (step for step in decode(Document, row.payload).steps if isinstance(step, PostVoucher))
    return next(line.account.number for line in step.voucher.lines if line.account.role is AccountRole.OPENING_CONTRA)


def _earlier(session: Session, connection_id: int, currency: str, key: str) -> tuple[str, ...]:
    rows = session.scalars(
        select(DocumentRow.vouchers).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.OPENING.value,
            DocumentRow.clearing_currency == currency,
            DocumentRow.key != key,
            DocumentRow.state == DeliveryState.BOOKED.value,
        )
    )
    return tuple(sorted(voucher for vouchers in rows for voucher in vouchers))


# --- What people answer -----------------------------------------------------------------------------------------


def in_books(services: Services, company_id: int, connection_id: int, currency: str, who: str) -> None:
    """Note that the books have an opening already; a proposed voucher is dropped.

    Raises `NoSuchQuestion`, `UnknownConnection`.
    """
    now = services.now()
    with services.db.company(company_id) as session:
        connection, opening, policy = _asked(services, session, company_id, connection_id, currency)
        row = _unwritten(session, opening_key(policy, currency, opening.start))
        if row is not None:
            booking.discard(session, [row.id], now)
        said = {
            "start": opening.start.isoformat(),
            "minor": opening.carrying.balance.minor,
            "by": who,
            "at": now.isoformat(),
        }
        answers = {**connection.settings.get(ANSWERS, {}), currency: said}
        connection.settings = {**connection.settings, ANSWERS: answers}
        facts = {"amount": str(opening.carrying.balance), "day": opening.start.isoformat()}
        activity.record(session, who, "opening_in_books", facts, now)


def book(services: Services, company_id: int, connection_id: int, currency: str, account: str, who: str) -> None:
    """Make the opening voucher against an account, and approve it: the person said so with both before them.

    The account is remembered for the company's other openings. Raises `NoSuchQuestion`, `CannotBook` where it cannot be
    booked there, and `ValueError` for what is no account number.
    """
    changes = {f"accounts.{ROLE}": account}
    with services.db.company(company_id) as session:
        connection, opening, policy = _asked(services, session, company_id, connection_id, currency)
        numbers = {**policy.accounts.numbers, ROLE: account.strip()}
        policy = replace(policy, accounts=replace(policy.accounts, numbers=numbers))
        document = plan_opening(opening, policy)
        if document is None:
            raise NoSuchQuestion(f"{currency} is worth nothing in the books")
    faults = settings.change(services, company_id, who, changes)
    if faults:
        raise ValueError(str(faults[0]))
    now = services.now()
    with services.db.company(company_id) as session:
        connection, opening, _ = _asked(services, session, company_id, connection_id, currency)
        row = _unwritten(session, document.key)
        answers = {name: said for name, said in connection.settings.get(ANSWERS, {}).items() if name != currency}
        connection.settings = {**connection.settings, ANSWERS: answers}
        if row is not None:
            booking.discard(session, [row.id], now)
        made = booking.store_document(session, company_id, connection_id, None, document, False, now)
        booking.keep_opening_values(session, connection_id, [document], policy)
        facts = {"amount": str(opening.carrying.balance), "account": account.strip()}
        activity.record(session, who, "opening_chosen", facts, now)
        document_id = made.id
    booking.approve(services, company_id, [document_id], who)


def refuse(services: Services, company_id: int, document_ids: Sequence[int], who: str) -> int:
    """Those of the proposed documents that are openings are refused: the books have them already. Says how many."""
    with services.db.company_reading(company_id) as session:
        rows = session.execute(
            select(DocumentRow.connection_id, DocumentRow.clearing_currency).where(
                DocumentRow.id.in_(document_ids),
                DocumentRow.kind == DocumentKind.OPENING.value,
                DocumentRow.state == DeliveryState.PROPOSED.value,
            )
        ).all()
    for row in rows:
        in_books(services, company_id, row.connection_id, row.clearing_currency, who)
    return len(rows)


def _asked(
    services: Services, session: Session, company_id: int, connection_id: int, currency: str
) -> tuple[Connection, Opening, Policy]:
    connection = settings.get_connection(session, connection_id, for_update=True)
    books = connections.load_books(session)
    if books is None:
        raise NoSuchQuestion(f"connection {connection_id}")
    policy = _policy(services, session, session.get_one(Company, company_id), connection, books)
    if policy is not None:
        for opening in _openings(connection, policy):
            if opening.currency == currency and not _is_sent(session, opening_key(policy, currency, opening.start)):
                return connection, opening, policy
    raise NoSuchQuestion(f"{currency} of connection {connection_id}")


def _is_sent(session: Session, key: str) -> bool:
    row = session.scalars(select(DocumentRow).where(DocumentRow.key == key)).one_or_none()
    return row is not None and row.state != DeliveryState.PROPOSED.value


def _unwritten(session: Session, key: str) -> DocumentRow | None:
    return session.scalars(
        select(DocumentRow).where(DocumentRow.key == key, DocumentRow.state == DeliveryState.PROPOSED.value)
    ).one_or_none()


__all__ = ["ANSWERS", "NoSuchQuestion", "Question", "book", "in_books", "propose", "questions", "refuse"]
