"""Installing: a consent arrives, is parked until the person in that browser confirms it, and becomes a company.

Fortnox may start this itself, from its marketplace, so the consent need not belong to anything that we began.
That is why nothing is bound to a company before a person has seen its name and pressed a button.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from addon.core.books import Identity
from addon.core.fixings import CENTRAL_BANKS
from addon.log import get_logger
from addon.ports.accounting import TellsUs
from addon.ports.calls import Lane
from addon.ports.errors import PortError
from addon.ports.oauth import ArrangedConsent, Grant
from addon.services import activity, restored
from addon.services.calls import CallLog
from addon.services.connections import (
    RECONNECT,
    NotConnected,
    StaticTokens,
    accounting_system,
    disconnect,
    get_accounting,
    lost,
)
from addon.services.context import Services
from addon.services.settings import plan_next_run, propose, settle_state
from addon.store.models import (
    AccountingConnection,
    Company,
    CompanySettings,
    CompanyWork,
    Connection,
    Member,
    ParkedActivation,
    SignInLink,
    WebhookEvent,
    WebSession,
)

PARKED_FOR: Final = timedelta(minutes=30)
SIGNED_IN_FOR: Final = timedelta(days=14)
LOOK_EVERY: Final = timedelta(minutes=10)
"""How often, at most, an unsigned message makes us look at a company."""

ZONES: Final[Mapping[str, str]] = {"DK": "Europe/Copenhagen", "NO": "Europe/Oslo", "FI": "Europe/Helsinki"}
"""Time zones of new companies by country; else the setting's default."""

_SEEN_EVERY = timedelta(minutes=5)
_USED_GRANTS: Final = "used_grants"
"""Under which key of a company's settings the hashes stand of grants that have no end and were confirmed."""
_MOST_USED_GRANTS: Final = 100


class NothingParked(LookupError):
    """The activation was confirmed already, or waited too long."""


class GrantUsed(LookupError):
    """This very grant has let somebody in before: whoever brings it again need not be who it was given to."""


class UnknownCompany(LookupError):
    """No company has this id, tenant or name."""


