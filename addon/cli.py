"""The command line. Exit status: 0 all well, 1 held or differing items, 2 could not run.

Everything but click is imported when a command needs it, so that `kvitt --help` answers at once.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeVar

import click

from addon.ports import registry

if TYPE_CHECKING:
    from rich.console import Console

    from addon.config import Settings
    from addon.core.books import Check
    from addon.core.checklists import Prerequisite
    from addon.core.documents import Document, Step
    from addon.core.money import Money
    from addon.services.context import Services
    from addon.services.held import HeldPart
    from addon.services.previews import Totals
    from addon.services.reconciliation import Identity
    from addon.services.runs import Preview, RunView

ALL_WELL: Final = 0
HELD_OR_DIFFERING: Final = 1
COULD_NOT_RUN: Final = 2

WHO: Final = "command line"
OWN_FOLDER: Final = Path(".kvitt")
"""Where an embedded Redis that serve, worker and clock share leaves its address."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class CouldNotRun(click.ClickException):
    """Something that is said in a sentence on standard error, without a traceback."""

    exit_code = COULD_NOT_RUN

    def show(self, file: Any = None) -> None:
        """Write the sentence."""
        click.echo(f"kvitt: {self.message}", err=True)


def fail(message: str) -> NoReturn:
    """End the command: it could not run. Raises `CouldNotRun`."""
    raise CouldNotRun(message)


