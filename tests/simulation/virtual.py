"""Kvitt and the outside world in one process, by one clock that only moves when it is told to.

The services, the connectors, the database and the simulated companies are the real ones. What is replaced is what
makes a run different from the last one: the clocks, the network between (the apps are called), and the processes,
which are objects that can die at any call and at any commit, as one that is killed does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, event

from addon.bootstrap import LiveOutside, build
from addon.config import load_settings
from addon.connectors import http
from addon.sandbox.rates import make_rates_app
from addon.sandbox.world import Urls, World
from addon.services import connections, delivery, rates, runs
from addon.services.context import Services
from addon.services.tally import Tally
from addon.store import database as store
from addon.store.database import Database
from tests.support.town import new_sqlite

CALL_S = 0.4
"""How long a call takes, by the clock of this world."""


class Death(BaseException):
    """The process is gone. No handler of ours may catch it, and nothing that it still tries has any effect."""


class VirtualTime:
    """Takes the place of the module `time` where clocks are read and pauses are made."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._began = clock.now()

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return float((self._clock.now() - self._began).total_seconds())

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Time goes by."""
        self._clock.advance(timedelta(seconds=seconds))


class Network(httpx.BaseTransport):
    """The way from one process to the simulated companies, by the port in an address."""

    def __init__(self, here: Virtual, process: Process) -> None:
        self._here = here
        self._process = process

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Make a call; the process may die before it leaves and after it was answered."""
        call = f"{request.method} {request.url.path}"
        self._process.point(f"before {call}")
        self._here.passes(CALL_S)
        if self._here.meanwhile is not None and "/oauth" not in call:  # a token is renewed under a lock
            meanwhile, self._here.meanwhile = self._here.meanwhile, None
            meanwhile()
        try:
            response = self._here.apps[request.url.port or 0].handle_request(request)
            response.read()
        except ConnectionError as error:
            raise httpx.ReadError("the connection was closed", request=request) from error
        self._process.point(f"after {call}")
        return response


class _Watched(Database):
    """A database that tells when a short transaction has been committed, as a session's event does of its own."""

    def __init__(self, url: str, committed: Callable[[object], None]) -> None:
        super().__init__(url)
        self._after = committed

    def commit(self, connection: Connection) -> None:
        """End a line's transaction."""
        super().commit(connection)
        self._after(connection)


class Process:
    """One process of Kvitt: its own pool of connections, its own clock's error, its own death."""

    def __init__(self, here: Virtual, number: int, skew_s: float = 0.0) -> None:
        self.dead = False
        self.left: int | None = None
        """After how many points it dies; None: not."""
        self._skew = timedelta(seconds=skew_s)
        self._here = here
        self.db = _Watched(here.url, self._committed)
        event.listen(self.db.engine, "begin", self._alive)
        event.listen(self.db.engine, "commit", self._commits)
        event.listen(self.db._writing, "after_commit", self._committed)
        tally = Tally()
        outside = LiveOutside(here.settings, self.now, tally)
        outside.__dict__["_transport"] = Network(here, self)
        self.services: Services = build(
            here.settings,
            now=self.now,
            db=self.db,
            outside=outside,
            tally=tally,
            nudge=lambda _: None,
            in_flight=1,
            holder=f"process-{number}",
        )

    def now(self) -> datetime:
        """What this machine's clock says."""
        return self._here.world.clock.now() + self._skew

    def point(self, what: str) -> None:
        """A moment at which it may die."""
        self._count(what)
        if self.dead:
            raise Death(what)

    def _count(self, what: str) -> None:
        if self.left is not None and not self.dead:
            self.left -= 1
            if self.left < 0:
                self.dead = True
                self._here.told(f"process dies {what}")

    def _alive(self, _connection: object) -> None:
        if self.dead:
            raise Death("begin")

    def _commits(self, connection: Any) -> None:
        if not connection.get_execution_options().get("kvitt_reading"):
            self.point("before a commit")

    def _committed(self, _session: object) -> None:
        self._count("after a commit")  # what it does next has no effect any more


class Virtual:
    """The town: one world, one database, one clock."""

    def __init__(self, url: str, seed: int, at: datetime) -> None:
        self.url = url
        self.log: list[str] = []
        self.world = World.build(seed=seed, webhooks=False, fortnox_call_limit=0, stopped_at=at)
        self.time = VirtualTime(self.world.clock)
        self.database_ahead = timedelta(0)
        """How far the database's clock is ahead."""
        self.meanwhile: Callable[[], None] | None = None
        """What happens during the next call."""
        self.world.fortnox.sleep = self.passes
        self.world.fortnox.timer = self.time.monotonic
        self.world.urls = Urls(*(f"http://127.0.0.1:{port}" for port in range(1, 6)), vies="http://127.0.0.1:6")
        self.apps = {
            1: httpx.WSGITransport(self.world.fortnox.app()),
            2: httpx.WSGITransport(self.world.stripe.app()),
            5: httpx.WSGITransport(make_rates_app(self.world.rates)),
            6: httpx.WSGITransport(self.world.vies.app()),
        }
        self.settings = load_settings(
            {
                "KVITT_ENV": "test",
                "DATABASE_URL": url,
                "FORTNOX_CALLS_PER_5_S": "0",
                "LOOKUP_QUARANTINE_S": "600",
                "LEASE_S": "180",
                **self.world.environment(),
            }
        )
        self._processes: list[Process] = []

    def process(self, skew_s: float = 0.0) -> Process:
        """Start a process."""
        self._processes.append(Process(self, len(self._processes) + 1, skew_s))
        return self._processes[-1]

    def passes(self, seconds: float) -> None:
        """Time goes by, and what is due in the world happens."""
        self.world.clock.advance(timedelta(seconds=seconds))
        self.world.catch_up()

    def database_now(self, offset_s: float) -> str:
        """The database's clock, as `addon.store.clock.sqlite_now` writes it."""
        at = self.world.clock.now() + self.database_ahead + timedelta(seconds=offset_s)
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def told(self, text: str) -> None:
        """Note what happened, for whoever must understand a seed."""
        self.log.append(f"{self.world.clock.now():%m-%d %H:%M:%S} {text}")

    def end(self) -> None:
        """Close what all processes held."""
        for process in self._processes:
            process.dead = False
            process.left = None
            process.db.close()


@contextmanager
def virtual(template: Path, folder: Path, seed: int, at: datetime) -> Iterator[Virtual]:
    """A town whose clock is the only one."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Virtual(new_sqlite(template, folder), seed, at)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((runs, "monotonic_time"), (delivery, "monotonic_time"), (http, "time"), (rates, "time")):
            patch.setattr(module, name, here.time)
        patch.setattr(connections, "monotonic", here.time.monotonic)
        patch.setattr(store, "sqlite_now", here.database_now)
        try:
            yield here
        finally:
            here.end()
