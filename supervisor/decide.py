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
    LimitReachedError,
    ReviewRejectedError,
)
from remit.contracts.ids import node_of
from remit.contracts.plan import TASK, PlanAccepted, PlannedNode
from remit.contracts.step import RunStep, StepTimedOut
from remit.supervisor import plan as plans
from remit.supervisor import replan, saga
from remit.supervisor.completion import evaluate
from remit.supervisor.dispatch import Append, again, of_node
from remit.supervisor.finish import finish, result
from remit.supervisor.records import is_answered
from remit.supervisor.retry import may_retry, retry_at
from remit.supervisor.run_state import FOREVER, NodeState
from remit.supervisor.run_view import is_ready, is_waiting, items_of
from remit.supervisor.step_end import in_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from remit.contracts.task import Verdict
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState, StepState

OVERDUE_GRACE_S = 2.0
"""The holder says itself that it ran out of time; the supervisor says it only for one that is silent."""
_STOPPED, _REJECTED = "RM-4", ReviewRejectedError.code


def cancel(run: RunState, *, by: str, reason: str, now: datetime) -> Append:
    """End a run because a person says so."""
    error = CancelledRunError(f"cancelled by {by}" + (f": {reason}" if reason else "")).fault()
    return finish(run, "stopped", now=now, stopped_by=f"cancel by {by}", error=error)


def give_up(run: RunState, error: Fault, *, now: datetime) -> Append:
    """End a run whose next entry cannot be made or stored."""
    return finish(run, "failed", now=now, stopped_by="an entry that cannot be written", error=error)


def advance(
    team: TeamSpec, run: RunState, versions: Mapping[str, int], *, now: datetime, disputes: Collection[str] = ()
) -> Append | None:
    """Give the entry that the run needs next, or None while it waits for others.

    `versions` are those of the run's state, `disputes` the conflicts of all runs that nobody has decided.
    """
    if run.finished is not None or run.is_forking:
        return None
    if run.rollback is not None:
        return _roll_back(team, run, now, disputes=disputes)
    if run.ending is not None:
        ending = run.ending
        return finish(run, ending.outcome, now=now, stopped_by=ending.stopped_by, error=ending.error)
    if run.paused is not None:
        return None
    if now >= run.ends_at:
        return _out_of_time(run, now)
    if run.dispatched > run.started.limits.steps:  # hosts that die again and again dispatch without asking
        return _out_of_steps(run, now)
    return (
        replan.judge(team, run)
        or _answer_failure(team, run, now)
        or saga.mark(run)
        or saga.after_reply(run)
        or _reopen(run, now)
        or _go_on(team, run, now, disputes=disputes)
        or _accept(run)
        or _dispatch(team, run, now)
        or _complete(team, run, versions, now=now, disputes=disputes)
    )


def _roll_back(team: TeamSpec, run: RunState, now: datetime, *, disputes: Collection[str]) -> Append | None:
    """Go on with a rollback: only compensations, and what they asked for, are under way, and may wait like any step."""
    return (
        _end_late_undo(run, now)
        or saga.compensate(team, run, now)
        or _answer_failure(team, run, now)
        or _reopen(run, now)
        or _go_on(team, run, now, disputes=disputes)
    )


def _end_late_undo(run: RunState, now: datetime) -> Append | None:
    """A compensation that still waits at its deadline has failed; the rollback goes on without it."""
    step = next((item for item in saga.under_way(run) if now >= item.work.deadline_at), None)
    return time_out(run, step.work, _too_late(step.work), is_final=True) if step is not None else None


def _answer_failure(team: TeamSpec, run: RunState, now: datetime) -> Append | None:
    for name in run.failed:
        step = run.steps[name]
        if may_retry(team, step):
            if now >= retry_at(step) and _has_room(run, step):
                code = step.error.code if step.error else ""
                return _limited(run, step, now) or again(
                    run, step, f"retry after {code}", attempt=step.work.attempt + 1
                )
        elif in_plan(step.work):
            return saga.after_failure(run, step) or _failed(run, step, now)
    return None


