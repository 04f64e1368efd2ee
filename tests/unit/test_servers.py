"""The test bed itself: the servers are real, the application's role is weak, the network is off."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from addon.jobs.redis_server import free_port
from tests.conftest import OutsideNetwork
from tests.servers import PostgresDatabase, RedisServer, dies_with_parent, wait_until

prepared: list[str] = []


def connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), connect_timeout=60)


def make_schema(owner_url: str) -> None:
    prepared.append(owner_url)
    with connect(owner_url) as connection:
        connection.execute("create table entry (id bigint generated always as identity, company_id int)")
        connection.execute("alter table entry enable row level security")
        connection.execute("alter table entry force row level security")
        connection.execute(
            "create policy own on entry using (company_id = nullif(current_setting('kvitt.company_id', true), '')::int)"
        )


def test_the_application_role_is_no_superuser_and_owns_nothing(
    new_postgres_database: Callable[..., PostgresDatabase],
) -> None:
    first = new_postgres_database(make_schema)
    second = new_postgres_database(make_schema)
    assert first != second
    assert len(prepared) == 1
    with connect(first.app_url) as connection:
        assert connection.execute(
            "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user"
        ).fetchone() == (False,)
        connection.execute("select set_config('kvitt.company_id', '1', true)")
        connection.execute("insert into entry (company_id) values (1)")
        assert connection.execute("select count(*) from entry").fetchone() == (1,)
        connection.execute("select set_config('kvitt.company_id', '2', true)")
        assert connection.execute("select count(*) from entry").fetchone() == (0,)
    with connect(first.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("create table mine (id int)")
    with connect(first.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("alter table entry disable row level security")
    with connect(second.owner_url) as connection:
        assert connection.execute("select count(*) from entry").fetchone() == (0,)


def test_each_test_gets_an_empty_database(postgres_url: PostgresDatabase) -> None:
    with connect(postgres_url.app_url) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_redis_comes_back_empty_after_a_crash(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("a", "b")
    redis_server.kill()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("a") is None


def test_a_port_is_kept_for_the_server_that_is_started_on_it_later() -> None:
    """While a storm gathered, somebody's connection was given the port that the pages were to listen on."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lets a server listen beside the one that keeps its port")
    port = free_port()
    with socket.socket() as connecting, pytest.raises(OSError, match="in use"):
        connecting.bind(("127.0.0.1", port))
    for _ in range(2):  # and once more, as after a crash
        with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port), timeout=60):
            pass


def test_a_child_ends_with_the_process_that_started_it() -> None:
    """What keeps servers from being left behind by a killed test run."""
    if dies_with_parent(signal.SIGTERM) is None:
        pytest.skip("only Linux tells children of their parent's death")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, subprocess, sys, time\n"
            "from tests.servers import dies_with_parent\n"
            "child = subprocess.Popen(['sleep', '60'], preexec_fn=dies_with_parent(signal.SIGTERM))\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.communicate(timeout=60)
    wait_until(lambda: _ended(child), "the child to end", timeout_s=60)


def _ended(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.parametrize("host", ["kvitt.example", "192.0.2.1", "::ffff:192.0.2.1"])
def test_the_network_is_off(network_guard: list[str], host: str) -> None:
    with pytest.raises(OutsideNetwork):
        socket.create_connection((host, 80), timeout=1)
    assert len(network_guard) == 1
    network_guard.clear()


@pytest.mark.parametrize("name", ["connect", "connect_ex", "sendto"])
def test_no_socket_reaches_out(network_guard: list[str], name: str) -> None:
    sending = (b"hello",) if name == "sendto" else ()
    kind = socket.SOCK_DGRAM if name == "sendto" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one, pytest.raises(OutsideNetwork):
        getattr(one, name)(*sending, ("192.0.2.1", 80))
    assert network_guard == ["192.0.2.1:80"]
    network_guard.clear()


def test_no_name_is_looked_up_outside(network_guard: list[str]) -> None:
    with pytest.raises(OutsideNetwork):
        socket.gethostbyname("kvitt.example")
    assert network_guard == ["kvitt.example"]
    network_guard.clear()


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            with socket.create_connection((host, server.getsockname()[1]), timeout=5):
                pass
