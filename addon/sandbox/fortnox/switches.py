"""Where it is not known how the real Fortnox behaves, a switch for either truth; tests run both."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Switches:
    """The uncertain habits of one simulated world; change any at any time.

    Whole-krona rounding, warehouse, EasyVat and the like are settings of a company and stand there.
    """

    overpayment: str = "refused_at_bookkeep"
    """A payment above the invoice's balance: "refused_at_bookkeep", "refused_at_create" or "allowed"."""
    currency_rate_forced_to_one: bool = False
    """New foreign invoices get rate 1 unless CurrencyUnit is sent as `API_BLANK` with the rate (seen for a while)."""
    quoted_per_hundred: set[str] = field(default_factory=set)
    """Currencies whose rate is for 100 units, e.g. {"JPY"}; all others are quoted per unit."""
    rate_decimals: int | None = None
    """Sent exchange rates are rounded to so many decimals; None keeps them as sent."""
    vat_rounding: str = "row"
    """VAT on prices without VAT is rounded per "row" or once per "rate"."""
    vat_type_forces_zero: bool = False
    """Customers with EUREVERSEDVAT, SEREVERSEDVAT or EXPORT get 0 % whatever the row says."""
    cancelled_total_is_zero: bool = True
    """A cancelled invoice shows total and balance 0, as all recorded ones do."""
    credit_of_partly_paid_refused: bool = False
    """The credit action refuses an invoice that has been paid in part."""
    payment_amount_wins: bool = True
    """On foreign payments the sent Amount (SEK) is booked; False: AmountCurrency times a sent CurrencyRate is."""
    payment_number_as_text: bool = True
    """`Number` of a payment is a string; False: a number."""
    delete_voucher_refused: bool = True
    """DELETE of a voucher is refused even with the scope `deletevoucher`; False: the last of a series can go."""
    unpaid_includes_unbooked: bool = False
    """`filter=unpaid` shows unbooked invoices too."""
    vouchers_ignore_dates: bool = False
    """Voucher lists take no notice of `fromdate` and `todate`."""
    small_lists_ignore_page: bool = True
    """Cost centre and project lists answer the first page whatever page is asked for."""
    locked_period_shape: str = "null"
    """No locked period is told as EndDate "null", as an "empty" object or with "404"."""
    list_delay_s: float = 0
    """A written object is missing from lists for so many seconds of the world's clock."""
    get_delay_s: float = 0
    """A written object cannot be fetched by number for so many seconds of the world's clock."""
    retry_after: str = "alternate"
    """429 carries Retry-After "always", "never" or every other time ("alternate")."""
    refresh_token_days: int = 45
    """Life of a refresh token: 45 days by the newer sources, 31 by the older page."""
    service_accounts_allowed: bool = True
    """The integration may ask for service accounts (a box in the developer portal)."""
    missing_consent_status: int = 400
    """Client credentials without a consent: 400 `invalid_grant`, or 500 as was once seen."""
    revocation_kills_access_tokens: bool = False
    """Access tokens die with the consent; False: they live out their hour."""
    marketplace_state: str | None = None
    """State parameter that an activation begun in the marketplace sends along; None sends none."""
    orders_hand_references_on: bool = True
    """Whether the invoice that is made of an order gets the order's external references."""
