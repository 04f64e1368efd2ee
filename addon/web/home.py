"""The first page, installing, and coming back from the accounting system, whichever.

How a company lets us in, and what is said where it does not go well, stands in the system's own description
(`addon.ports.connectors.AccountingWay`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from babel.lists import format_list
from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports import registry
from addon.ports.connectors import AccountingConnector, Notice, WayKind
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import installation, prerequisites, signing_in
from addon.services import settings as company_settings
from addon.web import access, errors, roundtrip
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import INSTALL, limiter
from addon.web.texts import chosen_language

if TYPE_CHECKING:
    from addon.config import Settings

home = Blueprint("home", __name__)

Answer = Response | str | tuple[str, int]

PARKED: Final = "parked"
"""Under what the session keeps the token of a consent that waits for its confirmation."""
_UNASKED: Final = "unasked_code"
_NAME: Final = "name"
_CODE_LIVES_S: Final = 600
_METHODS: Final = frozenset({"invoices", "payments"})
_NOTHING_TYPED: Final[Mapping[str, str]] = {}


def offered() -> tuple[str, ...]:
    """The accounting systems that this installation has credentials for."""
    settings: Settings = current_app.config["KVITT_SETTINGS"]
    names = [line.name for line in registry.ACCOUNTING]
    return tuple(name for name in names if all(settings.told(key) for key in registry.accounting(name).settings))


def _described(system: str) -> AccountingConnector:
    if system not in offered():
        abort(404)
    return registry.accounting(system)


def _callback(system: str) -> str:
    return roundtrip.callback_address(url_for("home.arrive", system=system))


def _all_of(titles: list[str]) -> str:
    """Names in a row, as the language writes it."""
    return format_list(titles, locale=get_locale() or "en")


@home.get("/")
@audience(Audience.PUBLIC)
def start() -> str:
    """What Kvitt is, what the books must be like, and how to install it."""
    # Whoever reads Danish is likely to keep books in the system of Denmark: it stands first.
    systems = sorted(offered(), key=lambda name: chosen_language() not in registry.accounting(name).words.languages)
    return render_template(
        "home/start.html",
        checklists=[(system, registry.accounting(system).checklist) for system in systems],
        signed_in=g.get("visitor") is not None,
        systems=systems,
        all_providers=_all_of([line.title for line in registry.PAYMENTS]),
        all_systems=_all_of([line.title for line in registry.ACCOUNTING]),
    )


@home.get("/install/<accounting:system>")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def install(system: str) -> Answer:
    """Off to the system's page, with a state of ours, or to a form. Signing in again goes the same way."""
    way = _described(system).way
    match way.kind:
        case WayKind.TYPED:
            return _form(system)
        case WayKind.CONSENT:
            declared = services().outside.accounting_authorisation(system).client
            return roundtrip.set_out(declared, _callback(system))
        case WayKind.ARRANGED:
            return roundtrip.set_out_arranged(
                system,
                _callback(system),
                lambda address, reference: installation.way_in(
                    services(), system, address, reference, chosen_language()
                ),
            )


@home.post("/install/<accounting:system>")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def typed(system: str) -> Answer:
    """Credentials that a person typed. They are tried at once, and open the books that they belong to."""
    way = _described(system).way
    if way.kind is not WayKind.TYPED:
        abort(404)
    given = {field.name: request.form.get(field.name, "").strip()[: field.longest + 1] for field in way.fields}
    if not all(0 < len(given[field.name]) <= field.longest for field in way.fields):
        return _form(system, _("Fill in every field."), given)
    return _receive(system, ":".join(given.values()), given)


def _form(system: str, fault: str = "", given: Mapping[str, str] = _NOTHING_TYPED) -> Answer:
    """The form for credentials; with a fault it shows again what was typed, but for what is secret."""
    way = registry.accounting(system).way
    kept = {field.name: given[field.name] for field in way.fields if not field.secret and field.name in given}
    page = render_template("home/install.html", system=system, way=way, fault=fault, given=kept)
    return (page, 400) if fault else page


