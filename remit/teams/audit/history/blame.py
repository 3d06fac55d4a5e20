"""One pass over the comments that put something off: how long each has waited, by the commit that wrote its line."""

import re
from collections.abc import Sequence
from pathlib import Path
from time import gmtime, monotonic, strftime

import msgspec

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.history import todo
from remit.teams.audit.history.commit_log import YEAR_S
from remit.teams.audit.history.todo import Todo
from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Scan, Sighting, Skipped
from remit.teams.audit.source import TEXT_LIMIT, Source, UnreadableError, load
from remit.teams.audit.tools.git_reader import HistoryError, head_time, said, seconds_of
from remit.teams.audit.tools.tally import summed

WHAT = "how long TODO comments have waited"
FILES, TEXT_BYTES = 40, 2 * 1024 * 1024
"""Files that are asked about, and how much of them is read; those with the most such comments come first."""
WITHIN_S = 20
HORIZON_S = 5 * YEAR_S
"""How far back git looks. What is older has waited for so long at least; its exact age would cost much."""
COMMAND = ("blame", "--line-porcelain", "--no-textconv", "--no-ext-diff", "-w")
"""Of committed content: what is not committed yet would pass through the repository's filters."""
_LINE = re.compile(rb"[0-9a-f]{40,64} \d+ (?P<line>\d+)")
_TIME = b"committer-time "


def scan(root: Path, files: tuple[str, ...]) -> Scan:
    """Give the files in which a comment has waited for years, or why nobody knows."""
    sources, skipped = _candidates(root, files)
    try:
        found = _sightings(root, sources) if sources else []
    except HistoryError as error:
        found, skipped = [], [Skipped(what=WHAT, cause=error.cause)]
    blobs = {source.path: source.digest for source in sources}
    return summed(found, blobs, skipped, files=len(files), lines=0)


def _candidates(root: Path, files: Sequence[str]) -> tuple[list[Source], list[Skipped]]:
    """Give the shipped files that may hold such comments, as many as one pass reads."""
    sources = [source for path in files if place_of(path) == "shipped" and (source := _source(root, path))]
    ordered = sorted(sources, key=lambda source: (-todo.may_hold(source), source.path))
    taken: list[Source] = []
    size = 0
    for source in ordered[:FILES]:
        size += len(source.text)
        if size <= TEXT_BYTES:
            taken.append(source)
    left = len(ordered) - len(taken)
    why = "those with the most such comments come first"
    return taken, [Skipped(what=f"{WHAT} in {left} files", cause=why)] if left else []


def _source(root: Path, path: str) -> Source | None:
    try:
        source = load(root, path)
    except UnreadableError:  # the code view says so
        return None
    return source if todo.may_hold(source) else None


def _sightings(root: Path, sources: Sequence[Source]) -> list[Sighting]:
    """Give the oldest such comment of every file. All files or none: what is found must not depend on the machine.

    Raises:
        HistoryError: there is no history, or it takes too long to read.
    """
    now, end = head_time(root), monotonic() + WITHIN_S
    found: list[Sighting] = []
    for source in sources:
        if listed := todo.todos(source):
            if monotonic() > end:
                raise HistoryError(f"git did not answer within {WITHIN_S} s")
            times = written(root, source, listed, since=now - HORIZON_S)
            found += _oldest(source, [(times[item.line], item) for item in listed if item.line in times], now)
    return found


def _oldest(source: Source, dated: Sequence[tuple[int, Todo]], now: int) -> list[Sighting]:
    if not dated:
        return []
    at, item = min(dated)
    sighting = seen(source, "stale-todo", item.line, measure=(now - at) // YEAR_S, detail=item.word)
    return [msgspec.structs.replace(sighting, tool="git")]


def written(root: Path, source: Source, listed: Sequence[Todo], *, since: int) -> dict[int, int]:
    """Give the time at which each line was committed, or a later one before `since`; one not committed so has none."""
    ranges = [f"-L{item.line},{item.line}" for item in listed]
    horizon = strftime("--since=%Y-%m-%dT%H:%M:%SZ", gmtime(max(since, 0)))
    try:
        answer = said(root, *COMMAND, horizon, *ranges, "HEAD", "--", source.path, within_s=WITHIN_S)
    except HistoryError as error:
        if error.cause == "git cannot read it":  # it is not committed, or was longer when it was read
            return {}
        raise
    return {line: at for line, at, text in _dated(answer) if source.line(line) == text[:TEXT_LIMIT]}


def _dated(answer: bytes) -> list[tuple[int, int, str]]:
    """Give line, time and text of every line that git names."""
    found: list[tuple[int, int, str]] = []
    line = at = 0
    for row in answer.split(b"\n"):
        if row.startswith(b"\t"):
            found.append((line, at, row.decode(errors="replace").strip()))
        elif head := _LINE.match(row):
            line, at = int(head["line"]), 0
        elif row.startswith(_TIME):
            at = seconds_of(row.removeprefix(_TIME))
    return found
