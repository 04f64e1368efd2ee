"""SIE type 4I: vouchers as text that other bookkeeping programs import. Source: SIE file format 4B, sie.se.

One record a line, code page 437, a point as decimal sign, credit negative; every voucher sums to zero.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from addon.core.documents import Unbalanced
from addon.core.money import Money

LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class SieRow:
    """One row of a voucher: debit positive, credit negative."""

    account: str
    amount: Money
    text: str = ""


@dataclass(frozen=True, slots=True)
class SieVoucher:
    """A voucher with its rows. Raises `Unbalanced` if they do not sum to zero."""

    series: str
    number: str
    booking_date: date
    text: str
    rows: tuple[SieRow, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise Unbalanced(f"{self.series} {self.number}: a voucher without rows")
        total = Money.total((row.amount for row in self.rows), self.rows[0].amount.currency)
        if total:
            raise Unbalanced(f"{self.series} {self.number}: debit and credit differ by {total}")


@dataclass(frozen=True, slots=True)
class SieHead:
    """Who wrote the file, when, for whom and for which financial year; the accounts it uses, with their names."""

    program: str
    version: str
    written_on: date
    company: str
    organisation_number: str
    first_day: date
    last_day: date
    currency: str
    accounts: tuple[tuple[str, str], ...]


def write_sie(head: SieHead, vouchers: Iterable[SieVoucher]) -> bytes:
    """The whole file in code page 437, by date and number within each series."""
    ordered = sorted(vouchers, key=lambda one: (one.series, one.booking_date, _number(one.number)))
    text = "".join(f"{line}\r\n" for line in (*_head(head), *(line for one in ordered for line in _voucher(one))))
    return text.encode("cp437", "strict")


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdigit() else (0, text)


def _head(head: SieHead) -> Iterator[str]:
    yield "#FLAGGA 0"
    yield f"#PROGRAM {quoted(head.program)} {quoted(head.version)}"
    yield "#FORMAT PC8"
    yield f"#GEN {_day(head.written_on)}"
    yield "#SIETYP 4"
    if head.organisation_number:
        yield f"#ORGNR {quoted(head.organisation_number)}"
    yield f"#FNAMN {quoted(head.company)}"
    yield f"#RAR 0 {_day(head.first_day)} {_day(head.last_day)}"
    yield f"#VALUTA {head.currency}"
    for number, name in sorted(head.accounts):
        yield f"#KONTO {number} {quoted(name)}"


def _voucher(voucher: SieVoucher) -> Iterator[str]:
    number = voucher.number or '""'
    yield f"#VER {voucher.series or _EMPTY} {number} {_day(voucher.booking_date)} {quoted(voucher.text)}"
    yield "{"
    for row in voucher.rows:
        ending = f" {_day(voucher.booking_date)} {quoted(row.text)}" if row.text else ""
        yield f"#TRANS {row.account} {{}} {row.amount.to_decimal():f}{ending}"
    yield "}"


_EMPTY: Final = '""'


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")


def quoted(text: str) -> str:
    """A text between quotes, as code page 437 can hold it: one line, quotes escaped, no backslash of its own.

    Letters that the code page lacks lose their marks (ő becomes o); what has no such form becomes a question mark.
    """
    clean = "".join(_letter(character) for character in " ".join(text.split()))[:LONGEST_TEXT]
    escaped = clean.replace("\\", "/").replace('"', '\\"')
    return f'"{escaped}"'


def _letter(character: str) -> str:
    if unicodedata.category(character).startswith("C"):
        return ""
    if _fits(character):
        return character
    bare = "".join(one for one in unicodedata.normalize("NFKD", character) if not unicodedata.combining(one))
    return bare if bare and all(_fits(one) for one in bare) else _LOOK_ALIKES.get(character, "?")


def _fits(character: str) -> bool:
    try:
        character.encode("cp437")
    except UnicodeEncodeError:
        return False
    return True


_LOOK_ALIKES: Final = {
    "ø": "o",
    "Ø": "O",
    "–": "-",
    "—": "-",
    "−": "-",
    "’": "'",
    "‘": "'",
    "“": "'",
    "”": "'",
    "€": "EUR",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "×": "x",
}
