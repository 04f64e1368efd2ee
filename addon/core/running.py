"""Prove a payout that the provider does not itemise: what its balance was before and after, and all that moved between.

A list of movements proves an itemised payout. Of one that a person asked for, or that left at once, there is none; but
the provider tells its balance, and what it told before the payout and all movements since must come to what it told
after. Two readings say more than one: an opening that was worked out backwards from the first contains whatever it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from addon.core.money import Money


@dataclass(frozen=True, slots=True)
class Reading:
    """A balance as the provider told it at an instant."""

    at: datetime
    balance: Money


@dataclass(frozen=True, slots=True)
class RunningProof:
    """A payout between two readings; amounts signed as the balance moves. Raises `CurrencyMismatch`."""

    before: Reading
    others: Money
    """All other movements between the readings, net."""
    others_count: int
    own: Money
    """The payout's own movement with its fee, negative."""
    after: Reading

    @property
    def expected(self) -> Money:
        """What the provider should have told after."""
        return self.before.balance + self.others + self.own

    @property
    def difference(self) -> Money:
        """What it told beyond that."""
        return self.after.balance - self.expected

    @property
    def holds(self) -> bool:
        """Whether the readings and the movements agree to the smallest unit."""
        return not self.difference


def readings_around(at: datetime, readings: Iterable[Reading]) -> tuple[Reading, Reading] | None:
    """The last reading before an instant and the first at or after it; None where either is missing."""
    before: Reading | None = None
    after: Reading | None = None
    for reading in readings:
        if reading.at < at:
            before = reading if before is None or reading.at > before.at else before
        elif after is None or reading.at < after.at:
            after = reading
    return None if before is None or after is None else (before, after)
