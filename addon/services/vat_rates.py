"""VAT rates by date: standard rates out of a package, reduced ones out of a dated file of ours, in one table.

Standard rates: duty27-eu-vat (data CC BY 4.0, Duty27). Reduced rates: `addon/data/vat_rates.toml`, a source in a row.
"""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final

import duty27_eu_vat

from addon.core.vat import STANDARD, RateWindow

STANDARD_SOURCE: Final = "duty27-eu-vat"
ATTRIBUTION: Final = duty27_eu_vat.ATTRIBUTION
"""The credit that the data's licence asks for; the settings page shows it."""
FILE: Final = "vat_rates.toml"


class WrongRates(ValueError):
    """The dated file of rates is not what it must be; the message names the row."""


@cache
def rate_table() -> tuple[RateWindow, ...]:
    """All rates that are known, standard and reduced, each with the days it is in force. Raises `WrongRates`."""
    return (*_standard(), *_reduced(files("addon.data").joinpath(FILE).read_text(encoding="utf-8")))


def categories() -> tuple[str, ...]:
    """The categories that a company's rule can name, without those that only say what is possible."""
    hidden = {STANDARD, "reduced", "reduced_2"}
    return tuple(sorted({window.category for window in rate_table()} - hidden))


def _standard() -> list[RateWindow]:
    windows = []
    for country in duty27_eu_vat.list_countries():
        history = duty27_eu_vat.get_rate_history(country.code)
        code = "GR" if country.code == "EL" else country.code
        for window, following in zip(history, [*history[1:], None], strict=True):
            last = following.effective_from - timedelta(days=1) if following is not None else None
            windows.append(RateWindow(code, STANDARD, window.rate, window.effective_from, last, STANDARD_SOURCE))
    return windows


def _reduced(text: str) -> list[RateWindow]:
    return [_row(number, row) for number, row in enumerate(tomllib.loads(text).get("rate", ()), start=1)]


def _row(number: int, row: dict[str, Any]) -> RateWindow:
    """One row of the file, read strictly: a rate that is misspelt must not pass for another."""
    known = {"country", "category", "percent", "first_day", "last_day", "source"}
    if set(row) - known or not known - {"last_day"} <= set(row):
        raise WrongRates(f"row {number}: has other fields than {', '.join(sorted(known))}")
    first, last = row["first_day"], row.get("last_day")
    if type(first) is not date or (last is not None and (type(last) is not date or last < first)):
        raise WrongRates(f"row {number}: its days are no days, or the wrong way round")
    percent = Decimal(row["percent"]) if isinstance(row["percent"], str) else None
    if percent is None or not 0 <= percent < 40 or not row["source"]:
        raise WrongRates(f"row {number}: has no rate written as text, or no source")
    return RateWindow(row["country"], row["category"], percent, first, last, row["source"])
