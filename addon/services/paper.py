"""What is printed, as values; the printing itself is imported when something is printed, for it takes a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from addon.services.tables import Sheet


@dataclass(frozen=True, slots=True)
class Paper:
    """What is printed: a title, a line under it, facts as names and values, tables, and a sentence at each foot."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    sheets: tuple[Sheet, ...]
    foot: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Attached:
    """A file inside the PDF."""

    name: str
    mime_type: str
    content: bytes


def pdf(paper: Paper, attached: Sequence[Attached] = ()) -> bytes:
    """The paper as PDF, with files inside. The same input gives the same bytes."""
    from addon.services.printing import pdf as printed

    return printed(paper, attached)
