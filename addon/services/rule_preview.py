"""What a rule would change: tried out on the movements of the last months, before it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.core.delivery import PartState
from addon.core.money import Money
from addon.core.plan.routed import Course, course_of
from addon.core.records import Movement, MovementKind
from addon.core.routing import Rule, route
from addon.core.rules import Policy
from addon.services.connections import load_books
from addon.services.context import Services
from addon.services.policy import ModeNotChosen, load_policy
from addon.services.rules import StoredRule, stored_rules
from addon.store.codec import decode
from addon.store.models import Company, Connection, MovementRow, PartRow

DAYS: Final = 90
SHOWN: Final = 10
MOST_TRIED: Final = 5_000
"""Movements that are looked at, newest first: a page must answer while a person waits."""
MOST_COUNTED: Final = 1_000
"""The same for the list of rules, which is opened often."""
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Effect:
    """A movement that the rule decides over: what would become of it without the rule, and with it."""

    movement_id: int
    occurred_at: datetime
    kind: MovementKind
    about: str
    amount: Money
    before: Course
    after: Course
    settled: bool
    """Whether it is booked or set aside already, and so stays as it is."""


@dataclass(frozen=True, slots=True)
class RulePreview:
    """What a rule would do. `sums` are of all hits, by currency; `changes` counts hits by before and after."""

    since: datetime
    tried: int
    whole: bool
    """Whether all movements since then were looked at, and not only the newest."""
    hits: int
    settled: int
    sums: tuple[Money, ...]
    changes: tuple[tuple[Course, Course, int], ...]
    shown: tuple[Effect, ...]


def preview_rule(
    services: Services, company_id: int, rule: Rule, rule_id: int | None = None, connection_id: int | None = None
) -> RulePreview:
    """Try a rule in its place among the others (a new one comes last). Reads only."""
    since = services.now() - timedelta(days=DAYS)
    with services.db.company_reading(company_id) as session:
        stored = stored_rules(session)
        policies = _policies(services, session, company_id)
        tried = settled = 0
        effects: list[Effect] = []
        hits = 0
        sums: Counter[str] = Counter()
        changes: Counter[tuple[Course, Course]] = Counter()
        for row in _newest(session, since, rule.kinds, connection_id):
            tried += 1
            movement = decode(Movement, row.value)
            without, with_it = _in_place(stored, rule, rule_id, row.connection_id)
            routing = route(movement, with_it)
            if routing.rule is not rule:
                continue
            policy = policies.get(row.connection_id)
            before, after = (course_of(movement, one, policy) for one in (route(movement, without), routing))
            hits += 1
            done = row.state in (PartState.BOOKED.value, PartState.SET_ASIDE.value)
            settled += done
            amount = movement.presented or movement.amount
            sums[amount.currency] += amount.minor
            changes[before, after] += 1
            if len(effects) < SHOWN:
                about = movement.description or movement.buyer.name or movement.source_ref or movement.ref
                effects.append(Effect(row.id, row.occurred_at, movement.kind, about, amount, before, after, done))
    return RulePreview(
        since=since,
        tried=tried,
        whole=tried < MOST_TRIED,
        hits=hits,
        settled=settled,
        sums=tuple(Money(minor, currency) for currency, minor in sorted(sums.items())),
        changes=tuple((before, after, count) for (before, after), count in changes.most_common()),
        shown=tuple(effects),
    )


def count_hits(services: Services, company_id: int) -> dict[int, int]:
    """How many of the last months' newest `MOST_COUNTED` movements each rule decides over, by the rule's number."""
    since = services.now() - timedelta(days=DAYS)
    found: Counter[int] = Counter()
    with services.db.company_reading(company_id) as session:
        stored = stored_rules(session)
        kinds = sorted({kind for one in stored for kind in one.rule.kinds})
        for row in _newest(session, since, kinds, None, MOST_COUNTED) if stored else ():
            movement = decode(Movement, row.value)
            mine = [one for one in stored if one.connection_id in (None, row.connection_id)]
            decided = next((one for one in mine if one.rule.fits(movement)), None)
            if decided is not None:
                found[decided.id] += 1
    return dict(found)


def _in_place(
    stored: Sequence[StoredRule], rule: Rule, rule_id: int | None, connection_id: int
) -> tuple[list[Rule], list[Rule]]:
    """The rules of a connection without the one that is tried, and with it."""
    mine = [one for one in stored if one.connection_id in (None, connection_id) or one.id == rule_id]
    without = [one.rule for one in mine if one.id != rule_id]
    if rule_id is None:
        return without, [*without, rule]
    return without, [rule if one.id == rule_id else one.rule for one in mine]


def _policies(services: Services, session: Session, company_id: int) -> dict[int, Policy]:
    """Each connection's policy, where it has a mode and the books have been read."""
    books: Books | None = load_books(session)
    found: dict[int, Policy] = {}
    if books is None:
        return found
    company = session.get_one(Company, company_id)
    for connection in session.scalars(select(Connection)):
        try:
            found[connection.id] = load_policy(services, session, company, connection, books)
        except ModeNotChosen:
            continue
    return found


def _newest(
    session: Session,
    since: datetime,
    kinds: Iterable[MovementKind],
    connection_id: int | None,
    most: int = MOST_TRIED,
) -> Iterator[Any]:
    """Movements of these kinds with their amounts' states, newest first, read in pages."""
    query = (
        select(MovementRow.id, MovementRow.connection_id, MovementRow.occurred_at, MovementRow.value, PartRow.state)
        .outerjoin(PartRow, (PartRow.movement_id == MovementRow.id) & (PartRow.name == "amount"))
        .where(MovementRow.occurred_at >= since, MovementRow.kind.in_([kind.value for kind in kinds]))
        .order_by(MovementRow.occurred_at.desc(), MovementRow.id.desc())
        .limit(_PAGE)
    )
    if connection_id is not None:
        query = query.where(MovementRow.connection_id == connection_id)
    after = query
    for _ in range(most // _PAGE):
        rows = session.execute(after).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        at, last = rows[-1].occurred_at, rows[-1].id
        after = query.where(
            or_(MovementRow.occurred_at < at, (MovementRow.occurred_at == at) & (MovementRow.id < last))
        )
