"""What Kvitt stands on gives way: the database restarts, turns read-only or fills up, and workers are told to stop."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import psycopg
import pytest
import structlog
from sqlalchemy import event, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from addon.connectors.fortnox.accounting import FortnoxAccounting
from addon.log import configure_logging
from addon.services import gauges, health, runs
from addon.services.context import Services
from addon.store.models import CompanyWork, DeliveryRow
from tests.flow.house import Bed, House
from tests.flow.test_plus import on_both_databases
from tests.servers import PostgresServer
from tests.support.town import time_goes_by

CREATE_INVOICE = "POST /3/invoices$"
CREATE_PAYMENT = "POST /3/invoicepayments$"


def two_sales(bed: Bed) -> House:
    house = bed.house(balance_currencies=("sek",))
    house.refunds(house.sells("2026-03-02", 1_000_00), "2026-03-04", 300_00)
    house.sells("2026-03-03", 400_00)
    house.opens("plus")
    return house


@contextmanager
def writable_no_more(house: House) -> Iterator[Callable[[], None]]:
    """Gives what turns the database read-only; at the end of the block it is as it was."""
    db = house.town.services.db
    postgres = db.engine.dialect.name == "postgresql"

    turned: list[bool] = []

    def refuse(connection: object) -> None:
        if turned:
            connection.exec_driver_sql("PRAGMA query_only=ON")  # type: ignore[attr-defined]

    def as_owner(statement: str) -> None:
        address = db.owner_url.replace("+psycopg", "")
        options = "-c default_transaction_read_only=off"
        with psycopg.connect(address, autocommit=True, options=options) as connection:
            connection.execute(statement.format(name=connection.info.dbname).encode())
        db.close()

    def turn() -> None:
        if postgres:
            as_owner("alter database {name} set default_transaction_read_only = on")
        else:
            turned.append(True)

    if not postgres:
        # Before anything runs: one that is added while a transaction begins elsewhere would break it off half-way.
        event.listen(db.engine, "begin", refuse)
    yield turn
    if postgres:
        as_owner("alter database {name} reset default_transaction_read_only")
    else:
        event.remove(db.engine, "begin", refuse)


def problems(services: Services) -> tuple[str, ...]:
    return tuple(check.problem for check in health.checks(services) if check.problem)


@contextmanager
def without_room(house: House) -> Iterator[Callable[[], None]]:
    """Gives what lets PostgreSQL say of every row that is to be written what it says when its disk is full."""
    db = house.town.services.db

    def as_owner(*statements: str) -> None:
        with psycopg.connect(db.owner_url.replace("+psycopg", ""), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    tables = inspect(db.engine).get_table_names()

    def fill() -> None:
        as_owner(
            "create function no_room() returns trigger language plpgsql as $$ begin"
            " raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$",
            *(
                f"create trigger no_room before insert or update on {table} for each row execute function no_room()"
                for table in tables
            ),
        )

    yield fill
    as_owner("drop function no_room cascade")


@on_both_databases
def test_a_database_that_takes_no_writes_stops_everything_cleanly_and_it_goes_on_afterwards(bed: Bed) -> None:
    stops_and_goes_on(two_sales(bed), writable_no_more)


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_full_disk_of_postgresql_stops_everything_cleanly_and_it_goes_on_afterwards(bed: Bed) -> None:
    stops_and_goes_on(two_sales(bed), without_room)


def stops_and_goes_on(house: House, fails: Callable[[House], AbstractContextManager[Callable[[], None]]]) -> None:
    """The database fails right after Fortnox has made an invoice: nothing more is written, and later nothing twice."""
    services = house.town.services
    with fails(house) as turn:
        house.fault("call_after", CREATE_INVOICE, action=turn)
        with pytest.raises(SQLAlchemyError):
            house.runs()
        told = problems(services)
        assert told == ("the database takes no writes: its disk is full, or it is read-only",)
        house.world.fortnox.reset_calls()
        with pytest.raises(DBAPIError):
            house.runs()
        assert house.writes() == 0, "what cannot be noted is not begun"
    assert problems(services) == ()
    time_goes_by(house.town, house.company_id)
    house.runs()
    house.all_is_well()
    assert len(house.our_invoices()) == 3


def test_a_disk_that_fills_up_while_planning_leaves_nothing_half_done(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    for day in range(2, 14):
        house.sells(f"2026-03-{day:02}", 100_00 * day)
    house.opens("plus")
    db = house.town.services.db

    def limit(connection: object, _entry: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # type: ignore[attr-defined]

    event.listen(db.engine, "connect", limit)
    db.close()
    house.world.fortnox.reset_calls()
    with pytest.raises(DBAPIError, match="full"):
        house.runs()
    assert house.writes() == 0
    event.remove(db.engine, "connect", limit)
    db.close()
    time_goes_by(house.town, house.company_id)
    house.runs()
    house.all_is_well()


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_database_that_is_restarted_in_the_middle_of_a_run_is_met_again(
    bed: Bed, postgres_server: PostgresServer
) -> None:
    """Once so quickly that nobody notices, once for longer than anybody waits."""
    house = two_sales(bed)
    restarts: list[str] = []

    def quickly() -> None:
        restarts.append("quickly")
        postgres_server.stop()
        postgres_server.start()

    def for_long() -> None:
        restarts.append("for long")
        postgres_server.stop()

    house.town = house.town.with_services(in_flight=1)
    house.fault("call_after", CREATE_INVOICE, action=quickly)
    house.fault("call_after", CREATE_PAYMENT, action=for_long)
    try:
        with pytest.raises(SQLAlchemyError):
            house.runs()
        assert restarts == ["quickly", "for long"]
        assert problems(house.town.services) == ("the database does not answer",)
    finally:
        if postgres_server.child is None or postgres_server.child.poll() is not None:
            postgres_server.start()
    time_goes_by(house.town, house.company_id)
    house.runs()
    house.all_is_well()
    assert len(house.books.payments) == 3


@on_both_databases
def test_a_slice_that_is_told_to_stop_finishes_its_write_and_begins_no_other(bed: Bed) -> None:
    house = two_sales(bed)
    stop: list[bool] = []
    stoppable = replace(house.town.services, stopping=lambda: bool(stop), in_flight=1)
    house.fault("call_after", CREATE_INVOICE, action=lambda: stop.append(True))
    run_id = runs.want(stoppable, house.company_id, "click")
    for _ in range(60):  # a slice has two seconds here, in which a busy machine may not come so far
        result = runs.run_slice(stoppable, house.company_id)
        if stop:
            break
    assert (result.more, result.run_id, result.retry_in_s) == (True, run_id, 0.0)
    assert len(house.our_invoices()) == 1
    house.world.fortnox.reset_calls()
    runs.run_slice(stoppable, house.company_id)
    assert house.writes() == 0
    with house.rows() as session:
        assert not list(session.scalars(select(DeliveryRow.id).where(DeliveryRow.needs_lookup)))
        work = session.get_one(CompanyWork, house.company_id)
        assert work.lease_holder == ""
        assert work.gauges[gauges.SINCE], "what is left over is what should be booked"
    house.runs()
    house.all_is_well()
    with house.rows() as session:
        assert session.get_one(CompanyWork, house.company_id).gauges == {
            "held": {},
            "waiting": {},
            "unbooked_since": "",
        }


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(as_json=True, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_every_line_of_a_run_names_its_company_and_its_run_in_every_thread(
    bed: Bed, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = two_sales(bed)
    log.truncate(0)
    log.seek(0)
    perform = FortnoxAccounting.perform

    def broken(self: FortnoxAccounting, step: object, known: object) -> object:
        if step.kind == "create_invoice":  # type: ignore[attr-defined]
            raise KeyError("a fault of ours")
        return perform(self, step, known)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FortnoxAccounting, "perform", broken)
        run = house.runs()
    written = [json.loads(line) for line in log.getvalue().splitlines()]
    # A server of the simulated world, this test's or an earlier one's, may have something to say too.
    lines = [line for line in written if line["logger"] != "werkzeug"]
    assert len(lines) >= 2
    assert {(line.get("company_id"), line.get("run")) for line in lines} == {(house.company_id, run.id)}
    assert not structlog.contextvars.get_contextvars()
