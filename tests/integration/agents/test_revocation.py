"""A step is taken from its agent: the handler ends, nothing more is said, and the doors are closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Never

import msgspec
import pytest

from remit.agents.role import Role
from remit.bus import permission, subject
from remit.contracts.errors import LeaseLostError
from remit.contracts.lease import LeaseRevoked
from remit.contracts.message import encode
from remit.contracts.step import AskRole
from remit.contracts.tool import CallTool
from tests.integration.agents.test_doors import MAIL
from tests.integration.agents.world import Done, Job, World, connect, soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.agents.context import Context
    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming
    from remit.contracts.message import Message

WITHIN_S = 1.0
NOTICE = LeaseRevoked(run_id="r1", step="s", epoch=1, agent="", reason="cancelled", ends_calls=True)


class Critic(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        return Done(text=work.text)


class Voice:
    """What a supervisor says without being asked, on the way back of the newest heartbeat."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.beats: asyncio.Queue[Incoming] = asyncio.Queue()

    async def listen(self) -> None:
        await self._bus.subscribe(subject.REGISTRY, self.beats.put_nowait)
        await self._bus.flush()

    async def way(self) -> str:
        return (await soon(self.beats.get())).reply

    async def say(self, way: str, notice: msgspec.Struct = NOTICE) -> None:
        await self._bus.publish(way, encode(notice))
        await self._bus.flush()

    async def close(self) -> None:
        await self._bus.close()


@pytest.fixture
async def voice(world: World) -> Voice:
    bus = await connect(world.server, "supervisor-answer", permission.supervisor_answer_permissions())
    voice = Voice(bus)
    await voice.listen()
    world._closing.append(voice.close)
    return voice


async def compute(_work: Job, _ctx: Context) -> Never:
    while True:
        await asyncio.sleep(0)  # what it computes gives way now and then


async def wait_for_a_tool(_work: Job, ctx: Context) -> Done:
    return Done(text=await ctx.call(MAIL, to="a@b.c"))


async def wait_for_an_ask(_work: Job, ctx: Context) -> Done:
    return await ctx.ask(Critic, Job())


async def wait_in_a_gather(_work: Job, ctx: Context) -> Done:
    await ctx.gather(ctx.call(MAIL, to="a@b.c"), ctx.ask(Critic, Job()))
    return Done()


class Watched:
    """A handler, and how it began and ended."""

    def __init__(self, handle: Callable[[Job, Context], Awaitable[Done]]) -> None:
        self._handle = handle
        self.ended = asyncio.Event()

    async def __call__(self, work: Job, ctx: Context) -> Done:
        try:
            return await self._handle(work, ctx)
        finally:
            self.ended.set()


async def silent(world: World) -> tuple[asyncio.Queue[Message], asyncio.Queue[Message]]:
    """A gateway, and a role that is asked, which hear and never answer."""
    calls: asyncio.Queue[Message] = asyncio.Queue()
    asks: asyncio.Queue[Message] = asyncio.Queue()

    def keep(queue: asyncio.Queue[Message]) -> Callable[[Message, str], None]:
        return lambda message, _agent: queue.put_nowait(message)

    await world.gateway(CallTool, keep(calls))
    plane = await world.plane("supervisor-answer", permission.supervisor_answer_permissions())
    await plane.on(subject.ASKS, AskRole, keep(asks))
    return calls, asks


@pytest.mark.parametrize(
    ("handle", "waits_for"),
    [(compute, ""), (wait_for_a_tool, "tool"), (wait_for_an_ask, "ask"), (wait_in_a_gather, "tool ask")],
)
async def test_a_handler_ends_at_once_when_its_step_is_taken(
    world: World, voice: Voice, handle: Callable[[Job, Context], Awaitable[Done]], waits_for: str
) -> None:
    await world.supervisor()
    calls, asks = await silent(world)
    watched = Watched(handle)
    host = await world.serve(watched)
    await world.dispatch()
    await soon(world.claims.get())
    if "tool" in waits_for:
        await soon(calls.get())
    if "ask" in waits_for:
        await soon(asks.get())
    way = await voice.way()

    await voice.say(way)
    await asyncio.wait_for(watched.ended.wait(), WITHIN_S)

    await world.until(lambda: host.describe().busy == 0)
    await world.settled()
    assert not world.has_outcome


