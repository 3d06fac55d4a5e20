"""The directory of one embedded server: who owns it now, and the port it keeps."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from remit.bus import private_file
from remit.contracts.errors import DataDirectoryInUseError, EnvironmentFaultError

if TYPE_CHECKING:
    from pathlib import Path

_ORPHAN_S, _OWNED_S = 5.0, 0.5
"""How long we wait for a server whose parent is gone, and for one whose parent seems to live: it may be a zombie."""
_POLL_S = 0.01


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock: the server, and the process that started it."""

    parent: int
    server: int = 0


class KeptPort(msgspec.Struct, frozen=True, kw_only=True):
    """The port that a server listened on, and the one it was asked for."""

    asked: int | None = None
    port: int


class DataDirectory:
    """Claimed: nobody else serves this directory while the lock's handle is open in any process.

    The lock is inherited by the server and lives exactly as long as it does: after SIGKILL of everything
    there is nothing stale to clean up, and a server that outlives its parent still guards its data.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock

    @classmethod
    def claim(cls, path: Path) -> DataDirectory:
        """The directory exists, private to its owner, and is ours until `release`.

        Raises:
            DataDirectoryInUseError: a live server owns it; nothing changed.
            EnvironmentFaultError: it cannot be made or written.
        """
        try:
            private_file.private_directory(path)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentFaultError(f"cannot use the data directory: {error}", where=str(path)) from error
        try:
            _lock(lock, path)
        except BaseException:
            os.close(lock)
            raise
        claimed = cls(path, lock)
        claimed.record(Owner(parent=os.getpid()))
        return claimed

    def record(self, owner: Owner) -> None:
        """The lock names its owner, for whoever finds it taken."""
        text = msgspec.json.encode(owner)
        os.pwrite(self.lock, text, 0)
        os.ftruncate(self.lock, len(text))

    def release(self) -> None:
        """This process no longer holds the lock; a server that inherited it still does."""
        os.close(self.lock)

    @property
    def kept_port(self) -> KeptPort | None:
        """The port of the last start, None if there was none or its note is unreadable."""
        try:
            return msgspec.json.decode((self.path / "port.json").read_bytes(), type=KeptPort)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def keep_port(self, kept: KeptPort) -> None:
        """The next start takes this port first."""
        private_file.replace(self.path / "port.json", msgspec.json.encode(kept).decode())


def _lock(lock: int, path: Path) -> None:
    began = time.monotonic()
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(lock)
            if time.monotonic() - began > (_OWNED_S if _is_alive(owner.parent) else _ORPHAN_S):
                raise _in_use(path, owner) from None
            threading.Event().wait(_POLL_S)  # flock has no deadline of its own


def _owner(lock: int) -> Owner:
    try:
        return msgspec.json.decode(os.pread(lock, 4096, 0), type=Owner)
    except msgspec.DecodeError:
        return Owner(parent=0)


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _in_use(path: Path, owner: Owner) -> DataDirectoryInUseError:
    parent = f"started by process {owner.parent}" if owner.parent else "started by an unknown process"
    server = f"nats-server {owner.server}" if owner.server else "a nats-server"
    return DataDirectoryInUseError(
        f"the data directory is served by {server}, {parent}",
        where=str(path),
        fix=f"wait for process {owner.parent or owner.server}, use that deployment, or choose another directory",
    )
