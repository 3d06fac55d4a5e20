"""Comments that put something off: found by reading the file as Python does, not by looking for a word."""

import io
import re
import tokenize
from typing import NamedTuple

from remit.teams.audit.source import Source

MARKER = re.compile(r"#[#:\s]*(?P<word>(?:TODO|FIXME)(?=[\s:(,.!]|$)|(?:HACK|XXX)(?=\s?[:(]))")
"""The last two are marks for the eye as well (`XXX compat alias`); with a colon or a name they put something off."""
MOST = 20
"""Of one file."""


class Todo(NamedTuple):
    """One such comment."""

    line: int
    word: str


def may_hold(source: Source) -> int:
    """Count the lines that look like one; text may look so, too."""
    return len(MARKER.findall(source.text))


def todos(source: Source) -> list[Todo]:
    """Give the first comments that put something off; none where the file does not parse."""
    found: list[Todo] = []
    last = source.text[: _end(source)].count("\n") + 1
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(source.lines)).readline):
            marker = MARKER.search(token.string) if token.type == tokenize.COMMENT else None
            if marker:
                found.append(Todo(token.start[0], marker["word"]))
            if len(found) == MOST or token.start[0] > last:
                break
    except (tokenize.TokenError, SyntaxError, RecursionError):  # the code view says so
        return []
    return found


def _end(source: Source) -> int:
    return max((match.end() for match in MARKER.finditer(source.text)), default=0)
