"""Every write that Kvitt makes, under everything that may go wrong with it: one cell for each pair.

A world has as many documents as there are faults, and each write of each document is struck by one of them. When the
run has ended, the ledger of the simulated Fortnox holds each document once, and the cell says how that came about.
The table in docs/reliability.md is what ran: `KVITT_MATRIX=write pytest tests/flow/test_fault_matrix.py` writes it.
"""

from __future__ import annotations

import ast
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from addon.connectors.fortnox import accounting
from addon.core.books import Remedy, Repair
from addon.core.documents import Step
from addon.ports.calls import Lane
from addon.ports.errors import PortError, Rejected
from addon.sandbox.stripe.model import SoldLine
from addon.sandbox.world import World
from addon.services import connections, runs
from addon.services.calls import CallLog
from addon.store.deliveries import FOR_PEOPLE
from addon.store.models import EvidenceRow
from tests.flow.house import NOW, Bed, House
from tests.flow.house import bed as bed_of
from tests.support.turned import turned
from tests.support.wire import FAULTS, SHADOW, Rule, Wire, put_between

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- fault matrix: begin -->", "<!-- fault matrix: end -->"
DOCUMENTS: Final = len(FAULTS)


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of write: what it is, how its requests look, and the world in which it is struck."""

    name: str
    title: str
    match: str
    world: str
    body: Callable[[bytes], bool] = lambda body: True


def _has_rows(body: bytes) -> bool:
    return b'"InvoiceRows"' in body


ROWS: Final = (
    Row("create_customer", "make a customer", "POST /3/customers$", "sales"),
    Row("update_customer", "change a customer's name", "PUT /3/customers/[0-9]+$", "orders"),
    Row("create_article", "make an article", "POST /3/articles$", "orders"),
    Row("create_order", "make an order", "POST /3/orders$", "orders"),
    Row("cancel an order", "cancel an order that differs from its plan", "PUT /3/orders/[0-9]+/cancel$", "orders"),
    Row("create_invoice", "make an invoice", "POST /3/invoices$", "sales"),
    Row("round_invoice", "add the rounding row", "PUT /3/invoices/[0-9]+$", "sales", _has_rows),
    Row("cancel an invoice", "cancel an invoice that differs", "PUT /3/invoices/[0-9]+/cancel$", "warehouse"),
    Row("mark as ready", "mark an invoice as delivered", "PUT /3/invoices/[0-9]+/warehouseready$", "warehouse"),
    Row("book_invoice", "book an invoice", "PUT /3/invoices/[0-9]+/bookkeep$", "sales"),
    Row("mail_invoice", "mail an invoice", "GET /3/invoices/[0-9]+/email$", "sales"),
    Row("credit_invoice", "credit an invoice", "PUT /3/invoices/[0-9]+/credit$", "refunds"),
    Row("date_credit_note", "date the credit note", "PUT /3/invoices/[0-9]+$", "refunds", lambda b: not _has_rows(b)),
    Row("create_payment", "make a payment", "POST /3/invoicepayments$", "sales"),
    Row("payment of a found invoice", "pay an invoice that was there", "POST /3/invoicepayments$", "basic"),
    Row("delete a payment", "delete a payment made twice", "DELETE /3/invoicepayments/[0-9]+$", "copies"),
    Row("book_payment", "book a payment", "PUT /3/invoicepayments/[0-9]+/bookkeep$", "sales"),
    Row("post_voucher", "write a voucher", "POST /3/vouchers$", "vouchers"),
    Row("upload a file", "upload a file", "POST /3/inbox$", "vouchers"),
    Row("connect a file", "connect a file with its voucher", "POST /3/voucherfileconnections$", "vouchers"),
    Row("activate an account", "repair: open an account", "PUT /3/accounts/[0-9]+$", "repairs"),
    Row("create an account", "repair: make an account", "POST /3/accounts$", "repairs"),
    Row("create a series", "repair: make a voucher series", "POST /3/voucherseries$", "repairs"),
    Row("add a currency", "repair: add a currency", "POST /3/currencies$", "repairs"),
    Row("add a mode of payment", "repair: add a mode of payment", "POST /3/modesofpayments$", "repairs"),
)


# --- The rows are all there are ---------------------------------------------------------------------------------


def _writes_of_the_connector() -> Iterator[str]:
    """Every write in the connector's source as "METHOD /3/path", variable parts as 0."""
    tree = ast.parse(Path(accounting.__file__).read_text())
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        arguments = list(node.args)
        match node.func.attr:
            case "send" | "send_object" | "_write_invoice":
                method = arguments.pop(0)
                if isinstance(method, ast.Constant):  # `_write_invoice` hands on what it is given
                    yield f"{method.value} /3/{_path(tree, node, arguments[0])}"
            case "upload":
                yield f"POST /3/{_path(tree, node, arguments[0])}"
            case "act":
                yield f"GET /3/{_path(tree, node, arguments[0])}"


