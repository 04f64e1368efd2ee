"""The words of the pages: each state, kind, reason and check in plain language, ready to be translated.

Everything here is looked up by the enums of the core; a test sees to it that no member is without words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from flask_babel import gettext, lazy_gettext

from addon.core.books import OrderField
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import CustomerVat, DocumentKind
from addon.core.fee_vat import FeeEntity, FeeVat
from addon.core.fixings import RateChoice
from addon.core.holds import HoldReason, WaitReason
from addon.core.kinds import BankSide, BouncedPayment, LostDispute
from addon.core.plan.routed import Course, Way
from addon.core.plan.undo import LeftAlone
from addon.core.records import FeeKind, MovementKind, PayoutState
from addon.core.routing import ANYTHING, Action, Rule, Subject
from addon.core.rules import LockedRule
from addon.core.settlement import SettlementBy, SettlementContra, SettlementLines
from addon.core.statement import Group, OpenWhy
from addon.core.vat import NumberState
from addon.ports import registry
from addon.ports.connectors import SystemWords
from addon.web import filters

Text = Any
"""A lazily translated text; flask_babel is published without type marks."""


def _(text: str) -> Text:
    return lazy_gettext(text)


MODES: Final[Mapping[str, Text]] = {
    "basic": _("Basic"),
    "plus": _("Plus"),
    "settlement": _("Settlement"),
    "": _("Not chosen yet"),
}


def way_title(provider: str, way: str) -> Text:
    """What a way into a provider is called."""
    try:
        return gettext(registry.payment(provider).way(way).title)
    except LookupError:
        return way


CONNECTION_STATES: Final[Mapping[str, Text]] = {
    "connected": _("Connected"),
    "needs_reconnect": _("Must be connected again"),
    "disconnected": _("Disconnected"),
}

COMPANY_STATES: Final[Mapping[str, Text]] = {
    "setting_up": _("Being set up"),
    "active": _("Running"),
    "stopped": _("Stopped"),
    "disconnected": _("Disconnected"),
}


# --- Movements, parts, documents -----------------------------------------------------------------------------

KINDS: Final[Mapping[MovementKind, Text]] = {
    MovementKind.SALE: _("Sale"),
    MovementKind.SALE_REVERSAL: _("Bounced payment"),
    MovementKind.REFUND: _("Refund"),
    MovementKind.REFUND_REVERSAL: _("Failed refund"),
    MovementKind.DISPUTE: _("Dispute"),
    MovementKind.DISPUTE_REVERSAL: _("Dispute won back"),
    MovementKind.DISPUTE_LOST: _("Dispute lost"),
    MovementKind.FEE: _("Fee"),
    MovementKind.FEE_TAX: _("Tax on fees"),
    MovementKind.PAYOUT: _("Payout"),
    MovementKind.PAYOUT_REVERSAL: _("Failed payout"),
    MovementKind.RESERVE: _("Reserve"),
    MovementKind.TRANSFER: _("Transfer"),
    MovementKind.PLATFORM_EARNING: _("Platform earning"),
    MovementKind.TOP_UP: _("Top-up"),
    MovementKind.FINANCING: _("Financing"),
    MovementKind.CONVERSION: _("Currency conversion"),
    MovementKind.CONTRIBUTION: _("Contribution"),
    MovementKind.ADJUSTMENT: _("Adjustment"),
    MovementKind.UNRECOGNISED: _("Unknown kind"),
}

PART_KINDS: Final[Mapping[str, Text]] = {
    "amount": _("Amount"),
    "fee": _("Fee"),
    "fee_tax": _("Tax on the fee"),
    "foreign_fee": _("Another company's fee"),
}


@dataclass(frozen=True, slots=True)
class State:
    """A state as it is shown: never colour alone, but mark, word and colour."""

    word: Text
    mark: str
    tone: str
    """Name of the colour: done, wait, hold, stop, quiet."""


PART_STATES: Final[Mapping[PartState, State]] = {
    PartState.OPEN: State(_("Fetched"), "circle", "quiet"),
    PartState.PLANNED: State(_("On its way"), "arrow", "quiet"),
    PartState.BOOKED: State(_("Booked"), "check", "done"),
    PartState.WAITING: State(_("Waiting"), "clock", "wait"),
    PartState.HELD: State(_("Needs you"), "hand", "hold"),
    PartState.SET_ASIDE: State(_("Set aside"), "minus", "quiet"),
}

DOCUMENT_STATES: Final[Mapping[str, State]] = {
    DeliveryState.PROPOSED: State(_("Proposed"), "circle", "quiet"),
    DeliveryState.APPROVED: State(_("Approved"), "arrow", "quiet"),
    DeliveryState.SENDING: State(_("Being booked"), "arrow", "quiet"),
    DeliveryState.BOOKED: State(_("Booked"), "check", "done"),
    DeliveryState.REJECTED: State(_("Refused"), "cross", "stop"),
}

PAYOUT_STATES: Final[Mapping[PayoutState, State]] = {
    PayoutState.UNDER_WAY: State(_("Under way"), "clock", "wait"),
    PayoutState.PAID: State(_("Paid out"), "check", "done"),
    PayoutState.FAILED: State(_("Failed"), "cross", "stop"),
    PayoutState.CANCELLED: State(_("Cancelled"), "minus", "quiet"),
}

RUN_STATES: Final[Mapping[str, State]] = {
    "running": State(_("Running"), "arrow", "wait"),
    "done": State(_("Done"), "check", "done"),
    "failed": State(_("Stopped"), "cross", "stop"),
}

RUN_TRIGGERS: Final[Mapping[str, Text]] = {
    "click": _("Started by a person"),
    "person": _("Started by a person"),
    "web": _("Started by a person"),
    "clock": _("Daily run"),
    "daily": _("Daily run"),
    "schedule": _("Daily run"),
    "webhook": _("Nudged by the provider"),
    "cli": _("Started from the command line"),
    "sweep": _("Picked up again"),
    "approve": _("Started by an approval"),
    "evidence": _("Attaches the provider's records"),
    "preview": _("A look at what would be booked"),
    "undo_preview": _("A look at what an undo would write"),
    "undo": _("Undoes an earlier run"),
    "backfill_preview": _("A look at an earlier year"),
    "backfill": _("Brings an earlier year in"),
}

RUN_PHASES: Final[Mapping[str, Text]] = {
    "books": _("Reading your books"),
    "fetch": _("Fetching what the provider has"),
    "plan": _("Deciding what to book"),
    "deliver": _("Writing into your books"),
    "audit": _("Comparing your books with what was sent"),
    "prove": _("Proving that books and provider agree"),
    "look": _("Deciding what would be booked"),
    "stage": _("Fetching the earlier year"),
    "undo": _("Deciding what must be taken back"),
    "evidence": _("Attaching the provider's records to vouchers"),
    "done": _("Done"),
}

RUN_MESSAGES: Final[Mapping[str, Text]] = {
    "reconnect": _("The accounting system must be connected again."),
    "no_connection": _("No provider is connected with a mode and a start date."),
    "books_unread": _("Your books have not been read yet."),
    "balance_moving": _("The provider's balance was moving, so the proof waits for the next run."),
    "setting_up": _("The company is still being set up."),
    "disconnected": _("The accounting system is disconnected."),
    "rates_away": _(
        "The bank that you take exchange rates from gave no answer; what needs them waits for the next run."
    ),
    "writes_wait": _("The accounting system gave no answer for half an hour; the next run goes on."),
}
"""Why a run ended, where it is none of the prerequisites."""

DOCUMENT_KINDS: Final[Mapping[str, Text]] = {
    DocumentKind.SALE: _("Invoice and payment"),
    DocumentKind.REFUND: _("Credit note and repayment"),
    DocumentKind.MATCH: _("Payment on an invoice that was there"),
    DocumentKind.FEES: _("Voucher: the day's fees"),
    DocumentKind.PAYOUT: _("Voucher: payout to the bank"),
    DocumentKind.PAYOUT_REVERSAL: _("Voucher: failed payout taken back"),
    DocumentKind.ROUTED: _("Voucher: by your own rule"),
    DocumentKind.SETTLEMENT: _("Voucher: payments and their fees"),
    DocumentKind.FOREIGN_FEES: _("Voucher: the day's fees of other companies"),
    DocumentKind.DISPUTE: _("Voucher: payment withdrawn by the buyer's bank"),
    DocumentKind.DISPUTE_WON: _("Voucher: dispute won, money back"),
    DocumentKind.DISPUTE_LOST: _("Voucher: dispute lost, written off"),
    DocumentKind.BOUNCED_PAYMENT: _("Voucher: payment that bounced"),
    DocumentKind.PAID_AGAIN: _("Voucher: a bounced payment made good"),
    DocumentKind.RETURNED_REFUND: _("Voucher: refund that came back"),
    DocumentKind.REFUNDED_AGAIN: _("Voucher: refund made once more"),
    DocumentKind.RESERVE: _("Voucher: money held back or released"),
    DocumentKind.TOP_UP: _("Voucher: money put into the balance"),
    DocumentKind.TRANSFER: _("Voucher: transfer between accounts at the provider"),
    DocumentKind.PLATFORM_EARNING: _("Voucher: a platform's own fee income"),
    DocumentKind.FINANCING: _("Voucher: the provider's financing"),
    DocumentKind.CONTRIBUTION: _("Voucher: contribution"),
    DocumentKind.ADJUSTMENT: _("Voucher: the provider's adjustment"),
    DocumentKind.CONVERSION: _("Voucher: one balance changed into another"),
    DocumentKind.UNDO: _("Undoes an earlier document"),
    DocumentKind.REVALUATION: _("Voucher: balance valued at the end of the year"),
    DocumentKind.CORRECTION: _("Voucher: a second copy taken back"),
    DocumentKind.OPENING: _("Voucher: what the provider owed at the start"),
}

DOCUMENT_NUMBERS: Final[Mapping[str, Text]] = {
    DocumentKind.SALE: _("Invoice %(number)s"),
    DocumentKind.REFUND: _("Credit note %(number)s"),
    DocumentKind.MATCH: _("Invoice %(number)s"),
}
"""What a document's number is called; vouchers are called by series and number alone."""

