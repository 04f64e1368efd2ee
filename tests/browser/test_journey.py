"""The whole journey in a real browser: from the marketplace to kvitt, with and without JavaScript."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from addon.bootstrap import webhook_readers
from addon.config import load_settings
from addon.sandbox.world import Business, World
from addon.services import runs
from addon.services.context import Services
from addon.web import create_app
from tests.browser.conftest import DESKTOP, keep
from tests.servers import free_port
from tests.support.town import Town, new_sqlite, town

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass
class Worker:
    """Takes nudges as the queue's worker would, in a thread."""

    services: Services
    threads: list[threading.Thread] = field(default_factory=list)

    def nudge(self, company_id: int) -> None:
        def work() -> None:
            for _ in range(300):
                if not runs.run_slice(self.services, company_id).more:
                    return

        thread = threading.Thread(target=work, daemon=True)
        self.threads.append(thread)
        thread.start()

    def wait(self) -> None:
        for thread in self.threads:
            thread.join(60)


@dataclass
class Place:
    """Kvitt on its own port, and the world around it."""

    url: str
    town: Town
    shop: Business
    worker: Worker


@pytest.fixture
def place(empty_database: Path, tmp_path: Path) -> Iterator[Place]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    world = World.build(kvitt_public_url=url, webhooks=False, fortnox_call_limit=0)
    shop = world.add_business("Fjällbutiken AB", "556677-8899", inactive_accounts=(1686,))
    shop.shop.sell_month(sales=16)
    with ExitStack() as stack:
        built = stack.enter_context(town(new_sqlite(empty_database, tmp_path), world=world))
        worker = Worker(built.services)
        services = replace(built.services, nudge=worker.nudge, sandbox=True)
        worker.services = services
        environment = {
            "KVITT_ENV": "test",
            "PUBLIC_URL": url,
            "FORTNOX_CALLS_PER_5_S": "0",
            **built.running.environment(),
        }
        settings = load_settings(environment)
        server = make_server(
            "127.0.0.1", port, create_app(services, settings, webhook_readers(settings)), threaded=True
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Place(url, replace(built, services=services), shop, worker)
        worker.wait()
        server.shutdown()
        thread.join(10)


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
def visitor(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    with closing(browser.new_context(viewport=DESKTOP, locale="en-GB", java_script_enabled=request.param)) as context:
        context.set_default_timeout(20_000)
        yield context.new_page()


def test_from_the_marketplace_to_kvitt(place: Place, visitor: Page, request: pytest.FixtureRequest) -> None:
    page, world = visitor, place.town.world
    scripted = "no-javascript" not in request.node.callspec.id
    name = "journey" if scripted else "journey-no-javascript"
    assert world.urls is not None

    page.goto(f"{world.urls.fortnox}/marketplace/app")
    page.get_by_role("button", name="Activate").first.click()
    page.locator("button[value=allow]").click()

    page.wait_for_url(f"{place.url}/install/confirm")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fjällbutiken AB")
    keep(page, f"{name}-1-confirm")
    page.get_by_label("Your name").fill("Ada Bookkeeper")
    page.get_by_role("button", name="Yes, this is my company").click()

    page.wait_for_url(f"{place.url}/welcome")
    expect(page.get_by_text("Connected to Fortnox")).to_be_visible()
    keep(page, f"{name}-2-welcome")
    while page.locator(".check.red button").count():
        page.locator(".check.red button").first.click()
        page.wait_for_url(f"{place.url}/welcome#books")

    page.goto(f"{place.url}/welcome#connect")
    page.get_by_role("link", name="Connect Stripe", exact=True).click()
    page.locator("button[value=allow]").click()
    page.wait_for_url(f"{place.url}/welcome")
    keep(page, f"{name}-3-connected")
    repair = page.locator("form[action='/welcome/repair'] button")
    if repair.count():
        repair.click()
    while page.locator(".check.red button").count():
        page.locator(".check.red button").first.click()
        page.wait_for_url(f"{place.url}/welcome#books")

    page.goto(f"{place.url}/welcome#mode")
    if not scripted:
        page.get_by_role("button", name="Count it for my company").click()
    expect(page.get_by_text("For the last 30 days Plus would make")).to_be_visible(timeout=20_000)
    keep(page, f"{name}-4-modes")
    page.get_by_role("button", name="Choose Plus").click()
    page.wait_for_url(f"{place.url}/welcome")
    repair = page.locator("form[action='/welcome/repair'] button")
    if repair.count():
        repair.click()

    page.goto(f"{place.url}/settings")
    page.get_by_label("Confirmed by").fill("Ada Bookkeeper")
    page.locator("#company form button[type=submit]").click()
    expect(page.get_by_text("Saved.")).to_be_visible()

    page.goto(f"{place.url}/preview")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_text("would be booked")).to_be_visible()
    keep(page, f"{name}-5-preview")

    page.goto(f"{place.url}/welcome#start")
    page.get_by_role("button", name="Sync now").click()
    page.wait_for_url(f"{place.url}/runs/*")
    keep(page, f"{name}-6-run")
    if scripted:
        # The page follows the run by itself, without being loaded again.
        page.evaluate("window.stayed = true")
        expect(page.get_by_text("Done").first).to_be_visible(timeout=60_000)
        assert page.evaluate("window.stayed")
    else:
        place.worker.wait()
        page.reload()
        expect(page.get_by_text("Done").first).to_be_visible()
    keep(page, f"{name}-7-done")

    page.goto(f"{place.url}/overview")
    expect(page.get_by_text("Stripe says").first).to_be_visible()
    assert page.locator(".identity").count() >= 1
    assert page.locator(".identity .stop").count() == 0, "books and provider differ"
    keep(page, f"{name}-8-overview")

    page.goto(f"{place.url}/transactions")
    order = place.shop.shop.orders[-1].number
    page.get_by_label("Search").fill(order)
    if scripted:
        expect(page.locator("#found tbody tr")).to_have_count(1)
        assert f"q={order}" in page.url
    else:
        page.get_by_role("button", name="Show").click()
    page.locator("#found tbody a").first.click()
    expect(page.get_by_role("heading", name="What stands in the books")).to_be_visible()
    keep(page, f"{name}-9-transaction")
