"""Each company alone: the first wall on both databases, the second in PostgreSQL; clocks, instants, modes."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Select,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.exc import ObjectDeletedError

from addon.store.database import (
    Database,
    NoCompanyEntered,
    ReadingOnly,
    UnguardedStatement,
    WalledSession,
    WrongCompany,
    company_of,
    make_engine,
)
from addon.store.models import (
    ActivityRow,
    CallRow,
    Company,
    CompanySettings,
    CompanyWork,
    CustomerRow,
    MovementRow,
    NaiveInstantRefused,
    ProviderAccount,
    RunRow,
)
from tests.store.conftest import AT, World, furnish


def customer(key: str, **more: Any) -> CustomerRow:
    return CustomerRow(**{"key": key, "number": "1", **more})


@pytest.fixture
def peopled(sqlite_db: Database) -> World:
    """Both companies have a customer "same"; the second has one more.

    On SQLite, where only the first wall stands: nothing else could have hidden or refused anything.
    """
    world = furnish(sqlite_db)
    with world.db.company(world.first) as session:
        session.add(customer("same", name="Anna"))
    with world.db.company(world.second) as session:
        session.add_all([customer("same", name="Bo"), customer("other", name="Cilla")])
    return world


OTHER = aliased(CustomerRow)
COUNTED = select(CustomerRow.key, func.count(CustomerRow.id).label("n")).group_by(CustomerRow.key).subquery()
NAMED = select(CustomerRow.name.label("name")).cte("named")

READS: dict[str, Select[Any] | Any] = {
    "rows": select(CustomerRow.name),
    "alias": select(OTHER.name),
    "subquery": select(COUNTED.c.key, COUNTED.c.n),
    "cte": select(NAMED.c.name),
    "cte of an open table": select(NAMED.c.name).join(Company, Company.id > 0).distinct(),
    "union": union_all(select(CustomerRow.name), select(OTHER.name)),
    "exists": select(Company.name).where(exists().where(CustomerRow.name == "Cilla")),
    "in": select(Company.name).where(Company.id.in_(select(CustomerRow.company_id))),
    "scalar": select(select(func.count(CustomerRow.id)).scalar_subquery()),
    "outer join": select(Company.name, CustomerRow.name).outerjoin(CustomerRow, CustomerRow.company_id == Company.id),
    "or": select(CustomerRow.name).where((CustomerRow.name == "Anna") | (CustomerRow.company_id > 0)),
}
SEEN_BY_FIRST: dict[str, set[tuple[Any, ...]]] = {
    "rows": {("Anna",)},
    "alias": {("Anna",)},
    "subquery": {("same", 1)},
    "cte": {("Anna",)},
    "cte of an open table": {("Anna",)},
    "union": {("Anna",)},
    "exists": set(),
    "in": {("Company 1",)},
    "scalar": {(1,)},
    "outer join": {("Company 1", "Anna"), ("Company 2", None)},
    "or": {("Anna",)},
}


@pytest.mark.parametrize("kind", READS)
def test_a_company_reads_its_own_rows_only_however_it_asks(peopled: World, kind: str) -> None:
    with peopled.db.company_reading(peopled.first) as session:
        assert set(map(tuple, session.execute(READS[kind]))) == SEEN_BY_FIRST[kind]


def test_the_same_reads_without_a_company_are_refused(peopled: World) -> None:
    for statement in READS.values():
        with pytest.raises(NoCompanyEntered), peopled.db.open() as session:
            session.execute(statement)


def test_updates_and_deletes_reach_own_rows_only(peopled: World) -> None:
    with peopled.db.company(peopled.first) as session:
        session.execute(update(CustomerRow).values(number="7"))
        session.execute(update(CustomerRow).where(CustomerRow.name == "Cilla").values(number="8"))
        session.execute(delete(CustomerRow).where(CustomerRow.key.in_(select(OTHER.key))))
    with peopled.db.company_reading(peopled.second) as session:
        assert {(row.name, row.number) for row in session.scalars(select(CustomerRow))} == {("Bo", "1"), ("Cilla", "1")}
    with peopled.db.company_reading(peopled.first) as session:
        assert session.scalars(select(CustomerRow)).all() == []


def test_a_row_of_another_company_is_not_found_by_its_id(peopled: World) -> None:
    with peopled.db.company_reading(peopled.second) as session:
        foreign = session.scalars(select(CustomerRow.id)).all()
    with peopled.db.company(peopled.first) as session:
        assert [session.get(CustomerRow, number) for number in foreign] == [None, None]


def test_new_rows_are_stamped_with_the_company(world: World) -> None:
    rows: list[dict[str, Any]] = [{"key": "c", "number": "1"}, {"key": "d", "number": "1"}]
    with world.db.company(world.first) as session:
        session.add(customer("a"))
        session.add(customer("b", company_id=world.first))
        session.execute(insert(CustomerRow), rows)
        session.execute(insert(CustomerRow).values(key="e", number="1"))
        session.execute(insert(CustomerRow).values(key="f", number="1", company_id=world.first))
        session.execute(insert(CustomerRow), {"key": "g", "number": "1"})
        upsert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        session.execute(
            upsert(CustomerRow).on_conflict_do_update(index_elements=["company_id", "key"], set_={"number": "2"}),
            [{"key": "a", "number": "1"}, {"key": "i", "number": "1"}],
        )
    with world.db.company_reading(world.first) as session:
        found = {row.key: row.number for row in session.scalars(select(CustomerRow))}
    assert found == {"a": "2", **dict.fromkeys("bcdefgi", "1")}
    assert "company_id" not in rows[0]


FOREIGN: dict[str, Callable[[Session, int], object]] = {
    "new row": lambda session, other: session.add(customer("x", company_id=other)),
    "insert": lambda session, other: session.execute(
        insert(CustomerRow), [{"key": "x", "number": "1", "company_id": other}]
    ),
    "insert with values": lambda session, other: session.execute(
        insert(CustomerRow).values(key="x", number="1", company_id=other)
    ),
    "moved away": lambda session, other: session.execute(update(CustomerRow).values(company_id=other)),
    "moved away as a parameter": lambda session, other: session.execute(update(CustomerRow), {"company_id": other}),
    "changed in place": lambda session, other: setattr(session.scalars(select(CustomerRow)).one(), "company_id", other),
}


@pytest.mark.parametrize("way", FOREIGN)
def test_writing_for_another_company_is_refused(peopled: World, way: str) -> None:
    with pytest.raises(WrongCompany), peopled.db.company(peopled.first) as session:
        FOREIGN[way](session, peopled.second)
    with peopled.db.company_reading(peopled.second) as session:
        assert len(session.scalars(select(CustomerRow)).all()) == 2


def test_a_row_taken_along_from_another_company_cannot_be_changed_or_deleted(peopled: World) -> None:
    with peopled.db.company_reading(peopled.second) as session:
        foreign = session.scalars(select(CustomerRow).where(CustomerRow.name == "Bo")).one()

    def change(session: Session) -> None:
        session.add(foreign)
        foreign.name = "Mine"

    # By then the row has expired, and must be read before it can be judged.
    for write in (change, lambda session: session.delete(foreign)):
        with pytest.raises((WrongCompany, ObjectDeletedError)), peopled.db.company(peopled.first) as session:
            write(session)
    with peopled.db.company_reading(peopled.second) as session:
        assert {row.name for row in session.scalars(select(CustomerRow))} == {"Bo", "Cilla"}


UNGUARDED: dict[str, Callable[[Session], object]] = {
    "raw SQL": lambda session: session.execute(text("select * from customers")),
    "a scrap of SQL": lambda session: session.execute(select(CustomerRow).where(text("1=1"))),
    "raw SQL as rows": lambda session: session.execute(
        select(CustomerRow).from_statement(text("select * from customers"))
    ),
    "raw SQL with columns": lambda session: session.execute(text("select id from customers").columns(CustomerRow.id)),
    "a bare table": lambda session: session.execute(select(CustomerRow.__table__)),
    "a bare table below": lambda session: session.execute(
        select(Company.name).where(Company.id.in_(select(CustomerRow.__table__.c.company_id)))
    ),
    "a bare table beside": lambda session: session.execute(select(CallRow.id, CustomerRow.__table__.c.name)),
    "a bare insert": lambda session: session.execute(insert(CustomerRow.__table__), [{"key": "x", "number": "1"}]),
    "a bare update": lambda session: session.execute(update(CustomerRow.__table__).values(name="")),
    "a bare delete": lambda session: session.execute(delete(CustomerRow.__table__)),
    "update by keys": lambda session: session.execute(update(CustomerRow), [{"id": 1, "name": ""}]),
    "insert from select": lambda session: session.execute(
        insert(CustomerRow).from_select(["key", "number"], select(OTHER.key, OTHER.number))
    ),
    "insert of many values": lambda session: session.execute(
        insert(CustomerRow).values([{"key": "x", "number": "1"}, {"key": "y", "number": "1"}])
    ),
    "open insert from business data": lambda session: session.execute(
        insert(CompanyWork).from_select(["company_id"], select(CustomerRow.company_id))
    ),
    "bulk_save_objects": lambda session: session.bulk_save_objects([customer("x")]),
    "bulk_insert_mappings": lambda session: session.bulk_insert_mappings(CustomerRow, []),  # type: ignore[arg-type]
    "bulk_update_mappings": lambda session: session.bulk_update_mappings(CustomerRow, []),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("way", UNGUARDED)
def test_what_cannot_be_narrowed_is_refused(peopled: World, way: str) -> None:
    with pytest.raises(UnguardedStatement), peopled.db.company(peopled.first) as session:
        UNGUARDED[way](session)


def test_a_bare_table_is_refused_also_after_the_same_was_asked_of_its_mapped_class(peopled: World) -> None:
    with peopled.db.company_reading(peopled.first) as session:
        for _ in range(2):
            session.execute(select(MovementRow.ref).where(MovementRow.ref == "a")).all()
            with pytest.raises(UnguardedStatement):
                session.execute(select(MovementRow.__table__.c.ref).where(MovementRow.__table__.c.ref == "a"))


def test_business_data_cannot_be_written_without_a_company(world: World) -> None:
    for write in (
        lambda session: session.add(customer("x", company_id=world.first)),
        lambda session: session.execute(insert(CustomerRow), [{"key": "x", "number": "1", "company_id": 1}]),
        lambda session: session.execute(delete(CustomerRow)),
    ):
        with pytest.raises(NoCompanyEntered), world.db.open() as session:
            write(session)


def test_sessions_come_from_the_database_only(world: World) -> None:
    with pytest.raises(NoCompanyEntered), WalledSession(world.db.engine) as session:
        session.execute(select(Company))
    for wrong in (0, -1, True, None, "1"):
        with pytest.raises(NoCompanyEntered), world.db.company(wrong):  # type: ignore[arg-type]
            pass
    with world.db.open() as session, pytest.raises(NoCompanyEntered):
        company_of(session)


def test_references_stay_within_the_company(world: World) -> None:
    # A foreign key alone would let a row of the first company point at a connection of the second.
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"), world.db.company(world.first) as session:
        session.add(RunRow(connection_id=world.second_connection, trigger="person", started_at=AT))
    with world.db.company(world.first) as session:
        session.add(RunRow(connection_id=world.first_connection, trigger="person", started_at=AT))


def test_reading_sessions_only_read(world: World) -> None:
    with world.db.company(world.first) as session:
        session.add(customer("same"))

    def change(session: Session) -> None:
        session.scalars(select(CustomerRow)).one().name = "x"

    for write in (
        change,
        lambda session: session.add(customer("x")),
        lambda session: session.execute(update(CustomerRow).values(name="x")),
        lambda session: session.execute(insert(CustomerRow), [{"key": "x", "number": "1"}]),
        lambda session: session.execute(delete(Company)),
    ):
        with pytest.raises(ReadingOnly), world.db.company_reading(world.first) as session:
            write(session)
    for reading in (world.db.company_reading(world.first), world.db.open_reading()):
        # And if the first wall had a hole: the database itself refuses.
        with pytest.raises(DBAPIError, match=r"(?i)read.?only"), reading as session:
            session.connection().execute(text("update companies set name = 'x'"))
    with world.db.company(world.first) as session:
        session.scalars(select(CustomerRow)).one().name = "y"


def test_a_block_that_raises_leaves_nothing(world: World) -> None:
    def write_and_fail(session: Session) -> None:
        session.add(customer("x"))
        session.flush()
        raise KeyError("stop")

    with pytest.raises(KeyError), world.db.company(world.first) as session:
        write_and_fail(session)
    with world.db.company_reading(world.first) as session:
        assert session.scalars(select(CustomerRow)).all() == []


def test_rows_stay_readable_after_their_session(world: World) -> None:
    with world.db.company(world.first) as session:
        row = customer("x")
        session.add(row)
    assert (row.key, row.company_id) == ("x", world.first)


# --- The second wall, in the application's own role --------------------------------------------------------------


def entered(company_id: int) -> str:
    return f"select set_config('kvitt.company_id', '{company_id}', true)"


def insert_customer(company_id: int) -> str:
    return f"insert into customers (company_id, key, number, name, email) values ({company_id}, 'z', '1', '', '')"


def test_postgresql_hides_other_companies_from_raw_sql(postgres_world: World) -> None:
    world = postgres_world
    for company_id, name in ((world.first, "Anna"), (world.second, "Bo")):
        with world.db.company(company_id) as session:
            session.add(customer("same", name=name))
    with world.db.engine.connect() as connection:
        read = text("select name from customers")
        assert connection.scalars(read).all() == []
        connection.execute(text(entered(world.first)))
        assert connection.scalars(read).all() == ["Anna"]
        assert connection.execute(text("update customers set number = '9'")).rowcount == 1
        assert connection.execute(text(f"delete from customers where company_id = {world.second}")).rowcount == 0
        connection.rollback()
        # The transaction is over, and so is the company: nothing leaks to the connection's next user.
        assert connection.scalars(read).all() == []
        connection.rollback()
        for statement in (
            insert_customer(world.second),
            f"update customers set company_id = {world.second}",
        ):
            connection.execute(text(entered(world.first)))
            with pytest.raises(DBAPIError, match="row-level security"):
                connection.execute(text(statement))
            connection.rollback()
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(text(insert_customer(world.first)))


def test_the_owner_is_walled_in_too(postgres_world: World) -> None:
    with postgres_world.db.company(postgres_world.first) as session:
        session.add(customer("same"))
    owner = make_engine(postgres_world.db.owner_url)
    with owner.connect() as connection:
        assert connection.scalars(text("select id from customers")).all() == []
    owner.dispose()


def test_each_transaction_of_a_session_enters_the_company_anew(postgres_world: World) -> None:
    with postgres_world.db.company(postgres_world.first) as session:
        session.add(customer("a"))
        session.commit()
        session.add(customer("b"))
        with session.begin_nested():
            session.add(customer("c"))
        session.rollback()
        assert [row.key for row in session.scalars(select(CustomerRow))] == ["a"]
    with postgres_world.db.open() as session:
        asked = session.connection().execute(text("select current_setting('kvitt.company_id', true)"))
        assert not asked.scalar_one()


# --- Clock, instants, values -------------------------------------------------------------------------------------


def test_the_databases_clock_is_aware_and_fine(db: Database) -> None:
    with db.open_reading() as session:
        first = db.now(session)
        second = db.now(session)
    assert first.tzinfo is UTC
    assert first <= second
    assert abs(datetime.now(UTC) - first) < timedelta(seconds=30)
    with db.open_reading() as session:
        assert any(db.now(session).microsecond % 1000 for _ in range(20))


def test_instants_keep_their_moment_and_naive_ones_are_refused(world: World) -> None:
    elsewhere = datetime(2026, 3, 2, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    with world.db.company(world.first) as session:
        session.add(ActivityRow(at=elsewhere, who="Anna", what="test"))
    with world.db.company_reading(world.first) as session:
        found = session.scalars(select(ActivityRow)).one().at
        assert found == elsewhere
        assert found.utcoffset() == timedelta(0)
        assert session.scalars(select(ActivityRow).where(ActivityRow.at == elsewhere)).one()
    with pytest.raises(StatementError) as refused, world.db.company(world.first) as session:
        session.add(ActivityRow(at=elsewhere.replace(tzinfo=None), who="Anna", what="test"))
    assert isinstance(refused.value.orig, NaiveInstantRefused)


def test_strangers_words_are_cut_and_cleaned_while_the_record_keeps_them(world: World) -> None:
    name = "A\x00nna \ud800 " + "x" * 400
    with world.db.company(world.first) as session:
        session.add(
            MovementRow(
                connection_id=world.first_connection,
                ref="txn_1",
                kind="sale",
                amount_minor=2**62,
                net_minor=-(2**62),
                currency="SEK",
                occurred_at=AT,
                booking_date=AT.date(),
                buyer=name,
                value={},
                raw={"name": name, "amount": Decimal("12.50")},
                fetched_at=AT,
            )
        )
    with world.db.company_reading(world.first) as session:
        row = session.scalars(select(MovementRow)).one()
    assert row.buyer == ("Anna ? " + "x" * 400)[:320]
    assert row.raw == {"name": name, "amount": "12.50"}
    assert row.amount_minor == 2**62


def test_fractions_in_stored_json_are_never_floats(world: World) -> None:
    with world.db.company(world.first) as session:
        session.add(CompanySettings(values={"rate": 0.1}))
    with world.db.company_reading(world.first) as session:
        assert session.scalars(select(CompanySettings)).one().values == {"rate": Decimal("0.1")}


def test_sqlite_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="name a file"):
        Database("sqlite://")


def test_no_password_in_the_repr() -> None:
    db = Database("postgresql+psycopg://kvitt:hunter2@127.0.0.1/kvitt")
    assert "hunter2" not in repr(db)
    assert db.owner_url.endswith("/kvitt")


# --- Many at once ------------------------------------------------------------------------------------------------


def test_read_then_write_from_many_threads_loses_nothing(world: World) -> None:
    with world.db.company(world.first) as session:
        session.add(CompanySettings(values={"n": 0}))
    failures: list[BaseException] = []

    def count_up() -> None:
        try:
            for _ in range(15):
                with world.db.company(world.first) as session:
                    # On SQLite BEGIN IMMEDIATE makes them wait in turn; PostgreSQL needs the row's lock.
                    row = session.scalars(select(CompanySettings).with_for_update()).one()
                    row.values = {"n": row.values["n"] + 1}
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with world.db.company_reading(world.first) as session:
        assert session.scalars(select(CompanySettings)).one().values == {"n": 60}


def test_readers_do_not_wait_for_a_writer(world: World) -> None:
    with world.db.company(world.first) as writer:
        writer.add(customer("x"))
        writer.flush()
        with world.db.company_reading(world.first) as reader:
            assert reader.scalars(select(CustomerRow)).all() == []


def _in_child(db: Database, company_id: int, answers: Any) -> None:
    db.dispose_in_child()
    with db.company(company_id) as session:
        session.add(customer("from the child"))
    answers.put(os.getpid())


def test_a_forked_child_has_connections_of_its_own(world: World) -> None:
    with world.db.open_reading() as session:
        session.execute(select(literal_column("1")))
    forking = multiprocessing.get_context("fork")
    answers = forking.Queue()
    child = forking.Process(target=_in_child, args=(world.db, world.first, answers))
    child.start()
    child.join(90)
    assert child.exitcode == 0
    assert answers.get(timeout=60) == child.pid
    with world.db.company_reading(world.first) as session:
        assert session.scalars(select(CustomerRow)).one().key == "from the child"


def test_a_pooled_connection_that_died_is_replaced(postgres_world: World) -> None:
    db = postgres_world.db
    with db.open() as one, db.open() as another:
        assert one.scalars(select(Company.id)).all() == another.scalars(select(Company.id)).all()
    with db.engine.begin() as connection:
        others = "usename = current_user and pid <> pg_backend_pid()"
        ended = connection.scalars(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
        assert list(ended)
    with db.open() as one, db.open() as another:
        assert one.scalars(select(Company.id)).all() == another.scalars(select(Company.id)).all()


def test_a_failed_statement_tells_the_log_no_values(sqlite_db: Database) -> None:
    with pytest.raises(DBAPIError) as caught, sqlite_db.open() as session:
        session.add(ProviderAccount(provider="stripe", account_ref="acct_of_nobody", company_id=4711))
    assert "acct_of_nobody" not in str(caught.value) and "INSERT INTO" in str(caught.value)
