"""What other companies' servers tell us unasked: a nudge to look, and never more than that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, abort, current_app, request

from addon.log import get_logger
from addon.ports.errors import BadReply
from addon.services import connections, installation, runs
from addon.services.tally import Counter
from addon.web.access import Audience, audience, services
from addon.web.limits import WEBHOOKS, limiter

hooks = Blueprint("hooks", __name__)
log = get_logger(__name__)

_TRIGGER: Final = "webhook"
_LONGEST_WORD: Final = 120


@dataclass(frozen=True, slots=True)
class Announced:
    """That something happened over there. `account` is the provider's account, or the accounting tenant.

    `ended`: they say that our access was taken back. `live` False: test mode, which never enters.
    """

    ref: str
    kind: str
    account: str
    live: bool = True
    ended: bool = False


ReadWebhook = Callable[[bytes, Mapping[str, str], datetime], Announced | None]
"""Reads what came: None where it is of no interest. Raises `BadReply` for what is unsigned or unreadable."""


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


@hooks.post("/webhooks/stripe")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def stripe() -> tuple[str, int]:
    """Stripe says that something moved. Signed; counted once; the run that follows asks the API what it was."""
    return _moved("stripe")


@hooks.post("/webhooks/paypal")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def paypal() -> tuple[str, int]:
    """PayPal says that something moved, or that a merchant took the consent back. Signed, and counted once."""
    return _moved("paypal")


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


@hooks.post("/webhooks/fortnox")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def fortnox() -> tuple[str, int]:
    """Fortnox says that a consent changed. It is unsigned, so it only makes us look with our own credentials.

    And not often: anybody can send this, about any company, and each look is calls and a run.
    """
    news = _announced("fortnox")
    if news is not None and news.ended:
        company_id = installation.worth_a_look(services(), "fortnox", news.account)
        if company_id is not None:
            runs.want(services(), company_id, _TRIGGER)
    return "", 204


@hooks.post("/webhooks/economic/<word>")
@audience(Audience.WEBHOOK)
@limiter.limit(WEBHOOKS)
def economic(word: str) -> tuple[str, int]:
    """e-conomic says that something happened. It signs nothing: an address that nobody can guess makes us look.

    And not often: whoever has once seen the address can call it for ever. What the call says is not read.
    """
    news = _announced("economic", word[:_LONGEST_WORD].encode())
    if news is not None:
        company_id = installation.worth_a_look(services(), "economic", news.account)
        if company_id is not None:
            runs.want(services(), company_id, _TRIGGER)
    return "", 204
