"""Examples in docstrings that do not parse."""

import ast
from collections.abc import Iterator

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.docs.document import Snippet, snippet
from remit.teams.audit.docs.snippet import Console, parse
from remit.teams.audit.docs.snippet_reading import as_it_stands
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, UnreadableError

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every example of a shipped file that does not parse.

    The text of the file is read first, which costs little. Only where an example in it does not parse, the docstrings
    are read as Python reads them: what an escape in them makes is what a reader sees.
    """
    if not any(_faults(source.lines, 1)) or place_of(source.path, "\n".join(source.lines[:HEAD_LINES])) != "shipped":
        return
    try:
        documented = [node for kind in _DOCUMENTED.__args__ for node in source.nodes(kind)]
    except UnreadableError:  # the code view says so
        return
    for node in sorted(documented, key=lambda item: getattr(item, "lineno", 0)):
        value = _docstring(node)
        if value is None or ">>> " not in str(value.value):
            continue
        lines = str(value.value).split("\n")
        is_verbatim = len(lines) == (value.end_lineno or value.lineno) - value.lineno + 1
        for line, text in _faults(lines, value.lineno) if is_verbatim else ():
            yield seen(source, "broken-doctest", line, detail=text)


def _faults(lines: list[str], first: int) -> Iterator[tuple[int, str]]:
    """Give the examples in some lines that do not parse."""
    start = 0
    for at, line in enumerate([*lines, ""]):
        if line.strip():
            continue
        block = lines[start:at]
        shown = snippet(first + start, block, "console") if any(">>> " in item for item in block) else None
        if shown is not None and (fault := _fault(shown)) is not None:
            yield fault
        start = at + 1


def _fault(block: Snippet) -> tuple[int, str] | None:
    """Give the first fault of an example, if it does not parse as one text either."""
    console = Console(block)
    for part in as_it_stands(block):
        tree, fault = parse(part.text)
        if tree is None and fault is not None and not console.makes_whole(part):
            return part.first + fault.line - 1, fault.below(part.first)
    return None


def _docstring(node: ast.AST) -> ast.Constant | None:
    body = getattr(node, "body", ())
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        value = body[0].value
        return value if isinstance(value.value, str) else None
    return None
