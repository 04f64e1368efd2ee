"""A company leaves: its browsers are signed out, its keys change, and one day everything of it is erased."""

from datetime import date

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import DatabaseError

from addon.config import SANDBOX_VALUES
from addon.core.dates import kept_until
from addon.services import erasure, installation, keys
from addon.store.database import make_engine
from addon.store.models import ActivityRow, Base, Company, Connection, Erasure, MovementRow, OfCompany
from addon.store.secrets import SealedBox
from tests.flow.house import Bed, House
from tests.flow.test_plus import on_both_databases


def _leave(house: House) -> None:
    installation.uninstall(house.town.services, house.company_id, "Ada")


def _rows(house: House) -> dict[str, int]:
    """How many rows of the company each table has, read past every wall of ours."""
    engine = make_engine(house.town.services.db.owner_url)
    found: dict[str, int] = {}
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select set_config('kvitt.company_id', :c, true)"), {"c": str(house.company_id)})
        for table in Base.metadata.sorted_tables:
            if "company_id" in table.c and table.name != "erasures":
                mine = select(func.count()).select_from(table).where(table.c.company_id == house.company_id)
                if number := connection.scalar(mine):
                    found[table.name] = number
    engine.dispose()
    return found


def test_denmark_keeps_five_years_from_the_years_end_and_sweden_seven_calendar_years() -> None:
    assert kept_until(date(2026, 12, 31), "DK") == date(2031, 12, 31)
    assert kept_until(date(2026, 6, 30), "DK") == date(2031, 6, 30)
    assert kept_until(date(2024, 2, 29), "DK") == date(2029, 2, 28)
    assert kept_until(date(2026, 6, 30), "SE") == date(2033, 12, 31)
    assert kept_until(date(2026, 12, 31), "NO") == date(2033, 12, 31)


@on_both_databases
def test_a_company_that_has_left_is_erased_and_only_that_it_was_stays(bed: Bed) -> None:
    leaving, staying = bed.house(), bed.house()
    for house in (leaving, staying):
        house.sells("2026-03-02", 1_250_00)
        house.opens()
        house.runs()
    before, kept = _rows(leaving), _rows(staying)
    assert {"movements", "parts", "documents", "deliveries", "activity", "calls"} <= before.keys()
    _leave(leaving)

    with pytest.raises(erasure.NotYet, match="until 2033-12-31"):
        erasure.erase(leaving.town.services, leaving.company_id, "Ada")
    done = erasure.erase(leaving.town.services, leaving.company_id, "Ada", "Revisor Berg AB")

    assert _rows(leaving) == {}
    assert _rows(staying) == kept
    with leaving.town.services.db.open_reading() as session:
        assert session.get(Company, leaving.company_id) is None
        (record,) = session.scalars(select(Erasure)).all()
    assert (record.company_id, record.who) == (leaving.company_id, "Ada")
    assert record.reason == "handed over to Revisor Berg AB"
    assert record.rows == done.rows
    assert done.rows["movements"] == before["movements"]
    assert leaving.books.name not in str(record.__dict__)


def test_leaving_gives_every_access_back_and_keeps_the_records(plus: House) -> None:
    plus.sells("2026-03-02", 1_250_00)
    plus.opens()
    plus.runs()
    services, kept = plus.town.services, _rows(plus)
    assert plus.stripe.id in plus.world.stripe.connections
    _leave(plus)
    assert plus.stripe.id not in plus.world.stripe.connections, "Stripe was told"
    with plus.rows() as session:
        (row,) = session.scalars(select(Connection)).all()
        assert row.state == "disconnected"
        assert services.box.open_grant(row.grant_sealed).access_token == ""
        told = {line.what: line.facts for line in session.scalars(select(ActivityRow))}
    assert told["disconnected"]["provider_told"] == told["uninstalled"]["system_told"] == "yes"
    left = _rows(plus)
    assert {name: left[name] for name in ("movements", "documents", "deliveries", "parts")} == {
        name: kept[name] for name in ("movements", "documents", "deliveries", "parts")
    }
    plus.time("2026-03-22 10:00")
    plus.sells("2026-03-21", 77_00)
    plus.opens()
    plus.runs()
    assert plus.kinds()["sale"] == 2, "back again: the same connection goes on, and nothing is booked twice"
    plus.all_is_well()


@on_both_databases
def test_the_log_still_refuses_to_lose_rows_after_an_erasure(bed: Bed) -> None:
    leaving, staying = bed.house(), bed.house()
    for house in (leaving, staying):
        house.opens()
    _leave(leaving)
    erasure.erase(leaving.town.services, leaving.company_id, "Ada")  # nothing was booked: nothing must be kept
    with pytest.raises(DatabaseError), staying.town.services.db.company(staying.company_id) as session:
        session.execute(delete(ActivityRow))


def test_a_company_that_still_uses_kvitt_cannot_be_erased(plus: House) -> None:
    plus.opens()
    with pytest.raises(erasure.NotYet, match="still uses Kvitt"):
        erasure.erase(plus.town.services, plus.company_id, "Ada", "Revisor Berg AB")


@on_both_databases
def test_after_a_rotation_the_old_key_is_not_needed(bed: Bed) -> None:
    house = bed.house()
    house.sells("2026-03-02", 100_00)
    house.opens()
    new = Fernet.generate_key().decode()
    both = bed.town.with_services(box=SealedBox([new, SANDBOX_VALUES["TOKEN_KEYS"]]))
    done = keys.rotate_keys(both.services)
    assert (done.sealed, done.unreadable) == (2, ())
    alone = bed.town.with_services(box=SealedBox([new]))
    with alone.services.db.company_reading(house.company_id) as session:
        for sealed in session.scalars(select(Connection.grant_sealed)):
            alone.services.box.open_grant(sealed)
    alone.run(house.company_id)
    with alone.services.db.company_reading(house.company_id) as session:
        assert session.scalar(select(func.count(MovementRow.id)))


def test_a_secret_that_no_key_opens_is_named_and_left_as_it_is(plus: House) -> None:
    plus.opens()
    stranger = plus.town.with_services(box=SealedBox([Fernet.generate_key().decode()]))
    done = keys.rotate_keys(stranger.services)
    assert done.sealed == 0
    assert len(done.unreadable) == 2
    plus.runs()


def test_signing_out_everywhere_ends_all_browsers_of_this_company_only(bed: Bed) -> None:
    mine, other = bed.house(), bed.house()
    for house in (mine, other):
        house.opens()
    services = bed.town.services
    tokens = [installation.sign_in(services, mine.company_id, name) for name in ("Ada", "Bo")]
    theirs = installation.sign_in(services, other.company_id, "Eva")
    assert installation.sign_out_everywhere(services, mine.company_id, "Ada") >= 2
    assert [installation.session_company(services, token) for token in tokens] == [None, None]
    assert installation.session_company(services, theirs) is not None


def test_every_table_of_a_company_is_erased() -> None:
    from addon.store.erasure import _company_tables

    business = {m.local_table.name for m in Base.registry.mappers if issubclass(m.class_, OfCompany)}
    assert business <= {table.name for table in _company_tables()}
