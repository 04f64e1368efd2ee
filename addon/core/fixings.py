"""Official exchange rates: who publishes them, what a fixing of one currency says of another, and finding one quickly.

A company chooses whose fixings its invoices are made at. Each bank quotes against its own currency: the Riksbank in
kronor, Danmarks Nationalbank in Danish kroner for a hundred units, the ECB in units for one euro. A rate between two
other currencies is worked out exactly, through the bank's own, and rounded once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from addon.core.money import ExchangeRate


class RateChoice(StrEnum):
    """Whose fixings a company's invoices are made at. Swedish VAT law allows each of them (ML 8 kap 21 §)."""

    ACCOUNTING = "accounting"
    """The accounting system's own, as far as it tells; Fortnox fills the rate of the day in by itself."""
    RIKSBANK = "riksbank"
    NATIONALBANK = "nationalbank"
    ECB = "ecb"


PIVOTS: Final[Mapping[RateChoice, str]] = {
    RateChoice.RIKSBANK: "SEK",
    RateChoice.NATIONALBANK: "DKK",
    RateChoice.ECB: "EUR",
}
"""The currency that each bank quotes the others against."""

BANK_NAMES: Final[Mapping[RateChoice, str]] = {
    RateChoice.RIKSBANK: "Sveriges Riksbank",
    RateChoice.NATIONALBANK: "Danmarks Nationalbank",
    RateChoice.ECB: "ECB",
}

CENTRAL_BANKS: Final[Mapping[str, RateChoice]] = {"SE": RateChoice.RIKSBANK, "DK": RateChoice.NATIONALBANK}
"""Whose fixing is the official one where the books are kept; elsewhere the ECB's, which every member state accepts
(article 91.2 of the VAT directive)."""


def central_bank(country: str) -> RateChoice:
    """The bank whose fixings are the official ones in a country."""
    return CENTRAL_BANKS.get(country.upper(), RateChoice.ECB)


def publisher(source: str) -> str:
    """Who a rate is by, as people say it: a bank's name, or the words of the source itself."""
    try:
        return BANK_NAMES.get(RateChoice(source), source)
    except ValueError:
        return source


LEAST_DECIMALS: Final = 4
LEAST_DIGITS: Final = 5
"""A rate that we work out is rounded, half up, to four decimals or to five digits, whichever is finer: that is how
fine the banks publish their own (11.2184 kronor for a euro, 0.06744 for a yen)."""

OLDEST_FIXING_DAYS: Final = 7
"""The longest run of days without a fixing is the one at Easter and at the turn of the year: five."""

OWN_RATE_BAND: Final = Decimal("0.15")
"""How far a rate of the accounting system's may be from the provider's exchange before a person must look: a person
may have typed it in, and a currency may move in the weeks that it stands there."""

OFFICIAL_RATE_BAND: Final = Decimal("0.05")
"""The same for a bank's fixing. It is a day old, and the provider keeps two per cent of what it exchanges: what is
farther off is a wrong unit, a wrong currency, or a day on which a currency fell and a person should know."""

