"""How PayPal's words become ours. Pure: reads no clock, calls nobody.

The ledger is Transaction Search's list, here called rows. A row says what moved the balance (an event code and a
sign), by how much (`transaction_amount`, and `fee_amount`, negative where it costs) and what it concerns
(`paypal_reference_id`). What a buyer or a shop wrote is a stranger's text: cleaned, bounded and never trusted.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from addon.connectors.paypal.codes import is_release, meaning, moves_nothing
from addon.core.currencies import UnknownCurrency, minor_units
from addon.core.money import Money
from addon.core.records import (
    Balance,
    Buyer,
    Dispute,
    DisputeState,
    Fee,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    SaleItem,
)
from addon.ports.errors import BadReply

ORDER_PLACES: Final = ("invoice_id.number", "invoice_id", "custom_field", "subject")
"""Where order numbers are looked for unless a connection says otherwise, first place first.

WooCommerce writes a prefix and the order number into `invoice_id` ("WC-1001"): `invoice_id.number` is what stands
after the prefix. `subject` is searched for "order 1001".
"""

_LONGEST_TEXT: Final = 300
_LONGEST_ORDER_NUMBER: Final = 100
_MOST_ITEMS: Final = 200
_LARGEST: Final = Decimal(10) ** 13
_REF: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PAGE_TOKEN: Final = re.compile(r"[0-9A-Za-z_.=+/-]{1,1000}")
_CODE: Final = re.compile(r"T[0-9]{4}")
_VALUE: Final = re.compile(r"-?(?:[0-9]{1,15}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})")
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()\[\]\\]{1,64}@[^\s@<>\"',;:()\[\]\\]{1,190}")
_PREFIXED: Final = re.compile(r"[A-Za-z]{1,12}[-_ #]{1,2}([0-9]{1,20})")
_ORDER_IN_TEXT: Final = re.compile(
    r"\b(?:order|ordre|beställning|bestilling|bestellung)\b[ :#]{0,3}(?:(?:number|nummer|no|nr)\b\.?[ :#]{0,3})?"
    r"([0-9A-Za-z][0-9A-Za-z_/-]{0,62})",
    re.IGNORECASE,
)
_COUNTED: Final = frozenset("SV")
"""Statuses whose money moved. V marks a payment that a later row took back; its own money came all the same."""


# --- numbers, instants, texts -----------------------------------------------------------------------------


def paypal_money(told: object) -> Money:
    """Read a decimal string exactly. Raises `BadReply` if it is none, or finer than its currency allows."""
    if not isinstance(told, Mapping):
        raise BadReply("PayPal gave an amount that is none")
    value, currency = told.get("value"), told.get("currency_code")
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or not isinstance(currency, str):
        raise BadReply("PayPal gave an amount that cannot be read")
    try:
        amount = Decimal(value)
        minor = amount.scaleb(minor_units(currency))
    except UnknownCurrency as error:
        raise BadReply(f"PayPal gave an amount in an unknown currency, {clean_text(currency, 8)!r}") from error
    except InvalidOperation as error:
        raise BadReply("PayPal gave an amount that cannot be read") from error
    if abs(amount) > _LARGEST or minor != minor.to_integral_value():
        raise BadReply(f"PayPal gave an amount finer than the smallest unit of {currency}, or too large")
    return Money(int(minor), currency)


def read_instant(value: object) -> datetime:
    """An instant, whether its offset is written `+0000` as PayPal does or `Z` as its description says."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    raise BadReply("PayPal gave an instant that cannot be read")


def clean_text(value: object, limit: int = _LONGEST_TEXT) -> str:
    """A stranger's text on one line: no control or direction characters, bounded."""
    if not isinstance(value, str):
        return ""
    value = value[: 4 * limit]
    if value.isascii() and value.isprintable():
        return " ".join(value.split())[:limit].strip()  # as nearly all texts are
    kept = []
    for character in value:
        category = unicodedata.category(character)
        if character in "\t\n\r" or category in ("Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category[0] != "C":
            kept.append(character)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())[:limit].strip()


def read_ref(value: object) -> str:
    """The id of a transaction, account or invoice; empty if there is none that can be read."""
    return value if isinstance(value, str) and _REF.fullmatch(value) else ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


# --- movements --------------------------------------------------------------------------------------------


