"""What other companies' servers tell us unasked: a nudge to look, and never more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, abort, current_app, request

from addon.log import get_logger
from addon.ports import registry
from addon.ports.errors import BadReply
from addon.ports.webhooks import Announced, ReadWebhook
from addon.services import connections, installation, runs
from addon.services.tally import Counter
from addon.web.access import Audience, audience, services
from addon.web.limits import WEBHOOKS, limiter

hooks = Blueprint("hooks", __name__)
log = get_logger(__name__)

_TRIGGER: Final = "webhook"
_LONGEST_WORD: Final = 120


def _announced(system: str, told: bytes | None = None) -> Announced | None:
    readers: Mapping[str, ReadWebhook] = current_app.extensions["kvitt_webhooks"]
    reader = readers.get(system)
    if reader is None:
        abort(404)
    try:
        announced = reader(
            request.get_data(cache=False) if told is None else told, dict(request.headers), services().now()
        )
        services().tally.count(Counter.WEBHOOKS, system=system, outcome="taken" if announced else "of_no_interest")
        return announced
    except BadReply as error:
        log.warning("webhook_refused", system=system, reason=str(error))
        services().tally.count(Counter.WEBHOOKS, system=system, outcome="refused")
        abort(400)


@hooks.post("/webhooks/<company>")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def told(company: str) -> tuple[str, int]:
    """A company's server says that something happened.

    A provider signs; each event is counted once, and the run that follows asks the provider what it was. What an
    accounting system says is unsigned, so it only makes us look with our own credentials, and not often: anybody can
    send it, about any company, and each look is calls and a run.
    """
    if any(line.name == company for line in registry.PAYMENTS):
        return _moved(company)
    if registry.accounting(company).nudges_only:
        abort(404)  # it has an address for each of its companies
    news = _announced(company)
    if news is not None and news.ended:
        _look(company, news)
    return "", 204


@hooks.post("/webhooks/<system>/<word>")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def nudged(system: str, word: str) -> tuple[str, int]:
    """An accounting system that signs nothing calls an address that nobody can guess: it makes us look.

    And not often: whoever has once seen the address can call it for ever. What the call says is not read.
    """
    return _nudged(system, word)


@hooks.get("/webhooks/<system>/<word>")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def nudged_without_body(system: str, word: str) -> tuple[str, int]:
    """The same for an address that a person typed in under the system's older web hooks, which call without a body."""
    return _nudged(system, word)


def _nudged(system: str, word: str) -> tuple[str, int]:
    if not registry.accounting(system).nudges_only:
        abort(404)
    news = _announced(system, word[:_LONGEST_WORD].encode())
    if news is not None:
        _look(system, news)
    return "", 204


def _look(system: str, news: Announced) -> None:
    company_id = installation.worth_a_look(services(), system, news.account)
    if company_id is not None:
        runs.want(services(), company_id, _TRIGGER)


def _moved(provider: str) -> tuple[str, int]:
    event = _announced(provider)
    if event is None or not event.live:
        return "", 204
    company_id = connections.receive_event(services(), provider, event.ref, event.kind, event.account)
    if company_id is not None:
        if event.ended:
            connections.account_gone(services(), provider, event.account)
        elif installation.is_at_work(services(), company_id):
            runs.want(services(), company_id, _TRIGGER)
    return "", 204


@hooks.errorhandler(registry.NotRegistered)
def unknown(error: registry.NotRegistered) -> tuple[str, int]:
    """There is no such company."""
    return "", 404
