"""What waits for long has no slot: for another role, for a time, for a person; and none of it is lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from remit import Context, Message, Role, Team, tool
from remit.agents.agent import Agent, AgentSpec
from remit.agents.asker import Patience
from remit.contracts.charter import RoleLimits, RunLimits
from remit.contracts.control import DecideReview
from remit.contracts.ids import new_agent
from remit.contracts.message import decode
from remit.contracts.step import StepParked
from remit.supervisor import waits
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House

MOMENT_S = 0.2


class Wish(Message, frozen=True, kw_only=True, tag="waits.wish.v1"):
    asks: int = 1
    depth: int = 0
    text: str = ""
    until: datetime = datetime.fromtimestamp(0, UTC)


class Told(Message, frozen=True, kw_only=True, tag="waits.told.v1"):
    answers: int = 1
    text: str = ""


class Outside:
    """What the roles did, and how long the slow one takes."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.slow = 0
        self.began = 0
        self.reminded: list[str] = []


WORLD = Outside()


@pytest.fixture(autouse=True)
def world() -> Outside:
    WORLD.__init__()  # type: ignore[misc]  # the roles know it by name
    return WORLD


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment is shorter here, so that nobody waits for it; an agent asks anew as often."""
    monkeypatch.setattr(waits, "PARK_AFTER_S", MOMENT_S)


class Slow(Role[Wish, Told]):
    async def handle(self, work: Wish, ctx: Context) -> Told:
        WORLD.slow += 1
        await WORLD.may_end.wait()
        return Told(text=work.text)


class Boss(Role[Wish, Told]):
    """Asks many at once: a slow role, or its own."""

    async def handle(self, work: Wish, ctx: Context) -> Told:
        WORLD.began += 1
        if not work.asks:
            return Told(text=work.text)
        wishes = [Wish(asks=0, text=f"{work.text}{number}") for number in range(work.asks)]
        role: type[Role[Wish, Told]] = Boss if work.depth else Slow
        answers = await ctx.gather(*(ctx.ask(role, wish) for wish in wishes))
        return Told(answers=len({answer.text for answer in answers}))


class Sleeper(Role[Wish, Told]):
    async def handle(self, work: Wish, ctx: Context) -> Told:
        WORLD.began += 1
        await ctx.sleep_until(work.until)
        return Told(text=(await ctx.now()).isoformat())


class Careful(Role[Wish, Told]):
    """Waits for a time and for a person, whichever comes first."""

    async def handle(self, work: Wish, ctx: Context) -> Told:
        async def slept() -> str:
            await ctx.sleep_until(work.until)
            return "slept"

        async def asked() -> str:
            return (await ctx.review("may it?", {"text": work.text})).by

        return Told(text=" ".join(await ctx.gather(slept(), asked())))


@tool(risk="low", effect="idempotent")
async def remind(text: str, *, intent: str) -> None:
    """Remind somebody; it takes a moment."""
    await asyncio.sleep(MOMENT_S)
    WORLD.reminded.append(f"{text} {intent}")


class Reminder(Role[Wish, Told]):
    """Reminds a person who has not decided in time, and goes on waiting."""

    async def handle(self, work: Wish, ctx: Context) -> Told:
        async def reminding() -> str:
            await ctx.sleep_until(work.until)
            await ctx.call(remind, text=work.text)
            return "reminded"

        async def asked() -> str:
            return (await ctx.review("may it?", {"text": work.text})).by

        return Told(text=" ".join(await ctx.gather(reminding(), asked())))


team = Team(
    "waits",
    roles=[Slow, Boss, Sleeper, Careful, Reminder],
    tools=[remind],
    workflows={"boss": Boss, "sleep": Sleeper, "careful": Careful, "remind": Reminder},
)
RULES = charter(team, limits=RunLimits(wall_clock_s=60.0, steps=400), step=RoleLimits(attempts=2, deadline_s=30.0))


async def hired(house: House, role: str, slots: int) -> Agent:
    """Give a role's only agent, with so many slots, which asks anew after a moment."""
    await house.agents.pop(role).drain(0)
    patience = Patience(first_s=2 * MOMENT_S, most_s=2 * MOMENT_S)
    spec = AgentSpec(agent=new_agent(role), kind=team.roles[role], credentials=None, slots=slots, patience=patience)
    agent = await Agent.start(spec, host="host-1", url=house.url, on_bug=house.bugs.append, on_lost=house._on_lost)
    house.agents[role] = agent
    house._closing.append(lambda: agent.drain(0))
    return agent