UNPUBLISHED_AFTER_DAYS: Final = 31
"""A currency that a bank has not quoted for a month is one that it does not quote."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """The official fixings of the country's own bank, for days of which the accounting system tells no rate.

    `read_from` and `read_through` are the days that are known of it, as in `CurrencyRules`.
    """

    source: RateChoice
    rates: tuple[ExchangeRate, ...] = ()
    read_from: date | None = None
    read_through: date | None = None

    def rate(self, base: str, quote: str, day: date) -> ExchangeRate | None:
        """The fixing last published before a day, at most a week old; None while that cannot be told."""
        if self.read_from is None or self.read_through is None:
            return None
        oldest = day - timedelta(days=OLDEST_FIXING_DAYS)
        if self.read_through < day - timedelta(days=1) or self.read_from > oldest:
            return None
        found = last_before(self.rates, base, quote, day)
        return found if found is not None and found.fixed_on >= oldest else None


@dataclass(frozen=True, slots=True)
class CurrencyRules:
    """How a company's foreign amounts are valued.

    `read_from` and `read_through` are the first and the last day of which it is known whether the chosen bank has a
    fixing; None: it was never read.
    `unpublished` are the company's currencies that the bank does not quote: for these the accounting system's own
    rates hold. `revalue` says whether foreign balances are valued anew at the end of a financial year.
    """

    source: RateChoice = RateChoice.ACCOUNTING
    read_from: date | None = None
    read_through: date | None = None
    unpublished: frozenset[str] = frozenset()
    revalue: bool = True
    stand_in: StandIn | None = None
    """Whose fixings stand in where the accounting system's own rates hold and it tells none; None: nobody's."""

    def official(self, currency: str) -> bool:
        """Whether the chosen bank's fixings hold for a currency, and not the accounting system's own."""
        return self.source is not RateChoice.ACCOUNTING and currency not in self.unpublished

    def awaits(self, currency: str, day: date) -> bool:
        """Whether the fixing last published before a day cannot be told yet, since the bank was not read so far."""
        if not self.official(currency):
            return False
        if self.read_from is None or self.read_through is None:
            return True
        oldest = day - timedelta(days=OLDEST_FIXING_DAYS)
        return self.read_through < day - timedelta(days=1) or self.read_from > oldest


ACCOUNTING_RATES: Final = CurrencyRules()
"""What holds for a company that has chosen nothing."""


# --- Working one rate out of another --------------------------------------------------------------------------


def cross_rates(fixings: Iterable[ExchangeRate], quote: str) -> tuple[ExchangeRate, ...]:
    """What a bank's fixings say of each of its currencies in the currency `quote`, day by day.

    A fixing that is already one to `quote` stays as it was published, unit and all. The others go through the bank's
    own currency of the same day; days on which that cannot be done have no rate.
    """
    days: dict[tuple[date, str], list[ExchangeRate]] = defaultdict(list)
    for fixing in fixings:
        days[(fixing.fixed_on, fixing.source)].append(fixing)
    found: list[ExchangeRate] = []
    for (day, source), published in sorted(days.items()):
        direct = {fixing.base: fixing for fixing in published if fixing.quote == quote}
        worth = _worth(published)
        for base in sorted(worth):
            if base in direct:
                found.append(direct[base])
            elif base != quote and quote in worth:
                rate = rounded_rate(worth[base] / worth[quote])
                found.append(ExchangeRate(base, quote, rate, 1, day, source))
    return tuple(found)


def _worth(published: Iterable[ExchangeRate]) -> dict[str, Fraction]:
    """What one unit of each currency of a day is worth in the bank's own; whichever way round it quotes."""
    counts: dict[str, int] = defaultdict(int)
    for fixing in published:
        counts[fixing.base] += 1
        counts[fixing.quote] += 1
    pivot = max(sorted(counts), key=lambda currency: counts[currency])
    worth = {pivot: Fraction(1)}
    for fixing in published:
        price = Fraction(fixing.rate) / fixing.unit
        if fixing.quote == pivot:
            worth[fixing.base] = price
        elif fixing.base == pivot:
            worth[fixing.quote] = 1 / price
    return worth


def rounded_rate(exact: Fraction) -> Decimal:
    """An exact rate as fine as banks publish theirs: see `LEAST_DECIMALS`. Raises `ValueError` for one below nought."""
    if exact <= 0:
        raise ValueError(f"an exchange rate is positive, not {exact}")
    wide = Context(prec=60)
    value = wide.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    places = max(LEAST_DECIMALS, LEAST_DIGITS - 1 - value.adjusted())
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, wide)


# --- Finding one ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Series:
    """The rates of one pair of currencies, the earliest first; of two on a day, the first by its source's name."""

    days: tuple[date, ...]
    rates: tuple[ExchangeRate, ...]


_KEPT_SERIES: Final = 3
_last: list[tuple[tuple[ExchangeRate, ...], Mapping[tuple[str, str], _Series]]] = []


def _series_of(rates: tuple[ExchangeRate, ...]) -> Mapping[tuple[str, str], _Series]:
    """Rates by pair and day. Each planned sale asks, always of the same rates: the last answers are kept."""
    for known, series in tuple(_last):
        if known is rates:
            return series
    pairs: dict[tuple[str, str], dict[date, ExchangeRate]] = defaultdict(dict)
    for rate in sorted(rates, key=lambda rate: (rate.source, rate.unit, rate.rate)):
        pairs[(rate.base, rate.quote)].setdefault(rate.fixed_on, rate)
    made = {
        pair: _Series(tuple(sorted(days)), tuple(days[day] for day in sorted(days))) for pair, days in pairs.items()
    }
    _last.append((rates, made))
    del _last[:-_KEPT_SERIES]
    return made


def last_before(rates: tuple[ExchangeRate, ...], base: str, quote: str, day: date) -> ExchangeRate | None:
    """The latest rate that was fixed before a day; None if there is none."""
    series = _series_of(rates).get((base, quote))
    if series is None:
        return None
    position = bisect_left(series.days, day)
    return series.rates[position - 1] if position else None


def fixed_on(rates: tuple[ExchangeRate, ...], base: str, quote: str, day: date) -> ExchangeRate | None:
    """The rate that was fixed on a day itself; None if there is none."""
    series = _series_of(rates).get((base, quote))
    if series is None:
        return None
    position = bisect_left(series.days, day)
    if position < len(series.days) and series.days[position] == day:
        return series.rates[position]
    return None
