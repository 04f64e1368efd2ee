"""The pace on a real Redis: never more than the limit in any window, two lanes, pushed on after a refusal."""

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from addon.connectors.pace import EPOCH_KEY, NoPace, RedisPace
from addon.ports.calls import Lane, Pace
from addon.ports.errors import TryLater


@pytest.fixture
def redis(redis_url: str) -> Redis:
    """A Redis that has been up for a while, so that nobody has to wait for a window after its start."""
    connection = Redis.from_url(redis_url)
    connection.set(EPOCH_KEY, 1)
    return connection


def slots_in_threads(redis: Redis, pace: Pace, threads: int, each: int, lane: Lane = Lane.BULK) -> list[float]:
    """The moments at which calls may leave, in seconds of Redis' clock: what was promised, not how busy we were."""
    slots: dict[bytes, float] = {}

    def work() -> None:
        for _ in range(each):
            pace.wait(lane)
            slots.update(redis.zrange("pace:company:slots", 0, -1, withscores=True))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return sorted(moment / 1_000_000 for moment in slots.values())


def _about(seconds: float) -> Any:
    """So long a wait, or shorter by what a busy machine took between two calls: Redis' clock goes on meanwhile."""
    return pytest.approx(seconds - 0.175, abs=0.275)


def most_in_any(window_s: float, moments: list[float]) -> int:
    return max(sum(1 for moment in moments if start <= moment < start + window_s) for start in moments)


@pytest.mark.parametrize("lane", list(Lane))
def test_no_window_holds_more_calls_than_the_limit(redis: Redis, lane: Lane) -> None:
    pace = RedisPace(redis, "company", calls=10, window_s=50, longest_wait_s=500, sleep=lambda _: None)
    moments = slots_in_threads(redis, pace, threads=4, each=6, lane=lane)
    assert len(moments) == 24
    assert most_in_any(50, moments) == 10


def test_bulk_calls_are_spaced_evenly_and_use_the_allowance_up(redis: Redis) -> None:
    pace = RedisPace(redis, "company", calls=20, window_s=50, longest_wait_s=500, sleep=lambda _: None)
    moments = slots_in_threads(redis, pace, threads=4, each=10)
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == [pytest.approx(2.5, abs=0.001)] * 39


def test_a_call_leaves_no_sooner_than_its_slot(redis: Redis) -> None:
    pace = RedisPace(redis, "company", calls=10, window_s=0.5)
    began = time.monotonic()
    for _ in range(4):
        pace.wait(Lane.BULK)
    assert time.monotonic() - began >= 0.15


def test_a_click_goes_past_bulk_work_but_not_past_the_limit(redis: Redis) -> None:
    slept: list[float] = []
    pace = RedisPace(redis, "company", calls=10, window_s=5, sleep=slept.append)
    for _ in range(4):
        pace.wait(Lane.BULK)
    assert slept[-1] == _about(1.5)
    before = len(slept)
    pace.wait(Lane.CLICK)
    assert len(slept) == before
    for _ in range(6):
        pace.wait(Lane.CLICK)
    assert slept[-1] > 4


def test_companies_do_not_slow_each_other(redis: Redis) -> None:
    slept: list[float] = []
    for company in range(10):
        RedisPace(redis, f"company-{company}", calls=1, window_s=5, sleep=slept.append).wait(Lane.BULK)
    assert slept == []


def test_two_processes_share_one_pace(redis: Redis) -> None:
    slept: list[float] = []
    for _ in range(3):
        RedisPace(redis, "company", calls=1, window_s=2, sleep=slept.append).wait(Lane.CLICK)
    assert slept == [_about(2), _about(4)]


def test_a_wait_that_is_too_long_is_try_later_and_takes_no_slot(redis: Redis) -> None:
    slept: list[float] = []
    pace = RedisPace(redis, "company", calls=1, window_s=20, longest_wait_s=30, sleep=slept.append)
    pace.wait(Lane.BULK)
    pace.wait(Lane.BULK)
    for _ in range(3):
        with pytest.raises(TryLater) as raised:
            pace.wait(Lane.BULK)
        assert raised.value.retry_after_s is not None
        assert 35 <= raised.value.retry_after_s <= 40


@pytest.mark.parametrize(("retry_after_s", "expected"), [(None, 0.5), (1, 1.0)])
def test_a_refusal_pushes_everybody_on(redis: Redis, retry_after_s: int | None, expected: float) -> None:
    slept: list[float] = []
    pace = RedisPace(redis, "company", calls=10, window_s=0.5, sleep=lambda seconds: _sleep(slept, seconds))
    pace.wait(Lane.CLICK)
    began = time.monotonic()
    pace.refused(retry_after_s)
    RedisPace(redis, "company", calls=10, window_s=0.5, sleep=lambda seconds: _sleep(slept, seconds)).wait(Lane.CLICK)
    gone = time.monotonic() - began - slept[0]
    assert expected - gone - 0.01 <= slept[0] <= expected + 0.1, "until then, less what the machine took meanwhile"


def _sleep(slept: list[float], seconds: float) -> None:
    slept.append(seconds)
    time.sleep(seconds + 0.001)


def test_a_refusal_reaches_those_who_sleep_already(redis: Redis) -> None:
    slept: list[float] = []

    def refuse_once(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            pace.refused(None)
        time.sleep(seconds + 0.001)

    pace = RedisPace(redis, "company", calls=5, window_s=1.0, sleep=refuse_once)
    pace.wait(Lane.BULK)
    began = time.monotonic()
    pace.wait(Lane.BULK)
    assert len(slept) == 2, "woken, it found that it may not go yet"
    assert time.monotonic() - began >= 0.95


def test_after_redis_has_lost_its_memory_a_whole_window_passes(redis_url: str) -> None:
    slept: list[float] = []
    pace = RedisPace(Redis.from_url(redis_url), "company", calls=10, window_s=5, sleep=slept.append)
    pace.wait(Lane.CLICK)
    assert slept == [_about(5)]


def away(pace: Pace) -> list[Callable[[], None]]:
    return [lambda: pace.wait(Lane.CLICK), lambda: pace.refused(5)]


@pytest.mark.parametrize("ask", [0, 1])
def test_without_redis_nothing_leaves(ask: int) -> None:
    pace = RedisPace(Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)), "company")
    with pytest.raises(TryLater):
        away(pace)[ask]()


def test_no_pace_never_waits() -> None:
    NoPace().wait(Lane.BULK)
    NoPace().refused(5)
    with pytest.raises(ValueError):
        RedisPace(Redis(), "company", calls=0)
