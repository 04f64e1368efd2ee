"""The door of the simulated Fortnox: so many calls in five seconds, and the words in which it refuses."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Flask

from addon.sandbox.fortnox.api import register_api
from addon.sandbox.fortnox.pages import register_pages
from addon.sandbox.fortnox.world import Call, FortnoxWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.gate import Answer, Gate, Inner
from addon.sandbox.shared.style import share_style

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_INTERNAL = {"ErrorInformation": {"error": 1, "message": "Internal error", "code": 1000029}}


def build_app(world: FortnoxWorld) -> Flask:
    """The Flask app with the gate in front."""
    app = SandboxApp("addon.sandbox.fortnox", static_url_path="/sandbox-static")
    app.config["MAX_CONTENT_LENGTH"] = 20_000_000
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    register_api(app, world)
    register_pages(app, world)
    share_style(app)
    app.wsgi_app = _Gate(world, app.wsgi_app)  # type: ignore[method-assign]
    return app


class _Gate(Gate):
    server = "Fortnox"

    def __init__(self, world: FortnoxWorld, inner: Inner) -> None:
        super().__init__(world, inner)
        self.world = world

    def counts(self, path: str) -> bool:
        """The interface, and the token endpoints."""
        return _limited(path) or path in ("/oauth-v1/token", "/oauth-v1/revoke")

    def company_of(self, environ: WSGIEnvironment) -> int | None:
        """By the claims in a token."""
        kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        claims = self.world.authority.claims(token) if kind.lower() == "bearer" else None
        return claims.company if claims is not None else None

    def note(self, environ: WSGIEnvironment, company: int | None, at: datetime, status: int) -> None:
        """Write a call down."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.world.calls.append(Call(at, company, method, path, status, environ.get("QUERY_STRING", "")))

    def admit(self, environ: WSGIEnvironment, company: int | None) -> Answer | None:
        """So many calls within a sliding window, per company."""
        if not _limited(environ["PATH_INFO"]) or company is None:
            return None
        return None if self.world.limiter.admits(company, self.world.timer()) else self.too_many(environ, 0)

    def too_many(self, environ: WSGIEnvironment, seconds: float) -> Answer:
        """Without a body, and not always with Retry-After."""
        headers = [("Content-Length", "0"), ("Server", self.server)]
        retry_after = int(seconds) if seconds > 0 else self.world.retry_after()
        if retry_after is not None:
            headers.append(("Retry-After", str(retry_after)))
        return "429 Too Many Requests", headers, b""

    def unauthorised(self) -> Answer:
        """Plainly."""
        return self.plain(401, b'{"message":"unauthorized"}', "application/json")

    def own_fault(self, kind: str) -> Answer | None:
        """Its internal error, which may come before the deed or after it."""
        if not kind.startswith("internal_1000029"):
            return None
        return self.plain(400, json.dumps(_INTERNAL).encode(), "application/json")


def _limited(path: str) -> bool:
    return path.startswith(("/3", "/api/"))
