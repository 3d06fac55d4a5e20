"""A journal with leases, an agent that asks, and gateways in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from remit.bus import subject, topology
from remit.bus.connection import Bus
from remit.bus.journal import Journal
from remit.contracts.errors import BusUnavailableError
from remit.contracts.ids import GatewayId
from remit.contracts.lease import REPEATS, Approval, DataScope, Grant, Lease, Resolution
from remit.contracts.message import decode, decode_any, encode, raw
from remit.contracts.step import Parked, Refused, Superseded
from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered, ToolCalled, ToolInDoubt, ToolReturned
from remit.tools.gateway import Gateway
from tests.integration.tools import workshop
from tests.integration.tools.model_floor import KEY, ModelFloor
from tests.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import NatsServer

Answer = ToolAnswered | CallNeedsReview | Refused | Superseded | Parked

ANSWER_S = 15.0
AGENT, GATEWAY = "clerk-a1", GatewayId("gw-1")


@dataclass
class Clock:
    """The gateways' time: this machine's, moved on at will."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Effects:
    """The process that counts effects."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, file: Path) -> None:
        self.process = process
        self.port = port
        self._file = file

    @property
    def all(self) -> list[str]:
        """Every effect that happened, in order."""
        return self._file.read_text().splitlines() if self._file.exists() else []

    async def hold(self, moment: str) -> None:
        """Whoever comes to `arrive`, `hit` or `depart` stays there."""
        await workshop.say(self.port, "hold", moment)

    async def seen(self, moment: str) -> None:
        """Somebody came there."""
        await asyncio.wait_for(workshop.say(self.port, "seen", moment), ANSWER_S)

    async def release(self) -> None:
        """Everybody goes on."""
        await workshop.say(self.port, "release")


class GatewayProcess:
    """A gateway that can be killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def kill(self) -> None:
        """It is gone, in the middle of what it did."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class Floor:
    """Where calls are made: the supervisor's leases, an agent's voice, the gateways."""

    def __init__(self, bus: Bus, url: str, effects: Effects, folder: Path) -> None:
        self.bus = bus
        self.url = url
        self.effects = effects
        self.folder = folder
        self.journal = Journal(bus, timeout_s=2.0)
        self.clock = Clock()
        self.bugs: list[BaseException] = []
        self._gateways: list[Gateway] = []
        self._processes: list[GatewayProcess] = []
        self.buses: list[Bus] = []

    async def gateway(self, name: str = GATEWAY) -> Gateway:
        """A gateway serves in this process."""
        journal_bus, answer_bus = await self._connect(name), await self._connect(f"{name}-answer")
        gateway = await Gateway.start(
            journal_bus,
            answer_bus,
            team=workshop.team(self.effects.port),
            tools=workshop.tools(self.effects.port),
            name=GatewayId(name),
            data_dir=self.folder / "data",
            on_bug=self.bugs.append,
            clock=self.clock,
        )
        await answer_bus.flush()
        self.keep(gateway)
        return gateway

    def keep(self, gateway: Gateway) -> None:
        """The gateway ends with the test."""
        self._gateways.append(gateway)

    async def gateway_process(self, name: str = GATEWAY) -> GatewayProcess:
        """A gateway serves in a process of its own."""
        process = await start("workshop.py", self.url, name, str(self.effects.port), str(self.folder / "data"))
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), ANSWER_S) == b"ready\n"
        self._processes.append(GatewayProcess(process))
        return self._processes[-1]

    async def lease(
        self,
        *tools: str,
        epoch: int = 1,
        agent: str = AGENT,
        gateway: str = GATEWAY,
        gone: tuple[str, ...] = (),
        until_s: float = 60.0,
        approvals: tuple[Approval, ...] = (),
        resolutions: tuple[Resolution, ...] = (),
        data: tuple[DataScope, ...] = (),
        repeats: int = REPEATS,
        tokens: int = 0,
        cost: float = 0.0,
    ) -> int:
        """The supervisor has leased step `s` of run `r1`."""
        every = tools or tuple(workshop.tools(0))
        lease = Lease(
            run_id="r1",
            step="s",
            epoch=epoch,
            role="clerk",
            agent=agent,
            gateway=gateway,
            gateways_gone=gone,
            until_at=self.clock() + timedelta(seconds=until_s),
            grant=Grant(
                tools=every,
                approvals=approvals,
                resolutions=resolutions,
                data=data,
                repeats=repeats,
                tokens=tokens,
                cost=cost,
            ),
        )
        return await self.journal.append(subject.lease("r1", "s", epoch), encode(lease))

    async def call(
        self,
        tool: str,
        position: str = "0",
        *,
        epoch: int = 1,
        agent: str = AGENT,
        gateway: str = GATEWAY,
        body: bytes | None = None,
        **arguments: object,
    ) -> Answer:
        """Give the gateway's answer to one request of an agent; `body` replaces the whole message."""
        call = CallTool(
            run_id="r1", step="s", epoch=epoch, position=position, tool=tool, arguments=raw(arguments)
        )  # fmt: skip
        address = subject.tool(gateway, tool, agent)
        reply = await self.bus.request(address, encode(call) if body is None else body, timeout_s=ANSWER_S)
        return cast("Answer", decode_any(Answer, reply.data))

    async def entries(self) -> list[str]:
        """Give what stands in the journal below step `s`, without the leases."""
        found = [entry.subject async for entry in self.journal.read("remit.run.r1.s.call.>")]
        return [name.removeprefix("remit.run.r1.s.call.") for name in found]

    async def called(self, index: str = "0") -> ToolCalled:
        """Give an intent."""
        entry = await self.journal.get(subject.call("r1", "s", index, "called"))
        assert entry is not None
        return decode(ToolCalled, entry.data)

    async def returned(self, index: str = "0") -> ToolReturned:
        """Give an outcome."""
        entry = await self.journal.get(subject.call("r1", "s", index, "returned"))
        assert entry is not None
        return decode(ToolReturned, entry.data)

    async def doubt(self, index: str = "0") -> ToolInDoubt:
        """Give an outcome that is in doubt."""
        entry = await self.journal.get(subject.call("r1", "s", index, "in_doubt"))
        assert entry is not None
        return decode(ToolInDoubt, entry.data)

    async def stored(self, kind: str, index: str = "0") -> None:
        """The entry is in the journal."""
        async with asyncio.timeout(ANSWER_S):
            while not await self._holds(subject.call("r1", "s", index, kind)):
                await asyncio.sleep(0.005)

    async def _holds(self, place: str) -> bool:
        try:
            return await self.journal.get(place) is not None
        except BusUnavailableError:
            return False

    async def close(self) -> None:
        """Nothing of it runs any more."""
        for gateway in self._gateways:
            await gateway.stop()
        for process in self._processes:
            await process.kill()
        for bus in self.buses:
            await bus.close()

    async def _connect(self, name: str) -> Bus:
        self.buses.append(await Bus.connect(self.url, name=name))
        return self.buses[-1]


async def start(script: str, *arguments: str) -> asyncio.subprocess.Process:
    path = Path(__file__).with_name(script)
    return await asyncio.create_subprocess_exec(sys.executable, path, *arguments, stdout=subprocess.PIPE)


@pytest.fixture
async def effects(tmp_path: Path) -> AsyncIterator[Effects]:
    file = tmp_path / "effects"
    process = await start("effect_process.py", str(file))
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), ANSWER_S))
    yield Effects(process, port, file)
    process.kill()
    await process.wait()


@pytest.fixture
async def floor(nats_server: NatsServer, bus: Bus, effects: Effects, tmp_path: Path) -> AsyncIterator[Floor]:
    await topology.ensure(bus, ["clerk"])
    floor = Floor(bus, nats_server.url, effects, tmp_path)
    yield floor
    await effects.release()
    await floor.close()
    assert floor.bugs == []


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer.start() as server:
        yield server


@pytest.fixture
async def model(floor: Floor, server: ModelServer, tmp_path: Path) -> ModelFloor:
    key_file = tmp_path / "key"
    key_file.write_text(KEY + "\n")
    await floor.lease("model.complete")
    return ModelFloor(floor, server, key_file)
