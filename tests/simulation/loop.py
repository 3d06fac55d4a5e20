"""An event loop without a clock: time stands while something is ready, and then jumps to the next timer."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING

from tests.simulation.process import PROCESS, Process

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Coroutine
    from contextvars import Context


class EndlessError(AssertionError):
    """The world did not come to rest within its bound."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: what runs next follows from what ran before. No selector, no threads."""

    def __init__(self, most_turns: int) -> None:
        super().__init__()
        self.turns = 0
        self._now = 0.0
        self._set = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.most_turns = most_turns
        self._ready: deque[asyncio.Handle]
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # typeshed's protocol is narrower than its use

    def time(self) -> float:
        return self._now

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; timers of the same time ring in the order in which they were set."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._set += 1
        heapq.heappush(self._timers, (when, self._set, timer))
        return timer

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._jump()
        run = 0
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process: Process | None = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # as it is in CPython
            if process is not None and process.is_frozen:
                process.backlog.append(handle)
                continue
            run += 1
            handle._run()
        self.turns += run
        if self.turns > self.most_turns:
            raise EndlessError(f"more than {self.most_turns} turns, at {self._now:.1f} s")

    def _jump(self) -> None:
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if not timer._cancelled:
                self._now = max(self._now, when)
                self._ready.append(timer)
                return
        raise EndlessError(f"nothing will ever happen again, at {self._now:.1f} s")

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _process_events(self, events: object) -> None:
        """There is no selector."""


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, object], **options: object
) -> asyncio.Task[object]:
    task = asyncio.Task(work, loop=loop, **options)  # type: ignore[arg-type]  # name and context as they came
    context = options.get("context")
    process = context.get(PROCESS) if context is not None else PROCESS.get(None)  # type: ignore[attr-defined]
    if process is not None:
        process.adopt(task)
    return task
