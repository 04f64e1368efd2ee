"""A merchant's account at the simulated Stripe: what can happen to its money, and its ledger."""

from __future__ import annotations

import random
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeVar

from addon.sandbox.clock import Clock
from addon.sandbox.stripe.collection import Collection
from addon.sandbox.stripe.model import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Customer,
    Dispute,
    Event,
    FeeDetail,
    FeeRules,
    Invoice,
    InvoicePayment,
    Payout,
    Refund,
    SoldLine,
    TaxLine,
    Topup,
)
from addon.sandbox.stripe.money import (
    CHARGE_MULTIPLE,
    CURRENCIES,
    convert,
    exchange_rate,
    percent_of,
)

_EEA_CODES = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO"
_EEA = frozenset(_EEA_CODES.split())
_DAY = 86_400
_SMALLEST_PAYOUT = 100
_WHOLE_UNIT_PAYOUTS = frozenset({"huf", "twd"})

OTHER_ROWS: dict[str, tuple[str, int, str]] = {
    "advance": ("advance", 1, ""),
    "advance_funding": ("advance_funding", -1, ""),
    "anticipation_repayment": ("anticipation_repayment", -1, ""),
    "application_fee": ("platform_earning", 1, "fee"),
    "application_fee_refund": ("platform_earning_refund", -1, "fr"),
    "climate_order_purchase": ("climate_order_purchase", -1, "climorder"),
    "climate_order_refund": ("climate_order_refund", 1, "climorder"),
    "connect_collection_transfer": ("connect_collection_transfer", 1, ""),
    "contribution": ("contribution", -1, "con"),
    "issuing_authorization_hold": ("issuing_authorization_hold", -1, "iauth"),
    "issuing_authorization_release": ("issuing_authorization_release", 1, "iauth"),
    "issuing_dispute": ("issuing_dispute", 1, "idp"),
    "issuing_transaction": ("issuing_transaction", -1, "ipi"),
    "network_cost": ("network_cost", -1, ""),
    "payment_unreconciled": ("unreconciled_customer_funds", 1, ""),
    "payout_minimum_balance_hold": ("payout_minimum_balance_hold", -1, ""),
    "payout_minimum_balance_release": ("payout_minimum_balance_release", 1, ""),
    "reserved_funds": ("connect_reserved_funds", -1, ""),
    "tax_fee": ("tax", -1, ""),
    "topup_reversal": ("topup_reversal", -1, "tu"),
    "transfer": ("transfer", -1, "tr"),
    "transfer_refund": ("transfer_reversal", 1, "trr"),
    "financing_payout": ("financing_payout", 1, ""),
    "financing_payout_reversal": ("financing_payout_reversal", -1, ""),
    "financing_paydown": ("financing_paydown", -1, ""),
    "financing_paydown_reversal": ("financing_paydown_reversal", 1, ""),
}
"""Rows without a story of their own here: by type, the category, the sign, and what their source's id begins with."""

Found = TypeVar("Found")
EmitHook = Callable[["StripeAccount", Event], None]
Leaves = Literal["created", "arrival", "paid"]


