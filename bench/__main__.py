"""`python -m bench`: measure the budgets, print them as a table or as JSON; status 1 when one is missed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from bench.counts import count_basic, count_plus, count_second_runs
from bench.economic import count_economic
from bench.rows import Row, print_table

Measure = Callable[[], list[Row]]


def _counts() -> list[tuple[str, Measure]]:
    return [
        ("calls per document, Plus", count_plus),
        ("calls per document, Basic", count_basic),
        ("second runs", count_second_runs),
        ("calls per document, e-conomic", count_economic),
    ]


def _clocks() -> list[tuple[str, Measure]]:
    """Measured by a clock. Imported here, because counting needs neither PostgreSQL nor Redis."""
    from bench.own_time import measure_own_time
    from bench.pace import measure_pace
    from bench.rates import measure_ingest, measure_planning
    from bench.size import measure_memory, measure_pages

    return [
        ("planning", measure_planning),
        ("ingest", measure_ingest),
        ("own time per call", measure_own_time),
        ("use of the limit", measure_pace),
        ("pages", measure_pages),
        ("memory", measure_memory),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="counts only: no clock, no PostgreSQL, no Redis")
    parser.add_argument("--json", action="store_true", help="JSON in place of the table")
    parser.add_argument("--only", metavar="NAME", help="measures whose name begins with this, such as: pages")
    options = parser.parse_args(arguments)
    progress = Console(stderr=True, quiet=not sys.stderr.isatty())
    rows: list[Row] = []
    for name, measure in _counts() if options.quick else [*_counts(), *_clocks()]:
        if options.only and not name.startswith(options.only):
            continue
        started = time.monotonic()
        with progress.status(f"Measuring {name}"):
            rows += measure()
        progress.print(f"[dim]{name}: {time.monotonic() - started:.0f} s[/dim]")
    kept = all(row.kept for row in rows)
    if options.json:
        print(json.dumps({"kept": kept, "rows": [row.as_dict() for row in rows]}, indent=2, ensure_ascii=False))
    else:
        print_table(rows)
        missed = [row.what for row in rows if not row.kept]
        print("All budgets are kept." if kept else f"Missed: {', '.join(missed)}.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
