"""What an audit published, read again from its output folder: nothing in it is believed that does not fit.

The folder may lie in a repository of somebody else's, who may have written what stands in it.
"""

from __future__ import annotations

import os
import shlex
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from remit.contracts.errors import MalformedMessageError, NotFoundError, UsageError
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.mending import Verification
from remit.teams.audit.report import baseline
from remit.teams.audit.report.conflict import Card
from remit.teams.audit.report.selection import CONFLICTS_FILE, FINDINGS_FILE
from remit.teams.audit.source import UnreadableError, inside
from remit.teams.audit.tools.publication import output_folder

if TYPE_CHECKING:
    from pathlib import Path

    from remit.teams.audit.mending import Patch

T = TypeVar("T")
PATCHES: Final = "evidence/patches.json"
LIMIT_BYTES: Final = 64 * 1024 * 1024


class Published:
    """The output folder of the last audit of a repository."""

    def __init__(self, repository: Path, out: Path | None = None) -> None:
        """Find the folder.

        Raises:
            UsageError: the repository is no folder.
            NotFoundError: nothing is published there.
        """
        self.root = repository.expanduser().resolve()
        if not self.root.is_dir():
            raise UsageError("there is no such folder", where=str(repository), fix="remit explain FINDING PATH")
        self.folder = output_folder(str(self.root), str(out.expanduser().resolve()) if out is not None else "")
        if not (self.folder / FINDINGS_FILE).exists():
            raise NotFoundError(
                "no audit is published here",
                where=str(self.folder),
                expected=f"a folder with {FINDINGS_FILE}",
                fix=f"remit audit {shlex.quote(str(repository))}",
            )

    @cached_property
    def opinions(self) -> dict[str, Opinion]:
        """Give every finding with what was decided, by fingerprint.

        Raises:
            MalformedMessageError: the file is not what an audit writes.
        """
        found = self._read(FINDINGS_FILE, tuple[Opinion, ...])
        return {item.finding.fingerprint: item for item in found}

    @cached_property
    def conflicts(self) -> dict[str, list[Card]]:
        """Give every conflict, field by field, by key; raises as `opinions`."""
        cards: dict[str, list[Card]] = {}
        if not os.path.lexists(self.folder / CONFLICTS_FILE):
            return cards  # a person left it out
        for card in self._read(CONFLICTS_FILE, tuple[Card, ...]):
            cards.setdefault(card.key, []).append(card)
        return cards

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """Give the patches of the audit, whether they were published or not; none if the record was left out."""
        return self._read(PATCHES, Verification).patches if (self.folder / PATCHES).exists() else ()

    @cached_property
    def baseline(self) -> baseline.Baseline | None:
        """Give the baseline, if there is one that can be believed."""
        try:
            found = baseline.read(self._bytes(baseline.BASELINE))
        except MalformedMessageError:
            return None
        return found if isinstance(found, baseline.Baseline) else None

    def has(self, name: str) -> bool:
        """Say whether a regular file of this name was published."""
        try:
            return inside(self.folder, name).is_file()
        except UnreadableError:
            return False

    def _read(self, name: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(self._bytes(name), type=kind)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise self._unfit(name, str(error)) from error

    def _bytes(self, name: str) -> bytes:
        try:
            with inside(self.folder, name).open("rb") as file:
                data = file.read(LIMIT_BYTES + 1)
        except (UnreadableError, OSError) as error:
            raise self._unfit(name, str(error)) from error
        if len(data) > LIMIT_BYTES:
            raise self._unfit(name, f"more than {LIMIT_BYTES} bytes")
        return data

    def _unfit(self, name: str, got: str) -> MalformedMessageError:
        return MalformedMessageError(
            f"{name} is not what an audit writes",
            where=str(self.folder / name),
            expected="what the last audit published",
            got=got,
            fix=f"remit audit {shlex.quote(str(self.root))}",
        )
