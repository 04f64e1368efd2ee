"""A database that was put back, or a new one for books that Kvitt has served before: what is planned may stand there.

The rows then know less than the books. So every first attempt at what may have been written in the lost time looks
before it writes. A person says that there was a restore (`kvitt restored`); where nobody did, it is seen before the
first write of a slice: something stands under Kvitt's keys that the rows know nothing of.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.core.delivery import DeliveryState
from addon.ports.accounting import AccountingSystem
from addon.services import activity
from addon.services.context import Services
from addon.store.deliveries import FOR_PEOPLE
from addon.store.models import AccountingConnection, Connection, DeliveryRow, DocumentRow, MovementRow, PartRow

LOOK_UP_FIRST_FOR: Final = timedelta(days=7)
"""For so long everything is looked up first; later only what is booked of movements from before that."""
OVERLAP: Final = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""
_AT_ONCE: Final = 200


def declare(services: Services, company_id: int, who: str) -> datetime | None:
    """A person says that the database was put back. Until when everything is looked up first; None without books."""
    with services.db.company(company_id) as session:
        row = session.scalars(select(AccountingConnection).with_for_update()).one_or_none()
        return None if row is None else _look_first(session, row, who, services.now(), {})


def _look_first(
    session: Session, row: AccountingConnection, who: str, now: datetime, facts: dict[str, str]
) -> datetime:
    row.lookups_first_until = now + LOOK_UP_FIRST_FOR
    activity.record(session, who, "looks_first", facts, now)
    return row.lookups_first_until


def looks_first(session: Session, document_id: int, until: datetime, now: datetime) -> bool:
    """Whether a document's first attempts look first: it may have been written in a time that was lost.

    By its movements' own instants, not by its date: one that is held, or waits, for weeks after a restore may have
    been written before it. What books no movement (an undo, a correction) always looks.
    """
    if now < until:
        return True
    begun = session.scalar(
        select(func.min(MovementRow.occurred_at))
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(PartRow.document_id == document_id)
    )
    return begun is None or begun <= until


def notice(
    services: Services,
    company_id: int,
    system: AccountingSystem,
    books: Books,
    series: str,
    noticed_at: datetime | None = None,
) -> bool:
    """Before a slice's first write: do the books know of something of ours that the rows do not? Then look first.

    A list call for each provider and for our voucher series, where anything is to be written without a look.
    `noticed_at`: when an earlier slice of this run looked, by the rows as they are now. A copy of the database may have
    been taken in the middle of a run, so that once for each run would not do. Says whether it has looked. Raises the
    errors of `addon.ports.errors`.
    """
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(AccountingConnection)).one()
        if row.lookups_first_until is not None and services.now() < row.lookups_first_until:
            return False  # it is looked for anyway
        days = _first_attempts(session)
        if not days:
            return False
        seen = max((at for at in (row.audited_at, noticed_at) if at is not None), default=None)
        since = seen - OVERLAP if seen is not None else None
        prefixes = sorted({f"{provider}/" for provider in session.scalars(select(Connection.provider))})
    found = _strange_invoice(services, company_id, system, prefixes, since)
    years = {year.ref for day in days if (year := books.year_of(day)) is not None}
    for year_ref in sorted(years):
        found = found or _strange_voucher(services, company_id, system, prefixes, series, year_ref)
    if found:
        with services.db.company(company_id) as session:
            row = session.scalars(select(AccountingConnection).with_for_update()).one()
            _look_first(session, row, activity.KVITT, services.now(), {"found": found})
    return True


def _first_attempts(session: Session) -> set[date]:
    """The booking dates of documents of which something would be written without a look.

    Not only first attempts: one that was told to try later, and so wrote nothing, may have been made good since.
    """
    query = (
        select(DocumentRow.booking_date)
        .join(DeliveryRow, DeliveryRow.document_id == DocumentRow.id)
        .where(
            DocumentRow.state.in_((DeliveryState.APPROVED.value, DeliveryState.SENDING.value)),
            DeliveryRow.state == DeliveryState.APPROVED.value,
            ~DeliveryRow.needs_lookup,
            DeliveryRow.kind.not_in(FOR_PEOPLE),
        )
        .distinct()
    )
    return set(session.scalars(query))


def _strange_invoice(
    services: Services, company_id: int, system: AccountingSystem, prefixes: Iterable[str], since: datetime | None
) -> str:
    """The key of an invoice that no row of ours accounts for; empty if there is none."""
    for prefix in prefixes:
        keys: set[str] = set()
        for view in system.fetch_invoices(prefix, since):
            if not view.cancelled:
                keys.add(view.our_key)
            if len(keys) >= _AT_ONCE:
                strange = _unknown(services, company_id, keys)
                if strange:
                    return strange
                keys.clear()
        strange = _unknown(services, company_id, keys)
        if strange:
            return strange
    return ""


def _unknown(services: Services, company_id: int, keys: set[str]) -> str:
    """One of these keys that has neither been written, as far as the rows know, nor perhaps been."""
    with services.db.company_reading(company_id) as session:
        known = session.scalars(
            select(DeliveryRow.key).where(
                DeliveryRow.key.in_(keys),
                or_(DeliveryRow.state == DeliveryState.BOOKED.value, DeliveryRow.needs_lookup),
            )
        )
        documents = session.scalars(select(DocumentRow.key).where(DocumentRow.key.in_(keys), DocumentRow.number != ""))
        return min(keys - set(known) - set(documents), default="")


def _strange_voucher(
    services: Services,
    company_id: int,
    system: AccountingSystem,
    prefixes: Iterable[str],
    series: str,
    year_ref: str,
) -> str:
    """A voucher with a key of ours that no row of ours accounts for; empty if there is none.

    Only one that is younger than all that are known: a series grows at its end, and what stands before, from an
    installation of former years, would be found again for ever.
    """
    strange: dict[str, str] = {}
    newest = 0
    texts: dict[str, str] = {}
    for view in system.fetch_vouchers(series, year_ref):
        if any(_bears(view.text, prefix) for prefix in prefixes):
            texts[view.reference] = view.text
        if len(texts) >= _AT_ONCE:
            newest = max(newest, _sift(services, company_id, texts, strange))
    newest = max(newest, _sift(services, company_id, texts, strange))
    younger = {reference: text for reference, text in strange.items() if _number(reference) > newest}
    if not younger:
        return ""
    with services.db.company_reading(company_id) as session:
        # What a write without a readable answer may have made is looked for anyway, and what it made twice is audited.
        doubt = select(DeliveryRow.key).where(
            DeliveryRow.kind == "post_voucher", or_(DeliveryRow.needs_lookup, DeliveryRow.doubtful)
        )
        doubted = tuple(session.scalars(doubt))
    return min((one for one, text in younger.items() if not any(_bears(text, key) for key in doubted)), default="")


def _bears(text: str, key: str) -> bool:
    """Whether a voucher's text has a key in it, or one that begins so: in brackets, or as a word of its own."""
    return f"({key}" in text or f" {key}" in f" {text}"


def _sift(services: Services, company_id: int, texts: dict[str, str], strange: dict[str, str]) -> int:
    """Move on what no row knows, and forget the rest; the highest number among those that are known."""
    unknown = _unknown_vouchers(services, company_id, set(texts))
    newest = max((_number(reference) for reference in texts if reference not in unknown), default=0)
    strange.update({reference: text for reference, text in texts.items() if reference in unknown})
    texts.clear()
    return newest


def _number(reference: str) -> int:
    """The number in a voucher's reference, which is series/number/year."""
    return int(reference.split("/", 2)[1])


def _unknown_vouchers(services: Services, company_id: int, references: set[str]) -> set[str]:
    with services.db.company_reading(company_id) as session:
        known = set(session.scalars(select(DeliveryRow.reference).where(DeliveryRow.reference.in_(references))))
        # A second copy that an audit has found is known by what takes it back.
        for vouchers in session.scalars(select(DocumentRow.vouchers).where(DocumentRow.kind == "correction")):
            known.update(vouchers)
        return references - known
