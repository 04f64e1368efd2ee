"""The database's clock as an expression: leases and claims of many machines are judged by one clock.

PostgreSQL: the instant at which the statement arrived. SQLite has milliseconds only and is a part of our process,
so `kvitt_now`, a function that every connection of `addon.store.database` registers, gives microseconds there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Float, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from addon.store.models import Instant

SQLITE_FUNCTION: Final = "kvitt_now"


class _DatabaseNow(FunctionElement[datetime]):
    type = Instant()
    name = "database_now"
    inherit_cache = True


def database_now(offset_s: float | str = 0) -> ColumnElement[datetime]:
    """The database's present instant, plus (or with a negative offset: less) so many seconds.

    A text names a parameter that is given at execution, for statements that are built once.
    """
    if isinstance(offset_s, str):
        return _DatabaseNow(bindparam(offset_s, None, type_=Float))
    return _DatabaseNow(literal(float(offset_s), Float))


@compiles(_DatabaseNow, "postgresql")
def _on_postgresql(element: _DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    # Not clock_timestamp(): that one is volatile, and no index could be used beside it. Not now(): that one is
    # the transaction's start.
    offset = compiler.process(element.clauses, **options)
    return f"(statement_timestamp() + make_interval(secs => {offset}))"


@compiles(_DatabaseNow, "sqlite")
def _on_sqlite(element: _DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **options)})"


def sqlite_now(offset_s: float) -> str:
    """What `kvitt_now` answers: the present UTC in the very form in which SQLAlchemy stores instants."""
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).strftime("%Y-%m-%d %H:%M:%S.%f")
