"""Connections to the outside: their tokens, making and ending them, and what talks through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from addon.core.books import Books
from addon.core.dates import booking_date, start_of_day
from addon.core.prerequisites import propose_connection_accounts
from addon.ports import registry
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, Lane
from addon.ports.connectors import WayKind
from addon.ports.errors import NeedsReconnect, OutcomeUnknown, PortError, TryLater
from addon.ports.oauth import ArrangedConsent, Authorisation, Grant
from addon.ports.payments import PaymentSource
from addon.services import activity
from addon.services.calls import CallLog
from addon.services.context import Services
from addon.services.policy import provider_name
from addon.services.settings import (
    CONNECTION_ACCOUNT_ROLES,
    SettingFault,
    change,
    get_connection,
    own_company,
    propose,
    read_company,
    read_connection,
    settle_state,
)
from addon.store import leases
from addon.store.codec import decode
from addon.store.models import AccountingConnection, BooksRow, Company, Connection, ProviderAccount, WebhookEvent

RECONNECT: Final = "reconnect"
"""The stop reason of a company whose accounting system must be connected again."""

ARRIVALS_UNKNOWN: Final = "arrivals_unknown"
"""Where a connection's row keeps that its provider does not tell when a payout arrives: it is booked over transit."""
HOLDS_OFTEN: Final = "holds_often"
"""Where a connection's row keeps that its provider holds money back every now and then, so that accounts are made."""
ACCOUNT_CURRENCIES: Final = "account_currencies"
"""Where a connection's row keeps the currencies of the account's balances as they were when it was connected."""

_KEPT_S = 5.0
"""How long a token that was read is used without looking at its row again: whether the connection has ended."""

_EARLY = timedelta(seconds=90)
"""A token is renewed this long before it runs out: a whole call may take 60 seconds."""


class TestModeRefused(Exception):
    """The account or key is in the provider's test mode; its data never enters real books."""

    __test__ = False  # pytest would take the name for a collection of tests


class AccountTaken(Exception):
    """Another company of this installation has connected the provider's account."""


class NotConnected(LookupError):
    """The company has no such connection, or has ended it."""


# --- tokens ---------------------------------------------------------------------------------------------------


def _is_fresh(grant: Grant, now: datetime) -> bool:
    return bool(grant.access_token) and (grant.expires_at is None or grant.expires_at - _EARLY > now)


class StaticTokens:
    """The token of a consent that has just been given, before there is a row to keep it in."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    def current(self) -> str:
        """The token of the consent."""
        return self._grant.access_token

    def renew(self, stale: str) -> str:
        """There is no other. Raises `NeedsReconnect`."""
        raise NeedsReconnect("the consent that was just given is not accepted")


class _RowTokens:
    """Tokens that are kept in a row: renewed under its lock and committed before they are used."""

    def __init__(self, services: Services, company_id: int) -> None:
        self._services = services
        self._company_id = company_id
        self._kept: tuple[Grant, float] | None = None
        """As last read, and when. A token goes with every call: the row is not read for each of them."""

    def _row(self, session: Session, *, for_update: bool) -> AccountingConnection | Connection:
        raise NotConnected("no row")

    def _authorisation(self, row: AccountingConnection | Connection) -> Authorisation:
        raise NotConnected("no row")

    def current(self) -> str:
        """A token that should be valid now. Raises `NeedsReconnect`, `TryLater`."""
        kept = self._kept
        if kept is not None and monotonic() - kept[1] < _KEPT_S and _is_fresh(kept[0], self._services.now()):
            return kept[0].access_token
        with self._services.db.company_reading(self._company_id) as session:
            row = self._row(session, for_update=False)
            _refuse_ended(row)
            grant = self._services.box.open_grant(row.grant_sealed)
        if _is_fresh(grant, self._services.now()):
            self._kept = (grant, monotonic())
            return grant.access_token
        return self.renew(grant.access_token)

    def renew(self, stale: str) -> str:
        """A token other than the one that was refused. Raises `NeedsReconnect`, `TryLater`.

        Two processes that renew with the same refresh token would make the second one fail. So: lock the row,
        read it again, and only if nobody was faster, renew; a new token is committed before anyone uses it.
        SQLite has no row locks; a session for writing locks the whole file there, for the length of one call.
        """
        services = self._services
        self._kept = None
        gone: NeedsReconnect | None = None
        fresh = ""
        with services.db.company(self._company_id) as session:
            row = self._row(session, for_update=True)
            _refuse_ended(row)
            grant = services.box.open_grant(row.grant_sealed)
            now = services.now()
            if grant.access_token != stale and _is_fresh(grant, now):
                return grant.access_token
            try:
                renewed = self._authorisation(row).renew(grant)
            except NeedsReconnect as error:
                # The row was read under its lock, so nobody else has renewed meanwhile: consent is gone.
                gone = error
                _mark_lost(session, row, services.now())
            except OutcomeUnknown as error:
                raise TryLater(f"the renewal's answer was lost: {error}") from error
            else:
                row.grant_sealed = services.box.seal_grant(renewed)
                row.expires_at = renewed.expires_at
                row.renewed_at = now
                fresh = renewed.access_token
        if gone is not None:
            raise gone
        return fresh


class CompanyTokens(_RowTokens):
    """Tokens of a company's accounting system."""

    def _row(self, session: Session, *, for_update: bool) -> AccountingConnection:
        return get_accounting(session, for_update=for_update)

    def _authorisation(self, row: AccountingConnection | Connection) -> Authorisation:
        assert isinstance(row, AccountingConnection)  # noqa: S101 - it comes from the method above
        return self._services.outside.accounting_authorisation(row.system)


