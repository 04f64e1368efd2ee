"""ISO 4217 currency codes and their minor units.

Source: the ISO 4217 list of active codes, state of 2026-01-01. A test compares it with the `iso4217` package.
Codes without minor units (metals, funds, test codes) are left out: nobody is paid in them.
"""

from __future__ import annotations

from typing import Final


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ZERO_DECIMALS: Final = _codes(
    """
    BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
    """
)
_TWO_DECIMALS: Final = _codes(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
    CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD
    HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD
    RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
    USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """
)
_THREE_DECIMALS: Final = _codes(
    """
    BHD IQD JOD KWD LYD OMR TND
    """
)
_FOUR_DECIMALS: Final = _codes(
    """
    CLF UYW
    """
)

MINOR_UNITS: Final[dict[str, int]] = {
    **dict.fromkeys(_ZERO_DECIMALS, 0),
    **dict.fromkeys(_TWO_DECIMALS, 2),
    **dict.fromkeys(_THREE_DECIMALS, 3),
    **dict.fromkeys(_FOUR_DECIMALS, 4),
}
"""How many decimals the smallest unit of a currency stands for."""


class UnknownCurrency(ValueError):
    """The code is not one that ISO 4217 gives minor units to."""


def minor_units(currency: str) -> int:
    """Give the number of decimals of a currency's smallest unit. Raises `UnknownCurrency`."""
    try:
        return MINOR_UNITS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is no ISO 4217 currency with minor units") from None
