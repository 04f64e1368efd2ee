"""`kvitt demo`: the whole world on this machine, and the main job done in front of the user.

Everything is a child process, as in real use: the simulated outside world, Redis, the pages, workers, the clock.
The demo itself sits before it like a person: it drives the pages over HTTP, form by form, with a browser of its own.
Afterwards it reads the simulated companies' real books and checks every law that can be checked from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from addon.bootstrap import build
from addon.config import Settings, load_settings
from addon.jobs.redis_server import EmbeddedRedis, end_with_parent, free_port
from addon.services import held, installation, laws, runs
from addon.services.context import Services
from addon.services.runs import RunView
from addon.store.migrate import migrate

START_TIMEOUT_S: Final = 60.0
PAGE_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
RUN_TIMEOUT_S: Final = 1800.0
DAYS_BACK: Final = 40
"""The shops have sold for a month; Kvitt starts a little before."""
WORKERS: Final = 2
PERSON: Final = "Ada (demo)"
NARROWEST: Final = 140
"""Columns of a log file, whose tables nobody can make wider."""

KEPT_FROM_OUTSIDE: Final = ("DATABASE_URL", "DATABASE_OWNER_URL")
"""What the user may set for the demo: a PostgreSQL to use instead of a file."""


class DemoFailed(Exception):
    """The main job did not come to its end; the message says where."""


# --- a small browser ------------------------------------------------------------------------------------------


@dataclass
class Form:
    """A form of a page: where it goes, what it sends as it stands, and its buttons."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Radio buttons: values with the text beside them."""
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Finds forms, headings and links in a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._radio: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what belongs to a form."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "input":
            self._input(given, name, value)
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._form.buttons.append((name, value))
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((value, "selected" in given))
        elif tag == "textarea":
            self._area = name

    def _input(self, given: Mapping[str, str], name: str, value: str) -> None:
        assert self._form is not None  # noqa: S101 - the caller has looked
        kind = given.get("type", "text")
        if kind == "submit":
            self._form.buttons.append((name, value))
        elif kind == "radio":
            self._form.choices.setdefault(name, []).append((value, ""))
            self._radio = (name, value)
            if "checked" in given:
                self._form.fields.append((name, value))
        elif kind == "checkbox":
            if "checked" in given:
                self._form.fields.append((name, value or "on"))
        elif name and kind not in ("button", "reset", "file"):
            self._form.fields.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag == "form":
            self._form = None
        elif tag == "select" and self._form is not None and self._select:
            chosen = [value for value, selected in self._options if selected]
            if self._options:
                self._form.fields.append((self._select, chosen[0] if chosen else self._options[0][0]))
            self._select = ""
        elif tag == "textarea":
            self._area = None
        elif tag == "label":
            self._radio = None

    def handle_data(self, data: str) -> None:
        """Take the words of the page, and those beside a radio button."""
        self.text.append(data)
        if self._form is not None and self._radio is not None:
            name, value = self._radio
            choices = self._form.choices[name]
            choices[-1] = (value, f"{choices[-1][1]} {data}".strip())
        if self._form is not None and self._area is not None:
            self._form.fields.append((self._area, data))


@dataclass(frozen=True)
class Page:
    """A page as it came: its address after all redirects, status and HTML."""

    url: str
    status: int
    html: str

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    @property
    def text(self) -> str:
        """The words of the page."""
        return " ".join(" ".join(self._read().text).split())

    def find_form(self, pattern: str) -> Form | None:
        """The first form whose address matches; one without an address goes to the page's own."""
        for form in self._read().forms:
            if re.search(pattern, form.action or urllib.parse.urlsplit(self.url).path):
                return form
        return None

    def get_form(self, pattern: str) -> Form:
        """The same; raises `DemoFailed` if the page has none."""
        form = self.find_form(pattern)
        if form is None:
            raise DemoFailed(f"{self.url} (status {self.status}) has no form for {pattern}: {self.text[:300]}")
        return form


