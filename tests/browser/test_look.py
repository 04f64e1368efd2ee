"""What a person sees: each page at desktop and phone width, light and dark, judged by axe, kept as a picture."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, OpenPage, Shown, keep
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
    "proofs": "/proofs",
    "bank": "/proofs/bank",
    "statement": "/statements/{october}",
    "inbox": "/inbox",
    "preview": "/preview",
    "settings": "/settings",
    "rules": "/settings/rules",
    "rule": "/settings/rules/2",
    "vat": "/settings/vat",
    "fees": "/settings/fees",
    "fees-month": "/settings/fees/month?month=2026-11",
    "activity": "/activity",
    "run": "/runs/{running}",
    "run-done": "/runs/{done}",
    "undo": "/runs/{done}/undo",
    "earlier-years": "/backfill",
    "error": "/transactions/999999",
}


def path_of(name: str, filled: Filled) -> str:
    return PAGES[name].format(**{**filled.movements, **filled.payouts, **filled.runs, **filled.statements})


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_right(open_page: OpenPage, shown: Shown, name: str) -> None:
    page = open_page("/healthz")
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(shown.url + path_of(name, shown.filled))
    keep(page, f"{name}-desktop")
    page.evaluate("document.querySelectorAll('details.fold').forEach(fold => { fold.open = true; })")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    keep(page, f"{name}-desktop-dark")
    assert sideways(page) <= 0
    page.set_viewport_size(PHONE)
    keep(page, f"{name}-phone-dark")
    assert violations(page) == []
    page.emulate_media(color_scheme="light")
    keep(page, f"{name}-phone")
    assert sideways(page) <= 0
    assert [error for error in errors if "404" not in error] == []


def sideways(page: Page) -> int:
    """By how many pixels the page can be scrolled to the side."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_searching_changes_the_list_while_one_types(open_page: OpenPage, shown: Shown) -> None:
    page = open_page("/transactions")
    page.get_by_label("Search").type("10237")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    assert "q=10237" in page.url
    page.get_by_label("Search").fill("")
    page.get_by_label("Search").press("Enter")
    expect(page.locator("#found tbody tr")).not_to_have_count(1)


def test_one_box_ticks_a_whole_list(open_page: OpenPage, shown: Shown) -> None:
    page = open_page("/inbox")
    group = page.locator("section.group").first
    group.locator(".tick-all").check()
    boxes = group.locator("tbody input[type=checkbox]")
    assert boxes.count() == 2 and all(box.is_checked() for box in boxes.all())


def test_without_javascript_nothing_is_offered_that_does_not_work(open_page: OpenPage, shown: Shown) -> None:
    page = open_page("/inbox", javascript=False)
    assert not page.locator(".tick-all").first.is_visible()
    page.goto(f"{shown.url}/transactions")
    page.get_by_label("Search").fill("10237")
    page.get_by_role("button", name="Show").click()
    assert page.locator("#found tbody tr").count() == 1


def test_the_keyboard_reaches_everything_and_sees_where_it_is(open_page: OpenPage, shown: Shown) -> None:
    page = open_page("/overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_menu_of_a_phone_opens(open_page: OpenPage, shown: Shown) -> None:
    page = open_page("/overview", viewport=PHONE)
    page.locator("summary", has_text="Menu").click()
    page.locator("details.rail a", has_text="Payouts").click()
    page.wait_for_url(f"{shown.url}/payouts")
