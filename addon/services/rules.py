"""The company's account rules: kept, put in order, tried out on what has happened, and carried from place to place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import Document, DocumentKind
from addon.core.plan.routed import routed_by
from addon.core.plan.situation import Aside
from addon.core.records import MovementKind
from addon.core.routing import MOST_RULES, RoutedSale, Rule, WrongRule
from addon.services import activity
from addon.services.context import Services
from addon.store.codec import decode, encode
from addon.store.models import AccountRuleRow, Connection, DocumentRow, MovementRow, PartRow

BY_RULE: Final = "rule"
"""The reason of a part that a rule has set aside."""
FORMAT: Final = "kvitt-account-rules"


class UnknownRule(LookupError):
    """The company has no such rule (any more)."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is kept: its number, for which connection (None: all), and who wrote it when."""

    id: int
    rule: Rule
    connection_id: int | None
    changed_by: str
    changed_at: datetime


# --- What plans read --------------------------------------------------------------------------------------------


def load_rules(session: Session, connection_id: int) -> tuple[Rule, ...]:
    """The rules that concern a connection, in order."""
    query = _in_order().where(
        or_(AccountRuleRow.connection_id.is_(None), AccountRuleRow.connection_id == connection_id)
    )
    return tuple(decode(Rule, row.value) for row in session.scalars(query))


def load_routed(session: Session, connection_id: int, originals: Iterable[str]) -> dict[str, RoutedSale]:
    """Of these sales, those that a rule has taken out of their usual course."""
    wanted = sorted(set(originals) - {""})
    found: dict[str, RoutedSale] = {}
    for start in range(0, len(wanted), 500):
        chunk = wanted[start : start + 500]
        documents = select(DocumentRow.source_ref, DocumentRow.payload).where(
            DocumentRow.connection_id == connection_id,
            DocumentRow.kind == DocumentKind.ROUTED.value,
            DocumentRow.state != DeliveryState.REJECTED.value,
            DocumentRow.undone_by.is_(None),
            DocumentRow.source_ref.in_(chunk),
        )
        for source, payload in session.execute(documents):
            found[source] = routed_by(decode(Document, payload))
        asides = (
            select(MovementRow.source_ref, PartRow.facts, PartRow.set_aside_where)
            .join(PartRow, PartRow.movement_id == MovementRow.id)
            .where(
                MovementRow.connection_id == connection_id,
                MovementRow.kind == MovementKind.SALE.value,
                MovementRow.source_ref.in_(chunk),
                PartRow.name == "amount",
                PartRow.state == PartState.SET_ASIDE.value,
                PartRow.reason == BY_RULE,
            )
        )
        for source, facts, where in session.execute(asides):
            found[source] = RoutedSale(str(facts.get("rule", "")), where=where)
    return found


def mark_aside(part: PartRow, aside: Aside, now: datetime) -> None:
    """Set a part aside because a rule says so. The caller commits."""
    part.state, part.reason, part.facts = PartState.SET_ASIDE.value, BY_RULE, {"rule": aside.rule}
    part.set_aside_by, part.set_aside_where = activity.KVITT, aside.where
    part.wait_until, part.changed_at = None, now


# --- Keeping them -----------------------------------------------------------------------------------------------


def _in_order() -> Select[AccountRuleRow]:
    return select(AccountRuleRow).order_by(AccountRuleRow.position, AccountRuleRow.id)


def _stored(row: AccountRuleRow) -> StoredRule:
    return StoredRule(row.id, decode(Rule, row.value), row.connection_id, row.changed_by, row.changed_at)


def all_rules(services: Services, company_id: int) -> tuple[StoredRule, ...]:
    """The company's rules, in order."""
    with services.db.company_reading(company_id) as session:
        return stored_rules(session)


def stored_rules(session: Session) -> tuple[StoredRule, ...]:
    """The rules of the company that the session is bound to, in order."""
    return tuple(_stored(row) for row in session.scalars(_in_order()))


def get_rule(services: Services, company_id: int, rule_id: int) -> StoredRule:
    """One rule. Raises `UnknownRule`."""
    with services.db.company_reading(company_id) as session:
        return _stored(_row(session, rule_id))


