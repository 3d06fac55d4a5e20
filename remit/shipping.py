"""Ship a team's code to where it runs: packed once, kept in the object store under its digest, unpacked beside a cache.

Not as `py_modules` of a Ray runtime environment: that needs Ray's agent on every node, makes every worker wait for an
environment of its own, and is lost to whoever deploys next from another machine.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import platformdirs

from remit.bus.private_file import private_directory
from remit.contracts.errors import TeamInvalidError
from remit.loader import is_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
LIMIT_BYTES: Final = 16 * 1024 * 1024
CACHE: Final = "REMIT_CODE_CACHE"
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say: the same files give the same bytes."""


def pack(ref: str) -> bytes:
    """Give a team's folder as an archive: all its files but tests and hidden ones; the same files, the same bytes.

    Raises:
        TeamInvalidError: it holds more than can be shipped.
    """
    entry = Path(ref)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        total = 0
        for name, path in _files(entry.parent):
            total += path.stat().st_size
            if total > LIMIT_BYTES:
                raise TeamInvalidError(
                    "the team's folder holds more than can be shipped",
                    where=str(entry.parent),
                    expected=f"at most {LIMIT_BYTES // 1024**2} MiB",
                    got=name,
                    fix="install the team in the image of the nodes, and deploy it by the name of its module",
                )
            archive.writestr(zipfile.ZipInfo(name, _WHEN), path.read_bytes(), zipfile.ZIP_DEFLATED)
        archive.comment = entry.name.encode()
    return packed.getvalue()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    named = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return ((name, path) for name, path in sorted(named.items()) if not is_aside(name))


def unpack(archive: bytes) -> str:
    """Give the reference of shipped code on this machine; unpacked once, and found again by its digest.

    Raises:
        TeamInvalidError: a name in the archive leads out of its folder.
    """
    digest = hashlib.sha256(archive).hexdigest()
    folder = private_directory(_cache()) / digest[:32]
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        entry = packed.comment.decode()
        _check([entry, *packed.namelist()])
        if not folder.exists():
            making = folder.with_name(f"{folder.name}.{os.getpid()}")
            shutil.rmtree(making, ignore_errors=True)
            packed.extractall(making)
            try:
                making.rename(folder)
            except OSError:  # another process of this machine was quicker
                shutil.rmtree(making, ignore_errors=True)
    return str(folder / entry)


def _check(names: list[str]) -> None:
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            raise TeamInvalidError("a file of the shipped team leads out of its folder", where=name)


def _cache() -> Path:
    chosen = os.environ.get(CACHE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("remit")) / "code"


@dataclass(frozen=True)
class Shipped(Generic[T]):
    """Loads from shipped code what is otherwise loaded from where it is installed."""

    load: Callable[[str], T]
    archive: bytes

    def __call__(self, _ref: str) -> T:
        """Give what the function finds in the code, unpacked here."""
        return self.load(unpack(self.archive))


def loading(load: Callable[[str], T], ref: str, code: Mapping[str, bytes]) -> Callable[[str], T]:
    """Give what loads a reference elsewhere: it brings the code along, if that is shipped."""
    return Shipped(load, code[ref]) if ref in code else load
