"""Money as whole smallest units of one currency, and the rates that turn one currency into another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from addon.core.currencies import minor_units


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one sum or comparison."""


class InexactAmount(ValueError):
    """A decimal amount has more decimals than its currency's smallest unit."""


def _half_away(numerator: int, denominator: int) -> int:
    """Divide and round half away from nought. Whole numbers, so that no decimal precision cuts anything off first."""
    magnitude, rest = divmod(abs(numerator), denominator)
    if 2 * rest >= denominator:
        magnitude += 1
    return -magnitude if numerator < 0 else magnitude


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole smallest units (öre, cent, yen, fils) of an ISO 4217 currency; may be negative.

    Adding or comparing two currencies raises `CurrencyMismatch`; bare numbers cannot take part at all.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"money is counted in whole smallest units, not {type(self.minor).__name__}")
        minor_units(self.currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """No money at all, of a currency."""
        return cls(0, currency)

    @classmethod
    def from_decimal(cls, value: Decimal, currency: str) -> Money:
        """Read an amount in major units. Raises `InexactAmount` if it is finer than the smallest unit, or no number."""
        if not value.is_finite():
            raise InexactAmount(f"{value} is no amount of {currency}")
        numerator, denominator = value.as_integer_ratio()
        minor, left = divmod(numerator * 10 ** minor_units(currency), denominator)
        if left:
            raise InexactAmount(f"{value} has more decimals than {currency}")
        return cls(minor, currency)

    @classmethod
    def rounded(cls, value: Decimal, currency: str) -> Money:
        """Round an amount in major units to the smallest unit, half away from nought."""
        numerator, denominator = value.as_integer_ratio()
        return cls(_half_away(numerator * 10 ** minor_units(currency), denominator), currency)

    @classmethod
    def total(cls, amounts: Iterable[Money], currency: str) -> Money:
        """Add up amounts of one currency; nought if there are none."""
        result = cls.zero(currency)
        for amount in amounts:
            result = result + amount
        return result

    def to_decimal(self) -> Decimal:
        """The amount in major units, with all decimals of the currency."""
        return Decimal(self.minor).scaleb(-minor_units(self.currency))

    def _same(self, other: Money) -> None:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other} are of different currencies")

    def __add__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.minor), self.currency)

    def __lt__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return self.minor <= other.minor

    def __gt__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return self.minor > other.minor

    def __ge__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return self.minor >= other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.to_decimal():f} {self.currency}"

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split by weights so that the shares add up to the whole to the smallest unit.

        Largest remainder first, earlier shares on a tie. Raises `ValueError` without a positive weight.
        """
        if not weights or any(weight < 0 for weight in weights) or sum(weights) == 0:
            raise ValueError("an amount is split by weights that are not negative and not all nought")
        sign = -1 if self.minor < 0 else 1
        magnitude, whole = abs(self.minor), sum(weights)
        shares = [magnitude * weight // whole for weight in weights]
        remainders = [magnitude * weight % whole for weight in weights]
        left = magnitude - sum(shares)
        for index in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[:left]:
            shares[index] += 1
        return tuple(Money(sign * share, self.currency) for share in shares)

    def tax_included(self, rate_percent: Decimal) -> Money:
        """The tax inside a gross amount at a rate in percent, rounded half away from nought."""
        numerator, denominator = rate_percent.as_integer_ratio()
        return Money(_half_away(self.minor * numerator, 100 * denominator + numerator), self.currency)


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What `unit` of the currency `base` costs in the currency `quote`, fixed on a date by a source.

    `rate` is a Decimal in major units: 11.30 SEK for 1 EUR has unit 1; 7.21 SEK for 100 JPY has unit 100.
    """

    base: str
    quote: str
    rate: Decimal
    unit: int
    fixed_on: date
    source: str

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.unit <= 0:
            raise ValueError(f"an exchange rate is positive, not {self.rate} for {self.unit} {self.base}")

    def per_one(self) -> Decimal:
        """The price of one major unit of the base currency."""
        return self.rate / self.unit

    def convert(self, amount: Money) -> Money:
        """Turn an amount of the base currency into the quote currency, rounded half away from nought."""
        if amount.currency != self.base:
            raise CurrencyMismatch(f"a rate for {self.base} cannot convert {amount}")
        numerator, denominator = self.rate.as_integer_ratio()
        scale_up, scale_down = 10 ** minor_units(self.quote), 10 ** minor_units(self.base)
        return Money(_half_away(amount.minor * numerator * scale_up, denominator * self.unit * scale_down), self.quote)
