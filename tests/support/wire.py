"""The way to the simulated outside without a network, and all that may go wrong on it.

Faults are dealt: of the writes that a rule matches, each *different* one (method, address and body) is struck once,
by the next fault of the list. What is asked again, word for word, goes through.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx

from addon.connectors.http import DeadlineTransport
from addon.sandbox.server import RunningWorld
from tests.support.in_process import InProcess
from tests.support.turned import TurnedTime

LATER_S: Final = 300
"""When a request that was given up is carried out all the same: within the quarantine."""
HTML: Final = b"<html><head><title>Just a moment</title></head><body>We are checking your browser.</body></html>"
INTERNAL: Final = b'{"ErrorInformation": {"error": 1, "message": "Internal error", "code": 1000029}}'


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one request. `done`: whether it was carried out nevertheless."""

    name: str
    title: str
    done: bool


FAULTS: Final = (
    Fault("refused", "connection refused", False),
    Fault("timeout", "time-out, never arrived", False),
    Fault("timeout_done", "time-out, written", True),
    Fault("closed_done", "connection closed, written", True),
    Fault("late", "time-out, written five minutes later", True),
    Fault("500", "500, not written", False),
    Fault("500_done", "500, written", True),
    Fault("502", "502 with HTML, not written", False),
    Fault("502_done", "502 with HTML, written", True),
    Fault("html", "200 with HTML, not written", False),
    Fault("html_done", "200 with HTML, written", True),
    Fault("429_told", "429 with Retry-After", False),
    Fault("429", "429 without", False),
    Fault("401", "401 in the middle", False),
    Fault("truncated_done", "JSON cut off, written", True),
    Fault("1000029", "400 code 1000029, not written", False),
    Fault("1000029_done", "400 code 1000029, written", True),
    Fault("drip_done", "answer drips, written", True),
)


SHADOW: Final = Fault("shadow", "no answer, written right after the second request", True)
"""What leaves a copy behind: their server takes up the first request when it has answered the second."""


@dataclass(slots=True)
class Struck:
    """One write that was struck, and what came of asking again: the statuses of later requests word for word alike."""

    line: str
    fault: Fault
    later: list[int] = field(default_factory=list)
    shadow: httpx.Request | None = None


@dataclass(slots=True)
class Rule:
    """Which writes are struck: an expression for "METHOD /path", and a test of the body."""

    name: str
    match: str
    body: Callable[[bytes], bool] = lambda body: True
    faults: Sequence[Fault] = FAULTS
    struck: dict[str, Struck] = field(default_factory=dict)

    def covers(self, line: str, body: bytes) -> bool:
        return re.search(self.match, line) is not None and self.body(body)


@dataclass(slots=True)
class _Late:
    due_at: datetime
    request: httpx.Request


class _Drip(httpx.SyncByteStream):
    """An answer of which a byte comes every ten seconds, for the thread that waits for it."""

    def __init__(self, content: bytes, hours: TurnedTime) -> None:
        self._content, self._hours = content, hours

    def __iter__(self) -> Iterator[bytes]:
        for byte in self._content:
            self._hours.wait_here(10)
            yield bytes([byte])

    def close(self) -> None:
        self._hours.arrive()


