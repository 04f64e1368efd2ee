"""PayPal as a payment source: Transaction Search read in windows, and the balances that belong to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from addon.connectors.paypal.access import TEST_APP
from addon.connectors.paypal.client import NotPermitted, NotThereYet, PayPalApi, TooMany
from addon.connectors.paypal.translate import (
    ORDER_PLACES,
    changed_at,
    clean_text,
    evidence,
    hold_unreadable,
    next_page_of,
    paypal_invoice_of,
    primary_currency,
    read_instant,
    read_ref,
    translate_balances,
    translate_dispute,
    translate_invoice,
    translate_movement,
)
from addon.core.dates import aware
from addon.core.money import Money
from addon.core.records import Balance, Dispute, Movement, MovementKind, Payout
from addon.ports.errors import BadReply, NeedsReconnect, Rejected
from addon.ports.payments import Fetched, Page, PayoutItem, ProviderAccount, SourceCapabilities

__all__ = ["CAPABILITIES", "TEST_APP", "PayPalSource"]

_SEARCH: Final = "/v1/reporting/transactions"
_BALANCES: Final = "/v1/reporting/balances"
_DISPUTES: Final = "/v1/customer/disputes"
_DISPUTES_PAGE: Final = 20
"""A call for each decided dispute follows: pages are small, so that a step stays short."""
_DISPUTE_HISTORY: Final = timedelta(days=179)
"""PayPal lists disputes that changed in the last 180 days."""
_LONGEST_WINDOW_S: Final = 31 * 86_400
_PAGE_SIZE: Final = 500
_FEW_ROWS: Final = 2500
"""A window of so many rows at most may be followed by one of twice its width: PayPal gives 10,000 for one."""
_MOST_INVOICES: Final = 100
"""Invoices made at PayPal that are read for one page of rows, a call each."""
_HISTORY: Final = timedelta(days=3 * 365)

CAPABILITIES: Final = SourceCapabilities(
    name="PayPal",
    itemises_payouts=False,
    balance_is_current=False,
    # Data is three hours old at most, a vendor has seen more; and whether a window means the initiation or the
    # updated date is not known, so that what changes soon after is read again.
    lateness_s=3 * 86_400,
    lists_payouts=False,
    # Under the first meaning a hold's release, which repeats the hold's date, shows up that far back.
    look_back_s=93 * 86_400,
    disputes_by_payment=True,
    order_places=ORDER_PLACES,
    # Every complaint holds the payment's net until it is decided.
    holds_often=True,
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the list a page begins: a window in whole seconds, both ends included, and a page of it.

    `width` is what later windows may have: halved where one has too many rows, doubled again where one has few.
    `total` is how many rows the window had.
    """

    start: int
    end: int
    width: int
    page: int = 1
    total: int = 0

    def written(self) -> str:
        return f"{self.start}-{self.end}-{self.width}-{self.page}-{self.total}"

    @classmethod
    def read(cls, cursor: str) -> _Place:
        parts = cursor.split("-")
        if len(parts) != 5 or not all(part.isascii() and part.isdecimal() and len(part) <= 12 for part in parts):
            raise BadReply("this is no place in PayPal's list")
        return cls(*(int(part) for part in parts))

    def half(self) -> _Place:
        """The first half of the window. Raises `BadReply` where it is one second already."""
        if self.start >= self.end:
            raise BadReply("PayPal has more rows in one second than it gives")
        width = (self.end - self.start) // 2
        return _Place(self.start, self.start + width, max(width, 1))

    def wider(self, total: int) -> _Place:
        """The same, with twice the width for later windows where this one held few rows: one busy hour is no month."""
        return replace(self, width=min(2 * self.width, _LONGEST_WINDOW_S)) if total <= _FEW_ROWS else self

    def following(self, until: int) -> _Place | None:
        """The window after this one; None if it would begin after the end."""
        start = self.end + 1
        return _Place(start, min(start + self.width, until), self.width) if start <= until else None


