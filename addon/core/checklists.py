"""The lists that people read before they install: what the books must be like, why, and where it is mended.

There is one list for each accounting system, in its own words; what stands in a system's list is what is checked there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STOPPING: Final = frozenset(
    {
        "accrual_method",
        "licence",
        "scope",
        "invoice_series",
        "payment_series",
        "voucher_series",
        "clearing_account",
    }
)
"""Checks that stop the whole company while they are red."""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A line of the list that people read before they install: what is checked, why, and where it is mended."""

    code: str
    title: str
    why: str
    where: str


FORTNOX: Final = (
    Prerequisite(
        "accrual_method",
        "Your books use the accrual method (faktureringsmetoden)",
        "With the cash method an invoice and its payment make no entries of their own, so nothing can be "
        "followed from the sale to the bank.",
        "Fortnox: Settings, Financial years",
    ),
    Prerequisite(
        "licence",
        "Your Fortnox has the licences for bookkeeping, invoicing and integrations",
        "Without them Fortnox refuses what Kvitt writes.",
        "Fortnox: Manage users and licences",
    ),
    Prerequisite(
        "scope",
        "You have let Kvitt read and write invoices, payments, customers, vouchers, currencies and settings",
        "Kvitt asks for nothing else, and can do its work with nothing less.",
        "Install Kvitt again and accept all that is asked for",
    ),
    Prerequisite(
        "financial_year",
        "There is a financial year for each day that Kvitt books on",
        "An entry needs a year to stand in.",
        "Fortnox: Settings, Financial years",
    ),
    Prerequisite(
        "invoice_series",
        "A voucher series is chosen for customer invoices (B as a rule)",
        "Fortnox numbers the entries of invoices in it.",
        "Fortnox: Settings, Bookkeeping, Predefined voucher series",
    ),
    Prerequisite(
        "payment_series",
        "A voucher series is chosen for incoming payments (C as a rule)",
        "Fortnox numbers the entries of payments in it.",
        "Fortnox: Settings, Bookkeeping, Predefined voucher series",
    ),
    Prerequisite(
        "voucher_series",
        "There is a manual voucher series for Kvitt alone",
        "Fees and payouts are vouchers. In a series of its own Kvitt can tell what it has written.",
        "Kvitt can make it, or Fortnox: Settings, Bookkeeping, Voucher series",
    ),
    Prerequisite(
        "clearing_account",
        "There is an active account for what Stripe owes you, one for each currency (1686 as a rule)",
        "All that is sold lands there and all that is paid out leaves it, so that what is left is what Stripe "
        "still owes you.",
        "Kvitt can activate or make it, or Fortnox: Register, Chart of accounts",
    ),
    Prerequisite(
        "account",
        "The other accounts are there and active: sales, fees, bank, VAT on fees",
        "Entries that need a missing account wait in the inbox until it is there.",
        "Kvitt can activate or make them, or Fortnox: Register, Chart of accounts",
    ),
    Prerequisite(
        "predefined_account",
        "The accounts that Fortnox itself posts on are active: customer claims 1510, rounding, exchange gain and loss",
        "Fortnox books invoices and exchange differences there.",
        "Fortnox: Settings, Bookkeeping, Predefined accounts",
    ),
    Prerequisite(
        "currency",
        "The currencies that your buyers pay in are added, with automatic rates",
        "An invoice is made in the currency that the buyer paid.",
        "Kvitt can add them, or Fortnox: Settings, Currencies",
    ),
    Prerequisite(
        "payment_mode",
        "There is a way of payment for the clearing account",
        "It says on which account Fortnox books a payment.",
        "Kvitt can add it, or Fortnox: Settings, Ways of payment",
    ),
    Prerequisite(
        "locked_period",
        "The days from which Kvitt starts are not locked",
        "Nothing can be written into a locked period.",
        "Fortnox: Settings, Bookkeeping, Locked period; or choose a later start date",
    ),
    Prerequisite(
        "code",
        "The cost centres, projects and terms of payment that you have chosen are there and open",
        "Documents that name a missing one wait in the inbox until it is there.",
        "Fortnox: Register; or choose another one under Settings",
    ),
    Prerequisite(
        "article_register",
        "Kvitt may read and write the register that your choice needs: articles, orders, cost centres, projects",
        "Without it rows cannot name articles, no order can be made, and codes cannot be checked.",
        "Install Kvitt again and accept all that is asked for, or choose otherwise under Settings",
    ),
    Prerequisite(
        "warehouse",
        "The warehouse module does not hold invoices back",
        "With it Fortnox lets an invoice be booked only once its goods are marked as delivered. Kvitt marks its own "
        "invoices itself; invoices of others are matched once somebody has marked and booked them.",
        "Fortnox: Settings, Warehouse",
    ),
    Prerequisite(
        "oss_vat_code",
        "Sales accounts of other EU countries have VAT codes of their own",
        "Without one Fortnox books the VAT of an invoice on the Swedish account of that rate, and it lands in the "
        "Swedish return.",
        "Fortnox: Settings, Bookkeeping, VAT (a code for each country and rate); then the account's VAT code",
    ),
    Prerequisite(
        "easy_vat",
        "Simplified VAT (EasyVat) fits the rates that you use",
        "With it Fortnox chooses sales accounts by itself and takes its standard rates only.",
        "Fortnox: Settings, VAT",
    ),
)
"""What Kvitt needs of Fortnox, in the order in which people should read it."""

