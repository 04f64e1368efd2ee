"""The queue: nudges that are few, readable, and may be lost."""

import json
import zlib

import pytest
from redis import Redis
from rq.job import JobStatus

from addon.bootstrap import build
from addon.config import load_settings
from addon.jobs import queue
from addon.jobs.redis_server import EmbeddedRedis, answers, shared_redis


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