@dataclass(frozen=True, slots=True)
class ParkedView:
    """A consent that waits for its confirmation."""

    accounting: str
    tenant: str
    name: str
    organisation_number: str
    country: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionView:
    """Who is signed in to which company."""

    company_id: int
    company_name: str
    accounting: str
    state: str
    stop_reason: str
    who: str
    time_zone: str
    sandbox: bool


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection in a list."""

    id: int
    provider: str
    mode: str
    state: str
    account_ref: str
    account_name: str


@dataclass(frozen=True, slots=True)
class CompanyView:
    """A company in a list, with its connections."""

    id: int
    name: str
    accounting: str
    tenant: str
    state: str
    stop_reason: str
    connections: tuple[ConnectionView, ...]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- parking --------------------------------------------------------------------------------------------------


def receive(services: Services, system: str, code: str, redirect_uri: str, *, in_address: bool = True) -> str:
    """Turn a code into a parked activation: exchange it, ask who the company is, park. Gives the token.

    Raises the errors of `addon.ports.errors`, and `GrantUsed` for one that came in an address before; a code lives
    ten minutes, so this happens at once.
    """
    grant = services.outside.accounting_authorisation(system).exchange(code, redirect_uri)
    books = services.outside.accounting(system, grant.subject, StaticTokens(grant), CallLog(), Lane.CLICK)
    identity = books.fetch_identity()
    if in_address and _used_before(services, system, identity.tenant, grant):
        raise GrantUsed("this grant was confirmed before")
    return park(services, system, grant, identity)


def _used_before(services: Services, system: str, tenant: str, grant: Grant) -> bool:
    """Whether a grant without an end was confirmed before.

    It came in an address, which stays in a browser's history: it must not open the door a second time, to whoever
    finds it there. One that was refused over there meanwhile, and is accepted now, has been given anew.
    """
    company_id = find_tenant(services, system, tenant) if grant.expires_at is None else None
    if company_id is None:
        return False
    with services.db.company_reading(company_id) as session:
        row = session.scalars(select(AccountingConnection)).one_or_none()
        kept = session.scalars(select(CompanySettings)).one_or_none()
        given_anew = row is not None and row.state == "needs_reconnect"
        return not given_anew and kept is not None and _hash(grant.access_token) in _used_grants(kept)


def _used_grants(kept: CompanySettings) -> list[str]:
    return [word for word in str(kept.values.get(_USED_GRANTS, "")).split(",") if word]


def way_in(services: Services, system: str, return_url: str, reference: str, language: str = "") -> str:
    """Where to send a browser whose way in is no OAuth; `language` is what its person reads.

    Raises `LookupError` where the system has no such way.
    """
    authorisation = services.outside.accounting_authorisation(system)
    if not isinstance(authorisation, ArrangedConsent):
        raise LookupError(f"{system} arranges no page")
    return authorisation.arrange(return_url, reference, language)


def park(services: Services, system: str, grant: Grant, identity: Identity) -> str:
    """Keep a consent until it is confirmed; the token goes into that browser's cookie and nowhere else."""
    token = secrets.token_urlsafe(32)
    now = services.now()
    with services.db.open() as session:
        session.execute(delete(ParkedActivation).where(ParkedActivation.expires_at < now))
        session.add(
            ParkedActivation(
                token_hash=_hash(token),
                accounting=system,
                tenant=identity.tenant,
                name=identity.name[:200],
                organisation_number=identity.organisation_number[:30],
                country=identity.country[:2],
                grant_sealed=services.box.seal_grant(grant),
                created_at=now,
                expires_at=now + PARKED_FOR,
            )
        )
    return token


def _parked(session: Session, token: str, now: datetime) -> ParkedActivation | None:
    row = session.scalars(select(ParkedActivation).where(ParkedActivation.token_hash == _hash(token))).one_or_none()
    return row if row is not None and row.expires_at > now else None


def parked(services: Services, token: str) -> ParkedView | None:
    """The activation that a browser's token stands for, as long as it waits."""
    with services.db.open_reading() as session:
        row = _parked(session, token, services.now())
        if row is None:
            return None
        return ParkedView(row.accounting, row.tenant, row.name, row.organisation_number, row.country, row.expires_at)


def shown_as(token: str) -> str:
    """What a confirmation page says it is about, so that its button confirms that and nothing parked since."""
    return _hash(f"shown {token}")[:16]


def discard(services: Services, token: str) -> None:
    """Forget a parked activation whose person said no."""
    with services.db.open() as session:
        session.execute(delete(ParkedActivation).where(ParkedActivation.token_hash == _hash(token)))


# --- confirming -----------------------------------------------------------------------------------------------


def confirm(services: Services, token: str, who: str) -> int:
    """Make the company that a parked activation names, or bind its consent to the one that is there.

    Gives the company's id. Raises `NothingParked`. Pressing twice does no harm: the activation goes last.
    """
    now = services.now()
    with services.db.open_reading() as session:
        row = _parked(session, token, now)
        if row is None:
            raise NothingParked("this activation was confirmed already, or waited too long")
        waiting = ParkedView(row.accounting, row.tenant, row.name, row.organisation_number, row.country, row.expires_at)
        grant = services.box.open_grant(row.grant_sealed)
    try:
        company_id = _company_for(services, waiting, now)
        _bind(services, company_id, waiting, grant, who, now)
    except IntegrityError:
        # The other press of the button was faster: now it is there.
        company_id = _company_for(services, waiting, now)
        _bind(services, company_id, waiting, grant, who, now)
    discard(services, token)
    if grant.expires_at is None:
        _discard_others(services, waiting)
    return company_id


