"""What Kvitt asks of a payment source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from addon.core.money import Money
from addon.core.records import Balance, Dispute, Movement, Payout

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourceCapabilities:
    """What a payment source can tell: whether it itemises payouts, and how its balance is known."""

    name: str
    itemises_payouts: bool
    balance_is_current: bool
    """Whether the balance is told for the present instant."""
    lateness_s: int
    """How late movements may appear or change; windows overlap by it."""
    lists_payouts: bool = True
    """Whether it has a list of payouts; where it has none, its movements are all there is to know of them."""
    look_back_s: int = 0
    """How far back something may still turn up that no overlap finds; looked at where the balance says it is amiss."""
    holds_often: bool = False
    """Whether holding money back for a while is an everyday thing, for which an account is made at the start."""
    order_places: tuple[str, ...] = ()
    """Where order numbers may stand, in the order to look, as a new connection is given them; empty: it tells none."""
    disputes_by_payment: bool = False
    """Whether movements name the payment that a dispute is about, and not the dispute itself."""


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """The account at the provider; `live` is False for test-mode data, which never enters."""

    ref: str
    name: str
    country: str
    default_currency: str
    live: bool


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """A normalised value with the provider's own record of it, for evidence."""

    value: T
    raw: Mapping[str, Any]
    changed_at: datetime | None = None
    """When the provider last changed its record, where it tells: a payment that was pending may clear long after."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of values and the opaque cursor of the next; None at the end."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PayoutItem:
    """A movement inside a payout: its reference, and what it did to the balance."""

    ref: str
    net: Money


class PaymentSource(Protocol):
    """One connection to a provider. All calls may raise the errors of `addon.ports.errors`."""

    @property
    def capabilities(self) -> SourceCapabilities:
        """What this source can tell."""
        ...

    def fetch_account(self) -> ProviderAccount:
        """Who the account belongs to, and whether it is live."""
        ...

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        """Movements that occurred in a window, page by page, in any order; the engine owns the loop.

        `until` lies some minutes ahead of our clock, since theirs may be ahead of ours.
        """
        ...

    def fetch_payouts(self, since: datetime, cursor: str | None) -> Page[Fetched[Payout]]:
        """Payouts created since an instant, as they stand now."""
        ...

    def fetch_disputes(self, since: datetime, cursor: str | None) -> Page[Fetched[Dispute]]:
        """Disputes opened since an instant, as they stand now; none where the provider has no list of them."""
        ...

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        """The movements that make up an itemised payout, its own movement left out."""
        ...

    def fetch_balances(self) -> tuple[Balance, ...]:
        """The balance per currency: available, pending and reserved together."""
        ...

    def disconnect(self) -> None:
        """Give up the access at the provider."""
        ...
