"""Logging: one event, one line; JSON where machines read it, columns where a person does.

What is bound with `bind_company` stands on every line until the block ends, so that a company's lines can
be told from another's. Secrets are taken out by the name of the value and by the look of it, at any depth,
after exceptions have been turned into text. Whatever the standard library's loggers say (RQ, Alembic,
gunicorn) goes the same way.

A value named `key` or `code` is taken for a secret; what is none has a longer name: `document_key`,
`status_code`.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    {
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "dsn",
        "jwt",
        "passwd",
        "password",
        "passwords",
        "secret",
        "secrets",
        "signature",
        "token",
        "tokens",
    }
)
# Secret when a name ends with them (api_key, authorization_code) ...
_SECRET_LAST_WORDS = frozenset({"key", "keys", "code", "codes", "verifier"})
# ... except these, which name a document or say what went wrong.
_HARMLESS = frozenset(
    {
        "account_code",
        "country_code",
        "currency_code",
        "delivery_key",
        "document_key",
        "document_keys",
        "error_code",
        "exit_code",
        "reason_code",
        "record_key",
        "status_code",
        "token_expires_at",
        "vat_code",
    }
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_SECRET_TEXTS = (
    # An authorization header, quoted by an exception or a dump of headers.
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # Stripe's keys and webhook secrets say what they are.
    (re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_]{6,}"), REDACTED),
    # Addresses with a grant in the query, form bodies; "code" and "state" are too common outside of those.
    (
        re.compile(
            r"(?i)(\b(?:(?:access_|refresh_|id_)?token|client_secret|code_verifier|password|secret)"
            r"|[?&](?:code|state))=[^&\s'\"]+"
        ),
        rf"\1={REDACTED}",
    ),
    # The same in JSON.
    (
        re.compile(
            r"(?i)([\"'](?:(?:access_|refresh_|id_)?token|client_secret|code_verifier|password|secret)[\"']\s*:\s*)"
            r"[\"'][^\"']+[\"']"
        ),
        rf'\1"{REDACTED}"',
    ),
    # The password in a database's or mail server's address.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{REDACTED}@"),
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is kept out of the log."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or "_".join(words) in _HARMLESS:
        return False
    return bool(_SECRET_WORDS.intersection(words)) or words[-1] in _SECRET_LAST_WORDS


def redact_text(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            key: REDACTED if isinstance(key, str) and is_secret_name(key) else _redacted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and is_secret_name(value[0]):
        return [value[0], REDACTED]  # one header of a list of them
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # Anything else is written as its text in the end: take that now, so that it is looked through as well.
    return redact_text(str(value))


def redacted(value: object) -> object:
    """A value of any depth without what looks like a credential, by the names of things and by their looks."""
    return _redacted(value)


def redact_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor that takes secrets out of an event."""
    return {
        name: value if name.startswith("_") else REDACTED if is_secret_name(name) else _redacted(value)
        for name, value in event.items()
    }


def configure_logging(*, as_json: bool | None = None, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging for this process; call it once, first thing.

    as_json: JSON lines for machines; when not said, JSON unless the stream is a terminal.
    stream: standard error, if not said, so that a command's own output stays clean.
    """
    target = sys.stderr if stream is None else stream
    json_lines = not target.isatty() if as_json is None else as_json
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
    ]
    last: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_secrets,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json_lines
        else structlog.dev.ConsoleRenderer(
            colors=target.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *last,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A test, or a command that starts others, may configure again.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.ExtraAdder(), *last],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These write each address they call, and addresses may carry what nobody else should read.
    for chatty in ("httpx", "httpcore", "urllib3", "stripe", "werkzeug", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; give it the module's `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bind_company(company_id: int, **also: Any) -> Iterator[None]:
    """Put the company, and whatever else is given (run, connection_id), on every line of the block."""
    with structlog.contextvars.bound_contextvars(company_id=company_id, **also):
        yield
