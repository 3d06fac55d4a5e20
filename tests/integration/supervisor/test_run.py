"""A whole run: fan-out, joins, conditions, limits, criteria, and a person who has had enough."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from remit.contracts.charter import CompletionCheck, RunLimits
from remit.contracts.control import CancelRun, ControlDone
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.step import ClaimRefused
from tests.integration.supervisor.agent import soon
from tests.teams import DONE, SHEET, WORKFLOWS, Check, Line, Order, Packed, Receipt, Sheet, charter, shop

if TYPE_CHECKING:
    from remit.contracts.message import Message
    from remit.contracts.step import RunStep
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")


def lines(count: int) -> tuple[Line, ...]:
    return tuple(Line(name=f"line {number}", count=number) for number in range(count))


async def test_a_fan_out_dispatches_as_many_as_its_window_and_joins_them_in_order(world: World) -> None:
    await world.supervise(shop())
    clerk, packer, shipper = [await world.agent(role) for role in ("clerk", "packer", "shipper")]
    run = await world.submit("fan", ORDER)
    await clerk.complete(await clerk.take(), Sheet(lines=lines(5)))

    first = [await packer.take() for _ in range(3)]
    lane = await world.lane(run)
    await packer.complete(first[2], Packed(name="line 2"))
    fourth = await packer.take()
    for work in (fourth, first[0], first[1]):
        await packer.complete(work, _packed(work))
    await packer.complete(fifth := await packer.take(), _packed(fifth))
    ship = await shipper.take()
    await shipper.complete(ship, Receipt(number=7))

    assert [step for step in lane if step.startswith("pack")] == ["pack-0.1", "pack-1.1", "pack-2.1"]
    assert fourth.step == "pack-3"
    assert [item["name"] for item in json.loads(bytes(ship.body))["pack"]] == [f"line {number}" for number in range(5)]
    outcome = await world.outcome(run)
    assert (outcome.outcome, outcome.steps) == ("complete", 7)
    assert json.loads(bytes(outcome.result)) == {"type": "shop.receipt.v1", "number": 7}


def _packed(work: RunStep) -> Packed:
    return Packed(name=json.loads(bytes(work.body))["name"])


async def test_a_fan_out_over_nothing_goes_on(world: World) -> None:
    await world.supervise(shop())
    clerk, shipper = await world.agent("clerk"), await world.agent("shipper")
    run = await world.submit("fan", ORDER)

    await clerk.complete(await clerk.take(), Sheet())
    await shipper.complete(ship := await shipper.take(), Receipt(number=0))

    assert json.loads(bytes(ship.body))["pack"] == []
    outcome = await world.outcome(run)
    assert (outcome.outcome, outcome.left) == ("complete", ())


async def test_an_edge_is_taken_only_if_its_condition_holds(world: World) -> None:
    await world.supervise(shop())
    clerk, auditor, shipper = [await world.agent(role) for role in ("clerk", "auditor", "shipper")]

    skipped = await world.submit("gate", ORDER)
    await clerk.complete(await clerk.take(), Sheet(urgent=False))
    await shipper.complete(without := await shipper.take(), Receipt(number=1))
    await world.outcome(skipped)
    taken = await world.submit("gate", ORDER)
    await clerk.complete(await clerk.take(), Sheet(urgent=True))
    check = await auditor.take()
    await auditor.complete(check, Check(ok=True))
    await shipper.complete(with_check := await shipper.take(), Receipt(number=2))

    assert (await world.outcome(taken)).outcome == "complete"
    assert check.rule == "edge sheet -> check when sheet.urgent eq True"
    assert "check" not in json.loads(bytes(without.body))
    assert json.loads(bytes(with_check.body))["check"]["ok"]


async def test_a_step_that_fails_for_good_ends_the_run_and_says_what_is_left(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("fan", ORDER)
    await clerk.complete(await clerk.take(), Sheet(lines=lines(2)))
    first, second = await packer.take(), await packer.hold()

    await packer.fail(first, retryable=False)
    outcome = await world.outcome(run)
    late = await packer.claim(second)
    await packer.complete(second, Packed(name="too late"))

    assert (outcome.outcome, outcome.stopped_by) == ("failed", "step pack-0")
    assert outcome.left == ("pack-0", "pack-1", "ship")
    assert late == ClaimRefused(reason="finished")
    assert (await world.lane(run))[-1] == "finished"


# --- limits -----------------------------------------------------------------------------------------


async def test_a_run_ends_at_its_wall_clock_limit(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER, wall_clock_s=0.3)

    work = await clerk.hold()
    outcome = await world.outcome(run)

    assert (outcome.outcome, outcome.stopped_by, outcome.left) == ("stopped", "wall_clock", ("order",))
    assert outcome.error is not None
    assert outcome.error.code == "RM-401"
    assert await clerk.claim(work) == ClaimRefused(reason="finished")


async def test_a_task_may_ask_for_less_time_than_the_charter_allows_and_not_for_more(world: World) -> None:
    await world.supervise(shop(charter(limits=RunLimits(wall_clock_s=0.3, steps=10))))
    run = await world.submit("order", ORDER, wall_clock_s=3600.0)

    assert (await world.outcome(run)).stopped_by == "wall_clock"


async def test_a_run_ends_when_it_has_dispatched_as_many_steps_as_it_may(world: World) -> None:
    await world.supervise(shop(charter(limits=RunLimits(wall_clock_s=60.0, steps=3))))
    await world.staff("clerk", lambda _: Sheet(lines=lines(4)))
    await world.staff("packer", _packed)
    run = await world.submit("fan", ORDER)

    outcome = await world.outcome(run)

    assert (outcome.outcome, outcome.stopped_by, outcome.steps) == ("stopped", "steps", 3)


async def test_a_step_whose_hosts_die_again_and_again_ends_at_the_limit_of_steps(world: World) -> None:
    supervisor = await world.supervise(shop(charter(limits=RunLimits(wall_clock_s=60.0, steps=4))))
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    async def die_again_and_again() -> None:
        while True:
            await clerk.hold()
            supervisor.agent_gone(clerk.name)

    dying = asyncio.create_task(die_again_and_again())
    outcome = await world.outcome(run)

    dying.cancel()
    assert (outcome.outcome, outcome.stopped_by) == ("stopped", "steps")


async def test_a_person_cancels_a_run(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()

    done = await world.control("cancel", CancelRun(run_id=run, reason="too dear"))
    outcome = await world.outcome(run)

    assert done == ControlDone(detail=f"{run} is stopped")
    assert (outcome.outcome, outcome.stopped_by) == ("stopped", "cancel by ann")
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == ("RM-402", "cancelled by ann: too dear")
    assert await clerk.claim(work) == ClaimRefused(reason="finished")


# --- completion -------------------------------------------------------------------------------------


async def test_a_run_whose_criteria_fail_is_incomplete_and_says_why(world: World) -> None:
    criteria = (
        DONE,
        CompletionCheck(name="it is checked", check="reply_field", node="check", field="ok", operator="eq", value=True),
        CompletionCheck(name="it is noted", check="state_present", key="note"),
        CompletionCheck(name="nobody waits", check="no_open_review"),
    )
    await world.supervise(shop(charter(completion=criteria)))
    await world.staff("clerk", lambda _: Sheet())
    await world.staff("auditor", lambda _: Check(ok=False))
    run = await world.submit("chain", ORDER)

    outcome = await world.outcome(run)

    assert (outcome.outcome, outcome.stopped_by) == ("incomplete", "criteria: it is checked; it is noted")
    assert [(item.passed, item.reason) for item in outcome.criteria] == [
        (True, "2 steps completed"),
        (False, "check.ok is False, wanted eq True"),
        (False, "state note was never written"),
        (True, "0 reviews decided"),
    ]
    assert all(evidence.endswith(".completed") for evidence in outcome.criteria[0].evidence)


async def test_a_criterion_on_state_names_the_version_that_shows_it(world: World) -> None:
    criteria = (CompletionCheck(name="it is noted", check="state_present", key="note"),)
    await world.supervise(shop(charter(completion=criteria)))
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    await clerk.propose(work, "note", 1)
    await clerk.complete(work, Sheet())

    outcome = await world.outcome(run)

    assert outcome.outcome == "complete"
    assert outcome.criteria[0].evidence == (f"remit.state.{run}.note.1",)


# --- too large --------------------------------------------------------------------------------------


async def test_a_join_that_fits_into_no_message_fails_the_run(world: World) -> None:
    await world.supervise(shop())
    await world.staff("clerk", lambda _: Sheet(lines=lines(3)))
    await world.staff("packer", lambda _: Packed(name="x" * 500_000))
    run = await world.submit("fan", ORDER)

    outcome = await world.outcome(run)

    assert outcome.outcome == "failed"
    assert outcome.error is not None
    assert outcome.error.code == "RM-212"


async def test_a_hundred_runs_at_once_each_end_once(world: World) -> None:
    await world.supervise(shop())
    replies: dict[str, Message] = {
        "clerk": Sheet(lines=lines(2), urgent=True),
        "packer": Packed(name="tea"),
        "auditor": Check(ok=True),
        "shipper": Receipt(number=1),
    }
    for role, reply in replies.items():
        await world.staff(role, lambda _, reply=reply: reply)  # type: ignore[misc]  # bound at once
    runs = await asyncio.gather(*(world.submit("gate", ORDER) for _ in range(100)))

    outcomes = await soon(asyncio.gather(*(world.outcome(run) for run in runs)))

    assert {outcome.outcome for outcome in outcomes} == {"complete"}
    assert len(await world.entries("remit.run.*._.*.finished")) == 100


async def test_nodes_that_wait_for_a_condition_beside_their_edge_wait_for_both(world: World) -> None:
    slow = Node(name="pack", role="packer", after=("task",), each="lines")
    late = Node(name="late", role="clerk", when=(WORKFLOWS["gate"].nodes[2].when[0],))
    await world.supervise(shop(workflows={"odd": PlanSpec(nodes=(SHEET, slow, late))}))
    clerk = await world.agent("clerk")
    run = await world.submit("odd", ORDER)

    first = await clerk.take()
    waits = not clerk.has_work
    await clerk.complete(first, Sheet(urgent=True))
    second = await clerk.take()
    await clerk.complete(second, Sheet())

    assert waits
    assert (first.step, second.step) == ("sheet", "late")
    assert (await world.outcome(run)).outcome == "complete"
