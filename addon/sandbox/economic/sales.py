"""Customers, products, draft and booked invoices of an agreement."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from addon.sandbox.clock import Clock
from addon.sandbox.economic import chart
from addon.sandbox.economic.books import CUSTOMER_INVOICE, HUNDRED, Books, Day, Entry, Line
from addon.sandbox.economic.errors import legacy_error
from addon.sandbox.economic.fields import Errors, number_of
from addon.sandbox.economic.switches import Switches
from addon.sandbox.economic.wire import ZERO, cents

SETTLED_AT_ONCE = ("paidInCash", "prepaid", "creditcard")
"""Kinds of payment terms that leave nothing open."""


@dataclass(slots=True)
class Customer:
    """A customer; `values` as they were sent, references as plain numbers."""

    number: int
    values: dict[str, Any]
    updated_at: datetime
    version: int = 1
    by_person: bool = False


@dataclass(slots=True)
class Product:
    """A product."""

    number: str
    values: dict[str, Any]
    updated_at: datetime


@dataclass(slots=True)
class CustomerGroup:
    """A customer group with its receivables account."""

    number: int
    name: str
    account: int
    layout: int | None = None


@dataclass(slots=True)
class ProductGroup:
    """A product group: the sales account of each VAT zone decides account and VAT of a line."""

    number: int
    name: str
    sales_accounts: dict[int, int]


@dataclass(slots=True)
class Terms:
    """Payment terms."""

    number: int
    name: str
    kind: str
    days: int | None
    contra_account: int | None = None


@dataclass(slots=True)
class InvoiceLine:
    """A line with what the system has worked out for it."""

    number: int
    description: str
    product: str | None
    quantity: Decimal
    price: Decimal
    discount: Decimal
    net: Decimal = ZERO
    vat: Decimal = ZERO
    rate: Decimal = ZERO
    account: int | None = None
    vat_code: str = ""


@dataclass(slots=True)
class Invoice:
    """A draft or a booked invoice; amounts in its currency, `rate` for 100 units."""

    number: int
    order_number: int
    customer: int
    date: date
    due_date: Day | None
    currency: str
    rate: Decimal
    layout: int
    terms: int
    zone: int
    recipient: dict[str, Any]
    delivery: dict[str, Any]
    notes: dict[str, str]
    references: dict[str, str]
    lines: list[InvoiceLine]
    updated_at: datetime
    booked: bool = False
    net: Decimal = ZERO
    vat: Decimal = ZERO
    base_net: Decimal = ZERO
    base_gross: Decimal = ZERO
    entry: Entry | None = None
    attachments: list[bytes] = field(default_factory=list)
    by_person: bool = False

    @property
    def gross(self) -> Decimal:
        """Net and VAT."""
        return self.net + self.vat

    @property
    def remainder(self) -> Decimal:
        """What is still to be paid; nought where the terms settled it at once."""
        return ZERO if self.entry is None or self.entry.remainder is None else self.entry.remainder


class Sales(Books):
    """What the sales side of an agreement holds and does."""

    def __init__(self, clock: Clock, switches: Switches, rate_of: Callable[[str, date], Decimal], base: str) -> None:
        super().__init__(clock, switches, rate_of, base)
        self.language = "da"
        self.customers: dict[int, Customer] = {}
        self.products: dict[str, Product] = {}
        self.customer_groups = {n: CustomerGroup(n, name, account) for n, name, account in chart.CUSTOMER_GROUPS}
        self.product_groups = {n: ProductGroup(n, name, dict(by)) for n, name, by in chart.PRODUCT_GROUPS}
        self.terms = {n: Terms(n, name, kind, days) for n, name, kind, days in chart.PAYMENT_TERMS}
        for each in self.terms.values():
            if each.kind in SETTLED_AT_ONCE:
                each.contra_account = 5800
        self.zones = {n: (name, suppliers) for n, name, suppliers in chart.VAT_ZONES}
        self.closed_zones: set[int] = set()
        """Zones that customers may not be in."""
        self.layouts = {n: (name, deleted) for n, name, deleted in chart.LAYOUTS}
        self.units = dict(chart.UNITS)
        self.drafts: dict[int, Invoice] = {}
        self.booked: dict[int, Invoice] = {}
        self._next_draft = 1
        self._next_invoice = 1
        self._draft_ids = 0

    # -- checks ------

    def _fault(self, errors: Errors, path: tuple[str | int, ...], message: str, code: str, value: Any) -> None:
        errors.say(path, message, code, value)

    def _need(self, errors: Errors, path: tuple[str | int, ...], known: bool, what: str, value: Any, code: str) -> None:
        if not known:
            danish = f"{what} '{value}' blev ikke fundet."
            self._fault(errors, path, f"{what} '{value}' not found." if self.language == "en" else danish, code, value)

    # -- customers and products ------

    def write_customer(
        self, number: int | None, sent: Mapping[str, Any], errors: Errors, *, by_person: bool = False
    ) -> Customer:
        """Create a customer, or replace one. Raises `Invalid`."""
        values = {name: value for name, value in sent.items() if not isinstance(value, Mapping)}
        for name, key in (
            ("customerGroup", "customerGroupNumber"),
            ("vatZone", "vatZoneNumber"),
            ("paymentTerms", "paymentTermsNumber"),
            ("layout", "layoutNumber"),
        ):
            if name in sent:
                values[name] = number_of(sent[name], key)
        group, zone, terms = values.get("customerGroup"), values.get("vatZone"), values.get("paymentTerms")
        self._need(errors, ("customerGroup",), group in self.customer_groups, "CustomerGroup", group, "E06000")
        self._need(errors, ("vatZone",), zone in self.zones, "VatZone", zone, "E06000")
        self._need(errors, ("paymentTerms",), terms in self.terms, "PaymentTerms", terms, "E07080")
        self._need_currency(errors, values.get("currency"))
        wanted: int | None = number or values.get("customerNumber")
        if number is None and wanted in self.customers:
            errors.say(("customerNumber",), f"Customer number '{wanted}' is already in use.", "E06000", wanted)
        errors.stop()
        given = max(self.customers, default=0) + 1 if wanted is None else wanted
        values["customerNumber"] = given
        old = self.customers.get(given)
        customer = Customer(given, values, self.clock.now(), old.version + 1 if old else 1, by_person)
        self.customers[given] = customer
        return customer

    def _need_currency(self, errors: Errors, currency: Any) -> None:
        known = currency == self.base_currency or currency in self.currencies
        self._need(errors, ("currency",), known, "Currency", currency, "E06000")

    def add_customer_group(self, number: int, name: str, account: int) -> None:
        """Create a customer group."""
        self.customer_groups[number] = CustomerGroup(number, name, account)

    def write_product(self, sent: Mapping[str, Any], errors: Errors, *, replace: bool = False) -> Product:
        """Create or replace a product. Raises `Invalid`."""
        number = str(sent.get("productNumber", ""))
        group = number_of(sent.get("productGroup"), "productGroupNumber")
        self._need(errors, ("productGroup",), group in self.product_groups, "ProductGroup", group, "E06000")
        if not replace and number in self.products:
            errors.say(("productNumber",), f"Product number '{number}' is already in use.", "E06000", number)
        errors.stop()
        values = {**sent, "productGroup": group, "unit": number_of(sent.get("unit"), "unitNumber")}
        product = Product(number, values, self.clock.now())
        self.products[number] = product
        return product

    # -- drafts ------

    def write_draft(self, number: int | None, sent: Mapping[str, Any], errors: Errors) -> Invoice:
        """Create a draft, or replace one with its lines. Raises `Invalid`."""
        errors.stop()
        on: date = sent["date"]
        currency = str(sent["currency"]).upper()
        customer = number_of(sent.get("customer"), "customerNumber")
        terms = number_of(sent.get("paymentTerms"), "paymentTermsNumber")
        layout = number_of(sent.get("layout"), "layoutNumber")
        recipient = dict(sent.get("recipient", {}))
        zone = number_of(recipient.pop("vatZone", None), "vatZoneNumber")
        known = self.customers.get(customer) if customer is not None else None
        self._need(errors, ("customer",), known is not None, "Customer", customer, "E06000")
        if known is not None and known.values.get("barred"):
            errors.say(("customer",), f"Customer '{customer}' is barred.", "E06600", customer)
        self._need(errors, ("paymentTerms",), terms in self.terms, "PaymentTerms", terms, "E07080")
        kind = sent["paymentTerms"].get("paymentTermsType")
        if terms in self.terms and kind is not None and kind != self.terms[terms].kind:
            text = "Payment terms type does not match the type on the payment terms specified."
            errors.say(("paymentTermsType",), text, "E07180", kind)
        usable = layout in self.layouts and not self.layouts[layout][1]
        self._need(errors, ("layout",), usable, "Layout", layout, "E06000")
        usable = zone in self.zones and zone not in self.closed_zones
        self._need(errors, ("recipient", "vatZone"), usable, "VatZone", zone, "E06000")
        self._need_currency(errors, currency)
        self._check_invoice_date(on, errors)
        due = self._due_date(terms, on, sent.get("dueDate"), errors) if terms in self.terms else None
        lines = self._read_lines(sent.get("lines", []), zone, errors)
        errors.stop()
        given = sent.get("exchangeRate")
        rate = self.rate(currency, on) if given is None else Decimal(given)
        if currency == self.base_currency and rate != HUNDRED:
            errors.say(("exchangeRate",), "The exchange rate must be 100 for the base currency.", "E04041", rate)
        errors.stop()
        if number is None:
            number = self._next_draft
            self._next_draft += 1
        draft = Invoice(
            number,
            number,
            customer,
            on,
            due,
            currency,
            rate,
            layout,
            terms,
            zone,
            recipient,
            dict(sent.get("delivery", {})),
            dict(sent.get("notes", {})),
            dict(sent.get("references", {})),
            lines,
            self.clock.now(),
        )
        self._total(draft)
        self.drafts[number] = draft
        return draft

    def _check_invoice_date(self, on: date, errors: Errors) -> None:
        trouble = self.date_trouble(on)
        if trouble is not None:
            error = legacy_error(trouble, self.language)
            code = "E04870" if trouble.kind == "period_barred" else error["errorCode"]
            errors.add(("date",), {**error, "errorCode": code})

    def _due_date(self, terms: int, on: date, sent: date | None, errors: Errors) -> date | None:
        known = self.terms[terms]
        match known.kind:
            case "dueDate":
                if sent is None:
                    errors.say(("dueDate",), "dueDate is missing a value", "E04042")
                elif sent < on:
                    errors.say(("dueDate",), "may not be set to an earlier date than property `date`", "E04760", sent)
                return sent
            case "invoiceMonth":
                end = on.replace(day=monthrange(on.year, on.month)[1])
                return end + timedelta(days=known.days or 0)
            case "paidInCash" | "prepaid" | "creditcard":
                return None
        return on + timedelta(days=known.days or 0)

    def _read_lines(self, sent: list[dict[str, Any]], zone: int | None, errors: Errors) -> list[InvoiceLine]:
        lines = []
        for index, item in enumerate(sent):
            line = self._read_line(item, index, zone, errors)
            if line is not None:
                lines.append(line)
        return lines

    def _read_line(self, item: dict[str, Any], index: int, zone: int | None, errors: Errors) -> InvoiceLine | None:
        number = item.get("lineNumber", index + 1)
        if "product" not in item:
            if "quantity" in item or "unitNetPrice" in item:
                # Quantities and prices are accepted only on lines that have a product.
                errors.say(("lines", index, "product"), "Product must be present.", "E04500")
                return None
            return InvoiceLine(number, item.get("description", ""), None, ZERO, ZERO, ZERO)
        key = number_of(item["product"], "productNumber")
        product = self.products.get(str(key)) if key is not None else None
        at = ("lines", index, "product")
        if key is None:
            errors.say(at, "Product has no identifier.", "E04500")
            return None
        if product is None:
            self._need(errors, at, False, "Product", key, "E07150")
            return None
        if product.values.get("barred"):
            text = f"Product '{key}' is barred." if self.language == "en" else f"Varen '{key}' er spærret."
            errors.say(at, text, "E06600", key)
            return None
        if "quantity" not in item:
            errors.say(("lines", index, "quantity"), "quantity is missing a value", "E04730")
            return None
        price = item.get("unitNetPrice", Decimal(product.values.get("salesPrice") or 0))
        discount = item.get("discountPercentage", ZERO)
        description = item.get("description") or product.values["name"]
        line = InvoiceLine(number, description, product.number, item["quantity"], price, discount)
        line.net = cents(line.quantity * line.price * (HUNDRED - line.discount) / HUNDRED)
        self._tax(line, product.values["productGroup"], zone, index, errors)
        return line

    def _tax(self, line: InvoiceLine, group: int, zone: int | None, index: int, errors: Errors) -> None:
        """The sales account of the product's group in the buyer's zone, and its VAT."""
        line.account = self.product_groups[group].sales_accounts.get(zone) if zone is not None else None
        if line.account is None:
            text = f"Product group '{group}' has no sales account for VAT zone '{zone}'."
            errors.say(("lines", index, "product"), text, "E04041", line.product)
            return
        line.vat_code = self.accounts[line.account].vat_code
        if line.vat_code:
            line.rate = self.vat_codes[line.vat_code].rate
        line.vat = cents(line.net * line.rate / HUNDRED)

    def _total(self, invoice: Invoice) -> None:
        invoice.net = sum((line.net for line in invoice.lines), ZERO)
        if self.switches.vat_rounding == "rate":
            by_rate: dict[Decimal, Decimal] = {}
            for line in invoice.lines:
                by_rate[line.rate] = by_rate.get(line.rate, ZERO) + line.net
            invoice.vat = sum((cents(net * rate / HUNDRED) for rate, net in by_rate.items()), ZERO)
        else:
            invoice.vat = sum((line.vat for line in invoice.lines), ZERO)
        invoice.base_net = self.to_base(invoice.net, invoice.rate)
        invoice.base_gross = self.to_base(invoice.gross, invoice.rate)

    # -- booking ------

    def book_invoice(self, number: int, errors: Errors, with_number: int | None = None) -> Invoice:
        """Book a draft: it gets a number, its entries are made, the draft is gone. Raises `Invalid`."""
        draft = self.drafts[number]
        self._check_invoice_date(draft.date, errors)
        for index, line in enumerate(draft.lines):
            if line.product is None and not self.switches.text_lines_book:
                errors.say(("lines", index, "product"), "Every line needs a product.", "E04500")
            elif line.account is not None and self.accounts[line.account].barred:
                errors.say(("lines", index, "product"), "The sales account is barred.", "E04041", line.account)
        if not draft.lines:
            errors.say(("lines",), "An invoice without lines cannot be booked.", "E04500")
        if with_number is not None and with_number in self.booked:
            errors.say(("bookWithNumber",), f"Invoice number '{with_number}' is already in use.", "E06000")
        errors.stop()
        del self.drafts[number]
        draft.number = with_number or self._next_invoice
        self._next_invoice = max(self._next_invoice, draft.number + 1)
        draft.booked = True
        draft.updated_at = self.clock.now()
        self.booked[draft.number] = draft
        self._post_invoice(draft)
        return draft

    def _post_invoice(self, invoice: Invoice) -> None:
        terms = self.terms[invoice.terms]
        text = f"Faktura {invoice.number}" if invoice.gross >= 0 else f"Kreditnota {invoice.number}"
        lines = self._income(invoice, text)
        base = invoice.base_gross
        at_once = terms.kind in SETTLED_AT_ONCE and terms.contra_account is not None
        group = self.customer_groups[self.customers[invoice.customer].values["customerGroup"]]
        receivable = Line(
            terms.contra_account if at_once and terms.contra_account is not None else group.account,
            invoice.gross,
            invoice.currency,
            base,
            text,
            CUSTOMER_INVOICE,
            customer=None if at_once else invoice.customer,
            invoice=invoice.number,
            due_date=invoice.due_date,
        )
        left = base + sum((line.base for line in lines), ZERO)
        if left and lines:
            # Rounding of each line into the base currency: the largest sale takes what is left over.
            max(lines, key=lambda line: abs(line.base)).base -= left
        made = self.post([receivable, *lines], voucher=invoice.number, on=invoice.date, by_person=invoice.by_person)
        if made and not at_once:
            invoice.entry = made[0]

    def _income(self, invoice: Invoice, text: str) -> list[Line]:
        sums: dict[tuple[int, str], Decimal] = {}
        taxes: dict[str, Decimal] = {}
        for line in invoice.lines:
            if line.account is not None:
                sums[line.account, line.vat_code] = sums.get((line.account, line.vat_code), ZERO) + line.net
                if line.vat_code:
                    taxes[line.vat_code] = taxes.get(line.vat_code, ZERO) + line.vat
        short = invoice.vat - sum(taxes.values(), ZERO)
        if short:
            first = next(iter(taxes))
            taxes[first] += short
        rows = [(account, code, amount) for (account, code), amount in sums.items()]
        rows += [(self.vat_codes[code].account, code, amount) for code, amount in taxes.items() if amount]
        return [
            Line(
                account,
                -amount,
                invoice.currency,
                -self.to_base(amount, invoice.rate),
                text,
                CUSTOMER_INVOICE,
                invoice=invoice.number,
                vat_code=code,
            )
            for account, code, amount in rows
        ]

    def delete_draft(self, number: int) -> Invoice:
        """Take a draft away."""
        return self.drafts.pop(number)
