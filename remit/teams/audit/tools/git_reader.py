"""Git, asked about a foreign repository: whatever its settings say, nothing of it runs and nothing is written.

Git takes settings from the repository that it reads, and some of them name programs: a file monitor, hooks, a pager,
a signature checker, converters of file content, and, where objects are missing, whatever fetches them. Each has its
own switch below. What is read is committed content only: the working tree would pass through the repository's filters.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

WITHIN_S = 20
_LATEST, _DIGITS = 253_402_300_799, 12
"""The last second of the year 9999, and how many digits it has."""
OUTPUT_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "diff.external": "",
    "log.showSignature": "false",
    "log.showRoot": "true",
    "mailmap.blob": "",
    "mailmap.file": "",
    "safe.directory": "*",
}
OPTIONS = (
    "--git-dir=.git",  # no search upwards: where this one is broken, another repository around it is not meant
    "--work-tree=.",
    "--no-pager",
    *(word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")),
)
ENVIRONMENT = {
    "HOME": "/nonexistent",
    "GIT_ALLOW_PROTOCOL": "none",  # an object that is missing is not fetched
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class HistoryError(Exception):
    """Git does not tell what was asked; `cause` says why, in words that do not depend on the machine."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def pieces(root: Path, *command: str, within_s: float = WITHIN_S) -> Iterator[bytes]:
    """Give what a command of git says, piece by piece; git ends when the reader has enough.

    Raises:
        HistoryError: git is not there, refused, took too long, or said too much.
    """
    git = shutil.which("git")
    if git is None or not Path(git).is_absolute():
        raise HistoryError("git is not installed")
    with subprocess.Popen(
        [git, *OPTIONS, *command],
        cwd=root,
        env={"PATH": os.defpath, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        watch = _Watch(process, within_s)
        watch.start()
        try:
            yield from _read(process)
        finally:
            watch.cancel()
            process.kill()
    if watch.is_late:
        raise HistoryError(f"git did not answer within {within_s:.0f} s")
    if process.returncode:
        raise HistoryError("git cannot read it")


class _Watch(threading.Timer):
    """Ends a program that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes], within_s: float) -> None:
        super().__init__(within_s, self._end)
        self.daemon = True
        self.is_late = False
        self._process = process

    def _end(self) -> None:
        self.is_late = True
        self._process.kill()


def _read(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    left = OUTPUT_BYTES
    while process.stdout is not None and (piece := process.stdout.read(_PIECE_BYTES)):
        left -= len(piece)
        if left < 0:
            raise HistoryError(f"git says more than {OUTPUT_BYTES} bytes")
        yield piece
    process.wait()


def said(root: Path, *command: str, within_s: float = WITHIN_S) -> bytes:
    """Give all that a command of git says; raises as `pieces`."""
    return b"".join(pieces(root, *command, within_s=within_s))


def head_time(root: Path) -> int:
    """Give the date of the newest commit, which is the present of everything that is said about history.

    Raises:
        HistoryError: there is no history, or only the newest end of one.
    """
    try:
        is_shallow = said(root, "rev-parse", "--is-shallow-repository").strip() == b"true"
    except HistoryError as error:
        raise HistoryError("its .git cannot be read" if error.cause == "git cannot read it" else error.cause) from error
    if is_shallow:
        raise HistoryError("this is a shallow clone, which holds only the newest end of it")
    try:
        found = said(root, "log", "-1", "--no-show-signature", "--format=%ct", "HEAD", "--")
    except HistoryError as error:
        raise HistoryError("there is no commit" if error.cause == "git cannot read it" else error.cause) from error
    return seconds_of(found.strip())


def seconds_of(text: bytes) -> int:
    """Give the time that a commit claims; 0 if it is none that a calendar has: a commit may claim any number."""
    return int(text) if text.isdigit() and len(text) <= _DIGITS and int(text) <= _LATEST else 0
