"""Every text goes through gettext, so that a catalogue is all that another language needs."""

import ast
import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from addon.ports import registry
from addon.web import texts
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tools import translations

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NOT_WORDS = {"Kvitt", "kvitt", "ms", "OSS", "UTC"}
LANGUAGES = sorted(path.name for path in translations.CATALOGUES.glob("*") if path.is_dir())
HOW = "Run `make translations`, translate what is empty in messages.po, and run it again."


def catalogue_of(language: str, suffix: str) -> Catalog:
    path = translations.CATALOGUES / language / "LC_MESSAGES" / f"messages.{suffix}"
    if suffix == "mo":
        return read_mo(io.BytesIO(path.read_bytes()))
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


def texts_of(catalogue: Catalog) -> dict[str, tuple[str, ...]]:
    """Each text's translation in all its forms; a translation that is not certain counts as none."""
    return {
        message.id if isinstance(message.id, str) else message.id[0]: (
            ()
            if message.fuzzy
            else (message.string,)
            if isinstance(message.string, str)
            else tuple(message.string or ())
        )
        for message in catalogue
        if message.id
    }


def parts_of(text: str) -> list[str]:
    """What a translation must keep as it is: placeholders and tags."""
    return sorted(re.findall(r"%\(\w+\)[a-z]|</?[a-z]+[^>]*>", text))


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
    assert {entry.title for line in registry.ACCOUNTING for entry in registry.accounting(line.name).checklist} <= found
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


def test_danish_and_swedish_are_there() -> None:
    assert {"da", "sv"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_without_a_translation(language: str) -> None:
    translated = texts_of(catalogue_of(language, "po"))
    missing = [text for text in texts_of(translations.collected()) if not all(translated.get(text) or ("",))]
    if missing:
        pytest.fail(f"{len(missing)} texts have no translation ({language}). {HOW}\n" + "\n".join(missing))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_placeholders_and_tags(language: str) -> None:
    forms = {text: forms for text, forms in texts_of(catalogue_of(language, "po")).items() if any(forms)}
    wrong = [form for text, each in forms.items() for form in each if parts_of(form) != parts_of(text)]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_texts(language: str) -> None:
    """The compiled one is in the repository, so that a fresh copy needs no step to be read in every language."""
    written, compiled = texts_of(catalogue_of(language, "po")), texts_of(catalogue_of(language, "mo"))
    assert {text for text in written if written[text] != compiled.get(text)} == set(), HOW
    assert set(compiled) <= set(written), HOW


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("sv", "sv"),
        ("sv-SE,en;q=0.9", "sv"),
        ("SV-se", "sv"),
        ("en-GB,sv;q=0.5", "en"),
        ("de,fr;q=0.8,sv;q=0.1", "sv"),
        ("sv;q=0,de", "en"),
        ("da", "da"),
        ("da-DK,da;q=0.9,en-US;q=0.8,en;q=0.7", "da"),
        ("nb-NO,da;q=0.8,sv;q=0.7", "da"),
        ("*", "en"),
        ("de", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_would_rather_read(
    house: House, header: str | None, language: str
) -> None:
    page = house.app.test_client().get("/", headers={"Accept-Language": header} if header else {}).text
    assert f'<html lang="{language}">' in page
    assert ("Varje betalning i din bokföring" in page) == (language == "sv")
    assert ("Hver betaling i dit regnskab" in page) == (language == "da")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("sv", ("Utbetalningar på väg", "Lägg de markerade åt sidan", "Moms på försäljning", "Din bokföring")),
        ("da", ("Udbetalinger på vej", "Læg de markerede til side", "Moms på salg", "Dit regnskab")),
    ],
)
def test_the_pages_of_a_company_are_in_its_language(
    house: House, filled: Filled, language: str, words: tuple[str, ...]
) -> None:
    client = house.client(filled.company)
    for address, word in zip(("/overview", "/inbox", "/settings", "/welcome"), words, strict=True):
        page = client.get(address, headers={"Accept-Language": language}).text
        check_html(page)
        assert word.lower() in words_of(page).lower(), address


def test_danes_read_points_between_thousands_and_danish_days(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    danish = client.get("/transactions", headers={"Accept-Language": "da"}).text
    assert "21. nov. 2026" in danish
    assert re.search(r">-?\u2212?\d{1,3}(\.\d{3})+,\d{2}<?", danish) and "\u202f" not in words_of(danish)
    english = client.get("/transactions").text
    assert "\u202f" in words_of(english) and not re.search(r"\d\.\d{3},\d{2}", english)
