"""Fortnox for the conformance suite: one company whose books are open."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from addon.connectors.fortnox import FortnoxAccounting, FortnoxAuthorisation, FortnoxClient
from addon.connectors.http import HttpClient
from addon.core.accounts import Account
from addon.ports.accounting import Known
from addon.ports.calls import TokenSource
from addon.ports.oauth import Grant
from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.connectors.fortnox.conftest import BANK, CLEARING, DAY, SALES, shared_world
from tests.support.doubles import CallLog, WatchedPace


def refusal(status: int, words: str) -> bytes:
    """As Fortnox words it: without a token it answers plainly, and says with a code what a consent lacks."""
    if status == 401:
        return json.dumps({"message": words}).encode()
    return json.dumps({"ErrorInformation": {"error": 1, "message": words, "code": 2000663}}).encode()


class _Tokens(TokenSource):
    """Tokens that the authorisation makes, for as long as the consent stands."""

    def __init__(self, authorisation: FortnoxAuthorisation, tenant: str, made: list[str]) -> None:
        self._authorisation, self._grant, self._made = authorisation, Grant("", subject=tenant), made
        self.renew("")

    def current(self) -> str:
        return self._grant.access_token

    def renew(self, stale: str) -> str:
        self._grant = self._authorisation.renew(self._grant)
        self._made.append(self._grant.access_token)
        return self._grant.access_token


@dataclass
class FortnoxBed:
    """One company in the simulated Fortnox."""

    clock: Clock
    world: FortnoxWorld
    company: FortnoxCompany
    url: str
    line: Line
    log: CallLog
    renews: bool = True
    currency: str = "SEK"
    page_rows: int = 500
    day: date = DAY
    sales: Account = SALES
    clearing: Account = CLEARING
    bank: Account = BANK
    series: str = "A"
    endless: frozenset[str] = frozenset({"ledger"})

    def __post_init__(self) -> None:
        self._made: list[str] = []

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every token there ever was."""
        return tuple(self._made)

    @property
    def year_ref(self) -> str:
        """The financial year of the day."""
        year = self.company.year_of(self.day)
        assert year is not None
        return str(year.id)

    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)

    def system(self) -> FortnoxAccounting:
        http = HttpClient("fortnox", self.log, transport=self.line, now=self.now)
        authorisation = FortnoxAuthorisation(
            http,
            client_id="id",
            client_secret="secret",
            auth_url=f"{self.url}/oauth-v1",
            api_url=f"{self.url}/3",
            now=self.now,
            sleep=lambda seconds: None,
        )
        tokens = _Tokens(authorisation, str(self.company.database_number), self._made)
        return FortnoxAccounting(FortnoxClient(http, f"{self.url}/3", tokens, WatchedPace()), now=self.now)

    def ledger(self) -> dict[str, Decimal]:
        self.company.check()
        return {str(account): amount for account, amount in self.company.trial_balance().items() if amount}

    def standing(self) -> dict[str, int]:
        return {
            "customers": len(self.company.customers),
            "invoices": len([one for one in self.company.invoices.values() if not one.cancelled]),
            "unbooked invoices": len([i for i in self.company.invoices.values() if not i.booked and not i.cancelled]),
            "unbooked entries": len([one for one in self.company.payments.values() if not one.booked]),
        }

    def add_customers(self, count: int) -> None:
        for number in range(count):
            self.company.person_creates_customer(f"Customer {number}")

    def add_currencies(self) -> dict[str, Decimal]:
        worth = {}
        for code in ("EUR", "JPY"):
            if code not in self.company.currencies:
                self.company.person_adds_currency(code)
            worth[code] = self.world.rate(code, self.day) / self.world.unit(code)
        return worth

    def for_vouchers(self) -> Known:
        return Known(series=self.series, year_ref=self.year_ref)

    def revoke(self) -> None:
        self.company.revoke_consent()
        self.advance(timedelta(hours=2))  # a token that is out lives on for its hour


def make_bed(ground: Ground) -> FortnoxBed:
    """A company of its own for one test."""
    clock, world = shared_world()
    company = world.add_company("Fabriken AB", "556677-8899")
    world.give_consent(company.database_number)
    url = ground.serve(world.app())
    line = Line(ground.network, refusal, tokens="/token$")
    return FortnoxBed(clock, world, company, url, line, ground.log)