async def test_a_heartbeat_is_answered_more_than_once_and_seconds_later(world: World, voice: Voice) -> None:
    """The server remembers the way back of a heartbeat across the accounts."""
    await world.supervisor()
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def handle(work: Job, _ctx: Context) -> Never:
        try:
            await asyncio.Event().wait()
        finally:
            ended.put_nowait(work.text)
        raise AssertionError

    await world.serve(handle)
    way = await voice.way()
    for run in ("r1", "r2"):
        await world.dispatch(run, body=msgspec.Raw(encode(Job(text=run))))
        await soon(world.claims.get())
    for _beat in range(3):  # each comes a second after the one before
        await voice.way()

    await voice.say(way)
    first = await asyncio.wait_for(ended.get(), WITHIN_S)
    await voice.say(way, msgspec.structs.replace(NOTICE, run_id="r2"))
    second = await asyncio.wait_for(ended.get(), WITHIN_S)

    assert (first, second) == ("r1", "r2")


async def test_a_notice_of_another_epoch_or_run_ends_nothing(world: World, voice: Voice) -> None:
    await world.supervisor()
    go_on = asyncio.Event()

    async def handle(_work: Job, _ctx: Context) -> Done:
        await go_on.wait()
        return Done(text="untouched")

    await world.serve(handle)
    await world.dispatch()
    await soon(world.claims.get())
    way = await voice.way()

    for change in ({"epoch": 2}, {"run_id": "r2"}, {"step": "t"}):
        await voice.say(way, msgspec.structs.replace(NOTICE, **change))
    await voice.say(way, Job(text="no notice at all"))
    go_on.set()

    assert b"untouched" in bytes((await world.completed()).reply)


async def test_a_handler_that_goes_on_finds_every_door_closed_and_its_reply_is_not_said(
    world: World, voice: Voice
) -> None:
    await world.supervisor()
    calls, _asks = await silent(world)
    refused: list[str] = []
    doors: dict[str, Callable[[Context], Awaitable[object]]] = {
        "call": lambda ctx: ctx.call(MAIL, to="b@c.d"),
        "ask": lambda ctx: ctx.ask(Critic, Job()),
        "step": lambda ctx: ctx.step("note", lambda: "", returns=str),
        "read": lambda ctx: ctx.state.read("anything", str),
    }

    async def stubborn(_work: Job, ctx: Context) -> Done:
        with suppress(asyncio.CancelledError):
            await ctx.call(MAIL, to="a@b.c")
        for name, door in doors.items():
            try:
                await door(ctx)
            except LeaseLostError:
                refused.append(name)
        ctx.progress("still here")
        return Done(text="done all the same")

    host = await world.serve(stubborn)
    await world.dispatch()
    await soon(calls.get())

    await voice.say(await voice.way())
    await world.until(lambda: host.describe().busy == 0)
    await world.settled()

    assert refused == list(doors)
    assert calls.empty()
    assert world.told.empty()
    assert not world.has_outcome


async def test_a_notice_before_the_claim_is_answered_counts_too(world: World, voice: Voice) -> None:
    await world.supervisor(lambda _claim, _agent: None)
    watched = Watched(compute)
    host = await world.serve(watched)
    await world.dispatch()
    await soon(world.claims.get())

    await voice.say(await voice.way())
    await asyncio.wait_for(watched.ended.wait(), WITHIN_S)

    await world.until(lambda: host.describe().busy == 0)
    assert not world.has_outcome
