"""Many alarms on one timer: nearly all are cancelled before they ring, and a timer of the loop costs too much for that.

Alarms are kept in slots of a few milliseconds. A cancelled one stays in its slot, empty, until the slot's time has
come, so that both setting and cancelling an alarm are a step or two whatever their number.
"""

from __future__ import annotations

import asyncio
import heapq
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

SLOT_S: Final = 0.005
"""How late an alarm may ring."""


class Alarm:
    """A call that is made at its time, unless it is cancelled before."""

    __slots__ = ("_call", "_context")

    def __init__(self, call: Callable[[], None], context: Context) -> None:
        self._call: Callable[[], None] | None = call
        self._context: Context | None = context

    def cancel(self) -> None:
        """The call is not made."""
        self._call = self._context = None

    def ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """The call is made in the loop's next turn, in the context in which the alarm was set."""
        if self._call is not None:
            loop.call_soon(self._call, context=self._context)
            self.cancel()


class Alarms:
    """The alarms of one event loop, or of one part of what runs on it."""

    def __init__(self) -> None:
        self._slots: dict[int, list[Alarm]] = {}
        self._due: list[int] = []
        """A heap of the slots that are there."""
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0

    def after(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Make a call once a time has passed."""
        loop = asyncio.get_running_loop()
        slot = int((loop.time() + delay_s) / SLOT_S) + 1
        alarm = Alarm(call, copy_context())
        alarms = self._slots.get(slot)
        if alarms is None:
            self._slots[slot] = [alarm]
            heapq.heappush(self._due, slot)
            self._arm(loop)
        else:
            alarms.append(alarm)
        return alarm

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        first = self._due[0]
        if self._timer is not None:
            if self._armed <= first:
                return
            self._timer.cancel()
        self._armed, self._timer = first, loop.call_at(first * SLOT_S, self._ring)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        # A loop that counts milliseconds may call a little early; to ask it again would be to spin until it is time.
        self._timer, reached = None, max(self._armed, int(loop.time() / SLOT_S))
        while self._due and self._due[0] <= reached:
            for alarm in self._slots.pop(heapq.heappop(self._due)):
                alarm.ring(loop)
        if self._due:
            self._arm(loop)
