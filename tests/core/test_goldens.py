"""Records in, bookkeeping out: each golden is a story above the line and the books that follow below it.

`KVITT_GOLDENS=write` writes the lower halves anew; then read the difference, it is the review.
"""

import os
import re
from pathlib import Path

import pytest

from addon.core.records import MovementKind
from tests.core.story import Story

GOLDENS = Path(__file__).resolve().parent.parent / "goldens"
LINE = "-" * 100
FILES = sorted(path for path in GOLDENS.glob("*.txt") if path.name != "README.txt")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_golden(path: Path) -> None:
    before, line, expected = path.read_text(encoding="utf-8").partition(f"\n{LINE}\n")
    books = Story().tell(before)
    if os.environ.get("KVITT_GOLDENS") == "write" and os.environ.get("CI") != "true":
        path.write_text(f"{before.rstrip()}\n\n{LINE}\n{books}\n", encoding="utf-8")
        return
    assert line, f"{path.name} has no lower half yet: run with KVITT_GOLDENS=write, and read it"
    assert books == expected.rstrip("\n")


def test_every_kind_of_movement_has_a_story() -> None:
    told = "\n".join(path.read_text(encoding="utf-8").partition(f"\n{LINE}\n")[0] for path in FILES)
    assert not [kind.value for kind in MovementKind if not re.search(rf" {kind.value}[ :]", told)]


def test_there_are_goldens() -> None:
    assert len(FILES) >= 20
