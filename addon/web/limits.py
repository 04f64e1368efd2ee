"""How often one address may knock at the doors that anybody can reach."""

from __future__ import annotations

from typing import Final

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter: Final = Limiter(get_remote_address)

INSTALL: Final = "30 per minute"
CONNECT: Final = "30 per minute"
LOOK: Final = "20 per minute"
WEBHOOKS: Final = "1200 per minute"


def install(app: Flask, redis_url: str | None) -> None:
    """Count in Redis where there is one, in this process otherwise and while Redis is away."""
    app.config.update(
        RATELIMIT_STORAGE_URI=redis_url or "memory://",
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=redis_url is not None,
        RATELIMIT_IN_MEMORY_FALLBACK=["600 per minute"] if redis_url is not None else [],
        RATELIMIT_KEY_PREFIX="kvitt-pages",
        RATELIMIT_HEADERS_ENABLED=True,
    )
    limiter.init_app(app)
