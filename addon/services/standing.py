"""What documents have left standing that later movements build on: disputes, reserves, claims, values under way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Select, String, cast, exists, func, select
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import ClearingEffect, DocumentKind
from addon.core.money import Money
from addon.core.plan import Carrying, Claim, DisputeFact, Moved, OpenMovement
from addon.core.plan.dispute import standing_of
from addon.core.plan.returns import open_claims
from addon.core.records import Dispute, MovementKind
from addon.store.codec import decode
from addon.store.models import DisputeRow, DocumentRow, PartRow

CLEARING_SIDES: Final = (
    (DocumentRow.clearing_currency, DocumentRow.clearing_minor, DocumentRow.clearing_books_minor),
    (DocumentRow.other_clearing_currency, DocumentRow.other_clearing_minor, DocumentRow.other_clearing_books_minor),
)
"""Currency, balance and books' value of the clearing accounts that a document may touch: a conversion touches two."""

GIVES_BACK: Final = frozenset({MovementKind.REFUND, MovementKind.SALE_REVERSAL, MovementKind.DISPUTE_LOST})
"""Kinds that may become a credit note on a sale."""

_DISPUTES: Final = frozenset({MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL, MovementKind.DISPUTE_LOST})
_DISPUTE_DOCUMENTS: Final = (
    DocumentKind.DISPUTE.value,
    DocumentKind.DISPUTE_WON.value,
    DocumentKind.DISPUTE_LOST.value,
    DocumentKind.REFUND.value,
)
_CLAIM_DOCUMENTS: Final = (
    DocumentKind.BOUNCED_PAYMENT.value,
    DocumentKind.PAID_AGAIN.value,
    DocumentKind.RETURNED_REFUND.value,
    DocumentKind.REFUNDED_AGAIN.value,
)
_UNDER_WAY: Final = (DeliveryState.PROPOSED.value, DeliveryState.APPROVED.value, DeliveryState.SENDING.value)


def taken_back(movements: Iterable[OpenMovement]) -> set[str]:
    """The sales and refunds that movements take back because they bounced."""
    found = set()
    for entry in movements:
        movement = entry.movement
        if movement.kind is MovementKind.SALE_REVERSAL:
            found.add(movement.original_ref)
        elif movement.kind is MovementKind.REFUND_REVERSAL:
            found.add(movement.source_ref)
    return found - {""}


def load_disputes(
    session: Session, connection_id: int, movements: Sequence[OpenMovement], books_currency: str
) -> dict[str, DisputeFact]:
    """Disputes of these movements, with what stands on the account for disputes by documents that are not refused."""
    refs = {entry.movement.source_ref for entry in movements if entry.movement.kind in _DISPUTES} - {""}
    if not refs:
        return {}
    told = {
        row.ref: decode(Dispute, row.value)
        for row in session.scalars(
            select(DisputeRow).where(DisputeRow.connection_id == connection_id, DisputeRow.ref.in_(refs))
        )
    }
    facts: dict[str, list[tuple[tuple[str, str], ...]]] = {ref: [] for ref in refs}
    rows = session.execute(
        select(DocumentRow.source_ref, DocumentRow.payload["facts"].label("facts"))
        .where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.source_ref.in_(refs),
            DocumentRow.kind.in_(_DISPUTE_DOCUMENTS),
            DocumentRow.state != DeliveryState.REJECTED.value,
            DocumentRow.undone_by.is_(None),
        )
        .order_by(DocumentRow.id)
    )
    for row in rows:
        facts[row.source_ref].append(_pairs(row.facts))
    found = {}
    for ref in refs:
        charged, account = standing_of(facts[ref], books_currency)
        found[ref] = DisputeFact(told.get(ref), charged, account)
    return found