class Wire(httpx.BaseTransport):
    """Takes requests to the apps of a world in this process, and deals faults to those of the accounting system."""

    def __init__(self, running: RunningWorld, hours: TurnedTime, struck: str = "fortnox") -> None:
        world = running.world
        self._hours = hours
        ports = {name: httpx.URL(getattr(running.urls, name)).port for name in ("fortnox", "economic", "stripe")}
        self._struck = ports[struck]
        self._apps = {
            ports["fortnox"]: InProcess(world.fortnox.app()),
            ports["economic"]: InProcess(world.economic.app()),
            ports["stripe"]: InProcess(world.stripe.app()),
        }
        self._network = DeadlineTransport()
        self._lock = threading.Lock()
        self._late: list[_Late] = []
        self.rules: list[Rule] = []
        self.watch: Callable[[str, bytes], None] = lambda line, body: None
        """Is told of every request to the books before it is carried out: a place for somebody in between."""

    def strike(
        self,
        name: str,
        match: str,
        body: Callable[[bytes], bool] = lambda body: True,
        faults: Sequence[Fault] = FAULTS,
    ) -> Rule:
        """Let each different write that matches be struck once, until all faults are dealt."""
        rule = Rule(name, match, body, faults)
        self.rules.append(rule)
        return rule

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        app = self._apps.get(request.url.port)
        if app is None:
            return self._network.handle_request(request)
        if request.url.port != self._struck:
            return self._answered(app, request)
        self.wake()
        body = request.read()
        line = f"{request.method} {request.url.path}"
        self.watch(line, body)
        entry, fresh = self._dealt(line, request.url.query, body)
        if entry is None:
            return self._answered(app, request)
        if fresh:
            return self._strike(entry, app, request)
        answer = self._answered(app, request)
        entry.later.append(answer.status_code)
        if entry.shadow is not None:
            shadow, entry.shadow = entry.shadow, None
            self._answered(app, shadow)
        return answer

    def _dealt(self, line: str, query: bytes, body: bytes) -> tuple[Struck | None, bool]:
        rule = next((rule for rule in self.rules if rule.covers(line, body)), None)
        if rule is None:
            return None, False
        alike = hashlib.sha256(b"\0".join((line.encode(), query, body))).hexdigest()
        with self._lock:
            if alike in rule.struck:
                return rule.struck[alike], False
            if len(rule.struck) >= len(rule.faults):
                return None, False
            rule.struck[alike] = Struck(line, rule.faults[len(rule.struck)])
            return rule.struck[alike], True

    def wake(self, *, now: bool = False) -> int:
        """Carry out what was held and is due (or all of it); how many."""
        with self._lock:
            at = self._hours.clock.now()
            due = [one for one in self._late if now or one.due_at <= at]
            self._late = [one for one in self._late if one not in due]
        for one in due:
            self._answered(self._apps[self._struck], one.request)
        return len(due)

    def hold(self, request: httpx.Request, seconds: float) -> None:
        """Let a request be carried out later."""
        with self._lock:
            self._late.append(_Late(self._hours.clock.now() + timedelta(seconds=seconds), request))

    @staticmethod
    def _answered(app: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
        answer = app.handle_request(request)
        content = answer.read()
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-length"]
        return httpx.Response(answer.status_code, headers=headers, content=content)

    def _strike(self, entry: Struck, app: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
        fault = entry.fault
        if fault is SHADOW:
            entry.shadow = request
            raise httpx.ReadTimeout("no answer", request=request)
        if fault.name == "late":
            self.hold(request, LATER_S)
            raise httpx.ReadTimeout("no answer", request=request)
        answer = self._answered(app, request) if fault.done else httpx.Response(500)
        if fault.done:
            assert answer.status_code < 300, (request.url.path, answer.status_code, answer.content)
        match fault.name.removesuffix("_done"):
            case "refused":
                raise httpx.ConnectError("refused", request=request)
            case "timeout":
                raise httpx.ReadTimeout("no answer", request=request)
            case "closed":
                raise httpx.RemoteProtocolError("closed without an answer", request=request)
            case "500":
                return _plain(500, b"Internal Server Error", "text/plain")
            case "502":
                return _plain(502, HTML, "text/html")
            case "html":
                return _plain(200, HTML, "text/html")
            case "429":
                return _plain(429, b"", "text/plain")
            case "429_told":
                return _plain(429, b"", "text/plain", ("Retry-After", "5"))
            case "401":
                return _plain(401, b'{"message":"unauthorized"}', "application/json")
            case "truncated":
                # Nothing at all is cut off as well: an answer without content is none to what makes something.
                return _plain(answer.status_code, answer.content[: len(answer.content) // 2], "application/json")
            case "1000029":
                return _plain(400, INTERNAL, "application/json")
            case "drip":
                return httpx.Response(answer.status_code, stream=_Drip(answer.content, self._hours))
            case name:
                raise AssertionError(name)

    def close(self) -> None:
        self._network.close()


def _plain(status: int, content: bytes, kind: str, *headers: tuple[str, str]) -> httpx.Response:
    return httpx.Response(status, headers=[("Content-Type", kind), *headers], content=content)


def put_between(services: Any, wire: Wire) -> None:
    """Let all that the services ask of the outside go by this wire."""
    services.outside.__dict__["_transport"] = wire
