"""A process that has imported all of Kvitt and forks web servers, workers and clocks, so that a start costs a fork.

Orders come as lines of JSON and are answered by one line each. When whoever gives the orders is gone, so are the
zygote and all that it has forked. Tests give them by `tests.support.forks.Zygote`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
from datetime import datetime
from typing import Any, Final, NoReturn

import gunicorn.app.wsgiapp
import gunicorn.workers.gthread
import redis
import rq.worker

import addon.jobs.schedule
import addon.jobs.tasks
import addon.jobs.worker
import addon.services.health
import addon.web
from addon import bootstrap, cli
from addon.config import load_settings
from addon.services import runs
from tests.support.engines import share_what_is_compiled

_PR_SET_PDEATHSIG: Final = 1


def _become(order: dict[str, Any]) -> NoReturn:
    """In the fork: turn into one of Kvitt's processes."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.update(order["environment"])
        sys.argv = list(order["command"])
        if sys.argv[0] == "gunicorn":
            gunicorn.app.wsgiapp.run()
        elif sys.argv[0] == "run":
            _run_company(int(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
        else:
            cli.main(args=sys.argv[1:], prog_name=sys.argv[0])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_company(company_id: int, at: datetime) -> None:
    """Run a company to the end in this process, at a time that stands still."""
    services = bootstrap.build(load_settings(), now=lambda: at, nudge=lambda _company_id: None)
    view = runs.run_to_end(services, company_id, patience_s=120)
    services.db.close()
    if view.state != "done":
        raise SystemExit(f"{view.state}: {view.message}")


def _ended() -> list[tuple[int, int]]:
    """Children that have ended since the last question: process id and exit status, below nought for a signal."""
    found = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def _warm_up(order: dict[str, Any]) -> int:
    """Do a small company's work in this very process: what SQLAlchemy and pydantic make for it, forks need not make
    again, which is most of what a short slice takes. How many threads are left afterwards: a fork wants one.
    """
    share_what_is_compiled()
    settings = load_settings({**os.environ, **order["environment"]})
    services = bootstrap.build(settings, nudge=lambda _company_id: None)
    view = runs.run_to_end(services, order["company"], patience_s=120)
    if view.state != "done":
        raise SystemExit(f"the warm-up: {view}")
    services.db.close()
    gc.collect()
    gc.freeze()
    return threading.active_count()


def main() -> None:
    """Serve until the orders end."""
    bootstrap.preload()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    while line := sys.stdin.readline():
        order = json.loads(line)
        if order["do"] == "warm":
            print(json.dumps({"threads": _warm_up(order)}), flush=True)
        elif order["do"] == "start":
            pid = os.fork()
            if not pid:
                _become(order)
            print(json.dumps({"pid": pid}), flush=True)
        else:
            print(json.dumps({"ended": _ended()}), flush=True)


if __name__ == "__main__":
    main()

__all__ = ["addon", "main", "redis", "rq"]
