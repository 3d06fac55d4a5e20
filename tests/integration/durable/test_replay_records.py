"""A replay is answered from the same records as whoever held the step, and under the same limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import Context, Message, Role, Team, tool
from remit.contracts.charter import RoleLimits
from remit.contracts.control import ForkRun
from remit.replay import replay
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from remit.replay import Replayed
    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House


class Wish(Message, frozen=True, kw_only=True, tag="records.wish.v1"):
    text: str = ""


class Given(Message, frozen=True, kw_only=True, tag="records.given.v1"):
    text: str


WORLD: dict[str, object] = {}


@pytest.fixture(autouse=True)
def world() -> dict[str, object]:
    WORLD.clear()
    return WORLD


@tool(risk="low", effect="idempotent")
async def change(what: str, *, intent: str) -> str:
    """Change the world, once for every intent."""
    return f"{what} {intent}"


class Breaker(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        told = await ctx.call(change, what="first")
        if not WORLD.pop("is_whole", False):
            raise OSError("it is broken")
        return Given(text=told)


class Repeater(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        return Given(text=" ".join([await ctx.call(change, what="same") for _ in range(7)]))


class Sleeper(Role[Wish, Given]):
    async def handle(self, work: Wish, ctx: Context) -> Given:
        await ctx.sleep(1.2)
        told = await ctx.call(change, what=str(WORLD.get("what", "this")))
        await ctx.review("may it go on?", "now")
        return Given(text=told)


team = Team(
    "records",
    roles=[Breaker, Repeater, Sleeper],
    tools=[change],
    workflows={"break": Breaker, "repeat": Repeater, "sleep": Sleeper},
)


async def derived(house: House, run: str) -> Replayed:
    return await replay(house.journal, house.spec, run, roles=team.roles)


async def test_the_retry_of_a_run_is_derived_from_what_it_took_over(housing: Housing) -> None:
    async with housing(team, charter(team, step=RoleLimits(attempts=1))) as house:
        first = await house.submit("break", Wish())
        await house.outcome(first)
        WORLD["is_whole"] = True
        second = (await house.told("fork", ForkRun(run_id=first))).run_id
        finished = await house.outcome(second)
        WORLD["is_whole"] = True
        found = await derived(house, second)

    assert finished.outcome == "complete"
    assert found.is_same, found


async def test_a_step_is_derived_under_the_limits_of_its_grant(housing: Housing) -> None:
    async with housing(team, charter(team, step=RoleLimits(attempts=1, repeats=10))) as house:
        run = await house.submit("repeat", Wish())
        finished = await house.outcome(run)
        found = await derived(house, run)

    assert finished.outcome == "complete"
    assert found.is_same, found


async def test_what_a_step_did_after_it_slept_is_held_against_the_code(housing: Housing) -> None:
    async with housing(team) as house:
        run = await house.submit("sleep", Wish())
        await house.opened(run)
        same = await derived(house, run)
        WORLD["what"] = "that"
        other = await derived(house, run)

    assert [step.verdict for step in same.steps] == ["prefix"]
    assert [step.verdict for step in other.steps] == ["different"]
