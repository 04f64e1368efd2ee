"""Counting for whoever runs this installation: what happens is counted here, in memory, and added to the database.

A process keeps its counts until it next writes them, at the end of a slice or now and then between pages; one that
is killed takes its last seconds' counts along. Labels say which system, outcome or page, never which company.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from addon.store import tallies
from addon.store.tallies import Key

__all__ = ["Counter", "Key", "Tally", "Timing", "labels_of", "written"]

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from addon.store.database import Database

EVERY_S: Final = 15.0
"""How often, at most, the pages' processes write their counts."""
_LONGEST_LABELS: Final = 200


class Counter(StrEnum):
    """What is counted; the values are names of Prometheus' counters, less `_total`."""

    CALLS = "kvitt_calls"
    DELIVERIES = "kvitt_deliveries"
    RUNS = "kvitt_runs"
    SLICES = "kvitt_slices"
    WEBHOOKS = "kvitt_webhooks"
    ANSWERS = "kvitt_http_responses"
    READY = "kvitt_ready_checks"


class Timing(StrEnum):
    """What is measured, in seconds."""

    CALL = "kvitt_call_seconds"
    DELIVERY = "kvitt_delivery_seconds"
    ANSWER = "kvitt_http_response_seconds"


BUCKETS: Final[Mapping[Timing, tuple[float, ...]]] = {
    Timing.CALL: (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    Timing.DELIVERY: (1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
    Timing.ANSWER: (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30),
}
"""Upper bounds of a timing's buckets, in seconds."""
LE: Final = "le"
"""The label of a bucket. `sum` is the one that adds the milliseconds up."""
SUM: Final = "sum"
ENDLESS: Final = "+Inf"


def written(session: Session) -> dict[Key, int]:
    """What all processes have written so far, from a session over the open tables."""
    return tallies.read(session)


def labels_of(text: str) -> dict[str, str]:
    """The labels of a stored tally."""
    found: dict[str, str] = json.loads(text)
    return found


class Tally:
    """What one process has counted and not yet written. Any thread may count."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self._lock = threading.Lock()
        self._counted: dict[Key, int] = {}
        self._written_at = time.monotonic()
        self._proved_at: float | None = None
        """When the database last took a write of this process's counts."""

    def count(self, what: Counter, by: int = 1, **labels: str) -> None:
        """Count something that happened `by` times."""
        self._add(what.value, by, labels)

    def time(self, what: Timing, seconds: float, **labels: str) -> None:
        """Take note of how long something took."""
        seconds = max(0.0, seconds)
        bucket = next((f"{bound:g}" for bound in BUCKETS[what] if seconds <= bound), ENDLESS)
        self._add(what.value, 1, {**labels, LE: bucket})
        self._add(what.value, round(seconds * 1000), {**labels, LE: SUM})

    def _add(self, name: str, by: int, labels: Mapping[str, str]) -> None:
        text = json.dumps(dict(sorted(labels.items())), separators=(",", ":"))
        if len(text) > _LONGEST_LABELS:
            raise ValueError(f"{name}: labels are of a few kinds, and short")
        with self._lock:
            self._counted[name, text] = self._counted.get((name, text), 0) + by

    def pending(self) -> dict[Key, int]:
        """What is not written yet."""
        with self._lock:
            return dict(self._counted)

    def write(self, db: Database) -> None:
        """Add what was counted to the database. Raises what the database raises, and keeps the counts then."""
        with self._lock:
            counted, self._counted = self._counted, {}
            self._written_at = time.monotonic()
        if not counted:
            return
        try:
            with db.open() as session:
                tallies.add(session, counted)
            self._proved_at = time.monotonic()
        except BaseException:
            with self._lock:
                for key, value in counted.items():
                    self._counted[key] = self._counted.get(key, 0) + value
            raise

    def proved_within(self, seconds: float) -> bool:
        """Whether the database took a write of this process so short a time ago that none more need be tried."""
        return self._proved_at is not None and time.monotonic() - self._proved_at < seconds

    def write_sometimes(self, db: Database) -> None:
        """The same, not more often than `every_s`, and quietly: no page and no slice fails for its counts."""
        with self._lock:
            due = time.monotonic() - self._written_at >= self.every_s
        if due:
            self.write_quietly(db)

    def write_quietly(self, db: Database) -> None:
        """Write the counts; a database that is away gets them later."""
        try:
            self.write(db)
        except SQLAlchemyError:
            return  # what keeps the database from writing is told by `/readyz` and by whoever needed it
