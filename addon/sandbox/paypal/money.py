"""How the simulated PayPal writes money: decimal strings, no decimals in HUF, JPY and TWD, rates with a margin."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from addon.sandbox.stripe.money import decimals as stripe_decimals
from addon.sandbox.stripe.money import exchange_rate

WHOLE = frozenset({"HUF", "JPY", "TWD"})
CURRENCIES = frozenset(
    "AUD BRL CAD CNY CZK DKK EUR HKD HUF ILS JPY MYR MXN TWD NZD NOK PHP PLN GBP SGD SEK CHF THB USD".split()
)
MARGIN = Decimal("0.03")


def decimals(currency: str) -> int:
    """How many decimals PayPal writes in a currency (upper-case code)."""
    return 0 if currency in WHOLE else 2


def write(amount: int, currency: str) -> dict[str, str]:
    """An amount of the smallest unit as PayPal writes money."""
    places = decimals(currency)
    whole, fraction = divmod(abs(amount), 10**places)
    text = f"{whole}.{fraction:0{places}d}" if places else str(whole)
    return {"currency_code": currency, "value": f"-{text}" if amount < 0 else text}


def round_half_up(amount: Decimal) -> int:
    """To whole smallest units, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def changed(amount: int, source: str, target: str, day: date, seed: int) -> int:
    """What an amount becomes in another currency at PayPal's rate of the day, its margin taken off."""
    rate = exchange_rate(seed, source.lower(), target.lower(), day)
    # Stripe's table maps its own smallest units, which are not PayPal's for HUF and TWD.
    shift = (stripe_decimals(source.lower()) - decimals(source)) - (stripe_decimals(target.lower()) - decimals(target))
    return round_half_up(Decimal(amount) * rate.scaleb(shift) * (1 - MARGIN))
