"""Tools over the audited repository: what is in it, and single passages of its files. Nothing outside is read."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from remit import RefusedError, ToolScope, tool
from remit.teams.audit.sighting import Skipped, told
from remit.teams.audit.source import UnreadableError, blob_digest, content
from remit.teams.audit.tools.git_reader import HistoryError, said

OUTPUT = ".remit"
"""Where reports go; an audit never reads it."""
PAGE = 2000
PASSAGES = 200
_LINE_LIMIT = 240
_IGNORED = frozenset({"__pycache__", "node_modules", "build", "dist", "venv", "env", "htmlcov"})
PATH_BYTES = 400
"""Of a path that is looked at; messages name some of them very often."""
PAGE_BYTES = 256 * 1024
"""Of the names on a page, or of the lines in an answer, so that it fits a message whatever they are."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the repository."""

    path: str
    size_bytes: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the files, sorted by path; `more` is where the next page starts, or empty."""

    problem: Literal["", "absent", "not_a_folder", "unreadable", "relative"] = ""
    files: tuple[Entry, ...] = ()
    more: str = ""
    is_git: bool = False
    skipped: tuple[Skipped, ...] = ()


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a file, the first counted as 1."""

    path: str
    first: int = 1
    count: int = 1


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """A passage as it stands in the file now; `problem` says why there is none."""

    path: str
    first: int
    lines: tuple[str, ...] = ()
    digest: str = ""
    problem: str = ""


@tool(name="fs.list", risk="low", effect="pure")
def fs_list(after: str = "", ignore: str = "", *, scope: ToolScope) -> Listing:
    """Give the files of the repository after a path: those that git knows or would add, else all but caches.

    Symlinks are named, not followed; a name that is no text cannot be passed on. The folder `ignore` and the output of
    earlier audits are left out.
    """
    root = Path(scope.source("repository"))
    if problem := _problem(root):
        return Listing(problem=problem)
    entries: list[Entry] = []
    left: list[Skipped] = []
    more, size = "", 0
    for path in paths_of(root, ignore):
        if path <= after:
            continue
        size += len(path.encode(errors="backslashreplace"))
        if (entries or left) and (len(entries) == PAGE or len(left) == PAGE or size > PAGE_BYTES):
            break
        found = _entry(root, path)
        if isinstance(found, Entry):
            entries.append(found)
        elif found is not None:
            left.append(found)
        more = path
    else:
        more = ""
    return Listing(files=tuple(entries), more=more, is_git=(root / ".git").exists(), skipped=tuple(left))


def _entry(root: Path, path: str) -> Entry | Skipped | None:
    """Give a regular file, or why it is none that is looked at; nothing if git still knows it and it is gone."""
    if (name := path.encode(errors="backslashreplace").decode()) != path:
        return Skipped(what=name, cause="its name is not UTF-8")
    if len(path.encode()) > PATH_BYTES:
        return Skipped(what=told(path), cause=f"its path is longer than {PATH_BYTES} bytes")
    try:
        facts = (root / path).lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Skipped(what=path, cause=f"it cannot be looked at: {error.strerror}")
    if stat.S_ISLNK(facts.st_mode):
        return Skipped(what=path, cause="a symlink, which is not followed")
    return Entry(path=path, size_bytes=facts.st_size) if stat.S_ISREG(facts.st_mode) else None


@tool(name="fs.read", risk="low", effect="pure")
def fs_read(passages: tuple[Passage, ...], *, scope: ToolScope) -> tuple[Excerpt, ...]:
    """Give passages of files inside the repository, each with the digest of the whole file; 2 MiB a file.

    Of those that do not fit one answer the first are given, one at least.
    """
    if len(passages) > PASSAGES:
        raise RefusedError(
            "too many passages", where="passages", expected=f"at most {PASSAGES}", got=str(len(passages))
        )
    root = Path(scope.source("repository"))
    opened: dict[str, tuple[list[str], str] | UnreadableError] = {}
    found: list[Excerpt] = []
    size = 0
    for passage in passages:
        excerpt = _excerpt(root, passage, opened)
        size += len(msgspec.json.encode(excerpt))
        if found and size > PAGE_BYTES:
            break
        found.append(excerpt)
    return tuple(found)


def _excerpt(root: Path, passage: Passage, opened: dict[str, tuple[list[str], str] | UnreadableError]) -> Excerpt:
    if passage.path not in opened:
        opened[passage.path] = _opened(root, passage.path)
    found = opened[passage.path]
    if isinstance(found, UnreadableError):
        return Excerpt(path=passage.path, first=passage.first, problem=found.cause)
    lines, digest = found
    cut = (line[:_LINE_LIMIT] for line in lines[passage.first - 1 : passage.first - 1 + passage.count])
    return Excerpt(path=passage.path, first=passage.first, lines=tuple(_fitting(cut)), digest=digest)


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    """Give lines as long as they fit an answer: a control character takes six bytes there."""
    left = PAGE_BYTES
    for line in lines:
        left -= len(msgspec.json.encode(line)) + 1
        if left < 0:
            return
        yield line


def _opened(root: Path, path: str) -> tuple[list[str], str] | UnreadableError:
    try:
        data = content(root, path)
    except UnreadableError as error:
        return error
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n"), blob_digest(data)


def _problem(root: Path) -> Literal["", "absent", "not_a_folder", "unreadable", "relative"]:
    if not root.is_absolute():
        return "relative"
    if not root.exists():
        return "absent"
    if not root.is_dir():
        return "not_a_folder"
    return "" if os.access(root, os.R_OK | os.X_OK) else "unreadable"


def is_own(path: str, ignore: str) -> bool:
    """Say whether a path belongs to what audits write, and not to what they read."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in (OUTPUT, ignore.rstrip("/")) if folder)


def paths_of(root: Path, ignore: str) -> list[str]:
    """Give the paths that an audit looks at, sorted; some may be gone, or no regular files."""
    return sorted(path for path in _known_to_git(root) or _walked(root) if not is_own(path, ignore))


def _known_to_git(root: Path) -> list[str]:
    """Ask git, which knows what is ignored; nothing where it cannot say, so that the folder itself is read."""
    if not (root / ".git").exists():
        return []
    try:
        listing = said(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except HistoryError:
        return []
    return sorted({os.fsdecode(name) for name in listing.split(b"\0") if _is_inside(name)})


def _is_inside(name: bytes) -> bool:
    """Say whether a name from an index leads to a file of the work tree: whoever wrote the index chose its names."""
    return bool(name) and not name.startswith(b"/") and not {b"..", b".git"} & {*name.split(b"/")}


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_worth(Path(folder), name))
        for name in files:
            yield (Path(folder) / name).relative_to(root).as_posix()


def _is_worth(folder: Path, name: str) -> bool:
    hidden = name.startswith(".") or name in _IGNORED or name.endswith(".egg-info")
    return not hidden and not (folder / name / "pyvenv.cfg").exists()
