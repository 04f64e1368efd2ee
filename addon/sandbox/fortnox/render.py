"""Objects as the interface shows them: names, order and JSON types as in the recorded answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from addon.sandbox.fortnox.books import Account, Books, FinancialYear, ModeOfPayment, Series, Voucher
from addon.sandbox.fortnox.sales import Currency, Customer, Invoice, InvoiceRow, Order, Payment, Sales
from addon.sandbox.fortnox.text import country_name
from addon.sandbox.fortnox.wire import plain

Shown = dict[str, Any]

_CUSTOMER_NULLS = frozenset(
    "Address1 Address2 City Comments CostCenter CountryCode DeliveryAddress1 DeliveryAddress2 DeliveryCity "
    "DeliveryCountryCode DeliveryFax DeliveryName DeliveryPhone1 DeliveryPhone2 DeliveryZipCode ExternalReference Fax "
    "GLN GLNDelivery InvoiceAdministrationFee InvoiceDiscount InvoiceFreight Phone1 Phone2 SalesAccount "
    "VisitingAddress VisitingCity VisitingCountryCode VisitingZipCode ZipCode".split()
)
_CUSTOMER_ORDER = (
    "Address1 Address2 City Country Comments Currency CostCenter CountryCode Active CustomerNumber "
    "DefaultDeliveryTypes DefaultTemplates "
    "DeliveryAddress1 DeliveryAddress2 DeliveryCity DeliveryCountry DeliveryCountryCode DeliveryFax "
    "DeliveryName DeliveryPhone1 DeliveryPhone2 DeliveryZipCode Email EmailInvoice EmailInvoiceBCC EmailInvoiceCC "
    "EmailOffer EmailOfferBCC EmailOfferCC EmailOrder EmailOrderBCC EmailOrderCC ExternalReference Fax GLN GLNDelivery "
    "InvoiceAdministrationFee InvoiceDiscount InvoiceFreight InvoiceRemark Name OrganisationNumber OurReference Phone1 "
    "Phone2 PriceList Project SalesAccount ShowPriceVATIncluded TermsOfDelivery TermsOfPayment Type VATNumber VATType "
    "VisitingAddress VisitingCity VisitingCountry VisitingCountryCode VisitingZipCode WayOfDelivery WWW YourReference "
    "ZipCode"
).split()
_CUSTOMER_DEFAULTS: Shown = {
    "Currency": "SEK",
    "Active": True,
    "PriceList": "A",
    "ShowPriceVATIncluded": False,
    "Type": "COMPANY",
    "VATType": "SEVAT",
}


def _plain_or_none(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def customer(url: str, shown: Customer, *, just_created: bool) -> Shown:
    """A customer; on creation SalesAccount is a number, later a string (as recorded)."""
    values = shown.values
    result: Shown = {"@url": f"{url}/customers/{shown.number}"}
    for name in _CUSTOMER_ORDER:
        match name:
            case "Country" | "DeliveryCountry" | "VisitingCountry":
                result[name] = country_name(values.get(f"{name}Code", ""))
            case "CustomerNumber":
                result[name] = shown.number
            case "DefaultDeliveryTypes":
                standard = {"Invoice": "PRINT", "Order": "PRINT", "Offer": "PRINT"}
                result[name] = {**standard, **values.get(name, {})}
            case "DefaultTemplates":
                standard = dict.fromkeys(("Order", "Offer", "Invoice", "CashInvoice"), "DEFAULTTEMPLATE")
                result[name] = {**standard, **values.get(name, {})}
            case "SalesAccount" if name in values:
                result[name] = values[name] if just_created else str(values[name])
            case "InvoiceAdministrationFee" | "InvoiceFreight":
                result[name] = _plain_or_none(values.get(name))
            case _ if name in values:
                result[name] = values[name]
            case _ if name in _CUSTOMER_DEFAULTS:
                result[name] = _CUSTOMER_DEFAULTS[name]
            case _:
                result[name] = None if name in _CUSTOMER_NULLS else ""
    return result


def customer_row(url: str, shown: Customer) -> Shown:
    """A customer in a list: ten fields."""
    values = shown.values
    return {
        "@url": f"{url}/customers/{shown.number}",
        "Address1": values.get("Address1", ""),
        "Address2": values.get("Address2", ""),
        "City": values.get("City", ""),
        "CustomerNumber": shown.number,
        "Email": values.get("Email", ""),
        "Name": shown.name,
        "OrganisationNumber": values.get("OrganisationNumber", ""),
        "Phone": values.get("Phone1", ""),
        "ZipCode": values.get("ZipCode", ""),
    }


def _invoice_row(line: InvoiceRow) -> Shown:
    return {
        "AccountNumber": line.account,
        "ArticleNumber": line.article,
        "ContributionPercent": "0",
        "ContributionValue": "0",
        "Cost": 0,
        "CostCenter": line.cost_center,
        "DeliveredQuantity": plain(line.quantity),
        "Description": line.description,
        "Discount": line.discount,
        "DiscountType": line.discount_type,
        "HouseWork": False,
        "HouseWorkHoursToReport": None,
        "HouseWorkType": None,
        "Price": line.price,
        "PriceExcludingVAT": line.price_excluding_vat,
        "Project": line.project,
        "RowId": line.row_id,
        "StockPointCode": None,
        "Total": line.total,
        "TotalExcludingVAT": line.total_excluding_vat,
        "Unit": line.unit or "",
        "VAT": line.vat,
        "VATCode": line.vat_code,
    }


def _voucher_key(key: tuple[str, int, int] | None) -> Shown:
    series, number, year = key or (None, None, None)
    return {"VoucherNumber": number, "VoucherSeries": series, "VoucherYear": year}


def invoice(url: str, shown: Invoice, books: Sales) -> Shown:
    """An invoice in full."""
    text = shown.text
    organisation_number = books.customers[shown.customer_number].values.get("OrganisationNumber", "")
    email = {
        "EmailAddressFrom": None,
        "EmailAddressTo": "",
        "EmailAddressCC": None,
        "EmailAddressBCC": None,
        "EmailSubject": "Faktura {no} bifogas",
        "EmailBody": " ",
        **shown.values.get("EmailInformation", {}),
    }
    edi = {
        "EDIGlobalLocationNumber": None,
        "EDIGlobalLocationNumberDelivery": None,
        "EDIInvoiceExtra1": None,
        "EDIInvoiceExtra2": None,
        "EDIOurElectronicReference": None,
        "EDIYourElectronicReference": None,
        "EDIStatus": "",
        **shown.values.get("EDIInformation", {}),
    }
    return {
        "@url": f"{url}/invoices/{shown.number}",
        "@urlTaxReductionList": f"{url}/taxreductions?filter=invoices&referencenumber={shown.number}",
        "AccountingMethod": shown.accounting_method,
        "Address1": text("Address1"),
        "Address2": text("Address2"),
        "AdministrationFee": shown.administration_fee,
        "AdministrationFeeVAT": shown.administration_fee_vat,
        "Balance": shown.balance,
        "BasisTaxReduction": 0,
        "Booked": shown.booked,
        "Cancelled": shown.cancelled,
        "City": text("City"),
        "Comments": text("Comments"),
        "ContractReference": "0",
        "ContributionPercent": 0,
        "ContributionValue": 0,
        "CostCenter": text("CostCenter"),
        "Country": text("Country"),
        "Credit": "true" if shown.credit else "false",
        "CreditInvoiceReference": str(shown.credit_reference),
        "Currency": shown.currency,
        "CurrencyRate": shown.rate,
        "CurrencyUnit": shown.unit,
        "CustomerName": text("CustomerName"),
        "CustomerNumber": shown.customer_number,
        "DeliveryAddress1": text("DeliveryAddress1"),
        "DeliveryAddress2": text("DeliveryAddress2"),
        "DeliveryCity": text("DeliveryCity"),
        "DeliveryCountry": text("DeliveryCountry"),
        "DeliveryDate": shown.values.get("DeliveryDate"),
        "DeliveryName": text("DeliveryName"),
        "DeliveryZipCode": text("DeliveryZipCode"),
        "DocumentNumber": str(shown.number),
        "DueDate": shown.due_date,
        "EDIInformation": edi,
        "EUQuarterlyReport": shown.values.get("EUQuarterlyReport", False),
        "EmailInformation": email,
        "ExternalInvoiceReference1": text("ExternalInvoiceReference1"),
        "ExternalInvoiceReference2": text("ExternalInvoiceReference2"),
        "FinalPayDate": shown.final_pay_date,
        "Freight": shown.freight,
        "FreightVAT": shown.freight_vat,
        "Gross": shown.gross,
        "HouseWork": False,
        "InvoiceDate": shown.invoice_date,
        "InvoicePeriodEnd": "",
        "InvoicePeriodStart": "",
        "InvoiceReference": "0",
        "InvoiceRows": [_invoice_row(line) for line in shown.rows],
        "InvoiceType": shown.values.get("InvoiceType", "INVOICE"),
        "Labels": shown.values.get("Labels", []),
        "Language": shown.values.get("Language", "SV"),
        "LastRemindDate": None,
        "Net": shown.net,
        "NotCompleted": shown.not_completed,
        "NoxFinans": False,
        "OCR": text("OCR"),
        "OfferReference": "0",
        "OrderReference": "0",
        "OrganisationNumber": organisation_number,
        "OurReference": text("OurReference"),
        "OutboundDate": shown.values.get("OutboundDate") or shown.invoice_date,
        "PaymentWay": text("PaymentWay"),
        "Phone1": text("Phone1"),
        "Phone2": text("Phone2"),
        "PriceList": text("PriceList"),
        "PrintTemplate": shown.values.get("PrintTemplate", "st"),
        "Project": text("Project"),
        "Remarks": text("Remarks"),
        "Reminders": 0,
        "RoundOff": shown.round_off,
        "Sent": shown.sent,
        "TaxReduction": None,
        "TaxReductionType": shown.values.get("TaxReductionType", "none"),
        "TermsOfDelivery": text("TermsOfDelivery"),
        "TermsOfPayment": text("TermsOfPayment"),
        "TimeBasisReference": None,
        "Total": shown.total,
        "TotalToPay": shown.total,
        "TotalVAT": shown.total_vat,
        "VATIncluded": shown.vat_included,
        **_voucher_key(shown.voucher),
        "WarehouseReady": shown.warehouse_ready,
        "WayOfDelivery": text("WayOfDelivery"),
        "YourOrderNumber": text("YourOrderNumber"),
        "YourReference": text("YourReference"),
        "ZipCode": text("ZipCode"),
    }


def invoice_row(url: str, shown: Invoice) -> Shown:
    """An invoice in a list: no rows, no order number, no references; the rate is a string here."""
    text = shown.text
    return {
        "@url": f"{url}/invoices/{shown.number}",
        "Balance": shown.balance,
        "Booked": shown.booked,
        "Cancelled": shown.cancelled,
        "CostCenter": text("CostCenter"),
        "Currency": shown.currency,
        "CurrencyRate": plain(shown.rate),
        "CurrencyUnit": shown.unit,
        "CustomerName": text("CustomerName"),
        "CustomerNumber": shown.customer_number,
        "DocumentNumber": str(shown.number),
        "DueDate": shown.due_date,
        "ExternalInvoiceReference1": text("ExternalInvoiceReference1"),
        "ExternalInvoiceReference2": text("ExternalInvoiceReference2"),
        "InvoiceDate": shown.invoice_date,
        "InvoiceType": shown.values.get("InvoiceType", "INVOICE"),
        "NoxFinans": False,
        "OCR": text("OCR"),
        **_voucher_key(shown.voucher),
        "WayOfDelivery": text("WayOfDelivery"),
        "TermsOfPayment": text("TermsOfPayment"),
        "Project": text("Project"),
        "Sent": shown.sent,
        "Total": shown.total,
        "FinalPayDate": shown.final_pay_date,
    }


_NOT_ON_ORDERS = (
    "AccountingMethod Balance Booked ContractReference Credit CreditInvoiceReference DueDate EDIInformation "
    "EUQuarterlyReport FinalPayDate InvoiceDate InvoicePeriodEnd InvoicePeriodStart InvoiceRows InvoiceType "
    "LastRemindDate NoxFinans OCR OrderReference PaymentWay Reminders VoucherNumber VoucherSeries VoucherYear"
).split()


def order(url: str, shown: Order, books: Sales) -> Shown:
    """An order in full: as its invoice would be, under an order's names."""
    as_invoice = invoice(url, shown.shadow, books)
    kept = {name: value for name, value in as_invoice.items() if name not in _NOT_ON_ORDERS}
    return {
        **kept,
        "@url": f"{url}/orders/{shown.number}",
        "@urlTaxReductionList": f"{url}/taxreductions?filter=orders&referencenumber={shown.number}",
        "Cancelled": shown.cancelled,
        "DocumentNumber": str(shown.number),
        "InvoiceReference": str(shown.invoice_reference),
        "OrderDate": shown.shadow.invoice_date,
        "OrderRows": [
            {
                **{name: value for name, value in row.items() if name not in _NOT_ON_ORDER_ROWS},
                "OrderedQuantity": row["DeliveredQuantity"],
            }
            for row in as_invoice["InvoiceRows"]
        ],
        "OrderType": "Order",
    }