def _discard_others(services: Services, confirmed: ParkedView) -> None:
    """Forget what else waits for the same books: it may be the very grant, brought by somebody who saw its address."""
    with services.db.open() as session:
        session.execute(
            delete(ParkedActivation).where(
                ParkedActivation.accounting == confirmed.accounting, ParkedActivation.tenant == confirmed.tenant
            )
        )


def _company_for(services: Services, waiting: ParkedView, now: datetime) -> int:
    with services.db.open() as session:
        company = session.scalars(
            select(Company).where(Company.accounting == waiting.accounting, Company.tenant == waiting.tenant)
        ).one_or_none()
        if company is None:
            company = Company(
                accounting=waiting.accounting,
                tenant=waiting.tenant,
                country=waiting.country or "SE",
                sandbox=services.sandbox,
                created_at=now,
            )
            session.add(company)
        company.name = waiting.name
        company.organisation_number = waiting.organisation_number
        session.flush()
        if session.get(CompanyWork, company.id) is None:
            session.add(CompanyWork(company_id=company.id))
        return company.id


def _bind(services: Services, company_id: int, waiting: ParkedView, grant: Grant, who: str, now: datetime) -> None:
    with services.db.company(company_id) as session:
        row = session.scalars(select(AccountingConnection).with_for_update()).one_or_none()
        again = row is not None
        if row is None:
            row = AccountingConnection(system=waiting.accounting, connected_at=now)
            session.add(row)
        else:
            # Somebody may have restored books or database meanwhile: what we think is not there may be.
            row.lookups_first_until = now + restored.LOOK_UP_FIRST_FOR
        row.state = "connected"
        row.grant_sealed = services.box.seal_grant(grant)
        row.expires_at = grant.expires_at
        row.renewed_at = now
        kept = session.scalars(select(CompanySettings)).one_or_none()
        if kept is None:
            kept = CompanySettings(values=_first_settings(waiting.country))
            session.add(kept)
        if grant.expires_at is None:
            used = dict.fromkeys([*_used_grants(kept), _hash(grant.access_token)])
            kept.values = {**kept.values, _USED_GRANTS: ",".join([*used][-_MOST_USED_GRANTS:])}
            session.flush()
            zone = ZONES.get(waiting.country)
            if zone is not None:
                propose(session, {"time_zone": zone})
                session.get_one(Company, company_id).time_zone = zone
        company = session.get_one(Company, company_id)
        if company.state == "disconnected":
            company.state = "setting_up"
        if company.stop_reason == RECONNECT:
            company.stop_reason = ""
        session.flush()
        settle_state(session, now)
        what = "installed_again" if again else "installed"
        activity.record(session, who, what, {"system": waiting.accounting, "company": waiting.name}, now)


def _first_settings(country: str) -> dict[str, str]:
    """What a new company begins with where its country decides it: the rates of its own central bank.

    Those are what its VAT law names, and they do not depend on who has typed what into the books.
    """
    bank = CENTRAL_BANKS.get(country or "SE")
    return {"rate_source": bank.value} if bank is not None else {}


def begin_nudges(services: Services, company_id: int) -> None:
    """Have the accounting system tell us when something happens in it, where it can; else the daily run sees it.

    That it does not is no reason to stop: the checklist shows it, with a button.
    """
    _nudges(services, company_id, lambda system: system.begin_nudges(), "nudges_not_begun")


def _end_nudges(services: Services, company_id: int) -> None:
    """What tells us goes with our access: afterwards nobody could take it away."""
    _nudges(services, company_id, lambda system: system.end_nudges(), "nudges_not_ended")


def _nudges(services: Services, company_id: int, ask: Callable[[TellsUs], None], failed: str) -> None:
    """Ask something of a system that can tell us; where it is refused, the log says so and nothing else happens."""
    log = CallLog()
    try:
        system = accounting_system(services, company_id, log, Lane.CLICK)
        if isinstance(system, TellsUs):
            ask(system)
    except PortError as error:
        get_logger(__name__).warning(failed, company_id=company_id, error=type(error).__name__)
    finally:
        log.save(services, company_id)


