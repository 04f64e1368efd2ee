"""Failing on demand: faults that strike requests by method and path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import ClassVar, Final

KINDS: Final = frozenset(
    {
        "lost_before",
        "timeout_before",
        "lost_after",
        "error_500_before",
        "error_500_after",
        "html_502_before",
        "html_502_after",
        "rate_limited",
        "unauthorized",
        "truncated_json",
        "slow",
        "zombie",
        "call",
        "call_after",
    }
)


@dataclass(slots=True)
class Fault:
    """What shall happen to requests that match.

    `kind`:
    - `lost_before`: the connection is closed, nothing is done; `timeout_before`: so too, after `seconds`;
    - `lost_after`: done, but the answer is lost; `error_500_after`, `html_502_after`: done, answered by a failure;
    - `error_500_before`, `html_502_before`: a failure, nothing done;
    - `truncated_json`: done, the answer's body breaks off half-way;
    - `rate_limited`: 429, with Retry-After of `seconds` where that is above 0;
    - `unauthorized`: 401 as for credentials that are refused; `slow`: answered after `seconds`;
    - `zombie`: the connection is closed now, the request is carried out later: `seconds` on by the world's clock
      (at the next request after that), or at the world's `run_zombies()` where seconds is 0;
    - `call` / `call_after`: `action()` runs before / after the request, which else goes on (a person in between).
    """

    kind: str
    match: str = ""
    """A regular expression, searched in "METHOD /path" (no query): `POST /3/invoices$`."""
    times: int | None = 1
    """How many matching requests it strikes; None: all."""
    after: int = 0
    """How many matching requests pass first."""
    seconds: float = 0
    company: int | None = None
    """Strikes this company (by its number there) only."""
    action: Callable[[], object] | None = None
    struck: int = 0
    passed: int = 0
    _pattern: re.Pattern[str] = field(init=False, repr=False)
    kinds: ClassVar[frozenset[str]] = KINDS

    def __post_init__(self) -> None:
        if self.kind not in self.kinds:
            raise ValueError(f"unknown kind of fault {self.kind!r}")
        self._pattern = re.compile(self.match)

    def strikes(self, line: str, company: int | None) -> bool:
        """Whether the request is struck now; counts it."""
        if self.company is not None and self.company != company:
            return False
        if not self._pattern.search(line):
            return False
        if self.passed < self.after:
            self.passed += 1
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.struck += 1
        return True


class DroppedConnection(ConnectionResetError):
    """The connection ends without an answer.

    In process it reaches the caller of the WSGI app, where a transport can turn it into its own read error;
    the socket server closes the connection without writing a byte.
    """


class Faults:
    """The faults that are set; the first that strikes a request decides, `call` and `slow` let others follow."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Set a fault."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """The faults that are set, spent ones included."""
        with self._lock:
            return list(self._faults)

    def striking(self, method: str, path: str, company: int | None) -> list[Fault]:
        """The faults for one request: any number of `call` and `slow`, and at most one that ends it."""
        line = f"{method} {path}"
        found = []
        with self._lock:
            for fault in self._faults:
                if fault.strikes(line, company):
                    found.append(fault)
                    if fault.kind not in ("call", "call_after", "slow"):
                        break
        return found


ZOMBIE: Final = "kvitt.sandbox.zombie"
"""Marks, in a WSGI environment, a request that is carried out after its connection died."""
