"""The template of a description: how the connector is built, how a company lets us in, what is said of it."""

from __future__ import annotations

from typing import Final

from addon.ports.calls import CallObserver, TokenSource
from addon.ports.connectors import Field, PaymentConnector, PaymentWay, Said, WayKind, Workshop, _
from addon.ports.oauth import Authorisation
from addon.ports.webhooks import ReadWebhook

from .client import Client
from .source import TemplateSource


def _source(
    workshop: Workshop,
    way: str,
    account_ref: str,
    tokens: TokenSource,
    observer: CallObserver,
    order_places: tuple[str, ...],
) -> TemplateSource:
    return TemplateSource(Client(workshop.http("template", observer), tokens, workshop.setting("TEMPLATE_API_URL")))


def _authorisation(workshop: Workshop, way: str) -> Authorisation:
    raise KeyError(f"template/{way}")  # a key is used as it is; a consent would give its `Authorisation` here


def _webhooks(workshop: Workshop) -> ReadWebhook | None:
    return None


CONNECTOR: Final = PaymentConnector(
    reads=_("Kvitt reads your rows and your balance there. It never moves money."),
    ways=(
        PaymentWay(
            "key",
            WayKind.TYPED,
            _("a key that reads"),
            _("Check and connect"),
            heading=_("With a key"),
            guide=(_("Make a key that only reads, and copy it."),),
            fields=(Field("key", _("Key"), 120, help=_("It is tried at once, and kept encrypted.")),),
        ),
    ),
    source=_source,
    authorisation=_authorisation,
    webhooks=_webhooks,
    test_mode=Said(_("This key opens test data, where no money is real.")),
    not_accepted=Said(_("This key is not known there. Copy it once more.")),
    refused=Said(""),
    refusals={},
)
"""The template."""
