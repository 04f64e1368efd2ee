"""e-conomic as Kvitt knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.economic.accounting import Choices, EconomicAccounting
from addon.connectors.economic.client import EconomicClient
from addon.connectors.economic.install import EconomicAuthorisation
from addon.connectors.economic.memory import Memory
from addon.connectors.economic.webhooks import nudge_path, read_nudge
from addon.ports.calls import CallObserver, Lane, Pace, TokenSource
from addon.ports.connectors import AccountingConnector, NotOffered, Workshop
from addon.ports.webhooks import Announced, ReadWebhook

_NAME: Final = "economic"
_CALLS_PER_5_S: Final = 200
"""Two hundred calls of three each in five seconds: seven thousand of the ten thousand that a minute has."""


def _pace(workshop: Workshop, tenant: str) -> Pace:
    """Well under the budget of both hosts; the client slows down further by what their answers tell."""
    return workshop.pace(f"{_NAME}:{tenant}", _CALLS_PER_5_S)


def _system(
    workshop: Workshop, tenant: str, tokens: TokenSource, observer: CallObserver, lane: Lane, choices: Mapping[str, str]
) -> EconomicAccounting:
    client = EconomicClient(
        workshop.http(_NAME, observer),
        workshop.setting("ECONOMIC_REST_URL"),
        workshop.setting("ECONOMIC_API_URL"),
        workshop.setting("ECONOMIC_APP_SECRET_TOKEN"),
        tokens,
        _pace(workshop, tenant),
        lane,
    )
    address = workshop.address(f"/webhooks/{_NAME}/{nudge_path(workshop.own_secret(), tenant)}")
    # Whoever works with the same source of tokens does one slice of one company's work.
    memory = workshop.kept(tokens, Memory)
    return EconomicAccounting(client, Choices.of(choices), now=workshop.now, nudge_url=address, memory=memory)


def _authorisation(workshop: Workshop) -> EconomicAuthorisation:
    return EconomicAuthorisation(
        workshop.http(_NAME),
        _pace(workshop, "activation"),
        app_public_token=workshop.setting("ECONOMIC_APP_PUBLIC_TOKEN"),
        app_secret=workshop.setting("ECONOMIC_APP_SECRET_TOKEN"),
        install_address=workshop.setting("ECONOMIC_INSTALL_URL"),
        rest_url=workshop.setting("ECONOMIC_REST_URL"),
        api_url=workshop.setting("ECONOMIC_API_URL"),
    )


def _webhooks(workshop: Workshop) -> ReadWebhook | None:
    try:
        workshop.setting("ECONOMIC_APP_PUBLIC_TOKEN")
    except NotOffered:
        return None

    def read(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        # What is read is the end of the address: the body is nobody's word, and is not looked at.
        return Announced("", "nudge", read_nudge(workshop.own_secret(), body.decode()))

    return read


CONNECTOR: Final = AccountingConnector(_system, _authorisation, _webhooks, nudges_only=True)
"""e-conomic."""
