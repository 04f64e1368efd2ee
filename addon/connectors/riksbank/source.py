"""The Riksbank's fixings over its open API, without a key.

developer.api.riksbank.se: without a key five questions a minute and a thousand a day from one address; a question by
group covers a year at most. All currencies of some months are one question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Final

from addon.connectors.http import HttpClient, Unreadable
from addon.connectors.published import ask
from addon.connectors.riksbank.translate import NAME, translate_observations
from addon.core.fixings import RateChoice
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply
from addon.ports.rates import RateCapabilities

API_URL: Final = "https://api.riksbank.se"
CURRENCY_GROUP: Final = 130
LONGEST_SPAN: Final = timedelta(days=364)

CAPABILITIES: Final = RateCapabilities(RateChoice.RIKSBANK, "Sveriges Riksbank", late=timedelta(0))
"""Fixings come out on each banking day at a quarter past four."""

_NOTHING: Final = frozenset({404})
"""Days without any fixing, a weekend for one, are answered with 204 or 404."""


class RiksbankRates:
    """Implements `RateSource`."""

    def __init__(self, http: HttpClient, api_url: str = API_URL) -> None:
        self._http = http
        self._api_url = api_url

    @property
    def capabilities(self) -> RateCapabilities:
        """What it can do."""
        return CAPABILITIES

    def fetch_rates(self, currencies: Collection[str], first_day: date, last_day: date) -> tuple[ExchangeRate, ...]:
        """The fixings from a day through a day, a question for each year. Raises `TryLater`, `BadReply`."""
        found: list[ExchangeRate] = []
        for start, end in _spans(first_day, last_day):
            path = f"swea/v1/Observations/ByGroup/{CURRENCY_GROUP}/{start.isoformat()}/{end.isoformat()}"
            reply = ask(self._http, NAME, "GET", f"{self._api_url}/{path}", empty=_NOTHING)
            if reply is None or not reply.body.strip():
                continue
            try:
                body = reply.json()
            except Unreadable as error:
                raise BadReply(f"{NAME}: {error}") from error
            found += translate_observations(body, currencies, start, end)
        return tuple(found)


def _spans(first_day: date, last_day: date) -> Iterator[tuple[date, date]]:
    while first_day <= last_day:
        end = min(first_day + LONGEST_SPAN, last_day)
        yield first_day, end
        first_day = end + timedelta(days=1)
