"""Counters that all processes add to: how often something happened, of no company in particular.

A tally has a name and labels; the labels say which system, which outcome, which page, never whose it was. Plain
functions over an open session; the caller commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from addon.store.models import TallyRow

Key = tuple[str, str]
"""A tally's name, and its labels as one text."""

_AT_ONCE: Final = 200


def add(session: Session, counted: Mapping[Key, int]) -> None:
    """Add to tallies. Always in the order of their keys, so that two processes never wait for each other in a ring."""
    rows = [{"name": name, "labels": labels, "value": value} for (name, labels), value in sorted(counted.items())]
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        if session.get_bind().dialect.name == "postgresql":
            on_postgres = postgresql.insert(TallyRow).values(some)
            session.execute(
                on_postgres.on_conflict_do_update(
                    index_elements=[TallyRow.name, TallyRow.labels],
                    set_={"value": TallyRow.value + on_postgres.excluded.value},
                )
            )
        else:
            on_sqlite = sqlite.insert(TallyRow).values(some)
            session.execute(
                on_sqlite.on_conflict_do_update(
                    index_elements=[TallyRow.name, TallyRow.labels],
                    set_={"value": TallyRow.value + on_sqlite.excluded.value},
                )
            )


def read(session: Session) -> dict[Key, int]:
    """All tallies as they stand."""
    return {
        (row.name, row.labels): row.value
        for row in session.execute(select(TallyRow.name, TallyRow.labels, TallyRow.value))
    }
