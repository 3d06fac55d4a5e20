"""What becomes of a task, decided from its bytes alone: its run starts, or it is refused with a coded outcome. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.errors import (
    Fault,
    MalformedMessageError,
    RemitError,
    StrandedRunError,
    UnknownWorkflowError,
)
from remit.contracts.message import NULL, decode, digest, tag_of
from remit.contracts.task import Limits, RunFinished, RunStarted, TaskRequest
from remit.contracts.upcast import forwarded
from remit.supervisor.dispatch import Append, work

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.envelope import Envelope
    from remit.contracts.message import Message
    from remit.contracts.plan import PlanSpec
    from remit.contracts.task import ForkOrigin
    from remit.contracts.team import TeamSpec
    from remit.contracts.upcast import Upcasts


def start(  # the facts of one task
    team: TeamSpec,
    *,
    run_id: str,
    workflow: str,
    body: bytes,
    envelope: Envelope,
    now: datetime,
    fork: ForkOrigin | None = None,
) -> Append:
    """Decide what becomes of a task: its run starts, or it is refused with a coded outcome."""
    try:
        return _started(team, run_id, workflow, body=body, envelope=envelope, now=now, fork=fork)
    except RemitError as error:
        return refuse(run_id, workflow, error.fault(), now=now)


def refuse(run_id: str, workflow: str, error: Fault, *, now: datetime) -> Append:
    """Give the outcome of a task that never starts."""
    refusal = RunFinished(run_id=run_id, workflow=workflow, outcome="refused", error=error, finished_at=now)
    return Append(subject.decision(run_id, 1, "finished"), refusal)


def _started(
    team: TeamSpec,
    run_id: str,
    workflow: str,
    *,
    body: bytes,
    envelope: Envelope,
    now: datetime,
    fork: ForkOrigin | None,
) -> Append:
    _check_workflow(team, workflow)
    request = decode(TaskRequest, body)
    takes = team.takes(workflow)
    request = msgspec.structs.replace(request, input=_input(takes, request.input, team.upcast))
    started = RunStarted(
        run_id=run_id,
        workflow=workflow,
        goal=request.goal,
        goal_hash=digest(request.goal.encode()),
        input=request.input,
        charter=team.charter_digest,
        build=team.build,
        limits=_limits(team, request),
        sender=envelope.sender,
        trace=envelope.trace,
        started_at=now,
        fork=fork,
        weaker=team.weaker,
    )
    plan = team.workflows[workflow]
    if fork is not None or not is_alone(plan):
        return Append(subject.decision(run_id, 1, "started"), msgspec.structs.replace(started, plan=plan))
    node = plan.nodes[0]
    start = msgspec.structs.replace(started, input=NULL)  # the body is the input: it is stored once
    entry = work(team, started, step=node.name, role=node.role, body=request.input, rule="plan", start=start)
    return Append(subject.work(run_id, role=node.role, step=node.name, epoch=1), entry)


def _check_workflow(team: TeamSpec, workflow: str) -> None:
    if workflow not in team.workflows:
        raise UnknownWorkflowError(
            f"team {team.name} has no workflow {workflow!r}",
            where=subject.task(workflow),
            expected=", ".join(sorted(team.workflows)),
            got=workflow,
            fix="remit contract list",
        )


def is_alone(plan: PlanSpec) -> bool:
    """Say whether a plan is one role and nothing more, so that its run starts and is dispatched in one entry."""
    first = plan.nodes[0]
    is_bounded = first.deadline_s or first.attempts or first.backoff_s or first.share
    is_more = first.when or first.undo or first.checkpoint or first.body or plan.rollbacks
    return len(plan.nodes) == 1 and not is_bounded and not is_more


def _input(takes: type[Message], body: msgspec.Raw, upcasts: Upcasts) -> msgspec.Raw:
    """Give the input as the workflow takes it today: an older version is brought forward."""
    try:
        return msgspec.Raw(forwarded(takes, body, upcasts=upcasts))
    except MalformedMessageError as error:
        where = "$.input" + error.where.removeprefix("$")
        raise MalformedMessageError(
            error.message,
            where=where,
            expected=error.expected,
            got=error.got,
            fix=f"remit contract show {tag_of(takes)}",
        ) from error


def _limits(team: TeamSpec, request: TaskRequest) -> Limits:
    ceiling = team.charter.limits
    wall = min(request.wall_clock_s or ceiling.wall_clock_s, ceiling.wall_clock_s)
    return Limits(wall_clock_s=wall, steps=ceiling.steps, depth=ceiling.depth)


def stranded(started: RunStarted, *, build: str) -> Fault:
    """Say why a run ends that the team's present build cannot go on with."""
    return StrandedRunError(
        f"the team's code cannot go on with this run of {started.workflow!r}: its roles or messages changed",
        where="build",
        expected=started.build,
        got=build,
        fix="submit the task again, or serve the build that it was started with",
    ).fault()


def strand(started: RunStarted, number: int, *, build: str, now: datetime) -> Append:
    """End a run that the team's present build cannot go on with; `number` is the last of its lane."""
    error = stranded(started, build=build)
    entry = RunFinished(
        run_id=started.run_id,
        workflow=started.workflow,
        outcome="stopped",
        stopped_by="build",
        error=error,
        duration_ms=int((now - started.started_at).total_seconds() * 1000),
        finished_at=now,
    )
    return Append(subject.decision(started.run_id, number + 1, "finished"), entry)
