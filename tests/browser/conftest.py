"""The pages served on a loopback port for a real browser, and where its pictures are kept."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize
from werkzeug.serving import make_server

from addon.services import installation
from tests.web.conftest import House, empty_database, filled, house

__all__ = ["empty_database", "filled", "house"]

ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """An application on a free loopback port; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)


@pytest.fixture
def address(house: House) -> Iterator[str]:
    """Where the application answers."""
    with served(house.app) as found:
        yield found


def sign_in(context: BrowserContext, house: House, address: str, company_id: int) -> None:
    """Give a browser the cookie of somebody who is signed in."""
    token = installation.sign_in(house.services, company_id, "Ada Bookkeeper")
    context.add_cookies([{"name": "kvitt", "value": token, "url": address}])


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, house: House, address: str) -> Iterator[OpenPage]:
    """Open pages in contexts of their own: `open_page(path, company_id, width=…, dark=…, javascript=…)`."""
    contexts: list[BrowserContext] = []

    def open_one(
        path: str, company_id: int | None, *, phone: bool = False, dark: bool = False, javascript: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            locale="en-GB",
            device_scale_factor=1,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        if company_id is not None:
            sign_in(context, house, address, company_id)
        page = context.new_page()
        page.goto(address + path)
        return page

    yield open_one
    for context in contexts:
        with closing(context):
            pass


def keep(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=True)
