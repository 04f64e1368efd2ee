"""A town for each test: the simulated world over a fresh database, SQLite or PostgreSQL in the application's role."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.store.migrate import migrate
from tests.flow import house
from tests.flow.house import Bed, House
from tests.support.town import new_sqlite


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """(url, owner's url) of a fresh database; `on_both_databases` makes a test run on each kind."""
    kind = getattr(request, "param", "sqlite")
    if kind == "postgres":
        new_postgres_database: Callable[..., tuple[str, str]] = request.getfixturevalue("new_postgres_database")
        owner_url, app_url = new_postgres_database(migrate)
        return app_url, owner_url
    template: Path = request.getfixturevalue("sqlite_template")
    return new_sqlite(template, request.getfixturevalue("tmp_path")), None


@pytest.fixture
def bed(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town whose clock stands still."""
    with house.bed(*database) as made:
        yield made


@pytest.fixture
def plus(bed: Bed) -> House:
    """A company that will run Plus; a test lets it sell, then opens it."""
    return bed.house()