class Browser:
    """One person's browser: cookies of its own, redirects followed, every wait bounded."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            # No proxy: everything is on this machine.
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def get(self, url: str) -> Page:
        """Open an address."""
        return self._open(urllib.request.Request(url))  # noqa: S310 - loopback addresses of our own making

    def submit(
        self, page: Page, form: Form, values: Mapping[str, str] | None = None, button: tuple[str, str] | None = None
    ) -> Page:
        """Send a form as a person would: what it holds, with some fields filled in, by one of its buttons."""
        given = dict(values or {})
        fields = [(name, text) for name, text in form.fields if name not in given]
        fields += list(given.items())
        if button is not None:
            fields.append(button)
        elif form.buttons and form.buttons[0][0]:
            fields.append(form.buttons[0])
        url = urllib.parse.urljoin(page.url, form.action or page.url)
        body = urllib.parse.urlencode(fields)
        if form.method != "post":
            return self.get(f"{url.partition('?')[0]}?{body}")
        request = urllib.request.Request(  # noqa: S310 - as above
            url, body.encode(), {"Content-Type": "application/x-www-form-urlencoded", "Referer": page.url}
        )
        return self._open(request)

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=PAGE_TIMEOUT_S) as answer:
                return Page(answer.geturl(), answer.status, answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            return Page(error.geturl() or request.full_url, error.code, error.read().decode("utf-8", "replace"))
        except OSError as error:
            raise DemoFailed(f"{request.full_url} does not answer: {error}") from error


def choose(form: Form, words: str) -> tuple[str, str]:
    """The radio button beside these words. Raises `DemoFailed`."""
    for name, choices in form.choices.items():
        for value, text in choices:
            if words in text:
                return name, value
    raise DemoFailed(f"no choice called {words!r} in the form for {form.action}")


def ask_json(url: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
    """Ask the simulated world's control address. Raises `DemoFailed`."""
    data, headers = (None, {}) if body is None else (json.dumps(body).encode(), {"Content-Type": "application/json"})
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PAGE_TIMEOUT_S) as answer:
            return json.loads(answer.read(), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        if error.code == 409:  # it answers, and says what is broken
            return json.loads(error.read(), parse_float=Decimal)
        raise DemoFailed(f"the sandbox answers {error.code} at {url}") from error
    except (OSError, ValueError) as error:
        raise DemoFailed(f"the sandbox does not answer {url}: {error}") from error


# --- processes ------------------------------------------------------------------------------------------------


class Children:
    """The processes that we started; ended by their own ids, youngest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[tuple[str, subprocess.Popen[str]]] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, reads: bool = False) -> Any:
        """Start a process with its log in the folder; `reads`: its standard output is ours."""
        log = (self._folder / f"{name}.log").open("w", encoding="utf-8")
        child = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if reads else log,
            stderr=log,
            text=True,
            preexec_fn=end_with_parent,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )
        log.close()
        self._children.append((name, child))
        return child

    def ended(self) -> str | None:
        """The name of a child that has ended by itself."""
        return next((name for name, child in self._children if child.poll() is not None), None)

    def log_tail(self, name: str, lines: int = 25) -> str:
        """The end of a child's log."""
        path = self._folder / f"{name}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End all; bounded."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for _, child in reversed(self._children):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_TIMEOUT_S)


@dataclass(frozen=True)
class Stage:
    """Everything that runs: addresses, settings, services over the same database, processes."""

    kvitt: str
    world: Mapping[str, str]
    settings: Settings
    environment: Mapping[str, str]
    services: Services
    children: Children


def _environment(folder: Path, redis_url: str, kvitt: str, world: Mapping[str, str]) -> dict[str, str]:
    known = set(Settings.names())
    base = {name: value for name, value in os.environ.items() if name not in known or name in KEPT_FROM_OUTSIDE}
    calls = os.environ.get("FORTNOX_CALLS_PER_5_S", "0")
    return {
        **{"DATABASE_URL": f"sqlite:///{folder / 'kvitt.db'}"},
        **base,
        **world,
        "KVITT_ENV": "sandbox",
        "REDIS_URL": redis_url,
        "PUBLIC_URL": kvitt,
        "FORTNOX_CALLS_PER_5_S": calls,
        "PYTHONUNBUFFERED": "1",
    }


