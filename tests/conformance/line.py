"""The line between a connector and its sandbox, over real sockets, and everything that may go wrong on it."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater

HTML: Final = b"<html><head><title>Just a moment</title></head><body>We are checking your browser.</body></html>"
RETRY_AFTER_S: Final = 7

Kinds = tuple[type[PortError], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one call: what it is to a question, and to a write.

    `done`: the other side carried the call out nevertheless.
    """

    name: str
    to_a_question: Kinds
    to_a_write: Kinds
    done: bool = False


_DOUBT: Final = (OutcomeUnknown,)
_LATER: Final = (TryLater,)
_PERSON: Final = (NeedsReconnect, Rejected)

FAULTS: Final = (
    Fault("refused", _LATER, _LATER),
    Fault("timed out", _LATER, _DOUBT),
    Fault("timed out, done", _LATER, _DOUBT, done=True),
    Fault("hung up, done", _LATER, _DOUBT, done=True),
    Fault("429 with Retry-After", _LATER, _LATER),
    Fault("429", _LATER, _LATER),
    Fault("500", _LATER, _DOUBT),
    Fault("500, done", _LATER, _DOUBT, done=True),
    Fault("503 with a page for people", _LATER, _DOUBT),
    Fault("200 with a page for people", (TryLater, BadReply), _DOUBT),
    Fault("200 with a page for people, done", (TryLater, BadReply), _DOUBT, done=True),
    Fault("403 with a page for people", (TryLater, BadReply), _DOUBT),
    Fault("cut off, done", (BadReply,), _DOUBT, done=True),
    Fault("401", (NeedsReconnect,), (NeedsReconnect,)),
    Fault("403", _PERSON, _PERSON),
)
"""Every class of error that the port names, with each way to it."""


def fault(name: str) -> Fault:
    """The fault of this name."""
    return next(one for one in FAULTS if one.name == name)


Refusals = Callable[[int, str], bytes]
"""The body of a refusal in the other side's own words: for a status, with a text inside."""


@dataclass(slots=True)
class _Rule:
    fault: Fault
    writes: bool
    each_once: bool
    again: bool = False
    """Whether the next call of the same kind is struck as well, as long as the rule stands."""


@dataclass(slots=True)
class Line(httpx.BaseTransport):
    """Carries calls to the sandbox; strikes those it is told to.

    `tokens` is an expression for addresses at which tokens are given out: they are no writes, and are not struck.
    `asks` is one for addresses whose questions are written into a body.
    """

    network: httpx.BaseTransport
    refusals: Refusals = lambda status, words: b""
    tokens: str = "^$"
    asks: str = "^$"
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)
    """For how long, in seconds, each call is waited for."""
    struck: list[str] = field(default_factory=list)
    text: str = "No."
    _rule: _Rule | None = None
    _known: set[str] = field(default_factory=set)

    def strike_question(self, fault: Fault, *, always: bool = False) -> None:
        """Let the next question go wrong; `always`: and all after it, until `calm`."""
        self._rule = _Rule(fault, False, False, always)

    def strike_each_write(self, fault: Fault) -> None:
        """Let each different write go wrong once; the same again, word for word, goes through."""
        self._rule = _Rule(fault, True, True, True)

    def strike_write(self, fault: Fault) -> None:
        """Let the next write go wrong."""
        self._rule = _Rule(fault, True, False)

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._rule = None
        self._known.clear()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one call."""
        line = f"{request.method} {request.url.path}"
        self.calls.append(line)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.patience.append(request.extensions["timeout"]["read"])
        rule = self._rule
        if rule is None or not self._concerns(rule, request):
            return self.network.handle_request(request)
        self.struck.append(line)
        if not rule.again:
            self._rule = None
        return self._strike(rule.fault, request)

    def _concerns(self, rule: _Rule, request: httpx.Request) -> bool:
        writes = request.method != "GET" and not re.search(self.asks, request.url.path)
        if re.search(self.tokens, request.url.path) or writes != rule.writes:
            return False
        if not rule.each_once:
            return True
        alike = hashlib.sha256(f"{request.method} {request.url} ".encode() + request.read()).hexdigest()
        fresh = alike not in self._known
        self._known.add(alike)
        return fresh

    def _strike(self, fault: Fault, request: httpx.Request) -> httpx.Response:
        status, content = 200, b""
        if fault.done:
            answer = self.network.handle_request(request)
            content = answer.read()
            answer.close()
            status = answer.status_code
            assert status < 300, (request.method, request.url.path, status, content)
        match fault.name.removesuffix(", done"):
            case "refused":
                raise httpx.ConnectError("refused", request=request)
            case "timed out":
                raise httpx.ReadTimeout("no answer", request=request)
            case "hung up":
                raise httpx.RemoteProtocolError("closed without an answer", request=request)
            case "429 with Retry-After":
                return _answer(429, b"", "text/plain", ("Retry-After", str(RETRY_AFTER_S)))
            case "429":
                return _answer(429, b"", "text/plain")
            case "500":
                return _answer(500, b"Internal Server Error", "text/plain")
            case "503 with a page for people":
                return _answer(503, HTML, "text/html")
            case "200 with a page for people":
                return _answer(200, HTML, "text/html")
            case "403 with a page for people":
                return _answer(403, HTML, "text/html")
            case "cut off":
                return _answer(status, content[: len(content) // 2], "application/json")
            case "401" | "403" as word:
                return _answer(int(word), self.refusals(int(word), self.text), "application/json")
            case name:
                raise AssertionError(name)

    def close(self) -> None:
        """The network is shared and stays."""


def _answer(status: int, content: bytes, kind: str, *headers: tuple[str, str]) -> httpx.Response:
    return httpx.Response(status, headers=[("Content-Type", kind), *headers], content=content)
