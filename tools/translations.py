"""Collect the texts of the pages, bring each language's catalogue up to date, and compile it.

    python tools/translations.py            collect, update and compile what is there
    python tools/translations.py sv         the same, beginning a catalogue for a language

The source language is English: the texts themselves are the keys. A catalogue is a folder below
addon/web/translations; the pages offer every language that has been compiled.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
CATALOGUES = ROOT / "addon" / "web" / "translations"
METHODS = [
    ("addon/web/**.py", "python"),
    ("addon/ports/connectors.py", "python"),
    ("addon/connectors/*/connector.py", "python"),
    ("addon/connectors/*/checklist.py", "python"),
    ("templates/**.html", "jinja2"),
]
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
OPTIONS = {"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}}


def collected() -> Catalog:
    """Every text of the pages, and what connectors say of their companies."""
    catalogue = Catalog(project="Kvitt", charset="utf-8")
    found = extract_from_dir(ROOT, method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS)
    for name, line, message, comments, _ in found:
        catalogue.add(message, None, [(name, line)], auto_comments=comments)
    return catalogue


def update(language: str, texts: Catalog) -> int:
    """Bring one language up to date and compile it; how many of its texts are not translated.

    Nothing in either file depends on the time or on places in the sources, so that a second run changes nothing.
    """
    folder = CATALOGUES / language / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "messages.po"
    if source.exists():
        with source.open("rb") as file:
            catalogue = read_po(file, locale=language)
    else:
        catalogue = Catalog(locale=language, project="Kvitt", charset="utf-8", fuzzy=False)
    catalogue.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    with source.open("wb") as file:
        write_po(file, catalogue, no_location=True, sort_output=True, ignore_obsolete=True, width=110)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    return len(missing(catalogue))


def missing(catalogue: Catalog) -> list[str]:
    """The texts that a catalogue has no translation of, each plural form counted as one."""
    found = []
    for message in catalogue:
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        if message.id and (message.fuzzy or not all(forms)):
            found.append(message.id if isinstance(message.id, str) else message.id[0])
    return found


def main(languages: list[str]) -> int:
    """Update the languages that are there, and those that are named."""
    texts = collected()
    there = [path.name for path in CATALOGUES.glob("*") if path.is_dir()]
    for language in sorted({*there, *languages}):
        print(f"{language}: {update(language, texts)} of {len(texts)} texts are not translated")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
