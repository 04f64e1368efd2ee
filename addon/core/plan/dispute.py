"""Disputes: the money goes to an account of its own, comes back from it, or is written off; closing clears it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from addon.core.accounts import Account, AccountRole
from addon.core.documents import ClearingEffect, Document, DocumentKind, PartRef, PostVoucher, Voucher
from addon.core.holds import HoldReason, Wait, WaitReason
from addon.core.money import Money
from addon.core.plan.common import account, base_key, day_of, open_day, reference_text, require_precision, require_ready
from addon.core.plan.refund import plan_refund
from addon.core.plan.situation import BookedSale, CannotBook, Carrying, DisputeFact
from addon.core.plan.value import Stock, balanced, day_rate, entry, movement_key, share_of, worth_of
from addon.core.records import DisputeState, Movement
from addon.core.rules import Policy

_CLOSES_WITHIN: Final = Decimal("0.15")
"""How far what comes back may be from what went, to be the whole of it at another day's rate; else a person looks."""

_OPENED_RULE: Final = (
    "A buyer's bank withdrew the payment: it moves to the account for disputes until it is decided. "
    "A dispute is not a loss, and the invoice stays paid."
)
_WON_RULE: Final = "A dispute's money came back: the account for disputes is relieved at what it was charged with."


def plan_dispute(movement: Movement, fact: DisputeFact, last: bool, stock: Stock, policy: Policy) -> Document | Wait:
    """Plan a row of a dispute, in whichever direction it moves the balance. Raises `CannotBook`.

    `last`: no other row of the dispute is to be booked. The last one of a dispute that is won closes it: what is
    left on the account for disputes is a difference of exchange.
    """
    if movement.amount.minor < 0:
        return _withdrawn(movement, fact, stock, policy)
    return _returned(movement, fact, last, policy)


def _withdrawn(movement: Movement, fact: DisputeFact, stock: Stock, policy: Policy) -> Document | Wait:
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    disputes = _disputes_account(fact, day, policy)
    worth = worth_of(movement, stock, policy)
    if isinstance(worth, Wait):
        return worth
    return entry(
        movement,
        DocumentKind.DISPUTE,
        f"{movement_key(movement, policy)}/dispute",
        day,
        reference_text(policy, f"dispute {named(movement)} {movement.amount}", note),
        (clearing, worth.clearing),
        [(disputes, -worth.clearing)],
        _OPENED_RULE,
        policy,
        _facts(movement, Carrying(-movement.amount, -worth.clearing), disputes),
    )


def _returned(movement: Movement, fact: DisputeFact, last: bool, policy: Policy) -> Document | Wait:
    charged = next((one for one in fact.charged if one.balance.currency == movement.currency), None)
    if charged is None or charged.balance.minor <= 0:
        raise CannotBook(HoldReason.DISPUTE_UNKNOWN, dispute=movement.source_ref, amount=str(movement.amount))
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    disputes = _disputes_account(fact, day, policy)
    if movement.currency == policy.books_currency:
        require_precision(movement.amount, policy)
        value = movement.amount
    else:
        rate = day_rate(policy, movement.currency, day_of(movement, policy))
        if rate is None:
            until = day_of(movement, policy) + timedelta(days=policy.wait_days)
            about = (("currency", movement.currency), ("amount", str(movement.amount)))
            return Wait((PartRef(movement.ref, "amount"),), WaitReason.RATE, until, about)
        value = rate.convert(movement.amount)
    relieved = _relieved(movement, charged, fact, _is_won(fact) and last)
    return entry(
        movement,
        DocumentKind.DISPUTE_WON,
        f"{movement_key(movement, policy)}/dispute-won",
        day,
        reference_text(policy, f"dispute {named(movement)} came back {movement.amount}", note),
        (clearing, value),
        [(disputes, -relieved.books)],
        _WON_RULE,
        policy,
        _facts(movement, Carrying(-relieved.balance, -relieved.books), disputes),
    )


def _disputes_account(fact: DisputeFact, day: date, policy: Policy) -> Account:
    """Where the dispute stands already, else where the company wants disputes."""
    if fact.account is None:
        return account(policy, AccountRole.DISPUTES, day)
    require_ready((fact.account,), day, policy)
    return fact.account


