"""Whether this installation can work: for load balancers, which ask every few seconds."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from addon.services.context import Services
from addon.store.migrate import schema_is_current


def problems(services: Services) -> tuple[str, ...]:
    """What keeps this process from working, in words without secrets; empty if all is well."""
    try:
        if not schema_is_current(services.db):
            return ("the database's schema is not this version's: run kvitt migrate",)
    except SQLAlchemyError:
        return ("the database does not answer",)
    return ()