def _read_line(child: subprocess.Popen[str], timeout_s: float) -> str:
    assert child.stdout is not None  # noqa: S101 - it was started with a pipe
    ready, _, _ = select.select([child.stdout], [], [], timeout_s)
    return child.stdout.readline() if ready else ""


def _start_world(children: Children, kvitt: str, sales: int) -> tuple[dict[str, str], dict[str, str]]:
    """Start the simulated world; its addresses, and the environment that aims a Kvitt at it."""
    paced = os.environ.get("FORTNOX_CALLS_PER_5_S", "0") != "0"
    command = [
        *(sys.executable, "-m", "addon.sandbox.server"),
        *("--kvitt-url", kvitt, "--sales", str(sales)),
        *("--fortnox-call-limit", "25" if paced else "0"),
    ]
    child = children.start("sandbox", command, {**os.environ, "PYTHONUNBUFFERED": "1"}, reads=True)
    line = _read_line(child, START_TIMEOUT_S + sales / 20)
    try:
        said = json.loads(line)
    except ValueError:
        raise DemoFailed(f"the simulated world did not start:\n{children.log_tail('sandbox')}") from None
    environment = {str(name): str(value) for name, value in said.pop("environment").items()}
    return {str(name): str(value) for name, value in said.items()}, environment


@contextlib.contextmanager
def stage(sales: int, console: Console) -> Iterator[Stage]:
    """Set everything up in a folder of its own, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="kvitt-demo-"))
    children = Children(folder)
    redis: EmbeddedRedis | None = None
    services: Services | None = None
    try:
        with console.status("Starting the simulated world, Redis, pages, workers and clock"):
            redis = EmbeddedRedis(folder / "redis")
            kvitt = f"http://127.0.0.1:{free_port()}"
            world, aimed = _start_world(children, kvitt, sales)
            environment = _environment(folder, redis.url, kvitt, aimed)
            settings = load_settings(environment)
            migrate(settings.migration_url)
            services = build(settings)
            if installation.companies(services):
                raise DemoFailed("DATABASE_URL names a database with companies in it; the demo wants an empty one")
            _start_kvitt(children, environment, kvitt)
        yield Stage(kvitt, world, settings, environment, services, children)
    finally:
        if services is not None:
            services.db.close()
        children.stop()
        if redis is not None:
            redis.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _start_kvitt(children: Children, environment: Mapping[str, str], kvitt: str) -> None:
    python = sys.executable
    address = urllib.parse.urlsplit(kvitt).netloc
    web = (python, "-m", "gunicorn", "addon.web:create_app()", "--bind", address, "--threads", "8")
    children.start("web", web, environment)
    for number in range(1, WORKERS + 1):
        children.start(f"worker-{number}", (python, "-m", "addon", "worker"), environment)
    children.start("clock", (python, "-m", "addon", "clock", "--tick", "5"), environment)
    browser = Browser()
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(DemoFailed):
            if browser.get(f"{kvitt}/readyz").status == 200:
                return
        ended = children.ended()
        if ended or time.monotonic() > deadline:
            name = ended or "web"
            raise DemoFailed(f"{name} did not start:\n{children.log_tail(name)}")
        time.sleep(0.1)


# --- what a person does ---------------------------------------------------------------------------------------


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
    """A company of the demo, the mode that it chooses, and what else it sets."""

    name: str
    mode: str
    settings: Mapping[str, str] = field(default_factory=dict)
    locked_days_back: int = 0
    """Its bookkeeper has locked the books through the day so many days ago; 0: they are open."""
    abroad: tuple[OssAccount, ...] = ()
    """Where its bookkeeper wants sales to consumers in other EU countries."""


PARTS: Final = (
    Part(
        "Fjällbutiken AB",
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
    Part("Norrsken Design AB", "basic", {"locked_period": "next_open_day"}, locked_days_back=25),
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
        """From the marketplace, which starts it: activate, consent, confirm."""
        browser = self.browser
        page = browser.get(f"{self.stage.world['fortnox']}/marketplace/app")
        form = page.get_form("/marketplace/activate")
        name, value = choose(form, self.part.name)
        page = browser.submit(page, form, {name: value})
        form = page.get_form("/oauth-v1/auth")
        page = browser.submit(page, form, dict([choose(form, self.part.name)]), ("decision", "allow"))
        page = self._arrived(page, "/install/confirm", "back from the marketplace")
        if self.part.name not in page.text:
            raise DemoFailed(f"the page that asks to confirm does not name {self.part.name}")
        page = browser.submit(page, page.get_form("/install/confirm"), {"name": PERSON}, ("answer", "yes"))
        self._arrived(page, "/welcome", "confirming")
        self.company_id = installation.find_company(self.stage.services, self.part.name)
        self.say("installed from the marketplace, confirmed by name")

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
        """Connect Stripe: one click, one consent."""
        page = self.browser.get(f"{self.stage.kvitt}/connect/stripe")
        form = page.get_form("authorize|^$")
        page = self.browser.submit(page, form, dict([choose(form, self.part.name)]), ("answer", "allow"))
        self._arrived(page, "/welcome", "back from Stripe")
        self.say("Stripe connected")

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


# --- the laws -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """One checked law: what holds, or what does not."""

    name: str
    faults: tuple[str, ...]


class Bookshelf:
    """What the simulated Fortnox really holds of one company, read past Kvitt and its connector."""

    def __init__(self, stage: Stage, tenant: str) -> None:
        self._base = f"{stage.world['control']}/control/fortnox"
        self._tenant = tenant
        self.invoices = self._look("invoices")
        self.payments = self._look("payments")
        self.vouchers = self._look("vouchers")
        self.mails = self._look("mails")
        self.sound = self._look("check")

    def _look(self, what: str) -> Any:
        return ask_json(f"{self._base}/companies/{self._tenant}/{what}")

    def ours(self) -> list[dict[str, Any]]:
        """Invoices and credit notes that carry a key of ours and stand."""
        return [
            invoice
            for invoice in self.invoices
            if str(invoice["external_reference_1"]).startswith("stripe/") and not invoice["cancelled"]
        ]

    def calls(self, method: str = "") -> int:
        """How many calls this company's books have had since the counter was set to nought."""
        query = f"?company={self._tenant}{f'&method={method}' if method else ''}"
        return int(ask_json(f"{self._base}/calls{query}")["count"])

    def forget_calls(self) -> None:
        """Set the counter to nought."""
        ask_json(f"{self._base}/calls", "DELETE")


