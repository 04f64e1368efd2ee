"""Settlement: a lost dispute undoes its sale by a voucher: there is no invoice that a credit note could correct."""

from __future__ import annotations

from dataclasses import replace

from addon.core.accounts import Account, AccountRole
from addon.core.documents import Document, DocumentKind, PartRef, PostVoucher, Voucher
from addon.core.money import Money
from addon.core.plan.common import account, base_key, day_of, open_day, reference_text, require_ready
from addon.core.plan.dispute import charged_in_full, named, settled_facts, stays_withdrawn, untouched
from addon.core.plan.settlement import refund_of
from addon.core.plan.situation import DisputeFact
from addon.core.plan.value import balanced
from addon.core.plan.vat import share_of_oss
from addon.core.records import Movement
from addon.core.rules import Policy
from addon.core.settlement import SettledSale, refund_fact


def plan_settled_dispute(
    movement: Movement, fact: DisputeFact, sale: SettledSale, policy: Policy
) -> tuple[Document, SettledSale]:
    """Plan the voucher that takes a sale's rows back against the account for disputes, and give what is left of it.

    At the sale's VAT, rate and accounts, in shares where less than the sale was disputed. Raises `CannotBook`.
    """
    charged, disputes = charged_in_full(movement, fact)
    home = policy.books_currency
    worth = Money.total((share.gross for share in sale.shares), home)
    asked = stays_withdrawn(movement, fact, charged, worth.to_decimal() / sale.paid.to_decimal())
    given = refund_of(replace(movement, amount=-charged.balance), sale, -asked)
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, charged.balance.currency)
    text = reference_text(policy, f"dispute {named(movement)} lost {charged.balance}", note)
    sides: list[tuple[Account, Money, str]] = [(disputes, -charged.books, text)]
    for share, (gross, vat) in zip(sale.shares, given.shares, strict=True):
        sides.append((share.contra, gross - vat, text))
        if share.vat_account is not None:
            sides.append((share.vat_account, vat, text))
    require_ready((number for number, amount, _ in sides if amount), day, policy)
    key = f"{base_key(movement, policy)}/dispute-lost"
    document = Document(
        key=key,
        kind=DocumentKind.DISPUTE_LOST,
        booking_date=day,
        total=-charged.balance,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(untouched(clearing, charged, policy),),
        steps=(PostVoucher(key, Voucher(key, day, text, balanced(sides, day, policy))),),
        rule=(
            "The dispute was lost and the sale is undone, by the company's setting: its rows are taken back against "
            "the account for disputes, at the sale's VAT, rate and accounts."
        ),
        facts=(
            ("source", movement.source_ref),
            *settled_facts(movement, charged, disputes),
            refund_fact(movement.original_ref, given),
        ),
        oss=share_of_oss(sale.oss, asked, sale.paid, day),
    )
    return document, sale.with_given(given)
