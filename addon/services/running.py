"""The running balance around a payout that is not itemised: the provider's readings, and what moved between them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from addon.core.dates import start_of_day
from addon.core.money import Money
from addon.core.records import Movement, MovementKind
from addon.core.running import Reading, RunningProof, readings_around
from addon.store.codec import decode
from addon.store.models import Company, Connection, MovementRow, PayoutRow, ProofRow


def running_proof(session: Session, payout: PayoutRow) -> RunningProof | None:
    """The proof of a payout by its balance before and after; None while there are no two readings around it.

    A provider that runs a balance from row to row tells what was left after each payout: where that and the one before
    it agree with all between, nothing is left to ask. Its rows are dated by when they began, not by when the balance
    moved, so that a difference there proves nothing, and the readings of the proofs decide.
    """
    own = session.execute(
        select(MovementRow.id, MovementRow.net_minor, MovementRow.occurred_at, MovementRow.value)
        .where(
            MovementRow.connection_id == payout.connection_id,
            MovementRow.source_ref == payout.ref,
            MovementRow.kind == MovementKind.PAYOUT.value,
        )
        .limit(1)
    ).first()
    if own is None:
        return None
    told = decode(Movement, own.value).balance_after
    if told is not None:
        left = Reading(own.occurred_at, told)
        proof = _between(session, payout, own, _left_before(session, payout, own.occurred_at), left)
        if proof is not None and proof.holds:
            return proof
    found = readings_around(own.occurred_at, _nearest(session, payout, own.occurred_at))
    return _between(session, payout, own, *found) if found is not None else None


def _left_before(session: Session, payout: PayoutRow, at: datetime) -> Reading | None:
    """What was left after the payout before, as the provider told it; else what there was at the start."""
    row = session.execute(
        select(MovementRow.value, MovementRow.occurred_at)
        .where(
            MovementRow.connection_id == payout.connection_id,
            MovementRow.kind == MovementKind.PAYOUT.value,
            MovementRow.currency == payout.currency,
            MovementRow.occurred_at < at,
        )
        .order_by(MovementRow.occurred_at.desc(), MovementRow.id.desc())
        .limit(1)
    ).first()
    if row is not None:
        left = decode(Movement, row.value).balance_after
        return Reading(row.occurred_at, left) if left is not None else None
    connection = session.get_one(Connection, payout.connection_id)
    if payout.currency not in connection.opening or connection.start_date is None:
        return None
    zone = ZoneInfo(session.get_one(Company, payout.company_id).time_zone)
    # A moment before the start, so that what happened at midnight sharp counts as after it.
    start = start_of_day(connection.start_date, zone) - timedelta(microseconds=1)
    return Reading(start, Money(int(connection.opening[payout.currency]), payout.currency))


def _between(
    session: Session, payout: PayoutRow, own: Row[Any], before: Reading | None, after: Reading
) -> RunningProof | None:
    if before is None:
        return None
    count, net = session.execute(
        select(func.count(), func.coalesce(func.sum(MovementRow.net_minor), 0)).where(
            MovementRow.connection_id == payout.connection_id,
            MovementRow.currency == payout.currency,
            MovementRow.occurred_at > before.at,
            MovementRow.occurred_at <= after.at,
            MovementRow.id != own.id,
        )
    ).one()
    return RunningProof(before, Money(int(net), payout.currency), count, Money(own.net_minor, payout.currency), after)


def _nearest(session: Session, payout: PayoutRow, at: datetime) -> list[Reading]:
    told = select(ProofRow.at, ProofRow.provider_minor).where(
        ProofRow.connection_id == payout.connection_id, ProofRow.currency == payout.currency
    )
    before = told.where(ProofRow.at < at).order_by(ProofRow.at.desc(), ProofRow.id.desc()).limit(1)
    after = told.where(ProofRow.at >= at).order_by(ProofRow.at, ProofRow.id).limit(1)
    rows = [*session.execute(before), *session.execute(after)]
    return [Reading(row.at, Money(row.provider_minor, payout.currency)) for row in rows]
