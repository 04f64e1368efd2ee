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
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from addon import alarms
from addon.config import ConfigurationError, Settings, load_settings
from addon.core.fixings import RateChoice
from addon.log import configure_logging, get_logger
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, Lane, Pace, TokenSource
from addon.ports.mail import Mailer
from addon.ports.oauth import Authorisation
from addon.ports.payments import PaymentSource
from addon.ports.rates import RateSource
from addon.ports.vat_numbers import VatNumberRegister
from addon.services import activity
from addon.services.calls import CountedCalls
from addon.services.context import NO_CHOICES, Services
from addon.services.tally import Tally
from addon.store.database import Database
from addon.store.secrets import SealedBox

if TYPE_CHECKING:
    from redis import Redis

    from addon.connectors.economic import Memory
    from addon.connectors.http import DeadlineTransport, HttpClient
    from addon.connectors.paypal import PayPalPlatform
    from addon.connectors.stripe import StripePlatform
    from addon.web.hooks import ReadWebhook

LONGEST_CALL_S: Final = 60.0
"""A whole call, by our own clock; leases are three times as long."""

_ECONOMIC_CALLS_PER_5_S: Final = 200
"""Two hundred calls of three each in five seconds: seven thousand of the ten thousand that a minute has."""

_CERTIFICATE_S: Final = 10.0
"""How long a webhook may wait for the certificate that signed it."""

_STRIPE_CONNECT: Final = "https://connect.stripe.com"


class NotOffered(LookupError):
    """This installation has no credentials for an outside company, or does not know it."""


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def _secret(value: SecretStr | str | None, name: str) -> str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text:
        raise NotOffered(f"{name} is not set")
    return text


