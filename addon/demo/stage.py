"""Everything that runs during the demo, as child processes: the simulated world, Redis, pages, workers, the clock."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from addon.bootstrap import build
from addon.config import Settings, load_settings
from addon.demo.browser import Browser, DemoFailed
from addon.jobs.redis_server import EmbeddedRedis, end_with_parent, free_port
from addon.services import installation
from addon.services.context import Services
from addon.store.migrate import migrate

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
WORKERS: Final = 2

KEPT_FROM_OUTSIDE: Final = ("DATABASE_URL", "DATABASE_OWNER_URL")
"""What the user may set for the demo: a PostgreSQL to use instead of a file."""


class Children:
    """The processes that we started; ended by their own ids, youngest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[tuple[str, subprocess.Popen[str]]] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, reads: bool = False) -> Any:
        """Start a process with its log in the folder; `reads`: its standard output is ours."""
        log = (self._folder / f"{name}.log").open("w", encoding="utf-8")
        child = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if reads else log,
            stderr=log,
            text=True,
            preexec_fn=end_with_parent,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )
        log.close()
        self._children.append((name, child))
        return child

    def ended(self) -> str | None:
        """The name of a child that has ended by itself."""
        return next((name for name, child in self._children if child.poll() is not None), None)

    def log_tail(self, name: str, lines: int = 25) -> str:
        """The end of a child's log."""
        path = self._folder / f"{name}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End all; bounded."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for _, child in reversed(self._children):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_TIMEOUT_S)


@dataclass(frozen=True)
class Stage:
    """Everything that runs: addresses, settings, services over the same database, processes."""

    kvitt: str
    world: Mapping[str, str]
    settings: Settings
    environment: Mapping[str, str]
    services: Services
    children: Children


def _environment(folder: Path, redis_url: str, kvitt: str, world: Mapping[str, str]) -> dict[str, str]:
    known = set(Settings.names())
    base = {name: value for name, value in os.environ.items() if name not in known or name in KEPT_FROM_OUTSIDE}
    calls = os.environ.get("FORTNOX_CALLS_PER_5_S", "0")
    return {
        **{"DATABASE_URL": f"sqlite:///{folder / 'kvitt.db'}"},
        **base,
        **world,
        "KVITT_ENV": "sandbox",
        "REDIS_URL": redis_url,
        "PUBLIC_URL": kvitt,
        "FORTNOX_CALLS_PER_5_S": calls,
        "PYTHONUNBUFFERED": "1",
    }


def _read_line(child: subprocess.Popen[str], timeout_s: float) -> str:
    assert child.stdout is not None  # noqa: S101 - it was started with a pipe
    ready, _, _ = select.select([child.stdout], [], [], timeout_s)
    return child.stdout.readline() if ready else ""


def _start_world(children: Children, kvitt: str, sales: int) -> tuple[dict[str, str], dict[str, str]]:
    """Start the simulated world; its addresses, and the environment that aims a Kvitt at it."""
    paced = os.environ.get("FORTNOX_CALLS_PER_5_S", "0") != "0"
    command = [
        *(sys.executable, "-m", "addon.sandbox.server"),
        *("--kvitt-url", kvitt, "--sales", str(sales), "--pairs"),
        *("--fortnox-call-limit", "25" if paced else "0"),
    ]
    child = children.start("sandbox", command, {**os.environ, "PYTHONUNBUFFERED": "1"}, reads=True)
    line = _read_line(child, START_TIMEOUT_S + sales / 20)
    try:
        said = json.loads(line)
    except ValueError:
        raise DemoFailed(f"the simulated world did not start:\n{children.log_tail('sandbox')}") from None
    environment = {str(name): str(value) for name, value in said.pop("environment").items()}
    return {str(name): str(value) for name, value in said.items()}, environment


@contextlib.contextmanager
def stage(sales: int, console: Console) -> Iterator[Stage]:
    """Set everything up in a folder of its own, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="kvitt-demo-"))
    children = Children(folder)
    redis: EmbeddedRedis | None = None
    services: Services | None = None
    try:
        with console.status("Starting the simulated world, Redis, pages, workers and clock"):
            redis = EmbeddedRedis(folder / "redis")
            kvitt = f"http://127.0.0.1:{free_port()}"
            world, aimed = _start_world(children, kvitt, sales)
            environment = _environment(folder, redis.url, kvitt, aimed)
            settings = load_settings(environment)
            migrate(settings.migration_url)
            services = build(settings)
            if installation.companies(services):
                raise DemoFailed("DATABASE_URL names a database with companies in it; the demo wants an empty one")
            _start_kvitt(children, environment, kvitt)
        yield Stage(kvitt, world, settings, environment, services, children)
    finally:
        if services is not None:
            services.db.close()
        children.stop()
        if redis is not None:
            redis.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _start_kvitt(children: Children, environment: Mapping[str, str], kvitt: str) -> None:
    python = sys.executable
    address = urllib.parse.urlsplit(kvitt).netloc
    web = (python, "-m", "gunicorn", "addon.web:create_app()", "--bind", address, "--threads", "8")
    children.start("web", web, environment)
    for number in range(1, WORKERS + 1):
        children.start(f"worker-{number}", (python, "-m", "addon", "worker"), environment)
    children.start("clock", (python, "-m", "addon", "clock", "--tick", "5"), environment)
    browser = Browser()
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(DemoFailed):
            if browser.get(f"{kvitt}/readyz").status == 200:
                return
        ended = children.ended()
        if ended or time.monotonic() > deadline:
            name = ended or "web"
            raise DemoFailed(f"{name} did not start:\n{children.log_tail(name)}")
        time.sleep(0.1)
