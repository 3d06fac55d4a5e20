"""Every run of a house is derived again from its journal, with no call made, to the same state and the same replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.control import PauseRun, ResumeRun
from remit.replay import replay
from tests.integration.durable import test_rollback as trips
from tests.integration.durable import test_steering as desk

if TYPE_CHECKING:
    import pytest

    from remit import Context
    from tests.integration.durable.conftest import Housing


async def test_a_run_that_was_rolled_back_is_derived_again(housing: Housing) -> None:
    trips.WORLD["done"].clear()
    async with housing(trips.team) as house:
        run = await house.submit("trip", trips.Trip(to="Rome"))
        finished = await house.outcome(run)
        done = list(trips.WORLD["done"])
        found = await replay(house.journal, house.spec, run, roles=trips.team.roles)

    assert found.is_same, found
    assert found.state_hash == finished.state_hash
    assert {step.verdict for step in found.steps} == {"same"}
    assert len(found.steps) == 5
    assert trips.WORLD["done"] == done


async def test_a_run_that_was_paused_and_restarted_is_derived_again(housing: Housing) -> None:
    desk.WORLD.__init__()  # type: ignore[misc]  # a fresh world
    async with housing(desk.team) as house:
        run = await house.submit("ticket", desk.Ticket(text="hello"))
        await desk.WORLD.began.wait()
        await house.told("pause", PauseRun(run_id=run))
        await house.restart()
        desk.WORLD.may_end.set()
        await house.told("resume", ResumeRun(run_id=run))
        await house.outcome(run)
        found = await replay(house.journal, house.spec, run, roles=desk.team.roles)

    assert found.is_same, found
    assert {step.verdict for step in found.steps} == {"same"}


async def test_code_that_decides_otherwise_is_told_apart(housing: Housing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(_self: object, work: desk.Answer, ctx: Context) -> desk.Answer:
        await ctx.call(desk.send, to="second")
        return work

    desk.WORLD.__init__()  # type: ignore[misc]  # a fresh world
    desk.WORLD.may_end.set()
    async with housing(desk.team) as house:
        run = await house.submit("ticket", desk.Ticket(text="hello"))
        await house.outcome(run)
        monkeypatch.setattr(desk.Sender, "handle", other)
        found = await replay(house.journal, house.spec, run, roles=desk.team.roles)

    sender = next(step for step in found.steps if step.step == "send")
    assert not found.is_same
    assert sender.verdict == "different"
    assert sender.why.startswith("RM-208")
