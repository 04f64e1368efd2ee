"""Check the import rules of pyproject.toml with import-linter, as far as the packages they name exist.

import-linter refuses a contract that names a module which is not there; a rule for a room is written before
the room is built. So modules that are not there are left out, and named.
"""

import contextlib
import io
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]
# The lists of modules in a contract, and how many of them it needs to say anything.
MODULE_LISTS = {"layers": 2, "modules": 2, "source_modules": 1, "forbidden_modules": 1}


def exists(module: str, root: Path = ROOT) -> bool:
    """Whether a module of ours is there; outside packages always count as there."""
    if module != "addon" and not module.startswith("addon."):
        return True
    path = root.joinpath(*module.split("."))
    return (path / "__init__.py").exists() or path.with_suffix(".py").exists()


def present(entry: str, root: Path = ROOT) -> str:
    """A layer with its absent siblings left out, or nothing when all are absent."""
    return " : ".join(module for module in entry.split(" : ") if exists(module, root))


def applicable(contract: dict[str, Any], root: Path = ROOT) -> dict[str, Any] | None:
    """The contract over what exists; None when that says nothing."""
    narrowed = dict(contract)
    for name, least in MODULE_LISTS.items():
        if name in contract:
            narrowed[name] = [kept for entry in contract[name] if (kept := present(entry, root))]
            if len(narrowed[name]) < least:
                return None
    return narrowed


def as_ini(settings: dict[str, Any], contracts: list[dict[str, Any]]) -> str:
    """The same settings in the form that import-linter reads from a file of its own."""

    def lines(values: dict[str, Any]) -> list[str]:
        return [
            f"{name} = " + ("\n    " + "\n    ".join(value) if isinstance(value, list) else str(value))
            for name, value in values.items()
        ]

    text = ["[importlinter]", *lines(settings)]
    for contract in contracts:
        text += [f"\n[importlinter:contract:{contract['id']}]", *lines({**contract, "id": contract["id"]})]
    return "\n".join(text) + "\n"


def check() -> tuple[bool, str]:
    """Whether the imports keep the rules, and what import-linter says."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts: list[dict[str, Any]] = configured.pop("contracts")
    named = {
        module
        for contract in contracts
        for name in MODULE_LISTS
        for entry in contract.get(name, [])
        for module in entry.split(" : ")
    }
    absent = sorted(module for module in named if not exists(module))
    narrowed = [kept for contract in contracts if (kept := applicable(contract)) is not None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "importlinter.ini"
        path.write_text(as_ini(configured, narrowed), encoding="utf-8")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = lint_imports(config_filename=str(path), no_cache=True, no_logo=True)
    note = f"not there yet: {', '.join(absent)}\n" if absent else ""
    return status == 0, said.getvalue() + note


if __name__ == "__main__":
    kept, report = check()
    if not kept:
        print(report)
    sys.exit(0 if kept else 1)
