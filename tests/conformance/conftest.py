"""Loopback ports that the beds take turns on, and one pool of connections."""

import logging
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from addon.connectors.http import DeadlineTransport
from addon.log import configure_logging
from addon.sandbox.serving import serve_threaded
from tests.conformance.beds import ACCOUNTING, PAYMENTS, AccountingBed, Ground, PaymentBed, make_bed


class _Stage:
    """A port that answers with whatever app is on."""

    def __init__(self) -> None:
        self.app: WSGIApplication | None = None
        self.server = serve_threaded(self._answer)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert self.app is not None
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def _stage() -> Iterator[_Stage]:
    stage = _Stage()
    yield stage
    stage.server.shutdown()


@pytest.fixture(scope="session")
def _network() -> Iterator[DeadlineTransport]:
    pool = DeadlineTransport()
    yield pool
    pool.close()


@pytest.fixture
def ground(_stage: _Stage, _network: DeadlineTransport) -> Iterator[Ground]:
    """Real HTTP to whatever the bed serves."""

    def serve(app: WSGIApplication) -> str:
        _stage.app = app
        return _stage.server.url

    yield Ground(_network, serve)
    _stage.app = None


@pytest.fixture
def our_log() -> Iterator[StringIO]:
    """Kvitt's own log as it is set up in production, written here."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = StringIO()
    configure_logging(as_json=True, stream=written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=PAYMENTS)
def payments(request: pytest.FixtureRequest, ground: Ground) -> PaymentBed:
    """Each payment provider in turn."""
    return cast(PaymentBed, make_bed(request.param, ground))


@pytest.fixture(params=ACCOUNTING)
def accounting(request: pytest.FixtureRequest, ground: Ground) -> AccountingBed:
    """Each accounting system in turn."""
    return cast(AccountingBed, make_bed(request.param, ground))
