"""What invoices there must name: layout, terms, groups and zones, read together, and what they come to.

A row has no account and no VAT of its own: its product's group and the buyer's VAT zone decide both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from addon.connectors.economic import translate
from addon.connectors.economic.client import ACCOUNTS, EconomicClient
from addon.connectors.economic.translate import Row
from addon.connectors.http import Unreadable
from addon.core.fee_vat import FeeVat
from addon.core.invoicing import Invoicing, Named, SoldAs
from addon.ports.errors import BadReply

OPEN_TERMS: Final = frozenset({"net", "invoiceMonth", "invoiceWeekStartingSunday", "invoiceWeekStartingMonday"})
"""Kinds of terms that leave an invoice open. Cash, prepaid and card terms settle it by themselves; `dueDate` wants a
date of its own on every invoice."""
_PURCHASE: Final = "2"
_REVERSE_CHARGE: Final = "3"
"""Numbers of VAT types."""
_OUTSIDE_THE_EU: Final = ("uden for eu", "udenfor eu", "ikke eu", "ikke-eu", "verden", "3. land")
OWN_PRODUCTS: Final = "KVITT-"


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers as they were read, each in the order in which we would choose."""

    layouts: tuple[Named, ...]
    terms: tuple[Named, ...]
    customer_groups: tuple[Named, ...]
    claims: tuple[str, ...]
    """Accounts of the customer groups."""
    product_groups: tuple[Named, ...]
    rates: Mapping[str, Decimal]
    """Rate of each VAT code."""
    purchase_codes: tuple[tuple[Named, bool], ...]
    """VAT codes of purchases, and whether they are reverse charge."""
    zones: frozenset[int]
    """VAT zones that customers may be in."""
    sold: Mapping[tuple[int, int], tuple[str, Decimal]]
    """Sales account and rate by product group and zone."""
    barred_products: tuple[str, ...]


def read_registers(client: EconomicClient) -> Registers:
    """Read them all. Raises the errors of `addon.ports.errors`."""
    try:
        return _read(client)
    except Unreadable as error:
        raise BadReply(f"GET registers: {error}") from error


def _read(client: EconomicClient) -> Registers:
    codes = list(client.rows("vat-accounts"))
    rates = {translate.text(row, "vatCode"): translate.decimal(row, "ratePercentage") for row in codes}
    layouts = [
        Named(_number(row, "layoutNumber"), translate.text(row, "name"), row.get("deleted") is not True)
        for row in client.rows("layouts")
    ]
    groups = list(client.rows("customer-groups"))
    product_groups = list(client.rows("product-groups"))
    barred = (
        row for row in client.rows("products", f"productNumber$like:{OWN_PRODUCTS}*") if row.get("barred") is True
    )
    return Registers(
        layouts=tuple(layouts),
        terms=tuple(_terms(client)),
        customer_groups=tuple(
            Named(_number(row, "customerGroupNumber"), translate.text(row, "name")) for row in groups
        ),
        claims=tuple(translate.text(row, "account", "accountNumber") for row in groups),
        product_groups=tuple(
            Named(_number(row, "productGroupNumber"), translate.text(row, "name")) for row in product_groups
        ),
        rates=rates,
        purchase_codes=tuple(_purchase_codes(codes)),
        zones=frozenset(
            translate.whole(row, "vatZoneNumber")
            for row in client.rows("vat-zones")
            if row.get("enabledForCustomer") is True
        ),
        sold=dict(_sold(client, product_groups, rates)),
        barred_products=tuple(
            number for row in barred if (number := translate.text(row, "productNumber")).startswith(OWN_PRODUCTS)
        ),
    )


def _number(row: Row, name: str) -> str:
    return str(translate.whole(row, name))


def _purchase_codes(rows: list[Row]) -> Iterator[tuple[Named, bool]]:
    for row in rows:
        kind = translate.text(row, "vatType", "vatTypeNumber")
        if kind in (_PURCHASE, _REVERSE_CHARGE) and row.get("barred") is not True:
            yield Named(translate.text(row, "vatCode"), translate.text(row, "name")), kind == _REVERSE_CHARGE


