"""Figures as people type them."""

from decimal import Decimal

import pytest

from addon.core.written import figure_of


@pytest.mark.parametrize(
    ("typed", "figure"),
    [
        ("1234.50", "1234.50"),
        ("1234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u00a0234,5", "1234.5"),
        ("1\u202f234,50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1.234.567,89", "1234567.89"),
        ("1,234,567.89", "1234567.89"),
        ("1.234.567", "1234567"),
        ("0.125", "0.125"),
        ("\u22124,25", "-4.25"),
        ("-1.250,00", "-1250"),
        ("+7", "7"),
        ("0", "0"),
        (" 12 ", "12"),
        (",5", "0.5"),
        ("12.", "12"),
    ],
)
def test_one_amount_in_many_hands(typed: str, figure: str) -> None:
    assert figure_of(typed) == Decimal(figure)


@pytest.mark.parametrize("typed", ["1.000", "-1.250", "12.345"])
def test_what_is_two_figures_is_asked_for_again(typed: str) -> None:
    with pytest.raises(ValueError, match="two figures"):
        figure_of(typed)


def test_a_currency_of_three_decimals_keeps_its_point() -> None:
    assert figure_of("1.234", decimals=3) == Decimal("1.234")
    assert figure_of("1.234.567", decimals=3) == Decimal(1234567)


@pytest.mark.parametrize(
    "typed",
    ["", "-", ".", ",", "1,2,3", "1.2.3", "1.2,3.4", "12,3.4", "12 kr", "1e5", "NaN", "Infinity", "--1", "1" * 19],
)
def test_what_is_no_figure_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="figure"):
        figure_of(typed)
