"""The one outcome of a run: what it gave, what is left of it, and a digest by which a replay is held to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.ids import node_of
from remit.contracts.message import NULL, digest, encode
from remit.contracts.task import PartialResult, RunFinished
from remit.supervisor.dispatch import Append
from remit.supervisor.step_end import in_plan

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import msgspec

    from remit.contracts.errors import Fault
    from remit.contracts.task import Verdict
    from remit.supervisor.run_state import NodeState, RunState, StepState

_LEFT_MOST: Final = 100
_PARTIAL_MOST: Final = 100
_PARTIAL_BYTES: Final = 64 * 1024
"""A larger reply is named, and read from its entry."""


def finish(
    run: RunState, outcome: Verdict, *, now: datetime, stopped_by: str = "", error: Fault | None = None
) -> Append:
    """Give the entry that ends a run; one that did not come to its end says what it has, and what is left."""
    going = tuple(sorted(name for name, step in run.steps.items() if step.status not in _ENDED))
    entry = RunFinished(
        run_id=run.run_id,
        workflow=run.started.workflow,
        outcome=outcome,
        stopped_by=stopped_by,
        error=error,
        weaker=run.started.weaker,
        left=tuple(_left(run)[:_LEFT_MOST]),
        partial=_partial(run) if outcome in _UNENDED else (),
        going=going,
        state_hash=state_hash(run, going),
        steps=run.dispatched,
        duration_ms=int((now - run.started.started_at).total_seconds() * 1000),
        finished_at=now,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "finished"), entry)


_ENDED: Final = {"completed", "failed"}
_UNENDED: Final = {"stopped", "failed", "rejected"}


def result(run: RunState) -> msgspec.Raw:
    """The reply of the last node, in the order of the plan, that ran once."""
    last = [node.spec.name for node in run.nodes.values() if node.width == 1 and not node.fanned]
    return run.steps[last[-1]].reply if last else NULL


def state_hash(run: RunState, going: Collection[str] = ()) -> str:
    """Give a digest of what is decided of a run.

    The ends of the steps in `going` do not count: the journal may hold one that the supervisor had not heard of.
    """
    nodes = [[name, node.decided, node.width, node.fanned, node.skipped] for name, node in sorted(run.nodes.items())]
    steps = [_told(step, is_going=name in going) for name, step in sorted(run.steps.items())]
    reviews = [[name, item.decided.decision if item.decided else ""] for name, item in sorted(run.reviews.items())]
    marks = [[name, mark.seq] for name, mark in sorted(run.checkpoints.items())]
    number = run.number - (run.finished is not None)
    # Lists of texts and numbers have one spelling; to sort it once more would cost as much again, for every run.
    return digest(encode([run.run_id, number, run.plan_version, run.dispatched, nodes, steps, reviews, marks]))


def _told(step: StepState, *, is_going: bool) -> list[object]:
    work = step.work
    ended: list[object] = ["going"]
    if not is_going and step.status in _ENDED:
        ended = [step.status, digest(bytes(step.reply)), step.error.code if step.error else ""]
    return [work.step, work.role, work.epoch, work.attempt, work.generation, digest(bytes(work.body)), *ended]


def _left(run: RunState) -> list[str]:
    return [
        name for node in run.nodes.values() for name in node.steps() or [node.spec.name] if _is_left(run, node, name)
    ]


def _is_left(run: RunState, node: NodeState, name: str) -> bool:
    if node.skipped or (node.decided and not node.width):  # a fan-out over nothing is done
        return False
    return name not in run.steps or run.steps[name].status != "completed"


def _partial(run: RunState) -> tuple[PartialResult, ...]:
    places = {name: index for index, name in enumerate(run.nodes)}
    done = [step for step in run.steps.values() if step.status == "completed" and in_plan(step.work)]
    done.sort(key=lambda step: (places.get(node_of(step.work.step), -1), step.order))
    found, size = list[PartialResult](), 0
    for step in done[-_PARTIAL_MOST:]:
        size += len(bytes(step.reply))
        found.append(
            PartialResult(
                step=step.work.step,
                role=step.work.role,
                entry=step.completed_by,
                reply=step.reply if size <= _PARTIAL_BYTES else NULL,
            )
        )
    return tuple(found)
