"""Fetch: page through a provider's movements and payouts, and store each under its own key. Repeating is harmless."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from addon.core.dates import booking_date, start_of_day
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import DocumentKind
from addon.core.explain import making_up
from addon.core.money import Money
from addon.core.records import (
    Balance,
    Dispute,
    DisputeState,
    Itemisation,
    Movement,
    MovementKind,
    Payout,
    PayoutState,
)
from addon.ports.payments import Fetched, PaymentSource
from addon.services.context import Services
from addon.store.bulk import among, insert_rows
from addon.store.codec import decode, encode
from addon.store.database import held
from addon.store.models import Company, Connection, DisputeRow, DocumentRow, MovementRow, PartRow, PayoutRow

PAYOUT_WATCH = timedelta(days=14)
"""A paid payout may still fail; providers name five business days."""
OVERLAP = timedelta(minutes=10)
"""Least overlap of two fetches, against clocks that disagree."""
AHEAD = timedelta(minutes=10)
"""How far beyond our own clock is asked for. Where the provider's is ahead of it, a window that ended now would leave
out movements that the balance, asked for at the same moment, has in it: a proof would differ, an opening be wrong.
"""
UNDER_WAY_AT_START = "payout under way at the start"
"""The word on movements that were made from a payout of before the start date."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far a fetch has come: `stage` movements, payouts, disputes, items or done; `fetched` counts new movements.

    `payout` is whose list `cursor` stands in, and `items_minor` what its pages so far come to: kept beside it, so that
    after a crash no page counts twice and no list is begun in the middle.
    """

    stage: str = "movements"
    cursor: str | None = None
    since: str = ""
    until: str = ""
    fetched: int = 0
    payout: str = ""
    items_minor: int = 0

    def to_json(self) -> dict[str, Any]:
        """For the run's row."""
        return {
            "stage": self.stage,
            "cursor": self.cursor,
            "since": self.since,
            "until": self.until,
            "fetched": self.fetched,
            "payout": self.payout,
            "items_minor": self.items_minor,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fetch:
        """From the run's row; the beginning where it is empty."""
        return cls(**data) if data else cls()


def fetch_step(services: Services, company_id: int, connection_id: int, source: PaymentSource, fetch: Fetch) -> Fetch:
    """Make one call or so and store what it brought; give the state to go on from. Network first, then one commit."""
    match fetch.stage:
        case "movements":
            return _movements(services, company_id, connection_id, source, fetch)
        case "payouts":
            return _payouts(services, company_id, connection_id, source, fetch)
        case "disputes":
            return fetch_disputes_step(services, company_id, connection_id, source, fetch)
        case "items":
            return _items(services, company_id, connection_id, source, fetch)
        case _:
            return Fetch("done", fetched=fetch.fetched)


def _movements(services: Services, company_id: int, connection_id: int, source: PaymentSource, fetch: Fetch) -> Fetch:
    now = services.now()
    if not fetch.until:
        with services.db.company_reading(company_id) as session:
            connection = session.get_one(Connection, connection_id)
            since = _since(session, company_id, connection, source)
        fetch = Fetch("movements", None, since.isoformat(), (now + AHEAD).isoformat(), fetch.fetched)
    page = source.fetch_movements(
        datetime.fromisoformat(fetch.since), datetime.fromisoformat(fetch.until), fetch.cursor
    )
    with services.db.company(company_id) as session:
        items = _since_start(session, company_id, connection_id, page.items)
        new = store_movements(session, company_id, connection_id, items, now)
        fetched = fetch.fetched + new
        if page.next_cursor is None:
            connection = session.scalars(
                select(Connection).where(Connection.id == connection_id).with_for_update()
            ).one()
            if _since(session, company_id, connection, source) < datetime.fromisoformat(fetch.since):
                # A person has moved the start back meanwhile: what lies before is still to come.
                return Fetch("movements", fetched=fetched)
            connection.fetched_until = datetime.fromisoformat(fetch.until) - AHEAD
    if page.next_cursor is not None:
        return Fetch("movements", page.next_cursor, fetch.since, fetch.until, fetched)
    return Fetch("payouts", fetched=fetched)


def _since(session: Session, company_id: int, connection: Connection, source: PaymentSource) -> datetime:
    """From when movements are fetched: what is fetched already is overlapped by as much as they may come late."""
    start = start_instant(connection, zone_of(session, company_id))
    if connection.fetched_until is None:
        return start
    return max(start, connection.fetched_until - max(OVERLAP, timedelta(seconds=source.capabilities.lateness_s)))


def _since_start(
    session: Session, company_id: int, connection_id: int, items: Sequence[Fetched[Movement]]
) -> list[Fetched[Movement]]:
    """What happened on the start date or later: a provider may list by when a record was changed."""
    start = start_instant(session.get_one(Connection, connection_id), zone_of(session, company_id))
    return [item for item in items if item.value.occurred_at >= start]


def zone_of(session: Session, company_id: int) -> ZoneInfo:
    """The company's time zone."""
    return ZoneInfo(held(session, session.get_one(Company, company_id)).time_zone)


def start_instant(connection: Connection, zone: ZoneInfo) -> datetime:
    """From when a connection's movements are fetched: its start date, else the day it was connected."""
    return start_of_day(start_day(connection, zone), zone)


def start_day(connection: Connection, zone: ZoneInfo) -> date:
    """A connection's start date, else the day it was connected."""
    return connection.start_date or booking_date(connection.connected_at, zone)


def store_movements(
    session: Session,
    company_id: int,
    connection_id: int,
    items: Sequence[Fetched[Movement]],
    now: datetime,
) -> int:
    """Store movements under their unique keys, with their parts; say how many were new. The caller commits.

    A movement that is there already is refreshed as long as none of its parts has become a document: providers
    add order numbers and buyers later.
    """
    if not items:
        return 0
    zone = zone_of(session, company_id)
    unique = {item.value.ref: item for item in items}
    known = _movement_ids(session, connection_id, unique)
    fresh = [item for ref, item in unique.items() if ref not in known]
    if fresh:
        insert_rows(
            session,
            MovementRow,
            [
                {"connection_id": connection_id, "payout_ref": "", **_movement_columns(item, zone, now)}
                for item in fresh
            ],
        )
        ids = _movement_ids(session, connection_id, {item.value.ref for item in fresh})
        insert_rows(
            session,
            PartRow,
            [
                {
                    "connection_id": connection_id,
                    "movement_id": ids[item.value.ref],
                    "name": part.name,
                    "kind": part.kind.value,
                    "service": item.value.service_of(part.name).value,
                    "amount_minor": part.amount.minor,
                    "currency": part.amount.currency,
                    "state": PartState.OPEN.value,
                    "reason": "",
                    "facts": {},
                    "set_aside_by": "",
                    "set_aside_where": "",
                    "changed_at": now,
                }
                for item in fresh
                for part in item.value.parts()
            ],
        )
    _refresh(session, [(known[ref], item) for ref, item in unique.items() if ref in known], zone, now)
    return len(fresh)


def _movement_ids(session: Session, connection_id: int, refs: Collection[str]) -> dict[str, int]:
    rows = session.execute(
        select(MovementRow.ref, MovementRow.id).where(
            MovementRow.connection_id == connection_id, among(session, MovementRow.ref, refs)
        )
    )
    return {row.ref: row.id for row in rows}


def _movement_columns(item: Fetched[Movement], zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    movement = item.value
    return {
        "ref": movement.ref,
        "kind": movement.kind.value,
        "amount_minor": movement.amount.minor,
        "net_minor": movement.net().minor,
        "currency": movement.currency,
        "presented_minor": movement.presented.minor if movement.presented else None,
        "presented_currency": movement.presented.currency if movement.presented else "",
        "occurred_at": movement.occurred_at,
        "booking_date": booking_date(movement.occurred_at, zone),
        "source_ref": movement.source_ref,
        "original_ref": movement.original_ref,
        "order_number": (movement.order_numbers[0].value if movement.order_numbers else "")[:120],
        "buyer": (movement.buyer.email or movement.buyer.name)[:320],
        "value": encode(movement),
        "raw": dict(item.raw),
        "fetched_at": now,
    }


def _refresh(session: Session, items: Iterable[tuple[int, Fetched[Movement]]], zone: ZoneInfo, now: datetime) -> None:
    by_id = dict(items)
    if not by_id:
        return
    settled = set(
        session.scalars(
            select(PartRow.movement_id).where(PartRow.movement_id.in_(by_id), PartRow.document_id.is_not(None))
        )
    )
    stored = session.execute(select(MovementRow.id, MovementRow.value).where(MovementRow.id.in_(set(by_id) - settled)))
    changed = [row.id for row in stored if encode(by_id[row.id].value) != row.value]
    for row in session.scalars(select(MovementRow).where(MovementRow.id.in_(changed))) if changed else ():
        columns = _movement_columns(by_id[row.id], zone, now)
        if by_id[row.id].value.parts() != decode(Movement, row.value).parts():
            continue  # amounts of a balance are final; a part must never change under a proof
        for name, value in columns.items():
            setattr(row, name, value)


def _payouts(services: Services, company_id: int, connection_id: int, source: PaymentSource, fetch: Fetch) -> Fetch:
    now = services.now()
    if not source.capabilities.lists_payouts:
        with services.db.company(company_id) as session:
            store_payouts(session, company_id, connection_id, _payouts_by_movements(session, connection_id), now)
        return Fetch("disputes", fetched=fetch.fetched)
    if not fetch.since:
        with services.db.company_reading(company_id) as session:
            connection = session.get_one(Connection, connection_id)
            start = start_instant(connection, zone_of(session, company_id))
            oldest = session.scalar(
                select(func.min(PayoutRow.paid_out_at)).where(
                    PayoutRow.connection_id == connection_id,
                    (PayoutRow.state == PayoutState.UNDER_WAY.value)
                    | (PayoutRow.itemisation == Itemisation.PENDING.value),
                )
            )
            any_known = session.scalar(select(PayoutRow.id).where(PayoutRow.connection_id == connection_id).limit(1))
            unseen = _oldest_unseen_payout(session, connection_id)
            first = any_known is None or not connection.opening
        # Payouts that were under way at the start were made before it, and change their state after it.
        earliest = start - PAYOUT_WATCH
        since = earliest if first else max(earliest, min(oldest or now, unseen or now, now - PAYOUT_WATCH))
        fetch = Fetch("payouts", None, since.isoformat(), now.isoformat(), fetch.fetched)
    page = source.fetch_payouts(datetime.fromisoformat(fetch.since), fetch.cursor)
    with services.db.company(company_id) as session:
        kept, movements = _of_the_books(session, session.get_one(Connection, connection_id), page.items)
        store_payouts(session, company_id, connection_id, kept, now)
        fetched = fetch.fetched + store_movements(session, company_id, connection_id, movements, now)
    if page.next_cursor is not None:
        return Fetch("payouts", page.next_cursor, fetch.since, fetch.until, fetched)
    return Fetch("disputes", fetched=fetched)


def fetch_disputes_step(
    services: Services, company_id: int, connection_id: int, source: PaymentSource, fetch: Fetch
) -> Fetch:
    """One page of disputes, as long as some dispute of the books is not known to be decided; else no call at all."""
    now = services.now()
    if not fetch.since:
        with services.db.company_reading(company_id) as session:
            oldest = _oldest_undecided_dispute(session, connection_id)
        if oldest is None:
            return Fetch("items", fetched=fetch.fetched)
        fetch = Fetch("disputes", None, oldest.isoformat(), fetched=fetch.fetched)
    page = source.fetch_disputes(datetime.fromisoformat(fetch.since), fetch.cursor)
    with services.db.company(company_id) as session:
        items: Sequence[Fetched[Dispute]] = page.items
        if source.capabilities.disputes_by_payment:
            items = _disputes_by_payment(session, connection_id, items)
        store_disputes(session, company_id, connection_id, items, now)
    if page.next_cursor is not None:
        return Fetch("disputes", page.next_cursor, fetch.since, fetched=fetch.fetched)
    return Fetch("items", fetched=fetch.fetched)


DISPUTE_LOOK_BACK = timedelta(days=150)
"""How long before its money went a dispute may have been opened, as an inquiry: card networks allow 120 days."""


def _oldest_undecided_dispute(session: Session, connection_id: int) -> datetime | None:
    """When the oldest dispute was opened that has moved money and whose end is not known; None if there is none."""
    decided = (DisputeState.WON.value, DisputeState.LOST.value, DisputeState.CLOSED.value)
    rows = session.execute(
        select(MovementRow.source_ref, func.min(MovementRow.occurred_at).label("first"))
        .where(
            MovementRow.connection_id == connection_id,
            MovementRow.kind == MovementKind.DISPUTE.value,
            ~exists().where(
                DisputeRow.connection_id == connection_id,
                DisputeRow.ref == MovementRow.source_ref,
                DisputeRow.state.in_(decided),
            ),
        )
        .group_by(MovementRow.source_ref)
    ).all()
    if not rows:
        return None
    refs = [row.source_ref for row in rows]
    known: dict[str, datetime] = {}
    for start in range(0, len(refs), 500):
        query = select(DisputeRow.ref, DisputeRow.opened_at).where(
            DisputeRow.connection_id == connection_id, DisputeRow.ref.in_(refs[start : start + 500])
        )
        known.update({row.ref: row.opened_at for row in session.execute(query)})
    opened: list[datetime] = [known.get(row.source_ref, row.first - DISPUTE_LOOK_BACK) for row in rows]
    return min(opened)


def _disputes_by_payment(
    session: Session, connection_id: int, items: Sequence[Fetched[Dispute]]
) -> list[Fetched[Dispute]]:
    """Disputes under the reference of the movement that took their money, found by the payment that both name.

    A payment may be disputed again after a dispute was won: each withdrawal belongs to the last dispute that was
    opened before it.
    """
    originals = {item.value.original_ref for item in items} - {""}
    rows = session.execute(
        select(
            MovementRow.source_ref,
            func.min(MovementRow.original_ref).label("original"),
            func.min(MovementRow.occurred_at).label("first"),
            func.max(DisputeRow.opened_at).label("known"),
        )
        .outerjoin(DisputeRow, (DisputeRow.connection_id == connection_id) & (DisputeRow.ref == MovementRow.source_ref))
        .where(
            MovementRow.connection_id == connection_id,
            MovementRow.kind == MovementKind.DISPUTE.value,
            among(session, MovementRow.original_ref, originals),
        )
        .group_by(MovementRow.source_ref)
    ).all()
    found = []
    for row in rows:
        opened = [
            item
            for item in items
            if item.value.original_ref == row.original and item.value.created_at <= row.first + OVERLAP
        ]
        last = max(opened, key=lambda item: item.value.created_at, default=None)
        if last is not None and (row.known is None or row.known <= last.value.created_at):
            found.append(Fetched(replace(last.value, ref=row.source_ref), last.raw))
    return found


def store_disputes(
    session: Session, company_id: int, connection_id: int, items: Sequence[Fetched[Dispute]], now: datetime
) -> None:
    """Store disputes, or bring those that are known up to date. The caller commits.

    One that is lost, and whose money left a balance of the books, becomes a movement of nought: the provider reports
    none, and what becomes of the sale must be decided all the same.
    """
    unique = {item.value.ref: item for item in items}
    rows = {
        row.ref: row
        for row in session.scalars(
            select(DisputeRow).where(DisputeRow.connection_id == connection_id, DisputeRow.ref.in_(unique))
        )
    }
    for ref, item in unique.items():
        dispute = item.value
        row = rows.get(ref)
        if row is None:
            row = DisputeRow(company_id=company_id, connection_id=connection_id, ref=ref)
            session.add(row)
        row.original_ref, row.state, row.opened_at = dispute.original_ref, dispute.state.value, dispute.created_at
        row.value, row.raw, row.fetched_at = encode(dispute), dict(item.raw), now
    lost = {ref: item for ref, item in unique.items() if item.value.state is DisputeState.LOST}
    moved = session.execute(
        select(MovementRow.source_ref, func.min(MovementRow.currency).label("currency"))
        .where(
            MovementRow.connection_id == connection_id,
            MovementRow.kind == MovementKind.DISPUTE.value,
            MovementRow.source_ref.in_(lost),
        )
        .group_by(MovementRow.source_ref)
    ).all()
    known = _movement_ids(session, connection_id, [f"{row.source_ref}{LOST}" for row in moved])
    fresh = [
        Fetched(_lost_movement(lost[row.source_ref].value, row.currency, now), lost[row.source_ref].raw)
        for row in moved
        if f"{row.source_ref}{LOST}" not in known
    ]
    store_movements(session, company_id, connection_id, fresh, now)


LOST = "/lost"
"""Ending of the reference of the movement that stands for a lost dispute."""


def _lost_movement(dispute: Dispute, currency: str, now: datetime) -> Movement:
    """What is to be decided of a lost dispute, on the day that Kvitt learns of it: the provider tells no other."""
    return Movement(
        ref=f"{dispute.ref}{LOST}",
        kind=MovementKind.DISPUTE_LOST,
        amount=Money.zero(currency),
        occurred_at=now,
        source_ref=dispute.ref,
        original_ref=dispute.original_ref,
        description=dispute.reason,
        raw_kind="dispute/lost",
    )


def _of_the_books(
    session: Session, connection: Connection, items: Sequence[Fetched[Payout]]
) -> tuple[list[Fetched[Payout]], list[Fetched[Movement]]]:
    """The payouts of a page that concern the books, and movements of those among them that were under way at the start.

    The movement of such a payout lies before all that is fetched, yet its money arrives after the start: it is part
    of the opening, and booked when it arrives. Once the opening is noted, no more are taken in.
    """
    zone = zone_of(session, connection.company_id)
    start = start_of_day(start_day(connection, zone), zone)
    early = [item for item in items if item.value.created_at < start]
    refs = {item.value.ref for item in early}
    known = set(
        session.scalars(select(PayoutRow.ref).where(PayoutRow.connection_id == connection.id, PayoutRow.ref.in_(refs)))
    )
    taken: dict[str, Fetched[Movement]] = {}
    if early and not connection.opening:
        came_back = set(
            session.scalars(
                select(MovementRow.source_ref).where(
                    MovementRow.connection_id == connection.id,
                    MovementRow.kind == MovementKind.PAYOUT_REVERSAL.value,
                    MovementRow.source_ref.in_(refs),
                    MovementRow.occurred_at >= start,
                )
            )
        )
        for item in early:
            if _under_way_at(item.value, start_day(connection, zone), came_back):
                taken[item.value.ref] = Fetched(_movement_of(item.value), item.raw)
    kept = [
        item for item in items if item.value.created_at >= start or item.value.ref in known or item.value.ref in taken
    ]
    return kept, list(taken.values())


def _under_way_at(payout: Payout, start: date, came_back: Collection[str]) -> bool:
    """Whether a payout of before the start arrives, or came back, on the start date or later.

    What is dated before the start date is the bookkeeper's, and so is a payout without a date of arrival.
    """
    if not payout.movement_ref or payout.arrival_date is None or payout.arrival_date < start:
        return False
    match payout.state:
        case PayoutState.UNDER_WAY | PayoutState.PAID:
            return True
        case PayoutState.FAILED | PayoutState.CANCELLED:
            return payout.ref in came_back


def _movement_of(payout: Payout) -> Movement:
    """What a payout did to the balance. A fee for it was taken before the start: that is not under way."""
    return Movement(
        ref=payout.movement_ref,
        kind=MovementKind.PAYOUT,
        amount=-payout.amount,
        occurred_at=payout.created_at,
        source_ref=payout.ref,
        raw_kind=UNDER_WAY_AT_START,
    )


def _payouts_by_movements(session: Session, connection_id: int) -> list[Fetched[Payout]]:
    """Payouts of a provider that has no list of them, where their movements tell something new.

    A withdrawal has left when it is told; when it arrives nobody says. One that came back has failed.
    """
    gone = MovementRow.kind == MovementKind.PAYOUT.value
    back = exists().where(
        PayoutRow.connection_id == connection_id,
        PayoutRow.ref == MovementRow.source_ref,
        PayoutRow.state == PayoutState.FAILED.value,
    )
    came_back = select(MovementRow.source_ref).where(
        MovementRow.connection_id == connection_id, MovementRow.kind == MovementKind.PAYOUT_REVERSAL.value, ~back
    )
    failed = set(session.scalars(came_back))
    known = exists().where(PayoutRow.connection_id == connection_id, PayoutRow.ref == MovementRow.source_ref)
    new = ~known | among(session, MovementRow.source_ref, failed) if failed else ~known
    rows = session.scalars(select(MovementRow).where(MovementRow.connection_id == connection_id, gone, new))
    return [Fetched(_payout_of(row, failed=row.source_ref in failed), row.raw) for row in rows]


def _payout_of(row: MovementRow, *, failed: bool) -> Payout:
    movement = decode(Movement, row.value)
    return Payout(
        ref=movement.source_ref,
        amount=-movement.amount,
        state=PayoutState.FAILED if failed else PayoutState.PAID,
        created_at=movement.occurred_at,
        arrival_date=None,
        itemisation=Itemisation.NONE,
        statement_text=movement.description,
        movement_ref=movement.ref,
    )


def _oldest_unseen_payout(session: Session, connection_id: int) -> datetime | None:
    """When the oldest unsettled movement of a payout happened whose payout was never read.

    After weeks without a run, which a lapsed consent brings, such payouts lie further back than is watched.
    """
    oldest = session.scalar(
        select(func.min(MovementRow.occurred_at))
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(
            MovementRow.connection_id == connection_id,
            MovementRow.kind.in_((MovementKind.PAYOUT.value, MovementKind.PAYOUT_REVERSAL.value)),
            PartRow.state.in_((PartState.OPEN.value, PartState.WAITING.value, PartState.HELD.value)),
            ~exists().where(PayoutRow.connection_id == connection_id, PayoutRow.ref == MovementRow.source_ref),
        )
    )
    return oldest - OVERLAP if oldest is not None else None


def store_payouts(
    session: Session,
    company_id: int,
    connection_id: int,
    items: Sequence[Fetched[Payout]],
    now: datetime,
) -> None:
    """Store payouts, or bring those that are known up to date. The caller commits."""
    unique = {item.value.ref: item for item in items}
    rows = {
        row.ref: row
        for row in session.scalars(
            select(PayoutRow).where(PayoutRow.connection_id == connection_id, PayoutRow.ref.in_(unique))
        )
    }
    for ref, item in unique.items():
        payout = item.value
        row = rows.get(ref)
        if row is None:
            row = PayoutRow(company_id=company_id, connection_id=connection_id, ref=ref, items_read=False)
            session.add(row)
        elif row.items_read and row.items_minor != row.amount_minor:
            row.items_read = False  # its list did not prove it: it is read once more for as long as it is watched
        row.amount_minor = payout.amount.minor
        row.currency = payout.amount.currency
        row.state = payout.state.value
        row.itemisation = payout.itemisation.value
        row.arrival_date = payout.arrival_date
        row.paid_out_at = payout.created_at
        row.value = encode(payout)
        row.raw = dict(item.raw)
        row.fetched_at = now


def _items(services: Services, company_id: int, connection_id: int, source: PaymentSource, fetch: Fetch) -> Fetch:
    with services.db.company_reading(company_id) as session:
        payout = session.execute(
            select(PayoutRow.id, PayoutRow.ref, PayoutRow.currency)
            .where(
                PayoutRow.connection_id == connection_id,
                PayoutRow.items_read.is_(False),
                PayoutRow.itemisation == Itemisation.COMPLETE.value,
            )
            .order_by(PayoutRow.paid_out_at, PayoutRow.id)
            .limit(1)
        ).first()
    if payout is None:
        return Fetch("done", fetched=fetch.fetched)
    if payout.ref != fetch.payout:
        fetch = Fetch("items", fetched=fetch.fetched, payout=payout.ref)
    page = source.fetch_payout_items(payout.ref, fetch.cursor)
    so_far = fetch.items_minor + sum(item.net.minor for item in page.items if item.net.currency == payout.currency)
    with services.db.company(company_id) as session:
        session.execute(
            update(MovementRow)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.ref.in_([item.ref for item in page.items]),
            )
            .values(payout_ref=payout.ref)
        )
        if page.next_cursor is None:
            row = session.get_one(PayoutRow, payout.id)
            row.items_minor, row.items_read = so_far, True
            return Fetch("items", fetched=fetch.fetched)
    return Fetch("items", page.next_cursor, fetched=fetch.fetched, payout=payout.ref, items_minor=so_far)


def note_items(session: Session, connection_id: int, payout_ref: str, refs: Sequence[str], items_minor: int) -> None:
    """Note which movements make up a payout, and what they come to. The caller commits."""
    for start in range(0, len(refs), 500):
        session.execute(
            update(MovementRow)
            .where(MovementRow.connection_id == connection_id, MovementRow.ref.in_(refs[start : start + 500]))
            .values(payout_ref=payout_ref)
            .execution_options(synchronize_session=False)
        )
    session.execute(
        update(PayoutRow)
        .where(PayoutRow.connection_id == connection_id, PayoutRow.ref == payout_ref)
        .values(items_minor=items_minor, items_read=True)
        .execution_options(synchronize_session=False)
    )


def fetch_settled_balances(
    services: Services, company_id: int, connection_id: int, source: PaymentSource
) -> tuple[Balance, ...] | None:
    """Balances that belong to what is stored: nothing moved between asking for them and fetching once more.

    Notes the opening balance of each currency the first time: the balance less all movements since the start and
    less the payouts under way then. None if the account was too busy for three tries.
    """
    if not _opening_noted(services, company_id, connection_id):
        fetch = Fetch("payouts")
        while fetch.stage != "done":
            fetch = fetch_step(services, company_id, connection_id, source, fetch)
    return _settle(services, company_id, connection_id, source)


def ensure_opening(services: Services, company_id: int, connection_id: int, source: PaymentSource) -> int:
    """Note the opening balances, unless they are noted, after a whole fetch: plans of foreign payouts need them.

    Where the account is too busy they are noted later; such payouts wait. Where they are noted and the provider may
    list something under an old date, look for that now, so that this run books it; how much of that turned up.
    """
    if not _opening_noted(services, company_id, connection_id):
        _settle(services, company_id, connection_id, source)
        return 0
    if not source.capabilities.look_back_s:
        return 0
    found = _look_back(services, company_id, connection_id, source, source.fetch_balances())
    fetch = Fetch("payouts" if found else "done")
    while fetch.stage != "done":
        fetch = fetch_step(services, company_id, connection_id, source, fetch)
    return found


def _opening_noted(services: Services, company_id: int, connection_id: int) -> bool:
    with services.db.company_reading(company_id) as session:
        return bool(session.get_one(Connection, connection_id).opening)


def _settle(
    services: Services, company_id: int, connection_id: int, source: PaymentSource
) -> tuple[Balance, ...] | None:
    looked_back = False
    for _ in range(3):
        balances = source.fetch_balances()
        fetch = Fetch()
        while fetch.stage == "movements":
            fetch = fetch_step(services, company_id, connection_id, source, fetch)
        if fetch.fetched == 0 and not looked_back:
            looked_back = True
            fetch = Fetch("payouts", fetched=_look_back(services, company_id, connection_id, source, balances))
        if fetch.fetched == 0:
            _note_opening(services, company_id, connection_id, balances, source.capabilities.lateness_s)
            return balances
        while fetch.stage != "done":
            fetch = fetch_step(services, company_id, connection_id, source, fetch)
    return None


AMISS: Final = "balances_amiss"
"""Where a connection's row keeps by how much each balance differed when looking back found nothing."""


def _look_back(
    services: Services, company_id: int, connection_id: int, source: PaymentSource, balances: Sequence[Balance]
) -> int:
    """Read further back than the overlap, where a balance says that something is missing; how much turned up.

    A pending payment that clears, or a hold that is let go, may be listed under its first date, weeks ago. The same
    difference is not looked for twice.
    """
    reach = source.capabilities.look_back_s
    if not reach:
        return 0
    with services.db.company_reading(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        amiss = _amiss(connection, _sums(session, connection_id), balances)
        if not amiss or amiss == connection.settings.get(AMISS):
            return 0
    now = services.now()
    # Before the start too: what is listed under an older date may have happened after it.
    since = now - timedelta(seconds=reach)
    cursor: str | None = None
    found = 0
    crossing: list[Fetched[Movement]] = []
    while True:
        page = source.fetch_movements(since, now, cursor)
        with services.db.company(company_id) as session:
            items = _since_start(session, company_id, connection_id, page.items)
            found += store_movements(session, company_id, connection_id, items, now)
            crossing += _crossing_start(session, company_id, connection_id, page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    with services.db.company(company_id) as session:
        connection = session.get_one(Connection, connection_id)
        gaps = _amiss(connection, _sums(session, connection_id), balances)
        found += store_movements(session, company_id, connection_id, _explaining(gaps, crossing), now)
        connection.settings = {
            **connection.settings,
            AMISS: _amiss(connection, _sums(session, connection_id), balances),
        }
    return found


def _crossing_start(
    session: Session, company_id: int, connection_id: int, items: Sequence[Fetched[Movement]]
) -> list[Fetched[Movement]]:
    """What is dated before the start and was changed after it, as a payment that was pending then and cleared since.

    As things that happened when they were changed. A provider also changes records whose money came long before, so
    that these are no more than candidates.
    """
    start = start_instant(session.get_one(Connection, connection_id), zone_of(session, company_id))
    late = {
        item.value.ref: replace(item, value=replace(item.value, occurred_at=item.changed_at))
        for item in items
        if item.value.occurred_at < start and item.changed_at is not None and item.changed_at >= start
    }
    known = _movement_ids(session, connection_id, late) if late else {}
    return [item for ref, item in late.items() if ref not in known]


def _explaining(gaps: Mapping[str, int], crossing: Sequence[Fetched[Movement]]) -> list[Fetched[Movement]]:
    """Those movements that make up exactly what the balances lack; none where that is not certain."""
    found: list[Fetched[Movement]] = []
    for currency, gap in gaps.items():
        candidates = [item for item in crossing if item.value.currency == currency]
        places = making_up(gap, [item.value.net().minor for item in candidates]) or ()
        found += [candidates[place] for place in places]
    return found


def _sums(session: Session, connection_id: int) -> dict[str, int]:
    """What all movements of a connection come to, by currency."""
    rows = session.execute(
        select(MovementRow.currency, func.sum(MovementRow.net_minor).label("total"))
        .where(MovementRow.connection_id == connection_id)
        .group_by(MovementRow.currency)
    )
    return {row.currency: int(row.total) for row in rows}


def _amiss(connection: Connection, sums: Mapping[str, int], balances: Sequence[Balance]) -> dict[str, int]:
    """By how much each balance differs from its opening and all movements since; where the opening is noted."""
    told = {balance.amount.currency: balance.amount.minor for balance in balances}
    gaps = {
        currency: told.get(currency, 0) - int(minor) - sums.get(currency, 0)
        for currency, minor in connection.opening.items()
    }
    return {currency: gap for currency, gap in sorted(gaps.items()) if gap}


OPENING_NOTED: Final = "opening_noted"
"""Where a connection's row keeps when each opening was noted, and the newest movement that was known then."""


def _note_opening(
    services: Services, company_id: int, connection_id: int, balances: Sequence[Balance], lateness_s: float
) -> None:
    """Note the opening of each currency that has none yet, and put right one that took in what was not listed yet."""
    with services.db.company(company_id) as session:
        connection = session.scalars(select(Connection).where(Connection.id == connection_id).with_for_update()).one()
        sums = _sums(session, connection_id)
        newest = session.scalar(select(func.max(MovementRow.id)).where(MovementRow.connection_id == connection_id)) or 0
        now_minor = {balance.amount.currency: balance.amount.minor for balance in balances}
        opening, noted = dict(connection.opening), dict(connection.settings.get(OPENING_NOTED, {}))
        for currency in sorted(set(sums) | set(now_minor)):
            gap = now_minor.get(currency, 0) - int(opening.get(currency, 0)) - sums.get(currency, 0)
            if currency not in opening:
                opening[currency] = gap
                noted[currency] = {"at": services.now().isoformat(), "movement_id": newest}
            elif (
                gap
                and currency in noted
                and _was_in_it(session, connection_id, currency, noted[currency], lateness_s, gap)
            ):
                opening[currency] = int(opening[currency]) + gap
        if opening != connection.opening:
            connection.opening = opening
            connection.settings = {**connection.settings, OPENING_NOTED: noted}


def _was_in_it(
    session: Session, connection_id: int, currency: str, noted: Mapping[str, Any], lateness_s: float, gap: int
) -> bool:
    """Whether a balance had in it, when its opening was noted, just what turned up soon after and makes up the gap.

    A provider may list a movement later than its balance tells of it. Not what is there already under another name,
    which would be counted twice; and not where the opening has been booked: then a person sees the difference.
    """
    booked = select(DocumentRow.id).where(
        DocumentRow.connection_id == connection_id,
        DocumentRow.kind == DocumentKind.OPENING.value,
        DocumentRow.clearing_currency == currency,
        DocumentRow.state != DeliveryState.PROPOSED.value,
    )
    if session.scalar(booked.limit(1)) is not None:
        return False
    at, newest = datetime.fromisoformat(noted["at"]), int(noted["movement_id"])
    columns = select(MovementRow.net_minor, MovementRow.occurred_at).where(
        MovementRow.connection_id == connection_id,
        MovementRow.currency == currency,
        MovementRow.occurred_at <= at,
        MovementRow.net_minor != 0,
    )
    late = columns.where(MovementRow.id > newest, MovementRow.fetched_at <= at + timedelta(seconds=lateness_s))
    turned_up = [(row.net_minor, row.occurred_at) for row in session.execute(late)]
    instants = {occurred_at for _, occurred_at in turned_up}
    known = columns.where(MovementRow.id <= newest, MovementRow.occurred_at.in_(instants))
    twins = {(row.net_minor, row.occurred_at) for row in session.execute(known)}
    return making_up(-gap, [row[0] for row in turned_up if row not in twins]) is not None
