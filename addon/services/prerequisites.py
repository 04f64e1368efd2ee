"""Prerequisites: read the books, check them against what the connections need, keep the result, mend on demand.

Reading also finds the defaults: accounts that the company's chart really has, a voucher series for Kvitt alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from addon.core.accounts import AccountRole
from addon.core.books import Books, Check, Register, Remedy, Repair
from addon.core.checklists import Prerequisite
from addon.core.dates import booking_date, start_of_day
from addon.core.delivery import PartState
from addon.core.holds import HoldReason
from addon.core.invoicing import Choice
from addon.core.prerequisites import (
    Needs,
    account_name,
    check_books,
    propose_company_accounts,
    propose_series,
)
from addon.core.records import Movement
from addon.core.routing import named_codes
from addon.core.rules import FeeVat, Mode
from addon.core.saleform import Articles, SaleDocument
from addon.core.settlement import SettlementContra, SettlementStyle
from addon.core.vat import EuBusiness, Supply
from addon.ports import registry
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import Lane
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import activity
from addon.services.calls import CallLog
from addon.services.connections import (
    ACCOUNT_CURRENCIES,
    ARRIVALS_UNKNOWN,
    HOLDS_OFTEN,
    RECONNECT,
    accounting_system,
    load_books,
    lost,
    payment_source,
    propose_accounts,
)
from addon.services.context import Services
from addon.services.pages import NotHere
from addon.services.policy import provider_name
from addon.services.rules import stored_rules
from addon.services.settings import (
    SEEN_CURRENCIES,
    CompanyConfig,
    own_company,
    propose,
    propose_once,
    read_company,
    read_connection,
    settle_state,
)
from addon.store.codec import decode, encode
from addon.store.models import BooksRow, CheckRow, Connection, MovementRow, PartRow, RateRow

__all__ = ["Prerequisite", "StoredCheck", "check", "checklist", "latest", "repair"]

_SAMPLE_PAGES: Final = 5


class UnknownCheck(LookupError):
    """The company has no such check any more, or nothing that can be mended."""


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A check as last made, under the number that Repair names it by."""

    id: int
    check: Check
    checked_at: datetime


# --- reading --------------------------------------------------------------------------------------------------


def check(
    services: Services, company_id: int, system: AccountingSystem | None = None, lane: Lane = Lane.CLICK
) -> tuple[Check, ...]:
    """Read the books, keep them, find defaults, test all prerequisites, and stop or free the company.

    `system` is for a run that has one open already. Raises the errors of `addon.ports.errors`; then nothing
    has changed.
    """
    with services.db.company_reading(company_id) as session:
        rows = _active(session)
        unsampled = _unsampled(rows)
        first_day, today = _days(session, rows, services.now())
        registers = tuple(dict.fromkeys(register for register, _ in _codes_named(session)))
        scopes = _more_scopes(session)
    for connection_id in unsampled:
        _sample(services, company_id, connection_id)
    log = CallLog()
    try:
        reader = system if system is not None else accounting_system(services, company_id, log, lane)
        books = reader.fetch_books(first_day, today)
        if registers or scopes:
            books = reader.with_registers(books, registers, scopes)
    except NeedsReconnect:
        # A grant that is not renewed tells by its refusal alone that it was taken back.
        lost(services, company_id)
        raise
    finally:
        log.save(services, company_id)
    try:
        return _keep(services, company_id, books)
    except IntegrityError:
        # A page and a run checked at the same instant, and both added the same line: now it is there.
        return _keep(services, company_id, books)


def _codes_named(session: Session) -> tuple[tuple[Register, str], ...]:
    """The codes that settings and rules name, which must be in the books."""
    form = read_company(session).form
    centres, projects = named_codes(stored.rule for stored in stored_rules(session))
    named = [
        (Register.PAYMENT_TERMS, form.payment_terms),
        *((Register.COST_CENTRES, code) for code in sorted({form.cost_centre, *centres})),
        *((Register.PROJECTS, code) for code in sorted({form.project, *projects})),
    ]
    return tuple((register, code) for register, code in named if code)


