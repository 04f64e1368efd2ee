"""Every write that Kvitt makes in e-conomic, under everything that may go wrong with it: one cell for each pair.

As in `test_fault_matrix`, whose words and faults these are. Here a refused grant is no cell: it ends the connection
(`test_economic.py`), and a 400 that cannot be read is one. Payments and vouchers are booked one by one here, so that
each booking is struck; the last row books two by each call, as is done with a hundred.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from addon.connectors.economic import accounting
from addon.sandbox.world import World
from addon.store.models import EvidenceRow
from tests.flow.firm import NOW, Firm, firm_in, run_out
from tests.support.turned import turned
from tests.support.wire import FAULTS, Fault, Rule, Wire, put_between

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- e-conomic matrix: begin -->", "<!-- e-conomic matrix: end -->"
DEALT: Final = tuple(fault for fault in FAULTS if fault.name not in ("401", "1000029_done"))
DOCUMENTS: Final = len(DEALT)


def _negative(body: bytes) -> bool:
    return b'"quantity":-' in body.replace(b" ", b"")


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of write: what it is, how its requests look, and the world in which it is struck."""

    title: str
    match: str
    world: str
    body: Callable[[bytes], bool] = lambda body: True


ROWS: Final = (
    Row("make a customer", "POST /rest/customers$", "sales"),
    Row("make a draft of an invoice", "POST /rest/invoices/drafts$", "sales"),
    Row("book an invoice", "POST /rest/invoices/booked$", "sales"),
    Row("enter a payment", "POST .*/draft-entries/bulk$", "sales", lambda body: b"customerNumber" in body),
    Row("book a payment", "POST .*/bookdraftentries$", "sales"),
    Row("make a draft of a credit note", "POST /rest/invoices/drafts$", "refunds", _negative),
    Row("enter a voucher", "POST .*/draft-entries/bulk$", "vouchers"),
    Row("book a voucher", "POST .*/bookdraftentries$", "vouchers"),
    Row("attach a file", "POST .*/AttachedDocuments$", "vouchers"),
)
TOGETHER: Final = Row("book two payments by one call", "POST .*/bookdraftentries$", "together")
ALL_ROWS: Final = (*ROWS, TOGETHER)


def _sales(firm: Firm, strikes: Callable[[], None]) -> None:
    firm.earlier_payment()
    for n in range(DOCUMENTS):
        firm.sells("2026-03-18", 100_00 + 100 * n)
    firm.opens()
    strikes()
    run_out(firm)
    assert len(firm.payments()) == DOCUMENTS
    emails = [str(customer.values.get("email")) for customer in firm.agreement.customers.values()]
    assert len([email for email in emails if email.startswith("buyer")]) == DOCUMENTS


def _refunds(firm: Firm, strikes: Callable[[], None]) -> None:
    firm.earlier_payment()
    for n in range(DOCUMENTS):
        charge = firm.sells("2026-03-17", 100_00 + 100 * n, email="one@example.com", name="One")
        firm.refunds(charge, "2026-03-18")
    firm.opens()
    strikes()
    run_out(firm)
    assert len(firm.payments()) == 2 * DOCUMENTS


def _vouchers(firm: Firm, strikes: Callable[[], None]) -> None:
    for n in range(14):
        firm.sells(f"2026-03-{2 + n:02}", 100_00 + 100 * n)
    firm.opens("settlement")
    strikes()
    run_out(firm)
    for _ in range(DOCUMENTS):
        run_out(firm, "clock")
        with firm.town.services.db.company_reading(firm.company_id) as session:
            if not session.query(EvidenceRow).filter(EvidenceRow.state.in_(("wanted", "uploaded"))).count():
                break
    vouchers = [(file.year, file.voucher) for file in firm.agreement.files.values()]
    assert len(vouchers) == len(set(vouchers)) == len(firm.town.documents(firm.company_id))


WORLDS: Final[dict[str, Callable[[Firm, Callable[[], None]], None]]] = {
    "sales": _sales,
    "refunds": _refunds,
    "vouchers": _vouchers,
}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_each_document_stands_once_in_e_conomic_whatever_goes_wrong(
    database: tuple[str, str | None], world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "CAPABILITIES", replace(accounting.CAPABILITIES, books_together=1))
    stopped = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    rows = [row for row in ROWS if row.world == world]
    with (
        turned(stopped.clock) as hours,
        firm_in(database, stopped, settings={"LEASE_S": "180", "LOOKUP_QUARANTINE_S": "600"}) as firm,
    ):
        wire = Wire(firm.town.running, hours, "economic")
        put_between(firm.town.services, wire)
        rules: dict[str, Rule] = {}

        def strikes() -> None:
            for row in rows:
                rules[row.title] = wire.strike(row.title, row.match, row.body, DEALT)

        WORLDS[world](firm, strikes)
        wire.wake(now=True)
        run_out(firm, "clock")
        assert not firm.held(), firm.town.held(firm.company_id)
        assert not firm.town.documents(firm.company_id, "correction")
        firm.all_is_well()
    for row in rows:
        assert len(rules[row.title].struck) == DOCUMENTS, (row.title, len(rules[row.title].struck))
    _compare({row.title: _line(row, rules[row.title]) for row in rows})


