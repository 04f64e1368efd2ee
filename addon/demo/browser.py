"""A small browser: the demo drives the pages as a person would, form by form."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any, Final

PAGE_TIMEOUT_S: Final = 60.0


class DemoFailed(Exception):
    """The main job did not come to its end; the message says where."""


@dataclass
class Form:
    """A form of a page: where it goes, what it sends as it stands, and its buttons."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Radio buttons: values with the text beside them."""
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Finds forms, headings and links in a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._radio: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what belongs to a form."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "input":
            self._input(given, name, value)
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._form.buttons.append((name, value))
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((value, "selected" in given))
        elif tag == "textarea":
            self._area = name

    def _input(self, given: Mapping[str, str], name: str, value: str) -> None:
        assert self._form is not None  # noqa: S101 - the caller has looked
        kind = given.get("type", "text")
        if kind == "submit":
            self._form.buttons.append((name, value))
        elif kind == "radio":
            self._form.choices.setdefault(name, []).append((value, ""))
            self._radio = (name, value)
            if "checked" in given:
                self._form.fields.append((name, value))
        elif kind == "checkbox":
            if "checked" in given:
                self._form.fields.append((name, value or "on"))
        elif name and kind not in ("button", "reset", "file"):
            self._form.fields.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag == "form":
            self._form = None
        elif tag == "select" and self._form is not None and self._select:
            chosen = [value for value, selected in self._options if selected]
            if self._options:
                self._form.fields.append((self._select, chosen[0] if chosen else self._options[0][0]))
            self._select = ""
        elif tag == "textarea":
            self._area = None
        elif tag == "label":
            self._radio = None

    def handle_data(self, data: str) -> None:
        """Take the words of the page, and those beside a radio button."""
        self.text.append(data)
        if self._form is not None and self._radio is not None:
            name, value = self._radio
            choices = self._form.choices[name]
            choices[-1] = (value, f"{choices[-1][1]} {data}".strip())
        if self._form is not None and self._area is not None:
            self._form.fields.append((self._area, data))


@dataclass(frozen=True)
class Page:
    """A page as it came: its address after all redirects, status and HTML."""

    url: str
    status: int
    html: str

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    @property
    def text(self) -> str:
        """The words of the page."""
        return " ".join(" ".join(self._read().text).split())

    def find_form(self, pattern: str) -> Form | None:
        """The first form whose address matches; one without an address goes to the page's own."""
        for form in self._read().forms:
            if re.search(pattern, form.action or urllib.parse.urlsplit(self.url).path):
                return form
        return None

    def get_form(self, pattern: str) -> Form:
        """The same; raises `DemoFailed` if the page has none."""
        form = self.find_form(pattern)
        if form is None:
            raise DemoFailed(f"{self.url} (status {self.status}) has no form for {pattern}: {self.text[:300]}")
        return form


class Browser:
    """One person's browser: cookies of its own, redirects followed, every wait bounded."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            # No proxy: everything is on this machine.
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def get(self, url: str) -> Page:
        """Open an address."""
        return self._open(urllib.request.Request(url))  # noqa: S310 - loopback addresses of our own making

    def submit(
        self, page: Page, form: Form, values: Mapping[str, str] | None = None, button: tuple[str, str] | None = None
    ) -> Page:
        """Send a form as a person would: what it holds, with some fields filled in, by one of its buttons."""
        given = dict(values or {})
        fields = [(name, text) for name, text in form.fields if name not in given]
        fields += list(given.items())
        if button is not None:
            fields.append(button)
        elif form.buttons and form.buttons[0][0]:
            fields.append(form.buttons[0])
        url = urllib.parse.urljoin(page.url, form.action or page.url)
        body = urllib.parse.urlencode(fields)
        if form.method != "post":
            return self.get(f"{url.partition('?')[0]}?{body}")
        request = urllib.request.Request(  # noqa: S310 - as above
            url, body.encode(), {"Content-Type": "application/x-www-form-urlencoded", "Referer": page.url}
        )
        return self._open(request)

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=PAGE_TIMEOUT_S) as answer:
                return Page(answer.geturl(), answer.status, answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            return Page(error.geturl() or request.full_url, error.code, error.read().decode("utf-8", "replace"))
        except OSError as error:
            raise DemoFailed(f"{request.full_url} does not answer: {error}") from error


def choose(form: Form, words: str) -> tuple[str, str]:
    """The radio button beside these words. Raises `DemoFailed`."""
    for name, choices in form.choices.items():
        for value, text in choices:
            if words in text:
                return name, value
    raise DemoFailed(f"no choice called {words!r} in the form for {form.action}")


def ask_json(url: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
    """Ask the simulated world's control address. Raises `DemoFailed`."""
    data, headers = (None, {}) if body is None else (json.dumps(body).encode(), {"Content-Type": "application/json"})
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PAGE_TIMEOUT_S) as answer:
            return json.loads(answer.read(), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        if error.code == 409:  # it answers, and says what is broken
            return json.loads(error.read(), parse_float=Decimal)
        raise DemoFailed(f"the sandbox answers {error.code} at {url}") from error
    except (OSError, ValueError) as error:
        raise DemoFailed(f"the sandbox does not answer {url}: {error}") from error
