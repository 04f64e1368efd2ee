"""The clock: it only ticks. What is due stands in the database; each tick claims it there and nudges the queue.

RQ's own CronScheduler is not used: it can only pickle its jobs, keeps its state in memory, and two of them would
queue everything twice. A tick is one query; two clocks do no harm, since each company's turn is claimed in its row.
"""

from __future__ import annotations

import threading
from typing import Final

from addon.jobs import queue
from addon.log import get_logger
from addon.services import due, runs
from addon.services.context import Services

TICK_S: Final = 60.0


def tick(services: Services, redis_url: str | None) -> int:
    """Nudge every company that is due; says how many. A queue that is away is met again at the next tick."""
    log = get_logger(__name__)
    count = 0
    for entry in due.claim_due(services):
        count += 1
        if entry.daily and entry.state == "stopped" and redis_url is not None:
            try:
                queue.nudge_check(redis_url, entry.company_id)
            except queue.QueueAway as error:
                log.warning("nudge_lost", company_id=entry.company_id, error=str(error))
        elif entry.daily:
            runs.want(services, entry.company_id, "clock")
        else:
            services.nudge(entry.company_id)
    if count:
        log.info("tick", companies=count)
    return count


def run_clock(services: Services, redis_url: str | None, stop: threading.Event, tick_s: float = TICK_S) -> None:
    """Tick until `stop` is set. A tick that fails (a database that is away) is logged, and the next one comes."""
    log = get_logger(__name__)
    while not stop.is_set():
        try:
            tick(services, redis_url)
        except Exception:  # the clock must outlive whatever a tick meets
            log.exception("tick_failed")
        stop.wait(tick_s)
