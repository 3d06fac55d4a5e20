"""A process of the simulated world: what is its own, so that it can be killed, frozen and wrong about the time."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.simulation.bus import SimWire
    from tests.simulation.world import World

PROCESS: ContextVar[Process] = ContextVar("PROCESS")
"""Whose code runs: tasks and timers inherit it from whoever started them."""

_PRUNE_AT = 256


class Process:
    """Everything that ends together. After `kill` nothing of it reaches anybody any more."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.skew_s = 0.0
        """How far its clock is ahead."""
        self.is_dead = False
        self.is_frozen = False
        self.backlog: list[asyncio.Handle] = []
        """What became due while it was frozen."""
        self.wires: list[SimWire] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)
        self._tasks: list[asyncio.Future[object]] = []

    def spawn(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        """Run a coroutine as this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def adopt(self, task: asyncio.Future[object]) -> None:
        """Note a task of this process; in a dead one it ends at once."""
        if self.is_dead:
            task.cancel()
            return
        self._tasks.append(task)
        if len(self._tasks) > _PRUNE_AT:
            self._tasks = [item for item in self._tasks if not item.done()]

    def kill(self) -> None:
        """Every task is cancelled at the await it stands at; nothing that it still does is seen outside."""
        if self.is_dead:
            return
        self.is_dead = True
        for wire in self.wires:
            wire.cut(for_good=True)
        self.thaw()
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def freeze(self) -> None:
        """Nothing of it runs until `thaw`, as after SIGSTOP; what is sent to it waits."""
        self.is_frozen = not self.is_dead

    def thaw(self) -> None:
        """It wakes, and does all that it missed."""
        if self.is_frozen:
            self.is_frozen = False
            asyncio.get_running_loop()._ready.extend(self.backlog)  # type: ignore[attr-defined]  # the loop is ours
            self.backlog.clear()


def on_bug_of(process: Process) -> Callable[[BaseException], None]:
    """Give what our own code calls when it is wrong: the simulation fails, unless the process is dead already."""

    def on_bug(error: BaseException) -> None:
        if not process.is_dead:
            process.world.bug(process, error)

    return on_bug
