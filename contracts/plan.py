"""A plan as data: nodes, the edges between them, and the conditions on edges."""

from __future__ import annotations

from typing import Literal

from remit.contracts.errors import Fault
from remit.contracts.message import Message

TASK = "task"
"""The pseudo-node that stands for the run's input."""
UNDO = "undo"
"""The pseudo-node that stands for a compensation's reply, in the check that follows it."""
START = "start"
"""The checkpoint that every run has: its beginning."""

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


class Compensation(Message, frozen=True, kw_only=True, tag="plan.compensation.v1"):
    """What undoes a node: a role that takes an `Undo`, and what its reply must say for the undoing to count."""

    role: str
    check: Condition


class RollbackRule(Message, frozen=True, kw_only=True, tag="plan.rollback.v1"):
    """Roll back by itself: when a condition holds after its node, or when a node fails for good."""

    to: str
    """Name of a checkpoint, or `start`."""
    when: Condition | None = None
    failed: str = ""
    """Name of a node whose failure for good sets this off."""
    times: int = 1
    """How often in one run; then the run goes on, or fails, as if the rule were not there."""
    then: Literal["resume", "end"] = "resume"


class Node(Message, frozen=True, kw_only=True, tag="plan.node.v1"):
    """One node: a role, what it waits for, over what it fans out, and its bounds."""

    name: str
    role: str
    after: tuple[str, ...] = (TASK,)
    each: str = ""
    """Name of the field (a tuple of messages) of the only upstream reply: one shard per item."""
    when: tuple[Condition, ...] = ()
    fresh: Freshness = "ignore"
    body: object = None
    """The message itself as plain JSON, where a plan gives one; `after` is then only the order."""
    deadline_s: float = 0.0
    """Of each of its steps; 0 leaves it to the role's charter, which is the ceiling."""
    attempts: int = 0
    """Of each of its steps; 0 leaves it to the role's charter, which is the ceiling."""
    backoff_s: float = 0.0
    """Pause after the first failure, doubling; 0 is the supervisor's own."""
    share: float = 0.0
    """The part of the run's steps that this node may use, retries and asks included; 0 is no bound of its own."""
    undo: Compensation | None = None
    checkpoint: str = ""
    """Name of the checkpoint that is taken when the node is over."""


class PlanSpec(Message, frozen=True, kw_only=True, tag="plan.spec.v1"):
    """Nodes in any order; `window` bounds how many steps of one run are dispatched at once."""

    nodes: tuple[Node, ...]
    window: int = 32
    rollbacks: tuple[RollbackRule, ...] = ()


class ProposedPlan(Message, frozen=True, kw_only=True, tag="plan.proposed.v1"):
    """What a planner role replies: nodes that are added to the run's plan, and nodes that are given up.

    A node that names nothing in `after` waits for the planner's own node only. Finished steps stay.
    """

    nodes: tuple[Node, ...] = ()
    drop: tuple[str, ...] = ()
    """Nodes of which nothing was dispatched yet."""
    reason: str = ""


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
    nodes: tuple[PlannedNode, ...] = ()
    rule: str
    added: tuple[Node, ...] = ()
    """Nodes that the plan has from now on."""
    dropped: tuple[str, ...] = ()
    """Nodes that it has no more."""
    proposed_by: str = ""
    """The step that proposed them."""


class PlanRefused(Message, frozen=True, kw_only=True, tag="plan.refused.v1"):
    """A proposed plan does not hold together: its planner is told why, and asked again while it has attempts."""

    run_id: str
    step: str
    epoch: int
    errors: tuple[Fault, ...]
