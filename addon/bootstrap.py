"""The one place that knows every concrete class: it puts a process together out of its settings.

Connectors are imported when they are first used: together with what they stand on they take a second.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from addon import alarms
from addon.config import ConfigurationError, Settings, load_settings
from addon.core.fixings import RateChoice
from addon.log import configure_logging, get_logger
from addon.ports import registry
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, Lane, Pace, TokenSource
from addon.ports.connectors import NotOffered
from addon.ports.mail import Mailer
from addon.ports.oauth import Authorisation
from addon.ports.payments import PaymentSource
from addon.ports.rates import RateSource
from addon.ports.vat_numbers import VatNumberRegister
from addon.ports.webhooks import ReadWebhook
from addon.services import activity
from addon.services.calls import CountedCalls
from addon.services.context import NO_CHOICES, Services
from addon.services.tally import Tally
from addon.store.database import Database
from addon.store.secrets import SealedBox

if TYPE_CHECKING:
    from redis import Redis

    from addon.connectors.http import DeadlineTransport, HttpClient

T = TypeVar("T")

LONGEST_CALL_S: Final = 60.0
"""A whole call, by our own clock; leases are three times as long."""


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class LiveOutside:
    """The way to the outside over the network. Implements `Outside`, and `Workshop` for the connectors.

    Make it after a fork. All clients share one pool of connections, which needs no closing but the process's end.
    """

    def __init__(self, settings: Settings, now: Callable[[], datetime] = utc_now, tally: Tally | None = None) -> None:
        self._settings = settings
        self._now = now
        self._tally = tally or Tally()
        self._lock = threading.Lock()
        self._kept: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    @cached_property
    def _transport(self) -> DeadlineTransport:
        from addon.connectors.http import DeadlineTransport

        return DeadlineTransport()

    @cached_property
    def _redis(self) -> Redis:
        from redis import Redis

        url = self._settings.redis_url
        if url is None:
            raise NotOffered("REDIS_URL is not set, and calls to Fortnox are paced through Redis")
        client: Redis = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
        return client

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        return self._now

    @property
    def production(self) -> bool:
        """Whether real books are at stake."""
        return self._settings.is_production

    def setting(self, name: str) -> str:
        """A setting by its name in the environment. Raises `NotOffered` where it is not set."""
        text = self._settings.told(name)
        if not text:
            raise NotOffered(f"{name} is not set")
        return text

    def own_secret(self) -> bytes:
        """Kvitt's own secret, to make words from that nobody else can make."""
        return self._settings.secret_key.get_secret_value().encode()

    def address(self, path: str) -> str:
        """One of our own addresses as others reach it."""
        return f"{self._settings.public_url.rstrip('/')}{path}"

    def http(self, system: str, observer: CallObserver | None = None, deadline_s: float | None = None) -> HttpClient:
        """A client whose calls are counted, told, and ended in time."""
        from addon.connectors.http import HttpClient

        deadline_s = deadline_s or min(LONGEST_CALL_S, self._settings.lease_s / 3)
        counted = CountedCalls(self._tally, observer)
        return HttpClient(system, counted, transport=self._transport, deadline_s=deadline_s, now=self._now)

    def pace(self, key: str, calls_per_5_s: int | None = None) -> Pace:
        """Keeps calls under a limit over all our processes; a test world has no pacing."""
        from addon.connectors.pace import NoPace, RedisPace

        usual = self._settings.fortnox_calls_per_5_s
        return RedisPace(self._redis, key, calls=calls_per_5_s or usual) if usual else NoPace()

    def kept(self, owner: object, make: Callable[[], T]) -> T:
        """Something that lives as long as its owner, made when first asked for."""
        with self._lock:
            found: T = self._kept.setdefault(owner, make())
        return found

    def accounting(
        self,
        system: str,
        tenant: str,
        tokens: TokenSource,
        observer: CallObserver,
        lane: Lane,
        choices: Mapping[str, str] = NO_CHOICES,
    ) -> AccountingSystem:
        """One company's books. Raises `LookupError` for a system that is not known or not offered."""
        return registry.accounting(system).system(self, tenant, tokens, observer, lane, choices)

    def accounting_authorisation(self, system: str) -> Authorisation:
        """The consent of an accounting system. Raises `LookupError`."""
        return registry.accounting(system).authorisation(self)

    def payments(
        self,
        provider: str,
        way: str,
        account_ref: str,
        tokens: TokenSource,
        observer: CallObserver,
        order_places: tuple[str, ...] = (),
    ) -> PaymentSource:
        """One connection to a provider. Raises `LookupError`, and `Rejected` for a pasted key that will not do."""
        return registry.payment(provider).source(self, way, account_ref, tokens, observer, order_places)

    def payment_authorisation(self, provider: str, way: str) -> Authorisation:
        """The consent of a payment provider. Raises `LookupError` for a way without one, or that is not offered."""
        return registry.payment(provider).authorisation(self, way)

    def vat_register(self, observer: CallObserver) -> VatNumberRegister:
        """The EU's register of VAT numbers."""
        from addon.connectors.vies import ViesRegister

        return ViesRegister(self.http("vies", observer), self._settings.vies_url, now=self._now)

    def rates(self, choice: RateChoice, observer: CallObserver) -> RateSource:
        """A bank's published exchange rates. Raises `NotOffered` for the accounting system's own."""
        http = self.http(choice.value, observer)
        match choice:
            case RateChoice.RIKSBANK:
                from addon.connectors.riksbank import RiksbankRates

                return RiksbankRates(http, self._settings.riksbank_url)
            case RateChoice.NATIONALBANK:
                from addon.connectors.nationalbank import NationalbankRates

                return NationalbankRates(http, self._settings.nationalbank_url)
            case RateChoice.ECB:
                from addon.connectors.ecb import EcbRates

                return EcbRates(http, self._settings.ecb_url, self._now)
            case RateChoice.ACCOUNTING:
                raise NotOffered("the accounting system's own rates come with its books")


