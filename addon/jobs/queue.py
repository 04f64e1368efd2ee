"""The queue: nudges that a company wants work. A nudge carries the company's id and nothing else.

At most two jobs of a company exist: one that runs and one that waits. Job names are unique, so that a thousand
webhooks make one job; a nudge that comes while the job runs takes the second name.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import as_text, utcparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE: Final = "kvitt"
JOB_TIMEOUT_S: Final = 600
"""Far above what a slice takes: RQ's time-out strikes anywhere, also between a write and its record."""

RUN_SLICE: Final = "addon.jobs.tasks.run_slice"
CHECK_COMPANY: Final = "addon.jobs.tasks.check_company"


ANSWER_S: Final = 5.0
"""How long whoever asks for work waits for Redis: a page must not hang where a Redis does."""

SILENT_S: Final = 30.0
"""A job without a sign of life for so long has no worker: those who have one give a sign every ten seconds."""


LOOK_S: Final = 2.0
"""The same for whoever only asks how many jobs wait."""


class QueueAway(Exception):
    """Redis does not answer. What was to be queued stands in the database, and a sweep finds it."""


class NotOurs(Exception):
    """A job that names something else than our tasks, or gives one something else than a company's id."""


def _refuse(*_arguments: object, **_named: object) -> None:
    raise NotOurs("this job is none of ours")


class Nudge(Job):
    """A job that can be one of our tasks over one company, and nothing else.

    JSON alone is no protection: RQ imports and calls whatever function, and whatever callback, a job's hash names,
    so that whoever can write into Redis could run anything in a worker, which holds all keys.
    """

    @property
    def func(self) -> Callable[..., Any]:
        """The task, or one that refuses."""
        from addon.jobs import tasks

        given = (self.instance, len(self.args), dict(self.kwargs))
        if given != (None, 1, {}) or type(self.args[0]) is not int:
            return _refuse
        ours: dict[str, Callable[..., Any]] = {RUN_SLICE: tasks.run_slice, CHECK_COMPANY: tasks.check_company}
        return ours.get(str(self.func_name), _refuse)

    def restore(self, raw_data: Any) -> Any:
        """Read a job from Redis, without what it would have called or told afterwards."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        return restored


@lru_cache(maxsize=8)
def connect(redis_url: str, answer_s: float | None = None) -> Redis:
    """A client of the queue's Redis. A worker waits for work longer than any answer takes: no time-out there."""
    client: Redis = Redis.from_url(
        redis_url, socket_connect_timeout=5, socket_timeout=answer_s, health_check_interval=30
    )
    return client


def get_queue(redis_url: str, answer_s: float | None = None) -> Queue:
    """The queue; its jobs are JSON, and none can name anything but our tasks."""
    return Queue(QUEUE, connection=connect(redis_url, answer_s), job_class=Nudge, serializer=JSONSerializer)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise QueueAway(f"Redis does not answer: {type(error).__name__}") from error


def nudge(redis_url: str, company_id: int, silent_s: float = SILENT_S) -> bool:
    """Queue a slice of work for a company, unless one waits already. Raises `QueueAway`.

    silent_s: after so long without a sign of life a job has lost its worker, and its name is taken from it.
    """
    return _enqueue_once(redis_url, RUN_SLICE, company_id, "company", silent_s)


def nudge_check(redis_url: str, company_id: int, silent_s: float = SILENT_S) -> bool:
    """Queue a check of a company's prerequisites, unless one waits already. Raises `QueueAway`."""
    return _enqueue_once(redis_url, CHECK_COMPANY, company_id, "check", silent_s)


def _enqueue_once(redis_url: str, function: str, company_id: int, name: str, silent_s: float) -> bool:
    with _answering():
        queue = get_queue(redis_url, ANSWER_S)
        for job_id in (f"{name}-{company_id}", f"{name}-{company_id}-next"):
            if _enqueued(queue, function, company_id, job_id):
                return True
            if _waits(queue, job_id):
                return False  # it has not begun: what is wanted now it will see
            if _taken_back(queue, job_id, silent_s) and _enqueued(queue, function, company_id, job_id):
                return True
    return False


def _enqueued(queue: Queue, function: str, company_id: int, job_id: str) -> bool:
    """Queue a job, unless its name is taken."""
    try:
        queue.enqueue(
            function,
            company_id,
            job_id=job_id,
            unique=True,
            # A finished job must free its name at once; a failed one leaves no trace that would block.
            result_ttl=0,
            failure_ttl=0,
            job_timeout=JOB_TIMEOUT_S,
        )
    except DuplicateJobError:
        return False
    return True


def _waits(queue: Queue, job_id: str) -> bool:
    """Whether a job is in the queue. Its own word is not enough: whoever took it out may have died before beginning."""
    return queue.get_job_position(job_id) is not None


_TAKE_BACK: Final = """
if (redis.call('hget', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
return redis.call('del', KEYS[1], KEYS[2])
"""


def _taken_back(queue: Queue, job_id: str, silent_s: float) -> bool:
    """Forget a job that no worker has any more, so that its name is free again; whether that was so.

    RQ's own look for such jobs comes late, stops at the first job whose execution Redis has forgotten before it, and
    does not see those that died between being taken out of the queue and being begun, nor what a sign of life leaves
    of a job that had just ended. Each of these would keep a company's name for good. A job that is forgotten though
    it still runs does no harm: the lease decides who may work.
    """
    client, key = queue.connection, Job.key_for(job_id)
    field, seen = "last_heartbeat", as_text(client.hget(key, "last_heartbeat") or b"")
    if not seen:
        field, seen = "enqueued_at", as_text(client.hget(key, "enqueued_at") or b"")
    if seen and (datetime.now(UTC) - utcparse(seen)).total_seconds() < silent_s:
        return False
    return bool(client.eval(_TAKE_BACK, 2, key, f"rq:executions:{job_id}", field, seen))


def size(redis_url: str) -> int:
    """How many jobs wait. Raises `QueueAway`, and soon: monitors ask every few seconds."""
    with _answering():
        return int(get_queue(redis_url, LOOK_S).count)
