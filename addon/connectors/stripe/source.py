"""Stripe as a payment source: movements, payouts and balances of one account, page by page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from addon.connectors.stripe.client import StripeApi
from addon.connectors.stripe.tax import SaleDetails, intent_of, read_invoice, read_session, with_details
from addon.connectors.stripe.translate import (
    ORDER_PLACES,
    evidence,
    is_own_row,
    read_ref,
    translate_balances,
    translate_dispute,
    translate_movement,
    translate_payout,
    translate_payout_item,
)
from addon.core.dates import aware
from addon.core.records import Balance, Dispute, Movement, Payout
from addon.ports.errors import BadReply, Rejected
from addon.ports.oauth import Authorisation, Grant
from addon.ports.payments import Fetched, Page, PayoutItem, ProviderAccount, SourceCapabilities

CAPABILITIES: Final = SourceCapabilities(
    name="stripe",
    itemises_payouts=True,
    balance_is_current=True,
    # Rows are written with the event they stand for; the hour covers clocks and answers from a lagging copy.
    lateness_s=3600,
    order_places=ORDER_PLACES,
)

# Stripe spells out up to four levels (docs.stripe.com/expand), `data` being the first. What a source does not
# have, a payout no charge for one, is passed over. The charge carries what the buyer and the shop wrote, its
# PaymentIntent the metadata as edited since, and a refund or dispute leads to both over its charge.
_EXPAND: Final = (
    "data.source",
    "data.source.charge",
    "data.source.payment_intent",
    "data.source.charge.payment_intent",
)

_PAID_SESSION: Final[Mapping[str, Any]] = {
    "status": "complete",
    "expand": ["data.line_items", "data.line_items.data.taxes", "data.total_details.breakdown"],
}
_PAID_INVOICE: Final[Mapping[str, Any]] = {"status": "paid", "expand": ["data.invoice"]}
_LONGEST_CHECKOUT_S: Final = 86_400
"""A Checkout session can be paid for a day after it was made (docs.stripe.com/api/checkout/sessions: expires_at)."""
_MOST_DETAIL_PAGES: Final = 10
"""Pages of a hundred sessions that are looked through for one page of movements."""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class StripeSource:
    """One Stripe account. Implements `PaymentSource`; safe to share between threads.

    `now` tells the time a balance is of. `authorisation` is who takes the consent back on `disconnect`; none for
    a pasted key, which only its owner can delete. `order_places` are those of the connection's settings; the
    usual ones are looked at as well, so that a change of the settings finds them on what is stored already.
    """

    def __init__(
        self,
        api: StripeApi,
        *,
        now: Callable[[], datetime],
        authorisation: Authorisation | None = None,
        order_places: tuple[str, ...] = ORDER_PLACES,
    ) -> None:
        self._api = api
        self._now = now
        self._authorisation = authorisation
        self._closed: set[str] = set()
        self._order_places = tuple(dict.fromkeys((*order_places, *ORDER_PLACES)))

    @property
    def capabilities(self) -> SourceCapabilities:
        """What Stripe can tell."""
        return CAPABILITIES

    def fetch_account(self) -> ProviderAccount:
        """Who the account belongs to, and whether it is live."""
        return self._api.fetch_account()

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        """Movements from `since` up to, not including, `until`, newest first."""
        rows, following = self._api.list(
            "/v1/balance_transactions",
            cursor,
            # Stripe counts whole seconds: a window that begins or ends within one takes all of it.
            created={
                "gte": math.floor(aware(since).timestamp()),
                "lt": math.ceil(aware(until).timestamp()),
            },
            expand=list(_EXPAND),
        )
        self._refuse_test_data(row.get("source") for row in rows)
        details = self._details(rows)
        return Page(
            tuple(
                Fetched(with_details(translate_movement(row, self._order_places), row, details), evidence(row))
                for row in rows
            ),
            following,
        )

    def _details(self, rows: list[dict[str, Any]]) -> dict[str, SaleDetails]:
        """What Checkout and Invoices know of the page's sales, by PaymentIntent: a call or two for all of them.

        Sessions are listed by when they were made, which is up to a day before they are paid. An account whose key
        may not read them, or that has none, costs nothing more; where they cannot be read the company's rules hold.
        """
        sold = {
            intent_of(row): int(row["created"])
            for row in rows
            if row.get("reporting_category") == "charge" and intent_of(row) and type(row.get("created")) is int
        }
        found: dict[str, SaleDetails] = {}
        if sold:
            first, last = min(sold.values()), max(sold.values())
            window = {"gte": first - _LONGEST_CHECKOUT_S, "lt": last + 1}
            around = {"gte": first - 3600, "lt": last + 3600}
            for payment in self._listed("/v1/invoice_payments", around, _PAID_INVOICE):
                intent = read_ref(_object(payment.get("payment")).get("payment_intent"))
                if intent in sold:
                    self._read(found, intent, read_invoice, _object(payment.get("invoice")))
            for session in self._listed("/v1/checkout/sessions", window, _PAID_SESSION):
                intent = read_ref(session.get("payment_intent"))
                if intent in sold and intent not in found:
                    self._read(found, intent, read_session, session)
        return found

    def _listed(self, path: str, created: dict[str, int], more: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        for _ in range(_MOST_DETAIL_PAGES):
            if path in self._closed:
                return
            try:
                rows, cursor = self._api.list(path, cursor, created=created, **more)
            except Rejected:
                # The key that was given may not read them, or this account has no such thing: not asked again.
                self._closed.add(path)
                return
            yield from rows
            if cursor is None:
                return

    def _read(
        self,
        found: dict[str, SaleDetails],
        intent: str,
        read: Callable[[Mapping[str, Any]], SaleDetails],
        told: Mapping[str, Any],
    ) -> None:
        try:
            found[intent] = read(told)
        except BadReply:
            return  # amounts that cannot be read decide nothing; the sale goes by the company's own rules

    def fetch_payouts(self, since: datetime, cursor: str | None) -> Page[Fetched[Payout]]:
        """Payouts created since an instant, newest first, as they stand now."""
        payouts, following = self._api.list(
            "/v1/payouts", cursor, created={"gte": math.floor(aware(since).timestamp())}
        )
        self._refuse_test_data(iter(payouts))
        return Page(tuple(Fetched(translate_payout(payout), evidence(payout)) for payout in payouts), following)

    def fetch_disputes(self, since: datetime, cursor: str | None) -> Page[Fetched[Dispute]]:
        """Disputes opened since an instant, newest first, as they stand now; inquiries are among them."""
        disputes, following = self._api.list(
            "/v1/disputes", cursor, created={"gte": math.floor(aware(since).timestamp())}
        )
        self._refuse_test_data(iter(disputes))
        return Page(tuple(Fetched(translate_dispute(dispute), evidence(dispute)) for dispute in disputes), following)

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        """The rows that make up an automatic payout and what each did to the balance, its own left out.

        Complete once the payout's itemisation is. Raises `Rejected` for a payout that is not automatic.
        """
        rows, following = self._api.list("/v1/balance_transactions", cursor, payout=payout_ref)
        return Page(tuple(translate_payout_item(row) for row in rows if not is_own_row(row, payout_ref)), following)

    def fetch_balances(self) -> tuple[Balance, ...]:
        """The balance per currency as it is now: the sum of all movements there ever were."""
        return translate_balances(self._api.get("/v1/balance"), aware(self._now()))

    def disconnect(self) -> None:
        """Take the consent back at Stripe, where there is one."""
        access = self._api.access
        if self._authorisation is not None:
            account = getattr(access, "account", "")
            self._authorisation.revoke(Grant(access_token="", subject=account, live=access.live))

    def _refuse_test_data(self, objects: Iterator[Any]) -> None:
        """Test data never enters: not even if a live account's answer should hold some."""
        if self._api.access.live and any(
            isinstance(found, Mapping) and found.get("livemode") is False for found in objects
        ):
            raise BadReply("Stripe gave test data for a live account")
