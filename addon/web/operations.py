"""For whoever runs this installation: is it alive, is it ready, what has it done; and htmx from its package."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, send_from_directory

from addon.services import health
from addon.web import assets, metrics
from addon.web.access import Audience, audience, services
from addon.web.limits import READY, limiter

operations = Blueprint("operations", __name__)


@operations.get("/healthz")
@audience(Audience.PUBLIC)
def alive() -> tuple[str, int, dict[str, str]]:
    """This process answers."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}


@operations.get("/readyz")
@audience(Audience.PUBLIC)
@limiter.limit(READY)
def ready() -> tuple[Response, int]:
    """Everything works: database, writes, Redis, the queue, what should be booked. 503 names what does not.

    `?for=pages` asks only for what pages need, for a load balancer in front of them.
    """
    looked = health.checks(services(), only_pages=request.args.get("for") == "pages")
    problems = [check.problem for check in looked if check.problem]
    body = jsonify(ready=not problems, problems=problems, checks={check.name: check.as_json() for check in looked})
    return body, 503 if problems else 200


@operations.get("/metrics")
@audience(Audience.OPERATOR)
def numbers() -> Response:
    """Counters for Prometheus, of all processes together."""
    return Response(metrics.rendered(services()), content_type=metrics.CONTENT_TYPE)


@operations.get("/assets/htmx.js")
@audience(Audience.PUBLIC)
def htmx() -> Response:
    """htmx, as its package brought it."""
    return send_from_directory(assets.htmx_folder(), assets.HTMX_FILE, mimetype="text/javascript")