def _has_room(run: RunState, step: StepState) -> bool:
    """Whoever asked for a step holds a place already, so what was asked for needs none; nor does a compensation."""
    return step.work.parent is not None or bool(step.work.undoes) or run.in_flight < run.window


def _limited(run: RunState, step: StepState | NodeState, now: datetime) -> Append | None:
    """End the run if one more dispatch of this step, or of this node, is beyond its limits; a rollback has none."""
    if run.rollback is not None:
        return None
    if run.dispatched >= run.started.limits.steps:
        return _out_of_steps(run, now)
    node = step.spec.name if isinstance(step, NodeState) else node_of(step.work.step)
    if is_out_of_share(run, node):
        return stopped(run, f"share of {node}", LimitReachedError, allowed=f"{share_of(run, node)} steps", now=now)
    return None


def is_out_of_share(run: RunState, node: str) -> bool:
    """Say whether a node has used up its part of the run's steps."""
    most = share_of(run, node)
    return bool(most) and run.spent.get(node, 0) >= most


def share_of(run: RunState, node: str) -> int:
    """Give how many steps a node may use; 0 is no bound of its own."""
    state = run.nodes.get(node)
    if state is None or not state.spec.share:
        return 0
    return max(1, int(state.spec.share * run.started.limits.steps))


def _out_of_steps(run: RunState, now: datetime) -> Append:
    return stopped(run, "steps", LimitReachedError, allowed=f"{run.started.limits.steps} steps", now=now)


def _out_of_time(run: RunState, now: datetime) -> Append:
    return stopped(run, "wall_clock", DeadlineError, allowed=f"{run.started.limits.wall_clock_s:g} s", now=now)


def due_at(team: TeamSpec, run: RunState) -> datetime:
    """Give when time alone brings a run its next entry, if nothing else happens before."""
    if run.rollback is None and run.paused is not None:
        return FOREVER
    ends = [run.ends_at] if run.rollback is None else [step.work.deadline_at for step in saga.under_way(run)]
    times = [*ends, *run.sleeping.values()]
    times += [retry_at(run.steps[name]) for name in run.failed if may_retry(team, run.steps[name])]
    if run.in_flight:
        grace = timedelta(seconds=OVERDUE_GRACE_S)
        times += [end + grace for step in run.steps.values() if (end := _ends_at(step)) is not None]
    return min(times, default=FOREVER)


def is_due(team: TeamSpec, run: RunState, now: datetime) -> bool:
    """Say whether a run needs an entry because time went by."""
    return now >= due_at(team, run)


def _failed(run: RunState, step: StepState, now: datetime) -> Append:
    error = step.error
    outcome: Verdict = "failed"
    if error is not None and error.code.startswith(_STOPPED):
        outcome = "stopped"
    elif error is not None and error.code == _REJECTED:
        outcome = "rejected"
    return finish(run, outcome, now=now, stopped_by=_stopped_by(step), error=error)


def _stopped_by(step: StepState) -> str:
    """Name what ended a run that a step ended: the limit that it reached, or itself."""
    if step.refusals:
        return f"plan proposed by step {step.work.step}"
    what = STOPS.get(step.error.code, "") if step.error is not None else ""
    return f"{what} of step {step.work.step}" if what else f"step {step.work.step}"


STOPS = {"RM-404": "a limit", "RM-405": "repetition", "RM-408": "ping-pong"}
"""What the step of a run that was stopped had reached, by the code of its error."""


def stopped(
    run: RunState, limit: str, kind: type[DeadlineError | LimitReachedError], *, allowed: str, now: datetime
) -> Append:
    """End a run that reached one of its limits."""
    error = kind(f"the run reached its limit {limit}", expected=f"at most {allowed}").fault()
    return finish(run, "stopped", now=now, stopped_by=limit, error=error)


