"""The demo from its first line to its last."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Console

from addon.demo.browser import DemoFailed
from addon.demo.checks import check_alone, check_books_of, check_second_run
from addon.demo.shelves import Shelf, open_shelf
from addon.demo.stage import Stage, stage
from addon.demo.telling import tell_laws, tell_results
from addon.demo.visit import Part, Visit, follow, parts_of
from addon.services import laws

NARROWEST: Final = 160
"""Columns of a log file, whose tables nobody can make wider."""


def main_job(running: Stage, parts: Sequence[Part], console: Console) -> bool:
    """Install, connect, choose, run, prove, for every company; whether every checked law held."""
    console.print("[bold]Setting up, as a person would in a browser[/bold]")
    visits = [Visit(running, part, console) for part in parts]
    for visit in visits:
        visit.install()
        visit.repair()
        visit.connect()
        visit.choose_mode()
    console.print("[bold]Sync now[/bold] (leaving the page would not stop it)")
    for visit in visits:
        visit.start_run()
    follow(visits, console)
    shelves = [_shelf_of(visit) for visit in visits]
    tell_results(visits, shelves, console)
    checked = [
        (visit.part.name, law)
        for visit, shelf in zip(visits, shelves, strict=True)
        for law in check_books_of(visit, shelf)
    ]
    checked.append(("all", check_alone(visits)))
    console.print("Running again over finished work")
    checked.append(("all", check_second_run(visits, shelves, console)))
    return tell_laws(checked, console)


def _shelf_of(visit: Visit) -> Shelf:
    tenant = laws.tenant(visit.stage.services, visit.company_id)
    return open_shelf(visit.part.accounting, visit.stage.world["control"], tenant)


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


def run_demo(*, once: bool, sales: int, accounting: str = "", payments: str = "") -> int:
    """The command: 0 if the main job was done and every checked law held, else 1 (a law) or 2 (could not run).

    `accounting` and `payments` choose the companies with these outside companies; empty: all pairs.
    """
    parts = parts_of(accounting, payments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=NARROWEST)
    try:
        with stage(sales, console) as running:
            well = main_job(running, parts, console)
            if once:
                return 0 if well else 1
            world = running.world
            console.print(
                f"\n[bold]Kvitt is at {running.kvitt}[/bold]  (install it from the marketplace to sign in)\n"
                f"  Fortnox, its marketplace and the companies' books: {world['fortnox']}/marketplace\n"
                f"  e-conomic, the same:                               {world['economic']}/marketplace\n"
                f"  The shops, where you can buy and refund:           {world['shop']}\n"
                "Ctrl-C ends everything."
            )
            _wait_for_stop(running, console)
            return 0 if well else 1
    except DemoFailed as error:
        console.print(f"[red]The demo failed:[/red] {error}", markup=True)
        return 2
    except KeyboardInterrupt:
        return 130
