"""What changed between two forms of a message, part by part: who can still read whom, why not, and what to do.

Two questions are asked of every change. Can a *new reader* read everything that old writers wrote: tasks in the queue,
entries of the journal, state? Can an *old reader* read everything that new writers write: clients of yesterday, a build
that runs on beside the new one? Both are the same proof (`reading.py`) with its sides exchanged.

Unknown fields are ignored on the wire, so a field more or less troubles only whoever needs it, or a record that says
`forbid_unknown_fields`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Compatibility = Literal["compatible", "readers", "writers", "breaking"]
"""compatible: both ways · readers: new readers read what old writers wrote, not the other way round · writers: old
readers read what new writers write, not the other way round · breaking: neither."""

What = Literal[
    "field added",
    "field removed",
    "now required",
    "now optional",
    "default",
    "type",
    "limits",
    "values",
    "option added",
    "option removed",
    "tag",
    "unknown fields",
    "use added",
    "use removed",
    "scope",
]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is different, where, and for whom it matters."""

    contract: str
    """Tag of the message, or what else it is: `tool send_mail`."""
    path: str
    what: What
    old: str = ""
    new: str = ""
    readers: bool
    """New readers read what old writers wrote."""
    writers: bool
    """Old readers read what new writers write."""
    why: str = ""
    fix: str = ""
    warning: str = ""
    """What is no failure, and yet means something else than before."""

    @property
    def kind(self) -> Compatibility:
        """For whom the change is compatible."""
        return kind_of(readers=self.readers, writers=self.writers)


class Evolution(msgspec.Struct, frozen=True, kw_only=True):
    """All that changed, and the sum of it."""

    changes: tuple[Change, ...] = ()

    @property
    def readers(self) -> bool:
        """New readers read everything that old writers wrote."""
        return all(change.readers for change in self.changes)

    @property
    def writers(self) -> bool:
        """Old readers read everything that new writers write."""
        return all(change.writers for change in self.changes)

    @property
    def kind(self) -> Compatibility:
        """For whom all of it is compatible."""
        return kind_of(readers=self.readers, writers=self.writers)


def kind_of(*, readers: bool, writers: bool) -> Compatibility:
    """Name what two answers come to."""
    if readers:
        return "compatible" if writers else "readers"
    return "writers" if writers else "breaking"
