"""How the ECB's reference rates become ours. Pure.

The files have a `Cube` for each day with a `Cube` for each currency: how much of it one euro buys. XML is read by
defusedxml, which refuses entities and document types: a file that grows when it is read stays small.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Final

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from addon.connectors.published import fixing, known_currency, read_day, read_rate
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply

NAME: Final = "The ECB"
SOURCE: Final = "ecb"
_CUBE: Final = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"


def translate_cubes(
    body: bytes, currencies: Collection[str], first_day: date, last_day: date
) -> tuple[ExchangeRate, ...]:
    """The fixings in a file, one euro in each currency. Raises `BadReply` for what is no such file."""
    try:
        tree = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise BadReply(f"{NAME} gave a file that cannot be read") from error
    whole = tree.find(_CUBE)
    if whole is None:
        raise BadReply(f"{NAME} gave a file without rates")
    found: list[ExchangeRate] = []
    for cube in whole.iterfind(_CUBE):
        day = read_day(cube.get("time"), NAME)
        if not first_day <= day <= last_day:
            continue
        for row in cube.iterfind(_CUBE):
            currency, rate = row.get("currency", ""), read_rate(row.get("rate"), NAME)
            if rate is not None and known_currency(currency) and (not currencies or currency in currencies):
                found.append(fixing("EUR", currency, rate, 1, day, SOURCE))
    return tuple(sorted(found, key=lambda one: (one.fixed_on, one.quote)))
