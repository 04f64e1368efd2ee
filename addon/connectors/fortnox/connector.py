"""Fortnox as Kvitt knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.fortnox.accounting import FortnoxAccounting
from addon.connectors.fortnox.checklist import CHECKLIST
from addon.connectors.fortnox.client import FortnoxClient
from addon.connectors.fortnox.oauth import FortnoxAuthorisation
from addon.connectors.fortnox.webhooks import ConsentChange, read_webhook
from addon.ports.calls import CallObserver, Lane, TokenSource
from addon.ports.connectors import (
    AccountingConnector,
    AccountingWay,
    Notice,
    SystemWords,
    Unasked,
    WayKind,
    Workshop,
    _,
)
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


_LICENCE: Final = Notice(
    _("A Fortnox licence is missing"),
    _(
        "Fortnox says: %(words)s. Kvitt needs the licences for bookkeeping, invoicing and integrations. "
        "Nothing has been installed."
    ),
    _("Add the licence in Fortnox under Manage users and licences, and try again."),
)

_WAY: Final = AccountingWay(
    WayKind.CONSENT,
    unasked=Unasked(
        _(
            "Fortnox sent an answer here that Kvitt did not ask for from this browser, or that was used before. "
            "Nothing has been installed."
        ),
        _(
            "If somebody sent you here by a link, close the page. If you just pressed Activate in the Fortnox "
            "marketplace, go on: you will see the name of the company before anything happens."
        ),
        _("I pressed Activate in Fortnox"),
    ),
    no_answer=Notice(
        _("%(system)s sent you back without an answer"),
        _(
            "That happens when the company's Fortnox account is locked, or when the page was closed half-way. "
            "Nothing has been installed."
        ),
        _("See in Fortnox that the account is open, and try again."),
    ),
    denied=Notice(
        _("You said no, and that is fine"),
        _("Kvitt was not let into %(system)s. Nothing has been installed or changed."),
        _("Should you change your mind, start again here. Only a system administrator can say yes."),
    ),
    not_taken=Notice(
        _("Fortnox' permission has expired"),
        _("A permission is valid for ten minutes and can be used once. Nothing has been installed."),
        _("Start again: it takes a minute."),
    ),
    # No active licence for a scope; no licence for the API.
    refusals={"2001101": _LICENCE, "2001103": _LICENCE},
)

_WORDS: Final = SystemWords(
    languages=("sv",),
    choices={
        ("order_fields", "order_number"): _("Your order number (Er ordernummer)"),
        ("order_fields", "your_reference"): _("Your reference (Er referens)"),
        ("order_fields", "our_reference"): _("Our reference (Vår referens)"),
    },
    vat_codes=_(
        "In Fortnox each of these sales accounts needs a VAT code of its country and rate (Settings, Bookkeeping, "
        "VAT), so that its VAT stays out of the Swedish return. The account of the VAT is used for vouchers."
    ),
)

CONNECTOR: Final = AccountingConnector(
    _system,
    _authorisation,
    _webhooks,
    _WAY,
    CHECKLIST,
    settings=("FORTNOX_CLIENT_ID",),
    file_scopes=frozenset({"inbox", "connectfile"}),
    words=_WORDS,
)
"""Fortnox."""
