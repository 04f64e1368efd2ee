"""Between Fortnox's words and ours, both ways. Pure; the only place where Fortnox's decimals become money.

What Fortnox answers is read without trust: numbers may come as 938, 938.0 or "938.00", truth as true or
"true", empty as null or "". A field that we cannot do without and cannot read raises `Unreadable`; the
client turns that into `BadReply`, or into `OutcomeUnknown` where it answered a write.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from addon.connectors.http import Unreadable
from addon.core.accounts import Account, AccountRole
from addon.core.books import (
    BooksCurrency,
    ChartAccount,
    Code,
    CustomerView,
    Identity,
    InvoiceView,
    OrderField,
    OrderView,
    PaymentView,
    Register,
    Series,
    VoucherView,
)
from addon.core.dates import FinancialYear, aware
from addon.core.documents import Customer, CustomerVat, Invoice, InvoiceLine, Settlement, Voucher
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.ports.errors import Rejected

BOOKS_CURRENCY: Final = "SEK"
LOCAL_ZONE: Final = ZoneInfo("Europe/Stockholm")
CENT: Final = Decimal("0.01")

NAME_LENGTH: Final = 1024
ROW_TEXT_LENGTH: Final = 255
REMARKS_LENGTH: Final = 1024
ORDER_NUMBER_LENGTH: Final = 75
KEY_LENGTH: Final = 80
VOUCHER_TEXT_LENGTH: Final = 200
VOUCHER_ROW_TEXT_LENGTH: Final = 100
DESCRIPTION_LENGTH: Final = 200

BLANK: Final = "API_BLANK"
"""Fortnox's word for "clear this field"; null and the empty string leave the old value."""
NO_RIGHT: Final = "API_NORIGHT"
"""What Fortnox writes in place of a value that the user behind the token may not see."""

Row = Mapping[str, Any]
T = TypeVar("T")


# --- Text that Fortnox accepts ----------------------------------------------------------------------------

# Letters, digits, spaces, line breaks and these; anything else is refused with 2000359. Found by
# integrators, not documented: the list is that of a large plugin (common-repository/woo-fortnox-hub).
_PERMITTED: Final = frozenset(" \u00a0\n\r0123456789’\\–:.´',;^¤#%§£$€¢¥©™°&/()=+-*_!?²³®½@`")
_STAND_INS: Final = {
    **dict.fromkeys("—―⸺⸻", "–"),
    **dict.fromkeys("‐‑‒−~˜∼", "-"),
    **dict.fromkeys('"“”„‟«»‹›″', "'"),
    **dict.fromkeys("‘‚‛′", "’"),
    **dict.fromkeys("{[<", "("),
    **dict.fromkeys("}]>", ")"),
    "|": "/",
    "¦": "/",
    "…": "...",
    "•": "-",
    "·": "-",
    "×": "x",
    "¼": "1/4",
    "¾": "3/4",
    "¹": "1",
}


def clean_text(text: str, max_length: int, *, lines: bool = False) -> str:
    """Make a text one that Fortnox accepts: permitted characters only, spaces tidied, cut to length.

    Look-alikes stand in where there are any; emoji, control and direction marks go. `lines` keeps line
    breaks.
    """
    composed = unicodedata.normalize("NFC", text[: max_length * 4])
    if lines:
        parts = composed.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return "\n".join(_clean_line(part) for part in parts).strip()[:max_length].strip()
    return _clean_line(composed)[:max_length].strip()


def _clean_line(text: str) -> str:
    cleaned = "".join(_clean_character(character) for character in text)
    return " ".join(word for word in cleaned.split(" ") if word)


def _clean_character(character: str) -> str:
    if character in _STAND_INS:
        return _STAND_INS[character]
    if character in "\n\r":
        return " "
    if character in _PERMITTED or unicodedata.category(character).startswith("L"):
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(character) in ("Zs", "Zl", "Zp") or character == "\t":
        return " "
    return ""


