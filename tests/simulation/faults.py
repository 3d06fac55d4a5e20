"""What goes wrong, and when: each fault is one function, and a seed names those that may happen to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.process import Process
    from tests.simulation.world import World


_IDLE: Final = ("remit.registry.", "$JS.API.CONSUMER.MSG.NEXT.", "$JS.API.STREAM.INFO.")
"""What is said when nothing happens: nobody dies of it."""
_SAID_MOST: Final = 30
"""How much a process says before it dies of it, at most."""


class Chaos:
    """Draws faults while there is trouble: some at their time, some just when somebody is about to say something."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.is_over = False
        self.counts: dict[str, int] = {}

    def begin(self) -> None:
        """From now on things go wrong."""
        for name in self.world.plan.faults:
            FAULTS[name](self)

    async def end(self) -> None:
        """Nothing goes wrong any more, and what was broken is whole again."""
        self.is_over = True
        world = self.world
        world.network.lossy = world.network.slow = world.outside.fails = world.outside.hangs = 0.0
        world.network.tap = lambda _process, _subject: True
        for process in self.processes():
            process.thaw()
            process.skew_s = 0.0
            for wire in tuple(process.wires):
                wire.restore()

    def processes(self) -> list[Process]:
        """Give who lives and may be hurt."""
        found = [child.process for child in self.world.cluster.children.values()]
        if self.world.supervising is not None and not self.world.supervising.is_dead:
            found.append(self.world.supervising)
        return found

    def hurt(self, mean_s: float, act: Callable[[Process], None]) -> None:
        """Have something happen to one process after another."""

        def to_somebody() -> None:
            if there := self.processes():
                act(self.chance.choice(there))

        self.every(mean_s, to_somebody)

    def every(self, mean_s: float, act: Callable[[], None]) -> None:
        """Have something happen again and again, at moments that nobody foresees."""
        loop, nowhere = asyncio.get_running_loop(), self.world.network.nowhere

        def again() -> None:
            if not self.is_over:
                act()
                loop.call_later(self.chance.expovariate(1 / mean_s), again, context=nowhere)

        loop.call_later(self.chance.expovariate(1 / mean_s), again, context=nowhere)

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Have something happen once."""
        asyncio.get_running_loop().call_later(delay_s, act, context=self.world.network.nowhere)

    def note(self, what: str, process: Process | None = None) -> None:
        """Count what happened."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self.world.trace.note(process.name if process is not None else "chaos", f"fault {what}")

    def kill(self, process: Process) -> None:
        """A process ends; whoever is responsible starts another."""
        self.note("crash", process)
        if process is self.world.supervising:
            self.world.restart_supervisor(process, 0.05 + self.chance.random())
            return
        for child in tuple(self.world.cluster.children.values()):
            if child.process is process:
                self.world.cluster.kill(child)


def crash(chaos: Chaos) -> None:
    """A process dies as it is about to send its n-th message, or just after; every process has its own n."""
    left: dict[Process, int] = {}

    def tap(process: Process, subject: str) -> bool:
        if subject.startswith(_IDLE) or process not in chaos.processes():
            return True
        left[process] = left.get(process, chaos.chance.randrange(1, _SAID_MOST)) - 1
        if left[process] > 0:
            return True
        if chaos.chance.random() < 0.5:
            chaos.kill(process)
            return False
        asyncio.get_running_loop().call_soon(chaos.kill, process, context=chaos.world.network.nowhere)
        return True

    chaos.world.network.tap = tap


def outage(chaos: Chaos) -> None:
    """One connection is lost for a while, with what is on its way."""

    def act(process: Process) -> None:
        if not process.wires:
            return
        wire = chaos.chance.choice(process.wires)
        chaos.note("outage", process)
        wire.cut(notice_s=chaos.chance.choice((0.0, 0.01, 2.0)))
        chaos.later(0.1 + chaos.chance.random() ** 3 * 4.0, wire.restore)

    chaos.hurt(1.5, act)


def blackout(chaos: Chaos) -> None:
    """The server is away for everybody."""

    def act() -> None:
        chaos.note("blackout")
        wires = [wire for process in chaos.processes() for wire in process.wires]
        for wire in wires:
            wire.cut()
            chaos.later(0.3 + chaos.chance.random() * 0.3, wire.restore)

    chaos.every(6.0, act)


def freeze(chaos: Chaos) -> None:
    """A process stands still, and wakes late."""

    def act(process: Process) -> None:
        chaos.note("freeze", process)
        process.freeze()
        chaos.later(chaos.chance.choice((0.2, 1.0, 4.0, 7.0)), process.thaw)

    chaos.hurt(3.0, act)


def rival(chaos: Chaos) -> None:
    """A supervisor is cut off, another one takes over, and the first comes back and goes on beside it."""

    def act() -> None:
        world, old = chaos.world, chaos.world.supervising
        if old is None or old.is_dead or world.supervisor is None:
            return
        chaos.note("rival", old)
        old.freeze()
        world.supervisor = None
        world.start_supervisor()
        chaos.later(chaos.chance.uniform(0.1, 4.0), old.thaw)

    chaos.every(5.0, act)


def loss(chaos: Chaos) -> None:
    """Answers and acks are lost: whether something was stored is not known."""
    chaos.world.network.lossy = 0.03


def delay(chaos: Chaos) -> None:
    """Many messages take long, so that connections overtake each other."""
    chaos.world.network.slow = 0.25


def skew(chaos: Chaos) -> None:
    """A clock jumps."""

    def act(process: Process) -> None:
        process.skew_s = chaos.chance.uniform(-3.0, 3.0)
        chaos.note("skew", process)

    chaos.hurt(2.0, act)


def tools(chaos: Chaos) -> None:
    """What tools call breaks off before or after its effect, or hangs."""
    chaos.world.outside.fails, chaos.world.outside.hangs = 0.15, 0.03


FAULTS: Final[dict[str, Callable[[Chaos], None]]] = {
    "crash": crash,
    "outage": outage,
    "blackout": blackout,
    "freeze": freeze,
    "rival": rival,
    "loss": loss,
    "delay": delay,
    "skew": skew,
    "tools": tools,
}
