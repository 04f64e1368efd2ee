"""Failing on demand: what a network and a far-away server can do to a call."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Kind = Literal[
    "lost_before",
    "lost_after",
    "timeout",
    "timeout_before",
    "error_500",
    "html_500",
    "rate_limited",
    "revoked",
    "truncated_json",
    "slow",
]
KINDS: tuple[str, ...] = get_args(Kind)

HTML_PAGE = b"<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"


class ConnectionLost(ConnectionAbortedError):
    """The connection ends without an answer: under a server the socket closes, in process this is raised."""


@dataclass(slots=True)
class Fault:
    """One way to fail, for the calls whose `METHOD path` matches a regular expression.

    The first `after` matching calls go well, then `times` calls fail (None: for ever). `lost_before` never
    reaches the server's books, `lost_after` is lost on the way back; `timeout` does the work and keeps silent
    for `seconds`, `timeout_before` keeps silent without doing it; `slow` answers after `seconds`.
    """

    kind: Kind
    match: str = ".*"
    times: int | None = 1
    after: int = 0
    seconds: float = 30.0
    hits: int = 0
    seen: int = 0


@dataclass(slots=True)
class Faults:
    """The faults set on a world, first match first, and what came of them."""

    active: list[Fault] = field(default_factory=list)
    struck: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: threading.Event = field(default_factory=threading.Event)

    def add(self, fault: Fault) -> Fault:
        """Set a fault; raises ValueError for an unknown kind."""
        if fault.kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {fault.kind}")
        re.compile(fault.match)
        with self._lock:
            self._released.clear()
            self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults and let go of every call that is being kept waiting."""
        with self._lock:
            self.active.clear()
            self._released.set()

    def strike(self, call: str) -> Fault | None:
        """The fault that this call (`METHOD path`) meets, if any; counts it."""
        with self._lock:
            for fault in self.active:
                if not re.search(fault.match, call):
                    continue
                fault.seen += 1
                if fault.seen <= fault.after or (fault.times is not None and fault.hits >= fault.times):
                    continue
                fault.hits += 1
                self.struck.append((fault.kind, call))
                return fault
        return None

    def wait(self, seconds: float) -> None:
        """Keep a caller waiting, but never beyond `clear`."""
        self._released.wait(seconds)


Answer = tuple[str, list[tuple[str, str]], bytes]
"""An answer that is made up: status line, headers, body."""


def _error(status: str, kind: str, message: str, code: str | None = None) -> Answer:
    error = {"type": kind, "message": message} | ({"code": code} if code else {})
    return status, [("Content-Type", "application/json")], json.dumps({"error": error}).encode()


def _canned(fault: Fault) -> Answer | None:
    match fault.kind:
        case "error_500":
            return _error("500 Internal Server Error", "api_error", "An unknown error occurred.")
        case "html_500":
            return "502 Bad Gateway", [("Content-Type", "text/html")], HTML_PAGE
        case "rate_limited":
            status, headers, body = _error(
                "429 Too Many Requests", "invalid_request_error", "Request rate limit exceeded.", "rate_limit"
            )
            return (
                status,
                [*headers, ("Stripe-Rate-Limited-Reason", "global-rate"), ("Retry-After", "1")],
                body,
            )
        case "revoked":
            return _error(
                "401 Unauthorized",
                "invalid_request_error",
                "Expired API Key provided: sk_live_****",
                "api_key_expired",
            )
        case _:
            return None


def _collect(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    status = "500 Internal Server Error"
    headers: list[tuple[str, str]] = []

    def start_response(
        answer_status: str, answer_headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = answer_status, list(answer_headers)
        return lambda data: None

    body = app(environ, start_response)
    try:
        return status, headers, b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


class FaultyApp:
    """WSGI middleware that lets the faults strike; `canned` says how this company words a failure."""

    def __init__(
        self, app: WSGIApplication, faults: Faults, canned: Callable[[Fault], Answer | None] = _canned
    ) -> None:
        self._app = app
        self._faults = faults
        self._canned = canned

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a call, or fail it as the first matching fault says; ConnectionLost where no answer comes."""
        fault = self._faults.strike(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}")
        if fault is None:
            return self._app(environ, start_response)
        answer = self._canned(fault) or self._behave(fault, environ)
        status, headers, body = answer
        length = [header for header in headers if header[0].lower() != "content-length"]
        start_response(status, [*length, ("Content-Length", str(len(body)))])
        return [body]

    def _behave(self, fault: Fault, environ: WSGIEnvironment) -> Answer:
        if fault.kind == "lost_before":
            raise ConnectionLost("the connection was lost before the call arrived")
        if fault.kind == "timeout_before":
            self._faults.wait(fault.seconds)
            raise ConnectionLost("no answer came")
        if fault.kind == "slow":
            self._faults.wait(fault.seconds)
            return _collect(self._app, environ)
        status, headers, body = _collect(self._app, environ)
        if fault.kind == "truncated_json":
            return status, headers, body[: max(1, len(body) // 2)]
        if fault.kind == "timeout":
            self._faults.wait(fault.seconds)
        raise ConnectionLost("the connection was lost before the answer arrived")