_NOT_ON_ORDER_ROWS = ("PriceExcludingVAT", "TotalExcludingVAT")


def order_row(url: str, shown: Order) -> Shown:
    """An order in a list."""
    text = shown.shadow.text
    return {
        "@url": f"{url}/orders/{shown.number}",
        "Cancelled": shown.cancelled,
        "Currency": shown.shadow.currency,
        "CustomerName": text("CustomerName"),
        "CustomerNumber": shown.shadow.customer_number,
        "DeliveryDate": shown.shadow.values.get("DeliveryDate"),
        "DocumentNumber": str(shown.number),
        "ExternalInvoiceReference1": text("ExternalInvoiceReference1"),
        "ExternalInvoiceReference2": text("ExternalInvoiceReference2"),
        "OrderDate": shown.shadow.invoice_date,
        "OrderType": "Order",
        "Project": text("Project"),
        "Sent": shown.shadow.sent,
        "Total": shown.shadow.total,
    }


def payment(url: str, shown: Payment, books: Sales) -> Shown:
    """An invoice payment in full."""
    paid = books.invoices[shown.invoice_number]
    return {
        "@url": f"{url}/invoicepayments/{shown.number}",
        "Amount": shown.amount,
        "AmountCurrency": shown.amount_currency,
        "Booked": shown.booked,
        "Currency": shown.currency,
        "CurrencyRate": shown.rate,
        "CurrencyUnit": shown.unit,
        "ExternalInvoiceReference1": paid.text("ExternalInvoiceReference1"),
        "ExternalInvoiceReference2": paid.text("ExternalInvoiceReference2"),
        "InvoiceCustomerName": paid.text("CustomerName"),
        "InvoiceCustomerNumber": paid.customer_number,
        "InvoiceNumber": shown.invoice_number,
        "InvoiceDueDate": paid.due_date,
        "InvoiceOCR": paid.text("OCR"),
        "InvoiceTotal": plain(paid.total),
        "ModeOfPayment": shown.mode,
        "ModeOfPaymentAccount": shown.account,
        "Number": _number(shown, books),
        "PaymentDate": shown.date,
        **_voucher_key(shown.voucher),
        "Source": "direct",
        "WriteOffs": [
            {
                "Amount": write_off.amount,
                "AccountNumber": write_off.account,
                "CostCenter": write_off.cost_center,
                "Currency": "SEK",
                "Description": write_off.description,
                "TransactionInformation": write_off.text,
                "Project": write_off.project,
            }
            for write_off in shown.write_offs
        ],
    }