def named(movement: Movement) -> str:
    """A dispute and the payment that it is about, as texts name them."""
    about = f" of {movement.original_ref}" if movement.original_ref else ""
    return f"{movement.source_ref or movement.ref}{about}"


def _is_won(fact: DisputeFact) -> bool:
    return fact.dispute is not None and fact.dispute.state is DisputeState.WON


def _relieved(movement: Movement, charged: Carrying, fact: DisputeFact, closes: bool) -> Carrying:
    """What a return takes off the account for disputes: its share, or all of it where that closes the dispute.

    Where buyer and balance have one currency no exchange can explain a difference: then only what was charged beyond
    the disputed amount, by small rows of the provider's own, may stay away.
    """
    rest = charged.balance - movement.amount
    if not rest:
        return charged
    near = abs(Decimal(rest.minor)) <= _CLOSES_WITHIN * charged.balance.minor
    asked = fact.dispute.amount if fact.dispute is not None else None
    if asked is not None and asked.currency == movement.currency:
        near = near and 0 < rest.minor <= (charged.balance - asked).minor
    if rest.minor > 0 and not closes:
        return Carrying(movement.amount, share_of(charged, movement.amount))
    if not near:
        raise CannotBook(
            HoldReason.AMOUNT_DIFFERS,
            dispute=movement.source_ref,
            open=str(charged.balance),
            paid=str(movement.amount),
        )
    return charged


def plan_dispute_loss(movement: Movement, fact: DisputeFact, policy: Policy) -> Document:
    """Plan the voucher that writes a lost dispute off, goods not returned. Raises `CannotBook`.

    Output VAT stays: it may be reduced only when the loss is established.
    """
    charged, disputes = charged_in_full(movement, fact)
    day, note = open_day(day_of(movement, policy), policy)
    require_ready((disputes,), day, policy)
    loss = account(policy, AccountRole.DISPUTE_LOSS, day)
    clearing = account(policy, AccountRole.CLEARING, day, charged.balance.currency)
    text = reference_text(policy, f"dispute {named(movement)} lost {charged.balance}", note)
    key = f"{base_key(movement, policy)}/dispute-lost"
    lines = balanced([(loss, charged.books, text), (disputes, -charged.books, text)], day, policy)
    return Document(
        key=key,
        kind=DocumentKind.DISPUTE_LOST,
        booking_date=day,
        total=-charged.balance,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(untouched(clearing, charged, policy),),
        steps=(PostVoucher(key, Voucher(key, day, text, lines)),),
        rule=(
            "The dispute was lost and the goods are gone: a loss, by the company's setting. "
            "Output VAT stays until the loss is established."
        ),
        facts=(("source", movement.source_ref), *settled_facts(movement, charged, disputes)),
    )


def plan_dispute_credit(movement: Movement, fact: DisputeFact, sale: BookedSale, policy: Policy) -> Document:
    """Plan the credit note of a lost dispute, settled against the account for disputes. Raises `CannotBook`."""
    charged, disputes = charged_in_full(movement, fact)
    asked = stays_withdrawn(movement, fact, charged, _value_of(sale, policy))
    worth = asked if asked.currency == policy.books_currency else charged.books
    paid_back = replace(movement, amount=-charged.balance, presented=-asked)
    document = plan_refund(paid_back, sale, policy, disputes, -worth)
    return replace(
        document,
        # First, so that the document is known by its credit note's number, which comes after.
        steps=(*_difference(movement, document, charged.books - worth, disputes, policy), *document.steps),
        clearing=tuple(untouched(effect.account, charged, policy) for effect in document.clearing),
        rule=(
            "The dispute was lost and the sale is undone, by the company's setting: "
            + ("a voucher takes its rows back" if sale.sold else f"a credit note on invoice {sale.number}, settled")
            + " against the account for disputes."
        ),
        facts=(*document.facts, *settled_facts(movement, charged, disputes)),
    )