def voucher_text(text: str, key: str) -> str:
    """A voucher's description: its text, cut if need be, and the document's key whole, in brackets at the
    end."""
    tail = f"({key})"
    return f"{clean_text(text, VOUCHER_TEXT_LENGTH - len(tail) - 1)} {tail}".strip()


def voucher_key(description: str) -> str:
    """The key in a voucher's description, or nothing: what stands in the last brackets, at the very end."""
    description = description.strip()
    start = description.rfind("(")
    return description[start + 1 : -1] if description.endswith(")") and start >= 0 else ""


def changed_since(at: datetime) -> str:
    """An instant as Fortnox's `lastmodified` takes it: Swedish local time, whole minutes, two minutes early.

    In the hour that the clocks go through twice an hour is taken off besides: too many rows are harmless.
    """
    local = (aware(at) - timedelta(minutes=2)).astimezone(LOCAL_ZONE)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        local = local.replace(tzinfo=None) - timedelta(hours=1)
    return local.strftime("%Y-%m-%d %H:%M")


# --- Reading values ---------------------------------------------------------------------------------------


def number(value: object) -> Decimal:
    """A number, from a number or its text. Raises `Unreadable`, also for one of absurd size."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Unreadable(f"a number is missing: {type(value).__name__}")
    try:
        result = Decimal(value.strip() if isinstance(value, str) else value)
    except ArithmeticError as error:
        raise Unreadable("a number cannot be read") from error
    if not result.is_finite() or (result and not -20 < result.adjusted() < 16):
        raise Unreadable("a number cannot be read")
    return result


def whole(value: object) -> int:
    """A whole number. Raises `Unreadable`."""
    result = number(value)
    if result != result.to_integral_value():
        raise Unreadable("a whole number has decimals")
    return int(result)


def flag(value: object) -> bool:
    """A truth value; nothing is false."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def day(value: object) -> date:
    """A date. Raises `Unreadable`."""
    try:
        return date.fromisoformat(value[:10] if isinstance(value, str) else "")
    except ValueError as error:
        raise Unreadable("a date cannot be read") from error


def words(value: object) -> str:
    """A text; empty where there is none, or where the token may not see it."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    return "" if value == NO_RIGHT else str(value).strip()


def read_row(view: Callable[[Row], T], row: object) -> T:
    """Read one object with one of the functions below. Raises `Unreadable`, whatever is wrong with it."""
    if not isinstance(row, Mapping):
        raise Unreadable("an object is missing")
    try:
        return view(row)
    except Unreadable:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Unreadable(f"{type(error).__name__} {error}") from error


# --- Faults -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """What Fortnox says is wrong: its code (as text) and its Swedish message."""

    code: str
    message: str


def read_fault(document: object) -> Fault | None:
    """The fault in an answer's body; its keys come in either case, the code as number or text."""
    if not isinstance(document, Mapping):
        return None
    inner = next((value for name, value in document.items() if str(name).lower() == "errorinformation"), None)
    if not isinstance(inner, Mapping):
        return None
    fields = {str(name).lower(): value for name, value in inner.items()}
    message = "".join(character for character in words(fields.get("message")) if character.isprintable())
    return Fault(words(fields.get("code")), message[:300])


ALREADY_PAID: Final = "2003055"
ARTICLE_EXISTS: Final = "2000013"
INTERNAL_FAULTS: Final = frozenset({"1000003", "1000029"})
"""Fortnox's own faults, sent as 400 like a refusal; the write may have happened all the same."""
LOGIN_REFUSED: Final = frozenset({"2000310", "2000311", "2004054"})
SCOPE_MISSING: Final = frozenset({"2000663"})
LICENCE_MISSING: Final = frozenset({"2001101", "2001103"})
RIGHT_MISSING: Final = frozenset({"2003275", "2001393", "2001339", "2002455"})

