"""How many paths and lines each function has."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from remit.teams.audit.code.code_lines import body_of, code_lines, within
from remit.teams.audit.judge.rules import RULES
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Measure, Sighting
from remit.teams.audit.source import Function, Source

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)
_COUNTED = frozenset({*_BRANCHES, ast.match_case})


@dataclass
class Measured:
    """One function; nested functions are measured on their own."""

    node: Function
    complexity: int = 1


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every function that has many paths or lines, and the file if it has many lines."""
    lines = code_lines(source) if source.length >= RULES["long-function"].floor else []
    measures = [("long-file", 1, len(lines))] if _holds_code(source, lines) else []
    for function in functions(source):
        measures.append(("complex-function", function.node.lineno, function.complexity))
        body = body_of(function.node)
        length = within(lines, body) if len(body) >= RULES["long-function"].floor else 0
        measures.append(("long-function", function.node.lineno, length))
    for rule, line, measure in measures:
        if measure >= RULES[rule].floor:
            yield seen(source, rule, line, measure=measure)


def _holds_code(source: Source, lines: list[int]) -> bool:
    """Say whether a file is long even without its tables: literals at module level, which nobody reads in order."""
    if len(lines) < RULES["long-file"].floor:
        return False
    tables = (node for node in source.tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and _is_table(node))
    listed = sum(within(lines, range(node.lineno, (node.end_lineno or node.lineno) + 1)) for node in tables)
    return len(lines) - listed >= RULES["long-file"].floor


def _is_table(node: ast.Assign | ast.AnnAssign) -> bool:
    literal = isinstance(node.value, ast.Dict | ast.List | ast.Tuple | ast.Set)
    return literal and not any(isinstance(item, ast.Call | ast.Lambda | ast.ListComp) for item in ast.walk(node))


def measures(source: Source) -> list[Measure]:
    """Give the numbers by which a shipped file is compared with others."""
    if place_of(source.path, "\n".join(source.lines[:HEAD_LINES])) != "shipped":
        return []
    paths_in = sum(function.complexity for function in functions(source))
    return [
        Measure(path=source.path, name="complexity", value=paths_in),
        Measure(path=source.path, name="lines", value=source.length),
    ]


def seen(source: Source, rule: str, line: int, *, measure: int = 0, detail: str = "") -> Sighting:
    """Give a sighting at a line of a file."""
    return Sighting(
        rule=rule,
        path=source.path,
        line=line,
        symbol=source.symbol(line),
        text=source.line(line),
        measure=measure,
        detail=detail,
    )


def functions(source: Source) -> list[Measured]:
    """Measure every function of a module."""
    found = {id(node): Measured(node) for node in source.functions}
    for node, owner in zip(*source.walked, strict=True):
        if owner is not None and node.__class__ in _COUNTED:
            found[id(owner)].complexity += paths(node)
    return list(found.values())


def paths(node: ast.AST) -> int:
    """Say how many paths a node adds to the function around it.

    Counted as linters do under the name C901, so that a limit that a project sets there means the same here: a
    condition of several parts is one, and expressions (`a if b else c`, comprehensions) count for nothing.
    """
    if isinstance(node, _BRANCHES):
        return 1
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None else 1
    return 0
