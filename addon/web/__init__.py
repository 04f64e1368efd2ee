"""The pages: Flask, server-rendered, working with and without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from addon.services.context import Services
from addon.web import access, assets, errors, filters, limits, metrics, shapes, texts

if TYPE_CHECKING:
    from addon.config import Settings
    from addon.ports.webhooks import ReadWebhook

__all__ = ["create_app", "preload"]

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_FORM_LIMIT = 512 * 1024


def create_app(
    services: Services | None = None,
    settings: Settings | None = None,
    webhooks: Mapping[str, ReadWebhook] | None = None,
) -> Flask:
    """The application. Without arguments it asks bootstrap for everything, as a web server's process does.

    `webhooks` reads what other companies' servers send, by company; bootstrap knows how.
    """
    if services is None or settings is None or webhooks is None:
        from addon import bootstrap

        settings = settings or bootstrap.load()
        services = services or bootstrap.build(settings)
        webhooks = bootstrap.webhook_readers(settings) if webhooks is None else webhooks
    app = Flask("addon.web", template_folder=str(_TEMPLATES), static_folder="static")
    secure = settings.public_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        SESSION_COOKIE_NAME="__Host-kvitt-browser" if secure else "kvitt-browser",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        MAX_CONTENT_LENGTH=1024 * 1024,
        MAX_FORM_MEMORY_SIZE=_FORM_LIMIT,
        MAX_FORM_PARTS=4000,
        WTF_CSRF_TIME_LIMIT=None,
        PUBLIC_URL=settings.public_url,
        KVITT_SETTINGS=settings,
    )
    app.extensions["kvitt_services"] = services
    app.extensions["kvitt_webhooks"] = webhooks
    if secure and settings.trusted_proxies:
        # https ends at a proxy in front of us, which says whom it speaks for. Of the addresses in the header only
        # those count that proxies of ours have added: what stands before them is the visitor's own writing.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1
        )
    app.url_map.converters["accounting"] = access.AccountingName
    texts.install(app)
    filters.install(app)
    shapes.install(app)
    assets.install(app)
    limits.install(app, settings.redis_url)
    errors.install(app)
    metrics.install(app)
    _register(app)
    app.before_request(access.guard)
    app.teardown_request(access.leave)
    app.after_request(errors.safe_headers)
    access.require_audiences(app)
    return app


def preload() -> None:
    """Import the pages now, in a process that is going to fork."""
    from addon.web import books, connect, fees, home, hooks, looking, operations, proofs, rules, setup, vat  # noqa: F401


def _register(app: Flask) -> None:
    from addon.web import (
        books,
        connect,
        fees,
        home,
        hooks,
        looking,
        operations,
        proofs,
        rules,
        setup,
        signing,
        vat,
    )

    looking.install()
    for blueprint in (
        home.home,
        signing.signing,
        connect.connect,
        setup.setup,
        rules.account_rules,
        fees.provider_fees,
        vat.vat,
        books.books,
        proofs.proof,
        hooks.hooks,
        operations.operations,
    ):
        app.register_blueprint(blueprint)
    errors.csrf.exempt(hooks.hooks)
