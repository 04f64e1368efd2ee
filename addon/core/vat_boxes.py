"""Which boxes of the Swedish VAT return (SKV 4700) planned rows fill, from their role, VAT treatment and rate.

Source: Skatteverket, "Fylla i momsdeklarationen" (boxes 05–08, 10–12, 20–24, 30–32, 35–42, 48, 49). The treatment is
the detail of the sales account's role in the company's map. Sales under OSS are in no box: they have a return of
their own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from addon.core.entries import OUTPUT_VAT, EntryRow
from addon.core.money import Money

BOXES: Final = tuple("05 06 07 08 10 11 12 20 21 22 23 24 30 31 32 35 36 37 38 39 40 41 42 48".split())
"""The boxes in the order of the return; 49, what is to be paid or got back, follows from them."""
TO_PAY: Final = "49"

_OUTPUT_BOX: Final = {Decimal(25): "10", Decimal(12): "11", Decimal(6): "12"}
_DEBIT_BOXES: Final = frozenset({"20", "21", "22", "23", "24", "48"})
_OUTPUT: Final = ("10", "11", "12", "30", "31", "32")


def box_of(row: EntryRow, home_country: str = "SE") -> str:
    """The box that a row belongs to; empty for none. VAT of invoices is in no account of ours: see `vat_boxes`."""
    role, _, detail = row.role.partition(":")
    match role:
        case "sales":
            return _sales_box(detail.upper(), _percent(row, detail), home_country)
        case "output_vat" if detail.upper().startswith(home_country):
            return _OUTPUT_BOX.get(_percent(row, detail), "")
        case "fee_basis":
            return "22" if detail == "NON_EU" else "21"
        case "fee_output_vat":
            return "30"
        case "fee_input_vat" | "fee_domestic_vat":
            return "48"
        case _:
            return ""


def _percent(row: EntryRow, detail: str) -> Decimal:
    """The row's own VAT rate, else the one that its treatment's name ends with (SE25)."""
    if row.percent is not None:
        return row.percent
    found = re.search(r"([0-9]+(?:\.[0-9]+)?)$", detail)
    return Decimal(found[1]) if found else Decimal(0)


def _sales_box(treatment: str, percent: Decimal, home_country: str) -> str:
    services = "SERVICE" in treatment
    if treatment.startswith("OSS"):
        return ""
    if treatment.startswith("EXPORT"):
        return "40" if services else "36"
    if treatment.startswith("EU"):
        return "39" if services else "35"
    if treatment.startswith(home_country) and percent:
        return "05"
    return "42"


def vat_boxes(rows: Iterable[Iterable[EntryRow]], home: str, home_country: str = "SE") -> Mapping[str, Money]:
    """What the rows of documents, one group each, put into the boxes; only boxes that get something, and 49.

    The account of VAT on an invoice is the accounting system's choice, so its row follows the row of the sale before
    it: to the box of its rate, or to none where the sale is taxed elsewhere.
    """
    sums: dict[str, int] = defaultdict(int)
    for group in rows:
        taxed_here = False
        for row in group:
            box = box_of(row, home_country)
            if row.role.startswith("sales:"):
                taxed_here = box == "05"
            elif row.role == OUTPUT_VAT and taxed_here:
                box = _OUTPUT_BOX.get(row.percent or Decimal(0), "")
            if box:
                sums[box] += row.amount.minor if box in _DEBIT_BOXES else -row.amount.minor
    found = {box: Money(sums[box], home) for box in BOXES if sums.get(box)}
    if any(box in found for box in (*_OUTPUT, "48")):
        due = sum(sums.get(box, 0) for box in _OUTPUT) - sums.get("48", 0)
        found[TO_PAY] = Money(due, home)
    return found
