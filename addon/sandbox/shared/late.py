"""Requests that are carried out after their connection died, and the count of those that came in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from flask import Flask

from addon.sandbox.clock import Clock
from addon.sandbox.shared.gate import carry_out

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Came(Protocol):
    """A request that reached a simulated system."""

    @property
    def company(self) -> int | None:
        """Whose books it was about."""
        ...

    @property
    def method(self) -> str:
        """GET, POST …"""
        ...

    @property
    def path(self) -> str:
        """Its path, without a query."""
        ...


@dataclass(slots=True)
class Zombie:
    """A request whose connection died, and which is carried out all the same, later."""

    environ: WSGIEnvironment
    body: bytes
    due_at: datetime | None


def count(calls: Iterable[Came], company: int | None, method: str | None, path_prefix: str | None) -> int:
    """How many requests came in: of one company, of one method, to paths that begin so."""
    return sum(
        1
        for call in calls
        if (company is None or call.company == company)
        and (method is None or call.method == method)
        and (path_prefix is None or call.path.startswith(path_prefix))
    )


class LateRequests(ABC):
    """A world in which requests may come late. Its `lock` is held while the list is looked at, not while one runs."""

    clock: Clock
    lock: RLock
    zombies: list[Zombie]

    @abstractmethod
    def app(self) -> Flask:
        """The app behind the world's gate."""

    def keep_zombie(self, environ: WSGIEnvironment, body: bytes, seconds: float) -> None:
        """Carry a request out later."""
        due_at = self.clock.now() + timedelta(seconds=seconds) if seconds > 0 else None
        with self.lock:
            self.zombies.append(Zombie(environ, body, due_at))

    def run_zombies(self, *, only_due: bool = False) -> list[int]:
        """Carry out the requests that were put off (all, or those whose time has come); their statuses."""
        with self.lock:
            now = self.clock.now()
            ready: Sequence[Zombie] = [
                one for one in self.zombies if not only_due or (one.due_at is not None and one.due_at <= now)
            ]
            for zombie in ready:
                self.zombies.remove(zombie)
        return [carry_out(self.app().wsgi_app, zombie.environ, zombie.body) for zombie in ready]
