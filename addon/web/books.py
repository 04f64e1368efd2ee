"""The pages of a company that is set up: overview, transactions, payouts, inbox, preview, activity, runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, TypeVar

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from addon.core.delivery import PartState
from addon.core.records import MovementKind
from addon.ports.errors import PortError
from addon.services import booking, joining, matching, pages, runs, undoing
from addon.services.pages import Cursor, NotHere, PayoutProof, TransactionFilter
from addon.services.tables import harmless
from addon.web import access, errors, words
from addon.web.access import Audience, audience, services, visitor

books = Blueprint("books", __name__)

Answer = AnyResponse | str | tuple[str, int]

_TRIGGER: Final = "click"
SEEN_ON: Final[dict[str, str]] = {}
"""The page that shows what a run has seen, by the trigger of runs that only look."""
_LONGEST_SEARCH: Final = 120
_LARGEST_ID: Final = 2**63 - 1
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2200

E = TypeVar("E", MovementKind, PartState)


def fragment() -> bool:
    """Whether htmx asks for a part of the page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def cursor() -> Cursor | None:
    """Where the page begins, from the address."""
    return Cursor.parse(request.args.get("at", "")[:200])


def _id(number: int) -> int:
    if number > _LARGEST_ID:
        raise NotHere("no such number")
    return number


@books.get("/overview")
@audience(Audience.COMPANY)
def overview() -> Answer:
    """Do books and provider agree, and what needs a person."""
    if not access.frame().ready:
        return redirect(url_for("setup.welcome"), 303)
    return render_template("books/overview.html", overview=pages.overview(services(), visitor().company_id))


# --- Transactions --------------------------------------------------------------------------------------------


def _member(kind: type[E], text: str) -> E | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _date(text: str) -> date | None:
    """A day as it is given; None for what is none, or lies where arithmetic with days ends."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else None


def asked_for(given: MultiDict[str, str]) -> TransactionFilter:
    """The filter that an address asks for; what cannot be understood is as if it were not there."""
    connection = given.get("connection", "")
    currency = given.get("currency", "").upper()
    return TransactionFilter(
        connection_id=int(connection) if connection.isdecimal() and len(connection) < 18 else None,
        kind=_member(MovementKind, given.get("kind", "")),
        state=_member(PartState, given.get("state", "")),
        currency=currency if len(currency) == 3 and currency.isalpha() else "",
        since=_date(given.get("since", "")),
        until=_date(given.get("until", "")),
        search=given.get("q", "").strip()[:_LONGEST_SEARCH],
    )


@books.get("/transactions")
@audience(Audience.COMPANY)
def transactions() -> Answer:
    """Every movement, and where it is."""
    asked = asked_for(request.args)
    return render_template(
        "books/transactions.html",
        asked=asked,
        found=pages.transactions(services(), visitor().company_id, asked, cursor()),
        query={name: value for name, value in request.args.items() if name != "at" and value},
        kinds=words.KINDS,
        states=words.PART_STATES,
        fragment=fragment(),
    )


@books.get("/transactions/<int:movement_id>")
@audience(Audience.COMPANY)
def transaction(movement_id: int) -> Answer:
    """The story of one amount."""
    story = pages.transaction(services(), visitor().company_id, _id(movement_id))
    return render_template("books/transaction.html", story=story)


# --- Payouts -------------------------------------------------------------------------------------------------


@books.get("/payouts")
@audience(Audience.COMPANY)
def payouts() -> Answer:
    """What reached the bank, and whether its movements add up to it."""
    return render_template("books/payouts.html", found=pages.payouts(services(), visitor().company_id, cursor()))


@books.get("/payouts/<int:payout_id>")
@audience(Audience.COMPANY)
def payout(payout_id: int) -> Answer:
    """A payout's proof, line by line."""
    proof = pages.payout(services(), visitor().company_id, _id(payout_id), cursor())
    return render_template("books/payout.html", proof=proof)


@books.get("/payouts/<int:payout_id>/proof.csv")
@audience(Audience.COMPANY)
def payout_proof(payout_id: int) -> Answer:
    """The proof as a table for a spreadsheet."""
    first = pages.payout(services(), visitor().company_id, _id(payout_id), None, rows=1000)
    # The pages' functions need no request, but the services do: take them before the answer begins to stream.
    held, company_id = services(), visitor().company_id

    def all_pages() -> Iterator[PayoutProof]:
        proof = first
        yield proof
        while proof.listing.older:
            proof = pages.payout(held, company_id, payout_id, Cursor.parse(proof.listing.older), rows=1000)
            yield proof

    name = "".join(character for character in first.payout.ref if character.isalnum() or character in "_-")
    return Response(
        _csv(all_pages()),
        mimetype="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="payout-{name[:60]}.csv"'},
    )


def _csv(proofs: Iterator[PayoutProof]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["occurred_at", "reference", "kind", "order_number", "gross", "fees", "net", "currency", "document"]
    )
    for proof in proofs:
        for line in proof.lines:
            writer.writerow(
                [
                    line.occurred_at.isoformat(),
                    harmless(line.ref),
                    line.kind.value,
                    harmless(line.order_number),
                    line.amount.to_decimal(),
                    line.fees.to_decimal(),
                    line.net.to_decimal(),
                    line.amount.currency,
                    harmless(" ".join(document.number for document in line.documents)),
                ]
            )
        yield out.getvalue()
        out.seek(0)
        out.truncate()


# --- Inbox ---------------------------------------------------------------------------------------------------


