"""A work horse never outlives its worker, even one that died before the horse could ask for that."""

import os
import signal
import sys
import time

import pytest

from addon.jobs import tasks


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_a_horse_whose_worker_died_right_after_the_fork_ends_itself() -> None:
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        tasks.note_worker()
        if os.fork() == 0:
            while os.getppid() == tasks._worker["pid"]:  # the horse begins only when its worker is gone
                time.sleep(0.01)
            tasks.die_with_parent()
            os.write(tell, b"an orphan works on")
        os._exit(0)
    os.close(tell)
    os.waitpid(worker, 0)
    assert os.read(told, 100) == b""  # the pipe ends with the horse, which said nothing
    os.close(told)


def test_a_worker_that_runs_jobs_itself_is_not_its_own_orphan() -> None:
    child = os.fork()
    if child == 0:
        tasks.note_worker()
        tasks.die_with_parent()
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL
    assert os.waitstatus_to_exitcode(status) == 7