def _number(shown: Payment, books: Sales) -> str | int:
    return str(shown.number) if books.switches.payment_number_as_text else shown.number


def payment_row(url: str, shown: Payment, books: Sales) -> Shown:
    """A payment in a list: no amount in currency, no voucher."""
    return {
        "@url": f"{url}/invoicepayments/{shown.number}",
        "Amount": shown.amount,
        "Booked": shown.booked,
        "Currency": shown.currency,
        "CurrencyRate": shown.rate,
        "CurrencyUnit": shown.unit,
        "InvoiceNumber": shown.invoice_number,
        "Number": _number(shown, books),
        "PaymentDate": shown.date,
        "Source": "direct",
        "WriteOffExist": bool(shown.write_offs),
    }


def voucher_row(url: str, shown: Voucher) -> Shown:
    """A voucher in a list: without its rows."""
    return {
        "@url": f"{url}/vouchers/{shown.series}/{shown.number}?financialyear={shown.year_id}",
        "Comments": shown.comments,
        "Description": shown.description,
        "ReferenceNumber": shown.reference_number,
        "ReferenceType": shown.reference_type,
        "TransactionDate": shown.date,
        "VoucherNumber": shown.number,
        "VoucherSeries": shown.series,
        "Year": shown.year_id,
        "ApprovalState": 0,
    }


