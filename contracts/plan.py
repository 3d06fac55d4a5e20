"""A plan as data: nodes, the edges between them, and the conditions on edges."""

from __future__ import annotations

from typing import Literal

from remit.contracts.message import Message

TASK = "task"
"""The pseudo-node that stands for the run's input."""

Freshness = Literal["ignore", "warn", "require_fresh"]
"""What becomes of a step's result when the state that it read has changed meanwhile: it counts · it counts, and the
journal says so · it does not count, and the step runs again."""
Operator = Literal["eq", "ne", "gt", "ge", "lt", "le", "not_empty"]


class Condition(Message, frozen=True, kw_only=True, tag="plan.condition.v1"):
    """An edge is taken only if the field at `path` of `node`'s reply compares so with `value`."""

    node: str
    path: str
    operator: Operator
    value: str | int | float | bool | None = None


class Node(Message, frozen=True, kw_only=True, tag="plan.node.v1"):
    """One node: a role, what it waits for, and over what it fans out."""

    name: str
    role: str
    after: tuple[str, ...] = (TASK,)
    each: str = ""
    """Name of the field (a tuple of messages) of the only upstream reply: one shard per item."""
    when: tuple[Condition, ...] = ()
    fresh: Freshness = "ignore"


class PlanSpec(Message, frozen=True, kw_only=True, tag="plan.spec.v1"):
    """Nodes in any order; `window` bounds how many steps of one run are dispatched at once."""

    nodes: tuple[Node, ...]
    window: int = 32


class PlannedNode(Message, frozen=True, kw_only=True, tag="plan.planned.v1"):
    """What is decided of one node: it runs (once, or `width` times), or it is skipped."""

    node: str
    width: int = 1
    fanned: bool = False
    skipped: str = ""
    """Why it will not run: the false condition, or the skipped node it waits for."""


class PlanAccepted(Message, frozen=True, kw_only=True, tag="plan.accepted.v1"):
    """What this version of the plan decides, on top of the versions before."""

    run_id: str
    version: int
    nodes: tuple[PlannedNode, ...]
    rule: str
