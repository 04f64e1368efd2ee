"""The kill storm: everything that Kvitt is made of dies by SIGKILL, again and again, while a shop sells and the
outside world fails at random. When the dust settles each document stands once and books and provider agree.

    python -m tests.storm --seed 1 --kills 200 --sales 1000

The kills and faults of a seed are always the same; what they hit depends on the machine's scheduling.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from addon.jobs import queue
from addon.jobs.redis_server import end_with_parent
from addon.sandbox.fortnox.faults import Fault as FortnoxFault
from addon.sandbox.stripe.faults import Fault as StripeFault
from addon.sandbox.world import World
from addon.services import runs
from addon.store.migrate import migrate
from addon.store.models import MovementRow, PartRow, RunRow
from tests.flow.house import House
from tests.servers import PostgresServer, RedisServer, free_port, running_postgres, running_redis, wait_until
from tests.support.town import Town, town

ROOT: Final = Path(__file__).resolve().parents[1]
DAYS_BACK: Final = 28
WORKERS: Final = 2
LEASE_S: Final = 6
FORTNOX_FAULTS: Final = (
    ("lost_before", 0.0),
    ("lost_after", 0.0),
    ("error_500_before", 0.0),
    ("error_500_after", 0.0),
    ("html_502_before", 0.0),
    ("html_502_after", 0.0),
    ("rate_limited", 1.0),
    ("unauthorized", 0.0),
    ("truncated_json", 0.0),
    ("internal_1000029", 0.0),
    ("internal_1000029_after", 0.0),
    ("slow", 1.0),
    ("zombie", 2.0),
)
FORTNOX_CALLS: Final = (
    "POST /3/customers$",
    "POST /3/invoices$",
    "PUT /3/invoices/[0-9]+/bookkeep$",
    "PUT /3/invoices/[0-9]+/credit$",
    "PUT /3/invoices/[0-9]+$",
    "POST /3/invoicepayments$",
    "PUT /3/invoicepayments/[0-9]+/bookkeep$",
    "POST /3/vouchers$",
    "GET /3/",
    "POST /oauth-v1/token$",
)
STRIPE_FAULTS: Final = ("lost_before", "lost_after", "slow")
VICTIMS: Final = ("worker", "worker", "horse", "both", "web", "clock", "redis", "postgres")

T = TypeVar("T")


@dataclass
class Report:
    """What a storm did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    sales: int = 0
    refunds: int = 0
    payouts: int = 0
    documents: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    seconds: int = 0

    def __str__(self) -> str:
        def told(counts: Mapping[str, int]) -> str:
            return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"

        return (
            f"{self.kills.total()} kills ({told(self.kills)}) and {self.faults} faults in {self.seconds} s\n"
            f"{self.sales} sales, {self.refunds} refunds, {self.payouts} payouts\n"
            f"booked: {told(self.documents)}\nheld: {told(self.held)}"
        )


