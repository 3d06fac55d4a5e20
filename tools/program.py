"""Programs that tools start: they end with their call, whatever they started in turn.

A program has a process group of its own, which is ended with SIGTERM, and with SIGKILL after a short grace; a process
that leaves the group on purpose is out of reach. Nothing of our environment is passed on, there is no shell, and what a
program may say is bounded.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from remit.contracts.errors import CallCutOffError, UsageError
from remit.tools.process_group import ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OUTPUT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ProgramEnded:
    """A program that ended by itself: its exit code and what it said."""

    code: int
    output: bytes
    errors: bytes


def run_program(
    command: Sequence[str],
    *,
    folder: Path,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
    within_s: float = 60.0,
    output_bytes: int = OUTPUT_BYTES,
) -> ProgramEnded:
    """The program ended, and nothing of its process group runs any more. It heard `given` on its standard input.

    Blocks, so it is for tools that are plain functions; an async one awaits it with `asyncio.to_thread`. The program is
    ended early when its call is cut off or gets too late, or the gateway stops.

    Raises:
        UsageError: the program is not named by its whole path; nothing ran.
        ToolNotDoneError: it could not be started; nothing ran.
        ToolTimeoutError: it did not end in time, and was ended.
        ToolFailedError: it said more than it may, and was ended.
        CallCutOffError: its call is over; it was ended, or not started.
    """
    if not command or not Path(command[0]).is_absolute():
        raise UsageError("a program is named by its whole path", got=command[0] if command else "nothing")
    programs = _of_this_call.get() or Programs()
    group = programs.start(command, folder=folder, environment=environment or {}, output_bytes=output_bytes)
    try:
        code, output, errors = group.wait(given, within_s=within_s)
    finally:
        programs.drop(group)
    return ProgramEnded(code=code, output=output, errors=errors)


class Programs:
    """The programs of one call. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below: tools start programs in threads, and the loop ends them
        self._running: set[ProcessGroup] = set()
        self._is_over = False
        _every.add(self)

    @property
    def is_running(self) -> bool:
        """Whether a program runs."""
        return bool(self._running)

    @contextmanager
    def within(self) -> Iterator[None]:
        """What is called in here starts its programs in this call."""
        token = _of_this_call.set(self)
        try:
            yield
        finally:
            _of_this_call.reset(token)

    def start(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], output_bytes: int
    ) -> ProcessGroup:
        """Give a program that runs; raises as `run_program`."""
        with self._lock:
            if self._is_over:
                raise CallCutOffError("the call is over; the program was not started", got=command[0])
            group = ProcessGroup(command, folder=folder, environment=environment, output_bytes=output_bytes)
            self._running.add(group)
        return group

    def drop(self, group: ProcessGroup) -> None:
        """A program is over."""
        with self._lock:
            self._running.discard(group)

    def end(self) -> None:
        """The call is over: every program is told to end, and killed after a grace; none is started any more."""
        with self._lock:
            self._is_over = True
            for group in self._running:
                group.end(CallCutOffError("the call is over; the program was ended"))

    def kill(self) -> None:
        """The call is over: no program of it runs any more."""
        with self._lock:
            self._is_over = True
            for group in self._running:
                group.kill()


_of_this_call: ContextVar[Programs | None] = ContextVar("programs", default=None)
_every: WeakSet[Programs] = WeakSet()


def kill_every_program() -> None:
    """No program that a tool started in this process runs any more: the process is about to end."""
    for programs in tuple(_every):
        programs.kill()
