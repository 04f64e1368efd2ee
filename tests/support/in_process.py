"""Outside worlds mounted in process: a WSGI app in place of the network."""

from typing import Any

import httpx


class InProcess(httpx.BaseTransport):
    """Calls a WSGI app as if over the network; a connection that the app drops is a lost answer, as over a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.WSGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._inner.handle_request(request)
        except ConnectionResetError as error:
            raise httpx.ReadError("the connection was closed", request=request) from error
