"""The way in: e-conomic's install link, and what comes back from it.

It is not OAuth: no state is returned, no code is exchanged, nothing expires. So the proof that the browser that comes
back is the one that left lies in a one-time word inside the address itself, which the caller binds to the browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from addon.connectors.economic.client import EconomicClient
from addon.connectors.http import HttpClient
from addon.core.grants import Grant
from addon.ports.calls import Lane, Pace
from addon.ports.errors import NeedsReconnect, Rejected
from addon.ports.oauth import OAuthClient

_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,512}")
_LOCALES = {"da": "da-DK", "sv": "sv-SE", "nb": "nb-NO", "en": "en-US"}
"""The install page's languages, by ours."""
STATE = "state"
"""The name under which our one-time word stands in the address that e-conomic sends the browser back to."""


def install_url(base: str, app_public_token: str, back: str, state: str, locale: str = "da-DK") -> str:
    """Where to send a browser that shall connect an agreement. `state` is a one-time word of the caller's."""
    parts = urlsplit(back)
    target = urlunsplit(parts._replace(query=urlencode({STATE: state}), fragment=""))
    query = urlencode({"appPublicToken": app_public_token, "redirectUrl": target, "locale": locale})
    return f"{base}?{query}"


def read_return(query: Mapping[str, str]) -> tuple[Grant, str]:
    """The grant and our own word out of the address that the browser came back with.

    Raises `Rejected` where there is no token. Whose agreement it is must be asked (`fetch_identity`) and confirmed.
    """
    token = query.get("token", "")
    if not _TOKEN.fullmatch(token):
        raise Rejected("", "e-conomic sent no token")
    return Grant(token), query.get(STATE, "")


class _OneGrant:
    """The token of a grant that was just given; another one there is not."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    def current(self) -> str:
        return self._grant.access_token

    def renew(self, stale: str) -> str:
        raise NeedsReconnect("a grant of e-conomic is not renewed")


class EconomicAuthorisation:
    """The consent of an agreement: given once, without an end, and taken back only in e-conomic itself."""

    def __init__(
        self,
        http: HttpClient,
        pace: Pace,
        *,
        app_public_token: str,
        app_secret: str,
        install_address: str,
        rest_url: str,
        api_url: str,
    ) -> None:
        self._http = http
        self._pace = pace
        self._public = app_public_token
        self._secret = app_secret
        self._install_address = install_address
        self._rest_url = rest_url
        self._api_url = api_url

    @property
    def client(self) -> OAuthClient:
        """The app and the address that its install link begins with; there is no address for tokens."""
        return OAuthClient("economic", self._public, self._secret, self._install_address, "", "")

    def arrange(self, return_url: str, reference: str, language: str = "") -> str:
        """The install link for one visit. `return_url` carries the one-time word; no reference comes back."""
        state = dict(parse_qsl(urlsplit(return_url).query)).get(STATE, "")
        return install_url(
            self._install_address, self._public, return_url, state, _LOCALES.get(language, _LOCALES["da"])
        )

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """The grant is the token itself; whose it is, the agreement tells. Raises `NeedsReconnect` for a wrong one."""
        grant, _ = read_return({"token": code})
        client = EconomicClient(
            self._http, self._rest_url, self._api_url, self._secret, _OneGrant(grant), self._pace, Lane.CLICK
        )
        found = client.get("self")
        number = found.get("agreementNumber") if isinstance(found, Mapping) else None
        if not isinstance(number, int):
            raise Rejected("", "e-conomic does not say which agreement this is")
        return Grant(grant.access_token, subject=str(number))

    def renew(self, grant: Grant) -> Grant:
        """A grant does not expire; one that is refused was taken away. Raises `NeedsReconnect`."""
        raise NeedsReconnect("the app was removed in e-conomic")

    def revoke(self, grant: Grant) -> None:
        """No call does this: a person removes the app in e-conomic. Raises `Rejected`, which says so."""
        raise Rejected("", "remove Kvitt in e-conomic under All settings, Extensions, Apps")
