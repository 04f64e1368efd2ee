"""Connecting a payment provider: one click, an app, or a pasted key; and ending it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import connections, prerequisites
from addon.services.pages import NotHere
from addon.web import access, errors, roundtrip, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import CONNECT, limiter

connect = Blueprint("connect", __name__)

Answer = Response | str | tuple[str, int]

STRIPE_CALLBACK: Final = "/oauth/stripe/callback"
_LONGEST_KEY: Final = 300


@connect.get("/connect/stripe")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def stripe() -> Response:
    """Off to Stripe's consent page: Connect, or with `way=app` the Stripe App."""
    way = request.args.get("way", "connect")
    if way not in connections.ways(services(), "stripe"):
        abort(404)
    declared = services().outside.payment_authorisation("stripe", way).client
    memory = {"company": visitor().company_id, "way": way}
    return roundtrip.set_out(declared, roundtrip.callback_address(STRIPE_CALLBACK), memory)


@connect.get(STRIPE_CALLBACK)
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def stripe_callback() -> Answer:
    """Back from Stripe, to the company that this browser set out from and to no other."""
    back = None
    for way in connections.ways(services(), "stripe"):
        name = services().outside.payment_authorisation("stripe", way).client.name
        back = roundtrip.come_back(name)
        if back.bearing is roundtrip.Bearing.OURS:
            break
    if back is None or back.bearing is not roundtrip.Bearing.OURS or back.memory.get("company") != visitor().company_id:
        return _problem(
            400,
            _("This answer belongs to another browser"),
            _("It did not begin here, or was used before, or took too long. Nothing has been connected."),
            _("Start again from this page."),
        )
    if back.error:
        return _refused(back)
    way = str(back.memory.get("way", "connect"))
    if not back.code:
        return _problem(400, _("Stripe sent you back without an answer"), _("Nothing has been connected."))
    return _finish(
        lambda: connections.receive(
            services(),
            visitor().company_id,
            "stripe",
            way,
            back.code,
            roundtrip.callback_address(STRIPE_CALLBACK),
            visitor().who,
        )
    )


@connect.post("/connect/stripe")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def stripe_key() -> Answer:
    """A restricted key that a person has pasted."""
    key = request.form.get("key", "").strip()
    if not key or len(key) > _LONGEST_KEY:
        flash(_("Paste a restricted key, it begins with rk_live_."), "stop")
        return redirect(url_for("setup.welcome") + "#connect", 303)
    return _finish(lambda: connections.connect_key(services(), visitor().company_id, "stripe", key, visitor().who))


def _finish(make: Callable[[], int]) -> Answer:
    try:
        make()
    except connections.TestModeRefused:
        return _problem(
            409,
            _("This is a test account"),
            _(
                "Stripe's test mode moves no real money, so none of it may enter your books. "
                "Nothing has been connected."
            ),
            _("Switch Stripe to live mode and connect again."),
        )
    except connections.AccountTaken:
        return _problem(
            409,
            _("Another company has connected this Stripe account"),
            _(
                "A Stripe account belongs to one company's books, or its money would be booked twice. "
                "Nothing has been connected."
            ),
            _("Connect another account, or disconnect it over there first."),
        )
    except NeedsReconnect:
        return _problem(
            400,
            _("Stripe does not accept this permission"),
            _("The key or permission was taken back or mistyped. Nothing has been connected."),
        )
    except Rejected as error:
        return _problem(
            400,
            _("Stripe said no"),
            _("Its own words: %(words)s. Nothing has been connected.", words=error.message),
            _("Start again. A permission from Stripe is valid for a few minutes and can be used once."),
        )
    except PortError as error:
        return errors.port_error(error, words.PROVIDERS["stripe"])
    try:
        # The connection has brought currencies and accounts with it: look again whether the books are ready.
        prerequisites.check(services(), visitor().company_id)
    except PortError:
        flash(_("Your books could not be read just now; check again in a minute."), "wait")
    flash(_("Stripe is connected."), "done")
    return redirect(url_for("setup.welcome"), 303)


def _refused(back: roundtrip.Return) -> tuple[str, int]:
    if back.error == "access_denied":
        return _problem(
            200,
            _("You said no, and that is fine"),
            _("Kvitt was not let into Stripe. Nothing has been connected or changed."),
            _("Should you change your mind, start again here."),
        )
    return _problem(
        400,
        _("Stripe did not give the permission"),
        _("It says: %(words)s. Nothing has been connected.", words=back.description or back.error),
    )


def _problem(status: int, title: str, what: str, advice: str = "") -> tuple[str, int]:
    return errors.page(status, title, what, advice, action=(url_for("setup.welcome"), _("Back to the steps")))


@connect.post("/connections/<int:connection_id>/disconnect")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def disconnect(connection_id: int) -> Response:
    """End a connection. Data and entries stay."""
    line = access.frame().connection(connection_id)
    if line is None:
        raise NotHere(f"connection {connection_id}")
    connections.disconnect(services(), visitor().company_id, connection_id, visitor().who)
    flash(
        _("%(provider)s is disconnected. What was booked stays as it is.", provider=words.PROVIDERS[line.provider]),
        "done",
    )
    return redirect(url_for("setup.settings"), 303)
