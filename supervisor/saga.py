"""Checkpoints, and the way back to one: what sets a rollback off, and the compensations, newest first. Pure.

After Garcia-Molina and Salem, "Sagas" (SIGMOD 1987): what cannot be taken back is compensated, in reverse order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.errors import NotFoundError
from remit.contracts.ids import node_of
from remit.contracts.message import decode
from remit.contracts.plan import START
from remit.contracts.rollback import Checkpointed, Lasting, RollbackBegun, RolledBack
from remit.supervisor import dispatch, plan
from remit.supervisor.dispatch import Append
from remit.supervisor.retry import may_retry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remit.contracts.errors import Fault
    from remit.contracts.plan import RollbackRule
    from remit.contracts.rollback import Undoing
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import CheckpointState, NodeState, RunState, StepState


THE_PLAN: Final = "the plan"
REPLY_BYTES: Final = 32 * 1024


def mark(run: RunState) -> Append | None:
    """Take the checkpoint of a node that is over."""
    node = next((item for item in run.nodes.values() if _wants_mark(item)), None)
    if node is None:
        return None
    over = tuple(name for name, item in run.nodes.items() if item.is_over)
    entry = Checkpointed(run_id=run.run_id, name=node.spec.checkpoint, over=over)
    return Append(subject.decision(run.run_id, run.number + 1, "checkpointed"), entry)


def _wants_mark(node: NodeState) -> bool:
    return bool(node.spec.checkpoint) and not node.is_marked and node.is_over


# --- how one begins ------------------------------------------------------------------------------


def begin(  # everything that the entry says
    run: RunState,
    to: str,
    *,
    reason: str,
    by: str,
    then: str = "resume",
    rule: int = -1,
    error: Fault | None = None,
    reply: object = None,
) -> Append:
    """Give the entry that begins a rollback.

    Raises:
        NotFoundError: the run has no such checkpoint.
    """
    at_seq, over = _target(run, to)
    entry = RollbackBegun(
        run_id=run.run_id,
        to=to,
        at_seq=at_seq,
        reason=reason,
        by=by,
        then=then,  # type: ignore[arg-type]  # the caller's literal
        nodes=tuple(name for name in run.nodes if name not in over),
        rule=rule,
        error=error,
        reply=reply,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "rollback_begun"), entry)


def _target(run: RunState, to: str) -> tuple[int, tuple[str, ...]]:
    found: CheckpointState | None = run.checkpoints.get(to)
    if found is not None:
        return found.seq, found.taken.over
    if to == START:
        return run.first_seq, ()
    raise NotFoundError(
        f"run {run.run_id} has no checkpoint {to!r}",
        where=run.run_id,
        expected=", ".join([START, *run.checkpoints]),
        got=to,
        fix=f"remit run show {run.run_id}",
    )


def after_failure(run: RunState, step: StepState) -> Append | None:
    """Begin the rollback that the plan declares for the failure of a node for good, if it may still."""
    node = node_of(step.work.step)
    for index, rule in enumerate(run.rules):
        if rule.failed == node and _may(run, index, rule):
            code = step.error.code if step.error is not None else ""
            reason = f"step {step.work.step} failed: {code}"
            return begin(run, rule.to, reason=reason, by=THE_PLAN, then=rule.then, rule=index, error=step.error)
    return None


def after_reply(run: RunState) -> Append | None:
    """Begin the rollback that the plan declares for what a node replied, if it may still."""
    for index, rule in enumerate(run.rules):
        condition = rule.when
        if condition is None or not _may(run, index, rule):
            continue
        node = run.nodes.get(condition.node)
        if node is not None and node.is_over and node.width and not node.fanned and plan.holds(run, condition):
            said = f"{condition.node}.{condition.path} {condition.operator} {condition.value!r}"
            reply = run.steps[condition.node].reply
            told = decode(object, reply) if len(bytes(reply)) <= REPLY_BYTES else None
            return begin(run, rule.to, reason=said, by=THE_PLAN, then=rule.then, rule=index, reply=told)
    return None


def _may(run: RunState, index: int, rule: RollbackRule) -> bool:
    """Say whether a rule may still be used, and takes back what it looks at: else it would change nothing."""
    if run.rule_uses.get(index, 0) >= rule.times or not (rule.to == START or rule.to in run.checkpoints):
        return False
    looked_at = rule.when.node if rule.when is not None else rule.failed
    return looked_at not in _target(run, rule.to)[1]


# --- how it goes on ------------------------------------------------------------------------------


def compensate(team: TeamSpec, run: RunState, now: datetime) -> Append | None:
    """Dispatch the next compensation; None while the one before it is under way, or if there is none left."""
    for undoing in _listed(run):
        step = run.steps.get(undoing.by)
        if step is None:
            return dispatch.undo(team, run, undoing, now=now)
        if not _is_over(team, step):
            return None
    return None


def under_way(run: RunState) -> list[StepState]:
    """Give the compensations that were begun and have not ended."""
    steps = (run.steps.get(undoing.by) for undoing in _listed(run))
    return [step for step in steps if step is not None and step.status not in {"completed", "failed"}]


def _listed(run: RunState) -> Sequence[Undoing]:
    if run.rollback is None or run.rollback.listed is None:
        return ()
    return run.rollback.listed.undo


def is_compensated(team: TeamSpec, run: RunState) -> bool:
    """Say whether every compensation of the rollback is over, well or not."""
    if run.rollback is None or run.rollback.listed is None:
        return False
    return all(_is_over(team, run.steps.get(item.by)) for item in _listed(run))


def _is_over(team: TeamSpec, step: StepState | None) -> bool:
    return step is not None and (step.status == "completed" or (step.status == "failed" and not may_retry(team, step)))


def done(run: RunState, *, restored: tuple[str, ...], lasting: tuple[Lasting, ...]) -> Append:
    """Give the entry that ends a rollback; `lasting` is what could not be restored of the state."""
    if run.rollback is None or run.rollback.listed is None:
        raise ValueError(run.run_id)
    begun, listed = run.rollback.begun, run.rollback.listed
    failed = [item for undoing in listed.undo if (item := _failure(run, undoing)) is not None]
    entry = RolledBack(
        run_id=run.run_id,
        to=begun.to,
        undone=tuple(item.step for item in listed.undo if _failure(run, item) is None),
        restored=restored,
        lasting=(*listed.lasting, *failed, *lasting),
        reset=begun.nodes,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "rolled_back"), entry)


def _failure(run: RunState, undoing: Undoing) -> Lasting | None:
    """Say what is wrong with a compensation: it failed, or its own check says that nothing is undone."""
    step = run.steps[undoing.by]
    what = f"step {undoing.step}"
    if step.status != "completed":
        said = f"{step.error.code} {step.error.message}" if step.error is not None else "it did not end"
        return Lasting(what=what, why=f"{undoing.role} failed to undo it: {said}", is_failure=True)
    node = run.nodes.get(node_of(undoing.step))
    check = node.spec.undo.check if node is not None and node.spec.undo is not None else None
    if check is None:
        return None
    value = plan.field_at(step.reply, check.path)
    if plan.compare(value, check.operator, check.value):
        return None
    why = f"{undoing.role} replied, and {check.path} is {value!r}, wanted {check.operator} {check.value!r}"
    return Lasting(what=what, why=why, is_failure=True)
