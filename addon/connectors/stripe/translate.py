"""How Stripe's words become ours. Pure: reads no clock, calls nobody.

The ledger is the list of balance transactions, here called rows. A row says what moved the balance
(`reporting_category`, then `type`), by how much (`amount`, `fee`, `net` in the balance's currency) and for
which object (`source`), which we ask to have spelled out. What a buyer or a shop wrote into those objects is
a stranger's text: it is cleaned, bounded and never trusted.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from addon.core.currencies import UnknownCurrency, minor_units
from addon.core.money import Money
from addon.core.records import (
    Balance,
    Buyer,
    Dispute,
    DisputeState,
    Fee,
    FeeKind,
    Itemisation,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    Payout,
    PayoutState,
)
from addon.ports.errors import BadReply
from addon.ports.payments import PayoutItem, ProviderAccount

# --- what kind of movement --------------------------------------------------------------------------------

KIND_BY_CATEGORY: Final[Mapping[str, MovementKind]] = {
    "charge": MovementKind.SALE,
    # A delayed method (bank debit, for one) bounced after the money had been credited.
    "charge_failure": MovementKind.SALE_REVERSAL,
    # The share of an authorisation that was never captured, after a row that showed it in full.
    "partial_capture_reversal": MovementKind.SALE_REVERSAL,
    "refund": MovementKind.REFUND,
    "refund_failure": MovementKind.REFUND_REVERSAL,
    "dispute": MovementKind.DISPUTE,
    "dispute_reversal": MovementKind.DISPUTE_REVERSAL,
    "fee": MovementKind.FEE,
    "network_cost": MovementKind.FEE,
    "tax": MovementKind.FEE_TAX,
    "other_adjustment": MovementKind.ADJUSTMENT,
    "payout": MovementKind.PAYOUT,
    "payout_reversal": MovementKind.PAYOUT_REVERSAL,
    "payout_minimum_balance_hold": MovementKind.RESERVE,
    "payout_minimum_balance_release": MovementKind.RESERVE,
    "connect_reserved_funds": MovementKind.RESERVE,
    "risk_reserved_funds": MovementKind.RESERVE,
    "transfer": MovementKind.TRANSFER,
    "transfer_reversal": MovementKind.TRANSFER,
    "connect_collection_transfer": MovementKind.TRANSFER,
    "platform_earning": MovementKind.PLATFORM_EARNING,
    "platform_earning_refund": MovementKind.PLATFORM_EARNING,
    "topup": MovementKind.TOP_UP,
    "topup_reversal": MovementKind.TOP_UP,
    "advance": MovementKind.FINANCING,
    "advance_funding": MovementKind.FINANCING,
    "anticipation_repayment": MovementKind.FINANCING,
    "financing_payout": MovementKind.FINANCING,
    "financing_payout_reversal": MovementKind.FINANCING,
    "financing_paydown": MovementKind.FINANCING,
    "financing_paydown_reversal": MovementKind.FINANCING,
    "contribution": MovementKind.CONTRIBUTION,
    "climate_order_purchase": MovementKind.CONTRIBUTION,
    "climate_order_refund": MovementKind.CONTRIBUTION,
    # Known words that Kvitt has no booking for: a card programme of the company's own, and money of a buyer
    # that no payment has been found for yet. Held, like a word we do not know.
    "issuing_authorization_hold": MovementKind.UNRECOGNISED,
    "issuing_authorization_release": MovementKind.UNRECOGNISED,
    "issuing_transaction": MovementKind.UNRECOGNISED,
    "issuing_dispute": MovementKind.UNRECOGNISED,
    "unreconciled_customer_funds": MovementKind.UNRECOGNISED,
}
"""Kinds by `reporting_category` (docs.stripe.com/reports/reporting-categories). An open list."""

KIND_BY_TYPE: Final[Mapping[str, MovementKind]] = {
    "charge": MovementKind.SALE,
    "payment": MovementKind.SALE,
    "payment_failure_refund": MovementKind.SALE_REVERSAL,
    "payment_reversal": MovementKind.SALE_REVERSAL,
    "refund": MovementKind.REFUND,
    "payment_refund": MovementKind.REFUND,
    "refund_failure": MovementKind.REFUND_REVERSAL,
    "stripe_fee": MovementKind.FEE,
    "stripe_fx_fee": MovementKind.FEE,
    "network_cost": MovementKind.FEE,
    "tax_fee": MovementKind.FEE_TAX,
    "payout": MovementKind.PAYOUT,
    "payout_cancel": MovementKind.PAYOUT_REVERSAL,
    "payout_failure": MovementKind.PAYOUT_REVERSAL,
    "payout_minimum_balance_hold": MovementKind.RESERVE,
    "payout_minimum_balance_release": MovementKind.RESERVE,
    "reserved_funds": MovementKind.RESERVE,
    "reserve_transaction": MovementKind.RESERVE,
    "reserve_hold": MovementKind.RESERVE,
    "reserve_release": MovementKind.RESERVE,
    "transfer": MovementKind.TRANSFER,
    "transfer_cancel": MovementKind.TRANSFER,
    "transfer_failure": MovementKind.TRANSFER,
    "transfer_refund": MovementKind.TRANSFER,
    "connect_collection_transfer": MovementKind.TRANSFER,
    "application_fee": MovementKind.PLATFORM_EARNING,
    "application_fee_refund": MovementKind.PLATFORM_EARNING,
    "topup": MovementKind.TOP_UP,
    "topup_reversal": MovementKind.TOP_UP,
    "advance": MovementKind.FINANCING,
    "advance_funding": MovementKind.FINANCING,
    "anticipation_repayment": MovementKind.FINANCING,
    "contribution": MovementKind.CONTRIBUTION,
    "climate_order_purchase": MovementKind.CONTRIBUTION,
    "climate_order_refund": MovementKind.CONTRIBUTION,
    "payment_network_reserve_hold": MovementKind.RESERVE,
    "payment_network_reserve_release": MovementKind.RESERVE,
    # As in the categories: a card programme of the company's own, money nobody has claimed; and words that are new
    # or undocumented, of which nobody has seen a row. Held until it is known what they move.
    "issuing_authorization_hold": MovementKind.UNRECOGNISED,
    "issuing_authorization_release": MovementKind.UNRECOGNISED,
    "issuing_dispute": MovementKind.UNRECOGNISED,
    "issuing_dispute_provisional_credit": MovementKind.UNRECOGNISED,
    "issuing_dispute_provisional_credit_reversal": MovementKind.UNRECOGNISED,
    "issuing_transaction": MovementKind.UNRECOGNISED,
    "payment_unreconciled": MovementKind.UNRECOGNISED,
    "tax_fund": MovementKind.UNRECOGNISED,
    "obligation_outbound": MovementKind.UNRECOGNISED,
    "obligation_reversal_inbound": MovementKind.UNRECOGNISED,
    "fee_credit_funding": MovementKind.UNRECOGNISED,
    "inbound_transfer": MovementKind.UNRECOGNISED,
    "inbound_transfer_reversal": MovementKind.UNRECOGNISED,
    "stripe_balance_payment_debit": MovementKind.UNRECOGNISED,
    "stripe_balance_payment_debit_reversal": MovementKind.UNRECOGNISED,
}
"""Kinds by `type`, for a row whose category we do not know. `adjustment` is left out on purpose: it may be a
dispute, a bounced refund, a fee or anything else, and only the category tells."""

_SIGNS: Final[Mapping[MovementKind, int]] = {
    MovementKind.SALE: 1,
    MovementKind.SALE_REVERSAL: -1,
    MovementKind.REFUND: -1,
    MovementKind.REFUND_REVERSAL: 1,
}
"""Kinds that become documents and so can have one sign only; a row of the other sign means something else."""

_BY_CHARGE: Final = frozenset(_SIGNS)
"""Kinds whose document is made out in the buyer's currency."""
_PRESENTED: Final = _BY_CHARGE | {MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL}
"""Kinds that move what a buyer paid; a fee may name a dispute as its source without being that money."""

