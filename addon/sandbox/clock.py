"""The sandbox's clock: real by default, turned by tests and by the seeding of a month of sales."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the sandbox's time as an aware UTC instant.

    Runs with the computer's clock until `set` stops it at an instant; `advance` moves a stopped clock on
    and shifts a running one; `resume` lets it run with real time again.
    """

    def __init__(self, stopped_at: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._stopped_at: datetime | None = None
        self._offset = timedelta(0)
        if stopped_at is not None:
            self.set(stopped_at)

    def now(self) -> datetime:
        """The present instant of this world."""
        with self._lock:
            return self._stopped_at or datetime.now(UTC) + self._offset

    def set(self, at: datetime) -> None:
        """Stop the clock at an aware instant."""
        if at.tzinfo is None:
            raise ValueError("the clock takes aware instants only")
        with self._lock:
            self._stopped_at = at.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Move the clock on by a span."""
        with self._lock:
            if self._stopped_at is not None:
                self._stopped_at += by
            else:
                self._offset += by

    def resume(self) -> None:
        """Run with the computer's clock again, without any shift."""
        with self._lock:
            self._stopped_at = None
            self._offset = timedelta(0)