def consent_revoked(services: Services, system: str, tenant: str) -> int | None:
    """Their side says that a company took its consent back: stop its work, keep its data. The company's id."""
    company_id = find_tenant(services, system, tenant)
    if company_id is not None:
        try:
            lost(services, company_id)
        except NotConnected:
            return None
    return company_id


def uninstall(services: Services, company_id: int, who: str) -> None:
    """Give up the access to the books, and to every provider, at the person's wish; data stays, work stops.

    Sessions end. A company that comes back connects anew: the same account finds its old connection again.
    """
    now = services.now()
    with services.db.company_reading(company_id) as session:
        live = list(session.scalars(select(Connection.id).where(Connection.state != "disconnected")))
    for connection_id in live:
        # Without its books there is nothing to fetch for, and nobody would be left to take this access back.
        disconnect(services, company_id, connection_id, who)
    _end_nudges(services, company_id)
    with services.db.company_reading(company_id) as session:
        row = get_accounting(session)
        system, grant = row.system, services.box.open_grant(row.grant_sealed)
    try:
        services.outside.accounting_authorisation(system).revoke(grant)
        told = "yes"
    except PortError as error:
        told = f"no: {type(error).__name__}"
    with services.db.company(company_id) as session:
        row = get_accounting(session, for_update=True)
        row.state = "disconnected"
        row.grant_sealed = services.box.seal_grant(Grant(access_token=""))
        row.expires_at = None
        company = session.get_one(Company, company_id)
        company.state = "disconnected"
        plan_next_run(session, company, now)
        activity.record(session, who, "uninstalled", {"system": system, "system_told": told}, now)
    with services.db.open() as session:
        session.execute(delete(WebSession).where(WebSession.company_id == company_id))


# --- who is signed in -----------------------------------------------------------------------------------------


def sign_in(services: Services, company_id: int, who: str) -> str:
    """Open a session of a browser; the token goes into its cookie, only its hash is kept."""
    token = secrets.token_urlsafe(32)
    now = services.now()
    with services.db.open() as session:
        session.execute(delete(WebSession).where(WebSession.expires_at < now))
        session.add(
            WebSession(
                token_hash=_hash(token),
                company_id=company_id,
                who=who[:200],
                created_at=now,
                seen_at=now,
                expires_at=now + SIGNED_IN_FOR,
            )
        )
    return token


def session_company(services: Services, token: str) -> SessionView | None:
    """Who a browser's token stands for; None if nobody, or not any more."""
    if not token:
        return None
    now = services.now()
    with services.db.open_reading() as session:
        found = session.execute(
            select(WebSession, Company)
            .join(Company, Company.id == WebSession.company_id)
            .where(WebSession.token_hash == _hash(token), WebSession.expires_at > now)
        ).one_or_none()
        if found is None:
            return None
        row, company = found
        seen_at = row.seen_at
        view = SessionView(
            company_id=company.id,
            company_name=company.name,
            accounting=company.accounting,
            state=company.state,
            stop_reason=company.stop_reason,
            who=row.who,
            time_zone=company.time_zone,
            sandbox=company.sandbox,
        )
        row_id = row.id
    if now - seen_at > _SEEN_EVERY:
        with services.db.open() as session:
            session.execute(update(WebSession).where(WebSession.id == row_id).values(seen_at=now))
    return view


def sign_out(services: Services, token: str) -> None:
    """End a browser's session."""
    with services.db.open() as session:
        session.execute(delete(WebSession).where(WebSession.token_hash == _hash(token)))