STEP_KINDS: Final[Mapping[str, Text]] = {
    "create_customer": _("Customer made"),
    "create_invoice": _("Invoice made"),
    "round_invoice": _("Rounding row added"),
    "book_invoice": _("Invoice booked"),
    "credit_invoice": _("Credit note made"),
    "date_credit_note": _("Credit note dated"),
    "create_payment": _("Payment made"),
    "book_payment": _("Payment booked"),
    "update_customer": _("Customer brought up to date"),
    "create_article": _("Article made"),
    "create_order": _("Order made"),
    "await_invoice": _("Invoice booked by you"),
    "await_payment": _("Payment booked by you"),
    "mail_invoice": _("Invoice mailed to the buyer"),
    "post_voucher": _("Voucher written"),
}

NUMBER_STATES: Final[Mapping[NumberState, State]] = {
    NumberState.VALID: State(_("Valid"), "check", "done"),
    NumberState.INVALID: State(_("Not valid"), "cross", "stop"),
    NumberState.MALFORMED: State(_("Cannot be a VAT number"), "cross", "stop"),
    NumberState.UNAVAILABLE: State(_("No answer"), "clock", "wait"),
}
"""What a register said of a VAT number."""

VAT_AT_HOME: Final[Mapping[int, Text]] = {
    25: _("25 % VAT"),
    12: _("12 % VAT"),
    6: _("6 % VAT"),
    0: _("No VAT"),
}
"""A treatment of sales at home, by its rate in percent."""

ROLES: Final[Mapping[str, Text]] = {
    "clearing": _("What the provider owes you"),
    "bank": _("Bank account that payouts reach"),
    "customer_claims": _("Customer claims"),
    "sales": _("Sales"),
    "sales:SE25": _("Sales, 25 % VAT"),
    "sales:SE12": _("Sales, 12 % VAT"),
    "sales:SE6": _("Sales, 6 % VAT"),
    "sales:SE0": _("Sales in Sweden without VAT"),
    "sales:DK25": _("Sales in Denmark, 25 % VAT"),
    "sales:DK0": _("Sales in Denmark without VAT"),
    "sales:EXPORT": _("Sales to countries outside the EU"),
    "output_vat": _("Output VAT"),
    "output_vat:SE25": _("Output VAT, 25 %, in vouchers"),
    "output_vat:DK25": _("Danish output VAT, 25 %, in vouchers"),
    "output_vat:SE12": _("Output VAT, 12 %, in vouchers"),
    "output_vat:SE6": _("Output VAT, 6 %, in vouchers"),
    "settlement_contra": _("Settlement: the one account against"),
    "sales:EXPORT-SERVICES": _("Services to countries outside the EU"),
    "sales:EU-GOODS": _("Goods to EU businesses, reverse charge"),
    "sales:EU-SERVICES": _("Services to EU businesses, reverse charge"),
    "fee": _("Provider's fees"),
    "fee_basis": _("Reverse charge: basis, EU"),
    "fee_basis:NON_EU": _("Reverse charge: basis, outside the EU"),
    "fee_basis_contra": _("Reverse charge: the basis's counterpart"),
    "fee_output_vat": _("Reverse charge: output VAT"),
    "fee_input_vat": _("Reverse charge: input VAT"),
    "fee_domestic_vat": _("Input VAT on the fees of a provider in your own country"),
    "rounding": _("Rounding"),
    "exchange_gain": _("Exchange gains"),
    "exchange_loss": _("Exchange losses"),
    "disputes": _("Disputes"),
    "reserve": _("What the provider holds back"),
    "dispute_loss": _("Losses from disputes"),
    "bounced_payments": _("Owed by buyers whose payment bounced"),
    "returned_refunds": _("Owed to buyers whose refund came back"),
    "transit": _("Money on its way between provider and bank"),
    "fee_tax": _("Tax on fees that is a cost"),
    "foreign_fee": _("Other companies' fees"),
    "platform_income": _("A platform's own fee income"),
    "transfers": _("Transfers between accounts at the provider"),
    "financing": _("The provider's advances and loans"),
    "contributions": _("Contributions"),
    "adjustments": _("The provider's adjustments"),
    "opening_contra": _("Opening: where your books have what the provider owed at the start"),
    "by_rule": _("The account of your own rule"),
}


# --- Holds ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HoldWords:
    """A reason in words: what happened, why Kvitt did not book it, and what to do."""

    title: Text
    explanation: Text
    remedy: Text


PREVIEW_ORDERS: Final[Mapping[str, Text]] = {
    "date": _("Oldest first"),
    "-date": _("Newest first"),
    "-total": _("Largest first"),
    "total": _("Smallest first"),
    "kind": _("By kind"),
}

VAT_BOXES: Final[Mapping[str, Text]] = {
    "05": _("Sales in Sweden with VAT"),
    "06": _("Own withdrawals with VAT"),
    "07": _("Profit margin sales"),
    "08": _("Rents with VAT"),
    "10": _("Output VAT 25 %"),
    "11": _("Output VAT 12 %"),
    "12": _("Output VAT 6 %"),
    "20": _("Goods bought from the EU"),
    "21": _("Services bought from the EU"),
    "22": _("Services bought from outside the EU"),
    "23": _("Goods bought in Sweden, reverse charge"),
    "24": _("Services bought in Sweden, reverse charge"),
    "30": _("Output VAT 25 % on what was bought"),
    "31": _("Output VAT 12 % on what was bought"),
    "32": _("Output VAT 6 % on what was bought"),
    "35": _("Goods sold to EU businesses"),
    "36": _("Goods sold outside the EU"),
    "37": _("Triangular trade, bought"),
    "38": _("Triangular trade, sold"),
    "39": _("Services sold to EU businesses"),
    "40": _("Services sold outside the EU"),
    "41": _("Sales where the buyer owes the VAT"),
    "42": _("Other sales without VAT"),
    "48": _("Input VAT"),
    "49": _("VAT to pay, or to get back"),
}
"""Boxes of the Swedish VAT return, by number."""

