"""The calls that were made to the outside for a company, kept so that anyone can ask which of them did what."""

from __future__ import annotations

import threading

from addon.ports.calls import CallRecord
from addon.services.context import Services
from addon.store.models import CallRow


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
        calls = self.take()
        if not calls:
            return
        with services.db.company(company_id) as session:
            session.add_all(call_row(call, run_id) for call in calls)


def call_row(call: CallRecord, run_id: int | None = None, delivery_id: int | None = None) -> CallRow:
    """The row of a call."""
    return CallRow(
        run_id=run_id,
        delivery_id=delivery_id,
        at=call.at,
        system=call.system,
        method=call.method,
        path=call.path[:300],
        status=call.status,
        duration_ms=call.duration_ms,
        request_ref=call.request_ref[:120],
        note=call.note[:200],
    )
