"""The index of article numbers in the books: one list call a run, and only where rows of invoices name articles."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.ports.accounting import AccountingSystem
from addon.services.context import Services
from addon.store.models import AccountingConnection, ArticleRow

OVERLAP: Final = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""


def refresh(services: Services, company_id: int, system: AccountingSystem) -> None:
    """Read the numbers of articles that changed since the last time."""
    started = services.now()
    with services.db.company_reading(company_id) as session:
        read_at = session.scalars(select(AccountingConnection)).one().articles_read_at
    found = sorted(set(system.fetch_articles(read_at - OVERLAP if read_at else None)))
    with services.db.company(company_id) as session:
        for start in range(0, len(found), 500):
            chunk = found[start : start + 500]
            known = set(session.scalars(select(ArticleRow.number).where(ArticleRow.number.in_(chunk))))
            session.add_all(ArticleRow(number=number) for number in chunk if number not in known)
        session.scalars(select(AccountingConnection)).one().articles_read_at = started


def load(session: Session) -> frozenset[str]:
    """The numbers of all articles that are known to be in the books."""
    return frozenset(session.scalars(select(ArticleRow.number)))


def remember(session: Session, number: str) -> None:
    """Note an article that was just made. The caller commits."""
    if not knows(session, number):
        session.add(ArticleRow(number=number))


def knows(session: Session, number: str) -> bool:
    """Whether an article is known to be in the books."""
    return session.scalar(select(ArticleRow.id).where(ArticleRow.number == number)) is not None
