"""e-conomic's words and ours, in both directions. Pure: nothing here asks anything.

Prices there are net with two decimals, so one gross amount in five cannot be met; what is missing is a row of a
product without VAT. Exchange rates are for 100 units. Amounts have two decimals in every currency.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from addon.connectors.http import Unreadable
from addon.core.books import ChartAccount, CustomerView, Identity, InvoiceView, LedgerEntry
from addon.core.documents import Customer, CustomerVat, Invoice, InvoiceLine, Settlement
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, InexactAmount, Money
from addon.ports.errors import Rejected

Row = Mapping[str, Any]
RATE_UNIT: Final = 100
CENT: Final = Decimal("0.01")
KEY_LENGTH: Final = 200
TEXT_LENGTH: Final = 250
NOTE_LENGTH: Final = 1000
NAME_LENGTH: Final = 250
LINE_LENGTH: Final = 2500
ROUNDING_PRODUCT: Final = "KVITT-ROUND"
PAYMENT_ENTRY: Final = 2
INVOICE_ENTRIES: Final = (1, 10)
VOUCHER_ENTRY: Final = 5
DRAFT: Final = "draft-"
"""Draft and booked invoices have numbers of their own; a draft's is told apart by this."""
_POSTABLE: Final = ("profitAndLoss", "status")
_COUNTRIES: Final = {"denmark": "DK", "sweden": "SE", "norway": "NO"}
ZONES: Final[Mapping[CustomerVat, tuple[int, ...]]] = {
    CustomerVat.DOMESTIC: (1, 4),
    CustomerVat.EU_CONSUMER: (1, 2),
    CustomerVat.EU_BUSINESS: (2,),
    CustomerVat.EXPORT: (3,),
}
"""VAT zones that a buyer may be in, the likeliest first: consumers abroad are charged the home country's VAT."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a refusal says: its most telling code, the property it is about, and its text."""

    code: str
    property: str
    message: str


_REASONS: Final[Sequence[tuple[str, HoldReason]]] = (
    ("PeriodBarred", HoldReason.PERIOD_LOCKED),
    ("YearClosed", HoldReason.PERIOD_LOCKED),
    ("E04870", HoldReason.PERIOD_LOCKED),
    ("YearDoesNotExist", HoldReason.NO_FINANCIAL_YEAR),
    ("CurrencyNotFound", HoldReason.CURRENCY_NOT_READY),
    ("AccountNot", HoldReason.ACCOUNT_NOT_READY),
    ("AccountIsBlocked", HoldReason.ACCOUNT_NOT_READY),
    ("JournalDoesNotExist", HoldReason.ACCOUNT_NOT_READY),
    ("AccountType", HoldReason.ACCOUNT_NOT_READY),
    ("DimensionRequired", HoldReason.ACCOUNT_NOT_READY),
    ("E07150", HoldReason.ACCOUNT_NOT_READY),
    ("E06600", HoldReason.REJECTED),
    ("E04740", HoldReason.LEDGER_PRECISION),
    ("AmountExceeds", HoldReason.LEDGER_PRECISION),
)


def hold_reason(fault: Fault) -> HoldReason:
    """Why a document that was refused is held. One old code has two meanings: the property tells them apart."""
    name = fault.property.rpartition(".")[2].lower()
    if fault.code == "E04041":
        return HoldReason.PERIOD_LOCKED if name == "date" else HoldReason.ACCOUNT_NOT_READY
    if fault.code == "E06000" and name == "currency":
        return HoldReason.CURRENCY_NOT_READY
    return next((reason for part, reason in _REASONS if part in fault.code), HoldReason.REJECTED)


def read_fault(document: object) -> Fault | None:
    """The first thing that a refusal names, in either host's shape; None for what is no refusal of theirs.

    Messages come in the language of whoever connected: nothing may be decided by them.
    """
    if not isinstance(document, Mapping) or not ({"message", "title"} & document.keys()):
        return None
    general = str(document.get("message") or document.get("title") or "")
    for found in _details(document.get("errors")):
        code = str(found.get("errorCode") or "")
        name = str(found.get("propertyName") or found.get("property") or "")
        message = str(found.get("errorMessage") or found.get("message") or general)
        return Fault(code, name, message[:300])
    return Fault(str(document.get("errorCode") or ""), "", general[:300])


