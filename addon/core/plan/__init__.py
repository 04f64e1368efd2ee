"""Plan: records and policy in, documents, holds and waits out. Reads nothing, writes nothing, knows no clock."""

from addon.core.plan.planner import plan
from addon.core.plan.situation import (
    BookedSale,
    Carrying,
    Claim,
    DisputeFact,
    Moved,
    OpenMovement,
    PayoutFact,
    Plan,
    PlannedPayout,
    SaleLine,
    Situation,
)

__all__ = [
    "BookedSale",
    "Carrying",
    "Claim",
    "DisputeFact",
    "Moved",
    "OpenMovement",
    "PayoutFact",
    "Plan",
    "PlannedPayout",
    "SaleLine",
    "Situation",
    "plan",
]
