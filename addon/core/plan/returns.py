"""Money that bounced: payments that were booked and came to nothing, refunds that never reached the buyer.

The accounting system takes no payment on a document that is settled, in neither direction, as far as is known. So a
settled invoice or credit note stays settled there, and what is owed anew stands on an account of its own: claims on
buyers, or debts to them. A new payment of the same order, or a new refund of the same sale, settles that first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from addon.core.accounts import Account, AccountRole
from addon.core.documents import Document, DocumentKind
from addon.core.holds import HoldReason, Wait
from addon.core.money import Money
from addon.core.plan.common import (
    account,
    day_of,
    open_day,
    reference_text,
    require_precision,
    require_ready,
    source_of,
)
from addon.core.plan.situation import CannotBook, Carrying, Claim, Moved
from addon.core.plan.value import Stock, entry, movement_key, share_of, worth_of
from addon.core.records import Movement
from addon.core.rules import Policy

_BOUNCED_RULE: Final = (
    "The payment bounced after it was booked: the buyer owes it again. The claim stands on an account of its own, "
    "since the invoice{number} is settled in the customer ledger."
)
_RETURNED_RULE: Final = (
    "The refund never reached the buyer: the money is back, and the buyer still has it coming. The debt stands on an "
    "account of its own, since the credit note{number} is settled in the customer ledger."
)


def plan_bounced_payment(movement: Movement, sale: Moved, policy: Policy) -> Document:
    """Plan a booked payment that bounced: a claim on the buyer, at what it was booked at. Raises `CannotBook`."""
    return _plan_return(movement, sale, AccountRole.BOUNCED_PAYMENTS, DocumentKind.BOUNCED_PAYMENT, policy)


def plan_returned_refund(movement: Movement, refund: Moved, policy: Policy) -> Document:
    """Plan a booked refund that came back: a debt to the buyer, at what it was booked at. Raises `CannotBook`."""
    return _plan_return(movement, refund, AccountRole.RETURNED_REFUNDS, DocumentKind.RETURNED_REFUND, policy)


def _plan_return(movement: Movement, before: Moved, role: AccountRole, kind: DocumentKind, policy: Policy) -> Document:
    value = _taken_back(movement, before, policy)
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    other = account(policy, role, day)
    refund = kind is DocumentKind.RETURNED_REFUND
    what = "refund came back" if refund else "payment bounced"
    number = f" {before.number}" if before.number else ""
    original = movement.original_ref or source_of(movement)
    return entry(
        movement,
        kind,
        f"{movement_key(movement, policy)}/{kind.value.replace('_', '-')}",
        day,
        reference_text(policy, f"{what} {source_of(movement)} {movement.amount}", note),
        (clearing, value),
        [(other, -value)],
        (_RETURNED_RULE if refund else _BOUNCED_RULE).format(number=number),
        policy,
        (
            ("original", original),
            *_claim_facts(
                f"{'refund' if refund else 'payment'}/{source_of(movement)}",
                refund,
                original,
                before.order_number,
                abs(movement.presented or movement.amount),
                abs(value),
                other,
            ),
        ),
    )


def _taken_back(movement: Movement, before: Moved, policy: Policy) -> Money:
    """What the movement is worth: the amount in the books' currency, else what was booked for what comes back."""
    if movement.currency == policy.books_currency:
        require_precision(movement.amount, policy)
        return movement.amount
    if before.books is None or before.balance.currency != movement.currency or not before.balance:
        raise CannotBook(HoldReason.ORIGINAL_UNKNOWN, original=movement.original_ref, amount=str(movement.amount))
    return share_of(Carrying(before.balance, before.books), movement.amount)


def find_claim(movement: Movement, order: str, claims: Sequence[Claim]) -> Claim | None:
    """The open claim that a sale pays, by order number and exact amount; or the debt that a refund of a sale pays."""
    paid = movement.presented or movement.amount
    for claim in claims:
        if claim.presented != abs(paid):
            continue
        if claim.returned_refund and paid.minor < 0 and claim.source == movement.original_ref:
            return claim
        if not claim.returned_refund and paid.minor > 0 and order and claim.order_number == order:
            return claim
    return None


def plan_settled_claim(movement: Movement, claim: Claim, stock: Stock, policy: Policy) -> Document | Wait:
    """Plan the payment that makes a bounced one good, or the refund that is made once more. Raises `CannotBook`."""
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    require_ready((claim.account,), day, policy)
    worth = worth_of(movement, stock, policy)
    if isinstance(worth, Wait):
        return worth
    if claim.returned_refund:
        kind, what = DocumentKind.REFUNDED_AGAIN, "refund made again"
        rule = "The sale is credited already, by the refund that came back: this one pays what the buyer had coming."
    else:
        kind, what = DocumentKind.PAID_AGAIN, "payment made again"
        rule = (
            "The sale is booked already, by the payment that bounced: this one, of the same order and amount, "
            "pays what the buyer owed."
        )
    settled = claim.books if movement.amount.minor > 0 else -claim.books
    return entry(
        movement,
        kind,
        f"{movement_key(movement, policy)}/{kind.value.replace('_', '-')}",
        day,
        reference_text(policy, f"{what} {source_of(movement)} {movement.amount}", note),
        (clearing, worth.clearing),
        [(claim.account, -settled)],
        rule,
        policy,
        (
            ("original", claim.source),
            ("order_number", claim.order_number),
            *_claim_facts(
                claim.key,
                claim.returned_refund,
                claim.source,
                claim.order_number,
                -claim.presented,
                -claim.books,
                claim.account,
            ),
        ),
    )


# --- what is open -----------------------------------------------------------------------------------------------


def _claim_facts(
    key: str, refund: bool, source: str, order: str, presented: Money, books: Money, on: Account
) -> tuple[tuple[str, str], ...]:
    return (
        ("claim", key),
        ("claim_refund", "yes" if refund else ""),
        ("claim_source", source),
        ("claim_order", order),
        ("claim_minor", str(presented.minor)),
        ("claim_currency", presented.currency),
        ("claim_books_minor", str(books.minor)),
        ("claim_account", on.number),
    )


def open_claims(
    facts_of: Iterable[tuple[tuple[str, str], ...]], books_currency: str, before: Iterable[Claim] = ()
) -> tuple[Claim, ...]:
    """What documents, by their facts, have left open of bounced payments and returned refunds; oldest first.

    `before` is what was open without them.
    """
    found = {claim.key: claim for claim in before}
    for pairs in facts_of:
        facts = dict(pairs)
        if "claim" not in facts:
            continue
        refund = facts["claim_refund"] == "yes"
        presented = Money(int(facts["claim_minor"]), facts["claim_currency"])
        books = Money(int(facts["claim_books_minor"]), books_currency)
        known = found.get(facts["claim"])
        if known is not None:
            presented, books = known.presented + presented, known.books + books
        role = AccountRole.RETURNED_REFUNDS if refund else AccountRole.BOUNCED_PAYMENTS
        found[facts["claim"]] = Claim(
            facts["claim"],
            refund,
            facts["claim_source"],
            facts["claim_order"],
            presented,
            books,
            Account(role, facts["claim_account"]),
        )
    return tuple(claim for claim in found.values() if claim.presented)
