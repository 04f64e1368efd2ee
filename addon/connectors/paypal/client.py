"""Talking with PayPal's REST API: each error named by what to do next; only questions are asked with a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from addon.connectors.http import HttpClient, Reply, Unreadable
from addon.connectors.paypal.access import API_URL, Credentials
from addon.connectors.paypal.translate import clean_text
from addon.ports.calls import TokenSource
from addon.ports.errors import BadReply, NeedsReconnect, PortError, Rejected, TryLater

_SECRETS: Final = re.compile(r"\b(?:A21A[0-9A-Za-z_.-]+|[0-9A-Za-z_-]{60,})")
"""Tokens and secrets, should PayPal repeat one in a refusal."""


class TooMany(Rejected):
    """More rows match a search than PayPal gives: ask for a shorter time."""


class NotThereYet(Rejected):
    """A search begins later than PayPal's newest data."""


class Unauthorised(NeedsReconnect):
    """The token was not accepted (401); it may be renewed once."""


class NotPermitted(NeedsReconnect):
    """The token opens other things than this (403); one made anew may open it, where a box has been ticked since."""


def _body(reply: Reply) -> Mapping[str, Any]:
    try:
        body = reply.json()
    except Unreadable as error:
        if "html" in reply.headers.get("content-type", ""):
            raise TryLater("a page for people came in the place of PayPal's answer") from error
        raise BadReply("PayPal's answer is not JSON") from error
    if not isinstance(body, Mapping):
        raise BadReply("PayPal's answer is not an object")
    return body


def _named(status: int, body: Mapping[str, Any]) -> PortError:
    """A refusal by what to do next. Their words are kept where they say what a person must change."""
    name = clean_text(body.get("name") or body.get("error"), 60)
    words = _SECRETS.sub("…", clean_text(body.get("message") or body.get("error_description")))
    if not name:
        return BadReply(f"PayPal refused with status {status} and no reason")
    if status == 401:
        return Unauthorised("PayPal does not accept our token any more")
    if status == 403:
        return NotPermitted("PayPal does not let us read this account, or not all of it")
    if name == "RESULTSET_TOO_LARGE":
        return TooMany(name, words)
    if name == "INVALID_REQUEST" and "given start date is not available" in words:
        return NotThereYet(name, words)
    issue = _issue(body)
    return Rejected(name, f"{words} ({issue})" if issue else words)


def _issue(body: Mapping[str, Any]) -> str:
    details = body.get("details")
    first = details[0] if isinstance(details, list) and details else None
    if not isinstance(first, Mapping):
        return ""
    return _SECRETS.sub("…", " ".join(filter(None, (clean_text(first.get(key), 80) for key in ("field", "issue")))))


def read_answer(reply: Reply) -> Mapping[str, Any]:
    """The body of an answer to a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`."""
    if reply.status == 429:
        raise TryLater("PayPal asks for a pause", reply.retry_after_s)
    if reply.status >= 500:
        raise TryLater(f"PayPal failed with status {reply.status}", reply.retry_after_s)
    body = _body(reply)
    if not 200 <= reply.status < 300:
        raise _named(reply.status, body)
    return body


def fetch_token(http: HttpClient, credentials: Credentials, *, api_url: str = API_URL) -> Mapping[str, Any]:
    """Trade a client id and secret for a token. Raises `NeedsReconnect` where PayPal does not know them.

    A POST that changes nothing there: a lost answer is no doubt, another token is simply asked for.
    """
    reply = http.request(
        "POST",
        f"{api_url}/v1/oauth2/token",
        form={"grant_type": "client_credentials"},
        basic_auth=(credentials.client_id, credentials.secret),
        write=False,
    )
    if reply.status in (400, 401) and _body(reply).get("error") in ("invalid_client", "unauthorized_client"):
        raise NeedsReconnect("PayPal does not accept this client id and secret")
    return read_answer(reply)


class PayPalApi:
    """One company's PayPal account, read with tokens that are renewed. Safe to share between threads.

    `assertion` names the merchant where the token is the partner's; empty for a merchant's own app.
    """

    def __init__(self, http: HttpClient, tokens: TokenSource, *, api_url: str = API_URL, assertion: str = "") -> None:
        self._http = http
        self._tokens = tokens
        self._api_url = api_url
        self._more = {"PayPal-Auth-Assertion": assertion} if assertion else {}

    def get(self, path: str, **params: str) -> Mapping[str, Any]:
        """Ask a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`.

        A refused token is renewed once: it may have run out before its time, and one that was made before a box was
        ticked in PayPal's dashboard lacks what the box opens.
        """
        token = self._tokens.current()
        try:
            return self._get(path, params, token)
        except (Unauthorised, NotPermitted):
            return self._get(path, params, self._tokens.renew(token))

    def _get(self, path: str, params: Mapping[str, str], token: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", **self._more}
        return read_answer(self._http.request("GET", f"{self._api_url}{path}", headers=headers, params=params))
