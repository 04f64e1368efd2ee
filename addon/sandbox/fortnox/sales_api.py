"""Articles, customers, invoices and payments, over the interface."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from addon.sandbox.fortnox import fields, render
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.errors import (
    FIELD_MISSING,
    PAYMENT_NOT_FOUND,
    ApiError,
    not_found,
)
from addon.sandbox.fortnox.fields import BLANK
from addon.sandbox.fortnox.frame import Frame, Reply, without_blanks
from addon.sandbox.fortnox.sales import Customer, Invoice, Order, Payment


class SalesInterface(Frame):
    """articles, customers, invoices, invoicepayments."""

    # -- articles ------

    def article_routes(self) -> None:
        """articles."""
        self.route("GET", "/3/articles", "article", self.list_articles)
        self.route("POST", "/3/articles", "article", self.create_article)
        self.route("GET", "/3/articles/<path:number>", "article", self.get_article)
        self.route("PUT", "/3/articles/<path:number>", "article", self.update_article)

    def list_articles(self, company: FortnoxCompany) -> Reply:
        """GET articles."""
        parameters = self.parameters(["filter", "articlenumber", "description", "ean"])
        items = list(company.articles.items())
        for name, field in (("description", "Description"), ("ean", "EAN")):
            if name in parameters:
                wanted = parameters[name].lower()
                items = [item for item in items if wanted in str(item[1].get(field, "")).lower()]
        if "articlenumber" in parameters:
            wanted = parameters["articlenumber"].lower()
            items = [item for item in items if wanted in item[0].lower()]
        url = self.url()
        return self.page("Articles", items, lambda item: render.article_row(url, *item), parameters)

    def get_article(self, company: FortnoxCompany, number: str) -> Reply:
        """GET articles/{ArticleNumber}."""
        if number not in company.articles:
            raise not_found(2000428, "Kan inte hitta artikeln.")
        return Reply({"Article": render.article(self.url(), number, company.articles[number])})

    def _article(self) -> dict[str, Any]:
        body = self.body()
        if isinstance(body, dict) and isinstance(body.get("Article"), dict) and "SalesPrice" in body["Article"]:
            raise ApiError(2000321, "Försäljningspris kan inte ändras.")
        return self.sent("Article", fields.ARTICLE)

    def create_article(self, company: FortnoxCompany) -> Reply:
        """POST articles."""
        sent = self._article()
        number = sent.pop("ArticleNumber", None)
        if not isinstance(sent.get("Description"), str):
            raise ApiError(FIELD_MISSING, "Benämning måste anges.")
        if number is None:
            used = [int(n) for n in company.articles if n.isdigit()]
            number = str(max(used, default=0) + 1)
        if not re.fullmatch(r"[A-Za-z0-9ÅÄÖåäö_\-/\\+$]+", number):
            raise ApiError(2000106, f"Värdet måste vara alfanumeriskt ({number})")
        if number in company.articles:
            raise ApiError(2000013, f'Artikelnummer "{number}" används redan.')
        company.articles[number] = without_blanks(sent)
        shown = render.article(self.url(), number, company.articles[number])
        return Reply({"Article": shown}, 201, "articles")

    def update_article(self, company: FortnoxCompany, number: str) -> Reply:
        """PUT articles/{ArticleNumber}."""
        if number not in company.articles:
            raise not_found(2000428, "Kan inte hitta artikeln.")
        sent = self._article()
        sent.pop("ArticleNumber", None)
        for name, value in sent.items():
            if value is BLANK:
                company.articles[number].pop(name, None)
            else:
                company.articles[number][name] = value
        return Reply({"Article": render.article(self.url(), number, company.articles[number])})

    # -- customers ------

    def customer_routes(self) -> None:
        """customers."""
        self.route("GET", "/3/customers", "customer", self.list_customers)
        self.route("POST", "/3/customers", "customer", self.create_customer)
        self.route("PUT", "/3/customers", "customer", self.no_identifier)
        self.route("GET", "/3/customers/<number>", "customer", self.get_customer)
        self.route("PUT", "/3/customers/<number>", "customer", self.update_customer)
        self.route("DELETE", "/3/customers/<number>", "customer", self.delete_customer)

    def no_identifier(self, company: FortnoxCompany) -> Reply:
        """PUT to a collection."""
        raise ApiError(2000729, "A valid identifier was not provided.")

    def list_customers(self, company: FortnoxCompany) -> Reply:
        """GET customers; text filters match substrings whatever the case."""
        by_field = {
            "customernumber": "",
            "name": "Name",
            "zipcode": "ZipCode",
            "city": "City",
            "email": "Email",
            "phone": "Phone1",
            "organisationnumber": "OrganisationNumber",
            "gln": "GLN",
            "glndelivery": "GLNDelivery",
        }
        parameters = self.parameters([*by_field, "filter"])
        items = [c for c in company.customers.values() if self._listed(c)]
        for name, field in by_field.items():
            if name in parameters:
                wanted = parameters[name].lower()
                if field:
                    items = [c for c in items if wanted in str(c.values.get(field, "")).lower()]
                else:
                    items = [c for c in items if wanted in c.number.lower()]
        match parameters.get("filter"):
            case None:
                pass
            case "active":
                items = [c for c in items if c.values.get("Active", True)]
            case "inactive":
                items = [c for c in items if not c.values.get("Active", True)]
            case _:
                raise ApiError(2000587, "Ett ogiltigt filter har använts.")
        since = self.modified_since(parameters)
        if since is not None:
            items = [c for c in items if c.modified_at >= since]
        keys: dict[str, Callable[[Customer], Any]] = {
            "customernumber": lambda c: (len(c.number), c.number),
            "name": lambda c: c.name.lower(),
        }
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("Customers", items, lambda c: self.no_rights(company, render.customer_row(url, c)), parameters)

    def _listed(self, written: Customer | Invoice | Payment) -> bool:
        return written.by_person or self.visible(written.created_at, self.world.switches.list_delay_s)

    def _gettable(self, written: Customer | Invoice | Payment) -> bool:
        return written.by_person or self.visible(written.created_at, self.world.switches.get_delay_s)

    def _customer(self, company: FortnoxCompany, number: str) -> Customer:
        customer = company.customers.get(number)
        if customer is None:
            raise not_found(2000433, "Kan inte hitta kunden.")
        return customer

    def get_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """GET customers/{CustomerNumber}."""
        customer = self._customer(company, number)
        if not self._gettable(customer):
            raise not_found(2000433, "Kan inte hitta kunden.")
        shown = render.customer(self.url(), customer, just_created=False)
        return Reply({"Customer": self.no_rights(company, shown)})

    def create_customer(self, company: FortnoxCompany) -> Reply:
        """POST customers."""
        customer = company.write_customer(None, self.sent("Customer", fields.CUSTOMER))
        return Reply({"Customer": render.customer(self.url(), customer, just_created=True)}, 201, "customers")

    def update_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """PUT customers/{CustomerNumber}: partial."""
        sent = self.sent("Customer", fields.CUSTOMER)
        customer = company.write_customer(self._customer(company, number).number, sent)
        return Reply({"Customer": render.customer(self.url(), customer, just_created=False)})

    def delete_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """DELETE customers/{CustomerNumber}."""
        company.delete_customer(self._customer(company, number).number)
        return Reply(status=204)

    # -- orders ------

    def order_routes(self) -> None:
        """orders and their actions."""
        self.route("GET", "/3/orders", "order", self.list_orders)
        self.route("POST", "/3/orders", "order", self.create_order)
        self.route("GET", "/3/orders/<int:number>", "order", self.get_order)
        self.route("PUT", "/3/orders/<int:number>/cancel", "order", self.cancel_order)
        self.route("PUT", "/3/orders/<int:number>/createinvoice", "order", self.invoice_order)

    def _order(self, company: FortnoxCompany, order: Order) -> dict[str, Any]:
        return {"Order": self.no_rights(company, render.order(self.url(), order, company))}

    def list_orders(self, company: FortnoxCompany) -> Reply:
        """GET orders; text filters match substrings whatever the case."""
        names = {
            "externalinvoicereference1": "ExternalInvoiceReference1",
            "externalinvoicereference2": "ExternalInvoiceReference2",
            "ourreference": "OurReference",
            "yourreference": "YourReference",
        }
        parameters = self.parameters([*names, "filter", "customername", "customernumber", "documentnumber", "sent"])
        items = list(company.orders.values())
        for name, field in names.items():
            if name in parameters:
                wanted = parameters[name].lower()
                items = [order for order in items if wanted in order.shadow.text(field).lower()]
        since = self.modified_since(parameters)
        if since is not None:
            items = [order for order in items if order.modified_at >= since]
        items = [order for order in items if self._listed(order.shadow)]
        url = self.url()
        return self.page("Orders", items, lambda order: render.order_row(url, order), parameters)

    def get_order(self, company: FortnoxCompany, number: int) -> Reply:
        """GET orders/{DocumentNumber}."""
        return Reply(self._order(company, company.need_order(number)))

    def create_order(self, company: FortnoxCompany) -> Reply:
        """POST orders."""
        order = company.create_order(self.sent("Order", fields.ORDER))
        return Reply(self._order(company, order), 201, "orders")

    def cancel_order(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT orders/{DocumentNumber}/cancel."""
        order = company.need_order(number)
        company.cancel_order(order)
        return Reply(self._order(company, order))

    def invoice_order(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT orders/{DocumentNumber}/createinvoice: the answer is the order."""
        order = company.need_order(number)
        company.invoice_order(order)
        return Reply(self._order(company, order))

    # -- invoices ------

    def invoice_routes(self) -> None:
        """invoices and their actions."""
        self.route("GET", "/3/invoices", "invoice", self.list_invoices)
        self.route("POST", "/3/invoices", "invoice", self.create_invoice)
        self.route("PUT", "/3/invoices", "invoice", self.no_identifier)
        self.route("GET", "/3/invoices/<int:number>", "invoice", self.get_invoice)
        self.route("PUT", "/3/invoices/<int:number>", "invoice", self.update_invoice)
        for action in ("bookkeep", "cancel", "credit", "externalprint", "warehouseready"):
            handler = functools.partial(self.act_on_invoice, action=action)
            self.route("PUT", f"/3/invoices/<int:number>/{action}", "invoice", handler)
        for action in ("email", "einvoice", "eprint", "print", "preview", "printreminder"):
            handler = functools.partial(self.send_invoice, action=action)
            self.route("GET", f"/3/invoices/<int:number>/{action}", "invoice", handler)

    def _invoice(self, company: FortnoxCompany, invoice: Invoice) -> dict[str, Any]:
        return {"Invoice": self.no_rights(company, render.invoice(self.url(), invoice, company))}

    def get_invoice(self, company: FortnoxCompany, number: int) -> Reply:
        """GET invoices/{DocumentNumber}."""
        invoice = company.need_invoice(number)
        if not self._gettable(invoice):
            raise not_found(2000434, "Kan inte hitta fakturan.")
        return Reply(self._invoice(company, invoice))

    def create_invoice(self, company: FortnoxCompany) -> Reply:
        """POST invoices."""
        invoice = company.create_invoice(self.sent("Invoice", fields.INVOICE))
        return Reply(self._invoice(company, invoice), 201, "invoices")

    def update_invoice(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoices/{DocumentNumber}: partial, unbooked ones only."""
        sent = self.sent("Invoice", fields.INVOICE)
        invoice = company.need_invoice(number)
        company.update_invoice(invoice, sent)
        return Reply(self._invoice(company, invoice))

    def act_on_invoice(self, company: FortnoxCompany, number: int, action: str) -> Reply:
        """PUT invoices/{DocumentNumber}/{action}: the answer is the invoice asked for, also when it was credited."""
        invoice = company.need_invoice(number)
        match action:
            case "bookkeep":
                company.bookkeep_invoice(invoice)
            case "cancel":
                company.cancel_invoice(invoice)
            case "credit":
                company.credit_invoice(invoice)
            case "externalprint":
                invoice.sent, invoice.modified_at = True, company.now()
            case "warehouseready":
                invoice.warehouse_ready, invoice.modified_at = True, company.now()
        return Reply(self._invoice(company, invoice))

    def send_invoice(self, company: FortnoxCompany, number: int, action: str) -> Reply:
        """GET invoices/{DocumentNumber}/email and the like: it sends, though it is a GET."""
        invoice = company.need_invoice(number)
        if action in ("email", "einvoice", "eprint"):
            address = str(invoice.values.get("EmailInformation", {}).get("EmailAddressTo", ""))
            company.mails.append((number, address))
            invoice.sent = True
            return Reply(self._invoice(company, invoice))
        if action == "print":
            invoice.sent = True
        return Reply(raw=b"%PDF-1.4\n%%EOF\n", content_type="application/pdf")

    _TEXT_FILTERS: Mapping[str, str] = {
        "customername": "CustomerName",
        "ocr": "OCR",
        "ourreference": "OurReference",
        "yourreference": "YourReference",
        "yourordernumber": "YourOrderNumber",
        "externalinvoicereference1": "ExternalInvoiceReference1",
        "externalinvoicereference2": "ExternalInvoiceReference2",
        "project": "Project",
        "costcenter": "CostCenter",
    }

    def list_invoices(self, company: FortnoxCompany) -> Reply:
        """GET invoices; text filters match substrings whatever the case."""
        others = (
            "filter customernumber documentnumber label fromfinalpaydate tofinalpaydate notcompleted invoicetype "
            "articlenumber articledescription currency accountnumberfrom accountnumberto sent credit"
        ).split()
        parameters = self.parameters([*self._TEXT_FILTERS, *others])
        tests = self._invoice_tests(company, parameters)
        items = list(company.invoices.values())
        for test in tests:
            items = [invoice for invoice in items if test(invoice)]
        items = [invoice for invoice in items if self._listed(invoice)]
        keys: dict[str, Callable[[Invoice], Any]] = {
            "documentnumber": lambda i: i.number,
            "customername": lambda i: i.text("CustomerName").lower(),
            "customernumber": lambda i: i.customer_number,
            "invoicedate": lambda i: i.invoice_date,
            "ocr": lambda i: i.text("OCR"),
            "total": lambda i: i.total,
        }
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("Invoices", items, lambda i: self.no_rights(company, render.invoice_row(url, i)), parameters)

    def _invoice_tests(self, company: FortnoxCompany, parameters: Mapping[str, str]) -> list[Callable[[Invoice], bool]]:
        tests: list[Callable[[Invoice], bool]] = []
        for name, field in self._TEXT_FILTERS.items():
            if name in parameters:
                tests.append(_contains(field, parameters[name].lower()))
        if "filter" in parameters:
            tests.append(self._state_test(company, parameters["filter"]))
        from_date, to_date = self.day(parameters, "fromdate"), self.day(parameters, "todate")
        if from_date is not None:
            tests.append(lambda i: i.invoice_date >= from_date)
        if to_date is not None:
            tests.append(lambda i: i.invoice_date <= to_date)
        paid_from, paid_to = self.day(parameters, "fromfinalpaydate"), self.day(parameters, "tofinalpaydate")
        if paid_from is not None:
            tests.append(lambda i: i.final_pay_date is not None and i.final_pay_date >= paid_from)
        if paid_to is not None:
            tests.append(lambda i: i.final_pay_date is not None and i.final_pay_date <= paid_to)
        since = self.modified_since(parameters)
        if since is not None:
            tests.append(lambda i: i.modified_at >= since)
        if "financialyear" in parameters or "financialyeardate" in parameters:
            year = self.year(company, parameters)
            tests.append(lambda i: year.from_date <= i.invoice_date <= year.to_date)
        simple: dict[str, Callable[[Invoice, str], bool]] = {
            "customernumber": lambda i, v: v in i.customer_number.lower(),
            "documentnumber": lambda i, v: v in str(i.number),
            "currency": lambda i, v: v == i.currency.lower(),
            "invoicetype": lambda i, v: v == str(i.values.get("InvoiceType", "INVOICE")).lower(),
            "notcompleted": lambda i, v: i.not_completed is (v == "true"),
            "sent": lambda i, v: i.sent is (v == "true"),
            "credit": lambda i, v: i.credit is (v == "true"),
            "articlenumber": lambda i, v: any(v in row.article.lower() for row in i.rows),
            "articledescription": lambda i, v: any(v in row.description.lower() for row in i.rows),
            "accountnumberfrom": lambda i, v: any((row.account or 0) >= int(v) for row in i.rows),
            "accountnumberto": lambda i, v: any((row.account or 9999) <= int(v) for row in i.rows),
            "label": lambda i, v: any(str(label.get("Id")) == v for label in i.values.get("Labels", [])),
        }
        for name, test in simple.items():
            if name in parameters:
                if name.startswith("accountnumber"):
                    self.integer(parameters, name, 0, 0)
                tests.append(functools.partial(_with_value, test, parameters[name].lower()))
        return tests

    def _state_test(self, company: FortnoxCompany, name: str) -> Callable[[Invoice], bool]:
        too_early = self.world.switches.unpaid_includes_unbooked
        today = company.today()

        def unpaid(invoice: Invoice) -> bool:
            stands = invoice.booked or too_early or invoice.accounting_method == "CASH"
            return stands and not invoice.cancelled and invoice.balance != 0

        match name:
            case "cancelled":
                return lambda i: i.cancelled
            case "fullypaid":
                return lambda i: i.final_pay_date is not None and i.balance == 0 and not i.cancelled
            case "unpaid":
                return unpaid
            case "unpaidoverdue":
                return lambda i: unpaid(i) and i.due_date < today
            case "unbooked":
                return lambda i: not i.booked and not i.cancelled
        raise ApiError(2000587, "Ett ogiltigt filter har använts.")

    # -- payments ------

    def payment_routes(self) -> None:
        """invoicepayments."""
        self.route("GET", "/3/invoicepayments", "payment", self.list_payments)
        self.route("POST", "/3/invoicepayments", "payment", self.create_payment)
        self.route("GET", "/3/invoicepayments/<int:number>", "payment", self.get_payment)
        self.route("PUT", "/3/invoicepayments/<int:number>", "payment", self.update_payment)
        self.route("DELETE", "/3/invoicepayments/<int:number>", "payment", self.delete_payment)
        self.route("PUT", "/3/invoicepayments/<int:number>/bookkeep", "payment", self.bookkeep_payment)

    def _payment(self, company: FortnoxCompany, number: int) -> Payment:
        payment = company.payments.get(number)
        if payment is None:
            raise not_found(PAYMENT_NOT_FOUND, "Kan inte hitta betalningen.")
        return payment

    def list_payments(self, company: FortnoxCompany) -> Reply:
        """GET invoicepayments, of one invoice with `invoicenumber` (exact)."""
        parameters = self.parameters(["invoicenumber"])
        items = list(company.payments.values())
        if "invoicenumber" in parameters:
            wanted = self.integer(parameters, "invoicenumber", 0, 0)
            items = [p for p in items if p.invoice_number == wanted]
        items = [p for p in items if self._listed(p)]
        since = self.modified_since(parameters)
        if since is not None:
            items = [p for p in items if p.modified_at >= since]
        from_date, to_date = self.day(parameters, "fromdate"), self.day(parameters, "todate")
        if from_date is not None:
            items = [p for p in items if p.date >= from_date]
        if to_date is not None:
            items = [p for p in items if p.date <= to_date]
        keys: dict[str, Callable[[Payment], Any]] = {"number": lambda p: p.number, "paymentdate": lambda p: p.date}
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("InvoicePayments", items, lambda p: render.payment_row(url, p, company), parameters)

    def get_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """GET invoicepayments/{Number}."""
        payment = self._payment(company, number)
        if not self._gettable(payment):
            raise not_found(PAYMENT_NOT_FOUND, "Kan inte hitta betalningen.")
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})

    def create_payment(self, company: FortnoxCompany) -> Reply:
        """POST invoicepayments: preliminary."""
        payment = company.create_payment(self.sent("InvoicePayment", fields.INVOICE_PAYMENT))
        shown = render.payment(self.url(), payment, company)
        return Reply({"InvoicePayment": shown}, 201, "invoicepayments")

    def update_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoicepayments/{Number}: preliminary ones only."""
        sent = self.sent("InvoicePayment", fields.INVOICE_PAYMENT)
        payment = self._payment(company, number)
        company.update_payment(payment, sent)
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})

    def delete_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """DELETE invoicepayments/{Number}: preliminary ones only."""
        company.delete_payment(self._payment(company, number))
        return Reply(status=204)

    def bookkeep_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoicepayments/{Number}/bookkeep, with no body or `{}`."""
        payment = self._payment(company, number)
        company.bookkeep_payment(payment)
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})


def _contains(field: str, wanted: str) -> Callable[[Invoice], bool]:
    def test(invoice: Invoice) -> bool:
        return wanted in str(invoice.values.get(field, "")).lower()

    return test


def _with_value(test: Callable[[Invoice, str], bool], value: str, invoice: Invoice) -> bool:
    return test(invoice, value)
