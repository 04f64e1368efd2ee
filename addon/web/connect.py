"""Connecting a payment provider, whichever: a consent page, or credentials that a person types; and ending it again.

What is said of a provider, and how its ways in are gone, stands in its own description (`addon.ports.connectors`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports import registry
from addon.ports.connectors import PaymentConnector, PaymentWay, WayKind
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import connections, prerequisites
from addon.services.pages import NotHere
from addon.web import access, errors, roundtrip
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import CONNECT, limiter

connect = Blueprint("connect", __name__)

Answer = Response | str | tuple[str, int]

_NOTHING_TYPED: Final[Mapping[str, str]] = {}


def offered() -> list[tuple[str, PaymentConnector, tuple[PaymentWay, ...]]]:
    """Each provider that this installation offers, with its ways in."""
    found = []
    for line in registry.PAYMENTS:
        ways = _ways(line.name)
        if ways:
            found.append((line.name, registry.payment(line.name), ways))
    return found


def _ways(provider: str) -> tuple[PaymentWay, ...]:
    consents = connections.ways(services(), provider)
    return tuple(way for way in registry.payment(provider).ways if way.name in consents or way.kind is WayKind.TYPED)


def _described(provider: str) -> PaymentConnector:
    try:
        return registry.payment(provider)
    except registry.NotRegistered:
        abort(404)


def _callback(provider: str) -> str:
    return roundtrip.callback_address(url_for("connect.callback", provider=provider))


@connect.get("/connect/<provider>")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def begin(provider: str) -> Answer:
    """Off to the consent page of the way that was chosen; to a page of all ways where none was."""
    described = _described(provider)
    chosen = request.args.get("way", described.straight)
    if not chosen:
        return _page(provider)
    way = next((way for way in _ways(provider) if way.name == chosen), None)
    if way is None or way.kind is WayKind.TYPED:
        if described.straight:
            abort(404)
        return _page(provider)
    memory = {"company": visitor().company_id, "way": way.name}
    if way.kind is WayKind.CONSENT:
        declared = services().outside.payment_authorisation(provider, way.name).client
        return roundtrip.set_out(declared, _callback(provider), memory)
    try:
        return roundtrip.set_out_arranged(
            provider,
            _callback(provider),
            lambda address, reference: connections.arrange(services(), provider, way.name, address, reference),
            memory,
        )
    except Rejected as error:
        return _problem(
            provider,
            502,
            _("%(provider)s did not open its page", provider=registry.title(provider)),
            _("Its own words: %(words)s. Nothing has been connected.", words=error.message),
            _advice(described.refused.advice),
        )
    except PortError as error:
        return errors.port_error(error, registry.title(provider))


@connect.get("/oauth/<provider>/callback")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def callback(provider: str) -> Answer:
    """Back from a consent page, to the company that this browser set out from and to no other."""
    found = _returned(provider)
    if found is None or found[1].memory.get("company") != visitor().company_id:
        return _problem(
            provider,
            400,
            _("This answer belongs to another browser"),
            _("It did not begin here, or was used before, or took too long. Nothing has been connected."),
            _("Start again from this page."),
        )
    way, back = found
    if way.granted is not None and request.args.get(way.granted[0], "") != way.granted[1]:
        return _no(provider)
    if back.error:
        return _refused(provider, back)
    # A page that was made for this visit is known by our own reference: whose account it is, the browser is not asked.
    code = str(back.memory.get("reference", "")) if way.kind is WayKind.ARRANGED else back.code
    if not code:
        return _problem(
            provider,
            400,
            _("%(provider)s sent you back without an answer", provider=registry.title(provider)),
            _("Nothing has been connected."),
        )
    address = "" if way.kind is WayKind.ARRANGED else _callback(provider)
    return _finish(
        provider,
        way,
        lambda: connections.receive(services(), visitor().company_id, provider, way.name, code, address, visitor().who),
    )


def _returned(provider: str) -> tuple[PaymentWay, roundtrip.Return] | None:
    """The way that this browser set out by, and what it came back with; None if it did not, or not any more."""
    _described(provider)
    for way in _ways(provider):
        if way.kind is WayKind.TYPED:
            continue
        name = provider
        if way.kind is WayKind.CONSENT:
            name = services().outside.payment_authorisation(provider, way.name).client.name
        back = roundtrip.come_back(name)
        if back.bearing is roundtrip.Bearing.OURS and back.memory.get("way", way.name) == way.name:
            return way, back
    return None


@connect.post("/connect/<provider>")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def typed(provider: str) -> Answer:
    """Credentials that a person typed or pasted. They are tried before they are kept."""
    way = next((way for way in _described(provider).ways if way.kind is WayKind.TYPED), None)
    if way is None:
        abort(404)
    given = {field.name: request.form.get(field.name, "").strip()[: field.longest + 1] for field in way.fields}
    first = way.fields[0]
    if way.missing and not 0 < len(given[first.name]) <= first.longest:
        flash(_(way.missing), "stop")
        return redirect(url_for("setup.welcome") + "#connect", 303)
    return _finish(
        provider,
        way,
        lambda: connections.receive_typed(
            services(), visitor().company_id, provider, way.name, tuple(given.values()), visitor().who
        ),
        {field.name: given[field.name] for field in way.fields if not field.secret},
    )


def _page(provider: str, fault: str = "", typed: Mapping[str, str] = _NOTHING_TYPED, status: int = 200) -> Answer:
    page = render_template(
        "connect/page.html",
        name=provider,
        provider=registry.payment(provider),
        ways=_ways(provider),
        fault=fault,
        typed=typed,
    )
    return page, status


def _finish(
    provider: str, way: PaymentWay, make: Callable[[], int], typed: Mapping[str, str] = _NOTHING_TYPED
) -> Answer:
    described, title = registry.payment(provider), registry.title(provider)

    def wrong(status: int, heading: str, what: str, advice: str = "") -> Answer:
        """On the page where something was typed, or on one of its own."""
        if described.straight:
            return _problem(provider, status, heading, what, advice)
        return _page(provider, what, typed, status)

    try:
        make()
    except connections.TestModeRefused:
        said = described.test_mode
        return wrong(409, _("This is a test account"), _(said.what), _advice(said.advice))
    except connections.AccountTaken:
        return _problem(
            provider,
            409,
            _("Another company has connected this %(provider)s account", provider=title),
            _(
                "A %(provider)s account belongs to one company's books, or its money would be booked twice. "
                "Nothing has been connected.",
                provider=title,
            ),
            _("Connect another account, or disconnect it over there first."),
        )
    except NeedsReconnect:
        said = described.not_accepted
        heading = _("%(provider)s does not accept this permission", provider=title)
        return wrong(400, heading, _(said.what), _advice(said.advice))
    except Rejected as error:
        heading = _("%(provider)s said no", provider=title)
        known = described.refusals.get(error.code)
        told = _(known) if known else _("Its own words: %(words)s. Nothing has been connected.", words=error.message)
        if not known and not described.straight:
            told = f"{heading}. {told}"
        return wrong(400, heading, told, _advice(described.refused.advice))
    except PortError as error:
        return errors.port_error(error, title)
    try:
        # The connection has brought currencies and accounts with it: look again whether the books are ready.
        prerequisites.check(services(), visitor().company_id)
    except PortError:
        flash(_("Your books could not be read just now; check again in a minute."), "wait")
    flash(_("%(provider)s is connected.", provider=title), "done")
    return redirect(url_for("setup.welcome"), 303)


def _advice(text: str) -> str:
    return str(_(text)) if text else ""


def _no(provider: str) -> tuple[str, int]:
    return _problem(
        provider,
        200,
        _("You said no, and that is fine"),
        _(
            "Kvitt was not let into %(provider)s. Nothing has been connected or changed.",
            provider=registry.title(provider),
        ),
        _("Should you change your mind, start again here."),
    )


def _refused(provider: str, back: roundtrip.Return) -> tuple[str, int]:
    if back.error == "access_denied":
        return _no(provider)
    return _problem(
        provider,
        400,
        _("%(provider)s did not give the permission", provider=registry.title(provider)),
        _("It says: %(words)s. Nothing has been connected.", words=back.description or back.error),
    )


def _problem(provider: str, status: int, title: str, what: str, advice: str = "") -> tuple[str, int]:
    back = (url_for("setup.welcome"), _("Back to the steps"))
    if not registry.payment(provider).straight:
        back = (
            url_for("connect.begin", provider=provider),
            _("Back to %(provider)s", provider=registry.title(provider)),
        )
    return errors.page(status, title, what, advice, action=back)


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
        _("%(provider)s is disconnected. What was booked stays as it is.", provider=registry.title(line.provider)),
        "done",
    )
    return redirect(url_for("setup.settings"), 303)
