"""Engines, and the only ways to a session: of one company, or over the open tables.

Two walls keep companies apart. The first stands here, for both kinds of database: every statement over a table
with business data is narrowed to the session's company or refused. The second is PostgreSQL's row-level security
(see the migrations), which also holds against SQL that the first wall cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    FromStatement,
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
    sessionmaker,
    with_loader_criteria,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Insert, Update, UpdateBase
from sqlalchemy.sql.elements import BindParameter, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import SelectBase, TextualSelect

from addon.store.clock import SQLITE_FUNCTION, database_now, sqlite_now
from addon.store.models import Base, OfCompany
from addon.store.prepared import Prepared, cursor_of, run

_READING: Final = "kvitt_reading"
_LOCK_MS: Final = 75_000
"""How long a transaction waits for another's lock: longer than a token's renewal, the one call made under a lock,
may take (60 s)."""


class NoCompanyEntered(RuntimeError):
    """Business data was asked for in a session that belongs to no company."""


class WrongCompany(RuntimeError):
    """A session of one company was about to write a row of another."""


class UnguardedStatement(RuntimeError):
    """A statement whose rows cannot be narrowed to the session's company: raw SQL, bare tables, bulk updates."""


class ReadingOnly(RuntimeError):
    """A session for reading was about to write."""


# --- Engines -------------------------------------------------------------------------------------------------


def _json_default(value: object) -> str:
    """Decimals, which occur in providers' records that were read exactly, are kept as text."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not stored as JSON")


# Made once: `json.dumps` and `json.loads` make a new one of these for every call with options.
to_json = json.JSONEncoder(default=_json_default, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_float=Decimal).decode


def _from_json(text: str | bytes) -> Any:
    return _decode(text if isinstance(text, str) else text.decode())


def make_engine(url: str | URL, *, foreign_keys: bool = True) -> Engine:
    """An engine set up for this project; `foreign_keys` False for migrations, which may rebuild SQLite tables.

    Fractions in stored JSON are read as `Decimal`, never as floats.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _sqlite_engine(address, foreign_keys)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    return _postgres_engine(address)


def _postgres_engine(address: URL) -> Engine:
    engine = create_engine(
        address,
        # After a database restart every pooled connection would fail once.
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        pool_timeout=30,
        connect_args={"connect_timeout": 5},
        json_serializer=to_json,
        json_deserializer=_from_json,
        # A failed statement is logged with its text; its values are buyers' names and sealed tokens.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(
            "select set_config('timezone', 'UTC', false), set_config('lock_timeout', %s, false)",
            (str(_LOCK_MS),),
        )
        cursor.close()
        connection.commit()

    return engine


