"""The worker: RQ's, forking a work horse for each job, with the settings that make crashes heal quickly."""

from __future__ import annotations

import logging
import signal
from typing import Final

from redis.exceptions import RedisError
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now

from addon.jobs import tasks
from addon.jobs.queue import SILENT_S, Nudge, connect, get_queue
from addon.log import get_logger

LONGEST_PATIENCE_S: Final = 70.0
_RQ_S: Final = 15
"""An idle worker looks up from the queue this much before RQ's `worker_ttl` is over."""


class OurWorker(Worker):
    """RQ's worker, whose work horse is told as well when the worker is told to stop.

    RQ lets a horse run on to its end, or kills it: service managers that signal all processes kill it at once, and
    those that do not lose patience. Ours finishes the write at hand, notes where it stands and ends.

    Its jobs are given up `patience_s` after their worker's last sign of life.
    """

    patience_s = LONGEST_PATIENCE_S

    def handle_warm_shutdown_request(self) -> None:
        """The worker was told to stop."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        tasks.ask_to_stop(self.horse_pid)

    def setup_work_horse_signals(self) -> None:
        """In the horse: an interrupt is the worker's affair, being told to stop is ours."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, tasks.stop_soon)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds for which a job's worker counts as alive."""
        return round(self.patience_s)

    def clean_registries(self) -> None:
        """Look for jobs whose worker died. What RQ stumbles over there must not end this worker, and then the next.

        It does where Redis has forgotten a job's execution by its own time, a moment before RQ looks (RQ 3.0). Nothing
        rests on this look: `queue.nudge` takes names back by itself.
        """
        try:
            super().clean_registries()  # type: ignore[no-untyped-call]
        except RedisError:
            raise
        except Exception as error:
            get_logger(__name__).warning("dead_jobs_left", error=f"{type(error).__name__}: {error}")
            for queue in self.queues:
                queue.release_maintenance_lock()  # type: ignore[no-untyped-call]
            self.last_cleaned_at = now()  # type: ignore[assignment]


def make_worker(redis_url: str, name: str | None = None, lease_s: float = LONGEST_PATIENCE_S) -> Worker:
    """A worker of our queue; `lease_s` as in the settings.

    Jobs give a sign of life so often that they are given up no later than the lease that their worker held, and idle
    workers, too, look for dead ones. A job that is given up though it still runs does no harm: the lease decides.
    """
    patience_s = min(LONGEST_PATIENCE_S, max(lease_s, 3.0))
    maintenance_s = max(1, round(patience_s / 3))
    worker = OurWorker(
        [get_queue(redis_url)],
        name=name,
        connection=connect(redis_url),
        job_class=Nudge,
        serializer=JSONSerializer,
        maintenance_interval=maintenance_s,
        job_monitoring_interval=max(1, round(min(patience_s / 7, SILENT_S / 3))),
        worker_ttl=maintenance_s + _RQ_S,
        log_job_description=False,
    )
    worker.patience_s = patience_s
    return worker


def run_worker(
    redis_url: str, *, lease_s: float = LONGEST_PATIENCE_S, burst: bool = False, max_jobs: int | None = None
) -> bool:
    """Work until a signal says stop; `burst`: until the queue is empty. SIGTERM lets the running job end."""
    from addon.bootstrap import preload

    preload()  # what every job needs is loaded before the fork: horses share it
    tasks.note_worker()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    return bool(make_worker(redis_url, lease_s=lease_s).work(burst=burst, max_jobs=max_jobs, logging_level="WARNING"))