ECONOMIC: Final = (
    Prerequisite(
        "accrual_method",
        "Your books are kept by invoices (the accrual method)",
        "By payments (the cash method) an invoice and its payment make no entries of their own, so nothing can be "
        "followed from the sale to the bank.",
        "No call tells, so you are asked when you install; Kvitt: Settings, In your books",
    ),
    Prerequisite(
        "licence",
        "Your e-conomic agreement has what Kvitt works with",
        "Where a module is missing, e-conomic refuses what Kvitt writes. The smallest package admits few apps.",
        "e-conomic: All settings, Company, Subscription and modules",
    ),
    Prerequisite(
        "scope",
        "Kvitt has the role SuperUser in your e-conomic",
        "Invoices need the role for sales, vouchers the one for bookkeeping, and only SuperUser has both.",
        "Install Kvitt again, signed in to e-conomic as a superuser of the agreement",
    ),
    Prerequisite(
        "financial_year",
        "There is an accounting year for each day that Kvitt books on",
        "An entry needs a year to stand in.",
        "e-conomic: All settings, Accounting, Accounting years",
    ),
    Prerequisite(
        "locked_period",
        "The months from which Kvitt starts are neither closed nor barred",
        "Nothing can be written into them.",
        "e-conomic: All settings, Accounting, Accounting years, the year's periods; or choose a later start date",
    ),
    Prerequisite(
        "voucher_series",
        "There is a journal for Kvitt alone, for all kinds of entries and with voucher numbers left",
        "Payments, fees and payouts are entries of a journal. Booking one of its own, Kvitt never books what your "
        "bookkeeper has half finished in another.",
        "Kvitt can make it and set it right, or e-conomic: All settings, Accounting, Journals",
    ),
    Prerequisite(
        "clearing_account",
        "There is an open account for what the provider owes you, one for each currency",
        "All that is sold lands there and all that is paid out leaves it, so that what is left is what the provider "
        "still owes you.",
        "Kvitt can open or make it, or e-conomic: All settings, Accounting, Chart of accounts",
    ),
    Prerequisite(
        "account",
        "The other accounts are there, open, and demand no department or unit: sales, fees, bank, VAT on fees",
        "Entries that need a missing account wait in the inbox until it is there.",
        "Kvitt can open or make them, or e-conomic: All settings, Accounting, Chart of accounts",
    ),
    Prerequisite(
        "predefined_account",
        "The account of your customer group is there: it takes what customers owe",
        "e-conomic itself books invoices and their payments on it.",
        "e-conomic: All settings, Registers, Customer groups",
    ),
    Prerequisite(
        "exchange_account",
        "There are accounts for exchange gains and losses",
        "When a foreign invoice is paid e-conomic books the difference itself, on system accounts of its own. No call "
        "tells which these are: choose the same ones in Kvitt.",
        "e-conomic: All settings, Accounting, System accounts; then Kvitt: Settings, Accounts",
    ),
    Prerequisite(
        "currency",
        "The currencies that your buyers pay in are there",
        "An invoice is made in the currency that the buyer paid.",
        "e-conomic: All settings, Accounting, Currencies",
    ),
    Prerequisite(
        "vat_zone",
        "There is a VAT zone for customers wherever you sell: domestic, EU, abroad",
        "The buyer's zone decides the VAT of an invoice.",
        "e-conomic: All settings, Registers, VAT zones",
    ),
    Prerequisite(
        "layout",
        "There is a layout for invoices",
        "An invoice cannot be made without one. Kvitt takes the first, or the one that you choose.",
        "e-conomic: All settings, Sales, Design and layout; or choose another one under Settings",
    ),
    Prerequisite(
        "payment_terms",
        "There are terms of payment that leave the invoice open",
        "Kvitt enters the payment itself. Terms such as paid in cash or prepaid would book it a second time.",
        "e-conomic: All settings, Sales, Terms of payment; or choose other ones under Settings",
    ),
    Prerequisite(
        "customer_group",
        "There is a customer group for new customers",
        "It decides the account of what they owe. Kvitt takes the first, or the one that you choose.",
        "e-conomic: All settings, Registers, Customer groups; or choose another one under Settings",
    ),
    Prerequisite(
        "product_group",
        "Each kind of sale has a product group that sells on its account at its VAT rate",
        "A row of an invoice has no account and no VAT of its own: both come from its product's group and the buyer's "
        "VAT zone.",
        "Kvitt can make it, or e-conomic: All settings, Registers, Product groups",
    ),
    Prerequisite(
        "rounding_product",
        "There is a product group without VAT, for roundings",
        "Net prices of two decimals miss one total in five by an øre, which then stands in a row without VAT.",
        "e-conomic: All settings, Registers, Product groups; or choose one under Settings",
    ),
    Prerequisite(
        "product",
        "Kvitt's own products (KVITT-…) are open",
        "Kvitt makes one for each product group that it sells by. Where somebody has barred it, its sales are refused.",
        "Kvitt can open it, or e-conomic: Sales, Products",
    ),
    Prerequisite(
        "oss_vat_code",
        "Sales accounts of other EU countries have VAT codes of their own",
        "With a domestic code, or none, their VAT lands in your own country's return, or is not charged at all.",
        "e-conomic: All settings, Accounting, VAT codes (one for each country and rate); then the account's VAT code",
    ),
    Prerequisite(
        "webhook",
        "e-conomic tells Kvitt when an invoice has been booked",
        "Then a payment that waits for its invoice is registered within minutes. Without it Kvitt looks once a day.",
        "Kvitt can register it, or e-conomic: All settings, Extensions, Web hooks",
    ),
)
"""What Kvitt needs of e-conomic."""

CHECKLISTS: Final[Mapping[str, tuple[Prerequisite, ...]]] = {"fortnox": FORTNOX, "economic": ECONOMIC}


def checklist_of(system: str) -> tuple[Prerequisite, ...]:
    """The list of an accounting system; one that has none of its own yet is checked like Fortnox."""
    return CHECKLISTS.get(system, FORTNOX)


def entries_of(system: str) -> Mapping[str, Prerequisite]:
    """A system's list by code, and below it what only other systems have, for lines that were stored before."""
    everywhere = {entry.code: entry for entries in CHECKLISTS.values() for entry in entries}
    return {**everywhere, **{entry.code: entry for entry in checklist_of(system)}}
