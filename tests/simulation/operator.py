"""An operator who cancels a run at a moment that nobody foresees, or pauses it and lets it go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.bus.connection import Bus
from remit.contracts.control import CancelRun, PauseRun, ResumeRun
from remit.contracts.errors import RemitError
from remit.contracts.ids import run_id
from remit.contracts.message import encode
from tests.simulation.process import Process

if TYPE_CHECKING:
    import random

    from remit.contracts.message import Message
    from tests.simulation.world import World

ACTS: Final = 0.3
"""Share of the seeds with trouble in which an operator acts."""
PAUSES: Final = 0.5
"""Share of the operators who pause; the others cancel."""
RESUMES: Final = 8
"""How often it says so: a wish to pause that was late may be heard after the wish to go on."""


class Operator:
    """Speaks through the same door as the command line. Whatever it paused, it lets go on."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance

    def begin(self) -> None:
        """From now on an operator may act; where nothing goes wrong, none does."""
        if self._world.plan.faults and self._chance.random() < ACTS:
            Process("operator", self._world).spawn(self._work())

    async def _work(self) -> None:
        bus = await Bus.connect("sim", name="operator")
        await asyncio.sleep(self._chance.random() * self._world.plan.trouble_s)
        run = run_id(self._chance.randrange(len(self._world.workloads)) + 1)
        if self._chance.random() >= PAUSES:
            await self._tell(bus, "cancel", CancelRun(run_id=run))
            return
        await self._tell(bus, "pause", PauseRun(run_id=run))
        for _ in range(RESUMES):
            await asyncio.sleep(3.0 * self._chance.random())
            await self._tell(bus, "resume", ResumeRun(run_id=run))

    async def _tell(self, bus: Bus, verb: str, wish: Message) -> None:
        """Say it once, whether or not it was heard."""
        try:
            await bus.request(subject.control(verb, "ann"), encode(wish), timeout_s=2.0)
        except RemitError:
            return
        self._world.trace.note("operator", f"{verb} {wish.run_id}")  # type: ignore[attr-defined]  # all three have one
