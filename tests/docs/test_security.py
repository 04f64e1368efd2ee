"""docs/security.md names a test for each of its claims: they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_claim_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    rows = re.findall(r"^\| (?!what \|)[^|]+\|([^|]*)\|$", text, re.MULTILINE)
    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row] == []
