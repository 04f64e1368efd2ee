"""The pages on which a person looks before anything is written, says go or no, takes back, and brings history in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from addon.core.dates import booking_date
from addon.services import activity, backfill, booking, opening, pages, prerequisites, previews, runs, undoing
from addon.services.pages import NotHere
from addon.web import access, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.books import SEEN_ON, Answer, _date, _id, _numbers, books, cursor
from addon.web.limits import LOOK, limiter

_TRIGGER: Final = "click"
_LONGEST_SEARCH: Final = 120
_SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def install() -> None:
    """Say where what was seen is shown; importing this module has added its routes."""
    SEEN_ON.update({previews.TRIGGER: "books.preview", undoing.LOOK: "books.undo_seen", backfill.LOOK: "books.earlier"})


# --- Preview -------------------------------------------------------------------------------------------------


def asked_for(given: Mapping[str, str], run: Mapping[str, Any]) -> previews.Asked:
    """What an address asks to be shown; days that it leaves out are those that the run was asked for."""
    offset, order = given.get("from", ""), given.get("order", "")
    return previews.Asked(
        kind=given.get("kind", "")[:20],
        words=given.get("q", "").strip()[:_LONGEST_SEARCH],
        since=_date(given.get("since", str(run.get("since", "")))),
        until=_date(given.get("until", str(run.get("until", "")))),
        order=order if order in previews.ORDERS else "date",
        offset=int(offset) if offset.isdecimal() and len(offset) < 9 else 0,
    )


def _run_asked(trigger: str) -> int | None:
    """The run that the address names, else the newest of its kind."""
    given = request.args.get("run", "")
    if given.isdecimal() and len(given) < 19:
        return int(given)
    return previews.latest_run(services(), visitor().company_id, trigger)


def seen_page(trigger: str) -> tuple[previews.SeenPage | None, previews.Asked]:
    """What the run that the address names has seen, as asked for. Raises `NotHere`."""
    run_id = _run_asked(trigger)
    if run_id is None:
        return None, previews.Asked()
    company_id = visitor().company_id
    try:
        view = runs.cursor_of(services(), company_id, _id(run_id))
        asked = asked_for(request.args, view)
        found = previews.page(services(), company_id, run_id, asked)
    except previews.NotSeen:
        raise NotHere(f"run {run_id}") from None
    if found.trigger != trigger:
        raise NotHere(f"run {run_id} saw something else")
    return found, asked


def _query(asked: previews.Asked, run_id: int) -> dict[str, Any]:
    """The address's own words, for links that change one of them."""
    kept = {
        "run": run_id,
        "kind": asked.kind,
        "q": asked.words,
        "since": asked.since.isoformat() if asked.since else "",
        "until": asked.until.isoformat() if asked.until else "",
        "order": asked.order if asked.order != "date" else "",
    }
    return {name: value for name, value in kept.items() if value or name in ("since", "until")}


@books.get("/preview")
@audience(Audience.COMPANY)
def preview() -> Answer:
    """What waits for approval, and what a look has shown."""
    today = booking_date(services().now(), access.frame().zone)
    found, asked = seen_page(previews.TRIGGER)
    first = _first_days()
    return render_template(
        "books/preview.html",
        proposed=pages.proposed(services(), visitor().company_id, cursor()),
        looked=found,
        asked=asked,
        query=_query(asked, found.run_id) if found else {},
        since=asked.since or first,
        until=asked.until or today,
        orders=words.PREVIEW_ORDERS,
    )


def _first_days() -> date:
    starts = [line.start_date for line in access.frame().connections if line.start_date and line.mode]
    return min(starts) if starts else booking_date(services().now(), access.frame().zone)


@books.post("/preview")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def look() -> Answer:
    """Have a run look: it fetches and plans, shows what would be booked, and writes nothing."""
    company_id = visitor().company_id
    if prerequisites.books_of(services(), company_id) is None:
        raise runs.CompanyNotReady("books_unread")
    if not access.frame().ready:
        flash(_("Connect a provider and choose Basic or Plus first."), "wait")
        return redirect(url_for("setup.welcome"), 303)
    since = _date(request.form.get("since", "")) or _first_days()
    until = _date(request.form.get("until", "")) or booking_date(services().now(), access.frame().zone)
    days = {"since": since.isoformat(), "until": max(since, until).isoformat()}
    run_id = runs.want_special(services(), company_id, previews.TRIGGER, asked=days)
    with services().db.company(company_id) as session:
        activity.record(session, visitor().who, "preview_looked", {**days, "run": str(run_id)}, services().now())
    return redirect(url_for("books.run", run_id=run_id), 303)


@books.get("/preview/<int:run_id>/documents.csv")
@audience(Audience.COMPANY)
def preview_csv(run_id: int) -> Answer:
    """What a run has seen as a table for a spreadsheet: a line for each row of each document."""
    asked = _file_asked(run_id)
    # The services need no request, but they are found by one: take them before the answer begins to stream.
    lines = previews.as_csv(services(), visitor().company_id, run_id, asked)
    return Response(
        lines,
        mimetype="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="kvitt-preview-{run_id}.csv"'},
    )


@books.get("/preview/<int:run_id>/documents.xlsx")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def preview_xlsx(run_id: int) -> Answer:
    """The same as a workbook, with the totals."""
    asked = _file_asked(run_id)
    return Response(
        previews.as_xlsx(services(), visitor().company_id, run_id, asked),
        mimetype=_SPREADSHEET,
        headers={"Content-Disposition": f'attachment; filename="kvitt-preview-{run_id}.xlsx"'},
    )


