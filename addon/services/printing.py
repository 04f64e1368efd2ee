"""Readable PDF: headings, facts and tables on A4, with the data attached to the file itself.

The typefaces are the ones that every PDF reader brings, which know western European letters only. Any other letter is
written in Latin where that is plain (Greek, Cyrillic, marks on Latin letters), else by its Unicode number, and the
paper says so. The attached data has every text as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from addon.core.money import Money
from addon.services.paper import Attached, Paper
from addon.services.tables import Cell, Sheet, plain

MOST_ROWS: Final = 300
"""So many rows of a table are printed, which is some seconds' work; the attached data has all of them."""
_LONGEST_CELL: Final = 300


def pdf(paper: Paper, attached: Sequence[Attached] = ()) -> bytes:
    """The paper as PDF. The same input gives the same bytes."""
    page = _Page(paper.foot)
    page.set_creation_date(paper.made_at.astimezone(UTC))
    page.set_title(latin(paper.title))
    page.set_producer("Kvitt")
    page.set_auto_page_break(True, margin=20)
    page.set_margins(18, 18, 18)
    page.add_page()
    page.set_font("Helvetica", "B", 18)
    _line(page, paper.title, 9)
    page.set_font("Helvetica", "", 11)
    page.set_text_color(86, 99, 105)
    _line(page, paper.subtitle, 6)
    page.set_text_color(0)
    page.ln(4)
    for name, value in paper.facts:
        page.set_font("Helvetica", "", 9)
        page.set_text_color(86, 99, 105)
        page.cell(52, 5, latin(name))
        page.set_text_color(0)
        page.multi_cell(0, 5, latin(value) or " ", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for sheet in paper.sheets:
        _sheet(page, sheet)
    for one in attached:
        page.embed_file(
            bytes=one.content,
            basename=one.name,
            mime_type=one.mime_type,
            modification_date=paper.made_at,
            compress=True,
        )
    return bytes(page.output())


class _Page(FPDF):
    def __init__(self, foot: str) -> None:
        super().__init__(format="A4")
        self._foot = foot

    def footer(self) -> None:
        """The sentence and the page's number."""
        self.set_y(-14)
        self.set_font("Helvetica", "", 8)
        self.set_text_color(86, 99, 105)
        self.cell(150, 4, latin(self._foot))
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(0)


def _line(page: FPDF, text: str, height: int) -> None:
    page.multi_cell(0, height, latin(text) or " ", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _sheet(page: FPDF, sheet: Sheet) -> None:
    page.ln(5)
    page.set_font("Helvetica", "B", 12)
    _line(page, sheet.title, 6)
    page.ln(1)
    page.set_font("Helvetica", "", 8)
    rows, left = [], 0
    for number, row in enumerate(sheet.rows):
        if number >= MOST_ROWS:
            left += 1
        else:
            rows.append([shown(cell) for cell in row])
    figures = [
        bool(rows) and all(_FIGURE.issuperset(row[place]) for row in rows) for place in range(len(sheet.columns))
    ]
    if rows:
        lengths = [_width(name, [row[place] for row in rows]) for place, name in enumerate(sheet.columns)]
        with page.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=tuple(lengths),
            line_height=4.2,
            padding=(0.7, 1),
            text_align=tuple("RIGHT" if figure else "LEFT" for figure in figures),
            headings_style=FontFace(emphasis="BOLD"),
        ) as table:
            table.row([latin(name) for name in sheet.columns])
            for row in rows:
                table.row([latin(text) for text in row])
    else:
        _line(page, "None.", 4)
    page.set_font("Helvetica", "", 8)
    if left:
        _line(page, f"and {left} rows more, which stand in the attached data", 4)
    for note in sheet.notes:
        page.set_text_color(86, 99, 105)
        _line(page, note, 4)
        page.set_text_color(0)


_WIDEST: Final = 40
_WHOLE: Final = 16
"""What is no longer than this, a date or an amount, is not broken."""


def _width(name: str, texts: Sequence[str]) -> int:
    """How wide a column is beside the others: short contents have air, long ones are broken."""
    longest = max(len(text) for text in (name, *texts))
    return longest * 3 // 2 + 2 if longest <= _WHOLE else min(_WIDEST, longest)


_FIGURE: Final = frozenset("0123456789 .,-%")


def shown(cell: Cell) -> str:
    """A cell as people read it: amounts with blanks between thousands and a comma."""
    match cell:
        case None:
            return ""
        case Money():
            return _figure(cell.to_decimal())
        case Decimal():
            return _figure(cell)
        case datetime():
            return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        case date():
            return cell.isoformat()
        case str():
            text = plain(cell)
            return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
        case _:
            return f"{cell:,}".replace(",", " ")


def _figure(value: Decimal) -> str:
    return f"{value:,f}".replace(",", " ").replace(".", ",")


_GREEK: Final = dict(
    zip("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(), strict=True)
)
_CYRILLIC: Final = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ",
        "a b v g d e zh z i j k l m n o p r s t u f kh ts ch sh shch ' y ' e yu ya i yi ye g".split(),
        strict=True,
    )
)
_SIGNS: Final = {
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "€": "EUR",
    "✓": "OK",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ı": "i",
    "œ": "oe",
    "Œ": "OE",
}


def latin(text: str) -> str:
    """A text in the letters of Latin-1; what has no such form stands as its Unicode number, never as nothing."""
    return "".join(_latin(character) for character in plain(text))


def _latin(character: str) -> str:
    if ord(character) < 256:
        return character
    if character in _SIGNS:
        return _SIGNS[character]
    small = character.lower()
    found = _GREEK.get(small) or _CYRILLIC.get(small)
    if found:
        return found if character == small else found.capitalize()
    if unicodedata.category(character) == "Zs":
        return " "
    bare = "".join(one for one in unicodedata.normalize("NFKD", character) if not unicodedata.combining(one))
    if bare and bare != character:
        return "".join(_latin(one) for one in bare)
    return "" if unicodedata.combining(character) else f"<U+{ord(character):04X}>"
