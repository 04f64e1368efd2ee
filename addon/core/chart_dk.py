"""Which accounts of a Danish chart a new company is offered.

There is no one chart that all Danish companies have; these are numbers of the charts that accounting systems there set
up. Only what a company's own chart really has, open, is offered: what is not found, a person chooses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

COMPANY: Final[Mapping[str, tuple[str, ...]]] = {
    "sales:DK25": ("1010",),
    "sales:DK0": ("1011",),
    "sales:EXPORT": ("1050",),
    "sales:EXPORT-SERVICES": ("1050",),
    "sales:EU-GOODS": ("1051", "1060"),
    "sales:EU-SERVICES": ("1052", "1070"),
    "output_vat:DK25": ("6902",),
    "fee": ("3621", "3620"),
    "fee_output_vat": ("6904",),
    "fee_input_vat": ("6903",),
    "fee_domestic_vat": ("6903",),
    "disputes": ("5700",),
    "dispute_loss": ("3625",),
    "rounding": ("4450",),
    "exchange_gain": ("4350",),
    "exchange_loss": ("4360",),
    "transit": ("5890",),
}
"""Candidates for each role of a company, the likeliest first."""
CLEARING: Final = ("5891", "5892", "5893")
BANK: Final = ("5820",)
FOREIGN_BANK: Final = ("5830",)
RESERVE: Final = ("5895",)


def offered(active: Collection[str]) -> dict[str, str]:
    """The company's roles for which its chart has an open account."""
    found = {role: first(active, numbers) for role, numbers in COMPANY.items()}
    return {role: number for role, number in found.items() if number}


def first(active: Collection[str], numbers: tuple[str, ...], used: Collection[str] = ()) -> str:
    """The first candidate that is open and not used by something else; empty if there is none."""
    return next((number for number in numbers if number in active and number not in used), "")


FREE: Final = (*range(5894, 5900), *range(5850, 5890))
"""Numbers beside the candidates, among which an account that is lacking may be made."""


def offered_for_balances(
    active: Collection[str], currencies: Collection[str], home: str, used: Collection[str], chart: Collection[str] = ()
) -> dict[str, str]:
    """Accounts for what a provider owes, for the bank and for what is held back, one for each balance currency.

    `chart` is every number there is, open or not. A provider may have more currencies than any chart has accounts for
    what it owes and holds back: then a free number is offered, to be made. The bank's accounts are the company's own.
    """
    taken = set(used)
    found: dict[str, str] = {}
    for currency in sorted(currencies, key=lambda code: (code != home, code)):
        for role, numbers in (
            ("clearing", CLEARING),
            ("bank", BANK if currency == home else FOREIGN_BANK),
            ("reserve", RESERVE),
        ):
            # Balances may share a bank account of the books' own currency, and nothing else.
            shared = role == "bank" and currency == home
            number = first(active, numbers, () if shared else taken)
            if not number and role != "bank" and chart:
                number = next((text for text in map(str, FREE) if text not in chart and text not in taken), "")
            if number:
                found[f"{role}:{currency}"] = number
                taken.add(number)
    return found
