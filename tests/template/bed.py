"""The template for the conformance suite: one account, and the connector in front of it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from addon.connectors.http import HttpClient
from addon.sandbox.clock import Clock
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.support.doubles import CallLog, Tokens
from tests.template.payments.client import Client
from tests.template.payments.source import TemplateSource
from tests.template.sandbox import PAGE, TemplateWorld

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def refusal(status: int, words: str) -> bytes:
    """As the provider words it."""
    return json.dumps({"code": "unauthorised", "message": words}).encode()


@dataclass
class TemplateBed:
    """One account at the simulated provider."""

    world: TemplateWorld
    url: str
    line: Line
    log: CallLog
    renews: bool = False
    currency: str = "SEK"
    page_rows: int = PAGE
    optional: frozenset[str] = frozenset()
    delay: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self._key = self.world.key
        self.secrets = (self._key,)

    def now(self) -> datetime:
        return self.world.clock.now()

    def advance(self, by: timedelta) -> None:
        self.world.clock.advance(by)

    def source(self) -> TemplateSource:
        http = HttpClient("template", self.log, transport=self.line, now=self.now)
        return TemplateSource(Client(http, Tokens([self._key]), self.url))

    def sell(self, minor: int, at: datetime | None = None) -> str:
        return self.world.record("payment", minor, at=at, reference="1001")

    def do_business(self) -> None:
        first = self.world.record("payment", 499_00, fee=8_75, reference="1001")
        self.world.record("payment", 100_00, fee=2_50, currency="EUR", reference="1002")
        self.advance(timedelta(days=3))
        self.world.record("refund", -100_00, original=first)
        self.world.record("chargeback", -50_00, original=first)
        self.world.record("fee", -12_50)
        self.world.record("novelty", 1_23)
        self.advance(timedelta(days=5))
        self.world.record("withdrawal", -200_00)

    def revoke(self) -> None:
        self.world.key = "another_key_altogether"


def make_bed(ground: Ground) -> TemplateBed:
    """A world of its own for one test."""
    world = TemplateWorld(Clock(START))
    return TemplateBed(world, ground.serve(world.app()), Line(ground.network, refusal), ground.log)