def _more_scopes(session: Session) -> tuple[str, ...]:
    """Registers beyond the usual ones that the company's choices need."""
    form = read_company(session).form
    wanted = {
        "article": form.articles is not Articles.FREE_TEXT,
        "order": form.document is SaleDocument.ORDER,
    }
    return tuple(scope for scope, needed in wanted.items() if needed)


def _days(session: Session, rows: Iterable[Connection], now: datetime) -> tuple[date, date]:
    """From the earliest start of a connection until today, in the company's zone."""
    today = booking_date(now, read_company(session).time_zone)
    starts = [row.start_date for row in rows if row.start_date is not None]
    return min([*starts, today.replace(day=1)]), today


def _active(session: Session) -> tuple[Connection, ...]:
    return tuple(session.scalars(select(Connection).where(Connection.state != "disconnected").order_by(Connection.id)))


def _keep(services: Services, company_id: int, books: Books) -> tuple[Check, ...]:
    now = services.now()
    with services.db.company(company_id) as session:
        books = _as_told(session, books)
        _store_books(session, books, now)
        store_rates(session, books)
        _update_company(session, books)
        config = read_company(session)
        today = booking_date(now, config.time_zone)
        company_proposal = propose_company_accounts(books, today)
        values = {f"accounts.{role}": number for role, number in company_proposal.numbers.items()}
        propose(session, {**values, "voucher_series": propose_series(books)})
        if books.invoicing is not None:
            codes = books.invoicing.usual_fee_codes
            propose_once(session, {f"fee_vat_code.{treatment}": code for treatment, code in codes})
        seen = [(row, *_seen(session, row)) for row in _active(session)]
        for row, balances, _presented in seen:
            propose_accounts(session, row, books, tuple(sorted(balances)), now)
        session.flush()
        listed = registry.accounting(own_company(session).accounting).checklist
        checks = check_books(books, _needs(session, books, seen, now), listed)
        _store_checks(session, checks, now)
        _settle(session, checks, now)
    return checks


def _as_told(session: Session, books: Books) -> Books:
    """The books with what no call tells and a person was asked: whether they go by payments, in every year."""
    if not read_company(session).by_payments:
        return books
    return replace(books, years=tuple(replace(year, accrual=False) for year in books.years))


def _store_books(session: Session, books: Books, now: datetime) -> None:
    row = session.scalars(select(BooksRow).with_for_update()).one_or_none()
    if row is None:
        row = BooksRow()
        session.add(row)
    row.value = encode(books)
    row.read_at = now


def store_rates(session: Session, books: Books) -> None:
    """Keep the rates that the books show: they are fixings that later bookings go by. The caller commits."""
    rates = [currency.rate for currency in books.currencies if currency.rate is not None]
    if not rates:
        return
    known = {
        (row.base, row.quote, row.fixed_on)
        for row in session.execute(
            select(RateRow.base, RateRow.quote, RateRow.fixed_on).where(
                RateRow.fixed_on >= min(rate.fixed_on for rate in rates)
            )
        )
    }
    session.add_all(
        RateRow(
            base=rate.base,
            quote=rate.quote,
            fixed_on=rate.fixed_on,
            rate=str(rate.rate),
            unit=rate.unit,
            source=rate.source,
        )
        for rate in rates
        if (rate.base, rate.quote, rate.fixed_on) not in known
    )


def _update_company(session: Session, books: Books) -> None:
    company = own_company(session)
    identity = books.identity
    company.name = identity.name[:200] or company.name
    company.organisation_number = identity.organisation_number[:30]
    company.country = identity.country or company.country
    company.currency = identity.currency or company.currency


# --- what the connections need --------------------------------------------------------------------------------


