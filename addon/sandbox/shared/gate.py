"""The door of a simulated accounting system: counts calls, limits them, lets faults strike, then asks the interface."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from addon.sandbox.clock import Clock
from addon.sandbox.shared.faults import ZOMBIE, DroppedConnection, Fault, Faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = tuple[str, list[tuple[str, str]], bytes]
Inner = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]

_HTML_502: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


class Behind(Protocol):
    """What a gate asks of the world behind it."""

    clock: Clock
    faults: Faults
    sleep: Callable[[float], None]

    def keep_zombie(self, environ: WSGIEnvironment, body: bytes, seconds: float) -> None:
        """Carry a request out later."""
        ...

    def run_zombies(self, *, only_due: bool = False) -> list[int]:
        """Carry out what was put off."""
        ...


class Gate(ABC):
    """Stands before an app. What a system answers in its own way, its own gate says."""

    server: str = ""
    """What stands in the header `Server` of answers that the gate gives itself."""

    def __init__(self, world: Behind, inner: Inner) -> None:
        self._behind = world
        self.inner = inner

    @abstractmethod
    def counts(self, path: str) -> bool:
        """Whether a path belongs to the interface; pages for people are neither counted nor struck."""

    @abstractmethod
    def company_of(self, environ: WSGIEnvironment) -> int | None:
        """Whose books a request is about, as far as its credentials tell."""

    @abstractmethod
    def note(self, environ: WSGIEnvironment, company: int | None, at: datetime, status: int) -> None:
        """Write a call down; status 0: the connection ended without an answer."""

    @abstractmethod
    def too_many(self, environ: WSGIEnvironment, seconds: float) -> Answer:
        """The answer to a call beyond the limit; `seconds` as a fault names them, 0: the system's own way."""

    @abstractmethod
    def unauthorised(self) -> Answer:
        """The answer to credentials that are refused."""

    def own_fault(self, kind: str) -> Answer | None:
        """The answer to a kind of fault that only this system has."""
        return None

    def admit(self, environ: WSGIEnvironment, company: int | None) -> Answer | None:
        """Whether a call is within the limit: None, or the answer that says that it is not."""
        return None

    def finish(self, environ: WSGIEnvironment, company: int | None, answer: Answer) -> Answer:
        """What every answer gets besides."""
        return answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not self.counts(environ["PATH_INFO"]):
            return self.inner(environ, start_response)
        self._behind.run_zombies(only_due=True)
        at, company = self._behind.clock.now(), self.company_of(environ)
        try:
            status, headers, body = self._answer(environ, company)
        except DroppedConnection:
            self.note(environ, company, at, 0)
            raise
        self.note(environ, company, at, int(status.split()[0]))
        start_response(status, headers)
        return [body]

    def _answer(self, environ: WSGIEnvironment, company: int | None) -> Answer:
        refused = self.admit(environ, company)
        return self.finish(environ, company, refused if refused is not None else self._struck(environ, company))

    def _struck(self, environ: WSGIEnvironment, company: int | None) -> Answer:
        afterwards: list[Fault] = []
        for fault in self._behind.faults.striking(environ["REQUEST_METHOD"], environ["PATH_INFO"], company):
            early = self._before(fault, environ)
            if early is not None:
                return early
            if fault.kind not in ("slow", "call"):
                afterwards.append(fault)
        answer = run(self.inner, environ)
        for fault in afterwards:
            answer = self._after(fault, answer)
        return answer

    def _before(self, fault: Fault, environ: WSGIEnvironment) -> Answer | None:
        world = self._behind
        match fault.kind:
            case "slow":
                world.sleep(fault.seconds)
            case "call":
                if fault.action is not None:
                    fault.action()
            case "lost_before":
                raise DroppedConnection("the connection was closed")
            case "timeout_before":
                world.sleep(fault.seconds)
                raise DroppedConnection("the connection was closed after a while")
            case "zombie":
                world.keep_zombie(environ, _body(environ), fault.seconds)
                raise DroppedConnection("the connection was closed")
            case "error_500_before":
                return self.plain(500, b"Internal Server Error", "text/plain")
            case "html_502_before":
                return self.plain(502, _HTML_502, "text/html")
            case "rate_limited":
                return self.too_many(environ, fault.seconds)
            case "unauthorized":
                return self.unauthorised()
            case kind if not kind.endswith("_after"):
                return self.own_fault(kind)
        return None

    def _after(self, fault: Fault, answer: Answer) -> Answer:
        status, headers, body = answer
        match fault.kind:
            case "call_after":
                if fault.action is not None:
                    fault.action()
            case "lost_after":
                raise DroppedConnection("the connection was closed before the answer")
            case "error_500_after":
                return self.plain(500, b"Internal Server Error", "text/plain")
            case "html_502_after":
                return self.plain(502, _HTML_502, "text/html")
            case "truncated_json":
                body = body[: len(body) // 2]
                headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
                headers.append(("Content-Length", str(len(body))))
            case kind:
                return self.own_fault(kind) or answer
        return status, headers, body

    def plain(self, status: int, body: bytes, content_type: str) -> Answer:
        """An answer that the gate gives itself."""
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if self.server:
            headers.append(("Server", self.server))
        return f"{status} {_REASONS[status]}", headers, body


def _body(environ: WSGIEnvironment) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    return environ["wsgi.input"].read(int(length)) if int(length) else b""


def run(inner: Inner, environ: WSGIEnvironment) -> Answer:
    """Call a WSGI app to the end."""
    kept: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        kept.append((status, headers))
        return chunks.append

    result = inner(environ, start_response)
    try:
        chunks.extend(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    status, headers = kept[-1]
    return status, headers, b"".join(chunks)


def carry_out(app: Inner, environ: WSGIEnvironment, body: bytes) -> int:
    """Do what a request asked for whose connection is long gone; the status nobody reads."""
    inner = app.inner if isinstance(app, Gate) else app
    environ = {**environ, "wsgi.input": io.BytesIO(body), ZOMBIE: True}
    for key in [key for key in environ if key.startswith(("werkzeug.", "flask."))]:
        del environ[key]
    status, _, _ = run(inner, environ)
    return int(status.split()[0])
