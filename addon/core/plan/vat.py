"""The VAT of one sale: from the provider's tax lines, else by the company's rules, else by its default.

A sale becomes lines, each at one rate and on one kind of sales account; their gross amounts add up to what was paid, to
the smallest unit. Every line says why it has its VAT, in a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from addon.core.documents import CustomerVat
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.core.plan.common import nearest_rate, stand_in_rate
from addon.core.plan.situation import CannotBook
from addon.core.records import Buyer, Movement, SaleItem
from addon.core.rules import Policy, decide_vat, rate_for
from addon.core.vat import (
    EU_VAT_TERRITORY,
    OSS_LIMITS,
    STANDARD,
    EuBusiness,
    InvalidNumber,
    NumberState,
    OssAmount,
    OssRule,
    OssYear,
    Supply,
    VatFacts,
    country_of,
    percent_text,
    plain_number,
)

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_MOST_LINES: Final = 100
"""More items than this become one line for each rate: an invoice that long is read by nobody."""
_MOST_PROBLEM: Final = 80

REVERSE_CHARGE: Final = "reverse_charge"
"""The provider's word for a sale without VAT because the buyer accounts for it."""


class NumberWanted(Exception):
    """The sale cannot be planned before a register has answered for this VAT number."""

    def __init__(self, number: str, why: str = "") -> None:
        super().__init__(number)
        self.number = number
        self.why = why


@dataclass(frozen=True, slots=True)
class VatLine:
    """A share of a sale at one rate. `treatment` is the detail of the sales account's role; `country` of the VAT."""

    description: str
    gross: Money
    percent: Decimal
    treatment: str
    customer: CustomerVat
    country: str
    why: str
    counts: bool = False
    """Whether it counts towards the OSS threshold."""
    abroad: bool = False
    """Whether it is taxed in another EU country."""
    number: str = ""
    """The VAT number that it is without VAT for."""


