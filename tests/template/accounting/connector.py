"""The template of a description: how the books are opened, how a company lets us in, what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from addon.core.books import OrderField
from addon.core.grants import Grant
from addon.ports.calls import CallObserver, Lane, TokenSource
from addon.ports.connectors import (
    NOT_TAKEN,
    AccountingConnector,
    AccountingWay,
    Field,
    Notice,
    WayKind,
    Workshop,
    _,
)
from addon.ports.errors import NeedsReconnect
from addon.ports.oauth import Authorisation, OAuthClient
from addon.ports.webhooks import ReadWebhook

from .books import TemplateAccounting
from .checklist import CHECKLIST
from .client import Client

_NAME: Final = "ledger"
_CALLS_PER_5_S: Final = 50


class _Key:
    """A key that a person has just typed; another one there is not."""

    def __init__(self, key: str) -> None:
        self._key = key

    def current(self) -> str:
        return self._key

    def renew(self, stale: str) -> str:
        raise NeedsReconnect("a key is not renewed")


def _client(workshop: Workshop, tokens: TokenSource, observer: CallObserver | None, lane: Lane, tenant: str) -> Client:
    pace = workshop.pace(f"{_NAME}:{tenant}", _CALLS_PER_5_S)
    return Client(workshop.http(_NAME, observer), tokens, workshop.setting("LEDGER_API_URL"), pace, lane)


def _system(
    workshop: Workshop, tenant: str, tokens: TokenSource, observer: CallObserver, lane: Lane, choices: Mapping[str, str]
) -> TemplateAccounting:
    return TemplateAccounting(_client(workshop, tokens, observer, lane, tenant), now=workshop.now)


class _Keys:
    """The consent of a company: its key, tried out. Implements `Authorisation`."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    @property
    def client(self) -> OAuthClient:
        """Nothing: no browser is sent anywhere."""
        return OAuthClient(_NAME, "", "", "", "", "")

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """The key itself, and whose it is. Raises `NeedsReconnect` for one that opens nothing."""
        client = _client(self._workshop, _Key(code), None, Lane.CLICK, "new")
        tenant = TemplateAccounting(client, now=self._workshop.now).fetch_identity().tenant
        return Grant(code, subject=tenant)

    def renew(self, grant: Grant) -> Grant:
        """A key has no end; one that is refused was deleted. Raises `NeedsReconnect`."""
        raise NeedsReconnect("the key was deleted there")

    def revoke(self, grant: Grant) -> None:
        """Nothing: a key is deleted by its owner, over there."""


def _authorisation(workshop: Workshop) -> Authorisation:
    return _Keys(workshop)


def _webhooks(workshop: Workshop) -> ReadWebhook | None:
    return None


CONNECTOR: Final = AccountingConnector(
    _system,
    _authorisation,
    _webhooks,
    AccountingWay(
        WayKind.TYPED,
        heading=_("With a key that you make there"),
        guide=(_("Choose Company, Keys, and make one for Kvitt."), _("Copy it, and come back here.")),
        fields=(Field("key", _("Key"), 120, help=_("It is tried at once, and kept encrypted.")),),
        not_taken=Notice(NOT_TAKEN.title, _("This key opens no books there. Copy it once more."), NOT_TAKEN.advice),
    ),
    CHECKLIST,
    settings=("LEDGER_API_URL",),
    tells_person=False,
    order_fields=(OrderField.ORDER_NUMBER, OrderField.INVOICE_NUMBER),
)
"""The template."""
