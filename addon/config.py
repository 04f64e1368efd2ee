"""The settings of one installation, read from the environment in one place and checked before the start.

Three worlds, chosen by KVITT_ENV:

- `production` (also when it is not set) refuses to start with anything missing, and with anything that
  belongs to the sandbox: loopback or plain-http addresses, visibly fake credentials, a lease of seconds.
- `test` may aim outside addresses at this machine; what is missing gets a visibly fake value.
- `sandbox` (set by `kvitt demo`) may aim them nowhere else.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from addon.ports import registry

World = Literal["production", "test", "sandbox"]

# Where an outside address points in the sandbox as long as `kvitt demo` has not said where the simulated
# company listens: the discard port of this machine, so that a sandbox can never ring a real doorbell.
NOWHERE = "http://127.0.0.1:9"

# Values for a world in which nothing is real. Each says so itself, and production refuses each by that.
SANDBOX_VALUES: Mapping[str, str] = {
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "SECRET_KEY": "sandbox_not_real_secret_key_of_no_worth",
    # 43 letters and a sign of padding are, read as base64, the 32 bytes of a Fernet key.
    "TOKEN_KEYS": "sandbox_not_real_sandbox_not_real_sandbox_k=",
    "FORTNOX_CLIENT_ID": "sandbox_fortnox_client",
    "FORTNOX_CLIENT_SECRET": "sandbox_not_real_fortnox",
    "ECONOMIC_APP_SECRET_TOKEN": "sandbox_not_real_economic",
    "ECONOMIC_APP_PUBLIC_TOKEN": "sandbox_economic_public",
    "STRIPE_CLIENT_ID": "ca_sandbox_not_real",
    "STRIPE_SECRET_KEY": "sk_sandbox_not_real",
    "STRIPE_WEBHOOK_SECRET": "whsec_sandbox_not_real",
    "STRIPE_APP_CLIENT_ID": "ca_sandbox_not_real_app",
    "STRIPE_APP_SECRET_KEY": "sk_sandbox_not_real_app",
    "PAYPAL_CLIENT_ID": "sandbox_paypal_client",
    "PAYPAL_CLIENT_SECRET": "sandbox_not_real_paypal",
    "PAYPAL_WEBHOOK_ID": "sandbox_paypal_webhook",
}

OUTSIDE_ADDRESSES = (
    "FORTNOX_AUTH_URL",
    "FORTNOX_API_URL",
    "ECONOMIC_INSTALL_URL",
    "ECONOMIC_REST_URL",
    "ECONOMIC_API_URL",
    "STRIPE_CONNECT_URL",
    "STRIPE_API_URL",
    "PAYPAL_WEB_URL",
    "PAYPAL_API_URL",
    "KLARNA_API_URL",
    "RIKSBANK_URL",
    "NATIONALBANK_URL",
    "ECB_URL",
    "VIES_URL",
)

# In the sandbox a crashed delivery should be seen to recover while one watches.
_SANDBOX_DURATIONS = {"LOOKUP_QUARANTINE_S": "3", "LEASE_S": "15"}

_ALWAYS_NEEDED = (
    "DATABASE_URL",
    "REDIS_URL",
    "PUBLIC_URL",
    "SECRET_KEY",
    "TOKEN_KEYS",
    "FORTNOX_CLIENT_ID",
    "FORTNOX_CLIENT_SECRET",
    "STRIPE_CLIENT_ID",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
)

# A company that an installation does not offer needs nothing; one that it offers needs all of its names.
_ALL_OR_NONE = (
    ("ECONOMIC_APP_SECRET_TOKEN", "ECONOMIC_APP_PUBLIC_TOKEN"),
    ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"),
    ("STRIPE_APP_CLIENT_ID", "STRIPE_APP_SECRET_KEY"),
)

# Reserved by RFC 2606 and RFC 6761: no such name can ever be a real company's.
_RESERVED_ENDINGS = ("localhost", "test", "example", "invalid", "local", "internal")
_FAKE = re.compile(r"sandbox|not[-_ ]?real", re.IGNORECASE)
_FAKE_HOST = re.compile(r"sandbox|playground|not[-_]?real", re.IGNORECASE)
_STRIPE_TEST_KEY = re.compile(r"(?:sk|rk)_test_")

# Section 5 of the design rests on these: a whole call takes 60 s at most, a lease outlives it.
_LEAST_LEASE_S = 180
_LEAST_QUARANTINE_S = 600
# Fortnox answers 25 calls in five seconds and refuses the next.
_MOST_FORTNOX_CALLS_PER_5_S = 25
_LEAST_SECRET_LENGTH = 32


class ConfigurationError(Exception):
    """The settings are wrong. `faults` names each with what is wrong with it, and never its value."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Take the faults, one sentence each, beginning with the setting's name."""
        super().__init__("The settings are not right:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def _without_end_slash(address: str) -> str:
    return address.rstrip("/")


def _checked_address(address: str) -> str:
    parts = _split(address)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    if not parts.hostname.isascii():
        raise ValueError("must spell its host in ASCII (xn--...)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return address


def _checked_database_address(address: str) -> str:
    # Hosting companies hand out the old spellings; SQLAlchemy wants the driver named.
    for spelling in ("postgres://", "postgresql://"):
        if address.startswith(spelling):
            return "postgresql+psycopg://" + address.removeprefix(spelling)
    if not address.startswith(("postgresql+psycopg://", "sqlite://")):
        raise ValueError("must begin with postgresql+psycopg:// or sqlite://")
    return address


def _checked_redis_address(address: str) -> str:
    if not address.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return address


def _checked_mail_address(address: str) -> str:
    parts = _split(address)
    if parts is None or parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must begin with smtp:// or smtps://")
    return address


def _checked_token_keys(keys: SecretStr) -> SecretStr:
    names = [key.strip() for key in keys.get_secret_value().split(",")]
    for position, key in enumerate(names, start=1):
        try:
            Fernet(key)
        except ValueError as error:
            raise ValueError(f"key {position} of {len(names)} is not a Fernet key") from error
    if len(set(names)) != len(names):
        raise ValueError("names the same key twice")
    return keys


Address = Annotated[str, BeforeValidator(_without_end_slash), AfterValidator(_checked_address)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings, typed. Field names are the environment's names in lower case.

    Made by `load_settings`, which alone reads the environment and judges whether the values suit their
    world. Credentials are `SecretStr`; addresses that may carry a password are left out of the repr.
    Durations end in `_s` and are seconds.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kvitt_env: World = "production"

    database_url: Annotated[str, AfterValidator(_checked_database_address)] = Field(
        default="sqlite:///kvitt.db", repr=False
    )
    database_owner_url: Annotated[str, AfterValidator(_checked_database_address)] | None = Field(
        default=None, repr=False
    )
    redis_url: Annotated[str, AfterValidator(_checked_redis_address)] | None = Field(default=None, repr=False)

    public_url: Address
    # How many proxies of ours stand between the browser and us: whose word on the browser's address we take.
    trusted_proxies: int = Field(default=1, ge=0, le=5)
    secret_key: SecretStr
    token_keys: Annotated[SecretStr, AfterValidator(_checked_token_keys)]

    fortnox_client_id: str | None = None
    fortnox_client_secret: SecretStr | None = None
    fortnox_auth_url: Address = "https://apps.fortnox.se/oauth-v1"
    fortnox_api_url: Address = "https://api.fortnox.se/3"
    fortnox_calls_per_5_s: int = Field(default=24, ge=0)

    economic_app_secret_token: SecretStr | None = None
    economic_app_public_token: str | None = None
    economic_install_url: Address = "https://secure.e-conomic.com/secure/api1/requestaccess.aspx"
    economic_rest_url: Address = "https://restapi.e-conomic.com"
    economic_api_url: Address = "https://apis.e-conomic.com"

    stripe_client_id: str | None = None
    stripe_secret_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    # A Stripe App is a registration of its own, beside the platform's for Connect; without it, it is not offered.
    stripe_app_client_id: str | None = None
    stripe_app_secret_key: SecretStr | None = None
    stripe_connect_url: Address = "https://connect.stripe.com"
    stripe_api_url: Address = "https://api.stripe.com"

    paypal_client_id: str | None = None
    paypal_client_secret: SecretStr | None = None
    paypal_webhook_id: str | None = None
    paypal_web_url: Address = "https://www.paypal.com"
    paypal_api_url: Address = "https://api-m.paypal.com"

    klarna_api_url: Address = "https://api.klarna.com"
    # Banks that publish exchange rates, to anybody and without credentials.
    riksbank_url: Address = "https://api.riksbank.se"
    nationalbank_url: Address = "https://api.statbank.dk"
    ecb_url: Address = "https://www.ecb.europa.eu"
    # The EU's register of VAT numbers, open to anybody.
    vies_url: Address = "https://ec.europa.eu/taxation_customs/vies/rest-api"

    klarna_sftp_host: str | None = None
    klarna_sftp_port: int = Field(default=22, ge=1, le=65_535)

    smtp_url: Annotated[str, AfterValidator(_checked_mail_address)] | None = Field(default=None, repr=False)
    sentry_dsn: str | None = Field(default=None, repr=False)

    # What further connectors ask for, by the environment's names: each begins with its connector's.
    of_connectors: Mapping[str, SecretStr] = Field(default_factory=dict)

    lookup_quarantine_s: Seconds = 600
    lease_s: Annotated[Seconds, Field(gt=0)] = 180

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: the environment comes in through `load_settings`, where it is judged."""
        return (init_settings,)

    @property
    def migration_url(self) -> str:
        """The address migrations run under: the tables' owner, or the only role there is."""
        return self.database_owner_url or self.database_url

    @property
    def token_key_list(self) -> tuple[str, ...]:
        """The Fernet keys: the first encrypts, all decrypt."""
        return tuple(key.strip() for key in self.token_keys.get_secret_value().split(","))

    @property
    def is_production(self) -> bool:
        """Whether real books are at stake."""
        return self.kvitt_env == "production"

    def told(self, name: str) -> str:
        """A setting by its name in the environment; empty where it is not set."""
        value = getattr(self, name.lower(), None) or self.of_connectors.get(name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The environment's names of all settings."""
        return tuple(name.upper() for name in cls.model_fields if name != "of_connectors")


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment given, or the process's own. An empty value counts as missing.

    Raises ConfigurationError with every fault at once.
    """
    given = os.environ if environment is None else environment
    names = (*Settings.names(), *_of_connectors(given))
    present = {name: given[name].strip() for name in names if given.get(name, "").strip()}
    world = present.get("KVITT_ENV", "production")
    values = {**_defaults(world), **present}
    faults = list(_missing(values)) if world == "production" else []
    try:
        settings = _built(values)
    except ConfigurationError as error:
        unreadable = {fault.partition(":")[0] for fault in error.faults}
        faults = [fault for fault in faults if fault.partition(":")[0] not in unreadable]
        readable = {name: value for name, value in values.items() if name not in unreadable}
        raise ConfigurationError(tuple(sorted([*error.faults, *faults, *_unsuitable(world, readable)]))) from None
    faults += _unsuitable(world, values)
    if faults:
        raise ConfigurationError(tuple(sorted(faults)))
    return settings


def _of_connectors(names: Iterable[str]) -> list[str]:
    """The names that begin with a registered company's; those of a company that is named above stand there alone."""
    settings = Settings.names()
    prefixes = [f"{line.name.upper()}_" for line in (*registry.PAYMENTS, *registry.ACCOUNTING)]
    further = tuple(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in settings))
    return [name for name in names if name.startswith(further)]


def _addresses(values: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the outside addresses; a further connector's are those that say so."""
    return (*OUTSIDE_ADDRESSES, *(name for name in _of_connectors(values) if name.endswith("_URL")))


def _defaults(world: str) -> dict[str, str]:
    """What stands in for missing values outside production."""
    if world == "sandbox":
        return {**SANDBOX_VALUES, **dict.fromkeys(OUTSIDE_ADDRESSES, NOWHERE), **_SANDBOX_DURATIONS}
    return dict(SANDBOX_VALUES) if world == "test" else {}


def _built(values: Mapping[str, str]) -> Settings:
    further = _of_connectors(values)
    unreadable = tuple(
        fault for name in further if name.endswith("_URL") for fault in _address_fault(name, values[name])
    )
    if unreadable:
        raise ConfigurationError(unreadable)
    try:
        return Settings.model_validate(
            {
                **{name.lower(): value for name, value in values.items() if name not in further},
                "of_connectors": {name: values[name].rstrip("/") for name in further},
            }
        )
    except ValidationError as error:
        # The messages are pydantic's and ours; its "input" and "ctx" would carry values and are left out.
        raise ConfigurationError(
            tuple(
                f"{str(fault['loc'][0]).upper()}: {_sentence(fault['type'], fault['msg'])}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            )
        ) from None


def _address_fault(name: str, address: str) -> tuple[str, ...]:
    try:
        _checked_address(address)
    except ValueError as error:
        return (f"{name}: {error}",)
    return ()


def _sentence(kind: str, message: str) -> str:
    return "is missing" if kind == "missing" else message.removeprefix("Value error, ")


def _missing(values: Mapping[str, str]) -> Iterator[str]:
    for name in _ALWAYS_NEEDED:
        if name not in values:
            yield f"{name}: is missing"
    for group in _ALL_OR_NONE:
        absent = [name for name in group if name not in values]
        if len(absent) < len(group):
            yield from (f"{name}: is missing, {_others(group, absent)} is set" for name in absent)


def _others(group: tuple[str, ...], absent: list[str]) -> str:
    return next(name for name in group if name not in absent)


def _unsuitable(world: str, values: Mapping[str, str]) -> Iterator[str]:
    """What is readable, but belongs to another world."""
    if world == "production":
        yield from _unsuitable_for_production(values)
    elif world == "sandbox":
        for name, host in _outside_hosts(values):
            if not is_this_machine(host):
                yield f"{name}: the sandbox talks to this machine only"
    else:
        for name in (*_addresses(values), "PUBLIC_URL"):
            address = values.get(name, "")
            if address.startswith("http://") and not _never_public(_host(address)):
                yield f"{name}: must begin with https:// unless it is this machine"
        if not _never_public(_host(values.get("PUBLIC_URL", "http://localhost"))):
            # Whoever has read our source could sign cookies and webhooks for it, and open what is sealed.
            for name in _sandbox_values(values):
                yield f"{name}: is a sandbox value, which everybody knows, and PUBLIC_URL is open to everybody"


def _unsuitable_for_production(values: Mapping[str, str]) -> Iterator[str]:
    for name in _sandbox_values(values):
        yield f"{name}: is a sandbox value"
    for name in ("PUBLIC_URL", *_addresses(values)):
        if values.get(name, "https://").lower().startswith("http://"):
            yield f"{name}: must begin with https://"
    for name, host in (*_outside_hosts(values), ("PUBLIC_URL", _host(values.get("PUBLIC_URL", "")))):
        if host and (_never_public(host) or _FAKE_HOST.search(host)):
            yield f"{name}: is not a public address"
    for name in ("STRIPE_SECRET_KEY", "STRIPE_APP_SECRET_KEY"):
        if _STRIPE_TEST_KEY.match(values.get(name, "")):
            yield f"{name}: is a test-mode key, and test data never enters real books"
    if len(values.get("SECRET_KEY", "x" * _LEAST_SECRET_LENGTH)) < _LEAST_SECRET_LENGTH:
        yield f"SECRET_KEY: must have {_LEAST_SECRET_LENGTH} characters or more"
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        if values.get(name, "").startswith("sqlite"):
            yield f"{name}: must be PostgreSQL (postgresql+psycopg://...)"
    yield from _unsuitable_pace(values)


def _sandbox_values(values: Mapping[str, str]) -> Iterator[str]:
    """The names of what says of itself that it is not real."""
    for name, value in values.items():
        if name in ("KVITT_ENV", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", *_addresses(values)):
            continue
        if _FAKE.search(value):
            yield name


def _unsuitable_pace(values: Mapping[str, str]) -> Iterator[str]:
    def number(name: str) -> Decimal:
        return Decimal(values.get(name, str(Settings.model_fields[name.lower()].default)))

    if number("LEASE_S") < _LEAST_LEASE_S:
        yield f"LEASE_S: must be {_LEAST_LEASE_S} or more"
    if number("LOOKUP_QUARANTINE_S") < _LEAST_QUARANTINE_S:
        yield f"LOOKUP_QUARANTINE_S: must be {_LEAST_QUARANTINE_S} or more"
    if not 1 <= number("FORTNOX_CALLS_PER_5_S") <= _MOST_FORTNOX_CALLS_PER_5_S:
        yield f"FORTNOX_CALLS_PER_5_S: must be from 1 to {_MOST_FORTNOX_CALLS_PER_5_S}"


def _outside_hosts(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each outside address that is set, with its host."""
    for name in _addresses(values):
        if name in values:
            yield name, _host(values[name])
    if "KLARNA_SFTP_HOST" in values:
        yield "KLARNA_SFTP_HOST", values["KLARNA_SFTP_HOST"].lower()


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        return None
    return parts


def _host(address: str) -> str:
    parts = _split(address)
    return (parts.hostname or "") if parts is not None else ""


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a host is when it is written in numbers, in any spelling that the system would take."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # 127.1, 0x7f.1 and 2130706433 are this machine as well, for whoever connects.
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_this_machine(host: str) -> bool:
    """Whether a host means the machine we run on; asks no name server."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    number = _numeric(name)
    return number is not None and number.is_loopback


def _never_public(host: str) -> bool:
    """Whether no outside company can be reached under this host: this machine, a private net, a bare name."""
    name = host.lower().rstrip(".")
    number = _numeric(name)
    if number is not None:
        return not number.is_global
    return "." not in name or name.rpartition(".")[2] in _RESERVED_ENDINGS
