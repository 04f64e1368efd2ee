"""Proof pages: history, statements, the bank account, and everything that can be taken along as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Final

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from addon.core import bank_file
from addon.core.bank import BankFinding
from addon.core.bank_file import BankTable, Columns, UnreadableStatement
from addon.core.currencies import MINOR_UNITS
from addon.services import activity, evidence, exports, pages, proofs, runs, statements, tables
from addon.services.pages import Cursor, NotHere
from addon.services.statements import Asked
from addon.services.tables import Cell, Sheet
from addon.web import access, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import LOOK, limiter

proof = Blueprint("proof", __name__)

Answer = AnyResponse | str | tuple[str, int]

_LARGEST_ID: Final = 2**63 - 1
_LONGEST_SPAN_DAYS: Final = 400
_LARGEST_STATEMENT: Final = 400_000
"""Characters of a bank statement: it travels in the form while its columns are chosen."""
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHOWN_ROWS: Final = 5


def download(content: bytes | str | Iterator[str], name: str, mime_type: str) -> Response:
    """A file to be kept."""
    kept = "".join(character for character in name if character.isalnum() or character in "._-")
    return Response(
        content, mimetype=mime_type, headers={"Content-Disposition": f'attachment; filename="{kept[:120]}"'}
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year <= 2200 else None


def _id(number: int) -> int:
    if number > _LARGEST_ID:
        raise NotHere("no such number")
    return number


def _account(text: str) -> tuple[int, str] | None:
    """Connection and currency out of a field of a form, "12:SEK"; None for what is none of the company's."""
    number, _separator, currency = text.partition(":")
    if not number.isdecimal() or len(number) > 18 or currency not in MINOR_UNITS:
        return None
    known = access.frame().connection(int(number))
    return (known.id, currency) if known is not None else None


# --- History and statements --------------------------------------------------------------------------------------


@proof.get("/proofs")
@audience(Audience.COMPANY)
def history() -> Answer:
    """Every clearing account by day, its statements, and what its bank account and invoices say."""
    return render_template("proofs/history.html", page=proofs.proof_page(services(), visitor().company_id))


@proof.post("/proofs/statement")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def make() -> Answer:
    """Read the ledger back and make a statement of the days asked for."""
    account = _account(request.form.get("account", ""))
    since, until = _day(request.form.get("since", "")), _day(request.form.get("until", ""))
    if account is None or since is None or until is None or since > until:
        flash(_("Choose an account, and a first day that is not after the last."), "wait")
        return redirect(url_for("proof.history"), 303)
    if (until - since).days > _LONGEST_SPAN_DAYS:
        flash(_("A statement covers a financial year at most."), "wait")
        return redirect(url_for("proof.history"), 303)
    company_id, who = visitor().company_id, visitor().who
    connection_id, currency = account
    runs.prove(services(), company_id, None, connection_id, (Asked(currency, since, until, who),))
    made = [
        line
        for line in statements.listed(services(), company_id)
        if (line.connection_id, line.currency, line.since, line.until) == (connection_id, currency, since, until)
    ]
    if not made:
        flash(_("The provider keeps no balance in this currency."), "wait")
        return redirect(url_for("proof.history"), 303)
    _record("statement_made", {"since": since.isoformat(), "until": until.isoformat(), "currency": currency})
    return redirect(url_for("proof.statement", statement_id=made[0].id), 303)


@proof.get("/statements/<int:statement_id>")
@audience(Audience.COMPANY)
def statement(statement_id: int) -> Answer:
    """One statement, as it was made."""
    found = _statement(statement_id)
    return render_template("proofs/statement.html", found=found, statement=found.statement)


def _statement(statement_id: int) -> statements.StatementView:
    try:
        return statements.view(services(), visitor().company_id, _id(statement_id))
    except statements.NoStatement as error:
        raise NotHere(str(error)) from error


@proof.get("/statements/<int:statement_id>/<form>")
@audience(Audience.COMPANY)
def statement_file(statement_id: int, form: str) -> Answer:
    """One statement as a file."""
    found = _statement(statement_id)
    name = f"statement-{found.line.provider}-{found.line.currency}-{found.line.until.isoformat()}.{form}"
    match form:
        case "pdf":
            return download(statements.paper(found, access.frame().zone.key), name, "application/pdf")
        case "xlsx":
            return download(tables.xlsx(statements.sheets(found.statement)), name, _XLSX)
        case "csv":
            return download(tables.csv_text(statements.sheets(found.statement)), name, "text/csv; charset=utf-8")
        case _:
            raise NotHere("no such file")


# --- The bank's own statement --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """A bank statement as it was read, and what it says of the payouts."""

    text: str
    table: BankTable
    columns: Columns | None
    findings: tuple[BankFinding, ...]
    read: int
    unreadable: int


@proof.get("/proofs/bank")
@audience(Audience.COMPANY)
def bank() -> Answer:
    """Where a bank statement can be given in."""
    return _bank_page(None)


