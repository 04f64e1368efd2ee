"""Which of some amounts make up a difference: all of them, or the only selection that does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST: Final = 16
"""Amounts among which a selection is looked for; among more, chance would find one."""


def making_up(difference: int, amounts: Sequence[int]) -> tuple[int, ...] | None:
    """The places of the amounts that come to a difference; None where none do, or where several selections would.

    All of them are taken before any smaller selection is looked for. Amounts are smallest units of one currency.
    """
    if not difference or not amounts:
        return None
    if sum(amounts) == difference:
        return tuple(range(len(amounts)))
    if len(amounts) > MOST:
        return None
    found: tuple[int, ...] | None = None
    for chosen in range(1, 1 << len(amounts)):
        places = tuple(place for place in range(len(amounts)) if chosen >> place & 1)
        if sum(amounts[place] for place in places) == difference:
            if found is not None:
                return None
            found = places
    return found
