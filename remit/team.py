"""A team as its author writes it: roles, tools, workflows and shared state; and the plans between roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from remit.contracts.document import LIMIT_BYTES, StateContract
from remit.contracts.errors import TeamInvalidError
from remit.contracts.message import Message
from remit.contracts.plain import plain_of
from remit.contracts.plan import (
    TASK,
    Compensation,
    Condition,
    Freshness,
    Node,
    Operator,
    PlanSpec,
    ProposedPlan,
    RollbackRule,
)
from remit.contracts.team import TeamSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remit.agents.role import AnyRole, Role
    from remit.contracts.charter import Charter
    from remit.contracts.document import Document, Scope
    from remit.contracts.policy import Policy, RoleRef
    from remit.contracts.rollback import Undo
    from remit.contracts.upcast import Upcasts
    from remit.tools.tool import Tool

T = TypeVar("T")
Reply = TypeVar("Reply", bound=Message)


def when(field: str, operator: Operator = "eq", value: str | float | bool | None = True) -> Condition:  # noqa: FBT001, FBT002  # reads as a sentence: when("report.publish")
    """Take an edge only if a field of an earlier reply compares so: `when("report.findings", "gt", 0)`.

    Raises:
        TeamInvalidError: `field` is not `<node>.<path>`.
    """
    node, _, path = field.partition(".")
    if not path:
        raise TeamInvalidError(f"when({field!r}) names no field", expected="<node>.<field>", got=field)
    return Condition(node=node, path=path, operator=operator, value=value)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One node of a plan."""

    name: str
    role: type[AnyRole]
    after: tuple[str, ...]
    each: str
    when: tuple[Condition, ...]
    fresh: Freshness
    message: Message | None
    deadline_s: float
    attempts: int
    backoff_s: float
    share: float
    undo: Compensation | None
    checkpoint: str

    def node(self) -> Node:
        """Give this node as data."""
        return Node(
            name=self.name,
            role=self.role.role_name(),
            after=self.after,
            each=self.each,
            when=self.when,
            fresh=self.fresh,
            body=plain_of(self.message) if self.message is not None else None,
            deadline_s=self.deadline_s,
            attempts=self.attempts,
            backoff_s=self.backoff_s,
            share=self.share,
            undo=self.undo,
            checkpoint=self.checkpoint,
        )


def step(  # noqa: PLR0913  # one sentence of a plan, of which most is left out
    name: str,
    role: type[AnyRole],
    *,
    after: str | Sequence[str] = TASK,
    each: str = "",
    when: Condition | Sequence[Condition] = (),
    fresh: Freshness = "ignore",
    message: Message | None = None,
    deadline_s: float = 0.0,
    attempts: int = 0,
    backoff_s: float = 0.0,
    share: float = 0.0,
    undo: Compensation | None = None,
    checkpoint: str = "",
) -> Step:
    """Name one node of a plan.

    A node with one `after` gets that reply (or the task's input) as it is. With `each="shards"` it runs once
    for every item of the field `shards` of that reply. A node with several `after`, or after a fanned-out
    node, gets a message whose fields are called like the nodes (a fanned-out node gives a tuple); the field
    `task` is the run's input. Types along every edge are checked before anything runs.

    `fresh` says what becomes of the reply if shared state that the step read, or that a `StateRef` in its message
    names, has changed before the reply is accepted: `ignore`, `warn` (the run says so), or `require_fresh` (the
    reply does not count, and the step runs again on what stands now).

    `message` is what the node takes, and `after` is then only the order. `deadline_s` and `attempts` are of each of its
    steps, at most the role's own; `backoff_s` is the pause after the first failure, doubling. `share` is the part of
    the run's steps that the node may use, retries and asks included. `undo` is what undoes it when the run is rolled
    back to before it, and `checkpoint` names a checkpoint that is taken when the node is over.
    """
    return Step(
        name=name,
        role=role,
        after=(after,) if isinstance(after, str) else tuple(after),
        each=each,
        when=(when,) if isinstance(when, Condition) else tuple(when),
        fresh=fresh,
        message=message,
        deadline_s=deadline_s,
        attempts=attempts,
        backoff_s=backoff_s,
        share=share,
        undo=undo,
        checkpoint=checkpoint,
    )