_REASON_OF_CODE: Final = {
    "2000401": HoldReason.PERIOD_LOCKED,
    "2002141": HoldReason.PERIOD_LOCKED,
    "2000423": HoldReason.ACCOUNT_NOT_READY,
    "2001304": HoldReason.ACCOUNT_NOT_READY,
    "2000550": HoldReason.ACCOUNT_NOT_READY,
    "2002462": HoldReason.ACCOUNT_NOT_READY,
    "2001265": HoldReason.ACCOUNT_NOT_READY,
    "2001403": HoldReason.ACCOUNT_NOT_READY,
    "2000946": HoldReason.ACCOUNT_NOT_READY,
    "2000947": HoldReason.CODE_NOT_READY,
    "2002821": HoldReason.CODE_NOT_READY,
    "2000427": HoldReason.CURRENCY_NOT_READY,
    ALREADY_PAID: HoldReason.ALREADY_PAID,
    "2000429": HoldReason.CODE_NOT_READY,
    "2001161": HoldReason.CODE_NOT_READY,
}
# For what has no known code: words of messages that integrators' help pages quote.
_REASON_OF_WORDS: Final = (
    ("låst perioden", HoldReason.PERIOD_LOCKED),
    ("räkenskapsår", HoldReason.NO_FINANCIAL_YEAR),
    ("inte aktivt", HoldReason.ACCOUNT_NOT_READY),
    ("obligatoriskt på konto", HoldReason.ACCOUNT_NOT_READY),
    ("förvalt konto", HoldReason.ACCOUNT_NOT_READY),
)


def hold_reason(fault: Fault) -> HoldReason:
    """Why a refused document is held; `REJECTED` where the message itself must say it."""
    known = _REASON_OF_CODE.get(fault.code)
    if known is not None:
        return known
    message = fault.message.lower()
    return next((reason for part, reason in _REASON_OF_WORDS if part in message), HoldReason.REJECTED)


# --- Ours to theirs ---------------------------------------------------------------------------------------

_VAT_TYPE: Final = {
    CustomerVat.DOMESTIC: "SEVAT",
    CustomerVat.EU_CONSUMER: "EUVAT",
    CustomerVat.EU_BUSINESS: "EUREVERSEDVAT",
    CustomerVat.EXPORT: "EXPORT",
}


def ledger_amount(amount: Money) -> Decimal:
    """An amount at the ledger's two decimals. Raises `Rejected` for one that is finer."""
    value = amount.to_decimal()
    if value != value.quantize(CENT):
        raise Rejected("", f"Fortnox keeps two decimals, {amount} has more", HoldReason.LEDGER_PRECISION.value)
    return value.quantize(CENT)


def account_number(account: Account) -> int:
    """An account's number as Fortnox takes it. Raises `Rejected` for one that cannot be a BAS account."""
    if not (account.number.isascii() and account.number.isdigit() and len(account.number) == 4):
        raise Rejected("", f"{account.number!r} is no account number", HoldReason.ACCOUNT_NOT_READY.value)
    return int(account.number)


def customer_name(customer: Customer) -> str:
    """The name that a customer gets in Fortnox, and by which it is found there."""
    return clean_text(customer.name, NAME_LENGTH) or clean_text(customer.email, NAME_LENGTH) or "-"


def customer_body(customer: Customer) -> dict[str, Any]:
    """A new customer; terms, price list and number are left to the company's own defaults."""
    body: dict[str, Any] = {
        "Name": customer_name(customer),
        "Type": "PRIVATE" if customer.private else "COMPANY",
        "VATType": _VAT_TYPE[customer.vat],
    }
    if customer.country:
        body["CountryCode"] = customer.country.upper()
    if customer.email:
        body["Email"] = clean_text(customer.email, NAME_LENGTH)
    if customer.vat_number:
        body["VATNumber"] = clean_text(customer.vat_number, 30)
    if customer.organisation_number:
        body["OrganisationNumber"] = organisation_number(customer.organisation_number)
    return {"Customer": body}


def organisation_number(digits: str) -> str:
    """An organisation number as Fortnox writes it: a Swedish one has a dash."""
    return f"{digits[:6]}-{digits[6:]}" if len(digits) == 10 else digits


