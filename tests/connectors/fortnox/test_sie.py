"""The SIE reader against files of a small writer of our own, and against careless and broken ones."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.fortnox.sie import LINE_LIMIT, read_fields, read_ledger, read_lines
from addon.connectors.http import Unreadable
from addon.core.books import Ledger, LedgerEntry
from addon.core.money import Money

PLAIN = """#FLAGGA 0
#PROGRAM "Fortnox" 3.1
#FORMAT PC8
#RAR 0 20260101 20261231
#KONTO 1580 "Fordringar för kort"
#IB 0 1580 100.00
#IB -1 1580 50.00
#IB 0 1930 7
#UB 0 1580 1350.00
#VER "C" "1" 20260302 "Inbetalning åäö \\"1\\"" 20260303
{
#TRANS 1580 {"1" "A 1" "6" "P"} 1250.00 20260302 "row text"
#BTRANS 1580 {} 999.00
#RTRANS 1580 {} 55.50
#TRANS 1580 {} 55.50
#TRANS 1510 {} -1305.50
}
#VER A 2 20260304
{
#TRANS 1580 {} -25 "" "only a row text"
#TRANS\t1930   {}\t25
#TRANS 1580 -1
}
"""


def sek(text: str) -> Money:
    return Money.from_decimal(Decimal(text), "SEK")


def read(text: str | bytes, accounts: tuple[str, ...] = ("1580",), piece: int = 7) -> Ledger:
    content = text.encode("cp437") if isinstance(text, str) else text
    chunks = [content[start : start + piece] for start in range(0, len(content), piece)]
    return read_ledger(read_lines(chunks), accounts, "2", "SEK")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_on_the_accounts_asked_for_are_read(newline: str) -> None:
    ledger = read(PLAIN.replace("\n", newline))
    first, second = date(2026, 3, 2), date(2026, 3, 4)
    assert ledger.entries == (
        LedgerEntry("C/1/2", first, "1580", sek("1250"), 'Inbetalning åäö "1"'),
        LedgerEntry("C/1/2", first, "1580", sek("55.50"), 'Inbetalning åäö "1"'),
        LedgerEntry("A/2/2", second, "1580", sek("-25"), "only a row text"),
        LedgerEntry("A/2/2", second, "1580", sek("-1"), ""),
    )
    assert ledger.opening == (("1580", sek("100")),)


def test_other_accounts_cost_nothing() -> None:
    ledger = read(PLAIN, accounts=("1930", "9999"))
    assert [entry.amount for entry in ledger.entries] == [sek("25")]
    assert ledger.opening == (("1930", sek("7")),)


@pytest.mark.parametrize(
    "broken",
    [
        "<html><body>502</body></html>",
        "",
        "#VER A 1 20260302\n{\n#TRANS 1580 {} 1.00\n",
        "#VER A 1 20260302\n{\n#TRANS 1580 {} x\n}\n",
        "#VER A 1 20260302\n{\n#TRANS 1580 {} 1.005\n}\n",
        "#VER A 1 20260302\n{\n#TRANS 1580 {} NaN\n}\n",
        "#VER A 1 20260302\n{\n#TRANS 1580 {} 1E+999999\n}\n",
        "#VER A 1 20261302\n{\n}\n",
        "#VER A 1 2026\n{\n}\n",
        "#TRANS 1580 {} 1.00\n",
        "{\n}\n",
        '#VER A 1 20260302 "open\n{\n}\n',
        "#VER A 1 20260302\n{\n#TRANS 1580 {open 1.00\n}\n",
        "#IB 0 1580\n",
    ],
)
def test_a_broken_file_is_not_read(broken: str) -> None:
    with pytest.raises(Unreadable):
        read(broken)


def test_a_line_without_end_is_not_kept() -> None:
    with pytest.raises(Unreadable):
        read(b"#VER " + b"x" * (LINE_LIMIT * 2), piece=4096)


def test_a_text_may_end_with_a_backslash() -> None:
    assert read_fields('#VER A 1 20260302 "C:\\" 20260302') == ["#VER", "A", "1", "20260302", "C:\\", "20260302"]


def test_fields_are_split_like_the_format_says() -> None:
    assert read_fields('#A "b c" d {} {"1" "x y" 2 z} "" "q\\"q" \t e') == [
        "#A",
        "b c",
        "d",
        (),
        ("1", "x y", "2", "z"),
        "",
        'q"q',
        "e",
    ]
    assert read_fields("") == []


# --- A tiny writer, and back ----------------------------------------------------------------------------------

# Every printable character of code page 437 but control characters.
_LETTERS = "".join(bytes([code]).decode("cp437") for code in range(32, 255) if code != 127)
_TEXTS = st.text(alphabet=_LETTERS, max_size=30).filter(lambda text: not text.endswith("\\"))
_ACCOUNTS = st.sampled_from(["1580", "1930", "3001", "6570"])
_AMOUNTS = st.integers(-(10**11), 10**11).map(lambda minor: Money(minor, "SEK"))
_ROWS = st.lists(st.tuples(_ACCOUNTS, _AMOUNTS, _TEXTS, st.lists(_TEXTS, max_size=4)), max_size=5)
_VOUCHERS = st.lists(
    st.tuples(
        st.sampled_from("ABC"),
        st.integers(1, 9999),
        st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        _TEXTS,
        _ROWS,
    ),
    max_size=6,
)
Row = tuple[str, Money, str, list[str]]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def write(vouchers: list[tuple[str, int, date, str, list[Row]]]) -> str:
    lines = ["#FLAGGA 0"]
    for series, number, day, text, rows in vouchers:
        lines += [f"#VER {quoted(series)} {number} {day:%Y%m%d} {quoted(text)}", "{"]
        for account, amount, row_text, objects in rows:
            inside = " ".join(quoted(one) for one in objects)
            lines.append(f"#TRANS {account} {{{inside}}} {amount.to_decimal()} {day:%Y%m%d} {quoted(row_text)}")
        lines.append("}")
    return "\r\n".join(lines) + "\r\n"


@given(_VOUCHERS, st.sets(_ACCOUNTS), st.integers(1, 64))
def test_what_a_writer_writes_is_read_back(
    vouchers: list[tuple[str, int, date, str, list[Row]]], accounts: set[str], piece: int
) -> None:
    expected = tuple(
        LedgerEntry(f"{series}/{number}/2", day, account, amount, text or row_text)
        for series, number, day, text, rows in vouchers
        for account, amount, row_text, _ in rows
        if account in accounts
    )
    assert read(write(vouchers), tuple(accounts), piece).entries == expected
