"""Sheets as CSV, XLSX and PDF: read back by other programs' readers, with hostile texts in them."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from addon.core.money import Money
from addon.services import printing
from addon.services.paper import Attached, Paper, pdf
from addon.services.tables import Sheet, csv_text, harmless, xlsx

AT = datetime(2026, 3, 20, 10, 0, tzinfo=UTC)
HOSTILE = '=HYPERLINK("http://evil.example";"x")'
SHEET = Sheet(
    "Rows",
    ("text", "amount", "currency", "day", "at", "number", "rate"),
    [
        (HOSTILE, Money(-121250, "SEK"), "SEK", date(2026, 3, 2), AT, 3, Decimal("11.30")),
        ("山田 \u202eevil\nnext", Money(500, "JPY"), "JPY", None, None, None, None),
    ],
    ("A note.",),
)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "|cmd", "%0A", "\n=1", "=cmd|' /C calc'!A0"]
)
def test_no_text_is_a_formula(text: str) -> None:
    assert harmless(text).startswith("'")
    (row,) = list(csv.reader(io.StringIO(csv_text([Sheet("t", ("a",), [(text,)])]))))[1:]
    assert row[0].startswith("'")
    page = load_workbook(io.BytesIO(xlsx([Sheet("t", ("a",), [(text,)])]))).active
    assert page is not None
    assert page["A2"].data_type == "s", "a text, whatever it begins with"


def test_amounts_stay_amounts_and_dates_dates() -> None:
    rows = list(csv.reader(io.StringIO(csv_text([SHEET]))))
    assert rows[1][1:] == ["-1212.50", "SEK", "2026-03-02", "2026-03-20T10:00:00+00:00", "3", "11.30"]
    assert rows[2][:3] == ["山田 evil next", "500", "JPY"]
    page = load_workbook(io.BytesIO(xlsx([SHEET, SHEET, Sheet("a/b:c" * 20, ("x",), [])])))
    assert page.sheetnames[:2] == ["Rows", "Rows 2"]
    assert all(len(name) <= 31 for name in page.sheetnames)
    first = page["Rows"]
    assert (first["B2"].value, first["B2"].number_format) == (-1212.5, "#,##0.00")
    assert first["D2"].value == datetime(2026, 3, 2)  # noqa: DTZ001 - what the reader gives
    assert first["A3"].value == "山田 evil next"
    assert first["A5"].value == "A note."


def test_several_sheets_in_one_csv_have_their_titles() -> None:
    text = csv_text([Sheet("=One", ("a",), [("1",)]), Sheet("Two", ("b",), [("2",)])])
    assert text == "'=One\r\na\r\n1\r\n\r\nTwo\r\nb\r\n2\r\n"


def test_many_rows_are_written_piece_by_piece() -> None:
    text = csv_text([Sheet("t", ("a",), ((f"row {number}" * 20,) for number in range(1000)))])
    assert len(text.splitlines()) == 1001


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def a_paper(*sheets: Sheet) -> Paper:
    return Paper(
        "Statement of Stripe", "March", (("Buyer", "Łukasz Ångström, Ирина, 山"), ("None", "")), sheets, "foot", AT
    )


def test_a_paper_shows_every_name_and_carries_its_data() -> None:
    content = pdf(
        a_paper(SHEET, Sheet("Empty", ("a",), [])), [Attached("data.json", "application/json", b'{"a": "\xc3\xa5"}')]
    )
    words = text_of(content)
    for wanted in (
        "Statement of Stripe",
        "Lukasz Ångström, Irina, <U+5C71>",
        "-1 212,50",
        "None.",
        "A note.",
        "foot",
        "1 / 1",
    ):
        assert wanted in words
    attached = PdfReader(io.BytesIO(content)).attachments
    assert attached["data.json"] == [b'{"a": "\xc3\xa5"}']
    assert content == pdf(
        a_paper(SHEET, Sheet("Empty", ("a",), [])), [Attached("data.json", "application/json", b'{"a": "\xc3\xa5"}')]
    ), "the same input gives the same bytes"


def test_a_long_table_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "MOST_ROWS", 60)
    words = text_of(pdf(a_paper(Sheet("Long", ("n", "what"), [(number, "x" * 400) for number in range(70)]))))
    assert "and 10 rows more" in words


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Åsa", "Åsa"),
        ("Ελένη", "Elenē".replace("ē", "i")),
        ("Щука", "Shchuka"),
        ("10 € – 5 ✓", "10 EUR - 5 OK"),
        ("ｆｕｌｌ", "full"),
        ("e\u0301\u200b", "e"),
        ("😀", "<U+1F600>"),
    ],
)
def test_letters_without_a_place_are_written_visibly(text: str, written: str) -> None:
    assert printing.latin(text) == written
