"""One effect of every class, counted by a process of its own at the port in EFFECTS_PORT."""

import asyncio
import os

from remit import Context, Message, Pool, Role, Team, tool


class Job(Message, tag="chaos.job.v1"):
    number: int


class Done(Message, tag="chaos.done.v1"):
    number: int


async def say(verb: str, kind: str, key: str) -> str:
    """Tell the effect server, and give its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["EFFECTS_PORT"]))
    try:
        writer.write(f"{verb} {kind} {key}\n".encode())
        await writer.drain()
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


@tool(risk="low", effect="idempotent")
async def put(number: int, *, intent: str) -> str:
    """Store under a key that the receiver knows."""
    return await say("once", "put", intent)


async def find_booking(number: int, *, intent: str) -> str | None:
    """Say whether the booking was made."""
    return "booked" if await say("count", "book", intent) != "0" else None


@tool(risk="low", effect="lookup", lookup=find_booking)
async def book(number: int, *, intent: str) -> str:
    """Book; the receiver does not know the key, but can be asked."""
    await say("add", "book", intent)
    return "booked"


@tool(risk="low", effect="at_most_once")
async def ring(number: int, *, intent: str) -> str:
    """Ring; nobody can say afterwards whether it rang."""
    await say("add", "ring", intent)
    return "rang"


@tool(risk="low", effect="idempotent")
async def stumble(number: int, *, intent: str) -> str:
    """Fail the first time."""
    if await say("add", "stumble", intent) == "1":
        raise ConnectionError("not yet")
    return "done"


class Stumbler(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(put, number=work.number)
        await ctx.call(stumble, number=work.number)
        return Done(number=work.number)


class Worker(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.step("think", think)
        await ctx.call(put, number=work.number)
        await ctx.call(book, number=work.number)
        await ctx.call(ring, number=work.number)
        return Done(number=work.number)


class Runner(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(put, number=work.number)
        return Done(number=work.number)


class Napper(Role[Job, Done]):
    pool = Pool(min=0, max=2, idle_s=4, max_age_s=6, isolated=True)

    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(put, number=work.number)
        await asyncio.sleep(0.2)
        return Done(number=os.getpid())


async def think() -> int:
    """Take a moment, so that there is time to die."""
    await asyncio.sleep(0.1)
    return os.getpid()


team = Team(
    "chaos",
    roles=[Worker, Runner, Stumbler, Napper],
    tools=[put, book, ring, stumble],
    workflows={"job": Worker, "quick": Runner, "stumble": Stumbler, "nap": Napper},
)
