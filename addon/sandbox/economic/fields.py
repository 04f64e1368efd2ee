"""What the old host demands of the things sent to it: names, types, lengths, decimals (its published schemas)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One property. `low` and `high` bound numbers, `longest` texts; `of` holds what is inside objects and lists."""

    kind: str
    required: bool = False
    longest: int | None = None
    shortest: int = 0
    low: int | None = None
    high: int | None = None
    decimals: int | None = None
    one_of: tuple[str, ...] = ()
    of: Mapping[str, Field] = field(default_factory=dict)


def text(longest: int | None = None, *, required: bool = False, shortest: int = 0) -> Field:
    """A text."""
    return Field("String", required, longest, shortest)


def whole(*, required: bool = False, low: int | None = None, high: int | None = None) -> Field:
    """A whole number."""
    return Field("Integer", required, low=low, high=high)


def number(decimals: int | None = None, *, required: bool = False) -> Field:
    """A number with at most so many decimals."""
    return Field("Number", required, decimals=decimals)


def day(*, required: bool = False) -> Field:
    """A date."""
    return Field("Date", required)


def inside(required: bool = False, **of: Field) -> Field:
    """An object."""
    return Field("Object", required, of=of)


def many(**of: Field) -> Field:
    """A list of objects."""
    return Field("Array", of=of)


FLAG = Field("Boolean")
_LINK = text()


def reference(name: str, *, required: bool = False, high: int | None = None) -> Field:
    """A reference by number or by `self`."""
    return inside(required, **{name: whole(low=1, high=high)}, self=_LINK)


