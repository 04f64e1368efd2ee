"""The worker: RQ's, forking a work horse for each job, with the settings that make crashes heal quickly."""

from __future__ import annotations

import logging
from typing import Final

from rq import Worker
from rq.serializers import JSONSerializer

from addon.jobs.queue import Nudge, connect, get_queue

MONITORING_S: Final = 10
MAINTENANCE_S: Final = 30


def make_worker(redis_url: str, name: str | None = None) -> Worker:
    """A worker of our queue.

    A job whose worker died is given up after monitoring interval + 60 s, at the next maintenance: both short, so
    that its name is free again soon. Nothing rests on that: the lease in the database decides who may work.
    """
    return Worker(
        [get_queue(redis_url)],
        name=name,
        connection=connect(redis_url),
        job_class=Nudge,
        serializer=JSONSerializer,
        maintenance_interval=MAINTENANCE_S,
        job_monitoring_interval=MONITORING_S,
        log_job_description=False,
    )


def run_worker(redis_url: str, *, burst: bool = False, max_jobs: int | None = None) -> bool:
    """Work until a signal says stop; `burst`: until the queue is empty. SIGTERM lets the running job end."""
    from addon.bootstrap import preload
    from addon.jobs.tasks import note_worker  # what every job needs is loaded before the fork: horses share it

    preload()
    note_worker()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    return bool(make_worker(redis_url).work(burst=burst, max_jobs=max_jobs, logging_level="WARNING"))
