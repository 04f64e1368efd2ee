"""The old host under /rest: its resources and how it shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask import Flask, request

from addon.sandbox.economic import chart, errors, fields
from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.books import (
    CUSTOMER_PAYMENT,
    FINANCE_VOUCHER,
    HUNDRED,
    MANUAL_INVOICE,
    Account,
    Entry,
    Period,
    Year,
)
from addon.sandbox.economic.errors import legacy_error
from addon.sandbox.economic.fields import Errors, number_of
from addon.sandbox.economic.frame import Frame, Reply, Row, key_from_url
from addon.sandbox.economic.journals import DraftEntry, Journal
from addon.sandbox.economic.sales import Customer, Invoice, Product, Terms
from addon.sandbox.economic.wire import ZERO
from addon.sandbox.economic.world import EconomicWorld

BOOKKEEPING = "SuperUser Bookkeeping"
SALES = "SuperUser Sales"
ANYONE = ""
INVOICE_FILTER = (
    "bookedInvoiceNumber date currency exchangeRate customer.customerNumber paymentTerms.paymentTermsNumber"
    " recipient.name recipient.address recipient.zip recipient.city recipient.country recipient.ean"
    " recipient.vatZone.vatZoneNumber delivery.address delivery.zip delivery.city delivery.country"
    " notes.heading notes.textLine1 notes.textLine2 references.other"
)
DRAFT_FILTER = INVOICE_FILTER.replace("bookedInvoiceNumber", "draftInvoiceNumber")
CUSTOMER_FILTER = (
    "customerNumber name email currency zip city address country ean vatNumber corporateIdentificationNumber"
    " mobilePhone lastUpdated barred pNumber"
)
ENTRY_NAMES = {
    1: "customerInvoice",
    2: "customerPayment",
    3: "supplierInvoice",
    4: "supplierPayment",
    5: "financeVoucher",
    9: "systemEntry",
    10: "manualDebtorInvoice",
}
_KINDS_OF_ENTRY = {
    "financeVouchers": ("financeVoucher", FINANCE_VOUCHER),
    "customerPayments": ("customerPayment", CUSTOMER_PAYMENT),
    "manualCustomerInvoices": ("manualCustomerInvoice", MANUAL_INVOICE),
}
_LATE_NAMES = {
    "accountNumber": "account",
    "contraAccountNumber": "contraAccount",
    "customerNumber": "customer",
    "customerInvoiceNumber": "customerInvoice",
}


def register_legacy(app: Flask, world: EconomicWorld) -> None:
    """Put the old host into the app."""
    host = _Legacy(world)
    host.routes()
    for rule in ("/rest/", "/rest/<path:rest>"):
        app.add_url_rule(rule, "legacy", host.dispatch, methods=["GET", "POST", "PUT", "DELETE"])


class _Legacy(Frame):
    def __init__(self, world: EconomicWorld) -> None:
        super().__init__(world, legacy=True)

    def routes(self) -> None:
        """All resources."""
        self.route("GET", "/rest/self", ANYONE, self.show_self)
        self._ledger_routes()
        self._register_routes()
        self._invoice_routes()
        self._journal_routes()

    # -- who and what ------

    def show_self(self, agreement: EconomicAgreement) -> Reply:
        """The agreement, its company, the granting user and the app."""
        url = self.url()
        number, name, culture = (1, "Danish", "da-DK") if agreement.language == "da" else (2, "English", "en-GB")
        body = {
            "agreementNumber": agreement.number,
            "agreementType": {"agreementTypeNumber": 1, "name": "denmark"},
            "userName": "ADMIN",
            "signupDate": "2016-02-17",
            "user": {
                "loginId": "ADMIN",
                "email": agreement.email,
                "name": "Bogholder",
                "language": {
                    "languageNumber": number,
                    "name": name,
                    "culture": culture,
                    "self": f"{url}/languages/{number}",
                },
                "agreementNumber": agreement.number,
            },
            "company": {
                "name": agreement.name,
                "addressLine1": "Eksempelvej 1",
                "zip": "1000",
                "city": "København",
                "country": "Danmark",
                "email": agreement.email,
                "companyIdentificationNumber": agreement.cvr,
                "vatNumber": agreement.cvr,
            },
            "application": {
                "appNumber": 3162,
                "name": self.world.app_name,
                "appPublicToken": self.world.app_public,
                "created": "2026-01-01",
                "requiredRoles": [{"roleNumber": chart.ROLES[self.world.role], "name": self.world.role}],
                "self": f"{url}/apps/3162",
            },
            "settings": {"baseCurrency": agreement.base_currency},
            "companyAffiliation": "e-conomic",
            "canSendElectronicInvoice": True,
            "modules": [
                {"moduleNumber": module, "name": title, "self": f"{url}/modules/agreement/{module}"}
                for module, title in chart.MODULES
                if module in agreement.modules
            ],
            "self": f"{url}/self",
        }
        return Reply(body)

    def _list(
        self,
        path: str,
        roles: str,
        rows: Callable[[EconomicAgreement], list[Row]],
        *,
        key: str = "",
        allowed: str = "",
    ) -> None:
        """A list, and its members by key."""
        self.route("GET", f"/rest/{path}", roles, lambda agreement: self.collection(rows(agreement), allowed))
        if key:

            def one(agreement: EconomicAgreement, number: str) -> Reply:
                wanted = key_from_url(number).lower()
                for row in rows(agreement):
                    if str(row[key]).lower() == wanted:
                        return Reply(self.trimmed(row))
                raise self.not_found()

            self.route("GET", f"/rest/{path}/<number>", roles, one)

    # -- ledger ------

    def _ledger_routes(self) -> None:
        everyone = "SuperUser Bookkeeping Sales"
        self._list(
            "accounts",
            BOOKKEEPING,
            lambda agreement: [self._account(agreement, a) for _, a in sorted(agreement.accounts.items())],
            key="accountNumber",
            allowed="accountNumber accountType name debitCredit barred blockDirectEntries balance",
        )
        self._list(
            "accounting-years",
            BOOKKEEPING,
            lambda agreement: [self._year(year) for year in agreement.years.values()],
            key="year",
            allowed="year fromDate toDate",
        )
        self.route("POST", "/rest/accounting-years", BOOKKEEPING, self.add_year)
        self.route("GET", "/rest/accounting-years/<year>/periods", BOOKKEEPING, self.list_periods)
        self.route("GET", "/rest/accounting-years/<year>/entries", BOOKKEEPING, self.list_entries)
        self._list("vat-zones", everyone, self._zones, key="vatZoneNumber")
        self._list("vat-accounts", BOOKKEEPING, self._vat_accounts, key="vatCode")
        self._list("vat-types", BOOKKEEPING, self._vat_types, key="vatTypeNumber")
        self._list("currencies", everyone, self._currencies, key="code")

    def _account(self, agreement: EconomicAgreement, account: Account) -> Row:
        url = f"{self.url()}/accounts/{account.number}"
        return {
            "accountNumber": account.number,
            "accountType": account.kind,
            "balance": agreement.balance(account.number) if account.kind in ("status", "profitAndLoss") else ZERO,
            "barred": account.barred or None,
            "blockDirectEntries": account.blocked,
            "debitCredit": account.side,
            "name": account.name,
            "vatAccount": self._vat_link(account.vat_code),
            "accountingYears": f"{url}/accounting-years",
            "self": url,
        }

    def _vat_link(self, code: str) -> Row | None:
        return {"vatCode": code, "self": f"{self.url()}/vat-accounts/{code}"} if code else None

    def _year(self, year: Year) -> Row:
        url = f"{self.url()}/accounting-years/{year.name.replace('/', '_6_')}"
        return {
            "fromDate": year.from_date,
            "toDate": year.to_date,
            "closed": year.closed or None,
            "year": year.name,
            "periods": f"{url}/periods",
            "entries": f"{url}/entries",
            "totals": f"{url}/totals",
            "vouchers": f"{url}/vouchers",
            "self": url,
        }

    def add_year(self, agreement: EconomicAgreement) -> Reply:
        """Open a year next to those there are."""
        found = Errors()
        sent = self.sent(fields.YEAR, found)
        found.stop()
        if agreement.year_of(sent["fromDate"]) or agreement.year_of(sent["toDate"]):
            found.say(("fromDate",), "The year overlaps another one.", "E04041")
        found.stop()
        return Reply(self.trimmed(self._year(agreement.add_year(sent["fromDate"], sent["toDate"]))), 201)

    def _need_year(self, agreement: EconomicAgreement, text: str) -> str:
        name = key_from_url(text)
        if name not in agreement.years:
            raise self.not_found()
        return name

    def list_periods(self, agreement: EconomicAgreement, year: str) -> Reply:
        """Months of a year; that one is barred does not show here."""
        name = self._need_year(agreement, year)
        rows = [self._period(period) for period in agreement.periods if period.year == name]
        return self.collection(rows, "periodNumber fromDate toDate")

    def _period(self, period: Period) -> Row:
        year = f"{self.url()}/accounting-years/{period.year.replace('/', '_6_')}"
        return {
            "periodNumber": period.number,
            "accountingYear": {"year": period.year, "self": year},
            "fromDate": period.from_date,
            "toDate": period.to_date,
            "closed": period.closed or None,
            "self": f"{year}/periods/{period.number}",
        }

    def list_entries(self, agreement: EconomicAgreement, year: str) -> Reply:
        """Booked entries of a year."""
        name = self._need_year(agreement, year)
        rows = [self._entry(agreement, entry) for entry in agreement.visible_entries() if entry.year == name]
        allowed = "date dueDate entryNumber text entryType voucherNumber amount amountInBaseCurrency currency remainder"
        return self.collection(rows, f"{allowed} account.accountNumber customer.customerNumber")

    def _entry(self, agreement: EconomicAgreement, entry: Entry) -> Row:
        url = self.url()
        customer, invoice = entry.customer, entry.invoice
        remainder = None if entry.remainder is None else agreement.seen_amount(entry, entry.remainder)
        return {
            "account": {"accountNumber": entry.account, "self": f"{url}/accounts/{entry.account}"},
            "amount": agreement.seen_amount(entry, entry.amount),
            "amountInBaseCurrency": agreement.seen_amount(entry, entry.base),
            "currency": entry.currency,
            "date": entry.date,
            "dueDate": entry.due_date,
            "entryNumber": entry.number,
            "text": entry.text,
            "entryType": ENTRY_NAMES[entry.type],
            "vatAccount": self._vat_link(entry.vat_code),
            "customer": {"customerNumber": customer, "self": f"{url}/customers/{customer}"} if customer else None,
            "voucherNumber": entry.voucher,
            "bookedInvoice": (
                {"bookedInvoiceNumber": invoice, "self": f"{url}/invoices/booked/{invoice}"}
                if invoice in agreement.booked
                else None
            ),
            "invoiceNumber": str(invoice) if invoice else None,
            "remainder": remainder,
            "self": f"{url}/accounting-years/{entry.year.replace('/', '_6_')}/entries/{entry.number}",
        }

    def _zones(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {
                "name": name,
                "vatZoneNumber": number,
                "enabledForCustomer": number not in agreement.closed_zones,
                "enabledForSupplier": suppliers,
                "self": f"{self.url()}/vat-zones/{number}",
            }
            for number, (name, suppliers) in agreement.zones.items()
        ]

    def _vat_accounts(self, agreement: EconomicAgreement) -> list[Row]:
        url, types = self.url(), dict(chart.VAT_TYPES)
        return [
            {
                "vatCode": vat.code,
                "name": vat.name,
                "ratePercentage": vat.rate,
                "account": {"accountNumber": vat.account, "self": f"{url}/accounts/{vat.account}"},
                "contraAccount": (
                    {"accountNumber": vat.contra_account, "self": f"{url}/accounts/{vat.contra_account}"}
                    if vat.contra_account
                    else None
                ),
                "vatType": {
                    "vatTypeNumber": vat.vat_type,
                    "name": types[vat.vat_type],
                    "self": f"{url}/vat-types/{vat.vat_type}",
                },
                "barred": False,
                "self": f"{url}/vat-accounts/{vat.code}",
            }
            for vat in agreement.vat_codes.values()
        ]

    def _vat_types(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {"vatTypeNumber": number, "name": name, "self": f"{self.url()}/vat-types/{number}"}
            for number, name in chart.VAT_TYPES
        ]

    def _currencies(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {"code": code, "name": name, "isoNumber": iso, "self": f"{self.url()}/currencies/{code}"}
            for code, (name, iso) in agreement.currencies.items()
        ]

    # -- registers ------

    def _register_routes(self) -> None:
        self._list("customers", SALES, self._customers, key="customerNumber", allowed=CUSTOMER_FILTER)
        self.route("POST", "/rest/customers", SALES, self.add_customer)
        self.route("PUT", "/rest/customers/<int:number>", SALES, self.replace_customer)
        self._list(
            "customer-groups",
            SALES,
            lambda agreement: [self._customer_group(agreement, n) for n in agreement.customer_groups],
            key="customerGroupNumber",
            allowed="customerGroupNumber name",
        )
        self.route("POST", "/rest/customer-groups", SALES, self.add_customer_group)
        self._list(
            "products",
            SALES,
            lambda agreement: [self._product(agreement, product) for product in agreement.products.values()],
            key="productNumber",
            allowed="productNumber name description barCode salesPrice costPrice lastUpdated",
        )
        self.route("POST", "/rest/products", SALES, self.add_product)
        self.route("PUT", "/rest/products/<number>", SALES, self.replace_product)
        self._list("product-groups", SALES, self._product_groups, key="productGroupNumber", allowed="name")
        self.route("GET", "/rest/product-groups/<int:number>/sales-accounts", SALES, self.list_sales_accounts)
        self._list(
            "payment-terms",
            SALES,
            lambda agreement: [self._terms(terms) for terms in agreement.terms.values()],
            key="paymentTermsNumber",
            allowed="paymentTermsNumber name paymentTermsType daysOfCredit",
        )
        self.route("POST", "/rest/payment-terms", SALES, self.add_terms)
        self._list("layouts", SALES, self._layouts, key="layoutNumber", allowed="layoutNumber name")
        self._list("units", SALES, self._units, key="unitNumber", allowed="unitNumber name")
        self.route("POST", "/rest/units", SALES, self.add_unit)

    def _customers(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._customer(agreement, customer) for customer in agreement.customers.values()]

    def _customer(self, agreement: EconomicAgreement, customer: Customer) -> Row:
        url, own = self.url(), f"{self.url()}/customers/{customer.number}"
        values = dict(customer.values)
        for name, path, key in (
            ("customerGroup", "customer-groups", "customerGroupNumber"),
            ("vatZone", "vat-zones", "vatZoneNumber"),
            ("paymentTerms", "payment-terms", "paymentTermsNumber"),
            ("layout", "layouts", "layoutNumber"),
        ):
            number = values.get(name)
            if number is not None:
                values[name] = {key: number, "self": f"{url}/{path}/{number}"}
        opened = [
            entry.remainder
            for entry in agreement.entries
            if entry.customer == customer.number and entry.remainder is not None
        ]
        balance = sum(opened, ZERO)
        return {
            **values,
            "balance": balance,
            "dueAmount": ZERO,
            "lastUpdated": customer.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "contacts": f"{own}/contacts",
            "templates": {
                "invoice": f"{own}/templates/invoice",
                "invoiceLine": f"{own}/templates/invoiceline",
                "self": f"{own}/templates",
            },
            "totals": {
                "drafts": f"{url}/invoices/totals/drafts/customers/{customer.number}",
                "booked": f"{url}/invoices/totals/booked/customers/{customer.number}",
                "self": f"{own}/totals",
            },
            "deliveryLocations": f"{own}/delivery-locations",
            "invoices": {
                "drafts": f"{own}/invoices/drafts",
                "booked": f"{own}/invoices/booked",
                "self": f"{own}/invoices",
            },
            "eInvoicingDisabledByDefault": bool(values.get("eInvoicingDisabledByDefault")),
            "metaData": {
                "delete": {"description": "Delete this customer.", "href": own, "httpMethod": "delete"},
                "replace": {"description": "Replace this customer.", "href": own, "httpMethod": "put"},
            },
            "self": own,
        }

    def add_customer(self, agreement: EconomicAgreement) -> Reply:
        """Create a customer; the number is given where none is sent."""
        found = Errors()
        sent = self.sent(fields.CUSTOMER, found)
        found.stop()
        customer = agreement.write_customer(None, sent, found)
        self.world.tell(agreement.number, "CUSTOMER_UPDATED", customer.number)
        row = self._customer(agreement, customer)
        return Reply(self.trimmed(row), 201, location=row["self"])

    def replace_customer(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Replace a customer, or create it under the number."""
        found = Errors()
        sent = self.sent(fields.CUSTOMER, found)
        found.stop()
        was_there = number in agreement.customers
        customer = agreement.write_customer(number, sent, found)
        self.world.tell(agreement.number, "CUSTOMER_UPDATED", number)
        return Reply(self.trimmed(self._customer(agreement, customer)), 200 if was_there else 201)

    def _customer_group(self, agreement: EconomicAgreement, number: int) -> Row:
        group, url = agreement.customer_groups[number], self.url()
        layout = group.layout
        return {
            "customerGroupNumber": number,
            "name": group.name,
            "account": self.trimmed(self._account(agreement, agreement.accounts[group.account])),
            "layout": {"layoutNumber": layout, "self": f"{url}/layouts/{layout}"} if layout else None,
            "customers": f"{url}/customer-groups/{number}/customers",
            "self": f"{url}/customer-groups/{number}",
        }

    def add_customer_group(self, agreement: EconomicAgreement) -> Reply:
        """Create a customer group under a number of the caller's."""
        found = Errors()
        sent = self.sent(fields.CUSTOMER_GROUP, found)
        found.stop()
        number, account = sent["customerGroupNumber"], number_of(sent["account"], "accountNumber")
        if number in agreement.customer_groups:
            found.say(("customerGroupNumber",), "The number is already in use.", "E06000", number)
        trouble = agreement.account_trouble("account", account)
        if trouble is not None and trouble.kind != "account_blocked":
            found.add(("account",), legacy_error(trouble, agreement.language))
        found.stop()
        agreement.add_customer_group(number, sent["name"], account)
        return Reply(self.trimmed(self._customer_group(agreement, number)), 201)

    def _product(self, agreement: EconomicAgreement, product: Product) -> Row:
        url, own = self.url(), f"{self.url()}/products/{product.number}"
        group, values = product.values["productGroup"], product.values
        unit = values.get("unit")
        return {
            "productNumber": product.number,
            "description": values.get("description"),
            "name": values["name"],
            "costPrice": _price(values.get("costPrice")),
            "recommendedPrice": _price(values.get("recommendedPrice")),
            "salesPrice": _price(values.get("salesPrice")),
            "barCode": values.get("barCode"),
            "barred": bool(values.get("barred")),
            "lastUpdated": product.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "productGroup": {**self._product_group(agreement, group), "inventoryEnabled": False},
            "unit": (
                {
                    "unitNumber": unit,
                    "name": agreement.units[unit],
                    "products": f"{url}/units/{unit}/products",
                    "self": f"{url}/units/{unit}",
                }
                if unit in agreement.units
                else None
            ),
            "invoices": {
                "drafts": f"{own}/invoices/drafts",
                "booked": f"{own}/invoices/booked",
                "self": f"{own}/invoices",
            },
            "pricing": {"currencySpecificSalesPrices": f"{own}/pricing/currency-specific-sales-prices"},
            "self": own,
        }

    def add_product(self, agreement: EconomicAgreement) -> Reply:
        """Create a product under a number of the caller's."""
        found = Errors()
        sent = self.sent(fields.PRODUCT, found)
        found.stop()
        product = agreement.write_product(sent, found)
        self.world.tell(agreement.number, "PRODUCT_UPDATED", product.number)
        row = self._product(agreement, product)
        return Reply(self.trimmed(row), 201, location=row["self"])

    def replace_product(self, agreement: EconomicAgreement, number: str) -> Reply:
        """Replace a product, or create it under the number."""
        found = Errors()
        key = key_from_url(number)
        sent = self.sent(fields.PRODUCT, found)
        found.stop()
        was_there = key in agreement.products
        product = agreement.write_product({**sent, "productNumber": key}, found, replace=True)
        return Reply(self.trimmed(self._product(agreement, product)), 200 if was_there else 201)

    def _product_group(self, agreement: EconomicAgreement, number: int) -> Row:
        own = f"{self.url()}/product-groups/{number}"
        return {
            "productGroupNumber": number,
            "name": agreement.product_groups[number].name,
            "salesAccounts": f"{own}/sales-accounts",
            "products": f"{own}/products",
            "self": own,
        }

    def _product_groups(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._product_group(agreement, number) for number in agreement.product_groups]

    def list_sales_accounts(self, agreement: EconomicAgreement, number: int) -> Reply:
        """The sales account of each VAT zone, which decides account and VAT of a line."""
        group = agreement.product_groups.get(number)
        if group is None:
            raise self.not_found()
        zones = {row["vatZoneNumber"]: row for row in self._zones(agreement)}
        rows = [
            {
                "salesAccount": self.trimmed(self._account(agreement, agreement.accounts[account])),
                "vatZone": zones[zone],
            }
            for zone, account in group.sales_accounts.items()
            if account in agreement.accounts
        ]
        return self.collection(rows)

    def _terms(self, terms: Terms) -> Row:
        url, contra = self.url(), terms.contra_account
        return {
            "paymentTermsNumber": terms.number,
            "daysOfCredit": terms.days,
            "name": terms.name,
            "paymentTermsType": terms.kind,
            "contraAccountForRemainderAmount": (
                {"accountNumber": contra, "self": f"{url}/accounts/{contra}"} if contra else None
            ),
            "self": f"{url}/payment-terms/{terms.number}",
        }

    def add_terms(self, agreement: EconomicAgreement) -> Reply:
        """Create payment terms; the number is given."""
        found = Errors()
        sent = self.sent(fields.PAYMENT_TERMS, found)
        found.stop()
        number = max(agreement.terms, default=0) + 1
        contra = number_of(sent.get("contraAccountForRemainderAmount"), "accountNumber")
        agreement.terms[number] = Terms(
            number, sent["name"], sent["paymentTermsType"], sent.get("daysOfCredit"), contra
        )
        return Reply(self.trimmed(self._terms(agreement.terms[number])), 201)

    def _layouts(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {
                "layoutNumber": number,
                "name": name,
                "deleted": deleted or None,
                "self": f"{self.url()}/layouts/{number}",
            }
            for number, (name, deleted) in agreement.layouts.items()
        ]

    def _units(self, agreement: EconomicAgreement) -> list[Row]:
        url = self.url()
        return [
            {
                "unitNumber": number,
                "name": name,
                "products": f"{url}/units/{number}/products",
                "self": f"{url}/units/{number}",
            }
            for number, name in agreement.units.items()
        ]

    def add_unit(self, agreement: EconomicAgreement) -> Reply:
        """Create a unit; the number is given."""
        found = Errors()
        sent = self.sent(fields.UNIT, found)
        found.stop()
        number = max(agreement.units, default=0) + 1
        agreement.units[number] = sent["name"]
        return Reply({"unitNumber": number, "name": sent["name"], "self": f"{self.url()}/units/{number}"}, 201)

    # -- invoices ------

    def _invoice_routes(self) -> None:
        base = "/rest/invoices"
        self.route("GET", f"{base}/drafts", SALES, lambda a: self._invoice_list(a, a.drafts, DRAFT_FILTER))
        self.route("POST", f"{base}/drafts", SALES, self.add_draft)
        self.route("DELETE", f"{base}/drafts", SALES, self.delete_all_drafts)
        self.route("GET", f"{base}/drafts/<int:number>", SALES, self.show_draft)
        self.route("PUT", f"{base}/drafts/<int:number>", SALES, self.replace_draft)
        self.route("DELETE", f"{base}/drafts/<int:number>", SALES, self.delete_draft)
        self.route("POST", f"{base}/drafts/<int:number>/attachment/file", SALES, self.attach_to_draft)
        self.route("POST", f"{base}/booked", SALES, self.book)
        self.route("PUT", f"{base}/booked/<int:number>", SALES, self.book_with_number)
        self.route("GET", f"{base}/booked", SALES, lambda a: self._invoice_list(a, a.booked, INVOICE_FILTER))
        self.route("GET", f"{base}/booked/<int:number>", SALES, self.show_booked)
        for name, test in (
            ("unpaid", lambda invoice: invoice.remainder != 0),
            ("paid", lambda invoice: invoice.remainder == 0),
        ):
            self.route("GET", f"{base}/{name}", SALES, self._sublist(test))

    def _sublist(self, test: Callable[[Invoice], bool]) -> Callable[..., Reply]:
        def answer(agreement: EconomicAgreement) -> Reply:
            kept = {number: invoice for number, invoice in agreement.booked.items() if test(invoice)}
            return self._invoice_list(agreement, kept, INVOICE_FILTER)

        return answer

    def _invoice_list(self, agreement: EconomicAgreement, invoices: Mapping[int, Invoice], allowed: str) -> Reply:
        rows = [self._invoice(agreement, invoice, lines=False) for invoice in invoices.values()]
        return self.collection(rows, allowed)

    def _invoice(self, agreement: EconomicAgreement, invoice: Invoice, *, lines: bool = True) -> Row:
        url, booked = self.url(), invoice.booked
        own = f"{url}/invoices/{'booked' if booked else 'drafts'}/{invoice.number}"
        head: Row = (
            {"bookedInvoiceNumber": invoice.number, "orderNumber": invoice.order_number}
            if booked
            else {
                "draftInvoiceNumber": invoice.number,
                "soap": {"currentInvoiceHandle": {"id": invoice.number}},
                "templates": {
                    "bookingInstructions": f"{own}/templates/booking-instructions",
                    "self": f"{own}/templates",
                },
                "attachment": f"{own}/attachment",
            }
        )
        return {**head, **self._amounts(agreement, invoice), **self._parties(agreement, invoice, own, lines)}

    def _amounts(self, agreement: EconomicAgreement, invoice: Invoice) -> Row:
        margin = (
            {}
            if invoice.booked
            else {
                "marginInBaseCurrency": invoice.base_net,
                "marginPercentage": HUNDRED if invoice.net else ZERO,
                "costPriceInBaseCurrency": ZERO,
            }
        )
        left = invoice.remainder
        entry = invoice.entry
        open_amounts = (
            {"remainder": left, "remainderInBaseCurrency": entry.base_remainder if entry is not None else ZERO}
            if invoice.booked
            else {}
        )
        return {
            "date": invoice.date,
            "currency": invoice.currency,
            "exchangeRate": invoice.rate,
            "netAmount": invoice.net,
            "netAmountInBaseCurrency": invoice.base_net,
            "grossAmount": invoice.gross,
            "grossAmountInBaseCurrency": invoice.base_gross,
            **margin,
            "vatAmount": invoice.vat,
            "roundingAmount": ZERO,
            **open_amounts,
            "dueDate": invoice.due_date,
        }

    def _parties(self, agreement: EconomicAgreement, invoice: Invoice, own: str, lines: bool) -> Row:
        url = self.url()
        zone = next(row for row in self._zones(agreement) if row["vatZoneNumber"] == invoice.zone)
        terms = self._terms(agreement.terms[invoice.terms])
        row: Row = {
            "paymentTerms": terms,
            "customer": {"customerNumber": invoice.customer, "self": f"{url}/customers/{invoice.customer}"},
            "recipient": {**invoice.recipient, "vatZone": zone},
            "delivery": invoice.delivery or None,
            "notes": invoice.notes or None,
            "references": invoice.references or None,
            "layout": {"layoutNumber": invoice.layout, "self": f"{url}/layouts/{invoice.layout}"},
            "pdf": {"download": f"{own}/pdf"},
        }
        if lines and invoice.lines:
            row["lines"] = [self._line(invoice, index) for index in range(len(invoice.lines))]
        if invoice.booked:
            row["sent"] = f"{own}/sent"
        else:
            row["lastUpdated"] = invoice.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {**row, "self": own}

    def _line(self, invoice: Invoice, index: int) -> Row:
        line = invoice.lines[index]
        row: Row = {"lineNumber": line.number, "sortKey": line.number, "description": line.description}
        if line.product is None:
            return row
        return {
            **row,
            "quantity": line.quantity,
            "unitNetPrice": line.price,
            "discountPercentage": line.discount,
            "unitCostPrice": ZERO,
            **({"vatRate": line.rate, "vatAmount": line.vat} if invoice.booked else {}),
            "totalNetAmount": line.net,
            "product": {"productNumber": line.product, "self": f"{self.url()}/products/{line.product}"},
        }

    def add_draft(self, agreement: EconomicAgreement) -> Reply:
        """Create a draft; totals and VAT are worked out here."""
        found = Errors()
        sent = self.sent(fields.DRAFT, found)
        found.stop()
        draft = agreement.write_draft(None, sent, found)
        row = self._invoice(agreement, draft)
        return Reply(self.trimmed(row), 201, location=row["self"])

    def replace_draft(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Replace a draft, lines too."""
        self._need_draft(agreement, number)
        found = Errors()
        sent = self.sent(fields.DRAFT, found)
        found.stop()
        draft = agreement.write_draft(number, sent, found)
        return Reply(self.trimmed(self._invoice(agreement, draft)))

    def _need_draft(self, agreement: EconomicAgreement, number: int, *, code: str = "") -> Invoice:
        if number not in agreement.drafts:
            raise self.not_found(code=code)
        return agreement.drafts[number]

    def show_draft(self, agreement: EconomicAgreement, number: int) -> Reply:
        """One draft with its lines."""
        return Reply(self.trimmed(self._invoice(agreement, self._need_draft(agreement, number))))

    def delete_draft(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Take a draft away."""
        self._need_draft(agreement, number, code="E06000")
        agreement.delete_draft(number)
        return self._deleted([number])

    def delete_all_drafts(self, agreement: EconomicAgreement) -> Reply:
        """Every draft of the agreement goes: the trap of a missing number."""
        numbers = list(agreement.drafts)
        for number in numbers:
            agreement.delete_draft(number)
        return self._deleted(numbers)

    def _deleted(self, numbers: list[int]) -> Reply:
        items = [{"draftInvoiceNumber": n, "self": f"{self.url()}/invoices/drafts/{n}"} for n in numbers]
        return Reply({"message": "Deleted invoice.", "deletedCount": len(items), "deletedItems": items})

    def attach_to_draft(self, agreement: EconomicAgreement, number: int) -> Reply:
        """A file with a draft."""
        draft = self._need_draft(agreement, number)
        file = request.files.get("file")
        if file is None:
            raise self.refusal("No file was sent.")
        draft.attachments.append(file.read())
        return Reply({"self": f"{self.url()}/invoices/drafts/{number}/attachment/file"}, 201)

    def book(self, agreement: EconomicAgreement) -> Reply:
        """Book a draft."""
        found = Errors()
        sent = self.sent(fields.BOOK, found)
        found.stop()
        return self._book(agreement, sent, sent.get("bookWithNumber"))

    def book_with_number(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Book a draft under a number of the caller's."""
        found = Errors()
        sent = self.sent(fields.BOOK, found)
        found.stop()
        return self._book(agreement, sent, number)

    def _book(self, agreement: EconomicAgreement, sent: Row, with_number: int | None) -> Reply:
        number = number_of(sent["draftInvoice"], "draftInvoiceNumber")
        found = Errors()
        if number not in agreement.drafts:
            text = f"Draft invoice '{number}' not found."
            found.say(("draftInvoice",), text, "E06000", number)
            found.stop()
        invoice = agreement.book_invoice(number, found, with_number)
        self.world.tell(agreement.number, "INVOICE_BOOKED", invoice.number)
        row = self._invoice(agreement, invoice)
        return Reply(self.trimmed(row), 201, location=row["self"])

    def show_booked(self, agreement: EconomicAgreement, number: int) -> Reply:
        """One booked invoice with its lines."""
        invoice = agreement.booked.get(number)
        if invoice is None:
            raise self.not_found()
        return Reply(self.trimmed(self._invoice(agreement, invoice)))

    # -- journals ------

    def _journal_routes(self) -> None:
        self._list(
            "journals",
            BOOKKEEPING,
            lambda agreement: [self._journal(journal) for journal in agreement.journals.values()],
            key="journalNumber",
            allowed="journalNumber name",
        )
        base = "/rest/journals/<int:number>"
        self.route("POST", f"{base}/vouchers", BOOKKEEPING, self.add_voucher)
        self.route("GET", f"{base}/entries", BOOKKEEPING, self.list_draft_entries)
        self.route("DELETE", f"{base}/entries/<int:entry>", BOOKKEEPING, self.delete_draft_entry)
        self.route("POST", f"{base}/vouchers/<key>/attachment/file", BOOKKEEPING, self.attach_to_voucher)

    def _journal(self, journal: Journal) -> Row:
        own = f"{self.url()}/journals/{journal.number}"
        contra = journal.customer_contra
        numbers = {"minimumVoucherNumber": journal.minimum, "maximumVoucherNumber": journal.maximum}
        restricted = ENTRY_NAMES.get(journal.allowed_type) if journal.allowed_type else None
        return {
            "name": journal.name,
            "settings": {
                "voucherNumbers": numbers,
                "entryTypeRestrictedTo": restricted,
                "contraAccounts": (
                    {"customerPayments": {"accountNumber": contra, "self": f"{self.url()}/accounts/{contra}"}}
                    if contra
                    else None
                ),
            },
            "vouchers": f"{own}/vouchers",
            "entries": f"{own}/entries",
            "templates": {
                "financeVoucher": f"{own}/templates/financeVoucher",
                "manualCustomerInvoice": f"{own}/templates/manualCustomerInvoice",
                "self": f"{own}/templates",
            },
            "journalNumber": journal.number,
            "self": own,
        }

    def _need_journal(self, agreement: EconomicAgreement, number: int) -> Journal:
        if number not in agreement.journals:
            raise self.not_found()
        return agreement.journals[number]

    def add_voucher(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Put entries into a journal; the answer is a list of vouchers."""
        journal = self._need_journal(agreement, number)
        found = Errors()
        sent = self.sent(fields.VOUCHER, found)
        found.stop()
        entries, wrong = self._read_voucher(agreement, journal, sent)
        if wrong.count:
            # The old host numbers the vouchers of a request; there is one in each of ours.
            body = [{"arrayIndex": 0, "entries": wrong.tree}]
            raise errors.validation(body, wrong.count, self.now_text())
        share = not self.world.switches.splits_vouchers
        made = agreement.keep_entries(entries, share=share)
        vouchers: dict[int, list[DraftEntry]] = {}
        for entry in made:
            vouchers.setdefault(entry.voucher, []).append(entry)
        shown = [self._voucher(agreement, journal, voucher, each) for voucher, each in vouchers.items()]
        return Reply(self.trimmed(shown), 201)

    def _read_voucher(
        self, agreement: EconomicAgreement, journal: Journal, sent: Row
    ) -> tuple[list[DraftEntry], Errors]:
        wrong, entries, index = Errors(), [], 0
        year = number_of(sent["accountingYear"], "year")
        for kind, (_, number) in _KINDS_OF_ENTRY.items():
            for item in sent.get("entries", {}).get(kind, ()):
                entry = _draft_entry(agreement, journal, sent.get("voucherNumber") or 0, number, item)
                entries.append(entry)
                troubles = agreement.entry_troubles(entry)
                on = agreement.year_of(entry.date)
                if on is not None and key_from_url(str(year)) != on.name and not troubles:
                    troubles.append(errors.Trouble("date", "no_year", entry.date.isoformat()))
                for trouble in troubles:
                    name = _LATE_NAMES.get(trouble.property, trouble.property)
                    shown = legacy_error(trouble, agreement.language, name[:1].upper() + name[1:])
                    wrong.add((index, name), shown)
                index += 1
        return entries, wrong

    def _voucher(self, agreement: EconomicAgreement, journal: Journal, voucher: int, entries: list[DraftEntry]) -> Row:
        by_kind: dict[str, list[Row]] = {}
        for entry in entries:
            kind = next(name for name, (_, number) in _KINDS_OF_ENTRY.items() if number == entry.type)
            by_kind.setdefault(kind, []).append(self._draft_entry_row(agreement, journal, entry))
        year = agreement.year_of(entries[0].date)
        name = year.name if year else ""
        own = f"{self.url()}/journals/{journal.number}/vouchers/{name.replace('/', '_6_')}-{voucher}"
        return {
            "accountingYear": {
                "year": name,
                "self": f"{self.url()}/accounting-years/{name.replace('/', '_6_')}",
            },
            "journal": {"journalNumber": journal.number, "self": f"{self.url()}/journals/{journal.number}"},
            "entries": by_kind,
            "voucherNumber": voucher,
            "attachment": f"{own}/attachment",
            "self": own,
        }

    def _draft_entry_row(self, agreement: EconomicAgreement, journal: Journal, entry: DraftEntry) -> Row:
        url = self.url()
        own = f"{url}/journals/{journal.number}/entries/{entry.number}"
        year = agreement.year_of(entry.date)
        name = (year.name if year else "").replace("/", "_6_")
        voucher = f"{url}/journals/{journal.number}/vouchers/{name}-{entry.voucher}"
        rate = entry.rate or agreement.rate(entry.currency, entry.date)
        base = agreement.to_base(entry.amount, rate)

        def link(path: str, key: str, value: object) -> Row | None:
            return None if value in (None, "") else {key: value, "self": f"{url}/{path}/{value}"}

        return {
            "account": link("accounts", "accountNumber", entry.account),
            "contraAccount": link("accounts", "accountNumber", entry.contra),
            "vatAccount": link("vat-accounts", "vatCode", entry.vat_code),
            "contraVatAccount": link("vat-accounts", "vatCode", entry.contra_vat_code),
            "customer": link("customers", "customerNumber", entry.customer),
            "customerInvoice": int(entry.invoice) if entry.invoice else None,
            "journal": link("journals", "journalNumber", journal.number),
            "amount": entry.amount,
            "currency": link("currencies", "code", entry.currency),
            "date": entry.date,
            "text": entry.text or None,
            "exchangeRate": rate,
            "entryType": next(kind for kind, number in _KINDS_OF_ENTRY.values() if number == entry.type),
            "voucher": {
                "accountingYear": {"year": year.name, "self": f"{url}/accounting-years/{name}"} if year else None,
                "voucherNumber": entry.voucher,
                "attachment": f"{voucher}/attachment",
                "self": voucher,
            },
            "amountBaseCurrency": base,
            "remainder": entry.amount,
            "remainderInDefaultCurrency": base,
            "journalEntryNumber": entry.number,
            "metaData": {"delete": {"description": "Delete this entry.", "href": own, "httpMethod": "delete"}},
            "self": own,
        }

    def list_draft_entries(self, agreement: EconomicAgreement, number: int) -> Reply:
        """What stands in a journal and is not booked."""
        journal = self._need_journal(agreement, number)
        entries = [entry for entry in agreement.draft_entries.values() if entry.journal == number]
        return self.collection([self._draft_entry_row(agreement, journal, entry) for entry in entries])

    def delete_draft_entry(self, agreement: EconomicAgreement, number: int, entry: int) -> Reply:
        """Take an unbooked entry away."""
        found = agreement.draft_entries.get(entry)
        if found is None or found.journal != number:
            raise self.not_found(code="E06000")
        del agreement.draft_entries[entry]
        return Reply(None, 204)

    def attach_to_voucher(self, agreement: EconomicAgreement, number: int, key: str) -> Reply:
        """A file at a voucher that is not booked yet; one only."""
        year, _, voucher = key_from_url(key).rpartition("-")
        if not voucher.isdigit() or not any(
            (entry.journal, entry.voucher) == (number, int(voucher)) for entry in agreement.draft_entries.values()
        ):
            raise self.not_found()
        if agreement.file_at(year, int(voucher)) is not None:
            raise self.refusal("Voucher already has attachment")
        file = request.files.get("file")
        if file is None:
            raise self.refusal("No file was sent.")
        agreement.attach(year, int(voucher), file.filename or "", file.read(), "", booked=False)
        return Reply({"self": request.base_url}, 201)


def _price(value: Any) -> Decimal:
    return Decimal(value or 0)


def _draft_entry(
    agreement: EconomicAgreement, journal: Journal, voucher: int, kind: int, item: Mapping[str, Any]
) -> DraftEntry:
    return DraftEntry(
        0,
        journal.number,
        voucher,
        kind,
        item["date"],
        number_of(item.get("account"), "accountNumber"),
        item["amount"],
        str(number_of(item.get("currency"), "code") or agreement.base_currency),
        item.get("exchangeRate"),
        number_of(item.get("contraAccount"), "accountNumber"),
        str(number_of(item.get("vatAccount"), "vatCode") or ""),
        str(number_of(item.get("contraVatAccount"), "vatCode") or ""),
        item.get("text", ""),
        number_of(item.get("customer"), "customerNumber"),
        str(item["customerInvoice"]) if "customerInvoice" in item else "",
        item.get("dueDate"),
        True,
    )
