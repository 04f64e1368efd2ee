"""The way into e-conomic: out to its install page with a state of ours, and back with a grant that waits for a yes."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, redirect, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports import registry
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import installation
from addon.web import errors, home, roundtrip
from addon.web.access import Audience, audience, services
from addon.web.limits import INSTALL, limiter
from addon.web.texts import chosen_language

economic = Blueprint("economic", __name__)

Answer = Response | str | tuple[str, int]

CALLBACK: Final = "/oauth/economic/callback"
_NAME: Final = "economic"


@economic.get("/install/economic")
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def install() -> Response:
    """Off to e-conomic's install page. Signing in again goes the same way, and so does its marketplace."""
    if not home.offers_economic():
        abort(404)
    return roundtrip.set_out_arranged(
        _NAME,
        roundtrip.callback_address(CALLBACK),
        lambda address, reference: installation.way_in(services(), _NAME, address, reference, chosen_language()),
    )


@economic.get(CALLBACK)
@audience(Audience.PUBLIC)
@limiter.limit(INSTALL)
def callback() -> Answer:
    """Back from e-conomic: from the way that we began, or from its own list of apps, which knows no state of ours.

    Its answer is no code but the grant itself, which never ends. So a state that this browser was not given is
    refused outright: e-conomic makes none, and the answer belongs to somebody else's visit, or is an old one.
    """
    if not home.offers_economic():
        abort(404)
    back = roundtrip.come_back(_NAME)
    if back.bearing is roundtrip.Bearing.FOREIGN:
        return _problem(
            400,
            _("This answer belongs to another browser"),
            _("It did not begin here, or was used before, or took too long. Nothing has been installed."),
            _("Start again from this page."),
        )
    token = request.args.get("token", "")
    if not token:
        return _problem(
            400,
            _("e-conomic sent you back without an answer"),
            _("That happens when somebody said no, or when the page was closed half-way. Nothing has been installed."),
            _("Should you change your mind, start again here. Only a superuser of the agreement can say yes."),
        )
    try:
        parked = installation.receive(services(), _NAME, token, roundtrip.callback_address(CALLBACK))
    except installation.GrantUsed:
        return _problem(
            400,
            _("This permission has been used before"),
            _("Its address may lie in a browser's history, so it signs nobody in a second time. Nothing has changed."),
            _("Start again: e-conomic then makes a new one. Or ask for a link by mail on the sign-in page."),
        )
    except (NeedsReconnect, Rejected):
        return _problem(
            400,
            _("e-conomic does not accept this permission"),
            _("It was taken back over there, or the address was mistyped. Nothing has been installed."),
            _("Start again: it takes a minute."),
        )
    except PortError as error:
        return errors.port_error(error, registry.title(_NAME))
    session[home.PARKED] = parked
    return redirect(url_for("home.confirm"), 303)


def _problem(status: int, title: str, what: str, advice: str) -> tuple[str, int]:
    return errors.page(status, title, what, advice, action=(url_for("economic.install"), _("Start again")))
