"""Markdown cut into code and prose, line by line: every line is read once."""

import re
from dataclasses import dataclass

from remit.teams.audit.docs.document import LINE_LIMIT, Document, indent_of, language_of, snippet
from remit.teams.audit.source import Source

_FENCE = re.compile(r"(?P<before>[ \t]*+(?:>[ \t]*+){0,9}(?:(?:[-*+]|\d{1,9}[.)])[ \t]++)?)(?P<marks>`{3,}+|~{3,}+)")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?){1,9}")
_OPENS_NESTED = re.compile(r"[ \t]*(?:[-*+][ \t]|\d{1,9}[.)][ \t]|!!!|\?\?\?|===|:::|\[\^|:[ \t]|//)")
_OPTION = re.compile(r":[\w-]+:|---$")
_CODE_INDENT = 4


@dataclass(frozen=True, kw_only=True)
class _Fence:
    mark: str
    length: int
    info: str
    is_quoted: bool


def document(source: Source) -> Document:
    """Cut a Markdown document."""
    found = Document(source=source)
    lines = source.lines
    reader = _Reader()
    at = _after_front_matter(lines)
    while at < len(lines):
        fence = None if reader.is_commented else _opened(lines[at])
        if fence is None:
            if text := reader.prose(lines[at]):
                found.prose.append((at + 1, text))
            at += 1
            continue
        end, after = _end(lines, at + 1, fence)
        if end < len(lines):  # a block that nobody closed holds prose too
            _take(found, fence, range(at + 1, end))
        at = after
    return found


class _Reader:
    """What is remembered from one line of prose to the next."""

    def __init__(self) -> None:
        self.is_commented = False
        self._is_nested = False

    def prose(self, line: str) -> str:
        """Give a line without comments; nothing if it is code by its indentation."""
        text = self._uncommented(line[:LINE_LIMIT] if len(line) <= LINE_LIMIT else "")
        if not text.strip():
            return ""
        indent = indent_of(text)
        if _OPENS_NESTED.match(text) and (self._is_nested or indent < _CODE_INDENT):
            self._is_nested = True
        elif not indent:
            self._is_nested = False
        return "" if indent >= _CODE_INDENT and not self._is_nested else text

    def _uncommented(self, line: str) -> str:
        kept, at = [], 0
        while at < len(line):
            end = line.find("-->" if self.is_commented else "<!--", at)
            if not self.is_commented:
                kept.append(line[at:] if end < 0 else line[at:end])
            if end < 0:
                break
            at = end + (3 if self.is_commented else 4)
            self.is_commented = not self.is_commented
        return "".join(kept)


def _after_front_matter(lines: list[str]) -> int:
    if lines[0].strip() != "---":
        return 0
    ends = (number for number, line in enumerate(lines[1:200], 1) if line.strip() in {"---", "..."})
    return next(ends, -1) + 1


def _opened(line: str) -> _Fence | None:
    found = _FENCE.match(line) if len(line) <= LINE_LIMIT else None
    if found is None:
        return None
    marks, info = found["marks"], line[found.end() :].strip()
    if marks[0] == "`" and "`" in info:  # a span of code that stands alone
        return None
    return _Fence(mark=marks[0], length=len(marks), info=info, is_quoted=">" in found["before"])


def _end(lines: list[str], start: int, fence: _Fence) -> tuple[int, int]:
    """Give the index behind the last line of a block, and behind the block."""
    for at in range(start, len(lines)):
        line = lines[at]
        if fence.is_quoted and ">" not in line[:12]:
            return at, at
        bare = line.lstrip(" \t>").rstrip()
        if len(bare) >= fence.length and not bare.strip(fence.mark):
            return at, at + 1
    return len(lines), len(lines)


def _take(found: Document, fence: _Fence, inside: range) -> None:
    if (language := language_of(fence.info)) is None:
        return
    body = found.source.lines[inside.start : inside.stop]
    if fence.is_quoted:
        body = [_QUOTE.sub("", line, count=1) for line in body]
    options = 0
    if "{" in fence.info:
        while options < len(body) and _OPTION.match(body[options].strip()):
            options += 1
    if (item := snippet(inside.start + 1 + options, body[options:], language)) is not None:
        found.snippets.append(item)