_FEE_PARTS: Final[Mapping[str, PartKind]] = {
    "stripe_fee": PartKind.FEE,
    "network_cost": PartKind.FEE,
    "payment_method_passthrough_fee": PartKind.FEE,
    "tax": PartKind.FEE_TAX,
    "withheld_tax": PartKind.FEE_TAX,
    "application_fee": PartKind.FOREIGN_FEE,
}

_FEE_WORDS: Final[tuple[tuple[FeeKind, re.Pattern[str]], ...]] = (
    # Order matters: "Chargeback protection" is a tool, "Card payments: dispute fee" is none.
    (
        FeeKind.SERVICE,
        re.compile(r"protection|radar|\bbilling\b|invoic|subscri|\btax\b|taxes|terminal|reader|sigma"),
    ),
    (FeeKind.SERVICE, re.compile(r"identity|atlas|\bconnect\b|financial connections|data pipeline|climate|issuing")),
    (FeeKind.DISPUTE, re.compile(r"dispute|chargeback")),
    (FeeKind.CONVERSION, re.compile(r"conversion|currency|\bfx\b|foreign exchange")),
    (FeeKind.NETWORK, re.compile(r"network|interchange|scheme|pass[- ]?through")),
    (FeeKind.PAYMENT, re.compile(r"processing|payment|card|payout|authori[sz]ation|refund|transfer|volume|bank debit")),
)
"""What a fee is for by the words of its description, in Stripe's English; the descriptions are no closed list."""

