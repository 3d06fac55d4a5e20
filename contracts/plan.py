"""A plan as data: nodes, the edges between them, and the conditions on edges."""

from __future__ import annotations

from typing import Literal

from remit.contracts.message import Message

TASK = "task"
"""The pseudo-node that stands for the run's input."""

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


class PlanSpec(Message, frozen=True, kw_only=True, tag="plan.spec.v1"):
    """Nodes in any order; `window` bounds how many steps of one run are dispatched at once."""

    nodes: tuple[Node, ...]
    window: int = 32


class PlannedStep(Message, frozen=True, kw_only=True, tag="plan.step.v1"):
    """One step of an accepted plan."""

    step: str
    node: str
    role: str


class PlanAccepted(Message, frozen=True, kw_only=True, tag="plan.accepted.v1"):
    """The steps that are known now; fan-outs and skips are added by later versions."""

    version: int
    steps: tuple[PlannedStep, ...]
    fanned: tuple[str, ...] = ()
    """Nodes whose width is decided by this version."""
    skipped: tuple[str, ...] = ()
    """Nodes that will not run, because a condition was false or what they wait for was skipped."""
    rule: str
