"""A supervisor on a real server, with agents that a test drives by hand and a gateway that is only a name."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from remit.bus import stream, subject
from remit.bus.connection import Bus
from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.control import ControlDone, Heartbeat, TeamStatus
from remit.contracts.errors import AlreadyStoredError, RetryableError
from remit.contracts.message import Message, decode, decode_any, encode, raw
from remit.contracts.proposal import StateCommitted, StateRejected
from remit.contracts.review import ReviewOpened
from remit.contracts.step import (
    Refused,
    RunStep,
    StepCompleted,
)
from remit.contracts.task import RunFinished
from remit.supervisor.binding import NOTHING_INHERITED, Inheritance
from remit.supervisor.control import PoolReport
from remit.supervisor.service import Supervisor
from remit.supervisor.snapshot_writer import PACE, Pace
from tests.integration.supervisor.agent import SOON_S, Agent
from tests.teams import Order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from remit.bus.delivery import Delivery
    from remit.bus.journal import Entry
    from remit.contracts.team import TeamSpec

T = TypeVar("T")

GATEWAY = "gw-1"


class Pools:
    """What a supervisor hears of its pools."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = (GATEWAY,)
        self.beats: list[Heartbeat] = []
        self.wishes: dict[str, int] = {}
        self.quarantined = 0

    def knows(self, agent: str) -> bool:
        return bool(agent)

    def gateways(self, build: str = "") -> tuple[str, ...]:
        return self.names

    def heard(self, beat: Heartbeat) -> None:
        self.beats.append(beat)

    def scale(self, role: str, hosts: int) -> None:
        self.wishes[role] = hosts

    def release(self, role: str) -> int:
        return self.quarantined

    def end(self, drain_s: float) -> None:
        raise NotImplementedError

    def report(self, role: str) -> PoolReport:
        return PoolReport(desired=self.wishes.get(role, 2), ready=1, busy=0, slots=32)


