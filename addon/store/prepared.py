"""Statements that are built once and carried out past SQLAlchemy: those that stand between any two calls outside.

SQLAlchemy writes the statement, for each kind of database once, and says how values go in and come out. Carrying it
out is then a cursor's work: a tenth of what it costs through a session, ten times for each document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, ClauseElement, Connection, Dialect, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

_Change = Callable[[Any], Any] | None
_TOLD: Final = "given_"


def given(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> BindParameter[Any]:
    """A parameter of a prepared statement. Called `given_…`: an update takes a column's name for a new value."""
    return bindparam(name, None, type_=kind)


class _Form(NamedTuple):
    """A statement as one kind of database takes it."""

    text: str
    fixed: dict[str, Any]
    """Parameters whose values stand in the statement, as the driver takes them."""
    told: tuple[tuple[str, _Change], ...]
    """Those that are told at execution, and what makes of a value what the driver takes."""
    places: tuple[str, ...]
    """In which order, where the driver takes parameters by place; empty where it takes them by name."""
    columns: tuple[_Change, ...]
    """What makes of a column's value ours; empty where all are as they come."""


class Prepared:
    """A statement over bare tables: it must name the company itself, as the parameter `given_company`."""

    __slots__ = ("_forms", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement: Final = statement
        self._forms: dict[str, _Form] = {}

    def carry_out(self, connection: Connection, told: Mapping[str, Any], cursor: Any = None) -> list[tuple[Any, ...]]:
        """The rows that it gives, in a transaction that has begun. Raises what SQLAlchemy would, `KeyError`.

        `cursor`: one of the connection's, for statements that follow one another.
        """
        dialect = connection.dialect
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _form(self._statement, dialect)
        values = {**form.fixed, **{name: change(told[name]) if change else told[name] for name, change in form.told}}
        given_values = [values[name] for name in form.places] if form.places else values
        rows = run(connection, form.text, given_values, cursor or cursor_of(connection))
        if not form.columns:
            return rows
        return [
            tuple([change(value) if change else value for value, change in zip(row, form.columns, strict=True)])
            for row in rows
        ]


def cursor_of(connection: Connection) -> Any:
    """A cursor of the driver's, in a transaction that has begun."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # noqa: S101 - a connection that has begun has one
    return driver.cursor()


def run(connection: Connection, text: str, parameters: Any, cursor: Any = None) -> list[tuple[Any, ...]]:
    """Carry a statement in the driver's own words out. Raises what SQLAlchemy would."""
    dialect = connection.dialect
    cursor = cursor or cursor_of(connection)
    try:
        cursor.execute(text, parameters)
        return cursor.fetchall() if cursor.description is not None else []
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        ) from error


def _form(statement: ClauseElement, dialect: Dialect) -> _Form:
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    kinds = {compiled.bind_names[bound]: bound.type for bound in compiled.bind_names}
    changes = {
        name: kinds[name].dialect_impl(dialect).bind_processor(dialect) if name in kinds else None
        for name in compiled.params
    }
    columns = [kind.dialect_impl(dialect).result_processor(dialect, None) for *_, kind in compiled._result_columns]
    return _Form(
        text=compiled.string,
        fixed={
            name: change(compiled.params[name]) if change else compiled.params[name]
            for name, change in changes.items()
            if not name.startswith(_TOLD)
        },
        told=tuple((name, change) for name, change in changes.items() if name.startswith(_TOLD)),
        places=tuple(compiled.positiontup) if compiled.positional else (),
        columns=tuple(columns) if any(columns) else (),
    )
