"""Stripe for the conformance suite: one merchant who consented by Connect."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from addon.connectors.http import HttpClient
from addon.connectors.stripe import ConnectAccess, ConnectAuthorisation, StripeApi, StripePlatform, StripeSource
from addon.sandbox.clock import Clock
from addon.sandbox.stripe import StripeAccount, StripeWorld
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.support.doubles import CallLog

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def refusal(status: int, words: str) -> bytes:
    """As Stripe words it."""
    code = "permission_missing" if status == 403 else "api_key_expired"
    return json.dumps({"error": {"type": "invalid_request_error", "code": code, "message": words}}).encode()


@dataclass
class StripeBed:
    """One merchant at the simulated Stripe."""

    world: StripeWorld
    account: StripeAccount
    url: str
    line: Line
    log: CallLog
    renews: bool = False
    currency: str = "SEK"
    page_rows: int = 100
    optional: frozenset[str] = frozenset()
    delay: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.world.connect(self.account)
        self.secrets = (self.world.secret_key,)

    def now(self) -> datetime:
        return self.world.clock.now()

    def advance(self, by: timedelta) -> None:
        self.world.clock.advance(by)
        self.account.catch_up()

    def source(self) -> StripeSource:
        http = HttpClient("stripe", self.log, transport=self.line, now=self.now)
        platform = StripePlatform(self.world.client_id, self.world.secret_key, self.url, self.url)
        access = ConnectAccess(self.account.id, self.world.secret_key)
        api = StripeApi(http, access, api_url=self.url)
        return StripeSource(api, now=self.now, authorisation=ConnectAuthorisation(platform, http))

    def sell(self, minor: int, at: datetime | None = None) -> str:
        self.account.charge(minor, "sek", at=at)
        return [row.id for row in self.account.ledger][-1]

    def do_business(self) -> None:
        account = self.account
        first = account.charge(49900, "sek", metadata={"order_id": "1001"})
        foreign = account.charge(10000, "eur", country="DE")
        bounced = account.charge(30000, "sek")
        account.charge(5000, "jpy", country="JP")
        self.advance(timedelta(days=3))
        account.refund(first, 10000)
        account.refund_fails(account.refund(foreign))
        account.bounce(bounced)
        account.stripe_fee(1250, vat=312)
        account.reserve_hold(5000)
        account.adjustment(-123, description="???")
        self.advance(timedelta(days=8))

    def revoke(self) -> None:
        self.world.disconnect(self.account)


def make_bed(ground: Ground) -> StripeBed:
    """A world of its own for one test."""
    world = StripeWorld(Clock(START))
    account = world.add_account("Butiken AB")
    return StripeBed(world, account, ground.serve(world.app()), Line(ground.network, refusal), ground.log)
