"""What was sold and how it is taxed, as Checkout, Invoices and Stripe Tax tell it. Pure.

Stripe keeps this away from the balance: on Checkout sessions, invoices, or a PaymentIntent's `amount_details`. Lines
come back as `SaleItem`s, tax included, in the currency the buyer paid in; whether they can be true is judged by the
planner, not here. All texts are strangers'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from addon.connectors.stripe.translate import clean_text, read_ref, stripe_money
from addon.core.money import Money
from addon.core.records import Buyer, Movement, MovementKind, SaleItem
from addon.ports.errors import BadReply

_MOST_ITEMS: Final = 200
_NO_TAX: Final = frozenset({"not_collecting", "not_supported", "not_available"})
"""Reasons that say Stripe did not work the tax out; then the company's own rules do."""
SHIPPING: Final = "shipping"


@dataclass(frozen=True, slots=True)
class SaleDetails:
    """What Stripe knows of a sale beside its payment; None and empty where it does not."""

    items: tuple[SaleItem, ...] = ()
    tax_exempt: str = ""
    vat_number: str = ""
    country: str = ""
    delivery_country: str = ""

    def added_to(self, movement: Movement) -> Movement:
        """The movement with these details; what it knew of the buyer already stays."""
        buyer = movement.buyer
        buyer = replace(
            buyer,
            country=buyer.country or self.country,
            vat_number=buyer.vat_number or self.vat_number,
            tax_exempt=self.tax_exempt or buyer.tax_exempt,
            delivery_country=self.delivery_country or buyer.delivery_country,
        )
        return replace(movement, items=self.items or movement.items, buyer=buyer)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list, given plain or as Stripe's list object; none if there are more than it holds."""
    if isinstance(value, Mapping):
        value = [] if value.get("has_more") is True else value.get("data")
    return [row for row in value if isinstance(row, Mapping)][:_MOST_ITEMS] if isinstance(value, list) else []


def _country(value: object) -> str:
    text = clean_text(_object(value).get("country"), 2).upper()
    return text if len(text) == 2 and text.isascii() and text.isalpha() else ""


def _percent(value: object) -> Decimal | None:
    """A rate in percent; Stripe writes numbers such as 25.5."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        percent = Decimal(str(value))
    except ArithmeticError:
        return None
    return percent if percent.is_finite() and 0 <= percent < 100 else None


def _quantity(value: object) -> Decimal:
    return Decimal(value) if type(value) is int and 0 < value < 10**6 else Decimal(1)


def _tax_number(value: object) -> str:
    """The buyer's EU VAT number among their tax numbers."""
    found = (clean_text(one.get("value"), 40) for one in _rows(value) if one.get("type") == "eu_vat")
    return next(filter(None, found), "")


@dataclass(frozen=True, slots=True)
class _Tax:
    """The taxes of one line: the sum, the rate where there is just one, whose it is, and why."""

    amount: Money
    percent: Decimal | None
    country: str
    reason: str
    added: Money
    """The share that comes on top of the line's own amount."""


def _taxes(value: object, currency: object) -> _Tax | None:
    """The taxes of a line; None where Stripe did not work any out."""
    rows = _rows(value)
    told = [row for row in rows if clean_text(row.get("taxability_reason"), 40) not in _NO_TAX]
    if not told:
        return None
    amount = stripe_money(0, currency)
    added = amount
    percents, countries, reasons = [], [], []
    for row in told:
        share = stripe_money(row.get("amount"), currency)
        amount = amount + share
        rate = _object(row.get("rate")) or _object(_object(row.get("tax_rate_details")).get("tax_rate"))
        if row.get("tax_behavior") == "exclusive" or rate.get("inclusive") is False:
            added = added + share
        percents.append(_percent(rate.get("effective_percentage", rate.get("percentage"))))
        countries.append(_country(rate))
        reasons.append(clean_text(row.get("taxability_reason"), 40))
    percent: Decimal | None = None
    if all(one is not None for one in percents):
        percent = sum((one for one in percents if one is not None), Decimal(0))
    reason = "reverse_charge" if "reverse_charge" in reasons else reasons[0]
    if reason == "reverse_charge" or (percent is None and not amount):
        percent = Decimal(0)
    return _Tax(amount, percent, next(filter(None, countries), ""), reason, added)


def _item(
    text: object, quantity: Decimal, gross: Money, tax: _Tax | None, sku: str = "", product: str = ""
) -> SaleItem:
    item = SaleItem(clean_text(text, 200), quantity, gross, sku, product=product)
    if tax is None:
        return item
    return replace(item, tax=tax.amount, percent=tax.percent, country=tax.country, reason=tax.reason)


# --- Checkout ---------------------------------------------------------------------------------------------------


def read_session(session: Mapping[str, Any]) -> SaleDetails:
    """What a Checkout session tells. Raises `BadReply` for amounts that cannot be read."""
    customer = _object(session.get("customer_details"))
    collected = _object(_object(session.get("collected_information")).get("shipping_details"))
    delivery = _object(collected.get("address")) or _object(_object(session.get("shipping_details")).get("address"))
    items = tuple(_session_items(session))
    return SaleDetails(
        items=items,
        tax_exempt=_exempt(customer.get("tax_exempt")),
        vat_number=_tax_number(customer.get("tax_ids")),
        country=_country(customer.get("address")),
        delivery_country=_country(delivery),
    )


