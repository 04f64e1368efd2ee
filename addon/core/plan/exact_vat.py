"""Several refunds of one sale: the VAT that they give back is, for each rate, the VAT that was sold.

A ledger rounds each row. Three refunds of 0.99 each give back 0.20 of VAT three times, and the sale of 2.97 had 0.59:
the last of them sees to it that the sum is right, by rows whose own rounding makes up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from addon.core.currencies import minor_units
from addon.core.documents import InvoiceLine
from addon.core.money import Money
from addon.core.plan.situation import SaleLine
from addon.core.rounding import rows_for_vat

LEDGER_DECIMALS: Final = 2


def with_exact_vat(
    lines: Sequence[tuple[SaleLine, InvoiceLine]],
) -> tuple[tuple[InvoiceLine, ...], bool]:
    """The rows of a credit note, where one completes its line so that its VAT is all that is left; and whether any
    row was split for that.

    A line whose rest is too small to be split stays as it is: less than an öre of VAT cannot be moved by it.
    """
    rows: list[InvoiceLine] = []
    split = False
    for sold, credit in lines:
        pieces = _pieces(sold, credit)
        split = split or len(pieces) > 1
        rows += pieces
    return tuple(rows), split


def _pieces(sold: SaleLine, credit: InvoiceLine) -> list[InvoiceLine]:
    completes = -credit.gross == sold.gross - sold.credited
    # The ledger rounds VAT to hundredths, which are the smallest units of most currencies; of the others there is
    # none to be moved (yen), or none that it could hold (dinars).
    hundredths = minor_units(sold.gross.currency) == LEDGER_DECIMALS
    if not completes or not sold.credited or sold.vat_credited is None or not hundredths:
        return [credit]
    percent = Decimal(credit.vat_percent)
    wanted = sold.vat_credited - sold.gross.tax_included(percent)
    found = rows_for_vat(credit.gross, percent, wanted)
    if found is None or len(found) == 1:
        return [credit]
    return [replace(credit, gross=gross) for gross in found]


def vat_of_credit(line: InvoiceLine) -> Money:
    """The VAT that a credit note's row gives back, rounded as the ledger does; positive."""
    return -line.gross.tax_included(Decimal(line.vat_percent))
