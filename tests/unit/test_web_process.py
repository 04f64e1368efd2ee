"""The web process as the Procfile starts it."""

import runpy
import subprocess
import sys
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


def test_the_pages_are_imported_before_the_first_fork_and_nothing_is_opened_by_that() -> None:
    code = (
        "import os, runpy, sys, threading\n"
        "before = set(os.listdir('/proc/self/fd'))\n"
        "runpy.run_path('gunicorn.conf.py')['on_starting'](None)\n"
        "assert 'addon.web.books' in sys.modules and 'addon.connectors.fortnox' in sys.modules\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "kinds = [os.readlink(f'/proc/self/fd/{one}') for one in set(os.listdir('/proc/self/fd')) - before\n"
        "         if os.path.exists(f'/proc/self/fd/{one}')]\n"
        "assert not [kind for kind in kinds if kind.startswith('socket') or kind.endswith('.db')], kinds\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert told.returncode == 0, told.stderr
