"""The VAT of sales: what a company has decided, rates by date, checks of VAT numbers, and the OSS threshold.

Nothing here knows a movement or a plan: `core.plan.vat` applies it to one sale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from addon.core.money import Money

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK"

EU_VAT_TERRITORY: Final = frozenset(_EU.split())
"""Countries inside the EU's VAT territory, as ISO 3166 writes them (Greece GR, in VAT numbers EL).

Source: council directive 2006/112/EC, articles 5–8, as it stands since the United Kingdom left. Monaco counts
as France (article 7). Åland (AX), the French overseas departments (GF GP MQ RE YT), the Faroes, Greenland,
Gibraltar, San Marino and Liechtenstein are outside (article 6). Northern Ireland counts as inside for goods,
but shares the code GB, so that a sale there cannot be told from one to Great Britain and is taken as export.
"""

STANDARD: Final = "standard"
"""The category of goods and services that no reduced rate is for."""


class Supply(StrEnum):
    """What is sold, as far as the place of taxation depends on it."""

    GOODS = "goods"
    SERVICES = "services"
    """Services that are taxed where the seller is when a consumer buys them (article 45)."""
    DIGITAL = "digital"
    """Services by electronic means, taxed where the consumer is (article 58); OSS and its threshold hold for them."""


class OssRule(StrEnum):
    """Whether consumers in other EU countries pay the VAT of their own country."""

    NO = "no"
    FROM_THRESHOLD = "from_threshold"
    """From the sale on that takes the calendar year's total over the threshold."""
    ALWAYS = "always"


class EuBusiness(StrEnum):
    """How a business in another EU country with a VAT number is treated, where the provider tells no tax."""

    DOMESTIC = "domestic"
    REVERSE_CHARGE = "reverse_charge"
    """Without VAT, once the number has been found valid."""


class InvalidNumber(StrEnum):
    """What becomes of a sale whose VAT number is not valid."""

    AS_CONSUMER = "as_consumer"
    HOLD = "hold"


class OddVat(StrEnum):
    """What becomes of a sale at a rate that the ledger's invoices cannot hold, such as Finland's 25.5 %."""

    HOLD = "hold"
    VOUCHER = "voucher"
    """The sale is written as a voucher with its VAT as a row of its own; no customer invoice is made."""


@dataclass(frozen=True, slots=True)
class RateWindow:
    """A rate of a country for a category of goods or services, from its first to its last day (None: still)."""

    country: str
    category: str
    percent: Decimal
    first_day: date
    last_day: date | None = None
    source: str = ""

    def holds(self, day: date) -> bool:
        """Whether the rate is in force on a day."""
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True, slots=True)
class SaleRule:
    """A company's own rule: sales to `country` of products whose code begins with `code` are `what`.

    `country` is ISO 3166 two letters, `EU` for the other EU countries, or `*`. `code` is the beginning of a SKU, a
    product's reference or its tax code at the provider, or `*`. `what` is a category of rates, a rate in percent, or
    a kind of supply.
    """

    country: str
    code: str
    what: str

    def fits(self, country: str, codes: Iterable[str], home: str) -> bool:
        """Whether the rule is about a sale of a product with these codes to a country."""
        if self.country == "EU":
            there = country in EU_VAT_TERRITORY and country != home
        else:
            there = self.country in ("*", country)
        return there and (self.code == "*" or any(code.startswith(self.code) for code in codes))

    def __str__(self) -> str:
        return f"{self.country} {self.code} {self.what}"


_COUNTRY = re.compile(r"[A-Z]{2}|\*")
_CODE = re.compile(r"[0-9A-Za-z_.:#/-]{1,60}|\*")
_WHAT = re.compile(r"[a-z][a-z_]{1,29}|[0-9]{1,2}(\.[0-9]{1,2})?")


def read_rules(text: str) -> tuple[SaleRule, ...]:
    """Rules written `country code what`, one a line or divided by semicolons. Raises `ValueError` with a sentence."""
    rules = []
    for line in re.split(r"[;\n]", text):
        words = line.split()
        if not words:
            continue
        if len(words) != 3:
            raise ValueError(f"each rule has three words: country, product code, rate; not {line.strip()[:60]!r}")
        country, code, what = words[0].upper(), words[1], words[2].lower().removesuffix("%")
        if not _COUNTRY.fullmatch(country):
            raise ValueError(f"{words[0][:10]!r} is no country: two letters, EU, or * for all")
        if not _CODE.fullmatch(code):
            raise ValueError(f"{code[:20]!r} is no product code, nor * for all")
        if not _WHAT.fullmatch(what):
            raise ValueError(f"{words[2][:20]!r} is no rate, category or kind of supply")
        rules.append(SaleRule(country, code, what))
    if len(rules) > 50:
        raise ValueError("there can be fifty rules at most")
    return tuple(rules)


