"""The running balance around a payout that is not itemised: the provider's readings, and what moved between them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.money import Money
from addon.core.records import MovementKind
from addon.core.running import Reading, RunningProof, readings_around
from addon.store.models import MovementRow, PayoutRow, ProofRow


def running_proof(session: Session, payout: PayoutRow) -> RunningProof | None:
    """The proof of a payout by its balance before and after; None while there are no two readings around it."""
    own = session.execute(
        select(MovementRow.id, MovementRow.net_minor, MovementRow.occurred_at)
        .where(
            MovementRow.connection_id == payout.connection_id,
            MovementRow.source_ref == payout.ref,
            MovementRow.kind == MovementKind.PAYOUT.value,
        )
        .limit(1)
    ).first()
    found = readings_around(own.occurred_at, _nearest(session, payout, own.occurred_at)) if own is not None else None
    if own is None or found is None:
        return None
    before, after = found
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