@books.get("/inbox")
@audience(Audience.COMPANY)
def inbox() -> Answer:
    """What needs a person, by reason, with its remedies."""
    reason = request.args.get("reason", "")
    rows = 200 if reason else pages.INBOX_ROWS
    found = pages.inbox(services(), visitor().company_id, reason[:40], rows)
    return render_template("books/inbox.html", inbox=found, reason=reason)


@books.post("/inbox")
@audience(Audience.COMPANY)
def remedy() -> Answer:
    """Try again, or set aside: what was ticked, or everything held for a reason."""
    company_id, who = visitor().company_id, visitor().who
    reason = request.form.get("all", "")
    parts: Sequence[int] = (
        pages.held_part_ids(services(), company_id, reason[:40]) if reason else _numbers(request.form.getlist("part"))
    )
    if not parts:
        flash(_("Nothing was ticked."), "wait")
        return redirect(url_for("books.inbox"), 303)
    decision = request.form.get("decide", "")
    if decision:
        chosen = request.form.get("credit", "") if decision == "credit" else decision
        return _decided(company_id, parts, chosen, who)
    match request.form.get("action", ""):
        case "retry":
            moved = booking.retry(services(), company_id, parts, who)
            runs.want(services(), company_id, _TRIGGER)
            flash(
                ngettext(
                    "%(num)s movement is looked at again. It comes back here if it still cannot be booked.",
                    "%(num)s movements are looked at again. They come back here if they still cannot be booked.",
                    moved,
                ),
                "done",
            )
        case "set_aside":
            where = " ".join(request.form.get("where", "").split())[:200]
            moved = booking.set_aside(services(), company_id, parts, who, where)
            if moved:
                flash(ngettext("%(num)s movement is set aside.", "%(num)s movements are set aside.", moved), "done")
            else:
                flash(
                    _(
                        "Nothing was set aside: a document of these stands half-way in your books. "
                        "Try it again instead."
                    ),
                    "wait",
                )
        case "choose_invoice" | "treat_as_order" | "accept_difference" as action:
            _match_by_hand(action, parts)
        case _:
            return errors.page(400, _("Kvitt could not read that"), _("Nothing was changed."))
    return redirect(url_for("books.inbox"), 303)


def _match_by_hand(action: str, parts: Sequence[int]) -> None:
    """Basic's remedies: the invoice or the order number of a payment, or a difference that is rounding."""
    company_id, who = visitor().company_id, visitor().who
    try:
        match action:
            case "choose_invoice":
                number = request.form.get("invoice", "")
                moved = matching.choose_invoice(services(), company_id, parts, number, who)
            case "treat_as_order":
                remember = request.form.get("remember") == "yes"
                order = request.form.get("order", "")
                moved = matching.treat_as_order(services(), company_id, parts, order, who, remember)
            case _:
                moved = matching.accept_difference(services(), company_id, parts, who)
    except matching.NotPossible as fault:
        flash(str(words.NOT_POSSIBLE[fault.reason]) % fault.facts, "stop")
        return
    except PortError:
        flash(_("Your books do not answer just now. Nothing was changed; try again."), "wait")
        return
    runs.want(services(), company_id, _TRIGGER)
    flash(
        ngettext(
            "%(num)s payment is registered as you say in a moment. It comes back here if it cannot be.",
            "%(num)s payments are registered as you say in a moment. They come back here if they cannot be.",
            moved,
        ),
        "done",
    )


def _decided(company_id: int, parts: Sequence[int], decision: str, who: str) -> Answer:
    """Note what a person decided of held movements, and have them planned again."""
    try:
        decided = joining.decide(services(), company_id, parts, decision, who)
    except ValueError:
        return errors.page(400, _("Kvitt could not read that"), _("Nothing was changed."))
    runs.want(services(), company_id, _TRIGGER)
    flash(
        ngettext("%(num)s movement is booked as you said.", "%(num)s movements are booked as you said.", decided),
        "done",
    )
    return redirect(url_for("books.inbox"), 303)


def _numbers(texts: Sequence[str]) -> tuple[int, ...]:
    return tuple(int(text) for text in texts if text.isdecimal() and len(text) < 19)


# --- Runs and the log ----------------------------------------------------------------------------------------


@books.post("/sync")
@audience(Audience.COMPANY)
def sync() -> Answer:
    """Start a run now."""
    if not access.frame().ready:
        flash(_("Connect a provider and choose Basic or Plus first."), "wait")
        return redirect(url_for("setup.welcome"), 303)
    run_id = runs.want(services(), visitor().company_id, _TRIGGER)
    return redirect(url_for("books.run", run_id=run_id), 303)


@books.get("/runs/<int:run_id>")
@audience(Audience.COMPANY)
def run(run_id: int) -> Answer:
    """What a run is doing now, or what it came to. The page asks again by itself while the run goes on."""
    found = pages.run(services(), visitor().company_id, _id(run_id))
    if found.line.state == "done" and found.line.trigger in SEEN_ON:
        # What it saw is what a person came for.
        address = url_for(SEEN_ON[found.line.trigger], run=run_id)
        if not fragment():
            return redirect(address, 303)
        answer = Response("", 204)
        answer.headers["HX-Redirect"] = address
        return answer
    template = "books/run_now.html" if fragment() else "books/run.html"
    company_id = visitor().company_id
    takes_back = found.line.trigger == undoing.TRIGGER
    return render_template(
        template,
        run=found,
        now=services().now(),
        undo=undoing.outcome(services(), company_id, run_id) if takes_back else None,
        undoable=undoing.undoable(services(), company_id, run_id) if found.line.state != "running" else None,
    )


@books.get("/activity")
@audience(Audience.COMPANY)
def log() -> Answer:
    """Who did what, when."""
    return render_template("books/activity.html", found=pages.activity(services(), visitor().company_id, cursor()))
