"""Tasks wait when there is no room, and neither a flood of tasks nor a wide run holds up what is small beside it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import shape, stream, subject, topology
from remit.bus.subject import TASKS
from remit.contracts.charter import Capacity
from remit.contracts.control import AskStatus, CancelRun, TeamStatus
from remit.contracts.errors import QueueFullError
from remit.contracts.plan import Node, PlanSpec
from remit.supervisor.intake import AT_ONCE
from tests.integration.supervisor.agent import SOON_S
from tests.teams import PACK, SHEET, WORKFLOWS, Line, Order, Packed, Sheet, charter, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.contracts.message import Message
    from remit.contracts.step import RunStep
    from remit.contracts.team import TeamSpec
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")
WIDE = PlanSpec(nodes=(SHEET, PACK, Node(name="check", role="auditor", after=("sheet",))), window=4)


def team(**capacity: int) -> TeamSpec:
    rules = charter().model_copy(update={"capacity": Capacity(**capacity)})
    other = PlanSpec(nodes=(Node(name="other", role="packer"),))
    return shop(rules, workflows=WORKFLOWS | {"other": other, "wide": WIDE})


async def status(world: World, *, running: int, waiting: int) -> TeamStatus:
    """Give the status once it says so."""
    async with asyncio.timeout(SOON_S):
        while True:
            said = await world.control("status", AskStatus())
            assert isinstance(said, TeamStatus)
            if (said.running, said.waiting_tasks) == (running, waiting):
                return said
            await asyncio.sleep(0.05)


async def test_a_flood_of_one_workflow_waits_in_the_queue_and_another_one_s_task_is_admitted_at_once(
    world: World,
) -> None:
    await world.supervise(team(running_per_workflow=5))
    await world.staff("packer", lambda _work: Packed(name="one"))

    runs = [await world.submit("order", ORDER) for _ in range(200)]
    other = await world.submit("other", Line(name="one"))
    outcome = await world.outcome(other)
    said = await status(world, running=5, waiting=195)
    clerk = await world.staff("clerk", lambda _work: Sheet())
    ended = [await world.outcome(run) for run in runs]

    assert outcome.outcome == "complete"
    assert said.open_runs == 5
    assert {item.outcome for item in ended} == {"complete"}
    assert clerk.has_work is False
    assert len(await world.entries("remit.run.*._.*.finished")) == 201


async def test_tasks_beyond_what_a_team_may_have_open_wait_until_a_run_is_over(world: World) -> None:
    await world.supervise(team(open_runs=3, running=3, running_per_workflow=3))

    runs = [await world.submit("order", ORDER) for _ in range(5)]
    before = await status(world, running=3, waiting=2)
    await world.control("cancel", CancelRun(run_id=runs[0]))
    after = await status(world, running=3, waiting=1)

    assert (before.open_runs, after.open_runs) == (3, 3)
    assert [len(await world.lane(run)) > 0 for run in runs] == [True, True, True, True, False]


async def test_a_run_that_waits_for_a_person_or_a_time_takes_no_room_of_those_that_run(world: World) -> None:
    await world.supervise(team(running=1, running_per_workflow=1))
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    work = await clerk.hold()
    second = await world.submit("order", ORDER)

    await clerk.review(work, {"really": True})
    next_one = await clerk.hold()

    assert next_one.run_id == second


async def test_a_run_of_many_shards_does_not_hold_up_one_of_three(world: World) -> None:
    await world.supervise(team())
    packed: list[str] = []

    def pack(work: RunStep) -> Message:
        packed.append(work.run_id)
        return Packed(name="one")

    lines = {"wide": 300, "small": 3}
    await world.staff("auditor", lambda _work: Packed(name="none"))
    clerk = await world.agent("clerk")
    large = await world.submit("wide", ORDER, limits={"steps": 1000})
    first = await clerk.hold()
    small = await world.submit("wide", ORDER)
    second = await clerk.hold()
    await clerk.complete(first, Sheet(lines=tuple(Line(name=f"l{number}") for number in range(lines["wide"]))))
    await world.appears(f"remit.run.{large}._.work.packer.pack-3.1")
    await clerk.complete(second, Sheet(lines=tuple(Line(name=f"s{number}") for number in range(lines["small"]))))
    await world.appears(f"remit.run.{small}._.work.packer.pack-2.1")
    await world.staff("packer", pack)
    async with asyncio.timeout(SOON_S):
        while packed.count(small) < lines["small"]:
            await asyncio.sleep(0.01)

    last = [at for at, run in enumerate(packed) if run == small][-1]
    assert packed[:last].count(large) <= 2 * WIDE.window


async def test_tasks_of_workflows_that_nobody_knows_are_refused_however_many_names_there_are(world: World) -> None:
    await world.supervise(team(running_per_workflow=1))
    known = await world.submit("order", ORDER)

    runs = [await world.submit(f"unknown_{number}", ORDER) for number in range(300)]
    ended = [await world.outcome(run) for run in runs]

    assert {(item.outcome, item.error.code if item.error else "") for item in ended} == {("refused", "RM-202")}
    async with asyncio.timeout(SOON_S):
        while (await stream.state(world.bus, TASKS)).messages:
            await asyncio.sleep(0.01)
    assert await world.lane(known)


async def test_what_waits_for_its_turn_is_not_handed_out_again_and_a_workflow_that_is_gone_is_refused(
    world: World,
) -> None:
    """The consumers of an earlier build, and the one of all workflows that there was once, make room."""
    old = topology.task_consumer("supervisor", subject.TASK_SUBJECTS)
    await shape.ensure_consumer(world.bus, TASKS, old, start_seq=1)
    gone = await world.submit("gone", ORDER)

    await world.supervise(team())
    outcome = await world.outcome(gone)
    names = msgspec.json.decode(await stream.api(world.bus, "CONSUMER.NAMES", TASKS))["consumers"]

    assert (outcome.outcome, outcome.error.code if outcome.error else "") == ("refused", "RM-202")
    assert "supervisor" not in names
    assert "task-order" in names


async def test_a_publisher_that_finds_the_queue_full_is_told_when_to_come_again_and_what_was_taken_is_done(
    world: World,
) -> None:
    await world.supervise(team(running_per_workflow=2))
    async with full_at(world, 10):
        taken: list[str] = []
        with pytest.raises(QueueFullError) as caught:
            await fill(world, taken)
        other = await world.submit("other", Line(name="one"))
    await world.staff("clerk", lambda _work: Sheet())
    await world.staff("packer", lambda _work: Packed(name="one"))
    ended = [await world.outcome(run) for run in (*taken, other)]

    assert caught.value.fix == "publish it again in 5 s"
    assert 5 <= len(taken) <= 5 + AT_ONCE, "half of the queue, and what was in hand"
    assert {item.outcome for item in ended} == {"complete"}


async def fill(world: World, taken: list[str]) -> None:
    """Publish until the publisher is refused."""
    while True:
        taken.append(await world.submit("order", ORDER))


@asynccontextmanager
async def full_at(world: World, tasks: int) -> AsyncIterator[None]:
    """The queue holds so many tasks."""
    config = msgspec.json.decode(await stream.api(world.bus, "STREAM.INFO", TASKS))["config"]
    await stream.api(
        world.bus, "STREAM.UPDATE", TASKS, body=config | {"max_msgs": tasks, "max_msgs_per_subject": tasks // 2}
    )
    yield
    await stream.api(world.bus, "STREAM.UPDATE", TASKS, body=config)
