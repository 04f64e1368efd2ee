"""What an outside company's consent gave us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What a consent gave us. Empty strings where the other side gives none; `expires_at` None: never.

    `subject` is the company or account that consented (Fortnox tenant, Stripe account).
    """

    access_token: str
    refresh_token: str = ""
    expires_at: datetime | None = None
    scope: str = ""
    subject: str = ""
    live: bool = True

    def __repr__(self) -> str:
        return f"Grant(subject={self.subject!r}, expires_at={self.expires_at!r}, scope={self.scope!r})"
