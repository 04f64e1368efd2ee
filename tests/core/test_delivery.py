"""What delivery decides about an answer: compare, round, write off, try again."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.accounts import Account, AccountRole
from addon.core.books import InvoiceView
from addon.core.delivery import (
    FailureKind,
    Verdict,
    compare_created,
    retry_delay,
    rounding_line,
    with_rounding,
    write_off,
)
from addon.core.documents import Customer, CustomerVat, Invoice, InvoiceLine
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import vat_of
from tests.core.samples import fixing, money

SALES = Account(AccountRole.SALES, "3001")
ROUNDING = Account(AccountRole.ROUNDING, "3740")
DAY = date(2026, 3, 2)


def planned(total: str, rate: ExchangeRate | None = None, expected: str | None = None) -> Invoice:
    lines = (InvoiceLine("Order 1", money(total), 25, SALES),)
    return Invoice(
        "stripe/ch_1/invoice",
        Customer("customer/anna", "Anna", CustomerVat.DOMESTIC),
        DAY,
        lines,
        money(total),
        vat_of(lines),
        rate,
        Decimal(expected) if expected else None,
    )


def made(plan: Invoice, **changes: Any) -> InvoiceView:
    rate = plan.rate.rate if plan.rate else Decimal(1)
    view = InvoiceView(
        number="101",
        currency=plan.currency,
        total=plan.total,
        balance=plan.total,
        vat=plan.vat,
        rate=rate,
        unit=plan.rate.unit if plan.rate else 1,
        booked=False,
        cancelled=False,
        invoice_date=DAY,
    )
    return replace(view, **changes)


SEK = planned("937.50 SEK")
CREDIT = planned("-937.50 SEK")
EUR = planned("100.00 EUR", fixing("EUR", DAY, "11.30"))
OWN = planned("100.00 EUR", expected="11.25")
NOK = planned("100.00 NOK", expected="0.97")
BLIND = planned("100.00 EUR")
YEN = planned("999 JPY", fixing("JPY", DAY, "6.38", 100))

COMPARED: list[tuple[str, Invoice, dict[str, Any], Verdict, HoldReason | None]] = [
    ("agrees", SEK, {}, Verdict.AGREES, None),
    ("agrees, with a nought of rounding", SEK, {"round_off": money("0.00 SEK")}, Verdict.AGREES, None),
    ("a VAT öre less", SEK, {"vat": Decimal("187.49")}, Verdict.AGREES, None),
    ("two VAT öre less", SEK, {"vat": Decimal("187.48")}, Verdict.DIFFERS, HoldReason.TOTAL_DIFFERS),
    ("no VAT", SEK, {"vat": Decimal(0)}, Verdict.DIFFERS, HoldReason.TOTAL_DIFFERS),
    (
        "rounded up",
        SEK,
        {"total": money("938.00 SEK"), "round_off": money("0.50 SEK")},
        Verdict.ROUNDED_UP,
        None,
    ),
    (
        "rounded down",
        planned("100.30 SEK"),
        {"total": money("100.00 SEK"), "round_off": money("-0.30 SEK")},
        Verdict.ROUNDED_DOWN,
        None,
    ),
    (
        "a credit note rounded to a greater magnitude",
        CREDIT,
        {"total": money("-938.00 SEK"), "round_off": money("-0.50 SEK")},
        Verdict.ROUNDED_UP,
        None,
    ),
    (
        "a credit note rounded to a smaller magnitude",
        CREDIT,
        {"total": money("-937.00 SEK"), "round_off": money("0.50 SEK")},
        Verdict.ROUNDED_DOWN,
        None,
    ),
    (
        "an öre that is not called rounding",
        SEK,
        {"total": money("937.51 SEK")},
        Verdict.DIFFERS,
        HoldReason.TOTAL_DIFFERS,
    ),
    (
        "another difference than the rounding it tells of",
        SEK,
        {"total": money("938.00 SEK"), "round_off": money("0.49 SEK")},
        Verdict.DIFFERS,
        HoldReason.TOTAL_DIFFERS,
    ),
    (
        "a whole krona called rounding",
        SEK,
        {"total": money("938.50 SEK"), "round_off": money("1.00 SEK")},
        Verdict.DIFFERS,
        HoldReason.TOTAL_DIFFERS,
    ),
    (
        "a foreign invoice rounded",
        EUR,
        {"total": money("101.00 EUR"), "round_off": money("1.00 EUR")},
        Verdict.DIFFERS,
        HoldReason.TOTAL_DIFFERS,
    ),
    (
        "another currency",
        EUR,
        {"currency": "SEK", "total": money("100.00 SEK"), "rate": Decimal(1)},
        Verdict.DIFFERS,
        HoldReason.TOTAL_DIFFERS,
    ),
    ("kronor at another rate than 1", SEK, {"rate": Decimal("1.1")}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("the rate that was sent", EUR, {}, Verdict.AGREES, None),
    ("the rate rounded in its seventh figure", EUR, {"rate": Decimal("11.300001")}, Verdict.AGREES, None),
    ("rate 1 for one that was sent", EUR, {"rate": Decimal(1)}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("a day's other rate", EUR, {"rate": Decimal("11.31")}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("per hundred", YEN, {}, Verdict.AGREES, None),
    ("per hundred, told per one", YEN, {"rate": Decimal("0.0638"), "unit": 1}, Verdict.AGREES, None),
    ("the unit lost", YEN, {"unit": 1}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("its own rate, near the provider's", OWN, {"rate": Decimal("11.40")}, Verdict.AGREES, None),
    ("its own rate, far off", OWN, {"rate": Decimal("13.00")}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("rate 1 where some rate is expected", OWN, {"rate": Decimal(1)}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("rate 1 where it would be near", NOK, {"rate": Decimal(1)}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("near 1 and not 1", NOK, {"rate": Decimal("0.9521")}, Verdict.AGREES, None),
    ("rate 1 with nothing to compare", BLIND, {"rate": Decimal(1)}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
    ("any other rate with nothing to compare", BLIND, {"rate": Decimal("11.4")}, Verdict.AGREES, None),
    ("no rate", BLIND, {"rate": Decimal(0)}, Verdict.DIFFERS, HoldReason.RATE_DIFFERS),
]


@pytest.mark.parametrize(
    ("plan", "changes", "verdict", "reason"), [case[1:] for case in COMPARED], ids=[case[0] for case in COMPARED]
)
def test_compare_created(plan: Invoice, changes: dict[str, Any], verdict: Verdict, reason: HoldReason | None) -> None:
    comparison = compare_created(plan, made(plan, **changes), "SEK")
    assert (comparison.verdict, comparison.reason) == (verdict, reason)
    assert (reason is None) == (verdict is not Verdict.DIFFERS)


@given(st.integers(-(10**7), 10**7).filter(bool))
def test_a_rounding_row_lifts_the_magnitude_to_a_whole_krona(minor: int) -> None:
    total = Money(minor, "SEK")
    plan = planned(str(total))
    rounded = with_rounding(plan, ROUNDING)
    assert rounded.total.minor % 100 == 0
    assert 0 <= abs(rounded.total.minor) - abs(minor) < 100
    assert rounded.vat == plan.vat
    assert rounded.rounding_line == bool(minor % 100)
    assert (rounding_line(total, ROUNDING) is None) == (minor % 100 == 0)
    assert with_rounding(rounded, ROUNDING) == rounded
    rest = write_off(rounded.total, total)
    assert total + (rest or Money.zero("SEK")) == rounded.total


def test_the_rounding_row_keeps_everything_else() -> None:
    plan = replace(planned("99.50 SEK"), order_number="1001", text="text", corrects_key="stripe/ch_0/invoice")
    rounded = with_rounding(plan, ROUNDING)
    assert replace(rounded, lines=plan.lines, total=plan.total, rounding_line=False) == plan


@pytest.mark.parametrize(
    ("total", "paid", "rest"),
    [
        ("938.00 SEK", "937.50 SEK", "0.50 SEK"),
        ("937.50 SEK", "937.50 SEK", None),
        ("-938.00 SEK", "-937.50 SEK", "-0.50 SEK"),
        ("937.00 SEK", "937.50 SEK", "-0.50 SEK"),
        ("938.00 SEK", "937.01 SEK", "0.99 SEK"),
    ],
)
def test_write_off(total: str, paid: str, rest: str | None) -> None:
    assert write_off(money(total), money(paid)) == (money(rest) if rest else None)


@pytest.mark.parametrize(
    ("total", "paid"), [("938.00 SEK", "937.00 SEK"), ("1 JPY", "2 JPY"), ("0.00 SEK", "9.00 SEK")]
)
def test_a_whole_unit_is_no_rounding(total: str, paid: str) -> None:
    with pytest.raises(ValueError, match="rounding"):
        write_off(money(total), money(paid))


@pytest.mark.parametrize(
    ("kind", "attempt", "told", "seconds"),
    [
        (FailureKind.TRY_LATER, 1, None, 2),
        (FailureKind.TRY_LATER, 2, None, 4),
        (FailureKind.TRY_LATER, 8, None, 256),
        (FailureKind.TRY_LATER, 9, None, 300),
        (FailureKind.TRY_LATER, 1000, None, 300),
        (FailureKind.TRY_LATER, 1, 0, 0),
        (FailureKind.TRY_LATER, 1, 45, 45),
        (FailureKind.TRY_LATER, 5, 900, 900),
        (FailureKind.OUTCOME_UNKNOWN, 1, None, 600),
        (FailureKind.OUTCOME_UNKNOWN, 1, 5, 600),
        (FailureKind.OUTCOME_UNKNOWN, 7, None, 600),
        (FailureKind.CRASHED, 1, None, 600),
    ],
)
def test_retry_delay(kind: FailureKind, attempt: int, told: int | None, seconds: int) -> None:
    assert retry_delay(kind, attempt, told, quarantine_s=600).total_seconds() == seconds
