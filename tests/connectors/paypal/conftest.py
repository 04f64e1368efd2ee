"""A simulated PayPal in place of the network, and our side of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from addon.connectors.http import HttpClient
from addon.connectors.paypal import (
    AppAuthorisation,
    Credentials,
    PartnerAuthorisation,
    PayPalApi,
    PayPalPlatform,
    PayPalSource,
    assertion,
)
from addon.core.records import Movement
from addon.ports.calls import CallRecord
from addon.ports.errors import NeedsReconnect
from addon.ports.oauth import Authorisation, Grant
from addon.ports.payments import Fetched
from addon.sandbox.clock import Clock
from addon.sandbox.paypal import PayPalAccount, PayPalWorld, RestApp

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
URL = "http://127.0.0.1"


class _Transport(httpx.BaseTransport):
    def __init__(self, app: Any) -> None:
        self._inner = httpx.WSGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._inner.handle_request(request)
        except ConnectionError as error:
            raise httpx.ReadError("the connection was closed", request=request) from error


class Calls:
    """Remembers every call it is told of."""

    def __init__(self) -> None:
        self.made: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        self.made.append(call)


class Tokens:
    """Tokens as the services keep them: renewed by the authorisation, one grant after the other."""

    def __init__(self, authorisation: Authorisation, grant: Grant) -> None:
        self.authorisation = authorisation
        self.grant = grant
        self.renewed = 0

    def current(self) -> str:
        return self.grant.access_token

    def renew(self, stale: str) -> str:
        self.renewed += 1
        if self.renewed > 20:
            raise NeedsReconnect("renewed for ever")
        self.grant = self.authorisation.renew(self.grant)
        return self.grant.access_token


@dataclass
class Bed:
    """A world with one merchant who has an app of its own, and the client that reaches it."""

    world: PayPalWorld = field(default_factory=lambda: PayPalWorld(Clock(NOW)))
    calls: Calls = field(default_factory=Calls)

    def __post_init__(self) -> None:
        self.account: PayPalAccount = self.world.add_account("Exempelbutiken AB")
        self.app: RestApp = self.world.add_app(self.account)
        self.http = HttpClient("paypal", self.calls, transport=_Transport(self.world.app()), now=self.now)

    def now(self) -> datetime:
        return self.world.clock.now()

    @property
    def own(self) -> AppAuthorisation:
        return AppAuthorisation(self.http, now=self.now, api_url=URL)

    @property
    def partner(self) -> PartnerAuthorisation:
        platform = PayPalPlatform(self.world.client_id, self.world.client_secret, URL)
        return PartnerAuthorisation(platform, self.http, now=self.now, web_url=URL)

    def pasted(self, app: RestApp | None = None) -> str:
        app = app or self.app
        return Credentials(app.client_id, app.secret).packed()

    def tokens(self) -> Tokens:
        return Tokens(self.own, self.own.exchange(self.pasted(), ""))

    def source(self, tokens: Tokens | None = None, **more: Any) -> PayPalSource:
        return PayPalSource(PayPalApi(self.http, tokens or self.tokens(), api_url=URL), now=self.now, **more)

    def partner_source(self, grant: Grant) -> PayPalSource:
        named = assertion(self.world.client_id, grant.subject)
        api = PayPalApi(self.http, Tokens(self.partner, grant), api_url=URL, assertion=named)
        return PayPalSource(api, now=self.now, account=grant.subject)

    def fetched(
        self,
        since: datetime = NOW - timedelta(days=60),
        until: datetime | None = None,
        source: PayPalSource | None = None,
    ) -> list[Fetched[Movement]]:
        """All pages of a window; bounded, should the list never end."""
        source = source or self.source()
        found: list[Fetched[Movement]] = []
        cursor: str | None = None
        for _ in range(2000):
            page = source.fetch_movements(since, until or self.now(), cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise AssertionError("the list never ends")

    def movements(self, since: datetime = NOW - timedelta(days=60)) -> list[Movement]:
        return [one.value for one in self.fetched(since)]


@pytest.fixture
def bed() -> Bed:
    return Bed()
