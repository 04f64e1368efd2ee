"""The system's words into ours, and ours into its. Pure: nothing here asks anybody, and the tests read it by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from addon.core.books import (
    Books,
    ChartAccount,
    CustomerView,
    Feature,
    Identity,
    InvoiceView,
    LedgerEntry,
    PaymentView,
    Remedy,
    Series,
    VoucherView,
)
from addon.core.dates import FinancialYear
from addon.core.documents import Customer, Invoice, Settlement, Voucher
from addon.core.money import Money
from addon.ports.errors import BadReply, OutcomeUnknown

T = TypeVar("T")
Row = Mapping[str, Any]
CURRENCY: Final = "SEK"
"""These books know one currency; a sale in another is held until somebody books it."""
KEY_LENGTH: Final = 80
TEXT_LENGTH: Final = 200


def seen(view: Callable[[Row], T], row: Row) -> T:
    """Read the answer to a question. Raises `BadReply`."""
    try:
        return view(row)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise BadReply(f"an answer that cannot be read: {type(error).__name__}") from error


def written(view: Callable[[Row], T], row: Row) -> T:
    """Read the answer to a write: one that cannot be read does not undo it. Raises `OutcomeUnknown`."""
    try:
        return seen(view, row)
    except BadReply as error:
        raise OutcomeUnknown(str(error)) from error


def _word(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value[:300]


def amount(row: Row, name: str) -> Money:
    """An amount, written as a decimal text. Raises what `seen` names."""
    return Money.from_decimal(Decimal(_word(row, name)), CURRENCY)


def _day(row: Row, name: str) -> date:
    return date.fromisoformat(_word(row, name))


# --- The books -----------------------------------------------------------------------------------------------


def identity(row: Row) -> Identity:
    """Who the company is."""
    country, currency = _word(row, "country"), _word(row, "currency")
    return Identity(_word(row, "id"), _word(row, "name"), _word(row, "number"), country, currency)


def books(company: Row, accounts: list[Row], series: list[Row]) -> Books:
    """All that a run needs to know; what these books do not have stays empty, and what they cannot do is named."""
    years = tuple(
        FinancialYear(_word(row, "id"), _day(row, "from"), _day(row, "to"), row["accrual"] is True)
        for row in company["years"]
    )
    return Books(
        identity=identity(company),
        years=years,
        accounts=tuple(
            ChartAccount(_word(row, "number"), _word(row, "name"), row["active"] is True, year.ref)
            for year in years
            for row in accounts
        ),
        series=tuple(
            Series(_word(row, "code"), _word(row, "name"), row["manual"] is True, year.ref)
            for year in years
            for row in series
        ),
        invoice_series="INV",
        payment_series="PAY",
        predefined=(("customer_claims", _word(company, "claims")),),
        payment_modes=(),
        currencies=(),
        locked_through=_day(company, "locked_through") if company["locked_through"] is not None else None,
        system="ledger",
        remedies=(Remedy.ACTIVATE_ACCOUNT, Remedy.CREATE_ACCOUNT, Remedy.CREATE_SERIES),
        cannot=(Feature.MAIL_INVOICE, Feature.ORDER, Feature.COST_CENTRE, Feature.PROJECT),
    )


# --- What they show ------------------------------------------------------------------------------------------


def customer(row: Row) -> CustomerView:
    """A customer."""
    return CustomerView(
        _word(row, "number"), _word(row, "name"), _word(row, "email"), _word(row, "organisation_number")
    )


def invoice(row: Row) -> InvoiceView:
    """An invoice or credit note."""
    return InvoiceView(
        number=_word(row, "number"),
        currency=CURRENCY,
        total=amount(row, "total"),
        balance=amount(row, "open"),
        vat=Decimal(_word(row, "vat")),
        rate=Decimal(1),
        unit=1,
        booked=row["booked"] is True,
        cancelled=False,
        invoice_date=_day(row, "date"),
        our_key=_word(row, "reference"),
        order_number=_word(row, "order_number"),
        customer_number=_word(row, "customer"),
        voucher=_word(row, "voucher"),
        credit_number=_word(row, "credited_by"),
        draft=row["booked"] is not True,
    )


def payment(row: Row) -> PaymentView:
    """A payment of an invoice."""
    paid = amount(row, "amount")
    return PaymentView(
        number=_word(row, "number"),
        invoice_number=_word(row, "invoice"),
        amount=paid,
        books_amount=paid,
        paid_on=_day(row, "date"),
        account=_word(row, "account"),
        booked=row["booked"] is True,
        voucher=_word(row, "voucher"),
    )


def voucher(row: Row) -> VoucherView:
    """A voucher by series, number and year."""
    reference = f"{_word(row, 'series')}/{int(row['number'])}/{_word(row, 'year')}"
    return VoucherView(reference, _day(row, "date"), _word(row, "text"))


def entry(row: Row) -> LedgerEntry:
    """One row of the ledger."""
    about = _word(row, "voucher"), _day(row, "date"), _word(row, "account")
    return LedgerEntry(*about, amount(row, "amount"), _word(row, "text"))


# --- What we send --------------------------------------------------------------------------------------------


def customer_body(given: Customer) -> dict[str, str]:
    """A customer as they take it."""
    name = given.name[:TEXT_LENGTH] or given.email
    return {"name": name, "email": given.email, "organisation_number": given.organisation_number}


def invoice_body(given: Invoice, customer_number: str) -> dict[str, Any]:
    """A draft; our key stands in its reference."""
    rows = [
        {
            "text": line.description[:TEXT_LENGTH],
            "gross": str(line.gross.to_decimal()),
            "vat_percent": line.vat_percent,
            "account": line.account.number,
        }
        for line in given.lines
    ]
    about = {"date": given.invoice_date.isoformat(), "reference": given.key, "order_number": given.order_number}
    return {**about, "customer": customer_number, "text": given.text[:TEXT_LENGTH], "rows": rows}


def payment_body(given: Settlement, invoice_number: str) -> dict[str, str]:
    """A payment; our key stands in its reference."""
    off = {}
    if given.write_off is not None and given.write_off_account is not None:
        number = given.write_off_account.number
        off = {"write_off": str(given.write_off.to_decimal()), "write_off_account": number}
    about = {"date": given.paid_on.isoformat(), "account": given.account.number, "reference": given.key}
    return {**about, "invoice": invoice_number, "amount": str(given.amount.to_decimal()), **off}


def voucher_text(given: Voucher, key: str) -> str:
    """What stands on a voucher; our key at its end, where a person and our own look-up find it."""
    return f"{given.text[: TEXT_LENGTH - len(key) - 3]} ({key})"


def voucher_body(given: Voucher, key: str, series: str) -> dict[str, Any]:
    """A voucher, debit positive."""
    rows = [{"account": line.account.number, "amount": str(line.signed.to_decimal())} for line in given.lines]
    about = {"series": series, "date": given.booking_date.isoformat(), "reference": key}
    return {**about, "text": voucher_text(given, key), "rows": rows}
