"""Spans of code within a line of prose."""

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int, str]
"""Where a span of code starts and ends with its marks, and what is in it."""

_TICKS = re.compile(r"`+")


def spans(line: str) -> Iterator[Span]:
    """Give every span of code in Markdown.

    A run of marks is closed by the next run of the same length. The next run of every length is known beforehand, so
    a line of nothing but marks takes no longer than another.
    """
    runs = [(hit.start(), hit.end()) for hit in _TICKS.finditer(line)]
    after: list[int] = [0] * len(runs)
    latest: dict[int, int] = {}
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        after[index] = latest.get(length, 0)
        latest[length] = index
    index = 0
    while index < len(runs):
        if closing := after[index]:
            yield runs[index][0], runs[closing][1], line[runs[index][1] : runs[closing][0]]
            index = closing
        index += 1


def literals(line: str) -> Iterator[Span]:
    """Give every inline literal in reStructuredText."""
    start = line.find("``")
    while start >= 0 and (end := line.find("``", start + 3)) >= 0:
        while line.startswith("`", end + 2):
            end += 1
        yield start, end + 2, line[start + 2 : end]
        start = line.find("``", end + 2)


def without_code(line: str, spans_of: Callable[[str], Iterator[Span]] = spans) -> str:
    """Give a line whose spans of code are blank."""
    if "`" not in line:
        return line
    kept, at = [], 0
    for start, end, _text in spans_of(line):
        kept += [line[at:start], " " * (end - start)]
        at = end
    return "".join([*kept, line[at:]])
