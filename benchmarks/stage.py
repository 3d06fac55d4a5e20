"""A fresh embedded deployment of the benchmark's team, and a client of it; both use nothing that a user has not."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import team as bench

from remit import loader, places
from remit.bus.connection import Bus
from remit.bus.identity import Credentials
from remit.bus.submit import TaskClient
from remit.contracts.control import AskStatus, TeamStatus
from remit.contracts.message import Message, decode, encode, raw
from remit.contracts.task import RunFinished, TaskRequest
from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from remit.bus.embedded import Durability

ASKS: Final = 10
"""Asks of one run of W3."""
_READY_S: Final = 60.0
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Stage:
    """A deployment that is up."""

    place: places.Place
    faults: Path
    ready_s: float


@contextmanager
def staged(home: Path, durability: Durability = "embedded") -> Iterator[Stage]:
    """A deployment with empty data under `home`; it is down and its data gone afterwards."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    faults = home / "faults"
    faults.touch()
    os.environ[places.HOME], os.environ[bench.FAULTS] = str(home), os.environ.get(bench.FAULTS, str(faults))
    loaded = loader.load(loader.resolve(str(Path(__file__).with_name("team.py"))))
    began = time.perf_counter()
    with Embedded(loaded, name="bench", port=None, durability=durability) as deployment:
        place = places.current("bench")
        yield Stage(place, Path(os.environ[bench.FAULTS]), time.perf_counter() - began)
        deployment.stop()
    shutil.rmtree(home, ignore_errors=True)


class Client:
    """Submits one task at a time and awaits its outcome, as any client does."""

    def __init__(self, tasks: TaskClient) -> None:
        self._tasks = tasks

    async def finish(self, workflow: str, work: Message) -> RunFinished:
        """Give the outcome of one task; one that is not complete is an error."""
        body = encode(TaskRequest(goal="be measured", input=raw(work)))
        run = await self._tasks.submit(workflow, body)
        outcome = decode(RunFinished, await self._tasks.outcome(run))
        if outcome.outcome != "complete":
            raise RuntimeError(repr(outcome))
        return outcome

    async def task(self, number: int) -> bench.Result:
        """W1: one task of a trivial role."""
        return decode(bench.Result, (await self.finish("task", bench.task(number))).result)

    async def run(self, number: int) -> bench.Done:
        """W2: plan, tool, reflect."""
        return decode(bench.Done, (await self.finish("run", bench.Run(f"r{number}"))).result)

    async def talk(self, number: int, asks: int = ASKS) -> None:
        """W3: one run that asks another role `asks` times, one after the other."""
        heard = decode(bench.Heard, (await self.finish("talk", bench.Talk(number, asks))).result)
        if heard.answers != asks:
            raise RuntimeError(repr(heard))

    async def crash(self, name: str) -> RunFinished:
        """W4: a run whose process is to be killed in its second step."""
        return await self.finish("crash", bench.Run(name))


@asynccontextmanager
async def client(place: places.Place) -> AsyncIterator[Client]:
    """A client of the deployment, once every role has a host."""
    await _until_ready(place)
    bus = await Bus.connect(place.url, name="publisher", credentials=Credentials.read(Path(place.publisher)))
    tasks = TaskClient(bus)
    try:
        yield Client(tasks)
    finally:
        await tasks.close()
        await bus.close()


async def _until_ready(place: places.Place) -> None:
    import asyncio

    bus = await Bus.connect(place.url, name="operator", credentials=Credentials.read(Path(place.operator)))
    try:
        async with asyncio.timeout(_READY_S):
            while not _is_ready(decode(TeamStatus, (await _status(bus)))):
                await asyncio.sleep(_POLL_S)
    finally:
        await bus.close()


async def _status(bus: Bus) -> bytes:
    return (await bus.request("remit.ctl.status.operator", encode(AskStatus()))).data


def _is_ready(status: TeamStatus) -> bool:
    return bool(status.gateways) and all(role.ready >= role.desired for role in status.roles)
