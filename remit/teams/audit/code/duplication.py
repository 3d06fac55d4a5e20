"""Code that stands twice: equal runs of lines; blank lines, comments, documentation and imports left out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import Unit
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

WINDOW = 10
"""Lines of code that must be equal before anything is said."""
PAIR = 2
"""Places that a finding names anyway."""
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
    original: str


def sightings(units: Iterable[Unit]) -> Iterator[Sighting]:
    """Give every run of lines that an earlier place, in path order, already holds."""
    copies = [*_copies(units)]
    places = Counter(copy.original for copy in copies)
    for copy in copies:
        count = places[copy.original] + 1
        yield _seen(copy, more=f", one of {count} places" if count > PAIR else "")


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
                yield _Copy(code, at, length, f"{other.source.path}:{other.numbers[start]}")
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


def _seen(copy: _Copy, *, more: str) -> Sighting:
    numbers = copy.code.numbers[copy.at : copy.at + copy.length]
    lines = numbers[-1] - numbers[0] + 1
    return seen(copy.code.source, "duplicate-code", numbers[0], measure=lines, detail=f"{copy.original}{more}")
