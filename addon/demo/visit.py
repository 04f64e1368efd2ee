"""A person at a browser, who sets one company up and runs it: from the marketplace to Sync now."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from addon.demo.browser import Browser, DemoFailed, Page, ask_json, choose
from addon.demo.stage import Stage
from addon.services import installation, laws, runs
from addon.services.runs import RunView

RUN_TIMEOUT_S: Final = 1800.0
DAYS_BACK: Final = 40
"""The shops have sold for a month; Kvitt starts a little before."""
PERSON: Final = "Ada (demo)"
EMAIL: Final = "ada@kvitt.example"
SYSTEMS: Final[Mapping[str, str]] = {"fortnox": "Fortnox", "economic": "e-conomic"}
PROVIDERS: Final[Mapping[str, str]] = {"stripe": "Stripe", "paypal": "PayPal"}


@dataclass(frozen=True)
class OssAccount:
    """The accounts of one country's consumers: `percent` is that country's rate, `vat` the account of its VAT.

    A rate with decimals fits no row of an invoice: such sales become vouchers, on accounts without a code.
    """

    country: str
    percent: str
    sales: int
    vat: int


@dataclass(frozen=True)
class Part:
    """A company of the demo: whose books and whose payments it has, the mode that it chooses, what else it sets."""

    name: str
    accounting: str
    payments: str
    mode: str
    settings: Mapping[str, str] = field(default_factory=dict)
    locked_days_back: int = 0
    """Its bookkeeper has locked the books through the day so many days ago; 0: they are open."""
    abroad: tuple[OssAccount, ...] = ()
    """Where its bookkeeper wants sales to consumers in other EU countries."""

    @property
    def pair(self) -> str:
        """Both outside companies by name."""
        return f"{SYSTEMS[self.accounting]} + {PROVIDERS[self.payments]}"


PARTS: Final = (
    Part(
        "Fjällbutiken AB",
        "fortnox",
        "stripe",
        "plus",
        {"oss": "always", "odd_vat": "voucher"},
        abroad=(
            OssAccount("DE", "19", 3111, 2672),
            OssAccount("FR", "20", 3112, 2673),
            OssAccount("NL", "21", 3113, 2674),
            OssAccount("IE", "23", 3114, 2675),
            OssAccount("PL", "23", 3115, 2675),
            OssAccount("HU", "27", 3116, 2676),
            OssAccount("DK", "25", 3117, 2677),
            OssAccount("FI", "25.5", 3118, 2678),
        ),
    ),
    Part("Norrsken Design AB", "fortnox", "stripe", "basic", {"locked_period": "next_open_day"}, locked_days_back=25),
    Part("Lyktan i Lund AB", "fortnox", "paypal", "plus"),
    Part("Havblik ApS", "economic", "stripe", "plus"),
    Part("Kornblomst ApS", "economic", "paypal", "plus"),
)
"""Every accounting system with every payment provider in Plus, and a shop in Basic."""


def parts_of(accounting: str = "", payments: str = "") -> tuple[Part, ...]:
    """The companies with these outside companies; empty: any."""
    return tuple(
        part for part in PARTS if part.accounting.startswith(accounting) and part.payments.startswith(payments)
    )


@dataclass
class Visit:
    """A person at a browser, setting up one company."""

    stage: Stage
    part: Part
    console: Console
    browser: Browser = field(default_factory=Browser)
    company_id: int = 0
    run_id: int = 0

    def say(self, text: str) -> None:
        """Tell what has been done."""
        self.console.print(f"  [green]✓[/green] {self.part.name}: {text}")

    def _arrived(self, page: Page, path: str, what: str) -> Page:
        if page.status >= 400 or not urllib.parse.urlsplit(page.url).path.startswith(path):
            tail = f"\n{self.stage.children.log_tail('web')}" if page.status >= 500 else ""
            raise DemoFailed(f"{what}: came to {page.url} (status {page.status}): {page.text[:400]}{tail}")
        return page

    def install(self) -> None:
        """From the accounting system's side to a confirmed company."""
        page = self._activate_fortnox() if self.part.accounting == "fortnox" else self._add_to_economic()
        page = self._arrived(page, "/install/confirm", "back from the accounting system")
        if self.part.name not in page.text:
            raise DemoFailed(f"the page that asks to confirm does not name {self.part.name}")
        given = {"name": PERSON}
        if self.part.accounting == "economic":
            # It tells neither who the person is nor how the books are kept: the page asks.
            given |= {"email": EMAIL, "method": "invoices"}
        page = self.browser.submit(page, page.get_form("/install/confirm"), given, ("answer", "yes"))
        self._arrived(page, "/welcome", "confirming")
        self.company_id = installation.find_company(self.stage.services, self.part.name)
        self.say(f"installed from {SYSTEMS[self.part.accounting]}, confirmed by name")

    def _activate_fortnox(self) -> Page:
        """Its marketplace starts: activate, consent."""
        page = self.browser.get(f"{self.stage.world['fortnox']}/marketplace/app")
        form = page.get_form("/marketplace/activate")
        name, value = choose(form, self.part.name)
        page = self.browser.submit(page, form, {name: value})
        form = page.get_form("/oauth-v1/auth")
        return self.browser.submit(page, form, dict([choose(form, self.part.name)]), ("decision", "allow"))

    def _add_to_economic(self) -> Page:
        """Our own page starts: choose the agreement, add the app."""
        page = self.browser.get(f"{self.stage.kvitt}/install/economic")
        form = page.get_form("requestaccess")
        return self.browser.submit(page, form, dict([choose(form, self.part.name)]), ("decision", "add"))

    def repair(self) -> None:
        """Press Repair for all that is red and can be mended from here."""
        page = self.browser.get(f"{self.stage.kvitt}/welcome")
        form = page.find_form(r"/welcome/repair$") or page.find_form(r"/welcome/repair/\d+$")
        if form is None:
            return
        page = self._arrived(self.browser.submit(page, form), "/welcome", "repairing")
        for _ in range(40):  # where the page only mends one thing at a time
            form = page.find_form(r"/welcome/repair/\d+$")
            if form is None:
                break
            page = self._arrived(self.browser.submit(page, form), "/welcome", "repairing")
        self.say("prerequisites checked, what was red repaired")

    def connect(self) -> None:
        """Connect the payment provider: one click, one consent."""
        provider = PROVIDERS[self.part.payments]
        if self.part.payments == "stripe":
            page = self.browser.get(f"{self.stage.kvitt}/connect/stripe")
            form = page.get_form("authorize|^$")
            page = self.browser.submit(page, form, dict([choose(form, self.part.name)]), ("answer", "allow"))
        else:
            page = self.browser.get(f"{self.stage.kvitt}/connect/paypal?way=connect")
            form = page.get_form("/bizsignup/")
            page = self.browser.submit(page, form, dict([choose(form, self.part.name)]), ("answer", "agree"))
        self._arrived(page, "/welcome", f"back from {provider}")
        self.say(f"{provider} connected")

    def choose_mode(self) -> None:
        """Basic or Plus, and from which day on."""
        start = (datetime.now(UTC) - timedelta(days=DAYS_BACK)).date().isoformat()
        page = self.browser.get(f"{self.stage.kvitt}/settings")
        form = page.get_form(r"/settings/connections/\d+$")
        page = self.browser.submit(page, form, {"mode": self.part.mode, "start_date": start})
        self._arrived(page, "/settings", "saving the settings")
        page = self.browser.get(f"{self.stage.kvitt}/settings")
        form = page.get_form(r"/settings$")
        page = self.browser.submit(page, form, {"fee_vat_confirmed_by": PERSON, **self.part.settings})
        self._arrived(page, "/settings", "saving the settings")
        self._prepare_accounts_abroad()
        self._lock_books()
        page = self.browser.get(f"{self.stage.kvitt}/welcome")
        check = page.find_form(r"/welcome/check$")
        if check is not None:
            self._arrived(self.browser.submit(page, check), "/welcome", "checking")
        self.repair()
        self.say(f"{self.part.mode.capitalize()} chosen, from {start} on")

    def _in_the_books(self, action: str, **values: Any) -> None:
        """What the bookkeeper does over in the accounting system."""
        tenant = laws.tenant(self.stage.services, self.company_id)
        ask_json(f"{self.stage.world['control']}/control/fortnox/companies/{tenant}/do/{action}", "POST", values)

    def _prepare_accounts_abroad(self) -> None:
        """Accounts for consumers in other EU countries: made in the books, then told to Kvitt on its page about VAT."""
        for one in self.part.abroad:
            fits = "." not in one.percent
            name = f"Försäljning OSS {one.country} {one.percent} %"
            self._in_the_books("add_account", number=one.sales, description=name, vat_code="OSS" if fits else "")
            self._in_the_books("add_account", number=one.vat, description=f"Moms OSS {one.country}")
            if fits and one.percent != "25":
                self._in_the_books("add_vat_rate", percent=int(one.percent), account=one.vat)
            page = self.browser.get(f"{self.stage.kvitt}/settings/vat")
            given = {"country": one.country, "percent": one.percent, "sales": str(one.sales)}
            form = page.get_form(r"/settings/vat/accounts$")
            page = self.browser.submit(page, form, {**given, "vat": "" if fits else str(one.vat)})
            self._arrived(page, "/settings/vat", "saving an account")
        if self.part.abroad:
            self.say(f"accounts for consumers in {', '.join(one.country for one in self.part.abroad)} chosen (OSS)")

    def _lock_books(self) -> None:
        """Where a month has been closed."""
        if not self.part.locked_days_back:
            return
        through = (datetime.now(UTC) - timedelta(days=self.part.locked_days_back)).date()
        self._in_the_books("lock_period", until=through.isoformat())
        self.say(f"the bookkeeper has locked the books through {through.isoformat()}")

    def start_run(self) -> None:
        """Press Sync now."""
        page = self.browser.get(f"{self.stage.kvitt}/overview")
        page = self.browser.submit(page, page.get_form(r"/sync$"))
        found = re.search(r"/runs/(\d+)$", urllib.parse.urlsplit(page.url).path)
        if found is None:
            raise DemoFailed(f"Sync now led to {page.url} (status {page.status}): {page.text[:400]}")
        self.run_id = int(found[1])

    def look(self) -> RunView:
        """The run as it stands; its page must answer meanwhile."""
        page = self.browser.get(f"{self.stage.kvitt}/runs/{self.run_id}")
        if page.status != 200:
            raise DemoFailed(f"the run's page answers {page.status}: {page.text[:300]}")
        return runs.view(self.stage.services, self.company_id, self.run_id)


