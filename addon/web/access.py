"""Who may see which page: every route declares its audience, and a browser is known by a token of the server's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from flask import Flask, Response, abort, current_app, flash, g, make_response, redirect, request, session, url_for
from flask_babel import gettext as _
from werkzeug.routing import Map, UnicodeConverter
from werkzeug.wrappers import Response as AnyResponse

from addon.ports import registry
from addon.services import activity, installation, pages
from addon.services.context import Services

View = TypeVar("View", bound=Callable[..., Any])


class Audience(StrEnum):
    """Who a route is for."""

    PUBLIC = "public"
    """Anybody."""
    COMPANY = "company"
    """A browser that is signed in to a company; it sees that company and no other."""
    WEBHOOK = "webhook"
    """Another company's server. It proves itself by a signature and only ever nudges."""
    OPERATOR = "operator"
    """Whoever runs this installation, from the same machine or network."""


class NoAudience(RuntimeError):
    """A route was made without saying who it is for."""


class AccountingName(UnicodeConverter):
    """An accounting system's name in an address: `/oauth/…/callback` leads elsewhere for a payment provider's."""

    weight = 50
    """Before any other word."""

    def __init__(self, map: Map) -> None:
        super().__init__(map)
        self.regex = "|".join(re.escape(line.name) for line in registry.ACCOUNTING)


_MARK: Final = "kvitt_audience"
_LARGEST_ID: Final = 2**63 - 1


def audience(whom: Audience) -> Callable[[View], View]:
    """Say who a route is for; nearest to the function, below `route`."""

    def mark(view: View) -> View:
        setattr(view, _MARK, whom)
        return view

    return mark


def audience_of(app: Flask, endpoint: str) -> Audience | None:
    """Who an endpoint is for. Flask's own `static` serves public files."""
    if endpoint == "static":
        return Audience.PUBLIC
    return getattr(app.view_functions[endpoint], _MARK, None)


def require_audiences(app: Flask) -> None:
    """Refuse an application in which a route does not say who it is for. Raises `NoAudience`."""
    silent = sorted({rule.endpoint for rule in app.url_map.iter_rules() if audience_of(app, rule.endpoint) is None})
    if silent:
        raise NoAudience(f"routes without an audience: {', '.join(silent)}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser that is signed in: its company, and the name it gave."""

    company_id: int
    who: str


def services() -> Services:
    """The services that the application was made with."""
    found: Services = current_app.extensions["kvitt_services"]
    return found


def visitor() -> Visitor:
    """Who is signed in; on pages for a company there is always somebody."""
    found: Visitor | None = g.get("visitor")
    if found is None:
        raise NoAudience("only pages for a company have a visitor")
    return found


def frame() -> pages.Frame:
    """What stands around the page, read once a request."""
    if "frame" not in g:
        g.frame = pages.frame(services(), visitor().company_id)
    found: pages.Frame = g.frame
    return found


# --- Cookies -------------------------------------------------------------------------------------------------


def session_cookie() -> str:
    """The cookie that carries the token; with the prefix that binds it to this host where that is possible."""
    return "__Host-kvitt" if current_app.config["SESSION_COOKIE_SECURE"] else "kvitt"


def sign_in(response: AnyResponse, company_id: int, who: str) -> AnyResponse:
    """Sign this browser in to a company, as nobody it was before."""
    _end_old_session()
    session.clear()
    token = installation.sign_in(services(), company_id, who)
    response.set_cookie(
        session_cookie(),
        token,
        max_age=None,
        path="/",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response


def sign_out(response: AnyResponse) -> AnyResponse:
    """Sign this browser out; its token is worth nothing from now on."""
    _end_old_session()
    session.clear()
    response.delete_cookie(
        session_cookie(),
        path="/",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response


def _end_old_session() -> None:
    token = request.cookies.get(session_cookie(), "")
    if token:
        installation.sign_out(services(), token)


def known_visitor() -> Visitor | None:
    """Who the request's token belongs to; None if there is none or it is worth nothing any more."""
    token = request.cookies.get(session_cookie(), "")
    if not 20 <= len(token) <= 200:
        return None
    view = installation.session_company(services(), token)
    return Visitor(view.company_id, view.who) if view is not None else None


# --- The door ------------------------------------------------------------------------------------------------


def guard() -> AnyResponse | None:
    """Before each request: let it pass if its audience is right, and note for the log where it comes from."""
    activity.come_from(request.remote_addr or "")
    _refuse_numbers_without_end()
    if request.endpoint is None:
        return None
    match audience_of(current_app, request.endpoint):
        case Audience.PUBLIC:
            if request.endpoint != "static" and not request.endpoint.startswith("operations."):
                _refuse_nul()
                g.visitor = known_visitor()
            return None
        case Audience.WEBHOOK:
            return None
        case Audience.OPERATOR:
            if not _from_nearby():
                abort(404)
            return None
        case Audience.COMPANY:
            _refuse_nul()
            g.visitor = known_visitor()
            return None if g.visitor is not None else _turn_away()
        case None:
            raise NoAudience(request.endpoint)


def leave(_error: BaseException | None) -> None:
    """After each request: what this thread does next comes from somewhere else."""
    activity.come_from("")


def _refuse_numbers_without_end() -> None:
    """An address with a number that no database holds leads nowhere."""
    for value in (request.view_args or {}).values():
        if isinstance(value, int) and value > _LARGEST_ID:
            abort(404)


def _refuse_nul() -> None:
    """Refuse what no browser's form sends and no PostgreSQL stores, before it costs somebody a permission."""
    if any("\x00" in text for given in (request.args, request.form) for texts in given.listvalues() for text in texts):
        abort(400)


def _from_nearby() -> bool:
    """Whether the request came without a proxy from this machine or a private network."""
    import ipaddress

    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _turn_away() -> AnyResponse:
    """To the first page; a part of a page that htmx asked for takes the whole page there."""
    flash(_("You are signed out. Sign in through your accounting system to go on."), "wait")
    if request.headers.get("HX-Request"):
        response: Response = make_response("", 204)
        response.headers["HX-Redirect"] = url_for("home.start")
        return response
    return redirect(url_for("home.start"), 303)
