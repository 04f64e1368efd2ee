"""The log of who did what: settings, approvals, repairs, connections. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from addon.store.models import ActivityRow

KVITT: Final = "Kvitt"
"""Who did it, where no person did."""

_LONGEST_TEXT = 500


def record(session: Session, who: str, what: str, facts: Mapping[str, Any], now: datetime) -> None:
    """Add a line to the log of the company that the session is bound to. The caller commits.

    `what` is a word like `settings_changed`; `facts` fill the sentence that the page makes of it.
    """
    session.add(
        ActivityRow(
            at=now,
            who=who or KVITT,
            what=what,
            facts={name: value[:_LONGEST_TEXT] if isinstance(value, str) else value for name, value in facts.items()},
        )
    )
