"""Processes of Kvitt that are forked out of one that has imported everything, so that a start costs a fork.

What a test needs of `subprocess.Popen` is here too: a process id, the exit status, waiting and killing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from addon.jobs.redis_server import end_with_parent

ROOT: Final = Path(__file__).resolve().parents[2]
LOOKS_EVERY_S: Final = 0.05


def children_of(pid: int) -> list[int]:
    """Direct children of a process that are alive, and no zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, above = path.read_text().rpartition(")")[2].split()[:2]
            if int(above) == pid and state != "Z":
                found.append(int(path.parent.name))
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """SIGKILL for exactly this process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass
class Zygote:
    """The process that forks the others (`tests.storm.zygote`); several threads may give it orders."""

    process: subprocess.Popen[str]
    log: Path
    _statuses: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def begin(cls, log: Path) -> Zygote:
        """Start one; what it complains of goes to a log."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.storm.zygote"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                preexec_fn=end_with_parent,
            )
        made = cls(process, log)
        made._answer()
        return made

    def _answer(self) -> dict[str, Any]:
        line = _pipe(self.process.stdout).readline()
        assert line, f"the zygote has ended: {self.log.read_text(errors='replace')[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order; its answer."""
        with self._lock:
            orders = _pipe(self.process.stdin)
            orders.write(json.dumps(order) + "\n")
            orders.flush()
            return self._answer()

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> Fork:
        """Fork a process: `kvitt …`, `gunicorn …`, or `run COMPANY INSTANT`. Its output goes to the log, if any."""
        to = str(log or os.devnull)
        with self._lock:
            asked = self.ask(do="start", command=list(command), environment=dict(environment), log=to)
            self._statuses.pop(asked["pid"], None)  # of an earlier process that had the same number
        return Fork(self, int(asked["pid"]))

    def status_of(self, pid: int) -> int | None:
        """How a process ended, below nought for a signal; None while it runs."""
        with self._lock:
            if pid not in self._statuses:
                self._statuses.update(self.ask(do="reap")["ended"])
            return self._statuses.get(pid)

    def stop(self) -> None:
        """End it; what it has forked dies with it."""
        self.process.kill()
        self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            _pipe(pipe).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@dataclass(frozen=True)
class Fork:
    """One process that a zygote has forked."""

    zygote: Zygote
    pid: int

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.zygote.status_of(self.pid)

    def wait(self, timeout_s: float) -> int:
        """Its exit status, when it has ended."""
        deadline = time.monotonic() + timeout_s
        while (status := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} does not end within {timeout_s} s"
            time.sleep(LOOKS_EVERY_S)
        return status

    def kill(self) -> None:
        """Gone at once."""
        if self.poll() is None:
            kill(self.pid)

    def send_signal(self, number: signal.Signals) -> None:
        """Tell it something."""
        if self.poll() is None:
            os.kill(self.pid, number)
