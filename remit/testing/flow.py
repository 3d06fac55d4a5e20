"""A static plan walked through in one process: the order, the fan-outs and the joins, without a supervisor."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, cast

import msgspec

from remit.agents.role import contract_of
from remit.contracts.ids import shard_step
from remit.contracts.message import Message, convert
from remit.contracts.plan import TASK
from remit.team import Plan

if TYPE_CHECKING:
    from remit.agents.role import AnyRole, Role
    from remit.team import Step
    from remit.testing.bench import Bench

Given = Message | tuple[Message, ...]


async def flow(bench: Bench, workflow: type[AnyRole] | Plan, work: Message) -> Message:
    """Run every step of a workflow in order and give the last reply; conditions (`when`) are not evaluated."""
    if not isinstance(workflow, Plan):
        return await bench.run(cast("type[Role[Message, Message]]", workflow), work)
    given: dict[str, Given] = {TASK: work}
    for item in _ordered(workflow):
        given[item.name] = await _run(bench, item, given)
    return cast("Message", given[workflow.steps[-1].name])


def _ordered(plan: Plan) -> list[Step]:
    steps = {item.name: item for item in plan.steps}
    graph = {name: set(item.after) - {TASK} for name, item in steps.items()}
    return [steps[name] for name in TopologicalSorter(graph).static_order()]


async def _run(bench: Bench, item: Step, given: dict[str, Given]) -> Given:
    role = cast("type[Role[Message, Message]]", item.role)
    if item.each:
        works = cast("tuple[Message, ...]", getattr(given[item.after[0]], item.each))
        return tuple(
            [await bench.run(role, work, step=shard_step(item.name, index)) for index, work in enumerate(works)]
        )
    return await bench.run(role, _work(item, given), step=item.name)


def _work(item: Step, given: dict[str, Given]) -> Message:
    only = given[item.after[0]]
    if len(item.after) == 1 and not isinstance(only, tuple):
        return only
    takes, _gives = contract_of(item.role)
    joined = {name: msgspec.to_builtins(given[name]) for name in item.after}
    return convert(takes, joined)