def _path(tree: ast.AST, call: ast.Call, expression: ast.expr) -> str:
    """The path that an expression stands for; a name by its last assignment before the call."""
    if isinstance(expression, ast.Name):
        assigned = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == expression.id for target in node.targets)
            and node.lineno < call.lineno
        ]
        return _path(tree, call, max(assigned, key=lambda node: node.lineno).value)
    if isinstance(expression, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in expression.values)
    assert isinstance(expression, ast.Constant), ast.unparse(expression)
    return str(expression.value)


def test_every_kind_of_step_and_every_write_of_the_connector_has_a_row() -> None:
    kinds = {step.__dataclass_fields__["kind"].default for step in get_args(Step)} - set(FOR_PEOPLE)
    assert kinds <= {row.name for row in ROWS}, "a new kind of step needs a row"
    lines = set(_writes_of_the_connector())
    assert len(lines) >= len({row.match for row in ROWS}) - 1, lines
    assert not [line for line in lines if not any(re.search(row.match, line) for row in ROWS)], "a write without a row"


# --- The worlds ---------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """A town whose time is turned, and the wire to its Fortnox."""

    bed: Bed
    wire: Wire
    rules: dict[str, Rule]

    def house(self) -> House:
        return self.bed.house(balance_currencies=("sek",))

    def strikes(self, world: str) -> None:
        """Deal the faults from now on."""
        for row in ROWS:
            if row.world == world:
                self.rules[row.name] = self.wire.strike(row.name, row.match, row.body)

    def all_struck(self, name: str) -> bool:
        return len(self.rules[name].struck) == DOCUMENTS


@contextmanager
def _place(database: tuple[str, str | None]) -> Iterator[Place]:
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    times = {"LEASE_S": "180", "LOOKUP_QUARANTINE_S": "600"}
    with turned(world.clock) as hours, bed_of(*database, world, settings=times) as made:
        wire = Wire(made.town.running, hours)
        put_between(made.town.services, wire)
        yield Place(made, wire, {})


def run_once(house: House, trigger: str = "cli") -> None:
    """A run, slice after slice, each as soon as it may be: it ends by itself."""
    services, company = house.town.services, house.company_id
    run_id = runs.want(services, company, trigger)
    for _ in range(300):
        result = runs.run_slice(services, company, trigger)
        view = runs.view(services, company, run_id)
        if view.state != "running":
            assert view.state == "done", (view.phase, view.message)
            return
        runs.monotonic_time.sleep(result.retry_in_s)
    waits = [(row.key, row.state, row.attempt, row.error_message) for row in house.town.undelivered(company)]
    raise AssertionError("a run without an end", view, waits)


def run_out(house: House, trigger: str = "cli", most: int = 8) -> None:
    """Run until nothing is left to deliver."""
    for _ in range(most):
        run_once(house, trigger)
        if not house.town.undelivered(house.company_id):
            return
    raise AssertionError([(row.key, row.error_message) for row in house.town.undelivered(house.company_id)])


def _sales(place: Place) -> None:
    """Sales whose totals are rounded, each to another buyer, who gets the invoice by mail."""
    house = place.house()
    house.books.settings.rounds_to_whole_krona = True
    for n in range(DOCUMENTS):
        house.sells("2026-03-02", 100_30 + 100 * n)
    house.opens("plus", mail_invoice="yes")
    place.strikes("sales")
    run_out(house)
    settled(house)
    customers = [customer.values.get("Email") for customer in house.books.customers.values()]
    assert len(customers) == len(set(customers)) == DOCUMENTS
    mailed = [number for number, _ in house.books.mails]
    assert len(mailed) == len(set(mailed)), "a buyer never gets it twice"
    house.all_is_well()


def _refunds(place: Place) -> None:
    """Sales that are given back in full: the books' own credit action, and a date for what it makes."""
    house = place.house()
    for n in range(DOCUMENTS):
        house.refunds(house.sells("2026-03-02", 100_00 + 100 * n, email="one@example.com", name="One"), "2026-03-04")
    house.opens("plus")
    place.strikes("refunds")
    run_out(house)
    settled(house)
    assert len(house.our_invoices()) == 2 * DOCUMENTS
    house.all_is_well()


def _vouchers(place: Place) -> None:
    """Nothing but vouchers, which have no fence, and at each the file that it rests on."""
    house = place.house()
    for n in range(14):
        house.sells(f"2026-03-{2 + n:02}", 100_00 + 100 * n)
    house.opens("settlement")
    place.strikes("vouchers")
    run_out(house)
    for _ in range(DOCUMENTS):
        run_out(house, "clock")
        with house.rows() as session:
            if not session.query(EvidenceRow).filter(EvidenceRow.state.in_(("wanted", "uploaded"))).count():
                break
    settled(house)
    attached = [one.voucher for one in house.books.file_connections.values()]
    assert len(attached) == len(set(attached)) == len(house.documents())
    house.all_is_well()


