"""Exchange rates of the simulated world: one deterministic table, a rate for every currency and date."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

# SEK per one unit, round figures near real ones; the day's rate moves within one per cent round them.
_BASE = """
AED 2.61 AFN 0.138 ALL 0.114 AMD 0.0248 ANG 5.34 AOA 0.0105 ARS 0.0072 AUD 6.28 AWG 5.32 AZN 5.63 BAM 5.74 BBD 4.79
BDT 0.0787 BGN 5.74 BHD 25.41 BIF 0.00324 BMD 9.58 BND 7.36 BOB 1.386 BRL 1.778 BSD 9.58 BTN 0.1086 BWP 0.713
BYN 3.21 BZD 4.76 CAD 6.86 CDF 0.00335 CHF 11.92 CLP 0.01004 CNY 1.346 COP 0.00247 CRC 0.0191 CUP 0.399 CVE 0.1017
CZK 0.4598 DJF 0.0538 DKK 1.5032 DOP 0.1532 DZD 0.0737 EGP 0.2015 ERN 0.639 ETB 0.0653 EUR 11.2184 FJD 4.22 FKP 12.87
GBP 12.8671 GEL 3.53 GHS 0.862 GIP 12.87 GMD 0.1324 GNF 0.0011 GTQ 1.251 GYD 0.0458 HKD 1.231 HNL 0.366 HTG 0.0732
HUF 0.02877 IDR 0.000577 ILS 2.87 INR 0.1086 IQD 0.00731 IRR 0.000228 ISK 0.0782 JMD 0.0597 JOD 13.51 JPY 0.0638
KES 0.0741 KGS 0.1096 KHR 0.00239 KMF 0.0228 KPW 0.01064 KRW 0.00671 KWD 31.24 KYD 11.69 KZT 0.0178 LAK 0.000442
LBP 0.000107 LKR 0.0317 LRD 0.0524 LSL 0.549 LYD 1.762 MAD 1.043 MDL 0.567 MGA 0.00215 MKD 0.1823 MMK 0.00456
MNT 0.00267 MOP 1.195 MRU 0.2406 MUR 0.2103 MVR 0.6218 MWK 0.00552 MXN 0.5163 MYR 2.274 MZN 0.1499 NAD 0.549
NGN 0.00642 NIO 0.2603 NOK 0.9521 NPR 0.0679 NZD 5.58 OMR 24.91 PAB 9.58 PEN 2.702 PGK 2.26 PHP 0.1671 PKR 0.0341
PLN 2.6384 PYG 0.001283 QAR 2.63 RON 2.211 RSD 0.0957 RUB 0.1188 RWF 0.0066 SAR 2.555 SBD 1.163 SCR 0.686 SDG 0.01595
SGD 7.36 SHP 12.87 SLE 0.419 SOS 0.01676 SRD 0.2476 SSP 0.00208 STN 0.458 SVC 1.095 SYP 0.000737 SZL 0.549
THB 0.2951 TJS 1.021 TMT 2.737 TND 3.27 TOP 4.03 TRY 0.2309 TTD 1.411 TWD 0.3148 TZS 0.00388 UAH 0.2302 UGX 0.00268
USD 9.5832 UYU 0.2398 UZS 0.000789 VES 0.0523 VND 0.000365 VUV 0.0793 WST 3.46 XAF 0.0171 XCD 3.548 XOF 0.0171
XPF 0.094 YER 0.0401 ZAR 0.549 ZMW 0.4168 ZWG 0.358
"""
_WORDS = _BASE.split()
BASE_RATES: dict[str, Decimal] = {c: Decimal(r) for c, r in zip(_WORDS[::2], _WORDS[1::2], strict=True)}
CURRENCIES: frozenset[str] = frozenset(BASE_RATES) | {"SEK"}
"""Every currency of the table: the ISO 4217 currencies that are used to pay with."""


def rate_per_one(currency: str, on: date, seed: int) -> Decimal:
    """SEK for one unit of a currency, as fixed on the last weekday up to `on`; five to six figures are significant."""
    if currency == "SEK":
        return Decimal(1)
    fixed = on - timedelta(days=max(0, on.weekday() - 4))
    digest = hashlib.blake2b(f"{seed}:{currency}:{fixed.isoformat()}".encode(), digest_size=4).digest()
    parts = int.from_bytes(digest, "big") % 2001 - 1000
    rate = BASE_RATES[currency] * (Decimal(1) + Decimal(parts) / Decimal(100_000))
    places = 4 if rate >= 1 else 5 - rate.adjusted() - 1
    return rate.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
