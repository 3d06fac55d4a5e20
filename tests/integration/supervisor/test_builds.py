"""A build that dropped something, or does not have it yet, serves what another build began."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remit.bus import topology
from remit.contracts.control import ControlDone, ForkRun
from remit.contracts.message import decode
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.proposal import StateCommitted, StateParked
from remit.contracts.step import Refused, RunStep
from remit.contracts.task import RunBound
from remit.supervisor.binding import Inheritance
from tests.integration.supervisor.world import crash
from tests.teams import ROLES, WORKFLOWS, Check, Note, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.team import TeamSpec
    from remit.supervisor.dispatch import Append
    from remit.supervisor.run_state import RunState
    from tests.integration.supervisor.world import World


def other(*, without: str = "") -> TeamSpec:
    """Give another build of the shop."""
    workflows = {name: plan for name, plan in WORKFLOWS.items() if name != without}
    return replace(shop(workflows=workflows), build="sha256:other")


async def test_a_run_of_a_build_without_an_arbitrator_has_its_conflict_decided_by_a_person(world: World) -> None:
    roles = {name: role for name, role in ROLES.items() if name != "judge"}
    old = replace(shop(roles=roles), build="sha256:old", is_older=True)
    first = await world.supervise(replace(old, is_older=False))
    run = await world.submit("order", Order(customer="ann"))
    await world.appears(f"remit.run.{run}._.work.>")
    await crash(first)

    bound = RunBound(run_id=run, build=old.build, is_older=True, why="it decides otherwise")
    new = replace(shop(), older={old.build: old})
    await world.supervise(new, Inheritance(bindings=(bound,)))
    await topology.ensure(world.bus, [old.pool("clerk")])
    clerk = await world.agent(old.pool("clerk"))
    work = await clerk.hold()
    assert isinstance(await clerk.propose(work, "doc.a", Note(verdict="guilty"), position="0"), StateCommitted)
    parked = await clerk.propose(work, "doc.a", Note(verdict="innocent"), position="1")

    assert isinstance(parked, StateParked)
    assert parked.waits_for == "a person"


async def test_a_run_whose_workflow_was_dropped_is_not_forked(world: World) -> None:
    first = await world.supervise(shop())
    await world.staff("clerk", lambda _step: Sheet())
    await world.staff("auditor", lambda _step: Check(ok=True))
    run = await world.submit("chain", Order(customer="ann"))
    await world.outcome(run)
    await crash(first)

    await world.supervise(other(without="chain"))
    answer = await world.control("fork", ForkRun(run_id=run))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-202"


async def test_a_fork_that_moves_to_another_build_before_its_past_is_there_does_nothing_again(world: World) -> None:
    first = await world.supervise(shop())
    done: list[str] = []

    def noted(step: RunStep) -> Sheet:
        done.append(step.run_id)
        return Sheet()

    await world.staff("clerk", noted)
    await world.staff("auditor", lambda _step: Check(ok=True))
    run = await world.submit("chain", Order(customer="ann"))
    await world.outcome(run)

    async def nothing(run: RunState) -> Append | None:  # it takes the place of a method
        return None

    first._forks.next = nothing  # type: ignore[method-assign]  # it dies before it takes anything over
    told = await world.control("fork", ForkRun(run_id=run))
    assert isinstance(told, ControlDone)
    await world.appears(f"remit.run.{told.run_id}._.1.started")
    await crash(first)

    bound = RunBound(run_id=told.run_id, build=other().build, is_older=False, why="0 steps replay the same")
    await world.supervise(other(), Inheritance(bindings=(bound,)))
    finished = await world.outcome(told.run_id)

    assert "bound" in await world.lane(told.run_id)
    assert finished.outcome == "complete"
    assert done == [run]


async def test_a_run_with_a_role_that_was_dropped_is_not_forked(world: World) -> None:
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.staff("auditor", lambda _step: Check(ok=True))
    run = await world.submit("chain", Order(customer="ann"))
    await clerk.complete(await clerk.hold(), Sheet())
    await world.outcome(run)
    await crash(first)

    roles = {name: role for name, role in ROLES.items() if name != "auditor"}
    alone = {"chain": PlanSpec(nodes=(Node(name="sheet", role="clerk"),))}
    await world.supervise(replace(shop(roles=roles, workflows=alone), build="sha256:other"))
    answer = await world.control("fork", ForkRun(run_id=run, at="start"))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-209"


async def test_a_fork_has_the_plan_of_its_origin_whatever_the_workflow_is_today(world: World) -> None:
    first = await world.supervise(shop())
    await world.staff("clerk", lambda _step: Sheet())
    await world.staff("auditor", lambda _step: Check(ok=True))
    run = await world.submit("chain", Order(customer="ann"))
    await world.outcome(run)
    await crash(first)

    turned = {"chain": PlanSpec(nodes=(Node(name="check", role="clerk"), Node(name="more", role="clerk")))}
    await world.supervise(replace(shop(workflows=turned), build="sha256:other"))
    told = await world.control("fork", ForkRun(run_id=run, at="start"))
    assert isinstance(told, ControlDone)
    finished = await world.outcome(told.run_id)

    assert finished.outcome == "complete"
    works = [name for name in await world.lane(told.run_id) if name[-1].isdigit()]
    assert works == ["sheet.1", "check.1"]
    assert decode(Check, finished.result) == Check(ok=True)
