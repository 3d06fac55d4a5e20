"""Whose turn it is: tasks of several workflows, one of each in turn, as far as each has room. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Turns(Generic[T]):
    """Queues by name. What is put into one queue never waits for more than one item of each other queue."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}
        self._ring: deque[str] = deque()

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item in queue)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, name: str, item: T) -> None:
        """Queue an item behind those of the same name."""
        if name not in self._queues:
            self._queues[name] = deque()
            self._ring.append(name)
        self._queues[name].append(item)

    def take(self, has_room: Callable[[str], bool]) -> tuple[str, T] | None:
        """Give the first item of the next queue that has room; its name is the last to have its turn again."""
        for _ in range(len(self._ring)):
            name = self._ring.popleft()
            if not has_room(name):
                self._ring.append(name)
                continue
            item = self._queues[name].popleft()
            if self._queues[name]:
                self._ring.append(name)
            else:
                del self._queues[name]
            return name, item
        return None
