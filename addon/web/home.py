"""The first page, installing, and coming back from the accounting system's consent page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flask import Blueprint, current_app, flash, g, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.core.checklists import CHECKLISTS
from addon.ports import registry
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import installation, prerequisites, signing_in
from addon.services import settings as company_settings
from addon.web import access, errors, roundtrip
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import INSTALL, limiter

if TYPE_CHECKING:
    from addon.config import Settings

home = Blueprint("home", __name__)

Answer = Response | str | tuple[str, int]

PARKED: Final = "parked"
"""Under what the session keeps the token of a consent that waits for its confirmation."""
_UNASKED: Final = "unasked_code"
_NAME: Final = "name"
_CODE_LIVES_S: Final = 600
FORTNOX_CALLBACK: Final = "/oauth/fortnox/callback"

_LICENCE_CODES: Final = frozenset({"2001101", "2001103"})
"""Fortnox: no active licence for a scope, no licence for the API."""

_SAYS_LITTLE: Final = frozenset({"economic"})
"""Systems that sign nobody in and do not tell how the books are kept: a person is asked for both."""
_METHODS: Final = frozenset({"invoices", "payments"})


def offers_economic() -> bool:
    """Whether this installation has credentials for e-conomic."""
    settings: Settings = current_app.config["KVITT_SETTINGS"]
    return bool(settings.economic_app_public_token)


def _offered() -> tuple[str, ...]:
    """The accounting systems that this installation has credentials for."""
    return ("fortnox", "economic") if offers_economic() else ("fortnox",)


@home.get("/")
@audience(Audience.PUBLIC)
def start() -> str:
    """What Kvitt is, what the books must be like, and how to install it."""
    return render_template(
        "home/start.html",
        checklists=[(system, CHECKLISTS[system]) for system in _offered()],
        signed_in=g.get("visitor") is not None,
        economic=offers_economic(),
        mails=services().mailer is not None,
    )


@home.get("/install/fortnox")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def install_fortnox() -> Response:
    """Off to Fortnox' consent page, with a state of ours. Signing in again goes the same way."""
    declared = services().outside.accounting_authorisation("fortnox").client
    return roundtrip.set_out(declared, roundtrip.callback_address(FORTNOX_CALLBACK))


@home.get(FORTNOX_CALLBACK)
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def fortnox_callback() -> Answer:
    """Back from Fortnox: from the way that we began, or from the marketplace, which began it itself."""
    back = roundtrip.come_back("fortnox")
    if back.error:
        return _refused(back)
    if not back.code:
        return _problem(
            400,
            _("Fortnox sent you back without an answer"),
            _(
                "That happens when the company's Fortnox account is locked, or when the page was closed half-way. "
                "Nothing has been installed."
            ),
            _("See in Fortnox that the account is open, and try again."),
        )
    if back.bearing is roundtrip.Bearing.FOREIGN:
        # Perhaps the marketplace's own state, perhaps somebody's trap: a person has to say which.
        session[_UNASKED] = {"code": back.code, "until": time.time() + _CODE_LIVES_S}
        return render_template("home/foreign_state.html"), 400
    return _receive(back.code)


@home.post("/install/fortnox/continue")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def go_on_unasked() -> Answer:
    """A person says that the marketplace sent them, with a state that is not ours."""
    kept = session.pop(_UNASKED, None)
    if not isinstance(kept, dict) or kept.get("until", 0) < time.time():
        return _expired()
    return _receive(str(kept.get("code", "")))


def _receive(code: str) -> Answer:
    """Exchange the code at once, park what it gave, and forget the code with its address."""
    try:
        token = installation.receive(services(), "fortnox", code, roundtrip.callback_address(FORTNOX_CALLBACK))
    except Rejected as error:
        if error.code in _LICENCE_CODES:
            return _problem(
                409,
                _("A Fortnox licence is missing"),
                _(
                    "Fortnox says: %(words)s. Kvitt needs the licences for bookkeeping, invoicing and integrations. "
                    "Nothing has been installed.",
                    words=error.message,
                ),
                _("Add the licence in Fortnox under Manage users and licences, and try again."),
            )
        return _expired()
    except NeedsReconnect:
        return _expired()
    except PortError as error:
        return errors.port_error(error, registry.title("fortnox"))
    session[PARKED] = token
    return redirect(url_for("home.confirm"), 303)


def _expired() -> tuple[str, int]:
    return _problem(
        400,
        _("Fortnox' permission has expired"),
        _("A permission is valid for ten minutes and can be used once. Nothing has been installed."),
        _("Start again: it takes a minute."),
    )


def _gone() -> tuple[str, int]:
    """Nothing waits for a confirmation here, whichever system it came from."""
    return errors.page(
        400,
        _("The permission has expired"),
        _("It was confirmed already, or waited for more than half an hour. Nothing has been installed now."),
        _("Start again: it takes a minute."),
        action=(url_for("home.start"), _("To the first page")),
    )


def _refused(back: roundtrip.Return) -> tuple[str, int]:
    if back.error == "access_denied":
        return _problem(
            200,
            _("You said no, and that is fine"),
            _("Kvitt was not let into Fortnox. Nothing has been installed or changed."),
            _("Should you change your mind, start again here. Only a system administrator can say yes."),
        )
    return _problem(
        400,
        _("Fortnox did not give the permission"),
        _("It says: %(words)s. Nothing has been installed.", words=back.description or back.error),
        _("Start again. If it stays so, tell us what it said."),
    )


