"""Watching for secrets wherever a test lets something be seen: pages, logs, output, jobs, errors, addresses.

The secrets are those of the test worlds: the credentials that every sandbox installation has, and each grant that is
sealed and each browser's token that is made while a test runs. A plug-in of the whole suite: any test, whatever it is
about, fails when one of them turns up where somebody could read it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import pytest

from addon.config import SANDBOX_VALUES

CREDENTIALS = (
    "SECRET_KEY",
    "TOKEN_KEYS",
    "FORTNOX_CLIENT_SECRET",
    "ECONOMIC_APP_SECRET_TOKEN",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_APP_SECRET_KEY",
    "PAYPAL_CLIENT_SECRET",
)
SHORTEST = 16
"""Shorter ones ("token", "unused") are words of tests, and occur everywhere."""
ABOUT_SECRETS = ("tests/unit/test_log.py", "tests/unit/test_config.py", "tests/sandbox/")
"""Tests that write secrets on purpose: of the log's cleaning, and of the world that hands them out."""


@dataclass
class Watch:
    """What must not be seen, and what was."""

    fixed: frozenset[str] = frozenset(SANDBOX_VALUES[name] for name in CREDENTIALS)
    made: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    looked_at: int = 0

    def learn(self, *secrets: str) -> None:
        """Keep these in mind until the next test."""
        self.made.update(secret for secret in secrets if len(secret) >= SHORTEST)

    def look(self, place: str, text: str | bytes) -> None:
        """Note it if one of the secrets stands in a text that somebody may read."""
        self.looked_at += 1
        readable = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for secret in (*self.fixed, *self.made):
            if secret in readable:
                at = readable.index(secret)
                around = readable[max(0, at - 40) : at].replace("\n", " ")
                self.found.append(f"{place}: …{around}[{secret[:6]}… a secret of {len(secret)} characters]")

    def forget(self) -> None:
        """Begin a new test."""
        self.made.clear()
        self.found.clear()


watch = Watch()


# --- where secrets come from -----------------------------------------------------------------------------------


def _around(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, wraps(getattr(owner, name))(wrap(getattr(owner, name))))


def _learn_from_grants() -> None:
    from addon.store.secrets import SealedBox

    def sealing(seal: Callable[..., bytes]) -> Callable[..., bytes]:
        def seal_and_learn(self: Any, grant: Any) -> bytes:
            watch.learn(str(grant.access_token or ""), str(grant.refresh_token or ""))
            return seal(self, grant)

        return seal_and_learn

    _around(SealedBox, "seal_grant", sealing)


def _learn_from_sessions() -> None:
    from addon.services import installation

    def giving(give: Callable[..., str]) -> Callable[..., str]:
        def give_and_learn(*given: Any, **named: Any) -> str:
            token = give(*given, **named)
            watch.learn(token)
            return token

        return give_and_learn

    for name in ("sign_in", "park"):
        _around(installation, name, giving)


# --- where they could be seen ------------------------------------------------------------------------------------


def _looking_through(chunks: Iterable[Any], place: str) -> Iterator[Any]:
    """Look at a body that streams, while it does. Pieces overlap, so that a secret cut in two is found."""
    tail = b""
    for chunk in chunks:
        piece = chunk.encode() if isinstance(chunk, str) else bytes(chunk)
        watch.look(place, tail + piece)
        tail = piece[-200:]
        yield chunk


def _look_at_pages() -> None:
    from flask import Flask

    def answering(process: Callable[..., Any]) -> Callable[..., Any]:
        def look_and_answer(self: Flask, response: Any) -> Any:
            answer = process(self, response)
            if self.name != "addon.web":
                return answer  # the simulated world hands secrets out: that is what it is for
            place = f"answer of {self.name} {answer.status_code} {answer.mimetype}"
            # A cookie is how a browser is given its own token; whatever else is said, everybody may read.
            watch.look(place, "\n".join(f"{k}: {v}" for k, v in answer.headers.items() if k != "Set-Cookie"))
            if answer.is_streamed:
                answer.response = _looking_through(answer.response, place)
            elif not answer.direct_passthrough:
                watch.look(place, answer.get_data())
            return answer

        return look_and_answer

    _around(Flask, "process_response", answering)


