"""What Prometheus may count of the pages: how many, how they ended, how long they took."""

from __future__ import annotations

import time

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})


def install(app: Flask) -> None:
    """Count every answer; each application has counters of its own."""
    registry = CollectorRegistry()
    answers = Counter(
        "kvitt_http_responses", "Answers by endpoint and status.", ["endpoint", "method", "status"], registry=registry
    )
    durations = Histogram(
        "kvitt_http_response_seconds",
        "Time to answer.",
        ["endpoint"],
        buckets=(0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        registry=registry,
    )
    app.extensions["kvitt_metrics"] = registry

    def start() -> None:
        g.started_s = time.perf_counter()

    def count(response: Response) -> Response:
        # Endpoints, not addresses: an address has ids in it and there is no end of them.
        endpoint = request.endpoint or "none"
        # Anybody may make methods up, and each would be a counter that is kept for ever.
        method = request.method if request.method in _METHODS else "other"
        answers.labels(endpoint, method, str(response.status_code)).inc()
        if "started_s" in g:
            durations.labels(endpoint).observe(time.perf_counter() - g.started_s)
        return response

    app.before_request(start)
    app.after_request(count)


def rendered() -> bytes:
    """The counters in Prometheus' text format."""
    return generate_latest(current_app.extensions["kvitt_metrics"])
