"""A town whose work is done by real workers: processes of their own, over the same database and a real Redis."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from addon.sandbox.world import World
from addon.store.migrate import migrate
from tests.support.forks import Fork, Zygote
from tests.support.town import Town, town


@dataclass
class Works:
    """The town, its Redis, and the environment that a process of Kvitt needs to work in it."""

    town: Town
    redis_url: str
    environment: dict[str, str]
    zygote: Callable[[], Zygote]

    def start(self, *arguments: str) -> Fork:
        """Fork `kvitt …` as a process of its own; it ends with the test process at the latest."""
        return self.zygote().start(("kvitt", *arguments), self.environment)

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
def works(tmp_path: Path, redis_url: str, request: pytest.FixtureRequest) -> Iterator[Works]:
    """A town on SQLite with a Redis, nobody working yet."""
    url = f"sqlite:///{tmp_path / 'kvitt.db'}"
    migrate(url)
    with town(url, world=World.build(webhooks=False, fortnox_call_limit=0)) as built:
        environment = {
            **built.running.environment(),
            "KVITT_ENV": "test",
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "FORTNOX_CALLS_PER_5_S": "24",
            "LOOKUP_QUARANTINE_S": "1",
            "LEASE_S": "60",
        }
        yield Works(built, redis_url, environment, partial(request.getfixturevalue, "zygote"))


@pytest.fixture
def ended() -> Iterator[Callable[[Fork], Fork]]:
    """Takes processes that are killed, by their own ids, when the test is over."""
    forks: list[Fork] = []

    def take(fork: Fork) -> Fork:
        forks.append(fork)
        return fork

    yield take
    for fork in forks:
        fork.kill()
        fork.wait(60)
