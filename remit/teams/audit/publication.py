"""The tool that writes outside: it copies exactly the approved files to where the person agreed."""

import os
import tempfile
from pathlib import Path

import msgspec

from remit import RefusedError, ToolNotDoneError, ToolScope, tool
from remit.teams.audit.files import OUTPUT
from remit.teams.audit.scratch import Stored, fetched
from remit.teams.audit.source import blob_digest


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the output folder now."""

    folder: str
    written: int
    already_there: int


@tool(name="fs.publish", risk="high", effect="idempotent")
def fs_publish(
    *,
    out: str,
    base: str,
    tree: tuple[Stored, ...],
    digest: str,
    intent: str,  # noqa: ARG001  # the digests are the key: a file that is there is not written again
    scope: ToolScope,
) -> Publication:
    """Every file of `tree` stands in the output folder under its name below `base`, whole or not at all.

    A file that is there with the same digest is left alone, so that a copy which was cut short is completed.
    """
    if tree_digest(tree) != digest:
        raise RefusedError("the tree is not the one whose digest was approved", where="digest", expected=digest)
    folder = output_folder(scope.source("repository"), out)
    contents = {item.name: fetched(scope.scratch, item) for item in tree}
    written = sum(_place(folder, item.name.removeprefix(base), contents[item.name]) for item in tree)
    return Publication(folder=str(folder), written=written, already_there=len(tree) - written)


def output_folder(root: str, out: str) -> Path:
    """Give the folder that reports go to: `.remit` in the repository unless something else was asked for."""
    return Path(root) / (out or OUTPUT)


def tree_digest(tree: tuple[Stored, ...]) -> str:
    """Give the digest over names and digests of a tree."""
    return blob_digest("\n".join(sorted(f"{item.digest} {item.name}" for item in tree)).encode())


def _place(folder: Path, name: str, data: bytes) -> bool:
    """Put one file there atomically; say whether it had to be written."""
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ToolNotDoneError("a file of the tree leaves the output folder", where=name)
    if target.is_file() and blob_digest(target.read_bytes()) == blob_digest(data):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".remit-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
