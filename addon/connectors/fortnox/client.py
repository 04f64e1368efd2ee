"""Speaks HTTP with Fortnox: tokens, pace, pages, and what each refusal means for what to do next.

Never decided by HTTP status alone: Fortnox sends its own faults as 400 (code 1000029), missing rights as
400 or 403, and gateways before it answer with HTML of any status.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from addon.connectors.fortnox import translate
from addon.connectors.fortnox.translate import Fault
from addon.connectors.http import HttpClient, OpenReply, Unreadable, read_json
from addon.core.holds import HoldReason
from addon.ports.calls import Lane, Pace, TokenSource
from addon.ports.errors import (
    AlreadyDone,
    BadReply,
    NeedsReconnect,
    OutcomeUnknown,
    PortError,
    Rejected,
    TryLater,
)

PAGE = 500
MOST_PAGES = 10_000
ANSWER_LIMIT = 16 * 1024 * 1024
STREAM_LIMIT = 1024 * 1024 * 1024
LEAST_SHARE = 4
"""A write that has waited for its turn is sent only where at least this fraction of its time is left for the answer."""

T = TypeVar("T")


class ScopeMissing(NeedsReconnect):
    """The consent does not cover this register: the company must consent again, to more."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LicenceMissing(Rejected):
    """The company does not own the Fortnox licence behind this register."""


class RightMissing(Rejected):
    """The person behind the token may not use this register. Does not happen to service accounts."""


def sort_fault(status: int, fault: Fault | None, retry_after_s: int | None, *, write: bool, what: str) -> PortError:
    """Say what to do next about an answer that is no success. `what` names the call, without its query."""
    if status == 429:
        return TryLater(f"{what}: too many calls", retry_after_s)
    if status >= 500 or (fault is not None and fault.code in translate.INTERNAL_FAULTS):
        if write:
            return OutcomeUnknown(f"{what}: their own fault, status {status}")
        return TryLater(f"{what}: their own fault, status {status}", retry_after_s)
    if fault is None:
        message = f"{what}: an answer that cannot be read, status {status}"
        return OutcomeUnknown(message) if write else BadReply(message)
    if fault.code in translate.LOGIN_REFUSED:
        # The token was fresh. One integrator met this code for records that somebody has open: not worth a
        # false alarm; a consent that is really gone shows at the next renewal.
        return TryLater(f"{what}: login refused with a fresh token, code {fault.code}")
    if fault.code in translate.SCOPE_MISSING:
        return ScopeMissing(fault.code, fault.message)
    if fault.code in translate.LICENCE_MISSING:
        return LicenceMissing(fault.code, fault.message, HoldReason.REJECTED.value)
    if fault.code in translate.RIGHT_MISSING:
        return RightMissing(fault.code, fault.message, HoldReason.REJECTED.value)
    reason = translate.hold_reason(fault)
    if fault.code == translate.ALREADY_PAID:
        return AlreadyDone(fault.code, fault.message, reason.value)
    return Rejected(fault.code, fault.message, reason.value)


