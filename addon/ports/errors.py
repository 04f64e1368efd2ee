"""Errors of the outside world, named by what to do next.

    PortError
      TryLater(retry_after)        nothing happened: ask again later
      OutcomeUnknown               it may have happened: look before asking again
      NeedsReconnect               a person must reconnect
      Rejected(code, reason)       they read it and said no: a person must change something
      BadReply                     we cannot read their answer to a question (to a write: OutcomeUnknown)

Messages carry no tokens and no bodies; the cause is chained.
"""

from __future__ import annotations


class PortError(Exception):
    """Anything that an outside system may do to us."""


class TryLater(PortError):
    """Nothing happened there; ask again, after `retry_after_s` seconds where they said so."""

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(PortError):
    """The write may or may not have happened; look before asking again."""


class NeedsReconnect(PortError):
    """The connection is no longer valid; a person must connect again."""


class Rejected(PortError):
    """They read it and said no. `code` is theirs, `reason` a `HoldReason` value of ours or empty."""

    def __init__(self, code: str, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class AlreadyDone(Rejected):
    """They refuse because it is done: it has been booked, credited or paid before."""


class BadReply(PortError):
    """Their answer to a question cannot be read."""
