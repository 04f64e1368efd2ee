"""What Kvitt needs of e-conomic, in the order in which people should read it."""

from __future__ import annotations

from typing import Final

from addon.core.checklists import Prerequisite
from addon.ports.connectors import _

CHECKLIST: Final = (
    Prerequisite(
        "accrual_method",
        _("Your books are kept by invoices (the accrual method)"),
        _(
            "By payments (the cash method) an invoice and its payment make no entries of their own, so nothing can be "
            "followed from the sale to the bank."
        ),
        _("No call tells, so you are asked when you install; Kvitt: Settings, In your books"),
    ),
    Prerequisite(
        "licence",
        _("Your e-conomic agreement has what Kvitt works with"),
        _("Where a module is missing, e-conomic refuses what Kvitt writes. The smallest package admits few apps."),
        _("e-conomic: All settings, Company, Subscription and modules"),
    ),
    Prerequisite(
        "scope",
        _("Kvitt has the role SuperUser in your e-conomic"),
        _("Invoices need the role for sales, vouchers the one for bookkeeping, and only SuperUser has both."),
        _("Install Kvitt again, signed in to e-conomic as a superuser of the agreement"),
    ),
    Prerequisite(
        "financial_year",
        _("There is an accounting year for each day that Kvitt books on"),
        _("An entry needs a year to stand in."),
        _("e-conomic: All settings, Accounting, Accounting years"),
    ),
    Prerequisite(
        "locked_period",
        _("The months from which Kvitt starts are neither closed nor barred"),
        _("Nothing can be written into them."),
        _("e-conomic: All settings, Accounting, Accounting years, the year's periods; or choose a later start date"),
    ),
    Prerequisite(
        "voucher_series",
        _("There is a journal for Kvitt alone, for all kinds of entries and with voucher numbers left"),
        _(
            "Payments, fees and payouts are entries of a journal. Booking one of its own, Kvitt never books what your "
            "bookkeeper has half finished in another."
        ),
        _("Kvitt can make it and set it right, or e-conomic: All settings, Accounting, Journals"),
    ),
    Prerequisite(
        "clearing_account",
        _("There is an open account for what the provider owes you, one for each currency"),
        _(
            "All that is sold lands there and all that is paid out leaves it, so that what is left is what the "
            "provider still owes you."
        ),
        _("Kvitt can open or make it, or e-conomic: All settings, Accounting, Chart of accounts"),
    ),
    Prerequisite(
        "account",
        _("The other accounts are there, open, and demand no department or unit: sales, fees, bank, VAT on fees"),
        _("Entries that need a missing account wait in the inbox until it is there."),
        _("Kvitt can open or make them, or e-conomic: All settings, Accounting, Chart of accounts"),
    ),
    Prerequisite(
        "predefined_account",
        _("The account of your customer group is there: it takes what customers owe"),
        _("e-conomic itself books invoices and their payments on it."),
        _("e-conomic: All settings, Registers, Customer groups"),
    ),
    Prerequisite(
        "exchange_account",
        _("There are accounts for exchange gains and losses"),
        _(
            "When a foreign invoice is paid e-conomic books the difference itself, on system accounts of its own. No "
            "call tells which these are: choose the same ones in Kvitt."
        ),
        _("e-conomic: All settings, Accounting, System accounts; then Kvitt: Settings, Accounts"),
    ),
    Prerequisite(
        "currency",
        _("The currencies that your buyers pay in are there"),
        _("An invoice is made in the currency that the buyer paid."),
        _("e-conomic: All settings, Accounting, Currencies"),
    ),
    Prerequisite(
        "vat_zone",
        _("There is a VAT zone for customers wherever you sell: domestic, EU, abroad"),
        _("The buyer's zone decides the VAT of an invoice."),
        _("e-conomic: All settings, Registers, VAT zones"),
    ),
    Prerequisite(
        "layout",
        _("There is a layout for invoices"),
        _("An invoice cannot be made without one. Kvitt takes the first, or the one that you choose."),
        _("e-conomic: All settings, Sales, Design and layout; or choose another one under Settings"),
    ),
    Prerequisite(
        "payment_terms",
        _("There are terms of payment that leave the invoice open"),
        _("Kvitt enters the payment itself. Terms such as paid in cash or prepaid would book it a second time."),
        _("e-conomic: All settings, Sales, Terms of payment; or choose other ones under Settings"),
    ),
    Prerequisite(
        "customer_group",
        _("There is a customer group for new customers"),
        _("It decides the account of what they owe. Kvitt takes the first, or the one that you choose."),
        _("e-conomic: All settings, Registers, Customer groups; or choose another one under Settings"),
    ),
    Prerequisite(
        "product_group",
        _("Each kind of sale has a product group that sells on its account at its VAT rate"),
        _(
            "A row of an invoice has no account and no VAT of its own: both come from its product's group and the "
            "buyer's VAT zone."
        ),
        _("Kvitt can make it, or e-conomic: All settings, Registers, Product groups"),
    ),
    Prerequisite(
        "rounding_product",
        _("There is a product group without VAT, for roundings"),
        _("Net prices of two decimals miss one total in five by an øre, which then stands in a row without VAT."),
        _("e-conomic: All settings, Registers, Product groups; or choose one under Settings"),
    ),
    Prerequisite(
        "product",
        _("Kvitt's own products (KVITT-…) are open"),
        _(
            "Kvitt makes one for each product group that it sells by. Where somebody has barred it, its sales are "
            "refused."
        ),
        _("Kvitt can open it, or e-conomic: Sales, Products"),
    ),
    Prerequisite(
        "oss_vat_code",
        _("Sales accounts of other EU countries have VAT codes of their own"),
        _("With a domestic code, or none, their VAT lands in your own country's return, or is not charged at all."),
        _(
            "e-conomic: All settings, Accounting, VAT codes (one for each country and rate); then the account's VAT "
            "code"
        ),
    ),
    Prerequisite(
        "webhook",
        _("e-conomic tells Kvitt when an invoice has been booked"),
        _("Then a payment that waits for its invoice is registered within minutes. Without it Kvitt looks once a day."),
        _("Kvitt can register it, or e-conomic: All settings, Extensions, Web hooks"),
    ),
)
"""The list, in the words of e-conomic."""
