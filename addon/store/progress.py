"""What people see of a run while it goes on, counted from the rows: once a second, and at the end of each slice."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import ScalarSelect, func, select

from addon.core.delivery import DeliveryState, PartState
from addon.store.deliveries import Within, carry_out
from addon.store.models import Base, CallRow, Company, DocumentRow, Id, PartRow
from addon.store.prepared import Prepared, given

_WRITES: Final = ("POST", "PUT", "DELETE", "PATCH")
_COMPANY: Final = given("given_company", Id)
_documents: Final = Base.metadata.tables[DocumentRow.__tablename__].c
_parts: Final = Base.metadata.tables[PartRow.__tablename__].c
_calls: Final = Base.metadata.tables[CallRow.__tablename__].c
_companies: Final = Base.metadata.tables[Company.__tablename__].c


class Counted(NamedTuple):
    """A company's documents and parts, and a run's calls to the accounting system."""

    to_deliver: int
    booked: int
    waiting: int
    held: int
    writes: int
    calls: int


def _documents_in(*states: DeliveryState) -> ScalarSelect[int]:
    query = select(func.count()).where(
        _documents.company_id == _COMPANY, _documents.state.in_([state.value for state in states])
    )
    return query.scalar_subquery()


def _parts_in(state: PartState) -> ScalarSelect[int]:
    return select(func.count()).where(_parts.company_id == _COMPANY, _parts.state == state.value).scalar_subquery()


_OF_RUN: Final = select(func.count()).where(
    _calls.company_id == _COMPANY,
    _calls.run_id == given("given_run", Id),
    _companies.id == _COMPANY,
    _calls.system == _companies.accounting,
)
_COUNTED: Final = Prepared(
    select(
        _documents_in(DeliveryState.APPROVED, DeliveryState.SENDING),
        _documents_in(DeliveryState.BOOKED),
        _parts_in(PartState.WAITING),
        _parts_in(PartState.HELD),
        _OF_RUN.where(_calls.method.in_(_WRITES)).scalar_subquery(),
        _OF_RUN.scalar_subquery(),
    )
)
_WORDS: Final = Prepared(
    select(_documents.kind, _documents.source_ref, _documents.key).where(
        _documents.company_id == _COMPANY, _documents.id == given("given_id", Id)
    )
)


def count(session: Within, run_id: int) -> Counted:
    """How far a company is, and what a run has asked and written. One statement: a run counts many times."""
    return Counted(*carry_out(session, _COUNTED, given_run=run_id)[0])


def in_words(session: Within, document_id: int) -> str:
    """A document as the line that people watch names it. Raises `ValueError` for one that is not there."""
    ((kind, source_ref, key),) = carry_out(session, _WORDS, given_id=document_id)
    return f"{kind} {source_ref or key}"
