"""What becomes of the steps of an agent that dies at a bad moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.contracts.step import StepLeased
from tests.integration.supervisor.test_step import ORDER
from tests.teams import Sheet, shop

if TYPE_CHECKING:
    import pytest

    from remit.contracts.lease import Lease
    from remit.supervisor.open_run import OpenRun
    from tests.integration.supervisor.world import World


async def test_work_that_a_dead_agent_had_not_claimed_goes_to_another_before_the_server_gives_it_up(
    world: World,
) -> None:
    supervisor = await world.supervise(shop())
    dead = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    given = await dead.take()
    await dead.leave()
    other = await world.agent("clerk")

    supervisor.agent_gone(dead.name)
    async with asyncio.timeout(3.0):  # the server waits for ten
        again = await other.take()
    await other.claim(again)
    await other.complete(again, Sheet(total=2))

    assert (given.epoch, again.epoch, again.attempt) == (1, 2, 1)
    assert (await world.outcome(run)).outcome == "complete"


async def test_work_that_waits_in_the_stream_is_left_there_when_an_agent_dies(world: World) -> None:
    supervisor = await world.supervise(shop())
    run = await world.submit("order", ORDER)
    await world.appears(f"remit.run.{run}._.work.>")

    supervisor.agent_gone("clerk-0123456789")
    await supervisor._deaths._in_hand("clerk", "host gone")
    clerk = await world.agent("clerk")
    work = await clerk.take()

    assert work.epoch == 1


async def test_a_lease_that_was_on_its_way_to_the_journal_when_its_agent_died_is_ended(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()
    known = supervisor.runs.get(run)
    assert known is not None

    async with known.lock:
        claim = asyncio.create_task(clerk.claim(work))
        while not known.lock._waiters:  # the claim is in the supervisor's hands
            await asyncio.sleep(0.001)
        supervisor.agent_gone(clerk.name)
    await claim
    again = await clerk.take()

    assert (again.epoch, again.rule) == (2, f"host of {clerk.name} gone")


async def test_a_step_whose_end_is_in_the_journal_is_not_begun_again_when_its_agent_dies(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    supervisor._loops[0]._on_delivery = lambda _: None  # it has not heard of it yet

    await clerk.complete(work, Sheet(total=1))
    supervisor.agent_gone(clerk.name)
    finished = await world.outcome(run)

    assert (finished.outcome, finished.steps) == ("complete", 1)


async def test_what_a_holder_records_until_the_next_lease_is_journaled_is_known_to_the_next_holder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two records of one position would both count, and the next to read them would go by the other one."""
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    work = await clerk.hold()
    journal_lease = supervisor.runs.lease

    async def recorded_meanwhile(run: OpenRun, lease: Lease) -> bool:
        await clerk.record(work, "0", "seven")
        return await journal_lease(run, lease)

    monkeypatch.setattr(supervisor.runs, "lease", recorded_meanwhile)
    supervisor.gateway_gone(world.pools.names[0])
    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)
    assert [record.position for record in answer.recorded] == ["0"]
