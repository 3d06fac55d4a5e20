"""A fresh embedded deployment of the benchmark's team, and a client of it; both use nothing that a user has not."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import team as bench

from remit import loader, places
from remit.client import Client as Remit
from remit.contracts.errors import AnswerTimeoutError, ClusterLostError
from remit.contracts.message import Message, decode, raw
from remit.contracts.task import RunFinished, TaskRequest
from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from remit.bus.embedded import Durability
    from remit.contracts.control import TeamStatus

ASKS: Final = 10
"""Asks of one run of W3."""
OUTCOME_S: Final = 60.0
_READY_S: Final = 60.0
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Stage:
    """A deployment that is up."""

    place: places.Place
    faults: Path
    ready_s: float
    """How long it took until tasks were taken."""


@contextmanager
def staged(home: Path, durability: Durability = "embedded") -> Iterator[Stage]:
    """A deployment with empty data under `home`; it is down, and its data is gone, afterwards."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ[places.HOME] = str(home)
    faults = Path(os.environ.setdefault(bench.FAULTS, str(home / "faults")))
    faults.touch()
    loaded = loader.load(loader.resolve(str(Path(bench.__file__))))
    began = time.perf_counter()
    try:
        with Embedded(loaded, name="bench", port=None, durability=durability):
            yield Stage(places.current("bench"), faults, time.perf_counter() - began)
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Client:
    """Submits one task at a time and awaits its outcome, as any client does."""

    def __init__(self, remit: Remit) -> None:
        self._remit = remit

    async def finish(self, workflow: str, work: Message) -> RunFinished:
        """Give the outcome of one task; one that is not complete is an error."""
        run = await self._remit.submit(workflow, TaskRequest(goal="be measured", input=raw(work)))
        outcome = await self._remit.outcome(run, OUTCOME_S)
        if outcome.outcome != "complete":
            raise RuntimeError(repr(outcome))
        return outcome

    async def task(self, number: int) -> bench.Result:
        """W1: one task of a trivial role."""
        return decode(bench.Result, (await self.finish("task", bench.task(number))).result)

    async def run(self, number: int) -> bench.Done:
        """W2: plan, tool, reflect."""
        return decode(bench.Done, (await self.finish("run", bench.Run(f"r{number}"))).result)

    async def talk(self, number: int) -> None:
        """W3: one run that asks another role `ASKS` times, one ask after the other."""
        heard = decode(bench.Heard, (await self.finish("talk", bench.Talk(number, ASKS))).result)
        if heard.answers != ASKS:
            raise RuntimeError(repr(heard))

    async def crash(self, name: str) -> RunFinished:
        """W4: a run whose process is to be killed in its second step."""
        return await self.finish("crash", bench.Run(name))


@asynccontextmanager
async def client(place: places.Place) -> AsyncIterator[Client]:
    """A client of the deployment, once every role has its hosts."""
    async with await Remit.connect(place) as remit:
        async with asyncio.timeout(_READY_S):
            while not await _is_ready(remit):  # noqa: ASYNC110  # another process: there is no event to await
                await asyncio.sleep(_POLL_S)
        waiting = Client(remit)
        await waiting.task(0)  # opens the second connection, which is not to be opened once for every lane
        yield waiting


async def _is_ready(remit: Remit) -> bool:
    try:
        status: TeamStatus = await remit.status()
    except (AnswerTimeoutError, ClusterLostError):
        return False
    return bool(status.gateways) and all(role.ready >= role.desired for role in status.roles)
