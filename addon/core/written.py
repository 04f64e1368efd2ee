"""Figures as people of different countries write them: 1234.50, 1 234,50, 1.234,50 and 1,234.50 are one amount."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_BETWEEN: Final = re.compile(r"[\s\u00a0\u2009\u202f']")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_BOTH: Final = re.compile(r"[+-]?\d{1,3}(?:(?P<mark>[.,])\d{3})((?P=mark)\d{3})*(?!(?P=mark))[.,]\d*")
_PLAIN: Final = re.compile(r"[+-]?(\d{1,18}(\.\d{0,6})?|\.\d{1,6})")


def figure_of(text: str, decimals: int = 2) -> Decimal:
    """What a person typed as a figure. Raises `ValueError` for what is none.

    Where both a point and a comma stand, the last one is the decimal mark. A comma alone always is; several points
    stand between thousands, as Danes and Germans write them. One point before three digits, 1.250, is one and a
    quarter to some and a thousand and more to others: it is refused, unless the amount may have three `decimals`.
    """
    bare = _BETWEEN.sub("", text).replace("\u2212", "-")
    if "," in bare and "." in bare:
        both = _BOTH.fullmatch(bare)
        bare = bare.replace(both["mark"], "") if both else ""
    elif _THOUSANDS.fullmatch(bare):
        if bare.count(".") > 1:
            bare = bare.replace(".", "")
        elif decimals < 3:
            raise ValueError("could be two figures")
    bare = bare.replace(",", ".")
    if not _PLAIN.fullmatch(bare):
        raise ValueError("is no figure")
    return Decimal(bare)