def undo(role: type[Role[Undo, Reply]], check: Condition) -> Compensation:
    """Name what undoes a node: a role that takes an `Undo`, and what its reply must say for the undoing to count.

    `undo(Refunder, when("undo.refunded"))` holds if the field `refunded` of the Refunder's reply is true.
    """
    return Compensation(role=role.role_name(), check=check)


def rollback(
    to: str,
    *,
    when: Condition | None = None,
    failed: str = "",
    times: int = 1,
    then: Literal["resume", "end"] = "resume",
) -> RollbackRule:
    """Roll back by itself to a checkpoint (`start` is the run's beginning): `when` a reply says so, or a node `failed`.

    At most `times` in one run. Afterwards the plan goes on from the checkpoint, or the run ends.
    """
    return RollbackRule(to=to, when=when, failed=failed, times=times, then=then)


def propose(*steps: Step, drop: Sequence[str] = (), reason: str = "") -> ProposedPlan:
    """Give what a planner role replies: steps that are added to the run's plan, and names of steps to give up."""
    return ProposedPlan(nodes=tuple(item.node() for item in steps), drop=tuple(drop), reason=reason)


class Plan:
    """A plan: steps in any order. The reply of the last one is the result of the run.

    A step whose role replies with a `ProposedPlan` adds to it while the run goes on.
    """

    def __init__(self, *steps: Step, window: int = 32, rollbacks: Sequence[RollbackRule] = ()) -> None:
        self.steps = steps
        self.window = window
        self.rollbacks = tuple(rollbacks)

    def spec(self) -> PlanSpec:
        """Give this plan as data."""
        nodes = tuple(item.node() for item in self.steps)
        return PlanSpec(nodes=nodes, window=self.window, rollbacks=self.rollbacks)


def state(
    key: str,
    kind: type[T],
    *,
    policy: Policy | None = None,
    writers: Sequence[str | type[RoleRef]] = (),
    scope: Scope = "run",
    limit_bytes: int = LIMIT_BYTES,
    upcast: Mapping[str, Callable[[Document], Document]] | None = None,
) -> StateContract[T]:
    """Declare one kind of shared document: `state("file.{path}", FileNote)`.

    A parameter of the key stands for one part without dots, the last one for all that is left. A document that is a
    message is merged field by field, by the policies with which its fields are annotated; any other one is one value,
    and merged by `policy`. Without a policy, a change that meets another one is rejected. `upcast` gives, by the tag
    of an older version of the message, what makes the next version of it.
    """
    return StateContract(
        template=key,
        kind=kind,
        policy=policy,
        writers=tuple(role if isinstance(role, str) else role.role_name() for role in writers),
        scope=scope,
        limit_bytes=limit_bytes,
        upcast=dict(upcast or {}),
    )


class Team:
    """Roles, their tools, and the workflows that tasks may name.

    `upcast` gives, by the tag of an older version of a message, what makes the next version of it: tasks, bodies and
    replies that an older build wrote are brought forward when they are read.
    """

    def __init__(
        self,
        name: str,
        *,
        roles: Sequence[type[AnyRole]],
        workflows: Mapping[str, type[AnyRole] | Plan],
        tools: Sequence[Tool[object]] = (),
        state: Sequence[StateContract[object]] = (),
        upcast: Upcasts | None = None,
    ) -> None:
        self.name = name
        self.roles = {role.role_name(): role for role in roles}
        self.tools = {item.name: item for item in tools}
        self.workflows = dict(workflows)
        self.state = tuple(state)
        self.upcast = dict(upcast or {})

    def spec(self, charter: Charter) -> TeamSpec:
        """Give the team as the planes see it.

        Raises:
            ContractInvalidError: a role or a message is no contract.
        """
        return TeamSpec(
            name=self.name,
            roles={name: role.spec() for name, role in self.roles.items()},
            workflows={name: _plan(name, item) for name, item in self.workflows.items()},
            tools={name: item.spec() for name, item in self.tools.items()},
            state=self.state,
            charter=charter,
            upcast=self.upcast,
        )


def _plan(name: str, item: type[AnyRole] | Plan) -> PlanSpec:
    if isinstance(item, Plan):
        return item.spec()
    return PlanSpec(nodes=(Node(name=name, role=item.role_name()),))
