"""A bank statement as a bank's web page exports it: a CSV file whose columns are guessed and may be chosen."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from addon.core.bank import BankLine
from addon.core.money import InexactAmount, Money

MOST_LINES: Final = 20_000
_DELIMITERS: Final = (";", "\t", ",", "|")


class UnreadableStatement(ValueError):
    """The file is no table that could be a bank statement; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what, counted from nought."""

    day: int
    amount: int
    text: int


@dataclass(frozen=True, slots=True)
class BankTable:
    """The file as rows of texts; `names` is its heading, or the columns' numbers where it has none."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    guess: Columns | None


@dataclass(frozen=True, slots=True)
class ReadLines:
    """The lines that could be read, and how many rows could not."""

    lines: tuple[BankLine, ...]
    unreadable: int


def decode_text(content: bytes) -> str:
    """The text of a file from a bank: UTF-8 with or without a mark, UTF-16 with one, else western European."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_table(text: str) -> BankTable:
    """Split a statement into rows and guess its columns. Raises `UnreadableStatement`.

    Banks write lines about the account above the heading: the table begins where rows have their full width.
    """
    best: list[list[str]] = []
    for delimiter in _DELIMITERS:
        try:
            rows = list(csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter))
        except csv.Error:
            continue
        rows = _block([[cell.strip() for cell in row] for row in rows])
        if len(rows) * len(rows[0] if rows else ()) > len(best) * len(best[0] if best else ()):
            best = rows
    if not best or len(best[0]) < 2:
        raise UnreadableStatement("the file is no table of days and amounts")
    if len(best) > MOST_LINES:
        raise UnreadableStatement(f"the file has more than {MOST_LINES} lines")
    width = len(best[0])
    heading = not any(_day(cell) is not None for cell in best[0])
    names = tuple(best[0]) if heading else tuple(str(place + 1) for place in range(width))
    rows_only = tuple(tuple(row) for row in (best[1:] if heading else best))
    return BankTable(names, rows_only, _guess(names, rows_only))


def _block(rows: list[list[str]]) -> list[list[str]]:
    """The rows of the width that most rows have, which is the table; at least two columns."""
    widths: dict[int, int] = {}
    for row in rows:
        if len(row) > 1 and any(row):
            widths[len(row)] = widths.get(len(row), 0) + 1
    if not widths:
        return []
    width = max(widths, key=lambda one: (widths[one], one))
    return [row for row in rows if len(row) == width and any(row)]


_DAY_NAMES: Final = ("bokf", "bogf", "datum", "dato", "date", "dag", "day", "valuta")
_AMOUNT_NAMES: Final = ("belopp", "beløb", "beløp", "amount", "summa")
_NOT_AMOUNTS: Final = ("saldo", "balance")
_TEXT_NAMES: Final = ("text", "beskrivning", "description", "meddelande", "mottagare", "avsändare", "tekst", "referens")


def _guess(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns | None:
    sample = rows[:50]
    if not sample:
        return None
    places = range(len(names))
    days = [place for place in places if sum(_day(row[place]) is not None for row in sample) * 2 > len(sample)]
    figures = [
        place
        for place in places
        if place not in days and sum(_decimal(row[place]) is not None for row in sample) * 2 > len(sample)
    ]
    figures = [place for place in figures if not _called(names[place], _NOT_AMOUNTS)] or figures
    if not days or not figures:
        return None
    day = next((place for place in days if _called(names[place], _DAY_NAMES)), days[0])
    amount = next((place for place in figures if _called(names[place], _AMOUNT_NAMES)), _signed(figures, sample))
    rest = [place for place in places if place not in (day, amount) and place not in figures and place not in days]
    text = next((place for word in _TEXT_NAMES for place in rest if word in names[place].casefold()), None)
    if text is None:
        text = max(rest or [day], key=lambda place: sum(len(row[place]) for row in sample))
    return Columns(day, amount, text)


def _signed(figures: Sequence[int], sample: Sequence[Sequence[str]]) -> int:
    """Of columns with figures, the first with minus signs in it: a balance hardly has any."""
    return next((place for place in figures if any("-" in row[place] for row in sample)), figures[0])


def _called(name: str, words: Sequence[str]) -> bool:
    return any(word in name.casefold() for word in words)


_ISO: Final = re.compile(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?:[ T].*)?")
_EUROPEAN: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")


def _day(text: str) -> date | None:
    found = _ISO.fullmatch(text)
    parts = found.groups() if found else None
    if parts is None:
        european = _EUROPEAN.fullmatch(text)
        parts = tuple(reversed(european.groups())) if european else None
    if parts is None:
        return None
    try:
        day = date(int(parts[0]), int(parts[1]), int(parts[2]))
    except ValueError:
        return None
    return day if 1970 <= day.year <= 2200 else None


def _decimal(text: str) -> Decimal | None:
    """An amount as banks write it: blanks or points between thousands, comma or point, minus before or after."""
    compact = re.sub(r"[\s\u00a0\u202f']", "", text).replace("\u2212", "-")
    compact = re.sub(r"(?i)(kr|sek|eur|dkk|nok|usd)\.?$", "", compact)
    if compact.endswith("-"):
        compact = f"-{compact[:-1]}"
    if "," in compact and "." in compact:
        thousands = "," if compact.rfind(",") < compact.rfind(".") else "."
        compact = compact.replace(thousands, "")
    compact = compact.replace(",", ".")
    if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,4})?", compact):
        return None
    try:
        return Decimal(compact)
    except InvalidOperation:  # pragma: no cover - the pattern admits nothing that is no number
        return None


def read_lines(table: BankTable, columns: Columns, currency: str) -> ReadLines:
    """The table's rows as lines of the account. Raises `UnreadableStatement` for columns that are not there."""
    if not all(0 <= place < len(table.names) for place in (columns.day, columns.amount, columns.text)):
        raise UnreadableStatement("a column that was chosen is not in the file")
    lines: list[BankLine] = []
    unreadable = 0
    for number, row in enumerate(table.rows, start=1):
        day, value = _day(row[columns.day]), _decimal(row[columns.amount])
        try:
            amount = Money.from_decimal(value, currency) if value is not None else None
        except InexactAmount:
            amount = None
        if day is None or amount is None:
            unreadable += 1
            continue
        lines.append(BankLine(str(number), day, amount, row[columns.text]))
    return ReadLines(tuple(lines), unreadable)
