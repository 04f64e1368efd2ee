"""Erase a company when it has left and the law no longer asks us to keep its records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from addon.core.books import Books
from addon.core.dates import booking_date, kept_until
from addon.core.delivery import DeliveryState
from addon.services.context import Services
from addon.store.codec import decode
from addon.store.erasure import erase_rows
from addon.store.models import BooksRow, Company, CompanyWork, DocumentRow

NEVER_BOOKED: Final = date.min
"""What `keep_until` says of a company in whose books nothing was written."""


class NotYet(ValueError):
    """Erasing is refused; the message says why, and what would allow it."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: how many rows of each table."""

    company_id: int
    rows: dict[str, int]


def keep_until(services: Services, company_id: int) -> date:
    """The last day on which the company's records must be kept, by the law of its country.

    It counts from the financial year of the newest document that Kvitt booked; `NEVER_BOOKED` if there is none.
    """
    with services.db.company_reading(company_id) as session:
        newest = session.scalar(
            select(func.max(DocumentRow.booking_date)).where(DocumentRow.state == DeliveryState.BOOKED.value)
        )
        country = session.get_one(Company, company_id).country
        kept = session.scalar(select(BooksRow.value))
    if newest is None:
        return NEVER_BOOKED
    year = decode(Books, kept).year_of(newest) if kept is not None else None
    # A financial year that we did not read may be a long one, of up to eighteen months.
    return kept_until(year.last_day if year is not None else date(newest.year + 1, 12, 31), country)


def erase(services: Services, company_id: int, who: str, handed_over_to: str = "") -> Erased:
    """Erase a company's data for good; a row without names tells that it was done. Raises `NotYet`.

    The company must have disconnected. Before the legal time is over, its records must have been handed over to
    somebody who keeps them: `handed_over_to` says to whom.
    """
    now = services.now()
    with services.db.open_reading() as session:
        company = session.get_one(Company, company_id)
        state, accounting, tenant = company.state, company.accounting, company.tenant
        today = booking_date(now, ZoneInfo(company.time_zone))
        lease_until = session.get_one(CompanyWork, company_id).lease_until
    if state != "disconnected":
        raise NotYet("the company still uses Kvitt; it disconnects first, on its settings page")
    if lease_until is not None and lease_until > now:
        raise NotYet("a run is at work; try again in a few minutes")
    until = keep_until(services, company_id)
    if until >= today and not handed_over_to:
        raise NotYet(
            f"the law asks that these records are kept until {until.isoformat()}; "
            "export them, and say to whom they were handed over"
        )
    record = {
        "accounting": accounting,
        # Answers "were we erased?" for whoever knows the number, and tells nobody else who it was.
        "tenant_hash": hashlib.sha256(f"{accounting}/{tenant}".encode()).hexdigest(),
        "who": who,
        "reason": f"handed over to {handed_over_to}" if handed_over_to else "the legal time is over",
    }
    return Erased(company_id, erase_rows(services.db.owner_url, company_id, record, now))