_FEE_TYPES: Final[Mapping[str, FeeKind]] = {
    "stripe_fx_fee": FeeKind.CONVERSION,
    "network_cost": FeeKind.NETWORK,
    "payment_method_passthrough_fee": FeeKind.NETWORK,
}

UNSPECIFIED_FEE: Final = "unspecified"
"""Text of the share of a fee that the details do not explain."""

# --- where an order number may stand ----------------------------------------------------------------------

_ORDER_KEYS: Final = ("order_number", "order_id", "Order #", "orderId", "order")

ORDER_PLACES: Final[tuple[str, ...]] = (
    *(f"metadata.{key}" for key in _ORDER_KEYS),
    *(f"payment_intent.metadata.{key}" for key in _ORDER_KEYS),
    "payment_intent.payment_details.order_reference",
    "description",
)
"""Where order numbers are looked for unless a connection says otherwise, first place first.

`metadata`, `payment_intent` and `description` are those of the charge, also for a refund or a dispute of it;
`refund.metadata.…` reads the refund's own. WooPayments writes both `order_number` (for people) and `order_id`
(of its database), hence the order.
"""

_ORDER_IN_TEXT: Final = re.compile(
    r"\b(?:order|ordre|beställning|bestilling|bestellung)\b"
    r"(?: ?(?:number|nummer|no|nr|id)\b\.?)? {0,2}[:#]{0,2} {0,2}"
    r"([0-9A-Za-z][0-9A-Za-z_/-]{0,62})",
    re.IGNORECASE,
)
_CHARGE_IN_TEXT: Final = re.compile(r"\b(?:ch|py)_[0-9A-Za-z_]{1,240}")

_LONGEST_ORDER_NUMBER: Final = 100
_LONGEST_TEXT: Final = 300
_MOST_METADATA: Final = 50
_LONGEST_METADATA: Final = 500
"""Stripe's own limits (docs.stripe.com/api/metadata); what is beyond them did not come from Stripe."""
_REF: Final = re.compile(r"[0-9A-Za-z_.:-]{1,255}")
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()\[\]\\]{1,64}@[^\s@<>\"',;:()\[\]\\]{1,190}")


# --- numbers, instants, texts -----------------------------------------------------------------------------

_STRIPE_DECIMALS: Final[Mapping[str, int]] = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe's whole numbers carry other decimals than ISO 4217 says (docs.stripe.com/currencies).

