"""The tool that says which state of a repository is audited: the commit, its date, and whether the files are its."""

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from remit import ToolScope, tool
from remit.teams.audit.source import UnreadableError, blob_digest, content
from remit.teams.audit.tools.files import is_own, paths_of
from remit.teams.audit.tools.git_reader import HistoryError, said, seconds_of

_READ = frozenset({".py", ".pyw", ".md", ".rst", ".markdown", ".toml", ".cfg", ".txt", ".in", ".lock"})
"""Suffixes of what analysts read; any other file counts by its name, as a picture to which one links."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a repository that an audit is about."""

    commit: str = ""
    committed_at: str = ""
    tree: str = ""
    """Digest over all names, and over the content of what analysts read, as it stands in the folder."""
    is_dirty: bool = False
    """What analysts read is not what the commit holds."""


@tool(name="git.head", risk="low", effect="pure")
def git_head(ignore: str = "", *, scope: ToolScope) -> Head:
    """Give the state of the repository; without git or a commit it is the files alone. `ignore` as in `fs.list`."""
    root = Path(scope.source("repository"))
    digest = hashlib.sha256()
    found: dict[str, bytes | None] = {}
    for path in paths_of(root, ignore):
        if not os.path.lexists(root / path):
            continue  # git still knows it
        found[path] = data = _data(root, path)
        name = blob_digest(data) if data is not None else ""
        digest.update(os.fsencode(f"{path}\0{name}\0"))
    tree = "sha256:" + digest.hexdigest()
    commit, committed_at = _commit(root) if (root / ".git").exists() else ("", "")
    if not commit:
        return Head(tree=tree)
    return Head(
        commit=commit, committed_at=committed_at, tree=tree, is_dirty=_is_dirty(root, commit, found, ignore=ignore)
    )


def is_named(data: bytes, name: str) -> bool:
    """Say whether git knows a content by this name: as it is, or with the ends of lines that git stores."""
    kind = "sha1" if len(name) == hashlib.sha1(usedforsecurity=False).digest_size * 2 else "sha256"
    return name == _blob_name(kind, data) or (
        b"\r\n" in data and name == _blob_name(kind, data.replace(b"\r\n", b"\n"))
    )


def _blob_name(kind: str, data: bytes) -> str:
    return hashlib.new(kind, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _data(root: Path, path: str) -> bytes | None:
    """Give what an analyst would read; nothing of a file that none reads, or that cannot be read."""
    if not _is_read(path) or (root / path).is_symlink():
        return None
    try:
        return content(root, path)
    except UnreadableError:
        return None


def _is_read(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix.lower() in _READ or pure.name.startswith("Pipfile")


def _commit(root: Path) -> tuple[str, str]:
    """Give name and date of the commit; both empty if there is none that says when it was made."""
    name = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
    if not name:
        return "", ""
    head, _gap, _message = _git(root, "cat-file", "commit", name).partition(b"\n\n")
    by = [line for line in head.split(b"\n") if line.startswith(b"committer ")]
    words = by[0].split()[-2:] if by else []
    seconds = seconds_of(words[0]) if words else 0
    return name, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_dirty(root: Path, commit: str, found: Mapping[str, bytes | None], *, ignore: str) -> bool:
    """Compare names of contents, by ourselves: git would ask the repository's own filters what a file holds."""
    known = _blobs(_git(root, "ls-tree", "-r", "-z", "--full-tree", commit), ignore)
    if not known.keys() <= found.keys():
        return True
    read = {path: data for path, data in found.items() if data is not None}
    return any(not is_named(data, known.get(path, "")) for path, data in read.items())


def _blobs(listing: bytes, ignore: str) -> dict[str, str]:
    """Give the regular files of a commit that analysts would read, each with the name of its content."""
    blobs: dict[str, str] = {}
    for line in listing.split(b"\0"):
        facts, _tab, name = line.partition(b"\t")
        words, path = facts.decode(errors="replace").split(), os.fsdecode(name)
        if words[:1] in (["100644"], ["100755"]) and _is_read(path) and not is_own(path, ignore):
            blobs[path] = words[-1]
    return blobs


def _git(root: Path, *words: str) -> bytes:
    """Give what git says; nothing if it cannot, or if there is none: the files alone say then what is audited."""
    try:
        return said(root, *words)
    except HistoryError:
        return b""
