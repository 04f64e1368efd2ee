"""Calls per document, counted at the simulated Fortnox.

A run has calls of its own (the books, the customers, the audit, the read-back), so a run with one document is
compared with another that has a few more of the same kind: the difference is what those cost, whatever it was
spent on. A run over finished work must write nothing, and must ask no more when there is more of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from addon.sandbox.fortnox.world import Call
from addon.sandbox.shop import Order, Shop
from addon.sandbox.shop.catalog import DESIGN_GOODS, Buyer
from addon.sandbox.stripe.money import CHARGE_MULTIPLE
from addon.sandbox.world import Business, World
from bench.beds import START, plain_world, sqlite_town
from bench.rows import Row
from tests.support.town import Town

Mode = Literal["plus", "basic"]
WRITES = ("POST", "PUT", "DELETE")
CURRENCIES = ("sek", "eur", "usd", "jpy")
"""What sales are made in, one after the other: a foreign one may cost no more."""
MORE = 4


class WentWrong(AssertionError):
    """A run that was to be measured did not do its work: its count would mean nothing."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The calls of one run: those at Fortnox, without tokens (one lasts an hour), and how many at Stripe."""

    calls: tuple[Call, ...]
    stripe: int

    @property
    def number(self) -> int:
        """Calls at Fortnox."""
        return len(self.calls)

    @property
    def writes(self) -> int:
        """Those that change something."""
        return sum(call.method in WRITES for call in self.calls)

    @property
    def reads(self) -> int:
        """Those that ask."""
        return self.number - self.writes


@dataclass(slots=True)
class Bench:
    """One company in a town, and how its runs are counted."""

    town: Town
    business: Business
    company_id: int
    buyers: int = 0

    @property
    def world(self) -> World:
        """The world it is in."""
        return self.town.world

    @property
    def shop(self) -> Shop:
        """Its shop."""
        return self.business.shop

    def run(self, documents: int | None = None) -> Counted:
        """Run to the end and count. Raises `WentWrong` unless so many documents were booked, and nothing held."""
        fortnox, stripe = self.world.fortnox, self.world.stripe
        self.world.clock.advance(timedelta(minutes=1))  # what happens at this very instant belongs to the next run
        before = self._booked()
        fortnox.reset_calls()
        stripe.calls.clear()
        view = self.town.run(self.company_id)
        booked = self._booked() - before
        calls = tuple(call for call in fortnox.calls if call.path.startswith("/3"))
        failed = [call for call in calls if call.status >= 400 or call.status == 0]
        left = view.counts["held"] or view.counts["to_deliver"]
        if view.state != "done" or left or failed or documents not in (None, booked):
            raise WentWrong(
                f"{documents} documents wanted, {booked} booked: {view.state} {view.message!r}, "
                f"{dict(view.counts)}, failed {failed[:3]}, held {self.town.held(self.company_id)[:3]}"
            )
        return Counted(calls, len(stripe.calls))

    def _booked(self) -> int:
        return sum(document.state == "booked" for document in self.town.documents(self.company_id))

    def marginal(self, prepare: Callable[[int], object], more: int, documents: int = 1) -> Decimal:
        """Calls for each further one of something that becomes so many documents: one of them, then `more` + 1."""
        prepare(1)
        few = self.run(documents)
        prepare(more + 1)
        many = self.run((more + 1) * documents)
        return Decimal(many.number - few.number) / more

    def turn(self, days: int) -> None:
        """Turn the world's clock on, and let that time pass."""
        self.world.clock.advance(timedelta(days=days))
        self.world.catch_up()

    def new_buyers(self, number: int) -> list[Buyer]:
        """People who never bought here."""
        self.buyers += number
        first = self.buyers - number
        return [
            Buyer(f"Anna Nyström {first + n}", f"new{first + n}@example.com", "SE", "Östersund", "831 30")
            for n in range(number)
        ]

    def sell(self, buyers: Sequence[Buyer], currencies: Sequence[str] = CURRENCIES) -> list[Order]:
        """An order each, now, in one currency after the other."""
        return [
            self.shop.take_order(
                self.world.clock.now(),
                currencies[number % len(currencies)],
                buyer=buyer,
                lines=[(self.shop.products[number % len(self.shop.products)], 1)],
            )
            for number, buyer in enumerate(buyers)
        ]


@contextmanager
def bench_for(mode: Mode) -> Iterator[Bench]:
    """A company with its first sales booked; the clock stands, the money stays at Stripe until it is told."""
    world = plain_world()
    if mode == "plus":
        business = world.add_business("Fjällbutiken AB", "556677-8899", fortnox_currencies=("EUR", "USD", "JPY"))
    else:
        business = world.add_business(
            "Norrsken Design AB",
            "559012-3456",
            balance_currencies=("sek",),
            currencies=("sek",),
            products=DESIGN_GOODS,
            first_order_number=1001,
            other_plugin=True,
        )
    business.stripe.payouts_enabled = False
    # One sale in each balance currency, so that accounts for these are found when the company connects.
    earlier = world.clock.now() - timedelta(hours=1)
    first = [business.shop.take_order(earlier, currency) for currency in business.stripe.balance_currencies]
    for order in first if mode == "basic" else ():
        business.shop.write_invoice(order)
    with sqlite_town(world) as town:
        bench = Bench(town, business, town.set_up(business, mode, START))
        bench.run(len(first))
        yield bench


# --- Plus -------------------------------------------------------------------------------------------------------