def settled(house: House) -> None:
    """A night goes by: everything is compared. Nothing was written twice that would have to be taken back."""
    house.time("2026-03-22 11:00")
    run_out(house)
    assert not house.held(), house.held()
    assert not house.documents("correction")


def _orders(place: Place) -> None:
    """Orders with articles, for customers who have got another name; made once more where their total was rounded."""
    house = place.house()
    house.books.settings.rounds_to_whole_krona = True
    for n in range(DOCUMENTS):
        amount = 100_30 + 100 * n
        charge = house.sells(f"2026-03-{n + 1:02}", amount, order=str(5000 + n))
        house.stripe.checkout_session(charge, lines=[SoldLine(f"Lamp {n}", amount, Decimal(25), sku=f"LAMP-{n}")])
        house.books.person_creates_customer(f"Old name {n}", Email=f"buyer{5000 + n}@example.com")
    house.opens("plus", sale_document="order", articles="created", existing_customers="update")
    place.strikes("orders")
    for _ in range(6):
        run_once(house)
        if not house.held() and house.waiting().count("booking") == DOCUMENTS:
            break
        house.retries()
    assert house.waiting().count("booking") == DOCUMENTS, [
        (row.key, row.state, row.attempt, row.error_message) for row in house.town.undelivered(house.company_id)
    ]
    live = [order for order in house.books.orders.values() if not order.cancelled]
    assert len(live) == len({order.shadow.text("ExternalInvoiceReference1") for order in live}) == DOCUMENTS
    assert len(house.books.articles) == DOCUMENTS
    assert {customer.name for customer in house.books.customers.values()} == {
        f"Buyer {5000 + n}" for n in range(DOCUMENTS)
    }
    for order in live:
        house.books.person_invoices_order(order.number)
    house.time("2026-03-21 11:00")
    run_out(house)
    settled(house)
    house.proves()
    house.books.check()


def _warehouse(place: Place) -> None:
    """Invoices that come out with a wrong rate, are taken back and made anew, and must be marked as delivered."""
    house = place.house()
    house.books.settings.warehouse = True
    place.bed.world.fortnox.switches.currency_rate_forced_to_one = True
    for n in range(DOCUMENTS):
        house.sells("2026-03-18", 100_00 + 100 * n, "eur")
    house.opens("plus", rate_source="accounting")
    place.strikes("warehouse")
    run_once(house)
    assert house.held() == ["rate_differs"] * DOCUMENTS
    place.bed.world.fortnox.switches.currency_rate_forced_to_one = False
    for _ in range(6):
        if not house.held():
            break
        house.retries()
        run_once(house)
    run_out(house)
    settled(house)
    house.all_is_well()


def _basic(place: Place) -> None:
    """Payments of invoices that the shop has written; they carry no text of ours."""
    house = place.house()
    for n in range(DOCUMENTS):
        house.sells("2026-03-02", 100_00 + 100 * (n % 3), order=str(7000 + n))
        house.invoices(str(7000 + n), 100 + n % 3, "2026-03-02")
    house.opens("basic")
    place.strikes("basic")
    run_out(house)
    settled(house)
    assert not any(invoice.balance for invoice in house.books.invoices.values())
    assert len(house.books.payments) == DOCUMENTS
    house.all_is_well()


def _copies(place: Place) -> None:
    """Each payment is made a second time by a request that woke up late: the fence takes one away."""
    house = place.house()
    for n in range(DOCUMENTS):
        house.sells("2026-03-02", 100_00 + 100 * n)
    house.opens("plus")
    place.wire.strike("shadow", "POST /3/invoicepayments$", faults=[SHADOW] * DOCUMENTS)
    place.strikes("copies")
    run_out(house)
    settled(house)
    assert len(house.books.payments) == DOCUMENTS
    house.all_is_well()


