"""What Kvitt needs of Fortnox, in the order in which people should read it."""

from __future__ import annotations

from typing import Final

from addon.core.checklists import Prerequisite
from addon.ports.connectors import _

CHECKLIST: Final = (
    Prerequisite(
        "accrual_method",
        _("Your books use the accrual method (faktureringsmetoden)"),
        _(
            "With the cash method an invoice and its payment make no entries of their own, so nothing can be "
            "followed from the sale to the bank."
        ),
        _("Fortnox: Settings, Financial years"),
    ),
    Prerequisite(
        "licence",
        _("Your Fortnox has the licences for bookkeeping, invoicing and integrations"),
        _("Without them Fortnox refuses what Kvitt writes."),
        _("Fortnox: Manage users and licences"),
    ),
    Prerequisite(
        "scope",
        _("You have let Kvitt read and write invoices, payments, customers, vouchers, currencies and settings"),
        _("Kvitt asks for nothing else, and can do its work with nothing less."),
        _("Install Kvitt again and accept all that is asked for"),
    ),
    Prerequisite(
        "financial_year",
        _("There is a financial year for each day that Kvitt books on"),
        _("An entry needs a year to stand in."),
        _("Fortnox: Settings, Financial years"),
    ),
    Prerequisite(
        "invoice_series",
        _("A voucher series is chosen for customer invoices (B as a rule)"),
        _("Fortnox numbers the entries of invoices in it."),
        _("Fortnox: Settings, Bookkeeping, Predefined voucher series"),
    ),
    Prerequisite(
        "payment_series",
        _("A voucher series is chosen for incoming payments (C as a rule)"),
        _("Fortnox numbers the entries of payments in it."),
        _("Fortnox: Settings, Bookkeeping, Predefined voucher series"),
    ),
    Prerequisite(
        "voucher_series",
        _("There is a manual voucher series for Kvitt alone"),
        _("Fees and payouts are vouchers. In a series of its own Kvitt can tell what it has written."),
        _("Kvitt can make it, or Fortnox: Settings, Bookkeeping, Voucher series"),
    ),
    Prerequisite(
        "clearing_account",
        _("There is an active account for what the provider owes you, one for each currency (1686 as a rule)"),
        _(
            "All that is sold lands there and all that is paid out leaves it, so that what is left is what the "
            "provider still owes you."
        ),
        _("Kvitt can activate or make it, or Fortnox: Register, Chart of accounts"),
    ),
    Prerequisite(
        "account",
        _("The other accounts are there and active: sales, fees, bank, VAT on fees"),
        _("Entries that need a missing account wait in the inbox until it is there."),
        _("Kvitt can activate or make them, or Fortnox: Register, Chart of accounts"),
    ),
    Prerequisite(
        "predefined_account",
        _(
            "The accounts that Fortnox itself posts on are active: customer claims 1510, rounding, exchange gain and "
            "loss"
        ),
        _("Fortnox books invoices and exchange differences there."),
        _("Fortnox: Settings, Bookkeeping, Predefined accounts"),
    ),
    Prerequisite(
        "currency",
        _("The currencies that your buyers pay in are added, with automatic rates"),
        _("An invoice is made in the currency that the buyer paid."),
        _("Kvitt can add them, or Fortnox: Settings, Currencies"),
    ),
    Prerequisite(
        "payment_mode",
        _("There is a way of payment for the clearing account"),
        _("It says on which account Fortnox books a payment."),
        _("Kvitt can add it, or Fortnox: Settings, Ways of payment"),
    ),
    Prerequisite(
        "locked_period",
        _("The days from which Kvitt starts are not locked"),
        _("Nothing can be written into a locked period."),
        _("Fortnox: Settings, Bookkeeping, Locked period; or choose a later start date"),
    ),
    Prerequisite(
        "code",
        _("The cost centres, projects and terms of payment that you have chosen are there and open"),
        _("Documents that name a missing one wait in the inbox until it is there."),
        _("Fortnox: Register; or choose another one under Settings"),
    ),
    Prerequisite(
        "article_register",
        _("Kvitt may read and write the register that your choice needs: articles, orders, cost centres, projects"),
        _("Without it rows cannot name articles, no order can be made, and codes cannot be checked."),
        _("Install Kvitt again and accept all that is asked for, or choose otherwise under Settings"),
    ),
    Prerequisite(
        "warehouse",
        _("The warehouse module does not hold invoices back"),
        _(
            "With it Fortnox lets an invoice be booked only once its goods are marked as delivered. Kvitt marks its "
            "own invoices itself; invoices of others are matched once somebody has marked and booked them."
        ),
        _("Fortnox: Settings, Warehouse"),
    ),
    Prerequisite(
        "oss_vat_code",
        _("Sales accounts of other EU countries have VAT codes of their own"),
        _(
            "Without one Fortnox books the VAT of an invoice on the Swedish account of that rate, and it lands in the "
            "Swedish return."
        ),
        _("Fortnox: Settings, Bookkeeping, VAT (a code for each country and rate); then the account's VAT code"),
    ),
    Prerequisite(
        "easy_vat",
        _("Simplified VAT (EasyVat) fits the rates that you use"),
        _("With it Fortnox chooses sales accounts by itself and takes its standard rates only."),
        _("Fortnox: Settings, VAT"),
    ),
)
"""The list, in the words of Fortnox."""
