"""Own CPU per call: a worker's backfill against a bare httpx loop that makes the very same calls.

Both run in processes of their own, so that neither the simulated far end nor the database counts. The worker
works as in production, against PostgreSQL, and has warmed up with a few documents.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from addon.sandbox.serving import serve_threaded
from addon.store.migrate import migrate
from bench.beds import LEASE_S, START, environment, plain_world
from bench.counts import CURRENCIES, Bench
from bench.exchange import Exchange, Recorder, replay_app
from bench.rows import Row, ratio
from tests.servers import running_postgres
from tests.support.town import town

SALES = 60
TRIES = 3
BUDGET = 4
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def child(what: str, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of `bench.child` that is spoken with in lines of JSON; it ends with the block."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.child", what],
        cwd=ROOT,
        env={**inherited, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def ask(process: subprocess.Popen[str], question: Mapping[str, Any]) -> dict[str, Any]:
    """Say a line and hear one. Raises `RuntimeError` if the child has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the measured process has ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


def measure_own_time(sales: int = SALES) -> list[Row]:
    """CPU seconds per call of a backfill in Plus, as a multiple of the bare loop's."""
    world = plain_world()
    business = world.add_business("Fjällbutiken AB", "556677-8899", fortnox_currencies=("EUR", "USD", "JPY"))
    recorder = Recorder()
    recorder.around(world.fortnox.app())
    recorder.around(world.stripe.app())
    business.shop.sell_month(days=5, sales=4, currencies=CURRENCIES)
    with running_postgres() as server:
        owner_url, app_url = server.new_database(migrate)
        with town(app_url, owner_url, world=world, lease_s=LEASE_S) as bed:
            bench = Bench(bed, business, bed.set_up(business, "plus", START))
            settings = environment(bed, app_url, owner_url)
            with child("worker", settings) as worker:
                _run(worker, bench)
                bench.turn(31)
                business.shop.sell_month(days=30, sales=sales, currencies=CURRENCIES)
                bench.turn(10)
                recorder.recording = True
                own = _run(worker, bench)
                recorder.recording = False
    exchanges = recorder.exchanges
    calls = len(exchanges)
    own_ms = own["cpu_s"] / calls * 1000
    bare_ms = sum(_bare_loop(exchanges) for _ in range(TRIES)) / TRIES / calls * 1000
    how = f"{calls} calls of a backfill: {own_ms:.1f} ms own, {bare_ms:.1f} ms bare; PostgreSQL"
    return [Row("own CPU per call, over a bare loop", ratio(own_ms / bare_ms), "×", "at most", BUDGET, how)]


def _bare_loop(exchanges: list[Exchange]) -> float:
    """CPU seconds of a loop that makes the calls and gets the recorded answers."""
    replay = serve_threaded(replay_app(exchanges))
    try:
        with child("bare", {}) as loop:
            answer = ask(loop, {"url": replay.url, "requests": [exchange.request() for exchange in exchanges]})
    finally:
        replay.shutdown()
    return float(answer["cpu_s"])


def _run(worker: subprocess.Popen[str], bench: Bench) -> dict[str, Any]:
    bench.world.clock.advance(timedelta(minutes=1))
    answer = ask(worker, {"company": bench.company_id, "now": bench.world.clock.now().isoformat()})
    if answer["state"] != "done":
        raise RuntimeError(f"the worker's run did not end well: {answer}")
    return answer
