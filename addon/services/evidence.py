"""Evidence: the provider's own record, readable and as data, for download and attached to each voucher.

Attaching has an outbox of its own, apart from the documents': a voucher is booked whether or not its file has come,
and a file that cannot be attached holds nothing. It is done at night, in the clock's runs, two calls a voucher.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from addon.core.delivery import DeliveryState, PartState
from addon.core.money import Money
from addon.core.records import Movement
from addon.ports import registry
from addon.ports.accounting import AccountingSystem
from addon.ports.errors import AlreadyDone, BadReply, NeedsReconnect, OutcomeUnknown, Rejected, TryLater
from addon.services.context import Services
from addon.services.pages import NotHere
from addon.services.paper import Attached, Paper, pdf
from addon.services.policy import provider_name
from addon.services.settings import own_company, read_company
from addon.services.tables import Cell, Sheet
from addon.store.codec import decode
from addon.store.models import (
    AccountingConnection,
    Connection,
    DeliveryRow,
    DocumentRow,
    EvidenceRow,
    MovementRow,
    PartRow,
    PayoutRow,
)

MOST_ATTEMPTS: Final = 5
WANTED_AT_ONCE: Final = 200
_MOST_FIELDS: Final = 400
_MOST_RAW: Final = 300
"""Of so many movements the provider's whole record goes into a voucher's file; of more, their lines do."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A record as PDF, which carries its data inside, and the data by itself; `name` without an ending."""

    name: str
    paper: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class AttachedCount:
    """What a slice of attaching did, and whether more is wanted."""

    attached: int
    left: bool


# --- The record -------------------------------------------------------------------------------------------------


def of_movement(services: Services, company_id: int, movement_id: int) -> Evidence:
    """The provider's record of one movement. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(MovementRow).where(MovementRow.id == movement_id)).one_or_none()
        if row is None:
            raise NotHere(f"movement {movement_id}")
        connection = session.get_one(Connection, row.connection_id)
        numbers = session.execute(
            select(DocumentRow.kind, DocumentRow.number)
            .join(PartRow, PartRow.document_id == DocumentRow.id)
            .where(PartRow.movement_id == row.id)
            .distinct()
        ).all()
        name = provider_name(connection.provider)
        movement = decode(Movement, row.value)
        facts = (
            *_whose(session, connection),
            ("Reference", f"{row.ref} {row.source_ref}".strip()),
            ("Kind", f"{row.kind} ({movement.raw_kind})" if movement.raw_kind else row.kind),
            ("Happened", row.occurred_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
            ("Amount, fees, net", f"{movement.amount}, {movement.amount - movement.net()}, {movement.net()}"),
            ("Buyer", ", ".join(filter(None, (movement.buyer.name, movement.buyer.email, movement.buyer.country)))),
            ("Order number", row.order_number),
            ("In the books", ", ".join(f"{kind} {number}" for kind, number in numbers if number) or "not yet"),
            ("Fetched", row.fetched_at.strftime("%Y-%m-%d %H:%M UTC")),
        )
        data = _json({"provider": connection.provider, "account": connection.account_ref, "record": row.raw})
        paper = Paper(
            f"{name}'s record",
            row.ref,
            facts,
            (Sheet("As the provider tells it", ("Field", "Value"), _fields(row.raw)),),
            f"{name} {row.ref}",
            row.fetched_at,
        )
        return Evidence(_file_name(f"{connection.provider}/{row.ref}"), _printed(paper, data), data)


def of_document(services: Services, company_id: int, document_id: int) -> Evidence:
    """What a voucher rests on: the provider's records of the movements that it books. Raises `NotHere`."""
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(DocumentRow).where(DocumentRow.id == document_id)).one_or_none()
        if row is None:
            raise NotHere(f"document {document_id}")
        connection = session.get_one(Connection, row.connection_id)
        name = provider_name(connection.provider)
        booked = _booked(session, row.id)
        payout = session.scalars(
            select(PayoutRow).where(PayoutRow.connection_id == row.connection_id, PayoutRow.ref == row.source_ref)
        ).one_or_none()
        sheets = [Sheet("What this voucher books", _COLUMNS, [_cells(one, part) for one, part in booked])]
        inside: list[MovementRow] = []
        if payout is not None:
            inside = _inside(session, payout)
            sheets.append(
                Sheet(f"What payout {payout.ref} consists of", _COLUMNS, [_cells(one, None) for one in inside])
            )
        facts = (
            *_whose(session, connection),
            ("Voucher", ", ".join(row.vouchers)),
            ("Booking date", row.booking_date.isoformat()),
            ("Amount", str(Money(row.total_minor, row.currency))),
            ("Kvitt's key", row.key),
            ("Rule", row.rule),
        )
        if payout is not None and payout.items_minor is not None:
            facts = (*facts, ("Lines together", str(Money(payout.items_minor, payout.currency))))
        content: dict[str, Any] = {
            "provider": connection.provider,
            "account": connection.account_ref,
            "key": row.key,
            "vouchers": row.vouchers,
            "payout": payout.raw if payout is not None else None,
            "movements": [_data(one, whole=len(booked) <= _MOST_RAW) for one, _ in booked],
            "lines": [_data(one, whole=False) for one in inside],
        }
        data = _json(content)
        at = row.booked_at or row.planned_at
        paper = Paper(f"{name}: {row.kind.replace('_', ' ')}", row.key, facts, tuple(sheets), f"{name} {row.key}", at)
        return Evidence(_file_name(row.key), _printed(paper, data), data)


