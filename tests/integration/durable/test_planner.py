"""A role proposes the plan: it is taken in, or comes back with every reason, a bounded number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import Context, Message, Plan, ProposedPlan, Role, Team, Undo, propose, rollback, step, tool, undo, when
from remit.contracts.charter import RoleLimits
from remit.contracts.message import decode
from remit.contracts.plan import PlanAccepted, PlanRefused
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.contracts.charter import Charter
    from tests.integration.durable.conftest import Housing


class Wish(Message, frozen=True, kw_only=True, tag="plans.wish.v1"):
    text: str


class Part(Message, frozen=True, kw_only=True, tag="plans.part.v1"):
    text: str


class Whole(Message, frozen=True, kw_only=True, tag="plans.whole.v1"):
    one: Part
    two: Part


class Gone(Message, frozen=True, kw_only=True, tag="plans.gone.v1"):
    undone: bool


@tool(risk="low", effect="idempotent")
async def change(what: str, *, intent: str) -> str:
    """Change the world."""
    return f"{what} {intent}"


class Worker(Role[Wish, Part]):
    async def handle(self, work: Wish, ctx: Context) -> Part:
        return Part(text=work.text.upper())


class Joiner(Role[Whole, Part]):
    async def handle(self, work: Whole, ctx: Context) -> Part:
        return Part(text=f"{work.one.text} {work.two.text}")


class Changer(Role[Wish, Part]):
    async def handle(self, work: Wish, ctx: Context) -> Part:
        return Part(text=await ctx.call(change, what=work.text))


class Remover(Role[Undo, Gone]):
    async def handle(self, work: Undo, ctx: Context) -> Gone:
        return Gone(undone=True)


class Judged(Message, frozen=True, kw_only=True, tag="plans.judged.v1"):
    ok: bool


class Judge(Role[Wish, Judged]):
    async def handle(self, work: Wish, ctx: Context) -> Judged:
        return Judged(ok=ctx.rolled_back is not None)


SCRIPT: dict[str, Callable[[Context], ProposedPlan]] = {}


class Planner(Role[Wish, ProposedPlan]):
    async def handle(self, work: Wish, ctx: Context) -> ProposedPlan:
        return SCRIPT["plan"](ctx)


class Careful(Role[Wish, Part]):
    """A role without any tool that changes something."""

    async def handle(self, work: Wish, ctx: Context) -> Part:
        return Part(text=work.text)


team = Team(
    "plans",
    roles=[Planner, Worker, Joiner, Changer, Remover, Careful],
    tools=[change],
    workflows={"wish": Plan(step("plan", Planner))},
)
WORKERS = (
    step("one", Worker, after=(), message=Wish(text="a")),
    step("two", Worker, after=(), message=Wish(text="b")),
    step("join", Joiner, after=("one", "two")),
)


def rules_of(planned: Team) -> Charter:
    """Give a charter under which only the changer has a tool."""
    rules = charter(planned, step=RoleLimits(attempts=3, deadline_s=20.0))
    roles = {
        name: rule.model_copy(update={"tools": ("change",) if name == "changer" else ()})
        for name, rule in rules.roles.items()
    }
    return rules.model_copy(update={"roles": roles})


RULES = rules_of(team)


async def test_what_a_planner_proposes_is_the_plan_of_the_run(housing: Housing) -> None:
    SCRIPT["plan"] = lambda _ctx: propose(*WORKERS, reason="two halves")

    async with housing(team, RULES) as house:
        run = await house.submit("wish", Wish(text="x"))
        finished = await house.outcome(run)
        planned = await house.entries(f"remit.run.{run}._.*.planned")

    assert finished.outcome == "complete"
    assert bytes(finished.result) == b'{"type":"plans.part.v1","text":"A B"}'
    rules = [decode(PlanAccepted, entry.data).rule for entry in planned]
    assert "proposed by plan: two halves" in rules


BAD: dict[str, tuple[Callable[[], ProposedPlan], str]] = {
    "unknown dependency": (
        lambda: propose(step("one", Worker, after="nobody")),
        "waits for a node that does not exist",
    ),
    "cycle": (
        lambda: propose(
            step("one", Worker, after="two", message=Wish(text="a")),
            step("two", Worker, after="one", message=Wish(text="a")),
        ),
        "the plan has a cycle",
    ),
    "given up twice": (lambda: ProposedPlan(drop=("plan", "plan")), "a node is given up twice"),
    "cycle before a join": (
        lambda: propose(
            step("one", Worker, after="two", message=Wish(text="a")),
            step("two", Worker, after="one", message=Wish(text="a")),
            step("join", Joiner, after=("one", "two")),
        ),
        "the plan has a cycle",
    ),
    "too large": (
        lambda: propose(*(step(f"n{number}", Worker, after=(), message=Wish(text="a")) for number in range(501))),
        "the plan is too large",
    ),
    "edge": (
        lambda: propose(step("one", Worker, after=(), message=Wish(text="a")), step("two", Joiner, after="one")),
        "the message does not fit along this edge",
    ),
    "message": (
        lambda: propose(step("one", Worker, after=(), message=Part(text="a"))),
        "the message of node one does not fit Wish",
    ),
    "effects without a compensation": (
        lambda: propose(step("one", Changer, after=(), message=Wish(text="a"))),
        "node one may change the world, and nothing undoes it",
    ),
    "shares": (
        lambda: propose(
            step("one", Worker, after=(), message=Wish(text="a"), share=0.7),
            step("two", Worker, after=(), message=Wish(text="a"), share=0.7),
        ),
        "the shares are more than the whole",
    ),
    "deadline": (
        lambda: propose(step("one", Worker, after=(), message=Wish(text="a"), deadline_s=9000)),
        "the deadline is beyond the role's",
    ),
    "name taken": (lambda: propose(step("plan", Worker, after=(), message=Wish(text="a"))), "cannot name a node"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_plan_comes_back_with_its_reason_and_a_better_one_is_taken(housing: Housing, kind: str) -> None:
    bad, said = BAD[kind]
    heard: list[str] = []

    def plan(ctx: Context) -> ProposedPlan:
        heard.extend(refusal.message for refusal in ctx.refusals)
        return propose(*WORKERS) if ctx.refusals else bad()

    SCRIPT["plan"] = plan
    async with housing(team, RULES) as house:
        run = await house.submit("wish", Wish(text="x"))
        finished = await house.outcome(run)
        refused = await house.last(run, "plan_refused", PlanRefused)

    assert finished.outcome == "complete", finished
    assert any(said in message for message in heard), heard
    assert refused.errors[0].code == "RM-204"


async def test_a_planner_that_learns_nothing_is_stopped(housing: Housing) -> None:
    asked: list[int] = []

    def plan(ctx: Context) -> ProposedPlan:
        asked.append(ctx.attempt)
        return propose(step("one", Worker, after="nobody"), step("two", Joiner, after="one", share=2))

    SCRIPT["plan"] = plan
    async with housing(team, RULES) as house:
        run = await house.submit("wish", Wish(text="x"))
        finished = await house.outcome(run)

    assert asked == [1, 2, 3]
    assert (finished.outcome, finished.stopped_by) == ("failed", "plan proposed by step plan")
    assert finished.error is not None
    assert (finished.error.code, finished.error.got) == ("RM-204", "nobody")


async def test_a_plan_with_a_compensation_may_change_the_world(housing: Housing) -> None:
    back = undo(Remover, when("undo.undone"))
    SCRIPT["plan"] = lambda _ctx: propose(step("one", Changer, after=(), message=Wish(text="a"), undo=back))

    async with housing(team, RULES) as house:
        finished = await house.run("wish", Wish(text="x"))

    assert finished.outcome == "complete"


async def test_a_plan_is_revised_in_flight_and_what_is_finished_stays(housing: Housing) -> None:
    revisable = Team(
        "plans",
        roles=[Planner, Worker, Joiner, Changer, Remover, Careful],
        tools=[change],
        workflows={
            "wish": Plan(
                step("first", Worker),
                step("plan", Planner, message=Wish(text="again"), after="first"),
                step("late", Careful, message=Wish(text="late"), after="plan"),
            )
        },
    )
    SCRIPT["plan"] = lambda _ctx: propose(
        step("better", Worker, after="first", message=Wish(text="better")), drop=("late",), reason="late is useless"
    )

    async with housing(revisable, RULES) as house:
        run = await house.submit("wish", Wish(text="x"))
        finished = await house.outcome(run)
        steps = [kind for kind in await house.lane(run) if kind[-1].isdigit()]

    assert finished.outcome == "complete"
    assert bytes(finished.result) == b'{"type":"plans.part.v1","text":"BETTER"}'
    assert steps == ["first.1", "plan.1", "better.1"]


async def test_what_a_planner_gave_up_is_there_again_when_the_plan_is_taken_back(housing: Housing) -> None:
    judged = Team(
        "plans",
        roles=[Planner, Worker, Joiner, Changer, Remover, Careful, Judge],
        tools=[change],
        workflows={
            "wish": Plan(
                step("first", Worker, checkpoint="begun"),
                step("plan", Planner, message=Wish(text="again"), after="first"),
                step("judge", Judge, message=Wish(text="is it good?"), after="plan"),
                step("late", Careful, message=Wish(text="late"), after="judge"),
                rollbacks=[rollback("begun", when=when("judge.ok", "eq", value=False))],
            )
        },
    )
    told: list[bool] = []

    def plan(ctx: Context) -> ProposedPlan:
        if ctx.rolled_back is None:
            return propose(drop=("late",), reason="late is useless")
        told.append(ctx.rolled_back.reply_as(Judged).ok)
        return propose(step("more", Worker, after="late", message=Wish(text="more")))

    SCRIPT["plan"] = plan
    async with housing(judged, rules_of(judged)) as house:
        run = await house.submit("wish", Wish(text="x"))
        finished = await house.outcome(run)
        steps = [kind for kind in await house.lane(run) if kind[-1].isdigit()]

    assert finished.outcome == "complete", finished
    assert told == [False]
    assert steps == ["first.1", "plan.1", "judge.1", "plan.2", "judge.2", "late.1", "more.1"]
