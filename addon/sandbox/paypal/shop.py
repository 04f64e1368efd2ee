"""A shop that sells through PayPal: the goods and buyers of the other shop, months of it at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from addon.sandbox.paypal.account import PayPalAccount
from addon.sandbox.paypal.model import Item, Payer, Row
from addon.sandbox.paypal.money import decimals
from addon.sandbox.shop.catalog import FELL_GOODS, Product, make_buyer, price_in
from addon.sandbox.stripe.money import decimals as stripe_decimals

_PAYER_ID = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CURRENCIES = ("SEK", "EUR", "USD", "NOK", "JPY", "HUF")


@dataclass(slots=True)
class Sold:
    """An order and the payment for it."""

    number: str
    at: datetime
    row: Row
    payer: Payer


@dataclass(slots=True)
class SellingReport:
    """What a run of sales made, so that a test knows what to look for."""

    orders: list[Sold] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)
    disputes: list[str] = field(default_factory=list)
    payouts: list[str] = field(default_factory=list)


class PayPalShop:
    """One shop of one company, paid over PayPal. The order number stands in `invoice_id` after `prefix`."""

    def __init__(
        self,
        account: PayPalAccount,
        *,
        seed: int = 1,
        products: tuple[Product, ...] = FELL_GOODS,
        currencies: tuple[str, ...] = CURRENCIES,
        first_order_number: int = 50001,
        prefix: str = "WC-",
    ) -> None:
        self.account = account
        self.products = products
        self.currencies = currencies
        self.prefix = prefix
        self.orders: list[Sold] = []
        self._next_number = first_order_number
        self._buyers = 0
        self._chance = random.Random(f"paypal-shop/{seed}/{account.name}")

    def sell(self, at: datetime | None = None, currency: str | None = None, *, percent: int = 25) -> Sold:
        """Somebody buys something, VAT included in its price; PayPal is told the lines."""
        moment = (at or self.account.clock.now()).replace(microsecond=0)
        currency = currency or self._chance.choice(self.currencies)
        product = self._chance.choice(self.products)
        # Prices come in Stripe's smallest unit, which has two decimals in HUF and TWD where PayPal has none.
        shift = 10 ** (stripe_decimals(currency.lower()) - decimals(currency))
        gross = price_in(product, currency.lower(), moment.date()) // shift
        tax = int(Decimal(gross * percent) / (100 + percent) + Decimal("0.5"))
        payer = self._payer(currency)
        number = str(self._next_number)
        self._next_number += 1
        row = self.account.sell(
            gross,
            currency,
            order=number,
            prefix=self.prefix,
            payer=payer,
            items=(Item(product.name, 1, gross - tax, tax, product.sku, Decimal(percent)),),
            sales_tax=tax,
            at=moment,
        )
        sold = Sold(number, moment, row, payer)
        self.orders.append(sold)
        return sold

    def _payer(self, currency: str) -> Payer:
        self._buyers += 1
        buyer = make_buyer(self._chance, currency.lower(), self._buyers, with_email=True)
        account_id = "".join(self._chance.choices(_PAYER_ID, k=13))
        return Payer(buyer.name, buyer.email, buyer.country, account_id, buyer.city, buyer.postal_code)

    def sell_month(
        self,
        until: datetime | None = None,
        *,
        days: int = 30,
        sales: int = 300,
        currencies: Iterable[str] | None = None,
        refund_share: Decimal = Decimal("0.05"),
        disputes: int = 0,
        weekly_payout: bool = True,
    ) -> SellingReport:
        """Sell for some days up to `until` (default: now), in order of time."""
        end = (until or self.account.clock.now()).replace(microsecond=0)
        start = end - timedelta(days=days)
        wanted = tuple(currencies or self.currencies)
        report = SellingReport()
        agenda: list[tuple[datetime, int, Callable[[datetime], None]]] = []

        def plan(at: datetime, deed: Callable[[datetime], None]) -> None:
            if at < end:
                agenda.append((at, len(agenda), deed))

        def sale(number: int) -> Callable[[datetime], None]:
            return lambda at: report.orders.append(self.sell(at, wanted[number % len(wanted)]))

        span = max(1, int((end - start).total_seconds()) - 1)
        for number in range(sales):
            plan(start + timedelta(seconds=self._chance.randrange(span)), sale(number))
        for number in range(int(sales * refund_share)):
            plan(
                start + timedelta(seconds=span * (number + 1) // (int(sales * refund_share) + 1)),
                self._give_back(report),
            )
        for number in range(disputes):
            plan(start + timedelta(seconds=span * (2 * number + 1) // (2 * disputes)), self._complain(report))
        if weekly_payout:
            for week in range(1, days // 7 + 1):
                plan(start + timedelta(days=7 * week), self._pay_out(report))
        with self.account.lock:
            for at, _, deed in sorted(agenda, key=lambda planned: planned[:2]):
                deed(at)
        return report

    def _give_back(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            open_orders = [sold for sold in report.orders[-40:] if not sold.row.refunded and sold.row.status == "S"]
            if open_orders:
                sold = self._chance.choice(open_orders)
                part = sold.row.amount if self._chance.random() < 0.5 else max(1, sold.row.amount // 3)
                report.refunds.append(self.account.refund(sold.row.id, part, at).id)

        return deed

    def _complain(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            kept = [
                sold
                for sold in report.orders
                if not sold.row.refunded and sold.row.currency in self.account.balance_currencies
            ]
            if kept:
                report.disputes.append(self.account.dispute(kept[-1].row.id, at).id)

        return deed

    def _pay_out(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            available, _ = self.account.balances(at)[self.account.primary]
            if available > 0:
                report.payouts.append(self.account.withdraw(available, code="T0401", at=at).id)

        return deed