class NumberState(StrEnum):
    """What is known of a VAT number."""

    VALID = "valid"
    INVALID = "invalid"
    MALFORMED = "malformed"
    """It cannot be a VAT number: the format or its check digits are wrong. Nobody was asked."""
    UNAVAILABLE = "unavailable"
    """The register, or the member state behind it, did not answer."""


@dataclass(frozen=True, slots=True)
class NumberCheck:
    """What a register said of a VAT number, when, and under which consultation number (the evidence)."""

    number: str
    state: NumberState
    checked_on: date
    consultation: str = ""
    name: str = ""
    reason: str = ""


LONGEST_NUMBER: Final = 20
"""No country's is longer than 14; what a buyer typed beyond this is cut, and the number is malformed all the same."""


def plain_number(text: str, country: str = "") -> str:
    """A VAT number without spaces and signs, its country in front: `DE 136 695 976` is DE136695976.

    Where it begins with no country, the one given is put in front (Greece writes EL).
    """
    number = re.sub(r"[^0-9A-Z+*]", "", text.upper())
    if number and not number[:2].isalpha():
        prefix = "EL" if country.upper() == "GR" else country.upper()
        number = prefix + number
    return number[:LONGEST_NUMBER]


def country_of(number: str) -> str:
    """The country of a VAT number as ISO 3166 writes it; empty for one outside the EU (XI, GB, CH …)."""
    prefix = "GR" if number[:2] == "EL" else number[:2]
    return prefix if prefix in EU_VAT_TERRITORY else ""


OSS_LIMITS: Final[Mapping[str, int]] = {"EUR": 10_000_00, "SEK": 99_680_00, "DKK": 74_415_00}
"""The threshold for consumers in all other EU countries together, in smallest units, without VAT, a calendar year.

Directive 2006/112/EC, article 59c: 10,000 EUR; in Sweden 99,680 SEK, in Denmark 74,415 DKK, by their own acts.
"""


@dataclass(frozen=True, slots=True)
class OssYear:
    """What was sold so far in a calendar year to consumers in other EU countries, without VAT, in the books' currency.

    `crossed`: a sale has been taxed abroad because of the threshold; what is refunded later does not undo that.
    """

    net: Money
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class OssAmount:
    """A document's share of the OSS figures: country, rate, net and VAT in the books' currency, signed.

    `abroad`: taxed in the buyer's country; else it counts towards the threshold only.
    """

    country: str
    percent: Decimal
    net: Money
    vat: Money
    day: date
    abroad: bool


@dataclass(frozen=True, slots=True)
class VatRules:
    """What a company has decided about the VAT of its sales, with the rates by date; one field of the policy."""

    rates: tuple[RateWindow, ...] = ()
    rules: tuple[SaleRule, ...] = ()
    supply: Supply = Supply.GOODS
    oss: OssRule = OssRule.NO
    oss_before_minor: int = 0
    """What was sold this year to EU consumers by other ways than Kvitt, or before it; smallest units, without VAT."""
    oss_before_year: int = 0
    eu_business: EuBusiness = EuBusiness.DOMESTIC
    invalid_number: InvalidNumber = InvalidNumber.AS_CONSUMER
    odd: OddVat = OddVat.HOLD
    number_wait_days: int = 7
    tax_lines: bool = True
    """Whether the provider's own tax lines are gone by, where it has them."""

    def percent_of(self, country: str, category: str, day: date) -> Decimal | None:
        """The rate of a category in a country on a day; None where none is known."""
        country = "FR" if country == "MC" else country
        found = [
            window
            for window in self.rates
            if (window.country, window.category) == (country, category) and window.holds(day)
        ]
        return max(found, key=lambda window: window.first_day).percent if found else None

    def known_percents(self, country: str, day: date) -> frozenset[Decimal]:
        """All rates that a country has on a day, standard and reduced."""
        country = "FR" if country == "MC" else country
        return frozenset(window.percent for window in self.rates if window.country == country and window.holds(day))


def percent_text(percent: Decimal | int) -> str:
    """A rate as it is written in account roles and sentences: `25`, `25.5`."""
    text = f"{Decimal(percent):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class VatFacts:
    """What is known when a sale's VAT is decided, besides the sale and the rules."""

    checks: Mapping[str, NumberCheck] = field(default_factory=dict)
    """By VAT number, plain."""
    oss: Mapping[int, OssYear] = field(default_factory=dict)
    """By calendar year."""
