"""What each writable object may hold, and how a sent value is read.

A name that is not listed is refused with 2001399, read-only names included: a client must never send a whole
answer back. An empty string and null leave the old value (null is refused for a few fields); the literal
`API_BLANK` clears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from addon.sandbox.fortnox.errors import CHOICE_INVALID, DATE_INVALID, ApiError
from addon.sandbox.fortnox.text import forbidden_characters
from addon.sandbox.fortnox.wire import cents


class _Blank(Enum):
    BLANK = "API_BLANK"


BLANK: Final = _Blank.BLANK
"""Stands for the literal `API_BLANK`: clear this field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One writable field: its kind, its greatest length or its choices, the fields inside it."""

    kind: str
    max_length: int = 1024
    choices: tuple[str, ...] = ()
    inside: Mapping[str, Field] = field(default_factory=dict)
    null_refused: bool = False
    two_decimals: bool = False


def text(max_length: int = 1024, *, null_refused: bool = False) -> Field:
    """A text of at most so many characters, of the permitted character set."""
    return Field("text", max_length=max_length, null_refused=null_refused)


def choice(*choices: str) -> Field:
    """One of the given words."""
    return Field("choice", choices=choices)


INTEGER = Field("integer")
NUMBER = Field("number")
AMOUNT = Field("number", two_decimals=True)
BOOLEAN = Field("boolean")
DATE = Field("date")


def inside(fields: Mapping[str, Field]) -> Field:
    """A sub-object."""
    return Field("object", inside=fields)


def rows(fields: Mapping[str, Field]) -> Field:
    """A list of sub-objects."""
    return Field("rows", inside=fields)


def read(payload: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Check and convert what was sent; the answer holds only fields with a value (or BLANK). Raises ApiError."""
    if not isinstance(payload, dict):
        raise ApiError(2002649, "Felaktig datastruktur.")
    for name in payload:
        if name not in fields:
            raise ApiError(2001399, f"Felaktigt fältnamn ({name})")
    values: dict[str, Any] = {}
    for name, raw in payload.items():
        wanted = fields[name]
        if raw is None:
            if wanted.null_refused:
                raise ApiError(2000699, f"Värdet kan inte vara null. ({name.lower()})")
            continue
        if raw == "API_BLANK":
            values[name] = BLANK
        elif raw != "" or wanted.kind in ("rows", "object"):
            values[name] = _value(raw, wanted)
    return values


def _value(raw: Any, wanted: Field) -> Any:
    match wanted.kind:
        case "text":
            return _text(raw, wanted)
        case "choice":
            if raw not in wanted.choices:
                raise ApiError(CHOICE_INVALID, f"Ogiltigt värde ({raw})")
            return raw
        case "integer":
            number = _number(raw)
            if number != number.to_integral_value():
                raise ApiError(2000108, f"Värdet måste vara numeriskt ({raw})")
            return int(number)
        case "number":
            return cents(_number(raw)) if wanted.two_decimals else _number(raw)
        case "boolean":
            if raw in (True, "true", 1, "1"):
                return True
            if raw in (False, "false", 0, "0"):
                return False
            raise ApiError(2000134, f"Värdet måste vara en boolean ({raw})")
        case "date":
            try:
                return date.fromisoformat(raw if len(raw) == 10 else "")
            except (TypeError, ValueError) as error:
                raise ApiError(DATE_INVALID, f"Ogiltigt datum ({raw})") from error
        case "object":
            return read(raw, wanted.inside)
        case "rows":
            if not isinstance(raw, list):
                raise ApiError(2002649, "Felaktig datastruktur.")
            return [read(row, wanted.inside) for row in raw]
        case other:
            raise ValueError(f"unknown kind of field {other}")


def _text(raw: Any, wanted: Field) -> str:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, Decimal)):
        raise ApiError(2000106, "Värdet måste vara alfanumeriskt")
    value = str(raw)
    if bad := forbidden_characters(value):
        raise ApiError(2000359, f"Värdet innehåller ej tillåtna tecken. ({bad})")
    if len(value) > wanted.max_length:
        raise ApiError(2000107, f"Värdet är för långt ({value[:40]})")
    return value


