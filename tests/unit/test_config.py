"""Which settings each world starts with, and that a refusal names the fault and never the value."""

import base64
from collections.abc import Mapping

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from addon.config import (
    OUTSIDE_ADDRESSES,
    SANDBOX_VALUES,
    ConfigurationError,
    Settings,
    is_this_machine,
    load_settings,
)
from addon.ports import registry

# The same in every test process, because pytest-xdist compares the tests' names.
TOKEN_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()

PRODUCTION: Mapping[str, str] = {
    "DATABASE_URL": "postgresql+psycopg://kvitt_app:pw-one@db.internal/kvitt",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "PUBLIC_URL": "https://kvitt.se",
    "SECRET_KEY": "k" * 40,
    "TOKEN_KEYS": TOKEN_KEY,
    "FORTNOX_CLIENT_ID": "fnx-client",
    "FORTNOX_CLIENT_SECRET": "fnx-very-hidden",
    "STRIPE_CLIENT_ID": "ca_Real",
    "STRIPE_SECRET_KEY": "sk_live_hidden",
    "STRIPE_WEBHOOK_SECRET": "whsec_hidden",
}

CREDENTIALS = sorted(set(SANDBOX_VALUES) - {"PUBLIC_URL"})


def faults_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment)
    return caught.value.faults


def names_of(faults: tuple[str, ...]) -> set[str]:
    return {fault.partition(":")[0] for fault in faults}


def test_production_starts_with_real_values_and_the_published_addresses() -> None:
    settings = load_settings(PRODUCTION)
    assert settings.is_production
    assert settings.fortnox_api_url == "https://api.fortnox.se/3"
    assert settings.fortnox_auth_url == "https://apps.fortnox.se/oauth-v1"
    assert settings.stripe_connect_url == "https://connect.stripe.com"
    assert settings.paypal_api_url == "https://api-m.paypal.com"
    assert (settings.lookup_quarantine_s, settings.lease_s, settings.fortnox_calls_per_5_s) == (600, 180, 24)
    assert settings.stripe_secret_key is not None
    assert settings.stripe_secret_key.get_secret_value() == "sk_live_hidden"
    assert settings.migration_url == settings.database_url


def test_production_is_the_world_where_nothing_is_said_and_names_all_that_is_missing() -> None:
    faults = faults_of({})
    assert names_of(faults) == set(PRODUCTION)
    assert all(fault.endswith(": is missing") for fault in faults)
    assert len(faults) == len(PRODUCTION)


@pytest.mark.parametrize("name", sorted(PRODUCTION))
def test_production_refuses_each_missing_or_empty_value(name: str) -> None:
    assert names_of(faults_of({**PRODUCTION, name: "  "})) == {name}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_production_refuses_each_sandbox_credential(name: str) -> None:
    complete = {
        **PRODUCTION,
        "ECONOMIC_APP_SECRET_TOKEN": "eco-hidden",
        "ECONOMIC_APP_PUBLIC_TOKEN": "eco",
        "PAYPAL_CLIENT_ID": "pp",
        "PAYPAL_CLIENT_SECRET": "pp-hidden",
        "PAYPAL_WEBHOOK_ID": "WH-1",
    }
    load_settings(complete)
    assert f"{name}: is a sandbox value" in faults_of({**complete, name: SANDBOX_VALUES[name]})


UNREAL_ADDRESSES = (
    "https://127.0.0.1:8443",
    "https://localhost/x",
    "https://LOCALHOST.",
    "https://fortnox.localhost",
    "https://[::1]",
    "https://[::ffff:127.0.0.1]",
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0.0.0.0",
    "https://10.0.0.7",
    "https://fortnox",
    "https://fortnox.test",
    "https://api-m.sandbox.paypal.com",
    "https://api.playground.klarna.com",
    "https://api.fortnox.se@127.0.0.1/3",
    "http://api.fortnox.se/3",
    "HTTP://api.fortnox.se/3",
    "ftp://api.fortnox.se/3",
    "https://",
    "https://api.fortnox.se:port",
    "https://127.0.0.１",
    "not an address",
)


