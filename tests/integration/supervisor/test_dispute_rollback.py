"""A run goes back while its proposals are disputed: what is kept is decided, what is taken back is never committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.control import ControlDone, DecideReview, RollbackRun
from remit.contracts.message import decode, raw
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.proposal import StateCommitted, StateParked
from remit.contracts.rollback import RolledBack
from remit.contracts.step import Superseded
from tests.teams import Note, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.blob import BlobRef
    from remit.contracts.step import RunStep
    from remit.contracts.team import TeamSpec
    from remit.supervisor.service import Supervisor
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


def marked() -> TeamSpec:
    """Give a shop with a checkpoint between its two steps."""
    first = Node(name="sheet", role="clerk", checkpoint="written")
    return shop(workflows={"marked": PlanSpec(nodes=(first, Node(name="check", role="auditor", after=("sheet",))))})


async def begun(world: World) -> tuple[Agent, RunStep]:
    clerk = await world.agent("clerk")
    await world.submit("marked", Order(customer="ann"))
    return clerk, await clerk.hold()


async def disputed(clerk: Agent, work: RunStep) -> StateParked:
    assert isinstance(await clerk.propose(work, "doc.a", Note(price=3), position="0"), StateCommitted)
    parked = await clerk.propose(work, "doc.a", Note(price=5), position="1")
    assert isinstance(parked, StateParked), parked
    return parked


async def go_back(world: World, run: str, to: str) -> RolledBack:
    told = await world.control("rollback_run", RollbackRun(run_id=run, to=to, reason="it is wrong"))
    assert isinstance(told, ControlDone), told
    return decode(RolledBack, (await world.appears(f"remit.run.{run}._.*.rolled_back")).data)


async def decided(world: World, run: str) -> None:
    opened = await world.opened(run)
    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", value=raw(None))
    assert isinstance(await world.control("decide", wish), ControlDone)


async def document(world: World, run: str, version: int) -> Note:
    found = decode(StateCommitted, (await world.appears(subject.state(run, "doc.a", version))).data)
    return msgspec.json.decode(found.value, type=Note)


async def test_a_dispute_of_a_step_that_is_kept_is_decided_after_a_rollback(world: World) -> None:
    await world.supervise(marked())
    clerk, work = await begun(world)
    auditor = await world.agent("auditor")
    await disputed(clerk, work)
    await clerk.complete(work, Sheet())
    await auditor.hold()

    await go_back(world, work.run_id, "written")
    await decided(world, work.run_id)

    assert await document(world, work.run_id, 2) == Note(price=5)


async def test_what_was_written_beside_a_dispute_is_put_back(world: World) -> None:
    await world.supervise(marked())
    clerk, work = await begun(world)
    auditor = await world.agent("auditor")
    await disputed(clerk, work)
    await clerk.complete(work, Sheet())
    beside = await auditor.propose(await auditor.hold(), "doc.a", Note(price=3, text="t"), base=1)

    done = await go_back(world, work.run_id, "written")
    await decided(world, work.run_id)

    assert isinstance(beside, StateCommitted)
    assert (done.restored, done.lasting) == (("doc.a",), ())
    assert await document(world, work.run_id, 4) == Note(price=5)


async def test_a_proposal_that_is_about_to_be_stored_is_not_stored_behind_a_rollback(world: World) -> None:
    supervisor = await world.supervise(marked())
    clerk, work = await begun(world)
    reached, may_go_on = asyncio.Event(), asyncio.Event()
    stored = supervisor.arbiter.archive.stored

    async def slowly(value: bytes) -> tuple[msgspec.Raw, BlobRef | None]:
        reached.set()
        await may_go_on.wait()  # a large value is put into the object store first
        return await stored(value)

    supervisor.arbiter.archive.stored = slowly  # type: ignore[method-assign]
    asked = asyncio.create_task(clerk.propose(work, "doc.a", Note(price=3)))
    await reached.wait()
    await go_back(world, work.run_id, "start")
    may_go_on.set()

    assert isinstance(await asked, Superseded)
    assert await world.entries(subject.state_filter(work.run_id)) == []


async def test_nobody_is_asked_about_a_proposal_whose_step_is_taken_back_meanwhile(world: World) -> None:
    supervisor = await world.supervise(marked())
    clerk, work = await begun(world)
    assert isinstance(await clerk.propose(work, "doc.a", Note(price=3), position="0"), StateCommitted)
    run = supervisor.runs.get(work.run_id)
    assert run is not None

    async with run.lock:  # somebody decides; both wait for their turn, the rollback first
        back = asyncio.create_task(go_back(world, work.run_id, "start"))
        await _waiting(supervisor, work.run_id, 1)
        asked = asyncio.create_task(clerk.propose(work, "doc.a", Note(price=5), position="1"))
        await _waiting(supervisor, work.run_id, 2)
    answer = await asked
    done = await back

    assert not isinstance(answer, StateParked)
    assert not done.lasting
    assert await world.entries(f"remit.run.{work.run_id}._.*.review_opened") == []
    assert not supervisor.disputes.open


async def _waiting(supervisor: Supervisor, run: str, count: int) -> None:
    lock = supervisor.runs._open[run].lock
    async with asyncio.timeout(5):
        while len(lock._waiters or ()) < count:  # nobody else says who waits
            await asyncio.sleep(0.01)
