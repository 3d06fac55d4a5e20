"""Code that stands twice: equal runs of lines; blank lines, comments, documentation and imports left out.

What stands at several places is one sighting that names them all. What stands once for callers that wait and once for
callers that await is one sighting for each pair of classes or functions: nobody mends it place by place.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import Unit
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

WINDOW = 10
"""Lines of code that must be equal before anything is said."""
NAMED = 6
"""Places that a sighting names."""
TWIN = "for callers that do not await"
"""How it is told that one of two is there for other callers."""
_CALLED_BY = re.compile(
    r"^_?(?:Async(?:io|hronous)?|Sync(?:hronous)?|Aio|async|sync|aio)_?(?=\w)|(?<=\w)_(?:async|sync)$"
)
_AWAITED = re.compile(r"^a(?=(?:close|enter|exit|iter|read|write|send|get|post|put|delete|run|call|invoke|stream)\w*$)")
_TRIVIAL = ("#", "@")
_MIN_CHARACTERS = 4


@dataclass(frozen=True)
class _Code:
    """The lines of one file that count, with the line numbers on which they stand."""

    source: Source
    lines: list[str]
    numbers: list[int]


@dataclass(frozen=True)
class _Copy:
    """A run of lines with the place that holds them already."""

    code: _Code
    at: int
    length: int
    other: _Code
    start: int

    @property
    def original(self) -> tuple[str, int]:
        """Where it stands first."""
        return self.other.source.path, self.other.numbers[self.start]

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.code.numbers[self.at]

    @property
    def lines(self) -> int:
        """How many lines it has, with those that do not count."""
        return self.code.numbers[self.at + self.length - 1] - self.line + 1

    @property
    def is_exact(self) -> bool:
        """Whether comments and documentation are equal, too."""
        last = self.other.numbers[self.start + self.length - 1]
        mine = self.code.source.lines[self.line - 1 : self.line - 1 + self.lines]
        theirs = self.other.source.lines[self.original[1] - 1 : last]
        return [item.strip() for item in mine] == [item.strip() for item in theirs]

    @property
    def twins(self) -> tuple[str, str]:
        """The class or function on either side, if one is for callers that await; else nothing."""
        mine, theirs = (
            code.source.symbol(code.numbers[at]) for code, at in ((self.code, self.at), (self.other, self.start))
        )
        is_pair = _neutral(mine) == _neutral(theirs) and mine != ""
        if is_pair and (mine != theirs or _is_async(self.code, self.line) != _is_async(self.other, self.original[1])):
            return mine.partition(".")[0], theirs.partition(".")[0]
        return "", ""


def sightings(units: Iterable[Unit]) -> Iterator[Sighting]:
    """Give every run of lines that stands at several places, once, at the second of them in path order."""
    groups: dict[tuple[object, ...], list[_Copy]] = defaultdict(list)
    for copy in _copies(units):
        twins = copy.twins
        key = (copy.code.source.path, copy.original[0], *twins) if any(twins) else copy.original
        groups[key].append(copy)
    for group in groups.values():
        yield _twin(group) if any(group[0].twins) else _seen(group)


def _copies(units: Iterable[Unit]) -> Iterator[_Copy]:
    first: dict[int, tuple[_Code, int]] = {}
    for item in units:
        code = _code(item)
        at = 0
        while at + WINDOW <= len(code.lines):
            key = hash(tuple(code.lines[at : at + WINDOW]))
            earlier = first.setdefault(key, (code, at))
            length = _common(earlier, code, at)
            if length >= WINDOW:
                other, start = earlier
                yield _Copy(code, at, length, other, start)
            at += max(1, length)


def _code(item: Unit) -> _Code:
    kept = [
        (line.strip(), number)
        for number, line in enumerate(item.source.lines, 1)
        if number not in item.idle and len(line.strip()) >= _MIN_CHARACTERS
        if not line.lstrip().startswith(_TRIVIAL)
    ]
    return _Code(item.source, [line for line, _number in kept], [number for _line, number in kept])


def _common(earlier: tuple[_Code, int], code: _Code, at: int) -> int:
    """Count the equal lines from two places on; 0 if they are one place or overlap."""
    other, start = earlier
    limit = at - start if other is code else len(code.lines)
    if limit < WINDOW:
        return 0
    length = 0
    while (
        length < limit
        and at + length < len(code.lines)
        and start + length < len(other.lines)
        and code.lines[at + length] == other.lines[start + length]
    ):
        length += 1
    return length


def _seen(group: Sequence[_Copy]) -> Sighting:
    first = group[0]
    places = [first.original, *((copy.code.source.path, copy.line) for copy in group[1:])]
    before = ["", *(path for path, _line in places)]
    shown = zip(places[:NAMED], before, strict=False)
    named = ", ".join(f":{line}" if path == last else f"{path}:{line}" for (path, line), last in shown)
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    count = f"; {len(places) + 1} places" if len(places) > 1 else ""
    return _sighting(first, f"{_alike(group)} {named}{more}{count}")


def _twin(group: Sequence[_Copy]) -> Sighting:
    longest = max(group, key=lambda copy: copy.lines)
    path, line = longest.original
    more = f"; {len(group)} runs of lines of the two are alike" if len(group) > 1 else ""
    return _sighting(longest, f"{_alike([longest])} {path}:{line}, {TWIN}{more}")


def _alike(group: Sequence[_Copy]) -> str:
    return "the same as at" if all(copy.is_exact for copy in group) else "much alike those at"


def _sighting(copy: _Copy, detail: str) -> Sighting:
    return seen(copy.code.source, "duplicate-code", copy.line, measure=copy.lines, detail=detail)


def _neutral(symbol: str) -> str:
    """Give a dotted name without what says for which callers it is."""
    return ".".join(_AWAITED.sub("", _CALLED_BY.sub("", part)) for part in symbol.split("."))


def _is_async(code: _Code, line: int) -> bool:
    """Say whether the function around a line is awaited."""
    name = code.source.symbol(line).rpartition(".")[2]
    above = (code.source.lines[number - 1].lstrip() for number in range(line, 0, -1))
    head = re.compile(rf"(?:async\s+)?def\s+{re.escape(name)}\b")
    return next((item.startswith("async") for item in above if head.match(item)), False)
