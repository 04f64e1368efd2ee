"""Signing in by a link that is mailed: who may ask for one, and what it is worth.

A person of the company gives the address, where their accounting system has just proved the company to be theirs.
A link works once, for a quarter of an hour, for whoever reads that mailbox. Asking tells nobody whether an
address is known.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update

from addon.log import get_logger
from addon.ports.errors import PortError
from addon.ports.mail import Letter
from addon.services import activity
from addon.services.context import Services
from addon.store.models import Company, Member, SignInLink

LINK_LIVES: Final = timedelta(minutes=15)
LINKS_AT_ONCE: Final = 3
"""How many links one address gets within the life of a link."""
MOST_MEMBERS: Final = 50
"""How many addresses a company may have."""

_LONGEST: Final = 254
_ADDRESS: Final = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)

log = get_logger(__name__)


class NotAnAddress(ValueError):
    """The text cannot be an e-mail address."""


class TooMany(Exception):
    """The company has as many addresses as it may have."""


class LinkSpent(LookupError):
    """The link was used, is too old, or never was; or it does not lead to that company."""


@dataclass(frozen=True, slots=True)
class MemberView:
    """An address of a company in a list."""

    id: int
    email: str
    who: str


@dataclass(frozen=True, slots=True)
class Door:
    """A company that a link leads to."""

    company_id: int
    name: str
    accounting: str


def read_address(text: str) -> str:
    """An e-mail address as it is kept: without blanks, in small letters. Raises `NotAnAddress`.

    Two people whose addresses differ in capitals alone do not exist outside of standards.
    """
    address = text.strip().lower()
    if len(address) > _LONGEST or not _ADDRESS.fullmatch(address) or ".." in address:
        raise NotAnAddress("this is no e-mail address")
    return address


def masked(address: str) -> str:
    """An address for the log, which is kept for years: whose it is can be seen by those who know it."""
    name, _, host = address.partition("@")
    return f"{name[:1]}…@{host}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- who may --------------------------------------------------------------------------------------------------


def add(services: Services, company_id: int, text: str, who: str) -> None:
    """Let an address ask for links to this company. Raises `NotAnAddress`, `TooMany`; twice does no harm."""
    address = read_address(text)
    now = services.now()
    with services.db.company(company_id) as session:
        # The company's row is the queue: two presses at once add one row.
        session.scalars(select(Company.id).where(Company.id == company_id).with_for_update()).one()
        mine = list(session.scalars(select(Member.email).where(Member.company_id == company_id)))
        if address in mine:
            return
        if len(mine) >= MOST_MEMBERS:
            raise TooMany(f"a company has {MOST_MEMBERS} addresses at most")
        session.add(Member(company_id=company_id, email=address, who=who[:200], created_at=now))
        activity.record(session, who, "member_added", {"address": masked(address)}, now)


def remove(services: Services, company_id: int, member_id: int, who: str) -> bool:
    """Take an address out; links on their way to it no longer lead here. Says whether there was one."""
    now = services.now()
    with services.db.company(company_id) as session:
        mine = Member.company_id == company_id, Member.id == member_id
        address = session.scalar(select(Member.email).where(*mine))
        if address is None:
            return False
        session.execute(delete(Member).where(*mine))
        activity.record(session, who, "member_removed", {"address": masked(address)}, now)
    return True


def members(services: Services, company_id: int) -> tuple[MemberView, ...]:
    """The addresses of a company."""
    with services.db.open_reading() as session:
        rows = session.scalars(select(Member).where(Member.company_id == company_id).order_by(Member.email))
        return tuple(MemberView(row.id, row.email, row.who) for row in rows)


# --- the link -------------------------------------------------------------------------------------------------


def ask(services: Services, text: str, letter: Callable[[str], Letter]) -> None:
    """Mail a link to an address that some company knows; do nothing, and tell nothing, for any other.

    `letter` is given the token. Call it where nobody can measure how long it takes.
    """
    try:
        address = read_address(text)
    except NotAnAddress:
        return
    token = _new_link(services, address)
    if token is None or services.mailer is None:
        return
    try:
        services.mailer.send(address, letter(token))
    except PortError as error:
        log.warning("link_not_mailed", reason=str(error))


def _new_link(services: Services, address: str) -> str | None:
    now = services.now()
    token = secrets.token_urlsafe(32)
    with services.db.open() as session:
        session.execute(delete(SignInLink).where(SignInLink.expires_at < now))
        # The member's row is the queue: of many questions at once, no more than the usual number are answered.
        known = session.scalars(select(Member.id).where(Member.email == address).with_for_update()).first()
        recent = session.scalar(select(func.count()).select_from(SignInLink).where(SignInLink.email == address)) or 0
        if known is None or recent >= LINKS_AT_ONCE:
            return None
        session.add(SignInLink(token_hash=_hash(token), email=address, created_at=now, expires_at=now + LINK_LIVES))
    return token


def doors(services: Services, token: str) -> tuple[Door, ...]:
    """The companies that a link leads to; none where it is spent. Looking spends nothing: mail scanners look."""
    with services.db.open_reading() as session:
        rows = session.execute(
            select(Company.id, Company.name, Company.accounting)
            .join(Member, Member.company_id == Company.id)
            .join(SignInLink, SignInLink.email == Member.email)
            .where(
                SignInLink.token_hash == _hash(token),
                SignInLink.used_at.is_(None),
                SignInLink.expires_at > services.now(),
            )
            .order_by(Company.name, Company.id)
        )
        return tuple(Door(row.id, row.name, row.accounting) for row in rows)


def spend(services: Services, token: str, company_id: int) -> str:
    """Use a link for one of its companies; gives the name of who it is. Raises `LinkSpent`."""
    now = services.now()
    with services.db.open() as session:
        address = session.scalar(
            update(SignInLink)
            .where(SignInLink.token_hash == _hash(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now)
            .values(used_at=now)
            .returning(SignInLink.email)
        )
        who = session.scalar(select(Member.who).where(Member.email == address, Member.company_id == company_id))
    if address is None or who is None:
        raise LinkSpent("this link was used, is too old, or leads elsewhere")
    return who or address
