"""The provider as a payment source: its rows page by page, and its balance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from addon.core.dates import aware
from addon.core.records import Balance, Dispute, Movement, Payout
from addon.ports.errors import BadReply
from addon.ports.payments import Fetched, Page, PayoutItem, ProviderAccount, SourceCapabilities

from .client import Client
from .translate import ORDER_PLACE, translate_balances, translate_row

CAPABILITIES: Final = SourceCapabilities(
    name="template",
    itemises_payouts=False,
    balance_is_current=True,
    # Rows may come an hour late: each window begins so much before the last one's end.
    lateness_s=3600,
    lists_payouts=False,
    order_places=(ORDER_PLACE,),
)


class TemplateSource:
    """One account. Implements `PaymentSource`; safe to share between threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def capabilities(self) -> SourceCapabilities:
        """What the provider can tell."""
        return CAPABILITIES

    def fetch_account(self) -> ProviderAccount:
        """Who the account belongs to, and whether it is live."""
        told = self._client.get("/account")
        ref, currency = told.get("id"), told.get("currency")
        if not isinstance(ref, str) or not ref or not isinstance(currency, str):
            raise BadReply("the provider does not say whose account this is")
        country = str(told.get("country") or "")[:2]
        return ProviderAccount(ref, str(told.get("name") or "")[:200], country, currency, told.get("live") is True)

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        """Rows from `since` up to, not including, `until`; the cursor is the provider's own, handed on as it is."""
        window = {"since": aware(since).isoformat(), "until": aware(until).isoformat()}
        told = self._client.get("/rows", **window, **({"cursor": cursor} if cursor else {}))
        rows, following = told.get("rows"), told.get("next")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise BadReply("the list holds something else than rows")
        if following is not None and (not isinstance(following, str) or following == cursor):
            raise BadReply("the list does not say where it goes on")
        return Page(tuple(Fetched(translate_row(row), _evidence(row)) for row in rows), following)

    def fetch_payouts(self, since: datetime, cursor: str | None) -> Page[Fetched[Payout]]:
        """None: withdrawals stand among the rows, and `lists_payouts` says so."""
        return Page((), None)

    def fetch_disputes(self, since: datetime, cursor: str | None) -> Page[Fetched[Dispute]]:
        """None: what a chargeback takes stands among the rows."""
        return Page((), None)

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        """None: `itemises_payouts` says so."""
        return Page((), None)

    def fetch_balances(self) -> tuple[Balance, ...]:
        """The balance per currency, as it is now."""
        return translate_balances(self._client.get("/balance"))

    def disconnect(self) -> None:
        """Nothing: a key is deleted by its owner, over there."""


def _evidence(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provider's own record as it is kept; leave out what nobody needs to prove a booking."""
    return dict(row)
