"""Customers, invoices and their payments in one simulated company, and what they post in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import chart, rates
from addon.sandbox.fortnox.books import Books, BooksBroken, FinancialYear, VoucherRow, row
from addon.sandbox.fortnox.errors import (
    ALREADY_EXISTS,
    CASH_METHOD_INVOICE,
    CURRENCY_AUTOMATIC,
    CUSTOMER_IN_USE,
    CUSTOMER_INACTIVE,
    FIELD_MISSING,
    INVOICE_ALREADY_BOOKED,
    INVOICE_ALREADY_CREDITED,
    INVOICE_CANNOT_BE_CANCELLED,
    INVOICE_CANNOT_BE_CREDITED,
    INVOICE_IS_BOOKED,
    INVOICE_IS_CANCELLED,
    INVOICE_NOT_COMPLETED,
    MODE_OF_PAYMENT_UNKNOWN,
    ORDER_IS_CLOSED,
    OUTSIDE_INVOICE_YEAR,
    PAYMENT_ABOVE_BALANCE,
    PAYMENT_AMOUNTS_DISAGREE,
    PAYMENT_IS_BOOKED,
    PAYMENT_OF_NOTHING,
    PAYMENT_ON_UNBOOKED_INVOICE,
    PAYMENT_WITHOUT_ACCOUNT,
    PREDEFINED_MISSING,
    TOO_MANY_ROWS,
    VAT_UNKNOWN,
    ApiError,
    not_found,
)
from addon.sandbox.fortnox.fields import BLANK
from addon.sandbox.fortnox.switches import Switches
from addon.sandbox.fortnox.text import country_code, country_name, ocr_number
from addon.sandbox.fortnox.wire import ZERO, cents, whole

ONE = Decimal(1)
HUNDRED = Decimal(100)
_NO_VAT_TYPES = ("SEREVERSEDVAT", "EUREVERSEDVAT", "EXPORT")
_MOST_ROWS = 500
_ORDER_FIELDS = {"OrderDate": "InvoiceDate", "OrderRows": "InvoiceRows"}

Posting: TypeAlias = list[VoucherRow]


@dataclass(slots=True)
class Currency:
    """A currency that the company has added; automatic ones take the world's rate of the day."""

    code: str
    description: str
    automatic: bool = True
    rate: Decimal = ONE
    unit: int = 1
    rate_date: date | None = None


@dataclass(slots=True)
class Customer:
    """A customer: the fields that were written, by their names in the interface."""

    number: str
    values: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    by_person: bool = False

    @property
    def name(self) -> str:
        """The customer's name."""
        return str(self.values.get("Name", ""))

    @property
    def vat_type(self) -> str:
        """SEVAT unless another treatment is set."""
        return str(self.values.get("VATType", "SEVAT"))


@dataclass(slots=True)
class InvoiceRow:
    """A row of an invoice; price with or without VAT as the invoice says, amounts in its currency."""

    row_id: int
    account: int | None
    article: str
    description: str
    quantity: Decimal
    price: Decimal
    vat: int
    vat_code: str | None
    discount: Decimal
    discount_type: str
    unit: str
    cost_center: str
    project: str
    total: Decimal = ZERO
    total_excluding_vat: Decimal = ZERO
    price_excluding_vat: Decimal = ZERO
    gross_excluding_vat: Decimal = ZERO


@dataclass(slots=True)
class Invoice:
    """A customer invoice; `values` holds the written fields that have no attribute here, amounts in its currency."""

    number: int
    customer_number: str
    values: dict[str, Any]
    invoice_date: date
    due_date: date
    currency: str
    rate: Decimal
    unit: int
    accounting_method: str
    created_at: datetime
    modified_at: datetime
    rows: list[InvoiceRow] = field(default_factory=list)
    vat_included: bool = False
    freight: Decimal = ZERO
    freight_vat: Decimal = ZERO
    administration_fee: Decimal = ZERO
    administration_fee_vat: Decimal = ZERO
    gross: Decimal = ZERO
    net: Decimal = ZERO
    total_vat: Decimal = ZERO
    round_off: Decimal = ZERO
    total: Decimal = ZERO
    balance: Decimal = ZERO
    open_in_sek: Decimal = ZERO
    """What of this invoice stands on the customer-ledger account, in SEK."""
    booked: bool = False
    cancelled: bool = False
    sent: bool = False
    not_completed: bool = False
    warehouse_ready: bool = True
    credit: bool = False
    credit_reference: int = 0
    """On a credited invoice its credit invoice; on a credit invoice the original; else 0."""
    voucher: tuple[str, int, int] | None = None
    final_pay_date: date | None = None
    by_person: bool = False
    cash_posted: dict[tuple[int, str, str], Decimal] = field(default_factory=dict)
    """Cash method: what its payments have posted so far, SEK by account, cost centre and project."""

    def text(self, name: str) -> str:
        """A written text field, empty when it is not set."""
        return str(self.values.get(name, ""))

    def in_sek(self, amount: Decimal) -> Decimal:
        """An amount in the invoice's currency at its rate, to the öre."""
        return cents(amount * self.rate / self.unit)


