"""The command: storms of several seeds, one after the other or some at once."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from addon.jobs.redis_server import end_with_parent
from tests.storm.ledgers import LEDGERS
from tests.storm.stands import Pair
from tests.storm.storm import run_storm
from tests.storm.tills import TILLS
from tests.support.forks import ROOT

LOGS: Final = ROOT / ".artifacts" / "storm"
SEEDS: Final = (1, 2, 3)
_TOLD: Final = ("kills", "sales", "logs", "accounting", "payments")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run storms; 0 only if every law held in each."""
    parser = argparse.ArgumentParser(prog="storm", description=main.__doc__)
    parser.add_argument("--seed", type=int, action="append", help="several are taken one after the other; 1, 2 and 3")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sales", type=int, default=1000)
    parser.add_argument("--accounting", choices=sorted(LEDGERS), default="fortnox", help="whose books")
    parser.add_argument("--payments", choices=sorted(TILLS), default="stripe", help="whose payments")
    parser.add_argument("--at-once", type=int, default=1, help="so many storms at the same time")
    parser.add_argument("--logs", type=Path, default=LOGS, help="where a failing storm leaves its logs")
    parser.add_argument("--keep-logs", action="store_true", help="also of storms that went well")
    options = parser.parse_args(arguments)
    seeds = options.seed or list(SEEDS)
    if len(seeds) == 1:
        return _one(options, seeds[0])
    with ThreadPoolExecutor(max(1, options.at_once)) as pool:
        statuses = list(pool.map(lambda seed: _apart(options, seed), seeds))
    return max(statuses)


def _one(options: argparse.Namespace, seed: int) -> int:
    pair = f"{options.accounting} + {options.payments}"
    print(f"Storm {seed}, {pair}: {options.kills} kills over {options.sales} sales ...", flush=True)
    folder = options.logs / f"{options.accounting}-{options.payments}-{seed}"
    if folder.exists():
        shutil.rmtree(folder)
    pairs = [Pair(options.accounting, options.payments, mode) for mode in ("plus", "basic")]
    report = run_storm(seed, options.kills, options.sales, folder, pairs)
    print(report, flush=True)
    if report.broken:
        told = f"--seed {seed} --kills {options.kills} --sales {options.sales}"
        pair = f"--accounting {options.accounting} --payments {options.payments}"
        print(f"Again: python -m tests.storm {told} {pair}\nLogs: {folder}", flush=True)
        return 1
    if not options.keep_logs:
        shutil.rmtree(folder)
    return 0


def _apart(options: argparse.Namespace, seed: int) -> int:
    """Each storm in a process of its own: its world is large, and what one leaves must not weigh on the next."""
    told = [f"--{name}={getattr(options, name)}" for name in _TOLD]
    if options.keep_logs:
        told.append("--keep-logs")
    command = [sys.executable, "-m", "tests.storm", f"--seed={seed}", *told]
    return subprocess.run(command, cwd=ROOT, check=False, preexec_fn=end_with_parent).returncode
