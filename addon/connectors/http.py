"""HTTP calls to the outside: one deadline for the whole call, faults named by what to do next, each call
told.

The only module that knows httpx (and httpcore below it). httpx's time-outs are per read: an answer that
drips one byte at a time never ends under them. So the sockets here ask one clock before every read and
write, whatever part of the answer is under way: a call has ended, one way or the other, when its deadline
has passed. That is what lets a lease be longer than any call.

    nothing was sent                      TryLater
    sent, no readable answer, a read      TryLater (BadReply where an answer came that is no use)
    sent, no readable answer, a write     OutcomeUnknown
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final, NoReturn

import httpcore
import httpx

from addon.ports.calls import CallObserver, CallRecord, concerned, write_is_late
from addon.ports.errors import BadReply, OutcomeUnknown, PortError, TryLater

DEADLINE_S = 60.0
"""The longest that a whole call may take; a lease on a company's work must outlast it."""
CONNECT_S = 10.0
KEEP_ALIVE_S = 4.0
"""An idle connection is closed before the other side does so: a write that meets a closing one is a doubt."""
LIMIT_BYTES = 16 * 1024 * 1024
_WRITE_SLICE = 64 * 1024
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_REFERENCES = ("x-uid", "request-id", "x-request-id", "paypal-debug-id", "x-correlation-id")
_SECRET_HEADER = re.compile("authorization|token|secret|assertion", re.IGNORECASE)
_SHORTEST_SECRET = 8
_HEADERS: Final[Mapping[str, str]] = {
    **httpx.Client(transport=httpx.BaseTransport(), trust_env=False).headers,
    "user-agent": "Kvitt",
}
"""What goes with every call: above all the compressions that httpx can undo."""
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Unreadable(ValueError):
    """A body that is not what it should be. The caller says whether that is `BadReply` or
    `OutcomeUnknown`."""


class TooLarge(Exception):
    """An answer longer than the limit of its call."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    retry_after_s: int | None = None

    def json(self) -> Any:
        """The body as JSON, fractions as `Decimal`. Raises `Unreadable`."""
        return read_json(self.body)


@dataclass(frozen=True, slots=True)
class OpenReply:
    """An answer that is still arriving: `chunks` may be gone through once, inside the call's `with` block."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)
    retry_after_s: int | None = None


