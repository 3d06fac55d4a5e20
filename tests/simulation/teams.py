"""The team that the simulation runs: every kind of operation, effect class and plan, written as a user writes it."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final

from remit import (
    Context,
    Message,
    Plan,
    Role,
    Team,
    ToolFailedError,
    Undo,
    policy,
    rollback,
    state,
    step,
    tool,
    undo,
    when,
)
from remit.contracts.charter import (
    Charter,
    CompletionCheck,
    ReviewPath,
    RoleCharter,
    RoleLimits,
    Rollback,
    RunLimits,
    ToolCharter,
)
from tests.simulation.outside import outside
from tests.simulation.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.agents.role import AnyRole
    from remit.contracts.team import TeamSpec

TOOL_S: Final = 3.0
RUN_S: Final = 120.0
STEPS: Final = 60
NAP_S: Final = 1.5


class Part(Message, frozen=True, tag="sim.part.v1"):
    number: int


class Job(Message, frozen=True, tag="sim.job.v1"):
    number: int
    is_odd: bool = False
    parts: tuple[Part, ...] = ()


class Done(Message, frozen=True, tag="sim.done.v1"):
    number: int
    parts: tuple[Part, ...] = ()
    is_odd: bool = False


class Joined(Message, frozen=True, tag="sim.joined.v1"):
    split: Done
    each: tuple[Done, ...] = ()
    odd: Done | None = None


class Leg(Message, frozen=True, tag="sim.leg.v1"):
    number: int
    ok: bool = True


class Undone(Message, frozen=True, tag="sim.undone.v1"):
    undone: bool


class Board(Message, frozen=True, kw_only=True, tag="sim.board.v1"):
    seen: Annotated[int, policy.counter()] = 0
    most: Annotated[int, policy.maximum()] = 0


# --- tools: one of every effect class ----------------------------------------------------------------


@tool(risk="low", effect="pure")
async def ponder(number: int) -> int:
    """Change nothing."""
    await asyncio.sleep(0.002)
    return number + 1


@tool(risk="low", effect="idempotent")
async def put(number: int, *, intent: str) -> int:
    """Store under a key that the receiver knows."""
    return await outside().act("put", intent, once=True)


async def find_booking(number: int, *, intent: str) -> int | None:
    """Say whether the booking was made."""
    return await outside().look("book", intent) or None


@tool(risk="low", effect="lookup", lookup=find_booking)
async def book(number: int, *, intent: str) -> int:
    """Book; the receiver does not know the key, but can be asked."""
    return await outside().act("book", intent)


@tool(risk="low", effect="at_most_once")
async def ring(number: int, *, intent: str) -> int:
    """Ring; nobody can say afterwards whether it rang."""
    return await outside().act("ring", intent)


@tool(risk="high", effect="idempotent")
async def publish(number: int, *, intent: str) -> int:
    """Do what a person must agree to."""
    return await outside().act("publish", intent, once=True)


@tool(risk="low", effect="idempotent")
async def withdraw(effect: str, *, intent: str) -> int:
    """Take back what was done under a key."""
    return await outside().take_back(effect, intent)


# --- roles -------------------------------------------------------------------------------------------


class Runner(Role[Job, Done]):
    """Replies; touches nothing."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        return Done(number=work.number)


class Worker(Role[Job, Done]):
    """Thinks, then has one effect of every class."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        number = await ctx.step("think", _think)
        await ctx.call(ponder, number=number)
        await ctx.call(put, number=work.number)
        await ctx.call(book, number=work.number)
        try:
            await ctx.call(ring, number=work.number)
        except ToolFailedError:
            await ctx.step("no ring", lambda: 0)
        return Done(number=work.number)


class Hand(Role[Part, Done]):
    """Does one part."""

    async def handle(self, work: Part, ctx: Context) -> Done:
        await ctx.call(put, number=work.number)
        await ctx.call(book, number=work.number)
        return Done(number=work.number)


class Boss(Role[Job, Done]):
    """Has others do it, side by side."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        first, second = await ctx.gather(
            ctx.ask(Hand, Part(number=work.number)), ctx.ask(Hand, Part(number=work.number + 1))
        )
        await ctx.call(put, number=first.number + second.number)
        return Done(number=first.number)


class Asker(Role[Job, Done]):
    """Asks a person twice: before it begins, and for an action."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        outcome = await ctx.review("go on?", {"number": work.number})
        if outcome.approved:
            await ctx.call(put, number=work.number)
            await ctx.call(publish, number=work.number)
        return Done(number=work.number)


class Clerk(Role[Job, Done]):
    """Reads and changes what is shared with every other run."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.state.update("board", Board, _one_more)
        await ctx.state.propose("mine", work.number)
        found = await ctx.state.read("mine", int)
        await ctx.call(put, number=found.value or 0)
        return Done(number=work.number)


