"""How a step stops being held, in the fold: it fails, is parked, or its end is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.ids import node_of
from remit.contracts.message import NULL

if TYPE_CHECKING:
    from collections import deque
    from datetime import datetime

    from remit.contracts.errors import Fault
    from remit.contracts.step import RunStep
    from remit.supervisor.run_state import RunState, StepState


def in_plan(work: RunStep) -> bool:
    """Say whether a step is one of the plan's own: neither asked for by another one, nor a compensation."""
    return work.parent is None and not work.undoes


def take_back(run: RunState, step: StepState) -> None:
    """A decision shows that the supervisor had not heard of this end, or that it does not count: it never happened."""
    if step.status == "completed" and in_plan(step.work):
        run.nodes[node_of(step.work.step)].open += 1
    discard(run.failed, step.work.step)
    discard(run.proposals, step.work.step)
    run.in_flight += 1
    step.status = "dispatched"
    step.reply, step.completed_by, step.settled_by = NULL, "", ""
    step.error, step.retryable, step.failed_at = None, False, None


def fail(run: RunState, name: str, error: Fault, *, retryable: bool, at: datetime) -> None:
    """A held step failed, and nobody has answered that yet."""
    step = run.steps[name]
    step.status, step.error, step.retryable, step.failed_at = "failed", error, retryable, at
    run.in_flight -= 1
    run.failed.append(name)


def park(run: RunState, step: StepState) -> bool:
    """A held step gives its slot up; False if nobody holds it."""
    if not step.is_held:
        return False
    step.status = "parked"
    run.in_flight -= 1
    return True


def discard(queue: deque[str] | deque[int], item: str | int) -> None:
    """Take something out of a queue, mostly its first."""
    if queue and queue[0] == item:
        queue.popleft()
    elif item in queue:
        queue.remove(item)  # type: ignore[arg-type]  # item and queue agree, which a union cannot say
