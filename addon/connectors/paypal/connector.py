"""PayPal as Kvitt knows it: two ways in, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.paypal.access import PayPalPlatform, assertion
from addon.connectors.paypal.client import PayPalApi
from addon.connectors.paypal.oauth import AppAuthorisation, PartnerAuthorisation
from addon.connectors.paypal.source import PayPalSource
from addon.connectors.paypal.webhooks import CONSENT_REVOKED, Certificates, read_event
from addon.core.fee_vat import FeeEntity
from addon.ports.calls import CallObserver, TokenSource
from addon.ports.connectors import Field, NotOffered, PaymentConnector, PaymentWay, Said, WayKind, Workshop, _
from addon.ports.oauth import Authorisation
from addon.ports.webhooks import Announced, ReadWebhook

_NAME: Final = "paypal"
_CERTIFICATE_S: Final = 10.0
"""How long a webhook may wait for the certificate that signed it."""


def _platform(workshop: Workshop) -> PayPalPlatform:
    return PayPalPlatform(
        client_id=workshop.setting("PAYPAL_CLIENT_ID"),
        client_secret=workshop.setting("PAYPAL_CLIENT_SECRET"),
        api_url=workshop.setting("PAYPAL_API_URL"),
    )


def _source(
    workshop: Workshop,
    way: str,
    account_ref: str,
    tokens: TokenSource,
    observer: CallObserver,
    order_places: tuple[str, ...],
) -> PayPalSource:
    if way not in ("connect", "key"):
        raise NotOffered(f"there is no way {way!r} into {_NAME}")
    named = assertion(_platform(workshop).client_id, account_ref) if way == "connect" else ""
    http = workshop.http(_NAME, observer)
    api = PayPalApi(http, tokens, api_url=workshop.setting("PAYPAL_API_URL"), assertion=named)
    return PayPalSource(api, now=workshop.now, account=account_ref, order_places=order_places)


def _authorisation(workshop: Workshop, way: str) -> Authorisation:
    if way not in ("connect", "key"):
        raise KeyError(f"{_NAME}/{way}")
    http = workshop.http(_NAME)
    if way == "key":
        return AppAuthorisation(http, now=workshop.now, api_url=workshop.setting("PAYPAL_API_URL"))
    return PartnerAuthorisation(_platform(workshop), http, now=workshop.now, web_url=workshop.setting("PAYPAL_WEB_URL"))


def _webhooks(workshop: Workshop) -> ReadWebhook | None:
    try:
        webhook_id = workshop.setting("PAYPAL_WEBHOOK_ID")
    except NotOffered:
        return None
    # A test world signs with a certificate of its own; production's address is PayPal's, whose hosts are known anyway.
    trusted = frozenset() if workshop.production else frozenset({workshop.setting("PAYPAL_API_URL")})
    kept: list[Certificates] = []

    def read(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        if not kept:
            # Made when the first one comes, after any fork.
            kept.append(Certificates(workshop.http(_NAME, deadline_s=_CERTIFICATE_S), trusted))
        event = read_event(body, headers, webhook_id, kept[0].get, now)
        return Announced(event.ref, event.type, event.account, ended=event.type == CONSENT_REVOKED)

    return read


_NO_SECRET: Final = _("This is no secret: it is the second long word on the app's page, behind Show.")

CONNECTOR: Final = PaymentConnector(
    reads=_("Kvitt reads your balances and transactions at PayPal. It never moves money."),
    ways=(
        PaymentWay(
            "connect",
            WayKind.ARRANGED,
            _("PayPal's consent"),
            _("Go to PayPal"),
            heading=_("In one click"),
            help=_("PayPal asks you to log in and to let Kvitt read. You can take that back at PayPal at any time."),
            granted=("permissionsGranted", "true"),
        ),
        PaymentWay(
            "key",
            WayKind.TYPED,
            _("an app of your own"),
            _("Check and connect"),
            heading=_("With an app of your own"),
            guide=(
                _("Log in at developer.paypal.com with your company’s PayPal account, and open Apps & Credentials."),
                _("Switch from Sandbox to Live, at the top right."),
                _("Press Create App, call it Kvitt, and open it."),
                _(
                    "Under Features tick Transaction search. Customer disputes and Invoicing are worth a tick too: "
                    "then Kvitt sees how a dispute ended, and the lines of invoices made at PayPal. Save."
                ),
                _("Copy Client ID and Secret into the two fields here."),
            ),
            fields=(
                Field("client_id", _("Client ID"), 120, secret=False),
                Field("secret", _("Secret"), 120, help=_("Both are tried at once, and kept encrypted.")),
            ),
        ),
    ),
    source=_source,
    authorisation=_authorisation,
    webhooks=_webhooks,
    test_mode=Said(
        _("This app belongs to PayPal's sandbox, where no money is real. Switch the page there to Live."),
    ),
    not_accepted=Said(
        _("PayPal does not know this client id with this secret. Copy both once more, from the tab Live.")
    ),
    refused=Said("", _("The other way, with an app of your own, works without that page.")),
    refusals={
        "transaction_search_missing": _(
            "PayPal knows the app, but it may not read transactions. Tick “Transaction search” under Features on the "
            "app's page and save. PayPal may take some hours before a new tick works."
        ),
        "client_id_unreadable": _(
            "This is no client id: it is a long word of letters and digits. Copy it from the app's page."
        ),
        "secret_unreadable": _NO_SECRET,
        "secret_is_client_id": _NO_SECRET,
    },
    invoiced_by=FeeEntity.PAYPAL_LU,
)
"""PayPal."""
