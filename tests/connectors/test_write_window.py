"""No write is begun that may outlive its lease, however long it has waited for its turn or for a token."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from addon.connectors.fortnox import client as client_module
from addon.connectors.fortnox.client import FortnoxClient
from addon.connectors.http import HttpClient
from addon.ports.calls import Lane, allow_writes_until, write_is_late, writes_until
from addon.ports.errors import OutcomeUnknown, TryLater
from tests.connectors.fortnox.conftest import API


class Hours:
    """A clock that tests turn, where the client's is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class SlowTokens:
    """Tokens whose renewal takes its time."""

    def __init__(self, hours: Hours, renewal_s: float) -> None:
        self.hours, self.renewal_s, self.renewals = hours, renewal_s, 0

    def current(self) -> str:
        return "old"

    def renew(self, stale: str) -> str:
        self.renewals += 1
        self.hours.now += self.renewal_s
        return "new"


class SlowPace:
    """A queue for every call."""

    def __init__(self, hours: Hours, wait_s: float) -> None:
        self.hours, self.wait_s = hours, wait_s

    def wait(self, lane: Lane) -> None:
        self.hours.now += self.wait_s

    def refused(self, retry_after_s: int | None) -> None:
        """Nobody is refused here."""


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    made = Hours()
    monkeypatch.setattr(client_module, "time", made)
    return made


def calling(hours: Hours, wait_s: float, renewal_s: float) -> tuple[FortnoxClient, list[tuple[str, float]]]:
    """A client, and what left: the token of each request and the time that it was given, in seconds."""
    left: list[tuple[str, float]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        left.append((request.headers["Authorization"].split()[1], request.extensions["timeout"]["read"]))
        return httpx.Response(401 if "old" in request.headers["Authorization"] else 200, json={})

    http = HttpClient("fortnox", transport=httpx.MockTransport(handle), deadline_s=60)
    return FortnoxClient(http, API, SlowTokens(hours, renewal_s), SlowPace(hours, wait_s)), left


def test_waiting_for_a_turn_and_for_a_token_takes_of_the_same_minute(hours: Hours) -> None:
    client, left = calling(hours, wait_s=10, renewal_s=15)
    client.send("POST", "vouchers", {})
    assert left == [("old", 50.0), ("new", 25.0)]


def test_a_write_whose_turn_comes_too_late_is_not_sent(hours: Hours) -> None:
    client, left = calling(hours, wait_s=1, renewal_s=50)
    with pytest.raises(TryLater):
        client.send("POST", "vouchers", {})
    assert [token for token, _ in left] == ["old"], "refused for want of a token, so nothing was written"
    client, left = calling(hours, wait_s=1, renewal_s=50)
    client.get("vouchers")
    assert left == [("old", 60.0), ("new", 60.0)], "a question does no harm however late it comes"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_no_call_of_any_connector_writes_after_its_time(method: str) -> None:
    calls: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(200, json={})

    http = HttpClient("anyone", transport=httpx.MockTransport(handle))
    now = time.monotonic()
    with writes_until(now - 1):
        with pytest.raises(TryLater):
            http.request(method, f"{API}/x")
        http.request("GET", f"{API}/x")
        with writes_until(now + 100):
            http.request(method, f"{API}/x")
        assert write_is_late(now)
    http.request(method, f"{API}/x")
    assert calls == ["GET", method, method]


def test_what_a_thread_may_write_ends_with_its_slice() -> None:
    allow_writes_until(1.0)
    assert write_is_late(1.5)
    allow_writes_until(None)
    assert not write_is_late(1e9)


def answering(answer: Callable[[], Any]) -> FortnoxClient:
    http = HttpClient("fortnox", transport=httpx.MockTransport(lambda request: answer()))
    return FortnoxClient(http, API, SlowTokens(Hours(), 0), SlowPace(Hours(), 0))


def test_mailing_is_a_write_though_it_is_a_get() -> None:
    """A refusal to take the call at all happened to nobody; everything else may have gone out."""
    with pytest.raises(TryLater):
        answering(lambda: httpx.Response(429)).act("invoices/1/email")
    for answer in (httpx.Response(500), httpx.Response(502, content=b"<html>"), httpx.Response(200, content=b"{")):
        with pytest.raises(OutcomeUnknown):
            answering(lambda answer=answer: answer).act("invoices/1/email")