def invoice_rows(lines: Iterable[InvoiceLine]) -> list[dict[str, Any]]:
    """Rows with every field said: on an update a field that is left out keeps the old row's value."""
    return [
        {
            "AccountNumber": account_number(line.account),
            "Description": clean_text(line.description, ROW_TEXT_LENGTH) or "-",
            # A row of quantity nought comes to nothing, and quantities are text in Fortnox.
            "DeliveredQuantity": "-1" if line.gross.minor < 0 else "1",
            "Price": ledger_amount(abs(line.gross)),
            "VAT": line.vat_percent,
            "Discount": 0,
            **_dimensions(line.cost_centre, line.project),
            **({"ArticleNumber": line.article} if line.article else {}),
        }
        for line in lines
    ]


def _dimensions(cost_centre: str, project: str) -> dict[str, str]:
    """Cost centre and project of a row, where there are any."""
    named = {"CostCenter": cost_centre, "Project": project}
    return {field: code for field, code in named.items() if code}


def invoice_body(invoice: Invoice, customer_number: str, unit: int | None) -> dict[str, Any]:
    """A new unbooked invoice that causes no fee, no freight and no reminder.

    `unit` is what Fortnox quotes the currency in, where known; the rate is turned into it.
    """
    day_text = invoice.invoice_date.isoformat()
    body: dict[str, Any] = {
        "CustomerNumber": customer_number,
        "InvoiceDate": day_text,
        "DueDate": day_text,
        "Currency": invoice.currency,
        "VATIncluded": True,
        "Freight": 0,
        "AdministrationFee": 0,
        "ExternalInvoiceReference1": invoice.key,
        "InvoiceRows": invoice_rows(invoice.lines),
    }
    if invoice.corrects_key:
        body["ExternalInvoiceReference2"] = invoice.corrects_key
    if order_number := clean_text(invoice.order_number, ORDER_NUMBER_LENGTH):
        body["YourOrderNumber"] = order_number
    if remarks := clean_text(invoice.text, REMARKS_LENGTH, lines=True):
        body["Remarks"] = remarks
    if invoice.payment_terms:
        body["TermsOfPayment"] = invoice.payment_terms
    if invoice.mail_to:
        body["EmailInformation"] = {"EmailAddressTo": clean_text(invoice.mail_to, NAME_LENGTH)}
    if invoice.rate is not None and invoice.currency != BOOKS_CURRENCY:
        body["CurrencyRate"] = rate_in_unit(invoice.rate, unit)
        # For a while Fortnox set the rate of foreign invoices to 1 whatever was sent, unless the unit was
        # cleared in the same call (woo-fortnox-hub's change log). Cleared, it is the currency's own, which
        # is right anyway.
        body["CurrencyUnit"] = BLANK
    return {"Invoice": body}


_NOT_ON_ORDERS: Final = frozenset({"DueDate", "InvoiceDate", "InvoiceRows"})


def order_body(invoice: Invoice, customer_number: str, unit: int | None) -> dict[str, Any]:
    """A new order of what would be an invoice; what of it an order does not have is left to the person who invoices."""
    body = invoice_body(invoice, customer_number, unit)["Invoice"]
    rows = [{**row, "OrderedQuantity": row["DeliveredQuantity"]} for row in body["InvoiceRows"]]
    kept = {name: value for name, value in body.items() if name not in _NOT_ON_ORDERS}
    day_text = invoice.invoice_date.isoformat()
    return {"Order": {**kept, "OrderDate": day_text, "DeliveryDate": day_text, "OrderRows": rows}}


def article_body(number: str, description: str, account: Account) -> dict[str, Any]:
    """A new article without stock, sold on an account."""
    return {
        "Article": {
            "ArticleNumber": number,
            "Description": clean_text(description, DESCRIPTION_LENGTH) or number,
            "Type": "SERVICE",
            "StockGoods": False,
            "SalesAccount": account_number(account),
        }
    }


