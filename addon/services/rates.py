"""Official exchange rates: read from the bank that a company chose, kept for all companies, handed to its plans.

A bank is asked once for all companies of an installation: what it publishes is the same for everybody, and some
answer a few questions a minute only. What was read is never read again, and never changes under a document.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from addon.core.dates import booking_date
from addon.core.fixings import (
    OLDEST_FIXING_DAYS,
    PIVOTS,
    UNPUBLISHED_AFTER_DAYS,
    CurrencyRules,
    RateChoice,
    StandIn,
    central_bank,
    cross_rates,
)
from addon.core.money import ExchangeRate
from addon.ports.errors import PortError, TryLater
from addon.ports.rates import RateCapabilities, RateSource
from addon.services.calls import CallLog
from addon.services.context import Services
from addon.services.settings import SEEN_CURRENCIES, CompanyConfig, own_company, read_company, read_connection
from addon.store.models import Connection, PublishedRateRow, RateReadRow, RateRow

TRIES: Final = 2
PAUSE_S = 0.5
"""Between two tries at a bank that is busy; a longer wait is left to the next run."""
MARGIN: Final = timedelta(days=OLDEST_FIXING_DAYS + 1)
"""A sale on the first day may go by a fixing of a week before."""


# --- Reading what is missing ----------------------------------------------------------------------------------


def read_missing(services: Services, company_id: int, run_id: int | None = None) -> bool:
    """Read the days that a company's plans may need and nobody has read; says whether all of them are known now.

    Two questions at most, one back in time and one up to today, each tried twice. A bank that does not answer stops
    nothing: what needs its rates waits for the next run. That of a bank which only stands in is no news for anybody.
    """
    with services.db.company_reading(company_id) as session:
        config, country = read_company(session), own_company(session).country
        choice, today = bank_of(config, country), booking_date(services.now(), config.time_zone)
        first_day = _first_day(session)
    if choice is None or first_day is None:
        return True
    log = CallLog()
    try:
        source = services.outside.rates(choice, log)
        for start, end in _missing(services, choice, first_day - MARGIN, today):
            _keep(services, source.capabilities, start, end, _fetch(source, start, end))
    except PortError as error:
        logging.getLogger(__name__).warning("rates of %s could not be read: %s", choice.value, error)
        return config.rate_source is RateChoice.ACCOUNTING
    finally:
        log.save(services, company_id, run_id)
    return True


def bank_of(config: CompanyConfig, country: str) -> RateChoice | None:
    """The bank whose fixings a company's plans may need: the chosen one, or the one that stands in; None: nobody's."""
    if config.rate_source is not RateChoice.ACCOUNTING:
        return config.rate_source
    return central_bank(country) if config.rate_stand_in else None


def _first_day(session: Session) -> date | None:
    """The first day of a company's connections that have foreign currency; None where none has, or none is ready."""
    starts = [
        row.start_date
        for row in session.scalars(select(Connection).where(Connection.state != "disconnected"))
        if row.start_date is not None and len(currencies_of(row)) > 1
    ]
    return min(starts, default=None)


def currencies_of(row: Connection) -> frozenset[str]:
    """Every currency that a connection has had to do with."""
    seen = row.settings.get(SEEN_CURRENCIES, {})
    return frozenset((*seen.get("balances", ()), *seen.get("presented", ()), *read_connection(row).currencies()))


def _missing(services: Services, choice: RateChoice, first_day: date, today: date) -> list[tuple[date, date]]:
    """The stretches of days that are not known, at most one before what is and one after it."""
    with services.db.open_reading() as session:
        known = session.get(RateReadRow, choice.value)
    if known is None:
        return [(first_day, today)]
    missing = []
    if first_day < known.first_day:
        missing.append((first_day, known.first_day - timedelta(days=1)))
    if known.through < today - timedelta(days=1):
        missing.append((known.through + timedelta(days=1), today))
    return missing


def _fetch(source: RateSource, start: date, end: date) -> tuple[ExchangeRate, ...]:
    for attempt in range(1, TRIES + 1):
        try:
            return source.fetch_rates((), start, end)
        except TryLater as error:
            if attempt == TRIES or (error.retry_after_s or 0) > PAUSE_S:
                raise
            time.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _keep(services: Services, bank: RateCapabilities, start: date, end: date, fixings: Iterable[ExchangeRate]) -> None:
    """Store fixings and how far they are known. Another process may be storing the same: then it is there."""
    fixings = tuple(fixings)
    for again in (False, True):
        try:
            _store(services, bank, start, end, fixings)
        except IntegrityError:
            if again:
                raise
        else:
            return


