"""A document as its readers see it: its code, and its prose without the code."""

import re
from dataclasses import dataclass, field
from typing import Literal

from remit.teams.audit.source import Source

SUFFIXES = (".md", ".rst", ".markdown")
LINE_LIMIT = 20_000
"""A longer line was written by a machine; nothing in it is looked at."""
_INFO_LIMIT = 200
"""Characters of what a block says of itself that are read."""
_PYTHON = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3"})
_CONSOLE = frozenset({"pycon", "pycon3", "python-repl", "python-console", "doctest"})
_OTHER_FILE = re.compile(r"(?:title|caption|filename|name)[=:]+[ ]*[\"'`]*+(?!\S*\.pyi?\b)\S*(?:\.\w|/)", re.IGNORECASE)
_WORD = re.compile(r"[\w+-]+")


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """A block of Python in a document."""

    first: int
    """Number of its first line in the document."""
    lines: tuple[str, ...]
    """Without the indentation that all of them have."""
    language: Literal["python", "console"]
    """A console holds code only after its prompts."""

    @property
    def last(self) -> int:
        """Number of its last line."""
        return self.first + len(self.lines) - 1


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document, cut into code and prose."""

    source: Source
    snippets: list[Snippet] = field(default_factory=list)
    prose: list[tuple[int, str]] = field(default_factory=list)
    """Lines with their numbers: no code, no comments."""

    @property
    def is_markdown(self) -> bool:
        """Whether it is Markdown and not reStructuredText."""
        return not self.source.path.lower().endswith(".rst")

    def snippet_at(self, number: int) -> Snippet | None:
        """Give the snippet around a line."""
        return next((item for item in self.snippets if item.first <= number <= item.last), None)


def is_document(path: str) -> bool:
    """Say whether a file is written for readers."""
    return path.lower().endswith(SUFFIXES)


def language_of(info: str) -> Literal["python", "console"] | None:
    """Read what a block says of its language; None if it is not Python, or not meant to run."""
    info = info[:_INFO_LIMIT]
    words = _WORD.findall(info.lower())
    if words[:1] in (["code-block"], ["code"], ["sourcecode"], ["code-cell"]):
        words = words[1:]
    if (
        _OTHER_FILE.search(info)
        or not words
        or {"skip", "ignore", "notest", "no-test", "pseudo", "pseudocode", "invalid"} & {*words}
    ):
        return None
    if words[0] in _PYTHON:
        return "python"
    return "console" if words[0] in _CONSOLE else None


def snippet(first: int, lines: list[str], language: Literal["python", "console"]) -> Snippet | None:
    """Give a block without its indentation and the blank lines around it; None if nothing is left."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    blank = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    kept = [line.expandtabs(4) for line in lines[blank:]]
    if not kept:
        return None
    indent = min(indent_of(line) for line in kept if line.strip())
    return Snippet(first=first + blank, lines=tuple(line[indent:] for line in kept), language=language)


def indent_of(line: str) -> int:
    """Count the columns before a line's first character."""
    bare = line.expandtabs(4)
    return len(bare) - len(bare.lstrip())
