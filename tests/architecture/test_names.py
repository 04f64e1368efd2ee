"""The names of outside companies stand in their own folders, in the registry, and in a short list with reasons."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.ports import registry

ROOT = Path(__file__).resolve().parents[2]
NAMES = [line.name for line in (*registry.PAYMENTS, *registry.ACCOUNTING)]
NAMED = re.compile(rf"{'|'.join(NAMES)}|e-conomic", re.IGNORECASE)

FOLDERS = (
    *(f"addon/connectors/{name}/" for name in NAMES),
    "addon/sandbox/",  # the outside world, played: it is made of these companies
    "tests/",
)

REASONS = {
    "addon/ports/registry.py": "the one line of each",
    "addon/config.py": "names of the environment that were there before connectors named their own",
    "addon/demo/": "the story that the demo tells",
    "addon/bootstrap.py": "FORTNOX_CALLS_PER_5_S, by which test worlds turn all pacing off",
    "addon/log.py": "the logger of a library",
    "addon/core/fee_vat.py": "whose tax invoices: the law goes by the legal person, and settings have it",
    "addon/core/joining.py": "what other firms' connections write on invoices, a provider's name for one",
    "addon/services/settings.py": "the preset of the VAT on fees, which is data of the core",
    "addon/web/words.py": "words for those legal persons, and examples out of a provider's own product names",
    "addon/connectors/http.py": "what the header with a call's reference is called, here and there",
}
"""Who else may name one, and why. Shorter is better; a new provider or system adds nothing here."""


def words_of(source: str) -> Iterator[str]:
    """The names and texts of a program, without its comments and documentation."""
    tree = ast.parse(source)
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in told:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield name


def named() -> dict[str, set[str]]:
    """Each file outside of the folders that names a company, with what it says."""
    found: dict[str, set[str]] = {}
    for path in [*(ROOT / "addon").rglob("*.py"), *(ROOT / "templates").rglob("*.html")]:
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(FOLDERS):
            continue
        text = path.read_text(encoding="utf-8")
        words = words_of(text) if path.suffix == ".py" else re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL)
        said = {word for word in words if NAMED.search(word)}
        if said:
            found[place] = said
    return found


def test_a_company_is_named_in_its_folder_and_in_the_registry_only() -> None:
    allowed = tuple(REASONS)
    strangers = {place: sorted(said) for place, said in named().items() if not place.startswith(allowed)}
    assert strangers == {}


def test_every_reason_is_still_needed() -> None:
    places = named()
    assert [reason for reason in REASONS if not any(place.startswith(reason) for place in places)] == []


def test_each_is_registered_by_one_line() -> None:
    source = (ROOT / "addon/ports/registry.py").read_text(encoding="utf-8")
    for name in NAMES:
        assert source.count(f'"{name}"') == 1, name


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_folders(name: str) -> None:
    for folder in (f"addon/connectors/{name}", f"addon/sandbox/{name}", f"tests/connectors/{name}"):
        assert (ROOT / folder).is_dir(), folder
    assert (ROOT / f"addon/connectors/{name}/connector.py").is_file()
    assert (ROOT / f"tests/connectors/{name}/bed.py").is_file()
