"""One storm: two companies of any pair, everything running, everything killed, and the calm after it."""

from __future__ import annotations

import random
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from redis.exceptions import RedisError
from sqlalchemy import update
from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from addon.jobs import queue
from addon.jobs.redis_server import free_port
from addon.sandbox.stripe.webhooks import Courier
from addon.sandbox.world import World
from addon.services import runs
from addon.services.runs import RunView
from addon.store.migrate import migrate
from addon.store.models import AccountingConnection
from tests.servers import PostgresServer, RedisServer, running_postgres, running_redis, wait_until
from tests.storm import laws
from tests.storm.fleet import START_S, WORKERS, Fleet
from tests.storm.stands import Pair, Stand, stand
from tests.storm.tills import webhooks_of
from tests.storm.weather import Weather
from tests.support.forks import kill
from tests.support.town import Town, town

LEASE_S: Final = 6
QUARANTINE_S: Final = 1
REMEMBERS_S: Final = 10
"""How long e-conomic remembers in a storm what it answered under a key: its hour, made as short as all the rest."""
CALLS_A_SALE: Final = 5
"""Roughly, refunds and the rest included: to spread the kills over the work."""
LIVE: Final = Decimal("0.4")
"""The share of sales that are made during the storm; the others wait when it begins."""
STALLS_S: Final = 9.0
"""After so long without a call the next blow falls anyway."""
STUCK_S: Final = 180.0
"""A settling run that shows no progress for so long is stuck."""
MOST_SETTLING_RUNS: Final = 8
VICTIMS: Final = (
    ("worker", 5),
    ("horse", 5),
    ("worker and horse", 3),
    ("web", 2),
    ("web's process", 1),
    ("clock", 2),
    ("redis", 3),
    ("postgres", 3),
    ("everything", 1),
)

PAIRS: Final = (Pair(), Pair(mode="basic"))
"""A company in Plus and one in Basic, both with Fortnox and Stripe."""

T = TypeVar("T")


def patiently(ask: Callable[[], T], what: str, timeout_s: float = 120) -> T:
    """Ask again while the database or Redis is gone."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except (SQLAlchemyError, RedisError, queue.QueueAway) as error:
            if isinstance(error, NoResultFound) or time.monotonic() > deadline:
                raise AssertionError(f"{what}: {error}") from error
            time.sleep(0.1)


@dataclass
class Report:
    """What a storm did and found."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    webhooks: Counter[str] = field(default_factory=Counter)
    sales: int = 0
    refunds: int = 0
    payouts: int = 0
    calls: int = 0
    companies: dict[str, laws.Figures] = field(default_factory=dict)
    proofs: dict[str, int] = field(default_factory=dict)
    settling_runs: int = 0
    seconds: int = 0
    settling_s: int = 0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        def told(counts: Counter[str]) -> str:
            return ", ".join(f"{name} {number}" for name, number in counts.most_common()) or "none"

        lines = [
            ("kills", f"{self.kills.total()}: {told(self.kills)}"),
            ("starts again", told(self.starts)),
            ("faults", f"{self.faults.total()}: {told(self.faults)}"),
            ("webhooks", told(self.webhooks)),
            ("sold", f"{self.sales} sales, {self.refunds} refunds, {self.payouts} payouts"),
            ("calls", f"{self.calls} to the books"),
        ]
        for name, found in self.companies.items():
            lines += [
                (name, f"booked: {told(found.documents)}"),
                ("", f"held: {told(found.held)}"),
                ("", f"waiting: {told(found.waiting)}"),
                ("", f"tried again {found.attempts}, one {found.most} times; doubtful {found.doubtful}"),
                ("", f"look-ups {found.look_ups}"),
                ("", f"doubles undone {found.undone}, unbooked copies removed {found.removed}"),
                ("", f"runs: {told(found.runs)}"),
                ("", f"kvitt prove: {'✓' if self.proofs.get(name) == 0 else f'status {self.proofs.get(name)}'}"),
            ]
        lines += [
            ("time", f"{self.seconds} s, of them {self.settling_s} s for {self.settling_runs} runs after the storm"),
            ("laws", "all held" if not self.broken else f"{len(self.broken)} BROKEN"),
        ]
        table = [f"  {name[:22]:22}  {text}" for name, text in lines]
        return "\n".join([f"Storm {self.seed}", *table, *(f"  BROKEN: {found}" for found in self.broken)])


