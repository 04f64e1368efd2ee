"""`make audit` passes only where every locked package was really looked up."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools import audit

LOCK = "flask==3.1.3 \\\n    --hash=sha256:0\nRQ==3.0.0\nsql_alchemy==2.1.9 ; python_version > '3'\n"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK, encoding="utf-8")
    return path


def sound(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "version": "1", "vulns": []} for name in names]


VULNERABLE = {"name": "rq", "version": "3", "vulns": [{"id": "CVE-0000-1", "fix_versions": ["3.1"]}]}
SKIPPED = {"name": "rq", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("dependencies", "status", "words"),
    [
        (sound("flask", "rq", "sql-alchemy"), 0, "3 packages audited"),
        ([*sound("flask", "sql-alchemy"), VULNERABLE], 1, "CVE-0000-1 (mended in 3.1)"),
        ([*sound("flask", "sql-alchemy"), SKIPPED], 2, "not looked up: rq"),
        (sound("flask"), 2, "only 1 of 3"),
        ([], 2, "nothing was audited"),
        ([SKIPPED], 2, "nothing was audited"),
    ],
)
def test_what_a_report_is_worth(lock: Path, dependencies: list[dict[str, Any]], status: int, words: str) -> None:
    verdict = audit.judge({"dependencies": dependencies}, audit.locked(lock))
    assert verdict.status == status and words in verdict.text


def test_services_are_asked_in_turn_and_none_answering_is_a_failure(lock: Path) -> None:
    asked: list[str] = []

    def nobody(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        service = command[command.index("--vulnerability-service") + 1]
        asked.append(service)
        if service == "osv":
            raise subprocess.TimeoutExpired(command, 1)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: connection refused")

    verdict = audit.audit(lock, nobody)
    assert verdict.status == 2 and asked == ["osv", "pypi"]
    assert "nothing was audited" in verdict.text and "connection refused" in verdict.text

    def second(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        if "osv" in command:
            return subprocess.CompletedProcess(command, 1, "", "")
        told = json.dumps({"dependencies": sound("flask", "rq", "sql-alchemy")})
        return subprocess.CompletedProcess(command, 0, told, "")

    assert audit.audit(lock, second) == audit.Verdict(0, "pypi: 3 packages audited, none known to be vulnerable")


def test_an_empty_lock_is_no_clean_one(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    assert audit.audit(tmp_path / "requirements.lock").status == 2


def test_the_real_lock_is_read() -> None:
    assert {"flask", "sqlalchemy", "stripe"} <= audit.locked(audit.LOCK)
