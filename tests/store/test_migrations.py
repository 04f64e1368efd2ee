"""The migrations build what the models describe, and the walls that models cannot describe."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.migration import MigrationContext
from sqlalchemy import Table, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper

from addon.bootstrap import require_wall
from addon.config import ConfigurationError
from addon.core.documents import Document
from addon.store.codec import decode
from addon.store.database import Database, make_engine
from addon.store.migrate import alembic_config, migrate, role_is_walled, schema_is_current, wall_is_missing
from addon.store.models import (
    OPEN_TABLES,
    ActivityRow,
    Base,
    DeliveryRow,
    DocumentRow,
    Erasure,
    MovementRow,
    OfCompany,
    PartRow,
)
from tests.store.conftest import AT, World, furnish, voucher


def business_tables() -> set[str]:
    return set(Base.metadata.tables) - OPEN_TABLES


def test_migrations_build_the_schema_that_the_models_describe(db: Database) -> None:
    engine = make_engine(db.owner_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()
    assert schema_is_current(db)
    assert role_is_walled(db)


def test_checks_and_partial_indexes_are_those_of_the_models(db: Database) -> None:
    # compare_metadata looks at neither.
    described = inspect(db.engine)
    assert [check["name"] for check in described.get_check_constraints("parts")] == ["ck_parts_booked_by_a_document"]
    part = PartRow(connection_id=1, movement_id=1, name="a", kind="a", amount_minor=1, currency="SEK", changed_at=AT)
    part.state = "booked"
    with pytest.raises(DBAPIError, match="booked_by_a_document"), db.company(1) as session:
        session.add(part)
    partial = {
        index["name"]: str(index["dialect_options"][f"{db.engine.dialect.name}_where"])
        for index in described.get_indexes("deliveries")
        if index["unique"] and (index["name"] or "").startswith("uq_deliveries_sending")
    }
    assert "sending" in partial["uq_deliveries_sending_alone"]
    assert "sending" in partial["uq_deliveries_sending_document"]


def test_an_empty_database_is_not_current_and_migrating_twice_is_harmless(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    db = Database(url)
    assert not schema_is_current(db)
    migrate(url)
    migrate(url)
    assert schema_is_current(db)
    db.close()


@pytest.mark.postgres
def test_an_empty_postgresql_is_not_current(postgres_url: tuple[str, str]) -> None:
    db = Database(postgres_url[1])
    assert not schema_is_current(db)
    db.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_first_migration_can_be_taken_back(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        db = Database(f"sqlite:///{tmp_path}/own.db")
    else:
        owner_url, app_url = request.getfixturevalue("new_postgres_database")()
        db = Database(app_url, owner_url)
    migrate(db.owner_url)
    engine = make_engine(db.owner_url, foreign_keys=False)
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    engine.dispose()
    migrate(db.owner_url)
    assert schema_is_current(db)
    db.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_rows_of_the_former_schema_come_along(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        db = Database(f"sqlite:///{tmp_path}/own.db")
    else:
        db = Database(*reversed(request.getfixturevalue("new_postgres_database")()))
    migrate(db.owner_url)
    world = furnish(db)
    (delivery_id,) = world.plan(voucher("payout/po_1"))
    with db.company(world.first) as session:
        movement = MovementRow(
            connection_id=world.first_connection,
            ref="txn_1",
            kind="sale",
            occurred_at=AT,
            booking_date=AT.date(),
            amount_minor=12_50,
            net_minor=12_50,
            currency="SEK",
            value={},
            raw={},
            fetched_at=AT,
        )
        session.add(movement)
        session.flush()
        part = PartRow(
            connection_id=world.first_connection,
            movement_id=movement.id,
            name="amount",
            kind="amount",
            amount_minor=12_50,
            currency="SEK",
            changed_at=AT,
        )
        session.add(part)
    engine = make_engine(db.owner_url, foreign_keys=False)
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        downgrade(config, "0002")
    engine.dispose()
    migrate(db.owner_url)
    with db.company_reading(world.first) as session:
        part = session.scalars(select(PartRow)).one()
        assert (part.service, part.decision, part.match_choice) == ("payment", "", {})
        row = session.scalars(select(DocumentRow)).one()
        assert (row.undone_by, row.other_clearing_account, row.other_clearing_minor) == (None, "", 0)
        assert decode(Document, row.payload) == voucher("payout/po_1")
        assert session.get_one(DeliveryRow, delivery_id).kind == "post_voucher"
    db.close()


def test_a_failing_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/half.db")
    with engine.begin() as connection:
        connection.execute(text("create table webhook_events (id integer)"))
    with pytest.raises(DBAPIError, match="already exists"):
        migrate(f"sqlite:///{tmp_path}/half.db")
    assert inspect(engine).get_table_names() == ["webhook_events"]
    engine.dispose()


def test_every_table_is_open_or_of_a_company() -> None:
    for mapper in Base.registry.mappers:
        assert isinstance(mapper, Mapper)
        assert isinstance(mapper.local_table, Table)
        is_business = mapper.local_table.name not in OPEN_TABLES
        assert issubclass(mapper.class_, OfCompany) == is_business, mapper.local_table.name
    assert set(Base.metadata.tables) >= OPEN_TABLES


def test_every_business_table_is_indexed_by_company() -> None:
    for name in business_tables():
        table = Base.metadata.tables[name]
        leading = [next(iter(index.columns)).name for index in table.indexes]
        leading += [next(iter(c.columns)).name for c in table.constraints if type(c).__name__ == "UniqueConstraint"]
        assert "company_id" in leading, name


def test_every_reference_between_business_tables_carries_the_company() -> None:
    for name in business_tables():
        for reference in Base.metadata.tables[name].foreign_key_constraints:
            if reference.referred_table.name in business_tables():
                assert "company_id" in reference.column_keys, f"{name} → {reference.referred_table.name}"


def test_every_business_table_has_its_policy_and_the_owner_obeys_it(postgres_db: Database) -> None:
    with postgres_db.engine.connect() as connection:
        walled = {
            name
            for name, enabled, forced in connection.execute(
                text("select relname, relrowsecurity, relforcerowsecurity from pg_class where relkind = 'r'")
            )
            if enabled and forced
        }
        policies = {
            table: (reads, writes)
            for table, reads, writes in connection.execute(
                text("select tablename, qual, with_check from pg_policies where cmd = 'ALL'")
            )
        }
    assert walled == business_tables()
    assert set(policies) == business_tables()
    for reads, writes in policies.values():
        assert "current_setting('kvitt.company_id'" in reads
        assert reads == writes


def test_the_application_owns_nothing_and_cannot_touch_the_schema(postgres_db: Database) -> None:
    with postgres_db.engine.connect() as connection:
        owners = set(connection.scalars(text("select distinct tableowner from pg_tables where schemaname = 'public'")))
    assert owners == {"kvitt_owner"}
    for statement in (
        "alter table movements disable row level security",
        "drop policy own_company on movements",
        "create table more (id integer)",
        "delete from alembic_version",
        "truncate movements",
        "delete from activity",
        "set role kvitt_owner",
    ):
        with pytest.raises(DBAPIError), postgres_db.engine.begin() as connection:
            connection.execute(text(statement))


def test_activity_is_only_ever_added_to(world: World) -> None:
    with world.db.company(world.first) as session:
        session.add(ActivityRow(at=AT, who="Anna", what="settings"))
    engine = make_engine(world.db.owner_url)
    statements = ["update activity set who = 'nobody'", "delete from activity"]
    if engine.dialect.name == "sqlite":
        # REPLACE takes a row away without asking the trigger on DELETE.
        statements.append(
            "insert or replace into activity (id, company_id, at, who, what, facts) "
            "select id, company_id, at, 'nobody', what, facts from activity"
        )
    enter = "select 1"
    if engine.dialect.name == "postgresql":
        # As the tables' owner, who has the right to: the trigger stops even that.
        statements.append("truncate activity")
        enter = f"select set_config('kvitt.company_id', '{world.first}', true)"
    for statement in statements:
        with engine.connect() as connection:
            connection.execute(text(enter))
            with pytest.raises(DBAPIError, match="only ever added"):
                connection.execute(text(statement))
    engine.dispose()
    with pytest.raises(DBAPIError), world.db.company(world.first) as session:
        session.scalars(select(ActivityRow)).one().who = "nobody"


def test_the_record_of_an_erasure_stays_as_it_was_written(world: World) -> None:
    engine = make_engine(world.db.owner_url)
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        connection.execute(
            insert(Erasure).values(
                company_id=1, accounting="fortnox", tenant_hash="x", erased_at=AT, who="Ada", reason="", rows={}
            )
        )
    statements = ["update erasures set who = 'nobody'", "delete from erasures"]
    statements.append("truncate erasures" if postgres else "replace into erasures select * from erasures")
    for statement in statements:
        with engine.connect() as connection, pytest.raises(DBAPIError, match="only ever added"):
            connection.execute(text(statement))
    engine.dispose()
    if postgres:
        # The application reads it, and writes none: erasing is the owner's.
        with pytest.raises(DBAPIError, match="permission denied"), world.db.open() as session:
            session.execute(
                insert(Erasure),
                [
                    {
                        "company_id": 1,
                        "accounting": "fortnox",
                        "tenant_hash": "y",
                        "erased_at": AT,
                        "who": "",
                        "reason": "",
                        "rows": {},
                    }
                ],
            )


@pytest.mark.postgres
def test_a_superuser_is_noticed(postgres_db: Database) -> None:
    superuser = Database(postgres_db.owner_url.replace("kvitt_owner@", "postgres@"))
    assert not role_is_walled(superuser)
    assert wall_is_missing(superuser)
    assert not wall_is_missing(postgres_db)
    with pytest.raises(ConfigurationError, match="row-level security"):
        require_wall(superuser)
    superuser.close()


@pytest.mark.postgres
def test_rights_go_to_the_role_that_is_named(new_postgres_database: Callable[..., tuple[str, str]]) -> None:
    owner_url, app_url = new_postgres_database()
    migrate(owner_url, app_role="role_that_is_not_there")
    db = Database(app_url)
    with pytest.raises(DBAPIError, match="permission denied"), db.open() as session:
        session.connection().execute(text("create table mine (id integer)"))
    migrate(owner_url, app_role="kvitt_app")
    assert schema_is_current(db)
    db.close()
