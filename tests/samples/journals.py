"""The runs whose journals are stored, one function each: a new kind of entry gets a run here that writes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from remit.contracts.control import DecideReview
from remit.contracts.message import digest_of
from remit.contracts.review import ReviewOutcome
from remit.contracts.step import Parked
from tests.teams import Check, Line, Order, Packed, Receipt, Sheet, shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from remit.contracts.message import Message
    from remit.contracts.step import RunStep
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann", lines=(Line(name="tea", count=2), Line(name="rice")))
PLAN = {"send": "everything"}


async def one_step(world: World) -> None:
    """A step is claimed, records what it did, and replies."""
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    await clerk.record(work, "0", {"thought": "much"})
    await clerk.complete(work, Sheet(total=3))
    await world.outcome(run)


async def plan(world: World) -> None:
    """A plan fans out, takes a condition, and joins."""
    replies: Mapping[str, Callable[[RunStep], Message]] = {
        "clerk": lambda _work: Sheet(lines=ORDER.lines, urgent=True),
        "packer": lambda _work: Packed(name="tea", weight=3),
        "auditor": lambda _work: Check(ok=True),
        "shipper": lambda _work: Receipt(number=7),
    }
    for role, reply in replies.items():
        await world.staff(role, reply)
    await world.outcome(await world.submit("gate", ORDER))


async def ask_and_review(world: World) -> None:
    """A step asks another role, then a person, who approves; it is dispatched again, and ends."""
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    asking = asyncio.create_task(clerk.ask(work, "packer", ORDER.lines[0], position="0"))
    await packer.complete(await packer.take(), Packed(name="tea", weight=9))
    await asking
    parked = await clerk.review(work, PLAN, position="1")
    assert isinstance(parked, Parked)
    await world.control(
        "decide", DecideReview(review_id=parked.review_id, subject=digest_of(PLAN), decision="approved")
    )
    again = await clerk.hold()
    assert isinstance(await clerk.review(again, PLAN, position="1"), ReviewOutcome)
    await clerk.complete(again, Sheet())
    await world.outcome(run)


async def state(world: World) -> None:
    """Versions are written, merged, refused and rejected."""
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    await clerk.propose(work, "top.price", 7, position="0")
    await clerk.propose(work, "top.price", 5, position="1")
    await clerk.propose(work, "note", {"a": 1}, position="2")
    await clerk.propose(work, "note", {"a": 2}, position="3")
    await clerk.propose(work, "unknown", 1, position="4")
    await clerk.propose_all(work, {"a": (1, 0), "b.x": (2, 0)}, position="5")
    await clerk.complete(work, Sheet(total=1))
    await world.outcome(run)


async def retry(world: World) -> None:
    """A step fails, is tried again and ends well; the step of another run fails until no attempt is left."""
    clerk = await world.agent("clerk")
    first = await world.submit("order", ORDER)
    await clerk.fail(await clerk.hold())
    await clerk.complete(await clerk.hold(), Sheet(total=2))
    await world.outcome(first)
    second = await world.submit("order", ORDER)
    await clerk.fail(await clerk.hold())
    await clerk.fail(await clerk.hold())
    await world.outcome(second)


async def record(world: World, run: Callable[[World], Awaitable[None]]) -> None:
    """One of these runs stands in the journal of a world."""
    await world.supervise(shop())
    await run(world)


RUNS: Final[Mapping[str, Callable[[World], Awaitable[None]]]] = {
    "one_step": one_step,
    "plan": plan,
    "ask_and_review": ask_and_review,
    "state": state,
    "retry": retry,
}
"""By the name of the file."""