def voucher(url: str, shown: Voucher, books: Books) -> Shown:
    """A voucher in full."""
    names = books.accounts[shown.year_id]
    result = voucher_row(url, shown)
    result["CostCenter"], result["Project"] = shown.cost_center, shown.project
    result["VoucherRows"] = [
        {
            "Account": line.account,
            "CostCenter": line.cost_center,
            "Credit": line.credit,
            "Description": names[line.account].description if line.account in names else "",
            "Debit": line.debit,
            "Project": line.project,
            "Removed": False,
            "TransactionInformation": line.text,
            "Quantity": line.quantity,
        }
        for line in shown.rows
    ]
    return result


def account_row(url: str, shown: Account, year: FinancialYear, books: Books) -> Shown:
    """An account in a list."""
    return {
        "@url": f"{url}/accounts/{shown.number}",
        "Active": shown.active,
        "BalanceBroughtForward": books.brought_forward(shown, year),
        "CostCenter": shown.cost_center or None,
        "CostCenterSettings": shown.cost_center_settings,
        "Description": shown.description,
        "Number": shown.number,
        "Project": shown.project,
        "ProjectSettings": shown.project_settings,
        "SRU": shown.sru,
        "VATCode": shown.vat_code,
        "Year": year.id,
    }


def account(url: str, shown: Account, year: FinancialYear, books: Books) -> Shown:
    """An account in full."""
    result = account_row(url, shown, year, books)
    moved = books.balance(shown.number, year_id=year.id)
    result["BalanceCarriedForward"] = books.brought_forward(shown, year) + moved
    result["TransactionInformation"] = shown.transaction_information
    result["TransactionInformationSettings"] = shown.transaction_information_settings
    result["QuantitySettings"] = "ALLOWED"
    result["QuantityUnit"] = ""
    result["OpeningQuantities"] = []
    return result


