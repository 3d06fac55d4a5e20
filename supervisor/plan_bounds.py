"""The bounds of a plan: what its nodes may use, how they are undone, and where a rollback goes to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.errors import PlanInvalidError
from remit.contracts.ids import is_name
from remit.contracts.plan import START
from remit.contracts.rollback import Undo
from remit.supervisor.plan import check_condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remit.contracts.charter import Charter
    from remit.contracts.plan import Node, PlanSpec, RollbackRule
    from remit.contracts.team import RoleSpec


_WHOLE = 1.0 + 1e-9
"""As many shares as one likes may add up to 1, give or take how they are stored."""


def check(workflow: str, plan: PlanSpec, *, roles: Mapping[str, RoleSpec], charter: Charter) -> None:
    """Every bound holds together with the others and with the charter.

    Raises:
        PlanInvalidError: one does not; `where` names the node.
    """
    where = f"workflows.{workflow}"
    for node in plan.nodes:
        check_node(where, node, roles=roles, charter=charter)
    check_shares(where, plan.nodes)
    check_marks(where, plan.nodes)
    for rule in plan.rollbacks:
        _check_rollback(where, rule, plan, roles=roles)


def check_node(where: str, node: Node, *, roles: Mapping[str, RoleSpec], charter: Charter) -> None:
    """A node's own bounds are within its role's, and what undoes it fits.

    Raises:
        PlanInvalidError: they are not, or it does not.
    """
    place, limits = f"{where}.{node.name}", charter.roles[node.role].limits
    _at_most(f"{place}.deadline_s", node.deadline_s, limits.deadline_s, what="the deadline is beyond the role's")
    _at_most(f"{place}.attempts", node.attempts, limits.attempts, what="more attempts than the role has")
    _at_most(f"{place}.share", node.share, 1.0, what="a share is a part of the run's steps")
    _at_most(f"{place}.backoff_s", node.backoff_s, 30.0, what="the pause is too long")
    if node.checkpoint and (not is_name(node.checkpoint) or node.checkpoint == START):
        raise PlanInvalidError(
            f"{node.checkpoint!r} cannot name a checkpoint", where=place, expected="a lower case name, not `start`"
        )
    if node.undo is not None:
        _check_undo(place, node, roles)


def _at_most(where: str, value: float, most: float, *, what: str) -> None:
    if not 0 <= value <= most:
        raise PlanInvalidError(what, where=where, expected=f"0 to {most:g}", got=f"{value:g}")


def _check_undo(where: str, node: Node, roles: Mapping[str, RoleSpec]) -> None:
    undo = node.undo
    role = roles.get(undo.role) if undo is not None else None
    if undo is None or role is None:
        raise PlanInvalidError(
            f"node {node.name} is undone by an unknown role",
            where=f"{where}.undo",
            expected=", ".join(sorted(roles)),
            got=undo.role if undo is not None else "",
        )
    if role.takes is not Undo:
        raise PlanInvalidError(
            f"role {undo.role} cannot undo: it does not take an Undo",
            where=f"{where}.undo",
            expected=f"class …(Role[Undo, {role.gives.__name__}])",
            got=role.takes.__name__,
        )
    check_condition(f"{where}.undo.check", undo.check, kind=role.gives)


def check_marks(where: str, nodes: Iterable[Node]) -> None:
    """Every checkpoint has a name of its own.

    Raises:
        PlanInvalidError: two have one.
    """
    marks = [node.checkpoint for node in nodes if node.checkpoint]
    if len(set(marks)) < len(marks):
        raise PlanInvalidError("two checkpoints have one name", where=where, got=", ".join(sorted(marks)))


def check_shares(where: str, nodes: Iterable[Node]) -> None:
    """The shares of all nodes are no more than the whole.

    Raises:
        PlanInvalidError: they are.
    """
    total = sum(node.share for node in nodes)
    if total > _WHOLE:
        raise PlanInvalidError(
            "the shares are more than the whole", where=where, expected="at most 1", got=f"{total:g}"
        )


def _check_rollback(where: str, rule: RollbackRule, plan: PlanSpec, *, roles: Mapping[str, RoleSpec]) -> None:
    nodes = {node.name: node for node in plan.nodes}
    place = f"{where}.rollback to {rule.to}"
    marks = {START, *(node.checkpoint for node in plan.nodes if node.checkpoint)}
    if rule.to not in marks:
        raise PlanInvalidError(
            "a rollback goes to a checkpoint that nobody takes", where=place, expected=", ".join(sorted(marks))
        )
    if (rule.when is None) == (not rule.failed):
        raise PlanInvalidError("a rollback needs a condition or a node that fails, and not both", where=place)
    name = rule.when.node if rule.when is not None else rule.failed
    if name not in nodes or (rule.when is not None and nodes[name].each):
        raise PlanInvalidError(
            "a rollback looks at a node that is not there, or is fanned out",
            where=place,
            expected=", ".join(sorted(nodes)),
            got=name,
        )
    if rule.when is not None:
        check_condition(place, rule.when, kind=roles[nodes[name].role].gives)
