"""What is asked of a run's state: replies, items, reviews, and what is waited for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import decode
from remit.contracts.plan import TASK

if TYPE_CHECKING:
    from remit.contracts.plan import Node
    from remit.contracts.tool import ToolInDoubt
    from remit.supervisor.run_state import NodeState, ReviewState, RunState, StepState


def held_steps(run: RunState) -> list[StepState]:
    """Give the steps that somebody holds."""
    return [step for step in run.steps.values() if step.status == "leased"] if run.in_flight else []


def is_waiting(run: RunState, step: str) -> bool:
    """Say whether a person has not decided yet what a step asked."""
    return any(
        item.opened.step == step and item.decided is None and item.opened.kind != "conflict"
        for item in run.reviews.values()
    )


def review_at(run: RunState, step: str, position: str, *, is_doubt: bool) -> ReviewState | None:
    """Give the review of an operation, if it was asked before: of a doubt about it, or of what the agent asked."""
    found = [
        item
        for item in run.reviews.values()
        if (item.opened.step, item.opened.position) == (step, position)
        and item.opened.kind in (("in_doubt",) if is_doubt else ("action", "question"))
    ]
    return found[-1] if found else None


def doubt_is_known(run: RunState, doubt: ToolInDoubt) -> bool:
    """Say whether the review of a call in doubt was opened already."""
    return review_at(run, doubt.step, doubt.position, is_doubt=True) is not None


def reply_of(run: RunState, node: str) -> msgspec.Raw:
    """Give the reply of a node that is not fanned out, or the task's input."""
    if node == TASK:
        return run.input()
    return run.steps[node].reply


def items_of(run: RunState, node: Node) -> list[msgspec.Raw]:
    """Give the messages over which a node fans out; none if there is no reply that holds any."""
    try:
        reply = decode(dict[str, msgspec.Raw], reply_of(run, node.after[0]))
        return decode(list[msgspec.Raw], reply.get(node.each, b"[]"))
    except MalformedMessageError:
        return []


def is_ready(run: RunState, node: NodeState) -> bool:
    """Say whether all that a node waits for, its conditions included, is over."""
    return all(name == TASK or run.nodes[name].is_over for name in waits_for(node.spec))


def waits_for(node: Node) -> tuple[str, ...]:
    """Give what must be over before a node is decided."""
    return (*node.after, *(condition.node for condition in node.when))


def held_names(run: RunState) -> tuple[str, ...]:
    """Name the steps that somebody may still complete, as far as is known."""
    return tuple(name for name, step in run.steps.items() if step.is_held)
