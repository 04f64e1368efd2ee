"""Pacing of a company's calls over all our processes: a slot is reserved in Redis, then slept for.

Fortnox refuses the 26th call in any five seconds for each client and company; with some network jitter only
evenly spaced calls use the allowance up without a refusal. A reservation (rather than asking again and
again whether there is room) keeps processes in line: each gets the next slot. Time is Redis' own, so that
our machines' clocks do not matter.

Two lanes: bulk calls keep an even gap, a person's click takes the first slot that the limit itself allows.
A company's slots live in two keys that expire; an epoch key, made when Redis is first seen, holds everybody
for one window after Redis has lost its memory, because then nobody knows which calls have just been made.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Final, cast

from redis import Redis
from redis.exceptions import RedisError

from addon.ports.calls import Lane
from addon.ports.errors import TryLater

EPOCH_KEY: Final = "pace:epoch"
KEEP_MS: Final = 3_600_000

# Microseconds of Redis' clock throughout. Returns how long to sleep; a negative answer is how long it would
# have been where that exceeds the longest wait, and then nothing is reserved.
_RESERVE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local calls, window, gap = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local longest, lane, name, keep = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local slots, next_bulk, not_before, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

redis.call('SET', epoch, string.format('%.0f', now), 'NX')
local slot = math.max(now, tonumber(redis.call('GET', epoch)) + window,
                      tonumber(redis.call('GET', not_before) or '0'))
local bulk = tonumber(redis.call('GET', next_bulk) or '0')
if lane == 'bulk' then slot = math.max(slot, bulk) end
-- The last `calls` slots, future ones included: a window with this one in it must hold fewer of them.
local oldest = redis.call('ZREVRANGE', slots, calls - 1, calls - 1, 'WITHSCORES')
if oldest[2] then slot = math.max(slot, tonumber(oldest[2]) + window) end
if slot - now > longest then return now - slot end

redis.call('ZADD', slots, string.format('%.0f', slot), name)
redis.call('ZREMRANGEBYRANK', slots, 0, -(calls + 1))
redis.call('PEXPIRE', slots, keep)
redis.call('SET', next_bulk, string.format('%.0f', math.max(bulk, slot) + gap), 'PX', keep)
return slot - now
"""

# Returns nothing; nobody's next call leaves before `pause` is over.
_PUSH_ON: Final = """
local clock = redis.call('TIME')
local until_then = clock[1] * 1000000 + clock[2] + tonumber(ARGV[1])
if until_then > tonumber(redis.call('GET', KEYS[1]) or '0') then
    redis.call('SET', KEYS[1], string.format('%.0f', until_then), 'PX', ARGV[2])
end
"""

# Returns how long the lane is still closed after a refusal.
_STILL_CLOSED: Final = """
local clock = redis.call('TIME')
return math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - clock[1] * 1000000 - clock[2])
"""


class RedisPace:
    """Keeps one company's calls under a limit, shared by all processes that use the same Redis and key.

    `calls` in any `window_s` seconds; nobody waits longer than `longest_wait_s`: a slot further off is
    `TryLater`.
    """

    def __init__(
        self,
        redis: Redis,
        key: str,
        *,
        calls: int = 24,
        window_s: float = 5.05,
        longest_wait_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if calls < 1:
            raise ValueError("a pace of no calls at all: use NoPace for no pacing")
        self._calls = calls
        self._window_us = round(window_s * 1_000_000)
        self._gap_us = self._window_us // calls
        self._longest_us = round(longest_wait_s * 1_000_000)
        self._sleep = sleep
        self._slots, self._next_bulk, self._not_before = (
            f"pace:{key}:{part}" for part in ("slots", "next", "not_before")
        )
        self._reserve = redis.register_script(_RESERVE)
        self._push_on = redis.register_script(_PUSH_ON)
        self._still_closed = redis.register_script(_STILL_CLOSED)

    def wait(self, lane: Lane) -> None:
        """Return when the next call may leave. Raises `TryLater` if that would take too long, or Redis is
        away."""
        while True:
            wait_us = self._ask(
                self._reserve,
                [self._slots, self._next_bulk, self._not_before, EPOCH_KEY],
                [
                    self._calls,
                    self._window_us,
                    self._gap_us,
                    self._longest_us,
                    lane.value,
                    uuid.uuid4().hex,
                    KEEP_MS,
                ],
            )
            if wait_us < 0:
                raise TryLater("too many calls are waiting for this company", -(wait_us // 1_000_000))
            if wait_us == 0:
                return
            self._sleep(wait_us / 1_000_000)
            # Somebody may have been refused while we slept: then this slot is no longer a good one.
            if self._ask(self._still_closed, [self._not_before], []) == 0:
                return

    def refused(self, retry_after_s: int | None) -> None:
        """Close the lane for a whole window, or for as long as they ask. Raises `TryLater` if Redis is
        away."""
        pause_us = max(self._window_us, (retry_after_s or 0) * 1_000_000)
        self._ask(self._push_on, [self._not_before], [pause_us, pause_us // 1000 + KEEP_MS])

    def _ask(self, script: Any, keys: list[str], arguments: list[str | int]) -> int:
        try:
            return int(cast(int, script(keys=keys, args=arguments)) or 0)
        except RedisError as error:
            raise TryLater(f"Redis, which paces the calls, is away: {type(error).__name__}") from error


class NoPace:
    """No pacing, for worlds whose limits do not matter."""

    def wait(self, lane: Lane) -> None:
        """Return at once."""

    def refused(self, retry_after_s: int | None) -> None:
        """Take note of nothing: there is no pace to slow down."""
