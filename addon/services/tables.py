"""Tables for other programs: the same sheets as CSV and XLSX, where a stranger's text is never a formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from addon.core.currencies import minor_units
from addon.core.money import Money

Cell = str | int | Decimal | Money | date | datetime | None
"""What a table may hold. An amount stands without its currency: give that a column of its own."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: its title, the names of its columns, its rows, and sentences that stand under it.

    `rows` may be an iterator where there are many: a sheet is written once.
    """

    title: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[Cell]]
    notes: tuple[str, ...] = ()


_FORMULA_BEGINNINGS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What makes spreadsheet programs read a text as a formula, or as a call to another program (DDE)."""
_LONGEST_TEXT: Final = 32_000
"""A cell of XLSX holds 32,767 characters."""
_LONGEST_NAME: Final = 31


def plain(text: str) -> str:
    """A stranger's text on one line, without what hides or turns text round (control and format characters)."""
    if text.isascii() and text.isprintable():
        return text
    spaced = (" " if character in "\t\r\n\u2028\u2029" else character for character in text)
    kept = (one for one in spaced if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return "".join(kept)


def harmless(text: str) -> str:
    """A text for a spreadsheet: what would be read as a formula gets an apostrophe before it."""
    shown = plain(text)[:_LONGEST_TEXT]
    # Also after blanks: some programs strip them before they look for the equals sign.
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA_BEGINNINGS) or text[:1] in ("\t", "\r", "\n") else shown


def csv_cell(cell: Cell) -> str:
    """A cell as CSV has it: decimals with a point, ISO dates, instants in UTC."""
    match cell:
        case None:
            return ""
        case Money():
            return f"{cell.to_decimal():f}"
        case Decimal():
            return f"{cell:f}"
        case datetime():
            return cell.astimezone(UTC).isoformat(timespec="seconds")
        case date():
            return cell.isoformat()
        case str():
            return harmless(cell)
        case _:
            return str(cell)


def csv_lines(sheet: Sheet) -> Iterator[str]:
    """A sheet as CSV, row by row; its title and notes are left out, so that programs can read it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(sheet.columns)
    for row in sheet.rows:
        writer.writerow([csv_cell(cell) for cell in row])
        if out.tell() > 16_384:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def csv_text(sheets: Sequence[Sheet]) -> str:
    """Sheets as one CSV text; where there are several, each has its title above it and a blank line between."""
    if len(sheets) == 1:
        return "".join(csv_lines(sheets[0]))
    return "\r\n".join(f"{csv_cell(sheet.title)}\r\n{''.join(csv_lines(sheet))}" for sheet in sheets)


def xlsx(sheets: Sequence[Sheet]) -> bytes:
    """Sheets as a workbook. Texts are stored as texts, so that none is ever a formula or a link."""
    from xlsxwriter import Workbook

    out = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd",
    }
    book = Workbook(out, options)
    bold = book.add_format({"bold": True})
    dated = book.add_format({"num_format": "yyyy-mm-dd"})
    timed = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    decimals = {
        places: book.add_format({"num_format": "#,##0" + ("." + "0" * places if places else "")}) for places in range(5)
    }
    taken: set[str] = set()
    for sheet in sheets:
        page = book.add_worksheet(_sheet_name(sheet.title, taken))
        page.freeze_panes(1, 0)
        widths = [len(name) for name in sheet.columns]
        page.write_row(0, 0, sheet.columns, bold)
        last = 0
        for last, row in enumerate(sheet.rows, start=1):
            for place, cell in enumerate(row):
                widths[place] = max(widths[place], min(len(csv_cell(cell)) + 1, 60))
                match cell:
                    case None | "":
                        pass
                    case Money():
                        page.write_number(last, place, cell.to_decimal(), decimals[minor_units(cell.currency)])
                    case Decimal():
                        page.write_number(last, place, cell)
                    case datetime():
                        page.write_datetime(last, place, cell.astimezone(UTC).replace(tzinfo=None), timed)
                    case date():
                        page.write_datetime(last, place, cell, dated)
                    case str():
                        page.write_string(last, place, plain(cell)[:_LONGEST_TEXT])
                    case _:
                        page.write_number(last, place, cell)
        for place, width in enumerate(widths):
            page.set_column(place, place, width + 2)
        for offset, note in enumerate(sheet.notes, start=2):
            page.write_string(last + offset, 0, plain(note))
    book.close()
    return out.getvalue()


def _sheet_name(title: str, taken: set[str]) -> str:
    """A title as a worksheet may be called: 31 characters, none of `[]:*?/\\`, no name twice."""
    name = "".join(" " if character in "[]:*?/\\" else character for character in plain(title)).strip("' ")
    name = name[:_LONGEST_NAME] or "Sheet"
    number = 1
    while name.lower() in taken:
        number += 1
        ending = f" {number}"
        name = f"{name[: _LONGEST_NAME - len(ending)]}{ending}"
    taken.add(name.lower())
    return name