def _number(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, Decimal)):
        raise ApiError(2000108, f"Värdet måste vara numeriskt ({raw})")
    try:
        number = Decimal(raw)
    except InvalidOperation as error:
        raise ApiError(2000108, f"Värdet måste vara numeriskt ({raw})") from error
    if not number.is_finite() or abs(number) >= Decimal(10) ** 12:
        raise ApiError(2000108, f"Värdet måste vara numeriskt ({raw})")
    return number


_CODE = text(25)
_CODE_FIELDS = ("CostCenter", "PriceList", "Project", "TermsOfDelivery", "TermsOfPayment", "WayOfDelivery")
_INVOICE_ROW: dict[str, Field] = {
    "AccountNumber": INTEGER,
    "ArticleNumber": text(50),
    "CostCenter": _CODE,
    "DeliveredQuantity": AMOUNT,
    "Description": text(255),
    "Discount": NUMBER,
    "DiscountType": choice("AMOUNT", "PERCENT"),
    "HouseWork": BOOLEAN,
    "HouseWorkHoursToReport": INTEGER,
    "HouseWorkType": text(50),
    "Price": AMOUNT,
    "Project": _CODE,
    "RowId": INTEGER,
    "StockPointCode": text(25),
    "Unit": text(20, null_refused=True),
    "VAT": INTEGER,
    "VATCode": text(10),
}
_EMAIL_INFORMATION = {
    "EmailAddressFrom": text(),
    "EmailAddressTo": text(),
    "EmailAddressCC": text(),
    "EmailAddressBCC": text(),
    "EmailSubject": text(100),
    "EmailBody": text(20000),
}
_EDI_INFORMATION = {
    "EDIGlobalLocationNumber": text(13),
    "EDIGlobalLocationNumberDelivery": text(13),
    "EDIInvoiceExtra1": text(),
    "EDIInvoiceExtra2": text(),
    "EDIOurElectronicReference": text(),
    "EDIYourElectronicReference": text(),
}

INVOICE: dict[str, Field] = {
    **{
        name: text()
        for name in (
            "Address1", "Address2", "City", "Comments", "Country", "CustomerName", "CustomerNumber",
            "DeliveryAddress1", "DeliveryAddress2", "DeliveryCity", "DeliveryCountry", "DeliveryName",
            "DeliveryZipCode", "Phone1", "Phone2", "PrintTemplate", "Remarks", "ZipCode", "PaymentWay",
        )
    },
    **dict.fromkeys(_CODE_FIELDS, _CODE),
    **dict.fromkeys(("DeliveryDate", "DueDate", "InvoiceDate", "OutboundDate"), DATE),
    **dict.fromkeys(("EUQuarterlyReport", "NotCompleted", "VATIncluded"), BOOLEAN),
    "AdministrationFee": AMOUNT,
    "CreditInvoiceReference": INTEGER,
    "Currency": text(3),
    "CurrencyRate": NUMBER,
    "CurrencyUnit": NUMBER,
    "DocumentNumber": INTEGER,
    "EDIInformation": inside(_EDI_INFORMATION),
    "EmailInformation": inside(_EMAIL_INFORMATION),
    "ExternalInvoiceReference1": text(80),
    "ExternalInvoiceReference2": text(80),
    "Freight": AMOUNT,
    "InvoiceRows": rows(_INVOICE_ROW),
    "InvoiceType": choice("INVOICE", "AGREEMENTINVOICE", "INTRESTINVOICE", "SUMMARYINVOICE", "CASHINVOICE"),
    "Labels": rows({"Id": INTEGER}),
    "Language": choice("SV", "EN"),
    "OCR": text(50),
    "OurReference": text(50),
    "TaxReductionType": choice("none", "rot", "rut", "green"),
    "YourOrderNumber": text(75),
    "YourReference": text(50),
}  # fmt: skip