def count_plus(more: int = MORE) -> list[Row]:
    """Plus: what each sale, refund, fee and payout costs, a few of them over one."""
    with bench_for("plus") as bench:
        new, known = _sales(bench, more)
        full, partial = _refunds(bench, more)
        fees, payout = _vouchers(bench, more, known)
    where = f"{more} more, in {', '.join(currency.upper() for currency in CURRENCIES[: more + 1])}"
    return [
        Row("sale, known customer", known, "calls", "at most", 4, where),
        Row("sale, new customer", new, "calls", "at most", 5, where),
        Row("refund, full", full, "calls", "at most", 5, where),
        Row("refund, partial", partial, "calls", "at most", 5, where),
        Row("fees", fees, "calls a day", "at most", 1, f"{more} more days with two sales and a monthly fee"),
        Row("payout", payout, "calls", "at most", 1, f"{more} more"),
    ]


def _sales(bench: Bench, more: int) -> tuple[Decimal, Decimal]:
    new = bench.marginal(lambda number: bench.sell(bench.new_buyers(number)), more)
    buyers = [order.buyer for order in bench.shop.orders]
    known = bench.marginal(lambda number: bench.sell(buyers[:number]), more)
    return new, known


def _refunds(bench: Bench, more: int) -> tuple[Decimal, Decimal]:
    def pay_back(number: int, share: int) -> None:
        for position in range(number):
            currency = CURRENCIES[position % len(CURRENCIES)]
            order = next(order for order in bench.shop.orders if order.currency == currency and not order.refunds)
            bench.shop.refund_order(order, None if share == 1 else _share(order, share))

    full = bench.marginal(lambda number: pay_back(number, 1), more)
    partial = bench.marginal(lambda number: pay_back(number, 3), more)
    return full, partial


def _share(order: Order, share: int) -> int:
    """A part of an order, as Stripe would pay it back."""
    multiple = CHARGE_MULTIPLE.get(order.currency, 1)
    return order.total // share // multiple * multiple


def _vouchers(bench: Bench, more: int, sale: Decimal) -> tuple[Decimal, Decimal]:
    account, buyer = bench.business.stripe, bench.shop.orders[0].buyer
    bench.turn(7)
    account.run_payouts()
    bench.turn(7)
    bench.run()  # the fees and payouts of what was sold so far
    bench.run(0)

    def days(number: int) -> None:
        for _ in range(number):
            bench.sell([buyer, buyer], ["sek"])
            account.stripe_fee(4500, "Billing - Usage Fee")
            bench.turn(1)

    def weeks(number: int) -> None:
        for _ in range(number):
            bench.sell([buyer], ["sek"])
            bench.turn(7)
            if len(account.run_payouts()) != 1:
                raise WentWrong("one payout a week was meant")
        bench.turn(7)

    fees = bench.marginal(days, more, documents=3) - 2 * sale
    bench.turn(7)
    account.run_payouts()
    bench.turn(7)
    bench.run()
    payout = bench.marginal(weeks, more, documents=3) - sale - fees
    return fees, payout


# --- Basic ------------------------------------------------------------------------------------------------------


def count_basic(more: int = MORE) -> list[Row]:
    """Basic: payments on invoices that another plug-in made, and on its credit notes."""
    with bench_for("basic") as bench:
        sold: list[Order] = []

        def invoiced(number: int) -> None:
            for order in bench.sell(bench.new_buyers(number), ["sek"]):
                bench.shop.write_invoice(order)
                sold.append(order)

        def credited(number: int) -> None:
            for order in [order for order in sold if not order.refunds][:number]:
                bench.shop.refund_order(order)
                if order.invoice is None:
                    raise WentWrong(f"order {order.number} has no invoice")
                bench.business.fortnox.person_credits_invoice(order.invoice)

        match = bench.marginal(invoiced, more)
        match_refund = bench.marginal(credited, more)
    return [
        Row("match", match, "calls", "at most", 4, f"Basic, {more} more"),
        Row("match of a refund", match_refund, "calls", "at most", 5, f"Basic, {more} more, on their credit notes"),
    ]


# --- A second run -----------------------------------------------------------------------------------------------


def count_second_runs(sales: int = 12, times: int = 10) -> list[Row]:
    """A run over finished work, of a small and of a larger world; in Plus and in Basic."""
    rows: list[Row] = []
    modes: tuple[Mode, ...] = ("plus", "basic")
    for mode in modes:
        small, large = _second_run(mode, sales), _second_run(mode, sales * times)
        worlds = f"after {sales} and {sales * times} sales"
        name = f"second run, {mode.capitalize()}"
        rows += [
            Row(f"{name}: writes", max(small.writes, large.writes), "calls", "exactly", 0, worlds),
            Row(
                f"{name}: reads",
                large.reads,
                "calls",
                "at most",
                small.reads,
                f"{small.reads} after {sales} sales, {large.reads} after {sales * times}",
            ),
        ]
    return rows


def _second_run(mode: Mode, sales: int) -> Counted:
    """Sell over a month with refunds, payouts and fees; book it all, then run once more."""
    with bench_for(mode) as bench:
        bench.business.stripe.payouts_enabled = True
        end = bench.world.clock.now() + timedelta(days=31)
        bench.world.clock.set(end)
        if mode == "plus":
            bench.shop.sell_month(sales=sales, currencies=CURRENCIES)
        else:
            bench.shop.sell_for_basic(sales=sales, oddities=())
        bench.turn(10)
        bench.run()
        return bench.run(0)
