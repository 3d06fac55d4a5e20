"""A run ends while its steps are held: they end with it, whatever they do, and nothing more is done in their name."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from remit import Context, Message, Role, Team, run_program, tool
from remit.bus import subject, topology
from remit.contracts.charter import RunLimits
from remit.contracts.control import CancelRun, Heartbeat
from remit.contracts.lease import LeaseRevoked
from remit.contracts.message import decode, decode_any, encode, raw
from remit.contracts.step import Superseded
from remit.contracts.tool import CallTool
from tests.alive import gone, lives
from tests.integration.durable.house import charter
from tests.integration.supervisor.world import World, crash, holder
from tests.teams import ROLES, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.connection import Bus
    from remit.supervisor.run_state import RunState
    from tests.integration.durable.conftest import Housing

WITHIN_S = 1.0
SOON_S = 15.0
PROGRAM = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True, file=open(sys.argv[1], "w"))
time.sleep(60)
"""


class Job(Message, frozen=True, kw_only=True, tag="mill.job.v1"):
    what: Literal["compute", "call", "ask", "gather", "program", "short"]
    file: str = ""


class Done(Message, frozen=True, kw_only=True, tag="mill.done.v1"):
    text: str = ""


class Mill:
    """What the test sees of handlers and tools."""

    def __init__(self) -> None:
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.may_go_on = asyncio.Event()


MILL = Mill()


@pytest.fixture(autouse=True)
def mill() -> Mill:
    MILL.__init__()  # type: ignore[misc]  # the roles know it by name
    return MILL


@tool(risk="low", effect="at_most_once")
async def grind(what: str) -> str:
    MILL.began.put_nowait(f"tool {what}")
    try:
        await MILL.may_go_on.wait()
    finally:
        MILL.ended.put_nowait(f"tool {what}")
    return what


@tool(risk="low", effect="pure")
def spin(file: str) -> str:
    return run_program([sys.executable, "-c", PROGRAM, file], folder=Path(sys.prefix)).output.decode()


class Idler(Role[Done, Done]):
    async def handle(self, work: Done, _ctx: Context) -> Done:
        MILL.began.put_nowait("idler")
        try:
            await MILL.may_go_on.wait()
        finally:
            MILL.ended.put_nowait("idler")
        return work


