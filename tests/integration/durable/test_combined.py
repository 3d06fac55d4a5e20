"""Retries of retries, rollbacks of retries, compensations that wait: each effect once, and each undone once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit import Context, Message, Plan, ProposedPlan, Role, Team, Undo, propose, rollback, step, tool, undo, when
from remit.contracts.charter import RoleLimits, RunLimits
from remit.contracts.control import CancelRun, ForkRun, PauseRun, ResumeRun, RollbackRun
from remit.contracts.rollback import RolledBack
from remit.contracts.step import Refused
from remit.replay import replay
from remit.supervisor import waits
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.contracts.charter import Charter
    from remit.contracts.task import RunFinished
    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House


class Wish(Message, frozen=True, kw_only=True, tag="combined.wish.v1"):
    text: str = ""


class Given(Message, frozen=True, kw_only=True, tag="combined.given.v1"):
    text: str = ""
    ok: bool = True


class Gone(Message, frozen=True, kw_only=True, tag="combined.gone.v1"):
    undone: bool


class Outside:
    """What happened outside, and how the roles behave."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.undone: list[tuple[str, tuple[str, ...]]] = []
        self.breaks = 0
        self.bad = 1
        self.slowed = 0
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.compensation: Callable[[Context], Awaitable[object]] | None = None
        self.plan: Callable[[Context], ProposedPlan] = lambda _ctx: propose()


WORLD = Outside()


@pytest.fixture(autouse=True)
def world() -> Outside:
    WORLD.__init__()  # type: ignore[misc]  # the roles know it by name
    WORLD.may_end.set()
    return WORLD


@tool(risk="low", effect="idempotent")
async def change(*, intent: str) -> str:
    """Change the world, once for every intent; the answer takes until the test says so."""
    if intent not in WORLD.done:
        WORLD.done.append(intent)
    WORLD.began.set()
    await WORLD.may_end.wait()
    return intent