def _whose(session: Session, connection: Connection) -> tuple[tuple[str, str], ...]:
    company = own_company(session)
    return (
        ("Company", f"{company.name}, {company.organisation_number}"),
        ("Account", " ".join(filter(None, (connection.account_name, connection.account_ref)))),
    )


_COLUMNS: Final = ("Happened", "Reference", "Kind", "Order", "Buyer", "Booked here", "Gross", "Fees", "Net", "Currency")


def _booked(session: Session, document_id: int) -> list[tuple[MovementRow, Money]]:
    rows = session.execute(
        select(MovementRow, func.sum(PartRow.amount_minor).label("booked"))
        .join(PartRow, PartRow.movement_id == MovementRow.id)
        .where(PartRow.document_id == document_id, PartRow.state == PartState.BOOKED.value)
        .group_by(MovementRow.id)
        .order_by(MovementRow.occurred_at, MovementRow.id)
    )
    return [(row, Money(int(booked), row.currency)) for row, booked in rows]


def _inside(session: Session, payout: PayoutRow) -> list[MovementRow]:
    return list(
        session.scalars(
            select(MovementRow)
            .where(
                MovementRow.connection_id == payout.connection_id,
                MovementRow.payout_ref == payout.ref,
                MovementRow.source_ref != payout.ref,
            )
            .order_by(MovementRow.occurred_at, MovementRow.id)
        )
    )


def _cells(row: MovementRow, booked: Money | None) -> tuple[Cell, ...]:
    return (
        row.occurred_at,
        row.source_ref or row.ref,
        row.kind,
        row.order_number,
        row.buyer,
        booked,
        Money(row.amount_minor, row.currency),
        Money(row.amount_minor - row.net_minor, row.currency),
        Money(row.net_minor, row.currency),
        row.currency,
    )


def _data(row: MovementRow, *, whole: bool) -> dict[str, Any]:
    line: dict[str, Any] = {
        "reference": row.ref,
        "source": row.source_ref,
        "kind": row.kind,
        "occurred_at": row.occurred_at.isoformat(),
        "gross_minor": row.amount_minor,
        "net_minor": row.net_minor,
        "currency": row.currency,
    }
    return {**line, "record": row.raw} if whole else line


