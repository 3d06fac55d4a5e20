"""How many paths and lines each function has."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from remit.teams.audit.judge.rules import RULES
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Measure, Sighting
from remit.teams.audit.source import Function, Source

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp)
_COUNTED = frozenset({*_BRANCHES, ast.comprehension, ast.match_case})


@dataclass
class Measured:
    """One function; nested functions are measured on their own."""

    node: Function
    complexity: int = 1

    @property
    def length(self) -> int:
        """Lines, the docstring not counted."""
        first = self.node.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
        return (self.node.end_lineno or 0) - self.node.lineno + 1 - docstring


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every function that has many paths or lines, and the file if it has many lines."""
    measures = [("long-file", 1, source.length)] if _holds_code(source) else []
    for function in functions(source):
        measures.append(("complex-function", function.node.lineno, function.complexity))
        measures.append(("long-function", function.node.lineno, function.length))
    for rule, line, measure in measures:
        if measure >= RULES[rule].floor:
            yield seen(source, rule, line, measure=measure)


def _holds_code(source: Source) -> bool:
    """Say whether a file is long even without its tables: literals at module level, which nobody reads in order."""
    if source.length < RULES["long-file"].floor:
        return False
    tables = (node for node in source.tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and _is_table(node))
    listed = sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in tables)
    return source.length - listed >= RULES["long-file"].floor


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

    Counted as in T. J. McCabe, "A Complexity Measure" (1976), for branches: a condition of several parts is one.
    """
    if isinstance(node, _BRANCHES):
        return 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None else 1
    return 0
