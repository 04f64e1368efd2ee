"""Between VIES's words and ours. What comes back is a stranger's: cleaned, bounded, compared with the question."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from addon.connectors.http import Unreadable
from addon.ports.vat_numbers import NumberAnswer

REQUESTER_REFUSED: Final = "INVALID_REQUESTER_INFO"
_NUMBER_REFUSED: Final = frozenset({"INVALID_INPUT"})
_ANSWERS: Final = frozenset({"", "VALID", "INVALID"})
"""Words in `userError` that are no error."""
_NONE: Final = "---"
"""What member states write that do not tell names."""


def question(number: str, requester: str) -> dict[str, str]:
    """The body of a question; country and number stand apart, Greece as EL."""
    asked = {"countryCode": number[:2], "vatNumber": number[2:]}
    if requester:
        asked |= {"requesterMemberStateCode": requester[:2], "requesterNumber": requester[2:]}
    return asked


def read_error(document: object) -> str:
    """VIES's word for why there is no answer (`MS_UNAVAILABLE`, `TIMEOUT`, `INVALID_INPUT` …); empty if there is one.

    Errors come with status 200: as `errorWrappers`, or in the answer itself as `userError`.
    """
    if not isinstance(document, Mapping):
        return ""
    wrappers = document.get("errorWrappers")
    if isinstance(wrappers, list) and wrappers and isinstance(wrappers[0], Mapping):
        return _text(wrappers[0].get("error"), 60) or "ERROR"
    if document.get("actionSucceed") is False:
        return "ERROR"
    word = _text(document.get("userError"), 60)
    return "" if word in _ANSWERS else word


def refused_number(error: str) -> bool:
    """Whether an error says that the number itself cannot be one."""
    return error in _NUMBER_REFUSED


def read_answer(document: object, number: str, now: datetime) -> NumberAnswer:
    """Read an answer to the question for `number`. Raises `Unreadable`, also for an answer about another number."""
    if not isinstance(document, Mapping):
        raise Unreadable("the answer is no object")
    valid = document.get("valid", document.get("isValid"))
    if not isinstance(valid, bool):
        raise Unreadable("the answer does not say whether the number is valid")
    told = _plain(document.get("vatNumber"))
    if told and told not in (number, number[2:]):
        raise Unreadable("the answer is about another number")
    return NumberAnswer(
        valid=valid,
        answered_at=_instant(document.get("requestDate")) or now,
        consultation=_text(document.get("requestIdentifier"), 60),
        name=_told(document.get("name"), 200),
        address=_told(document.get("address"), 400),
    )


def _plain(value: object) -> str:
    return "".join(character for character in value.upper() if character.isalnum()) if isinstance(value, str) else ""


def _instant(value: Any) -> datetime | None:
    """`2026-10-03T21:02:05.123Z`; None for what is no instant."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None


def _told(value: object, limit: int) -> str:
    text = _text(value, limit)
    return "" if text == _NONE else text


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        return ""
    kept = (
        " " if character.isspace() else "" if unicodedata.category(character)[0] == "C" else character
        for character in value[: 4 * limit]
    )
    return " ".join("".join(kept).split())[:limit]
