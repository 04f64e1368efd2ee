"""Why something is not booked: holds with their reasons, and what a waiting part waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from addon.core.documents import PartRef


class HoldReason(StrEnum):
    """Why a part is held. Each has its own words and remedy on the inbox page."""

    UNKNOWN_KIND = "unknown_kind"
    """The provider uses a word for this movement that we do not know."""
    KIND_NOT_BUILT = "kind_not_built"
    """We know what it is, and Kvitt does not book it yet."""
    NO_ORDER_NUMBER = "no_order_number"
    NO_INVOICE = "no_invoice"
    """Waited the days that are set, and no invoice or credit note with this order number came."""
    SEVERAL_INVOICES = "several_invoices"
    AMOUNT_DIFFERS = "amount_differs"
    INVOICE_NOT_BOOKED = "invoice_not_booked"
    INVOICE_CANCELLED = "invoice_cancelled"
    ALREADY_PAID = "already_paid"
    WRONG_SIGN = "wrong_sign"
    """The order number leads to a credit note where an invoice is needed, or the other way round."""
    FOREIGN_CURRENCY = "foreign_currency"
    """Basic books your own currency only."""
    LEDGER_PRECISION = "ledger_precision"
    """The ledger cannot hold so fine an amount."""
    PERIOD_LOCKED = "period_locked"
    NO_FINANCIAL_YEAR = "no_financial_year"
    ACCOUNT_NOT_READY = "account_not_ready"
    CURRENCY_NOT_READY = "currency_not_ready"
    NO_RATE = "no_rate"
    ORIGINAL_UNKNOWN = "original_unknown"
    """A refund whose sale Kvitt has not booked."""
    REFUND_EXCEEDS = "refund_exceeds"
    PAYOUT_NOT_PROVED = "payout_not_proved"
    """The payout's lines do not make up its amount."""
    TOTAL_DIFFERS = "total_differs"
    """The document that was made differs from the plan in total, VAT or currency; it was not booked."""
    RATE_DIFFERS = "rate_differs"
    REJECTED = "rejected"
    """The accounting system read it and said no."""
    TOUCHED = "touched"
    """A person changed the document between our steps."""
    MODE_NOT_BUILT = "mode_not_built"
    ALREADY_INVOICED = "already_invoiced"
    """Another connection has invoiced this sale: booked again it would be sold twice."""
    CODE_NOT_READY = "code_not_ready"
    """A cost centre, project or term of payment that a document names is not in the books, or not open."""
    WAITED_FOR_GONE = "waited_for_gone"
    """A person took away the draft, order or unbooked payment that waited for them."""
    RULE_HOLDS = "rule_holds"
    """One of the company's own rules says that a person decides."""
    VAT_IMPLAUSIBLE = "vat_implausible"
    """The provider's tax lines have a rate that the country does not have, or do not add up."""
    VAT_RATE_ODD = "vat_rate_odd"
    """The ledger's invoices cannot hold the rate (25.5 %), and the company has chosen to hold such sales."""
    VAT_RATE_UNKNOWN = "vat_rate_unknown"
    """No rate is known for the country, category and day."""
    VAT_NUMBER_INVALID = "vat_number_invalid"
    VAT_NUMBER_UNCHECKED = "vat_number_unchecked"
    """Waited the days that are set, and the register of VAT numbers did not answer."""
    DISPUTE_UNKNOWN = "dispute_unknown"
    """Money of a dispute came back whose beginning Kvitt has not booked."""
    CONVERSION_UNPAIRED = "conversion_unpaired"
    """One half of a conversion between two balances, and the other never came."""
    CREDIT_NOTE_BY_HAND = "credit_note_by_hand"
    """A lost dispute should become a credit note, and in this mode the invoice is somebody else's."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Parts that a person must look at. `facts` fill the reason's sentence (order number, amounts, account)."""

    parts: tuple[PartRef, ...]
    reason: HoldReason
    facts: tuple[tuple[str, str], ...] = field(default=())


class WaitReason(StrEnum):
    """What a part waits for."""

    DAY_CLOSES = "day_closes"
    """Fees are booked per closed day."""
    INVOICE = "invoice"
    """The shop has not invoiced yet."""
    BOOKING = "booking"
    """The invoice is there (found, or made by us as a draft or an order), and a person has not booked it yet."""
    SALE = "sale"
    """The sale that this refund concerns is not booked yet."""
    PAYOUT_PAID = "payout_paid"
    """The payout is under way."""
    PAYOUT_ITEMS = "payout_items"
    """The provider has not finished the payout's list, or its lines are not booked yet."""
    YEAR_END = "year_end"
    """The balance is still to be valued at the end of the year before."""
    RATE = "rate"
    """No exchange rate for the day is known yet."""
    VAT_NUMBER = "vat_number"
    """The register of VAT numbers has not answered yet."""
    EARLIER_ENTRIES = "earlier_entries"
    """Entries before it on the same foreign balance, which tell what that is carried at."""
    DISPUTE = "dispute"
    """The entry that this dispute was opened with."""
    CONVERSION = "conversion"
    """The other half of a conversion between two balances."""
    PAYMENT_BOOKING = "payment_booking"
    """A person books the payment."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Parts that wait for a named thing, at the longest until a date (None: as long as it takes)."""

    parts: tuple[PartRef, ...]
    reason: WaitReason
    until: date | None = None
    facts: tuple[tuple[str, str], ...] = field(default=())