class World:
    """Everything around one server."""

    gathers = False
    """Whether every process gathers its appends, as under the profile `durable`."""

    def __init__(self, url: str, bus: Bus) -> None:
        self.url = url
        self.bus = bus
        self.journal = Journal(bus)
        self.client = TaskClient(bus)
        self.pools = Pools()
        self.bugs: list[BaseException] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    # --- who is there ----------------------------------------------------------------------------

    async def supervise(
        self, team: TeamSpec, inheritance: Inheritance = NOTHING_INHERITED, *, pace: Pace = PACE
    ) -> Supervisor:
        """A supervisor that has recovered, and serves."""
        journal_bus = await Bus.connect(self.url, name="supervisor")
        answer_bus = await Bus.connect(self.url, name="supervisor-answer")
        supervisor = Supervisor(
            team,
            journal_bus=journal_bus,
            answer_bus=answer_bus,
            on_bug=self.bugs.append,
            inheritance=inheritance,
            pace=pace,
            group_commit=self.gathers,
        )
        await supervisor.recover()
        await supervisor.serve(self.pools)
        await answer_bus.flush()
        self._closing += [supervisor.stop, journal_bus.close, answer_bus.close]
        return supervisor

    async def agent(self, pool: str) -> Agent:
        """An agent of a role, or of the pool of an older build."""
        agent = Agent(await Bus.connect(self.url, name=f"{pool}-agent"), pool)
        await agent.pull()
        self._closing.append(agent.leave)
        return agent

    async def staff(self, role: str, answer: Callable[[RunStep], Message]) -> Agent:
        """Have an agent complete whatever comes to its role."""
        agent = await self.agent(role)

        async def work() -> None:
            while True:
                given = await agent.given.get()
                step = decode(RunStep, given.data)
                self._tasks.append(asyncio.create_task(self._complete(agent, step, answer(step), given)))

        self._tasks.append(asyncio.create_task(work()))
        return agent

    async def _complete(self, agent: Agent, step: RunStep, reply: Message, delivery: Delivery) -> None:
        done = StepCompleted(
            run_id=step.run_id, step=step.step, epoch=step.epoch, reply=raw(reply), contract="shop.reply.v1"
        )
        name = subject.agent_entry(step.run_id, step.step, agent=agent.name, index=str(step.epoch), kind="completed")
        while not await _stored(agent.bus, name, encode(done)):
            await asyncio.sleep(0.05)  # the server is away, and tells nobody when it is back
        delivery.ack()

    # --- what users do ---------------------------------------------------------------------------

    async def submit(self, workflow: str, given: Message, **more: object) -> str:
        body = {"goal": "pack it", "input": given} | more
        return await self.client.submit(workflow, encode(body))

    async def outcome(self, run: str) -> RunFinished:
        return decode(RunFinished, await self.client.outcome(run, SOON_S))

    async def control(self, verb: str, wish: Message) -> ControlDone | Refused | TeamStatus:
        answer = await self.bus.request(subject.control(verb, "ann"), encode(wish))
        return cast("ControlDone | Refused | TeamStatus", decode_any(ControlDone | Refused | TeamStatus, answer.data))

    # --- what stands in the journal --------------------------------------------------------------

    async def entries(self, filter_: str) -> list[Entry]:
        return [entry async for entry in self.journal.read(filter_)]

    async def lane(self, run: str) -> list[str]:
        """Give the supervisor's entries of a run, each as its kind or as `step.epoch`."""
        found = await self.entries(subject.lane(run))
        return [_short(entry.subject) for entry in found]

    async def opened(self, run: str) -> ReviewOpened:
        """Give the last review of a run, once there is one."""
        entry = await self.appears(f"remit.run.{run}._.*.review_opened")
        return decode(ReviewOpened, entry.data)

    async def appears(self, filter_: str) -> Entry:
        """Give the last entry under a wildcard, once there is one."""
        async with asyncio.timeout(SOON_S):
            while (entry := await self.journal.get(filter_)) is None:
                await asyncio.sleep(0.01)  # another connection writes it
        return entry

    async def settled(self, name: str, *, at_least: int, waiting: int = 0, durable: str = "supervisor") -> None:
        """So many deliveries of a stream were made to the supervisor, and no more than these are not settled."""
        async with asyncio.timeout(SOON_S):
            while True:
                answer = await stream.try_api(self.bus, "CONSUMER.INFO", name, durable)
                if isinstance(answer, stream.ApiError):  # the intake makes its consumers while it serves already
                    await asyncio.sleep(0.01)
                    continue
                about = msgspec.json.decode(answer)
                waits = about["num_pending"] + about["num_ack_pending"]
                if waits == waiting and about["delivered"]["consumer_seq"] >= at_least:
                    return
                await asyncio.sleep(0.01)  # the server tells nobody of an ack

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for close in self._closing:
            await close()


def crash(supervisor: Supervisor) -> Coroutine[object, object, None]:
    """The supervisor's process is gone: nothing is handed back, nothing is said."""
    supervisor._is_stopped = True
    for task in tuple(supervisor._tasks):
        task.cancel()
    supervisor._bus.send = _never  # type: ignore[method-assign]  # an ack that is on its way stays there
    return _disconnect(supervisor._bus, supervisor._answers)


def _never(*_: object, **__: object) -> None:
    return


async def _disconnect(*buses: Bus) -> None:
    for bus in buses:
        await bus.close()


async def _stored(bus: Bus, name: str, body: bytes) -> bool:
    try:
        await Journal(bus).append(name, body)
    except AlreadyStoredError:
        return True
    except RetryableError:
        return False
    return True


def _short(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[6:]) if parts[4] == "work" else parts[-1]


async def holder(world: World) -> tuple[Agent, RunStep]:
    """Give a clerk, and the first step of an order that it holds."""
    clerk = await world.agent("clerk")
    await world.submit("order", Order(customer="ann"))
    return clerk, await clerk.hold()


async def either(one: Agent, other: Agent) -> RunStep:
    """Give the step that comes to one of two agents."""
    takes = [asyncio.create_task(one.take()), asyncio.create_task(other.take())]
    done, waiting = await asyncio.wait(takes, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return done.pop().result()


def now() -> datetime:
    return datetime.now(UTC)


def value_of(answer: object) -> object:
    """Give the value of a version as plain data."""
    assert isinstance(answer, StateCommitted | StateRejected), answer
    return msgspec.json.decode(answer.value)