@pytest.mark.parametrize("address", UNREAL_ADDRESSES)
@pytest.mark.parametrize("name", [*OUTSIDE_ADDRESSES, "PUBLIC_URL"])
def test_production_cannot_be_aimed_at_a_sandbox(name: str, address: str) -> None:
    faults = faults_of({**PRODUCTION, name: address})
    assert names_of(faults) == {name}
    assert address == "https://" or not any(address in fault for fault in faults)


def test_production_refuses_a_klarna_host_on_this_machine() -> None:
    assert names_of(faults_of({**PRODUCTION, "KLARNA_SFTP_HOST": "127.0.0.1"})) == {"KLARNA_SFTP_HOST"}
    load_settings({**PRODUCTION, "KLARNA_SFTP_HOST": "sftp.klarna.com"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_S", "5"),
        ("LEASE_S", "soon"),
        ("LEASE_S", "inf"),
        ("LOOKUP_QUARANTINE_S", "3"),
        ("FORTNOX_CALLS_PER_5_S", "0"),
        ("FORTNOX_CALLS_PER_5_S", "26"),
        ("DATABASE_URL", "sqlite:///kvitt.db"),
        ("DATABASE_URL", "mysql://db/kvitt"),
        ("DATABASE_OWNER_URL", "sqlite:///kvitt.db"),
        ("REDIS_URL", "http://redis"),
        ("SMTP_URL", "mail.kvitt.se"),
        ("SECRET_KEY", "short"),
        ("STRIPE_SECRET_KEY", "sk_test_4eC39"),
        ("TOKEN_KEYS", "not-a-key"),
        ("TOKEN_KEYS", f"{TOKEN_KEY},{TOKEN_KEY}"),
        ("TOKEN_KEYS", f"{TOKEN_KEY},"),
        ("KLARNA_SFTP_PORT", "70000"),
        ("KVITT_ENV", "staging"),
    ],
)
def test_production_refuses_unsuitable_values_without_repeating_them(name: str, value: str) -> None:
    faults = faults_of({**PRODUCTION, name: value})
    assert names_of(faults) == {name}
    if len(value) > 3:
        assert not any(value in fault for fault in faults)


def test_production_refuses_a_stripe_app_in_test_mode() -> None:
    app = {"STRIPE_APP_CLIENT_ID": "ca_app", "STRIPE_APP_SECRET_KEY": "sk_test_4eC39"}
    assert names_of(faults_of({**PRODUCTION, **app})) == {"STRIPE_APP_SECRET_KEY"}


def test_all_faults_are_named_at_once() -> None:
    environment = {**PRODUCTION, "TOKEN_KEYS": "no", "PUBLIC_URL": "http://127.0.0.1", "LEASE_S": "1"}
    del environment["STRIPE_SECRET_KEY"]
    assert names_of(faults_of(environment)) == {"TOKEN_KEYS", "PUBLIC_URL", "LEASE_S", "STRIPE_SECRET_KEY"}


def test_a_company_that_is_offered_needs_all_of_its_names() -> None:
    faults = faults_of({**PRODUCTION, "PAYPAL_CLIENT_ID": "pp"})
    assert names_of(faults) == {"PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"}
    assert names_of(faults_of({**PRODUCTION, "ECONOMIC_APP_SECRET_TOKEN": "e"})) == {"ECONOMIC_APP_PUBLIC_TOKEN"}


def test_a_further_connectors_settings_are_read_by_its_name_and_held_to_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {**PRODUCTION, "ACME_KEY": "hidden-key", "ACME_API_URL": "https://api.acme.com/", "STRIPE_OTHER": "x"}
    assert load_settings(given).of_connectors == {}
    monkeypatch.setattr(registry, "PAYMENTS", [*registry.PAYMENTS, registry.Registered("acme", "Acme")])
    settings = load_settings(given)
    assert {name: value.get_secret_value() for name, value in settings.of_connectors.items()} == {
        "ACME_KEY": "hidden-key",
        "ACME_API_URL": "https://api.acme.com",
    }
    assert "hidden-key" not in repr(settings)
    for address in ("http://api.acme.com", "https://127.0.0.1", "https://sandbox.acme.com", "no address"):
        assert names_of(faults_of({**given, "ACME_API_URL": address})) == {"ACME_API_URL"}
    assert names_of(faults_of({**given, "ACME_KEY": "sandbox_key"})) == {"ACME_KEY"}
    assert names_of(faults_of({"KVITT_ENV": "sandbox", "ACME_API_URL": "https://api.acme.com"})) == {"ACME_API_URL"}


