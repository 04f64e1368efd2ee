"""e-conomic as Kvitt knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.economic.accounting import Choices, EconomicAccounting
from addon.connectors.economic.checklist import CHECKLIST
from addon.connectors.economic.client import EconomicClient
from addon.connectors.economic.install import EconomicAuthorisation
from addon.connectors.economic.memory import Memory
from addon.connectors.economic.webhooks import nudge_path, read_nudge
from addon.core.books import OrderField
from addon.ports.calls import CallObserver, Lane, Pace, TokenSource
from addon.ports.connectors import (
    AccountingConnector,
    AccountingWay,
    Notice,
    NotOffered,
    SystemWords,
    WayKind,
    Workshop,
    _,
)
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


_WAY: Final = AccountingWay(
    WayKind.ARRANGED,
    # What comes back is no code but the grant itself, which never ends. e-conomic makes no state of its own, so one
    # that this browser was not given belongs to somebody else's visit, or is an old one.
    grant_in="token",
    no_answer=Notice(
        _("%(system)s sent you back without an answer"),
        _("That happens when somebody said no, or when the page was closed half-way. Nothing has been installed."),
        _("Should you change your mind, start again here. Only a superuser of the agreement can say yes."),
    ),
)

_WORDS: Final = SystemWords(
    faults={
        ("accrual_method", ""): _("Your books are kept by payments (the cash method)."),
        ("voucher_series", "missing"): _("There is no journal Kvitt %(series)s."),
        ("voucher_series", "not_manual"): _(
            "The journal %(series)s does not take all kinds of entries, or is a standing one."
        ),
        ("voucher_series", "approval"): _(
            "Entries of the journal %(series)s must be approved by an administrator first."
        ),
        ("currency", "missing"): _("The currency %(subject)s is not in e-conomic."),
        ("oss_vat_code", ""): _(
            "Account %(account)s has no VAT code of its own, and so would count as your own country's VAT."
        ),
        ("webhook", "off"): _("e-conomic does not tell Kvitt when an invoice is booked."),
        ("webhook", "elsewhere"): _("e-conomic tells an address that Kvitt no longer has."),
        ("webhook", "disabled"): _("e-conomic has stopped telling Kvitt: its webhook is switched off."),
    },
    repairs={
        "create_series": _("Make the journal Kvitt %(subject)s"),
        "activate_account": _("Open account %(subject)s"),
        "register_webhook": _("Have e-conomic tell Kvitt"),
    },
    choices={
        ("order_fields", "order_number"): _("Other reference"),
        ("order_fields", "our_reference"): _("Heading of the invoice"),
        ("order_fields", "external_reference"): _("Second text of the invoice"),
        ("order_fields", "ocr"): _("First text of the invoice"),
    },
    settings={
        "voucher_series": (
            _("Kvitt's own journal"),
            _("Payments, fees and payouts are entries of it. Nobody else should use it."),
        ),
    },
    languages=("da",),
    vat_codes=_(
        "In e-conomic each of these sales accounts needs a VAT code of its country and rate (All settings, Accounting, "
        "VAT codes), and a product group that sells on it. The account of the VAT is used for vouchers."
    ),
)

CONNECTOR: Final = AccountingConnector(
    _system,
    _authorisation,
    _webhooks,
    _WAY,
    CHECKLIST,
    settings=("ECONOMIC_APP_PUBLIC_TOKEN",),
    nudges_only=True,
    tells_person=False,
    tells_method=False,
    file_scopes=frozenset(),  # its one role covers them
    order_fields=tuple(place for place in OrderField if place is not OrderField.YOUR_REFERENCE),
    words=_WORDS,
)
"""e-conomic."""
