"""What a list of prerequisites is: what the books must be like, why, and where it is mended.

Each accounting system has a list of its own, in its own words, in its connector's folder; what stands in a system's
list is what is checked there. People read it before they install.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STOPPING: Final = frozenset(
    {
        "accrual_method",
        "licence",
        "scope",
        "invoice_series",
        "payment_series",
        "voucher_series",
        "clearing_account",
    }
)
"""Checks that stop the whole company while they are red."""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A line of the list that people read before they install: what is checked, why, and where it is mended."""

    code: str
    title: str
    why: str
    where: str
