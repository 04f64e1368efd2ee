"""A served world, a whole Kvitt of real processes, and a person at a browser who goes from page to page.

The simulated Fortnox and Stripe run in threads of the test's process, so that a test can be a shop, a buyer or a
bookkeeper over there. Kvitt is what an installation has: gunicorn, an RQ worker, a Redis, a database file.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from addon.bootstrap import build
from addon.config import load_settings
from addon.sandbox.fortnox.faults import Fault
from addon.sandbox.server import serve_world
from addon.sandbox.world import Business, World
from addon.services import installation, pages
from addon.store.migrate import migrate
from tests.servers import dies_with_parent, running_redis, stop_child
from tests.support.town import Town

PERSON = "Ada Bookkeeper"
ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / ".artifacts" / "journey"
WITH_PICTURES = bool(os.environ.get("KVITT_PICTURES"))
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 60_000
"""For one page or element: long, because the machine may be busy; nothing waits without an end."""
RUN_S = 60.0
DAYS = 14
"""Long enough for sales to be paid out and to have reached the bank, whatever day of the week it is."""


# --- the town ---------------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A process of ours with its log."""

    child: "subprocess.Popen[bytes]"
    log: Path

    def log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-20:])


@dataclass
class Site:
    """Where Kvitt and the outside world answer, and what a test asks of them past the browser."""

    address: str
    town: Town
    web: Process
    worker: Process

    @property
    def world(self) -> World:
        return self.town.world

    @property
    def fortnox(self) -> str:
        return self.town.running.urls.fortnox

    def company_id(self, business: Business) -> int:
        """The company's number at Kvitt; it must have been installed."""
        return installation.find_company(self.town.services, business.name)

    def is_installed(self, business: Business) -> bool:
        """Whether Kvitt knows the company."""
        number = str(business.fortnox.database_number)
        return installation.find_tenant(self.town.services, "fortnox", number) is not None

    def wait_for_runs(self, business: Business) -> None:
        """Wait until no run of the company is open."""
        company_id = self.company_id(business)
        deadline = time.monotonic() + RUN_S
        while (latest := pages.frame(self.town.services, company_id).last_run) is None or latest.state == "running":
            assert time.monotonic() < deadline, f"a run does not end: {latest}\n{self.worker.log_tail()}"
            time.sleep(0.1)

    @contextlib.contextmanager
    def worker_elsewhere(self) -> Iterator[None]:
        """The worker does not take anything up, as if it were at another company's work."""
        os.kill(self.worker.child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.worker.child.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def slow_books(self, business: Business, seconds: float) -> Iterator[None]:
        """Fortnox takes its time over each write of a company, so that the progress can be watched."""
        number = business.fortnox.database_number
        self.world.fortnox.faults.add(Fault("slow", match="^(POST|PUT) ", times=None, seconds=seconds, company=number))
        try:
            yield
        finally:
            self.world.fortnox.faults.clear()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Send something to Kvitt as another company's server; the answer's status."""
        request = urllib.request.Request(f"{self.address}{path}", body, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=WAIT_MS / 1000) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Site]:
    """A world without companies and a Kvitt beside it, until the block ends."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis())
        # The port is taken before anything else and handed to the web server: nobody can come in between.
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        world = World.build(kvitt_public_url=address, fortnox_call_limit=0)
        running = serve_world(world)
        stack.callback(running.stop)
        settings = {
            "KVITT_ENV": "sandbox",
            "DATABASE_URL": f"sqlite:///{folder / 'kvitt.db'}",
            "REDIS_URL": redis.url,
            "PUBLIC_URL": address,
            "FORTNOX_CALLS_PER_5_S": "0",
            "LOOKUP_QUARANTINE_S": "1",
            "LEASE_S": "30",
            **running.environment(),
        }
        migrate(settings["DATABASE_URL"])
        nudged: list[int] = []
        services = build(load_settings(settings), nudge=nudged.append)
        stack.callback(services.db.close)
        web_command = (
            *("-m", "gunicorn", "addon.web:create_app()", "--bind", f"fd://{door.fileno()}"),
            *("--threads", "8", "--no-control-socket", "--graceful-timeout", "3"),
        )
        web = _start(stack, folder / "web.log", web_command, settings, pass_fds=(door.fileno(),))
        _wait_for(address, web)
        worker = _start(stack, folder / "worker.log", ("-m", "addon", "worker"), settings)
        stack.callback(web.child.terminate)  # both end at the same time, and then each is waited for
        yield Site(address, Town(world, running, services, nudged), web, worker)


def _wait_for(address: str, web: Process) -> None:
    """The first page costs the imports of all pages: on a busy machine more than a person's patience in a test."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/readyz", timeout=90) as answer:
            assert answer.status == 200, web.log_tail()
    except OSError as error:
        raise AssertionError(f"the pages do not answer: {error}\n{web.log_tail()}") from error


def _start(
    stack: contextlib.ExitStack, log: Path, command: Sequence[str], settings: dict[str, str], **more: Any
) -> Process:
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **settings, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=dies_with_parent(signal.SIGTERM),
            **more,
        )
    stack.callback(stop_child, child, signal.SIGTERM)
    return Process(child, log)


# --- the companies ----------------------------------------------------------------------------------------------


def first_day() -> date:
    """A start date before all sales."""
    return (datetime.now(UTC) - timedelta(days=DAYS + 2)).date()


def sell(business: Business, sales: int = 5, **more: Any) -> None:
    """Some days of sales, none refunded, paid out as usual."""
    business.shop.sell_month(days=DAYS, sales=sales, monthly_fee=False, refund_share=Decimal(0), **more)


def invoices(business: Business) -> list[Any]:
    """The invoices in the company's books."""
    with business.fortnox.lock:
        return list(business.fortnox.invoices.values())


# --- the person -------------------------------------------------------------------------------------------------


@dataclass
class Person:
    """Somebody at a browser of their own. Methods are what a person does, and fail where a page is not as said."""

    site: Site
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)
    """What the browser complained of: scripts that broke, things the pages' own rules forbid, errors of ours."""
    album: str = ""
    """What the names of this person's pictures begin with."""
    scripted: bool = True
    """Whether the browser runs scripts."""
    pictures: int = 0

    # -- moving and looking --

    def go(self, path: str) -> None:
        """Open one of Kvitt's pages by its address."""
        self.page.goto(f"{self.site.address}{path}")

    def press(self, name: str, within: Locator | None = None) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str, within: Locator | None = None) -> None:
        """Follow a link."""
        (within or self.page).get_by_role("link", name=name, exact=True).click()

    def menu(self, name: str) -> None:
        """Choose from the menu at the left."""
        self.page.get_by_role("navigation", name="Main menu").get_by_role("link", name=re.compile(f"^{name}")).click()
        self.reads(name)

    def reads(self, heading: str) -> None:
        """See a heading."""
        expect(self.page.get_by_role("heading", name=heading).first).to_be_visible()

    def sees(self, text: str, within: Locator | None = None) -> None:
        """See a text somewhere; `text` is a regular expression."""
        expect((within or self.page.locator("body")).get_by_text(re.compile(text)).first).to_be_visible()

    def at(self, path: str) -> None:
        """Be on one of Kvitt's pages; `path` is a regular expression."""
        expect(self.page).to_have_url(re.compile(f"^{re.escape(self.site.address)}{path}(#.*)?$"))

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, where somebody asked for pictures."""
        if not WITH_PICTURES:
            return
        self.pictures += 1
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{self.album}{self.pictures:02}-{name}.png", full_page=True)

    def leans_out(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return int(wide)

    # -- installing --

    def activate(self, business: Business) -> None:
        """In Fortnox' marketplace: read about Kvitt, press Activate. Ends on the consent page."""
        self.page.goto(f"{self.site.fortnox}/marketplace")
        self.page.get_by_role("link", name="Read more and activate").click()
        self._choose(business.name)
        self.press("Activate")

    def allow_fortnox(self, business: Business) -> None:
        """On Fortnox' consent page: choose the company and allow."""
        self._choose(business.name)
        self.press("Allow")

    def let_in_but_stay(self, business: Business) -> str:
        """Allow on Fortnox' consent page, and lose the connection before the way back; the address of the way back."""
        form = {
            "key": self.page.locator("input[name=key]").input_value(),
            "company": str(business.fortnox.database_number),
            "decision": "allow",
        }
        answer = self.page.request.post(f"{self.site.fortnox}/oauth-v1/auth", form=form, max_redirects=0)
        assert answer.status == 302, answer.text()
        return answer.headers["location"]

    def confirm(self, business: Business) -> None:
        """Back at Kvitt: this is my company."""
        self.at("/install/confirm")
        self.reads(business.name)
        self.page.get_by_label("Your name").fill(PERSON)
        self.press("Yes, this is my company")
        self.at("/welcome")

    def _choose(self, name: str) -> None:
        self.page.get_by_role("radio", name=re.compile(f"^{re.escape(name)}")).check()

    # -- the steps --

    @property
    def red(self) -> Locator:
        """The prerequisites that are not so."""
        return self.page.locator(".check.red")

    def repair_each(self) -> int:
        """Press every Repair button, one after the other; how many there were."""
        buttons = self.red.locator("form button")
        pressed = 0
        while (left := buttons.count()) > 0:
            assert pressed < 30, "repairing does not come to an end"
            buttons.first.click()
            expect(buttons.nth(left - 1)).to_have_count(0)  # one may mend several lines
            pressed += 1
        return pressed

    def repair_all(self) -> None:
        """Look at the books again and mend at once all there is to mend."""
        self.go("/welcome")
        self.check()
        everything = self.page.get_by_role("button", name=re.compile("^Repair all"))
        if everything.count():
            everything.click()
            self.sees("Everything is mended")
        self.repair_each()
        expect(self.red).to_have_count(0)

    def check(self) -> None:
        """Have the books looked at again; the step is folded where all was well."""
        button = self.page.locator("#books").get_by_role("button", name=re.compile("^Check (again|now)$"))
        if not button.is_visible():
            self.page.locator("#books summary.step-line").click()
        button.click()
        expect(self.page.get_by_role("status")).to_contain_text(re.compile("Checked again|Your books are ready"))

    def connect_stripe(self) -> None:
        """Press Connect Stripe in the steps. Ends on Stripe's consent page."""
        self.page.locator("#connect").get_by_role("link", name="Connect Stripe", exact=True).click()

    def allow_stripe(self, business: Business) -> None:
        """On Stripe's consent page: choose the account and allow."""
        self._choose(business.name)
        self.press("Allow")

    def choose_mode(self, mode: str) -> None:
        """Press one of the two; where a script counts the figures, wait for them first."""
        expect(self.page.locator(".modes .counting, .modes .figures").first).to_be_visible()
        if self.scripted:
            expect(self.page.locator(".modes .figures")).to_have_count(3)
        self.press(f"Choose {mode}")
        self.sees("Saved.")

    def unfold(self, name: str) -> None:
        """On the settings page: open one of its folds, unless it is open."""
        fold = self.page.locator("details.fold").filter(has=self.page.locator(".fold-name", has_text=name)).first
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()

    def choose_start(self) -> None:
        """On the settings page: book from the first day of the sales on."""
        self.unfold("From when")
        self.page.get_by_label("Start date").fill(first_day().isoformat())
        form = self.page.locator("form.settings-form").filter(has=self.page.get_by_label("Start date"))
        self.press("Save", form)
        self.sees("Saved.")
        expect(self.page.get_by_label("Start date")).to_have_value(first_day().isoformat())

    # -- work --

    def sync(self) -> None:
        """Press Sync now and watch the run to its end."""
        self.go("/overview")
        self.press("Sync now")
        self.watch_run()

    def watch_run(self) -> None:
        """Stay on the run's page until it says that it is done."""
        self.at(r"/runs/\d+")
        ended = self.page.locator(".run-end")
        expect(ended, self.site.worker.log_tail()).to_be_visible(timeout=RUN_S * 1000)
        expect(ended, self.page.locator("#run").inner_text()).to_contain_text("Done")


@contextlib.contextmanager
def person(site: Site, browser: Browser, album: str, *, phone: bool = False, script: bool = True) -> Iterator[Person]:
    """A person with a fresh browser."""
    with contextlib.closing(
        browser.new_context(viewport=PHONE if phone else DESKTOP, java_script_enabled=script, locale="en-GB")
    ) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        someone = Person(site, context, page, album=album, scripted=script)

        def failed(url: str, status: int) -> None:
            if status >= 500:
                someone.faults.append(f"{status} {url}")

        page.on("response", lambda answer: failed(answer.url, answer.status))
        page.on("pageerror", lambda error: someone.faults.append(str(error)))
        page.on(
            "console",
            lambda told: (
                someone.faults.append(told.text)
                if told.type == "error" and "Failed to load resource" not in told.text
                else None
            ),
        )
        yield someone


def sign_in(someone: Person, business: Business) -> None:
    """Give a browser the cookie of somebody who has been through the installation."""
    site = someone.site
    token = installation.sign_in(site.town.services, site.company_id(business), PERSON)
    someone.context.add_cookies([{"name": "kvitt", "value": token, "url": site.address}])
