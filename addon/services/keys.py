"""Change the keys that grants are sealed with, while everything runs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.services import activity
from addon.services.context import Services
from addon.store.models import AccountingConnection, Company, Connection, ParkedActivation
from addon.store.secrets import SecretUnreadable


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: how many secrets it sealed anew, and which none of the keys opens."""

    sealed: int
    unreadable: tuple[str, ...]


def rotate_keys(services: Services) -> Rotated:
    """Seal every secret with the first key of `TOKEN_KEYS`. May be repeated, and stopped at any instant.

    One company at a time, each row locked as a token's renewal locks it, so that no renewed token is overwritten.
    A secret that none of the keys opens is named and left as it is: its company must reconnect.
    """
    sealed = 0
    unreadable: list[str] = []
    with services.db.open_reading() as session:
        company_ids = list(session.scalars(select(Company.id).order_by(Company.id)))
    for company_id in company_ids:
        with services.db.company(company_id) as session:
            done, failed = _rotate_company(services, session, company_id)
            if done:
                activity.record(session, "", "keys_rotated", {"secrets": str(done)}, services.now())
        sealed += done
        unreadable += failed
    with services.db.open() as session:
        for row in session.scalars(select(ParkedActivation).with_for_update()):
            try:
                row.grant_sealed = services.box.rotate(row.grant_sealed)
                sealed += 1
            except SecretUnreadable:
                unreadable.append(f"activation {row.id} that waits for a person")
    return Rotated(sealed, tuple(unreadable))


def _rotate_company(services: Services, session: Session, company_id: int) -> tuple[int, list[str]]:
    rows: list[tuple[AccountingConnection | Connection, str]] = [
        (row, row.system) for row in session.scalars(select(AccountingConnection).with_for_update())
    ]
    rows += [
        (row, f"{row.provider} {row.account_ref}")
        for row in session.scalars(select(Connection).order_by(Connection.id).with_for_update())
    ]
    done, failed = 0, []
    for row, name in rows:
        try:
            row.grant_sealed = services.box.rotate(row.grant_sealed)
            done += 1
        except SecretUnreadable:
            failed.append(f"company {company_id}: {name}")
    return done, failed