HOLDS: Final[Mapping[HoldReason, HoldWords]] = {
    HoldReason.UNKNOWN_KIND: HoldWords(
        _("A kind of movement that Kvitt does not know"),
        _("The provider uses a word for it that is new to us. Kvitt never guesses with your books."),
        _("Book it yourself and set it aside here, saying where. We have been told as well."),
    ),
    HoldReason.KIND_NOT_BUILT: HoldWords(
        _("A kind of movement that Kvitt does not book yet"),
        _("Kvitt knows what it is, but has no rule for it so far, and so has left it alone."),
        _("Book it yourself and set it aside here, saying where."),
    ),
    HoldReason.NO_ORDER_NUMBER: HoldWords(
        _("No order number on the payment"),
        _("In Basic the order number leads to the invoice. None of the fields that you chose has one."),
        _("Tick the payment and say which invoice it pays, or add the field under Settings and try again."),
    ),
    HoldReason.NO_INVOICE: HoldWords(
        _("No invoice with this order number came"),
        _("Kvitt looked for it every day for as long as you set, and it is not in your books."),
        _("Make the invoice, or correct its order number, and try again."),
    ),
    HoldReason.SEVERAL_INVOICES: HoldWords(
        _("Several invoices have this order number"),
        _("Kvitt cannot tell which of them was paid."),
        _("Tick the payment and say which invoice it pays, or take the number off the wrong ones and try again."),
    ),
    HoldReason.AMOUNT_DIFFERS: HoldWords(
        _("The amount differs from what is open on the invoice"),
        _("The invoice is there, but its open amount is another than what was paid."),
        _(
            "Accept a difference of at most 1.00 as rounding, choose another invoice, or correct the invoice "
            "and try again."
        ),
    ),
    HoldReason.INVOICE_NOT_BOOKED: HoldWords(
        _("The invoice is not booked yet"),
        _(
            "A payment can only be registered on a booked invoice, and Kvitt leaves your drafts alone. "
            "It waited as long as you set."
        ),
        _("Book the invoice and try again."),
    ),
    HoldReason.INVOICE_CANCELLED: HoldWords(
        _("The invoice is cancelled"),
        _("The order number leads to an invoice that is cancelled, so nothing can be paid on it."),
        _("Make a new invoice with the same order number and try again."),
    ),
    HoldReason.ALREADY_PAID: HoldWords(
        _("The invoice is already paid"),
        _("Somebody has registered a payment on it, perhaps this very one."),
        _(
            "If it is this payment: see that it stands on the clearing account, and set it aside here. "
            "If not: the buyer may have paid twice."
        ),
    ),
    HoldReason.WRONG_SIGN: HoldWords(
        _("A credit note where an invoice is needed, or the other way round"),
        _("The order number leads to a document of the wrong kind."),
        _("Correct the order number on the document and try again."),
    ),
    HoldReason.FOREIGN_CURRENCY: HoldWords(
        _("Another currency: Basic books your own currency only"),
        _(
            "The payment or its invoice is in a foreign currency, and matching it would need "
            "a rate that nobody has set."
        ),
        _("Register the payment on the invoice yourself and set it aside here, saying where."),
    ),
    HoldReason.LEDGER_PRECISION: HoldWords(
        _("The amount has more decimals than your books can hold"),
        _("Rounding it would put a figure into your books that nobody paid."),
        _("Book it yourself, with the rounding that you choose, and set it aside."),
    ),
    HoldReason.PERIOD_LOCKED: HoldWords(
        _("The period is locked"),
        _("The day belongs to a period that is locked in your books, and you chose not to use the next open day."),
        _("Unlock the period and try again, or choose the next open day under Settings."),
    ),
    HoldReason.NO_FINANCIAL_YEAR: HoldWords(
        _("No financial year for this day"),
        _("Your books have no financial year that the day belongs to."),
        _("Add the financial year and try again."),
    ),
    HoldReason.ACCOUNT_NOT_READY: HoldWords(
        _("An account is missing or not ready"),
        _("No account is chosen for it, or the account is not there, not active, or demands a cost centre or project."),
        _("Choose an account under Settings, or mend the one that is chosen under Get started, and try again."),
    ),
    HoldReason.CURRENCY_NOT_READY: HoldWords(
        _("A currency is missing in your books"),
        _("An invoice is made in the currency that the buyer paid, and your books do not have this one."),
        _("Add the currency under Get started and try again."),
    ),
    HoldReason.NO_RATE: HoldWords(
        _("No exchange rate for the day"),
        _("No official rate could be found for this currency and day."),
        _("Choose another source of exchange rates under Settings, or try again when the bank answers."),
    ),
    HoldReason.ORIGINAL_UNKNOWN: HoldWords(
        _("A refund of a sale that Kvitt has not booked"),
        _(
            "The sale happened before your start date, or was booked elsewhere, so there is "
            "no invoice of ours to credit."
        ),
        _("Credit the invoice yourself and set the refund aside here, saying where."),
    ),
    HoldReason.REFUND_EXCEEDS: HoldWords(
        _("More was refunded than was sold"),
        _("A credit note larger than its invoice would turn sales and VAT round."),
        _("Book the difference yourself and set it aside here, saying where."),
    ),
    HoldReason.PAYOUT_NOT_PROVED: HoldWords(
        _("The payout's lines do not make up its amount"),
        _("Kvitt books a payout only when the movements in it add up to it."),
        _("Look at the payout's proof, and try again when the provider has corrected its list."),
    ),
    HoldReason.TOTAL_DIFFERS: HoldWords(
        _("What was made differs from the plan"),
        _("The unbooked document has another total, VAT or currency than planned, so Kvitt did not book it."),
        _("Look at it in your books. When the cause is mended, remove it there and try again."),
    ),
    HoldReason.RATE_DIFFERS: HoldWords(
        _("The exchange rate differs from the plan"),
        _("The invoice's rate is too far from the provider's exchange, or from the plan, so nothing was booked."),
        _(
            "See that automatic rates are on for the currency, or choose another source of exchange rates under "
            "Settings. If an unbooked invoice was made, remove it. Then try again."
        ),
    ),
    HoldReason.REJECTED: HoldWords(
        _("Your books refused it"),
        _("The accounting system read it and said no. Its own words stand below."),
        _("Mend what it names and try again."),
    ),
    HoldReason.TOUCHED: HoldWords(
        _("A person changed the document meanwhile"),
        _(
            "Between two of Kvitt's steps somebody edited, booked or removed the document. "
            "That person's work is left alone."
        ),
        _("Finish the document by hand and set the rest aside, or undo the change and try again."),
    ),
    HoldReason.VAT_IMPLAUSIBLE: HoldWords(
        _("The provider's tax lines cannot be right"),
        _(
            "The lines name a rate that the country does not have on this day, do not add up, "
            "or come to less than was paid."
        ),
        _(
            "Look at the payment at the provider. Book it yourself and set it aside, or turn the provider's tax lines "
            "off under VAT and try again."
        ),
    ),
    HoldReason.VAT_RATE_ODD: HoldWords(
        _("A VAT rate with decimals, which an invoice in your books cannot hold"),
        _("Invoices there take whole percentages only, and you chose to be asked."),
        _("Choose vouchers for such sales under VAT and try again, or book it yourself and set it aside."),
    ),
    HoldReason.VAT_RATE_UNKNOWN: HoldWords(
        _("No VAT rate is known for this country and kind of product"),
        _("Your rule names a category for which Kvitt has no rate in that country on that day."),
        _("Write the rate itself into the rule under VAT, 7 for example, and try again."),
    ),
    HoldReason.VAT_NUMBER_INVALID: HoldWords(
        _("The buyer's VAT number is not valid"),
        _("A sale without VAT needs a VAT number that the EU's register confirms."),
        _("Ask the buyer for the right number, or book the sale with VAT yourself and set it aside."),
    ),
    HoldReason.VAT_NUMBER_UNCHECKED: HoldWords(
        _("The buyer's VAT number could not be checked"),
        _("The EU's register did not answer for as many days as you set."),
        _("Try again: Kvitt asks once more. Or book the sale yourself and set it aside."),
    ),
    HoldReason.ALREADY_INVOICED: HoldWords(
        _("Another connection seems to have invoiced this sale"),
        _(
            "An invoice that Kvitt has not made is in your books with the same order number, or with the same amount "
            "and day."
        ),
        _(
            "If it is this sale: register the payment on it and set it aside here, or switch one of the connections "
            "off. If it is another sale: book it anyway."
        ),
    ),
    HoldReason.MODE_NOT_BUILT: HoldWords(
        _("The chosen mode is not built yet"),
        _("When it was fetched, Settlement was not built. Kvitt has left the movement alone."),
        _("Try again: Settlement is there now."),
    ),
    HoldReason.CODE_NOT_READY: HoldWords(
        _("A code that the document names is missing"),
        _(
            "A cost centre, a project, terms of payment, a layout or a group is not in your books, is closed, or "
            "cannot be used for it."
        ),
        _("Add or open it in your books, or choose another one under Settings, and try again."),
    ),
    HoldReason.WAITED_FOR_GONE: HoldWords(
        _("What waited for you to book it is gone"),
        _("Kvitt made a draft, an order or an unbooked payment for you to book, and somebody took it away."),
        _("Try again to have it made anew, or set the payment aside here, saying where it is booked."),
    ),
    HoldReason.RULE_HOLDS: HoldWords(
        _("Your own rule says: ask me"),
        _("A rule that you made keeps movements like this one for a person to decide."),
        _("Book it yourself and set it aside here, or change the rule under Settings and try again."),
    ),
    HoldReason.DISPUTE_UNKNOWN: HoldWords(
        _("A dispute that began before Kvitt"),
        _("Money of a dispute came back or is lost for good, but what was withdrawn for it was not booked by Kvitt."),
        _(
            "Book it yourself against the account where the disputed amount stands, and set it aside here, "
            "saying where."
        ),
    ),
    HoldReason.CONVERSION_UNPAIRED: HoldWords(
        _("Half of a currency conversion"),
        _("One balance was changed into another, and the provider has reported only one side of it."),
        _("Wait for the other side and try again, or book it yourself and set it aside here, saying where."),
    ),
    HoldReason.CREDIT_NOTE_BY_HAND: HoldWords(
        _("A lost dispute waits for your credit note"),
        _("You chose that lost disputes undo the sale. The invoice was made by your shop, so its credit note is, too."),
        _(
            "Make the credit note and settle it against the account for disputes, then set this aside, saying where. "
            "Or choose under Settings that lost disputes are losses, and try again."
        ),
    ),
}

MATCHED_BY_HAND: Final = frozenset(
    {
        HoldReason.NO_ORDER_NUMBER.value,
        HoldReason.NO_INVOICE.value,
        HoldReason.SEVERAL_INVOICES.value,
        HoldReason.AMOUNT_DIFFERS.value,
        HoldReason.ALREADY_PAID.value,
        HoldReason.INVOICE_NOT_BOOKED.value,
        HoldReason.INVOICE_CANCELLED.value,
        HoldReason.WRONG_SIGN.value,
    }
)
"""Reasons for which a person may say which invoice or order a payment belongs to."""

