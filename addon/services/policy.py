"""From settings, books and rates in the database to the one value that the planner is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from addon.core.accounts import AccountMap
from addon.core.books import Books
from addon.core.currencies import minor_units
from addon.core.dates import booking_date
from addon.core.fee_vat import of_connection
from addon.core.matching import MatchRules
from addon.core.rules import Mode, Policy
from addon.ports import registry
from addon.services.context import Services
from addon.services.rates import rates_for
from addon.services.rules import load_rules
from addon.services.settings import read_company, read_connection
from addon.store.models import Company, Connection

_DOCUMENT_DECIMALS: Final = 2
"""Both accounting systems write two decimals in every document, whatever the currency."""


class ModeNotChosen(ValueError):
    """A connection cannot be planned before a person has chosen its mode and start date."""


def provider_name(provider: str) -> str:
    """A provider as people write it."""
    return registry.title(provider)


def load_policy(
    services: Services, session: Session, company_row: Company, connection_row: Connection, books: Books
) -> Policy:
    """Put together what plans of a connection depend on. Raises `ModeNotChosen`."""
    company = read_company(session)
    connection = read_connection(connection_row)
    if connection.mode is None or connection.start_date is None:
        raise ModeNotChosen(f"connection {connection_row.id} has no mode or start date")
    currency = books.identity.currency
    rates, currency_rules = rates_for(
        session, company, connection_row, currency, books.identity.country or company_row.country
    )
    fee_vat, fee_rules = of_connection(company.fee_rules, company.fee_vat, connection.fee_treatment)
    return Policy(
        provider=connection_row.provider,
        provider_name=provider_name(connection_row.provider),
        account_ref=connection_row.account_ref,
        mode=Mode(connection.mode),
        books_currency=currency,
        zone=company.time_zone,
        today=booking_date(services.now(), company.time_zone),
        accounts=account_map(company.accounts, connection.accounts, books),
        books=books,
        decimals=_DOCUMENT_DECIMALS,
        default_vat_percent=company.default_vat_percent,
        export_without_vat=company.export_without_vat,
        fee_vat=fee_vat,
        locked_rule=company.locked_rule,
        collective_customers=company.collective_customers,
        invoice_text=company.invoice_text,
        order_places=connection.order_places,
        order_fields=connection.order_fields,
        wait_days=company.wait_days,
        tolerance_minor=int(company.tolerance.scaleb(minor_units(currency))),
        rounds_to_whole=bool(company.rounds_to_whole),
        form=company.form,
        rules=load_rules(session, connection_row.id),
        settlement=connection.settlement,
        rates=rates,
        currency_rules=currency_rules,
        fee_rules=fee_rules,
        vat=company.vat,
        matching=MatchRules(connection.order_patterns, company.book_drafts),
        kind_rules=company.kind_rules,
    )


def account_map(company: Mapping[str, str], connection: Mapping[str, str], books: Books) -> AccountMap:
    """The numbers of company and connection in one map, over those that the accounting system itself uses."""
    return AccountMap({**{role: number for role, number in books.predefined if number}, **company, **connection})