def stays_withdrawn(movement: Movement, fact: DisputeFact, charged: Carrying, per_one: Decimal) -> Money:
    """What a lost dispute takes from a sale: what was asked for, unless some of it has come back since.

    In the currency of the dispute's own record; `per_one` is what one unit of that was in the books when it was sold.
    Raises `CannotBook` where the record and what stands on the account cannot be the same money.
    """
    asked = fact.dispute.amount if fact.dispute is not None else charged.balance
    if asked.currency == charged.balance.currency:
        return min(asked, charged.balance)
    expected = asked.to_decimal() * per_one
    if abs(expected - charged.books.to_decimal()) > _CLOSES_WITHIN * expected:
        raise CannotBook(
            HoldReason.AMOUNT_DIFFERS,
            dispute=movement.source_ref,
            open=str(charged.balance),
            paid=str(asked),
        )
    return asked


def _value_of(sale: BookedSale, policy: Policy) -> Decimal:
    """What one unit of what the buyer paid in was in the books when it was sold."""
    gross = sum((line.gross.to_decimal() for line in sale.sold), Decimal(0))
    if not gross or sale.paid.currency == policy.books_currency:
        return sale.rate
    return sum(((line.net + line.vat).to_decimal() for line in sale.sold), Decimal(0)) / gross


def _difference(
    movement: Movement, document: Document, rest: Money, disputes: Account, policy: Policy
) -> tuple[PostVoucher, ...]:
    """What the credit note leaves on the account for disputes, where the balance was in another currency."""
    if not rest:
        return ()
    day, key = document.booking_date, f"{base_key(movement, policy)}/dispute-rest"
    text = reference_text(policy, f"dispute {named(movement)} lost, exchange difference")
    return (PostVoucher(key, Voucher(key, day, text, balanced([(disputes, -rest, text)], day, policy))),)


def charged_in_full(movement: Movement, fact: DisputeFact) -> tuple[Carrying, Account]:
    """What stands on the account for disputes when one is lost, and which account that is. Raises `CannotBook`."""
    standing = [one for one in fact.charged if one.balance]
    if len(standing) != 1 or fact.account is None or standing[0].books.minor <= 0:
        open_amounts = ", ".join(str(one.balance) for one in standing)
        raise CannotBook(HoldReason.DISPUTE_UNKNOWN, dispute=movement.source_ref, open=open_amounts)
    return standing[0], fact.account


def untouched(clearing: Account, charged: Carrying, policy: Policy) -> ClearingEffect:
    """The clearing account has no share in what becomes of a lost dispute: it lost the money at the beginning."""
    return ClearingEffect(clearing, Money.zero(charged.balance.currency), Money.zero(policy.books_currency))


def settled_facts(movement: Movement, charged: Carrying, disputes: Account) -> tuple[tuple[str, str], ...]:
    """What a document remembers that takes all off the account for disputes that stands there."""
    return _facts(movement, Carrying(-charged.balance, -charged.books), disputes)


# --- what stands on the account -------------------------------------------------------------------------------

_FACT_NAMES: Final = ("dispute", "dispute_minor", "dispute_currency", "dispute_books_minor", "dispute_account")


def _facts(movement: Movement, moved: Carrying, disputes: Account) -> tuple[tuple[str, str], ...]:
    values = (
        movement.source_ref,
        str(moved.balance.minor),
        moved.balance.currency,
        str(moved.books.minor),
        disputes.number,
    )
    return tuple(zip(_FACT_NAMES, values, strict=True))


def standing_of(
    facts_of: Iterable[tuple[tuple[str, str], ...]], books_currency: str, before: Iterable[Carrying] = ()
) -> tuple[tuple[Carrying, ...], Account | None]:
    """What documents, by their facts, have put and left on the account for disputes, and which account that is.

    `before` is what stood there without them.
    """
    sums = {one.balance.currency: one for one in before}
    number = ""
    for pairs in facts_of:
        facts = dict(pairs)
        if "dispute_minor" not in facts:
            continue
        currency = facts["dispute_currency"]
        stood = sums.get(currency, Carrying(Money.zero(currency), Money.zero(books_currency)))
        sums[currency] = Carrying(
            stood.balance + Money(int(facts["dispute_minor"]), currency),
            stood.books + Money(int(facts["dispute_books_minor"]), books_currency),
        )
        number = facts["dispute_account"]
    where = Account(AccountRole.DISPUTES, number) if number else None
    return tuple(sums[currency] for currency in sorted(sums)), where
