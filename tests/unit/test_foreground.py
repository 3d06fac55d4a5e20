"""The first signal interrupts, the second ends at once, and nothing below is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from remit.foreground import INTERRUPTED, Interrupts, descendants

BELOW = """
import os, subprocess, sys, threading
code = "import threading; threading.Event().wait()"
below = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
print(os.getpid(), below.pid, flush=True)
threading.Event().wait()
"""
TWICE = f"""
import os, signal, subprocess, sys
from remit.foreground import Interrupts
with Interrupts():
    child = subprocess.Popen([sys.executable, "-c", {BELOW!r}], stdout=subprocess.PIPE, start_new_session=True)
    print(child.stdout.readline().decode(), flush=True)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_everything_below_a_process_is_found_nearest_first() -> None:
    parents = {2: 1, 3: 2, 4: 1, 5: 3, 9: 8}

    assert descendants(1, parents) == [2, 4, 3, 5]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_the_handler_before_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)

    assert interrupts.is_ending
    assert signal.getsignal(number) == before


def test_the_second_signal_ends_the_process_and_all_below_it() -> None:
    said = subprocess.run([sys.executable, "-c", TWICE], check=False, capture_output=True, text=True, timeout=30)

    below = [int(pid) for pid in said.stdout.split()]
    assert said.returncode == INTERRUPTED
    assert len(below) == 2
    assert [pid for pid in below if not is_gone(pid)] == []


def is_gone(pid: int) -> bool:
    """Whether a process is over, or will be: one that was killed dies a moment after the signal was sent."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return psutil.wait_procs([process], timeout=10)[1] == []
    return True
