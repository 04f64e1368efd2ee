"""What Kvitt asks of a mail server: one plain letter to one address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of plain text. Neither part may come from a stranger."""

    subject: str
    text: str


class Mailer(Protocol):
    """A way to send mail."""

    def send(self, address: str, letter: Letter) -> None:
        """Hand a letter over. Raises `TryLater` where no server took it, and `Rejected` where it was refused."""
        ...
