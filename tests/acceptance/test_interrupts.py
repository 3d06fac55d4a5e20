"""Ctrl-C at any time, SIGTERM, kill -9: no process is left behind, and the next start goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from remit import places
from tests.acceptance.served import REMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]
SUPERFLUOUS = ("dashboard/dashboard.py", "autoscaler/_private/monitor.py", "_private/log_monitor.py")
"""Processes of Ray that no deployment on one machine uses."""
WAIT_S = 120.0
LEFT_S = 60.0
"""Ray's workers that were still starting give up by themselves after about half a minute."""


class Up:
    """A `remit up` in a session of its own, as in a terminal: a signal goes to all of its processes."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [REMIT, "up", folder, "--port", "0", "-o", "jsonl"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def runs(self, part: str) -> bool:
        return any(part in command for command in self.left())

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(WAIT_S)

    def left(self) -> list[str]:
        """Give the processes that were started for this state directory and live."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_ours = process.environ().get(places.HOME) == str(self.home) and process.pid != os.getpid()
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found


def until(holds: Callable[[], bool], within_s: float = WAIT_S) -> bool:
    """Wait for something that only the list of processes tells."""
    ends = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > ends:
            return False
        threading.Event().wait(0.05)
    return True


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.HOME, str(tmp_path / "state"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    subprocess.run([REMIT, "init", tmp_path / "support"], check=True, capture_output=True)
    return tmp_path / "support"


@contextmanager
def started(folder: Path, home: Path) -> Iterator[Up]:
    up = Up(folder, home)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.kill()
            up.ended()


def remit(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([REMIT, *words], input=given, check=False, capture_output=True, text=True, timeout=WAIT_S)


def test_after_kill_9_nothing_is_left_and_the_next_start_goes_on(folder: Path, home: Path) -> None:
    with started(folder, home) as up:
        up.ready()
        given = '{"customer": "a@b.c", "text": "broken"}'
        said = remit("submit", "ticket", "--goal", "x", "--input", "-", "--wait", "-o", "json", given=given)
        (review,) = json.loads(said.stdout)["reviews"]
        up.process.kill()
        up.ended()
        assert until(lambda: up.left() == [], LEFT_S), up.left()

    with started(folder, home) as up:
        up.ready()
        remit("review", "approve", review["review_id"])
        tailed = remit("run", "tail", review["run_id"])
        up.process.terminate()
        code = up.ended()

    assert tailed.stdout.endswith("finished: complete\n")
    assert code == 0
    assert up.left() == []


def test_the_first_ctrl_c_ends_everything_in_good_order(folder: Path, home: Path) -> None:
    with started(folder, home) as up:
        up.ready()
        superfluous = [name for name in SUPERFLUOUS if up.runs(name)]
        up.interrupt()
        code = up.ended()

    assert code == 0
    assert up.left() == []
    assert superfluous == []


def test_the_second_ctrl_c_ends_everything_at_once(folder: Path, home: Path) -> None:
    with started(folder, home) as up:
        up.ready()
        up.interrupt()
        threading.Event().wait(0.2)  # two presses, not one signal that is merged
        up.interrupt()
        code = up.ended()

    assert code in {0, 130}
    assert until(lambda: up.left() == [], 5.0), up.left()


@pytest.mark.parametrize("stage", ["nats-server", "gcs_server", "raylet/raylet", "ray::SupervisorActor"])
def test_ctrl_c_while_it_starts_leaves_nothing(folder: Path, home: Path, stage: str) -> None:
    with started(folder, home) as up:
        assert until(lambda: up.runs(stage))
        up.interrupt()
        code = up.ended()

    assert code in {0, 130}
    assert until(lambda: up.left() == [], 10.0), up.left()
