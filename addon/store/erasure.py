"""Taking all of one company's rows out of the database, as the role that owns the tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from addon.store.database import make_engine
from addon.store.models import Base, Company, Erasure, OfCompany, ParkedActivation

_ONLY_ADDED: Final = "activity"


def erase_rows(owner_url: str, company_id: int, record: Mapping[str, Any], erased_at: datetime) -> dict[str, int]:
    """Delete every row of a company and keep one that says so, in one transaction. Says how many rows of each table.

    The activity log refuses to lose rows; only the owner can lift that, and only this function does, for as long as
    its transaction runs.
    """
    engine = make_engine(owner_url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("select set_config('kvitt.company_id', :company, true)"), {"company": str(company_id)}
                )
            company = connection.execute(
                select(Company.accounting, Company.tenant).where(Company.id == company_id)
            ).one()
            guards = _lift_guard(connection)
            counts = {table.name: _empty(connection, table, company_id) for table in _company_tables()}
            _restore_guard(connection, guards)
            connection.execute(
                delete(ParkedActivation).where(
                    ParkedActivation.accounting == company.accounting, ParkedActivation.tenant == company.tenant
                )
            )
            connection.execute(delete(Company).where(Company.id == company_id))
            counts = {name: number for name, number in counts.items() if number}
            connection.execute(
                insert(Erasure).values(**record, company_id=company_id, erased_at=erased_at, rows=counts)
            )
            return counts
    finally:
        engine.dispose()


def _company_tables() -> list[Table]:
    """Tables whose rows belong to a company, those that refer to others first."""
    own = {
        mapper.local_table.name
        for mapper in Base.registry.mappers
        if isinstance(mapper.local_table, Table)
        and (issubclass(mapper.class_, OfCompany) or "company_id" in mapper.local_table.c)
        and mapper.class_ is not Erasure
    }
    return [table for table in reversed(Base.metadata.sorted_tables) if table.name in own]


def _empty(connection: Connection, table: Table, company_id: int) -> int:
    mine = table.c.company_id == company_id
    number = connection.scalar(select(func.count()).select_from(table).where(mine))
    connection.execute(delete(table).where(mine))
    return int(number or 0)


def _lift_guard(connection: Connection) -> list[str]:
    """Let the activity log lose rows; what must be run to forbid it again."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"ALTER TABLE {_ONLY_ADDED} DISABLE TRIGGER {_ONLY_ADDED}_only_added"))
        return [f"ALTER TABLE {_ONLY_ADDED} ENABLE TRIGGER {_ONLY_ADDED}_only_added"]
    found = connection.execute(
        text("select name, sql from sqlite_master where type = 'trigger' and tbl_name = :table"),
        {"table": _ONLY_ADDED},
    ).all()
    for name, _ in found:
        connection.execute(text(f'DROP TRIGGER "{name}"'))
    return [sql for _, sql in found]


def _restore_guard(connection: Connection, statements: list[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
