"""Rounding that somebody must answer for: prices without VAT, and rows that make VAT come out to the öre.

Whole numbers of smallest units throughout. The accounting system's own rounding to whole kronor is in
`addon.core.delivery`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from addon.core.money import Money

MOST_EXTRA_ROWS: Final = 8
_LARGEST_EXTRA_ROW: Final = 150
"""Smallest units: the fractions of VAT repeat after 125 of them at the latest, at 25, 12 and 6 %."""


@dataclass(frozen=True, slots=True)
class NetPrice:
    """A gross amount as a system sees it that is given prices without VAT: net + VAT + rounding = gross.

    `rounding` is a row of its own without VAT, one smallest unit at most. It is nought where some net price reaches
    the gross amount, which at 25 % four amounts in five allow.
    """

    net: Money
    vat: Money
    rounding: Money


def net_price(gross: Money, vat_percent: Decimal) -> NetPrice:
    """The price without VAT that comes nearest to a gross amount, with the row that makes up the rest.

    The system is taken to work out VAT as net times rate, rounded half away from nought.
    """
    net = gross - gross.tax_included(vat_percent)
    candidates = (net, Money(net.minor - 1, net.currency), Money(net.minor + 1, net.currency))
    best = min(candidates, key=lambda one: (abs(gross - one - _vat_on(one, vat_percent)).minor, abs(one - net).minor))
    vat = _vat_on(best, vat_percent)
    return NetPrice(best, vat, gross - best - vat)


def _vat_on(net: Money, vat_percent: Decimal) -> Money:
    return Money.rounded(net.to_decimal() * vat_percent / 100, net.currency)


def rows_for_vat(gross: Money, vat_percent: Decimal, wanted: Money) -> tuple[Money, ...] | None:
    """Split a gross amount into as few rows as will do, so that the VAT in them, rounded row by row, is as wanted.

    A row's VAT is rounded up or down, so rows of some öre move the sum by one. None where nothing reaches it, as for
    an amount of a few öre. `gross` and `wanted` have the same sign.
    """
    sign = -1 if gross.minor < 0 else 1
    whole = Money(abs(gross.minor), gross.currency)
    for rows in _splits(whole):
        if Money.total((row.tax_included(vat_percent) for row in rows), gross.currency).minor == wanted.minor * sign:
            return tuple(Money(row.minor * sign, row.currency) for row in rows)
    return None


def _splits(whole: Money) -> Iterator[tuple[Money, ...]]:
    """A whole, and the same less some equal small rows, the fewest and smallest first."""
    yield (whole,)
    for number in range(1, MOST_EXTRA_ROWS + 1):
        for size in range(1, _LARGEST_EXTRA_ROW + 1):
            rest = whole.minor - number * size
            if rest <= 0:
                break
            small = Money(size, whole.currency)
            yield (Money(rest, whole.currency), *(small for _ in range(number)))
