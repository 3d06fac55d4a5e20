"""A house in which one process dies at a point, is replaced as a deployment would, and what became of the run."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from shutil import rmtree
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.connection import Bus
from remit.contracts.control import DecideReview
from remit.contracts.errors import RetryableError
from remit.contracts.message import decode, encode
from remit.contracts.review import ReviewOpened
from remit.contracts.task import RunFinished
from tests.conftest import NatsServer
from tests.integration.durable.crash_points import Probe, Victim
from tests.integration.durable.crash_report import Found, found
from tests.integration.durable.crash_team import NAMES, Order, team
from tests.integration.durable.house import House, charter
from tests.integration.supervisor.world import Pools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from remit.agents.agent import Agent
    from tests.integration.durable.crash_points import Kind, Point

OUTCOME_S = 40.0
ASKED_S = 1.0


class KnownPools(Pools):
    """Pools that know who is dead, as a deployment's do."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[str] = set()

    def knows(self, agent: str) -> bool:
        return agent not in self.gone


class CrashHouse(House):
    """A house of which one process is watched, and replaced when it dies."""

    def __init__(self, url: str, bus: Bus, place: Path) -> None:
        super().__init__(url, bus, team, rules=charter(team), data=place)
        self.known = KnownPools()
        self.pools = self.known
        self.place = str(place)

    def victim(self, kind: Kind) -> Victim:
        """Give a process of this house."""
        if kind == "host":
            agents = tuple(self.agents.values())
            names = tuple(agent.spec.agent for agent in agents)
            return Victim(kind, tuple(agent._bus for agent in agents), names, lambda: _end_host(agents))
        if kind == "gateway":
            gateway = self.gateway
            assert gateway is not None
            buses = (gateway._journal_bus, gateway._answer_bus)
            return Victim(kind, buses, (gateway.name,), self._end_gateway)
        supervisor = self.supervisor
        return Victim(kind, (supervisor._bus, supervisor._answers), ("supervisor",), self._end_supervisor)

    def _end_gateway(self) -> None:
        assert self.gateway is not None
        assert self.gateway._runner is not None
        self.gateway._runner.cancel()

    def _end_supervisor(self) -> None:
        self.supervisor._is_stopped = True
        self.supervisor.runs.timers.stop()
        for task in tuple(self.supervisor._tasks):
            task.cancel()

    async def replace(self, victim: Victim) -> None:
        """Another process stands for the dead one; the supervisor hears of the death as the pools tell it."""
        if victim.kind == "supervisor":
            self.supervisor = await self.supervise(self.spec)
            return
        self.known.gone |= set(victim.names)
        if victim.kind == "gateway":
            self.known.names = ()
            self.supervisor.gateway_gone(victim.names[0])
            await self.open_gateway()
            return
        for name in victim.names:
            self.supervisor.agent_gone(name)
        for role in self.team.roles:
            await self.hire(role)


def _end_host(agents: Sequence[Agent]) -> None:
    for agent in agents:
        if agent._pull is not None and agent._pull._watch is not None:
            agent._pull._watch.cancel()
        for _attempt, task in tuple(agent._attempts.values()):
            task.cancel()


@asynccontextmanager
async def served(folder: Path, *, sync_interval: str = "") -> AsyncIterator[tuple[str, Bus]]:
    """A server of its own, with our connection to it: what an earlier death left behind is nowhere near."""
    folder.mkdir()
    server = NatsServer(folder, sync_interval=sync_interval)
    await server.start()
    try:
        bus = await Bus.connect(server.url, name="test")
        try:
            yield server.url, bus
        finally:
            await bus.close()
    finally:
        server.kill()
        rmtree(folder)  # hundreds of streams take as long to clean up as to make


async def crash(folder: Path, kind: Kind, point: Point | None, *, is_durable: bool = False) -> Found:
    """One run on a server of its own, in which a process dies at a point, or lives."""
    async with served(folder, sync_interval="always" if is_durable else "") as (url, bus):
        house = CrashHouse(url, bus, folder)
        house.gathers = is_durable
        try:
            await house.open()
            probe = Probe(house.victim(kind), point, is_synced=is_durable)
            probe.arm(house.place)
            told = await lived(house, probe)
        finally:
            await house.close()
        told.wrong += [f"bug: {bug!r}" for bug in house.bugs]
        return told


async def lived(house: CrashHouse, probe: Probe) -> Found:
    """One run, to its end."""
    person = asyncio.create_task(_decide(house))
    heir = asyncio.create_task(_succeed(house, probe))
    try:
        run = await house.submit("bike", Order(place=house.place, names=NAMES))
        finished = decode(RunFinished, await house.client.outcome(run, OUTCOME_S))
        probe.disarm()
        if probe.died.is_set():
            await heir
        return found(house, await house.entries(subject.run_all(run)), finished=finished, probe=probe)
    finally:
        for task in (person, heir):
            task.cancel()
        await asyncio.gather(person, heir, return_exceptions=True)


async def _succeed(house: CrashHouse, probe: Probe) -> None:
    await probe.died.wait()
    await probe.victim.bury()
    probe.heir_at = datetime.now(UTC)
    await house.replace(probe.victim)


async def _decide(house: CrashHouse) -> None:
    """A person approves what is asked, and says so again until somebody heard."""
    while (entry := await house.journal.get("remit.run.*._.*.review_opened")) is None:
        await asyncio.sleep(0.01)  # another connection writes it
    opened = decode(ReviewOpened, entry.data)
    wish = encode(DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved"))
    while True:
        with suppress(RetryableError):
            await house.bus.request(subject.control("decide", "ann"), wish, timeout_s=ASKED_S)
            return
        await asyncio.sleep(0.05)  # nobody is there yet
