"""Many rows in one statement: what a provider tells comes a hundred rows at a time.

PostgreSQL takes all rows as one JSON text. So the statement is short whatever their number: it is prepared once, and
the rows travel once. (Row-level security forbids COPY, and arrays of long texts are slow: each quote is escaped.)
SQLite lives in our own process, where rows one after the other cost nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
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
        kinds = {name: table.c[name].type for name in names}
        text = to_json(
            [{name: _plain(value, kinds[name], connection.dialect) for name, value in row.items()} for row in rows]
        )
        if not _UNREADABLE.search(text):
            connection.execute(_from_json(table, names), {"given_company": company_id, "given_rows": text})
            return
    connection.execute(insert(table), [{**row, "company_id": company_id} for row in rows])


_UNREADABLE = re.compile(r"\\u(?:0000|d[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..\\u)d[c-f])", re.IGNORECASE)
"""Escapes of NUL and of halves of surrogate pairs. PostgreSQL keeps them in a JSON column, but makes no rows of a
text with one: such rows go one after the other."""


def _plain(value: Any, kind: TypeEngine[Any], dialect: Dialect) -> Any:
    """A column's value as JSON can hold it, cleaned and checked by its type."""
    if isinstance(kind, TypeDecorator):
        value = kind.process_bind_param(value, dialect)
    return value.isoformat() if isinstance(value, date) else value


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
