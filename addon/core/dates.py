"""The one place where an instant becomes a booking date, and where a locked period moves one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class NaiveInstant(ValueError):
    """An instant without a time zone was given where an aware one is needed."""


def aware(at: datetime) -> datetime:
    """Return an instant as aware UTC. Raises `NaiveInstant`."""
    if at.tzinfo is None:
        raise NaiveInstant(f"{at!r} has no time zone")
    return at.astimezone(UTC)


def booking_date(at: datetime, zone: ZoneInfo) -> date:
    """The day on which a company in this zone books what happened at an instant."""
    return aware(at).astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a company's day, as aware UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def next_daily_run(after: datetime, zone: ZoneInfo, at: time) -> datetime:
    """The next instant at which the company's clock shows `at`, later than `after`; aware UTC."""
    local = aware(after).astimezone(zone)
    candidate = datetime.combine(local.date(), at, tzinfo=zone)
    if candidate.astimezone(UTC) <= aware(after):
        candidate = datetime.combine(local.date() + timedelta(days=1), at, tzinfo=zone)
    return candidate.astimezone(UTC)


def kept_until(year_ended: date, country: str) -> date:
    """The last day on which the records of a financial year must be kept.

    Denmark: five years from its end (bogføringsloven § 12). Sweden: to the end of the seventh calendar year after
    the one in which it ended (bokföringslagen 7 kap. 2 §); taken for every other country too, being the longest
    that we know of.
    """
    if country == "DK":
        # From the month's end to the month's end: the day before the first of the month after.
        first_after = year_ended + timedelta(days=1)
        return first_after.replace(year=first_after.year + 5) - timedelta(days=1)
    return date(year_ended.year + 7, 12, 31)


@dataclass(frozen=True, slots=True)
class FinancialYear:
    """A financial year of the books: its number there, its first and last day, its accounting method."""

    ref: str
    first_day: date
    last_day: date
    accrual: bool

    def holds(self, day: date) -> bool:
        """Whether a day lies in this year."""
        return self.first_day <= day <= self.last_day
