"""Bringing a database to the present schema, and asking whether it is there.

The migrations lie beside the package, at the top of the checkout that a process runs from. Alembic
is imported when it is used: it takes longer to import than everything else here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from addon.store.database import Database, make_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"
APPLICATION_ROLE: Final = "kvitt_app"


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def role_of(url: str) -> str:
    """The role that an address logs in as; the usual one where it names none."""
    return make_url(url).username or APPLICATION_ROLE


def migrate(owner_url: str, app_role: str = APPLICATION_ROLE) -> None:
    """Bring the database to the present schema, as the role that owns the tables.

    In PostgreSQL `app_role` is then granted what the application needs, if it exists; two migrations at a time wait
    for each other. Everything happens in one transaction, or nothing.
    """
    from alembic import command

    config = alembic_config()
    engine = make_engine(owner_url, foreign_keys=False)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            config.attributes["app_role"] = app_role
            command.upgrade(config, "head")
    finally:
        engine.dispose()


@cache
def head_revision() -> str | None:
    """The newest revision that this code knows."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def schema_is_current(db: Database) -> bool:
    """Whether the database's schema is the one that this code was written for."""
    from alembic.migration import MigrationContext

    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_heads() == (head_revision(),)


def role_is_walled(db: Database) -> bool:
    """Whether row-level security holds for the application's role. Always so on SQLite, which has none.

    A superuser, or a role with BYPASSRLS, sees every company's rows whatever the policies say.
    """
    with db.engine.connect() as connection:
        if connection.dialect.name != "postgresql":
            return True
        passes = connection.execute(
            text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        ).scalar_one()
        return not passes


def wall_is_missing(db: Database) -> bool:
    """Whether the database says that its role passes row-level security by; False too while it does not answer."""
    try:
        return not role_is_walled(db)
    except SQLAlchemyError:
        return False