def read_json(body: bytes) -> Any:
    """Read JSON without floats: fractions become `Decimal`; NaN and Infinity are refused. Raises
    `Unreadable`."""
    with suppress(ValueError, RecursionError, ArithmeticError):
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    # Not as the cause: Python's own error carries the whole answer, with whomever it is about, into every report.
    raise Unreadable("the answer is not JSON")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def write_json(value: object) -> str:
    """Write JSON with exact decimals. A float raises `TypeError`: none may come near money."""
    match value:
        case None | bool() | str():
            return json.dumps(value)
        case int():
            return str(value)
        case Decimal():
            if not value.is_finite():
                raise TypeError("only finite numbers can be sent")
            return format(value, "f")
        case Mapping():
            return "{" + ",".join(f"{json.dumps(name)}:{write_json(item)}" for name, item in value.items()) + "}"
        case Sequence():
            return "[" + ",".join(write_json(item) for item in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def read_retry_after(text: str | None, now: datetime) -> int | None:
    """Seconds that a `Retry-After` header asks to wait, from either of its two forms; None if it cannot be
    read."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 7:
        return int(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0, min(round((at - now).total_seconds()), 999_999))


# --- Sockets with one deadline for the whole call ---------------------------------------------------------


class _CallClock(threading.local):
    """The deadline of the call that this thread is making, and whether a byte of it has left."""

    ends: float | None = None
    sent: bool = False

    def cap(self, timeout: float | None) -> float | None:
        """The time left, at most `timeout`; nought or less when the call's time is up."""
        if self.ends is None:
            return timeout
        left = self.ends - time.monotonic()
        return left if timeout is None else min(left, timeout)


_clock = _CallClock()


class _DeadlineStream(httpcore.NetworkStream):
    """A connection that looks at the call's clock before every read and write."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        timeout = _clock.cap(timeout)
        if timeout is not None and timeout <= 0:
            raise httpcore.ReadTimeout("the call's deadline has passed")
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_SLICE):
            left = _clock.cap(timeout)
            if left is not None and left <= 0:
                if not _clock.sent:
                    raise httpcore.ConnectTimeout("the call's deadline passed before anything was sent")
                raise httpcore.WriteTimeout("the call's deadline has passed")
            _clock.sent = True
            self._inner.write(buffer[start : start + _WRITE_SLICE], left)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _clock.cap(timeout)
        if left is not None and left <= 0:
            raise httpcore.ConnectTimeout("the call's deadline has passed")
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _clock.cap(timeout)
        if left is not None and left <= 0:
            raise httpcore.ConnectTimeout("the call's deadline has passed")
        return _DeadlineStream(self._inner.connect_tcp(host, port, left, local_address, socket_options))


class _Chunks(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        self._stream = stream
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._stream

    def close(self) -> None:
        self._close()


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for the process: reading all certificates of the world takes as long as ten calls."""
    return httpx.create_ssl_context()


class DeadlineTransport(httpx.BaseTransport):
    """httpcore's connection pool for httpx, over sockets that keep the call's deadline."""

    def __init__(self, max_connections: int = 20) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=_DeadlineBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and give its answer with the body still unread."""
        with _as_httpx_errors():
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        stream = answer.stream
        assert isinstance(stream, Iterable)  # noqa: S101 - a synchronous pool gives synchronous streams
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Chunks(stream, answer.close),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


_HTTPX_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
)


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """The pool's errors under httpx's names, as httpx's own transport would raise them."""
    try:
        yield
    except tuple(theirs for theirs, _ in _HTTPX_ERRORS) as error:
        for theirs, ours in _HTTPX_ERRORS:
            if isinstance(error, theirs):
                raise ours(str(error)) from error
        raise


# --- The client -------------------------------------------------------------------------------------------


def _now() -> datetime:
    return datetime.now(UTC)


class HttpClient:
    """Calls to one outside system. Safe to share between threads; make it after a fork, not before.

    `transport` takes the place of the network in tests. Redirects are not followed and nothing is sent twice.
    """

    def __init__(
        self,
        system: str,
        observer: CallObserver | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        deadline_s: float = DEADLINE_S,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._system = system
        self._observer = observer
        self._deadline_s = deadline_s
        self._now = now
        # Calls go straight to the transport: a client's redirects, cookies and proxies are just what must not be.
        self._transport = transport or DeadlineTransport()

    @property
    def deadline_s(self) -> float:
        """The longest that a whole call may take."""
        return self._deadline_s

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        basic_auth: tuple[str, str] | None = None,
        write: bool | None = None,
        note: str = "",
        deadline_s: float | None = None,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Reply:
        """Make one call and read its whole answer, whatever its status.

        `write` says whether the call may change something there; None goes by the method. Raises `TryLater`,
        `OutcomeUnknown`, and `BadReply` for an answer that is too long or whose compression is broken.
        """
        with self.open(
            method,
            url,
            headers=headers,
            params=params,
            json=json,
            form=form,
            content=content,
            basic_auth=basic_auth,
            write=write,
            note=note,
            deadline_s=deadline_s,
            limit_bytes=limit_bytes,
        ) as reply:
            return Reply(reply.status, reply.headers, b"".join(reply.chunks), reply.retry_after_s)

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        basic_auth: tuple[str, str] | None = None,
        write: bool | None = None,
        note: str = "",
        deadline_s: float | None = None,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Iterator[OpenReply]:
        """Make one call and go through its answer piece by piece, under the same deadline and limit.

        A write that might outlive its lease (`addon.ports.calls.writes_until`) is not begun: `TryLater`.
        """
        all_headers = {**_HEADERS, **{name.lower(): value for name, value in (headers or {}).items()}}
        if json is not None:
            content = write_json(json)
            all_headers.setdefault("content-type", "application/json")
        if basic_auth is not None:
            all_headers["authorization"] = f"Basic {b64encode(':'.join(basic_auth).encode()).decode()}"
        request = httpx.Request(method, url, headers=all_headers, params=params, data=form, content=content)
        writes = method.upper() not in _READ_METHODS if write is None else write
        call = _Call(method.upper(), request.url.path, writes, time.monotonic())
        if call.write and write_is_late(call.started):
            raise TryLater(
                f"{self._system}: {call.method} {call.path}: too little of the lease is left to begin a write"
            )
        seconds = self._deadline_s if deadline_s is None else deadline_s
        connect = min(CONNECT_S, seconds)
        request.extensions["timeout"] = {
            "connect": connect,
            "pool": connect,
            "read": seconds,
            "write": seconds,
        }
        outer = (_clock.ends, _clock.sent)
        _clock.ends, _clock.sent = call.started + seconds, False
        try:
            response = self._transport.handle_request(request)
            try:
                call.status = response.status_code
                call.request_ref = next(
                    (response.headers[name][:80] for name in _REQUEST_REFERENCES if name in response.headers),
                    "",
                )
                chunks = self._chunks(response, call, seconds, limit_bytes)
                if response.status_code >= 400:
                    chunks = _without_secrets(chunks, request, basic_auth)
                yield OpenReply(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    chunks,
                    read_retry_after(response.headers.get("retry-after"), self._now()),
                )
            finally:
                response.close()
        except (httpx.HTTPError, TooLarge) as error:
            call.status = None
            call.fault = type(error).__name__
            raise self._named(error, call) from error
        finally:
            _clock.ends, _clock.sent = outer
            self._tell(call, note)

    def _chunks(self, response: httpx.Response, call: _Call, seconds: float, limit_bytes: int) -> Iterator[bytes]:
        """The body, with a look at the clock and at the length after each piece, for transports without
        sockets."""
        read = 0
        for chunk in response.iter_bytes():
            read += len(chunk)
            if read > limit_bytes:
                raise TooLarge(f"more than {limit_bytes} bytes")
            if time.monotonic() - call.started > seconds:
                raise httpx.ReadTimeout("the call's deadline has passed")
            yield chunk

    def _named(self, error: Exception, call: _Call) -> PortError:
        """A fault of the transport by what to do next. The message holds no query, header or body."""
        what = f"{self._system}: {call.method} {call.path}: {type(error).__name__}"
        if isinstance(error, _NOTHING_SENT):
            return TryLater(what)
        if call.write:
            return OutcomeUnknown(what)
        if isinstance(error, TooLarge | httpx.DecodingError):
            return BadReply(what)
        return TryLater(what)

    def _tell(self, call: _Call, note: str) -> None:
        if self._observer is None:
            return
        self._observer.record(
            CallRecord(
                at=self._now(),
                system=self._system,
                method=call.method,
                path=call.path,
                status=call.status,
                duration_ms=round((time.monotonic() - call.started) * 1000),
                request_ref=call.request_ref,
                note=call.fault or note,
                concerns=concerned(),
            )
        )


def _without_secrets(
    chunks: Iterator[bytes], request: httpx.Request, basic_auth: tuple[str, str] | None
) -> Iterator[bytes]:
    """A refusal's body without the credentials that we sent: some repeat them, and people are told their words."""
    values = [value for name, value in request.headers.items() if _SECRET_HEADER.search(name)]
    sent = {word for value in values for word in value.split()} | set(basic_auth or ())
    body = b"".join(chunks)
    for word in sent:
        if len(word) >= _SHORTEST_SECRET:
            body = body.replace(word.encode(), "…".encode())
    yield body


@dataclass(slots=True)
class _Call:
    """What is told of a call when it has ended."""

    method: str
    path: str
    write: bool
    started: float = field(default_factory=lambda: time.monotonic())
    status: int | None = None
    request_ref: str = ""
    fault: str = ""
