"""Speaks HTTP with e-conomic's two hosts: tokens, pace, pages, keys of writes, and what each refusal means.

The old host and the services draw on one budget of cost (10,000 a minute); every answer tells what is used, and
well before it is gone the pace is told. A write carries an `Idempotency-Key`: for an hour its repetition gives the
first answer again, which hides that a person has since taken away what it made. So an answer out of their memory is
said to be one.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from addon.connectors.economic import translate
from addon.connectors.economic.translate import Fault
from addon.connectors.http import HttpClient, Reply, Unreadable, read_json, write_json
from addon.ports.calls import Lane, Pace, TokenSource
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater

JOURNALS = "journalsapi/v15.0.0"
BOOKED_ENTRIES = "bookedEntriesapi/v4.0.0"
YEARS = "accountingyearsapi/v2.0.1"
ACCOUNTS = "accountsapi/v7.0.0"
DOCUMENTS = "documentsapi/v4.0.1"
"""The version stands in every address of a service; old ones are withdrawn at intervals."""
PAGE = 1000
MOST_PAGES = 10_000
ANSWER_LIMIT = 16 * 1024 * 1024
LEAST_SHARE = 4
"""A write that has waited for its turn is sent only where at least this fraction of its time is left for the answer."""
NEARLY_USED = 0.9
"""Above this fraction of the budget everybody waits until some of it has come back."""
_BUDGET = re.compile(r"per-(\d+)-seconds:\s*(\d+)/(\d+)")


class NotThere(Rejected):
    """What was asked for is not there (any more)."""


class RefusedBefore(Rejected):
    """A refusal out of their memory, which keeps what a key was answered with for an hour."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to a write, and whether it is the first answer given again."""

    body: Any
    remembered: bool


def sort_fault(status: int, fault: Fault | None, retry_after_s: int | None, *, write: bool, what: str) -> PortError:
    """Say what to do next about an answer that is no success. `what` names the call, without its query."""
    if status == 429:
        return TryLater(f"{what}: too many calls", retry_after_s)
    if status >= 500:
        message = f"{what}: their own fault, status {status}"
        return OutcomeUnknown(message) if write else TryLater(message, retry_after_s)
    if status == 401:
        return NeedsReconnect(f"{what}: the grant was refused")
    if fault is None:
        message = f"{what}: an answer that cannot be read, status {status}"
        return OutcomeUnknown(message) if write else BadReply(message)
    if status == 404:
        return NotThere(fault.code, fault.message, translate.hold_reason(fault).value)
    if status == 409:
        return TryLater(f"{what}: somebody else was writing")
    return Rejected(fault.code, fault.message, translate.hold_reason(fault).value)