ISK and UGX have no smaller unit but are written with two decimals, 5 kronur being 500; MGA is written in
whole ariary. For UGX the page contradicts itself; the special rule is taken, and an amount that is no whole
shilling is refused rather than rounded.
"""

_LARGEST_AMOUNT: Final = 10**15


def stripe_decimals(currency: str) -> int:
    """How many decimals Stripe's whole numbers carry in an ISO currency. Raises `UnknownCurrency`."""
    return _STRIPE_DECIMALS.get(currency, minor_units(currency))


def stripe_money(value: object, currency: object) -> Money:
    """Read an amount exactly. Raises `BadReply` if it is none, or finer than its currency allows."""
    if type(value) is not int or abs(value) > _LARGEST_AMOUNT:
        raise BadReply("Stripe gave an amount that is no whole number of a readable size")
    if not isinstance(currency, str):
        raise BadReply("Stripe gave an amount without a currency")
    code = currency.upper()
    try:
        shift = minor_units(code) - stripe_decimals(code)
    except UnknownCurrency as error:
        raise BadReply(f"Stripe gave an amount in an unknown currency, {clean_text(currency, 8)!r}") from error
    if shift >= 0:
        return Money(value * 10**shift, code)
    whole, left = divmod(value, 10**-shift)
    if left:
        raise BadReply(f"Stripe gave an amount finer than the smallest unit of {code}")
    return Money(whole, code)


def _instant(value: object) -> datetime:
    """Unix seconds as an aware instant. Raises `BadReply`."""
    if type(value) is not int or not 0 <= value < 4_102_444_800:
        raise BadReply("Stripe gave an instant that cannot be read")
    return datetime.fromtimestamp(value, UTC)


def clean_text(value: object, limit: int = _LONGEST_TEXT) -> str:
    """A stranger's text on one line: no control or direction characters, bounded."""
    if not isinstance(value, str):
        return ""
    kept = []
    for character in value[: 4 * limit]:
        category = unicodedata.category(character)
        if character in "\t\n\r" or category in ("Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category[0] != "C":
            kept.append(character)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())[:limit].strip()