class Worker(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        return Given(text=work.text)


class Changer(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        key = await ctx.call(change)
        if WORLD.breaks:
            WORLD.breaks -= 1
            raise OSError("it is broken")
        return Given(text=key)


class Judge(Role[Wish, Given]):
    """Finds bad what it is asked about, so many times."""

    async def handle(self, work: Wish, ctx: Context) -> Given:
        WORLD.bad -= 1
        return Given(ok=WORLD.bad < 0)


class Slow(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        WORLD.slowed += 1
        if work.text == "fail once" and WORLD.slowed == 1:
            raise OSError("once")
        await asyncio.sleep(float(work.text) if work.text[:1].isdigit() else 0)
        return Given(text=work.text)


class Remover(Role[Undo, Gone]):
    async def handle(self, work: Undo, ctx: Context) -> Gone:
        told = (work.step, tuple(effect.intent for effect in work.effects))
        if told not in WORLD.undone:
            WORLD.undone.append(told)
        if WORLD.compensation is not None:
            await WORLD.compensation(ctx)
        return Gone(undone=True)


class Planner(Role[Wish, ProposedPlan]):
    async def handle(self, work: Wish, ctx: Context) -> ProposedPlan:
        return WORLD.plan(ctx)


class Marker(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        before = await ctx.ask(Slow, Wish(text="before"))
        await ctx.checkpoint("half")
        after = await ctx.ask(Slow, Wish(text="after"))
        await ctx.call(change)
        return Given(text=before.text + after.text)


BACK = undo(Remover, when("undo.undone"))
JUDGED = rollback("start", when=when("judge.ok", "eq", value=False))
CHANGED = (
    step("a", Worker),
    step("b", Changer, after="a", undo=BACK, message=Wish()),
    step("judge", Judge, after="b", message=Wish()),
)


def made(plan: Plan) -> Team:
    return Team(
        "combined",
        roles=[Worker, Changer, Judge, Slow, Remover, Planner, Marker],
        tools=[change],
        workflows={"wish": plan},
    )


def rules_of(team: Team, *, attempts: int = 1, deadline_s: float = 20.0) -> Charter:
    """Give a charter under which those who change something have the tool."""
    limits = RunLimits(wall_clock_s=60.0, steps=200)
    rules = charter(team, limits=limits, step=RoleLimits(attempts=attempts, deadline_s=deadline_s))
    tools = {"changer", "marker"}
    roles = {
        name: rule.model_copy(update={"tools": ("change",) if name in tools else ()})
        for name, rule in rules.roles.items()
    }
    return rules.model_copy(update={"roles": roles})


async def ended(house: House, run: str) -> RunFinished:
    """Give the outcome of a run, which its journal gives again."""
    finished = await house.outcome(run)
    assert (await replay(house.journal, house.spec, run)).is_same
    return finished


# --- retries of retries --------------------------------------------------------------------------


async def test_the_retry_of_a_retry_does_nothing_again(housing: Housing, world: Outside) -> None:
    team = made(Plan(*CHANGED))
    world.breaks, world.bad = 2, 0

    async with housing(team, rules_of(team)) as house:
        first = await house.submit("wish", Wish())
        await ended(house, first)
        second = (await house.told("fork", ForkRun(run_id=first))).run_id
        await ended(house, second)
        third = (await house.told("fork", ForkRun(run_id=second))).run_id
        finished = await ended(house, third)

    assert finished.outcome == "complete"
    assert world.done == [f"{first}.b.0"]


@pytest.mark.parametrize("is_begun_in_between", [True, False])
async def test_a_call_without_a_known_end_keeps_its_first_key(
    housing: Housing, world: Outside, *, is_begun_in_between: bool
) -> None:
    team = made(Plan(*CHANGED))
    world.bad = 0
    world.may_end.clear()

    async with housing(team, rules_of(team)) as house:
        first = await house.submit("wish", Wish())
        await world.began.wait()
        await cancelled(house, first)
        if not is_begun_in_between:
            await house.agents.pop("changer").drain(0)
        second = (await house.told("fork", ForkRun(run_id=first))).run_id
        await house.appears(f"remit.run.{second}._.work.changer.b.1")
        if is_begun_in_between:
            await world.began.wait()
        await cancelled(house, second)
        if not is_begun_in_between:
            await house.hire("changer")
        world.may_end.set()
        third = (await house.told("fork", ForkRun(run_id=second))).run_id
        finished = await ended(house, third)

    assert finished.outcome == "complete"
    assert world.done == [f"{first}.b.0"]


async def cancelled(house: House, run: str) -> None:
    """The run is cancelled, and whatever began of it is forgotten."""
    await house.told("cancel", CancelRun(run_id=run))
    await ended(house, run)
    WORLD.began.clear()


# --- rollbacks of what was taken over, and of what was planned -----------------------------------


async def test_a_rollback_of_a_retry_undoes_what_the_retry_took_over(housing: Housing, world: Outside) -> None:
    team = made(Plan(*CHANGED, rollbacks=[JUDGED]))
    world.breaks = 1

    async with housing(team, rules_of(team)) as house:
        first = await house.submit("wish", Wish())
        await ended(house, first)
        second = (await house.told("fork", ForkRun(run_id=first))).run_id
        finished = await ended(house, second)

    assert finished.outcome == "complete"
    assert world.undone == [("b", (f"{first}.b.0",))]
    assert world.done == [f"{first}.b.0", f"{second}.b.1000000"]


async def test_what_was_undone_is_not_undone_again_when_its_planner_begins_again(
    housing: Housing, world: Outside
) -> None:
    team = made(Plan(step("plan", Planner), step("end", Worker, after="plan", message=Wish())))
    world.plan = lambda _ctx: propose(
        step("x", Changer, after=(), message=Wish(), undo=BACK), step("wait", Slow, after="x", message=Wish(text="1"))
    )

    async with housing(team, rules_of(team)) as house:
        run = await house.submit("wish", Wish())
        for number in (1, 2):
            await house.until(lambda number=number: world.slowed == number)  # type: ignore[misc]  # bound now
            await house.told("rollback_run", RollbackRun(run_id=run, to="start"))
        finished = await ended(house, run)

    assert finished.outcome == "complete"
    assert world.undone == [("x", (f"{run}.x.0",)), ("x", (f"{run}.x.1000000",))]


async def test_a_fork_has_the_plan_that_its_origin_had(housing: Housing, world: Outside) -> None:
    team = made(Plan(step("plan", Planner), step("late", Changer, after="plan", message=Wish())))
    world.plan = lambda _ctx: propose(
        step("x", Worker, after=(), message=Wish(text="x"), checkpoint="half"),
        step("y", Worker, after="x", message=Wish(text="y")),
        drop=("late",),
    )

    async with housing(team, rules_of(team)) as house:
        run = await house.submit("wish", Wish())
        await ended(house, run)
        fork = (await house.told("fork", ForkRun(run_id=run, at="half"))).run_id
        finished = await ended(house, fork)
        steps = [kind for kind in await house.lane(fork) if kind[-1].isdigit()]

    assert finished.outcome == "complete"
    assert steps == ["y.1"]
    assert world.done == []


async def test_a_run_that_is_being_rolled_back_is_not_forked_from_what_it_has(housing: Housing, world: Outside) -> None:
    team = made(Plan(*CHANGED, rollbacks=[JUDGED]))
    world.compensation = lambda ctx: ctx.ask(Slow, Wish(text="0.5"))

    async with housing(team, rules_of(team)) as house:
        run = await house.submit("wish", Wish())
        await house.until(lambda: bool(world.undone))
        answer = await house.control("fork", ForkRun(run_id=run))
        finished = await ended(house, run)

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-210"
    assert finished.outcome == "complete"


async def test_what_a_step_asked_before_its_checkpoint_stays_answered(housing: Housing, world: Outside) -> None:
    last = step("wait", Slow, after="mark", message=Wish(text="1"))
    team = made(Plan(step("a", Worker), step("mark", Marker, after="a", undo=BACK, message=Wish()), last))

    async with housing(team, rules_of(team, attempts=2, deadline_s=5.0)) as house:
        run = await house.submit("wish", Wish())
        await house.until(lambda: world.slowed == 3)
        await house.told("rollback_run", RollbackRun(run_id=run, to="half"))
        finished = await ended(house, run)
        asked = [kind for kind in await house.lane(run) if kind.startswith("mark-a")]

    assert finished.outcome == "complete"
    assert asked == ["mark-a0.1", "mark-a2.1", "mark-a1000000.1"]
    assert world.undone == [("mark", (f"{run}.mark.3",))]


# --- compensations that wait ---------------------------------------------------------------------


WAITS: dict[str, Callable[[Context], Awaitable[object]]] = {
    "a time": lambda ctx: ctx.sleep(1.5),
    "an answer": lambda ctx: ctx.ask(Slow, Wish(text="4")),
    "a role that fails once": lambda ctx: ctx.ask(Slow, Wish(text="fail once")),
}


@pytest.mark.parametrize("what", WAITS)
async def test_a_compensation_may_wait(
    housing: Housing, world: Outside, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(waits, "PARK_AFTER_S", 0.2)
    team = made(Plan(*CHANGED, rollbacks=[JUDGED]))
    world.compensation = WAITS[what]

    async with housing(team, rules_of(team, attempts=2, deadline_s=8.0)) as house:
        run = await house.submit("wish", Wish())
        finished = await ended(house, run)
        done = await house.last(run, "rolled_back", RolledBack)

    assert finished.outcome == "complete"
    assert done.undone == ("b",)


async def test_a_compensation_that_waits_too_long_has_failed(
    housing: Housing, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.supervisor.dispatch.UNDO_LIMITS", 1)
    team = made(Plan(*CHANGED, rollbacks=[JUDGED]))
    world.compensation = lambda ctx: ctx.review("may it?", "nobody decides")
    rules = rules_of(team, deadline_s=1.5)
    rules = rules.model_copy(update={"limits": RunLimits(wall_clock_s=1.0, steps=200)})

    async with housing(team, rules) as house:
        finished = await ended(house, await house.submit("wish", Wish()))

    assert (finished.outcome, finished.stopped_by) == ("failed", "rollback to start")
    assert finished.error is not None
    assert finished.error.got.startswith("step b: remover failed to undo it: RM-401")


# --- pauses --------------------------------------------------------------------------------------


async def test_an_end_that_nobody_had_heard_before_a_pause_never_happened(housing: Housing, world: Outside) -> None:
    """It stands in the journal before the pause; whoever reads that says the same as who made it."""
    team = made(Plan(*CHANGED))
    world.bad = 0

    async with housing(team, rules_of(team, attempts=2)) as house:
        house.supervisor._loops[0]._on_delivery = lambda _: None  # it hears of no end any more
        run = await house.submit("wish", Wish())
        await house.appears(f"remit.run.{run}.a.*.*.completed")
        await house.told("pause", PauseRun(run_id=run))
        await house.restart()
        found = house.supervisor.runs.get(run)
        is_open = found is not None and found.state.steps["a"].status == "decided"
        await house.told("resume", ResumeRun(run_id=run))
        finished = await ended(house, run)

    assert is_open
    assert finished.outcome == "complete"
