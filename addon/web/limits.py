"""How often one address may knock at the doors that anybody can reach."""

from __future__ import annotations

from typing import Final

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter: Final = Limiter(get_remote_address)

INSTALL: Final = "30 per minute"
CONNECT: Final = "30 per minute"
SIGN_IN: Final = "5 per minute; 30 per hour"
READY: Final = "600 per minute"
LOOK: Final = "20 per minute"
WEBHOOKS: Final = "1200 per minute"

_PATIENCE: Final = {"socket_connect_timeout": 2, "socket_timeout": 2}
"""Seconds that a page waits for the counters."""


def install(app: Flask, redis_url: str | None) -> None:
    """Count in Redis where there is one; the same limits in this process otherwise, and while Redis is away."""
    app.config.update(
        RATELIMIT_STORAGE_URI=redis_url or "memory://",
        RATELIMIT_STORAGE_OPTIONS=_PATIENCE if redis_url is not None else {},
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=redis_url is not None,
        RATELIMIT_KEY_PREFIX="kvitt-pages",
        RATELIMIT_HEADERS_ENABLED=True,
    )
    limiter.init_app(app)
