"""The calls that were made to the outside for a company, kept so that anyone can ask which of them did what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from addon.ports.calls import CallObserver, CallRecord
from addon.services.context import Services
from addon.services.tally import Counter, Tally, Timing
from addon.store.deliveries import Within, insert_calls


class CallLog:
    """Collects calls while they are made, in any thread, and writes them when no transaction is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        """Take note of one call."""
        with self._lock:
            self._calls.append(call)

    def take(self, key: str = "") -> tuple[CallRecord, ...]:
        """What has been noted since the last time, and forget it. With a step's key: but for what is another step's."""
        with self._lock:
            left = [call for call in self._calls if key and call.concerns not in ("", key)]
            calls = tuple(call for call in self._calls if not key or call.concerns in ("", key))
            self._calls = left
        return calls

    def save(self, services: Services, company_id: int, run_id: int | None = None) -> None:
        """Write what has been noted into the company's log of calls, in a transaction of its own."""
        with self._lock:
            if not self._calls:
                return
        with services.db.company(company_id) as session:
            self.save_in(session, run_id)

    def save_in(
        self, session: Within, run_id: int | None = None, delivery_id: int | None = None, key: str = ""
    ) -> None:
        """The same in a transaction that is open anyway. The caller commits."""
        save_calls(session, self.take(key), run_id, delivery_id)

    def put_back(self, calls: Sequence[CallRecord]) -> None:
        """Note again what was taken and could not be written."""
        with self._lock:
            self._calls[:0] = calls


class CountedCalls:
    """Counts each call for whoever runs the installation, and tells the observer that a use case gave."""

    def __init__(self, tally: Tally, observer: CallObserver | None = None) -> None:
        self._tally = tally
        self._observer = observer

    def record(self, call: CallRecord) -> None:
        """Take note of one call."""
        self._tally.count(Counter.CALLS, system=call.system, outcome=_outcome(call.status))
        self._tally.time(Timing.CALL, call.duration_ms / 1000, system=call.system)
        if self._observer is not None:
            self._observer.record(call)


def _outcome(status: int | None) -> str:
    if status is None:
        return "no_answer"
    if status == 429:
        return "too_many"
    return "answered" if status < 400 else "refused" if status < 500 else "failed"


def save_calls(
    session: Within, calls: Sequence[CallRecord], run_id: int | None = None, delivery_id: int | None = None
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
