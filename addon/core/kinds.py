"""What a company has decided about movements that are neither sale, refund nor fee."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class LostDispute(StrEnum):
    """What a payment becomes that stays withdrawn after a dispute."""

    LOSS = "loss"
    """The goods are gone: a loss. Output VAT stays until the loss is established (practice is unsettled: ask)."""
    CREDIT_NOTE = "credit_note"
    """The sale is undone: a credit note, with its VAT."""


class BouncedPayment(StrEnum):
    """What a booked sale becomes whose payment bounced."""

    CLAIM = "claim"
    """The buyer still owes it: a claim, until they pay or a person writes it off."""
    CREDIT_NOTE = "credit_note"
    """The sale is undone: a credit note, with its VAT."""


class BankSide(StrEnum):
    """Where the bank side of payouts and top-ups is booked."""

    BANK = "bank"
    TRANSIT = "transit"
    """Only up to a transit account: the bank's own file books the rest."""


@dataclass(frozen=True, slots=True)
class KindRules:
    """These decisions together."""

    dispute_lost: LostDispute = LostDispute.LOSS
    bounced_payment: BouncedPayment = BouncedPayment.CLAIM
    bank_side: BankSide = BankSide.BANK


DEFAULT_KIND_RULES: Final = KindRules()
"""What holds until a person decides."""
