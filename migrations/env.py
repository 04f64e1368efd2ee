"""Alembic's entry. `addon.store.migrate` hands over a connection; the command line names an address."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, text

from addon.store.database import make_engine
from addon.store.migrate import APPLICATION_ROLE
from addon.store.models import Base

_LOCK = 5_548_011
"""Any number: whoever migrates holds PostgreSQL's advisory lock of this name."""


def _app_role() -> str:
    given = context.config.attributes.get("app_role") or context.get_x_argument(as_dictionary=True).get("app_role")
    return str(given or APPLICATION_ROLE)


def _grant(connection: Connection, role: str) -> None:
    """Let the application use the tables, own nothing, only ever add to the activity log, and read what was erased."""
    exists = connection.execute(text("select 1 from pg_roles where rolname = :role"), {"role": role}).first()
    itself = connection.execute(text("select current_user")).scalar_one()
    built = connection.execute(text("select to_regclass('activity')")).scalar_one()
    if exists is None or itself == role or built is None:
        return
    name = connection.dialect.identifier_preparer.quote(role)
    schema = connection.dialect.identifier_preparer.quote(
        str(connection.execute(text("select current_schema()")).scalar_one())
    )
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}",
        f"REVOKE UPDATE, DELETE, TRUNCATE ON activity FROM {name}",
    ):
        connection.execute(text(statement))
    if connection.execute(text("select to_regclass('erasures')")).scalar_one() is not None:
        connection.execute(text(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON erasures FROM {name}"))


def _run(connection: Connection) -> None:
    postgres = connection.dialect.name == "postgresql"
    if postgres:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=not postgres,
        # SQLite can do this too, once the driver leaves transactions alone, as ours does.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    if postgres:
        _grant(connection, _app_role())


def _main() -> None:
    if context.is_offline_mode():
        raise SystemExit("migrations need a database: they look at it")
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    url = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL") or "sqlite:///kvitt.db"
    engine = make_engine(url, foreign_keys=False)
    try:
        with engine.begin() as connection:
            _run(connection)
    finally:
        engine.dispose()


_main()
