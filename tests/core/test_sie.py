"""SIE 4I as it is written, read by a strict small reader that knows the format and nothing of ours."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from addon.core.documents import Unbalanced
from addon.core.money import Money
from addon.core.sie import SieHead, SieRow, SieVoucher, quoted, write_sie

_FIELD = re.compile(r'"((?:\\"|[^"\\])*)"|(\{[^}]*\})|([^\s{}"]+)')


def fields(line: str) -> list[str]:
    """The fields of a record; anything that is no field is an error."""
    assert not re.sub(_FIELD, "", line).strip(), line
    return [
        quoted_text.replace('\\"', '"') if bare == braces == "" else braces or bare
        for quoted_text, braces, bare in _FIELD.findall(line)
    ]


def read_strictly(content: bytes) -> dict[str, Any]:
    """Heads by label, and vouchers that must sum to zero. Fails on whatever the format does not know."""
    text = content.decode("cp437")
    assert text.endswith("\r\n")
    lines = text.split("\r\n")[:-1]
    heads: dict[str, list[list[str]]] = {}
    vouchers: list[dict[str, Any]] = []
    inside = False
    for place, line in enumerate(lines):
        assert "\n" not in line
        assert "\r" not in line
        if line == "{":
            assert lines[place - 1].startswith("#VER")
            inside = True
        elif line == "}":
            inside = False
            assert sum(amount for _, amount in vouchers[-1]["rows"]) == 0, vouchers[-1]
        elif line.startswith("#VER "):
            assert not inside
            _, series, number, day, words = fields(line)
            assert re.fullmatch(r"\d{8}", day)
            vouchers.append({"series": series, "number": number, "day": day, "text": words, "rows": []})
        elif line.startswith("#TRANS "):
            assert inside
            _, account, objects, amount, *_ = fields(line)
            assert objects == "{}"
            assert re.fullmatch(r"-?\d+\.\d\d", amount)
            vouchers[-1]["rows"].append((account, Decimal(amount)))
        else:
            assert not inside
            label, *rest = fields(line)
            assert label in {
                *("#FLAGGA", "#PROGRAM", "#FORMAT", "#GEN", "#SIETYP", "#ORGNR", "#FNAMN", "#RAR", "#VALUTA"),
                "#KONTO",
            }
            heads.setdefault(label, []).append(rest)
    assert lines[0] == "#FLAGGA 0"
    assert heads["#FORMAT"] == [["PC8"]]
    assert heads["#SIETYP"] == [["4"]]
    known = {number for number, _ in heads.get("#KONTO", [])}
    assert {account for voucher in vouchers for account, _ in voucher["rows"]} <= known
    return {"heads": heads, "vouchers": vouchers}


HEAD = SieHead(
    "Kvitt",
    "0.1",
    date(2026, 3, 20),
    'Fjäll "butiken" AB',
    "556677-8899",
    date(2026, 1, 1),
    date(2026, 12, 31),
    "SEK",
    (("1686", "Fordringar för kontokort"), ("1930", "Företagskonto")),
)


def sek(minor: int) -> Money:
    return Money(minor, "SEK")


def test_vouchers_are_written_in_order_and_balance() -> None:
    later = SieVoucher("V", "10", date(2026, 3, 5), "Utbetalning", (SieRow("1930", sek(5)), SieRow("1686", sek(-5))))
    first = SieVoucher(
        "V", "9", date(2026, 3, 5), 'Åäö "x" \\', (SieRow("1930", sek(121250), "rad"), SieRow("1686", sek(-121250)))
    )
    odd = SieVoucher("", "", date(2026, 3, 1), "", (SieRow("1686", sek(0)),))
    read = read_strictly(write_sie(HEAD, [later, first, odd]))
    assert [voucher["number"] for voucher in read["vouchers"]] == ["", "9", "10"]
    assert read["vouchers"][1]["text"] == 'Åäö "x" /'
    assert read["vouchers"][1]["rows"] == [("1930", Decimal("1212.50")), ("1686", Decimal("-1212.50"))]
    assert read["heads"]["#FNAMN"] == [['Fjäll "butiken" AB']]
    assert read["heads"]["#RAR"] == [["0", "20260101", "20261231"]]


def test_a_voucher_that_does_not_balance_cannot_be_written() -> None:
    with pytest.raises(Unbalanced):
        SieVoucher("V", "1", date(2026, 3, 5), "x", (SieRow("1930", sek(1)),))
    with pytest.raises(Unbalanced):
        SieVoucher("V", "1", date(2026, 3, 5), "x", ())


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Åsa Öberg", '"Åsa Öberg"'),
        ("Erdős – Łódź", '"Erdos - Lódz"'),
        ("山田", '"??"'),
        ("a\r\nb\tc\x07\u202e", '"a b c"'),
        ('say "hi"\\', '"say \\"hi\\"/"'),
        ("Øre 100 €", '"Ore 100 EUR"'),
    ],
)
def test_strangers_texts_fit_the_code_page(text: str, written: str) -> None:
    assert quoted(text) == written
