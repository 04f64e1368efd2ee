"""What these books must be like, in the system's own words; what is not on the list is not checked."""

from __future__ import annotations

from typing import Final

from addon.core.checklists import Prerequisite
from addon.ports.connectors import _

CHECKLIST: Final = (
    Prerequisite(
        "accrual_method",
        _("Your books use the accrual method"),
        _("With the cash method nothing can be followed from the sale to the bank."),
        _("There: Company, Years"),
    ),
    Prerequisite(
        "financial_year",
        _("There is a financial year for each day that Kvitt books on"),
        _("An entry needs a year to stand in."),
        _("There: Company, Years"),
    ),
    Prerequisite(
        "voucher_series",
        _("There is a manual series for Kvitt alone"),
        _("In a series of its own Kvitt can tell what it has written."),
        _("Kvitt can make it, or there: Series"),
    ),
    Prerequisite(
        "clearing_account",
        _("There is an active account for what the provider owes you"),
        _("All that is sold lands there and all that is paid out leaves it."),
        _("Kvitt can make it, or there: Chart of accounts"),
    ),
    Prerequisite(
        "account",
        _("The other accounts are there and active"),
        _("Entries that need a missing account wait in the inbox until it is there."),
        _("Kvitt can make them, or there: Chart of accounts"),
    ),
    Prerequisite(
        "locked_period",
        _("The days from which Kvitt starts are not locked"),
        _("Nothing can be written into a locked period."),
        _("There: Company, Lock; or choose a later start date"),
    ),
)
"""In the order in which people should read it. Codes are those of `addon.core.prerequisites`."""
