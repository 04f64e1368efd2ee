"""The template of an accounting system for the conformance suite: one company whose books are open."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from addon.connectors.http import HttpClient
from addon.core.accounts import Account, AccountRole
from addon.core.books import Remedy, Repair
from addon.ports.accounting import Known
from addon.sandbox.clock import Clock
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.support.doubles import CallLog, Tokens, WatchedPace
from tests.template.accounting.books import TemplateAccounting
from tests.template.accounting.client import Client
from tests.template.ledger import PAGE, LedgerWorld

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SALES = Account(AccountRole.SALES, "3001")
CLEARING = Account(AccountRole.CLEARING, "1686")
BANK = Account(AccountRole.BANK, "1930")


def refusal(status: int, words: str) -> bytes:
    """As the system words it."""
    return json.dumps({"code": "unauthorised", "message": words}).encode()


@dataclass
class LedgerBed:
    """One company's books in the simulated system."""

    world: LedgerWorld
    url: str
    line: Line
    log: CallLog
    renews: bool = False
    currency: str = "SEK"
    page_rows: int = PAGE
    day: date = date(2026, 11, 20)
    sales: Account = SALES
    clearing: Account = CLEARING
    bank: Account = BANK
    series: str = "K"
    year_ref: str = "2026"
    endless: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._key = self.world.key
        self.secrets = (self._key,)
        self.system().repair(Repair(Remedy.CREATE_SERIES, self.series, name="Kvitt"))

    def now(self) -> datetime:
        return self.world.clock.now()

    def advance(self, by: timedelta) -> None:
        self.world.clock.advance(by)

    def system(self) -> TemplateAccounting:
        http = HttpClient("ledger", self.log, transport=self.line, now=self.now)
        return TemplateAccounting(Client(http, Tokens([self._key]), self.url, WatchedPace()), now=self.now)

    def ledger(self) -> dict[str, Decimal]:
        return self.world.trial_balance()

    def standing(self) -> dict[str, int]:
        return {
            "customers": len(self.world.customers),
            "invoices": len(self.world.invoices),
            "unbooked invoices": len([one for one in self.world.invoices.values() if not one["booked"]]),
            "unbooked entries": len([one for one in self.world.payments.values() if not one["booked"]]),
        }

    def add_customers(self, count: int) -> None:
        for number in range(count):
            self.world.make_customer({"name": f"Customer {number}"})

    def add_currencies(self) -> dict[str, Decimal]:
        return {}

    def for_vouchers(self) -> Known:
        return Known(series=self.series, year_ref=self.year_ref)

    def revoke(self) -> None:
        self.world.key = "another_key_altogether"


def make_bed(ground: Ground) -> LedgerBed:
    """A company of its own for one test."""
    world = LedgerWorld(Clock(NOON))
    return LedgerBed(world, ground.serve(world.app()), Line(ground.network, refusal), ground.log)
