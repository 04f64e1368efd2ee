"""The demo as a person starts it: to its end with every law held, and stopped in the middle of the afternoon."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.forks import children_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "addon", "demo", "--sales", "10", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_once_does_the_main_job_and_ends_well() -> None:
    demo = start("--once")
    try:
        said, _ = demo.communicate(timeout=500)
    finally:
        demo.kill()
    assert demo.returncode == 0, said
    assert "✗" not in said
    for pair in ("Fortnox + Stripe", "Fortnox + PayPal", "e-conomic + Stripe", "e-conomic + PayPal"):
        assert pair in " ".join(said.split()), pair
    # SEK and EUR, and SEK in Basic; two balances each for the Danes, and PayPal's other currencies come and go.
    assert said.count("✓ kvitt") == 3 + 6 + 2 + 6
    for law in ("nothing is lost", "each document stands once", "a second run writes nothing", "its own data only"):
        assert law in said


def test_it_stays_up_until_it_is_told_to_stop_and_leaves_nothing_behind() -> None:
    demo = start("--accounting", "fortnox", "--payments", "paypal")
    assert demo.stdout is not None
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if "Ctrl-C ends everything" in line:
                break
        found = re.search(r"Kvitt is at (http://127\.0\.0\.1:\d+)", said)
        assert found is not None, said
        with urllib.request.urlopen(f"{found[1]}/healthz", timeout=60) as answer:
            assert answer.status == 200
        children = children_of(demo.pid)
        assert len(children) >= 6, "world, Redis, pages, two workers, clock"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    finally:
        demo.kill()
        demo.wait(60)
