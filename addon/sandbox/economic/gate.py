"""The door of the simulated e-conomic: counts calls, empties the bucket, lets faults strike, then asks the hosts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from flask import Flask

from addon.sandbox.economic import errors
from addon.sandbox.economic.errors import DroppedConnection
from addon.sandbox.economic.faults import Fault
from addon.sandbox.economic.legacy_api import register_legacy
from addon.sandbox.economic.pages import register_pages
from addon.sandbox.economic.services_api import register_services
from addon.sandbox.economic.wire import dump
from addon.sandbox.economic.world import Call, EconomicWorld, Zombie
from addon.sandbox.serving import SandboxApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_REASONS = {400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}
_REASONS |= {500: "Internal Server Error", 502: "Bad Gateway"}

Answer = tuple[str, list[tuple[str, str]], bytes]
Inner = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def build_app(world: EconomicWorld) -> Flask:
    """The Flask app with the gate in front."""
    app = SandboxApp("addon.sandbox.economic", static_url_path="/sandbox-static")
    app.config["MAX_CONTENT_LENGTH"] = 20_000_000
    register_legacy(app, world)
    register_services(app, world)
    register_pages(app, world)
    app.wsgi_app = _Gate(world, app.wsgi_app)  # type: ignore[method-assign]
    return app


def cost_of(method: str, path: str) -> int:
    """What a call costs: the real prices are not published; one thing 1, a write 2, a list 3."""
    if method != "GET":
        return 2
    return 1 if path.rstrip("/").rpartition("/")[2].isdigit() else 3


class _Gate:
    def __init__(self, world: EconomicWorld, inner: Inner) -> None:
        self.world = world
        self.inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(("/rest", "/apis")):
            return self.inner(environ, start_response)
        world = self.world
        world.run_zombies(only_due=True)
        at = world.clock.now()
        grant = world.grants.get(environ.get("HTTP_X_AGREEMENTGRANTTOKEN", ""))
        company = grant.agreement if grant is not None else None
        cost = cost_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        try:
            status, headers, body = self._answer(environ, company, cost)
        except DroppedConnection:
            self._log(environ, company, at, 0, cost)
            raise
        self._log(environ, company, at, int(status.split()[0]), cost)
        start_response(status, headers)
        return [body]

    def _log(self, environ: WSGIEnvironment, company: int | None, at: Any, status: int, cost: int) -> None:
        query = environ.get("QUERY_STRING", "")
        call = Call(at, company, environ["REQUEST_METHOD"], environ["PATH_INFO"], status, query, cost)
        self.world.calls.append(call)

    def _answer(self, environ: WSGIEnvironment, company: int | None, cost: int) -> Answer:
        world, used = self.world, 0
        if company is not None:
            with world.lock:
                admitted, used = world.charge(company, cost)
            if not admitted:
                return self._metered(self._too_many(environ, 5), cost, used)
        return self._metered(self._struck(environ, company), cost, used)

    def _metered(self, answer: Answer, cost: int, used: int) -> Answer:
        world, (status, headers, body) = self.world, answer
        limit, window = world.cost_limit or 10_000, round(world.window_s)
        metered = [
            ("X-CallCost", str(cost)),
            ("X-RateLimiting", f"token-limit-{limit}-per-{window}-seconds: {used}/{limit}"),
        ]
        return status, headers + metered, body

    def _struck(self, environ: WSGIEnvironment, company: int | None) -> Answer:
        afterwards: list[Fault] = []
        for fault in self.world.faults.striking(environ["REQUEST_METHOD"], environ["PATH_INFO"], company):
            early = self._before(fault, environ)
            if early is not None:
                return early
            if fault.kind not in ("slow", "call"):
                afterwards.append(fault)
        answer = _run(self.inner, environ)
        for fault in afterwards:
            answer = _after(fault, answer)
        return answer

    def _before(self, fault: Fault, environ: WSGIEnvironment) -> Answer | None:
        world = self.world
        match fault.kind:
            case "slow":
                world.sleep(fault.seconds)
            case "call":
                if fault.action is not None:
                    fault.action()
            case "lost_before":
                raise DroppedConnection("the connection was closed")
            case "timeout_before":
                world.sleep(fault.seconds)
                raise DroppedConnection("the connection was closed after a while")
            case "zombie":
                world.keep_zombie(environ, _body(environ), fault.seconds)
                raise DroppedConnection("the connection was closed")
            case "error_500_before":
                return _plain(500, b"Internal Server Error", "text/plain")
            case "html_502_before":
                return _plain(502, _HTML_502, "text/html")
            case "rate_limited":
                return self._too_many(environ, int(fault.seconds))
            case "unauthorized":
                body = errors.legacy("Authentication failed.", 401, "2026-01-01T00:00:00").body
                return _plain(401, dump(body).encode(), "application/json")
        return None

    def _too_many(self, environ: WSGIEnvironment, seconds: int) -> Answer:
        world, at = self.world, self.world.clock.now()
        legacy = environ["PATH_INFO"].startswith("/rest")
        text = at.strftime("%Y-%m-%dT%H:%M:%S")
        if legacy and world.switches.legacy_limit_body == "empty":
            status, headers, body = _plain(429, b"", "text/plain")
        elif legacy:
            shown = errors.legacy("Too many requests.", 429, text, developerHint="Slow down.")
            status, headers, body = _plain(429, dump(shown.body).encode(), "application/json")
        else:
            shown = errors.problem(429, "Too many requests", "TooManyRequests", text)
            status, headers, body = _plain(429, dump(shown.body).encode(), "application/problem+json")
        if seconds > 0:
            later = format_datetime(at + timedelta(seconds=seconds), usegmt=True)
            headers.append(("Retry-After", later if world.switches.retry_after_is_date else str(seconds)))
        return status, headers, body


def _after(fault: Fault, answer: Answer) -> Answer:
    status, headers, body = answer
    match fault.kind:
        case "call_after":
            if fault.action is not None:
                fault.action()
        case "lost_after":
            raise DroppedConnection("the connection was closed before the answer")
        case "error_500_after":
            return _plain(500, b"Internal Server Error", "text/plain")
        case "html_502_after":
            return _plain(502, _HTML_502, "text/html")
        case "truncated_json":
            body = body[: len(body) // 2]
            headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
    return status, headers, body


def _body(environ: WSGIEnvironment) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    return environ["wsgi.input"].read(int(length)) if int(length) else b""


def _run(inner: Inner, environ: WSGIEnvironment) -> Answer:
    """Call a WSGI app to the end."""
    kept: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        kept.append((status, headers))
        return chunks.append

    result = inner(environ, start_response)
    try:
        chunks.extend(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    status, headers = kept[-1]
    return status, headers, b"".join(chunks)


def _plain(status: int, body: bytes, content_type: str) -> Answer:
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return f"{status} {_REASONS[status]}", headers, body


def carry_out(world: EconomicWorld, zombie: Zombie) -> int:
    """Do what a request asked for whose connection is long gone; the status nobody reads."""
    gate = world.app().wsgi_app
    inner = gate.inner if isinstance(gate, _Gate) else gate
    environ = {**zombie.environ, "wsgi.input": io.BytesIO(zombie.body)}
    for key in [key for key in environ if key.startswith(("werkzeug.", "flask."))]:
        del environ[key]
    status, _, _ = _run(inner, environ)
    return int(status.split()[0])
