"""Danmarks Nationalbank's fixings out of the StatBank's open API: what days there are, then their rates.

api.statbank.dk: the bank's own site shows the latest day only, the table has every banking day since 1977. It is
brought up to date on the morning of the next banking day, so a fixing of Friday is there on Monday.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any, Final

from addon.connectors.http import HttpClient, Unreadable
from addon.connectors.nationalbank.translate import NAME, TABLE, question, translate_data, translate_table
from addon.connectors.published import ask
from addon.core.fixings import RateChoice
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply
from addon.ports.rates import RateCapabilities

API_URL: Final = "https://api.statbank.dk"
MOST_CELLS: Final = 50_000
"""How much is asked for at a time: all currencies of three years and a half."""

CAPABILITIES: Final = RateCapabilities(RateChoice.NATIONALBANK, "Danmarks Nationalbank", late=timedelta(days=5))
"""Five days: Easter has four without a banking day, and the morning after the table is brought up to date."""


class NationalbankRates:
    """Implements `RateSource`."""

    def __init__(self, http: HttpClient, api_url: str = API_URL) -> None:
        self._http = http
        self._api_url = api_url

    @property
    def capabilities(self) -> RateCapabilities:
        """What it can do."""
        return CAPABILITIES

    def fetch_rates(self, currencies: Collection[str], first_day: date, last_day: date) -> tuple[ExchangeRate, ...]:
        """The fixings from a day through a day, in two calls unless it is years. Raises `TryLater`, `BadReply`."""
        table = translate_table(self._json("GET", f"v1/tableinfo/{TABLE}", params={"lang": "en"}))
        days = table.days_between(first_day, last_day)
        wanted = (table.currencies & set(currencies)) if currencies else table.currencies
        if not days or not wanted:
            return ()
        size = max(1, MOST_CELLS // len(wanted))
        found: list[ExchangeRate] = []
        for start in range(0, len(days), size):
            found += translate_data(self._json("POST", "v1/data", json=question(wanted, days[start : start + size])))
        return tuple(found)

    def _json(self, method: str, path: str, **content: Any) -> Any:
        reply = ask(self._http, NAME, method, f"{self._api_url}/{path}", **content)
        if reply is None:
            raise BadReply(f"{NAME} gave no answer")
        try:
            return reply.json()
        except Unreadable as error:
            raise BadReply(f"{NAME}: {error}") from error