def updated_customer_body(customer: Customer) -> dict[str, Any]:
    """What of a customer who is there is brought up to date: what the buyer told, and nothing else."""
    told = {
        "Name": customer_name(customer),
        "VATNumber": clean_text(customer.vat_number, 30),
        "OrganisationNumber": organisation_number(customer.organisation_number),
    }
    return {"Customer": {name: value for name, value in told.items() if value}}


def rate_in_unit(rate: ExchangeRate, unit: int | None) -> Decimal:
    """An exchange rate as the price of `unit` units, or of as many as it comes in."""
    return rate.rate if unit is None or unit == rate.unit else rate.rate * unit / rate.unit


def rounded_invoice_body(invoice: Invoice) -> dict[str, Any]:
    """The update that gives an unbooked invoice its rounding row: all rows once more, that one included."""
    return {"Invoice": {"InvoiceRows": invoice_rows(invoice.lines)}}


def credit_note_body(document_key: str, credit_date: date, text: str) -> dict[str, Any]:
    """The update that gives a credit note its dates and our key; left alone it would take today's."""
    body: dict[str, Any] = {
        "InvoiceDate": credit_date.isoformat(),
        "DueDate": credit_date.isoformat(),
        "ExternalInvoiceReference1": document_key,
    }
    if remarks := clean_text(text, REMARKS_LENGTH, lines=True):
        body["Remarks"] = remarks
    return {"Invoice": body}


def payment_amount(settlement: Settlement, invoice: InvoiceView) -> Money:
    """What a payment is worth in the books' currency: as the provider converted it, else at the invoice's
    rate."""
    if settlement.books_amount is not None:
        return settlement.books_amount
    return to_books(settlement.amount, invoice)


def to_books(amount: Money, invoice: InvoiceView) -> Money:
    """An amount of an invoice's currency at the invoice's own rate."""
    if amount.currency == BOOKS_CURRENCY:
        return amount
    return Money.rounded(amount.to_decimal() * invoice.rate / invoice.unit, BOOKS_CURRENCY)


def payment_rate(amount: Money, books: Money, unit: int) -> Decimal:
    """The shortest rate, of at least four decimals, that turns an amount into its worth to the öre."""
    foreign, local = amount.to_decimal(), books.to_decimal()
    exact = local * unit / foreign
    for places in range(4, 13):
        rate = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        if (foreign * rate / unit).quantize(CENT, ROUND_HALF_UP) == local:
            return rate
    return exact.quantize(Decimal(1).scaleb(-12), ROUND_HALF_UP)


def payment_body(settlement: Settlement, invoice: InvoiceView, modes: Mapping[str, str]) -> dict[str, Any]:
    """A new unbooked payment. `modes` are codes of modes of payment by account number."""
    books = payment_amount(settlement, invoice)
    body: dict[str, Any] = {
        "InvoiceNumber": whole(invoice.number),
        "PaymentDate": settlement.paid_on.isoformat(),
        "ModeOfPaymentAccount": account_number(settlement.account),
        "Amount": ledger_amount(books),
    }
    if mode := modes.get(settlement.account.number):
        body["ModeOfPayment"] = mode
    if settlement.amount.currency != BOOKS_CURRENCY:
        body["AmountCurrency"] = ledger_amount(settlement.amount)
        own_rate = settlement.books_amount is None or not settlement.amount
        body["CurrencyRate"] = invoice.rate if own_rate else payment_rate(settlement.amount, books, invoice.unit)
    if settlement.write_off and settlement.write_off_account is not None:
        # Write-offs are in the books' currency, on foreign invoices too.
        body["WriteOffs"] = [
            {
                "Amount": ledger_amount(to_books(settlement.write_off, invoice)),
                "AccountNumber": account_number(settlement.write_off_account),
            }
        ]
    return {"InvoicePayment": body}