def read_ref(value: object) -> str:
    """The id of an object given as id or in full; empty if there is none that can be read."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and _REF.fullmatch(value) else ""


def _object(value: object, name: str = "") -> Mapping[str, Any]:
    """The value if it is an object (of this name), else an empty one."""
    if isinstance(value, Mapping) and (not name or value.get("object") == name):
        return value
    return {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# --- movements --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Around:
    """A row with the objects around it; each is empty where the row has none or it was not spelled out."""

    row: Mapping[str, Any]
    charge: Mapping[str, Any]
    intent: Mapping[str, Any]
    refund: Mapping[str, Any]
    dispute: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Around:
        source = _object(row.get("source"))
        refund, dispute = _object(source, "refund"), _object(source, "dispute")
        charge = _object(source, "charge") or _object(source.get("charge"), "charge")
        intent = _object(charge.get("payment_intent")) or _object(source.get("payment_intent"))
        return cls(row, charge, intent, refund, dispute)


def translate_movement(row: Mapping[str, Any], places: tuple[str, ...] = ORDER_PLACES) -> Movement:
    """Read a balance transaction, its source spelled out as far as `expand` allows.

    A word we do not know makes an `UNRECOGNISED` movement, and so does a sale or refund whose amount in the
    buyer's currency cannot be told: its amount in the balance is certain, its document is not. Raises
    `BadReply` if the row's own amounts cannot be read or do not add up.
    """
    ref = read_ref(row.get("id"))
    if not ref:
        raise BadReply("Stripe gave a balance transaction without an id")
    amount = stripe_money(row.get("amount"), row.get("currency"))
    fees = _fees(row)
    if amount - Money.total((fee.amount for fee in fees), amount.currency) != stripe_money(
        row.get("net"), row.get("currency")
    ):
        raise BadReply(f"the amounts of Stripe's {ref} do not add up to its net")
    around = _Around.of(row)
    raw_kind = f"{clean_text(row.get('reporting_category'), 60)}/{clean_text(row.get('type'), 60)}"
    kind = decide_kind(row.get("reporting_category"), row.get("type"))
    if kind in _SIGNS and amount.minor * _SIGNS[kind] < 0:
        kind = MovementKind.UNRECOGNISED
    presented = None
    try:
        presented = _presented(kind, amount, around)
    except BadReply as error:
        kind, raw_kind = MovementKind.UNRECOGNISED, f"{raw_kind}: {error}"
    source_ref = read_ref(row.get("source"))
    return Movement(
        ref=ref,
        kind=kind,
        amount=amount,
        occurred_at=_instant(row.get("created")),
        fees=fees,
        # An adjustment of fees names itself as its source.
        source_ref="" if source_ref == ref else source_ref,
        original_ref=_original_ref(kind, around),
        presented=presented,
        order_numbers=tuple(_order_numbers(around, places)),
        buyer=_buyer(around),
        description=clean_text(row.get("description")),
        raw_kind=raw_kind,
        metadata=tuple(_metadata(around)),
        payment_method=clean_text(_object(around.charge.get("payment_method_details")).get("type"), 60),
        fee_kind=_own_fee_kind(kind, row),
    )


def _metadata(around: _Around) -> Iterator[tuple[str, str]]:
    """What the shop attached to the charge or, under other keys, to its payment intent; bounded as Stripe bounds it."""
    found: dict[str, str] = {}
    for told in (around.charge, around.intent):
        for key, value in _object(told.get("metadata")).items():
            name, text = clean_text(key, 40), clean_text(value, _LONGEST_METADATA)
            if name and text and len(found) < _MOST_METADATA:
                found.setdefault(name, text)
    yield from found.items()


def decide_kind(category: object, type_: object) -> MovementKind:
    """The kind by `reporting_category`, and where that is none we know, by `type`; else `UNRECOGNISED`."""
    if isinstance(category, str) and category in KIND_BY_CATEGORY:
        return KIND_BY_CATEGORY[category]
    if isinstance(type_, str) and type_ in KIND_BY_TYPE:
        return KIND_BY_TYPE[type_]
    return MovementKind.UNRECOGNISED


def _fees(row: Mapping[str, Any]) -> tuple[Fee, ...]:
    """The fee, split as the details tell; what they leave unexplained is a part of its own."""
    currency = row.get("currency")
    left = stripe_money(row.get("fee") or 0, currency)
    fees = []
    for detail in map(_object, _list(row.get("fee_details"))):
        # A detail in another currency cannot be a share of this fee; it stays in the unexplained rest.
        if not detail.get("amount") or detail.get("currency") != currency:
            continue
        amount = stripe_money(detail["amount"], currency)
        word, text = clean_text(detail.get("type"), 60), clean_text(detail.get("description"), 200)
        if word in _FEE_PARTS:
            fees.append(Fee(_FEE_PARTS[word], amount, text or word, decide_fee_kind(word, text, inside=True)))
        else:
            named = f"{word or UNSPECIFIED_FEE}: {text}".rstrip(": ")
            fees.append(Fee(PartKind.FEE, amount, named, FeeKind.OTHER))
        left = left - amount
    if left:
        fees.append(Fee(PartKind.FEE, left, UNSPECIFIED_FEE))
    return tuple(fees)


def _own_fee_kind(kind: MovementKind, row: Mapping[str, Any]) -> FeeKind:
    """What a row is for that is a fee itself; of another row nobody asks."""
    if kind not in (MovementKind.FEE, MovementKind.FEE_TAX):
        return FeeKind.PAYMENT
    word = clean_text(row.get("type"), 60)
    if row.get("reporting_category") == "network_cost":
        word = "network_cost"
    return decide_fee_kind(word, clean_text(row.get("description")), inside=False)


def decide_fee_kind(word: str, text: str, *, inside: bool) -> FeeKind:
    """What a fee is for, by Stripe's word for its kind and by its description.

    `inside` a payment's own row a fee without telling words is the payment's; a row of its own is something else.
    """
    if word in _FEE_TYPES:
        return _FEE_TYPES[word]
    lowered = text.lower()
    found = next((kind for kind, words in _FEE_WORDS if words.search(lowered)), None)
    return found or (FeeKind.PAYMENT if inside else FeeKind.OTHER)


def _presented(kind: MovementKind, amount: Money, around: _Around) -> Money | None:
    """The movement in the buyer's currency, signed like `amount`; None where no buyer is told of.

    That currency is the charge's own (the price the shop asked), also under Adaptive Pricing, where the
    card was debited in yet another one at Stripe's risk. Raises `BadReply` where money was converted and
    the buyer's amount cannot be told.
    """
    if kind not in _PRESENTED:
        return None
    paid = around.dispute or around.refund or around.charge
    currency = paid.get("currency")
    if not isinstance(currency, str):
        if kind in _BY_CHARGE and around.row.get("exchange_rate") is not None:
            raise BadReply("converted by Stripe, and the amount before is not told")
        return None
    if currency.upper() == amount.currency:
        return amount
    if around.dispute:
        # Of several rows for one dispute none says which share of the disputed amount it is.
        category = around.row.get("reporting_category")
        rows = [_object(row) for row in _list(around.dispute.get("balance_transactions"))]
        told = around.dispute.get("amount")
        if sum(1 for row in rows if row.get("reporting_category") == category) > 1:
            told = None
    elif around.refund:
        told = around.refund.get("amount")
    elif around.row.get("reporting_category") == "partial_capture_reversal":
        told = _difference(around.charge.get("amount"), around.charge.get("amount_captured"))
    elif kind in (MovementKind.SALE, MovementKind.SALE_REVERSAL):
        told = _charged(around)
    else:
        told = None
    if told is None:
        if kind in _BY_CHARGE:
            raise BadReply("converted by Stripe, and the amount before is not told")
        return None
    presented = abs(stripe_money(told, currency))
    return -presented if amount.minor < 0 else presented


def _difference(whole: object, part: object) -> int | None:
    return whole - part if type(whole) is int and type(part) is int and whole > part else None


def _charged(around: _Around) -> object:
    """What of a charge this row stands for: what was captured, or all that had been authorised.

    A charge captured in part has one row of what was captured, or one of the full authorisation and another
    that takes the rest back. The rate tells which; it maps smallest unit to smallest unit.
    """
    captured, authorised = around.charge.get("amount_captured"), around.charge.get("amount")
    if type(captured) is not int or type(authorised) is not int or captured == authorised:
        return authorised
    rate = around.row.get("exchange_rate")
    if type(rate) not in (int, float) or rate == 0:
        return captured
    wanted = Decimal(abs(around.row["amount"])) / abs(Decimal(str(rate)))
    return min((captured, authorised), key=lambda candidate: abs(wanted - candidate))


def _original_ref(kind: MovementKind, around: _Around) -> str:
    """The charge that a refund, a dispute or a reversal concerns; empty for the sale itself."""
    if kind is MovementKind.SALE:
        return ""
    source = around.row.get("source")
    if around.refund or around.dispute:
        return read_ref(_object(source).get("charge"))
    if around.charge:
        return read_ref(around.charge)
    if isinstance(source, str) and _CHARGE_IN_TEXT.fullmatch(source):
        return source
    if kind in (MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL):
        # "Chargeback withdrawal for ch_…": all there is where the dispute itself could not be read.
        found = _CHARGE_IN_TEXT.search(clean_text(around.row.get("description")))
        return found.group() if found else ""
    return ""


# --- order numbers and buyers -----------------------------------------------------------------------------


def _order_numbers(around: _Around, places: tuple[str, ...]) -> Iterator[OrderNumber]:
    for place in places:
        value = order_number_value(_at(around, place), from_text=place.endswith("description"))
        if value:
            yield OrderNumber(place, value)


def _at(around: _Around, place: str) -> object:
    """What stands at a place such as `metadata.order_id` or `payment_intent.description`."""
    name, _, rest = place.partition(".")
    if name == "payment_intent":
        base: Mapping[str, Any] = around.intent
    elif name == "refund":
        base = around.refund
    else:
        base, rest = around.charge, place
        if place == "description" and not base.get("description"):
            base = around.row
    name, _, key = rest.partition(".")
    # A metadata key may itself hold points: it is taken whole.
    return _object(base.get(name)).get(key) if key else base.get(name)


def order_number_value(value: object, *, from_text: bool = False) -> str:
    """An order number as it is compared: cleaned, without a leading `#`; empty if there is none.

    One that is too long is dropped, not cut: cut short it would be another order's number. From a running
    text the first word after "order" that holds a digit is taken.
    """
    if type(value) is int:
        value = str(value)
    text = clean_text(value, 4 * _LONGEST_ORDER_NUMBER)
    if from_text:
        found = (match.group(1).rstrip("-/") for match in _ORDER_IN_TEXT.finditer(text))
        text = next((word for word in found if any(character.isdigit() for character in word)), "")
    text = text.lstrip("#").strip()
    return text if len(text) <= _LONGEST_ORDER_NUMBER else ""


def _buyer(around: _Around) -> Buyer:
    billing = _object(around.charge.get("billing_details"))
    shipping = _object(around.charge.get("shipping")) or _object(around.intent.get("shipping"))
    emails = (billing.get("email"), around.charge.get("receipt_email"), around.intent.get("receipt_email"))
    countries = (_object(place.get("address")).get("country") for place in (billing, shipping))
    return Buyer(
        name=clean_text(billing.get("name"), 200) or clean_text(shipping.get("name"), 200),
        email=next(filter(None, map(_email, emails)), ""),
        country=next(filter(None, map(_country, countries)), ""),
        vat_number=clean_text(billing.get("tax_id"), 40),
    )


def _email(value: object) -> str:
    text = clean_text(value, 255)
    return text if _EMAIL.fullmatch(text) else ""


def _country(value: object) -> str:
    text = clean_text(value, 8).upper()
    return text if re.fullmatch("[A-Z]{2}", text) else ""


# --- payouts, balances, account ---------------------------------------------------------------------------

_PAYOUT_STATES: Final[Mapping[str, PayoutState]] = {
    "pending": PayoutState.UNDER_WAY,
    "in_transit": PayoutState.UNDER_WAY,
    "paid": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.CANCELLED,
}

_ITEMISATIONS: Final[Mapping[str, Itemisation]] = {
    "completed": Itemisation.COMPLETE,
    "in_progress": Itemisation.PENDING,
    "not_applicable": Itemisation.NONE,
}


def translate_payout(payout: Mapping[str, Any]) -> Payout:
    """Read a payout as it stands. Raises `BadReply`."""
    ref = read_ref(payout.get("id"))
    if not ref:
        raise BadReply("Stripe gave a payout without an id")
    arrival = payout.get("arrival_date")
    automatic = payout.get("automatic") is True
    told = _ITEMISATIONS.get(str(payout.get("reconciliation_status")))
    trace = _object(payout.get("trace_id")).get("value")
    return Payout(
        ref=ref,
        amount=stripe_money(payout.get("amount"), payout.get("currency")),
        # A state that we do not know is no reason to book: it counts as under way until Stripe says more.
        state=_PAYOUT_STATES.get(str(payout.get("status")), PayoutState.UNDER_WAY),
        created_at=_instant(payout.get("created")),
        # Stripe writes a date as its midnight in UTC; it is a date, not an instant.
        arrival_date=None if arrival is None else _date(arrival),
        # Only automatic payouts are itemised (docs.stripe.com/payouts/reconciliation).
        itemisation=(told or Itemisation.PENDING) if automatic else Itemisation.NONE,
        automatic=automatic,
        statement_text=" ".join(
            filter(None, (clean_text(payout.get("statement_descriptor"), 60) or "STRIPE", clean_text(trace, 100)))
        ),
        movement_ref=read_ref(payout.get("balance_transaction")),
    )


_DISPUTE_STATES: Final[Mapping[str, DisputeState]] = {
    "warning_needs_response": DisputeState.OPEN,
    "warning_under_review": DisputeState.OPEN,
    "warning_closed": DisputeState.CLOSED,
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "prevented": DisputeState.CLOSED,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def translate_dispute(dispute: Mapping[str, Any]) -> Dispute:
    """Read a dispute as it stands. Raises `BadReply`."""
    ref = read_ref(dispute.get("id"))
    if not ref:
        raise BadReply("Stripe gave a dispute without an id")
    return Dispute(
        ref=ref,
        original_ref=read_ref(dispute.get("charge")),
        amount=stripe_money(dispute.get("amount"), dispute.get("currency")),
        # A status that we do not know decides nothing.
        state=_DISPUTE_STATES.get(str(dispute.get("status")), DisputeState.OPEN),
        created_at=_instant(dispute.get("created")),
        reason=clean_text(dispute.get("reason"), 60),
    )


def _date(value: object) -> date:
    return _instant(value).date()


def is_own_row(row: Mapping[str, Any], payout_ref: str) -> bool:
    """Whether a row of a payout's list is the payout itself, not one of the movements that make it up."""
    return row.get("type") == "payout" and read_ref(row.get("source")) == payout_ref