class NotPossible(ValueError):
    """The simulated Stripe does not do what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class RestrictedKey:
    """A key the merchant made in the dashboard, with the permissions ticked there."""

    secret: str
    permissions: frozenset[str]


def unix(at: datetime) -> int:
    """An aware instant as Stripe writes it: whole Unix seconds."""
    if at.tzinfo is None:
        raise ValueError("the sandbox takes aware instants only")
    return int(at.timestamp())


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def business_days_later(day: date, days: int) -> date:
    """The day that many banking days on; weekends do not count (holidays are not simulated)."""
    while days > 0 or day.weekday() >= 5:
        day += timedelta(days=1)
        if day.weekday() < 5:
            days -= 1
    return day


class StripeAccount:
    """One merchant: charges, refunds, disputes, payouts and the rows they leave in the ledger.

    Every method that moves money takes `at` (an aware instant, else the world's clock) and returns the id of
    what it made. Amounts are smallest units as Stripe writes them. A charge in a currency the account keeps a
    balance in stays in it; any other is converted to the default currency at the day's rate.

    Switches are plain attributes: `payout_leaves_balance` says when a payout is off the balance that
    /v1/balance tells, `reconciliation_delay_s` how long `?payout=` is incomplete, `livemode` makes it a
    test-mode twin. Who acts on an account while its world is served holds `lock` meanwhile.
    """

    def __init__(
        self,
        account_id: str,
        name: str,
        clock: Clock,
        *,
        country: str = "SE",
        default_currency: str = "sek",
        balance_currencies: Iterable[str] = ("sek", "eur"),
        schedule_delay_days: int = 2,
        fees: FeeRules | None = None,
        email: str | None = None,
        livemode: bool = True,
        seed: int = 1,
        on_event: EmitHook | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        currencies = tuple(dict.fromkeys((default_currency, *balance_currencies)))
        if _WHOLE_UNIT_PAYOUTS.intersection(currencies):
            raise NotPossible("balances in HUF and TWD, which pay out whole units only, are not simulated")
        self.id = account_id
        self.name = name
        self.country = country
        self.default_currency = default_currency
        self.balance_currencies = currencies
        self.schedule_delay_days = schedule_delay_days
        self.fees = fees or FeeRules()
        self.email = email or "owner@example.com"
        self.livemode = livemode
        self.payouts_enabled = True
        self.payout_leaves_balance: Leaves = "created"
        self.payout_hour_utc = 2
        self.transit_days = 2
        self.reconciliation_delay_s = 600
        self.keep_events = True
        self.controlled_by_other_platform = False
        self.restricted_keys: dict[str, RestrictedKey] = {}

        self.ledger: Collection[BalanceTransaction] = Collection()
        self.charges: Collection[Charge] = Collection()
        self.refunds: Collection[Refund] = Collection()
        self.disputes: Collection[Dispute] = Collection()
        self.payouts: Collection[Payout] = Collection()
        self.topups: Collection[Topup] = Collection()
        self.customers: Collection[Customer] = Collection()
        self.sessions: Collection[CheckoutSession] = Collection()
        self.invoices: dict[str, Invoice] = {}
        self.invoice_payments: Collection[InvoicePayment] = Collection()
        self.events: Collection[Event] = Collection()
        self.charge_of_intent: dict[str, str] = {}

        self.clock = clock
        self.lock = threading.RLock() if lock is None else lock
        self._seed = seed
        self._chance = random.Random(f"{seed}/{account_id}")
        self._on_event = on_event
        self._unswept: dict[str, list[BalanceTransaction]] = {}
        self._under_way: list[Payout] = []
        self._last_run_day: date | None = None
        self._mode = "live" if livemode else "test"
        self.secret_key = f"sk_{self._mode}_sandbox_{self._token(12)}"
        self.bank_account_of = {currency: f"ba_1{self._token(20)}" for currency in currencies}

    # --- ids, time, events ---------------------------------------------------------------------------------

    def _token(self, length: int) -> str:
        """Letters and digits; made in one go, as a year of sales needs a great many."""
        return b64encode(self._chance.randbytes(length), altchars=b"Xz").decode()[:length]

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_3{self._token(20)}"

    def _seconds(self, at: datetime | None) -> int:
        return unix(self.clock.now() if at is None else at)

    def _emit(self, event_type: str, object_id: str, created: int) -> None:
        if not self.keep_events:
            return
        event = self.events.add(Event(self._new_id("evt"), created, event_type, object_id))
        if self._on_event is not None:
            self._on_event(self, event)

    # --- the ledger ----------------------------------------------------------------------------------------

    def _row(
        self,
        amount: int,
        currency: str,
        *,
        type: str,
        reporting_category: str,
        created: int,
        available_on: int | None = None,
        description: str | None = None,
        source: str | None = None,
        fee_details: tuple[FeeDetail, ...] = (),
        rate: Decimal | None = None,
        swept: bool = False,
    ) -> BalanceTransaction:
        row = BalanceTransaction(
            self._new_id("txn"),
            created,
            amount,
            currency,
            type,
            reporting_category,
            created if available_on is None else available_on,
            description,
            source,
            fee_details,
            rate,
        )
        self.ledger.add(row)
        if not swept:
            self._unswept.setdefault(currency, []).append(row)
        return row

    def _settled(self, amount: int, currency: str, created: int) -> tuple[int, str, Decimal | None]:
        """What an amount becomes on the balance: same currency where there is a balance, else converted."""
        if currency in self.balance_currencies:
            return amount, currency, None
        day = datetime.fromtimestamp(created, UTC).date()
        rate = exchange_rate(self._seed, currency, self.default_currency, day)
        if self.fees.conversion_in_rate:
            rate = (rate * (100 - self.fees.conversion_percent) / 100).normalize()
        return convert(amount, rate), self.default_currency, rate

    def _fixed(self, table: tuple[tuple[str, int], ...], currency: str, euro_cents: int, created: int) -> int:
        for code, amount in table:
            if code == currency:
                return amount
        day = datetime.fromtimestamp(created, UTC).date()
        return convert(euro_cents, exchange_rate(self._seed, "eur", currency, day))

    def _processing_fees(
        self,
        amount: int,
        currency: str,
        country: str | None,
        converted: bool,
        application_fee: int,
        created: int,
    ) -> tuple[FeeDetail, ...]:
        rules = self.fees
        home = country is None or country.upper() in _EEA
        percent = rules.percent_home if home else rules.percent_abroad
        fee = percent_of(amount, percent) + self._fixed(rules.fixed, currency, 25, created)
        details = [FeeDetail(fee, currency, "Stripe processing fees", "stripe_fee")]
        if converted and not rules.conversion_in_rate:
            conversion = percent_of(amount, rules.conversion_percent)
            details.append(FeeDetail(conversion, currency, "Stripe currency conversion fee", "stripe_fee"))
        if rules.vat_percent:
            taxable = sum(detail.amount for detail in details)
            details.append(FeeDetail(percent_of(taxable, rules.vat_percent), currency, "VAT", "tax"))
        if application_fee:
            details.append(
                FeeDetail(application_fee, currency, "Application fee", "application_fee", "ca_sandbox_other")
            )
        return tuple(details)

    def balance(self, currency: str) -> int:
        """Everything the account has in a currency now, available and pending, in smallest units."""
        now = self._seconds(None)
        return sum(row.net for row in self.ledger if row.currency == currency and self._counts(row, now))

    def balances(self) -> dict[str, tuple[int, int]]:
        """Per balance currency: (available, pending) now, as /v1/balance tells it."""
        now = self._seconds(None)
        totals = {currency: [0, 0] for currency in self.balance_currencies}
        for row in self.ledger:
            if self._counts(row, now):
                pending = self.row_status(row, now) == "pending"
                totals.setdefault(row.currency, [0, 0])[1 if pending else 0] += row.net
        return {currency: (available, pending) for currency, (available, pending) in totals.items()}

    def _counts(self, row: BalanceTransaction, now: int) -> bool:
        """Whether /v1/balance includes a row yet; with the switch on `paid`, not a payout under way."""
        if row.type == "payout" and self.payout_leaves_balance == "paid" and row.source is not None:
            payout = self.payouts.get(row.source)
            return payout is None or payout.status in ("paid", "failed", "canceled")
        return True

    def row_status(self, row: BalanceTransaction, now: int) -> str:
        """`pending` or `available`; a payout's own row follows the switch."""
        if row.type == "payout" and self.payout_leaves_balance == "created":
            return "available"
        return "available" if row.available_on <= now else "pending"

    def now_seconds(self) -> int:
        """The world's clock in Unix seconds."""
        return self._seconds(None)

    # --- sales ---------------------------------------------------------------------------------------------

    def charge(
        self,
        amount: int,
        currency: str,
        *,
        metadata: Mapping[str, str] | None = None,
        intent_metadata: Mapping[str, str] | None = None,
        description: str | None = None,
        name: str | None = None,
        email: str | None = None,
        country: str | None = "SE",
        phone: str | None = None,
        tax_id: str | None = None,
        city: str | None = None,
        postal_code: str | None = None,
        line1: str | None = None,
        payment_method_type: str = "card",
        customer: str | None = None,
        captured: int | None = None,
        application_fee: int = 0,
        order_reference: str | None = None,
        amount_tax: int | None = None,
        amount_shipping: int | None = None,
        at: datetime | None = None,
    ) -> str:
        """Take a payment: charge, PaymentIntent and its row.

        `captured` less than the amount leaves a second row. `application_fee` is in the balance currency's
        smallest unit. Raises NotPossible for an unknown currency or an amount Stripe would refuse (fractions
        of an ISK, a last fils that is not 0, nothing at all).
        """
        currency = currency.lower()
        if currency not in CURRENCIES:
            raise NotPossible(f"Stripe takes no payments in {currency.upper()}")
        if amount <= 0 or amount % CHARGE_MULTIPLE.get(currency, 1):
            raise NotPossible(f"{amount} is no amount Stripe charges in {currency.upper()}")
        created = self._seconds(at)
        card = payment_method_type == "card"
        charge = Charge(
            id=self._new_id("ch" if card else "py"),
            created=created,
            amount=amount,
            currency=currency,
            amount_captured=amount if captured is None else captured,
            payment_intent=self._new_id("pi"),
            payment_method_type=payment_method_type,
            metadata=dict(metadata or {}),
            intent_metadata=dict(metadata or {}) if intent_metadata is None else dict(intent_metadata),
            description=description,
            name=name,
            email=email,
            country=country,
            phone=phone,
            tax_id=tax_id,
            address={"city": city, "postal_code": postal_code, "line1": line1},
            customer=customer,
            application_fee=application_fee,
            order_reference=order_reference,
            amount_tax=amount_tax,
            amount_shipping=amount_shipping,
        )
        settled, balance_currency, rate = self._settled(amount, currency, created)
        fees = self._processing_fees(settled, balance_currency, country, rate is not None, application_fee, created)
        day = datetime.fromtimestamp(created, UTC).date()
        available_on = _midnight(business_days_later(day, self.schedule_delay_days))
        kind = "charge" if card else "payment"
        row = self._row(
            settled,
            balance_currency,
            type=kind,
            reporting_category="charge",
            created=created,
            available_on=available_on,
            description=description,
            source=charge.id,
            fee_details=fees,
            rate=rate,
        )
        charge.balance_transaction = row.id
        self.charges.add(charge)
        self.charge_of_intent[charge.payment_intent] = charge.id
        if charge.amount_captured < amount:
            self._release_uncaptured(charge, row)
        self._emit("payment_intent.succeeded", charge.payment_intent, created)
        self._emit("charge.succeeded", charge.id, created)
        return charge.id

    def _release_uncaptured(self, charge: Charge, row: BalanceTransaction) -> None:
        """The authorised part that was not captured: a second row back, with its share of the fee."""
        part = charge.amount - charge.amount_captured
        back = part if row.exchange_rate is None else convert(part, row.exchange_rate)
        share = percent_of(back, self.fees.percent_home)
        detail = FeeDetail(-share, row.currency, "Stripe processing fees", "stripe_fee")
        charge.amount_refunded = part
        self._row(
            -back,
            row.currency,
            type="adjustment",
            reporting_category="partial_capture_reversal",
            created=charge.created,
            available_on=row.available_on,
            description=f"Partial capture of {charge.id}",
            source=charge.id,
            fee_details=(detail,),
            rate=row.exchange_rate,
        )

    def add_customer(
        self, name: str | None, email: str | None, country: str | None = "SE", at: datetime | None = None
    ) -> str:
        """Save a buyer; the id goes into `charge(customer=…)`."""
        return self.customers.add(Customer(f"cus_{self._token(14)}", self._seconds(at), name, email, country)).id

    def checkout_session(
        self,
        charge_id: str,
        *,
        client_reference_id: str | None = None,
        taxes: Iterable[TaxLine] = (),
        amount_shipping: int = 0,
        tax_ids: Iterable[tuple[str, str]] = (),
        custom_fields: Iterable[tuple[str, str]] = (),
        metadata: Mapping[str, str] | None = None,
        lines: Iterable[SoldLine] = (),
        tax_exempt: str = "none",
        delivery_country: str | None = None,
    ) -> str:
        """Say that a charge came through Checkout, with the tax lines and references Checkout knows."""
        charge = self.get_charge(charge_id)
        sold = tuple(lines)
        taxes = tuple(taxes) or tuple(
            TaxLine(line.tax, line.amount - line.tax, line.percentage, line.country)
            for line in sold
            if line.percentage is not None
        )
        session = CheckoutSession(
            f"cs_{self._mode}_{self._token(40)}",
            charge.created,
            charge.id,
            client_reference_id,
            tuple(taxes),
            amount_shipping,
            tuple(tax_ids),
            tuple(custom_fields),
            dict(metadata or {}),
            sold,
            tax_exempt,
            delivery_country,
        )
        self.sessions.add(session)
        self._emit("checkout.session.completed", session.id, charge.created)
        return session.id

    def pay_invoice(
        self,
        charge_id: str,
        invoice: str | None = None,
        *,
        lines: Iterable[SoldLine] = (),
        tax_exempt: str = "none",
        tax_ids: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Say that a charge paid a Stripe invoice, with its lines if they matter; returns the invoice's id."""
        charge = self.get_charge(charge_id)
        invoice = invoice or f"in_1{self._token(20)}"
        charge.invoice = invoice
        if sold := tuple(lines):
            made = Invoice(invoice, charge.created, charge.id, sold, tax_exempt, tuple(tax_ids))
            self.invoices[invoice] = made
        self.invoice_payments.add(
            InvoicePayment(
                f"inpay_1{self._token(20)}",
                charge.created,
                invoice,
                charge.payment_intent,
                charge.amount,
                charge.currency,
            )
        )
        return invoice

    def bounce(self, charge_id: str, *, without_source: bool = False, at: datetime | None = None) -> str:
        """A delayed payment that had been credited fails after all: the sale comes off the balance again."""
        charge = self.get_charge(charge_id)
        if charge.status == "failed":
            raise NotPossible(f"{charge_id} has failed already")
        created = self._seconds(at)
        sale = self._row_of(charge.balance_transaction)
        row = self._row(
            -sale.amount,
            sale.currency,
            type="payment_failure_refund",
            reporting_category="charge_failure",
            created=created,
            description=f"REFUND FOR FAILED PAYMENT ({charge.description or charge.id})",
            source=None if without_source else charge.id,
            rate=sale.exchange_rate,
        )
        charge.status = "failed"
        charge.failure_balance_transaction = row.id
        self._emit("charge.failed", charge.id, created)
        self._emit("payment_intent.payment_failed", charge.payment_intent, created)
        return row.id

    # --- refunds -------------------------------------------------------------------------------------------

    def refund(
        self,
        charge_id: str,
        amount: int | None = None,
        *,
        reason: str | None = "requested_by_customer",
        metadata: Mapping[str, str] | None = None,
        pending: bool = False,
        at: datetime | None = None,
    ) -> str:
        """Pay back what is left of a charge, or a part, at the refund's own day's rate. The fee stays."""
        charge = self.get_charge(charge_id)
        left = charge.amount - charge.amount_refunded
        amount = left if amount is None else amount
        if charge.status != "succeeded" or not 0 < amount <= left:
            raise NotPossible(f"{amount} cannot be refunded: {charge_id} has {left} left")
        if amount % CHARGE_MULTIPLE.get(charge.currency, 1):
            raise NotPossible(f"{amount} is no amount Stripe refunds in {charge.currency.upper()}")
        created = self._seconds(at)
        card = charge.payment_method_type == "card"
        refund = Refund(
            self._new_id("re" if card else "pyr"),
            created,
            amount,
            charge.currency,
            charge.id,
            charge.payment_intent,
            reason,
            dict(metadata or {}),
            status="pending" if pending else "succeeded",
        )
        settled, currency, rate = self._settled(amount, charge.currency, created)
        row = self._row(
            -settled,
            currency,
            type="refund" if card else "payment_refund",
            reporting_category="refund",
            created=created,
            description=f"REFUND FOR CHARGE ({charge.description})" if charge.description else "REFUND FOR CHARGE",
            source=refund.id,
            rate=rate,
        )
        refund.balance_transaction = row.id
        charge.amount_refunded += amount
        charge.refunds.append(refund.id)
        self.refunds.add(refund)
        self._emit("refund.created", refund.id, created)
        self._emit("charge.refunded", charge.id, created)
        return refund.id

    def refund_succeeds(self, refund_id: str, at: datetime | None = None) -> None:
        """A pending refund arrives at the buyer."""
        refund = self._found(self.refunds.get(refund_id), refund_id)
        refund.status = "succeeded"
        self._emit("refund.updated", refund.id, self._seconds(at))

    def refund_fails(self, refund_id: str, at: datetime | None = None) -> str:
        """The buyer's bank refuses a refund: the money comes back, to the smallest unit."""
        refund = self._found(self.refunds.get(refund_id), refund_id)
        if refund.status == "failed":
            raise NotPossible(f"{refund_id} has failed already")
        created = self._seconds(at)
        went = self._row_of(refund.balance_transaction)
        row = self._row(
            -went.amount,
            went.currency,
            type="refund_failure",
            reporting_category="refund_failure",
            created=created,
            description=f"REFUND FAILURE ({went.description})",
            source=refund.id,
            rate=went.exchange_rate,
        )
        refund.status = "failed"
        refund.failure_balance_transaction = row.id
        refund.failure_reason = "lost_or_stolen_card"
        self.get_charge(refund.charge).amount_refunded -= refund.amount
        self._emit("refund.updated", refund.id, created)
        self._emit("refund.failed", refund.id, created)
        return row.id

    # --- disputes ------------------------------------------------------------------------------------------

    def dispute(
        self,
        charge_id: str,
        amount: int | None = None,
        *,
        reason: str = "fraudulent",
        inquiry: bool = False,
        at: datetime | None = None,
    ) -> str:
        """The buyer's bank takes a payment back, with a dispute fee; an inquiry asks only and moves nothing.

        The row of a dispute in another currency carries no rate (`exchange_rate` null), as seen in the wild.
        """
        charge = self.get_charge(charge_id)
        created = self._seconds(at)
        dispute = Dispute(
            f"{'du' if charge.payment_method_type == 'card' else 'dp'}_1{self._token(20)}",
            created,
            charge.amount - charge.amount_refunded if amount is None else amount,
            charge.currency,
            charge.id,
            charge.payment_intent,
            reason,
            "warning_needs_response" if inquiry else "needs_response",
            created + 9 * _DAY,
        )
        self.disputes.add(dispute)
        charge.disputed = True
        self._emit("charge.dispute.created", dispute.id, created)
        if not inquiry:
            self._withdraw(dispute, created)
        return dispute.id

    def _withdraw(self, dispute: Dispute, created: int) -> None:
        settled, currency, _rate = self._settled(dispute.amount, dispute.currency, created)
        fee = self._fixed(self.fees.dispute_fee, currency, 2000, created)
        row = self._row(
            -settled,
            currency,
            type="adjustment",
            reporting_category="dispute",
            created=created,
            description=f"Chargeback withdrawal for {dispute.charge}",
            source=dispute.id,
            fee_details=(FeeDetail(fee, currency, "Dispute fee", "stripe_fee"),),
        )
        dispute.balance_transactions.append(row.id)
        self._emit("charge.dispute.funds_withdrawn", dispute.id, created)

    def escalate(self, dispute_id: str, at: datetime | None = None) -> None:
        """An inquiry becomes a real dispute: now the money goes."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        created = self._seconds(at)
        dispute.status = "needs_response"
        self._emit("charge.dispute.updated", dispute.id, created)
        self._withdraw(dispute, created)

    def close_inquiry(self, dispute_id: str, at: datetime | None = None) -> None:
        """An inquiry comes to nothing."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        dispute.status = "warning_closed"
        self.get_charge(dispute.charge).disputed = False
        self._emit("charge.dispute.closed", dispute.id, self._seconds(at))

    def counter(self, dispute_id: str, at: datetime | None = None) -> str | None:
        """The merchant sends evidence; since 17 June 2025 that costs a fee, whose row's id is returned."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        created = self._seconds(at)
        dispute.status = "under_review"
        self._emit("charge.dispute.updated", dispute.id, created)
        if created < self.fees.won_dispute_returns_fee_before:
            return None
        dispute.countered = True
        return self._countered_fee(dispute, created, "Card Dispute Countered Fee", -1)

    def _countered_fee(self, dispute: Dispute, created: int, text: str, sign: int) -> str:
        withdrawn = self._row_of(dispute.balance_transactions[0])
        fee = self._fixed(self.fees.dispute_fee, withdrawn.currency, 2000, created)
        day = datetime.fromtimestamp(created, UTC).date()
        row = self._row(
            sign * fee,
            withdrawn.currency,
            type="adjustment",
            reporting_category="fee",
            created=created,
            description=f"{text} ({day.isoformat()})",
        )
        row.source = row.id  # seen so: the row names itself
        return row.id

    def win(self, dispute_id: str, at: datetime | None = None) -> str:
        """The merchant wins: the amount comes back; the fee only under the rule before 17 June 2025."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        created = self._seconds(at)
        withdrawn = self._row_of(dispute.balance_transactions[0])
        returned = withdrawn.fee if created < self.fees.won_dispute_returns_fee_before else 0
        row = self._row(
            -withdrawn.amount,
            withdrawn.currency,
            type="adjustment",
            reporting_category="dispute_reversal",
            created=created,
            description=f"Chargeback reversal for {dispute.charge}",
            source=dispute.id,
            fee_details=((FeeDetail(-returned, withdrawn.currency, "Dispute fee", "stripe_fee"),) if returned else ()),
        )
        dispute.balance_transactions.append(row.id)
        dispute.status = "won"
        self._emit("charge.dispute.funds_reinstated", dispute.id, created)
        self._emit("charge.dispute.closed", dispute.id, created)
        if dispute.countered:
            self._countered_fee(dispute, created, "Card Dispute Countered Fee Refund", 1)
        return row.id

    def lose(self, dispute_id: str, at: datetime | None = None) -> None:
        """The merchant loses: nothing more moves."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        dispute.status = "lost"
        self._emit("charge.dispute.closed", dispute.id, self._seconds(at))

    # --- other rows ----------------------------------------------------------------------------------------

    def stripe_fee(
        self,
        amount: int,
        description: str = "Billing - Usage Fee",
        category: str = "fee",
        *,
        currency: str | None = None,
        vat: int = 0,
        at: datetime | None = None,
    ) -> str:
        """A fee charged by itself (negative amount: a credit); `vat` on top stands in the row's fee."""
        currency = currency or self.default_currency
        return self._row(
            -amount,
            currency,
            type="stripe_fee",
            reporting_category=category,
            created=self._seconds(at),
            description=description,
            fee_details=(FeeDetail(vat, currency, "VAT", "tax"),) if vat else (),
        ).id

    def reserve_hold(self, amount: int, currency: str | None = None, at: datetime | None = None) -> str:
        """Stripe keeps part of the balance back against risk."""
        return self._reserve(-amount, currency, "Reserved funds", at)

    def reserve_release(self, amount: int, currency: str | None = None, at: datetime | None = None) -> str:
        """Stripe lets go of a reserve."""
        return self._reserve(amount, currency, "Released reserved funds", at)

    def _reserve(self, amount: int, currency: str | None, text: str, at: datetime | None) -> str:
        return self._row(
            amount,
            currency or self.default_currency,
            type="reserve_transaction",
            reporting_category="risk_reserved_funds",
            created=self._seconds(at),
            description=text,
            source=self._new_id("rsv"),
        ).id

    def adjustment(
        self,
        amount: int,
        currency: str | None = None,
        *,
        reporting_category: str = "other_adjustment",
        type: str = "adjustment",
        description: str | None = "Adjustment",
        fee: int = 0,
        source: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """Any row at all, also of a kind nobody has heard of yet."""
        currency = currency or self.default_currency
        return self._row(
            amount,
            currency,
            type=type,
            reporting_category=reporting_category,
            created=self._seconds(at),
            description=description,
            source=source,
            fee_details=(FeeDetail(fee, currency, "Stripe fee", "stripe_fee"),) if fee else (),
        ).id

    def other(self, word: str, amount: int, currency: str | None = None, at: datetime | None = None) -> str:
        """A row of a kind that needs nothing around it, by its `type`, with its category and the sign that it has.

        Raises NotPossible for a word that is none of `OTHER_ROWS`.
        """
        if word not in OTHER_ROWS:
            raise NotPossible(f"no rows of type {word} are made: {', '.join(OTHER_ROWS)}")
        category, sign, prefix = OTHER_ROWS[word]
        return self.adjustment(
            sign * abs(amount),
            currency,
            reporting_category=category,
            type=word,
            description=word.replace("_", " ").capitalize(),
            source=self._new_id(prefix) if prefix else None,
            at=at,
        )

    def dispute_difference(self, dispute_id: str, amount: int, at: datetime | None = None) -> str:
        """A further row of a dispute, as card networks make when the currency has moved since it was opened."""
        dispute = self._found(self.disputes.get(dispute_id), dispute_id)
        withdrawn = self._row_of(dispute.balance_transactions[0])
        row_id = self.adjustment(
            amount,
            withdrawn.currency,
            reporting_category="dispute" if amount < 0 else "dispute_reversal",
            description=f"Chargeback currency adjustment for {dispute.charge}",
            source=dispute.id,
            at=at,
        )
        dispute.balance_transactions.append(row_id)
        return row_id

    def topup(self, amount: int, currency: str | None = None, at: datetime | None = None) -> str:
        """The company moves money from its bank into the balance."""
        currency = currency or self.default_currency
        created = self._seconds(at)
        topup = Topup(self._new_id("tu"), created, amount, currency, "Top-up")
        row = self._row(
            amount,
            currency,
            type="topup",
            reporting_category="topup",
            created=created,
            description="Top-up",
            source=topup.id,
        )
        topup.balance_transaction = row.id
        self.topups.add(topup)
        self._emit("topup.succeeded", topup.id, created)
        return topup.id

    # --- payouts -------------------------------------------------------------------------------------------

    def run_payouts(self, at: datetime | None = None) -> list[str]:
        """The daily automatic payout: per currency everything available and not yet swept, negative too.

        Less than 1.00 rolls on to the next day, and so does a minus that pending money covers. Returns the
        payouts made.
        """
        created = self._seconds(at)
        made = []
        for currency in sorted(self._unswept):
            rows = [row for row in self._unswept[currency] if row.available_on <= created]
            total = sum(row.net for row in rows)
            if not rows or abs(total) < _SMALLEST_PAYOUT:
                continue
            if total < 0 <= sum(row.net for row in self._unswept[currency]):
                continue  # what is still pending covers it: no bank is debited
            payout = self._make_payout(total, currency, created, automatic=True, method="standard")
            for row in rows:
                row.payout = payout.id
                payout.rows.append(row.id)
            swept = {row.id for row in rows}
            self._unswept[currency] = [row for row in self._unswept[currency] if row.id not in swept]
            made.append(payout.id)
        return made

    def manual_payout(
        self,
        amount: int,
        currency: str | None = None,
        *,
        method: str = "standard",
        at: datetime | None = None,
    ) -> str:
        """A payout the merchant asks for, never itemised; `method="instant"` costs 1 % in its own row."""
        currency = currency or self.default_currency
        created = self._seconds(at)
        available = sum(row.net for row in self._unswept.get(currency, ()) if row.available_on <= created)
        if amount > available:
            raise NotPossible(f"only {available} {currency.upper()} is available")
        return self._make_payout(amount, currency, created, automatic=False, method=method).id

    def _make_payout(self, amount: int, currency: str, created: int, *, automatic: bool, method: str) -> Payout:
        day = datetime.fromtimestamp(created, UTC).date()
        instant = method == "instant"
        arrival = created if instant else _midnight(business_days_later(day, self.transit_days))
        payout = Payout(
            self._new_id("po"),
            created,
            amount,
            currency,
            arrival,
            automatic,
            method,
            "pending",
            "in_progress" if automatic else "not_applicable",
            self.bank_account_of.setdefault(currency, f"ba_1{self._token(20)}"),
        )
        fee = FeeDetail(percent_of(amount, Decimal(1)), currency, "Instant payout fee", "stripe_fee")
        row = self._row(
            -amount,
            currency,
            type="payout",
            reporting_category="payout",
            created=created,
            available_on=arrival,
            description="STRIPE PAYOUT",
            source=payout.id,
            fee_details=(fee,) if instant else (),
            swept=automatic,
        )
        if automatic:
            row.payout = payout.id
            payout.rows.append(row.id)
        else:
            row.available_on = created
        payout.balance_transaction = row.id
        self.payouts.add(payout)
        self._under_way.append(payout)
        self._emit("payout.created", payout.id, created)
        return payout

    def advance_payouts(self, at: datetime | None = None) -> None:
        """Move payouts on: in transit after an hour, itemised after a while, paid on the day of arrival."""
        now = self._seconds(at)
        for payout in self._under_way:
            if payout.reconciliation_status == "in_progress":
                done = payout.created + self.reconciliation_delay_s
                if now >= done:
                    payout.reconciliation_status = "completed"
                    self._emit("payout.reconciliation_completed", payout.id, done)
            if payout.status == "pending" and now >= payout.created + 3600:
                payout.status = "in_transit"
                self._emit("payout.updated", payout.id, payout.created + 3600)
            if payout.status == "in_transit" and now >= payout.arrival_date:
                payout.status = "paid"
                payout.trace = f"SANDBOX{payout.id[-10:].upper()}"
                self._emit("payout.paid", payout.id, max(payout.arrival_date, payout.created + 3600))
        self._under_way = [
            payout
            for payout in self._under_way
            if payout.reconciliation_status == "in_progress" or payout.status in ("pending", "in_transit")
        ]

    def fail_payout(self, payout_id: str, *, code: str = "account_closed", at: datetime | None = None) -> str:
        """The bank sends a payout back, also days after it was paid: a row of its own, swept later."""
        payout = self._found(self.payouts.get(payout_id), payout_id)
        if payout.status in ("failed", "canceled"):
            raise NotPossible(f"{payout_id} is {payout.status} already")
        messages = {"account_closed": "The bank account has been closed."}
        payout.failure_code = code
        payout.failure_message = messages.get(code, "The bank refused the payout.")
        return self._return_payout(payout, "failed", "payout_failure", self._seconds(at))

    def cancel_payout(self, payout_id: str, at: datetime | None = None) -> str:
        """Stop a payout that has not left yet."""
        payout = self._found(self.payouts.get(payout_id), payout_id)
        if payout.status != "pending":
            raise NotPossible(f"{payout_id} is {payout.status}: only a pending payout can be cancelled")
        return self._return_payout(payout, "canceled", "payout_cancel", self._seconds(at))

    def _return_payout(self, payout: Payout, status: str, row_type: str, created: int) -> str:
        row = self._row(
            payout.amount,
            payout.currency,
            type=row_type,
            reporting_category="payout_reversal",
            created=created,
            description="REFUND FOR PAYOUT (STRIPE PAYOUT)",
            source=payout.id,
        )
        payout.status = status
        payout.failure_balance_transaction = row.id
        self._emit(f"payout.{status}", payout.id, created)
        return row.id

    def rewind(self, start: datetime) -> None:
        """Let `catch_up` go through the days from `start` again, for sales that are entered after the fact.

        Rows that a payout has swept stay swept, so days that were gone through do no harm twice.
        """
        day = start.astimezone(UTC).date() - timedelta(days=1)
        if self._last_run_day is not None:
            self._last_run_day = min(self._last_run_day, day)

    def catch_up(self, until: datetime | None = None) -> None:
        """Let time pass: the payout run of each day since the last one, and payouts moved on to `until`."""
        until = self.clock.now() if until is None else until
        run_at = until.astimezone(UTC).replace(hour=self.payout_hour_utc, minute=0, second=0, microsecond=0)
        if run_at > until:
            run_at -= timedelta(days=1)
        if self._last_run_day is None:
            oldest = next(iter(self.ledger), None)
            first = run_at.date() if oldest is None else datetime.fromtimestamp(oldest.created, UTC).date()
            self._last_run_day = first - timedelta(days=1)
        while self._last_run_day < run_at.date():
            self._last_run_day += timedelta(days=1)
            day_run = run_at.replace(
                year=self._last_run_day.year, month=self._last_run_day.month, day=self._last_run_day.day
            )
            self.advance_payouts(day_run)
            if self.payouts_enabled:
                self.run_payouts(day_run)
        self.advance_payouts(until)

    # --- keys and looking up -------------------------------------------------------------------------------

    def issue_restricted_key(self, permissions: Iterable[str]) -> str:
        """A key as the merchant makes it in the dashboard; permissions by name, such as `charge_read`."""
        key = RestrictedKey(f"rk_{self._mode}_sandbox_{self._token(20)}", frozenset(permissions))
        self.restricted_keys[key.secret] = key
        return key.secret

    def revoke_restricted_key(self, secret: str) -> None:
        """The merchant deletes a key; it answers 401 from now on."""
        self.restricted_keys.pop(secret, None)

    def get_charge(self, charge_id: str) -> Charge:
        """The charge of this id; NotPossible if there is none."""
        return self._found(self.charges.get(charge_id), charge_id)

    def rows_of_payout(self, payout: Payout) -> list[BalanceTransaction]:
        """What `?payout=` shows: everything swept once it is itemised, before that an incomplete part."""
        if not payout.automatic:
            return []
        ids = payout.rows
        if payout.reconciliation_status == "in_progress":
            ids = ids[: 1 + (len(ids) - 1) // 2]
        return [self._row_of(row_id) for row_id in ids]

    def _row_of(self, row_id: str | None) -> BalanceTransaction:
        return self._found(None if row_id is None else self.ledger.get(row_id), str(row_id))

    @staticmethod
    def _found(item: Found | None, wanted: str) -> Found:
        if item is None:
            raise NotPossible(f"there is no {wanted}")
        return item
