"""What a worker does: take an id, build what is needed in this very process, call one service."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final

from addon.config import load_settings
from addon.log import bind_company, get_logger
from addon.ports.errors import PortError
from addon.services import due, prerequisites, runs
from addon.services.context import Services

_PR_SET_PDEATHSIG: Final = 1
_SHORT_WAIT_S: Final = 5.0
"""A slice that may go on so soon is waited for; a longer pause is left to the clock."""
_TASK_S: Final = 60.0
_AFTER_A_FAULT_S: Final = 60.0


_worker: dict[str, int] = {}
"""The worker's process id, noted before it forks a work horse."""


def note_worker() -> None:
    """Note this process as the worker whose work horses must not outlive it."""
    _worker["pid"] = os.getpid()


_stop = threading.Event()


def stop_soon(_signal: int, _frame: FrameType | None) -> None:
    """Asked to stop: the write at hand is finished and recorded, then the slice ends and others go on."""
    _stop.set()


def ask_to_stop(horse: int | None) -> None:
    """Ask a work horse to stop soon; only its worker may, and one that has just ended needs no asking."""
    if horse and _worker.get("pid") == os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(horse, signal.SIGTERM)


def die_with_parent() -> None:
    """Ask Linux to kill this work horse when its worker dies: an orphan would go on writing unseen."""
    if not sys.platform.startswith("linux") or _worker.get("pid") == os.getpid():
        return
    # Not who the parent is now: a worker that died right after its fork has left its horse to another process.
    parent = _worker.get("pid", os.getppid())
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # The worker died between its fork and this line.
        os.kill(os.getpid(), signal.SIGKILL)


def _services() -> Services:
    from addon.bootstrap import build

    return build(load_settings(), stopping=_stop.is_set)


def run_slice(company_id: int) -> None:
    """Carry the company's work on for one slice; queue the next one where there is more."""
    die_with_parent()
    services = _services()
    try:
        with bind_company(company_id):
            _slice(services, company_id)
    except Exception as error:
        # Whatever it was, the run is still open and must not wait for tomorrow. A database that is away keeps no
        # note either: there the lease runs out, and the clock finds that.
        get_logger(__name__).warning("slice_failed", company_id=company_id, error=type(error).__name__)
        due.come_back(services, company_id, _AFTER_A_FAULT_S)
        raise
    finally:
        services.db.close()


def _slice(services: Services, company_id: int) -> None:
    log = get_logger(__name__)
    ends = time.monotonic() + _TASK_S
    while due.has_work(services, company_id):
        result = runs.run_slice(services, company_id)
        if result.busy or not result.more:
            # Whoever holds the lease sees what is wanted when the slice ends; if it died, the clock finds that.
            return
        pause_s = result.retry_in_s
        if _stop.is_set():
            due.wish(services, company_id)
            services.nudge(company_id)
            log.info("slice_handed_over")
            return
        if pause_s > _SHORT_WAIT_S or time.monotonic() + pause_s > ends:
            due.come_back(services, company_id, pause_s)
            log.info("slice_pauses", pause_s=round(pause_s, 1))
            return
        # From here until the next slice begins nobody holds the lease: the wish is what a sweep would find.
        due.wish(services, company_id)
        if pause_s <= 0:
            # To the end of the queue: a long backfill must not keep other companies waiting. The nudge is dropped
            # where the job of a killed worker still holds the other name; then the clock comes.
            services.nudge(company_id)
            return
        _stop.wait(pause_s)


def check_company(company_id: int) -> None:
    """Check a company's prerequisites; one that was stopped and is well again gets its run."""
    die_with_parent()
    services = _services()
    try:
        with bind_company(company_id):
            try:
                checks = prerequisites.check(services, company_id)
            except PortError as error:
                get_logger(__name__).warning("check_failed", error=f"{type(error).__name__}: {error}")
                return
            if not any(check.stops and not check.ok for check in checks):
                runs.want(services, company_id, "clock")
    finally:
        services.db.close()
