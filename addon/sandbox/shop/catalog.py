"""What a simulated shop sells and to whom: invented goods, invented buyers, prices in any currency."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from addon.sandbox.stripe.money import CHARGE_MULTIPLE, decimals, exchange_rate


@dataclass(frozen=True, slots=True)
class Product:
    """Something for sale; the price is in whole Swedish kronor with VAT."""

    sku: str
    name: str
    kronor: int


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys; some give no e-mail address, some are companies with a VAT number."""

    name: str
    email: str | None
    country: str
    city: str
    postal_code: str
    vat_number: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order; the price is for one piece, with VAT, in the order currency's smallest unit."""

    product: Product
    quantity: int
    price: int


FELL_GOODS = (
    Product("TENT-2", "Tunnel tent for two", 3490),
    Product("BAG-03", "Down sleeping bag", 2695),
    Product("STOVE-1", "Spirit stove", 749),
    Product("MUG-07", "Birch mug", 189),
    Product("SOCK-3", "Wool socks, three pairs", 329),
    Product("MAP-12", "Fell map, waterproof", 229),
    Product("PACK-50", "Rucksack 50 litres", 1895),
    Product("LAMP-2", "Head torch", 599),
)
DESIGN_GOODS = (
    Product("VASE-1", "Stoneware vase", 695),
    Product("LAMP-9", "Pendant lamp Norrsken", 2490),
    Product("PRINT-4", "Print, northern light, 50 × 70", 449),
    Product("THROW-2", "Wool throw", 1290),
    Product("BOWL-3", "Glass bowl", 385),
    Product("CARD-10", "Ten cards with envelopes", 149),
)

_FIRST = "Anna Erik Karin Lars Maja Nils Sofia Olle Ingrid Johan Elsa Per Sara Mats Lena Björn Eva Åke Ida Gösta"
_LAST = "Lindqvist Åberg Nyström Hedlund Öberg Sjögren Wiklund Strand Fors Dahl Ekman Granath Bergman Lund Norén"
_ABROAD: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    # currency -> (country, surname, city, postal code)
    "eur": (
        ("DE", "Bergmann", "Kiel", "24103"),
        ("FI", "Virtanen", "Oulu", "90100"),
        ("FR", "Lefèvre", "Lyon", "69002"),
        ("NL", "de Vries", "Utrecht", "3511"),
        ("IE", "O'Brien", "Cork", "T12"),
    ),
    "nok": (("NO", "Haugen", "Bodø", "8006"),),
    "dkk": (("DK", "Sørensen", "Aarhus", "8000"),),
    "gbp": (("GB", "Ashworth", "Leeds", "LS1 4AP"),),
    "usd": (("US", "Whitfield", "Duluth", "55802"),),
    "jpy": (("JP", "山田", "Sapporo", "060-0001"),),
    "kwd": (("KW", "Al-Sabah Trading", "Kuwait City", "13001"),),
    "isk": (("IS", "Jónsdóttir", "Akureyri", "600"),),
    "chf": (("CH", "Zürcher", "Chur", "7000"),),
    "pln": (("PL", "Wiśniewska", "Gdynia", "81-001"),),
    "czk": (("CZ", "Dvořáková", "Brno", "602 00"),),
    "cad": (("CA", "Tremblay", "Québec", "G1R 4P5"),),
    "aud": (("AU", "Nguyen", "Hobart", "7000"),),
    "huf": (("HU", "Szabó", "Pécs", "7621"),),
}
_VAT_NUMBERS = {"DE": "DE136695976", "NL": "NL004495445B01", "FI": "FI20774740", "FR": "FR83404833048"}


def make_buyer(chance: random.Random, currency: str, number: int, *, with_email: bool) -> Buyer:
    """An invented buyer who would pay in this currency."""
    first = chance.choice(_FIRST.split())
    if currency in _ABROAD:
        country, last, city, postal_code = chance.choice(_ABROAD[currency])
    else:
        country, last, city, postal_code = "SE", chance.choice(_LAST.split()), "Östersund", "831 30"
    company = country in _VAT_NUMBERS and chance.random() < 0.15
    name = f"{last} GmbH" if company and country == "DE" else f"{first} {last}"
    return Buyer(
        name,
        f"buyer{number}@example.{'com' if number % 3 else 'org'}" if with_email else None,
        country,
        city,
        postal_code,
        _VAT_NUMBERS[country] if company else None,
    )


def price_in(product: Product, currency: str, day: date) -> int:
    """What one piece costs in a currency, in its smallest unit: an even sum as a shop would print it."""
    ore = product.kronor * 100
    if currency == "sek":
        return ore
    exact = Decimal(ore) * exchange_rate(0, "sek", currency, date(day.year, 1, 1))
    whole_unit = 10 ** decimals(currency)
    step = max(CHARGE_MULTIPLE.get(currency, 1), whole_unit // 10 or 1)
    return max(step, int(exact) // step * step)