def financial_year(url: str, shown: FinancialYear) -> Shown:
    """A financial year."""
    return {
        "@url": f"{url}/financialyears/{shown.id}",
        "Id": shown.id,
        "FromDate": shown.from_date,
        "ToDate": shown.to_date,
        "AccountChartType": "BAS",
        "AccountingMethod": shown.method,
    }


def series_row(url: str, shown: Series, year: FinancialYear) -> Shown:
    """A voucher series in a list."""
    return {
        "@url": f"{url}/voucherseries/{shown.code}",
        "Code": shown.code,
        "Description": shown.description,
        "Manual": shown.manual,
        "Year": year.id,
        "Approver": None,
    }


def series(url: str, shown: Series, year: FinancialYear) -> Shown:
    """A voucher series in full, with the number its next voucher gets."""
    return {**series_row(url, shown, year), "NextVoucherNumber": shown.next_number}


def mode_of_payment(url: str, shown: ModeOfPayment) -> Shown:
    """A mode of payment."""
    return {
        "@url": f"{url}/modesofpayments/{shown.code}",
        "Code": shown.code,
        "Description": shown.description,
        "AccountNumber": str(shown.account),
    }


def currency(url: str, shown: Currency, books: Sales) -> Shown:
    """A currency with its present rate."""
    today = books.today()
    rate, unit = books.rate_and_unit(shown.code, today)
    return {
        "@url": f"{url}/currencies/{shown.code}",
        "BuyRate": rate,
        "Code": shown.code,
        "Date": today if shown.automatic else shown.rate_date,
        "Description": shown.description,
        "SellRate": rate,
        "Unit": unit,
        "IsAutomatic": shown.automatic,
    }


