"""Outside worlds mounted in process: a WSGI app in place of the network."""

import sys
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx

from addon.connectors.http import DeadlineTransport
from addon.sandbox.server import RunningWorld
from tests.leaks import watch


class InProcess(httpx.BaseTransport):
    """Calls a WSGI app as if over the network; a connection that the app drops is a lost answer, as over a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.WSGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._inner.handle_request(request)
        except ConnectionResetError as error:
            raise httpx.ReadError("the connection was closed", request=request) from error


class Nearby(DeadlineTransport):
    """The way to a served world in this process: straight into its apps while nothing is to go wrong on the way.

    Sockets, a thread for each connection and the reading of HTTP cost as much as what the world does. Once a fault has
    been set anywhere in the world, and for addresses that are not the world's, calls go over the network as ever.
    """

    def __init__(self, running: RunningWorld) -> None:
        super().__init__()
        self._world = running.world
        self._apps = running.apps
        self._over_the_network = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        app = self._apps.get(request.url.port or 0)
        if app is None or self._faults_were_set():
            return super().handle_request(request)
        watch.look("an address that is called", str(request.url))
        kept: list[Any] = []

        def start_response(*given: Any) -> Any:
            kept[:] = given
            return None

        answer = app(_environ(request), start_response)
        try:
            content = b"".join(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        headers = [(name, value) for name, value in kept[1] if name.lower() != "content-length"]
        return httpx.Response(int(kept[0].partition(" ")[0]), headers=headers, content=content)

    def _faults_were_set(self) -> bool:
        if not self._over_the_network:
            world = self._world
            self._over_the_network = bool(
                world.fortnox.faults.all()
                or world.economic.faults.all()
                or world.stripe.faults.active
                or world.paypal.faults.active
            )
        return self._over_the_network


def _environ(request: httpx.Request) -> dict[str, Any]:
    """What a WSGI server makes of a request."""
    target, _, query = request.url.raw_path.partition(b"?")
    body = request.read()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(target).decode("latin-1"),
        "REQUEST_URI": request.url.raw_path.decode("ascii"),
        "QUERY_STRING": query.decode("ascii"),
        "SERVER_NAME": request.url.host,
        "SERVER_PORT": str(request.url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.url.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.multi_items():
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ
