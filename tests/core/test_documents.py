"""A wrong document cannot be built: each law has its own exception."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.accounts import Account, AccountMap, AccountNotMapped, AccountRole
from addon.core.documents import (
    Customer,
    CustomerVat,
    Invoice,
    InvoiceLine,
    Unbalanced,
    Voucher,
    VoucherLine,
    WrongDocument,
    signed_line,
)
from addon.core.money import CurrencyMismatch, Money
from addon.core.records import Fee, Movement, MovementKind, PartKind
from tests.core.samples import money

CLEARING = Account(AccountRole.CLEARING, "1686")
FEE = Account(AccountRole.FEE, "6570")
SALES = Account(AccountRole.SALES, "3001")
DAY = date(2026, 3, 2)
ANNA = Customer("customer/anna", "Anna", CustomerVat.DOMESTIC)


def voucher(*lines: VoucherLine) -> Voucher:
    return Voucher("stripe/test", DAY, "text", lines)


def test_a_voucher_that_balances() -> None:
    made = voucher(VoucherLine(FEE, debit=money("1.00 SEK")), VoucherLine(CLEARING, credit=money("1.00 SEK")))
    assert [line.signed for line in made.lines] == [money("1.00 SEK"), money("-1.00 SEK")]


WRONG: list[tuple[str, type[Exception], Callable[[], object]]] = [
    ("no side", WrongDocument, lambda: VoucherLine(FEE)),
    ("both sides", WrongDocument, lambda: VoucherLine(FEE, debit=money("1.00 SEK"), credit=money("1.00 SEK"))),
    ("nought", WrongDocument, lambda: VoucherLine(FEE, debit=money("0.00 SEK"))),
    ("negative", WrongDocument, lambda: VoucherLine(FEE, credit=money("-1.00 SEK"))),
    ("signed nought", WrongDocument, lambda: signed_line(FEE, money("0.00 SEK"))),
    (
        "the customer ledger's account",
        WrongDocument,
        lambda: VoucherLine(Account(AccountRole.CUSTOMER_CLAIMS, "1510"), debit=money("1.00 SEK")),
    ),
    ("no lines", WrongDocument, voucher),
    ("one line", WrongDocument, lambda: voucher(VoucherLine(FEE, debit=money("1.00 SEK")))),
    (
        "out of balance",
        Unbalanced,
        lambda: voucher(VoucherLine(FEE, debit=money("1.00 SEK")), VoucherLine(CLEARING, credit=money("0.99 SEK"))),
    ),
    (
        "two currencies",
        CurrencyMismatch,
        lambda: voucher(VoucherLine(FEE, debit=money("1.00 SEK")), VoucherLine(CLEARING, credit=money("1.00 EUR"))),
    ),
    ("an invoice without lines", WrongDocument, lambda: Invoice("k", ANNA, DAY, (), money("0.00 SEK"), Decimal(0))),
    (
        "an invoice whose lines are not its total",
        Unbalanced,
        lambda: Invoice(
            "k", ANNA, DAY, (InvoiceLine("a", money("1.00 SEK"), 25, SALES),), money("1.01 SEK"), Decimal("0.20")
        ),
    ),
    (
        "an invoice with lines of another currency",
        CurrencyMismatch,
        lambda: Invoice(
            "k", ANNA, DAY, (InvoiceLine("a", money("1.00 EUR"), 25, SALES),), money("1.00 SEK"), Decimal("0.20")
        ),
    ),
    (
        "a fee in another currency than its movement",
        CurrencyMismatch,
        lambda: Movement(
            "txn_1",
            MovementKind.SALE,
            money("1.00 SEK"),
            datetime(2026, 3, 2, tzinfo=UTC),
            (Fee(PartKind.FEE, money("0.10 EUR")),),
        ),
    ),
    ("a fee that is the amount", ValueError, lambda: Fee(PartKind.AMOUNT, money("0.10 EUR"))),
    ("a role without a number", AccountNotMapped, lambda: AccountMap({}).get(AccountRole.FEE)),
    (
        "a role without a number for this currency",
        AccountNotMapped,
        lambda: AccountMap({"clearing": "1686", "clearing:SEK": "1686"}).get(AccountRole.CLEARING, "EUR"),
    ),
]


@pytest.mark.parametrize(("error", "build"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_document_cannot_be_built(error: type[Exception], build: Callable[[], object]) -> None:
    with pytest.raises(error):
        build()


def test_nor_can_a_right_one_be_made_wrong() -> None:
    made = voucher(VoucherLine(FEE, debit=money("1.00 SEK")), VoucherLine(CLEARING, credit=money("1.00 SEK")))
    with pytest.raises(FrozenInstanceError):
        made.lines = ()  # type: ignore[misc]
    with pytest.raises(Unbalanced):
        replace(made, lines=(made.lines[0], VoucherLine(CLEARING, credit=money("2.00 SEK"))))


@given(st.lists(st.integers(-(10**9), 10**9).filter(bool), min_size=1, max_size=6))
def test_lines_balance_or_are_refused(amounts: list[int]) -> None:
    lines = [signed_line(FEE, Money(amount, "SEK")) for amount in amounts]
    rest = -sum(amounts)
    if rest:
        with pytest.raises((Unbalanced, WrongDocument)):
            voucher(*lines)
        lines.append(signed_line(CLEARING, Money(rest, "SEK")))
    elif len(lines) < 2:
        return
    assert not Money.total((line.signed for line in voucher(*lines).lines), "SEK")


@given(
    st.integers(-(10**6), 10**6),
    st.lists(st.tuples(st.sampled_from([PartKind.FEE, PartKind.FEE_TAX]), st.integers(-(10**4), 10**4)), max_size=4),
)
def test_the_parts_of_a_movement_are_its_net(amount: int, fees: list[tuple[PartKind, int]]) -> None:
    movement = Movement(
        "txn_1",
        MovementKind.SALE,
        Money(amount, "SEK"),
        datetime(2026, 3, 2, tzinfo=UTC),
        tuple(Fee(kind, Money(fee, "SEK")) for kind, fee in fees),
    )
    parts = movement.parts()
    assert movement.net().minor == amount - sum(fee for _, fee in fees)
    assert Money.total((part.amount for part in parts), "SEK") == movement.net()
    assert len({part.name for part in parts}) == len(parts) >= 1
