"""The index of customers in the books: kept up to date by one list call a run, not one call a sale."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from addon.core.books import CustomerView
from addon.core.plan.sale import customer_key, organisation_key
from addon.ports.accounting import AccountingSystem
from addon.services.context import Services
from addon.store.models import AccountingConnection, CustomerRow

OVERLAP = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""


def refresh(services: Services, company_id: int, system: AccountingSystem) -> int:
    """Read active customers that changed since the last time; say under how many keys they are found.

    Of several customers with one address or organisation number the oldest is taken, so that a person's duplicate
    changes nothing.
    """
    started = services.now()
    with services.db.company_reading(company_id) as session:
        read_at = session.scalars(select(AccountingConnection)).one().customers_read_at
    keys: dict[str, tuple[str, CustomerView]] = {}
    for customer in system.fetch_customers(read_at - OVERLAP if read_at else None):
        email = customer.email.strip().lower()
        if email:
            keys.setdefault(customer_key(email), (email, customer))
        organisation = "".join(digit for digit in customer.organisation_number if digit.isdecimal())
        if organisation:
            keys.setdefault(organisation_key(organisation), (email, customer))
    with services.db.company(company_id) as session:
        # Whom we have made for a sale without domestic VAT is no customer for that buyer's other sales.
        special = set(session.scalars(select(CustomerRow.number).where(CustomerRow.key.like("customer/%/%"))))
        keys = {key: found for key, found in keys.items() if found[1].number not in special}
        known: set[str] = set()
        for start in range(0, len(keys), 500):
            chunk = sorted(keys)[start : start + 500]
            known.update(session.scalars(select(CustomerRow.key).where(CustomerRow.key.in_(chunk))))
        for key, (email, customer) in keys.items():
            if key not in known:
                session.add(CustomerRow(key=key, number=customer.number, name=customer.name, email=email))
        session.scalars(select(AccountingConnection)).one().customers_read_at = started
    return len(keys)
