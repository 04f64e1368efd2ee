"""Who may know whom. The contracts are in pyproject.toml; what they cannot say is said here."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import import_rules

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "addon"


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Every module that a source imports, wherever in it the import stands, relative ones spelled out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = len(parts) - node.level + is_package
                base = ".".join([*parts[:kept], *([base] if base else [])])
            yield base
            # "from addon import store" imports a module as well.
            yield from (f"{base}.{alias.name}" for alias in node.names if base == "addon")
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def imports_below(folder: Path) -> list[tuple[str, str]]:
    """(importing module, imported module) for each file of a package, or of a single module."""
    paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return [
        (module_name(path), imported)
        for path in paths
        if path.exists()
        for imported in imports_of(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")
    ]


def is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_imports_keep_the_contracts() -> None:
    kept, report = import_rules.check()
    assert kept, report


def test_a_contract_says_all_it_can_about_the_rooms_that_are_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "addon").mkdir()
    (tmp_path / "addon" / "core.py").touch()
    contract = {"id": "x", "source_modules": ["addon.core", "addon.web"], "forbidden_modules": ["flask"]}
    assert import_rules.applicable(contract, tmp_path) == {**contract, "source_modules": ["addon.core"]}
    assert import_rules.applicable({**contract, "source_modules": ["addon.web"]}, tmp_path) is None
    (tmp_path / "addon" / "web").mkdir()
    (tmp_path / "addon" / "web" / "__init__.py").touch()
    assert import_rules.applicable(contract, tmp_path) == contract


def test_the_package_itself_is_empty() -> None:
    assert (ADDON / "__init__.py").read_text(encoding="utf-8").strip() == ""


def test_the_core_imports_the_standard_library_only() -> None:
    foreign = [
        (module, imported)
        for module, imported in imports_below(ADDON / "core")
        if not is_below(imported, "addon.core") and imported.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


@pytest.mark.parametrize("room", ["ports", "store"])
def test_ports_and_store_know_nothing_of_ours_but_the_core(room: str) -> None:
    allowed = ("addon.core", f"addon.{room}", *(["addon.log"] if room == "store" else []))
    foreign = [
        (module, imported)
        for module, imported in imports_below(ADDON / room)
        if is_below(imported, "addon") and not any(is_below(imported, package) for package in allowed)
    ]
    assert foreign == []


def connector_folders() -> list[str]:
    return sorted(path.parent.name for path in (ADDON / "connectors").glob("*/__init__.py"))


def shared_by_connectors() -> list[Path]:
    """A module directly in addon/connectors is shared by all; a folder is one company."""
    return [path for path in (ADDON / "connectors").glob("*.py") if path.stem != "__init__"]


def test_a_connector_knows_ports_core_and_what_connectors_share_but_no_other_connector() -> None:
    shared = [module_name(path) for path in shared_by_connectors()]
    foreign = []
    for name in connector_folders():
        known = ("addon.core", "addon.ports", "addon.log", f"addon.connectors.{name}", *shared)
        foreign += [
            (module, imported)
            for module, imported in imports_below(ADDON / "connectors" / name)
            if is_below(imported, "addon") and not any(is_below(imported, package) for package in known)
        ]
    assert foreign == []


def test_what_connectors_share_knows_no_connector() -> None:
    companies = [f"addon.connectors.{name}" for name in connector_folders()]
    knowing = [
        (module, imported)
        for path in shared_by_connectors()
        for module, imported in imports_below(path)
        if any(is_below(imported, company) for company in companies)
    ]
    assert knowing == []


def test_httpx_is_imported_by_one_module() -> None:
    """Its successor has the same API: the move shall be one line."""
    importing = {
        module
        for module, imported in imports_below(ADDON)
        if is_below(imported, "httpx") and not is_below(module, "addon.sandbox")
    }
    assert importing <= {"addon.connectors.http"}


def test_the_sandbox_imports_nothing_of_ours() -> None:
    foreign = [
        (module, imported)
        for module, imported in imports_below(ADDON / "sandbox")
        if is_below(imported, "addon") and imported != "addon" and not is_below(imported, "addon.sandbox")
    ]
    assert foreign == []


def test_only_the_command_line_knows_the_sandbox() -> None:
    knowing = {
        module
        for module, imported in imports_below(ADDON)
        if is_below(imported, "addon.sandbox") and not is_below(module, "addon.sandbox")
    }
    assert all(is_below(module, "addon.cli") or is_below(module, "addon.demo") for module in knowing), knowing


def test_only_bootstrap_knows_what_is_concrete() -> None:
    knowing = {
        module
        for module, imported in imports_below(ADDON)
        if is_below(imported, "addon.connectors") and not is_below(module, "addon.connectors")
    }
    assert all(is_below(module, "addon.bootstrap") for module in knowing), knowing


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import a.b, c", "addon.core.x", False, {"a.b", "c"}),
        ("def f():\n    from ..store import tables", "addon.web.pages", False, {"addon.store"}),
        ("from . import http", "addon.connectors", True, {"addon.connectors"}),
        ("from addon import store", "addon.core.x", False, {"addon", "addon.store"}),
        ("import importlib\nimportlib.import_module('rq')", "addon.web", True, {"importlib", "rq"}),
    ],
)
def test_the_reader_of_imports_sees_them_all(source: str, module: str, is_package: bool, expected: set[str]) -> None:
    assert set(imports_of(source, module, is_package)) == expected
