"""One role asks another: a child step, and its reply or its failure."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.contracts.charter import RoleLimits, RunLimits
from remit.contracts.message import decode
from remit.contracts.step import AskAnswered, Refused, StepLeased, Superseded
from tests.integration.supervisor.agent import BROKEN
from tests.teams import Check, Line, Order, Packed, Sheet, charter, shop

if TYPE_CHECKING:
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")
TEA = Line(name="tea")


async def test_the_asker_gets_the_reply_of_the_child_step(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    child = await packer.take()
    await packer.complete(child, Packed(name="tea", weight=9))
    answer = await asking
    await clerk.complete(work, Sheet())

    assert isinstance(answer, AskAnswered)
    assert json.loads(bytes(answer.reply))["weight"] == 9
    assert (child.step, child.rule, child.parent and child.parent.step) == ("order-a0", "ask by order at 0", "order")
    assert (await world.outcome(run)).outcome == "complete"


async def test_the_same_question_is_one_child_however_often_it_is_asked(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    asking = [asyncio.create_task(clerk.ask(work, "packer", TEA)) for _ in range(3)]
    await packer.complete(await packer.take(), Packed(name="tea"))
    done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    later = await clerk.ask(work, "packer", TEA)
    for task in waiting:
        task.cancel()

    assert [task.result() for task in done] == [later]
    assert await world.lane(run) == ["order.1", "order-a0.1"]


async def test_the_asker_gets_the_failure_once_the_child_has_no_attempt_left(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    await packer.fail(await packer.take())
    await packer.fail(await packer.take())
    answer = await asking
    await clerk.complete(work, Sheet())

    assert answer == AskAnswered(error=BROKEN)
    assert (await world.outcome(run)).outcome == "complete", "what the asker makes of it is its own business"


async def test_the_asker_is_told_when_the_holder_of_the_child_is_silent_for_too_long(world: World) -> None:
    await world.supervise(shop(charter(step=RoleLimits(attempts=1, deadline_s=0.3))))
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    await world.submit("order", ORDER)
    work = await clerk.hold()

    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    await packer.hold()
    answer = await asking

    assert isinstance(answer, AskAnswered | Superseded), "its own lease ends at the same time"


async def test_who_holds_the_asking_step_next_gets_the_answer_with_its_lease(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    await world.submit("order", ORDER)
    work = await clerk.hold()
    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    child = await packer.take()

    supervisor.agent_gone(clerk.name)
    await packer.complete(child, Packed(name="tea"))
    await asking
    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)
    assert [(item.kind, item.name, item.position) for item in answer.recorded] == [("ask", "packer", "0")]


@pytest.mark.parametrize(
    ("role", "body", "position", "code"),
    [
        ("auditor", Sheet(), "0", "RM-203"),
        ("nobody", Sheet(), "0", "RM-203"),
        ("packer", Order(customer="ann"), "0", "RM-201"),
        ("packer", TEA, "0.lease.1", "RM-201"),
        ("packer", TEA, "*", "RM-201"),
        ("packer", TEA, "", "RM-201"),
        ("packer", TEA, "1" * 3000, "RM-201"),
    ],
    ids=["not in the charter", "not in the team", "another message", "a dot", "a wildcard", "nothing", "too long"],
)
async def test_an_ask_that_is_not_allowed_dispatches_nothing(
    world: World, role: str, body: Order | Line | Sheet, position: str, code: str
) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    answer = await clerk.ask(work, role, body, position)

    assert isinstance(answer, Refused)
    assert answer.error.code == code
    assert await world.lane(run) == ["order.1"]


async def test_an_ask_of_somebody_who_does_not_hold_the_step_is_superseded(world: World) -> None:
    await world.supervise(shop())
    clerk, other = await world.agent("clerk"), await world.agent("clerk")
    await world.submit("order", ORDER)
    await asyncio.wait(
        [asyncio.create_task(agent.hold()) for agent in (clerk, other)], return_when=asyncio.FIRST_COMPLETED
    )
    holders = [agent for agent in (clerk, other) if agent.held]
    stranger = next(agent for agent in (clerk, other) if not agent.held)

    answer = await stranger.ask(holders[0].held[0], "packer", TEA)

    assert isinstance(answer, Superseded)


async def test_asks_nest_as_deep_as_the_charter_says(world: World) -> None:
    await world.supervise(shop(charter(limits=RunLimits(wall_clock_s=60.0, steps=100, depth=1))))
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    await world.submit("order", ORDER)
    work = await clerk.hold()
    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    child = await packer.hold()

    answer = await packer.ask(child, "auditor", Sheet())

    asking.cancel()
    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.expected) == ("RM-404", "depth 1")


async def test_a_role_that_is_asked_again_for_what_it_is_being_asked_for_is_stopped(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    await world.submit("order", ORDER)
    work = await clerk.hold()
    asking = asyncio.create_task(clerk.ask(work, "packer", TEA))
    child = await packer.hold()

    same = await packer.ask(child, "packer", TEA)
    other = asyncio.create_task(packer.ask(child, "packer", Line(name="milk"), "1"))
    grandchild = await packer.hold()

    asking.cancel()
    other.cancel()
    assert isinstance(same, Refused)
    assert (same.error.code, same.error.got) == ("RM-408", "clerk -> packer -> packer")
    assert decode(Line, grandchild.body) == Line(name="milk")


async def test_roles_that_hand_work_to_and_fro_are_stopped(world: World) -> None:
    """Each asks the other with another message, so no message tells."""
    rules = charter()
    roles = {name: rule.model_copy(update={"asks": ("clerk", "packer")}) for name, rule in rules.roles.items()}
    await world.supervise(shop(rules.model_copy(update={"roles": roles})))
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    await world.submit("order", ORDER)
    held, asking, refused = await clerk.hold(), [], None
    for number in range(5):
        asker, other = (clerk, packer) if number % 2 == 0 else (packer, clerk)
        body = Line(name=f"n{number}") if other is packer else Order(customer=f"n{number}")
        asking.append(asyncio.create_task(asker.ask(held, other.role, body)))
        done, _ = await asyncio.wait(
            {asking[-1], taking := asyncio.create_task(other.hold())}, return_when="FIRST_COMPLETED"
        )
        if asking[-1] in done:
            refused = asking[-1].result()
            taking.cancel()
            break
        held = taking.result()

    for task in asking:
        task.cancel()
    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.got) == (
        "RM-408",
        "clerk -> packer -> clerk -> packer -> clerk -> packer",
    )


async def test_a_question_too_large_for_an_entry_is_refused(world: World) -> None:
    """It fits into a message, and with what is said about it into none."""
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    answer = await clerk.ask(work, "packer", Line(name="x" * (1024 * 1024 - 330)))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-212"
    assert await world.lane(run) == ["order.1"]


async def test_an_asked_role_may_ask_in_turn(world: World) -> None:
    await world.supervise(shop())
    clerk, packer, auditor = [await world.agent(role) for role in ("clerk", "packer", "auditor")]
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    outer = asyncio.create_task(clerk.ask(work, "packer", TEA))
    child = await packer.hold()
    inner = asyncio.create_task(packer.ask(child, "auditor", Sheet(), "0-1-2"))

    await auditor.complete(await auditor.take(), Check(ok=True))
    await inner
    await packer.complete(child, Packed(name="tea"))
    await outer
    await clerk.complete(work, Sheet())

    assert (await world.outcome(run)).steps == 3
    assert "order-a0-a0-1-2.1" in await world.lane(run)
    assert await world.journal.get(subject.work(run, role="auditor", step="order-a0-a0-1-2", epoch=1)) is not None
