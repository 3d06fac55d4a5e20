"""Which lines of a file are code: no blank lines, comments, documentation, and of a signature one."""

import ast
from collections.abc import Iterable

from remit.teams.audit.source import Function, Source


def code_lines(source: Source) -> list[int]:
    """Give the numbers of the lines that are code, in order."""
    idle = {number for node in source.nodes(ast.Expr) if _is_text(node) for number in _span(node.lineno, node)}
    for function in source.functions:
        idle.update(range(function.lineno + 1, function.body[0].lineno))
    bare = ((number, line.lstrip()) for number, line in enumerate(source.lines, 1))
    return [number for number, line in bare if line and not line.startswith("#") and number not in idle]


def body_of(function: Function) -> range:
    """Give the lines of a function below its signature."""
    return range(max(function.lineno + 1, function.body[0].lineno), (function.end_lineno or function.lineno) + 1)


def within(lines: Iterable[int], span: range) -> int:
    """Count the lines that lie in a span."""
    return sum(line in span for line in lines)


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant)


def _span(first: int, node: ast.stmt) -> range:
    return range(first, (node.end_lineno or first) + 1)