def _reopen(run: RunState, now: datetime) -> Append | None:
    step = next((run.steps[name] for name in run.reopened if _has_room(run, run.steps[name])), None)
    if step is None:
        return None
    decided = [
        name
        for name, item in run.reviews.items()
        if item.opened.step == step.work.step and item.decided and item.opened.kind != "conflict"
    ]
    rule = f"review {decided[-1]} decided" if decided else "the run goes on"
    return _limited(run, step, now) or again(run, step, rule)


def _go_on(team: TeamSpec, run: RunState, now: datetime, *, disputes: Collection[str]) -> Append | None:
    """Dispatch a parked step again: its time is there, what it asked for is answered, or its disputes are over."""
    for name, rule in _woken(team, run, now, disputes=disputes):
        step = run.steps[name]
        if _has_room(run, step):
            return _limited(run, step, now) or again(run, step, rule)
    return None


def _woken(team: TeamSpec, run: RunState, now: datetime, *, disputes: Collection[str]) -> Iterator[tuple[str, str]]:
    for name, until_at in run.sleeping.items():
        if now >= until_at:
            yield name, f"it is {until_at.isoformat()}"
    for name, asked in run.awaiting.items():
        children = [run.steps[child] for child in asked]
        if all(is_answered(team, child) for child in children) or any(_is_lost(team, child) for child in children):
            yield name, f"{asked[0]} is answered" if len(asked) == 1 else f"{len(asked)} asks are answered"
    for name, waits in run.waiting.items():
        # Not if a person was asked by another branch.
        if not any(dispute in disputes for dispute in waits) and not is_waiting(run, name):
            yield name, f"dispute {waits[0]} is over"


def _is_lost(team: TeamSpec, child: StepState) -> bool:
    return child.status == "failed" and not may_retry(team, child)


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
    if (end := _limited(run, node, now)) is not None:
        return end
    index = node.undispatched[0]
    step = node.step(index)
    try:
        body = msgspec.Raw(plans.body_of(run, node.spec, index))
    except ConflictError as error:
        return give_up(run, error.fault(), now=now)
    edge = "plan" if node.spec.after == (TASK,) else f"edge {' + '.join(node.spec.after)} -> {node.spec.name}"
    rule = edge + "".join(f" when {item.node}.{item.path} {item.operator} {item.value!r}" for item in node.spec.when)
    return of_node(team, run, node, step=step, body=body, rule=rule)


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
    end = finish(run, outcome, now=now, stopped_by=f"criteria: {missing}" if missing else "")
    return Append(end.subject, msgspec.structs.replace(end.message, criteria=criteria, result=result(run)))


def overdue(run: RunState, now: datetime) -> list[Append]:
    """Give the time-outs of held steps whose holder is silent past the end of its lease."""
    grace = timedelta(seconds=OVERDUE_GRACE_S)
    late = [step.work for step in run.steps.values() if _is_late(step, now - grace)]
    return [time_out(run, work, _too_late(work), ahead=index) for index, work in enumerate(late)]


def _is_late(step: StepState, before: datetime) -> bool:
    end = _ends_at(step)
    return end is not None and before >= end


def _ends_at(step: StepState) -> datetime | None:
    """Give when somebody must have said something about a step that is under way."""
    if step.work.conflict and step.status == "dispatched":  # nobody of the arbitrating role is there
        return step.since + timedelta(seconds=step.work.limit_s)
    if step.status == "leased" and step.lease is not None:
        return step.lease.until_at
    return None


def _too_late(work: RunStep) -> Fault:
    return DeadlineError(f"step {work.step} did not end in time", expected=f"{work.limit_s:g} s").fault()


def time_out(run: RunState, work: RunStep, error: Fault, *, ahead: int = 0, is_final: bool = False) -> Append:
    """Fail a step in its holder's place; `ahead` counts the decisions that are appended before this one."""
    is_final = is_final or bool(work.conflict)  # the ladder has a next rung
    entry = StepTimedOut(run_id=run.run_id, step=work.step, epoch=work.epoch, error=error, retryable=not is_final)
    return Append(subject.decision(run.run_id, run.number + 1 + ahead, "timed_out"), entry)
