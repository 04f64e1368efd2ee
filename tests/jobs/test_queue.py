"""The queue: nudges that are few, readable, and may be lost."""

import json
import time
import zlib

import pytest
from redis import Redis
from rq import Worker
from rq.job import JobStatus
from rq.utils import now

from addon.bootstrap import build
from addon.config import load_settings
from addon.jobs import queue
from addon.jobs.redis_server import EmbeddedRedis, answers, shared_redis
from addon.jobs.worker import make_worker


def test_a_thousand_nudges_make_one_job(redis_url: str) -> None:
    assert queue.nudge(redis_url, 7)
    assert not any(queue.nudge(redis_url, 7) for _ in range(1000))
    assert queue.nudge(redis_url, 8)
    assert queue.nudge_check(redis_url, 7), "a check is another job"
    assert queue.size(redis_url) == 3


def test_a_nudge_that_comes_while_the_job_runs_waits_behind_it(redis_url: str) -> None:
    queue.nudge(redis_url, 7)
    running = queue.get_queue(redis_url)
    job = running.fetch_job("company-7")
    assert job is not None
    running.remove(job)
    job.set_status(JobStatus.STARTED)
    assert queue.nudge(redis_url, 7)
    assert not queue.nudge(redis_url, 7)
    assert running.job_ids == ["company-7-next"]


def test_a_job_carries_an_id_and_nothing_that_could_be_executed(redis_url: str) -> None:
    queue.nudge(redis_url, 7)
    data = Redis.from_url(redis_url).hget("rq:job:company-7", "data")
    assert isinstance(data, bytes)
    assert json.loads(zlib.decompress(data)) == ["addon.jobs.tasks.run_slice", None, [7], {}]


def test_a_redis_that_is_away_is_said_and_costs_nothing() -> None:
    with pytest.raises(queue.QueueAway):
        queue.nudge("redis://127.0.0.1:9/0", 7)
    settings = load_settings(
        {"KVITT_ENV": "test", "REDIS_URL": "redis://127.0.0.1:9/0", "DATABASE_URL": "sqlite:///none.db"}
    )
    build(settings).nudge(7)


def test_an_embedded_redis_is_shared_and_ends(tmp_path: "pytest.TempPathFactory") -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "own"
    url, server = shared_redis(folder)
    assert server is not None
    try:
        assert shared_redis(folder) == (url, None)
        assert answers(url)
    finally:
        server.stop()
    assert not answers(url)
    again, other = shared_redis(folder)
    assert other is not None
    other.stop()
    assert not answers(again)
    alone = EmbeddedRedis(folder)
    alone.stop()
    alone.stop()


def _left_by_a_killed_worker(redis_url: str, job_id: str) -> Worker:
    """Take a job out of the queue and begin it; then the worker is no more."""
    worker = make_worker(redis_url, lease_s=6)
    job = queue.get_queue(redis_url).fetch_job(job_id)
    assert job is not None
    queue.get_queue(redis_url).remove(job)
    job.set_status(JobStatus.STARTED)
    worker.prepare_execution(job)
    job.heartbeat(now(), 6)
    return worker


def test_when_workers_died_over_both_names_of_a_company_the_next_nudge_takes_one_back(redis_url: str) -> None:
    for job_id in ("company-7", "company-7-next"):
        assert queue.nudge(redis_url, 7)
        _left_by_a_killed_worker(redis_url, job_id)
    assert not queue.nudge(redis_url, 7), "they may be at work still"
    time.sleep(0.05)
    assert queue.nudge(redis_url, 7, silent_s=0.05)
    assert queue.get_queue(redis_url).job_ids == ["company-7"]
    assert not queue.nudge(redis_url, 7, silent_s=0), "it waits, however long"


def test_a_job_taken_out_of_the_queue_by_a_worker_that_died_before_beginning_it_gives_its_name_back(
    redis_url: str,
) -> None:
    for job_id in ("company-7", "company-7-next"):
        assert queue.nudge(redis_url, 7)
        Redis.from_url(redis_url).lrem("rq:queue:kvitt", 1, job_id)
    assert not queue.nudge(redis_url, 7)
    time.sleep(0.05)
    assert queue.nudge(redis_url, 7, silent_s=0.05)


def test_what_a_late_sign_of_life_leaves_of_an_ended_job_keeps_no_name(redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    client.hset("rq:job:company-7", "last_heartbeat", "2026-03-02T10:00:00.000000Z")
    assert queue.nudge(redis_url, 7)
    assert client.hget("rq:job:company-7", "status") == b"queued"


def test_a_worker_survives_a_dead_job_whose_execution_redis_has_forgotten(redis_url: str) -> None:
    queue.nudge(redis_url, 7)
    worker = _left_by_a_killed_worker(redis_url, "company-7")
    client = Redis.from_url(redis_url)
    for key in client.keys("rq:execution:*"):
        client.delete(key)
    (left,) = client.zrange("rq:wip:kvitt", 0, -1)
    client.zadd("rq:wip:kvitt", {left: 1.0})
    worker.clean_registries()
    worker.clean_registries()
    assert queue.nudge(redis_url, 7, silent_s=0)
    worker.clean_registries()
    assert queue.get_queue(redis_url).job_ids == ["company-7"]


def test_a_worker_gives_signs_of_life_by_its_lease_and_looks_up_when_idle(redis_url: str) -> None:
    short, long = make_worker(redis_url, lease_s=6), make_worker(redis_url, lease_s=180)
    job = queue.get_queue(redis_url).enqueue(queue.RUN_SLICE, 7)
    assert (short.get_heartbeat_ttl(job), short.job_monitoring_interval, short.dequeue_timeout) == (6, 1, 2)
    assert (long.get_heartbeat_ttl(job), long.job_monitoring_interval, long.dequeue_timeout) == (70, 10, 23)
