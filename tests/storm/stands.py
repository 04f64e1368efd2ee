"""One company of the storm: its books, its till and its Kvitt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from addon.sandbox.shop import DESIGN_GOODS
from addon.sandbox.world import World
from addon.services import prerequisites, settings
from addon.store.models import DocumentRow
from tests.storm.ledgers import LEDGERS, Ledger
from tests.storm.tills import DAYS_BACK, TILLS, Till
from tests.support.town import WHO, Town

RESERVE: Final = {"fortnox": ("1516", "1690"), "economic": ("5894", "5895")}
"""Accounts for disputes and for what is held back, which nobody proposes."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Whose books and whose payments a company has, and its mode."""

    accounting: str = "fortnox"
    payments: str = "stripe"
    mode: str = "plus"

    def __str__(self) -> str:
        return f"{self.accounting} + {self.payments}, {self.mode}"


@dataclass
class Stand:
    """A company in the storm."""

    town: Town
    name: str
    pair: Pair
    ledger: Ledger
    till: Till
    company_id: int = 0

    @property
    def world(self) -> World:
        return self.town.world

    def opens(self, days: int = DAYS_BACK + 5) -> None:
        """Install Kvitt, connect, choose, repair."""
        services, town = self.town.services, self.town
        self.world.catch_up()
        self.company_id = self.ledger.install(town)
        connection_id = self.till.connect(town, self.company_id)
        start = (self.world.clock.now() - timedelta(days=days)).date().isoformat()
        town.choose(self.company_id, connection_id, mode=self.pair.mode, start_date=start)
        disputes, reserve = RESERVE[self.pair.accounting]
        faults = settings.change(services, self.company_id, WHO, {"fee_vat": "exempt", "accounts.disputes": disputes})
        assert not faults, faults
        if self.pair.payments == "paypal":
            town.choose(self.company_id, connection_id, **{f"accounts.reserve:{self.till.home}": reserve})
        prerequisites.check(services, self.company_id)
        town.repair(self.company_id)

    @contextmanager
    def rows(self) -> Iterator[Any]:
        with self.town.services.db.company_reading(self.company_id) as session:
            yield session

    def documents(self, kind: str = "") -> list[DocumentRow]:
        return self.town.documents(self.company_id, kind)

    def kinds(self) -> Counter[str]:
        """How many booked documents of each kind."""
        return Counter(row.kind for row in self.documents() if row.state == "booked")


_NAMES: Final = (
    ("Fjällbutiken AB", "556677-8899", "Havblik ApS", "12345674"),
    ("Norrsken Design AB", "559012-3456", "Kornblomst ApS", "23456786"),
    ("Lilla Boden AB", "559111-2227", "Lille Bod ApS", "34567898"),
)


def stand(built: Town, pair: Pair, place: int) -> Stand:
    """A company of a pair, which has sold nothing yet. `place` gives its name."""
    world, basic = built.world, pair.mode == "basic"
    books: Any
    account: Any
    shop: Any
    swedish, number, danish, cvr = _NAMES[place]
    if (pair.accounting, pair.payments) == ("fortnox", "stripe"):
        more: dict[str, Any] = {"balance_currencies": ("sek", "eur")}
        if basic:
            more = {
                "balance_currencies": ("sek",),
                "currencies": ("sek",),
                "products": DESIGN_GOODS,
                "first_order_number": 1001,
                "other_plugin": True,
            }
        business = world.add_business(swedish, number, **more)
        name, books, account, shop, home = swedish, business.fortnox, business.stripe, business.shop, "sek"
    else:
        name, home = (danish, "dkk") if pair.accounting == "economic" else (swedish, "sek")
        trader = world.add_trader(name, cvr if home == "dkk" else number, books=pair.accounting, payments=pair.payments)
        books, account, shop = trader.books, trader.account, trader.shop
    ledger = LEDGERS[pair.accounting](world, books, pair.payments)
    till = TILLS[pair.payments](world, ledger, account, shop, home=home, basic=basic)
    return Stand(built, name, pair, ledger, till)
