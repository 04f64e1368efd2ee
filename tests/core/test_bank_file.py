"""Statements as Nordic banks export them."""

from datetime import date

import pytest

from addon.core.bank_file import Columns, UnreadableStatement, decode_text, read_lines, read_table
from addon.core.money import Money

SWEDBANK = """* Transaktioner Period 2026-03-01 - 2026-03-31 Skapad 2026-04-01
Rad,Clearingnummer,Kontonummer,Produkt,Valuta,Bokföringsdag,Transdag,Valutadag,Referens,Beskrivning,Belopp,Saldo
1,8327,1234567,Företagskonto,SEK,2026-03-06,2026-03-06,2026-03-06,STRIPE,Stripe Technology,1212.50,11212.50
2,8327,1234567,Företagskonto,SEK,2026-03-07,2026-03-07,2026-03-07,Hyra,Hyra mars,-10000.00,1212.50
"""
SEB = "Bokförd;Valutadatum;Text;Belopp;Saldo\n2026-03-06;2026-03-06;STRIPE PAYMENTS;1 212,50;11 212,50\n"
DANISH = "06.03.2026;Overførsel Stripe;1.212,50;11.212,50\n07.03.2026;Husleje;-10.000,00;1.212,50\n"


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        (SWEDBANK, Columns(5, 10, 9), "Stripe Technology"),
        (SEB, Columns(0, 3, 2), "STRIPE PAYMENTS"),
        (DANISH, Columns(0, 2, 1), "Overførsel Stripe"),
    ],
)
def test_columns_are_guessed(text: str, columns: Columns, words: str) -> None:
    table = read_table(text)
    assert table.guess == columns
    first = read_lines(table, columns, "SEK").lines[0]
    assert (first.day, first.amount, first.text) == (date(2026, 3, 6), Money(121250, "SEK"), words)


def test_what_cannot_be_read_is_counted() -> None:
    rows = (
        *("Datum\tBelopp\tText", "2026-03-06\t1,00\ta", "summa\t-\tb", "2026-02-30\t1,00\tc", "2026-03-07\t0,005\td"),
        *("0001-01-01\t5-\te", "2026-03-08\t5,25-\tf", "2026-03-08\t7 SEK\tg"),
    )
    table = read_table("\n".join(rows))
    read = read_lines(table, Columns(0, 1, 2), "SEK")
    assert [line.amount.minor for line in read.lines] == [100, -525, 700]
    assert read.unreadable == 4
    with pytest.raises(UnreadableStatement, match="not in the file"):
        read_lines(table, Columns(0, 1, 9), "SEK")


@pytest.mark.parametrize("text", ["", "hello", "a\nb\nc", "\x00\x00", "x" * 200_000])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(UnreadableStatement):
        read_table(text)


def test_a_table_without_days_or_rows_has_no_guess() -> None:
    assert read_table("a;b\nc;d\n").guess is None
    assert read_table("Datum;Belopp\n").guess is None
    assert read_table("2026-03-01;Hello;World\n").guess is None
    assert read_table('2026-03-01;1;"x"\n2026-03-02;-2;y').guess == Columns(0, 1, 2)
    assert read_table("2026-03-01;1,00\n2026-03-02;2,00").guess == Columns(0, 1, 0)


def test_too_long_a_file_is_refused() -> None:
    with pytest.raises(UnreadableStatement, match="more than"):
        read_table("2026-03-01;1\n" * 20_001)
    with pytest.raises(UnreadableStatement):
        read_table('"' + "x" * 140_000 + '";1\n')


def test_letters_of_every_bank() -> None:
    assert decode_text("Bokföring".encode("utf-8-sig")) == "Bokföring"
    assert decode_text("Bokföring".encode("cp1252")) == "Bokföring"
    assert decode_text("Bokföring".encode("utf-16")) == "Bokföring"
