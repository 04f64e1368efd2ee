"""Whether this installation can work, and does: for load balancers and monitors, which ask every few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from addon.services import gauges
from addon.services.context import Services
from addon.services.tally import Counter
from addon.store.migrate import role_is_walled, schema_is_current

MOST_QUEUE_S: Final = 900.0
"""How long work may wait: the clock ticks once a minute, and a slice takes one at most."""
MOST_UNBOOKED_S: Final = 48 * 3600.0
"""How long what should be booked may be unbooked: longer than from one daily run over the next."""

PROVED_FOR_S: Final = 5.0
"""For how long a write that was taken proves that writes are taken."""

_AWAY: Final = "the database does not answer"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `problem`: what is wrong, in words without secrets; empty where it is well."""

    name: str
    problem: str = ""
    age_s: int | None = None
    """For how long the oldest has waited, where the check is about that."""

    def as_json(self) -> dict[str, Any]:
        """The check as `/readyz` shows it."""
        return {"ok": not self.problem, **({"age_s": self.age_s} if self.age_s is not None else {})}


def checks(services: Services, *, only_pages: bool = False) -> tuple[Check, ...]:
    """Look at everything, or at what pages need: a Redis that is away keeps no page from working."""
    found = [_database(services)]
    if found[0].problem:
        return tuple(found)
    found.append(_writable(services))
    if only_pages:
        return tuple(found)
    if services.queued is not None:
        found.append(_redis(services.queued))
    try:
        with services.db.open_reading() as session:
            numbers = gauges.read(session, services.now(), services.db.now(session))
    except SQLAlchemyError:
        return (*found, Check("queue", _AWAY))
    return (*found, _queue(numbers), _unbooked(numbers))


def database_problem(services: Services) -> str:
    """What keeps a command from working at all; empty if nothing does. A queue that is late or away does not."""
    return _database(services).problem


def _database(services: Services) -> Check:
    try:
        if not schema_is_current(services.db):
            return Check("database", "the database's schema is not this version's: run kvitt migrate")
        if not role_is_walled(services.db):
            return Check(
                "database",
                "the database's role passes row-level security by: give DATABASE_URL one that is no superuser",
            )
    except SQLAlchemyError:
        return Check("database", _AWAY)
    return Check("database")


def _writable(services: Services) -> Check:
    """Write, and see. A disk that is full, or a server that has become a read-only copy, answers every question.

    Anybody may ask whether all is ready: what was written just now proves it for all who ask within seconds.
    """
    if services.tally.proved_within(PROVED_FOR_S):
        return Check("writable")
    services.tally.count(Counter.READY)
    try:
        services.tally.write(services.db)
    except SQLAlchemyError:
        return Check("writable", "the database takes no writes: its disk is full, or it is read-only")
    return Check("writable")


def _redis(queued: Callable[[], int | None]) -> Check:
    away = queued() is None
    return Check("redis", "Redis does not answer: work waits for the clock to find it" if away else "")


def _queue(numbers: gauges.Numbers) -> Check:
    age_s = int(numbers.due_age_s)
    late = age_s > MOST_QUEUE_S
    return Check(
        "queue",
        f"work has waited for {age_s // 60} minutes: are a worker and the clock running?" if late else "",
        age_s,
    )


def _unbooked(numbers: gauges.Numbers) -> Check:
    age_s = int(numbers.unbooked_age_s)
    late = age_s > MOST_UNBOOKED_S
    return Check(
        "unbooked", f"what should be booked has not been for {age_s // 3600} hours: see the log" if late else "", age_s
    )