def test_neither_refusals_nor_representations_show_secrets() -> None:
    secrets = {"fnx-very-hidden", "sk_live_hidden", "whsec_hidden", "k" * 40, TOKEN_KEY, "pw-one"}
    shown = repr(load_settings(PRODUCTION)) + str(load_settings(PRODUCTION))
    with pytest.raises(ConfigurationError) as caught:
        load_settings({**PRODUCTION, "LEASE_S": "x", "PUBLIC_URL": "http://sandbox"})
    shown += str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ValidationError) as direct:
        Settings(public_url="sk_live_hidden", secret_key="k" * 40, token_keys="pw-one")  # type: ignore[arg-type]
    shown += str(direct.value)
    assert not [secret for secret in secrets if secret in shown]


def test_the_sandbox_needs_nothing_and_reaches_nobody() -> None:
    settings = load_settings({"KVITT_ENV": "sandbox"})
    assert settings.database_url == "sqlite:///kvitt.db"
    assert settings.redis_url is None
    assert settings.lease_s < 60
    assert settings.lookup_quarantine_s < 60
    for name in OUTSIDE_ADDRESSES:
        assert getattr(settings, name.lower()).startswith("http://127.0.0.1:")


def test_the_sandbox_refuses_a_real_address() -> None:
    faults = faults_of({"KVITT_ENV": "sandbox", "FORTNOX_API_URL": "https://api.fortnox.se/3"})
    assert faults == ("FORTNOX_API_URL: the sandbox talks to this machine only",)


def test_a_test_world_may_aim_at_this_machine_and_sets_seconds() -> None:
    settings = load_settings(
        {
            "KVITT_ENV": "test",
            "FORTNOX_API_URL": "http://127.0.0.1:7001/3/",
            "LOOKUP_QUARANTINE_S": "0.5",
            "LEASE_S": "2",
            "FORTNOX_CALLS_PER_5_S": "0",
        }
    )
    assert settings.fortnox_api_url == "http://127.0.0.1:7001/3"
    assert (settings.lookup_quarantine_s, settings.fortnox_calls_per_5_s) == (0.5, 0)
    assert settings.stripe_api_url == "https://api.stripe.com"
    assert names_of(faults_of({"KVITT_ENV": "test", "STRIPE_API_URL": "http://stripe.com"})) == {"STRIPE_API_URL"}


def test_sandbox_values_are_refused_in_production_by_what_they_say_themselves() -> None:
    assert names_of(faults_of({**PRODUCTION, **SANDBOX_VALUES})) == set(SANDBOX_VALUES)


def test_token_keys_keep_their_order() -> None:
    second = Fernet.generate_key().decode()
    settings = load_settings({**PRODUCTION, "TOKEN_KEYS": f" {TOKEN_KEY} , {second} "})
    assert settings.token_key_list == (TOKEN_KEY, second)


@pytest.mark.parametrize("spelling", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_database_driver_is_named(spelling: str) -> None:
    settings = load_settings({**PRODUCTION, "DATABASE_URL": f"{spelling}://app@db/kvitt?host=/run/pg"})
    assert settings.database_url == "postgresql+psycopg://app@db/kvitt?host=/run/pg"


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UNRELATED", "x")
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgres://owner@db/kvitt")
    assert load_settings().migration_url == "postgresql+psycopg://owner@db/kvitt"


@given(st.integers(min_value=0, max_value=2**24 - 1))
def test_the_whole_loopback_net_is_this_machine(last: int) -> None:
    dotted = f"127.{last >> 16}.{last >> 8 & 255}.{last & 255}"
    assert is_this_machine(dotted)
    assert is_this_machine(f"::ffff:{dotted}")
    assert is_this_machine(str((127 << 24) + last))


def test_other_hosts_are_not_this_machine() -> None:
    for host in ("api.fortnox.se", "8.8.8.8", "localhost.evil.se", "10.0.0.1", ""):
        assert not is_this_machine(host)
