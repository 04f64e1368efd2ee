"""Where measurements are made: a served world, databases of our own, and services built like a worker's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from addon.bootstrap import build
from addon.config import load_settings
from addon.sandbox.world import World
from addon.services.context import Services
from addon.store.migrate import migrate
from tests.support.town import Town, new_sqlite, town

MONDAY_MORNING = datetime(2026, 3, 16, 8, 0, tzinfo=UTC)
START = "2026-03-01"
LEASE_S = 180
"""As in production: the towns of tests have seconds, which makes slices of two seconds."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kvitt-bench-")


@cache
def _sqlite_template() -> Path:
    path = Path(_folder().name) / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@contextmanager
def sqlite_town(world: World) -> Iterator[Town]:
    """A town over a SQLite database of its own."""
    with (
        tempfile.TemporaryDirectory(dir=_folder().name) as folder,
        town(new_sqlite(_sqlite_template(), Path(folder)), world=world, lease_s=LEASE_S) as bed,
    ):
        yield bed


def environment(bed: Town, database_url: str, owner_url: str, **changes: str) -> dict[str, str]:
    """What a worker's environment says, to work for the companies of a town."""
    return {
        "KVITT_ENV": "test",
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url,
        "FORTNOX_CALLS_PER_5_S": "0",
        "LOOKUP_QUARANTINE_S": "1",
        "LEASE_S": str(LEASE_S),
        **bed.running.environment(),
        **changes,
    }


def build_services(settings: Mapping[str, str], now: Callable[[], datetime] | None = None) -> Services:
    """The services of a worker with this environment; `now` in place of the real clock."""
    known = load_settings(settings)
    return build(known, nudge=_nobody) if now is None else build(known, nudge=_nobody, now=now)


def _nobody(company_id: int) -> None:
    """Nobody is nudged: whoever measures runs the company."""


def plain_world(at: datetime = MONDAY_MORNING, seed: int = 1) -> World:
    """A world without companies whose clock stands still, without webhooks and limits."""
    return World.build(seed=seed, stopped_at=at, webhooks=False, fortnox_call_limit=0)
