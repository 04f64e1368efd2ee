"""Basic's choices: order numbers as they are written, lists of them, and what a person may choose."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from addon.core.books import InvoiceView
from addon.core.holds import HoldReason
from addon.core.matching import (
    fault_of_choice,
    most_tolerance,
    order_list,
    own_order_number,
    pattern_from,
    stands_on,
)
from tests.core.samples import money


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1001", ("1001",)),
        ("1001, 1002", ("1001", "1002")),
        ("1001,1002,1001", ("1001", "1002")),
        ("#1001 & #1002", ("1001", "1002")),
        ("1001 och 1002", ("1001", "1002")),
        ("1001 1002", ("1001", "1002")),
        ('["1001","1002"]', ("1001", "1002")),
        ("SE-1001;SE-1002", ("SE-1001", "SE-1002")),
        ("Order 1001", ("Order 1001",)),
        ("1001,", ("1001,",)),
        (",".join(str(number) for number in range(11)), (",".join(str(number) for number in range(11)),)),
    ],
)
def test_several_order_numbers_are_a_list_and_a_sentence_is_none(text: str, numbers: tuple[str, ...]) -> None:
    assert order_list(text) == numbers


@pytest.mark.parametrize(
    ("seen", "meant", "pattern"),
    [
        ("SE-1001", "1001", "SE-*"),
        ("SE-1001-web", "1001", "SE-*-web"),
        ("1001", "1001", ""),
        ("1001", "2002", ""),
        ("SE-1001", "", ""),
        ("a*1001", "1001", ""),
        ("a,1001", "1001", ""),
    ],
)
def test_a_pattern_is_learnt_from_one_example(seen: str, meant: str, pattern: str) -> None:
    assert pattern_from(seen, meant) == pattern
    if pattern:
        assert own_order_number(seen, (pattern,)) == meant


def test_the_first_pattern_that_fits_decides() -> None:
    assert own_order_number("SE-1001-web", ("NO-*", "SE-*", "SE-*-web")) == "1001-web"
    assert own_order_number("SE-", ("SE-*",)) == "SE-"
    assert own_order_number("1001", ("nothing",)) == "1001"


INVOICE = InvoiceView(
    number="51",
    currency="SEK",
    total=money("1000.00 SEK"),
    balance=money("1000.00 SEK"),
    vat=Decimal(200),
    rate=Decimal(1),
    unit=1,
    booked=True,
    cancelled=False,
    invoice_date=date(2026, 3, 1),
    order_number="1001",
    your_reference="K-7",
)


def test_an_invoice_may_carry_the_number_in_any_field() -> None:
    assert stands_on(INVOICE, "1001")
    assert stands_on(INVOICE, " K-7 ")
    assert stands_on(INVOICE, "51")
    assert not stands_on(INVOICE, "100")


@pytest.mark.parametrize(
    ("changes", "paid", "reason"),
    [
        ({}, "1000.00 SEK", None),
        ({}, "400.00 SEK", None),
        ({}, "1001.00 SEK", None),
        ({}, "1001.01 SEK", HoldReason.AMOUNT_DIFFERS),
        ({}, "-10.00 SEK", HoldReason.WRONG_SIGN),
        ({"cancelled": True}, "10.00 SEK", HoldReason.INVOICE_CANCELLED),
        ({"booked": False}, "10.00 SEK", HoldReason.INVOICE_NOT_BOOKED),
        ({"balance": money("0.00 SEK")}, "10.00 SEK", HoldReason.ALREADY_PAID),
        ({"currency": "EUR"}, "10.00 SEK", HoldReason.FOREIGN_CURRENCY),
        ({"total": money("-10.00 SEK"), "balance": money("-10.00 SEK")}, "-10.00 SEK", None),
    ],
)
def test_a_persons_choice_is_compared_like_any_match(
    changes: dict[str, object], paid: str, reason: HoldReason | None
) -> None:
    invoice = replace(INVOICE, **changes)
    fault = fault_of_choice(money(paid), invoice, invoice.balance, most_tolerance("SEK"))
    assert (fault[0] if fault else None) is reason