class Miller(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        try:
            await self._work(work, ctx)
        finally:
            MILL.ended.put_nowait("miller")
        return Done(text=work.what)

    async def _work(self, work: Job, ctx: Context) -> None:
        match work.what:
            case "compute":
                await ctx.step("hold", lambda: 0, returns=int)
                MILL.began.put_nowait("compute")
                while not MILL.may_go_on.is_set():
                    await asyncio.sleep(0)
            case "ask":
                await ctx.ask(Idler, Done())
            case "gather":
                await ctx.gather(ctx.call(grind, what="a"), ctx.ask(Idler, Done()))
            case "program":
                await ctx.call(spin, file=work.file)
            case _:
                await ctx.call(grind, what=work.what)


team = Team("mill", roles=[Miller, Idler], tools=[grind, spin], workflows={"job": Miller})


@pytest.mark.parametrize(
    ("what", "parts"),
    [("compute", {"compute"}), ("call", {"tool call"}), ("ask", {"idler"}), ("gather", {"tool a", "idler"})],
)
async def test_a_cancelled_run_ends_its_handlers_and_calls(
    housing: Housing, mill: Mill, what: Literal["compute", "call", "ask", "gather"], parts: set[str]
) -> None:
    async with housing(team) as house:
        other = await house.submit("job", Job(what="short"))
        assert await mill.began.get() == "tool short"
        run = await house.submit("job", Job(what=what))
        for _part in parts:
            await asyncio.wait_for(mill.began.get(), SOON_S)

        await house.told("cancel", CancelRun(run_id=run))
        async with asyncio.timeout(WITHIN_S):
            ended = {await mill.ended.get() for _ in range(1 + len(parts - {"compute"}))}

        await house.until(lambda: sum(agent.busy for agent in house.agents.values()) == 1)
        assert ended == {"miller"} | (parts - {"compute"})
        assert (await house.outcome(run)).stopped_by
        mill.may_go_on.set()
        assert (await house.outcome(other)).outcome == "complete"
        if "tool" in str(parts):
            assert (await house.appears(f"remit.run.{run}.*.call.>")).subject.endswith("in_doubt")


async def test_a_cancelled_run_ends_the_programs_of_its_tools(housing: Housing, tmp_path: Path) -> None:
    """They do not heed SIGTERM."""
    async with housing(team) as house:
        file = tmp_path / "pids"
        run = await house.submit("job", Job(what="program", file=str(file)))
        await house.until(lambda: file.exists() and file.read_text().endswith("\n"))
        pids = [int(word) for word in file.read_text().split()]
        assert all(map(lives, pids))

        await house.told("cancel", CancelRun(run_id=run))
        await gone(pids, WITHIN_S)

        await house.appears(f"remit.run.{run}.job.call.0.returned")


async def test_a_run_that_reaches_its_limit_ends_its_holders_too(housing: Housing, mill: Mill) -> None:
    limits = RunLimits(wall_clock_s=1.5, steps=10)
    async with housing(team, charter(team, limits=limits)) as house:
        run = await house.submit("job", Job(what="call"))
        await asyncio.wait_for(mill.began.get(), SOON_S)

        finished = await house.outcome(run)
        async with asyncio.timeout(WITHIN_S):
            ended = {await mill.ended.get(), await mill.ended.get()}

    assert finished.outcome == "stopped"
    assert ended == {"miller", "tool call"}


async def test_a_hostile_agent_that_goes_on_calling_is_refused_at_once(housing: Housing, mill: Mill) -> None:
    async with housing(team) as house:
        run = await house.submit("job", Job(what="call"))
        await asyncio.wait_for(mill.began.get(), SOON_S)
        (gateway,) = house.pools.names
        await house.told("cancel", CancelRun(run_id=run))

        mill.may_go_on.set()
        for position in range(1, 6):
            arguments = raw({"what": "more"})
            call = CallTool(run_id=run, step="job", epoch=1, position=str(position), tool="grind", arguments=arguments)
            address = subject.tool(gateway, "grind", house.agents["miller"].spec.agent)
            answer = await house.bus.request(address, encode(call), timeout_s=WITHIN_S)
            assert isinstance(decode_any(Superseded, answer.data), Superseded)

    assert mill.began.empty()


# --- a supervisor that dies in between -----------------------------------------------------------


@pytest.fixture
async def supervised(nats_url: str, bus: Bus) -> AsyncIterator[World]:
    await topology.ensure(bus, list(ROLES))
    world = World(nats_url, bus)
    yield world
    await world.close()
    assert world.bugs == []


async def test_what_a_supervisor_left_between_the_end_and_the_revocation_is_done_by_the_next(
    supervised: World,
) -> None:
    world = supervised
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    is_there = asyncio.Event()

    async def die(_run: RunState) -> None:
        is_there.set()
        await asyncio.Event().wait()

    first.runs._release = die
    wish = asyncio.create_task(world.control("cancel", CancelRun(run_id=work.run_id)))
    await is_there.wait()
    await crash(first)
    wish.cancel()
    place = subject.lease_revoked(work.run_id, work.step, 1)
    assert await world.journal.get(place) is None
    said: asyncio.Queue[bytes] = asyncio.Queue()
    told: asyncio.Queue[bytes] = asyncio.Queue()
    await world.bus.subscribe(subject.STOPS, lambda message: said.put_nowait(message.data))
    await clerk.bus.subscribe("_I.way", lambda message: told.put_nowait(message.data))

    await world.supervise(shop())
    beat = Heartbeat(agent=clerk.name, role="clerk", host="h", pid=1, slots=1, busy=1, state="ready")
    notice = decode(LeaseRevoked, await asyncio.wait_for(said.get(), SOON_S))
    await clerk.bus.publish(subject.registry(clerk.name), encode(beat), reply="_I.way")

    assert (notice.run_id, notice.step, notice.epoch, notice.ends_calls) == (work.run_id, work.step, 1, True)
    assert await world.journal.get(place) is not None
    assert decode(LeaseRevoked, await asyncio.wait_for(told.get(), SOON_S)) == notice


async def test_a_revocation_that_was_journaled_and_not_told_is_told_by_the_next(supervised: World) -> None:
    world = supervised
    first = await world.supervise(shop())
    _clerk, work = await holder(world)
    first._revocations._spread = lambda notice: None  # type: ignore[method-assign]  # noqa: ARG005  # it dies here
    await world.control("cancel", CancelRun(run_id=work.run_id))
    await crash(first)
    said: asyncio.Queue[bytes] = asyncio.Queue()
    await world.bus.subscribe(subject.STOPS, lambda message: said.put_nowait(message.data))

    await world.supervise(shop())

    assert decode(LeaseRevoked, await asyncio.wait_for(said.get(), SOON_S)).run_id == work.run_id


async def test_a_revocation_that_comes_late_does_not_touch_a_newer_lease(supervised: World) -> None:
    """A supervisor that was cut off wakes up and revokes what it knows; the step is somebody else's by now."""
    world = supervised
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    run = first.runs.get(work.run_id)
    assert run is not None
    old = run.state.steps[work.step]
    first.agent_gone(clerk.name)
    again = await clerk.hold()

    await first._revocations.revoke(run.state, (old,), reason="late", ends_calls=True)

    last = await world.journal.get(subject.lease_lane(work.run_id, work.step))
    assert last is not None
    assert last.subject == subject.lease(work.run_id, work.step, again.epoch)