class PayPalSource:
    """One company's PayPal account. Implements `PaymentSource`. Safe to share between threads.

    `account` is the merchant's id where it is known already; `live` says whether the way in leads to real data.
    """

    def __init__(
        self,
        api: PayPalApi,
        *,
        now: Callable[[], datetime],
        account: str = "",
        live: bool = True,
        order_places: tuple[str, ...] = (),
    ) -> None:
        self._api = api
        self._now = now
        self._account = account
        self._live = live
        self._order_places = order_places
        self._no_invoices = False

    @property
    def capabilities(self) -> SourceCapabilities:
        """What PayPal can tell."""
        return CAPABILITIES

    def fetch_account(self) -> ProviderAccount:
        """Who the account belongs to. PayPal's reports name it by its id only, and its country not at all."""
        told = self._api.get(_BALANCES)
        ref = read_ref(told.get("account_id"))
        if not ref or self._account not in ("", ref):
            raise BadReply("PayPal gave the balances of another account, or of none")
        return ProviderAccount(
            ref=ref, name=f"PayPal {ref}", country="", default_currency=primary_currency(told), live=self._live
        )

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        """Rows of the window from `since` to `until`, a page at a time; what PayPal does not have yet is left out.

        PayPal takes at most 31 days and gives at most 10,000 rows for a search: a window with more is halved until it
        fits. A window that lost rows while it was paged through is read again from its beginning: what had stood on
        the next page may have moved to one that was read.
        """
        # PayPal refuses, or cuts short, what lies in the future, and has nothing of the last hours anyway.
        last = math.floor(min(aware(until), aware(self._now())).timestamp())
        first = max(math.floor(aware(since).timestamp()), math.floor((aware(self._now()) - _HISTORY).timestamp()))
        if first > last:
            return Page((), None)
        if cursor is None:
            place = _Place(first, min(first + _LONGEST_WINDOW_S, last), _LONGEST_WINDOW_S)
        else:
            place = _Place.read(cursor)
        place, answer = self._search(place)
        if answer is None:
            return Page((), None)
        rows, total, pages = _listed(answer)
        if place.page > 1 and total < place.total:
            again = replace(place, page=1, total=0)
            return Page((), again.written())
        following: _Place | None
        if place.page < pages:
            following = replace(place, page=place.page + 1, total=total)
        else:
            following = place.wider(total).following(min(last, _newest(answer)))
        return Page(tuple(self._movements(rows)), following.written() if following else None)

    def _search(self, place: _Place) -> tuple[_Place, Mapping[str, Any] | None]:
        """The page at a place, or at the first half of its window that fits; None where there is no data yet."""
        while True:
            try:
                return place, self._api.get(
                    _SEARCH,
                    start_date=_written(place.start),
                    end_date=_written(place.end),
                    fields="all",
                    page_size=str(_PAGE_SIZE),
                    page=str(place.page),
                )
            except TooMany:
                place = place.half()
            except NotThereYet:
                return place, None

    def _movements(self, rows: list[Mapping[str, Any]]) -> list[Fetched[Movement]]:
        found = []
        invoices = 0
        for row in rows:
            try:
                movement = translate_movement(row, self._order_places)
            except BadReply as fault:
                movement = hold_unreadable(row, fault)
            if movement is None:
                continue
            invoice = paypal_invoice_of(row)
            if invoice and movement.kind is MovementKind.SALE and not movement.items and invoices < _MOST_INVOICES:
                invoices += 1
                movement = replace(movement, items=self._lines(invoice, movement.amount))
            found.append(Fetched(movement, evidence(row), _changed_at(row)))
        return found

    def _lines(self, invoice: str, paid: Money) -> tuple[Any, ...]:
        """The lines of an invoice made at PayPal; none where we may not read invoices, which is asked once."""
        if self._no_invoices:
            return ()
        try:
            return translate_invoice(self._api.get(f"/v2/invoicing/invoices/{quote(invoice, safe='')}"), paid)
        except NeedsReconnect:
            self._no_invoices = True
            return ()
        except Rejected:
            return ()  # an invoice that is gone decides nothing; the sale goes by the company's own rules

    def fetch_payouts(self, since: datetime, cursor: str | None) -> Page[Fetched[Payout]]:
        """None: PayPal has no list of withdrawals. They stand among the movements."""
        return Page((), None)

    def fetch_disputes(self, since: datetime, cursor: str | None) -> Page[Fetched[Dispute]]:
        """Disputes that have been decided, as far as we may read them; none where the box for disputes is not ticked.

        What a dispute did to the balance stands among the movements, and how it ended only here. The list names
        neither the payment nor the outcome, so each decided one is asked for by itself.
        """
        after = max(aware(since), aware(self._now()) - _DISPUTE_HISTORY)
        asked = {"update_time_after": after.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "page_size": str(_DISPUTES_PAGE)}
        try:
            answer = self._api.get(_DISPUTES, **asked, **({"next_page_token": cursor} if cursor else {}))
            told = [self._api.get(f"{_DISPUTES}/{quote(ref, safe='')}") for ref in _decided(answer)]
        except NotPermitted:
            return Page((), None)
        found = tuple(Fetched(dispute, evidence(one)) for one in told for dispute in translate_dispute(one))
        following = next_page_of(answer)
        return Page(found, following if following != cursor else None)

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        """None: PayPal links no withdrawal to the sales inside it; the running balance proves it."""
        return Page((), None)

    def fetch_balances(self) -> tuple[Balance, ...]:
        """What can be spent in each currency, as of the instant up to which the list of movements can be read.

        Both have a delay of their own: balances that are newer than the list would seem to miss rows.
        """
        told = self._api.get(_BALANCES)
        listed = self._refreshed()
        if listed is not None and listed < read_instant(told.get("as_of_time")):
            told = self._api.get(_BALANCES, as_of_time=_written(math.floor(listed.timestamp())))
        return translate_balances(told)

    def _refreshed(self) -> datetime | None:
        """Up to when movements can be read; None where not even a day ago can."""
        at = math.floor(aware(self._now()).timestamp())
        _, answer = self._search(_Place(at - 86_400, at - 86_399, 1))
        return read_instant(answer.get("last_refreshed_datetime")) if answer is not None else None

    def disconnect(self) -> None:
        """Nothing: only the company can end the access at PayPal. Our copy of it goes."""


