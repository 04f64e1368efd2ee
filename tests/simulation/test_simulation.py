"""Stories by lot: sales, refunds, disputes, faults, deaths, several processes, clocks that differ, people in between.

Everything happens in one process by one clock, so that a seed is always the same story: `KVITT_SEEDS=17` tells that
one again, `make simulate` tells many. What a seed has found becomes a test of its own, beside the thing it was about:

- a provider whose clock is ahead of ours: `tests/flow/test_clocks.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.flow.house import NOW
from tests.simulation.story import Story
from tests.simulation.virtual import virtual

STEPS = 20


def seeds() -> list[int]:
    """The seeds to be told: those asked for, or a few."""
    asked = os.environ.get("KVITT_SEEDS", "")
    if not asked:
        return list(range(1, 4))
    first, _, last = asked.partition("-")
    return list(range(int(first), int(last or first) + 1))


def tell(template: Path, folder: Path, seed: int, steps: int = STEPS) -> list[str]:
    """Tell one seed's story to its end; its log. A law that breaks is raised with the log."""
    with virtual(template, folder, seed, NOW) as here:
        story = Story(here, seed)
        try:
            for _ in range(steps):
                story.step()
            story.settle()
            story.ends_well()
        except AssertionError as error:
            log = "\n".join(here.log)
            raise AssertionError(f"seed {seed}: {error}\n{log}") from error
        return here.log


@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens_the_laws_hold(sqlite_template: Path, tmp_path: Path, seed: int) -> None:
    tell(sqlite_template, tmp_path, seed)


def test_a_seed_is_always_the_same_story(sqlite_template: Path, tmp_path: Path) -> None:
    first = tell(sqlite_template, tmp_path / "first", 3, steps=6)
    assert first == tell(sqlite_template, tmp_path / "second", 3, steps=6)
