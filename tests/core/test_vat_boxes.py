"""The VAT return's boxes, and the rows that a planned document puts onto accounts."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from addon.core.documents import CreateInvoice, Document
from addon.core.entries import EntryRow, account_totals, entries_of
from addon.core.money import Money
from addon.core.plan import OpenMovement, Situation, plan
from addon.core.records import Buyer, Fee, Movement, MovementKind, PartKind
from addon.core.rules import FeeVat, Policy
from addon.core.vat_boxes import BOXES, vat_boxes
from tests.core.samples import NUMBERS, fixing, local, money, sample_policy

DAY = date(2026, 3, 2)


def row(role: str, amount: str, percent: str | None = None, account: str = "") -> EntryRow:
    return EntryRow(account, role, money(f"{amount} SEK"), "", Decimal(percent) if percent else None)


def boxes(*rows: EntryRow) -> dict[str, str]:
    return {box: str(amount.to_decimal()) for box, amount in vat_boxes([rows], "SEK").items()}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [("sales:SE25", "-80.00", "25"), ("output_vat", "-20.00", "25")],
            {"05": "80.00", "10": "20.00", "49": "20.00"},
        ),
        (
            [("sales:SE12", "-100.00", "12"), ("output_vat", "-12.00", "12")],
            {"05": "100.00", "11": "12.00", "49": "12.00"},
        ),
        (
            [("sales:SE6", "-100.00", None), ("output_vat:SE6", "-6.00", None)],
            {"05": "100.00", "12": "6.00", "49": "6.00"},
        ),
        ([("sales:SE0", "-100.00", "0")], {"42": "100.00"}),
        ([("sales:EXPORT", "-100.00", "0")], {"36": "100.00"}),
        ([("sales:EXPORT_SERVICES", "-100.00", "0")], {"40": "100.00"}),
        ([("sales:EU_GOODS", "-100.00", "0")], {"35": "100.00"}),
        ([("sales:EU_SERVICES", "-100.00", "0")], {"39": "100.00"}),
        ([("sales:OSS-DE19", "-100.00", "19"), ("output_vat", "-19.00", "19")], {}),
        (
            [
                ("sales:OSS-DK25", "-100.00", "25"),
                ("output_vat", "-25.00", "25"),
                ("output_vat:OSS-DK25", "-1.00", None),
            ],
            {},
        ),
        (
            [("fee_basis", "40.00", None), ("fee_output_vat", "-10.00", None), ("fee_input_vat", "10.00", None)],
            {"21": "40.00", "30": "10.00", "48": "10.00", "49": "0.00"},
        ),
        ([("fee_basis:NON_EU", "40.00", None)], {"22": "40.00"}),
        ([("fee_domestic_vat", "10.00", None)], {"48": "10.00", "49": "-10.00"}),
        ([("clearing:SEK", "100.00", None), ("rounding", "0.40", None)], {}),
    ],
)
def test_a_row_goes_to_its_box(rows: Iterable[tuple[str, str, str | None]], expected: dict[str, str]) -> None:
    assert boxes(*(row(*each) for each in rows)) == expected


def test_boxes_stand_in_the_order_of_the_return() -> None:
    assert list(BOXES) == sorted(BOXES)
    assert list(boxes(row("fee_input_vat", "1.00"), row("sales:SE25", "-4.00", "25"))) == ["05", "48", "49"]


def sale(amount: str, paid: str | None = None, country: str = "SE", fee: str = "") -> Movement:
    total = money(amount)
    fees = (Fee(PartKind.FEE, money(fee)),) if fee else ()
    return Movement(
        "txn_1",
        MovementKind.SALE,
        total,
        local(DAY),
        fees,
        source_ref="ch_1",
        presented=money(paid) if paid else None,
        buyer=Buyer("Ada", "ada@example.com", country),
    )


def planned(movement: Movement, policy: Policy) -> tuple[Document, ...]:
    names = frozenset(part.name for part in movement.parts())
    result = plan(Situation(movements=(OpenMovement(movement, names, DAY),)), policy)
    assert not result.holds, result.holds
    return result.documents


def balances(document: Document, **more: str) -> dict[str, str]:
    made = entries_of(document, NUMBERS, "SEK")
    assert not Money.total((one.amount for one in made.rows), "SEK")
    return {total.account or total.role: str(total.balance.to_decimal()) for total in account_totals(made.rows, "SEK")}


def test_a_sale_and_its_fees_as_rows() -> None:
    policy = sample_policy(fee_vat=FeeVat.EU_REVERSE_CHARGE)
    documents = {document.kind.value: document for document in planned(sale("1250.00 SEK", fee="37.50 SEK"), policy)}
    assert balances(documents["sale"]) == {
        "1510": "0.00",
        "1686": "1250.00",
        "3001": "-1000.00",
        "output_vat": "-250.00",
    }
    assert balances(documents["fees"])["4535"] == "37.50"
    all_rows = [entries_of(document, NUMBERS, "SEK").rows for document in documents.values()]
    found = {box: str(amount.to_decimal()) for box, amount in vat_boxes(all_rows, "SEK").items()}
    assert found == {"05": "1000.00", "10": "250.00", "21": "37.50", "30": "9.38", "48": "9.38", "49": "250.00"}


def test_a_foreign_sale_is_at_its_own_rate_with_its_difference() -> None:
    policy = sample_policy(rates=(fixing("EUR", date(2026, 3, 1), "11.30"),))
    (document,) = planned(sale("1118.70 SEK", "100.00 EUR", "SE"), policy)
    assert balances(document) == {
        "1510": "0.00",
        "1686": "1118.70",
        "3001": "-904.00",
        "exchange_loss": "11.30",
        "output_vat": "-226.00",
    }
    assert entries_of(document, NUMBERS, "SEK").exact


def test_where_the_rate_is_not_known_the_providers_stands_for_it() -> None:
    (document,) = planned(sale("1118.70 SEK", "100.00 EUR", "SE"), sample_policy())
    made = entries_of(document, NUMBERS, "SEK")
    assert not made.exact
    assert not Money.total((one.amount for one in made.rows), "SEK")
    bare = replace(
        document,
        steps=tuple(
            replace(step, invoice=replace(step.invoice, expected_rate=None))
            if isinstance(step, CreateInvoice)
            else step
            for step in document.steps
        ),
    )
    assert entries_of(bare, NUMBERS, "SEK").rows == made.rows
