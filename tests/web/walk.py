"""Walking through everything that can be asked of the pages: routes, what they read, the forms that are shown.

Found in the application itself, so that what comes later is walked over too.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from addon.ports import registry
from addon.services.settings import SETTINGS
from addon.web.access import Audience, audience_of

WEB = Path(__file__).resolve().parents[2] / "addon" / "web"
_READERS = frozenset({"args", "form", "given"})


def names_read() -> tuple[str, ...]:
    """Every name that the pages ask an address or a form for, out of their source; and the settings' names."""
    ways = [way for line in registry.PAYMENTS for way in registry.payment(line.name).ways]
    found = set(SETTINGS) | {field.name for way in ways for field in way.fields}
    for path in WEB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("get", "getlist")
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
                and ast.unparse(node.func.value).split(".")[-1] in _READERS
            ):
                found.add(node.args[0].value)
    return tuple(sorted(found - {"csrf_token"}))


def rules(app: Flask, *audiences: Audience) -> list[Rule]:
    """The routes for these audiences, all of them if none is named."""
    found = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    return [rule for rule in found if not audiences or audience_of(app, rule.endpoint) in audiences]


def methods(rule: Rule) -> list[str]:
    """What a route takes, without what Flask adds."""
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def address(rule: Rule, values: dict[str, object]) -> str:
    """An address below a route, its variables filled in."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), rule.rule)


@dataclass
class Form:
    """A form as a page shows it: where it goes, and what it would send unchanged."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._select = ""
        self._area = ""
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").upper())
            self.forms.append(self._open)
        elif self._open is None:
            return
        elif tag in ("input", "button") and name:
            self._open.fields.setdefault(name, given.get("value", ""))
        elif tag == "select":
            self._select = name
            self._open.fields.setdefault(name, "")
        elif tag == "option" and ("selected" in given or not self._open.fields.get(self._select)):
            self._open.fields[self._select] = given.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            self._open.fields.setdefault(name, "")

    def handle_data(self, data: str) -> None:
        if self._area and self._open is not None:
            self._open.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "textarea":
            self._area = ""


def _shape(path: str) -> str:
    return re.sub(r"\d+", "0", path)


def walk(client: FlaskClient, starts: tuple[str, ...] = ("/", "/overview"), most: int = 60) -> Iterator[Form]:
    """Follow every link from the first pages, one page of each shape, and give each kind of form once."""
    seen: set[str] = set()
    told: set[tuple[str, str, frozenset[str]]] = set()
    waiting = list(starts)
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        if _shape(path) in seen:
            continue
        seen.add(_shape(path))
        answer = client.get(path)
        if answer.location is not None:
            waiting.append(urlsplit(answer.location).path)
        if answer.mimetype != "text/html":
            continue
        reader = _Reader()
        reader.feed(answer.text)
        for link in reader.links:
            # Looking for a company to sign in to, or a provider to connect, leads away from here.
            if link.startswith("/") and not link.startswith(("/install", "/connect")):
                waiting.append(link.partition("#")[0])
        for form in reader.forms:
            kind = (_shape(form.action), form.method, frozenset(form.fields))
            if kind not in told:
                told.add(kind)
                yield form
