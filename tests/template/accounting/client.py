"""Speaks HTTP with the accounting system; every refusal is named by what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from addon.connectors.http import HttpClient, Unreadable
from addon.ports.calls import Lane, Pace, TokenSource
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, Rejected, TryLater

Row = Mapping[str, Any]
MOST_PAGES: Final = 10_000
ALREADY_BOOKED: Final = "already_booked"
ALREADY_CREDITED: Final = "already_credited"
NOT_THERE: Final = "not_there"


class Client:
    """One company's books, opened with its key. Safe to share between threads."""

    def __init__(self, http: HttpClient, tokens: TokenSource, api_url: str, pace: Pace, lane: Lane = Lane.BULK) -> None:
        self._http = http
        self._tokens = tokens
        self._api_url = api_url.rstrip("/")
        self._pace = pace
        self._lane = lane

    def __repr__(self) -> str:
        return f"Client(api_url={self._api_url!r})"

    def get(self, path: str, **params: str) -> Row:
        """Ask a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`."""
        return self._call("GET", path, params=params)

    def rows(self, path: str, **params: str) -> Iterator[Row]:
        """All rows of a list, page after page."""
        page = 0
        for _ in range(MOST_PAGES):
            told = self.get(path, **params, page=str(page))
            rows, following = told.get("rows"), told.get("next")
            if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
                raise BadReply(f"GET {path}: the list holds something else than rows")
            yield from rows
            if following is None:
                return
            if type(following) is not int or following <= page:
                raise BadReply(f"GET {path}: the list does not say where it goes on")
            page = following
        raise BadReply(f"GET {path}: a list without an end")

    def send(self, method: str, path: str, body: object = None) -> Row:
        """Make one write. Raises `OutcomeUnknown` where it may have been carried out, besides what `get` raises."""
        return self._call(method, path, body=body)

    def _call(self, method: str, path: str, params: Mapping[str, str] | None = None, body: object = None) -> Row:
        write, what = method != "GET", f"{method} {path}"
        headers = {"Authorization": f"Bearer {self._tokens.current()}", "Accept": "application/json"}
        self._pace.wait(self._lane)
        reply = self._http.request(
            method, f"{self._api_url}{path}", headers=headers, params=params, json=body, write=write
        )
        if reply.status == 429:
            self._pace.refused(reply.retry_after_s)
            raise TryLater(f"{what}: too many calls", reply.retry_after_s)
        if reply.status >= 500:
            message = f"{what}: status {reply.status}"
            raise OutcomeUnknown(message) if write else TryLater(message, reply.retry_after_s)
        if reply.status == 204:
            return {}
        try:
            told = reply.json()
        except Unreadable as error:
            if write:
                raise OutcomeUnknown(f"{what}: the answer is not JSON") from error
            raise BadReply(f"{what}: the answer is not JSON") from error
        if not isinstance(told, Mapping):
            raise OutcomeUnknown(f"{what}: no object") if write else BadReply(f"{what}: no object")
        if reply.status in (401, 403):
            raise NeedsReconnect(f"{what}: the key is not accepted any more")
        if not 200 <= reply.status < 300:
            raise Rejected(str(told.get("code") or "")[:60], str(told.get("message") or "")[:300])
        return told