class ConnectionTokens(_RowTokens):
    """Tokens of one connection to a provider."""

    def __init__(self, services: Services, company_id: int, connection_id: int) -> None:
        super().__init__(services, company_id)
        self._connection_id = connection_id

    def _row(self, session: Session, *, for_update: bool) -> Connection:
        return get_connection(session, self._connection_id, for_update=for_update)

    def _authorisation(self, row: AccountingConnection | Connection) -> Authorisation:
        assert isinstance(row, Connection)  # noqa: S101 - it comes from the method above
        try:
            return self._services.outside.payment_authorisation(row.provider, row.way)
        except KeyError:
            # A pasted key cannot be renewed: it was revoked, and only a person has the next one.
            raise NeedsReconnect(f"the key for {row.provider} is no longer accepted") from None


def _refuse_ended(row: AccountingConnection | Connection) -> None:
    if row.state != "connected":
        raise NeedsReconnect("the connection has ended; a person must connect again")


def _mark_lost(session: Session, row: AccountingConnection | Connection, now: datetime) -> None:
    if row.state != "connected":
        return
    row.state = "needs_reconnect"
    if isinstance(row, AccountingConnection):
        company = own_company(session)
        company.stop_reason = RECONNECT
        settle_state(session, now)
        facts = {"system": row.system}
    else:
        facts = {"provider": row.provider, "connection": str(row.id)}
    activity.record(session, activity.KVITT, "connection_lost", facts, now)


def lost(services: Services, company_id: int, connection_id: int | None = None) -> None:
    """Note that a connection (None: the accounting system's) was refused for good, after `NeedsReconnect`."""
    with services.db.company(company_id) as session:
        row: AccountingConnection | Connection
        if connection_id is None:
            row = get_accounting(session, for_update=True)
        else:
            row = get_connection(session, connection_id, for_update=True)
        _mark_lost(session, row, services.now())


# --- what talks -----------------------------------------------------------------------------------------------


