"""A reflection under way when its host dies goes on elsewhere, without a finished round being run again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from remit.contracts.message import Message, digest, raw
from remit.contracts.reflection import Critique, Requirement
from remit.contracts.tool import CallTool, ToolAnswered
from remit.tools.tool import tool
from tests.integration.agents.world import Done, Job, World, soon

if TYPE_CHECKING:
    from remit.agents.context import Context

T = TypeVar("T")

GOAL_HASH = digest(b"try it")


@tool(risk="low", effect="pure", name="mail.send")
def send(to: str) -> str:
    raise AssertionError


async def test_another_agent_goes_on_in_the_round_in_which_the_first_one_died(world: World) -> None:
    await world.supervisor()
    did: list[str] = []

    def noted(what: str, value: T) -> T:
        did.append(what)
        return value

    async def think(_work: Job, ctx: Context) -> Done:
        async def judge(_task: Requirement, draft: str) -> Critique:
            did.append(f"judge {draft}")
            score = await ctx.step("score", lambda: noted(f"score {draft}", len(draft) / 4), returns=float)
            if draft == "aa" and ctx.epoch == 1:
                await asyncio.Event().wait()
            return Critique(score=score)

        async def revise(_task: Requirement, draft: str, _critique: Critique) -> str:
            return await ctx.step("revise", lambda: noted(f"revise {draft}", draft + "a"), returns=str)

        found = await ctx.reflect("a", critique=judge, revise=revise, until=0.75)
        return Done(text=f"{found.draft} {found.stopped_by} {len(found.rounds)}")

    first = await world.serve(think)
    await world.dispatch(goal_hash=GOAL_HASH)
    await world.until(lambda: len(world.recorded["r1", "s"]) == 4)  # round 1 with its score, and half of round 2
    await first.drain(deadline_s=0)

    await world.serve(think)
    await world.dispatch(epoch=2, goal_hash=GOAL_HASH)

    assert bytes((await world.completed()).reply) == b'{"type":"probe.done.v1","text":"aaa score 3"}'
    assert did == [
        "judge a", "score a", "revise a", "judge aa", "score aa",  # until the first agent died
        "judge aa", "revise aa", "judge aaa", "score aaa",
    ]  # fmt: skip


async def test_an_agent_whose_goal_was_changed_reflects_on_nothing(world: World) -> None:
    await world.supervisor()

    async def think(_work: Job, ctx: Context) -> Done:
        async def judge(_task: Requirement, _draft: str) -> Critique:
            raise AssertionError

        async def revise(_task: Requirement, draft: str, _critique: Critique) -> str:
            return draft

        await ctx.reflect("a", critique=judge, revise=revise)
        return Done()

    await world.serve(think)
    await world.dispatch(goal="another goal", goal_hash=GOAL_HASH)

    failed = await world.failed()
    assert (failed.error.code, failed.retryable) == ("RM-217", False)


async def test_a_step_that_turns_in_a_circle_is_stopped_and_not_tried_again(world: World) -> None:
    await world.supervisor()
    asked: list[str] = []

    def answer(message: Message, _agent: str) -> ToolAnswered:
        assert isinstance(message, CallTool)
        asked.append(message.position)
        return ToolAnswered(value=raw("sent"))

    await world.gateway(CallTool, answer)

    async def think(_work: Job, ctx: Context) -> Done:
        while True:
            await ctx.call(send, to="a@b.c")

    await world.serve(think)
    await world.dispatch()

    failed = await soon(world.failed())
    assert (failed.error.code, failed.retryable) == ("RM-405", False)
    assert asked == ["0", "1", "2", "3", "4"]