NOT_POSSIBLE: Final[Mapping[str, Text]] = {
    "one_only": _("Tick one payment, and write the number."),
    "not_basic": _(
        "Only payments of a connection in Basic can be registered on an invoice, before they are on their way."
    ),
    "not_there": _("There is no invoice %(invoice)s in your books. Nothing was changed."),
    "no_pattern": _(
        "Kvitt cannot learn from this: %(order_number)s is no part of the number on the payment. "
        "Leave the tick out to use it for this payment alone."
    ),
    HoldReason.INVOICE_CANCELLED.value: _("Invoice %(invoice)s is cancelled. Nothing was changed."),
    HoldReason.WRONG_SIGN.value: _(
        "Number %(invoice)s has the wrong sign: a payment needs an invoice, a refund a credit note. "
        "Nothing was changed."
    ),
    HoldReason.FOREIGN_CURRENCY.value: _("Invoice %(invoice)s is in %(currency)s. Basic books your own currency only."),
    HoldReason.ALREADY_PAID.value: _("Nothing is open on invoice %(invoice)s. Nothing was changed."),
    HoldReason.AMOUNT_DIFFERS.value: _(
        "More was paid (%(paid)s) than is open on invoice %(invoice)s (%(open)s). Nothing was changed."
    ),
}
"""Why a person's choice could not be taken; names are facts of `NotPossible`."""

WAITS: Final[Mapping[WaitReason, Text]] = {
    WaitReason.DAY_CLOSES: _("Fees of a day that has not closed"),
    WaitReason.INVOICE: _("An invoice or credit note that the shop has not made yet"),
    WaitReason.BOOKING: _("A draft, an order or an invoice that you have not booked yet"),
    WaitReason.SALE: _("The entry that this one takes back"),
    WaitReason.PAYOUT_PAID: _("Payouts under way to the bank"),
    WaitReason.PAYOUT_ITEMS: _("The list of a payout's movements"),
    WaitReason.RATE: _("An exchange rate"),
    WaitReason.YEAR_END: _("The value of the balance at the end of the financial year"),
    WaitReason.VAT_NUMBER: _("The register of VAT numbers, which has not answered"),
    WaitReason.EARLIER_ENTRIES: _("Earlier entries on the same foreign balance"),
    WaitReason.DISPUTE: _("The entry that a dispute began with"),
    WaitReason.CONVERSION: _("The other half of a currency conversion"),
    WaitReason.PAYMENT_BOOKING: _("A payment that you book in your books"),
}

UNBOOKED: Final[Mapping[str, Text]] = {
    "held": _("needs you"),
    "planned": _("on its way into your books"),
    "waiting": _("waiting"),
    "under_way": _("payouts under way to the bank"),
    "set_aside": _("set aside, booked nowhere"),
}

DIFFERENCES: Final[Mapping[str, Text]] = {
    "posting_by_person": _("A person's entry on the clearing account"),
    "voucher_missing": _("An entry of Kvitt's is gone from the books"),
    "voucher_differs": _("An entry of Kvitt's was changed"),
    "rounding": _("Rounding"),
    "exchange": _("Exchange difference"),
    "elsewhere": _("Booked elsewhere"),
}

BANK_VERDICTS: Final[Mapping[str, State]] = {
    "arrived": State(_("Arrived"), "check", "done"),
    "missing": State(_("Missing"), "cross", "stop"),
    "doubled": State(_("There more than once"), "cross", "stop"),
    "amount_differs": State(_("Another amount"), "hand", "hold"),
}

OPEN_INVOICES: Final[Mapping[str, Text]] = {
    "on_its_way": _("its payment is on its way"),
    "held": _("needs you, see the inbox"),
    "unsettled": _("was settled by Kvitt, and has been opened again since"),
    "unknown": _("carries Kvitt's key, and is none of Kvitt's"),
}

GROUPS: Final[Mapping[Group, Text]] = {
    Group.SALES: _("Gross sales"),
    Group.REFUNDS: _("Refunds"),
    Group.DISPUTES: _("Disputes"),
    Group.FEES: _("Fees"),
    Group.RESERVES: _("Reserves"),
    Group.TRANSFERS: _("Transfers, top-ups and financing"),
    Group.EXCHANGE: _("Exchange between balances"),
    Group.ADJUSTMENTS: _("Adjustments and unknown kinds"),
    Group.PAYOUTS: _("Payouts"),
}

OPEN_WHYS: Final[Mapping[OpenWhy, Text]] = {
    OpenWhy.HELD: _("needs you"),
    OpenWhy.WAITING: _("waiting"),
    OpenWhy.UNDER_WAY: _("payouts under way to the bank"),
    OpenWhy.PLANNED: _("on its way into your books"),
    OpenWhy.SET_ASIDE: _("set aside, booked nowhere"),
    OpenWhy.IN_TRANSIT: _("payouts in transit on the last day"),
    OpenWhy.DATED_LATER: _("booked under a later date"),
    OpenWhy.DATED_EARLIER: _("booked under an earlier date"),
}

FACTS: Final[Mapping[str, Text]] = {
    "order_number": _("Order number"),
    "invoice": _("Invoice"),
    "invoices": _("Invoices"),
    "number": _("Number"),
    "open": _("Open on the invoice"),
    "paid": _("Paid"),
    "kind": _("Kind"),
    "raw_kind": _("The provider's word"),
    "amount": _("Amount"),
    "decimals": _("Decimals in your books"),
    "day": _("Day"),
    "locked": _("Locked through"),
    "account": _("Account"),
    "role": _("Used for"),
    "detail": _("Detail"),
    "year": _("Financial year"),
    "why": _("Why"),
    "currency": _("Currency"),
    "planned": _("Planned"),
    "made": _("Made"),
    "planned_vat": _("VAT planned"),
    "made_vat": _("VAT made"),
    "planned_rate": _("Rate planned"),
    "made_rate": _("Rate made"),
    "expected_rate": _("Rate expected"),
    "code": _("Error code"),
    "message": _("Their words"),
    "wanted": _("Looked for"),
    "payout": _("Payout"),
    "items": _("Sum of its lines"),
    "difference": _("Difference"),
    "mode": _("Mode"),
    "sale": _("Sale"),
    "original": _("Sale"),
    "refunded": _("Refunded"),
    "source": _("Reference"),
    "dispute": _("Dispute"),
    "refund": _("Given back"),
    "document": _("Document"),
    "step": _("Step"),
    "arrives": _("Arrives"),
    "text": _("Their words"),
    "rule": _("Your rule"),
    "vat_number": _("VAT number"),
    "country": _("Country"),
    "rate": _("Rate"),
    "line": _("Line"),
    "gross": _("With VAT"),
    "tax": _("Tax"),
    "category": _("Category"),
    "register": _("Register"),
    "order": _("Order"),
    "address": _("E-mail address"),
    "company": _("Company"),
    "setting": _("Setting"),
    "old": _("Old value"),
    "new": _("New value"),
    "way": _("Way in"),
    "name": _("Name"),
    "reason": _("Why"),
    "documents": _("Documents"),
    "run": _("Run"),
    "browsers": _("Browsers"),
    "where": _("Where it is booked"),
    "decision": _("Decision"),
    "finding": _("Finding"),
    "pattern": _("How order numbers are written differently"),
    "month": _("Month"),
    "net": _("Net"),
    "vat": _("VAT"),
    "total": _("Sum"),
    "balance": _("Balance"),
    "movement": _("Movement"),
}

FACT_VALUES: Final[Mapping[str, Text]] = {
    "not_mapped": _("no account is chosen"),
    "same_account": _("it is the provider's own account"),
    "missing": _("it is not in the chart of accounts"),
    "order_number": _("it has the same order number"),
    "mark": _("another connection's mark, with the same amount and day"),
    "pattern": _("most of your sales have such an invoice, with the same amount and day"),
    "inactive": _("it is not active"),
    "needs_cost_centre": _("it demands a cost centre"),
    "needs_project": _("it demands a project"),
    "no_oss_vat_code": _("it has no VAT code of its own, so the VAT would count as domestic"),
    "unknown_rate": _("the country has no such rate on that day"),
    "does_not_add_up": _("the tax is not what the rate gives"),
    "no_rate_fits": _("no single rate gives this tax"),
    "lines_short": _("the lines come to less than was paid"),
    "foreign_tax": _("a tax of a country outside the EU"),
    "malformed": _("it cannot be a VAT number"),
    "invalid": _("the register says no"),
    "fee_tax": _("tax on fees"),
    "foreign_fee": _("another company's fee"),
    "invoice": _("invoice"),
    "credit note": _("credit note"),
}


# --- Prerequisites -------------------------------------------------------------------------------------------

