"""Functions whose many paths read one after the other: one chain of cases, or one guard after the other."""

import ast
from collections.abc import Iterator, Sequence

from remit.teams.audit.source import Function

CASES, STATEMENTS, OTHERS = 8, 2, 4
"""A dispatch: so many cases at least, so many statements in each and beside them at most."""
CHAIN = 3
"""Cases that make a chain."""
MOSTLY = 0.6
"""Of all branches of a flat function, in its longest chain or in guards."""
DEEPEST = 2
VERY_LARGE = 25
"""A function of so many paths is hard to read however flat it is."""
_LOOPS = ast.For | ast.AsyncFor | ast.While
_BLOCKS = ast.If | _LOOPS | ast.Try | ast.Match
_LEAVES = ast.Return | ast.Raise | ast.Continue | ast.Break


def is_dispatch(function: Function) -> bool:
    """Say whether most of a function is one chain of cases, none of which holds more than two plain statements."""
    chains = [node for node in function.body if isinstance(node, ast.Match | ast.If)]
    branches = [branch for node in chains for branch in cases(node)]
    flat = all(len(branch) <= STATEMENTS and not any(map(_nests, branch)) for branch in branches)
    return flat and len(branches) >= CASES and len(function.body) - len(chains) <= OTHERS


def is_flat(function: Function) -> bool:
    """Say whether nothing nests deeper than twice, and most branches are one chain of cases or guards that leave."""
    if _depth(function.body) > DEEPEST:
        return False
    heads = [*_heads(function.body)]
    chains = [len([*cases(head)]) for head in heads if isinstance(head, ast.If | ast.Match)]
    longest = max(chains, default=0)
    guards = sum(isinstance(head, ast.If) and _is_guard(head) for head in heads)
    others = sum(_weight(head) for head in heads) - guards
    if longest >= CHAIN:
        return longest + guards >= MOSTLY * (others + guards)
    return guards >= MOSTLY * (others + guards)


def cases(node: ast.Match | ast.If) -> Iterator[list[ast.stmt]]:
    """Give what stands in each case of a chain."""
    if isinstance(node, ast.Match):
        yield from (case.body for case in node.cases)
        return
    yield node.body
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
        yield node.body
    if node.orelse:
        yield node.orelse


def _weight(head: ast.stmt) -> int:
    """Say how many branches begin at a statement; those of a chain count at its head."""
    match head:
        case ast.If() | ast.Match():
            return len([*cases(head)])
        case ast.Try(handlers=handlers):
            return len(handlers)
        case _:
            return 1


def _is_guard(node: ast.If) -> bool:
    return not node.orelse and isinstance(node.body[-1], _LEAVES) and not any(map(_nests, node.body))


def _blocks(node: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """Give the blocks of a statement; of a chain those of all its cases, of a nested function none."""
    match node:
        case ast.If() | ast.Match():
            yield from cases(node)
        case ast.Try():
            yield from (node.body, node.orelse, node.finalbody)
            yield from (handler.body for handler in node.handlers)
        case ast.For() | ast.AsyncFor() | ast.While():
            yield from (node.body, node.orelse)
        case ast.With() | ast.AsyncWith():
            yield node.body
        case _:
            pass


def _heads(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, _BLOCKS):
            yield node
        for block in _blocks(node):
            yield from _heads(block)


def _depth(body: Sequence[ast.stmt]) -> int:
    inside = (isinstance(node, _BLOCKS) + max(map(_depth, _blocks(node)), default=0) for node in body)
    return max(inside, default=0)


def _nests(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.With) for node in ast.walk(statement))
