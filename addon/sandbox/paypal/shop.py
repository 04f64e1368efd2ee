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
    oddities: list[str] = field(default_factory=list)
    """Rows that a person decides about."""


@dataclass(slots=True)
class _Agenda:
    """What happens when, before an end; deeds of one instant in the order they were planned."""

    start: datetime
    end: datetime
    deeds: list[tuple[datetime, int, Callable[[datetime], None]]] = field(default_factory=list)

    def add(self, at: datetime, deed: Callable[[datetime], None]) -> None:
        if at < self.end:
            self.deeds.append((at.replace(microsecond=0), len(self.deeds), deed))

    def add_share(self, share: Decimal, deed: Callable[[datetime], None]) -> None:
        """Plan a deed when this share of the time has passed."""
        seconds = int(Decimal((self.end - self.start).total_seconds()) * share)
        self.add(self.start + timedelta(seconds=seconds), deed)

    def run(self) -> None:
        for at, _, deed in sorted(self.deeds, key=lambda planned: planned[:2]):
            deed(at)


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
        everyday: bool = False,
        oddities: bool = False,
    ) -> SellingReport:
        """Sell for some days up to `until` (default: now), in order of time.

        `disputes` are decided in turn: won (what was held is let go), lost (a chargeback with its fee), lost and then
        won back. `everyday` adds what an account sees besides: a reserve that is let go, a monthly fee, money changed
        by hand out of each other balance, a withdrawal that the bank sends back, an eCheck that clears days later.
        `oddities` adds what a person has to decide: a purchase paid from the balance.
        """
        end = (until or self.account.clock.now()).replace(microsecond=0)
        agenda = _Agenda(end - timedelta(days=days), end)
        wanted = tuple(currencies or self.currencies)
        report = SellingReport()

        def sale(number: int) -> Callable[[datetime], None]:
            return lambda at: report.orders.append(self.sell(at, wanted[number % len(wanted)]))

        span = max(1, days * 86_400 - 1)
        for number in range(sales):
            agenda.add(agenda.start + timedelta(seconds=self._chance.randrange(span)), sale(number))
        refunds = int(sales * refund_share)
        for number in range(refunds):
            agenda.add_share(Decimal(number + 1) / (refunds + 1), self._give_back(report))
        for number in range(disputes):
            self._plan_dispute(agenda, number, disputes, report)
        if weekly_payout:
            for week in range(1, days // 7 + 1):
                agenda.add(agenda.start + timedelta(days=7 * week), self._pay_out(report))
        if everyday:
            self._plan_everyday(agenda)
        if oddities:
            agenda.add_share(Decimal("0.6"), self._buy(report))
        with self.account.lock:
            agenda.run()
        return report

    def _give_back(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            open_orders = [sold for sold in report.orders[-40:] if not sold.row.refunded and sold.row.status == "S"]
            open_orders = [sold for sold in open_orders if not self._is_disputed(sold)]
            if open_orders:
                sold = self._chance.choice(open_orders)
                part = sold.row.amount if self._chance.random() < 0.5 else max(1, sold.row.amount // 3)
                report.refunds.append(self.account.refund(sold.row.id, part, at).id)

        return deed

    def _is_disputed(self, sold: Sold) -> bool:
        return any(dispute.payment == sold.row.id for dispute in self.account.disputes.values())

    def _plan_dispute(self, agenda: _Agenda, number: int, of: int, report: SellingReport) -> None:
        """Opened in the first half, decided in the second: won, lost, lost and won back by turns."""
        opened: list[str] = []
        place = Decimal(2 * number + 1) / (2 * of)

        def complain(at: datetime) -> None:
            kept = [
                sold
                for sold in report.orders
                if not sold.row.refunded
                and sold.row.status == "S"
                and sold.row.currency in self.account.balance_currencies
                and not self._is_disputed(sold)
            ]
            if kept:
                opened.append(self.account.dispute(kept[-1].row.id, at).id)
                report.disputes.extend(opened)

        def decide(at: datetime) -> None:
            for dispute in opened:
                if number % 3 == 0:
                    self.account.win(dispute, at)
                else:
                    self.account.lose(dispute, at)

        def win_back(at: datetime) -> None:
            for dispute in opened:
                self.account.chargeback_returns(dispute, at=at)

        agenda.add_share(Decimal("0.1") + place * Decimal("0.35"), complain)
        agenda.add_share(Decimal("0.55") + place * Decimal("0.2"), decide)
        if number % 3 == 2:
            agenda.add_share(Decimal("0.8") + place * Decimal("0.15"), win_back)

    def _pay_out(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            available, _ = self.account.balances(at)[self.account.primary]
            if available > 0:
                report.payouts.append(self.account.withdraw(available, code="T0401", at=at).id)

        return deed

    def _plan_everyday(self, agenda: _Agenda) -> None:
        """A reserve and its release, a fee, conversions by hand, a withdrawal that comes back, an eCheck."""
        account, home = self.account, self.account.primary
        held: list[str] = []
        gone: list[str] = []
        pending: list[str] = []

        def hold(at: datetime) -> None:
            held.append(account.hold(150_00, home, code="T2105", at=at).id)

        def let_go(at: datetime) -> None:
            account.release(held[0], at=at)

        def charge(at: datetime) -> None:
            account.fee("T0101", 99_00, home, at=at)

        def change(at: datetime) -> None:
            for currency, (available, _) in account.balances(at).items():
                if currency != home and available > 1:
                    account.convert(available // 2, currency, home, at=at)

        def withdraw(at: datetime) -> None:
            if account.balances(at)[home][0] > 300_00:
                gone.append(account.withdraw(300_00, at=at).id)

        def send_back(at: datetime) -> None:
            if gone:
                account.withdrawal_returns(gone[0], at)

        def write_cheque(at: datetime) -> None:
            number = str(self._next_number)
            self._next_number += 1
            row = account.sell(
                490_00, home, order=number, prefix=self.prefix, payer=self._payer(home), pending=True, at=at
            )
            pending.append(row.id)

        def clear(at: datetime) -> None:
            account.clear(pending[0], at)

        for share, deed in (
            ("0.20", hold),
            ("0.30", charge),
            ("0.35", write_cheque),
            ("0.50", change),
            ("0.52", clear),
            ("0.65", withdraw),
            ("0.70", let_go),
            ("0.75", send_back),
        ):
            agenda.add_share(Decimal(share), deed)

    def _buy(self, report: SellingReport) -> Callable[[datetime], None]:
        def deed(at: datetime) -> None:
            report.oddities.append(self.account.purchase(149_00, self.account.primary, at=at).id)

        return deed