CHECK_FAULTS: Final[Mapping[tuple[str, str], Text]] = {
    ("accrual_method", ""): _("The financial year %(year)s uses the cash method."),
    ("licence", ""): _("A licence is missing: %(name)s."),
    ("scope", ""): _("Kvitt was not let in here: %(name)s."),
    ("scope", "unreadable"): _("Kvitt may not read %(unreadable)s, so what hangs on it cannot be checked."),
    ("financial_year", ""): _("There is no financial year for %(day)s."),
    ("invoice_series", ""): _("No voucher series is chosen for customer invoices."),
    ("payment_series", ""): _("No voucher series is chosen for incoming payments."),
    ("voucher_series", "missing"): _("The voucher series %(series)s is not there in %(year)s."),
    ("voucher_series", "not_manual"): _("The voucher series %(series)s is not manual in %(year)s."),
    ("voucher_series", "approval"): _("Vouchers in series %(series)s must be approved by a person first."),
    ("clearing_account", "not_mapped"): _("No account is chosen for what the provider owes you (%(use)s)."),
    ("clearing_account", "missing"): _(
        "Account %(account)s is not in the chart for %(year)s. Kvitt books what the provider owes you there."
    ),
    ("clearing_account", "inactive"): _(
        "Account %(account)s is not active for %(year)s. Kvitt books what the provider owes you there."
    ),
    ("clearing_account", "cost_centre"): _("Account %(account)s demands a cost centre in %(year)s."),
    ("clearing_account", "project"): _("Account %(account)s demands a project in %(year)s."),
    ("account", "not_mapped"): _("No account is chosen for %(use)s."),
    ("account", "missing"): _("Account %(account)s is not in the chart for %(year)s. It is for: %(use)s."),
    ("account", "inactive"): _("Account %(account)s is not active for %(year)s. It is for: %(use)s."),
    ("account", "cost_centre"): _("Account %(account)s demands a cost centre in %(year)s."),
    ("account", "project"): _("Account %(account)s demands a project in %(year)s."),
    ("predefined_account", "not_mapped"): _("Your books have no account set for %(use)s."),
    ("predefined_account", "missing"): _(
        "Account %(account)s is not in the chart for %(year)s. The accounting system itself books %(use)s there."
    ),
    ("predefined_account", "inactive"): _(
        "Account %(account)s is not active for %(year)s. The accounting system itself books %(use)s there."
    ),
    ("predefined_account", "cost_centre"): _("Account %(account)s demands a cost centre in %(year)s."),
    ("predefined_account", "project"): _("Account %(account)s demands a project in %(year)s."),
    ("currency", "missing"): _("The currency %(subject)s is not in your books."),
    ("currency", "not_automatic"): _("The currency %(subject)s has no automatic rates."),
    ("payment_mode", ""): _("No way of payment leads to account %(account)s."),
    ("code", "missing"): _("%(code)s is not in your books. You have chosen it under Settings or in a rule."),
    ("code", "inactive"): _("%(code)s is closed in your books. You have chosen it under Settings or in a rule."),
    ("article_register", ""): _("Kvitt was not let in here: %(name)s."),
    ("locked_period", "months"): _("%(from)s to %(through)s is closed or barred, and Kvitt starts before its end."),
    ("voucher_series", "full"): _("The journal %(series)s has next to no voucher numbers left."),
    ("scope", "SuperUser"): _("Kvitt's app does not have the role SuperUser in your agreement."),
    ("exchange_account", "not_mapped"): _("No account is chosen for %(use)s."),
    ("exchange_account", "missing"): _("Account %(account)s is not in the chart for %(year)s. It is for: %(use)s."),
    ("exchange_account", "inactive"): _("Account %(account)s is not active for %(year)s. It is for: %(use)s."),
    ("exchange_account", "cost_centre"): _("Account %(account)s demands a cost centre in %(year)s."),
    ("exchange_account", "project"): _("Account %(account)s demands a project in %(year)s."),
    ("layout", "none"): _("There is no layout for invoices."),
    ("layout", "missing"): _("Layout %(number)s, which you chose, is not there."),
    ("layout", "inactive"): _("Layout %(number)s, which you chose, has been deleted."),
    ("payment_terms", "none"): _("No terms of payment leave an invoice open."),
    ("payment_terms", "missing"): _("Terms of payment %(number)s, which you chose, are not there."),
    ("payment_terms", "inactive"): _("Terms of payment %(number)s %(name)s do not leave an invoice open."),
    ("customer_group", "none"): _("There is no customer group."),
    ("customer_group", "missing"): _("Customer group %(number)s, which you chose, is not there."),
    ("rounding_product", "none"): _("No product group is without VAT wherever it sells."),
    ("rounding_product", "missing"): _("Product group %(number)s, which you chose for roundings, is not there."),
    ("rounding_product", "inactive"): _("Product group %(number)s %(name)s, which you chose for roundings, has VAT."),
    ("vat_zone", ""): _("There is no VAT zone for customers of this kind: %(buyer)s."),
    ("product_group", ""): _("No product group sells on account %(account)s at %(rate)s %% VAT. It is for: %(use)s."),
    ("product_group", "rate"): _(
        "Account %(account)s has %(has)s %% VAT by its VAT code, not %(rate)s %%. It is for: %(use)s."
    ),
    ("product", ""): _("Product %(name)s is barred."),
    ("webhook", "off"): _("Your books do not tell Kvitt when an invoice is booked."),
    ("webhook", "elsewhere"): _("Your books tell an address that Kvitt no longer has."),
    ("webhook", "disabled"): _("Your books have stopped telling Kvitt: what does it is switched off there."),
    ("locked_period", ""): _("The books are locked through %(through)s, and you start on %(start)s."),
    ("warehouse", ""): _("The warehouse module holds invoices back until their goods are marked as delivered."),
    ("oss_vat_code", ""): _(
        "Account %(account)s has no VAT code of its own in %(year)s, and so would count as Swedish VAT."
    ),
    ("easy_vat", ""): _("Simplified VAT is on."),
}
"""What is wrong, by the check's code and its fault. Names are those of the check's details."""


BUYERS: Final[Mapping[str, Text]] = {
    CustomerVat.DOMESTIC: _("buyers in your own country"),
    CustomerVat.EU_CONSUMER: _("consumers in other EU countries"),
    CustomerVat.EU_BUSINESS: _("businesses in other EU countries"),
    CustomerVat.EXPORT: _("buyers outside the EU"),
}
"""Kinds of buyers, as VAT zones tell them apart."""


def check_sentence(code: str, subject: str, details: Mapping[str, str], title: str, system: str) -> str:
    """What a red check says in the words of its system; its title where there are no words for the fault."""
    fault = details.get("fault") or ("unreadable" if "unreadable" in details else details.get("name", ""))
    own = _own(system).faults
    places = ((code, fault), (code, ""))
    # The system's own words for this very fault, ours for it, then both for the check as a whole.
    words = [said for place in places for said in (own.get(place), CHECK_FAULTS.get(place)) if said is not None]
    if not words:
        return gettext(title)  # type: ignore[no-any-return]
    template = gettext(words[0]) if isinstance(words[0], str) else words[0]
    known: dict[str, str] = _Blank({name: readable(text) for name, text in {**details, "subject": subject}.items()})
    known["use"] = role_name(details.get("use", subject))
    known["buyer"] = str(BUYERS.get(details.get("buyer", ""), details.get("buyer", "")))
    return str(template) % known


_WHOLE_YEAR: Final = re.compile(r"(\d{4})-01-01 – \1-12-31")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def readable(text: str) -> str:
    """A detail as people write it: a calendar year by its number, a date as the language does."""
    return _DAY.sub(_date, _WHOLE_YEAR.sub(r"\1", text))


def _date(found: re.Match[str]) -> str:
    try:
        return filters.day_text(date.fromisoformat(found[0]))
    except ValueError:
        return found[0]


class _Blank(dict[str, str]):
    """Gives the name itself for a detail that is not there: a sentence is never an error."""

    def __missing__(self, key: str) -> str:
        return "–"


ORIGINS: Final[Mapping[str, Text]] = {
    "web": _("through the pages"),
    "worker": _("while working"),
    "clock": _("by the clock"),
    "command": _("on the command line"),
}
"""Where something was asked for, if not by a browser with an address."""


def origin(place: str) -> str:
    """Where something was asked for."""
    if place in ORIGINS:
        return str(ORIGINS[place])
    return str(gettext("from %(address)s", address=place))


def role_name(uses: str) -> str:
    """Account roles as they are written in settings (`sales:SE25, fee`) in words."""
    return ", ".join(_role(use.strip()) for use in uses.split(",") if use.strip())


def _role(use: str) -> str:
    name, _, detail = use.partition(":")
    if use in ROLES:
        return str(ROLES[use])
    return f"{ROLES[name]}{f' ({detail})' if detail else ''}" if name in ROLES else use


REPAIRS: Final[Mapping[str, Text]] = {
    "activate_account": _("Activate account %(subject)s"),
    "create_account": _("Create account %(subject)s"),
    "create_series": _("Create series %(subject)s"),
    "add_currency": _("Add %(subject)s"),
    "add_payment_mode": _("Add a way of payment for %(subject)s"),
    "mend_series": _("Set journal %(subject)s right"),
    "create_product_group": _("Make a product group for account %(subject)s"),
    "open_product": _("Open product %(subject)s"),
    "register_webhook": _("Have your books tell Kvitt"),
}


# --- Settings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingWords:
    """A setting's label and its explanation."""

    label: Text
    help: Text = ""