def sign_out_everywhere(services: Services, company_id: int, who: str) -> int:
    """End every browser's session of a company, the caller's too; say how many there were.

    Links that are on their way to its people by mail lead nowhere from now on: they would open the door again.
    """
    now = services.now()
    with services.db.open() as session:
        ended = session.scalars(
            delete(WebSession).where(WebSession.company_id == company_id).returning(WebSession.id)
        ).all()
        members = select(Member.email).where(Member.company_id == company_id)
        session.execute(
            update(SignInLink)
            .where(SignInLink.email.in_(members), SignInLink.used_at.is_(None))
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
    with services.db.company(company_id) as session:
        activity.record(session, who, "signed_out_everywhere", {"browsers": str(len(ended))}, now)
    return len(ended)


# --- companies ------------------------------------------------------------------------------------------------


def find_tenant(services: Services, system: str, tenant: str) -> int | None:
    """The company of a tenant in an accounting system."""
    with services.db.open_reading() as session:
        return session.scalar(select(Company.id).where(Company.accounting == system, Company.tenant == tenant))


def find_company(services: Services, text: str) -> int:
    """The company that a person on the command line means: its id, its tenant, or its name. Raises `UnknownCompany`.

    A name may be shortened as long as only one company begins with it.
    """
    wanted = text.strip()
    with services.db.open_reading() as session:
        rows = session.execute(select(Company.id, Company.tenant, Company.name).order_by(Company.id)).all()
    exact = [row.id for row in rows if wanted in (str(row.id), row.tenant, row.name)]
    if wanted.isdecimal() and int(wanted) in [row.id for row in rows]:
        return int(wanted)
    begun = [row.id for row in rows if wanted and row.name.casefold().startswith(wanted.casefold())]
    found = exact or begun
    if len(found) != 1:
        many = "several companies are" if found else "no company is"
        raise UnknownCompany(f"{many} called {wanted!r}; `kvitt companies` lists them")
    return int(found[0])


def is_at_work(services: Services, company_id: int) -> bool:
    """Whether a provider's nudge means anything: not before a company is set up, while it is stopped, or after."""
    with services.db.open_reading() as session:
        return session.scalar(select(Company.state).where(Company.id == company_id)) == "active"


def worth_a_look(services: Services, system: str, tenant: str) -> int | None:
    """The company that an unsigned message is about; None where it has no work to stop, or was looked at just now."""
    now = services.now()
    period = int(now.timestamp() // LOOK_EVERY.total_seconds())
    try:
        with services.db.open() as session:
            company = session.scalars(
                select(Company).where(Company.accounting == system, Company.tenant == tenant)
            ).one_or_none()
            if company is None or company.state not in ("active", "stopped"):
                return None
            seen = WebhookEvent.provider == system, WebhookEvent.event_ref == f"{tenant}/{period}"
            if session.scalar(select(WebhookEvent.id).where(*seen)) is not None:
                return None
            session.add(
                WebhookEvent(
                    provider=system,
                    event_ref=f"{tenant}/{period}",
                    event_type="unsigned",
                    account_ref=tenant,
                    company_id=company.id,
                    received_at=now,
                )
            )
            return company.id
    except IntegrityError:
        return None  # the same message arrived twice at once, and the other one counts


def companies(services: Services) -> tuple[CompanyView, ...]:
    """All companies with their connections, each read in its own session."""
    with services.db.open_reading() as session:
        rows = session.scalars(select(Company).order_by(Company.id)).all()
        plain = [(row.id, row.name, row.accounting, row.tenant, row.state, row.stop_reason) for row in rows]
    views = []
    for company_id, name, accounting, tenant, state, stop_reason in plain:
        with services.db.company_reading(company_id) as session:
            connections = tuple(
                ConnectionView(row.id, row.provider, row.mode, row.state, row.account_ref, row.account_name)
                for row in session.scalars(select(Connection).order_by(Connection.id))
            )
        views.append(CompanyView(company_id, name, accounting, tenant, state, stop_reason, connections))
    return tuple(views)