_ORDER_ROW: dict[str, Field] = {**_INVOICE_ROW, "OrderedQuantity": AMOUNT}
_NOT_ON_ORDERS = (
    "CreditInvoiceReference DueDate EDIInformation EUQuarterlyReport InvoiceDate InvoiceRows InvoiceType OCR PaymentWay"
).split()
ORDER: dict[str, Field] = {
    **{name: kind for name, kind in INVOICE.items() if name not in _NOT_ON_ORDERS},
    "CopyRemarks": BOOLEAN,
    "DeliveryState": text(20),
    "OrderDate": DATE,
    "OrderRows": rows(_ORDER_ROW),
}

_DELIVERY = choice("PRINT", "EMAIL", "PRINTSERVICE")
CUSTOMER: dict[str, Field] = {
    **{
        name: text()
        for name in (
            "Address1", "Address2", "City", "Comments", "CustomerNumber", "DeliveryAddress1", "DeliveryAddress2",
            "DeliveryCity", "DeliveryFax", "DeliveryName", "DeliveryPhone1", "DeliveryPhone2", "Email", "EmailInvoice",
            "EmailInvoiceBCC", "EmailInvoiceCC", "EmailOffer", "EmailOfferBCC", "EmailOfferCC", "EmailOrder",
            "EmailOrderBCC", "EmailOrderCC", "ExternalReference", "Fax", "InvoiceRemark", "Name", "Phone1", "Phone2",
        )
    },
    **{name: text(128) for name in ("VisitingAddress", "VisitingCity", "WWW")},
    **{name: text(10) for name in ("DeliveryZipCode", "VisitingZipCode", "ZipCode")},
    **{name: text(2) for name in ("CountryCode", "DeliveryCountryCode", "VisitingCountryCode")},
    **{name: text(13) for name in ("GLN", "GLNDelivery")},
    **{name: text(50) for name in ("OurReference", "YourReference")},
    **dict.fromkeys(_CODE_FIELDS, _CODE),
    "Active": BOOLEAN,
    "Currency": text(3),
    "DefaultDeliveryTypes": inside(dict.fromkeys(("Invoice", "Order", "Offer"), _DELIVERY)),
    "DefaultTemplates": inside({name: text(50) for name in ("Order", "Offer", "Invoice", "CashInvoice")}),
    "InvoiceAdministrationFee": AMOUNT,
    "InvoiceDiscount": NUMBER,
    "InvoiceFreight": AMOUNT,
    "OrganisationNumber": text(30),
    "SalesAccount": INTEGER,
    "ShowPriceVATIncluded": BOOLEAN,
    "Type": choice("PRIVATE", "COMPANY"),
    "VATNumber": text(30),
    "VATType": choice("SEVAT", "SEREVERSEDVAT", "EUREVERSEDVAT", "EUVAT", "EXPORT"),
}  # fmt: skip

INVOICE_PAYMENT: dict[str, Field] = {
    "Amount": AMOUNT,
    "AmountCurrency": AMOUNT,
    "CurrencyRate": NUMBER,
    "InvoiceNumber": INTEGER,
    "ModeOfPayment": text(25),
    "ModeOfPaymentAccount": INTEGER,
    "PaymentDate": DATE,
    "WriteOffs": rows(
        {
            "AccountNumber": INTEGER,
            "Amount": AMOUNT,
            "CostCenter": _CODE,
            "Description": text(200),
            "Project": _CODE,
            "TransactionInformation": text(100),
        }
    ),
}

VOUCHER: dict[str, Field] = {
    "Comments": text(1000),
    "CostCenter": _CODE,
    "Description": text(200),
    "Project": _CODE,
    "TransactionDate": DATE,
    "VoucherRows": rows(
        {
            "Account": INTEGER,
            "CostCenter": _CODE,
            "Credit": AMOUNT,
            "Debit": AMOUNT,
            "Description": text(200),
            "Project": _CODE,
            "Quantity": NUMBER,
            "TransactionInformation": text(100),
        }
    ),
    "VoucherSeries": text(10),
}

