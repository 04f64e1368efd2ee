"""Small real things that connectors are given in tests: a token that never ends, a list of calls, a turned clock."""

from dataclasses import dataclass, field

from addon.ports.calls import CallRecord, Lane
from addon.ports.errors import NeedsReconnect


@dataclass
class CallLog:
    """Keeps what an observer is told."""

    calls: list[CallRecord] = field(default_factory=list)

    def record(self, call: CallRecord) -> None:
        self.calls.append(call)

    def lines(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.calls]


@dataclass
class Tokens:
    """A source with one token after the other."""

    tokens: list[str]
    renewals: int = 0

    def current(self) -> str:
        return self.tokens[0]

    def renew(self, stale: str) -> str:
        self.renewals += 1
        if len(self.tokens) < 2:
            raise NeedsReconnect("no more tokens")
        if self.tokens[0] == stale:
            self.tokens.pop(0)
        return self.tokens[0]


@dataclass
class WatchedPace:
    """Lets everything through and remembers."""

    lanes: list[Lane] = field(default_factory=list)
    refusals: list[int | None] = field(default_factory=list)

    def wait(self, lane: Lane) -> None:
        self.lanes.append(lane)

    def refused(self, retry_after_s: int | None) -> None:
        self.refusals.append(retry_after_s)