def webhook_readers(settings: Settings) -> Mapping[str, ReadWebhook]:
    """How to read what other companies' servers send, by company. Each raises `BadReply` for what is not theirs."""
    workshop = LiveOutside(settings)
    readers = {line.name: registry.payment(line.name).webhooks(workshop) for line in registry.PAYMENTS}
    readers |= {line.name: registry.accounting(line.name).webhooks(workshop) for line in registry.ACCOUNTING}
    return {name: reader for name, reader in readers.items() if reader is not None}


def process_name() -> str:
    """What this process is called in lease rows."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(3)}"


def build(settings: Settings, **replaced: Any) -> Services:
    """The services of this process; `replaced` takes fields of `Services` for tests (now, outside, nudge …)."""
    now = replaced.pop("now", utc_now)
    tally = Tally()
    fields: dict[str, Any] = {
        "db": Database(settings.database_url, settings.migration_url),
        "box": SealedBox([key.strip() for key in settings.token_keys.get_secret_value().split(",")]),
        "now": now,
        "outside": LiveOutside(settings, now, tally),
        "nudge": _nudge(settings.redis_url, settings.lease_s),
        "quarantine_s": int(settings.lookup_quarantine_s),
        "lease_s": int(settings.lease_s),
        "sandbox": settings.kvitt_env == "sandbox",
        "holder": process_name(),
        "tally": tally,
        "queued": _queued(settings.redis_url),
        "mailer": _mailer(settings),
    }
    fields.update(replaced)
    if settings.is_production:
        require_wall(fields["db"])
    return Services(**fields)


def _mailer(settings: Settings) -> Mailer | None:
    """The way to send mail, from an address of our own host; None where SMTP_URL is not set."""
    if not settings.smtp_url:
        return None
    from addon.connectors.mail import SmtpMailer

    host = urlsplit(settings.public_url).hostname or "localhost"
    return SmtpMailer(settings.smtp_url, f"kvitt@{host}")


def require_wall(db: Database) -> None:
    """Refuse to work under a role that row-level security does not bind: then one wall only keeps companies apart.

    Raises `ConfigurationError`. A database that does not answer now is left to `/readyz` and to the first query.
    """
    from addon.store.migrate import wall_is_missing

    if wall_is_missing(db):
        raise ConfigurationError(
            ("DATABASE_URL: its role passes row-level security by; give one that is no superuser",)
        )


def _nudge(redis_url: str | None, lease_s: float) -> Callable[[int], None]:
    """Tell the queue that a company wants work. The wish stands in the database, so a lost nudge loses nothing."""

    def nudge(company_id: int) -> None:
        if redis_url is None:
            return
        from addon.jobs import queue

        try:
            queue.nudge(redis_url, company_id, min(queue.SILENT_S, lease_s))
        except queue.QueueAway as error:
            get_logger(__name__).warning("nudge_lost", company_id=company_id, error=str(error))

    return nudge


def _queued(redis_url: str | None) -> Callable[[], int | None] | None:
    """How many jobs wait; None where this process has no queue."""
    if redis_url is None:
        return None

    def queued() -> int | None:
        from addon.jobs import queue

        try:
            return queue.size(redis_url)
        except queue.QueueAway:
            return None

    return queued


def preload() -> None:
    """Import the connectors now, in a process that is going to fork: they take a second."""
    for line in registry.PAYMENTS:
        registry.payment(line.name)
    for line in registry.ACCOUNTING:
        registry.accounting(line.name)


def load() -> Settings:
    """The settings of this process, from its environment, and its log set up. Raises `ConfigurationError`."""
    settings = load_settings()
    configure_logging()
    activity.process_is("web")
    alarms.watch(settings)
    return settings
