"""One timer for all runs that wait for a time: the earliest is armed, the others stand in a heap.

What is waited for stands in the journal, and so in the fold; this only says when to look at it again. A run that is
parked costs an entry here, and nothing else.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S: Final = 60.0
"""The loop's clock and the wall's may part; so the wall's is looked at again after this time."""

_ROOM: Final = 256
"""So many places may be left behind before they are swept out."""


class Timers:
    """At most one time for each run; `ring` is called with the run's name when it is there."""

    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._armed: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._at)

    def set(self, name: str, at: datetime) -> None:
        """The run is looked at when it is `at`, and not before."""
        if self._at.get(name) == at:
            return
        if len(self._heap) > _ROOM + 2 * len(self._at):
            self._sweep()
        self._at[name] = at
        heappush(self._heap, (at, name))
        if self._heap[0] == (at, name):
            self._arm()

    def drop(self, name: str) -> None:
        """The run waits for no time any more; its place in the heap is swept out some time."""
        self._at.pop(name, None)

    def stop(self) -> None:
        """Nothing rings any more."""
        self._at.clear()
        self._heap.clear()
        self._arm()

    def _sweep(self) -> None:
        """Drop places of runs that wait no more: a run is over soon, and its time may be months ahead."""
        self._heap = [(at, name) for name, at in self._at.items()]
        heapify(self._heap)

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        if self._heap:
            left_s = (self._heap[0][0] - datetime.now(UTC)).total_seconds()
            delay_s = min(max(left_s, 0.0), LONGEST_S)
            self._armed = asyncio.get_running_loop().call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        now = datetime.now(UTC)
        while self._heap and self._heap[0][0] <= now:
            at, name = heappop(self._heap)
            if self._at.get(name) == at:
                del self._at[name]
                self._ring(name)
        self._arm()
