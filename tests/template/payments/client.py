"""Speaks HTTP with the provider; every refusal is named by what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addon.connectors.http import HttpClient, Unreadable
from addon.ports.calls import TokenSource
from addon.ports.errors import BadReply, NeedsReconnect, Rejected, TryLater


class Client:
    """One company's account, read with its key. Safe to share between threads."""

    def __init__(self, http: HttpClient, tokens: TokenSource, api_url: str) -> None:
        self._http = http
        self._tokens = tokens
        self._api_url = api_url.rstrip("/")

    def get(self, path: str, **params: str) -> Mapping[str, Any]:
        """Ask a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`."""
        headers = {"Authorization": f"Bearer {self._tokens.current()}", "Accept": "application/json"}
        reply = self._http.request("GET", f"{self._api_url}{path}", headers=headers, params=params)
        if reply.status == 429 or reply.status >= 500:
            raise TryLater(f"the provider answered with status {reply.status}", reply.retry_after_s)
        try:
            body = reply.json()
        except Unreadable as error:
            if "html" in reply.headers.get("content-type", ""):
                raise TryLater("a page for people came in the place of an answer") from error
            raise BadReply("the answer is not JSON") from error
        if not isinstance(body, Mapping):
            raise BadReply("the answer is no object")
        if reply.status in (401, 403):
            raise NeedsReconnect("the key is not accepted any more")
        if not 200 <= reply.status < 300:
            raise Rejected(str(body.get("code") or "")[:60], str(body.get("message") or "")[:300])
        return body