def _usual_fee_codes(codes: tuple[tuple[Named, bool], ...]) -> Iterator[tuple[str, str]]:
    """Reverse charge on services, told by the names that Danish charts have; none where several would do."""
    services = [one for one, reverse in codes if reverse and "ydelse" in one.name.lower()]
    outside = [one for one in services if any(word in one.name.lower() for word in _OUTSIDE_THE_EU)]
    inside = [one for one in services if one not in outside and "eu" in one.name.lower()]
    for treatment, fitting in ((FeeVat.EU_REVERSE_CHARGE, inside), (FeeVat.NON_EU_REVERSE_CHARGE, outside)):
        if len(fitting) == 1:
            yield treatment.value, fitting[0].code


def _terms(client: EconomicClient) -> list[Named]:
    """Terms of payment; of those that leave an invoice open, plain net ones come first, the shortest of all."""
    rows = list(client.rows("payment-terms"))
    rows.sort(
        key=lambda row: (
            translate.text(row, "paymentTermsType") != "net",
            int(translate.text(row, "daysOfCredit") or 0),
        )
    )
    return [
        Named(
            _number(row, "paymentTermsNumber"),
            translate.text(row, "name"),
            translate.text(row, "paymentTermsType") in OPEN_TERMS,
        )
        for row in rows
    ]


def _sold(
    client: EconomicClient, groups: list[Row], rates: Mapping[str, Decimal]
) -> Iterator[tuple[tuple[int, int], tuple[str, Decimal]]]:
    for group in groups:
        number = translate.whole(group, "productGroupNumber")
        for row in client.rows(f"product-groups/{number}/sales-accounts"):
            code = translate.text(row, "salesAccount", "vatAccount", "vatCode")
            account = translate.text(row, "salesAccount", "accountNumber")
            yield (number, translate.whole(row, "vatZone", "vatZoneNumber")), (account, rates.get(code, Decimal(0)))


def invoicing(registers: Registers, codes: Mapping[str, str]) -> Invoicing:
    """What they come to for invoices. `codes` are the VAT codes of the chart's accounts."""
    kinds = {kind.value: tuple(z for z in zones if z in registers.zones) for kind, zones in translate.ZONES.items()}
    sold = dict.fromkeys(
        SoldAs(kind, account, percent)
        for kind, zones in kinds.items()
        for (_, zone), (account, percent) in registers.sold.items()
        if zone in zones
    )
    return Invoicing(
        layouts=registers.layouts,
        payment_terms=registers.terms,
        customer_groups=registers.customer_groups,
        rounding_groups=rounding_groups(registers),
        buyers=tuple(kind for kind, zones in kinds.items() if zones),
        sold=tuple(sold),
        rates=tuple((number, registers.rates.get(code, Decimal(0))) for number, code in sorted(codes.items())),
        fee_codes=tuple(one for one, _ in registers.purchase_codes),
        usual_fee_codes=tuple(_usual_fee_codes(registers.purchase_codes)),
        barred_products=registers.barred_products,
    )


def rounding_groups(registers: Registers) -> tuple[Named, ...]:
    """All product groups, open those without VAT wherever they sell. The newest first: made for it, as a rule."""
    taxed = {group for (group, _), (_, percent) in registers.sold.items() if percent}
    selling = {group for group, _ in registers.sold}
    return tuple(
        Named(one.code, one.name, int(one.code) in selling - taxed)
        for one in sorted(registers.product_groups, key=lambda one: int(one.code), reverse=True)
    )


def demanding_accounts(client: EconomicClient) -> Mapping[str, tuple[bool, bool]]:
    """Accounts whose rows must name a department, or a unit: only the service tells."""
    return {
        translate.text(row, "number"): (row.get("isDepartmentMandatory") is True, row.get("isUnitMandatory") is True)
        for row in client.items(f"{ACCOUNTS}/Accounts")
        if row.get("isDepartmentMandatory") is True or row.get("isUnitMandatory") is True
    }
