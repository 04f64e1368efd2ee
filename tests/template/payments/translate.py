"""The provider's words into ours. Pure: nothing here asks anybody, and the tests read it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from addon.core.money import Money
from addon.core.records import Balance, Buyer, Fee, Movement, MovementKind, OrderNumber, PartKind
from addon.ports.errors import BadReply

ORDER_PLACE: Final = "reference"
"""Where the buyer's order number stands in a row."""

_KINDS: Final[Mapping[str, MovementKind]] = {
    "payment": MovementKind.SALE,
    "refund": MovementKind.REFUND,
    "chargeback": MovementKind.DISPUTE,
    "fee": MovementKind.FEE,
    "withdrawal": MovementKind.PAYOUT,
}
"""What is not here is held, shown and counted; nothing is ever dropped."""


def translate_row(row: Mapping[str, Any]) -> Movement:
    """A row of the provider's list. Raises `BadReply`."""
    kind, amount = _KINDS.get(_word(row, "type"), MovementKind.UNRECOGNISED), _money(row, "amount")
    fee = _money(row, "fee")
    return Movement(
        ref=_word(row, "id"),
        kind=kind,
        amount=amount,
        occurred_at=_instant(row, "at"),
        fees=(Fee(PartKind.FEE, fee),) if fee else (),
        source_ref=_word(row, "id"),
        original_ref=str(row.get("original") or ""),
        # What the buyer paid; here in the balance's own currency.
        presented=amount if kind in (MovementKind.SALE, MovementKind.REFUND) else None,
        order_numbers=(OrderNumber(ORDER_PLACE, str(row["reference"])),) if row.get("reference") else (),
        buyer=Buyer(name=str(row.get("name") or "")[:200]),
        raw_kind=_word(row, "type"),
    )


def translate_balances(answer: Mapping[str, Any]) -> tuple[Balance, ...]:
    """The balances of an answer, each as of the instant that the provider names. Raises `BadReply`."""
    balances = answer.get("balances")
    if not isinstance(balances, list) or not all(isinstance(one, Mapping) for one in balances):
        raise BadReply("the balances are missing")
    return tuple(Balance(_money(one, "amount"), _instant(answer, "at")) for one in balances)


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value or len(value) > 100:
        raise BadReply(f"{name} is missing")
    return value


def _money(row: Mapping[str, Any], name: str) -> Money:
    """Amounts are whole smallest units. A bool is an int to Python, and no amount."""
    value, currency = row.get(name, 0), _word(row, "currency")
    if type(value) is not int:
        raise BadReply(f"{name} is no amount")
    return Money(value, currency)


def _instant(row: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(_word(row, name))
    except ValueError as error:
        raise BadReply(f"{name} is no instant") from error
    if found.tzinfo is None:
        raise BadReply(f"{name} has no time zone")
    return found.astimezone(UTC)
