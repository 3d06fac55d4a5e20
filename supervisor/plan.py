"""Plans checked before anything runs, and the messages that flow along their edges."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, get_args, get_origin, get_type_hints

import msgspec

from remit.contracts.errors import ConflictError, MalformedMessageError, PlanInvalidError
from remit.contracts.ids import is_name
from remit.contracts.message import NULL, convert, decode, encode
from remit.contracts.plan import TASK
from remit.supervisor.run_view import reply_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.message import Message
    from remit.contracts.plan import Condition, Node, PlanSpec
    from remit.contracts.team import RoleSpec
    from remit.supervisor.run_state import RunState


def check(workflow: str, plan: PlanSpec, roles: Mapping[str, RoleSpec]) -> None:
    """The plan holds together: known roles, no cycle, and every edge carries what its receiver takes.

    Raises:
        PlanInvalidError: it does not; `where` names the node or edge.
    """
    where = f"workflows.{workflow}"
    nodes = by_name(where, plan)
    for node in plan.nodes:
        check_names(where, node, nodes=nodes, roles=roles)
    check_order(where, plan)
    task = _task_type(where, plan, roles)
    for node in plan.nodes:
        check_types(where, node, nodes=nodes, roles=roles, task=task)


def check_names(where: str, node: Node, *, nodes: Mapping[str, Node], roles: Mapping[str, RoleSpec]) -> None:
    """The role of a node is known, and so is all that it waits for.

    Raises:
        PlanInvalidError: it is not.
    """
    if node.role not in roles:
        raise PlanInvalidError(
            f"node {node.name} names an unknown role",
            where=f"{where}.{node.name}",
            expected=", ".join(sorted(roles)),
            got=node.role,
        )
    for name in (*node.after, *(condition.node for condition in node.when)):
        if name not in nodes and name != TASK:
            raise PlanInvalidError(
                f"node {node.name} waits for a node that does not exist",
                where=f"{where}.{node.name}",
                expected=", ".join(sorted(nodes)),
                got=name,
            )


def check_types(
    where: str, node: Node, *, nodes: Mapping[str, Node], roles: Mapping[str, RoleSpec], task: type[Message]
) -> None:
    """What comes along the edges to a node fits its role; or the message that the plan gives it does.

    Raises:
        PlanInvalidError: it does not.
    """
    if is_given(node):
        _check_body(where, node, roles[node.role].takes)
    else:
        _check_edge(where, node, nodes=nodes, roles=roles, task=task)
    for condition in node.when:
        compared = _compared(where, condition, nodes=nodes, roles=roles, task=task)
        check_condition(f"{where}.{node.name}.when", condition, kind=compared)


def is_given(node: Node) -> bool:
    """Say whether the plan itself holds the message of a node."""
    return node.body is not None


def _check_body(where: str, node: Node, takes: type[Message]) -> None:
    if node.each:
        raise PlanInvalidError("a node with a message of its own is not fanned out", where=f"{where}.{node.name}")
    try:
        convert(takes, node.body)
    except MalformedMessageError as error:
        raise PlanInvalidError(
            f"the message of node {node.name} does not fit {takes.__name__}: {error.message}",
            where=f"{where}.{node.name}.body{error.where.removeprefix('$')}",
            expected=error.expected,
            got=error.got,
        ) from error


def by_name(where: str, plan: PlanSpec) -> dict[str, Node]:
    """Give the nodes of a plan by name.

    Raises:
        PlanInvalidError: a name is none, or stands twice; or there is no node, or no window.
    """
    nodes: dict[str, Node] = {}
    for node in plan.nodes:
        if not is_name(node.name) or node.name == TASK or node.name in nodes:
            raise PlanInvalidError(
                f"{node.name!r} cannot name a node", where=where, expected="a unique lower case name, not `task`"
            )
        nodes[node.name] = node
    if not nodes:
        raise PlanInvalidError("the plan has no nodes", where=where)
    if plan.window < 1:
        raise PlanInvalidError("the window is too small", where=where, expected=">= 1", got=str(plan.window))
    return nodes


def check_order(where: str, plan: PlanSpec) -> None:
    """No node waits for itself, however far around.

    Raises:
        PlanInvalidError: one does; `got` names the circle.
    """
    graph = {node.name: {*node.after, *(item.node for item in node.when)} - {TASK} for node in plan.nodes}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise PlanInvalidError("the plan has a cycle", where=where, got=" -> ".join(error.args[1])) from error


def _task_type(where: str, plan: PlanSpec, roles: Mapping[str, RoleSpec]) -> type[Message]:
    kinds = {roles[node.role].takes for node in plan.nodes if is_first(node)}
    if len(kinds) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"
        raise PlanInvalidError("the first nodes must take one type: the task's input", where=where, got=names)
    return kinds.pop()


def is_first(node: Node) -> bool:
    """Say whether a node takes the task's input as it is."""
    return node.after == (TASK,) and not node.each and not is_given(node)


