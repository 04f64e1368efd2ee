"""Is a page well-formed: every element closed in its order, ids unique, labels that point at something."""

import re
from html.parser import HTMLParser

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
SVG_EMPTY = frozenset("path circle rect".split())


class Faulty(AssertionError):
    """The page is not well-formed."""


class Checker(HTMLParser):
    """Keeps the open elements; the first that is closed out of turn is a fault."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, int]] = []
        self.ids: set[str] = set()
        self.pointed_at: set[str] = set()
        self.forms: list[dict[str, object]] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            raise Faulty(f"<{tag}> repeats an attribute at line {self.getpos()[0]}")
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            if given["id"] in self.ids:
                raise Faulty(f"two elements have the id {given['id']}")
            if not given["id"] or " " in given["id"]:
                raise Faulty(f"an id is empty or has a space: {given['id']!r}")
            self.ids.add(given["id"])
        for name in ("for", "aria-describedby", "list"):
            if given.get(name):
                self.pointed_at.add(given[name])
        if any(name.startswith("on") for name in names) or "style" in given or given.get("href", "").startswith("java"):
            self.inline.append(self.get_starttag_text() or tag)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "form":
            self.forms.append({"method": given.get("method", "get"), "action": given.get("action", ""), "names": []})
            if any(name == "form" for name, _ in self.open):
                raise Faulty("a form stands in a form")
        if tag in ("input", "select", "textarea", "button") and self.forms:
            names_of_form = self.forms[-1]["names"]
            assert isinstance(names_of_form, list)
            names_of_form.append(given.get("name", ""))
        if tag in ("p", "ul", "ol", "div", "table", "h1", "h2", "dl", "form") and any(n == "p" for n, _ in self.open):
            raise Faulty(f"<{tag}> in a <p> at line {self.getpos()[0]}")
        if tag not in VOID:
            self.open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            if tag not in SVG_EMPTY:
                raise Faulty(f"<{tag}/> is not closed in HTML")
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            raise Faulty(f"</{tag}> closes what cannot be open")
        if not self.open or self.open[-1][0] != tag:
            raise Faulty(f"</{tag}> at line {self.getpos()[0]} closes {self.open[-3:]}")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check_html(html: str, whole: bool = True) -> Checker:
    """Read a page; raises `Faulty`. Gives what stands in it."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    if checker.open:
        raise Faulty(f"never closed: {checker.open}")
    dangling = checker.pointed_at - checker.ids
    if whole and dangling:
        raise Faulty(f"nothing has the id {sorted(dangling)}")
    if checker.inline:
        raise Faulty(f"inline script or style: {checker.inline}")
    if whole and not html.lstrip().lower().startswith("<!doctype html>"):
        raise Faulty("no doctype")
    return checker


def words_of(html: str) -> str:
    """The words of a page, spaces evened out."""
    checker = Checker()
    checker.feed(html.replace('<span class="nowrap">e-conomic</span>', "e-conomic"))  # one name, on one line
    return re.sub(r"[ \n\t]+", " ", " ".join(checker.text))