CUSTOMER = {
    "customerNumber": whole(low=1, high=999_999_999),
    "name": text(255, required=True, shortest=1),
    "currency": text(3, required=True, shortest=3),
    "customerGroup": reference("customerGroupNumber", required=True),
    "vatZone": reference("vatZoneNumber", required=True),
    "paymentTerms": reference("paymentTermsNumber", required=True),
    "email": text(255),
    "address": text(510),
    "zip": text(30),
    "city": text(50),
    "country": text(50),
    "corporateIdentificationNumber": text(40),
    "pNumber": text(10, shortest=10),
    "vatNumber": text(20),
    "ean": text(13),
    "publicEntryNumber": text(50),
    "mobilePhone": text(50),
    "telephoneAndFaxNumber": text(255),
    "website": text(255),
    "barred": FLAG,
    "creditLimit": number(),
    "layout": reference("layoutNumber"),
    "eInvoicingDisabledByDefault": FLAG,
}
LINE = {
    "lineNumber": whole(low=1),
    "sortKey": whole(low=1),
    "description": text(2500),
    "product": inside(productNumber=text(25, shortest=1), self=_LINK),
    "unit": reference("unitNumber"),
    "quantity": number(2),
    "unitNetPrice": number(2),
    "discountPercentage": number(2),
    "unitCostPrice": number(2),
}
DRAFT = {
    "date": day(required=True),
    "currency": text(3, required=True, shortest=3),
    "exchangeRate": number(6),
    "dueDate": day(),
    "layout": reference("layoutNumber", required=True),
    "paymentTerms": inside(
        True,
        paymentTermsNumber=whole(low=1),
        paymentTermsType=text(),
        self=_LINK,
    ),
    "customer": reference("customerNumber", required=True, high=999_999_999),
    "recipient": inside(
        True,
        name=text(250, required=True),
        address=text(250),
        zip=text(50),
        city=text(250),
        country=text(50),
        ean=text(13),
        publicEntryNumber=text(40),
        vatZone=inside(True, vatZoneNumber=whole(), self=_LINK),
    ),
    "delivery": inside(
        address=text(255),
        zip=text(30),
        city=text(50),
        country=text(50),
        deliveryTerms=text(100),
        deliveryDate=day(),
    ),
    "notes": inside(heading=text(250), textLine1=text(1000), textLine2=text(1000)),
    "references": inside(other=text(250)),
    "lines": many(**LINE),
}
BOOK = {
    "draftInvoice": inside(True, draftInvoiceNumber=whole(low=1), self=_LINK),
    "bookWithNumber": whole(low=1),
    "sendBy": Field("String", one_of=("none", "EAN", "Email")),
}
PRODUCT = {
    "productNumber": text(25, required=True, shortest=1),
    "name": text(300, required=True, shortest=1),
    "productGroup": reference("productGroupNumber", required=True),
    "description": text(500),
    "barCode": text(50),
    "salesPrice": number(2),
    "costPrice": number(2),
    "recommendedPrice": number(2),
    "unit": reference("unitNumber"),
    "barred": FLAG,
}
CUSTOMER_GROUP = {
    "customerGroupNumber": whole(required=True, low=1),
    "name": text(50, required=True),
    "account": inside(True, accountNumber=whole(required=True, low=1), self=_LINK),
    "layout": reference("layoutNumber"),
}
TERM_TYPES = (
    "net",
    "invoiceMonth",
    "paidInCash",
    "prepaid",
    "dueDate",
    "factoring",
    "invoiceWeekStartingSunday",
    "invoiceWeekStartingMonday",
    "creditcard",
)
PAYMENT_TERMS = {
    "name": text(50, required=True),
    "description": text(1000),
    "paymentTermsType": Field("String", True, one_of=TERM_TYPES),
    "daysOfCredit": whole(low=0),
    "contraAccountForRemainderAmount": inside(accountNumber=whole(low=1), self=_LINK),
}
UNIT = {"name": text(100, required=True)}
YEAR = {"fromDate": day(required=True), "toDate": day(required=True)}
_ENTRY = {
    "amount": number(2, required=True),
    "date": day(required=True),
    "text": text(250),
    "currency": inside(code=text(3), self=_LINK),
    "exchangeRate": number(6),
    "contraAccount": inside(accountNumber=whole(low=1), self=_LINK),
    "contraVatAccount": inside(vatCode=text(5), self=_LINK),
}
VOUCHER = {
    "accountingYear": inside(True, year=text(11), self=_LINK),
    "journal": reference("journalNumber"),
    "voucherNumber": whole(low=1, high=999_999_999),
    "entries": inside(
        financeVouchers=many(
            **_ENTRY,
            account=inside(accountNumber=whole(low=1), self=_LINK),
            vatAccount=inside(vatCode=text(5), self=_LINK),
        ),
        customerPayments=many(
            **_ENTRY, customer=reference("customerNumber"), customerInvoice=whole(low=1, high=999_999_999)
        ),
        manualCustomerInvoices=many(
            **_ENTRY,
            customer=reference("customerNumber"),
            customerInvoice=whole(low=1, high=999_999_999),
            dueDate=day(),
        ),
    ),
}


class Invalid(Exception):
    """Something that was sent is wrong; `errors` says what."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(str(errors.tree))
        self.errors = errors


class Errors:
    """What is wrong with a body, nested as the body is, and how many things."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.count = 0

    def add(self, path: tuple[str | int, ...], error: dict[str, Any]) -> None:
        """Note an error at a path of property names and list indexes."""
        node: dict[str, Any] = self.tree
        for part in path:
            if isinstance(part, int):
                node.setdefault("errors", [])
                items = node.setdefault("items", [])
                found = next((item for item in items if item["arrayIndex"] == part), None)
                if found is None:
                    found = {"arrayIndex": part}
                    items.append(found)
                node = found
            else:
                node = node.setdefault(part, {})
        node.setdefault("errors", []).append(error)
        self.count += 1

    def stop(self) -> None:
        """Raise `Invalid` where anything was noted."""
        if self.count:
            raise Invalid(self)

    def say(self, path: tuple[str | int, ...], message: str, code: str = "", value: Any = None) -> None:
        """Note an error in plain words."""
        names = [part for part in path if isinstance(part, str)]
        self.add(
            path,
            {
                "propertyName": names[-1] if names else "",
                "errorMessage": message,
                **({"errorCode": code} if code else {}),
                "inputValue": value,
            },
        )


