"""What does not grow: the time of a page over a million records, and the memory of a long backfill."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from addon.bootstrap import webhook_readers
from addon.config import load_settings
from addon.services import installation
from addon.store.codec import encode
from addon.store.migrate import migrate
from addon.web import create_app
from bench.beds import MONDAY_MORNING, build_services
from bench.counts import WentWrong
from bench.rates import Month, prepared_company, sold_month, worked
from bench.rows import Row, ratio
from tests.servers import running_postgres

RECORDS = 1_000_000
BACKFILL = 100_000
ASKED = 20
"""How often each page is asked for, after a first time that does not count."""
PAGES = (
    "/overview",
    "/transactions",
    "/transactions?search=20077",
    "/transactions?search=buyer77",
    "/transactions?currency=SEK",
    "/payouts",
    "/inbox",
    "/activity",
)
ROOT = Path(__file__).resolve().parents[1]

_MOVEMENTS = """
    insert into movements (company_id, connection_id, ref, kind, amount_minor, net_minor, currency, occurred_at,
        booking_date, source_ref, original_ref, payout_ref, presented_currency, order_number, buyer,
        value, raw, fetched_at)
    select %(company)s, %(connection)s, 'txn_' || n, 'sale', 10000 + n %% 90000, 10000 + n %% 90000, 'SEK',
        %(last)s::timestamptz - n * interval '30 seconds',
        (%(last)s::timestamptz - n * interval '30 seconds')::date, 'ch_' || n, '', 'po_' || n / 500, '',
        (n + 20000)::text, 'buyer' || n || '@example.com', %(value)s, '{}', %(last)s
    from generate_series(1, %(records)s) n"""
_PARTS = """
    insert into parts (company_id, connection_id, movement_id, name, kind, amount_minor, currency, state, reason,
        facts, changed_at, set_aside_by, set_aside_where)
    select company_id, connection_id, id, 'amount', 'amount', amount_minor, currency,
        case when id %% 10000 = 0 then 'held' else 'open' end,
        case when id %% 10000 = 0 then 'no_order_number' else '' end, '{}', fetched_at, '', ''
    from movements"""


def measure_pages(records: int = RECORDS) -> list[Row]:
    """The 95th percentile of the slowest page's time, over so many records of one company in PostgreSQL.

    Time of work, ours and PostgreSQL's together: they take turns, and what else the machine does is left out.
    """
    movement = sold_month().movements[0].value
    with running_postgres() as server:
        owner_url, app_url = server.new_database(migrate)
        settings = {"KVITT_ENV": "sandbox", "DATABASE_URL": app_url, "DATABASE_OWNER_URL": owner_url}
        loaded = load_settings(settings)
        services = build_services(settings, lambda: MONDAY_MORNING)
        company_id, connection_id = prepared_company(services.db, MONDAY_MORNING - timedelta(days=400))
        given = {
            "company": company_id,
            "connection": connection_id,
            "last": MONDAY_MORNING,
            "value": json.dumps(encode(movement)),
            "records": records,
        }
        # The superuser stands outside row-level security, and may therefore fill a table in one statement.
        superuser = owner_url.replace("+psycopg", "").replace("kvitt_owner@", "postgres@")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(_MOVEMENTS, given)
            connection.execute(_PARTS, given)
            connection.execute("update companies set state = 'active'")
            connection.execute("update connections set mode = 'plus'")
            connection.execute("analyze")
        app = create_app(services, loaded, webhook_readers(loaded))
        app.config["RATELIMIT_ENABLED"] = False
        client = app.test_client()
        client.set_cookie("kvitt", installation.sign_in(services, company_id, "Bench"))
        slowest, wall, where = 0.0, 0.0, ""
        for path in PAGES:
            times = []
            for _ in range(ASKED + 1):
                started, begun = time.monotonic(), time.process_time() + worked(server)
                answer = client.get(path)
                times.append((time.process_time() + worked(server) - begun, time.monotonic() - started))
                if answer.status_code != 200:
                    raise WentWrong(f"{path} answers {answer.status}, {answer.location}")
            late = sorted(times[1:])[int(ASKED * 0.95) - 1][0]
            if late > slowest:
                slowest, where = late, path
                wall = sorted(took for _, took in times[1:])[int(ASKED * 0.95) - 1]
        services.db.close()
    how = (
        f"the slowest of {len(PAGES)} pages, {where}, over {records:,} records; each asked {ASKED} times; "
        f"{wall * 1000:,.0f} ms by the wall clock here"
    )
    return [Row("pages, 95th percentile", ratio(slowest * 1000, 0), "ms", "at most", 150, how)]


def measure_memory(records: int = BACKFILL) -> list[Row]:
    """The most memory that a process has had while it fetched so many records into PostgreSQL."""
    month = sold_month()
    with running_postgres() as server, _kept(month) as path:
        owner_url, app_url = server.new_database(migrate)
        settings = {"KVITT_ENV": "test", "DATABASE_URL": app_url, "DATABASE_OWNER_URL": owner_url}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        child = subprocess.run(
            [sys.executable, "-m", "bench.size", path, str(records)],
            cwd=ROOT,
            env={**inherited, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
    told = json.loads(child.stdout)
    how = f"{records:,} records fetched; {told['tenth_mib']} MiB after a tenth of them"
    return [Row("memory of a backfill", int(told["all_mib"]), "MiB", "at most", 200, how)]


@contextmanager
def _kept(month: Month) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(suffix=".month") as file:
        file.write(pickle.dumps(month))
        file.flush()
        yield file.name


def _highest_mib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def main(path: str, records: int) -> None:
    """Fetch in this process, and tell its highest memory; the records are made page by page."""
    from addon.services.ingest import Fetch, fetch_step
    from bench.rates import EndlessPages

    month: Month = pickle.loads(Path(path).read_bytes())
    services = build_services(dict(os.environ))
    company_id, connection_id = prepared_company(services.db, services.now())
    source, state, tenth_mib = EndlessPages(month.movements, records), Fetch(), 0
    while state.stage == "movements":
        state = fetch_step(services, company_id, connection_id, source, state)
        if not tenth_mib and state.fetched >= records // 10:
            tenth_mib = _highest_mib()
    print(json.dumps({"tenth_mib": tenth_mib, "all_mib": _highest_mib()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
