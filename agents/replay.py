"""Recorded operations answered again: a handler that is run once more does not repeat what was done."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, get_type_hints

from remit.contracts.errors import LimitReachedError, ReplayMismatchError
from remit.contracts.lease import OPERATIONS, REPEATS
from remit.contracts.message import decode, tag_of
from remit.contracts.model import Completion, Spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from remit.contracts.lease import Grant
    from remit.contracts.step import Recorded, RecordKind


_COMPLETION = f'{{"type":"{tag_of(Completion)}"'.encode()
"""How every answer of a model begins: the encoder writes the tag first."""

Jumps = tuple[tuple[int, int], ...]


class Scope:
    """Numbers the operations of one branch of a handler, in the order in which they begin.

    The handler itself counts `0, 1, 2 …`; the branches of a gather at 2 count `2-0-0, 2-0-1 …` and
    `2-1-0 …`, so that the same operation has the same position however the branches interleave.
    """

    def __init__(self, prefix: str = "", jumps: Jumps = ()) -> None:
        self._prefix = prefix
        self._jumps = dict(jumps)
        self._next = self._jumps.get(-1, 0)

    def take(self) -> str:
        """Give the next position of this branch."""
        number = self._next
        self._next = self._jumps.get(number, number + 1)
        return f"{self._prefix}{number}"


_scope: ContextVar[Scope] = ContextVar("remit_scope")


def take_position() -> str:
    """Give the position of the operation that begins now."""
    return _scope.get().take()


@contextmanager
def scope(prefix: str = "", jumps: Jumps = ()) -> Iterator[None]:
    """Count the operations inside as a branch of their own.

    `jumps` name what comes after an operation, where it is not the next number: what a rollback undid, or what was
    done for a result that does not count, has positions that are not used again. -1 stands before the first.
    """
    token = _scope.set(Scope(prefix, jumps))
    try:
        yield
    finally:
        _scope.reset(token)


class Replay:
    """What earlier holders of a step recorded, by position."""

    def __init__(
        self,
        recorded: Iterable[Recorded] = (),
        *,
        repeats: int = REPEATS,
        operations: int = OPERATIONS,
        tokens: int = 0,
        cost: float = 0.0,
    ) -> None:
        self.repeats = repeats
        """How often the step may ask for the same."""
        self.tokens, self.cost = tokens, cost
        """What the step may have of models; 0 bounds nothing."""
        self._left = self._most = operations
        self._by_position = {item.position: item for item in recorded}

    @classmethod
    def of(cls, recorded: Iterable[Recorded], grant: Grant) -> Replay:
        """Give what was recorded, for a handler that works under this grant."""
        return cls(recorded, repeats=grant.repeats, operations=grant.operations, tokens=grant.tokens, cost=grant.cost)

    @cached_property
    def spent(self) -> Spent:
        """What the recorded answers of models took, wherever in the step they stand."""
        spent = Spent()
        for item in self._by_position.values():
            if item.kind == "call" and item.error is None and bytes(item.value).startswith(_COMPLETION):
                spent = spent.plus(decode(Completion, item.value))
        return spent

    def find(self, *, position: str, kind: RecordKind, name: str, request: str) -> Recorded | None:
        """Give what was recorded at a position, or None if the handler was not there yet.

        Raises:
            ReplayMismatchError: the handler asks for something else than was recorded; nothing was done.
            LimitReachedError: the step has made as many operations as it may; nothing was done.
        """
        self._left -= 1
        if self._left < 0:
            raise LimitReachedError(
                "the step has made as many operations as it may",
                where=f"position {position}",
                expected=f"at most {self._most}",
                got=f"{kind} {name}",
                fix="raise limits.operations of the role in charter.yaml, if this is meant",
            )
        item = self._by_position.get(position)
        if item is None:
            return None
        if (item.kind, item.name, item.request) != (kind, name, request):
            raise ReplayMismatchError(
                "the handler asks for something else than it did before; it is not deterministic,"
                " or its code changed while the run was in flight",
                where=f"{item.step} position {position}",
                expected=f"{item.kind} {item.name} ({item.request[:19]})",
                got=f"{kind} {name} ({request[:19]})",
                fix="put what varies (time, randomness, order of a set) into ctx.step(…)",
            )
        return item


def annotated_result(act: Callable[..., object]) -> object:
    """Give what a function says it returns; plain JSON if it says nothing, as a lambda or a builtin does."""
    try:
        return get_type_hints(act).get("return", object)
    except (TypeError, NameError):
        return object
