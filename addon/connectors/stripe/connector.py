"""Stripe as Kvitt knows it: three ways in, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.stripe.access import AppAccess, ConnectAccess, KeyAccess, StripeAccess
from addon.connectors.stripe.client import CONNECT_URL, StripeApi, StripePlatform, check_restricted_key
from addon.connectors.stripe.oauth import AppAuthorisation, ConnectAuthorisation
from addon.connectors.stripe.source import StripeSource
from addon.connectors.stripe.translate import ORDER_PLACES
from addon.connectors.stripe.webhooks import DISCONNECTED, SIGNATURE_HEADER, read_event
from addon.core.fee_vat import FeeEntity
from addon.ports.calls import CallObserver, TokenSource
from addon.ports.connectors import Field, NotOffered, PaymentConnector, PaymentWay, Said, WayKind, Workshop, _
from addon.ports.oauth import Authorisation
from addon.ports.webhooks import Announced, ReadWebhook

_NAME: Final = "stripe"


def _platform(workshop: Workshop, prefix: str = "STRIPE") -> StripePlatform:
    return StripePlatform(
        client_id=workshop.setting(f"{prefix}_CLIENT_ID"),
        secret_key=workshop.setting(f"{prefix}_SECRET_KEY"),
        api_url=workshop.setting("STRIPE_API_URL"),
        connect_url=workshop.setting("STRIPE_CONNECT_URL"),
    )


def _source(
    workshop: Workshop,
    way: str,
    account_ref: str,
    tokens: TokenSource,
    observer: CallObserver,
    order_places: tuple[str, ...],
) -> StripeSource:
    """Raises `Rejected` for a pasted key that will not do.

    A key whose account is not known yet is tried out on everything that it must read.
    """
    http, api_url = workshop.http(_NAME, observer), workshop.setting("STRIPE_API_URL")
    authorisation: Authorisation | None = None
    access: StripeAccess
    match way:
        case "connect":
            access = ConnectAccess(account_ref, _platform(workshop).secret_key)
            authorisation = _authorisation(workshop, way)
        case "app":
            access = AppAccess(account_ref, tokens)
        case "key":
            key = tokens.current()
            if not account_ref:
                check_restricted_key(key, http, api_url=api_url)
            access = KeyAccess(key)
        case _:
            raise NotOffered(f"there is no way {way!r} into {_NAME}")
    api = StripeApi(http, access, api_url=api_url)
    return StripeSource(api, now=workshop.now, authorisation=authorisation, order_places=order_places or ORDER_PLACES)


def _authorisation(workshop: Workshop, way: str) -> Authorisation:
    if way == "connect":
        return ConnectAuthorisation(_platform(workshop), workshop.http(_NAME))
    if way != "app":
        raise KeyError(f"{_NAME}/{way}")
    platform = _platform(workshop, "STRIPE_APP")
    if platform.connect_url == CONNECT_URL:
        return AppAuthorisation(platform, workshop.http(_NAME), now=workshop.now)
    return AppAuthorisation(platform, workshop.http(_NAME), now=workshop.now, marketplace_url=platform.connect_url)


def _webhooks(workshop: Workshop) -> ReadWebhook | None:
    try:
        secret = workshop.setting("STRIPE_WEBHOOK_SECRET")
    except NotOffered:
        return None
    keys = tuple(key.strip() for key in secret.split(",") if key.strip())

    def read(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        event = read_event(body, headers.get(SIGNATURE_HEADER, ""), keys, now)
        return Announced(event.ref, event.type, event.account, event.live, event.type == DISCONNECTED)

    return read if keys else None


CONNECTOR: Final = PaymentConnector(
    reads=_("Kvitt reads your balance, payments and payouts at Stripe. It never moves money."),
    ways=(
        PaymentWay("connect", WayKind.CONSENT, _("Stripe Connect"), _("Connect Stripe")),
        PaymentWay(
            "app",
            WayKind.CONSENT,
            _("Stripe App"),
            _("Install the Stripe App"),
            help=_("if your account is controlled by another platform"),
        ),
        PaymentWay(
            "key",
            WayKind.TYPED,
            _("restricted key"),
            _("Use this key"),
            missing=_("Paste a restricted key, it begins with rk_live_."),
            fields=(
                Field(
                    "key",
                    _("Or paste a restricted key"),
                    placeholder="rk_live_…",
                    help=_(
                        "Made in Stripe under Developers, API keys, with the right to read: account, balance, balance "
                        "transaction sources, charges and refunds, disputes, PaymentIntents, payouts. Nothing else is "
                        "needed, and it is kept encrypted."
                    ),
                ),
            ),
        ),
    ),
    source=_source,
    authorisation=_authorisation,
    webhooks=_webhooks,
    test_mode=Said(
        _("Stripe's test mode moves no real money, so none of it may enter your books. Nothing has been connected."),
        _("Switch Stripe to live mode and connect again."),
    ),
    not_accepted=Said(_("The key or permission was taken back or mistyped. Nothing has been connected.")),
    refused=Said("", _("Start again. A permission from Stripe is valid for a few minutes and can be used once.")),
    refusals={},
    straight="connect",
    invoiced_by=FeeEntity.STRIPE_IE,
)
"""Stripe."""