def _details(node: object) -> list[Mapping[str, Any]]:
    """Every error in a tree of them, the innermost objects that carry a message."""
    if isinstance(node, Mapping):
        if "errorMessage" in node or ("message" in node and "errorCode" in node):
            return [node]
        return [found for value in node.values() for found in _details(value)]
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [found for value in node for found in _details(value)]
    return []


# --- Reading values ---------------------------------------------------------------------------------------------


def text(row: Row, *path: str) -> str:
    """A text at a path, empty where anything on the way is missing."""
    found: object = row
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return "" if found is None or isinstance(found, (Mapping, list)) else str(found)


def decimal(row: Row, *path: str) -> Decimal:
    """A number at a path. Raises `Unreadable`."""
    found: object = row
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise Unreadable(f"{'.'.join(path)} is no number")
    return Decimal(found)


def whole(row: Row, *path: str) -> int:
    """A whole number at a path. Raises `Unreadable`."""
    found = decimal(row, *path)
    if found != int(found):
        raise Unreadable(f"{'.'.join(path)} is no whole number")
    return int(found)


def day(row: Row, *path: str) -> date:
    """A date at a path, from a date or an instant. Raises `Unreadable`."""
    try:
        return date.fromisoformat(text(row, *path)[:10])
    except ValueError as error:
        raise Unreadable(f"{'.'.join(path)} is no date") from error


def amount(row: Row, currency: str, *path: str) -> Money:
    """An amount at a path. Raises `Unreadable`, also for a currency that we do not know."""
    try:
        return Money.from_decimal(decimal(row, *path), currency)
    except (InexactAmount, KeyError, ValueError) as error:
        raise Unreadable(f"{'.'.join(path)} is no amount of {currency}") from error


def clean(value: str, longest: int) -> str:
    """A text without line breaks and control characters, cut to length."""
    kept = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in value)
    return " ".join(kept.split())[:longest].strip()


def keyed(value: str, key: str) -> str:
    """A text with our key as its last word, which is what finds it again."""
    room = TEXT_LENGTH - len(key) - 1
    return f"{clean(value, max(room, 0))} {key}".strip()


def key_of(value: str) -> str:
    """The last word of a text."""
    return value.rpartition(" ")[2]


def escaped(value: str) -> str:
    """A value as the filter language wants it."""
    return re.sub(r"[$()*,]", lambda found: f"${found.group()}", value)


# --- Theirs to ours ---------------------------------------------------------------------------------------------


def identity(row: Row) -> Identity:
    """The company behind an agreement. Raises `Unreadable`."""
    tenant = whole(row, "agreementNumber")
    currency = text(row, "settings", "baseCurrency")
    if not currency:
        raise Unreadable("the agreement's currency is missing")
    return Identity(
        str(tenant),
        text(row, "company", "name"),
        text(row, "company", "companyIdentificationNumber"),
        _COUNTRIES.get(text(row, "agreementType", "name"), "DK"),
        currency,
    )


def chart_account(row: Row, year_ref: str = "") -> ChartAccount:
    """An account of the chart, which all years share. Headings and sums are not active."""
    barred = row.get("barred") is True or row.get("blockDirectEntries") is True
    active = not barred and text(row, "accountType") in _POSTABLE
    code = text(row, "vatAccount", "vatCode")
    return ChartAccount(str(whole(row, "accountNumber")), text(row, "name"), active, year_ref, vat_code=code)


def customer_view(row: Row) -> CustomerView:
    """A customer in a list."""
    number = str(whole(row, "customerNumber"))
    return CustomerView(number, text(row, "name"), text(row, "email"), text(row, "corporateIdentificationNumber"))


def invoice_view(row: Row) -> InvoiceView:
    """A draft or a booked invoice, from a list or by itself. Raises `Unreadable`."""
    booked = "bookedInvoiceNumber" in row
    number = str(whole(row, "bookedInvoiceNumber")) if booked else f"{DRAFT}{whole(row, 'draftInvoiceNumber')}"
    currency = text(row, "currency").upper()
    total = amount(row, currency, "grossAmount")
    return InvoiceView(
        number=number,
        currency=currency,
        total=total,
        balance=amount(row, currency, "remainder") if booked else total,
        vat=decimal(row, "vatAmount"),
        rate=decimal(row, "exchangeRate"),
        unit=RATE_UNIT,
        booked=booked,
        cancelled=False,
        invoice_date=day(row, "date"),
        our_key=key_of(text(row, "notes", "textLine2")),
        order_number=text(row, "references", "other"),
        your_reference=text(row, "references", "other"),
        customer_number=text(row, "customer", "customerNumber"),
        voucher=number if booked else "",
        draft=not booked,
    )


