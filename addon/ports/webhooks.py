"""What another company's server tells us unasked: that something happened, never what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Announced:
    """That something happened over there. `account` is the provider's account, or the accounting tenant.

    `ended`: they say that our access was taken back. `live` False: test mode, which never enters.
    """

    ref: str
    kind: str
    account: str
    live: bool = True
    ended: bool = False


ReadWebhook = Callable[[bytes, Mapping[str, str], datetime], Announced | None]
"""Reads what came: None where it is of no interest. Raises `BadReply` for what is unsigned or unreadable."""
