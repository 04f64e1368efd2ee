"""Where a company of the storm is paid: it sells and gives back, before the storm and during it.

One class for each simulated payment provider.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from addon.ports.oauth import Grant
from addon.sandbox.paypal import PayPalAccount, PayPalShop
from addon.sandbox.paypal.money import decimals
from addon.sandbox.paypal.shop import Sold
from addon.sandbox.shop.shop import Order, SellingReport, Shop
from addon.sandbox.stripe import StripeAccount
from addon.sandbox.stripe.webhooks import Courier
from addon.sandbox.world import World
from addon.services import connections
from tests.storm.ledgers import Ledger
from tests.support.town import WHO, Town

DAYS_BACK: Final = 28
NEEDING_NOBODY: Final = ("substring", "within_tolerance", "two_captures", "refund_with_credit_note")
NEEDING_A_PERSON: Final = ("no_order_number", "deviating_amount", "no_invoice_yet", "paid_by_hand")


class Till(ABC):
    """What the laws and the selling need of a company's account at a payment provider.

    `basic`: the shop's other plug-in invoices by itself, in the books; Kvitt finds those invoices.
    """

    provider: str

    def __init__(self, world: World, ledger: Ledger, account: Any, shop: Any, *, home: str, basic: bool) -> None:
        self.world = world
        self.ledger = ledger
        self.account = account
        self.shop = shop
        self.home = home
        self.basic = basic

    @abstractmethod
    def connect(self, town: Town, company_id: int) -> int:
        """Connect the account; the connection's id."""

    @abstractmethod
    def sell_before(self, sales: int, days: int = DAYS_BACK) -> None:
        """What was sold, given back and disputed in the weeks before the storm."""

    @abstractmethod
    def sell_one(self, chance: random.Random) -> None:
        """Somebody buys now, and perhaps wants the money back."""

    @abstractmethod
    def sales(self) -> Sequence[str]:
        """What our keys of the sales say: the provider's ids."""

    @abstractmethod
    def refunds(self) -> int:
        """How often money was given back."""

    @abstractmethod
    def payouts(self) -> Mapping[str, str]:
        """Payouts by their ids, with what became of them."""

    @property
    @abstractmethod
    def courier(self) -> Courier:
        """Who brings this provider's webhooks."""

    @abstractmethod
    def count_calls(self) -> int:
        """How many calls this provider has had."""


