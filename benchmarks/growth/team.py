"""The team whose journal grows: a trivial role, a run of three recorded steps, and one that waits."""

from __future__ import annotations

from datetime import datetime

from remit import Context, Message, Role, Team, tool


class Task(Message, tag="growth.task.v1"):
    """About 500 bytes as JSON."""

    id: int
    body: str = "x" * 400


class Result(Message, tag="growth.result.v1"):
    """What came of it."""

    text: str


class Nap(Message, tag="growth.nap.v1"):
    """Until when to wait."""

    until: datetime


@tool(risk="low", effect="pure")
async def tool_step(plan: str) -> str:
    """Make 200 bytes of a plan."""
    return f"tool:{len(plan)}:" + "t" * 200


class Trivial(Role[Task, Result]):
    """W1: touches nothing."""

    pool = 1

    async def handle(self, work: Task, ctx: Context) -> Result:
        """Reply at once."""
        return Result(f"{work.id}")


class Thinker(Role[Task, Result]):
    """W2: each result is persisted before the next step begins."""

    pool = 1

    async def handle(self, work: Task, ctx: Context) -> Result:
        """Plan, call a tool through the gateway, reflect."""
        plan = await ctx.step("plan", lambda: f"plan:{work.id}:" + "p" * 200, returns=str)
        made = await ctx.call(tool_step, plan=plan)
        return Result(await ctx.step("reflect", lambda: f"done:{len(made)}", returns=str))


class Sleeper(Role[Nap, Result]):
    """A run that stays open."""

    pool = 1

    async def handle(self, work: Nap, ctx: Context) -> Result:
        """Sleep, once."""
        await ctx.sleep_until(work.until)
        return Result("awake")


team = Team(
    "growth",
    roles=[Trivial, Thinker, Sleeper],
    tools=[tool_step],
    workflows={"task": Trivial, "run": Thinker, "nap": Sleeper},
)