def check_books_of(visit: Visit, shelf: Bookshelf) -> list[Law]:
    """Every law that can be checked over one company's data and the books as they really are."""
    services, company_id = visit.stage.services, visit.company_id
    facts = laws.facts(services, company_id)
    unpaid = [one for one in shelf.ours() if Decimal(str(one["balance"])) != 0]
    sides = [
        voucher
        for voucher in shelf.vouchers
        if sum(Decimal(str(row["debit"])) - Decimal(str(row["credit"])) for row in voucher["rows"]) != 0
    ]
    return [
        Law("nothing is lost: all parts make up all movements", facts.lost),
        Law("books and provider agree in every balance currency", facts.unequal),
        Law("each payout is the sum of its movements, or proved by balances", facts.unproved_payouts),
        Law("each document stands once in the books", tuple(_copies(shelf, facts))),
        Law("each invoice and credit note of Kvitt is closed", tuple(_invoice_words(one) for one in unpaid)),
        Law(
            "every voucher balances",
            tuple(f"{one['series']} {one['number']}" for one in sides)
            + (() if shelf.sound == {"ok": True} else (str(shelf.sound),)),
        ),
        Law("nothing was mailed to a buyer", tuple(f"{mail['invoice']} to {mail['to']}" for mail in shelf.mails)),
    ]


