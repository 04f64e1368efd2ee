"""Asking VIES whether a VAT number is in force.

One question is one POST to `check-vat-number`, which changes nothing there: what got no answer may be asked again. With
the requester's own number VIES gives a consultation number, which proves that it was asked, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from addon.connectors.http import HttpClient, Unreadable
from addon.connectors.vies.translate import (
    REQUESTER_REFUSED,
    question,
    read_answer,
    read_error,
    refused_number,
)
from addon.ports.errors import BadReply, TryLater
from addon.ports.vat_numbers import NumberAnswer

VIES_URL: Final = "https://ec.europa.eu/taxation_customs/vies/rest-api"
"""The Commission's address; the interface's description is at …/vies/#/technical-information."""

_DEADLINE_S: Final = 20.0
"""Member states answer in a second or in none; their own time-out is about ten seconds."""


def _now() -> datetime:
    return datetime.now(UTC)


class ViesRegister:
    """The EU's register. Implements `VatNumberRegister`; safe to share between threads."""

    def __init__(self, http: HttpClient, url: str = VIES_URL, *, now: Callable[[], datetime] = _now) -> None:
        self._http = http
        self._url = url
        self._now = now

    def check(self, number: str, requester: str) -> NumberAnswer:
        """Ask for a number. Raises `TryLater` and `BadReply`."""
        document = self._ask(number, requester)
        error = read_error(document)
        if error == REQUESTER_REFUSED and requester:
            # Our own number is the one that is wrong: the buyer's can still be looked up, without evidence.
            document = self._ask(number, "")
            error = read_error(document)
        if refused_number(error):
            return NumberAnswer(valid=False, answered_at=self._now(), reason=error)
        if error:
            raise TryLater(error)
        try:
            return read_answer(document, number, self._now())
        except Unreadable as fault:
            raise BadReply(f"VIES: {fault}") from fault

    def _ask(self, number: str, requester: str) -> Any:
        reply = self._http.request(
            "POST",
            f"{self._url}/check-vat-number",
            json=question(number, requester),
            headers={"Accept": "application/json"},
            write=False,
            deadline_s=_DEADLINE_S,
        )
        if reply.status == 429 or reply.status >= 500:
            raise TryLater(f"status {reply.status}", reply.retry_after_s)
        try:
            document = reply.json()
        except Unreadable as fault:
            if "html" in reply.headers.get("content-type", ""):
                raise TryLater("a page for people came in the place of an answer") from fault
            raise BadReply(f"VIES: {fault}") from fault
        if reply.status >= 400 and not read_error(document):
            raise BadReply(f"VIES refused with status {reply.status} and no reason")
        return document
