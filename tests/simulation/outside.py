"""The world behind the tools: it alone knows what truly happened, and it knows nothing of journals."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from remit.contracts.errors import ToolNotDoneError
from tests.simulation.process import PROCESS

if TYPE_CHECKING:
    import random

    from tests.simulation.trace import Trace


class Outside:
    """Effects by key. What a dead process wanted does not reach it any more."""

    def __init__(self, chance: random.Random, trace: Trace) -> None:
        self.happened: Counter[tuple[str, str]] = Counter()
        """Tool and key: how often the effect took place."""
        self.taken_back: list[tuple[str, str]] = []
        """Key of an effect, and the key under which it was taken back, in the order in which that happened."""
        self.fails = 0.0
        """Share of calls that break off, before or after their effect."""
        self.hangs = 0.0
        """Share of calls that take longer than anybody waits."""
        self._chance = chance
        self._trace = trace

    async def act(self, tool: str, key: str, *, once: bool = False, takes_back: str = "") -> int:
        """Have an effect; give how often it took place. With `once` the receiver knows the key."""
        await self._take_time()
        self._trip(before=True)
        if not (once and self.happened[tool, key]):
            self._trace.note(PROCESS.get().name, f"effect {tool} {key}")
            self.happened[tool, key] += 1
            if takes_back:
                self.taken_back.append((takes_back, key))
        await self._take_time()
        self._trip(before=False)
        return self.happened[tool, key]

    async def take_back(self, effect: str, key: str) -> int:
        """Take an effect back: the receiver knows the key of this wish, not how many others there were."""
        return await self.act("withdraw", key, once=True, takes_back=effect)

    async def look(self, tool: str, key: str) -> int:
        """Give how often an effect took place."""
        await asyncio.sleep(0.001)
        return self.happened[tool, key]

    async def _take_time(self) -> None:
        if self._chance.random() < self.hangs:
            await self._hang(is_stubborn=self._chance.random() < 0.5)
        await asyncio.sleep(0.01 * self._chance.random())
        if PROCESS.get().is_dead:
            raise asyncio.CancelledError

    async def _hang(self, *, is_stubborn: bool) -> None:
        """Take longer than anybody waits; who is stubborn does not end when it is told to."""
        over_at = asyncio.get_running_loop().time() + 8.0
        while (left_s := over_at - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                if not is_stubborn or PROCESS.get().is_dead:
                    raise

    def _trip(self, *, before: bool) -> None:
        if self._chance.random() >= self.fails:
            return
        if before and self._chance.random() < 0.5:
            raise ToolNotDoneError("it says that it did nothing")
        raise ConnectionError("the line went dead")


def outside() -> Outside:
    """Give the world behind the tools of the process that runs."""
    return PROCESS.get().world.outside