_ARTICLE_DEFAULTS: Shown = {
    "Bulky": False,
    "ConstructionAccount": 0,
    "Depth": 0,
    "Description": "",
    "DisposableQuantity": 0,
    "EAN": "",
    "EUAccount": 3108,
    "EUVATAccount": 3106,
    "ExportAccount": 3105,
    "Height": 0,
    "Housework": False,
    "HouseworkType": None,
    "Active": True,
    "Manufacturer": None,
    "ManufacturerArticleNumber": "",
    "Note": "",
    "PurchaseAccount": 4000,
    "PurchasePrice": 0,
    "QuantityInStock": 0,
    "ReservedQuantity": 0,
    "SalesAccount": 3001,
    "StockGoods": False,
    "StockPlace": None,
    "StockValue": 0,
    "StockWarning": 0,
    "SupplierName": None,
    "SupplierNumber": None,
    "Type": "STOCK",
    "Unit": None,
    "VAT": 0,
    "WebshopArticle": False,
    "Weight": 0,
    "Width": 0,
    "Expired": False,
    "SalesPrice": None,
    "CostCalculationMethod": None,
    "StockAccount": None,
    "StockChangeAccount": None,
    "DirectCost": None,
    "FreightCost": None,
    "OtherCost": None,
    "DefaultStockPoint": None,
    "DefaultStockLocation": None,
}


def article(url: str, number: str, values: Shown) -> Shown:
    """An article in full: numbers are numbers."""
    return {"@url": f"{url}/articles/{number}", "ArticleNumber": number, **_ARTICLE_DEFAULTS, **values}


def article_row(url: str, number: str, values: Shown) -> Shown:
    """An article in a list: quantities and prices are strings."""
    purchase_price = values.get("PurchasePrice", Decimal(0))
    vat = values.get("VAT")
    return {
        "@url": f"{url}/articles/{number}",
        "ArticleNumber": number,
        "Description": values.get("Description", ""),
        "DisposableQuantity": "0",
        "EAN": values.get("EAN", ""),
        "Housework": values.get("Housework", False),
        "PurchasePrice": plain(Decimal(purchase_price)),
        "SalesPrice": None,
        "QuantityInStock": plain(Decimal(values.get("QuantityInStock", 0))),
        "ReservedQuantity": "0",
        "StockPlace": values.get("StockPlace"),
        "StockValue": "0",
        "Unit": values.get("Unit"),
        "VAT": None if vat is None else plain(Decimal(vat)),
        "WebshopArticle": values.get("WebshopArticle", False),
    }


def cost_center(url: str, values: Shown) -> Shown:
    """A cost centre."""
    return {
        "@url": f"{url}/costcenters/{values['Code']}",
        "Code": values["Code"],
        "Description": values.get("Description", ""),
        "Note": values.get("Note"),
        "Active": values.get("Active", True),
    }


def project(url: str, values: Shown) -> Shown:
    """A project in full."""
    return {
        "@url": f"{url}/projects/{values['ProjectNumber']}",
        "Comments": values.get("Comments", ""),
        "ContactPerson": values.get("ContactPerson"),
        "Description": values.get("Description", ""),
        "EndDate": values.get("EndDate"),
        "ProjectLeader": values.get("ProjectLeader"),
        "ProjectNumber": values["ProjectNumber"],
        "Status": values.get("Status", "ONGOING"),
        "StartDate": values.get("StartDate"),
    }


def project_row(url: str, values: Shown) -> Shown:
    """A project in a list."""
    full = project(url, values)
    return {name: full[name] for name in full if name not in ("Comments", "ContactPerson")}
