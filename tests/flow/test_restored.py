"""The database goes back a day while the books do not; or it is a new one, for books that Kvitt has served before.

Read in the simulated Fortnox: nothing is there twice, and what was written in the lost time is found again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from addon.core.books import VoucherView
from addon.services import restored, runs
from addon.store.migrate import migrate
from addon.store.models import AccountingConnection, ActivityRow, CallRow, DeliveryRow
from tests.flow.house import Bed, House
from tests.flow.house import bed as bed_of
from tests.servers import PostgresServer
from tests.support.town import WHO


@pytest.fixture
def bed(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town in which a look-up may soon be made once more."""
    with bed_of(*database, quarantine_s=0.05) as made:
        yield made


def file_of(house: House) -> Path:
    return Path(house.town.services.db.engine.url.database or "")


def backed_up(house: House) -> bytes:
    """A copy of the database as it stands, taken while it is in use."""
    source = sqlite3.connect(file_of(house))
    copy = sqlite3.connect(":memory:")
    with source, copy:
        source.backup(copy)
        content = copy.serialize()
    source.close()
    copy.close()
    return content


def put_back(house: House, content: bytes) -> None:
    """Everything since the copy was taken is forgotten here, and only here."""
    house.town.services.db.engine.dispose()
    path = file_of(house)
    for other in (Path(f"{path}-wal"), Path(f"{path}-shm")):
        other.unlink(missing_ok=True)
    path.write_bytes(content)


def standing(house: House) -> tuple[int, ...]:
    """How much there is of everything in the books."""
    books = house.books
    return len(books.customers), len(books.invoices), len(books.payments), len(books.ledger)


def looks_first(house: House) -> bool:
    with house.rows() as session:
        return session.scalars(select(AccountingConnection)).one().lookups_first_until is not None


def a_day(house: House, mode: str) -> None:
    """What a company sells in a day, and gives back."""
    for n, amount in enumerate((300_00, 500_00, 500_00)):
        order = str(9000 + len(house.written) * 10 + n)
        if mode == "basic":
            house.invoices(order, amount // 100, "2026-03-20")
        charge = house.sells(f"2026-03-20 09:0{n}", amount, order=order, email="one@example.com", name="One")
        if n == 2 and mode != "basic":
            house.refunds(charge, "2026-03-20 09:30")
    house.written[f"day {len(house.written)}"] = mode


@pytest.mark.parametrize("mode", ["plus", "basic", "settlement"])
def test_a_database_that_is_put_back_a_day_doubles_nothing(bed: Bed, mode: str) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00, order="8000")
    if mode == "basic":
        house.invoices("8000", 1_000, "2026-03-02")
    house.opens(mode)
    house.runs()
    copy = backed_up(house)
    house.time("2026-03-21 11:00")
    a_day(house, mode)
    house.time("2026-03-25 11:00")
    house.runs()
    before, journal = standing(house), house.journal()
    put_back(house, copy)
    assert not looks_first(house), "nobody has said that there was a restore"
    house.runs()
    assert standing(house) == before
    assert house.journal() == journal
    assert looks_first(house), "it was seen in the books before anything was written"
    if mode == "basic":
        # An invoice that is paid is not paid again; whose payment it is, a person says.
        assert set(house.held()) == {"already_paid"}
        house.nothing_twice()
    else:
        assert not house.held()
        house.all_is_well()
    with house.rows() as session:
        assert session.scalars(select(ActivityRow).where(ActivityRow.what == "looks_first")).one()


