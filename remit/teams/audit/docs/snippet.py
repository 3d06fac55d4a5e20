"""Snippets that no reading makes Python: not as they stand, and not as the part of a program that they may be.

The first reading takes a snippet as it stands, without prompts. If it does not parse, others are tried: without the
commands of a notebook, with its ellipses left out, with its open bodies filled, in a frame for a fragment, and piece by
piece. A snippet that parses in any of them is one that its readers understand.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from remit.teams.audit.docs.document import Document, Snippet
from remit.teams.audit.docs.snippet_reading import (
    Part,
    as_it_stands,
    frames,
    is_console,
    joined,
    lowered,
    pieces,
    readings,
)
from remit.teams.audit.sighting import Sighting, Skipped

MORE = " snippets that do not parse"
"""How it is told that there are more than are tried."""
SNIPPET_LIMIT = 20_000
"""Characters; a longer block is a listing, which nobody copies."""
EFFORT = 3_000_000
"""Characters that one pass parses again in other readings."""
DEPTH = 60
"""Brackets in brackets beyond which a parser is not asked."""
_ON_LINE = re.compile(r"\bon line (\d{1,9})\b")
_BRACKETS = re.compile(r"[()\[\]{}]")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Where a snippet stops to be Python, counted from its first line."""

    line: int
    text: str

    def below(self, first: int) -> str:
        """Say it with the lines of a file in which the snippet begins at a line: a parser counts from its own first."""
        return _ON_LINE.sub(lambda hit: f"on line {int(hit[1]) + first - 1}", self.text)


@dataclass(frozen=True, kw_only=True)
class Code:
    """A part of a snippet that parses, with the number of its first line in the document."""

    first: int
    tree: ast.Module


class Snippets:
    """The snippets of a pass, and how much of its effort is left."""

    def __init__(self) -> None:
        self.left = EFFORT
        self.untried = 0

    def look(self, document: Document) -> tuple[list[Sighting], list[Code]]:
        """Give the snippets of a document that are broken, and the code in the others."""
        found: list[Sighting] = []
        code: list[Code] = []
        for snippet in document.snippets:
            console = Console(snippet) if is_console(snippet) else None
            for part in as_it_stands(snippet):
                tree, fault = parse(part.text)
                if tree is not None:
                    code.append(Code(first=part.first, tree=tree))
                elif fault is not None and not self._is_fine(console, part):
                    line = _cited(document, snippet, part.first + fault.line - 1)
                    found.append(_sighting(document, line, fault.below(part.first), lines=len(snippet.lines)))
                    break
        return found, code

    def _is_fine(self, console: "Console | None", part: Part) -> bool:
        return (console is not None and console.makes_whole(part)) or self.is_understood(part.text)

    def skipped(self) -> list[Skipped]:
        """Say what was left out because the effort of the pass was spent."""
        cause = "trying other readings of them would take too long"
        return [Skipped(what=f"{self.untried}{MORE}", cause=cause)] if self.untried else []

    def is_understood(self, text: str) -> bool:
        """Say whether a text that does not parse as it stands does in another reading."""
        for reading in _other_readings(text):
            if self.left < 0:
                self.untried += 1
                return True
            self.left -= len(reading)
            if parse(reading)[0] is not None:
                return True
        return False


class Console:
    """What stands behind the prompts of a snippet, as one text, which is read once for all of its parts."""

    def __init__(self, snippet: Snippet) -> None:
        self._snippet = snippet

    def makes_whole(self, part: Part) -> bool:
        """Say whether code parses with the lines below it, or with what is behind the other prompts."""
        return (bool(part.below) and parse(part.below)[0] is not None) or self._parses

    @cached_property
    def _parses(self) -> bool:
        text = joined(self._snippet)
        return bool(text) and parse(text)[0] is not None


def parse(text: str) -> tuple[ast.Module | None, Fault | None]:
    """Give the tree of a text, or where it does not parse; neither where a parser would toil.

    The grammar takes `await` and `return` at the top level; only the compiler would refuse them.
    """
    if len(text) > SNIPPET_LIMIT or _depth(text) > DEPTH:
        return None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), None
    except SyntaxError as error:
        if str(error.msg).startswith("f-string"):  # which quotes may stand in one depends on the Python that reads it
            return None, None
        return None, Fault(line=min(error.lineno or 1, text.count("\n") + 1), text=error.msg or "invalid syntax")
    except (ValueError, RecursionError, MemoryError):
        return None, None


def _other_readings(text: str) -> Iterator[str]:
    for reading in readings(text):
        yield reading
        yield from frames(reading)
    parts = pieces(lowered(text))
    if len(parts) > 1 and all(_is_piece(part) for part in parts):
        yield "pass"


def _is_piece(text: str) -> bool:
    return any(parse(reading)[0] is not None for reading in (text, *frames(text)))


def _depth(text: str) -> int:
    depth = deepest = 0
    for hit in _BRACKETS.finditer(text):
        depth = max(0, depth + (1 if hit[0] in "([{" else -1))
        deepest = max(deepest, depth)
    return deepest


def _sighting(document: Document, line: int, said: str, *, lines: int) -> Sighting:
    return Sighting(
        rule="broken-snippet",
        path=document.source.path,
        line=line,
        text=document.source.line(line),
        measure=lines,
        detail=said,
    )


def _cited(document: Document, snippet: Snippet, line: int) -> int:
    """Give the nearest line of a snippet, at or above, that says something."""
    lines = range(min(line, snippet.last), snippet.first - 1, -1)
    return next((number for number in lines if document.source.line(number)), snippet.first)