@dataclass(slots=True)
class Order:
    """A customer order: what it would be as an invoice, and the invoice that was made of it (0: none yet)."""

    number: int
    shadow: Invoice
    modified_at: datetime
    cancelled: bool = False
    invoice_reference: int = 0


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A part of the balance that is written off to an account, SEK."""

    account: int
    amount: Decimal
    description: str = ""
    text: str = ""
    cost_center: str = ""
    project: str = ""


@dataclass(slots=True)
class Payment:
    """A payment of an invoice: preliminary until it is booked."""

    number: int
    invoice_number: int
    amount: Decimal
    """SEK that land on the account."""
    amount_currency: Decimal
    """By how much the invoice is paid, in its currency, write-offs apart."""
    currency: str
    rate: Decimal
    unit: int
    date: date
    mode: str
    account: int | None
    write_offs: tuple[WriteOff, ...]
    created_at: datetime
    modified_at: datetime
    booked: bool = False
    voucher: tuple[str, int, int] | None = None
    by_person: bool = False


class Sales(Books):
    """The sales ledger on top of the general one."""

    def __init__(self, clock: Clock, switches: Switches, rate_of: Callable[[str, date], Decimal]) -> None:
        super().__init__(clock)
        self.switches = switches
        self._rate_of = rate_of
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[int, Invoice] = {}
        self.payments: dict[int, Payment] = {}
        self.orders: dict[int, Order] = {}
        self._next_order = 1
        self.currencies: dict[str, Currency] = {"SEK": Currency("SEK", "Svensk krona", automatic=False)}
        self.terms: dict[str, str] = dict(chart.TERMS_OF_PAYMENT)
        self.articles: dict[str, dict[str, Any]] = {}
        self.mails: list[tuple[int, str]] = []
        """Invoice number and address of everything mailed to a buyer."""
        self._used_customer_numbers: set[str] = set()
        self._next_customer = 1
        self._next_invoice = 1
        self._next_payment = 1
        self._next_row = 1

    # -- currencies ------

    def add_currency(self, code: str, description: str = "") -> Currency:
        """Add a currency with automatic rates."""
        unit = 100 if code in self.switches.quoted_per_hundred else 1
        currency = Currency(code, description or code, automatic=code in rates.BASE_RATES, unit=unit)
        self.currencies[code] = currency
        return currency

    def write_currency(self, code: str, sent: dict[str, Any], *, new: bool) -> Currency:
        """Create or change a currency; rates of automatic ones cannot be set."""
        if new:
            if code in self.currencies:
                raise ApiError(ALREADY_EXISTS, f"Valutan {code} finns redan.")
            currency = self.add_currency(code, sent.get("Description", code))
        else:
            currency = self.currencies[code]
            if currency.automatic and sent.get("IsAutomatic") is not False:
                message = f"Cannot update currency {code}, it will update automatically."
                raise ApiError(CURRENCY_AUTOMATIC, message)
        rate = sent.get("BuyRate") or sent.get("SellRate")
        if rate:
            currency.automatic, currency.rate, currency.rate_date = False, rate, self.today()
            currency.unit = int(sent.get("Unit", currency.unit))
        currency.description = sent.get("Description", currency.description)
        return currency

    def need_currency(self, code: str) -> Currency:
        """The currency; refuses one that the company has not added."""
        currency = self.currencies.get(code)
        if currency is None:
            raise ApiError(2000427, f"Kan inte hitta valutan. ({code})")
        return currency

    def rate_and_unit(self, code: str, on: date) -> tuple[Decimal, int]:
        """SEK for so many units of a currency on a date."""
        currency = self.need_currency(code)
        if not currency.automatic:
            return currency.rate, currency.unit
        return self._rate_of(code, on), (100 if code in self.switches.quoted_per_hundred else 1)

    # -- customers ------

    def write_customer(self, number: str | None, sent: dict[str, Any], *, by_person: bool = False) -> Customer:
        """Create (number None) or change a customer. Raises ApiError."""
        for name in ("CountryCode", "DeliveryCountryCode", "VisitingCountryCode"):
            if sent.get(name, BLANK) is not BLANK and country_name(sent[name]) is None:
                raise ApiError(2000919, f"Ogiltigt land: {sent[name]}")
        if sent.get("Currency", BLANK) is not BLANK:
            self.need_currency(sent["Currency"])
        if sent.get("TermsOfPayment", BLANK) is not BLANK and sent["TermsOfPayment"] not in self.terms:
            raise ApiError(2000429, "Kan inte hitta betalningsvillkoret.")
        if sent.get("VATNumber", BLANK) is not BLANK:
            vat_number = sent["VATNumber"].replace(" ", "")
            if len(vat_number) < 4 or not vat_number[:2].isalpha() or not vat_number.isalnum():
                raise ApiError(2004194, "Ogiltigt VAT-nummer.")
        now = self.now()
        if number is None:
            if not sent.get("Name") or sent["Name"] is BLANK:
                raise ApiError(FIELD_MISSING, "Kundens namn måste anges.")
            number = sent.get("CustomerNumber")
            if number is None:
                while str(self._next_customer) in self._used_customer_numbers:
                    self._next_customer += 1
                number = str(self._next_customer)
            if number in self._used_customer_numbers:
                raise ApiError(2000637, f"Kundnummer {number} används redan.")
            self._used_customer_numbers.add(number)
            customer = Customer(number, {}, now, now, by_person)
            self.customers[number] = customer
        else:
            customer = self.customers[number]
        for name, value in sent.items():
            if name == "CustomerNumber":
                continue
            if value is BLANK:
                customer.values.pop(name, None)
            elif isinstance(value, dict):
                customer.values[name] = {**customer.values.get(name, {}), **value}
            else:
                customer.values[name] = value
        customer.modified_at = now
        return customer

    def delete_customer(self, number: str) -> None:
        """Remove a customer without documents; its number stays taken."""
        if any(invoice.customer_number == number for invoice in self.invoices.values()):
            raise ApiError(CUSTOMER_IN_USE, "Kunden används och kan inte tas bort.")
        del self.customers[number]

    # -- invoices: writing ------

    def need_invoice(self, number: int) -> Invoice:
        """The invoice, or 404 2000434."""
        invoice = self.invoices.get(number)
        if invoice is None:
            raise not_found(2000434, "Kan inte hitta fakturan.")
        return invoice

    def create_invoice(self, sent: dict[str, Any], *, by_person: bool = False) -> Invoice:
        """A new, unbooked invoice. Raises ApiError; nothing is kept then."""
        number = sent.get("DocumentNumber") or self._next_invoice
        if number in self.invoices:
            raise ApiError(ALREADY_EXISTS, f"Fakturanummer {number} används redan.")
        invoice = self._new_document(number, sent, by_person=by_person)
        self._next_invoice = max(self._next_invoice, number)
        while self._next_invoice in self.invoices:
            self._next_invoice += 1
        self._keep_invoice(invoice)
        return invoice

    def _keep_invoice(self, invoice: Invoice) -> None:
        if not invoice.values.get("OCR"):
            invoice.values["OCR"] = ocr_number(invoice.number)
        self.invoices[invoice.number] = invoice
        while self._next_invoice in self.invoices:
            self._next_invoice += 1

    def _new_document(self, number: int, sent: dict[str, Any], *, by_person: bool) -> Invoice:
        customer_number = sent.get("CustomerNumber", "")
        customer = self.customers.get(customer_number) if customer_number is not BLANK else None
        if customer is None:
            raise ApiError(2000204, f"Kunde inte hämta/hitta kund ({customer_number})")
        if customer.values.get("Active", True) is False:
            raise ApiError(CUSTOMER_INACTIVE, f"Kunden är inte aktiv ({customer_number})")
        invoice_date = _value(sent, "InvoiceDate") or self.today()
        year = self.year_of(invoice_date)
        now = self.now()
        invoice = Invoice(
            number,
            customer.number,
            {},
            invoice_date,
            invoice_date,
            "SEK",
            ONE,
            1,
            year.method if year else self.method(),
            now,
            now,
            by_person=by_person,
            warehouse_ready=not self.settings.warehouse,
            freight=self.settings.default_freight,
            administration_fee=self.settings.default_administration_fee,
        )
        invoice.values.update(self._from_customer(customer))
        self._fill(invoice, sent, new=True)
        return invoice

    # -- orders ------

    def need_order(self, number: int) -> Order:
        """The order, or 404 2000439."""
        order = self.orders.get(number)
        if order is None:
            raise not_found(2000439, "Kan inte hitta ordern.")
        return order

    def create_order(self, sent: dict[str, Any], *, by_person: bool = False) -> Order:
        """A new order. Raises ApiError."""
        renamed = {_ORDER_FIELDS.get(name, name): value for name, value in sent.items()}
        rows = renamed.get("InvoiceRows")
        if isinstance(rows, list):
            renamed["InvoiceRows"] = [
                {name: value for name, value in item.items() if name != "OrderedQuantity"} for item in rows
            ]
        number = renamed.pop("DocumentNumber", None) or self._next_order
        if number in self.orders:
            raise ApiError(ALREADY_EXISTS, f"Ordernummer {number} används redan.")
        order = Order(number, self._new_document(number, renamed, by_person=by_person), self.now())
        self.orders[number] = order
        self._next_order = max(self._next_order, number) + 1
        return order

    def cancel_order(self, order: Order) -> None:
        """Cancel an order that was not invoiced."""
        if order.cancelled or order.invoice_reference:
            raise ApiError(ORDER_IS_CLOSED, "Ordern kan inte makuleras.")
        order.cancelled, order.modified_at = True, self.now()

    def invoice_order(self, order: Order, on: date | None = None, *, by_person: bool = False) -> Invoice:
        """Make the invoice of an order, unbooked; its references go along."""
        if order.cancelled or order.invoice_reference:
            raise ApiError(ORDER_IS_CLOSED, "Ordern är redan fakturerad eller makulerad.")
        day = on or order.shadow.invoice_date
        values = dict(order.shadow.values)
        if not self.switches.orders_hand_references_on:
            values.pop("ExternalInvoiceReference1", None)
        now = self.now()
        invoice = replace(
            order.shadow,
            number=self._next_invoice,
            values=values,
            invoice_date=day,
            due_date=day,
            created_at=now,
            modified_at=now,
            by_person=by_person,
        )
        self._keep_invoice(invoice)
        order.invoice_reference, order.modified_at = invoice.number, now
        return invoice

    def _from_customer(self, customer: Customer) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in ("Address1", "Address2", "City", "ZipCode", "Phone1", "Phone2"):
            values[name] = customer.values.get(name, "")
        for name in ("YourReference", "OurReference", "TermsOfDelivery", "WayOfDelivery", "CostCenter", "Project"):
            values[name] = customer.values.get(name, "")
        for name in ("DeliveryAddress1", "DeliveryAddress2", "DeliveryCity", "DeliveryName", "DeliveryZipCode"):
            values[name] = customer.values.get(name, "")
        values["Remarks"] = customer.values.get("InvoiceRemark", "")
        values["CustomerName"] = customer.name
        values["PriceList"] = customer.values.get("PriceList", "A")
        values["TermsOfPayment"] = customer.values.get("TermsOfPayment") or self.settings.default_terms_of_payment
        values["Country"] = country_name(customer.values.get("CountryCode", "")) or ""
        values["DeliveryCountry"] = country_name(customer.values.get("DeliveryCountryCode", "")) or ""
        address = customer.values.get("EmailInvoice") or customer.values.get("Email", "")
        values["EmailInformation"] = {"EmailAddressTo": address}
        return values

    def update_invoice(self, invoice: Invoice, sent: dict[str, Any]) -> None:
        """Change an unbooked invoice; fields left out stay as they are. Raises ApiError, then nothing changes."""
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Makulerade fakturor kan inte ändras.")
        if invoice.booked or invoice.cash_posted:
            raise ApiError(INVOICE_IS_BOOKED, "Bokförda fakturor kan inte ändras.")
        before = invoice.customer_number, dict(invoice.values)
        wanted = _value(sent, "CustomerNumber")
        if wanted is not None and wanted != invoice.customer_number:
            customer = self.customers.get(wanted)
            if customer is None:
                raise ApiError(2000204, f"Kunde inte hämta/hitta kund ({wanted})")
            invoice.customer_number = customer.number
            invoice.values.update(self._from_customer(customer))
        try:
            self._fill(invoice, sent, new=False)
        except ApiError:
            invoice.customer_number, invoice.values = before
            raise
        invoice.modified_at = self.now()

    def _fill(self, invoice: Invoice, sent: dict[str, Any], *, new: bool) -> None:
        """Check everything first, then put the sent fields into an invoice and compute it anew."""
        for name in ("Country", "DeliveryCountry"):
            value = _value(sent, name)
            if value is not None and country_code(value) is None:
                raise ApiError(2000919, f"Ogiltigt land: {value}")
        terms = _value(sent, "TermsOfPayment")
        if terms is not None and terms not in self.terms:
            raise ApiError(2000429, "Kan inte hitta betalningsvillkoret.")
        customer = self.customers[invoice.customer_number]
        currency = _value(sent, "Currency") or (customer.values.get("Currency", "SEK") if new else invoice.currency)
        invoice_date = _value(sent, "InvoiceDate") or invoice.invoice_date
        rate, unit = self._rate_for(invoice, sent, currency, invoice_date, new=new)
        new_rows = self._rows_for(invoice, sent, customer, invoice_date, currency)

        if invoice_date != invoice.invoice_date:
            year = self.year_of(invoice_date)
            invoice.accounting_method = year.method if year else invoice.accounting_method
        if terms is not None:
            invoice.values["TermsOfPayment"] = terms
        due_date = _value(sent, "DueDate")
        if due_date is not None:
            invoice.due_date = due_date
        elif new or terms is not None or invoice_date != invoice.invoice_date:
            invoice.due_date = invoice_date + timedelta(days=_days(invoice.text("TermsOfPayment")))
        invoice.invoice_date, invoice.currency, invoice.rate, invoice.unit = invoice_date, currency, rate, unit
        invoice.rows = new_rows
        for name, value in sent.items():
            match name:
                case "Freight":
                    invoice.freight = ZERO if value is BLANK else value
                case "AdministrationFee":
                    invoice.administration_fee = ZERO if value is BLANK else value
                case "VATIncluded":
                    invoice.vat_included = value is True
                case "NotCompleted":
                    invoice.not_completed = value is True
                case "CreditInvoiceReference":
                    invoice.credit_reference = 0 if value is BLANK else value
                case "EmailInformation" | "EDIInformation" if value is not BLANK:
                    kept = {key: item for key, item in value.items() if item is not BLANK}
                    invoice.values[name] = {**invoice.values.get(name, {}), **kept}
                case (
                    "CustomerNumber"
                    | "DocumentNumber"
                    | "InvoiceRows"
                    | "InvoiceDate"
                    | "DueDate"
                    | "Currency"
                    | "CurrencyRate"
                    | "CurrencyUnit"
                    | "TermsOfPayment"
                ):
                    pass
                case _ if value is BLANK:
                    invoice.values.pop(name, None)
                case _:
                    invoice.values[name] = value
        self.compute(invoice)

    def _rate_for(
        self, invoice: Invoice, sent: dict[str, Any], currency: str, on: date, *, new: bool
    ) -> tuple[Decimal, int]:
        known_rate, known_unit = self.rate_and_unit(currency, on)
        if currency == "SEK":
            return ONE, 1
        sent_rate, sent_unit = _value(sent, "CurrencyRate"), _value(sent, "CurrencyUnit")
        if sent_rate is not None and sent_rate <= 0:
            raise ApiError(2000108, f"Värdet måste vara numeriskt ({sent_rate})")
        if new and self.switches.currency_rate_forced_to_one and sent.get("CurrencyUnit") is not BLANK:
            return ONE, known_unit
        if sent_rate is not None:
            places = self.switches.rate_decimals
            rate = sent_rate if places is None else sent_rate.quantize(Decimal(1).scaleb(-places))
            return rate, int(sent_unit or known_unit)
        if new or currency != invoice.currency:
            return known_rate, int(sent_unit or known_unit)
        return invoice.rate, int(sent_unit or invoice.unit)

    def _rows_for(
        self, invoice: Invoice, sent: dict[str, Any], customer: Customer, on: date, currency: str
    ) -> list[InvoiceRow]:
        """The rows after a write: by RowId, by position, or as they were when none are sent."""
        if "InvoiceRows" not in sent:
            return invoice.rows
        sent_rows = [] if sent["InvoiceRows"] is BLANK else sent["InvoiceRows"]
        if len(sent_rows) > _MOST_ROWS:
            raise ApiError(TOO_MANY_ROWS, f"En faktura får ha högst {_MOST_ROWS} rader.")
        by_id = {old.row_id: old for old in invoice.rows}
        named = any("RowId" in item for item in sent_rows)
        result = []
        for position, item in enumerate(sent_rows):
            if named:
                old = by_id.get(item.get("RowId"))
                if "RowId" in item and old is None:
                    raise ApiError(2002649, f"Felaktig datastruktur. (RowId {item['RowId']})")
            else:
                old = invoice.rows[position] if position < len(invoice.rows) else None
            result.append(self._row(item, old, customer, invoice, on))
        return result

    def _row(
        self, item: dict[str, Any], old: InvoiceRow | None, customer: Customer, invoice: Invoice, on: date
    ) -> InvoiceRow:
        def pick(name: str, kept: Any, blank: Any) -> Any:
            value = item.get(name)
            if value is BLANK:
                return blank
            return kept if value is None else value

        article_number = pick("ArticleNumber", old.article if old else "", "")
        article = self.articles.get(article_number) if article_number else None
        if article_number and article is None:
            raise ApiError(2001302, f"Kunde inte hitta artikel ({article_number})")
        vat_sent = item.get("VAT") if item.get("VAT") is not BLANK else None
        account = pick("AccountNumber", old.account if old else None, None)
        if "AccountNumber" in item and account is not None:
            self._need_row_account(account, on)
        if self.settings.easy_vat and vat_sent not in (None, 0, 6, 12, 25) and account is None:
            raise ApiError(2004167, "Konto måste anges för egen momssats.")
        text_row = item.get("AccountNumber") is BLANK
        if account is None and not text_row and old is None:
            account = self._sales_account(customer, article, vat_sent)
        if vat_sent is not None:
            vat = vat_sent
        elif old is not None:
            vat = old.vat
        elif article is not None:
            vat = int(article.get("VAT") or 0)
        else:
            vat = self._vat_of_account(account, on)
        if self.switches.vat_type_forces_zero and customer.vat_type in _NO_VAT_TYPES:
            vat = 0
        if vat != 0 and vat not in self.vat_rates:
            raise ApiError(VAT_UNKNOWN, f"Kunde inte hämta/hitta moms ({vat})")
        discount = customer.values.get("InvoiceDiscount", ZERO) if old is None else old.discount
        self._next_row += 1
        return InvoiceRow(
            self._next_row - 1,
            account,
            article_number,
            pick("Description", old.description if old else (article or {}).get("Description", ""), ""),
            pick("DeliveredQuantity", old.quantity if old else ZERO, ZERO),
            pick("Price", old.price if old else ZERO, ZERO),
            vat,
            pick("VATCode", old.vat_code if old else None, None),
            pick("Discount", discount, ZERO),
            pick("DiscountType", old.discount_type if old else "PERCENT", "PERCENT"),
            pick("Unit", old.unit if old else (article or {}).get("Unit", ""), ""),
            pick("CostCenter", old.cost_center if old else invoice.text("CostCenter"), ""),
            pick("Project", old.project if old else invoice.text("Project"), ""),
        )

    def _need_row_account(self, number: int, on: date) -> None:
        year = self.year_of(on) or self.selected_year()
        if number not in self.accounts[year.id]:
            raise ApiError(2001304, f"Kunde inte hitta konto ({number})")

    def _sales_account(self, customer: Customer, article: dict[str, Any] | None, vat: int | None) -> int:
        match customer.vat_type:
            case "SEREVERSEDVAT":
                return self.predefined_account("SALESCONSTR2")
            case "EUREVERSEDVAT":
                return self.predefined_account("SALESEUREV")
            case "EUVAT":
                return self.predefined_account("SALESEUVAT")
            case "EXPORT":
                return self.predefined_account("SALESEXPORT")
        if article is not None:
            return int(article.get("SalesAccount") or self.predefined_account("SALES"))
        if customer.values.get("SalesAccount"):
            return int(customer.values["SalesAccount"])
        return {12: 3002, 6: 3003, 0: 3004}.get(25 if vat is None else vat, self.predefined_account("SALES"))

    def _vat_of_account(self, number: int | None, on: date) -> int:
        year = self.year_of(on) or self.selected_year()
        account = self.accounts[year.id].get(number) if number is not None else None
        return {"MP1": 25, "MP2": 12, "MP3": 6}.get(account.vat_code if account else "", 0)

    def compute(self, invoice: Invoice) -> None:
        """Row totals, VAT, rounding and total of an invoice, in its currency, two decimals each."""
        vat_by_rate: dict[int, Decimal] = {}
        row_vat = ZERO
        for line in invoice.rows:
            undiscounted = line.quantity * line.price
            if line.discount_type == "PERCENT":
                line.total = cents(undiscounted * (HUNDRED - line.discount) / HUNDRED)
            else:
                line.total = cents(undiscounted - line.discount)
            if invoice.vat_included:
                factor = HUNDRED / (HUNDRED + line.vat)
                line.total_excluding_vat = cents(line.total * factor)
                line.price_excluding_vat = cents(line.price * factor)
                line.gross_excluding_vat = cents(undiscounted * factor)
                row_vat += line.total - line.total_excluding_vat
            else:
                line.total_excluding_vat, line.price_excluding_vat = line.total, line.price
                line.gross_excluding_vat = cents(undiscounted)
                row_vat += cents(line.total * line.vat / HUNDRED)
                vat_by_rate[line.vat] = vat_by_rate.get(line.vat, ZERO) + line.total * line.vat / HUNDRED
        if self.switches.vat_rounding == "rate" and not invoice.vat_included:
            row_vat = sum((cents(amount) for amount in vat_by_rate.values()), ZERO)
        extra_rate = self._extra_vat(invoice)
        invoice.freight_vat = cents(invoice.freight * extra_rate / HUNDRED)
        invoice.administration_fee_vat = cents(invoice.administration_fee * extra_rate / HUNDRED)
        invoice.gross = sum((line.gross_excluding_vat for line in invoice.rows), ZERO)
        invoice.net = sum((line.total_excluding_vat for line in invoice.rows), ZERO)
        invoice.total_vat = row_vat + invoice.freight_vat + invoice.administration_fee_vat
        exact = invoice.net + invoice.freight + invoice.administration_fee + invoice.total_vat
        rounds = self.settings.rounds_to_whole_krona and invoice.currency == "SEK"
        invoice.total = whole(exact) if rounds else exact
        invoice.round_off = invoice.total - exact
        invoice.balance = invoice.total

    def _extra_vat(self, invoice: Invoice) -> int:
        """VAT percentage on freight and invoice fee."""
        return 0 if self.customers[invoice.customer_number].vat_type in _NO_VAT_TYPES else 25

    # -- invoices: booking ------

    def _output_vat_account(self, line: InvoiceRow, year: FinancialYear) -> int:
        account = self.accounts[year.id].get(line.account) if line.account is not None else None
        if line.vat_code == "OSS" or (account is not None and account.vat_code == "OSS"):
            known = self.vat_rates.get(line.vat)
            return known.account if known is not None and known.account >= 2670 else 2670
        return self.vat_rates[line.vat].account

    def posting_of(self, invoice: Invoice, year: FinancialYear) -> Posting:
        """The voucher rows that book an invoice: claim, sales, output VAT, rounding; they balance to the öre."""
        sums: dict[tuple[int, str, str], Decimal] = {}

        def add(account: int, amount: Decimal, cost_center: str = "", project: str = "") -> None:
            key = account, cost_center, project
            sums[key] = sums.get(key, ZERO) + amount

        vat: dict[int, Decimal] = {}
        rate_vat: dict[tuple[int, int], Decimal] = {}
        for line in invoice.rows:
            if line.total == 0 and line.total_excluding_vat == 0:
                continue
            if line.account is None:
                raise ApiError(2001304, "Kunde inte hitta konto")
            add(line.account, line.total_excluding_vat, line.cost_center, line.project)
            if line.vat:
                account = self._output_vat_account(line, year)
                if invoice.vat_included:
                    vat[account] = vat.get(account, ZERO) + line.total - line.total_excluding_vat
                elif self.switches.vat_rounding == "rate":
                    key = account, line.vat
                    rate_vat[key] = rate_vat.get(key, ZERO) + line.total * line.vat / HUNDRED
                else:
                    vat[account] = vat.get(account, ZERO) + cents(line.total * line.vat / HUNDRED)
        for (account, _), amount in rate_vat.items():
            vat[account] = vat.get(account, ZERO) + cents(amount)
        for amount, amount_vat, name, purpose in (
            (invoice.freight, invoice.freight_vat, "FREIGHT", "frakt"),
            (invoice.administration_fee, invoice.administration_fee_vat, "ADMFEE", "fakturaavgift"),
        ):
            if amount:
                if name not in self.predefined_accounts:
                    raise ApiError(
                        PREDEFINED_MISSING,
                        f"Kunde inte bokföra fakturanummer {invoice.number}. Förvalt konto för {purpose} saknas",
                    )
                add(self.predefined_accounts[name], amount)
                if amount_vat:
                    vat[2611] = vat.get(2611, ZERO) + amount_vat
        for account, amount in vat.items():
            add(account, amount)

        prefix = f"Kunde inte bokföra fakturanummer {invoice.number}. "
        claim = invoice.in_sek(invoice.total)
        lines = [row(self.predefined_account("CUSTCLAIM", prefix), claim)]
        posted = ZERO
        for (account, cost_center, project), amount in sums.items():
            in_sek = invoice.in_sek(amount)
            posted += in_sek
            lines.append(row(account, -in_sek, "", cost_center, project))
        # Whole-krona rounding, and the öre that conversion row by row leaves over.
        if claim != posted:
            lines.append(row(self.predefined_account("ROUNDOFF", prefix), posted - claim))
        return [line for line in lines if line.amount]

    def bookkeep_invoice(self, invoice: Invoice, *, by_person: bool = False) -> None:
        """Book an invoice (accrual method): frozen from now on, its voucher in the series for invoices."""
        if invoice.accounting_method == "CASH":
            raise ApiError(CASH_METHOD_INVOICE, "Fakturor bokförs inte med kontantmetoden.")
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Makulerade fakturor kan inte bokföras.")
        if invoice.booked:
            raise ApiError(INVOICE_ALREADY_BOOKED, "Fakturan är redan bokförd.")
        if invoice.not_completed:
            raise ApiError(INVOICE_NOT_COMPLETED, "Fakturan är inte klar.")
        if not invoice.warehouse_ready:
            raise ApiError(2003498, "Faktura som bokförs måste var klarmarkerad")
        self.need_open(invoice.invoice_date, 2002141)
        year = self.need_year(invoice.invoice_date)
        series = self.predefined_series.get("INVOICE")
        if not series:
            message = f"Kunde inte bokföra fakturanummer {invoice.number}. Förvald verifikationsserie saknas"
            raise ApiError(PREDEFINED_MISSING, message)
        lines = self.posting_of(invoice, year)
        self.need_usable(lines, year, missing=2001304)
        voucher = self.post(
            series,
            invoice.invoice_date,
            f"Kundfaktura {invoice.number}, {invoice.text('CustomerName')}"[:200],
            lines,
            reference_type="INVOICE",
            reference_number=str(invoice.number),
            by_person=by_person,
        )
        invoice.booked = True
        invoice.voucher = voucher.key
        invoice.open_in_sek = invoice.in_sek(invoice.total)
        invoice.modified_at = self.now()
        if invoice.total == 0:
            invoice.final_pay_date = invoice.invoice_date

    def cancel_invoice(self, invoice: Invoice) -> None:
        """Cancel an invoice that is not booked (accrual) or neither sent nor paid (cash); its number stays used."""
        paid = any(p.booked and p.invoice_number == invoice.number for p in self.payments.values())
        if invoice.booked or (invoice.accounting_method == "CASH" and (invoice.sent or paid)):
            raise ApiError(INVOICE_CANNOT_BE_CANCELLED, "Fakturan kan inte makuleras.")
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Fakturan är redan makulerad.")
        invoice.cancelled = True
        invoice.balance = ZERO
        if self.switches.cancelled_total_is_zero:
            invoice.total = ZERO
        invoice.modified_at = self.now()

    def credit_invoice(self, invoice: Invoice, *, by_person: bool = False) -> Invoice:
        """Make the one linked credit invoice, unbooked, dated today; original and credit name each other."""
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Makulerade fakturor kan inte krediteras.")
        if invoice.accounting_method == "ACCRUAL" and not invoice.booked:
            raise ApiError(INVOICE_CANNOT_BE_CREDITED, "Endast bokförda fakturor kan krediteras.")
        if invoice.credit_reference:
            raise ApiError(INVOICE_ALREADY_CREDITED, "Fakturan är redan krediterad.")
        if self.switches.credit_of_partly_paid_refused and invoice.balance not in (ZERO, invoice.total):
            raise ApiError(INVOICE_CANNOT_BE_CREDITED, "Delbetalda fakturor kan inte krediteras.")
        while self._next_invoice in self.invoices:
            self._next_invoice += 1
        now, today = self.now(), self.today()
        number = self._next_invoice
        self._next_invoice += 1
        credit = Invoice(
            number,
            invoice.customer_number,
            {**invoice.values, "OCR": ocr_number(number)},
            today,
            today,
            invoice.currency,
            invoice.rate,
            invoice.unit,
            invoice.accounting_method,
            now,
            now,
            vat_included=invoice.vat_included,
            freight=-invoice.freight,
            administration_fee=-invoice.administration_fee,
            credit=True,
            credit_reference=invoice.number,
            by_person=by_person,
        )
        credit.values.pop("OutboundDate", None)
        for line in invoice.rows:
            credit.rows.append(
                InvoiceRow(
                    self._next_row,
                    line.account,
                    line.article,
                    line.description,
                    -line.quantity,
                    line.price,
                    line.vat,
                    line.vat_code,
                    line.discount if line.discount_type == "PERCENT" else -line.discount,
                    line.discount_type,
                    line.unit,
                    line.cost_center,
                    line.project,
                )
            )
            self._next_row += 1
        self.compute(credit)
        self.invoices[number] = credit
        invoice.credit_reference = number
        invoice.modified_at = now
        return credit

    # -- payments ------

    def create_payment(self, sent: dict[str, Any], *, by_person: bool = False) -> Payment:
        """A preliminary payment. Raises ApiError."""
        if _value(sent, "InvoiceNumber") is None:
            raise ApiError(FIELD_MISSING, "Fakturanummer måste anges.")
        invoice = self.invoices.get(sent["InvoiceNumber"])
        if invoice is None:
            raise ApiError(2000434, "Kan inte hitta fakturan.")
        now = self.now()
        payment = Payment(
            self._next_payment,
            invoice.number,
            ZERO,
            ZERO,
            invoice.currency,
            ONE,
            1,
            self.today(),
            "",
            None,
            (),
            now,
            now,
            by_person=by_person,
        )
        self._fill_payment(payment, invoice, sent)
        self._next_payment += 1
        self.payments[payment.number] = payment
        return payment

    def update_payment(self, payment: Payment, sent: dict[str, Any]) -> None:
        """Change a preliminary payment."""
        if payment.booked:
            raise ApiError(PAYMENT_IS_BOOKED, "Bokförda betalningar kan inte ändras.")
        if sent.get("InvoiceNumber", payment.invoice_number) != payment.invoice_number:
            raise ApiError(PAYMENT_AMOUNTS_DISAGREE, "Betalningen hör till en annan faktura.")
        old = {"Amount": payment.amount, "AmountCurrency": payment.amount_currency}
        if payment.currency != "SEK":
            old["CurrencyRate"] = payment.rate
        if {"Amount", "AmountCurrency", "CurrencyRate"} & sent.keys():
            old = {}
        self._fill_payment(payment, self.invoices[payment.invoice_number], {**old, **sent})
        payment.modified_at = self.now()

    def delete_payment(self, payment: Payment) -> None:
        """Take a preliminary payment away."""
        if payment.booked:
            raise ApiError(PAYMENT_IS_BOOKED, "Bokförda betalningar kan inte tas bort.")
        del self.payments[payment.number]

    def _fill_payment(self, payment: Payment, invoice: Invoice, sent: dict[str, Any]) -> None:
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Makulerade fakturor kan inte betalas.")
        if invoice.accounting_method == "ACCRUAL" and not invoice.booked:
            raise ApiError(PAYMENT_ON_UNBOOKED_INVOICE, "Fakturan är inte bokförd.")
        if invoice.balance == 0 and not _opposite(_value(sent, "Amount"), invoice):
            raise ApiError(2003055, "Fakturan är redan slutbetald.")
        on = _value(sent, "PaymentDate") or payment.date
        if on < invoice.invoice_date:
            raise ApiError(2001089, "Betalningsdatum kan inte vara före fakturadatum.")
        self.need_open(on)
        self._need_payment_year(invoice, on)
        mode = _value(sent, "ModeOfPayment") or payment.mode
        if mode and mode not in self.modes:
            raise ApiError(MODE_OF_PAYMENT_UNKNOWN, f"Kan inte hitta betalningssättet. ({mode})")
        account = _value(sent, "ModeOfPaymentAccount") or payment.account
        if account is None and mode:
            account = self.modes[mode].account
        year = self.year_of(on) or self.selected_year()
        if account is not None and account not in self.accounts[year.id]:
            raise ApiError(2000423, f"Kan inte hitta kontot. ({account})")
        write_offs = payment.write_offs
        if "WriteOffs" in sent:
            items = [] if sent["WriteOffs"] is BLANK else sent["WriteOffs"]
            write_offs = tuple(self._write_off(item, year) for item in items)
        amount, amount_currency, rate, unit = self._payment_amounts(invoice, on, sent)
        if amount == 0 and amount_currency == 0 and not any(w.amount for w in write_offs):
            raise ApiError(PAYMENT_OF_NOTHING, "Belopp måste anges.")
        payment.date, payment.mode, payment.account, payment.write_offs = on, mode, account, write_offs
        payment.amount, payment.amount_currency, payment.rate, payment.unit = amount, amount_currency, rate, unit
        if self.switches.overpayment == "refused_at_create":
            self._need_not_above(payment, invoice)

    def _write_off(self, item: dict[str, Any], year: FinancialYear) -> WriteOff:
        account = _value(item, "AccountNumber")
        if account is None or account not in self.accounts[year.id]:
            raise ApiError(2001304, f"Kunde inte hitta konto ({account})")
        return WriteOff(
            account,
            _value(item, "Amount") or ZERO,
            _value(item, "Description") or "",
            _value(item, "TransactionInformation") or "",
            _value(item, "CostCenter") or "",
            _value(item, "Project") or "",
        )

    def _need_payment_year(self, invoice: Invoice, on: date) -> None:
        year = self.year_of(on)
        own_year = self.year_of(invoice.invoice_date)
        carried = self.settings.opening_balances_carried
        if year is None or (own_year is not None and year.id != own_year.id and not carried):
            message = "Betalningsdatum måste vara inom fakturans räkenskapsår eller så måste fakturan årsomföras."
            raise ApiError(OUTSIDE_INVOICE_YEAR, message)

    def _payment_amounts(
        self, invoice: Invoice, on: date, sent: dict[str, Any]
    ) -> tuple[Decimal, Decimal, Decimal, int]:
        """SEK, invoice currency, rate and unit of a payment from what was sent of them."""
        amount, amount_currency = _value(sent, "Amount"), _value(sent, "AmountCurrency")
        if invoice.currency == "SEK":
            if amount is not None and amount_currency is not None and amount != amount_currency:
                raise ApiError(PAYMENT_AMOUNTS_DISAGREE, "Beloppen stämmer inte överens.")
            value = amount if amount is not None else amount_currency
            return (value or ZERO), (value or ZERO), ONE, 1
        unit = invoice.unit
        rate = _value(sent, "CurrencyRate")
        if rate is not None and self.switches.rate_decimals is not None:
            rate = rate.quantize(Decimal(1).scaleb(-self.switches.rate_decimals))
        if rate is None:
            if amount and amount_currency:
                rate = (amount * unit / amount_currency).quantize(Decimal("0.000001"))
            else:
                rate, unit = self.rate_and_unit(invoice.currency, on)
        if amount_currency is None:
            amount_currency = cents((amount or ZERO) * unit / rate)
        elif amount is None or (not self.switches.payment_amount_wins and "CurrencyRate" in sent):
            amount = cents(amount_currency * rate / unit)
        return (amount or ZERO), amount_currency, rate, unit

    def reduction_of(self, payment: Payment, invoice: Invoice) -> Decimal:
        """By how much a payment with its write-offs lowers the balance, in the invoice's currency."""
        written_off = sum((w.amount for w in payment.write_offs), ZERO)
        if invoice.currency != "SEK":
            written_off = cents(written_off * invoice.unit / invoice.rate)
        return payment.amount_currency + written_off

    def _need_not_above(self, payment: Payment, invoice: Invoice) -> None:
        reduction = self.reduction_of(payment, invoice)
        paid = invoice.total - invoice.balance
        if reduction * paid < 0 and abs(reduction) <= abs(paid):
            return  # an opposite payment takes back what was paid: so a booked payment is undone
        wrong_way = reduction * invoice.balance < 0
        if wrong_way or abs(reduction) > abs(invoice.balance):
            raise ApiError(PAYMENT_ABOVE_BALANCE, "Beloppet är större än fakturans saldo.")

    def bookkeep_payment(self, payment: Payment, *, by_person: bool = False) -> None:
        """Book a payment: account, write-offs, claim, exchange difference; the invoice's balance goes down."""
        if payment.booked:
            raise ApiError(PAYMENT_IS_BOOKED, "Betalningen är redan bokförd.")
        invoice = self.invoices[payment.invoice_number]
        if invoice.cancelled:
            raise ApiError(INVOICE_IS_CANCELLED, "Makulerade fakturor kan inte betalas.")
        if invoice.balance == 0 and not _opposite(payment.amount, invoice):
            raise ApiError(2003055, "Fakturan är redan slutbetald.")
        if payment.account is None:
            raise ApiError(PAYMENT_WITHOUT_ACCOUNT, "Betalningssätt eller konto måste anges.")
        self.need_open(payment.date)
        self._need_payment_year(invoice, payment.date)
        if self.switches.overpayment != "allowed":
            self._need_not_above(payment, invoice)
        series = self.predefined_series.get("INVOICEPAYMENT")
        if not series:
            raise ApiError(PREDEFINED_MISSING, "Förvald verifikationsserie för inbetalningar saknas")
        year = self.need_year(payment.date)
        reduction = self.reduction_of(payment, invoice)
        lines = [row(payment.account, payment.amount)]
        lines += [row(w.account, w.amount, w.text, w.cost_center, w.project) for w in payment.write_offs]
        if invoice.accounting_method == "CASH":
            relief_lines = self._cash_relief(invoice, reduction, payment.date)
        else:
            closes = reduction == invoice.balance
            relief = invoice.open_in_sek if closes else invoice.in_sek(reduction)
            relief_lines = [row(self.predefined_account("CUSTCLAIM"), -relief)]
        lines += relief_lines
        difference = sum((line.amount for line in lines), ZERO)
        if difference:
            name = "CURRENCYWIN" if difference > 0 else "CURRENCYLOSS"
            lines.append(row(self.predefined_account(name), -difference))
        lines = [line for line in lines if line.amount]
        self.need_usable(lines, year)
        voucher = self.post(
            series,
            payment.date,
            f"Inbetalning {payment.number}, faktura {invoice.number}",
            lines,
            reference_type="INVOICEPAYMENT",
            reference_number=str(payment.number),
            by_person=by_person,
        )
        payment.booked, payment.voucher, payment.modified_at = True, voucher.key, self.now()
        if invoice.accounting_method == "CASH":
            for line in relief_lines:
                key = line.account, line.cost_center, line.project
                invoice.cash_posted[key] = invoice.cash_posted.get(key, ZERO) + line.amount
        else:
            invoice.open_in_sek += relief_lines[0].amount
        invoice.balance -= reduction
        invoice.modified_at = self.now()
        if invoice.balance * invoice.total <= 0:
            invoice.final_pay_date = payment.date

    def _cash_relief(self, invoice: Invoice, reduction: Decimal, on: date) -> Posting:
        """Cash method: the share of sales and VAT that this payment realises, the last one taking what is left."""
        full = self.posting_of(invoice, self.need_year(on))[1:]
        share = (invoice.total - invoice.balance + reduction) / invoice.total
        lines = []
        for line in full:
            key = line.account, line.cost_center, line.project
            due = cents(line.amount * share) - invoice.cash_posted.get(key, ZERO)
            lines.append(row(line.account, due, line.text, line.cost_center, line.project))
        return lines

    # -- checks ------

    def check(self) -> None:
        """Raise BooksBroken if the books contradict themselves or the open invoices disagree with 1510."""
        super().check()
        paid: dict[int, Decimal] = {}
        for payment in self.payments.values():
            if payment.booked:
                invoice = self.invoices[payment.invoice_number]
                paid[invoice.number] = paid.get(invoice.number, ZERO) + self.reduction_of(payment, invoice)
        open_in_sek = ZERO
        for invoice in self.invoices.values():
            open_in_sek += invoice.open_in_sek
            if invoice.cancelled:
                continue
            if invoice.balance != invoice.total - paid.get(invoice.number, ZERO):
                raise BooksBroken(f"balance of invoice {invoice.number} is not its total less its payments")
            if invoice.booked and invoice.balance == 0 and invoice.open_in_sek != 0:
                raise BooksBroken(f"invoice {invoice.number} is paid, yet {invoice.open_in_sek} SEK stand open")
        ledger = self.balance(self.predefined_accounts.get("CUSTCLAIM", 1510))
        if ledger != open_in_sek:
            raise BooksBroken(f"open invoices are {open_in_sek} SEK, the customer-ledger account says {ledger}")


def _opposite(amount: Any, invoice: Invoice) -> bool:
    """Whether a payment takes back what was paid: of the other sign than the invoice."""
    return isinstance(amount, Decimal) and amount * invoice.total < 0


def _value(sent: dict[str, Any], name: str) -> Any:
    """A sent value; None when it was not sent or is to be cleared."""
    value = sent.get(name)
    return None if value is BLANK else value


def _days(terms: str) -> int:
    return int(terms) if terms.isdigit() else 0