def _copies(shelf: Bookshelf, facts: laws.Facts) -> Iterator[str]:
    """Keys that stand more than once, and counts that are not those of our rows."""
    keys = Counter((str(one["external_reference_1"]), Decimal(str(one["total"])) < 0) for one in shelf.ours())
    yield from (f"{key} stands {count} times" for (key, _), count in keys.items() if count > 1)
    ours = [voucher for voucher in shelf.vouchers if voucher["series"] == facts.series and not voucher["by_person"]]
    texts = Counter(str(voucher["description"]) for voucher in ours)
    yield from (f"voucher {text} stands {count} times" for text, count in texts.items() if count > 1)
    found = {
        "invoices": len({key for key, negative in keys if not negative}),
        "payments": sum(1 for payment in shelf.payments if payment["booked"] and not payment["by_person"]),
        "vouchers": len(ours),
    }
    made = {"invoices": facts.invoices, "payments": facts.payments, "vouchers": facts.vouchers}
    yield from (
        f"{found[name]} {name} in the books, {made[name]} in our rows" for name in found if found[name] != made[name]
    )


def _invoice_words(invoice: Mapping[str, Any]) -> str:
    return f"{invoice['number']} {invoice['external_reference_1']} has {invoice['balance']} {invoice['currency']} left"


def check_alone(visits: Sequence[Visit]) -> Law:
    """No company's browser sees a transaction of another."""
    faults = []
    for visit in visits:
        for other in visits:
            if other is visit:
                continue
            foreign = laws.any_movement(other.stage.services, other.company_id)
            status = visit.browser.get(f"{visit.stage.kvitt}/transactions/{foreign}").status
            if status != 404:
                faults.append(f"{visit.part.name} got {status} for a transaction of {other.part.name}")
    return Law("each company sees its own data only", tuple(faults))


def check_second_run(visits: Sequence[Visit], shelves: Sequence[Bookshelf], console: Console) -> Law:
    """Run again over finished work: nothing may be written. Tried again if the world moved on meanwhile."""
    faults: list[str] = []
    for _ in range(3):
        shelves[0].forget_calls()
        for visit in visits:
            visit.start_run()
        ended = follow(visits, console)
        faults = []
        moved = False
        for visit, shelf, run in zip(visits, shelves, ended, strict=True):
            writes = sum(shelf.calls(method) for method in ("POST", "PUT", "DELETE"))
            if writes:
                faults.append(f"{visit.part.name}: {writes} writes")
            moved = moved or bool(run.counts.get("fetched") or run.counts.get("planned"))
        if not faults or not moved:
            break
    return Law("a second run writes nothing", tuple(faults))


# --- telling --------------------------------------------------------------------------------------------------


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    for name in columns:
        made.add_column(name.rstrip("#"), justify="right" if name.endswith("#") else "left", overflow="fold")
    return made


def tell_results(visits: Sequence[Visit], shelves: Sequence[Bookshelf], console: Console) -> None:
    """The table, what is held and why, and the identity of each balance currency."""
    shown = _table(
        "What was done",
        *("company", "mode", "movements#", "currencies#", "invoices#", "credit notes#", "payments#", "vouchers#"),
        *("waiting#", "held#", "calls#"),
    )
    for visit, shelf in zip(visits, shelves, strict=True):
        standing = held.standing(visit.stage.services, visit.company_id)
        kinds = standing.documents
        sales = laws.facts(visit.stage.services, visit.company_id).invoices
        refunds, matches = (kinds.get(name, 0) for name in ("refund", "match"))
        vouchers = sum(kinds.values()) - sales - refunds - matches
        shown.add_row(
            visit.part.name,
            visit.part.mode.capitalize(),
            *(str(number) for number in (standing.movements, len(standing.currencies), sales, refunds)),
            *(str(number) for number in (sales + refunds + matches, vouchers)),
            *(str(standing.parts.get(name, 0)) for name in ("waiting", "held")),
            str(shelf.calls()),
        )
    console.print(shown)
    _tell_held(visits, console)
    identities = _table(
        "Books and provider",
        *("company", "", "opening#", "books#", "not booked#", "Stripe says#", "difference#", ""),
    )
    for visit in visits:
        for line in held.latest_proofs(visit.stage.services, visit.company_id):
            amounts = (line.opening, line.ledger, line.not_booked, line.provider, line.difference)
            well = not line.difference and line.details.get("holds", True)
            identities.add_row(
                visit.part.name,
                line.provider.currency,
                *(f"{amount.to_decimal():,f}".replace(",", " ") for amount in amounts),
                "[green]✓ kvitt[/green]" if well else "[red]✗ differs[/red]",
            )
    console.print(identities)


