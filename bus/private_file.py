"""Small files that only their owner may read, and that are whole or absent after any crash."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def private_directory(path: Path) -> Path:
    """The directory exists and only its owner may enter it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def kept_directory(path: Path) -> None:
    """The directory exists, and a loss of power does not take it away."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_directory(folder.parent)


def sync_tree(path: Path) -> None:
    """All files below the directory are on the disk, with their names."""
    for folder, _folders, names in os.walk(path):
        for name in names:
            _sync(Path(folder, name))
        sync_directory(Path(folder))


def replace(path: Path, text: str | bytes) -> None:
    """The file holds exactly `text`, mode 0600; after a crash it holds the old text or the new one."""
    whole = _written(path, text)
    whole.replace(path)
    sync_directory(path.parent)


def create(path: Path, text: str) -> bool:
    """The file exists, mode 0600; True if it holds `text`, False if it was there before and is unchanged."""
    whole = _written(path, text)
    try:
        # A link, unlike a rename, fails when another process was first: its file must win.
        os.link(whole, path)
    except FileExistsError:
        return False
    finally:
        whole.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def append(path: Path, line: str) -> None:
    """The file, mode 0600, ends with this line, on the disk."""
    is_new = not path.exists()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(path.parent)


def _written(path: Path, text: str | bytes) -> Path:
    # mkstemp makes the file 0600 whatever the umask says.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def sync_directory(path: Path) -> None:
    """What was made, renamed or removed in the directory is on the disk."""
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
