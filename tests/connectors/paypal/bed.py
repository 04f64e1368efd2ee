"""PayPal for the conformance suite: one merchant with a REST app of its own."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from addon.connectors.http import HttpClient
from addon.connectors.paypal import AppAuthorisation, Credentials, PayPalApi, PayPalSource
from addon.ports.calls import TokenSource
from addon.ports.oauth import Authorisation, Grant
from addon.sandbox.clock import Clock
from addon.sandbox.paypal import PayPalAccount, PayPalWorld, RestApp
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.support.doubles import CallLog

START = datetime(2026, 11, 1, 9, tzinfo=UTC)


def refusal(status: int, words: str) -> bytes:
    """As PayPal words it."""
    if status == 401:
        return json.dumps({"error": "invalid_token", "error_description": words}).encode()
    return json.dumps({"name": "NOT_AUTHORIZED", "message": words, "debug_id": "b1d1f06c7246c"}).encode()


class _Tokens(TokenSource):
    """Tokens that the authorisation renews."""

    def __init__(self, authorisation: Authorisation, grant: Grant) -> None:
        self._authorisation, self._grant = authorisation, grant

    def current(self) -> str:
        return self._grant.access_token

    def renew(self, stale: str) -> str:
        self._grant = self._authorisation.renew(self._grant)
        return self._grant.access_token


@dataclass
class PayPalBed:
    """One merchant at the simulated PayPal."""

    world: PayPalWorld
    account: PayPalAccount
    app: RestApp
    url: str
    line: Line
    log: CallLog
    renews: bool = True
    currency: str = "SEK"
    page_rows: int = 500
    optional: frozenset[str] = frozenset({"disputes"})
    delay: timedelta = timedelta(hours=3)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The app's secret, and every token there ever was."""
        return (self.app.secret, *self.world.tokens)

    def now(self) -> datetime:
        return self.world.clock.now()

    def advance(self, by: timedelta) -> None:
        self.world.clock.advance(by)

    def source(self) -> PayPalSource:
        http = HttpClient("paypal", self.log, transport=self.line, now=self.now)
        authorisation = AppAuthorisation(http, now=self.now, api_url=self.url)
        grant = authorisation.exchange(Credentials(self.app.client_id, self.app.secret).packed(), "")
        return PayPalSource(PayPalApi(http, _Tokens(authorisation, grant), api_url=self.url), now=self.now)

    def sell(self, minor: int, at: datetime | None = None) -> str:
        row = self.account.deposit(minor, at=at)
        return row.id

    def do_business(self) -> None:
        account = self.account
        first = account.sell(49900, "SEK", order="1001")
        account.sell(10000, "EUR")
        lost = account.sell(30000, "SEK")
        account.sell(900, "JPY")
        self.advance(timedelta(days=3))
        account.refund(first.id, 10000)
        account.lose(account.dispute(lost.id).id)
        account.hold(700, "SEK", code="T2103")
        account.purchase(300, "EUR")
        account.withdraw(5000)
        self.advance(timedelta(days=8))

    def revoke(self) -> None:
        self.app.revoked = True
        self.world.tokens.clear()


def make_bed(ground: Ground) -> PayPalBed:
    """A world of its own for one test."""
    world = PayPalWorld(Clock(START))
    account = world.add_account("Exempelbutiken AB")
    line = Line(ground.network, refusal, tokens="/v1/oauth2/token$")
    return PayPalBed(world, account, world.add_app(account), ground.serve(world.app()), line, ground.log)
