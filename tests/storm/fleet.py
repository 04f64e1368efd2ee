"""Kvitt's own processes: started out of a warm zygote, killed by the storm, started again by a supervisor."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.forks import Fork, Zygote, children_of, kill

WORKERS: Final = 2
TICK_S: Final = 0.5
LOOKS_EVERY_S: Final = 0.1
START_S: Final = 120.0


@dataclass
class Fleet:
    """What is running of Kvitt. A supervisor starts again whatever has ended, as every platform does."""

    environment: Mapping[str, str]
    folder: Path
    port: int
    starts: Counter[str] = field(default_factory=Counter)
    _forks: dict[str, Fork] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _calm: threading.Event = field(default_factory=threading.Event)
    _zygote: Zygote | None = None
    _supervisor: threading.Thread | None = None

    def commands(self) -> dict[str, tuple[str, ...]]:
        """What there is to run, by name; the pages as the Procfile does."""
        pages = ("gunicorn", "app:app", "--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--no-control-socket")
        return {
            "web": pages,
            "clock": ("kvitt", "clock", "--tick", str(TICK_S)),
            **{f"worker-{number}": ("kvitt", "worker") for number in range(1, WORKERS + 1)},
        }

    def begin(self, company_ids: Sequence[int]) -> None:
        """Start the zygote, warm it up with the work of companies, then start everything else and the supervisor."""
        self._zygote = Zygote.begin(self.folder / "zygote.log")
        for company_id in company_ids:
            warm = self._zygote.ask(do="warm", environment=dict(self.environment), company=company_id)
            assert warm == {"threads": 1}, warm
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()

    def run(self, name: str, command: Sequence[str]) -> Fork:
        """Fork a process. Its output goes to a log of its name."""
        assert self._zygote is not None
        return self._zygote.start(command, self.environment, self.folder / f"{name}.log")

    def _supervise(self) -> None:
        while not self._calm.wait(LOOKS_EVERY_S):
            self.start_missing()

    def start_missing(self) -> None:
        """Start what was killed, or has ended because its database or its Redis was gone."""
        with self._lock:
            for name, command in self.commands().items():
                if name in self._forks and self._forks[name].poll() is not None:
                    del self._forks[name]
                    # A process that ends as soon as it is started must not be started as fast as that.
                    self._not_before.setdefault(name, time.monotonic() + 0.3)
                if name not in self._forks and time.monotonic() >= self._not_before.pop(name, 0):
                    self._forks[name] = self.run(name, command)
                    self.starts[name] += 1

    def kill(self, name: str, rest_s: float) -> None:
        """Kill a process, which comes back after a rest. What it has forked has to see to its own end."""
        with self._lock:
            self._not_before[name] = time.monotonic() + rest_s
            if name in self._forks:
                self._forks[name].kill()

    def forks_of(self, name: str) -> list[int]:
        """The work horses of a worker, the working processes of the web server."""
        with self._lock:
            fork = self._forks.get(name)
        return children_of(fork.pid) if fork is not None else []

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
                for name, fork in self._forks.items():
                    for pid in (*self.forks_of(name), fork.pid):
                        kill(pid)
            self._zygote.stop()
