"""The names that a function binds itself."""

import ast

from remit.teams.audit.source import Function


def bound(function: Function) -> set[str]:
    """Name what a function binds itself: arguments, assignments, inner functions."""
    arguments = function.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    names = {item.arg for item in every if item is not None}
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.ExceptHandler(name=str() as name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if node is not function:
                names.add(name)
            case _:
                pass
    return names
