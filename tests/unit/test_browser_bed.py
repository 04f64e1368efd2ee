"""The browser fixtures: a real Chromium, which reaches this machine and nothing else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Kvitt</title><h1>Settled, even</h1>")

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def hello() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(10)


def test_a_page_of_this_machine_opens(page: "Page", hello: str) -> None:
    page.goto(hello)
    assert page.get_by_role("heading").inner_text() == "Settled, even"


def test_the_browser_reaches_nobody_else(page: "Page") -> None:
    from playwright.sync_api import Error

    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("https://kvitt.example/")
