"""What the simulated PayPal keeps: rows of an account's ledger, invoices, disputes, apps, consents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

REPORTING = "https://uri.paypal.com/services/reporting/search/read"
BALANCES = "https://uri.paypal.com/services/reporting/balances/read"
INVOICING = "https://uri.paypal.com/services/invoicing"
DISPUTES = "https://uri.paypal.com/services/disputes/read-seller"
REFERRALS = "https://uri.paypal.com/services/customer/partner-referrals/readwrite"
PARTNER = "https://uri.paypal.com/services/customer/partner"
WEBHOOKS = "https://uri.paypal.com/services/applications/webhooks"

FEATURE_SCOPES: Mapping[str, tuple[str, ...]] = {
    "ADVANCED_TRANSACTIONS_SEARCH": (REPORTING, BALANCES),
    "INVOICE_READ_WRITE": (INVOICING,),
    "READ_SELLER_DISPUTE": (DISPUTES,),
    "ACCESS_MERCHANT_INFORMATION": (),
}
"""What a feature that a merchant grants to a partner opens."""

HOLDS = ("T15", "T21", "T50")
"""Groups of event codes that hold money back or let it go: the money stays the merchant's."""
SINGLE_HOLDS = frozenset({"T1105", "T1110", "T1111"})
STILL = ("T13", "T98")
"""Groups of event codes that are shown and move nothing."""


def is_hold(code: str) -> bool:
    """Whether a row of this event code holds money back or lets it go."""
    return code.startswith(HOLDS) or code in SINGLE_HOLDS


@dataclass(frozen=True, slots=True)
class FeeRules:
    """PayPal's fee for a payment received: a percentage, and a fixed sum in the payment's currency."""

    percent: Decimal = Decimal("2.9")
    fixed: Mapping[str, int] = field(
        default_factory=lambda: {"SEK": 325, "EUR": 39, "USD": 49, "GBP": 30, "NOK": 280, "DKK": 260, "JPY": 40}
    )


@dataclass(frozen=True, slots=True)
class Payer:
    """Who paid, or was paid."""

    name: str = ""
    email: str | None = None
    country: str = "SE"
    account_id: str = ""
    city: str = ""
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a cart: `amount` without tax for all of the quantity, in the smallest unit."""

    name: str
    quantity: int
    amount: int
    tax: int = 0
    sku: str = ""
    percent: Decimal | None = None


@dataclass(slots=True)
class Row:
    """A line of the ledger. `amount` and `fee` are signed as PayPal does it: a fee that costs is negative.

    `posted` is when the balance moved and never changes; `updated` may. `moves` False: shown, but no money (a
    pending payment, an authorisation). `ending` and `available` are the balances after it.
    """

    id: str
    code: str
    posted: datetime
    initiated: datetime
    updated: datetime
    amount: int
    currency: str
    fee: int | None = None
    status: str = "S"
    moves: bool = True
    reference: str = ""
    reference_type: str = ""
    invoice_id: str = ""
    custom_field: str = ""
    subject: str = ""
    note: str = ""
    payer: Payer | None = None
    items: tuple[Item, ...] = ()
    shipping: int = 0
    sales_tax: int = 0
    bank_reference: str = ""
    paypal_invoice: str = ""
    visible_at: datetime | None = None
    refunded: int = 0
    number: int = 0
    ending: int = 0
    available: int = 0
    withheld: int = 0

    @property
    def net(self) -> int:
        """What the row did to the balance, if it moved it."""
        return self.amount + (self.fee or 0)


@dataclass(slots=True)
class Invoice:
    """An invoice made at PayPal."""

    id: str
    number: str
    made: datetime
    currency: str
    items: tuple[Item, ...]
    recipient: Payer
    payments: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)

    @property
    def total(self) -> int:
        """With tax, in the smallest unit."""
        return sum(item.amount + item.tax for item in self.items)

    @property
    def status(self) -> str:
        """In PayPal's words."""
        if self.refunds:
            back = -sum(row.amount for row in self.refunds)
            return "REFUNDED" if back >= self.total else "PARTIALLY_REFUNDED"
        paid = sum(row.amount for row in self.payments)
        if not paid:
            return "SENT"
        return "PAID" if paid >= self.total else "PARTIALLY_PAID"


@dataclass(slots=True)
class Dispute:
    """A buyer's complaint about a payment; `hold` names the row that holds its money."""

    id: str
    payment: str
    made: datetime
    updated: datetime
    amount: int
    currency: str
    hold: str
    reason: str = "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"
    status: str = "OPEN"
    stage: str = "INQUIRY"
    outcome: str = ""
    chargeback: str = ""


@dataclass(slots=True)
class RestApp:
    """A REST app that a merchant has made in the developer's dashboard, with the features that are ticked."""

    client_id: str
    secret: str
    account: str
    transaction_search: bool = True
    invoicing: bool = True
    disputes: bool = True
    revoked: bool = False

    def scopes(self) -> frozenset[str]:
        """What a token made now opens; one made before a box was ticked lacks it."""
        found = {"openid", WEBHOOKS}
        if self.transaction_search:
            found |= {REPORTING, BALANCES}
        if self.invoicing:
            found.add(INVOICING)
        if self.disputes:
            found.add(DISPUTES)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token: whose app it is, what it opens, when it was made."""

    value: str
    client_id: str
    scopes: frozenset[str]
    made: datetime


@dataclass(slots=True)
class Referral:
    """What a partner asks a merchant for; its token is in the address that the merchant is sent to."""

    token: str
    tracking_id: str
    return_url: str
    features: tuple[str, ...]
    made: datetime
    body: Mapping[str, object]
    used: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """What a merchant has granted to the partner."""

    account: str
    tracking_id: str
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """A webhook: whose (the partner's, or a merchant's app), where to, which events."""

    id: str
    url: str
    client_id: str
    events: tuple[str, ...] = ("*",)

    def wants(self, event: str) -> bool:
        """Whether it subscribes to an event."""
        return "*" in self.events or event in self.events
