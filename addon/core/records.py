"""What a payment provider reports, in our words: movements of a balance, their parts, and payouts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from addon.core.dates import aware
from addon.core.money import CurrencyMismatch, Money


class MovementKind(StrEnum):
    """What moved a balance. Providers' own words become one of these, or `UNRECOGNISED`."""

    SALE = "sale"
    """A buyer paid."""
    SALE_REVERSAL = "sale_reversal"
    """A payment bounced after it was credited, or part of it was never captured."""
    REFUND = "refund"
    """Money went back to a buyer."""
    REFUND_REVERSAL = "refund_reversal"
    """A refund bounced; the money is back."""
    DISPUTE = "dispute"
    """A buyer's bank withdrew a payment."""
    DISPUTE_REVERSAL = "dispute_reversal"
    """A withdrawn payment came back."""
    DISPUTE_LOST = "dispute_lost"
    """A dispute was decided against the company. It moves nothing: the money went when it was opened."""
    FEE = "fee"
    """The provider's own fee, taken apart from any sale; a credit of such a fee is positive."""
    FEE_TAX = "fee_tax"
    """Tax that the provider takes on its fees."""
    PAYOUT = "payout"
    """Money went to the company's bank account; positive where the provider debited the bank."""
    PAYOUT_REVERSAL = "payout_reversal"
    """A payout failed or was cancelled."""
    RESERVE = "reserve"
    """Money held back (negative) or released (positive)."""
    TRANSFER = "transfer"
    """Between the provider's own accounts, as platforms have them."""
    PLATFORM_EARNING = "platform_earning"
    """A platform's fee income, or its return."""
    TOP_UP = "top_up"
    """Money came from the company's bank account, or its reversal."""
    FINANCING = "financing"
    """Advances and loans, and their repayment."""
    CONVERSION = "conversion"
    """One balance currency was changed into another."""
    CONTRIBUTION = "contribution"
    """A donation or climate order taken from the balance."""
    ADJUSTMENT = "adjustment"
    """The provider says no more than that it adjusted the balance."""
    UNRECOGNISED = "unrecognised"
    """A word of the provider's that we do not know."""


class PartKind(StrEnum):
    """Which share of a movement a part is."""

    AMOUNT = "amount"
    """The gross amount."""
    FEE = "fee"
    """The provider's fee."""
    FEE_TAX = "fee_tax"
    """Tax on the provider's fee."""
    FOREIGN_FEE = "foreign_fee"
    """Another company's fee (a platform's application fee)."""


class FeeKind(StrEnum):
    """What the provider's own fee is for. VAT may differ: moving money is a financial service, tools are none."""

    PAYMENT = "payment"
    """Taking a payment: the acquiring fee."""
    DISPUTE = "dispute"
    """Handling a payment that a buyer's bank withdrew."""
    CONVERSION = "conversion"
    """Exchanging currency."""
    NETWORK = "network"
    """What card schemes and issuers take, passed on at cost."""
    SERVICE = "service"
    """Tools besides payments: invoicing, subscriptions, fraud protection, tax reckoning, terminals, reports."""
    OTHER = "other"
    """A fee whose description tells nothing that we know."""


@dataclass(frozen=True, slots=True)
class Fee:
    """One fee inside a movement; a positive `amount` is a cost."""

    kind: PartKind
    amount: Money
    description: str = ""
    service: FeeKind = FeeKind.PAYMENT

    def __post_init__(self) -> None:
        if self.kind is PartKind.AMOUNT:
            raise ValueError("a fee is not the movement's amount")


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who paid, as far as the provider tells. All of it is a stranger's input."""

    name: str = ""
    email: str = ""
    country: str = ""
    """ISO 3166 two letters, or empty."""
    vat_number: str = ""
    tax_exempt: str = ""
    """What the provider was told of the buyer's tax: `exempt`, `reverse` (reverse charge), or nothing."""
    delivery_country: str = ""
    """Where goods were sent, if told; ISO 3166 two letters."""


@dataclass(frozen=True, slots=True)
class SaleItem:
    """A thing that was sold: `gross` is VAT included, for all of the `quantity`, in the buyer's currency.

    `tax` and `percent` are None where the provider worked no tax out; then the company's rules say. `country` is
    whose tax it is. `reason` is the provider's word for why the tax is what it is (`reverse_charge`, `exempt` …).
    A discount that concerns no line is an item of its own, negative.
    """

    description: str
    quantity: Decimal
    gross: Money
    sku: str = ""
    tax: Money | None = None
    percent: Decimal | None = None
    country: str = ""
    reason: str = ""
    product: str = ""
    """The provider's reference of the product."""
    tax_code: str = ""
    """The provider's code for the kind of product (Stripe: `txcd_…`)."""

    def codes(self) -> tuple[str, ...]:
        """What a rule may know the product by."""
        return tuple(code for code in (self.sku, self.product, self.tax_code) if code)


