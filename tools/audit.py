"""Ask a public service whether any locked package is known to be vulnerable: `make audit`.

An audit that looked at nothing says nothing, so it fails: where no service answers, where a package was left out, or
where the lock is empty. Exit status 0: every locked package was looked up and none is known to be vulnerable; 1: some
are, and are named; 2: it could not be found out.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
SERVICES = ("osv", "pypi")
PATIENCE_S = 300

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Verdict:
    """What came of it, for the exit status and for people."""

    status: int
    text: str


NOTHING = Verdict(2, "nothing was audited")


def locked(lock: Path) -> set[str]:
    """The packages of a lock, by name."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {_plain(name) for name in found}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def judge(report: Any, wanted: set[str]) -> Verdict:
    """Read pip-audit's report: 0 only if every package that counts here was looked up and is sound."""
    entries = report.get("dependencies", []) if isinstance(report, dict) else []
    looked_up = {_plain(str(one["name"])) for one in entries if "vulns" in one}
    skipped = {_plain(str(one["name"])): str(one.get("skip_reason", "")) for one in entries if "vulns" not in one}
    if not looked_up:
        return NOTHING
    # A lock is for several systems; pip-audit reads the lines that count on this one.
    missing = sorted(skipped.keys() & wanted)
    bad = [
        f"{one['name']} {one['version']}: {vuln['id']} (mended in {', '.join(vuln.get('fix_versions', [])) or 'none'})"
        for one in entries
        for vuln in one.get("vulns", ())
    ]
    if bad:
        return Verdict(1, "known to be vulnerable:\n  " + "\n  ".join(bad))
    if missing:
        return Verdict(2, "not looked up: " + ", ".join(f"{name} ({skipped[name]})" for name in missing))
    if len(looked_up & wanted) * 10 < len(wanted) * 9:
        return Verdict(2, f"only {len(looked_up & wanted)} of {len(wanted)} locked packages were audited")
    return Verdict(0, f"{len(looked_up)} packages audited, none known to be vulnerable")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def audit(lock: Path = LOCK, run: Run = _run) -> Verdict:
    """Ask one service after the other until one answers."""
    wanted = locked(lock)
    if not wanted:
        return Verdict(2, f"{lock.name} names no packages")
    told = []
    for service in SERVICES:
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
        command += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
        try:
            done = run(command)
            report = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            told.append(f"{service}: no answer within {PATIENCE_S} s")
        except ValueError:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            told.append(f"{service}: {last[:200]}")
        else:
            verdict = judge(report, wanted)
            if verdict is not NOTHING:
                return Verdict(verdict.status, f"{service}: {verdict.text}")
            told.append(f"{service}: it knows none of the packages")
    return Verdict(2, "nothing was audited, no service answers:\n  " + "\n  ".join(told))


def main() -> int:
    """Audit the lock, and say what came of it."""
    verdict = audit()
    print(f"audit: {verdict.text}", file=sys.stderr if verdict.status else sys.stdout)
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