def voucher_body(voucher: Voucher, key: str, series: str) -> dict[str, Any]:
    """A voucher in the books' currency, its key in its description."""
    rows = []
    for line in voucher.lines:
        if line.signed.currency != BOOKS_CURRENCY:
            raise Rejected("", f"Fortnox vouchers are in {BOOKS_CURRENCY}", HoldReason.LEDGER_PRECISION.value)
        amount = ledger_amount(line.signed)
        row: dict[str, Any] = {
            "Account": account_number(line.account),
            "Debit": max(amount, Decimal(0)),
            "Credit": max(-amount, Decimal(0)),
            **_dimensions(line.cost_centre, line.project),
        }
        if text := clean_text(line.text, VOUCHER_ROW_TEXT_LENGTH):
            row["TransactionInformation"] = text
        rows.append(row)
    return {
        "Voucher": {
            "Description": voucher_text(voucher.text, key),
            "TransactionDate": voucher.booking_date.isoformat(),
            "VoucherSeries": series,
            "VoucherRows": rows,
        }
    }


# --- Theirs to ours ---------------------------------------------------------------------------------------


def identity(row: Row) -> Identity:
    """`CompanyInformation`."""
    return Identity(
        tenant=words(row["DatabaseNumber"]),
        name=words(row.get("CompanyName")),
        organisation_number=words(row.get("OrganizationNumber")),
        country=words(row.get("CountryCode")) or "SE",
        currency=BOOKS_CURRENCY,
    )


def voucher_reference(row: Row, series: str, number_field: str, year: str) -> str:
    """series/number/year of the voucher that stands behind a document; empty if it is not booked."""
    if row.get(number_field) in (None, "", 0, "0"):
        return ""
    return f"{words(row.get(series))}/{whole(row[number_field])}/{words(row.get(year))}"


def invoice_view(row: Row) -> InvoiceView:
    """An invoice, from its own answer or from a row of a list (which has no VAT, rows or references)."""
    currency = words(row.get("Currency")) or BOOKS_CURRENCY
    total = Money.from_decimal(number(row["Total"]), currency)
    credited_by = words(row.get("CreditInvoiceReference"))
    is_credit = flag(row.get("Credit")) or total.minor < 0
    round_off = row.get("RoundOff")
    return InvoiceView(
        number=str(whole(row["DocumentNumber"])),
        currency=currency,
        total=total,
        balance=Money.from_decimal(number(row["Balance"]), currency),
        vat=number(row["TotalVAT"]) if row.get("TotalVAT") is not None else Decimal(0),
        rate=number(row.get("CurrencyRate", 1)),
        unit=whole(row.get("CurrencyUnit", 1)) or 1,
        booked=flag(row.get("Booked")),
        cancelled=flag(row.get("Cancelled")),
        invoice_date=day(row["InvoiceDate"]),
        our_key=words(row.get("ExternalInvoiceReference1")),
        second_key=words(row.get("ExternalInvoiceReference2")),
        order_number=words(row.get("YourOrderNumber")),
        your_reference=words(row.get("YourReference")),
        our_reference=words(row.get("OurReference")),
        ocr=words(row.get("OCR")),
        customer_number=words(row.get("CustomerNumber")),
        round_off=Money.from_decimal(number(round_off), currency) if round_off is not None else None,
        voucher=voucher_reference(row, "VoucherSeries", "VoucherNumber", "VoucherYear"),
        # On a credit note the field points back at the original.
        credit_number="" if is_credit or credited_by == "0" else credited_by,
        draft=flag(row.get("NotCompleted")),
        sent=flag(row.get("Sent")),
    )


def order_invoice_view(row: Row) -> InvoiceView:
    """An order read as the invoice that it is to become, so that it can be compared with the plan."""
    return invoice_view({**row, "InvoiceDate": row["OrderDate"], "Balance": row["Total"]})


def order_view(row: Row) -> OrderView:
    """`Order`; an order that was not invoiced has the reference 0."""
    invoice = words(row.get("InvoiceReference"))
    return OrderView(
        number=str(whole(row["DocumentNumber"])),
        cancelled=flag(row.get("Cancelled")),
        invoice_number="" if invoice == "0" else invoice,
    )


def order_row(row: Row) -> tuple[str, str, bool]:
    """Number, key and whether it is cancelled, of a row of a list of orders."""
    number = str(whole(row["DocumentNumber"]))
    return number, words(row.get("ExternalInvoiceReference1")), flag(row.get("Cancelled"))