def _store(
    services: Services, bank: RateCapabilities, start: date, end: date, fixings: tuple[ExchangeRate, ...]
) -> None:
    now = services.now()
    with services.db.open() as session:
        known = {
            (row.fixed_on, row.base, row.quote)
            for row in session.execute(
                select(PublishedRateRow.fixed_on, PublishedRateRow.base, PublishedRateRow.quote).where(
                    PublishedRateRow.source == bank.choice.value, PublishedRateRow.fixed_on.between(start, end)
                )
            )
        }
        session.add_all(
            PublishedRateRow(
                source=bank.choice.value,
                base=fixing.base,
                quote=fixing.quote,
                fixed_on=fixing.fixed_on,
                rate=str(fixing.rate),
                unit=fixing.unit,
                read_at=now,
            )
            for fixing in fixings
            if start <= fixing.fixed_on <= end and (fixing.fixed_on, fixing.base, fixing.quote) not in known
        )
        through = settled_through(bank, start, end, fixings, now)
        row = session.get(RateReadRow, bank.choice.value, with_for_update=True)
        if row is None:
            session.add(RateReadRow(source=bank.choice.value, first_day=start, through=through, read_at=now))
            return
        if start <= row.first_day and end >= row.first_day - timedelta(days=1):
            row.first_day = start
        if start <= row.through + timedelta(days=1):
            row.through = max(row.through, through)
        row.read_at = now


def settled_through(
    bank: RateCapabilities, start: date, end: date, fixings: Iterable[ExchangeRate], now: datetime
) -> date:
    """The last day of which it is sure whether it has a fixing: one came for it or for a later day, or it is too late
    for one to come."""
    came = max((fixing.fixed_on for fixing in fixings if fixing.fixed_on <= end), default=start - timedelta(days=1))
    day = end
    while day > came and datetime.combine(day + timedelta(days=1), time_of_day.min, UTC) + bank.late > now:
        day -= timedelta(days=1)
    return day


# --- What a plan is given -------------------------------------------------------------------------------------


def known_rates(session: Session, quote: str, since: date) -> tuple[ExchangeRate, ...]:
    """The accounting system's own rates of a currency that have been read, from a day on."""
    query = select(RateRow).where(RateRow.quote == quote, RateRow.fixed_on >= since)
    return tuple(
        ExchangeRate(row.base, row.quote, Decimal(row.rate), row.unit, row.fixed_on, row.source)
        for row in session.scalars(query.order_by(RateRow.base, RateRow.fixed_on))
    )


def rates_for(
    session: Session, config: CompanyConfig, row: Connection, quote: str, country: str
) -> tuple[tuple[ExchangeRate, ...], CurrencyRules]:
    """The rates that a connection's plans go by, and what is known of them.

    Of a bank only the currencies that the connection has had are taken; where the bank does not quote one of them,
    the accounting system's own rates stand in. Where those are chosen, the central bank's fixings stand in for them.
    """
    rules, bank = config.currency_rules(), bank_of(config, country)
    assert row.start_date is not None  # noqa: S101 - a policy is loaded for connections with a start date only
    since = row.start_date - MARGIN
    own = known_rates(session, quote, since)
    read = session.get(RateReadRow, bank.value) if bank is not None else None
    if bank is None or read is None:
        return (own if rules.source is RateChoice.ACCOUNTING else ()), rules
    wanted = currencies_of(row) | {quote}
    rates = _published(session, bank, wanted, since, quote)
    if rules.source is RateChoice.ACCOUNTING:
        return own, replace(rules, stand_in=StandIn(bank, rates, read.first_day, read.through))
    lately = read.through - timedelta(days=UNPUBLISHED_AFTER_DAYS)
    quoted = {rate.base for rate in rates if rate.fixed_on >= lately}
    rules = replace(rules, read_from=read.first_day, read_through=read.through, unpublished=wanted - quoted - {quote})
    stand_in = tuple(rate for rate in own if rate.base in rules.unpublished)
    return (*rates, *stand_in), rules


def _published(
    session: Session, bank: RateChoice, wanted: frozenset[str], since: date, quote: str
) -> tuple[ExchangeRate, ...]:
    """A bank's fixings of some currencies in the books' own, worked out where it publishes them against another."""
    near = wanted | {PIVOTS[bank]}
    published = session.scalars(
        select(PublishedRateRow)
        .where(
            PublishedRateRow.source == bank.value,
            PublishedRateRow.fixed_on >= since,
            PublishedRateRow.base.in_(near),
            PublishedRateRow.quote.in_(near),
        )
        .order_by(PublishedRateRow.fixed_on, PublishedRateRow.base)
    )
    fixings = [
        ExchangeRate(one.base, one.quote, Decimal(one.rate), one.unit, one.fixed_on, one.source) for one in published
    ]
    return tuple(rate for rate in cross_rates(fixings, quote) if rate.base in wanted)