@dataclass
class Storm:
    """A storm over two companies, the first of which has most of the sales."""

    seed: int
    houses: tuple[Stand, ...]
    fleet: Fleet
    redis: RedisServer
    postgres: PostgresServer
    weather: Weather
    live_sales: int
    chance: random.Random
    report: Report
    log: Path

    @property
    def world(self) -> World:
        return self.houses[0].world

    # --- Blowing ------------------------------------------------------------------------------------------------

    def blow(self, kills: int, calls_each: int) -> None:
        """The storm itself. Each blow waits until some calls have been made, so that it falls on people at work."""
        sold = 0
        self._everybody_at_work()
        for number in range(kills):
            told = [self.weather.fail() for _ in range(self.chance.randint(0, 3))]
            due = self.live_sales * (number + 1) // kills
            self.sell(due - sold)
            sold = due
            made = self._until_calls(self.chance.randint(0, 2 * calls_each))
            time.sleep(self.chance.uniform(0, 0.03))
            victim = self.strike()
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"{time.strftime('%H:%M:%S')} {number + 1}. {victim} after {made} calls; {told}\n")
            if self.chance.random() < 0.2:
                patiently(partial(_want, self.chance.choice(self.houses)), "wanting a run")

    def _everybody_at_work(self) -> None:
        for house in self.houses:
            _want(house)
        before = self._calls()
        wait_until(lambda: self._calls() > before + CALLS_A_SALE, "the first calls", START_S)

    def _calls(self) -> int:
        world = self.world
        return sum(len(outside.calls) for outside in (world.fortnox, world.economic, world.stripe, world.paypal))

    def _couriers(self) -> list[Courier]:
        return list({id(house.till.courier): house.till.courier for house in self.houses}.values())

    def _until_calls(self, number: int) -> int:
        begun, last_at = self._calls(), time.monotonic()
        seen = begun
        while self._calls() < begun + number and time.monotonic() < last_at + STALLS_S:
            time.sleep(0.01)
            if self._calls() != seen:
                seen, last_at = self._calls(), time.monotonic()
        return self._calls() - begun

    def strike(self) -> str:
        """Kill one thing, or everything at once as a power cut does. It comes back a moment later."""
        names, weights = zip(*VICTIMS, strict=True)
        victim = str(self.chance.choices(names, weights)[0])
        rest_s = self.chance.uniform(0, 0.4)
        worker = f"worker-{self.chance.randint(1, WORKERS)}"
        forks_too = self.chance.random() < 0.5
        match victim:
            case "worker":
                self.fleet.kill(worker, rest_s)
            case "horse" if horses := self.fleet.forks_of(worker):
                for horse in horses:
                    kill(horse)
            case "horse":
                victim = "worker"
                self.fleet.kill(worker, rest_s)
            case "worker and horse":
                self._kill_with_forks(worker, rest_s)
            case "web":
                self._kill_with_forks("web", rest_s) if forks_too else self.fleet.kill("web", rest_s)
            case "web's process":
                for process in self.fleet.forks_of("web"):
                    kill(process)
            case "clock":
                self.fleet.kill("clock", rest_s)
            case "redis":
                self.redis.kill()
            case "postgres":
                self.postgres.kill()
            case _:
                for name in self.fleet.commands():
                    self._kill_with_forks(name, rest_s)
                self.redis.kill()
                self.postgres.kill()
        self.report.kills[victim] += 1
        if victim in ("redis", "postgres", "everything"):
            time.sleep(rest_s)
        if victim in ("redis", "everything"):
            self.redis.start()
        if victim in ("postgres", "everything"):
            self.postgres.start()
        return f"{victim} ({worker})" if "worker" in victim or victim == "horse" else victim

    def _kill_with_forks(self, name: str, rest_s: float) -> None:
        forks = self.fleet.forks_of(name)
        self.fleet.kill(name, rest_s)
        for process in forks:
            kill(process)

    def sell(self, number: int) -> None:
        """Buyers go on buying, and now and then one wants the money back; webhooks come twice or never."""
        first, second = self.houses
        for _ in range(number):
            house = first if self.chance.random() < 0.75 else second
            switches = house.till.courier.switches
            switches.duplicates, switches.reorder = self.chance.choice((0, 0, 1, 2)), True
            if self.chance.random() < 0.15:
                switches.drop += 1
                self.report.webhooks["dropped"] += 1
            house.till.sell_one(self.chance)

    # --- Settling -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """No more kills and faults. A night goes by, and runs follow until one has nothing left to write."""
        began = time.monotonic()
        self.weather.clears()
        for courier in self._couriers():
            courier.switches.drop, courier.switches.duplicates = 0, 0
        left = list(self.houses)
        for number in range(1, MOST_SETTLING_RUNS + 1):
            before = [house.ledger.writes() for house in left]
            for house in left:
                self._night_goes_by(house)
            self._run(left)
            self.report.settling_runs += len(left)
            if number > 1:
                left = [house for house, writes in zip(left, before, strict=True) if house.ledger.writes() > writes]
            if not left:
                break
        self.report.broken += [f"{house.name}: run after run still writes" for house in left]
        self.report.settling_s = round(time.monotonic() - began)

    @staticmethod
    def _night_goes_by(house: Stand) -> None:
        """The next run's audit takes everything, as the nightly one does."""

        def forget() -> None:
            with house.town.services.db.company(house.company_id) as session:
                session.execute(update(AccountingConnection).values(audited_at=None))

        patiently(forget, "the night")

    def _run(self, houses: Sequence[Stand]) -> None:
        """Press Sync now and let the fleet do it; a run that gets nowhere for long breaks a law."""
        wanted = [(house, patiently(partial(_want, house), "wanting a run")) for house in houses]
        seen: list[tuple[object, ...]] = []
        last_at = time.monotonic()
        while True:
            views = [patiently(partial(_view, house, run_id), "a run") for house, run_id in wanted]
            if all(view.state != "running" for view in views):
                return
            now = [_progress(view, self._calls()) for view in views]
            if now != seen:
                seen, last_at = now, time.monotonic()
            assert time.monotonic() < last_at + STUCK_S, f"a run that gets nowhere: {views}"
            time.sleep(0.1)

    # --- Looking ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What the storm left: everything once, nothing lost, nothing stuck, nothing held without a reason."""
        report = self.report
        report.faults = self.weather.struck()
        report.starts = self.fleet.starts
        report.calls = len(self.world.fortnox.calls) + len(self.world.economic.calls)
        report.webhooks += webhooks_of(self._couriers())
        for number, house in enumerate(self.houses, 1):
            report.sales += len(house.till.sales())
            report.refunds += house.till.refunds()
            report.payouts += len(house.till.payouts())
            report.broken += laws.broken(house)
            report.companies[f"{house.name} ({house.pair})"] = laws.figures(house)
            proof = self.fleet.run(f"prove-{number}", ("kvitt", "prove", str(house.company_id)))
            report.proofs[f"{house.name} ({house.pair})"] = proof.wait(120)
            if proof.wait(1):
                report.broken.append(f"{house.name}: kvitt prove ends with status {proof.wait(1)}")


