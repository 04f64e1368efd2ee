"""What stands in the repository's files: no index, no machine's paths, everything public explained."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")

# In pieces, so that this file does not name what it looks for.
INDEX_HOSTS = tuple(
    name.replace("|", "")
    for name in (
        "py|pi.org",
        "python|hosted.org",
        "registry.|npmjs",
        "cdn.|jsdelivr",
        "unpkg|.com",
        "deb.|debian.org",
        "fonts.|googleapis",
        "cdnjs.|cloudflare",
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wo" r"rk|ho" r"me|ro" r"ot|Use" r"rs)/\w")


def repository_files() -> list[Path]:
    """Everything git knows or would take in."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_an_index_host() -> None:
    naming = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in repository_files()
        for host in INDEX_HOSTS
        if host in text_of(path).lower()
    ]
    assert naming == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    naming = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in repository_files()
        if (found := MACHINE_PATHS.search(text_of(path)))
    ]
    assert naming == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_have_a_hash_for_everything_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?:index|extra-index|find-links|trusted-host)", text, re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_locks_agree_and_hold_what_the_project_asks_for() -> None:
    pinned = {lock: dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text_of(ROOT / lock), re.MULTILINE)) for lock in LOCKS}
    run, dev = (pinned[lock] for lock in LOCKS)
    assert run.items() <= dev.items()
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    for lock, asked in (
        (run, project["dependencies"]),
        (dev, [each for extra in project["optional-dependencies"].values() for each in extra]),
    ):
        for requirement in asked:
            name, version = re.match(r"([\w.-]+)(?:\[\w+\])?(?:==([^;\s]+))?", requirement).groups()
            found = lock[re.sub(r"[-_.]+", "-", name).lower()]
            assert version is None or found == version, requirement
    assert "django" not in dev


def test_the_process_list_is_what_a_host_expects() -> None:
    processes = dict(line.split(": ", 1) for line in text_of(ROOT / "Procfile").splitlines())
    assert processes == {
        "release": "kvitt migrate",
        "web": "gunicorn app:app",
        "worker": "kvitt worker",
        "clock": "kvitt clock",
    }


def unexplained(source: str) -> Iterator[str]:
    """Public modules, classes and functions without a docstring; nested and private ones need none."""

    def visit(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
        for child in node.body:
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            decorators = {ast.unparse(each) for each in child.decorator_list}
            if child.name.startswith("_") or "overload" in decorators or "override" in decorators:
                continue
            if ast.get_docstring(child) is None:
                yield prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from visit(child, f"{prefix}{child.name}.")

    tree = ast.parse(source)
    if source.strip() and ast.get_docstring(tree) is None:
        yield "the module"
    yield from visit(tree, "")


def test_everything_public_says_what_it_is() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "addon").rglob("*.py"))
        if "migrations" not in path.parts
        for name in unexplained(text_of(path))
    ]
    assert silent == []


def test_the_reader_of_docstrings_sees_what_is_missing() -> None:
    source = '"""M."""\nclass A:\n    def b(self): ...\n    def _c(self): ...\ndef d():\n    """D."""\n'
    assert list(unexplained(source)) == ["A", "A.b"]
    assert list(unexplained("x = 1")) == ["the module"]


# Three X in quotes are ISO 4217's code for no currency, which tests refuse.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b|#.*\bXX" r"X\b|NotImplemented" r"Error")


def test_nothing_is_left_for_later() -> None:
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in repository_files()
        if path.suffix in (".py", ".html", ".css", ".js", ".md")
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert left == []
