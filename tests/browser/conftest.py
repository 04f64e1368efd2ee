"""The pages served on a loopback port for a real browser, and where its pictures are kept."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize
from werkzeug.serving import make_server

from addon.core.routing import Action, Condition, Rule, Subject
from addon.services import installation, rules
from tests.web.conftest import House, empty_database, new_house
from tests.web.factory import Filled, fill

__all__ = ["empty_database"]

ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
WITH_PICTURES = bool(os.environ.get("KVITT_PICTURES"))
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


@dataclass(frozen=True)
class Shown:
    """A company that has lived for a while, and where its pages answer."""

    house: House
    filled: Filled
    url: str


@pytest.fixture(scope="module")
def shown(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One for all tests of a module: they look and change nothing."""
    built = new_house(empty_database, tmp_path_factory.mktemp("shown"))
    filled = fill(built.services)
    stall = Condition(Subject.METADATA, ("stall",), "channel")
    for rule in (
        Rule("", "Everything from the market stall", Action.BOOK, (stall,), account="3041", cost_centre="ST"),
        Rule("", "Small ones", Action.BOOK, (Condition(Subject.AT_MOST, ("500",)),), account="3010", vat="SE12"),
        Rule("", "By Klarna", Action.IGNORE, (Condition(Subject.METHOD, ("klarna",)),), where="the Klarna report"),
    ):
        rules.save_rule(built.services, filled.company, rule, "Ada Bookkeeper")
    with served(built.app) as url:
        yield Shown(built, filled, url)
    built.services.db.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, shown: Shown) -> Iterator[OpenPage]:
    """Open a page as somebody who is signed in: `open_page(path, javascript=…)`."""
    contexts = []

    def open_one(path: str, *, javascript: bool = True, viewport: ViewportSize = DESKTOP) -> Page:
        context = browser.new_context(viewport=viewport, java_script_enabled=javascript, locale="en-GB")
        context.set_default_timeout(60_000)
        contexts.append(context)
        token = installation.sign_in(shown.house.services, shown.filled.company, "Ada Bookkeeper")
        context.add_cookies([{"name": "kvitt", "value": token, "url": shown.url}])
        page = context.new_page()
        page.goto(shown.url + path)
        return page

    yield open_one
    for context in contexts:
        with closing(context):
            pass


def keep(page: Page, name: str) -> None:
    """Keep a picture of the whole page, where somebody asked for pictures: they take longer than what is tested."""
    if not WITH_PICTURES:
        return
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=True)
