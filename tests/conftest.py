"""What all tests share: servers, the browser, the network guard, and how hard Hypothesis tries.

Fixtures for the servers start them on first use, once for each test process:

- `new_postgres_database(prepare=None)` gives `(owner_url, app_url)` of a fresh PostgreSQL database.
- `postgres_url` is one such pair, empty, for one test.
- `redis_url` is an emptied Redis; `redis_server` can also be killed and started again.
- `browser` is a Chromium for the whole run, `page` a page in a fresh context.
"""

import gc
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests import leaks
from tests.servers import PostgresDatabase, PostgresServer, RedisServer, running_postgres, running_redis

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.forks import Zygote

# What is compiled once serves all processes that the tests start, as under `make test`.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Reading five thousand tests makes nothing that could be thrown away; see `pytest_collection_finish`.
gc.disable()

IN_CI = os.environ.get("CI") == "true"

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("mutants", parent=settings.get_profile("ci"), max_examples=20)
settings.register_profile("thorough", parent=settings.get_profile("dev"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))


# --- which tests run, and which keep together ---------------------------------------------------------


def chromium_executable() -> str | None:
    """The system's Chromium, found the way tools/chromium finds it."""
    for name in (os.environ.get("KVITT_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    return None


def pytest_configure(config: pytest.Config) -> None:
    """No test may let a secret be seen, whatever it is about."""
    config.pluginmanager.register(leaks, "kvitt-leaks")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, keep browser tests in one process, skip them without a browser."""
    marked_by_fixture = {
        "browser": "browser",
        "postgres_server": "postgres",
        "redis_server": "redis",
    }
    no_browser = chromium_executable() is None and not IN_CI
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for fixture, marker in marked_by_fixture.items():
            if fixture in fixtures and item.get_closest_marker(marker) is None:
                item.add_marker(marker)
        if item.get_closest_marker("browser") is not None:
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group("browser"))
            if no_browser:
                item.add_marker(pytest.mark.skip(reason="no Chromium here; make test says how to get one"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there before the first test stays: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()


# --- the network is off -------------------------------------------------------------------------------


class OutsideNetwork(RuntimeError):
    """A test reached for an address that is not this machine's. No OSError, so that no client retries it."""


_reached_for: list[str] = []


def _is_local(host: object) -> bool:
    if not isinstance(host, str | bytes):
        return host is None
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else host).strip("[]").partition("%")[0]
    if name in ("", "localhost", "ip6-localhost") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback or ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return name == socket_name()


def socket_name() -> str:
    """This machine's own name, which servers in the standard library look up when they start."""
    return os.uname().nodename


def _refuse(target: str) -> NoReturn:
    _reached_for.append(target)
    raise OutsideNetwork(f"tests do not use the network: {target}")


def _guard_look_up(name: str) -> None:
    """Look at the host before a name is looked up."""
    look_up = getattr(socket, name)

    @wraps(look_up)
    def guarded(host: object, *rest: Any, **named: Any) -> Any:
        if not _is_local(host):
            _refuse(str(host))
        return look_up(host, *rest, **named)

    setattr(socket, name, guarded)


def _guard_socket(name: str) -> None:
    """Look at the address, the last of the arguments, before a socket connects or sends."""
    reach = getattr(socket.socket, name)

    @wraps(reach)
    def guarded(self: socket.socket, *given: Any) -> Any:
        address = given[-1] if given else None
        if isinstance(address, tuple) and not _is_local(address[0]):
            _refuse(f"{address[0]}:{address[1]}")
        return reach(self, *given)

    setattr(socket.socket, name, guarded)


# Whoever connects or looks a name up in Python does it by these. An audit hook would see no more of it, and costs a
# fortieth of the suite: it is called for each `id()` too, which SQLAlchemy asks for ten thousand times in a test.
for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    _guard_look_up(_name)
for _name in ("connect", "connect_ex", "sendto"):
    _guard_socket(_name)


@pytest.fixture(autouse=True)
def network_guard() -> Iterator[list[str]]:
    """Fail a test that reached outside, even where the code under test swallowed the refusal.

    Yields the list of what was reached for; a test that means to may look at it and clear it.
    """
    _reached_for.clear()
    yield _reached_for
    if _reached_for:
        targets = ", ".join(_reached_for)
        _reached_for.clear()
        pytest.fail(f"this test reached for the network: {targets}", pytrace=False)


# --- servers ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this test process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: PostgresServer) -> Callable[..., PostgresDatabase]:
    """A factory of fresh databases, see `PostgresServer.new_database`."""
    return postgres_server.new_database


@pytest.fixture
def postgres_url(new_postgres_database: Callable[..., PostgresDatabase]) -> PostgresDatabase:
    """(owner_url, app_url) of an empty database for this test alone."""
    return new_postgres_database()


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """This test process's Redis, running and empty, whatever the last test did to it."""
    if _session_redis.child is None or _session_redis.child.poll() is not None:
        _session_redis.start()
    _session_redis.flush()
    return _session_redis


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    return redis_server.url


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Zygote]":
    """Forks processes of Kvitt for this test process."""
    from tests.support.forks import Zygote

    begun = Zygote.begin(tmp_path_factory.mktemp("zygote") / "zygote.log")
    yield begun
    begun.stop()


# --- browser ------------------------------------------------------------------------------------------

CHROMIUM_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever is not this machine does not resolve: the network guard for what happens inside the browser.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium for the run; make a context of your own for phone width, dark mode or no JavaScript."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # as for everything else that a browser is waited for

    executable = chromium_executable()
    assert executable is not None, "no Chromium, and CI=true: run tools/chromium"
    arguments = [*CHROMIUM_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=executable, args=arguments, timeout=90_000)) as chromium,
    ):
        yield chromium


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page in a fresh context, desktop width, waiting a minute at most for anything."""
    with closing(browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")) as context:
        context.set_default_timeout(60_000)
        yield context.new_page()


# --- settings -----------------------------------------------------------------------------------------

SETTING_PREFIXES = (
    "DATABASE_",
    "ECONOMIC_",
    "FORTNOX_",
    "KLARNA_",
    "KVITT_ENV",
    "LEASE_S",
    "LOOKUP_",
    "PAYPAL_",
    "PUBLIC_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "SENTRY_DSN",
    "SMTP_URL",
    "STRIPE_",
    "TOKEN_KEYS",
    "TRUSTED_PROXIES",
)


@pytest.fixture(scope="session", autouse=True)
def _settings_of_the_caller_are_out() -> Iterator[None]:
    """No test depends on, or reaches, what the developer's own environment is set to."""
    taken = {name: value for name, value in os.environ.items() if name.startswith(SETTING_PREFIXES)}
    for name in taken:
        del os.environ[name]
    yield
    os.environ.update(taken)
