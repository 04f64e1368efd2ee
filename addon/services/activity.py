"""The log of who did what: settings, approvals, repairs, connections. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from addon.store.models import ActivityRow

KVITT: Final = "Kvitt"
"""Who did it, where no person did."""

_LONGEST_TEXT = 500
_LONGEST_ORIGIN = 60

_request_from: ContextVar[str] = ContextVar("request_from", default="")
_process: dict[str, str] = {}


def process_is(name: str) -> None:
    """Say what this process is: `web`, `worker`, `clock` or `command`. It is the origin of what no request asks for."""
    _process["name"] = name


def come_from(address: str) -> None:
    """Say which network address the request at hand comes from; "" when it is over."""
    _request_from.set(address)


def origin() -> str:
    """Where what happens now was asked for: a browser's network address, or the kind of process."""
    return _request_from.get() or _process.get("name", "")


def record(session: Session, who: str, what: str, facts: Mapping[str, Any], now: datetime) -> None:
    """Add a line to the log of the company that the session is bound to. The caller commits.

    `what` is a word like `settings_changed`; `facts` fill the sentence that the page makes of it.
    """
    session.add(
        ActivityRow(
            at=now,
            who=who or KVITT,
            origin=origin()[:_LONGEST_ORIGIN],
            what=what,
            facts={name: value[:_LONGEST_TEXT] if isinstance(value, str) else value for name, value in facts.items()},
        )
    )
