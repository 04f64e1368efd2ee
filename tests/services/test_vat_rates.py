"""VAT rates by date: the package's standard rates, our file's reduced ones, and that neither contradicts the other."""

from datetime import date
from decimal import Decimal

import duty27_eu_vat
import pytest

from addon.core.vat import EU_VAT_TERRITORY, STANDARD, VatRules
from addon.services import vat_rates

RULES = VatRules(rates=vat_rates.rate_table())
TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("country", "category", "day", "percent"),
    [
        ("SE", STANDARD, "2026-04-01", "25"),
        ("SE", "food", "2026-03-31", "12"),
        ("SE", "food", "2026-04-01", "6"),
        ("SE", "books", "2026-04-01", "6"),
        ("FI", STANDARD, "2024-08-31", "24"),
        ("FI", STANDARD, "2024-09-01", "25.5"),
        ("FI", "food", "2026-01-01", "13.5"),
        ("DE", STANDARD, "2020-12-31", "16"),
        ("GR", STANDARD, "2026-04-01", "24"),
        ("MC", STANDARD, "2026-04-01", "20"),
    ],
)
def test_rates_follow_the_day(country: str, category: str, day: str, percent: str) -> None:
    assert RULES.percent_of(country, category, date.fromisoformat(day)) == Decimal(percent)


def test_no_rate_is_made_up() -> None:
    assert RULES.percent_of("DK", "food", TODAY) is None
    assert RULES.percent_of("NO", STANDARD, TODAY) is None
    assert RULES.known_percents("US", TODAY) == frozenset()
    assert RULES.known_percents("DE", TODAY) == {Decimal(19), Decimal(7)}


def test_todays_standard_rates_are_the_packages() -> None:
    for country in EU_VAT_TERRITORY - {"MC"}:
        theirs = duty27_eu_vat.get_standard_rate("EL" if country == "GR" else country, TODAY)
        assert RULES.percent_of(country, STANDARD, TODAY) == theirs


def test_every_row_of_the_file_has_a_source_and_is_a_reduced_rate() -> None:
    rows = [window for window in vat_rates.rate_table() if window.category != STANDARD]
    assert len(rows) > 80
    for row in rows:
        assert row.source and row.country in EU_VAT_TERRITORY
        standard = RULES.percent_of(row.country, STANDARD, max(row.first_day, date(2020, 1, 1)))
        assert standard is not None and row.percent < standard, row
    for one in rows:
        for other in rows:
            same = one is not other and (one.country, one.category) == (other.country, other.category)
            if same and one.first_day <= other.first_day:
                assert one.last_day is not None and one.last_day < other.first_day, (one, other)


def test_todays_reduced_rates_are_those_of_a_package_of_todays_rates() -> None:
    package = pytest.importorskip("eu_vat_rates_data", reason="a package for this comparison only, not in the lock")
    for country in sorted(EU_VAT_TERRITORY - {"MC"}):
        theirs = package.get_rate(country)
        reduced = [*theirs["reduced"], *(theirs[name] for name in ("super_reduced", "parking") if theirs[name])]
        ours = {window.percent for window in RULES.rates if window.country == country and window.holds(TODAY)}
        ours -= {Decimal(0), RULES.percent_of(country, STANDARD, TODAY)}
        assert ours <= {Decimal(str(rate)) for rate in reduced}, country


@pytest.mark.parametrize(
    "row",
    [
        'country = "SE"',
        'country = "SE"\ncategory = "food"\npercent = 6.0\nfirst_day = 2026-04-01\nsource = "x"',
        'country = "SE"\ncategory = "food"\npercent = "60"\nfirst_day = 2026-04-01\nsource = "x"',
        'country = "SE"\ncategory = "food"\npercent = "6"\nfirst_day = "2026-04-01"\nsource = "x"',
        'country = "SE"\ncategory = "food"\npercent = "6"\nfirst_day = 2026-04-01\nlast_day = 2026-03-01\nsource = "x"',
        'country = "SE"\ncategory = "food"\npercent = "6"\nfirst_day = 2026-04-01\nsource = ""',
    ],
)
def test_a_row_that_is_not_right_is_refused(row: str) -> None:
    with pytest.raises(vat_rates.WrongRates, match="row 1"):
        vat_rates._reduced(f"[[rate]]\n{row}\n")
