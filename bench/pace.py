"""Use of the limit: how many of the calls that Fortnox allows a backfill really makes, at some distance.

The far end counts a call when it arrives, up to 250 ms late, and refuses the 26th in any five seconds; answers
take 300 ms more. Measured at the far end, over whole slices' ends too.
"""

from __future__ import annotations

import time
from datetime import timedelta

from addon.services import runs
from bench.beds import build_services, environment, sqlite_url
from bench.counts import WentWrong, bench_for
from bench.exchange import far_away
from bench.rows import Row, ratio
from tests.servers import running_redis

CALLS_PER_5_S = 24
REFUSED_AT = 26
WINDOW_S = 60.0
SLICE_S = 50
"""As in production; so the window has the gap between two slices in it."""
ANSWER_S = 0.3
JITTER_S = 0.25


def measure_pace(window_s: float = WINDOW_S) -> list[Row]:
    """Arrivals in a window of a backfill, as a share of 24 calls per 5 s; and how many were refused."""
    documents = int(window_s * CALLS_PER_5_S / 5 / 5) + 12
    with running_redis() as redis, bench_for("plus") as bench:
        fortnox = bench.world.fortnox
        bench.sell(bench.new_buyers(documents))
        bench.world.clock.advance(timedelta(minutes=1))
        settings = environment(bench.town, sqlite_url(bench.town), FORTNOX_CALLS_PER_5_S=str(CALLS_PER_5_S))
        services = build_services({**settings, "REDIS_URL": redis.url}, bench.world.clock.now, slice_s=SLICE_S)
        fortnox.limiter.limit = REFUSED_AT - 1
        with far_away(fortnox.app(), answer_s=ANSWER_S, jitter_s=JITTER_S) as arrivals:
            deadline = time.monotonic() + window_s * 2 + 30
            while True:
                runs.run_slice(services, bench.company_id, "sweep")
                writes = [arrival.at for arrival in arrivals if arrival.write]
                if writes and time.monotonic() > writes[0] + window_s + 1:
                    break
                if time.monotonic() > deadline:
                    raise WentWrong("the backfill did not get under way")
        services.db.close()
    inside = [arrival for arrival in arrivals if writes[0] <= arrival.at < writes[0] + window_s]
    if writes[-1] < writes[0] + window_s:
        raise WentWrong("the backfill was over before the window was")
    allowed = window_s * CALLS_PER_5_S / 5
    use = ratio(100 * len(inside) / allowed)
    refused = sum(arrival.status == 429 for arrival in arrivals)
    how = f"{len(inside)} calls in {window_s:.0f} s, with the end of a slice; 300 ms to answer, 0–250 ms jitter"
    return [
        Row("use of 24 calls per 5 s", use, "%", "at least", 97, how),
        Row("calls refused meanwhile", refused, "calls", "exactly", 0, "the 26th in any 5 s is refused"),
    ]
