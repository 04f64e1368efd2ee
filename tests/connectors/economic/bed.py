"""e-conomic for the conformance suite: one agreement whose books are open, and our journal in it."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from addon.connectors.economic import EconomicAccounting, EconomicClient
from addon.connectors.http import HttpClient
from addon.core.accounts import Account
from addon.core.books import Remedy, Repair
from addon.ports.accounting import Known
from addon.sandbox.clock import Clock
from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.connectors.economic.conftest import BANK, CLEARING, DAY, NOON, SALES
from tests.support.doubles import CallLog, Tokens, WatchedPace

APP_SECRET = "app-secret-of-kvitt"  # the sandbox's, and real nowhere


def refusal(status: int, words: str) -> bytes:
    """As e-conomic words it."""
    told = {"message": words, "errorCode": f"E0{status}00", "httpStatusCode": status, "developerHint": words}
    return json.dumps(told).encode()


@dataclass
class EconomicBed:
    """One agreement in the simulated e-conomic."""

    clock: Clock
    world: EconomicWorld
    agreement: EconomicAgreement
    url: str
    line: Line
    log: CallLog
    renews: bool = False
    currency: str = "DKK"
    page_rows: int = 1000
    day: date = DAY
    sales: Account = SALES
    clearing: Account = CLEARING
    bank: Account = BANK
    series: str = "V"
    year_ref: str = "2026"
    endless: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._grant = self.world.grant(self.agreement.number)
        self.secrets = (APP_SECRET, self._grant)
        self.system().repair(Repair(Remedy.CREATE_SERIES, self.series, name="Kvitt"))

    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)

    def system(self) -> EconomicAccounting:
        http = HttpClient("economic", self.log, transport=self.line, now=self.now)
        client = EconomicClient(
            http, f"{self.url}/rest", f"{self.url}/apis", APP_SECRET, Tokens([self._grant]), WatchedPace()
        )
        return EconomicAccounting(client, now=self.now)

    def ledger(self) -> dict[str, Decimal]:
        self.agreement.check()
        return {str(account): amount for account, amount in self.agreement.trial_balance().items() if amount}

    def standing(self) -> dict[str, int]:
        return {
            "customers": len(self.agreement.customers),
            "invoices": len(self.agreement.drafts) + len(self.agreement.booked),
            "unbooked invoices": len(self.agreement.drafts),
            "unbooked entries": len(self.agreement.draft_entries),
        }

    def add_customers(self, count: int) -> None:
        for number in range(count):
            self.agreement.person_creates_customer(f"Customer {number}")

    def add_currencies(self) -> dict[str, Decimal]:
        for code in ("EUR", "JPY"):
            self.agreement.person_adds_currency(code)
        return {code: self.world.rate("DKK", code, self.day) / 100 for code in ("EUR", "JPY")}

    def for_vouchers(self) -> Known:
        return Known(series=self.series, year_ref=self.year_ref)

    def revoke(self) -> None:
        self.agreement.revoke_grant()


def make_bed(ground: Ground) -> EconomicBed:
    """A world of its own for one test."""
    clock = Clock(NOON)
    world = EconomicWorld(clock, app_secret=APP_SECRET, app_public="app-public", cost_limit=0)
    agreement = world.add_agreement("Havblik ApS", "12345674")
    return EconomicBed(clock, world, agreement, ground.serve(world.app()), Line(ground.network, refusal), ground.log)
