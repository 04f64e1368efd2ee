"""What a person sees when something does not work, and the headers that make every answer safe."""

from __future__ import annotations

import secrets
from typing import Final

from flask import Flask, Response, current_app, g, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException

from addon.log import get_logger
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.services.pages import NotHere
from addon.services.runs import CompanyNotReady
from addon.services.settings import UnknownConnection

csrf: Final = CSRFProtect()
log = get_logger(__name__)

_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def safe_headers(response: Response) -> Response:
    """No foreign script, style or frame; no guessing of types; nothing of a company in a shared cache."""
    headers = response.headers
    headers["Content-Security-Policy"] = _POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
    if current_app.config["SESSION_COOKIE_SECURE"]:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint not in ("static", "operations.htmx"):
        headers["Cache-Control"] = "no-store"
    return response


def page(
    status: int, title: str, what: str, advice: str = "", reference: str = "", action: tuple[str, str] | None = None
) -> tuple[str, int]:
    """A page that says what happened, that nothing was lost, and what to do. `action` is address and label."""
    text = render_template(
        "errors/error.html",
        status=status,
        heading=title,
        what=what,
        advice=advice,
        reference=reference,
        action=action,
        visitor_known=g.get("visitor") is not None,
    )
    return text, status


def install(app: Flask) -> None:
    """Make every exception a page, in one place."""
    csrf.init_app(app)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(NotHere, _not_found)
    app.register_error_handler(UnknownConnection, _not_found)
    app.register_error_handler(CompanyNotReady, _not_ready)
    app.register_error_handler(PortError, port_error)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def _csrf(error: CSRFError) -> tuple[str, int]:
    return page(
        400,
        _("This form is no longer valid"),
        _("It was open for too long, or was sent from another place. Nothing has been changed."),
        _("Go back, reload the page and try again."),
    )


def _not_found(error: Exception) -> tuple[str, int]:
    return page(
        404,
        _("There is nothing here"),
        _("The address may be misspelt, or the thing may belong to another company."),
        _("Everything of yours can be reached from the overview."),
    )


def _not_ready(error: Exception) -> tuple[str, int]:
    return page(
        409,
        _("The company is not ready for that"),
        _("Kvitt has not read its books yet, or a step of the installation is missing. Nothing was changed."),
        _("The first step checks the books; go on from there."),
        action=(url_for("setup.welcome"), _("To the steps")),
    )


def _http(error: HTTPException) -> tuple[str, int] | HTTPException:
    status = error.code or 500
    match status:
        case 404:
            return _not_found(error)
        case 405:
            return page(405, _("That is not possible here"), _("The page does not take this kind of request."))
        case 413:
            return page(413, _("That was too much"), _("The form was larger than Kvitt accepts. Nothing was changed."))
        case 429:
            return page(
                429,
                _("A little slower, please"),
                _("This address has asked very often in a short time. Nothing was changed."),
                _("Wait a minute and try again."),
            )
        case _ if status < 400:
            return error
        case _ if status < 500:
            return page(status, _("Kvitt could not read that"), _("The request was not complete. Nothing was changed."))
        case _:
            return _unforeseen(error)


def port_error(error: PortError, system: str = "") -> tuple[str, int]:
    """A page for what the outside world did to us."""
    name = system or _("The other system")
    match error:
        case TryLater():
            return page(
                503,
                _("%(name)s does not answer just now", name=name),
                _("Nothing happened there and nothing was lost."),
                _("Try again in a minute."),
            )
        case OutcomeUnknown():
            return page(
                503,
                _("The answer of %(name)s was lost", name=name),
                _("It may have happened or not. Kvitt looks before it asks again, so nothing is done twice."),
                _("Try again in a minute."),
            )
        case NeedsReconnect():
            return page(
                409,
                _("The connection has ended"),
                _("%(name)s no longer lets Kvitt in. Your data is kept, and nothing was lost.", name=name),
                _("Connect again under Settings."),
            )
        case Rejected():
            return page(
                409,
                _("%(name)s said no", name=name),
                _(
                    "Its own words: %(words)s (code %(code)s). Nothing was changed.",
                    words=error.message,
                    code=error.code,
                ),
                _("Mend what it names and try again."),
            )
        case BadReply():
            return page(
                502,
                _("The answer of %(name)s cannot be read", name=name),
                _("Nothing was lost."),
                _("Try again in a minute. If it stays so, tell us."),
            )
        case _:
            return _unforeseen(error)


def _unforeseen(error: Exception) -> tuple[str, int]:
    reference = secrets.token_hex(4)
    visitor = g.get("visitor")
    log.error(
        "page_failed",
        reference=reference,
        endpoint=request.endpoint,
        company_id=visitor.company_id if visitor is not None else None,
        exc_info=error,
    )
    # The frame may be what failed: the page of last resort asks the database nothing.
    g.pop("frame", None)
    return page(
        500,
        _("Something went wrong on our side"),
        _("Nothing was lost: what Kvitt has fetched and booked is kept, and an unfinished step is taken up again."),
        _("Try again. If it stays so, tell us and quote the reference."),
        reference,
    )