def article_row(row: Row) -> str:
    """An article's number."""
    return words(row["ArticleNumber"])


def terms_code(row: Row) -> Code:
    """A term of payment."""
    return Code(Register.PAYMENT_TERMS, words(row["Code"]))


def cost_centre(row: Row) -> Code:
    """A cost centre; one that does not say otherwise is open."""
    return Code(Register.COST_CENTRES, words(row["Code"]), row.get("Active") is None or flag(row["Active"]))


def project(row: Row) -> Code:
    """A project; nothing more is booked on one that is completed."""
    return Code(Register.PROJECTS, words(row["ProjectNumber"]), words(row.get("Status")) != "COMPLETED")


_ORDER_FIELDS: Final = {
    OrderField.ORDER_NUMBER: "YourOrderNumber",
    OrderField.YOUR_REFERENCE: "YourReference",
    OrderField.OUR_REFERENCE: "OurReference",
    OrderField.EXTERNAL_REFERENCE: "ExternalInvoiceReference1",
    OrderField.OCR: "OCR",
    OrderField.INVOICE_NUMBER: "DocumentNumber",
}


def invoice_field(row: Row, place: OrderField) -> tuple[str, str]:
    """An invoice's number, and what stands in the field where an order number may stand."""
    return str(whole(row["DocumentNumber"])), words(row.get(_ORDER_FIELDS[place]))


def invoice_with(row: Row, place: OrderField, wanted: str) -> InvoiceView | None:
    """An invoice, if it has exactly this text in a field; of another one the rest is not looked at."""
    return invoice_view(row) if invoice_field(row, place)[1] == wanted else None


def payment_view(row: Row, modes: Mapping[str, str] | None = None) -> PaymentView:
    """A payment, from its own answer: list rows have neither the account nor the invoice currency's amount.

    `modes` are account numbers by code of the mode of payment, for an answer that names only the mode.
    """
    currency = words(row.get("Currency")) or BOOKS_CURRENCY
    books = Money.from_decimal(number(row["Amount"]), BOOKS_CURRENCY)
    foreign = row.get("AmountCurrency")
    account = words(row.get("ModeOfPaymentAccount"))
    if account in ("", "0"):
        account = (modes or {}).get(words(row.get("ModeOfPayment")), "")
    return PaymentView(
        number=words(row["Number"]),
        invoice_number=str(whole(row["InvoiceNumber"])),
        amount=books if currency == BOOKS_CURRENCY else Money.from_decimal(number(foreign), currency),
        books_amount=books,
        paid_on=day(row["PaymentDate"]),
        account=account,
        booked=flag(row.get("Booked")),
        voucher=voucher_reference(row, "VoucherSeries", "VoucherNumber", "VoucherYear"),
    )


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """What a list tells of a payment."""

    number: str
    invoice_number: str
    paid_on: date
    books_amount: Money
    booked: bool


def payment_row(row: Row) -> PaymentRow:
    """A row of a list of payments."""
    return PaymentRow(
        number=words(row["Number"]),
        invoice_number=str(whole(row["InvoiceNumber"])),
        paid_on=day(row["PaymentDate"]),
        books_amount=Money.from_decimal(number(row["Amount"]), BOOKS_CURRENCY),
        booked=flag(row.get("Booked")),
    )


def file_reference(row: Row) -> str:
    """An uploaded file's number in the inbox and in the archive, with a blank between."""
    return " ".join(dict.fromkeys(filter(None, (words(row["Id"]), words(row.get("ArchiveFileId"))))))


def voucher_view(row: Row) -> VoucherView:
    """A voucher, from its own answer or from a row of a list."""
    return VoucherView(
        reference=f"{words(row['VoucherSeries'])}/{whole(row['VoucherNumber'])}/{whole(row['Year'])}",
        booking_date=day(row["TransactionDate"]),
        text=words(row.get("Description")),
    )


