"""Signing in by a mailed link, and the addresses that may ask for one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.log import get_logger
from addon.ports.mail import Letter
from addon.services import signing_in
from addon.services.context import Services
from addon.web import access, errors, home, roundtrip
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import INSTALL, SIGN_IN, limiter

signing = Blueprint("signing", __name__)
log = get_logger(__name__)

Answer = Response | str | tuple[str, int]

_LONGEST: Final = 254
_MOST_WAITING: Final = 50
_post: Final = ThreadPoolExecutor(2, "post")
"""Letters leave beside the request: how long an answer takes must not tell whether an address is known."""
_waiting: Final = BoundedSemaphore(_MOST_WAITING)


@signing.get("/sign-in")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def ways() -> str:
    """The ways to sign in: by a link in a letter, or through the accounting system."""
    return _page(asked=False)


@signing.post("/sign-in")
@audience(Audience.PUBLIC)
@limiter.limit(SIGN_IN)
def ask() -> str:
    """Ask for a link. The answer is the same for every address."""
    given = services()
    if given.mailer is not None and _waiting.acquire(blocking=False):
        address = request.form.get("email", "")[: _LONGEST + 1]
        letter = _letter()
        _post.submit(_mail, given, address, letter)
    return _page(asked=True)


def _page(*, asked: bool) -> str:
    mails = services().mailer is not None
    return render_template("home/sign_in.html", mails=mails, asked=asked, systems=home.offered())


class _Words:
    """A letter whose words were chosen in the request: the thread that sends it knows no language."""

    def __init__(self, subject: str, before: str, after: str, link: str) -> None:
        self._subject, self._before, self._after, self._link = subject, before, after, link

    def __call__(self, token: str) -> Letter:
        return Letter(self._subject, f"{self._before}\n\n{self._link}{token}\n\n{self._after}\n")


def _letter() -> _Words:
    return _Words(
        _("Sign in to Kvitt"),
        _("Somebody, you we hope, asked for a link to sign in to Kvitt. It works once, for fifteen minutes:"),
        _("If it was not you, do nothing: without this letter nobody gets in."),
        roundtrip.callback_address("/sign-in/"),
    )


def _mail(given: Services, address: str, letter: _Words) -> None:
    try:
        signing_in.ask(given, address, letter)
    except Exception as error:  # a thread has nobody to raise to: the log is where it is seen
        log.error("link_failed", error=type(error).__name__)
    finally:
        _waiting.release()


@signing.get("/sign-in/<token>")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def look(token: str) -> Answer:
    """Where a link leads, with a button for each company. Only the button spends it: mail scanners open links."""
    doors = signing_in.doors(services(), token)
    if not doors:
        return _spent()
    return render_template("home/sign_in_door.html", doors=doors, token=token)


@signing.post("/sign-in/<token>")
@audience(Audience.PUBLIC)
@limiter.limit(SIGN_IN)
def enter(token: str) -> Answer:
    """Spend the link, and sign this browser in."""
    company_id = _number(request.form.get("company", ""))
    try:
        who = signing_in.spend(services(), token, company_id)
    except signing_in.LinkSpent:
        return _spent()
    return access.sign_in(redirect(url_for("books.overview"), 303), company_id, who)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _spent() -> tuple[str, int]:
    return errors.page(
        400,
        _("This link no longer works"),
        _("It can be used once, within fifteen minutes of being asked for."),
        _("Ask for a new one."),
        action=(url_for("signing.ways"), _("To the sign-in page")),
    )


@signing.post("/settings/members")
@audience(Audience.COMPANY)
@limiter.limit(SIGN_IN)
def add() -> Response:
    """Let an address ask for links to this company."""
    try:
        signing_in.add(services(), visitor().company_id, request.form.get("email", "")[: _LONGEST + 1], visitor().who)
    except signing_in.NotAnAddress:
        flash(_("This is no e-mail address."), "stop")
    except signing_in.TooMany:
        most = signing_in.MOST_MEMBERS
        flash(_("Nothing was saved: a company has %(most)s addresses at most. Remove one first.", most=most), "stop")
    else:
        flash(_("Links to sign in can be asked for from this address."), "done")
    return redirect(url_for("setup.settings") + "#signed-in", 303)


@signing.post("/settings/members/remove")
@audience(Audience.COMPANY)
@limiter.limit(SIGN_IN)
def remove() -> Response:
    """Take an address out."""
    if signing_in.remove(services(), visitor().company_id, _number(request.form.get("member", "")), visitor().who):
        flash(_("The address can no longer be used to sign in. Browsers that are signed in stay so."), "done")
    return redirect(url_for("setup.settings") + "#signed-in", 303)