def _unsampled(rows: Iterable[Connection]) -> tuple[int, ...]:
    """Connections of which nothing has been fetched and nothing is known."""
    return tuple(
        row.id
        for row in rows
        if row.state == "connected" and row.fetched_until is None and SEEN_CURRENCIES not in row.settings
    )


def _sample(services: Services, company_id: int, connection_id: int) -> None:
    """Look at the first pages of movements, only to learn which currencies the provider uses; nothing is kept."""
    log = CallLog()
    with services.db.company_reading(company_id) as session:
        row = session.get_one(Connection, connection_id)
        zone = read_company(session).time_zone
        start = start_of_day(row.start_date or booking_date(row.connected_at, zone), zone)
    balances: set[str] = set()
    presented: set[str] = set()
    cursor: str | None = None
    try:
        source = payment_source(services, company_id, connection_id, log)
        for _ in range(_SAMPLE_PAGES):
            page = source.fetch_movements(start, services.now(), cursor)
            for item in page.items:
                _note_currencies(item.value, balances, presented)
            cursor = page.next_cursor
            if cursor is None:
                break
    except PortError:
        # The check of the books goes on without; the run that fetches will know.
        return
    finally:
        log.save(services, company_id)
    with services.db.company(company_id) as session:
        row = session.get_one(Connection, connection_id)
        row.settings = {**row.settings, SEEN_CURRENCIES: _seen_value(balances, presented, 0)}


def _note_currencies(movement: Movement, balances: set[str], presented: set[str]) -> None:
    balances.add(movement.currency)
    if movement.presented is not None:
        presented.add(movement.presented.currency)


def _seen_value(balances: Iterable[str], presented: Iterable[str], movement_id: int) -> dict[str, Any]:
    return {"balances": sorted(balances), "presented": sorted(presented), "movement_id": movement_id}


def _seen(session: Session, row: Connection) -> tuple[set[str], set[str]]:
    """Balance and buyers' currencies of all movements that were ever fetched; only new ones are looked at."""
    stored: Mapping[str, Any] = row.settings.get(SEEN_CURRENCIES, {})
    balances, presented = set(stored.get("balances", ())), set(stored.get("presented", ()))
    last = int(stored.get("movement_id", 0))
    newest = session.scalar(select(func.max(MovementRow.id)).where(MovementRow.connection_id == row.id)) or 0
    if newest > last:
        new = select(MovementRow.currency, MovementRow.presented_currency).where(
            MovementRow.connection_id == row.id, MovementRow.id > last
        )
        for currency, shown in session.execute(new.distinct()):
            balances.add(currency)
            presented.add(shown)
        presented.discard("")
        row.settings = {**row.settings, SEEN_CURRENCIES: _seen_value(balances, presented, newest)}
    balances |= {*read_connection(row).currencies(), *row.settings.get(ACCOUNT_CURRENCIES, ())}
    return balances, presented


