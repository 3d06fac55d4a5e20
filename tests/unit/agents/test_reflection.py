"""A draft is made better within bounds: the best one is kept, and what ended it is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit import AskedCritique, Completion, Context, Critique, Message, RefusedError, Requirement, Role
from remit.agents.fault import is_retryable
from remit.contracts.errors import DeadlineError, MalformedMessageError, RequirementDriftError, UsageError
from remit.testing import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit import Reflection


class Job(Message, tag="probe.job.v1"):
    text: str = "a poem"


class Outcome(Message, tag="probe.outcome.v1"):
    draft: str
    score: float
    stopped_by: str
    rounds: int
    scores: tuple[float | None, ...] = ()
    cost: float = 0.0


class Note(Message, tag="probe.note.v1"):
    title: str


def said(found: Reflection[str]) -> Outcome:
    scores = tuple(item.score for item in found.rounds)
    return Outcome(found.draft, found.score, found.stopped_by, len(found.rounds), scores, found.cost)


def role(think: Callable[[Context], Awaitable[Outcome]]) -> type[Role[Job, Outcome]]:
    class Poet(Role[Job, Outcome]):
        async def handle(self, work: Job, ctx: Context) -> Outcome:
            return await think(ctx)

    return Poet


class Judge:
    """Gives one score after the other, and counts what it is asked."""

    def __init__(self, *scores: float) -> None:
        self._left = list(scores)
        self.judged: list[str] = []
        self.requirements: list[Requirement] = []

    async def judge(self, requirement: Requirement, draft: str) -> Critique:
        self.judged.append(draft)
        self.requirements.append(requirement)
        score = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return Critique(score=score, reasons=(f"{draft} is {score}",))


async def longer(_requirement: Requirement, draft: str, _critique: Critique) -> str:
    return draft + "!"


async def reflect(judge: Judge, **options: object) -> Outcome:
    bench = Bench()

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect("a", **({"critique": judge.judge, "revise": longer} | options)))  # type: ignore[arg-type]  # as the test says

    outcome = await bench.run(role(think), Job())
    asked = len(judge.judged)
    await bench.replay()
    assert len(judge.judged) == asked, "a finished round is not judged again"
    return outcome


async def test_a_draft_that_is_good_enough_ends_it() -> None:
    outcome = await reflect(Judge(0.2, 0.9), until=0.8)

    assert outcome == Outcome("a!", 0.9, "score", 2, (0.2, 0.9))


async def test_what_is_good_enough_may_be_a_function_of_the_score() -> None:
    assert (await reflect(Judge(0.2, 0.4), until=lambda score: score > 0.3)).stopped_by == "score"


async def test_the_best_draft_is_kept_and_not_the_last() -> None:
    outcome = await reflect(Judge(0.3, 0.7, 0.1, 0.2), patience=2)

    assert outcome == Outcome("a!", 0.7, "no_progress", 4, (0.3, 0.7, 0.1, 0.2))


async def test_rounds_are_bounded() -> None:
    outcome = await reflect(Judge(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), max_rounds=3)

    assert (outcome.stopped_by, outcome.rounds, outcome.draft) == ("rounds", 3, "a!!")


async def test_a_loop_that_never_converges_ends_by_itself() -> None:
    assert (await reflect(Judge(0.5))).stopped_by == "no_progress"


async def test_a_draft_that_comes_again_ends_it_without_being_judged_again() -> None:
    judge = Judge(0.1, 0.2, 0.3)

    async def swing(_requirement: Requirement, draft: str, _critique: Critique) -> str:
        return "b" if draft == "a" else "a"

    outcome = await reflect(judge, revise=swing)

    assert (outcome.stopped_by, outcome.draft, outcome.scores) == ("repetition", "b", (0.1, 0.2, None))
    assert judge.judged == ["a", "b"]


async def test_what_models_cost_ends_it() -> None:
    bench = Bench()
    bench.model(lambda messages: Completion(text=messages[-1].content + "!", cost=0.4))
    judge = Judge(0.1, 0.2, 0.3, 0.4, 0.5)

    async def think(ctx: Context) -> Outcome:
        found = await ctx.reflect(
            lambda _requirement: ctx.generate("a"),
            critique=judge.judge,
            revise=lambda _requirement, draft, _critique: ctx.generate(draft),
            max_cost=1.0,
            returns=str,
        )
        return said(found)

    outcome = await bench.run(role(think), Job())
    await bench.replay()

    assert (outcome.stopped_by, outcome.rounds, outcome.draft) == ("cost", 3, "a!!!")
    assert outcome.cost == pytest.approx(1.2)
    assert len(bench.calls) == 3


async def test_what_another_role_spent_on_a_critique_counts_where_it_says_so() -> None:
    async def judge(requirement: Requirement, draft: str) -> Critique:
        return AskedCritique(score=len(draft) / 10, requirement=requirement.hash, cost=0.6)

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect("a", critique=judge, revise=longer, max_cost=1.0))

    outcome = await Bench().run(role(think), Job())

    assert (outcome.stopped_by, outcome.rounds) == ("cost", 2)
    assert outcome.cost == pytest.approx(1.2)


async def test_time_ends_it_in_the_middle_of_a_round_and_the_best_draft_is_kept() -> None:
    judge = Judge(0.1)

    async def hang(_requirement: Requirement, _draft: str, _critique: Critique) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    outcome = await reflect(judge, revise=hang, max_seconds=0.05)

    assert (outcome.stopped_by, outcome.draft, outcome.scores) == ("seconds", "a", (0.1, None))


async def test_no_draft_in_time_stops_the_step() -> None:
    async def hang(_requirement: Requirement) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect(hang, critique=Judge(1).judge, revise=longer, max_seconds=0.05))

    with pytest.raises(DeadlineError):
        await Bench().run(role(think), Job())


async def test_a_time_out_of_the_handler_s_own_is_its_own() -> None:
    async def give_up(_requirement: Requirement) -> str:
        raise TimeoutError("mine")

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect(give_up, critique=Judge(1).judge, revise=longer, max_seconds=5))

    with pytest.raises(TimeoutError, match="mine"):
        await Bench().run(role(think), Job())


async def test_every_critique_gets_the_goal_and_the_work_as_they_were() -> None:
    judge = Judge(0.1, 0.2, 0.3)

    await reflect(judge, max_rounds=3)

    assert {item.hash for item in judge.requirements} == {judge.requirements[0].digest()}
    assert judge.requirements[2].text == 'Goal: a goal\nWork (probe.job.v1): {"type":"probe.job.v1","text":"a poem"}'


async def test_a_critique_of_another_requirement_is_refused() -> None:
    async def drift(requirement: Requirement, draft: str) -> Critique:
        same = len(draft) == 1
        return AskedCritique(score=0.1, requirement=requirement.hash if same else "sha256:else")

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect("a", critique=drift, revise=longer))

    with pytest.raises(RequirementDriftError, match=r"RM-217.*round 2") as raised:
        await Bench().run(role(think), Job())
    assert not is_retryable(raised.value)


async def test_a_goal_that_is_not_the_one_of_the_run_is_refused() -> None:
    async def think(ctx: Context) -> Outcome:
        ctx._work = msgspec.structs.replace(ctx._work, goal="another goal")
        return said(await ctx.reflect("a", critique=Judge(1).judge, revise=longer))

    with pytest.raises(RequirementDriftError):
        await Bench().run(role(think), Job())


@pytest.mark.parametrize("score", [1.5, -0.1, float("nan"), "good", None])
async def test_a_score_that_is_none_is_refused(score: float) -> None:
    async def judge(_requirement: Requirement, _draft: str) -> Critique:
        return Critique(score=score)

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect("a", critique=judge, revise=longer))

    with pytest.raises(MalformedMessageError) as raised:
        await Bench().run(role(think), Job())
    assert raised.value.where == "$.score"


async def test_a_critique_that_is_none_is_refused() -> None:
    async def judge(_requirement: Requirement, _draft: str) -> Critique:
        return 0.5  # type: ignore[return-value]  # what this is about

    async def think(ctx: Context) -> Outcome:
        return said(await ctx.reflect("a", critique=judge, revise=longer))

    with pytest.raises(MalformedMessageError, match="expected Critique, got float"):
        await Bench().run(role(think), Job())


@pytest.mark.parametrize(
    "options",
    [
        {name: value}
        for name, values in {
            "max_rounds": (0, 51, -1, 2.5, True, None, float("inf")),
            "patience": (0, 11, None, float("inf")),
            "until": (1.1, -0.1, float("nan"), "good", None, True),
            "max_seconds": (0, -1, float("inf"), float("nan"), "1"),
            "max_cost": (0.0, -1, float("inf"), True),
        }.items()
        for value in values
    ],
    ids=str,
)
async def test_no_bound_can_be_taken_away(options: dict[str, object]) -> None:
    (name,) = options

    with pytest.raises(UsageError) as raised:
        await reflect(Judge(0.5), **options)

    assert raised.value.where == f"ctx.reflect({name})"
    assert raised.value.expected
    assert raised.value.got


async def test_a_draft_of_a_message_is_read_as_one() -> None:
    async def write(_requirement: Requirement) -> Note:
        return Note(title="a")

    async def judge(_requirement: Requirement, draft: Note) -> Critique:
        return Critique(score=len(draft.title) / 3)

    async def revise(_requirement: Requirement, draft: Note, _critique: Critique) -> Note:
        return Note(title=draft.title + "!")

    async def think(ctx: Context) -> Outcome:
        found = await ctx.reflect(write, critique=judge, revise=revise)
        return Outcome(found.draft.title, found.score, found.stopped_by, len(found.rounds))

    bench = Bench()
    assert (await bench.run(role(think), Job())).draft == "a!!"
    await bench.replay()


async def test_a_draft_whose_type_nobody_says_is_refused_with_what_to_say() -> None:
    async def think(ctx: Context) -> Outcome:
        async def judge(_requirement: Requirement, _draft: Note) -> Critique:
            return Critique(score=1)

        async def revise(_requirement: Requirement, draft: Note, _critique: Critique) -> Note:
            return draft

        async def write() -> Note:
            return Note(title="a")

        await ctx.reflect(lambda _requirement: write(), critique=judge, revise=revise)
        raise AssertionError

    with pytest.raises(RefusedError, match="returns=Note"):
        await Bench().run(role(think), Job())


async def test_two_reflections_side_by_side_do_not_mix_their_rounds() -> None:
    async def think(ctx: Context) -> Outcome:
        async def judge(_requirement: Requirement, draft: str) -> Critique:
            await ctx.step("look", lambda: draft, returns=str)
            return Critique(score=len(draft) / 4)

        both = await ctx.gather(
            *(ctx.reflect(first, critique=judge, revise=longer) for first in ("a", "bb")),
        )
        return Outcome(" ".join(item.draft for item in both), 1.0, both[0].stopped_by, len(both[0].rounds))

    bench = Bench()
    assert await bench.run(role(think), Job()) == Outcome("a!!! bb!!", 1.0, "score", 4)
    await bench.replay()
