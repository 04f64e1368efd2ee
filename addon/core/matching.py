"""Basic's choices: how order numbers are read, and what a person has decided about a single payment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from addon.core.books import InvoiceView
from addon.core.currencies import minor_units
from addon.core.holds import HoldReason
from addon.core.money import Money

MOST_ORDERS: Final = 10
"""How many order numbers one payment may name; each is searched for in the books."""


@dataclass(frozen=True, slots=True)
class MatchRules:
    """What a connection has learnt about its order numbers: `order_patterns` are texts with one `*`.

    `SE-*` says that the payment's SE-1001 is 1001 on the invoice.
    """

    order_patterns: tuple[str, ...] = ()
    book_drafts: bool = False
    """Whether a payment books the unbooked invoice that it matches; else that waits for a person."""


USUAL_MATCHING: Final = MatchRules()
"""What holds until a person has taught more."""


@dataclass(frozen=True, slots=True)
class MatchChoice:
    """What a person has decided about one payment: its invoice, its order number, or that a difference is rounding."""

    invoice: str = ""
    order: str = ""
    accept_difference: bool = False


NO_CHOICE: Final = MatchChoice()
"""Nobody has decided anything about a payment."""


def own_order_number(text: str, patterns: Iterable[str]) -> str:
    """An order number as it stands in the books: what `*` stands for in the first pattern that fits, else the text."""
    for pattern in patterns:
        before, star, after = pattern.partition("*")
        fits = text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after)
        if star and fits:
            return text[len(before) : len(text) - len(after)]
    return text


def pattern_from(seen: str, meant: str) -> str:
    """The pattern that makes of what was seen what is meant: `SE-*` of SE-1001 and 1001; empty where there is none."""
    before, found, after = seen.partition(meant) if meant else (seen, "", "")
    if not found or not (before or after) or "*" in before + after or "," in before + after:
        return ""
    return f"{before}*{after}"


_BETWEEN: Final = re.compile(r"\s*[,;&+|]\s*|\s+(?:and|och|og|und)\s+|\s+", re.IGNORECASE)


def order_list(text: str) -> tuple[str, ...]:
    """The order numbers that a text names, when it names several: "1001, 1002" or "1001 och 1002"; else itself.

    Each must hold a digit, and there are ten at most: a sentence is no list.
    """
    found = tuple(dict.fromkeys(part.strip("[]\"'# ") for part in _BETWEEN.split(text.strip("[] "))))
    several = 2 <= len(found) <= MOST_ORDERS
    if several and all(any(character.isdigit() for character in part) for part in found):
        return found
    return (text,)


def stands_on(view: InvoiceView, order: str) -> bool:
    """Whether an invoice carries an order number, in whichever of the fields that are searched."""
    texts = (
        view.order_number,
        view.your_reference,
        view.our_reference,
        view.our_key,
        view.second_key,
        view.ocr,
        view.number,
    )
    return order.strip() in (text.strip() for text in texts)


def most_tolerance(currency: str) -> int:
    """The largest difference that may ever be called rounding, in smallest units: one major unit, 1.00."""
    return int(10 ** minor_units(currency))


def fault_of_choice(
    amount: Money, view: InvoiceView, balance: Money, allowed_minor: int
) -> tuple[HoldReason, tuple[tuple[str, str], ...]] | None:
    """Why a payment cannot be registered on the invoice that a person chose; None if it can.

    It may pay the invoice in part. `balance` is what is open on it when all that is planned has been paid,
    `allowed_minor` what may be paid beyond it and called rounding.
    """
    about = (("invoice", view.number),)
    if view.cancelled:
        return HoldReason.INVOICE_CANCELLED, about
    if view.total.minor * amount.minor < 0:
        return HoldReason.WRONG_SIGN, about
    if view.currency != amount.currency:
        return HoldReason.FOREIGN_CURRENCY, (*about, ("currency", view.currency))
    if not view.booked:
        return HoldReason.INVOICE_NOT_BOOKED, about
    if balance.minor * amount.minor <= 0:
        return HoldReason.ALREADY_PAID, about
    if abs(amount.minor) - abs(balance.minor) > allowed_minor:
        return HoldReason.AMOUNT_DIFFERS, (*about, ("open", str(balance)), ("paid", str(amount)))
    return None
