"""Pure decisions: what entry a run needs next. No I/O, no clock, no randomness.

`advance` is asked again after every entry until it has nothing to add. What it answers depends on the
fold alone, so a supervisor that died between two entries goes on where the journal ends, and a decision
that was made twice has the same subject, which the server stores once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.errors import (
    CancelledRunError,
    ConflictError,
    DeadlineError,
    Fault,
    ReviewRejectedError,
)
from remit.contracts.message import NULL
from remit.contracts.plan import TASK, PlanAccepted, PlannedNode
from remit.contracts.step import RunStep, StepTimedOut
from remit.contracts.task import RunFinished
from remit.supervisor import plan as plans
from remit.supervisor.completion import evaluate
from remit.supervisor.dispatch import Append, again, ends_at, work
from remit.supervisor.run import is_ready, is_waiting, items_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from remit.contracts.task import Verdict
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import NodeState, RunState, StepState

BACKOFF_S, BACKOFF_MAX_S = 0.5, 30.0
OVERDUE_GRACE_S = 2.0
"""The holder says itself that it ran out of time; the supervisor says it only for one that is silent."""
_STOPPED, _REJECTED = "RM-4", ReviewRejectedError.code


def cancel(run: RunState, *, by: str, reason: str, now: datetime) -> Append:
    """End a run because a person says so."""
    error = CancelledRunError(f"cancelled by {by}" + (f": {reason}" if reason else "")).fault()
    return _finish(run, "stopped", now=now, stopped_by=f"cancel by {by}", error=error)


def give_up(run: RunState, error: Fault, *, now: datetime) -> Append:
    """End a run whose next entry cannot be made or stored."""
    return _finish(run, "failed", now=now, stopped_by="an entry that cannot be written", error=error)


def advance(
    team: TeamSpec, run: RunState, versions: Mapping[str, int], *, now: datetime, disputes: Collection[str] = ()
) -> Append | None:
    """Give the entry that the run needs next, or None while it waits for others.

    `versions` are those of the run's state, `disputes` the conflicts of all runs that nobody has decided.
    """
    if run.finished is not None:
        return None
    if now >= ends_at(run.started):
        return _stopped(run, "wall_clock", f"{run.started.limits.wall_clock_s:g} s", now=now)
    if run.dispatched > run.started.limits.steps:  # hosts that die again and again dispatch without asking
        return _out_of_steps(run, now)
    return (
        _answer_failure(team, run, now)
        or _reopen(run, now)
        or _go_on(run, now, disputes)
        or _accept(run)
        or _dispatch(team, run, now)
        or _complete(team, run, versions, now=now, disputes=disputes)
    )


def _answer_failure(team: TeamSpec, run: RunState, now: datetime) -> Append | None:
    for name in run.failed:
        step = run.steps[name]
        if may_retry(team, step):
            if now >= retry_at(step) and _has_room(run, step):
                code = step.error.code if step.error else ""
                retry = again(run, step, f"retry after {code}", attempt=step.work.attempt + 1)
                return retry if _has_steps(run) else _out_of_steps(run, now)
        elif step.work.parent is None:
            return _failed(run, step, now)
    return None


def _has_room(run: RunState, step: StepState) -> bool:
    """Whoever asked for a step holds a place already, so what was asked for needs none."""
    return step.work.parent is not None or run.in_flight < run.window


def _has_steps(run: RunState) -> bool:
    return run.dispatched < run.started.limits.steps


def _out_of_steps(run: RunState, now: datetime) -> Append:
    return _stopped(run, "steps", f"{run.started.limits.steps} steps", now=now)


def is_due(team: TeamSpec, run: RunState, now: datetime) -> bool:
    """Say whether a run needs an entry because time went by."""
    return (
        now >= ends_at(run.started)
        or any(may_retry(team, run.steps[name]) and now >= retry_at(run.steps[name]) for name in run.failed)
        or bool(overdue(run, now))
    )


def may_retry(team: TeamSpec, step: StepState) -> bool:
    """Say whether a failed step has attempts left and its failure may pass."""
    return step.retryable and step.work.attempt < team.charter.roles[step.work.role].limits.attempts


def retry_at(step: StepState) -> datetime:
    """Give the time of the next attempt: 0.5 s after the first failure, doubling, at most 30 s."""
    if step.failed_at is None:
        raise ValueError(step.work.step)
    return step.failed_at + timedelta(seconds=min(BACKOFF_S * 2 ** (step.work.attempt - 1), BACKOFF_MAX_S))


def _failed(run: RunState, step: StepState, now: datetime) -> Append:
    error = step.error
    outcome: Verdict = "failed"
    if error is not None and error.code.startswith(_STOPPED):
        outcome = "stopped"
    elif error is not None and error.code == _REJECTED:
        outcome = "rejected"
    return _finish(run, outcome, now=now, stopped_by=f"step {step.work.step}", error=error)


def _stopped(run: RunState, limit: str, allowed: str, *, now: datetime) -> Append:
    error = DeadlineError(f"the run reached its limit {limit}", expected=f"at most {allowed}").fault()
    return _finish(run, "stopped", now=now, stopped_by=limit, error=error)


def _reopen(run: RunState, now: datetime) -> Append | None:
    step = next((run.steps[name] for name in run.reopened if _has_room(run, run.steps[name])), None)
    if step is None:
        return None
    if not _has_steps(run):
        return _out_of_steps(run, now)
    decided = [
        name
        for name, item in run.reviews.items()
        if item.opened.step == step.work.step and item.decided and item.opened.kind != "conflict"
    ]
    return again(run, step, f"review {decided[-1]} decided")


def _go_on(run: RunState, now: datetime, disputes: Collection[str]) -> Append | None:
    """Dispatch a step again that waited for disputes which are over."""
    for name, waits in run.waiting.items():
        step = run.steps[name]
        if any(dispute in disputes for dispute in waits) or is_waiting(run, name):
            continue  # for a dispute, or for a person who was asked by another branch
        if _has_room(run, step):
            return again(run, step, f"dispute {waits[0]} is over") if _has_steps(run) else _out_of_steps(run, now)
    return None


def _accept(run: RunState) -> Append | None:
    if not run.undecided:
        return None
    ready = [node for node in run.nodes.values() if not node.decided and is_ready(run, node)]
    if not ready:
        return None
    entry = PlanAccepted(
        run_id=run.run_id,
        version=run.plan_version + 1,
        nodes=tuple(_decide_node(run, node) for node in ready),
        rule="what they wait for is over",
    )
    return Append(subject.decision(run.run_id, run.number + 1, "planned"), entry)


def _decide_node(run: RunState, node: NodeState) -> PlannedNode:
    spec = node.spec
    for condition in spec.when:
        if not plans.holds(run, condition):
            said = f"{condition.node}.{condition.path} {condition.operator} {condition.value!r} is false"
            return PlannedNode(node=spec.name, skipped=said)
    needed = spec.after if len(spec.after) == 1 else ()  # a join goes on without what was skipped
    for name in needed:
        if name != TASK and run.nodes[name].skipped:
            return PlannedNode(node=spec.name, skipped=f"{name} was skipped")
    if spec.each:
        return PlannedNode(node=spec.name, width=len(items_of(run, spec)), fanned=True)
    return PlannedNode(node=spec.name)


def _dispatch(team: TeamSpec, run: RunState, now: datetime) -> Append | None:
    if run.in_flight >= run.window:
        return None
    node = next((item for item in run.nodes.values() if item.undispatched), None)
    if node is None:
        return None
    if not _has_steps(run):
        return _out_of_steps(run, now)
    index = node.undispatched[0]
    step = node.step(index)
    try:
        body = msgspec.Raw(plans.body_of(run, node.spec, index))
    except ConflictError as error:
        return give_up(run, error.fault(), now=now)
    edge = "plan" if node.spec.after == (TASK,) else f"edge {' + '.join(node.spec.after)} -> {node.spec.name}"
    rule = edge + "".join(f" when {item.node}.{item.path} {item.operator} {item.value!r}" for item in node.spec.when)
    entry = work(team, run.started, step=step, role=node.spec.role, body=body, rule=rule)
    return Append(subject.work(run.run_id, role=node.spec.role, step=step, epoch=1), entry)


def _complete(
    team: TeamSpec, run: RunState, versions: Mapping[str, int], *, now: datetime, disputes: Collection[str]
) -> Append | None:
    if run.undecided or any(not node.is_over for node in run.nodes.values()):
        return None
    if any(dispute.startswith(f"{run.run_id}.") for dispute in disputes):
        return None  # what the run wishes of the shared state is not decided: it is not done
    criteria = evaluate(run, team.charter, versions)
    outcome: Verdict = "complete" if all(item.passed for item in criteria) else "incomplete"
    missing = "; ".join(item.name for item in criteria if not item.passed)
    finish = _finish(run, outcome, now=now, stopped_by=f"criteria: {missing}" if missing else "")
    entry = msgspec.structs.replace(finish.message, criteria=criteria, result=_result(run))
    return Append(finish.subject, entry)


def _result(run: RunState) -> msgspec.Raw:
    """The reply of the last node, in the order of the plan, that ran once."""
    last = [node.spec.name for node in run.nodes.values() if node.width == 1 and not node.fanned]
    return run.steps[last[-1]].reply if last else NULL


def _finish(
    run: RunState, outcome: Verdict, *, now: datetime, stopped_by: str = "", error: Fault | None = None
) -> Append:
    left = [
        name for node in run.nodes.values() for name in node.steps() or [node.spec.name] if _is_left(run, node, name)
    ]
    entry = RunFinished(
        run_id=run.run_id,
        workflow=run.started.workflow,
        outcome=outcome,
        stopped_by=stopped_by,
        error=error,
        left=tuple(left[:100]),
        steps=run.dispatched,
        duration_ms=int((now - run.started.started_at).total_seconds() * 1000),
        finished_at=now,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "finished"), entry)


def _is_left(run: RunState, node: NodeState, name: str) -> bool:
    if node.skipped:
        return False
    return name not in run.steps or run.steps[name].status != "completed"


def overdue(run: RunState, now: datetime) -> list[Append]:
    """Give the time-outs of held steps whose holder is silent past the end of its lease."""
    grace = timedelta(seconds=OVERDUE_GRACE_S)
    late = [step.work for step in run.steps.values() if _is_late(step, now - grace)]
    return [time_out(run, work, _too_late(work), ahead=index) for index, work in enumerate(late)]


def _is_late(step: StepState, before: datetime) -> bool:
    if step.work.conflict and step.status == "dispatched":  # nobody of the arbitrating role is there
        return before > step.since + timedelta(seconds=step.work.limit_s)
    return step.status == "leased" and step.lease is not None and before > step.lease.until_at


def _too_late(work: RunStep) -> Fault:
    return DeadlineError(f"step {work.step} did not end in time", expected=f"{work.limit_s:g} s").fault()


def time_out(run: RunState, work: RunStep, error: Fault, *, ahead: int = 0) -> Append:
    """Fail a step in its holder's place; `ahead` counts the decisions that are appended before this one."""
    is_final = bool(work.conflict)  # the ladder has a next rung
    entry = StepTimedOut(run_id=run.run_id, step=work.step, epoch=work.epoch, error=error, retryable=not is_final)
    return Append(subject.decision(run.run_id, run.number + 1 + ahead, "timed_out"), entry)
