"""The way in: e-conomic's install link, and what comes back from it.

It is not OAuth: no state is returned, no code is exchanged, nothing expires. So the proof that the browser that comes
back is the one that left lies in a one-time word inside the address itself, which the caller binds to the browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from addon.core.grants import Grant
from addon.ports.errors import Rejected

_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,512}")
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
