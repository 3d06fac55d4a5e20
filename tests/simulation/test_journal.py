"""The small journal of the simulation answers as the real one does, whatever it is asked."""

from __future__ import annotations

import asyncio
import random
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings

from remit.bus import stream, topology
from remit.bus.connection import Bus
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.program import PROGRAMS, Operation, perform
from tests.simulation.server import SimServer
from tests.simulation.simulation import simulated
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.conftest import NatsServer

_NO_STREAM: Final = 10059
TRIES: Final = 3


class Bench:
    """A network with one client, and no team."""

    def __init__(self, loop: VirtualLoop) -> None:
        chance = random.Random(1)  # noqa: S311  # it must be foreseen
        self.server = SimServer(loop, chance)
        self.network = self.server.network = Network(self.server, chance, Trace())
        self.network.nowhere = copy_context()
        self.network.slow = 0.0

    def bug(self, process: Process, error: BaseException) -> None:
        raise error

    async def run(self, program: list[Operation]) -> list[object]:
        client = Process("client", self)  # type: ignore[arg-type]  # all that it needs of a world is here
        return await client.spawn(self._run(program))  # type: ignore[return-value]  # as `_run`

    async def _run(self, program: list[Operation]) -> list[object]:
        bus = await Bus.connect("sim", name="client")
        return await perform(bus, program)


def simulated_answers(program: list[Operation]) -> list[object]:
    """Give what the small journal says."""
    loop = VirtualLoop(100_000)
    with simulated(1, loop):
        return loop.run_until_complete(Bench(loop).run(program))


async def real_answers(url: str, program: list[Operation]) -> list[object]:
    """Give what nats-server says, with streams that nobody has used."""
    bus = await Bus.connect(url, name="client")
    try:
        while not await _is_fresh(bus):  # one that is made right after its forerunner may find its files
            pass
        return await perform(bus, program)
    finally:
        await bus.close()


async def _is_fresh(bus: Bus) -> bool:
    for spec in topology.STREAMS:
        answer = await stream.try_api(bus, "STREAM.DELETE", spec.name)
        assert not isinstance(answer, stream.ApiError) or answer.err_code == _NO_STREAM, answer
    await topology.ensure(bus, [])
    return all([(await stream.state(bus, spec.name)).last_seq == 0 for spec in topology.STREAMS])


@pytest.fixture
def real_server(stopped_nats_server: NatsServer) -> str:
    asyncio.run(stopped_nats_server.start())
    return stopped_nats_server.url


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=PROGRAMS)
def test_the_small_journal_answers_as_the_real_one(real_server: str, program: list[Operation]) -> None:
    simulated = simulated_answers(program)

    real: list[object] = []
    for _ in range(TRIES):  # on a machine that stands still for a moment, the time of an ack runs out
        if real != simulated:
            real = asyncio.run(real_answers(real_server, program))

    assert simulated == real