def get_accounting(session: Session, *, for_update: bool = False) -> AccountingConnection:
    """The accounting connection of the session's company. Raises `NotConnected`."""
    query = select(AccountingConnection)
    row = session.scalars(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise NotConnected("the company has no accounting system")
    return row


def accounting_system(services: Services, company_id: int, observer: CallObserver, lane: Lane) -> AccountingSystem:
    """A company's books. Raises `NotConnected`."""
    return accounting_systems(services, company_id, lane)(observer)


def accounting_systems(services: Services, company_id: int, lane: Lane) -> Callable[[CallObserver], AccountingSystem]:
    """A company's books for several observers, with one source of tokens for all. Raises `NotConnected`."""
    with services.db.company_reading(company_id) as session:
        system = get_accounting(session).system
        tenant = own_company(session).tenant
        choices = read_company(session).choices
    tokens = CompanyTokens(services, company_id)
    return lambda observer: services.outside.accounting(system, tenant, tokens, observer, lane, choices)


def payment_source(services: Services, company_id: int, connection_id: int, observer: CallObserver) -> PaymentSource:
    """A company's connection to a provider. Raises `UnknownConnection`, and `NeedsReconnect` for one that has ended.

    By its row and not by its token alone: Connect needs none of its own, and once the company has let go of an
    account, another may have connected it.
    """
    return _source(services, company_id, connection_id, observer, refuse_ended=True)


def _source(
    services: Services, company_id: int, connection_id: int, observer: CallObserver, *, refuse_ended: bool = False
) -> PaymentSource:
    with services.db.company_reading(company_id) as session:
        row = get_connection(session, connection_id)
        if refuse_ended:
            _refuse_ended(row)
        provider, way, account_ref = row.provider, row.way, row.account_ref
        places = read_connection(row).order_places
    tokens = ConnectionTokens(services, company_id, connection_id)
    return services.outside.payments(provider, way, account_ref, tokens, observer, places)


# --- connecting -----------------------------------------------------------------------------------------------


def ways(services: Services, provider: str) -> tuple[str, ...]:
    """The consent pages of a provider that this installation has credentials for. Raises `LookupError`."""
    found = []
    for way in registry.payment(provider).ways:
        if way.kind is WayKind.TYPED:
            continue
        try:
            services.outside.payment_authorisation(provider, way.name)
        except LookupError:
            continue
        found.append(way.name)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What was learnt of a provider's account before it is stored."""

    account_ref: str
    name: str
    country: str
    currencies: tuple[str, ...]
    dated_payouts: bool
    holds_often: bool
    order_places: tuple[str, ...]


def arrange(services: Services, provider: str, way: str, return_url: str, reference: str) -> str:
    """Where to send the browser, for a consent whose page must be asked for first.

    Raises `LookupError` for a way that has no such page, and the errors of `addon.ports.errors`.
    """
    authorisation = services.outside.payment_authorisation(provider, way)
    if not isinstance(authorisation, ArrangedConsent):
        raise LookupError(f"{provider}/{way} arranges no page")
    return authorisation.arrange(return_url, reference)


def receive(
    services: Services, company_id: int, provider: str, way: str, code: str, redirect_uri: str, who: str
) -> int:
    """Turn a provider's code into a connection: exchange, then `connect`.

    Raises the errors of `addon.ports.errors`, `TestModeRefused`, `AccountTaken`.
    """
    grant = services.outside.payment_authorisation(provider, way).exchange(code, redirect_uri)
    return connect(services, company_id, provider, way, grant, who)


def connect(services: Services, company_id: int, provider: str, way: str, grant: Grant, who: str = "") -> int:
    """Store a consent as a connection and propose its accounts; the same account again renews its connection.

    The mode stays empty until a person chooses; the start date is the first day of the company's month.
    Raises `TestModeRefused`, `AccountTaken`, and the errors of `addon.ports.errors`.
    """
    if not grant.live:
        raise TestModeRefused(provider)
    log = CallLog()
    source = services.outside.payments(provider, way, grant.subject, StaticTokens(grant), log)
    try:
        account = source.fetch_account()
        if not account.live:
            raise TestModeRefused(provider)
        balances = source.fetch_balances()
    finally:
        log.save(services, company_id)
    currencies = {balance.amount.currency for balance in balances if balance.amount}
    can = source.capabilities
    arrival = _Arrival(
        account.ref,
        account.name,
        account.country,
        tuple(sorted(currencies | {account.default_currency.upper()})),
        can.lists_payouts,
        can.holds_often,
        can.order_places,
    )
    try:
        return _store(services, company_id, provider, way, grant, arrival, who)
    except IntegrityError:
        # Two companies, or two browsers of one, at the same instant: the second attempt sees what the first did.
        return _store(services, company_id, provider, way, grant, arrival, who)


def receive_typed(services: Services, company_id: int, provider: str, way: str, typed: Sequence[str], who: str) -> int:
    """Connect by credentials that a person has typed. Raises as `receive` does."""
    try:
        authorisation = services.outside.payment_authorisation(provider, way)
    except LookupError:
        grant = Grant(access_token=":".join(typed))
    else:
        grant = authorisation.exchange(":".join(typed), "")
    return connect(services, company_id, provider, way, grant, who)


def connect_key(services: Services, company_id: int, provider: str, key: str, who: str = "") -> int:
    """Connect by a restricted key that a person has pasted. Raises as `connect` does."""
    return receive_typed(services, company_id, provider, "key", (key.strip(),), who)


def _store(
    services: Services, company_id: int, provider: str, way: str, grant: Grant, arrival: _Arrival, who: str
) -> int:
    now = services.now()
    with services.db.company(company_id) as session:
        claim = session.get(ProviderAccount, (provider, arrival.account_ref))
        if claim is not None and claim.company_id != company_id:
            raise AccountTaken(provider)
        if claim is None:
            session.add(ProviderAccount(provider=provider, account_ref=arrival.account_ref, company_id=company_id))
        row = session.scalars(
            select(Connection)
            .where(Connection.provider == provider, Connection.account_ref == arrival.account_ref)
            .with_for_update()
        ).one_or_none()
        again = row is not None
        if row is None:
            zone = read_company(session).time_zone
            row = Connection(
                provider=provider,
                account_ref=arrival.account_ref,
                start_date=booking_date(now, zone).replace(day=1),
                connected_at=now,
                mode="",
                settings={},
                opening={},
            )
            session.add(row)
        # Known before anything has moved, and perhaps before the books have been read.
        row.settings = {
            **row.settings,
            ACCOUNT_CURRENCIES: list(arrival.currencies),
            ARRIVALS_UNKNOWN: not arrival.dated_payouts,
            HOLDS_OFTEN: arrival.holds_often,
        }
        row.way = way
        row.account_name = arrival.name[:200]
        row.country = arrival.country[:2]
        row.state = "connected"
        row.grant_sealed = services.box.seal_grant(grant)
        row.expires_at = grant.expires_at
        row.renewed_at = now
        session.flush()
        _propose_accounts(session, row, arrival.currencies, now)
        if arrival.order_places:
            propose(session, {"order_places": ",".join(arrival.order_places)}, row)
        settle_state(session, now)
        facts = {"provider": provider, "account": arrival.account_ref, "way": way, "name": arrival.name}
        activity.record(session, who, "reconnected" if again else "connected", facts, now)
        return row.id


def load_books(session: Session) -> Books | None:
    """What was last read of the company's books."""
    row = session.scalars(select(BooksRow)).one_or_none()
    return decode(Books, row.value) if row is not None else None


def _propose_accounts(session: Session, row: Connection, currencies: tuple[str, ...], now: datetime) -> None:
    books = load_books(session)
    if books is not None:
        propose_accounts(session, row, books, currencies, now)


def propose_accounts(
    session: Session, row: Connection, books: Books, currencies: tuple[str, ...], now: datetime
) -> None:
    """Give a connection accounts for its balance currencies, where it has none yet. The caller commits."""
    company = read_company(session)
    own = read_connection(row)
    missing = tuple(currency for currency in currencies if f"clearing:{currency}" not in own.accounts)
    if not missing:
        return
    taken = set(company.accounts.values())
    for other in session.scalars(select(Connection)):
        accounts = read_connection(other).accounts
        # A bank account may receive the payouts of several connections; a clearing account is for one thing.
        taken |= {number for key, number in accounts.items() if other.id == row.id or key.startswith("clearing:")}
    home_bank = own.accounts.get(f"bank:{books.identity.currency}", "")
    proposal = propose_connection_accounts(
        books,
        booking_date(now, company.time_zone),
        provider_name(row.provider),
        missing,
        frozenset(taken - {home_bank, ""}),
    )
    assert all(key.split(":")[0] in CONNECTION_ACCOUNT_ROLES for key in proposal.numbers)  # noqa: S101
    propose(session, {f"accounts.{key}": number for key, number in proposal.numbers.items()}, row)


def disconnect(services: Services, company_id: int, connection_id: int, who: str) -> None:
    """End a connection: give the access up at the provider, keep the data, free the account. Idempotent."""
    with services.db.company_reading(company_id) as session:
        if get_connection(session, connection_id).state == "disconnected":
            return  # the account may be another company's by now: its consent is not ours to take back
    log = CallLog()
    try:
        _source(services, company_id, connection_id, log).disconnect()
        told = "yes"
    except PortError as error:
        # The person wants it ended: that their side cannot be told now does not keep it alive here.
        told = f"no: {type(error).__name__}"
    log.save(services, company_id)
    now = services.now()
    with services.db.company(company_id) as session:
        row = get_connection(session, connection_id, for_update=True)
        if row.state == "disconnected":
            return
        row.state = "disconnected"
        row.grant_sealed = services.box.seal_grant(Grant(access_token=""))
        row.expires_at = None
        session.execute(
            delete(ProviderAccount).where(
                ProviderAccount.provider == row.provider, ProviderAccount.account_ref == row.account_ref
            )
        )
        session.flush()
        settle_state(session, now)
        facts = {"provider": row.provider, "account": row.account_ref, "provider_told": told}
        activity.record(session, who, "disconnected", facts, now)


def fetch_since(
    services: Services, company_id: int, day: date, who: str, connection_id: int | None = None
) -> tuple[SettingFault, ...]:
    """Have the next run fetch again from a day on, which is harmless: everything is stored under its own key.

    A day before a connection's start date becomes its start date, as long as nothing has been booked.
    """
    earlier: list[int] = []
    with services.db.company(company_id) as session:
        zone = read_company(session).time_zone
        rows = session.scalars(select(Connection).where(Connection.state == "connected").with_for_update()).all()
        for row in rows:
            if connection_id not in (None, row.id):
                continue
            if row.start_date is not None and day < row.start_date:
                earlier.append(row.id)
            elif row.fetched_until is not None:
                row.fetched_until = min(row.fetched_until, start_of_day(day, zone))
    faults: list[SettingFault] = []
    for wanted in earlier:
        faults += change(services, company_id, who, {"start_date": day.isoformat()}, wanted)
    return tuple(faults)


# --- webhooks: nudges only ------------------------------------------------------------------------------------


def company_of_account(services: Services, provider: str, account_ref: str) -> int | None:
    """Which company has connected a provider's account."""
    with services.db.open_reading() as session:
        claim = session.get(ProviderAccount, (provider, account_ref))
        return claim.company_id if claim is not None else None


def receive_event(services: Services, provider: str, event_ref: str, event_type: str, account_ref: str) -> int | None:
    """Note an event that a provider announced; the company to nudge, or None if it is known or nobody's.

    That the company wants a run is written with the event: an event counts once, so a process that dies before the
    run is asked for would lose it.
    """
    now = services.now()
    try:
        with services.db.open() as session:
            known = select(WebhookEvent.id).where(
                WebhookEvent.provider == provider, WebhookEvent.event_ref == event_ref
            )
            if session.scalar(known) is not None:
                return None
            claim = session.get(ProviderAccount, (provider, account_ref))
            company_id = claim.company_id if claim is not None else None
            if company_id is not None and session.get_one(Company, company_id).state == "active":
                leases.want(session, company_id, "webhook")
            session.add(
                WebhookEvent(
                    provider=provider,
                    event_ref=event_ref[:120],
                    event_type=event_type[:120],
                    account_ref=account_ref[:80],
                    company_id=company_id,
                    received_at=now,
                )
            )
    except IntegrityError:
        return None  # the same event arrived twice at once, and the other one counts
    return company_id


def account_gone(services: Services, provider: str, account_ref: str) -> None:
    """The provider says that a merchant took our access away: ask, and believe only our own call.

    Such an event may come late, when the merchant has connected again, or by another way.
    """
    company_id = company_of_account(services, provider, account_ref)
    if company_id is None:
        return
    with services.db.company_reading(company_id) as session:
        connection_id = session.scalar(
            select(Connection.id).where(
                Connection.provider == provider,
                Connection.account_ref == account_ref,
                Connection.state == "connected",
            )
        )
    if connection_id is None:
        return
    log = CallLog()
    try:
        payment_source(services, company_id, connection_id, log).fetch_account()
    except NeedsReconnect:
        lost(services, company_id, connection_id)
    except PortError:
        return  # the call is in the log of calls; the next run asks again, and until then nothing has changed
    finally:
        log.save(services, company_id)


def company_states(services: Services) -> tuple[tuple[int, str], ...]:
    """Ids and states of all companies, from the open table."""
    with services.db.open_reading() as session:
        return tuple((row.id, row.state) for row in session.scalars(select(Company).order_by(Company.id)))