def load_reserves(
    session: Session, connection_id: int, movements: Sequence[OpenMovement], books_currency: str
) -> dict[str, Carrying]:
    """What the reserve accounts hold, by balance currency: what left the clearing accounts for them."""
    if not any(entry.movement.kind is MovementKind.RESERVE for entry in movements):
        return {}
    rows = session.execute(
        select(
            DocumentRow.clearing_currency,
            func.sum(DocumentRow.clearing_minor).label("balance"),
            func.sum(DocumentRow.clearing_books_minor).label("books"),
        )
        .where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.RESERVE.value,
            DocumentRow.state != DeliveryState.REJECTED.value,
            DocumentRow.undone_by.is_(None),
        )
        .group_by(DocumentRow.clearing_currency)
    )
    return {
        row.clearing_currency: Carrying(
            -Money(int(row.balance), row.clearing_currency), -Money(int(row.books), books_currency)
        )
        for row in rows
    }


def load_moved(session: Session, connection_id: int, refs: set[str], books_currency: str) -> dict[str, Moved]:
    """What the documents of these sales and refunds did to the clearing account."""
    if not refs:
        return {}
    kinds = (
        DocumentKind.SALE.value,
        DocumentKind.MATCH.value,
        DocumentKind.REFUND.value,
        DocumentKind.PAID_AGAIN.value,
        DocumentKind.REFUNDED_AGAIN.value,
    )
    rows = session.execute(
        select(
            DocumentRow.source_ref,
            DocumentRow.clearing_currency,
            DocumentRow.clearing_minor,
            DocumentRow.clearing_books_minor,
            DocumentRow.state,
            DocumentRow.number,
            DocumentRow.payload["facts"].label("facts"),
        ).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.source_ref.in_(refs),
            DocumentRow.kind.in_(kinds),
            DocumentRow.undone_by.is_(None),
            # One that a person has taken over is that person's, and so is what becomes of it.
            ~exists().where(PartRow.document_id == DocumentRow.id, PartRow.state == PartState.SET_ASIDE.value),
        )
    )
    return {
        row.source_ref: Moved(
            Money(row.clearing_minor, row.clearing_currency),
            Money(row.clearing_books_minor, books_currency) if row.clearing_books_minor is not None else None,
            row.state == DeliveryState.BOOKED.value,
            row.number,
            dict(_pairs(row.facts)).get("order_number", ""),
        )
        for row in rows
    }


def load_claims(session: Session, connection_id: int, books_currency: str) -> tuple[Claim, ...]:
    """Bounced payments and returned refunds of which something is open, oldest first."""
    rows = session.scalars(
        select(DocumentRow.payload["facts"])
        .where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind.in_(_CLAIM_DOCUMENTS),
            DocumentRow.state != DeliveryState.REJECTED.value,
            DocumentRow.undone_by.is_(None),
        )
        .order_by(DocumentRow.id)
    )
    return open_claims((_pairs(facts) for facts in rows), books_currency)


def later_of(row: DocumentRow) -> list[Select[str]]:
    """Queries for keys of documents that relieve what this one put on an account: a dispute's end, a claim's."""
    ends: dict[str, tuple[str, ...]] = {
        DocumentKind.DISPUTE.value: (
            DocumentKind.DISPUTE_WON.value,
            DocumentKind.DISPUTE_LOST.value,
            DocumentKind.REFUND.value,
        ),
        DocumentKind.BOUNCED_PAYMENT.value: (DocumentKind.PAID_AGAIN.value,),
        DocumentKind.RETURNED_REFUND.value: (DocumentKind.REFUNDED_AGAIN.value,),
    }
    kinds = ends.get(row.kind)
    if kinds is None:
        return []
    later = select(DocumentRow.key).where(DocumentRow.connection_id == row.connection_id, DocumentRow.kind.in_(kinds))
    if row.kind == DocumentKind.DISPUTE.value:
        return [later.where(DocumentRow.source_ref == row.source_ref)]
    claim = dict(_pairs(row.payload["facts"])).get("claim", "")
    # The facts are a list of pairs, the claim's among them: one text holds them all.
    return [later.where(cast(DocumentRow.payload["facts"], String).contains(f'"{claim}"', autoescape=True))]


def other_clearing(effect: ClearingEffect) -> dict[str, Any]:
    """The columns of a document's row for what it does to a second clearing account."""
    return {
        "other_clearing_account": effect.account.number,
        "other_clearing_currency": effect.balance.currency,
        "other_clearing_minor": effect.balance.minor,
        "other_clearing_books_minor": effect.books.minor if effect.books is not None else None,
    }


def _pairs(facts: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in facts)