def telling_faults(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turn what a command may well meet into a sentence and exit status 2."""

    @functools.wraps(command)
    def told(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        from addon.config import ConfigurationError
        from addon.jobs.queue import QueueAway
        from addon.jobs.redis_server import NoRedis
        from addon.ports.connectors import NotOffered
        from addon.ports.errors import NeedsReconnect, PortError
        from addon.services.connections import NotConnected
        from addon.services.installation import UnknownCompany
        from addon.services.runs import CompanyNotReady
        from addon.services.settings import UnknownConnection

        try:
            return command(*args, **kwargs)
        except CompanyNotReady as error:
            fail(not_ready(error.reason, error.system))
        except NeedsReconnect as error:
            fail(f"a person must connect again: {error}")
        except PortError as error:
            fail(f"{type(error).__name__}: {error}")
        except (UnknownCompany, UnknownConnection, NotConnected, NotOffered) as error:
            fail(str(error))
        except (ConfigurationError, NoRedis, QueueAway) as error:
            fail(str(error))

    return told


def not_ready(reason: str, system: str) -> str:
    """Why a company whose books are in a system cannot be run, in a sentence."""
    if (asked := registry.prerequisites(system).get(reason)) is not None:
        return f"the company is stopped: {asked.title} is not so; `kvitt doctor` says more"
    sentences = {
        "setting_up": "the company is not set up yet: connect a provider and choose Basic or Plus",
        "reconnect": "the company is stopped: a person must connect its accounting system again",
        "disconnected": "the company has ended its connection",
        "no_connection": "no connection has both a mode and a start date",
        "books_unread": "the books have not been read yet: `kvitt doctor` reads them",
    }
    return sentences.get(reason, f"the run stopped: {reason}")


# --- what commands work with ----------------------------------------------------------------------------------


def read_settings(*, quiet: bool, process: str = "command") -> Settings:
    """The settings out of the environment; `quiet` keeps the log to warnings, for commands that report.

    `process` is what the log of who did what calls this process.
    """
    from addon import alarms
    from addon.config import ConfigurationError, load_settings
    from addon.log import configure_logging
    from addon.services import activity

    configure_logging(level="WARNING" if quiet else "INFO")
    activity.process_is(process)
    try:
        settings = load_settings()
    except ConfigurationError as error:
        fail(str(error))
    alarms.watch(settings)
    return settings


@contextmanager
def with_redis(*, quiet: bool, process: str = "command") -> Iterator[Settings]:
    """Settings with a Redis: the one that is set, else an embedded one that our processes here share."""
    from addon.config import load_settings
    from addon.jobs.redis_server import shared_redis

    settings = read_settings(quiet=quiet, process=process)
    if settings.redis_url is not None:
        yield settings
        return
    url, server = shared_redis(OWN_FOLDER)
    os.environ["REDIS_URL"] = url  # children read it too
    try:
        yield load_settings()
    finally:
        if server is not None:
            server.stop()


@contextmanager
def working(*, quiet: bool = True) -> Iterator[Services]:
    """The services of a command, over a database that is ready. Ends with status 2 where it is not."""
    from addon.bootstrap import build
    from addon.services.health import database_problem

    with with_redis(quiet=quiet) as settings:
        services = build(settings)
        try:
            problem = database_problem(services)
            if problem:
                fail(problem)
            yield services
        finally:
            services.db.close()


def say_json(value: object) -> None:
    """Write a value as JSON on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


def amount(value: Money) -> str:
    """An amount as a decimal string, without its currency."""
    return f"{value.to_decimal():f}"


def console(*, err: bool = False) -> Console:
    """Where tables and bars go."""
    from rich.console import Console

    return Console(stderr=err, highlight=False)


def table(title: str, *columns: str) -> Any:
    """A table; a column whose name ends with `#` holds figures."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    for name in columns:
        made.add_column(name.rstrip("#"), justify="right" if name.endswith("#") else "left", overflow="fold")
    return made


as_json = click.option("--json", "json_", is_flag=True, help="Write JSON instead of a table.")
one_connection = click.option("--connection", type=int, help="Only this connection (its id).")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kvitt", prog_name="kvitt")
def main() -> None:
    """Kvitt books every payment transaction in the accounting system it belongs to, and proves it."""


# --- processes ------------------------------------------------------------------------------------------------


@main.command()
@telling_faults
def migrate() -> None:
    """Bring the database to the schema of this version."""
    settings = read_settings(quiet=True)
    from addon.store.migrate import migrate as bring_up
    from addon.store.migrate import role_of

    bring_up(settings.migration_url, role_of(settings.database_url))
    click.echo("The database has the present schema.")


@main.command("rotate-keys")
@telling_faults
def rotate_keys() -> None:
    """Seal all tokens with the first of TOKEN_KEYS; after that, the other keys can go."""
    from addon.services.keys import rotate_keys as rotate

    with working() as services:
        done = rotate(services)
    click.echo(f"{done.sealed} secrets are sealed with the first key.")
    if done.unreadable:
        fail("none of the keys opens these, so they must be connected anew:\n  " + "\n  ".join(done.unreadable))


@main.command()
@click.argument("company", required=False)
@telling_faults
def restored(company: str | None) -> None:
    """Say that the database was put back: for a COMPANY, or for all, look for each document before writing it."""
    from addon.services.connections import company_states
    from addon.services.installation import find_company
    from addon.services.restored import declare

    with working() as services:
        ids = [find_company(services, company)] if company else [one for one, _ in company_states(services)]
        for company_id in ids:
            until = declare(services, company_id, WHO)
            if until is not None:
                click.echo(f"Company {company_id}: every first attempt looks first, for all until {until:%Y-%m-%d}.")


@main.command()
@click.argument("company")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--handed-over-to", default="", help="Who keeps the records, where the law still asks for them.")
@telling_faults
def erase(company: str, yes: bool, handed_over_to: str) -> None:
    """Erase all data of a COMPANY that has disconnected, for good."""
    from addon.services.erasure import NotYet
    from addon.services.erasure import erase as erase_company
    from addon.services.installation import find_company

    with working() as services:
        company_id = find_company(services, company)
        if not yes:
            click.confirm(f"Erase everything that Kvitt knows of company {company_id}, for good?", abort=True)
        try:
            done = erase_company(services, company_id, WHO, handed_over_to.strip())
        except NotYet as refusal:
            fail(str(refusal))
    click.echo(f"Company {done.company_id} is erased: {sum(done.rows.values())} rows.")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@telling_faults
def serve(host: str, port: int, workers: int) -> None:
    """Serve the pages."""
    with with_redis(quiet=False):
        import subprocess

        from addon.jobs.redis_server import end_with_parent

        command = [
            *(sys.executable, "-m", "gunicorn", "addon.web:create_app()"),
            *("--bind", f"{host}:{port}", "--workers", str(workers), "--threads", "8"),
            *("--worker-class", "gthread", "--graceful-timeout", "65", "--no-control-socket"),
        ]
        # Were this process killed, a web server left behind would keep the next one from the port.
        child = subprocess.Popen(command, preexec_fn=end_with_parent)
        previous = [signal.signal(number, lambda *_: child.terminate()) for number in (signal.SIGTERM, signal.SIGINT)]
        try:
            status = child.wait()
        finally:
            for number, handler in zip((signal.SIGTERM, signal.SIGINT), previous, strict=True):
                signal.signal(number, handler)
    if status not in (0, -signal.SIGTERM, -signal.SIGINT):
        fail(f"the web server ended with status {status}")


@main.command()
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
@telling_faults
def worker(burst: bool) -> None:
    """Take work from the queue until told to stop; the job at hand is finished first."""
    with with_redis(quiet=False, process="worker") as settings:
        from addon.jobs.worker import run_worker

        assert settings.redis_url is not None  # noqa: S101 - with_redis has seen to it
        run_worker(settings.redis_url, lease_s=settings.lease_s, burst=burst)


@main.command()
@click.option("--tick", "tick_s", default=60.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds.")
@telling_faults
def clock(tick_s: float) -> None:
    """Tick: nudge the companies whose time has come, and what was lost on the way."""
    with with_redis(quiet=False, process="clock") as settings:
        from addon.bootstrap import build
        from addon.jobs.schedule import run_clock

        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run_clock(build(settings), settings.redis_url, stop, tick_s)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Serve the simulated outside world on loopback ports."""
    from addon.sandbox.server import main as serve_world

    sys.exit(serve_world(arguments))


def _one_of(lines: Iterable[registry.Registered]) -> click.Choice[str]:
    """One of the outside companies that are registered."""
    return click.Choice([line.name for line in lines])


@main.command()
@click.option("--once", is_flag=True, help="End after the main job; status 0 only if every law held.")
@click.option("--sales", default=300, show_default=True, type=click.IntRange(10, 20_000), help="Sales in Plus.")
@click.option("--accounting", type=_one_of(registry.ACCOUNTING), help="Only companies with their books there.")
@click.option("--payments", type=_one_of(registry.PAYMENTS), help="Only companies that are paid there.")
def demo(once: bool, sales: int, accounting: str | None, payments: str | None) -> None:
    """Do the main job against the sandbox, in front of you, for every pair, and leave the pages up."""
    from addon.demo import run_demo

    sys.exit(run_demo(once=once, sales=sales, accounting=accounting or "", payments=payments or ""))


# --- companies and settings -----------------------------------------------------------------------------------


@main.command()
@as_json
@telling_faults
def companies(json_: bool) -> None:
    """List the companies and their connections."""
    from addon.services.installation import companies as listed

    with working() as services:
        views = listed(services)
    if json_:
        say_json(
            [
                {
                    "id": view.id,
                    "name": view.name,
                    "accounting": view.accounting,
                    "tenant": view.tenant,
                    "state": view.state,
                    "stop_reason": view.stop_reason,
                    "connections": [
                        {
                            "id": one.id,
                            "provider": one.provider,
                            "mode": one.mode,
                            "state": one.state,
                            "account": one.account_ref,
                        }
                        for one in view.connections
                    ],
                }
                for view in views
            ]
        )
        return
    lines = table("", "id#", "company", "books", "state", "connections")
    for view in views:
        connections = ", ".join(
            f"{one.id} {one.provider} {one.mode or 'no mode yet'}"
            + (f" ({one.state})" if one.state != "connected" else "")
            for one in view.connections
        )
        state = f"{view.state} ({view.stop_reason})" if view.stop_reason else view.state
        lines.add_row(str(view.id), view.name, view.accounting, state, connections or "none")
    console().print(lines)


@main.command()
@click.argument("company")
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@one_connection
@click.option("--export-rules", type=click.File("w"), help="Write the account rules to a file (- for the terminal).")
@click.option("--import-rules", type=click.File("r"), help="Replace all account rules by those of a file.")
@as_json
@telling_faults
def settings(
    company: str,
    changes: tuple[str, ...],
    connection: int | None,
    export_rules: IO[str] | None,
    import_rules: IO[str] | None,
    json_: bool,
) -> None:
    """Show the settings of a COMPANY or of one of its connections, or change them: all given, or none."""
    if export_rules is not None or import_rules is not None:
        _carry_rules(company, export_rules, import_rules)
        return
    from addon.services import settings as kept
    from addon.services.installation import find_company

    wanted: dict[str, str] = {}
    for entry in changes:
        key, sign, value = entry.partition("=")
        if not sign:
            fail(f"{entry!r} is not KEY=VALUE")
        wanted[key] = value
    with working() as services:
        company_id = find_company(services, company)
        if wanted:
            faults = kept.change(services, company_id, WHO, wanted, connection)
            if faults:
                fail("nothing was changed:\n" + "\n".join(f"  {fault}" for fault in faults))
        values = kept.values(services, company_id, connection)
    if json_:
        say_json(values)
        return
    for key, value in sorted(values.items()):
        click.echo(f"{key}={value}")


def _carry_rules(company: str, out: IO[str] | None, read: IO[str] | None) -> None:
    """Bring a company's account rules in from a file, or write them to one; what is brought in goes first."""
    from addon.core.routing import WrongRule
    from addon.services import rules
    from addon.services.installation import find_company

    with working() as services:
        company_id = find_company(services, company)
        if read is not None:
            try:
                number = rules.import_rules(services, company_id, read.read(), WHO)
            except WrongRule as fault:
                fail(f"nothing was changed: {fault}")
            click.echo(f"{number} rules", err=True)
        if out is not None:
            out.write(rules.export_rules(services, company_id))


# --- work -----------------------------------------------------------------------------------------------------


@contextmanager
def _bar(shown: bool) -> Iterator[Callable[[RunView], None] | None]:
    """A bar on standard error, where that is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[doing]}"),
    )
    with Progress(*columns, console=console(err=True), transient=True) as progress:
        task = progress.add_task("starting", total=None, doing="")

        def show(run: RunView) -> None:
            done, left = run.counts.get("delivered", 0), run.counts.get("to_deliver", 0)
            progress.update(task, description=run.phase, completed=done, total=done + left or None, doing=run.now_doing)

        yield show


def _held_json(parts: Sequence[HeldPart]) -> list[dict[str, Any]]:
    from addon.core.text import hold_text

    return [
        {
            "ref": part.ref,
            "part": part.part,
            "amount": amount(part.amount),
            "currency": part.amount.currency,
            "reason": part.reason,
            "text": hold_text(part.reason, part.facts),
        }
        for part in parts
    ]


def _print_held(lines: Sequence[Mapping[str, Any]]) -> None:
    if not lines:
        return
    shown = table("Held", "movement", "amount#", "", "why")
    for line in lines:
        shown.add_row(line["ref"], line["amount"], line["currency"], line["text"])
    console().print(shown)


@main.command()
@click.argument("company")
@one_connection
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Fetch again from this day on.")
@as_json
@telling_faults
def sync(company: str, connection: int | None, since: datetime | None, json_: bool) -> None:
    """Fetch, plan, book and prove a COMPANY in this process."""
    from addon.services import connections, runs
    from addon.services.held import held_parts, latest_proofs
    from addon.services.installation import find_company
    from addon.services.prerequisites import system_of

    with working() as services:
        company_id = find_company(services, company)
        if connection is not None:
            _require_connection(services, company_id, connection)
        if since is not None:
            faults = connections.fetch_since(services, company_id, since.date(), WHO, connection)
            if faults:
                fail("\n".join(str(fault) for fault in faults))
        with _bar(not json_) as progress:
            run = runs.run_to_end(services, company_id, progress, connection)
        if run.state == "running":
            fail(f"run {run.id} is not finished: {run.message or 'a delivery may not be tried yet'}")
        if run.state != "done":
            fail(not_ready(run.message, system_of(services, company_id)))
        held = _held_json(held_parts(services, company_id, connection))
        proofs = latest_proofs(services, company_id, run.id)
    counts = {name: run.counts.get(name, 0) for name in ("fetched", "planned", "booked", "waiting", "writes", "calls")}
    if json_:
        say_json({"run": run.id, **counts, "held": held})
    else:
        shown = table("", *(f"{name}#" for name in counts), "held#")
        shown.add_row(*(str(number) for number in counts.values()), str(len(held)))
        console().print(shown)
        _print_held(held)
    differing = any(proof.difference or proof.details.get("holds") is False for proof in proofs)
    sys.exit(HELD_OR_DIFFERING if held or differing else ALL_WELL)


def _require_connection(services: Services, company_id: int, connection_id: int) -> None:
    from addon.services.settings import values

    values(services, company_id, connection_id)


@main.command()
@click.argument("company")
@one_connection
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only documents booked from this day on.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Only documents booked up to this day.")
@as_json
@telling_faults
def preview(company: str, connection: int | None, since: datetime | None, until: datetime | None, json_: bool) -> None:
    """Show what would be booked for a COMPANY, without writing anything into the books."""
    from addon.services import previews, runs
    from addon.services.installation import find_company

    with working() as services:
        company_id = find_company(services, company)
        if connection is not None:
            _require_connection(services, company_id, connection)
        with _bar(not json_) as progress:
            found = runs.preview(services, company_id, connection, _day(since), _day(until), progress)
        totals = previews.totals(services, company_id, found.run_id)
    sys.exit(_say_preview(found, totals, json_, "Would be booked"))


def _say_preview(found: Preview, totals: Totals | None, json_: bool, title: str) -> int:
    """Write what a look has shown; gives the exit status."""
    from addon.core.text import hold_text

    held = [
        {
            "ref": part.movement_ref,
            "part": part.part,
            "reason": hold.reason.value,
            "text": hold_text(hold.reason.value, dict(hold.facts)),
        }
        for hold in found.holds
        for part in hold.parts
    ]
    waiting = [
        {"ref": part.movement_ref, "part": part.part, "reason": wait.reason.value, "until": _iso(wait.until)}
        for wait in found.waits
        for part in wait.parts
    ]
    if json_:
        shown_as_json = {"documents": [document_json(one) for one in found.documents], "held": held, "waiting": waiting}
        say_json({**shown_as_json, **_totals_json(totals)})
        return HELD_OR_DIFFERING if held else ALL_WELL
    shown = table(title, "date", "kind", "total#", "", "lines")
    for document in found.documents:
        lines = "\n".join(_line_text(line) for line in document_lines(document))
        shown.add_row(
            document.booking_date.isoformat(),
            document.kind.value,
            amount(document.total),
            document.total.currency,
            lines,
        )
    console().print(shown)
    _print_totals(totals)
    why = table("Would be held", "movement", "why")
    for line in held:
        why.add_row(line["ref"], line["text"])
    if held:
        console().print(why)
    click.echo(f"{len(found.documents)} documents, {len(held)} held, {len(waiting)} waiting. Nothing was written.")
    return HELD_OR_DIFFERING if held else ALL_WELL


def _totals_json(totals: Totals | None) -> dict[str, Any]:
    if totals is None:
        return {"accounts": [], "vat_boxes": {}, "complete": False}
    return {
        "accounts": [
            {"account": one.account, "role": one.role, "debit": amount(one.debit), "credit": amount(one.credit)}
            for one in totals.accounts
        ],
        "vat_boxes": {box: amount(value) for box, value in totals.boxes.items()},
        "complete": totals.complete,
    }


def _print_totals(totals: Totals | None) -> None:
    if totals is None or not totals.accounts:
        return
    shown = table(f"Per account, {totals.currency}", "account", "for", "debit#", "credit#")
    for one in totals.accounts:
        shown.add_row(one.account or "–", one.role, amount(one.debit), amount(one.credit))
    console().print(shown)
    if totals.boxes:
        boxes = table("VAT return", "box", "amount#")
        for box, value in totals.boxes.items():
            boxes.add_row(box, amount(value))
        console().print(boxes)


def _day(at: datetime | None) -> date | None:
    return at.date() if at is not None else None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def document_json(document: Document) -> dict[str, Any]:
    """A planned document as `preview --json` has it."""
    return {
        "key": document.key,
        "kind": document.kind.value,
        "date": document.booking_date.isoformat(),
        "currency": document.total.currency,
        "total": amount(document.total),
        "rule": document.rule,
        "lines": document_lines(document),
    }


def document_lines(document: Document) -> list[dict[str, str]]:
    """What a document puts where: account, amount (debit positive, an invoice's rows negative), currency, text."""
    return [line for step in document.steps for line in _step_lines(step)]


def _step_lines(step: Step) -> Iterator[dict[str, str]]:
    from addon.core.documents import CreateInvoice, CreatePayment, CreditInvoice, PostVoucher

    def line(account: str, value: Money, text: str) -> dict[str, str]:
        return {"account": account, "amount": amount(value), "currency": value.currency, "text": text}

    match step:
        case CreateInvoice(invoice=invoice):
            for row in invoice.lines:
                yield line(row.account.number, -row.gross, f"{row.description} ({row.vat_percent} % VAT included)")
        case CreditInvoice(total=total, text=text):
            yield line("", -total, text)
        case CreatePayment(settlement=settlement):
            yield line(settlement.account.number, settlement.amount, "payment")
            if settlement.write_off is not None and settlement.write_off_account is not None:
                yield line(settlement.write_off_account.number, settlement.write_off, "rounding")
        case PostVoucher(voucher=voucher):
            for entry in voucher.lines:
                yield line(entry.account.number, entry.signed, entry.text)
        case _:
            pass


def _line_text(line: Mapping[str, str]) -> str:
    return f"{line['account'] or '–':>4} {line['amount']} {line['currency']}  {line['text']}"


@main.command()
@click.argument("company")
@as_json
@telling_faults
def prove(company: str, json_: bool) -> None:
    """Read the ledger of a COMPANY back and compare it with what the providers owe it, to the smallest unit."""
    from addon.services import runs
    from addon.services.installation import find_company

    with working() as services:
        identities = runs.prove(services, find_company(services, company))
    if json_:
        say_json([identity_json(one) for one in identities])
    else:
        shown = table("", "connection", "", "opening#", "ledger#", "not booked#", "provider#", "difference#", "")
        for one in identities:
            identity = one.identity
            shown.add_row(
                f"{one.connection_id} {one.provider}",
                identity.currency,
                *(
                    amount(value)
                    for value in (
                        identity.opening,
                        identity.ledger,
                        identity.not_booked.total(),
                        identity.provider,
                        identity.difference,
                    )
                ),
                "[green]✓ kvitt[/green]" if identity.holds else "[red]differs[/red]",
            )
        console().print(shown)
        for one in identities:
            for named in one.identity.named:
                click.echo(f"  {one.identity.currency}: {named.name} {named.reference} {named.amount} {named.text}")
            for found in one.bank:
                if found.verdict.value != "arrived":
                    click.echo(f"  bank: payout {found.payout.ref} {found.verdict.value}, {found.found} found")
            for left in one.open_invoices:
                click.echo(f"  invoice {left.number} has {left.balance} left: {left.why}")
    wrong = [found for one in identities for found in one.bank if found.verdict.value in ("doubled", "amount_differs")]
    well = all(one.identity.holds for one in identities) and not wrong
    sys.exit(ALL_WELL if well else HELD_OR_DIFFERING)


def identity_json(one: Identity) -> dict[str, Any]:
    """A clearing identity as `prove --json` has it."""
    identity = one.identity
    return {
        "connection": one.connection_id,
        "currency": identity.currency,
        "opening": amount(identity.opening),
        "provider": amount(identity.provider),
        "ledger": amount(identity.ledger),
        "not_booked": amount(identity.not_booked.total()),
        "difference": amount(identity.difference),
        "holds": identity.holds,
        "named": [
            {
                "name": named.name,
                "reference": named.reference,
                "amount": amount(named.amount),
                "currency": named.amount.currency,
            }
            for named in identity.named
        ],
        "bank": [
            {
                "payout": found.payout.ref,
                "verdict": found.verdict.value,
                "expected": amount(found.payout.amount),
                "found": amount(found.found),
                "day": found.payout.day.isoformat(),
            }
            for found in one.bank
        ],
        "open_invoices": [
            {"number": left.number, "balance": amount(left.balance), "currency": left.balance.currency, "why": left.why}
            for left in one.open_invoices
        ],
    }


@main.command()
@click.argument("company")
@click.option("--format", "form", type=click.Choice(["sie", "csv", "audit"]), required=True)
@click.option("--year", type=click.IntRange(1970, 2200), help="The financial year that ends in this calendar year.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@as_json
@telling_faults
def export(company: str, form: str, year: int | None, output: Path | None, json_: bool) -> None:
    """Export what Kvitt booked for a COMPANY: as a SIE file, as CSV files, or with all that an auditor asks for."""
    from addon.services import exports
    from addon.services.installation import find_company

    with working() as services:
        company_id = find_company(services, company)
        missing: tuple[str, ...] = ()
        try:
            if form == "sie":
                file = exports.sie_file(services, company_id, year)
                content, missing = file.content, file.missing
            elif form == "csv":
                content = exports.csv_pack(services, company_id, year)
            else:
                content = exports.audit_pack(services, company_id, WHO, year)
        except exports.NothingToExport as error:
            fail(str(error))
    path = output or Path(f"kvitt-{company_id}-{form}{f'-{year}' if year else ''}.{'se' if form == 'sie' else 'zip'}")
    path.write_bytes(content)
    if json_:
        say_json({"file": str(path), "bytes": len(content), "missing": list(missing)})
    else:
        click.echo(f"{path}: {len(content)} bytes")
        for voucher in missing:
            click.echo(f"  not in the books any more: {voucher}")
    sys.exit(HELD_OR_DIFFERING if missing else ALL_WELL)


@main.command()
@click.argument("company")
@click.option("--year", type=click.IntRange(2000, 2200), required=True, help="The year to bring in.")
@click.option("--dry-run", is_flag=True, help="Only show what would be booked.")
@as_json
@telling_faults
def backfill(company: str, year: int, dry_run: bool, json_: bool) -> None:
    """Bring an earlier year of a COMPANY in: what was sold before its start date."""
    from addon.services import backfill as earlier
    from addon.services import previews, runs
    from addon.services.held import held_parts
    from addon.services.installation import find_company
    from addon.services.prerequisites import system_of
    from addon.services.runs import Preview

    with working() as services:
        company_id = find_company(services, company)
        try:
            made = runs.want_backfill(services, company_id, year, WHO, looks=dry_run, nudge=False)
        except earlier.CannotGoBack as error:
            fail(str(error))
        with _bar(not json_) as progress:
            ended = runs.run_to_end(services, company_id, progress, run_id=made)
        if ended.state != "done":
            fail(not_ready(ended.message, system_of(services, company_id)))
        if dry_run:
            seen = previews.everything(services, company_id, made)
            documents = tuple(one.document for one in seen.documents)
            found = Preview(documents, tuple(seen.holds), tuple(seen.waits), made)
            totals = previews.totals(services, company_id, made)
            sys.exit(_say_preview(found, totals, json_, f"{year} would be booked"))
        held = _held_json(held_parts(services, company_id))
    counts = {
        name: ended.counts.get(name, 0) for name in ("fetched", "planned", "booked", "waiting", "writes", "calls")
    }
    if json_:
        say_json({"run": ended.id, **counts, "held": held})
    else:
        click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
        _print_held(held)
    sys.exit(HELD_OR_DIFFERING if held else ALL_WELL)


@main.command()
@click.argument("company")
@click.option("--run", "run_id", type=int, required=True, help="The run to undo (its id).")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@as_json
@telling_faults
def undo(company: str, run_id: int, dry_run: bool, json_: bool) -> None:
    """Take a run of a COMPANY back: credit notes for invoices, reverses of payments and vouchers, nothing deleted."""
    from addon.services import previews, runs, undoing
    from addon.services.installation import find_company
    from addon.services.prerequisites import system_of

    with working() as services:
        company_id = find_company(services, company)
        try:
            made = runs.want_undo(services, company_id, run_id, WHO, looks=dry_run, nudge=False)
        except undoing.NothingToUndo as error:
            fail(str(error))
        with _bar(not json_) as progress:
            ended = runs.run_to_end(services, company_id, progress, run_id=made)
        if ended.state != "done":
            fail(not_ready(ended.message, system_of(services, company_id)))
        result = undoing.outcome(services, company_id, made)
        seen = previews.everything(services, company_id, made) if dry_run else None
        written = undoing.written(services, company_id, made)
    documents = [one.document for one in seen.documents] if seen is not None else list(written)
    left = [
        {"key": one.key, "kind": one.kind, "number": one.number, "reason": one.reason.value, "facts": dict(one.facts)}
        for one in result.left
    ]
    if json_:
        refused = [{"key": one.key, "reason": one.reason, "facts": dict(one.facts)} for one in result.refused]
        shown = {"run": made, "undoes": run_id, "dry_run": dry_run, "left_alone": left, "refused": refused}
        say_json({**shown, "documents": [document_json(one) for one in documents]})
    else:
        lines = table("Would be written" if dry_run else "Written", "date", "document", "total#", "")
        for document in documents:
            total = document.total
            lines.add_row(document.booking_date.isoformat(), document.key, amount(total), total.currency)
        console().print(lines)
        for one in result.left:
            click.echo(f"  left alone: {one.number or one.key} ({one.reason.value})")
        for line in result.refused:
            click.echo(f"  refused: {line.key} ({line.reason})")
    well = not result.refused and all(one.reason is undoing.LeftAlone.UNDONE for one in result.left)
    sys.exit(ALL_WELL if well else HELD_OR_DIFFERING)


@main.command()
@click.argument("company")
@click.option("--repair", is_flag=True, help="Mend all that can be mended from here first.")
@as_json
@telling_faults
def doctor(company: str, repair: bool, json_: bool) -> None:
    """Check whether the books of a COMPANY are ready."""
    from addon.services import prerequisites
    from addon.services.installation import find_company

    with working() as services:
        company_id = find_company(services, company)
        checks = prerequisites.check(services, company_id)
        if repair and any(check.repair for check in checks if not check.ok):
            checks = prerequisites.repair_all(services, company_id, WHO)
        entries = registry.prerequisites(prerequisites.system_of(services, company_id))
    if json_:
        say_json([check_json(check, entries.get(check.code)) for check in checks])
    else:
        _print_checks(checks, entries)
    sys.exit(ALL_WELL if all(check.ok for check in checks) else HELD_OR_DIFFERING)


def check_json(check: Check, entry: Prerequisite | None) -> dict[str, Any]:
    """A prerequisite as `doctor --json` has it."""
    from addon.core.text import check_reason, check_remedy

    return {
        "check": check.code,
        "ok": check.ok,
        "stops": check.stops,
        "subject": check.subject,
        "year": check.year_ref,
        "reason": check_reason(check, entry),
        "remedy": check_remedy(check, entry),
        "repairable": check.repair is not None,
    }


def _print_checks(checks: Sequence[Check], entries: Mapping[str, Prerequisite]) -> None:
    from addon.core.text import check_reason, check_remedy

    shown = table("", "", "prerequisite", "remedy")
    for check in checks:
        mark = "[green]✓[/green]" if check.ok else "[red]✗ stops[/red]" if check.stops else "[yellow]✗[/yellow]"
        entry = entries.get(check.code)
        shown.add_row(mark, check_reason(check, entry), check_remedy(check, entry))
    console().print(shown)
    red = sum(not check.ok for check in checks)
    click.echo(f"{len(checks) - red} of {len(checks)} are well.")


if __name__ == "__main__":
    main()
