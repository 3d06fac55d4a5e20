"""One program in a process group of its own, from its start until nothing of the group runs any more."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final, cast

from remit.contracts.errors import CallCutOffError, ToolFailedError, ToolNotDoneError, ToolTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GRACE_S: Final = 0.5
"""From SIGTERM to SIGKILL."""
_LOOK_S: Final = 0.05
"""How late an end may be noticed where somebody holds the output open; mostly its end tells at once."""
_LAST_WORDS_S: Final = 0.2
"""How long the output is read on when the group is gone: somebody who left it may hold it open."""
_CHUNK: Final = 64 * 1024
_NEVER: Final = float("inf")


class ProcessGroup:
    """A program that runs. `end` and `kill` may be called from any thread, `wait` from one."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], output_bytes: int
    ) -> None:
        self._name = command[0]
        try:
            self._leader = subprocess.Popen(
                tuple(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ToolNotDoneError("the program could not be started", where=self._name, got=str(error)) from error
        self._lock = threading.Lock()  # guards the group's number, which may be another's once the group is gone
        self._is_gone = False
        self._kill_at = _NEVER
        self._why: CallCutOffError | ToolTimeoutError | ToolFailedError | None = None
        self._changed = threading.Event()
        output, errors = cast("tuple[IO[bytes], IO[bytes]]", (self._leader.stdout, self._leader.stderr))
        self._output = _Output(output, output_bytes, self._on_output)
        self._errors = _Output(errors, output_bytes, self._on_output)

    def end(self, why: CallCutOffError | ToolTimeoutError | ToolFailedError) -> None:
        """The group is told to end, and `wait` kills it after the grace."""
        if self._why is None:
            self._why, self._kill_at = why, time.monotonic() + GRACE_S
            self._signal(signal.SIGTERM)
            self._changed.set()

    def kill(self) -> None:
        """Nothing of the group runs any more."""
        self._signal(signal.SIGKILL)

    def wait(self, given: bytes, *, within_s: float) -> tuple[int, bytes, bytes]:
        """Nothing of the group runs any more; give exit code, output and errors of the program.

        Raises:
            ToolTimeoutError: it did not end in time, and was ended.
            ToolFailedError: it said more than it may, and was ended.
            CallCutOffError: it was ended because its call is over.
        """
        feeding = threading.Thread(target=self._feed, args=(given,), name="program-input", daemon=True)
        feeding.start()
        ends_at = time.monotonic() + within_s
        try:
            while not self._has_exited():
                self._keep_time(ends_at, within_s)
                self._changed.wait(_LOOK_S)
                self._changed.clear()
        finally:
            self._bury()
        read_until = time.monotonic() + _LAST_WORDS_S
        output, errors = self._output.all(read_until), self._errors.all(read_until)
        if self._why is not None:
            raise self._why
        return self._leader.returncode, output, errors

    def _keep_time(self, ends_at: float, within_s: float) -> None:
        now = time.monotonic()
        if now >= ends_at:
            self.end(ToolTimeoutError("the program did not end in time", where=self._name, expected=f"{within_s:g} s"))
        if now >= self._kill_at:
            self.kill()

    def _on_output(self, bytes_left: int) -> None:
        if bytes_left < 0:
            self.end(ToolFailedError("the program says too much", where=self._name))
        self._changed.set()

    def _feed(self, given: bytes) -> None:
        pipe = cast("IO[bytes]", self._leader.stdin)
        with suppress(OSError):  # it does not want to hear it
            pipe.write(given)
        with suppress(OSError):
            pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._is_gone:
                with suppress(ProcessLookupError, PermissionError):  # the latter is what macOS says of a dead group
                    os.killpg(self._leader.pid, number)

    def _has_exited(self) -> bool:
        """Say whether the program is over. It is not reaped yet where that can be: its group keeps its number."""
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self._leader.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        return self._leader.poll() is not None

    def _bury(self) -> None:
        """Whatever the program started and left behind is killed with it."""
        self.kill()
        with self._lock:
            self._is_gone = True
        self._leader.wait()


class _Output:
    """What a program says on one pipe, read by a thread; no more than so many bytes are kept."""

    def __init__(self, pipe: IO[bytes], most: int, on_end: Callable[[int], None]) -> None:
        self._pipe = pipe
        self._most = most
        self._on_end = on_end
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._read, name="program-output", daemon=True)
        self._thread.start()

    def all(self, until: float) -> bytes:
        """Give what was said; whoever holds the pipe open is waited for until then."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return b"".join(self._chunks)

    def _read(self) -> None:
        left = self._most
        with self._pipe as pipe:
            while left >= 0 and (chunk := os.read(pipe.fileno(), _CHUNK)):
                left -= len(chunk)
                self._chunks.append(chunk)
            self._on_end(left)
