"""A child process in a session of its own whose life ends with ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from remit.bus import leash

if TYPE_CHECKING:
    from pathlib import Path


class ChildProcess:
    """A process whose life ends with this one.

    One thread starts it and waits for it: the kernel's parent-death signal comes when the *thread* that
    forked ends, so a worker thread of the caller would take the server with it.
    """

    def __init__(self, command: list[str], *, lock: int, log_path: Path) -> None:
        self._process: Future[subprocess.Popen[bytes]] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(command, lock, log_path), name="nats-server", daemon=True
        )
        self._thread.start()
        self.pid = self._process.result().pid

    def _run(self, command: list[str], lock: int, log_path: Path) -> None:
        try:
            with log_path.open("ab") as output:
                process = _spawn(command, lock=lock, output=output)
        except Exception as error:  # noqa: BLE001  # it is raised again in the thread that asked
            self._process.set_exception(error)
            return
        self._process.set_result(process)
        process.wait()
        if process.stdin:
            process.stdin.close()

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._thread.is_alive()

    def ended_within(self, wait_s: float) -> bool:
        """Wait for the end of the process; False when it still lives after `wait_s`."""
        self._thread.join(wait_s)
        return not self.is_running

    def end(self, grace_s: float) -> bool:
        """The process is gone; True when it had to be killed."""
        process = self._process.result()
        process.send_signal(signal.SIGTERM)
        if self.ended_within(grace_s):
            return False
        # The session is its own, so this reaches a watcher and the server below it.
        with suppress(ProcessLookupError):  # it ended in between
            os.killpg(process.pid, signal.SIGKILL)
        self._thread.join()
        return True


def _spawn(command: list[str], *, lock: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
    mode = "signal" if sys.platform == "linux" else "pipe"
    leashed = [sys.executable, "-I", "-S", leash.__file__, mode, str(os.getpid()), str(lock), *command]
    return subprocess.Popen(
        leashed,
        stdin=subprocess.DEVNULL if mode == "signal" else subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=(lock,),
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    # The server has its machine in common with the team's own processes. With every core for itself it takes from
    # them what it spends on looking for work: on two cores, a third of its time. Who sets GOMAXPROCS decides otherwise.
    cores = max(1, (os.cpu_count() or 1) // 2)
    return {"GOMAXPROCS": str(cores)} | os.environ
