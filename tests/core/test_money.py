"""The laws of money: whole units, one currency, exact to and from decimals, splitting and converting without loss."""

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.currencies import MINOR_UNITS, UnknownCurrency, minor_units
from addon.core.money import CurrencyMismatch, ExchangeRate, InexactAmount, Money
from tests.contracts import load_contract
from tests.core.samples import YEARS, fixing, money

currencies = st.sampled_from(sorted(MINOR_UNITS))
minors = st.integers(-(10**15), 10**15)
amounts = st.builds(Money, minors, currencies)
kronor = st.builds(Money, minors, st.just("SEK"))
rates = st.decimals("0.0001", "500", places=6)


def test_the_currency_table_is_that_of_the_iso4217_package() -> None:
    theirs = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
    assert theirs == MINOR_UNITS


def test_the_currency_table_is_that_of_the_contracts() -> None:
    codes = load_contract("currencies.json")["iso4217"]["codes"]
    theirs = {code: entry["minor_units"] for code, entry in codes.items() if entry["minor_units"] is not None}
    assert theirs == MINOR_UNITS


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "sek", "", "SE", "BTC"])
def test_what_nobody_is_paid_in_is_no_currency(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        minor_units(code)
    with pytest.raises(UnknownCurrency):
        Money(1, code)


@given(kronor, kronor, kronor)
def test_adding_is_associative_and_has_a_nought_and_an_opposite(one: Money, two: Money, three: Money) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + Money.zero("SEK") == one
    assert not one + (-one)
    assert one - two == one + (-two)
    assert Money.total([one, two, three], "SEK") == one + two + three
    assert abs(one) == max(one, -one)


@given(kronor, kronor)
def test_amounts_are_ordered_as_their_numbers(one: Money, two: Money) -> None:
    assert (one < two, one <= two, one > two, one >= two, one == two) == (
        one.minor < two.minor,
        one.minor <= two.minor,
        one.minor > two.minor,
        one.minor >= two.minor,
        one.minor == two.minor,
    )


def test_currencies_do_not_mix() -> None:
    one, other = money("1.00 SEK"), money("1.00 EUR")
    for meet in (
        lambda: one + other,
        lambda: one - other,
        lambda: one < other,
        lambda: one <= other,
        lambda: one > other,
        lambda: one >= other,
        lambda: Money.total([one, other], "SEK"),
        lambda: fixing("EUR", YEARS[0].first_day, "11.30").convert(one),
    ):
        with pytest.raises(CurrencyMismatch):
            meet()
    assert one != other
    assert Money.total([], "EUR") == Money.zero("EUR")


@pytest.mark.parametrize("bare", [1, 1.0, Decimal(1), None])
def test_a_bare_number_takes_no_part(bare: object) -> None:
    with pytest.raises(TypeError):
        money("1.00 SEK") + bare  # type: ignore[operator]
    with pytest.raises(TypeError):
        bare - money("1.00 SEK")  # type: ignore[operator]
    with pytest.raises(TypeError):
        money("1.00 SEK") < bare  # type: ignore[operator]  # noqa: B015


def test_summing_without_a_currency_is_an_error() -> None:
    with pytest.raises(TypeError):
        sum([money("1.00 SEK"), money("1.00 SEK")])  # type: ignore[call-overload]


@pytest.mark.parametrize("minor", [1.0, Decimal(1), "1", True, None])
def test_money_is_counted_in_whole_units(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "SEK")  # type: ignore[arg-type]


@given(amounts)
def test_to_and_from_decimal_are_exact_for_every_currency(amount: Money) -> None:
    value = amount.to_decimal()
    assert Money.from_decimal(value, amount.currency) == amount
    assert Money.rounded(value, amount.currency) == amount
    assert -value.as_tuple().exponent == MINOR_UNITS[amount.currency]  # type: ignore[operator]
    assert str(amount) == f"{value:f} {amount.currency}"
    finer = value + Decimal(1).scaleb(-MINOR_UNITS[amount.currency] - 1)
    with pytest.raises(InexactAmount):
        Money.from_decimal(finer, amount.currency)


@pytest.mark.parametrize("text", ["0.005", "1E-3", "NaN", "Infinity", "-Infinity", "sNaN", "0." + "0" * 40 + "1"])
def test_what_no_krona_amount_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InexactAmount):
        Money.from_decimal(Decimal(text), "SEK")


def test_no_decimal_precision_decides_an_amount() -> None:
    with localcontext(Context(prec=3)):
        assert Money.from_decimal(Decimal("123456.78"), "SEK").minor == 12345678
        assert Money.rounded(Decimal("123456.785"), "SEK").minor == 12345679
        assert money("123456.78 SEK").tax_included(Decimal(25)).minor == 2469136
        assert fixing("EUR", YEARS[0].first_day, "11.3456").convert(money("98765.43 EUR")).minor == 112055306