_SETTINGS = choice("ALLOWED", "MANDATORY", "NOTALLOWED")
ACCOUNT: dict[str, Field] = {
    "Active": BOOLEAN,
    "BalanceBroughtForward": AMOUNT,
    "CostCenter": _CODE,
    "CostCenterSettings": _SETTINGS,
    "Description": text(200),
    "Number": INTEGER,
    "OpeningQuantities": rows({"Balance": INTEGER, "Project": _CODE}),
    "Project": _CODE,
    "ProjectSettings": _SETTINGS,
    "SRU": INTEGER,
    "TransactionInformation": text(100),
    "TransactionInformationSettings": _SETTINGS,
    "VATCode": text(10),
}
VOUCHER_SERIES: dict[str, Field] = {
    "Code": text(10),
    "Description": text(200),
    "Manual": BOOLEAN,
    "NextVoucherNumber": INTEGER,
}
PREDEFINED_VOUCHER_SERIES: dict[str, Field] = {"VoucherSeries": text(10)}
PREDEFINED_ACCOUNT: dict[str, Field] = {"Account": text(20)}
MODE_OF_PAYMENT: dict[str, Field] = {"AccountNumber": text(4), "Code": text(25), "Description": text(200)}
TERMS_OF_PAYMENT: dict[str, Field] = {"Code": text(25), "Description": text(200)}
UNIT: dict[str, Field] = {"Code": text(20), "CodeEnglish": text(100), "Description": text(100)}
COST_CENTER: dict[str, Field] = {"Active": BOOLEAN, "Code": text(6), "Description": text(200), "Note": text()}
PROJECT: dict[str, Field] = {
    "Comments": text(512),
    "ContactPerson": text(50),
    "Description": text(50),
    "EndDate": DATE,
    "ProjectLeader": text(50),
    "ProjectNumber": text(20),
    "StartDate": DATE,
    "Status": choice("NOTSTARTED", "ONGOING", "COMPLETED"),
}
LABEL: dict[str, Field] = {"Description": text(25)}
CURRENCY: dict[str, Field] = {
    "BuyRate": NUMBER,
    "Code": text(3),
    "Description": text(200),
    "IsAutomatic": BOOLEAN,
    "SellRate": NUMBER,
    "Unit": NUMBER,
}
FINANCIAL_YEAR: dict[str, Field] = {
    "AccountChartType": text(50),
    "AccountingMethod": choice("ACCRUAL", "CASH"),
    "FromDate": DATE,
    "ToDate": DATE,
}
ARTICLE: dict[str, Field] = {
    **dict.fromkeys(("ConstructionAccount", "EUAccount", "EUVATAccount", "ExportAccount"), INTEGER),
    **dict.fromkeys(("PurchaseAccount", "SalesAccount"), INTEGER),
    **dict.fromkeys(("Depth", "Height", "Weight", "Width"), INTEGER),
    **dict.fromkeys(("Active", "Bulky", "Expired", "Housework", "StockGoods", "WebshopArticle"), BOOLEAN),
    **dict.fromkeys(("PurchasePrice", "QuantityInStock", "StockWarning", "VAT"), NUMBER),
    "ArticleNumber": text(50),
    "Description": text(200),
    "EAN": text(30),
    "HouseworkType": text(50),
    "Manufacturer": text(50),
    "ManufacturerArticleNumber": text(50),
    "Note": text(10000),
    "StockPlace": text(100),
    "Type": choice("STOCK", "SERVICE"),
    "Unit": text(20, null_refused=True),
}  # fmt: skip
VOUCHER_FILE_CONNECTION: dict[str, Field] = {
    "FileId": text(100),
    "VoucherNumber": INTEGER,
    "VoucherSeries": text(10),
    "VoucherYear": INTEGER,
}