def _changed_at(row: Mapping[str, Any]) -> datetime | None:
    """When PayPal last changed a row; None where it does not say so that it can be read."""
    try:
        return changed_at(row)
    except BadReply:
        return None


def _decided(answer: Mapping[str, Any]) -> list[str]:
    """Which disputes of a page have come to an end."""
    items = answer.get("items") or []
    if not isinstance(items, list) or not all(isinstance(one, Mapping) for one in items):
        raise BadReply("PayPal's list of disputes holds something else")
    return [ref for one in items if one.get("status") == "RESOLVED" and (ref := read_ref(one.get("dispute_id")))]


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int, int]:
    """The rows of a page, how many the window has, and on how many pages. Raises `BadReply`."""
    rows, total, pages = (answer.get(name) for name in ("transaction_details", "total_items", "total_pages"))
    if rows is None:
        rows = []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise BadReply("PayPal's list holds something else than transactions")
    if type(total) is not int or type(pages) is not int or not 0 <= pages <= 1000:
        raise BadReply(f"PayPal's list does not say how long it is: {clean_text(str(total), 20)}")
    return rows, total, pages


def _newest(answer: Mapping[str, Any]) -> int:
    """Up to which second there is data."""
    return math.floor(read_instant(answer.get("last_refreshed_datetime")).timestamp())
