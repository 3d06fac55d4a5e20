"""The tool that writes outside: it copies exactly the approved files to where the person agreed."""

import os
import re
import tempfile
from pathlib import Path

import msgspec

from remit import RefusedError, ToolNotDoneError, ToolScope, tool
from remit.teams.audit.source import blob_digest
from remit.teams.audit.tools.files import OUTPUT
from remit.teams.audit.tools.scratch import Stored, fetched

OWN = frozenset(
    {"report.html", "findings.sarif", "findings.json"}
    | {f"evidence/{name}.json" for name in ("citations", "conflicts", "measures", "not-checked", "patches")}
)
"""What audits write beside `report.md`, the baseline, and patches."""
PATCHES = "patches"
_PATCH = re.compile(r"\d{3}-[\w.-]+\.patch")
"""As the planner names them; what somebody else put there has another name."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the output folder now."""

    folder: str
    written: int
    already_there: int
    removed: int = 0
    """Files of earlier audits."""


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

    A file that is there with the same digest is left alone, so that a copy which was cut short is completed. What an
    earlier audit wrote and this tree does not hold is gone, but for its baseline: beside a newer report it would be
    taken for a part of that. Nothing else is removed.
    """
    if tree_digest(tree) != digest:
        raise RefusedError("the tree is not the one whose digest was approved", where="digest", expected=digest)
    root = scope.source("repository")
    folder = output_folder(root, out)
    if not out and not folder.resolve().is_relative_to(Path(root).resolve()):
        raise RefusedError(
            "the output folder leads out of the repository", where=OUTPUT, got="a symlink", fix="remit audit PATH --out"
        )
    if not out and folder.is_symlink():
        raise RefusedError("the output folder is a symlink", where=OUTPUT, fix="remit audit PATH --out")
    contents = {item.name: fetched(scope.scratch, item) for item in tree}
    for item in tree:
        _check(folder, item.name.removeprefix(base))
    written = sum(_place(folder, item.name.removeprefix(base), contents[item.name]) for item in tree)
    removed = _swept(folder, {item.name.removeprefix(base) for item in tree})
    return Publication(folder=str(folder), written=written, already_there=len(tree) - written, removed=removed)


def _swept(folder: Path, published: set[str]) -> int:
    patches = {f"{PATCHES}/{file.name}" for file in (folder / PATCHES).glob("*.patch") if _PATCH.fullmatch(file.name)}
    home = folder.resolve()
    old = [
        file
        for name in sorted((patches | OWN) - published)
        if os.path.lexists(file := folder / name) and file.parent.resolve() == (home / name).parent  # no link leads out
    ]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def output_folder(root: str, out: str) -> Path:
    """Give the folder that reports go to: `.remit` in the repository unless something else was asked for."""
    return Path(root) / (out or OUTPUT)


def tree_digest(tree: tuple[Stored, ...]) -> str:
    """Give the digest over names and digests of a tree."""
    return blob_digest("\n".join(sorted(f"{item.digest} {item.name}" for item in tree)).encode())


def _check(folder: Path, name: str) -> None:
    """A file can be put there; asked of all files before the first is written."""
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ToolNotDoneError("a file of the tree leaves the output folder", where=name)
    if target.is_dir():
        raise ToolNotDoneError("there is a folder of this name", where=str(target), fix="remit audit PATH --out")
    above = next(parent for parent in target.parents if os.path.lexists(parent))
    if not above.is_dir():
        raise ToolNotDoneError("this is no folder", where=str(above), fix="remit audit PATH --out")


def _holds(target: Path, data: bytes) -> bool:
    """Say whether a file holds this already; one of another size, however large, is not opened."""
    return target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data


def _place(folder: Path, name: str, data: bytes) -> bool:
    """Put one file there atomically; say whether it had to be written."""
    target = folder / name
    if _holds(target, data):
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