def _row(session: Session, rule_id: int, *, for_update: bool = False) -> AccountRuleRow:
    query = select(AccountRuleRow).where(AccountRuleRow.id == rule_id)
    row = session.scalars(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise UnknownRule(f"the company has no rule {rule_id}")
    return row


def save_rule(
    services: Services,
    company_id: int,
    rule: Rule,
    who: str,
    rule_id: int | None = None,
    connection_id: int | None = None,
) -> int:
    """Add a rule at the end, or change one. Its number. Raises `UnknownRule`, and `WrongRule` where it is one too many.

    What is booked stays as it is; what is open, held or waiting follows the rules of the next run.
    """
    now = services.now()
    with services.db.company(company_id) as session:
        if connection_id is not None and session.get(Connection, connection_id) is None:
            raise WrongRule("connection", "choose one of your connections")
        if rule_id is None:
            others = session.scalars(_in_order()).all()
            if len(others) >= MOST_RULES:
                raise WrongRule("name", f"there can be {MOST_RULES} rules at most")
            row = AccountRuleRow(position=others[-1].position + 1 if others else 1)
            old: Mapping[str, Any] = {}
            session.add(row)
        else:
            row = _row(session, rule_id, for_update=True)
            old = row.value
        row.value, row.connection_id = encode(replace(rule, ref="")), connection_id
        row.changed_by, row.changed_at = who, now
        session.flush()
        facts = {"rule": rule.name, "old": _as_text(old), "new": _as_text(row.value)}
        activity.record(session, who, "rule_saved", facts, now)
        return row.id


def move_rule(services: Services, company_id: int, rule_id: int, down: bool, who: str) -> None:
    """Let a rule change places with its neighbour. Raises `UnknownRule`; at the end nothing happens."""
    with services.db.company(company_id) as session:
        _row(session, rule_id)
        rows = list(session.scalars(_in_order()))
        at = next(index for index, row in enumerate(rows) if row.id == rule_id)
        other = at + (1 if down else -1)
        if not 0 <= other < len(rows):
            return
        rows[at], rows[other] = rows[other], rows[at]
        for position, row in enumerate(rows, start=1):
            row.position = position
        facts = {"rule": str(rows[other].value.get("name", "")), "new": str(other + 1)}
        activity.record(session, who, "rule_moved", facts, services.now())


def delete_rule(services: Services, company_id: int, rule_id: int, who: str) -> None:
    """Take a rule away. Raises `UnknownRule`."""
    with services.db.company(company_id) as session:
        row = _row(session, rule_id, for_update=True)
        facts = {"rule": str(row.value.get("name", "")), "old": _as_text(row.value)}
        session.delete(row)
        activity.record(session, who, "rule_deleted", facts, services.now())


def _as_text(value: Mapping[str, Any]) -> str:
    kept = {name: entry for name, entry in value.items() if entry not in ("", [], None)}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else ""


# --- From place to place ----------------------------------------------------------------------------------------


def export_rules(services: Services, company_id: int) -> str:
    """All rules as a text file that a person can read, change and bring back."""
    rules = []
    for stored in all_rules(services, company_id):
        value = {name: entry for name, entry in encode(stored.rule).items() if entry not in ("", [], None)}
        if stored.connection_id is not None:
            value["connection"] = stored.connection_id
        rules.append(value)
    return json.dumps({"format": FORMAT, "version": 1, "rules": rules}, ensure_ascii=False, indent=2) + "\n"


def import_rules(services: Services, company_id: int, text: str, who: str) -> int:
    """Replace all rules by those of a text file; how many there are. Raises `WrongRule`; then nothing has changed."""
    read = _read_rules(text)
    now = services.now()
    with services.db.company(company_id) as session:
        known = set(session.scalars(select(Connection.id)))
        strange = [str(connection) for _, connection in read if connection is not None and connection not in known]
        if strange:
            raise WrongRule("connection", f"there is no connection {', '.join(strange)}")
        before = list(session.scalars(_in_order()))
        facts = {"old": str(len(before)), "new": str(len(read))}
        for row in before:
            session.delete(row)
        session.flush()
        for position, (rule, connection_id) in enumerate(read, start=1):
            session.add(
                AccountRuleRow(
                    position=position,
                    connection_id=connection_id,
                    value=encode(replace(rule, ref="")),
                    changed_by=who,
                    changed_at=now,
                )
            )
        activity.record(session, who, "rules_replaced", facts, now)
    return len(read)


_LONGEST_FILE: Final = 1_000_000
_RULES: Final = TypeAdapter(list[dict[str, Any]])
_RULE: Final = TypeAdapter(Rule)


def _read_rules(text: str) -> list[tuple[Rule, int | None]]:
    if len(text) > _LONGEST_FILE:
        raise WrongRule("file", "the file is too long")
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise WrongRule("file", f"this is no file of rules: it must begin with the format {FORMAT}")
        entries = _RULES.validate_python(document.get("rules"))
    except WrongRule:
        raise
    except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
        raise WrongRule("file", "the file cannot be read as rules") from error
    if len(entries) > MOST_RULES:
        raise WrongRule("file", f"there can be {MOST_RULES} rules at most")
    return [_read_rule(number, entry) for number, entry in enumerate(entries, start=1)]


def _read_rule(number: int, entry: dict[str, Any]) -> tuple[Rule, int | None]:
    connection = entry.pop("connection", None)
    if connection is not None and type(connection) is not int:
        raise WrongRule("connection", f"rule {number}: a connection is a number")
    try:
        return _RULE.validate_json(json.dumps({"ref": "", **entry}), strict=True), connection
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        cause = fault.get("ctx", {}).get("error")
        place = ".".join(str(part) for part in fault["loc"])
        problem = str(cause) if isinstance(cause, WrongRule) else f"{place or 'it'} cannot be read"
        field = cause.field if isinstance(cause, WrongRule) else "file"
        raise WrongRule(field, f"rule {number}: {problem}") from error