def translate_movement(row: Mapping[str, Any], places: tuple[str, ...] = ()) -> Movement | None:
    """Read a row; None where it moved no money. Raises `BadReply` if its money, id or dates cannot be read.

    A transaction's id is not unique, for a hold and its release share one: the reference is made of id, event code
    and signed amount, and for a release of its day and time besides. The updated date of other rows is no part of it,
    because PayPal moves it when it looks at a payment again.
    """
    info = _object(row.get("transaction_info"))
    code, status = info.get("transaction_event_code"), info.get("transaction_status")
    if not isinstance(code, str):
        raise BadReply("PayPal gave a transaction without an event code")
    if status not in _COUNTED or moves_nothing(code):
        return None
    transaction = read_ref(info.get("transaction_id"))
    if not transaction:
        raise BadReply("PayPal gave a transaction without an id")
    code = code if _CODE.fullmatch(code) else clean_text(code, 20) or "unknown"
    amount, fees = paypal_money(info.get("transaction_amount")), _fees(info)
    initiated = read_instant(info.get("transaction_initiation_date"))
    release = is_release(code)
    occurred_at = read_instant(info.get("transaction_updated_date")) if release else initiated
    reference = read_ref(info.get("paypal_reference_id"))
    told = meaning(code, amount.minor)
    kind = told.kind
    if kind in (MovementKind.PAYOUT_REVERSAL, MovementKind.DISPUTE_REVERSAL) and not reference:
        kind = MovementKind.UNRECOGNISED  # what came back cannot be told
    stamp = f"-{occurred_at:%Y%m%d%H%M%S}" if release else ""
    return Movement(
        ref=f"{transaction}-{_word(code)}-{amount.currency}{amount.minor}{stamp}",
        kind=kind,
        amount=amount,
        occurred_at=occurred_at,
        fees=fees,
        source_ref=_source(kind, transaction, reference, initiated),
        original_ref=reference if kind in (MovementKind.REFUND, MovementKind.DISPUTE) else "",
        presented=amount if kind in (MovementKind.SALE, MovementKind.REFUND) else None,
        order_numbers=tuple(_order_numbers(info, (*places, *ORDER_PLACES))),
        buyer=_buyer(row),
        description=_description(row, kind, told.words),
        raw_kind=code,
        items=_items(row, amount) if kind is MovementKind.SALE else (),
        metadata=_metadata(info),
        payment_method=_method(info),
        fee_kind=told.fee_kind,
        balance_after=_balance_after(info, amount) if kind is MovementKind.PAYOUT else None,
    )


UNREADABLE: Final = "unreadable"
"""Begins the reference of a row that has no id to be known by."""


def hold_unreadable(row: Mapping[str, Any], fault: BadReply) -> Movement:
    """A row of which the money can be read, and something else cannot: one movement that nobody recognises.

    Nothing that moved the balance may be lost, and one odd row must not keep all others from the books. Where its id
    can be read its reference is the one that it will have when the rest can. Raises `BadReply` where its money, or
    every date of it, cannot be read: what it did to the balance, or when, is then not known.
    """
    info = _object(row.get("transaction_info"))
    amount, fees = paypal_money(info.get("transaction_amount")), _fees(info)
    initiated, updated = (_instant_or_none(info.get(f"transaction_{name}_date")) for name in ("initiation", "updated"))
    occurred_at = initiated or updated
    if occurred_at is None:
        raise fault
    told = info.get("transaction_event_code")
    code = clean_text(told, 20) or "unknown"
    transaction = read_ref(info.get("transaction_id"))
    if not transaction:
        alike = f"{code} {amount} {fees} {occurred_at.isoformat()} {info.get('transaction_id')!r}"
        transaction = f"{UNREADABLE}-{hashlib.sha256(alike.encode()).hexdigest()[:20]}"
    release = is_release(code)
    stamp = f"-{(updated or occurred_at):%Y%m%d%H%M%S}" if release else ""
    return Movement(
        ref=f"{transaction}-{_word(code)}-{amount.currency}{amount.minor}{stamp}",
        kind=MovementKind.UNRECOGNISED,
        amount=amount,
        occurred_at=(updated or occurred_at) if release else occurred_at,
        fees=fees,
        source_ref=transaction,
        description=clean_text(f"{fault}"),
        raw_kind=code,
    )


