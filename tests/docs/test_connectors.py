"""docs/connectors.md names files, names and commands: they are there, and its steps work."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from addon.ports import registry

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:addon|tests|docs)/[\w/.<>-]+)`", TEXT)) | set(re.findall(r"tests/\S+", TEXT))
    paths = {name.rstrip("`.,;:)(") for name in named if "acme" not in name and "`" not in name.rstrip("`.,;:)(")}
    assert len(paths) > 12
    for path in paths:
        for line in (*registry.PAYMENTS, *registry.ACCOUNTING) if "<name>" in path else [None]:
            place = path.replace("<name>", line.name) if line is not None else path
            assert (ROOT / place).exists(), place


def test_every_name_it_names_is_there() -> None:
    paths = [*(ROOT / "addon").rglob("*.py"), *(ROOT / "tests/conformance").rglob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    for name in re.findall(r"`([A-Z]\w+|[a-z]+(?:_[a-z]+)+)`", TEXT):
        assert re.search(rf"\b{name}\b", sources), name


RECIPES = {
    "payments": TEXT[TEXT.index("## A payment provider") : TEXT.index("## An accounting system")],
    "accounting": TEXT[TEXT.index("## An accounting system") : TEXT.index("## Banks and registers")],
}
LINES = {"payments": "PAYMENTS: Final[list[Registered]] = [", "accounting": "ACCOUNTING: Final[list[Registered]] = ["}
BUILDS = """
from addon.ports import registry
described = registry.{what}("acme")
from addon.config import load_settings
print(described.{said}, load_settings({{"KVITT_ENV": "test", "ACME_API_URL": "http://127.0.0.1:1"}}).told("ACME_API_URL"))
"""


def as_it_is(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("kind", RECIPES)
def test_its_recipe_is_followed_and_touches_one_line_outside_of_the_new_folders(kind: str, tmp_path: Path) -> None:
    """A copy of the add-on, the commands of the page, the one line: then it is known, and nothing else has changed."""
    recipe = RECIPES[kind]
    shutil.copytree(ROOT / "addon", tmp_path / "addon", ignore=shutil.ignore_patterns("__pycache__", "*.po", "static"))
    before = as_it_is(tmp_path)
    copies = re.findall(r"cp (?:-r )?(tests/template/\S+) (\S+)", recipe)
    assert len(copies) == 3
    for source, target in copies:
        made = tmp_path / target
        made.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, made, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, made)
    told = re.search(r"`(Registered\([^`]+\))`", recipe)
    assert told is not None
    registered = tmp_path / "addon/ports/registry.py"
    source = registered.read_text(encoding="utf-8")
    registered.write_text(source.replace(LINES[kind], f"{LINES[kind]}\n    {told[1]},"), encoding="utf-8")
    for path in (tmp_path / "addon/connectors/acme").glob("*.py"):
        # Nothing in the connector itself says where it lies, so that a copy of it works under any name.
        text = path.read_text(encoding="utf-8")
        assert "tests." not in text, path
        path.write_text(text.replace("TEMPLATE_", "ACME_").replace("LEDGER_", "ACME_"), encoding="utf-8")
    after = as_it_is(tmp_path)
    new = ("addon/connectors/acme/", "addon/sandbox/acme/", "tests/connectors/acme/")
    touched = [name for name in after if not name.startswith(new) and after[name] != before.get(name)]
    assert touched == ["addon/ports/registry.py"]
    assert len(registered.read_text(encoding="utf-8").splitlines()) == len(source.splitlines()) + 1
    program = BUILDS.format(what={"payments": "payment"}.get(kind, kind), said={"payments": "reads"}.get(kind, "way"))
    ran = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "http://127.0.0.1:1" in ran.stdout


def test_the_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
