"""What the log shows, and what it never shows."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from addon.log import REDACTED, bind_company, configure_logging, get_logger, is_secret_name, redact_text

PLANTED = "planted-7f3a9c"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, theirs = logging.getLogger(), logging.getLogger("rq.worker")
    handlers, level = root.handlers[:], root.level
    # A worker that an earlier test ran in this process has set up its logger for itself, as one without a log of ours.
    before = theirs.handlers[:], theirs.level, theirs.propagate, theirs.disabled
    theirs.handlers[:], theirs.propagate, theirs.disabled = [], True, False
    theirs.setLevel(logging.NOTSET)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    theirs.handlers[:], theirs.propagate, theirs.disabled = before[0], before[2], before[3]
    theirs.setLevel(before[1])
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_instant_and_company(stream: io.StringIO) -> None:
    configure_logging(as_json=True, stream=stream)
    with bind_company(7, run="r1"):
        get_logger("addon.test").info("document booked", document_key="stripe/ch_1/invoice", minor=12500)
    get_logger("addon.test").info("done")
    booked, done = lines_of(stream)
    assert booked["event"] == "document booked"
    assert booked["company_id"] == 7
    assert booked["run"] == "r1"
    assert booked["document_key"] == "stripe/ch_1/invoice"
    assert booked["level"] == "info"
    assert booked["logger"] == "addon.test"
    assert str(booked["at"]).endswith("Z")
    assert "company_id" not in done


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "values",
    [
        {"token": PLANTED},
        {"access_token": PLANTED},
        {"refreshToken": PLANTED},
        {"client_secret": PLANTED},
        {"Authorization": f"Bearer {PLANTED}"},
        {"key": PLANTED},
        {"api_key": PLANTED},
        {"password": PLANTED},
        {"code": PLANTED},
        {"X-AppSecretToken": PLANTED},
        {"headers": {"authorization": PLANTED, "accept": "json"}},
        {"headers": [("Authorization", PLANTED)]},
        {"deep": [{"body": {"refresh_token": PLANTED}}]},
        {"body": f'{{"access_token": "{PLANTED}"}}'},
        {"body": f"grant_type=x&refresh_token={PLANTED}".encode()},
        {"address": f"https://kvitt.se/oauth/fortnox/callback?code={PLANTED}&state={PLANTED}"},
        {"error": ValueError(f"Authorization: Basic {PLANTED}")},
        {"database": f"postgresql://app:{PLANTED}@db/kvitt"},
        {"setting": SecretStr(PLANTED)},
        {"note": f"used sk_live_{PLANTED.replace('-', '')} and whsec_{PLANTED.replace('-', '')}"},
    ],
)
def test_secrets_stay_out(stream: io.StringIO, values: dict[str, object], as_json: bool) -> None:
    configure_logging(as_json=as_json, stream=stream)
    get_logger("addon.test").warning("asked", **values)
    logging.getLogger("rq.worker").warning("asked", extra=values)
    assert stream.getvalue().count("asked") == 2
    assert PLANTED not in stream.getvalue()
    assert PLANTED.replace("-", "") not in stream.getvalue()


def test_secrets_stay_out_of_tracebacks_and_of_other_peoples_loggers(stream: io.StringIO) -> None:
    configure_logging(as_json=True, stream=stream)
    try:
        raise RuntimeError(f"POST failed: token={PLANTED}")
    except RuntimeError:
        get_logger("addon.test").exception("call failed")
        logging.getLogger("rq.worker").exception("job failed for %s", f"Bearer {PLANTED}")
    ours, theirs = lines_of(stream)
    assert "RuntimeError" in str(ours["exception"])
    assert REDACTED in str(ours["exception"])
    assert "RuntimeError" in str(theirs["exception"])
    assert PLANTED not in stream.getvalue()


def test_what_explains_an_event_stays() -> None:
    for name in (
        "document_key",
        "status_code",
        "error_code",
        "country_code",
        "keyboard",
        "codec",
        "tokenize",
    ):
        assert not is_secret_name(name), name
    for text in (
        "state=booked",
        "error code=2000357",
        "key figures",
        "https://kvitt.se/a:b",
    ):
        assert redact_text(text) == text


def test_http_clients_do_not_log_addresses(stream: io.StringIO) -> None:
    configure_logging(as_json=True, stream=stream)
    logging.getLogger("httpx").info("HTTP Request: GET https://api.fortnox.se/3/x")
    assert stream.getvalue() == ""


def test_a_terminal_gets_columns(stream: io.StringIO) -> None:
    configure_logging(as_json=False, stream=stream)
    get_logger("addon.test").info("listening", port=8000)
    assert not stream.getvalue().startswith("{")
    assert "listening" in stream.getvalue()
