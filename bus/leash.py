"""Run one command that ends when the process that wanted it ends, however that one dies.

Executed by path in a bare interpreter (`python -I -S leash.py …`), so it imports the standard library only.
A `preexec_fn` would do the same work in a fork of a process with threads, where it may deadlock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Become the command (`signal`), or watch over it (`pipe`), as the first argument says."""
    mode, parent, kept_handle, *command = arguments
    if mode == "signal":
        _become(command, parent=int(parent))
    return _watch(command, kept_handle=int(kept_handle))


def _become(command: list[str], *, parent: int) -> None:
    """This process is the command, and the kernel ends it with its parent (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the signal was armed
        sys.exit(1)
    for name in (signal.SIGPIPE, signal.SIGXFSZ):  # this interpreter ignores them; the command should not
        signal.signal(name, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606  # our own server


def _watch(command: list[str], *, kept_handle: int) -> int:
    """The command ran until its end, or until the other end of our standard input was closed (elsewhere)."""
    import subprocess  # half of the start-up time, and Linux does without
    import threading

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(kept_handle,))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        child.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=end_with_parent, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
