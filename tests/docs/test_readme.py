"""README says nothing that is not shown: its payout is a golden, its links lead somewhere, its commands exist."""

import re
from dataclasses import fields
from pathlib import Path

from addon.cli import main
from addon.ports import registry

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GOLDEN = (ROOT / "tests" / "goldens" / "readme-one-payout.txt").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_payout_in_the_readme_is_the_golden_line_by_line() -> None:
    followed = blocks(README)[0].splitlines()
    rows = re.compile(r"^(\d{4}-\d\d-\d\d  stripe/.*| +\d{4}  .* [DC])$")
    golden = [line for line in GOLDEN.splitlines() if rows.match(line)]
    assert sorted(followed) == sorted(golden)


def test_the_payout_in_the_readme_brings_the_clearing_account_to_nought() -> None:
    balance = 0
    for row in blocks(README)[0].splitlines():
        found = re.match(r"^ +1686  clearing SEK +([\d ]+),(\d\d) ([DC])$", row)
        if found:
            kronor, ore, side = found.groups()
            amount = int(kronor.replace(" ", "")) * 100 + int(ore)
            balance += amount if side == "D" else -amount
    assert balance == 0


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"{page.name}: make {target}"


def test_every_file_that_is_named_exists() -> None:
    for page in PAGES:
        for name in re.findall(
            r"`((?:addon|tests|docs|templates|migrations)/[\w./]*)`", page.read_text(encoding="utf-8")
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_first_screen_says_what_it_is_and_gives_two_commands() -> None:
    first = "\n".join(README.splitlines()[:65])
    assert first.startswith("# Kvitt\n\n**Kvitt is an add-on")
    assert "make demo" in first
    assert "make test" in first


def test_the_prerequisites_page_is_the_list_that_is_checked() -> None:
    page = (ROOT / "docs" / "prerequisites.md").read_text(encoding="utf-8")
    for prerequisite in (entry for line in registry.ACCOUNTING for entry in registry.accounting(line.name).checklist):
        for field in fields(prerequisite):
            if field.name != "code":
                assert str(getattr(prerequisite, field.name)) in page


def test_the_operations_page_names_every_command() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for command in main.commands:
        assert f"kvitt {command}" in page, command