def _problem(status: int, title: str, what: str, advice: str) -> tuple[str, int]:
    return errors.page(status, title, what, advice, action=(url_for("home.install_fortnox"), _("Start again")))


@home.get("/install/confirm")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def confirm() -> Answer:
    """Name the company and ask. Whoever was lured here sees a company that is not theirs."""
    waiting = _waiting()
    return _confirm_page(waiting) if waiting is not None else _gone()


def _confirm_page(waiting: installation.ParkedView, faults: frozenset[str] = frozenset()) -> Answer:
    """The page; with faults it shows again what was given."""
    current = access.frame() if g.get("visitor") is not None else None
    asks_method = _asks_method(waiting)
    page = render_template(
        "home/confirm.html",
        waiting=waiting,
        shown=installation.shown_as(session[PARKED]),
        name=request.form.get("name", session.get(_NAME, "")),
        email=request.form.get("email", ""),
        method=request.form.get("method", ""),
        asks_email=_asks_email(waiting),
        needs_email=waiting.accounting in _SAYS_LITTLE,
        asks_method=asks_method,
        faults=faults,
        other=current if current is not None and current.name != waiting.name else None,
    )
    return (page, 422) if faults else page


def _asks_email(waiting: installation.ParkedView) -> bool:
    return waiting.accounting in _SAYS_LITTLE or services().mailer is not None


def _asks_method(waiting: installation.ParkedView) -> bool:
    """Once: a company that has answered is not asked when it comes again."""
    if waiting.accounting not in _SAYS_LITTLE:
        return False
    company_id = installation.find_tenant(services(), waiting.accounting, waiting.tenant)
    return company_id is None or not company_settings.values(services(), company_id).get("books_method")


def _read_answers(waiting: installation.ParkedView) -> tuple[str, str, frozenset[str]]:
    """The e-mail address and how the books are kept, as far as they are asked for; and what is wrong with them."""
    faults = set()
    email = request.form.get("email", "").strip() if _asks_email(waiting) else ""
    try:
        email = signing_in.read_address(email) if email or waiting.accounting in _SAYS_LITTLE else ""
    except signing_in.NotAnAddress:
        faults.add("email")
    method = request.form.get("method", "") if _asks_method(waiting) else ""
    if method not in _METHODS and _asks_method(waiting):
        faults.add("method")
    return email, method, frozenset(faults)


def _waiting() -> installation.ParkedView | None:
    token = session.get(PARKED, "")
    return installation.parked(services(), token) if isinstance(token, str) and token else None


@home.post("/install/confirm")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def confirm_yes() -> Answer:
    """The person says that this is their company: bind it, look at its books, sign the browser in."""
    token = str(session.get(PARKED, ""))
    shown = request.form.get("shown", "")
    if shown and token and shown != installation.shown_as(token):
        # Another answer came into this browser while the page was open: its company was never shown.
        flash(_("Meanwhile another company was named. Look again before you go on."), "wait")
        return redirect(url_for("home.confirm"), 303)
    who = " ".join(request.form.get("name", "").split())[:100]
    if request.form.get("answer") == "no":
        session.pop(PARKED, None)
        if token:
            installation.discard(services(), token)
        flash(_("Nothing has been installed, and the permission was thrown away."), "done")
        return redirect(url_for("home.start"), 303)
    waiting = _waiting()
    email, method, faults = _read_answers(waiting) if waiting is not None else ("", "", frozenset())
    if waiting is not None and faults:
        return _confirm_page(waiting, faults)
    session.pop(PARKED, None)
    try:
        company_id = installation.confirm(services(), token, who)
    except installation.NothingParked:
        return _gone()
    if method:
        company_settings.change(services(), company_id, who, {"books_method": method})
    if email:
        _let_sign_in(company_id, email, who)
    response = access.sign_in(redirect(url_for("setup.welcome"), 303), company_id, who)
    session[_NAME] = who
    installation.begin_nudges(services(), company_id)
    try:
        prerequisites.check(services(), company_id)
    except PortError:
        flash(_("Your books could not be read just now. Kvitt is installed; check again in a minute."), "wait")
    return response


def _let_sign_in(company_id: int, email: str, who: str) -> None:
    """The address of whoever installs; where there are too many already, they are told."""
    try:
        signing_in.add(services(), company_id, email, who)
    except signing_in.TooMany:
        flash(_("Your e-mail address was not saved: there are too many already. See Settings."), "wait")


@home.post("/sign-out-everywhere")
@audience(Audience.COMPANY)
def sign_out_everywhere() -> Response:
    """Forget every browser of the company, this one too: for a lost computer, or somebody who has left."""
    installation.sign_out_everywhere(services(), visitor().company_id, visitor().who)
    response = access.sign_out(redirect(url_for("home.start"), 303))
    flash(_("Every browser is signed out. Kvitt goes on working."), "done")
    return response


@home.post("/sign-out")
@audience(Audience.PUBLIC)
def sign_out() -> Response:
    """Forget this browser."""
    response = access.sign_out(redirect(url_for("home.start"), 303))
    flash(_("You are signed out. Kvitt goes on working."), "done")
    return response