async def test_a_step_that_asked_a_slow_role_has_no_slot_and_goes_on_with_the_answer(
    housing: Housing, world: Outside
) -> None:
    async with housing(team, RULES) as house:
        boss = await hired(house, "boss", 1)
        run = await house.submit("boss", Wish(asks=1, text="a"))
        parked = await house.last(run, "parked", StepParked)
        await house.until(lambda: boss.busy == 0)
        other = await house.run("boss", Wish(asks=0, text="b"))  # the one slot is free
        world.may_end.set()
        finished = await house.outcome(run)

    assert len(parked.steps) == 1
    assert other.outcome == "complete"
    assert decode(Told, finished.result).answers == 1
    assert world.slow == 1  # what was asked once is not asked again


async def test_an_answer_that_comes_while_the_supervisor_is_away_wakes_who_asked(
    housing: Housing, world: Outside
) -> None:
    async with housing(team, RULES) as house:
        boss = await hired(house, "boss", 1)
        run = await house.submit("boss", Wish(asks=3, text="a"))
        await house.last(run, "parked", StepParked)
        await house.until(lambda: boss.busy == 0)
        await house.supervisor.stop()
        world.may_end.set()
        await house.until(lambda: house.agents["slow"].busy == 0)
        await house.restart()
        finished = await house.outcome(run)

    assert decode(Told, finished.result).answers == 3
    assert world.slow == 3


@pytest.mark.parametrize("depth", [0, 1])
async def test_fifty_asks_at_once_of_a_role_with_two_slots_all_come_back(
    housing: Housing, world: Outside, depth: int
) -> None:
    """With depth, whoever asks and whoever is asked want the same two slots, which the askers hold."""
    world.may_end.set()

    async with housing(team, RULES) as house:
        await hired(house, "slow", 2)
        await hired(house, "boss", 2)
        runs = [await house.submit("boss", Wish(asks=50, depth=depth, text=f"{number}-")) for number in range(3)]
        finished = [await house.outcome(run) for run in runs]

    assert [decode(Told, outcome.result).answers for outcome in finished] == [50, 50, 50]


async def test_a_sleep_ends_in_time_over_a_restart_of_the_supervisor(housing: Housing, world: Outside) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2.5)

    async with housing(team, RULES) as house:
        run = await house.submit("sleep", Wish(until=until))
        parked = await house.last(run, "parked", StepParked)
        await house.until(lambda: house.agents["sleeper"].busy == 0)
        await house.restart()
        await house.lose("sleeper")
        finished = await house.outcome(run)
        woken_at = datetime.fromisoformat(decode(Told, finished.result).text)

    assert parked.until_at == until
    assert timedelta(0) <= woken_at - until < timedelta(seconds=1)
    assert world.began == 2


@pytest.mark.parametrize("is_person_first", [True, False])
async def test_a_time_and_a_person_are_waited_for_at_once(housing: Housing, *, is_person_first: bool) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)

    async with housing(team, RULES) as house:
        run = await house.submit("careful", Wish(until=until))
        opened = await house.opened(run)
        if not is_person_first:
            await house.appears(f"remit.run.{run}._.work.careful.careful.2")  # it was woken by its time
        decision = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", by="ann")
        await house.told("decide", decision)
        finished = await house.outcome(run)

    assert decode(Told, finished.result).text == "slept ann"
    assert datetime.now(UTC) >= until


async def test_a_call_beside_a_review_is_not_cut_off_by_the_waiting(housing: Housing, world: Outside) -> None:
    async with housing(team, RULES) as house:
        until = datetime.now(UTC) + timedelta(seconds=1.2)
        run = await house.submit("remind", Wish(until=until, text="decide"))
        opened = await house.opened(run)
        await house.until(lambda: bool(world.reminded))
        decision = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", by="ann")
        await house.told("decide", decision)
        finished = await house.outcome(run)

    assert decode(Told, finished.result).text == "reminded ann"
    assert len(world.reminded) == 1


async def test_two_hundred_runs_wait_without_a_slot_and_are_not_looked_at(housing: Housing, world: Outside) -> None:
    until = datetime.now(UTC) + timedelta(seconds=5)

    async with housing(team, RULES) as house:
        runs = [await house.submit("sleep", Wish(until=until)) for _ in range(200)]
        for run in runs:
            await house.last(run, "parked", StepParked)
        await house.until(lambda: house.agents["sleeper"].busy == 0)
        looked_at, waiting = list(house.supervisor.runs.active()), len(house.supervisor.runs.timers)
        finished = [await house.outcome(run) for run in runs]

    assert (looked_at, waiting) == ([], 200)
    assert {outcome.outcome for outcome in finished} == {"complete"}
    assert world.began == 400