def ledger_entry(row: Row, currency: str, voucher: str) -> LedgerEntry:
    """A booked entry in the books' currency. Raises `Unreadable`."""
    account = str(whole(row, "accountNumber"))
    money = amount(row, currency, "amountInBaseCurrency")
    return LedgerEntry(voucher, day(row, "date"), account, money, text(row, "text"))


# --- Ours to theirs ---------------------------------------------------------------------------------------------


def ledger_amount(money: Money) -> Decimal:
    """An amount with two decimals. Raises `Rejected` for a finer one."""
    value = money.to_decimal()
    if value != value.quantize(CENT):
        message = f"{money} is finer than e-conomic can hold"
        raise Rejected("", message, HoldReason.LEDGER_PRECISION.value)
    return value.quantize(CENT)


def rate_per_hundred(rate: ExchangeRate) -> Decimal:
    """A rate as they write it: for 100 units, with at most six decimals."""
    return (rate.per_one() * RATE_UNIT).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def payment_rate(settlement: Settlement, invoice: InvoiceView) -> Decimal:
    """The rate at which money was worth what the provider paid out; the invoice's own where it stayed foreign.

    Raises `Rejected` where no rate of six decimals says it.
    """
    if settlement.books_amount is None or not settlement.amount:
        return invoice.rate
    exact = settlement.books_amount.to_decimal() * RATE_UNIT / settlement.amount.to_decimal()
    rate = exact.quantize(Decimal("0.000001"))
    made = (settlement.amount.to_decimal() * rate / RATE_UNIT).quantize(CENT)
    if made != settlement.books_amount.to_decimal():
        message = f"no rate of six decimals makes {settlement.amount} {settlement.books_amount}"
        raise Rejected("", message, HoldReason.LEDGER_PRECISION.value)
    return rate


@dataclass(frozen=True, slots=True)
class Priced:
    """A row as it is sent: net price, signed, and the VAT that they will add to it."""

    description: str
    product: str
    net: Decimal
    vat: Decimal


def priced(line: InvoiceLine, product: str) -> Priced:
    """The net price whose VAT is the VAT inside the line's gross; what the two lack of it is rounding, never VAT."""
    gross = ledger_amount(line.gross)
    percent = Decimal(line.vat_percent)
    wanted = (gross * percent / (100 + percent)).quantize(CENT, rounding=ROUND_HALF_UP)
    nearest = (gross * 100 / (100 + percent)).quantize(CENT, rounding=ROUND_HALF_UP)
    prices = (nearest, nearest - CENT, nearest + CENT)
    net = next((price for price in prices if _vat(price, percent) == wanted), nearest)
    return Priced(clean(line.description, LINE_LENGTH), product, net, _vat(net, percent))


def _vat(net: Decimal, percent: Decimal) -> Decimal:
    """The VAT that they will add to a net price."""
    return (net * percent / 100).quantize(CENT, rounding=ROUND_HALF_UP)


def rows_of(priced_rows: Sequence[Priced], total: Decimal, rounding_text: str) -> list[dict[str, Any]]:
    """All rows, and one without VAT for what net prices cannot reach.

    A negative amount is a negative quantity: that makes an invoice a credit note there.
    """
    missing = total - sum((row.net + row.vat for row in priced_rows), Decimal(0))
    rows = list(priced_rows)
    if missing:
        rows.append(Priced(rounding_text, ROUNDING_PRODUCT, missing, Decimal(0)))
    return [
        {
            "lineNumber": index,
            "sortKey": index,
            "description": row.description,
            "product": {"productNumber": row.product},
            "quantity": -1 if row.net < 0 else 1,
            "unitNetPrice": abs(row.net),
        }
        for index, row in enumerate(rows, 1)
    ]


