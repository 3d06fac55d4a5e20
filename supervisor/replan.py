"""Plans that roles propose: taken into the run's plan, or refused with every reason. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.errors import PlanInvalidError
from remit.contracts.ids import node_of
from remit.contracts.message import decode
from remit.contracts.plan import PlanAccepted, PlanRefused, PlanSpec, ProposedPlan
from remit.supervisor import plan as plans
from remit.supervisor import plan_bounds
from remit.supervisor.dispatch import Append

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from remit.contracts.errors import Fault
    from remit.contracts.plan import Node, RollbackRule
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState

_REASONS_MOST = 20
NODES_MOST = 500
"""Of one proposal; more work of one kind is a node that fans out."""


def judge(team: TeamSpec, run: RunState) -> Append | None:
    """Accept or refuse the plan that a step has just proposed."""
    if not run.proposals:
        return None
    step = run.steps[run.proposals[0]]
    proposed = decode(ProposedPlan, step.reply)
    added = tuple(_placed(node, node_of(step.work.step)) for node in proposed.nodes)
    if errors := problems(team, run, added, drop=proposed.drop):
        refused = PlanRefused(
            run_id=run.run_id, step=step.work.step, epoch=step.work.epoch, errors=errors[:_REASONS_MOST]
        )
        return Append(subject.decision(run.run_id, run.number + 1, "plan_refused"), refused)
    entry = PlanAccepted(
        run_id=run.run_id,
        version=run.plan_version + 1,
        rule=f"proposed by {step.work.step}" + (f": {proposed.reason}" if proposed.reason else ""),
        added=added,
        dropped=proposed.drop,
        proposed_by=step.work.step,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "planned"), entry)


def _placed(node: Node, planner: str) -> Node:
    """A node that waits for nothing waits for its planner, so that there is an order to undo it in."""
    return node if node.after else msgspec.structs.replace(node, after=(planner,))


def problems(team: TeamSpec, run: RunState, added: tuple[Node, ...], *, drop: tuple[str, ...]) -> tuple[Fault, ...]:
    """Give all that is wrong with a proposal; nothing if it may become part of the run's plan."""
    where = f"workflows.{run.started.workflow}"
    found: list[Fault] = []
    for stage in (_stage_size, _stage_names, _stage_order, _stage_types):  # what has unknown names has no types
        for check in stage(team, run, added, drop=drop, where=where):
            try:
                check()
            except PlanInvalidError as error:
                found.append(error.fault())
        if found:
            break
    return tuple(found)


def _combined(run: RunState, added: tuple[Node, ...], drop: tuple[str, ...]) -> PlanSpec:
    kept = tuple(node.spec for name, node in run.nodes.items() if name not in drop)
    return PlanSpec(nodes=(*kept, *added), window=run.window)


def _stage_names(
    team: TeamSpec, run: RunState, added: tuple[Node, ...], *, drop: tuple[str, ...], where: str
) -> Iterator[Callable[[], None]]:
    whole = _combined(run, added, drop)
    yield lambda: _check_drop(run, drop, where)
    yield lambda: _discard(plans.by_name(where, whole))
    known = {node.name: node for node in whole.nodes}
    for node in whole.nodes:
        yield lambda node=node: plans.check_names(where, node, nodes=known, roles=team.roles)  # type: ignore[misc]  # bound now
    yield lambda: plan_bounds.check_shares(where, whole.nodes)
    yield lambda: plan_bounds.check_marks(where, whole.nodes)


def _stage_size(
    _team: TeamSpec, run: RunState, added: tuple[Node, ...], *, drop: tuple[str, ...], where: str
) -> Iterator[Callable[[], None]]:
    yield lambda: _check_size(run, added, drop, where=where)


def _stage_order(
    _team: TeamSpec, run: RunState, added: tuple[Node, ...], *, drop: tuple[str, ...], where: str
) -> Iterator[Callable[[], None]]:
    yield lambda: plans.check_order(where, _combined(run, added, drop))


def _stage_types(
    team: TeamSpec, run: RunState, added: tuple[Node, ...], *, drop: tuple[str, ...], where: str
) -> Iterator[Callable[[], None]]:
    whole = _combined(run, added, drop)
    known = {node.name: node for node in whole.nodes}
    first = next((node.spec for node in run.nodes.values() if plans.is_first(node.spec)), None)
    task = team.roles[first.role].takes if first is not None else team.takes(run.started.workflow)
    for node in whole.nodes:  # a node that took the place of another one may not fit those that stay
        yield lambda node=node: plans.check_types(where, node, nodes=known, roles=team.roles, task=task)  # type: ignore[misc]  # bound now
    for rule in run.rules:
        yield lambda rule=rule: _check_rule(rule, known, where)  # type: ignore[misc]  # bound now
    for node in added:
        yield lambda node=node: plan_bounds.check_node(where, node, roles=team.roles, charter=team.charter)  # type: ignore[misc]  # bound now
        yield lambda node=node: _check_effects(team, node, where)  # type: ignore[misc]  # bound now


def _discard(_value: object) -> None:
    """Only the checking was wanted."""


def _check_drop(run: RunState, drop: tuple[str, ...], where: str) -> None:
    if len(set(drop)) < len(drop):
        raise PlanInvalidError("a node is given up twice", where=f"{where}.drop", got=", ".join(sorted(drop)))
    for name in drop:
        node = run.nodes.get(name)
        if node is None or node.decided:
            raise PlanInvalidError(
                f"node {name} cannot be given up: it is " + ("not there" if node is None else "decided already"),
                where=f"{where}.drop",
                expected=", ".join(sorted(item for item, state in run.nodes.items() if not state.decided)),
                got=name,
            )


def _check_rule(rule: RollbackRule, nodes: Mapping[str, Node], where: str) -> None:
    node = nodes.get(rule.when.node) if rule.when is not None else None
    if node is not None and node.each:
        raise PlanInvalidError(
            f"a rollback looks at node {node.name}, which may not be fanned out", where=f"{where}.{node.name}"
        )


def _check_size(run: RunState, added: tuple[Node, ...], drop: tuple[str, ...], *, where: str) -> None:
    if len(added) > NODES_MOST or len(drop) > NODES_MOST:
        raise PlanInvalidError(
            "the plan is too large", where=where, expected=f"at most {NODES_MOST} nodes", got=str(len(added))
        )
    left = run.started.limits.steps - run.dispatched
    if len(added) > left:
        raise PlanInvalidError(
            "the plan has more nodes than the run has steps left",
            where=where,
            expected=f"at most {left}",
            got=str(len(added)),
        )


def _check_effects(team: TeamSpec, node: Node, where: str) -> None:
    tools = [team.tools[name] for name in team.charter.roles[node.role].tools if name in team.tools]
    changing = sorted(tool.name for tool in tools if tool.effect != "pure")
    if changing and node.undo is None:
        raise PlanInvalidError(
            f"node {node.name} may change the world, and nothing undoes it",
            where=f"{where}.{node.name}.undo",
            expected="a compensation",
            got=f"{node.role} with {', '.join(changing)}",
        )
