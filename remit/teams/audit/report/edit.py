"""How a person changes what is written: which files of the tree are left out, said in the reason of a rejection.

A decision names the digest of exactly what was shown, so nothing that was shown can be approved otherwise than it is.
Whoever wants less rejects it and says what to leave out; the publisher then asks about the smaller tree, in a review of
its own, and what is approved there is what runs.
"""

from collections.abc import Iterable, Sequence

import msgspec

from remit.teams.audit.tools.scratch import Stored

MARK = "edit "
"""A reason that begins so goes on with an `Edit` as JSON; any other is a plain rejection."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person leaves out, by its name in the output folder."""

    leave_out: tuple[str, ...]


def reason_of(edit: Edit) -> str:
    """Give the reason that says an edit."""
    return MARK + msgspec.json.encode(edit).decode()


def edit_in(reason: str) -> Edit | None:
    """Give the edit that a reason says; None if it says something else."""
    if not reason.startswith(MARK):
        return None
    try:
        return msgspec.json.decode(reason.removeprefix(MARK), type=Edit)
    except (msgspec.DecodeError, RecursionError):
        return None


def without(tree: Sequence[Stored], names: Iterable[str]) -> tuple[Stored, ...]:
    """Give a tree without some of its files."""
    left_out = {*names}
    return tuple(item for item in tree if item.name not in left_out)