def _instant_or_none(value: object) -> datetime | None:
    try:
        return read_instant(value)
    except BadReply:
        return None


def _balance_after(info: Mapping[str, Any], amount: Money) -> Money | None:
    """What could be spent after a row, as PayPal ran it; None where it does not say, as in a search with filters."""
    told = info.get("available_balance")
    left = paypal_money(told) if told is not None else None
    return left if left is not None and left.currency == amount.currency else None


def changed_at(row: Mapping[str, Any]) -> datetime | None:
    """When PayPal last changed a row; None where it does not say."""
    told = _object(row.get("transaction_info")).get("transaction_updated_date")
    return read_instant(told) if told is not None else None


def _word(code: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", code) or "unknown"


def _fees(info: Mapping[str, Any]) -> tuple[Fee, ...]:
    """The fee that was taken out of a row; a positive `fee_amount` is one that came back."""
    if info.get("fee_amount") is None:
        return ()
    fee = paypal_money(info["fee_amount"])
    if fee.currency != _object(info.get("transaction_amount")).get("currency_code"):
        raise BadReply("PayPal gave a fee in another currency than its transaction")
    return (Fee(PartKind.FEE, -fee, "PayPal fee"),) if fee else ()


def _source(kind: MovementKind, transaction: str, reference: str, initiated: datetime) -> str:
    """Which object moved the balance.

    The halves of a conversion have one reference and one instant, and a payment may be converted several times (it,
    and each refund of it): both together name the conversion. What comes back names what it takes back.
    """
    match kind:
        case MovementKind.CONVERSION:
            return f"{reference or 'conversion'}-{initiated:%Y%m%d%H%M%S}"
        case MovementKind.PAYOUT_REVERSAL | MovementKind.DISPUTE_REVERSAL:
            return reference
        case _:
            return transaction


def _order_numbers(info: Mapping[str, Any], places: tuple[str, ...]) -> Iterator[OrderNumber]:
    """What stands in each place, once each and in the order of the places."""
    for place in dict.fromkeys(places):
        value = _at_place(info, place)
        if value:
            yield OrderNumber(place, value)


def _at_place(info: Mapping[str, Any], place: str) -> str:
    match place:
        case "invoice_id" | "custom_field":
            return _number(info.get(place))
        case "invoice_id.number":
            found = _PREFIXED.fullmatch(_number(info.get("invoice_id")))
            return found[1] if found else ""
        case "subject":
            words = _ORDER_IN_TEXT.finditer(clean_text(info.get("transaction_subject")))
            told = (word[1].rstrip("-/") for word in words)
            return next((number for number in told if any(character.isdigit() for character in number)), "")
        case _:
            return ""


def _number(value: object) -> str:
    """An order number as it is compared; one that is too long is dropped, for cut short it would be another's.

    Some shops keep JSON in such a field, or a customer's id of their own: no order number.
    """
    text = clean_text(value, 4 * _LONGEST_ORDER_NUMBER).lstrip("#").strip()
    return "" if len(text) > _LONGEST_ORDER_NUMBER or text.startswith(("{", "[", "pcp_customer_")) else text


def _metadata(info: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    names = ("invoice_id", "custom_field", "bank_reference_id", "payment_tracking_id")
    found = ((name, clean_text(info.get(name), 127)) for name in names)
    return tuple((name, value) for name, value in found if value)


def _method(info: Mapping[str, Any]) -> str:
    names = ("instrument_sub_type", "payment_method_type", "instrument_type")
    return next(filter(None, (clean_text(info.get(name), 40).lower() for name in names)), "")


def _buyer(row: Mapping[str, Any]) -> Buyer:
    payer = _object(row.get("payer_info"))
    name = _object(payer.get("payer_name"))
    full = " ".join(filter(None, (clean_text(name.get("given_name"), 100), clean_text(name.get("surname"), 100))))
    email = clean_text(payer.get("email_address"), 255)
    address = _object(_object(row.get("shipping_info")).get("address"))
    return Buyer(
        name=clean_text(name.get("alternate_full_name"), 200) or full,
        email=email if _EMAIL.fullmatch(email) else "",
        country=_country(payer.get("country_code")),
        delivery_country=_country(address.get("country_code")),
    )


def _country(value: object) -> str:
    text = clean_text(value, 8).upper()
    if text == "C2":
        return "CN"  # PayPal's own code for China in cross-border trade
    return text if re.fullmatch("[A-Z]{2}", text) else ""


def _description(row: Mapping[str, Any], kind: MovementKind, words: str) -> str:
    info = _object(row.get("transaction_info"))
    if kind is MovementKind.PAYOUT:
        return clean_text(info.get("bank_reference_id"), 100)
    told = clean_text(info.get("transaction_subject")) or clean_text(info.get("transaction_note"))
    if kind is MovementKind.UNRECOGNISED:
        return ", ".join(filter(None, (words, _buyer(row).name, told)))[:_LONGEST_TEXT]
    return told


# --- what was sold ----------------------------------------------------------------------------------------


def _items(row: Mapping[str, Any], paid: Money) -> tuple[SaleItem, ...]:
    """The lines of the cart, where they add up to what was paid; else none, and the company's rules decide."""
    cart, info = _object(row.get("cart_info")), _object(row.get("transaction_info"))
    details = _objects(cart.get("item_details"))
    if not details or len(details) > _MOST_ITEMS:
        return ()
    try:
        items = [_item(one, inclusive=cart.get("tax_inclusive") is True) for one in details]
        extras = (("Shipping", "shipping_amount", 1), ("Discount", "discount_amount", -1))
        for word, name, sign in extras:
            if info.get(name) is not None:
                extra = abs(paypal_money(info[name]))
                items += [SaleItem(word, Decimal(1), extra if sign > 0 else -extra)] if extra else []
    except BadReply:
        return ()  # lines that cannot be read decide nothing
    return _checked(items, paid)


def _checked(items: list[SaleItem], paid: Money) -> tuple[SaleItem, ...]:
    if any(item.gross.currency != paid.currency for item in items):
        return ()
    if Money.total((item.gross for item in items), paid.currency) != paid:
        return ()
    return tuple(items)


def _item(told: Mapping[str, Any], *, inclusive: bool) -> SaleItem:
    amount = paypal_money(told.get("item_amount"))
    taxes = [paypal_money(one.get("tax_amount")) for one in _objects(told.get("tax_amounts"))]
    tax = Money.total(taxes, amount.currency) if all(one.currency == amount.currency for one in taxes) else None
    if tax is None:
        raise BadReply("PayPal gave a tax in another currency than its line")
    gross = amount if inclusive else amount + tax
    percent = _decimal(told.get("tax_percentage"))
    quantity = _decimal(told.get("item_quantity"))
    # A rate counts only where it gives the tax: some shops put the tax of the shipping on the first line.
    stands = percent is not None and abs((gross.tax_included(percent) - tax).minor) <= 1
    return SaleItem(
        description=clean_text(told.get("item_name"), 200) or clean_text(told.get("item_description"), 200),
        quantity=quantity if quantity else Decimal(1),
        gross=gross,
        sku=clean_text(told.get("item_code"), 100),
        tax=tax if stands else None,
        percent=percent if stands else None,
    )


def _decimal(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", value) else None


def paypal_invoice_of(row: Mapping[str, Any]) -> str:
    """Which invoice made at PayPal a row pays; empty if none."""
    return read_ref(_object(row.get("cart_info")).get("paypal_invoice_id"))


def translate_invoice(invoice: Mapping[str, Any], paid: Money) -> tuple[SaleItem, ...]:
    """The lines of an invoice made at PayPal, where a payment is for all of it; else none."""
    try:
        items = [_invoice_line(one) for one in _objects(invoice.get("items"))[:_MOST_ITEMS]]
    except BadReply:
        return ()
    return _checked(items, paid)


def _invoice_line(told: Mapping[str, Any]) -> SaleItem:
    unit, quantity = paypal_money(told.get("unit_amount")), _decimal(told.get("quantity"))
    tax_told = _object(told.get("tax"))
    if not quantity:
        raise BadReply("PayPal gave an invoice line without a quantity")
    exact = unit.minor * quantity
    if exact != exact.to_integral_value():
        raise BadReply("PayPal gave an invoice line that is no whole amount")
    net = Money(int(exact), unit.currency)
    tax = paypal_money(tax_told["amount"]) if tax_told.get("amount") is not None else Money.zero(unit.currency)
    if tax.currency != unit.currency:
        raise BadReply("PayPal gave a tax in another currency than its line")
    percent = _decimal(tax_told.get("percent"))
    return SaleItem(
        description=clean_text(told.get("name"), 200),
        quantity=quantity,
        gross=net + tax,
        tax=tax if percent is not None else None,
        percent=percent,
    )


# --- disputes ---------------------------------------------------------------------------------------------

_OUTCOMES: Final[Mapping[str, DisputeState]] = {
    "RESOLVED_BUYER_FAVOUR": DisputeState.LOST,
    "ACCEPTED": DisputeState.LOST,
    "RESOLVED_SELLER_FAVOUR": DisputeState.WON,
    # PayPal pays the buyer itself, and the merchant keeps, or gets back, the money.
    "RESOLVED_WITH_PAYOUT": DisputeState.WON,
    "CANCELED_BY_BUYER": DisputeState.WON,
    "DENIED": DisputeState.WON,
    "NONE": DisputeState.CLOSED,
}
"""How a resolved dispute ended. Source: PayPal's description of `dispute_outcome`; another word decides nothing."""


def translate_dispute(told: Mapping[str, Any]) -> tuple[Dispute, ...]:
    """A dispute, once for each payment that it is about. Raises `BadReply` if its amount or date cannot be read."""
    ref, payments = read_ref(told.get("dispute_id")), _objects(told.get("disputed_transactions"))
    if not ref:
        raise BadReply("PayPal gave a dispute without an id")
    state = DisputeState.OPEN
    if told.get("status") == "RESOLVED":
        outcome = _object(told.get("dispute_outcome")).get("outcome_code")
        state = _OUTCOMES.get(outcome, DisputeState.OPEN) if isinstance(outcome, str) else DisputeState.OPEN
    asked = told.get("dispute_amount")
    found = []
    for payment in payments:
        original = read_ref(payment.get("seller_transaction_id"))
        if original:
            amount = asked if len(payments) == 1 else payment.get("gross_amount")
            found.append(
                Dispute(
                    ref=ref if len(payments) == 1 else f"{ref}/{original}",
                    original_ref=original,
                    amount=paypal_money(amount),
                    state=state,
                    created_at=read_instant(told.get("create_time")),
                    reason=clean_text(told.get("reason"), 100).lower(),
                )
            )
    return tuple(found)


def next_page_of(answer: Mapping[str, Any]) -> str | None:
    """The token of a list's next page, out of the address that PayPal gives; None at the end."""
    for link in _objects(answer.get("links")):
        href = link.get("href")
        if link.get("rel") == "next" and isinstance(href, str) and len(href) <= 4000:
            token = parse_qs(urlsplit(href).query).get("next_page_token", [""])[0]
            return token if _PAGE_TOKEN.fullmatch(token) else None
    return None


# --- balances ---------------------------------------------------------------------------------------------


def translate_balances(answer: Mapping[str, Any]) -> tuple[Balance, ...]:
    """What can be spent in each currency, as of the instant that the answer names. Raises `BadReply`.

    What is withheld has left by rows of its own, whatever `ending_balance` says of them: those rows are reserves in
    the books, so that the clearing account stands for what is available.
    """
    at = read_instant(answer.get("as_of_time"))
    found = []
    for told in _objects(answer.get("balances")):
        if told.get("available_balance") is not None:
            found.append(Balance(paypal_money(told["available_balance"]), at))
            continue
        total = paypal_money(told.get("total_balance"))
        withheld = told.get("withheld_balance")
        found.append(Balance(total - paypal_money(withheld) if withheld is not None else total, at))
    if len({balance.amount.currency for balance in found}) != len(found):
        raise BadReply("PayPal told the balance of a currency twice")
    return tuple(found)


def primary_currency(answer: Mapping[str, Any]) -> str:
    """The currency that the account is kept in; the only one, where none is marked."""
    told = _objects(answer.get("balances"))
    marked = [one for one in told if one.get("primary") is True] or told
    return clean_text(marked[0].get("currency"), 3).upper() if marked else ""


# --- evidence ---------------------------------------------------------------------------------------------


def evidence(value: Mapping[str, Any]) -> dict[str, Any]:
    """PayPal's own record, ready to be kept as JSON: what JSON columns refuse is replaced."""
    return {_storable(key): _kept(item) for key, item in value.items()}


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Mapping):
        return evidence(value)
    if isinstance(value, list | tuple):
        return [_kept(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value


def _storable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in text)
