"""docs/connectors.md names files, names and commands: they are there, and its steps work."""

import re
import shutil
from pathlib import Path

from addon.ports import registry

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:addon|tests|docs)/[\w/.<>-]+)`", TEXT)) | set(re.findall(r"tests/\S+", TEXT))
    paths = {name.rstrip("`.,;:)(") for name in named if "acme" not in name and "`" not in name.rstrip("`.,;:)(")}
    assert len(paths) > 12
    for path in paths:
        for line in registry.PAYMENTS if "<name>" in path else [None]:
            place = path.replace("<name>", line.name) if line is not None else path
            assert (ROOT / place).exists(), place


def test_every_name_it_names_is_there() -> None:
    paths = [*(ROOT / "addon").rglob("*.py"), *(ROOT / "tests/conformance").rglob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    for name in re.findall(r"`([A-Z]\w+|[a-z]+(?:_[a-z]+)+)`", TEXT):
        assert re.search(rf"\b{name}\b", sources), name


def test_its_commands_copy_a_whole_connector(tmp_path: Path) -> None:
    for folder in ("addon/connectors", "addon/sandbox", "tests/connectors"):
        (tmp_path / folder).mkdir(parents=True)
    copies = re.findall(r"cp (?:-r )?(tests/template/\S+) (\S+)", TEXT)
    assert len(copies) == 3
    for source, target in copies:
        made = tmp_path / target
        made.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, made)
    for place in (
        "addon/connectors/acme/connector.py",
        "addon/sandbox/acme/__init__.py",
        "tests/connectors/acme/bed.py",
    ):
        assert (tmp_path / place).is_file()
    # Nothing in the connector itself says where it lies, so that a copy of it works under any name.
    for path in (tmp_path / "addon").rglob("*.py"):
        assert "tests." not in path.read_text(encoding="utf-8"), path


def test_the_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
