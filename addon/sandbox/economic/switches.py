"""Habits of the real e-conomic that are uncertain: each can be set to either truth, and tests run both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Switches:
    """One value for the whole simulated e-conomic."""

    money_received_is_negative: bool = True
    """A customer's payment has a negative amount, on drafts and on booked entries; False: a positive one."""
    vat_rounding: str = "line"
    """An invoice's VAT is rounded per "line" or once per "rate"."""
    idempotency_other_body: str = "replay"
    """The same key with another body: "replay" of the first answer, or "refuse" (400)."""
    idempotency_keeps_errors: bool = False
    """Refusals (400, 404, 409) are kept under their key as well; False: only successes are."""
    remembers_s: float = 3600
    """For how long an answer is remembered under its idempotency key."""
    unbalanced_booking: str = "refuse"
    """Booking entries that do not balance: "refuse" (400), or "skip" (204, and the entries stay drafts)."""
    matches_other_rate: bool = True
    """A payment at another exchange rate than its invoice's is matched with it all the same when booked."""
    bulk_shares_voucher_number: bool = True
    """Bulk entries without a voucher number get one together; False: one each."""
    splits_vouchers: bool = False
    """The legacy voucher call makes a voucher of each entry."""
    booked_delay_s: float = 0
    """A booked entry is missing from lists for so many seconds of the world's clock."""
    redirect_must_be_registered: bool = False
    """The install link accepts only addresses whose host is registered with the app."""
    legacy_limit_body: str = "json"
    """429 on the old host has a "json" body in its own error shape, or is "empty"."""
    retry_after_is_date: bool = False
    """429 names an HTTP date in Retry-After; False: seconds."""
    leaves_false_out: bool = False
    """Booleans that are false are left out of the old host's answers, as its documentation says."""
    text_lines_book: bool = False
    """Invoices with lines that have no product can be booked."""
    old_conflict_body: bool = False
    """409 has the shape that the documentation shows (message, logId …); False: problem+json as seen live."""
