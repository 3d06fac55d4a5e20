"""A program over many files: where it fails over all of them, it is tried over parts, and what it fails over is named.

Whoever wrote a repository can write a file at which a linter crashes, hangs or says more than anybody keeps. That file
is left out; the others are not.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TypeVar

from remit import RemitError, ToolFailedError

T = TypeVar("T")
R = TypeVar("R")
PART_S, ALL_S = 45.0, 75.0
"""Of one try, and of all of them together."""
PARTS = 12
"""Into so many is cut what failed: with a shard of files the third try is over single ones."""
_TOO_LATE = "RM-102"


def in_parts(items: Sequence[T], run: Callable[[Sequence[T], float], R]) -> tuple[list[R], list[T]]:
    """Give what a program says of items, part by part, and the items of which it could say nothing.

    `run` is given a part, and the seconds that it may take. What is said of two parts must not depend on both.
    """
    answers, left = list[R](), list[T]()
    waiting, end = [items], monotonic() + ALL_S
    while waiting:
        part = waiting.pop()
        seconds = min(PART_S, end - monotonic())
        try:
            if seconds > 0:
                answers.append(run(part, seconds))
                continue
        except RemitError as error:
            if not isinstance(error, ToolFailedError) and error.code != _TOO_LATE:
                raise
        if seconds > 0 and len(part) > 1:
            size = max(1, len(part) // PARTS)
            waiting.extend(reversed([part[at : at + size] for at in range(0, len(part), size)]))
        else:
            left.extend(part)
    return answers, left
