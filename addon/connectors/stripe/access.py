"""The three ways into a company's Stripe account, and the check of a key that a person pasted.

Connect: the company consented to our platform; we call with the platform's own key and name the account.
App: the company installed our Stripe App; we call with an hour's token of its account.
Key: the company made a restricted key in its dashboard and gave it to us; it always works, and only it can be
pasted. No way needs, or takes, a key that can move money.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from addon.ports.calls import TokenSource


@dataclass(frozen=True, slots=True)
class ConnectAccess:
    """Our platform's key with the header `Stripe-Account`, as Stripe advises (connect/oauth-reference)."""

    account: str
    secret_key: str = field(repr=False)
    live: bool = True


@dataclass(frozen=True, slots=True)
class AppAccess:
    """An access token of a Stripe App, which lives an hour; `tokens` renews it."""

    account: str
    tokens: TokenSource = field(repr=False)
    live: bool = True


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """A restricted key of the company's own."""

    key: str = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether the key says of itself that it opens live data."""
        return self.key.startswith("rk_live_")


StripeAccess: TypeAlias = ConnectAccess | AppAccess | KeyAccess
"""One of the three ways in."""


@dataclass(frozen=True, slots=True)
class NeededPermission:
    """What a restricted key must be able to read: its name in Stripe's dashboard, and a call that shows it."""

    name: str
    path: str
    expand: tuple[str, ...] = ()


NEEDED_PERMISSIONS: Final[tuple[NeededPermission, ...]] = (
    NeededPermission("Account", "/v1/account"),
    NeededPermission("Balance", "/v1/balance"),
    NeededPermission("Balance transaction sources", "/v1/balance_transactions", ("data.source",)),
    NeededPermission("Charges and refunds", "/v1/charges"),
    NeededPermission("Disputes", "/v1/disputes"),
    NeededPermission("PaymentIntents", "/v1/payment_intents"),
    NeededPermission("Payouts", "/v1/payouts"),
)
"""Each with access "Read", nothing more."""

KEY_SHAPE: Final = re.compile(r"(sk|rk|pk)_(live|test)_[0-9A-Za-z_]{8,240}")


def refuse_key_by_its_looks(key: str) -> tuple[str, str] | None:
    """Why a pasted key cannot be the right one, as a code and a sentence; None if it may be."""
    found = KEY_SHAPE.fullmatch(key)
    if found is None:
        return "key_unreadable", "This is not a Stripe key: a restricted key begins with rk_live_."
    kind, mode = found.groups()
    if kind == "sk":
        return (
            "key_secret",
            "This is a secret key, which can move money. Make a restricted key with read access and paste that.",
        )
    if kind == "pk":
        return (
            "key_publishable",
            "This is a publishable key, which reads nothing. Make a restricted key with read access.",
        )
    if mode == "test":
        return "key_test", "This key opens test data, which never enters the books. Make it in live mode."
    return None