def customer_view(row: Row) -> CustomerView:
    """A customer, from a list or its own answer."""
    return CustomerView(
        number=words(row["CustomerNumber"]),
        name=words(row.get("Name")),
        email=words(row.get("Email")),
        organisation_number=words(row.get("OrganisationNumber")),
    )


def customer_vat(row: Row) -> CustomerVat | None:
    """How a customer is treated for VAT, from its own answer: lists do not tell. None for what we never make."""
    word = words(row.get("VATType"))
    return next((vat for vat, own in _VAT_TYPE.items() if own == word), None)


def financial_year(row: Row) -> FinancialYear:
    """A financial year; `ref` is the small number that Fortnox counts a company's years by."""
    return FinancialYear(
        ref=str(whole(row["Id"])),
        first_day=day(row["FromDate"]),
        last_day=day(row["ToDate"]),
        accrual=words(row.get("AccountingMethod")) != "CASH",
    )


def chart_account(row: Row, year_ref: str) -> ChartAccount:
    """An account of one year's chart; a mandatory cost centre or project with a default of its own is no
    hindrance."""
    return ChartAccount(
        number=str(whole(row["Number"])),
        name=words(row.get("Description")),
        active=flag(row.get("Active")),
        year_ref=year_ref,
        needs_cost_centre=words(row.get("CostCenterSettings")) == "MANDATORY" and not words(row.get("CostCenter")),
        needs_project=words(row.get("ProjectSettings")) == "MANDATORY" and not words(row.get("Project")),
        vat_code=words(row.get("VATCode")),
    )


def series(row: Row, year_ref: str) -> Series:
    """A voucher series in one financial year."""
    approver = row.get("Approver")
    return Series(
        code=words(row["Code"]),
        name=words(row.get("Description")),
        manual=flag(row.get("Manual")),
        year_ref=year_ref,
        needs_approval=isinstance(approver, Mapping) and words(approver.get("Id")) not in ("", "0"),
    )


def books_currency(row: Row) -> BooksCurrency:
    """A currency with its present rate; `SellRate` is what customer invoices take."""
    code = words(row["Code"])
    rate = number(row["SellRate"]) if row.get("SellRate") not in (None, "") else Decimal(0)
    unit = currency_unit(row)
    fixed_on = words(row.get("Date"))
    exchange = None
    if rate > 0 and unit > 0 and fixed_on and code != BOOKS_CURRENCY:
        exchange = ExchangeRate(code, BOOKS_CURRENCY, rate, unit, day(fixed_on), "fortnox")
    return BooksCurrency(code=code, rate=exchange, automatic=flag(row.get("IsAutomatic")))


def currency_unit(row: Row) -> int:
    """For how many units a currency's rate is."""
    return whole(row["Unit"]) if row.get("Unit") not in (None, "", 0) else 1


PREDEFINED_ROLES: Final = {
    "CUSTCLAIM": AccountRole.CUSTOMER_CLAIMS,
    "ROUNDOFF": AccountRole.ROUNDING,
    "CURRENCYWIN": AccountRole.EXCHANGE_GAIN,
    "CURRENCYLOSS": AccountRole.EXCHANGE_LOSS,
}
INVOICE_SERIES: Final = "INVOICE"
PAYMENT_SERIES: Final = "INVOICEPAYMENT"
EASY_VAT_ACCOUNT: Final = "SALES_25_SE"
"""A predefined account that only companies with EasyVat have."""


def named(row: Row, field: str) -> tuple[str, str]:
    """Name and value of a predefined account or series."""
    return words(row["Name"]).upper(), words(row.get(field))


def payment_mode(row: Row) -> tuple[str, str]:
    """Code and account number of a mode of payment."""
    return words(row["Code"]), words(row.get("AccountNumber"))


def locked_through(document: object) -> date | None:
    """The last locked day; `{EndDate: null}`, an empty object and no object all say that nothing is
    locked."""
    inner = document.get("LockedPeriod") if isinstance(document, Mapping) else None
    text = words(inner.get("EndDate")) if isinstance(inner, Mapping) else ""
    return day(text) if text else None
