"""Who is told of each call to the outside, who paces them, and where tokens come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

# --- When a write may begin ---------------------------------------------------------------------------------------

_until: ContextVar[float | None] = ContextVar("kvitt_writes_until", default=None)


def allow_writes_until(instant: float | None) -> None:
    """From now on this thread begins no write after `instant`, a reading of the monotonic clock; None: whenever.

    A write must not outlive the lease under which it is made: whoever takes over would look, find nothing and write
    too. A step may be several calls, and wait for its turn or for a token between them, so it is not enough to look
    at the clock before the step.
    """
    _until.set(instant)


@contextmanager
def writes_until(instant: float) -> Iterator[None]:
    """The same for a block; what was allowed before holds again after it."""
    before = _until.set(instant)
    try:
        yield
    finally:
        _until.reset(before)


def write_is_late(now: float) -> bool:
    """Whether a write that would begin at `now`, by the monotonic clock, might outlive its lease."""
    until = _until.get()
    return until is not None and now > until


# --- What calls are about -----------------------------------------------------------------------------------------

_concerned: ContextVar[str] = ContextVar("kvitt_calls_concern", default="")


@contextmanager
def concerning(key: str) -> Iterator[None]:
    """The calls of this block are about one step among many that go together: the one with this key."""
    before = _concerned.set(key)
    try:
        yield
    finally:
        _concerned.reset(before)


def concerned() -> str:
    """The key of the step that a call made now is about; empty where that goes without saying."""
    return _concerned.get()


# --- Who is told, who paces, and where tokens come from -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One HTTP call as it was made: no tokens, no bodies. `status` None: no readable answer came."""

    at: datetime
    system: str
    method: str
    path: str
    status: int | None
    duration_ms: int
    request_ref: str = ""
    note: str = ""
    concerns: str = ""
    """The key of the step that it was made for, where several are under way together."""


class CallObserver(Protocol):
    """Is told of each call, so that a person can ask which call put an amount into the books."""

    def record(self, call: CallRecord) -> None:
        """Take note of one call."""
        ...


class Lane(StrEnum):
    """How urgent a call is: a person's click goes past the pacing of bulk work, never past the limit."""

    CLICK = "click"
    BULK = "bulk"


class Pace(Protocol):
    """Keeps a company's calls under the other side's limit, over all our processes."""

    def wait(self, lane: Lane) -> None:
        """Return when the next call may leave. Raises `TryLater` if that would take too long."""
        ...

    def refused(self, retry_after_s: int | None) -> None:
        """The other side said "too many": push everybody's next call on."""
        ...


class TokenSource(Protocol):
    """Gives the access token of one connection, renewed under a lock and stored before it is used."""

    def current(self) -> str:
        """A token that should be valid now. Raises `NeedsReconnect`, `TryLater`."""
        ...

    def renew(self, stale: str) -> str:
        """A token other than the one that was refused. Raises `NeedsReconnect`, `TryLater`."""
        ...
