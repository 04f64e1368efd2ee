"""A small web shop: takes orders, is paid over the simulated Stripe, refunds, and lets weeks of this pass at once."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args
from zoneinfo import ZoneInfo

from addon.sandbox.shop.catalog import FELL_GOODS, Buyer, Line, Product, make_buyer, price_in
from addon.sandbox.stripe import NotPossible, StripeAccount
from addon.sandbox.stripe.money import CHARGE_MULTIPLE

if TYPE_CHECKING:
    from addon.sandbox.fortnox.company import FortnoxCompany

STOCKHOLM = ZoneInfo("Europe/Stockholm")
TEN_CURRENCIES = ("sek", "eur", "nok", "dkk", "usd", "gbp", "jpy", "kwd", "isk", "chf", "pln", "huf")

Oddity = Literal[
    "no_order_number",
    "substring",
    "paid_by_hand",
    "deviating_amount",
    "within_tolerance",
    "no_invoice_yet",
    "unbooked",
    "two_candidates",
    "two_captures",
    "refund_with_credit_note",
    "refund_without_credit_note",
]
ODDITIES: tuple[Oddity, ...] = get_args(Oddity)


@dataclass(slots=True)
class Order:
    """An order and what became of it. `total` in the currency's smallest unit, with VAT."""

    number: str
    at: datetime
    currency: str
    total: int
    buyer: Buyer
    lines: tuple[Line, ...]
    charges: list[str] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)
    refunded: int = 0
    invoice: int | None = None
    credit_note: int | None = None

    @property
    def charge(self) -> str:
        """The payment; the first one where there are several."""
        return self.charges[0]


@dataclass(slots=True)
class SellingReport:
    """What a run of sales made, so that a test knows what to look for."""

    orders: list[Order] = field(default_factory=list)
    refunds: int = 0
    disputes: list[str] = field(default_factory=list)
    failed_payouts: list[str] = field(default_factory=list)
    unknown_rows: list[str] = field(default_factory=list)
    fees: list[str] = field(default_factory=list)
    oddities: dict[str, list[Order]] = field(default_factory=dict)


class _Agenda:
    """Deeds with their instants, done in order of time."""

    def __init__(self) -> None:
        self._deeds: list[tuple[datetime, int, Callable[[datetime], None]]] = []

    def add(self, at: datetime, deed: Callable[[datetime], None]) -> None:
        self._deeds.append((at, len(self._deeds), deed))

    def run(self, before_each: Callable[[datetime], None]) -> None:
        for at, _number, deed in sorted(self._deeds, key=lambda planned: planned[:2]):
            before_each(at)
            deed(at)


