"""What invoices must name in accounting systems that decide account and VAT by registers: layouts, groups, zones.

Where rows of invoices name their account and rate themselves there is none of this (`Books.invoicing` is None).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Choice(StrEnum):
    """What a company may choose of its own registers for its invoices; the values are names of settings."""

    LAYOUT = "invoice_layout"
    PAYMENT_TERMS = "payment_terms"
    CUSTOMER_GROUP = "customer_group"
    ROUNDING_GROUP = "rounding_group"


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of a short register; one that is not `open` cannot be used for invoices of ours."""

    code: str
    name: str
    open: bool = True


@dataclass(frozen=True, slots=True)
class SoldAs:
    """That a product group sells on an account at a rate to a kind of buyer (a value of `CustomerVat`)."""

    buyer: str
    account: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Invoicing:
    """The registers that invoices name, as they stand in the books; in each, the likeliest entry comes first."""

    layouts: tuple[Named, ...] = ()
    payment_terms: tuple[Named, ...] = ()
    """Open are those that leave an invoice open until it is paid."""
    customer_groups: tuple[Named, ...] = ()
    rounding_groups: tuple[Named, ...] = ()
    """Product groups; open are those without VAT wherever they sell."""
    buyers: tuple[str, ...] = ()
    """Kinds of buyers (values of `CustomerVat`) that have a VAT zone."""
    sold: tuple[SoldAs, ...] = ()
    rates: tuple[tuple[str, Decimal], ...] = ()
    """The VAT rate of each account that sales may be booked on: of its VAT code, nought where it has none."""
    fee_codes: tuple[Named, ...] = ()
    """VAT codes of purchases, which rows of vouchers may name."""
    usual_fee_codes: tuple[tuple[str, str], ...] = ()
    """The code that fits a treatment of fees (a value of `FeeVat`), where only one does."""
    barred_products: tuple[str, ...] = ()
    """Products of ours that somebody has barred."""

    def offered(self, choice: Choice) -> tuple[Named, ...]:
        """What there is to choose from."""
        return {
            Choice.LAYOUT: self.layouts,
            Choice.PAYMENT_TERMS: self.payment_terms,
            Choice.CUSTOMER_GROUP: self.customer_groups,
            Choice.ROUNDING_GROUP: self.rounding_groups,
        }[choice]

    def proposed(self, choice: Choice) -> Named | None:
        """What is taken where nobody has chosen."""
        return next((one for one in self.offered(choice) if one.open), None)

    def fault_of(self, choice: Choice, chosen: str) -> str:
        """Why no invoice can be made by a choice: `none` there, `missing` the chosen one, or it is `inactive`."""
        if not chosen:
            return "" if self.proposed(choice) is not None else "none"
        found = next((one for one in self.offered(choice) if one.code == chosen), None)
        if found is None:
            return "missing"
        return "" if found.open else "inactive"


CHOICE_CHECKS: Final[Mapping[Choice, str]] = {
    Choice.LAYOUT: "layout",
    Choice.PAYMENT_TERMS: "payment_terms",
    Choice.CUSTOMER_GROUP: "customer_group",
    Choice.ROUNDING_GROUP: "rounding_product",
}
"""Codes of the prerequisites that ask for them."""
