"""A deployment that lives as long as this command: the first Ctrl-C ends it in good order, the second at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType, TracebackType
    from typing import Self

    from remit.bus.embedded import Durability
    from remit.loader import Loaded

INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOK_S: Final = 2.0


class Interrupts:
    """While this lasts, the first SIGINT or SIGTERM raises KeyboardInterrupt and the second ends the process.

    At once means without any clean-up: every process below this one is killed, which the journal survives.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.renew()
        return self

    def renew(self) -> None:
        """Take the signals again: `ray.init` puts a handler of its own in their place."""
        for number in _SIGNALS:
            signal.signal(number, self._take)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_ending:
            end_at_once()
        self.is_ending = True
        raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal gave


def end_at_once() -> NoReturn:
    """This process and all below it are gone. Ray's workers would notice late, and its threads may crash our exit."""
    for pid in descendants(os.getpid(), _parents()):
        with suppress(ProcessLookupError, PermissionError):  # it ended by itself
            os.kill(pid, signal.SIGKILL)
    sys.stdout.flush()
    os._exit(INTERRUPTED)


def descendants(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Give every process below one, nearest first."""
    found, todo = list[int](), [pid]
    while todo:
        above = todo.pop(0)
        below = [child for child, parent in parents.items() if parent == above]
        found += below
        todo += below
    return found


def _parents() -> dict[int, int]:
    """Give the parent of every process of this machine."""
    if not Path("/proc/self/stat").exists():
        said = subprocess.run(["/bin/ps", "-axo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
        return {int(pid): int(parent) for pid, parent in (line.split() for line in said.splitlines())}
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended while we looked
            # The name in brackets may hold anything, so it is cut off at its last bracket.
            found[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    return found


@contextmanager
def deployed(
    loaded: Loaded, *, name: str, port: int | None, durability: Durability, strands: bool = False
) -> Iterator[Embedded]:
    """The team is up while this lasts, and its context is the current one; afterwards no process is left.

    Raises: as `Embedded.start`; no process is left. KeyboardInterrupt: a first signal came.
    """
    with Interrupts() as interrupts:
        deployment = Embedded(loaded, name=name, port=port, durability=durability, strands=strands)
        try:
            deployment.start()
            interrupts.renew()
            yield deployment
        finally:
            is_cut_off = interrupts.is_ending
            interrupts.renew()
            interrupts.is_ending = True  # from now on a signal means: at once
            _end(deployment, has_work=is_cut_off)


def _end(deployment: Embedded, *, has_work: bool) -> None:
    try:
        if deployment.is_up and has_work:
            deployment.drain()
    finally:
        deployment.stop()


def wait(deployment: Embedded) -> NoReturn:
    """Tend the deployment; a nats-server that died is started again.

    Raises:
        KeyboardInterrupt: a signal came.
        ServerStartError: the nats-server does not start again.
        ClusterLostError: Ray's head is gone.
    """
    while True:
        threading.Event().wait(_LOOK_S)
        deployment.tend()
