"""What Kvitt asks of a register of VAT numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NumberAnswer:
    """What a register answered. `consultation` is its own number for this answer, which counts as evidence.

    `reason` is the register's word where the number cannot be looked up because of its form.
    """

    valid: bool
    answered_at: datetime
    consultation: str = ""
    name: str = ""
    address: str = ""
    reason: str = ""


class VatNumberRegister(Protocol):
    """A register of the VAT numbers that are in force, such as the EU's VIES."""

    def check(self, number: str, requester: str) -> NumberAnswer:
        """Ask for a number with its country in front (DE136695976); `requester` is whoever asks, or empty.

        Raises `TryLater` where the register or the member state behind it does not answer; its message is their word
        for it (`MS_UNAVAILABLE`). Raises `BadReply` for an answer that cannot be read.
        """
        ...
