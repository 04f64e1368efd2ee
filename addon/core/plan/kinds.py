"""Movements that are a voucher each: reserves, top-ups, transfers, earnings, financing, contributions, adjustments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, assert_never

from addon.core.accounts import Account, AccountRole
from addon.core.documents import Document, DocumentKind
from addon.core.holds import Wait
from addon.core.kinds import BankSide
from addon.core.money import Money
from addon.core.plan.common import account, day_of, open_day, rate_facts, reference_text, source_of
from addon.core.plan.situation import Carrying
from addon.core.plan.value import Stock, Worth, carried, day_rate, entry, movement_key, share_of, worth_of
from addon.core.records import Movement, MovementKind
from addon.core.rules import Policy


@dataclass(frozen=True, slots=True)
class _Plain:
    """How a kind is booked: its document, the role of its other side, the word in its text, and why."""

    document: DocumentKind
    role: AccountRole
    word: str
    rule: str


_PLAIN: Final[Mapping[MovementKind, _Plain]] = {
    MovementKind.TOP_UP: _Plain(
        DocumentKind.TOP_UP,
        AccountRole.BANK,
        "top-up",
        "Money that the company put into its balance from the bank, or that went back: bank against clearing account.",
    ),
    MovementKind.TRANSFER: _Plain(
        DocumentKind.TRANSFER,
        AccountRole.TRANSFERS,
        "transfer",
        "Money between accounts at the provider goes to the account that a person chose for it.",
    ),
    MovementKind.PLATFORM_EARNING: _Plain(
        DocumentKind.PLATFORM_EARNING,
        AccountRole.PLATFORM_INCOME,
        "platform earning",
        "A platform's fee income goes to the account that a person chose for it, as it stands and without VAT rows.",
    ),
    MovementKind.FINANCING: _Plain(
        DocumentKind.FINANCING,
        AccountRole.FINANCING,
        "financing",
        "An advance or loan of the provider, or its repayment, goes to the account that a person chose for it.",
    ),
    MovementKind.CONTRIBUTION: _Plain(
        DocumentKind.CONTRIBUTION,
        AccountRole.CONTRIBUTIONS,
        "contribution",
        "A contribution taken from the balance goes to the account that a person chose for it.",
    ),
    MovementKind.ADJUSTMENT: _Plain(
        DocumentKind.ADJUSTMENT,
        AccountRole.ADJUSTMENTS,
        "adjustment",
        "The provider says no more than that it adjusted the balance: it goes to the account that a person chose.",
    ),
}

PLAIN_KINDS: Final = frozenset(_PLAIN)
"""Kinds whose other side is one account."""


def plan_plain(movement: Movement, stock: Stock, policy: Policy) -> Document | Wait:
    """Plan the voucher of a kind that has one other side, valued at the day's rate. Raises `CannotBook`."""
    plain = _PLAIN[movement.kind]
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    other = (
        bank_side(policy, day, movement.currency)
        if plain.role is AccountRole.BANK
        else account(policy, plain.role, day)
    )
    worth = worth_of(movement, stock, policy)
    if isinstance(worth, Wait):
        return worth
    return entry(
        movement,
        plain.document,
        f"{movement_key(movement, policy)}/{plain.document.value.replace('_', '-')}",
        day,
        _text(movement, plain.word, note, policy),
        (clearing, worth.clearing),
        [(other, -worth.today)],
        plain.rule,
        policy,
        rate_facts(worth.rate),
    )


def bank_side(policy: Policy, day: date, currency: str) -> Account:
    """Where the bank side of money in a currency is booked: the bank account, or up to transit. Raises `CannotBook`."""
    match policy.kind_rules.bank_side:
        case BankSide.BANK:
            return account(policy, AccountRole.BANK, day, currency)
        case BankSide.TRANSIT:
            return account(policy, AccountRole.TRANSIT, day)
        case _:
            assert_never(policy.kind_rules.bank_side)


def plan_reserve(movement: Movement, held: Carrying | None, stock: Stock, policy: Policy) -> Document | Wait:
    """Plan what the provider holds back or lets go: still owed to the company, so never a cost. Raises `CannotBook`.

    `held` is what the reserve account has in this currency. Money between two accounts of one debtor keeps its
    value: what is held back is carried on, and comes back at that.
    """
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    reserve = account(policy, AccountRole.RESERVE, day, movement.currency)
    if (
        held is not None
        and 0 < movement.amount.minor <= held.balance.minor
        and movement.currency != policy.books_currency
    ):
        value = share_of(held, movement.amount)  # it comes back at what it was carried at, whatever the day's rate is
    else:
        worth = worth_of(movement, stock, policy)
        if isinstance(worth, Wait):
            return worth
        value = _released(movement, held, worth, policy) if movement.amount.minor > 0 else worth.clearing
    return entry(
        movement,
        DocumentKind.RESERVE,
        f"{movement_key(movement, policy)}/reserve",
        day,
        _text(movement, "reserve" if movement.amount.minor < 0 else "reserve released", note, policy),
        (clearing, value),
        [(reserve, -value)],
        "What the provider holds back is still owed: it moves to an account of its own and back, never to a cost.",
        policy,
    )


def _released(movement: Movement, held: Carrying | None, worth: Worth, policy: Policy) -> Money:
    if movement.currency == policy.books_currency:
        return worth.clearing
    rate = day_rate(policy, movement.currency, day_of(movement, policy))
    assert rate is not None  # noqa: S101 - without a rate there would be no worth
    return carried(movement.amount, held, rate)


def _text(movement: Movement, word: str, note: str, policy: Policy) -> str:
    # Without brackets: in them stands the key that the text ends with, which no stranger's words may look like.
    words = movement.description.replace("(", "").replace(")", "")[:60].strip()
    described = f" {words}" if words else ""
    return reference_text(policy, f"{word} {source_of(movement)} {movement.amount}{described}", note)
