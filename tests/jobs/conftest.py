"""A town whose work is done by real workers: processes of their own, over the same database and a real Redis."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from addon.jobs.redis_server import end_with_parent
from addon.sandbox.world import World
from addon.store.migrate import migrate
from tests.support.town import Town, town

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Works:
    """The town, its Redis, and the environment that a process of Kvitt needs to work in it."""

    town: Town
    redis_url: str
    environment: dict[str, str]

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start `kvitt …` as a process of its own; it ends with the test process at the latest."""
        return subprocess.Popen(
            [sys.executable, "-m", "addon", *arguments],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )

    def company(self, sales: int = 2) -> int:
        """A company in Plus that is ready to run and has sold something."""
        world = self.town.world
        business = world.add_business(
            "Fjällbutiken AB", "556677-8899", balance_currencies=("sek",), currencies=("sek",)
        )
        for _ in range(sales):
            business.shop.buy(business.shop.products[0].sku, currency="sek")
        start = (world.clock.now() - timedelta(days=3)).date().isoformat()
        return self.town.set_up(business, "plus", start)


@pytest.fixture
def works(tmp_path: Path, redis_url: str) -> Iterator[Works]:
    """A town on SQLite with a Redis, nobody working yet."""
    url = f"sqlite:///{tmp_path / 'kvitt.db'}"
    migrate(url)
    with town(url, world=World.build(webhooks=False, fortnox_call_limit=0)) as built:
        environment = {
            **os.environ,
            **built.running.environment(),
            "KVITT_ENV": "test",
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "FORTNOX_CALLS_PER_5_S": "24",
            "LOOKUP_QUARANTINE_S": "1",
            "LEASE_S": "6",
        }
        yield Works(built, redis_url, environment)


@pytest.fixture
def ended() -> Iterator[Callable[["subprocess.Popen[bytes]"], "subprocess.Popen[bytes]"]]:
    """Takes processes that are killed, by their own ids, when the test is over."""
    children: list[subprocess.Popen[bytes]] = []

    def take(child: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        children.append(child)
        return child

    yield take
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait(10)