class Splitter(Role[Job, Done]):
    """Says into what the work falls."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(ponder, number=work.number)
        return Done(number=work.number, parts=work.parts, is_odd=work.is_odd)


class Odd(Role[Done, Done]):
    """Is run under a condition only."""

    async def handle(self, work: Done, ctx: Context) -> Done:
        await ctx.call(ring, number=work.number)
        return Done(number=work.number)


class Joiner(Role[Joined, Done]):
    """Puts it together again."""

    async def handle(self, work: Joined, ctx: Context) -> Done:
        await ctx.call(put, number=len(work.each))
        return Done(number=work.split.number)


class Stumbler(Role[Job, Done]):
    """Fails the first time, after it had its effect."""

    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(book, number=work.number)
        if ctx.attempt == 1:
            raise ConnectionError("not yet")
        return Done(number=work.number)


class Packer(Role[Done, Leg]):
    """Marks a checkpoint in the middle: what it did before that stays."""

    async def handle(self, work: Done, ctx: Context) -> Leg:
        await ctx.call(put, number=work.number)
        await ctx.checkpoint("packed")
        await ctx.call(book, number=work.number)
        return Leg(number=work.number)


class Driver(Role[Leg, Leg]):
    """Has two effects, and is away in between."""

    async def handle(self, work: Leg, ctx: Context) -> Leg:
        await ctx.call(put, number=work.number)
        await ctx.sleep(NAP_S)
        await ctx.call(book, number=work.number)
        return Leg(number=work.number)


class Guest(Role[Leg, Leg]):
    """Is content only the second time."""

    async def handle(self, work: Leg, ctx: Context) -> Leg:
        await ctx.call(put, number=work.number)
        return Leg(number=work.number, ok=ctx.rolled_back is not None)


class Canceller(Role[Undo, Undone]):
    """Takes back all that a step did."""

    async def handle(self, work: Undo, ctx: Context) -> Undone:
        for effect in work.effects:
            await ctx.call(withdraw, effect=effect.intent)
        return Undone(undone=True)


def _think() -> int:
    return PROCESS.get().world.chance.randrange(1000)


def _one_more(board: Board | None) -> Board:
    seen, most = (board.seen, board.most) if board is not None else (0, 0)
    return Board(seen=seen + 1, most=max(most, seen + 1))


ROLES: Final = (
    Runner,
    Worker,
    Hand,
    Boss,
    Asker,
    Clerk,
    Splitter,
    Odd,
    Joiner,
    Stumbler,
    Packer,
    Driver,
    Guest,
    Canceller,
)
TOOLS: Final = (ponder, put, book, ring, publish, withdraw)
FAN: Final = Plan(
    step("split", Splitter),
    step("each", Hand, after="split", each="parts"),
    step("odd", Odd, after="split", when=when("split.is_odd")),
    step("join", Joiner, after=("split", "each", "odd")),
    window=3,
)
BACK: Final = undo(Canceller, when("undo.undone"))
TRIP: Final = Plan(
    step("plan", Runner),
    step("pack", Packer, after="plan", undo=BACK),
    step("drive", Driver, after="pack", undo=BACK),
    step("stay", Guest, after="drive", undo=BACK),
    rollbacks=[rollback("packed", when=when("stay.ok", "eq", value=False))],
)
TRIP_ORDER: Final = ("plan", "pack", "drive", "stay")
TEAM: Final = Team(
    "sim",
    roles=ROLES,
    tools=TOOLS,
    workflows={
        "run": Runner,
        "work": Worker,
        "boss": Boss,
        "asker": Asker,
        "clerk": Clerk,
        "fan": FAN,
        "stumble": Stumbler,
        "trip": TRIP,
    },
    state=(
        state("board", Board, scope="team"),
        state("mine", int, policy=policy.last_writer()),
    ),
)
WORKLOADS: Final = tuple(TEAM.workflows)
"""Names of the workflows of which a seed draws its tasks."""
_ASKED: Final = {"boss": (Hand,)}


def roles_of(workloads: Iterable[str]) -> list[type[AnyRole]]:
    """Give the roles that some workflows need: what nobody needs has no agents, and costs no time."""
    nodes = [node for workload in workloads for node in spec().workflows[workload].nodes]
    names = {node.role for node in nodes} | {node.undo.role for node in nodes if node.undo is not None}
    names |= {role.role_name() for name in names for role in _ASKED.get(name, ())}
    return [role for role in ROLES if role.role_name() in names]


@cache
def spec() -> TeamSpec:
    """Give the team as the planes see it."""
    return TEAM.spec(
        Charter(
            charter=1,
            team="sim",
            owner="sim@example.org",
            purpose="Be simulated.",
            roles={
                role.role_name(): RoleCharter(
                    tools=tuple(item.name for item in TOOLS),
                    asks=tuple(item.role_name() for item in _ASKED.get(role.role_name(), ())),
                    limits=RoleLimits(deadline_s=30.0, attempts=3),
                )
                for role in ROLES
            },
            tools={
                item.name: ToolCharter(
                    risk=item.risk, review="person" if item.risk == "high" else "none", timeout_s=TOOL_S
                )
                for item in TOOLS
            },
            data_sources={},
            limits=RunLimits(wall_clock_s=RUN_S, steps=STEPS),
            completion=(CompletionCheck(name="every step is done", check="steps_completed"),),
            review_path=ReviewPath(reviewers=("ann",)),
            rollback=Rollback(procedure="none", tested=True),
        )
    )
