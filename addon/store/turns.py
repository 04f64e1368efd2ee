"""Whose turn it is at a company's movements: a plan's that is being stored, or a person's who decides about some."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.store.models import Connection


def take_turn(session: Session) -> None:
    """Wait until nobody else has the turn, and keep it until this transaction ends.

    A plan is made of what it reads, and takes a while to be stored: what a person sets aside in between would be
    booked nevertheless. To be called before anything is read that is decided about. SQLite has one writer anyway.
    """
    # In PostgreSQL "for no key update": whoever only adds rows of these connections need not wait.
    session.execute(select(Connection.id).order_by(Connection.id).with_for_update(key_share=True)).all()
