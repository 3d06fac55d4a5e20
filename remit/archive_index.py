"""Which file holds an archived run: one line for each file, written before anything is purged. It may be deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import private_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE: Final = "index.jsonl"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A file, and what became of its runs in the journal."""

    file: str
    runs: tuple[str, ...]
    is_purged: bool = False


class ArchiveIndex:
    """The files of one deployment's archive, whatever folders they were written to."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "archive"
        self._path = self.folder / FILE

    def note(self, exported: Exported) -> None:
        """The index says so, on the disk."""
        private_file.private_directory(self.folder)
        private_file.append(self._path, msgspec.json.encode(exported).decode())

    def all(self) -> Iterator[Exported]:
        """Give every file once, with what was said of it last; a line that was cut by a crash is none."""
        found: dict[str, Exported] = {}
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                item = msgspec.json.decode(line, type=Exported)
            except msgspec.MsgspecError:
                continue
            found[item.file] = item
        return iter(found.values())

    def find(self, run: str) -> Path | None:
        """Give the file that holds a run; None if no line says so."""
        return next((Path(item.file) for item in self.all() if run in item.runs), None)

    def unpurged(self) -> Iterable[Exported]:
        """Give the files after which a crash may have come."""
        return [item for item in self.all() if not item.is_purged]
