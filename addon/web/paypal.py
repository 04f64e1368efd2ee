"""Connecting PayPal: consent in one click, or the client id and secret of the company's own app, checked at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import connections, prerequisites
from addon.web import errors, roundtrip, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import CONNECT, limiter

paypal = Blueprint("paypal", __name__)

Answer = Response | str | tuple[str, int]

CALLBACK: Final = "/oauth/paypal/callback"
_NAME: Final = "paypal"
_LONGEST_WORD: Final = 120
_FAULTS: Final = frozenset({"client_id_unreadable", "secret_unreadable", "secret_is_client_id"})


@paypal.get("/connect/paypal")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def ways() -> Answer:
    """Both ways in; with `way=connect` off to PayPal."""
    offered = connections.ways(services(), "paypal")
    if request.args.get("way") != "connect" or "connect" not in offered:
        return _page()
    try:
        return roundtrip.set_out_arranged(
            _NAME,
            roundtrip.callback_address(CALLBACK),
            lambda address, reference: connections.arrange(services(), "paypal", "connect", address, reference),
            {"company": visitor().company_id},
        )
    except Rejected as error:
        return _problem(
            502,
            _("PayPal did not open its page"),
            _("Its own words: %(words)s. Nothing has been connected.", words=error.message),
            _("The other way, with an app of your own, works without that page."),
        )
    except PortError as error:
        return errors.port_error(error, words.PROVIDERS["paypal"])


@paypal.get(CALLBACK)
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def callback() -> Answer:
    """Back from PayPal. Whose account it is PayPal tells under our own reference; the browser is not asked."""
    back = roundtrip.come_back(_NAME)
    if back.bearing is not roundtrip.Bearing.OURS or back.memory.get("company") != visitor().company_id:
        return _problem(
            400,
            _("This answer belongs to another browser"),
            _("It did not begin here, or was used before, or took too long. Nothing has been connected."),
            _("Start again from this page."),
        )
    if request.args.get("permissionsGranted", "") != "true":
        return _problem(
            200,
            _("You said no, and that is fine"),
            _("Kvitt was not let into PayPal. Nothing has been connected or changed."),
            _("Should you change your mind, start again here."),
        )
    reference = str(back.memory.get("reference", ""))
    return _finish(lambda: _receive("connect", reference))


@paypal.post("/connect/paypal")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def own_app() -> Answer:
    """The client id and secret of the company's own app. They are tried before they are kept."""
    client_id = request.form.get("client_id", "").strip()[: _LONGEST_WORD + 1]
    secret = request.form.get("secret", "").strip()[: _LONGEST_WORD + 1]
    return _finish(lambda: _receive("key", f"{client_id}:{secret}"), client_id)


def _receive(way: str, code: str) -> int:
    return connections.receive(services(), visitor().company_id, "paypal", way, code, "", visitor().who)


def _page(fault: str = "", client_id: str = "", status: int = 200) -> tuple[str, int]:
    offered = "connect" in connections.ways(services(), "paypal")
    return render_template("connect/paypal.html", offered=offered, fault=fault, client_id=client_id), status


def _finish(make: Callable[[], int], client_id: str = "") -> Answer:
    try:
        make()
    except connections.TestModeRefused:
        return _page(
            _("This app belongs to PayPal's sandbox, where no money is real. Switch the page there to Live."),
            client_id,
            409,
        )
    except connections.AccountTaken:
        return _problem(
            409,
            _("Another company has connected this PayPal account"),
            _(
                "A PayPal account belongs to one company's books, or its money would be booked twice. "
                "Nothing has been connected."
            ),
            _("Connect another account, or disconnect it over there first."),
        )
    except NeedsReconnect:
        return _page(
            _("PayPal does not know this client id with this secret. Copy both once more, from the tab Live."),
            client_id,
            400,
        )
    except Rejected as error:
        return _page(_fault(error), client_id, 400)
    except PortError as error:
        return errors.port_error(error, words.PROVIDERS["paypal"])
    try:
        # The connection has brought currencies and accounts with it: look again whether the books are ready.
        prerequisites.check(services(), visitor().company_id)
    except PortError:
        flash(_("Your books could not be read just now; check again in a minute."), "wait")
    flash(_("PayPal is connected."), "done")
    return redirect(url_for("setup.welcome"), 303)


def _fault(error: Rejected) -> str:
    if error.code == "transaction_search_missing":
        told = _(
            "PayPal knows the app, but it may not read transactions. Tick “Transaction search” under Features on the "
            "app's page and save. PayPal may take some hours before a new tick works."
        )
    elif error.code == "client_id_unreadable":
        told = _("This is no client id: it is a long word of letters and digits. Copy it from the app's page.")
    elif error.code in _FAULTS:
        told = _("This is no secret: it is the second long word on the app's page, behind Show.")
    else:
        told = _("PayPal said no. Its own words: %(words)s.", words=error.message)
    return str(told)


def _problem(status: int, title: str, what: str, advice: str = "") -> tuple[str, int]:
    return errors.page(status, title, what, advice, action=(url_for("paypal.ways"), _("Back to PayPal")))
