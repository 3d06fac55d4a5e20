"""A house of which one part is a process of its own: killed by SIGKILL at a point, replaced by a new process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import topology
from tests.integration.durable.crash_child import CRASH_AT
from tests.integration.durable.crash_points import Probe, Victim
from tests.integration.durable.crash_run import CrashHouse, lived, served

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from remit.bus.connection import Bus
    from tests.integration.durable.crash_points import Kind, Point
    from tests.integration.durable.crash_report import Found

ROOT: Final = Path(__file__).parents[3]
READY_S: Final = 30.0


class ProcessHouse(CrashHouse):
    """A house that has its host, its gateway or its supervisor in another process."""

    def __init__(self, url: str, bus: Bus, place: Path, *, kind: Kind) -> None:
        super().__init__(url, bus, place)
        self._kind = kind
        self._children: list[Process] = []

    async def fill(self, point: Point) -> Probe:
        """Everybody is there; give the probe that tells of the death of the process that is to die."""
        await topology.ensure(self.bus, list(self.team.roles))
        if self._kind != "gateway":
            await self.open_gateway()
        child, names = await self._start(point)
        if self._kind != "supervisor":
            self.supervisor = await self.supervise(self.spec)
        if self._kind != "host":
            for role in self.team.roles:
                await self.hire(role)
        probe = Probe(Victim(self._kind, (), names, lambda: None), point)
        self._tasks.append(asyncio.create_task(_watch(child, probe)))
        return probe

    async def _start(self, point: Point | None) -> tuple[Process, tuple[str, ...]]:
        where = {CRASH_AT: msgspec.json.encode(point).decode()} if point is not None else {}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.durable.crash_child",
            *(self._kind, self.url, self.place, *self.known.names),
            cwd=ROOT,
            env=os.environ | where,
            stdout=asyncio.subprocess.PIPE,
        )
        self._children.append(child)
        assert child.stdout is not None
        said = (await asyncio.wait_for(child.stdout.readline(), READY_S)).decode().split()
        assert said[:1] == ["ready"], said
        if self._kind == "gateway":
            self.known.names = (said[1],)
        return child, tuple(said[1:])

    async def replace(self, victim: Victim) -> None:
        """The supervisor hears of the death at once, and another process is started."""
        self.known.gone |= set(victim.names)
        if victim.kind == "host":
            for name in victim.names:
                self.supervisor.agent_gone(name)
        elif victim.kind == "gateway":
            self.known.names = ()
            self.supervisor.gateway_gone(victim.names[0])
        await self._start(None)

    async def close(self) -> None:
        """Nobody is there any more."""
        for child in self._children:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        await super().close()


async def _watch(child: Process, probe: Probe) -> None:
    code = await child.wait()
    if code == -signal.SIGKILL:
        probe.died_at = datetime.now(UTC)
        probe.died.set()


async def kill(folder: Path, kind: Kind, point: Point) -> Found:
    """One run on a server of its own, in which a process is killed at a point."""
    async with served(folder) as (url, bus):
        house = ProcessHouse(url, bus, folder, kind=kind)
        try:
            probe = await house.fill(point)
            told = await lived(house, probe)
        finally:
            await house.close()
        told.wrong += [f"bug: {bug!r}" for bug in house.bugs]
        return told