def _check_edge(
    where: str, node: Node, *, nodes: Mapping[str, Node], roles: Mapping[str, RoleSpec], task: type[Message]
) -> None:
    takes = roles[node.role].takes

    def gives(name: str) -> object:
        if name == TASK:
            return task
        kind = roles[nodes[name].role].gives
        return tuple[kind, ...] if nodes[name].each else kind  # type: ignore[valid-type]  # a type made at run time

    edge = f"{where}: {' + '.join(node.after)} -> {node.name}"
    if node.each:
        item = _item_type(edge, node, gives(node.after[0]))
        _agree(edge, takes, item)
    elif len(node.after) == 1 and not is_tuple(gives(node.after[0])):
        _agree(edge, takes, gives(node.after[0]))
    else:
        _check_join(edge, takes, {name: gives(name) for name in node.after})
        _check_absent(edge, takes, [name for name in node.after if _may_be_skipped(name, nodes)])


def is_tuple(kind: object) -> bool:
    """Say whether a type is `tuple[X, ...]`."""
    return get_origin(kind) is tuple


def _item_type(edge: str, node: Node, kind: object) -> object:
    if len(node.after) != 1 or not isinstance(kind, type) or is_tuple(kind):
        raise PlanInvalidError("`each` needs exactly one node before it that is not fanned out", where=edge)
    items = get_type_hints(kind).get(node.each)
    if not is_tuple(items) or get_args(items)[1:] != (...,):
        raise PlanInvalidError(
            f"{kind.__name__} has no field to fan out over",
            where=f"{edge}.{node.each}",
            expected=f"{node.each}: tuple[SomeMessage, ...]",
            got=str(items),
        )
    return get_args(items)[0]


def _agree(edge: str, takes: type[Message], gives: object) -> None:
    if takes is not gives:
        raise PlanInvalidError(
            "the message does not fit along this edge",
            where=edge,
            expected=takes.__name__,
            got=getattr(gives, "__name__", str(gives)),
        )


def _check_join(edge: str, takes: type[Message], given: Mapping[str, object]) -> None:
    hints = get_type_hints(takes)
    fields = {field.name: field.required for field in msgspec.structs.fields(takes)}
    for name, kind in given.items():
        wanted = hints.get(name)
        if wanted != kind and kind not in get_args(wanted):
            raise PlanInvalidError(
                f"{takes.__name__} does not take the reply of {name}",
                where=f"{edge}.{name}",
                expected=f"{name}: {_shown(kind)}",
                got=_shown(wanted) if wanted else "no such field",
            )
    missing = [name for name, required in fields.items() if required and name not in given]
    if missing:
        raise PlanInvalidError(
            f"nothing gives {takes.__name__} its field {missing[0]}", where=edge, expected=f"after=(…, {missing[0]!r})"
        )


