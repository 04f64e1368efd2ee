"""Many rows at once: each as if it had come alone, on both kinds of database."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from addon.store.bulk import among, insert_rows
from addon.store.database import NoCompanyEntered
from addon.store.models import MovementRow, NaiveInstantRefused
from tests.store.conftest import World

AT = datetime(2026, 3, 2, 4, 5, 6, 789, tzinfo=UTC)


def movement(world: World, ref: str, **more: Any) -> dict[str, Any]:
    return {
        "connection_id": world.first_connection,
        "payout_ref": "",
        "ref": ref,
        "kind": "sale",
        "amount_minor": 2**40,
        "net_minor": -1,
        "currency": "SEK",
        "presented_minor": None,
        "presented_currency": "",
        "occurred_at": AT.astimezone(timezone(timedelta(hours=2))),
        "booking_date": date(2026, 3, 2),
        "source_ref": "",
        "original_ref": "",
        "order_number": "",
        "buyer": "",
        "value": {},
        "raw": {},
        "fetched_at": AT,
        **more,
    }


STRANGE = "ö'\"\\{},;--\n€ \U0001f600 \\u0000"


@pytest.mark.parametrize(
    "smuggled",
    ["", "a\x00b", chr(0xD800), f"x{chr(0xDC00)}", f"{chr(0xD800)}\U0001f600"],
    ids=["nothing", "nul", "first half", "second half", "a half and a whole"],
)
def test_rows_come_back_as_they_were_given(world: World, smuggled: str) -> None:
    raw = {"text": STRANGE, "smuggled": smuggled, "rate": "1.50", "none": None, "list": [1, {"deep": True}]}
    with world.db.company(world.first) as session:
        rows = [movement(world, f"txn_{number}", buyer=STRANGE, raw=raw) for number in range(250)]
        insert_rows(session, MovementRow, rows)
        insert_rows(session, MovementRow, [])
    with world.db.company_reading(world.first) as session:
        found = session.scalars(select(MovementRow).order_by(MovementRow.id)).all()
        assert [row.ref for row in found] == [f"txn_{number}" for number in range(250)]
        row = found[-1]
        assert (row.company_id, row.amount_minor, row.net_minor, row.presented_minor) == (world.first, 2**40, -1, None)
        assert (row.occurred_at, row.booking_date, row.fetched_at) == (AT, date(2026, 3, 2), AT)
        assert row.buyer == STRANGE
        assert row.raw == raw
    with world.db.company_reading(world.second) as session:
        assert not session.scalars(select(MovementRow)).all()


def test_words_of_strangers_are_clipped_and_references_never(world: World) -> None:
    with world.db.company(world.first) as session:
        insert_rows(session, MovementRow, [movement(world, "txn_1", buyer="x\x00y\ud800" + "z" * 400)])
        assert session.scalars(select(MovementRow.buyer)).one() == ("xy?" + "z" * 400)[:320]


def test_what_the_table_refuses_is_refused(world: World) -> None:
    with pytest.raises(IntegrityError), world.db.company(world.first) as session:
        insert_rows(session, MovementRow, [movement(world, "txn_1"), movement(world, "txn_1")])
    with pytest.raises(IntegrityError), world.db.company(world.first) as session:
        insert_rows(session, MovementRow, [movement(world, "txn_1", connection_id=world.second_connection)])
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - that is the point
    with (
        pytest.raises((NaiveInstantRefused, StatementError), match="stored aware"),
        world.db.company(world.first) as session,
    ):
        insert_rows(session, MovementRow, [movement(world, "txn_1", occurred_at=naive)])
    with pytest.raises(NoCompanyEntered), world.db.open() as session:
        insert_rows(session, MovementRow, [movement(world, "txn_1")])


@pytest.mark.postgres
def test_a_reference_too_long_is_refused_by_postgresql(postgres_world: World) -> None:
    with pytest.raises(DataError), postgres_world.db.company(postgres_world.first) as session:
        insert_rows(session, MovementRow, [movement(postgres_world, "t" * 121)])


def test_rows_are_found_by_many_values_and_only_the_companys_own(world: World) -> None:
    with world.db.company(world.first) as session:
        insert_rows(
            session, MovementRow, [movement(world, "txn_1"), movement(world, "txn_2"), movement(world, "txn_3")]
        )
        wanted = select(MovementRow.ref).where(among(session, MovementRow.ref, {"txn_1", "txn_3", "it's"}))
        assert sorted(session.scalars(wanted)) == ["txn_1", "txn_3"]
        assert not session.scalars(select(MovementRow.ref).where(among(session, MovementRow.ref, []))).all()
    with world.db.company(world.second) as session:
        assert not session.scalars(select(MovementRow.ref).where(among(session, MovementRow.ref, ["txn_1"]))).all()
