"""A page of the documentation as tests read it: its code blocks, its headings, its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"(?:#|//) (?P<name>[\w-]+\.\w+)\n")
_ROW = re.compile(r"^\|(?P<cells>.*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block, and the line of its page on which its text begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The name that its first line gives it, or none."""
        found = _FILE.match(self.text)
        return found["name"] if found else ""

    @property
    def lines(self) -> list[str]:
        """Its lines that say something: no comments, no empty ones."""
        said = (line.partition(" #")[0].rstrip() for line in self.text.splitlines())
        return [line for line in said if line and not line.startswith("#")]


class Page:
    """One Markdown file, named from the root of the repository."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[Block]:
        """Give the blocks of a language, in order."""
        found = _FENCE.finditer(self.text)
        return [
            Block(item["language"], item["text"], self.text[: item.start()].count("\n") + 2)
            for item in found
            if item["language"] == language
        ]

    def rows(self, heading: str = "") -> list[tuple[str, ...]]:
        """Give the rows of the tables under a heading, or of the whole page; the heads of tables are left out."""
        text = _FENCE.sub("", self.text)  # a comment in a block is no heading
        if heading:
            text = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
            text = re.split(r"^#+ ", text, maxsplit=1, flags=re.MULTILINE)[0]
        tables = re.split(r"^\|(?:-+\|)+$", text, flags=re.MULTILINE)[1:]
        own = [table.partition("\n\n")[0] for table in tables]
        return [tuple(map(str.strip, row["cells"].split("|"))) for table in own for row in _ROW.finditer(table)]
