"""The opening of a connection: what the provider owed at the start, brought into the books by one voucher.

It is proposed only: whether the books say so already is for a person to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from addon.core.accounts import AccountRole
from addon.core.documents import ClearingEffect, Document, DocumentKind, PostVoucher, Voucher, signed_line
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.core.plan.common import account, open_day, reference_text
from addon.core.plan.situation import CannotBook, Carrying
from addon.core.rules import Policy

_RULE: Final = (
    "What the provider owed when Kvitt starts, payouts under way included, comes into the books once, the day before "
    "the start where that day is open, against the account that a person chose."
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a clearing account opens with on the start date, in the balance's and the books' currency."""

    start: date
    carrying: Carrying

    @property
    def currency(self) -> str:
        """The balance's currency."""
        return self.carrying.balance.currency


def opening_key(policy: Policy, currency: str, start: date) -> str:
    """The key of the voucher that brings an opening into the books: another start is another opening."""
    return f"{policy.provider}/{policy.account_ref}/opening/{currency}/{start.isoformat()}"


def plan_opening(opening: Opening, policy: Policy) -> Document | None:
    """Plan the voucher of an opening; None where there is nothing to bring in. Raises `CannotBook`.

    It has no effect on the clearing account in what Kvitt counts: the opening stands beside the ledger in the identity.
    """
    if not opening.carrying.books:
        return None
    day, note = _day(opening, policy)
    clearing = account(policy, AccountRole.CLEARING, day, opening.currency)
    contra = account(policy, AccountRole.OPENING_CONTRA, day)
    if contra.number in _provider_accounts(policy):
        facts = {"account": contra.number, "role": contra.role.value}
        raise CannotBook(HoldReason.ACCOUNT_NOT_READY, **facts, why="same_account")
    key = opening_key(policy, opening.currency, opening.start)
    what = f"owed at the start {opening.start.isoformat()}, {opening.carrying.balance}"
    lines = (
        signed_line(clearing, opening.carrying.books, what),
        signed_line(contra, -opening.carrying.books, what),
    )
    nothing = ClearingEffect(clearing, Money.zero(opening.currency), Money.zero(policy.books_currency))
    return Document(
        key=key,
        kind=DocumentKind.OPENING,
        booking_date=day,
        total=opening.carrying.balance,
        parts=(),
        clearing=(nothing,),
        steps=(PostVoucher(key, Voucher(key, day, reference_text(policy, what, note), lines)),),
        rule=_RULE,
        facts=(("day", opening.start.isoformat()), ("currency", opening.currency)),
    )


def _day(opening: Opening, policy: Policy) -> tuple[date, str]:
    """The day before the start, so that the account begins the start date with the opening; else the start date.

    A year that is closed, or that the books do not have, keeps what it says.
    """
    before = opening.start - timedelta(days=1)
    locked = policy.books.locked_through
    year = policy.books.year_of(before)
    if year is None or (locked is not None and before <= locked):
        return open_day(opening.start, policy)
    needed = (
        policy.accounts.find(AccountRole.CLEARING, opening.currency),
        policy.accounts.find(AccountRole.OPENING_CONTRA),
    )
    if any(one is not None and policy.books.fault_of(one.number, year.ref) for one in needed):
        return open_day(opening.start, policy)
    return before, ""


def _provider_accounts(policy: Policy) -> set[str]:
    """The accounts of the provider's balances: an opening against one of them would say nothing."""
    prefix = f"{AccountRole.CLEARING.value}:"
    return {number for key, number in policy.accounts.numbers.items() if key.startswith(prefix)}
