"""What the simulated Stripe keeps: its own records, mutable, in smallest units and Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class FeeDetail:
    """One part of a row's fee; positive is a cost."""

    amount: int
    currency: str
    description: str
    type: str
    application: str | None = None


@dataclass(slots=True)
class BalanceTransaction:
    """One row of the ledger. Nothing of it changes once made but whether it is available."""

    id: str
    created: int
    amount: int
    currency: str
    type: str
    reporting_category: str
    available_on: int
    description: str | None = None
    source: str | None = None
    fee_details: tuple[FeeDetail, ...] = ()
    exchange_rate: Decimal | None = None
    balance_type: str = "payments"
    payout: str | None = None  # the automatic payout that swept this row

    @property
    def fee(self) -> int:
        """Sum of the fee's parts; positive is a cost."""
        return sum(detail.amount for detail in self.fee_details)

    @property
    def net(self) -> int:
        """What the row does to the balance."""
        return self.amount - self.fee


@dataclass(slots=True)
class Charge:
    """A payment and the PaymentIntent around it."""

    id: str
    created: int
    amount: int
    currency: str
    amount_captured: int
    payment_intent: str
    payment_method_type: str
    metadata: dict[str, str]
    intent_metadata: dict[str, str]
    description: str | None
    name: str | None
    email: str | None
    country: str | None
    phone: str | None = None
    tax_id: str | None = None
    address: dict[str, str | None] = field(default_factory=dict)
    customer: str | None = None
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    amount_refunded: int = 0
    status: str = "succeeded"
    disputed: bool = False
    application_fee: int = 0
    invoice: str | None = None
    order_reference: str | None = None
    amount_tax: int | None = None
    amount_shipping: int | None = None
    refunds: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Refund:
    """Money going back to a buyer."""

    id: str
    created: int
    amount: int
    currency: str
    charge: str
    payment_intent: str
    reason: str | None
    metadata: dict[str, str]
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    failure_reason: str | None = None
    status: str = "succeeded"


@dataclass(slots=True)
class Dispute:
    """A buyer's bank asks the money back, or merely asks (an inquiry moves none)."""

    id: str
    created: int
    amount: int
    currency: str
    charge: str
    payment_intent: str
    reason: str
    status: str
    due_by: int
    balance_transactions: list[str] = field(default_factory=list)
    countered: bool = False


@dataclass(slots=True)
class Payout:
    """Money on its way to the company's bank; negative where Stripe debits the bank."""

    id: str
    created: int
    amount: int
    currency: str
    arrival_date: int
    automatic: bool
    method: str
    status: str
    reconciliation_status: str
    destination: str
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    trace: str | None = None
    rows: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Topup:
    """Money moved from the bank into the balance."""

    id: str
    created: int
    amount: int
    currency: str
    description: str | None
    balance_transaction: str | None = None


@dataclass(slots=True)
class Customer:
    """A buyer the shop saved with Stripe."""

    id: str
    created: int
    name: str | None
    email: str | None
    country: str | None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaxLine:
    """Tax of a Checkout session as Stripe Tax worked it out; `percentage` in per cent."""

    amount: int
    taxable_amount: int
    percentage: Decimal
    country: str
    inclusive: bool = True


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of a Checkout session or invoice, tax included; `percentage` None: Stripe worked no tax out for it."""

    description: str
    amount: int
    percentage: Decimal | None = None
    country: str = "SE"
    quantity: int = 1
    product: str | None = None
    sku: str | None = None
    reason: str = "standard_rated"

    @property
    def tax(self) -> int:
        """The tax inside the amount, rounded as Stripe rounds it: half up, line by line."""
        if not self.percentage:
            return 0
        return int((self.amount * self.percentage / (100 + self.percentage)).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(slots=True)
class Invoice:
    """A Stripe invoice that was paid, with its lines and what it says of the buyer."""

    id: str
    created: int
    charge: str
    lines: tuple[SoldLine, ...]
    tax_exempt: str = "none"
    tax_ids: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class CheckoutSession:
    """What Checkout knows about a payment besides the payment."""

    id: str
    created: int
    charge: str
    client_reference_id: str | None = None
    taxes: tuple[TaxLine, ...] = ()
    amount_shipping: int = 0
    tax_ids: tuple[tuple[str, str], ...] = ()
    custom_fields: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    lines: tuple[SoldLine, ...] = ()
    tax_exempt: str = "none"
    delivery_country: str | None = None


@dataclass(slots=True)
class InvoicePayment:
    """The link between a Stripe invoice and the payment that paid it."""

    id: str
    created: int
    invoice: str
    payment_intent: str
    amount: int
    currency: str


@dataclass(slots=True)
class Event:
    """Something happened to an object. `snapshot` is what it looked like, where somebody was listening."""

    id: str
    created: int
    type: str
    object_id: str
    snapshot: dict[str, object] | None = None


@dataclass(slots=True)
class WebhookEndpoint:
    """An address that wants to be told; `connect` asks for the connected accounts' events."""

    id: str
    created: int
    url: str
    secret: str
    enabled_events: tuple[str, ...]
    account: str
    connect: bool = False
    api_version: str | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def wants(self, event_type: str) -> bool:
        """Whether this endpoint subscribed to a kind of event."""
        return "*" in self.enabled_events or event_type in self.enabled_events


@dataclass(frozen=True, slots=True)
class FeeRules:
    """What Stripe takes. Percentages in per cent, fixed parts in smallest units of the balance currency.

    Defaults are Swedish list prices. `conversion_in_rate` is the other truth of where the conversion fee
    goes: hidden in the rate instead of named in the row. `won_dispute_returns_fee_before` is the day Stripe
    stopped giving the dispute fee back.
    """

    percent_home: Decimal = Decimal("1.5")
    percent_abroad: Decimal = Decimal("3.25")
    conversion_percent: Decimal = Decimal("2")
    conversion_in_rate: bool = False
    vat_percent: Decimal = Decimal("0")
    fixed: tuple[tuple[str, int], ...] = (
        ("sek", 180),
        ("nok", 200),
        ("dkk", 180),
        ("eur", 25),
        ("gbp", 20),
        ("usd", 30),
        ("chf", 30),
        ("pln", 100),
    )
    dispute_fee: tuple[tuple[str, int], ...] = (
        ("sek", 20000),
        ("nok", 22000),
        ("dkk", 15000),
        ("eur", 2000),
        ("gbp", 2000),
        ("usd", 1500),
        ("pln", 8500),
    )
    won_dispute_returns_fee_before: int = 1750118400  # 2025-06-17
