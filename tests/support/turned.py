"""Time that goes on only when somebody sleeps: hours of leases and quarantines in no time, all clocks together."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from addon.connectors import http
from addon.connectors.fortnox import client as fortnox_client
from addon.sandbox.clock import Clock
from addon.services import delivery, runs
from addon.store import clock as store_clock
from addon.store import database


class TurnedTime:
    """Stands where the module `time` does, and behind the database's clock (SQLite's, which is this process's own).

    Real time goes on beneath it, so that nothing that counts microseconds stands still. `outside` says whether the
    outside world's clock is turned too.
    """

    def __init__(self, clock: Clock, outside: bool) -> None:
        self.clock = clock
        self._outside = outside
        self.slept_s = 0.0
        self._here = threading.local()
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """The monotonic clock, with what was slept, and what this thread alone has waited for an answer."""
        return time.monotonic() + self.slept_s + float(getattr(self._here, "waited_s", 0.0))

    def sleep(self, seconds: float) -> None:
        """Let time go by: here, in the database and in the outside world."""
        with self._lock:
            self.slept_s += seconds
            if self._outside:
                self.clock.advance(timedelta(seconds=seconds))

    def wait_here(self, seconds: float) -> None:
        """Let only this thread wait, for an answer that drips."""
        self._here.waited_s = float(getattr(self._here, "waited_s", 0.0)) + seconds

    def arrive(self) -> None:
        """This thread has waited long enough."""
        self._here.waited_s = 0.0

    def database_now(self, offset_s: float) -> str:
        """What the database says the time is."""
        return store_clock.sqlite_now(offset_s + self.slept_s)


@contextmanager
def turned(clock: Clock, *, outside: bool = True) -> Iterator[TurnedTime]:
    """Within this block all clocks are one that goes on by sleeping. Begin it before the database is opened."""
    made = TurnedTime(clock, outside)
    with pytest.MonkeyPatch.context() as patch:
        for module in (http, fortnox_client):
            patch.setattr(module, "time", made)
        for module in (delivery, runs):
            patch.setattr(module, "monotonic_time", made)
        patch.setattr(database, "sqlite_now", made.database_now)
        yield made


@contextmanager
def waits_pass(clock: Clock, database_url: str) -> Iterator[None]:
    """Within this block a run that waits for a quarantine's end does not: its sleep turns Kvitt's own clocks instead.

    Where the database has a clock of its own, or a test has turned the clocks already, nothing is done.
    """
    if not database_url.startswith("sqlite") or isinstance(runs.monotonic_time, TurnedTime):
        yield
        return
    with turned(clock, outside=False):
        yield


class Ticking:
    """A clock that goes on by a second when it is looked at: a slice ends after so many looks, not sooner or later.

    A slice of a twentieth of a second was over before anything was done, again and again, on a machine that had others
    to serve.
    """

    def __init__(self) -> None:
        self._looks = itertools.count()

    def monotonic(self) -> float:
        return float(next(self._looks))

    def sleep(self, seconds: float) -> None:
        """Nothing waits here."""