def _session_items(session: Mapping[str, Any]) -> Iterator[SaleItem]:
    currency = session.get("currency")
    for row in _rows(session.get("line_items")):
        gross = stripe_money(row.get("amount_total"), currency)
        tax = _taxes(row.get("taxes"), currency)
        if tax is None and row.get("amount_tax"):
            tax = _Tax(stripe_money(row["amount_tax"], currency), None, "", "", Money.zero(gross.currency))
        price = _object(row.get("price"))
        yield _item(
            row.get("description"),
            _quantity(row.get("quantity")),
            gross,
            tax,
            sku=clean_text(price.get("lookup_key") or _object(price.get("metadata")).get("sku"), 60),
            product=read_ref(price.get("product")),
        )
    details = _object(session.get("total_details"))
    if not _rows(session.get("line_items")):
        # Lines that were not spelled out, or more than the list holds: at least the sums by rate.
        for row in _rows(_object(details.get("breakdown")).get("taxes")):
            tax = _taxes([row], currency)
            if tax is not None and row.get("taxable_amount") is not None:
                yield _item("", Decimal(1), stripe_money(row["taxable_amount"], currency) + tax.amount, tax)
    shipping = _object(session.get("shipping_cost"))
    sent = shipping.get("amount_total") or details.get("amount_shipping")
    if sent:
        item = _item("Shipping", Decimal(1), stripe_money(sent, currency), _taxes(shipping.get("taxes"), currency))
        yield item if item.percent is not None else replace(item, reason=SHIPPING)


# --- Invoices ---------------------------------------------------------------------------------------------------


def read_invoice(invoice: Mapping[str, Any]) -> SaleDetails:
    """What an invoice of Stripe tells. Raises `BadReply` for amounts that cannot be read."""
    return SaleDetails(
        items=tuple(_invoice_items(invoice)),
        tax_exempt=_exempt(invoice.get("customer_tax_exempt")),
        vat_number=_tax_number(invoice.get("customer_tax_ids")),
        country=_country(invoice.get("customer_address")),
        delivery_country=_country(_object(invoice.get("customer_shipping")).get("address")),
    )


def _invoice_items(invoice: Mapping[str, Any]) -> Iterator[SaleItem]:
    currency = invoice.get("currency")
    lines = _rows(invoice.get("lines"))
    for row in lines:
        gross = stripe_money(row.get("amount"), currency)
        for discount in _rows(row.get("discount_amounts")):
            gross = gross - stripe_money(discount.get("amount"), currency)
        tax = _taxes(row.get("taxes"), currency)
        gross = gross + tax.added if tax is not None else gross
        product = _object(_object(row.get("pricing")).get("price_details")).get("product")
        yield _item(row.get("description"), _quantity(row.get("quantity")), gross, tax, product=read_ref(product))
    if not lines:
        for row in _rows(invoice.get("total_taxes")):
            tax = _taxes([row], currency)
            if tax is not None and row.get("taxable_amount") is not None:
                yield _item("", Decimal(1), stripe_money(row["taxable_amount"], currency) + tax.amount, tax)
    shipping = _object(invoice.get("shipping_cost"))
    if shipping.get("amount_total"):
        tax = _taxes(shipping.get("taxes"), currency)
        item = _item("Shipping", Decimal(1), stripe_money(shipping["amount_total"], currency), tax)
        yield item if item.percent is not None else replace(item, reason=SHIPPING)


def _exempt(value: object) -> str:
    text = clean_text(value, 20)
    return text if text in ("exempt", "reverse") else ""


# --- PaymentIntents ---------------------------------------------------------------------------------------------


def read_intent(intent: Mapping[str, Any], description: str) -> tuple[SaleItem, ...]:
    """What a shop told of the tax when it took the payment itself: one sum, so that one rate must explain it."""
    details = _object(intent.get("amount_details"))
    total = _object(details.get("tax")).get("total_tax_amount")
    if not total:
        return ()
    currency = intent.get("currency")
    tax = _Tax(stripe_money(total, currency), None, "", "", stripe_money(0, currency))
    return (_item(description, Decimal(1), stripe_money(intent.get("amount"), currency), tax),)


def with_details(movement: Movement, row: Mapping[str, Any], found: Mapping[str, SaleDetails]) -> Movement:
    """A sale with what Stripe tells of it elsewhere. Where that cannot be read the movement stays as it is."""
    if movement.kind is not MovementKind.SALE:
        return movement
    charge = _object(row.get("source"))
    intent = _object(charge.get("payment_intent"))
    details = found.get(intent_of(row))
    if details is not None and (details.items or details.vat_number):
        return details.added_to(movement)
    try:
        items = read_intent(intent, movement.description)
    except BadReply:
        return movement
    delivery = _country(_object(charge.get("shipping")).get("address"))
    buyer: Buyer = replace(movement.buyer, delivery_country=delivery) if delivery else movement.buyer
    return replace(movement, items=items or movement.items, buyer=buyer)


def intent_of(row: Mapping[str, Any]) -> str:
    """The PaymentIntent of a balance transaction's charge; empty if there is none."""
    return read_ref(_object(row.get("source")).get("payment_intent"))
