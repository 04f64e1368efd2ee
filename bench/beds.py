"""Where measurements are made: a served world, databases of our own, and services built like a worker's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

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


def sqlite_url(bed: Town) -> str:
    """The address of a town's own database."""
    return bed.services.db.owner_url


def environment(bed: Town, database_url: str, owner_url: str | None = None, **changes: str) -> dict[str, str]:
    """What a worker's environment says, to work for the companies of a town."""
    return {
        "KVITT_ENV": "test",
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url or database_url,
        "FORTNOX_CALLS_PER_5_S": "0",
        "LOOKUP_QUARANTINE_S": "1",
        "LEASE_S": str(LEASE_S),
        **bed.running.environment(),
        **changes,
    }


def build_services(settings: Mapping[str, str], now: Callable[[], datetime] | None = None, **replaced: Any) -> Services:
    """The services of a worker with this environment; `now` in place of the real clock."""
    if now is not None:
        replaced["now"] = now
    return build(load_settings(settings), nudge=_nobody, **replaced)


def _nobody(company_id: int) -> None:
    """Nobody is nudged: whoever measures runs the company."""


def plain_world(at: datetime = MONDAY_MORNING, seed: int = 1) -> World:
    """A world without companies whose clock stands still, without webhooks and limits."""
    return World.build(seed=seed, stopped_at=at, webhooks=False, fortnox_call_limit=0)