def _needs(
    session: Session, books: Books, seen: Sequence[tuple[Connection, set[str], set[str]]], now: datetime
) -> Needs:
    """What must be in the books for these connections, whose currencies have been `seen`."""
    config = read_company(session)
    rows = [row for row, _, _ in seen]
    first_day, today = _days(session, rows, now)
    home = books.identity.currency
    home_country = books.identity.country or "SE"
    accounts: dict[str, str] = {}
    clearing: dict[str, str] = {}
    names: dict[str, str] = {}
    currencies: set[str] = set()
    invoices = payments = False
    owed, kept = ("Tilgodehavende", "Tilbageholdt") if home_country == "DK" else ("Fordran", "Innehållet")
    for row, balances, presented in seen:
        own = read_connection(row)
        settling = own.mode is Mode.SETTLEMENT
        plus = own.mode not in (Mode.BASIC, Mode.SETTLEMENT)  # also where nothing is chosen: the fuller list is shown
        invoices = invoices or plus
        payments = payments or not settling
        for currency in sorted(balances):
            clearing[f"{row.provider} {currency}"] = number = own.accounts.get(f"clearing:{currency}", "")
            names[number] = f"{owed} {provider_name(row.provider)} {currency}"
            if row.settings.get(ARRIVALS_UNKNOWN) and config.accounts.get(AccountRole.TRANSIT.value):
                continue  # payouts go to the account of money on its way, where the bank's own lines fetch them
            bank = f"{AccountRole.BANK.value}:{currency}"
            accounts[bank] = own.accounts.get(bank, "")
            names[accounts[bank]] = account_name(accounts[bank], f"Valutakonto {currency}")
        for currency in row.settings.get(ACCOUNT_CURRENCIES, ()) if row.settings.get(HOLDS_OFTEN) else ():
            reserve = f"{AccountRole.RESERVE.value}:{currency}"
            accounts[reserve] = own.accounts.get(reserve, "")
            names[accounts[reserve]] = f"{kept} {provider_name(row.provider)} {currency}"
        if plus or settling:
            currencies |= presented | balances
        if settling:
            for role in _settlement_roles(own.settlement, config, home_country):
                accounts[role] = {**config.accounts, **own.accounts}.get(role, "")
                names[accounts[role]] = account_name(accounts[role], role)
    if any(row.settings.get(ARRIVALS_UNKNOWN) for row in rows):
        number = config.accounts.get(AccountRole.TRANSIT.value, "")
        accounts[AccountRole.TRANSIT.value] = number
        names[number] = account_name(number, AccountRole.TRANSIT.value)
    treated = tuple(chosen for row in rows if (chosen := read_connection(row).fee_treatment) is not None)
    for role in _roles_needed(config, home_country, treated, invoices=invoices, any_connection=bool(rows)):
        accounts[role] = config.accounts.get(role, "")
        names[accounts[role]] = account_name(accounts[role], role)
    for role, number in _roles_held_for(session, config.accounts, rows):
        accounts.setdefault(role, number)
        names.setdefault(number, account_name(number, role))
    return Needs(
        first_day=first_day,
        today=today,
        accounts=accounts,
        clearing=clearing,
        currencies=tuple(sorted(currencies - {home})),
        voucher_series=config.voucher_series,
        invoices=invoices or not rows,
        payments=payments or not rows,
        names=names,
        codes=_codes_named(session),
        scopes=_more_scopes(session),
        form=config.form,
        choices={Choice(name): text for name, text in config.choices.items()},
        exchange={
            role.value: config.accounts.get(role.value, "")
            for role in (AccountRole.EXCHANGE_GAIN, AccountRole.EXCHANGE_LOSS)
        },
    )


def _settlement_roles(style: SettlementStyle, config: CompanyConfig, home: str) -> tuple[str, ...]:
    """What settlement vouchers book against: the one account chosen, or sales and the VAT on them."""
    if style.contra is SettlementContra.ACCOUNT:
        return (AccountRole.SETTLEMENT_CONTRA.value,)
    treatment = f"{home}{config.default_vat_percent}"
    roles = [f"sales:{treatment}"]
    if config.default_vat_percent:
        roles.append(f"output_vat:{treatment}")
    if config.export_without_vat:
        roles.append("sales:EXPORT")
    return tuple(roles)


def _roles_held_for(
    session: Session, company: Mapping[str, str], rows: Iterable[Connection]
) -> Iterator[tuple[str, str]]:
    """Account roles that something is held for, with their numbers: reserves, disputes and the like are seldom needed,
    so that nobody is asked for an account before there is something to book on it."""
    maps = {row.id: {**company, **read_connection(row).accounts} for row in rows}
    facts = PartRow.facts
    held = select(
        PartRow.connection_id,
        facts["role"].as_string().label("role"),
        facts["detail"].as_string().label("detail"),
        facts["account"].as_string().label("account"),
    ).where(PartRow.state == PartState.HELD.value, PartRow.reason == HoldReason.ACCOUNT_NOT_READY.value)
    for found in session.execute(held.distinct()):
        numbers = maps.get(found.connection_id, {})
        if not found.role:
            continue
        key = f"{found.role}:{found.detail}" if found.detail else found.role
        if not found.account:
            yield key, numbers.get(key, "")
        elif found.account in numbers.values():
            # What the settings no longer name is planned anew with the next run.
            yield next(name for name, number in numbers.items() if number == found.account), found.account