def _fields(raw: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """A record's fields with their places, as many as a person reads."""
    flat = list(_flattened(raw, path))
    yield from flat[:_MOST_FIELDS]
    if len(flat) > _MOST_FIELDS:
        yield "…", f"{len(flat) - _MOST_FIELDS} fields more in the data"


def _flattened(raw: Any, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            yield from _flattened(value, f"{path}.{name}" if path else str(name))
    elif isinstance(raw, list):
        for place, value in enumerate(raw):
            yield from _flattened(value, f"{path}[{place}]")
    elif raw not in (None, ""):
        yield path, str(raw)


def _json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, default=str)
    return text.encode("utf-8", "replace")


def _printed(paper: Paper, data: bytes) -> bytes:
    return pdf(paper, (Attached("record.json", "application/json", data),))


def _file_name(key: str) -> str:
    """Our key as the name of a file: a person, and a look-up, find it by it."""
    return "".join(character if character.isalnum() or character in "-." else "_" for character in key)[:120]


# --- Attaching --------------------------------------------------------------------------------------------------


def possible(services: Services, session: Session) -> bool:
    """Whether the company's consent covers files; so too where its accounting system did not tell its scopes."""
    row = session.scalars(select(AccountingConnection)).one_or_none()
    needed = registry.accounting(row.system).file_scopes if row is not None else None
    if row is None or needed is None or row.state == "disconnected":
        return False
    granted = services.box.open_grant(row.grant_sealed).scope.split()
    return not granted or needed <= set(granted)


def attach(services: Services, company_id: int, system: AccountingSystem, enough: Callable[[], bool]) -> AttachedCount:
    """Attach what is wanted, until nothing is or `enough` says stop. Nothing, where the setting or consent says no.

    Errors of the accounting system end the slice and nothing else: what is left is tried the next night.
    """
    with services.db.company(company_id) as session:
        if not read_company(session).attach_evidence or not possible(services, session):
            return AttachedCount(0, left=False)
        _want(session, services.now())
        ids = list(
            session.scalars(
                select(EvidenceRow.id)
                .where(EvidenceRow.state.in_(("wanted", "uploaded")))
                .order_by(EvidenceRow.id)
                .limit(WANTED_AT_ONCE)
            )
        )
    done = 0
    for place, evidence_id in enumerate(ids):
        if enough():
            return AttachedCount(done, left=True)
        try:
            done += _attach(services, company_id, evidence_id, system)
        except (TryLater, NeedsReconnect, BadReply) as error:
            # A consent without files must not end the connection: the books themselves are as open as before.
            logging.getLogger(__name__).warning("company %s: evidence waits: %s", company_id, error)
            return AttachedCount(done, left=False)
        if place == len(ids) - 1 and len(ids) == WANTED_AT_ONCE:
            return AttachedCount(done, left=True)
    return AttachedCount(done, left=False)


def _want(session: Session, now: datetime) -> None:
    """A row for each voucher that has none, oldest first. The caller commits.

    Invoices get none: the invoice itself is the evidence, and names the provider's record.
    """
    rows = session.scalars(
        select(DocumentRow)
        .outerjoin(EvidenceRow, EvidenceRow.document_id == DocumentRow.id)
        .where(
            EvidenceRow.id.is_(None),
            DocumentRow.state == DeliveryState.BOOKED.value,
            exists().where(DeliveryRow.document_id == DocumentRow.id, DeliveryRow.kind == "post_voucher"),
        )
        .order_by(DocumentRow.id)
        .limit(WANTED_AT_ONCE)
    )
    for row in rows:
        if row.vouchers:
            session.add(EvidenceRow(document_id=row.id, voucher=row.vouchers[-1], changed_at=now))
    session.flush()


def _attach(services: Services, company_id: int, evidence_id: int, system: AccountingSystem) -> bool:
    """Upload one file and connect it; True if it is attached now. Raises what ends the slice."""
    with services.db.company_reading(company_id) as session:
        row = session.get_one(EvidenceRow, evidence_id)
        document_id, file_ref, voucher, doubtful = row.document_id, row.file_ref, row.voucher, row.doubtful
    try:
        if not file_ref:
            file = of_document(services, company_id, document_id)
            name = f"{file.name}.pdf"
            file_ref = system.upload_file(name, "application/pdf", file.paper, voucher)
            _change(services, company_id, evidence_id, state="uploaded", file_ref=file_ref, file_name=name)
        if doubtful and system.file_connected(file_ref):
            _change(services, company_id, evidence_id, state="attached", doubtful=False, error="")
            return True
        # Committed before a byte leaves: whoever comes later asks first whether it landed.
        _change(services, company_id, evidence_id, doubtful=True)
        try:
            system.connect_file(file_ref, voucher)
        except TryLater:
            _change(services, company_id, evidence_id, doubtful=False)
            raise
    except AlreadyDone:
        pass
    except OutcomeUnknown as error:
        # An upload whose answer was lost leaves a file that nothing points at, which is harmless.
        _failed(services, company_id, evidence_id, str(error))
        return False
    except Rejected as error:
        _change(services, company_id, evidence_id, state="given_up", error=f"{error.code} {error.message}".strip())
        return False
    _change(services, company_id, evidence_id, state="attached", doubtful=False, error="")
    return True


def _failed(services: Services, company_id: int, evidence_id: int, message: str) -> None:
    with services.db.company(company_id) as session:
        row = session.get_one(EvidenceRow, evidence_id)
        row.attempt += 1
        row.error, row.changed_at = message, services.now()
        if row.attempt >= MOST_ATTEMPTS:
            row.state = "given_up"


def _change(services: Services, company_id: int, evidence_id: int, **values: object) -> None:
    with services.db.company(company_id) as session:
        row = session.get_one(EvidenceRow, evidence_id)
        for name, value in values.items():
            setattr(row, name, value)
        row.changed_at = services.now()


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """How evidence stands, for the settings page: is it possible, and how many files are where."""

    offered: bool
    """Whether the accounting system takes files at all."""
    possible: bool
    attached: int
    waiting: int
    given_up: int


def standing(services: Services, company_id: int) -> EvidenceState:
    """Whether files can be attached, and how many have been."""
    with services.db.company_reading(company_id) as session:
        counts: dict[str, int] = {
            state: int(number)
            for state, number in session.execute(
                select(EvidenceRow.state, func.count(EvidenceRow.id)).group_by(EvidenceRow.state)
            )
        }
        waiting = counts.get("wanted", 0) + counts.get("uploaded", 0)
        offered = registry.accounting(own_company(session).accounting).file_scopes is not None
        can = offered and possible(services, session)
        return EvidenceState(offered, can, counts.get("attached", 0), waiting, counts.get("given_up", 0))