SETTING_WORDS: Final[Mapping[str, SettingWords]] = {
    "evidence": SettingWords(
        _("The provider's record at each voucher"),
        _("A readable file with the record's data inside is attached to every voucher, two calls each, at night."),
    ),
    "time_zone": SettingWords(_("Time zone"), _("Decides which day a payment belongs to.")),
    "daily_at": SettingWords(_("Daily run at"), _("In the time zone above.")),
    "approve": SettingWords(
        _("Who says go"),
        _("Either Kvitt books by itself, or everything stands under Preview until you have approved it."),
    ),
    "locked_period": SettingWords(_("If a day lies in a locked period")),
    "books_method": SettingWords(
        _("How your books are kept"),
        _("No call tells. With the cash method nothing can be followed from the sale to the bank."),
    ),
    "customers": SettingWords(_("Buyers as customers")),
    "existing_customers": SettingWords(
        _("Customers that are there"), _("Whether a name or VAT number that a buyer gives anew goes into your books.")
    ),
    "articles": SettingWords(_("Rows of invoices"), _("By the article number (SKU) that the shop tells.")),
    "sale_document": SettingWords(
        _("A sale becomes"), _("For a draft or an order the payment waits until you have booked the invoice.")
    ),
    "mail_invoice": SettingWords(
        _("Mail the invoice to the buyer"), _("Your books mail it once, when it is booked. Off unless you choose it.")
    ),
    "payments": SettingWords(_("Payments"), _("Unbooked ones wait for your bookkeeper. Vouchers are always booked.")),
    "payment_terms": SettingWords(
        _("Terms of payment"), _("A code of your books. Whatever it is, paid invoices are due on their own date.")
    ),
    "invoice_layout": SettingWords(_("Layout of invoices")),
    "customer_group": SettingWords(
        _("Customer group of new customers"), _("It decides the account of what they owe, and nothing that is there.")
    ),
    "rounding_group": SettingWords(
        _("Product group for roundings"), _("For the øre that net prices cannot reach. It must be without VAT.")
    ),
    "cost_centre": SettingWords(_("Cost centre"), _("For sales and fees; a rule may say otherwise.")),
    "project": SettingWords(_("Project"), _("For sales and fees; a rule may say otherwise.")),
    "invoice_text": SettingWords(_("Text on invoices"), _("Optional. Kvitt mails nothing to buyers.")),
    "default_vat_percent": SettingWords(
        _("VAT rate of your sales"), _("Taken where the payment itself does not tell.")
    ),
    "export_without_vat": SettingWords(_("Buyers outside the EU"), _("Without VAT, on the export account.")),
    "tax_lines": SettingWords(
        _("The provider's own tax lines"), _("Checkout, Invoices and Stripe Tax tell the VAT of each line.")
    ),
    "vat_rules": SettingWords(
        _("Rules for countries and products"),
        _("Country, product code and rate, with semicolons between: SE FOOD food; * BOOK- books; DE * 19."),
    ),
    "supply": SettingWords(_("What you sell"), _("Where the product itself does not tell.")),
    "oss": SettingWords(
        _("Consumers in other EU countries"),
        _("Over 10,000 EUR a year (99,680 SEK in Sweden), all these countries together, they pay their own VAT (OSS)."),
    ),
    "oss_before": SettingWords(
        _("Sold to them by other ways"), _("Without VAT, in the year below: other channels, or before Kvitt.")
    ),
    "oss_before_year": SettingWords(_("In the year")),
    "eu_business": SettingWords(
        _("Businesses in other EU countries"),
        _("Without VAT only where the buyer's VAT number is valid in the EU's register (VIES)."),
    ),
    "invalid_vat_number": SettingWords(_("If the VAT number is not valid")),
    "vat_number_wait_days": SettingWords(
        _("Days to wait for the register"), _("It is often away for hours. After that the sale comes to the inbox.")
    ),
    "own_vat_number": SettingWords(
        _("Your own VAT number"), _("With it the register gives each check a number that counts as evidence.")
    ),
    "odd_vat": SettingWords(
        _("Rates with decimals"), _("Finland has 25.5 %; an invoice in your books takes whole percentages only.")
    ),
    "fee_vat": SettingWords(
        _("VAT on the provider's fees"),
        _("Sources disagree on Stripe, so a person decides, and stands by it with name and date."),
    ),
    "fee_entity": SettingWords(_("Who writes the provider's tax invoices")),
    "fee_treatment": SettingWords(
        _("VAT on this provider's fees for payments"),
        _(
            "Where it is not that of your other provider: PayPal in Luxembourg, for example, is a bank and invoices "
            "without VAT. Tools and other services go by VAT on fees."
        ),
    ),
    **{
        f"fee_vat.{kind}": SettingWords(_("VAT on fees that are not for taking payments"))
        for kind in ("dispute", "conversion", "network", "service", "other")
    },
    **{
        f"fee_vat_code.{choice.value}": SettingWords(
            label, _("It lets your books write the rows of VAT. Without one Kvitt writes them on the accounts below.")
        )
        for choice, label in {
            FeeVat.EXEMPT: _("VAT code of fees that are exempt"),
            FeeVat.EU_REVERSE_CHARGE: _("VAT code of fees, reverse charge within the EU"),
            FeeVat.DOMESTIC: _("VAT code of fees with VAT of your own country"),
            FeeVat.NON_EU_REVERSE_CHARGE: _("VAT code of fees, reverse charge from outside the EU"),
        }.items()
    },
    "fee_vat_confirmed_by": SettingWords(_("Confirmed by"), _("Your name, for the log.")),
    "voucher_series": SettingWords(
        _("Voucher series of Kvitt's own"), _("Fees and payouts are numbered there. Nobody else should use it.")
    ),
    "dispute_lost": SettingWords(
        _("A lost dispute becomes"),
        _("The payment stays withdrawn. Practice is unsettled when the goods did not come back: ask your accountant."),
    ),
    "bounced_payment": SettingWords(
        _("A payment that bounces after it was booked"),
        _("Bank debits may come back weeks later. A new payment of the same order then settles the claim."),
    ),
    "bank_side": SettingWords(
        _("The bank side of payouts"),
        _("Choose the transit account if the bank's own file books the bank account, so that nothing stands twice."),
    ),
    "wait_days": SettingWords(
        _("Days to wait for an invoice"), _("Shops often invoice when they ship. After that it comes to the inbox.")
    ),
    "book_drafts": SettingWords(
        _("Invoices that are not booked yet"), _("When a payment matches a draft. You may want to look at it first.")
    ),
    "tolerance": SettingWords(
        _("Tolerance in Basic"), _("A difference up to this amount goes to rounding. At most 1.00.")
    ),
    "rounds_to_whole": SettingWords(
        _("Your books round invoices to whole kronor"), _("Kvitt finds this out by itself at the first invoice.")
    ),
    "mode": SettingWords(_("Basic, Plus or Settlement")),
    "order_patterns": SettingWords(
        _("How order numbers are written differently"),
        _("SE-* says that the payment's SE-1001 is 1001 on your invoice. Kvitt learns these in the inbox."),
    ),
    "settlement_lines": SettingWords(
        _("Rows of a settlement voucher"), _("Each payment can have its own rows, or each day one for each account.")
    ),
    "settlement_contra": SettingWords(
        _("What payments are booked against"),
        _("Choose one account if your till or shop system books the sales themselves: the payments settle its claim."),
    ),
    "settlement_by": SettingWords(
        _("One voucher for each"),
        _("Payments that no payout's list names, as when you pay out by hand, have one for each day in any case."),
    ),
    "rate_source": SettingWords(
        _("Exchange rates of invoices"),
        _(
            "The official rate last published before the day of the sale. What the provider exchanged at is the "
            "payment's rate; the difference is an exchange gain or loss."
        ),
    ),
    "rate_stand_in": SettingWords(
        _("Where your accounting system tells no rate"),
        _(
            "The central bank's rate (Sveriges Riksbank, Danmarks Nationalbank) last published before the day stands "
            "in, so that nothing has to wait. The document says whose rate it is."
        ),
    ),
    "revalue_at_year_end": SettingWords(
        _("Foreign balances at the end of the financial year"),
        _("What the provider owes you in another currency is valued at the rate of the year's last day, by a voucher."),
    ),
    "start_date": SettingWords(
        _("Start date"),
        _(
            "The first day that Kvitt books. It cannot change once something is booked. What the provider owed you "
            "before, the opening balance, is entered by hand, dated the day before."
        ),
    ),
    "order_places": SettingWords(
        _("Where the order number stands at the provider"),
        _(
            "Fields of the payment in the order to look, with commas between. PayPal has invoice_id (invoice_id.number "
            "is what follows a shop's prefix), custom_field and subject."
        ),
    ),
    "order_fields": SettingWords(
        _("Where the order number stands in your books"), _("Fields of the invoice, in the order to look.")
    ),
}

RATE_PUBLISHERS: Final[Mapping[str, Text]] = {
    "accounting system": _("your accounting system"),
    RateChoice.RIKSBANK.value: _("Sveriges Riksbank"),
    RateChoice.NATIONALBANK.value: _("Danmarks Nationalbank"),
    RateChoice.ECB.value: _("European Central Bank (ECB)"),
    "the conversion": _("the provider, in the conversion itself"),
}
"""Who an exchange rate is by, by the source that stands in a document's record."""