_REVERSE_CHARGE: Final = ("fee_basis_contra", "fee_output_vat", "fee_input_vat")
_FEE_ROLES: Final[Mapping[FeeVat, tuple[str, ...]]] = {
    FeeVat.EXEMPT: (),
    FeeVat.EU_REVERSE_CHARGE: ("fee_basis", *_REVERSE_CHARGE),
    FeeVat.DOMESTIC: ("fee_domestic_vat",),
    FeeVat.NON_EU_REVERSE_CHARGE: ("fee_basis:NON_EU", *_REVERSE_CHARGE),
}


def _roles_needed(
    config: CompanyConfig, home: str, treated: tuple[FeeVat, ...], *, invoices: bool, any_connection: bool
) -> tuple[str, ...]:
    """What every run may book on; `treated` are connections' own treatments of fees."""
    roles = ["fee"]
    if invoices or not any_connection:
        roles.append(f"sales:{home}{config.default_vat_percent}")
        if config.export_without_vat:
            roles.append("sales:EXPORT")
    for treatment in dict.fromkeys((*config.fee_profile().values(), *treated)):
        if not config.fee_rules.code(treatment):
            roles += _FEE_ROLES[treatment]
    return (*dict.fromkeys([*roles, *_vat_roles(config)]), "rounding")


def _vat_roles(config: CompanyConfig) -> tuple[str, ...]:
    """Accounts for sales without Swedish VAT: those that a choice calls for, and every OSS account that is mapped."""
    roles = [role for role in config.accounts if ":OSS-" in role]
    if config.vat.eu_business is EuBusiness.REVERSE_CHARGE:
        roles.append("sales:EU-GOODS" if config.vat.supply is Supply.GOODS else "sales:EU-SERVICES")
    if config.export_without_vat and config.vat.supply is not Supply.GOODS:
        roles.append("sales:EXPORT-SERVICES")
    return tuple(sorted(roles))


# --- keeping --------------------------------------------------------------------------------------------------


def _store_checks(session: Session, checks: Iterable[Check], now: datetime) -> None:
    """Replace the results; a line that is still there keeps its number, which an open page may name."""
    rows = {(row.code, row.subject, row.year_ref): row for row in session.scalars(select(CheckRow))}
    kept: set[int] = set()
    seen: set[tuple[str, str, str]] = set()
    for result in checks:
        place = (result.code, result.subject, result.year_ref)
        if place in seen:
            continue
        seen.add(place)
        row = rows.get(place)
        if row is None:
            row = CheckRow(code=result.code, subject=result.subject, year_ref=result.year_ref)
            session.add(row)
        else:
            kept.add(row.id)
        row.ok = result.ok
        row.stops = result.stops
        row.repair = encode(result.repair) if result.repair is not None else {}
        row.details = dict(result.details)
        row.checked_at = now
    gone = [row.id for row in rows.values() if row.id not in kept]
    if gone:
        session.execute(delete(CheckRow).where(CheckRow.id.in_(gone)))


def _settle(session: Session, checks: Iterable[Check], now: datetime) -> None:
    company = own_company(session)
    if company.stop_reason == RECONNECT:
        # We have just read the books, so the connection works again.
        company.stop_reason = ""
    before = company.stop_reason
    company.stop_reason = next((result.code for result in checks if result.stops and not result.ok), "")
    settle_state(session, now)
    if before != company.stop_reason:
        what = "stopped" if company.stop_reason else "freed"
        activity.record(session, activity.KVITT, what, {"reason": company.stop_reason or before}, now)


