"""The calls that were made to the outside for a company, kept so that anyone can ask which of them did what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.ports.calls import CallRecord
from addon.services.context import Services
from addon.store.deliveries import insert_calls


class CallLog:
    """Collects calls while they are made, in any thread, and writes them when no transaction is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        """Take note of one call."""
        with self._lock:
            self._calls.append(call)

    def take(self) -> tuple[CallRecord, ...]:
        """What has been noted since the last time, and forget it."""
        with self._lock:
            calls, self._calls = tuple(self._calls), []
        return calls

    def save(self, services: Services, company_id: int, run_id: int | None = None) -> None:
        """Write what has been noted into the company's log of calls, in a transaction of its own."""
        with self._lock:
            if not self._calls:
                return
        with services.db.company(company_id) as session:
            self.save_in(session, run_id)

    def save_in(self, session: Session, run_id: int | None = None, delivery_id: int | None = None) -> None:
        """The same in a transaction that is open anyway. The caller commits."""
        save_calls(session, self.take(), run_id, delivery_id)

    def put_back(self, calls: Sequence[CallRecord]) -> None:
        """Note again what was taken and could not be written."""
        with self._lock:
            self._calls[:0] = calls


def save_calls(
    session: Session, calls: Sequence[CallRecord], run_id: int | None = None, delivery_id: int | None = None
) -> None:
    """Write calls into the company's log of calls. The caller commits."""
    if calls:
        insert_calls(session, [_columns(call, run_id, delivery_id) for call in calls])


def _columns(call: CallRecord, run_id: int | None, delivery_id: int | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "delivery_id": delivery_id,
        "at": call.at,
        "system": call.system,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "duration_ms": call.duration_ms,
        "request_ref": call.request_ref,
        "note": call.note,
    }
