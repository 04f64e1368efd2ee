"""One company in the simulated Fortnox, and the people who work in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from threading import RLock
from typing import Any, TypeVar, cast

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import chart, fields
from addon.sandbox.fortnox.books import Account, Series, VatRate, Voucher, VoucherRow
from addon.sandbox.fortnox.sales import Customer, Invoice, Payment, Sales
from addon.sandbox.fortnox.switches import Switches
from addon.sandbox.fortnox.wire import ZERO, cents

ALL_LICENCES = frozenset({"integration", "bookkeeping", "invoicing"})
"""integration: the right to use apps at all; the two others open the scopes behind them."""

Deed = TypeVar("Deed", bound=Callable[..., Any])


def _locked(method: Deed) -> Deed:
    """A person's deed happens between two requests, never inside one."""

    @functools.wraps(method)
    def deed(self: FortnoxCompany, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            return method(self, *args, **kwargs)

    return cast("Deed", deed)


@dataclass(slots=True)
class StoredFile:
    """An uploaded file: in the inbox under `id`, in the archive under `archive_id`."""

    id: str
    archive_id: str
    name: str
    path: str
    content: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FileConnection:
    """A file at a voucher (`voucher` set) or at an invoice (`entity_id` set)."""

    id: str
    file_id: str
    voucher: tuple[str, int, int] | None = None
    entity_id: str = ""
    entity_type: str = ""
    include_on_send: bool = False


class FortnoxCompany(Sales):
    """A company with real double-entry books, and methods that play a person working in it."""

    def __init__(
        self,
        database_number: int,
        name: str,
        organisation_number: str,
        *,
        clock: Clock,
        switches: Switches,
        rate_of: Callable[[str, date], Decimal],
        lock: RLock,
        revoke: Callable[[int], None],
        method: str,
        country: str,
        licences: Iterable[str],
    ) -> None:
        super().__init__(clock, switches, rate_of)
        self.lock = lock
        self.database_number = database_number
        self.name = name
        self.organisation_number = organisation_number
        self.country = country
        self.licences = set(licences)
        self.address = {"Address": "Storgatan 1", "City": "Växjö", "ZipCode": "352 30"}
        self.files: dict[str, StoredFile] = {}
        self.file_connections: dict[str, FileConnection] = {}
        self.cost_centers: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, dict[str, Any]] = {}
        self.labels: dict[int, str] = {}
        self.units: dict[str, dict[str, Any]] = {
            code: {"Code": code, "CodeEnglish": english, "Description": name} for code, name, english in chart.UNITS
        }
        self._method = method
        self._revoke = revoke

    def method(self) -> str:
        """The accounting method new years get."""
        return self._method

    # -- what a person sets ------

    @_locked
    def lock_period(self, until: date | None) -> None:
        """Close the books up to and with a day; None opens them again."""
        self.locked_until = until

    def _charts(self, year_id: int | None) -> list[dict[int, Account]]:
        return [self.accounts[year_id]] if year_id is not None else list(self.accounts.values())

    @_locked
    def deactivate_account(self, number: int, year_id: int | None = None) -> None:
        """Make an account refuse postings, in one year or in all."""
        for accounts in self._charts(year_id):
            if number in accounts:
                accounts[number].active = False

    @_locked
    def activate_account(self, number: int, year_id: int | None = None) -> None:
        """Open an account for postings again."""
        for accounts in self._charts(year_id):
            if number in accounts:
                accounts[number].active = True

    @_locked
    def remove_account(self, number: int, year_id: int | None = None) -> None:
        """Take an account out of the chart."""
        for accounts in self._charts(year_id):
            accounts.pop(number, None)

    @_locked
    def add_account(self, number: int, description: str, vat_code: str = "", year_id: int | None = None) -> None:
        """Put an account into the chart."""
        for accounts in self._charts(year_id):
            accounts[number] = Account(number, description, vat_code)

    @_locked
    def demand_cost_center(self, number: int, setting: str = "MANDATORY") -> None:
        """Set whether postings on an account need a cost centre: ALLOWED, MANDATORY or NOTALLOWED."""
        for accounts in self.accounts.values():
            accounts[number].cost_center_settings = setting

    @_locked
    def demand_project(self, number: int, setting: str = "MANDATORY") -> None:
        """Set whether postings on an account need a project."""
        for accounts in self.accounts.values():
            accounts[number].project_settings = setting

    @_locked
    def add_vat_rate(self, percent: int, account: int) -> None:
        """Let rows carry another VAT percentage, its output VAT going to an account (25 again to move it)."""
        self.vat_rates[percent] = VatRate(percent, account)

    @_locked
    def remove_currency(self, code: str) -> None:
        """Take a currency away from the company."""
        self.currencies.pop(code, None)

    @_locked
    def person_adds_currency(self, code: str, description: str = "") -> None:
        """Add a currency with automatic rates."""
        self.add_currency(code, description)

    @_locked
    def person_adds_cost_center(self, code: str, description: str = "", *, active: bool = True) -> None:
        """Register a cost centre."""
        self.cost_centers[code] = {"Code": code, "Description": description or code, "Active": active}

    @_locked
    def person_adds_project(self, number: str, description: str = "", status: str = "ONGOING") -> None:
        """Register a project."""
        self.projects[number] = {
            "ProjectNumber": number,
            "Description": description or number,
            "Status": status,
        }

    @_locked
    def add_series(self, code: str, description: str, *, manual: bool = True, year_id: int | None = None) -> None:
        """Add a voucher series, in one year or in all."""
        for each, series in self.series.items():
            if year_id in (None, each):
                series.setdefault(code, Series(code, description, manual))

    @_locked
    def remove_series(self, code: str, year_id: int | None = None) -> None:
        """Take a series away (a new year may lack it)."""
        for each, series in self.series.items():
            if year_id in (None, each):
                series.pop(code, None)

    @_locked
    def set_series_manual(self, code: str, manual: bool) -> None:
        """Allow or forbid entering vouchers in a series."""
        for series in self.series.values():
            if code in series:
                series[code].manual = manual

    @_locked
    def set_next_voucher_number(self, code: str, number: int, year_id: int | None = None) -> None:
        """Continue a series at a number."""
        self.series[year_id or self.selected_year().id][code].next_number = number

    @_locked
    def set_predefined_series(self, name: str, code: str | None) -> None:
        """Choose the series for INVOICE, INVOICEPAYMENT …; None leaves it unset."""
        if code is None:
            self.predefined_series.pop(name, None)
        else:
            self.predefined_series[name] = code

    @_locked
    def set_predefined_account(self, name: str, number: int | None) -> None:
        """Choose a predefined account; None leaves it unset."""
        if number is None:
            self.predefined_accounts.pop(name, None)
        else:
            self.predefined_accounts[name] = number

    @_locked
    def select_year(self, year_id: int | None) -> None:
        """Choose the year that calls without `financialyear` mean; None: the year that holds today."""
        self.selected_year_id = year_id

    @_locked
    def person_opens_year(self, from_date: date, to_date: date, method: str | None = None) -> int:
        """Open a financial year; its id."""
        return self.add_financial_year(from_date, to_date, method).id

    @_locked
    def revoke_consent(self) -> None:
        """Deactivate the app for this company."""
        self._revoke(self.database_number)

    @_locked
    def set_licences(self, licences: Iterable[str]) -> None:
        """Change what the company has bought (see ALL_LICENCES)."""
        self.licences = set(licences)

    # -- what a person does ------

    @_locked
    def person_creates_customer(self, name: str, **values: Any) -> Customer:
        """Register a customer; further fields by their names in the interface."""
        return self.write_customer(None, {"Name": name, **values}, by_person=True)

    @_locked
    def person_edits_customer(self, number: str, **values: Any) -> Customer:
        """Change a customer's fields."""
        return self.write_customer(number, values, by_person=True)

    @_locked
    def person_creates_invoice(
        self,
        total: Decimal | int | str | None = None,
        *,
        customer: str = "Kund i butiken",
        vat: int = 25,
        account: int | None = None,
        rows: Sequence[Mapping[str, Any]] | None = None,
        your_order_number: str = "",
        your_reference: str = "",
        our_reference: str = "",
        ocr: str = "",
        external_reference: str = "",
        currency: str = "SEK",
        rate: Decimal | str | None = None,
        invoice_date: date | None = None,
        due_date: date | None = None,
        vat_included: bool = True,
        booked: bool = True,
    ) -> Invoice:
        """Write an invoice of one row over `total` (with VAT unless `vat_included` is False), or of `rows`.

        `customer` is a number or a name; a name that nobody has yet becomes a new customer.
        """
        known = self.customers.get(customer) or next((c for c in self.customers.values() if c.name == customer), None)
        if known is None:
            known = self.write_customer(None, {"Name": customer}, by_person=True)
        if currency not in self.currencies:
            self.add_currency(currency)
        if rows is None:
            price = str(total or 0)
            sole: dict[str, Any] = {"Description": "Varor", "DeliveredQuantity": 1, "Price": price, "VAT": vat}
            if account is not None:
                sole["AccountNumber"] = account
            rows = [sole]
        payload: dict[str, Any] = {
            "CustomerNumber": known.number,
            "InvoiceRows": [dict(item) for item in rows],
            "YourOrderNumber": your_order_number,
            "YourReference": your_reference,
            "OurReference": our_reference,
            "OCR": ocr,
            "ExternalInvoiceReference1": external_reference,
            "Currency": currency,
            "VATIncluded": vat_included,
            "CurrencyRate": None if rate is None else str(rate),
            "CurrencyUnit": "API_BLANK",
            "InvoiceDate": invoice_date.isoformat() if invoice_date else None,
            "DueDate": due_date.isoformat() if due_date else None,
        }
        invoice = self.create_invoice(fields.read(payload, fields.INVOICE), by_person=True)
        if booked:
            self.bookkeep_invoice(invoice, by_person=True)
        return invoice

    @_locked
    def person_books_invoice(self, number: int) -> None:
        """Book an invoice."""
        self.bookkeep_invoice(self.need_invoice(number), by_person=True)

    @_locked
    def person_invoices_order(self, number: int, on: date | None = None, *, booked: bool = True) -> Invoice:
        """Turn an order into an invoice, and book it."""
        invoice = self.invoice_order(self.need_order(number), on, by_person=True)
        if booked:
            self.bookkeep_invoice(invoice, by_person=True)
        return invoice

    @_locked
    def person_cancels_order(self, number: int) -> None:
        """Cancel an order."""
        self.cancel_order(self.need_order(number))

    @_locked
    def person_edits_invoice(self, number: int, **values: Any) -> Invoice:
        """Change an unbooked invoice, fields by their names in the interface."""
        invoice = self.need_invoice(number)
        self.update_invoice(invoice, fields.read(values, fields.INVOICE))
        return invoice

    @_locked
    def person_cancels_invoice(self, number: int) -> None:
        """Cancel an unbooked invoice."""
        self.cancel_invoice(self.need_invoice(number))

    @_locked
    def person_credits_invoice(self, number: int, *, booked: bool = True) -> Invoice:
        """Credit an invoice in full; the credit invoice."""
        credit = self.credit_invoice(self.need_invoice(number), by_person=True)
        if booked:
            self.bookkeep_invoice(credit, by_person=True)
        return credit

    @_locked
    def person_pays_invoice(
        self,
        number: int,
        amount: Decimal | int | str | None = None,
        *,
        account: int = 1930,
        on: date | None = None,
        amount_in_sek: Decimal | int | str | None = None,
        booked: bool = True,
    ) -> Payment:
        """Register a payment in the invoice's currency; without an amount, of all that is open."""
        invoice = self.need_invoice(number)
        paid = invoice.balance if amount is None else Decimal(str(amount))
        payload: dict[str, Any] = {
            "InvoiceNumber": number,
            "AmountCurrency": paid,
            "ModeOfPaymentAccount": account,
            "PaymentDate": max(on or self.today(), invoice.invoice_date).isoformat(),
        }
        if amount_in_sek is not None:
            payload["Amount"] = str(amount_in_sek)
        payment = self.create_payment(fields.read(payload, fields.INVOICE_PAYMENT), by_person=True)
        if booked:
            self.bookkeep_payment(payment, by_person=True)
        return payment

    @_locked
    def person_books_payment(self, number: int) -> None:
        """Book a preliminary payment."""
        self.bookkeep_payment(self.payments[number], by_person=True)

    @_locked
    def person_deletes_payment(self, number: int) -> None:
        """Take a preliminary payment away."""
        self.delete_payment(self.payments[number])

    @_locked
    def person_posts_voucher(
        self,
        lines: Iterable[tuple[int, Decimal | int | str]],
        *,
        description: str = "Manuell verifikation",
        on: date | None = None,
        series: str = "A",
    ) -> Voucher:
        """Enter a voucher by hand: account and signed amount (debit positive) per line."""
        day = on or self.today()
        rows = []
        for account, signed in lines:
            amount = cents(Decimal(str(signed)))
            rows.append(VoucherRow(account, max(amount, ZERO), max(-amount, ZERO)))
        return self.post_manual(self.need_year(day), series, day, description, rows, by_person=True)

    @_locked
    def person_deletes_last_voucher(self, series: str, year_id: int | None = None) -> None:
        """Take the last voucher of a series away again."""
        year = year_id or self.selected_year().id
        number = self.series[year][series].next_number - 1
        self.delete_voucher(self.vouchers[series, number, year])