def _look_at_jobs() -> None:
    from rq.job import Job

    def keeping(to_dict: Callable[..., Any]) -> Callable[..., Any]:
        def look_and_keep(self: Any, *given: Any, **named: Any) -> Any:
            watch.look("a job's arguments", repr((self.func_name, self.args, self.kwargs, self.meta, self.description)))
            return to_dict(self, *given, **named)

        return look_and_keep

    _around(Job, "to_dict", keeping)


def _look_at_addresses() -> None:
    from addon.connectors.http import DeadlineTransport

    def handling(handle: Callable[..., Any]) -> Callable[..., Any]:
        def look_and_handle(self: Any, request: Any) -> Any:
            watch.look("an address that is called", str(request.url))
            return handle(self, request)

        return look_and_handle

    _around(DeadlineTransport, "handle_request", handling)


def _look_at_errors() -> None:
    from addon.ports.errors import PortError

    def making(make: Callable[..., None]) -> Callable[..., None]:
        def make_and_look(self: Any, *given: Any, **named: Any) -> None:
            make(self, *given, **named)
            watch.look(f"the message of a {type(self).__name__}", str(self))

        return make_and_look

    _around(PortError, "__init__", making)


def _look_at_the_log_of_calls() -> None:
    from addon.services.calls import CallLog

    def recording(record: Callable[..., None]) -> Callable[..., None]:
        def look_and_record(self: Any, call: Any) -> None:
            watch.look("the log of calls", repr(call))
            record(self, call)

        return look_and_record

    _around(CallLog, "record", recording)


def _look_at_commands() -> None:
    from click.testing import CliRunner

    def running(invoke: Callable[..., Any]) -> Callable[..., Any]:
        def invoke_and_look(self: Any, *given: Any, **named: Any) -> Any:
            result = invoke(self, *given, **named)
            watch.look("what a command prints", result.output)
            return result

        return invoke_and_look

    _around(CliRunner, "invoke", running)


# --- the plug-in -------------------------------------------------------------------------------------------------


POSTS: dict[str, Callable[[], None]] = {
    "addon.store.secrets": _learn_from_grants,
    "addon.services.installation": _learn_from_sessions,
    "flask": _look_at_pages,
    "rq.job": _look_at_jobs,
    "addon.connectors.http": _look_at_addresses,
    "addon.ports.errors": _look_at_errors,
    "addon.services.calls": _look_at_the_log_of_calls,
    "click.testing": _look_at_commands,
}
_taken: set[str] = set()


def take_posts() -> None:
    """Watch over what has been imported by now; a test of the core alone imports none of it, and pays for none."""
    for module, post in POSTS.items():
        if module in sys.modules and module not in _taken:
            _taken.add(module)
            post()


def pytest_configure(config: pytest.Config) -> None:
    """Where no process has set its log up, tracebacks are plain, as they are wherever one has: without variables."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Each test has secrets of its own."""
    take_posts()
    watch.forget()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fixtures may have imported more."""
    take_posts()


def look_at_report(report: pytest.TestReport, name: str) -> None:
    """Look through what a test has written, and fail it for what anything of it let be seen."""
    if name.startswith(ABOUT_SECRETS):
        return
    for title, text in report.sections:
        watch.look(title, text)
    if watch.found and report.outcome == "passed":
        report.outcome = "failed"
        report.longrepr = "A secret was seen:\n  " + "\n  ".join(dict.fromkeys(watch.found[:20]))
        watch.found.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """After each phase of a test."""
    outcome: Any = yield
    look_at_report(outcome.get_result(), item.nodeid)