FEE_ENTITIES: Final[Mapping[FeeEntity, Text]] = {
    FeeEntity.STRIPE_IE: _("Stripe in Ireland (Stripe Payments Europe, Stripe Technology Europe)"),
    FeeEntity.STRIPE_UK: _("Stripe in the United Kingdom"),
    FeeEntity.STRIPE_US: _("Stripe in the United States, or elsewhere outside the EU"),
    FeeEntity.PAYPAL_LU: _("PayPal in Luxembourg (PayPal (Europe) S.à r.l. et Cie, S.C.A.)"),
    FeeEntity.PAYPAL_UK: _("PayPal in the United Kingdom"),
    FeeEntity.DOMESTIC: _("A company in your own country"),
}

FEE_KINDS: Final[Mapping[FeeKind, SettingWords]] = {
    FeeKind.PAYMENT: SettingWords(
        _("Payment fees"),
        _(
            "For taking payments. Reverse charge is preselected for Stripe, exempt for PayPal, which is a bank; "
            "Skatteverket holds them exempt where the provider itself moves the money (2020-01-13, dnr 8-5507)."
        ),
    ),
    FeeKind.DISPUTE: SettingWords(_("Dispute fees"), _("For handling payments that a buyer's bank withdrew.")),
    FeeKind.CONVERSION: SettingWords(_("Currency conversion"), _("For exchanging one currency into another.")),
    FeeKind.NETWORK: SettingWords(_("Card schemes and issuers"), _("What Visa, Mastercard and banks take, passed on.")),
    FeeKind.SERVICE: SettingWords(
        _("Other services"), _("Billing, Radar, Tax, terminals, subscriptions: tools, and so taxed.")
    ),
    FeeKind.OTHER: SettingWords(_("Anything else"), _("Fees whose description says nothing that Kvitt knows.")),
}

FEE_MEANINGS: Final[Mapping[FeeVat, Text]] = {
    FeeVat.EXEMPT: _("The fee is a cost, and nothing stands in the VAT return."),
    FeeVat.EU_REVERSE_CHARGE: _(
        "You compute 25 % VAT and deduct it at once: 2614 against 2645, and the basis on 4535 against 4598. "
        "Boxes 21, 30 and 48."
    ),
    FeeVat.DOMESTIC: _("The provider charges VAT, which you deduct (2641, box 48). The fee is booked as it is taken."),
    FeeVat.NON_EU_REVERSE_CHARGE: _("As within the EU, with the basis on 4531: boxes 22, 30 and 48."),
}

CHOICES: Final[Mapping[tuple[str, str], Text]] = {
    ("evidence", "nightly"): _("Attach it, at night"),
    ("evidence", "no"): _("Do not attach it"),
    ("books_method", ""): _("Not asked"),
    ("books_method", "invoices"): _("By invoices (the accrual method)"),
    ("books_method", "payments"): _("By payments (the cash method)"),
    ("approve", "automatic"): _("Book automatically"),
    ("approve", "first"): _("Show me first"),
    ("locked_period", LockedRule.HOLD): _("Ask me"),
    ("locked_period", LockedRule.NEXT_OPEN_DAY): _("Book on the next open day, with a note"),
    ("customers", "per_buyer"): _("One customer for each buyer, by e-mail address"),
    ("customers", "per_organisation"): _("One customer for each organisation number, else by e-mail address"),
    ("existing_customers", "leave"): _("Leave them as they are"),
    ("existing_customers", "update"): _("Bring them up to date"),
    ("articles", "free_text"): _("Free text"),
    ("articles", "matched"): _("The article with that number, where you have it"),
    ("articles", "created"): _("The article with that number, made where it is missing"),
    ("mail_invoice", "yes"): _("Yes"),
    ("mail_invoice", "no"): _("No"),
    ("payments", "booked"): _("Book them"),
    ("payments", "unbooked"): _("Leave them unbooked for the bookkeeper"),
    ("sale_document", "draft"): _("a draft that you book"),
    ("sale_document", "order"): _("an order that you invoice and book"),
    ("customers", "collective"): _("One collective customer for each country and VAT treatment"),
    ("sale_document", "booked"): _("a booked invoice with its payment"),
    ("default_vat_percent", "25"): _("25 %"),
    ("default_vat_percent", "12"): _("12 %"),
    ("default_vat_percent", "6"): _("6 %"),
    ("default_vat_percent", "0"): _("No VAT"),
    ("export_without_vat", "yes"): _("Export without VAT"),
    ("export_without_vat", "no"): _("The same VAT as in your own country"),
    ("tax_lines", "yes"): _("Go by them"),
    ("tax_lines", "no"): _("Leave them aside, go by your own rules"),
    ("supply", "goods"): _("Goods"),
    ("supply", "services"): _("Services"),
    ("supply", "digital"): _("Digital services"),
    ("oss", "no"): _("Your own country's VAT"),
    ("oss", "from_threshold"): _("Their own country's VAT from the threshold on (OSS)"),
    ("oss", "always"): _("Always their own country's VAT (OSS)"),
    ("eu_business", "domestic"): _("With your own country's VAT"),
    ("eu_business", "reverse_charge"): _("Without VAT, reverse charge"),
    ("invalid_vat_number", "as_consumer"): _("Book the sale with VAT, as to a consumer"),
    ("invalid_vat_number", "hold"): _("Ask me"),
    ("odd_vat", "hold"): _("Ask me"),
    ("odd_vat", "voucher"): _("Book the sale as a voucher"),
    ("fee_vat", FeeVat.EXEMPT): _("Exempt: a financial service, fees are booked as they are"),
    ("fee_vat", FeeVat.EU_REVERSE_CHARGE): _("Reverse charge within the EU (boxes 21, 30 and 48)"),
    ("fee_vat", FeeVat.DOMESTIC): _("VAT of your own country on the provider's invoice"),
    ("fee_vat", FeeVat.NON_EU_REVERSE_CHARGE): _("Reverse charge from outside the EU (boxes 22, 30 and 48)"),
    ("settlement_lines", SettlementLines.ITEMISED): _("each payment by itself"),
    ("settlement_lines", SettlementLines.DAILY): _("summed per day and account"),
    ("settlement_contra", SettlementContra.SALES): _("sales accounts and output VAT"),
    ("settlement_contra", SettlementContra.ACCOUNT): _("one account, named below"),
    ("settlement_by", SettlementBy.PAYOUT): _("payout and month of sale"),
    ("settlement_by", SettlementBy.DAY): _("day"),
    **{
        (f"fee_vat.{kind}", choice.value): text
        for kind in ("dispute", "conversion", "network", "service", "other")
        for choice, text in FEE_MEANINGS.items()
    },
    **{
        (f"fee_vat.{kind}", "as_payments"): _("As payment fees")
        for kind in ("dispute", "conversion", "network", "service", "other")
    },
    **{("fee_entity", entity.value): text for entity, text in FEE_ENTITIES.items()},
    ("fee_treatment", "as_company"): _("As VAT on fees says"),
    **{("fee_treatment", choice.value): text for choice, text in FEE_MEANINGS.items()},
    ("rate_source", RateChoice.ACCOUNTING): _("Your accounting system's own"),
    ("rate_source", RateChoice.RIKSBANK): _("Sveriges Riksbank"),
    ("rate_source", RateChoice.NATIONALBANK): _("Danmarks Nationalbank"),
    ("rate_source", RateChoice.ECB): _("European Central Bank (ECB)"),
    ("rate_stand_in", "yes"): _("The central bank's rate stands in"),
    ("rate_stand_in", "no"): _("Wait, then hold for a person"),
    ("revalue_at_year_end", "yes"): _("Kvitt values them"),
    ("revalue_at_year_end", "no"): _("Your bookkeeper values them"),
    ("dispute_lost", LostDispute.LOSS): _("a loss: the goods are gone, output VAT stays"),
    ("dispute_lost", LostDispute.CREDIT_NOTE): _("a credit note: the sale is undone, with its VAT"),
    ("bounced_payment", BouncedPayment.CLAIM): _("The buyer owes it again: a claim on an account of its own"),
    ("bounced_payment", BouncedPayment.CREDIT_NOTE): _("The sale is undone: a credit note, with its VAT"),
    ("bank_side", BankSide.BANK): _("On the bank account, on the day it arrives"),
    ("bank_side", BankSide.TRANSIT): _("Only up to a transit account"),
    ("book_drafts", "no"): _("Wait until a person has booked them"),
    ("book_drafts", "yes"): _("Book them as they are, then register the payment"),
    ("rounds_to_whole", "unknown"): _("Not known yet"),
    ("rounds_to_whole", "yes"): _("Yes"),
    ("rounds_to_whole", "no"): _("No"),
    ("order_fields", OrderField.ORDER_NUMBER): _("Your order number"),
    ("order_fields", OrderField.YOUR_REFERENCE): _("Your reference"),
    ("order_fields", OrderField.OUR_REFERENCE): _("Our reference"),
    ("order_fields", OrderField.EXTERNAL_REFERENCE): _("External reference"),
    ("order_fields", OrderField.OCR): _("OCR number"),
    ("order_fields", OrderField.INVOICE_NUMBER): _("Invoice number"),
}


