"""A Kvitt for each test: real services over a fresh database, on SQLite, or on SQLite and PostgreSQL both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.sandbox.world import Business, World
from addon.store.migrate import migrate
from tests.support.town import Town, new_sqlite, town


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the present schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "kvitt.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def kvitt(sqlite_template: Path, tmp_path: Path) -> Iterator[Town]:
    """A town on SQLite whose world has no companies yet."""
    with town(new_sqlite(sqlite_template, tmp_path)) as built:
        yield built


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[Town]:
    """The same on both kinds of database."""
    if request.param == "sqlite":
        with town(new_sqlite(sqlite_template, tmp_path)) as built:
            yield built
        return
    new_database: Callable[..., Any] = request.getfixturevalue("new_postgres_database")
    owner_url, app_url = new_database()
    migrate(owner_url)
    with town(app_url, owner_url) as built:
        yield built


@pytest.fixture
def shop(kvitt: Town) -> Business:
    """A company with books, a Stripe account and nothing sold."""
    return add_shop(kvitt.world)


def add_shop(world: World, name: str = "Fjällbutiken AB", number: str = "556677-8899", **more: Any) -> Business:
    """A company in a world."""
    return world.add_business(name, number, **more)
