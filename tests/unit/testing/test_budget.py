"""A step that asks models stays within what its role may have, and a replay of it says the same."""

import asyncio

import pytest

from remit import BudgetSpentError, Completion, Context, Critique, Message, Requirement, Role
from remit.testing import Bench


class Wish(Message, tag="thrift.wish.v1"):
    questions: int


class Told(Message, tag="thrift.told.v1"):
    answers: tuple[str, ...]


class Thinker(Role[Wish, Told]):
    async def handle(self, work: Wish, ctx: Context) -> Told:
        found: list[str] = []
        for number in range(work.questions):
            try:
                found.append(await ctx.generate(f"question {number}", max_tokens=10))
            except BudgetSpentError as error:
                found.append(error.where)
        return Told(answers=tuple(found))


class Muser(Role[Wish, Told]):
    """Thinks in a reflection, whose rounds are not run again on replay, and asks once more after it."""

    async def handle(self, work: Wish, ctx: Context) -> Told:
        async def judge(_task: Requirement, draft: str) -> Critique:
            await ctx.generate(f"how good is {draft}", max_tokens=10)
            return Critique(score=1.0)

        await ctx.reflect("draft", critique=judge, revise=unasked)
        try:
            last = await ctx.generate("and now", max_tokens=10)
        except BudgetSpentError as error:
            last = error.got
        return Told(answers=(last,))


async def unasked(_task: Requirement, draft: str, _critique: Critique) -> str:
    raise AssertionError(draft)


def test_what_a_round_of_a_reflection_took_counts_on_replay_too() -> None:
    bench = Bench()
    bench.tokens = 30
    bench.model(Completion(text="ok", tokens_in=15, tokens_out=5))

    told = asyncio.run(bench.run(Muser, Wish(questions=1)))
    asyncio.run(bench.replay())

    assert told.answers == ("20 and up to 12 more",)
    assert len(bench.calls) == 1


@pytest.mark.parametrize(("limit", "tokens", "cost"), [("tokens", 35, 0.0), ("cost", 0, 0.02)])
def test_a_handler_does_without_what_its_role_may_not_have(limit: str, tokens: int, cost: float) -> None:
    bench = Bench()
    bench.tokens, bench.cost = tokens, cost
    bench.model(Completion(text="ok", tokens_in=8, tokens_out=5, cost=0.01))

    told = asyncio.run(bench.run(Thinker, Wish(questions=3)))
    asyncio.run(bench.replay())

    assert told.answers == ("ok", "ok", f"charter.yaml: roles.thinker.limits.{limit}")
    assert len(bench.calls) == 2