def _check_absent(edge: str, takes: type[Message], names: list[str]) -> None:
    required = {field.name for field in msgspec.structs.fields(takes) if field.required}
    for name in names:
        if name in required:
            raise PlanInvalidError(
                f"{takes.__name__} needs the reply of {name}, which may be skipped",
                where=f"{edge}.{name}",
                expected=f"a default for {name}",
            )


def _may_be_skipped(name: str, nodes: Mapping[str, Node]) -> bool:
    while name != TASK:
        node = nodes[name]
        if node.when or len(node.after) != 1:
            return bool(node.when)
        name = node.after[0]
    return False


def _compared(
    where: str, condition: Condition, *, nodes: Mapping[str, Node], roles: Mapping[str, RoleSpec], task: type[Message]
) -> type[Message]:
    if condition.node == TASK:
        return task
    node = nodes[condition.node]
    if node.each:
        raise PlanInvalidError(
            f"a condition cannot look at {node.name}: it is fanned out and has many replies",
            where=f"{where}.{node.name}",
        )
    return roles[node.role].gives


def check_condition(where: str, condition: Condition, *, kind: type[Message]) -> None:
    """A condition looks at a field that there is.

    Raises:
        PlanInvalidError: it does not.
    """
    hints: object = kind  # walks down the path
    for part in condition.path.split("."):
        fields = get_type_hints(hints) if isinstance(hints, type) else {}
        if part not in fields:
            raise PlanInvalidError(
                f"{kind.__name__} has no field {condition.path}",
                where=where,
                expected=", ".join(sorted(fields)),
                got=part,
            )
        hints = fields[part]


def _shown(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


# --- while a run goes on -------------------------------------------------------------------------


def body_of(run: RunState, node: Node, index: int) -> bytes:
    """Give the message that one step of a node takes, made of what came before it.

    Raises:
        ConflictError: the plan was decided by another reply than the one that counts; two agents settled one step.
    """
    if is_given(node):
        return encode(node.body)
    if node.each:
        items = run.nodes[node.name].items
        if index >= len(items):
            raise ConflictError(
                "the journal contradicts itself", where=node.name, expected=f"item {index}", got=f"{len(items)} items"
            )
        return bytes(items[index])
    if len(node.after) == 1 and (node.after[0] == TASK or not run.nodes[node.after[0]].fanned):
        return bytes(reply_of(run, node.after[0]))
    parts = {name: _joined(run, name) for name in node.after if name == TASK or not run.nodes[name].skipped}
    return msgspec.json.encode(parts)


def _joined(run: RunState, name: str) -> msgspec.Raw | list[msgspec.Raw]:
    if name == TASK or not run.nodes[name].fanned:
        return reply_of(run, name)
    return [reply_of(run, step) for step in run.nodes[name].steps()]


def holds(run: RunState, condition: Condition) -> bool:
    """Evaluate a condition on a reply that is there; on a skipped node it is false."""
    if condition.node != TASK and run.nodes[condition.node].skipped:
        return False
    return compare(field_at(reply_of(run, condition.node), condition.path), condition.operator, condition.value)


def field_at(message: msgspec.Raw, path: str) -> object:
    """Give the value at a dotted path of a message; None if there is none, or none that can be read.

    Only what the path names is decoded: the rest of a message was written by an agent and is nobody's business here.
    """
    try:
        for part in path.split("."):
            message = decode(dict[str, msgspec.Raw], message).get(part, NULL)
        return decode(object, message)
    except MalformedMessageError:
        return None


def compare(value: object, operator: str, wanted: object) -> bool:
    """Compare two JSON values; values that have no order compare as false."""
    match operator:
        case "eq":
            return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
        case "ne":
            return not compare(value, "eq", wanted)
        case "not_empty":
            return bool(value)
    if not (isinstance(value, int | float) and isinstance(wanted, int | float)):
        return False
    return {"gt": value > wanted, "ge": value >= wanted, "lt": value < wanted, "le": value <= wanted}[operator]
