"""PayPal's transaction event codes and what each becomes. An open list: a code we do not know is held.

Source: PayPal's page of transaction event codes, with two open importers. The first three characters are a group; the
sign tells money received from money sent, which have the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from addon.core.records import FeeKind, MovementKind

_SALES: Final = (
    "T0000 T0002 T0003 T0004 T0005 T0006 T0007 T0009 T0010 T0011 T0012 T0013 T0018 T0019 T0021 T3000".split()
)

_FEES: Final[Mapping[str, FeeKind]] = {
    "T0100": FeeKind.OTHER,
    "T0101": FeeKind.SERVICE,
    "T0102": FeeKind.PAYMENT,
    "T0103": FeeKind.PAYMENT,
    "T0104": FeeKind.PAYMENT,
    "T0105": FeeKind.PAYMENT,
    "T0106": FeeKind.DISPUTE,
    "T0107": FeeKind.PAYMENT,
    "T0108": FeeKind.PAYMENT,
    "T0109": FeeKind.PAYMENT,
    "T0110": FeeKind.PAYMENT,
    "T0111": FeeKind.OTHER,
    "T0112": FeeKind.OTHER,
    "T0113": FeeKind.PAYMENT,
    "T0114": FeeKind.DISPUTE,
    # A fee that comes back goes where fees went.
    "T1108": FeeKind.PAYMENT,
    "T1109": FeeKind.PAYMENT,
}

_RELEASES: Final = frozenset("T1105 T1111 T2102 T2104 T2106 T2108 T2110 T2112 T5001".split())
"""A release repeats the hold's id and its initiation date; when it happened stands in the updated date."""

_BOTH_WAYS: Final[Mapping[MovementKind, tuple[str, ...]]] = {
    MovementKind.CONVERSION: ("T0200", "T0201", "T0202"),
    MovementKind.TOP_UP: ("T0300", "T0301", "T0302", "T0303", "T0700", "T0701", "T1104"),
    MovementKind.RESERVE: (
        *("T1105", "T1110", "T1111", "T1500", "T1501", "T1502", "T1503"),
        *(f"T21{number:02d}" for number in range(1, 15)),
        *("T5000", "T5001"),
    ),
    MovementKind.FINANCING: (*("T1600", "T1601", "T1602", "T1603", "T1800", "T1801", "T2004", "T9701", "T9702"),),
    MovementKind.TRANSFER: ("T0017", "T2000", "T2001", "T2002", "T2003", "T2201"),
    MovementKind.ADJUSTMENT: ("T0016", "T1200", "T1203", "T1900", "T9700", "T9900"),
}

_PAYOUTS: Final = ("T0400", "T0401", "T0402", "T0403", "T0600", "T1700", "T1701")
_WITHDRAWN: Final = ("T1106", "T1201", "T1207")
_CAME_BACK: Final = ("T1202", "T1205", "T1208")
_REFUNDS: Final = ("T1107", "T1113")

_PLUS: Final[Mapping[str, MovementKind]] = {
    **dict.fromkeys(_SALES, MovementKind.SALE),
    **dict.fromkeys(_CAME_BACK, MovementKind.DISPUTE_REVERSAL),
    "T1101": MovementKind.PAYOUT_REVERSAL,
}
_MINUS: Final[Mapping[str, MovementKind]] = {
    **dict.fromkeys(_PAYOUTS, MovementKind.PAYOUT),
    **dict.fromkeys(_REFUNDS, MovementKind.REFUND),
    **dict.fromkeys(_WITHDRAWN, MovementKind.DISPUTE),
}
_EITHER: Final[Mapping[str, MovementKind]] = {
    **dict.fromkeys(_FEES, MovementKind.FEE),
    **{code: kind for kind, codes in _BOTH_WAYS.items() for code in codes},
}

_WORDS: Final[Mapping[str, str]] = {
    "T0001": "payment to a third party",
    "T0008": "postage",
    "T0014": "rebate",
    "T0015": "payout to a third party",
    "T0500": "purchase with PayPal's debit card",
    "T1000": "bill paid",
    "T1102": "debit card purchase reversed",
    "T1107": "refund received",
    "T1114": "payment to a third party came back",
    "T1115": "payment to a third party refunded",
    "T1400": "interest",
    "T2301": "tax withheld",
}
"""What a held row is, in a few words, where its group does not say it."""
_GROUPS: Final[Mapping[str, str]] = {
    "T00": "money sent",
    "T05": "debit card",
    "T08": "bonus",
    "T09": "incentive",
    "T11": "reversal",
    "T12": "adjustment",
    "T30": "money sent",
}

KNOWN: Final = frozenset((*_PLUS, *_MINUS, *_EITHER))
"""Codes that become something other than a hold, for one sign or both."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a row is: its kind, what its fee is for if it is one, and words for a person where it is held."""

    kind: MovementKind
    fee_kind: FeeKind = FeeKind.PAYMENT
    words: str = ""


def moves_nothing(code: str) -> bool:
    """Whether rows of this code are shown only: authorisations, and what PayPal calls display only."""
    return code.startswith(("T13", "T98"))


def is_release(code: str) -> bool:
    """Whether a row lets go what an earlier row of the same id holds."""
    return code in _RELEASES


def meaning(code: str, minor: int) -> Meaning:
    """What a row of this code and sign is. The same code with the other sign is something else, and held."""
    kind = _EITHER.get(code) or (_PLUS if minor > 0 else _MINUS).get(code)
    if kind is not None:
        return Meaning(kind, _FEES.get(code, FeeKind.PAYMENT))
    return Meaning(MovementKind.UNRECOGNISED, words=_WORDS.get(code) or _GROUPS.get(code[:3], ""))
