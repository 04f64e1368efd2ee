"""Languages: which one a browser reads, and what every template may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, request, url_for
from flask_babel import Babel, get_locale

from addon.core.routing import home_treatments, vat_percent
from addon.ports import registry
from addon.ports.connectors import WayKind
from addon.web import access, sentences, words

SOURCE_LANGUAGE: Final = "en"
TRANSLATIONS: Final = Path(__file__).resolve().parent / "translations"


def languages() -> tuple[str, ...]:
    """The languages that there are: the source's, and those with a catalogue."""
    found = sorted(path.parent.parent.name for path in TRANSLATIONS.glob("*/LC_MESSAGES/messages.mo"))
    return (SOURCE_LANGUAGE, *found)


def chosen_language() -> str:
    """The language that the browser would rather read, of those that there are.

    Only the language counts, not its country: "sv-SE,en;q=0.9" asks for Swedish.
    """
    there = languages()
    for tag, quality in request.accept_languages:
        language = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and language in there:
            return language
    return SOURCE_LANGUAGE


def install(app: Flask) -> None:
    """Give the application its languages, and templates their words."""
    app.config.update(
        BABEL_DEFAULT_LOCALE=SOURCE_LANGUAGE,
        BABEL_TRANSLATION_DIRECTORIES=str(TRANSLATIONS),
    )
    app.jinja_options = {**app.jinja_options, "trim_blocks": True, "lstrip_blocks": True}
    Babel(app, locale_selector=chosen_language)
    app.context_processor(_always)
    app.after_request(_keep_names_whole)
    app.jinja_env.filters.update(sentence=sentences.sentence, doing=sentences.doing, fault=sentences.fault)


_WHOLE: Final = tuple(line.title for line in (*registry.ACCOUNTING, *registry.PAYMENTS) if "-" in line.title)
"""Names that a browser would break at their hyphen."""
_BROKEN: Final = re.compile(
    rf"<(title|option|textarea|script|style|pre)\b.*?</\1>|<[^>]*>|{'|'.join(map(re.escape, _WHOLE))}", re.DOTALL
)


def _keep_names_whole(response: Response) -> Response:
    """A browser may end a line at a hyphen; in the midst of a name it must not.

    The name stays as it is written, for whoever copies or searches it: an element around it says so, which no text
    and no translation needs to know. Places that hold no elements, and attributes, are left alone.
    """
    if response.mimetype == "text/html" and not response.is_streamed and not response.direct_passthrough:
        page = response.get_data(as_text=True)
        if any(name in page for name in _WHOLE):
            response.set_data(_BROKEN.sub(_whole, page))
    return response


def _whole(found: re.Match[str]) -> str:
    return f'<span class="nowrap">{found[0]}</span>' if found[0] in _WHOLE else found[0]


_MENU: Final = {
    "books.transaction": "books.transactions",
    "books.payout": "books.payouts",
    "books.run": "books.log",
    "proof.statement": "proof.history",
    "proof.bank": "proof.history",
    "proof.compare": "proof.history",
    "books.look": "books.preview",
    "books.undo": "books.log",
    "books.undo_seen": "books.log",
    "setup.change_company": "setup.settings",
    "rules.listed": "setup.settings",
    "rules.new": "setup.settings",
    "rules.add": "setup.settings",
    "rules.edit": "setup.settings",
    "rules.change": "setup.settings",
    "setup.change_connection": "setup.settings",
    "vat.shown": "setup.settings",
    "fees.profile": "setup.settings",
    "fees.confirm": "setup.settings",
    "fees.month": "setup.settings",
    "fees.enter": "setup.settings",
}
"""Pages that belong to an entry of the menu other than their own."""


def _install_address(system: str) -> str:
    """Where a company of an accounting system lets Kvitt in, and signs in again."""
    return url_for("home.install", system=system)


def _reconnect_address(provider: str, way: str) -> str:
    """Where a company lets a provider in again by the way it came."""
    try:
        described = registry.payment(provider)
        typed = described.way(way).kind is WayKind.TYPED
    except LookupError:
        return f"{url_for('setup.welcome')}#connect"
    if not described.straight:
        return url_for("connect.begin", provider=provider)
    return f"{url_for('setup.welcome')}#connect" if typed else url_for("connect.begin", provider=provider, way=way)


def _always() -> dict[str, Any]:
    return {
        "words": words,
        "home_treatments": home_treatments,
        "vat_percent": vat_percent,
        "lang": str(get_locale() or SOURCE_LANGUAGE).split("_")[0],
        "frame": access.frame,
        "visitor": access.visitor,
        "current_menu": _MENU.get(request.endpoint or "", request.endpoint),
        "provider_name": registry.title,
        "install_address": _install_address,
        "reconnect_address": _reconnect_address,
        "system_name": registry.title,
    }
