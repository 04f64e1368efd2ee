"""What the connectors of banks share: one open question without credentials, and reading the days and rates in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from addon.connectors.http import HttpClient, Reply
from addon.core.currencies import MINOR_UNITS
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply, TryLater

LONGEST_CALL_S: Final = 15.0
"""Rates are asked for while a company's work is under lease: a slow bank may not use it up."""

_CODE: Final = re.compile(r"[A-Z]{3}")
_SMALLEST: Final = Decimal("0.00000001")
_LARGEST: Final = Decimal(10) ** 9


def ask(
    http: HttpClient,
    name: str,
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    json: object = None,
    empty: frozenset[int] = frozenset(),
) -> Reply | None:
    """Ask an open question; None where a status in `empty` says that there is nothing.

    Raises `TryLater` and `BadReply`.
    """
    reply = http.request(method, url, params=params, json=json, write=False, deadline_s=LONGEST_CALL_S)
    if reply.status in empty or reply.status == 204:
        return None
    if reply.status == 429 or reply.status >= 500:
        raise TryLater(f"{name} answers with status {reply.status}", reply.retry_after_s)
    if reply.status != 200:
        raise BadReply(f"{name} answers with status {reply.status}")
    return reply


def read_day(text: object, name: str) -> date:
    """A day as it is published. Raises `BadReply`."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise BadReply(f"{name} gave a day that cannot be read") from None


def read_rate(value: object, name: str) -> Decimal | None:
    """A rate exactly as it is published; None for none (empty, nought, or a dash). Raises `BadReply`."""
    if value is None or value == "" or value == "-":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise BadReply(f"{name} gave a rate that is no number")
    try:
        rate = Decimal(value)
    except InvalidOperation:
        raise BadReply(f"{name} gave a rate that is no number") from None
    if not rate:
        return None
    if not rate.is_finite() or not _SMALLEST <= rate <= _LARGEST:
        raise BadReply(f"{name} gave a rate out of all proportion")
    return rate


def known_currency(code: object) -> bool:
    """Whether a code is that of a currency that anybody pays in; the banks also keep baskets and dead currencies."""
    return isinstance(code, str) and bool(_CODE.fullmatch(code)) and code in MINOR_UNITS


def fixing(base: str, quote: str, rate: Decimal, unit: int, day: date, source: str) -> ExchangeRate:
    """One fixing as published."""
    return ExchangeRate(base, quote, rate, unit, day, source)
