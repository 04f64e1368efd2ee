"""An instant becomes a booking date in the company's zone, in one function, over clock changes and year ends."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.dates import FinancialYear, NaiveInstant, aware, booking_date, next_daily_run, start_of_day
from addon.core.records import Itemisation, Movement, MovementKind, Payout, PayoutState
from tests.core.samples import STOCKHOLM, money

ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "Europe/Stockholm",
            "Europe/Copenhagen",
            "Atlantic/Azores",
            "America/Santiago",
            "Africa/Cairo",
            "Asia/Beirut",
            "Pacific/Auckland",
            "Pacific/Kiritimati",
            "America/Scoresbysund",
            "UTC",
        )
    ]
)
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2025-12-31T22:59:59+00:00", "2025-12-31"),
        ("2025-12-31T23:00:00+00:00", "2026-01-01"),
        ("2026-01-01T00:30:00+02:00", "2025-12-31"),
        ("2026-06-30T21:59:59+00:00", "2026-06-30"),
        ("2026-06-30T22:00:00+00:00", "2026-07-01"),
        # The clock goes forward on 29 March and back on 25 October 2026.
        ("2026-03-28T22:59:59+00:00", "2026-03-28"),
        ("2026-03-28T23:00:00+00:00", "2026-03-29"),
        ("2026-03-29T21:59:59+00:00", "2026-03-29"),
        ("2026-03-29T22:00:00+00:00", "2026-03-30"),
        ("2026-10-25T22:59:59+00:00", "2026-10-25"),
        ("2026-10-25T23:00:00+00:00", "2026-10-26"),
    ],
)
def test_booking_date_in_stockholm(instant: str, day: str) -> None:
    assert booking_date(datetime.fromisoformat(instant), STOCKHOLM) == date.fromisoformat(day)


@given(DAYS, ZONES)
def test_a_day_begins_with_its_first_instant(day: date, zone: ZoneInfo) -> None:
    start = start_of_day(day, zone)
    assert start.tzinfo is UTC
    assert booking_date(start, zone) == day
    assert booking_date(start - timedelta(microseconds=1), zone) == day - timedelta(days=1)


@given(DAYS, ZONES)
def test_each_instant_belongs_to_one_day(day: date, zone: ZoneInfo) -> None:
    """From one start to the next lies one day: 23, 24 or 25 hours (22 to 26 where a zone changes by more)."""
    start, end = start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone)
    assert timedelta(hours=22) <= end - start <= timedelta(hours=26)
    assert booking_date(start + (end - start) / 2, zone) == day


@given(INSTANTS, ZONES, st.times())
def test_the_next_daily_run_is_later_within_a_day_and_at_that_time(after: datetime, zone: ZoneInfo, at: time) -> None:
    following = next_daily_run(after, zone, at)
    assert following.tzinfo is UTC
    assert timedelta(0) < following - after <= timedelta(hours=26)
    shown = following.astimezone(zone)
    # In the hour that a clock change leaves out, the clock shows a later time.
    assert shown.time() == at or shown.astimezone(UTC).astimezone(zone).replace(tzinfo=None) > datetime.combine(
        shown.date(), at
    )


@given(INSTANTS, ZONES, st.times())
def test_running_at_each_next_time_runs_once_a_day(after: datetime, zone: ZoneInfo, at: time) -> None:
    first = next_daily_run(after, zone, at)
    second = next_daily_run(first, zone, at)
    assert booking_date(second, zone) == booking_date(first, zone) + timedelta(days=1)


def test_runs_at_two_thirty_on_the_day_without_two_thirty() -> None:
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    first = next_daily_run(after, STOCKHOLM, time(2, 30))
    assert first == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert next_daily_run(first, STOCKHOLM, time(2, 30)) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_runs_once_in_the_hour_that_comes_twice() -> None:
    first = next_daily_run(datetime(2026, 10, 24, 12, tzinfo=UTC), STOCKHOLM, time(2, 30))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_daily_run(first, STOCKHOLM, time(2, 30)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_naive_instants_are_refused_everywhere() -> None:
    naive = datetime(2026, 3, 2, 12)  # noqa: DTZ001
    for use in (
        lambda: aware(naive),
        lambda: booking_date(naive, STOCKHOLM),
        lambda: next_daily_run(naive, STOCKHOLM, time(5)),
        lambda: Movement("txn_1", MovementKind.SALE, money("1.00 SEK"), naive),
        lambda: Payout("po_1", money("1.00 SEK"), PayoutState.PAID, naive, None, Itemisation.NONE),
    ):
        with pytest.raises(NaiveInstant):
            use()


@pytest.mark.parametrize(
    ("day", "held"), [("2025-04-30", False), ("2025-05-01", True), ("2026-04-30", True), ("2026-05-01", False)]
)
def test_a_financial_year_holds_its_first_and_last_day(day: str, held: bool) -> None:
    broken = FinancialYear("7", date(2025, 5, 1), date(2026, 4, 30), accrual=True)
    assert broken.holds(date.fromisoformat(day)) is held