def _repairs(place: Place) -> None:
    """What a person mends with a button: told of the fault, they press it again."""
    house = place.house()
    house.opens("plus")
    books = house.books
    place.strikes("repairs")
    system = connections.accounting_system(house.town.services, house.company_id, CallLog(), Lane.CLICK)
    (year,) = [one for one in books.years.values() if one.from_date.year == 2026]

    def press(repair: Repair, there: Callable[[], bool]) -> None:
        for _ in range(3):
            try:
                system.repair(repair)
            except Rejected:
                assert there(), repair  # refused, because it is there
                return
            except PortError:
                place.bed.world.clock.advance(runs.timedelta(seconds=400))
            else:
                assert there(), repair
                return
        raise AssertionError(repair)

    accounts = books.accounts[year.id]
    free = [number for number in range(3100, 3999) if number not in accounts]
    for n in range(DOCUMENTS):
        number, code, series = free[n], f"X{chr(65 + n)}{chr(65 + n)}", f"Q{chr(65 + n)}"
        ref = str(year.id)
        press(Repair(Remedy.CREATE_ACCOUNT, str(number), ref, "Sales"), lambda: number in accounts)  # noqa: B023
        books.deactivate_account(number)
        press(Repair(Remedy.ACTIVATE_ACCOUNT, str(number), ref), lambda: accounts[number].active)  # noqa: B023
        press(Repair(Remedy.CREATE_SERIES, series, ref, "Kvitt"), lambda: series in books.series[year.id])  # noqa: B023
        press(Repair(Remedy.ADD_CURRENCY, code, "", code), lambda: code in books.currencies)  # noqa: B023
        modes: Any = books.modes
        press(Repair(Remedy.ADD_PAYMENT_MODE, str(number), "", "Stripe"), lambda: f"KV{number}" in modes)  # noqa: B023


WORLDS: Final[dict[str, Callable[[Place], None]]] = {
    "sales": _sales,
    "refunds": _refunds,
    "vouchers": _vouchers,
    "orders": _orders,
    "warehouse": _warehouse,
    "basic": _basic,
    "copies": _copies,
    "repairs": _repairs,
}


# --- The table ------------------------------------------------------------------------------------------------------


def _word(rule: Rule, place: int) -> str:
    """How a document that was struck came to stand once."""
    struck = next(one for one in rule.struck.values() if one.fault is FAULTS[place])
    again = [status for status in struck.later if status < 300]
    if not struck.fault.done:
        return "again" if again else "never"
    if not struck.later:
        return "found"
    return "repeated" if again else "refused"


LEGEND: Final = """*again*: nothing had been written, and the second request wrote it. *found*: it had been, was looked
up and not asked for again. *repeated*: it had been and was asked for again, which changes nothing (the same name once
more; a file that nothing points at). *refused*: asked for again and refused, because it is there. *never*: a mail that
may have gone out is not sent a second time, and the log says so."""


def _line(row: Row, cells: list[str]) -> str:
    return f"| {row.title} | {' | '.join(cells)} |"


def _table(lines: dict[str, str]) -> str:
    letters = [chr(97 + place) for place in range(len(FAULTS))]
    head = f"| write | {' | '.join(letters)} |\n|---|{'---|' * len(FAULTS)}"
    faults = " · ".join(f"**{letter}** {fault.title}" for letter, fault in zip(letters, FAULTS, strict=True))
    rows = "\n".join(lines[row.title] for row in ROWS if row.title in lines)
    return f"{BEGIN}\n{head}\n{rows}\n\n{faults}.\n\n{LEGEND}\n{END}"


def _committed() -> dict[str, str]:
    text = PAGE.read_text()
    inside = text[text.index(BEGIN) : text.index(END)] if BEGIN in text else ""
    return {line.split(" | ")[0].removeprefix("| "): line for line in inside.splitlines() if line.startswith("| ")}


def _write(lines: dict[str, str]) -> None:
    with PAGE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        table = _table({**_committed(), **lines})
        before, after = (text[: text.index(BEGIN)], text[text.index(END) + len(END) :]) if BEGIN in text else (text, "")
        file.seek(0)
        file.write(before + table + after)
        file.truncate()


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_each_document_stands_once_whatever_goes_wrong_with_any_write(
    database: tuple[str, str | None], world: str
) -> None:
    with _place(database) as place:
        WORLDS[world](place)
        place.wire.wake(now=True)
        rows = [row for row in ROWS if row.world == world]
        for row in rows:
            assert place.all_struck(row.name), (row.name, len(place.rules[row.name].struck))
        lines = {row.title: _line(row, [_word(place.rules[row.name], n) for n in range(DOCUMENTS)]) for row in rows}
    if os.environ.get("KVITT_MATRIX") == "write":
        _write(lines)
    committed = _committed()
    for title, line in lines.items():
        assert committed.get(title) == line, "docs/reliability.md tells something else: KVITT_MATRIX=write writes it"


def test_the_table_has_no_empty_cell() -> None:
    committed = _committed()
    head = committed.pop("write")
    assert len(head.split(" | ")) == len(FAULTS) + 1
    assert list(committed) == [row.title for row in ROWS]
    for line in committed.values():
        cells = line.strip("| ").split(" | ")[1:]
        assert len(cells) == len(FAULTS)
        assert set(cells) <= {"again", "found", "repeated", "refused", "never"}, line
    text = PAGE.read_text()
    assert all(fault.title in text for fault in FAULTS)
