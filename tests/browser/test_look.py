"""What a person sees: each page at desktop and phone width, light and dark, judged by axe, kept as a picture."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import DESKTOP, PHONE, OpenPage, keep
from tests.web.factory import Filled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = {
    "start": "/",
    "welcome": "/welcome",
    "overview": "/overview",
    "transactions": "/transactions",
    "transaction": "/transactions/{sale0}",
    "held": "/transactions/{amount_differs}",
    "payouts": "/payouts",
    "payout": "/payouts/{paid}",
    "inbox": "/inbox",
    "preview": "/preview",
    "settings": "/settings",
    "activity": "/activity",
    "run": "/runs/{running}",
    "run-done": "/runs/{done}",
    "error": "/transactions/999999",
}


def path_of(name: str, filled: Filled) -> str:
    return PAGES[name].format(**{**filled.movements, **filled.payouts, **filled.runs})


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_right(open_page: OpenPage, filled: Filled, name: str) -> None:
    page = open_page("/healthz", filled.company)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(page.url.removesuffix("/healthz") + path_of(name, filled))
    for size, width in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(width)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            keep(page, f"{name}-{size}{'-dark' if scheme == 'dark' else ''}")
            assert violations(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} can be scrolled sideways by {wide} px at {size} width"
    assert [error for error in errors if "404" not in error] == []
