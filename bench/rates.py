"""Records per second: planning in memory, and storing what a provider tells into PostgreSQL.

The records are a simulated month's, repeated under new references. Of a few tries the best counts: whatever
else a machine does can only make a try slower.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import func, select

from addon.core.plan import OpenMovement, PayoutFact, Situation, plan
from addon.core.records import Balance, Dispute, Movement, MovementKind, Payout
from addon.core.rules import Policy
from addon.ports.calls import CallRecord
from addon.ports.payments import Fetched, Page, PayoutItem, ProviderAccount, SourceCapabilities
from addon.services import connections
from addon.services.context import Services
from addon.services.ingest import Fetch, fetch_step
from addon.services.policy import load_policy
from addon.store.database import Database
from addon.store.migrate import migrate
from addon.store.models import Company, Connection, MovementRow
from bench.beds import build_services
from bench.counts import Bench, WentWrong, bench_for
from bench.rows import Row, ratio
from tests.servers import PostgresServer, running_postgres

SALES = 200
RECORDS = 6_000
PASS = 1_000
"""Movements in one planning pass, as `addon.services.booking` takes them."""
PAGE = 100
"""Movements in one of Stripe's pages."""
TRIES = 5
INGEST_TRIES = 2


class _Unheard:
    def record(self, call: CallRecord) -> None:
        """Calls are of no interest here."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a shop: what its provider tells, and the policy of its company."""

    movements: tuple[Fetched[Movement], ...]
    payouts: tuple[Fetched[Payout], ...]
    policy: Policy

    def repeated(self, number: int) -> tuple[Fetched[Movement], ...]:
        """So many movements: the month's, again and again under new references."""
        made: list[Fetched[Movement]] = []
        for again in range(-(-number // len(self.movements))):
            made += [replace(item, value=_renamed(item.value, f"~{again}")) for item in self.movements]
        return tuple(made[:number])


def _renamed(movement: Movement, suffix: str) -> Movement:
    return replace(
        movement,
        ref=movement.ref + suffix,
        source_ref=movement.source_ref and movement.source_ref + suffix,
        original_ref=movement.original_ref and movement.original_ref + suffix,
    )


@cache
def sold_month() -> Month:
    """Sell for a month, and read what the provider tells."""
    with bench_for("plus") as bench:
        bench.business.stripe.payouts_enabled = True
        bench.turn(31)
        bench.shop.sell_month(sales=SALES)
        bench.turn(10)
        return _read(bench)


def _read(bench: Bench) -> Month:
    services, now = bench.town.services, bench.world.clock.now()
    with services.db.company_reading(bench.company_id) as session:
        connection = session.scalars(select(Connection)).one()
        books = connections.load_books(session)
        if books is None:
            raise WentWrong("the books were not read")
        policy = load_policy(services, session, session.get_one(Company, bench.company_id), connection, books)
    source = connections.payment_source(services, bench.company_id, connection.id, _Unheard())
    movements: list[Fetched[Movement]] = []
    payouts: list[Fetched[Payout]] = []
    since, cursor = now - timedelta(days=50), None
    while True:
        page = source.fetch_movements(since, now, cursor)
        movements += page.items
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    cursor = None
    while True:
        paid = source.fetch_payouts(since, cursor)
        payouts += paid.items
        if paid.next_cursor is None:
            return Month(tuple(movements), tuple(payouts), policy)
        cursor = paid.next_cursor


# --- Planning ---------------------------------------------------------------------------------------------------


def measure_planning(month: Month | None = None) -> list[Row]:
    """Movements planned in a second of one core, in passes as large as a run's."""
    month = month or sold_month()
    at_once = range(max(1, PASS // len(month.movements)))
    situations = [_situation(month, [f"~{again}.{n}" for n in at_once]) for again in range(TRIES)]
    best = 0.0
    documents = 0
    for situation in situations:
        started = time.thread_time()
        result = plan(situation, month.policy)
        best = max(best, len(situation.movements) / (time.thread_time() - started))
        documents = len(result.documents)
    how = f"{len(situations[0].movements):,} movements into {documents:,} documents in one pass"
    return [Row("planning", ratio(best, 0), "records/s per core", "at least", 5_000, how)]


def _situation(month: Month, suffixes: Sequence[str]) -> Situation:
    """Several months at once, all of it fresh."""
    movements = [_renamed(item.value, suffix) for suffix in suffixes for item in month.movements]
    return Situation(
        movements=tuple(
            OpenMovement(movement, frozenset(part.name for part in movement.parts()), month.policy.today)
            for movement in movements
        ),
        payouts={
            item.value.ref + suffix: PayoutFact(replace(item.value, ref=item.value.ref + suffix), item.value.amount, 0)
            for suffix in suffixes
            for item in month.payouts
        },
        sales={},
        known_sales=frozenset(movement.source_ref for movement in movements if movement.kind is MovementKind.SALE),
        matches={},
        known_customers=frozenset(),
        fee_vouchers={},
        payments_under_way={},
        payout_vouchers={},
    )


# --- Ingest -----------------------------------------------------------------------------------------------------


class _Pages:
    """A provider that tells prepared pages at once."""

    capabilities = SourceCapabilities("Prepared", itemises_payouts=False, balance_is_current=True, lateness_s=0)

    def __init__(self, movements: Sequence[Fetched[Movement]]) -> None:
        self._movements = movements

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        start = int(cursor or 0)
        items = tuple(self._movements[start : start + PAGE])
        after = start + PAGE
        return Page(items, str(after) if after < len(self._movements) else None)

    def fetch_payouts(self, since: datetime, cursor: str | None) -> Page[Fetched[Payout]]:
        return Page((), None)

    def fetch_disputes(self, since: datetime, cursor: str | None) -> Page[Fetched[Dispute]]:
        return Page((), None)

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        return Page((), None)

    def fetch_account(self) -> ProviderAccount:
        return ProviderAccount("acct_prepared", "Prepared", "SE", "SEK", live=True)

    def fetch_balances(self) -> tuple[Balance, ...]:
        return ()

    def disconnect(self) -> None:
        """There is nothing to give up."""


class EndlessPages(_Pages):
    """A provider that makes its pages when it is asked: a few movements, again and again under new references."""

    def __init__(self, movements: Sequence[Fetched[Movement]], number: int) -> None:
        super().__init__(movements)
        self._number = number

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        start = int(cursor or 0)
        after = min(start + PAGE, self._number)
        items = []
        for place in range(start, after):
            again, index = divmod(place, len(self._movements))
            item = self._movements[index]
            items.append(replace(item, value=_renamed(item.value, f"~{again}")))
        return Page(tuple(items), str(after) if after < self._number else None)


def measure_ingest(month: Month | None = None) -> list[Row]:
    """Movements stored in a second, page by page with their parts and raw records.

    Seconds of work, ours and PostgreSQL's together: they take turns, and what else the machine does is left out.
    The database knows its tables as it does a minute after the first page, when it has looked at them by itself.
    """
    month = month or sold_month()
    movements = month.repeated(RECORDS + PASS)
    best, how = 0.0, ""
    with running_postgres() as server:
        for _ in range(INGEST_TRIES):
            owner_url, app_url = server.new_database(migrate)
            services = build_services({"KVITT_ENV": "test", "DATABASE_URL": app_url, "DATABASE_OWNER_URL": owner_url})
            company_id, connection_id = prepared_company(services.db, services.now())

            def fetch(
                part: Sequence[Fetched[Movement]],
                services: Services = services,
                company_id: int = company_id,
                connection_id: int = connection_id,
            ) -> tuple[float, float]:
                started, begun = time.monotonic(), time.process_time() + worked(server)
                state = Fetch()
                while state.stage == "movements":
                    state = fetch_step(services, company_id, connection_id, _Pages(part), state)
                return time.process_time() + worked(server) - begun, time.monotonic() - started

            fetch(movements[RECORDS:])
            with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
                owner.execute("analyze")
            work_s, wall_s = fetch(movements[:RECORDS])
            again_s, _ = fetch(movements[:RECORDS])
            with services.db.company_reading(company_id) as session:
                stored = session.scalar(select(func.count()).select_from(MovementRow))
            services.db.close()
            if stored != len(movements):
                raise WentWrong(f"{stored} of {len(movements)} movements were stored")
            if RECORDS / work_s > best:
                best = RECORDS / work_s
                how = (
                    f"{RECORDS:,} movements in pages of {PAGE}, {RECORDS / wall_s:,.0f}/s by the wall clock here; "
                    f"fetched once more {RECORDS / again_s:,.0f}/s"
                )
    return [Row("ingest into PostgreSQL", ratio(best, 0), "records/s", "at least", 2_000, how)]


def worked(server: PostgresServer) -> float:
    """Seconds that the server's processes have worked, user and system."""
    assert server.child is not None
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == server.child.pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def prepared_company(db: Database, now: datetime) -> tuple[int, int]:
    """A company with a connection, and nothing more; the ids of both."""
    with db.open() as session:
        company = Company(name="Prepared AB", accounting="fortnox", tenant="1", created_at=now)
        session.add(company)
        session.flush()
        company_id = company.id
    with db.company(company_id) as session:
        connection = Connection(
            provider="stripe",
            way="connect",
            account_ref="acct_prepared",
            grant_sealed=b"sealed",
            start_date=(now - timedelta(days=365)).date(),
            connected_at=now,
        )
        session.add(connection)
        session.flush()
        return company_id, connection.id