def system_of(services: Services, company_id: int) -> str:
    """Which accounting system the company's books are in."""
    with services.db.company_reading(company_id) as session:
        return own_company(session).accounting


def checklist(services: Services, company_id: int) -> tuple[Prerequisite, ...]:
    """The list of what Kvitt needs of the company's accounting system."""
    with services.db.company_reading(company_id) as session:
        return registry.accounting(own_company(session).accounting).checklist


def latest(services: Services, company_id: int) -> tuple[StoredCheck, ...]:
    """The checks as last made, in the order of the system's list."""
    with services.db.company_reading(company_id) as session:
        listed = registry.accounting(own_company(session).accounting).checklist
        order = {entry.code: place for place, entry in enumerate(listed)}
        found = [
            StoredCheck(
                row.id,
                Check(
                    row.code,
                    row.ok,
                    row.stops,
                    row.subject,
                    row.year_ref,
                    decode(Repair, row.repair) if row.repair else None,
                    tuple((name, str(text)) for name, text in row.details.items()),
                ),
                row.checked_at,
            )
            for row in session.scalars(select(CheckRow))
        ]
    return tuple(
        sorted(
            found,
            key=lambda one: (order.get(one.check.code, 99), one.check.year_ref, one.check.subject),
        )
    )


# --- mending --------------------------------------------------------------------------------------------------


def repair(services: Services, company_id: int, check_row_id: int, who: str) -> tuple[Check, ...]:
    """Mend in the accounting system what a red check names, at a person's wish, and check everything again.

    Raises `NotHere`, `UnknownCheck` where nothing is left to mend, and the errors of `addon.ports.errors`:
    `Rejected` where they do not let us.
    """
    with services.db.company_reading(company_id) as session:
        row = session.get(CheckRow, check_row_id)
        if row is None:
            raise NotHere(f"check {check_row_id}")
        if row.ok or not row.repair:
            raise UnknownCheck("this was mended already, or cannot be mended from here")
        wanted = decode(Repair, row.repair)
    log = CallLog()
    try:
        accounting_system(services, company_id, log, Lane.CLICK).repair(wanted)
    finally:
        log.save(services, company_id)
    with services.db.company(company_id) as session:
        facts = {"remedy": wanted.remedy.value, "subject": wanted.subject, "year": wanted.year_ref}
        activity.record(session, who, "repaired", facts, services.now())
    return check(services, company_id)


def repair_all(services: Services, company_id: int, who: str) -> tuple[Check, ...]:
    """Mend all that can be mended, one thing after the other, and check once at the end.

    Raises the first refusal then, and at once whatever else is in the errors of `addon.ports.errors`.
    """
    wanted = [
        one.check.repair for one in latest(services, company_id) if not one.check.ok and one.check.repair is not None
    ]
    # Ways of payment and product groups name accounts, so those come last.
    wanted.sort(key=lambda one: one.remedy in (Remedy.ADD_PAYMENT_MODE, Remedy.CREATE_PRODUCT_GROUP))
    log = CallLog()
    done: list[Repair] = []
    refused: Rejected | None = None
    try:
        system = accounting_system(services, company_id, log, Lane.CLICK)
        for one in wanted:
            try:
                system.repair(one)
            except Rejected as refusal:
                refused = refused or refusal  # what is refused keeps nothing else from being mended
            else:
                done.append(one)
    finally:
        log.save(services, company_id)
        with services.db.company(company_id) as session:
            for one in done:
                facts = {"remedy": one.remedy.value, "subject": one.subject, "year": one.year_ref}
                activity.record(session, who, "repaired", facts, services.now())
    checks = check(services, company_id)
    if refused is not None:
        raise refused
    return checks


def books_of(services: Services, company_id: int) -> Books | None:
    """What was last read of the books."""
    with services.db.company_reading(company_id) as session:
        return load_books(session)