class EconomicClient:
    """One agreement's e-conomic. Safe to share between the threads that work for the company."""

    def __init__(
        self,
        http: HttpClient,
        rest_url: str,
        api_url: str,
        app_secret: str,
        tokens: TokenSource,
        pace: Pace,
        lane: Lane = Lane.BULK,
    ) -> None:
        self._http = http
        self._rest_url = rest_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._app_secret = app_secret
        self._tokens = tokens
        self._pace = pace
        self._lane = lane

    def __repr__(self) -> str:
        return f"EconomicClient(rest_url={self._rest_url!r})"

    # -- the old host ------

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Ask the old host. Raises the errors of `addon.ports.errors`."""
        return self._read(f"{self._rest_url}/{path}", f"GET {path}", params)

    def send(self, method: str, path: str, body: object, key: str) -> Sent:
        """Make one write on the old host. `key` says which deed this is; what is sent belongs to it."""
        return self._write(method, f"{self._rest_url}/{path}", path, body, key)

    def rows(self, path: str, filter_text: str = "") -> Iterator[Mapping[str, Any]]:
        """Go through a list of the old host, a page of a thousand at a time."""
        for page in range(MOST_PAGES):
            params = {"skippages": str(page), "pagesize": str(PAGE)}
            if filter_text:
                params["filter"] = filter_text
            document = self.get(path, params)
            rows = document.get("collection") if isinstance(document, Mapping) else None
            if not isinstance(rows, list):
                raise BadReply(f"GET {path}: the list is missing")
            yield from (row for row in rows if isinstance(row, Mapping))
            pagination = document.get("pagination")
            # They say whether more follows. A page that is shorter than was asked for says nothing: pages may be.
            more = "nextPage" in pagination if isinstance(pagination, Mapping) else len(rows) == PAGE
            if not rows or not more:
                return
        raise BadReply(f"GET {path}: a list without an end")

    # -- the services ------

    def ask(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Ask a service."""
        return self._read(f"{self._api_url}/{path}", f"GET {path}", params)

    def tell(self, method: str, path: str, body: object, key: str) -> Sent:
        """Make one write on a service; most answer with nothing but a number."""
        return self._write(method, f"{self._api_url}/{path}", path, body, key)

    def items(self, path: str, filter_text: str = "") -> Iterator[Mapping[str, Any]]:
        """Go through a service's list by its cursor, a thousand at a time; no cursor means the end."""
        cursor = ""
        for _ in range(MOST_PAGES):
            params = {"filter": filter_text} if filter_text else {}
            if cursor:
                params["cursor"] = cursor
            document = self.ask(path, params)
            rows = document.get("items") if isinstance(document, Mapping) else None
            if not isinstance(rows, list):
                raise BadReply(f"GET {path}: the list is missing")
            yield from (row for row in rows if isinstance(row, Mapping))
            following = document.get("cursor")
            if not isinstance(following, str) or not following:
                return
            if following == cursor:
                raise BadReply(f"GET {path}: a cursor that does not move")
            cursor = following
        raise BadReply(f"GET {path}: a list without an end")

    def upload(self, path: str, fields: Mapping[str, str], name: str, mime_type: str, content: bytes, key: str) -> Any:
        """Send a file to a service as a form with the field `File`; the answer's JSON."""
        mark = f"kvitt-{hashlib.sha256(content).hexdigest()}"
        safe = "".join(character for character in name if character.isalnum() or character in "-._")
        form = b"".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        )
        form += (
            f'--{mark}\r\nContent-Disposition: form-data; name="File"; filename="{safe}"\r\n'
            f"Content-Type: {mime_type}\r\n\r\n"
        ).encode()
        form += content + f"\r\n--{mark}--\r\n".encode()
        typed = f"multipart/form-data; boundary={mark}"
        return self._write("POST", f"{self._api_url}/{path}", path, None, key, (typed, form)).body

    # -- calls ------

    def _read(self, url: str, what: str, params: Mapping[str, str] | None) -> Any:
        reply = self._call("GET", url, what, params=params)
        try:
            return read_json(reply.body)
        except Unreadable as error:
            raise BadReply(f"{what}: {error}") from error

    def _write(
        self, method: str, url: str, path: str, body: object, key: str, form: tuple[str, bytes] | None = None
    ) -> Sent:
        what = f"{method} {path}"
        content = form[1] if form is not None else (b"" if body is None else write_json(body).encode())
        # The same deed with other content is another request: their memory knows the key and not the body.
        digest = hashlib.sha256(f"{what}\n{key}\n".encode() + content).hexdigest()[:48]
        try:
            reply = self._call(method, url, what, key=digest, body=body, form=form)
        except RefusedBefore:
            # What was refused did nothing, and what was wrong with it may have been mended since.
            anew = hashlib.sha256(f"{digest}\n{time.time_ns()}".encode()).hexdigest()[:48]
            reply = self._call(method, url, what, key=anew, body=body, form=form)
        remembered = reply.headers.get("x-resultfromcache", "").lower() == "true"
        if not reply.body:
            return Sent(None, remembered)
        try:
            return Sent(read_json(reply.body), remembered)
        except Unreadable as error:
            raise OutcomeUnknown(f"{what}: {error}, status {reply.status}") from error

    def _call(
        self,
        method: str,
        url: str,
        what: str,
        *,
        params: Mapping[str, str] | None = None,
        key: str = "",
        body: object = None,
        form: tuple[str, bytes] | None = None,
    ) -> Reply:
        """One call. A write has one deadline for waiting for its turn and for its answer."""
        started = time.monotonic()
        write = method != "GET"
        headers = {
            "X-AppSecretToken": self._app_secret,
            "X-AgreementGrantToken": self._tokens.current(),
            "Accept": "application/json",
        }
        if key:
            headers["Idempotency-Key"] = key
        if form is not None:
            headers["Content-Type"] = form[0]
        self._pace.wait(self._lane)
        left_s = self._http.deadline_s - (time.monotonic() - started)
        if write and left_s < self._http.deadline_s / LEAST_SHARE:
            raise TryLater(f"{what}: its turn came too late to begin a write")
        reply = self._http.request(
            method,
            url,
            headers=headers,
            params=params,
            json=body,
            content=form[1] if form is not None else None,
            write=write,
            deadline_s=left_s if write else None,
            limit_bytes=ANSWER_LIMIT,
        )
        self._heed(reply)
        if 200 <= reply.status < 300:
            return reply
        if reply.status == 429:
            self._pace.refused(reply.retry_after_s)
        fault = sort_fault(
            reply.status, _fault_of(reply.body), reply.retry_after_s, write=write, what=f"e-conomic {what}"
        )
        if isinstance(fault, Rejected) and reply.headers.get("x-resultfromcache", "").lower() == "true":
            raise RefusedBefore(fault.code, fault.message, fault.reason)
        raise fault

    def _heed(self, reply: Reply) -> None:
        """Slow everybody down when the budget that both hosts share is nearly used up."""
        found = _BUDGET.search(reply.headers.get("x-ratelimiting", ""))
        if found is None or reply.status == 429:
            return
        window_s, used, limit = (int(part) for part in found.groups())
        if limit > 0 and used > limit * NEARLY_USED:
            self._pace.refused(max(1, math.ceil(window_s * (used / limit - NEARLY_USED))))


def _fault_of(content: bytes) -> Fault | None:
    try:
        return translate.read_fault(read_json(content))
    except Unreadable:
        return None  # HTML or nothing: the caller sorts it by what cannot be read
