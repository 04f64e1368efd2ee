"""The door of the simulated Fortnox: counts calls, limits them, lets faults strike, then asks the interface."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from addon.sandbox.fortnox.api import register_api
from addon.sandbox.fortnox.errors import DroppedConnection
from addon.sandbox.fortnox.faults import ZOMBIE, Fault
from addon.sandbox.fortnox.pages import register_pages
from addon.sandbox.fortnox.world import Call, FortnoxWorld, Zombie
from addon.sandbox.serving import SandboxApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_INTERNAL = {"ErrorInformation": {"error": 1, "message": "Internal error", "code": 1000029}}

Answer = tuple[str, list[tuple[str, str]], bytes]
Inner = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def build_app(world: FortnoxWorld) -> Flask:
    """The Flask app with the gate in front."""
    app = SandboxApp("addon.sandbox.fortnox", static_url_path="/sandbox-static")
    app.config["MAX_CONTENT_LENGTH"] = 20_000_000
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    register_api(app, world)
    register_pages(app, world)
    app.wsgi_app = _Gate(world, app.wsgi_app)  # type: ignore[method-assign]
    return app


class _Gate:
    def __init__(self, world: FortnoxWorld, inner: Inner) -> None:
        self.world = world
        self.inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _counted(environ["PATH_INFO"]):
            return self.inner(environ, start_response)
        world = self.world
        world.run_zombies(only_due=True)
        at = world.clock.now()
        company = self._company(environ)
        try:
            status, headers, body = self._answer(environ, company)
        except DroppedConnection:
            self._log(environ, company, at, 0)
            raise
        self._log(environ, company, at, int(status.split()[0]))
        start_response(status, headers)
        return [body]

    def _log(self, environ: WSGIEnvironment, company: int | None, at: Any, status: int) -> None:
        call = Call(
            at, company, environ["REQUEST_METHOD"], environ["PATH_INFO"], status, environ.get("QUERY_STRING", "")
        )
        self.world.calls.append(call)

    def _company(self, environ: WSGIEnvironment) -> int | None:
        kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        claims = self.world.authority.claims(token) if kind.lower() == "bearer" else None
        return claims.company if claims is not None else None

    def _answer(self, environ: WSGIEnvironment, company: int | None) -> Answer:
        world, path = self.world, environ["PATH_INFO"]
        is_api = path.startswith(("/3", "/api/"))
        if is_api and company is not None and not world.limiter.admits(company, world.timer()):
            return _too_many(world.retry_after())
        afterwards: list[Fault] = []
        for fault in world.faults.striking(environ["REQUEST_METHOD"], path, company):
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
                    seconds = fault.seconds
                    return _too_many(int(seconds) if seconds > 0 else world.retry_after())
                case "unauthorized":
                    return _plain(401, b'{"message":"unauthorized"}', "application/json")
                case "internal_1000029":
                    return _plain(400, json.dumps(_INTERNAL).encode(), "application/json")
                case _:
                    afterwards.append(fault)
        status, headers, body = _run(self.inner, environ)
        for fault in afterwards:
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
                case "internal_1000029_after":
                    return _plain(400, json.dumps(_INTERNAL).encode(), "application/json")
                case "truncated_json":
                    body = body[: len(body) // 2]
                    headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
                    headers.append(("Content-Length", str(len(body))))
        return status, headers, body


def _counted(path: str) -> bool:
    """Pages and their style sheet are neither counted nor struck by faults; the token endpoints are."""
    return path.startswith(("/3", "/api/")) or path in ("/oauth-v1/token", "/oauth-v1/revoke")


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
    reasons = {400: "Bad Request", 401: "Unauthorized", 500: "Internal Server Error", 502: "Bad Gateway"}
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Server", "Fortnox")]
    return f"{status} {reasons[status]}", headers, body


def _too_many(retry_after: int | None) -> Answer:
    headers = [("Content-Length", "0"), ("Server", "Fortnox")]
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    return "429 Too Many Requests", headers, b""


def carry_out(world: FortnoxWorld, zombie: Zombie) -> int:
    """Do what a request asked for whose connection is long gone; the status nobody reads."""
    gate = world.app().wsgi_app
    inner = gate.inner if isinstance(gate, _Gate) else gate
    environ = {**zombie.environ, "wsgi.input": io.BytesIO(zombie.body), ZOMBIE: True}
    for key in [key for key in environ if key.startswith(("werkzeug.", "flask."))]:
        del environ[key]
    status, _, _ = _run(inner, environ)
    return int(status.split()[0])
