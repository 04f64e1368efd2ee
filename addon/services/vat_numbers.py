"""VAT numbers of buyers: their format checked here, their validity by the EU's register, the answers kept as evidence.

A sale without VAT is booked only while an answer of at most a day is at hand that says the number is valid. One that
cannot be one is never asked for. The register is often away: then the sale waits, and is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import stdnum.eu.vat
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stdnum.exceptions import ValidationError

from addon.core.books import Identity
from addon.core.dates import booking_date
from addon.core.plan import OpenMovement
from addon.core.plan.vat import checked_number
from addon.core.records import MovementKind
from addon.core.rules import Mode, Policy
from addon.core.vat import NumberCheck, NumberState, country_of
from addon.ports.errors import BadReply, TryLater
from addon.ports.vat_numbers import NumberAnswer
from addon.services.calls import CallLog
from addon.services.context import Services
from addon.services.settings import read_company
from addon.store.models import VatCheckRow

GOOD_FOR: Final = timedelta(days=1)
"""How long an answer counts."""
ASK_AGAIN: Final = timedelta(minutes=10)
"""How soon a register that did not answer is asked again."""
MOST_ASKED: Final = 60
"""Questions in one planning pass; the rest waits for the next."""
_GIVE_UP_ON_STATE: Final = 2
"""After so many questions without an answer a member state is left alone for this pass."""


def is_well_formed(number: str) -> bool:
    """Whether a number can be a VAT number of an EU country: its length, letters and check digits."""
    if not country_of(number):
        return False
    try:
        stdnum.eu.vat.validate(number)
    except (ValidationError, ValueError):
        return False
    return True


def own_number(identity: Identity, stated: str) -> str:
    """The company's own VAT number: as a person stated it, else made from a Swedish organisation number."""
    digits = "".join(character for character in identity.organisation_number if character.isdigit())
    if stated or identity.country != "SE" or len(digits) != 10:
        return stated
    return f"SE{digits}01"


def wanted_numbers(movements: Iterable[OpenMovement], policy: Policy) -> tuple[str, ...]:
    """The VAT numbers that a register must confirm before these movements can be planned."""
    if policy.mode is Mode.BASIC:
        return ()
    numbers = {
        checked_number(entry.movement, policy)
        for entry in movements
        if entry.movement.kind is MovementKind.SALE and "amount" in entry.open_parts and entry.movement.buyer.vat_number
    }
    return tuple(sorted(numbers - {""}))


def load_checks(session: Session, numbers: Sequence[str], policy: Policy) -> dict[str, NumberCheck]:
    """What is known of these numbers and still counts: the newest answer of each, of yesterday at the oldest."""
    rows = _newest(session, numbers)
    found = {number: _check(row, policy) for number, row in rows.items()}
    oldest = policy.today - GOOD_FOR
    return {number: check for number, check in found.items() if check.checked_on >= oldest}


def ask(
    services: Services,
    company_id: int,
    movements: Iterable[OpenMovement],
    policy: Policy,
    run_id: int | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> int:
    """Ask the register for the numbers that these movements need and that nobody answered for today; say how many.

    No transaction is open while it answers. Each answer is kept at once.
    """
    numbers = wanted_numbers(movements, policy)
    if not numbers:
        return 0
    now = services.now()
    with services.db.company_reading(company_id) as session:
        rows = _newest(session, numbers)
        requester = own_number(policy.books.identity, read_company(session).own_vat_number)
    due = [number for number in numbers if _is_due(rows.get(number), now)]
    log = CallLog()
    asked = 0
    silent: dict[str, int] = {}
    try:
        register = services.outside.vat_register(log)
        for number in due:
            if asked >= MOST_ASKED or (asked and enough()):
                break
            if silent.get(number[:2], 0) >= _GIVE_UP_ON_STATE:
                continue
            if is_well_formed(number):
                asked += 1
                row = _answer(services, partial(register.check, number, requester), number)
            else:
                row = VatCheckRow(number=number, state=NumberState.MALFORMED.value, checked_at=services.now())
            if row.state == NumberState.UNAVAILABLE.value:
                silent[number[:2]] = silent.get(number[:2], 0) + 1
            with services.db.company(company_id) as session:
                session.add(row)
    finally:
        log.save(services, company_id, run_id)
    return asked


def _answer(services: Services, call: Callable[[], NumberAnswer], number: str) -> VatCheckRow:
    """One question and its answer as a row; no answer is a row as well, so that a person sees what was tried."""
    try:
        answer = call()
    except (TryLater, BadReply) as error:
        reason = str(error)[:60]
        return VatCheckRow(number=number, state=NumberState.UNAVAILABLE.value, checked_at=services.now(), reason=reason)
    malformed = not answer.valid and bool(answer.reason)
    state = NumberState.VALID if answer.valid else NumberState.MALFORMED if malformed else NumberState.INVALID
    return VatCheckRow(
        number=number,
        state=state.value,
        checked_at=services.now(),
        consultation=answer.consultation,
        name=answer.name,
        address=answer.address,
        reason=answer.reason,
    )


def _is_due(row: VatCheckRow | None, now: datetime) -> bool:
    if row is None:
        return True
    keeps = ASK_AGAIN if row.state == NumberState.UNAVAILABLE.value else GOOD_FOR
    return now - row.checked_at >= keeps


def _newest(session: Session, numbers: Sequence[str]) -> dict[str, VatCheckRow]:
    found: dict[str, VatCheckRow] = {}
    for start in range(0, len(numbers), 500):
        newest = (
            select(func.max(VatCheckRow.id))
            .where(VatCheckRow.number.in_(numbers[start : start + 500]))
            .group_by(VatCheckRow.number)
        )
        found.update(
            {row.number: row for row in session.scalars(select(VatCheckRow).where(VatCheckRow.id.in_(newest)))}
        )
    return found


def _check(row: VatCheckRow, policy: Policy) -> NumberCheck:
    return NumberCheck(
        number=row.number,
        state=NumberState(row.state),
        checked_on=booking_date(row.checked_at, policy.zone),
        consultation=row.consultation,
        name=row.name,
        reason=row.reason,
    )


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A check as a page lists it."""

    number: str
    state: NumberState
    checked_at: datetime
    consultation: str
    name: str
    reason: str


def latest(services: Services, company_id: int, limit: int = 50) -> tuple[CheckLine, ...]:
    """The newest checks, newest first."""
    with services.db.company_reading(company_id) as session:
        rows = session.scalars(select(VatCheckRow).order_by(VatCheckRow.id.desc()).limit(limit))
        return tuple(
            CheckLine(row.number, NumberState(row.state), row.checked_at, row.consultation, row.name, row.reason)
            for row in rows
        )
