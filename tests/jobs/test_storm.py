"""A small storm: everything is killed a few times while two companies are at work (`make storm` for the large one)."""

from pathlib import Path

import pytest

from tests.storm.command import main
from tests.storm.stands import Pair
from tests.storm.storm import run_storm

OF_EACH = (Pair("fortnox", "stripe", "plus"), Pair("economic", "paypal", "plus"))
"""Between them every accounting system and every payment provider."""


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(900)
def test_after_a_small_storm_each_document_stands_once(tmp_path: Path) -> None:
    report = run_storm(seed=7, kills=5, sales=16, folder=tmp_path / "storm", pairs=OF_EACH)
    assert not report.broken, report
    assert report.kills.total() == 5
    assert set(report.proofs.values()) == {0}


def test_the_command_takes_every_pair(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "{economic,fortnox}" in told and "{paypal,stripe}" in told
