"""Account rules: the company's own exceptions, and which of them decides over a movement.

A rule says "if the buyer paid with X, and the shop wrote Y to it, then book it on account Z". Rules have an order, and
the first one that fits decides alone. Pure: what a rule does to the books is carried out by the planner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, assert_never

from addon.core.money import Money
from addon.core.records import Movement, MovementKind


class Subject(StrEnum):
    """What a condition looks at."""

    METHOD = "method"
    """How the buyer paid, in the provider's word: `card`, `klarna`, `swish`."""
    METADATA = "metadata"
    """What the shop attached to the payment under the condition's key."""
    PRODUCT = "product"
    """The article number (SKU) of something that was sold."""
    DESCRIPTION = "description"
    """Words in the description of the movement or of something that was sold."""
    CURRENCY = "currency"
    """The currency that the buyer paid in."""
    COUNTRY = "country"
    """The buyer's country, two letters."""
    AT_LEAST = "at_least"
    """The amount in the buyer's currency, without its sign."""
    AT_MOST = "at_most"
    PROVIDER_KIND = "provider_kind"
    """Words in the provider's own name for the kind of movement."""


class Action(StrEnum):
    """What a rule does with a movement that it fits."""

    BOOK = "book"
    """Book it, on other accounts, with other VAT, cost centre or project than usual."""
    IGNORE = "ignore"
    """Set it aside: it is booked elsewhere, or nowhere."""
    HOLD = "hold"
    """A person decides each time."""


class WrongRule(ValueError):
    """A rule that says nothing, or contradicts itself. `field` names where; the message is for the person."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


MOST_RULES: Final = 200
MOST_CONDITIONS: Final = 10
MOST_VALUES: Final = 50
LONGEST_NAME: Final = 80
LONGEST_VALUE: Final = 200
ANYTHING: Final = "*"

_AT_HOME: Final = {"SE": ("SE25", "SE12", "SE6", "SE0"), "DK": ("DK25", "DK0")}
VAT_TREATMENTS: Final = (*_AT_HOME["SE"], *_AT_HOME["DK"], "EXPORT")
"""What a rule may say of VAT: the detail of the sales account's role, and with it the rate."""

RULED_KINDS: Final = (
    MovementKind.SALE,
    MovementKind.REFUND,
    MovementKind.SALE_REVERSAL,
    MovementKind.REFUND_REVERSAL,
    MovementKind.DISPUTE,
    MovementKind.DISPUTE_REVERSAL,
    MovementKind.FEE,
    MovementKind.RESERVE,
    MovementKind.TRANSFER,
    MovementKind.PLATFORM_EARNING,
    MovementKind.TOP_UP,
    MovementKind.FINANCING,
    MovementKind.CONTRIBUTION,
    MovementKind.ADJUSTMENT,
    MovementKind.UNRECOGNISED,
)
"""Kinds that rules may decide over. Payouts and conversions are proved against the bank and follow no rule."""

_WITHOUT_ACCOUNT: Final = frozenset({MovementKind.FEE})
"""Kinds whose VAT hangs on their own settings: a rule may set them aside or hold them, not book them elsewhere."""
_FOLLOWERS: Final = frozenset(
    {
        MovementKind.REFUND,
        MovementKind.SALE_REVERSAL,
        MovementKind.REFUND_REVERSAL,
        MovementKind.DISPUTE,
        MovementKind.DISPUTE_REVERSAL,
    }
)
"""Kinds that concern a sale: where a rule has taken the sale out of the usual course, they go the same way."""