def _own(system: str) -> SystemWords:
    """What a system calls things; nothing of its own where it is not known (any more)."""
    try:
        return registry.accounting(system).words
    except registry.NotRegistered:
        return SystemWords()


_FEE_VAT: Final = "fee_vat"
_ABROAD: Final[Mapping[str, Text]] = {
    FeeVat.EXEMPT.value: _("Exempt: a financial service, fees are booked as they are"),
    FeeVat.EU_REVERSE_CHARGE.value: _("Reverse charge within the EU"),
    FeeVat.DOMESTIC.value: _("VAT of your own country on the provider's invoice"),
    FeeVat.NON_EU_REVERSE_CHARGE.value: _("Reverse charge from outside the EU"),
}
"""Treatments of fees as companies outside Sweden read them: boxes and accounts of the Swedish return are not theirs."""
_MEANINGS_ABROAD: Final[Mapping[FeeVat, Text]] = {
    FeeVat.EU_REVERSE_CHARGE: _(
        "You compute the VAT on the service yourself and deduct it at once. A VAT code of your books does both, and "
        "fills the return; you choose it under Settings."
    ),
    FeeVat.DOMESTIC: _("The provider charges VAT, which you deduct. The fee is booked as it is taken."),
    FeeVat.NON_EU_REVERSE_CHARGE: _("As within the EU, by the code for services from outside it."),
}


def setting_words(key: str, system: str) -> SettingWords:
    """What a setting is called, for a company of an accounting system."""
    own = _own(system).settings.get(key)
    return SETTING_WORDS[key] if own is None else SettingWords(gettext(own[0]), gettext(own[1]))


def choice_word(key: str, value: str, system: str, country: str = "SE") -> Text:
    """What a choice is called, for a company of an accounting system and a country."""
    place = (key, value)
    if country != "SE" and key.startswith(_FEE_VAT) and value in _ABROAD:
        return _ABROAD[value]
    own = _own(system).choices.get(place)
    return gettext(own) if own is not None else CHOICES.get(place, value)


def fee_meaning(treatment: FeeVat, country: str) -> Text:
    """What a treatment of fees means for the books of a company in a country."""
    abroad = _MEANINGS_ABROAD.get(treatment) if country != "SE" else None
    return abroad or FEE_MEANINGS[treatment]


def fee_help(kind: FeeKind, country: str) -> Text:
    """What is worth knowing of a kind of fee. The Swedish authority's view is for Swedish companies."""
    if kind is FeeKind.PAYMENT and country != "SE":
        return gettext("For taking payments. Reverse charge is preselected; ask your accountant.")
    return FEE_KINDS[kind].help


def repair_word(remedy: str, subject: str, system: str) -> str:
    """What the button of a repair says."""
    own = _own(system).repairs.get(remedy)
    word = gettext(own) if own is not None else REPAIRS.get(remedy)
    return str(word) % {"subject": subject} if word is not None else str(gettext("Repair"))


# --- Account rules -------------------------------------------------------------------------------------------

SUBJECTS: Final[Mapping[Subject, SettingWords]] = {
    Subject.METHOD: SettingWords(_("Paid by"), _("The provider's word: card, klarna, swish …")),
    Subject.METADATA: SettingWords(_("Field of the shop's own")),
    Subject.PRODUCT: SettingWords(_("Article number (SKU)"), _("BOOK-* for all that begin with BOOK-.")),
    Subject.DESCRIPTION: SettingWords(_("Description has the words")),
    Subject.CURRENCY: SettingWords(_("Currency"), _("What the buyer paid in: SEK, EUR …")),
    Subject.COUNTRY: SettingWords(_("Buyer's country"), _("Two letters: SE, NO …")),
    Subject.AT_LEAST: SettingWords(_("Amount at least")),
    Subject.AT_MOST: SettingWords(_("Amount at most")),
    Subject.PROVIDER_KIND: SettingWords(
        _("The provider's own word has"), _("For unusual kinds: see the word on the movement's page.")
    ),
}

RULE_ACTIONS: Final[Mapping[Action, Text]] = {
    Action.BOOK: _("Book it otherwise"),
    Action.IGNORE: _("Set it aside: it is booked elsewhere"),
    Action.HOLD: _("Ask me each time"),
}

WAYS_OF_BOOKING: Final[Mapping[Way, Text]] = {
    Way.INVOICE: _("invoice"),
    Way.MATCH: _("payment on the invoice that is there"),
    Way.VOUCHER: _("voucher"),
    Way.ASIDE: _("set aside"),
    Way.HELD: _("asks you"),
    Way.USUAL: _("its usual course"),
}


def rule_conditions(rule: Rule) -> list[str]:
    """What a rule asks for, one text a condition."""
    found = [", ".join(str(KINDS[kind]) for kind in rule.kinds)]
    for condition in rule.conditions:
        label = condition.key if condition.subject is Subject.METADATA else str(SUBJECTS[condition.subject].label)
        values = gettext("anything") if ANYTHING in condition.values else ", ".join(condition.values)
        found.append(f"{label}: {values}")
    return found


def rule_outcome(rule: Rule) -> str:
    """What a rule does, in a few words."""
    if rule.action is Action.BOOK:
        how = Way.VOUCHER if rule.contra_account else Way.INVOICE
        account = rule.contra_account or rule.account
        return course(Course(how, account, rule.vat, rule.cost_centre, rule.project))
    return course(Course(Way.ASIDE if rule.action is Action.IGNORE else Way.HELD, where=rule.where))


def course(shown: Course) -> str:
    """What becomes of a movement, in a few words."""
    said = [str(WAYS_OF_BOOKING[shown.way])]
    if shown.account:
        said.append(gettext("account %(number)s", number=shown.account))
    if shown.vat:
        said.append(role_name(f"sales:{shown.vat}"))
    if shown.cost_centre:
        said.append(gettext("cost centre %(code)s", code=shown.cost_centre))
    if shown.project:
        said.append(gettext("project %(code)s", code=shown.project))
    if shown.where:
        said.append(gettext("booked in %(where)s", where=shown.where))
    return ", ".join(said)


# --- The log -------------------------------------------------------------------------------------------------

LEFT_ALONE: Final[Mapping[LeftAlone, Text]] = {
    LeftAlone.UNDONE: _("It has been undone before."),
    LeftAlone.TOUCHED: _("A person has changed it in your books since. That person's work is left alone."),
    LeftAlone.NEEDED: _("Another document that stands hangs on it. Undo that one's run first."),
    LeftAlone.UNDER_WAY: _("It is not finished: see the inbox."),
    LeftAlone.CANNOT: _("Your books would not take its reversal."),
}
"""Why a document of a run is not undone."""

ACTIVITIES: Final[Mapping[str, Text]] = {
    "run_undone": _("Had a run undone"),
    "decided": _("Decided how held movements are booked"),
    "opening_in_books": _("Said that the books have the opening already"),
    "opening_chosen": _("Chose the account of the opening voucher"),
    "backfill_begun": _("Moved the start back to bring an earlier year in"),
    "installed": _("Installed Kvitt"),
    "installed_again": _("Let Kvitt into the books again"),
    "looks_first": _("Began to look for each document in the books before writing it"),
    "uninstalled": _("Took Kvitt's access to the books away"),
    "member_added": _("Let an e-mail address sign in by a link"),
    "member_removed": _("Took an e-mail address's sign-in away"),
    "signed_out_everywhere": _("Signed all browsers out"),
    "keys_rotated": _("Sealed the accesses with a new key"),
    "connected": _("Connected %(provider)s"),
    "reconnected": _("Connected %(provider)s again"),
    "disconnected": _("Disconnected %(provider)s"),
    "connection_lost": _("A connection ended on its own"),
    "fee_invoice_entered": _("Typed in the provider's tax invoice of %(month)s: %(net)s"),
    "settings_changed": _("Changed a setting"),
    "repaired": _("Mended something in the books"),
    "approved": _("Approved documents"),
    "set_aside": _("Set movements aside"),
    "invoice_chosen": _("Chose the invoice of a payment"),
    "order_chosen": _("Gave a payment another order number"),
    "difference_accepted": _("Let a difference go to rounding"),
    "retried": _("Had movements looked at again"),
    "preview_looked": _("Looked at what would be booked"),
    "statement_made": _("Had a statement made"),
    "exported": _("Took along what Kvitt booked"),
    "evidence_asked": _("Had the provider's records attached"),
    "stopped": _("Bookings were stopped"),
    "freed": _("Bookings may go on"),
    "adopted": _("Found a document of ours in the books"),
    "undone": _("Undid a document that stood there twice"),
    "mailed": _("Had an invoice mailed to the buyer"),
    "not_mailed": _("An invoice was not mailed to the buyer, or may not have been"),
    "rule_saved": _("Saved an account rule"),
    "rule_moved": _("Moved an account rule"),
    "rule_deleted": _("Deleted an account rule"),
    "rules_replaced": _("Replaced all account rules"),
}