# --- Two by one call --------------------------------------------------------------------------------------------------


def _entries(body: bytes) -> frozenset[int]:
    return frozenset(json.loads(body)["entryNumbers"])


def _is_of_two(body: bytes) -> bool:
    return len(_entries(body)) > 1


@pytest.mark.slow
def test_each_of_those_that_are_booked_together_stands_once_whatever_goes_wrong(
    database: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is left in doubt by a call for two is looked for, and asked for again, alone."""
    monkeypatch.setattr(accounting, "CAPABILITIES", replace(accounting.CAPABILITIES, books_together=2))
    stopped = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    asked: list[frozenset[int]] = []
    by_request: dict[str, int] = {}
    with (
        turned(stopped.clock) as hours,
        firm_in(database, stopped, settings={"LEASE_S": "180", "LOOKUP_QUARANTINE_S": "600"}) as firm,
    ):
        wire = Wire(firm.town.running, hours, "economic")
        put_between(firm.town.services, wire)

        def watch(line: str, body: bytes) -> None:
            if line.endswith("/bookdraftentries"):
                by_request.setdefault(hashlib.sha256(b"\0".join((line.encode(), b"", body))).hexdigest(), len(asked))
                asked.append(_entries(body))

        wire.watch = watch
        firm.earlier_payment()
        for n in range(2 * DOCUMENTS):
            order = str(7000 + n)
            firm.agreement.person_creates_invoice(100 + n, order=order)
            firm.sells(f"2026-03-20 08:{n:02}", 100_00 + 100 * n, order=order)
        firm.opens("basic")
        rule = wire.strike(TOGETHER.title, TOGETHER.match, _is_of_two, DEALT)
        run_out(firm)
        wire.wake(now=True)
        run_out(firm, "clock")
        assert not firm.held(), firm.town.held(firm.company_id)
        firm.all_is_well()
        assert not firm.town.documents(firm.company_id, "correction")
    assert len(rule.struck) == DOCUMENTS
    words = {}
    for alike, struck in rule.struck.items():
        place = by_request[alike]
        later: set[int] = set().union(*asked[place + 1 :])
        known = asked[place]
        assert struck.fault.done or known <= later, struck
        words[struck.fault] = (
            "repeated" if known & later and struck.fault.done else "found" if struck.fault.done else "again"
        )
    _compare({TOGETHER.title: f"| {TOGETHER.title} | {' | '.join(words[fault] for fault in DEALT)} |"})


# --- The table ------------------------------------------------------------------------------------------------------


def _compare(lines: dict[str, str]) -> None:
    if os.environ.get("KVITT_MATRIX") == "write":
        _write(lines)
    committed = _committed()
    for title, line in lines.items():
        assert committed.get(title) == line, "docs/reliability.md tells something else: KVITT_MATRIX=write writes it"


def _line(row: Row, rule: Rule) -> str:
    return f"| {row.title} | {' | '.join(_word(rule, place) for place in range(DOCUMENTS))} |"


def _word(rule: Rule, place: int) -> str:
    struck = next(one for one in rule.struck.values() if one.fault is DEALT[place])
    again = [status for status in struck.later if status < 300]
    if not struck.fault.done:
        return "again" if again else "never"
    if not struck.later:
        return "found"
    return "repeated" if again else "refused"


def _committed() -> dict[str, str]:
    text = PAGE.read_text()
    inside = text[text.index(BEGIN) : text.index(END)] if BEGIN in text else ""
    return {line.split(" | ")[0].removeprefix("| "): line for line in inside.splitlines() if line.startswith("| ")}


def _title(fault: Fault) -> str:
    return "400 that cannot be read, not written" if fault.name == "1000029" else fault.title


def _write(lines: dict[str, str]) -> None:
    letters = [chr(97 + place) for place in range(DOCUMENTS)]
    head = f"| write | {' | '.join(letters)} |\n|---|{'---|' * DOCUMENTS}"
    faults = " · ".join(f"**{letter}** {_title(fault)}" for letter, fault in zip(letters, DEALT, strict=True))
    with PAGE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        known = {**_committed(), **lines}
        rows = "\n".join(known[row.title] for row in ALL_ROWS if row.title in known)
        table = f"{BEGIN}\n{head}\n{rows}\n\n{faults}.\n{END}"
        before, after = (text[: text.index(BEGIN)], text[text.index(END) + len(END) :])
        file.seek(0)
        file.write(before + table + after)
        file.truncate()


def test_the_table_for_e_conomic_has_no_empty_cell() -> None:
    committed = _committed()
    head = committed.pop("write")
    assert len(head.split(" | ")) == DOCUMENTS + 1
    assert list(committed) == [row.title for row in ALL_ROWS]
    for line in committed.values():
        cells = line.strip("| ").split(" | ")[1:]
        assert len(cells) == DOCUMENTS
        assert set(cells) <= {"again", "found", "repeated", "refused"}, line
