"""How Danmarks Nationalbank's table of rates becomes ours. Pure.

The bank publishes the whole history as table DNVALD of the Danish StatBank: currency (`VALUTA`), kind of rate
(`KURTYP`, of which `KBH` is kroner for a hundred units) and banking day (`Tid`, written 2026M03D02). The answer is
JSON-stat: one flat list of values over all dimensions, the last one running fastest, null where there was no rate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import prod
from typing import Any, Final

from addon.connectors.published import fixing, known_currency, read_rate
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply

NAME: Final = "Danmarks Nationalbank"
SOURCE: Final = "nationalbank"
TABLE: Final = "DNVALD"
KRONER_PER_HUNDRED: Final = "KBH"
_DAY: Final = re.compile(r"([0-9]{4})M([0-9]{2})D([0-9]{2})")
_MOST_CELLS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TableInfo:
    """Which codes the table may be asked for: a code that it does not have is refused, the whole question with it."""

    currencies: frozenset[str]
    days: tuple[str, ...]

    def days_between(self, first_day: date, last_day: date) -> tuple[str, ...]:
        """The banking days of a time, as the table writes them."""
        return tuple(code for code in self.days if (day := read_day_code(code)) and first_day <= day <= last_day)


def read_day_code(code: str) -> date | None:
    """A day as the table writes it; None for what is none."""
    found = _DAY.fullmatch(code)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def translate_table(body: Any) -> TableInfo:
    """The codes in an answer of `tableinfo`. Raises `BadReply`."""
    try:
        codes = {
            str(variable["id"]): tuple(str(value["id"]) for value in variable["values"])
            for variable in body["variables"]
        }
        return TableInfo(frozenset(filter(known_currency, codes["VALUTA"])), codes["Tid"])
    except (KeyError, TypeError) as error:
        raise BadReply(f"{NAME} gave no description of its table") from error


def question(currencies: Collection[str], days: Sequence[str]) -> dict[str, Any]:
    """What is asked of the table."""
    return {
        "table": TABLE,
        "format": "JSONSTAT",
        "lang": "en",
        "variables": [
            {"code": "VALUTA", "values": sorted(currencies)},
            {"code": "KURTYP", "values": [KRONER_PER_HUNDRED]},
            {"code": "Tid", "values": list(days)},
        ],
    }


def translate_data(body: Any) -> tuple[ExchangeRate, ...]:
    """The fixings in an answer of `data`, with their unit of a hundred. Raises `BadReply`."""
    try:
        dataset = body["dataset"]
        dimension, values = dataset["dimension"], dataset["value"]
        names, sizes = [str(name) for name in dimension["id"]], [int(size) for size in dimension["size"]]
        codes = {name: _codes(dimension[name]["category"]["index"]) for name in names}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReply(f"{NAME} gave no table of rates") from error
    fits = all(len(codes[name]) == size for name, size in zip(names, sizes, strict=True)) and "Tid" in codes
    if not isinstance(values, list) or not fits or not len(values) == prod(sizes) <= _MOST_CELLS:
        raise BadReply(f"{NAME} gave a table that is not whole")
    found: list[ExchangeRate] = []
    for position, value in enumerate(values):
        rate = read_rate(value, NAME)
        if rate is None:
            continue
        cell = _cell(position, names, sizes, codes)
        day = read_day_code(cell["Tid"])
        if day is not None and known_currency(cell.get("VALUTA")) and cell["VALUTA"] != "DKK":
            found.append(fixing(cell["VALUTA"], "DKK", rate, 100, day, SOURCE))
    return tuple(sorted(found, key=lambda one: (one.fixed_on, one.base)))


def _codes(index: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """A dimension's codes in their order; JSON-stat writes them as a list, or as numbers by code."""
    if isinstance(index, Mapping):
        return sorted(map(str, index), key=lambda code: int(index[code]))
    return [str(code) for code in index]


def _cell(
    position: int, names: Sequence[str], sizes: Sequence[int], codes: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Where in the table a value of the flat list stands."""
    cell: dict[str, str] = {}
    for name, size in zip(reversed(names), reversed(sizes), strict=True):
        position, place = divmod(position, size)
        cell[name] = codes[name][place]
    return cell
