"""The web process as the Procfile starts it."""

import runpy
from pathlib import Path

from gunicorn.config import Config

from addon.bootstrap import LONGEST_CALL_S

ROOT = Path(__file__).resolve().parents[2]


def test_requests_that_call_out_neither_block_others_nor_are_killed() -> None:
    config = Config()
    for name, value in runpy.run_path(str(ROOT / "gunicorn.conf.py")).items():
        if not name.startswith("__"):
            config.set(name, value)
    assert config.worker_class_str == "gthread" and config.threads >= 4
    assert config.timeout >= LONGEST_CALL_S
