"""What a killed process does: a run in a process of its own, in the world of the test that started it."""

import ctypes
import signal
from collections.abc import Mapping
from datetime import datetime

import addon.connectors.fortnox
import addon.connectors.stripe  # noqa: F401 - loaded before the fork, so that each child starts at once
from addon.bootstrap import build
from addon.config import load_settings
from addon.services import runs

_PR_SET_PDEATHSIG = 1


def work(environment: Mapping[str, str], company_id: int, now: str) -> None:
    """Run a company to the end, at a time that stands still."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    at = datetime.fromisoformat(now)
    services = build(load_settings(environment), now=lambda: at, nudge=lambda _: None)
    view = runs.run_to_end(services, company_id, patience_s=60)
    services.db.close()
    if view.state != "done":
        raise SystemExit(f"{view.state}: {view.message}")
