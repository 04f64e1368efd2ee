"""What Kvitt asks of an outside company's consent: a grant, its renewal and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from addon.core.grants import Grant

__all__ = ["ArrangedConsent", "Authorisation", "Grant", "OAuthClient"]


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


@runtime_checkable
class ArrangedConsent(Authorisation, Protocol):
    """A consent whose page must be asked for first: the address is made for one visit."""

    def arrange(self, return_url: str, reference: str, language: str = "") -> str:
        """Where to send the browser; `reference` names the visit, and is the code that `exchange` takes.

        `language` (`da`, `sv`, `en`) is what the person reads, for a page that can be asked for in it.
        """
        ...