_ACCOUNT: Final = re.compile(r"[0-9]{3,9}")
_CODE: Final = re.compile(r"[^\s,;]{1,25}")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: holds if any of its `values` fits. Letters' case never matters. Raises `WrongRule`.

    Of `METADATA`, `key` is the name, and the value `*` fits whatever stands there. A SKU may end in `*`.
    """

    subject: Subject
    values: tuple[str, ...]
    key: str = ""

    def __post_init__(self) -> None:
        if not self.values or any(not value.strip() for value in self.values):
            raise WrongRule(self.subject.value, "say what it must be")
        if len(self.values) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in self.values):
            raise WrongRule(self.subject.value, f"at most {MOST_VALUES} values of {LONGEST_VALUE} characters")
        if bool(self.key) != (self.subject is Subject.METADATA):
            raise WrongRule(self.subject.value, "metadata needs the name of its field")
        match self.subject:
            case Subject.AT_LEAST | Subject.AT_MOST:
                if len(self.values) != 1 or _amount(self.values[0]) is None:
                    raise WrongRule(self.subject.value, "must be one amount, 100 or 99.50 for example")
            case Subject.CURRENCY:
                if any(not re.fullmatch("[A-Za-z]{3}", value) for value in self.values):
                    raise WrongRule(self.subject.value, "must be a currency's three letters, SEK for example")
            case Subject.COUNTRY:
                if any(not re.fullmatch("[A-Za-z]{2}", value) for value in self.values):
                    raise WrongRule(self.subject.value, "must be a country's two letters, SE for example")
            case _:
                pass

    def holds(self, movement: Movement) -> bool:
        """Whether a movement meets this condition. What the provider does not tell meets none."""
        match self.subject:
            case Subject.METHOD:
                return self._is(movement.payment_method)
            case Subject.METADATA:
                found = dict(movement.metadata).get(self.key, "")
                return bool(found) and (ANYTHING in self.values or self._is(found))
            case Subject.PRODUCT:
                return any(self._is_sku(item.sku) for item in movement.items)
            case Subject.DESCRIPTION:
                return self._is_in((movement.description, *(item.description for item in movement.items)))
            case Subject.CURRENCY:
                return self._is((movement.presented or movement.amount).currency)
            case Subject.COUNTRY:
                return self._is(movement.buyer.country)
            case Subject.AT_LEAST:
                return _size(movement) >= Decimal(self.values[0])
            case Subject.AT_MOST:
                return _size(movement) <= Decimal(self.values[0])
            case Subject.PROVIDER_KIND:
                return self._is_in((movement.raw_kind,))
            case _:
                assert_never(self.subject)

    def _is(self, text: str) -> bool:
        wanted = text.strip().casefold()
        return bool(wanted) and any(value.strip().casefold() == wanted for value in self.values)

    def _is_sku(self, sku: str) -> bool:
        wanted = sku.strip().casefold()
        return bool(wanted) and any(
            wanted.startswith(value[:-1].casefold()) if value.endswith(ANYTHING) else wanted == value.strip().casefold()
            for value in self.values
        )

    def _is_in(self, texts: Iterable[str]) -> bool:
        searched = [text.casefold() for text in texts]
        return any(value.casefold() in text for value in self.values for text in searched)


def _amount(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value < 10**12 else None


def _size(movement: Movement) -> Decimal:
    return abs((movement.presented or movement.amount).to_decimal())


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a company. All of its conditions must hold. Raises `WrongRule`.

    `account` is where the sale's rows go, `vat` its treatment instead of the usual one. `contra_account` books the
    whole amount against the clearing account by a voucher, with no invoice and no VAT (gift cards, adjustments).
    `where` says where a movement that is set aside is booked; empty: nowhere.
    """

    ref: str
    name: str
    action: Action
    conditions: tuple[Condition, ...] = ()
    kinds: tuple[MovementKind, ...] = (MovementKind.SALE,)
    account: str = ""
    vat: str = ""
    contra_account: str = ""
    cost_centre: str = ""
    project: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > LONGEST_NAME:
            raise WrongRule("name", f"give it a name of at most {LONGEST_NAME} characters")
        if len(self.conditions) > MOST_CONDITIONS:
            raise WrongRule("conditions", f"at most {MOST_CONDITIONS} conditions")
        if not self.kinds or any(kind not in RULED_KINDS for kind in self.kinds):
            raise WrongRule("kinds", "choose what kind of movement it is about")
        self._check_forms()
        said = (self.account, self.vat, self.contra_account, self.cost_centre, self.project)
        match self.action:
            case Action.BOOK:
                self._check_booking(said)
            case Action.IGNORE | Action.HOLD:
                if any(said):
                    raise WrongRule("action", "what is not booked needs no account, VAT, cost centre or project")
            case _:
                assert_never(self.action)

    def _check_forms(self) -> None:
        for field, number in (("account", self.account), ("contra_account", self.contra_account)):
            if number and not _ACCOUNT.fullmatch(number):
                raise WrongRule(field, "must be an account number")
        if self.vat and self.vat not in VAT_TREATMENTS:
            raise WrongRule("vat", f"must be one of {', '.join(VAT_TREATMENTS)}")
        for field, code in (("cost_centre", self.cost_centre), ("project", self.project)):
            if code and not _CODE.fullmatch(code):
                raise WrongRule(field, "must be a code without spaces")
        if len(self.where) > LONGEST_VALUE:
            raise WrongRule("where", f"at most {LONGEST_VALUE} characters")

    def _check_booking(self, said: tuple[str, ...]) -> None:
        if not any(said):
            raise WrongRule("account", "say what shall be otherwise: an account, VAT, cost centre or project")
        if self.contra_account and (self.account or self.vat):
            raise WrongRule("contra_account", "either a sales account on the invoice, or a voucher against an account")
        if self.contra_account:
            if any(kind in _WITHOUT_ACCOUNT for kind in self.kinds):
                raise WrongRule("contra_account", "fees have accounts and VAT of their own under Settings")
        elif self.kinds != (MovementKind.SALE,):
            raise WrongRule("kinds", "a sales account, VAT, cost centre or project alone concerns sales")

    def fits(self, movement: Movement) -> bool:
        """Whether this rule decides over a movement, as far as it goes by itself."""
        return movement.kind in self.kinds and all(condition.holds(movement) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Routing:
    """What the rules say of a movement, and which of them decided; `rule` None: it takes its usual course."""

    rule: Rule | None = None

    @property
    def leaves_usual_course(self) -> bool:
        """Whether no invoice is made or looked for: set aside, held, or booked by a voucher of its own."""
        return self.rule is not None and (self.rule.action is not Action.BOOK or bool(self.rule.contra_account))

    @property
    def why(self) -> str:
        """The rule in a few words, for the page that tells an amount's story; empty where none decided."""
        if self.rule is None:
            return ""
        said = (
            ("account", self.rule.account),
            ("VAT", self.rule.vat),
            ("against account", self.rule.contra_account),
            ("cost centre", self.rule.cost_centre),
            ("project", self.rule.project),
        )
        told = ", ".join(f"{word} {value}" for word, value in said if value)
        return f'By your rule "{self.rule.name}"{f": {told}" if told else ""}.'


USUAL: Final = Routing()


def route(movement: Movement, rules: Iterable[Rule]) -> Routing:
    """Find the first rule that fits a movement; the usual course if none does."""
    return next((Routing(rule) for rule in rules if rule.fits(movement)), USUAL)


@dataclass(frozen=True, slots=True)
class RoutedSale:
    """How a rule took a sale out of the usual course: its refunds and disputes go the same way.

    `contra_account` is what it was booked against; empty: it was set aside, and `where` it is booked.
    """

    name: str
    contra_account: str = ""
    where: str = ""
    balance: Money | None = None
    books: Money | None = None
    """What it put onto the clearing account, in the balance's and the books' currency; None where it was set aside."""


def follows(movement: Movement, sale: RoutedSale | None) -> RoutedSale | None:
    """The routed sale that a refund or dispute of it follows; None if the movement is none."""
    return sale if movement.kind in _FOLLOWERS else None


def home_treatments(country: str) -> tuple[str, ...]:
    """The treatments of sales at home that the books of a country have accounts for, the usual one first."""
    return _AT_HOME.get(country, _AT_HOME["SE"])


def vat_percent(treatment: str) -> int:
    """The rate that a treatment of `VAT_TREATMENTS` stands for, in whole percent."""
    return int(treatment[2:]) if treatment[2:].isdigit() else 0


def named_codes(rules: Iterable[Rule]) -> tuple[frozenset[str], frozenset[str]]:
    """The cost centres and the projects that rules name: they must be there and open."""
    kept = tuple(rules)
    return (
        frozenset(rule.cost_centre for rule in kept if rule.cost_centre),
        frozenset(rule.project for rule in kept if rule.project),
    )
