"""Settings: read from text, saved whole or not at all, logged, and kept from spoiling a proof."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from sqlalchemy import select

from addon.core.books import OrderField
from addon.core.rules import FeeVat, LockedRule, Mode
from addon.sandbox.world import Business
from addon.services import settings
from addon.services.settings import SETTINGS, read_company, read_connection
from addon.store.models import ActivityRow, Company, CompanyWork, Connection, DocumentRow
from tests.services.conftest import add_shop
from tests.support.town import WHO, Town


@pytest.fixture
def company_id(kvitt: Town, shop: Business) -> int:
    return kvitt.install(shop)


@pytest.fixture
def connection_id(kvitt: Town, shop: Business, company_id: int) -> int:
    return kvitt.connect(company_id, shop)


def activity(kvitt: Town, company_id: int, what: str) -> list[dict[str, str]]:
    with kvitt.services.db.company_reading(company_id) as session:
        rows = session.scalars(select(ActivityRow).where(ActivityRow.what == what).order_by(ActivityRow.id))
        return [{**row.facts, "who": row.who} for row in rows]


def test_defaults_can_all_be_read(kvitt: Town, company_id: int) -> None:
    with kvitt.services.db.company_reading(company_id) as session:
        config = read_company(session)
    assert config.time_zone.key == "Europe/Stockholm"
    assert config.daily_at == time(5, 0)
    assert config.approve_automatically
    assert config.locked_rule is LockedRule.HOLD
    assert config.fee_vat is FeeVat.EU_REVERSE_CHARGE
    assert config.tolerance == Decimal("0.00")
    assert config.rounds_to_whole is None
    for setting in SETTINGS.values():
        setting.parse(setting.default)


def test_what_is_shown_can_be_given_back(kvitt: Town, company_id: int, connection_id: int) -> None:
    services = kvitt.services
    ours = ("fee_vat_confirmed_at", "fee_vat_confirmed_profile")
    own = {key: text for key, text in settings.values(services, company_id).items() if key not in ours}
    kvitt.choose(company_id, connection_id, mode="plus")
    of_connection = settings.values(services, company_id, connection_id)
    assert settings.change(services, company_id, WHO, own) == ()
    assert settings.change(services, company_id, WHO, of_connection, connection_id) == ()
    assert settings.values(services, company_id, connection_id) == of_connection


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("time_zone", "Mars/Olympus"),
        ("daily_at", "25:00"),
        ("approve", "perhaps"),
        ("default_vat_percent", "24"),
        ("tolerance", "1.01"),
        ("tolerance", "0.001"),
        ("tolerance", "NaN"),
        ("wait_days", "-1"),
        ("invoice_text", "two\nlines"),
        ("invoice_text", "x" * 201),
        ("accounts.fee", "65x0"),
        ("voucher_series", "v"),
        ("fee_vat_confirmed_at", "2026-01-01T00:00:00+00:00"),
        ("mode", "plus"),
        ("nonsense", "1"),
        ("accounts.customer_claims", "1510"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_saved(kvitt: Town, company_id: int, key: str, text: str) -> None:
    before = settings.values(kvitt.services, company_id)
    faults = settings.change(kvitt.services, company_id, WHO, {"wait_days": "3", key: text})
    assert [fault.key for fault in faults] == [key]
    assert str(faults[0]).startswith(f"{key}: ")
    assert settings.values(kvitt.services, company_id) == before
    assert activity(kvitt, company_id, "settings_changed") == []


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mode", "premium"),
        ("settlement_lines", "weekly"),
        ("mode", ""),
        ("start_date", "yesterday"),
        ("start_date", ""),
        ("order_places", ""),
        ("order_places", "metadata.<b>"),
        ("order_fields", "order_number,colour"),
        ("accounts.clearing:XXX", "1687"),
        ("accounts.fee", "6570"),
        ("wait_days", "3"),
    ],
)
def test_a_connections_settings_are_its_own(
    kvitt: Town, company_id: int, connection_id: int, key: str, text: str
) -> None:
    kvitt.choose(company_id, connection_id, mode="plus", start_date="2026-01-01")
    faults = settings.change(kvitt.services, company_id, WHO, {key: text}, connection_id)
    assert [fault.key for fault in faults] == [key]


def test_each_change_is_logged_with_old_and_new(kvitt: Town, company_id: int) -> None:
    assert settings.change(kvitt.services, company_id, "Ada", {"wait_days": "3", "approve": "automatic"}) == ()
    assert activity(kvitt, company_id, "settings_changed") == [
        {"setting": "wait_days", "old": "14", "new": "3", "who": "Ada"}
    ]


def test_fee_vat_is_confirmed_by_name_and_date(kvitt: Town, company_id: int) -> None:
    assert settings.change(kvitt.services, company_id, "Ada", {"fee_vat": "exempt"}) == ()
    with kvitt.services.db.company_reading(company_id) as session:
        config = read_company(session)
    assert (config.fee_vat, config.fee_vat_confirmed_by) == (FeeVat.EXEMPT, "Ada")
    assert config.fee_vat_confirmed_at is not None
    assert settings.change(kvitt.services, company_id, "Ada", {"fee_vat_confirmed_by": "Grace"}) == ()
    assert settings.values(kvitt.services, company_id)["fee_vat_confirmed_by"] == "Grace"


def test_time_and_zone_move_the_next_run(kvitt: Town, company_id: int, connection_id: int) -> None:
    kvitt.world.clock.set(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    services = kvitt.services
    with services.db.open_reading() as session:
        assert session.get_one(CompanyWork, company_id).next_run_at is None, "nothing runs before a mode is chosen"
    kvitt.choose(company_id, connection_id, mode="basic")
    assert settings.change(services, company_id, WHO, {"time_zone": "Europe/Helsinki", "daily_at": "06:30"}) == ()
    with services.db.open_reading() as session:
        company = session.get_one(Company, company_id)
        work = session.get_one(CompanyWork, company_id)
    assert (company.state, company.time_zone, company.daily_at) == ("active", "Europe/Helsinki", time(6, 30))
    assert work.next_run_at == datetime(2026, 11, 21, 4, 30, tzinfo=UTC)


def test_a_clearing_account_is_for_one_thing_only(kvitt: Town, company_id: int, connection_id: int) -> None:
    services = kvitt.services
    clash = {"accounts.clearing:SEK": "1686", "accounts.clearing:EUR": "1686"}
    assert settings.change(services, company_id, WHO, clash, connection_id)
    assert settings.change(services, company_id, WHO, {"accounts.clearing:EUR": "1688"}, connection_id) == ()
    assert settings.change(services, company_id, WHO, {"accounts.bank:EUR": "1688"}, connection_id)
    other_shop = kvitt.world.stripe.add_account("Second account")
    kvitt.world.stripe.connect(other_shop)
    second = Business("", add_shop(kvitt.world, "Other").fortnox, other_shop, add_shop(kvitt.world, "Third").shop)
    other_id = kvitt.connect(company_id, second)
    assert settings.change(services, company_id, WHO, {"accounts.clearing:USD": "1688"}, other_id)
    assert settings.change(services, company_id, WHO, {"accounts.clearing:USD": "6570"}, other_id) == ()


def test_the_start_date_stays_once_something_is_booked(kvitt: Town, company_id: int, connection_id: int) -> None:
    services = kvitt.services
    kvitt.choose(company_id, connection_id, mode="plus", start_date="2026-10-01")
    with services.db.company(company_id) as session:
        row = session.get_one(Connection, connection_id)
        row.fetched_until, row.opening = services.now(), {"SEK": 5}
    kvitt.choose(company_id, connection_id, start_date="2026-09-01")
    with services.db.company(company_id) as session:
        row = session.get_one(Connection, connection_id)
        assert (row.start_date, row.fetched_until, row.opening) == (date(2026, 9, 1), None, {})
        session.add(
            DocumentRow(
                connection_id=connection_id,
                key="stripe/ch_1/sale",
                kind="sale",
                booking_date=date(2026, 10, 2),
                total_minor=100,
                currency="SEK",
                rule="",
                payload={},
                fingerprint="",
                state="booked",
                planned_at=services.now(),
            )
        )
    faults = settings.change(services, company_id, WHO, {"start_date": "2026-08-01"}, connection_id)
    assert [fault.key for fault in faults] == ["start_date"]


def test_a_connection_is_read_with_its_types(kvitt: Town, company_id: int, connection_id: int) -> None:
    kvitt.choose(
        company_id, connection_id, mode="basic", order_fields="ocr, invoice_number,ocr", order_places="description"
    )
    with kvitt.services.db.company_reading(company_id) as session:
        config = read_connection(session.get_one(Connection, connection_id))
    assert config.mode is Mode.BASIC
    assert config.order_fields == (OrderField.OCR, OrderField.INVOICE_NUMBER)
    assert config.order_places == ("description",)


def test_another_companys_connection_is_not_there(kvitt: Town, company_id: int, connection_id: int) -> None:
    other = kvitt.install(add_shop(kvitt.world, "Another AB", "556000-0001"))
    with pytest.raises(settings.UnknownConnection):
        settings.values(kvitt.services, other, connection_id)
    with pytest.raises(settings.UnknownConnection):
        settings.change(kvitt.services, other, WHO, {"mode": "plus"}, connection_id)
