"""A simulated Stripe on a loopback port, and our side of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from addon.connectors.http import DeadlineTransport, HttpClient
from addon.connectors.stripe import (
    ConnectAccess,
    ConnectAuthorisation,
    StripeAccess,
    StripeApi,
    StripePlatform,
    StripeSource,
)
from addon.ports.calls import CallRecord
from addon.sandbox.clock import Clock
from addon.sandbox.serving import serve_threaded
from addon.sandbox.stripe import StripeAccount, StripeWorld

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


class Calls:
    """Remembers every call it is told of."""

    def __init__(self) -> None:
        self.made: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        self.made.append(call)


Serve = Callable[[WSGIApplication], str]


class _Stage:
    """A port that answers with whatever app is on."""

    def __init__(self) -> None:
        self.app: WSGIApplication | None = None
        self.server = serve_threaded(self._answer)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert self.app is not None
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def stages() -> Iterator[list[_Stage]]:
    """The ports opened so far, for the tests of a process to take turns on."""
    opened: list[_Stage] = []
    yield opened
    for stage in opened:
        stage.server.shutdown()


@pytest.fixture
def serve(stages: list[_Stage]) -> Iterator[Serve]:
    """Serve an app on a loopback port of its own for one test; gives its address."""
    taken: list[_Stage] = []

    def start(app: WSGIApplication) -> str:
        if len(taken) == len(stages):
            stages.append(_Stage())
        stage = stages[len(taken)]
        stage.app = app
        taken.append(stage)
        return stage.server.url

    yield start
    for stage in taken:
        stage.app = None


@pytest.fixture(scope="session")
def transport() -> Iterator[DeadlineTransport]:
    """One pool of connections for all tests: making its TLS context takes longer than a test."""
    pool = DeadlineTransport()
    yield pool
    pool.close()


@dataclass
class Bed:
    """A world with one merchant, and the client that reaches it."""

    world: StripeWorld
    account: StripeAccount
    url: str
    transport: DeadlineTransport
    calls: Calls = field(default_factory=Calls)

    def __post_init__(self) -> None:
        self.http = self.client(5.0)

    def client(self, deadline_s: float) -> HttpClient:
        return HttpClient("stripe", self.calls, transport=self.transport, deadline_s=deadline_s)

    @property
    def platform(self) -> StripePlatform:
        return StripePlatform(self.world.client_id, self.world.secret_key, self.url, self.url)

    @property
    def app_platform(self) -> StripePlatform:
        return StripePlatform(self.world.app_client_id, self.world.app_secret_key, self.url, self.url)

    def now(self) -> datetime:
        return self.world.clock.now()

    def connected(self) -> ConnectAccess:
        self.world.connect(self.account)
        return ConnectAccess(self.account.id, self.world.secret_key)

    def source(self, access: StripeAccess | None = None) -> StripeSource:
        return StripeSource(
            StripeApi(self.http, access or self.connected(), api_url=self.url),
            now=self.now,
            authorisation=ConnectAuthorisation(self.platform, self.http),
        )


@pytest.fixture
def bed(serve: Serve, transport: DeadlineTransport) -> Iterator[Bed]:
    world = StripeWorld(Clock(START))
    account = world.add_account("Butiken AB")
    yield Bed(world, account, serve(world.app()), transport)
    world.faults.clear()
