"""Rates between two currencies, worked out through a bank's own; and finding the fixing of a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.fixings import CurrencyRules, RateChoice, cross_rates, fixed_on, last_before, rounded_rate
from addon.core.money import ExchangeRate
from addon.core.rules import rate_for
from tests.core.samples import sample_policy

MONDAY = date(2026, 3, 2)


def published(base: str, quote: str, rate: str, unit: int = 1, day: date = MONDAY, source: str = "x") -> ExchangeRate:
    return ExchangeRate(base, quote, Decimal(rate), unit, day, source)


def told(rates: Sequence[ExchangeRate]) -> list[str]:
    return [f"{rate.fixed_on} {rate.base}/{rate.quote} {rate.rate} {rate.unit}" for rate in rates]


def test_a_riksbank_fixing_stays_as_it_is_for_swedish_books() -> None:
    given_rates = [published("EUR", "SEK", "11.2184"), published("JPY", "SEK", "0.06744")]
    assert told(cross_rates(given_rates, "SEK")) == ["2026-03-02 EUR/SEK 11.2184 1", "2026-03-02 JPY/SEK 0.06744 1"]


def test_the_ecb_goes_through_the_euro() -> None:
    given_rates = [
        published("EUR", "SEK", "11.2380"),
        published("EUR", "USD", "1.0777"),
        published("EUR", "JPY", "155.53"),
    ]
    # 11.2380 / 1.0777 = 10.42776282…, and for a yen 0.0722561…
    assert told(cross_rates(given_rates, "SEK")) == [
        "2026-03-02 EUR/SEK 11.2380 1",
        "2026-03-02 JPY/SEK 0.072256 1",
        "2026-03-02 USD/SEK 10.4278 1",
    ]


def test_the_nationalbank_quotes_a_hundred_units_and_goes_through_the_danish_krone() -> None:
    given_rates = [
        published("EUR", "DKK", "747.55", 100),
        published("SEK", "DKK", "66.30", 100),
        published("USD", "DKK", "645.12", 100),
    ]
    assert told(cross_rates(given_rates, "DKK")) == [
        "2026-03-02 EUR/DKK 747.55 100",
        "2026-03-02 SEK/DKK 66.30 100",
        "2026-03-02 USD/DKK 645.12 100",
    ]
    # For Swedish books: a Danish krone costs 1 / 0.6630 kronor, a euro 7.4755 / 0.6630.
    assert told(cross_rates(given_rates, "SEK")) == [
        "2026-03-02 DKK/SEK 1.5083 1",
        "2026-03-02 EUR/SEK 11.2753 1",
        "2026-03-02 USD/SEK 9.7303 1",
    ]


def test_a_day_without_the_books_currency_has_no_rate() -> None:
    assert cross_rates([published("EUR", "USD", "1.0777")], "SEK") == ()


def test_days_and_banks_are_never_mixed() -> None:
    tuesday = MONDAY + timedelta(days=1)
    given_rates = [
        published("EUR", "SEK", "11.20"),
        published("EUR", "USD", "1.10", day=tuesday),
        published("EUR", "USD", "1.20", source="y"),
    ]
    assert told(cross_rates(given_rates, "SEK")) == ["2026-03-02 EUR/SEK 11.20 1"]


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (Fraction(112184, 10000), "11.2184"),
        (Fraction(1, 3), "0.33333"),
        (Fraction(104277628, 10**7), "10.4278"),
        (Fraction(5, 10**8), "0.000000050000"),
        (Fraction(99999999, 10**7), "10.0000"),
        (Fraction(100005, 10**5), "1.0001"),
    ],
)
def test_a_rate_is_as_fine_as_banks_write_theirs(exact: Fraction, rounded: str) -> None:
    assert str(format(rounded_rate(exact), "f")) == rounded


def test_a_rate_below_nought_is_none() -> None:
    with pytest.raises(ValueError, match="positive"):
        rounded_rate(Fraction(0))


@given(
    a=st.decimals("0.0001", "9999", places=4),
    b=st.decimals("0.0001", "9999", places=4),
)
def test_a_cross_rate_is_never_off_by_more_than_its_last_digit(a: Decimal, b: Decimal) -> None:
    (rate,) = [
        rate
        for rate in cross_rates([published("EUR", "SEK", str(a)), published("EUR", "USD", str(b))], "SEK")
        if rate.base == "USD"
    ]
    exponent = rate.rate.as_tuple().exponent
    assert isinstance(exponent, int)
    assert abs(Fraction(rate.rate) - Fraction(a) / Fraction(b)) <= Fraction(1, 2) * Fraction(10) ** exponent
    assert -exponent >= 4


RATES = tuple(published("EUR", "SEK", f"11.{day:02}", day=date(2026, 3, day)) for day in (2, 3, 4, 5, 6, 9))


@pytest.mark.parametrize(
    ("day", "found"),
    [(2, None), (3, "11.02"), (6, "11.05"), (8, "11.06"), (9, "11.06"), (10, "11.09"), (16, "11.09"), (17, None)],
)
def test_a_sale_goes_by_the_fixing_last_published_before_its_day(day: int, found: str | None) -> None:
    rate = rate_for(sample_policy(rates=RATES), "EUR", date(2026, 3, day))
    assert (str(rate.rate) if rate else None) == found


def test_another_currency_and_other_rates_are_not_mistaken() -> None:
    assert last_before(RATES, "USD", "SEK", date(2026, 3, 9)) is None
    assert fixed_on(RATES, "USD", "SEK", date(2026, 3, 9)) is None
    assert fixed_on(RATES, "EUR", "SEK", date(2026, 3, 7)) is None
    assert fixed_on(RATES, "EUR", "SEK", date(2026, 3, 10)) is None
    assert fixed_on(RATES, "EUR", "SEK", date(2026, 3, 9)) == RATES[-1]
    assert last_before((*RATES,), "EUR", "SEK", date(2026, 4, 1)) == RATES[-1]
    assert last_before(RATES[:1], "EUR", "SEK", date(2026, 4, 1)) == RATES[0]


def test_of_two_rates_on_a_day_the_same_one_is_found_whatever_their_order() -> None:
    pair = (published("EUR", "SEK", "11.10", source="b"), published("EUR", "SEK", "11.20", source="a"))
    for rates in (pair, pair[::-1]):
        found = fixed_on(rates, "EUR", "SEK", MONDAY)
        assert found is not None and found.source == "a"


def test_a_bank_is_awaited_until_the_day_before_is_known() -> None:
    def rules(first: int | None, through: int | None) -> CurrencyRules:
        days = [date(2026, 3, day) if day else None for day in (first, through)]
        return CurrencyRules(RateChoice.RIKSBANK, days[0], days[1], frozenset({"AED"}))

    day = date(2026, 3, 20)
    assert rules(None, None).awaits("EUR", day)
    assert rules(1, 18).awaits("EUR", day)
    assert not rules(1, 19).awaits("EUR", day)
    assert not rules(13, 19).awaits("EUR", day)
    assert rules(14, 19).awaits("EUR", day)
    assert not rules(None, None).awaits("AED", day)
    assert not CurrencyRules().awaits("EUR", day)
    assert rate_for(sample_policy(rates=RATES, currency_rules=rules(1, 8)), "EUR", date(2026, 3, 10)) is None
    assert rate_for(sample_policy(rates=RATES, currency_rules=rules(1, 9)), "EUR", date(2026, 3, 10)) is RATES[-1]