@dataclass(frozen=True, slots=True)
class OrderNumber:
    """An order number and the place where it stood, for example `metadata.order_id`."""

    place: str
    value: str


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a movement that is booked, waiting, held or set aside as one; signed as the balance moves."""

    name: str
    kind: PartKind
    amount: Money


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of a provider's balance. `amount` is gross and signed, in the balance's currency.

    `source_ref` names the object that moved it (charge, refund, payout), `original_ref` the sale that a refund
    or dispute concerns, `presented` the signed amount in the buyer's currency. `metadata` is what the shop attached to
    the payment, `payment_method` the provider's word for how the buyer paid (`card`, `klarna`); both are strangers'
    texts. Raises `CurrencyMismatch` if a fee has another currency than the amount.
    """

    ref: str
    kind: MovementKind
    amount: Money
    occurred_at: datetime
    fees: tuple[Fee, ...] = ()
    source_ref: str = ""
    original_ref: str = ""
    presented: Money | None = None
    order_numbers: tuple[OrderNumber, ...] = ()
    buyer: Buyer = Buyer()
    description: str = ""
    raw_kind: str = ""
    items: tuple[SaleItem, ...] = ()
    """What was sold, in the buyer's currency, where the provider tells."""
    metadata: tuple[tuple[str, str], ...] = ()
    payment_method: str = ""
    fee_kind: FeeKind = FeeKind.PAYMENT
    """Of a movement that is a fee itself: what it is for."""
    balance_after: Money | None = None
    """Of a payout: what the provider says was left after it, where it keeps a running balance."""

    def __post_init__(self) -> None:
        aware(self.occurred_at)
        for fee in self.fees:
            if fee.amount.currency != self.amount.currency:
                raise CurrencyMismatch(f"{self.ref}: fee {fee.amount} in a movement of {self.amount}")

    @property
    def currency(self) -> str:
        """The balance currency."""
        return self.amount.currency

    def parts(self) -> tuple[Part, ...]:
        """Every part with its name within the movement; together they are the movement's net."""
        fees = tuple(
            Part(f"{fee.kind.value}/{index}", fee.kind, -fee.amount)
            for index, fee in enumerate(self.fees)
            if fee.amount
        )
        return (Part("amount", PartKind.AMOUNT, self.amount), *fees) if self.amount or not fees else fees

    def service_of(self, part: str) -> FeeKind:
        """What the fee of a part is for; of the amount, what the movement itself is for."""
        place = part.rpartition("/")[2]
        return self.fees[int(place)].service if place.isdecimal() and int(place) < len(self.fees) else self.fee_kind

    def net(self) -> Money:
        """What the movement did to the balance: amount less fees."""
        return Money.total((part.amount for part in self.parts()), self.currency)


class PayoutState(StrEnum):
    """Where a payout is on its way to the bank."""

    UNDER_WAY = "under_way"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Itemisation(StrEnum):
    """Whether a provider tells which movements make up a payout."""

    COMPLETE = "complete"
    PENDING = "pending"
    """It will, but has not finished."""
    NONE = "none"
    """It never does; the running balance proves this one."""


@dataclass(frozen=True, slots=True)
class Payout:
    """Money on its way to a bank account; negative where the provider debits the bank.

    `arrival_date` is a date as the provider writes it, not an instant. `movement_ref` names the movement that took
    it off the balance; empty where the provider does not tell.
    """

    ref: str
    amount: Money
    state: PayoutState
    created_at: datetime
    arrival_date: date | None
    itemisation: Itemisation
    automatic: bool = True
    statement_text: str = ""
    movement_ref: str = ""

    def __post_init__(self) -> None:
        aware(self.created_at)


class DisputeState(StrEnum):
    """How far a dispute has come."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"
    """It ended without a decision, as an inquiry does that came to nothing."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that a buyer's bank asks back. `amount` is what is asked, in the buyer's currency."""

    ref: str
    original_ref: str
    """The sale that it is about."""
    amount: Money
    state: DisputeState
    created_at: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        aware(self.created_at)


@dataclass(frozen=True, slots=True)
class Balance:
    """A provider's balance of one currency at an instant, payouts under way already taken off."""

    amount: Money
    at: datetime