@given(st.decimals(-(10**9), 10**9, places=6), currencies)
def test_rounding_is_half_away_from_nought(value: Decimal, currency: str) -> None:
    step = Decimal(1).scaleb(-MINOR_UNITS[currency])
    assert Money.rounded(value, currency).to_decimal() == value.quantize(step, ROUND_HALF_UP)
    assert Money.rounded(-value, currency) == -Money.rounded(value, currency)


@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=8).filter(any))
def test_splitting_conserves_and_is_within_one_unit(amount: Money, weights: list[int]) -> None:
    shares = amount.allocate(weights)
    assert Money.total(shares, amount.currency) == amount
    for share, weight in zip(shares, weights, strict=True):
        exact = Fraction(amount.minor * weight, sum(weights))
        assert abs(share.minor - exact) < 1
        assert weight or not share
    assert (-amount).allocate(weights) == tuple(-share for share in shares)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8).filter(any), st.data())
def test_a_share_never_exceeds_its_weight_when_the_whole_does_not(weights: list[int], data: st.DataObject) -> None:
    whole = data.draw(st.integers(0, sum(weights)))
    for share, weight in zip(Money(whole, "SEK").allocate(weights), weights, strict=True):
        assert 0 <= share.minor <= weight


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [1, -1], [-1]])
def test_splitting_needs_something_to_split_by(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="split"):
        money("1.00 SEK").allocate(weights)


@given(amounts, st.sampled_from([Decimal(rate) for rate in ("0", "6", "12", "25", "25.5", "8.1", "21")]))
def test_the_tax_inside_an_amount(amount: Money, rate: Decimal) -> None:
    tax = amount.tax_included(rate)
    exact = Fraction(amount.minor) * Fraction(rate) / (100 + Fraction(rate))
    assert abs(tax.minor - exact) <= Fraction(1, 2)
    assert (-amount).tax_included(rate) == -tax
    assert rate or not tax


def test_tax_included_in_round_figures() -> None:
    assert money("1250.00 SEK").tax_included(Decimal(25)) == money("250.00 SEK")
    assert money("0.05 SEK").tax_included(Decimal(25)) == money("0.01 SEK")
    assert money("999 JPY").tax_included(Decimal(25)) == money("200 JPY")
    assert money("1.005 KWD").tax_included(Decimal(25)) == money("0.201 KWD")


@given(amounts, rates, st.sampled_from([1, 100]), currencies)
def test_converting_is_exact_but_for_one_rounding(amount: Money, rate: Decimal, unit: int, quote: str) -> None:
    fixed = ExchangeRate(amount.currency, quote, rate, unit, YEARS[0].first_day, "test")
    exact = Fraction(amount.to_decimal()) * Fraction(rate) / unit * 10 ** MINOR_UNITS[quote]
    assert abs(fixed.convert(amount).minor - exact) <= Fraction(1, 2)
    assert fixed.convert(-amount) == -fixed.convert(amount)
    assert Fraction(fixed.per_one()) == Fraction(rate) / unit or unit == 100


def test_the_unit_of_a_rate_counts() -> None:
    per_hundred = ExchangeRate("JPY", "SEK", Decimal("6.38"), 100, YEARS[0].first_day, "test")
    assert per_hundred.convert(money("999 JPY")) == money("63.74 SEK")
    assert per_hundred.per_one() == Decimal("0.0638")
    assert fixing("KWD", YEARS[0].first_day, "31.24").convert(money("1.005 KWD")) == money("31.40 SEK")


@pytest.mark.parametrize(("rate", "unit"), [("0", 1), ("-1", 1), ("1", 0), ("1", -100)])
def test_a_rate_is_positive(rate: str, unit: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        ExchangeRate("EUR", "SEK", Decimal(rate), unit, YEARS[0].first_day, "test")


@pytest.mark.parametrize(
    ("minor", "weights", "shares"),
    [
        (10, (1, 2, 4), (1, 3, 6)),
        (-10, (1, 2, 4), (-1, -3, -6)),
        (10, (5, 2), (7, 3)),
        (1, (1, 1, 1), (1, 0, 0)),
        (2, (1, 1, 1), (1, 1, 0)),
        (0, (3, 1), (0, 0)),
    ],
)
def test_what_is_left_of_a_split_goes_to_the_largest_remainders(
    minor: int, weights: tuple[int, ...], shares: tuple[int, ...]
) -> None:
    assert Money(minor, "SEK").allocate(weights) == tuple(Money(share, "SEK") for share in shares)
