"""Reads a SIE 4 file, the cheapest way to read a ledger back: one call for a whole financial year.

SIE is the Swedish exchange format for bookkeeping (sie.se, format description 4B): lines of `#LABEL field
…` in code page 437, fields in quotes where they hold spaces, object lists in braces. Of a voucher's rows
`#TRANS` count; `#BTRANS` are struck-out rows, and `#RTRANS` rows added later, each of which is followed by
the same `#TRANS` for programs that know no better: both are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from addon.connectors.http import Unreadable
from addon.core.books import Ledger, LedgerEntry
from addon.core.money import InexactAmount, Money

Field = str | tuple[str, ...]
"""A field of a line, or an object list."""
_BLANK = " \t"
LINE_LIMIT = 64 * 1024


def read_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut a stream into lines of text. Code page 437 has one byte for each character, so any cut is safe."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("cp437")
        if len(rest) > LINE_LIMIT:
            raise Unreadable("a SIE line has no end")
    if rest.strip():
        yield rest.rstrip(b"\r").decode("cp437")


def read_fields(line: str) -> list[Field]:
    """Split a line into its fields, the label first. Raises `Unreadable` for an open quote or brace."""
    fields: list[Field] = []
    at = 0
    while True:
        at = _skip_blank(line, at)
        if at >= len(line):
            return fields
        if line[at] == "{":
            objects, at = _object_list(line, at + 1)
            fields.append(objects)
        else:
            text, at = _text(line, at, stops=_BLANK)
            fields.append(text)


def _skip_blank(line: str, at: int) -> int:
    while at < len(line) and line[at] in _BLANK:
        at += 1
    return at


def _object_list(line: str, at: int) -> tuple[tuple[str, ...], int]:
    objects: list[str] = []
    while True:
        at = _skip_blank(line, at)
        if at >= len(line):
            raise Unreadable("a SIE object list has no end")
        if line[at] == "}":
            return tuple(objects), at + 1
        text, at = _text(line, at, stops=_BLANK + "}")
        objects.append(text)


def _text(line: str, at: int, stops: str) -> tuple[str, int]:
    if line[at] != '"':
        start = at
        while at < len(line) and line[at] not in stops:
            at += 1
        return line[start:at], at
    at += 1
    letters: list[str] = []
    while at < len(line):
        # A quote inside a text has a backslash before it, backslashes have none: at the end of a text one looks
        # like the other, and is taken for the end where no other quote follows.
        if line.startswith('\\"', at) and '"' in line[at + 2 :]:
            letters.append('"')
            at += 2
        elif line[at] == '"':
            return "".join(letters), at + 1
        else:
            letters.append(line[at])
            at += 1
    raise Unreadable("a SIE text has no end")


@dataclass(frozen=True, slots=True)
class _Voucher:
    reference: str
    booking_date: date
    text: str


def read_ledger(
    lines: Iterable[str],
    accounts: Sequence[str],
    year_ref: str,
    currency: str,
    vouchers: frozenset[str] | None = None,
) -> Ledger:
    """All rows on these accounts, and their opening balances, in the order of the file. Raises `Unreadable`.

    With `vouchers`: every row of those vouchers, whatever its account.

    An entry's text is its voucher's (which holds our key), or the row's own where the voucher has none.
    """
    wanted = frozenset(accounts)
    entries: list[LedgerEntry] = []
    opening: dict[str, Money] = {}
    voucher: _Voucher | None = None
    inside = seen_label = False
    for line in lines:
        stripped = line.strip(_BLANK)
        if stripped == "{":
            if voucher is None:
                raise Unreadable("SIE rows without a voucher")
            inside = True
        elif stripped == "}":
            inside, voucher = False, None
        elif stripped.startswith("#TRANS"):
            if voucher is None or not inside:
                raise Unreadable("a SIE row outside a voucher")
            fields = read_fields(stripped)
            if voucher.reference in vouchers if vouchers is not None else _plain(fields, 1) in wanted:
                entries.append(_entry(fields, voucher, currency))
        elif stripped.startswith("#VER"):
            voucher = _voucher(read_fields(stripped), year_ref)
        elif stripped.startswith("#IB"):
            fields = read_fields(stripped)
            if _plain(fields, 1) == "0" and _plain(fields, 2) in wanted:
                opening[_plain(fields, 2)] = _amount(_plain(fields, 3), currency)
        seen_label = seen_label or stripped.startswith("#")
    if inside:
        raise Unreadable("the SIE file ends within a voucher")
    if not seen_label:
        raise Unreadable("this is no SIE file")
    return Ledger(tuple(entries), tuple(opening.items()))


def _plain(fields: Sequence[Field], place: int) -> str:
    value = fields[place] if place < len(fields) else ""
    return value if isinstance(value, str) else ""


def _voucher(fields: Sequence[Field], year_ref: str) -> _Voucher:
    return _Voucher(
        reference=f"{_plain(fields, 1)}/{_plain(fields, 2)}/{year_ref}",
        booking_date=_day(_plain(fields, 3)),
        text=_plain(fields, 4),
    )


def _entry(fields: Sequence[Field], voucher: _Voucher, currency: str) -> LedgerEntry:
    # #TRANS account {objects} amount [date] [text] …: the object list may be missing in careless files.
    place = 3 if len(fields) > 2 and isinstance(fields[2], tuple) else 2
    return LedgerEntry(
        voucher=voucher.reference,
        booking_date=voucher.booking_date,
        account=_plain(fields, 1),
        amount=_amount(_plain(fields, place), currency),
        text=voucher.text or _plain(fields, place + 2),
    )


def _amount(text: str, currency: str) -> Money:
    try:
        value = Decimal(text)
        if not value.is_finite() or abs(value.adjusted()) > 16:
            raise Unreadable("a SIE amount cannot be read")
        return Money.from_decimal(value, currency)
    except (InvalidOperation, InexactAmount) as error:
        raise Unreadable("a SIE amount cannot be read") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if len(text) == 8 else "")
    except ValueError as error:
        raise Unreadable("a SIE date cannot be read") from error