def read(sent: Any, allowed: Mapping[str, Field], errors: Errors, at: tuple[str | int, ...] = ()) -> dict[str, Any]:
    """The known properties of something sent, with their values made ours; what is unknown is ignored."""
    if not isinstance(sent, Mapping):
        errors.say(at, f"Expected Object but got {_name(sent)}")
        return {}
    by_name = {str(name).lower(): value for name, value in sent.items()}
    found: dict[str, Any] = {}
    for name, rule in allowed.items():
        here = (*at, name)
        if name.lower() not in by_name:
            if rule.required:
                errors.say(here, f"Required property '{name}' is missing.")
            continue
        value = _value(by_name[name.lower()], rule, errors, here)
        if value is not None:
            found[name] = value
    return found


def _name(value: Any) -> str:
    match value:
        case None:
            return "Null"
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case Decimal():
            return "Number"
        case str():
            return "String"
        case list():
            return "Array"
    return "Object"


def _value(value: Any, rule: Field, errors: Errors, at: tuple[str | int, ...]) -> Any:
    kind = _name(value)
    fits = {"Number": ("Number", "Integer"), "Date": ("String",), "Array": ("Array",)}.get(rule.kind, (rule.kind,))
    if kind not in fits:
        errors.say(at, f"Expected {'String' if rule.kind == 'Date' else rule.kind} but got {kind}", value=value)
        return None
    match rule.kind:
        case "Object":
            return read(value, rule.of, errors, at)
        case "Array":
            return [read(item, rule.of, errors, (*at, index)) for index, item in enumerate(value)]
        case "Date":
            return _day(value, errors, at)
        case "String":
            return _text(value, rule, errors, at)
        case "Integer" | "Number":
            return _number(value, rule, errors, at)
    return value


def _day(value: str, errors: Errors, at: tuple[str | int, ...]) -> date | None:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # a day that no month has; said below
    errors.say(at, f"'{value}' is not a date.", value=value)
    return None


def _text(value: str, rule: Field, errors: Errors, at: tuple[str | int, ...]) -> str | None:
    if rule.longest is not None and len(value) > rule.longest:
        errors.say(at, f"String '{value[:30]}' exceeds maximum length of {rule.longest}.", "E04010", value)
        return None
    if len(value) < rule.shortest:
        errors.say(at, f"String '{value}' is less than minimum length of {rule.shortest}.", value=value)
        return None
    if rule.one_of and value not in rule.one_of:
        errors.say(at, f"Value '{value}' is not defined in enum.", value=value)
        return None
    return value


def _number(value: int | Decimal, rule: Field, errors: Errors, at: tuple[str | int, ...]) -> int | Decimal | None:
    if rule.low is not None and value < rule.low:
        errors.say(at, f"Integer {value} is less than minimum value of {rule.low}.", value=value)
        return None
    if rule.high is not None and value > rule.high:
        errors.say(at, f"Integer {value} exceeds maximum value of {rule.high}.", value=value)
        return None
    if rule.kind == "Integer":
        return value
    exact = Decimal(value)
    if rule.decimals is not None and exact != round(exact, rule.decimals):
        errors.say(at, f"The value has more than {rule.decimals} decimals.", "E04740", value)
        return None
    return exact


def number_of(reference_sent: Mapping[str, Any] | None, name: str) -> Any:
    """The key inside a reference, read from `self` where only that was sent."""
    if not reference_sent:
        return None
    if name in reference_sent:
        return reference_sent[name]
    tail = str(reference_sent.get("self", "")).rstrip("/").rpartition("/")[2]
    if name in ("year", "vatCode", "productNumber", "code"):
        return tail or None
    return int(tail) if tail.isascii() and tail.isdigit() else None
