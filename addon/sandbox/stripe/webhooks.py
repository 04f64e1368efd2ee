"""Webhooks: signed, at least once, in no promised order; with switches for everything that goes wrong."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_S = 10.0

Sender = Callable[[str, dict[str, str], bytes], int]


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The `v1` part: HMAC-SHA256 with the whole secret over `timestamp.body`, hex."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """Send one webhook and tell the HTTP status; to this machine only, as a sandbox bothers nobody else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ValueError(f"the sandbox delivers webhooks to this machine only, not to {url}")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", parts.path or "/", body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@dataclass(slots=True)
class WebhookSwitches:
    """What goes wrong with deliveries.

    `duplicates`: each event that many times more; `reorder`: shuffled; `delay_s`: held back that many real
    seconds; `drop`: the next so many never arrive (-1: none ever does); `wrong_signature`: signed with
    another secret; `paused`: kept until switched off again.
    """

    duplicates: int = 0
    reorder: bool = False
    delay_s: float = 0.0
    drop: int = 0
    wrong_signature: bool = False
    paused: bool = False


@dataclass(slots=True)
class Waiting:
    """A delivery that has not been made."""

    event_id: str
    event_type: str
    url: str
    secret: str
    payload: dict[str, Any]
    not_before: float
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of one attempt; `status` is None where no answer came."""

    event_id: str
    event_type: str
    url: str
    attempt: int
    status: int | None


class Courier:
    """Keeps what is to be delivered and delivers it, by a thread of its own or when asked."""

    def __init__(self, now_seconds: Callable[[], int], seed: int = 1, sender: Sender = post) -> None:
        self.switches = WebhookSwitches()
        self.sender = sender
        self.log: list[Delivered] = []
        self.retry_after_s = 2.0
        self.attempts = 3
        self._now_seconds = now_seconds
        self._chance = random.Random(seed)
        self._waiting: list[Waiting] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many deliveries are still to be made."""
        with self._lock:
            return len(self._waiting)

    def enqueue(self, event_id: str, event_type: str, url: str, secret: str, payload: dict[str, Any]) -> None:
        """Take on a delivery, with what the switches make of it."""
        with self._lock:
            if self.switches.drop:
                self.switches.drop -= self.switches.drop > 0
                return
            not_before = time.monotonic() + self.switches.delay_s
            for _ in range(1 + self.switches.duplicates):
                self._waiting.append(Waiting(event_id, event_type, url, secret, payload, not_before))

    def deliver(self, *, ignore_delay: bool = True) -> list[Delivered]:
        """Deliver what is due (by default everything); failures wait for another attempt."""
        with self._lock:
            if self.switches.paused:
                return []
            now = time.monotonic()
            due = [waiting for waiting in self._waiting if ignore_delay or waiting.not_before <= now]
            self._waiting = [waiting for waiting in self._waiting if not ignore_delay and waiting.not_before > now]
            if self.switches.reorder:
                self._chance.shuffle(due)
        return [self._attempt(waiting) for waiting in due]

    def _attempt(self, waiting: Waiting) -> Delivered:
        body = json.dumps(waiting.payload, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            status: int | None = self.sender(waiting.url, self.headers(waiting, body), body)
        except (OSError, http.client.HTTPException):
            status = None
        delivered = Delivered(waiting.event_id, waiting.event_type, waiting.url, waiting.attempt, status)
        with self._lock:
            self.log.append(delivered)
            if (status is None or not 200 <= status < 300) and waiting.attempt < self.attempts:
                waiting.not_before = time.monotonic() + self.retry_after_s * 2 ** (waiting.attempt - 1)
                waiting.attempt += 1
                self._waiting.append(waiting)
        return delivered

    def headers(self, waiting: Waiting, body: bytes) -> dict[str, str]:
        """What goes with a body: its signature, which the switches may spoil."""
        timestamp = self._now_seconds()
        secret = "whsec_not_the_secret" if self.switches.wrong_signature else waiting.secret
        return {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (sandbox)",
            "Stripe-Signature": f"t={timestamp},v1={signature(secret, timestamp, body)}",
        }

    def start(self) -> None:
        """Deliver in the background until `stop`."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="stripe-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the background delivery; bounded by one attempt's time-out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_TIMEOUT_S + 1)
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.deliver(ignore_delay=False)