@home.get("/oauth/<accounting:system>/callback")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def arrive(system: str) -> Answer:
    """Back from the accounting system: from the way that we began, or from its marketplace, which began it itself."""
    way = _described(system).way
    if way.kind is WayKind.TYPED:
        abort(404)
    back = roundtrip.come_back(system, way.grant_in)
    if back.error:
        denied = back.error == "access_denied"
        notice = way.denied if denied else way.not_given
        return _notice(system, 200 if denied else 400, notice, back.description or back.error)
    code = back.code if way.grant_in else str(back.memory.get("reference", ""))
    if not code:
        return _notice(system, 400, way.no_answer)
    if back.bearing is not roundtrip.Bearing.FOREIGN:
        return _receive(system, code)
    if way.unasked is None:
        return _problem(
            system,
            400,
            _("This answer belongs to another browser"),
            _("It did not begin here, or was used before, or took too long. Nothing has been installed."),
            _("Start again from this page."),
        )
    # Perhaps the marketplace's own state, perhaps somebody's trap: a person has to say which.
    session[_UNASKED] = {"system": system, "code": code, "until": time.time() + _CODE_LIVES_S}
    return render_template("home/foreign_state.html", system=system, unasked=way.unasked), 400


@home.post("/install/<accounting:system>/continue")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def go_on_unasked(system: str) -> Answer:
    """A person says that the marketplace sent them, with a state that is not ours."""
    way = _described(system).way
    kept = session.pop(_UNASKED, None)
    if not isinstance(kept, dict) or kept.get("until", 0) < time.time() or kept.get("system") != system:
        return _notice(system, 400, way.not_taken)
    return _receive(system, str(kept.get("code", "")))


def _receive(system: str, code: str, given: Mapping[str, str] | None = None) -> Answer:
    """Exchange the code at once, park what it gave, and forget the code with its address.

    `given` is what was typed, where something was; then the form comes again where it is not taken.
    """
    way = registry.accounting(system).way
    try:
        token = installation.receive(services(), system, code, _callback(system), in_address=given is None)
    except installation.GrantUsed:
        return _problem(
            system,
            400,
            _("This permission has been used before"),
            _("Its address may lie in a browser's history, so it signs nobody in a second time. Nothing has changed."),
            _(
                "Start again: %(system)s then makes a new one. Or ask for a link by mail on the sign-in page.",
                system=registry.title(system),
            ),
        )
    except Rejected as error:
        known = way.refusals.get(error.code)
        if given is not None:
            return _form(system, _said(system, (known or way.not_taken).what, error.message), given)
        return _notice(system, 409 if known else 400, known or way.not_taken, error.message)
    except NeedsReconnect:
        if given is not None:
            return _form(system, _said(system, way.not_taken.what), given)
        return _notice(system, 400, way.not_taken)
    except PortError as error:
        return errors.port_error(error, registry.title(system))
    session[PARKED] = token
    return redirect(url_for("home.confirm"), 303)


def _said(system: str, text: str, words: str = "") -> str:
    """A text of the system's description in the visitor's language, with the system's title and its own words."""
    return _(text, system=registry.title(system), words=words)  # type: ignore[no-any-return]


def _notice(system: str, status: int, notice: Notice, words: str = "") -> tuple[str, int]:
    title, what, advice = (_said(system, text, words) for text in (notice.title, notice.what, notice.advice))
    return _problem(system, status, title, what, advice)


def _gone() -> tuple[str, int]:
    """Nothing waits for a confirmation here, whichever system it came from."""
    return errors.page(
        400,
        _("The permission has expired"),
        _("It was confirmed already, or waited for more than half an hour. Nothing has been installed now."),
        _("Start again: it takes a minute."),
        action=(url_for("home.start"), _("To the first page")),
    )


def _problem(system: str, status: int, title: str, what: str, advice: str) -> tuple[str, int]:
    return errors.page(status, title, what, advice, action=(url_for("home.install", system=system), _("Start again")))


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
        needs_email=_needs_email(waiting),
        asks_method=asks_method,
        faults=faults,
        other=current if current is not None and current.name != waiting.name else None,
    )
    return (page, 422) if faults else page


def _needs_email(waiting: installation.ParkedView) -> bool:
    """Whether a link by mail is the only way back in."""
    return not registry.accounting(waiting.accounting).tells_person


def _asks_email(waiting: installation.ParkedView) -> bool:
    return _needs_email(waiting) or services().mailer is not None


def _asks_method(waiting: installation.ParkedView) -> bool:
    """Once: a company that has answered is not asked when it comes again."""
    if registry.accounting(waiting.accounting).tells_method:
        return False
    company_id = installation.find_tenant(services(), waiting.accounting, waiting.tenant)
    return company_id is None or not company_settings.values(services(), company_id).get("books_method")


def _read_answers(waiting: installation.ParkedView) -> tuple[str, str, frozenset[str]]:
    """The e-mail address and how the books are kept, as far as they are asked for; and what is wrong with them."""
    faults = set()
    email = request.form.get("email", "").strip() if _asks_email(waiting) else ""
    try:
        email = signing_in.read_address(email) if email or _needs_email(waiting) else ""
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
