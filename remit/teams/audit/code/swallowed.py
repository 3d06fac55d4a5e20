"""Handlers that catch everything and say nothing, and input that is validated by `assert`."""

import ast
from collections.abc import Iterator

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Function, Source

BROAD = frozenset({"Exception", "BaseException"})


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every swallowed exception and every validating assert of a file."""
    for handler in source.nodes(ast.ExceptHandler):
        if is_broad(handler.type) and is_silent(handler.body):
            yield seen(source, "swallowed-exception", handler.lineno, detail="except")
    blocks: list[ast.With | ast.AsyncWith] = [*source.nodes(ast.With), *source.nodes(ast.AsyncWith)]
    for node in blocks:
        if any(_suppresses(item) for item in node.items):
            yield seen(source, "swallowed-exception", node.lineno, detail="suppress")
    for function in source.functions:
        for check in _validations(function) if not function.name.startswith(("_", "visit_")) else ():
            yield seen(source, "assert-validation", check.lineno, detail=function.name)


def is_broad(kind: ast.expr | None) -> bool:
    """Say whether a handler's type catches everything."""
    if isinstance(kind, ast.Tuple):
        return any(is_broad(item) for item in kind.elts)
    return kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD)


def is_silent(body: list[ast.stmt]) -> bool:
    """Say whether a body does nothing at all."""
    return all(
        isinstance(item, ast.Pass | ast.Continue)
        or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        for item in body
    )


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or not call.args:
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name == "suppress" and any(is_broad(argument) for argument in call.args)


def _validations(function: Function) -> Iterator[ast.Assert]:
    """Give the asserts before any other work that compare a parameter itself: not its type, nor a part of it."""
    arguments = function.args
    parameters = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for statement in function.body:
        if isinstance(statement, ast.Assert):
            if _compares(statement.test, parameters - {"self", "cls"}):
                yield statement
        elif not isinstance(statement, ast.Expr):
            return


def _compares(test: ast.expr, parameters: set[str]) -> bool:
    waiting = [test]
    while waiting:
        match waiting.pop():
            case ast.BoolOp(values=values):
                waiting.extend(values)
            case ast.UnaryOp(operand=operand):
                waiting.append(operand)
            case ast.Compare() as comparison if _speaks_of(comparison, parameters):
                return True
    return False


def _speaks_of(comparison: ast.Compare, parameters: set[str]) -> bool:
    if isinstance(comparison.ops[0], ast.Is | ast.IsNot):
        return False
    if isinstance(comparison.ops[0], ast.NotIn) and isinstance(comparison.comparators[0], ast.Attribute):
        return False  # what an object holds already is its own affair
    sides = (comparison.left, *comparison.comparators)
    return any(isinstance(side, ast.Name) and side.id in parameters for side in sides)
