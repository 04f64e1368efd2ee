"""The processes that `bench.own_time` measures: `worker` runs companies, `bare` makes recorded calls in a loop.

Each reads lines of JSON and answers each with one; CPU is that of the process, in seconds, user and system.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from typing import Any


def worker(question: dict[str, Any]) -> dict[str, Any]:
    """Run a company to the end at an instant."""
    from addon.services import runs
    from bench.beds import build_services

    if not _services:
        _services.append(build_services(dict(os.environ), _now))
    _instant[:] = [datetime.fromisoformat(question["now"])]
    started, at = time.process_time(), time.monotonic()
    view = runs.run_to_end(_services[0], question["company"], patience_s=120)
    return {
        "cpu_s": time.process_time() - started,
        "wall_s": time.monotonic() - at,
        "state": view.state,
        "counts": dict(view.counts),
    }


_services: list[Any] = []
_instant: list[datetime] = []


def _now() -> datetime:
    return _instant[0]


def bare(question: dict[str, Any]) -> dict[str, Any]:
    """Make each call with httpx, and read its JSON."""
    import httpx

    with httpx.Client(base_url=question["url"]) as client:
        started = time.process_time()
        for call in question["requests"]:
            body = json.loads(call["body"]) if call["headers"].get("Content-Type") == "application/json" else None
            content = call["body"] if body is None else None
            reply = client.request(
                call["method"], call["target"], headers=call["headers"], json=body, content=content or None
            )
            if "json" in reply.headers["content-type"]:
                reply.json()
        return {"cpu_s": time.process_time() - started}


def main() -> None:
    """Answer until the other side has nothing more to ask."""
    answer = {"worker": worker, "bare": bare}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