class StripeTill(Till):
    """An account at the simulated Stripe."""

    provider = "stripe"
    account: StripeAccount
    shop: Shop

    def __init__(self, world: World, ledger: Ledger, account: Any, shop: Any, *, home: str, basic: bool) -> None:
        super().__init__(world, ledger, account, shop, home=home.lower(), basic=basic)
        self._invoices: dict[str, int] = {}

    def connect(self, town: Town, company_id: int) -> int:
        self.world.stripe.connect(self.account)
        grant = Grant("unused", subject=self.account.id)
        return connections.connect(town.services, company_id, "stripe", "connect", grant, WHO)

    def sell_before(self, sales: int, days: int = DAYS_BACK) -> None:
        if self.basic and self.shop.company is not None:
            oddities = (*NEEDING_NOBODY, *NEEDING_A_PERSON)
            self.shop.sell_for_basic(sales=sales, days=days, oddities=oddities, refund_share=Decimal("0.2"))  # type: ignore[arg-type]
        elif self.basic:
            sold = self.shop.sell_month(
                sales=sales, days=days, currencies=(self.home,), refund_share=Decimal(0), klarna_share=Decimal(0)
            )
            for order in sold.orders:
                self._invoice(order)
        else:
            few = min(2, sales // 4)
            self.shop.sell_month(
                sales=sales, days=days, refund_share=Decimal("0.2"), disputes=few, failed_payout=bool(few)
            )

    def _invoice(self, order: Order) -> None:
        total = Decimal(order.total) / 100
        self._invoices[order.number] = self.ledger.invoiced(order.number, total, self.ledger.day(order.at))

    def sell_one(self, chance: random.Random) -> None:
        shop = self.shop
        sku = chance.choice(shop.products).sku
        if not self.basic:
            order = shop.buy(sku, currency=chance.choice((self.home, self.home, "eur", "nok")))
            if chance.random() < 0.25:
                shop.refund_order(order, None if chance.random() < 0.7 else order.total // 200 * 100)
            return
        order = shop.buy(sku, currency=self.home)
        if shop.company is None:
            self._invoice(order)
        if chance.random() < 0.1:
            self._give_back(order)

    def _give_back(self, order: Order) -> None:
        now = self.world.clock.now()
        if self.shop.company is not None:
            self.shop._refund_with_credit_note(order, now, SellingReport())
            return
        self.shop.refund_order(order, at=now)
        total = Decimal(order.total) / 100
        self.ledger.credited(self._invoices[order.number], order.number, total, self.ledger.day(now))

    def sales(self) -> Sequence[str]:
        return [charge for order in self.shop.orders for charge in order.charges]

    def refunds(self) -> int:
        return sum(len(order.refunds) for order in self.shop.orders)

    def payouts(self) -> Mapping[str, str]:
        return {payout.id: payout.status for payout in self.account.payouts}

    @property
    def courier(self) -> Courier:
        return self.world.stripe.courier

    def count_calls(self) -> int:
        return len(self.world.stripe.calls)


class PayPalTill(Till):
    """An account at the simulated PayPal. What was sold shows up a moment later, and some of it later than the rest."""

    provider = "paypal"
    account: PayPalAccount
    shop: PayPalShop
    LAG: Final = timedelta(seconds=1)
    LATE_S: Final = (4, 9)

    def __init__(self, world: World, ledger: Ledger, account: Any, shop: Any, *, home: str, basic: bool) -> None:
        super().__init__(world, ledger, account, shop, home=home.upper(), basic=basic)
        self._invoices: dict[str, int] = {}
        self._given_back = 0

    def connect(self, town: Town, company_id: int) -> int:
        self.account.lag = self.LAG
        reference = f"storm-{company_id}"
        self.world.paypal.consent(self.account, tracking_id=reference)
        return connections.receive(town.services, company_id, "paypal", "connect", reference, "", WHO)

    def sell_before(self, sales: int, days: int = DAYS_BACK) -> None:
        if self.basic:
            sold = self.shop.sell_month(sales=sales, days=days, currencies=(self.home,), refund_share=Decimal(0))
            for one in sold.orders:
                self._invoice(one)
            return
        few = min(2, sales // 4)
        sold = self.shop.sell_month(
            sales=sales, days=days, refund_share=Decimal("0.2"), disputes=few, everyday=bool(few)
        )
        self._given_back += len(sold.refunds)

    def _invoice(self, sold: Sold) -> None:
        total = Decimal(sold.row.amount).scaleb(-decimals(self.home))
        self._invoices[sold.number] = self.ledger.invoiced(sold.number, total, self.ledger.day(sold.at))

    def sell_one(self, chance: random.Random) -> None:
        account, now = self.account, self.world.clock.now()
        with account.lock:
            foreign = not self.basic and chance.random() < 0.5
            currency = chance.choice(("EUR", "NOK")) if foreign else self.home
            sold = self.shop.sell(currency=currency)
            if self.basic:
                self._invoice(sold)
            if not foreign and chance.random() < 0.2:
                sold.row.visible_at = now + timedelta(seconds=chance.randint(*self.LATE_S))
            if chance.random() < (0.1 if self.basic else 0.25):
                self._give_back(sold, now, None if self.basic or chance.random() < 0.7 else sold.row.amount // 2)
            available = account.balances()[account.primary][0]
            if chance.random() < 0.03 and available > 0:
                account.withdraw(available, code="T0401")

    def _give_back(self, sold: Sold, now: datetime, part: int | None) -> None:
        self.account.refund(sold.row.id, part)
        self._given_back += 1
        if self.basic:
            total = Decimal(sold.row.amount).scaleb(-decimals(self.home))
            self.ledger.credited(self._invoices[sold.number], sold.number, total, self.ledger.day(now))

    def sales(self) -> Sequence[str]:
        return [sold.row.id for sold in self.shop.orders]

    def refunds(self) -> int:
        return self._given_back

    def payouts(self) -> Mapping[str, str]:
        return {row.id: row.code for row in self.account.rows if row.code in ("T0401", "T0403")}

    @property
    def courier(self) -> Courier:
        return self.world.paypal.courier

    def count_calls(self) -> int:
        return len(self.world.paypal.calls)


TILLS: Final[Mapping[str, type[Till]]] = {one.provider: one for one in (StripeTill, PayPalTill)}


def webhooks_of(couriers: Sequence[Courier]) -> Counter[str]:
    """What became of the webhooks."""
    told: Counter[str] = Counter()
    for courier in couriers:
        for delivered in courier.log:
            well = delivered.status is not None and 200 <= delivered.status < 300
            told["taken" if well else f"refused {delivered.status or 'connection'}"] += 1
    return told