class Shop:
    """One shop of one company.

    Sales of the past are made with the instants they would have had; the world's clock is not touched, so a shop
    can sell a month while others are at work. `other_plugin` makes the shop write booked invoices in Fortnox
    itself, as companies do that Kvitt's Basic mode is for; `order_field` says where the order number stands there.
    """

    def __init__(
        self,
        stripe_account: StripeAccount,
        fortnox_company: FortnoxCompany | None = None,
        seed: int = 1,
        *,
        name: str | None = None,
        products: tuple[Product, ...] = FELL_GOODS,
        first_order_number: int = 10234,
        currencies: tuple[str, ...] = TEN_CURRENCIES,
        other_plugin: bool = False,
        order_field: str = "your_order_number",
    ) -> None:
        self.account = stripe_account
        self.company = fortnox_company
        self.name = name or stripe_account.name
        self.slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower().translate(_PLAIN)).strip("-")
        self.products = products
        self.currencies = currencies
        self.other_plugin = other_plugin and fortnox_company is not None
        self.order_field = order_field
        self.orders: list[Order] = []
        self._next_number = first_order_number
        self._buyers: dict[str, deque[Buyer]] = {}
        self._buyers_made = 0
        self._chance = random.Random(f"shop/{seed}/{stripe_account.name}")

    # --- one order -----------------------------------------------------------------------------------------

    def get_order(self, number: str) -> Order:
        """The order of this number; NotPossible if there is none."""
        for order in reversed(self.orders):
            if order.number == number:
                return order
        raise NotPossible(f"there is no order {number}")

    def next_order_number(self) -> str:
        """A fresh order number."""
        self._next_number += 1
        return str(self._next_number - 1)

    def _buyer(self, currency: str, repeat_share: Decimal, without_email_share: Decimal) -> Buyer:
        known = self._buyers.setdefault(currency, deque(maxlen=200))
        if known and self._chance.random() < repeat_share:
            return self._chance.choice(known)
        self._buyers_made += 1
        with_email = self._chance.random() >= without_email_share
        buyer = make_buyer(self._chance, currency, self._buyers_made, with_email=with_email)
        if with_email:
            known.append(buyer)
        return buyer

    def take_order(
        self,
        at: datetime,
        currency: str,
        *,
        buyer: Buyer | None = None,
        lines: Iterable[tuple[Product, int]] | None = None,
        number: str | None = None,
        method: str = "card",
        with_number: bool = True,
        discount: int = 0,
        captures: int = 1,
    ) -> Order:
        """An order, paid at once. `discount` comes off what is paid; `captures` splits the payment."""
        buyer = buyer or self._buyer(currency, Decimal("0.3"), Decimal("0.06"))
        if lines is None:
            chosen = self._chance.sample(self.products, k=self._chance.choice((1, 1, 1, 2, 2, 3)))
            lines = [(product, self._chance.choice((1, 1, 1, 1, 2, 3))) for product in chosen]
        priced = tuple(Line(product, count, price_in(product, currency, at.date())) for product, count in lines)
        total = sum(line.price * line.quantity for line in priced)
        order = Order(number or self.next_order_number(), at, currency, total, buyer, priced)
        paid = total - discount
        part = paid // captures
        amounts = [part] * (captures - 1) + [paid - part * (captures - 1)]
        metadata = {
            "order_id": order.number,
            "order_key": f"wc_order_{order.number}x{self._chance.randrange(10**6):06d}",
            "customer_name": buyer.name,
            "customer_email": buyer.email or "",
            "site_url": f"https://{self.slug}.example",
            "payment_type": "single",
        }
        for amount in amounts:
            order.charges.append(
                self.account.charge(
                    amount,
                    currency,
                    metadata=metadata if with_number else {"site_url": metadata["site_url"]},
                    description=f"{self.name} - Order {order.number}" if with_number else self.name,
                    name=buyer.name,
                    email=buyer.email,
                    country=buyer.country,
                    city=buyer.city,
                    postal_code=buyer.postal_code,
                    line1="Example street 1",
                    tax_id=buyer.vat_number,
                    payment_method_type=method,
                    at=at,
                )
            )
        self.orders.append(order)
        return order

    def refund_order(self, order: Order, amount: int | None = None, at: datetime | None = None) -> str:
        """Pay an order back, or a part of it in the currency's smallest unit."""
        charge = self.account.get_charge(order.charge)
        left = charge.amount - charge.amount_refunded
        amount = left if amount is None else amount
        refund = self.account.refund(order.charge, amount, metadata={"order_id": order.number}, at=at)
        order.refunds.append(refund)
        order.refunded += amount
        return refund

    def buy(self, sku: str, *, quantity: int = 1, currency: str = "sek", method: str = "card") -> Order:
        """Somebody presses "Buy" now; with an other plug-in the invoice follows at once."""
        product = next((item for item in self.products if item.sku == sku), None)
        if product is None or not 1 <= quantity <= 99 or currency not in self.currencies:
            raise NotPossible(f"this shop does not sell {quantity} of {sku} in {currency.upper()}")
        with self.account.lock:
            order = self.take_order(self.account.clock.now(), currency, lines=[(product, quantity)], method=method)
        if self.other_plugin and currency == "sek":
            self.write_invoice(order)
        return order

    # --- a month of orders ---------------------------------------------------------------------------------

    def sell_month(
        self,
        until: datetime | None = None,
        days: int = 31,
        sales: int = 300,
        currencies: Iterable[str] | None = None,
        *,
        refund_share: Decimal = Decimal("0.08"),
        disputes: int = 0,
        failed_payout: bool = False,
        unknown_kind: bool = False,
        monthly_fee: bool = True,
        klarna_share: Decimal = Decimal("0.12"),
    ) -> SellingReport:
        """Sell from `until` − `days` to `until` (default: now), with refunds, daily payouts and a monthly fee.

        Of the refunds about half are full, a quarter a single part, a quarter several parts. Sales come at odd
        hours, a few within two minutes of midnight in Stockholm. Every currency given occurs, the first two most.
        """
        end = self.account.clock.now() if until is None else until
        start = end - timedelta(days=days)
        wanted = tuple(currencies or self.currencies)
        report = SellingReport()
        agenda = _Agenda()
        for position, at in enumerate(self._instants(start, end, sales)):
            if position < len(wanted):
                currency = wanted[position]
            else:
                chosen = self._chance.random()
                currency = wanted[0] if chosen < 0.4 else self._chance.choice(wanted[: 2 if chosen < 0.6 else None])
            agenda.add(at, self._sale(at, currency, end, report, agenda, refund_share, klarna_share))
        if monthly_fee:
            self._plan_fees(agenda, start, end, report)
        for number in range(disputes):
            self._plan_dispute(agenda, start, end, number, report)
        if failed_payout:
            agenda.add(start + (end - start) / 2, lambda at: self._fail_a_payout(at, report))
        if unknown_kind:
            agenda.add(end - timedelta(days=min(3, days / 2)), lambda at: self._unknown_row(at, report))
        self._run(agenda, start, end)
        return report

    def _run(self, agenda: _Agenda, start: datetime, end: datetime) -> None:
        with self.account.lock:
            self.account.rewind(start)
            agenda.run(self.account.catch_up)
            self.account.catch_up(end)

    def _instants(self, start: datetime, end: datetime, count: int) -> list[datetime]:
        """When people buy: mostly in the evening, some by night, a few at either side of midnight."""
        span = int((end - start).total_seconds())
        instants = []
        for position in range(count):
            at = start + timedelta(seconds=self._chance.randrange(span))
            if position % 25 == 7:
                local = at.astimezone(STOCKHOLM).replace(hour=0, minute=0, second=0, microsecond=0)
                at = (local + timedelta(seconds=self._chance.randrange(-120, 120))).astimezone(UTC)
            elif position % 3:
                hour = self._chance.choice((7, 9, 11, 12, 16, 18, 19, 19, 20, 20, 21, 21, 22))
                at = at.astimezone(STOCKHOLM).replace(hour=hour).astimezone(UTC)
            instants.append(min(max(at, start), end - timedelta(seconds=1)).replace(microsecond=0))
        return sorted(instants)

    def _sale(
        self,
        at: datetime,
        currency: str,
        end: datetime,
        report: SellingReport,
        agenda: _Agenda,
        refund_share: Decimal,
        klarna_share: Decimal,
    ) -> Callable[[datetime], None]:
        klarna = currency in ("sek", "eur") and self._chance.random() < klarna_share
        orders: list[Order] = []

        def sell(at: datetime) -> None:
            order = self.take_order(at, currency, method="klarna" if klarna else "card")
            orders.append(order)
            report.orders.append(order)

        if self._chance.random() < refund_share:
            parts = self._chance.choice((1, 1, 1, 1, 0, 0, 2, 3))  # 0: one part, less than the whole
            self._plan_refunds(agenda, at, end, report, orders, parts)
        return sell

    def _plan_refunds(
        self,
        agenda: _Agenda,
        sold_at: datetime,
        end: datetime,
        report: SellingReport,
        orders: list[Order],
        parts: int,
    ) -> None:
        """Refunds some days after a sale that has yet to happen; those beyond the end stay undone."""
        at = sold_at
        for number in range(max(1, parts)):
            at += timedelta(minutes=self._chance.randrange(20 * 60, 8 * 24 * 60))

            def pay_back(at: datetime, number: int = number) -> None:
                order = orders[0]
                charge = self.account.get_charge(order.charge)
                left = charge.amount - charge.amount_refunded
                last = parts == 1 or (parts > 1 and number == parts - 1 and self._chance.random() < 0.5)
                amount = left if last else self._part(order, left)
                if amount > 0 and not charge.disputed:
                    self.refund_order(order, amount, at)
                    report.refunds += 1

            if at < end:
                agenda.add(at, pay_back)

    def _part(self, order: Order, left: int) -> int:
        step = CHARGE_MULTIPLE.get(order.currency, 1)
        return left * self._chance.randrange(15, 60) // 100 // step * step

    def _plan_fees(self, agenda: _Agenda, start: datetime, end: datetime, report: SellingReport) -> None:
        def charge_fee(at: datetime) -> None:
            text = f"Billing - Usage Fee ({at.date().isoformat()})"
            report.fees.append(self.account.stripe_fee(4500, text, at=at))

        day = start.date()
        while day <= end.date():
            at = datetime(day.year, day.month, day.day, 6, 30, tzinfo=UTC)
            if day.day == 1 and start <= at < end:
                agenda.add(at, charge_fee)
            day += timedelta(days=1)

    def _plan_dispute(
        self, agenda: _Agenda, start: datetime, end: datetime, number: int, report: SellingReport
    ) -> None:
        """A dispute in the first third, evidence, and an outcome in the last: won and lost by turns."""
        span = end - start

        def open_dispute(at: datetime) -> None:
            charges = [
                order.charge
                for order in report.orders
                if not order.refunds and not self.account.get_charge(order.charge).disputed
            ]
            if charges:
                report.disputes.append(self.account.dispute(self._chance.choice(charges), at=at))

        def answer(at: datetime) -> None:
            if number < len(report.disputes):
                self.account.counter(report.disputes[number], at=at)

        def close(at: datetime) -> None:
            if number < len(report.disputes):
                if number % 2 == 0:
                    self.account.win(report.disputes[number], at=at)
                else:
                    self.account.lose(report.disputes[number], at=at)

        agenda.add(start + span / 3 + timedelta(hours=number), open_dispute)
        agenda.add(start + span / 2 + timedelta(hours=number), answer)
        agenda.add(start + span * 3 / 4 + timedelta(hours=number), close)

    def _fail_a_payout(self, at: datetime, report: SellingReport) -> None:
        paid = [payout for payout in self.account.payouts if payout.status == "paid" and payout.amount > 0]
        if paid:
            self.account.fail_payout(paid[-1].id, at=at)
            report.failed_payouts.append(paid[-1].id)

    def _unknown_row(self, at: datetime, report: SellingReport) -> None:
        row = self.account.adjustment(
            -4000,
            reporting_category="loyalty_settlement",
            type="loyalty_settlement",
            description="Loyalty settlement",
            at=at,
        )
        report.unknown_rows.append(row)

    # --- orders that another plug-in invoices --------------------------------------------------------------

    def write_invoice(
        self, order: Order, *, kronor_more: Decimal = Decimal(0), booked: bool = True, on: date | None = None
    ) -> int:
        """What the shop's other plug-in does: an invoice in Fortnox with the order number; its number."""
        if self.company is None:
            raise NotPossible(f"{self.name} has no books in this world")
        total = Decimal(order.total) / 100 + kronor_more
        customer = self._fortnox_customer(order.buyer)
        number: dict[str, Any] = {self.order_field: order.number}
        invoice = self.company.person_creates_invoice(
            total,
            customer=customer,
            invoice_date=on or _day(order.at),
            booked=booked,
            **number,
        )
        order.invoice = invoice.number
        return invoice.number

    def _fortnox_customer(self, buyer: Buyer) -> str:
        assert self.company is not None  # noqa: S101 - asked by write_invoice
        with self.company.lock:
            for number, customer in self.company.customers.items():
                if customer.name == buyer.name and customer.values.get("Email", "") == (buyer.email or ""):
                    return number
            values = {"Email": buyer.email} if buyer.email else {}
            made = self.company.person_creates_customer(buyer.name, CountryCode=buyer.country, **values)
            return made.number

    def sell_for_basic(
        self,
        until: datetime | None = None,
        days: int = 31,
        sales: int = 100,
        *,
        oddities: Iterable[Oddity] = ODDITIES,
        refund_share: Decimal = Decimal("0.05"),
    ) -> SellingReport:
        """About `sales` orders in SEK whose invoices another plug-in has booked in Fortnox already.

        A third are invoiced at shipping, the day after the payment. Refunds have their credit note. Each oddity
        asked for adds one order or two that need more than an exact match; the report names them.
        """
        end = self.account.clock.now() if until is None else until
        start = end - timedelta(days=days)
        report = SellingReport()
        agenda = _Agenda()
        for at in self._instants(start, end, sales):
            self._plan_invoiced_sale(agenda, at, end, report, refund_share)
        for number, oddity in enumerate(oddities):
            at = start + (end - start) * (number + 1) / (len(ODDITIES) + 2)
            agenda.add(at.replace(microsecond=0), self._odd_sale(oddity, end, report))
        self._run(agenda, start, end)
        return report

    def _plan_invoiced_sale(
        self, agenda: _Agenda, at: datetime, end: datetime, report: SellingReport, refund_share: Decimal
    ) -> None:
        orders: list[Order] = []
        shipped_later = self._chance.random() < 0.33 and at < end - timedelta(days=1)

        def sell(at: datetime) -> None:
            order = self.take_order(at, "sek")
            self.write_invoice(order, on=_day(at) + timedelta(days=1 if shipped_later else 0))
            orders.append(order)
            report.orders.append(order)

        def pay_back(at: datetime) -> None:
            self._refund_with_credit_note(orders[0], at, report)

        agenda.add(at, sell)
        if self._chance.random() < refund_share and at < end - timedelta(days=4):
            agenda.add(at + timedelta(days=3, minutes=7), pay_back)

    def _refund_with_credit_note(self, order: Order, at: datetime, report: SellingReport) -> None:
        self.refund_order(order, at=at)
        report.refunds += 1
        if self.company is not None and order.invoice is not None:
            credit = self.company.person_credits_invoice(order.invoice, booked=False)
            self.company.person_edits_invoice(credit.number, InvoiceDate=_day(at).isoformat())
            self.company.person_books_invoice(credit.number)
            order.credit_note = credit.number

    def _odd_sale(self, oddity: Oddity, end: datetime, report: SellingReport) -> Callable[[datetime], None]:
        def sell(at: datetime) -> None:
            made = self._odd_orders(oddity, at, min(at + timedelta(hours=20), end), report)
            report.oddities[oddity] = made
            report.orders.extend(made)

        return sell

    def _odd_orders(self, oddity: Oddity, at: datetime, later: datetime, report: SellingReport) -> list[Order]:
        match oddity:
            case "no_order_number":
                order = self.take_order(at, "sek", with_number=False)
                self.write_invoice(order)
            case "substring":
                # Their search finds 11001 for 1001; the same goods at the same price make it a real trap.
                goods = [(self.products[0], 1)]
                order = self.take_order(at, "sek", lines=goods)
                longer = self.take_order(at + timedelta(minutes=1), "sek", lines=goods, number=f"1{order.number}")
                self.write_invoice(longer)
                self.write_invoice(order)
                return [order, longer]
            case "paid_by_hand":
                order = self.take_order(at, "sek")
                self._books().person_pays_invoice(self.write_invoice(order), on=_day(at))
            case "deviating_amount":
                order = self.take_order(at, "sek")
                self.write_invoice(order, kronor_more=Decimal(10))
            case "within_tolerance":
                order = self.take_order(at, "sek", discount=40)
                self.write_invoice(order)
            case "no_invoice_yet":
                order = self.take_order(at, "sek")
            case "unbooked":
                order = self.take_order(at, "sek")
                self.write_invoice(order, booked=False)
            case "two_candidates":
                order = self.take_order(at, "sek")
                self.write_invoice(order)
                self.write_invoice(order)
            case "two_captures":
                order = self.take_order(at, "sek", captures=2)
                self.write_invoice(order)
            case "refund_with_credit_note":
                order = self.take_order(at, "sek")
                self.write_invoice(order)
                self._refund_with_credit_note(order, later, report)
            case "refund_without_credit_note":
                order = self.take_order(at, "sek")
                self.write_invoice(order)
                self.refund_order(order, at=later)
                report.refunds += 1
        return [order]

    def _books(self) -> FortnoxCompany:
        if self.company is None:
            raise NotPossible(f"{self.name} has no books in this world")
        return self.company


def _day(at: datetime) -> date:
    """The date in Stockholm."""
    return at.astimezone(STOCKHOLM).date()


_PLAIN = str.maketrans("åäöæøéü", "aaoaoeu")
