"""Every text goes through gettext, so that a catalogue is all that another language needs."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from addon.core.prerequisites import PREREQUISITES
from addon.web import texts
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tools import translations

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NOT_WORDS = {"Kvitt", "kvitt", "ms", "UTC", "OSS"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_template_has_words_of_its_own(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", text, flags=re.DOTALL)
    for name in ("placeholder", "aria-label", "title", "alt"):
        for value in re.findall(rf'\b{name}="([^"]*)"', bare):
            assert not re.search(r"[A-Za-z]{3,}", value.replace("rk_live_", "")), f"{name}: {value}"
    # Attributes that a macro or a block gives to a tag stand outside of one.
    outside = re.sub(r"[\w-]+=\"[^\"]*\"", " ", re.sub(r"<!?[A-Za-z/][^>]*>", " ", bare))
    found = [word for word in re.findall(r"&?[A-Za-z]{2,};?", outside) if not word.startswith("&")]
    assert [word for word in found if word not in NOT_WORDS] == []


def test_no_message_of_a_view_goes_past_gettext() -> None:
    for path in sorted((ROOT / "addon" / "web").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("flash", "errors.page", "page", "_problem"):
                plain = [a for a in node.args[:4] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                told = [a.value for a in plain if a.value not in ("", "done", "wait", "stop")]
                assert told == [], f"{path.name}:{node.lineno}"


def test_every_text_is_collected() -> None:
    found = {message.id if isinstance(message.id, str) else message.id[0] for message in translations.collected()}
    assert {entry.title for entry in PREREQUISITES} <= found
    assert {"Nothing needs you", "Sync now", "The period is locked", "%(num)s sale"} <= found
    assert len(found) > 400


def test_a_browser_is_answered_in_its_language(
    house: House, filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue made up on the spot, every text turned into capitals between brackets."""
    folder = tmp_path / "sv" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = Catalog(locale="sv")
    for message in translations.collected():
        if message.id:
            one = message.id if isinstance(message.id, str) else message.id[0]
            shouted = re.sub(r"%\(\w+\)s|[^%]+", lambda part: part[0] if part[0][0] == "%" else part[0].upper(), one)
            catalogue.add(message.id, f"[{shouted}]" if isinstance(message.id, str) else (f"[{shouted}]",) * 2)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    monkeypatch.setattr(texts, "TRANSLATIONS", tmp_path)
    house.app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(tmp_path)
    from flask_babel import Babel

    house.app.extensions.pop("babel", None)
    Babel(house.app, locale_selector=texts.chosen_language, configure_jinja=False)
    client = house.client(filled.company)
    for address in ("/", "/overview", "/inbox", "/transactions", "/welcome", "/settings", "/nowhere"):
        page = client.get(address, headers={"Accept-Language": "sv-SE,sv;q=0.9,en;q=0.5"}).text
        check_html(page)
        assert '<html lang="sv">' in page and "[" in words_of(page), address
    assert "21 nov. 2026" in client.get("/transactions", headers={"Accept-Language": "sv"}).text
    english = client.get("/overview", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in english and "Sync now" in english
