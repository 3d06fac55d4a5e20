"""Operators pause, resume, retry and fork runs; nothing that was done is done again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from remit import Context, Message, Plan, Role, Team, policy, state, step, tool
from remit.contracts.control import CancelRun, ForkChange, ForkRun, PauseRun, ResumeRun, RetryStep, RollbackRun
from remit.contracts.message import raw
from remit.contracts.step import Refused
from remit.contracts.task import RunFinished, RunStarted

if TYPE_CHECKING:
    from tests.integration.durable.conftest import Housing


class Ticket(Message, frozen=True, kw_only=True, tag="desk.ticket.v1"):
    text: str
    number: int = 0


class Answer(Message, frozen=True, kw_only=True, tag="desk.answer.v1"):
    text: str
    number: int = 0


class Outside:
    """The world, and how the tools behave in it."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.breaks = 0
        self.read = 0


WORLD = Outside()


@pytest.fixture(autouse=True)
def world() -> Outside:
    WORLD.__init__()  # type: ignore[misc]  # the tools know it by name
    return WORLD


@tool(risk="low", effect="idempotent")
async def send(to: str, *, intent: str) -> str:
    """Send something, once for every intent; it takes until the test says so."""
    WORLD.began.set()
    await WORLD.may_end.wait()
    WORLD.sent[f"{to} {intent}"] += 1
    return intent


class Reader(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        WORLD.read += 1
        await ctx.state.propose("note", work.text, base=0)
        return Answer(text=work.text, number=work.number + 1)


class Sender(Role[Answer, Answer]):
    async def handle(self, work: Answer, ctx: Context) -> Answer:
        await ctx.call(send, to="first")
        await ctx.call(send, to="second")
        return work


class Closer(Role[Answer, Answer]):
    async def handle(self, work: Answer, ctx: Context) -> Answer:
        if WORLD.breaks:
            WORLD.breaks -= 1
            raise OSError("it is broken")
        seen = await ctx.state.read("note", str)
        return Answer(text=f"{work.text} {seen.value}", number=work.number)


team = Team(
    "desk",
    roles=[Reader, Sender, Closer],
    tools=[send],
    state=[state("note", str, policy=policy.reject())],
    workflows={
        "ticket": Plan(
            step("read", Reader, checkpoint="read"),
            step("send", Sender, after="read"),
            step("close", Closer, after="send"),
        )
    },
)


async def test_a_pause_lets_the_call_in_flight_finish_and_no_other_one_begin(housing: Housing, world: Outside) -> None:
    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await world.began.wait()
        done = await house.told("pause", PauseRun(run_id=run, reason="lunch"))
        world.may_end.set()
        await house.appears(f"remit.run.{run}.send.call.0.returned")
        held = await house.entries(f"remit.run.{run}.send.call.1.>")
        await house.told("resume", ResumeRun(run_id=run))
        finished = await house.outcome(run)

    assert done.detail == f"{run} is paused by ann"
    assert held == []
    assert finished.outcome == "complete"
    assert sorted(world.sent.values()) == [1, 1]
    assert world.read == 1


async def test_a_paused_run_stays_paused_when_the_supervisor_starts_again(housing: Housing, world: Outside) -> None:
    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await world.began.wait()
        await house.told("pause", PauseRun(run_id=run))
        await house.restart()
        world.may_end.set()
        state_then = house.supervisor.runs.get(run)
        is_paused = state_then is not None and state_then.state.paused is not None
        await house.told("resume", ResumeRun(run_id=run))
        finished = await house.outcome(run)

    assert is_paused
    assert finished.outcome == "complete"
    assert sorted(world.sent.values()) == [1, 1]


async def test_a_run_that_failed_is_forked_and_goes_on_where_it_failed(housing: Housing, world: Outside) -> None:
    world.may_end.set()
    world.breaks = 2

    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        failed = await house.outcome(run)
        made = await house.told("fork", ForkRun(run_id=run))
        finished = await house.outcome(made.run_id)
        started = await house.last(made.run_id, "started", RunStarted)

    assert (failed.outcome, [item.step for item in failed.partial]) == ("failed", ["read", "send"])
    assert finished.outcome == "complete"
    assert bytes(finished.result) == bytes(raw(Answer(text="hello hello", number=1)))
    assert started.fork is not None
    assert started.fork.run_id == run
    assert (world.read, sorted(world.sent.values())) == (1, [1, 1])


async def test_a_fork_at_a_checkpoint_may_differ_from_its_past(housing: Housing, world: Outside) -> None:
    world.may_end.set()

    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await house.outcome(run)
        changes = (
            ForkChange(path="read.number", value=raw(7)),
            ForkChange(path="state.note", value=raw("good bye")),
        )
        made = await house.told("fork", ForkRun(run_id=run, at="read", changes=changes))
        finished = await house.outcome(made.run_id)

    assert bytes(finished.result) == bytes(raw(Answer(text="hello good bye", number=7)))
    assert world.read == 1
    assert len(world.sent) == 4  # what comes after the checkpoint is the fork's own


@pytest.mark.parametrize(
    ("wish", "code", "got"),
    [
        (ForkRun(run_id="r999"), "RM-209", "r999"),
        (ForkRun(run_id="r1", at="nowhere"), "RM-209", "nowhere"),
        (ForkRun(run_id="r1", changes=(ForkChange(path="elsewhere.x", value=raw(1)),)), "RM-211", "elsewhere.x"),
        (ForkRun(run_id="r1", changes=(ForkChange(path="read.number", value=raw("x")),)), "RM-211", "str"),
    ],
)
async def test_a_fork_that_makes_no_sense_is_refused(
    housing: Housing, world: Outside, wish: ForkRun, code: str, got: str
) -> None:
    world.may_end.set()

    async with housing(team) as house:
        await house.outcome(await house.submit("ticket", Ticket(text="hello")))
        answer = await house.control("fork", wish)

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.got) == (code, got)


