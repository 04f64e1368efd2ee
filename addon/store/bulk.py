"""Many rows in one statement: what a provider tells comes a hundred rows at a time.

PostgreSQL takes all rows as one JSON text. So the statement is short whatever their number: it is prepared once, and
the rows travel once. (Row-level security forbids COPY, and arrays of long texts are slow: each quote is escaped.)
SQLite lives in our own process, where rows one after the other cost nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import cache, partial
from typing import Any

from pydantic_core import to_json as serialized
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Insert,
    Table,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeEngine

from addon.store.database import company_of, to_json
from addon.store.models import Base


def _on_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def among(session: Session, attribute: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """That a column has one of many values; the statement's text does not depend on how many."""
    if _on_postgresql(session):
        return attribute == any_(literal(list(values), ARRAY(attribute.type)))
    return attribute.in_(values)


def insert_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the session's company, all with the same columns, given by name. The caller commits.

    Raises `NoCompanyEntered`, and `IntegrityError` where a row is there already.
    """
    if not rows:
        return
    session.flush()
    company_id, table = company_of(session), Base.metadata.tables[model.__tablename__]
    names, connection = tuple(rows[0]), session.connection()
    if _on_postgresql(session):
        plain = [
            (name, makes) for name in names if (makes := _plain(table.c[name].type, connection.dialect)) is not None
        ]
        text = _as_text([{**row, **{name: makes(row[name]) for name, makes in plain}} for row in rows])
        if not _UNREADABLE.search(text):
            connection.execute(_from_json(table, names), {"given_company": company_id, "given_rows": text})
            return
    connection.execute(insert(table), [{**row, "company_id": company_id} for row in rows])


def with_defaults(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """A new row's columns by name: those given, and what the others have at first. Without its id and its company."""
    first = {
        name: None if default is None else default.arg(None) if default.is_callable else default.arg
        for name, default in _at_first(model)
        if name not in values
    }
    return {**first, **values}


@cache
def _at_first(model: type[Base]) -> tuple[tuple[str, Any], ...]:
    columns = Base.metadata.tables[model.__tablename__].columns
    return tuple((one.name, one.default) for one in columns if one.name not in ("id", "company_id"))


_UNREADABLE = re.compile(r"\\u(?:0000|d[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..\\u)d[c-f])", re.IGNORECASE)
"""Escapes of NUL and of halves of surrogate pairs. PostgreSQL keeps them in a JSON column, but makes no rows of a
text with one: such rows go one after the other."""


def _as_text(rows: list[dict[str, Any]]) -> str:
    """Rows as JSON: by the serializer of the codec, many times faster than Python's, wherever it takes them."""
    try:
        return serialized(rows, inf_nan_mode="strings").decode()
    except ValueError:
        return to_json(rows)  # halves of surrogate pairs, which only Python's can escape


def _plain(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of a column's value one that JSON can hold, cleaned and checked; None where it is one as it is."""
    checks = kind.process_bind_param if isinstance(kind, TypeDecorator) else None
    stored = kind.impl if isinstance(kind, TypeDecorator) else kind
    if not isinstance(stored, Date | DateTime):
        return None if checks is None else partial(_checked, checks, dialect)
    return partial(_written, checks, dialect)


def _checked(checks: Callable[[Any, Dialect], Any], dialect: Dialect, value: Any) -> Any:
    return checks(value, dialect)


def _written(checks: Callable[[Any, Dialect], Any] | None, dialect: Dialect, value: date | None) -> str | None:
    """A day or an instant as text."""
    if checks is not None:
        value = checks(value, dialect)
    return None if value is None else value.isoformat()


@cache
def _from_json(table: Table, names: tuple[str, ...]) -> Insert:
    """The statement that makes rows out of one JSON text."""
    given = (
        func.json_to_recordset(cast(bindparam("given_rows", type_=Text), JSON))
        .table_valued(*(column(name, table.c[name].type) for name in names), name="given")
        .render_derived(with_types=True)
    )
    company = bindparam("given_company", type_=table.c.company_id.type)
    return insert(table).from_select(["company_id", *names], select(company, *given.c), include_defaults=False)
