"""How the Riksbank's words become ours. Pure.

Its open API (SWEA) keeps a series for each currency, named `SEK` + code + `PMI`, in group 130, "currencies against
Swedish kronor". A value is what one unit of the currency costs in kronor, also for yen and won (0.06744).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final

from addon.connectors.published import fixing, known_currency, read_day, read_rate
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply

NAME: Final = "The Riksbank"
SOURCE: Final = "riksbank"
_SERIES: Final = re.compile(r"SEK([A-Z]{3})PMI")


def translate_observations(
    body: Any, currencies: Collection[str], first_day: date, last_day: date
) -> tuple[ExchangeRate, ...]:
    """The fixings in an answer of `Observations/ByGroup`. Series that are no currency's are passed over.

    Raises `BadReply` for what is no list of observations.
    """
    if not isinstance(body, list):
        raise BadReply(f"{NAME} gave no list of observations")
    found: dict[tuple[str, date], ExchangeRate] = {}
    for row in body:
        if not isinstance(row, Mapping):
            raise BadReply(f"{NAME} gave an observation that cannot be read")
        series = _SERIES.fullmatch(str(row.get("seriesId", "")))
        if series is None or not known_currency(series[1]) or (currencies and series[1] not in currencies):
            continue
        day, rate = read_day(row.get("date"), NAME), read_rate(row.get("value"), NAME)
        if rate is not None and first_day <= day <= last_day:
            found[(series[1], day)] = fixing(series[1], "SEK", rate, 1, day, SOURCE)
    return tuple(found[place] for place in sorted(found, key=lambda place: (place[1], place[0])))
