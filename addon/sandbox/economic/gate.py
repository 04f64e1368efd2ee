"""The door of the simulated e-conomic: a bucket of cost for both hosts, and the words in which each refuses."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from flask import Flask

from addon.sandbox.economic import errors
from addon.sandbox.economic.legacy_api import register_legacy
from addon.sandbox.economic.pages import register_pages
from addon.sandbox.economic.services_api import register_services
from addon.sandbox.economic.wire import dump
from addon.sandbox.economic.world import Call, EconomicWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.gate import Answer, Gate, Inner
from addon.sandbox.shared.style import share_style

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_RETRY_S = 5
_USED = "kvitt.sandbox.cost_used"
"""How much of the bucket is used after this call, as its answer tells."""


def build_app(world: EconomicWorld) -> Flask:
    """The Flask app with the gate in front."""
    app = SandboxApp("addon.sandbox.economic", static_url_path="/sandbox-static")
    app.config["MAX_CONTENT_LENGTH"] = 20_000_000
    register_legacy(app, world)
    register_services(app, world)
    register_pages(app, world)
    share_style(app)
    app.wsgi_app = _Gate(world, app.wsgi_app)  # type: ignore[method-assign]
    return app


def cost_of(method: str, path: str) -> int:
    """What a call costs: the real prices are not published; one thing 1, a write 2, a list 3."""
    if method != "GET":
        return 2
    return 1 if path.rstrip("/").rpartition("/")[2].isdigit() else 3


def _cost(environ: WSGIEnvironment) -> int:
    return cost_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])


class _Gate(Gate):
    def __init__(self, world: EconomicWorld, inner: Inner) -> None:
        super().__init__(world, inner)
        self.world = world

    def counts(self, path: str) -> bool:
        """Both hosts."""
        return path.startswith(("/rest", "/apis"))

    def company_of(self, environ: WSGIEnvironment) -> int | None:
        """By its grant."""
        grant = self.world.grants.get(environ.get("HTTP_X_AGREEMENTGRANTTOKEN", ""))
        return grant.agreement if grant is not None else None

    def note(self, environ: WSGIEnvironment, company: int | None, at: datetime, status: int) -> None:
        """Write a call down, with its cost."""
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        self.world.calls.append(Call(at, company, method, path, status, query, _cost(environ)))

    def admit(self, environ: WSGIEnvironment, company: int | None) -> Answer | None:
        """Within the bucket, which fills up again by and by."""
        if company is None:
            return None
        with self.world.lock:
            admitted, environ[_USED] = self.world.charge(company, _cost(environ))
        return None if admitted else self.too_many(environ, _RETRY_S)

    def finish(self, environ: WSGIEnvironment, company: int | None, answer: Answer) -> Answer:
        """What the call cost, and how full the bucket is."""
        world, (status, headers, body) = self.world, answer
        limit, window = world.cost_limit or 10_000, round(world.window_s)
        metered = [
            ("X-CallCost", str(_cost(environ))),
            ("X-RateLimiting", f"token-limit-{limit}-per-{window}-seconds: {environ.get(_USED, 0)}/{limit}"),
        ]
        return status, headers + metered, body

    def unauthorised(self) -> Answer:
        """In the old host's words."""
        body = errors.legacy("Authentication failed.", 401, "2026-01-01T00:00:00").body
        return self.plain(401, dump(body).encode(), "application/json")

    def too_many(self, environ: WSGIEnvironment, seconds: float) -> Answer:
        """Each host in its own words; what Retry-After says, by the switch."""
        world, at = self.world, self.world.clock.now()
        legacy = environ["PATH_INFO"].startswith("/rest")
        text = at.strftime("%Y-%m-%dT%H:%M:%S")
        if legacy and world.switches.legacy_limit_body == "empty":
            status, headers, body = self.plain(429, b"", "text/plain")
        elif legacy:
            shown = errors.legacy("Too many requests.", 429, text, developerHint="Slow down.")
            status, headers, body = self.plain(429, dump(shown.body).encode(), "application/json")
        else:
            shown = errors.problem(429, "Too many requests", "TooManyRequests", text)
            status, headers, body = self.plain(429, dump(shown.body).encode(), "application/problem+json")
        if seconds > 0:
            later = format_datetime(at + timedelta(seconds=int(seconds)), usegmt=True)
            headers.append(("Retry-After", later if world.switches.retry_after_is_date else str(int(seconds))))
        return status, headers, body
