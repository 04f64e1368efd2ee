"""Where a secret may have slipped out: messages, with all that caused them, and whatever else was told."""

import traceback
from collections.abc import Iterable, Sequence


def leaks_of(secrets: Sequence[str], errors: Iterable[BaseException], told: Iterable[str]) -> list[str]:
    """The places, not the words themselves, where a secret stands."""
    assert secrets
    assert all(len(secret) >= 8 for secret in secrets)
    places = [(f"text {number}", text) for number, text in enumerate(told)]
    for error in errors:
        name = type(error).__name__
        places.append((f"{name}, written out", "".join(traceback.format_exception(error))))
        cause: BaseException | None = error
        while cause is not None:
            places.append((f"{name}, its cause {type(cause).__name__}", f"{cause!r} {vars(cause)}"))
            cause = cause.__cause__ or cause.__context__
    return [place for place, text in places if any(secret in text for secret in secrets)]
