"""What Prometheus may know: how much happened and how long it took, over all processes, and how much stands where.

Counters are added up in the database (`addon.services.tally`), so that every web process answers for all of them and
for the workers too. Nothing here names a company.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from flask import Flask, Response, g, request
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from addon.services import gauges
from addon.services.context import Services
from addon.services.tally import BUCKETS, ENDLESS, LE, SUM, Counter, Key, Timing, labels_of
from addon.web.access import services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})

_COUNTERS: Final[Mapping[Counter, tuple[str, tuple[str, ...]]]] = {
    Counter.CALLS: ("Calls to other companies' systems, by how they ended.", ("system", "outcome")),
    Counter.DELIVERIES: ("Attempts at a write into the books, by how they ended.", ("step", "outcome")),
    Counter.RUNS: ("Runs that have ended.", ("trigger", "state")),
    Counter.SLICES: ("Slices of work, by how they ended.", ("outcome",)),
    Counter.WEBHOOKS: ("Webhooks that came.", ("system", "outcome")),
    Counter.ANSWERS: ("Answers by endpoint and status.", ("endpoint", "method", "status")),
    Counter.READY: ("How often it was asked whether all is ready.", ()),
}
_TIMINGS: Final[Mapping[Timing, tuple[str, tuple[str, ...]]]] = {
    Timing.CALL: ("How long calls to other companies' systems took.", ("system",)),
    Timing.DELIVERY: ("From the decision to book a document until it stood in the books.", ()),
    Timing.ANSWER: ("Time to answer.", ("endpoint",)),
}


def install(app: Flask) -> None:
    """Count every answer."""

    def start() -> None:
        g.started_s = time.perf_counter()

    def count(response: Response) -> Response:
        tally = services().tally
        # Endpoints, not addresses: an address has ids in it and there is no end of them.
        endpoint = request.endpoint or "none"
        # Anybody may make methods up, and each would be a counter that is kept for ever.
        method = request.method if request.method in _METHODS else "other"
        tally.count(Counter.ANSWERS, endpoint=endpoint, method=method, status=str(response.status_code))
        if "started_s" in g:
            tally.time(Timing.ANSWER, time.perf_counter() - g.started_s, endpoint=endpoint)
        # When the answer is on its way: nobody waits for it.
        database = services().db
        response.call_on_close(lambda: tally.write_sometimes(database))
        return response

    app.before_request(start)
    app.after_request(count)


def rendered(here: Services) -> bytes:
    """All numbers in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(here))
    return generate_latest(registry)


class _Numbers(Collector):
    """Reads everything anew each time it is asked. What cannot be read is left out, and `kvitt_up` says why."""

    def __init__(self, here: Services) -> None:
        self._here = here

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        here = self._here
        counted, stands = gauges.together(here)
        queued = here.queued() if here.queued is not None else None
        up = GaugeMetricFamily("kvitt_up", "Whether it answers: 1, or 0.", labels=["part"])
        up.add_metric(["database"], float(stands is not None))
        if here.queued is not None:
            up.add_metric(["redis"], float(queued is not None))
        yield up
        if queued is not None:
            yield GaugeMetricFamily("kvitt_queue_jobs", "Jobs that wait in Redis.", value=queued)
        if stands is not None:
            yield from _standing(stands)
        yield from _counters(counted)
        yield from _timings(counted)


def _standing(numbers: gauges.Numbers) -> Iterator[Metric]:
    parts = GaugeMetricFamily("kvitt_parts", "Parts of movements that wait or are held.", labels=["state", "reason"])
    for (state, reason), number in sorted(numbers.parts.items()):
        parts.add_metric([state, reason], number)
    yield parts
    companies = GaugeMetricFamily("kvitt_companies", "Companies by state.", labels=["state"])
    for state, number in sorted(numbers.companies.items()):
        companies.add_metric([state], number)
    yield companies
    yield GaugeMetricFamily("kvitt_due_companies", "Companies whose work waits for a worker.", value=numbers.due)
    yield GaugeMetricFamily("kvitt_queue_age_seconds", "For how long the first of them waits.", value=numbers.due_age_s)
    yield GaugeMetricFamily(
        "kvitt_oldest_unbooked_seconds",
        "Since when the oldest movement is here that should be booked and is not.",
        value=numbers.unbooked_age_s,
    )


def _counters(counted: Mapping[Key, int]) -> Iterator[Metric]:
    for what, (told, names) in _COUNTERS.items():
        family = CounterMetricFamily(what.value, told, labels=names)
        for (name, text), value in sorted(counted.items()):
            if name == what.value:
                labels = labels_of(text)
                family.add_metric([labels.get(one, "") for one in names], value)
        yield family


def _timings(counted: Mapping[Key, int]) -> Iterator[Metric]:
    for what, (told, names) in _TIMINGS.items():
        found: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for (name, text), value in counted.items():
            if name == what.value:
                labels = labels_of(text)
                found[tuple(labels.get(one, "") for one in names)][labels[LE]] = value
        family = HistogramMetricFamily(what.value, told, labels=names)
        for given, values in sorted(found.items()):
            total, buckets = 0, []
            for bound in (*(f"{one:g}" for one in BUCKETS[what]), ENDLESS):
                total += values.get(bound, 0)
                buckets.append((bound, float(total)))
            family.add_metric(list(given), buckets, sum_value=values.get(SUM, 0) / 1000)
        yield family