def _want(house: Stand) -> int:
    return runs.want(house.town.services, house.company_id, "click")


def _view(house: Stand, run_id: int) -> RunView:
    return runs.view(house.town.services, house.company_id, run_id)


def _progress(view: RunView, calls: int) -> tuple[object, ...]:
    return view.phase, view.now_doing, tuple(sorted(view.counts.items())), calls


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _houses(built: Town, pairs: Sequence[Pair], history: int) -> tuple[Stand, ...]:
    """Two companies: the first with three quarters of the sales, the second with the rest."""
    houses = []
    for place, (pair, sales) in enumerate(zip(pairs, (history * 3 // 4, history // 4), strict=True)):
        house = stand(built, pair, place)
        house.till.sell_before(sales)
        house.opens()
        houses.append(house)
    return tuple(houses)


def _warm_up(built: Town, pairs: Sequence[Pair], fleet: Fleet) -> None:
    """A small company of each kind whose work is done before the storm, to warm everything up."""
    kinds = {(pair.accounting, pair.payments): Pair(pair.accounting, pair.payments) for pair in pairs}
    small = []
    for pair in kinds.values():
        house = stand(built, pair, 2)
        house.till.sell_before(5, days=5)
        house.opens(7)
        small.append(house.company_id)
    fleet.begin(small)


@contextmanager
def gathering(seed: int, sales: int, folder: Path, pairs: Sequence[Pair]) -> Iterator[Storm]:
    """Two companies with a month of sales behind them, and everything running."""
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    world = World.build(seed=seed, webhooks=True, fortnox_call_limit=0, kvitt_public_url=public_url)
    world.economic.cost_limit, world.economic.switches.remembers_s = 0, REMEMBERS_S
    with running_redis() as redis, running_postgres(durable=True) as postgres:
        database = postgres.new_database(migrate)
        short = {"LEASE_S": str(LEASE_S), "LOOKUP_QUARANTINE_S": str(QUARANTINE_S)}
        with town(database.app_url, database.owner_url, world, short) as built:
            environment = {
                **built.running.environment(),
                **short,
                "KVITT_ENV": "test",
                "PUBLIC_URL": public_url,
                "DATABASE_URL": database.app_url,
                "DATABASE_OWNER_URL": database.owner_url,
                "REDIS_URL": redis.url,
                "FORTNOX_CALLS_PER_5_S": "0",
            }
            live = int(sales * LIVE)
            houses = _houses(built, pairs, sales - live)
            nudging = built.with_services(nudge=_nudge(redis.url))
            for house in houses:
                house.town = nudging
            fleet = Fleet(environment, folder, port)
            weather = Weather(
                world,
                random.Random(f"weather/{seed}"),
                sorted({pair.accounting for pair in pairs}),
                sorted({pair.payments for pair in pairs}),
            )
            chance = random.Random(f"storm/{seed}")
            made = Storm(
                seed, houses, fleet, redis, postgres, weather, live, chance, Report(seed), folder / "storm.txt"
            )
            try:
                _warm_up(built, pairs, fleet)
                world.fortnox.reset_calls()
                world.economic.reset_calls()
                wait_until(lambda: _answers(f"{public_url}/readyz"), "the pages", START_S)
                yield made
            finally:
                fleet.stop()


def _nudge(redis_url: str) -> Callable[[int], None]:
    def nudge(company_id: int) -> None:
        try:
            queue.nudge(redis_url, company_id)
        except queue.QueueAway:
            return  # the clock finds what is wanted

    return nudge


def run_storm(seed: int, kills: int, sales: int, folder: Path, pairs: Sequence[Pair] = PAIRS) -> Report:
    """Gather, blow, settle, look. The report says what was broken; `folder` keeps logs, and rows where it failed."""
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with gathering(seed, sales, folder, pairs) as storm:
        report = storm.report
        try:
            storm.blow(kills, max(3, sales * CALLS_A_SALE // kills))
            storm.settle()
            storm.check()
        except (AssertionError, SQLAlchemyError, RedisError) as error:
            report.broken.append(f"{type(error).__name__}: {error}")
        report.seconds = round(time.monotonic() - started)
        if report.broken:
            _leave(storm)
    return report


def _leave(storm: Storm) -> None:
    """Keep what an investigation needs beside the logs: both sides' books, and every row of the database."""
    folder = storm.log.parent
    with (folder / "report.txt").open("w", encoding="utf-8") as out:
        out.write(f"{storm.report}\n")
    for house in storm.houses:
        with (folder / f"books-{house.company_id}.txt").open("w", encoding="utf-8") as out:
            for one in house.ledger.told():
                out.write(f"{one}\n")
    dump = storm.postgres.dump(folder / "rows.sql")
    if dump:
        sys.stderr.write(f"{dump}\n")
