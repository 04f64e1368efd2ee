"""The worker: RQ's, forking a work horse for each job, with the settings that make crashes heal quickly."""

from __future__ import annotations

import logging
import signal
from typing import Final

from rq import Worker
from rq.serializers import JSONSerializer

from addon.jobs import tasks
from addon.jobs.queue import Nudge, connect, get_queue

MONITORING_S: Final = 10
MAINTENANCE_S: Final = 30


class OurWorker(Worker):
    """RQ's worker, whose work horse is told as well when the worker is told to stop.

    RQ lets a horse run on to its end, or kills it: service managers that signal all processes kill it at once, and
    those that do not lose patience. Ours finishes the write at hand, notes where it stands and ends.
    """

    def handle_warm_shutdown_request(self) -> None:
        """The worker was told to stop."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        tasks.ask_to_stop(self.horse_pid)

    def setup_work_horse_signals(self) -> None:
        """In the horse: an interrupt is the worker's affair, being told to stop is ours."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, tasks.stop_soon)


def make_worker(redis_url: str, name: str | None = None) -> Worker:
    """A worker of our queue.

    A job whose worker died is given up after monitoring interval + 60 s, at the next maintenance: both short, so
    that its name is free again soon. Nothing rests on that: the lease in the database decides who may work.
    """
    return OurWorker(
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

    preload()  # what every job needs is loaded before the fork: horses share it
    tasks.note_worker()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    return bool(make_worker(redis_url).work(burst=burst, max_jobs=max_jobs, logging_level="WARNING"))
