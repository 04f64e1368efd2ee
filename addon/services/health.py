"""Whether this installation can work: for load balancers, which ask every few seconds."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from addon.services.context import Services
from addon.store.migrate import role_is_walled, schema_is_current


def problems(services: Services) -> tuple[str, ...]:
    """What keeps this process from working, in words without secrets; empty if all is well."""
    try:
        if not schema_is_current(services.db):
            return ("the database's schema is not this version's: run kvitt migrate",)
        if not role_is_walled(services.db):
            return ("the database's role passes row-level security by: give DATABASE_URL one that is no superuser",)
    except SQLAlchemyError:
        return ("the database does not answer",)
    return ()
