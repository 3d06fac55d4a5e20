"""Code that stands twice: equal runs of lines; blank lines, comments, documentation and imports left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import Unit
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

WINDOW = 10
"""Lines of code that must be equal before anything is said."""
_TRIVIAL = ("#", "@")
_MIN_CHARACTERS = 4


@dataclass(frozen=True)
class _Code:
    """The lines of one file that count, with the line numbers on which they stand."""

    source: Source
    lines: list[str]
    numbers: list[int]


def sightings(units: Iterable[Unit]) -> Iterator[Sighting]:
    """Give every run of lines that an earlier place, in path order, already holds."""
    first: dict[int, tuple[_Code, int]] = {}
    for item in units:
        code = _code(item)
        at = 0
        while at + WINDOW <= len(code.lines):
            key = hash(tuple(code.lines[at : at + WINDOW]))
            earlier = first.setdefault(key, (code, at))
            length = _common(earlier, code, at)
            if length >= WINDOW:
                yield _seen(code, at, earlier, length=length)
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


def _seen(code: _Code, at: int, earlier: tuple[_Code, int], *, length: int) -> Sighting:
    other, start = earlier
    lines = code.numbers[at + length - 1] - code.numbers[at] + 1
    detail = f"{other.source.path}:{other.numbers[start]}"
    return seen(code.source, "duplicate-code", code.numbers[at], measure=lines, detail=detail)