def customer_body(customer: Customer, group: int, zone: int, terms: int, currency: str) -> dict[str, Any]:
    """A new customer."""
    body: dict[str, Any] = {
        "name": clean(customer.name, NAME_LENGTH) or clean(customer.email, NAME_LENGTH) or "Kunde",
        "currency": currency,
        "customerGroup": {"customerGroupNumber": group},
        "vatZone": {"vatZoneNumber": zone},
        "paymentTerms": {"paymentTermsNumber": terms},
    }
    for name, value, longest in (
        ("email", customer.email, 255),
        ("country", customer.country, 50),
        ("vatNumber", customer.vat_number, 20),
        ("corporateIdentificationNumber", customer.organisation_number, 40),
    ):
        if cleaned := clean(value, longest):
            body[name] = cleaned
    return body


def draft_body(
    invoice: Invoice,
    *,
    customer_number: str,
    zone: int,
    terms: int,
    layout: int,
    rows: list[dict[str, Any]],
    base_currency: str,
) -> dict[str, Any]:
    """A draft whose second note ends with our key, and whose reference is the order number."""
    body: dict[str, Any] = {
        "date": invoice.invoice_date.isoformat(),
        "currency": invoice.currency,
        "customer": {"customerNumber": int(customer_number)},
        "layout": {"layoutNumber": layout},
        "paymentTerms": {"paymentTermsNumber": terms},
        "recipient": {
            "name": clean(invoice.customer.name, NAME_LENGTH) or clean(invoice.customer.email, NAME_LENGTH) or "Kunde",
            "vatZone": {"vatZoneNumber": zone},
        },
        "notes": {"textLine2": keyed("Kvitt", invoice.key)},
        "lines": rows,
    }
    if country := clean(invoice.customer.country, 50):
        body["recipient"]["country"] = country
    if order_number := clean(invoice.order_number, TEXT_LENGTH):
        body["references"] = {"other": order_number}
    if note := clean(invoice.text, NOTE_LENGTH):
        body["notes"]["textLine1"] = note
    if invoice.corrects_key:
        body["notes"]["heading"] = clean(f"Kvitt {invoice.corrects_key}", TEXT_LENGTH)
    if invoice.rate is not None and invoice.currency != base_currency:
        body["exchangeRate"] = rate_per_hundred(invoice.rate)
    return body


_KEPT: Final = ("date", "currency", "exchangeRate", "customer", "layout", "paymentTerms", "notes", "references")


def draft_again(row: Row) -> dict[str, Any]:
    """A draft or a booked invoice as a body to send: what they work out themselves is left out."""
    body: dict[str, Any] = {name: row[name] for name in _KEPT if name in row}
    body["customer"] = {"customerNumber": whole(row, "customer", "customerNumber")}
    body["layout"] = {"layoutNumber": whole(row, "layout", "layoutNumber")}
    body["paymentTerms"] = {"paymentTermsNumber": whole(row, "paymentTerms", "paymentTermsNumber")}
    recipient = dict(row.get("recipient") or {})
    recipient["vatZone"] = {"vatZoneNumber": whole(row, "recipient", "vatZone", "vatZoneNumber")}
    recipient.pop("cvr", None)
    recipient.pop("attention", None)
    body["recipient"] = recipient
    body["lines"] = [
        {
            "lineNumber": index,
            "sortKey": index,
            "description": text(line, "description"),
            "product": {"productNumber": text(line, "product", "productNumber")},
            "quantity": decimal(line, "quantity"),
            "unitNetPrice": decimal(line, "unitNetPrice"),
            "discountPercentage": decimal(line, "discountPercentage"),
        }
        for index, line in enumerate(
            (line for line in row.get("lines") or () if text(line, "product", "productNumber")), 1
        )
    ]
    return body


def credit_body(row: Row, on: date, heading: str, key: str, told: str) -> dict[str, Any]:
    """The whole of a booked invoice taken back: the same rows with their quantities turned, at the same rate.

    Our key stands in it from its first instant: a copy that comes late can be told from what a person drafts.
    """
    body = draft_again(row)
    for line in body["lines"]:
        line["quantity"] = -line["quantity"]
    body["date"] = on.isoformat()
    body["notes"] = {"heading": heading, **keyed_notes(key, told)}
    return body


def keyed_notes(key: str, told: str) -> dict[str, str]:
    """The notes of a credit note: our key, and what is told of it."""
    note = clean(told, NOTE_LENGTH)
    return {"textLine2": keyed("Kvitt", key), **({"textLine1": note} if note else {})}
