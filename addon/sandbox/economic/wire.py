"""JSON as the simulated e-conomic writes and reads it: exact decimals with a point in them, UTF-8, never a float."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
ZERO = Decimal(0)


def cents(amount: Decimal) -> Decimal:
    """Round half away from nought to two decimals."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def plain(amount: Decimal) -> str:
    """A decimal as the recorded answers spell it: `10.0`, `7.25`, never an exponent."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0")
        text = f"{text}0" if text.endswith(".") else text
    else:
        text = f"{text}.0"
    return "0.0" if text == "-0.0" else text


_text = json.JSONEncoder(ensure_ascii=False).encode
"""Made once: `json.dumps` makes a new one of these for every call with options."""


def dump(value: Any) -> str:
    """Encode to JSON; decimals as bare numbers, dates as ISO texts."""
    # Answers are long lists of short texts: what is most is asked first, and by its very type.
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is dict:
        return "{" + ",".join([f"{_text(str(key))}:{dump(item)}" for key, item in value.items()]) + "}"
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
    if isinstance(value, (date, datetime)):
        return f'"{value.isoformat()}"'
    if isinstance(value, Mapping):
        return dump(dict(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([dump(item) for item in value]) + "]"
    raise TypeError(f"cannot send {type(value).__name__} as JSON")


def parse(body: bytes) -> Any:
    """Decode JSON with exact decimals. Raises ValueError for anything that is not JSON (NaN included)."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(body, parse_float=Decimal, parse_constant=refuse)
