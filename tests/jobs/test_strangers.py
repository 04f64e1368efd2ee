"""A Redis in a stranger's hands: what it names is not executed. A Redis that hangs: nobody hangs with it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from rq import Queue
from rq.job import Callback
from rq.serializers import JSONSerializer

from addon.jobs import queue
from addon.web import limits


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of something that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        ("os.mkdir", ["{made}"], {}),
        (queue.RUN_SLICE, ["1"], {}),
        (queue.RUN_SLICE, [True], {}),
        (queue.RUN_SLICE, [1, 2], {}),
        (queue.RUN_SLICE, [1], {"company_id": 1}),
        ("addon.jobs.tasks.die_with_parent", [1], {}),
    ],
)
def test_a_job_that_is_none_of_ours_is_not_executed(
    redis_url: str, tmp_path: Path, function: str, arguments: list[object], named: dict[str, object]
) -> None:
    made = tmp_path / "made"
    forged = Queue(queue.QUEUE, connection=queue.connect(redis_url), serializer=JSONSerializer)
    given = [str(made) if argument == "{made}" else argument for argument in arguments]
    job_id = forged.enqueue(function, args=given, kwargs=named, on_failure=Callback("os.abort")).id
    job = queue.get_queue(redis_url).fetch_job(job_id)
    assert job is not None
    with pytest.raises(queue.NotOurs):
        job.perform()
    assert not made.exists()
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)


def test_our_own_jobs_are_known_again(redis_url: str) -> None:
    from addon.jobs import tasks

    queue.nudge(redis_url, 7)
    queue.nudge_check(redis_url, 7)
    ours = queue.get_queue(redis_url)
    found = [ours.fetch_job(job_id) for job_id in ours.job_ids]
    assert [(job.func, job.args) for job in found if job] == [(tasks.run_slice, [7]), (tasks.check_company, [7])]


def test_a_redis_that_hangs_keeps_nobody(hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ANSWER_S", 0.3)
    began = time.monotonic()
    with pytest.raises(queue.QueueAway):
        queue.nudge(hanging, 7)
    assert time.monotonic() - began < 60, "it would have hung for ever"


def test_limits_hold_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "limiter", Limiter(get_remote_address))  # the pages' own belongs to other tests
    app = Flask("limited")
    limits.install(app, "redis://127.0.0.1:9/0")

    @app.get("/")
    @limits.limiter.limit("2 per minute")
    def page() -> str:
        return "here"

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
