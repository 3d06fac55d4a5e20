"""reStructuredText cut into code and prose, line by line: every line is read once."""

import re

from remit.teams.audit.docs.document import LINE_LIMIT, Document, indent_of, language_of, snippet
from remit.teams.audit.source import Source

_DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+(?:\|[^|]{1,80}\|[ \t]+)?(?P<name>[A-Za-z][\w:+.-]{0,60}?)::(?P<rest>.*)$")
_EXPLICIT = re.compile(r"[ \t]*\.\.(?:[ \t]|$)")
_MARKUP = re.compile(r"[ \t]*\.\.[ \t]+(?:_|\[|\||__)")
_OPTION = re.compile(r":[\w-]+:")
_PYTHON = re.compile(r"[ \t]*(?:(?:import|from|def|class|async|with|for|try:|return)\b|@\w|>>> |[\w.]+[ \t]*=[ \t]|#)")
_CODE = frozenset({"code-block", "code", "sourcecode"})
_TESTED = frozenset({"testcode", "doctest", "testsetup", "testcleanup"})
_OPAQUE = frozenset({"parsed-literal", "raw", "math", "graphviz", "mermaid", "ipython", "prompt", "productionlist"})
"""Directives whose body is neither prose nor Python."""


class _Reader:
    """The place in the document, and what a plain literal block holds there."""

    def __init__(self, source: Source) -> None:
        self.found = Document(source=source)
        self.lines = source.lines
        self.at = 0
        self.default = ""

    def step(self) -> None:
        """One line, or one block, is behind us."""
        line = self.lines[self.at]
        directive = _DIRECTIVE.match(line) if len(line) <= LINE_LIMIT else None
        if directive is not None:
            self._directive(directive["name"].lower(), directive["rest"].strip())
        elif _EXPLICIT.match(line) and not _MARKUP.match(line):
            self._body(indent_of(line))  # a comment
        elif line.lstrip().startswith(">>> "):
            self._console()
        elif len(line) <= LINE_LIMIT:
            self._prose(line)
        else:
            self.at += 1

    def _directive(self, name: str, rest: str) -> None:
        line = self.lines[self.at]
        if name == "highlight":
            self.default = rest
        if name in _CODE or name in _TESTED:
            self._code(rest or self.default if name in _CODE else "python")
        elif name in _OPAQUE:
            self._body(indent_of(line))
        else:
            self.found.prose.append((self.at + 1, line))
            self.at += 1

    def _prose(self, line: str) -> None:
        if line.strip():
            self.found.prose.append((self.at + 1, line))
        if line.rstrip().endswith("::"):
            self._code(self.default, is_said=False)
        else:
            self.at += 1

    def _console(self) -> None:
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].strip():
            self.at += 1
        self._take(start, self.lines[start : self.at], "pycon")

    def _code(self, language: str, *, is_said: bool = True) -> None:
        start, body = self._body(indent_of(self.lines[self.at]))
        options = 0
        while options < len(body) and _OPTION.match(body[options].strip()):
            options += 1
        code = body[options:]
        first = next((line for line in code if line.strip()), "")
        if is_said or _PYTHON.match(first):  # a plain block holds what it likes, whatever the default is
            self._take(start + options, code, " ".join([language, *body[:options]]))

    def _take(self, start: int, body: list[str], info: str) -> None:
        language = language_of(info)
        if language is not None and (item := snippet(start + 1, body, language)) is not None:
            self.found.snippets.append(item)

    def _body(self, indent: int) -> tuple[int, list[str]]:
        """Give the lines below that stand further right, and step behind them."""
        start = self.at = self.at + 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and indent_of(line) <= indent:
                break
            self.at += 1
        return start, self.lines[start : self.at]


def document(source: Source) -> Document:
    """Cut a reStructuredText document."""
    reader = _Reader(source)
    while reader.at < len(reader.lines):
        reader.step()
    return reader.found
