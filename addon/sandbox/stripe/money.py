"""How the simulated Stripe counts money: smallest units, rates of the day, half-up rounding.

Amounts are whole numbers of the currency's smallest unit as Stripe writes it, which is not always ISO 4217's:
ISK and UGX are written with two decimals although they have none, MGA without. Rates are `Decimal` and map
smallest unit to smallest unit, as `exchange_rate` of a balance transaction does.
"""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

_ZERO_DECIMAL_CODES = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
ZERO_DECIMAL = frozenset(_ZERO_DECIMAL_CODES.split())
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))

# Amounts of these currencies are multiples when charging: no fraction of a krona, last digit of a fils 0.
CHARGE_MULTIPLE = {"isk": 100, "ugx": 100, "bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10}

# About what one whole unit costs in Swedish kronor. Invented but plausible: a simulation needs the order of
# magnitude, and every currency Stripe takes, so that tiny and huge rates occur.
_KRONOR_TEXT = (
    "aed=2.58 afn=0.138 all=0.113 amd=0.0245 ang=5.30 aoa=0.0104 ars=0.0068 aud=6.22 awg=5.30 azn=5.58 "
    "bam=5.62 bbd=4.74 bdt=0.0778 bgn=5.62 bhd=25.2 bif=0.00318 bmd=9.48 bnd=7.31 bob=1.37 brl=1.76 "
    "bsd=9.48 bwp=0.67 byn=3.18 bzd=4.72 cad=6.76 cdf=0.0041 chf=11.78 clp=0.0101 cny=1.33 cop=0.00246 "
    "crc=0.0189 cve=0.0997 czk=0.453 djf=0.0533 dkk=1.473 dop=0.148 dzd=0.0727 egp=0.199 etb=0.0616 "
    "eur=10.99 fjd=4.16 fkp=12.46 gbp=12.46 gel=3.50 gip=12.46 gmd=0.129 gnf=0.00109 gtq=1.24 "
    "gyd=0.0453 hkd=1.22 hnl=0.360 htg=0.0724 huf=0.0287 idr=0.000568 ils=2.93 inr=0.107 isk=0.0752 "
    "jmd=0.0590 jod=13.37 jpy=0.0611 kes=0.0734 kgs=0.108 khr=0.00237 kmf=0.0223 krw=0.00648 kwd=30.9 "
    "kyd=11.4 kzt=0.0181 lak=0.000437 lbp=0.000106 lkr=0.0308 lrd=0.0519 lsl=0.549 mad=1.02 mdl=0.557 "
    "mga=0.00211 mkd=0.179 mmk=0.00452 mnt=0.00265 mop=1.18 mru=0.238 mur=0.206 mvr=0.615 mwk=0.00547 "
    "mxn=0.515 myr=2.29 mzn=0.148 nad=0.549 ngn=0.00655 nio=0.258 nok=0.938 npr=0.0668 nzd=5.36 "
    "omr=24.65 pab=9.48 pen=2.81 pgk=2.24 php=0.161 pkr=0.0337 pln=2.59 pyg=0.00134 qar=2.60 ron=2.16 "
    "rsd=0.0938 rub=0.117 rwf=0.00652 sar=2.53 sbd=1.15 scr=0.68 sek=1 sgd=7.29 shp=12.46 sle=0.409 "
    "sos=0.0166 srd=0.247 stn=0.449 szl=0.549 thb=0.292 tjs=1.03 tnd=3.21 top=3.94 try=0.224 ttd=1.40 "
    "twd=0.303 tzs=0.00387 uah=0.225 ugx=0.00263 usd=9.48 uyu=0.238 uzs=0.000789 vnd=0.000360 "
    "vuv=0.0776 wst=3.40 xaf=0.01675 xcd=3.51 xcg=5.30 xof=0.01675 xpf=0.0921 yer=0.0397 zar=0.549 "
    "zmw=0.419"
)
_KRONOR: dict[str, Decimal] = {pair[:3]: Decimal(pair[4:]) for pair in _KRONOR_TEXT.split()}

CURRENCIES = frozenset(_KRONOR)
_SIX_DIGITS = Context(prec=6, rounding=ROUND_HALF_UP)


def decimals(currency: str) -> int:
    """How many decimals Stripe's whole numbers carry in this currency (lower-case code)."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def round_half_up(amount: Decimal) -> int:
    """To whole smallest units, halves away from zero, so that a refund mirrors its sale."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percent_of(amount: int, percent: Decimal) -> int:
    """A percentage of an amount, in the same smallest unit."""
    return round_half_up(Decimal(amount) * percent / 100)


def _drift(seed: int, currency: str, day: date) -> Decimal:
    """Up to 0.8 % either way, the same for a seed, a currency and a day: rates move, tests repeat."""
    if currency == "sek":
        return Decimal(1)
    digest = hashlib.sha256(f"{seed}/{currency}/{day.isoformat()}".encode()).digest()
    return Decimal(1) + Decimal(int.from_bytes(digest[:4], "big") % 1601 - 800) / Decimal(100_000)


@lru_cache(maxsize=8192)
def exchange_rate(seed: int, source: str, target: str, day: date) -> Decimal:
    """Smallest units of `target` for one smallest unit of `source` on a day, six significant digits."""
    whole = (_KRONOR[source] * _drift(seed, source, day)) / (_KRONOR[target] * _drift(seed, target, day))
    return _SIX_DIGITS.create_decimal(whole.scaleb(decimals(target) - decimals(source)))


def convert(amount: int, rate: Decimal) -> int:
    """Apply a smallest-unit rate, half up."""
    return round_half_up(Decimal(amount) * rate)


def written(amount: int, currency: str) -> str:
    """An amount for people: `1 234.50 SEK`, grouped by thin spaces, real minus sign."""
    places = decimals(currency)
    whole, fraction = divmod(abs(amount), 10**places)
    text = f"{whole:,}".replace(",", "\u2009") + (f".{fraction:0{places}d}" if places else "")
    return f"{'−' if amount < 0 else ''}{text} {currency.upper()}"