class FortnoxClient:
    """One company's Fortnox. Safe to share between the threads that work for the company."""

    def __init__(
        self,
        http: HttpClient,
        api_url: str,
        tokens: TokenSource,
        pace: Pace,
        lane: Lane = Lane.BULK,
    ) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._tokens = tokens
        self._pace = pace
        self._lane = lane

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Ask a question; the answer's JSON. Raises the errors of `addon.ports.errors`."""
        return self._call("GET", path, params, None)

    def act(self, path: str) -> None:
        """Ask for something that has an effect though it is a GET (mailing). Raises `OutcomeUnknown` where a plain
        question could be asked again, and `TryLater` only where nothing can have happened."""
        self._call("GET", path, None, None, write=True)

    def send(self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Any:
        """Make one write; the answer's JSON, None for an answer without content."""
        return self._call(method, path, params, body)

    def upload(self, path: str, params: Mapping[str, str], name: str, mime_type: str, content: bytes) -> Any:
        """Send a file as a form with the field `file`; the answer's JSON."""
        mark = f"kvitt-{hashlib.sha256(content).hexdigest()}"
        safe = "".join(character for character in name if character.isalnum() or character in "-._")
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{safe}"\r\n'
            f"Content-Type: {mime_type}\r\n\r\n"
        )
        form = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        return self._call("POST", path, params, None, (f"multipart/form-data; boundary={mark}", form))

    def get_object(self, path: str, wrapper: str, view: Callable[[translate.Row], T]) -> T:
        """Ask for one object and read it. Raises `BadReply` if it cannot be read."""
        document = self.get(path)
        try:
            return translate.read_row(view, _inside(document, wrapper))
        except Unreadable as error:
            raise BadReply(f"GET {path}: {error}") from error

    def send_object(
        self,
        method: str,
        path: str,
        wrapper: str,
        view: Callable[[translate.Row], T],
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        """Make one write and read the object it answers with. Raises `OutcomeUnknown` if that cannot be
        read."""
        document = self.send(method, path, body, params)
        try:
            return translate.read_row(view, _inside(document, wrapper))
        except Unreadable as error:
            raise OutcomeUnknown(f"{method} {path}: {error}") from error

    def pages(
        self,
        path: str,
        wrapper: str,
        view: Callable[[translate.Row], T],
        params: Mapping[str, str] | None = None,
    ) -> Iterator[T]:
        """Go through a list, a page of 500 at a time. Raises `BadReply` for a row that cannot be read.

        Some lists take no notice of `page`: one that comes a second time ends the list.
        """
        previous: object = None
        for page in range(1, MOST_PAGES + 1):
            document = self.get(path, {**(params or {}), "limit": str(PAGE), "page": str(page)})
            rows = _inside(document, wrapper)
            if not isinstance(rows, list):
                raise BadReply(f"GET {path}: the list {wrapper} is missing")
            if not rows or rows == previous:
                return
            try:
                yield from [translate.read_row(view, row) for row in rows]
            except Unreadable as error:
                raise BadReply(f"GET {path}: {error}") from error
            if page >= _last_page(document, page, len(rows)):
                return
            previous = rows
        raise BadReply(f"GET {path}: a list without an end")

    @contextmanager
    def stream(self, path: str, params: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """Read a long answer piece by piece."""
        with self._opened("GET", path, params, None, STREAM_LIMIT) as reply:
            if reply.status != 200:
                raise self._sorted(reply, b"".join(reply.chunks), "GET", path, write=False)
            yield reply.chunks

    def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: object,
        form: tuple[str, bytes] | None = None,
        write: bool | None = None,
    ) -> Any:
        writes = method != "GET" if write is None else write
        with self._opened(method, path, params, body, ANSWER_LIMIT, form, write=writes) as reply:
            content = b"".join(reply.chunks)
        if not 200 <= reply.status < 300:
            raise self._sorted(reply, content, method, path, write=writes)
        if reply.status == 204 and not content:
            return None
        try:
            return read_json(content)
        except Unreadable as error:
            message = f"{method} {path}: {error}, status {reply.status}"
            raise (OutcomeUnknown if writes else BadReply)(message) from error

    @contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: object,
        limit_bytes: int,
        form: tuple[str, bytes] | None = None,
        *,
        write: bool = False,
    ) -> Iterator[OpenReply]:
        """Make the call; when the token is refused, once more with a new one. A refused login wrote
        nothing.

        A write has one deadline for all of it: waiting for its turn, a new token and a second try included.
        """
        started = time.monotonic()
        token = self._tokens.current()
        typed = {"Content-Type": form[0]} if form is not None else {}
        for last in (False, True):
            self._pace.wait(self._lane)
            left_s = self._http.deadline_s - (time.monotonic() - started)
            if write and left_s < self._http.deadline_s / LEAST_SHARE:
                raise TryLater(f"{method} {path}: its turn came too late to begin a write")
            with self._http.open(
                method,
                f"{self._api_url}/{path}",
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json", **typed},
                params=params,
                json=body,
                content=form[1] if form is not None else None,
                write=write,
                deadline_s=left_s if write else None,
                limit_bytes=limit_bytes,
            ) as reply:
                if reply.status == 401:
                    if last:
                        raise NeedsReconnect(f"{method} {path}: a fresh token was refused")
                elif last or reply.status not in (400, 403):
                    yield reply
                    return
                else:
                    content = b"".join(reply.chunks)
                    fault = _fault_of(content)
                    if fault is None or fault.code not in translate.LOGIN_REFUSED:
                        yield OpenReply(reply.status, reply.headers, iter([content]), reply.retry_after_s)
                        return
            token = self._tokens.renew(token)

    def _sorted(self, reply: OpenReply, content: bytes, method: str, path: str, *, write: bool) -> PortError:
        if reply.status == 429:
            self._pace.refused(reply.retry_after_s)
        return sort_fault(
            reply.status,
            _fault_of(content),
            reply.retry_after_s,
            write=write,
            what=f"Fortnox {method} {path}",
        )


def _fault_of(content: bytes) -> Fault | None:
    try:
        return translate.read_fault(read_json(content))
    except Unreadable:
        return None  # HTML or nothing: the caller sorts it by what cannot be read


def _inside(document: object, wrapper: str) -> Any:
    return document.get(wrapper) if isinstance(document, Mapping) else None


def _last_page(document: Any, page: int, rows: int) -> int:
    """The number of the last page, as the list tells it; without that, a page that is not full is the
    last."""
    meta = _inside(document, "MetaInformation")
    try:
        return translate.whole(_inside(meta, "@TotalPages"))
    except Unreadable:
        return page if rows < PAGE else page + 1