def translate_payout_item(row: Mapping[str, Any]) -> PayoutItem:
    """Read a row of a payout's list as far as the proof needs it. Raises `BadReply`."""
    ref = read_ref(row)
    if not ref:
        raise BadReply("Stripe gave a balance transaction without an id")
    return PayoutItem(ref, stripe_money(row.get("net"), row.get("currency")))


def translate_balances(balance: Mapping[str, Any], at: datetime) -> tuple[Balance, ...]:
    """The balance per currency: the sum that all rows ever made, whatever part of the balance they moved.

    That is `available` and `pending`, and the same of the balances that rows of another `balance_type` move
    (a card programme's, prepaid refunds'). `instant_available` is a view of the same money.
    `connect_reserved` and other reserves are left out: what is held back left the balance by a row of its
    own, a movement of kind RESERVE, so that the sum over all rows is what remains here. A payout leaves
    `available` when it is made, before it reaches the bank. Raises `BadReply`.
    """
    totals: dict[str, Money] = {}
    beside = ("issuing", "refund_and_dispute_prefunding")
    for part in (balance, *(_object(balance.get(name)) for name in beside)):
        for entry in map(_object, (*_list(part.get("available")), *_list(part.get("pending")))):
            if entry.get("amount") == 0 and _unknown(entry.get("currency")):
                continue  # a withdrawn currency (BGN, HRK) may stay in the list for ever, empty
            amount = stripe_money(entry.get("amount"), entry.get("currency"))
            totals[amount.currency] = totals.get(amount.currency, Money.zero(amount.currency)) + amount
    return tuple(Balance(totals[currency], at) for currency in sorted(totals))