def _file_asked(run_id: int) -> previews.Asked:
    try:
        run = runs.cursor_of(services(), visitor().company_id, _id(run_id))
    except previews.NotSeen:
        raise NotHere(f"run {run_id}") from None
    return asked_for(request.args, run)


@books.post("/preview/approve")
@audience(Audience.COMPANY)
def approve() -> Answer:
    """Let proposed documents go, those that were ticked, one, or all; or set those that were ticked aside."""
    company_id, who = visitor().company_id, visitor().who
    everything = request.form.get("all") == "yes"
    one = request.form.get("one", "")
    documents = None if everything else _numbers([one] if one else request.form.getlist("document"))
    if documents is not None and not documents:
        flash(_("Nothing was ticked."), "wait")
        return redirect(url_for("books.preview"), 303)
    if request.form.get("action") == "refuse":
        return _refuse(company_id, documents or (), who)
    approved = booking.approve(services(), company_id, documents, who)
    if not approved:
        flash(_("These have been approved already."), "wait")
        return redirect(url_for("books.preview"), 303)
    run_id = runs.want(services(), company_id, _TRIGGER)
    flash(ngettext("%(num)s document is approved.", "%(num)s documents are approved.", approved), "done")
    return redirect(url_for("books.run", run_id=run_id), 303)


def _refuse(company_id: int, documents: Sequence[int], who: str) -> Answer:
    where = " ".join(request.form.get("where", "").split())[:200]
    refused = opening.refuse(services(), company_id, documents, who)
    refused += booking.refuse(services(), company_id, documents, who, where)
    if refused:
        flash(
            ngettext(
                "%(num)s document is refused: its movements are set aside.",
                "%(num)s documents are refused: their movements are set aside.",
                refused,
            ),
            "done",
        )
    else:
        flash(_("These have been approved already."), "wait")
    return redirect(url_for("books.preview"), 303)


# --- Undo ----------------------------------------------------------------------------------------------------


@books.get("/runs/<int:run_id>/undo")
@audience(Audience.COMPANY)
def undo(run_id: int) -> Answer:
    """What a run has written that could be taken back."""
    return _undo_page(run_id, None, previews.Asked())


@books.get("/undo")
@audience(Audience.COMPANY)
def undo_seen() -> Answer:
    """What the undo of a run would write, and what it would leave alone."""
    found, asked = seen_page(undoing.LOOK)
    if found is None:
        return redirect(url_for("books.log"), 303)
    return _undo_page(int(found.cursor.get("undo", 0)), found, asked)


def _undo_page(run_id: int, looked: previews.SeenPage | None, asked: previews.Asked) -> Answer:
    company_id = visitor().company_id
    try:
        undoable = undoing.undoable(services(), company_id, _id(run_id))
    except undoing.NothingToUndo:
        raise NotHere(f"run {run_id}") from None
    return render_template(
        "books/undo.html",
        undoable=undoable,
        looked=looked,
        outcome=undoing.outcome(services(), company_id, looked.run_id) if looked else None,
        asked=asked,
        query=_query(asked, looked.run_id) if looked else {},
        orders=words.PREVIEW_ORDERS,
    )


@books.post("/runs/<int:run_id>/undo")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def take_back(run_id: int) -> Answer:
    """Look at what undoing a run would write, undo it, or try again what was refused of an undo."""
    company_id, who = visitor().company_id, visitor().who
    action = request.form.get("action", "look")
    try:
        if action == "retry":
            undoing.retry(services(), company_id, _id(run_id), who)
            return redirect(url_for("books.run", run_id=runs.want(services(), company_id, _TRIGGER)), 303)
        made = runs.want_undo(services(), company_id, _id(run_id), who, looks=action != "undo")
    except undoing.NothingToUndo:
        raise NotHere(f"run {run_id}") from None
    return redirect(url_for("books.run", run_id=made), 303)


# --- Backfill ------------------------------------------------------------------------------------------------


@books.get("/backfill")
@audience(Audience.COMPANY)
def earlier() -> Answer:
    """An earlier year: what it would write, and the way to bring it in."""
    found, asked = seen_page(backfill.LOOK)
    year = int(found.cursor.get("year", 0)) if found else 0
    open_years = _open_years()
    return render_template(
        "books/backfill.html",
        years=open_years,
        year=year,
        looked=found,
        can_go=year in open_years,
        asked=asked,
        query=_query(asked, found.run_id) if found else {},
        orders=words.PREVIEW_ORDERS,
    )


def _open_years() -> tuple[int, ...]:
    """Years that could come in next: the one that the start date stands in, or the one before."""
    starts = [line.start_date for line in access.frame().connections if line.start_date and line.mode]
    if not starts:
        return ()
    first = min(starts)
    return (first.year,) if (first.month, first.day) != (1, 1) else (first.year - 1,)


@books.post("/backfill")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def go_back() -> Answer:
    """Look at an earlier year, or bring it in."""
    text = request.form.get("year", "")
    year = int(text) if text.isdecimal() and len(text) == 4 else 0
    looks = request.form.get("action") != "go"
    try:
        if not 2000 <= year <= 2200:
            raise backfill.CannotGoBack("choose a year")
        run_id = runs.want_backfill(services(), visitor().company_id, year, visitor().who, looks=looks)
    except backfill.CannotGoBack:
        flash(_("That year cannot come in: it is booked from already, or a later one comes first."), "wait")
        return redirect(url_for("books.earlier"), 303)
    return redirect(url_for("books.run", run_id=run_id), 303)
