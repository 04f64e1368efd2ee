"""Serving a simulated service on a loopback port: threads, keep-alive, and connections that end without an answer."""

from __future__ import annotations

import io
import selectors
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import InternalServerError
from werkzeug.routing import Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LARGEST_BODY = 50_000_000


class _MatchingRule(Rule):
    """A route that learns to write its own address when one is first asked for.

    Werkzeug compiles two functions for each route beforehand. A world has hundreds of routes and writes the
    addresses of a few, and tests make a world each.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            if not compiled:
                compiled.append(Rule._compile_builder(self, append_unknown))
            return compiled[0](rule, **values)

        return build


class SandboxApp(Flask):
    """A Flask app that is made quickly."""

    url_rule_class = _MatchingRule


class _Handler(WSGIRequestHandler):
    """Answers requests with keep-alive.

    Werkzeug's own handler closes every connection, because it cannot tell how much of a body the app left
    unread; this one reads the body first and sends whole answers with their length, so both sides may go on.
    An app that raises ConnectionError ends the connection without a byte.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        if environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
            environ["CONTENT_LENGTH"] = str(len(body))
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length > _LARGEST_BODY:
                self.close_connection = True
                return
            if length and self.headers.get("Expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.wfile.flush()
            body = self.rfile.read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            status, headers, content = _call(self.server.app, environ)
        except ConnectionError:
            self._hang_up()
            return
        except Exception as error:
            self.server.log("error", "the app raised %r", error)
            status, headers, content = _call(InternalServerError(), environ)
        self._send(status, headers, content)

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        if int(code) != 204:
            told = next((value for name, value in headers if name.lower() == "content-length"), None)
            self.send_header("Content-Length", told if self.command == "HEAD" and told else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line; apps that name a Server of their own keep it, so none is added."""
        self.send_response_only(code, message)
        self.send_header("Date", self.date_time_string())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged."""

    def log_error(self, format: str, *args: Any) -> None:
        """A connection that nobody used for a while ends in silence; all else is told."""
        if not (args and isinstance(args[0], TimeoutError)):
            super().log_error(format, *args)


def _call(app: WSGIApplication, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    kept: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        kept.append((status, headers))
        return chunks.append

    result: Iterable[bytes] = app(environ, start_response)
    try:
        chunks.extend(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    status, headers = kept[-1]
    return status, headers, b"".join(chunks)


@dataclass(frozen=True, slots=True)
class Server:
    """A service that listens until `shutdown`."""

    port: int
    app: WSGIApplication
    _server: BaseWSGIServer
    _thread: threading.Thread
    _wake: socket.socket

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def shutdown(self) -> None:
        """Stop listening; requests under way end by themselves."""
        if self._wake.fileno() != -1:
            # Said, not just closed: a process that was forked meanwhile holds the same connection open.
            self._wake.shutdown(socket.SHUT_RDWR)
            self._wake.close()
        self._thread.join(timeout=5)
        self._server.server_close()


def when_asked(make: Callable[[], WSGIApplication]) -> WSGIApplication:
    """An app that is made at its first request: a world has many, and most of what talks to it talks to two."""
    lock = threading.Lock()
    made: list[WSGIApplication] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not made:
            with lock:
                if not made:
                    made.append(make())
        return made[0](environ, start_response)

    return app


def serve_threaded(app: WSGIApplication, port: int = 0) -> Server:
    """Serve a WSGI app on 127.0.0.1, one thread a connection; port 0 takes a free one.

    Raises OSError when the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    try:
        server = make_server(
            "127.0.0.1", listener.getsockname()[1], app, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )
    finally:
        listener.close()  # the server holds a duplicate of its own
    server.timeout = 1
    wake, woken = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(server, woken), daemon=True)
    thread.start()
    return Server(server.port, app, server, thread, wake)


def _serve(server: BaseWSGIServer, woken: socket.socket) -> None:
    """Take connections until the other end of `woken` is closed.

    `serve_forever` looks several times a second whether it should end, and ends that much later; a world is eight
    servers, and tests make hundreds of worlds.
    """
    with woken, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while all(key.fileobj is not woken for key, _ in selector.select()):
            server.handle_request()