def _unknown(currency: object) -> bool:
    try:
        minor_units(str(currency).upper())
    except UnknownCurrency:
        return True
    return False


def translate_account(account: Mapping[str, Any], *, live: bool) -> ProviderAccount:
    """Who the account belongs to. Raises `BadReply` without an id."""
    ref = read_ref(account.get("id"))
    if not ref:
        raise BadReply("Stripe gave an account without an id")
    dashboard = _object(_object(account.get("settings")).get("dashboard"))
    names = (
        _object(account.get("business_profile")).get("name"),
        dashboard.get("display_name"),
        _object(account.get("company")).get("name"),
        account.get("email"),
    )
    return ProviderAccount(
        ref=ref,
        name=next(filter(None, (clean_text(name, 200) for name in names)), ref),
        country=_country(account.get("country")),
        default_currency=clean_text(account.get("default_currency"), 3).upper(),
        live=live,
    )


# --- evidence ---------------------------------------------------------------------------------------------

_SECRETS: Final = frozenset({"client_secret"})


def evidence(value: Mapping[str, Any]) -> dict[str, Any]:
    """Stripe's own record, ready to be kept as JSON.

    Left out: the secret that lets a browser act on a payment. Replaced: what JSON columns refuse (NUL, halves
    of surrogate pairs, numbers that are none).
    """
    return {_storable(key): _kept(item) for key, item in value.items() if key not in _SECRETS}


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return evidence(value)
    if isinstance(value, list | tuple):
        return [_kept(item) for item in value]
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _storable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in text)
