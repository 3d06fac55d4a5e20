"""The newest commits of a repository, read in one pass: when, by whom, and which of the files that are there now."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from remit.teams.audit.history.people import People, is_bot
from remit.teams.audit.tools.git_reader import HistoryError, head_time, pieces, seconds_of

HISTORY = "history: churn, owners, files that change together"
"""What a repository without it is not asked."""
MAX_COMMITS = 5000
ENOUGH = 20
"""Commits; fewer support no claim about habits."""
WIDE = 100
"""Files of a commit that reformats or vendors: it says nothing about who knows a file or what belongs together."""
DAY_S = 24 * 60 * 60
YEAR_S = 365 * DAY_S
_HEAD = b"\x1e"
_FIELD = b"\x1f"
COMMAND = (
    *("log", "-z", f"--max-count={MAX_COMMITS}", "--no-merges", "--no-show-signature", "--no-color", "--no-decorate"),
    *("--no-ext-diff", "--no-textconv", "--no-relative", "-O/dev/null", "--find-renames=100%", "--name-status"),
    *("--format=tformat:%x1e%ct%x1f%aE%x1f%aN", "HEAD", "--"),
)
"""Only whole renames are followed: git knows them from the names alone and opens no file."""


class Commit(NamedTuple):
    """One commit that a person made."""

    at: int
    person: str
    width: int
    """All files that it touched."""
    paths: tuple[str, ...]
    """Those that are looked at, under the names that they have now."""


@dataclass(frozen=True)
class History:
    """What the newest commits say, newest first."""

    now: int
    commits: tuple[Commit, ...]
    is_cut: bool = False
    """There are older commits, which were not read."""

    @property
    def narrow(self) -> list[Commit]:
        """The commits that are about something: those that touch not too many files at once."""
        return [commit for commit in self.commits if commit.width <= WIDE]

    def since(self, seconds: int) -> Iterator[Commit]:
        """Give the commits of the newest so many seconds."""
        return (commit for commit in self.commits if commit.at > self.now - seconds)


def history(root: Path, files: Iterable[str]) -> History:
    """Read the newest commits.

    Raises:
        HistoryError: there is no history, or too little to say anything.
    """
    now = head_time(root)
    people = People()
    log = Log(files)
    count = 0
    commits: list[Commit] = []
    for at, address, name, width, paths in log.commits(_cut(pieces(root, *COMMAND))):
        count += 1
        if at and not is_bot(name, address):
            commits.append(Commit(at, people.add(name, address), width, paths))
    if len(commits) < ENOUGH:
        raise HistoryError(f"fewer than {ENOUGH} commits say nothing about habits")
    known = tuple(commit._replace(person=people.who(commit.person)) for commit in commits)
    return History(now, known, is_cut=count >= MAX_COMMITS)


def _cut(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Give what stands between NUL bytes."""
    rest = b""
    for piece in stream:
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole


class Log:
    """Reads the answer of git: a head for each commit, and after it a status and one or two names for each file.

    What a word is follows from its position alone, so a file may be called like a head or a status.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._now_called = {os.fsencode(path): path for path in files}

    def commits(self, words: Iterator[bytes]) -> Iterator[tuple[int, bytes, bytes, int, tuple[str, ...]]]:
        """Give date, address, name, width and paths of every commit."""
        head: bytes | None = None
        changed: list[str] = []
        width = 0
        for word in words:
            if word.startswith(_HEAD):
                if head is not None:
                    yield (*_fields(head), width, tuple(changed))
                head, changed, width = word, [], 0
            elif status := word.strip():
                width += 1
                changed += self._changed(status, words)
        if head is not None:
            yield (*_fields(head), width, tuple(changed))

    def _changed(self, status: bytes, words: Iterator[bytes]) -> list[str]:
        """Give the file that a commit changed; one that only moved did not, and had another name before."""
        name = next(words, b"")
        if status[:1] not in {b"R", b"C"}:
            return [self._now_called[name]] if name in self._now_called else []
        new = next(words, b"")
        if new in self._now_called and status[:1] == b"R":
            self._now_called[name] = self._now_called[new]
        return []


def _fields(head: bytes) -> tuple[int, bytes, bytes]:
    at, _mark, rest = head.removeprefix(_HEAD).partition(_FIELD)
    address, _mark, name = rest.partition(_FIELD)
    return (seconds_of(at), address, name)
