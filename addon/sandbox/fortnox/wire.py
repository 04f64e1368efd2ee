"""JSON as the simulated Fortnox writes and reads it: exact decimals, escaped slashes, never a float."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from json.encoder import encode_basestring_ascii
from typing import Any

CENT = Decimal("0.01")
ZERO = Decimal(0)


def cents(amount: Decimal) -> Decimal:
    """Round half away from zero to two decimals, as Fortnox rounds prices and quantities (1.125 gives 1.13)."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def whole(amount: Decimal) -> Decimal:
    """Round half away from zero to whole units (öresavrundning)."""
    return amount.quantize(Decimal(1), rounding=ROUND_HALF_UP)


def plain(amount: Decimal) -> str:
    """A decimal as Fortnox spells it: no exponent, no trailing zeros (938, 937.5, 9.2412)."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _text(value: str) -> str:
    text = encode_basestring_ascii(value)
    return text.replace("/", "\\/") if "/" in text else text


def dump(value: Any) -> str:
    """Encode to JSON the way the recorded answers look: decimals as bare numbers, "/" as "\\/", ASCII only."""
    # Answers are hundreds of accounts of short texts: what is most is asked first, and by its very type.
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is dict:
        return "{" + ",".join([f"{dump(key)}:{dump(item)}" for key, item in value.items()]) + "}"
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    if isinstance(value, Mapping):
        return dump(dict(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([dump(item) for item in value]) + "]"
    raise TypeError(f"cannot send {type(value).__name__} as JSON")


def parse(body: bytes) -> Any:
    """Decode JSON with exact decimals. Raises ValueError for anything that is not JSON (NaN and the like included)."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(body, parse_float=Decimal, parse_constant=refuse)
