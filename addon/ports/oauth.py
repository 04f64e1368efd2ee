"""What Kvitt asks of an outside company's consent: a grant, its renewal and its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Grant:
    """What a consent gave us. Empty strings where the other side gives none; `expires_at` None: never.

    `subject` is the company or account that consented (Fortnox tenant, Stripe account).
    """

    access_token: str
    refresh_token: str = ""
    expires_at: datetime | None = None
    scope: str = ""
    subject: str = ""
    live: bool = True

    def __repr__(self) -> str:
        return f"Grant(subject={self.subject!r}, expires_at={self.expires_at!r}, scope={self.scope!r})"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """What the browser's round trip needs: addresses, identity, and extra parameters of the consent page."""

    name: str
    client_id: str
    client_secret: str
    authorize_url: str
    token_url: str
    scope: str
    authorize_params: tuple[tuple[str, str], ...] = ()
    pkce: bool = False

    def __repr__(self) -> str:
        return f"OAuthClient(name={self.name!r}, authorize_url={self.authorize_url!r})"


class Authorisation(Protocol):
    """The consent of one outside company. Raises the errors of `addon.ports.errors`."""

    @property
    def client(self) -> OAuthClient:
        """What the browser's round trip needs."""
        ...

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Turn a code into a grant. Raises `Rejected` for a code that is used, expired or not ours."""
        ...

    def renew(self, grant: Grant) -> Grant:
        """A fresh grant. Raises `NeedsReconnect` where consent is gone."""
        ...

    def revoke(self, grant: Grant) -> None:
        """Give the access up at the other side."""
        ...