class LiveOutside:
    """The way to the outside over the network. Implements `Outside`.

    Make it after a fork. All clients share one pool of connections, which needs no closing but the process's end.
    """

    def __init__(self, settings: Settings, now: Callable[[], datetime] = utc_now, tally: Tally | None = None) -> None:
        self._settings = settings
        self._now = now
        self._tally = tally or Tally()
        self._lock = threading.Lock()
        self._read_of_agreements: WeakKeyDictionary[TokenSource, Memory] = WeakKeyDictionary()

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

    def _http(self, system: str, observer: CallObserver | None = None) -> HttpClient:
        from addon.connectors.http import HttpClient

        deadline_s = min(LONGEST_CALL_S, self._settings.lease_s / 3)
        counted = CountedCalls(self._tally, observer)
        return HttpClient(system, counted, transport=self._transport, deadline_s=deadline_s, now=self._now)

    def _pace(self, tenant: str) -> Pace:
        from addon.connectors.pace import NoPace, RedisPace

        calls = self._settings.fortnox_calls_per_5_s
        return RedisPace(self._redis, f"fortnox:{tenant}", calls=calls) if calls else NoPace()

    def accounting(
        self,
        system: str,
        tenant: str,
        tokens: TokenSource,
        observer: CallObserver,
        lane: Lane,
        choices: Mapping[str, str] = NO_CHOICES,
    ) -> AccountingSystem:
        """One company's books. Raises `NotOffered` for a system that is not known."""
        if system == "economic":
            return self._economic(tenant, tokens, observer, lane, choices)
        if system != "fortnox":
            raise NotOffered(f"there is no accounting system {system!r}")
        from addon.connectors.fortnox import FortnoxAccounting, FortnoxClient

        client = FortnoxClient(
            self._http(system, observer), self._settings.fortnox_api_url, tokens, self._pace(tenant), lane
        )
        return FortnoxAccounting(client, now=self._now)

    def accounting_authorisation(self, system: str) -> Authorisation:
        """The consent of an accounting system. Raises `NotOffered`."""
        if system == "economic":
            return self._economic_authorisation()
        if system != "fortnox":
            raise NotOffered(f"there is no accounting system {system!r}")
        from addon.connectors.fortnox import FortnoxAuthorisation

        settings = self._settings
        return FortnoxAuthorisation(
            self._http(system),
            client_id=_secret(settings.fortnox_client_id, "FORTNOX_CLIENT_ID"),
            client_secret=_secret(settings.fortnox_client_secret, "FORTNOX_CLIENT_SECRET"),
            auth_url=settings.fortnox_auth_url,
            api_url=settings.fortnox_api_url,
            now=self._now,
        )

    def _economic(
        self, tenant: str, tokens: TokenSource, observer: CallObserver, lane: Lane, choices: Mapping[str, str]
    ) -> AccountingSystem:
        from addon.connectors.economic import Choices, EconomicAccounting, EconomicClient, Memory, nudge_path

        settings = self._settings
        client = EconomicClient(
            self._http("economic", observer),
            settings.economic_rest_url,
            settings.economic_api_url,
            _secret(settings.economic_app_secret_token, "ECONOMIC_APP_SECRET_TOKEN"),
            tokens,
            self._economic_pace(tenant),
            lane,
        )
        word = nudge_path(settings.secret_key.get_secret_value().encode(), tenant)
        address = f"{settings.public_url.rstrip('/')}/webhooks/economic/{word}"
        with self._lock:
            # Whoever works with the same source of tokens does one slice of one company's work.
            memory = self._read_of_agreements.setdefault(tokens, Memory())
        return EconomicAccounting(client, Choices.of(choices), now=self._now, nudge_url=address, memory=memory)

    def _economic_authorisation(self) -> Authorisation:
        from addon.connectors.economic import EconomicAuthorisation

        settings = self._settings
        return EconomicAuthorisation(
            self._http("economic"),
            self._economic_pace("activation"),
            app_public_token=_secret(settings.economic_app_public_token, "ECONOMIC_APP_PUBLIC_TOKEN"),
            app_secret=_secret(settings.economic_app_secret_token, "ECONOMIC_APP_SECRET_TOKEN"),
            install_address=settings.economic_install_url,
            rest_url=settings.economic_rest_url,
            api_url=settings.economic_api_url,
        )

    def _economic_pace(self, tenant: str) -> Pace:
        """Well under the budget of both hosts; the client slows down further by what their answers tell."""
        from addon.connectors.pace import NoPace, RedisPace

        if not self._settings.fortnox_calls_per_5_s:
            return NoPace()  # a test world without pacing
        return RedisPace(self._redis, f"economic:{tenant}", calls=_ECONOMIC_CALLS_PER_5_S)

    def _platform(self) -> StripePlatform:
        from addon.connectors.stripe import StripePlatform

        settings = self._settings
        return StripePlatform(
            client_id=_secret(settings.stripe_client_id, "STRIPE_CLIENT_ID"),
            secret_key=_secret(settings.stripe_secret_key, "STRIPE_SECRET_KEY"),
            api_url=settings.stripe_api_url,
            connect_url=settings.stripe_connect_url,
        )

    def _app_platform(self) -> StripePlatform:
        from addon.connectors.stripe import StripePlatform

        settings = self._settings
        return StripePlatform(
            client_id=_secret(settings.stripe_app_client_id, "STRIPE_APP_CLIENT_ID"),
            secret_key=_secret(settings.stripe_app_secret_key, "STRIPE_APP_SECRET_KEY"),
            api_url=settings.stripe_api_url,
            connect_url=settings.stripe_connect_url,
        )

    def payments(
        self,
        provider: str,
        way: str,
        account_ref: str,
        tokens: TokenSource,
        observer: CallObserver,
        order_places: tuple[str, ...] = (),
    ) -> PaymentSource:
        """One connection to a provider. Raises `NotOffered`, and `Rejected` for a pasted key that will not do.

        A key whose account is not known yet (`account_ref` empty) is tried out on everything that it must read.
        """
        if provider == "paypal":
            return self._paypal(way, account_ref, tokens, observer, order_places)
        if provider != "stripe":
            raise NotOffered(f"there is no payment provider {provider!r}")
        from addon.connectors.stripe import (
            AppAccess,
            ConnectAccess,
            KeyAccess,
            StripeAccess,
            StripeApi,
            StripeSource,
            check_restricted_key,
        )

        http = self._http(provider, observer)
        api_url = self._settings.stripe_api_url
        authorisation: Authorisation | None = None
        access: StripeAccess
        match way:
            case "connect":
                access = ConnectAccess(account_ref, self._platform().secret_key)
                authorisation = self.payment_authorisation(provider, way)
            case "app":
                access = AppAccess(account_ref, tokens)
            case "key":
                key = tokens.current()
                if not account_ref:
                    check_restricted_key(key, http, api_url=api_url)
                access = KeyAccess(key)
            case _:
                raise NotOffered(f"there is no way {way!r} into {provider}")
        api = StripeApi(http, access, api_url=api_url)
        if not order_places:
            return StripeSource(api, now=self._now, authorisation=authorisation)
        return StripeSource(api, now=self._now, authorisation=authorisation, order_places=order_places)

    def _paypal_platform(self) -> PayPalPlatform:
        from addon.connectors.paypal import PayPalPlatform

        settings = self._settings
        return PayPalPlatform(
            client_id=_secret(settings.paypal_client_id, "PAYPAL_CLIENT_ID"),
            client_secret=_secret(settings.paypal_client_secret, "PAYPAL_CLIENT_SECRET"),
            api_url=settings.paypal_api_url,
        )

    def _paypal(
        self, way: str, account_ref: str, tokens: TokenSource, observer: CallObserver, order_places: tuple[str, ...]
    ) -> PaymentSource:
        from addon.connectors.paypal import PayPalApi, PayPalSource, assertion

        if way not in ("connect", "key"):
            raise NotOffered(f"there is no way {way!r} into paypal")
        named = assertion(self._paypal_platform().client_id, account_ref) if way == "connect" else ""
        http = self._http("paypal", observer)
        api = PayPalApi(http, tokens, api_url=self._settings.paypal_api_url, assertion=named)
        return PayPalSource(api, now=self._now, account=account_ref, order_places=order_places)

    def vat_register(self, observer: CallObserver) -> VatNumberRegister:
        """The EU's register of VAT numbers."""
        from addon.connectors.vies import ViesRegister

        return ViesRegister(self._http("vies", observer), self._settings.vies_url, now=self._now)

    def payment_authorisation(self, provider: str, way: str) -> Authorisation:
        """The consent of a payment provider. Raises `KeyError` for a way without one (`key`)."""
        if provider == "paypal" and way in ("connect", "key"):
            from addon.connectors.paypal import AppAuthorisation as PayPalApp
            from addon.connectors.paypal import PartnerAuthorisation

            http, settings = self._http(provider), self._settings
            if way == "key":
                return PayPalApp(http, now=self._now, api_url=settings.paypal_api_url)
            return PartnerAuthorisation(self._paypal_platform(), http, now=self._now, web_url=settings.paypal_web_url)
        if provider != "stripe" or way not in ("connect", "app"):
            raise KeyError(f"{provider}/{way}")
        from addon.connectors.stripe import AppAuthorisation, ConnectAuthorisation

        if way == "connect":
            return ConnectAuthorisation(self._platform(), self._http(provider))
        platform = self._app_platform()
        if platform.connect_url == _STRIPE_CONNECT:
            return AppAuthorisation(platform, self._http(provider), now=self._now)
        return AppAuthorisation(platform, self._http(provider), now=self._now, marketplace_url=platform.connect_url)

    def rates(self, choice: RateChoice, observer: CallObserver) -> RateSource:
        """A bank's published exchange rates. Raises `NotOffered` for the accounting system's own."""
        http = self._http(choice.value, observer)
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
    from addon.connectors.economic.webhooks import read_nudge
    from addon.connectors.fortnox import ConsentChange
    from addon.connectors.fortnox import read_webhook as read_consent
    from addon.connectors.stripe import read_event
    from addon.connectors.stripe.webhooks import DISCONNECTED, SIGNATURE_HEADER
    from addon.web.hooks import Announced

    secret = settings.stripe_webhook_secret.get_secret_value() if settings.stripe_webhook_secret else ""
    keys = tuple(key.strip() for key in secret.split(",") if key.strip())

    def stripe(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        event = read_event(body, headers.get(SIGNATURE_HEADER, ""), keys, now)
        return Announced(event.ref, event.type, event.account, event.live, event.type == DISCONNECTED)

    def fortnox(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced | None:
        news = read_consent(body)
        if news is None:
            return None
        return Announced("", news.change.value, news.tenant, ended=news.change is ConsentChange.REVOKED)

    def economic(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        # What is read is the end of the address: the body is nobody's word, and is not looked at.
        return Announced("", "nudge", read_nudge(settings.secret_key.get_secret_value().encode(), body.decode()))

    readers: dict[str, ReadWebhook] = {"fortnox": fortnox}
    if settings.economic_app_public_token:
        readers["economic"] = economic
    if keys:
        readers["stripe"] = stripe
    if settings.paypal_webhook_id:
        readers["paypal"] = _paypal_reader(settings, settings.paypal_webhook_id)
    return readers


def _paypal_reader(settings: Settings, webhook_id: str) -> ReadWebhook:
    from addon.connectors.http import HttpClient
    from addon.connectors.paypal import CONSENT_REVOKED, Certificates
    from addon.connectors.paypal import read_event as read_paypal
    from addon.web.hooks import Announced

    # A test world signs with a certificate of its own; production's address is PayPal's, whose hosts are known anyway.
    trusted = frozenset() if settings.is_production else frozenset({settings.paypal_api_url})
    kept: list[Certificates] = []

    def paypal(body: bytes, headers: Mapping[str, str], now: datetime) -> Announced:
        if not kept:
            # Made when the first one comes, after any fork.
            kept.append(Certificates(HttpClient("paypal", deadline_s=_CERTIFICATE_S), trusted))
        event = read_paypal(body, headers, webhook_id, kept[0].get, now)
        return Announced(event.ref, event.type, event.account, ended=event.type == CONSENT_REVOKED)

    return paypal


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
    import addon.connectors.fortnox
    import addon.connectors.stripe  # noqa: F401


def load() -> Settings:
    """The settings of this process, from its environment, and its log set up. Raises `ConfigurationError`."""
    settings = load_settings()
    configure_logging()
    activity.process_is("web")
    alarms.watch(settings)
    return settings