def follow(visits: Sequence[Visit], console: Console) -> list[RunView]:
    """Watch the runs of all companies to their end, each on a bar."""
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[doing]}"),
    )
    deadline = time.monotonic() + RUN_TIMEOUT_S
    finished: dict[int, RunView] = {}
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        tasks = {visit.company_id: progress.add_task(visit.part.name, total=None, doing="starting") for visit in visits}
        while len(finished) < len(visits):
            for visit in visits:
                if visit.company_id in finished:
                    continue
                run = visit.look()
                _show(progress, tasks[visit.company_id], run)
                if run.state != "running":
                    finished[visit.company_id] = run
            _still_well(visits[0].stage, deadline)
            time.sleep(0.5)
    for visit in visits:
        run = finished[visit.company_id]
        if run.state != "done":
            raise DemoFailed(f"the run of {visit.part.name} ended as {run.state}: {run.message}")
    return [finished[visit.company_id] for visit in visits]


def _show(progress: Progress, task: Any, run: RunView) -> None:
    done, left = run.counts.get("delivered", 0), run.counts.get("to_deliver", 0)
    doing = "done" if run.state == "done" else run.now_doing or run.phase
    progress.update(task, completed=done, total=done + left or None, doing=doing)


def _still_well(stage: Stage, deadline: float) -> None:
    ended = stage.children.ended()
    if ended is not None:
        raise DemoFailed(f"{ended} ended by itself:\n{stage.children.log_tail(ended)}")
    if time.monotonic() > deadline:
        raise DemoFailed("the runs took too long")
