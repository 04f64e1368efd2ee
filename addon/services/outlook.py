"""What Basic and Plus would mean for a company, on its own figures: counted before a person has to choose.

Nothing is stored but the figures themselves, and nothing is written into the books.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from addon.core.books import InvoiceView
from addon.core.money import Money
from addon.core.records import Movement, MovementKind
from addon.ports.calls import Lane
from addon.ports.errors import PortError
from addon.services.calls import CallLog
from addon.services.connections import accounting_system, payment_source
from addon.services.context import Services
from addon.services.settings import ConnectionConfig, get_connection, own_company, read_connection

DAYS: Final = 30
_PAGES: Final = 20
_ASKED: Final = 8
"""How many order numbers are looked up in the books; each costs a call or two."""
_KEPT: Final = "outlook"


@dataclass(frozen=True, slots=True)
class ModeFigures:
    """A connection's last 30 days. `asked` order numbers were looked up, `matched` of them stand on an invoice."""

    sales: int
    refunds: int
    with_order_number: int
    in_books_currency: int
    currencies: tuple[str, ...]
    asked: int
    matched: int
    complete: bool
    """False: there was more than was counted."""


def look(services: Services, company_id: int, connection_id: int) -> ModeFigures:
    """Count the last 30 days at the provider, look some order numbers up in the books, and keep the figures.

    Raises `UnknownConnection` and the errors of `addon.ports.errors`.
    """
    log = CallLog()
    with services.db.company_reading(company_id) as session:
        config = read_connection(get_connection(session, connection_id))
        home = own_company(session).currency
    now = services.now()
    try:
        movements, complete = _movements(services, company_id, connection_id, now, log)
        sales = [movement for movement in movements if movement.kind is MovementKind.SALE]
        asked, matched = _look_up(services, company_id, sales, config, home, log)
    finally:
        log.save(services, company_id)
    figures = ModeFigures(
        sales=len(sales),
        refunds=sum(movement.kind is MovementKind.REFUND for movement in movements),
        with_order_number=sum(bool(_order_number(movement, config)) for movement in sales),
        in_books_currency=sum(_paid(movement).currency == home for movement in sales),
        currencies=tuple(sorted({_paid(movement).currency for movement in sales})),
        asked=asked,
        matched=matched,
        complete=complete,
    )
    with services.db.company(company_id) as session:
        row = get_connection(session, connection_id, for_update=True)
        row.settings = {**row.settings, _KEPT: {**asdict(figures), "currencies": list(figures.currencies)}}
    return figures


def figures(settings: Mapping[str, Any]) -> ModeFigures | None:
    """The figures that a connection's row keeps; None if nobody has counted."""
    kept = settings.get(_KEPT)
    if not isinstance(kept, dict):
        return None
    return ModeFigures(**{**kept, "currencies": tuple(kept["currencies"])})


def _paid(movement: Movement) -> Money:
    return movement.presented if movement.presented is not None else movement.amount


def _movements(
    services: Services, company_id: int, connection_id: int, now: datetime, log: CallLog
) -> tuple[list[Movement], bool]:
    source = payment_source(services, company_id, connection_id, log)
    found: list[Movement] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = source.fetch_movements(now - timedelta(days=DAYS), now, cursor)
        found += [item.value for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found, True
    return found, False


def _order_number(movement: Movement, config: ConnectionConfig) -> str:
    """The order number in the first of the places that are set."""
    by_place = {number.place: number.value for number in movement.order_numbers}
    return next((by_place[place] for place in config.order_places if place in by_place), "")


def _look_up(
    services: Services,
    company_id: int,
    sales: list[Movement],
    config: ConnectionConfig,
    home: str,
    log: CallLog,
) -> tuple[int, int]:
    """Ask the books for a few order numbers, spread over the month. Books that do not answer count as not asked."""
    ours = (_order_number(sale, config) for sale in sales if _paid(sale).currency == home)
    numbers = list(dict.fromkeys(number for number in ours if number))
    chosen = numbers[:: max(1, len(numbers) // _ASKED)][:_ASKED]
    if not chosen:
        return 0, 0
    system = accounting_system(services, company_id, log, Lane.CLICK)
    asked = matched = 0
    for number in chosen:
        try:
            invoices = system.find_invoices(number, config.order_fields)
        except PortError:
            return asked, matched
        asked += 1
        matched += any(_is_sale(invoice) for invoice in invoices)
    return asked, matched


def _is_sale(invoice: InvoiceView) -> bool:
    return not invoice.cancelled and invoice.total.minor > 0