def _tell_held(visits: Sequence[Visit], console: Console) -> None:
    from addon.core.text import hold_text

    shown = _table("Held: these need a person", "company", "movements#", "why", "for example")
    rows = 0
    for visit in visits:
        groups: dict[str, list[held.HeldPart]] = {}
        for part in held.held_parts(visit.stage.services, visit.company_id):
            groups.setdefault(part.reason, []).append(part)
        for reason, parts in sorted(groups.items()):
            rows += 1
            example = f"{parts[0].ref} {parts[0].amount}"
            shown.add_row(visit.part.name, str(len(parts)), hold_text(reason, {}), example)
    if rows:
        console.print(shown)


def tell_laws(checked: Sequence[tuple[str, Law]], console: Console) -> bool:
    """Each law with ✓, or with what breaks it; True if all hold."""
    shown = _table("Laws", "", "law", "company")
    for company, law in checked:
        shown.add_row("[red]✗[/red]" if law.faults else "[green]✓[/green]", law.name, company)
    console.print(shown)
    for company, law in checked:
        for fault in law.faults[:10]:
            console.print(f"  [red]✗[/red] {company}: {law.name}: {fault}")
    return not any(law.faults for _, law in checked)


# --- the demo -------------------------------------------------------------------------------------------------


def main_job(running: Stage, console: Console) -> bool:
    """Install, connect, choose, run, prove, for both companies; whether every checked law held."""
    console.print("[bold]Setting up, as a person would in a browser[/bold]")
    visits = [Visit(running, part, console) for part in PARTS]
    for visit in visits:
        visit.install()
        visit.repair()
        visit.connect()
        visit.choose_mode()
    console.print("[bold]Sync now[/bold] (leaving the page would not stop it)")
    for visit in visits:
        visit.start_run()
    follow(visits, console)
    shelves = [Bookshelf(running, laws.tenant(running.services, visit.company_id)) for visit in visits]
    tell_results(visits, shelves, console)
    checked = [
        (visit.part.name, law)
        for visit, shelf in zip(visits, shelves, strict=True)
        for law in check_books_of(visit, shelf)
    ]
    checked.append(("both", check_alone(visits)))
    console.print("Running again over finished work")
    checked.append(("both", check_second_run(visits, shelves, console)))
    return tell_laws(checked, console)


def _wait_for_stop(running: Stage, console: Console) -> None:
    stopped: list[int] = []
    handlers: list[Callable[..., Any] | int | None] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        handlers.append(signal.signal(number, lambda told, _frame: stopped.append(told)))
    try:
        while not stopped:
            ended = running.children.ended()
            if ended is not None:
                raise DemoFailed(f"{ended} ended by itself:\n{running.children.log_tail(ended)}")
            time.sleep(0.3)
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
    console.print("\nEnding what was started.")


def run_demo(*, once: bool, sales: int) -> int:
    """The command: 0 if the main job was done and every checked law held, else 1 (a law) or 2 (could not run)."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=NARROWEST)
    try:
        with stage(sales, console) as running:
            well = main_job(running, console)
            if once:
                return 0 if well else 1
            world = running.world
            console.print(
                f"\n[bold]Kvitt is at {running.kvitt}[/bold]  (install it from the marketplace to sign in)\n"
                f"  The marketplace and the companies' books: {world['fortnox']}/marketplace\n"
                f"  The shops, where you can buy and refund:  {world['shop']}\n"
                "Ctrl-C ends everything."
            )
            _wait_for_stop(running, console)
            return 0 if well else 1
    except DemoFailed as error:
        console.print(f"[red]The demo failed:[/red] {error}", markup=True)
        return 2
    except KeyboardInterrupt:
        return 130
