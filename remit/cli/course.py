"""The course of a run in `run show`: versions of its plan, checkpoints, rollbacks, pauses, its origin and its forks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit import turn_words
from remit.cli import say
from remit.words import brief, moment, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remit.contracts.plan import PlannedNode
    from remit.contracts.task import PartialResult, RunFinished
    from remit.forks import Fork
    from remit.history import History
    from remit.turns import Pause, Rollback


def sections(history: History, forks: Sequence[Fork]) -> Iterator[tuple[str, list[str]]]:
    """Give titles and lines."""
    turns = history.turns
    yield "Plan", list(_plan(history))
    yield "Checkpoints", [f"{name}{turn_words.marked(mark.taken)}" for name, mark in turns.checkpoints.items()]
    yield "Rollbacks", [_rollback(item) for item in turns.rollbacks]
    yield "Pauses", [_pause(item) for item in turns.pauses]
    yield "Origin and forks", [*_origin(history), *(f"{item.run} is {_fork(item)}" for item in forks)]


def whole(history: History, forks: Sequence[Fork]) -> dict[str, object]:
    """Give the same as plain values."""
    turns = history.turns
    return {
        "plan": [say.data(item) for item in turns.plans],
        "plan_refused": [say.data(item) for item in turns.refused],
        "checkpoints": [say.data(item) for item in turns.checkpoints.values()],
        "rollbacks": [say.data(item) for item in turns.rollbacks],
        "pauses": [say.data(item) for item in turns.pauses],
        "shared": [step.work.step for part in turns.past for step in part.steps],
        "forks": [say.data(item) for item in forks],
    }


def ending(finished: RunFinished) -> Iterator[str]:
    """Say what a run has that did not come to its end, and by which digest a replay is held to it."""
    yield from (f"partial result of {_partial(item)}" for item in finished.partial)
    if finished.going:
        yield f"under way when it ended: {', '.join(finished.going)}"
    if finished.state_hash:
        yield f"state {brief(finished.state_hash)}; remit run replay {finished.run_id} derives it again"


def _plan(history: History) -> Iterator[str]:
    """Versions that only go on with the plan as it was are said by the steps, unless a rollback made it anew."""
    for plan in history.turns.plans:
        if plan.proposed_by:
            yield f"version {plan.version}, {plan.rule}; {turn_words.changes(plan)}"
        elif history.turns.rollbacks:
            yield f"version {plan.version}: {turn_words.listed(_width(node) for node in plan.nodes)}"
    for refused in history.turns.refused:
        yield f"refused, proposed by {refused.step} at epoch {refused.epoch}: {turn_words.reasons(refused)}"


def _width(node: PlannedNode) -> str:
    return f"{node.node} x {node.width}" if node.fanned else node.node


def _rollback(item: Rollback) -> str:
    begun = item.begun
    why = f" ({begun.reason})" if begun.reason else ""
    came_of = turn_words.came_of(item.done) if item.done is not None else "under way" + _undoing(item)
    return f"to {begun.to} by {begun.by}{why}: {came_of}"


def _undoing(item: Rollback) -> str:
    if item.listed is None:
        return ""
    undo = turn_words.listed(turn_words.undoing(each) for each in item.listed.undo)
    return f", to be undone, newest first: {undo}" if undo else ", nothing is to be undone"


def _pause(item: Pause) -> str:
    why = f" ({item.paused.reason})" if item.paused.reason else ""
    until = f", resumed by {item.resumed.by} after {item.resumed.paused_s:.1f} s" if item.resumed else ""
    return f"by {item.paused.by} at {moment(item.paused.paused_at)}{why}{until}"


def _origin(history: History) -> Iterator[str]:
    origin = history.started.fork if history.started is not None else None
    if origin is None:
        return
    past = history.turns.past
    steps = [step.work.step for part in past for step in part.steps]
    effects = sum(part.effects for part in past)
    shared = f"; shares {turn_words.listed(steps)}" if steps else "; shares no step"
    yield f"a fork of {turn_words.origin(origin)}{shared}" + (f"; {effects} effects not repeated" if effects else "")


def _fork(item: Fork) -> str:
    at = f"forked at {item.origin.at}" if item.origin.at else "forked from all that was finished"
    changed = f", with another {turn_words.listed(item.origin.changes)}" if item.origin.changes else ""
    return f"{at} by {item.origin.by}{changed}"


def _partial(item: PartialResult) -> str:
    reply = shown(item.reply, 80) if bytes(item.reply) != b"null" else "(in its entry)"
    return f"{item.step} (role {item.role}): {reply}  [{item.entry}]"
