"""For whoever runs this installation: is it alive, is it ready, what has it done; and htmx from its package."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, send_from_directory

from addon.services import health
from addon.web import assets, metrics
from addon.web.access import Audience, audience, services

operations = Blueprint("operations", __name__)


@operations.get("/healthz")
@audience(Audience.PUBLIC)
def alive() -> tuple[str, int, dict[str, str]]:
    """This process answers."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}


@operations.get("/readyz")
@audience(Audience.PUBLIC)
def ready() -> tuple[Response, int]:
    """The database answers and has the present schema."""
    problems = health.problems(services())
    return jsonify(ready=not problems, problems=list(problems)), 503 if problems else 200


@operations.get("/metrics")
@audience(Audience.OPERATOR)
def numbers() -> Response:
    """Counters for Prometheus."""
    return Response(metrics.rendered(), content_type=metrics.CONTENT_TYPE)


@operations.get("/assets/htmx.js")
@audience(Audience.PUBLIC)
def htmx() -> Response:
    """htmx, as its package brought it."""
    return send_from_directory(assets.htmx_folder(), assets.HTMX_FILE, mimetype="text/javascript")
