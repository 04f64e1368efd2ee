"""The watch over secrets sees what it is there for: each place is given one, and each time it is found."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from addon.core.grants import Grant
from addon.log import configure_logging
from addon.ports.errors import NeedsReconnect
from tests import leaks

SECRET = "planted-secret-of-nobody-0123456789"


@pytest.fixture(autouse=True)
def _begun_anew() -> Iterator[None]:
    leaks.watch.learn(SECRET)
    yield
    leaks.watch.forget()


def caught(place: str) -> None:
    """Exactly this was found; it is taken away, so that this test may pass."""
    assert leaks.watch.found and all(place in line for line in leaks.watch.found), leaks.watch.found
    assert not any(SECRET in line for line in leaks.watch.found), "the report itself tells nobody"
    leaks.watch.found.clear()


def test_a_page_that_shows_a_secret() -> None:
    from flask import Flask, Response

    leaks.take_posts()
    app = Flask("addon.web")
    app.add_url_rule("/", "body", lambda: f"<p>{SECRET}</p>")
    app.add_url_rule("/header", "header", lambda: Response("", headers={"Location": f"/x?token={SECRET}"}))
    app.add_url_rule("/stream", "stream", lambda: Response(iter([SECRET[:9], SECRET[9:]])))
    app.add_url_rule("/cookie", "cookie", lambda: Response("", headers={"Set-Cookie": f"kvitt={SECRET}"}))
    client = app.test_client()
    for path in ("/", "/header", "/stream"):
        client.get(path).get_data()
        caught("answer of addon.web")
    client.get("/cookie")
    assert leaks.watch.found == [], "a cookie is how a browser gets its token"
    stranger = Flask("sandbox")
    stranger.add_url_rule("/", "body", lambda: SECRET)
    stranger.test_client().get("/")
    assert leaks.watch.found == [], "the simulated world gives secrets out"


def test_a_job_an_address_an_error_and_a_command_with_a_secret() -> None:
    import click
    import httpx
    from click.testing import CliRunner
    from rq.job import Job

    from addon.connectors.http import DeadlineTransport
    from addon.ports.calls import CallRecord
    from addon.services.calls import CallLog
    from tests.web.factory import NOW

    leaks.take_posts()
    connection: Any = SimpleNamespace()
    places: dict[str, Callable[[], object]] = {
        "a job's arguments": lambda: Job.create("x", args=(SECRET,), connection=connection).to_dict(),
        "the message of a NeedsReconnect": lambda: NeedsReconnect(f"refused {SECRET}"),
        "the log of calls": lambda: CallLog().record(
            CallRecord("fortnox", "GET", f"/3/x?access_token={SECRET}", 200, 1, NOW)
        ),
        "what a command prints": lambda: CliRunner().invoke(click.Command("x", callback=lambda: click.echo(SECRET))),
    }
    for place, leak in places.items():
        leak()
        caught(place)
    with pytest.raises(httpx.HTTPError):
        httpx.Client(transport=DeadlineTransport(), timeout=1).get(f"http://127.0.0.1:9/?token={SECRET}")
    caught("an address that is called")


def test_what_a_test_writes_fails_it() -> None:
    def report(**sections: str) -> Any:
        return SimpleNamespace(sections=list(sections.items()), outcome="passed", longrepr=None)

    for name in ("stdout", "stderr", "log"):
        found = report(**{name: f"hello {SECRET} there"})
        leaks.look_at_report(found, "tests/flow/test_plus.py::test_x")
        assert found.outcome == "failed" and "A secret was seen" in found.longrepr and SECRET not in found.longrepr
    sound = report(stdout="nothing")
    leaks.look_at_report(sound, "tests/flow/test_plus.py::test_x")
    assert sound.outcome == "passed"
    leaks.look_at_report(excused := report(stdout=SECRET), "tests/unit/test_log.py::test_x")
    assert excused.outcome == "passed"


def test_sealed_grants_and_browsers_tokens_are_learnt_by_themselves() -> None:
    from cryptography.fernet import Fernet

    from addon.store.secrets import SealedBox

    leaks.take_posts()
    SealedBox([Fernet.generate_key().decode()]).seal_grant(Grant("a-token-that-is-long-enough", refresh_token="short"))
    assert "a-token-that-is-long-enough" in leaks.watch.made and "short" not in leaks.watch.made
    assert len(leaks.watch.fixed) == len(leaks.CREDENTIALS)


def test_a_whole_life_writes_no_secret_into_database_or_log(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A company installs, connects, books, renews its token, and leaves: the database's files and the log of it."""
    from datetime import timedelta

    from addon.services import installation, keys
    from addon.store.migrate import migrate
    from tests.flow.house import bed

    leaks.take_posts()
    leaks.watch.forget()
    root, kept = logging.getLogger(), logging.getLogger().handlers[:]
    written = io.StringIO()
    migrate(f"sqlite:///{tmp_path}/life.db")
    try:
        configure_logging(as_json=True, level="DEBUG", stream=written)
        with bed(f"sqlite:///{tmp_path}/life.db") as town:
            house = town.house()
            house.sells("2026-03-02", 1_000_00)
            house.opens()
            house.runs()
            house.world.clock.advance(timedelta(hours=2))
            house.runs()
            browser = installation.sign_in(town.town.services, house.company_id, "Ada")
            keys.rotate_keys(town.town.services)
            house.world.fortnox.switches.revocation_kills_access_tokens = True
            house.books.revoke_consent()
            house.runs("failed")
            installation.uninstall(town.town.services, house.company_id, "Ada")
            secrets = {*leaks.watch.made, *leaks.watch.fixed}
    finally:
        root.handlers[:] = kept
    assert browser in secrets and len(secrets) >= len(leaks.CREDENTIALS) + 3
    files = {path.name: path.read_bytes() for path in tmp_path.glob("life.db*")}
    assert files
    for secret in secrets:
        assert secret not in written.getvalue()
        for name, content in files.items():
            assert secret.encode() not in content, name
