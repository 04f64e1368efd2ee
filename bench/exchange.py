"""Calls as they went over the wire: recorded at the simulated far end, and answered once more from the recording."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_KEPT_HEADERS = ("HTTP_AUTHORIZATION", "HTTP_ACCEPT", "HTTP_STRIPE_ACCOUNT", "HTTP_STRIPE_VERSION")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call with its answer."""

    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: str
    content_type: str
    answer: bytes

    def request(self) -> dict[str, Any]:
        """Without the answer, for whoever makes the call again."""
        return {"method": self.method, "target": self.target, "headers": self.headers, "body": self.body}


@dataclass(slots=True)
class Recorder:
    """Middleware that keeps what passes, once it is told to."""

    exchanges: list[Exchange] = field(default_factory=list)
    recording: bool = False

    def around(self, app: Flask) -> None:
        """Put it before an app."""
        app.wsgi_app = self._recording(app.wsgi_app)  # type: ignore[method-assign]

    def _recording(self, inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not self.recording:
                return inner(environ, start_response)
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            told: list[tuple[str, str]] = []

            def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
                told.append((status, dict(headers).get("Content-Type", "")))
                return start_response(status, headers)

            content = b"".join(inner(environ, started))
            self.exchanges.append(_exchange(environ, body, *told[-1], content))
            return [content]

        return answer


def _exchange(environ: WSGIEnvironment, body: bytes, status: str, content_type: str, content: bytes) -> Exchange:
    query = environ.get("QUERY_STRING", "")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): environ[name] for name in _KEPT_HEADERS if name in environ
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    return Exchange(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"] + (f"?{query}" if query else ""),
        headers,
        body.decode(),
        status,
        content_type,
        content,
    )


def replay_app(exchanges: list[Exchange]) -> Callable[..., Iterable[bytes]]:
    """An app that gives the recorded answers, in order, whatever is asked."""
    left: Iterator[Exchange] = iter(exchanges)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = next(left)
        length = str(len(exchange.answer))
        start_response(exchange.status, [("Content-Type", exchange.content_type), ("Content-Length", length)])
        return [exchange.answer]

    return answer


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as the far end saw it: when (`time.monotonic`), whether it writes, what was answered."""

    at: float
    write: bool
    status: int


@contextmanager
def far_away(app: Flask, *, answer_s: float, jitter_s: float, seed: int = 1) -> Iterator[list[Arrival]]:
    """Put distance before an app: a call arrives up to `jitter_s` late, its answer takes `answer_s`.

    Gives the list of arrivals, which grows meanwhile.
    """
    near = app.wsgi_app
    chance = random.Random(seed)
    lock = threading.Lock()
    arrivals: list[Arrival] = []

    def distant(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with lock:
            late_s = chance.random() * jitter_s
        time.sleep(late_s)
        at = time.monotonic()
        told: list[str] = []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            told.append(status)
            return start_response(status, headers)

        content = b"".join(near(environ, started))
        arrivals.append(Arrival(at, environ["REQUEST_METHOD"] != "GET", int(told[-1].split()[0])))
        time.sleep(answer_s)
        return [content]

    app.wsgi_app = distant  # type: ignore[method-assign]
    try:
        yield arrivals
    finally:
        app.wsgi_app = near  # type: ignore[method-assign]
