"""Fortnox as Kvitt knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.fortnox.accounting import FortnoxAccounting
from addon.connectors.fortnox.client import FortnoxClient
from addon.connectors.fortnox.oauth import FortnoxAuthorisation
from addon.connectors.fortnox.webhooks import ConsentChange, read_webhook
from addon.ports.calls import CallObserver, Lane, TokenSource
from addon.ports.connectors import AccountingConnector, Workshop
from addon.ports.webhooks import Announced, ReadWebhook

_NAME: Final = "fortnox"


def _system(
    workshop: Workshop, tenant: str, tokens: TokenSource, observer: CallObserver, lane: Lane, choices: Mapping[str, str]
) -> FortnoxAccounting:
    http, pace = workshop.http(_NAME, observer), workshop.pace(f"{_NAME}:{tenant}")
    client = FortnoxClient(http, workshop.setting("FORTNOX_API_URL"), tokens, pace, lane)
    return FortnoxAccounting(client, now=workshop.now)


def _authorisation(workshop: Workshop) -> FortnoxAuthorisation:
    return FortnoxAuthorisation(
        workshop.http(_NAME),
        client_id=workshop.setting("FORTNOX_CLIENT_ID"),
        client_secret=workshop.setting("FORTNOX_CLIENT_SECRET"),
        auth_url=workshop.setting("FORTNOX_AUTH_URL"),
        api_url=workshop.setting("FORTNOX_API_URL"),
        now=workshop.now,
    )


def _webhooks(workshop: Workshop) -> ReadWebhook:
    def read(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced | None:
        news = read_webhook(body)
        if news is None:
            return None
        return Announced("", news.change.value, news.tenant, ended=news.change is ConsentChange.REVOKED)

    return read


CONNECTOR: Final = AccountingConnector(_system, _authorisation, _webhooks)
"""Fortnox."""