async def test_nobody_makes_up_the_name_of_a_fork(housing: Housing) -> None:
    async with housing(team) as house:
        finished = await house.run("ticket", Ticket(text="hello"), fork="0123456789abcdef")

    assert (finished.outcome, finished.error and finished.error.code) == ("refused", "RM-209")


async def test_a_step_that_waits_after_a_failure_is_tried_again_at_once(housing: Housing, world: Outside) -> None:
    world.may_end.set()
    world.breaks = 1

    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await house.until(lambda: not world.breaks and bool(_failed(house, run)))
        done = await house.told("retry", RetryStep(run_id=run))
        finished = await house.outcome(run)
        rules = [entry.data for entry in await house.entries(f"remit.run.{run}._.work.closer.close.2")]

    assert done.detail == f"{run}: close dispatched again"
    assert finished.outcome == "complete"
    assert b"retry by ann" in rules[0]


def _failed(house: object, run: str) -> list[str]:
    found = house.supervisor.runs.get(run)  # type: ignore[attr-defined]  # a House
    return list(found.state.failed) if found is not None else []


async def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(housing: Housing, world: Outside) -> None:
    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await world.began.wait()
        answer = await house.control("rollback_run", RollbackRun(run_id=run, to="nowhere"))
        world.may_end.set()
        finished = await house.outcome(run)

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.expected, answer.error.got) == ("RM-209", "start, read", "nowhere")
    assert finished.outcome == "complete"


async def test_by_hand_a_run_is_taken_back_and_ended(housing: Housing, world: Outside) -> None:
    async with housing(team) as house:
        run = await house.submit("ticket", Ticket(text="hello"))
        await world.began.wait()
        wish = RollbackRun(run_id=run, to="read", reason="wrong mail", then="end")
        await house.told("rollback_run", wish)
        world.may_end.set()
        finished: RunFinished = await house.outcome(run)

    assert (finished.outcome, finished.stopped_by) == ("stopped", "rollback to read by ann")
    assert finished.error is not None
    assert finished.error.code == "RM-407"
    assert [item.step for item in finished.partial] == ["read"]
    assert sorted(world.sent.values()) == [1]  # the call that ran came to its end, and no other one began


class Half(Role[Ticket, Answer]):
    """Sends, and then breaks for good, the first two times."""

    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        seen = await ctx.state.read("note", str)
        key = await ctx.call(send, to="first")
        await ctx.state.propose("note", work.text, base=seen.version)
        if WORLD.breaks:
            WORLD.breaks -= 1
            raise OSError("it is broken")
        after = await ctx.state.read("note", str)
        await ctx.state.propose("note", f"{after.value} again", base=after.version)
        return Answer(text=f"{key} {after.value}", number=after.version)


half = Team(
    "desk",
    roles=[Half],
    tools=[send],
    state=[state("note", str, policy=policy.reject())],
    workflows={"half": Half},
)


async def test_a_step_that_was_half_done_is_not_begun_anew_by_a_retry(housing: Housing, world: Outside) -> None:
    world.may_end.set()
    world.breaks = 2

    async with housing(half) as house:
        run = await house.submit("half", Ticket(text="hello"))
        failed = await house.outcome(run)
        made = await house.told("fork", ForkRun(run_id=run))
        finished = await house.outcome(made.run_id)

    assert failed.outcome == "failed"
    assert finished.outcome == "complete", finished.error
    assert bytes(finished.result) == bytes(raw(Answer(text=f"{run}.half.1 hello", number=1)))
    assert dict(world.sent) == {f"first {run}.half.1": 1}


async def test_a_call_whose_end_nobody_knows_is_made_again_under_its_old_key(housing: Housing, world: Outside) -> None:
    """The receiver tells by the key that it was done; a call under a new one would be done twice."""
    async with housing(half) as house:
        run = await house.submit("half", Ticket(text="hello"))
        await world.began.wait()
        await house.told("cancel", CancelRun(run_id=run))
        await house.outcome(run)
        world.may_end.set()
        made = await house.told("fork", ForkRun(run_id=run))
        finished = await house.outcome(made.run_id)

    assert finished.outcome == "complete", finished.error
    assert list(world.sent) == [f"first {run}.half.1"]