def _sqlite_engine(address: URL, foreign_keys: bool) -> Engine:
    if address.database in (None, "", ":memory:"):
        raise ValueError("SQLite in memory is a database for each connection; name a file")
    engine = create_engine(
        address,
        pool_size=5,
        max_overflow=10,
        pool_timeout=30,
        json_serializer=to_json,
        json_deserializer=_from_json,
        # A failed statement is logged with its text; its values are buyers' names and sealed tokens.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, entry: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions of its own: its deferred BEGIN makes half of all
        # read-then-write transactions of several processes fail with "database is locked".
        connection.isolation_level = None
        connection.create_function(SQLITE_FUNCTION, 1, sqlite_now)
        for setting in (
            f"busy_timeout={_LOCK_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = bool(connection.get_execution_options().get(_READING))
        # The connection comes from a pool that both kinds of session share: say it each time.
        run(connection, f"PRAGMA query_only={'ON' if reading else 'OFF'}", ())
        run(connection, "BEGIN" if reading else "BEGIN IMMEDIATE", ())

    return engine


# --- The first wall ------------------------------------------------------------------------------------------


class WalledSession(Session):
    """A session that knows whose it is; made by `Database` only, others may not begin.

    `info` has `company_id` and `wall` for a company's session, `open` for one over the open tables, `reading`.
    """

    def bulk_save_objects(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: goes past the wall. Use `add_all`, or `execute(insert(Row), rows)`."""
        raise UnguardedStatement("bulk_save_objects goes past the wall")

    def bulk_insert_mappings(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: goes past the wall. Use `execute(insert(Row), rows)`."""
        raise UnguardedStatement("bulk_insert_mappings goes past the wall")

    def bulk_update_mappings(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: goes past the wall. Use `execute(update(Row).where(…))`."""
        raise UnguardedStatement("bulk_update_mappings goes past the wall")


def company_of(session: Session | Transaction) -> int:
    """The company that a session or a transaction belongs to. Raises `NoCompanyEntered`."""
    if isinstance(session, Transaction):
        return session.company_id
    company_id = session.info.get("company_id")
    if company_id is None:
        raise NoCompanyEntered("this session belongs to no company")
    return int(company_id)


_Row = TypeVar("_Row", bound=Base)


def held(session: Session, row: _Row) -> _Row:
    """A row of which there is one for a company, held for as long as the session lives.

    By itself a session lets go of a row that nobody holds, and asks the database for it again.
    """
    session.info[type(row)] = row
    return row


_BUSINESS_TABLES: Final[frozenset[str]] = frozenset(
    mapper.local_table.name
    for mapper in Base.registry.mappers
    if issubclass(mapper.class_, OfCompany) and isinstance(mapper.local_table, Table)
)


_TELLING: Final = frozenset(
    {"table", "column", "select", "compound_select", "insert", "update", "delete", "textclause", "textual_select"}
)
"""Which elements of a statement can mention a table or be about a mapped class. Most others are brackets."""


def _mapped_table(entity: Any) -> str:
    """The table behind a mapper or an alias of a mapped class."""
    mapper: Mapper[Any] = entity.mapper
    return mapper.local_table.name if isinstance(mapper.local_table, Table) else ""


_MOST_KNOWN: Final = 2000
_known_tables: Final[dict[Any, frozenset[str]]] = {}
"""What was found in statements of a form: the same few hundred are executed again and again."""


def _business_tables(statement: Any) -> frozenset[str]:
    """The tables with business data in a statement, however deep. Raises `UnguardedStatement`.

    Known by SQLAlchemy's own key of the statement's form, under which it also keeps what it has compiled: it tells a
    mapped class from its bare table, and leaves out the values only. What is refused is looked at each time.
    """
    form = statement._generate_cache_key()
    if form is None:
        return _tables_in(statement)
    found = _known_tables.get(form.key)
    if found is None:
        found = _tables_in(statement)
        if len(_known_tables) >= _MOST_KNOWN:
            _known_tables.clear()
        _known_tables[form.key] = found
    return found


def _tables_in(statement: Any) -> frozenset[str]:
    """The same, by going through all of the statement.

    Loader criteria reach what is named through its mapped class, in subqueries, joins and unions too. A bare table
    or a scrap of SQL they do not reach, so neither may occur. SQLAlchemy marks the former with `parententity`, and
    a statement that is about a mapped class with `plugin_subject`.
    """
    named: set[str] = set()
    mapped: set[str] = set()
    for element in visitors.iterate(statement):
        if element.__visit_name__ not in _TELLING:
            continue
        if isinstance(element, TextClause):
            raise UnguardedStatement("raw SQL cannot be narrowed to a company; use the mapped classes")
        table = element.table if isinstance(element, Column) else element
        if isinstance(table, Table) and table.name in _BUSINESS_TABLES:
            named.add(table.name)
        about = getattr(element, "_annotations", {}).get("parententity")
        about = about or getattr(element, "_propagate_attrs", {}).get("plugin_subject")
        if about is not None:
            mapped.add(_mapped_table(about))
    if named - mapped:
        raise UnguardedStatement(f"{', '.join(sorted(named - mapped))}: not named through the mapped class")
    return frozenset(named)


@event.listens_for(WalledSession, "do_orm_execute")
def _narrow(state: ORMExecuteState) -> None:
    """Narrow a statement to the session's company, or refuse it."""
    statement: Any = state.statement
    body = statement.element if isinstance(statement, FromStatement) else statement
    if isinstance(body, TextualSelect) or not isinstance(body, SelectBase | UpdateBase | FunctionElement):
        raise UnguardedStatement("raw SQL cannot be narrowed to a company; use the mapped classes")
    info = state.session.info
    if info.get("reading") and isinstance(body, UpdateBase):
        raise ReadingOnly("this session only reads")
    if not _business_tables(statement):
        return
    company_id = company_of(state.session)
    if isinstance(body, Insert):
        _stamp_insert(state, body, company_id)
        return
    if isinstance(body, Update):
        _guard_update(state, body)
    state.statement = statement.options(info["wall"])


def _stamp_insert(state: ORMExecuteState, statement: Insert, company_id: int) -> None:
    """Give every row of an insert the session's company. Raises `WrongCompany`, `UnguardedStatement`."""
    if not isinstance(statement.table, Table) or statement.table.name not in _BUSINESS_TABLES:
        raise UnguardedStatement("an insert that draws on business data cannot be narrowed to a company")
    if statement.select is not None or statement._multi_values:
        raise UnguardedStatement("give the rows of an insert as parameters, so that each can be stamped")
    fixed = {_name(column): value for column, value in (statement._values or {}).items()}
    if "company_id" in fixed:
        given = fixed["company_id"]
        _same_company(given.value if isinstance(given, BindParameter) else given, company_id)
    elif state.parameters is None and fixed:
        state.statement = statement.values(company_id=company_id)
    elif isinstance(state.parameters, Mapping) or state.parameters is None:
        state.parameters = _stamped(state.parameters or {}, company_id)
    else:
        state.parameters = [_stamped(row, company_id) for row in state.parameters]


def _name(column: Any) -> str:
    return column if isinstance(column, str) else str(column.key)


def _stamped(row: Mapping[str, Any], company_id: int) -> dict[str, Any]:
    given = row.get("company_id")
    if given is not None:
        _same_company(given, company_id)
    return {**row, "company_id": company_id}


def _same_company(given: object, company_id: int) -> None:
    if given != company_id:
        raise WrongCompany(f"a row of company {given} in a session of company {company_id}")


def _guard_update(state: ORMExecuteState, statement: Update) -> None:
    """Refuse updates that the criteria cannot narrow, and those that would move a row to another company."""
    if state.parameters is not None and not isinstance(state.parameters, Mapping):
        raise UnguardedStatement("an update by a list of keys cannot be narrowed to a company")
    columns = {_name(column) for column in (statement._values or {})} | set(state.parameters or ())
    if "company_id" in columns:
        raise WrongCompany("a row never changes its company")


@event.listens_for(WalledSession, "before_flush")
def _stamp(session: Session, context: UOWTransaction, instances: object) -> None:
    """Stamp new rows with the session's company; refuse rows of another."""
    if session.info.get("reading") and (
        session.new or session.deleted or any(session.is_modified(row) for row in session.dirty)
    ):
        raise ReadingOnly("this session only reads")
    for row in session.new:
        if isinstance(row, OfCompany):
            if row.__dict__.get("company_id") is None:
                row.company_id = company_of(session)
            _same_company(row.company_id, company_of(session))
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, OfCompany):
            # Of a row that was brought along from elsewhere and has expired, this reads the company anew.
            _same_company(row.company_id, company_of(session))


_SET_COMPANY: Final = "set_config('kvitt.company_id', %(company)s, true)"
_SET_READING: Final = "set_config('transaction_read_only', 'on', true)"


@event.listens_for(WalledSession, "after_begin")
def _enter(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """Tell PostgreSQL whose transaction this is; forgotten at its end, so that nothing leaks through the pool."""
    info = session.info
    company_id = info.get("company_id")
    if company_id is None and not info.get("open"):
        raise NoCompanyEntered("sessions come from Database.company, company_reading or open")
    if connection.dialect.name != "postgresql" or transaction.nested:
        return
    calls = [_SET_COMPANY] if company_id is not None else []
    if info.get("reading"):
        calls.append(_SET_READING)
    if calls:
        # Straight to the driver: this stands at the head of every transaction.
        run(connection, f"select {', '.join(calls)}", {"company": str(company_id)})


# --- Short transactions ----------------------------------------------------------------------------------------


class Transaction:
    """A writing transaction of one company over a `Line`, for prepared statements. They name the company themselves."""

    __slots__ = ("_connection", "_cursor", "_session", "company_id")

    def __init__(self, connection: Connection, company_id: int) -> None:
        self.company_id = company_id
        self._connection = connection
        self._cursor = cursor_of(connection)
        self._session: WalledSession | None = None

    def carry_out(self, statement: Prepared, told: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that a statement gives, which names the company as `given_company`: no wall of ours looks at it."""
        if self._session is not None:
            self._session.flush()
        return statement.carry_out(self._connection, {"given_company": self.company_id, **told}, self._cursor)

    @property
    def session(self) -> Session:
        """A session in this same transaction, for what is done now and then only."""
        if self._session is None:
            # Its commit ends nothing: that is for this transaction's block.
            self._session = WalledSession(
                self._connection,
                info=_company_info(self.company_id),
                expire_on_commit=False,
                join_transaction_mode="rollback_only",
            )
        return self._session

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.close()


class Line:
    """A company's line to the database: one connection, kept for transactions that follow one another closely.

    No transaction is open between two of them. For one thread; its block gives the connection back to the pool.
    """

    def __init__(self, database: Database, company_id: int) -> None:
        _company_info(company_id)
        self._database = database
        self._company_id = company_id
        self._connection: Connection | None = None

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed when its block ends, rolled back when the block raises."""
        connection = self._begun()
        transaction = Transaction(connection, self._company_id)
        try:
            yield transaction
            if transaction._session is not None:
                transaction._session.commit()
            self._database.commit(connection)
        except BaseException:
            connection.rollback()
            raise
        finally:
            transaction.close()

    def _begun(self) -> Connection:
        """The connection, in a transaction: another one, once, where it turns out to be gone."""
        kept = self._connection is not None
        connection = self._connection = self._connection or self._database.engine.connect()
        try:
            return self._entered(connection)
        except DBAPIError as error:
            # The database was started anew since the last transaction. Nothing has been said in this one.
            if not (kept and error.connection_invalidated):
                raise
            return self._entered(connection)

    def _entered(self, connection: Connection) -> Connection:
        try:
            connection.begin()
            if connection.dialect.name == "postgresql":
                run(connection, f"select {_SET_COMPANY}", {"company": str(self._company_id)})
        except BaseException:
            connection.rollback()
            raise
        return connection


# --- The database --------------------------------------------------------------------------------------------


class Database:
    """The database, and the only ways to a session.

    `url` is the application's (in PostgreSQL a role that owns nothing), `owner_url` the migrations'. A session is
    committed when its block ends and rolled back when the block raises; rows stay readable afterwards, as they were.
    """

    def __init__(self, url: str, owner_url: str | None = None) -> None:
        self._engine = make_engine(url)
        self.owner_url = owner_url or url
        self._writing = sessionmaker(self._engine, class_=WalledSession, expire_on_commit=False)
        self._reading = sessionmaker(
            self._engine.execution_options(**{_READING: True}), class_=WalledSession, expire_on_commit=False
        )

    def __repr__(self) -> str:
        return f"Database({self._engine.url.render_as_string(hide_password=True)!r})"

    @property
    def engine(self) -> Engine:
        """The engine beneath, for migrations and measurements. It knows no walls of ours."""
        return self._engine

    def line(self, company_id: int) -> Line:
        """A line for many short writing transactions of one company. Raises `NoCompanyEntered`."""
        return Line(self, company_id)

    def commit(self, connection: Connection) -> None:
        """End a line's transaction."""
        connection.commit()

    @contextmanager
    def company(self, company_id: int) -> Iterator[Session]:
        """A writing session over one company's data, and over the open tables."""
        with self._session(self._writing, _company_info(company_id)) as session:
            yield session

    @contextmanager
    def company_reading(self, company_id: int) -> Iterator[Session]:
        """The same for reading only: on SQLite it takes no write lock. Writing raises `ReadingOnly`."""
        with self._session(self._reading, {**_company_info(company_id), "reading": True}) as session:
            yield session

    @contextmanager
    def open(self) -> Iterator[Session]:
        """A writing session over the open tables only; business data raises `NoCompanyEntered`."""
        with self._session(self._writing, {"open": True}) as session:
            yield session

    @contextmanager
    def open_reading(self) -> Iterator[Session]:
        """The same for reading only, for sweeps and for finding out who a browser belongs to."""
        with self._session(self._reading, {"open": True, "reading": True}) as session:
            yield session

    @contextmanager
    def _session(self, maker: sessionmaker[WalledSession], info: dict[str, Any]) -> Iterator[Session]:
        with maker(info=info) as session:
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def now(self, session: Session) -> datetime:
        """The database's clock: aware UTC with microseconds."""
        return session.execute(select(database_now())).scalar_one()

    def dispose_in_child(self) -> None:
        """In a forked child, before its first query: leave the parent's connections to the parent."""
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def _company_info(company_id: int) -> dict[str, Any]:
    if type(company_id) is not int or company_id <= 0:
        raise NoCompanyEntered(f"{company_id!r} is no company's number")
    return {"company_id": company_id, "wall": _wall(company_id)}


@lru_cache(maxsize=1024)
def _wall(company_id: int) -> Any:
    """What narrows a statement to a company: made once, for making it takes longer than many a statement."""
    return with_loader_criteria(OfCompany, lambda row: row.company_id == company_id, include_aliases=True)
