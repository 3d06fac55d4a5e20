"""Between the clients and the server: every message takes its time, and each connection keeps its order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from contextvars import Context

    from remit.bus.wire import Incoming
    from tests.simulation.bus import SimWire
    from tests.simulation.process import Process
    from tests.simulation.server import SimServer
    from tests.simulation.trace import Trace

_STEP_S: Final = 1e-6
"""Two messages of one direction never arrive at the same time: timers of the same time have no order."""


class Network:
    """The seed's whims: how long a message takes, which one is lost, and who dies while it is sent."""

    def __init__(self, server: SimServer, chance: random.Random, trace: Trace) -> None:
        self.server = server
        self.trace = trace
        self.slow = 0.02
        """Share of messages that take long."""
        self.lossy = 0.0
        """Share of single answers and acks that never arrive."""
        self.tap: Callable[[Process, str], bool] = lambda _process, _subject: True
        """Called before a process sends to a subject; False: it died before the message left it."""
        self.ghosts: set[Process] = set()
        """Who said something that arrived after its death."""
        self.nowhere: Context
        """Context of what no process does."""
        self._chance = chance

    def delay_s(self) -> float:
        """Give how long one message takes."""
        chance = self._chance.random()
        if chance >= self.slow:
            return 0.0002 + 0.0008 * chance
        return 0.005 + (0.2 if chance > self.slow / 4 else 1.5) * self._chance.random()

    def keeps_what_was_written(self) -> bool:
        """Say whether the kernel still sends what a dead connection had written."""
        return self._chance.random() < 0.5

    def loses(self) -> bool:
        """Say whether a message is lost that may be."""
        return self.lossy > 0 and self._chance.random() < self.lossy


class Link:
    """One connection while it stands. When it is cut, what is on its way to the client is lost; the rest perhaps."""

    def __init__(self, network: Network, wire: SimWire, process: Process, name: str) -> None:
        self.name = name
        self.process = process
        self.is_cut = False
        self._still_arrives = False
        self._network = network
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._up_at = self._down_at = 0.0

    def up(self, call: Callable[..., None], *facts: object) -> None:
        """Have the server do something when the message has arrived."""
        network = self._network
        self._up_at = max(self._up_at + _STEP_S, self._loop.time() + network.delay_s())
        self._loop.call_at(self._up_at, self._arrive, call, facts, context=network.nowhere)

    def cut(self) -> None:
        """The connection is gone; whether the server still reads what was written is chance."""
        self.is_cut, self._still_arrives = True, self._network.keeps_what_was_written()

    def _arrive(self, call: Callable[..., None], facts: tuple[object, ...]) -> None:
        if self.is_cut and not self._still_arrives:
            return
        if self.process.is_dead:
            self._network.ghosts.add(self.process)
        call(self, *facts)

    def down(self, sid: int, message: Incoming) -> None:
        """The client gets a message."""
        if self.is_cut:
            return
        self._down_at = max(self._down_at + _STEP_S, self._loop.time() + self._network.delay_s())
        self._loop.call_at(self._down_at, self._wire.deliver, self, sid, message, context=self.process.context)

    def pong(self, answer: asyncio.Future[bool]) -> None:
        """The client hears that all it sent before has arrived, after all that was sent to it before."""
        self._down_at = max(self._down_at + _STEP_S, self._loop.time() + self._network.delay_s())
        self._loop.call_at(self._down_at, self._answer, answer, context=self.process.context)

    def _answer(self, answer: asyncio.Future[bool]) -> None:
        if not self.is_cut and not answer.done():
            answer.set_result(True)
