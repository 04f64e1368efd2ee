"""The ECB's reference rates out of its public files: the last ninety days, or the whole history since 1999."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from typing import Final

from addon.connectors.ecb.translate import NAME, translate_cubes
from addon.connectors.http import HttpClient
from addon.connectors.published import ask
from addon.core.fixings import RateChoice
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply
from addon.ports.rates import RateCapabilities

SITE_URL: Final = "https://www.ecb.europa.eu"
NINETY_DAYS: Final = "stats/eurofxref/eurofxref-hist-90d.xml"
SINCE_1999: Final = "stats/eurofxref/eurofxref-hist.xml"
_SURELY_IN_NINETY: Final = timedelta(days=85)

CAPABILITIES: Final = RateCapabilities(RateChoice.ECB, "European Central Bank", late=timedelta(0))
"""Reference rates come out on each TARGET day at about four."""


def _now() -> datetime:
    return datetime.now(UTC)


class EcbRates:
    """Implements `RateSource`."""

    def __init__(self, http: HttpClient, site_url: str = SITE_URL, now: Callable[[], datetime] = _now) -> None:
        self._http = http
        self._site_url = site_url
        self._now = now

    @property
    def capabilities(self) -> RateCapabilities:
        """What it can do."""
        return CAPABILITIES

    def fetch_rates(self, currencies: Collection[str], first_day: date, last_day: date) -> tuple[ExchangeRate, ...]:
        """The fixings from a day through a day, in one call. Raises `TryLater`, `BadReply`."""
        recent = first_day >= self._now().date() - _SURELY_IN_NINETY
        reply = ask(self._http, NAME, "GET", f"{self._site_url}/{NINETY_DAYS if recent else SINCE_1999}")
        if reply is None:
            raise BadReply(f"{NAME} gave no file")
        return translate_cubes(reply.body, currencies, first_day, last_day)
