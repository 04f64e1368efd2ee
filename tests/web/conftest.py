"""The pages over a real database: an application, a browser's client, and a company with something of everything."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from addon.bootstrap import build, webhook_readers
from addon.config import Settings, load_settings
from addon.services import installation
from addon.services.context import Services
from addon.store.migrate import migrate
from addon.web import create_app
from tests.support.town import Town, new_sqlite, town
from tests.web.factory import NOW, Filled, fill

WHO = "Ada Bookkeeper"


@dataclass
class House:
    """An application with its services, and clients that are signed in to a company."""

    app: Flask
    services: Services
    settings: Settings

    def client(self, company_id: int | None = None, who: str = WHO) -> FlaskClient:
        """A browser of its own, signed in to a company or to none."""
        client = self.app.test_client()
        if company_id is not None:
            client.set_cookie("kvitt", installation.sign_in(self.services, company_id, who))
        return client


class _Templates(BytecodeCache):
    """Templates are compiled once for all applications of a test process."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


_templates = _Templates()


def make_app(services: Services, settings: Settings) -> Flask:
    app = create_app(services, settings, webhook_readers(settings))
    app.config["RATELIMIT_ENABLED"] = False
    app.jinja_env.bytecode_cache = _templates
    return app


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("web") / "kvitt.db"
    migrate(f"sqlite:///{path}")
    return path


def new_house(empty_database: Path, folder: Path) -> House:
    """An application over an empty database; its outside is nowhere, so that no page may call out."""
    settings = load_settings(
        {
            "KVITT_ENV": "sandbox",
            "DATABASE_URL": new_sqlite(empty_database, folder),
            "FORTNOX_CALLS_PER_5_S": "0",
        }
    )
    services = build(settings, now=lambda: NOW, nudge=lambda company_id: None)
    return House(make_app(services, settings), services, settings)


@pytest.fixture
def house(empty_database: Path, tmp_path: Path) -> Iterator[House]:
    """A house for one test."""
    built = new_house(empty_database, tmp_path)
    yield built
    built.services.db.close()


@pytest.fixture(scope="session")
def filled_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Filled]:
    """A database to be copied, in which much has happened, and what is in it."""
    folder = tmp_path_factory.mktemp("filled")
    built = new_house(empty_database, folder)
    filled = fill(built.services)
    built.services.db.close()
    return folder / "kvitt.db", filled


@pytest.fixture
def filled(house: House, filled_database: tuple[Path, Filled], tmp_path: Path) -> Filled:
    """Two companies; the first has movements, documents, holds, payouts, runs and a log of every kind."""
    database, filled = filled_database
    house.services.db.close()
    new_sqlite(database, tmp_path)
    return deepcopy(filled)


@pytest.fixture
def lived_in(empty_database: Path, tmp_path: Path) -> Iterator[tuple[House, Town]]:
    """An application whose outside is a served, simulated world."""
    with town(new_sqlite(empty_database, tmp_path)) as built:
        settings = load_settings(
            {
                "KVITT_ENV": "test",
                "FORTNOX_CALLS_PER_5_S": "0",
                "STRIPE_WEBHOOK_SECRET": "whsec_sandbox_not_real",
                **built.running.environment(),
            }
        )
        yield House(make_app(built.services, settings), built.services, settings), built