@proof.post("/proofs/bank")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def compare() -> Answer:
    """Compare a bank statement with the payouts. Nothing of it is kept."""
    file = request.files.get("file")
    text = bank_file.decode_text(file.stream.read(_LARGEST_STATEMENT + 1)) if file else request.form.get("text", "")
    account = _account(request.form.get("account", ""))
    if account is None or not text.strip():
        flash(_("Choose an account and a file."), "wait")
        return redirect(url_for("proof.bank"), 303)
    if len(text) > _LARGEST_STATEMENT:
        flash(_("The file is too long. Take a month at a time."), "wait")
        return redirect(url_for("proof.bank"), 303)
    try:
        table = bank_file.read_table(text)
        columns = _chosen(table) or table.guess
        read = bank_file.read_lines(table, columns, account[1]) if columns else bank_file.ReadLines((), len(table.rows))
    except UnreadableStatement:
        flash(_("Kvitt found no table of days and amounts in this file. Export it as CSV and try again."), "stop")
        return redirect(url_for("proof.bank"), 303)
    findings = proofs.compare_statement(services(), visitor().company_id, *account, read.lines)
    return _bank_page(Compared(text, table, columns, findings, len(read.lines), read.unreadable))


def _chosen(table: BankTable) -> Columns | None:
    """The columns that a person chose in the form."""
    given = [request.form.get(name, "") for name in ("day", "amount", "words")]
    if not all(text.isdecimal() and len(text) < 4 for text in given):
        return None
    day, amount, text = (int(one) for one in given)
    return Columns(day, amount, text)


def _bank_page(compared: Compared | None) -> str:
    return render_template(
        "proofs/bank.html",
        compared=compared,
        account=request.form.get("account", ""),
        page=proofs.proof_page(services(), visitor().company_id),
        shown_rows=_SHOWN_ROWS,
    )


# --- Files ---------------------------------------------------------------------------------------------------------


@proof.get("/export/<form>")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def export(form: str) -> Answer:
    """What Kvitt booked, as a file; `year` is the calendar year in which the financial year ends."""
    text = request.args.get("year", "")
    year = int(text) if text.isdecimal() and len(text) == 4 else None
    company_id, who = visitor().company_id, visitor().who
    made: dict[str, Callable[[], bytes]] = {
        "sie": lambda: exports.sie_file(services(), company_id, year).content,
        "csv": lambda: exports.csv_pack(services(), company_id, year),
        "audit": lambda: exports.audit_pack(services(), company_id, who, year),
    }
    if form not in made:
        raise NotHere("no such file")
    try:
        content = made[form]()
    except exports.NothingToExport:
        flash(_("Your books have no such financial year, or have not been read yet."), "wait")
        return redirect(url_for("books.log"), 303)
    _record("exported", {"format": form, "year": str(year or "")})
    ending, mime_type = ("se", "application/octet-stream") if form == "sie" else ("zip", "application/zip")
    return download(content, f"kvitt-{form}{f'-{year}' if year else ''}.{ending}", mime_type)


def _record(what: str, facts: Mapping[str, str]) -> None:
    with services().db.company(visitor().company_id) as session:
        activity.record(session, visitor().who, what, facts, services().now())


@proof.post("/evidence")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def attach() -> Answer:
    """Attach the provider's records to vouchers now, and not at night."""
    if not access.frame().ready:
        return redirect(url_for("setup.welcome"), 303)
    run_id = runs.want(services(), visitor().company_id, "evidence")
    _record("evidence_asked", {"run": str(run_id)})
    return redirect(url_for("books.run", run_id=run_id), 303)


@proof.get("/payouts/<int:payout_id>/proof.xlsx")
@audience(Audience.COMPANY)
def payout_proof(payout_id: int) -> Answer:
    """A payout's proof as a workbook: its sum by kind, and line by line."""
    held, company_id = services(), visitor().company_id
    first = pages.payout(held, company_id, _id(payout_id), None, rows=1000)

    def lines() -> Iterator[tuple[Cell, ...]]:
        found = first
        while True:
            for line in found.lines:
                yield (
                    line.occurred_at,
                    line.ref,
                    str(words.KINDS[line.kind]),
                    line.order_number,
                    line.buyer,
                    line.amount,
                    line.fees,
                    line.net,
                    line.amount.currency,
                    " ".join(document.number for document in line.documents),
                )
            if not found.listing.older:
                return
            found = pages.payout(held, company_id, payout_id, Cursor.parse(found.listing.older), rows=1000)

    payout = first.payout
    kinds: Iterator[tuple[Cell, ...]] = (
        (str(words.KINDS[one.kind]), one.count, one.gross, -one.fees, one.net) for one in first.kinds
    )
    together: list[tuple[Cell, ...]] = [
        (str(_("From before your start date")), None, None, None, first.earlier),
        (str(_("Together")), None, None, None, payout.items if payout.items is not None else first.total),
        (str(_("Paid out")), None, None, None, payout.amount),
        (str(_("Difference")), None, None, None, first.difference),
    ]
    sheets = (
        Sheet(
            str(_("Proof")),
            (str(_("What")), str(_("Number")), str(_("Gross")), str(_("Fees")), str(_("Net"))),
            chain(kinds, together),
        ),
        Sheet(
            str(_("Lines")),
            (
                *("occurred_at", "reference", "kind", "order_number", "buyer", "gross", "fees", "net", "currency"),
                "document",
            ),
            lines(),
        ),
    )
    return download(tables.xlsx(sheets), f"payout-{payout.ref}.xlsx", _XLSX)


@proof.get("/transactions/<int:movement_id>/evidence.<form>")
@audience(Audience.COMPANY)
def record(movement_id: int, form: str) -> Answer:
    """The provider's record of a movement, readable or as it came."""
    if form not in ("json", "pdf"):
        raise NotHere("no such file")
    found = evidence.of_movement(services(), visitor().company_id, _id(movement_id))
    if form == "json":
        return download(found.data, f"{found.name}.json", "application/json")
    return download(found.paper, f"{found.name}.pdf", "application/pdf")
