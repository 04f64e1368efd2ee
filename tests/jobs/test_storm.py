"""A small storm: everything is killed a few times while two companies are at work (`make storm` for the large one)."""

from pathlib import Path

import pytest

from tests.storm.storm import run_storm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(900),
]


def test_after_a_small_storm_each_document_stands_once(tmp_path: Path) -> None:
    report = run_storm(seed=7, kills=5, sales=16, folder=tmp_path / "storm")
    assert not report.broken, report
    assert report.kills.total() == 5
    assert set(report.proofs.values()) == {0}