@dataclass
class Fleet:
    """Kvitt's own processes, each started anew when it was killed."""

    environment: Mapping[str, str]
    folder: Path
    port: int
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def commands(self) -> dict[str, tuple[str, ...]]:
        return {
            "web": ("serve", "--port", str(self.port), "--workers", "1"),
            "clock": ("clock", "--tick", "0.5"),
            **{f"worker-{number}": ("worker",) for number in range(1, WORKERS + 1)},
        }

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", "addon", *self.commands()[name]],
                env={**os.environ, **self.environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )

    def start_missing(self) -> None:
        """Start what has been killed, or has ended because its database or its Redis was gone."""
        for name in self.commands():
            child = self.children.get(name)
            if child is None or child.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        child = self.children[name]
        if child.poll() is None:
            child.kill()
        child.wait(10)

    def horses(self, name: str) -> list[int]:
        """The processes that a child has started and that are alive."""
        parent, found = self.children[name].pid, []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError):
                state, above = path.read_text().rpartition(")")[2].split()[:2]
                if int(above) == parent and state != "Z":
                    found.append(int(path.parent.name))
        return found

    def log_tails(self, lines: int = 15) -> str:
        """The end of each log, for whoever must find out what went wrong."""
        told = []
        for path in sorted(self.folder.glob("*.log")):
            tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            told.append("\n".join([f"--- {path.name}", *tail, ""]))
        return "\n".join(told)

    def stop(self) -> None:
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        for child in self.children.values():
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def patiently(ask: Callable[[], T], what: str, timeout_s: float = 60) -> T:
    """Ask again while the database or Redis is gone."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except (SQLAlchemyError, RedisError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: {error}") from error
            time.sleep(0.1)


@dataclass
class Storm:
    """One storm over one company."""

    house: House
    fleet: Fleet
    redis: RedisServer
    postgres: PostgresServer
    chance: random.Random
    report: Report = field(default_factory=Report)
    calm: threading.Event = field(default_factory=threading.Event)

    def strike(self) -> None:
        """Kill one thing, and start it again a moment later."""
        victim = self.chance.choice(VICTIMS)
        rest_s = self.chance.uniform(0, 0.4)
        worker = f"worker-{self.chance.randint(1, WORKERS)}"
        match victim:
            case "worker":
                self.fleet.kill(worker)
            case "horse" | "both":
                horses = self.fleet.horses(worker)
                for horse in horses:
                    with suppress(ProcessLookupError):
                        os.kill(horse, signal.SIGKILL)
                if victim == "both" or not horses:
                    self.fleet.kill(worker)
            case "redis":
                self.redis.kill()
            case "postgres":
                self.postgres.kill()
            case _:
                self.fleet.kill(victim)
        self.report.kills[victim] += 1
        time.sleep(rest_s)
        match victim:
            case "redis":
                self.redis.start()
            case "postgres":
                self.postgres.start()
        self.fleet.start_missing()

    def fail(self) -> None:
        """Let something outside fail once."""
        if self.chance.random() < 0.15:
            self.house.world.stripe.faults.add(StripeFault(self.chance.choice(STRIPE_FAULTS), "GET /v1/", seconds=0.5))
        else:
            kind, seconds = self.chance.choice(FORTNOX_FAULTS)
            self.house.world.fortnox.faults.add(FortnoxFault(kind, self.chance.choice(FORTNOX_CALLS), seconds=seconds))
        self.report.faults += 1

    def sell(self, every_s: float) -> None:
        """Buyers go on buying, and now and then one wants the money back."""
        chance = random.Random(f"buyers/{self.chance.random()}")
        shop = self.house.business.shop
        while not self.calm.wait(every_s):
            order = shop.buy(chance.choice(shop.products).sku, currency=chance.choice(("sek", "sek", "eur", "nok")))
            if chance.random() < 0.2:
                shop.refund_order(order)
            with suppress(Exception):  # webhooks to a dead page are tried again by the far end
                self.house.world.stripe.deliver_webhooks()

    def blow(self, kills: int, *, pause_s: float) -> None:
        """The storm itself."""
        buyers = threading.Thread(target=self.sell, args=(pause_s,), daemon=True)
        buyers.start()
        try:
            while self.report.kills.total() < kills:
                time.sleep(self.chance.uniform(0.2, 2 * pause_s))
                for _ in range(self.chance.randint(0, 2)):
                    self.fail()
                self.strike()
                self.want()
        finally:
            self.calm.set()
            buyers.join(30)

    def want(self) -> int:
        """Press Sync now, in a house that may just have no database."""
        services, company_id = self.house.town.services, self.house.company_id
        return patiently(lambda: runs.want(services, company_id, "click"), "wanting a run")

    def settle(self, timeout_s: float) -> None:
        """No more kills, no more faults: run until two runs in a row have nothing left to do."""
        self.house.world.fortnox.faults.clear()
        self.house.world.stripe.faults.clear()
        self.fleet.start_missing()
        self.house.world.fortnox.run_zombies()
        services, company_id = self.house.town.services, self.house.company_id
        for _ in range(3):
            run_id = self.want()
            deadline = time.monotonic() + timeout_s
            while (view := runs.view(services, company_id, run_id)).state == "running":
                assert time.monotonic() < deadline, f"a run that does not end: {view}"
                time.sleep(0.2)


@contextmanager
def storm(seed: int, sales: int) -> Iterator[Storm]:
    """A company with a month of sales behind it, and everything running."""
    world = World.build(
        seed=seed, webhooks=True, fortnox_call_limit=0, kvitt_public_url=f"http://127.0.0.1:{(port := free_port())}"
    )
    with (
        tempfile.TemporaryDirectory(prefix="kvitt-storm-") as folder,
        running_redis() as redis,
        running_postgres(durable=True) as postgres,
    ):
        database = postgres.new_database(migrate)
        with town(database.app_url, database.owner_url, world, {"LEASE_S": str(LEASE_S)}) as built:
            environment = {
                **built.running.environment(),
                "KVITT_ENV": "test",
                "PUBLIC_URL": f"http://127.0.0.1:{port}",
                "DATABASE_URL": database.app_url,
                "DATABASE_OWNER_URL": database.owner_url,
                "REDIS_URL": redis.url,
                "FORTNOX_CALLS_PER_5_S": "0",
                "LOOKUP_QUARANTINE_S": "1",
                "LEASE_S": str(LEASE_S),
            }
            house = _house(built, sales)
            fleet = Fleet(environment, Path(folder), port)
            nudging = built.with_services(nudge=lambda company_id: queue.nudge(redis.url, company_id))
            house.town = nudging
            try:
                fleet.start_missing()
                wait_until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), "the pages", 120)
                yield Storm(house, fleet, redis, postgres, random.Random(f"storm/{seed}"))
            except BaseException:
                sys.stderr.write(fleet.log_tails())
                raise
            finally:
                fleet.stop()


def _house(built: Town, sales: int) -> House:
    business = built.world.add_business("Fjällbutiken AB", "556677-8899", balance_currencies=("sek", "eur"))
    business.shop.sell_month(sales=sales, days=DAYS_BACK, refund_share=Decimal("0.2"), disputes=1, failed_payout=True)
    house = House(built, business)
    start = (built.world.clock.now() - timedelta(days=DAYS_BACK + 5)).date().isoformat()
    house.opens("plus", start)
    return house


def check(blown: Storm) -> Report:
    """What the storm left: everything once, nothing lost, nothing stuck, nothing held without a reason."""
    house, report = blown.house, blown.report
    house.all_is_well()
    charges = {charge for order in house.business.shop.orders for charge in order.charges}
    invoiced = {
        invoice.text("ExternalInvoiceReference1").split("/")[1] for invoice in house.our_invoices() if invoice.total > 0
    }
    with house.rows() as session:
        held = Counter(session.scalars(select(PartRow.reason).where(PartRow.state == "held")))
        unbooked = set(
            session.scalars(
                select(MovementRow.source_ref)
                .join(PartRow, PartRow.movement_id == MovementRow.id)
                .where(PartRow.name == "amount", PartRow.state.in_(("held", "waiting")))
            )
        )
        stuck = list(session.scalars(select(RunRow.id).where(RunRow.state != "done")))
    assert "" not in held, held
    assert not stuck, f"runs that did not end: {stuck}"
    assert charges - invoiced <= unbooked, f"sales that came to nothing: {sorted(charges - invoiced - unbooked)[:5]}"
    assert not charges & invoiced & unbooked, "booked and held at once"
    report.sales = len(charges)
    report.refunds = sum(len(order.refunds) for order in house.business.shop.orders)
    report.payouts = len(house.stripe.payouts)
    report.documents, report.held = house.kinds(), held
    return report


def run_storm(seed: int, kills: int, sales: int, pause_s: float = 0.8, settle_s: float = 600) -> Report:
    """Blow, settle, check. Raises `AssertionError` for whatever is wrong afterwards."""
    started = time.monotonic()
    with storm(seed, sales) as blown:
        blown.blow(kills, pause_s=pause_s)
        blown.settle(settle_s)
        report = check(blown)
    report.seconds = round(time.monotonic() - started)
    return report


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="several: one storm after the other")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sales", type=int, default=1000)
    options = parser.parse_args()
    for seed in options.seed or [1]:
        print(f"Storm {seed}: {options.kills} kills over {options.sales} sales ...", flush=True)
        print(run_storm(seed, options.kills, options.sales), flush=True)
    print("Each document stands once, and books and provider agree.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