@pytest.mark.parametrize(
    ("mode", "fault", "match"),
    [
        # Told to try later: nothing was written, so that the next attempt would not look.
        ("plus", "rate_limited", "POST /3/invoices$"),
        # One voucher is in doubt, and is looked for; the others would not be.
        ("settlement", "lost_after", "POST /3/vouchers$"),
    ],
)
def test_a_copy_of_the_middle_of_a_run_that_is_put_back_doubles_nothing(
    bed: Bed, mode: str, fault: str, match: str
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.sells("2026-03-09", 700_00)
    house.opens(mode)
    bad = house.fault(fault, match, times=None)
    assert runs.run_slice(house.town.services, house.company_id, "click").more
    copy = backed_up(house)
    bad.times = 0
    house.runs()
    before, journal = standing(house), house.journal()
    put_back(house, copy)
    house.runs()
    assert (standing(house), house.journal()) == (before, journal)
    assert looks_first(house)
    house.all_is_well()


def test_what_a_former_installation_wrote_is_not_taken_for_a_restore_for_ever(bed: Bed, sqlite_template: Path) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.opens("settlement")
    house.runs()
    put_back(house, sqlite_template.read_bytes())
    house.opens("settlement", "2026-03-15")
    for sold, settled in (("2026-03-19", "2026-03-30"), ("2026-04-09", "2026-04-20"), ("2026-04-29", "2026-05-11")):
        house.time(f"{sold} 10:00" if sold > "2026-03-20" else "2026-03-20 11:00")
        house.sells(f"{sold} 09:00", 300_00)
        house.time(f"{settled} 10:00")
        house.runs()
    with house.rows() as session:
        assert len(session.scalars(select(ActivityRow).where(ActivityRow.what == "looks_first")).all()) == 1
    house.nothing_twice()


@pytest.mark.parametrize("mode", ["plus", "settlement"])
def test_a_new_installation_for_books_that_were_served_before_doubles_nothing(
    bed: Bed, tmp_path: Path, sqlite_template: Path, mode: str
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.refunds(house.sells("2026-03-02", 1_000_00), "2026-03-05")
    house.sells("2026-03-03", 700_00)
    house.opens(mode)
    house.runs()
    before, journal = standing(house), house.journal()
    put_back(house, sqlite_template.read_bytes())
    house.opens(mode)
    house.runs()
    assert (standing(house), house.journal()) == (before, journal)
    assert not house.held()
    house.all_is_well()


def test_what_was_held_when_the_database_was_put_back_is_looked_for_weeks_later(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.opens("plus")
    house.runs()
    copy = backed_up(house)
    house.sells("2026-03-20 09:00", 800_00)
    house.runs()
    before = standing(house)
    put_back(house, copy)
    assert restored.declare(house.town.services, house.company_id, WHO) is not None
    house.books.lock_period(house.town.services.now().date())
    house.runs()
    assert set(house.held()) == {"period_locked"}
    house.time("2026-04-20 11:00")
    house.books.lock_period(None)
    house.checks()
    house.retries()
    house.runs()
    after = standing(house)
    assert after[:3] == before[:3], "the invoice of before the restore is the invoice"
    house.nothing_twice()
    with house.rows() as session:
        calls = session.scalars(select(CallRow.path).where(CallRow.method == "POST"))
        assert "/3/invoices" not in Counter(calls)


def test_a_sale_of_after_the_restore_is_written_without_looking(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.opens("plus")
    house.runs()
    restored.declare(house.town.services, house.company_id, WHO)
    house.time("2026-04-20 11:00")
    house.sells("2026-04-20 10:00", 800_00)
    house.runs()
    with house.rows() as session:
        assert set(session.scalars(select(DeliveryRow.look_first))) == {False}
    house.proves()


def test_an_ordinary_run_is_not_mistaken_for_one_after_a_restore(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.refunds(house.sells("2026-03-02", 1_000_00), "2026-03-05")
    house.refunds(house.sells("2026-03-03", 1_000_00), "2026-03-06", 400_00)
    house.opens("plus")
    house.fault("lost_after", "POST /3/invoices$")
    house.fault("lost_after", "POST /3/vouchers$")
    house.runs()
    for day in ("2026-03-21", "2026-03-22", "2026-03-23"):
        house.time(f"{day} 10:00")
        house.sells(f"{day} 09:00", 300_00)
        house.runs()
    assert not looks_first(house)
    house.proves()


@dataclass
class Shelf:
    """Books of which only the vouchers are asked for."""

    texts: tuple[str, ...]

    def fetch_vouchers(self, series: str, year_ref: str) -> Iterator[VoucherView]:
        for number, text in enumerate(self.texts, start=1):
            yield VoucherView(f"{series}/{number}/{year_ref}", date(2026, 3, 2), text)


def test_a_voucher_that_no_row_knows_is_seen_in_every_system_by_the_key_in_its_text(bed: Bed) -> None:
    house = bed.house("plus", balance_currencies=("sek",))

    def strange(*texts: str) -> str:
        shelf = Shelf(texts)
        year = "2026/2027"
        return restored._strange_voucher(house.town.services, house.company_id, shelf, ["stripe/"], "K", year)  # type: ignore[arg-type]

    assert strange("Fees 2 March (stripe/fees/2026-03-02)") == "K/1/2026/2027", "in brackets, at Fortnox"
    assert strange("Rent", "Fees 2 March stripe/fees/2026-03-02") == "K/2/2026/2027", "the last word, at e-conomic"
    assert strange("stripe/fees/2026-03-02") == "K/1/2026/2027"
    assert strange("Rent", "Stripe", "See https://stripe.com") == ""


@pytest.mark.postgres
def test_a_copy_of_a_postgresql_database_that_takes_its_place_doubles_nothing(
    new_postgres_database: Callable[..., tuple[str, str]], postgres_server: PostgresServer
) -> None:
    owner_url, app_url = new_postgres_database(migrate)
    with bed_of(app_url, owner_url) as first:
        house = first.house(balance_currencies=("sek",))
        house.sells("2026-03-02", 1_000_00)
        house.opens("plus")
        house.runs()
        house.town.services.db.engine.dispose()
        copy = postgres_server.copy_of(owner_url)
        house.refunds(house.sells("2026-03-20 09:00", 700_00), "2026-03-20 09:30")
        house.time("2026-03-25 11:00")
        house.runs()
        before = standing(house)
        with bed_of(copy.app_url, copy.owner_url, first.world) as second:
            again = House(second.town, house.business, house.company_id, written=house.written)
            again.runs()
            assert standing(again) == before
            assert looks_first(again)
            again.all_is_well()