@dataclass(frozen=True, slots=True)
class SaleVat:
    """The VAT of a whole sale: its lines, how its customer is treated, and why."""

    lines: tuple[VatLine, ...]
    customer: CustomerVat
    treatment: str
    why: str
    oss: tuple[OssAmount, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    number: str = ""
    """The buyer's VAT number, plain, unless it is none or a register has said no to it."""

    @property
    def odd(self) -> VatLine | None:
        """The first line whose rate has decimals, which the ledger's invoices cannot hold."""
        return next((line for line in self.lines if line.percent != line.percent.to_integral_value()), None)


def vat_of_sale(movement: Movement, paid: Money, day: date, policy: Policy, facts: VatFacts, what: str) -> SaleVat:
    """Decide the VAT of a sale of `paid` on a day; `what` describes it where the provider tells no lines.

    Raises `CannotBook` for tax lines that cannot be true and rates that nobody knows, `NumberWanted` where a VAT
    number must be checked first.
    """
    decider = _Decider(movement, paid, day, policy, facts)
    lines = _joined(decider.lines(what))
    if len(lines) > _MOST_LINES:
        lines = _one_for_each_rate(lines)
    treatments = {line.treatment for line in lines}
    customer = _customer(lines)
    return SaleVat(
        lines=lines,
        customer=customer,
        treatment=treatments.pop() if len(treatments) == 1 else customer.value,
        why=" ".join(dict.fromkeys(line.why for line in lines)),
        oss=decider.oss_amounts(lines),
        facts=decider.evidence(lines),
        number=decider.number_to_keep(),
    )


def checked_number(movement: Movement, policy: Policy) -> str:
    """The VAT number that a register must confirm before this sale can be without VAT; empty if none need be."""
    buyer = movement.buyer
    number = plain_number(buyer.vat_number, buyer.country)
    home = _home(policy)
    if not number or country_of(number) in ("", home):
        return ""
    told = any(item.reason == REVERSE_CHARGE for item in movement.items) and policy.vat.tax_lines
    place = buyer.delivery_country or buyer.country
    ruled = policy.vat.eu_business is EuBusiness.REVERSE_CHARGE and place in EU_VAT_TERRITORY and place != home
    return number if told or ruled else ""


class _Decider:
    """One sale with all that its VAT depends on."""

    def __init__(self, movement: Movement, paid: Money, day: date, policy: Policy, facts: VatFacts) -> None:
        self.movement = movement
        self.buyer: Buyer = movement.buyer
        self.paid = paid
        self.day = day
        self.policy = policy
        self.rules = policy.vat
        self.facts = facts
        self.home = _home(policy)

    # -- lines ---------------------------------------------------------------------------------------------------

    def lines(self, what: str) -> list[VatLine]:
        items = self.items()
        if not items:
            return [self.by_rules(SaleItem(what, _ONE, self.paid))]
        for item in items:
            self.require_plausible(item)
        return [
            self.of_item(replace(item, gross=gross, tax=None, description=described(item, what)))
            for item, gross in fitted(items, self.paid)
            if gross
        ]

    def items(self) -> tuple[SaleItem, ...]:
        """The provider's lines, if they are to be gone by: in the buyer's currency, each with its rate worked out."""
        found = tuple(item for item in self.movement.items if item.gross)
        if not found or not self.rules.tax_lines or any(item.gross.currency != self.paid.currency for item in found):
            return ()
        return tuple(self.with_percent(item) for item in _with_shipping(found))

    def with_percent(self, item: SaleItem) -> SaleItem:
        """The item with the rate that its tax amount tells, and with the country whose tax it is."""
        if item.percent is None and item.tax:
            country = item.country or self.place(item)
            candidates = self.rules.known_percents(self.home, self.day) | self.rules.known_percents(country, self.day)
            fits = [percent for percent in candidates if _adds_up(replace(item, percent=percent))]
            if not fits:
                raise self.implausible(item, "no_rate_fits")
            tax = item.tax
            item = replace(
                item, percent=min(fits, key=lambda one: (abs((item.gross.tax_included(one) - tax).minor), one))
            )
        if item.percent is not None and not item.country:
            item = replace(item, country=self.tax_country(item, item.percent))
        return item

    def tax_country(self, item: SaleItem, percent: Decimal) -> str:
        """Whose rate it is where the provider names no country: ours, unless only the buyer's country has it."""
        place = self.place(item)
        if place not in EU_VAT_TERRITORY or not percent:
            return self.home if percent else place or self.home
        at_home = percent in self.rules.known_percents(self.home, self.day)
        return self.home if at_home and self.rules.oss is OssRule.NO else place if not at_home else self._either(place)

    def _either(self, place: str) -> str:
        """Of two countries with the same rate: the buyer's, once the company taxes there."""
        return place if self.rules.oss is OssRule.ALWAYS or self.over_threshold(Money.zero(self._books)) else self.home

    @property
    def _books(self) -> str:
        return self.policy.books_currency

    def require_plausible(self, item: SaleItem) -> None:
        """Raise `CannotBook` for a rate that the country does not have, or a tax that the rate does not give."""
        if not item.percent:
            return
        if item.country != self.home and item.country not in EU_VAT_TERRITORY:
            raise self.implausible(item, "foreign_tax")
        if item.percent not in self.rules.known_percents(item.country, self.day):
            raise self.implausible(item, "unknown_rate")
        if not _adds_up(item):
            raise self.implausible(item, "does_not_add_up")

    def implausible(self, item: SaleItem, why: str) -> CannotBook:
        return CannotBook(
            HoldReason.VAT_IMPLAUSIBLE,
            why=why,
            line=item.description[:_MOST_PROBLEM],
            gross=str(item.gross),
            tax=str(item.tax) if item.tax is not None else "",
            rate=f"{percent_text(item.percent)} %" if item.percent is not None else "",
            country=item.country,
        )

    def of_item(self, item: SaleItem) -> VatLine:
        if item.reason == REVERSE_CHARGE:
            return self.reverse_charge(item, self.place(item), told=True) or self.as_consumer(item, self.place(item))
        if item.percent is None:
            return self.by_rules(item)
        provider = self.policy.provider_name
        rate = percent_text(item.percent)
        if not item.percent and item.country not in EU_VAT_TERRITORY:
            return self.export(item, f"{provider} worked out no VAT: a buyer outside the EU.")
        if item.country == self.home:
            return self.at_home(item, item.percent, f"{provider}'s own tax line: {rate} % in {self.home}.")
        return self.taxed_abroad(item, item.country, item.percent, f"{provider}'s own tax line: {rate} %")

    # -- rules ---------------------------------------------------------------------------------------------------

    def by_rules(self, item: SaleItem) -> VatLine:
        """By the company's rules: country, kind of buyer, what is sold."""
        place, supply = self.place(item), self.supply(item)
        if place in EU_VAT_TERRITORY and place != self.home:
            return self.to_eu(item, place)
        outside = bool(place) and place not in EU_VAT_TERRITORY
        if outside and self.policy.export_without_vat:
            if supply is Supply.SERVICES and not self.buyer.vat_number:
                why = f"A service to a consumer in {place} is taxed where the seller is"
                return self.at_home(item, self.home_percent(item), f"{why}: {self.home_rate(item)}.")
            return self.export(item, decide_vat(self._placed(place), self.policy).why)
        return self.at_home(item, self.home_percent(item), self.home_why(item, place))

    def to_eu(self, item: SaleItem, place: str) -> VatLine:
        number = plain_number(self.buyer.vat_number, self.buyer.country)
        if number and country_of(number) != self.home:
            if self.rules.eu_business is EuBusiness.DOMESTIC:
                return self.at_home(item, self.home_percent(item), self.home_why(item, place))
            line = self.reverse_charge(item, place)
            if line is not None:
                return line
        elif number:
            why = f"A business with a VAT number of {self.home} buys like any buyer there"
            return self.at_home(item, self.home_percent(item), f"{why}: {self.home_rate(item)}.")
        return self.as_consumer(item, place)

    def as_consumer(self, item: SaleItem, place: str) -> VatLine:
        """A consumer in another EU country: the seller's VAT, or that of the buyer's country."""
        if place not in EU_VAT_TERRITORY or place == self.home:
            return self.at_home(item, self.home_percent(item), self.home_why(item, place))
        number = plain_number(self.buyer.vat_number, self.buyer.country)
        doubt = f"The VAT number {number} is not valid. " if number else ""
        percent = self.home_percent(item)
        if self.supply(item) is Supply.SERVICES:
            why = f"{doubt}A service to a consumer in {place} (EU) is taxed where the seller is"
            return self.at_home(item, percent, f"{why}: {self.home_rate(item)}.")
        net = self.in_books(item.gross)
        net = net - net.tax_included(percent) if net is not None else None
        match self.rules.oss:
            case OssRule.NO:
                why = f"{doubt}{self.home_why(item, place, consumer=True)}"
                return replace(self.at_home(item, percent, why), counts=True)
            case OssRule.ALWAYS:
                reason = "OSS"
            case OssRule.FROM_THRESHOLD:
                whole = self.in_books(self.paid)
                if whole is None or net is None:
                    raise CannotBook(HoldReason.NO_RATE, currency=self.paid.currency, day=self.day.isoformat())
                if not self.over_threshold(whole - whole.tax_included(percent)):
                    why = f"{doubt}A consumer in {place} (EU), below the OSS threshold: {self.home_rate(item)}."
                    return replace(self.at_home(item, percent, why), counts=True)
                reason = "OSS, over the threshold"
        abroad = self.percent(item, place)
        rate = percent_text(abroad)
        return self.taxed_abroad(item, place, abroad, f"{doubt}A consumer in {place} (EU): {reason}, {rate} %")

    def reverse_charge(self, item: SaleItem, place: str, *, told: bool = False) -> VatLine | None:
        """A business in another EU country with a valid VAT number; None if it is to be taken for a consumer."""
        number = plain_number(self.buyer.vat_number, self.buyer.country)
        why = "told" if told else "rule"
        if told and (not number or country_of(number) == self.home):
            raise CannotBook(HoldReason.VAT_NUMBER_INVALID, vat_number=number, country=place, why="missing")
        check = self.facts.checks.get(number)
        if country_of(number) and (check is None or check.state is NumberState.UNAVAILABLE):
            raise NumberWanted(number, check.reason if check is not None else why)
        if check is None or check.state is not NumberState.VALID:
            if self.rules.invalid_number is InvalidNumber.HOLD:
                state = check.state.value if check is not None else NumberState.MALFORMED.value
                raise CannotBook(HoldReason.VAT_NUMBER_INVALID, vat_number=number, country=place, why=state)
            return None
        goods = self.supply(item) is Supply.GOODS
        seen = f"valid on {check.checked_on.isoformat()}"
        return VatLine(
            item.description,
            item.gross,
            _ZERO,
            "EU-GOODS" if goods else "EU-SERVICES",
            CustomerVat.EU_BUSINESS,
            country_of(number),
            f"A business in {country_of(number)} (EU), VAT number {number} {seen}: {'goods' if goods else 'services'} "
            "without VAT, reverse charge.",
            number=number,
        )

    def at_home(self, item: SaleItem, percent: Decimal, why: str) -> VatLine:
        treatment = f"{self.home}{percent_text(percent)}"
        return VatLine(item.description, item.gross, percent, treatment, CustomerVat.DOMESTIC, self.home, why)

    def taxed_abroad(self, item: SaleItem, country: str, percent: Decimal, why: str) -> VatLine:
        return VatLine(
            item.description,
            item.gross,
            percent,
            f"OSS-{country}{percent_text(percent)}",
            CustomerVat.EU_CONSUMER,
            country,
            f"{why} in {country}." if f"in {country}" not in why else f"{why}.",
            counts=True,
            abroad=True,
        )

    def export(self, item: SaleItem, why: str) -> VatLine:
        services = self.supply(item) is not Supply.GOODS
        treatment = "EXPORT-SERVICES" if services else "EXPORT"
        return VatLine(item.description, item.gross, _ZERO, treatment, CustomerVat.EXPORT, self.place(item), why)

    # -- what the rules say --------------------------------------------------------------------------------------

    def place(self, item: SaleItem) -> str:
        """The country that a sale goes to: goods to where they are sent, everything else to where the buyer is."""
        billed = self.buyer.country.strip().upper()
        if self.supply(item, billed) is not Supply.GOODS:
            return billed
        return self.buyer.delivery_country.strip().upper() or billed

    def supply(self, item: SaleItem, country: str = "") -> Supply:
        """Goods, services or digital: by the company's rules, else by the provider's tax code, else its default."""
        country = country or self.buyer.delivery_country or self.buyer.country
        for rule in self.rules.rules:
            if rule.what in _SUPPLIES and rule.fits(country.strip().upper(), item.codes(), self.home):
                return Supply(rule.what)
        return next((supply for start, supply in _TAX_CODES if item.tax_code.startswith(start)), self.rules.supply)

    def said(self, item: SaleItem, country: str) -> str:
        """The rate or category that the first fitting rule says; empty if none does."""
        if not self.rules.rules:
            return ""
        return next(
            (
                rule.what
                for rule in self.rules.rules
                if rule.what not in _SUPPLIES and rule.fits(country, item.codes(), self.home)
            ),
            "",
        )

    def percent(self, item: SaleItem, country: str) -> Decimal:
        """The rate in a country, by rule or the standard one. Raises `CannotBook` where none is known."""
        said = self.said(item, country) or STANDARD
        if said[0].isdigit():
            return Decimal(said)
        found = self.rules.percent_of(country, said, self.day)
        if found is None:
            raise CannotBook(HoldReason.VAT_RATE_UNKNOWN, country=country, category=said, day=self.day.isoformat())
        return found

    def home_percent(self, item: SaleItem) -> Decimal:
        if self.said(item, self.home):
            return self.percent(item, self.home)
        return Decimal(self.policy.default_vat_percent)

    def home_rate(self, item: SaleItem) -> str:
        """Our own rate in words, with the rule that it comes from."""
        rate = percent_text(self.home_percent(item))
        said = self.said(item, self.home)
        if not said:
            return f"the company's own rate, {rate} %"
        return f"{rate} %" if said[0].isdigit() else f"{rate} % for {said}, as on {self.day.isoformat()}"

    def home_why(self, item: SaleItem, place: str, *, consumer: bool = False) -> str:
        buyer = self._placed(place)
        why = decide_vat(replace(buyer, vat_number="") if consumer else buyer, self.policy).why
        if not self.said(item, self.home):
            return why
        return f"{why.partition(': ')[0]}: {self.home_rate(item)}."

    def _placed(self, place: str) -> Buyer:
        return self.buyer if self.buyer.country == place else replace(self.buyer, country=place)

    # -- OSS -----------------------------------------------------------------------------------------------------

    def over_threshold(self, net: Money) -> bool:
        """Whether a sale of so much is taxed abroad: the threshold is passed this year, with it, or was last year."""
        limit = OSS_LIMITS.get(self._books)
        if limit is None:
            return True
        this, last = self._year(self.day.year), self._year(self.day.year - 1)
        return this.crossed or last.net.minor > limit or (this.net + net).minor > limit

    def _year(self, year: int) -> OssYear:
        known = self.facts.oss.get(year, OssYear(Money.zero(self._books)))
        if self.rules.oss_before_year == year:
            known = replace(known, net=known.net + Money(self.rules.oss_before_minor, self._books))
        return known

    def in_books(self, amount: Money) -> Money | None:
        """An amount of this sale in the books' currency, for the OSS figures; None where no rate is known."""
        if amount.currency == self._books:
            return amount
        rate = rate_for(self.policy, amount.currency, self.day)
        if rate is None and self.movement.currency == self._books and self.paid:
            return Money.rounded(self.movement.amount.to_decimal() * amount.minor / self.paid.minor, self._books)
        rate = rate or stand_in_rate(self.policy, amount.currency, self.day)
        rate = rate or nearest_rate(self.policy, amount.currency, self.day)
        if rate is None:
            known = self.policy.books.currency(amount.currency)
            rate = known.rate if known is not None else None
        return rate.convert(amount) if rate is not None else None

    def oss_amounts(self, lines: Sequence[VatLine]) -> tuple[OssAmount, ...]:
        """What the sale adds to the OSS figures, one entry for each country and rate."""
        sums: dict[tuple[str, Decimal, bool], Money] = {}
        for line in lines:
            gross = self.in_books(line.gross) if line.counts else None
            if gross is not None:
                country = line.country if line.abroad else self.place(SaleItem(line.description, _ONE, line.gross))
                key = (country, line.percent, line.abroad)
                sums[key] = sums.get(key, Money.zero(gross.currency)) + gross
        return tuple(
            OssAmount(
                country, percent, gross - gross.tax_included(percent), gross.tax_included(percent), self.day, abroad
            )
            for (country, percent, abroad), gross in sorted(sums.items())
        )

    def number_to_keep(self) -> str:
        """The buyer's VAT number as a customer register takes it; empty where it is none or not valid."""
        number = plain_number(self.buyer.vat_number, self.buyer.country)
        check = self.facts.checks.get(number)
        refused = check is not None and check.state in (NumberState.INVALID, NumberState.MALFORMED)
        return number if country_of(number) and not refused else ""

    def evidence(self, lines: Sequence[VatLine]) -> tuple[tuple[str, str], ...]:
        """What a reviewer of a sale without VAT asks for: the number, when it was valid, the consultation's number."""
        number = next((line.number for line in lines if line.number), "")
        check = self.facts.checks.get(number)
        if check is None:
            return ()
        found = (
            ("vat_number", number),
            ("vat_checked_on", check.checked_on.isoformat()),
            ("vat_consultation", check.consultation),
        )
        return tuple((name, value) for name, value in found if value)


_SUPPLIES: Final = frozenset(supply.value for supply in Supply)

_TAX_CODES: Final[tuple[tuple[str, Supply], ...]] = (
    ("txcd_10", Supply.DIGITAL),
    ("txcd_20", Supply.SERVICES),
    ("txcd_3", Supply.GOODS),
    ("txcd_4", Supply.GOODS),
    ("txcd_99999999", Supply.GOODS),
)
"""What is sold, by the beginning of Stripe's product tax code (docs.stripe.com/tax/tax-codes)."""


def _home(policy: Policy) -> str:
    return policy.books.identity.country or "SE"


def described(item: SaleItem, what: str = "") -> str:
    """The text of a sold thing's row, with how many there were; `what` stands in where the provider has no text."""
    text = item.description or what
    return f"{text} × {percent_text(item.quantity)}" if item.quantity != 1 else text


def _adds_up(item: SaleItem) -> bool:
    """Whether the tax that is told is what the rate gives, but for a smallest unit for each piece and one besides."""
    if item.tax is None or item.percent is None:
        return True
    difference = item.gross.tax_included(item.percent) - item.tax
    return abs(difference.minor) <= max(_ONE, abs(item.quantity)) + 1


SHIPPING: Final = "shipping"
"""The reason of an item that is freight without tax of its own: it follows the goods, in shares on a mixed basket."""


def _with_shipping(items: Sequence[SaleItem]) -> list[SaleItem]:
    """The items with freight divided by the goods' rates, each share taxed as the goods that it follows."""
    goods: dict[tuple[object, ...], list[SaleItem]] = defaultdict(list)
    freight = [item for item in items if item.reason == SHIPPING]
    rest = [item for item in items if item.reason != SHIPPING]
    for item in rest:
        if item.gross.minor > 0:
            told = item.percent is not None
            key = (item.percent, item.country, item.reason, item.tax_code, "" if told else item.sku)
            goods[key].append(item)
    weights = [sum(item.gross.minor for item in group) for group in goods.values()]
    if not weights:
        return [replace(item, reason="") for item in items]
    for item in freight:
        for group, share in zip(goods.values(), item.gross.allocate(weights), strict=True):
            if share:
                first = group[0]
                rest.append(replace(first, description=item.description, quantity=_ONE, gross=share, tax=None))
    return rest


def fitted(items: Sequence[SaleItem], paid: Money) -> list[tuple[SaleItem, Money]]:
    """What of the payment falls to each item, discounts spread over what they concern; adds up exactly.

    Where less was paid than the items come to (captured or paid in part), each has its share. Raises `CannotBook`
    where more was paid than the items explain.
    """
    left = _without_discounts(items)
    total = sum(amount for _, amount in left)
    if total <= 0 or paid.minor - total > len(items):
        raise CannotBook(
            HoldReason.VAT_IMPLAUSIBLE,
            why="lines_short",
            gross=str(Money(total, paid.currency)),
            paid=str(paid),
        )
    shares = paid.allocate([amount for _, amount in left])
    return [(item, share) for (item, _), share in zip(left, shares, strict=True)]


def _without_discounts(items: Sequence[SaleItem]) -> list[tuple[SaleItem, int]]:
    """The items that are sold, each less its share of the discounts: those of the same rate first, then all."""
    sold = [(item, item.gross.minor) for item in items if item.gross.minor > 0]
    for discount in (item for item in items if item.gross.minor < 0):
        same = [index for index, (item, _) in enumerate(sold) if _alike(item, discount)]
        room = sum(sold[index][1] for index in same)
        places = same if room >= -discount.gross.minor else list(range(len(sold)))
        weights = [sold[index][1] for index in places]
        if not any(weights):
            return []
        shares = discount.gross.allocate(weights)
        for index, share in zip(places, shares, strict=True):
            sold[index] = (sold[index][0], sold[index][1] + share.minor)
    return [(item, max(amount, 0)) for item, amount in sold] if all(amount >= 0 for _, amount in sold) else []


def _alike(item: SaleItem, discount: SaleItem) -> bool:
    return (item.percent, item.country) == (discount.percent, discount.country)


def _joined(lines: Sequence[VatLine]) -> tuple[VatLine, ...]:
    """Lines that differ in nothing but the amount become one, so that a refund finds each of them again."""
    sums: dict[tuple[str, Decimal, str], VatLine] = {}
    for line in lines:
        key = (line.description, line.percent, line.treatment)
        before = sums.get(key)
        sums[key] = line if before is None else replace(before, gross=before.gross + line.gross)
    return tuple(sums.values())


def _one_for_each_rate(lines: Sequence[VatLine]) -> tuple[VatLine, ...]:
    groups: dict[tuple[Decimal, str], list[VatLine]] = defaultdict(list)
    for line in lines:
        groups[(line.percent, line.treatment)].append(line)
    return tuple(
        replace(
            group[0],
            description=f"{len(group)} items at {percent_text(percent)} %",
            gross=Money.total((line.gross for line in group), group[0].gross.currency),
        )
        for (percent, _), group in groups.items()
    )


_STRONGEST: Final = (CustomerVat.EU_BUSINESS, CustomerVat.EXPORT, CustomerVat.EU_CONSUMER, CustomerVat.DOMESTIC)


def _customer(lines: Sequence[VatLine]) -> CustomerVat:
    """How the customer is treated: the treatment that domestic lines can stand beside."""
    kinds = {line.customer for line in lines}
    return next(kind for kind in _STRONGEST if kind in kinds)


def add_oss(years: Mapping[int, OssYear], amounts: Sequence[OssAmount]) -> dict[int, OssYear]:
    """The OSS figures by calendar year with those of a document added."""
    result = dict(years)
    for amount in amounts:
        known = result.get(amount.day.year, OssYear(Money.zero(amount.net.currency)))
        # What goes back next year is no sale abroad of that year.
        taxed_abroad = amount.abroad and amount.net.minor > 0
        result[amount.day.year] = OssYear(known.net + amount.net, known.crossed or taxed_abroad)
    return result


def share_of_oss(amounts: Sequence[OssAmount], refund: Money, paid: Money, day: date) -> tuple[OssAmount, ...]:
    """What a refund takes off the OSS figures: its share of what the sale added, on the refund's day."""
    share = Decimal(refund.minor) / Decimal(paid.minor)
    return tuple(
        replace(
            amount,
            net=Money.rounded(-amount.net.to_decimal() * share, amount.net.currency),
            vat=Money.rounded(-amount.vat.to_decimal() * share, amount.vat.currency),
            day=day,
        )
        for amount in amounts
    )


__all__ = [
    "REVERSE_CHARGE",
    "NumberWanted",
    "SaleVat",
    "VatLine",
    "add_oss",
    "checked_number",
    "fitted",
    "share_of_oss",
    "vat_of_sale",
]
