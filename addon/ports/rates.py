"""What we ask of a bank that publishes exchange rates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from addon.core.fixings import RateChoice
from addon.core.money import ExchangeRate


@dataclass(frozen=True, slots=True)
class RateCapabilities:
    """What a source of rates can do.

    A day's fixing is out, if the day has one, when `late` has gone by after the day's end (UTC).
    """

    choice: RateChoice
    name: str
    late: timedelta


class RateSource(Protocol):
    """A bank's published fixings, as it publishes them: its own way round, with its own unit."""

    @property
    def capabilities(self) -> RateCapabilities:
        """What it can do."""
        ...

    def fetch_rates(self, currencies: Collection[str], first_day: date, last_day: date) -> tuple[ExchangeRate, ...]:
        """The fixings of some currencies (none named: all) from a day through a day; days without one are left out.

        At most a few calls, whatever the days. Raises `TryLater` and `BadReply`.
        """
        ...
