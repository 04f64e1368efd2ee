"""Kvitt's own processes: started out of a warm zygote, killed by the storm, started again by a supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from addon.jobs.redis_server import end_with_parent

ROOT: Final = Path(__file__).resolve().parents[2]
WORKERS: Final = 2
TICK_S: Final = 0.5
LOOKS_EVERY_S: Final = 0.1
START_S: Final = 120.0


def children_of(pid: int) -> list[int]:
    """Direct children of a process that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, above = path.read_text().rpartition(")")[2].split()[:2]
            if int(above) == pid and state != "Z":
                found.append(int(path.parent.name))
    return found


def kill(pid: int) -> None:
    """SIGKILL for exactly this process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass
class Fleet:
    """What is running of Kvitt. A supervisor starts again whatever has ended, as every platform does."""

    environment: Mapping[str, str]
    folder: Path
    port: int
    starts: Counter[str] = field(default_factory=Counter)
    pids: dict[str, int] = field(default_factory=dict)
    _statuses: dict[int, int] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _calm: threading.Event = field(default_factory=threading.Event)
    _zygote: subprocess.Popen[str] | None = None
    _supervisor: threading.Thread | None = None

    def commands(self) -> dict[str, tuple[str, ...]]:
        """What there is to run, by name; the pages as the Procfile does."""
        pages = ("gunicorn", "app:app", "--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--no-control-socket")
        return {
            "web": pages,
            "clock": ("kvitt", "clock", "--tick", str(TICK_S)),
            **{f"worker-{number}": ("kvitt", "worker") for number in range(1, WORKERS + 1)},
        }

    def begin(self, company_id: int) -> None:
        """Start the zygote, warm it up with the work of a company, then start everything else and the supervisor."""
        with (self.folder / "zygote.log").open("ab") as log:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "tests.storm.zygote"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=end_with_parent,
            )
        self._answer()
        warm = self._ask(do="warm", environment=dict(self.environment), company=company_id)
        assert warm == {"threads": 1}, warm
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()

    def _answer(self) -> dict[str, Any]:
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, f"the zygote has ended: {self.log_tails()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ask(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            assert self._zygote is not None
            assert self._zygote.stdin is not None
            self._zygote.stdin.write(json.dumps(order) + "\n")
            self._zygote.stdin.flush()
            return self._answer()

    def run(self, name: str, command: Sequence[str]) -> int:
        """Fork a process; its id. Its output goes to a log of its name."""
        log = str(self.folder / f"{name}.log")
        asked = self._ask(do="start", log=log, environment=dict(self.environment), command=list(command))
        return int(asked["pid"])

    def _reap(self) -> None:
        self._statuses.update(self._ask(do="reap")["ended"])

    def wait(self, pid: int, timeout_s: float) -> int:
        """The exit status of a process that `run` started."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                self._reap()
                if pid in self._statuses:
                    return self._statuses.pop(pid)
            assert time.monotonic() < deadline, f"process {pid} does not end"
            time.sleep(LOOKS_EVERY_S)

    def _supervise(self) -> None:
        while not self._calm.wait(LOOKS_EVERY_S):
            self.start_missing()

    def start_missing(self) -> None:
        """Start what was killed, or has ended because its database or its Redis was gone."""
        with self._lock:
            self._reap()
            for name, command in self.commands().items():
                pid = self.pids.get(name)
                if pid is not None and pid in self._statuses:
                    del self._statuses[pid], self.pids[name]
                    # A process that ends as soon as it is started must not be started as fast as that.
                    self._not_before.setdefault(name, time.monotonic() + 0.3)
                if name not in self.pids and time.monotonic() >= self._not_before.pop(name, 0):
                    self.pids[name] = self.run(name, command)
                    self.starts[name] += 1

    def kill(self, name: str, rest_s: float) -> None:
        """Kill a process, which comes back after a rest. What it has forked has to see to its own end."""
        with self._lock:
            pid = self.pids.get(name)
            self._not_before[name] = time.monotonic() + rest_s
            if pid is not None:
                kill(pid)

    def forks_of(self, name: str) -> list[int]:
        """The work horses of a worker, the working processes of the web server."""
        with self._lock:
            pid = self.pids.get(name)
        return children_of(pid) if pid is not None else []

    def log_tails(self, lines: int = 15) -> str:
        """The end of each log, for whoever must find out what went wrong."""
        told = []
        for path in sorted(self.folder.glob("*.log")):
            tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            told.append("\n".join([f"--- {path.name}", *tail, ""]))
        return "\n".join(told)

    def stop(self) -> None:
        """End everything; what the zygote has forked dies with it."""
        self._calm.set()
        if self._supervisor is not None:
            self._supervisor.join(30)
        if self._zygote is not None:
            with self._lock:
                for name in self.pids:
                    for pid in (*self.forks_of(name), self.pids[name]):
                        kill(pid)
            self._zygote.kill()
            self._zygote.wait(10)
            for pipe in (self._zygote.stdin, self._zygote.stdout):
                if pipe is not None:
                    pipe.close()
