"""Bring an earlier year in: look first at what it would write, then move the start back and let an ordinary run book.

A look fetches the year beside what is booked from (nothing of it can be booked by accident), plans it in a
transaction that is rolled back, and shows the result. Bringing it in moves the start date; everything is stored and
booked under its own key, so that nothing comes in twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.core.dates import start_of_day
from addon.core.records import Itemisation, Movement, Payout
from addon.ports.payments import Fetched, PaymentSource
from addon.services import activity, ingest, previews
from addon.services.context import Services
from addon.services.settings import SEEN_CURRENCIES
from addon.store.codec import decode, encode
from addon.store.models import BooksRow, Connection, MovementRow, RunItemRow, RunRow

TRIGGER: Final = "backfill"
LOOK: Final = "backfill_preview"
LONGEST: Final = timedelta(days=366)
"""One year at a time: each is looked at by itself."""


class CannotGoBack(ValueError):
    """The year is not before what is booked from; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The days of one connection that would come in."""

    connection_id: int
    provider: str
    first_day: date
    start_date: date


def stretches(services: Services, company_id: int, year: int) -> tuple[Stretch, ...]:
    """What a year would add to each connection. Raises `CannotGoBack`."""
    first_day = date(year, 1, 1)
    with services.db.company_reading(company_id) as session:
        rows = session.scalars(
            select(Connection)
            .where(Connection.state == "connected", Connection.mode != "", Connection.start_date.is_not(None))
            .order_by(Connection.id)
        ).all()
    found = [
        Stretch(row.id, row.provider, first_day, row.start_date)
        for row in rows
        if row.start_date is not None and row.start_date > first_day
    ]
    if not found:
        raise CannotGoBack(f"everything since {first_day.isoformat()} is booked from already")
    if any(one.start_date - first_day > LONGEST for one in found):
        raise CannotGoBack("one year at a time: bring the later year in first")
    return tuple(found)


# --- Looking ----------------------------------------------------------------------------------------------------


def stage(
    services: Services,
    company_id: int,
    run_id: int,
    stretch: Stretch,
    source: PaymentSource,
    enough: Callable[[], bool],
) -> bool:
    """Fetch a stretch beside what is booked from, a page at a time; False if more is left."""
    zone = _zone(services, company_id)
    since = start_of_day(stretch.first_day, zone)
    until = start_of_day(stretch.start_date, zone)
    while True:
        state = _state(services, company_id, run_id, stretch.connection_id)
        match state.get("stage", "movements"):
            case "movements":
                page = source.fetch_movements(since, until - timedelta(microseconds=1), state.get("cursor"))
                rows = [_item(run_id, stretch, "movement", one.value.ref, one.value, one.raw) for one in page.items]
                follows = "movements" if page.next_cursor else "payouts"
                _note(services, company_id, run_id, stretch, rows, follows, page.next_cursor)
            case "payouts":
                payouts = source.fetch_payouts(since - ingest.PAYOUT_WATCH, state.get("cursor"))
                rows = [
                    _item(run_id, stretch, "payout", one.value.ref, one.value, one.raw)
                    for one in payouts.items
                    if since <= one.value.created_at < until
                ]
                follows = "payouts" if payouts.next_cursor else "items"
                _note(services, company_id, run_id, stretch, rows, follows, payouts.next_cursor)
            case "items":
                if not _stage_items(services, company_id, run_id, stretch, source):
                    return True
            case _:
                return True
        if enough():
            return False


def _stage_items(services: Services, company_id: int, run_id: int, stretch: Stretch, source: PaymentSource) -> bool:
    with services.db.company_reading(company_id) as session:
        payouts = session.scalars(_staged(run_id, stretch.connection_id, "payout")).all()
        done = {row.key for row in session.scalars(_staged(run_id, stretch.connection_id, "items"))}
    for row in payouts:
        payout = decode(Payout, row.payload["value"])
        if row.key in done or payout.itemisation is not Itemisation.COMPLETE:
            continue
        refs: list[str] = []
        total, cursor = 0, None
        while True:
            page = source.fetch_payout_items(payout.ref, cursor)
            refs += [item.ref for item in page.items]
            total += sum(item.net.minor for item in page.items if item.net.currency == payout.amount.currency)
            cursor = page.next_cursor
            if cursor is None:
                break
        with services.db.company(company_id) as session:
            payload = {"connection": stretch.connection_id, "refs": refs, "minor": total}
            session.add(RunItemRow(run_id=run_id, what="staged", kind="items", key=row.key, payload=payload))
        return True
    return False


def _zone(services: Services, company_id: int) -> Any:
    with services.db.company_reading(company_id) as session:
        return ingest.zone_of(session, company_id)


def _state(services: Services, company_id: int, run_id: int, connection_id: int) -> Mapping[str, Any]:
    with services.db.company_reading(company_id) as session:
        staged = session.get_one(RunRow, run_id).cursor.get("staged", {})
        return dict(staged.get(str(connection_id), {}))


def _item(
    run_id: int, stretch: Stretch, kind: str, ref: str, value: Movement | Payout, raw: Mapping[str, Any]
) -> RunItemRow:
    payload = {"connection": stretch.connection_id, "value": encode(value), "raw": dict(raw)}
    return RunItemRow(run_id=run_id, what="staged", kind=kind, key=ref[:180], payload=payload)


def _note(
    services: Services,
    company_id: int,
    run_id: int,
    stretch: Stretch,
    rows: list[RunItemRow],
    follows: str,
    cursor: str | None,
) -> None:
    with services.db.company(company_id) as session:
        session.add_all(rows)
        run = session.get_one(RunRow, run_id)
        staged = dict(run.cursor.get("staged", {}))
        staged[str(stretch.connection_id)] = {"stage": follows, "cursor": cursor}
        fetched = int(run.counts.get("fetched", 0)) + sum(row.kind == "movement" for row in rows)
        run.cursor, run.counts = {**run.cursor, "staged": staged}, {**run.counts, "fetched": fetched}


def _staged(run_id: int, connection_id: int, kind: str) -> Any:
    return (
        select(RunItemRow)
        .where(
            RunItemRow.run_id == run_id,
            RunItemRow.what == "staged",
            RunItemRow.kind == kind,
            RunItemRow.payload["connection"].as_integer() == connection_id,
        )
        .order_by(RunItemRow.id)
    )


def preparing(
    company_id: int, run_id: int, found: tuple[Stretch, ...], books: Books, now: datetime
) -> previews.Prepare:
    """What is put into the transaction that a look rolls back: the earlier start, and what was fetched of it."""

    def prepare(session: Session) -> None:
        session.scalars(select(BooksRow)).one().value = encode(books)
        for stretch in found:
            _bring_in(session, company_id, run_id, stretch, now)
        session.flush()

    return prepare


def _bring_in(session: Session, company_id: int, run_id: int, stretch: Stretch, now: datetime) -> None:
    connection = session.get_one(Connection, stretch.connection_id)
    connection.start_date = stretch.first_day
    movements = [
        Fetched(decode(Movement, row.payload["value"]), row.payload["raw"])
        for row in session.scalars(_staged(run_id, stretch.connection_id, "movement"))
    ]
    known = set(session.scalars(select(MovementRow.ref).where(MovementRow.connection_id == stretch.connection_id)))
    opening: dict[str, int] = defaultdict(int, {name: int(minor) for name, minor in connection.opening.items()})
    for one in movements:
        if one.value.ref not in known:
            opening[one.value.currency] -= one.value.net().minor
    connection.opening = dict(opening)
    session.flush()
    ingest.store_movements(session, company_id, stretch.connection_id, movements, now)
    payouts = [
        Fetched(decode(Payout, row.payload["value"]), row.payload["raw"])
        for row in session.scalars(_staged(run_id, stretch.connection_id, "payout"))
    ]
    ingest.store_payouts(session, company_id, stretch.connection_id, payouts, now)
    session.flush()
    for row in session.scalars(_staged(run_id, stretch.connection_id, "items")):
        ingest.note_items(session, stretch.connection_id, row.key, row.payload["refs"], int(row.payload["minor"]))


# --- Bringing it in ---------------------------------------------------------------------------------------------


def begin(services: Services, company_id: int, year: int, who: str) -> tuple[Stretch, ...]:
    """Move the start of each connection back to the year's first day. Raises `CannotGoBack`.

    What is booked stays; the next run fetches from there on, and notes the opening of the new start.
    """
    found = stretches(services, company_id, year)
    now = services.now()
    with services.db.company(company_id) as session:
        for stretch in found:
            row = session.scalars(
                select(Connection).where(Connection.id == stretch.connection_id).with_for_update()
            ).one()
            row.start_date, row.fetched_until, row.opening = stretch.first_day, None, {}
            row.settings = {key: value for key, value in row.settings.items() if key != SEEN_CURRENCIES}
            facts = {
                "provider": stretch.provider,
                "old": stretch.start_date.isoformat(),
                "new": stretch.first_day.isoformat(),
            }
            activity.record(session, who, "backfill_begun", facts, now)
    return found


__all__ = ["LOOK", "TRIGGER", "CannotGoBack", "Stretch", "begin", "preparing", "stage", "stretches"]
